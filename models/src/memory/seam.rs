//! The product's seam on the disk in memory: every call counted, judged and carried out.
//!
//! Deliberately not here: what a call does to the disk (`names.rs`, `node.rs` beside it).

use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use smd_maildir::fs::{Fs, Habits, Kind, Rename, Stat};
use smd_protocol::delta::Mtime;

use super::fault::{Class, Verdict};
use super::names::{Disk, ROOT, fail};
use super::node::{Body, EntryName, Id};
use super::{Core, EIO, Memory};

/// Nanoseconds that a call takes.
const CALL_NS: i64 = 3_000;

/// An inode that somebody holds open.
struct Hold {
    memory: Memory,
    id: Id,
    epoch: u64,
    locked: bool,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut core = self.memory.core();
        if core.epoch != self.epoch {
            return;
        }
        if self.locked {
            core.locks.remove(&self.id);
        }
        if let Some(count) = core.open.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                core.open.remove(&self.id);
                if core.disk.orphans.contains(&self.id) {
                    core.collect();
                }
            }
        }
    }
}

/// A held directory.
#[derive(Clone)]
pub struct HeldDir(Arc<Hold>);

/// An open file.
pub struct OpenFile {
    hold: Hold,
    /// The directory in which it was opened.
    dir: Id,
    name: EntryName,
    offset: usize,
    append: bool,
    writable: bool,
}

/// What a call is about, for counting, judging and tracing.
struct Call<'a> {
    what: &'static str,
    class: Class,
    /// What it is called on, with the epoch of the handle.
    on: Option<(Id, u64)>,
    to: Option<(Id, u64)>,
    /// The directory in which the file was opened that it is called on.
    within: Option<Id>,
    names: [&'a [u8]; 2],
}

/// A call that is about to be made.
pub struct Coming<'a> {
    memory: &'a Memory,
    call: &'a Call<'a>,
    /// How many calls there were, with this one.
    pub number: u64,
}

impl Coming<'_> {
    /// What it does.
    pub fn what(&self) -> &'static str {
        self.call.what
    }

    /// The path that it is about, or both. A file has the one by which it was opened, whatever became of that since.
    pub fn paths(&self) -> Vec<Vec<u8>> {
        let disk = &self.memory.core().disk;
        let handles = match self.call.on {
            None => return vec![self.call.names[0].to_vec()],
            Some((on, _)) => [Some(self.call.within.unwrap_or(on)), self.call.to.map(|(to, _)| to)],
        };
        let path = |(dir, name): (Id, &[u8])| {
            let (dir, slash) = (disk.path_of(dir), if name.is_empty() { &b""[..] } else { b"/" });
            [&dir[..], slash, name].concat()
        };
        handles.into_iter().flatten().zip(self.call.names).map(path).collect()
    }
}

impl<'a> Call<'a> {
    fn at(what: &'static str, class: Class, dir: &HeldDir, name: &'a [u8]) -> Self {
        Self { what, class, on: Some((dir.0.id, dir.0.epoch)), to: None, within: None, names: [entry(name), b""] }
    }

    fn dir(what: &'static str, class: Class, dir: &HeldDir) -> Self {
        Self { what, class, on: Some((dir.0.id, dir.0.epoch)), to: None, within: None, names: [b"", b""] }
    }

    fn file(what: &'static str, class: Class, file: &'a OpenFile) -> Self {
        let on = Some((file.hold.id, file.hold.epoch));
        Self { what, class, on, to: None, within: Some(file.dir), names: [&file.name, b""] }
    }

    fn two(what: &'static str, (from, old): (&HeldDir, &'a [u8]), (to, new): (&HeldDir, &'a [u8])) -> Self {
        let to = Some((to.0.id, to.0.epoch));
        let on = Some((from.0.id, from.0.epoch));
        Self { what, class: Class::Renames, on, to, within: None, names: [entry(old), entry(new)] }
    }
}

/// The seam takes one directory entry at a time; whatever else comes through it would have been a way out of the root.
fn entry(name: &[u8]) -> &[u8] {
    let one = !name.is_empty() && name != b"." && name != b".." && !name.iter().any(|byte| matches!(byte, b'/' | 0));
    assert!(one, "the product called the seam with {:?}, which is not one directory entry", name.escape_ascii());
    name
}

fn line(disk: &Disk, call: &Call<'_>) -> String {
    let mut line = call.what.to_owned();
    for ((handle, _), name) in [call.on, call.to].into_iter().flatten().zip(call.names) {
        let is_dir = disk.dir(handle).is_ok();
        let path = if is_dir { disk.path_of(handle) } else { Vec::new() };
        let slash = if is_dir && !name.is_empty() { "/" } else { "" };
        let _ = write!(line, " {}{slash}{}", path.escape_ascii(), name.escape_ascii());
    }
    line
}

impl Memory {
    fn hold(&self, core: &mut Core, id: Id) -> Hold {
        *core.open.entry(id).or_insert(0) += 1;
        Hold { memory: self.clone(), id, epoch: core.epoch, locked: false }
    }

    fn hold_dir(&self, core: &mut Core, id: Id) -> io::Result<HeldDir> {
        core.disk.dir(id)?;
        core.disk.may(id, 0o400)?;
        Ok(HeldDir(Arc::new(self.hold(core, id))))
    }

    fn hold_file(&self, core: &mut Core, id: Id, (dir, name): (Id, &[u8]), append: bool) -> io::Result<OpenFile> {
        if !matches!(core.disk.node(id).body, Body::File(_)) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
        }
        let hold = self.hold(core, id);
        Ok(OpenFile { hold, dir, name: name.into(), offset: 0, append, writable: append })
    }

    fn seam<T>(&self, call: Call<'_>, act: impl FnOnce(&mut Core) -> io::Result<T>) -> io::Result<T> {
        self.judged(call, |_| (), |core, _| act(core))
    }

    /// Counts and judges a call. `failed` happens when it fails without its effect; `act` is told whether it is to be cut short.
    fn judged<T>(
        &self,
        call: Call<'_>,
        failed: impl FnOnce(&mut Core),
        act: impl FnOnce(&mut Core, bool) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.0.has_between.load(Ordering::SeqCst) {
            self.run_between(&call);
        }
        // A handle that nobody gets is dropped only when the disk is free again.
        let nobody: io::Result<T>;
        let mut guard = self.core();
        let core = &mut *guard;
        if core.dead || [call.on, call.to].iter().flatten().any(|(_, epoch)| *epoch != core.epoch) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        core.calls += 1;
        core.disk.clock.advance(CALL_NS);
        let verdict = core.plan.judge(call.class, call.what == "write", call.names);
        if core.trace.is_some() {
            let mut line = line(&core.disk, &call);
            if verdict != Verdict::Go {
                let _ = write!(line, " => {verdict:?}");
            }
            core.trace.iter_mut().for_each(|trace| trace.push(std::mem::take(&mut line)));
        }
        match verdict {
            Verdict::Go => act(core, false),
            Verdict::Short(_) => act(core, true),
            Verdict::Fail { errno, late, dies } => {
                if late {
                    nobody = act(core, false);
                    core.dead = dies;
                    drop(guard);
                    drop(nobody);
                } else {
                    // A process that dies before its call fails nothing.
                    if !dies {
                        failed(core);
                    }
                    core.dead = dies;
                }
                Err(io::Error::from_raw_os_error(errno))
            }
        }
    }

    fn run_between(&self, call: &Call<'_>) {
        let take = || self.0.between.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut hook) = take().take() else { return };
        let (dead, number) = {
            let core = self.core();
            (core.dead, core.calls + 1)
        };
        if !dead {
            hook(self, &Coming { memory: self, call, number });
        }
        // The hook itself may have ended the hooks, or put another in its place.
        if self.0.has_between.load(Ordering::SeqCst) {
            take().get_or_insert(hook);
        }
    }

    fn given(disk: &Disk, name: &EntryName, id: Id) -> (EntryName, Kind, u64) {
        let node = disk.node(id);
        (name.clone(), if disk.settings.unknown_kinds { Kind::Unknown } else { node.kind() }, node.number)
    }
}

impl Fs for Memory {
    type Dir = HeldDir;
    type File = OpenFile;

    fn open_root(&self, path: &Path) -> io::Result<HeldDir> {
        let path = path.as_os_str().as_bytes();
        let (class, names) = (Class::Reads, [path, &b""[..]]);
        let call = Call { what: "open_root", class, on: None, to: None, within: None, names };
        self.seam(call, |core| {
            let id = core.disk.walk(path, true)?;
            self.hold_dir(core, id)
        })
    }

    fn open_dir(&self, at: &HeldDir, name: &[u8]) -> io::Result<HeldDir> {
        self.seam(Call::at("open_dir", Class::Reads, at, name), |core| {
            let id = core.disk.entry(at.0.id, name)?;
            self.hold_dir(core, id)
        })
    }

    fn make_dir(&self, at: &HeldDir, name: &[u8]) -> io::Result<()> {
        let call = Call::at("make_dir", Class::Writes, at, name);
        self.seam(call, |core| core.disk.make_dir(at.0.id, name, 0o700).map(|_| ()))
    }

    fn remove_dir(&self, at: &HeldDir, name: &[u8]) -> io::Result<()> {
        self.seam(Call::at("remove_dir", Class::Renames, at, name), |core| {
            core.disk.remove_dir(at.0.id, name)?;
            core.collect();
            Ok(())
        })
    }

    fn list(&self, dir: &HeldDir, each: &mut dyn FnMut(&[u8], Kind, u64)) -> io::Result<()> {
        let mut early = Vec::new();
        let mut error = None;
        let slots = |core: &mut Core| {
            core.disk.may(dir.0.id, 0o400)?;
            if core.disk.dir(dir.0.id)?.gone {
                return fail(Errno::NOENT);
            }
            let mut slots: Vec<(EntryName, Id)> =
                core.disk.dir(dir.0.id)?.names.iter().map(|(name, id)| (name.clone(), *id)).collect();
            core.disk.dice.shuffle(&mut slots);
            let middle = core.disk.dice.below(slots.len() + 1);
            let early: Vec<_> = slots[..middle].iter().map(|(name, id)| Self::given(&core.disk, name, *id)).collect();
            io::Result::Ok((slots, middle, early))
        };
        // A listing that fails gives some names first.
        let failed = |core: &mut Core| match slots(core) {
            Ok((_, _, given)) => early = given,
            Err(e) => error = Some(e),
        };
        let begun = self.judged(Call::dir("list", Class::Lists, dir), failed, |core, _| slots(core));
        if let Some(e) = error {
            return Err(e);
        }
        let (slots, middle, given) = match begun {
            Ok(begun) => begun,
            Err(e) => {
                early.iter().for_each(|(name, kind, ino)| each(name, *kind, *ino));
                return Err(e);
            }
        };
        given.iter().for_each(|(name, kind, ino)| each(name, *kind, *ino));
        self.run_while_listing(dir.0.id);
        let late = {
            let mut core = self.core();
            if core.dead || core.epoch != dir.0.epoch {
                return Err(io::Error::from_raw_os_error(EIO));
            }
            let disk = &mut core.disk;
            let names = disk.dir(dir.0.id)?.names.clone();
            let mut late: Vec<(EntryName, Id)> =
                slots[middle..].iter().filter_map(|(name, _)| names.get(name).map(|id| (name.clone(), *id))).collect();
            let before: BTreeSet<&EntryName> = slots.iter().map(|(name, _)| name).collect();
            for (name, id) in names.iter().filter(|(name, _)| !before.contains(name)) {
                if disk.dice.chance(disk.settings.late_names) {
                    let at = disk.dice.below(late.len() + 1);
                    late.insert(at, (name.clone(), *id));
                }
            }
            late.iter().map(|(name, id)| Self::given(disk, name, *id)).collect::<Vec<_>>()
        };
        late.iter().for_each(|(name, kind, ino)| each(name, *kind, *ino));
        Ok(())
    }

    fn stat_dir(&self, dir: &HeldDir) -> io::Result<Stat> {
        self.seam(Call::dir("stat_dir", Class::Reads, dir), |core| Ok(core.disk.stat(dir.0.id)))
    }

    fn stat(&self, at: &HeldDir, name: &[u8]) -> io::Result<Stat> {
        self.seam(Call::at("stat", Class::Reads, at, name), |core| {
            let id = core.disk.entry(at.0.id, name)?;
            Ok(core.disk.stat(id))
        })
    }

    fn open(&self, at: &HeldDir, name: &[u8]) -> io::Result<OpenFile> {
        self.seam(Call::at("open", Class::Reads, at, name), |core| {
            let id = core.disk.entry(at.0.id, name)?;
            if matches!(core.disk.node(id).body, Body::Symlink(_)) {
                return fail(Errno::LOOP);
            }
            core.disk.may(id, 0o400)?;
            self.hold_file(core, id, (at.0.id, name), false)
        })
    }

    fn create(&self, at: &HeldDir, name: &[u8]) -> io::Result<OpenFile> {
        self.seam(Call::at("create", Class::Writes, at, name), |core| {
            let id = core.disk.make_file(at.0.id, name, 0o600)?;
            let file = self.hold_file(core, id, (at.0.id, name), false)?;
            Ok(OpenFile { writable: true, ..file })
        })
    }

    fn append(&self, at: &HeldDir, name: &[u8]) -> io::Result<OpenFile> {
        self.seam(Call::at("append", Class::Writes, at, name), |core| {
            let id = core.disk.entry(at.0.id, name)?;
            match core.disk.node(id).body {
                Body::Symlink(_) => return fail(Errno::LOOP),
                Body::Dir(_) => return fail(Errno::ISDIR),
                _ => core.disk.may(id, 0o600)?,
            }
            self.hold_file(core, id, (at.0.id, name), true)
        })
    }

    fn truncate(&self, file: &OpenFile, size: u64) -> io::Result<()> {
        self.seam(Call::file("truncate", Class::Writes, file), |core| {
            if !file.writable {
                return fail(Errno::INVAL);
            }
            core.disk.truncate(file.hold.id, size as usize);
            Ok(())
        })
    }

    fn stat_file(&self, file: &OpenFile) -> io::Result<Stat> {
        self.seam(Call::file("stat_file", Class::Reads, file), |core| Ok(core.disk.stat(file.hold.id)))
    }

    fn set_mtime(&self, file: &OpenFile, mtime: Mtime) -> io::Result<()> {
        self.seam(Call::file("set_mtime", Class::Writes, file), |core| {
            core.disk.set(file.hold.id, Some(mtime), None);
            Ok(())
        })
    }

    fn set_mode(&self, file: &OpenFile, mode: u32) -> io::Result<()> {
        self.seam(Call::file("set_mode", Class::Writes, file), |core| {
            core.disk.set(file.hold.id, None, Some(mode));
            Ok(())
        })
    }

    fn rename(&self, from: &HeldDir, old: &[u8], to: &HeldDir, new: &[u8], how: Rename) -> io::Result<()> {
        let what = match how {
            Rename::NoReplace => "rename",
            Rename::Exchange => "exchange",
            Rename::Replace => "replace",
        };
        self.seam(Call::two(what, (from, old), (to, new)), |core| {
            core.disk.rename(from.0.id, old, to.0.id, new, how)?;
            core.collect();
            Ok(())
        })
    }

    fn link(&self, from: &HeldDir, old: &[u8], to: &HeldDir, new: &[u8]) -> io::Result<()> {
        let call = Call::two("link", (from, old), (to, new));
        self.seam(call, |core| core.disk.link(from.0.id, old, to.0.id, new))
    }

    fn unlink(&self, at: &HeldDir, name: &[u8]) -> io::Result<()> {
        self.seam(Call::at("unlink", Class::Renames, at, name), |core| {
            core.disk.unlink(at.0.id, name)?;
            core.collect();
            Ok(())
        })
    }

    fn sync_file(&self, file: &OpenFile) -> io::Result<()> {
        let id = file.hold.id;
        let call = Call::file("sync_file", Class::Syncs, file);
        self.judged(
            call,
            |core| core.disk.fail_sync(id),
            |core, _| {
                core.disk.sync_file(id);
                Ok(())
            },
        )
    }

    fn sync_dir(&self, dir: &HeldDir) -> io::Result<()> {
        self.seam(Call::dir("sync_dir", Class::Syncs, dir), |core| {
            core.disk.sync_dir(dir.0.id);
            core.collect();
            Ok(())
        })
    }

    fn sync_fs(&self, dir: &HeldDir) -> io::Result<()> {
        let dev = |core: &Core| core.disk.node(dir.0.id).dev;
        self.judged(
            Call::dir("sync_fs", Class::Syncs, dir),
            |core| core.disk.fail_sync_fs(dev(core)),
            |core, _| {
                core.disk.sync_fs(dev(core));
                core.collect();
                Ok(())
            },
        )
    }

    fn habits(&self, dir: &HeldDir) -> io::Result<Habits> {
        let call = Call::dir("habits", Class::Reads, dir);
        self.seam(call, |core| Ok(Habits { trusted: core.disk.settings.trusted }))
    }

    fn try_lock(&self, dir: &HeldDir) -> io::Result<Option<HeldDir>> {
        self.seam(Call::dir("try_lock", Class::Locks, dir), |core| {
            if !core.locks.insert(dir.0.id) {
                return Ok(None);
            }
            let mut hold = self.hold(core, dir.0.id);
            hold.locked = true;
            Ok(Some(HeldDir(Arc::new(hold))))
        })
    }

    fn now(&self) -> Mtime {
        let mut core = self.core();
        core.disk.clock.advance(CALL_NS);
        core.disk.clock.now()
    }

    fn pause(&self, ms: u64) {
        self.core().disk.clock.advance(ms as i64 * 1_000_000);
    }
}

impl Memory {
    fn run_while_listing(&self, dir: Id) {
        if !self.0.has_while_listing.load(Ordering::SeqCst) {
            return;
        }
        let take = || self.0.while_listing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut hook) = take().take() else { return };
        let path = if dir == ROOT { b"/".to_vec() } else { self.core().disk.path_of(dir) };
        hook(self, &path);
        if self.0.has_while_listing.load(Ordering::SeqCst) {
            take().get_or_insert(hook);
        }
    }
}

impl Read for OpenFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let memory = self.hold.memory.clone();
        let (id, offset) = (self.hold.id, self.offset);
        let len = memory.seam(Call::file("read", Class::Reads, self), |core| {
            let bytes = &core.disk.file(id).bytes;
            let rest = bytes.get(offset..).unwrap_or_default();
            let len = rest.len().min(buf.len());
            buf[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        })?;
        self.offset += len;
        Ok(len)
    }
}

impl Write for OpenFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let memory = self.hold.memory.clone();
        let (id, offset, append, writable) = (self.hold.id, self.offset, self.append, self.writable);
        let (at, len) = memory.judged(
            Call::file("write", Class::Writes, self),
            |_| (),
            |core, short| {
                if !writable {
                    return fail(Errno::BADF);
                }
                let at = if append { core.disk.file(id).bytes.len() } else { offset };
                let wanted = if short { &buf[..buf.len().div_ceil(2)] } else { buf };
                Ok((at, core.disk.write(id, at, wanted)?))
            },
        )?;
        self.offset = at + len;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
