//! What a run deleted before it was cut: its name is still in the base that the next run starts from.
//!
//! Under its old name such a message would look as if it had never gone, and the next run would delete it again, since it is
//! gone at the other host. Under a new one it has moved, and a moved message survives a delete. Only the base tells: the
//! note of a batch that was cut is the client's alone.
//!
//! The bases are read without their locks. A run may commit meanwhile: then a message gets a new name without need.
//!
//! Deliberately not here: how a message comes back (`apply`).

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use smd_protocol::grave::Why;
use smd_protocol::{Content, FileName, Uniq};

use super::places;
use crate::fs::Fs;
use crate::grave::Resting;
use crate::home::{Home, Label, Side};
use crate::root::Root;
use crate::store::Store;

/// Messages of a base. Folders do not count, since a base has their names at the client.
type Agreed = HashSet<(Uniq, Content)>;

/// Marks the messages whose delete is in no base yet.
pub(super) fn mark<F: Fs>(home: &Home<F>, user: &Path, root: &Root<F>, all: &mut [Resting<F>]) {
    let mut bases: Option<Vec<(Side, Label, Vec<u8>)>> = None;
    let mut by_owner: HashMap<String, Option<Agreed>> = HashMap::new();
    for resting in all {
        let Some(record) = resting.buried.record.as_ref().filter(|record| record.why == Why::Deleted) else {
            continue;
        };
        let (Ok(file), Some(content)) = (FileName::parse(&record.file), record.content) else { continue };
        let owner = owner(resting.run());
        if !by_owner.contains_key(owner) {
            let bases = bases.get_or_insert_with(|| places::bases(home));
            by_owner.insert(owner.to_owned(), agreed(&home.reader(), user, root, owner, bases));
        }
        // Where a base cannot be read, a new name is never wrong.
        let agreed = by_owner[owner].as_ref();
        resting.anew = agreed.is_none_or(|agreed| agreed.contains(&(file.uniq, content)));
    }
}

/// Whose run it was, by its label: `CLIENT+PAIR-TIME.…`, and `CLIENT-TIME.…` of earlier versions.
pub fn owner(run: &str) -> &str {
    let label = run.split_once('.').map_or(run, |(label, _)| label);
    label.rsplit_once('-').map_or(label, |(owner, _)| owner)
}

/// Whether the runs of this owner go on from the bases in that directory: `state/+PAIR`, and `served/CLIENT+PAIR`. Of a run of
/// an earlier version only the client is known.
fn is_of(owner: &str, side: Side, peer: &str) -> bool {
    match (side, owner.split_once('+')) {
        (Side::Client, Some((_, pair))) => peer.strip_prefix('+') == Some(pair),
        (Side::Server, Some(_)) => peer == owner,
        (Side::Client, None) => true,
        (Side::Server, None) => peer.split_once(['.', '+']).is_some_and(|(client, _)| client == owner),
    }
}

/// What the bases hold that the next run of this client may start from; none when one of them cannot be read.
fn agreed<F: Fs>(
    home: &Home<F>,
    user: &Path,
    root: &Root<F>,
    owner: &str,
    bases: &[(Side, Label, Vec<u8>)],
) -> Option<Agreed> {
    let mut agreed = Agreed::new();
    let here = root.fs.stat_dir(&root.dir).ok()?;
    let is_here = |key: &[u8]| {
        let other = Root::open(root.fs.clone(), &user.join(OsStr::from_bytes(key)));
        let stat = other.and_then(|other| root.fs.stat_dir(&other.dir));
        stat.is_ok_and(|stat| (stat.dev, stat.ino) == (here.dev, here.ino))
    };
    for (side, peer, key) in bases {
        if !is_of(owner, *side, peer.as_str()) || !is_here(key) {
            continue;
        }
        let pair = home.pair(*side, peer).ok()?;
        let mut store = Store::open(&pair, key).ok()?;
        let sections = store.snapshot().ok()?.folders.values();
        agreed.extend(sections.flat_map(|section| section.entries()).map(|one| (one.uniq.clone(), one.content)));
    }
    Some(agreed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_names_whose_it_was_and_so_do_the_bases_that_it_went_on_from() {
        for (run, peer, served, state) in [
            ("abc+k7-1700000000.1-2-3", "abc+k7", true, false),
            ("abc+k7-1700000000.1-2-3", "+k7", false, true),
            ("abc+k7-1700000000.1-2-3", "abc+k8", false, false),
            ("abc+k7-1700000000.1-2-3", "abd+k7", false, false),
            ("abc-1700000000.1-2-3", "abc.k7", true, true),
            ("abc-1700000000.1-2-3", "abc+k7", true, true),
            ("a-c-1700000000.1-2-3", "a-c.k7", true, true),
            ("abc-1700000000.1-2-3", "abcd.k7", false, true),
            ("uniform-names", "abc.k7", false, true),
        ] {
            assert_eq!(is_of(owner(run), Side::Server, peer), served, "{run} {peer}");
            assert_eq!(is_of(owner(run), Side::Client, peer), state, "{run} {peer}");
        }
    }
}
