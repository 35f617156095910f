//! Walking the directories of a root from its held descriptor, never following a symlink.
//!
//! A directory whose stamp stands has the sub-directories that it had, and is not listed until its turn comes by age.
//! What cannot be looked at is unknown with all that may be below it; what vanishes meanwhile is merely not found,
//! and whether it is gone is decided by the second look.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use smd_protocol::Folder;
use smd_protocol::delta::Mtime;
use smd_protocol::names::GRAVE_DIR;
use smd_protocol::snapshot::Place;

use super::{Depth, Scanner, stamps};
use crate::cache::DirStamp;
use crate::error::{Context, Error, Trouble};
use crate::fs::{Fs, Kind};
use crate::root::if_there;

/// What is said of a symlink beside the folders.
pub const SYMLINK: &str = "is a symlink, which is not followed";

/// Directories that are known: their own stamps, where these still prove something.
pub(super) type Known = BTreeMap<Folder, Option<DirStamp>>;

/// A directory as the walk saw it.
#[derive(Clone, Debug)]
pub(super) struct DirSeen {
    pub(super) own: DirStamp,
    /// Whether `own` proves that the walk knows all its sub-directories.
    pub(super) settled: bool,
    pub(super) cur: Option<DirStamp>,
    pub(super) new: Option<DirStamp>,
    /// Whether stamps can be relied on where it lies.
    pub(super) trusted: bool,
    pub(super) moment: Mtime,
}

impl DirSeen {
    pub(super) fn is_folder(&self) -> bool {
        self.cur.is_some() || self.new.is_some()
    }

    pub(super) fn places(&self) -> impl Iterator<Item = &DirStamp> {
        self.cur.iter().chain(&self.new)
    }
}

/// All that a walk found.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) dirs: BTreeMap<Folder, DirSeen>,
    /// Directories that could not be looked at, with all below them.
    pub(super) broken: BTreeSet<Folder>,
    /// Folders whose `cur` or `new` is no directory; only these themselves.
    pub(super) odd: BTreeSet<Folder>,
    pub(super) troubles: Vec<Trouble>,
}

impl Walked {
    /// Whether nothing can be said about this folder.
    pub(super) fn unknown(&self, folder: &Folder) -> bool {
        self.odd.contains(folder) || self.broken.iter().any(|above| is_at_or_below(folder, above))
    }

    /// Whether this folder is there: a directory with `cur` or `new`.
    pub(super) fn has_folder(&self, folder: &Folder) -> bool {
        self.dirs.get(folder).is_some_and(DirSeen::is_folder)
    }

    /// The folders that are there.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Folder> {
        self.dirs.iter().filter(|(_, seen)| seen.is_folder()).map(|(folder, _)| folder)
    }

    /// Takes note that a directory has had neither `cur` nor `new` since it was walked. It is looked for like every folder
    /// that is not there; and it stays known, since it may be a folder again and nothing above it tells of that.
    pub(super) fn note_no_folder(&mut self, folder: &Folder) {
        if let Some(seen) = self.dirs.get_mut(folder) {
            (seen.cur, seen.new) = (None, None);
        }
    }

    /// What is known for a walk after this one.
    pub(super) fn known(&self) -> Known {
        self.dirs
            .iter()
            .map(|(folder, seen)| (folder.clone(), (seen.settled && seen.trusted).then_some(seen.own)))
            .collect()
    }
}

/// Whether a folder is another one or lies below it.
pub(super) fn is_at_or_below(folder: &Folder, above: &Folder) -> bool {
    match folder.as_bytes().strip_prefix(above.as_bytes()) {
        Some(rest) => above.is_root() || rest.is_empty() || rest[0] == b'/',
        None => false,
    }
}

struct Walk<'a, 's, F: Fs> {
    scanner: &'a Scanner<'s, F>,
    known: &'a Known,
    /// The names of known directories by the directory above.
    children: HashMap<&'a [u8], Vec<Vec<u8>>>,
    found: Walked,
}

/// What became of one directory of a walk.
enum Met {
    Seen,
    /// It is gone, or is no directory: not there as far as the walk can tell.
    NotThere,
    Broken,
}

/// Walks all directories.
///
/// # Errors
/// When the root itself cannot be looked at.
pub(super) fn walk<F: Fs>(scanner: &Scanner<'_, F>, known: &Known) -> Result<Walked, Error> {
    let root = scanner.root;
    let mut walk = Walk { scanner, known, children: children(known), found: Walked::default() };
    let path = || root.shown(&Folder::root(), b"");
    let moment = root.fs.now();
    let stat = root.fs.stat_dir(&root.dir).context("look at", path())?;
    let trusted = root.fs.habits(&root.dir).context("look at", path())?.trusted;
    match walk.dir(&root.dir, &Folder::root(), stat.into(), moment, trusted) {
        Ok(()) => Ok(walk.found),
        Err(cause) => Err(cause).context("look at", path()),
    }
}

fn children(known: &Known) -> HashMap<&[u8], Vec<Vec<u8>>> {
    let mut children: HashMap<&[u8], Vec<Vec<u8>>> = HashMap::new();
    for folder in known.keys().filter(|folder| !folder.is_root()) {
        let path = folder.as_bytes();
        let (above, name) = match path.iter().rposition(|&b| b == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        children.entry(above).or_default().push(name.to_vec());
    }
    children
}

impl<F: Fs> Walk<'_, '_, F> {
    /// Looks at one directory, stamped after `moment`, and what is below it. An error concerns this directory.
    fn dir(&mut self, dir: &F::Dir, folder: &Folder, own: DirStamp, moment: Mtime, trusted: bool) -> io::Result<()> {
        let fs = &*self.scanner.root.fs;
        let mut seen = DirSeen { own, settled: stamps::proves([&own], moment), cur: None, new: None, trusted, moment };
        // One that is left alone without what is below it is no folder to us.
        let places = if self.scanner.excludes.excludes_alone(folder) { &[][..] } else { &[Place::New, Place::Cur] };
        for &place in places {
            let Some(stat) = if_there(fs.stat(dir, place.dir()))? else { continue };
            match (stat.kind, place) {
                (Kind::Dir, Place::New) => seen.new = Some(stat.into()),
                (Kind::Dir, Place::Cur) => seen.cur = Some(stat.into()),
                (Kind::Symlink, _) => {
                    self.odd(folder, place, "is a symlink, which is not followed; put a directory there")
                }
                _ => self.odd_file(folder, place),
            }
        }
        let children = match self.known.get(folder) {
            Some(Some(known)) if trusted && *known == own => {
                self.children.get(folder.as_bytes()).cloned().unwrap_or_default()
            }
            _ => self.list(dir, folder)?,
        };
        for name in children {
            match self.child(dir, folder, &name, own.dev, trusted) {
                Met::Seen => {}
                Met::NotThere | Met::Broken => seen.settled = false,
            }
        }
        if self.found.odd.contains(folder) {
            seen.settled = false;
            (seen.cur, seen.new) = (None, None);
        }
        self.found.dirs.insert(folder.clone(), seen);
        Ok(())
    }

    fn odd(&mut self, folder: &Folder, place: Place, text: &str) {
        self.found.odd.insert(folder.clone());
        let path = self.scanner.root.shown(folder, place.dir());
        self.found.troubles.push(Trouble { path, text: text.to_owned() });
    }

    /// A file named `cur` or `new`: of interest only where there may have been a folder.
    fn odd_file(&mut self, folder: &Folder, place: Place) {
        if self.known.contains_key(folder) {
            self.odd(folder, place, "is not a directory; move it away");
        }
    }

    fn list(&mut self, dir: &F::Dir, folder: &Folder) -> io::Result<Vec<Vec<u8>>> {
        let fs = &*self.scanner.root.fs;
        let (mut dirs, mut unclear, mut links) = (Vec::new(), Vec::new(), Vec::new());
        fs.list(dir, &mut |name, kind, _| {
            if matches!(name, b"cur" | b"new" | b"tmp") || name == GRAVE_DIR {
                return;
            }
            match kind {
                Kind::Dir => dirs.push(name.to_vec()),
                Kind::Unknown => unclear.push(name.to_vec()),
                Kind::Symlink => links.push(name.to_vec()),
                Kind::File | Kind::Other => {}
            }
        })?;
        // An ordinary run need not say so each time.
        if self.scanner.depth == Depth::Folders {
            for name in links {
                let path = self.scanner.root.shown(folder, &name);
                self.found.troubles.push(Trouble { path, text: SYMLINK.to_owned() });
            }
        }
        for name in unclear {
            if if_there(fs.stat(dir, &name))?.is_some_and(|stat| stat.kind == Kind::Dir) {
                dirs.push(name);
            }
        }
        dirs.sort();
        dirs.dedup();
        Ok(dirs)
    }

    fn child(&mut self, parent: &F::Dir, above: &Folder, name: &[u8], parent_dev: u64, trusted: bool) -> Met {
        let folder = match above.child(name) {
            Ok(folder) => folder,
            Err(why) => {
                let path = self.scanner.root.shown(above, name);
                self.found.troubles.push(Trouble { path, text: format!("is left alone: {}", why.why) });
                return Met::Seen;
            }
        };
        if self.scanner.excludes.prunes(&folder) {
            return Met::Seen;
        }
        let fs = &*self.scanner.root.fs;
        let moment = fs.now();
        let opened = fs.open_dir(parent, name).and_then(|dir| {
            let stat = fs.stat_dir(&dir)?;
            let trusted = if stat.dev == parent_dev { trusted } else { fs.habits(&dir)?.trusted };
            Ok((dir, stat, trusted))
        });
        let result = match opened {
            Ok((_, stat, _)) if self.scanner.skip_dirs.contains(&(stat.dev, stat.ino)) => return Met::Seen,
            Ok((dir, stat, trusted)) => self.dir(&dir, &folder, stat.into(), moment, trusted),
            // What is no directory (any more) is settled by the second look, if the base has it.
            Err(_) if matches!(if_there(fs.stat(parent, name)), Ok(found) if found.is_none_or(|stat| stat.kind != Kind::Dir)) =>
            {
                return Met::NotThere;
            }
            Err(e) => Err(e),
        };
        let Err(cause) = result else { return Met::Seen };
        // Every new ext file system has one that only root may read; it was never a folder and hides no mail.
        if name != b"lost+found" || self.known.contains_key(&folder) {
            let path = self.scanner.root.shown(&folder, b"");
            self.found
                .troubles
                .push(Trouble { path, text: format!("cannot be looked at and is left as it was: {cause}") });
            self.found.broken.insert(folder);
        }
        Met::Broken
    }
}
