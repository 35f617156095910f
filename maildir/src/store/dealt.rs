//! How many notes of folders that were put back this peer has dealt with: a number in a file beside the base.
//!
//! It lies here and not in the cache, since a cache may go at any time, and a note that counts again undoes what users
//! deleted since. A crash may leave an older number, which costs the same once; a lost one counts as 0.
//!
//! Deliberately not here: the notes, which all peers of a host share (`run`).

use std::io;

use super::{Store, StoreError};
use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::home::Access;
use crate::home::file::{read_file, replace_file};

/// Longer than any number.
const NUMBER_MAX: u64 = 32;

impl<F: Fs> Store<F> {
    fn dealt_name(&self) -> Vec<u8> {
        [&self.name[..], b".put-back"].concat()
    }

    /// The number; 0 when there is none, or nothing that can be one.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn put_back_dealt(&self) -> Result<u64, Error> {
        let Some(dir) = &self.pair.dir else { return Ok(0) };
        let name = self.dealt_name();
        let bytes = match read_file(&*self.pair.fs, dir, &name, NUMBER_MAX) {
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Ok(0),
            read => read.context("read", self.pair.shown(&name))?,
        };
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        Ok(text.trim_end().parse().unwrap_or(0))
    }

    /// Notes another number, durably. Writes nothing in a dry run.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note_put_back_dealt(&self, count: u64) -> Result<(), StoreError> {
        if self.pair.access == Access::ReadOnly {
            return Ok(());
        }
        let (dir, name) = (self.dir()?, self.dealt_name());
        let text = format!("{count}\n");
        Ok(replace_file(&*self.pair.fs, dir, &name, &[text.as_bytes()]).context("write", self.pair.shown(&name))?)
    }
}
