//! The cache: what this host saw at its last look, so that the next look may be short.
//!
//! It keeps the stamps of all directories below a root, and for each message the digests *as read from
//! its file*, never the base's. It belongs to this host alone, and what a crash takes of it costs time: a cache that is
//! damaged or not there is an empty one, so it is not synced to disk. One that cannot be read ends the run. Its stamps alone
//! tell that a folder was put back from a backup, and a run without them would keep newer ones and hide that for ever.
//!
//! `ROOT.db.txt.stat/` holds `index` (directories; all that a run with nothing to do reads) and `pack.N`
//! (the messages of some folders). A save writes new packs, then replaces the index by a rename, then
//! removes packs that nothing refers to; killed in between, the old index stands, or the new one with
//! packs to spare, whose numbers are used again.
//!
//! Deliberately not here: what a difference means (`scan`), and the base (`store`).

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smd_protocol::delta::Mtime;
use smd_protocol::{BaseId, Content, Digest, Flags, Folder, Place, Section, Uniq, seeded};

use crate::fs::{Fs, Stat};

mod files;

use files::BlobRef;

/// The mtime of a directory of which it is known that it was put back; no file system and no clock gives it.
pub(crate) const NEWER_THAN_ANY: Mtime = Mtime { sec: i64::MAX, nsec: 0 };

/// What tells one state of a directory from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DirStamp {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Last change of the names in it.
    pub mtime: Mtime,
    /// Last change of names or inode.
    pub ctime: Mtime,
    /// When it was made.
    pub btime: Option<Mtime>,
    /// Whether another file system is mounted there.
    pub mount: bool,
}

impl From<Stat> for DirStamp {
    fn from(stat: Stat) -> Self {
        Self {
            dev: stat.dev,
            ino: stat.ino,
            mtime: stat.mtime,
            ctime: stat.ctime,
            btime: stat.btime,
            mount: stat.mount_root,
        }
    }
}

/// A message's file as it was when its digests were read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The uniq.
    pub uniq: Uniq,
    /// `new` or `cur`.
    pub place: Place,
    /// The flags.
    pub flags: Flags,
    /// Inode.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// The file's mtime.
    pub mtime: Mtime,
    /// The file's ctime.
    pub ctime: Mtime,
    /// When the inode was made.
    pub btime: Option<Mtime>,
    /// Digests of the bytes that were read.
    pub content: Content,
    /// The file was so young when it was read that a later change may not show: read it again.
    pub racy: bool,
}

/// A directory below the root, folder or not.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DirRecord {
    /// Stamp of the directory itself; none when its sub-directories must be listed again.
    pub(crate) own: Option<DirStamp>,
    /// Stamp of `cur/`.
    pub(crate) cur: Option<DirStamp>,
    /// Stamp of `new/`.
    pub(crate) new: Option<DirStamp>,
    /// Digest of the base's section that the folder equals under these stamps; none when it is dirty.
    pub(crate) clean: Option<Digest>,
    /// When the stamps of its files, or the names of its sub-directories, were last looked at without trust in its own.
    pub(crate) looked: Option<Mtime>,
    /// How many messages were seen.
    pub(crate) messages: u64,
    /// What `cur` and `new` hold that is left out by design, as `cur/NAME`; not all, where these are many.
    pub(crate) left_out: Vec<Box<[u8]>>,
    /// Where its messages are kept.
    pub(crate) files: Option<BlobRef>,
}

impl DirRecord {
    /// Whether it holds messages, or may.
    pub(crate) fn is_folder(&self) -> bool {
        self.cur.is_some() || self.new.is_some()
    }
}

/// A directory as a scan leaves it, to be kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirState {
    /// Stamps, and whether it is clean.
    pub(crate) record: DirRecord,
    /// Its messages by uniq; none when they were not listed and what is kept of them stands.
    pub(crate) files: Option<Vec<Record>>,
    /// Whether stamps and messages prove each other: nothing moved, nothing is too young or unknown.
    pub(crate) settled: bool,
}

impl DirState {
    /// The digest under which the folder may be recorded as clean, when it equals this section.
    pub(crate) fn equals(&self, section: Option<&Section>) -> Option<Digest> {
        let section = section?;
        let equal = match &self.files {
            Some(files) => self.settled && same_entries(files, section) || seeded::is("changes-are-clean"),
            None => self.record.clean == Some(section.digest()),
        };
        equal.then(|| section.digest())
    }
}

fn same_entries(files: &[Record], section: &Section) -> bool {
    let entries = section.entries();
    files.len() == entries.len()
        && files
            .iter()
            .zip(entries)
            .all(|(r, e)| r.uniq == e.uniq && r.place == e.place && r.flags == e.flags && r.content == e.content)
}

/// What is known of the whole root, beside its directories.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Whole {
    /// The base for which folders are clean.
    pub(crate) base: Option<BaseId>,
    /// Whether every folder of that base was there.
    pub(crate) complete: bool,
    /// Fingerprint of the excludes under which directories were walked.
    pub(crate) excludes: Vec<u8>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Index {
    whole: Whole,
    dirs: BTreeMap<Folder, DirRecord>,
    /// Bytes of each pack.
    packs: BTreeMap<u64, u64>,
    next_pack: u64,
}

/// What a person can do about a cache that cannot be read.
const UNREADABLE: &str = "run again; if it stays so, remove it, and the next run reads every message";

/// Whether an index is known not to be there, or to hold no whole cache.
fn is_lost(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData)
}

/// The cache of one root.
pub struct Cache<F: Fs> {
    fs: Arc<F>,
    /// The directory beside the base, and the cache's name in it; none keeps nothing.
    at: Option<(F::Dir, Vec<u8>)>,
    index: Index,
}

type Carry<'a> = dyn Fn(&Folder, Option<Digest>) -> Option<Option<Digest>> + 'a;

impl<F: Fs> Cache<F> {
    /// Opens the cache named `name` in a held directory. One that is not there, or is damaged, is empty.
    ///
    /// # Errors
    /// When its index is there but unreadable: an error is never an absence.
    pub fn open(fs: Arc<F>, at: &F::Dir, name: &[u8]) -> io::Result<Self> {
        let index = match files::read_index(&*fs, at, name) {
            Ok(index) => index,
            Err(why) if is_lost(&why) || seeded::is("unreadable-cache-is-none") => {
                tracing::debug!(%why, "no cache");
                Index::default()
            }
            Err(why) => return Err(io::Error::new(why.kind(), format!("{why}; {UNREADABLE}"))),
        };
        Ok(Self { fs, at: Some((at.clone(), name.to_vec())), index })
    }

    /// A cache that is empty and keeps nothing between runs.
    pub fn none(fs: Arc<F>) -> Self {
        Self { fs, at: None, index: Index::default() }
    }

    /// The base that it was made for.
    pub fn base(&self) -> Option<BaseId> {
        self.index.whole.base
    }

    /// The stamps of all directories that held messages.
    pub(crate) fn places(&self) -> impl Iterator<Item = DirStamp> {
        self.index.dirs.values().flat_map(|dir| [dir.cur, dir.new]).flatten()
    }

    /// Whether it knows nothing, so that a look reads every file.
    pub(crate) fn is_empty(&self) -> bool {
        self.index.dirs.is_empty()
    }

    /// Forgets everything, so that the next look reads every file.
    ///
    /// # Errors
    /// As the system says; the old cache then stands.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.save(&Whole::default(), &BTreeMap::new())
    }

    pub(crate) fn whole(&self) -> &Whole {
        &self.index.whole
    }

    pub(crate) fn dirs(&self) -> &BTreeMap<Folder, DirRecord> {
        &self.index.dirs
    }

    /// The next look lists every directory, as under other excludes.
    pub(crate) fn forget_walk(&mut self) {
        self.index.whole.excludes = b"\0".to_vec();
    }

    /// Makes the stamps of a folder newer than any, so that it counts as put back; also where a crash took its record.
    pub(crate) fn expect_newer(&mut self, folder: &Folder) {
        let record = self.index.dirs.entry(folder.clone()).or_default();
        if !record.is_folder() {
            let stamp =
                DirStamp { dev: 0, ino: 0, mtime: NEWER_THAN_ANY, ctime: NEWER_THAN_ANY, btime: None, mount: false };
            (record.cur, record.new) = (Some(stamp), Some(stamp));
        }
        for stamp in [&mut record.cur, &mut record.new].into_iter().flatten() {
            stamp.mtime = NEWER_THAN_ANY;
        }
        record.clean = None;
    }

    /// The messages kept for these folders, each pack read once. What cannot be read is left out.
    pub(crate) fn records<'a>(&self, folders: impl IntoIterator<Item = &'a Folder>) -> BTreeMap<Folder, Vec<Record>> {
        let mut by_pack: BTreeMap<u64, Vec<(&Folder, BlobRef)>> = BTreeMap::new();
        for folder in folders {
            if let Some(blob) = self.index.dirs.get(folder).and_then(|dir| dir.files) {
                by_pack.entry(blob.pack).or_default().push((folder, blob));
            }
        }
        let mut found = BTreeMap::new();
        for (pack, wanted) in by_pack {
            let Some(bytes) = self.pack(pack) else { continue };
            for (folder, blob) in wanted {
                if let Some(records) = blob.of(&bytes).and_then(files::decode_records) {
                    found.insert(folder.clone(), records);
                }
            }
        }
        found
    }

    fn pack(&self, pack: u64) -> Option<Vec<u8>> {
        let (at, name) = self.at.as_ref()?;
        files::read_pack(&*self.fs, at, name, pack, *self.index.packs.get(&pack)?)
            .inspect_err(|why| tracing::debug!(%why, pack, "a pack of the cache is lost"))
            .ok()
    }

    /// Keeps this state in place of what was kept. Writes nothing when it is the same.
    ///
    /// # Errors
    /// As the system says; the old cache then stands, and the new state is known in memory at most.
    pub(crate) fn save(&mut self, whole: &Whole, dirs: &BTreeMap<Folder, DirState>) -> io::Result<()> {
        self.save_beside(whole, dirs, &|_, _| None)
    }

    /// As [`Cache::save`]; `carry` says of a directory that was left alone whether its record stays, and under which digest it
    /// still is clean.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn save_beside(
        &mut self,
        whole: &Whole,
        dirs: &BTreeMap<Folder, DirState>,
        carry: &Carry<'_>,
    ) -> io::Result<()> {
        let Some((at, name)) = self.at.clone() else {
            return Ok(());
        };
        let mut next = Index {
            whole: whole.clone(),
            dirs: BTreeMap::new(),
            packs: self.index.packs.clone(),
            next_pack: self.index.next_pack,
        };
        let mut fresh: Vec<(&Folder, Vec<u8>)> = Vec::new();
        for (folder, state) in dirs {
            let mut record = state.record.clone();
            record.files = self.index.dirs.get(folder).and_then(|old| old.files);
            if let Some(files) = &state.files {
                record.messages = files.len() as u64;
                let bytes = files::encode_records(files)?;
                if !record.files.is_some_and(|blob| blob.is(&bytes)) {
                    record.files = None;
                    fresh.push((folder, bytes));
                }
            }
            next.dirs.insert(folder.clone(), record);
        }
        for (folder, record) in self.index.dirs.iter().filter(|(folder, _)| !dirs.contains_key(*folder)) {
            if let Some(clean) = carry(folder, record.clean) {
                next.dirs.insert(folder.clone(), DirRecord { clean, own: None, ..record.clone() });
            }
        }
        let thin = thin_packs(&next);
        for (&pack, folders) in &thin {
            let bytes = self.pack(pack);
            for folder in folders {
                let record = next.dirs.get_mut(folder).expect("its folder was just put in");
                let blob = record.files.take();
                if let Some(live) = blob.and_then(|blob| blob.of(bytes.as_deref()?)) {
                    let known = dirs.get_key_value(folder).map(|(folder, _)| folder);
                    let left_alone = || self.index.dirs.get_key_value(folder).map(|(folder, _)| folder);
                    let folder = known.or_else(left_alone).expect("its folder came from either");
                    fresh.push((folder, live.to_vec()));
                }
            }
        }
        if fresh.is_empty() && thin.is_empty() && next == self.index {
            return Ok(());
        }
        let dir = files::make_dir(&*self.fs, &at, &name)?;
        for (folder, blob) in files::write_packs(&*self.fs, &dir, &fresh, &mut next.packs, &mut next.next_pack)? {
            next.dirs.get_mut(folder).expect("its folder was just put in").files = Some(blob);
        }
        let live: std::collections::BTreeSet<u64> =
            next.dirs.values().filter_map(|dir| dir.files).map(|blob| blob.pack).collect();
        let dead: Vec<u64> = next.packs.keys().copied().filter(|pack| !live.contains(pack)).collect();
        next.packs.retain(|pack, _| live.contains(pack));
        files::write_index(&*self.fs, &dir, &next)?;
        self.index = next;
        for pack in dead {
            files::remove_pack(&*self.fs, &dir, pack);
        }
        Ok(())
    }
}

/// Packs of which less than half is still referred to, with the folders that do; these move on.
fn thin_packs(index: &Index) -> BTreeMap<u64, Vec<Folder>> {
    let mut live: BTreeMap<u64, (u64, Vec<Folder>)> = BTreeMap::new();
    for (folder, dir) in &index.dirs {
        if let Some(blob) = dir.files {
            let (bytes, folders) = live.entry(blob.pack).or_default();
            *bytes += blob.len;
            folders.push(folder.clone());
        }
    }
    live.into_iter()
        .filter(|(pack, (bytes, _))| index.packs.get(pack).is_none_or(|size| bytes * 2 < *size))
        .map(|(pack, (_, folders))| (pack, folders))
        .collect()
}

#[cfg(test)]
mod tests;
