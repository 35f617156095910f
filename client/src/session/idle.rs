//! Exclude patterns that match nothing on either host: what they were to leave alone is synced.
//!
//! The first run under some excludes lists every directory on both hosts, tells of each pattern without a match, and
//! remembers it; later runs take it away from the list when something matches.
//!
//! Deliberately not here: when a pattern matches (`smd_maildir::exclude`), and the words (`report`).

use std::collections::{BTreeMap, BTreeSet};

use smd_maildir::fs::Fs;
use smd_maildir::run::RootRun;
use smd_protocol::Told;
use smd_protocol::wire;

use super::pair::Pair;
use crate::config::quote;
use crate::report::{IdlePattern, IdlePatterns};

/// What is known of one root's patterns.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// There are patterns.
    any: bool,
    /// What matched nothing in the runs before; none when these excludes are new.
    known: Option<BTreeSet<Vec<u8>>>,
    /// The server tells which patterns matched there.
    told: bool,
    /// Those, by their place in the offer.
    met_there: BTreeSet<u32>,
}

impl Idle {
    pub(super) fn begin<F: Fs>(local: &RootRun<F>) -> Self {
        let any = !local.excludes().is_empty();
        Self { any, known: local.idle_patterns().filter(|_| any), ..Self::default() }
    }

    /// Nobody knows yet of every pattern whether it matches anything.
    pub(super) fn wants_all_dirs(&self) -> bool {
        self.any && self.known.is_none()
    }

    fn asks(&self) -> bool {
        self.any && self.known.as_ref().is_none_or(|known| !known.is_empty())
    }

    pub(super) fn met_there(&mut self, patterns: Vec<u32>) {
        self.met_there.extend(patterns);
    }
}

/// The features by which the server is asked of patterns, if it must be.
pub(super) fn features<F: Fs>(pairs: &[Pair<F>]) -> impl Iterator<Item = (bool, &'static str)> {
    let asks = pairs.iter().any(|pair| pair.idle.asks());
    let all = pairs.iter().any(|pair| pair.idle.wants_all_dirs());
    [(asks, wire::PATTERNS), (all, wire::ALL_DIRS)].into_iter()
}

/// Hears whether the server tells of patterns.
pub(super) fn hear<F: Fs>(pairs: &mut [Pair<F>], features: &[Told]) {
    let told = features.iter().any(|feature| *feature == *wire::PATTERNS);
    pairs.iter_mut().for_each(|pair| pair.idle.told = told);
}

/// What the report says of the patterns of all roots: one may be meant for another root than the one that it does not
/// match in. None where that is not known.
pub(super) fn tell<F: Fs>(pairs: &mut [Pair<F>]) -> Option<IdlePatterns> {
    let mut all: Option<BTreeSet<Vec<u8>>> = None;
    let mut meant = BTreeMap::new();
    let fresh = pairs.iter().any(|pair| pair.idle.wants_all_dirs());
    for pair in pairs.iter_mut() {
        let idle = pair.idle_patterns()?;
        meant.extend(if fresh { pair.meant_patterns() } else { BTreeMap::new() });
        all = Some(match all {
            None => idle,
            Some(all) => all.intersection(&idle).cloned().collect(),
        });
    }
    let patterns = all?.into_iter().map(|pattern| IdlePattern {
        instead: meant.get(&pattern).map(|instead| quote::pattern_of(instead)),
        pattern: quote::word(&pattern),
    });
    Some(IdlePatterns { fresh, patterns: patterns.collect() })
}

impl<F: Fs> Pair<F> {
    /// The patterns that matched nothing on either host, as far as both looked everywhere; remembered. None otherwise.
    fn idle_patterns(&mut self) -> Option<BTreeSet<Vec<u8>>> {
        if !self.idle.any {
            return Some(BTreeSet::new());
        }
        let all: Vec<(&[u8], bool)> = self.local.excludes().met().collect();
        let there = |at: usize| u32::try_from(at).is_ok_and(|at| self.idle.met_there.contains(&at));
        let met: BTreeSet<&[u8]> = all
            .iter()
            .enumerate()
            .filter(|(at, (_, met))| *met || there(*at))
            .map(|(_, (pattern, _))| *pattern)
            .collect();
        let mut idle: BTreeSet<Vec<u8>> =
            all.iter().filter(|(pattern, _)| !met.contains(pattern)).map(|(pattern, _)| pattern.to_vec()).collect();
        match &self.idle.known {
            Some(known) => idle.retain(|pattern| known.contains(pattern)),
            // What was not looked at may be what a pattern is for.
            None if !self.idle.told || self.unusable || self.ours.incomplete || self.theirs.incomplete => return None,
            None => {}
        }
        if self.idle.known.as_ref() != Some(&idle) {
            self.local.remember_idle_patterns(&idle);
        }
        Some(idle)
    }

    /// The folder that each of them may have been meant for.
    fn meant_patterns(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let folders: BTreeSet<_> = [&self.ours, &self.theirs]
            .into_iter()
            .flat_map(|view| view.delta.folders.keys())
            .chain(self.base.folders.keys())
            .cloned()
            .collect();
        self.local.excludes().meant(folders.iter())
    }
}
