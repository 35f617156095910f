//! Base and present: the delta, and what the cache keeps of the look.

use std::collections::{BTreeMap, BTreeSet};

use smd_protocol::delta::{FolderDelta, Meta, Presence};
use smd_protocol::step::LOOKS_AGAIN;
use smd_protocol::{Delta, Entry, Folder, Section, Seen, Snapshot, seeded};

use super::folder::Messages;
use super::rounds::Work;
use super::walk::DirSeen;
use super::{Depth, Identity, Look, Mount};
use crate::cache::{DirRecord, DirState, Record, Whole};
use crate::error::Trouble;
use crate::fs::Fs;

/// The entry that a record tells of.
pub(super) fn entry_of(record: &Record) -> Entry {
    Entry { uniq: record.uniq.clone(), place: record.place, flags: record.flags.clone(), content: record.content }
}

impl<F: Fs> Work<'_, F> {
    /// The look at a root in which nothing changed.
    pub(super) fn clean_look(mut self, mut whole: Whole) -> Look {
        whole.complete = true;
        let incomplete = self.walked.unentered;
        let kept = self.kept(None, &BTreeSet::new());
        Look { incomplete, ..self.look(Delta::default(), kept, whole) }
    }

    /// The look at which folders there are. It proves nothing of any message, so nothing counts as gone.
    pub(super) fn folders_alone(self, whole: Whole) -> Look {
        let folders = self.walked.dirs.iter().filter(|(_, seen)| seen.is_folder());
        let added = |_| FolderDelta { presence: Presence::Added, ..FolderDelta::default() };
        let delta = Delta { folders: folders.map(|(folder, seen)| (folder.clone(), added(seen))).collect() };
        Look { incomplete: true, ..self.look(delta, BTreeMap::new(), whole) }
    }

    /// Compares what was found with the base.
    pub(super) fn compare(mut self, base: &Snapshot, mut whole: Whole) -> Look {
        let mut delta = Delta::default();
        let empty = Section::default();
        for (folder, found) in &self.listed {
            if self.is_unknown(folder) || !self.walked.has_folder(folder) {
                continue;
            }
            let section = base.folders.get(folder);
            let mut change = FolderDelta::between(section.unwrap_or(&empty), present(found, section));
            if section.is_none() {
                change.presence = Presence::Added;
            }
            if self.restless.contains(folder)
                && !seeded::is("restless-folder-deletes")
                && (self.unsettled || !change.gone.is_empty())
            {
                change.gone.clear();
                let path = self.scanner.root.shown(folder, b"");
                let text = format!("is changing while it is read; moves and deletions there wait until {LOOKS_AGAIN}");
                self.troubles.push(Trouble { path, text });
            }
            if !change.is_empty() {
                delta.folders.insert(folder.clone(), change);
            }
        }
        for folder in &self.gone {
            delta.folders.insert(folder.clone(), FolderDelta { presence: Presence::Removed, ..FolderDelta::default() });
        }
        whole.complete = base.folders.keys().all(|folder| {
            (!self.gone.contains(folder) && !self.unknown.contains(folder) && !self.is_absent(folder))
                || self.scanner.excludes.excludes(folder)
        });
        // One that equals the base may have been put back or not: nothing of it is missing.
        let put_back: BTreeSet<Folder> =
            self.put_back().into_iter().filter(|f| delta.folders.contains_key(f) || self.is_unknown(f)).collect();
        let incomplete = self.is_incomplete(base);
        let kept = self.kept(Some(base), &put_back);
        Look { put_back: put_back.into_iter().collect(), incomplete, ..self.look(delta, kept, whole) }
    }

    /// Whether anything stayed unseen that may be what is missing elsewhere: a message that was moved into a folder, or
    /// to a name, of which nothing can be said. A message of the base that cannot be read keeps its entry and hides nothing.
    fn is_incomplete(&self, base: &Snapshot) -> bool {
        let hides = |(folder, found): (&Folder, &Messages)| {
            let section = base.folders.get(folder);
            found.unknown.iter().any(|uniq| section.is_none_or(|section| section.entry(uniq).is_none()))
        };
        if seeded::is("incomplete-look-is-proof") {
            return false;
        }
        self.unsettled
            || !self.unknown.is_empty()
            || !self.walked.broken.is_empty()
            || (self.walked.unentered || self.listed.values().any(|found| found.unentered))
                && !seeded::is("what-is-not-entered-hides-nothing")
            || (!self.unlistable.is_empty() && !seeded::is("unlistable-hides-nothing"))
            || self.listed.iter().any(hides)
    }

    /// What the cache is to keep of every directory.
    fn kept(&mut self, base: Option<&Snapshot>, put_back: &BTreeSet<Folder>) -> BTreeMap<Folder, DirState> {
        let mut kept = BTreeMap::new();
        let now = self.scanner.root.fs.now();
        for (folder, seen) in &self.walked.dirs {
            let old = self.cache.dirs().get(folder);
            let unknown = self.is_unknown(folder);
            let deep = !unknown && self.depth_of(folder) != Depth::Quick;
            let looked = old.and_then(|old| old.looked).filter(|_| !deep).or((!unknown).then_some(now));
            let own = (seen.settled && seen.trusted).then_some(seen.own);
            let mut record = DirRecord { own, looked, ..DirRecord::default() };
            let mut state = DirState::default();
            match self.listed.get_mut(folder) {
                Some(found) if !unknown => {
                    (record.cur, record.new) = (found.cur, found.new);
                    state.settled = found.settled() && seen.trusted && !self.restless.contains(folder);
                    record.messages = found.records.len() as u64;
                    record.left_out = std::mem::take(&mut found.left_out);
                    state.files = Some(std::mem::take(&mut found.records));
                    state.record = record;
                    state.record.clean = base.and_then(|base| state.equals(base.folders.get(folder)));
                }
                // Clean, or not looked into: what was recorded stands.
                _ => {
                    let old = old.cloned().unwrap_or_default();
                    let clean = if self.is_clean(folder, seen) { old.clean } else { None };
                    state.record = DirRecord { own, looked, clean, ..old };
                }
            }
            if put_back.contains(folder) {
                // The next run must see it too, unless this one commits.
                let old = old.cloned().unwrap_or_default();
                (state.record.cur, state.record.new, state.record.clean) = (old.cur, old.new, None);
            }
            kept.insert(folder.clone(), state);
        }
        // What could not be looked at keeps its digests, and is dirty.
        for (folder, old) in self.cache.dirs() {
            if self.is_unknown(folder) && !kept.contains_key(folder) {
                let record = DirRecord { own: None, clean: None, ..old.clone() };
                kept.insert(folder.clone(), DirState { record, ..DirState::default() });
            }
        }
        kept
    }

    fn look(self, delta: Delta, kept: BTreeMap<Folder, DirState>, whole: Whole) -> Look {
        let root = self.walked.dirs.get(&Folder::root()).map(|seen| seen.own);
        let mount = |(folder, seen): (&Folder, &DirSeen)| {
            let at =
                [Some(&seen.own), seen.cur.as_ref(), seen.new.as_ref()].into_iter().flatten().find(|at| at.mount)?;
            Some(Mount { folder: folder.clone(), identity: Some(Identity { ino: at.ino, btime: at.btime }) })
        };
        let mounts = self.walked.dirs.iter().filter_map(mount).collect();
        let mut troubles = self.walked.troubles.clone();
        troubles.extend(self.troubles.iter().cloned());
        troubles.extend(self.listed.values().flat_map(|found| found.troubles.iter().cloned()));
        troubles.dedup();
        let mut left_out = self.walked.left_out.clone();
        let links = kept.iter().filter(|(folder, _)| self.walked.has_folder(folder));
        let links = links.flat_map(|(folder, state)| state.record.left_out.iter().map(move |name| (folder, name)));
        left_out.extend(links.map(|(folder, name)| Trouble {
            path: self.scanner.root.shown(folder, name),
            text: "is a symlink, which is not followed".to_owned(),
        }));
        left_out.extend(self.listed.values().flat_map(|found| found.said.iter().cloned()));
        Look {
            delta,
            troubles,
            left_out,
            put_back: Vec::new(),
            unknown: self.unknown.clone(),
            incomplete: false,
            twins: self.twins.iter().cloned().collect(),
            identity: Identity { ino: root.map_or(0, |own| own.ino), btime: root.and_then(|own| own.btime) },
            mounts,
            as_in_base: self.as_in_base,
            files_read: self.files_read,
            bytes_read: self.bytes_read,
            messages_seen: kept.values().map(|state| state.record.messages).sum(),
            kept,
            whole,
        }
    }
}

/// The messages of a folder; of what is unknown, the base's entry.
fn present(found: &Messages, section: Option<&Section>) -> Vec<Seen> {
    let seen =
        |record: &Record| Seen { entry: entry_of(record), meta: Some(Meta { size: record.size, mtime: record.mtime }) };
    let kept = found.unknown.iter().filter_map(|uniq| section?.entry(uniq)).cloned().map(Seen::bare);
    found.records.iter().map(seen).chain(kept).collect()
}
