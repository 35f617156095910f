//! Every inode below a directory with what the kernel says of it, to prove that a run rewrote nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What must stay as it was: inode, size, and mtime and ctime in seconds and nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

/// The stamps of all that lies below some directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps(BTreeMap<PathBuf, Stamp>);

impl Stamps {
    /// Takes the stamps of a directory and all below it; nothing is followed.
    #[track_caller]
    pub fn below(dir: &Path) -> Self {
        let mut all = BTreeMap::new();
        walk(dir, &mut |path, meta| {
            all.insert(path.to_owned(), stamp(meta));
        });
        Self(all)
    }

    /// Fails with the paths that came, went or changed since.
    #[track_caller]
    pub fn assert_unchanged(&self, dir: &Path) {
        self.assert_unchanged_where(dir, |_| true);
    }

    /// As [`Stamps::assert_unchanged`], of everything but the files of a log: a run may write a line there.
    #[track_caller]
    pub fn assert_unchanged_but_for_the_log(&self, dir: &Path) {
        self.assert_unchanged_where(dir, |path| path.parent().is_none_or(|dir| !dir.ends_with(".smd/log")));
    }

    #[track_caller]
    fn assert_unchanged_where(&self, dir: &Path, counts: impl Fn(&Path) -> bool) {
        let now = Self::below(dir);
        let paths = self.0.keys().chain(now.0.keys()).collect::<std::collections::BTreeSet<_>>();
        let changed: Vec<String> = paths
            .into_iter()
            .filter(|path| counts(path) && self.0.get(*path) != now.0.get(*path))
            .map(|path| format!("{path:?}\n   was {:?}\n   is  {:?}", self.0.get(path), now.0.get(path)))
            .collect();
        assert!(changed.is_empty(), "{} paths were touched:\n{}", changed.len(), changed.join("\n"));
    }
}

/// The bytes of every file below a directory that `choose` wants, with its mtime; a directory that is not there has none.
#[track_caller]
pub fn files(dir: &Path, choose: impl Fn(&Path) -> bool) -> BTreeMap<PathBuf, (Vec<u8>, (i64, i64))> {
    let mut all = BTreeMap::new();
    if !dir.exists() {
        return all;
    }
    walk(dir, &mut |path, meta| {
        if meta.is_file() && choose(path) {
            let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            all.insert(path.to_owned(), (bytes, (meta.mtime(), meta.mtime_nsec())));
        }
    });
    all
}

/// The base files below a state directory: `*.db.txt`.
#[track_caller]
pub fn bases(smd_home: &Path) -> BTreeMap<PathBuf, (Vec<u8>, (i64, i64))> {
    files(smd_home, |path| path.to_string_lossy().ends_with(".db.txt"))
}

#[track_caller]
fn walk(dir: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata)) {
    let meta = dir.symlink_metadata().unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    visit(dir, &meta);
    if meta.is_dir() {
        let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        for entry in entries {
            walk(&entry.expect("a directory can be read to its end").path(), visit);
        }
    }
}

fn stamp(meta: &fs::Metadata) -> Stamp {
    Stamp {
        inode: meta.ino(),
        size: meta.size(),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        ctime: (meta.ctime(), meta.ctime_nsec()),
    }
}
