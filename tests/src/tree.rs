//! What a Maildir holds, as a value: folders, messages by uniq, their place, flags, bytes and mtime.
//!
//! Spelling is not part of it (`x` and `x:2,`, the order of letters), nor are files that are no messages. Nothing is
//! forgiven beyond that: a uniq that is there twice shows as two messages.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// `new` or `cur`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Delivered, not yet looked at by a mail program.
    New,
    /// Taken in by a mail program.
    Cur,
}

impl Place {
    /// The directory's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Cur => "cur",
        }
    }
}

/// Where one message lies on disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The folder's path below the root; empty for the root itself.
    pub folder: PathBuf,
    /// The directory in it.
    pub place: Place,
    /// The file's whole name.
    pub name: OsString,
}

impl Found {
    /// The message's path under `root`.
    pub fn path(&self, root: &Path) -> PathBuf {
        root.join(&self.folder).join(self.place.name()).join(&self.name)
    }

    /// The part of the name before the colon.
    pub fn uniq(&self) -> &[u8] {
        split(&self.name).0
    }

    /// The letters, sorted, each once, and what follows a comma as it is.
    pub fn flags(&self) -> Vec<u8> {
        split(&self.name).1
    }
}

/// One message as a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// `new` or `cur`.
    pub place: Place,
    /// The letters, sorted.
    pub flags: Vec<u8>,
    /// Size in bytes.
    pub size: u64,
    /// A hash of the bytes.
    pub hash: u64,
    /// Modification time: seconds and nanoseconds since 1970.
    pub mtime: (i64, i64),
}

/// All folders of a root with their messages by uniq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// By path below the root; a folder without messages is there with an empty map.
    pub folders: BTreeMap<PathBuf, BTreeMap<Vec<u8>, Vec<Message>>>,
}

impl Tree {
    /// Reads a Maildir; a root that is not there is an empty tree.
    #[track_caller]
    pub fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        for folder in folders(root) {
            tree.folders.insert(folder, BTreeMap::new());
        }
        for found in list(root) {
            let path = found.path(root);
            let meta = fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let message = Message {
                place: found.place,
                flags: found.flags(),
                size: bytes.len() as u64,
                hash: hash(&bytes),
                mtime: (meta.mtime(), meta.mtime_nsec()),
            };
            let uniq = found.uniq().to_vec();
            tree.folders.entry(found.folder).or_default().entry(uniq).or_default().push(message);
        }
        tree
    }

    /// The number of messages.
    pub fn len(&self) -> usize {
        self.folders.values().flat_map(BTreeMap::values).map(Vec::len).sum()
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often each content (hash, size) is there.
    pub fn contents(&self) -> BTreeMap<(u64, u64), usize> {
        let mut counts = BTreeMap::new();
        for message in self.folders.values().flat_map(BTreeMap::values).flatten() {
            *counts.entry((message.hash, message.size)).or_insert(0) += 1;
        }
        counts
    }

    /// The one message of this uniq in this folder.
    #[track_caller]
    pub fn message(&self, folder: impl AsRef<Path>, uniq: &[u8]) -> &Message {
        let folder = folder.as_ref();
        let found = self.folders.get(folder).and_then(|messages| messages.get(uniq));
        match found.map(Vec::as_slice) {
            Some([message]) => message,
            other => panic!("{:?} in {folder:?}: not one message but {other:?}", OsStr::from_bytes(uniq)),
        }
    }

    /// What differs, a line each; empty when nothing does.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let both = self.folders.keys().chain(other.folders.keys());
        for folder in both.collect::<std::collections::BTreeSet<_>>() {
            let (Some(ours), Some(theirs)) = (self.folders.get(folder), other.folders.get(folder)) else {
                let side = if self.folders.contains_key(folder) { "left" } else { "right" };
                lines.push(format!("folder {folder:?} only on the {side}"));
                continue;
            };
            for uniq in ours.keys().chain(theirs.keys()).collect::<std::collections::BTreeSet<_>>() {
                let (left, right) = (ours.get(uniq), theirs.get(uniq));
                if left != right {
                    lines.push(format!(
                        "{folder:?} {:?}\n   left  {left:?}\n   right {right:?}",
                        OsStr::from_bytes(uniq)
                    ));
                }
            }
        }
        lines
    }
}

/// All folders below a root, the root itself among them when it is one; sorted.
#[track_caller]
pub fn folders(root: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(folder) = todo.pop() {
        let mut is_folder = false;
        for entry in read_dir(&root.join(&folder)) {
            if !root.join(&folder).join(&entry).symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                continue;
            }
            match entry.as_bytes() {
                b"new" | b"cur" => is_folder = true,
                b"tmp" | b"..smd-grave" => {}
                _ => todo.push(folder.join(&entry)),
            }
        }
        if is_folder {
            out.push(folder);
        }
    }
    out.sort();
    out
}

/// All messages below a root, sorted.
#[track_caller]
pub fn list(root: &Path) -> Vec<Found> {
    let mut out = Vec::new();
    for folder in folders(root) {
        for place in [Place::New, Place::Cur] {
            let dir = root.join(&folder).join(place.name());
            for name in read_dir(&dir) {
                let is_file = dir.join(&name).symlink_metadata().is_ok_and(|meta| meta.is_file());
                if is_file && !name.as_bytes().starts_with(b".") {
                    out.push(Found { folder: folder.clone(), place, name });
                }
            }
        }
    }
    out.sort();
    out
}

/// Fails with the differences when two Maildirs do not hold the same, or one holds a uniq twice.
#[track_caller]
pub fn assert_equal_trees(left: &Path, right: &Path) {
    let (ours, theirs) = (Tree::read(left), Tree::read(right));
    assert_same(&ours, &theirs);
    for (folder, messages) in &ours.folders {
        for (uniq, copies) in messages {
            assert_eq!(copies.len(), 1, "{folder:?} {:?} is there twice", OsStr::from_bytes(uniq));
        }
    }
}

/// Fails with the differences when two trees differ.
#[track_caller]
pub fn assert_same(left: &Tree, right: &Tree) {
    let lines = left.differences(right);
    if lines.is_empty() {
        return;
    }
    let mut text = format!("{} differences ({} and {} messages)\n", lines.len(), left.len(), right.len());
    for line in lines.iter().take(20) {
        writeln!(text, "{line}").expect("a string takes all writes");
    }
    panic!("{text}");
}

/// A hash of some bytes, good enough to tell messages apart; not a digest.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn split(name: &OsStr) -> (&[u8], Vec<u8>) {
    let bytes = name.as_bytes();
    let Some(colon) = bytes.iter().position(|byte| *byte == b':') else {
        return (bytes, Vec::new());
    };
    let (uniq, info) = (&bytes[..colon], &bytes[colon + 1..]);
    let Some(letters) = info.strip_prefix(b"2,") else {
        return (uniq, info.to_vec());
    };
    let comma = letters.iter().position(|byte| *byte == b',').unwrap_or(letters.len());
    let mut flags = letters[..comma].to_vec();
    flags.sort_unstable();
    flags.dedup();
    flags.extend_from_slice(&letters[comma..]);
    (uniq, flags)
}

#[track_caller]
fn read_dir(dir: &Path) -> Vec<OsString> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => panic!("{}: {error}", dir.display()),
    };
    entries.map(|entry| entry.expect("a directory can be read to its end").file_name()).collect()
}

/// A folder's path from bytes, for names that are no UTF-8.
pub fn folder(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_is_not_part_of_a_tree_but_flags_place_bytes_and_mtime_are() {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let make = |root: &str, name: &str, bytes: &str| {
            let path = dir.path().join(root).join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
            fs::write(&path, bytes).expect("write");
            let file = fs::File::options().write(true).open(&path).expect("open");
            file.set_modified(std::time::UNIX_EPOCH).expect("mtime");
        };
        make("a", "cur/1:2,SF", "x");
        make("a", "cur/2", "y");
        make("b", "cur/1:2,FS", "x");
        make("b", "cur/2:2,", "y");
        assert_equal_trees(&dir.path().join("a"), &dir.path().join("b"));
        make("b", "cur/3:2,", "z");
        make("b", ".Sub/new/4", "z");
        let left = Tree::read(&dir.path().join("a"));
        let right = Tree::read(&dir.path().join("b"));
        assert_eq!(left.differences(&right).len(), 2);
        assert_eq!((left.len(), right.len()), (2, 4));
        assert_eq!(right.message(".Sub", b"4").place, Place::New);
    }
}
