//! Bases of a root that lie under another name than the one by which a run looks for them: of a version of these programs that
//! named them by endpoint and spelling, or of a server that lost its `server-id`.
//!
//! A host looks for them only when it has no base under the right name, and takes one only when the other host knows its id.
//! Taking it is a rename, the base last: killed in between, the next run finds it again and goes on.
//!
//! Deliberately not here: which of several is taken (the client chooses), and which peers and roots may have some.

use smd_protocol::delta::Mtime;
use smd_protocol::wire::Ids;

use super::{Store, StoreError, root_of};
use crate::error::{Context, Error};
use crate::fs::{Fs, Kind, Rename};
use crate::home::{Access, Home, Label, Pair, Side, path_of_stem, stem};
use crate::lock::{self, LockError, Wait};
use crate::root::if_there;

/// The end of every base's name.
pub(super) const BASE: &[u8] = b".db.txt";
/// So much of a base holds the line with the root's path.
const HEAD: u64 = 16 << 10;

/// A base under another name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Earlier {
    /// With which peer.
    pub peer: Label,
    /// The root's path, as the name of its file has it.
    pub root: Vec<u8>,
    /// The bases that it holds, at least one.
    pub ids: Ids,
    /// When it was written last.
    pub written: Mtime,
}

/// Whether a base for this root is kept under its right name.
///
/// # Errors
/// When that cannot be looked at.
pub fn is_kept<F: Fs>(pair: &Pair<F>, root: &[u8]) -> Result<bool, Error> {
    let Some(dir) = &pair.dir else { return Ok(false) };
    let name = [stem(root).as_bytes(), BASE].concat();
    Ok(if_there(pair.fs.stat(dir, &name)).context("look at", pair.shown(&name))?.is_some())
}

/// The bases of one side of which `is_of` is true, asked by peer and root's path. One that cannot be read, or that another run
/// holds, is none: then the run adopts, which deletes nothing.
///
/// # Errors
/// When the directory that they are in cannot be listed.
pub fn earlier<F: Fs>(
    home: &Home<F>,
    side: Side,
    translator: &str,
    is_of: &dyn Fn(&Label, &[u8]) -> bool,
) -> Result<Vec<Earlier>, Error> {
    let reader = home.reader();
    let Some(dir) = reader.below(&[side.dir()])? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for name in names(&**reader.fs(), &dir, |kind| kind != Kind::File).context("list", side.dir())? {
        let Ok(peer) = Label::parse(&name) else { continue };
        let of_peer = reader
            .pair(side, &peer)
            .map_err(StoreError::from)
            .and_then(|pair| of_peer(&pair, &peer, translator, is_of));
        match of_peer {
            Ok(bases) => found.extend(bases),
            Err(error) => tracing::warn!(%error, %peer, "an earlier state is not looked at"),
        }
    }
    Ok(found)
}

fn of_peer<F: Fs>(
    pair: &Pair<F>,
    peer: &Label,
    translator: &str,
    is_of: &dyn Fn(&Label, &[u8]) -> bool,
) -> Result<Vec<Earlier>, StoreError> {
    let Some(dir) = &pair.dir else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (name, root) in roots_of(pair)? {
        if !is_of(peer, &root) {
            continue;
        }
        let written = pair.fs.stat(dir, &name).context("look at", pair.shown(&name))?.mtime;
        let store = Store::open(pair, &root)?;
        let ids = store.ids();
        if (ids.current.is_some() || ids.next.is_some()) && store.is_made_under(translator) {
            found.push(Earlier { peer: peer.clone(), root, ids, written });
        }
    }
    Ok(found)
}

/// A base's file, and the path of its root.
type BaseFile = (Vec<u8>, Vec<u8>);

/// The files of all bases with a peer.
fn roots_of<F: Fs>(pair: &Pair<F>) -> Result<Vec<BaseFile>, Error> {
    let Some(dir) = &pair.dir else { return Ok(Vec::new()) };
    let names = names(&*pair.fs, dir, |_| true).context("list", pair.shown(b""))?;
    let root = |name: Vec<u8>| {
        let by_name = std::str::from_utf8(name.strip_suffix(BASE)?).ok().and_then(path_of_stem);
        let root = by_name.or_else(|| root_in(pair, dir, &name))?;
        Some((name, root))
    };
    Ok(names.into_iter().filter_map(root).collect())
}

/// The bases of one side, by peer and root's path. What cannot be listed has none.
pub fn bases<F: Fs>(home: &Home<F>, side: Side) -> Vec<(Label, Vec<u8>)> {
    let reader = home.reader();
    let Ok(Some(dir)) = reader.below(&[side.dir()]) else { return Vec::new() };
    let peers = names(&**reader.fs(), &dir, |kind| kind != Kind::File).unwrap_or_default();
    let peers = peers.iter().filter_map(|name| Label::parse(name).ok());
    let of_peer = |peer: Label| {
        let roots = reader.pair(side, &peer).and_then(|pair| roots_of(&pair)).unwrap_or_default();
        roots.into_iter().map(move |(_, root)| (peer.clone(), root))
    };
    peers.flat_map(of_peer).collect()
}

/// The root's path in the file itself, where its name was cut.
fn root_in<F: Fs>(pair: &Pair<F>, dir: &F::Dir, name: &[u8]) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let mut head = Vec::new();
    pair.fs.open(dir, name).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    root_of(&head).filter(|root| !root.is_empty())
}

pub(super) fn names<F: Fs>(fs: &F, dir: &F::Dir, wanted: impl Fn(Kind) -> bool) -> std::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    fs.list(dir, &mut |name, kind, _| {
        if wanted(kind) {
            names.push(name.to_vec());
        }
    })?;
    names.sort();
    Ok(names)
}

/// Gives a base its right name, with all that lies beside it, durably. Gives the peer and the root's path under which it is to
/// be opened: the right ones, or in a dry run those that it has.
///
/// # Errors
/// When another run holds it, or a file cannot be renamed. What was renamed is found by the next run, as is the rest.
pub fn take_over<F: Fs>(
    home: &Home<F>,
    side: Side,
    from: &Earlier,
    peer: &Label,
    root: &[u8],
    wait: &Wait<'_>,
) -> Result<(Label, Vec<u8>), LockError> {
    if home.access() == Access::ReadOnly {
        return Ok((from.peer.clone(), from.root.clone()));
    }
    let (old, new) = (home.pair(side, &from.peer)?, home.pair(side, peer)?);
    let (old_stem, new_stem) = (stem(&from.root), stem(root));
    let _held = (lock::state_lock(&old, &old_stem, wait)?, lock::state_lock(&new, &new_stem, wait)?);
    let (Some(old_dir), Some(new_dir)) = (&old.dir, &new.dir) else { return Ok((peer.clone(), root.to_vec())) };
    let fs = &**home.fs();
    let base = [old_stem.as_bytes(), BASE].concat();
    let sync = || fs.sync_dir(new_dir).and_then(|()| fs.sync_dir(old_dir)).context("sync", new.shown(b""));
    // How many notes a base of this name had dealt with says nothing of the one that comes. After a crash it may be the one that
    // came: then it deals with them once more.
    let dealt = |stem: &str| [stem.as_bytes(), BASE, b".put-back"].concat();
    let brings = if_there(fs.stat(old_dir, &dealt(&old_stem))).context("look at", old.shown(&dealt(&old_stem)))?;
    if brings.is_none() {
        if_there(fs.unlink(new_dir, &dealt(&new_stem))).context("remove", new.shown(&dealt(&new_stem)))?;
    }
    for name in names(fs, old_dir, |_| true).context("list", old.shown(b""))? {
        let Some(end) = name.strip_prefix(&base[..]).filter(|end| !end.is_empty()) else { continue };
        let named = [new_stem.as_bytes(), BASE, end].concat();
        match fs.rename(old_dir, &name, new_dir, &named, Rename::Replace) {
            // The cache of another base: it stays, and costs time.
            Err(error) if end == b".stat" => tracing::debug!(%error, "a cache was left behind"),
            renamed => renamed.context("rename", old.shown(&name))?,
        }
    }
    sync()?;
    let named = [new_stem.as_bytes(), BASE].concat();
    fs.rename(old_dir, &base, new_dir, &named, Rename::Replace).context("rename", old.shown(&base))?;
    sync()?;
    Ok((peer.clone(), root.to_vec()))
}

/// Puts a base aside that another one was preferred to: as `….db.txt.aside`, which nobody reads.
///
/// # Errors
/// When another run holds it, or it cannot be renamed.
pub fn put_aside<F: Fs>(home: &Home<F>, side: Side, one: &Earlier, wait: &Wait<'_>) -> Result<(), LockError> {
    let pair = home.pair(side, &one.peer)?;
    let (Some(dir), Access::ReadWrite) = (&pair.dir, home.access()) else { return Ok(()) };
    let of = stem(&one.root);
    let _held = lock::state_lock(&pair, &of, wait)?;
    let base = [of.as_bytes(), BASE].concat();
    let aside = [&base[..], b".aside"].concat();
    pair.fs.rename(dir, &base, dir, &aside, Rename::Replace).context("rename", pair.shown(&base))?;
    pair.fs.sync_dir(dir).context("sync", pair.shown(b""))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Disk;
    use crate::store::Meta;
    use smd_protocol::{BaseId, Delta};
    use std::sync::Arc;

    const ONCE: Wait<'static> = Wait { ms: 0, stop: &|| false };

    fn label(name: &str) -> Label {
        Label::parse(name.as_bytes()).expect("a label")
    }

    fn commit(home: &Home<Disk>, peer: &str, root: &[u8], counter: u64) -> BaseId {
        let mut store = Store::open(&home.pair(Side::Client, &label(peer)).expect("opens"), root).expect("opens");
        let id = store.write_next(counter, &Delta::default(), &Meta::default()).expect("writes");
        store.commit(id).expect("commits");
        id
    }

    #[test]
    fn a_base_is_found_under_another_name_and_gets_the_right_one_with_all_beside_it() {
        let temp = tempfile::tempdir().expect("temp");
        let home = Home::open(Arc::new(Disk), temp.path(), Access::ReadWrite).expect("opens");
        let id = commit(&home, "office", b"/m", 4);
        commit(&home, "office", b"/other", 5);
        let old = temp.path().join("state/office");
        std::fs::write(old.join("%2Fm.db.txt.put-back"), "3\n").expect("writes");
        let found = || earlier(&home, Side::Client, "", &|_, root| root == b"/m").expect("looks");
        let [one] = &found()[..] else { panic!("{:?}", found()) };
        assert_eq!((one.peer.as_str(), one.ids.current), ("office", Some(id)));

        let dry = Home::open(Arc::new(Disk), temp.path(), Access::ReadOnly).expect("opens");
        let (peer, root) = take_over(&dry, Side::Client, one, &label("right"), b"/m", &ONCE).expect("takes");
        assert_eq!((peer.as_str(), &root[..]), ("office", &b"/m"[..]));
        assert!(!temp.path().join("state/right").exists());

        take_over(&home, Side::Client, one, &label("right"), b"/m/real", &ONCE).expect("takes");
        let right = home.pair(Side::Client, &label("right")).expect("opens");
        assert!(is_kept(&right, b"/m/real").expect("looks"));
        let store = Store::open(&right, b"/m/real").expect("opens");
        assert_eq!((store.ids().current, store.put_back_dealt().expect("reads")), (Some(id), 3));
        assert_eq!(found(), []);
        assert!(old.join("%2Fother.db.txt").exists());
    }

    #[test]
    fn notes_that_a_base_of_the_right_name_dealt_with_are_not_those_of_the_base_that_gets_it() {
        let temp = tempfile::tempdir().expect("temp");
        let home = Home::open(Arc::new(Disk), temp.path(), Access::ReadWrite).expect("opens");
        commit(&home, "office", b"/m", 4);
        let right = home.pair(Side::Client, &label("right")).expect("makes");
        std::fs::write(temp.path().join("state/right/%2Fm.db.txt.put-back"), "7\n").expect("writes");
        let found = earlier(&home, Side::Client, "", &|_, _| true).expect("looks");
        take_over(&home, Side::Client, &found[0], &label("right"), b"/m", &ONCE).expect("takes");
        assert_eq!(Store::open(&right, b"/m").expect("opens").put_back_dealt().expect("reads"), 0);
    }

    #[test]
    fn a_base_that_is_put_aside_is_found_no_more() {
        let temp = tempfile::tempdir().expect("temp");
        let home = Home::open(Arc::new(Disk), temp.path(), Access::ReadWrite).expect("opens");
        commit(&home, "office", b"/m", 4);
        let found = || earlier(&home, Side::Client, "", &|_, _| true).expect("looks");
        put_aside(&home, Side::Client, &found()[0], &ONCE).expect("renames");
        assert_eq!(found(), []);
        assert!(temp.path().join("state/office/%2Fm.db.txt.aside").exists());
    }
}
