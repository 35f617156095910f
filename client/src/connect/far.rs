//! The child that leads to the server: one at a time, and another one where the first found no server.
//!
//! ssh runs a program by the PATH of a shell that nobody logged into, which often lacks `~/.local/bin`. A server that is not found there is
//! asked for by its usual places, one connection each: a key that is restricted to a command starts that command whatever is
//! asked for, and no shell is given more than a path.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::cause::{self, Cause};
use super::opening::Heard;
use super::patience::Patience;
use super::stderr::Stderr;
use super::{DEFAULT_COMMAND, Ending, Note, StartError, command};
use crate::endpoint::{Endpoint, Transport};

/// Where a user's own programs are installed, beside the PATH of ssh.
pub(super) const PLACES: [&str; 2] = ["~/.local/bin/smd-server", "~/.cargo/bin/smd-server"];

/// How long a child whose stdin is closed may take to end before it is killed.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The running child, and how those before it ended.
#[derive(Debug)]
pub(super) struct Far {
    endpoint: Endpoint,
    pass_on: bool,
    slot: Mutex<Slot>,
}

#[derive(Debug)]
struct Slot {
    child: Child,
    stderr: Stderr,
    /// The server's program as it was asked for.
    program: OsString,
    /// How many of [`PLACES`] were asked for.
    tried: usize,
    /// Nobody wants another child.
    over: bool,
    /// We ended the child.
    given_up: bool,
    /// How the child ended that tells most, once one ended without a word of the server.
    ending: Option<Ending>,
    heard: Heard,
}

struct Started {
    child: Child,
    stderr: Stderr,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

fn start(endpoint: &Endpoint, server: &OsStr, pass_on: bool) -> Result<Started, StartError> {
    let mut command =
        command::of(endpoint, server).map_err(|source| StartError { program: DEFAULT_COMMAND.to_owned(), source })?;
    let program = command.get_program().display().to_string();
    tracing::debug!(?command, "connecting");
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|source| StartError { program, source })?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let stderr = Stderr::follow(stderr.expect("stderr is piped"), pass_on);
    Ok(Started { child, stderr, stdin: stdin.expect("stdin is piped"), stdout: stdout.expect("stdout is piped") })
}

impl Far {
    /// Starts the first child.
    pub(super) fn start(endpoint: &Endpoint, pass_on: bool) -> Result<(Self, ChildStdin, ChildStdout), StartError> {
        let program = match &endpoint.transport {
            Transport::Rsh { command: Some(command), .. } => command.clone(),
            Transport::Rsh { command: None, .. } | Transport::Local => OsString::from(DEFAULT_COMMAND),
        };
        let Started { child, stderr, stdin, stdout } = start(endpoint, &program, pass_on)?;
        let heard = Heard::Nothing;
        let slot = Slot { child, stderr, program, tried: 0, over: false, given_up: false, ending: None, heard };
        Ok((Self { endpoint: endpoint.clone(), pass_on, slot: Mutex::new(slot) }, stdin, stdout))
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server has spoken.
    pub(super) fn spoke(&self, told: &dyn Fn(&Note)) {
        let mut slot = self.lock();
        (slot.heard, slot.ending) = (Heard::Server, None);
        if slot.tried > 0 {
            let place = cause::shown(&slot.program);
            told(&Note::Found(format!(
                "{DEFAULT_COMMAND} is not in the PATH of ssh on {}; {place} was found. REMOTE_COMMAND={place} spares the search.",
                self.endpoint.server
            )));
        }
    }

    /// The far end has said nothing for a while.
    pub(super) fn waits(&self, patience: Patience, told: &dyn Fn(&Note)) {
        let (host, program) = (&self.endpoint.server, cause::shown(&self.lock().program));
        told(&Note::Waiting(format!(
            "Waiting for {host}: {program} has not answered for {} s; it is given up after {} s.",
            patience.note.as_secs(),
            patience.bound.as_secs()
        )));
    }

    /// The child ended, or was given up, before the server spoke. Gives the pipes of the next one, if there is something else to try.
    pub(super) fn next(&self, heard: Heard) -> Option<(ChildStdin, ChildStdout)> {
        let status = self.wait(Duration::ZERO);
        let mut slot = self.lock();
        let ending = slot.ended(status, heard);
        let cause = cause::of(&self.endpoint, &ending);
        tracing::debug!(?ending, ?cause, "no server");
        let place = match &self.endpoint.transport {
            Transport::Rsh { command, .. }
                if cause == Cause::Missing && !slot.over && is_default(command.as_deref()) =>
            {
                PLACES.get(slot.tried)
            }
            _ => None,
        };
        // The first that was not found tells more than the last, unless something was found there.
        if slot.ending.is_none() || cause.is_found() {
            slot.ending = Some(ending);
        }
        let program = OsString::from(place?);
        match start(&self.endpoint, &program, self.pass_on) {
            Ok(Started { child, stderr, stdin, stdout }) => {
                (slot.child, slot.stderr, slot.program) = (child, stderr, program);
                slot.tried += 1;
                Some((stdin, stdout))
            }
            Err(error) => {
                tracing::debug!(%error, "no other place can be tried");
                None
            }
        }
    }

    /// Whether the child ends by itself, in so short a time.
    pub(super) fn ends_within(&self, patience: Duration) -> bool {
        self.wait(patience).is_some()
    }

    /// Waits for the child, whose stdin is closed, and kills it when it takes longer.
    pub(super) fn give_up(&self, patience: Duration) {
        if self.wait(patience).is_none() {
            self.lock().end();
        }
    }

    /// How the last child ended, or the one that tells most.
    pub(super) fn finish(&self) -> Ending {
        self.lock().over = true;
        let status = self.wait(PATIENCE);
        let mut slot = self.lock();
        let heard = slot.heard.clone();
        slot.ending.take().unwrap_or_else(|| slot.ended(status, heard))
    }

    /// Ends the child if it still runs, and starts no other.
    pub(super) fn kill(&self) {
        let mut slot = self.lock();
        slot.over = true;
        slot.end();
    }

    fn wait(&self, patience: Duration) -> Option<ExitStatus> {
        let since = Instant::now();
        let mut nap = Duration::from_millis(1);
        loop {
            match self.lock().child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if since.elapsed() < patience => {}
                Ok(None) | Err(_) => return None,
            }
            thread::sleep(nap);
            nap = (nap * 2).min(Duration::from_millis(50));
        }
    }
}

impl Slot {
    fn ended(&self, status: Option<ExitStatus>, heard: Heard) -> Ending {
        // A signal of ours tells nothing.
        let status = status.filter(|_| !self.given_up);
        Ending { status, stderr: self.stderr.tail(), heard, program: self.program.clone() }
    }

    /// Kills and reaps. A child that has been waited for is not touched: its number may be another's by
    /// now, and the standard library keeps count.
    fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && self.child.kill().is_ok() {
            self.given_up = true;
            // A killed child is gone at once; an error here means that it was reaped already.
            let _: io::Result<ExitStatus> = self.child.wait();
        }
    }
}

/// Whether the PATH of ssh is to find the server: a config may say so in so many words.
fn is_default(command: Option<&OsStr>) -> bool {
    command.is_none_or(|command| command == DEFAULT_COMMAND)
}
