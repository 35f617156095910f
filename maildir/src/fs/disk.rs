//! The file system of this machine, by `*at` calls on held descriptors.

use rustix::fs::{
    self, AtFlags, FileType, FlockOperation, Mode, OFlags, RawDir, RenameFlags, StatxAttributes, StatxFlags, Timespec,
    Timestamps,
};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use smd_protocol::delta::Mtime;
use smd_protocol::seeded;

use super::{Boot, Fs, Habits, Kind, Rename, Space, Stat};

/// The real thing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

/// An open regular file of the real file system.
#[derive(Debug)]
pub struct DiskFile(std::fs::File);

impl Read for DiskFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for DiskFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Magic numbers of file systems that keep the rules of [`Habits::trusted`] (statfs(2)).
const TRUSTED: [u64; 8] = [
    0xEF53,      // ext2/3/4
    0x5846_5342, // xfs
    0x9123_683E, // btrfs
    0xF2F5_2010, // f2fs
    0x2FC1_2FC1, // zfs
    0xCA45_1A4E, // bcachefs
    0x0102_1994, // tmpfs
    0x794C_7630, // overlayfs
];

fn mtime(stamp: fs::StatxTimestamp) -> Mtime {
    Mtime { sec: stamp.tv_sec, nsec: stamp.tv_nsec }
}

fn kind(mode: u16) -> Kind {
    match FileType::from_raw_mode(u32::from(mode)) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    }
}

fn statx(at: impl AsFd, name: &[u8], flags: AtFlags) -> io::Result<Stat> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let found = fs::statx(at, name, flags | AtFlags::SYMLINK_NOFOLLOW, wanted)?;
    Ok(Stat {
        kind: kind(found.stx_mode),
        dev: fs::makedev(found.stx_dev_major, found.stx_dev_minor),
        ino: found.stx_ino,
        links: u64::from(found.stx_nlink),
        size: found.stx_size,
        mode: u32::from(found.stx_mode) & 0o7777,
        mtime: mtime(found.stx_mtime),
        ctime: mtime(found.stx_ctime),
        btime: (found.stx_mask & StatxFlags::BTIME.bits() != 0).then(|| mtime(found.stx_btime)),
        mount_root: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
    })
}

/// What a time namespace adds to the boot clock: by this its clock is told from that of the host, which has the same id. Empty
/// where nothing is added. See `time_namespaces(7)`.
fn boot_offset() -> String {
    let Ok(text) = std::fs::read_to_string("/proc/self/timens_offsets") else { return String::new() };
    let line = text.lines().find_map(|line| line.strip_prefix("boottime"));
    let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    if words.iter().all(|word| *word == "0") { String::new() } else { format!("+{}", words.join(".")) }
}

impl Fs for Disk {
    type Dir = Arc<OwnedFd>;
    type File = DiskFile;

    fn open_root(&self, path: &Path) -> io::Result<Self::Dir> {
        Ok(Arc::new(fs::open(path, DIR, Mode::empty())?))
    }

    fn open_dir(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::Dir> {
        Ok(Arc::new(fs::openat(at, name, DIR | OFlags::NOFOLLOW, Mode::empty())?))
    }

    fn open_moved(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::Dir> {
        let opened = fs::openat(at, name, DIR, Mode::empty());
        match opened {
            Err(rustix::io::Errno::NOENT)
                if self.stat(at, name).is_ok_and(|stat| stat.kind == Kind::Symlink)
                    && !seeded::is("dead-link-is-no-state") =>
            {
                Err(io::Error::other("is a symlink to a directory that is not there; is its disk mounted?"))
            }
            opened => Ok(Arc::new(opened?)),
        }
    }

    fn make_dir(&self, at: &Self::Dir, name: &[u8]) -> io::Result<()> {
        Ok(fs::mkdirat(at, name, Mode::RWXU)?)
    }

    fn remove_dir(&self, at: &Self::Dir, name: &[u8]) -> io::Result<()> {
        Ok(fs::unlinkat(at, name, AtFlags::REMOVEDIR)?)
    }

    fn list(&self, dir: &Self::Dir, each: &mut dyn FnMut(&[u8], Kind, u64)) -> io::Result<()> {
        // A fresh description, so that two listings of one held directory do not share an offset.
        let fresh = fs::openat(dir, c".", DIR, Mode::empty())?;
        let mut buffer = Vec::with_capacity(64 * 1024);
        let spare: &mut [MaybeUninit<u8>] = buffer.spare_capacity_mut();
        let mut entries = RawDir::new(fresh, spare);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Dir,
                FileType::Symlink => Kind::Symlink,
                FileType::Unknown => Kind::Unknown,
                _ => Kind::Other,
            };
            each(name, kind, entry.ino());
        }
        Ok(())
    }

    fn stat_dir(&self, dir: &Self::Dir) -> io::Result<Stat> {
        statx(dir, b"", AtFlags::EMPTY_PATH)
    }

    fn stat(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Stat> {
        statx(at, name, AtFlags::empty())
    }

    fn follow(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Option<Kind>> {
        Ok(Some(kind(fs::statx(at, name, AtFlags::NO_AUTOMOUNT, StatxFlags::TYPE)?.stx_mode)))
    }

    fn open(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(at, name, flags, Mode::empty())?;
        match FileType::from_raw_mode(fs::fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(DiskFile(file.into())),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file")),
        }
    }

    fn create(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(DiskFile(fs::openat(at, name, flags, Mode::RUSR | Mode::WUSR)?.into()))
    }

    fn append(&self, at: &Self::Dir, name: &[u8]) -> io::Result<Self::File> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(at, name, flags, Mode::empty())?;
        match FileType::from_raw_mode(fs::fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(DiskFile(file.into())),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file")),
        }
    }

    fn truncate(&self, file: &Self::File, size: u64) -> io::Result<()> {
        file.0.set_len(size)
    }

    fn stat_file(&self, file: &Self::File) -> io::Result<Stat> {
        statx(&file.0, b"", AtFlags::EMPTY_PATH)
    }

    fn set_mtime(&self, file: &Self::File, mtime: Mtime) -> io::Result<()> {
        let stamp = Timespec { tv_sec: mtime.sec, tv_nsec: i64::from(mtime.nsec.min(999_999_999)) };
        Ok(fs::futimens(&file.0, &Timestamps { last_access: stamp, last_modification: stamp })?)
    }

    fn set_mode(&self, file: &Self::File, mode: u32) -> io::Result<()> {
        Ok(fs::fchmod(&file.0, Mode::from_raw_mode(mode))?)
    }

    fn rename(&self, from: &Self::Dir, old: &[u8], to: &Self::Dir, new: &[u8], how: Rename) -> io::Result<()> {
        let flags = match how {
            Rename::NoReplace => RenameFlags::NOREPLACE,
            Rename::Exchange => RenameFlags::EXCHANGE,
            Rename::Replace => RenameFlags::empty(),
        };
        Ok(fs::renameat_with(from, old, to, new, flags)?)
    }

    fn link(&self, from: &Self::Dir, old: &[u8], to: &Self::Dir, new: &[u8]) -> io::Result<()> {
        Ok(fs::linkat(from, old, to, new, AtFlags::empty())?)
    }

    fn unlink(&self, at: &Self::Dir, name: &[u8]) -> io::Result<()> {
        Ok(fs::unlinkat(at, name, AtFlags::empty())?)
    }

    fn sync_file(&self, file: &Self::File) -> io::Result<()> {
        Ok(fs::fsync(&file.0)?)
    }

    fn sync_dir(&self, dir: &Self::Dir) -> io::Result<()> {
        Ok(fs::fsync(dir)?)
    }

    fn sync_fs(&self, dir: &Self::Dir) -> io::Result<()> {
        Ok(fs::syncfs(dir)?)
    }

    fn habits(&self, dir: &Self::Dir) -> io::Result<Habits> {
        let magic = fs::fstatfs(dir)?.f_type as u64;
        Ok(Habits { trusted: TRUSTED.contains(&magic) })
    }

    fn space(&self, dir: &Self::Dir) -> io::Result<Option<Space>> {
        let stat = fs::fstatvfs(dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        // A file system without blocks, such as some FUSE ones, does not say.
        Ok((stat.f_blocks > 0).then(|| Space { all: bytes(stat.f_blocks), free: bytes(stat.f_bavail) }))
    }

    fn may_write(&self, dir: &Self::Dir) -> io::Result<()> {
        Ok(fs::accessat(dir, c".", fs::Access::WRITE_OK | fs::Access::EXEC_OK, AtFlags::EACCESS)?)
    }

    fn may_lack(&self, dir: &Self::Dir) -> bool {
        self.habits(dir).is_ok_and(|habits| !habits.trusted)
    }

    fn try_lock(&self, dir: &Self::Dir) -> io::Result<Option<Self::Dir>> {
        // flock belongs to the open file description, so the guard needs one of its own.
        let own = fs::openat(dir, c".", DIR, Mode::empty())?;
        match fs::flock(&own, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Arc::new(own))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn watchable(&self, dir: &Self::Dir) -> Option<PathBuf> {
        Some(format!("/proc/self/fd/{}", dir.as_raw_fd()).into())
    }

    fn now(&self) -> Mtime {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Mtime { sec: since.as_secs() as i64, nsec: since.subsec_nanos() },
            Err(before) => Mtime { sec: -(before.duration().as_secs() as i64) - 1, nsec: 0 },
        }
    }

    fn boot(&self) -> Option<Boot> {
        static ID: OnceLock<Option<String>> = OnceLock::new();
        let read = || {
            let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
            let id = text.trim().to_owned();
            let whole = id.len() <= 64 && !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
            whole.then(|| id + &boot_offset())
        };
        let id = ID.get_or_init(read).clone()?;
        let seconds = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec;
        Some(Boot { id, seconds })
    }

    fn pause(&self, ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_does_not_replace() {
        let temp = tempfile::tempdir().expect("temp");
        let dir = Disk.open_root(temp.path()).expect("opens");
        for name in [&b"a"[..], b"b"] {
            Disk.create(&dir, name).expect("creates").write_all(name).expect("writes");
        }
        let refused = Disk.rename(&dir, b"a", &dir, b"b", Rename::NoReplace).expect_err("taken");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        Disk.rename(&dir, b"a", &dir, b"b", Rename::Exchange).expect("swaps");
        let mut text = String::new();
        Disk.open(&dir, b"a").expect("opens").read_to_string(&mut text).expect("reads");
        assert_eq!(text, "b");
    }

    #[test]
    fn links_and_fifos_are_not_opened() {
        let temp = tempfile::tempdir().expect("temp");
        let dir = Disk.open_root(temp.path()).expect("opens");
        std::os::unix::fs::symlink("/etc/passwd", temp.path().join("link")).expect("links");
        fs::mknodat(&dir, "fifo", FileType::Fifo, Mode::RWXU, 0).expect("makes");
        assert!(Disk.open(&dir, b"link").is_err());
        assert!(Disk.open(&dir, b"fifo").is_err());
        std::os::unix::fs::symlink("/etc", temp.path().join("dirlink")).expect("links");
        assert!(Disk.open_dir(&dir, b"dirlink").is_err());
    }

    #[test]
    fn one_holder_has_the_lock() {
        let temp = tempfile::tempdir().expect("temp");
        let dir = Disk.open_root(temp.path()).expect("opens");
        let held = Disk.try_lock(&dir).expect("locks").expect("free");
        assert!(Disk.try_lock(&dir).expect("asks").is_none());
        drop(held);
        assert!(Disk.try_lock(&dir).expect("asks").is_some());
    }
}
