//! The connection: a child process whose stdin and stdout are the wire.
//!
//! Rooms: [`command`] (the command line), [`stderr`] (what the child says, kept and passed on),
//! [`explain`] (what a failed connection means).
//!
//! Deliberately not here: what goes over the wire. No shell of this host ever sees a word of the
//! command line.

pub mod command;
pub mod explain;
pub mod stderr;

use std::io::{self, Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use stderr::Stderr;

/// The server's program, as it is found there.
pub const DEFAULT_COMMAND: &str = "smd-server";

/// How long a child whose stdin is closed may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running child. Dropping it kills the child.
#[derive(Debug)]
pub struct Connection {
    child: Arc<Mutex<Child>>,
    stderr: Stderr,
}

/// The wire: what the session reads from and writes to. Dropping it closes both ways.
pub struct Link {
    /// The server's stdin.
    pub writer: Box<dyn Write + Send>,
    /// The server's stdout.
    pub reader: Box<dyn Read + Send>,
    /// Both ends are on this host: compressing would only cost time.
    pub local: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("local", &self.local).finish_non_exhaustive()
    }
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The exit status; `None` when the child had to be killed.
    pub status: Option<ExitStatus>,
    /// The last lines of its stderr, printable.
    pub stderr: Vec<String>,
}

/// The child cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("`{program}` cannot be started")]
pub struct StartError {
    /// The program.
    pub program: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Ends the child from another thread.
#[derive(Clone, Debug)]
pub struct Killer(Arc<Mutex<Child>>);

impl Connection {
    /// Starts the child. Its stderr is passed on line by line when `pass_on` says so, and the end of
    /// it is kept in any case.
    pub fn open(endpoint: &Endpoint, pass_on: bool) -> Result<(Self, Link), StartError> {
        let mut command =
            command::of(endpoint).map_err(|source| StartError { program: "smd-server".to_owned(), source })?;
        let program = command.get_program().display().to_string();
        let fail = |source| StartError { program: program.clone(), source };
        tracing::debug!(?command, "connecting");
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(fail)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let stderr = Stderr::follow(stderr.expect("stderr is piped"), pass_on);
        let link = Link {
            writer: Box::new(stdin.expect("stdin is piped")),
            reader: Box::new(stdout.expect("stdout is piped")),
            local: endpoint.transport == crate::endpoint::Transport::Local,
        };
        Ok((Self { child: Arc::new(Mutex::new(child)), stderr }, link))
    }

    /// A handle that can end the child from another thread.
    pub fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.child))
    }

    /// Waits for the child, whose stdin must be closed by now, and tells how it ended.
    pub fn finish(self) -> Ending {
        let status = self.wait();
        Ending { status, stderr: self.stderr.tail() }
    }

    fn wait(&self) -> Option<ExitStatus> {
        let since = Instant::now();
        let mut nap = Duration::from_millis(1);
        while since.elapsed() < PATIENCE {
            match lock(&self.child).try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) => thread::sleep(nap),
                Err(_) => return None,
            }
            nap = (nap * 2).min(Duration::from_millis(50));
        }
        None
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        end(&self.child);
    }
}

impl Killer {
    /// Ends the child if it still runs.
    pub fn kill(&self) {
        end(&self.0);
    }
}

/// Kills and reaps. A child that has been waited for is not touched: its number may be another's by
/// now, and the standard library keeps count.
fn end(child: &Mutex<Child>) {
    let mut child = lock(child);
    if matches!(child.try_wait(), Ok(None)) && child.kill().is_ok() {
        // A killed child is gone at once; an error here means that it was reaped already.
        let _ = child.wait();
    }
}

fn lock(child: &Mutex<Child>) -> std::sync::MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::address::Destination;
    use crate::endpoint::Transport;
    use crate::home::SmdHome;

    fn endpoint(rsh: &[&str]) -> Endpoint {
        Endpoint {
            name: "x".into(),
            client: "here".into(),
            server: "there".into(),
            roots: Vec::new(),
            transport: Transport::Rsh {
                rsh: rsh.iter().map(OsString::from).collect(),
                destination: Destination::parse(b"there").expect("a host"),
                command: None,
            },
            home: SmdHome::new("/nowhere", "/nowhere"),
        }
    }

    #[test]
    fn bytes_go_both_ways_and_the_end_is_told() {
        let script = "cat; echo \"$1 $2\" >&2; exit 7";
        let (connection, mut link) =
            Connection::open(&endpoint(&["sh", "-c", script, "sh"]), false).expect("sh starts");
        link.writer.write_all(b"hello").expect("the pipe takes it");
        drop(link.writer);
        let mut text = String::new();
        link.reader.read_to_string(&mut text).expect("it comes back");
        let ending = connection.finish();
        assert_eq!((text.as_str(), ending.status.and_then(|status| status.code())), ("hello", Some(7)));
        assert_eq!(ending.stderr, ["there smd-server"]);
    }

    #[test]
    fn a_child_that_does_not_end_is_ended() {
        let (connection, _link) =
            Connection::open(&endpoint(&["sh", "-c", "exec sleep 1000"]), false).expect("sh starts");
        let since = Instant::now();
        connection.killer().kill();
        drop(connection);
        assert!(since.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Connection::open(&endpoint(&["/no/such/ssh"]), false).expect_err("it cannot start");
        assert_eq!(error.to_string(), "`/no/such/ssh` cannot be started");
    }
}
