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

use super::{Scanner, stamps};
use crate::cache::DirStamp;
use crate::error::{Context, Error, Trouble};
use crate::fs::{Fs, Kind};
use crate::root::if_there;

/// Directories that are held open on the way down to one; those further up are opened again when their turn comes.
const HELD: usize = 16;

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
    /// Something was not entered although nobody wants it left out: it has no name of its own in what follows.
    pub(super) unentered: bool,
    /// What is left out by design.
    pub(super) left_out: Vec<Trouble>,
}

impl Walked {
    /// Whether nothing can be said about this folder.
    pub(super) fn unknown(&self, folder: &Folder) -> bool {
        self.odd.contains(folder) || is_at_or_below_any(folder, &self.broken)
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

/// Whether a folder is one of these or lies below one. Asked of every folder, so by its own length and not by their number.
pub(super) fn is_at_or_below_any(folder: &Folder, above: &BTreeSet<Folder>) -> bool {
    !above.is_empty() && (folder.and_above().any(|one| above.contains(&one)) || above.contains(&Folder::root()))
}

struct Walk<'a, 's, F: Fs> {
    scanner: &'a Scanner<'s, F>,
    known: &'a Known,
    /// The names of known directories by the directory above.
    children: HashMap<&'a [u8], Vec<Vec<u8>>>,
    found: Walked,
}

/// A directory between its own look and that of the last one below it.
struct Frame<F: Fs> {
    folder: Folder,
    /// None while it is let go of, since too much below it is held.
    dir: Option<F::Dir>,
    seen: DirSeen,
    below: std::vec::IntoIter<Vec<u8>>,
}

/// What became of one directory of a walk.
enum Met<F: Fs> {
    /// It was looked at; what is below it comes next.
    Entered(Box<Frame<F>>),
    /// It is left alone by design.
    Passed,
    /// It is gone, or is no directory: not there as far as the walk can tell.
    NotThere,
    /// It could not be looked at, or has no name that we could give it.
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
    let top = walk.enter(root.dir.clone(), Folder::root(), stat.into(), moment, trusted).context("look at", path())?;
    walk.below(top);
    Ok(walk.found)
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
    /// Looks at all that is below a directory: depth first, by a stack of our own, so that no depth of a tree is too much for
    /// this thread's, and with few descriptors.
    fn below(&mut self, top: Frame<F>) {
        let mut stack = vec![top];
        while let Some(mut frame) = stack.pop() {
            let Some(name) = frame.below.next() else {
                self.leave(frame);
                continue;
            };
            if frame.dir.is_none() {
                frame.dir = match self.hold_again(&frame) {
                    Ok(dir) => Some(dir),
                    Err(cause) => {
                        self.broken(&frame.folder, &cause);
                        if let Some(above) = stack.last_mut() {
                            above.seen.settled = false;
                        }
                        continue;
                    }
                };
            }
            let met = self.child(&frame, &name);
            frame.seen.settled &= matches!(met, Met::Entered(_) | Met::Passed);
            stack.push(frame);
            if let Met::Entered(frame) = met {
                stack.push(*frame);
                if let Some(far) = stack.len().checked_sub(HELD + 1).filter(|far| *far > 0) {
                    stack[far].dir = None;
                }
            }
        }
    }

    /// Opens a directory that was let go of; another one in its place is not the one that was walked.
    fn hold_again(&self, frame: &Frame<F>) -> io::Result<F::Dir> {
        let root = self.scanner.root;
        let dir = root.local_dir(&frame.folder)?;
        let now = root.fs.stat_dir(&dir)?;
        match (now.dev, now.ino) == (frame.seen.own.dev, frame.seen.own.ino) {
            true => Ok(dir),
            false => Err(io::Error::other("it is another directory than a moment ago; run again")),
        }
    }

    /// Looks at one directory, stamped after `moment`. An error concerns this directory.
    fn enter(
        &mut self,
        dir: F::Dir,
        folder: Folder,
        own: DirStamp,
        moment: Mtime,
        trusted: bool,
    ) -> io::Result<Frame<F>> {
        let fs = &*self.scanner.root.fs;
        let mut seen = DirSeen { own, settled: stamps::proves([&own], moment), cur: None, new: None, trusted, moment };
        // One that is left alone without what is below it is no folder to us.
        let places = if self.scanner.excludes.excludes_alone(&folder) { &[][..] } else { &[Place::New, Place::Cur] };
        for &place in places {
            let Some(stat) = if_there(fs.stat(&dir, place.dir()))? else { continue };
            match (stat.kind, place) {
                (Kind::Dir, Place::New) => seen.new = Some(stat.into()),
                (Kind::Dir, Place::Cur) => seen.cur = Some(stat.into()),
                (Kind::Symlink, _) => {
                    self.odd(&folder, place, "is a symlink, which is not followed; put a directory there")
                }
                _ => self.odd_file(&folder, place),
            }
        }
        let below = match self.known.get(&folder) {
            Some(Some(known)) if trusted && *known == own => {
                self.children.get(folder.as_bytes()).cloned().unwrap_or_default()
            }
            _ => {
                let (below, left_out) = self.list(&dir, &folder)?;
                // What is left out is said by every run, so the names are read by every one.
                seen.settled &= !left_out;
                below
            }
        };
        Ok(Frame { folder, dir: Some(dir), seen, below: below.into_iter() })
    }

    /// Takes note of a directory of which everything below was looked at.
    fn leave(&mut self, frame: Frame<F>) {
        let Frame { folder, mut seen, .. } = frame;
        if self.found.odd.contains(&folder) {
            seen.settled = false;
            (seen.cur, seen.new) = (None, None);
        }
        self.found.dirs.insert(folder, seen);
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

    /// The names of the directories in one, and whether anything in it is left out.
    fn list(&mut self, dir: &F::Dir, folder: &Folder) -> io::Result<(Vec<Vec<u8>>, bool)> {
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
        for name in unclear {
            match if_there(fs.stat(dir, &name))?.map(|stat| stat.kind) {
                Some(Kind::Dir) => dirs.push(name),
                Some(Kind::Symlink) => links.push(name),
                _ => {}
            }
        }
        let before = self.found.left_out.len();
        links.sort();
        links.dedup();
        links.iter().for_each(|name| self.link(dir, folder, name));
        dirs.sort();
        dirs.dedup();
        Ok((dirs, self.found.left_out.len() > before))
    }

    /// A symlink where a folder could be. One to a file hides no folder, and is no more mail than that file would be.
    fn link(&mut self, dir: &F::Dir, folder: &Folder, name: &[u8]) {
        let text = match self.scanner.root.fs.follow(dir, name) {
            Ok(Some(Kind::Dir)) | Ok(None) => "is a symlink, which is not followed",
            Ok(Some(_)) => return,
            Err(_) => "is a symlink that leads nowhere",
        };
        // One that is left alone, be it by a pattern, is so by somebody's will.
        if folder.child(name).is_ok_and(|link| self.scanner.excludes.excludes(&link)) {
            return;
        }
        let path = self.scanner.root.shown(folder, name);
        self.found.left_out.push(Trouble { path, text: text.to_owned() });
    }

    fn child(&mut self, above: &Frame<F>, name: &[u8]) -> Met<F> {
        let Some(parent) = &above.dir else { return Met::Broken };
        let folder = match above.folder.child(name) {
            Ok(folder) => folder,
            Err(why) => {
                let path = self.scanner.root.shown(&above.folder, name);
                let text = format!("is left as it is, with all below it: its path {}; move it up", why.why);
                self.found.troubles.push(Trouble { path, text });
                // What is missing elsewhere may have been moved there.
                self.found.unentered = true;
                return Met::Broken;
            }
        };
        if self.scanner.excludes.prunes(&folder) {
            return Met::Passed;
        }
        let fs = &*self.scanner.root.fs;
        let moment = fs.now();
        let opened = fs.open_dir(parent, name).and_then(|dir| {
            let stat = fs.stat_dir(&dir)?;
            let (at, trusted) = (above.seen.own.dev, above.seen.trusted);
            let trusted = if stat.dev == at { trusted } else { fs.habits(&dir)?.trusted };
            Ok((dir, stat, trusted))
        });
        let result = match opened {
            Ok((_, stat, _)) if self.scanner.skip_dirs.contains(&(stat.dev, stat.ino)) => return Met::Passed,
            Ok((dir, stat, trusted)) => self.enter(dir, folder.clone(), stat.into(), moment, trusted),
            // What is no directory (any more) is settled by the second look, if the base has it.
            Err(_) if matches!(if_there(fs.stat(parent, name)), Ok(found) if found.is_none_or(|stat| stat.kind != Kind::Dir)) =>
            {
                return Met::NotThere;
            }
            Err(e) => Err(e),
        };
        match result {
            Ok(frame) => Met::Entered(Box::new(frame)),
            Err(cause) => {
                // Every new ext file system has one that only root may read; it was never a folder and hides no mail.
                if name != b"lost+found" || self.known.contains_key(&folder) {
                    self.broken(&folder, &cause);
                }
                Met::Broken
            }
        }
    }

    fn broken(&mut self, folder: &Folder, cause: &io::Error) {
        let path = self.scanner.root.shown(folder, b"");
        let text = format!("cannot be looked at and is left as it was: {cause}");
        self.found.troubles.push(Trouble { path, text });
        self.found.broken.insert(folder.clone());
    }
}
