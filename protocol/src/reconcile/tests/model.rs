//! Random worlds: users, runs and faults in random order, and what must hold all the same.
//!
//! The oracle knows nothing of plans. It keeps two lists of what users did:
//! * bodies of which a user removed or overwrote a message, anywhere, at any time. Every other body that was ever
//!   delivered must be in some tree after *each step* of each run, whatever failed before;
//! * how many messages of each content users ever made. Where users do what mail programs do, no tree may end a run
//!   that went well with more, also under `--no-delete`. Where they give one name to message after message, nobody
//!   could tell a move onto a name from an edit; there a tree may end with no more than both had before together,
//!   and with just what the user made of it when only one host changed.
//!
//! And when users stop: one sync, or a pull and a push in either order, makes hosts and base equal, and a further
//! run plans nothing. An adopt may bring back what users removed since the lost base, so the lists start anew
//! with it; that it deletes and duplicates nothing is counted by itself, folder by folder.
//!
//! Steps fail at random; a run may be cut before its commit, or after a commit of its first half; a user may be
//! quicker than a step; a folder may be unreadable; a message may lose its bytes. When nothing of this happened, a step that the strict executor refuses is a wrong plan.
//!
//! A failing seed is in the panic's message; `one` runs it alone.

use std::collections::{BTreeMap, BTreeSet};

use super::users::{Habit, Ledger, Rng, User, count};
use super::world::{Executor, Tree, execute, next_base, plan, run_well};
use crate::digest::{Content, Digest};
use crate::names::{Folder, Name, Uniq};
use crate::reconcile::{Component, Direction, HostView, Input, Note, Policy, Side};
use crate::snapshot::Snapshot;

/// Worlds for each test: a few seconds in all.
const WORLDS: u64 = if cfg!(debug_assertions) { 300 } else { 2_000 };

/// Some clients of one server, with a base for each.
struct World {
    server: Tree,
    clients: Vec<(Tree, Option<Snapshot>)>,
    ledger: Ledger,
    habit: Habit,
    rng: Rng,
    /// A run since the last adopt did not go well, so that a copy may wait for its delete.
    untidy: bool,
    /// Clients whose last run left messages on both hosts and in no base.
    quiet: BTreeSet<usize>,
    /// That happened to one of several clients: another may have renamed the message before, and nobody can know.
    doubtful: bool,
    /// Messages lose their bytes here; elsewhere folders are unreadable at times. With both at once a moved message
    /// cannot be told from a new one; nor can it where names are used again, or where a third
    /// host deletes what it knew before.
    crashes: bool,
}

impl World {
    fn new(seed: u64, clients: usize, habit: Habit) -> Self {
        Self {
            server: Tree::default(),
            clients: vec![(Tree::default(), Some(Snapshot::default())); clients],
            ledger: Ledger::default(),
            habit,
            rng: Rng(seed),
            untidy: false,
            quiet: BTreeSet::new(),
            doubtful: false,
            crashes: clients == 1 && habit == Habit::Unique && seed.is_multiple_of(2),
        }
    }

    fn users_act(&mut self, most: usize) {
        for at in 0..=self.clients.len() {
            let tree = if at == 0 { &mut self.server } else { &mut self.clients[at - 1].0 };
            for _ in 0..self.rng.below(most + 1) {
                User { rng: &mut self.rng, ledger: &mut self.ledger, habit: self.habit, quiet: !self.quiet.is_empty() }
                    .act(tree);
            }
        }
    }

    /// A crash of a host takes the bytes of a message; not of the last one with this body, nobody could help there.
    /// Nor of one that was renamed since: bytes and uniq both gone, it is like any other empty file.
    fn damage(&mut self) {
        let at = self.rng.below(self.clients.len() + 1);
        let others = self.trees().enumerate().filter(|(other, _)| *other != at).map(|(_, tree)| tree);
        let known: BTreeSet<(Uniq, Digest)> =
            others.flat_map(|tree| tree.mail.values()).map(|entry| (entry.uniq.clone(), entry.content.body)).collect();
        let tree = if at == self.clients.len() { &mut self.server } else { &mut self.clients[at].0 };
        let hit = tree.mail.values_mut().find(|entry| known.contains(&(entry.uniq.clone(), entry.content.body)));
        if let Some(entry) = hit {
            entry.content = Content::of(b"");
        }
    }

    fn trees(&self) -> impl Iterator<Item = &Tree> {
        self.clients.iter().map(|(tree, _)| tree).chain([&self.server])
    }

    fn policy(&mut self) -> Policy {
        let direction = *self.rng.pick(&[Direction::Pull, Direction::Push, Direction::Sync, Direction::Sync]);
        Policy {
            no_delete: self.rng.one_in(4),
            allow_bulk_delete: self.rng.one_in(2),
            adopt_other_headers: true,
            ..Policy::plain(direction)
        }
    }

    /// A run of one client, with everything that can go wrong.
    fn run(&mut self, client: usize) {
        let policy = self.policy();
        let (tree, base) = self.clients[client].clone();
        let empty = Snapshot::default();
        let common = base.as_ref().unwrap_or(&empty);
        let mut views = [tree.view(common), self.server.view(common)];
        let mut scanned = [tree.clone(), self.server.clone()];
        let faulty = self.rng.one_in(2);
        let mut good = true;
        let mut blind = false;
        if faulty && !self.crashes && self.rng.one_in(4) {
            let side = self.rng.below(2);
            blind = unreadable(&mut self.rng, common, &mut views[side], &mut scanned[side]);
            good &= !blind;
        }
        let input = Input {
            base: common,
            adopt: base.is_none(),
            ours: &views[0],
            theirs: &views[1],
            begun: &crate::reconcile::Begun::default(),
        };
        let plan = plan(&input, &policy);
        if plan.stop.is_some() {
            return;
        }
        if faulty && self.rng.one_in(3) {
            // Users are quicker than the run, which may yet be cut.
            let before = self.quiet.clone();
            self.quiet.insert(client);
            self.users_act(2);
            self.quiet = before;
            good = false;
        }
        let [a, b] = scanned;
        let mut hosts = [Executor::new(a, self.clients[client].0.clone()), Executor::new(b, self.server.clone())];
        let odds = *self.rng.pick(&[2, 5, 20]);
        let rng = &mut self.rng;
        let others: Vec<&Tree> =
            self.clients.iter().enumerate().filter(|(at, _)| *at != client).map(|(_, (tree, _))| tree).collect();
        let owed: Vec<_> = self.ledger.owed().collect();
        let (mut done, refused) = execute(
            &plan,
            &mut hosts,
            || {
                let fails = faulty && rng.one_in(odds);
                good &= !fails;
                fails
            },
            |hosts| {
                for body in &owed {
                    let mut trees = others.iter().copied().chain(hosts.iter().map(|host| &host.tree));
                    assert!(
                        trees.any(|tree| tree.mail.values().any(|entry| entry.content.body == **body)),
                        "a body is lost"
                    );
                }
            },
        );
        if good {
            assert_eq!(refused, None, "a step was refused in {plan:#?}");
        }
        let [ours, theirs] = hosts;
        self.clients[client].0 = ours.tree;
        self.server = theirs.tree;
        let cut = faulty && self.rng.one_in(4);
        if cut {
            // What was done stays done; the commit covers the first part of it, or there was none.
            good = false;
            done.truncate(self.rng.below(done.len() + 1));
        }
        if !(cut && self.rng.one_in(2)) {
            self.clients[client].1 = Some(next_base(&input, &plan, &done));
        }
        self.untidy |= !good;
        let finished = |side: Side, component: &Component, done: &[Vec<bool>; 2]| {
            component.part(side).held.is_none() && done[side as usize].iter().all(|&done| done)
        };
        let nowhere = |(component, done): (&Component, &[Vec<bool>; 2])| {
            !Side::BOTH.iter().any(|&side| finished(side, component, done))
        };
        self.quiet.remove(&client);
        if cut || blind || plan.components.iter().zip(&done).any(nowhere) {
            self.quiet.insert(client);
            self.doubtful = self.clients.len() > 1;
        }
        self.check_counts();
    }

    fn check_counts(&self) {
        if self.untidy || self.doubtful || self.habit == Habit::Crowded {
            return;
        }
        // What the server no longer has, deleted or under other bytes, two clients may bring back from two places.
        let gone = |body: &Digest| self.ledger.removed.contains(body) || self.ledger.edited.contains(body);
        let brought_back = |content: &Content| self.clients.len() > 1 && gone(&content.body);
        for tree in self.trees() {
            for (content, count) in count(tree).into_iter().filter(|(content, _)| !brought_back(content)) {
                let made = self.ledger.made.get(&content).copied().unwrap_or_default();
                assert!(content.is_empty() || count <= made, "{count} of a content of which users made {made}");
            }
        }
    }

    /// Users have stopped: the runs that must make one client equal to the server.
    fn settle(&mut self, client: usize) {
        let plain =
            |direction| Policy { allow_bulk_delete: true, adopt_other_headers: true, ..Policy::plain(direction) };
        let directions = match self.rng.below(3) {
            0 => vec![Direction::Sync],
            1 => vec![Direction::Pull, Direction::Push],
            _ => vec![Direction::Push, Direction::Pull],
        };
        let (tree, base) = &mut self.clients[client];
        for direction in directions {
            run_well(base, tree, &mut self.server, &plain(direction));
        }
    }

    fn check_settled(&mut self) {
        self.quiet.clear();
        self.untidy = false;
        self.check_counts();
        for (tree, base) in &mut self.clients {
            assert_eq!(tree, &self.server, "both hosts are equal");
            let mut server = self.server.clone();
            let policy = Policy { allow_bulk_delete: true, ..Policy::plain(Direction::Sync) };
            let plan = run_well(base, tree, &mut server, &policy);
            assert!(plan.is_empty(), "a second run plans {plan:#?}");
            assert_eq!(base.as_ref(), Some(&server.snapshot(&BTreeSet::new())), "the base is what both have");
        }
        for body in self.ledger.owed() {
            assert!(self.server.mail.values().any(|entry| entry.content.body == *body), "a body is lost");
        }
    }
}

/// A host cannot read one of its folders: the delta does not name it, and what it holds is taken to be the base's.
fn unreadable(rng: &mut Rng, base: &Snapshot, view: &mut HostView, scanned: &mut Tree) -> bool {
    let Some(folder) = base.folders.keys().nth(rng.below(3)).filter(|folder| scanned.folders.contains(*folder)) else {
        return false;
    };
    view.delta.folders.remove(folder);
    view.incomplete = true;
    scanned.mail.retain(|name, _| name.folder != *folder);
    for entry in base.folders.get(folder).into_iter().flat_map(|section| section.entries()) {
        scanned.mail.insert(Name::new(folder, &entry.uniq), entry.clone());
    }
    true
}

/// A world of some clients, from a seed.
fn one(seed: u64, clients: usize, habit: Habit) {
    let mut world = World::new(seed, clients, habit);
    for _ in 0..4 {
        for _ in 0..world.rng.below(4) {
            world.users_act(3);
            if world.crashes && world.rng.one_in(4) {
                world.damage();
            }
            let client = world.rng.below(clients);
            world.run(client);
        }
        for _ in 0..if clients == 1 { 1 } else { 2 } {
            (0..clients).for_each(|client| world.settle(client));
        }
        world.check_settled();
    }
}

fn many(name: &str, offset: u64, run: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let mut failed = Vec::new();
    for seed in offset..offset + WORLDS {
        if std::panic::catch_unwind(|| run(seed)).is_err() {
            failed.push(seed);
            if failed.len() > 2 {
                break;
            }
        }
    }
    assert!(failed.is_empty(), "{name}: seeds {failed:?}");
}

#[test]
fn no_message_is_lost_or_doubled_and_hosts_converge() {
    many("unique", 0, |seed| one(seed, 1, Habit::Unique));
}

#[test]
fn equal_messages_are_not_multiplied() {
    many("crowded", 1 << 32, |seed| one(seed, 1, Habit::Crowded));
}

#[test]
fn three_clients_of_one_server_converge() {
    many("three clients", 2 << 32, |seed| one(seed, 3, Habit::Unique));
    many("three crowded clients", 3 << 32, |seed| one(seed, 3, Habit::Crowded));
}

/// A client and a server that have changed since a common base.
fn diverged(seed: u64, habit: Habit) -> World {
    let mut world = World::new(seed, 1, habit);
    for _ in 0..2 {
        world.users_act(6);
        world.settle(0);
    }
    world.users_act(4);
    world
}

#[test]
fn pull_push_and_push_pull_and_sync_end_in_the_same_trees() {
    many("orders", 4 << 32, |seed| {
        let ends: Vec<_> =
            [&[Direction::Sync][..], &[Direction::Pull, Direction::Push], &[Direction::Push, Direction::Pull]]
                .into_iter()
                .map(|directions| {
                    let mut world = diverged(seed, if seed.is_multiple_of(2) { Habit::Unique } else { Habit::Crowded });
                    let (tree, base) = &mut world.clients[0];
                    let mut conflict = false;
                    for &direction in directions {
                        let policy = Policy { allow_bulk_delete: true, ..Policy::plain(direction) };
                        let plan = run_well(base, tree, &mut world.server, &policy);
                        conflict |= plan
                            .notes
                            .iter()
                            .any(|note| matches!(note, Note::KeptBoth { .. } | Note::MovedTwice { .. }));
                    }
                    assert_eq!(*tree, world.server);
                    (conflict, world.server)
                })
                .collect();
        if !ends.iter().any(|(conflict, _)| *conflict) {
            assert_eq!(ends[0].1, ends[1].1, "sync and pull-push");
            assert_eq!(ends[0].1, ends[2].1, "sync and push-pull");
        }
    });
}

#[test]
fn what_only_one_host_changed_is_just_so_on_the_other() {
    many("one host", 8 << 32, |seed| {
        let habit = if seed.is_multiple_of(2) { Habit::Unique } else { Habit::Crowded };
        for side in Side::BOTH {
            for direction in [Direction::Sync, if side == Side::Ours { Direction::Push } else { Direction::Pull }] {
                let mut world = World::new(seed, 1, habit);
                world.users_act(8);
                world.settle(0);
                let World { clients, server, rng, ledger, .. } = &mut world;
                let (tree, base) = &mut clients[0];
                let changing = if side == Side::Ours { &mut *tree } else { &mut *server };
                for _ in 0..5 {
                    User { rng, ledger, habit, quiet: false }.act(changing);
                }
                let expect = changing.clone();
                let policy = Policy { allow_bulk_delete: true, ..Policy::plain(direction) };
                run_well(base, tree, server, &policy);
                assert_eq!((&*tree, &*server), (&expect, &expect));
            }
        }
    });
}

fn folder_counts(tree: &Tree) -> BTreeMap<(Folder, Content), usize> {
    let mut counts = BTreeMap::new();
    for (name, entry) in &tree.mail {
        *counts.entry((name.folder.clone(), entry.content)).or_default() += 1;
    }
    counts
}

/// Of each content at least what either host had, and at most the union, folder by folder.
fn check_union(before: &[Tree; 2], after: &Tree) {
    let by_folder = before.each_ref().map(folder_counts);
    let mut most: BTreeMap<Content, usize> = BTreeMap::new();
    for key in by_folder[0].keys().chain(by_folder[1].keys()).collect::<BTreeSet<_>>() {
        let here = |at: usize| by_folder[at].get(key).copied().unwrap_or_default();
        *most.entry(key.1).or_default() += here(0).max(here(1));
    }
    let after = count(after);
    for (content, most) in most {
        let least =
            before.iter().map(|tree| count(tree).get(&content).copied().unwrap_or_default()).max().unwrap_or_default();
        let got = after.get(&content).copied().unwrap_or_default();
        assert!((least..=most).contains(&got), "{got} of a content, not {least} to {most}");
    }
}

/// A world whose client loses its base.
fn adopt_one(seed: u64) {
    let mut world = diverged(seed, if seed.is_multiple_of(2) { Habit::Unique } else { Habit::Crowded });
    world.clients[0].1 = None;
    let before = [world.clients[0].0.clone(), world.server.clone()];
    world.settle(0);
    check_union(&before, &world.server);
    world.ledger = Ledger::default();
    world.ledger.made = count(&world.server);
    world.check_settled();
}

#[test]
fn a_lost_base_deletes_nothing_and_doubles_nothing() {
    many("adopt", 5 << 32, adopt_one);
}

/// A world whose client loses its base, and whose adopt is cut three times.
fn cut_one(seed: u64) {
    let mut world = diverged(seed, if seed.is_multiple_of(2) { Habit::Unique } else { Habit::Crowded });
    world.clients[0].1 = None;
    let before = [world.clients[0].0.clone(), world.server.clone()];
    for _ in 0..3 {
        cut_run(&mut world);
    }
    world.settle(0);
    check_union(&before, &world.server);
    world.ledger = Ledger::default();
    world.ledger.made = count(&world.server);
    world.check_settled();
}

#[test]
fn an_adopt_that_is_cut_goes_on_as_an_adopt() {
    many("cut adopt", 6 << 32, cut_one);
}

/// A run in which steps fail; nobody else does anything.
fn cut_run(world: &mut World) {
    let direction = *world.rng.pick(&[Direction::Pull, Direction::Push, Direction::Sync]);
    let policy = Policy { allow_bulk_delete: true, adopt_other_headers: true, ..Policy::plain(direction) };
    let (tree, base) = world.clients[0].clone();
    let empty = Snapshot::default();
    let common = base.as_ref().unwrap_or(&empty);
    let views = [tree.view(common), world.server.view(common)];
    let input = Input {
        base: common,
        adopt: base.is_none(),
        ours: &views[0],
        theirs: &views[1],
        begun: &crate::reconcile::Begun::default(),
    };
    let plan = plan(&input, &policy);
    let mut hosts =
        [Executor::new(tree.clone(), tree.clone()), Executor::new(world.server.clone(), world.server.clone())];
    let (mut done, _) = execute(&plan, &mut hosts, || world.rng.one_in(3), |_| {});
    done.truncate(world.rng.below(done.len() + 1).max(done.len() / 2));
    let commits = !world.rng.one_in(3);
    if commits {
        world.clients[0].1 = Some(next_base(&input, &plan, &done));
    }
    let [ours, theirs] = hosts;
    world.clients[0].0 = ours.tree;
    world.server = theirs.tree;
}

/// Which side a policy may change is all that a direction says.
#[test]
fn a_direction_leaves_the_other_host_alone() {
    many("directions", 7 << 32, |seed| {
        for (direction, side) in [(Direction::Pull, Side::Theirs), (Direction::Push, Side::Ours)] {
            let mut world = diverged(seed, Habit::Crowded);
            let before = [world.clients[0].0.clone(), world.server.clone()];
            let (tree, base) = &mut world.clients[0];
            let policy = Policy { allow_bulk_delete: true, ..Policy::plain(direction) };
            run_well(base, tree, &mut world.server, &policy);
            let after = [tree.clone(), world.server.clone()];
            assert_eq!(before[side as usize], after[side as usize]);
        }
    });
}

/// A delta that arrives with its parts, and the entries in them, in any order is the same delta, so the plan is the same.
#[test]
fn the_order_of_a_delta_does_not_matter() {
    use crate::pack::{self, Part, Unpacker};
    many("delta orders", 8 << 32, |seed| {
        let mut world = diverged(seed, if seed.is_multiple_of(2) { Habit::Unique } else { Habit::Crowded });
        let (tree, base) = world.clients[0].clone();
        let base = base.expect("they have a common base");
        let (ours, theirs) = (tree.view(&base), world.server.view(&base));
        let (mut folders, mut entries): (Vec<Part>, Vec<Part>) =
            pack::pack(&base, &theirs.delta).into_iter().partition(|part| matches!(part, Part::Folder { .. }));
        // One entry to a part, in any order.
        entries = entries
            .into_iter()
            .flat_map(|part| match part {
                Part::Entries { folder, entries } => {
                    entries.into_iter().map(|entry| Part::Entries { folder, entries: vec![entry] }).collect::<Vec<_>>()
                }
                other => vec![other],
            })
            .collect();
        for end in (2..=entries.len()).rev() {
            entries.swap(end - 1, world.rng.below(end));
        }
        folders.append(&mut entries);
        let mut unpacker = Unpacker::default();
        folders.into_iter().for_each(|part| unpacker.take(&base, part).expect("it fits"));
        let shuffled = HostView { delta: unpacker.finish().expect("nothing is named twice"), ..theirs.clone() };
        let none = crate::reconcile::Begun::default();
        let policy = Policy { allow_bulk_delete: true, ..Policy::plain(Direction::Sync) };
        let plans = [&theirs, &shuffled]
            .map(|theirs| plan(&Input { base: &base, adopt: false, ours: &ours, theirs, begun: &none }, &policy));
        assert_eq!(plans[0], plans[1]);
    });
}
