//! Where the messages of a folder lie, by uniq: names are found, never composed.

use std::collections::HashMap;
use std::io;

use smd_protocol::{FileName, Flags, Place};

use crate::fs::Fs;
use crate::root::FolderDirs;

/// How often a folder that moves while it is listed is listed again.
const LOOKS: usize = 4;

/// A name in `cur/` or `new/`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Spot {
    /// Which of the two.
    pub(super) place: Place,
    /// The file name, spelled as it is.
    pub(super) file: Vec<u8>,
}

impl Spot {
    /// The flags that the file name says.
    pub(super) fn flags(&self) -> Flags {
        FileName::parse(&self.file).map(|name| name.flags).unwrap_or_default()
    }
}

/// Spots by the bytes of their uniq.
pub(super) type Spots = HashMap<Box<[u8]>, Vec<Spot>>;

/// The uniq's bytes, without allocating.
pub(super) fn uniq_of(file: &[u8]) -> &[u8] {
    file.split(|&b| b == b':').next().unwrap_or(file)
}

/// Lists `new`, then `cur` (a message that moves on meanwhile is then seen twice rather than missed), again while
/// their stamps move. Names of other kinds than files are listed too: they take a name.
pub(super) fn list<F: Fs>(fs: &F, dirs: &FolderDirs<F>, keep: impl Fn(&[u8]) -> bool) -> io::Result<Spots> {
    let places = [(Place::New, &dirs.new), (Place::Cur, &dirs.cur)];
    let stamps = || -> io::Result<Vec<_>> {
        places
            .iter()
            .filter_map(|(_, dir)| dir.as_ref())
            .map(|dir| fs.stat_dir(dir).map(|s| (s.mtime, s.ctime)))
            .collect()
    };
    let mut before = stamps()?;
    for look in 1.. {
        let mut spots = Spots::new();
        for (place, dir) in &places {
            let Some(dir) = dir else { continue };
            fs.list(dir, &mut |file, _, _| {
                let uniq = uniq_of(file);
                if !file.starts_with(b".") && keep(uniq) {
                    let at = spots.entry(uniq.into()).or_default();
                    let spot = Spot { place: *place, file: file.to_vec() };
                    if !at.contains(&spot) {
                        at.push(spot);
                    }
                }
            })?;
        }
        let after = stamps()?;
        if before == after || look == LOOKS {
            return Ok(spots);
        }
        before = after;
    }
    unreachable!("the last look returns")
}
