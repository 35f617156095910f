//! Scanning: what changed in a root since the base.
//!
//! A scan walks the directories, lists folders whose stamps do not prove them clean, reads the files that no
//! record tells of, and compares with the base. Nothing counts as gone before a second look at everything
//! (`rounds`). What could not be looked at is left out of the delta, which says: as in the base.
//!
//! | file | what it does |
//! | --- | --- |
//! | `walk` | directories, from the held root |
//! | `list` | names of one folder, until it stands still |
//! | `folder` | which messages are known, which must be read |
//! | `twins` | a uniq that was met twice |
//! | `rounds` | listing, reading, and the second look |
//! | `compare` | base and present: the delta, and what the cache keeps |
//! | `settle` | after a commit: which folders are clean now |
//! | `stamps` | when a stamp proves something |
//! | `names` | the names alone, for tools |
//!
//! A scan is about one disk and speaks of folders by their paths on it, in everything that it is given and gives: the
//! directories above a folder may have no other name. `run` translates.
//!
//! Deliberately not here: what a difference leads to (`smd_protocol::reconcile`), and the judgement whether a
//! root that is empty or another directory than before may be believed; the look tells the identity.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use smd_protocol::{BaseId, Delta, Digest, Folder, Name, Snapshot, seeded};

use crate::cache::{Cache, DirRecord, DirStamp, DirState, Whole};
use crate::error::{Error, Trouble};
use crate::exclude::Excludes;
use crate::fs::Fs;
use crate::root::Root;

mod compare;
mod folder;
mod list;
mod names;
mod rounds;
mod settle;
mod stamps;
mod twins;
mod walk;

pub use names::{File, FolderNames, Names};
pub use settle::Committed;
pub use smd_protocol::wire::Depth;
pub use twins::Twin;

use crate::root::{Identity, Mount};
use walk::DirSeen;

/// What a scan needs to know beside base and cache.
pub struct Scanner<'a, F: Fs> {
    /// The root, held open.
    pub root: &'a Root<F>,
    /// Folders that are left alone.
    pub excludes: &'a Excludes,
    /// Directories that are never walked, by device and inode: our own state, when it lies in the root.
    pub skip_dirs: &'a [(u64, u64)],
    /// Where the messages of the endpoint's other roots were at their last looks: a folder that comes from there was not put
    /// back from a backup.
    pub siblings: &'a [DirStamp],
    /// How closely to look; age raises [`Depth::Quick`] to [`Depth::Stat`], folder by folder.
    pub depth: Depth,
    /// Whether an earlier run was cut, so that there may be messages of which no base tells.
    pub after_cut: bool,
    /// Whether the run may change this host: then second messages of one uniq are told of by the names that a step will give
    /// them, and are left out otherwise.
    pub renames: bool,
    /// Hears the bytes of each file that was read, from several threads. The scan ends once it says no.
    pub on_read: &'a (dyn Fn(u64) -> bool + Sync),
}

/// What a scan found.
#[derive(Debug)]
pub struct Look {
    /// Base to present. Every entry in `set` has its size and mtime. A folder that is gone is `Removed`, with
    /// nothing in `gone`.
    pub delta: Delta,
    /// What could not be looked at, or is left alone, and why.
    pub troubles: Vec<Trouble>,
    /// What is left out by design, as symlinks are: no trouble, and yet to be said.
    pub left_out: Vec<Trouble>,
    /// Folders that were put back from a backup: `cur` or `new` changed earlier than was recorded.
    pub put_back: Vec<Folder>,
    /// Folders of the base that could not be looked at; the delta does not name them.
    pub unknown: BTreeSet<Folder>,
    /// Something could not be looked at, in the base or not: what seems gone may be there, moved by a user.
    pub incomplete: bool,
    /// Uniqs that were met twice in a folder.
    pub twins: Vec<Twin>,
    /// Which directory the root is.
    pub identity: Identity,
    /// Folders that are, or whose `cur` or `new` are, where other file systems are mounted.
    pub mounts: Vec<Mount>,
    /// Messages that were read and have the bytes that the base has: the delta does not tell of them, and yet a mail program
    /// may just have written them anew.
    pub as_in_base: BTreeSet<Name>,
    /// Files that were read.
    pub files_read: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Messages in all, those of clean folders as recorded.
    pub messages_seen: u64,
    /// What the cache is to keep.
    kept: BTreeMap<Folder, DirState>,
    whole: Whole,
}

impl Look {
    /// Keeps in the cache what was read, so that an aborted run need not be read again. Folders that equal
    /// the base are recorded as clean; those that were put back keep their old stamps until a commit. What is known of folders
    /// that these excludes left alone stays known.
    ///
    /// # Errors
    /// As the system says. The run may go on: a cache saves time only.
    pub fn remember<F: Fs>(&self, cache: &mut Cache<F>, excludes: &Excludes) -> io::Result<()> {
        let same_base = cache.base() == self.whole.base;
        let carry =
            |folder: &Folder, clean: Option<Digest>| excludes.excludes(folder).then_some(clean.filter(|_| same_base));
        cache.save_beside(&self.whole, &self.kept, &carry)
    }
}

impl<F: Fs> Scanner<'_, F> {
    /// Scans the root. `base` is asked for only when something is not as it was; `base_id` is its id, none when
    /// there is no base (which is then empty).
    ///
    /// # Errors
    /// When the root itself cannot be looked at, when the reading was ended from outside
    /// ([`io::ErrorKind::Interrupted`]), and those of `base`.
    pub fn scan<'b, E: From<Error>>(
        &self,
        cache: &Cache<F>,
        base_id: Option<BaseId>,
        base: impl FnOnce() -> Result<&'b Snapshot, E>,
    ) -> Result<Look, E> {
        let now = self.root.fs.now();
        let depth = self.depth;
        let of_age = |(folder, record): &(&Folder, &DirRecord)| stamps::look_is_due(folder, record.looked, now);
        let due: BTreeSet<Folder> = match depth {
            Depth::Quick => cache.dirs().iter().filter(of_age).map(|(folder, _)| folder.clone()).collect(),
            _ => BTreeSet::new(),
        };
        let whole = Whole { base: base_id, complete: false, excludes: self.excludes.fingerprint().as_bytes().to_vec() };
        if depth == Depth::Folders {
            let walked = walk::walk(self, &walk::Known::new())?;
            return Ok(rounds::Work::new(self, cache, walked, due, false).folders_alone(whole));
        }
        let same_walk = depth == Depth::Quick && whole.excludes == cache.whole().excludes;
        let known = match same_walk {
            true => cache.dirs().iter().map(|(f, d)| (f.clone(), d.own.filter(|_| !due.contains(f)))).collect(),
            false => walk::Known::new(),
        };
        let walked = walk::walk(self, &known)?;
        let clean_base = same_walk && base_id.is_some() && (base_id == cache.base() || seeded::is("cache-of-any-base"));
        let work = rounds::Work::new(self, cache, walked, due, clean_base);
        if clean_base && cache.whole().complete && work.nothing_to_do() {
            return Ok(work.clean_look(whole));
        }
        let base = base()?;
        Ok(work.run(base)?.compare(base, whole))
    }

    fn shown(&self, folder: &Folder, item: &list::Item) -> Vec<u8> {
        let mut path = item.place.dir().to_vec();
        path.push(b'/');
        path.extend_from_slice(&item.name);
        self.root.shown(folder, &path)
    }
}

#[cfg(test)]
mod tests;
