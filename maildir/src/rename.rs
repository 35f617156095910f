//! Renames that never replace, also where the file system cannot promise it.

use std::io;

use smd_protocol::seeded;

use crate::fs::{Fs, Rename};

/// Whether an error says that this file system does not know a flag of `renameat2`.
pub(crate) fn is_unsupported(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// Renames to a name that must be free; `AlreadyExists` otherwise. Without `RENAME_NOREPLACE` it links, which does
/// not replace either, and then unlinks; a crash between the two leaves both names of one inode, which is one
/// message to a scan.
pub(crate) fn rename_free<F: Fs>(fs: &F, from: &F::Dir, old: &[u8], to: &F::Dir, new: &[u8]) -> io::Result<()> {
    let how = if seeded::is("renames-over") { Rename::Replace } else { Rename::NoReplace };
    match fs.rename(from, old, to, new, how) {
        Err(e) if is_unsupported(&e) => {
            fs.link(from, old, to, new)?;
            fs.unlink(from, old)
        }
        other => other,
    }
}
