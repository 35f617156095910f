//! From the names of one folder to its messages: which are known, which must be read.
//!
//! A message is known when a record tells of its file: the name with the recorded inode, or another name of
//! a file with the inode, size, mtime and birth time of a record (a changed flag; a message that a mail
//! program moved here). Everything else is read.

use std::collections::{BTreeSet, HashMap};
use std::io;

use smd_protocol::delta::Mtime;
use smd_protocol::digest::Hashed;
use smd_protocol::step::LOOKS_AGAIN;
use smd_protocol::{FileName, Folder, Section, Uniq, seeded};

use super::list::{Item, Listing};
use super::{Depth, Scanner, stamps, twins};
use crate::apply::Installed;
use crate::cache::{DirStamp, Record};
use crate::error::Trouble;
use crate::fs::{Fs, Kind, Stat};
use crate::hash::{self, Job, Outcome};
use crate::root::FolderDirs;

/// In a folder of so many messages each is looked at when the folder's stamps moved, about a millisecond in all: an edit by
/// rename may have got the inode number of the file before the last. In a larger one with other changes beside it a known
/// name with its recorded inode is believed until the next deeper scan.
const LOOK_AT_ALL: usize = 1000;
/// Most sentences about one folder.
const TROUBLES_MAX: usize = 20;

/// What may tell of files without reading them.
pub(super) struct Memory<'a> {
    /// The folder's own records by uniq.
    pub(super) known: &'a [Record],
    /// Records by inode, wherever they were.
    pub(super) donors: &'a HashMap<u64, Vec<&'a Record>>,
    pub(super) depth: Depth,
    /// Whether the folder's stamps moved since the records were made.
    pub(super) moved: bool,
    /// Whether the records were made by this very scan, so that young files need no second reading.
    pub(super) fresh: bool,
}

/// A folder's messages as found.
#[derive(Clone, Debug, Default)]
pub(super) struct Messages {
    pub(super) cur: Option<DirStamp>,
    pub(super) new: Option<DirStamp>,
    /// By uniq, each once.
    pub(super) records: Vec<Record>,
    /// Uniqs of which nothing can be said: neither gone nor changed.
    pub(super) unknown: BTreeSet<Uniq>,
    /// Uniqs whose files were read and have the bytes that the base has.
    pub(super) as_in_base: Vec<Uniq>,
    pub(super) troubles: Vec<Trouble>,
    /// Names that are left out by design, as `cur/NAME`.
    pub(super) left_out: Vec<Box<[u8]>>,
    /// A directory lies where only messages should: nothing is known of what is in it.
    pub(super) unentered: bool,
    /// What is left out by this run alone.
    pub(super) said: Vec<Trouble>,
    /// Something is said of the folder by every run, so that every run must look into it.
    pub(super) said_again: bool,
    /// Whether the names stood still while they were listed, and every file was met under its name.
    pub(super) stable: bool,
    /// Whether the stamps prove that no name changed since.
    pub(super) proven: bool,
    /// Complete listings so far.
    pub(super) looks: u32,
}

impl Messages {
    /// Whether messages and stamps may be recorded as belonging together.
    pub(super) fn settled(&self) -> bool {
        self.stable
            && self.proven
            && !self.said_again
            && self.unknown.is_empty()
            && self.records.iter().all(|r| !r.racy)
    }

    /// Whether another listing met the same files under the same names.
    pub(super) fn has_names_of(&self, other: &Self) -> bool {
        let name = |r: &Record| (r.ino, r.place);
        let same = |(a, b): (&Record, &Record)| name(a) == name(b) && a.uniq == b.uniq && a.flags == b.flags;
        self.records.len() == other.records.len() && self.records.iter().zip(&other.records).all(same)
    }

    /// Whether every message that an earlier listing met, whatever its flags, is in this one.
    pub(super) fn has_all_of(&self, earlier: &[Record]) -> bool {
        let mut here = self.records.iter().map(|record| &record.uniq).peekable();
        earlier.iter().all(|record| {
            while here.next_if(|uniq| **uniq < record.uniq).is_some() {}
            here.peek() == Some(&&record.uniq) || self.unknown.contains(&record.uniq)
        }) || seeded::is("first-round-is-forgotten")
    }

    /// Takes note of a symlink where a message could be.
    fn link(&mut self, item: &Item) {
        if self.left_out.len() < TROUBLES_MAX {
            self.left_out.push([item.place.dir(), b"/", &item.name].concat().into());
        }
    }

    /// Takes note of a directory where a message could be: what is missing elsewhere may lie in it, unless it is empty. What
    /// comes into it later moves no stamp of the folder.
    fn directory<F: Fs>(&mut self, scanner: &Scanner<'_, F>, folder: &Folder, dir: &F::Dir, item: &Item) {
        self.said_again = true;
        let fs = &*scanner.root.fs;
        let mut empty = true;
        let listed = fs.open_dir(dir, &item.name).and_then(|held| fs.list(&held, &mut |_, _, _| empty = false));
        if listed.is_err() || !empty {
            self.unentered = true;
            let text = "is a directory among messages, and nothing in it is looked at; move it out of cur and new";
            self.trouble(scanner.shown(folder, item), text.to_owned());
        }
    }

    /// Adds a sentence; when there are too many, counts on in the last.
    pub(super) fn trouble(&mut self, path: Vec<u8>, text: String) {
        match self.troubles.len() {
            n if n < TROUBLES_MAX => self.troubles.push(Trouble { path, text }),
            TROUBLES_MAX => {
                self.troubles.push(Trouble { path, text: format!("{text} (and so may others in this folder)") })
            }
            _ => {}
        }
    }
}

/// One file that may be a message.
pub(super) struct Candidate {
    pub(super) item: Item,
    pub(super) name: FileName,
    pub(super) state: State,
}

pub(super) enum State {
    Known(Record),
    /// To be read, as this job.
    Read(usize),
    /// The name is gone again.
    Vanished,
    Unknown(String),
    /// No regular file, so no message: this is what it is.
    Foreign(Kind),
}

/// A folder between listing and reading.
pub(super) struct Prepared<F: Fs> {
    pub(super) folder: Folder,
    pub(super) dirs: FolderDirs<F>,
    candidates: Vec<Candidate>,
    messages: Messages,
}

/// Settles what needs no reading, and adds a job for what does.
pub(super) fn prepare<F: Fs>(
    scanner: &Scanner<'_, F>,
    folder: &Folder,
    dirs: FolderDirs<F>,
    listing: Listing,
    memory: &Memory<'_>,
    jobs: &mut Vec<Job<F::Dir>>,
) -> Prepared<F> {
    let fs = &*scanner.root.fs;
    let mut messages = Messages {
        cur: listing.cur,
        new: listing.new,
        stable: listing.stable,
        proven: listing.proven,
        ..Messages::default()
    };
    let mut candidates: Vec<Candidate> = Vec::with_capacity(listing.items.len());
    let small = listing.items.len() <= LOOK_AT_ALL;
    let suspect = memory.moved && (small || is_all_known(&listing.items, memory.known));
    let mut items = listing.items.into_iter().peekable();
    while let Some(item) = items.next() {
        let dir = dirs.place(item.place).expect("what was listed is held");
        let Some(name) = named(scanner, folder, dir, &item, &mut messages) else { continue };
        let twin = items.peek().is_some_and(|next| next.uniq() == name.uniq.as_bytes())
            || candidates.last().is_some_and(|last: &Candidate| last.name.uniq == name.uniq);
        let state = match recall(fs, dir, &item, &name, memory, twin || suspect) {
            Ok(Some(state)) => state,
            Ok(None) => {
                jobs.push(Job { dir: dir.clone(), name: item.name.clone() });
                State::Read(jobs.len() - 1)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => State::Vanished,
            Err(e) => State::Unknown(format!("cannot be looked at and is left as it was: {e}")),
        };
        candidates.push(Candidate { item, name, state });
    }
    Prepared { folder: folder.clone(), dirs, candidates, messages }
}

/// The name of what may be a message. What has no name as one has none either in base and delta: where it could be mail, that is
/// said by every run, and a directory may hold what is missing elsewhere.
fn named<F: Fs>(
    scanner: &Scanner<'_, F>,
    folder: &Folder,
    dir: &F::Dir,
    item: &Item,
    messages: &mut Messages,
) -> Option<FileName> {
    let name = FileName::parse(&item.name);
    let hidden = item.name.first() == Some(&b'.');
    let kind = match item.kind {
        Kind::Unknown if name.is_err() => scanner.root.fs.stat(dir, &item.name).map_or(Kind::Unknown, |stat| stat.kind),
        kind => kind,
    };
    match (kind, name) {
        (_, Ok(name)) => return Some(name),
        (Kind::Dir, Err(_)) => messages.directory(scanner, folder, dir, item),
        (Kind::File, Err(why)) if !hidden => {
            messages.trouble(scanner.shown(folder, item), format!("is left alone: its name {}", why.why));
            messages.said_again = true;
        }
        (_, Err(_)) => {}
    }
    None
}

/// Whether a folder's names and inodes are just those of its records. When its stamps moved all the same, a file may have
/// been put in the place of another whose inode number it got: a file system gives the number of a file that is gone to
/// the next one, so that of two edits by rename the second often has the number of the first.
fn is_all_known(items: &[Item], known: &[Record]) -> bool {
    let is_known = |(item, r): (&Item, &Record)| {
        (item.uniq(), item.ino, item.place) == (r.uniq.as_bytes(), r.ino, r.place)
            && FileName::parse(&item.name).is_ok_and(|name| name.flags == r.flags)
    };
    items.len() == known.len() && items.iter().zip(known).all(is_known)
}

/// What the records say of a file; none when it must be read.
fn recall<F: Fs>(
    fs: &F,
    dir: &F::Dir,
    item: &Item,
    name: &FileName,
    memory: &Memory<'_>,
    look: bool,
) -> io::Result<Option<State>> {
    if !matches!(item.kind, Kind::File | Kind::Unknown) {
        return Ok(Some(State::Foreign(item.kind)));
    }
    let at = memory.known.binary_search_by(|r| r.uniq.cmp(&name.uniq)).ok();
    let known = at.map(|at| &memory.known[at]);
    let same_name = |r: &&Record| r.ino == item.ino && r.place == item.place && r.flags == name.flags && !r.racy;
    if let (Depth::Quick, false, Some(record)) = (memory.depth, look, known.filter(same_name)) {
        return Ok(Some(State::Known(record.clone())));
    }
    let stat = fs.stat(dir, &item.name)?;
    if stat.kind != Kind::File {
        return Ok(Some(State::Foreign(stat.kind)));
    }
    if memory.depth == Depth::Full {
        return Ok(None);
    }
    let usable = |r: &Record| (memory.fresh || !r.racy) && is_file_of(r, &stat, memory.depth == Depth::Stat || r.racy);
    // Without a birth time an inode that is used again could pass for the old file under a new name.
    let lent = || {
        memory
            .donors
            .get(&stat.ino)
            .into_iter()
            .flatten()
            .copied()
            .find(|r| usable(r) && !r.racy && (r.btime.is_some() || r.ctime == stat.ctime))
    };
    let own = known.filter(|r| usable(r));
    // A new name moves the ctime. Under the name that it had, only an edit, or a change of mode, owner or links did: which of
    // them a closer look tells, by the ctime of the bytes that were read.
    let stayed = own.filter(same_name).filter(|_| !seeded::is("quick-look-takes-the-ctime"));
    let found = own.or_else(lent);
    Ok(found.map(|r| {
        let record = Record {
            uniq: name.uniq.clone(),
            place: item.place,
            flags: name.flags.clone(),
            ctime: stayed.map_or(stat.ctime, |r| r.ctime),
            ..r.clone()
        };
        State::Known(record)
    }))
}

/// Whether a record was made of this file and of these bytes, as far as stamps tell.
fn is_file_of(record: &Record, stat: &Stat, strict: bool) -> bool {
    let same = (record.size, record.mtime, record.btime) == (stat.size, stat.mtime, stat.btime);
    record.ino == stat.ino && (same || seeded::is("inode-tells-all")) && (!strict || record.ctime == stat.ctime)
}

/// Whether a file is the one that a step installed, with the bytes that it installed: a mail program may have put
/// another in its place since, or written to it.
fn is_still(installed: &Installed, stat: &Stat) -> bool {
    let of = |stat: &Stat| (stat.kind, stat.ino, stat.size, stat.mtime, stat.btime);
    of(&installed.stat) == of(stat)
}

/// A record of a file that was just read.
pub(super) fn record_of(name: &FileName, item: &Item, hashed: &Hashed, stat: &Stat, moment: Mtime) -> Record {
    Record {
        uniq: name.uniq.clone(),
        place: item.place,
        flags: name.flags.clone(),
        ino: stat.ino,
        size: stat.size,
        mtime: stat.mtime,
        ctime: stat.ctime,
        btime: stat.btime,
        content: hashed.content,
        racy: stamps::is_young(stat.ctime, moment),
    }
}

/// Puts the messages together when everything is read. Uniqs that were met twice are settled here.
pub(super) fn finish<F: Fs>(
    scanner: &Scanner<'_, F>,
    prepared: Prepared<F>,
    base: Option<&Section>,
    read: &[Outcome],
    noted: &mut BTreeSet<twins::Twin>,
) -> Messages {
    let Prepared { folder, dirs, candidates, mut messages } = prepared;
    let moment = scanner.root.fs.now();
    let mut group: Vec<(Candidate, Record)> = Vec::new();
    let mut ready: Vec<(Candidate, Record)> = Vec::new();
    let mut seconds: Vec<twins::Second> = Vec::new();
    let mut lists = candidates.into_iter().peekable();
    while let Some(mut candidate) = lists.next() {
        let uniq = candidate.name.uniq.clone();
        match resolve(&mut candidate, read, moment) {
            Ok(Some(record)) => {
                let read = matches!(candidate.state, State::Read(_));
                let in_base = || base.and_then(|base| base.entry(&uniq)).is_some_and(|e| e.content == record.content);
                messages.as_in_base.extend((read && in_base()).then(|| uniq.clone()));
                group.push((candidate, record));
            }
            Ok(None) => match candidate.state {
                State::Vanished => messages.stable = false,
                State::Foreign(_) if base.is_some_and(|b| b.entry(&uniq).is_some()) => {
                    messages.unentered |= matches!(candidate.state, State::Foreign(Kind::Dir));
                    let text = "is no longer a regular file; put the message back or remove this";
                    messages.trouble(scanner.shown(&folder, &candidate.item), text.to_owned());
                    messages.unknown.insert(uniq.clone());
                }
                State::Foreign(Kind::Symlink) => messages.link(&candidate.item),
                State::Foreign(Kind::Dir) => {
                    let dir = dirs.place(candidate.item.place).expect("what was listed is held");
                    messages.directory(scanner, &folder, dir, &candidate.item);
                }
                _ => {}
            },
            Err(_) if seeded::is("unreadable-message-is-gone") => {}
            Err(text) => {
                messages.trouble(scanner.shown(&folder, &candidate.item), text);
                messages.unknown.insert(uniq.clone());
            }
        }
        if lists.peek().is_none_or(|next| next.name.uniq != uniq) {
            if group.len() > 1 && !messages.unknown.contains(&uniq) {
                seconds.extend(twins::settle(&folder, base, std::mem::take(&mut group), &mut messages, noted));
            }
            ready.append(&mut group);
        }
    }
    messages.records.extend(ready.into_iter().map(|(_, record)| record));
    twins::name(scanner, &folder, base, seconds, &mut messages, noted);
    let Messages { records, unknown, .. } = &mut messages;
    // A uniq of which anything is unknown is unknown as a whole.
    records.retain(|r| !unknown.contains(&r.uniq));
    records.sort_by(|a, b| a.uniq.cmp(&b.uniq));
    records.dedup_by(|b, a| a.uniq == b.uniq);
    messages
}

/// The record of a candidate; none when it has none, an error when nothing can be said.
fn resolve(candidate: &mut Candidate, read: &[Outcome], moment: Mtime) -> Result<Option<Record>, String> {
    match &candidate.state {
        State::Known(record) => Ok(Some(record.clone())),
        State::Unknown(text) => Err(text.clone()),
        State::Vanished | State::Foreign(_) => Ok(None),
        State::Read(job) => match read.get(*job) {
            Some(Ok((hashed, stat))) => Ok(Some(record_of(&candidate.name, &candidate.item, hashed, stat, moment))),
            Some(Err(e)) if e.kind() == io::ErrorKind::NotFound => {
                candidate.state = State::Vanished;
                Ok(None)
            }
            Some(Err(e)) if hash::is_changed(e) => Err(format!("is being written to; {LOOKS_AGAIN}")),
            Some(Err(e)) => Err(format!("cannot be read and is left as it was: {e}")),
            // Asked not to read: neither gone nor there.
            None => Err("was not read".to_owned()),
        },
    }
}

/// As [`prepare`] and [`finish`] without reading: what neither the records nor `installed` tell is unknown.
pub(super) fn tell<'i, F: Fs>(
    scanner: &Scanner<'_, F>,
    folder: &Folder,
    dirs: &FolderDirs<F>,
    listing: &Listing,
    memory: &Memory<'_>,
    installed: &dyn Fn(&Uniq) -> Option<&'i Installed>,
) -> Messages {
    let fs = &*scanner.root.fs;
    let mut messages = Messages {
        cur: listing.cur,
        new: listing.new,
        stable: listing.stable,
        proven: listing.proven,
        ..Messages::default()
    };
    let moment = fs.now();
    for item in &listing.items {
        let dir = dirs.place(item.place).expect("what was listed is held");
        let Some(name) = named(scanner, folder, dir, item, &mut messages) else { continue };
        let record = match installed(&name.uniq) {
            Some(ours) => fs.stat(dir, &item.name).ok().filter(|stat| is_still(ours, stat)).map(|stat| {
                let hashed = Hashed { content: ours.content, size: stat.size, header_size: 0 };
                // Its bytes were checked before they had this name: however young, it is not half written. But within
                // one tick of the clock it may be followed by another file with its inode and all its stamps.
                let racy = stamps::may_repeat(stat.ctime, moment);
                Record { racy, ..record_of(&name, item, &hashed, &stat, stat.ctime) }
            }),
            None => match recall(fs, dir, item, &name, memory, false) {
                Ok(Some(State::Known(record))) => Some(record),
                Ok(Some(State::Foreign(kind))) => {
                    match kind {
                        Kind::Symlink => messages.link(item),
                        Kind::Dir => messages.directory(scanner, folder, dir, item),
                        _ => {}
                    }
                    continue;
                }
                _ => None,
            },
        };
        match record {
            Some(record) if messages.records.last().is_none_or(|last| last.uniq != record.uniq) => {
                messages.records.push(record)
            }
            _ => {
                messages.unknown.insert(name.uniq);
            }
        }
    }
    let Messages { records, unknown, .. } = &mut messages;
    records.retain(|r| !unknown.contains(&r.uniq));
    messages
}
