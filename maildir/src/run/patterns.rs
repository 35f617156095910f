//! Which exclude patterns match anything, so that a person hears of one that does not.
//!
//! A look under the excludes of the last one lists only directories that changed, so it cannot tell; the first look under
//! others lists all ([`RootRun::walks_all`]). What matched nothing then is remembered, and only ever becomes less.
//!
//! Deliberately not here: whether a pattern is meant for another root or host, and what is said (the client).

use std::collections::BTreeSet;

use super::RootRun;
use crate::exclude::Excludes;
use crate::fs::Fs;

impl<F: Fs> RootRun<F> {
    /// The looks of this run list every directory, whatever its stamps prove.
    pub fn walks_all(&mut self) {
        self.walks_all = true;
    }

    /// The excludes by canonical names, with what this run met.
    pub fn excludes(&self) -> &Excludes {
        &self.excludes
    }

    /// The patterns that matched nothing on either host, as far as earlier runs under the same excludes know; none when
    /// there was no such run.
    pub fn idle_patterns(&self) -> Option<BTreeSet<Vec<u8>>> {
        self.store.idle_patterns(self.excludes.fingerprint())
    }

    /// Remembers which patterns matched nothing. That this fails costs the next run time.
    pub fn remember_idle_patterns(&self, idle: &BTreeSet<Vec<u8>>) {
        if let Err(error) = self.store.remember_idle_patterns(self.excludes.fingerprint(), idle) {
            tracing::warn!(%error, "the patterns that match nothing were not remembered");
        }
    }
}
