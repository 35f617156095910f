//! The disk as people and mail programs use it: by path, without faults, without being counted.
//!
//! What they change is in the log of the disk like any other change: a crash takes it unless somebody syncs.
//!
//! Deliberately not here: what a mail program would do; models call these.

use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, MutexGuard};

use smd_maildir::fs::{Kind, Rename, Stat};
use smd_protocol::delta::Mtime;

use super::names::{Disk, fail};
use super::node::{Body, Id};
use super::tree::{FileInfo, Restore, Tree};
use super::{Core, Memory};

/// Nanoseconds that a deed takes.
const DEED_NS: i64 = 5_000;

/// A hand on a disk. Paths are from `/`; symlinks above the last component are followed.
#[derive(Clone, Copy, Debug)]
pub struct Hand<'a>(pub(super) &'a Memory);

impl<'a> Hand<'a> {
    fn core(self) -> MutexGuard<'a, Core> {
        self.0.core()
    }

    fn deed<T>(self, act: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        let mut core = self.core();
        core.disk.clock.advance(DEED_NS);
        let done = act(&mut core.disk);
        core.collect();
        done
    }

    fn path<T>(self, path: impl AsRef<[u8]>, act: impl FnOnce(&mut Disk, Id, &[u8]) -> io::Result<T>) -> io::Result<T> {
        self.deed(|disk| {
            let (dir, name) = disk.parent(path.as_ref())?;
            act(disk, dir, name)
        })
    }

    /// Writes a file: a new one, or in place where one is. Its mtime is the clock's unless given. `synced`: its bytes and
    /// its name are durable, as after a careful delivery.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn write_file(
        self,
        path: impl AsRef<[u8]>,
        bytes: impl AsRef<[u8]>,
        mtime: Option<Mtime>,
        synced: bool,
    ) -> io::Result<()> {
        self.path(path, |disk, dir, name| {
            let id = match disk.find(dir, name)? {
                Some(id) if matches!(disk.node(id).body, Body::File(_)) => {
                    disk.truncate(id, 0);
                    id
                }
                Some(_) => return fail(Errno::ISDIR),
                None => disk.make_file(dir, name, 0o600)?,
            };
            if disk.write(id, 0, bytes.as_ref())? < bytes.as_ref().len() {
                return fail(Errno::NOSPC);
            }
            if mtime.is_some() {
                disk.set(id, mtime, None);
            }
            if synced {
                disk.sync_file(id);
                disk.sync_dir(dir);
            }
            Ok(())
        })
    }

    /// Appends to a file that is there.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn append(self, path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.path(path, |disk, dir, name| {
            let id = disk.entry(dir, name)?;
            match &disk.node(id).body {
                Body::File(file) => {
                    let at = file.bytes.len();
                    disk.write(id, at, bytes.as_ref()).map(|_| ())
                }
                _ => fail(Errno::ISDIR),
            }
        })
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn read_file(self, path: impl AsRef<[u8]>) -> io::Result<Arc<Vec<u8>>> {
        let core = self.core();
        match &core.disk.node(core.disk.walk(path.as_ref(), true)?).body {
            Body::File(file) => Ok(file.bytes.clone()),
            _ => fail(Errno::ISDIR),
        }
    }

    /// What the kernel says of a path; a symlink is looked at itself.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn stat(self, path: impl AsRef<[u8]>) -> io::Result<Stat> {
        let core = self.core();
        Ok(core.disk.stat(core.disk.walk(path.as_ref(), false)?))
    }

    /// Whether there is anything at a path.
    pub fn exists(self, path: impl AsRef<[u8]>) -> bool {
        self.stat(path).is_ok()
    }

    /// Renames a file or a whole folder; a file that is there is replaced, and so is an empty directory by a directory.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn rename(self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> io::Result<()> {
        self.deed(|disk| {
            let (from, old) = disk.parent(from.as_ref())?;
            let (to, new) = disk.parent(to.as_ref())?;
            disk.rename(from, old, to, new, Rename::Replace)
        })
    }

    /// Gives a file a second name.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn link(self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> io::Result<()> {
        self.deed(|disk| {
            let (from, old) = disk.parent(from.as_ref())?;
            let (to, new) = disk.parent(to.as_ref())?;
            disk.link(from, old, to, new)
        })
    }

    /// Makes a symlink.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn symlink(self, target: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> io::Result<()> {
        let body = Body::Symlink(target.as_ref().into());
        self.path(path, |disk, dir, name| disk.make(dir, name, 0o777, body).map(|_| ()))
    }

    /// Makes a FIFO.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn fifo(self, path: impl AsRef<[u8]>) -> io::Result<()> {
        self.path(path, |disk, dir, name| disk.make(dir, name, 0o600, Body::Other).map(|_| ()))
    }

    /// Removes a name of what is not a directory.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn unlink(self, path: impl AsRef<[u8]>) -> io::Result<()> {
        self.path(path, |disk, dir, name| disk.unlink(dir, name))
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn mkdir(self, path: impl AsRef<[u8]>) -> io::Result<()> {
        self.path(path, |disk, dir, name| disk.make_dir(dir, name, 0o700).map(|_| ()))
    }

    /// Makes a directory and what is missing above it.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn mkdir_all(self, path: impl AsRef<[u8]>) -> io::Result<()> {
        let path = path.as_ref();
        let ends = path.iter().enumerate().filter(|(at, byte)| **byte == b'/' && *at > 0).map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            match self.mkdir(&path[..end]) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn rmdir(self, path: impl AsRef<[u8]>) -> io::Result<()> {
        self.path(path, |disk, dir, name| disk.remove_dir(dir, name))
    }

    /// Removes a directory and everything in it.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn remove_dir_all(self, path: impl AsRef<[u8]>) -> io::Result<()> {
        self.path(path, |disk, dir, name| {
            let id = disk.entry(dir, name)?;
            empty(disk, id)?;
            disk.remove_dir(dir, name)
        })
    }

    /// Everything below a directory, by path relative to it, directories too.
    ///
    /// # Errors
    /// When the path is not there.
    pub fn list(self, path: impl AsRef<[u8]>) -> io::Result<BTreeMap<Vec<u8>, FileInfo>> {
        let mut found = self.copy_tree(path)?.0;
        found.remove(&b""[..]);
        Ok(found)
    }

    /// Calls `each` with the path below a directory, and the bytes, of every file; copies nothing.
    ///
    /// # Errors
    /// When the path is not there.
    pub fn each_file(self, path: impl AsRef<[u8]>, mut each: impl FnMut(&[u8], &Arc<Vec<u8>>)) -> io::Result<()> {
        let core = self.core();
        core.disk.each_file(core.disk.walk(path.as_ref(), true)?, &mut Vec::new(), &mut each);
        Ok(())
    }

    /// Sets the mtime of a file or directory.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn touch(self, path: impl AsRef<[u8]>, mtime: Mtime) -> io::Result<()> {
        self.deed(|disk| {
            let id = disk.walk(path.as_ref(), true)?;
            disk.set(id, Some(mtime), None);
            Ok(())
        })
    }

    /// Sets the permission bits of a file or directory.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn chmod(self, path: impl AsRef<[u8]>, mode: u32) -> io::Result<()> {
        self.deed(|disk| {
            let id = disk.walk(path.as_ref(), true)?;
            disk.set(id, None, Some(mode));
            Ok(())
        })
    }

    /// Makes an empty directory the root of a file system of its own: renames and links across it are `EXDEV`, and a sync
    /// of the one does nothing for the other.
    ///
    /// # Errors
    /// When it is not an empty directory.
    pub fn mount(self, path: impl AsRef<[u8]>) -> io::Result<()> {
        self.deed(|disk| {
            let id = disk.walk(path.as_ref(), true)?;
            if !disk.dir(id)?.names.is_empty() {
                return fail(Errno::NOTEMPTY);
            }
            let dev = disk.next_dev;
            disk.next_dev += 1;
            let node = disk.node_mut(id);
            (node.dev, node.mount) = (dev, true);
            Ok(())
        })
    }

    /// A copy of what is at a path.
    ///
    /// # Errors
    /// When the path is not there.
    pub fn copy_tree(self, path: impl AsRef<[u8]>) -> io::Result<Tree> {
        let core = self.core();
        Ok(Tree(core.disk.tree(core.disk.walk(path.as_ref(), true)?)))
    }

    /// Replaces what is at a path by a copy, as a restore from a backup does: new inodes, the mtimes of the copy, ctimes of
    /// now. Hard links become files of their own.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn put_tree(self, path: impl AsRef<[u8]>, tree: &Tree, how: Restore) -> io::Result<()> {
        let path = path.as_ref();
        if self.exists(path) {
            if how.keep_top {
                self.deed(|disk| {
                    let id = disk.walk(path, true)?;
                    empty(disk, id)
                })?;
            } else {
                self.remove_dir_all(path)?;
            }
        }
        let whole = |below: &[u8]| if below.is_empty() { path.to_vec() } else { [path, b"/", below].concat() };
        for (below, info) in &tree.0 {
            let at = whole(below);
            match info.kind {
                Kind::Dir if below.is_empty() && self.exists(&at) => {}
                Kind::Dir => {
                    self.mkdir(&at)?;
                    self.chmod(&at, info.mode | 0o700)?;
                }
                Kind::Symlink => self.symlink(&**info.bytes, &at)?,
                Kind::File => {
                    self.write_file(&at, &**info.bytes, Some(info.mtime), false)?;
                    self.chmod(&at, info.mode)?;
                }
                Kind::Other | Kind::Unknown => self.fifo(&at)?,
            }
        }
        for (below, info) in tree.0.iter().rev().filter(|(_, info)| info.kind == Kind::Dir) {
            let at = whole(below);
            self.chmod(&at, info.mode)?;
            if how.dir_times {
                self.touch(&at, info.mtime)?;
            }
        }
        Ok(())
    }

    /// A digest of the names and bytes below a path, without stamps.
    ///
    /// # Errors
    /// When the path is not there.
    pub fn fingerprint(self, path: impl AsRef<[u8]>) -> io::Result<u64> {
        let core = self.core();
        Ok(core.disk.fingerprint(core.disk.walk(path.as_ref(), true)?))
    }

    /// Makes everything on all file systems durable.
    pub fn sync(self) {
        let mut core = self.core();
        let changed = std::mem::take(&mut core.disk.changed);
        changed.into_iter().for_each(|id| core.disk.sync_file(id));
        core.disk.log.clear();
        core.collect();
    }

    /// How many changes of names are not durable.
    pub fn pending(self) -> usize {
        self.core().disk.log.len()
    }
}

fn empty(disk: &mut Disk, dir: Id) -> io::Result<()> {
    let names: Vec<_> = disk.dir(dir)?.names.iter().map(|(name, id)| (name.clone(), *id)).collect();
    for (name, id) in names {
        if matches!(disk.node(id).body, Body::Dir(_)) {
            empty(disk, id)?;
            disk.remove_dir(dir, &name)?;
        } else {
            disk.unlink(dir, &name)?;
        }
    }
    Ok(())
}
