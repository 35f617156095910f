//! The socket of a running loop, `loop.sock` in the state directory: who holds it is the loop of this home, and answers.
//!
//! The directory is reached by a held descriptor, since a socket's path may only be short. A lock that ends with its process
//! decides who is the loop, so that the socket of a dead one is replaced and that of a living one never.
//!
//! Deliberately not here: the words (`words`), and those who ask (`ask`).

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::board::Board;
use super::desk::{Desk, Order};
use super::words::{self, Asked, Reply, Request, VERSION, hear, say};
use crate::home::SmdHome;

/// How often a person who waits for a run is told that it goes on.
pub(super) const WAITING: Duration = Duration::from_secs(5);
/// How long a question, or the taking of an answer, may last.
const PATIENCE: Duration = Duration::from_secs(10);
/// More callers at a time are sent away.
const CALLERS: usize = 32;

const SOCKET: &str = "loop.sock";
const LOCK: &str = "loop.lock";

/// Why this process cannot be the loop of its home.
#[derive(Debug, thiserror::Error)]
pub(super) enum SeatError {
    /// Another one is, with this process number where it could be read.
    #[error("a loop is already running{}", .0.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Taken(Option<u32>),
    /// The lock or the socket cannot be made.
    #[error("{}", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

/// The right to be the loop of a home, for as long as this is held.
#[derive(Debug)]
pub(super) struct Seat {
    /// Held for its lock.
    _lock: File,
    dir: File,
    listener: UnixListener,
}

impl Seat {
    /// Takes it.
    ///
    /// # Errors
    /// When another process has it, or it cannot be had.
    pub(super) fn take(home: &SmdHome) -> Result<Self, SeatError> {
        let failed = |path: &Path, error| SeatError::Io(path.to_owned(), error);
        let path = home.path();
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed(path, error))?;
        let dir = File::open(path).map_err(|error| failed(path, error))?;
        let lock_path = path.join(LOCK);
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|error| failed(&lock_path, error))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(SeatError::Taken(pid_in(&mut lock))),
            Err(error) => return Err(failed(&lock_path, error.into())),
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(|error| failed(&lock_path, error))?;
        let listener = bind(&dir).map_err(|error| failed(&path.join(SOCKET), error))?;
        Ok(Self { _lock: lock, dir, listener })
    }

    /// Answers all who ask, in threads of their own, until the process ends.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn answer(&self, reception: Arc<Reception>) -> io::Result<()> {
        let listener = self.listener.try_clone()?;
        thread::Builder::new().name("socket".to_owned()).spawn(move || {
            for caller in listener.incoming() {
                match caller {
                    Ok(caller) => reception.receive(caller),
                    Err(error) => {
                        tracing::warn!(%error, "a caller was lost");
                        // Most likely there are no descriptors left; those of callers are given back soon.
                        thread::sleep(Duration::from_millis(100));
                    }
                }
            }
        })?;
        Ok(())
    }

    /// Takes the socket away.
    pub(super) fn leave(&self) {
        let _ = fs::remove_file(within(&self.dir, SOCKET));
    }
}

/// A name in a held directory, as a path of which the length does not matter.
fn within(dir: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()))
}

/// The socket gets its name when its mode is right, over that of a dead loop if there is one.
fn bind(dir: &File) -> io::Result<UnixListener> {
    let new = within(dir, "loop.sock.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(&new, within(dir, SOCKET))?;
    Ok(listener)
}

/// Reaches the loop of a home.
///
/// # Errors
/// When none runs.
pub(super) fn reach(home: &SmdHome) -> io::Result<UnixStream> {
    UnixStream::connect(within(&File::open(home.path())?, SOCKET))
}

/// The process that is the loop of a home, or was it last.
pub(super) fn holder(home: &SmdHome) -> Option<u32> {
    pid_in(&mut File::open(home.path().join(LOCK)).ok()?)
}

/// The process of that loop, if it is there still, be it stopped. The lock is not tried: a loop that begins at that instant
/// would take it for taken.
pub(super) fn silent(home: &SmdHome) -> Option<u32> {
    let pid = holder(home)?;
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    (name.trim_ascii_end() == super::args::NAME.as_bytes()).then_some(pid)
}

fn pid_in(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Where callers are received.
#[derive(Debug)]
pub(super) struct Reception {
    board: Arc<Board>,
    desks: Mutex<BTreeMap<String, Arc<Desk>>>,
    callers: AtomicUsize,
}

impl Reception {
    /// One that shows this board.
    pub(super) fn new(board: Arc<Board>) -> Self {
        Self { board, desks: Mutex::default(), callers: AtomicUsize::new(0) }
    }

    /// Sends callers for this endpoint to this desk, or to none.
    pub(super) fn seat(&self, endpoint: &str, desk: Option<Arc<Desk>>) {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        match desk {
            Some(desk) => drop(desks.insert(endpoint.to_owned(), desk)),
            None => drop(desks.remove(endpoint)),
        }
    }

    fn receive(self: &Arc<Self>, caller: UnixStream) {
        if self.callers.fetch_add(1, Ordering::Relaxed) >= CALLERS {
            self.callers.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let here = Arc::clone(self);
        thread::spawn(move || {
            if let Err(error) = here.converse(&caller) {
                tracing::debug!(%error, "a caller left");
            }
            here.callers.fetch_sub(1, Ordering::Relaxed);
        });
    }

    fn converse(&self, caller: &UnixStream) -> io::Result<()> {
        caller.set_read_timeout(Some(PATIENCE))?;
        caller.set_write_timeout(Some(PATIENCE))?;
        let asked: Asked = hear(&mut BufReader::new(caller), words::ASK_MAX)?;
        let mut caller = caller;
        if asked.version != VERSION {
            return say(&mut caller, &Reply::Declined(format!("the loop has version {VERSION}")));
        }
        let (endpoint, wish) = match asked.request {
            Request::Status => return say(&mut caller, &Reply::Status(self.board.status())),
            Request::Run { endpoint, wish } => (endpoint, wish),
        };
        let desk = self.desks.lock().unwrap_or_else(PoisonError::into_inner).get(&endpoint).cloned();
        let Some(desk) = desk else {
            return say(&mut caller, &Reply::Declined(format!("the loop does not serve {endpoint}")));
        };
        let (give, take) = mpsc::channel();
        say(&mut caller, &Reply::Taken)?;
        desk.post(Order::Run(wish, give));
        loop {
            match take.recv_timeout(WAITING) {
                Ok(answer) => return say(&mut caller, &Reply::Answer(answer)),
                Err(RecvTimeoutError::Timeout) => say(&mut caller, &Reply::Waiting)?,
                // The loop ends.
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::systemd::Manager;
    use super::*;

    fn home(dir: &Path) -> SmdHome {
        // Longer than the path of a socket may be.
        SmdHome::new(dir.join("x".repeat(150)), dir)
    }

    #[test]
    fn one_process_at_a_time_has_the_seat_and_the_socket_of_a_dead_one_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = home(dir.path());
        assert!(reach(&home).is_err());
        let seat = Seat::take(&home).expect("nobody has it");
        let error = Seat::take(&home).expect_err("it is taken").to_string();
        assert_eq!(error, format!("a loop is already running (pid {})", std::process::id()));
        assert_eq!(holder(&home), Some(std::process::id()));
        reach(&home).expect("it listens");
        let socket = home.path().join(SOCKET);
        assert_eq!(fs::metadata(&socket).expect("it is there").permissions().mode() & 0o777, 0o600);
        // As a killed process leaves it.
        drop(seat);
        assert!(socket.exists() && reach(&home).is_err());
        let seat = Seat::take(&home).expect("nobody has it");
        reach(&home).expect("it listens");
        seat.leave();
        assert!(!socket.exists());
    }

    #[test]
    fn what_is_not_served_or_of_another_version_is_declined() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = home(dir.path());
        let seat = Seat::take(&home).expect("nobody has it");
        let board = Arc::new(Board::new(&home, Manager::default()));
        seat.answer(Arc::new(Reception::new(board))).expect("a thread");
        let wish = words::Wish::of(&crate::options::RunOptions::default());
        for (version, text) in [(VERSION, "does not serve"), ("0.0.0", "version")] {
            let mut stream = reach(&home).expect("it listens");
            let request = Request::Run { endpoint: "work".into(), wish: wish.clone() };
            say(&mut stream, &Asked { version: version.into(), request }).expect("it is said");
            let reply: Reply = hear(&mut BufReader::new(stream), words::REPLY_MAX).expect("it answers");
            assert!(matches!(&reply, Reply::Declined(why) if why.contains(text)), "{reply:?}");
        }
        let mut stream = reach(&home).expect("it listens");
        stream.write_all(b"GET / HTTP/1.0\n").expect("it is said");
        assert!(hear::<Reply>(&mut BufReader::new(stream), words::REPLY_MAX).is_err());
    }
}
