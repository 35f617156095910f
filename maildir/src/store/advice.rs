//! What a later run should know and can do without: files beside the base, each a list of byte strings that NUL ends. They are
//! advice, not synced, and whatever is wrong with one, it is empty.
//!
//! Two lists: folders that the other host tells of and this one leaves alone, and exclude patterns that matched nothing.
//!
//! Deliberately not here: what they are for (`run`).

use std::collections::BTreeSet;

use smd_protocol::Folder;

use super::{Store, StoreError};
use crate::error::Context;
use crate::fs::{Fs, Rename};
use crate::home::Access;
use crate::home::file::{read_file, write_beside};
use crate::root::if_there;

/// Larger than any such file gets; a larger one is not ours.
const ADVICE_MAX: u64 = 16 << 20;

/// Sets of excludes that are remembered: more than endpoints share a base.
const IDLE_MAX: usize = 20;

impl<F: Fs> Store<F> {
    /// The names of the folders that are remembered.
    pub fn left_out(&self) -> BTreeSet<Folder> {
        self.advice(b".left-out").iter().filter_map(|name| Folder::parse(name).ok()).collect()
    }

    /// Remembers these instead. Writes nothing when they are the same, or in a dry run.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember_left_out(&self, folders: &BTreeSet<Folder>) -> Result<(), StoreError> {
        self.remember(b".left-out", folders.iter().map(|folder| folder.as_bytes().to_vec()).collect())
    }

    /// The patterns that matched nothing when excludes of this fingerprint were last looked at; none when they never were.
    /// Endpoints that share a base may have excludes of their own.
    pub fn idle_patterns(&self, fingerprint: &str) -> Option<BTreeSet<Vec<u8>>> {
        let all = self.idle_of_all();
        all.into_iter().find(|(of, _)| of == fingerprint.as_bytes()).map(|(_, idle)| idle)
    }

    /// For each set of excludes that was looked at, the last ones last.
    fn idle_of_all(&self) -> Vec<(Vec<u8>, BTreeSet<Vec<u8>>)> {
        let mut all: Vec<(Vec<u8>, BTreeSet<Vec<u8>>)> = Vec::new();
        for one in self.advice(b".idle-patterns") {
            match (one.split_first(), all.last_mut()) {
                (Some((b'=', fingerprint)), _) => all.push((fingerprint.to_vec(), BTreeSet::new())),
                (Some((b'-', pattern)), Some((_, idle))) => drop(idle.insert(pattern.to_vec())),
                _ => return Vec::new(),
            }
        }
        all
    }

    /// Remembers these instead, as [`Store::remember_left_out`].
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember_idle_patterns(&self, fingerprint: &str, idle: &BTreeSet<Vec<u8>>) -> Result<(), StoreError> {
        let mut all = self.idle_of_all();
        all.retain(|(of, _)| of != fingerprint.as_bytes());
        all.drain(..all.len().saturating_sub(IDLE_MAX - 1));
        all.push((fingerprint.as_bytes().to_vec(), idle.iter().filter(|one| !one.contains(&0)).cloned().collect()));
        let lines = all.iter().flat_map(|(of, idle)| {
            let patterns = idle.iter().map(|pattern| [b"-", &pattern[..]].concat());
            std::iter::once([b"=", &of[..]].concat()).chain(patterns)
        });
        self.remember(b".idle-patterns", lines.collect())
    }

    fn advice(&self, kind: &[u8]) -> Vec<Vec<u8>> {
        let Some(dir) = &self.pair.dir else { return Vec::new() };
        let file = read_file(&*self.pair.fs, dir, &[&self.name[..], kind].concat(), ADVICE_MAX);
        let bytes = file.ok().flatten().unwrap_or_default();
        bytes.split_inclusive(|&byte| byte == 0).filter_map(|one| Some(one.strip_suffix(b"\0")?.to_vec())).collect()
    }

    fn remember(&self, kind: &[u8], all: Vec<Vec<u8>>) -> Result<(), StoreError> {
        if self.pair.access == Access::ReadOnly || all == self.advice(kind) {
            return Ok(());
        }
        let (dir, name, fs) = (self.dir()?, [&self.name[..], kind].concat(), &*self.pair.fs);
        if all.is_empty() {
            if_there(fs.unlink(dir, &name)).context("remove", self.pair.shown(&name))?;
            return Ok(());
        }
        let parts: Vec<&[u8]> = all.iter().flat_map(|one| [&one[..], b"\0"]).collect();
        let beside = [&name[..], b".new"].concat();
        write_beside(fs, dir, &name, &parts)
            .and_then(|()| fs.rename(dir, &beside, dir, &name, Rename::Replace))
            .context("write", self.pair.shown(&name))?;
        Ok(())
    }
}
