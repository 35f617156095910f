//! The graves of this host.
//!
//! Deliberately not here: what rests in them, and how it comes back (`smd_maildir::undo`).

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smd_client::Command;
use smd_client::args::Target;
use smd_client::endpoint::overlap;
use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::output::Output;
use smd_maildir::fs::{Disk, Fs as _};
use smd_maildir::grave::kept;
use smd_maildir::home::{Access, Home, Label};
use smd_maildir::keys::{Key, Lines, What};
use smd_maildir::lock::Wait;
use smd_maildir::root::Root;
use smd_maildir::undo::{Found, Yard, Yards};
use smd_protocol::grave::{Head, Rests, Undone};
use smd_protocol::names::printable;

use super::args::Request;
use super::by::Deeds;
use super::runs::Mailbox;
use super::text::{self, Place};
use super::unseen::{Cause, Kept, Unseen, spelled};
use super::{Graves, Halt, carry_out, io_failure, locked, places};
use crate::allow::chosen;

/// How long a root's lock is waited for, in milliseconds.
const LOCK_WAIT_MS: u64 = 30_000;

/// What is asked for, of this host.
pub(super) fn undo(request: &Request, output: &Output) -> Result<Exit, Box<Failure>> {
    let endpoint_failure =
        |target: &str, error| Box::new(Failure::endpoint(&Target::Endpoint(target.to_owned()), Command::Sync, error));
    let smd_home = SmdHome::from_env().map_err(|error| endpoint_failure("default", error.into()))?;
    let access = if request.changes() { Access::ReadWrite } else { Access::ReadOnly };
    let home = Home::open(Arc::new(Disk), smd_home.path(), access).map_err(io_failure)?;

    let mut known = places::known(&smd_home);
    if let Some(key) = &request.by {
        known.extend(roots_of(&home, key)?);
    }
    let mut wanted = BTreeSet::new();
    for name in &request.endpoints {
        let roots = places::of_endpoint(&smd_home, name).map_err(|error| endpoint_failure(name, error.into()))?;
        wanted.extend(roots);
    }
    for root in &request.roots {
        // What cannot be resolved cannot be opened either, which is said then.
        wanted.insert(overlap::resolved(root).or_else(|_| std::path::absolute(root)).map_err(io_failure)?);
    }
    let wanted: BTreeSet<PathBuf> = wanted.iter().map(|path| spelled(path)).collect();
    let warnings: Vec<String> = smd_home.of_another_user().into_iter().collect();
    let mut yards = Yards::open(&Arc::new(Disk), known.union(&wanted).cloned());
    let lost: Vec<String> = yards.lost.iter().map(|(path, _)| printable(path.as_os_str().as_encoded_bytes())).collect();
    let mut unseen = closed(&home, &yards.lost, &wanted);
    if !wanted.is_empty() {
        yards.keep(&Yards::open(&Arc::new(Disk), wanted.iter().cloned()));
    }
    let mut graves = Here { home: &smd_home, state: home, yards: yards.into_all(), found: Vec::new() };
    let seen = match carry_out(request, &Place::Here, &mut graves, &lost) {
        Ok(seen) => seen,
        Err(Halt::Failure(failure)) => return Err(failure),
        Err(Halt::Session(error)) => return Err(io_failure(error)),
    };
    unseen.extend(graves.no_maildirs(&known, !wanted.is_empty()));
    Ok(text::report(request, output, &Place::Here, &seen, &unseen, warnings))
}

/// The roots in which a key did something: one of a session that was cut may have no base.
fn roots_of(home: &Home<Disk>, key: &Label) -> Result<BTreeSet<PathBuf>, Box<Failure>> {
    chosen(&Key::labels(home).map_err(io_failure)?, Some(key))?;
    let lines = log_of(home, key)?;
    let paths = lines.iter().map(|line| PathBuf::from(OsStr::from_bytes(&line.root)));
    Ok(paths.filter(|path| path.is_absolute()).collect())
}

fn log_of(home: &Home<Disk>, key: &Label) -> Result<Lines, Box<Failure>> {
    home.age().and_then(|now| Key::open(&home.reader(), key)?.log(now)).map_err(io_failure)
}

/// Of roots that cannot be opened those that were asked for: these, or without one all.
fn closed(home: &Home<Disk>, lost: &[(PathBuf, io::Error)], wanted: &BTreeSet<PathBuf>) -> Vec<Unseen> {
    let is_asked = |path: &PathBuf| wanted.is_empty() || wanted.contains(path);
    let place = |path: &Path| overlap::resolved(path).unwrap_or_else(|_| path.to_owned());
    let places: Vec<PathBuf> = lost.iter().map(|(path, _)| place(path)).collect();
    let mut all = Vec::new();
    for (at, (path, error)) in lost.iter().enumerate().filter(|(_, (path, _))| is_asked(path)) {
        // It may be known under several paths, and has a grave under each.
        let same = lost.iter().zip(&places).filter(|(_, other)| **other == places[at]);
        let kept = Kept::sum(same.map(|((other, _), _)| kept(home, other.as_os_str().as_bytes())));
        all.push(of_path(path, Cause::of(error), kept, !wanted.is_empty()));
    }
    all
}

fn of_path(path: &Path, cause: Cause, kept: Kept, is_named: bool) -> Unseen {
    let path = path.as_os_str().as_bytes().to_vec();
    Unseen { shown: printable(&path), path, cause, kept, is_named }
}

struct Here<'a> {
    home: &'a SmdHome,
    state: Home<Disk>,
    yards: Vec<Yard<Disk>>,
    found: Vec<Found<Disk>>,
}

impl Here<'_> {
    /// Directories of which nothing rests and that are no Maildirs. Without its disk a mount point is one, and nobody can say then that
    /// nothing was deleted.
    fn no_maildirs(&self, known: &BTreeSet<PathBuf>, are_named: bool) -> Vec<Unseen> {
        let empty = self.yards.iter().zip(&self.found).filter(|(_, found)| found.is_empty());
        let unseen = empty.filter_map(|(yard, _)| {
            let cause = match yard.has_dirs() {
                Ok(_) if !yard.is_any_of(known) => Cause::Unknown,
                Ok(true) => return None,
                Ok(false) => Cause::Empty,
                Err(error) => Cause::Closed(error.to_string()),
            };
            Some(of_path(&yard.root.path, cause, Kept::Messages(0), are_named))
        });
        unseen.collect()
    }
}

impl Graves for Here<'_> {
    fn list(&mut self) -> Result<Vec<(Mailbox, Vec<Rests>)>, Halt> {
        let found = self.yards.iter().map(|yard| yard.look(&self.state)).collect::<Result<_, _>>();
        self.found = found.map_err(io_failure)?;
        let told = |(yard, found): (&Yard<Disk>, &Found<Disk>)| {
            let path = yard.root.path.as_os_str().as_bytes().to_vec();
            (Mailbox { shown: printable(&path), path, rest: found.rest }, found.told().collect())
        };
        Ok(self.yards.iter().zip(&self.found).map(told).collect())
    }

    fn heads(&mut self, mailbox: usize, ids: &[String]) -> Result<Vec<Head>, Halt> {
        Ok(self.found[mailbox].heads(ids.iter().map(String::as_str)))
    }

    fn deeds(&mut self, key: &Label) -> Result<Deeds, Halt> {
        let lines = log_of(&self.state, key)?;
        let mut known: HashMap<Vec<u8>, Option<usize>> = HashMap::new();
        let yards = &self.yards;
        let find = |root: &[u8]| {
            let path = BTreeSet::from([PathBuf::from(OsStr::from_bytes(root))]);
            yards.iter().position(|yard| yard.is_any_of(&path)).or_else(|| {
                // It may be known under another path.
                let same = Yards::open(&Arc::new(Disk), path.iter().cloned());
                let stat = |root: &Root<Disk>| Disk.stat_dir(&root.dir).ok().map(|stat| (stat.dev, stat.ino));
                let here = stat(&same.into_all().first()?.root)?;
                yards.iter().position(|yard| stat(&yard.root) == Some(here))
            })
        };
        Ok(Deeds::of(&lines, |root| *known.entry(root.to_vec()).or_insert_with(|| find(root))))
    }

    fn take_back(&mut self, mailbox: usize, acts: &[What]) -> Result<Vec<Undone>, Halt> {
        let wait = Wait { ms: LOCK_WAIT_MS, stop: &|| false };
        Ok(self.yards[mailbox].take_back(&self.state, acts, &wait).map_err(locked)?)
    }

    fn bring_back(&mut self, mailbox: usize, ids: &[String]) -> Result<Vec<Undone>, Halt> {
        let wait = Wait { ms: LOCK_WAIT_MS, stop: &|| false };
        Ok(self.yards[mailbox].bring_back(&self.state, self.home.user(), ids, &wait).map_err(locked)?)
    }
}
