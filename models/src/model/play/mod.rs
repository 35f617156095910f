//! Plays a case: users, runs and faults in their order, and looks after each whether a promise was broken.
//!
//! Checked after every call that changes a name, on any host: no owed content is gone from all hosts (promise 1), no
//! name in `cur/` or `new/` has bytes that nobody made (2). After every run: no tree has more messages of a content than
//! users made (3), and the tree of a host on which alone users acted is as they left it (4, 5, 8). When all is quiet:
//! the first plain run does everything that is left (12), all trees are equal (11), owed contents are everywhere, mtimes
//! are as they were (7), a further run is one round trip and writes nothing (10).
//!
//! Deliberately not here: what users do (`users`) and what may be there (`ledger`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use smd_client::options::{Direction, Scan};

use super::act::{Case, Habit, Way};
use super::host::{Copy, Host};
use super::mail::{self, Tree};
use super::scenario::{Doing, Plan, Scenario, Step};
use crate::memory::Dice;

pub(super) mod calls;
mod figures;
mod look;
mod reuse;
mod run;
mod settle;

pub use figures::{Figures, Forgiven, MERCIES, Mercy};

use look::{Common, Shared, known, lock};
use reuse::Met;
use run::Run;

/// A broken promise, in words; the first word says which.
pub type Broken = String;

/// Plays a case to its end, or to the first broken promise.
///
/// # Errors
/// The broken promise.
pub fn play(case: &Case) -> Result<Figures, Broken> {
    play_told(&case.into(), None)
}

/// Who hears what happens.
pub type Teller<'a> = &'a mut dyn FnMut(String);

/// Plays a scenario, telling every step and the trees and graves after it.
///
/// # Errors
/// The broken promise; and with `absent` as its first word that the scenario asks for what is not there.
pub fn play_told(scenario: &Scenario, mut tell: Option<Teller<'_>>) -> Result<Figures, Broken> {
    let mut world = World::new(scenario);
    for step in scenario.steps.iter().chain([&Step::Settle(0)]) {
        let result = world.happens(step);
        if let Some(tell) = &mut tell {
            world.tell(step, &result, *tell);
        }
        result.map_err(|broken| format!("{broken} [at {step:?}]"))?;
    }
    world.figures.sequences = 1;
    Ok(world.figures)
}

/// Plays a scenario and writes it down by name, as far as it comes. Gives what happened in it too.
pub fn in_words(scenario: &Scenario) -> (Scenario, Result<(), Broken>) {
    let mut world = World::new(scenario);
    lock(&world.shared).named = true;
    let mut result = Ok(());
    for step in scenario.steps.iter().chain([&Step::Settle(0)]) {
        result = world.happens(step);
        if result.is_err() {
            break;
        }
    }
    // The last step of a whole one is everybody's rest, which comes unasked.
    if result.is_ok() {
        world.script.pop();
    }
    (Scenario { steps: world.script, ..scenario.clone() }, result)
}

struct World {
    habit: Habit,
    /// The server, then the clients.
    hosts: Vec<Host>,
    kept: Vec<Option<Copy>>,
    shared: Common,
    dice: Dice,
    figures: Figures,
    /// Bytes of the last run, to cut the next one in its middle.
    last_bytes: u64,
    /// Hosts on which users acted since all was quiet.
    actors: BTreeSet<usize>,
    /// Something happened after which the actor's tree may change too.
    mixed: bool,
    /// State was lost or a tree put back: what was removed may return.
    adopted: bool,
    /// A fault struck a run since all was quiet: a folder that it kept from going is made again on the other host.
    struck: bool,
    /// Clients that have had a run that went well, and so share a base with the server.
    based: BTreeSet<usize>,
    /// Clients whose last run did not end well.
    untidy: BTreeSet<usize>,
    /// Users acted after such a run, or in the middle of one: what they removed then may come back.
    doubtful: bool,
    /// Hosts whose tree was put back since all was quiet.
    restored: BTreeSet<usize>,
    /// What runs met on each host.
    met: Vec<Met>,
    /// Hosts that crashed since their last run that went well.
    crashed: BTreeSet<usize>,
    /// What the runs of the last step came to.
    said: Vec<String>,
    /// What happened, by name, where names are asked for.
    script: Vec<Step>,
}

impl World {
    fn new(scenario: &Scenario) -> Self {
        let count = usize::from(scenario.clients.clamp(1, 3)) + 1;
        let hosts: Vec<Host> = (0..count).map(|at| Host::new(scenario.seed, at, scenario.disk)).collect();
        let shared = Shared::new(scenario);
        Self {
            habit: scenario.habit,
            kept: vec![None; count],
            met: vec![Met::default(); count],
            hosts,
            shared: Arc::new(Mutex::new(shared)),
            dice: Dice::new(scenario.seed ^ 0x77),
            figures: Figures::default(),
            last_bytes: 2_000,
            actors: BTreeSet::new(),
            mixed: false,
            adopted: false,
            struck: false,
            based: BTreeSet::new(),
            untidy: BTreeSet::new(),
            doubtful: false,
            restored: BTreeSet::new(),
            crashed: BTreeSet::new(),
            said: Vec::new(),
            script: Vec::new(),
        }
    }

    fn tell(&mut self, step: &Step, result: &Result<(), Broken>, tell: Teller<'_>) {
        tell(format!("{step:?}: {result:?}"));
        for line in std::mem::take(&mut self.said) {
            tell(format!("    {line}"));
        }
        for (at, host) in self.hosts.iter().enumerate() {
            for file in host.files() {
                tell(format!("  host {at}: {file}"));
            }
        }
    }

    fn happens(&mut self, step: &Step) -> Result<(), Broken> {
        self.said.clear();
        let named = lock(&self.shared).named;
        let mut written = step.clone();
        let result = match step {
            Step::User(host, doing, synced) => {
                let at = usize::from(*host);
                self.acted(at);
                let word = lock(&self.shared).user_acts(&self.hosts[at], at, doing, *synced);
                word.map(|word| written = Step::User(*host, word.map_or(doing.clone(), Doing::ByName), *synced))
            }
            Step::Run(plan) => {
                let result = self.planned_run(plan);
                let beside = std::mem::take(&mut lock(&self.shared).happened);
                written = Step::Run(Plan { beside, ..plan.clone() });
                result
            }
            Step::Crash(host) => self.crash(usize::from(*host)),
            Step::Wait(n) => {
                let ns = [1_000_000, 25_000_000, 3_000_000_000, 7 * 3_600_000_000_000][usize::from(n % 4)];
                self.hosts.iter().for_each(|host| host.disk.advance(ns));
                Ok(())
            }
            Step::LoseState(host) => {
                self.hosts[usize::from(*host)].lose_state();
                self.adopts();
                Ok(())
            }
            Step::Keep(host) => {
                let host = usize::from(*host);
                self.kept[host] = Some(self.hosts[host].keep());
                // A backup is older than what is done after it by more than a tick of the clock.
                self.hosts.iter().for_each(|host| host.disk.advance(3_000_000_000));
                Ok(())
            }
            Step::RestoreState(host) => {
                let host = usize::from(*host);
                if let Some(copy) = &self.kept[host] {
                    self.hosts[host].restore_state(copy);
                    self.adopts();
                }
                Ok(())
            }
            Step::RestoreTree(host) => {
                self.restore_tree(usize::from(*host));
                Ok(())
            }
            Step::Settle(n) => self.settle(*n),
        };
        let without =
            matches!(step, Step::RestoreState(at) | Step::RestoreTree(at) if self.kept[usize::from(*at)].is_none());
        if named && !without {
            self.script.push(written);
        }
        result?;
        self.check_bytes()
    }

    fn planned_run(&mut self, plan: &Plan) -> Result<(), Broken> {
        let direction = match plan.way {
            Way::Pull => Direction::Pull,
            Way::Push => Direction::Push,
            Way::Sync => Direction::Sync,
        };
        let scan = [Scan::Quick, Scan::Stat, Scan::Full][usize::from(plan.depth % 3)];
        let beside = plan.beside.clone();
        let mut run = Run { beside, ..Run::plain(usize::from(plan.client), direction, scan) };
        run.options.no_delete = plan.keep;
        run.options.allow_bulk_delete = self.dice.below(2) == 0;
        if plan.dry {
            self.dry_run(&run)?;
        }
        self.run(&run).map(|_| ())
    }

    fn acted(&mut self, host: usize) {
        // A folder that was put back and then used has new stamps, and its lack of a message looks like a delete.
        self.forget_lacking(host);
        self.actors.insert(host);
        self.doubtful |= !self.untidy.is_empty();
    }

    /// Notes what is there under which inode.
    fn meet(&mut self) {
        for (met, host) in self.met.iter_mut().zip(&self.hosts) {
            lock(&self.shared).in_place |= met.meet(host);
        }
    }

    fn forget_lacking(&mut self, host: usize) {
        if self.restored.remove(&host) {
            let has = Tree::of(&self.hosts[host]).counts();
            let mut shared = lock(&self.shared);
            let lacking: Vec<_> = shared.ledger.owed().filter(|bytes| !has.contains_key(*bytes)).cloned().collect();
            lacking.iter().for_each(|bytes| shared.ledger.remove(bytes));
            self.figures.forgiven.more(Mercy::Lacking, lacking.len());
        }
    }

    fn adopts(&mut self) {
        self.adopted = true;
        self.mixed = true;
    }

    fn trees(&self) -> Vec<Tree> {
        self.hosts.iter().map(Tree::of).collect()
    }

    fn restore_tree(&mut self, host: usize) {
        let Some(copy) = &self.kept[host] else { return };
        self.hosts[host].restore_tree(copy);
        let cut = self.untidy.iter().any(|&client| host == 0 || host == client);
        if cut || self.crashed.contains(&host) {
            // The stamps that would tell were in a cache that the crash may have taken, or that a cut run did not write.
            self.restored.insert(host);
            self.forget_lacking(host);
        }
        // A folder that the copy does not have looks like one that a user removed; and what was nowhere else is gone.
        let has: BTreeSet<String> = mail::folders(&self.hosts[host]);
        let others: Vec<Tree> = self.trees();
        let mut shared = lock(&self.shared);
        let owed: Vec<_> = shared.ledger.owed().cloned().collect();
        for bytes in owed {
            let kept = others.iter().any(|tree| {
                tree.mail.iter().any(|((folder, _), all)| has.contains(folder) && all.iter().any(|m| m.2 == bytes))
            });
            if !kept {
                shared.ledger.remove(&bytes);
                self.figures.forgiven.more(Mercy::Unkept, 1);
            }
        }
        drop(shared);
        self.restored.insert(host);
        self.adopts();
    }

    fn crash(&mut self, host: usize) -> Result<(), Broken> {
        self.figures.faults += 1;
        let dropped = self.hosts[host].disk.dropped();
        let before = Tree::of(&self.hosts[host]);
        self.hosts[host].crash();
        self.crashed.insert(host);
        // As in `restore_tree`: no look may have noted it yet.
        self.forget_lacking(host);
        let everywhere: BTreeSet<mail::Bytes> = self.hosts.iter().flat_map(Host::settled_contents).collect();
        let tree = Tree::of(&self.hosts[host]);
        let mut shared = lock(&self.shared);
        let left = |bytes: &mail::Bytes| everywhere.contains(bytes) && !dropped.contains(bytes);
        shared.ledger.crashed(host, left, &tree, &mut self.figures.forgiven);
        drop(shared);
        // What a user had done and not synced may be undone, even when a run saw it and had nothing to do.
        if self.actors.contains(&host) || tree != before || tree.mail.values().flatten().any(|m| m.2.is_empty()) {
            self.mixed = true;
        }
        self.look()
    }

    /// Why the tree of the one host on which users acted may change, where it may.
    fn excuse(&self, before: &[Tree]) -> Option<Mercy> {
        let odd = before.iter().any(Tree::is_odd);
        let why = [(self.mixed, Mercy::Mixed), (self.doubtful, Mercy::Doubtful), (odd, Mercy::Odd)];
        why.into_iter().find_map(|(may, mercy)| may.then_some(mercy))
    }

    /// Where users acted on one host alone, its tree is as they left it.
    fn check_actor(&mut self, before: &[Tree], after: &[Tree], excuse: Option<Mercy>) -> Result<(), Broken> {
        let mut actors = self.actors.iter();
        let (Some(&actor), None) = (actors.next(), actors.next()) else { return Ok(()) };
        let (before, after) = (&before[actor], &after[actor]);
        if before == after {
            return Ok(());
        }
        // A folder that a fault kept is made again on the other host.
        let folders = (self.struck && before.mail == after.mail).then_some(Mercy::Folders);
        let Some(mercy) = folders.or(excuse) else {
            let what = after.difference(before);
            return Err(format!("actor: users acted on host {actor} alone, and the end is not what they did:{what}"));
        };
        self.figures.forgiven.more(mercy, 1);
        Ok(())
    }

    /// Promise 1, at this instant.
    fn look(&mut self) -> Result<(), Broken> {
        let hosts: Vec<&Host> = self.hosts.iter().collect();
        self.figures.looks += 1;
        look::look(&lock(&self.shared).ledger, &hosts)
    }

    fn take_broken(&self) -> Result<(), Broken> {
        lock(&self.shared).broken.take().map_or(Ok(()), Err)
    }

    fn check_bytes(&self) -> Result<(), Broken> {
        let hosts: Vec<&Host> = self.hosts.iter().collect();
        known(&lock(&self.shared).ledger, &hosts)
    }
}
