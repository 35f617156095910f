//! Listing and reading what is not clean, and the second look.
//!
//! Before anything may count as gone, all directories are looked at again, and folders that moved are listed
//! again, until one such round meets nothing new. A folder that never stands still only adds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use smd_protocol::{Folder, Name, Snapshot, seeded};

use super::folder::{self, Memory, Messages};
use super::list::list_folder;
use super::walk::{DirSeen, Walked, walk};
use super::{Depth, Scanner, Twin, stamps};
use crate::cache::{Cache, DirRecord, DirStamp, Record};
use crate::error::{Context, Error, Trouble};
use crate::fs::{Fs, Kind};
use crate::hash::{Job, Outcome, hash_many};
use crate::root::if_there;

/// How often the second look is repeated.
const ROUNDS: usize = 5;
/// Files that are read in one go, and folders that are held open for it.
const FILES_AT_ONCE: usize = 1024;
const FOLDERS_AT_ONCE: usize = 16;
/// Waits so that stamps of the first listing are clearly old at the second, in milliseconds.
const PAUSE: u64 = 25;

/// What looking for a folder by its name gave.
enum Lookup {
    /// It is there after all.
    There,
    /// Its directory is there and is no folder.
    NoFolder,
    /// There is no such name in the directory above, or in one further up.
    NoName { above: Folder, name: Vec<u8> },
}

/// A scan under way.
pub(super) struct Work<'a, F: Fs> {
    pub(super) scanner: &'a Scanner<'a, F>,
    pub(super) cache: &'a Cache<F>,
    pub(super) walked: Walked,
    /// Folders whose turn it is to be looked at more closely than a quick scan does.
    due: BTreeSet<Folder>,
    /// Whether the cache was made for this base, so that it may call folders clean.
    clean_base: bool,
    /// Records of folders that are dirty or missing, by folder.
    records: BTreeMap<Folder, Vec<Record>>,
    /// What was found in the folders that were listed.
    pub(super) listed: BTreeMap<Folder, Messages>,
    /// Folders that are there but could not be listed.
    pub(super) unlistable: BTreeSet<Folder>,
    /// Folders that did not stand still.
    pub(super) restless: BTreeSet<Folder>,
    /// Whether the last round met anything in a folder otherwise than the one before.
    changed: bool,
    /// Whether the last round did not meet a message, where the one before, or the last look, had met it.
    lost: bool,
    /// Whether the folders never stood still all together, so that a message may be in two listings, or in none.
    pub(super) unsettled: bool,
    /// Folders of the base that could not be looked at.
    pub(super) unknown: BTreeSet<Folder>,
    /// Folders of the base that are gone.
    pub(super) gone: BTreeSet<Folder>,
    pub(super) troubles: Vec<Trouble>,
    pub(super) twins: BTreeSet<Twin>,
    /// Messages that were read and have the bytes that the base has.
    pub(super) as_in_base: BTreeSet<Name>,
    pub(super) files_read: u64,
    pub(super) bytes_read: u64,
}

impl<'a, F: Fs> Work<'a, F> {
    pub(super) fn new(
        scanner: &'a Scanner<'a, F>,
        cache: &'a Cache<F>,
        walked: Walked,
        due: BTreeSet<Folder>,
        clean_base: bool,
    ) -> Self {
        Self {
            scanner,
            cache,
            walked,
            due,
            clean_base,
            records: BTreeMap::new(),
            listed: BTreeMap::new(),
            unlistable: BTreeSet::new(),
            restless: BTreeSet::new(),
            changed: false,
            lost: false,
            unsettled: false,
            unknown: BTreeSet::new(),
            gone: BTreeSet::new(),
            troubles: Vec::new(),
            twins: BTreeSet::new(),
            as_in_base: BTreeSet::new(),
            files_read: 0,
            bytes_read: 0,
        }
    }

    /// Whether the cache proves that this folder equals the base.
    pub(super) fn is_clean(&self, folder: &Folder, seen: &DirSeen) -> bool {
        self.clean_base
            && seen.trusted
            && !self.due.contains(folder)
            && self
                .cache
                .dirs()
                .get(folder)
                .is_some_and(|r| r.clean.is_some() && r.cur == seen.cur && r.new == seen.new)
    }

    /// How closely this folder is looked at.
    pub(super) fn depth_of(&self, folder: &Folder) -> Depth {
        if self.due.contains(folder) { Depth::Stat } else { self.scanner.depth }
    }

    /// Whether nothing can be said about this folder.
    pub(super) fn is_unknown(&self, folder: &Folder) -> bool {
        self.unlistable.contains(folder) || self.walked.unknown(folder)
    }

    fn dirty(&self) -> Vec<Folder> {
        let dirs = self.walked.dirs.iter();
        dirs.filter(|(f, seen)| seen.is_folder() && !self.is_unknown(f) && !self.is_clean(f, seen))
            .map(|(f, _)| f.clone())
            .collect()
    }

    /// Whether this folder is left alone, so that what is kept of it comes from an earlier look.
    fn is_left(&self, folder: &Folder) -> bool {
        self.scanner.excludes.excludes(folder)
    }

    /// Whether everything is clean, and all there.
    pub(super) fn nothing_to_do(&self) -> bool {
        self.walked.broken.is_empty()
            && self.walked.odd.is_empty()
            && self.walked.dirs.iter().all(|(f, seen)| !seen.is_folder() || self.is_clean(f, seen))
            && self.cache.dirs().iter().all(|(f, r)| !r.is_folder() || self.walked.has_folder(f) || self.is_left(f))
    }

    /// Lists and reads what is not clean, and looks again before anything is gone.
    ///
    /// # Errors
    /// When the root itself cannot be looked at, or the reading was ended from outside.
    pub(super) fn run(mut self, base: &Snapshot) -> Result<Self, Error> {
        let dirty = self.dirty();
        let missing = self.cache.dirs().iter().filter(|(f, r)| r.is_folder() && !self.walked.has_folder(f));
        let missing = missing.map(|(f, _)| f).filter(|f| !self.is_left(f));
        let wanted: BTreeSet<Folder> = dirty.iter().chain(missing).cloned().collect();
        self.records = self.cache.records(&wanted);
        self.process(dirty, base)?;
        let mut rounds = 0;
        // What is new is looked at until everything stands still as well: a message that was moved between two listings is
        // in both, and a copy made of it would stay when its first name is moved at the other host meanwhile.
        // So is a root of which no base tells: a message that moved behind the first look would seem not to be there.
        // And one after a run that was cut, for what that run installed.
        let twice = self.looks_twice(base);
        let first = |rounds| rounds == 0 && twice;
        // And so does what an earlier round met and the last one did not, although no base tells of it.
        for _ in 0..=ROUNDS {
            while (first(rounds) || self.lost || self.something_is_missing(base) || self.something_is_added(base))
                && !seeded::is("one-pass-scan")
            {
                if rounds == ROUNDS {
                    // Whatever moved in the last round may move on: nothing in those folders is gone, and the listings are of
                    // different times.
                    self.unsettled = true;
                    break;
                }
                rounds += 1;
                let again = self.look_again(base)?;
                self.restless = again.iter().cloned().collect();
                if again.is_empty() {
                    break;
                }
                self.process(again, base)?;
                if rounds < ROUNDS {
                    self.restless.clear();
                }
            }
            // A folder that is back since the last round may have been met under another name by then, with all its mail:
            // both names in one base, and in the next run each host deletes one.
            let back = self.missing_folders(base) && !seeded::is("folder-that-is-back-was-nowhere-else");
            if !back || rounds == ROUNDS {
                break;
            }
        }
        self.restless.extend(self.listed.iter().filter(|(_, m)| !m.stable).map(|(f, _)| f.clone()));
        Ok(self)
    }

    /// Whether there may be messages whose lack nothing shows.
    fn looks_twice(&self, base: &Snapshot) -> bool {
        base.folders.is_empty() || (self.scanner.after_cut && !seeded::is("looks-once-after-a-cut"))
    }

    fn is_missing_in(&self, folder: &Folder, base: &Snapshot) -> bool {
        let (Some(found), Some(section)) = (self.listed.get(folder), base.folders.get(folder)) else { return false };
        let mut present = found.records.iter().map(|r| &r.uniq).peekable();
        section.entries().iter().any(|entry| {
            while present.next_if(|uniq| **uniq < entry.uniq).is_some() {}
            present.peek() != Some(&&entry.uniq) && !found.unknown.contains(&entry.uniq)
        })
    }

    pub(super) fn is_absent(&self, folder: &Folder) -> bool {
        !self.walked.has_folder(folder) && !self.is_unknown(folder) && !self.scanner.excludes.excludes(folder)
    }

    fn something_is_missing(&self, base: &Snapshot) -> bool {
        self.listed.iter().any(|(folder, found)| !found.stable || self.is_missing_in(folder, base))
            || base.folders.keys().any(|folder| self.is_absent(folder))
    }

    /// Whether a listed folder holds what its base section does not.
    fn something_is_added(&self, base: &Snapshot) -> bool {
        self.listed.iter().any(|(folder, found)| match base.folders.get(folder) {
            Some(section) => found.records.iter().any(|record| section.entry(&record.uniq).is_none()),
            None => !found.records.is_empty(),
        })
    }

    /// Looks at all directories again; gives the folders that must be listed again.
    fn look_again(&mut self, base: &Snapshot) -> Result<Vec<Folder>, Error> {
        let unproven = |m: &Messages| !m.stable || !m.proven;
        if self.listed.iter().any(|(f, m)| unproven(m) && self.is_missing_in(f, base)) {
            self.scanner.root.fs.pause(PAUSE);
        }
        // What is missing in one folder may have moved into any other whose stamps do not prove that they stood still.
        let doubtful =
            self.looks_twice(base) || self.lost || self.something_is_added(base) || self.something_is_missing(base);
        let again = walk(self.scanner, &self.walked.known())?;
        // By the walk before, or by an earlier listing: a folder may have gone between its walk and its own listing.
        let before = self.walked.folders().chain(self.listed.keys());
        let left: BTreeSet<Folder> = before.filter(|folder| !again.has_folder(folder)).cloned().collect();
        let changed = self.changed || !left.is_empty();
        let mut todo = Vec::new();
        for (folder, seen) in
            again.dirs.iter().filter(|(f, seen)| seen.is_folder() && !again.unknown(f) && !self.unlistable.contains(*f))
        {
            let due = match self.listed.get(folder) {
                Some(found) => {
                    let proof = found.proven && seen.trusted;
                    let moved = (found.cur, found.new) != (seen.cur, seen.new);
                    // Where stamps prove nothing, two rounds that met the same do.
                    moved || !found.stable || ((found.looks < 2 || changed) && !proof && doubtful)
                }
                None => !self.is_clean(folder, seen),
            };
            if due {
                todo.push(folder.clone());
            }
        }
        self.walked = again;
        // A folder that is not there any more lends its records to where its messages went.
        for folder in left {
            if let Some(found) = self.listed.remove(&folder) {
                self.records.insert(folder, found.records);
            }
        }
        let unread: Vec<Folder> = todo.iter().filter(|f| !self.records.contains_key(*f)).cloned().collect();
        self.records.extend(self.cache.records(&unread));
        Ok(todo)
    }

    /// Lists these folders and reads what is not known of them.
    fn process(&mut self, todo: Vec<Folder>, base: &Snapshot) -> Result<(), Error> {
        let records = std::mem::take(&mut self.records);
        let before = std::mem::take(&mut self.listed);
        let mut donors: HashMap<u64, Vec<&Record>> = HashMap::new();
        let lenders = records.values().chain(before.values().map(|m| &m.records));
        lenders.flatten().for_each(|record| donors.entry(record.ino).or_default().push(record));
        let mut done = BTreeMap::new();
        (self.changed, self.lost) = (false, false);
        let mut todo = todo.into_iter().peekable();
        while todo.peek().is_some() {
            let (mut jobs, mut prepared) = (Vec::new(), Vec::new());
            while let Some(folder) = todo.next_if(|_| prepared.len() < FOLDERS_AT_ONCE && jobs.len() < FILES_AT_ONCE) {
                let listing = self
                    .scanner
                    .root
                    .folder(&folder)
                    .and_then(|dirs| Ok((list_folder(self.scanner.root, &dirs)?, dirs)));
                let (listing, dirs) = match listing {
                    Ok(found) => found,
                    Err(e) => {
                        self.cannot_list(folder, &e);
                        continue;
                    }
                };
                // Gone since the walk, though its directory could still be opened. As a folder without messages it would equal
                // an empty one of the base, and the cache, which then has no such folder, would call the whole root clean.
                if !dirs.is_folder() && !seeded::is("folder-that-just-went-is-an-empty-one") {
                    self.walked.note_no_folder(&folder);
                    continue;
                }
                let earlier = before.get(&folder);
                let known = earlier.map(|m| &m.records).or_else(|| records.get(&folder)).map_or(&[][..], Vec::as_slice);
                let depth = if earlier.is_some() { Depth::Quick } else { self.depth_of(&folder) };
                let stood = |old: &DirRecord| (old.cur, old.new) == (listing.cur, listing.new);
                let moved = earlier.is_none() && self.cache.dirs().get(&folder).is_some_and(|old| !stood(old));
                let memory = Memory { known, donors: &donors, depth, moved, fresh: earlier.is_some() };
                prepared.push(folder::prepare(self.scanner, &folder, dirs, listing, &memory, &mut jobs));
            }
            let read = self.read(&jobs)?;
            for one in prepared {
                let folder = one.folder.clone();
                let mut found = folder::finish(self.scanner, one, base.folders.get(&folder), &read, &mut self.twins);
                self.as_in_base.extend(found.as_in_base.drain(..).map(|uniq| Name { folder: folder.clone(), uniq }));
                let earlier = before.get(&folder);
                found.looks = earlier.map_or(0, |m| m.looks) + 1;
                // By this look, or by the last: what no base tells of may have been met by that alone.
                let met = earlier
                    .map(|m| &m.records)
                    .or_else(|| records.get(&folder).filter(|_| !seeded::is("last-look-is-forgotten")));
                self.lost |= met.is_some_and(|met| !found.has_all_of(met));
                // Listed now for the first time, it was clean a round ago: what left it may be where stamps prove nothing.
                self.changed |= match earlier {
                    Some(earlier) => !earlier.has_names_of(&found),
                    None => !found.records.is_empty() || !seeded::is("what-left-a-clean-folder-is-no-change"),
                };
                done.insert(folder, found);
            }
        }
        drop(donors);
        self.records = records;
        self.listed = before;
        self.listed.extend(done);
        Ok(())
    }

    fn read(&mut self, jobs: &[Job<F::Dir>]) -> Result<Vec<Outcome>, Error> {
        let ended = AtomicBool::new(false);
        let read = hash_many(&*self.scanner.root.fs, jobs, &|bytes| {
            let go_on = (self.scanner.on_read)(bytes);
            ended.fetch_or(!go_on, Ordering::Relaxed);
            go_on
        });
        if ended.into_inner() {
            return Err(io::Error::from(io::ErrorKind::Interrupted))
                .context("scan", self.scanner.root.shown(&Folder::root(), b""));
        }
        for (hashed, _) in read.iter().flatten() {
            self.files_read += 1;
            self.bytes_read += hashed.size;
        }
        Ok(read)
    }

    fn cannot_list(&mut self, folder: Folder, why: &io::Error) {
        if why.kind() == io::ErrorKind::NotFound {
            // Gone since the walk: to be looked for like every folder that is not there.
            self.walked.dirs.remove(&folder);
            return;
        }
        let path = self.scanner.root.shown(&folder, b"");
        self.troubles.push(Trouble { path, text: format!("cannot be listed and is left as it was: {why}") });
        self.unlistable.insert(folder);
    }

    /// Decides about the folders of the base that were not found. Gives whether one is there after all.
    fn missing_folders(&mut self, base: &Snapshot) -> bool {
        self.gone.clear();
        self.unknown.clear();
        let mut back = false;
        // Names that are not there, with the folders that they lead to, by the directory that is to have them.
        let mut unnamed: BTreeMap<Folder, BTreeMap<Vec<u8>, Vec<Folder>>> = BTreeMap::new();
        for folder in base.folders.keys() {
            if self.is_unknown(folder) {
                self.unknown.insert(folder.clone());
            } else if self.is_absent(folder) {
                match self.look_for(folder) {
                    Ok(Lookup::NoFolder) => drop(self.gone.insert(folder.clone())),
                    Ok(Lookup::NoName { above, name }) => {
                        unnamed.entry(above).or_default().entry(name).or_default().push(folder.clone());
                    }
                    Ok(Lookup::There) => {
                        back = true;
                        self.unknown.insert(folder.clone());
                    }
                    Err(trouble) => {
                        self.troubles.push(trouble);
                        self.unknown.insert(folder.clone());
                    }
                }
            }
        }
        for (above, names) in unnamed {
            back |= self.unlisted(&above, names);
        }
        back
    }

    /// Lists a directory once for all names that were not found in it; those that it lists all the same are back. Gives whether
    /// any is.
    fn unlisted(&mut self, above: &Folder, mut names: BTreeMap<Vec<u8>, Vec<Folder>>) -> bool {
        let root = self.scanner.root;
        let mut listed = Vec::new();
        let looked = root.local_dir(above).and_then(|dir| {
            root.fs.list(&dir, &mut |name, _, _| listed.extend(names.remove(name).into_iter().flatten()))
        });
        let back = match looked {
            Ok(()) => !listed.is_empty(),
            // It was there a moment ago: whatever moves, the next round sees where it went.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                listed.extend(std::mem::take(&mut names).into_values().flatten());
                true
            }
            Err(e) => {
                listed.extend(std::mem::take(&mut names).into_values().flatten());
                let text = format!("cannot be listed, and what seems gone from it is left as it was: {e}");
                self.troubles.push(Trouble { path: root.shown(above, b""), text });
                false
            }
        };
        self.unknown.extend(listed);
        self.gone.extend(names.into_values().flatten());
        back
    }

    /// The second complete look at a folder that a walk missed, by name; the listing of the directory above follows.
    fn look_for(&self, folder: &Folder) -> Result<Lookup, Trouble> {
        let root = self.scanner.root;
        let fs = &*root.fs;
        let trouble = |text: String| Trouble { path: root.shown(folder, b""), text };
        let unclear = |e: io::Error| trouble(format!("cannot be looked for and is left as it was: {e}"));
        let (mut dir, mut above) = (root.dir.clone(), Folder::root());
        if seeded::is("one-look-at-folders") {
            return Ok(Lookup::NoFolder);
        }
        for component in folder.components() {
            let Some(stat) = if_there(fs.stat(&dir, component)).map_err(unclear)? else {
                return Ok(Lookup::NoName { above, name: component.to_vec() });
            };
            match stat.kind {
                Kind::Dir => dir = fs.open_dir(&dir, component).map_err(unclear)?,
                Kind::Symlink => {
                    return Err(trouble(
                        "was a folder and is now reached by a symlink, which is not followed; put a directory there"
                            .to_owned(),
                    ));
                }
                _ => return Err(trouble("was a folder and is now a file; move the file away".to_owned())),
            }
            above = above.child(component).expect("a part of a folder's name is one");
        }
        for place in [&b"cur"[..], b"new"] {
            match if_there(fs.stat(&dir, place)).map_err(unclear)? {
                None => {}
                // Back again: the next run looks into it.
                Some(stat) if stat.kind == Kind::Dir => return Ok(Lookup::There),
                Some(_) => {
                    return Err(trouble(
                        "was a folder, but its cur or new is no longer a directory; put one there".to_owned(),
                    ));
                }
            }
        }
        Ok(Lookup::NoFolder)
    }

    /// Folders that were put back from a backup.
    pub(super) fn put_back(&self) -> BTreeSet<Folder> {
        let went_back = |(folder, seen): &(&Folder, &DirSeen)| {
            self.cache.dirs().get(*folder).is_some_and(|old| {
                stamps::went_back(old.cur.as_ref(), seen.cur.as_ref(), seen.moment)
                    || stamps::went_back(old.new.as_ref(), seen.new.as_ref(), seen.moment)
            })
        };
        let older: Vec<(&Folder, &DirSeen)> = self.walked.dirs.iter().filter(went_back).collect();
        if older.is_empty() || seeded::is("backup-is-a-delete") {
            return BTreeSet::new();
        }
        // A folder that was renamed to where a younger one was is no backup: its directories are known from elsewhere,
        // and no older than they were there. What a backup brings has inodes of its own, or lies where it lay.
        let places = |folder: &Folder, record: &DirRecord| {
            let stamps = [record.cur, record.new];
            stamps
                .into_iter()
                .flatten()
                .map(|stamp| ((stamp.dev, stamp.ino), (folder.clone(), stamp)))
                .collect::<Vec<_>>()
        };
        let known: HashMap<(u64, u64), (Folder, DirStamp)> =
            self.cache.dirs().iter().flat_map(|(folder, record)| places(folder, record)).collect();
        // So is one that lay in another root of the endpoint.
        let elsewhere: HashMap<(u64, u64), &DirStamp> =
            self.scanner.siblings.iter().map(|stamp| ((stamp.dev, stamp.ino), stamp)).collect();
        let from_elsewhere = |now: &DirStamp, seen: &DirSeen| {
            elsewhere
                .get(&(now.dev, now.ino))
                .is_some_and(|then| then.btime == now.btime && !stamps::went_back(Some(then), Some(now), seen.moment))
        };
        let renamed = |folder: &Folder, seen: &DirSeen| {
            let mut held = [seen.cur, seen.new].into_iter().flatten().peekable();
            held.peek().is_some()
                && held.all(|now| {
                    known.get(&(now.dev, now.ino)).is_some_and(|(was, then)| {
                        was != folder
                            && then.btime == now.btime
                            && !stamps::went_back(Some(then), Some(&now), seen.moment)
                    }) || from_elsewhere(&now, seen)
                })
        };
        older.into_iter().filter(|(folder, seen)| !renamed(folder, seen)).map(|(folder, _)| folder.clone()).collect()
    }
}
