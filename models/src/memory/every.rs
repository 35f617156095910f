//! Every state that a crash may leave, one after the other, where [`super::Memory::crash`] throws dice for one; and a
//! digest by which a disk is recognised, what is not durable included.
//!
//! Deliberately not here: stamps and modes. The states differ in names and bytes only, and so do the digests.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use super::Saved;
use super::crash::keep;
use super::names::{Disk, ROOT};
use super::node::{Body, FileBody, Id};

/// With more pending changes of names than this, not every set of them is tried.
const CHANGES_MAX: usize = 8;
/// With more files that are not durable than this, all of them meet the same fate.
const FILES_MAX: u32 = 3;
/// What can become of the bytes of a file that were not synced; see [`fate`].
const FATES: usize = 6;

impl Saved {
    /// The states that a crash may leave, the same never twice.
    ///
    /// Of the changes of names: every set that lacks nothing it builds on, where there are at most eight; with more, none,
    /// all, each alone and all without each. Of the bytes of each file that were not synced: the durable ones, all, none
    /// or half of the new ones; with more than three files the same for each. With `zeros` also zeros for the other half, or
    /// for all.
    pub fn crashes(&self, zeros: bool) -> Vec<Saved> {
        let each = if zeros { FATES } else { FATES - 2 };
        let mut seen = BTreeSet::new();
        let mut states = Vec::new();
        for kept in self.0.every_set() {
            let mut files = 0_u32;
            let mut fates = 1;
            let mut chosen = 0;
            while chosen < fates {
                let mut disk = self.0.clone();
                disk.undo(&kept);
                let mut at = 0_u32;
                disk.rebuild(|node| {
                    let digits = if files > FILES_MAX { 0 } else { at };
                    let which = chosen / each.pow(digits) % each;
                    at += 1;
                    if let Body::File(file) = &node.body {
                        let bytes = fate(file, which);
                        keep(node, bytes);
                    }
                });
                if chosen == 0 {
                    files = at;
                    fates = match at {
                        0 => 1,
                        1..=FILES_MAX => each.pow(at),
                        _ => each,
                    };
                }
                let state = Saved(disk);
                if seen.insert(state.digest()) {
                    states.push(state);
                }
                chosen += 1;
            }
        }
        states
    }

    /// A digest of names and bytes, of what of them is durable, and of what is pending. Inodes count by where they are, not
    /// by their numbers, so that two ways to one state are seen to meet.
    pub fn digest(&self) -> u64 {
        let mut look = Look { disk: &self.0, known: BTreeMap::new(), hasher: DefaultHasher::new() };
        look.node(ROOT);
        let mut numbers: BTreeMap<u64, usize> = BTreeMap::new();
        for change in &self.0.log {
            (change.edits.len(), change.reshapes).hash(&mut look.hasher);
            for edit in &change.edits {
                look.node(edit.dir);
                edit.name.hash(&mut look.hasher);
                for id in [edit.before, edit.after] {
                    id.is_some().hash(&mut look.hasher);
                    id.into_iter().for_each(|id| look.node(id));
                }
            }
            for number in &change.numbers {
                let fresh = numbers.len();
                numbers.entry(*number).or_insert(fresh).hash(&mut look.hasher);
            }
            change.emptied.into_iter().for_each(|id| look.node(id));
        }
        look.hasher.finish()
    }
}

struct Look<'a> {
    disk: &'a Disk,
    known: BTreeMap<Id, usize>,
    hasher: DefaultHasher,
}

impl Look<'_> {
    fn node(&mut self, id: Id) {
        let fresh = self.known.len();
        if let Some(at) = self.known.get(&id) {
            at.hash(&mut self.hasher);
            return;
        }
        self.known.insert(id, fresh);
        let Some(node) = self.disk.nodes.get(&id) else {
            return u8::MAX.hash(&mut self.hasher);
        };
        match &node.body {
            Body::File(file) => {
                let durable = Arc::ptr_eq(&file.bytes, &file.image.bytes) || file.bytes == file.image.bytes;
                (0_u8, &**file.bytes, durable).hash(&mut self.hasher);
                if !durable {
                    (&**file.image.bytes, file.floor, file.dirty).hash(&mut self.hasher);
                }
                file.lost.hash(&mut self.hasher);
            }
            Body::Symlink(target) => (1_u8, &**target).hash(&mut self.hasher),
            Body::Other => 2_u8.hash(&mut self.hasher),
            Body::Dir(dir) => {
                (3_u8, dir.names.len()).hash(&mut self.hasher);
                for (name, below) in &dir.names {
                    name.hash(&mut self.hasher);
                    self.node(*below);
                }
            }
        }
    }
}

impl Disk {
    fn every_set(&self) -> Vec<Vec<bool>> {
        let len = self.log.len();
        let sets: Vec<Vec<bool>> = if len <= CHANGES_MAX {
            (0..1_u32 << len).map(|set| (0..len).map(|at| set >> at & 1 == 1).collect()).collect()
        } else {
            let alone = (0..len).map(|only| self.closed(|at, _| at == only));
            let lacking = (0..len).map(|out| self.without(out));
            [vec![false; len], vec![true; len]].into_iter().chain(alone).chain(lacking).collect()
        };
        sets.into_iter().filter(|set| self.closed(|at, _| set[at]) == *set).collect()
    }
}

fn fate(file: &FileBody, which: usize) -> Arc<Vec<u8>> {
    let (live, durable) = (&file.bytes, &file.image.bytes);
    let floor = file.floor.min(durable.len()).min(live.len());
    let half = floor + (live.len() - floor) / 2;
    let zeros = |from: usize| Arc::new([&live[..from], &vec![0; live.len() - from]].concat());
    match which {
        0 => durable.clone(),
        1 => live.clone(),
        2 => Arc::new(live[..floor].to_vec()),
        3 => Arc::new(live[..half].to_vec()),
        4 => zeros(floor),
        _ => zeros(half),
    }
}
