//! Steps on a real disk, with and without somebody else at work.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smd_protocol::delta::{Meta, Mtime};
use smd_protocol::step::{Bytes, Dress};
use smd_protocol::{Content, Entry, FileName, Flags, Folder, Name, Outcome, Place, Source, Step, Uniq};

use super::Applier;
use crate::fs::Rename;
use crate::grave::{Grave, State};
use crate::root::Root;
use meddle::Meddling;

mod back;
mod checks;
mod meddle;
mod races;
mod sources;
mod tree;

/// A root in a directory of its own, and what a scan saw there when the applier was made.
struct World {
    temp: tempfile::TempDir,
    fs: Arc<Meddling>,
}

impl World {
    /// A root with these messages: path below it and bytes.
    fn with(messages: &[(&str, &str)]) -> Self {
        let world = Self { temp: tempfile::tempdir().expect("temp"), fs: Arc::new(Meddling::new()) };
        for part in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(world.root().join(part)).expect("makes");
        }
        messages.iter().for_each(|(path, bytes)| world.write(path, bytes));
        world
    }

    fn root(&self) -> PathBuf {
        self.temp.path().join("mail")
    }

    fn write(&self, path: &str, bytes: &str) {
        write_below(&self.root(), path, bytes);
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn grave(&self) -> Grave<Meddling> {
        Grave::open(&self.open_root(), None, "run")
    }

    fn open_root(&self) -> Root<Meddling> {
        Root::open(self.fs.clone(), &self.root()).expect("opens")
    }

    /// An applier that expects what lies here now.
    fn applier(&self) -> Applier<Meddling> {
        self.applier_expecting(self.scan())
    }

    fn applier_expecting(&self, seen: BTreeMap<String, Entry>) -> Applier<Meddling> {
        Applier::new(
            self.open_root(),
            self.grave(),
            "client",
            Box::new(move |name| seen.get(&name.to_string()).cloned()),
        )
    }

    fn scan(&self) -> BTreeMap<String, Entry> {
        let mut seen = BTreeMap::new();
        for (path, bytes) in self.tree() {
            let (dir, file) = path.rsplit_once('/').expect("below a place");
            let (folder, place) = dir.rsplit_once('/').unwrap_or(("", dir));
            let FileName { uniq, flags } = FileName::parse(file.as_bytes()).expect("a message");
            let place = if place == "cur" { Place::Cur } else { Place::New };
            let name = Name::new(&Folder::parse(folder.as_bytes()).expect("folder"), &uniq);
            seen.insert(name.to_string(), Entry { uniq, place, flags, content: Content::of(bytes.as_bytes()) });
        }
        seen
    }

    /// All messages: path and bytes.
    fn tree(&self) -> BTreeMap<String, String> {
        files_below(&self.root()).into_iter().filter(|(path, _)| is_mail(path)).collect()
    }

    /// Everything in any `tmp/`.
    fn in_tmp(&self) -> Vec<String> {
        files_below(&self.root())
            .into_keys()
            .filter(|path| path.starts_with("tmp/") || path.contains("/tmp/"))
            .collect()
    }

    /// What rests in the grave, looked at or not.
    fn buried(&self, state: State) -> Vec<String> {
        let letter = if state == State::Kept { ".k" } else { ".t" };
        let files = files_below(&self.root().join("..smd-grave"));
        files.into_iter().filter(|(path, _)| path.ends_with(letter)).map(|(_, bytes)| bytes).collect()
    }

    /// Lets every sync of this directory fail.
    fn never_syncs(&self, dir: &str) {
        use std::os::unix::fs::MetadataExt as _;
        let ino = std::fs::metadata(self.root().join(dir)).expect("it is there").ino();
        *self.fs.unsyncable.lock().expect("unpoisoned") = Some(ino);
    }

    /// What is done to the disk before the first rename that this picks.
    fn before(
        &self,
        pick: impl Fn(&[u8], &[u8], Rename) -> bool + Send + 'static,
        act: impl FnMut(&Path) -> std::io::Result<()> + Send + 'static,
    ) {
        let (root, mut act) = (self.root(), Some(act));
        *self.fs.before_rename.lock().expect("unpoisoned") =
            Some(Box::new(move |old, new, how| match act.take_if(|_| pick(old, new, how)) {
                Some(mut act) => act(&root),
                None => Ok(()),
            }));
    }

    /// Takes the steps as one batch; contents by target.
    #[track_caller]
    fn run(&self, applier: &mut Applier<Meddling>, steps: Vec<Step>, contents: &[(&str, &str)]) -> Vec<Outcome> {
        applier.begin(steps.clone());
        let lacking = applier.stage_local();
        for (at, step) in steps.iter().enumerate() {
            let wire = step.bytes().is_some_and(|bytes| !matches!(bytes.source, Source::Copy(_)));
            if wire || lacking.contains(&at) {
                let target = step.target().expect("target").to_string();
                let Some((_, bytes)) = contents.iter().find(|(name, _)| *name == target) else { continue };
                send(applier, at, bytes);
            }
        }
        applier.install()
    }
}

fn write_below(root: &Path, path: &str, bytes: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("parent")).expect("makes");
    std::fs::write(path, bytes).expect("writes");
}

fn is_mail(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let (file, dir) = (parts.next(), parts.next());
    file.is_some_and(|file| !file.starts_with('.')) && dir.is_some_and(|dir| dir == "cur" || dir == "new")
}

fn files_below(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let entry = entry.expect("entry");
        let name = entry.file_name().into_string().expect("utf-8");
        let kind = entry.file_type().expect("type");
        if kind.is_dir() {
            found.extend(files_below(&entry.path()).into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else if kind.is_file() {
            found.insert(name, std::fs::read_to_string(entry.path()).expect("reads"));
        }
    }
    found
}

const MTIME: Mtime = Mtime { sec: 1_000_000_000, nsec: 123_456_789 };

#[track_caller]
fn send(applier: &mut Applier<Meddling>, at: usize, bytes: &str) {
    let mut incoming = applier.incoming(at, Meta { size: bytes.len() as u64, mtime: MTIME }).expect("awaited");
    for piece in bytes.as_bytes().chunks(7) {
        incoming.write(piece).expect("not too long");
    }
    incoming.finish(applier);
}

fn name(text: &str) -> Name {
    let (folder, uniq) = text.rsplit_once('/').unwrap_or(("", text));
    Name::new(&Folder::parse(folder.as_bytes()).expect("folder"), &Uniq::parse(uniq.as_bytes()).expect("uniq"))
}

fn folder(text: &str) -> Folder {
    Folder::parse(text.as_bytes()).expect("folder")
}

fn cur(flags: &str) -> Dress {
    Dress { place: Place::Cur, flags: Flags::from_letters(flags) }
}

fn bytes(text: &str, source: Source) -> Bytes {
    Bytes { content: Content::of(text.as_bytes()), source, mtime: None }
}

fn put(to: &str, flags: &str, text: &str) -> Step {
    Step::Put { to: name(to), dress: cur(flags), bytes: bytes(text, Source::Wire) }
}

fn put_copy(to: &str, text: &str, of: &str) -> Step {
    Step::Put { to: name(to), dress: cur(""), bytes: bytes(text, Source::Copy(name(of))) }
}

fn replace(at: &str, flags: &str, text: &str) -> Step {
    Step::Replace { at: name(at), dress: cur(flags), bytes: bytes(text, Source::Wire) }
}

fn moved(from: &str, to: &str, flags: &str) -> Step {
    Step::Move { from: name(from), to: name(to), dress: cur(flags) }
}

fn delete(text: &str) -> Step {
    Step::Delete(name(text))
}

fn is_changed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Changed(_))
}

fn is_failed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(_))
}
