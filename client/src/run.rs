//! One run from beginning to end: arguments, endpoint, hooks, connection, session, report, exit code.
//!
//! Deliberately not here: any decision. Every room that is passed through has its own module; this
//! is the corridor.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use smd_maildir::fs::Disk;
use smd_protocol::seeded;

use crate::args::{self, Args, Command, Target, Typed};
use crate::config::template;
use crate::connect::{Connection, DEFAULT_COMMAND, Note, Told};
use crate::endpoint::{self, Endpoint, Resolved};
use crate::error::Failure;
use crate::exit::Exit;
use crate::home::SmdHome;
use crate::hooks::feed::Format;
use crate::hooks::untold::Untold;
use crate::hooks::{self, Failed, Hook, Manner, When};
use crate::journal::Journal;
use crate::log::frames::Listening;
use crate::log::past::{self, Past};
use crate::log::{Log, text};
use crate::looping::ask;
use crate::looping::words::Answer;
use crate::options::RunOptions;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Host, Met, Report, Trouble};
use crate::session::{self, Line, SessionError};
use crate::signals::Signals;

/// What every program of this crate does. The first of `args` is the program's name; called by the
/// name of the server, the program is the server: so a pair of local directories needs nothing else
/// installed.
pub fn main_impl(which: Command, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    if let Some(code) = served(&name) {
        return code;
    }
    let args = match args::parse(which, args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version go to stdout, the rest to stderr; nobody is left to tell when that
            // is closed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let output = Output::new(&args.typed);
    match run(which, &args, output.clone()) {
        Ok(exit) => output.end(exit),
        Err((failure, output)) => output.end(output.failure(&failure)),
    }
}

/// Is the server, when this process was started under its name. Every program that connects asks this first, with
/// the name that it was called by.
pub fn served(name: &OsStr) -> Option<ExitCode> {
    (Path::new(name).file_name() == Some(OsStr::new(DEFAULT_COMMAND))).then(smd_server::main_impl)
}

/// Up to the report. A failure brings the output along as it was adjusted by the config.
fn run(which: Command, args: &Args, mut output: Output) -> Result<Exit, (Box<Failure>, Output)> {
    let home = match SmdHome::from_env() {
        Ok(home) => home,
        Err(error) => return Err((Box::new(Failure::endpoint(&args.target, which, error.into())), output)),
    };
    if let (true, Target::Endpoint(name)) = (args.typed.template_only, &args.target) {
        return match template::write(&home, name) {
            Ok(path) => Ok(output.template(which, name, &path)),
            Err(error) => Err((Box::new(Failure::endpoint(&args.target, which, error.into())), output)),
        };
    }
    if args.typed.status {
        return past_runs(which, args, home, &output).map_err(|failure| (Box::new(failure), output));
    }
    let resolved = match endpoint::resolve(args, which.direction(), home) {
        Ok(resolved) => resolved,
        Err(error) => return Err((Box::new(Failure::endpoint(&args.target, which, error)), output)),
    };
    output.adjust(&resolved);
    // A loop that serves the endpoint does it in its open session.
    let waits = |text: &str| output.note(text);
    let asked = if hooks::within() { None } else { ask::run(args, &resolved, waits) };
    match asked {
        Some(Answer::Report(report)) => return Ok(output.report(&report)),
        Some(Answer::Failure(failure)) => return Err((failure, output)),
        Some(Answer::Declined(_)) | None => {}
    }
    let signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => return Err((Box::new(Failure::signals(&error)), output)),
    };
    let run = perform(&resolved, &output, &signals.stop(), &|_| {}, |progress| {
        let told = output.clone().notes_while_connecting(resolved.options.verbose > 0);
        over_connection(&resolved, &signals, progress, told, session::run)
    });
    match run {
        Ok(report) => Ok(output.report(&report)),
        Err(failure) => {
            let exit = signals.exit().unwrap_or(failure.exit);
            Err((Box::new(Failure { exit, ..*failure }), output))
        }
    }
}

/// Shows the last runs. An endpoint that has had none must have a config, or its name is a slip of the pen.
fn past_runs(which: Command, args: &Args, home: SmdHome, output: &Output) -> Result<Exit, Failure> {
    let wrong = |error| Failure::endpoint(&args.target, which, error);
    let read = |home: &SmdHome, name: &str| past::read(home, name).map_err(|error| Failure::runs(name, &error));
    if let Target::Endpoint(name) = &args.target {
        let runs = read(&home, name)?;
        if runs.is_empty() {
            endpoint::resolve(args, which.direction(), home).map_err(wrong)?;
        }
        return Ok(output.status(name, &runs));
    }
    let endpoint = endpoint::resolve(args, which.direction(), home).map_err(wrong)?.endpoint;
    Ok(output.status(&endpoint.name, &read(&endpoint.home, &endpoint.name)?))
}

/// One run with all that belongs to it: hooks before and after, log, and the report. Every program that runs an
/// endpoint does it by this; `session` is the part between the hooks, over whatever connection the program has. `stop` ends
/// hooks too, and a run that was stopped has no hooks after it. `at_hook` is told of each that begins and, with none, ends.
///
/// # Errors
/// When a pre hook or the session failed, in words.
pub fn perform(
    resolved: &Resolved,
    output: &Output,
    stop: &AtomicBool,
    at_hook: &dyn Fn(Option<&Hook>),
    session: impl FnOnce(&mut Progress) -> Result<Report, Box<Failure>>,
) -> Result<Report, Box<Failure>> {
    let Resolved { endpoint, options, voice, .. } = resolved;
    let mut journal = Journal::default();
    if !options.dry_run {
        journal = journal.with_log(Log::new(&endpoint.home, &endpoint.name), &endpoint.server);
    }
    let listening = (voice.debug && !options.dry_run).then(|| Listening::to(&journal));
    let when = Timestamp::now();
    let start = Instant::now();
    let result = between_hooks(resolved, output, &journal, stop, at_hook, session);
    drop(listening);
    if journal.has_log() {
        let direction = options.direction.word();
        let past = match &result {
            Ok(report) => {
                text::report(report).iter().for_each(|line| journal.line(line));
                Past::of_report(when, report)
            }
            Err(failure) => {
                journal.line(&text::failure(direction, failure));
                Past::of_failure(when, direction, start.elapsed().as_secs_f64(), failure)
            }
        };
        let added = past::add(&endpoint.home, &endpoint.name, &past);
        let broken =
            journal.end_log().or_else(|| added.err().map(|error| format!("this run cannot be noted: {error}")));
        if let Some(text) = broken.filter(|_| !output.quiet()) {
            output.warn(&format!("{text}."), None);
        }
    }
    result
}

fn between_hooks(
    resolved: &Resolved,
    output: &Output,
    journal: &Journal,
    stop: &AtomicBool,
    at_hook: &dyn Fn(Option<&Hook>),
    session: impl FnOnce(&mut Progress) -> Result<Report, Box<Failure>>,
) -> Result<Report, Box<Failure>> {
    let Resolved { endpoint, options, .. } = resolved;
    let within = hooks::within() && !seeded::is("hooks-of-hooks");
    let find = |when| match options.dry_run || within {
        true => Ok(Vec::new()),
        false => hooks::find(&endpoint.home, when, options.direction),
    };
    let mut heard = |hook: &Hook, said: &[String]| {
        said.iter().for_each(|line| journal.line(&format!("hook {}: {line}", hook.shown())));
    };
    let pass_on = options.verbose > 0;
    let mut manner = Manner { endpoint: &endpoint.name, pass_on, stop, at: at_hook, heard: &mut heard };
    find(When::Pre).and_then(|hooks| hooks::before(hooks, &mut manner)).map_err(|failed| {
        Box::new(match stop.load(Ordering::Relaxed) {
            true => Failure::stopped(Exit::Interrupted),
            false => Failure::hook(endpoint, &failed),
        })
    })?;
    let (after, unreadable) = match find(When::Post) {
        Ok(hooks) => (hooks, None),
        Err(failed) => (Vec::new(), Some(failed)),
    };
    let mut untold = Untold::new(&endpoint.home, &endpoint.name, options.direction);
    match after.is_empty() && !within {
        false => journal.keep_changes(untold),
        // Hooks that are gone need not be told.
        true if unreadable.is_none() && !options.dry_run => untold.forget(),
        true => {}
    }

    let mut progress = Progress::new(output.progress()).telling(journal).speaking(output);
    let start = Instant::now();
    let mut result = session(&mut progress);
    progress.finish();
    let took = start.elapsed();

    let status = result.as_ref().map_or_else(|failure| failure.exit, Report::exit);
    let mut failed: Vec<Failed> = unreadable.into_iter().collect();
    let changes = journal.take_changes();
    let called = status != Exit::Ok || journal.has_changes() || seeded::is("hooks-after-every-run");
    if called && !stop.load(Ordering::Relaxed) {
        journal.flush();
        failed.extend(hooks::after(after, status.code(), &changes, Format::from_env(), &mut manner));
        if failed.is_empty() && !within && !stop.load(Ordering::Relaxed) {
            journal.all_told();
        }
    }
    match &mut result {
        Ok(report) => {
            report.took = took;
            report.changed_here = changes;
            report.troubles.extend(failed.iter().map(trouble));
        }
        // The run has its own error; these are told beside it.
        Err(_) => failed.iter().for_each(|failed| {
            let text = format!("the hook {} failed: {}", failed.hook.shown(), failed.fault.what);
            journal.line(&text);
            output.warn(&format!("{text}."), None);
        }),
    }
    result
}

/// A hook that failed after a good run, as part of its report.
fn trouble(failed: &Failed) -> Trouble {
    let last = failed.fault.said.last().map(|line| format!("; it said: {line}")).unwrap_or_default();
    let path = failed.hook.path.as_os_str().as_encoded_bytes().to_vec();
    let text = format!("the hook failed, {}{last}", failed.fault.what);
    Trouble { met: Met::Hook, ..Trouble::new(Host::Client, path, text) }
}

/// How often one run connects again, in addition to once for each root, because the server asks for it.
pub const RECONNECTS: usize = 2;

/// How many connections one run may take.
pub(crate) fn connections(endpoint: &Endpoint) -> usize {
    1 + RECONNECTS + endpoint.roots.len()
}

/// Connects, has this conversation, and explains what went wrong. The conversation begins anew where the server asks for
/// another connection.
///
/// # Errors
/// When the connection or the conversation failed, in words.
pub fn connected<T>(
    resolved: &Resolved,
    output: &Output,
    converse: impl FnMut(
        &Arc<Disk>,
        &Endpoint,
        &RunOptions,
        Line,
        &mut Progress,
        Arc<AtomicBool>,
    ) -> Result<T, SessionError>,
) -> Result<T, Box<Failure>> {
    let signals = Signals::catch().map_err(|error| Box::new(Failure::signals(&error)))?;
    let told = output.clone().notes_while_connecting(true);
    over_connection(resolved, &signals, &mut Progress::new(output.progress()), told, converse)
}

fn over_connection<T>(
    resolved: &Resolved,
    signals: &Signals,
    progress: &mut Progress,
    told: Told,
    mut converse: impl FnMut(
        &Arc<Disk>,
        &Endpoint,
        &RunOptions,
        Line,
        &mut Progress,
        Arc<AtomicBool>,
    ) -> Result<T, SessionError>,
) -> Result<T, Box<Failure>> {
    let Resolved { endpoint, options, .. } = resolved;
    let mut again = connections(endpoint);
    let told = Arc::new(Mutex::new(told));
    let (result, ending) = loop {
        let told = Arc::clone(&told);
        let telling = Box::new(move |note: &Note| (told.lock().unwrap_or_else(PoisonError::into_inner))(note));
        let (connection, link) = Connection::open_telling(endpoint, options.verbose > 0, telling)
            .map_err(|error| Box::new(Failure::start(&error)))?;
        let killer = connection.killer();
        signals.cut_after_grace(move || killer.kill());
        let result = converse(&Arc::new(Disk), endpoint, options, Line::over(link), progress, signals.stop());
        let ending = connection.finish();
        tracing::debug!(?ending, "the connection ended");
        again -= 1;
        match result {
            Err(SessionError::Reconnect) if again > 0 && !signals.stop().load(Ordering::Relaxed) => {}
            result => break (result, ending),
        }
    };
    progress.finish();
    result.map_err(|error| Box::new(Failure::session(endpoint, error, &ending, signals.exit(), options.verbose > 0)))
}

/// The options that shape the output, before any config was read.
impl From<&Typed> for endpoint::Voice {
    fn from(typed: &Typed) -> Self {
        Self { quiet: typed.quiet, tags: typed.show_tags, json: typed.json, debug: false }
    }
}
