//! One host's disk in memory, behind the product's own seam ([`Fs`]), on which its scan, apply, store and whole runs go
//! unchanged.
//!
//! It remembers what was made durable and forgets the rest when it crashes ([`Memory::crash`]), fails or dies at the k-th
//! call ([`Memory::arm`]), lets another hand in between any two calls or in the middle of a listing
//! ([`Memory::between`], [`Memory::while_listing`]), and its clock goes only when something is done. Equal seeds and
//! equal calls give equal answers for ever.
//!
//! The product calls the seam; those calls are counted, traced and fail as planned. Models of mail programs and people,
//! and checkers, use [`Memory::by_hand`], which is neither counted nor failed, and works on a dead machine.
//!
//! Deliberately not here: threads' order. Who makes calls from several threads at once gets them counted in the order in
//! which they came.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smd_maildir::fs::Fs;
use smd_protocol::delta::Mtime;

use smd_tests::rng::Rng;

mod clock;
mod crash;
mod dice;
mod every;
mod fault;
mod hand;
mod names;
mod node;
mod seam;
mod tree;

#[cfg(test)]
mod tests;

pub use clock::Grain;
pub use fault::{Class, Fault, How};
pub use hand::Hand;
pub use seam::{Coming, HeldDir, OpenFile};
pub use tree::{FileInfo, Restore, Tree};

pub use dice::Dice;
use fault::Plan;
use names::Disk;
use node::{Body, Id};

/// `EIO`, which every call on a dead machine or through a handle from before a crash gives.
pub const EIO: i32 = 5;

/// The habits of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How finely it stamps.
    pub grain: Grain,
    /// What `Fs::habits` says.
    pub trusted: bool,
    /// Whether it tells when an inode was made.
    pub births: bool,
    /// Whether a freed inode number is given to the next inode at once; otherwise no number comes twice.
    pub reuse: bool,
    /// Whether listings leave out what an entry is (`DT_UNKNOWN`).
    pub unknown_kinds: bool,
    /// The chance, in percent, that a name which came during a listing is in it.
    pub late_names: u64,
    /// Whether a change of names in a directory is never durable before the directory's own name. Journals keep this;
    /// POSIX does not ask for it.
    pub parents_first: bool,
    /// Room for bytes of files; more is `ENOSPC`.
    pub capacity: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grain: Grain::Nano,
            trusted: true,
            births: true,
            reuse: false,
            unknown_kinds: false,
            late_names: 50,
            parents_first: false,
            capacity: None,
        }
    }
}

/// A disk as it was, what is not durable included.
#[derive(Clone, Debug)]
pub struct Saved(Disk);

type Between = Box<dyn FnMut(&Memory, &Coming<'_>) + Send>;
type WhileListing = Box<dyn FnMut(&Memory, &[u8]) + Send>;

/// One host's disk. Clones share it.
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

struct Shared {
    core: Mutex<Core>,
    between: Mutex<Option<Between>>,
    has_between: AtomicBool,
    while_listing: Mutex<Option<WhileListing>>,
    has_while_listing: AtomicBool,
}

struct Core {
    disk: Disk,
    /// Handles and locks of another epoch are dead.
    epoch: u64,
    dead: bool,
    calls: u64,
    plan: Plan,
    trace: Option<Vec<String>>,
    open: BTreeMap<Id, u64>,
    locks: BTreeSet<Id>,
}

impl Core {
    /// No handle or lock of before counts any more.
    fn new_epoch(&mut self) {
        self.epoch += 1;
        self.dead = false;
        self.open.clear();
        self.locks.clear();
    }

    fn collect(&mut self) {
        let open = &self.open;
        self.disk.collect(|id| open.contains_key(&id));
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("calls", &self.calls()).finish_non_exhaustive()
    }
}

impl Memory {
    /// An empty disk with a clock and habits of its own; `seed` decides what is left to chance.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Settings::default())
    }

    /// An empty disk with these habits.
    pub fn with(seed: u64, settings: Settings) -> Self {
        let core = Core {
            disk: Disk::new(seed, settings),
            epoch: 0,
            dead: false,
            calls: 0,
            plan: Plan::default(),
            trace: None,
            open: BTreeMap::new(),
            locks: BTreeSet::new(),
        };
        Self(Arc::new(Shared {
            core: Mutex::new(core),
            between: Mutex::new(None),
            has_between: AtomicBool::new(false),
            while_listing: Mutex::new(None),
            has_while_listing: AtomicBool::new(false),
        }))
    }

    /// A disk of its own that is as one was.
    pub fn of(saved: &Saved) -> Self {
        let memory = Self::new(0);
        memory.restore(saved);
        memory
    }

    /// The disk as people and mail programs use it.
    pub fn by_hand(&self) -> Hand<'_> {
        Hand(self)
    }

    /// The habits.
    pub fn settings(&self) -> Settings {
        self.core().disk.settings
    }

    /// Changes the habits.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        let disk = &mut self.core().disk;
        change(&mut disk.settings);
        if disk.settings.grain == Grain::Frozen {
            disk.clock.freeze();
        }
    }

    /// Moves the clock, also back.
    pub fn advance(&self, ns: i64) {
        self.core().disk.clock.advance(ns);
    }

    /// The time on the clock.
    pub fn time(&self) -> Mtime {
        self.core().disk.clock.now()
    }

    /// How many calls there were through the seam.
    pub fn calls(&self) -> u64 {
        self.core().calls
    }

    /// Starts a trace of calls, or gives the one so far and ends it.
    pub fn trace(&self, on: bool) -> Vec<String> {
        let fresh = on.then(Vec::new);
        std::mem::replace(&mut self.core().trace, fresh).unwrap_or_default()
    }

    /// Plans a fault; calls are counted for it from now on.
    pub fn arm(&self, fault: Fault) {
        self.core().plan.arm(fault);
    }

    /// The bytes of all files of which a sync that failed dropped some: no later sync makes them durable.
    pub fn dropped(&self) -> Vec<Arc<Vec<u8>>> {
        let core = self.core();
        let files = core
            .disk
            .nodes
            .values()
            .filter_map(|node| if let Body::File(file) = &node.body { Some(file) } else { None });
        files.filter(|file| !file.lost.is_empty()).map(|file| file.bytes.clone()).collect()
    }

    /// How many calls failed as planned since the last [`Memory::disarm`].
    pub fn struck(&self) -> u64 {
        self.core().plan.struck
    }

    /// Drops all planned faults.
    pub fn disarm(&self) {
        self.core().plan = Plan::default();
    }

    /// Runs something before every call through the seam, with that call. Calls that it makes through the seam itself, and
    /// calls of other threads while it runs, go without.
    pub fn between(&self, hook: impl FnMut(&Memory, &Coming<'_>) + Send + 'static) {
        *self.0.between.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hook));
        self.0.has_between.store(true, Ordering::SeqCst);
    }

    /// Runs something in the middle of every listing, with the directory's path. Names not given yet are then looked up
    /// afresh: what was renamed meanwhile may be missed, or given twice.
    pub fn while_listing(&self, hook: impl FnMut(&Memory, &[u8]) + Send + 'static) {
        *self.0.while_listing.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hook));
        self.0.has_while_listing.store(true, Ordering::SeqCst);
    }

    /// Ends both hooks.
    pub fn alone(&self) {
        self.0.has_between.store(false, Ordering::SeqCst);
        self.0.has_while_listing.store(false, Ordering::SeqCst);
        *self.0.between.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.0.while_listing.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether a planned crash came: every call fails until [`Memory::reboot`].
    pub fn is_dead(&self) -> bool {
        self.core().dead
    }

    /// The machine is dead from now on.
    pub fn kill(&self) {
        self.core().dead = true;
    }

    /// The power fails and comes back: the disk is one of the states that a crash may leave, all of it durable, and every
    /// handle and lock from before is dead. Planned faults are dropped.
    pub fn crash(&self, rng: &mut Rng) {
        let mut dice = Dice::from_rng(rng);
        self.power_cut(|disk| disk.crash(&mut dice));
    }

    /// A crash that takes everything that was not made durable.
    pub fn crash_worst(&self) {
        self.power_cut(Disk::crash_worst);
    }

    /// As [`Memory::crash`], for a machine that a planned crash left dead.
    pub fn reboot(&self, rng: &mut Rng) {
        self.crash(rng);
    }

    fn power_cut(&self, crash: impl FnOnce(&mut Disk)) {
        let mut core = self.core();
        crash(&mut core.disk);
        core.disk.clock.advance(10_000_000_000);
        core.plan = Plan::default();
        core.new_epoch();
    }

    /// All processes end, as after `kill -9`: handles and locks are dead, the disk is as it was.
    pub fn end_processes(&self) {
        let mut core = self.core();
        core.new_epoch();
        core.collect();
    }

    /// The whole disk, what is not durable included.
    pub fn snapshot(&self) -> Saved {
        Saved(self.core().disk.clone())
    }

    /// Puts a whole disk back, clock and chance too. Handles and locks are dead.
    pub fn restore(&self, saved: &Saved) {
        let mut core = self.core();
        core.disk = saved.0.clone();
        core.new_epoch();
        core.collect();
    }

    /// A digest of all names and bytes, without stamps, to recognise equal disks.
    pub fn fingerprint(&self) -> u64 {
        self.core().disk.fingerprint(names::ROOT)
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Proves at compile time that this is what the product's rooms take.
const _: fn() = || {
    fn takes<F: Fs>() {}
    takes::<Memory>();
};
