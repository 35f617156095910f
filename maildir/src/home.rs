//! The state directory (`~/.smd`, or what the person put in its place), held open: the directories in it,
//! the labels and file names by which peers and roots are found there, and this machine's client id.
//!
//! Everything below it is reached by names relative to the held directory. A directory in it may be a symlink (`state` or `grave` on
//! a larger disk); below those none is followed. What is made is mode 0700 (directories) or 0600 (files). With [`Access::ReadOnly`] nothing is
//! made at all: what is missing is simply not there.
//!
//! Deliberately not here: where the directory lies (the caller knows the environment), and the format of
//! any file in it but `client-id` and `age-clock`.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::root::if_there;

mod age;
mod client_id;
pub(crate) mod file;
mod label;
mod server_id;
mod sessions;

pub use age::Age;
pub(crate) use age::{DAY, age};
pub use client_id::{ClientId, Fresh, client_id};
pub use file::{put_in_place, read_file, replace_file, write_beside};
pub use label::{LABEL_MAX, Label, LabelError, STEM_MAX, path_of_stem, stem};
pub use server_id::server_id;
pub(crate) use sessions::Gate;
pub use sessions::{Crowded, Sessions};

/// Whether state may be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing is created or changed (a dry run).
    ReadOnly,
    /// Directories and files are made when needed.
    ReadWrite,
}

/// Which of the two a state file belongs to: both ends may live in one home directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// `state/PEER/`.
    Client,
    /// `served/CLIENT/`.
    Server,
}

impl Side {
    /// The directory of all peers' states of this side, in the state directory.
    pub(crate) fn dir(self) -> &'static [u8] {
        match self {
            Side::Client => b"state",
            Side::Server => b"served",
        }
    }
}

/// The state directory, held open.
pub struct Home<F: Fs> {
    fs: Arc<F>,
    dir: Option<F::Dir>,
    path: PathBuf,
    access: Access,
}

impl<F: Fs> Clone for Home<F> {
    fn clone(&self) -> Self {
        Self { fs: self.fs.clone(), dir: self.dir.clone(), path: self.path.clone(), access: self.access }
    }
}

/// The directory of one peer's state, one base and one cache for each root in it.
pub struct Pair<F: Fs> {
    /// The file system.
    pub fs: Arc<F>,
    /// The held directory; none when it is not there and may not be made.
    pub dir: Option<F::Dir>,
    /// The state directory that it lies in.
    home: Home<F>,
    side: Side,
    /// Where it is; for messages only.
    pub path: PathBuf,
    /// Whether anything in it may be written.
    pub access: Access,
}

impl<F: Fs> Clone for Pair<F> {
    fn clone(&self) -> Self {
        let Self { fs, dir, home, side, path, access } = self;
        let (fs, dir, home) = (fs.clone(), dir.clone(), home.clone());
        Self { fs, dir, home, side: *side, path: path.clone(), access: *access }
    }
}

impl<F: Fs> Pair<F> {
    /// Makes the way to the directory durable. A run that made a part of it may have been killed before it synced that, and
    /// every later run finds it there.
    ///
    /// # Errors
    /// When a directory on the way cannot be opened or synced.
    pub fn sync_way(&self) -> Result<(), Error> {
        self.home.sync_above()?;
        let Home { fs, dir, path, .. } = &self.home;
        let side = self.home.below(&[self.side.dir()])?;
        dir.iter().chain(&side).try_for_each(|dir| fs.sync_dir(dir)).context("sync", path.as_os_str().as_bytes())
    }

    /// The path of a file in it, for messages.
    pub fn shown(&self, name: &[u8]) -> Vec<u8> {
        shown(&self.path, name)
    }
}

fn shown(path: &Path, below: &[u8]) -> Vec<u8> {
    let mut out = path.as_os_str().as_bytes().to_vec();
    out.push(b'/');
    out.extend_from_slice(below);
    out
}

impl<F: Fs> Home<F> {
    /// Opens the state directory; makes it, and what is missing above it, when it may.
    ///
    /// # Errors
    /// When it cannot be opened or made. That it is not there is no error with [`Access::ReadOnly`].
    pub fn open(fs: Arc<F>, path: &Path, access: Access) -> Result<Self, Error> {
        let bytes = path.as_os_str().as_bytes();
        let dir = match if_there(fs.open_root(path)).context("open", bytes)? {
            None if access == Access::ReadWrite => Some(make_path(&*fs, path)?),
            found => found,
        };
        Ok(Self { fs, dir, path: path.to_path_buf(), access })
    }

    /// Makes durable that the state directory is there. A process that shut itself off from the directory above does this before.
    ///
    /// # Errors
    /// When the directory above cannot be opened or synced.
    pub fn sync_above(&self) -> Result<(), Error> {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match self.fs.open_root(parent) {
            // What we may pass and not read cannot be synced, and is not ours to have changed.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            opened => opened.and_then(|dir| self.fs.sync_dir(&dir)).context("sync", parent.as_os_str().as_bytes()),
        }
    }

    /// The file system.
    pub fn fs(&self) -> &Arc<F> {
        &self.fs
    }

    /// The held directory; none when it is not there and may not be made.
    pub fn dir(&self) -> Option<&F::Dir> {
        self.dir.as_ref()
    }

    /// Where it is; for messages only.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether anything in it may be written.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The same directory, in which nothing is made or changed by this hand.
    pub fn reader(&self) -> Self {
        Self { access: Access::ReadOnly, ..self.clone() }
    }

    /// Opens the directory of a peer's state.
    ///
    /// # Errors
    /// When it cannot be opened or made.
    pub fn pair(&self, side: Side, peer: &Label) -> Result<Pair<F>, Error> {
        let names = [side.dir(), peer.as_str().as_bytes()];
        let dir = self.below(&names)?;
        let path = names.iter().fold(self.path.clone(), |path, name| path.join(std::ffi::OsStr::from_bytes(name)));
        Ok(Pair { fs: self.fs.clone(), dir, home: self.clone(), side, path, access: self.access })
    }

    /// Opens a directory below this one, component by component, making what is missing when it may. The first may be a symlink.
    ///
    /// # Errors
    /// When a component cannot be opened or made, or is a symlink that is not followed or leads nowhere.
    pub fn below(&self, names: &[&[u8]]) -> Result<Option<F::Dir>, Error> {
        let Some(mut dir) = self.dir.clone() else { return Ok(None) };
        for (depth, name) in names.iter().enumerate() {
            let path = || shown(&self.path, &names[..=depth].join(&b'/'));
            let opened = if depth == 0 { self.fs.open_moved(&dir, name) } else { self.fs.open_dir(&dir, name) };
            dir = match if_there(opened).context("open", path())? {
                Some(dir) => dir,
                None if self.access == Access::ReadOnly => return Ok(None),
                None => make(&*self.fs, &dir, name).context("make", path())?,
            };
        }
        Ok(Some(dir))
    }
}

/// Makes a directory durably and opens it; one that another run made meanwhile is as good.
fn make<F: Fs>(fs: &F, at: &F::Dir, name: &[u8]) -> io::Result<F::Dir> {
    match fs.make_dir(at, name) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => fs.sync_dir(at)?,
    }
    fs.open_dir(at, name)
}

fn make_path<F: Fs>(fs: &F, path: &Path) -> Result<F::Dir, Error> {
    let bytes = path.as_os_str().as_bytes();
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::NotFound)).context("make", bytes);
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let above = match if_there(fs.open_root(parent)).context("open", parent.as_os_str().as_bytes())? {
        Some(dir) => dir,
        None => make_path(fs, parent)?,
    };
    make(fs, &above, name.as_bytes()).context("make", bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Disk;
    use std::os::unix::fs::PermissionsExt;

    fn home(path: &Path, access: Access) -> Home<Disk> {
        Home::open(Arc::new(Disk), path, access).expect("opens")
    }

    #[test]
    fn nothing_is_made_in_a_dry_run() {
        let temp = tempfile::tempdir().expect("temp");
        let path = temp.path().join("a/.smd");
        let dry = home(&path, Access::ReadOnly);
        assert!(dry.pair(Side::Client, &Label::derive(b"x")).expect("asks").dir.is_none());
        assert_eq!(client_id(&dry, Path::new("/nonexistent")).expect("gives").fresh, Some(Fresh::First));
        assert!(!temp.path().join("a").exists());
        let real = home(&path, Access::ReadWrite);
        let pair = real.pair(Side::Server, &Label::derive(b"x")).expect("makes");
        assert!(pair.dir.is_some());
        for made in [&path, &path.join("served"), &path.join("served/x")] {
            assert_eq!(made.metadata().expect("is there").permissions().mode() & 0o777, 0o700);
        }
        let dry = home(&path, Access::ReadOnly);
        assert!(dry.pair(Side::Client, &Label::derive(b"x")).expect("asks").dir.is_none());
        assert!(dry.pair(Side::Server, &Label::derive(b"x")).expect("asks").dir.is_some());
        assert!(!path.join("state").exists());
    }

    #[test]
    fn a_directory_of_state_may_be_a_symlink_and_nothing_below_it() {
        let (temp, disk) = (tempfile::tempdir().expect("temp"), tempfile::tempdir().expect("another disk"));
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, temp.path().join(name)).expect("links");
        let pair = |access, side| home(temp.path(), access).pair(side, &Label::derive(b"x"));
        link(disk.path(), "state");
        assert!(pair(Access::ReadWrite, Side::Client).expect("opens").dir.is_some());
        assert!(disk.path().join("x").is_dir());
        std::fs::create_dir(temp.path().join("served")).expect("makes");
        link(disk.path(), "served/x");
        assert!(pair(Access::ReadWrite, Side::Server).is_err());
    }

    #[test]
    fn a_symlink_to_a_disk_that_is_not_mounted_is_an_error_and_not_a_state_that_was_lost() {
        let temp = tempfile::tempdir().expect("temp");
        std::os::unix::fs::symlink(temp.path().join("not/mounted"), temp.path().join("state")).expect("links");
        for access in [Access::ReadOnly, Access::ReadWrite] {
            let opened = home(temp.path(), access).pair(Side::Client, &Label::derive(b"x"));
            let text = opened.err().expect("it leads nowhere").cause.to_string();
            assert!(text.contains("is a symlink to a directory that is not there"), "{text}");
        }
    }
}
