//! `smd-loop`: keeps endpoints equal all the time, one thread for each, and answers those who ask.
//!
//! The rooms: `args` and `file` (which endpoints), `schedule` (what is due when), `worker` (an endpoint's thread),
//! `desk` (what it is asked for), `herald` (what is said, once), `causes` (what is one thing to know, whoever meets it),
//! `status` and `board` (how it fares), `socket`,
//! `ask` and `words` (the running loop and those who ask it), `resume` (suspends), `systemd` (the service manager). This
//! file starts them, listens to signals, and ends them.
//!
//! Deliberately not here: how a session runs and watches (`session`).

pub mod args;
pub mod ask;
mod board;
mod causes;
mod desk;
pub mod file;
mod herald;
mod resume;
pub mod schedule;
mod socket;
pub mod status;
mod systemd;
pub mod words;
mod worker;

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use smd_protocol::wire::SILENCE_SECONDS;

use crate::args::{Command, Target, Typed};
use crate::config::ConfigError;
use crate::endpoint::EndpointError;
use crate::error::Failure;
use crate::exit::Exit;
use crate::home::SmdHome;
use crate::output::Output;
use args::Args;
use board::Board;
use causes::Disks;
use desk::{Desk, Order};
use file::{Entry, FileError};
use herald::Herald;
use schedule::Rhythm;
use socket::{Reception, Seat, SeatError};
use status::Presence;
use systemd::Manager;
use worker::{Place, Worker};

/// How long a run may take to stop between two messages before its connection is cut.
const GRACE: Duration = Duration::from_millis(700);
/// How long a thread may take after that. What a killed run leaves is what any crash leaves.
const LAST_GRACE: Duration = Duration::from_secs(3);

/// The program. The first of `args` is its name.
pub fn main_impl(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    if let Some(code) = crate::run::served(&name) {
        return code;
    }
    let args = match args::parse(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version go to stdout, the rest to stderr; nobody is left to tell when that is closed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let output = Output::new(&Typed { json: args.typed.json, ..Typed::default() });
    output.log(false);
    match run(&args, &output) {
        Ok(exit) => output.end(exit),
        Err(failure) => output.end(output.failure(&failure)),
    }
}

fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let home = SmdHome::from_env().map_err(|error| {
        failure(Exit::Config, "Your home directory is not known.", &error, "set HOME, or SMD_HOME for config and state")
    })?;
    if args.typed.status {
        return Ok(tell_status(&home, args.typed.json, output));
    }
    let entries = entries(args, &home).map_err(|error| of_file(&home, &error))?;
    // A slip of the pen is told at once. What the loop file names may come later, and others of it go on.
    for name in &args.endpoints {
        let file = home.config_file(name);
        if !file.try_exists().unwrap_or(true) {
            let error = EndpointError::Config(ConfigError::Missing(file));
            return Err(Failure::endpoint(&Target::Endpoint(name.clone()), Command::Sync, error));
        }
    }
    if let Some(program) = args.notify.as_ref().and_then(|words| words.first())
        && !herald::is_installed(program)
    {
        let text = format!("{} is not installed, so nobody will be notified.", program.display());
        output.warn(
            &text,
            Some("install it (notify-send is in libnotify-bin or libnotify), or give another: --notify=CMD"),
        );
    }
    let seat = Seat::take(&home).map_err(|error| of_seat(&error))?;
    let cannot = |error: &io::Error| failure(Exit::Bug, "The loop cannot be started.", error, "smd-loop --help");
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCONT]).map_err(|error| cannot(&error))?;
    let ending = Arc::new(AtomicBool::new(false));
    for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
        // The second one ends the process at once.
        flag::register_conditional_shutdown(signal, i32::from(exit.code()), Arc::clone(&ending))
            .map_err(|error| cannot(&error))?;
    }
    let manager = Manager::from_env();
    let board = Arc::new(Board::new(&home, manager.clone()));
    let reception = Arc::new(Reception::new(Arc::clone(&board)));
    let mut crew = Crew {
        home: home.clone(),
        watch: !args.typed.no_watch,
        verbose: args.typed.verbose,
        herald: Arc::new(Herald::new(args.notify.clone(), args.typed.verbose)),
        board,
        reception: Arc::clone(&reception),
        hired: BTreeMap::new(),
        desks: Arc::default(),
    };
    crew.serve(&entries).map_err(|error| cannot(&error))?;
    seat.answer(reception).map_err(|error| cannot(&error))?;
    let desks = Arc::clone(&crew.desks);
    // Without it only SIGUSR1 tells of a resume, or the next retry.
    let noticing = thread::Builder::new().name("resume".to_owned()).spawn(move || notice_resumes(&desks));
    noticing.map_err(|error| cannot(&error))?;
    manager.ready();
    let mut exit = Exit::Terminated;
    for signal in signals.forever() {
        match signal {
            // Stopped processes are like a suspended machine, but nobody knows for how long.
            SIGUSR1 | SIGCONT => poke(&crew.desks),
            SIGHUP => {
                manager.reloading();
                reload(args, &home, &mut crew);
                manager.ready();
            }
            signal => {
                exit = if signal == SIGINT { Exit::Interrupted } else { Exit::Terminated };
                break;
            }
        }
    }
    ending.store(true, Ordering::Relaxed);
    manager.stopping();
    crew.dismiss(|_| true);
    seat.leave();
    Ok(exit)
}

fn entries(args: &Args, home: &SmdHome) -> Result<Vec<Entry>, FileError> {
    if args.endpoints.is_empty() {
        return file::load(home);
    }
    let entry = |name: &String| Entry { endpoint: name.clone(), rhythm: Rhythm::default() };
    Ok(args.endpoints.iter().map(entry).collect())
}

fn reload(args: &Args, home: &SmdHome, crew: &mut Crew) {
    match entries(args, home) {
        Ok(entries) => {
            crew.dismiss(|name| !entries.iter().any(|entry| entry.endpoint == name));
            for entry in &entries {
                if let Some(hired) = crew.hired.get(&entry.endpoint) {
                    hired.desk.post(Order::Reload(entry.rhythm));
                }
            }
            if let Err(error) = crew.serve(&entries) {
                tracing::error!(%error, "no thread can be started");
            }
        }
        // What was read before stays.
        Err(error) => {
            let hint = Some("edit it, then: systemctl --user reload smd-loop, or send SIGHUP".to_owned());
            crew.herald.failure(args::NAME, &Failure { hint, ..of_file(home, &error) }, &Disks::default());
        }
    }
}

/// Prints the status of the loop, or of the last one; all is well when a loop runs and has nothing to complain about.
fn tell_status(home: &SmdHome, json: bool, output: &Output) -> Exit {
    let (status, presence) = match (ask::status(home), socket::silent(home)) {
        (Some(status), _) => (Some(status), Presence::Runs),
        (None, Some(pid)) => (status::left(home), Presence::Silent { pid }),
        (None, None) => (status::left(home), Presence::Gone),
    };
    let now = status::now();
    match &status {
        Some(status) if json => output.say(&format!("{}\n", status.json(presence, now))),
        Some(status) => output.say(&status.text(presence, now)),
        None if json => output.say(&format!("{}\n", status::Status::none().json(presence, now))),
        None if presence != Presence::Gone => output.say("No loop answers, though one is there.\n"),
        None => output.say("No loop runs, and none has run here.\n"),
    }
    let well = status.is_some_and(|status| status.well());
    if presence == Presence::Runs && well { Exit::Ok } else { Exit::Partly }
}

fn failure(exit: Exit, heading: &str, error: &(dyn Error + 'static), hint: &str) -> Failure {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        causes.push(error.to_string());
        next = error.source();
    }
    causes.dedup();
    Failure { exit, heading: heading.to_owned(), causes, hint: Some(hint.to_owned()), at: None }
}

/// What to do about the loop file; one that is missing is written, to be edited.
fn of_file(home: &SmdHome, error: &FileError) -> Failure {
    let file = file::path(home);
    let run = "edit it, then start the loop again, or name endpoints: smd-loop ENDPOINT...";
    match error {
        FileError::Missing(_) => match file::write_template(home) {
            Ok(file) => {
                let heading = format!("{} did not exist; a template was written there.", file.display());
                Failure::new(Exit::Config, heading).hint(run)
            }
            Err(error) => failure(Exit::Io, "The loop file cannot be written.", &error, "smd-loop --help"),
        },
        FileError::Io(..) => failure(Exit::Io, "The loop file cannot be read.", error, "smd-loop --help"),
        FileError::Line { .. } => failure(Exit::Config, "The loop file has an error.", error, run),
        FileError::Empty(_) => Failure::new(Exit::Config, format!("{} names no endpoint.", file.display())).hint(run),
    }
}

fn of_seat(error: &SeatError) -> Failure {
    match error {
        SeatError::Taken(_) => Failure::new(Exit::Locked, format!("The loop was not started: {error}."))
            .hint("see its status: smd-loop --status"),
        SeatError::Io(_, why) => {
            let hint = match why.kind() {
                io::ErrorKind::PermissionDenied => "is that directory yours, and may you write there?",
                _ => "is the disk full?",
            };
            failure(Exit::Io, "The loop's socket cannot be made.", error, hint)
        }
    }
}

type Desks = Arc<Mutex<Vec<Arc<Desk>>>>;

fn each(desks: &Desks, act: impl Fn(&Desk)) {
    desks.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|desk| act(desk));
}

fn poke(desks: &Desks) {
    each(desks, |desk| desk.post(Order::Now));
}

/// Pokes everybody after each suspend. One so long that the server must have given up ends the sessions too: noticing that
/// by silence would take another minute.
fn notice_resumes(desks: &Desks) {
    let mut resumes = match resume::Resumes::watch() {
        Ok(resumes) => resumes,
        Err(error) => return tracing::warn!(%error, "resumes are not noticed"),
    };
    loop {
        match resumes.next() {
            Ok(slept) => {
                tracing::debug!(?slept, "resumed");
                if slept >= Duration::from_secs(SILENCE_SECONDS) {
                    each(desks, Desk::cut);
                }
                poke(desks);
            }
            Err(error) => return tracing::warn!(%error, "resumes are noticed no more"),
        }
    }
}

/// All threads and what they share.
struct Crew {
    home: SmdHome,
    watch: bool,
    verbose: u8,
    herald: Arc<Herald>,
    board: Arc<Board>,
    reception: Arc<Reception>,
    hired: BTreeMap<String, Hired>,
    desks: Desks,
}

struct Hired {
    desk: Arc<Desk>,
    /// Closed by the end of the thread.
    done: Receiver<()>,
}

impl Crew {
    /// Starts a thread for each endpoint that has none.
    fn serve(&mut self, entries: &[Entry]) -> io::Result<()> {
        self.board.serve(entries.iter().map(|entry| entry.endpoint.as_str()));
        for entry in entries {
            if self.hired.contains_key(&entry.endpoint) {
                continue;
            }
            let desk = Arc::new(Desk::default());
            let (open, done) = mpsc::channel();
            let place = Place {
                name: entry.endpoint.clone(),
                home: self.home.clone(),
                rhythm: entry.rhythm,
                watch: self.watch,
                verbose: self.verbose,
                desk: Arc::clone(&desk),
                board: Arc::clone(&self.board),
                herald: Arc::clone(&self.herald),
            };
            thread::Builder::new().name(entry.endpoint.clone()).spawn(move || {
                let _open: mpsc::Sender<()> = open;
                Worker::new(place).work();
            })?;
            self.reception.seat(&entry.endpoint, Some(Arc::clone(&desk)));
            self.desks.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&desk));
            self.hired.insert(entry.endpoint.clone(), Hired { desk, done });
        }
        Ok(())
    }

    /// Ends the threads of these endpoints: between two messages, or else without their connections.
    fn dismiss(&mut self, which: impl Fn(&str) -> bool) {
        let (gone, stay): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.hired).into_iter().partition(|(name, _)| which(name));
        self.hired = stay;
        for (name, hired) in &gone {
            self.reception.seat(name, None);
            hired.desk.stop();
        }
        let leave = |until: Instant| {
            gone.values()
                .map(|hired| hired.done.recv_timeout(until.saturating_duration_since(Instant::now())))
                .all(|left| left == Err(RecvTimeoutError::Disconnected))
        };
        if !leave(Instant::now() + GRACE) {
            gone.values().for_each(|hired| hired.desk.cut());
            leave(Instant::now() + LAST_GRACE);
        }
        gone.keys().for_each(|name| self.herald.forget(name));
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.retain(|desk| !gone.values().any(|hired| Arc::ptr_eq(desk, &hired.desk)));
    }
}
