//! Roots and state are opened, judged and held before anything is heard of the client; or, where the owner named no roots, a way
//! is kept to find Maildir trees below the home directory, which is held.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use smd_maildir::fs::{Disk, Fs as _, Held, Kind};
use smd_maildir::home::{Access, Home, server_id};
use smd_maildir::roots::{Judge, real};
use smd_protocol::names::{GRAVE_DIR, printable};
use smd_protocol::wire::Failure;

use super::args::RootArg;
use super::{Unfit, kept};
use crate::policy::Roots;
use crate::policy::roots::{Named, Place};
use crate::roots::{Places, resolve};

type Dir = <Disk as smd_maildir::fs::Fs>::Dir;

/// What lies in a directory that is to be a root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Looks {
    /// Nothing, but for a grave of ours.
    Empty,
    /// `cur` or `new`, in itself or in a child.
    Mail,
    /// Other things alone.
    Other,
}

/// Opens and holds the roots that the owner named; without any, gives what finds them.
/// Once `sealed`, it finds no other directory than before.
pub(super) fn roots(
    named: &[RootArg],
    places: &Places,
    held: &Arc<Held>,
    sealed: &Arc<AtomicBool>,
) -> Result<Roots, Unfit> {
    let judge = kept::judge(places)?;
    if named.is_empty() {
        return trees(judge, places, held, sealed.clone());
    }
    let all: Vec<Named> = named.iter().map(|arg| root(arg, &judge, places, held)).collect::<Result<_, _>>()?;
    for (at, one) in all.iter().enumerate() {
        for (_, other) in all.iter().enumerate().filter(|(n, _)| *n != at) {
            if one.name == other.name {
                return Err(Unfit::config(format!("two roots are called {}", one.shown)));
            }
            if one.place.real.starts_with(&other.place.real) {
                return Err(Unfit::config(format!("the root {} is or lies in the root {}", one.shown, other.shown)));
            }
        }
    }
    Ok(Roots::Named(all))
}

fn root(arg: &RootArg, judge: &Judge, places: &Places, held: &Held) -> Result<Named, Unfit> {
    let shown = || printable(arg.dir.as_os_str().as_bytes());
    let name = resolve(places, arg.name.as_bytes()).map_err(|_| {
        Unfit::config(format!("{} is no name for a root; write --root NAME=DIR", printable(arg.name.as_bytes())))
    })?;
    let path: PathBuf = match arg.dir.strip_prefix("~") {
        Ok(below) => places.user.join(below),
        Err(_) => places.user.join(&arg.dir),
    };
    let dir = held.hold(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unfit::config(format!("the root {} is not there, and is not made", shown())),
        io::ErrorKind::NotADirectory => Unfit::config(format!("the root {} is no directory", shown())),
        _ => Unfit::io(format!("the root {} cannot be opened: {error}", shown())),
    })?;
    let real = real(&path).map_err(|error| Unfit::io(error.to_string()))?;
    judge.check(&real, &arg.dir).map_err(|why| Unfit::config(why.to_string()))?;
    match looks(&dir) {
        Ok(Looks::Empty | Looks::Mail) => {}
        Ok(Looks::Other) => {
            let text = "is not empty and has no mail: neither itself nor a directory in it has cur or new";
            return Err(Unfit::config(format!("the root {} {text}", shown())));
        }
        Err(error) => return Err(Unfit::io(format!("the root {} cannot be listed: {error}", shown()))),
    }
    // A grave may be known by either path.
    held.hold_as(&real, dir);
    // What was looked at by its path is what is held.
    held.open_root(&path).map_err(|error| Unfit::io(format!("the root {} {error}", shown())))?;
    Ok(Named { name, shown: arg.name.to_string_lossy().into_owned(), place: Place { path, real } })
}

/// What lies in a directory.
fn looks(dir: &Dir) -> io::Result<Looks> {
    if is_folder(dir)? {
        return Ok(Looks::Mail);
    }
    let (mut empty, mut children) = (true, Vec::new());
    Disk.list(dir, &mut |name, kind, _| {
        if name != GRAVE_DIR {
            empty = false;
            if matches!(kind, Kind::Dir | Kind::Unknown) {
                children.push(name.to_vec());
            }
        }
    })?;
    for child in children {
        // What cannot be entered shows no mail, and another one may.
        if Disk.open_dir(dir, &child).and_then(|child| is_folder(&child)).unwrap_or(false) {
            return Ok(Looks::Mail);
        }
    }
    Ok(if empty { Looks::Empty } else { Looks::Other })
}

fn is_folder(dir: &Dir) -> io::Result<bool> {
    for part in [&b"cur"[..], b"new"] {
        match Disk.stat(dir, part) {
            Ok(stat) if stat.kind == Kind::Dir => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Finds Maildir trees below the home directory, component by component from there: no symlink is followed.
fn trees(judge: Judge, places: &Places, held: &Arc<Held>, sealed: Arc<AtomicBool>) -> Result<Roots, Unfit> {
    let cannot = |error: io::Error| Unfit::io(format!("the home directory cannot be opened: {error}"));
    let home = Disk.open_root(&places.user).map_err(cannot)?;
    let real_home = real(&places.user).map_err(|error| Unfit::io(error.to_string()))?;
    let (places, held) = (places.clone(), held.clone());
    let find = move |path: &[u8]| {
        let wanted = resolve(&places, path)?;
        let refuse = |why: &str| {
            let shown = printable(&path[..path.len().min(256)]);
            Failure::Refused(format!("the root {shown} {why}").into())
        };
        let below = wanted.strip_prefix(&places.user).or_else(|_| wanted.strip_prefix(&real_home));
        let below = below.map_err(|_| {
            refuse("is not below the home directory, to which this key is restricted; --root names others")
        })?;
        let real = real_home.join(below);
        let path_here = places.user.join(below);
        if let Err(why) = judge.check(&real, Path::new(OsStr::from_bytes(path))) {
            return Err(Failure::Refused(why.to_string().into()));
        }
        if kept::is_hidden(below) {
            return Err(refuse("lies in a hidden directory; --root names it all the same"));
        }
        // One sentence for all of these, or it would tell which paths there are.
        let dir = match walk(&home, below).and_then(|dir| Ok((looks(&dir)?, dir))) {
            Ok((Looks::Mail, dir)) => dir,
            Ok(_) | Err(_) => {
                return Err(refuse(
                    "is no Maildir of this key, which is there, has cur or new in itself or in a directory of it, and lies behind no \
                     symlink; --root names others",
                ));
            }
        };
        held.hold_as(&path_here, dir.clone());
        held.hold_as(&real, dir);
        Ok(Place { path: path_here, real })
    };
    let known: Mutex<HashMap<Vec<u8>, Result<Place, Failure>>> = Mutex::default();
    Ok(Roots::Found(Arc::new(move |path: &[u8]| {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(path) {
            Some(found) => found.clone(),
            // Nothing else can be opened any more; another session can.
            None if sealed.load(Ordering::Relaxed) => Err(Failure::Reconnect),
            None => known.entry(path.to_vec()).or_insert(find(path)).clone(),
        }
    })))
}

fn walk(home: &Dir, below: &Path) -> io::Result<Dir> {
    let mut dir = home.clone();
    for component in below.components() {
        let Component::Normal(name) = component else { return Err(io::ErrorKind::InvalidInput.into()) };
        dir = Disk.open_dir(&dir, name.as_bytes())?;
    }
    Ok(dir)
}

/// Makes the state, durably, and holds it.
pub(super) fn state(places: &Places, held: &Held) -> Result<(), Unfit> {
    let cannot = |error: smd_maildir::Error| Unfit::io(error.to_string());
    let home = Home::open(Arc::new(Disk), &places.state, Access::ReadWrite).map_err(cannot)?;
    server_id(&home).map_err(cannot)?;
    // Whoever made it may have been killed before that was durable. What may be passed and not read cannot be synced.
    if let Some(above) = places.state.parent()
        && let Ok(dir) = Disk.open_root(above)
    {
        Disk.sync_dir(&dir)
            .map_err(|error| Unfit::io(format!("the directory above the state cannot be synced: {error}")))?;
    }
    let dir = home.dir().cloned().ok_or_else(|| Unfit::io("the state directory is not there"))?;
    held.hold_as(&places.state, dir);
    Ok(())
}

#[cfg(test)]
mod tests;
