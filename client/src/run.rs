//! One run from beginning to end: arguments, endpoint, connection, session, report, exit code.
//!
//! Deliberately not here: any decision. Every room that is passed through has its own module; this
//! is the corridor, and the types that the session shares with the others.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use crate::args::{self, Args, Command, Target, Typed};
use crate::config::template;
use crate::connect::{Connection, DEFAULT_COMMAND};
use crate::endpoint::{self, Resolved};
use crate::error::Failure;
use crate::exit::Exit;
use crate::home::SmdHome;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::Report;
use crate::session;
use crate::signals::Signals;

/// Which way changes go: a policy of the planner, nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The client takes what changed at the server.
    Pull,
    /// The server takes what changed at the client.
    Push,
    /// Both.
    #[default]
    Sync,
}

/// How closely both hosts look at their mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Scan {
    /// Unchanged directories are not listed.
    #[default]
    Quick,
    /// Every file's stamps are compared.
    Stat,
    /// Every file is read.
    Full,
}

/// Another limit for the bulk guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxDelete {
    /// More deletes and replacements than this, per root.
    Count(u64),
    /// More than this share of a root's messages, from 0 to 100.
    Percent(u8),
}

/// What the session is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Which way changes go.
    pub direction: Direction,
    /// Change nothing; fill the report's items with the plan.
    pub dry_run: bool,
    /// Hold back deletes and replacements.
    pub no_delete: bool,
    /// How closely to look, at least.
    pub scan: Scan,
    /// The bulk guard does not trip.
    pub allow_bulk_delete: bool,
    /// Drop the base and unite.
    pub adopt: bool,
    /// Adopt although most headers differ.
    pub adopt_other_headers: bool,
    /// Above zero: fill the report's items.
    pub verbose: u8,
    /// Days that messages rest in this host's grave.
    pub grave_days: u32,
    /// Another limit for the bulk guard.
    pub max_delete: Option<MaxDelete>,
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

impl Direction {
    /// The word for it in texts and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Sync => "sync",
        }
    }
}

impl MaxDelete {
    /// Reads `30` or `30%`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim_end().parse().ok().filter(|&percent| percent <= 100).map(Self::Percent),
            None => text.trim().parse().ok().map(Self::Count),
        }
    }
}

/// What every program of this crate does. The first of `args` is the program's name; called by the
/// name of the server, the program is the server: so a pair of local directories needs nothing else
/// installed.
pub fn main_impl(which: Command, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    if Path::new(&name).file_name() == Some(OsStr::new(DEFAULT_COMMAND)) {
        return smd_server::main_impl();
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
    match work(&resolved, &output) {
        Ok(mut report) => {
            report.took = start.elapsed();
            Ok(output.report(&report))
        }
        Err(failure) => Err((failure, output)),
    }
}

/// Connects, runs the session, and explains what went wrong.
fn work(resolved: &Resolved, output: &Output) -> Result<Report, Box<Failure>> {
    let Resolved { endpoint, options, .. } = resolved;
    let signals = Signals::catch().map_err(|error| Box::new(Failure::signals(&error)))?;
    let mut progress = Progress::new(output.progress());
    let (connection, link) =
        Connection::open(endpoint, options.verbose > 0).map_err(|error| Box::new(Failure::start(&error)))?;
    let killer = connection.killer();
    signals.cut_after_grace(move || killer.kill());
    let result = session::run(endpoint, options, link, &mut progress, signals.stop());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_a_share() {
        assert_eq!(MaxDelete::parse(" 20 "), Some(MaxDelete::Count(20)));
        assert_eq!(MaxDelete::parse("20%"), Some(MaxDelete::Percent(20)));
        for text in ["", "%", "101%", "-1", "x", "1.5%"] {
            assert_eq!(MaxDelete::parse(text), None, "{text}");
        }
    }
}
