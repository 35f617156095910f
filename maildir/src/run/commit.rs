//! The end of a run in one root: mail made durable, then the next base, then the commit, then the cache.
//!
//! Deliberately not here: what the next base holds (the client settles that), and how its file is written (`store`).

use std::collections::BTreeSet;
use std::io;

use smd_protocol::{BaseId, Delta, Entry, Folder, Name, seeded};

use super::{RootRun, RunError, naming, skipped};
use crate::apply::{Applier, Installed, Messages};
use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::home::Access;
use crate::root::{FolderDirs, Identity, Root, if_there};
use crate::scan::{Committed, Depth, Look, Scanner};
use crate::store::Meta;

/// As many new messages are synced one by one where no commit wants it.
const SYNCED_ALONE: usize = 1000;

/// A directory below a root and all between the two.
fn with_those_above(local: &Folder) -> Vec<Folder> {
    let parts: Vec<&[u8]> = local.components().collect();
    (1..=parts.len()).filter_map(|depth| Folder::from_components(parts[..depth].to_vec()).ok()).collect()
}

impl<F: Fs> RootRun<F> {
    /// Makes durable what was installed here *and what others wrote since the base*, then writes the next base.
    /// A crash before the last write leaves the old base; after it, either host's `next` is enough to go on from.
    ///
    /// # Errors
    /// When anything of it fails: then there is no next base.
    pub fn prepare(&mut self, counter: u64, changes: &Delta) -> Result<BaseId, RunError> {
        if self.look.is_none() && self.root.is_none() {
            tracing::debug!("a base of a root that is not there");
        }
        if let Some(root) = self.root.as_ref().filter(|_| !seeded::is("skips-sync-of-others")) {
            self.make_durable(root)?;
        }
        let meta = self.meta()?;
        Ok(self.store.write_next(counter, changes, &meta)?)
    }

    /// Makes durable what was read and has the bytes of the base: the delta does not tell of it, and yet a mail program may
    /// just have written it anew, and base and cache count on it.
    pub(super) fn sync_as_in_base(&self, root: &Root<F>, look: &Look) -> Result<(), Error> {
        if look.as_in_base.is_empty() || seeded::is("what-equals-the-base-is-durable") {
            return Ok(());
        }
        let (disk, shown) = (root.on_disk(), root.shown_root());
        if let Some(all) = self.trusted_parts(root, Some(look)).context("look at", &shown)? {
            return all.iter().try_for_each(|dir| self.fs.sync_fs(dir)).context("sync", &shown);
        }
        let mut messages = Messages::new(disk.clone());
        for name in &look.as_in_base {
            self.sync_message(&mut messages, &disk, name, None)?;
        }
        let folders: BTreeSet<&Folder> = look.as_in_base.iter().map(|name| &name.folder).collect();
        for folder in folders {
            if let Some(dirs) = if_there(disk.folder(folder)).context("open", disk.shown(folder, b""))? {
                self.sync_places(&dirs).context("sync", disk.shown(folder, b""))?;
            }
        }
        Ok(())
    }

    /// Makes durable what a look read that no base has, where no commit followed: the cache would count on bytes that a power
    /// cut may take, and leave their stamps. Where files are synced one by one and these are many, it is left out: the run after a
    /// power cut fails once then, and the next reads them again.
    fn sync_new(&self, root: &Root<F>) -> Result<(), Error> {
        let read = self.look.as_ref().is_some_and(|look| look.files_read > look.as_in_base.len() as u64);
        if !read || seeded::is("what-is-in-no-base-is-durable") {
            return Ok(());
        }
        let new: usize = self.delta.folders.values().map(|change| change.set.len()).sum();
        if new > SYNCED_ALONE
            && self.trusted_parts(root, self.look.as_ref()).context("look at", root.shown_root())?.is_none()
        {
            return Ok(());
        }
        self.make_durable(root)
    }

    /// Syncs the directories that hold a folder's messages.
    fn sync_places(&self, dirs: &FolderDirs<F>) -> io::Result<()> {
        dirs.new.iter().chain(&dirs.cur).try_for_each(|dir| self.fs.sync_dir(dir))
    }

    fn make_durable(&self, root: &Root<F>) -> Result<(), Error> {
        let shown = root.shown_root();
        if let Some(all) = self.trusted_parts(root, self.look.as_ref()).context("look at", &shown)? {
            return all.iter().try_for_each(|dir| self.fs.sync_fs(dir)).context("sync", &shown);
        }
        // File by file: what the look found new, its `cur` and `new`, then the folders with all above, which may be no folders.
        let mut above = BTreeSet::new();
        for (folder, change) in &self.delta.folders {
            let Some(dirs) = if_there(root.folder(folder)).context("open", root.shown(folder, b""))? else { continue };
            let mut messages = Messages::new(root.clone());
            for seen in &change.set {
                self.sync_message(&mut messages, root, &Name::new(folder, &seen.entry.uniq), Some(&seen.entry))?;
            }
            self.sync_places(&dirs).context("sync", root.shown(folder, b""))?;
            above.extend(with_those_above(&root.local(folder).context("open", root.shown(folder, b""))?));
        }
        // A run that made a directory may have been killed before it synced the one above, and this one found it there.
        let touched = self.applier.as_ref().map(Applier::touched).unwrap_or_default();
        above.extend(touched.iter().flat_map(with_those_above));
        let disk = root.on_disk();
        for local in above {
            if let Some(dir) = if_there(root.local_dir(&local)).context("open", disk.shown(&local, b""))? {
                self.fs.sync_dir(&dir).context("sync", disk.shown(&local, b""))?;
            }
        }
        self.sync_renamed(root)?;
        self.fs.sync_dir(&root.dir).context("sync", &shown)
    }

    /// Syncs a message unless it is gone again, by a user or by a step of ours: a name that a step gave is dealt with apart.
    fn sync_message(
        &self,
        messages: &mut Messages<F>,
        root: &Root<F>,
        name: &Name,
        entry: Option<&Entry>,
    ) -> Result<(), Error> {
        match if_there(messages.open(name, entry)).context("open", root.shown_name(name))? {
            Some(message) => self.fs.sync_file(&message.file).context("sync", root.shown_name(name)),
            None => Ok(()),
        }
    }

    /// Syncs what others wrote since the base and a step renamed: its name of the look tells of it no more.
    fn sync_renamed(&self, root: &Root<F>) -> Result<(), Error> {
        if self.renamed.is_empty() {
            return Ok(());
        }
        let fresh = self
            .delta
            .folders
            .iter()
            .flat_map(|(folder, change)| change.set.iter().map(move |seen| Name::new(folder, &seen.entry.uniq)));
        let mut fresh: BTreeSet<Name> = fresh.collect();
        let mut messages = Messages::new(root.clone());
        for (from, to) in &self.renamed {
            if !fresh.contains(from) || !fresh.insert(to.clone()) {
                continue;
            }
            self.sync_message(&mut messages, root, to, None)?;
        }
        Ok(())
    }

    /// A directory on each file system that the root lies on, when all of them keep what `syncfs` wrote.
    fn trusted_parts(&self, root: &Root<F>, look: Option<&Look>) -> io::Result<Option<Vec<F::Dir>>> {
        let mut dirs = vec![root.dir.clone()];
        let mounts = look.into_iter().flat_map(|look| &look.mounts).filter(|_| !seeded::is("one-disk-is-all"));
        for mount in mounts {
            let held = root.on_disk().folder(&mount.folder)?;
            dirs.extend([Some(held.dir), held.cur, held.new].into_iter().flatten());
        }
        let mut devices = BTreeSet::new();
        let mut parts = Vec::new();
        for dir in dirs {
            if !self.fs.habits(&dir)?.trusted {
                return Ok(None);
            }
            if devices.insert(self.fs.stat_dir(&dir)?.dev) {
                parts.push(dir);
            }
        }
        Ok(Some(parts))
    }

    /// What is recorded of the root beside its entries.
    fn meta(&self) -> Result<Meta, Error> {
        let identity = match &self.root {
            Some(root) => {
                let stat = self.fs.stat_dir(&root.dir).context("look at", root.shown_root())?;
                Some(Identity { ino: stat.ino, btime: stat.btime })
            }
            None => self.store.meta().identity,
        };
        let mounts = self.look.as_ref().map(|look| look.mounts.clone()).unwrap_or_default();
        let translator = self.naming.as_ref().map_or_else(String::new, |naming| naming.fingerprint().to_owned());
        Ok(Meta { identity, excludes: self.excludes.fingerprint().to_owned(), translator, mounts })
    }

    /// Makes the prepared base the current one, durably.
    ///
    /// # Errors
    /// When this is not the prepared one, or the state cannot be written.
    pub fn commit(&mut self, id: BaseId) -> Result<(), RunError> {
        self.store.commit(id)?;
        self.committed = true;
        Ok(())
    }

    /// Drops a prepared base: the other host computed another id, so that one of the two is wrong about something. The
    /// cache goes first, so that the next run reads everything; when one that did meets the same, the base goes.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn abort(&mut self) -> Result<(), RunError> {
        self.store.abort()?;
        if self.cache.is_empty() {
            self.store.give_up()?;
        }
        self.distrusted = !seeded::is("trusts-itself-after-a-difference");
        Ok(())
    }

    /// Brings the cache up to date with what was committed. Here names are those of the disk.
    fn remember_commit(
        &mut self,
        root: &Root<F>,
        id: BaseId,
        depth: Depth,
        touched: &BTreeSet<Folder>,
        installed: Vec<Installed>,
    ) -> Result<(), RunError> {
        let base = match &self.naming {
            None => self.store.snapshot()?.clone(),
            Some(naming) => naming::to_local(&**naming, self.store.snapshot()?)?,
        };
        let installed = installed.into_iter().map(|one| {
            let folder = root.local(&one.name.folder)?;
            Ok(Installed { name: Name { folder, ..one.name }, ..one })
        });
        let installed = installed.collect::<io::Result<Vec<Installed>>>().context("look at", root.shown_root())?;
        let Some(look) = &mut self.look else { return Ok(()) };
        let skip = skipped(&*self.fs, &self.home);
        let scanner = Scanner {
            root: &root.on_disk(),
            excludes: &self.disk_excludes,
            skip_dirs: &skip,
            depth,
            siblings: &[],
            after_cut: false,
            renames: self.renames,
            on_read: &|_| true,
        };
        let done = Committed { touched, base: &base, id, installed: &installed };
        Ok(scanner.after_commit(&mut self.cache, look, &done).context("look at", root.shown_root())?)
    }

    /// Ends the run: lets go of the root, and keeps in the cache what was learnt, so that the next run finds
    /// unchanged folders clean. What fails here costs the next run time, nothing else.
    pub fn finish(&mut self, depth: Depth) {
        let touched = self.applier.as_ref().map(Applier::touched).unwrap_or_default();
        let installed: Vec<Installed> = self.applier.as_ref().map(Applier::installed).unwrap_or_default();
        self.applier = None;
        if self.home.access() == Access::ReadOnly {
            return;
        }
        if self.distrusted {
            if let Err(error) = self.cache.clear() {
                tracing::warn!(%error, "the cache was not removed");
            }
            return;
        }
        self.drop_begun();
        if let Err(error) = self.note_endpoint() {
            tracing::warn!(%error, "the excludes were not noted");
        }
        if let Err(error) = self.note_root() {
            tracing::warn!(%error, "where the root lies was not noted");
        }
        let Some(root) = self.root.clone() else { return };
        // What was put back and could not be looked at is dealt with by a later run; a step of ours may have made its stamps
        // new by then, and only the note tells.
        let unseen = |look: &Look| look.put_back.iter().any(|folder| look.unknown.contains(folder));
        let deals = self.committed && (!self.look.as_ref().is_some_and(unseen) || seeded::is("unseen-is-dealt-with"));
        if deals && !self.notes_left_alone {
            self.note_dealt(self.restored);
        }
        let result = match (self.committed, self.store.ids().current) {
            (true, Some(id)) => {
                self.remember_commit(&root, id, depth, &touched, installed).map_err(|error| error.to_string())
            }
            // Folders that this run changed without a commit are dirty by their own stamps.
            _ => self.sync_new(&root).map_err(|error| error.to_string()).and_then(|()| {
                let look = self.look.as_ref();
                look.map_or(Ok(()), |look| {
                    look.remember(&mut self.cache, &self.disk_excludes).map_err(|error| error.to_string())
                })
            }),
        };
        match result {
            Ok(()) if deals && self.notes_left_alone => self.note_dealt(self.restored),
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "the cache was not written"),
        }
    }
}

impl<F: Fs> RootRun<F> {
    /// Records which directories root and mounted folders are, when these are others than before and yet all the mail of
    /// the base is there: they moved to another disk, and a delete of later days is no cause for alarm.
    fn note_root(&mut self) -> Result<(), RunError> {
        let ids = self.store.ids();
        let whole = self.look.as_ref().is_some_and(|look| !look.incomplete && look.put_back.is_empty());
        if !whole || !self.delta.is_empty() || self.chosen.is_none() || ids.current != self.chosen || ids.next.is_some()
        {
            return Ok(());
        }
        let meta = Meta { excludes: self.store.meta().excludes.clone(), ..self.meta()? };
        self.store.note(&meta)?;
        Ok(())
    }
}
