//! Names of folders that the other host tells of and this one leaves alone: a file beside the base. It is advice, not
//! synced, and whatever is wrong with it, it is empty.
//!
//! Deliberately not here: what the names are for (`run`).

use std::collections::BTreeSet;

use smd_protocol::Folder;

use super::{Store, StoreError};
use crate::error::Context;
use crate::fs::{Fs, Rename};
use crate::home::Access;
use crate::home::file::{read_file, write_beside};
use crate::root::if_there;

/// Larger than any such file gets; a larger one is not ours.
const LEFT_OUT_MAX: u64 = 16 << 20;

impl<F: Fs> Store<F> {
    fn left_out_name(&self) -> Vec<u8> {
        [&self.name[..], b".left-out"].concat()
    }

    /// What is remembered. Each name ends in NUL, which no folder holds.
    pub fn left_out(&self) -> BTreeSet<Folder> {
        let Some(dir) = &self.pair.dir else { return BTreeSet::new() };
        let file = read_file(&*self.pair.fs, dir, &self.left_out_name(), LEFT_OUT_MAX);
        let bytes = file.ok().flatten().unwrap_or_default();
        let names = bytes.split_inclusive(|&byte| byte == 0).filter_map(|name| name.strip_suffix(b"\0"));
        names.filter_map(|name| Folder::parse(name).ok()).collect()
    }

    /// Remembers these instead. Writes nothing when they are the same, or in a dry run.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember_left_out(&self, folders: &BTreeSet<Folder>) -> Result<(), StoreError> {
        if self.pair.access == Access::ReadOnly || *folders == self.left_out() {
            return Ok(());
        }
        let (dir, name, fs) = (self.dir()?, self.left_out_name(), &*self.pair.fs);
        if folders.is_empty() {
            if_there(fs.unlink(dir, &name)).context("remove", self.pair.shown(&name))?;
            return Ok(());
        }
        let parts: Vec<&[u8]> = folders.iter().flat_map(|folder| [folder.as_bytes(), b"\0"]).collect();
        let beside = [&name[..], b".new"].concat();
        write_beside(fs, dir, &name, &parts)
            .and_then(|()| fs.rename(dir, &beside, dir, &name, Rename::Replace))
            .context("write", self.pair.shown(&name))?;
        Ok(())
    }
}
