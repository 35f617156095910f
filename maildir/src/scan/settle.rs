//! After a commit: which folders equal the new base.
//!
//! Folders that the run changed are looked at once more, stamps first, then names, and their files are told by
//! records and by what the run installed; nothing is read. A folder is recorded as clean only when what was
//! listed equals the new base, otherwise as dirty.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use smd_protocol::{BaseId, Digest, Folder, Name, Snapshot};

use super::folder::{self, Memory};
use super::list::list_folder;
use super::walk::{Known, Walked, walk};
use super::{Depth, Look, Scanner, stamps};
use crate::apply::Installed;
use crate::cache::{Cache, DirRecord, DirState, Record};
use crate::fs::Fs;

/// The longest wait for stamps to become proof, in milliseconds. Where stamps are of whole seconds the folders
/// are left dirty instead.
const WAIT_MAX: i64 = 25;

/// What a run did.
pub struct Committed<'a> {
    /// Folders in which this run changed anything.
    pub touched: &'a BTreeSet<Folder>,
    /// The new base.
    pub base: &'a Snapshot,
    /// Its id.
    pub id: BaseId,
    /// Messages that this run installed and whose bytes it checked.
    pub installed: &'a [Installed],
}

impl<F: Fs> Scanner<'_, F> {
    /// Brings look and cache up to date after a commit. May be called after each commit of a run.
    ///
    /// # Errors
    /// As the system says. The commit stands: a cache saves time only.
    pub fn after_commit(&self, cache: &mut Cache<F>, look: &mut Look, done: &Committed<'_>) -> io::Result<()> {
        let known: Known = look.kept.iter().map(|(f, state)| (f.clone(), state.record.own)).collect();
        let mut walked = self.walk_again(&known)?;
        let wait = longest_wait(&walked, done.touched);
        if (1..=WAIT_MAX).contains(&wait) {
            self.root.fs.pause(wait as u64);
            walked = self.walk_again(&known)?;
        }
        // A folder that was put back and could not be looked at keeps the stamps that tell, until it can be: beside its note,
        // which stays open, the second way to know.
        let unseen = |f: &Folder| look.put_back.contains(f) && look.unknown.contains(f);
        let again = |f: &Folder| {
            !unseen(f) && (done.touched.contains(f) || look.put_back.contains(f) || !look.kept.contains_key(f))
        };
        let todo: Vec<Folder> =
            walked.dirs.iter().filter(|(f, seen)| seen.is_folder() && again(f)).map(|(f, _)| f.clone()).collect();
        let unread = todo.iter().filter(|f| look.kept.get(*f).is_some_and(|state| state.files.is_none()));
        let mut records = cache.records(unread);
        for folder in done.touched {
            if let Some(files) = look.kept.get_mut(folder).and_then(|state| state.files.take()) {
                records.insert(folder.clone(), files);
            }
        }
        for folder in &look.put_back {
            if let Some(files) = look.kept.get_mut(folder).and_then(|state| state.files.take()) {
                records.insert(folder.clone(), files);
            }
        }
        let mut kept = BTreeMap::new();
        let fresh = self.list_again(&todo, &records, done);
        let now = self.root.fs.now();
        for (folder, seen) in &walked.dirs {
            // A folder that is here only now: what this run installed in it has its stamps, and all else will be read.
            let looked = look.kept.get(folder).map_or(Some(now), |state| state.record.looked);
            let own = (seen.settled && seen.trusted).then_some(seen.own);
            let mut state = match fresh.get(folder) {
                Some(Some(state)) => state.clone(),
                Some(None) => DirState::default(),
                None => look.kept.remove(folder).unwrap_or_default(),
            };
            state.settled &= seen.trusted;
            (state.record.own, state.record.looked) = (own, looked);
            state.record.clean =
                if walked.unknown(folder) { None } else { state.equals(done.base.folders.get(folder)) };
            kept.insert(folder.clone(), state);
        }
        for (folder, mut state) in std::mem::take(&mut look.kept) {
            if walked.unknown(&folder) {
                (state.record.own, state.record.clean) = (None, None);
                kept.entry(folder).or_insert(state);
            }
        }
        look.put_back.clear();
        look.whole.base = Some(done.id);
        // By what is kept: a folder that went while it was listed again is not in it as a folder, and the next look must not
        // find everything clean and all there.
        look.whole.complete = done.base.folders.keys().all(|folder| {
            self.excludes.excludes(folder)
                || kept.get(folder).is_some_and(|state| state.record.is_folder() && !walked.unknown(folder))
        });
        look.kept = kept;
        let carry = |folder: &Folder, clean: Option<Digest>| {
            let still = |digest: &Digest| done.base.folders.get(folder).is_some_and(|now| now.digest() == *digest);
            self.excludes.excludes(folder).then_some(clean.filter(still))
        };
        cache.save_beside(&look.whole, &look.kept, &carry)
    }

    fn walk_again(&self, known: &Known) -> io::Result<Walked> {
        walk(self, known).map_err(|e| e.cause)
    }

    /// Lists these folders and tells their files without reading any. None where that failed.
    fn list_again(
        &self,
        todo: &[Folder],
        records: &BTreeMap<Folder, Vec<Record>>,
        done: &Committed<'_>,
    ) -> BTreeMap<Folder, Option<DirState>> {
        let mut donors: HashMap<u64, Vec<&Record>> = HashMap::new();
        records.values().flatten().for_each(|record| donors.entry(record.ino).or_default().push(record));
        let installed: HashMap<&Name, &Installed> = done.installed.iter().map(|one| (&one.name, one)).collect();
        let list = |folder: &Folder| -> io::Result<DirState> {
            let dirs = self.root.folder(folder)?;
            let listing = list_folder(self.root, &dirs)?;
            let known = records.get(folder).map_or(&[][..], Vec::as_slice);
            let memory = Memory { known, donors: &donors, depth: Depth::Quick, moved: false, fresh: true };
            let lookup = |uniq: &_| installed.get(&Name::new(folder, uniq)).copied();
            let found = folder::tell(self, folder, &dirs, &listing, &memory, &lookup);
            Ok(DirState {
                settled: found.settled(),
                record: DirRecord {
                    cur: found.cur,
                    new: found.new,
                    messages: found.records.len() as u64,
                    left_out: found.left_out.clone(),
                    ..DirRecord::default()
                },
                files: Some(found.records),
            })
        };
        todo.iter().map(|folder| (folder.clone(), list(folder).ok())).collect()
    }
}

/// How long until the stamps of these folders, and of the directories above them, prove something.
fn longest_wait(walked: &Walked, touched: &BTreeSet<Folder>) -> i64 {
    let mut wait = 0;
    let above: BTreeSet<Folder> = touched.iter().flat_map(Folder::and_above).chain([Folder::root()]).collect();
    for (folder, seen) in walked.dirs.iter().filter(|_| !touched.is_empty()) {
        if above.contains(folder) {
            let one = seen
                .places()
                .chain([&seen.own])
                .map(|stamp| stamps::ms_until_proof(stamp, seen.moment))
                .max()
                .unwrap_or(0);
            wait = wait.max(if one <= WAIT_MAX { one } else { 0 });
        }
    }
    wait
}
