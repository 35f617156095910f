//! In which order a run takes the locks of several roots.
//!
//! Two runs wait for each other for ever when each holds what the other wants. So a run that has something to do in several roots
//! takes all their locks before its first step, in one order for all runs of all clients: first those of this host, by the paths
//! of the roots without symlinks, and then those of the server, by the server's names of them. The config's order says nothing:
//! that of another client may be another one.
//!
//! A run with work in one root has nothing to order. One that needs several locks of the server pays a round trip for it, in which
//! all of them are asked for; a single one is the last of the run, whenever its first batch takes it.
//!
//! Deliberately not here: what a lock is (`smd_maildir::lock`), and whose turn it is under them (`turns`).

use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::Ordering;

use smd_maildir::fs::Fs;
use smd_protocol::reconcile::{Component, Side};
use smd_protocol::wire::{FromClient, FromServer};
use smd_protocol::{Step, seeded};

use super::SessionError;
use super::known::real;
use super::pair::Pair;
use super::peer::{Peer, unexpected};
use crate::report::{Host, Trouble};

/// Takes the locks of all roots in which this run does something, where these are several. To be called before anything else
/// takes one.
///
/// # Errors
/// When a lock is held too long, or the server cannot be heard.
pub(super) fn take<F: Fs>(pairs: &mut [Pair<F>], peer: &mut Peer) -> Result<(), SessionError> {
    let wanted: Vec<[bool; 2]> = pairs.iter().map(Pair::wants_locks).collect();
    if wanted.iter().filter(|wants| **wants != [false; 2]).count() < 2 {
        return Ok(());
    }
    let of = |side: Side| (0..wanted.len()).filter(move |&at| wanted[at][side as usize]);
    let ours = in_order(of.clone()(Side::Ours), |at| real(pairs[at].local.path().as_os_str().as_bytes()));
    let theirs = in_order(of(Side::Theirs), |at| pairs[at].name_there.clone());
    for at in ours {
        pairs[at].lock_here(peer)?;
    }
    if theirs.len() < 2 {
        return Ok(());
    }
    // All at once: a batch without steps takes the lock, and keeps it to the end of the run.
    for root in theirs.iter().map(|&at| pairs[at].index) {
        peer.say(&FromClient::BatchReady { root })?;
        peer.say(&FromClient::BatchEnd { root })?;
    }
    peer.round_trips += 1;
    for root in theirs.iter().map(|&at| pairs[at].index) {
        match peer.hear_message()? {
            FromServer::BatchDone { root: of } if of == root => {}
            _ => return Err(unexpected("something else than the end of no steps")),
        }
    }
    Ok(())
}

/// These roots by what tells them apart for every run that may want the same locks.
fn in_order<K: Ord>(roots: impl Iterator<Item = usize>, key: impl Fn(usize) -> K) -> Vec<usize> {
    let mut roots: Vec<usize> = roots.collect();
    if !seeded::is("locks-roots-as-configured") {
        roots.sort_by_cached_key(|&at| key(at));
    }
    roots
}

/// Whether carrying these out takes the lock of this host: for its own steps; at the server also for what is read there; and for
/// folders that are made again here where the other host could not remove them.
fn needs_lock(components: &[Component], side: Side, may_make: bool) -> bool {
    components.iter().any(|component| {
        let other = component.part(side.other()).open();
        !component.part(side).open().is_empty()
            || side == Side::Theirs && other.iter().any(|step| step.bytes().is_some())
            || may_make && other.iter().any(|step| matches!(step, Step::RemoveFolder(_)))
    })
}

impl<F: Fs> Pair<F> {
    /// Which hosts' locks of this root the run needs.
    fn wants_locks(&self) -> [bool; 2] {
        if !self.is_carried_out() {
            return [false; 2];
        }
        let absent = [self.ours_absent, self.theirs_absent];
        let [ours, theirs] = Side::BOTH.map(|side| {
            let may_make = self.direction.changes(side) && !absent[side as usize];
            needs_lock(&self.plan.components, side, may_make)
        });
        let [ledger, ledger_there] = self.keeps_ledgers();
        [ours || ledger, theirs || ledger_there]
    }

    fn lock_here(&mut self, peer: &Peer) -> Result<(), SessionError> {
        let stop = peer.stop_flag();
        let troubles = self.local.begin(Vec::new(), &|| stop.load(Ordering::Relaxed))?;
        self.troubles.extend(troubles.into_iter().map(|t| Trouble::new(Host::Client, t.path, t.text)));
        self.local.install();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smd_protocol::Folder;
    use smd_protocol::reconcile::Part;

    #[test]
    fn the_order_of_locks_is_that_of_the_names_and_not_of_the_config() {
        let order = |names: &[&'static str]| -> Vec<&'static str> {
            in_order(0..names.len(), |at| names[at]).into_iter().map(|at| names[at]).collect()
        };
        assert_eq!(order(&["a", "c", "b"]), ["a", "b", "c"]);
        assert_eq!(order(&["c", "b", "a"]), ["a", "b", "c"]);
    }

    #[test]
    fn a_lock_is_needed_for_steps_and_for_folders_that_may_come_back() {
        let removes = || Part { steps: vec![Step::RemoveFolder(Folder::root())], ..Part::default() };
        let here = Component { ours: removes(), ..Component::default() };
        let there = Component { theirs: removes(), ..Component::default() };
        let held = Component { names: Vec::new(), ..Component::default() };
        for (components, side, may_make, needs) in [
            (vec![held], Side::Ours, true, false),
            (vec![here.clone()], Side::Ours, false, true),
            (vec![here.clone()], Side::Theirs, false, false),
            (vec![here], Side::Theirs, true, true),
            (vec![there.clone()], Side::Theirs, false, true),
            (vec![there.clone()], Side::Ours, false, false),
            (vec![there], Side::Ours, true, true),
        ] {
            assert_eq!(needs_lock(&components, side, may_make), needs, "{side:?} {may_make} {components:?}");
        }
    }
}
