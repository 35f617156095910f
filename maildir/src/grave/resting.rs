//! What rests in a grave and may be brought back, held so that it can be.
//!
//! Deliberately not here: where it goes and under which name (`apply::back`).

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use super::index::{self, Line};
use super::{Buried, Grave, Record, State, Why, parse_file, parse_id};
use crate::fs::{Fs, Rename, Stat};
use crate::home::{Age, DAY, Home, stem};
use crate::root::if_there;

/// Days for which something is told of that is not in the grave: what was brought back, and what was renamed. Its line may stay
/// until another burial is swept.
const TOLD: i64 = 7;

/// A burial with the directory that it lies in.
pub struct Resting<F: Fs> {
    /// What is known of it.
    pub buried: Buried,
    /// It was brought back before; its file may be here still, since its bytes were in the mailbox already.
    pub back: bool,
    /// A base still has its name: there it would look like a message that never went, and be deleted again. It comes back
    /// under a new one.
    pub anew: bool,
    fs: Arc<F>,
    dir: F::Dir,
    place: (u64, u64),
}

impl<F: Fs> Clone for Resting<F> {
    fn clone(&self) -> Self {
        let Self { buried, back, anew, fs, dir, place } = self;
        Self { buried: buried.clone(), back: *back, anew: *anew, fs: fs.clone(), dir: dir.clone(), place: *place }
    }
}

impl<F: Fs> Resting<F> {
    /// Tells the runs of one label apart: all that one process buried in one root has the same.
    pub fn run(&self) -> &str {
        smd_protocol::grave::run_of(&self.buried.ticket.id)
    }

    /// Its id in the index.
    pub fn id(&self) -> &str {
        &self.buried.ticket.id
    }

    fn file(&self) -> Vec<u8> {
        self.buried.ticket.file(self.buried.state)
    }

    /// Opens it.
    ///
    /// # Errors
    /// As the system says.
    pub fn open(&self) -> io::Result<F::File> {
        self.fs.open(&self.dir, &self.file())
    }

    /// Looks at its file.
    ///
    /// # Errors
    /// As the system says.
    pub fn stat(&self) -> io::Result<Stat> {
        self.fs.stat(&self.dir, &self.file())
    }

    /// Moves it to a name that must be free. It is in one of the two places at every instant, so that this can be done once.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, `CrossesDevices` when it is on another file system: it still rests then.
    pub fn bring_back(&self, to: &F::Dir, file: &[u8]) -> io::Result<()> {
        crate::rename::rename_free(&*self.fs, &self.dir, &self.file(), to, file)
    }

    /// Lets it change places with a message. What lies here afterwards is what the message was.
    ///
    /// # Errors
    /// As the system says; `InvalidInput` where the file system cannot swap names.
    pub fn swap(&self, with: &F::Dir, file: &[u8]) -> io::Result<()> {
        self.fs.rename(&self.dir, &self.file(), with, file, Rename::Exchange)
    }

    /// Makes durable that these are no longer here, or need not be, and notes it in the index. Call it when they are
    /// durable where they are now.
    ///
    /// # Errors
    /// As the system says.
    pub fn note_back(all: &[&Self]) -> io::Result<()> {
        let mut dirs: HashMap<(u64, u64), Vec<&Self>> = HashMap::new();
        all.iter().for_each(|one| dirs.entry(one.place).or_default().push(one));
        for here in dirs.values() {
            let Resting { fs, dir, .. } = here[0];
            fs.sync_dir(dir)?;
            index::append_back(&**fs, dir, here.iter().map(|one| &one.buried.ticket))?;
        }
        Ok(())
    }
}

/// Whether a person hears still of what is not in the grave any more, or never was, and happened when the age clock stood there.
pub(super) fn is_told(age: Age, then: i64) -> bool {
    age.since(then) <= TOLD * DAY
}

/// How many messages rest in the grave that this state directory has for the root at a path. The root need not be there; a grave in
/// the root itself is not looked into.
///
/// # Errors
/// As the system says.
pub fn kept<F: Fs>(home: &Home<F>, root: &[u8]) -> io::Result<usize> {
    let (fs, Some(dir)) = (home.fs(), home.dir()) else { return Ok(0) };
    let Some(graves) = if_there(fs.open_moved(dir, b"grave"))? else { return Ok(0) };
    let Some(dir) = if_there(fs.open_dir(&graves, stem(root).as_bytes()))? else { return Ok(0) };
    let mut away = HashSet::new();
    for line in index::read_lines(&**fs, &dir)? {
        match line {
            Line::Back(id) => drop(away.insert(id)),
            // The bytes of what moved went on living; a control file is no message.
            Line::Buried(id, record) if record.why == Why::Moved || record.place.is_none() => drop(away.insert(id)),
            Line::Buried(..) => {}
        }
    }
    let mut messages = 0;
    fs.list(&dir, &mut |name, _, _| {
        let is_kept = |one: Buried| one.state == State::Kept && !away.contains(&one.ticket.id);
        messages += usize::from(parse_file(name).is_some_and(is_kept));
    })?;
    Ok(messages)
}

impl<F: Fs> Grave<F> {
    /// Everything that rests here, was renamed, or was brought back from here, oldest first. Directories in `seen` (device and inode)
    /// are left out, and those that were looked at are added: the graves of two names of one root share a directory.
    ///
    /// # Errors
    /// As the system says.
    pub fn resting(&self, seen: &mut HashSet<(u64, u64)>) -> io::Result<Vec<Resting<F>>> {
        let fs = &self.shared.root.fs;
        let mut all = Vec::new();
        for dir in self.dirs()? {
            let stat = fs.stat_dir(&dir)?;
            let place = (stat.dev, stat.ino);
            if !seen.insert(place) {
                continue;
            }
            let (mut records, mut back) = (HashMap::new(), HashSet::new());
            for line in index::read_lines(&**fs, &dir)? {
                match line {
                    Line::Buried(id, record) => drop(records.insert(id, record)),
                    Line::Back(id) => drop(back.insert(id)),
                }
            }
            let mut found = self.files(&dir)?;
            let here: HashSet<String> = found.iter().map(|buried| buried.ticket.id.clone()).collect();
            let renames = records.iter().filter(|(_, record): &(_, &Record)| record.why == Why::Renamed);
            let elsewhere: HashSet<&String> = back.iter().chain(renames.map(|(id, _)| id)).collect();
            let elsewhere = elsewhere.into_iter().filter(|id| !here.contains(*id)).filter_map(|id| parse_id(id));
            let age = self.age()?;
            found.extend(elsewhere.filter(|buried| is_told(age, buried.age)));
            for mut buried in found {
                buried.record = records.remove(&buried.ticket.id);
                let back = back.contains(&buried.ticket.id);
                all.push(Resting { buried, back, anew: false, fs: fs.clone(), dir: dir.clone(), place });
            }
        }
        all.sort_by_key(|resting| resting.buried.time);
        Ok(all)
    }
}
