//! Toggles flags in one folder, at one host, as fast as it can.
//!
//! Its messages never leave the folder, so a listing of the folder that lacks one of them is wrong.

use std::path::{Path, PathBuf};

use super::{Due, Fate, Ledger, name, rename, toggled};
use crate::rng::Rng;
use crate::tree::{Found, Place};

/// A mail program that marks messages.
#[derive(Debug)]
pub struct Flagger {
    root: PathBuf,
    rng: Rng,
    messages: Vec<(String, u64, Found, String)>,
    ledger: Ledger,
}

impl Flagger {
    /// One for these messages in `cur/` of a folder: id and hash; the uniq of each is its id, none has a flag.
    pub fn new(root: &Path, folder: &str, messages: &[(String, u64)], rng: Rng) -> Self {
        let found = |id: &String| Found { folder: folder.into(), place: Place::Cur, name: name(id, Place::Cur, "") };
        let messages = messages.iter().map(|(id, hash)| (id.clone(), *hash, found(id), String::new())).collect();
        Self { root: root.to_owned(), rng, messages, ledger: Ledger::default() }
    }

    /// Toggles a letter of one message.
    pub fn act(&mut self) {
        let at = self.rng.index(self.messages.len());
        let (id, _, found, flags) = &mut self.messages[at];
        *flags = toggled(flags, &mut self.rng);
        let to = Found { name: name(id, Place::Cur, flags), ..found.clone() };
        match rename(&self.root, found, &to) {
            Ok(()) => self.ledger.operations += 1,
            Err(error) => self.ledger.wrongs.push(format!("{found:?} -> {to:?}: {error}")),
        }
        *found = to;
    }

    /// What it knows in the end.
    pub fn into_ledger(mut self) -> Ledger {
        let due = self.messages.into_iter().map(|(id, hash, found, _)| (id, Due { hash, fate: Fate::At(found) }));
        self.ledger.due = due.collect();
        self.ledger
    }
}
