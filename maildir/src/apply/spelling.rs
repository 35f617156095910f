//! Reads back the names that a batch created: is each there, byte for byte?

use std::collections::HashSet;

use super::listing::Spot;
use super::stop::{Stop, other_spelling};
use super::work::{Created, Origin, Work};
use crate::error::Context;
use crate::fs::Fs;
use crate::rename::rename_free;

/// A name that two listings miss, and that is there when asked for, is spelled otherwise on disk.
const LOOKS: usize = 2;

impl<F: Fs> Work<F> {
    /// Finds names of which the file system made others, undoes them, and tells which steps that were. Such a file system may
    /// take two messages for one, so neither is touched further.
    pub(super) fn misspelled(&mut self) -> Vec<(usize, Stop)> {
        let mut created = std::mem::take(&mut self.created);
        created.sort_by(|a, b| (&a.name.folder, a.spot.place).cmp(&(&b.name.folder, b.spot.place)));
        let mut stops = Vec::new();
        for group in created.chunk_by(|a, b| a.name.folder == b.name.folder && a.spot.place == b.spot.place) {
            let Ok(dir) = self.folders.place(&group[0].name.folder, group[0].spot.place) else { continue };
            let mut missing: HashSet<&[u8]> = group.iter().map(|one| &one.spot.file[..]).collect();
            for _ in 0..LOOKS {
                let listed = self.fs().list(&dir, &mut |file, _, _| {
                    missing.remove(file);
                });
                if listed.is_err() {
                    // A directory that cannot be listed proves nothing against its names.
                    missing.clear();
                }
                if missing.is_empty() {
                    break;
                }
            }
            for one in group.iter().filter(|one| missing.contains(&one.spot.file[..])) {
                // A name that is not there when asked for was renamed by someone else meanwhile, and is well.
                if self.fs().stat(&dir, &one.spot.file).is_ok() {
                    stops.push((one.step, self.undo(one, &dir)));
                }
            }
        }
        stops
    }

    fn undo(&mut self, one: &Created, dir: &F::Dir) -> Stop {
        let shown = self.shown(&one.name);
        let undone = match &one.origin {
            Origin::Staged(content) => self.remove_ours(dir, &one.spot.file, content).map(drop),
            Origin::Moved(from, Spot { place, file }) => {
                let back = self.folders.place(&from.folder, *place);
                back.and_then(|back| rename_free(self.fs(), dir, &one.spot.file, &back, file))
            }
        };
        self.folders.note_gone(&one.name, one.spot.place);
        self.know(&one.name, None);
        if let Origin::Moved(from, spot) = &one.origin {
            self.folders.note(from, spot.clone());
            let entry = self.scanned(from);
            self.know(from, entry);
        }
        self.installed.retain(|installed| installed.name != one.name);
        self.untell(&one.name, &one.spot);
        match undone.context("undo", &shown) {
            Ok(()) => other_spelling(&shown),
            Err(error) => error.into(),
        }
    }
}
