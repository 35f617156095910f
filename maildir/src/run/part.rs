//! A root that is no whole Maildir but a part of one: its `cur`, `new` or `tmp`, or something in one of these. There a look
//! would find no folder, and say that there is nothing to do.
//!
//! Deliberately not here: roots inside one another, and our own state (`smd-server`, and the client's config).

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use smd_protocol::names::printable;

use super::{RootRun, RunError};
use crate::fs::{Fs, Kind};
use crate::root::if_there;

/// What a Maildir is made of.
const PARTS: [&[u8]; 3] = [b"cur", b"new", b"tmp"];
/// So far up a root is looked for in a Maildir.
const LEVELS: usize = 64;

impl<F: Fs> RootRun<F> {
    /// Refuses a root that is a part of a Maildir, whatever it is called on the way to it; `dir` is the root, if it is there.
    ///
    /// # Errors
    /// A sentence with the path to name instead.
    pub(super) fn refuse_part(&self, dir: Option<&F::Dir>) -> Result<(), RunError> {
        let found = match dir {
            Some(dir) => part_above(&*self.fs, dir),
            None => self.would_be_part(),
        };
        // What cannot be looked at above a root is no fault of the root.
        let Ok(Some((part, up))) = found else { return Ok(()) };
        let text = match whole(&self.path, part, up) {
            Some(whole) => format!("name {} instead", printable(whole.as_os_str().as_bytes())),
            None => "name the Maildir itself".to_owned(),
        };
        let path = printable(self.path.as_os_str().as_bytes());
        let is = if up == 1 { "is" } else { "lies in" };
        Err(RunError::Part(format!("{path} {is} the {} of a Maildir; {text}", printable(part))))
    }

    /// Whether a root that is not there would be made as a part of a Maildir.
    fn would_be_part(&self) -> io::Result<Option<(&'static [u8], usize)>> {
        let name = self.path.file_name().map(OsStrExt::as_bytes);
        let Some(part) = PARTS.into_iter().find(|part| Some(*part) == name) else { return Ok(None) };
        let Some(parent) = self.path.parent() else { return Ok(None) };
        let at = self.fs.open_root(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
        Ok((others(&*self.fs, &at, part)? > 0).then_some((part, 1)))
    }
}

/// Looks for a Maildir of which this directory is a part. Gives the part, and how many levels up the Maildir is.
fn part_above<F: Fs>(fs: &F, dir: &F::Dir) -> io::Result<Option<(&'static [u8], usize)>> {
    let mut here = dir.clone();
    for up in 1..=LEVELS {
        let Some(above) = fs.parent(&here)? else { return Ok(None) };
        let (own, at) = (fs.stat_dir(&here)?, fs.stat_dir(&above)?);
        if (own.dev, own.ino) == (at.dev, at.ino) {
            return Ok(None);
        }
        // A whole Maildir may be called so too.
        if up == 1 && is_folder(fs, &here)? {
            return Ok(None);
        }
        for part in PARTS {
            let Some(stat) = if_there(fs.stat(&above, part))? else { continue };
            if (stat.dev, stat.ino) != (own.dev, own.ino) {
                continue;
            }
            // Further up a name alone says little: the home of somebody called so, beside that of another.
            let beside = others(fs, &above, part)?;
            // What packs files and no empty directories leaves a part alone.
            if beside >= if up == 1 { 1 } else { PARTS.len() - 1 } || up == 1 && has_mail(fs, &here)? {
                return Ok(Some((part, up)));
            }
        }
        here = above;
    }
    Ok(None)
}

/// How many parts of a Maildir a directory holds beside this one.
fn others<F: Fs>(fs: &F, dir: &F::Dir, part: &[u8]) -> io::Result<usize> {
    let mut count = 0;
    for other in PARTS.into_iter().filter(|other| *other != part) {
        count += usize::from(has_dir(fs, dir, other)?);
    }
    Ok(count)
}

/// Whether a file lies here whose name is that of a message: it begins with a time, or has its flags.
fn has_mail<F: Fs>(fs: &F, dir: &F::Dir) -> io::Result<bool> {
    let mut found = false;
    fs.list(dir, &mut |name, kind, _| {
        let named = name.first().is_some_and(u8::is_ascii_digit) || name.windows(3).any(|part| part == b":2,");
        found |= named && matches!(kind, Kind::File | Kind::Unknown);
    })?;
    Ok(found)
}

fn is_folder<F: Fs>(fs: &F, dir: &F::Dir) -> io::Result<bool> {
    Ok(has_dir(fs, dir, b"cur")? || has_dir(fs, dir, b"new")?)
}

fn has_dir<F: Fs>(fs: &F, dir: &F::Dir, name: &[u8]) -> io::Result<bool> {
    Ok(if_there(fs.stat(dir, name))?.is_some_and(|stat| stat.kind == Kind::Dir))
}

/// The path of the Maildir, as it was written; none where the path says otherwise, since a symlink leads there.
fn whole(path: &Path, part: &[u8], up: usize) -> Option<PathBuf> {
    let below = path.ancestors().nth(up - 1)?;
    (below.file_name()?.as_bytes() == part).then(|| below.parent().map(Path::to_path_buf)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Disk;

    #[test]
    fn a_part_of_a_maildir_is_told_from_a_maildir_that_is_called_so() {
        let temp = tempfile::tempdir().expect("temp");
        let at = |path: &str| temp.path().join(path);
        for path in ["M/cur/sub", "M/new", "M/tmp", "M/.Sub/cur", "box/new/cur", "box/tmp", "home/cur/M", "home/new"] {
            std::fs::create_dir_all(at(path)).expect("makes");
        }
        std::os::unix::fs::symlink(at("M/cur"), at("link")).expect("links");
        for path in ["alone/cur", "bare/new", "flagged/new"] {
            std::fs::create_dir_all(at(path)).expect("makes");
        }
        std::fs::write(at("alone/cur/1700000000.x"), "x").expect("writes");
        std::fs::write(at("flagged/new/x:2,S"), "x").expect("writes");
        let found = |path: &str| {
            let dir = Disk.open_root(&at(path)).expect("opens");
            let found = part_above(&Disk, &dir).expect("looks");
            found.map(|(part, up)| (String::from_utf8_lossy(part).into_owned(), whole(&at(path), part, up)))
        };
        for (path, part) in [("M/cur", "cur"), ("M/new", "new"), ("M/tmp", "tmp"), ("M/cur/sub", "cur")] {
            assert_eq!(found(path), Some((part.to_owned(), Some(at("M")))), "{path}");
        }
        assert_eq!(found("alone/cur"), Some(("cur".to_owned(), Some(at("alone")))));
        assert_eq!(found("flagged/new"), Some(("new".to_owned(), Some(at("flagged")))));
        assert_eq!(found("link"), Some(("cur".to_owned(), None)));
        for path in ["M", "M/.Sub", "box/new", "home/cur/M", "home", "bare/new"] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
