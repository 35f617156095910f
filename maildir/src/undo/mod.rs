//! What can be undone in the roots of a host: told as plain data ([`Rests`]), and brought back by its ids.
//!
//! `smd-undo` asks for it on its own host, and the server for a client. The rooms: [`places`] (which roots may have a grave),
//! [`heads`] (From, Subject and Date), `cut` (what a run that was cut deleted).
//!
//! Deliberately not here: how one message comes back ([`crate::apply`]), which ones are meant, and what is said of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smd_protocol::grave::{Head, Rest, Rests, Undone, Why};
use smd_protocol::names::GRAVE_DIR;
use smd_protocol::{Name, seeded};

use crate::apply::{Applier, Back, Messages};
use crate::error::Context as _;
use crate::fs::{Fs, Kind};
use crate::grave::{Grave, Resting, State};
use crate::home::{Home, stem};
use crate::keys::What;
use crate::lock::{self, LockError, Wait};
use crate::root::Root;

mod cut;
pub mod heads;
pub mod places;
#[cfg(test)]
mod tests;

pub use cut::owner;

/// Messages that are brought back between two syncs.
const AT_ONCE: usize = 5_000;

/// A root, by all the paths under which it is known: it may have a grave under each.
pub struct Yard<F: Fs> {
    /// The root.
    pub root: Root<F>,
    paths: Vec<PathBuf>,
}

/// Roots by what they are on the disk.
pub struct Yards<F: Fs> {
    found: BTreeMap<(u64, u64), Yard<F>>,
    /// Roots that cannot be opened.
    pub lost: Vec<(PathBuf, io::Error)>,
}

impl<F: Fs> Yards<F> {
    /// Opens these.
    pub fn open(fs: &Arc<F>, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut yards = Self { found: BTreeMap::new(), lost: Vec::new() };
        for path in paths {
            let opened = Root::open(fs.clone(), &path).and_then(|root| Ok((root.fs.stat_dir(&root.dir)?, root)));
            match opened {
                Ok((stat, root)) => {
                    let yard = yards.found.entry((stat.dev, stat.ino));
                    yard.or_insert_with(|| Yard { root, paths: Vec::new() }).paths.push(path);
                }
                Err(error) => yards.lost.push((path, error)),
            }
        }
        yards
    }

    /// Keeps those that are also among these.
    pub fn keep(&mut self, others: &Self) {
        self.found.retain(|identity, _| others.found.contains_key(identity));
    }

    /// The root at this path, if it was opened by it.
    pub fn at(&self, path: &Path) -> Option<&Yard<F>> {
        self.found.values().find(|yard| yard.paths.iter().any(|one| one == path))
    }

    /// All of them.
    pub fn into_all(self) -> Vec<Yard<F>> {
        self.found.into_values().collect()
    }
}

/// What was found in the graves of a root.
pub struct Found<F: Fs> {
    root: Root<F>,
    resting: Vec<Resting<F>>,
    by_id: HashMap<String, usize>,
    /// What else was.
    pub rest: Rest,
}

impl<F: Fs> Yard<F> {
    /// Whether one of these paths is its own.
    pub fn is_any_of(&self, paths: &BTreeSet<PathBuf>) -> bool {
        self.paths.iter().any(|path| paths.contains(path))
    }

    /// Whether it has any directory but a grave: a mount point without its disk has none.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn has_dirs(&self) -> io::Result<bool> {
        let mut any = false;
        self.root.fs.list(&self.root.dir, &mut |name, kind, _| {
            any |= !matches!(kind, Kind::File) && name != GRAVE_DIR;
        })?;
        Ok(any)
    }

    /// Looks into all graves of the root.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn look(&self, home: &Home<F>) -> Result<Found<F>, crate::Error> {
        let (mut seen, mut rest, mut resting) = (HashSet::new(), Rest::default(), Vec::new());
        for path in &self.paths {
            let shown = path.as_os_str().as_bytes();
            let stem = stem(shown);
            let grave = Grave::open(&self.root, home.dir().map(|dir| (dir.clone(), stem.as_str())), "");
            for one in grave.resting(&mut seen).context("read the grave of", shown)? {
                match (&one.buried.record, one.buried.state) {
                    (_, State::Taken) => rest.unsettled += 1,
                    // Its bytes went on living where it was moved to.
                    (Some(record), State::Kept) if record.why == Why::Moved => {}
                    (Some(_), State::Kept) => resting.push(one),
                    (None, State::Kept) if one.back => {}
                    (None, State::Kept) => rest.unknown += 1,
                }
            }
        }
        let by_id = resting.iter().enumerate().map(|(at, one)| (one.id().to_owned(), at)).collect();
        Ok(Found { root: self.root.clone(), resting, by_id, rest })
    }

    /// Brings these back under the root's lock, and makes that durable. `user` is where relative roots begin. Gives what became
    /// of each.
    ///
    /// # Errors
    /// When the lock is held for too long or the grave cannot be read; nothing was done then.
    pub fn bring_back(
        &self,
        home: &Home<F>,
        user: &Path,
        ids: &[String],
        wait: &Wait<'_>,
    ) -> Result<Vec<Undone>, LockError> {
        let _lock = match seeded::is("undo-takes-no-lock") {
            true => None,
            false => Some(lock::root_lock(&self.root, home, wait)?),
        };
        // Another hand may have been here since they were told of.
        let found = self.look(home)?;
        let mut done = vec![Undone::Before; ids.len()];
        let (mut places, mut wanted) = (Vec::new(), Vec::new());
        for (at, id) in ids.iter().enumerate() {
            match found.by_id.get(id).map(|&one| &found.resting[one]) {
                Some(one) if one.back => {}
                Some(one) => {
                    places.push(at);
                    wanted.push(one.clone());
                }
                None => done[at] = Undone::Failed("it no longer rests in the grave; list what does".into()),
            }
        }
        cut::mark(home, user, &self.root, &mut wanted);
        let grave = Grave::open(&self.root, None, "undo");
        let mut applier = Applier::new(self.root.clone(), grave, "undo", Box::new(|_| None));
        for (places, some) in places.chunks(AT_ONCE).zip(wanted.chunks(AT_ONCE)) {
            for ((&at, one), back) in places.iter().zip(some).zip(applier.bring_back(some)) {
                done[at] = match back {
                    Back::Returned => Undone::Returned,
                    Back::Fresh(uniq) if one.anew => Undone::Anew(uniq),
                    Back::Fresh(uniq) => Undone::Fresh(uniq),
                    Back::IsThere => Undone::IsThere,
                    Back::Failed(text) => Undone::Failed(text.into()),
                };
            }
        }
        Ok(done)
    }
}

impl<F: Fs> Yard<F> {
    /// Takes back, under the root's lock, what a key did here beside burying; in the order in which it was done. Call it when what it
    /// buried is back. Gives what became of each.
    ///
    /// # Errors
    /// When the lock is held for too long; nothing was done then.
    pub fn take_back(&self, home: &Home<F>, acts: &[What], wait: &Wait<'_>) -> Result<Vec<Undone>, LockError> {
        let _lock = lock::root_lock(&self.root, home, wait)?;
        let grave = Grave::open(&self.root, None, "undo");
        let mut applier = Applier::new(self.root.clone(), grave, "undo", Box::new(|_| None));
        let backs = applier.take_back(acts).into_iter();
        Ok(backs
            .map(|back| match back {
                Back::Returned => Undone::Returned,
                Back::Fresh(uniq) => Undone::Fresh(uniq),
                Back::IsThere => Undone::IsThere,
                Back::Failed(text) => Undone::Failed(text.into()),
            })
            .collect())
    }
}

impl<F: Fs> Found<F> {
    /// Whether nothing at all was found.
    pub fn is_empty(&self) -> bool {
        self.resting.is_empty() && self.rest == Rest::default()
    }

    /// All that can be undone, or was.
    pub fn told(&self) -> impl Iterator<Item = Rests> {
        self.resting.iter().filter_map(told)
    }

    /// What tells a person which messages these are, in the same order.
    pub fn heads<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Vec<Head> {
        let mut messages = Messages::new(self.root.clone());
        let mut head = |id: &str| {
            let one = &self.resting[*self.by_id.get(id)?];
            let record = one.buried.record.as_ref().filter(|record| record.place.is_some())?;
            match &record.renamed {
                Some(uniq) if !one.back => {
                    heads::of(messages.open(&Name::new(&record.folder, uniq), None).ok()?.file).ok()
                }
                Some(_) => None,
                None => heads::of(one.open().ok()?).ok(),
            }
        };
        ids.into_iter().map(|id| head(id).unwrap_or_default()).collect()
    }
}

fn told<F: Fs>(one: &Resting<F>) -> Option<Rests> {
    let record = one.buried.record.as_ref()?;
    Some(Rests {
        id: one.id().to_owned(),
        time: one.buried.time,
        why: record.why,
        folder: record.folder.clone(),
        place: record.place,
        file: record.file.clone(),
        renamed: record.renamed.clone(),
        size: match record.renamed {
            Some(_) => None,
            None => one.stat().ok().map(|stat| stat.size),
        },
        back: one.back,
    })
}
