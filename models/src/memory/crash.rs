//! What is durable, and the states that a crash may leave.
//!
//! Of the changes of names that were not synced a crash keeps any set in which no change is without those that it built on;
//! of bytes that were not synced, all, none, the first ones, or zeros. Everything else about a crash is luck.
//!
//! Deliberately not here: handles and locks (a crash ends them all; `mod.rs` beside it).

use std::collections::BTreeSet;
use std::sync::Arc;

use smd_protocol::delta::Mtime;

use super::dice::Dice;
use super::names::{Change, Disk, ROOT};
use super::node::{Body, EntryName, Id, Node};

/// What a set of changes touches, to find what they build on.
#[derive(Default)]
struct Touched {
    names: BTreeSet<(Id, EntryName)>,
    numbers: BTreeSet<u64>,
    emptied: BTreeSet<Id>,
    /// Directories that got entries, so whose own names count where parents come first.
    filled: BTreeSet<Id>,
    reshapes: bool,
}

impl Touched {
    fn add(&mut self, change: &Change) {
        self.names.extend(change.edits.iter().map(|edit| (edit.dir, edit.name.clone())));
        self.filled.extend(change.edits.iter().map(|edit| edit.dir));
        self.numbers.extend(&change.numbers);
        self.emptied.extend(change.emptied);
        self.reshapes |= change.reshapes;
    }

    /// Whether an earlier change is one that these build on.
    fn builds_on(&self, earlier: &Change, parents_first: bool) -> bool {
        (self.reshapes && earlier.reshapes)
            || earlier.numbers.iter().any(|number| self.numbers.contains(number))
            || earlier.edits.iter().any(|edit| {
                self.emptied.contains(&edit.dir)
                    || self.names.contains(&(edit.dir, edit.name.clone()))
                    || (parents_first && edit.after.is_some_and(|named| self.filled.contains(&named)))
            })
    }
}

fn later(one: Mtime, other: Mtime) -> Mtime {
    one.max(other)
}

impl Disk {
    /// The changes for which `wanted` holds, with all that they build on.
    pub(super) fn closed(&self, wanted: impl Fn(usize, &Change) -> bool) -> Vec<bool> {
        let mut touched = Touched::default();
        let mut kept = vec![false; self.log.len()];
        for (at, change) in self.log.iter().enumerate().rev() {
            if wanted(at, change) || touched.builds_on(change, self.settings.parents_first) {
                kept[at] = true;
                touched.add(change);
            }
        }
        kept
    }

    /// All changes but one and those that build on it.
    pub(super) fn without(&self, left_out: usize) -> Vec<bool> {
        let mut kept = vec![true; self.log.len()];
        for at in left_out..self.log.len() {
            let mut touched = Touched::default();
            touched.add(&self.log[at]);
            let lacks =
                |earlier: usize| !kept[earlier] && touched.builds_on(&self.log[earlier], self.settings.parents_first);
            let gone = at == left_out || (left_out..at).any(lacks);
            kept[at] = !gone;
        }
        kept
    }

    /// The entries of a directory become durable, with the changes that they build on; the names of the directories above
    /// do not.
    pub(super) fn sync_dir(&mut self, dir: Id) {
        let kept = self.closed(|_, change| change.edits.iter().any(|edit| edit.dir == dir));
        let log = std::mem::take(&mut self.log);
        let durable: Vec<Arc<Change>> =
            log.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(change, _)| change.clone()).collect();
        self.log = log.into_iter().zip(kept).filter(|(_, kept)| !kept).map(|(change, _)| change).collect();
        // What stays pending must not bring back stamps from before what is durable now.
        for change in &mut self.log {
            for done in &durable {
                raise(change, done);
            }
        }
    }

    pub(super) fn crash(&mut self, dice: &mut Dice) {
        let len = self.log.len();
        let kept = match dice.below(8) {
            _ if len == 0 => Vec::new(),
            0 => vec![false; len],
            1 | 2 => vec![true; len],
            3 => {
                let only = dice.below(len);
                self.closed(|at, _| at == only)
            }
            4 => self.without(dice.below(len)),
            5 => {
                let cut = dice.below(len + 1);
                (0..len).map(|at| at < cut).collect()
            }
            _ => {
                let percent = 5 + dice.number() % 90;
                let wanted: Vec<bool> = (0..len).map(|_| dice.chance(percent)).collect();
                self.closed(|at, _| wanted[at])
            }
        };
        self.undo(&kept);
        self.rebuild(|node| settle(node, dice));
    }

    pub(super) fn crash_worst(&mut self) {
        self.undo(&vec![false; self.log.len()]);
        self.rebuild(settle_worst);
    }

    /// Takes back the changes that are not kept.
    pub(super) fn undo(&mut self, kept: &[bool]) {
        let log = std::mem::take(&mut self.log);
        let (mut done, mut undone) = (Vec::new(), Vec::new());
        log.iter().zip(kept).for_each(|(change, kept)| if *kept { done.push(change) } else { undone.push(change) });
        for change in undone.iter().rev() {
            for (id, ctime) in change.ctimes.iter().rev() {
                if let Some(node) = self.nodes.get_mut(id) {
                    Arc::make_mut(node).ctime = *ctime;
                }
            }
            for edit in change.edits.iter().rev() {
                let Some(node) = self.nodes.get_mut(&edit.dir) else { continue };
                let node = Arc::make_mut(node);
                (node.mtime, node.ctime) = (edit.mtime, edit.ctime);
                if let Body::Dir(dir) = &mut node.body {
                    match edit.before {
                        Some(before) => dir.names.insert(edit.name.clone(), before),
                        None => dir.names.remove(&edit.name),
                    };
                }
            }
        }
        // Only what was taken back has old stamps now, and only where nothing that stays is younger.
        let dirs: BTreeSet<Id> = undone.iter().flat_map(|change| change.edits.iter().map(|edit| edit.dir)).collect();
        let nodes: BTreeSet<Id> = undone.iter().flat_map(|change| change.ctimes.iter().map(|(id, _)| *id)).collect();
        for change in done {
            for id in change.edits.iter().map(|edit| edit.dir).filter(|dir| dirs.contains(dir)) {
                if let Some(node) = self.nodes.get_mut(&id) {
                    let node = Arc::make_mut(node);
                    (node.mtime, node.ctime) = (later(node.mtime, change.stamp), later(node.ctime, change.stamp));
                }
            }
            for id in change.ctimes.iter().map(|(id, _)| *id).filter(|id| nodes.contains(id)) {
                if let Some(node) = self.nodes.get_mut(&id) {
                    let node = Arc::make_mut(node);
                    node.ctime = later(node.ctime, change.stamp);
                }
            }
        }
    }

    /// What the first mount after a crash does: inodes without a name go, counts are made anew. All is durable then.
    pub(super) fn rebuild(&mut self, mut settle: impl FnMut(&mut Node)) {
        let old = std::mem::take(&mut self.nodes);
        let mut links: Vec<(Id, Id)> = vec![(ROOT, ROOT)];
        while let Some((id, parent)) = links.pop() {
            if let Some(node) = self.nodes.get_mut(&id) {
                Arc::make_mut(node).links += 1;
                continue;
            }
            let Some(node) = old.get(&id) else { continue };
            let mut node = node.clone();
            let fresh = Arc::make_mut(&mut node);
            fresh.links = 1;
            if let Body::Dir(dir) = &mut fresh.body {
                dir.parent = parent;
                dir.gone = false;
                links.extend(dir.names.values().rev().map(|below| (*below, id)));
                let is_dir = |id: &&Id| old.get(id).is_some_and(|node| matches!(node.body, Body::Dir(_)));
                fresh.links = 2 + dir.names.values().filter(is_dir).count() as u64;
            }
            self.nodes.insert(id, node);
        }
        for node in self.nodes.values_mut() {
            if let Body::File(file) = &node.body
                && !(Arc::ptr_eq(&file.bytes, &file.image.bytes)
                    && (node.mtime, node.mode) == (file.image.mtime, file.image.mode))
            {
                settle(Arc::make_mut(node));
            }
        }
        let taken: BTreeSet<u64> = self.nodes.values().map(|node| node.number).collect();
        let numbers = old.values().map(|node| node.number).chain(self.free.iter().copied());
        self.free = numbers.filter(|number| !taken.contains(number)).collect::<BTreeSet<_>>().into_iter().collect();
        self.used = self.nodes.values().map(|node| self.held(node)).sum();
        self.changed.clear();
        self.orphans.clear();
        self.released.clear();
    }
}

fn raise(change: &mut Arc<Change>, done: &Change) {
    let dirs = |id: Id| done.edits.iter().any(|edit| edit.dir == id);
    let nodes = |id: Id| done.ctimes.iter().any(|(node, _)| *node == id);
    if !change.edits.iter().any(|edit| dirs(edit.dir)) && !change.ctimes.iter().any(|(id, _)| nodes(*id)) {
        return;
    }
    let change = Arc::make_mut(change);
    for edit in change.edits.iter_mut().filter(|edit| dirs(edit.dir)) {
        edit.mtime = later(edit.mtime, done.stamp);
        edit.ctime = later(edit.ctime, done.stamp);
    }
    for (_, ctime) in change.ctimes.iter_mut().filter(|(id, _)| nodes(*id)) {
        *ctime = later(*ctime, done.stamp);
    }
}

/// What a crash leaves of a file that was not synced. Where bytes changed so did the ctime: a change that no stamp shows
/// happens on real disks too, but no program could know of it without reading everything.
fn settle(node: &mut Node, dice: &mut Dice) {
    let Body::File(file) = &mut node.body else { return };
    let (live, durable) = (file.bytes.clone(), file.image.bytes.clone());
    let floor = file.floor.min(durable.len()).min(live.len());
    let cut = floor + dice.below(live.len() - floor + 1);
    let bytes = match dice.below(6) {
        0 => live,
        1 => durable.clone(),
        2 => Arc::new(live[..floor].to_vec()),
        3 => Arc::new(live[..cut].to_vec()),
        4 => Arc::new([&live[..cut], &vec![0; live.len() - cut]].concat()),
        _ => Arc::new([&live[..floor], &vec![0; live.len() - floor]].concat()),
    };
    let bytes = if bytes == durable { durable } else { bytes };
    if dice.chance(50) {
        node.mtime = file.image.mtime;
    }
    if dice.chance(50) {
        node.mode = file.image.mode;
    }
    if Arc::ptr_eq(&bytes, &file.image.bytes) && (node.mtime, node.mode) == (file.image.mtime, file.image.mode) {
        node.ctime = file.image.ctime;
    }
    keep(node, bytes);
}

fn settle_worst(node: &mut Node) {
    let Body::File(file) = &node.body else { return };
    let image = file.image.clone();
    (node.mtime, node.ctime, node.mode) = (image.mtime, image.ctime, image.mode);
    keep(node, image.bytes);
}

/// These bytes are what is there, durably.
pub(super) fn keep(node: &mut Node, bytes: Arc<Vec<u8>>) {
    if let Body::File(file) = &mut node.body {
        file.bytes = bytes;
        file.lost.clear();
        file.changed = true;
    }
    node.sync();
}
