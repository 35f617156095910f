//! Directories that a session may touch, each with what may be done in it and below.
//!
//! Deliberately not here: how the system is told (`landlock`).

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, open, openat, statat};

/// What may be done in a directory and below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    /// To list it and to read files.
    Read,
    /// That, and to make, change, move and remove files and directories.
    Write,
    /// To make directories, and nothing else: what is made cannot be entered.
    MakeDir,
}

impl Right {
    fn covers(self, other: Self) -> bool {
        self == other || (self, other) == (Self::Write, Self::Read)
    }
}

/// A directory, held: as long as it is, no other one has its identity.
#[derive(Debug)]
pub struct Ground {
    pub(super) dir: OwnedFd,
    pub(super) right: Right,
    id: (u64, u64),
}

/// All that a session may touch.
#[derive(Debug, Default)]
pub struct Grounds(Vec<Ground>);

impl Grounds {
    /// Adds a directory, to which the path may lead through symlinks.
    ///
    /// # Errors
    /// When there is none.
    pub fn add(&mut self, path: &Path, right: Right) -> io::Result<()> {
        self.hold(open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?, right)
    }

    /// Adds the directory to which a symlink of this name leads, if it is one: below the directory it is a ground already.
    pub(super) fn add_linked(&mut self, at: &Path, name: &str, right: Right) {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(at) = open(at, flags, Mode::empty()) else { return };
        let is_link = statat(&at, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Symlink);
        if is_link && let Ok(dir) = openat(&at, name, flags, Mode::empty()) {
            // What cannot be held cannot be used, and whoever needs it says so.
            let _ = self.hold(dir, right);
        }
    }

    /// Adds a directory that is open.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn hold(&mut self, dir: OwnedFd, right: Right) -> io::Result<()> {
        let stat = statat(&dir, c"", AtFlags::EMPTY_PATH)?;
        self.0.push(Ground { dir, right, id: (stat.st_dev, stat.st_ino) });
        Ok(())
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Ground> {
        self.0.iter()
    }

    /// Whether whoever may touch these may do all that is wanted.
    pub fn cover(&self, wanted: &Self) -> bool {
        let covered =
            |wanted: &Ground| self.0.iter().any(|held| held.id == wanted.id && held.right.covers(wanted.right));
        wanted.0.iter().all(covered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_directory_at_the_same_path_is_not_covered() {
        let temp = tempfile::tempdir().expect("temp");
        let path = temp.path().join("a");
        let of = |rights: &[Right]| {
            let mut grounds = Grounds::default();
            rights.iter().for_each(|right| grounds.add(&path, *right).expect("it is there"));
            grounds
        };
        std::fs::create_dir(&path).expect("makes");
        let held = of(&[Right::Write]);
        assert!(held.cover(&of(&[Right::Write])) && held.cover(&of(&[Right::Read])) && held.cover(&of(&[])));
        assert!(!held.cover(&of(&[Right::MakeDir])));
        assert!(!of(&[Right::Read]).cover(&of(&[Right::Write])));
        assert!(!of(&[Right::MakeDir]).cover(&of(&[Right::Read])));
        // A file system gives a number anew as soon as nobody has it, which the held directory prevents.
        for _ in 0..20 {
            std::fs::remove_dir(&path).expect("removes");
            std::fs::create_dir(&path).expect("makes");
            assert!(!held.cover(&of(&[Right::Read])));
        }
    }
}
