//! Scans of real directories: a world of one root, one cache and one base.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use smd_protocol::delta::Presence;
use smd_protocol::digest::Digest;
use smd_protocol::{Content, Name, Uniq};

use super::*;
use crate::apply::Installed;
use hooked::Hooked;

mod changes;
mod errors;
mod hooked;
mod movement;
mod quick;

/// What a caller of a scan has for an error.
#[derive(Debug)]
struct Failed(Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Infallible> for Failed {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

struct World {
    temp: tempfile::TempDir,
    fs: Arc<Hooked>,
    base: Snapshot,
    counter: u64,
    excludes: Excludes,
    skip_dirs: Vec<(u64, u64)>,
    depth: Depth,
    renames: bool,
    /// Whether a base exists at all.
    adopted: bool,
}

impl World {
    fn new() -> Self {
        let fs = Arc::new(Hooked::default());
        fs.ahead.store(60, Ordering::Relaxed);
        let world = Self {
            temp: tempfile::tempdir().expect("temp"),
            fs,
            base: Snapshot::default(),
            counter: 1,
            excludes: Excludes::default(),
            skip_dirs: Vec::new(),
            depth: Depth::Quick,
            renames: true,
            adopted: true,
        };
        std::fs::create_dir(world.path("")).expect("makes");
        world
    }

    fn path(&self, below: &str) -> PathBuf {
        self.temp.path().join("root").join(below)
    }

    fn put(&self, path: &str, bytes: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("makes");
        std::fs::write(path, bytes).expect("writes");
    }

    fn rename(&self, from: &str, to: &str) {
        let to = self.path(to);
        std::fs::create_dir_all(to.parent().expect("parent")).expect("makes");
        std::fs::rename(self.path(from), to).expect("renames");
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.path(path)).expect("removes");
    }

    fn root(&self) -> Root<Hooked> {
        Root::open(self.fs.clone(), &self.path("")).expect("opens")
    }

    fn cache(&self) -> Cache<Hooked> {
        Cache::open(self.fs.clone(), &self.fs.open_root(self.temp.path()).expect("opens"), b"r.stat").expect("opens")
    }

    fn with<T>(&self, root: &Root<Hooked>, run: impl FnOnce(&Scanner<'_, Hooked>) -> T) -> T {
        run(&Scanner {
            root,
            excludes: &self.excludes,
            skip_dirs: &self.skip_dirs,
            depth: self.depth,
            siblings: &[],
            after_cut: false,
            renames: self.renames,
            on_read: &|_| true,
        })
    }

    fn id(&self) -> Option<BaseId> {
        self.adopted.then(|| self.base.id(self.counter))
    }

    fn try_scan(&self) -> Result<(Look, bool), Failed> {
        let root = self.root();
        let mut asked = false;
        let look = self.with(&root, |scanner| {
            scanner.scan::<Failed>(&self.cache(), self.id(), || {
                asked = true;
                Ok(&self.base)
            })
        })?;
        Ok((look, asked))
    }

    fn scan(&self) -> Look {
        self.try_scan().expect("scans").0
    }

    /// Scans, takes what was found as the next base, and commits that.
    fn settle(&mut self) -> Look {
        let mut look = self.scan();
        look.remember(&mut self.cache(), &self.excludes).expect("saves");
        self.commit(&mut look, &[], &[]);
        look
    }

    fn commit(&mut self, look: &mut Look, touched: &[&str], installed: &[Installed]) {
        self.base.apply(&look.delta);
        self.counter += 1;
        let touched = touched.iter().map(|f| folder(f)).collect();
        let done = Committed { touched: &touched, base: &self.base, id: self.base.id(self.counter), installed };
        let root = self.root();
        self.with(&root, |scanner| scanner.after_commit(&mut self.cache(), look, &done)).expect("saves");
    }

    /// The delta as text, one word a change: `+folder`, `-folder/`, `folder/uniq=place flags bytes`, `-folder/uniq`.
    #[track_caller]
    fn check(&self, expect: &str) -> Look {
        let look = self.scan();
        assert_eq!(shown(&look), expect);
        look
    }
}

fn shown(look: &Look) -> String {
    let mut words = Vec::new();
    for (folder, change) in &look.delta.folders {
        match change.presence {
            Presence::Added => words.push(format!("+{folder}")),
            Presence::Removed => words.push(format!("-{folder}")),
            Presence::Same => {}
            Presence::Reset => words.push("reset".to_owned()),
        }
        words.extend(change.gone.iter().map(|uniq| format!("-{folder}/{uniq}")));
        for seen in &change.set {
            let e = &seen.entry;
            assert!(seen.meta.is_some(), "every set entry has size and mtime");
            words.push(format!("{folder}/{}={}:{}", e.uniq, String::from_utf8_lossy(e.place.dir()), e.flags));
        }
    }
    words.join(" ")
}

fn folder(name: &str) -> Folder {
    Folder::parse(name.as_bytes()).expect("folder")
}

fn uniq(name: &str) -> Uniq {
    Uniq::parse(name.as_bytes()).expect("uniq")
}

fn name(in_folder: &str, of: &str) -> Name {
    Name::new(&folder(in_folder), &uniq(of))
}

/// What a step installed: this file, with these bytes.
fn installed(world: &World, path: &str, name: Name, bytes: &str) -> Installed {
    let (dir, file) = path.rsplit_once('/').expect("below a place");
    let dir = world.fs.open_root(&world.path(dir)).expect("opens");
    let stat = world.fs.stat(&dir, file.as_bytes()).expect("looks");
    Installed { name, content: Content::of(bytes.as_bytes()), stat }
}

fn texts(look: &Look) -> String {
    look.troubles.iter().map(|t| format!("{}: {}\n", String::from_utf8_lossy(&t.path), t.text)).collect()
}

fn counted(world: &World) -> (usize, usize) {
    (world.fs.opened.swap(0, Ordering::Relaxed), world.fs.listed.swap(0, Ordering::Relaxed))
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
