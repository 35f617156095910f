//! What must be remembered of earlier sessions to see that nothing comes back: and what must hold between two hosts.
//!
//! Deliberately not here: what one host's state must hold (`host.rs` beside it).

use std::collections::BTreeSet;
use std::rc::Rc;

use smd_protocol::BaseId;

use super::host::{Kind, Offer, Point};

/// What is remembered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(super) struct Past {
    /// Bases that a handshake decided against, or that were never to be.
    pub(super) dropped: BTreeSet<BaseId>,
    /// Bases from before state was lost, put back or given up: nothing is promised about them any more.
    stale: BTreeSet<BaseId>,
    /// The highest counter that a current base had.
    pub(super) top: u64,
    /// The last base of which the client may have reported success.
    reported: Option<BaseId>,
    /// Whether state was lost or put back already.
    pub(super) spent: bool,
    /// Sessions that were no plain commits.
    pub(super) others: u8,
    /// Whether there was anything about which nothing is promised any more.
    tainted: bool,
}

impl Past {
    /// Whether state was ever lost, put back or given up.
    pub(super) fn tainted(&self) -> bool {
        self.tainted
    }

    /// The same after a session that was cut here.
    pub(super) fn after(
        &self,
        kind: Kind,
        offers: &[Rc<Offer>; 2],
        common: Option<BaseId>,
        cut: [Point; 2],
        prepared: [Option<BaseId>; 2],
    ) -> Self {
        let mut past = self.clone();
        past.others += u8::from(kind != Kind::Commit);
        // Whether the last message arrived makes no difference to the hosts; that it did promises most.
        if kind == Kind::Commit && cut.iter().all(|point| point.done == 4) {
            past.reported = prepared[0];
        }
        let known = || offers.iter().flat_map(|offer| offer.ids.current.into_iter().chain(offer.ids.next));
        if common.is_some() && cut.iter().any(|point| point.begun >= 2) {
            past.dropped.extend(known().filter(|id| Some(*id) != common));
        }
        if matches!(kind, Kind::Differ | Kind::GiveUp) {
            past.dropped.extend(prepared.into_iter().flatten());
        }
        if kind == Kind::GiveUp && cut.iter().any(|point| point.begun >= 4) {
            past.stale.extend(known());
            past.tainted = true;
            past.reported = None;
        }
        past
    }

    /// The same after one host's state was lost or put back, when these were all the bases that there were.
    pub(super) fn with_stale(&self, ids: BTreeSet<BaseId>) -> Self {
        let mut past = self.clone();
        past.dropped.retain(|id| !ids.contains(id));
        past.stale.extend(ids);
        past.reported = None;
        past.spent = true;
        past.tainted = true;
        past
    }

    /// What must hold between the hosts.
    pub(super) fn check(&self, offers: &[Rc<Offer>; 2]) -> Result<(), String> {
        let [ours, theirs] = [offers[0].ids, offers[1].ids];
        let common = ours.common(theirs);
        // The newest current base is on the other host as current or next; and no host has to go back.
        for (who, current) in [("client", ours.current), ("server", theirs.current)] {
            if let Some(id) = current.filter(|id| !self.stale.contains(id) && common.is_none_or(|common| common < *id))
            {
                return Err(format!(
                    "{id} is the {who}'s base, and both would start from {common:?}: {ours:?} {theirs:?}"
                ));
            }
        }
        match self.reported {
            Some(id) if common.is_none_or(|common| common < id) => {
                Err(format!("the client reported {id}, and both would start from {common:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Takes in what these hosts have come to.
    pub(super) fn remember(&mut self, offers: &[Rc<Offer>; 2]) {
        for id in offers.iter().filter_map(|offer| offer.ids.current) {
            self.top = self.top.max(id.counter);
        }
    }

    /// What no disk can bring back need not be remembered.
    pub(super) fn forget_all_but(&mut self, alive: &BTreeSet<BaseId>) {
        self.dropped.retain(|id| alive.contains(id));
        self.stale.retain(|id| alive.contains(id));
    }
}
