//! `smd-verify`: compares both hosts' roots by content and says what differs.
//!
//! Every file is read on both hosts; neither bases nor caches are asked, and nothing is changed. The rooms: [`args`]
//! (what was typed), [`mod@compare`] (two snapshots), [`text`] (what is said of it).
//!
//! Deliberately not here: mending what differs; that is an ordinary run. Modification times are not compared: a change of
//! one alone is not synchronised either.

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
use smd_client::options::{Direction, Scan};
use smd_client::output::Output;
use smd_client::run::{connected, served};
use smd_client::session;
use smd_protocol::told::json_line;

use compare::{RootComparison, compare};

/// What `smd-verify` does. The first of `args` is the program's name.
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
        let both = connected(&resolved, &output, session::both_sides)?;
        Ok((resolved, both.iter().map(compare).collect::<Vec<_>>()))
    });
    match result {
        Ok((resolved, roots)) => output.end(report(&resolved, &output, &roots)),
        Err(failure) => output.end(output.failure(&failure)),
    }
}

fn resolve(args: &Args) -> Result<Resolved, Box<Failure>> {
    let failed = |error| Box::new(Failure::endpoint(&args.target, Command::Sync, error));
    let home = SmdHome::from_env().map_err(|error| failed(error.into()))?;
    let mut resolved = endpoint::resolve(args, Direction::Sync, home).map_err(failed)?;
    // Habits from the config are for runs that change something.
    resolved.options.dry_run = true;
    resolved.options.scan = Scan::Full;
    resolved.options.verbose = args.typed.verbose;
    resolved.voice.tags = false;
    resolved.voice.quiet = args.typed.quiet;
    Ok(resolved)
}

fn report(resolved: &Resolved, output: &Output, roots: &[RootComparison]) -> Exit {
    let equal = roots.iter().all(RootComparison::is_equal);
    let exit = if equal { Exit::Ok } else { Exit::Partly };
    let names = text::Names { client: &resolved.endpoint.client, server: &resolved.endpoint.server };
    if resolved.voice.json {
        output.say(&json_line(&text::json(&resolved.endpoint.name, names, roots, exit)));
    } else if !resolved.voice.quiet {
        output.say(&text::listing(names, roots, resolved.options.verbose > 0));
    }
    for trouble in roots.iter().flat_map(|root| &root.troubles) {
        output.warn(&text::trouble(names, trouble), None);
    }
    exit
}
