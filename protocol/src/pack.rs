//! Deltas on the wire: in parts of bounded size, without digests that the receiver can find in its base.
//!
//! A moved folder of a thousand messages names each message twice and no digest at all: an entry whose
//! bytes are those of a vanished one says which, and one that only changed its flags says so.
//!
//! Deliberately not here: frames and compression. Parts are values.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;

use crate::delta::{Delta, FolderDelta, Meta, Presence, Seen};
use crate::digest::Content;
use crate::flags::Flags;
use crate::limits::{self, ENTRIES_MAX, FOLDERS_MAX, NAMES_IN_PART, PARTS_IN_FRAME};
use crate::names::{Folder, Name, Uniq};
use crate::seeded;
use crate::snapshot::{Entry, Place, Snapshot};

/// The bytes of an entry, as short as the common base allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ContentRef {
    /// Those of the base entry under the same name.
    Kept,
    /// Those of the n-th vanished entry of this delta, in the order of its parts.
    Vanished(u32),
    /// These.
    Digests(Content),
}

/// An entry on the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PackedEntry {
    uniq: Uniq,
    place: Place,
    flags: Flags,
    content: ContentRef,
    meta: Option<Meta>,
}

impl PackedEntry {
    /// An entry, with its bytes by this reference.
    pub(crate) fn of(seen: Seen, content: ContentRef) -> Self {
        let Entry { uniq, place, flags, .. } = seen.entry;
        Self { uniq, place, flags, content, meta: seen.meta }
    }

    pub(crate) fn uniq(&self) -> &Uniq {
        &self.uniq
    }

    pub(crate) fn flags(&self) -> &Flags {
        &self.flags
    }
}

/// A piece of a delta. All `Folder` parts come before the first `Entries` part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Part {
    /// A folder and what vanished in it; a folder with many is named again.
    Folder {
        /// The folder.
        folder: Folder,
        /// What became of it.
        presence: Presence,
        /// The adopting mark, in changes of a base.
        adopting: Option<bool>,
        /// What vanished.
        #[serde(deserialize_with = "limits::few::<_, _, NAMES_IN_PART>")]
        gone: Vec<Uniq>,
    },
    /// New and changed entries.
    Entries {
        /// Which of the folders named so far (each counted once).
        folder: u32,
        /// The entries.
        #[serde(deserialize_with = "limits::few::<_, _, NAMES_IN_PART>")]
        entries: Vec<PackedEntry>,
    },
}

/// Why parts are no delta.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("broken delta: {0}")]
pub struct PackError(&'static str);

/// Entries of the base that vanish with a change, in order.
fn vanished<'a>(base: &'a Snapshot, folder: &'a Folder, change: &'a FolderDelta) -> Vec<&'a Entry> {
    let Some(section) = base.folders.get(folder) else { return Vec::new() };
    match change.presence {
        Presence::Removed => section.entries().iter().collect(),
        Presence::Reset => Vec::new(),
        Presence::Same | Presence::Added => change.gone.iter().filter_map(|uniq| section.entry(uniq)).collect(),
    }
}

/// Cuts a delta against `base` into parts.
pub fn pack(base: &Snapshot, delta: &Delta) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut known: HashMap<Content, u32> = HashMap::new();
    let mut count = 0u32;
    for (folder, change) in &delta.folders {
        for entry in vanished(base, folder, change) {
            known.entry(entry.content).or_insert(count);
            count = count.saturating_add(1);
        }
        let mut chunks = change.gone.chunks(NAMES_IN_PART);
        let first = chunks.next().unwrap_or_default();
        for gone in std::iter::once(first).chain(chunks) {
            parts.push(Part::Folder {
                folder: folder.clone(),
                presence: change.presence,
                adopting: change.adopting,
                gone: gone.to_vec(),
            });
        }
    }
    for (index, (folder, change)) in (0u32..).zip(&delta.folders) {
        for seen in change.set.chunks(NAMES_IN_PART) {
            let entries = seen.iter().map(|seen| {
                let entry = &seen.entry;
                let kept = change.presence != Presence::Reset
                    && base
                        .folders
                        .get(folder)
                        .and_then(|s| s.entry(&entry.uniq))
                        .is_some_and(|old| old.content == entry.content || seeded::is("new-bytes-are-not-told"));
                let content = match known.get(&entry.content) {
                    _ if kept => ContentRef::Kept,
                    Some(&index) => ContentRef::Vanished(index),
                    None => ContentRef::Digests(entry.content),
                };
                PackedEntry::of(seen.clone(), content)
            });
            parts.push(Part::Entries { folder: index, entries: entries.collect() });
        }
    }
    parts
}

/// Puts parts together again.
#[derive(Debug, Default)]
pub struct Unpacker {
    delta: Delta,
    order: Vec<Folder>,
    vanished: Option<Vec<Content>>,
    entries: usize,
}

impl Unpacker {
    /// Takes the next part. `base` is the one that the sender packed against.
    ///
    /// # Errors
    /// When the part does not fit those before it, names what the base does not have, or passes a cap.
    pub fn take(&mut self, base: &Snapshot, part: Part) -> Result<(), PackError> {
        match part {
            Part::Folder { folder, presence, adopting, gone } => {
                if self.vanished.is_some() {
                    return Err(PackError("a folder after the entries"));
                }
                self.entries += gone.len();
                if self.order.last() != Some(&folder) {
                    if self.order.last().is_some_and(|last| *last > folder) || self.order.len() >= FOLDERS_MAX {
                        return Err(PackError("folders out of order, or too many"));
                    }
                    self.order.push(folder.clone());
                }
                let change = self.delta.folders.entry(folder).or_default();
                change.presence = presence;
                change.adopting = adopting;
                change.gone.extend(gone);
            }
            Part::Entries { folder, entries } => {
                let delta = &self.delta;
                let vanished = self.vanished.get_or_insert_with(|| {
                    let all = delta.folders.iter().flat_map(|(folder, change)| vanished(base, folder, change));
                    all.map(|entry| entry.content).collect()
                });
                let folder = self.order.get(folder as usize).ok_or(PackError("entries of a folder never named"))?;
                let change = self.delta.folders.get_mut(folder).ok_or(PackError("entries of a folder never named"))?;
                self.entries += entries.len();
                for packed in entries {
                    let content = match packed.content {
                        ContentRef::Digests(content) => content,
                        ContentRef::Vanished(index) => {
                            *vanished.get(index as usize).ok_or(PackError("bytes of an entry that did not vanish"))?
                        }
                        ContentRef::Kept => {
                            let name = Name::new(folder, &packed.uniq);
                            base.entry(&name).ok_or(PackError("bytes of an entry that the base does not have"))?.content
                        }
                    };
                    let entry = Entry { uniq: packed.uniq, place: packed.place, flags: packed.flags, content };
                    change.set.push(Seen { entry, meta: packed.meta });
                }
            }
        }
        if self.entries > ENTRIES_MAX { Err(PackError("too many entries")) } else { Ok(()) }
    }

    /// Gives the delta.
    ///
    /// # Errors
    /// When a folder names a uniq twice, or as both vanished and there.
    pub fn finish(self) -> Result<Delta, PackError> {
        let mut delta = self.delta;
        for change in delta.folders.values_mut() {
            let (gone, set) = (change.gone.len(), change.set.len());
            change.normalise();
            let both = change.gone.iter().any(|uniq| change.seen(uniq).is_some());
            if both || (change.gone.len(), change.set.len()) != (gone, set) {
                return Err(PackError("a message named twice"));
            }
        }
        Ok(delta)
    }
}

/// Groups parts so that each group fits a frame.
pub fn groups(parts: Vec<Part>) -> Vec<Vec<Part>> {
    let weight = |part: &Part| match part {
        Part::Folder { folder, gone, .. } => {
            folder.as_bytes().len() + 16 + gone.iter().map(|u| u.as_bytes().len() + 2).sum::<usize>()
        }
        Part::Entries { entries, .. } => {
            entries.iter().map(|e| e.uniq.as_bytes().len() + e.flags.rest().map_or(0, <[u8]>::len) + 96).sum::<usize>()
                + 8
        }
    };
    let mut groups: Vec<Vec<Part>> = Vec::new();
    let mut room = 0usize;
    for part in parts {
        let weight = weight(&part);
        match groups.last_mut() {
            Some(group) if weight <= room && group.len() < PARTS_IN_FRAME => group.push(part),
            _ => {
                groups.push(vec![part]);
                room = 256 * 1024;
            }
        }
        room = room.saturating_sub(weight);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Section;

    fn entry(uniq: &str, letters: &str, bytes: &str) -> Entry {
        Entry {
            uniq: Uniq::parse(uniq.as_bytes()).expect("uniq"),
            place: Place::Cur,
            flags: Flags::from_letters(letters),
            content: Content::of(bytes.as_bytes()),
        }
    }

    fn folder(name: &str) -> Folder {
        Folder::parse(name.as_bytes()).expect("folder")
    }

    fn there_and_back(base: &Snapshot, delta: &Delta) -> Delta {
        let mut unpacker = Unpacker::default();
        for part in pack(base, delta) {
            let bytes = crate::codec::encode(&part).expect("fits");
            unpacker.take(base, crate::codec::decode(&bytes).expect("reads")).expect("takes");
        }
        unpacker.finish().expect("finishes")
    }

    #[test]
    fn a_moved_folder_names_no_digest() {
        let entries: Vec<Entry> = (0..3_000).map(|i| entry(&format!("u{i:05}"), "", &format!("bytes {i}"))).collect();
        let mut base = Snapshot::default();
        base.folders.insert(folder("a"), Section::new(entries.clone(), false));
        let mut delta = Delta::default();
        delta.folders.insert(folder("a"), FolderDelta { presence: Presence::Removed, ..FolderDelta::default() });
        let set: Vec<Seen> = Section::new(entries, false).entries().iter().cloned().map(Seen::bare).collect();
        delta.folders.insert(folder("b"), FolderDelta { presence: Presence::Added, set, ..FolderDelta::default() });
        assert_eq!(there_and_back(&base, &delta), delta);
        let digests = pack(&base, &delta).iter().any(|part| match part {
            Part::Entries { entries, .. } => entries.iter().any(|e| matches!(e.content, ContentRef::Digests(_))),
            Part::Folder { .. } => false,
        });
        assert!(!digests);
    }

    #[test]
    fn flag_changes_new_bytes_and_many_names_come_back_the_same() {
        let many: Vec<Entry> = (0..2_500).map(|i| entry(&format!("m{i:05}"), "", "same")).collect();
        let mut base = Snapshot::default();
        base.folders.insert(folder("a"), Section::new(vec![entry("x", "", "1"), entry("y", "", "2")], false));
        base.folders.insert(folder("many"), Section::new(many.clone(), false));
        let mut delta = Delta::default();
        let set =
            vec![Seen { entry: entry("x", "S", "1"), meta: Some(Meta::default()) }, Seen::bare(entry("z", "F", "3"))];
        delta
            .folders
            .insert(folder("a"), FolderDelta { gone: vec![entry("y", "", "").uniq], set, ..FolderDelta::default() });
        let gone = many.iter().map(|e| e.uniq.clone()).collect();
        delta.folders.insert(folder("many"), FolderDelta { gone, adopting: Some(true), ..FolderDelta::default() });
        assert_eq!(there_and_back(&base, &delta), delta);
    }

    #[test]
    fn broken_deltas_are_refused() {
        let base = Snapshot::default();
        let part = |content| Part::Entries {
            folder: 0,
            entries: vec![PackedEntry {
                uniq: entry("x", "", "").uniq,
                place: Place::New,
                flags: Flags::default(),
                content,
                meta: None,
            }],
        };
        let named = Part::Folder {
            folder: folder("a"),
            presence: Presence::Same,
            adopting: None,
            gone: vec![entry("x", "", "").uniq],
        };
        assert!(Unpacker::default().take(&base, part(ContentRef::Kept)).is_err());
        for content in [ContentRef::Kept, ContentRef::Vanished(0)] {
            let mut unpacker = Unpacker::default();
            unpacker.take(&base, named.clone()).expect("a folder");
            assert!(unpacker.take(&base, part(content)).is_err());
        }
        let mut unpacker = Unpacker::default();
        unpacker.take(&base, named).expect("a folder");
        unpacker.take(&base, part(ContentRef::Digests(Content::of(b"")))).expect("an entry");
        assert!(unpacker.finish().is_err(), "gone and there at once");
    }
}
