//! `smd-undo`: lists the runs that deleted or replaced something on this host, and brings back what they buried.
//!
//! The rooms: [`args`] and [`since`] (what was typed), [`cut`] (what a run that was cut deleted), [`heads`] (From, Subject and
//! Date), [`places`] (which roots may have a
//! grave), [`runs`] (what rests there, by run), [`text`] (what is said of it).
//!
//! Deliberately not here: how a message comes back (`smd_maildir::apply`), and the other host. What comes back is an
//! addition like any other, and the next run takes it there.

pub mod args;
pub mod cut;
pub mod heads;
pub mod places;
pub mod runs;
pub mod since;
pub mod text;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use smd_client::Command;
use smd_client::args::Target;
use smd_client::endpoint::overlap;
use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::output::Output;
use smd_maildir::apply::Applier;
use smd_maildir::fs::Disk;
use smd_maildir::grave::{Grave, Resting};
use smd_maildir::home::{Access, Home};
use smd_maildir::lock::{self, Guard, LockError, Wait};
use smd_maildir::root::Root;
use smd_protocol::names::printable;

use args::Request;
use runs::{Candidates, Run, Yard};
use text::{Done, Seen};

/// How long the root's lock is waited for, in milliseconds.
const LOCK_WAIT_MS: u64 = 30_000;
/// Messages that are brought back between two syncs.
const AT_ONCE: usize = 5_000;

/// What `smd-undo` does. The first of `args` is the program's name.
pub fn main_impl(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let request = match args::parse(args.into_iter().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let output = Output::new(&request.typed);
    match undo(&request, &output) {
        Ok(exit) => output.end(exit),
        Err(failure) => output.end(output.failure(&failure)),
    }
}

pub(crate) fn failure(exit: Exit, heading: &str, cause: Option<String>, hint: Option<&str>) -> Box<Failure> {
    let causes = cause.into_iter().collect();
    Box::new(Failure { exit, heading: heading.to_owned(), causes, hint: hint.map(str::to_owned) })
}

pub(crate) fn io_failure(cause: impl std::fmt::Display) -> Box<Failure> {
    failure(Exit::Io, "Reading or writing failed.", Some(cause.to_string()), None)
}

fn undo(request: &Request, output: &Output) -> Result<Exit, Box<Failure>> {
    let endpoint_failure =
        |target: &str, error| Box::new(Failure::endpoint(&Target::Endpoint(target.to_owned()), Command::Sync, error));
    let smd_home = SmdHome::from_env().map_err(|error| endpoint_failure("default", error.into()))?;
    let changes = request.changes();
    let access = if changes { Access::ReadWrite } else { Access::ReadOnly };
    let home = Home::open(Arc::new(Disk), smd_home.path(), access).map_err(io_failure)?;

    let known = places::known(&smd_home);
    let mut wanted = BTreeSet::new();
    for name in &request.endpoints {
        let roots = places::of_endpoint(&smd_home, name).map_err(|error| endpoint_failure(name, error.into()))?;
        wanted.extend(roots);
    }
    let mut typed = BTreeSet::new();
    for root in &request.roots {
        typed.insert(overlap::resolved(root).map_err(|error| endpoint_failure("default", error))?);
    }
    wanted.extend(typed.iter().cloned());
    let mut candidates = Candidates::open(known.union(&wanted).cloned().collect::<BTreeSet<PathBuf>>());
    let mut warnings: Vec<String> = smd_home.of_another_user().into_iter().collect();
    let mut unseen = false;
    for path in wanted.iter().filter(|path| !candidates.has(path)) {
        warnings.push(format!("{} cannot be looked at", printable(path.as_os_str().as_encoded_bytes())));
        // An endpoint's root may be still to come; a directory that was typed is meant to be there.
        unseen |= typed.contains(path);
    }
    let lost: Vec<String> =
        candidates.lost.iter().map(|(path, _)| printable(path.as_os_str().as_encoded_bytes())).collect();
    let mut gone = Vec::new();
    if wanted.is_empty() {
        (gone, warnings) = text::lost(&home, &candidates.lost);
    } else {
        candidates.keep(&Candidates::open(wanted));
    }
    let (yards, mut runs) = candidates.runs(&home).map_err(|(path, error)| {
        io_failure(format!("the grave of {}: {error}", printable(path.as_os_str().as_encoded_bytes())))
    })?;
    warnings.extend(text::unsettled(&yards));

    if let Some(chosen) = choose(&runs, &request.runs, &lost)? {
        runs.retain(|run| chosen.contains(run.number()));
    }
    runs.retain(|run| request.since.is_none_or(|since| run.until >= since));
    runs.iter_mut().for_each(|run| run.restrict(&request.folders));
    runs.iter_mut().for_each(|run| run.search(&request.matches));
    runs.retain(|run| !run.items.is_empty());
    if changes {
        cut::mark(&smd_home, &yards, &mut runs);
    }
    let done = match changes {
        true => Some(runs.iter().map(|run| bring_back(run, &yards, &home)).collect::<Result<Vec<_>, _>>()?),
        false => None,
    };
    let seen = Seen { yards: &yards, runs: &runs, done: done.as_deref(), gone: &gone };
    Ok(text::report(request, output, &seen, warnings, unseen))
}

/// The numbers of the runs that were typed, by themselves or as bursts; none when none was. `lost` are roots that cannot be
/// opened.
fn choose(runs: &[Run], typed: &[String], lost: &[String]) -> Result<Option<BTreeSet<String>>, Box<Failure>> {
    let mut chosen = BTreeSet::new();
    for digits in typed {
        let named: BTreeSet<&str> = runs.iter().flat_map(|run| run.named(digits)).collect();
        match named.iter().collect::<Vec<_>>()[..] {
            [number] => {
                let is_meant = |run: &&Run| run.number() == *number || run.burst() == Some(*number);
                chosen.extend(runs.iter().filter(is_meant).map(|run| run.number().to_owned()));
            }
            [] => {
                let heading = format!("No run {digits} has anything in a grave of this host.");
                let cause = (!lost.is_empty()).then(|| format!("these Maildirs cannot be opened: {}", lost.join(", ")));
                return Err(failure(Exit::Usage, &heading, cause, Some("list the runs: smd-undo")));
            }
            _ => {
                let heading = format!("Several runs begin with {digits}: {}.", Vec::from_iter(named).join(", "));
                return Err(failure(Exit::Usage, &heading, None, Some("type more of the number")));
            }
        }
    }
    Ok((!typed.is_empty()).then_some(chosen))
}

/// Takes a root's lock, or says in words why not.
pub(crate) fn take_lock(root: &Root<Disk>, home: &Home<Disk>, wait: &Wait<'_>) -> Result<Guard<Disk>, Box<Failure>> {
    lock::root_lock(root, home, wait).map_err(|error| match error {
        LockError::Io(error) => io_failure(error),
        held => {
            let heading = "Another run is using this Maildir.";
            failure(Exit::Locked, heading, Some(held.to_string()), Some("try again when it is done"))
        }
    })
}

/// Brings back what rests of a run, under its root's lock.
fn bring_back(run: &Run, yards: &[Yard], home: &Home<Disk>) -> Result<Done, Box<Failure>> {
    let root = &yards[run.yard].root;
    let wait = Wait { ms: LOCK_WAIT_MS, stop: &|| false };
    let _lock = take_lock(root, home, &wait)?;
    let resting: Vec<(usize, Resting<Disk>)> =
        run.items.iter().cloned().enumerate().filter(|(_, one)| !one.back).collect();
    let mut done: Done = vec![None; run.items.len()];
    let mut applier = Applier::new(root.clone(), Grave::open(root, None, "undo"), "undo", Box::new(|_| None));
    for some in resting.chunks(AT_ONCE) {
        let (places, some): (Vec<usize>, Vec<Resting<Disk>>) = some.iter().cloned().unzip();
        for (at, back) in places.into_iter().zip(applier.bring_back(&some)) {
            done[at] = Some(back);
        }
    }
    Ok(done)
}
