//! Snapshots: all entries of a root at one time, and the id by which two hosts agree on one.
//!
//! Deliberately not here: the file that holds a base (its text form is `smd-maildir`'s `store`). The id
//! is over canonical entries, so that the file format may change under it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::delta::{Delta, Presence};
use crate::digest::{Content, Digest};
use crate::flags::Flags;
use crate::names::{Folder, Name, Uniq};

/// The directory of a folder in which a message lies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Place {
    /// `new/`: no mail program has looked at it.
    New,
    /// `cur/`.
    Cur,
}

impl Place {
    /// The directory's name.
    pub fn dir(self) -> &'static [u8] {
        match self {
            Place::New => b"new",
            Place::Cur => b"cur",
        }
    }
}

/// A message as both hosts compare it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its uniq.
    pub uniq: Uniq,
    /// `new` or `cur`.
    pub place: Place,
    /// Its flags.
    pub flags: Flags,
    /// Its bytes.
    pub content: Content,
}

/// The entries of one folder, sorted by uniq, each uniq once. Cloning shares them: a run holds the base while the
/// store goes on to the next.
#[derive(Clone, Default, Debug)]
pub struct Section {
    entries: Arc<Vec<Entry>>,
    adopting: bool,
    /// Digest over `entries`, kept while they stand.
    digest: OnceLock<Digest>,
}

impl PartialEq for Section {
    fn eq(&self, other: &Self) -> bool {
        self.adopting == other.adopting && self.entries == other.entries
    }
}

impl Section {
    /// Takes entries in any order. Of two with one uniq the first is kept.
    pub fn new(mut entries: Vec<Entry>, adopting: bool) -> Self {
        entries.sort_by(|a, b| a.uniq.cmp(&b.uniq));
        entries.dedup_by(|b, a| a.uniq == b.uniq);
        Self { entries: Arc::new(entries), adopting, digest: OnceLock::new() }
    }

    /// As [`Section::new`], with the digest that a state file recorded for exactly these entries.
    pub fn with_digest(entries: Vec<Entry>, adopting: bool, digest: Digest) -> Self {
        let section = Self::new(entries, adopting);
        section.digest.get_or_init(|| digest);
        section
    }

    /// The entries, sorted by uniq.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether messages without a base entry are still to be matched as an adopt does.
    pub fn adopting(&self) -> bool {
        self.adopting
    }

    /// The entry with this uniq.
    pub fn entry(&self, uniq: &Uniq) -> Option<&Entry> {
        self.entries.binary_search_by(|e| e.uniq.cmp(uniq)).ok().map(|at| &self.entries[at])
    }

    /// Digest over the canonical form of the entries: every field length-prefixed or of fixed size.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let mut hasher = blake3::Hasher::new();
            for entry in self.entries.iter() {
                let (letters, rest): (u64, Option<Box<[u8]>>) = entry.flags.clone().into();
                let rest = rest.as_deref().unwrap_or_default();
                hash_bytes(&mut hasher, entry.uniq.as_bytes());
                hasher.update(&[entry.place as u8]);
                hasher.update(&letters.to_le_bytes());
                hash_bytes(&mut hasher, rest);
                hasher.update(&entry.content.header.0);
                hasher.update(&entry.content.body.0);
            }
            Digest::finish(&hasher)
        })
    }
}

fn hash_bytes(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// A base's id and its place in the row of bases.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct BaseId {
    /// One more than that of the base before it. Part of what is hashed, so a recurring state is not
    /// taken for an old one.
    pub counter: u64,
    /// BLAKE3 over counter, folders and canonical entries.
    pub digest: Digest,
}

impl fmt::Display for BaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.counter, self.digest)
    }
}

/// All entries of a root at one time, by folder. A folder without messages has an empty section.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Snapshot {
    /// The sections.
    pub folders: BTreeMap<Folder, Section>,
}

impl Snapshot {
    /// The entry under this name.
    pub fn entry(&self, name: &Name) -> Option<&Entry> {
        self.folders.get(&name.folder)?.entry(&name.uniq)
    }

    /// How many messages there are.
    pub fn messages(&self) -> usize {
        self.folders.values().map(|section| section.entries.len()).sum()
    }

    /// Every message with its folder, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Folder, &Entry)> {
        self.folders.iter().flat_map(|(folder, section)| section.entries.iter().map(move |entry| (folder, entry)))
    }

    /// The id that this snapshot has as the `counter`th base.
    pub fn id(&self, counter: u64) -> BaseId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"smd base 1\0");
        hasher.update(&counter.to_le_bytes());
        for (folder, section) in &self.folders {
            hash_bytes(&mut hasher, folder.as_bytes());
            hasher.update(&[u8::from(section.adopting)]);
            hasher.update(&section.digest().0);
        }
        BaseId { counter, digest: Digest::finish(&hasher) }
    }

    /// Takes the changes in. What is already so stays so: applying a delta twice is applying it once.
    pub fn apply(&mut self, delta: &Delta) {
        for (folder, change) in &delta.folders {
            if change.presence == Presence::Removed {
                self.folders.remove(folder);
                continue;
            }
            let section = self.folders.entry(folder.clone()).or_default();
            if change.presence == Presence::Reset {
                section.entries = Arc::default();
            }
            if let Some(adopting) = change.adopting {
                section.adopting = adopting;
            }
            if change.presence == Presence::Reset || !change.gone.is_empty() || !change.set.is_empty() {
                let stays = |e: &&Entry| change.gone.binary_search(&e.uniq).is_err() && change.seen(&e.uniq).is_none();
                let mut entries: Vec<Entry> = section.entries.iter().filter(stays).cloned().collect();
                entries.extend(change.set.iter().map(|seen| seen.entry.clone()));
                *section = Section::new(entries, section.adopting);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::{FolderDelta, Seen};

    fn entry(uniq: &str, bytes: &str) -> Entry {
        Entry {
            uniq: Uniq::parse(uniq.as_bytes()).expect("uniq"),
            place: Place::Cur,
            flags: Flags::default(),
            content: Content::of(bytes.as_bytes()),
        }
    }

    #[test]
    fn the_id_follows_entries_counter_and_adopting() {
        let mut a = Snapshot::default();
        a.folders.insert(Folder::root(), Section::new(vec![entry("x", "1"), entry("a", "2")], false));
        let mut b = Snapshot::default();
        b.folders.insert(Folder::root(), Section::new(vec![entry("a", "2"), entry("x", "1")], false));
        assert_eq!(a.id(1), b.id(1));
        assert_ne!(a.id(1), a.id(2));
        b.folders.insert(Folder::root(), Section::new(vec![entry("a", "2"), entry("x", "1")], true));
        assert_ne!(a.id(1), b.id(1));
    }

    #[test]
    fn applying_twice_is_applying_once() {
        let mut snapshot = Snapshot::default();
        snapshot.folders.insert(Folder::root(), Section::new(vec![entry("a", "1"), entry("b", "1")], false));
        let before = snapshot.id(1);
        let mut delta = Delta::default();
        delta.folders.insert(
            Folder::root(),
            FolderDelta {
                gone: vec![entry("a", "").uniq],
                set: vec![Seen::bare(entry("b", "2")), Seen::bare(entry("c", "3"))],
                ..FolderDelta::default()
            },
        );
        snapshot.apply(&delta);
        let once = snapshot.clone();
        assert_ne!(before, once.id(1));
        snapshot.apply(&delta);
        assert_eq!(snapshot, once);
        assert_eq!(snapshot.messages(), 2);
        assert_eq!(snapshot.id(1), once.id(1));
    }
}
