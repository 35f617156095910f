//! Folders that this host leaves alone by the names that they have here, where those are not the names of the wire.
//!
//! The server knows nothing of local names, so it tells of such folders, all their messages, in every run. The client
//! drops them and remembers their canonical names in a file beside the base, to exclude them by these in the next
//! offer. Losing the file costs time only.
//!
//! Deliberately not here: which those are (`exclude`), and the offer.

use std::collections::BTreeSet;

use smd_protocol::{Folder, Snapshot};

use super::{RootRun, RunError};
use crate::fs::Fs;

impl<F: Fs> RootRun<F> {
    /// Whether a folder is left alone, by either of its names.
    pub fn leaves_out(&self, folder: &Folder) -> bool {
        self.excludes.excludes(folder)
    }

    /// Checks that every folder that is not left alone has a name on this host.
    ///
    /// # Errors
    /// A sentence on the first that has none.
    pub fn check_names<'a>(&self, folders: impl IntoIterator<Item = &'a Folder>) -> Result<(), RunError> {
        let Some(naming) = &self.naming else { return Ok(()) };
        folders.into_iter().try_for_each(|folder| naming.local(folder).map(drop)).map_err(RunError::Naming)
    }

    /// Folders that are left alone by their names here, as far as is known: those that were met, and those of a base that
    /// was made under other excludes. None below another.
    ///
    /// # Errors
    /// When the base contradicts itself.
    pub fn left_out(&mut self) -> Result<BTreeSet<Folder>, RunError> {
        if self.naming.is_none() {
            return Ok(BTreeSet::new());
        }
        let mut known = self.store.left_out();
        if !self.attends_as_before() {
            let Snapshot { folders } = self.store.snapshot()?;
            known.extend(folders.keys().cloned());
        }
        known.retain(|folder| !folder.is_root() && self.excludes.excludes_by_other_name(folder));
        let all = known.clone();
        known.retain(|folder| !folder.and_above().skip(1).any(|above| all.contains(&above)));
        Ok(known)
    }

    /// Remembers what is left out beside what was known. That this fails costs the next run time.
    pub fn remember_left_out(&mut self, met: &BTreeSet<Folder>) {
        let known = self.left_out().unwrap_or_default();
        let all: BTreeSet<Folder> = known.union(met).cloned().collect();
        if let Err(error) = self.store.remember_left_out(&all) {
            tracing::warn!(%error, "the folders that are left alone were not remembered");
        }
    }
}
