//! A disk of which no directory can be opened by its path but those that were held before.
//!
//! Whoever serves a key that is restricted opens roots and state by the operator's own paths first, and from then on works with
//! this: whatever a peer says, no path reaches the system. A path is looked up here and compared, and that is all.
//!
//! Deliberately not here: which directories are held.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{CWD, statat};
use smd_protocol::delta::Mtime;
use smd_protocol::seeded;

use super::{Boot, Disk, Fs, Habits, Kind, Rename, Space, Stat};

type Dir = <Disk as Fs>::Dir;
type File = <Disk as Fs>::File;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Held {
    dirs: Mutex<HashMap<PathBuf, Dir>>,
}

impl Held {
    /// Opens a directory by its path, through symlinks, and holds it as what [`Fs::open_root`] gives for this path.
    ///
    /// # Errors
    /// As the system says.
    pub fn hold(&self, path: &Path) -> io::Result<Dir> {
        let dir = Disk.open_root(path)?;
        self.hold_as(path, dir.clone());
        Ok(dir)
    }

    /// Holds a directory that is open.
    pub fn hold_as(&self, path: &Path, dir: Dir) {
        self.dirs.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), dir);
    }
}

impl Held {
    /// All that is held, by its paths, each with a descriptor of its own.
    pub fn all(&self) -> Vec<(PathBuf, io::Result<OwnedFd>)> {
        let dirs = self.dirs.lock().unwrap_or_else(PoisonError::into_inner);
        dirs.iter().map(|(path, dir)| (path.clone(), dir.try_clone())).collect()
    }
}

impl Fs for Held {
    type Dir = Dir;
    type File = File;

    /// Only what is held, and only while it is what lies at its path: a disk that was mounted over it since is another root.
    /// Neither is ever `NotFound`, since that would be an absence.
    fn open_root(&self, path: &Path) -> io::Result<Dir> {
        let held = self.dirs.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if seeded::is("paths-are-opened-that-are-not-held") {
            return Disk.open_root(path);
        }
        let Some(dir) = held else {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "is not open to this key"));
        };
        let (then, now) = (Disk.stat_dir(&dir)?, statat(CWD, path, rustix::fs::AtFlags::empty()));
        match now {
            Ok(now) if (now.st_dev, now.st_ino) == (then.dev, then.ino) => Ok(dir),
            _ => Err(io::Error::other("is no longer the directory that it was when this session began")),
        }
    }

    fn open_dir(&self, at: &Dir, name: &[u8]) -> io::Result<Dir> {
        Disk.open_dir(at, name)
    }

    fn open_moved(&self, at: &Dir, name: &[u8]) -> io::Result<Dir> {
        Disk.open_moved(at, name)
    }

    fn make_dir(&self, at: &Dir, name: &[u8]) -> io::Result<()> {
        Disk.make_dir(at, name)
    }

    fn remove_dir(&self, at: &Dir, name: &[u8]) -> io::Result<()> {
        Disk.remove_dir(at, name)
    }

    fn list(&self, dir: &Dir, each: &mut dyn FnMut(&[u8], Kind, u64)) -> io::Result<()> {
        Disk.list(dir, each)
    }

    fn stat_dir(&self, dir: &Dir) -> io::Result<Stat> {
        Disk.stat_dir(dir)
    }

    fn stat(&self, at: &Dir, name: &[u8]) -> io::Result<Stat> {
        Disk.stat(at, name)
    }

    fn follow(&self, at: &Dir, name: &[u8]) -> io::Result<Option<Kind>> {
        Disk.follow(at, name)
    }

    fn open(&self, at: &Dir, name: &[u8]) -> io::Result<File> {
        Disk.open(at, name)
    }

    fn create(&self, at: &Dir, name: &[u8]) -> io::Result<File> {
        Disk.create(at, name)
    }

    fn append(&self, at: &Dir, name: &[u8]) -> io::Result<File> {
        Disk.append(at, name)
    }

    fn truncate(&self, file: &File, size: u64) -> io::Result<()> {
        Disk.truncate(file, size)
    }

    fn stat_file(&self, file: &File) -> io::Result<Stat> {
        Disk.stat_file(file)
    }

    fn set_mtime(&self, file: &File, mtime: Mtime) -> io::Result<()> {
        Disk.set_mtime(file, mtime)
    }

    fn set_mode(&self, file: &File, mode: u32) -> io::Result<()> {
        Disk.set_mode(file, mode)
    }

    fn rename(&self, from: &Dir, old: &[u8], to: &Dir, new: &[u8], how: Rename) -> io::Result<()> {
        Disk.rename(from, old, to, new, how)
    }

    fn link(&self, from: &Dir, old: &[u8], to: &Dir, new: &[u8]) -> io::Result<()> {
        Disk.link(from, old, to, new)
    }

    fn unlink(&self, at: &Dir, name: &[u8]) -> io::Result<()> {
        Disk.unlink(at, name)
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        Disk.sync_file(file)
    }

    fn sync_dir(&self, dir: &Dir) -> io::Result<()> {
        Disk.sync_dir(dir)
    }

    fn sync_fs(&self, dir: &Dir) -> io::Result<()> {
        Disk.sync_fs(dir)
    }

    fn habits(&self, dir: &Dir) -> io::Result<Habits> {
        Disk.habits(dir)
    }

    fn space(&self, dir: &Dir) -> io::Result<Option<Space>> {
        Disk.space(dir)
    }

    fn may_write(&self, dir: &Dir) -> io::Result<()> {
        Disk.may_write(dir)
    }

    fn may_lack(&self, dir: &Dir) -> bool {
        Disk.may_lack(dir)
    }

    fn try_lock(&self, dir: &Dir) -> io::Result<Option<Dir>> {
        Disk.try_lock(dir)
    }

    fn watchable(&self, dir: &Dir) -> Option<PathBuf> {
        Disk.watchable(dir)
    }

    fn now(&self) -> Mtime {
        Disk.now()
    }

    fn boot(&self) -> Option<Boot> {
        Disk.boot()
    }

    fn pause(&self, ms: u64) {
        Disk.pause(ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_held_can_be_opened_by_a_path_and_only_while_it_lies_there() {
        let temp = tempfile::tempdir().expect("temp");
        let at = |name: &str| temp.path().join(name);
        for name in ["a", "b", "real"] {
            std::fs::create_dir(at(name)).expect("makes");
        }
        std::os::unix::fs::symlink(at("real"), at("link")).expect("links");
        let held = Held::default();
        for name in ["a", "link"] {
            held.hold(&at(name)).expect("it is there");
            held.open_root(&at(name)).expect("it is held");
        }
        // Another spelling of a held directory is another path.
        for name in ["b", "real", "a/../a", "", "nowhere"] {
            let refused = held.open_root(&at(name));
            assert_eq!(refused.err().map(|error| error.kind()), Some(io::ErrorKind::PermissionDenied), "{name}");
        }
        std::fs::rename(at("a"), at("c")).expect("renames");
        std::fs::create_dir(at("a")).expect("makes");
        let other = held.open_root(&at("a")).expect_err("another directory");
        assert!(other.to_string().contains("no longer the directory"), "{other}");
        std::fs::remove_dir(at("a")).expect("removes");
        let gone = held.open_root(&at("a")).expect_err("gone");
        assert_ne!(gone.kind(), io::ErrorKind::NotFound);
    }
}
