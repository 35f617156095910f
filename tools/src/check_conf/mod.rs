//! `smd-check-conf`: shows what a config means on both hosts, and says what to change.
//!
//! Both hosts list their folders in a dry run that reads no message; translation and excludes are played here. Whether a run would
//! work is for the run itself to say, in an ordinary dry run; before the first one, which would read every message, by what
//! the lists met. The rooms: [`args`] (what was typed), [`mod@compare`] (both lists), [`text`] (what is said of them).
//!
//! Deliberately not here: anything that a run would do, and what configs of other programs say ([`crate::import`]).

pub mod args;
pub mod compare;
pub mod text;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use smd_client::Command;
use smd_client::args::Args;
use smd_client::endpoint::{self, Resolved};
use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::options::Direction;
use smd_client::output::Output;
use smd_client::report::Report;
use smd_client::run::{connected, served};
use smd_client::session::{self, BothFolders};
use smd_protocol::seeded;
use smd_protocol::told::json_line;

use crate::import::{self, ImportError};
use crate::undo::{failure, io_failure};
use args::Import;
use compare::{RootCheck, check};
use text::Check;

/// What `smd-check-conf` does. The first of `args` is the program's name.
pub fn main_impl(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    if let Some(code) = served(&name) {
        return code;
    }
    let (args, import) = match args::parse(args) {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let mut output = Output::new(&args.typed);
    if let Some(import) = import {
        return match imported(&import, &output, args.typed.quiet) {
            Ok(()) => output.end(Exit::Ok),
            Err(failure) => output.end(output.failure(&failure)),
        };
    }
    let result = resolve(&args).and_then(|resolved| {
        output.adjust(&resolved);
        let both = connected(&resolved, &output, session::both_folders)?;
        Ok((resolved, both))
    });
    match result {
        Ok((resolved, both)) => output.end(report(&args, &resolved, &output, &both)),
        Err(failure) => output.end(output.failure(&failure)),
    }
}

/// Writes configs, and says what a person must look at in them.
fn imported(import: &Import, output: &Output, quiet: bool) -> Result<(), Box<Failure>> {
    let home = SmdHome::from_env()
        .map_err(|error| failure(Exit::Config, "Your home directory is not known.", Some(error.to_string()), None))?;
    let made =
        import::run(import.kind, &import.file, home.user(), Some(home.path())).map_err(|error| match &error {
            ImportError::Io(_, cause) => io_failure(format!("{error}: {cause}")),
            _ => failure(Exit::Config, "No config was written.", Some(error.to_string()), None),
        })?;
    for one in made.iter().filter(|_| !quiet) {
        let file = one.file.as_deref().unwrap_or(Path::new("")).display();
        output.say(&format!("{file} written. In it, CHECK:\n"));
        one.untold.iter().for_each(|text| output.say(&format!("  - {text}\n")));
        output.say(&format!("Then: smd-check-conf {}\n", one.endpoint));
    }
    Ok(())
}

fn resolve(args: &Args) -> Result<Resolved, Box<Failure>> {
    let mut resolved = as_a_run(args)?;
    // Habits from the config are for runs that change something.
    resolved.options.verbose = args.typed.verbose;
    resolved.voice.tags = false;
    resolved.voice.quiet = args.typed.quiet;
    Ok(resolved)
}

/// What a run would be told, but that it changes nothing.
fn as_a_run(args: &Args) -> Result<Resolved, Box<Failure>> {
    let failed = |error| Box::new(Failure::endpoint(&args.target, Command::Sync, error));
    let home = SmdHome::from_env().map_err(|error| failed(error.into()))?;
    let mut resolved = endpoint::resolve(args, Direction::Sync, home).map_err(failed)?;
    resolved.options.dry_run = true;
    Ok(resolved)
}

/// How a run would end, as the run itself says. None where only a look at every message could tell.
fn rehearsed(args: &Args, output: &Output, both: &BothFolders) -> Option<Result<Report, Box<Failure>>> {
    let run = || connected(&as_a_run(args)?, output, session::run);
    (both.has_base && !seeded::is("a-check-is-its-own-judge")).then(run)
}

fn report(args: &Args, resolved: &Resolved, output: &Output, both: &BothFolders) -> Exit {
    let endpoint = &resolved.endpoint;
    let roots: Vec<RootCheck> =
        endpoint.roots.iter().zip(&both.roots).map(|(root, sides)| check(root, sides)).collect();
    let mut check = Check {
        endpoint: &endpoint.name,
        client: &endpoint.client,
        server: &endpoint.server,
        server_version: both.server_version.as_deref(),
        roots: &roots,
        rehearsed: None,
    };
    check.rehearsed = rehearsed(args, output, both);
    let exit = check.exit();
    match (resolved.voice.json, resolved.voice.quiet) {
        (true, _) => output.say(&json_line(&check.json())),
        (false, true) if exit == Exit::Ok => {}
        (false, true) => output.say(&check.advice()),
        (false, false) => output.say(&check.listing()),
    }
    exit
}
