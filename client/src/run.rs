//! One run from beginning to end: arguments, endpoint, connection, session, report, exit code.
//!
//! Deliberately not here: any decision. Every room that is passed through has its own module; this
//! is the corridor.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use smd_maildir::fs::Disk;

use crate::args::{self, Args, Command, Target, Typed};
use crate::config::template;
use crate::connect::{Connection, DEFAULT_COMMAND};
use crate::endpoint::{self, Endpoint, Resolved};
use crate::error::Failure;
use crate::exit::Exit;
use crate::home::SmdHome;
use crate::options::RunOptions;
use crate::output::Output;
use crate::progress::Progress;
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
    match run(which, &args, output) {
        Ok(exit) => exit.into(),
        Err((failure, output)) => output.failure(&failure).into(),
    }
}

/// Is the server, when this process was started under its name. Every program that connects asks this first, with
/// the name that it was called by.
pub fn served(name: &OsStr) -> Option<ExitCode> {
    (Path::new(name).file_name() == Some(OsStr::new(DEFAULT_COMMAND))).then(smd_server::main_impl)
}

/// Up to the report. A failure brings the output along as it was adjusted by the config.
fn run(which: Command, args: &Args, mut output: Output) -> Result<Exit, (Box<Failure>, Output)> {
    let start = Instant::now();
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
    let resolved = match endpoint::resolve(args, which.direction(), home) {
        Ok(resolved) => resolved,
        Err(error) => return Err((Box::new(Failure::endpoint(&args.target, which, error)), output)),
    };
    output.adjust(&resolved);
    match connected(&resolved, &output, session::run) {
        Ok(mut report) => {
            report.took = start.elapsed();
            Ok(output.report(&report))
        }
        Err(failure) => Err((failure, output)),
    }
}

/// Connects, has this conversation, and explains what went wrong.
///
/// # Errors
/// When the connection or the conversation failed, in words.
pub fn connected<T>(
    resolved: &Resolved,
    output: &Output,
    converse: impl FnOnce(
        &Arc<Disk>,
        &Endpoint,
        &RunOptions,
        Line,
        &mut Progress,
        Arc<AtomicBool>,
    ) -> Result<T, SessionError>,
) -> Result<T, Box<Failure>> {
    let Resolved { endpoint, options, .. } = resolved;
    let signals = Signals::catch().map_err(|error| Box::new(Failure::signals(&error)))?;
    let mut progress = Progress::new(output.progress());
    let (connection, link) =
        Connection::open(endpoint, options.verbose > 0).map_err(|error| Box::new(Failure::start(&error)))?;
    let killer = connection.killer();
    signals.cut_after_grace(move || killer.kill());
    let result = converse(&Arc::new(Disk), endpoint, options, Line::over(link), &mut progress, signals.stop());
    progress.finish();
    let ending = connection.finish();
    tracing::debug!(?ending, "the connection ended");
    result.map_err(|error| Box::new(Failure::session(endpoint, error, &ending, signals.exit(), options.verbose > 0)))
}

/// The options that shape the output, before any config was read.
impl From<&Typed> for endpoint::Voice {
    fn from(typed: &Typed) -> Self {
        Self { quiet: typed.quiet, tags: typed.show_tags, json: typed.json, debug: false }
    }
}
