//! The connection: a child process whose stdin and stdout are the wire.
//!
//! Rooms: [`command`] (the command line), `far` (the child, and where else a server may be), `opening` (the first words, until they are
//! known to be the server's), `patience` (how long each wait is), [`stderr`] (what the child says, kept and passed on),
//! [`cause`] (why there is no server), [`explain`] (that in words).
//!
//! Deliberately not here: what goes over the wire. No shell of this host ever sees a word of the
//! command line.

pub mod cause;
pub mod command;
pub mod explain;
mod far;
mod opening;
mod patience;
pub mod stderr;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::ExitStatus;
use std::sync::Arc;

use crate::endpoint::{Endpoint, Transport};
use far::Far;
use opening::{Ear, Mouth, Said};
pub use opening::{Heard, Then};
use patience::{Asks, Patience};

/// The server's program, as it is found there.
pub const DEFAULT_COMMAND: &str = "smd-server";

/// A running child. Dropping it kills the child.
#[derive(Debug)]
pub struct Connection {
    far: Arc<Far>,
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

/// What a person may want to know while a connection is made: a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// What is waited for, and how long.
    Waiting(String),
    /// The server was found beside the PATH of ssh.
    Found(String),
}

/// Who is told.
pub type Told = Box<dyn Fn(&Note) + Send>;

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The exit status; `None` when the child had to be killed.
    pub status: Option<ExitStatus>,
    /// The last lines of its stderr, printable.
    pub stderr: Vec<String>,
    /// What was heard of the far end first.
    pub heard: Heard,
    /// The server's program as the far end was asked for it.
    pub program: OsString,
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
pub struct Killer(Arc<Far>);

impl Connection {
    /// Starts the child. Its stderr is passed on line by line when `pass_on` says so, and the end of
    /// it is kept in any case.
    ///
    /// # Errors
    /// When the child cannot be started. What it meets later ends the link, and [`Connection::finish`] tells it.
    pub fn open(endpoint: &Endpoint, pass_on: bool) -> Result<(Self, Link), StartError> {
        Self::open_telling(endpoint, pass_on, Box::new(|_| ()))
    }

    /// As [`Connection::open`]; `told` hears, from another thread, what a person may want to know meanwhile.
    ///
    /// # Errors
    /// As there.
    pub fn open_telling(endpoint: &Endpoint, pass_on: bool, told: Told) -> Result<(Self, Link), StartError> {
        let patience = match &endpoint.transport {
            Transport::Local => Patience::of(&[], Asks::Nobody),
            Transport::Rsh { rsh, .. } => Patience::of(rsh, Asks::now()),
        };
        Self::open_with(endpoint, pass_on, patience, told)
    }

    fn open_with(
        endpoint: &Endpoint,
        pass_on: bool,
        patience: Patience,
        told: Told,
    ) -> Result<(Self, Link), StartError> {
        let (far, stdin, stdout) = Far::start(endpoint, pass_on)?;
        let local = endpoint.transport == Transport::Local;
        let (far, said) = (Arc::new(far), Arc::new(Said::default()));
        said.go_on(stdin);
        let link = Link {
            writer: Box::new(Mouth::new(Arc::clone(&said))),
            reader: Box::new(Ear::new(Arc::clone(&far), said, stdout, patience, told)),
            local,
        };
        Ok((Self { far }, link))
    }

    /// A handle that can end the child from another thread.
    pub fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.far))
    }

    /// Waits for the child, whose stdin must be closed by now, and tells how it ended.
    pub fn finish(self) -> Ending {
        self.far.finish()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.far.kill();
    }
}

impl Killer {
    /// Ends the child if it still runs.
    pub fn kill(&self) {
        self.0.kill();
    }
}

#[cfg(test)]
mod tests;
