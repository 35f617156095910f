//! A session that stays: run after run over one connection, and in between a rest in which both hosts watch.
//!
//! At rest nothing of a run is kept on either host, and nobody wakes up but for signs of life.
//!
//! Deliberately not here: when to run, what to do about a run that failed, and connecting again (`looping`).

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smd_maildir::fs::Fs;
use smd_maildir::watch::{Ground, Watch};
use smd_protocol::wire::{self, FromClient, FromServer};
use smd_server::link::Ringer;
use smd_server::memory::Memory;

use super::pair::Pair;
use super::peer::{Peer, trouble, unexpected};
use super::{Line, SessionError, converse};
use crate::endpoint::Endpoint;
use crate::options::RunOptions;
use crate::progress::Progress;
use crate::report::{Host, Report, Traffic, Trouble};

/// A wait without an end, as far as anyone will see.
const LONG: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why a rest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something changed on this host.
    Here,
    /// Something changed at the server.
    There,
    /// [`Waker::wake`] was called.
    Asked,
    /// The time has come.
    Time,
}

/// Ends a rest from any thread. What is asked for while nobody rests ends the next rest at once.
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<Mutex<Asked>>);

#[derive(Debug, Default)]
struct Asked {
    asked: bool,
    /// The rest that is on.
    ringer: Option<Ringer>,
}

impl Waker {
    /// Ends the rest that is on, or else the next one.
    pub fn wake(&self) {
        let mut asked = self.lock();
        asked.asked = true;
        if let Some(ringer) = &asked.ringer {
            ringer.ring();
        }
    }

    fn take(&self) -> bool {
        std::mem::take(&mut self.lock().asked)
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings this as long as the guard lives.
    fn rings(&self, ringer: Option<Ringer>) -> Attached<'_> {
        self.lock().ringer = ringer;
        Attached(self)
    }
}

struct Attached<'a>(&'a Waker);

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        self.0.lock().ringer = None;
    }
}

/// What can be done with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A run may begin.
    Ready,
    /// The server was said goodbye to, since it cannot rest.
    Spent,
    /// A run or a rest failed.
    Broken,
}

/// A session that stays: run after run over one connection.
pub struct Open<F: Fs> {
    pub(super) fs: Arc<F>,
    pub(super) endpoint: Endpoint,
    pub(super) peer: Peer,
    /// The server is on this host, so nothing is compressed.
    pub(super) local: bool,
    /// Everything said is compressed.
    pub(super) compressed: bool,
    /// The server knows how to rest.
    pub(super) rests: bool,
    state: State,
    watch: Option<Watch<F>>,
    memory: Memory,
    /// The server was told that the run is over, and has not answered yet.
    awaits_resting: bool,
    /// The server told of a change.
    there: bool,
    /// What is not watched on this host, as a whole.
    unwatched_here: Vec<Trouble>,
    unwatched_there: Vec<Trouble>,
}

impl<F: Fs> std::fmt::Debug for Open<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("endpoint", &self.endpoint.name)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<F: Fs> Open<F> {
    /// A session of which nothing was said yet.
    pub fn new(fs: Arc<F>, endpoint: Endpoint, line: Line, stop: Arc<AtomicBool>) -> Self {
        Self {
            fs,
            endpoint,
            local: line.local,
            peer: Peer::new(line, stop),
            compressed: false,
            rests: false,
            state: State::Ready,
            watch: None,
            memory: Memory::default(),
            awaits_resting: false,
            there: false,
            unwatched_here: Vec::new(),
            unwatched_there: Vec::new(),
        }
    }

    /// One run: locks are taken and freed. After an error the session is mostly of no more use ([`Open::is_over`]).
    ///
    /// # Errors
    /// When the run cannot be brought to its end. What was committed stands; the next run finishes the rest.
    pub fn run(&mut self, options: &RunOptions, progress: &mut Progress) -> Result<Report, SessionError> {
        self.ready()?;
        self.hear_resting()?;
        self.memory.runs();
        let mut pairs = Vec::new();
        let result = converse(self, true, options, &mut pairs, progress);
        // The server ends the run while this host does.
        let said = match &result {
            Ok(_) if self.rests => self.peer.say(&FromClient::Rest),
            _ => Ok(()),
        };
        finish(pairs, options);
        let mut report = result?;
        said?;
        if self.rests {
            self.awaits_resting = true;
            self.state = State::Ready;
        } else {
            self.peer.say(&FromClient::Bye)?;
            self.state = State::Spent;
        }
        self.peer.drain(&mut || {})?;
        self.peer.tell(&mut report);
        Ok(report)
    }

    /// The only run of a session.
    pub(super) fn once(mut self, options: &RunOptions, progress: &Progress) -> Result<Report, SessionError> {
        let mut pairs = Vec::new();
        let result = converse(&mut self, false, options, &mut pairs, progress);
        finish(pairs, options);
        let mut report = result?;
        self.peer.say(&FromClient::Bye)?;
        self.peer.drain(&mut || {})?;
        self.peer.tell(&mut report);
        Ok(report)
    }

    /// Whether another run needs another connection: something failed, or the server does not know how to rest. In the
    /// second case [`Open::rest`] still watches this host.
    pub fn is_over(&self) -> bool {
        self.state != State::Ready
    }

    /// What is not watched, by host and path, and why: to be told once. While there is any of it, only time tells when to
    /// look there; empty when both hosts watch everything. Known once a rest has begun.
    pub fn unwatched(&self) -> Vec<Trouble> {
        let here = self.watch.iter().flat_map(Watch::unwatched);
        let here = here.map(|t| Trouble::new(Host::Client, t.path.clone(), t.text.clone()));
        self.unwatched_here.iter().cloned().chain(here).chain(self.unwatched_there.iter().cloned()).collect()
    }

    /// Watches both hosts until something happens, or until then. Each thing is told once: a run is expected to follow
    /// [`Woken::Here`] and [`Woken::There`].
    ///
    /// # Errors
    /// [`SessionError::Lost`] when the connection ends or is silent for too long, [`SessionError::Interrupted`] when the
    /// stop flag is up (raise it first, then wake).
    pub fn rest(&mut self, until: Option<Instant>, waker: &Waker) -> Result<Woken, SessionError> {
        if self.state != State::Spent {
            self.ready()?;
        }
        if let Some(watch) = &mut self.watch {
            watch.rest();
        }
        self.hear_resting()?;
        let _attached = waker.rings(self.peer.ringer());
        let woken = self.wait(until, waker);
        if woken.is_err() && !self.peer.stopped() {
            self.state = State::Broken;
        }
        woken
    }

    fn wait(&mut self, until: Option<Instant>, waker: &Waker) -> Result<Woken, SessionError> {
        let silence = Duration::from_secs(wire::SILENCE_SECONDS);
        let mut heard = Instant::now();
        loop {
            if self.peer.stopped() {
                return Err(SessionError::Interrupted);
            }
            if waker.take() {
                return Ok(Woken::Asked);
            }
            if self.watch.as_ref().is_some_and(Watch::take) {
                return Ok(Woken::Here);
            }
            if std::mem::take(&mut self.there) {
                return Ok(Woken::There);
            }
            let now = Instant::now();
            if until.is_some_and(|until| until <= now) {
                return Ok(Woken::Time);
            }
            let connected = self.state == State::Ready;
            let mut wait = until.map_or(LONG, |until| until - now);
            if connected {
                let silent = now.saturating_duration_since(heard);
                if silent >= silence {
                    return Err(self.peer.silent());
                }
                wait = wait.min(silence - silent);
            }
            match self.peer.hear_at_rest(wait) {
                Ok(None) => {}
                Ok(Some(message)) => {
                    heard = Instant::now();
                    match message {
                        FromServer::Changed => self.there = true,
                        FromServer::Ping | FromServer::Working => self.memory.rests(),
                        _ => return Err(unexpected("something at rest")),
                    }
                }
                // After a goodbye the connection ends.
                Err(SessionError::Lost { .. }) if !connected => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn close(self) -> Result<(), SessionError> {
        if self.state == State::Spent {
            return Ok(());
        }
        self.peer.say(&FromClient::Bye)?;
        self.peer.drain(&mut || {})
    }

    fn ready(&self) -> Result<(), SessionError> {
        match self.state {
            State::Ready => Ok(()),
            State::Spent | State::Broken => Err(SessionError::Bug { text: "the session is over".to_owned() }),
        }
    }

    fn hear_resting(&mut self) -> Result<(), SessionError> {
        if !std::mem::take(&mut self.awaits_resting) {
            return Ok(());
        }
        match self.peer.hear_message() {
            Ok(FromServer::Resting { unwatched }) => {
                self.unwatched_there = unwatched.into_iter().map(trouble).collect();
                self.peer.rests();
                Ok(())
            }
            other => {
                self.state = State::Broken;
                Err(other.err().unwrap_or_else(|| unexpected("something else than its rest")))
            }
        }
    }

    /// The run begins on the wire: until it has ended well, nothing else can be said.
    pub(super) fn begins(&mut self) {
        self.state = State::Broken;
        self.there = false;
    }

    /// Before the looks of a run after which this session rests.
    pub(super) fn watch(&mut self, grounds: Vec<Ground>) {
        if self.watch.is_none()
            && let Some(ringer) = self.peer.ringer()
        {
            self.unwatched_here.clear();
            match Watch::start(self.fs.clone(), move || ringer.ring()) {
                Ok(watch) => self.watch = Some(watch),
                Err(error) => {
                    let text = format!("nothing is watched: {error}");
                    self.unwatched_here.push(Trouble::new(Host::Client, Vec::new(), text));
                }
            }
        }
        if let Some(watch) = &mut self.watch {
            watch.begin(grounds);
        }
    }
}

/// Whatever happened: what was read need not be read again.
fn finish<F: Fs>(pairs: Vec<Pair<F>>, options: &RunOptions) {
    for mut pair in pairs {
        pair.finish(options);
    }
}

impl Peer {
    /// What was said and heard in this run goes into the report.
    fn tell(&mut self, report: &mut Report) {
        let (sent, received) = self.bytes_of_run();
        report.traffic = Traffic { sent, received, round_trips: self.round_trips, ..report.traffic };
        report.troubles.append(&mut self.troubles);
    }
}
