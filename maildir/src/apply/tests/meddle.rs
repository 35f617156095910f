//! A disk on which a test acts between two calls: other people's edits, and errors that this disk does not give.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use smd_protocol::delta::Mtime;

use crate::fs::{Disk, Fs, Habits, Kind, Rename, Stat};

/// Called before a rename with its old and new name; an error stands for the rename.
type Meddler = Box<dyn FnMut(&[u8], &[u8], Rename) -> io::Result<()> + Send>;

/// Called after a link was made, with its old and new name.
type Onlooker = Box<dyn FnMut(&[u8], &[u8]) + Send>;

/// [`Disk`], with somebody else at work.
pub(super) struct Meddling {
    pub(super) before_rename: Mutex<Option<Meddler>>,
    pub(super) after_link: Mutex<Option<Onlooker>>,
    /// Every sync of a file or file system fails.
    pub(super) sync_fails: Mutex<bool>,
    /// The next sync of a file or file system fails, and no other.
    pub(super) one_sync_fails: Mutex<bool>,
    /// The directory with this inode cannot be synced.
    pub(super) unsyncable: Mutex<Option<u64>>,
    /// Files whose names end so cannot be opened.
    pub(super) unreadable: Mutex<Option<&'static [u8]>>,
    /// This name is listed as that one.
    pub(super) listed_as: Mutex<Option<(Vec<u8>, Vec<u8>)>>,
    /// There are no hard links, and no renames but those that replace.
    pub(super) replaces_only: Mutex<bool>,
    /// So many bytes are left on the disk.
    pub(super) space: std::sync::Arc<Mutex<Option<usize>>>,
    /// Names listed and directories opened so far.
    pub(super) work: AtomicU64,
}

impl Meddling {
    pub(super) fn new() -> Self {
        Self {
            before_rename: Mutex::default(),
            after_link: Mutex::default(),
            sync_fails: Mutex::new(false),
            one_sync_fails: Mutex::new(false),
            unsyncable: Mutex::new(None),
            unreadable: Mutex::default(),
            listed_as: Mutex::default(),
            replaces_only: Mutex::new(false),
            space: std::sync::Arc::default(),
            work: AtomicU64::new(0),
        }
    }

    fn synced(&self) -> io::Result<()> {
        let once = std::mem::take(&mut *self.one_sync_fails.lock().expect("unpoisoned"));
        if once || *self.sync_fails.lock().expect("unpoisoned") { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }
}

/// A file on a disk that may be full.
pub(super) struct MeddledFile {
    file: <Disk as Fs>::File,
    space: std::sync::Arc<Mutex<Option<usize>>>,
}

impl io::Read for MeddledFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf)
    }
}

impl io::Write for MeddledFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut space = self.space.lock().expect("unpoisoned");
        let take = match &mut *space {
            None => buf.len(),
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => {
                let take = buf.len().min(*left);
                *left -= take;
                take
            }
        };
        self.file.write(&buf[..take])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Fs for Meddling {
    type Dir = <Disk as Fs>::Dir;
    type File = MeddledFile;

    fn open_root(&self, path: &Path) -> io::Result<Self::Dir> {
        Disk.open_root(path)
    }
    fn open_dir(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::Dir> {
        self.work.fetch_add(1, Ordering::Relaxed);
        Disk.open_dir(at, name)
    }
    fn open_moved(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::Dir> {
        Disk.open_moved(at, name)
    }
    fn make_dir(&self, at: &Self::Dir, name: &[u8]) -> io::Result<()> {
        Disk.make_dir(at, name)
    }
    fn remove_dir(&self, at: &Self::Dir, name: &[u8]) -> io::Result<()> {
        Disk.remove_dir(at, name)
    }
    fn list(&self, dir: &Self::Dir, each: &mut dyn FnMut(&[u8], Kind, u64)) -> io::Result<()> {
        let listed_as = self.listed_as.lock().expect("unpoisoned").clone();
        Disk.list(dir, &mut |name, kind, ino| {
            self.work.fetch_add(1, Ordering::Relaxed);
            match &listed_as {
                Some((real, shown)) if real == name => each(shown, kind, ino),
                _ => each(name, kind, ino),
            }
        })
    }
    fn stat_dir(&self, dir: &Self::Dir) -> io::Result<Stat> {
        Disk.stat_dir(dir)
    }
    fn stat(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Stat> {
        Disk.stat(at, name)
    }
    fn open(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::File> {
        if self.unreadable.lock().expect("unpoisoned").is_some_and(|end| name.ends_with(end)) {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(MeddledFile { file: Disk.open(at, name)?, space: self.space.clone() })
    }
    fn create(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::File> {
        Ok(MeddledFile { file: Disk.create(at, name)?, space: self.space.clone() })
    }
    fn append(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::File> {
        Ok(MeddledFile { file: Disk.append(at, name)?, space: self.space.clone() })
    }
    fn truncate(&self, file: &Self::File, size: u64) -> io::Result<()> {
        Disk.truncate(&file.file, size)
    }
    fn stat_file(&self, file: &Self::File) -> io::Result<Stat> {
        Disk.stat_file(&file.file)
    }
    fn set_mtime(&self, file: &Self::File, mtime: Mtime) -> io::Result<()> {
        Disk.set_mtime(&file.file, mtime)
    }
    fn set_mode(&self, file: &Self::File, mode: u32) -> io::Result<()> {
        Disk.set_mode(&file.file, mode)
    }
    fn rename(&self, from: &Self::Dir, old: &[u8], to: &Self::Dir, new: &[u8], how: Rename) -> io::Result<()> {
        if how != Rename::Replace && *self.replaces_only.lock().expect("unpoisoned") {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Taken out while it is called, so that what it does is not meddled with.
        let meddler = self.before_rename.lock().expect("unpoisoned").take();
        if let Some(mut meddler) = meddler {
            let result = meddler(old, new, how);
            self.before_rename.lock().expect("unpoisoned").get_or_insert(meddler);
            result?;
        }
        Disk.rename(from, old, to, new, how)
    }
    fn link(&self, from: &Self::Dir, old: &[u8], to: &Self::Dir, new: &[u8]) -> io::Result<()> {
        if *self.replaces_only.lock().expect("unpoisoned") {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Disk.link(from, old, to, new)?;
        if let Some(onlooker) = &mut *self.after_link.lock().expect("unpoisoned") {
            onlooker(old, new);
        }
        Ok(())
    }
    fn unlink(&self, at: &Self::Dir, name: &[u8]) -> io::Result<()> {
        // Each file that goes makes some room again.
        if let Some(space) = &mut *self.space.lock().expect("unpoisoned") {
            *space += 1 << 20;
        }
        Disk.unlink(at, name)
    }
    fn sync_file(&self, file: &Self::File) -> io::Result<()> {
        self.synced()?;
        Disk.sync_file(&file.file)
    }
    fn sync_dir(&self, dir: &Self::Dir) -> io::Result<()> {
        if *self.unsyncable.lock().expect("unpoisoned") == Some(Disk.stat_dir(dir)?.ino) {
            return Err(io::Error::from_raw_os_error(5));
        }
        Disk.sync_dir(dir)
    }
    fn sync_fs(&self, dir: &Self::Dir) -> io::Result<()> {
        self.synced()?;
        // The test's disk is the developer's: syncing a few directories is enough for what is tested.
        Disk.sync_dir(dir)
    }
    fn habits(&self, dir: &Self::Dir) -> io::Result<Habits> {
        Disk.habits(dir)
    }
    fn try_lock(&self, dir: &Self::Dir) -> io::Result<Option<Self::Dir>> {
        Disk.try_lock(dir)
    }
    fn now(&self) -> Mtime {
        Disk.now()
    }
    fn pause(&self, ms: u64) {
        Disk.pause(ms);
    }
}
