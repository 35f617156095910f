//! The small alphabet of messages, and a tree of them as a value.
//!
//! Everything is few, so that things collide: three folders, four uniqs, three headers, and bodies that either name
//! themselves or are four in all.
//!
//! Deliberately not here: the project's own reading of a Maildir. A model that shared it would share its faults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smd_maildir::fs::Kind;
use smd_protocol::delta::Mtime;

use super::boxes;
use super::host::Host;

/// The bytes of a message.
pub type Bytes = Arc<Vec<u8>>;

/// Where every host has its mail.
pub const ROOT: &str = "/home/Maildir";
/// And its state.
pub const STATE: &str = "/home/.smd";
/// What was removed and replaced there rests here.
pub const GRAVE: &str = "/home/.smd/grave";
/// Folders below the root; the first is the root itself.
pub const FOLDERS: [&str; 3] = ["", ".a", ".b"];
/// Uniqs that users give.
pub const UNIQS: [&str; 4] = ["u0", "u1", "u2", "u3"];
/// Letters that users set, some of them no standard flags.
pub const LETTERS: &[u8; 8] = b"DFPRSTab";

/// Bodies that there are where they are few.
pub const FEW: u8 = 4;
/// Headers.
pub const HEADERS: u8 = 3;

/// The bytes of a message.
pub fn bytes(header: u8, body: u32) -> Bytes {
    // One body without a blank line before it, and one in CRLF: the bytes are sacred whatever they mean.
    let text = match header % HEADERS {
        0 => format!("Subject: one\n\nbody {body}\n"),
        1 => format!("Subject: two\nX-More: yes\n\nbody {body}\n"),
        _ => format!("Subject: three\r\n\r\nbody {body}\n"),
    };
    Arc::new(text.into_bytes())
}

/// The header and body that these bytes were made of; none where they are no such bytes.
pub fn parse(bytes: &[u8]) -> Option<(u8, u32)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let body = text.rsplit_once("body ")?.1.strip_suffix('\n')?.parse().ok()?;
    (0..HEADERS).find(|&header| **self::bytes(header, body) == *bytes).map(|header| (header, body))
}

/// A file in `cur/` or `new/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// One of [`FOLDERS`], or what a rename made of it.
    pub folder: String,
    /// The directory of that folder.
    pub dir: String,
    /// `cur` or `new`.
    pub place: &'static str,
    /// The whole file name.
    pub file: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// Its mtime.
    pub mtime: Mtime,
}

impl Mail {
    /// The part of the name before the colon.
    pub fn uniq(&self) -> &str {
        self.file.split(':').next().unwrap_or_default()
    }

    /// The letters, sorted.
    pub fn flags(&self) -> String {
        let mut letters: Vec<char> =
            self.file.split_once(":2,").map(|(_, flags)| flags.chars().collect()).unwrap_or_default();
        letters.sort_unstable();
        letters.into_iter().collect()
    }

    /// Where it is.
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.dir, self.place, self.file)
    }
}

/// A folder's directory at a host.
pub fn folder_path(host: &Host, folder: &str) -> String {
    let local = if host.boxed { boxes::local(folder) } else { folder.to_owned() };
    if local.is_empty() { ROOT.to_owned() } else { format!("{ROOT}/{local}") }
}

/// What a folder is called that a host has at this path below the root.
pub(super) fn folder_at(host: &Host, path: &str) -> String {
    if host.boxed { boxes::canonical(path).unwrap_or_else(|| path.to_owned()) } else { path.to_owned() }
}

/// The first message of a host whose bytes are not so.
pub fn not_so(host: &Host, so: impl Fn(&Bytes) -> bool) -> Option<(String, Bytes)> {
    let mut found = None;
    // A root that is not there has no messages.
    let _ = host.disk.by_hand().each_file(ROOT, |path, bytes| {
        let mut parts = path.rsplit(|&byte| byte == b'/');
        let (file, place) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if found.is_none() && [&b"cur"[..], b"new"].contains(&place) && !file.starts_with(b".") && !so(bytes) {
            found = Some((String::from_utf8_lossy(path).into_owned(), bytes.clone()));
        }
    });
    found
}

/// All messages of a host, in the order of their paths.
pub fn mails(host: &Host) -> Vec<Mail> {
    let mut mails = Vec::new();
    for (path, info) in host.disk.by_hand().list(ROOT).unwrap_or_default() {
        let path = String::from_utf8_lossy(&path).into_owned();
        let mut parts = path.rsplitn(3, '/');
        let (Some(file), Some(place)) = (parts.next(), parts.next()) else { continue };
        let Some(place) = ["cur", "new"].into_iter().find(|known| *known == place) else { continue };
        if info.kind == Kind::File && !file.starts_with('.') {
            let folder = folder_at(host, parts.next().unwrap_or_default());
            let (dir, file) = (folder_path(host, &folder), file.to_owned());
            mails.push(Mail { folder, dir, place, file, bytes: info.bytes, mtime: info.mtime });
        }
    }
    mails
}

/// Whether a file lies in any folder's `tmp`.
pub fn has_leftovers(host: &Host) -> bool {
    let found = host.disk.by_hand().list(ROOT).unwrap_or_default();
    let is_left = |path: &[u8]| path.rsplit(|&byte| byte == b'/').nth(1) == Some(b"tmp");
    found.iter().any(|(path, info)| info.kind == Kind::File && is_left(path))
}

/// All folders of a host.
pub fn folders(host: &Host) -> BTreeSet<String> {
    let found = host.disk.by_hand().list(ROOT).unwrap_or_default();
    let dirs = found.into_iter().filter(|(_, info)| info.kind == Kind::Dir);
    let parts = dirs.filter_map(|(path, _)| {
        let path = String::from_utf8_lossy(&path).into_owned();
        if path == "cur" || path == "new" {
            return Some(folder_at(host, ""));
        }
        let (folder, place) = path.rsplit_once('/')?;
        ["cur", "new"].contains(&place).then(|| folder_at(host, folder))
    });
    parts.collect()
}

/// Place, flags and bytes of a message.
pub type Held = (&'static str, String, Bytes);

/// What a tree holds, as far as it is synchronised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// All of them.
    pub folders: BTreeSet<String>,
    /// Place, flags and bytes of every message with this folder and uniq.
    pub mail: BTreeMap<(String, String), Vec<Held>>,
}

impl Tree {
    /// Whether a folder of both has a content under different names.
    pub fn names_otherwise(&self, other: &Self) -> bool {
        let named = |((folder, _), all): (&(String, String), &Vec<Held>)| {
            all.iter().map(|held| (folder.clone(), held.2.clone())).collect::<Vec<_>>()
        };
        let ours: BTreeSet<_> =
            self.mail.iter().filter(|(name, _)| !other.mail.contains_key(*name)).flat_map(named).collect();
        other
            .mail
            .iter()
            .filter(|(name, _)| !self.mail.contains_key(*name))
            .flat_map(named)
            .any(|one| ours.contains(&one))
    }

    /// Reads it.
    pub fn of(host: &Host) -> Self {
        let mut tree = Self { folders: folders(host), ..Self::default() };
        for mail in mails(host) {
            let key = (mail.folder.clone(), mail.uniq().to_owned());
            let flags = mail.flags();
            tree.mail.entry(key).or_default().push((mail.place, flags, mail.bytes));
        }
        tree
    }

    /// Whether a uniq is twice in a folder (the next run gives one of them another name) or a message is empty (it
    /// counts as damaged).
    pub fn is_odd(&self) -> bool {
        self.mail.values().any(|all| all.len() > 1 || all.iter().any(|(_, _, bytes)| bytes.is_empty()))
    }

    /// Whether another tree holds the same messages. Two files of one uniq with equal bytes are one message: a user may
    /// give a message the name that a run is giving another copy of it.
    pub fn agrees(&self, other: &Self) -> bool {
        let one = |all: &[Held]| all.windows(2).all(|two| two[0].2 == two[1].2);
        let agree = |all: &[Held], others: &[Held]| {
            all == others || one(all) && one(others) && all.iter().any(|held| others.contains(held))
        };
        self.folders == other.folders
            && self.mail.len() == other.mail.len()
            && self.mail.iter().all(|(key, all)| other.mail.get(key).is_some_and(|others| agree(all, others)))
    }

    /// The messages that another tree has too.
    pub fn in_common(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.mail.retain(|key, all| other.mail.get(key) == Some(all));
        both
    }

    /// How many messages of each content.
    pub fn counts(&self) -> BTreeMap<Bytes, usize> {
        let mut counts = BTreeMap::new();
        for (_, _, bytes) in self.mail.values().flatten() {
            *counts.entry(bytes.clone()).or_default() += 1;
        }
        counts
    }

    /// The first things in which another tree differs, in words.
    pub fn difference(&self, other: &Self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for folder in self.folders.symmetric_difference(&other.folders) {
            let _ = write!(text, " folder {folder:?} at one;");
        }
        let keys: BTreeSet<_> = self.mail.keys().chain(other.mail.keys()).collect();
        let show = |tree: &Self, key: &(String, String)| {
            let all = tree.mail.get(key).into_iter().flatten();
            all.map(|(place, flags, bytes)| format!("{place}:{flags} {:?}", parse(bytes))).collect::<Vec<_>>().join("+")
        };
        for key in keys.into_iter().filter(|key| self.mail.get(*key) != other.mail.get(*key)) {
            let _ = write!(text, " {}/{}: [{}] and [{}];", key.0, key.1, show(self, key), show(other, key));
        }
        text
    }
}
