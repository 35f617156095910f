//! Names, and every change of them as one entry of a log, so that a crash can take it back.
//!
//! What is seen is always the live state. The log holds, oldest first, what was changed since it was last made durable;
//! a change is taken back by giving its names what they had before.
//!
//! Deliberately not here: which calls there are, who may fail them, and who holds what open.

use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use smd_maildir::fs::{Rename, Stat};
use smd_protocol::delta::Mtime;

use super::Settings;
use super::clock::{Clock, kept};
use super::dice::Dice;
use super::node::{Body, DirBody, EntryName, FileBody, Id, Node};

pub(super) const ROOT: Id = 1;
const NAME_MAX: usize = 255;
const SYMLINKS_MAX: usize = 40;

/// What one change did to one name.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub(super) dir: Id,
    pub(super) name: EntryName,
    pub(super) before: Option<Id>,
    pub(super) after: Option<Id>,
    /// Stamps that the directory had before.
    pub(super) mtime: Mtime,
    pub(super) ctime: Mtime,
}

/// One change of names that a crash keeps as a whole or not at all.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) dev: u64,
    pub(super) edits: Vec<Edit>,
    /// Inodes whose ctime moved, with the one before.
    pub(super) ctimes: Vec<(Id, Mtime)>,
    /// Inode numbers that it freed or took: who takes one comes after who freed it.
    pub(super) numbers: Vec<u64>,
    /// A directory that had to be empty for it: everything that happened in it came before.
    pub(super) emptied: Option<Id>,
    /// A directory went to another parent. File systems do these in order, or there would be rings.
    pub(super) reshapes: bool,
    pub(super) stamp: Mtime,
}

/// All that a disk is: what is seen, and what of it is not durable.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) nodes: BTreeMap<Id, Arc<Node>>,
    pub(super) log: Vec<Arc<Change>>,
    /// Inodes without a name; a handle or the log still needs them.
    pub(super) orphans: BTreeSet<Id>,
    /// Of those, the ones whose number and room were given back.
    pub(super) released: BTreeSet<Id>,
    /// Files with anything that a sync would write.
    pub(super) changed: BTreeSet<Id>,
    pub(super) free: Vec<u64>,
    pub(super) used: u64,
    pub(super) clock: Clock,
    pub(super) dice: Dice,
    pub(super) next_id: Id,
    pub(super) next_number: u64,
    pub(super) next_dev: u64,
    pub(super) settings: Settings,
}

pub(super) fn fail<T>(errno: Errno) -> io::Result<T> {
    Err(errno.into())
}

impl Disk {
    pub(super) fn new(seed: u64, settings: Settings) -> Self {
        let mut disk = Self {
            nodes: BTreeMap::new(),
            log: Vec::new(),
            orphans: BTreeSet::new(),
            released: BTreeSet::new(),
            changed: BTreeSet::new(),
            free: Vec::new(),
            used: 0,
            clock: Clock::new(seed),
            dice: Dice::new(seed),
            next_id: ROOT,
            next_number: 2,
            next_dev: 0xfd02,
            settings,
        };
        let body = Body::Dir(DirBody { names: BTreeMap::new(), parent: ROOT, gone: false });
        disk.add(0xfd01, 0o755, body);
        disk.node_mut(ROOT).links = 2;
        disk
    }

    pub(super) fn stamp(&self) -> Mtime {
        self.clock.stamp(self.settings.grain)
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        self.nodes.get(&id).expect("a handle or a name keeps its inode")
    }

    pub(super) fn node_mut(&mut self, id: Id) -> &mut Node {
        Arc::make_mut(self.nodes.get_mut(&id).expect("a handle or a name keeps its inode"))
    }

    pub(super) fn dir(&self, id: Id) -> io::Result<&DirBody> {
        match &self.node(id).body {
            Body::Dir(dir) => Ok(dir),
            _ => fail(Errno::NOTDIR),
        }
    }

    fn dir_mut(&mut self, id: Id) -> &mut DirBody {
        match &mut self.node_mut(id).body {
            Body::Dir(dir) => dir,
            _ => unreachable!("callers looked whether it is a directory"),
        }
    }

    /// A file, to change what it holds; a sync will have something to write.
    pub(super) fn file_mut(&mut self, id: Id) -> &mut FileBody {
        self.changed.insert(id);
        match &mut self.node_mut(id).body {
            Body::File(file) => file,
            _ => unreachable!("only files are opened as files"),
        }
    }

    pub(super) fn file(&self, id: Id) -> &FileBody {
        match &self.node(id).body {
            Body::File(file) => file,
            _ => unreachable!("only files are opened as files"),
        }
    }

    /// The entry of a name, if there is one.
    pub(super) fn find(&self, dir: Id, name: &[u8]) -> io::Result<Option<Id>> {
        let body = self.dir(dir)?;
        if body.gone {
            return fail(Errno::NOENT);
        }
        if name.len() > NAME_MAX {
            return fail(Errno::NAMETOOLONG);
        }
        self.may(dir, 0o100)?;
        Ok(body.names.get(name).copied())
    }

    pub(super) fn entry(&self, dir: Id, name: &[u8]) -> io::Result<Id> {
        self.find(dir, name)?.ok_or_else(|| Errno::NOENT.into())
    }

    /// Whether the owner may; mail does not belong to root.
    pub(super) fn may(&self, id: Id, bits: u32) -> io::Result<()> {
        if self.node(id).mode & bits == bits { Ok(()) } else { fail(Errno::ACCESS) }
    }

    fn may_change(&self, dir: Id) -> io::Result<()> {
        if self.dir(dir)?.gone {
            return fail(Errno::NOENT);
        }
        self.may(dir, 0o300)
    }

    /// Walks a path from `/`; symlinks are followed, at the end if `last`.
    pub(super) fn walk(&self, path: &[u8], last: bool) -> io::Result<Id> {
        let mut left = SYMLINKS_MAX;
        self.walk_from(ROOT, path, last, &mut left)
    }

    fn walk_from(&self, start: Id, path: &[u8], last: bool, left: &mut usize) -> io::Result<Id> {
        let mut at = if path.first() == Some(&b'/') { ROOT } else { start };
        let mut parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").peekable();
        while let Some(part) = parts.next() {
            if part == b".." {
                at = self.dir(at)?.parent;
                continue;
            }
            let next = self.entry(at, part)?;
            at = match &self.node(next).body {
                Body::Symlink(target) if last || parts.peek().is_some() => {
                    *left = left.checked_sub(1).ok_or(Errno::LOOP)?;
                    self.walk_from(at, target, true, left)?
                }
                _ => next,
            };
        }
        Ok(at)
    }

    /// The directory and name of a path's last component.
    pub(super) fn parent<'a>(&self, path: &'a [u8]) -> io::Result<(Id, &'a [u8])> {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let cut = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        Ok((self.walk(&path[..cut], true)?, &path[cut..]))
    }

    /// The path of a directory, for people and hooks.
    pub(super) fn path_of(&self, dir: Id) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut at = dir;
        while at != ROOT {
            let Ok(body) = self.dir(at) else { break };
            let parent = body.parent;
            let name = self.nodes.get(&parent).and_then(|node| match &node.body {
                Body::Dir(dir) => dir.names.iter().find(|(_, id)| **id == at).map(|(name, _)| &**name),
                _ => None,
            });
            let Some(name) = name else {
                parts.push(b"(removed)");
                break;
            };
            parts.push(name);
            at = parent;
        }
        parts.iter().rev().fold(Vec::new(), |path, part| [&path[..], b"/", part].concat())
    }

    pub(super) fn stat(&self, id: Id) -> Stat {
        let node = self.node(id);
        Stat {
            kind: node.kind(),
            dev: node.dev,
            ino: node.number,
            links: node.links,
            size: node.size(),
            mode: node.mode,
            mtime: node.mtime,
            ctime: node.ctime,
            btime: self.settings.births.then_some(node.btime),
            mount_root: node.mount,
        }
    }

    fn add(&mut self, dev: u64, mode: u32, body: Body) -> Id {
        let stamp = self.stamp();
        let reused = if self.settings.reuse { self.free.pop() } else { None };
        let number = reused.unwrap_or_else(|| {
            self.next_number += 1;
            self.next_number - 1
        });
        let id = self.next_id;
        self.next_id += 1;
        let node = Node { number, dev, links: 0, mode, mtime: stamp, ctime: stamp, btime: stamp, mount: false, body };
        self.nodes.insert(id, Arc::new(node));
        id
    }

    fn change(&self, dir: Id) -> Change {
        let (dev, stamp) = (self.node(dir).dev, self.stamp());
        Change {
            dev,
            edits: Vec::new(),
            ctimes: Vec::new(),
            numbers: Vec::new(),
            emptied: None,
            reshapes: false,
            stamp,
        }
    }

    fn edit(&mut self, change: &mut Change, dir: Id, name: &[u8], after: Option<Id>) {
        let stamp = change.stamp;
        let node = self.node_mut(dir);
        let (mtime, ctime) = (node.mtime, node.ctime);
        (node.mtime, node.ctime) = (stamp, stamp);
        let names = &mut self.dir_mut(dir).names;
        let (name, before) = match names.remove_entry(name) {
            Some((name, before)) => (name, Some(before)),
            None => (EntryName::from(name), None),
        };
        if let Some(after) = after {
            names.insert(name.clone(), after);
        }
        change.edits.push(Edit { dir, name, before, after, mtime, ctime });
    }

    fn touched(&mut self, change: &mut Change, id: Id) {
        let node = self.node_mut(id);
        change.ctimes.push((id, node.ctime));
        node.ctime = change.stamp;
    }

    /// A name of this inode went.
    fn unnamed(&mut self, change: &mut Change, id: Id) {
        self.touched(change, id);
        let node = self.node_mut(id);
        node.links -= 1;
        if let Body::Dir(dir) = &mut node.body {
            dir.gone = true;
            node.links = 0;
        }
        if node.links == 0 {
            change.numbers.push(self.node(id).number);
            self.orphans.insert(id);
        }
    }

    fn room_for_inode(&self) -> io::Result<()> {
        match self.settings.capacity {
            Some(capacity) if self.used >= capacity => fail(Errno::NOSPC),
            _ => Ok(()),
        }
    }

    /// Makes a new inode under a name that is free.
    pub(super) fn make(&mut self, dir: Id, name: &[u8], mode: u32, body: Body) -> io::Result<Id> {
        if self.find(dir, name)?.is_some() {
            return fail(Errno::EXIST);
        }
        self.may_change(dir)?;
        self.room_for_inode()?;
        let is_dir = matches!(body, Body::Dir(_));
        let is_file = matches!(body, Body::File(_));
        let id = self.add(self.node(dir).dev, mode, body);
        let mut change = self.change(dir);
        change.numbers.push(self.node(id).number);
        self.node_mut(id).links = if is_dir { 2 } else { 1 };
        if is_dir {
            self.node_mut(dir).links += 1;
        }
        if is_file {
            self.changed.insert(id);
        }
        self.edit(&mut change, dir, name, Some(id));
        self.log.push(Arc::new(change));
        Ok(id)
    }

    pub(super) fn make_file(&mut self, dir: Id, name: &[u8], mode: u32) -> io::Result<Id> {
        let body = Body::File(FileBody::new(self.stamp(), mode));
        self.make(dir, name, mode, body)
    }

    pub(super) fn make_dir(&mut self, dir: Id, name: &[u8], mode: u32) -> io::Result<Id> {
        self.make(dir, name, mode, Body::Dir(DirBody { names: BTreeMap::new(), parent: dir, gone: false }))
    }

    pub(super) fn remove_dir(&mut self, dir: Id, name: &[u8]) -> io::Result<()> {
        let id = self.entry(dir, name)?;
        self.may_change(dir)?;
        if !self.dir(id)?.names.is_empty() {
            return fail(Errno::NOTEMPTY);
        }
        if self.node(id).mount {
            return fail(Errno::BUSY);
        }
        let mut change = self.change(dir);
        change.emptied = Some(id);
        self.edit(&mut change, dir, name, None);
        self.unnamed(&mut change, id);
        self.node_mut(dir).links -= 1;
        self.log.push(Arc::new(change));
        Ok(())
    }

    pub(super) fn unlink(&mut self, dir: Id, name: &[u8]) -> io::Result<()> {
        let id = self.entry(dir, name)?;
        self.may_change(dir)?;
        if matches!(self.node(id).body, Body::Dir(_)) {
            return fail(Errno::ISDIR);
        }
        let mut change = self.change(dir);
        self.edit(&mut change, dir, name, None);
        self.unnamed(&mut change, id);
        self.log.push(Arc::new(change));
        Ok(())
    }

    pub(super) fn link(&mut self, from: Id, old: &[u8], to: Id, new: &[u8]) -> io::Result<()> {
        let id = self.entry(from, old)?;
        let taken = self.find(to, new)?.is_some();
        if self.node(from).dev != self.node(to).dev {
            return fail(Errno::XDEV);
        }
        if taken {
            return fail(Errno::EXIST);
        }
        self.may_change(to)?;
        if matches!(self.node(id).body, Body::Dir(_)) {
            return fail(Errno::PERM);
        }
        if self.node(id).links == 0 {
            return fail(Errno::NOENT);
        }
        let mut change = self.change(to);
        self.edit(&mut change, to, new, Some(id));
        self.touched(&mut change, id);
        self.node_mut(id).links += 1;
        self.log.push(Arc::new(change));
        Ok(())
    }

    /// Whether `dir` is `above` or lies below it.
    fn is_below(&self, dir: Id, above: Id) -> bool {
        let mut at = dir;
        while at != above {
            match self.dir(at) {
                Ok(body) if at != ROOT => at = body.parent,
                _ => return false,
            }
        }
        true
    }

    pub(super) fn rename(&mut self, from: Id, old: &[u8], to: Id, new: &[u8], how: Rename) -> io::Result<()> {
        self.dir(to)?;
        if self.node(from).dev != self.node(to).dev {
            return fail(Errno::XDEV);
        }
        let moved = self.entry(from, old)?;
        let target = self.find(to, new)?;
        match (how, target) {
            (Rename::NoReplace, Some(_)) => return fail(Errno::EXIST),
            (Rename::Exchange, None) => return fail(Errno::NOENT),
            _ => {}
        }
        self.may_change(from)?;
        self.may_change(to)?;
        let is_dir = |disk: &Self, id: Id| matches!(disk.node(id).body, Body::Dir(_));
        let moved_dir = is_dir(self, moved);
        let target_dir = target.is_some_and(|target| is_dir(self, target));
        let exchange = how == Rename::Exchange;
        if (moved_dir && self.is_below(to, moved))
            || (exchange && target_dir && target.is_some_and(|target| self.is_below(from, target)))
        {
            return fail(Errno::INVAL);
        }
        if target == Some(moved) {
            return Ok(());
        }
        if self.node(moved).mount || target.is_some_and(|target| self.node(target).mount) {
            return fail(Errno::BUSY);
        }
        if let (Some(target), false) = (target, exchange) {
            match (moved_dir, target_dir) {
                (true, false) => return fail(Errno::NOTDIR),
                (false, true) if self.is_below(from, target) => return fail(Errno::NOTEMPTY),
                (false, true) => return fail(Errno::ISDIR),
                (true, true) if !self.dir(target)?.names.is_empty() => return fail(Errno::NOTEMPTY),
                _ => {}
            }
        }
        let mut change = self.change(from);
        change.reshapes = from != to && (moved_dir || target_dir);
        self.edit(&mut change, from, old, target.filter(|_| exchange));
        self.edit(&mut change, to, new, Some(moved));
        self.touched(&mut change, moved);
        self.reparent(moved_dir, moved, from, to);
        match target {
            Some(target) if exchange => {
                self.touched(&mut change, target);
                self.reparent(target_dir, target, to, from);
            }
            Some(target) => {
                change.emptied = target_dir.then_some(target);
                self.unnamed(&mut change, target);
                if target_dir {
                    self.node_mut(to).links -= 1;
                }
            }
            None => {}
        }
        self.log.push(Arc::new(change));
        Ok(())
    }

    fn reparent(&mut self, is_dir: bool, id: Id, from: Id, to: Id) {
        if is_dir && from != to {
            self.dir_mut(id).parent = to;
            self.node_mut(from).links -= 1;
            self.node_mut(to).links += 1;
        }
    }

    /// Writes as much as there is room for; none at all is `ENOSPC`.
    pub(super) fn write(&mut self, id: Id, at: usize, bytes: &[u8]) -> io::Result<usize> {
        let size = self.file(id).bytes.len();
        let mut len = bytes.len();
        if let Some(capacity) = self.settings.capacity {
            let room = capacity.saturating_sub(self.used) as usize;
            len = len.min((size + room).saturating_sub(at));
            if len == 0 && !bytes.is_empty() {
                return fail(Errno::NOSPC);
            }
        }
        self.file_mut(id).write(at, &bytes[..len]);
        self.used += (self.file(id).bytes.len() - size) as u64;
        self.written(id);
        Ok(len)
    }

    pub(super) fn truncate(&mut self, id: Id, size: usize) {
        self.used -= self.file(id).bytes.len() as u64;
        self.file_mut(id).truncate(size);
        self.used += size as u64;
        self.written(id);
    }

    fn written(&mut self, id: Id) {
        let stamp = self.stamp();
        let node = self.node_mut(id);
        (node.mtime, node.ctime) = (stamp, stamp);
    }

    /// Sets a stamp or mode of any inode; of a file it is durable with its bytes, of a directory at once.
    pub(super) fn set(&mut self, id: Id, mtime: Option<Mtime>, mode: Option<u32>) {
        let (stamp, grain) = (self.stamp(), self.settings.grain);
        if matches!(self.node(id).body, Body::File(_)) {
            self.file_mut(id).changed = true;
        }
        let node = self.node_mut(id);
        node.mtime = mtime.map_or(node.mtime, |mtime| kept(mtime, grain));
        node.mode = mode.map_or(node.mode, |mode| mode & 0o7777);
        node.ctime = stamp;
    }

    pub(super) fn sync_file(&mut self, id: Id) {
        self.changed.remove(&id);
        if let Some(node) = self.nodes.get_mut(&id) {
            Arc::make_mut(node).sync();
        }
    }

    pub(super) fn fail_sync(&mut self, id: Id) {
        self.changed.remove(&id);
        if let Some(node) = self.nodes.get_mut(&id) {
            Arc::make_mut(node).fail_sync();
        }
    }

    fn changed_on(&self, dev: u64) -> Vec<Id> {
        self.changed.iter().copied().filter(|id| self.nodes.get(id).is_some_and(|node| node.dev == dev)).collect()
    }

    /// Everything on a file system becomes durable.
    pub(super) fn sync_fs(&mut self, dev: u64) {
        self.changed_on(dev).into_iter().for_each(|id| self.sync_file(id));
        self.log.retain(|change| change.dev != dev);
    }

    pub(super) fn fail_sync_fs(&mut self, dev: u64) {
        self.changed_on(dev).into_iter().for_each(|id| self.fail_sync(id));
    }

    /// Lets inodes without names go. The number and the room come back when no handle needs them (what takes the number
    /// comes after what freed it, also in a crash); the inode itself stays while a crash could bring a name of it back.
    pub(super) fn collect(&mut self, is_open: impl Fn(Id) -> bool) {
        if self.orphans.is_empty() {
            return;
        }
        let pinned: BTreeSet<Id> =
            self.log.iter().flat_map(|change| change.edits.iter().filter_map(|edit| edit.before)).collect();
        for id in std::mem::take(&mut self.orphans) {
            if is_open(id) {
                self.orphans.insert(id);
                continue;
            }
            if self.released.insert(id) {
                let node = self.node(id);
                let (number, size) = (node.number, self.held(node));
                self.free.push(number);
                self.used -= size;
            }
            if pinned.contains(&id) {
                self.orphans.insert(id);
            } else {
                self.nodes.remove(&id);
                self.changed.remove(&id);
                self.released.remove(&id);
            }
        }
    }

    /// What an inode takes of the capacity.
    pub(super) fn held(&self, node: &Node) -> u64 {
        if matches!(node.body, Body::File(_)) { node.size() } else { 0 }
    }
}
