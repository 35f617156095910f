//! Editing at random at several hosts ends in equal trees, without loss and without duplicates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use smd_tests::mail;
use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::tree::{self, Tree};
use smd_tests::user::User;
use smd_tests::world::{Link, World};

/// How often each id is there.
fn census(root: &Path) -> BTreeMap<Vec<u8>, usize> {
    let mut counts = BTreeMap::new();
    for found in tree::list(root) {
        let bytes = fs::read(found.path(root)).expect("a message can be read");
        if let Some(id) = mail::id(&bytes) {
            *counts.entry(id.to_vec()).or_insert(0) += 1;
        }
    }
    counts
}

/// Nothing is missing that nobody deleted; nothing is there twice that nobody copied or edited.
#[track_caller]
fn assert_accounts(root: &Path, first: &BTreeSet<Vec<u8>>, users: &[User]) {
    let counts = census(root);
    let delivered = users.iter().flat_map(|user| &user.ledger.delivered);
    for id in first.iter().chain(delivered) {
        let name = String::from_utf8_lossy(id);
        let count = counts.get(id).copied().unwrap_or(0);
        if !users.iter().any(|user| user.ledger.deleted.contains(id)) {
            assert!(count >= 1, "{name} is lost");
        }
        if !users.iter().any(|user| user.ledger.multiplied.contains(id)) {
            assert!(count <= 1, "{name} is there {count} times");
        }
    }
}

#[test]
fn three_clients_of_one_server_that_edit_at_random_converge() {
    let names = ["laptop", "desktop", "phone"];
    let world = World::with_hosts(Link::Rsh, &["laptop", "desktop", "phone", "office"]);
    let mut rng = Rng::from_env_or(4711);
    let office = world.server().maildir();
    populate::populate(&office, "first", Spec { messages: 120, folders: 12, big: 0, odd: true }, &mut rng.fork(0));
    let first: BTreeSet<Vec<u8>> = census(&office).into_keys().collect();
    let mut users: Vec<User> = names
        .iter()
        .enumerate()
        .map(|(n, name)| User::new(&world.host(name).maildir(), name, rng.fork(n as u64 + 1)))
        .collect();
    users.push(User::new(&office, "office", rng.fork(9)));
    for name in names {
        world.run("smd-sync", world.host(name), &[]).ok();
    }
    for _ in 0..12 {
        for user in &mut users {
            let count = rng.index(6);
            user.edit(count);
        }
        let program = *rng.pick(&["smd-sync", "smd-sync", "smd-pull", "smd-push"]);
        let name = *rng.pick(&names);
        world.run(program, world.host(name), &["--allow-bulk-delete"]).ok();
    }
    // The second round gives everybody what the last of the first round brought.
    for name in names.iter().chain(&names) {
        world.run("smd-sync", world.host(name), &["--allow-bulk-delete"]).ok();
    }
    world.assert_equal();
    assert_accounts(&office, &first, &users);
    for name in names {
        let again = world.run("smd-sync", world.host(name), &["--json"]).ok();
        assert_eq!(again.steps(), 0, "{again}");
    }
}

/// The same story at two hosts, joined by the given programs; what comes out.
fn joined_by(programs: &[&str], seed: u64) -> (Tree, Vec<String>) {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(seed);
    let (here, there) = (world.client().maildir(), world.server().maildir());
    populate::populate(&there, "first", Spec { messages: 80, folders: 8, big: 0, odd: true }, &mut rng.fork(0));
    let first: BTreeSet<Vec<u8>> = census(&there).into_keys().collect();
    world.sync(&[]).ok();
    let mut users = [User::new(&here, "us", rng.fork(1)), User::new(&there, "them", rng.fork(2))];
    for user in &mut users {
        user.edit(12);
    }
    let mut said = Vec::new();
    for program in programs {
        said.push(world.run(program, world.client(), &["--json", "-v", "--allow-bulk-delete"]).ok().to_string());
    }
    let (ours, theirs) = (Tree::read(&here), Tree::read(&there));
    assert!(
        ours.differences(&theirs).is_empty(),
        "{programs:?}: {:#?}\n{}",
        ours.differences(&theirs),
        said.join("\n")
    );
    assert_accounts(&there, &first, &users);
    (ours, said)
}

#[track_caller]
fn assert_orders_end_alike(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let (sync, _) = joined_by(&["smd-sync"], seed);
        for programs in [["smd-pull", "smd-push"], ["smd-push", "smd-pull"]] {
            let (other, said) = joined_by(&programs, seed);
            let lines = sync.differences(&other);
            assert!(lines.is_empty(), "seed {seed}, sync (left) against {programs:?}: {lines:#?}\n{}", said.join("\n"));
        }
    }
}

#[test]
fn pull_then_push_and_push_then_pull_and_sync_end_in_the_same_trees() {
    assert_orders_end_alike(100..104);
}

#[test]
fn pull_then_push_and_push_then_pull_and_sync_end_in_the_same_trees_in_other_stories() {
    assert_orders_end_alike(104..108);
}

#[test]
fn two_hosts_that_edit_at_random_agree_after_every_sync() {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(815);
    let (here, there) = (world.client().maildir(), world.server().maildir());
    populate::populate(&there, "first", Spec::plain(60, 6), &mut rng.fork(0));
    let first: BTreeSet<Vec<u8>> = census(&there).into_keys().collect();
    world.sync(&[]).ok();
    let mut users = [User::new(&here, "us", rng.fork(1)), User::new(&there, "them", rng.fork(2))];
    for _ in 0..15 {
        for user in &mut users {
            user.edit(5);
        }
        world.sync(&["--allow-bulk-delete"]).ok();
        world.assert_equal();
        assert_accounts(&there, &first, &users);
    }
}
