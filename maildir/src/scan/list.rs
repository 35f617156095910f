//! Listing the names of one folder, as often as it takes until it stands still.
//!
//! `readdir` may miss a file that is renamed meanwhile, which every changed flag is, and may show it twice.
//! So `new` comes before `cur` (mail programs move messages that way), and the stamps are looked at before
//! and after.

use std::io;

use smd_protocol::snapshot::Place;

use super::stamps;
use crate::cache::DirStamp;
use crate::fs::{Fs, Kind};
use crate::root::{FolderDirs, Root};

/// How often a folder that moves is listed before it is taken as restless.
const LISTS: usize = 5;

/// A directory entry in `cur` or `new` whose name does not begin with a dot, unless it is a directory or may be one.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) place: Place,
    pub(super) name: Box<[u8]>,
    pub(super) kind: Kind,
    /// As `readdir` says; a file system of layers may say another than `statx`.
    pub(super) ino: u64,
}

impl Item {
    /// The part of the name before the first `:`.
    pub(super) fn uniq(&self) -> &[u8] {
        self.name.split(|&b| b == b':').next().unwrap_or_default()
    }
}

/// The names of a folder.
#[derive(Debug)]
pub(super) struct Listing {
    /// Sorted by uniq, `cur` before `new`, then by name.
    pub(super) items: Vec<Item>,
    pub(super) cur: Option<DirStamp>,
    pub(super) new: Option<DirStamp>,
    /// Whether the stamps stood still while the names were read.
    pub(super) stable: bool,
    /// Whether the stamps prove that nothing changed since.
    pub(super) proven: bool,
}

/// Lists a held folder.
///
/// # Errors
/// When any part of it cannot be looked at: what was seen before proves nothing.
pub(super) fn list_folder<F: Fs>(root: &Root<F>, dirs: &FolderDirs<F>) -> io::Result<Listing> {
    let fs = &*root.fs;
    let stamp = |place| dirs.place(place).map(|dir| fs.stat_dir(dir).map(DirStamp::from)).transpose();
    let both = || Ok::<_, io::Error>((stamp(Place::New)?, stamp(Place::Cur)?));
    let mut tries = 1;
    loop {
        let moment = fs.now();
        let before = both()?;
        let mut items = Vec::new();
        for place in [Place::New, Place::Cur] {
            let Some(dir) = dirs.place(place) else { continue };
            fs.list(dir, &mut |name, kind, ino| {
                // A hidden name is no message; but a hidden directory is where a folder may have been moved by mistake.
                if name.first() != Some(&b'.') || matches!(kind, Kind::Dir | Kind::Unknown) {
                    items.push(Item { place, name: name.into(), kind, ino });
                }
            })?;
        }
        let stable = both()? == before;
        if stable || tries == LISTS {
            items.sort_by(|a, b| a.uniq().cmp(b.uniq()).then(b.place.cmp(&a.place)).then(a.name.cmp(&b.name)));
            items.dedup_by(|a, b| a.place == b.place && a.name == b.name);
            let (new, cur) = before;
            let proven = stable && stamps::proves(new.iter().chain(&cur), moment);
            return Ok(Listing { items, cur, new, stable, proven });
        }
        tries += 1;
    }
}
