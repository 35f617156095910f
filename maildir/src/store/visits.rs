//! When a server's clients were here last, how many there may be, and when what it keeps of one goes: after 400 days of the age
//! clock in which it was not seen (docs/FORMAT-db.md).
//!
//! What goes is state alone, never mail: a client that comes back after all adopts, which deletes nothing. Never does the last
//! state of a root go, since it tells of backups that are put back, nor one that a run holds.
//!
//! Deliberately not here: the places of sessions (`home::sessions`), whose gate keeps clients out meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use smd_protocol::seeded;

use super::earlier::{BASE, names};
use crate::error::{Context, Error};
use crate::fs::{Fs, Kind};
use crate::home::{Access, Age, DAY, Gate, Home, Label, Pair, Side, read_file, replace_file};
use crate::lock::{self, LockError, Wait};
use crate::root::if_there;

/// Days after which a client that was not seen is forgotten.
const UNSEEN_DAYS: i64 = 400;
/// Clients of which a server keeps state; all of one restricted key are one.
pub const CLIENTS_MAX: usize = 1_000;
/// Roots of one of them of which it does.
pub const ROOTS_MAX: usize = smd_protocol::wire::ROOTS_MAX;
/// In the directory of a client and pair: what the age clock was when it was here.
const SEEN: &[u8] = b"seen";
/// In the directory of all places: what it was when this was looked at.
const COLLECTED: &[u8] = b"collected";
const SIZE_MAX: u64 = 64;

/// Too many to take in one more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TooMany {
    /// Of clients.
    #[error(
        "state of {CLIENTS_MAX} clients is kept here, the most that there may be; remove that of clients that are gone"
    )]
    Clients,
    /// Of one client's roots.
    #[error(
        "state of {ROOTS_MAX} roots of this client is kept here, the most that there may be; remove that of roots that are gone"
    )]
    Roots,
}

/// The age that a small file tells; none where there is no such file, or it makes no sense.
fn read_age<F: Fs>(fs: &F, dir: &F::Dir, name: &[u8]) -> io::Result<Option<i64>> {
    let bytes = match read_file(fs, dir, name, SIZE_MAX) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => None,
        read => read?,
    };
    Ok(bytes.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.trim_end().parse().ok()))
}

fn write_age<F: Fs>(fs: &F, dir: &F::Dir, name: &[u8], age: Age) -> io::Result<()> {
    replace_file(fs, dir, name, &[format!("{}\n", age.now).as_bytes()])
}

/// Whether something was noted that holds for today.
fn is_of_today(noted: Option<i64>, age: Age) -> bool {
    noted.is_some_and(|then| (0..DAY).contains(&age.since(then)))
}

/// Notes that this client is here, once a day.
///
/// # Errors
/// When the note cannot be read or written. Without one a client is never forgotten.
pub fn note<F: Fs>(home: &Home<F>, peer: &Label) -> Result<(), Error> {
    let pair = home.pair(Side::Server, peer)?;
    let (Some(dir), Access::ReadWrite) = (&pair.dir, pair.access) else { return Ok(()) };
    let age = home.age()?;
    if is_of_today(read_age(&*pair.fs, dir, SEEN).context("read", pair.shown(SEEN))?, age) {
        return Ok(());
    }
    write_age(&*pair.fs, dir, SEEN, age).context("write", pair.shown(SEEN))
}

/// Whether state of a client and root, under this name, is kept already or may be made.
///
/// # Errors
/// [`TooMany`] when not; and when the directory of all of it cannot be read.
pub fn admits<F: Fs>(home: &Home<F>, peer: &Label) -> Result<Result<(), TooMany>, Error> {
    let reader = home.reader();
    let Some(dir) = reader.below(&[Side::Server.dir()])? else { return Ok(Ok(())) };
    let found = if_there(home.fs().stat(&dir, peer.as_str().as_bytes())).context("look at", Side::Server.dir())?;
    if found.is_some() {
        return Ok(Ok(()));
    }
    let all = names(&**home.fs(), &dir, |kind| kind != Kind::File).context("list", Side::Server.dir())?;
    let all: Vec<Label> = all.iter().filter_map(|name| Label::parse(name).ok()).collect();
    Ok(judge(&all, peer))
}

/// Whether there may be this one more, beside all these.
fn judge(all: &[Label], peer: &Label) -> Result<(), TooMany> {
    let own = all.iter().filter(|one| one.served_whom() == peer.served_whom()).count();
    if own >= ROOTS_MAX {
        return Err(TooMany::Roots);
    }
    let clients: BTreeSet<&str> = all.iter().map(Label::served_whom).collect();
    if own == 0 && clients.len() >= CLIENTS_MAX {
        return Err(TooMany::Clients);
    }
    Ok(())
}

/// What is kept of one client.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Kept {
    /// When it was seen; none where that is not known.
    seen: Option<i64>,
    /// The roots of which there is a base, as its files have them.
    roots: Vec<Vec<u8>>,
}

/// Which states go, by client and root; and of whom nothing stays.
fn stale(all: &BTreeMap<Label, Kept>, age: Age) -> Vec<(Label, Vec<Vec<u8>>)> {
    let is_old = |kept: &Kept| kept.seen.is_some_and(|seen| age.since(seen) > UNSEEN_DAYS * DAY);
    let mut stays: BTreeMap<&[u8], &Label> = BTreeMap::new();
    // Of each root the state of whoever was here last; unknown counts as now.
    let mut by_visit: Vec<(&Label, &Kept)> = all.iter().collect();
    by_visit.sort_by_key(|(_, kept)| kept.seen.unwrap_or(i64::MAX));
    for (label, kept) in by_visit {
        stays.extend(kept.roots.iter().map(|root| (&root[..], label)));
    }
    let goes = |(label, kept): (&Label, &Kept)| {
        let is_last = |root: &Vec<u8>| stays.get(&root[..]) == Some(&label) && !seeded::is("the-last-of-a-root-goes");
        let roots: Vec<Vec<u8>> = kept.roots.iter().filter(|root| !is_last(root)).cloned().collect();
        (is_old(kept) && (kept.roots.is_empty() || !roots.is_empty())).then(|| (label.clone(), roots))
    };
    all.iter().filter_map(goes).collect()
}

/// Forgets clients that were not seen for 400 days, once a day, or at once where that is `urgent`. Gives how many states went.
///
/// A crash leaves some of them, or files beside a base that is gone: the next time they go.
///
/// # Errors
/// When the state directory cannot be read, or a file not removed.
pub fn collect<F: Fs>(home: &Home<F>, urgent: bool) -> Result<usize, Error> {
    let fs = &**home.fs();
    if home.access() == Access::ReadOnly {
        return Ok(0);
    }
    let age = home.age()?;
    let gate = match Gate::take(home, 0) {
        Ok(Some(gate)) => gate,
        Err(LockError::Io(error)) => return Err(error),
        // Somebody comes in just now; the next one looks.
        Ok(None) | Err(_) => return Ok(0),
    };
    let noted = read_age(fs, gate.dir(), COLLECTED).context("read", COLLECTED)?;
    if !urgent && is_of_today(noted, age) {
        return Ok(0);
    }
    write_age(fs, gate.dir(), COLLECTED, age).context("write", COLLECTED)?;
    let Some(dir) = home.reader().below(&[Side::Server.dir()])? else { return Ok(0) };
    let mut all = BTreeMap::new();
    for name in names(fs, &dir, |kind| kind != Kind::File).context("list", Side::Server.dir())? {
        let Ok(peer) = Label::parse(&name) else { continue };
        let pair = home.reader().pair(Side::Server, &peer)?;
        let Some(held) = &pair.dir else { continue };
        let seen = read_age(fs, held, SEEN).context("read", pair.shown(SEEN))?;
        let files = names(fs, held, |_| true).context("list", pair.shown(b""))?;
        let roots = files.iter().filter_map(|file| file.strip_suffix(BASE)).map(<[u8]>::to_vec).collect();
        all.insert(peer, Kept { seen, roots });
    }
    let sessions = gate.names(fs).context("list", b"sessions")?;
    let mut gone = 0;
    for (peer, roots) in stale(&all, age) {
        let of_peer = |name: &&Vec<u8>| {
            let whom = name.splitn(2, |byte| *byte == b'.').nth(1).unwrap_or_default();
            whom == peer.served_whom().as_bytes() || whom.starts_with(&[peer.served_whom().as_bytes(), b"+"].concat())
        };
        let mut here = sessions.iter().filter(of_peer);
        if here.any(|name| gate.is_taken(fs, name).unwrap_or(true)) {
            continue;
        }
        let pair = home.pair(Side::Server, &peer)?;
        let whole = all.get(&peer).is_some_and(|kept| kept.roots.len() == roots.len());
        gone += forget(&pair, &roots)?;
        if whole {
            clear(&pair, &dir, &peer)?;
        }
    }
    Ok(gone)
}

/// Removes the bases of these roots with all beside them, but for what a run holds. Gives how many went.
fn forget<F: Fs>(pair: &Pair<F>, roots: &[Vec<u8>]) -> Result<usize, Error> {
    let (fs, Some(dir)) = (&*pair.fs, &pair.dir) else { return Ok(0) };
    let mut gone = 0;
    for stem in roots {
        let Ok(stem) = std::str::from_utf8(stem) else { continue };
        let Ok(_held) = lock::state_lock(pair, stem, &Wait { ms: 0, stop: &|| false }) else { continue };
        // The base first, durably: without it nothing of what is beside it means anything.
        let base = [stem.as_bytes(), BASE].concat();
        if_there(fs.unlink(dir, &base)).and_then(|_| fs.sync_dir(dir)).context("remove", pair.shown(&base))?;
        remove(fs, dir, |name| name.starts_with(&base)).context("remove", pair.shown(&base))?;
        gone += 1;
    }
    Ok(gone)
}

/// Removes the directory of a client of which nothing is kept any more: what bases left beside them, locks that nobody holds, and
/// its note. Something else in it stays, and so does it.
fn clear<F: Fs>(pair: &Pair<F>, at: &F::Dir, peer: &Label) -> Result<(), Error> {
    let (fs, Some(dir)) = (&*pair.fs, &pair.dir) else { return Ok(()) };
    let cleared = || -> io::Result<()> {
        let has_base = names(fs, dir, |_| true)?.iter().any(|name| name.ends_with(BASE));
        if has_base {
            return Ok(());
        }
        for name in names(fs, dir, |kind| kind != Kind::File)? {
            let Some(lock) = name.starts_with(b"lock.").then(|| fs.open_dir(dir, &name)) else { continue };
            if fs.try_lock(&lock?)?.is_none() {
                return Ok(());
            }
        }
        let is_beside_a_base = |name: &[u8]| name.windows(BASE.len() + 1).any(|part| part == b".db.txt.");
        let is_ours = |name: &[u8]| is_beside_a_base(name) || name == SEEN || name.starts_with(b"lock.");
        remove(fs, dir, is_ours)?;
        if names(fs, dir, |_| true)?.is_empty() {
            if_there(fs.remove_dir(at, peer.as_str().as_bytes()))?;
        }
        Ok(())
    };
    cleared().context("remove", pair.shown(b""))
}

/// Removes files of these names from a directory of state, and directories with the files in them.
fn remove<F: Fs>(fs: &F, dir: &F::Dir, which: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    let mut found = Vec::new();
    fs.list(dir, &mut |name, kind, _| {
        if which(name) {
            found.push((name.to_vec(), kind));
        }
    })?;
    for (name, kind) in found {
        let kind = if kind == Kind::Unknown { fs.stat(dir, &name)?.kind } else { kind };
        if kind != Kind::Dir {
            if_there(fs.unlink(dir, &name))?;
            continue;
        }
        let Some(inner) = if_there(fs.open_dir(dir, &name))? else { continue };
        for file in names(fs, &inner, |kind| kind != Kind::Dir)? {
            if_there(fs.unlink(&inner, &file))?;
        }
        if_there(fs.remove_dir(dir, &name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use smd_protocol::Delta;

    use super::*;
    use crate::fs::Disk;
    use crate::home::Sessions;
    use crate::store::{Meta, Store};

    fn label(text: &str) -> Label {
        Label::parse(text.as_bytes()).expect("a label")
    }

    #[test]
    fn the_last_state_of_a_root_stays_and_so_does_what_was_seen_or_never_noted() {
        let kept = |seen: Option<i64>, roots: &[&str]| Kept {
            seen: seen.map(|days| days * DAY),
            roots: roots.iter().map(|root| root.as_bytes().to_vec()).collect(),
        };
        let age = Age { now: 1_000 * DAY, began: 0 };
        for (all, goes) in [
            (vec![("old", kept(Some(10), &["m"]))], vec![]),
            (vec![("old", kept(Some(10), &["m"])), ("older", kept(Some(9), &["m"]))], vec![("older", vec!["m"])]),
            (vec![("old", kept(Some(10), &["m"])), ("new", kept(Some(990), &["m"]))], vec![("old", vec!["m"])]),
            (vec![("old", kept(Some(10), &["m"])), ("new", kept(Some(990), &["x"]))], vec![]),
            (vec![("old", kept(Some(10), &["m", "x"])), ("new", kept(Some(990), &["x"]))], vec![("old", vec!["x"])]),
            (vec![("old", kept(Some(601), &["m"])), ("new", kept(Some(990), &["m"]))], vec![]),
            (vec![("who", kept(None, &["m"])), ("new", kept(Some(990), &["m"]))], vec![]),
            (vec![("none", kept(Some(10), &[])), ("new", kept(Some(990), &["m"]))], vec![("none", vec![])]),
        ] {
            let all: BTreeMap<Label, Kept> = all.into_iter().map(|(name, kept)| (label(name), kept)).collect();
            let goes: Vec<(Label, Vec<Vec<u8>>)> = goes
                .into_iter()
                .map(|(name, roots)| (label(name), roots.into_iter().map(|root| root.as_bytes().to_vec()).collect()))
                .collect();
            assert_eq!(stale(&all, age), goes, "{all:?}");
        }
        // A clock that was lost makes nobody old.
        let lost = Age { now: 1_000 * DAY, began: 999 * DAY };
        let all = [(label("old"), kept(Some(10), &["m"])), (label("new"), kept(Some(990), &["m"]))].into();
        assert_eq!(stale(&all, lost), []);
    }

    #[test]
    fn one_more_client_is_taken_in_while_there_are_few_enough_and_a_known_one_always() {
        let mut all: Vec<Label> = (1..CLIENTS_MAX).map(|number| label(&format!("c{number}+p"))).collect();
        all.extend((1..CLIENTS_MAX).map(|number| label(&format!("+8+key+{number:04}+p"))));
        assert_eq!(judge(&all, &label("c1+q")), Ok(()), "with another root");
        assert_eq!(judge(&all, &label("new+p")), Err(TooMany::Clients), "the key of many clients is one");
        assert_eq!(judge(&all, &label("+8+key+9999+p")), Ok(()));
        all.push(label("+8+key+9999+p"));
        assert_eq!(judge(&all, &label("+8+key+8888+p")), Err(TooMany::Roots));
        all.pop();
        all.retain(|one| one.as_str() != "c7+p");
        assert_eq!(judge(&all, &label("new+p")), Ok(()));
        assert_eq!(label("aaaaaaaaaaaaaaaaaaaaaaaaaa.work.x").served_whom(), "aaaaaaaaaaaaaaaaaaaaaaaaaa");
    }

    fn home(path: &Path) -> Home<Disk> {
        let wall = Disk.now().sec;
        let clock = format!("smd-age-clock 1\nage {wall}\nboot -\nwall {wall}\nbegan 0\n");
        std::fs::write(path.join("age-clock"), clock).expect("writes");
        std::fs::create_dir_all(path.join("sessions")).expect("makes");
        Home::open(Arc::new(Disk), path, Access::ReadWrite).expect("opens")
    }

    fn serve(home: &Home<Disk>, peer: &str, root: &[u8], days_ago: i64) {
        let pair = home.pair(Side::Server, &label(peer)).expect("opens");
        let mut store = Store::open(&pair, root).expect("opens");
        let id = store.write_next(1, &Delta::default(), &Meta::default()).expect("writes");
        store.commit(id).expect("commits");
        drop(lock::state_lock(&pair, &crate::home::stem(root), &Wait { ms: 0, stop: &|| false }).expect("free"));
        note(home, &label(peer)).expect("notes");
        let seen = home.path().join("served").join(peer).join("seen");
        let noted: i64 = std::fs::read_to_string(&seen).expect("reads").trim().parse().expect("an age");
        std::fs::write(&seen, format!("{}\n", noted - days_ago * DAY)).expect("writes");
    }

    #[test]
    fn state_of_clients_that_were_not_seen_for_long_goes_but_for_what_is_held() {
        let temp = tempfile::tempdir().expect("temp");
        let home = home(temp.path());
        for (peer, days) in [("gone+p", 401), ("held+p", 402), ("sits+p", 403), ("late+p", 399), ("here+p", 0)] {
            serve(&home, peer, b"/m", days);
        }
        std::fs::create_dir(temp.path().join("served/gone+p/%2Fm.db.txt.stat")).expect("makes");
        std::fs::write(temp.path().join("served/gone+p/%2Fm.db.txt.stat/pack.1"), "x").expect("writes");
        let held = home.pair(Side::Server, &label("held+p")).expect("opens");
        let held = lock::state_lock(&held, "%2Fm", &Wait { ms: 0, stop: &|| false }).expect("free");
        let sits = Sessions::enter(&home, "id.sits").expect("a place");
        let left = || {
            let all = std::fs::read_dir(temp.path().join("served")).expect("lists");
            let mut all: Vec<String> =
                all.map(|one| one.expect("lists").file_name().into_string().expect("a label")).collect();
            all.sort();
            all
        };
        assert_eq!(collect(&home, false).expect("collects"), 1);
        assert_eq!(left(), ["held+p", "here+p", "late+p", "sits+p"]);
        drop((held, sits));
        assert_eq!(collect(&home, false).expect("waits for tomorrow"), 0);
        assert_eq!(collect(&home, true).expect("collects"), 2);
        assert_eq!(left(), ["here+p", "late+p"]);
    }
}
