//! The thread of one endpoint: it runs, rests, is asked for things, and begins again; one thing at a time, so that runs of
//! an endpoint never overlap.
//!
//! Deliberately not here: what is due when (`schedule`), and what is said about it (`herald`, `status`).

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use smd_maildir::fs::Disk;
use smd_protocol::names::printable;

use super::board::Board;
use super::causes::Disks;
use super::desk::{Desk, Order};
use super::herald::Herald;
use super::schedule::{Passing, Rhythm, Schedule, Sight};
use super::status::{self, Doing};
use super::words::Answer;
use crate::args::{Args, Command, Target, Typed};
use crate::connect::{Connection, Note};
use crate::endpoint::{self, Resolved};
use crate::error::Failure;
use crate::exit::Exit;
use crate::home::SmdHome;
use crate::hooks::Hook;
use crate::options::{Direction, RunOptions};
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Host, Report};
use crate::run::{connections, perform};
use crate::session::{Line, Open, SessionError, Woken};

/// What a worker is given.
#[derive(Debug)]
pub(super) struct Place {
    /// The endpoint.
    pub(super) name: String,
    /// Where its config lies.
    pub(super) home: SmdHome,
    /// When it is due.
    pub(super) rhythm: Rhythm,
    /// Keep a session and watch.
    pub(super) watch: bool,
    /// As typed.
    pub(super) verbose: u8,
    /// Where orders come from.
    pub(super) desk: Arc<Desk>,
    /// Where to write how it fares.
    pub(super) board: Arc<Board>,
    /// Who says it.
    pub(super) herald: Arc<Herald>,
}

/// The thread's own.
pub(super) struct Worker {
    place: Place,
    schedule: Schedule,
    output: Output,
    fs: Arc<Disk>,
    loaded: Option<Loaded>,
    session: Option<Session>,
    /// The session has rested since its last run.
    rested: bool,
    /// What was said about what cannot be watched.
    unwatched: Vec<String>,
    /// Whether it was said that both hosts are watched.
    seen: bool,
}

/// A config as it was read.
struct Loaded {
    text: Vec<u8>,
    resolved: Resolved,
}

struct Session {
    open: Open<Disk>,
    connection: Connection,
}

impl Worker {
    /// One that has done nothing yet.
    pub(super) fn new(place: Place) -> Self {
        let schedule = Schedule::new(place.rhythm, Instant::now());
        let output = Output::new(&Typed { quiet: true, ..Typed::default() });
        Self {
            place,
            schedule,
            output,
            fs: Arc::new(Disk),
            loaded: None,
            session: None,
            rested: false,
            unwatched: Vec::new(),
            seen: false,
        }
    }

    /// Works until it is stopped.
    pub(super) fn work(mut self) {
        while !self.place.desk.stopped() {
            if let Some(order) = self.place.desk.take() {
                self.obey(order);
            } else if let Some(direction) = self.schedule.due(Instant::now(), self.sight()) {
                let verbose = self.place.verbose.saturating_sub(1);
                let _ =
                    self.run(|config| RunOptions { direction, verbose: config.verbose.max(verbose), ..config.clone() });
            } else {
                self.pause();
            }
        }
        self.close();
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Now => self.schedule.poke(),
            Order::Reload(rhythm) => {
                self.loaded = None;
                self.close();
                self.schedule.change(rhythm);
                self.schedule.poke();
            }
            // Where the loop fails, a person's own program may do better: it has a terminal to ask on.
            Order::Run(_, answer) if self.session.is_none() && self.schedule.failing() => {
                let _ = answer.send(Answer::Declined("the last run failed".to_owned()));
            }
            Order::Run(wish, answer) => {
                let stale = self.session.is_some();
                let mut result = self.run(|config| wish.options(config));
                // Nobody knew that the open connection was dead; the person's own program would make a new one.
                if stale && matches!(&result, Err(failure) if failure.exit == Exit::Network) {
                    result = self.run(|config| wish.options(config));
                }
                // Whoever asked may be gone.
                let _ = match result {
                    Ok(report) => answer.send(Answer::Report(Box::new(report))),
                    Err(_) if self.place.desk.stopped() => Ok(()),
                    Err(failure) => answer.send(Answer::Failure(failure)),
                };
            }
        }
    }

    /// One run with these options, and what follows from it.
    fn run(&mut self, options: impl FnOnce(&RunOptions) -> RunOptions) -> Result<Report, Box<Failure>> {
        self.place.board.note(&self.place.name, |one| one.doing = Doing::Working);
        let mut direction = Direction::Sync;
        let result = self.load().and_then(|mut resolved| {
            resolved.options = options(&resolved.options);
            direction = resolved.options.direction;
            let (output, stop) = (self.output.clone(), self.place.desk.stop_flag());
            let (board, name) = (Arc::clone(&self.place.board), self.place.name.clone());
            let at_hook = |hook: Option<&Hook>| board.note(&name, |one| one.hook = hook.map(Hook::shown));
            perform(&resolved, &output, &stop, &at_hook, |progress| self.converse(&resolved, progress))
        });
        match &result {
            Ok(report) => self.ran(report, direction),
            Err(failure) => self.failed(failure),
        }
        if !self.place.watch {
            self.close();
        }
        result
    }

    fn ran(&mut self, report: &Report, direction: Direction) {
        self.place.board.note(&self.place.name, |one| one.ran(report));
        if report.dry_run {
            return;
        }
        self.place.herald.report(&self.place.name, report, &self.disks());
        match report.exit() {
            Exit::Partly => self.schedule.left(direction, Instant::now(), jitter()),
            _ => self.schedule.done(direction, Instant::now()),
        }
    }

    fn failed(&mut self, failure: &Failure) {
        if self.place.desk.stopped() {
            return;
        }
        tracing::debug!(endpoint = self.place.name, heading = failure.heading, "failed");
        let mut failure = failure.clone();
        if failure.exit.try_again() {
            // Nobody need type anything.
            failure.hint = Some("the loop will retry; nothing is lost".to_owned());
        }
        let failure = &failure;
        self.place.board.note(&self.place.name, |one| one.failed(failure));
        self.place.herald.failure(&self.place.name, failure, &self.disks());
        let passing = if failure.exit.try_again() { Passing::Itself } else { Passing::ByPerson };
        self.schedule.failed(passing, Instant::now(), jitter());
    }

    /// The file systems of the endpoint, as far as its config was read.
    fn disks(&self) -> Disks {
        self.loaded.as_ref().map_or_else(Disks::default, |loaded| Disks::of(&loaded.resolved.endpoint))
    }

    /// The endpoint as its config says now. A session of another config is closed.
    fn load(&mut self) -> Result<Resolved, Box<Failure>> {
        // What cannot be read is told when it is resolved.
        let text = fs::read(self.place.home.config_file(&self.place.name)).unwrap_or_default();
        if let Some(loaded) = self.loaded.as_ref().filter(|loaded| loaded.text == text) {
            return Ok(loaded.resolved.clone());
        }
        self.close();
        self.loaded = None;
        let args = Args { target: Target::Endpoint(self.place.name.clone()), typed: Typed::default() };
        let resolved = endpoint::resolve(&args, Direction::Sync, self.place.home.clone())
            .map_err(|error| Box::new(Failure::endpoint(&args.target, Command::Sync, error)))?;
        self.output.log(resolved.voice.debug);
        self.loaded = Some(Loaded { text, resolved: resolved.clone() });
        Ok(resolved)
    }

    /// The part of a run that needs the other host.
    fn converse(&mut self, resolved: &Resolved, progress: &mut Progress) -> Result<Report, Box<Failure>> {
        if self.session.as_ref().is_some_and(|session| session.open.is_over()) {
            self.close();
        }
        for left in (0..connections(&resolved.endpoint)).rev() {
            let mut session = match self.session.take() {
                Some(session) => session,
                None => self.connect(resolved)?,
            };
            let result = session.open.run(&resolved.options, progress);
            self.place.board.note(&self.place.name, |one| one.waits = None);
            match result {
                Ok(report) => {
                    self.session = Some(session);
                    self.rested = false;
                    return Ok(report);
                }
                // Nothing is wrong: another server can do what this one cannot.
                Err(error @ SessionError::Reconnect) if left > 0 && !self.place.desk.stopped() => {
                    self.broken(resolved, session, error);
                }
                Err(error) => return Err(self.broken(resolved, session, error)),
            }
        }
        unreachable!("the last connection succeeds or fails")
    }

    fn connect(&self, resolved: &Resolved) -> Result<Session, Box<Failure>> {
        let (board, herald, name) =
            (Arc::clone(&self.place.board), Arc::clone(&self.place.herald), self.place.name.clone());
        let told = Box::new(move |note: &Note| match note {
            Note::Waiting(text) => board.note(&name, |one| one.waits = Some(text.clone())),
            Note::Found(text) => herald.aside(&name, text),
        });
        let (connection, link) = Connection::open_telling(&resolved.endpoint, self.place.verbose > 1, told)
            .map_err(|error| Box::new(Failure::start(&error)))?;
        self.place.desk.connected(Some(connection.killer()));
        let line = Line::over(link);
        let open = Open::new(Arc::clone(&self.fs), resolved.endpoint.clone(), line, self.place.desk.stop_flag());
        Ok(Session { open, connection })
    }

    /// Why a session ended, in words.
    fn broken(&self, resolved: &Resolved, session: Session, error: SessionError) -> Box<Failure> {
        let Session { open, connection } = session;
        drop(open);
        // A link that fell silent would keep its child for long.
        if matches!(&error, SessionError::Lost { source: Some(why), .. } if why.kind() == io::ErrorKind::TimedOut) {
            connection.killer().kill();
        }
        let ending = connection.finish();
        self.place.desk.connected(None);
        let stopped = self.place.desk.stopped().then_some(Exit::Terminated);
        Box::new(Failure::session(&resolved.endpoint, error, &ending, stopped, self.place.verbose > 1))
    }

    fn close(&mut self) {
        if let Some(Session { open, connection }) = self.session.take() {
            if let Err(error) = open.close() {
                tracing::debug!(%error, "the goodbye was not heard");
            }
            connection.finish();
            self.place.desk.connected(None);
        }
    }

    /// Whether both hosts are seen.
    fn sight(&self) -> Sight {
        match &self.session {
            Some(session) if !session.open.is_over() && session.open.unwatched().is_empty() => Sight::Watching,
            _ => Sight::Blind,
        }
    }

    /// Rests in the session, or waits without one, until something may be due.
    fn pause(&mut self) {
        // What is watched is known when a rest has begun, and only then how long it may be.
        if self.session.is_some() && !self.rested {
            self.rest(Some(Instant::now()));
            self.rested = true;
            return;
        }
        let sight = self.sight();
        let until = self.schedule.wait(sight);
        let doing = match sight {
            _ if self.schedule.failing() => Doing::Retrying,
            Sight::Watching => Doing::Watching,
            Sight::Blind => Doing::Waiting,
        };
        let next = until.map(|until| status::now() + until.saturating_duration_since(Instant::now()).as_secs());
        let unwatched = self.name_unwatched();
        self.place.board.note(&self.place.name, |one| {
            (one.doing, one.next, one.unwatched) = (doing, next, unwatched);
        });
        if (doing == Doing::Watching) != self.seen {
            self.seen = !self.seen;
            if self.seen {
                self.place.herald.watching(&self.place.name);
            }
        }
        match self.session {
            Some(_) => self.rest(until),
            None => self.place.desk.wait(until),
        }
    }

    fn rest(&mut self, until: Option<Instant>) {
        let Some(mut session) = self.session.take() else { return };
        match session.open.rest(until, self.place.desk.waker()) {
            Ok(woken) => {
                self.session = Some(session);
                if matches!(woken, Woken::Here | Woken::There) {
                    self.schedule.see();
                }
            }
            Err(error) => {
                let Some(loaded) = &self.loaded else { return };
                let failure = self.broken(&loaded.resolved, session, error);
                self.failed(&failure);
            }
        }
    }

    /// What cannot be watched, in words, said when it is another than before.
    fn name_unwatched(&mut self) -> Vec<String> {
        let Some(session) = &self.session else { return self.unwatched.clone() };
        let mut names: Vec<String> = session
            .open
            .unwatched()
            .iter()
            .map(|trouble| {
                let host = if trouble.host == Host::Client { "this host" } else { "the server" };
                format!("{} at {host}: {}", printable(&trouble.path), printable(trouble.text.as_bytes()))
            })
            .collect();
        if session.open.is_over() && names.is_empty() {
            names.push("the server cannot watch: it has an older version".to_owned());
        }
        if names != self.unwatched {
            names.iter().filter(|name| !self.unwatched.contains(name)).for_each(|name| {
                self.place
                    .herald
                    .remark(&self.place.name, &format!("not watched, synced every few minutes instead: {name}"));
            });
            self.unwatched.clone_from(&names);
        }
        names
    }
}

/// A random number from 0 to 1; no secret depends on it.
fn jitter() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}
