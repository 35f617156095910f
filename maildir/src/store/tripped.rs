//! Whether the bulk guard has tripped in this root and stands: an empty file beside the client's base.
//!
//! Deliberately not here: when it trips, and what ends it (the client's session).

use super::Store;
use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::home::{Access, replace_file};
use crate::root::if_there;

impl<F: Fs> Store<F> {
    fn tripped_name(&self) -> Vec<u8> {
        [&self.name[..], b".tripped"].concat()
    }

    /// Whether the guard stands.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn tripped(&self) -> Result<bool, Error> {
        let Some(dir) = &self.pair.dir else { return Ok(false) };
        let name = self.tripped_name();
        Ok(if_there(self.pair.fs.stat(dir, &name)).context("look at", self.pair.shown(&name))?.is_some())
    }

    /// Notes that it stands, or no longer does, durably. Writes nothing in a dry run, nor where that is noted already.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn note_tripped(&self, stands: bool) -> Result<(), Error> {
        let (Some(dir), Access::ReadWrite) = (&self.pair.dir, self.pair.access) else { return Ok(()) };
        if self.tripped()? == stands {
            return Ok(());
        }
        let (fs, name) = (&*self.pair.fs, self.tripped_name());
        let noted = match stands {
            true => replace_file(fs, dir, &name, &[]),
            false => if_there(fs.unlink(dir, &name)).and_then(|_| fs.sync_dir(dir)),
        };
        noted.context("write", self.pair.shown(&name))
    }
}
