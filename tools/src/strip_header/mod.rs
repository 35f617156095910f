//! `smd-strip-header`: removes header fields from the messages of a Maildir, so that two copies of a message that differ by
//! such a field alone become one.
//!
//! The rooms: [`args`] (what was typed), `smd_protocol::header` (which bytes go), [`look`] (one message), [`work`] (one root), [`text`]
//! (what is said of it).
//!
//! Deliberately not here: how a message gets other bytes (`smd_maildir::apply`), and how it gets the old ones back (`smd-undo`).

pub mod args;
pub mod look;
pub mod text;
pub mod work;

pub use smd_protocol::header as filter;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::output::Output;
use smd_client::progress::Progress;
use smd_client::signals::Signals;
use smd_maildir::fs::{Disk, Fs as _};
use smd_maildir::home::{Access, Home};
use smd_protocol::told::json_line;

use crate::area::{self, Area};
use crate::undo::{failure, io_failure};
use args::Request;
use text::What;
use work::{Report, Work};

/// Troubles that are named.
const NAMED: usize = 20;

/// What `smd-strip-header` does. The first of `args` is the program's name.
pub fn main_impl(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let request = match args::parse(args.into_iter().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let output = Output::new(&request.typed);
    match strip(&request, &output) {
        Ok((report, exit)) => output.end(say(&request, &output, &report, exit)),
        Err(failure) => output.end(output.failure(&failure)),
    }
}

fn strip(request: &Request, output: &Output) -> Result<(Report, Exit), Box<Failure>> {
    let smd_home = SmdHome::from_env()
        .map_err(|error| failure(Exit::Config, "Your home directory is not known.", Some(error.to_string()), None))?;
    let access = if request.dry_run { Access::ReadOnly } else { Access::ReadWrite };
    let home = Home::open(Arc::new(Disk), smd_home.path(), access).map_err(io_failure)?;
    let signals = Signals::catch().map_err(|error| Box::new(Failure::signals(&error)))?;
    let stop = signals.stop();
    let area = Area::of(&request.dir, &smd_home)?;
    let root = area::open(&area.root)?;
    let _locks = if request.dry_run { Vec::new() } else { area.lock(&home, &signals)? };
    let own = home.dir().and_then(|dir| Disk.stat_dir(dir).ok());
    let mut progress = Progress::new(output.progress() && !request.typed.json);
    let grave = (!request.dry_run).then(|| area.grave(&root, &home, "strip-header"));
    let work = Work {
        root: &root,
        below: area.below,
        skip_dirs: own.map(|stat| (stat.dev, stat.ino)).into_iter().collect(),
        names: &request.names,
        grave,
        stop: &stop,
        progress: &progress,
    };
    let report = work.run().map_err(io_failure)?;
    progress.finish();
    if report.folders == 0 && report.troubles.is_empty() {
        let cause = format!("{} has no folder with cur or new", request.dir.display());
        return Err(failure(Exit::Io, "There is no Maildir.", Some(cause), None));
    }
    let exit = match signals.exit() {
        Some(exit) if report.stopped => exit,
        _ if report.troubles.is_empty() => Exit::Ok,
        _ => Exit::Partly,
    };
    Ok((report, exit))
}

fn say(request: &Request, output: &Output, report: &Report, exit: Exit) -> Exit {
    let dir = request.dir.display().to_string();
    let what = What { dir: &dir, headers: &request.headers, dry_run: request.dry_run };
    if request.typed.json {
        output.say(&json_line(&text::json(what, report, exit)));
    } else if !request.typed.quiet {
        output.say(&text::lines(what, report, request.typed.verbose > 0));
    }
    report.troubles.iter().take(NAMED).for_each(|trouble| output.warn(trouble, None));
    if report.troubles.len() > NAMED {
        output.warn(&format!("and {} more were left as they are", report.troubles.len() - NAMED), None);
    }
    if report.stopped {
        output.warn("stopped before it was over; the same command goes on", None);
    }
    exit
}
