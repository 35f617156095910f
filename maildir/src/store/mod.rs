//! The base, kept: one file per peer and root, `ROOT.db.txt` (docs/FORMAT-db.md).
//!
//! The file holds the sections of a base, and behind them a tail of changes: what was committed since, and
//! at most one `next` that is prepared and not yet committed. Opening it costs one read and one pass of
//! XXH3; entries are parsed when somebody asks for them, a section at a time. The id is proved from the
//! recorded digests of the sections, and once more when the tail has been applied.
//!
//! What was damaged is never guessed at: a bad section is empty and adopting, a bad head or a bad record
//! within the tail is a lost base, and a torn end, which is all that a crash leaves, is cut at the next write.
//!
//! The caller holds the state lock (`lock`) for as long as a [`Store`] lives.
//!
//! Deliberately not here: which id the two hosts agree on, and when mail is durable enough for a `next`.
//! This host's inodes and stamps are the cache's business.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use smd_protocol::{BaseId, Delta, Folder, Presence, Section, Snapshot, seeded};

use crate::error::{Context, Error};
use crate::fs::{Fs, Rename};
use crate::home::{Access, Pair, read_file, stem};
use crate::root::if_there;
pub use crate::root::{Identity, Mount};

mod advice;
mod begun;
pub(crate) mod dated;
mod dealt;
pub mod earlier;
mod endpoints;
mod header;
pub(crate) mod ledger;
mod tail;
pub(crate) mod text;
mod tripped;
pub mod visits;
mod write;

#[cfg(test)]
mod tests;

pub use endpoints::{Attending, Endpoints};
use header::Head;
pub use smd_protocol::wire::Ids;

/// Largest base file that is read or written, in bytes: some 16 million messages.
pub const FILE_MAX: u64 = 2 << 30;

/// What is recorded of a root beside its entries: this host's own business, and no part of the id.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meta {
    /// Which directory it was.
    pub identity: Option<Identity>,
    /// A fingerprint of the excludes under which the base was made.
    pub excludes: String,
    /// A fingerprint of the translator under which the base was made; empty without one.
    pub translator: String,
    /// Folders that were mount points and held mail, by their paths on this host.
    pub mounts: Vec<Mount>,
}

/// Why the base was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A later version of our programs wrote the file. It is left as it is.
    #[error("{path} has version {version}, and this program knows none after {VERSION}", path = shown(.path), VERSION = header::VERSION)]
    Newer {
        /// The file.
        path: Vec<u8>,
        /// Its version.
        version: u64,
    },
    /// The file's checksums hold, but what it says does not fit together. It was put aside (unless
    /// everything is read-only), so that the next run adopts.
    #[error("{path} contradicts itself ({why}); the next run does without it", path = shown(.path))]
    Inconsistent {
        /// The file.
        path: Vec<u8>,
        /// What does not fit.
        why: &'static str,
    },
    /// The base would be larger than [`FILE_MAX`].
    #[error("{path} would be larger than 2 GiB", path = shown(.path))]
    TooLarge {
        /// The file.
        path: Vec<u8>,
    },
    /// This id is neither the current nor the next base's.
    #[error("{path} does not hold base {id}", path = shown(.path))]
    Unknown {
        /// The file.
        path: Vec<u8>,
        /// The id that was asked for.
        id: BaseId,
    },
    /// A write was asked for in a dry run, or without a directory.
    #[error("{path} may not be written in a dry run", path = shown(.path))]
    ReadOnly {
        /// The file.
        path: Vec<u8>,
    },
    /// An earlier write of this run failed; what is on disk is known again only when it is read anew.
    #[error("{path} is not written any more, as an earlier write failed", path = shown(.path))]
    Failed {
        /// The file.
        path: Vec<u8>,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] Error),
}

/// The root's path as configured, as the head of a base file (or of its first bytes) says.
pub fn root_of(file: &[u8]) -> Option<Vec<u8>> {
    let line = file.split(|&byte| byte == b'\n').nth(1)?;
    text::unescape(line.strip_prefix(b"root ")?)
}

fn shown(path: &[u8]) -> String {
    smd_protocol::names::printable(path)
}

/// A section that was not parsed yet.
struct Slot {
    /// Its text within [`Store::text`].
    range: Range<usize>,
    entries: u64,
}

/// A prepared base.
struct Next {
    id: BaseId,
    /// Where its record begins in the file.
    start: u64,
    /// Its changes as written.
    payload: Vec<u8>,
    /// The sections that it changes, as they will be; none when it was read from the file.
    patch: Option<BTreeMap<Folder, Option<Section>>>,
}

/// What is on disk under the file's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OnDisk {
    /// Nothing, or a file whose base was given up: the next write replaces the whole.
    Replace,
    /// A file that was damaged: put aside when the next write replaces it.
    Bad,
    /// A good file.
    Good {
        /// Bytes of head and sections.
        base: u64,
        /// Where the last good record ends.
        end: u64,
        /// Bytes in all; more than `end` when the end is torn.
        len: u64,
    },
}

/// The base of one root with one peer.
pub struct Store<F: Fs> {
    pair: Pair<F>,
    /// The root's path as configured.
    root: Vec<u8>,
    /// The file's name in the pair's directory.
    name: Vec<u8>,
    path: Vec<u8>,
    on_disk: OnDisk,
    /// Whether the file's name is known to be durable: a run that was killed may have left it otherwise.
    named: bool,
    failed: bool,
    /// The file as read, for the slots.
    text: Vec<u8>,
    unparsed: BTreeMap<Folder, Slot>,
    /// The current base; a section that has a slot shows only its digest and mark.
    snapshot: Snapshot,
    /// Committed changes that are not applied to `snapshot` yet.
    committed: Vec<Vec<u8>>,
    meta: Meta,
    ids: Ids,
    next: Option<Next>,
    counter: u64,
    damaged: Vec<Folder>,
    lost: Option<&'static str>,
    /// The file holds damage that the base is free of again: it is written anew after the next commit.
    fold_due: bool,
}

impl<F: Fs> Store<F> {
    /// Opens the base of a root (`root` is its path as configured). That there is no file is no error:
    /// then there is no base.
    ///
    /// A `next` that is found is made durable, as the peer may go on from it and forget all others.
    ///
    /// # Errors
    /// When the file is of a later version, or there but unreadable: an error is never an absence.
    pub fn open(pair: &Pair<F>, root: &[u8]) -> Result<Self, StoreError> {
        let name = format!("{}.db.txt", stem(root)).into_bytes();
        let mut store = Self {
            pair: pair.clone(),
            root: root.to_vec(),
            path: pair.shown(&name),
            name,
            on_disk: OnDisk::Replace,
            named: false,
            failed: false,
            text: Vec::new(),
            unparsed: BTreeMap::new(),
            snapshot: Snapshot::default(),
            committed: Vec::new(),
            meta: Meta::default(),
            ids: Ids::default(),
            next: None,
            counter: 0,
            damaged: Vec::new(),
            lost: None,
            fold_due: false,
        };
        let Some(dir) = &pair.dir else { return Ok(store) };
        match read_file(&*pair.fs, dir, &store.name, FILE_MAX) {
            Ok(None) => {}
            Ok(Some(file)) => store.read(file)?,
            Err(e) if e.kind() == std::io::ErrorKind::FileTooLarge => store.lose("it is larger than any that we write"),
            Err(e) => return Err(e).context("read", &store.path)?,
        }
        store.secure_next()?;
        Ok(store)
    }

    fn lose(&mut self, why: &'static str) {
        tracing::warn!(path = %shown(&self.path), why, "the base is lost");
        self.forget();
        self.on_disk = OnDisk::Bad;
        self.lost = Some(why);
    }

    fn read(&mut self, file: Vec<u8>) -> Result<(), StoreError> {
        let header = match header::read_header(&file) {
            Head::Good(header) => header,
            Head::Newer(version) => return Err(StoreError::Newer { path: self.path.clone(), version }),
            Head::Bad(why) => {
                self.lose(why);
                return Ok(());
            }
        };
        let skeleton = header.skeleton();
        if header.id.is_some_and(|id| skeleton.id(id.counter) != id) {
            self.lose("its sections are not those of its id");
            return Ok(());
        }
        let mut at = header.len;
        for line in &header.sections {
            let end = usize::try_from(line.bytes).ok().and_then(|bytes| at.checked_add(bytes));
            let range = at..end.unwrap_or(usize::MAX);
            if file
                .get(range.clone())
                .is_some_and(|text| text::checksum(&[text]) == line.sum || seeded::is("damage-is-not-noticed"))
            {
                self.unparsed.insert(line.folder.clone(), Slot { range: range.clone(), entries: line.entries });
            } else {
                self.damaged.push(line.folder.clone());
            }
            at = range.end;
        }
        if at > file.len() {
            // The head is written together with its sections, so no crash of ours leaves this.
            self.lose("it ends before its sections do");
            return Ok(());
        }
        let tail = tail::read_tail(&file, at, header.id);
        if tail.damaged {
            self.lose("a record within its tail is damaged");
            return Ok(());
        }
        self.snapshot = skeleton;
        // What an older program could not read follows no head that it can.
        self.fold_due = header.version < header::VERSION;
        self.meta = header.meta;
        self.on_disk = OnDisk::Good { base: at as u64, end: tail.end as u64, len: file.len() as u64 };
        self.ids.current = tail.current;
        for payload in tail.committed {
            self.take_in(file[payload].to_vec());
        }
        if let Some((id, start, payload)) = tail.next {
            self.ids.next = Some(id);
            self.next = Some(Next { id, start: start as u64, payload: file[payload].to_vec(), patch: None });
        }
        self.counter = self.ids.next.or(self.ids.current).map_or(0, |id| id.counter);
        // A damaged section that the tail did not start afresh is lost, whatever the tail added to it.
        for folder in &self.damaged {
            tracing::warn!(path = %shown(&self.path), %folder, "a section of the base is damaged");
            self.snapshot.folders.insert(folder.clone(), Section::new(Vec::new(), true));
        }
        self.fold_due |= !self.damaged.is_empty();
        self.text = file;
        Ok(())
    }

    /// Makes changes part of the current base; they are applied when somebody looks.
    fn take_in(&mut self, payload: Vec<u8>) {
        if let Some(meta) = text::meta_of(&payload) {
            self.meta = meta;
        }
        if !self.damaged.is_empty()
            && let Some((changes, _)) = text::read_changes(&payload)
        {
            self.mend(&changes);
        }
        self.committed.push(payload);
    }

    /// A section that starts afresh or is gone is not damaged any more.
    fn mend(&mut self, changes: &Delta) {
        let anew = |folder: &Folder| {
            let change = changes.folders.get(folder);
            change.is_some_and(|change| matches!(change.presence, Presence::Reset | Presence::Removed))
        };
        if self.damaged.iter().any(anew) {
            self.damaged.retain(|folder| !anew(folder));
            self.fold_due = true;
        }
    }

    /// The file's path, for messages.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// The ids that this host knows.
    pub fn ids(&self) -> Ids {
        self.ids
    }

    /// The highest counter that was seen in the file, 0 if none; it is kept when the base is forgotten. The
    /// next base's counter is one more than the higher of the two hosts'.
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// Folders whose sections are damaged: empty and adopting in the snapshot. The changes that lead to the
    /// next base start each of them afresh ([`Presence::Reset`]), on both hosts.
    pub fn damaged(&self) -> &[Folder] {
        &self.damaged
    }

    /// Why there is no base although there is a file: words for the report.
    pub fn lost(&self) -> Option<&'static str> {
        self.lost
    }

    /// What is recorded of the root beside its entries, with the current base.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Whether all bases here were made under this translator.
    pub fn is_made_under(&self, translator: &str) -> bool {
        let current = self.ids.current.is_none() || self.meta.translator == translator;
        let next = self.next.as_ref().and_then(|next| text::meta_of(&next.payload));
        let next = match (&self.next, next) {
            (None, _) => true,
            (Some(_), Some(meta)) => meta.translator == translator,
            (Some(_), None) => self.meta.translator == translator,
        };
        current && next
    }

    /// How many messages the current base holds.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn messages(&mut self) -> Result<u64, StoreError> {
        self.load()?;
        let unparsed: u64 = self.unparsed.values().map(|slot| slot.entries).sum();
        Ok(unparsed + self.snapshot.messages() as u64)
    }

    /// Whether any section of the current base is still being adopted. No entry is parsed for it.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn has_adopting(&mut self) -> Result<bool, StoreError> {
        if !self.damaged.is_empty() {
            return Ok(true);
        }
        let marked = self.snapshot.folders.iter().filter(|(_, section)| section.adopting());
        let mut marked: BTreeSet<Folder> = marked.map(|(folder, _)| folder.clone()).collect();
        // A first base leaves a tail that touches every folder, and stays so as long as nothing is committed.
        let tail: Option<Vec<_>> = self.committed.iter().map(|payload| text::read_titles(payload)).collect();
        let Some(tail) = tail else { return self.contradict("a record of the tail cannot be read") };
        for (folder, change) in tail.into_iter().flatten() {
            match (change.presence, change.adopting) {
                (Presence::Removed, _) | (_, Some(false)) => _ = marked.remove(&folder),
                (_, Some(true)) => _ = marked.insert(folder),
                (_, None) => {}
            }
        }
        Ok(!marked.is_empty())
    }

    /// The current base, all of it; empty when there is none.
    ///
    /// # Errors
    /// When what the file says does not fit together although its checksums hold. The base is then lost, and the
    /// file is put aside so that the next run adopts.
    pub fn snapshot(&mut self) -> Result<&Snapshot, StoreError> {
        self.load()?;
        for folder in self.unparsed.keys().cloned().collect::<Vec<_>>() {
            self.parse(&folder)?;
        }
        Ok(&self.snapshot)
    }

    /// One section of the current base.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn section(&mut self, folder: &Folder) -> Result<Option<&Section>, StoreError> {
        self.load()?;
        self.parse(folder)?;
        Ok(self.snapshot.folders.get(folder))
    }

    /// Puts a section in the place of its slot, if it has one.
    fn parse(&mut self, folder: &Folder) -> Result<(), StoreError> {
        let Some(slot) = self.unparsed.remove(folder) else { return Ok(()) };
        let entries = self.text.get(slot.range).and_then(|text| text::read_section(text, folder, slot.entries));
        let Some(entries) = entries else { return self.contradict("a section cannot be read") };
        if let Some(section) = self.snapshot.folders.get_mut(folder) {
            *section = Section::with_digest(entries, section.adopting(), section.digest());
        }
        if self.unparsed.is_empty() {
            self.text = Vec::new();
        }
        Ok(())
    }

    /// Applies the committed changes that were not applied yet, and proves the id.
    fn load(&mut self) -> Result<(), StoreError> {
        if self.committed.is_empty() {
            return Ok(());
        }
        for payload in std::mem::take(&mut self.committed) {
            let Some((changes, _)) = text::read_changes(&payload) else {
                return self.contradict("a record of the tail cannot be read");
            };
            self.make_room(&changes)?;
            self.snapshot.apply(&changes);
        }
        for folder in &self.damaged {
            self.snapshot.folders.insert(folder.clone(), Section::new(Vec::new(), true));
        }
        match self.ids.current {
            Some(id) if self.damaged.is_empty() && self.snapshot.id(id.counter) != id => {
                self.contradict("its changes do not lead to its id")
            }
            _ => Ok(()),
        }
    }

    /// Parses the sections whose entries these changes reach; a mark alone needs none. Drops the slots of those that start afresh or go.
    fn make_room(&mut self, changes: &Delta) -> Result<(), StoreError> {
        for (folder, change) in &changes.folders {
            if matches!(change.presence, Presence::Reset | Presence::Removed) {
                self.unparsed.remove(folder);
            } else if !change.gone.is_empty() || !change.set.is_empty() {
                self.parse(folder)?;
            }
        }
        Ok(())
    }

    /// Gives the base up for good, so that no later run meets the same file.
    fn contradict<T>(&mut self, why: &'static str) -> Result<T, StoreError> {
        self.lose(why);
        if self.pair.access == Access::ReadWrite && self.pair.dir.is_some() {
            self.set_aside()?;
            self.on_disk = OnDisk::Replace;
        }
        Err(StoreError::Inconsistent { path: self.path.clone(), why })
    }

    /// Renames the file to `….bad`, over an older one of that name.
    fn set_aside(&self) -> Result<(), StoreError> {
        let dir = self.dir()?;
        let bad = [&self.name[..], b".bad"].concat();
        let renamed = self.pair.fs.rename(dir, &self.name, dir, &bad, Rename::Replace);
        renamed.and_then(|()| self.pair.fs.sync_dir(dir)).context("put aside", &self.path)?;
        Ok(())
    }

    /// Gives the base up durably: the file is put aside, so that the next run adopts.
    ///
    /// # Errors
    /// When the file cannot be renamed.
    pub fn give_up(&mut self) -> Result<(), StoreError> {
        self.forget();
        self.put_aside()
    }

    /// Puts the file of a base aside that this run has forgotten, so that the next run does not find it either.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn put_aside(&mut self) -> Result<(), StoreError> {
        if if_there(self.pair.fs.stat(self.dir()?, &self.name)).context("look at", &self.path)?.is_some() {
            self.set_aside()?;
        }
        self.on_disk = OnDisk::Replace;
        Ok(())
    }

    fn dir(&self) -> Result<&F::Dir, StoreError> {
        match &self.pair.dir {
            Some(dir) if self.pair.access == Access::ReadWrite => Ok(dir),
            _ => Err(StoreError::ReadOnly { path: self.path.clone() }),
        }
    }

    /// Gives up the base. Only memory changes: the file is replaced when the next base is written, and a run
    /// that ends before finds it as it was.
    pub fn forget(&mut self) {
        if self.on_disk != OnDisk::Bad {
            self.on_disk = OnDisk::Replace;
        }
        self.text = Vec::new();
        self.unparsed.clear();
        self.snapshot = Snapshot::default();
        self.committed.clear();
        self.meta = Meta::default();
        self.ids = Ids::default();
        self.next = None;
        self.damaged.clear();
        self.fold_due = false;
    }
}
