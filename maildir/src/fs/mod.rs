//! The one narrow seam to a file system.
//!
//! Scan, apply, store and commit are written against [`Fs`] alone, so that the same code runs on the disk
//! ([`Disk`]) and on a file system in memory that forgets what was not synced or fails the k-th call.
//! Every name is one directory entry relative to a held directory; no call takes a path but
//! [`Fs::open_root`], whose path an operator named.
//!
//! Deliberately not here: any decision. A call does one thing and reports the errno that it met.

use std::io;
use std::path::{Path, PathBuf};

use smd_protocol::delta::Mtime;

mod disk;
mod held;

pub use disk::Disk;
pub use held::Held;

/// What a directory entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link; never followed below a root.
    Symlink,
    /// A FIFO, socket or device.
    Other,
    /// `readdir` did not say (`DT_UNKNOWN`): ask [`Fs::stat`].
    Unknown,
}

/// What `statx` says of a file or directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// What it is; never `Unknown`.
    pub kind: Kind,
    /// Device of the file system.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Hard links.
    pub links: u64,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Last change of the contents.
    pub mtime: Mtime,
    /// Last change of contents or inode.
    pub ctime: Mtime,
    /// When the inode was made; none where the file system does not say.
    pub btime: Option<Mtime>,
    /// Whether the entry is where another file system is mounted.
    pub mount_root: bool,
}

/// What may stand in the way of a rename.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rename {
    /// The target must be free (`RENAME_NOREPLACE`); `EEXIST` otherwise.
    NoReplace,
    /// Both names exist and swap (`RENAME_EXCHANGE`).
    Exchange,
    /// The target is replaced. For state files only, never for mail.
    Replace,
}

/// What is known of a file system's habits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Habits {
    /// Directory stamps move with every change of an entry and `syncfs` keeps everything written before it
    /// (ext2/3/4, xfs, btrfs, f2fs, zfs, bcachefs, tmpfs, overlayfs). Otherwise names are always listed
    /// and files are synced one by one.
    pub trusted: bool,
}

/// How much space a file system has, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// In all, used and free.
    pub all: u64,
    /// What this process may still write. Others write there too, and a quota of the system may allow less.
    pub free: u64,
}

/// The boot that a system is in, and how long it has lasted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Boot {
    /// Tells it from every other boot; printable, without a space.
    pub id: String,
    /// Seconds since it began, those asleep among them; nobody can set them.
    pub seconds: i64,
}

/// A file system, by held directories. See the module's text.
pub trait Fs: Send + Sync + 'static {
    /// A held directory. Cloning shares the descriptor.
    type Dir: Clone + Send + Sync;
    /// An open regular file.
    type File: io::Read + io::Write + Send;

    /// Opens a directory that an operator named; symlinks on the way are followed.
    fn open_root(&self, path: &Path) -> io::Result<Self::Dir>;
    /// Opens a directory below a held one; a symlink is `ELOOP` or `ENOTDIR`.
    fn open_dir(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::Dir>;
    /// Opens a directory below a held one which the operator may have moved elsewhere: a symlink of this name is followed. One
    /// that leads nowhere (to a disk that is not mounted) is an error, and never `NotFound`.
    fn open_moved(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::Dir> {
        self.open_dir(at, name)
    }
    /// Makes a directory (mode 0700).
    fn make_dir(&self, at: &Self::Dir, name: &[u8]) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, at: &Self::Dir, name: &[u8]) -> io::Result<()>;
    /// Lists a directory from its start without `.` and `..`: name, kind, inode. An error in the middle is
    /// an error of the whole: what was given before it proves nothing.
    fn list(&self, dir: &Self::Dir, each: &mut dyn FnMut(&[u8], Kind, u64)) -> io::Result<()>;
    /// Looks at a held directory.
    fn stat_dir(&self, dir: &Self::Dir) -> io::Result<Stat>;
    /// Looks at an entry; a symlink is looked at itself.
    fn stat(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Stat>;
    /// What a symlink leads to, which is told to a person and never entered. None where that cannot be asked; an error where it
    /// leads nowhere.
    fn follow(&self, _at: &Self::Dir, _name: &[u8]) -> io::Result<Option<Kind>> {
        Ok(None)
    }
    /// Opens for reading what must be a regular file (`O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC`); anything else is an
    /// error of kind `InvalidInput` or the errno that the system gives.
    fn open(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::File>;
    /// Creates a file that was not there (`O_EXCL`, mode 0600) for writing.
    fn create(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::File>;
    /// Opens an existing regular file for appending (state files only).
    fn append(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::File>;
    /// Cuts a file to this length (state files only).
    fn truncate(&self, file: &Self::File, size: u64) -> io::Result<()>;
    /// Looks at an open file.
    fn stat_file(&self, file: &Self::File) -> io::Result<Stat>;
    /// Sets an open file's mtime (and its atime to the same).
    fn set_mtime(&self, file: &Self::File, mtime: Mtime) -> io::Result<()>;
    /// Sets an open file's permission bits.
    fn set_mode(&self, file: &Self::File, mode: u32) -> io::Result<()>;
    /// Renames within or between held directories of one file system.
    fn rename(&self, from: &Self::Dir, old: &[u8], to: &Self::Dir, new: &[u8], how: Rename) -> io::Result<()>;
    /// Gives a file a second name; `EEXIST` when it is taken.
    fn link(&self, from: &Self::Dir, old: &[u8], to: &Self::Dir, new: &[u8]) -> io::Result<()>;
    /// Removes a name of a file that is not a directory.
    fn unlink(&self, at: &Self::Dir, name: &[u8]) -> io::Result<()>;
    /// Makes a file's bytes and inode durable.
    fn sync_file(&self, file: &Self::File) -> io::Result<()>;
    /// Makes a directory's entries durable.
    fn sync_dir(&self, dir: &Self::Dir) -> io::Result<()>;
    /// Makes everything on the directory's file system durable.
    fn sync_fs(&self, dir: &Self::Dir) -> io::Result<()>;
    /// Tells what may be relied on where this directory lies.
    fn habits(&self, dir: &Self::Dir) -> io::Result<Habits>;
    /// How much space the file system of this directory has; none where it does not say.
    fn space(&self, _dir: &Self::Dir) -> io::Result<Option<Space>> {
        Ok(None)
    }
    /// Whether names in a held directory may be changed by this process; an error says why not.
    fn may_write(&self, _dir: &Self::Dir) -> io::Result<()> {
        Ok(())
    }
    /// Whether it is worth trying what a directory's file system can do, by files of our own in it.
    fn may_lack(&self, _dir: &Self::Dir) -> bool {
        false
    }
    /// Takes an exclusive lock on a held directory that ends with the given guard or the process; gives none when another holds it.
    fn try_lock(&self, dir: &Self::Dir) -> io::Result<Option<Self::Dir>>;
    /// A path by which the system's own watches reach this very directory, as long as it is held; none where there are none.
    fn watchable(&self, _dir: &Self::Dir) -> Option<PathBuf> {
        None
    }
    /// The time by which this file system stamps, as near as can be told.
    fn now(&self) -> Mtime;
    /// The boot that the system is in; none where it does not say.
    fn boot(&self) -> Option<Boot> {
        None
    }
    /// Waits for so many milliseconds, so that stamps made before are clearly older than the next look.
    fn pause(&self, ms: u64);
}
