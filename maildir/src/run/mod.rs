//! One root at one host, through one run: open, agree, look, apply, prepare, commit, finish.
//!
//! Both ends do the same with their own side, so both use this room; what differs (who decides, who
//! answers) is in the client's session and the server's serve loop. The order of durability is here:
//! staged bytes before names (`apply`), names before state ([`RootRun::prepare`]), state before the
//! commit ([`RootRun::commit`]).
//!
//! Where folders have other names on this host than on the wire, this is the boundary: a scan speaks of the disk, by local
//! names ([`RootRun::look`], [`RootRun::finish`]), and so do the index of the grave and the notes of folders put back, which
//! all peers of a root share; base, delta and steps have canonical names.
//!
//! Deliberately not here: the wire, and which steps are taken.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smd_protocol::delta::Present;
use smd_protocol::pack::{self, Part};
use smd_protocol::{BaseId, Delta, Digest, Folder, Name, Outcome, Presence, Refusal, Section, Snapshot, Step, seeded};

use crate::apply::{Applier, Change, open_message};
use crate::cache::{Cache, DirStamp};
use crate::error::{Context, Error, Trouble};
use crate::exclude::{Excludes, Names};
use crate::fs::Fs;
use crate::grave::Grave;
use crate::hash;
use crate::home::{Access, Home, Label, Side, stem};
use crate::lock::{self, Guard, LockError, Wait};
use crate::quota::Quota;
use crate::root::{Naming, Root};
use crate::scan::{Depth, Look};
use crate::share::Share;
use crate::store::{Endpoints, Ids, Store, StoreError};
use crate::watch::Ground;

mod begun;
mod commit;
mod endpoints;
mod headers;
mod keys;
mod ledger;
mod left_out;
mod looked;
mod making;
mod naming;
mod patterns;
mod restored;
mod rights;
#[cfg(test)]
mod tests;

use begun::Noted;
pub use looked::Looked;

/// Why a run cannot go on in a root.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another run holds a lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The base cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder has no name at the other host, or none here: a sentence for the person. Nothing was changed.
    #[error("{0}")]
    Naming(String),
    /// Something was asked for that the direction of the run, or its being dry, forbids. Nothing was changed.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The root was made, and only another process can enter it. Nothing else was changed.
    #[error("the root was made")]
    Made,
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] Error),
}

/// What a run is told about a root.
pub struct Settings<'a> {
    /// Where the root is on this host.
    pub path: &'a Path,
    /// The root's name in state files: its path without symlinks.
    pub key: &'a [u8],
    /// The configured endpoint for which the run is, and which others there are; none where the other host sees to it which
    /// sections the base has, and for a run that has no config.
    pub endpoint: Option<Attendance<'a>>,
    /// Folders that are left alone, by canonical names.
    pub excludes: Excludes,
    /// How folders are called on this host, when that is not their canonical name.
    pub naming: Option<Arc<dyn Naming>>,
    /// Folders that are left alone, by the names on this host; without a `naming` there is no need of it.
    pub local_excludes: Excludes,
    /// Whether the direction of the run lets it change mail on this host.
    pub changes: bool,
    /// Days that messages rest in the grave.
    pub grave_days: u32,
    /// The client's id: at a client part of the names of staged and buried files.
    pub owner: &'a str,
    /// How long a lock is waited for, in milliseconds.
    pub lock_wait_ms: u64,
}

/// The endpoint for which a run is, among those that may share its base.
#[derive(Clone, Copy)]
pub struct Attendance<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether there is an endpoint of this name.
    pub exists: &'a dyn Fn(&str) -> bool,
}

/// One root at one host, through one run.
pub struct RootRun<F: Fs> {
    fs: Arc<F>,
    home: Home<F>,
    path: PathBuf,
    /// The first part of the names of state files of this root, whatever way leads to it.
    stem: String,
    naming: Option<Arc<dyn Naming>>,
    /// Asked by canonical names.
    excludes: Excludes,
    /// The same, asked by local names.
    disk_excludes: Excludes,
    grave_days: u32,
    grave_max: Option<Share>,
    /// How much this run may bring here, with the endpoint's other roots.
    quota: Quota<F>,
    /// Whose run this is, of those that one state lock keeps apart: part of the names of what it stages and buries.
    runs_as: String,
    /// The endpoint for which this is, and all that share the base.
    endpoint: Option<(String, Endpoints)>,
    lock_wait_ms: u64,
    store: Store<F>,
    cache: Cache<F>,
    /// The base that both hosts agreed to start from.
    chosen: Option<BaseId>,
    /// Sections dropped because one of the hosts has them damaged.
    dropped: BTreeSet<Folder>,
    /// The base as it counts in this run: without excluded folders and dropped sections.
    base: Option<Arc<Snapshot>>,
    root: Option<Root<F>>,
    look: Option<Look>,
    delta: Arc<Delta>,
    applier: Option<Applier<F>>,
    /// Whether an earlier run was cut, so that there may be messages of which no base tells.
    after_cut: bool,
    /// Where messages of the endpoint's other roots were.
    siblings: Arc<[DirStamp]>,
    /// Whether every directory is to be listed.
    walks_all: bool,
    /// The directory above a root that is not there, where this process cannot open it.
    above: Option<F::Dir>,
    /// Whether the direction lets mail on this host be changed.
    changes: bool,
    /// Whether second messages of one uniq are to get names of their own.
    renames: bool,
    /// Whether somebody wants to know which files change.
    tells: bool,
    /// Folders in which leftovers were swept; none before the first batch.
    swept: Option<BTreeSet<Folder>>,
    /// Messages that steps of this run gave other names, in their order.
    renamed: Vec<(Name, Name)>,
    /// Notes of folders put back: those that this run deals with, if it commits, and those that are dealt with.
    restored: u64,
    dealt: u64,
    /// Some of the open notes are on folders that this run leaves alone: they are dealt with once the cache tells of them.
    notes_left_alone: bool,
    committed: bool,
    /// What became of the note of what a batch brings.
    begun: Noted,
    /// The hosts came to different bases, so nothing of this run's look is kept.
    distrusted: bool,
    /// Held to the end of the run, so last: fields are dropped in order.
    _state_lock: Guard<F>,
}

impl<F: Fs> RootRun<F> {
    /// Takes the state lock and reads which bases there are. Nothing below the root is touched.
    ///
    /// # Errors
    /// When the lock is held too long, or the state cannot be read.
    pub fn open(
        home: &Home<F>,
        side: Side,
        peer: &Label,
        settings: Settings<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, RunError> {
        let pair = home.pair(side, peer)?;
        let stem = stem(settings.key);
        let state_lock = lock::state_lock(&pair, &stem, &Wait { ms: settings.lock_wait_ms, stop })?;
        home.keep_age()?;
        let mut store = Store::open(&pair, settings.key)?;
        let translator = settings.naming.as_ref().map_or("", |naming| naming.fingerprint());
        if store.damaged().len() > smd_protocol::wire::DAMAGED_MAX || !store.is_made_under(translator) {
            store.forget();
        }
        let endpoint = settings.endpoint.and_then(|of| {
            let mut all = store.endpoints()?;
            all.retain(|name| name == of.name || (of.exists)(name));
            Some((of.name.to_owned(), all))
        });
        let asked = |names| match &settings.naming {
            Some(naming) => settings.excludes.clone().with(settings.local_excludes.clone(), naming.clone(), names),
            None => settings.excludes.clone(),
        };
        let cache = match &pair.dir {
            Some(dir) => {
                let name = format!("{stem}.db.txt.stat").into_bytes();
                Cache::open(pair.fs.clone(), dir, &name).context("read", pair.shown(&name))?
            }
            None => Cache::none(pair.fs.clone()),
        };
        Ok(Self {
            fs: pair.fs.clone(),
            home: home.clone(),
            path: settings.path.to_path_buf(),
            stem,
            excludes: asked(Names::Canonical),
            disk_excludes: asked(Names::Local),
            naming: settings.naming,
            grave_days: settings.grave_days,
            grave_max: None,
            quota: Quota::default(),
            runs_as: match side {
                Side::Client => format!("{}{peer}", settings.owner),
                Side::Server => peer.to_string(),
            },
            endpoint,
            lock_wait_ms: settings.lock_wait_ms,
            store,
            cache,
            chosen: None,
            dropped: BTreeSet::new(),
            base: None,
            root: None,
            look: None,
            delta: Arc::default(),
            applier: None,
            after_cut: false,
            siblings: Arc::default(),
            walks_all: false,
            above: None,
            changes: settings.changes,
            renames: false,
            tells: false,
            swept: None,
            renamed: Vec::new(),
            restored: 0,
            dealt: 0,
            notes_left_alone: false,
            committed: false,
            begun: Noted::default(),
            distrusted: false,
            _state_lock: state_lock,
        })
    }

    /// Looks as after a run that was cut: until two looks agree.
    pub fn comes_after_cut(&mut self) {
        self.after_cut = true;
    }

    /// Tells each root of an endpoint where the messages of the others were, before the looks: a folder that was moved from one
    /// to another is not taken for one put back from a backup.
    pub fn introduce<'r>(roots: impl Iterator<Item = &'r mut Self>)
    where
        F: 'r,
    {
        let roots: Vec<&mut Self> = roots.collect();
        if roots.len() < 2 {
            return;
        }
        // Its own among them: a folder that was put back is younger in there.
        let all: Arc<[DirStamp]> = roots.iter().flat_map(|root| root.cache.places()).collect();
        roots.into_iter().for_each(|root| root.siblings = all.clone());
    }

    /// Tells of second messages of one uniq by the names that a step will give them, where steps may be taken here. Otherwise they
    /// are left out.
    pub fn may_rename(&mut self) {
        self.renames = self.changes;
    }

    /// Buries nothing more once the grave is as large as this; none: whatever its size.
    pub fn set_grave_max(&mut self, max: Option<Share>) {
        self.grave_max = max;
    }

    /// Brings no more than this quota allows, which the endpoint's roots share; otherwise as much as there is.
    pub fn set_quota(&mut self, quota: Quota<F>) {
        self.quota = quota;
    }

    /// The bases that this host can offer.
    pub fn ids(&self) -> Ids {
        self.store.ids()
    }

    /// The highest counter that this host remembers.
    pub fn counter(&self) -> u64 {
        self.store.counter()
    }

    /// Sections of the base that are damaged here.
    pub fn damaged(&self) -> &[Folder] {
        self.store.damaged()
    }

    /// Where the root is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is to be watched of this root.
    pub fn ground(&self) -> Ground {
        let skip_dirs = skipped(&*self.fs, &self.home);
        Ground { path: self.path.clone(), excludes: self.disk_excludes.of_this_name(), skip_dirs }
    }

    /// The base's file, for messages.
    pub fn state_path(&self) -> &[u8] {
        self.store.path()
    }

    /// Settles on the base that both hosts have, durably, or on none. `damaged` are sections that the peer lost.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn agree(&mut self, common: Option<BaseId>, damaged: &[Folder]) -> Result<(), RunError> {
        match common {
            Some(id) => {
                self.store.promote(id)?;
                self.dropped = self.store.damaged().iter().chain(damaged).cloned().collect();
            }
            None => {
                self.store.forget();
                self.dropped.clear();
            }
        }
        self.chosen = common;
        self.base = None;
        Ok(())
    }

    /// Whether the run has no base to start from.
    pub fn adopts(&self) -> bool {
        self.chosen.is_none()
    }

    /// Gives up the base for later runs too, durably, because a person said so. To be called before the first step: a run that
    /// is cut is then not followed by an ordinary one, to which what it was to bring back was deleted. One host is enough.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn put_base_aside(&mut self) -> Result<(), RunError> {
        if !seeded::is("adopts-in-memory-alone") {
            self.store.put_aside()?;
        }
        Ok(())
    }

    /// The base as it counts in this run.
    ///
    /// # Errors
    /// When the state contradicts itself; the next run adopts.
    pub fn base(&mut self) -> Result<Arc<Snapshot>, RunError> {
        if let Some(base) = &self.base {
            return Ok(base.clone());
        }
        let excludes = self.excludes.clone();
        let base = Arc::new(self.base_under(&excludes)?);
        self.base = Some(base.clone());
        Ok(base)
    }

    /// The base as it counts for somebody who leaves these folders alone.
    ///
    /// # Errors
    /// As [`RootRun::base`].
    pub fn base_under(&mut self, excludes: &Excludes) -> Result<Snapshot, RunError> {
        let mut snapshot = self.store.snapshot()?.clone();
        snapshot.folders.retain(|folder, _| !excludes.excludes(folder));
        for folder in &self.dropped {
            if let Some(section) = snapshot.folders.get_mut(folder) {
                *section = Section::new(Vec::new(), true);
            }
        }
        Ok(snapshot)
    }

    /// Whether a section is still being adopted, or must be: then a run without changes has work all the same.
    ///
    /// # Errors
    /// As [`RootRun::base`].
    pub fn has_adopting(&mut self) -> Result<bool, RunError> {
        Ok(!self.dropped.is_empty() || self.store.has_adopting()?)
    }

    /// Changes of the base that follow from excludes and damage alone, not from mail.
    ///
    /// # Errors
    /// As [`RootRun::base`].
    pub fn upkeep(&mut self) -> Result<Delta, RunError> {
        let mut changes = Delta::default();
        for folder in self.sections_that_leave()? {
            let section = self.store.section(&folder)?;
            // By name: a section does not leave the base as long as it has entries of which nothing is said.
            let gone = section.map(|section| section.entries().iter().map(|entry| entry.uniq.clone()).collect());
            let change = changes.folders.entry(folder).or_default();
            (change.presence, change.gone) = (Presence::Removed, gone.unwrap_or_default());
        }
        for folder in &self.dropped {
            let change = changes.folders.entry(folder.clone()).or_default();
            if change.presence != Presence::Removed {
                change.presence = Presence::Reset;
                change.adopting = Some(true);
            }
        }
        Ok(changes)
    }

    /// Cuts a delta into parts against the base of this run.
    ///
    /// # Errors
    /// As [`RootRun::base`].
    pub fn pack_delta(&mut self) -> Result<Vec<Part>, RunError> {
        if self.delta.is_empty() {
            return Ok(Vec::new());
        }
        let base = self.base()?;
        Ok(pack::pack(&base, &self.delta))
    }

    /// What the look found, base to present.
    pub fn delta(&self) -> &Arc<Delta> {
        &self.delta
    }

    /// The stored base, against which changes of a base are packed and settled.
    ///
    /// # Errors
    /// When the state contradicts itself.
    pub fn stored(&mut self) -> Result<&Snapshot, RunError> {
        Ok(self.store.snapshot()?)
    }

    /// The open root, once [`RootRun::look`] found one or a step made it.
    pub fn root(&self) -> Option<&Root<F>> {
        self.root.as_ref()
    }

    /// How many bytes may still be written to the root's file system, without what is to stay free; none while there is no root, or
    /// where it does not say.
    pub fn room(&self) -> Option<u64> {
        let root = self.root.as_ref()?;
        let space = root.fs.space(&root.dir).ok().flatten()?;
        Some(self.quota.room(space))
    }

    /// Reads a message whole and gives the digest of all its bytes: its fresh uniq, should it need one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn whole_digest(&self, name: &Name) -> Result<Digest, Error> {
        let Some(root) = &self.root else {
            return Err(std::io::Error::from(std::io::ErrorKind::NotFound)).context("open", name.uniq.as_bytes());
        };
        let mut message = open_message(root, name).context("open", root.shown_name(name))?;
        hash::whole(&*self.fs, &mut message.file).context("read", root.shown_name(name))
    }

    /// Does this under the root's lock, if there is a root. It is held while this host works, and never while it waits for the other
    /// host or for another lock: nobody can keep others from a root by what it says, or by saying nothing, and no two runs can
    /// wait for each other.
    fn locked<T>(
        &mut self,
        stop: &dyn Fn() -> bool,
        work: impl FnOnce(&mut Self) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        let held = match &self.root {
            Some(root) if !seeded::is("takes-no-root-lock") => {
                Some(lock::root_lock(root, &self.home, &Wait { ms: self.lock_wait_ms, stop })?)
            }
            _ => None,
        };
        let done = work(self);
        if seeded::is("holds-the-root-while-it-waits") {
            std::mem::forget(held);
        }
        done
    }

    /// Makes the root if it is not there.
    fn need_root(&mut self) -> Result<(), RunError> {
        if self.root.is_some() {
            return Ok(());
        }
        if !self.changes {
            return Err(RunError::Forbidden("messages of a root that is not there"));
        }
        self.make_root()?;
        // An empty look, so that the cache can be told afterwards what was installed.
        self.look(Depth::Quick, &|_| true).map(drop)
    }

    /// Opens the applier. To be called under the root's lock.
    fn applier(&mut self) -> Result<&mut Applier<F>, RunError> {
        if self.applier.is_none() {
            let root = self.root.clone().ok_or(RunError::Forbidden("messages of a root that is not there"))?;
            let key = stem(std::os::unix::ffi::OsStrExt::as_bytes(self.path.as_os_str()));
            let home = self.home.dir().cloned().map(|dir| (dir, key.as_str()));
            // What this run buries can be told from what others bury, and brought back together.
            let label = format!("{}-{}", self.runs_as, self.fs.now().sec);
            let grave = Grave::open(&root, home, &label);
            if let Some(max) = self.grave_max {
                grave.bound(max);
            }
            // Here alone something leaves a grave unasked: what is over its days. Nothing that comes in makes room by it.
            match grave.age().and_then(|age| grave.sweep(u64::from(self.grave_days), age)) {
                Ok(swept) => swept.newest.map_or(Ok(()), |newest| self.home.keep_age_after(newest))?,
                Err(error) => tracing::warn!(%error, "the grave was not swept"),
            }
            let (base, delta) = (self.base()?, self.delta.clone());
            let expect = move |name: &Name| Present { base: &base, delta: &delta }.entry(name).cloned();
            // Other runs may be under way in this root; those of the same name cannot, by the state lock.
            let mut applier = Applier::new(root, grave, &self.runs_as, Box::new(expect)).within(self.quota.clone());
            if self.tells {
                applier.tell_changes();
            }
            self.applier = Some(applier);
        }
        Ok(self.applier.as_mut().expect("set above"))
    }

    /// Starts a batch of steps. The root's lock is free again until the batch is installed: contents are waited for, and what others
    /// change meanwhile each step meets as it meets what mail programs change. Gives what was found amiss while tidying up.
    ///
    /// The direction of the run is obeyed here, whoever planned the steps.
    ///
    /// # Errors
    /// When there are steps and the run may not change this host, the lock is held too long, or the root cannot be made.
    pub fn begin(&mut self, steps: Vec<Step>, stop: &dyn Fn() -> bool) -> Result<Vec<Trouble>, RunError> {
        self.begin_admitted(steps, Vec::new(), stop)
    }

    /// The same, but for steps that are refused, by their place: these are over before anything is done.
    ///
    /// # Errors
    /// As [`RootRun::begin`].
    pub fn begin_admitted(
        &mut self,
        steps: Vec<Step>,
        refused: Vec<(usize, Refusal)>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Vec<Trouble>, RunError> {
        let may = self.changes && self.home.access() == Access::ReadWrite;
        if !may && !steps.is_empty() && !seeded::is("direction-is-not-obeyed") {
            return Err(RunError::Forbidden("steps for a host that this run may not change"));
        }
        self.need_root()?;
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let mut folders: BTreeSet<Folder> =
            steps.iter().filter_map(Step::target).map(|name| name.folder.clone()).collect();
        let first = self.swept.is_none();
        let swept = self.swept.get_or_insert_default();
        folders.retain(|folder| swept.insert(folder.clone()));
        let renamed = steps.iter().filter_map(|step| match step {
            Step::Move { from, to, .. } if from != to => Some((from.clone(), to.clone())),
            _ => None,
        });
        self.renamed.extend(renamed);
        let troubles = self.locked(stop, |run| {
            if first {
                run.note_restored()?;
            }
            let applier = run.applier()?;
            let troubles = if first || !folders.is_empty() { applier.sweep(&folders) } else { Vec::new() };
            applier.begin_admitted(steps, refused);
            Ok(troubles)
        })?;
        let lacking = self.applier.as_mut().map(Applier::stage_local).unwrap_or_default();
        tracing::debug!(lacking = lacking.len(), "steps without their local source");
        Ok(troubles)
    }

    /// Notes the folders that were put back, before a step hides it from every later look. To be called under the root's
    /// lock, since other peers of this host note theirs in the same file.
    fn note_restored(&mut self) -> Result<(), RunError> {
        let Some(look) = &self.look else { return Ok(()) };
        let noted = restored::read(&self.home, &self.stem)?;
        let open = self.open_notes(&noted);
        let fresh: Vec<Folder> = look.put_back.iter().filter(|folder| !open.contains(folder)).cloned().collect();
        if !fresh.is_empty() {
            restored::add(&self.home, &self.stem, &fresh)?;
        }
        // What other peers noted since the look is not dealt with by this run, nor then what comes after it.
        if noted.len() as u64 == self.restored {
            self.restored += fresh.len() as u64;
        }
        Ok(())
    }

    /// The batch's applier, for contents that come in.
    pub fn applying(&mut self) -> Option<&mut Applier<F>> {
        self.applier.as_mut()
    }

    /// Takes note of the files that the run's steps bring, rename or take away.
    pub fn tell_changes(&mut self) {
        self.tells = true;
    }

    /// The files that came, moved or went since this was asked before; none unless [`RootRun::tell_changes`] was called.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.applier.as_mut().map(Applier::take_changes).unwrap_or_default()
    }

    /// Installs the batch under the root's lock. Gives the outcomes in the order of the steps.
    ///
    /// # Errors
    /// When the lock is held too long: then nothing is installed.
    pub fn install(&mut self, stop: &dyn Fn() -> bool) -> Result<Vec<Outcome>, RunError> {
        let Some(applier) = self.applier.as_mut().filter(|applier| applier.has_steps()) else { return Ok(Vec::new()) };
        // This takes longest, and is in nobody's way.
        applier.sync_staged();
        self.locked(stop, |run| Ok(run.applier()?.install()))
    }
}

/// Our own state directory, which is no folder even when it lies in a root.
fn skipped<F: Fs>(fs: &F, home: &Home<F>) -> Vec<(u64, u64)> {
    home.dir().and_then(|dir| fs.stat_dir(dir).ok()).map(|stat| (stat.dev, stat.ino)).into_iter().collect()
}
