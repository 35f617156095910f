//! The runs that buried something: one for each process and root, with a number to type. Runs of one client that follow each
//! other within minutes are a burst, which has a number of its own: a loop makes many of what a person did once.
//!
//! Deliberately not here: how anything comes back (`smd_maildir::apply`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smd_maildir::fs::{Disk, Fs as _};
use smd_maildir::grave::{Grave, Resting, State, Why};
use smd_maildir::home::{Home, stem};
use smd_maildir::root::Root;
use smd_protocol::{Digest, Folder};

use super::args::Pattern;
use super::cut::owner;
use super::heads::{Head, Match};

/// Digits of a run's number in all; so many are shown as tell it from the others.
const DIGITS: usize = 18;
/// Digits that are shown at least.
const SHOWN: usize = 5;

/// Runs that begin within so many seconds of the one before are one burst.
const BURST: i64 = 120;

/// A root whose grave was opened.
pub struct Yard {
    /// The root.
    pub root: Root<Disk>,
    /// Burials that were cut short and not settled since.
    pub unsettled: usize,
    /// Burials of which the index has no line.
    pub unknown: usize,
}

/// What one process buried in one root.
pub struct Run {
    /// Its number, all digits.
    id: String,
    /// How many of them are shown.
    shown: usize,
    /// The number of its burst, all digits, and how many of them are shown; none where it is the only run.
    burst: Option<(String, usize)>,
    /// Its yard, by index.
    pub yard: usize,
    /// When its first burial was, seconds since 1970.
    pub time: i64,
    /// When its last one was.
    pub until: i64,
    /// Its burials, folder by folder.
    pub items: Vec<Resting<Disk>>,
}

/// How many burials of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that were deleted.
    pub deleted: usize,
    /// Messages that got other bytes.
    pub replaced: usize,
    /// Messages to which a tool of this host gave other bytes.
    pub rewritten: usize,
    /// Control files of mail programs.
    pub control: usize,
    /// Those of all that were brought back.
    pub back: usize,
}

impl Counts {
    /// Both together.
    pub fn with(self, other: &Self) -> Self {
        Self {
            deleted: self.deleted + other.deleted,
            replaced: self.replaced + other.replaced,
            rewritten: self.rewritten + other.rewritten,
            control: self.control + other.control,
            back: self.back + other.back,
        }
    }
}

impl Run {
    /// Its number, as short as it may be typed.
    pub fn number(&self) -> &str {
        &self.id[..self.shown]
    }

    /// The number of its burst, as short as it may be typed.
    pub fn burst(&self) -> Option<&str> {
        self.burst.as_ref().map(|(id, shown)| &id[..*shown])
    }

    /// What these digits name: the run, its burst, or both.
    pub fn named(&self, digits: &str) -> impl Iterator<Item = &str> {
        let burst = self.burst.iter().map(|(id, shown)| (id, *shown));
        let numbers = std::iter::once((&self.id, self.shown)).chain(burst);
        numbers.filter(move |(id, _)| id.starts_with(digits)).map(|(id, shown)| &id[..shown])
    }

    /// How many of what.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for resting in &self.items {
            match resting.buried.record.as_ref().map(|record| record.why) {
                Some(Why::Deleted) => counts.deleted += 1,
                Some(Why::Replaced) => counts.replaced += 1,
                Some(Why::Rewritten) => counts.rewritten += 1,
                Some(Why::Control) => counts.control += 1,
                Some(Why::Moved) | None => {}
            }
            counts.back += usize::from(resting.back);
        }
        counts
    }

    /// Its folders.
    pub fn folders(&self) -> Vec<&Folder> {
        let mut folders: Vec<&Folder> = self.items.iter().filter_map(folder).collect();
        folders.dedup();
        folders
    }

    /// Keeps what lies in such folders; without a pattern all.
    pub fn restrict(&mut self, patterns: &[Pattern]) {
        let wanted = |folder: &Folder| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(folder));
        self.items.retain(|resting| folder(resting).is_some_and(wanted));
    }

    /// Keeps the messages that all of these mean; without one all, control files too.
    pub fn search(&mut self, matches: &[Match]) {
        if matches.is_empty() {
            return;
        }
        self.items.retain(|resting| {
            let is_message = resting.buried.record.as_ref().is_some_and(|record| record.place.is_some());
            is_message && {
                let head = Head::of(resting);
                matches.iter().all(|one| one.matches(&head))
            }
        });
    }
}

fn folder(resting: &Resting<Disk>) -> Option<&Folder> {
    resting.buried.record.as_ref().map(|record| &record.folder)
}

/// Roots by the paths under which they are known: a root may have several, and a grave under each.
pub struct Candidates {
    /// All that could be opened, with the paths.
    found: BTreeMap<(u64, u64), (Root<Disk>, Vec<PathBuf>)>,
    /// Roots that could not be.
    pub lost: Vec<(PathBuf, io::Error)>,
}

impl Candidates {
    /// Opens these.
    pub fn open(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut candidates = Self { found: BTreeMap::new(), lost: Vec::new() };
        for path in paths {
            let opened = Root::open(Arc::new(Disk), &path).and_then(|root| Ok((root.fs.stat_dir(&root.dir)?, root)));
            match opened {
                Ok((stat, root)) => {
                    let (_, paths) = candidates.found.entry((stat.dev, stat.ino)).or_insert_with(|| (root, Vec::new()));
                    paths.push(path);
                }
                Err(error) => candidates.lost.push((path, error)),
            }
        }
        candidates
    }

    /// Keeps those that are also among these.
    pub fn keep(&mut self, others: &Candidates) {
        self.found.retain(|identity, _| others.found.contains_key(identity));
    }

    /// Whether this path could be opened.
    pub fn has(&self, path: &Path) -> bool {
        self.found.values().any(|(_, paths)| paths.iter().any(|one| one == path))
    }

    /// Looks into all graves. Runs come newest first.
    ///
    /// # Errors
    /// With the root whose grave cannot be read.
    pub fn runs(self, home: &Home<Disk>) -> Result<(Vec<Yard>, Vec<Run>), (PathBuf, io::Error)> {
        let (mut yards, mut runs, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for (root, paths) in self.found.into_values() {
            let yard = yards.len();
            let (mut unsettled, mut unknown) = (0, 0);
            let mut by_run: BTreeMap<String, Vec<Resting<Disk>>> = BTreeMap::new();
            for path in &paths {
                let stem = stem(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
                let grave = Grave::open(&root, home.dir().map(|dir| (dir.clone(), stem.as_str())), "");
                for resting in grave.resting(&mut seen).map_err(|error| (path.clone(), error))? {
                    match (&resting.buried.record, resting.buried.state) {
                        (_, State::Taken) => unsettled += 1,
                        // Its bytes went on living where it was moved to.
                        (Some(record), State::Kept) if record.why == Why::Moved => {}
                        (Some(_), State::Kept) => by_run.entry(resting.run().to_owned()).or_default().push(resting),
                        (None, State::Kept) if resting.back => {}
                        (None, State::Kept) => unknown += 1,
                    }
                }
            }
            runs.extend(by_run.into_iter().map(|(run, items)| new_run(yard, &run, items)));
            yards.push(Yard { root, unsettled, unknown });
        }
        runs.sort_by(|a: &Run, b: &Run| (b.time, &b.id).cmp(&(a.time, &a.id)));
        find_bursts(&mut runs);
        shorten(&mut runs);
        Ok((yards, runs))
    }
}

/// Puts runs of one client in one root that follow each other into bursts. A burst is named after its first run, so that its
/// number stays while others follow.
fn find_bursts(runs: &mut [Run]) {
    let mut last: HashMap<(usize, String), usize> = HashMap::new();
    // Oldest first.
    for at in (0..runs.len()).rev() {
        let Some(label) = runs[at].items.first().map(|one| one.run().to_owned()) else { continue };
        let before = last.insert((runs[at].yard, owner(&label).to_owned()), at);
        let Some(before) = before.filter(|before| runs[at].time - runs[*before].until <= BURST) else { continue };
        let first = runs[before].burst.clone().unwrap_or_else(|| (number_of(&format!("burst {}", runs[before].id)), 0));
        runs[before].burst = Some(first.clone());
        runs[at].burst = Some(first);
    }
}

/// Shows as many digits of each number as tell it from the others.
fn shorten(runs: &mut [Run]) {
    let mut ids: BTreeSet<String> = runs.iter().map(|run| run.id.clone()).collect();
    ids.extend(runs.iter().filter_map(|run| Some(run.burst.as_ref()?.0.clone())));
    // In order, so only the neighbours may begin alike.
    let shown = |id: &str| {
        let before = ids.range::<str, _>((Bound::Unbounded, Bound::Excluded(id))).next_back();
        let after = ids.range::<str, _>((Bound::Excluded(id), Bound::Unbounded)).next();
        let is_alone =
            |length: &usize| [before, after].into_iter().flatten().all(|one| one[..*length] != id[..*length]);
        (SHOWN..DIGITS).find(is_alone).unwrap_or(DIGITS)
    };
    for run in runs {
        run.shown = shown(&run.id);
        if let Some((id, length)) = &mut run.burst {
            *length = shown(id);
        }
    }
}

fn new_run(yard: usize, run: &str, mut items: Vec<Resting<Disk>>) -> Run {
    let times = || items.iter().map(|resting| resting.buried.time);
    let (time, until) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    // Control files last: they go only to a folder that is there.
    items.sort_by_cached_key(|resting| {
        let record = resting.buried.record.as_ref();
        record.map(|record| (record.folder.clone(), record.place.is_none(), record.file.clone()))
    });
    Run { id: number_of(run), shown: DIGITS, burst: None, yard, time, until, items }
}

/// Digits that stay the same as long as the burials rest.
fn number_of(run: &str) -> String {
    let digest = Digest::of(run.as_bytes()).0;
    let number = digest[..8].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{:018}", number % 10u64.pow(DIGITS as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str, burst: Option<&str>) -> Run {
        let burst = burst.map(|id| (format!("{id:0<18}"), DIGITS));
        Run { id: format!("{id:0<18}"), shown: DIGITS, burst, yard: 0, time: 0, until: 0, items: Vec::new() }
    }

    #[test]
    fn a_number_is_as_short_as_tells_it_from_runs_and_bursts() {
        let mut runs = [run("1234567", None), run("1234566", Some("9")), run("1", Some("9"))];
        shorten(&mut runs);
        let shown: Vec<(&str, Option<&str>)> = runs.iter().map(|run| (run.number(), run.burst())).collect();
        assert_eq!(shown, [("1234567", None), ("1234566", Some("90000")), ("10000", Some("90000"))]);
        assert_eq!(runs[1].named("9").collect::<Vec<_>>(), ["90000"]);
        assert_eq!(runs[1].named("1234").collect::<Vec<_>>(), ["1234566"]);
    }

    #[test]
    fn a_number_is_digits_and_stays() {
        let number = number_of("abc-1700000000.1-2-3");
        assert_eq!(number, number_of("abc-1700000000.1-2-3"));
        assert_ne!(number, number_of("abc-1700000000.1-2-4"));
        assert!(number.len() == DIGITS && number.bytes().all(|byte| byte.is_ascii_digit()));
    }
}
