//! The disk with a clock that can be put forward, counters, and a hand that reaches in while it is looked at.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use smd_protocol::delta::Mtime;

use crate::fs::{Disk, Fs, Habits, Kind, Rename, Stat};

type Hook = Box<dyn FnMut(usize) + Send>;

#[derive(Default)]
pub(super) struct Hooked {
    /// Seconds by which the clock is ahead, so that what was just made is old.
    pub(super) ahead: AtomicI64,
    pub(super) opened: AtomicUsize,
    pub(super) listed: AtomicUsize,
    pub(super) stated: AtomicUsize,
    /// Called in the middle of each listing, with how many there were before.
    pub(super) while_listing: Mutex<Option<Hook>>,
    /// Called before an open file is looked at: once before it is read, and once after.
    pub(super) while_reading: Mutex<Option<Hook>>,
    pub(super) looked: AtomicUsize,
    /// Names that fail with EIO when opened, as file or directory.
    pub(super) broken: Mutex<BTreeSet<Vec<u8>>>,
    /// Whether kinds are left out of listings.
    pub(super) no_kinds: Mutex<bool>,
    pub(super) untrusted: Mutex<bool>,
    /// Directories in which a file of this name lies cannot be listed.
    pub(super) unlistable: Mutex<Option<Vec<u8>>>,
}

impl Hooked {
    fn check(&self, name: &[u8]) -> io::Result<()> {
        if self.broken.lock().expect("lock").contains(name) { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }
}

impl Fs for Hooked {
    type Dir = <Disk as Fs>::Dir;
    type File = <Disk as Fs>::File;

    fn open_root(&self, path: &Path) -> io::Result<Self::Dir> {
        Disk.open_root(path)
    }
    fn open_dir(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::Dir> {
        self.check(name)?;
        Disk.open_dir(at, name)
    }
    fn make_dir(&self, at: &Self::Dir, name: &[u8]) -> io::Result<()> {
        Disk.make_dir(at, name)
    }
    fn remove_dir(&self, at: &Self::Dir, name: &[u8]) -> io::Result<()> {
        Disk.remove_dir(at, name)
    }
    fn list(&self, dir: &Self::Dir, each: &mut dyn FnMut(&[u8], Kind, u64)) -> io::Result<()> {
        let before = self.listed.fetch_add(1, Ordering::Relaxed);
        let no_kinds = *self.no_kinds.lock().expect("lock");
        let mut items = Vec::new();
        Disk.list(dir, &mut |name, kind, ino| {
            items.push((name.to_vec(), if no_kinds { Kind::Unknown } else { kind }, ino))
        })?;
        if let Some(with) = &*self.unlistable.lock().expect("lock")
            && items.iter().any(|(name, ..)| name == with)
        {
            return Err(io::Error::from_raw_os_error(5));
        }
        if let Some(hook) = &mut *self.while_listing.lock().expect("lock") {
            hook(before);
        }
        items.iter().for_each(|(name, kind, ino)| each(name, *kind, *ino));
        Ok(())
    }
    fn stat_dir(&self, dir: &Self::Dir) -> io::Result<Stat> {
        Disk.stat_dir(dir)
    }
    fn stat(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Stat> {
        self.stated.fetch_add(1, Ordering::Relaxed);
        Disk.stat(at, name)
    }
    fn follow(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Option<Kind>> {
        Disk.follow(at, name)
    }
    fn open(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::File> {
        self.check(name)?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        Disk.open(at, name)
    }
    fn create(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::File> {
        Disk.create(at, name)
    }
    fn append(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::File> {
        Disk.append(at, name)
    }
    fn truncate(&self, file: &Self::File, size: u64) -> io::Result<()> {
        Disk.truncate(file, size)
    }
    fn stat_file(&self, file: &Self::File) -> io::Result<Stat> {
        let before = self.looked.fetch_add(1, Ordering::Relaxed);
        if let Some(hook) = &mut *self.while_reading.lock().expect("lock") {
            hook(before);
        }
        Disk.stat_file(file)
    }
    fn set_mtime(&self, file: &Self::File, mtime: Mtime) -> io::Result<()> {
        Disk.set_mtime(file, mtime)
    }
    fn set_mode(&self, file: &Self::File, mode: u32) -> io::Result<()> {
        Disk.set_mode(file, mode)
    }
    fn rename(&self, from: &Self::Dir, old: &[u8], to: &Self::Dir, new: &[u8], how: Rename) -> io::Result<()> {
        Disk.rename(from, old, to, new, how)
    }
    fn link(&self, from: &Self::Dir, old: &[u8], to: &Self::Dir, new: &[u8]) -> io::Result<()> {
        Disk.link(from, old, to, new)
    }
    fn unlink(&self, at: &Self::Dir, name: &[u8]) -> io::Result<()> {
        Disk.unlink(at, name)
    }
    fn sync_file(&self, file: &Self::File) -> io::Result<()> {
        Disk.sync_file(file)
    }
    fn sync_dir(&self, dir: &Self::Dir) -> io::Result<()> {
        Disk.sync_dir(dir)
    }
    fn sync_fs(&self, dir: &Self::Dir) -> io::Result<()> {
        Disk.sync_fs(dir)
    }
    fn habits(&self, dir: &Self::Dir) -> io::Result<Habits> {
        if *self.untrusted.lock().expect("lock") {
            Ok(Habits { trusted: false })
        } else {
            Disk.habits(dir).map(|_| Habits { trusted: true })
        }
    }
    fn try_lock(&self, dir: &Self::Dir) -> io::Result<Option<Self::Dir>> {
        Disk.try_lock(dir)
    }
    fn now(&self) -> Mtime {
        let now = Disk.now();
        Mtime { sec: now.sec + self.ahead.load(Ordering::Relaxed), ..now }
    }
    fn pause(&self, ms: u64) {
        Disk.pause(ms);
    }
}
