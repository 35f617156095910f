//! Acts on its messages at both hosts, while runs do so too.
//!
//! It finds a message by listing, as mail programs do, and takes a file that is gone again for what it is: renamed by a run
//! or not here yet.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{Due, Fate, Ledger, deliver, name, rename, toggled};
use crate::rng::Rng;
use crate::tree::{Found, Place};

/// From so many on, no more are delivered; below the second, none is expunged.
const MOST: usize = 60;
const FEW: usize = 20;

#[derive(Debug)]
struct Letter {
    id: String,
    hash: u64,
    folders: BTreeSet<String>,
}

/// A person with a mail program at each host.
#[derive(Debug)]
pub struct Commuter {
    roots: [PathBuf; 2],
    label: String,
    folders: Vec<String>,
    rng: Rng,
    count: u64,
    letters: Vec<Letter>,
    ledger: Ledger,
}

impl Commuter {
    /// One at these two roots for these folders, which are small; `label` begins all its ids and uniqs.
    pub fn new(roots: [&Path; 2], label: &str, folders: &[&str], rng: Rng) -> Self {
        Self {
            roots: roots.map(Path::to_owned),
            label: label.to_owned(),
            folders: folders.iter().map(|&folder| folder.to_owned()).collect(),
            rng,
            count: 0,
            letters: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    /// Does one thing at one of the hosts.
    pub fn act(&mut self) {
        let (side, choice) = (self.rng.index(2), self.rng.within(0..100));
        let many = self.letters.len();
        match choice {
            _ if many < FEW => self.deliver(side),
            ..10 if many < MOST => self.deliver(side),
            10..18 => self.expunge(),
            _ => {
                let at = self.rng.index(many);
                let found = self.find(side, &self.letters[at].id);
                if !found.is_empty() {
                    let found = self.rng.pick(&found).clone();
                    self.change(side, at, &found, choice);
                }
            }
        }
    }

    fn fresh(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn deliver(&mut self, side: usize) {
        let number = self.fresh();
        let id = format!("{}.{number}", self.label);
        let folder = self.rng.pick(&self.folders).clone();
        let uniq = format!("{id}.0");
        let to = Found { folder: folder.clone().into(), place: Place::New, name: name(&uniq, Place::New, "") };
        match deliver(&self.roots[side], &to, &id, &mut self.rng) {
            Ok(hash) => {
                self.ledger.operations += 1;
                self.letters.push(Letter { id, hash, folders: BTreeSet::from([folder]) });
            }
            Err(error) => self.ledger.wrongs.push(format!("{to:?}: {error}")),
        }
    }

    /// The files of a message at one host, as one listing of each folder shows them: none, one, or several.
    fn find(&self, side: usize, id: &str) -> Vec<Found> {
        let prefix = format!("{id}.");
        let mut all = Vec::new();
        for folder in &self.folders {
            for place in [Place::New, Place::Cur] {
                let dir = self.roots[side].join(folder).join(place.name());
                let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
                let ours = names.filter(|name| name.as_bytes().starts_with(prefix.as_bytes()));
                all.extend(ours.map(|name| Found { folder: folder.into(), place, name }));
            }
        }
        all
    }

    fn change(&mut self, side: usize, at: usize, found: &Found, choice: u64) {
        let flags = String::from_utf8_lossy(&found.flags()).into_owned();
        let uniq = String::from_utf8_lossy(found.uniq()).into_owned();
        let to = match choice {
            18..50 => {
                let flags = if found.place == Place::New { "S".to_owned() } else { toggled(&flags, &mut self.rng) };
                Found { place: Place::Cur, name: name(&uniq, Place::Cur, &flags), ..found.clone() }
            }
            _ => {
                let folder = self.rng.pick(&self.folders).clone();
                let number = self.fresh();
                let uniq = if choice >= 80 { format!("{}.{number}", self.letters[at].id) } else { uniq };
                let name = name(&uniq, found.place, &flags);
                self.letters[at].folders.insert(folder.clone());
                Found { folder: folder.into(), place: found.place, name }
            }
        };
        // Gone again, or the name is taken by a copy that a run brought: then another time.
        if to != *found && rename(&self.roots[side], found, &to).is_ok() {
            self.ledger.operations += 1;
        }
    }

    /// Unlinks a message at both hosts, and looks until it sees it no more.
    fn expunge(&mut self) {
        let at = self.rng.index(self.letters.len());
        let letter = self.letters.swap_remove(at);
        for _ in 0..3 {
            for side in [0, 1] {
                for found in self.find(side, &letter.id) {
                    let _gone_again = fs::remove_file(found.path(&self.roots[side]));
                    self.ledger.operations += 1;
                }
            }
        }
        self.ledger.due.insert(letter.id, Due { hash: letter.hash, fate: Fate::Expunged });
    }

    /// What it knows in the end.
    pub fn into_ledger(mut self) -> Ledger {
        for letter in self.letters {
            let fate = Fate::In(letter.folders.into_iter().collect());
            self.ledger.due.insert(letter.id, Due { hash: letter.hash, fate });
        }
        self.ledger
    }
}
