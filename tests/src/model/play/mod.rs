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

use super::act::{Act, Case, Event, Way};
use super::host::{Copy, Host};
use super::ledger::Ledger;
use super::mail::{self, Tree};
use crate::memory::Dice;

mod look;
mod reuse;
mod run;
mod settle;

use look::{Common, Shared, known, lock, user_acts};
use reuse::Met;
use run::Run;

/// What was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Cases.
    pub sequences: u64,
    /// Sessions.
    pub runs: u64,
    /// Faults that struck: errors, crashes, kills, cuts, users in the middle of a run.
    pub faults: u64,
    /// Looks at the promises between two calls.
    pub looks: u64,
}

impl Figures {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.sequences += other.sequences;
        self.runs += other.runs;
        self.faults += other.faults;
        self.looks += other.looks;
    }
}

/// A broken promise, in words; the first word says which.
pub type Broken = String;

/// Plays a case to its end, or to the first broken promise.
///
/// # Errors
/// The broken promise.
pub fn play(case: &Case) -> Result<Figures, Broken> {
    play_told(case, None)
}

/// Who hears what happens in a case.
pub type Teller<'a> = &'a mut dyn FnMut(String);

/// As [`play`], telling every event and the trees and graves after it.
///
/// # Errors
/// The broken promise.
pub fn play_told(case: &Case, mut tell: Option<Teller<'_>>) -> Result<Figures, Broken> {
    let mut world = World::new(case);
    for event in case.events.iter().chain([&Event::Settle(0)]) {
        let result = world.happens(*event);
        if let Some(tell) = &mut tell {
            tell(format!("{event:?}: {result:?}"));
            for line in std::mem::take(&mut world.said) {
                tell(format!("    {line}"));
            }
            for (at, host) in world.hosts.iter().enumerate() {
                for file in host.files() {
                    tell(format!("  host {at}: {file}"));
                }
            }
        }
        result.map_err(|broken| format!("{broken} [at {event:?}]"))?;
    }
    world.figures.sequences = 1;
    Ok(world.figures)
}

struct World {
    case: Case,
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
    /// What the runs of the last event came to.
    said: Vec<String>,
}

impl World {
    fn new(case: &Case) -> Self {
        let count = usize::from(case.clients.clamp(1, 3)) + 1;
        let hosts: Vec<Host> = (0..count).map(|at| Host::new(case.seed, at, case.disk)).collect();
        let shared =
            Shared { ledger: Ledger::default(), next: 0, broken: None, looks: 0, meddled: false, in_place: false };
        Self {
            case: case.clone(),
            kept: vec![None; count],
            met: vec![Met::default(); count],
            hosts,
            shared: Arc::new(Mutex::new(shared)),
            dice: Dice::new(case.seed ^ 0x77),
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
        }
    }

    fn host(&self, n: u8) -> usize {
        usize::from(n) % self.hosts.len()
    }

    fn client(&self, n: u8) -> usize {
        1 + usize::from(n) % (self.hosts.len() - 1)
    }

    fn happens(&mut self, event: Event) -> Result<(), Broken> {
        self.said.clear();
        match event {
            Event::User(host, act, synced) => {
                let host = self.host(host);
                self.acted(host);
                user_acts(&self.shared, &self.hosts[host], host, self.case.habit, act, synced);
            }
            Event::Run { client, way, keep, dry, depth, mishap } => {
                let client = self.client(client);
                let direction = match way {
                    Way::Pull => Direction::Pull,
                    Way::Push => Direction::Push,
                    Way::Sync => Direction::Sync,
                };
                let scan = [Scan::Quick, Scan::Stat, Scan::Full][usize::from(depth % 3)];
                let mut run = Run { mishap, ..Run::plain(client, direction, scan) };
                run.options.no_delete = keep;
                run.options.allow_bulk_delete = self.dice.below(2) == 0;
                if dry {
                    self.dry_run(&run)?;
                }
                self.run(&run)?;
            }
            Event::Crash(host) => {
                let host = self.host(host);
                self.crash(host)?;
            }
            Event::Wait(n) => {
                let ns = [1_000_000, 25_000_000, 3_000_000_000, 7 * 3_600_000_000_000][usize::from(n) % 4];
                self.hosts.iter().for_each(|host| host.disk.advance(ns));
            }
            Event::LoseState(host) => {
                let host = self.host(host);
                self.hosts[host].lose_state();
                self.adopts();
            }
            Event::Keep(host) => {
                let host = self.host(host);
                self.kept[host] = Some(self.hosts[host].keep());
                // A backup is older than what is done after it by more than a tick of the clock.
                self.hosts.iter().for_each(|host| host.disk.advance(3_000_000_000));
            }
            Event::RestoreState(host) => {
                let host = self.host(host);
                if let Some(copy) = &self.kept[host] {
                    self.hosts[host].restore_state(copy);
                    self.adopts();
                }
            }
            Event::RestoreTree(host) => {
                let host = self.host(host);
                self.restore_tree(host);
            }
            Event::RenameBoth(client, from, to) => {
                let client = self.client(client);
                for host in [0, client] {
                    self.acted(host);
                    let act = Act::RenameFolder(from, to);
                    user_acts(&self.shared, &self.hosts[host], host, self.case.habit, act, true);
                }
            }
            Event::Settle(n) => self.settle(n)?,
        }
        self.check_bytes()
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
        shared.ledger.crashed(host, |bytes| everywhere.contains(bytes) && !dropped.contains(bytes), &tree);
        drop(shared);
        // What a user had done and not synced may be undone, even when a run saw it and had nothing to do.
        if self.actors.contains(&host)
            || tree.mail != before.mail
            || tree.mail.values().flatten().any(|m| m.2.is_empty())
        {
            self.mixed = true;
        }
        self.look()
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
