//! The runs that buried something: one for each process and root, with a number to type. Runs of one client that follow each
//! other within minutes are a burst, which has a number of its own: a loop makes many of what a person did once.
//!
//! The same on the host that has them and on another, so that a number names the same run on both.
//!
//! Deliberately not here: how anything comes back (`smd_maildir::undo`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use smd_maildir::undo::owner;
use smd_protocol::grave::{Rest, Rests, Why};
use smd_protocol::{Digest, Folder};

use super::args::Pattern;
use super::heads::{Match, Shown};

/// Digits of a run's number in all; so many are shown as tell it from the others.
const DIGITS: usize = 18;
/// Digits that are shown at least.
const SHOWN: usize = 5;

/// Runs that begin within so many seconds of the one before are one burst.
const BURST: i64 = 120;

/// A Maildir whose graves were looked into.
#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    /// Its path, bytes as they are.
    pub path: Vec<u8>,
    /// How it is called in texts, escaped.
    pub shown: String,
    /// What else was found there.
    pub rest: Rest,
}

/// Something that can be undone, or was.
#[derive(Clone, Debug)]
pub struct Item {
    /// What it is.
    pub rests: Rests,
    /// From, Subject and Date, once they were asked for.
    pub head: Shown,
}

/// What one process buried in one root.
pub struct Run {
    /// Its number, all digits.
    id: String,
    /// How many of them are shown.
    shown: usize,
    /// The number of its burst, all digits, and how many of them are shown; none where it is the only run.
    burst: Option<(String, usize)>,
    /// Its Maildir, by index.
    pub mailbox: usize,
    /// When its first burial was, seconds since 1970.
    pub time: i64,
    /// When its last one was.
    pub until: i64,
    /// Its burials, folder by folder.
    pub items: Vec<Item>,
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
    /// Second messages of one name that got another.
    pub renamed: usize,
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
            renamed: self.renamed + other.renamed,
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
        for Item { rests, .. } in &self.items {
            match rests.why {
                Why::Deleted => counts.deleted += 1,
                Why::Replaced => counts.replaced += 1,
                Why::Rewritten => counts.rewritten += 1,
                Why::Renamed => counts.renamed += 1,
                Why::Control => counts.control += 1,
                Why::Moved => {}
            }
            counts.back += usize::from(rests.back);
        }
        counts
    }

    /// Its folders.
    pub fn folders(&self) -> Vec<&Folder> {
        let mut folders: Vec<&Folder> = self.items.iter().map(|item| &item.rests.folder).collect();
        folders.dedup();
        folders
    }

    /// Keeps what lies in such folders; without a pattern all.
    pub fn restrict(&mut self, patterns: &[Pattern]) {
        let wanted = |folder: &Folder| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(folder));
        self.items.retain(|item| wanted(&item.rests.folder));
    }

    /// Keeps what was buried since then.
    pub fn keep_since(&mut self, since: Option<i64>) {
        self.items.retain(|item| since.is_none_or(|since| item.rests.time >= since));
    }

    /// Keeps the messages that all of these mean; without one all, control files too.
    pub fn search(&mut self, matches: &[Match]) {
        let is_meant = |item: &Item| item.rests.is_message() && matches.iter().all(|one| one.matches(&item.head));
        self.items.retain(|item| matches.is_empty() || is_meant(item));
    }
}

/// The runs of these Maildirs, newest first, by what rests in each.
pub fn runs(resting: Vec<Vec<Rests>>) -> Vec<Run> {
    let mut runs = Vec::new();
    for (mailbox, resting) in resting.into_iter().enumerate() {
        let mut by_run: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        for rests in resting {
            by_run.entry(rests.run().to_owned()).or_default().push(Item { rests, head: Shown::default() });
        }
        runs.extend(by_run.into_iter().map(|(run, items)| new_run(mailbox, &run, items)));
    }
    runs.sort_by(|a: &Run, b: &Run| (b.time, &b.id).cmp(&(a.time, &a.id)));
    find_bursts(&mut runs);
    shorten(&mut runs);
    runs
}

/// Puts runs of one client in one root that follow each other into bursts. A burst is named after its first run, so that its
/// number stays while others follow.
fn find_bursts(runs: &mut [Run]) {
    let mut last: HashMap<(usize, String), usize> = HashMap::new();
    // Oldest first.
    for at in (0..runs.len()).rev() {
        let Some(label) = runs[at].items.first().map(|one| one.rests.run().to_owned()) else { continue };
        let before = last.insert((runs[at].mailbox, owner(&label).to_owned()), at);
        let Some(before) = before.filter(|before| runs[at].time.saturating_sub(runs[*before].until) <= BURST) else {
            continue;
        };
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

fn new_run(mailbox: usize, run: &str, mut items: Vec<Item>) -> Run {
    let times = || items.iter().map(|item| item.rests.time);
    let (time, until) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    // Control files last: they go only to a folder that is there.
    items.sort_by_cached_key(|Item { rests, .. }| (rests.folder.clone(), rests.place.is_none(), rests.file.clone()));
    Run { id: number_of(run), shown: DIGITS, burst: None, mailbox, time, until, items }
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
        Run { id: format!("{id:0<18}"), shown: DIGITS, burst, mailbox: 0, time: 0, until: 0, items: Vec::new() }
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
