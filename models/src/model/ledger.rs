//! What users did, and therefore what must and what may be there: the oracle.
//!
//! It knows nothing of bases and plans:
//! * *owed*: every content that users made and of which no user ever removed, overwrote or edited a message, anywhere.
//!   It must be complete on some host at every instant and after every crash, and on every host when all is quiet. A
//!   content that was never synced and that a crash took is owed no more.
//! * *made*: how many messages of a content users made. No tree may have more, whatever failed in between (`play::run` says
//!   what is asked where it is more than one). Where the state was lost, or a tree put back, what users removed may return,
//!   and the count starts anew.
//!
//! Deliberately not here: which names and flags messages have. Where users acted on one host alone, that host's own
//! tree is the answer to that (`play`).

use std::collections::{BTreeMap, BTreeSet};

use smd_protocol::delta::Mtime;

use super::host::Host;
use super::mail::{Bytes, Tree};
use super::play::{Forgiven, Mercy};

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    delivered: BTreeSet<Bytes>,
    removed: BTreeSet<Bytes>,
    made: BTreeMap<Bytes, usize>,
    /// Contents that a crash of this host may yet take.
    fragile: BTreeSet<(usize, Bytes)>,
    /// The mtime of messages made once and never touched.
    mtimes: BTreeMap<Bytes, Option<Mtime>>,
}

impl Ledger {
    /// A user made a message.
    pub fn make(&mut self, host: usize, bytes: &Bytes, mtime: Mtime, synced: bool) {
        *self.made.entry(bytes.clone()).or_default() += 1;
        self.delivered.insert(bytes.clone());
        self.mtimes.entry(bytes.clone()).and_modify(|known| *known = None).or_insert(Some(mtime));
        if !synced {
            self.fragile.insert((host, bytes.clone()));
        }
    }

    /// A user removed or overwrote one.
    pub fn remove(&mut self, bytes: &Bytes) {
        self.removed.insert(bytes.clone());
    }

    /// The mtime of a message is no longer known.
    pub fn touch(&mut self, bytes: &Bytes) {
        self.mtimes.insert(bytes.clone(), None);
    }

    /// Contents that must be somewhere.
    pub fn owed(&self) -> impl Iterator<Item = &Bytes> {
        self.delivered.difference(&self.removed)
    }

    /// Every content that a message may have.
    pub fn is_known(&self, bytes: &Bytes) -> bool {
        self.delivered.contains(bytes)
    }

    /// A run with this host ended well: what it saw there is durable, but for what an earlier failed sync dropped, of which
    /// nobody can know.
    pub fn firm(&mut self, at: usize, host: &Host, seen: &Tree) {
        let (seen, all, dropped) = (seen.counts(), Tree::of(host).counts(), host.disk.dropped());
        // Of two messages with the same bytes only one may have been seen.
        let firm = |bytes: &Bytes| {
            seen.get(bytes).is_some_and(|count| all.get(bytes) == Some(count)) && !dropped.contains(bytes)
        };
        self.fragile.retain(|(other, bytes)| *other != at || !firm(bytes));
    }

    /// A host crashed; `left` says whether a content is still somewhere, and nothing damaged counts as its newer bytes: what a
    /// failed sync had dropped, and hosts agreed on since, does when a crash tears it.
    pub fn crashed(&mut self, host: usize, left: impl Fn(&Bytes) -> bool, now: &Tree, forgiven: &mut Forgiven) {
        let hit: Vec<Bytes> =
            self.fragile.iter().filter(|(at, _)| *at == host).map(|(_, bytes)| bytes.clone()).collect();
        let had_fragile = !hit.is_empty();
        for bytes in hit {
            forgiven.more(Mercy::Mtime, usize::from(self.mtime(&bytes).is_some()));
            self.touch(&bytes);
            if !left(&bytes) {
                forgiven.more(Mercy::Unsynced, usize::from(!self.removed.contains(&bytes)));
                self.remove(&bytes);
                self.fragile.remove(&(host, bytes));
            }
        }
        // What is left of bytes that were never synced is a message like any other.
        let torn: Vec<Bytes> = now.counts().into_keys().filter(|bytes| !self.delivered.contains(bytes)).collect();
        if had_fragile {
            forgiven.more(Mercy::Torn, torn.len());
            for bytes in torn {
                self.delivered.insert(bytes.clone());
                self.mtimes.insert(bytes.clone(), None);
                self.remove(&bytes);
            }
        }
        // Half of what a user did (a link and no unlink) may be left of it.
        for (bytes, count) in now.counts() {
            let made = self.made.entry(bytes).or_default();
            forgiven.more(Mercy::Halves, usize::from(count > *made));
            *made = (*made).max(count);
        }
    }

    /// Of how many contents a tree has more messages than users made.
    pub fn surplus(&self, tree: &Tree) -> usize {
        tree.counts().iter().filter(|(bytes, count)| **count > self.made(bytes)).count()
    }

    /// What users removed may be back: from here on what is there counts.
    pub fn count_anew(&mut self, trees: &[Tree]) {
        self.made.clear();
        for tree in trees {
            for (bytes, count) in tree.counts() {
                let made = self.made.entry(bytes).or_default();
                *made = (*made).max(count);
            }
        }
    }

    /// How many messages of a content users made.
    pub fn made(&self, bytes: &Bytes) -> usize {
        self.made.get(bytes).copied().unwrap_or_default()
    }

    /// The mtime that the one message of this content has everywhere, where that is known.
    pub fn mtime(&self, bytes: &Bytes) -> Option<Mtime> {
        self.mtimes.get(bytes).copied().flatten()
    }
}
