//! The bulk guard's part of a session: what it must know beside the plan, and what it keeps of a run.
//!
//! Each host keeps a ledger of what runs removed there. It is asked for only where something is to be removed, and written
//! before the steps that do it. Whether the guard stands is noted beside the client's base, before the first step of a run.
//!
//! Deliberately not here: when it trips (`smd_protocol::reconcile`), and what is said of it (`tell`, `report`).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use smd_maildir::fs::Fs;
use smd_maildir::home::Label;
use smd_maildir::run::RunError;
use smd_protocol::Digest;
use smd_protocol::reconcile::{self, Component, Past, Removal, Side, removals, survivors};
use smd_protocol::wire::{self, FromClient, FromServer, LedgerAct};

use super::SessionError;
use super::pair::Pair;
use super::peer::{Peer, unexpected};
use crate::report::{KeyReport, Spent};

/// Holds back in every root what the guard says, once all of them have a plan: what one root lacks another may have.
pub(super) fn finish_plans<F: Fs>(pairs: &mut [Pair<F>], peer: &mut Peer) -> Result<(), SessionError> {
    for at in 0..pairs.len() {
        if pairs[at].plan.components.is_empty() {
            continue;
        }
        let mut past = pairs[at].past(peer)?;
        for side in Side::BOTH {
            let wanted = pairs[at].plan.wanted(&pairs[at].input(), &pairs[at].policy, &past, side);
            let deleter = side.other();
            for other in (0..pairs.len()).filter(|&other| other != at && !wanted.is_empty()) {
                for (body, count) in pairs[other].survivors(deleter, &wanted)? {
                    *past.elsewhere[deleter as usize].entry(body).or_default() += count;
                }
            }
        }
        pairs[at].finish_plan(&past);
    }
    Ok(())
}

/// What the server says of keys, as far as it is sense: what a key is called is a label.
pub(super) fn key_reports(reports: &mut Vec<wire::KeyReport>) -> Vec<KeyReport> {
    let sense = |report: wire::KeyReport| {
        let key = Label::parse(report.key.escaped().as_bytes()).ok()?.to_string();
        Some(KeyReport { key, since: report.since, removed: report.removed, is_end: report.is_end })
    };
    std::mem::take(reports).into_iter().filter_map(sense).collect()
}

impl<F: Fs> Pair<F> {
    /// What the guard knows of the day before this run. The server is asked where something would be removed there.
    fn past(&mut self, peer: &mut Peer) -> Result<Past, SessionError> {
        let mut past = Past { tripped: self.local.tripped().map_err(RunError::from)?, ..Past::default() };
        if self.plan.removes(Side::Ours) {
            past.removed[Side::Ours as usize] = self.local.removed().map_err(RunError::from)?;
        }
        let asks_budget = self.has_budget_there && self.plan.costs(&self.input());
        if self.counts_there && (asks_budget || self.plan.removes(Side::Theirs)) {
            past.removed[Side::Theirs as usize] = self.removed_there(peer)?;
            past.spent = self.spent.is_some();
        }
        if self.plan.brings() && !self.local.adopts() {
            past.doubled = self.local.doubled().map_err(RunError::from)?;
            self.forgets_doubled = self.policy.adopt_other_headers && !past.doubled.is_empty();
        }
        Ok(past)
    }

    fn removed_there(&mut self, peer: &mut Peer) -> Result<Vec<Removal>, SessionError> {
        peer.say(&FromClient::Ledger { root: self.index, act: LedgerAct::Tell })?;
        peer.round_trips += 1;
        let (mut all, mut may_tell) = (Vec::new(), self.has_budget_there);
        loop {
            match peer.hear_message()? {
                FromServer::Removed { root, removals, last } if root == self.index => {
                    all.extend(removals);
                    if last {
                        return Ok(all);
                    }
                }
                FromServer::Budget { root, left, lift, frees_at }
                    if root == self.index && std::mem::take(&mut may_tell) =>
                {
                    self.spent = (left == 0).then(|| Spent { lift: lift.escaped(), frees_at });
                }
                _ => return Err(unexpected("something else than what was removed")),
            }
        }
    }

    /// How many messages a host has here with each of these bodies.
    fn survivors(&mut self, side: Side, wanted: &HashSet<Digest>) -> Result<HashMap<Digest, u64>, SessionError> {
        // A root in which nothing changed has no base loaded.
        self.base = self.local.base()?;
        Ok(survivors(&self.input(), side, wanted))
    }

    /// Finishes the plan that was drafted.
    pub(super) fn finish_plan(&mut self, past: &Past) {
        let mut plan = std::mem::take(&mut self.plan);
        reconcile::finish(&self.input(), &self.policy, past, &mut plan);
        self.stands = plan.guard.is_some() || past.tripped && plan.removals_left;
        self.dressed_moves = std::mem::take(&mut plan.dressed_moves);
        self.plan = plan;
    }

    /// Notes before the first step whether the guard stands and what is brought although it is there, and forgets what a person
    /// said was meant.
    pub(super) fn keep_guard(&mut self, peer: &Peer) -> Result<(), SessionError> {
        if self.forgets_removals {
            let stop = peer.stop_flag();
            self.local.forget_removals(&|| stop.load(Ordering::Relaxed))?;
            if self.counts_there {
                peer.say(&FromClient::Ledger { root: self.index, act: LedgerAct::Forget })?;
            }
        }
        let stop = peer.stop_flag();
        let stop = || stop.load(Ordering::Relaxed);
        if self.forgets_doubled {
            self.local.forget_doubled(&stop)?;
        }
        self.local.count_doubled(&self.plan.doubled, &stop)?;
        // What could not be looked at may still have to go.
        let seen = !self.ours.incomplete && !self.theirs.incomplete;
        let answered = self.forgets_removals || self.gives_up_base || self.local.adopts();
        if self.stands || seen || answered {
            self.local.note_tripped(self.stands && !answered).map_err(RunError::from)?;
        }
        Ok(())
    }

    /// Counts on both hosts what these components are about to remove; not where a person said that all is meant.
    pub(super) fn count_removals(&mut self, components: &[Component], peer: &Peer) -> Result<(), SessionError> {
        if self.forgets_removals {
            return Ok(());
        }
        let [ours, theirs] = Side::BOTH.map(|side| removals(&self.input(), components, side));
        for some in theirs.chunks(wire::ITEMS_IN_FRAME).filter(|_| self.counts_there) {
            peer.say(&FromClient::Ledger { root: self.index, act: LedgerAct::Count(some.to_vec()) })?;
        }
        let stop = peer.stop_flag();
        Ok(self.local.count_removals(&ours, &|| stop.load(Ordering::Relaxed))?)
    }
}
