//! `smd-check-conf`: shows what a config means on both hosts, and says what to change.
//!
//! Both hosts list their folders in a dry run that reads no message; translation and excludes are played here. The rooms:
//! [`args`] (what was typed), [`mod@compare`] (both lists), [`text`] (what is said of them).
//!
//! Deliberately not here: anything that a run would do, and configs of other programs.

pub mod args;
pub mod compare;
pub mod text;

use std::ffi::OsString;
use std::process::ExitCode;

use smd_client::Command;
use smd_client::args::Args;
use smd_client::endpoint::{self, Resolved};
use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::options::Direction;
use smd_client::output::Output;
use smd_client::run::{connected, served};
use smd_client::session::{self, BothFolders};

use compare::{RootCheck, check};
use text::Check;

/// What `smd-check-conf` does. The first of `args` is the program's name.
pub fn main_impl(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    if let Some(code) = served(&name) {
        return code;
    }
    let args = match args::parse(args) {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let mut output = Output::new(&args.typed);
    let result = resolve(&args).and_then(|resolved| {
        output.adjust(&resolved);
        let both = connected(&resolved, &output, session::both_folders)?;
        Ok((resolved, both))
    });
    match result {
        Ok((resolved, both)) => report(&resolved, &output, &both).into(),
        Err(failure) => output.failure(&failure).into(),
    }
}

fn resolve(args: &Args) -> Result<Resolved, Box<Failure>> {
    let failed = |error| Box::new(Failure::endpoint(&args.target, Command::Sync, error));
    let home = SmdHome::from_env().map_err(|error| failed(error.into()))?;
    let mut resolved = endpoint::resolve(args, Direction::Sync, home).map_err(failed)?;
    // Habits from the config are for runs that change something.
    resolved.options.dry_run = true;
    resolved.options.verbose = args.typed.verbose;
    resolved.voice.tags = false;
    resolved.voice.quiet = args.typed.quiet;
    Ok(resolved)
}

fn report(resolved: &Resolved, output: &Output, both: &BothFolders) -> Exit {
    let endpoint = &resolved.endpoint;
    let roots: Vec<RootCheck> =
        endpoint.roots.iter().zip(&both.roots).map(|(root, sides)| check(root, sides)).collect();
    let check = Check {
        endpoint: &endpoint.name,
        client: &endpoint.client,
        server: &endpoint.server,
        server_version: both.server_version.as_deref(),
        roots: &roots,
    };
    let exit = check.exit();
    match (resolved.voice.json, resolved.voice.quiet) {
        (true, _) => output.say(&format!("{}\n", check.json())),
        (false, true) if exit == Exit::Ok => {}
        (false, true) => output.say(&check.advice()),
        (false, false) => output.say(&check.listing()),
    }
    exit
}
