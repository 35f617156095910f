//! Which names of this host would become those of the server: a pure function of two snapshots.
//!
//! Messages are matched as an adopt matches them: by folder, uniq and bytes; then by folder and bytes, in sorted order, so that
//! duplicates pair up; what is left is looked at for what a person should know. A uniq is never taken apart for that: what
//! OfflineIMAP and mbsync write into it is recognised for the report alone.
//!
//! Deliberately not here: renaming, flags (which stay as they are here), and folders that only one host has.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use smd_protocol::{Content, Digest, Entry, Folder, Name, Section, Snapshot, Uniq};

/// A message that gets another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// Its folder.
    pub folder: Folder,
    /// The message as it is here.
    pub entry: Entry,
    /// The uniq of its equal on the server.
    pub to: Uniq,
}

impl Rename {
    /// Its name now.
    pub fn from_name(&self) -> Name {
        Name::new(&self.folder, &self.entry.uniq)
    }

    /// Its name then.
    pub fn to_name(&self) -> Name {
        Name::new(&self.folder, &self.to)
    }
}

/// What becomes of the messages of a folder of this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub here: usize,
    /// The server has them under the same name.
    pub same: usize,
    /// They get another name.
    pub renamed: usize,
    /// The server has them with another header.
    pub other_header: usize,
    /// The server has them in another folder, under this name.
    pub elsewhere: usize,
    /// The server has none like them.
    pub only_here: usize,
}

impl Counts {
    /// All of another folder added.
    pub fn add(&mut self, other: &Self) {
        self.here += other.here;
        self.same += other.same;
        self.renamed += other.renamed;
        self.other_header += other.other_header;
        self.elsewhere += other.elsewhere;
        self.only_here += other.only_here;
    }
}

/// Whose names they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Makers {
    /// `…,U=123,FMD5=…`.
    pub offlineimap: usize,
    /// `…,U=123`.
    pub mbsync: usize,
}

/// What is to be done in a root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Renames, each possible when those before it are done.
    pub renames: Vec<Rename>,
    /// Renames to names that other messages have and keep; the first sync settles them.
    pub stuck: Vec<Rename>,
    /// Folders of this host.
    pub folders: BTreeMap<Folder, Counts>,
    /// Whose names are given up.
    pub makers: Makers,
}

impl Plan {
    /// All folders together.
    pub fn total(&self) -> Counts {
        self.folders.values().fold(Counts::default(), |mut sum, one| {
            sum.add(one);
            sum
        })
    }
}

/// Which program made a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// `…,U=123,FMD5=…`.
    OfflineImap,
    /// `…,U=123`.
    Mbsync,
}

/// Who made this name, if one of the two did.
pub fn maker(uniq: &Uniq) -> Option<Maker> {
    let words = || uniq.as_bytes().split(|&byte| byte == b',').skip(1);
    let value = |key: &[u8]| words().find_map(|word| word.strip_prefix(key));
    let digits = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let hex = |value: &[u8]| value.len() == 32 && value.iter().all(u8::is_ascii_hexdigit);
    match (value(b"U=").is_some_and(digits), value(b"FMD5=").is_some_and(hex)) {
        (_, true) => Some(Maker::OfflineImap),
        (true, false) => Some(Maker::Mbsync),
        (false, false) => None,
    }
}

/// Makes the plan.
pub fn plan(here: &Snapshot, there: &Snapshot) -> Plan {
    let mut plan = Plan::default();
    let empty = Section::default();
    let mut left: Vec<(&Folder, &Entry)> = Vec::new();
    let mut left_there: Vec<(&Folder, &Entry)> = Vec::new();
    for (folder, ours) in &here.folders {
        let theirs = there.folders.get(folder).unwrap_or(&empty);
        let counts = plan.folders.entry(folder.clone()).or_default();
        counts.here = ours.entries().len();
        let same = |a: &Entry, other: &Section| other.entry(&a.uniq).is_some_and(|b| is_one(a, b));
        let mut waiting: HashMap<Content, VecDeque<&Entry>> = HashMap::new();
        for entry in theirs.entries().iter().filter(|entry| !same(entry, ours)) {
            waiting.entry(entry.content).or_default().push_back(entry);
        }
        let mut renames = Vec::new();
        for entry in ours.entries() {
            if same(entry, theirs) {
                counts.same += 1;
                continue;
            }
            match waiting.get_mut(&entry.content).and_then(VecDeque::pop_front) {
                Some(equal) => {
                    renames.push(Rename { folder: folder.clone(), entry: entry.clone(), to: equal.uniq.clone() })
                }
                None => left.push((folder, entry)),
            }
        }
        left_there.extend(waiting.into_values().flatten().map(|entry| (folder, entry)));
        counts.renamed = renames.len();
        order(ours, renames, &mut plan);
    }
    left_there.extend(
        there
            .folders
            .iter()
            .filter(|(folder, _)| !here.folders.contains_key(*folder))
            .flat_map(|(folder, section)| section.entries().iter().map(move |entry| (folder, entry))),
    );
    settle_left(&left, &left_there, &mut plan);
    for rename in plan.renames.iter().chain(&plan.stuck) {
        match maker(&rename.entry.uniq) {
            Some(Maker::OfflineImap) => plan.makers.offlineimap += 1,
            Some(Maker::Mbsync) => plan.makers.mbsync += 1,
            None => {}
        }
    }
    plan
}

/// Whether two messages of one name are one: a crash may have emptied either.
fn is_one(a: &Entry, b: &Entry) -> bool {
    a.content == b.content || a.content.is_empty() || b.content.is_empty()
}

/// Puts the renames of a folder into an order in which each finds its new name free.
fn order(ours: &Section, renames: Vec<Rename>, plan: &mut Plan) {
    let mut taken: BTreeSet<Uniq> = ours.entries().iter().map(|entry| entry.uniq.clone()).collect();
    // Who waits for a name to be given up.
    let mut waiting: BTreeMap<Uniq, Rename> = BTreeMap::new();
    for rename in renames {
        let mut next = Some(rename);
        while let Some(rename) = next.take() {
            if taken.contains(&rename.to) {
                waiting.insert(rename.to.clone(), rename);
                continue;
            }
            taken.remove(&rename.entry.uniq);
            taken.insert(rename.to.clone());
            next = waiting.remove(&rename.entry.uniq);
            plan.renames.push(rename);
        }
    }
    plan.stuck.extend(waiting.into_values());
}

/// Says of what has no equal in its folder why.
fn settle_left(left: &[(&Folder, &Entry)], left_there: &[(&Folder, &Entry)], plan: &mut Plan) {
    let nothing = Digest::of(b"");
    let mut bodies: HashMap<(&Folder, Digest), usize> = HashMap::new();
    let mut names: HashMap<(&Uniq, Content), usize> = HashMap::new();
    for (folder, entry) in left_there {
        if entry.content.body != nothing {
            *bodies.entry((folder, entry.content.body)).or_default() += 1;
        }
        *names.entry((&entry.uniq, entry.content)).or_default() += 1;
    }
    for (folder, entry) in left {
        let counts = plan.folders.entry((*folder).clone()).or_default();
        match bodies.get_mut(&(*folder, entry.content.body)).filter(|count| **count > 0) {
            Some(count) => {
                *count -= 1;
                counts.other_header += 1;
            }
            None if names.get(&(&entry.uniq, entry.content)) == Some(&1) => counts.elsewhere += 1,
            None => counts.only_here += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smd_protocol::{Flags, Place};

    /// Folders as `folder: uniq=bytes uniq=bytes; …`.
    fn snapshot(text: &str) -> Snapshot {
        let entry = |word: &str| {
            let (uniq, bytes) = word.rsplit_once('=').expect("bytes");
            Entry {
                uniq: Uniq::parse(uniq.as_bytes()).expect("uniq"),
                place: Place::Cur,
                flags: Flags::from_letters("S"),
                content: Content::of(bytes.replace('|', "\n\n").as_bytes()),
            }
        };
        let section = |text: &str| {
            let (folder, words) = text.split_once(':').expect("folder");
            let entries = words.split_whitespace().map(entry).collect();
            (Folder::parse(folder.trim().as_bytes()).expect("folder"), Section::new(entries, false))
        };
        Snapshot { folders: text.split(';').filter(|text| !text.trim().is_empty()).map(section).collect() }
    }

    fn names(renames: &[Rename]) -> Vec<String> {
        renames.iter().map(|one| format!("{}>{}", one.from_name(), one.to)).collect()
    }

    #[track_caller]
    fn check(here: &str, there: &str, renames: &[&str], stuck: &[&str]) -> Counts {
        let plan = plan(&snapshot(here), &snapshot(there));
        assert_eq!(
            (names(&plan.renames), names(&plan.stuck)),
            (
                renames.iter().map(ToString::to_string).collect::<Vec<_>>(),
                stuck.iter().map(ToString::to_string).collect::<Vec<_>>(),
            )
        );
        let total = plan.total();
        let sum = total.same + total.renamed + total.other_header + total.elsewhere + total.only_here;
        assert_eq!(sum, total.here);
        total
    }

    #[test]
    fn equals_get_the_servers_name_and_duplicates_pair_up_in_order() {
        check(":a=1 b=2", ":x=1 b=2", &["a>x"], &[]);
        check(":a=1 b=1 c=1", ":x=1 y=1", &["a>x", "b>y"], &[]);
        check("f:a=1;g:a=1", "f:x=1;g:y=1", &["f/a>x", "g/a>y"], &[]);
        check(":a=1", "f:x=1", &[], &[]);
        check("", ":x=1", &[], &[]);
    }

    #[test]
    fn a_name_is_free_before_it_is_given() {
        check(":a=1 b=2 c=3", ":b=1 c=2 d=3", &["c>d", "b>c", "a>b"], &[]);
        check(":a=1 b=2", ":b=1 a=2", &[], &["b>a", "a>b"]);
        // The name belongs to another message here, which keeps it.
        check(":a=1 b=2", ":b=1", &[], &["a>b"]);
    }

    #[test]
    fn what_has_no_equal_is_told_apart() {
        let total = check(":a=1|x b=2|y c=3 d=4;f:m=5", ":q=9|x b=2|y z=0;g:m=5", &[], &[]);
        let expected = Counts { here: 5, same: 1, renamed: 0, other_header: 1, elsewhere: 1, only_here: 2 };
        assert_eq!(total, expected);
        // One of two copies has a counterpart.
        let total = check(":a=1|x b=2|x", ":q=9|x", &[], &[]);
        assert_eq!((total.other_header, total.only_here), (1, 1));
    }

    #[test]
    fn an_emptied_message_is_the_one_of_its_name() {
        assert_eq!(check(":a= b=1", ":a=1 b=1", &[], &[]).same, 2);
    }

    #[test]
    fn names_of_offlineimap_and_mbsync_are_known() {
        let md5 = "7e33429f656f1e6e9d79b29c3f82c57e";
        let table = [
            (format!("1225_1.3.laptop,U=12,FMD5={md5}"), Some(Maker::OfflineImap)),
            (format!("1225_1.3.laptop,FMD5={md5}"), Some(Maker::OfflineImap)),
            ("1225.R3.laptop,U=4".to_owned(), Some(Maker::Mbsync)),
            ("1225.M1P2.office,S=1,W=2".to_owned(), None),
            ("U=4".to_owned(), None),
            ("a,U=".to_owned(), None),
            ("a,FMD5=xyz".to_owned(), None),
        ];
        table
            .iter()
            .for_each(|(name, by)| assert_eq!(maker(&Uniq::parse(name.as_bytes()).expect("uniq")), *by, "{name}"));
        let here = snapshot(&format!(":1,U=1,FMD5={md5}=1 2,U=7=2 3=3"));
        assert_eq!(plan(&here, &snapshot(":x=1 y=2 z=3")).makers, Makers { offlineimap: 1, mbsync: 1 });
    }
}
