//! A root held open, and the folders below it.
//!
//! Here a path off the wire becomes a path on disk: a [`Folder`] is walked component by component from
//! the held root, never following a symlink, so nothing outside the root can be reached.
//!
//! Where folders have other names on this host than on the wire, a root has a [`Naming`] and is spoken to by canonical
//! names; [`Root::on_disk`] is the same root, spoken to by the names of its own disk.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smd_protocol::delta::Mtime;
use smd_protocol::snapshot::Place;
use smd_protocol::{Folder, Name, seeded};

use crate::fs::Fs;

/// Which directory a root is, so that another one in its place is noticed. Device numbers change at reboots and
/// are no part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Inode of the root's directory.
    pub ino: u64,
    /// Its birth time, where the file system says.
    pub btime: Option<Mtime>,
}

impl Identity {
    /// Whether this may be the directory that `was` tells of.
    pub fn may_be(&self, was: &Self) -> bool {
        seeded::is("any-directory-is-the-root")
            || self.ino == was.ino && (self.btime.is_none() || was.btime.is_none() || self.btime == was.btime)
    }
}

/// A folder that is, or whose `cur` or `new` is, where another file system is mounted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    /// The folder.
    pub folder: Folder,
    /// Which directory is mounted there: the first of folder, `cur` and `new` that is a mount point. None where that was
    /// not recorded, by a version of these programs that did not.
    pub identity: Option<Identity>,
}

/// How folders are called on this host (local) and on the wire and in every base (canonical: the server's names).
///
/// Whatever it gives was translated back, and came out as it went in: so no two folders have one name. An error is a whole
/// sentence for the person: which folder, which translator, what to do.
pub trait Naming: Send + Sync + fmt::Debug {
    /// The canonical name of a folder that has this path below the root on this host.
    ///
    /// # Errors
    /// When it has none.
    fn canonical(&self, local: &Folder) -> Result<Folder, String>;

    /// The path below the root on this host of a folder with this canonical name.
    ///
    /// # Errors
    /// When it has none.
    fn local(&self, canonical: &Folder) -> Result<Folder, String>;

    /// A text that is another when names may be translated otherwise: then the base is of no use. Never empty.
    fn fingerprint(&self) -> &str;
}

/// A root, held open for a run.
pub struct Root<F: Fs> {
    /// The file system.
    pub fs: Arc<F>,
    /// The held directory.
    pub dir: F::Dir,
    /// Where the operator said it is; for messages only.
    pub path: PathBuf,
    /// How folders are called here, when that is not their canonical name.
    naming: Option<Arc<dyn Naming>>,
}

impl<F: Fs> Clone for Root<F> {
    fn clone(&self) -> Self {
        Self { fs: self.fs.clone(), dir: self.dir.clone(), path: self.path.clone(), naming: self.naming.clone() }
    }
}

/// A folder held open. Any of the three may be missing on disk.
pub struct FolderDirs<F: Fs> {
    /// The folder's own directory.
    pub dir: F::Dir,
    /// `cur/`.
    pub cur: Option<F::Dir>,
    /// `new/`.
    pub new: Option<F::Dir>,
}

impl<F: Fs> FolderDirs<F> {
    /// Whether it is a folder: a directory that has neither place is none, or none any more.
    pub fn is_folder(&self) -> bool {
        self.cur.is_some() || self.new.is_some()
    }

    /// The held directory of a place.
    pub fn place(&self, place: Place) -> Option<&F::Dir> {
        match place {
            Place::New => self.new.as_ref(),
            Place::Cur => self.cur.as_ref(),
        }
    }
}

fn unnamed(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// Turns "there is none" into a value; every other error stays one.
///
/// # Errors
/// All but `NotFound`.
pub fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

impl<F: Fs> Root<F> {
    /// Opens the root that an operator named.
    ///
    /// # Errors
    /// As the system says; `NotFound` when there is none.
    pub fn open(fs: Arc<F>, path: &Path) -> io::Result<Self> {
        let dir = fs.open_root(path)?;
        Ok(Self { fs, dir, path: path.to_path_buf(), naming: None })
    }

    /// The root, spoken to by canonical names from here on.
    #[must_use]
    pub fn named(self, naming: Option<Arc<dyn Naming>>) -> Self {
        Self { naming, ..self }
    }

    /// The root, spoken to by the names of its own disk.
    #[must_use]
    pub fn on_disk(&self) -> Self {
        self.clone().named(None)
    }

    /// The path of a folder below the root on this host.
    ///
    /// # Errors
    /// `InvalidInput` when there is none: never `NotFound`, which would be an absence.
    pub fn local(&self, folder: &Folder) -> io::Result<Folder> {
        match &self.naming {
            None => Ok(folder.clone()),
            Some(naming) => naming.local(folder).map_err(unnamed),
        }
    }

    /// The name, in the terms in which this root is spoken to, of a folder with this path below the root.
    ///
    /// # Errors
    /// `InvalidInput` when there is none.
    pub fn canonical(&self, local: &Folder) -> io::Result<Folder> {
        match &self.naming {
            None => Ok(local.clone()),
            Some(naming) => naming.canonical(local).map_err(unnamed),
        }
    }

    /// Opens the directory of a folder, component by component.
    ///
    /// # Errors
    /// `NotFound` when a component is missing; `ENOTDIR` or `ELOOP` when one is a file or a symlink.
    pub fn folder_dir(&self, folder: &Folder) -> io::Result<F::Dir> {
        self.local_dir(&self.local(folder)?)
    }

    /// As [`Root::folder_dir`], by the path on this host.
    ///
    /// # Errors
    /// As there.
    pub fn local_dir(&self, local: &Folder) -> io::Result<F::Dir> {
        let mut dir = self.dir.clone();
        for component in local.components() {
            dir = self.fs.open_dir(&dir, component)?;
        }
        Ok(dir)
    }

    /// Opens a folder with its `cur` and `new`, as far as they are there.
    ///
    /// # Errors
    /// As [`Root::folder_dir`], and when `cur` or `new` is there but cannot be opened as a directory.
    pub fn folder(&self, folder: &Folder) -> io::Result<FolderDirs<F>> {
        let dir = self.folder_dir(folder)?;
        let new = if_there(self.fs.open_dir(&dir, b"new"))?;
        let cur = if_there(self.fs.open_dir(&dir, b"cur"))?;
        Ok(FolderDirs { dir, cur, new })
    }

    /// The root's own path, for a person.
    pub fn shown_root(&self) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt;
        self.path.as_os_str().as_bytes().to_vec()
    }

    /// A path for a person: the root's path with the folder's on this host and, if given, more behind it.
    pub fn shown(&self, folder: &Folder, below: &[u8]) -> Vec<u8> {
        let mut path = self.shown_root();
        // What has no name here is called as the other host calls it.
        let local = self.local(folder).unwrap_or_else(|_| folder.clone());
        for part in local.components().chain(below.split(|&b| b == b'/')).filter(|p| !p.is_empty()) {
            path.push(b'/');
            path.extend_from_slice(part);
        }
        path
    }

    /// A message's path for a person, by uniq.
    pub fn shown_name(&self, name: &Name) -> Vec<u8> {
        self.shown(&name.folder, name.uniq.as_bytes())
    }
}
