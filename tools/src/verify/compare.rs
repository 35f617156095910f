//! Compares what two hosts hold of a root: a pure function of two snapshots.

use std::collections::BTreeMap;

use smd_client::report::Trouble;
use smd_client::session::BothSides;
use smd_protocol::snapshot::Place;
use smd_protocol::{Entry, Flags, Folder, Name, Section, Snapshot, Uniq};

/// How a message or folder differs. A message can differ in several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Only this host has it.
    OnlyHere,
    /// Only the other host has it.
    OnlyThere,
    /// Other bytes.
    Content,
    /// Other flags.
    Flags,
    /// `new` on one host and `cur` on the other.
    Place,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::OnlyHere, Self::OnlyThere, Self::Content, Self::Flags, Self::Place];

    /// The word for it in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::OnlyHere => "only-here",
            Self::OnlyThere => "only-there",
            Self::Content => "content",
            Self::Flags => "flags",
            Self::Place => "place",
        }
    }
}

/// How a message is dressed at a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dress {
    /// `new` or `cur`.
    pub place: Place,
    /// Its flags.
    pub flags: Flags,
}

impl From<&Entry> for Dress {
    fn from(entry: &Entry) -> Self {
        Self { place: entry.place, flags: entry.flags.clone() }
    }
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A folder that one host has, be there mail in it or not.
    Folder(Kind, Folder),
    /// A message: in which ways, and how it is dressed at either.
    Message {
        /// Its name.
        name: Name,
        /// In which ways, at least one.
        kinds: Vec<Kind>,
        /// At this host.
        here: Option<Dress>,
        /// At the other.
        there: Option<Dress>,
    },
}

impl Difference {
    /// In which ways.
    pub fn kinds(&self) -> &[Kind] {
        match self {
            Self::Folder(kind, _) => std::slice::from_ref(kind),
            Self::Message { kinds, .. } => kinds,
        }
    }
}

/// Folders and messages of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Folders.
    pub folders: usize,
    /// Messages.
    pub messages: usize,
}

impl From<&Snapshot> for Size {
    fn from(snapshot: &Snapshot) -> Self {
        Self { folders: snapshot.folders.len(), messages: snapshot.messages() }
    }
}

/// A root, compared.
#[derive(Clone, Debug)]
pub struct RootComparison {
    /// The root as written for this host.
    pub root: Vec<u8>,
    /// What this host has.
    pub here: Size,
    /// What the other has.
    pub there: Size,
    /// What differs, by folder and uniq.
    pub differences: Vec<Difference>,
    /// Whether this or the other host has no such root.
    pub absent: [bool; 2],
    /// Whether all could be read on both.
    pub complete: bool,
    /// What could not be read, or is left alone.
    pub troubles: Vec<Trouble>,
    /// What either leaves out by design: equal is said of all but that.
    pub left_out: Vec<Trouble>,
}

impl RootComparison {
    /// Whether both hosts are known to hold the same.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty() && self.complete && self.absent == [false, false]
    }

    /// How many differ in this way.
    pub fn count(&self, kind: Kind) -> usize {
        self.differences.iter().filter(|difference| difference.kinds().contains(&kind)).count()
    }
}

/// Compares both sides.
pub fn compare(both: &BothSides) -> RootComparison {
    RootComparison {
        root: both.root.clone(),
        here: (&both.client.snapshot).into(),
        there: (&both.server.snapshot).into(),
        differences: differences(&both.client.snapshot, &both.server.snapshot),
        absent: [both.client.absent, both.server.absent],
        complete: !both.client.incomplete && !both.server.incomplete,
        troubles: both.troubles.clone(),
        left_out: both.left_out.clone(),
    }
}

fn differences(here: &Snapshot, there: &Snapshot) -> Vec<Difference> {
    let mut all = Vec::new();
    for (folder, [ours, theirs]) in paired(here.folders.iter(), there.folders.iter()) {
        match (ours, theirs) {
            (Some(_), None) => all.push(Difference::Folder(Kind::OnlyHere, folder.clone())),
            (None, Some(_)) => all.push(Difference::Folder(Kind::OnlyThere, folder.clone())),
            _ => {}
        }
        for (uniq, [here, there]) in paired(entries(ours), entries(theirs)) {
            let kinds = kinds(here, there);
            if !kinds.is_empty() {
                let (here, there) = (here.map(Dress::from), there.map(Dress::from));
                all.push(Difference::Message { name: Name::new(folder, uniq), kinds, here, there });
            }
        }
    }
    all
}

fn entries(section: Option<&Section>) -> impl Iterator<Item = (&Uniq, &Entry)> {
    section.into_iter().flat_map(Section::entries).map(|entry| (&entry.uniq, entry))
}

fn kinds(here: Option<&Entry>, there: Option<&Entry>) -> Vec<Kind> {
    match (here, there) {
        (Some(here), Some(there)) => {
            let ways = [
                (here.content != there.content, Kind::Content),
                (here.flags != there.flags, Kind::Flags),
                (here.place != there.place, Kind::Place),
            ];
            ways.into_iter().filter(|(differs, _)| *differs).map(|(_, kind)| kind).collect()
        }
        (Some(_), None) => vec![Kind::OnlyHere],
        (None, Some(_)) => vec![Kind::OnlyThere],
        (None, None) => Vec::new(),
    }
}

/// What either row has under a key: this host's first.
fn paired<'a, K: Ord, V>(
    here: impl Iterator<Item = (&'a K, V)>,
    there: impl Iterator<Item = (&'a K, V)>,
) -> BTreeMap<&'a K, [Option<V>; 2]> {
    let mut pairs: BTreeMap<&K, [Option<V>; 2]> = BTreeMap::new();
    here.for_each(|(key, value)| pairs.entry(key).or_default()[0] = Some(value));
    there.for_each(|(key, value)| pairs.entry(key).or_default()[1] = Some(value));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use smd_protocol::Content;

    fn entry(uniq: &str, place: Place, flags: &str, bytes: &str) -> Entry {
        Entry {
            uniq: Uniq::parse(uniq.as_bytes()).expect("uniq"),
            place,
            flags: Flags::from_letters(flags),
            content: Content::of(bytes.as_bytes()),
        }
    }

    fn snapshot(folders: &[(&str, Vec<Entry>)]) -> Snapshot {
        let section = |(folder, entries): &(&str, Vec<Entry>)| {
            (Folder::parse(folder.as_bytes()).expect("folder"), Section::new(entries.clone(), false))
        };
        Snapshot { folders: folders.iter().map(section).collect() }
    }

    #[test]
    fn every_way_to_differ_is_found_and_nothing_else() {
        let here = snapshot(&[
            (
                "",
                vec![
                    entry("a", Place::Cur, "S", "1"),
                    entry("b", Place::Cur, "S", "1"),
                    entry("c", Place::New, "", "1"),
                    entry("d", Place::New, "", "1"),
                    entry("e", Place::Cur, "FS", "1"),
                ],
            ),
            (".here", Vec::new()),
        ]);
        let there = snapshot(&[
            (
                "",
                vec![
                    entry("a", Place::Cur, "S", "2"),
                    entry("b", Place::Cur, "", "1"),
                    entry("c", Place::Cur, "", "1"),
                    entry("e", Place::Cur, "SF", "1"),
                    entry("f", Place::Cur, "T", "2"),
                ],
            ),
            (".there", vec![entry("x", Place::New, "", "1")]),
        ]);
        let found: Vec<(String, Vec<Kind>)> = differences(&here, &there)
            .iter()
            .map(|difference| {
                let name = match difference {
                    Difference::Folder(_, folder) => folder.to_string(),
                    Difference::Message { name, .. } => name.to_string(),
                };
                (name, difference.kinds().to_vec())
            })
            .collect();
        let expected = [
            ("a", Kind::Content),
            ("b", Kind::Flags),
            ("c", Kind::Place),
            ("d", Kind::OnlyHere),
            ("f", Kind::OnlyThere),
            (".here", Kind::OnlyHere),
            (".there", Kind::OnlyThere),
            (".there/x", Kind::OnlyThere),
        ];
        assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), vec![kind])));
        assert!(differences(&there, &there.clone()).is_empty());
    }

    #[test]
    fn what_could_not_be_read_or_is_not_there_is_not_equal() {
        let equal = || RootComparison { complete: true, ..compare(&BothSides::default()) };
        assert!(equal().is_equal());
        assert!(!RootComparison { complete: false, ..equal() }.is_equal());
        assert!(!RootComparison { absent: [false, true], ..equal() }.is_equal());
    }
}
