//! Staging: bytes on their way into `tmp/`, digest-checked as they are written.
//!
//! A crash leaves files in `tmp/` that no mail program looks at; the next run of the same client removes them.

use std::io::{self, Write};
use std::sync::Arc;

use smd_protocol::delta::Mtime;
use smd_protocol::digest::Hashed;
use smd_protocol::{ContentHasher, Folder, seeded};

use crate::fs::{Fs, Stat};
use crate::quota::{Denied, Permit, Quota};

/// Complete bytes in `tmp/` of a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Staged {
    /// The folder.
    pub(super) folder: Folder,
    /// The name in its `tmp/`.
    pub(super) file: Vec<u8>,
    /// What the file is: its inode stays when it gets its name.
    pub(super) stat: Stat,
}

/// Why bytes could not be staged.
#[derive(Debug)]
pub(super) enum StageError {
    /// A call failed.
    Io(io::Error),
    /// The sync failed: nothing of the batch may be relied on.
    Sync(io::Error),
}

impl From<io::Error> for StageError {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

/// Bytes being written.
pub(super) struct Draft<F: Fs> {
    fs: Arc<F>,
    permit: Permit<F>,
    tmp: F::Dir,
    folder: Folder,
    name: Vec<u8>,
    file: F::File,
    hasher: ContentHasher,
    /// Permission bits that the file shall have.
    mode: Option<u32>,
}

impl<F: Fs> Draft<F> {
    /// Creates the file, for which so many bytes were announced. `name` gives another name each time.
    pub(super) fn create(
        fs: &Arc<F>,
        quota: &Quota<F>,
        tmp: F::Dir,
        folder: &Folder,
        size: u64,
        mut name: impl FnMut() -> Vec<u8>,
    ) -> Result<Self, Denied> {
        let permit = quota.permit(fs, &tmp, size)?;
        loop {
            let name = name();
            match fs.create(&tmp, &name) {
                Ok(file) => {
                    let (fs, folder) = (fs.clone(), folder.clone());
                    let hasher = ContentHasher::new();
                    return Ok(Self { fs, permit, tmp, folder, name, file, hasher, mode: None });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Writes all of these bytes, where the quota has room for them.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Denied> {
        self.permit.write(&self.fs, &self.tmp, bytes.len() as u64)?;
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Says which permission bits the file shall have.
    pub(super) fn set_mode(&mut self, mode: u32) {
        self.mode = Some(mode);
    }

    /// The digests so far.
    pub(super) fn hashed(&self) -> Hashed {
        self.hasher.finish()
    }

    /// Sets the mtime and, if one was said, the mode; if asked, makes the file durable.
    pub(super) fn finish(self, mtime: Mtime, sync: bool) -> Result<Staged, StageError> {
        let finished = self.finish_file(mtime, sync);
        if finished.is_err() {
            self.discard();
        }
        finished
    }

    fn finish_file(&self, mtime: Mtime, sync: bool) -> Result<Staged, StageError> {
        if !seeded::is("loses-mtime") {
            self.fs.set_mtime(&self.file, mtime)?;
        }
        if let Some(mode) = self.mode {
            self.fs.set_mode(&self.file, mode)?;
        }
        let stat = self.fs.stat_file(&self.file)?;
        if sync && !seeded::is("skips-sync-of-staged") {
            let synced = self.fs.sync_file(&self.file);
            let retried = if seeded::is("retries-a-failed-sync") {
                synced.or_else(|_| self.fs.sync_file(&self.file))
            } else {
                synced
            };
            retried.map_err(StageError::Sync)?;
        }
        Ok(Staged { folder: self.folder.clone(), file: self.name.clone(), stat })
    }

    /// Removes the file; if that fails the next run does.
    pub(super) fn discard(&self) {
        let _ = self.fs.unlink(&self.tmp, &self.name);
    }
}
