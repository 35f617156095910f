//! What the steps of a run share: expectations, names in `tmp/`, and syncs.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::unix::ffi::OsStrExt;

use smd_protocol::{Content, Entry, Folder, Name, Place, seeded};

use super::folders::{Folders, Part};
use super::listing::Spot;
use super::read::Messages;
use super::stage::Staged;
use super::stop::Stop;
use super::{Change, Expect, FEW, Installed};
use crate::error::{Context, Error, Trouble};
use crate::fs::{Fs, Kind};
use crate::grave::{Grave, Why, file_safe};
use crate::hash;
use crate::quota::Quota;
use crate::root::{Root, if_there};

/// How often a message that is renamed meanwhile is looked for.
pub(super) const TRIES: usize = 4;

/// See the module's text.
pub(super) struct Work<F: Fs> {
    pub(super) root: Root<F>,
    pub(super) grave: Grave<F>,
    /// How much may be brought.
    pub(super) quota: Quota<F>,
    pub(super) folders: Folders<F>,
    /// Sources of copies.
    pub(super) messages: Messages<F>,
    expect: Expect,
    /// What our own steps made of a name since the scan.
    known: HashMap<Name, Option<Entry>>,
    /// Names created in this batch, to be read back.
    pub(super) created: Vec<Created>,
    /// Directories that earlier batches changed, by their paths on this host.
    pub(super) touched: BTreeSet<Folder>,
    pub(super) installed: Vec<Installed>,
    /// Files that came, moved or went, if anybody wants to know.
    pub(super) changes: Option<Vec<Change>>,
    /// Why the bytes that a replacement takes out are buried.
    pub(super) replaced: Why,
    /// `smd.OWNER.`
    own: Vec<u8>,
    /// `smd.OWNER.RUN.`
    prefix: Vec<u8>,
    staged: u64,
}

/// A name that this batch created.
pub(super) struct Created {
    /// The step that did.
    pub(super) step: usize,
    pub(super) name: Name,
    pub(super) spot: Spot,
    pub(super) origin: Origin,
}

/// Where a created name's message came from.
pub(super) enum Origin {
    /// These bytes are new here.
    Staged(Content),
    /// It was moved from here.
    Moved(Name, Spot),
}

impl<F: Fs> Work<F> {
    pub(super) fn new(root: Root<F>, grave: Grave<F>, owner: &str, expect: Expect) -> Self {
        let now = root.fs.now();
        let own = format!("smd.{}.", file_safe(owner));
        let prefix = match seeded::is("reuses-tmp-names") {
            true => own.clone(),
            false => format!("{own}{:x}-{:x}-{}.", now.sec, now.nsec, std::process::id()),
        };
        Self {
            folders: Folders::new(root.clone()),
            messages: Messages::new(root.clone()),
            root,
            grave,
            quota: Quota::default(),
            expect,
            known: HashMap::new(),
            created: Vec::new(),
            touched: BTreeSet::new(),
            installed: Vec::new(),
            changes: None,
            replaced: Why::Replaced,
            own: own.into_bytes(),
            prefix: prefix.into_bytes(),
            staged: 0,
        }
    }

    /// Forgets what belongs to the batch before.
    pub(super) fn begin(&mut self) {
        self.folders.begin();
        self.messages.forget();
        self.created.clear();
    }

    pub(super) fn fs(&self) -> &F {
        &self.root.fs
    }

    pub(super) fn shown(&self, name: &Name) -> Vec<u8> {
        self.root.shown_name(name)
    }

    pub(super) fn shown_root(&self) -> Vec<u8> {
        self.root.path.as_os_str().as_bytes().to_vec()
    }

    /// The next name in `tmp/`.
    pub(super) fn tmp_name(&mut self) -> Vec<u8> {
        self.staged += 1;
        [&self.prefix[..], self.staged.to_string().as_bytes()].concat()
    }

    /// Whether a name in `tmp/` is of the same owner.
    pub(super) fn is_own(&self, file: &[u8]) -> bool {
        file.starts_with(&self.own)
    }

    /// What should be under a name: as scanned, or as our own steps left it.
    pub(super) fn expected(&self, name: &Name) -> Option<Entry> {
        self.known.get(name).cloned().unwrap_or_else(|| (self.expect)(name))
    }

    /// What the scan saw under a name.
    pub(super) fn scanned(&self, name: &Name) -> Option<Entry> {
        (self.expect)(name)
    }

    /// Takes note of what a step made of a name.
    pub(super) fn know(&mut self, name: &Name, entry: Option<Entry>) {
        self.known.insert(name.clone(), entry);
    }

    /// Reads what is under a name, however it is spelled.
    pub(super) fn read_message(&mut self, name: &Name) -> Result<Option<(Spot, Content, F::File)>, Stop> {
        let shown = self.shown(name);
        for _ in 0..TRIES {
            let Some(spot) = self.folders.find(name)? else { return Ok(None) };
            let dir = self.folders.place(&name.folder, spot.place).context("open", &shown)?;
            match if_there(self.fs().open(&dir, &spot.file)).context("open", &shown)? {
                Some(mut file) => {
                    let (hashed, _) = hash::hash_file(self.fs(), &mut file).context("read", &shown)?;
                    return Ok(Some((spot, hashed.content, file)));
                }
                None => self.folders.refresh(&name.folder).context("list", &shown)?,
            }
        }
        Err(Stop::changed(&shown, "keeps being renamed"))
    }

    /// Removes a file, if it still has the bytes that we gave it. (An inode says little: its number is used again.)
    pub(super) fn remove_ours(&self, dir: &F::Dir, file: &[u8], content: &Content) -> io::Result<bool> {
        let found = self.fs().open(dir, file).and_then(|mut open| hash::hash_file(self.fs(), &mut open));
        let Some((hashed, _)) = if_there(found)? else { return Ok(false) };
        if hashed.content != *content && !seeded::is("removes-ours-unread") {
            return Ok(false);
        }
        self.fs().unlink(dir, file)?;
        Ok(true)
    }

    /// Asks the quota for so many folders.
    pub(super) fn permit_folders(&self, number: usize) -> Result<(), Stop> {
        if number == 0 {
            return Ok(());
        }
        let asked = self.quota.folders(self.fs(), &self.root.dir, number as u64);
        asked.map_err(|denied| Stop::denied("make folders in", &self.shown_root(), denied))
    }

    /// Whether these bytes are under this name already; then they are made durable.
    pub(super) fn holds(&mut self, name: &Name, content: &Content) -> Result<bool, Stop> {
        let Some((spot, found, file)) = self.read_message(name)? else { return Ok(false) };
        if found != *content {
            return Ok(false);
        }
        if !seeded::is("found-bytes-are-durable") {
            self.fs().sync_file(&file).context("sync", self.shown(name))?;
        }
        let entry = Entry { uniq: name.uniq.clone(), place: spot.place, flags: spot.flags(), content: *content };
        self.know(name, Some(entry));
        self.folders.mark(&name.folder, Some(spot.place));
        Ok(true)
    }

    /// Removes a staged file; if that fails the next run does.
    pub(super) fn discard(&mut self, staged: &Staged) {
        if let Ok(tmp) = self.folders.tmp(&staged.folder) {
            let _ = self.fs().unlink(&tmp, &staged.file);
        }
    }

    /// Removes what earlier runs of the same owner left in a folder's `tmp/`.
    pub(super) fn sweep_tmp(&mut self, folder: &Folder) -> Option<Trouble> {
        let swept = self.sweep_own(folder).context("sweep", self.root.shown(folder, b"tmp"));
        swept.err().map(|error| Trouble { path: folder.as_bytes().to_vec(), text: error.to_string() })
    }

    fn sweep_own(&mut self, folder: &Folder) -> io::Result<()> {
        let Some(dir) = if_there(self.root.folder_dir(folder))? else { return Ok(()) };
        let Some(tmp) = if_there(self.fs().open_dir(&dir, b"tmp"))? else { return Ok(()) };
        let mut left = Vec::new();
        self.fs().list(&tmp, &mut |name, kind, _| {
            if self.is_own(name) && !name.starts_with(&self.prefix) && matches!(kind, Kind::File | Kind::Unknown) {
                left.push(name.to_vec());
            }
        })?;
        left.iter().try_for_each(|name| if_there(self.fs().unlink(&tmp, name)).map(drop))
    }

    /// Whether one `syncfs` keeps all that was written in this folder.
    pub(super) fn trusted(&mut self, folder: &Folder) -> io::Result<bool> {
        let dir = self.folders.dir(folder)?;
        Ok(self.fs().habits(&dir)?.trusted)
    }

    /// Makes everything on a folder's file system durable, where that can be relied on.
    pub(super) fn sync_device(&mut self, folder: &Folder) -> Result<(), Error> {
        let shown = self.root.shown(folder, b"");
        if self.trusted(folder).context("open", &shown)? {
            let dir = self.folders.dir(folder).context("open", &shown)?;
            self.fs().sync_fs(&dir).context("sync", &shown)?;
        }
        Ok(())
    }

    /// The directories that changed since the start, by their paths on this host.
    pub(super) fn touched(&self) -> BTreeSet<Folder> {
        self.touched.iter().chain(self.folders.dirty().iter().map(|part| &part.local)).cloned().collect()
    }

    /// A directory that changed: of a folder the held one, since that is the one that changed.
    fn changed_dir(&mut self, disk: &Root<F>, part: &Part) -> io::Result<F::Dir> {
        match (&part.folder, part.place) {
            (Some(folder), Some(place)) => self.folders.place(folder, place),
            (Some(folder), None) => self.folders.dir(folder),
            (None, _) => disk.local_dir(&part.local),
        }
    }

    /// Makes the changed directories and the grave durable.
    pub(super) fn sync_names(&mut self) -> Result<(), Stop> {
        self.touched = self.touched();
        if seeded::is("skips-sync-of-names") {
            return Ok(());
        }
        let dirty = self.folders.take_dirty();
        let disk = self.root.on_disk();
        let few = dirty.len() <= FEW;
        let mut devices = BTreeSet::new();
        for part in dirty {
            let dir = self.changed_dir(&disk, &part);
            let shown = disk.shown(&part.local, part.place.map_or(&b""[..], Place::dir));
            // A removed directory needs no sync; the one above it is dirty too.
            let Some(dir) = if_there(dir).context("open", &shown)? else { continue };
            if few || !self.fs().habits(&dir).context("sync", &shown)?.trusted {
                self.fs().sync_dir(&dir).context("sync", &shown)?;
            } else if devices.insert(self.fs().stat_dir(&dir).context("sync", &shown)?.dev) {
                self.fs().sync_fs(&dir).context("sync", &shown)?;
            }
        }
        self.grave.sync().context("sync the grave of", self.shown_root())?;
        Ok(())
    }
}
