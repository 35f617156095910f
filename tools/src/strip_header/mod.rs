//! `smd-strip-header`: removes header fields from the messages of a Maildir, so that two copies of a message that differ by
//! such a field alone become one.
//!
//! The rooms: [`args`] (what was typed), [`filter`] (which bytes go), [`look`] (one message), [`work`] (one root), [`text`]
//! (what is said of it).
//!
//! Deliberately not here: how a message gets other bytes (`smd_maildir::apply`), and how it gets the old ones back (`smd-undo`).

pub mod args;
pub mod filter;
pub mod look;
pub mod text;
pub mod work;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::output::Output;
use smd_client::progress::Progress;
use smd_client::signals::Signals;
use smd_maildir::fs::{Disk, Fs as _};
use smd_maildir::grave::Grave;
use smd_maildir::home::{Access, Home, stem};
use smd_maildir::lock::{Guard, Wait};
use smd_maildir::root::Root;
use smd_protocol::Folder;

use crate::undo::{failure, io_failure, places, take_lock};
use args::Request;
use text::What;
use work::{Report, Work};

/// How long the root's lock is waited for, in milliseconds.
const LOCK_WAIT_MS: u64 = 30_000;
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
        .map_err(|error| failure(Exit::Config, "There is no home directory.", Some(error.to_string()), None))?;
    let access = if request.dry_run { Access::ReadOnly } else { Access::ReadWrite };
    let home = Home::open(Arc::new(Disk), smd_home.path(), access).map_err(io_failure)?;
    let signals = Signals::catch().map_err(|error| Box::new(Failure::signals(&error)))?;
    let stop = signals.stop();
    let area = Area::of(&request.dir, &smd_home)?;
    let open = |path: &Path| {
        Root::open(Arc::new(Disk), path).map_err(|error| io_failure(format!("cannot open {}: {error}", path.display())))
    };
    let root = open(&area.root)?;
    let mut locks: Vec<Guard<Disk>> = Vec::new();
    if !request.dry_run {
        let raised = || stop.load(std::sync::atomic::Ordering::Relaxed);
        let wait = Wait { ms: LOCK_WAIT_MS, stop: &raised };
        for path in std::iter::once(&area.root).chain(&area.inside) {
            let lock = take_lock(&open(path)?, &home, &wait);
            // Who ended the waiting wants to hear of that.
            let ended =
                |failure: Box<Failure>| Box::new(Failure { exit: signals.exit().unwrap_or(failure.exit), ..*failure });
            locks.push(lock.map_err(ended)?);
        }
    }
    let own = home.dir().and_then(|dir| Disk.stat_dir(dir).ok());
    let mut progress = Progress::new(output.progress() && !request.typed.json);
    let key = stem(area.root.as_os_str().as_bytes());
    let grave = (!request.dry_run).then(|| {
        let label = format!("strip-header-{}", Disk.now().sec);
        Grave::open(&root, home.dir().cloned().map(|dir| (dir, key.as_str())), &label)
    });
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

/// Which part of which root a directory is.
struct Area {
    root: PathBuf,
    below: Folder,
    /// Known roots inside it, which are locked as well.
    inside: Vec<PathBuf>,
}

impl Area {
    /// Finds the root that a directory is, or lies in: its lock is the one that a sync takes, and its grave the one that
    /// smd-undo looks into. A directory that no config or state names is a root by itself.
    fn of(dir: &Path, home: &SmdHome) -> Result<Self, Box<Failure>> {
        let real = |path: &Path| std::fs::canonicalize(path);
        let wanted = real(dir).map_err(|error| io_failure(format!("cannot open {}: {error}", dir.display())))?;
        let known: Vec<(PathBuf, PathBuf)> =
            places::known(home).into_iter().filter_map(|path| Some((real(&path).ok()?, path))).collect();
        if let Some((real, root)) = known.iter().find(|(real, _)| wanted.starts_with(real)) {
            let below = wanted.strip_prefix(real).unwrap_or(Path::new(""));
            let below = Folder::parse(below.as_os_str().as_bytes())
                .map_err(|error| failure(Exit::Usage, "That is no folder.", Some(error.to_string()), None))?;
            return Ok(Self { root: root.clone(), below, inside: Vec::new() });
        }
        let inside = known.into_iter().filter(|(real, _)| real.starts_with(&wanted)).map(|(_, path)| path).collect();
        Ok(Self { root: wanted, below: Folder::root(), inside })
    }
}

fn say(request: &Request, output: &Output, report: &Report, exit: Exit) -> Exit {
    let dir = request.dir.display().to_string();
    let what = What { dir: &dir, headers: &request.headers, dry_run: request.dry_run };
    if request.typed.json {
        output.say(&format!("{}\n", text::json(what, report, exit)));
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
