//! The look at a root: open it, judge whether it is the one it was, scan it.

use std::sync::Arc;

use smd_protocol::names::printable;
use smd_protocol::{Delta, Folder, FolderDelta, Name, Presence, seeded};

use super::{RootRun, RunError, naming, skipped};
use crate::error::{Context, Trouble};
use crate::fs::Fs;
use crate::home::Access;
use crate::lock::{self, LockError, Wait};
use crate::rename::lacking;
use crate::root::{Identity, Mount, Root, if_there};
use crate::scan::{Depth, Look, Scanner};

/// What a look found beside the delta.
#[derive(Debug, Default)]
pub struct Looked {
    /// There is no root here, and no base says that there should be one.
    pub absent: bool,
    /// Something could not be read, so no absence counts.
    pub incomplete: bool,
    /// Folders put back from a backup.
    pub put_back: Vec<Folder>,
    /// Why the root may not be the one it was.
    pub suspicious: Option<String>,
    /// What a person should hear of.
    pub troubles: Vec<Trouble>,
    /// What is left out by design, to be said all the same.
    pub left_out: Vec<Trouble>,
    /// Second messages of one uniq, and the names that they are to get.
    pub twins: Vec<smd_protocol::step::Twin>,
    /// Messages seen.
    pub messages: u64,
}

impl<F: Fs> RootRun<F> {
    /// Looks at the root. `on_read` hears the bytes of each file that is read, and ends the look by saying no.
    ///
    /// # Errors
    /// When the root is there but cannot be looked at, or the state contradicts itself.
    pub fn look(&mut self, depth: Depth, on_read: &(dyn Fn(u64) -> bool + Sync)) -> Result<Looked, RunError> {
        use std::os::unix::ffi::OsStrExt;
        let shown = self.path.as_os_str().as_bytes().to_vec();
        let Some(root) = if_there(Root::open(self.fs.clone(), &self.path)).context("open", &shown)? else {
            // With a base this is a root that went missing. Everything in it is gone, as far as can be seen, and
            // `suspicious` keeps that from being believed unless the person says so.
            if self.chosen.is_none() {
                // It would lie where the directory above lies; whether that is there is another question.
                if let Ok(above) = self.open_above() {
                    self.refuse_lacking(&above, depth)?;
                }
                let troubles = self.cannot_be_made().into_iter().collect();
                return Ok(Looked { absent: true, troubles, ..Looked::default() });
            }
            let gone = || FolderDelta { presence: Presence::Removed, ..FolderDelta::default() };
            let folders = self.base()?.folders.keys().map(|folder| (folder.clone(), gone())).collect();
            self.delta = Arc::new(Delta { folders });
            return Ok(Looked { suspicious: Some("is missing".to_owned()), ..Looked::default() });
        };
        self.refuse_lacking(&root.dir, depth)?;
        let root = root.named(self.naming.clone());
        self.root = Some(root.clone());
        let disk = root.on_disk();
        let skip = skipped(&*self.fs, &self.home);
        // Sections that were dropped make no folder clean: then every one is compared.
        let base_id = self.chosen.filter(|_| self.dropped.is_empty());
        let dry_run = self.home.access() == Access::ReadOnly;
        let excludes = self.disk_excludes.clone();
        let (after_cut, renames) = (self.after_cut, self.renames);
        let siblings = self.siblings.clone();
        let scanner = Scanner {
            root: &disk,
            excludes: &excludes,
            skip_dirs: &skip,
            siblings: &siblings,
            depth,
            after_cut,
            renames,
            on_read,
        };
        let mut cache = std::mem::replace(&mut self.cache, crate::cache::Cache::none(self.fs.clone()));
        if self.walks_all {
            cache.forget_walk();
        }
        let notes = super::restored::read(&self.home, &self.stem)?;
        self.restored = notes.len() as u64;
        self.dealt = self.store.put_back_dealt()?;
        let open = self.open_notes(&notes);
        open.iter().for_each(|folder| cache.expect_newer(folder));
        let mut held = None;
        let scanned: Result<Look, RunError> = scanner.scan(&cache, base_id, || {
            let base = self.base()?;
            held = Some(match &self.naming {
                None => base,
                Some(naming) => Arc::new(naming::to_local(&**naming, &base)?),
            });
            Ok(&**held.as_ref().expect("set above"))
        });
        self.cache = cache;
        let mut look = scanned?;
        self.notes_left_alone = open.iter().any(|folder| excludes.excludes(folder));
        if !self.notes_left_alone && !open.iter().any(|folder| look.put_back.contains(folder)) {
            self.note_dealt(self.restored);
        }
        if depth == Depth::Folders {
            look.troubles.extend(self.unwritable(&root, &look.delta));
        }
        if !dry_run {
            self.sync_as_in_base(&root, &look)?;
        }
        let suspicious = self.suspicion(&look);
        let looked = self.looked(&mut look, suspicious);
        self.look = Some(look);
        let looked = looked?;
        if !looked.put_back.is_empty() && !dry_run {
            self.note_restored_early(&root)?;
        }
        Ok(looked)
    }

    /// Refuses a file system on which no message could be installed, before a first run sends any. Later runs say so of each
    /// step; a run that does not change this host, or that may not write, does not try.
    fn refuse_lacking(&self, dir: &F::Dir, depth: Depth) -> Result<(), RunError> {
        let first = self.chosen.is_none() && self.renames && depth != Depth::Folders;
        if !first || self.home.access() == Access::ReadOnly || !self.fs.may_lack(dir) {
            return Ok(());
        }
        match lacking(&*self.fs, dir) {
            Some(what) => Err(std::io::Error::other(what)).context("use", self.path.as_os_str().as_encoded_bytes())?,
            None => Ok(()),
        }
    }

    /// Takes from a look what the other host is told, by the names that it knows.
    fn looked(&mut self, look: &mut Look, suspicious: Option<String>) -> Result<Looked, RunError> {
        let (mut delta, mut put_back) = (std::mem::take(&mut look.delta), look.put_back.clone());
        if let Some(naming) = &self.naming {
            delta.folders = naming::all_to_canonical(&**naming, delta.folders)?.into_iter().collect();
            let found = put_back.into_iter().map(|folder| (folder, ()));
            put_back = naming::all_to_canonical(&**naming, found)?.into_iter().map(|(folder, ())| folder).collect();
        }
        let mut twins = Vec::new();
        for twin in std::mem::take(&mut look.twins) {
            let (Some(to), Some(root)) = (twin.fresh, &self.root) else { continue };
            let folder = root.canonical(&twin.name.folder).map_err(|error| RunError::Naming(error.to_string()))?;
            twins.push(smd_protocol::step::Twin { from: Name { folder, ..twin.name }, content: twin.content, to });
        }
        self.delta = Arc::new(delta);
        Ok(Looked {
            twins,
            absent: false,
            incomplete: look.incomplete,
            put_back,
            suspicious,
            troubles: std::mem::take(&mut look.troubles),
            left_out: std::mem::take(&mut look.left_out),
            messages: look.messages_seen,
        })
    }

    /// Notes folders that were put back as soon as that is seen: the stamps that tell are in a cache that a crash may take.
    /// Where another run holds the root, the first step will do it.
    fn note_restored_early(&mut self, root: &Root<F>) -> Result<(), RunError> {
        match lock::root_lock(root, &self.home, &Wait { ms: 0, stop: &|| false }) {
            Ok(_held) => self.note_restored(),
            Err(LockError::Held { .. } | LockError::Stopped { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Why this may not be the root that the base was made of.
    fn suspicion(&self, look: &Look) -> Option<String> {
        self.chosen?;
        let meta = self.store.meta();
        if meta.identity.is_some_and(|was| !look.identity.may_be(&was)) {
            return Some("is another directory than before".to_owned());
        }
        meta.mounts.iter().find_map(|was| {
            if self.holds_still(was) {
                return None;
            }
            let at = match was.folder.is_root() {
                true => "on it".to_owned(),
                false => format!("at {}", printable(was.folder.as_bytes())),
            };
            let mounted = look.mounts.iter().find(|now| now.folder == was.folder);
            match (mounted, was.identity) {
                (None, _) => Some(format!("had a disk mounted {at} that is not there")),
                (Some(_), Some(_)) => Some(format!("has another disk mounted {at} than before")),
                (Some(_), None) => None,
            }
        })
    }

    /// Whether the directory that was mounted in a folder is there, be it mounted or not: it may be reached by another mount,
    /// or by none. What cannot be looked at is not known to be there.
    fn holds_still(&self, was: &Mount) -> bool {
        let (Some(identity), Some(root)) = (was.identity, &self.root) else { return false };
        let Ok(held) = root.on_disk().folder(&was.folder) else { return false };
        let dirs = [Some(held.dir), held.cur, held.new];
        let found = dirs.iter().flatten().filter_map(|dir| self.fs.stat_dir(dir).ok());
        seeded::is("what-was-mounted-is-there")
            || found.into_iter().any(|stat| Identity { ino: stat.ino, btime: stat.btime }.may_be(&identity))
    }
}
