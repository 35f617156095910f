//! Staging: bytes on their way into `tmp/`, digest-checked as they are written.
//!
//! A crash leaves files in `tmp/` that no mail program looks at; the next run of the same client removes them.

use std::io::{self, Write};
use std::sync::Arc;

use smd_protocol::delta::Mtime;
use smd_protocol::digest::Hashed;
use smd_protocol::{ContentHasher, Folder, seeded};

use crate::fs::{Fs, Stat};
use crate::grave::{self, Grave};

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
    grave: Grave<F>,
    tmp: F::Dir,
    folder: Folder,
    name: Vec<u8>,
    file: F::File,
    hasher: ContentHasher,
    /// Whether the grave was already asked for space.
    freed: bool,
    /// Permission bits that the file shall have.
    mode: Option<u32>,
}

impl<F: Fs> Draft<F> {
    /// Creates the file. `name` gives another name each time.
    pub(super) fn create(
        fs: &Arc<F>,
        grave: &Grave<F>,
        tmp: F::Dir,
        folder: &Folder,
        mut name: impl FnMut() -> Vec<u8>,
    ) -> io::Result<Self> {
        let mut freed = false;
        loop {
            let name = name();
            match fs.create(&tmp, &name) {
                Ok(file) => {
                    let (fs, grave, folder) = (fs.clone(), grave.clone(), folder.clone());
                    return Ok(Self {
                        fs,
                        grave,
                        tmp,
                        folder,
                        name,
                        file,
                        hasher: ContentHasher::new(),
                        freed,
                        mode: None,
                    });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) if grave::is_full(&e) && !freed && grave.free_space().unwrap_or(0) > 0 => freed = true,
                Err(e) => return Err(e),
            }
        }
    }

    /// Writes all of these bytes. When the disk is full the grave is asked, once, for space.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => left = &left[n..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if grave::is_full(&e) && !self.freed && self.grave.free_space().unwrap_or(0) > 0 => {
                    self.freed = true
                }
                Err(e) => return Err(e),
            }
        }
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
