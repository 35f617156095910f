//! The graves of this host.
//!
//! Deliberately not here: what rests in them, and how it comes back (`smd_maildir::undo`).

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use smd_client::Command;
use smd_client::args::Target;
use smd_client::endpoint::overlap;
use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::output::Output;
use smd_maildir::fs::{Disk, Fs as _};
use smd_maildir::home::{Access, Home, stem};
use smd_maildir::lock::Wait;
use smd_maildir::undo::{Found, Yard, Yards};
use smd_protocol::grave::{Head, Rests, Undone};
use smd_protocol::names::printable;

use super::args::Request;
use super::runs::Mailbox;
use super::text::{self, Place};
use super::{Graves, Halt, carry_out, io_failure, locked, places};

/// How long a root's lock is waited for, in milliseconds.
const LOCK_WAIT_MS: u64 = 30_000;

/// What is asked for, of this host.
pub(super) fn undo(request: &Request, output: &Output) -> Result<Exit, Box<Failure>> {
    let endpoint_failure =
        |target: &str, error| Box::new(Failure::endpoint(&Target::Endpoint(target.to_owned()), Command::Sync, error));
    let smd_home = SmdHome::from_env().map_err(|error| endpoint_failure("default", error.into()))?;
    let access = if request.changes() { Access::ReadWrite } else { Access::ReadOnly };
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
    let mut yards = Yards::open(&Arc::new(Disk), known.union(&wanted).cloned());
    let mut warnings: Vec<String> = smd_home.of_another_user().into_iter().collect();
    let mut unseen = false;
    for path in wanted.iter().filter(|path| yards.at(path).is_none()) {
        warnings.push(format!("{} cannot be looked at", path.display()));
        // An endpoint's root may be still to come; a directory that was typed is meant to be there.
        unseen |= typed.contains(path);
    }
    let lost: Vec<String> = yards.lost.iter().map(|(path, _)| path.display().to_string()).collect();
    let mut gone = Vec::new();
    if wanted.is_empty() {
        let mut others;
        (gone, others) = lost_graves(&home, &yards.lost);
        warnings.append(&mut others);
    } else {
        yards.keep(&Yards::open(&Arc::new(Disk), wanted));
    }
    let mut graves = Here { home: &smd_home, state: home, yards: yards.into_all(), found: Vec::new() };
    let seen = match carry_out(request, &Place::Here, &mut graves, &lost) {
        Ok(seen) => seen,
        Err(Halt::Failure(failure)) => return Err(failure),
        Err(Halt::Session(error)) => return Err(io_failure(error)),
    };
    Ok(text::report(request, output, &Place::Here, &seen, &gone, warnings, unseen))
}

/// Of roots that cannot be opened those of which something rests here: first those that are gone, which is nobody's fault and
/// will pass when the days of their mail are over, then sentences about the others.
fn lost_graves(home: &Home<Disk>, lost: &[(PathBuf, io::Error)]) -> (Vec<PathBuf>, Vec<String>) {
    let holds = |path: &PathBuf| {
        let stem = stem(path.as_os_str().as_bytes());
        let dir = home.dir()?;
        let dir = Disk.open_dir(&Disk.open_moved(dir, b"grave").ok()?, stem.as_bytes()).ok()?;
        let mut any = false;
        Disk.list(&dir, &mut |name, _, _| any |= name.ends_with(b".k")).ok()?;
        any.then_some(())
    };
    let (mut gone, mut others) = (Vec::new(), Vec::new());
    for (path, error) in lost.iter().filter(|(path, _)| holds(path).is_some()) {
        match error.kind() {
            io::ErrorKind::NotFound => gone.push(path.clone()),
            _ => others
                .push(format!("{} cannot be opened, and deleted mail of it is kept here: {error}", path.display())),
        }
    }
    (gone, others)
}

struct Here<'a> {
    home: &'a SmdHome,
    state: Home<Disk>,
    yards: Vec<Yard<Disk>>,
    found: Vec<Found<Disk>>,
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

    fn bring_back(&mut self, mailbox: usize, ids: &[String]) -> Result<Vec<Undone>, Halt> {
        let wait = Wait { ms: LOCK_WAIT_MS, stop: &|| false };
        Ok(self.yards[mailbox].bring_back(&self.state, self.home.user(), ids, &wait).map_err(locked)?)
    }
}
