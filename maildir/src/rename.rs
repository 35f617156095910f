//! Renames that never replace, also where the file system cannot promise it.

use std::io;

use smd_protocol::seeded;

use crate::fs::{Fs, Rename};

/// Whether an error says that this file system does not know a flag of `renameat2`.
pub(crate) fn is_unsupported(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// What a file system lacks that can only rename over what is there.
pub(crate) const REPLACES: &str =
    "this file system cannot rename without replacing, and has no hard links; keep the Maildir on another one";
/// What a file system lacks that refuses the names of messages.
pub(crate) const NO_COLON: &str =
    "this file system takes no colon in a name, and messages have one; keep the Maildir on another one";

/// Whether an error of a link says that this file system has none. (Many say that it is not permitted.)
fn has_no_links(e: &io::Error) -> bool {
    is_unsupported(e) || e.kind() == io::ErrorKind::PermissionDenied
}

/// Tries in a directory, with a file of its own that goes again, what installing a message takes. Gives what is lacking; what
/// cannot be tried is not known to be.
pub(crate) fn lacking<F: Fs>(fs: &F, dir: &F::Dir) -> Option<&'static str> {
    let now = fs.now();
    let name = |end: &str| format!("..smd-try.{}-{}{end}", now.sec, now.nsec).into_bytes();
    let (plain, other, message) = (name(""), name(".new"), name(":2,S"));
    drop(fs.create(dir, &plain).ok()?);
    let found = match rename_free(fs, dir, &plain, dir, &other) {
        Err(e) if e.to_string() == REPLACES => Some(REPLACES),
        Err(_) => None,
        Ok(()) => match fs.create(dir, &message) {
            Err(e) if is_unsupported(&e) => Some(NO_COLON),
            _ => None,
        },
    };
    for file in [plain, other, message] {
        // What is not there was renamed, or never made.
        let _ = fs.unlink(dir, &file);
    }
    found
}

/// Renames to a name that must be free; `AlreadyExists` otherwise. Without `RENAME_NOREPLACE` it links, which does
/// not replace either, and then unlinks; a crash between the two leaves both names of one inode, which is one
/// message to a scan.
pub(crate) fn rename_free<F: Fs>(fs: &F, from: &F::Dir, old: &[u8], to: &F::Dir, new: &[u8]) -> io::Result<()> {
    let how = if seeded::is("renames-over") { Rename::Replace } else { Rename::NoReplace };
    match fs.rename(from, old, to, new, how) {
        Err(e) if is_unsupported(&e) => {
            fs.link(from, old, to, new).map_err(|e| if has_no_links(&e) { io::Error::other(REPLACES) } else { e })?;
            fs.unlink(from, old)
        }
        other => other,
    }
}
