//! Random users of small trees, and what they may blame a synchroniser for.

use std::collections::{BTreeMap, BTreeSet};

use super::world::Tree;
use crate::digest::{Content, Digest};
use crate::flags::Flags;
use crate::names::{Folder, Name, Uniq};
use crate::snapshot::{Entry, Place};

/// splitmix64.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Which worlds users live in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Habit {
    /// As mail programs do: every message has a body of its own, no uniq is given twice, and nobody copies. No
    /// content may ever be there twice.
    Unique,
    /// Four uniqs, four bodies, copies, swapped names, second deliveries.
    Crowded,
}

/// The tiny oracle: what users did, and therefore what must, and what may, be there.
#[derive(Default, Clone)]
pub(super) struct Ledger {
    /// Bodies of which a user removed or overwrote a message.
    pub(super) removed: BTreeSet<Digest>,
    /// Bodies of which a user edited the header.
    pub(super) edited: BTreeSet<Digest>,
    /// Bodies that were ever delivered.
    pub(super) delivered: BTreeSet<Digest>,
    /// How many messages of a content users ever made, in all.
    pub(super) made: BTreeMap<Content, usize>,
    fresh: u64,
}

impl Ledger {
    fn make(&mut self, content: Content) {
        *self.made.entry(content).or_default() += 1;
        if !content.is_empty() {
            self.delivered.insert(content.body);
        }
    }

    /// Bodies that must be somewhere.
    pub(super) fn owed(&self) -> impl Iterator<Item = &Digest> {
        self.delivered.difference(&self.removed)
    }
}

pub(super) fn count(tree: &Tree) -> BTreeMap<Content, usize> {
    let mut counts = BTreeMap::new();
    for entry in tree.mail.values() {
        *counts.entry(entry.content).or_default() += 1;
    }
    counts
}

const FOLDERS: [&str; 3] = ["", "a", "b/c"];
const UNIQS: [&str; 4] = ["p", "q", "r", "s"];
const HEADERS: [&str; 3] = ["h", "g", "i"];
const BODIES: [&str; 4] = ["1", "2", "3", "4"];

/// One user with one tree and a habit.
pub(super) struct User<'a> {
    pub(super) rng: &'a mut Rng,
    pub(super) ledger: &'a mut Ledger,
    pub(super) habit: Habit,
    /// The last run was cut before its commit, or failed on both hosts: what is on both may be in no base, and a
    /// user who renames or edits just that message can get it twice. Nobody does.
    pub(super) quiet: bool,
}

impl User<'_> {
    fn name(&mut self) -> Name {
        let folder = Folder::parse(self.rng.pick(&FOLDERS).as_bytes()).expect("good");
        let uniq = match self.habit {
            Habit::Unique => {
                self.ledger.fresh += 1;
                format!("{}{}", self.rng.pick(&UNIQS), self.ledger.fresh)
            }
            Habit::Crowded => (*self.rng.pick(&UNIQS)).to_owned(),
        };
        Name::new(&folder, &Uniq::parse(uniq.as_bytes()).expect("good"))
    }

    /// A message that is there and has bytes.
    fn some(&mut self, tree: &Tree) -> Option<Name> {
        let full: Vec<&Name> = tree.mail.iter().filter(|(_, e)| !e.content.is_empty()).map(|(name, _)| name).collect();
        if full.is_empty() { None } else { Some((*self.rng.pick(&full)).clone()) }
    }

    fn header(&mut self) -> Digest {
        Digest::of(self.rng.pick(&HEADERS).as_bytes())
    }

    fn new_content(&mut self) -> Content {
        let body = if self.habit == Habit::Unique || self.rng.one_in(2) {
            self.ledger.fresh += 1;
            Digest::of(&self.ledger.fresh.to_le_bytes())
        } else {
            Digest::of(self.rng.pick(&BODIES).as_bytes())
        };
        Content { header: self.header(), body }
    }

    fn flags(&mut self) -> Flags {
        let letters: String = "DFPRSTab".chars().filter(|_| self.rng.one_in(4)).collect();
        Flags::from_letters(&letters)
    }

    /// Puts an entry under a name that may be taken; bytes that were there are overwritten by the user.
    fn put(&mut self, tree: &mut Tree, name: Name, entry: Entry) {
        let entry = Entry { uniq: name.uniq.clone(), ..entry };
        tree.folders.insert(name.folder.clone());
        if let Some(old) = tree.mail.insert(name, entry) {
            self.ledger.removed.insert(old.content.body);
        }
    }

    fn is_free(tree: &Tree, name: &Name) -> bool {
        !tree.mail.contains_key(name)
    }

    fn deliver(&mut self, tree: &mut Tree) {
        let (name, content) = (self.name(), self.new_content());
        if Self::is_free(tree, &name) {
            let place = if self.rng.one_in(2) { Place::New } else { Place::Cur };
            let flags = self.flags();
            self.ledger.make(content);
            self.put(tree, name.clone(), Entry { uniq: name.uniq, place, flags, content });
        }
    }

    fn edit(&mut self, tree: &mut Tree, name: &Name, to: Option<Name>, content: Content) {
        let Some(entry) = tree.mail.remove(name) else { return };
        if entry.content != content {
            self.ledger.make(content);
        }
        self.ledger.edited.insert(content.body);
        if entry.content.body != content.body {
            self.ledger.removed.insert(entry.content.body);
        }
        let to = to.filter(|to| Self::is_free(tree, to)).unwrap_or_else(|| name.clone());
        self.put(tree, to, Entry { content, ..entry });
    }

    /// One thing that a user does.
    pub(super) fn act(&mut self, tree: &mut Tree) {
        let Some(name) = self.some(tree).filter(|_| !self.rng.one_in(4)) else { return self.deliver(tree) };
        let entry = tree.mail[&name].clone();
        let to = self.name();
        let what = self.rng.below(17);
        if self.quiet && !matches!(what, 0..=3 | 8 | 9 | 14 | 15) {
            return;
        }
        match what {
            0..=2 => tree.mail.get_mut(&name).expect("there").flags = self.flags(),
            3 => tree.mail.get_mut(&name).expect("there").place = Place::Cur,
            4..=6 => {
                // A move to another folder, mostly under the old uniq.
                let to = if self.rng.one_in(3) { to } else { Name { folder: to.folder, uniq: name.uniq.clone() } };
                if Self::is_free(tree, &to) {
                    tree.mail.remove(&name);
                    self.put(tree, to, entry);
                }
            }
            7 => {
                let to = Name { folder: name.folder.clone(), uniq: to.uniq };
                if Self::is_free(tree, &to) {
                    tree.mail.remove(&name);
                    self.put(tree, to, entry);
                }
            }
            8 | 9 => {
                tree.mail.remove(&name);
                self.ledger.removed.insert(entry.content.body);
            }
            10 => {
                let content = Content { header: self.header(), body: entry.content.body };
                let to = self.rng.one_in(2).then_some(to);
                self.edit(tree, &name, to, content);
            }
            11 => {
                let content = self.new_content();
                self.edit(tree, &name, None, content);
            }
            12 if self.habit == Habit::Crowded => {
                // Two names are swapped.
                if let Some(other) = self.some(tree).filter(|other| *other != name) {
                    let (a, b) = (tree.mail[&name].clone(), tree.mail[&other].clone());
                    tree.mail.insert(name.clone(), Entry { uniq: name.uniq.clone(), ..b });
                    tree.mail.insert(other.clone(), Entry { uniq: other.uniq, ..a });
                }
            }
            13 if self.habit == Habit::Crowded => {
                if Self::is_free(tree, &to) {
                    self.ledger.make(entry.content);
                    self.put(tree, to, entry);
                }
            }
            14 => drop(tree.folders.insert(to.folder)),
            15 => {
                let folder = to.folder;
                if !folder.is_root() && !tree.mail.keys().any(|name| name.folder == folder) {
                    tree.folders.remove(&folder);
                }
            }
            _ => self.rename_folder(tree, &name.folder, &to.folder),
        }
    }

    fn rename_folder(&mut self, tree: &mut Tree, from: &Folder, to: &Folder) {
        if from == to || from.is_root() || tree.folders.contains(to) {
            return;
        }
        let inside: Vec<Name> = tree.mail.keys().filter(|name| name.folder == *from).cloned().collect();
        for name in inside {
            let entry = tree.mail.remove(&name).expect("there");
            tree.add(Name::new(to, &name.uniq), entry);
        }
        tree.folders.remove(from);
        tree.folders.insert(to.clone());
    }
}
