//! What mail programs and people do to a Maildir: deliver, read, flag, move, copy, delete, edit, swap, and folders.
//!
//! All of it is done as mail programs do it: written in `tmp/`, given its name by one rename. The exception is the edit in
//! place, which no mail program makes. A message may be named as it is spelled at another host; it is found by its uniq.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::mail;
use crate::populate;
use crate::rng::Rng;
use crate::tree::{self, Found, Place};

/// What a user did to which messages, by id, for oracles.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Messages of which at least one copy was deleted.
    pub deleted: BTreeSet<Vec<u8>>,
    /// Messages that may be there more than once, or with several contents: copied, edited or swapped.
    pub multiplied: BTreeSet<Vec<u8>>,
    /// All messages that this user delivered.
    pub delivered: BTreeSet<Vec<u8>>,
}

/// A person with a mail program at one host.
#[derive(Debug)]
pub struct User {
    root: PathBuf,
    label: String,
    rng: Rng,
    count: u64,
    /// What was done so far.
    pub ledger: Ledger,
}

impl User {
    /// A user of this root; `label` is in every name and id that this user makes, and is unlike those of all others.
    pub fn new(root: &Path, label: &str, rng: Rng) -> Self {
        Self { root: root.to_owned(), label: label.to_owned(), rng, count: 0, ledger: Ledger::default() }
    }

    /// All messages at present.
    #[track_caller]
    pub fn list(&self) -> Vec<Found> {
        tree::list(&self.root)
    }

    /// A message at random; there must be one.
    #[track_caller]
    pub fn any(&mut self) -> Found {
        let all = self.list();
        self.rng.pick(&all).clone()
    }

    /// The message of this uniq in this folder.
    #[track_caller]
    pub fn find(&self, folder: impl AsRef<Path>, uniq: &[u8]) -> Found {
        let folder = folder.as_ref();
        let found = self.list().into_iter().find(|found| found.folder == folder && found.uniq() == uniq);
        found.unwrap_or_else(|| panic!("{:?} is not in {folder:?}", OsStr::from_bytes(uniq)))
    }

    /// The message as it is spelled here.
    #[track_caller]
    fn here(&self, found: &Found) -> Found {
        let as_is = found.path(&self.root).symlink_metadata().is_ok();
        if as_is { found.clone() } else { self.find(&found.folder, found.uniq()) }
    }

    /// The bytes of a message.
    #[track_caller]
    pub fn bytes(&self, found: &Found) -> Vec<u8> {
        let path = self.here(found).path(&self.root);
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Delivers an ordinary message into `new/` and says what became of it.
    #[track_caller]
    pub fn deliver(&mut self, folder: impl AsRef<Path>) -> Found {
        let id = self.fresh("mail");
        let bytes = mail::plain(&id, &mut self.rng);
        self.ledger.delivered.insert(id.into_bytes());
        self.deliver_bytes(folder, &bytes)
    }

    /// Delivers these bytes into `new/`.
    #[track_caller]
    pub fn deliver_bytes(&mut self, folder: impl AsRef<Path>, bytes: &[u8]) -> Found {
        let name = OsString::from(self.fresh("M"));
        let found = Found { folder: folder.as_ref().to_owned(), place: Place::New, name };
        populate::make_folder(&self.root, &found.folder);
        self.install(&found, bytes);
        found
    }

    /// Moves a message to `cur/` and sets `S`, as a mail program does that shows it.
    #[track_caller]
    pub fn read(&mut self, found: &Found) -> Found {
        let mut flags = found.flags();
        flags.push(b'S');
        self.set_flags(found, &String::from_utf8_lossy(&flags))
    }

    /// Gives a message these flags, in `cur/`.
    #[track_caller]
    pub fn set_flags(&mut self, found: &Found, flags: &str) -> Found {
        let found = &self.here(found);
        let mut letters: Vec<u8> = flags.bytes().collect();
        letters.sort_unstable();
        letters.dedup();
        let name = [found.uniq(), b":2,", &letters].concat();
        let to = Found { place: Place::Cur, name: OsString::from_vec(name), ..found.clone() };
        self.rename(found, &to);
        to
    }

    /// Moves a message to another folder, under the same name or under a new uniq.
    #[track_caller]
    pub fn move_to(&mut self, found: &Found, folder: impl AsRef<Path>, same_name: bool) -> Found {
        let found = &self.here(found);
        let folder = folder.as_ref().to_owned();
        populate::make_folder(&self.root, &folder);
        let name = if same_name { found.name.clone() } else { self.fresh_name(found) };
        let to = Found { folder, name, ..found.clone() };
        self.rename(found, &to);
        to
    }

    /// Copies a message into a folder under a new uniq; the mtime is that of now.
    #[track_caller]
    pub fn copy_to(&mut self, found: &Found, folder: impl AsRef<Path>) -> Found {
        let found = &self.here(found);
        let bytes = self.bytes(found);
        let to = Found { folder: folder.as_ref().to_owned(), name: self.fresh_name(found), ..found.clone() };
        populate::make_folder(&self.root, &to.folder);
        self.multiplied(&bytes);
        self.install(&to, &bytes);
        to
    }

    /// Deletes a message.
    #[track_caller]
    pub fn delete(&mut self, found: &Found) {
        let found = &self.here(found);
        if let Some(id) = mail::id(&self.bytes(found)) {
            self.ledger.deleted.insert(id.to_vec());
        }
        let path = found.path(&self.root);
        fs::remove_file(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// Adds a header line by writing the message anew and renaming it over the old one.
    #[track_caller]
    pub fn edit_header(&mut self, found: &Found) {
        let found = &self.here(found);
        let bytes = self.bytes(found);
        self.multiplied(&bytes);
        let line = format!("X-Label: {}", self.fresh("label"));
        self.install(found, &mail::with_header_line(&bytes, &line));
    }

    /// Adds a header line within the same file; its directory does not notice.
    #[track_caller]
    pub fn edit_in_place(&mut self, found: &Found) {
        let found = &self.here(found);
        let bytes = self.bytes(found);
        self.multiplied(&bytes);
        let line = format!("X-Label: {}", self.fresh("label"));
        let path = found.path(&self.root);
        let mut file =
            fs::File::options().write(true).open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        file.rewind()
            .and_then(|()| file.write_all(&mail::with_header_line(&bytes, &line)))
            .expect("the edit is written");
    }

    /// Exchanges the names of two messages.
    #[track_caller]
    pub fn swap(&mut self, one: &Found, two: &Found) {
        let (one, two) = (&self.here(one), &self.here(two));
        for found in [one, two] {
            let bytes = self.bytes(found);
            self.multiplied(&bytes);
        }
        renameat_with(CWD, one.path(&self.root), CWD, two.path(&self.root), RenameFlags::EXCHANGE)
            .expect("two names can be exchanged");
    }

    /// Makes an empty folder.
    #[track_caller]
    pub fn make_folder(&mut self, folder: impl AsRef<Path>) {
        populate::make_folder(&self.root, folder.as_ref());
    }

    /// Removes a folder and all messages in it.
    #[track_caller]
    pub fn remove_folder(&mut self, folder: impl AsRef<Path>) {
        for found in self.list() {
            if found.folder.starts_with(folder.as_ref()) {
                self.delete(&found);
            }
        }
        fs::remove_dir_all(self.root.join(folder)).expect("the folder can be removed");
    }

    /// Renames a folder.
    #[track_caller]
    pub fn rename_folder(&mut self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        fs::rename(self.root.join(from), self.root.join(to)).expect("the folder can be renamed");
    }

    /// Does `count` things at random, to random messages.
    #[track_caller]
    pub fn edit(&mut self, count: usize) {
        for _ in 0..count {
            let folders = tree::folders(&self.root);
            let folder = self.rng.pick(&folders).clone();
            let choice = self.rng.within(0..100);
            if choice < 20 || self.list().len() < 5 {
                self.deliver(&folder);
                continue;
            }
            let found = self.any();
            match choice {
                20..35 => drop(self.read(&found)),
                35..55 => {
                    let flags = populate::flags(&mut self.rng);
                    self.set_flags(&found, &flags);
                }
                55..70 => {
                    let same_name = self.rng.chance(50);
                    if found.folder != folder && !(same_name && self.taken(&folder, found.uniq())) {
                        self.move_to(&found, &folder, same_name);
                    }
                }
                70..78 => drop(self.copy_to(&found, &folder)),
                78..88 => self.delete(&found),
                88..94 => self.edit_header(&found),
                94..97 => {
                    let other = self.any();
                    // A name that became empty counts as damaged, however it came about.
                    let empty = [&found, &other].iter().any(|one| self.bytes(one).is_empty());
                    if other != found && !empty {
                        self.swap(&found, &other);
                    }
                }
                _ => {
                    let folder = format!("folder {}", self.fresh("F"));
                    self.make_folder(&folder);
                }
            }
        }
    }

    fn taken(&self, folder: &Path, uniq: &[u8]) -> bool {
        self.list().iter().any(|found| found.folder == folder && found.uniq() == uniq)
    }

    fn multiplied(&mut self, bytes: &[u8]) {
        if let Some(id) = mail::id(bytes) {
            self.ledger.multiplied.insert(id.to_vec());
        }
    }

    fn fresh(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{}.{kind}{}", self.label, self.count)
    }

    fn fresh_name(&mut self, found: &Found) -> OsString {
        let bytes = found.name.as_bytes();
        let info = bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len());
        let mut name = self.fresh("N").into_bytes();
        name.extend_from_slice(&bytes[info..]);
        OsString::from_vec(name)
    }

    #[track_caller]
    fn install(&mut self, found: &Found, bytes: &[u8]) {
        let dir = self.root.join(&found.folder).join("tmp");
        fs::create_dir_all(&dir).expect("tmp/ can be made");
        let staged = dir.join(self.fresh("tmp"));
        populate::write(&staged, bytes, &mut self.rng);
        fs::rename(&staged, found.path(&self.root)).expect("a message can be given its name");
    }

    #[track_caller]
    fn rename(&mut self, from: &Found, to: &Found) {
        let path = to.path(&self.root);
        fs::create_dir_all(path.parent().expect("a message lies in a directory")).expect("the directory can be made");
        fs::rename(from.path(&self.root), &path).unwrap_or_else(|e| panic!("{from:?} -> {to:?}: {e}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::populate::{Spec, populate};
    use crate::tree::Tree;

    #[test]
    fn editing_at_random_leaves_a_maildir_that_can_be_read_and_a_ledger_of_what_was_done() {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let rng = Rng::from_env_or(5);
        populate(dir.path(), "first", Spec { messages: 60, folders: 14, big: 1 << 10, odd: true }, &mut rng.fork(0));
        assert_eq!((tree::folders(dir.path()).len(), tree::list(dir.path()).len()), (14, 60));
        let mut user = User::new(dir.path(), "us", rng.fork(1));
        user.edit(200);
        assert!(!user.ledger.deleted.is_empty() && !user.ledger.multiplied.is_empty());
        let tree = Tree::read(dir.path());
        assert!(tree.len() > user.ledger.delivered.len() / 2);
        assert!(tree.folders.values().flat_map(|messages| messages.values()).all(|copies| copies.len() == 1));
    }
}
