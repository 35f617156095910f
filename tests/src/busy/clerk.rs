//! Does everything to its messages, at one host, as fast as it can.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Due, Fate, Ledger, deliver, name, rename, toggled};
use crate::rng::Rng;
use crate::tree::{Found, Place};

/// From so many on, no more are delivered; below the second, none is expunged.
const MOST: usize = 120;
const FEW: usize = 40;

#[derive(Debug)]
struct Letter {
    id: String,
    hash: u64,
    uniq: String,
    flags: String,
    found: Found,
}

/// A mail program at one host.
#[derive(Debug)]
pub struct Clerk {
    root: PathBuf,
    label: String,
    folders: Vec<String>,
    rng: Rng,
    count: u64,
    letters: Vec<Letter>,
    ledger: Ledger,
}

impl Clerk {
    /// One at this root for these folders; `label` begins all its ids and uniqs.
    pub fn new(root: &Path, label: &str, folders: &[&str], rng: Rng) -> Self {
        Self {
            root: root.to_owned(),
            label: label.to_owned(),
            folders: folders.iter().map(|&folder| folder.to_owned()).collect(),
            rng,
            count: 0,
            letters: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    /// Does one thing.
    pub fn act(&mut self) {
        let choice = self.rng.within(0..100);
        let many = self.letters.len();
        let result = match choice {
            _ if many == 0 => self.deliver(),
            ..15 if many < MOST => self.deliver(),
            15..28 if many > FEW => self.expunge(),
            28..60 => self.flag(),
            60..80 => self.move_on(true),
            _ => self.move_on(false),
        };
        match result {
            Ok(()) => self.ledger.operations += 1,
            Err(text) => self.ledger.wrongs.push(text),
        }
    }

    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("{}.{}", self.label, self.count)
    }

    fn deliver(&mut self) -> Result<(), String> {
        let id = self.fresh();
        let found =
            Found { folder: self.rng.pick(&self.folders).into(), place: Place::New, name: name(&id, Place::New, "") };
        let hash = deliver(&self.root, &found, &id, &mut self.rng).map_err(|e| format!("{found:?}: {e}"))?;
        self.letters.push(Letter { uniq: id.clone(), id, hash, flags: String::new(), found });
        Ok(())
    }

    fn expunge(&mut self) -> Result<(), String> {
        let at = self.rng.index(self.letters.len());
        let letter = self.letters.swap_remove(at);
        self.ledger.due.insert(letter.id, Due { hash: letter.hash, fate: Fate::Expunged });
        fs::remove_file(letter.found.path(&self.root)).map_err(|e| format!("expunging {:?}: {e}", letter.found))
    }

    /// Reads a message, or toggles one of its flags.
    fn flag(&mut self) -> Result<(), String> {
        let at = self.rng.index(self.letters.len());
        let flags = match self.letters[at].found.place {
            Place::New => "S".to_owned(),
            Place::Cur => toggled(&self.letters[at].flags, &mut self.rng),
        };
        let letter = &self.letters[at];
        let to = Found { place: Place::Cur, name: name(&letter.uniq, Place::Cur, &flags), ..letter.found.clone() };
        self.rename(at, to, None)?;
        self.letters[at].flags = flags;
        Ok(())
    }

    /// Files a message in another folder, or gives it another uniq there; the latter as some mail programs do by a link
    /// and an unlink, so that for a moment it has two names.
    fn move_on(&mut self, same_name: bool) -> Result<(), String> {
        let at = self.rng.index(self.letters.len());
        let folder = PathBuf::from(self.rng.pick(&self.folders));
        let letter = &self.letters[at];
        if same_name && folder == letter.found.folder {
            return Ok(());
        }
        let (place, flags) = (letter.found.place, letter.flags.clone());
        let uniq = if same_name { letter.uniq.clone() } else { self.fresh() };
        let to = Found { folder, place, name: name(&uniq, place, &flags) };
        self.rename(at, to, (!same_name).then_some(uniq))
    }

    fn rename(&mut self, at: usize, to: Found, uniq: Option<String>) -> Result<(), String> {
        let two_names = uniq.is_some() && self.rng.chance(50);
        let letter = &mut self.letters[at];
        let done =
            if two_names { link(&self.root, &letter.found, &to) } else { rename(&self.root, &letter.found, &to) };
        done.map_err(|e| format!("{:?} -> {to:?}: {e}", letter.found))?;
        letter.found = to;
        letter.uniq = uniq.unwrap_or_else(|| letter.uniq.clone());
        Ok(())
    }

    /// What it knows in the end.
    pub fn into_ledger(mut self) -> Ledger {
        for letter in self.letters {
            self.ledger.due.insert(letter.id, Due { hash: letter.hash, fate: Fate::At(letter.found) });
        }
        self.ledger
    }
}

fn link(root: &Path, from: &Found, to: &Found) -> io::Result<()> {
    fs::hard_link(from.path(root), to.path(root))?;
    fs::remove_file(from.path(root))
}
