//! Mail programs that never rest, and the ledger of what their messages must be in the end.
//!
//! Each writer owns a disjoint set of messages, known by the id in their header, and nobody else acts on them:
//!
//! * [`flagger::Flagger`] toggles flags in one large folder, at one host;
//! * [`clerk::Clerk`] delivers, reads, flags, moves, renames and expunges, all at one host;
//! * [`commuter::Commuter`] flags, moves, renames and expunges its messages at both hosts.
//!
//! What follows from DESIGN's table of reconcile for each of them:
//!
//! * *A message on which its owner acts at one host only is, in the end, exactly what the owner made of it*: in that folder
//!   and place, with those flags, once on both hosts; or expunged, on both. The other host's copy is changed by runs alone,
//!   and what a run did to it equals an earlier state of the owner's, so each later run sees "changed here, unchanged there".
//!   A run that met the message between two of its names may copy it for a while; the next one takes the copy back. Nothing
//!   at the owner's host is ever changed by a run: a name that the owner gave is there until the owner takes it.
//! * *A message on which its owner acts at both hosts is there exactly once, whole, in a folder into which its owner put
//!   it.* Which one, and its flags, are a matter of which change a run saw first.
//! * *Such a message is expunged by unlinking it at both hosts*: "deleted here, moved there" is kept at its new place, so one
//!   unlink alone need not be the end. A copy that a run was just bringing may come after; the run's base has it then, and
//!   the next run takes it away, since the other host has none.
//!
//! Deliberately not here: edits, copies, and folders that come and go; [`crate::user`] does these between runs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::mail;
use crate::rng::Rng;
use crate::tree::{self, Found, Place};

pub mod clerk;
pub mod commuter;
pub mod flagger;

/// What a message must be when everybody rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// There, in this folder and place with these flags.
    At(Found),
    /// There, in one of these folders.
    In(Vec<String>),
    /// Nowhere.
    Expunged,
}

/// A message's bytes and what must become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// A hash of all its bytes.
    pub hash: u64,
    /// What must become of it.
    pub fate: Fate,
}

/// What writers know of all their messages, by id.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The messages.
    pub due: BTreeMap<String, Due>,
    /// Changes of the tree that writers made.
    pub operations: u64,
    /// What a writer met that must not be: names of its own that others took or gave.
    pub wrongs: Vec<String>,
}

impl Ledger {
    /// Takes over what another writer knows.
    pub fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.wrongs.extend(other.wrongs);
        self.due.extend(other.due);
    }

    /// Everything in which a tree differs from the ledger, a line each. The tree must be at rest.
    #[track_caller]
    pub fn faults(&self, root: &Path) -> Vec<String> {
        let mut faults = self.wrongs.clone();
        let mut seen: BTreeMap<String, Vec<Found>> = BTreeMap::new();
        for found in tree::list(root) {
            let bytes = fs::read(found.path(root)).expect("a message at rest can be read");
            let id = mail::id(&bytes).map(|id| String::from_utf8_lossy(id).into_owned());
            match id.as_ref().and_then(|id| self.due.get(id)) {
                Some(due) if due.hash == tree::hash(&bytes) => {}
                Some(_) => faults.push(format!("{found:?} has not the bytes of {id:?}")),
                None => faults.push(format!("{found:?} is nobody's: {id:?}")),
            }
            seen.entry(id.unwrap_or_default()).or_default().push(found);
        }
        for (id, due) in &self.due {
            let copies = seen.get(id).map_or(&[][..], Vec::as_slice);
            match (&due.fate, copies) {
                (Fate::Expunged, []) => {}
                (Fate::Expunged, _) => faults.push(format!("{id} was expunged and is back: {copies:?}")),
                (_, []) => faults.push(format!("{id} is lost: {:?}", due.fate)),
                (_, [_, _, ..]) => faults.push(format!("{id} is there {} times: {copies:?}", copies.len())),
                (Fate::At(at), [one]) => {
                    let same = (&one.folder, one.place, one.uniq(), one.flags())
                        == (&at.folder, at.place, at.uniq(), at.flags());
                    if !same {
                        faults.push(format!("{id} is at {one:?}, not at {at:?}"));
                    }
                }
                (Fate::In(folders), [one]) => {
                    if !folders.iter().any(|folder| Path::new(folder) == one.folder) {
                        faults.push(format!("{id} is at {one:?}, never put there by its owner: {folders:?}"));
                    }
                }
            }
        }
        faults
    }
}

/// The uniqs in a directory as one `readdir` gives them, which is not enough: it may miss a file that is renamed meanwhile.
///
/// # Errors
/// As the system says.
pub fn naive_listing(dir: &Path) -> io::Result<std::collections::BTreeSet<Vec<u8>>> {
    fs::read_dir(dir)?
        .map(|entry| {
            let name = entry?.file_name();
            Ok(name.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default().to_vec())
        })
        .collect()
}

/// A file's name for a uniq in a place.
fn name(uniq: &str, place: Place, flags: &str) -> OsString {
    match place {
        Place::New => uniq.into(),
        Place::Cur => format!("{uniq}:2,{flags}").into(),
    }
}

/// Renames without overwriting, as every careful mail program does.
fn rename(root: &Path, from: &Found, to: &Found) -> io::Result<()> {
    Ok(renameat_with(CWD, from.path(root), CWD, to.path(root), RenameFlags::NOREPLACE)?)
}

/// Delivers as an MDA does: written in `tmp/`, given its name in `new/` by a rename. Gives the hash of the bytes.
fn deliver(root: &Path, to: &Found, id: &str, rng: &mut Rng) -> io::Result<u64> {
    let bytes = mail::plain(id, rng);
    let staged = root.join(&to.folder).join("tmp").join(id);
    fs::write(&staged, &bytes)?;
    fs::rename(&staged, to.path(root))?;
    Ok(tree::hash(&bytes))
}

/// Some flags other than these: one letter more or less.
fn toggled(flags: &str, rng: &mut Rng) -> String {
    let letter = *rng.pick(&['D', 'F', 'R', 'S']);
    let mut letters: Vec<char> = flags.chars().filter(|one| *one != letter).collect();
    if letters.len() == flags.len() {
        letters.push(letter);
        letters.sort_unstable();
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::clerk::Clerk;
    use super::*;
    use crate::populate;

    #[test]
    fn a_ledger_tells_what_is_lost_doubled_back_elsewhere_or_changed() {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let root = dir.path();
        let folders = ["", "Work"];
        folders.iter().for_each(|folder| populate::make_folder(root, folder.as_ref()));
        let mut clerk = Clerk::new(root, "c", &folders, Rng::from_env_or(3));
        (0..300).for_each(|_| clerk.act());
        let ledger = clerk.into_ledger();
        assert_eq!(ledger.faults(root), [""; 0]);

        let all = tree::list(root);
        fs::remove_file(all[0].path(root)).expect("lost");
        let twin = Found { name: "twin:2,".into(), place: Place::Cur, ..all[1].clone() };
        fs::copy(all[1].path(root), twin.path(root)).expect("doubled");
        let elsewhere = Found { name: "elsewhere:2,".into(), place: Place::Cur, ..all[2].clone() };
        rename(root, &all[2], &elsewhere).expect("elsewhere");
        fs::write(all[3].path(root), [&fs::read(all[3].path(root)).expect("bytes")[..], b"x"].concat())
            .expect("changed");
        let faults = ledger.faults(root);
        for word in ["is lost", "is there 2 times", "not at", "has not the bytes"] {
            assert!(faults.iter().any(|fault| fault.contains(word)), "{word}: {faults:?}");
        }
        assert_eq!(faults.len(), 4, "{faults:?}");
        let gone = ledger.due.iter().find(|(_, due)| due.fate == Fate::Expunged).expect("some are expunged").0;
        let back = Found { folder: "Work".into(), place: Place::New, name: "back".into() };
        fs::write(back.path(root), mail::plain(gone, &mut Rng::from_env_or(1))).expect("back");
        assert!(ledger.faults(root).iter().any(|fault| fault.contains("is back")));
    }
}
