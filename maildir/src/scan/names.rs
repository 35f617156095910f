//! The names of a root's messages, for tools that read them by themselves: no cache, no base, no bytes.
//!
//! Deliberately not here: what is in the files, whether a name that is missing is gone, and two names of one uniq: whoever
//! asks for names is given all of them.

use std::collections::BTreeSet;

use smd_protocol::snapshot::Place;
use smd_protocol::{FileName, Folder};

use super::list::list_folder;
use super::walk::{self, Known, is_at_or_below_any};
use super::{DirSeen, Scanner};
use crate::error::{Context, Error, Trouble};
use crate::fs::{Fs, Kind};
use crate::root::{Root, if_there};

/// A message's file, by its whole name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct File {
    /// `new` or `cur`.
    pub place: Place,
    /// Its name there.
    pub name: Box<[u8]>,
}

/// A folder with its files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FolderNames {
    /// The folder.
    pub folder: Folder,
    /// Its files, sorted by uniq, `cur` before `new`.
    pub files: Vec<File>,
    /// Whether it stood still while it was listed: otherwise a name that is missing proves nothing.
    pub stable: bool,
}

/// What a look at names gave.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    /// The folders that could be listed, in order.
    pub folders: Vec<FolderNames>,
    /// What could not be looked at.
    pub troubles: Vec<Trouble>,
    broken: BTreeSet<Folder>,
    odd: BTreeSet<Folder>,
}

impl Names {
    /// Whether nothing can be said about what is in this folder.
    pub fn is_unknown(&self, folder: &Folder) -> bool {
        self.odd.contains(folder)
            || is_at_or_below_any(folder, &self.broken)
            || self.folders.iter().any(|one| one.folder == *folder && !one.stable)
    }
}

impl<F: Fs> Scanner<'_, F> {
    /// Walks the folders as a scan does and lists them.
    ///
    /// # Errors
    /// When the root itself cannot be looked at.
    pub fn names(&self) -> Result<Names, Error> {
        let walked = walk::walk(self, &Known::new())?;
        let mut names =
            Names { folders: Vec::new(), troubles: walked.troubles, broken: walked.broken, odd: walked.odd };
        for folder in walked.dirs.iter().filter(|(_, seen)| DirSeen::is_folder(seen)).map(|(folder, _)| folder) {
            if names.is_unknown(folder) {
                continue;
            }
            let listed = if_there(self.names_of(folder, &mut names.troubles));
            match listed.context("list", self.root.shown(folder, b"")) {
                Ok(listed) => names.folders.extend(listed),
                Err(error) => {
                    names.odd.insert(folder.clone());
                    names.troubles.push(Trouble { path: folder.as_bytes().to_vec(), text: error.to_string() });
                }
            }
        }
        Ok(names)
    }

    fn names_of(&self, folder: &Folder, troubles: &mut Vec<Trouble>) -> std::io::Result<FolderNames> {
        let root: &Root<F> = self.root;
        let dirs = root.folder(folder)?;
        let listing = list_folder(root, &dirs)?;
        let mut files = Vec::new();
        for item in listing.items {
            if let Err(why) = FileName::parse(&item.name) {
                if item.kind == Kind::File && item.name.first() != Some(&b'.') {
                    let text = format!("is left alone: its name {}", why.why);
                    troubles.push(Trouble { path: self.shown(folder, &item), text });
                }
                continue;
            }
            let kind = match (item.kind, dirs.place(item.place)) {
                (Kind::Unknown, Some(dir)) => if_there(root.fs.stat(dir, &item.name))?.map(|stat| stat.kind),
                (kind, _) => Some(kind),
            };
            if kind == Some(Kind::File) {
                files.push(File { place: item.place, name: item.name });
            }
        }
        Ok(FolderNames { folder: folder.clone(), files, stable: listing.stable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::Excludes;
    use crate::fs::Disk;
    use crate::scan::Depth;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    fn look(path: &Path) -> Names {
        let root = Root::open(Arc::new(Disk), path).expect("opens");
        let excludes = Excludes::new(&[(b"M".to_vec(), vec![b"M/left".to_vec()])]).expect("compiles");
        let (skip_dirs, on_read) = (&[], &|_| true);
        let scanner = Scanner {
            root: &root,
            excludes: &excludes,
            skip_dirs,
            depth: Depth::Full,
            siblings: &[],
            after_cut: false,
            renames: false,
            on_read,
        };
        scanner.names().expect("looks")
    }

    #[test]
    fn messages_of_all_folders_are_named_and_nothing_else() {
        let temp = tempfile::tempdir().expect("temp");
        let make = |path: &str| {
            let path = temp.path().join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("makes");
            fs::write(path, "x").expect("writes");
        };
        let all =
            ["cur/a:2,S", "new/a", "cur/.hidden", "tmp/t", "a/b/new/c", "left/cur/d", "dovecot.index", "cur/:2,S"];
        all.into_iter().for_each(make);
        std::os::unix::fs::symlink(temp.path().join("cur/a:2,S"), temp.path().join("cur/link")).expect("links");
        std::os::unix::fs::symlink(temp.path().join("a"), temp.path().join("elsewhere")).expect("links");
        let names = look(temp.path());
        let found: Vec<String> = names
            .folders
            .iter()
            .flat_map(|one| one.files.iter().map(move |file| (one, file)))
            .map(|(one, file)| format!("{} {:?} {}", one.folder, file.place, String::from_utf8_lossy(&file.name)))
            .collect();
        assert_eq!(found, [". Cur a:2,S", ". New a", "a/b New c"]);
        assert_eq!(names.troubles.len(), 1, "{:?}", names.troubles);
        assert!(names.folders.iter().all(|one| one.stable));
    }

    #[test]
    fn of_what_cannot_be_listed_nothing_is_known() {
        let temp = tempfile::tempdir().expect("temp");
        fs::create_dir_all(temp.path().join("a/b/cur")).expect("makes");
        fs::create_dir_all(temp.path().join("ok/cur")).expect("makes");
        std::os::unix::fs::symlink("/tmp", temp.path().join("a/b/new")).expect("links");
        let names = look(temp.path());
        let unknown = |folder: &[u8]| names.is_unknown(&Folder::parse(folder).expect("folder"));
        assert!(unknown(b"a/b") && !unknown(b"ok") && !unknown(b"a/b/c"));
        assert_eq!(names.folders.len(), 1);
    }
}
