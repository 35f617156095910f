//! How a base is written. Three things are done to the file, and each says what a crash within it leaves:
//!
//! * *append and sync*: the old tail, or the old tail with a torn end, or the new one;
//! * *cut and sync*: the old tail or the shorter one;
//! * *write beside, sync, rename, sync the directory*: the old file or the new one, and perhaps a `….new`.
//!
//! After a failed write the file is left alone until it is opened again: what a failed sync left on disk
//! nobody knows, and all of the above are states that opening understands. Only what was appended is cut off again, as far
//! as that can be done: the next run would read it, and a second sync that says nothing would not make it durable.

use std::collections::BTreeMap;
use std::io::{self, Write};

use smd_protocol::{BaseId, Delta, Folder, FolderDelta, Presence, Section, Snapshot, seeded};

use crate::error::Context;
use crate::fs::Fs;
use crate::home::{Access, put_in_place, write_beside};

use super::header::{Line, put_header};
use super::{FILE_MAX, Ids, Meta, Next, OnDisk, Store, StoreError, tail, text};

/// A tail shorter than this is never folded in, in bytes.
const FOLD_MIN: u64 = 64 * 1024;
/// A tail longer than this part of the sections is folded in.
const FOLD_PART: u64 = 10;

impl<F: Fs> Store<F> {
    /// Writes the base that the changes lead to as `next`, durably, in the place of any other `next`. Its id is
    /// that of what was written. The counter is the caller's: one more than the higher of the two hosts'.
    ///
    /// A damaged section is started afresh even where the changes do not say so.
    ///
    /// # Errors
    /// When the file cannot be written. The current base stands.
    pub fn write_next(&mut self, counter: u64, changes: &Delta, meta: &Meta) -> Result<BaseId, StoreError> {
        self.writable()?;
        self.load()?;
        let changes = self.completed(changes);
        self.make_ready(&changes)?;
        let (id, patch) = self.applied(counter, &changes);
        let mut payload = Vec::new();
        text::put_changes(&mut payload, &changes, (*meta != self.meta).then_some(meta));
        let record = tail::next_record(&id, &payload);
        self.abort()?;
        let start = match self.on_disk {
            OnDisk::Good { end, .. } => {
                self.append(&record)?;
                end
            }
            OnDisk::Replace | OnDisk::Bad => {
                // The base that stood there is given up. A crash leaves it (it is offered again, and the peer
                // does not know it any more), or no file, or the new one: the next run adopts, or goes on.
                self.pair.sync_way()?;
                self.write_whole(&Snapshot::default(), None, Meta::default(), &record)?
            }
        };
        self.counter = self.counter.max(counter);
        self.ids.next = Some(id);
        self.next = Some(Next { id, start, payload, patch: Some(patch) });
        Ok(id)
    }

    /// Makes `next` the current base, durably. Afterwards a long tail is folded in; that this fails is only
    /// logged, as the commit stands.
    ///
    /// # Errors
    /// When this is not the id of `next`, or the file cannot be written: then either base may be found there.
    pub fn commit(&mut self, id: BaseId) -> Result<(), StoreError> {
        if self.ids.next != Some(id) {
            return Err(StoreError::Unknown { path: self.path.clone(), id });
        }
        self.promote(id)?;
        if self.pair.access == Access::ReadWrite
            && let Err(error) = self.fold()
        {
            tracing::warn!(%error, "the tail of the base was not folded in");
        }
        Ok(())
    }

    /// Makes this id, which is that of `current` or `next`, the current one, durably, and drops any other
    /// `next`. Writes nothing when it is already so; in a dry run, only memory changes.
    ///
    /// # Errors
    /// When the id is neither, or the file cannot be written.
    pub fn promote(&mut self, id: BaseId) -> Result<(), StoreError> {
        if self.ids.current == Some(id) {
            return if seeded::is("stale-next-stays") { Ok(()) } else { self.abort() };
        }
        let Some(next) = self.next.take_if(|next| next.id == id) else {
            return Err(StoreError::Unknown { path: self.path.clone(), id });
        };
        if self.pair.access == Access::ReadWrite {
            let written = self.writable().and_then(|()| self.append(&tail::commit_record(&id)));
            if let Err(error) = written {
                self.next = Some(next);
                return Err(error);
            }
        }
        self.ids = Ids { current: Some(id), next: None };
        match next.patch {
            Some(patch) => {
                if let Some(meta) = text::meta_of(&next.payload) {
                    self.meta = meta;
                }
                self.install(patch);
            }
            None => self.take_in(next.payload),
        }
        Ok(())
    }

    /// Drops `next`, durably. Writes nothing when there is none; in a dry run, only memory changes.
    ///
    /// # Errors
    /// When the file cannot be written; then the next run may still find it.
    pub fn abort(&mut self) -> Result<(), StoreError> {
        let Some(start) = self.next.as_ref().map(|next| next.start) else { return Ok(()) };
        if self.pair.access == Access::ReadWrite {
            self.writable()?;
            if let OnDisk::Good { base, len, .. } = self.on_disk {
                self.on_disk = OnDisk::Good { base, end: start, len };
                self.cut()?;
            }
        }
        self.ids.next = None;
        self.next = None;
        Ok(())
    }

    /// Records a new description of the root with the current base, durably. Writes nothing when it is the
    /// same, when there is no base, or while a `next` is pending, which carries its own.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note(&mut self, meta: &Meta) -> Result<(), StoreError> {
        if self.ids.current.is_none() || self.ids.next.is_some() || *meta == self.meta {
            return Ok(());
        }
        self.writable()?;
        if let OnDisk::Good { .. } = self.on_disk {
            let mut payload = Vec::new();
            text::put_meta(&mut payload, meta);
            self.append(&tail::meta_record(&payload))?;
        }
        self.meta = meta.clone();
        Ok(())
    }

    fn writable(&self) -> Result<(), StoreError> {
        self.dir()?;
        if self.failed { Err(StoreError::Failed { path: self.path.clone() }) } else { Ok(()) }
    }

    /// The changes in order, and with a fresh start for every damaged section.
    fn completed(&self, changes: &Delta) -> Delta {
        let mut changes = changes.clone();
        changes.folders.values_mut().for_each(FolderDelta::normalise);
        for folder in &self.damaged {
            let change = changes.folders.entry(folder.clone()).or_default();
            if change.presence != Presence::Removed {
                change.presence = Presence::Reset;
                change.adopting.get_or_insert(true);
            }
        }
        changes
    }

    fn make_ready(&mut self, changes: &Delta) -> Result<(), StoreError> {
        for (folder, change) in &changes.folders {
            if !matches!(change.presence, Presence::Reset | Presence::Removed) {
                self.parse(folder)?;
            }
        }
        Ok(())
    }

    /// What the changes lead to: the id, and the touched sections. All others give only their digests, so
    /// that one new mail costs its folder and not the root.
    fn applied(&self, counter: u64, changes: &Delta) -> (BaseId, BTreeMap<Folder, Option<Section>>) {
        let section = |(folder, section): (&Folder, &Section)| {
            let touched = changes.folders.contains_key(folder);
            let bare = || Section::with_digest(Vec::new(), section.adopting(), section.digest());
            (folder.clone(), if touched { section.clone() } else { bare() })
        };
        let mut outcome = Snapshot { folders: self.snapshot.folders.iter().map(section).collect() };
        outcome.apply(changes);
        let id = outcome.id(counter);
        (id, changes.folders.keys().map(|folder| (folder.clone(), outcome.folders.remove(folder))).collect())
    }

    fn install(&mut self, patch: BTreeMap<Folder, Option<Section>>) {
        for (folder, section) in patch {
            self.unparsed.remove(&folder);
            self.damaged.retain(|damaged| *damaged != folder);
            match section {
                Some(section) => self.snapshot.folders.insert(folder, section),
                None => self.snapshot.folders.remove(&folder),
            };
        }
        if self.unparsed.is_empty() {
            self.text = Vec::new();
        }
    }

    /// Writes the sections anew when the tail has grown long, or to be rid of damage.
    fn fold(&mut self) -> Result<(), StoreError> {
        let OnDisk::Good { base, end, .. } = self.on_disk else { return Ok(()) };
        let long = end.saturating_sub(base) > FOLD_MIN.max(base / FOLD_PART);
        if self.failed || self.next.is_some() || !self.damaged.is_empty() || !(long || self.fold_due) {
            return Ok(());
        }
        self.load()?;
        let snapshot = std::mem::take(&mut self.snapshot);
        let written = self.write_whole(&snapshot, self.ids.current, self.meta.clone(), &[]);
        self.snapshot = snapshot;
        written?;
        self.fold_due = false;
        Ok(())
    }

    /// Writes head and sections of a base, and one record behind them, and puts the file in its place. Sections
    /// with a slot go over as they are. Gives the place of the record.
    fn write_whole(
        &mut self,
        snapshot: &Snapshot,
        id: Option<BaseId>,
        meta: Meta,
        record: &[u8],
    ) -> Result<u64, StoreError> {
        let mut body = Vec::new();
        let mut lines = Vec::with_capacity(snapshot.folders.len());
        for (folder, section) in &snapshot.folders {
            let from = body.len();
            let slot = self.unparsed.get(folder);
            match slot {
                Some(slot) => body.extend_from_slice(&self.text[slot.range.clone()]),
                None => text::put_section(&mut body, folder, section.entries()),
            }
            lines.push(Line {
                folder: folder.clone(),
                entries: slot.map_or(section.entries().len() as u64, |slot| slot.entries),
                bytes: (body.len() - from) as u64,
                sum: text::checksum(&[&body[from..]]),
                digest: section.digest(),
                adopting: section.adopting(),
            });
        }
        let head = put_header(&self.root, &meta, id.as_ref(), &lines);
        let base = (head.len() + body.len()) as u64;
        let len = base + record.len() as u64;
        if len > FILE_MAX {
            return Err(StoreError::TooLarge { path: self.path.clone() });
        }
        // Until the rename the old file is untouched, so that a failed fold does not keep later batches from it.
        write_beside(&*self.pair.fs, self.dir()?, &self.name, &[&head, &body, record]).context("write", &self.path)?;
        if self.on_disk == OnDisk::Bad {
            self.set_aside()?;
            self.on_disk = OnDisk::Replace;
        }
        let placed = put_in_place(&*self.pair.fs, self.dir()?, &self.name);
        self.settle(placed, "replace")?;
        self.named = true;
        self.on_disk = OnDisk::Good { base, end: len, len };
        Ok(base)
    }

    fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        let OnDisk::Good { base, end, len } = self.on_disk else {
            return Err(StoreError::Failed { path: self.path.clone() });
        };
        let after = end + record.len() as u64;
        if after > FILE_MAX {
            return Err(StoreError::TooLarge { path: self.path.clone() });
        }
        if len != end {
            self.cut()?;
        }
        let written = self.with_file(|fs, file| {
            file.write_all(record)?;
            file.flush()?;
            if seeded::is("base-is-not-synced") { Ok(()) } else { fs.sync_file(file) }
        });
        let written = written.and_then(|()| self.sync_name());
        if written.is_err() && !seeded::is("failed-record-stays") {
            // The first error is the one to tell of.
            let _ = self.with_file(|fs, file| fs.truncate(file, end));
        }
        self.settle(written, "append to")?;
        self.on_disk = OnDisk::Good { base, end: after, len: after };
        Ok(())
    }

    /// Makes a `next` durable that an earlier run left. That run may have been killed between writing and syncing it, or
    /// between renaming the file and syncing the directory: then it can be read, and a crash still takes it.
    pub(super) fn secure_next(&mut self) -> Result<(), StoreError> {
        if self.next.is_none() || self.pair.access == Access::ReadOnly {
            return Ok(());
        }
        let synced = self.with_file(|fs, file| fs.sync_file(file)).and_then(|()| self.sync_name());
        self.settle(synced, "sync")
    }

    /// Makes the file's name durable, once: what is appended to a file that a crash takes away is worth nothing.
    fn sync_name(&mut self) -> io::Result<()> {
        if let (false, Some(dir)) = (self.named, &self.pair.dir) {
            self.pair.fs.sync_dir(dir)?;
            self.named = true;
        }
        Ok(())
    }

    /// Cuts off what follows the last good record.
    fn cut(&mut self) -> Result<(), StoreError> {
        let OnDisk::Good { base, end, .. } = self.on_disk else { return Ok(()) };
        let written = self.with_file(|fs, file| {
            fs.truncate(file, end)?;
            fs.sync_file(file)
        });
        self.settle(written, "cut")?;
        self.on_disk = OnDisk::Good { base, end, len: end };
        Ok(())
    }

    fn with_file(&self, work: impl FnOnce(&F, &mut F::File) -> io::Result<()>) -> io::Result<()> {
        let fs = &*self.pair.fs;
        let Some(dir) = &self.pair.dir else { return Err(io::ErrorKind::NotFound.into()) };
        let mut file = fs.append(dir, &self.name)?;
        work(fs, &mut file)
    }

    fn settle(&mut self, written: io::Result<()>, action: &'static str) -> Result<(), StoreError> {
        self.failed |= written.is_err() && !seeded::is("writes-after-a-failed-write");
        Ok(written.context(action, &self.path)?)
    }
}
