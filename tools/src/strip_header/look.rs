//! Reads one message and says what would become of it. Nothing is written.
//!
//! Deliberately not here: which messages, and several at a time.

use std::io::{self, Read};

use smd_maildir::fs::{Disk, Fs as _, Stat};
use smd_maildir::hash::{ChangedWhileRead, PIECE, is_changed};
use smd_protocol::ContentHasher;
use smd_protocol::digest::Hashed;

use super::filter::{Filter, Names, Removed};

/// How often a file that changes while it is read is read.
const READS: usize = 3;

/// A message that has the field.
#[derive(Clone, Debug)]
pub struct Has {
    /// Its bytes.
    pub old: Hashed,
    /// Its bytes without the field.
    pub new: Hashed,
    /// What goes.
    pub removed: Removed,
    /// Its file.
    pub stat: Stat,
    /// Why it is left alone, if it is.
    pub odd: Option<&'static str>,
}

/// Looks at an open file; none when it has no such field.
///
/// # Errors
/// As the system says, and when it changes all the time.
pub fn look(
    open: impl Fn() -> io::Result<<Disk as smd_maildir::fs::Fs>::File>,
    names: &Names,
) -> io::Result<Option<Has>> {
    let mut tries = 1;
    loop {
        match look_once(&mut open()?, names) {
            Err(error) if is_changed(&error) && tries < READS => tries += 1,
            looked => return looked,
        }
    }
}

fn look_once(file: &mut <Disk as smd_maildir::fs::Fs>::File, names: &Names) -> io::Result<Option<Has>> {
    let before = Disk.stat_file(file)?;
    let (mut filter, mut old, mut new) = (Filter::new(names), ContentHasher::new(), ContentHasher::new());
    let mut has_none = false;
    pass(file, &mut filter, |filter, piece, stays| {
        // Most messages have none, and then only their header is read.
        has_none = filter.in_body() && filter.removed().fields == 0;
        old.update(piece);
        new.update(stays);
        !has_none
    })?;
    if has_none || filter.removed().fields == 0 {
        return Ok(None);
    }
    let (old, new, stat) = (old.finish(), new.finish(), Disk.stat_file(file)?);
    if (before.size, before.mtime) != (stat.size, stat.mtime) || old.size != stat.size {
        return Err(io::Error::other(ChangedWhileRead));
    }
    let odd = if filter.is_odd() {
        Some("has a lone CR in the field, so that its end is not known")
    } else if new.size == 0 {
        Some("has nothing but the field")
    } else {
        None
    };
    Ok(Some(Has { old, new, removed: filter.removed(), stat, odd }))
}

/// Reads a file to its end and hands on each piece, with what stays of it, for as long as `each` wants more.
///
/// # Errors
/// As the system says.
pub fn pass<'n>(
    file: &mut impl Read,
    filter: &mut Filter<'n>,
    mut each: impl FnMut(&Filter<'n>, &[u8], &[u8]) -> bool,
) -> io::Result<()> {
    let (mut buffer, mut stays) = (vec![0; PIECE], Vec::with_capacity(PIECE));
    loop {
        stays.clear();
        match file.read(&mut buffer) {
            Ok(0) => {
                filter.end(&mut stays);
                each(filter, &[], &stays);
                return Ok(());
            }
            Ok(got) => {
                filter.pass(&buffer[..got], &mut stays);
                if !each(filter, &buffer[..got], &stays) {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
