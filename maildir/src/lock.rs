//! Locks: kernel locks (`flock`) on held directories. They end with the process that holds them, so none
//! is ever stale and nobody has to remove a file. The empty directories that some of them are taken on mean
//! nothing by themselves and stay.
//!
//! Two are taken in a run, in this order: the *state lock* of a peer and root, before any state of it is
//! read and until the run ends, and the *root lock* while steps are applied.
//!
//! Deliberately not here: locks of mail programs. They take none that would keep a Maildir still; that is
//! why every step looks at the disk before and after it acts.

use std::io;

use rustix::io::Errno;
use smd_protocol::seeded;

use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::home::{Access, Home, Pair};
use crate::root::{Root, if_there};

/// How often a lock that another holds is asked for, in milliseconds.
const POLL_MS: u64 = 100;

/// How long to wait for a lock.
pub struct Wait<'a> {
    /// At most so many milliseconds; 0 asks once.
    pub ms: u64,
    /// Asked before every pause: whether to give up at once (a signal came).
    pub stop: &'a dyn Fn() -> bool,
}

/// A lock that is held until this is dropped.
#[must_use = "a lock ends when its guard is dropped"]
pub struct Guard<F: Fs> {
    held: Option<F::Dir>,
}

impl<F: Fs> Guard<F> {
    /// The lock on something that is not there.
    pub(crate) fn of_nothing() -> Self {
        Self { held: None }
    }

    /// Whether there was anything to lock: a dry run finds nothing where no run was before.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run has it, and kept it for as long as was to be waited.
    #[error("another run holds the lock on {path}", path = smd_protocol::names::printable(.path))]
    Held {
        /// The locked directory.
        path: Vec<u8>,
    },
    /// Waiting was ended from outside.
    #[error("stopped while waiting for the lock on {path}", path = smd_protocol::names::printable(.path))]
    Stopped {
        /// The locked directory.
        path: Vec<u8>,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] Error),
}

/// Whether this error means that the file system has no `flock` for directories. NFS turns it into a lock
/// that wants a descriptor open for writing, which no directory has (`EBADF`).
pub fn is_unsupported(cause: &io::Error) -> bool {
    let known = [Errno::BADF, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOLCK, Errno::NOSYS];
    cause.raw_os_error().is_some_and(|code| known.iter().any(|errno| errno.raw_os_error() == code))
}

/// Locks a held directory; `path` is for messages.
///
/// # Errors
/// When another holds it too long, when stopped, or when the file system refuses.
pub fn lock_dir<F: Fs>(fs: &F, dir: &F::Dir, path: &[u8], wait: &Wait<'_>) -> Result<Guard<F>, LockError> {
    let mut waited = 0;
    loop {
        if let Some(held) = fs.try_lock(dir).context("lock", path)? {
            return Ok(Guard { held: Some(held) });
        }
        if waited >= wait.ms {
            return Err(LockError::Held { path: path.to_vec() });
        }
        if (wait.stop)() {
            return Err(LockError::Stopped { path: path.to_vec() });
        }
        let pause = POLL_MS.min(wait.ms - waited);
        fs.pause(pause);
        waited += pause;
    }
}

/// Takes the state lock of a peer and root: on the directory `lock.STEM` beside the state files. In a dry
/// run that directory is not made; where it is missing no other run has state to protect.
///
/// # Errors
/// As [`lock_dir`]. A state directory on a file system without locks is an error too: without this lock two
/// runs would write one base.
pub fn state_lock<F: Fs>(pair: &Pair<F>, stem: &str, wait: &Wait<'_>) -> Result<Guard<F>, LockError> {
    let name = [b"lock.", stem.as_bytes()].concat();
    let path = pair.shown(&name);
    let at = pair.dir.as_ref().filter(|_| !seeded::is("takes-no-state-lock"));
    let Some(at) = at else { return Ok(Guard { held: None }) };
    let dir = match if_there(pair.fs.open_dir(at, &name)).context("open", &path)? {
        Some(dir) => dir,
        None if pair.access == Access::ReadOnly => return Ok(Guard { held: None }),
        None => {
            match pair.fs.make_dir(at, &name) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e).context("make", &path)?,
                _ => {}
            }
            pair.fs.open_dir(at, &name).context("open", &path)?
        }
    };
    lock_dir(&*pair.fs, &dir, &path, wait)
}

/// Takes the root lock: on the root's directory, or, where its file system has no locks (NFS), on
/// `locks/DEV-INO` in the state directory. The second keeps apart only runs of one state directory.
///
/// # Errors
/// As [`lock_dir`], and when the directory in the state directory cannot be made.
pub fn root_lock<F: Fs>(root: &Root<F>, home: &Home<F>, wait: &Wait<'_>) -> Result<Guard<F>, LockError> {
    use std::os::unix::ffi::OsStrExt;
    let path = root.path.as_os_str().as_bytes();
    let refused = match lock_dir(&*root.fs, &root.dir, path, wait) {
        Err(LockError::Io(e)) if is_unsupported(&e.cause) => e,
        settled => return settled,
    };
    let stat = root.fs.stat_dir(&root.dir).context("look at", path)?;
    let name = format!("{:x}-{:x}", stat.dev, stat.ino);
    match home.below(&[b"locks", name.as_bytes()])? {
        Some(dir) => lock_dir(&**home.fs(), &dir, path, wait),
        None => Err(refused.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Disk;
    use crate::home::{Label, Side};
    use std::cell::Cell;
    use std::sync::Arc;

    const ONCE: Wait<'static> = Wait { ms: 0, stop: &|| false };

    fn world() -> (tempfile::TempDir, Home<Disk>) {
        let temp = tempfile::tempdir().expect("temp");
        let home = Home::open(Arc::new(Disk), &temp.path().join(".smd"), Access::ReadWrite).expect("opens");
        (temp, home)
    }

    #[test]
    fn one_run_at_a_time_has_the_state_of_a_peer_and_root() {
        let (_temp, home) = world();
        let pair = |peer: &[u8]| home.pair(Side::Client, &Label::derive(peer)).expect("opens");
        let held = state_lock(&pair(b"a"), "Maildir", &ONCE).expect("free");
        assert!(held.is_held());
        assert!(matches!(state_lock(&pair(b"a"), "Maildir", &ONCE), Err(LockError::Held { .. })));
        assert!(state_lock(&pair(b"a"), "Other", &ONCE).is_ok());
        assert!(state_lock(&pair(b"b"), "Maildir", &ONCE).is_ok());
        drop(held);
        assert!(state_lock(&pair(b"a"), "Maildir", &ONCE).is_ok());
    }

    #[test]
    fn a_dry_run_makes_no_lock_and_respects_one_that_is_held() {
        let (temp, home) = world();
        let pair = home.pair(Side::Client, &Label::derive(b"a")).expect("opens");
        let dry = Home::open(Arc::new(Disk), home.path(), Access::ReadOnly).expect("opens");
        let dry = dry.pair(Side::Client, &Label::derive(b"a")).expect("opens");
        assert!(!state_lock(&dry, "Maildir", &ONCE).expect("nothing to lock").is_held());
        assert!(!temp.path().join(".smd/state/a/lock.Maildir").exists());
        let _held = state_lock(&pair, "Maildir", &ONCE).expect("free");
        assert!(matches!(state_lock(&dry, "Maildir", &ONCE), Err(LockError::Held { .. })));
    }

    #[test]
    fn waiting_ends_when_the_lock_is_free_when_stopped_and_at_the_deadline() {
        let (temp, home) = world();
        let root = Root::open(Arc::new(Disk), temp.path()).expect("opens");
        let held = Cell::new(Some(root_lock(&root, &home, &ONCE).expect("free")));
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() == 2
        };
        let waited = root_lock(&root, &home, &Wait { ms: 60_000, stop: &stop });
        assert!(matches!(waited, Err(LockError::Stopped { .. })));
        let short = Wait { ms: 30, stop: &|| false };
        assert!(matches!(root_lock(&root, &home, &short), Err(LockError::Held { .. })));
        let free = || {
            held.take();
            false
        };
        assert!(root_lock(&root, &home, &Wait { ms: 60_000, stop: &free }).is_ok());
    }

    #[test]
    fn only_a_missing_flock_counts_as_unsupported() {
        let error = |errno: Errno| io::Error::from(errno);
        assert!(is_unsupported(&error(Errno::BADF)));
        assert!(is_unsupported(&error(Errno::NOLCK)));
        assert!(!is_unsupported(&error(Errno::IO)));
        assert!(!is_unsupported(&error(Errno::ACCESS)));
        assert!(!is_unsupported(&io::Error::other("x")));
    }
}
