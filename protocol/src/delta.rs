//! Deltas: base -> present at one host, and base -> next base.
//!
//! A delta says for each touched folder which uniqs are gone and which entries are new or different.
//! What it does not name is as in the base: an unreadable folder is therefore simply not named.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::names::{Folder, Name, Uniq};
use crate::snapshot::{Entry, Section, Snapshot};

/// A point in time as a file system keeps it: seconds since 1970 and nanoseconds below 10^9.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Mtime {
    /// Seconds, negative before 1970.
    pub sec: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub nsec: u32,
}

/// What travels with new bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Meta {
    /// Bytes of the file.
    pub size: u64,
    /// The file's mtime.
    pub mtime: Mtime,
}

/// An entry as a scan found it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The entry.
    pub entry: Entry,
    /// Size and mtime of its file; none in changes of a base, which has neither.
    pub meta: Option<Meta>,
}

impl Seen {
    /// An entry without size and mtime.
    pub fn bare(entry: Entry) -> Self {
        Self { entry, meta: None }
    }
}

/// What became of a folder itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Presence {
    /// It is there as before.
    #[default]
    Same,
    /// It was not in the base.
    Added,
    /// It is gone, and with it every entry.
    Removed,
    /// Its section starts again from nothing: the old entries are forgotten, `set` is all there is.
    Reset,
}

/// The changes of one folder. `gone` and `set` are sorted by uniq and share none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FolderDelta {
    /// What became of the folder.
    pub presence: Presence,
    /// A new value of the section's adopting mark; only in changes of a base.
    pub adopting: Option<bool>,
    /// Uniqs that are no longer there.
    pub gone: Vec<Uniq>,
    /// Entries that are new or differ from the base's.
    pub set: Vec<Seen>,
}

impl FolderDelta {
    /// Compares what a folder holds with its base section. `present` may come in any order; of two
    /// entries with one uniq the first counts (a scan has settled such twins before).
    pub fn between(base: &Section, mut present: Vec<Seen>) -> Self {
        present.sort_by(|a, b| a.entry.uniq.cmp(&b.entry.uniq));
        present.dedup_by(|b, a| a.entry.uniq == b.entry.uniq);
        let mut change = Self::default();
        let mut old = base.entries().iter().peekable();
        for seen in present {
            while let Some(vanished) = old.next_if(|e| e.uniq < seen.entry.uniq) {
                change.gone.push(vanished.uniq.clone());
            }
            match old.next_if(|e| e.uniq == seen.entry.uniq) {
                Some(entry) if *entry == seen.entry => {}
                _ => change.set.push(seen),
            }
        }
        change.gone.extend(old.map(|vanished| vanished.uniq.clone()));
        change
    }

    /// The new or changed entry with this uniq.
    pub fn seen(&self, uniq: &Uniq) -> Option<&Seen> {
        self.set.binary_search_by(|s| s.entry.uniq.cmp(uniq)).ok().map(|at| &self.set[at])
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.presence == Presence::Same && self.adopting.is_none() && self.gone.is_empty() && self.set.is_empty()
    }

    /// Sorts `gone` and `set` and drops repetitions, so that data of unknown order can be searched.
    pub fn normalise(&mut self) {
        self.gone.sort();
        self.gone.dedup();
        self.set.sort_by(|a, b| a.entry.uniq.cmp(&b.entry.uniq));
        self.set.dedup_by(|b, a| a.entry.uniq == b.entry.uniq);
    }
}

/// All changes of a root. Folders without a change are not named.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Delta {
    /// The changes by folder.
    pub folders: BTreeMap<Folder, FolderDelta>,
}

impl Delta {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.folders.values().all(FolderDelta::is_empty)
    }

    /// The new or changed entry under this name.
    pub fn seen(&self, name: &Name) -> Option<&Seen> {
        self.folders.get(&name.folder)?.seen(&name.uniq)
    }
}

/// A host's tree as it stood when scanned: the base with the host's delta laid over it.
#[derive(Clone, Copy, Debug)]
pub struct Present<'a> {
    /// The base.
    pub base: &'a Snapshot,
    /// The host's delta.
    pub delta: &'a Delta,
}

impl<'a> Present<'a> {
    /// The entry under this name, if the host has it.
    pub fn entry(&self, name: &Name) -> Option<&'a Entry> {
        if let Some(change) = self.delta.folders.get(&name.folder) {
            if let Some(seen) = change.seen(&name.uniq) {
                return Some(&seen.entry);
            }
            if matches!(change.presence, Presence::Removed | Presence::Reset)
                || change.gone.binary_search(&name.uniq).is_ok()
            {
                return None;
            }
        }
        self.base.entry(name)
    }

    /// Whether the host has this folder.
    pub fn has_folder(&self, folder: &Folder) -> bool {
        match self.delta.folders.get(folder).map(|change| change.presence) {
            Some(Presence::Removed) => false,
            Some(Presence::Added | Presence::Reset) => true,
            Some(Presence::Same) | None => self.base.folders.contains_key(folder),
        }
    }

    /// Every message that the host has, with its folder. Order is not part of the promise.
    pub fn iter(&self) -> impl Iterator<Item = (&'a Folder, &'a Entry)> {
        let delta = self.delta;
        let kept = self.base.folders.iter().flat_map(move |(folder, section)| {
            let change = delta.folders.get(folder);
            let dropped = change.is_some_and(|c| matches!(c.presence, Presence::Removed | Presence::Reset));
            let entries = if dropped { &[][..] } else { section.entries() };
            entries
                .iter()
                .filter(move |e| {
                    change.is_none_or(|c| c.gone.binary_search(&e.uniq).is_err() && c.seen(&e.uniq).is_none())
                })
                .map(move |entry| (folder, entry))
        });
        let set =
            delta.folders.iter().flat_map(|(folder, change)| change.set.iter().map(move |seen| (folder, &seen.entry)));
        kept.chain(set)
    }
}
