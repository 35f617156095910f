//! Folders of a root that were put back from a backup, noted for every peer of this host.
//!
//! A look sees that a folder was put back by its stamps, and the first step in the folder makes these new: after it
//! neither another peer's cache nor, after a crash, this one's could tell. So the folder is noted, durably, before that
//! step; beside each base lies how many notes its pair has dealt with, and an open note makes the recorded stamps newer
//! than any.
//!
//! Deliberately not here: what follows from it (`scan` reports the folder, the planner adopts it).

use smd_protocol::{Folder, seeded};

use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::home::file::{read_file, replace_file};
use crate::home::{Access, Home};
use crate::run::RootRun;

/// Larger than any such file gets; a larger one is not ours.
const NOTES_MAX: u64 = 16 << 20;

/// The file's name: one for each root, by its path on this host.
fn name(stem: &str) -> Vec<u8> {
    format!("restored.{stem}").into_bytes()
}

/// The notes so far, oldest first. Each ends in NUL, which no folder holds; a torn file is not left behind.
pub(super) fn read<F: Fs>(home: &Home<F>, stem: &str) -> Result<Vec<Folder>, Error> {
    let Some(dir) = home.dir() else { return Ok(Vec::new()) };
    let bytes = read_file(&**home.fs(), dir, &name(stem), NOTES_MAX).context("read", name(stem))?.unwrap_or_default();
    let notes = bytes.split_inclusive(|&byte| byte == 0).map(|note| note.strip_suffix(b"\0").unwrap_or(note));
    Ok(notes.filter_map(|note| Folder::parse(note).ok()).collect())
}

/// Adds notes, durably.
pub(super) fn add<F: Fs>(home: &Home<F>, stem: &str, folders: &[Folder]) -> Result<(), Error> {
    let (Some(dir), Access::ReadWrite) = (home.dir(), home.access()) else { return Ok(()) };
    let notes = read(home, stem)?;
    let parts: Vec<&[u8]> = notes.iter().chain(folders).flat_map(|folder| [folder.as_bytes(), b"\0"]).collect();
    replace_file(&**home.fs(), dir, &name(stem), &parts).context("write", name(stem))
}

impl<F: Fs> RootRun<F> {
    /// Those of these notes that this pair has not dealt with: all, when the file was removed and begun anew.
    pub(super) fn open_notes<'a>(&self, notes: &'a [Folder]) -> &'a [Folder] {
        usize::try_from(self.dealt).ok().and_then(|dealt| notes.get(dealt..)).unwrap_or(notes)
    }

    /// Notes that this pair has dealt with so many notes. What fails makes the next run deal with them again.
    pub(super) fn note_dealt(&mut self, count: u64) {
        if count == self.dealt || self.home.access() == Access::ReadOnly || seeded::is("deals-with-notes-for-ever") {
            return;
        }
        match self.store.note_put_back_dealt(count) {
            Ok(()) => self.dealt = count,
            Err(error) => tracing::warn!(%error, "folders that were put back are dealt with again in the next run"),
        }
    }
}
