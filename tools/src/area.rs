//! A directory that a tool was given: which part of which root it is, the root's locks, and its grave.
//!
//! Deliberately not here: what the tool does there.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::signals::Signals;
use smd_maildir::fs::{Disk, Fs as _};
use smd_maildir::grave::Grave;
use smd_maildir::home::{Home, stem};
use smd_maildir::lock::{Guard, Wait};
use smd_maildir::root::Root;
use smd_protocol::Folder;

use crate::undo::{failure, io_failure, places, take_lock};

/// How long a root's lock is waited for, in milliseconds.
const LOCK_WAIT_MS: u64 = 30_000;

/// Which part of which root a directory is.
pub(crate) struct Area {
    /// The root.
    pub(crate) root: PathBuf,
    /// The folder in it.
    pub(crate) below: Folder,
    /// Known roots inside it, which are locked as well.
    inside: Vec<PathBuf>,
}

impl Area {
    /// Finds the root that a directory is, or lies in: its lock is the one that a sync takes, and its grave the one that
    /// smd-undo looks into. A directory that no config or state names is a root by itself.
    pub(crate) fn of(dir: &Path, home: &SmdHome) -> Result<Self, Box<Failure>> {
        let real = |path: &Path| std::fs::canonicalize(path);
        let wanted = real(dir).map_err(|error| io_failure(format!("cannot open {}: {error}", dir.display())))?;
        let known: Vec<(PathBuf, PathBuf)> =
            places::known(home).into_iter().filter_map(|path| Some((real(&path).ok()?, path))).collect();
        if let Some((real, root)) = known.iter().find(|(real, _)| wanted.starts_with(real)) {
            let below = wanted.strip_prefix(real).unwrap_or(Path::new(""));
            let below = Folder::parse(below.as_os_str().as_bytes())
                .map_err(|error| failure(Exit::Usage, "That is not a folder.", Some(error.to_string()), None))?;
            return Ok(Self { root: root.clone(), below, inside: Vec::new() });
        }
        let inside = known.into_iter().filter(|(real, _)| real.starts_with(&wanted)).map(|(_, path)| path).collect();
        Ok(Self { root: wanted, below: Folder::root(), inside })
    }

    /// Takes the locks of the root and of known roots inside it. Who ended the waiting by a signal hears of that.
    pub(crate) fn lock(&self, home: &Home<Disk>, signals: &Signals) -> Result<Vec<Guard<Disk>>, Box<Failure>> {
        let stop = signals.stop();
        let raised = || stop.load(std::sync::atomic::Ordering::Relaxed);
        let wait = Wait { ms: LOCK_WAIT_MS, stop: &raised };
        let ended =
            |failure: Box<Failure>| Box::new(Failure { exit: signals.exit().unwrap_or(failure.exit), ..*failure });
        let all = std::iter::once(&self.root).chain(&self.inside);
        all.map(|path| take_lock(&open(path)?, home, &wait).map_err(ended)).collect()
    }

    /// Where a tool of this name buries what it takes out of the root.
    pub(crate) fn grave(&self, root: &Root<Disk>, home: &Home<Disk>, tool: &str) -> Grave<Disk> {
        let key = stem(self.root.as_os_str().as_bytes());
        let label = format!("{tool}-{}", Disk.now().sec);
        Grave::open(root, home.dir().cloned().map(|dir| (dir, key.as_str())), &label)
    }
}

/// Opens a root.
pub(crate) fn open(path: &Path) -> Result<Root<Disk>, Box<Failure>> {
    Root::open(Arc::new(Disk), path).map_err(|error| io_failure(format!("cannot open {}: {error}", path.display())))
}
