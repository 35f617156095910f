//! A root that is not there yet: it is made when a first step needs it, and told beforehand when it could not be.
//!
//! Deliberately not here: a root that went missing (`looked`), and folders below a root (`crate::apply`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{RootRun, RunError};
use crate::error::{Context, Trouble};
use crate::fs::Fs;
use crate::root::Root;

/// An error of opening the directory above a root, in words of what to do.
fn above(error: std::io::Error) -> std::io::Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            std::io::Error::new(error.kind(), "the directory above it is not there; make that first")
        }
        _ => error,
    }
}

impl<F: Fs> RootRun<F> {
    /// Gives it the directory above a root that is not there, for a process that shut itself off from that: it may make the root
    /// in there, and not enter it ([`RunError::Made`]).
    pub fn holds_above(&mut self, above: F::Dir) {
        self.above = Some(above);
    }

    /// Opens the directory above the root.
    pub(super) fn open_above(&self) -> std::io::Result<F::Dir> {
        match &self.above {
            Some(above) => Ok(above.clone()),
            None => self.fs.open_root(self.place().0),
        }
    }

    /// The directory above the root, and its name in there.
    pub(super) fn place(&self) -> (&Path, &OsStr) {
        match (self.path.parent(), self.path.file_name()) {
            (Some(parent), Some(name)) if !parent.as_os_str().is_empty() => (parent, name),
            (_, Some(name)) => (Path::new("."), name),
            _ => (Path::new("/"), self.path.as_os_str()),
        }
    }

    /// Why a root that is not there could not be made either. Only what is sure to stand in the way; the run itself says the
    /// rest.
    pub(super) fn cannot_be_made(&self) -> Option<Trouble> {
        let (_, name) = self.place();
        let text = match self.open_above() {
            Ok(at) => match self.fs.stat(&at, name.as_bytes()) {
                Ok(_) => "is a symlink that leads nowhere, and cannot be made".to_owned(),
                Err(_) => return None,
            },
            Err(error) => format!("cannot be made: {}", above(error)),
        };
        Some(Trouble { path: self.path.as_os_str().as_bytes().to_vec(), text })
    }

    /// Makes the root: only its last component, so that a path below a disk that is not mounted is noticed.
    pub(super) fn make_root(&mut self) -> Result<Root<F>, RunError> {
        let shown = self.path.as_os_str().as_bytes();
        let (parent, name) = self.place();
        let at = self.open_above().map_err(above).context("make", shown)?;
        match self.fs.make_dir(&at, name.as_bytes()) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e).context("make", shown)?,
            _ => self.fs.sync_dir(&at).context("sync", parent.as_os_str().as_bytes())?,
        }
        if self.above.is_some() {
            return Err(RunError::Made);
        }
        let root = Root::open(self.fs.clone(), &self.path).context("open", shown)?.named(self.naming.clone());
        self.root = Some(root.clone());
        Ok(root)
    }
}
