//! Where worlds are: below a file system in memory, where syncs cost nothing, or on a disk.
//!
//! Deliberately not here: which test needs a disk. Those that speak of one, kill programs or never rest ask for it
//! (`World::on_disk`).

use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statfs, statvfs};
use tempfile::TempDir;

const SHARED_MEMORY: &str = "/dev/shm";
/// What `statfs` says of a tmpfs (statfs(2)).
const TMPFS_MAGIC: u64 = 0x0102_1994;
/// Free bytes below which worlds go to the disk: the largest ones take some 200 MiB, and many run side by side.
const ROOM: u64 = 2 << 30;

/// A directory in memory if this machine has a tmpfs with room from which scripts can be started; else one on disk.
///
/// # Panics
/// When no temporary directory can be made.
pub fn tempdir() -> TempDir {
    if has_room(Path::new(SHARED_MEMORY))
        && let Ok(dir) = tempfile::tempdir_in(SHARED_MEMORY)
    {
        return dir;
    }
    disk()
}

/// A directory on disk, or wherever `TMPDIR` leads.
///
/// # Panics
/// When no temporary directory can be made.
pub fn disk() -> TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

fn has_room(dir: &Path) -> bool {
    let is_tmpfs = statfs(dir).is_ok_and(|found| u64::try_from(found.f_type) == Ok(TMPFS_MAGIC));
    is_tmpfs
        && statvfs(dir).is_ok_and(|found| {
            !found.f_flag.contains(StatVfsMountFlags::NOEXEC) && found.f_bavail.saturating_mul(found.f_frsize) >= ROOM
        })
}
