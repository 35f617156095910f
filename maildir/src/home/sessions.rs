//! How many sessions of one client or key a server has open: places in the state directory, each an empty directory with a kernel
//! lock on it. A place is free when its process ends, however it ends; the directories mean nothing by themselves.
//!
//! A session has one of `OPEN_MAX` places as long as it lasts, and one of `BUSY_MAX` but for its rests. Whoever comes in holds
//! the *gate* for that moment, the lock on the directory of all places; so does whoever removes places or state
//! (`store::visits`), which are then nobody's.
//!
//! Deliberately not here: who comes in, and what is said to those who may not.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use smd_protocol::seeded;

use super::{Access, Home, shown};
use crate::error::{Context, Error};
use crate::fs::{Fs, Kind};
use crate::lock::{self, Guard, LockError, Wait};
use crate::root::if_there;

/// Sessions of one client that are not at rest.
const BUSY_MAX: usize = 4;
/// Sessions of one client in all.
const OPEN_MAX: usize = 32;
/// Clients that have places.
const CLIENTS_MAX: usize = 1_000;
/// How long a place among the busy is waited for, in milliseconds: a run may be about to end.
const WAIT_MS: u64 = 5_000;
const PAUSE_MS: u64 = 100;
const GATE_WAIT_MS: u64 = 10_000;
const PLACES: &[u8] = b"sessions";

/// Why a session may not go on.
#[derive(Debug, thiserror::Error)]
pub enum Crowded {
    /// So many sessions are open.
    #[error("it has {OPEN_MAX} sessions open, the most that there may be at once; end one of them")]
    Open,
    /// So many sessions are busy.
    #[error(
        "it has {BUSY_MAX} sessions at work, the most that there may be at once; run again when one of them is done"
    )]
    Busy,
    /// Too many others have sessions.
    #[error("{CLIENTS_MAX} clients have sessions open, the most that there may be at once; try again later")]
    Clients,
    /// The places cannot be made or asked.
    #[error(transparent)]
    Io(#[from] Error),
}

/// The lock on the directory of all places.
pub(crate) struct Gate<F: Fs> {
    dir: F::Dir,
    _held: Guard<F>,
}

impl<F: Fs> Gate<F> {
    /// Takes it; none where there is no such directory and none may be made, or where the file system has no locks.
    pub(crate) fn take(home: &Home<F>, wait_ms: u64) -> Result<Option<Self>, LockError> {
        let Some(dir) = home.below(&[PLACES])? else { return Ok(None) };
        let path = shown(home.path(), PLACES);
        match lock::lock_dir(&**home.fs(), &dir, &path, &Wait { ms: wait_ms, stop: &|| false }) {
            Ok(held) => Ok(Some(Self { dir, _held: held })),
            Err(LockError::Io(error)) if lock::is_unsupported(&error.cause) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The directory of all places.
    pub(crate) fn dir(&self) -> &F::Dir {
        &self.dir
    }

    /// Whether somebody has a place of this name.
    pub(crate) fn is_taken(&self, fs: &F, name: &[u8]) -> io::Result<bool> {
        let Some(dir) = if_there(fs.open_dir(&self.dir, name))? else { return Ok(false) };
        for place in dirs(fs, &dir)? {
            let Some(place) = if_there(fs.open_dir(&dir, &place))? else { continue };
            if fs.try_lock(&place)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes places that nobody has.
    pub(crate) fn remove(&self, fs: &F, name: &[u8]) -> io::Result<()> {
        let Some(dir) = if_there(fs.open_dir(&self.dir, name))? else { return Ok(()) };
        for place in dirs(fs, &dir)? {
            if_there(fs.remove_dir(&dir, &place))?;
        }
        if_there(fs.remove_dir(&self.dir, name)).map(drop)
    }

    /// The names of all who have places, or had.
    pub(crate) fn names(&self, fs: &F) -> io::Result<Vec<Vec<u8>>> {
        dirs(fs, &self.dir)
    }
}

fn dirs<F: Fs>(fs: &F, dir: &F::Dir) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    fs.list(dir, &mut |name, kind, _| {
        if matches!(kind, Kind::Dir | Kind::Unknown) {
            names.push(name.to_vec());
        }
    })?;
    Ok(names)
}

/// The places of one session.
pub struct Sessions<F: Fs> {
    fs: Arc<F>,
    /// The directory of this client's places, and its path for messages; none where sessions cannot be counted.
    dir: Option<(F::Dir, Vec<u8>)>,
    access: Access,
    busy: Option<Guard<F>>,
    _open: Option<Guard<F>>,
}

impl<F: Fs> Sessions<F> {
    /// Takes a place among the open sessions of this name, which is one directory entry. Where there are no locks, and in a dry
    /// run that finds no places made, sessions are not counted.
    ///
    /// # Errors
    /// When there is none left, and when the places cannot be asked.
    pub fn enter(home: &Home<F>, name: &str) -> Result<Self, Crowded> {
        let (fs, access) = (home.fs().clone(), home.access());
        let uncounted = || Self { fs: home.fs().clone(), dir: None, access, busy: None, _open: None };
        let gate = Gate::take(home, GATE_WAIT_MS).map_err(|error| match error {
            LockError::Io(error) => error,
            error => {
                let cause = io::Error::new(io::ErrorKind::TimedOut, error.to_string());
                Error { action: "lock", path: shown(home.path(), PLACES), cause }
            }
        })?;
        let Some(gate) = gate else { return Ok(uncounted()) };
        let path = [home.path().as_os_str().as_bytes(), b"/", PLACES, b"/", name.as_bytes()].concat();
        let found = if_there(fs.open_dir(gate.dir(), name.as_bytes())).context("open", &path)?;
        let dir = match (found, access) {
            (Some(dir), _) => dir,
            (None, Access::ReadOnly) => return Ok(uncounted()),
            (None, Access::ReadWrite) => {
                if !make_way(&*fs, &gate).context("tidy", shown(home.path(), PLACES))? {
                    return Err(Crowded::Clients);
                }
                made(&*fs, gate.dir(), name.as_bytes()).context("make", &path)?
            }
        };
        let mut sessions = Self { fs, dir: Some((dir, path)), access, busy: None, _open: None };
        let open = sessions.place("open", OPEN_MAX)?;
        sessions._open = Some(open.ok_or(Crowded::Open)?);
        Ok(sessions)
    }

    /// Takes a place among the busy sessions, unless it has one; a short while it is waited for.
    ///
    /// # Errors
    /// When there is none left, and when the places cannot be asked.
    pub fn works(&mut self) -> Result<(), Crowded> {
        if self.busy.is_some() || self.dir.is_none() {
            return Ok(());
        }
        let mut waited = 0;
        loop {
            self.busy = self.place("busy", BUSY_MAX)?;
            if self.busy.is_some() {
                return Ok(());
            }
            if waited >= WAIT_MS {
                return Err(Crowded::Busy);
            }
            self.fs.pause(PAUSE_MS);
            waited += PAUSE_MS;
        }
    }

    /// Gives the place among the busy sessions back.
    pub fn rests(&mut self) {
        self.busy = None;
    }

    /// The first free one of so many places, if there is one.
    fn place(&self, kind: &str, most: usize) -> Result<Option<Guard<F>>, Error> {
        let Some((dir, path)) = &self.dir else { return Ok(None) };
        let most = if seeded::is("sessions-without-end") { usize::MAX } else { most };
        for number in 0..most {
            let name = format!("{kind}.{number}").into_bytes();
            let shown = || [&path[..], b"/", &name].concat();
            let found = if_there(self.fs.open_dir(dir, &name)).context("open", shown())?;
            let place = match (found, self.access) {
                (Some(place), _) => place,
                (None, Access::ReadOnly) => return Ok(Some(Guard::of_nothing())),
                (None, Access::ReadWrite) => made(&*self.fs, dir, &name).context("make", shown())?,
            };
            match lock::lock_dir(&*self.fs, &place, &shown(), &Wait { ms: 0, stop: &|| false }) {
                Ok(held) => return Ok(Some(held)),
                Err(LockError::Io(error)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(None)
    }
}

/// Makes a directory, which need not outlast a crash, and opens it.
fn made<F: Fs>(fs: &F, at: &F::Dir, name: &[u8]) -> io::Result<F::Dir> {
    match fs.make_dir(at, name) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs.open_dir(at, name),
    }
}

/// Whether one more may have places: those that nobody has go when they are many.
fn make_way<F: Fs>(fs: &F, gate: &Gate<F>) -> io::Result<bool> {
    let names = gate.names(fs)?;
    if names.len() < CLIENTS_MAX {
        return Ok(true);
    }
    let mut taken = 0;
    for name in &names {
        match gate.is_taken(fs, name)? {
            true => taken += 1,
            false => gate.remove(fs, name)?,
        }
    }
    Ok(taken < CLIENTS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Disk;

    fn home(path: &std::path::Path, access: Access) -> Home<Disk> {
        Home::open(Arc::new(Disk), path, access).expect("opens")
    }

    #[test]
    fn so_many_sessions_of_one_are_open_and_fewer_busy_and_a_rest_makes_way() {
        let temp = tempfile::tempdir().expect("temp");
        let home = home(temp.path(), Access::ReadWrite);
        let enter = || Sessions::enter(&home, "key.laptop");
        let mut open: Vec<_> = (0..OPEN_MAX).map(|_| enter().expect("a place")).collect();
        assert!(matches!(enter(), Err(Crowded::Open)));
        let other = Sessions::enter(&home, "key.phone").expect("has places of its own");
        for busy in &mut open[..BUSY_MAX] {
            busy.works().expect("a place");
            busy.works().expect("has one");
        }
        assert!(open[BUSY_MAX].place("busy", BUSY_MAX).expect("asks").is_none());
        assert!(other.place("busy", BUSY_MAX).expect("asks").is_some());
        open[0].rests();
        open[BUSY_MAX].works().expect("one rests");
        // Whoever ends leaves its place, however it ends.
        open.truncate(1);
        assert!(enter().is_ok());
    }

    #[test]
    fn a_dry_run_makes_no_places_and_is_counted_where_there_are_some() {
        let temp = tempfile::tempdir().expect("temp");
        let dry = home(temp.path(), Access::ReadOnly);
        Sessions::enter(&dry, "id.a").expect("is not counted").works().expect("nor here");
        assert_eq!(std::fs::read_dir(temp.path()).expect("lists").count(), 0);
        let real = home(temp.path(), Access::ReadWrite);
        let all: Vec<_> = (0..OPEN_MAX).map(|_| Sessions::enter(&real, "id.a").expect("a place")).collect();
        assert!(matches!(Sessions::enter(&dry, "id.a"), Err(Crowded::Open)));
        drop(all);
    }

    #[test]
    fn places_that_nobody_has_go_when_there_are_many_and_no_others() {
        let temp = tempfile::tempdir().expect("temp");
        let home = home(temp.path(), Access::ReadWrite);
        let stays = Sessions::enter(&home, "id.stays").expect("a place");
        for number in 0..CLIENTS_MAX {
            std::fs::create_dir(temp.path().join(format!("sessions/id.{number}"))).expect("makes");
        }
        let comes = Sessions::enter(&home, "id.comes").expect("the others went");
        assert_eq!(std::fs::read_dir(temp.path().join("sessions")).expect("lists").count(), 2);
        drop((stays, comes));
    }
}
