//! Sections of folders that are left alone: they stay in the base, untouched, while any endpoint that shares it includes them.
//!
//! Once none does, a section leaves. Otherwise whoever excluded a folder, removed it here and years later includes it again would
//! delete it at the other host.
//!
//! Deliberately not here: what is excluded (`exclude`), and where the record is kept (`store`).

use smd_protocol::{Folder, seeded};

use super::{RootRun, RunError};
use crate::fs::Fs;
use crate::store::Attending;

impl<F: Fs> RootRun<F> {
    /// Whether the record tells of this endpoint with the excludes of this run.
    pub(super) fn attends_as_before(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|(name, all)| all.has(name, self.excludes.fingerprint()))
    }

    /// Sections of the base that no endpoint includes any more. With the excludes of the last run, and where nothing changed, it
    /// is not looked for them.
    ///
    /// # Errors
    /// When the state contradicts itself.
    pub(super) fn sections_that_leave(&mut self) -> Result<Vec<Folder>, RunError> {
        let Some((name, all)) = &self.endpoint else { return Ok(Vec::new()) };
        if self.excludes.is_empty() || (self.attends_as_before() && self.delta.is_empty()) {
            return Ok(Vec::new());
        }
        let others_leave =
            |folder: &&Folder| all.others_leave(name, folder) || seeded::is("one-endpoint-excludes-for-all");
        let excluded = self.store.snapshot()?.folders.keys().filter(|folder| self.excludes.excludes(folder));
        Ok(excluded.filter(others_leave).cloned().collect())
    }

    /// Records what this endpoint leaves alone in the base, when that is news. That this fails makes a section leave later, or
    /// its folder adopt.
    ///
    /// # Errors
    /// When the state contradicts itself, or the record cannot be written.
    pub(super) fn note_endpoint(&mut self) -> Result<(), RunError> {
        let as_before = self.attends_as_before();
        let Some((name, all)) = &mut self.endpoint else { return Ok(()) };
        if self.store.ids().current.is_none() || (as_before && !self.committed) {
            return Ok(());
        }
        let mut attending = Attending { excludes: self.excludes.fingerprint().to_owned(), ..Attending::default() };
        if !self.excludes.is_empty() {
            let excluded = self.store.snapshot()?.folders.keys().filter(|folder| self.excludes.excludes(folder));
            attending.leaves = excluded.cloned().collect();
        }
        if all.put(name, attending) {
            self.store.note_endpoints(all)?;
        }
        Ok(())
    }
}
