//! What became of the files below a root, for programs that keep an index of them.
//!
//! Deliberately not here: what became of messages; that is what outcomes tell.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use smd_protocol::{Folder, Name};

use super::listing::Spot;
use super::work::Work;
use crate::fs::Fs;

/// A file that came, got another path, or went, with its path as it is on this host's disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// There are new bytes under this path.
    Added(PathBuf),
    /// The same bytes have another path: another folder, name, place or flags.
    Moved {
        /// The path before.
        from: PathBuf,
        /// The path now.
        to: PathBuf,
    },
    /// What was under this path is there no longer. Other bytes may be: then they are told as added afterwards.
    Removed(PathBuf),
}

impl Change {
    /// Where the bytes are now, if they are anywhere.
    pub fn to(&self) -> Option<&PathBuf> {
        match self {
            Self::Added(to) | Self::Moved { to, .. } => Some(to),
            Self::Removed(_) => None,
        }
    }
}

impl<F: Fs> Work<F> {
    /// Takes note of a file that came.
    pub(super) fn tell_added(&mut self, folder: &Folder, spot: &Spot) {
        self.tell(|work| Change::Added(work.path_of(folder, spot)));
    }

    /// Takes note of a file that went.
    pub(super) fn tell_removed(&mut self, folder: &Folder, spot: &Spot) {
        self.tell(|work| Change::Removed(work.path_of(folder, spot)));
    }

    /// Takes note of a file that was renamed.
    pub(super) fn tell_moved(&mut self, from: (&Name, &Spot), to: (&Name, &Spot)) {
        self.tell(|work| Change::Moved {
            from: work.path_of(&from.0.folder, from.1),
            to: work.path_of(&to.0.folder, to.1),
        });
    }

    /// Forgets what was told of a name that was undone.
    pub(super) fn untell(&mut self, name: &Name, spot: &Spot) {
        let path = self.path_of(&name.folder, spot);
        if let Some(changes) = &mut self.changes
            && let Some(at) = changes.iter().rposition(|change| change.to() == Some(&path))
        {
            changes.remove(at);
        }
    }

    fn tell(&mut self, change: impl FnOnce(&Self) -> Change) {
        if self.changes.is_some() {
            let change = change(self);
            self.changes.get_or_insert_default().push(change);
        }
    }

    fn path_of(&self, folder: &Folder, spot: &Spot) -> PathBuf {
        let below = [spot.place.dir(), b"/", &spot.file].concat();
        PathBuf::from(OsString::from_vec(self.root.shown(folder, &below)))
    }
}
