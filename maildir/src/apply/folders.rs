//! The folders that a batch touches: held open, listed once, and kept up to date as steps are taken.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;

use smd_protocol::{Folder, Name, Place, seeded};

use super::listing::{self, Spot, Spots};
use super::stop::Stop;
use crate::error::Context;
use crate::fs::{Fs, Kind};
use crate::root::{FolderDirs, Root, if_there};

/// Folders held open at once, at up to four descriptors each.
const HELD: usize = 12;
/// How often a message that is renamed meanwhile is looked for.
const TRIES: usize = 5;

/// What a sync at the end of a batch is about: a directory itself, or its `cur` or `new`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Part {
    /// The directory, by its path on this host.
    pub(super) local: Folder,
    pub(super) place: Option<Place>,
    /// The folder that it is. None above a folder, where it may be none and have no other name.
    pub(super) folder: Option<Folder>,
}

/// See the module's text.
pub(super) struct Folders<F: Fs> {
    root: Root<F>,
    held: HashMap<Folder, FolderDirs<F>>,
    /// `tmp/` of held folders, once it was asked for.
    tmps: HashMap<Folder, F::Dir>,
    lists: HashMap<Folder, List>,
    /// Uniqs that the batch is about: nothing else of a listing is kept.
    wanted: HashMap<Folder, HashSet<Box<[u8]>>>,
    /// Directories that changed and are not durable yet.
    dirty: BTreeSet<Part>,
}

#[derive(Default)]
struct List {
    spots: Spots,
    /// Uniqs that two complete looks missed.
    missed: HashSet<Box<[u8]>>,
}

impl<F: Fs> Folders<F> {
    pub(super) fn new(root: Root<F>) -> Self {
        Self {
            root,
            held: HashMap::new(),
            tmps: HashMap::new(),
            lists: HashMap::new(),
            wanted: HashMap::new(),
            dirty: BTreeSet::new(),
        }
    }

    /// Forgets what was listed; the next batch lists again.
    pub(super) fn begin(&mut self) {
        self.held.clear();
        self.tmps.clear();
        self.lists.clear();
        self.wanted.clear();
    }

    /// Lists anew what is asked from now on.
    pub(super) fn relist(&mut self) {
        if !seeded::is("believes-old-listings") {
            self.lists.clear();
        }
    }

    /// Takes note that a part of a folder changed.
    pub(super) fn mark(&mut self, folder: &Folder, place: Option<Place>) {
        // What has no path here cannot be opened either, so nothing changed in it.
        if let Ok(local) = self.root.local(folder) {
            self.dirty.insert(Part { local, place, folder: Some(folder.clone()) });
        }
    }

    /// Takes note that a directory changed, by its path on this host.
    pub(super) fn mark_local(&mut self, local: &Folder) {
        self.dirty.insert(Part { local: local.clone(), place: None, folder: None });
    }

    /// What changed and is not durable yet.
    pub(super) fn dirty(&self) -> &BTreeSet<Part> {
        &self.dirty
    }

    /// Gives what changed, to be made durable.
    pub(super) fn take_dirty(&mut self) -> BTreeSet<Part> {
        std::mem::take(&mut self.dirty)
    }

    /// Names that will be looked for.
    pub(super) fn want(&mut self, name: &Name) {
        if self.wanted.entry(name.folder.clone()).or_default().insert(name.uniq.as_bytes().into()) {
            self.lists.remove(&name.folder);
        }
    }

    fn held(&mut self, folder: &Folder) -> io::Result<&mut FolderDirs<F>> {
        if !self.held.contains_key(folder) {
            if self.held.len() >= HELD {
                self.held.clear();
                self.tmps.clear();
            }
            let dirs = self.root.folder(folder)?;
            self.held.insert(folder.clone(), dirs);
        }
        Ok(self.held.get_mut(folder).expect("inserted above"))
    }

    /// Lets go of a folder's directories, because they were removed or made.
    pub(super) fn release(&mut self, folder: &Folder) {
        self.held.remove(folder);
        self.tmps.remove(folder);
        self.lists.remove(folder);
    }

    /// The folder's own directory.
    pub(super) fn dir(&mut self, folder: &Folder) -> io::Result<F::Dir> {
        Ok(self.held(folder)?.dir.clone())
    }

    /// The directory of a place; `NotFound` when it is missing.
    pub(super) fn place(&mut self, folder: &Folder, place: Place) -> io::Result<F::Dir> {
        self.held(folder)?
            .place(place)
            .cloned()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "is no longer there"))
    }

    /// The directory of a place, made when it is missing: a folder may have only one of the two.
    pub(super) fn place_made(&mut self, folder: &Folder, place: Place) -> io::Result<F::Dir> {
        match self.place(folder, place) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let dir = self.dir(folder)?;
        let made = self.ensure(folder, &dir, place.dir())?;
        let held = self.held(folder)?;
        match place {
            Place::New => held.new = Some(made.clone()),
            Place::Cur => held.cur = Some(made.clone()),
        }
        Ok(made)
    }

    /// The folder's `tmp/`, made when it is missing.
    pub(super) fn tmp(&mut self, folder: &Folder) -> io::Result<F::Dir> {
        if let Some(tmp) = self.tmps.get(folder) {
            return Ok(tmp.clone());
        }
        let dir = self.dir(folder)?;
        let tmp = self.ensure(folder, &dir, b"tmp")?;
        self.tmps.insert(folder.clone(), tmp.clone());
        Ok(tmp)
    }

    /// Opens a directory in a folder's own, made when it is missing.
    pub(super) fn ensure(&mut self, folder: &Folder, at: &F::Dir, name: &[u8]) -> io::Result<F::Dir> {
        let local = self.root.local(folder)?;
        self.ensure_local(&local, at, name)
    }

    /// As [`Folders::ensure`], by the path on this host.
    pub(super) fn ensure_local(&mut self, local: &Folder, at: &F::Dir, name: &[u8]) -> io::Result<F::Dir> {
        let fs = &self.root.fs;
        if let Some(dir) = if_there(fs.open_dir(at, name))? {
            return Ok(dir);
        }
        match fs.make_dir(at, name) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        self.dirty.insert(Part { local: local.clone(), place: None, folder: None });
        fs.open_dir(at, name)
    }

    fn list(&mut self, folder: &Folder) -> io::Result<&mut List> {
        if !self.lists.contains_key(folder) {
            self.refresh(folder)?;
        }
        Ok(self.lists.get_mut(folder).expect("listed above"))
    }

    /// Lists a folder anew.
    pub(super) fn refresh(&mut self, folder: &Folder) -> io::Result<()> {
        let old = self.lists.remove(folder);
        self.held(folder)?;
        let none = HashSet::new();
        let wanted = self.wanted.get(folder).unwrap_or(&none);
        let spots = listing::list(&*self.root.fs, &self.held[folder], |uniq| wanted.contains(uniq))?;
        let mut list = List::default();
        if let Some(old) = old {
            let missed =
                wanted.iter().filter(|uniq| !spots.contains_key(&uniq[..]) && !old.spots.contains_key(&uniq[..]));
            list.missed = missed.cloned().collect();
        }
        list.spots = spots;
        self.lists.insert(folder.clone(), list);
        Ok(())
    }

    /// What takes this uniq, by the listing.
    pub(super) fn takers(&mut self, name: &Name) -> io::Result<Vec<Spot>> {
        if !self.wanted.get(&name.folder).is_some_and(|wanted| wanted.contains(name.uniq.as_bytes())) {
            self.want(name);
        }
        Ok(self.list(&name.folder)?.spots.get(name.uniq.as_bytes()).cloned().unwrap_or_default())
    }

    /// Finds a message; two complete looks must miss it before it counts as gone.
    pub(super) fn find(&mut self, name: &Name) -> Result<Option<Spot>, Stop> {
        let shown = self.root.shown_name(name);
        let Some(()) = if_there(self.held(&name.folder).map(drop)).context("open", &shown)? else {
            // The folder itself is gone.
            return Ok(None);
        };
        for _ in 0..TRIES {
            let spots = self.takers(name).context("list", &shown)?;
            if spots.is_empty()
                && self.list(&name.folder).context("list", &shown)?.missed.contains(name.uniq.as_bytes())
            {
                return Ok(None);
            }
            let mut there: Vec<(Spot, (u64, u64))> = Vec::new();
            for spot in spots {
                let dir = self.place(&name.folder, spot.place).context("open", &shown)?;
                let Some(stat) = if_there(self.root.fs.stat(&dir, &spot.file)).context("look at", &shown)? else {
                    continue;
                };
                if stat.kind != Kind::File {
                    return Err(Stop::failed(&shown, "is not a regular file", "remove or rename it"));
                }
                if there.first().is_some_and(|(_, inode)| *inode != (stat.dev, stat.ino)) {
                    return Err(Stop::changed(&shown, "has a twin of the same uniq"));
                }
                there.push((spot, (stat.dev, stat.ino)));
            }
            if let Some((spot, _)) = there.pop() {
                return Ok(Some(spot));
            }
            self.refresh(&name.folder).context("list", &shown)?;
        }
        Err(Stop::changed(&shown, "keeps being renamed"))
    }

    /// Takes note that a message lies here now.
    pub(super) fn note(&mut self, name: &Name, spot: Spot) {
        self.mark(&name.folder, Some(spot.place));
        if let Some(list) = self.lists.get_mut(&name.folder) {
            list.missed.remove(name.uniq.as_bytes());
            list.spots.insert(name.uniq.as_bytes().into(), vec![spot]);
        }
    }

    /// Takes note that a message was taken away from here.
    pub(super) fn note_gone(&mut self, name: &Name, place: Place) {
        self.mark(&name.folder, Some(place));
        if let Some(list) = self.lists.get_mut(&name.folder) {
            list.spots.remove(name.uniq.as_bytes());
            list.missed.insert(name.uniq.as_bytes().into());
        }
    }
}
