//! Which directories of a root are watched: all that a look would walk, each with its `cur` and `new`.
//!
//! Directories are named to the system by their held descriptors, so that no symlink is ever followed: a watch is on the
//! very directory that was walked to.
//!
//! Deliberately not here: `tmp` and the grave, in which nothing happens that a look would find.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::inotify;
use rustix::io::Errno;
use smd_protocol::Folder;
use smd_protocol::names::GRAVE_DIR;

use super::events::Watched;
use crate::error::Trouble;
use crate::exclude::Excludes;
use crate::fs::{Fs, Kind};
use crate::root::{Root, if_there};

/// A root to be watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ground {
    /// Where it is on this host.
    pub path: PathBuf,
    /// Folders that are left alone.
    pub excludes: Excludes,
    /// Directories that are never walked, by device and inode: our own state, when it lies in the root.
    pub skip_dirs: Vec<(u64, u64)>,
}

impl Ground {
    /// Which directory it is now; none when there is none.
    pub(super) fn identity<F: Fs>(&self, fs: &F) -> Option<(u64, u64)> {
        let stat = fs.stat_dir(&fs.open_root(&self.path).ok()?).ok()?;
        Some((stat.dev, stat.ino))
    }
}

/// The end of all watching: the system gives no more watches.
struct Limit;

struct Cover<'a, F: Fs> {
    root: Root<F>,
    ground: &'a Ground,
    inotify: &'a OwnedFd,
    watched: &'a mut HashMap<i32, Watched>,
    seen: &'a mut HashSet<i32>,
    troubles: &'a mut Vec<Trouble>,
}

/// Watches all directories of these roots, and no others any more. Gives what is not watched, and why.
pub(super) fn cover<F: Fs>(
    fs: &Arc<F>,
    grounds: &[Ground],
    inotify: &OwnedFd,
    watched: &mut HashMap<i32, Watched>,
) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let mut seen = HashSet::new();
    for ground in grounds {
        let shown = || ground.path.as_os_str().as_bytes().to_vec();
        let root = match Root::open(fs.clone(), &ground.path) {
            Ok(root) => root,
            Err(error) => {
                troubles.push(Trouble { path: shown(), text: format!("cannot be watched: {error}") });
                continue;
            }
        };
        let dir = root.dir.clone();
        let (seen, troubles) = (&mut seen, &mut troubles);
        let mut cover = Cover { root, ground, inotify, watched: &mut *watched, seen, troubles };
        if let Err(Limit) = cover.dir(&dir, &Folder::root(), None) {
            let text =
                "is not watched as a whole: this user may set no more watches; raise fs.inotify.max_user_watches";
            troubles.push(Trouble { path: shown(), text: text.to_owned() });
            break;
        }
    }
    watched.retain(|wd, _| {
        let keep = seen.contains(wd);
        if !keep {
            // It may have gone by itself.
            let _ = inotify::remove_watch(inotify, *wd);
        }
        keep
    });
    troubles
}

impl<F: Fs> Cover<'_, F> {
    /// Watches a directory and all below it. What cannot be looked at is told of.
    fn dir(&mut self, dir: &F::Dir, folder: &Folder, above: Option<u64>) -> Result<(), Limit> {
        match self.try_dir(dir, folder, above) {
            Ok(()) => Ok(()),
            Err(error) if is_limit(&error) => Err(Limit),
            Err(error) => {
                self.trouble(folder, format!("cannot be watched: {error}"));
                Ok(())
            }
        }
    }

    fn try_dir(&mut self, dir: &F::Dir, folder: &Folder, above: Option<u64>) -> io::Result<()> {
        let fs = self.root.fs.clone();
        let stat = fs.stat_dir(dir)?;
        if self.ground.skip_dirs.contains(&(stat.dev, stat.ino)) {
            return Ok(());
        }
        if above != Some(stat.dev) && !fs.habits(dir)?.trusted {
            self.trouble(folder, "lies on a file system that may not tell what others change in it".to_owned());
        }
        // Watched before it is listed: what comes in between is met twice rather than never.
        self.watch(dir, Watched::Own)?;
        let left_alone = self.ground.excludes.excludes_alone(folder);
        for place in [&b"new"[..], b"cur"].into_iter().filter(|_| !left_alone) {
            match fs.open_dir(dir, place) {
                Ok(place) => self.watch(&place, Watched::Place)?,
                // No directory is no place; a look tells of it.
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(e) if Errno::from_io_error(&e) == Some(Errno::LOOP) => {}
                Err(e) => return Err(e),
            }
        }
        let mut children = Vec::new();
        fs.list(dir, &mut |name, kind, _| {
            let other = matches!(name, b"cur" | b"new" | b"tmp") || name == GRAVE_DIR;
            if !other && matches!(kind, Kind::Dir | Kind::Unknown) {
                children.push(name.to_vec());
            }
        })?;
        for name in children {
            // Neither is looked at by a scan.
            let Ok(child) = folder.child(&name) else { continue };
            if self.ground.excludes.prunes(&child) {
                continue;
            }
            match fs.open_dir(dir, &name) {
                Ok(below) => match self.dir(&below, &child, Some(stat.dev)) {
                    Ok(()) => {}
                    Err(Limit) => return Err(Errno::NOSPC.into()),
                },
                Err(error) => {
                    let dir = matches!(if_there(fs.stat(dir, &name)), Ok(Some(stat)) if stat.kind == Kind::Dir);
                    // As in a scan: every new ext file system has one that only root may read.
                    if dir && name != b"lost+found" {
                        self.trouble(&child, format!("cannot be watched: {error}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn watch(&mut self, dir: &F::Dir, what: Watched) -> io::Result<()> {
        let Some(path) = self.root.fs.watchable(dir) else { return Err(io::ErrorKind::Unsupported.into()) };
        let wd = inotify::add_watch(self.inotify, &path, what.flags())?;
        self.watched.insert(wd, what);
        self.seen.insert(wd);
        Ok(())
    }

    fn trouble(&mut self, folder: &Folder, text: String) {
        self.troubles.push(Trouble { path: self.root.shown(folder, b""), text });
    }
}

fn is_limit(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NOSPC)
}
