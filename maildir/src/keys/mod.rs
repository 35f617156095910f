//! What a host knows of the restricted keys that reach it: `keys/LABEL/` in the state directory, out of any peer's reach.
//!
//! | file | what |
//! | --- | --- |
//! | `log` | what the key removed, moved and marked as trashed, written before it is done ([`log`]) |
//! | `allowance` | what its owner lets it remove beyond its budget ([`allowance`]) |
//! | `told` | how much of the log its owner heard of ([`fact()`]) |
//!
//! All who write hold the lock of the key, which is taken for a decision and never while a peer is waited for.
//!
//! Deliberately not here: how much a key may remove (the server's policy), and what is said of it.

use std::os::unix::ffi::OsStrExt as _;

use crate::error::{Context, Error};
use crate::fs::{Fs, Kind};
use crate::home::{Access, Home, Label};
use crate::lock::{self, Guard, LockError, Wait};

pub mod allowance;
pub mod fact;
pub mod log;
#[cfg(test)]
mod tests;

pub use allowance::Allowance;
pub use fact::{Fact, Heard, fact};
pub use log::{How, LOG_MAX, Line, Lines, Paid, What};

/// The directory of all keys.
const KEYS: &[u8] = b"keys";

/// What this host knows of one key.
pub struct Key<F: Fs> {
    home: Home<F>,
    /// None where nothing is there and nothing may be made.
    dir: Option<F::Dir>,
    label: Label,
}

impl<F: Fs> Key<F> {
    /// Opens what is known of a key; makes the place where it may.
    ///
    /// # Errors
    /// When it cannot be opened or made.
    pub fn open(home: &Home<F>, label: &Label) -> Result<Self, Error> {
        let dir = home.below(&[KEYS, label.as_str().as_bytes()])?;
        Ok(Self { home: home.clone(), dir, label: label.clone() })
    }

    /// The labels of all keys that were ever here, in order.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn labels(home: &Home<F>) -> Result<Vec<Label>, Error> {
        let Some(dir) = home.reader().below(&[KEYS])? else { return Ok(Vec::new()) };
        let mut labels = Vec::new();
        let listed = home.fs().list(&dir, &mut |name, kind, _| {
            if matches!(kind, Kind::Dir | Kind::Unknown) {
                labels.extend(Label::parse(name));
            }
        });
        listed.context("list", home.path().join("keys").as_os_str().as_bytes())?;
        labels.sort();
        Ok(labels)
    }

    /// Its label.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Takes its lock, without which nothing may be decided by its log, or written to it.
    ///
    /// # Errors
    /// When another holds it for too long, or the file system has no locks.
    pub fn lock(&self, wait: &Wait<'_>) -> Result<Option<Guard<F>>, LockError> {
        let Some(dir) = &self.dir else { return Ok(None) };
        lock::lock_dir(&**self.home.fs(), dir, &self.shown(b""), wait).map(Some)
    }

    /// The path of a file of it, for messages.
    fn shown(&self, name: &[u8]) -> Vec<u8> {
        let dir = self.home.path().join("keys").join(self.label.as_str());
        dir.join(std::ffi::OsStr::from_bytes(name)).as_os_str().as_bytes().to_vec()
    }

    /// Its directory, where something may be written.
    fn written(&self) -> Option<&F::Dir> {
        self.dir.as_ref().filter(|_| self.home.access() == Access::ReadWrite)
    }
}
