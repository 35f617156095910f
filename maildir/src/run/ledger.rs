//! What runs removed from the root within a day, as the bulk guard counts it; and whether it stands.
//!
//! The ledger is one for all peers of the root; whether the guard stands is this pair's alone.

use smd_protocol::reconcile::Removal;

use super::{RootRun, RunError};
use crate::error::Error;
use crate::fs::Fs;
use crate::store::ledger::{self, Kept};

impl<F: Fs> RootRun<F> {
    /// What runs of all peers removed here within a day.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn removed(&self) -> Result<Vec<Removal>, Error> {
        ledger::read(&self.home, Kept::Removed, &self.stem)
    }

    /// Counts what a batch is about to remove, durably, under the root's lock. To be called before its steps begin: a crash
    /// then leaves too much counted, never too little.
    ///
    /// # Errors
    /// When the lock is held too long, or it cannot be written: then nothing may be removed.
    pub fn count_removals(&mut self, removals: &[Removal], stop: &dyn Fn() -> bool) -> Result<(), RunError> {
        if removals.is_empty() {
            return Ok(());
        }
        self.in_ledger(stop, |run| ledger::add(&run.home, Kept::Removed, &run.stem, removals))
    }

    /// Forgets what was removed, under the root's lock: a person said that it was meant.
    ///
    /// # Errors
    /// When the lock is held too long, or the ledger cannot be removed.
    pub fn forget_removals(&mut self, stop: &dyn Fn() -> bool) -> Result<(), RunError> {
        self.in_ledger(stop, |run| ledger::clear(&run.home, Kept::Removed, &run.stem))
    }

    /// What runs brought within a day, to here or from here, although it was there.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn doubled(&self) -> Result<Vec<Removal>, Error> {
        ledger::read(&self.home, Kept::Doubled, &self.stem)
    }

    /// Notes what this run is about to bring although it is there, durably, under the root's lock.
    ///
    /// # Errors
    /// When the lock is held too long, or it cannot be written: then nothing may be brought.
    pub fn count_doubled(&mut self, doubled: &[Removal], stop: &dyn Fn() -> bool) -> Result<(), RunError> {
        if doubled.is_empty() {
            return Ok(());
        }
        self.in_ledger(stop, |run| ledger::add(&run.home, Kept::Doubled, &run.stem, doubled))
    }

    /// Forgets what runs brought although it was there, under the root's lock: a person said that it was meant.
    ///
    /// # Errors
    /// When the lock is held too long, or the ledger cannot be removed.
    pub fn forget_doubled(&mut self, stop: &dyn Fn() -> bool) -> Result<(), RunError> {
        self.in_ledger(stop, |run| ledger::clear(&run.home, Kept::Doubled, &run.stem))
    }

    /// Changes a ledger under the root's lock, which those of all peers take; and once the applier knows how old its grave is, by
    /// which ages of the ledger count.
    fn in_ledger(
        &mut self,
        stop: &dyn Fn() -> bool,
        change: impl FnOnce(&Self) -> Result<(), Error>,
    ) -> Result<(), RunError> {
        self.locked(stop, |run| {
            if run.root.is_some() {
                run.applier()?;
            }
            Ok(change(run)?)
        })
    }

    /// Whether the bulk guard tripped for this pair, and stands.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn tripped(&self) -> Result<bool, Error> {
        self.store.tripped()
    }

    /// Notes that it stands, or no longer does, durably.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn note_tripped(&self, stands: bool) -> Result<(), Error> {
        self.store.note_tripped(stands)
    }
}
