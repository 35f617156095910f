//! `smd-undo`: lists the runs that deleted or replaced something on this host, or on another, and brings back what they buried.
//!
//! The rooms: [`args`] and [`since`] (what was typed), [`by`] (what one restricted key did), [`heads`] (From, Subject and Date), [`places`] (which roots of this host may have a
//! grave), [`runs`] (what rests, by run), `here` and `there` (the graves of either host), [`unseen`] (those that nobody could look into),
//! [`text`] (what is said of it).
//!
//! Deliberately not here: how a message comes back (`smd_maildir::undo`), and the way to the other host (`smd_client`). What comes back is an
//! addition like any other, and the next run takes it to the host that lacks it.

pub mod args;
pub mod by;
pub mod heads;
mod here;
pub mod places;
pub mod runs;
pub mod since;
pub mod text;
mod there;
pub mod unseen;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::ExitCode;

use jiff::tz::TimeZone;
use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::output::Output;
use smd_client::run::served;
use smd_client::session::SessionError;
use smd_maildir::fs::Disk;
use smd_maildir::home::{Home, Label};
use smd_maildir::keys::What;
use smd_maildir::lock::{self, Guard, LockError, Wait};
use smd_maildir::root::Root;
use smd_protocol::grave::{Head, Rests, Undone};

use args::Request;
use by::Deeds;
use heads::Shown;
use runs::{Item, Mailbox, Run};
use text::{Done, Place, Seen};

/// What `smd-undo` does. The first of `args` is the program's name.
pub fn main_impl(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    if let Some(code) = served(&name) {
        return code;
    }
    let request = match args::parse(args) {
        Ok(request) => request,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let mut output = Output::new(&request.typed);
    let result = match &request.remote {
        Some(remote) => there::undo(&request, remote, &mut output),
        None => here::undo(&request, &output),
    };
    match result {
        Ok(exit) => output.end(exit),
        Err(failure) => output.end(output.failure(&failure)),
    }
}

pub(crate) fn failure(exit: Exit, heading: &str, cause: Option<String>, hint: Option<&str>) -> Box<Failure> {
    let causes = cause.into_iter().collect();
    Box::new(Failure { exit, heading: heading.to_owned(), causes, hint: hint.map(str::to_owned), at: None })
}

pub(crate) fn io_failure(cause: impl std::fmt::Display) -> Box<Failure> {
    failure(Exit::Io, "Reading or writing failed.", Some(cause.to_string()), None)
}

/// Takes a root's lock, or says in words why not.
pub(crate) fn take_lock(root: &Root<Disk>, home: &Home<Disk>, wait: &Wait<'_>) -> Result<Guard<Disk>, Box<Failure>> {
    lock::root_lock(root, home, wait).map_err(locked)
}

pub(crate) fn locked(error: LockError) -> Box<Failure> {
    match error {
        LockError::Io(error) => io_failure(error),
        held => {
            let heading = "Another run is using this Maildir.";
            failure(Exit::Locked, heading, Some(held.to_string()), Some("try again when it is done"))
        }
    }
}

/// Why nothing is said of runs.
enum Halt {
    /// In words.
    Failure(Box<Failure>),
    /// The other host, or the way there.
    Session(SessionError),
}

impl From<Box<Failure>> for Halt {
    fn from(failure: Box<Failure>) -> Self {
        Self::Failure(failure)
    }
}

impl From<SessionError> for Halt {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

/// The graves of some Maildirs of one host.
trait Graves {
    /// The Maildirs, each with what rests.
    fn list(&mut self) -> Result<Vec<(Mailbox, Vec<Rests>)>, Halt>;
    /// What tells a person which messages these are, in the same order.
    fn heads(&mut self, mailbox: usize, ids: &[String]) -> Result<Vec<Head>, Halt>;
    /// Brings these back. Gives what became of each, in the same order.
    fn bring_back(&mut self, mailbox: usize, ids: &[String]) -> Result<Vec<Undone>, Halt>;
    /// What a key did in them.
    fn deeds(&mut self, key: &Label) -> Result<Deeds, Halt>;
    /// Takes these back, which a key did beside burying. Gives what became of each, in the same order.
    fn take_back(&mut self, mailbox: usize, acts: &[What]) -> Result<Vec<Undone>, Halt>;
}

/// Looks for what is asked for, and brings it back if that was asked. `lost` are Maildirs that cannot be opened.
fn carry_out(request: &Request, place: &Place, graves: &mut dyn Graves, lost: &[String]) -> Result<Seen, Halt> {
    let (mailboxes, resting): (Vec<Mailbox>, Vec<Vec<Rests>>) = graves.list()?.into_iter().unzip();
    let absent = mailboxes.iter().filter(|mailbox| mailbox.rest.absent).map(|mailbox| mailbox.shown.clone());
    let lost: Vec<String> = lost.iter().cloned().chain(absent).collect();
    let mut runs = runs::runs(resting);
    if let Some(chosen) = choose(&runs, &request.runs, place, &lost)? {
        runs.retain(|run| chosen.contains(run.number()));
    }
    let deeds = deeds(request, graves, &mut runs)?;
    runs.retain(|run| request.since.is_none_or(|since| run.until >= since));
    runs.iter_mut().for_each(|run| run.restrict(&request.folders));
    let changes = request.changes();
    if !request.matches.is_empty() || request.detailed() && !changes {
        read_heads(&mut runs, graves)?;
    }
    runs.iter_mut().for_each(|run| run.search(&request.matches));
    runs.retain(|run| !run.items.is_empty());
    let done = if changes { Some(bring_back(&runs, mailboxes.len(), graves)?) } else { None };
    // What was buried is back first: it may have been moved before.
    let taken = if changes { Some(take_back(&deeds, mailboxes.len(), graves)?) } else { None };
    Ok(Seen { mailboxes, runs, done, deeds, taken })
}

/// What the key did that is meant, if one is; of the runs its own are kept.
fn deeds(request: &Request, graves: &mut dyn Graves, runs: &mut Vec<Run>) -> Result<Deeds, Halt> {
    let Some(key) = &request.by else { return Ok(Deeds::default()) };
    let mut deeds = graves.deeds(key)?;
    deeds.keep(runs);
    runs.iter_mut().for_each(|run| run.keep_since(request.since));
    deeds.restrict(request.since, &request.folders);
    if !request.matches.is_empty() {
        deeds.acts.clear();
    }
    Ok(deeds)
}

fn take_back(deeds: &Deeds, mailboxes: usize, graves: &mut dyn Graves) -> Result<Vec<Undone>, Halt> {
    let mut taken = vec![Undone::Before; deeds.acts.len()];
    for mailbox in 0..mailboxes {
        let (places, acts) = deeds.of_mailbox(mailbox);
        if acts.is_empty() {
            continue;
        }
        for (at, undone) in places.into_iter().zip(graves.take_back(mailbox, &acts)?) {
            taken[at] = undone;
        }
    }
    Ok(taken)
}

/// The numbers of the runs that were typed, by themselves or as bursts; none when none was.
fn choose(
    runs: &[Run],
    typed: &[String],
    place: &Place,
    lost: &[String],
) -> Result<Option<BTreeSet<String>>, Box<Failure>> {
    let mut chosen = BTreeSet::new();
    for digits in typed {
        let named: BTreeSet<&str> = runs.iter().flat_map(|run| run.named(digits)).collect();
        match named.iter().collect::<Vec<_>>()[..] {
            [number] => {
                let is_meant = |run: &&Run| run.number() == *number || run.burst() == Some(*number);
                chosen.extend(runs.iter().filter(is_meant).map(|run| run.number().to_owned()));
            }
            [] => {
                let heading = format!("No run {digits} has anything in a grave of {}.", place.host());
                let cause = (!lost.is_empty()).then(|| format!("these Maildirs cannot be opened: {}", lost.join(", ")));
                let hint = format!("list the runs: {}", place.command());
                return Err(failure(Exit::Usage, &heading, cause, Some(&hint)));
            }
            _ => {
                let heading = format!("Several runs begin with {digits}: {}.", Vec::from_iter(named).join(", "));
                return Err(failure(Exit::Usage, &heading, None, Some("type more of the number")));
            }
        }
    }
    Ok((!typed.is_empty()).then_some(chosen))
}

/// Where something is among the runs, and its id.
type Meant = (Vec<(usize, usize)>, Vec<String>);

/// Ids of what is meant, by Maildir, each with where it is among the runs.
fn by_mailbox(runs: &[Run], mailboxes: usize, is_meant: impl Fn(&Item) -> bool) -> Vec<Meant> {
    let mut all = vec![(Vec::new(), Vec::new()); mailboxes];
    for (at, run) in runs.iter().enumerate() {
        let (places, ids) = &mut all[run.mailbox];
        for (n, item) in run.items.iter().enumerate().filter(|(_, item)| is_meant(item)) {
            places.push((at, n));
            ids.push(item.rests.id.clone());
        }
    }
    all
}

fn read_heads(runs: &mut [Run], graves: &mut dyn Graves) -> Result<(), Halt> {
    let zone = TimeZone::system();
    let mailboxes = runs.iter().map(|run| run.mailbox + 1).max().unwrap_or(0);
    let all = by_mailbox(runs, mailboxes, |item| item.rests.is_message());
    for (mailbox, (places, ids)) in all.into_iter().enumerate().filter(|(_, (_, ids))| !ids.is_empty()) {
        for ((at, n), head) in places.into_iter().zip(graves.heads(mailbox, &ids)?) {
            runs[at].items[n].head = Shown::new(head, &zone);
        }
    }
    Ok(())
}

fn bring_back(runs: &[Run], mailboxes: usize, graves: &mut dyn Graves) -> Result<Vec<Done>, Halt> {
    let mut done: Vec<Done> = runs.iter().map(|run| vec![Undone::Before; run.items.len()]).collect();
    let all = by_mailbox(runs, mailboxes, |item| !item.rests.back);
    for (mailbox, (places, ids)) in all.into_iter().enumerate().filter(|(_, (_, ids))| !ids.is_empty()) {
        for ((at, n), undone) in places.into_iter().zip(graves.bring_back(mailbox, &ids)?) {
            done[at][n] = undone;
        }
    }
    Ok(done)
}
