//! The grave: where deleted and replaced messages rest until their days are over.
//!
//! Flat files on the message's own file system, so that a burial is one rename: below `~/.smd/grave/` where
//! that is the same file system as the root, else in `..smd-grave/` in the root. Nothing is made before the
//! first burial. A burial has three parts, so that a crash between any two can be told from a finished one:
//!
//! 1. [`Grave::announce`] writes what will be buried into the index, durably;
//! 2. [`Grave::take`] (or [`Grave::lay`] and [`Grave::swap`]) moves the bytes in, under a name that ends in `.t`: *taken,
//!    not yet looked at*;
//! 3. whoever took them reads them, and either [`Grave::keep`]s them (`.k`) or gives them back.
//!
//! What a crash leaves as `.t` is settled by the next run (see [`crate::apply`]). The index is advice for
//! `smd-undo`; the bytes do not depend on it. The rooms: `index` (its lines), `bound` (by age and by size), `resting`
//! (everything that may be brought back).
//!
//! Deliberately not here: what is right to bury. Bytes are compared by `apply`.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use smd_protocol::Content;
use smd_protocol::names::GRAVE_DIR;
use smd_protocol::seeded;

use crate::fs::{Fs, Kind, Rename};
use crate::home::Age;
use crate::rename::is_unsupported;
use crate::root::{Root, if_there};
use crate::share::Share;

mod bound;
mod index;
mod resting;
#[cfg(test)]
mod tests;

pub use bound::{Full, Swept};
pub use index::{Record, Why};
pub use resting::{Resting, kept};

/// Graves opened by this process, to tell them apart.
static OPENED: AtomicU64 = AtomicU64::new(0);
/// Numbers in a ticket: the age clock, three that tell processes apart, and the one that counts.
const NUMBERS: usize = 5;
/// A name that nobody has, to ask whether two directories lie in one mount.
const PROBE: &[u8] = b"..smd-probe";

/// The grave of one root. Cloning shares it.
pub struct Grave<F: Fs> {
    shared: Arc<Shared<F>>,
}

impl<F: Fs> Clone for Grave<F> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

struct Shared<F: Fs> {
    root: Root<F>,
    /// `~/.smd` and the name of this root's grave in it.
    home: Option<(F::Dir, Vec<u8>)>,
    run: String,
    /// The age clock when this was first asked for.
    age: OnceLock<Age>,
    /// Tells this run from others that have the same label and bury in the same second.
    nonce: String,
    next: AtomicU64,
    opened: Mutex<Opened<F>>,
}

struct Opened<F: Fs> {
    dir: Option<F::Dir>,
    /// Whether this run wrote to the index: what a crash left without a line end is closed before.
    appended: bool,
    /// How large it may get, and how large it is, once somebody asked.
    max: Option<Share>,
    size: Option<u64>,
}

/// A burial that was announced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ticket {
    id: String,
}

impl Ticket {
    fn file(&self, state: State) -> Vec<u8> {
        format!("{}.{}", self.id, state.letter()).into_bytes()
    }

    /// The name of the bytes in the grave once they were looked at.
    pub fn kept(&self) -> Vec<u8> {
        self.file(State::Kept)
    }

    /// The name of the bytes in the grave while nobody has looked at them.
    pub fn taken(&self) -> Vec<u8> {
        self.file(State::Taken)
    }
}

/// How far a burial came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The bytes are in the grave, and nobody has compared them with what should be buried.
    Taken,
    /// They were compared.
    Kept,
}

impl State {
    fn letter(self) -> char {
        match self {
            State::Taken => 't',
            State::Kept => 'k',
        }
    }
}

/// A file in the grave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Buried {
    /// Its ticket.
    pub ticket: Ticket,
    /// When it was announced, seconds since 1970, by whatever the wall clock said: for a person.
    pub time: i64,
    /// The same by the age clock, in seconds: what its days count from.
    pub age: i64,
    /// The label of the run that buried it.
    pub run: String,
    /// How far its burial came.
    pub state: State,
    /// What the index says of it; none when its line is lost.
    pub record: Option<Record>,
}

/// Takes `TIME.RUN.N.STATE` apart.
fn parse_file(file: &[u8]) -> Option<Buried> {
    let text = std::str::from_utf8(file).ok()?;
    let (id, state) = text.rsplit_once('.')?;
    let state = match state {
        "t" => State::Taken,
        "k" => State::Kept,
        _ => return None,
    };
    let (time, rest) = id.split_once('.')?;
    let (run, number) = rest.rsplit_once('.')?;
    number.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-').then_some(())?;
    let time = time.parse().ok()?;
    // Before there was an age clock the wall clock was all that there was, and there was a number less.
    let numbers: Vec<&str> = number.split('-').collect();
    let age = if numbers.len() == NUMBERS { i64::from_str_radix(numbers[0], 16).ok()? } else { time };
    Some(Buried { ticket: Ticket { id: id.to_owned() }, time, age, run: run.to_owned(), state, record: None })
}

/// What the id of a burial says of it, as of one that was kept.
fn parse_id(id: &str) -> Option<Buried> {
    parse_file(format!("{id}.{}", State::Kept.letter()).as_bytes())
}

/// Keeps letters, digits, `-`, `_` and `+` of a label and cuts it to 128.
pub(crate) fn file_safe(label: &str) -> String {
    label.chars().take(128).map(|c| if c.is_ascii_alphanumeric() || "-_+".contains(c) { c } else { '_' }).collect()
}

impl<F: Fs> Grave<F> {
    /// Prepares the grave of a root; nothing is opened or made yet. `home` is `~/.smd`, held, and the name of this
    /// root's files there (one directory entry); `run` labels what this run buries.
    pub fn open(root: &Root<F>, home: Option<(F::Dir, &str)>, run: &str) -> Self {
        let home = home.map(|(dir, stem)| (dir, stem.as_bytes().to_vec()));
        let nonce =
            format!("{:x}-{:x}-{:x}", root.fs.now().nsec, std::process::id(), OPENED.fetch_add(1, Ordering::Relaxed));
        let (root, run, opened) =
            (root.clone(), file_safe(run), Mutex::new(Opened { dir: None, appended: false, max: None, size: None }));
        let (age, next) = (OnceLock::new(), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { root, home, run, age, nonce, next, opened }) }
    }

    /// The age clock, by which the days of what rests here are counted; the wall clock where there is no state directory.
    ///
    /// # Errors
    /// When what was noted of it cannot be read.
    pub fn age(&self) -> io::Result<Age> {
        if let Some(age) = self.shared.age.get() {
            return Ok(*age);
        }
        let age = match &self.shared.home {
            Some((home, _)) => crate::home::age(self.fs(), home)?,
            None => Age { now: self.fs().now().sec.max(0), began: 0 },
        };
        Ok(*self.shared.age.get_or_init(|| age))
    }

    /// What the ids of all that is buried by this have in common ([`smd_protocol::grave::run_of`]).
    ///
    /// # Errors
    /// As [`Grave::age`].
    pub fn burials(&self) -> io::Result<String> {
        Ok(format!("{}.{:x}-{}", self.shared.run, self.age()?.now, self.shared.nonce))
    }

    fn fs(&self) -> &F {
        &self.shared.root.fs
    }

    fn opened(&self) -> MutexGuard<'_, Opened<F>> {
        self.shared.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory, made if it is missing.
    fn dir(&self) -> io::Result<F::Dir> {
        let mut opened = self.opened();
        if let Some(dir) = &opened.dir {
            return Ok(dir.clone());
        }
        let dir = match self.home_dir(true)? {
            Some(dir) => dir,
            None => self.ensure(&self.shared.root.dir, GRAVE_DIR)?,
        };
        opened.dir = Some(dir.clone());
        Ok(dir)
    }

    /// The grave below `~/.smd`, if a rename between it and the root is possible. The person may have moved it to another
    /// disk by a symlink, so it is asked itself where it is there already.
    fn home_dir(&self, make: bool) -> io::Result<Option<F::Dir>> {
        let (fs, root) = (self.fs(), &self.shared.root.dir);
        let Some((home, stem)) = &self.shared.home else { return Ok(None) };
        let graves = if_there(fs.open_moved(home, b"grave"))?;
        let near = graves.as_ref().unwrap_or(home);
        if fs.stat_dir(near)?.dev != fs.stat_dir(root)?.dev {
            return Ok(None);
        }
        // One device may be mounted twice, and no rename crosses mounts. Asked with a name that nobody has,
        // the kernel says ENOENT within one mount and EXDEV between two, and changes nothing.
        match fs.rename(near, PROBE, root, PROBE, Rename::NoReplace) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            _ => return Ok(None),
        }
        if make {
            let graves = graves.map_or_else(|| self.ensure(home, b"grave"), Ok)?;
            return self.ensure(&graves, stem).map(Some);
        }
        let Some(graves) = graves else { return Ok(None) };
        if_there(fs.open_dir(&graves, stem))
    }

    fn ensure(&self, at: &F::Dir, name: &[u8]) -> io::Result<F::Dir> {
        let fs = self.fs();
        if let Some(dir) = if_there(fs.open_dir(at, name))? {
            return Ok(dir);
        }
        match fs.make_dir(at, name) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => fs.sync_dir(at)?,
        }
        fs.open_dir(at, name)
    }

    /// Every directory that holds burials of this root, as far as they are there.
    fn dirs(&self) -> io::Result<Vec<F::Dir>> {
        let in_root = if_there(self.fs().open_dir(&self.shared.root.dir, GRAVE_DIR))?;
        Ok(self.home_dir(false)?.into_iter().chain(in_root).collect())
    }

    /// Writes into the index what will be buried and makes it durable. A ticket that is never used does no harm.
    ///
    /// # Errors
    /// When the grave cannot be made or written, or is full: then nothing may be buried.
    pub fn announce(&self, records: Vec<Record>) -> io::Result<Vec<Ticket>> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let dir = self.dir()?;
        // A rename buries nothing.
        if records.iter().any(|record| record.why != Why::Renamed) {
            self.has_room(&dir)?;
        }
        let (time, age) = (self.fs().now().sec, self.age()?.now);
        let number = |record: Record| {
            let n = self.shared.next.fetch_add(1, Ordering::Relaxed);
            (Ticket { id: format!("{time}.{}.{age:x}-{}-{n:x}", self.shared.run, self.shared.nonce) }, record)
        };
        // By its path on this host: the grave is one for all peers of the root, who may call the folder otherwise.
        let on_disk = |record: Record| Ok(Record { folder: self.shared.root.local(&record.folder)?, ..record });
        let records: Vec<Record> = records.into_iter().map(on_disk).collect::<io::Result<_>>()?;
        let numbered: Vec<_> = records.into_iter().map(number).collect();
        let mut opened = self.opened();
        let result = index::append(self.fs(), &dir, &numbered, !opened.appended);
        // After a failure the last line may be torn.
        opened.appended = result.is_ok();
        result?;
        Ok(numbered.into_iter().map(|(ticket, _)| ticket).collect())
    }

    /// Takes a message out of its directory. Nobody has looked at the bytes yet.
    ///
    /// # Errors
    /// `NotFound` when it is gone; `CrossesDevices` when it lies on another file system than the grave.
    pub fn take(&self, ticket: &Ticket, from: &F::Dir, file: &[u8]) -> io::Result<()> {
        let (dir, taken) = (self.dir()?, ticket.taken());
        match self.fs().rename(from, file, &dir, &taken, Rename::NoReplace) {
            // Nobody else has the name of a ticket, so nothing is replaced. A link and an unlink would remove what a mail
            // program puts in the message's place between the two.
            Err(e) if is_unsupported(&e) => self.fs().rename(from, file, &dir, &taken, Rename::Replace),
            other => other,
        }
    }

    /// Lays staged bytes here under the ticket, to [`Grave::swap`] them with a message. Until then they are only a copy.
    ///
    /// # Errors
    /// As [`Grave::take`].
    pub fn lay(&self, ticket: &Ticket, from: &F::Dir, file: &[u8]) -> io::Result<()> {
        self.take(ticket, from, file)
    }

    /// Swaps what is here under the ticket with a message.
    ///
    /// # Errors
    /// As the system says; `InvalidInput` where the file system cannot swap names.
    pub fn swap(&self, ticket: &Ticket, with: &F::Dir, file: &[u8]) -> io::Result<()> {
        self.fs().rename(&self.dir()?, &ticket.taken(), with, file, Rename::Exchange)
    }

    /// Opens what was taken, for the look at it.
    ///
    /// # Errors
    /// As the system says; `InvalidInput` when it is not a regular file.
    pub fn open_taken(&self, ticket: &Ticket) -> io::Result<F::File> {
        self.fs().open(&self.dir()?, &ticket.taken())
    }

    /// Keeps what was taken: it is what should be buried.
    ///
    /// # Errors
    /// As the system says; the bytes are then still here as taken.
    pub fn keep(&self, ticket: &Ticket) -> io::Result<()> {
        if seeded::is("grave-keeps-nothing") {
            return self.discard(ticket);
        }
        let dir = self.dir()?;
        let kept = ticket.file(State::Kept);
        crate::rename::rename_free(self.fs(), &dir, &ticket.taken(), &dir, &kept)?;
        self.grows_by(&dir, &kept);
        Ok(())
    }

    /// Gives what was taken back under a name that must be free.
    ///
    /// # Errors
    /// `AlreadyExists` when it is not; the bytes are then still here as taken.
    pub fn give_back(&self, ticket: &Ticket, to: &F::Dir, file: &[u8]) -> io::Result<()> {
        crate::rename::rename_free(self.fs(), &self.dir()?, &ticket.taken(), to, file)
    }

    /// Removes what is here as taken: a copy of bytes that are elsewhere.
    ///
    /// # Errors
    /// As the system says.
    pub fn discard(&self, ticket: &Ticket) -> io::Result<()> {
        self.fs().unlink(&self.dir()?, &ticket.taken())
    }

    /// Makes the burials of this run durable, if there are any.
    ///
    /// # Errors
    /// As the system says; the burials are then not to be relied on.
    pub fn sync(&self) -> io::Result<()> {
        let dir = self.opened().dir.clone();
        dir.map_or(Ok(()), |dir| self.fs().sync_dir(&dir))
    }

    /// Everything that rests here, oldest first, with what the index says.
    ///
    /// # Errors
    /// As the system says.
    pub fn entries(&self) -> io::Result<Vec<Buried>> {
        let mut all = Vec::new();
        for dir in self.dirs()? {
            let mut found = self.files(&dir)?;
            let mut records: HashMap<String, Record> = index::read(self.fs(), &dir)?.into_iter().collect();
            found.iter_mut().for_each(|buried| buried.record = records.remove(&buried.ticket.id));
            all.append(&mut found);
        }
        all.sort_by_key(|buried| (buried.age, buried.time));
        Ok(all)
    }

    /// What a crash left in the directory that this run uses, taken but not looked at.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn unsettled(&self) -> io::Result<Vec<Buried>> {
        let Some(dir) = self.dirs()?.into_iter().next() else { return Ok(Vec::new()) };
        let mut found = self.files(&dir)?;
        found.retain(|buried| buried.state == State::Taken);
        if !found.is_empty() {
            let mut records: HashMap<String, Record> = index::read(self.fs(), &dir)?.into_iter().collect();
            found.iter_mut().for_each(|buried| buried.record = records.remove(&buried.ticket.id));
            self.opened().dir = Some(dir);
        }
        Ok(found)
    }

    fn files(&self, dir: &F::Dir) -> io::Result<Vec<Buried>> {
        let mut found = Vec::new();
        self.fs().list(dir, &mut |name, kind, _| {
            if matches!(kind, Kind::File | Kind::Unknown) {
                found.extend(parse_file(name));
            }
        })?;
        found.sort_by_key(|buried| (buried.age, buried.time));
        Ok(found)
    }
}

/// What the index shall say of a message.
pub(crate) fn record_of(
    why: Why,
    name: &smd_protocol::Name,
    place: smd_protocol::Place,
    file: &[u8],
    content: Content,
) -> Record {
    Record {
        why,
        folder: name.folder.clone(),
        place: Some(place),
        file: file.to_vec(),
        content: Some(content),
        instead: None,
        renamed: None,
    }
}
