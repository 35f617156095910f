//! What a restricted key's budget and log must know of a run.

use smd_protocol::delta::Present;
use smd_protocol::{Entry, Name};

use super::{RootRun, RunError};
use crate::error::Context;
use crate::fs::Fs;
use crate::home::Home;

impl<F: Fs> RootRun<F> {
    /// The state directory.
    pub fn home(&self) -> &Home<F> {
        &self.home
    }

    /// What is under a name, as far as the look and the steps that were taken since tell.
    ///
    /// # Errors
    /// As [`RootRun::base`].
    pub fn known(&mut self) -> Result<impl Fn(&Name) -> Option<Entry>, RunError> {
        let (base, delta) = (self.base()?, self.delta.clone());
        let applier = self.applier.as_ref();
        Ok(move |name: &Name| match applier {
            Some(applier) => applier.expected(name),
            None => Present { base: &base, delta: &delta }.entry(name).cloned(),
        })
    }

    /// How many messages the look saw.
    ///
    /// # Errors
    /// As [`RootRun::base`].
    pub fn messages(&mut self) -> Result<u64, RunError> {
        let (base, delta) = (self.base()?, self.delta.clone());
        Ok(Present { base: &base, delta: &delta }.iter().count() as u64)
    }

    /// What the ids of all that this run buries have in common. Takes the root's lock.
    ///
    /// # Errors
    /// When the lock is held too long, or the age clock cannot be read.
    pub fn burials(&mut self, stop: &dyn Fn() -> bool) -> Result<String, RunError> {
        let path = std::os::unix::ffi::OsStrExt::as_bytes(self.path.as_os_str()).to_vec();
        self.need_root()?;
        self.locked(stop, |run| Ok(run.applier()?.burials().context("look at the grave of", path)?))
    }
}
