//! State files, read and replaced as a whole.

use std::io::{self, Read, Write};

use smd_protocol::seeded;

use crate::fs::{Fs, Rename};
use crate::root::if_there;

/// Writes a state file beside the old one and puts it in its place, durably. A crash leaves the old file
/// or the new one, and perhaps a `NAME.new`, which the next call removes. The caller holds a lock.
///
/// # Errors
/// As the system says; the old file then stands, unless only the last sync of the directory failed.
pub fn replace_file<F: Fs>(fs: &F, dir: &F::Dir, name: &[u8], parts: &[&[u8]]) -> io::Result<()> {
    write_beside(fs, dir, name, parts)?;
    put_in_place(fs, dir, name)
}

/// The first half of [`replace_file`]: writes `NAME.new` and syncs it. An error leaves the old file untouched.
///
/// # Errors
/// As the system says.
pub fn write_beside<F: Fs>(fs: &F, dir: &F::Dir, name: &[u8], parts: &[&[u8]]) -> io::Result<()> {
    let beside = [name, b".new"].concat();
    if_there(fs.unlink(dir, &beside))?;
    let mut file = fs.create(dir, &beside)?;
    let written = parts.iter().try_for_each(|part| file.write_all(part)).and_then(|()| file.flush());
    let written = written.and_then(|()| if seeded::is("state-is-not-synced") { Ok(()) } else { fs.sync_file(&file) });
    if written.is_err() {
        // A full disk gets its space back at once; when not even that works the next call removes it.
        let _ = fs.unlink(dir, &beside);
    }
    written
}

/// The second half of [`replace_file`]: renames `NAME.new` to its place, durably.
///
/// # Errors
/// As the system says; either file may then be found there.
pub fn put_in_place<F: Fs>(fs: &F, dir: &F::Dir, name: &[u8]) -> io::Result<()> {
    let beside = [name, b".new"].concat();
    fs.rename(dir, &beside, dir, name, Rename::Replace)?;
    fs.sync_dir(dir)
}

/// Reads a state file of at most `max` bytes; none when there is none.
///
/// # Errors
/// As the system says; `FileTooLarge` when it is larger.
pub fn read_file<F: Fs>(fs: &F, dir: &F::Dir, name: &[u8], max: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = if_there(fs.open(dir, name))? else { return Ok(None) };
    let size = fs.stat_file(&file)?.size;
    if size > max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
    file.take(max).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
