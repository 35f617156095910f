//! In which order the roots of an endpoint are carried out.
//!
//! A message that was moved from one root to another is, at the other host, a delete in the one and a new message in the other.
//! Were the delete first, a run that dies between the two would leave that host's only copy in the grave. So a root buries
//! nothing as long as another has something to bring in, and has not agreed on it: a commit stands between the two. What did
//! not get there after all keeps its copy in the other root for another run.
//!
//! An endpoint with one root pays nothing for it; one with several pays a batch and a commit more for each root that both brings
//! and buries something, but for the last.
//!
//! A root that is not there at the server is carried out before the others, since making it may take another connection, in
//! which the run begins anew.
//!
//! Deliberately not here: what may be a copy of what (`smd_protocol::reconcile`).

use smd_maildir::fs::Fs;
use smd_protocol::names::printable;
use smd_protocol::reconcile::{Lacking, Side, Turn, backs, brought, wait_for_other_roots};
use smd_protocol::seeded;

use super::SessionError;
use super::pair::Pair;
use super::peer::Peer;
use crate::progress::Progress;

/// Carries out the plans of all roots.
pub(super) fn carry_out<F: Fs>(
    pairs: &mut [Pair<F>],
    peer: &mut Peer,
    progress: &Progress,
) -> Result<(), SessionError> {
    let mut steps_done = 0;
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|&at| !pairs[at].theirs_absent);
    for pair in pairs.iter_mut() {
        pair.set_out(peer)?;
    }
    let mut turns: Vec<Option<Turn>> = pairs.iter().map(Pair::next_turn).collect();
    // Each time round the root whose turn is the first of all goes on.
    while pairs.iter().any(Pair::is_under_way) {
        for &at in &order {
            let until = may_go_on(&turns, at);
            hold_in(pairs, at);
            pairs[at].carry_out(until, peer, progress, &mut steps_done)?;
            turns[at] = pairs[at].next_turn();
        }
    }
    Ok(())
}

/// Up to which turn one of several roots may go on now: nothing that it does is later than what another has to do first.
fn may_go_on(turns: &[Option<Turn>], at: usize) -> Turn {
    let others = turns.iter().enumerate().filter(|(other, _)| *other != at).filter_map(|(_, turn)| *turn);
    match others.min() {
        Some(turn) if !seeded::is("a-root-removes-before-others-add") => turn,
        _ => Turn::Removes,
    }
}

/// Holds back in every root what may be the only copy of what another root lacks.
pub(super) fn hold<F: Fs>(pairs: &mut [Pair<F>]) {
    // What waits may be what a third root waits for.
    while (0..pairs.len()).any(|at| hold_in(pairs, at)) {}
    note_what_moved_away(pairs);
}

/// Notes in every root what comes back to it edited, though another root brings it as it was.
fn note_what_moved_away<F: Fs>(pairs: &mut [Pair<F>]) {
    if pairs.len() < 2 {
        return;
    }
    for at in 0..pairs.len() {
        let backs = backs(&pairs[at].input(), &pairs[at].plan);
        if backs.is_empty() {
            continue;
        }
        for other in (0..pairs.len()).filter(|other| *other != at) {
            let (brought, root) = (brought(&pairs[other].plan), printable(pairs[other].label()));
            pairs[at].plan.notes.extend(backs.iter().filter_map(|back| back.note(&brought, &root)));
        }
    }
}

/// The same in one root; gives whether anything was held back.
fn hold_in<F: Fs>(pairs: &mut [Pair<F>], at: usize) -> bool {
    if pairs.len() < 2 || !pairs[at].has_to_bury() {
        return false;
    }
    let mut lacking = Lacking::default();
    pairs.iter().enumerate().filter(|(other, _)| *other != at).for_each(|(_, pair)| pair.lacks(&mut lacking));
    pairs[at].wait_for(&lacking)
}

impl<F: Fs> Pair<F> {
    fn is_under_way(&self) -> bool {
        self.course.as_ref().is_some_and(|course| !course.is_over)
    }

    fn behind(&self) -> usize {
        self.course.as_ref().map_or(0, |course| course.at)
    }

    /// When this root has something to do next.
    fn next_turn(&self) -> Option<Turn> {
        let rest = self.is_under_way().then(|| &self.plan.components[self.behind()..])?;
        rest.iter().find(|component| component.is_open()).map(|component| component.turn())
    }

    fn has_to_bury(&self) -> bool {
        let rest = &self.plan.components[self.behind()..];
        // They come last.
        let mut late = rest.iter().rev().take_while(|component| component.turn() > Turn::Adds);
        self.plan.stop.is_none() && late.any(|component| component.is_open())
    }

    /// Adds what was to come to this root on either host, and is not there.
    fn lacks(&self, lacking: &mut Lacking) {
        if self.unusable {
            lacking.add_told(Side::Ours, &self.theirs.delta);
            lacking.add_told(Side::Theirs, &self.ours.delta);
        } else {
            lacking.add_plan(&self.plan);
        }
        if let Some(course) = &self.course {
            lacking.add(&course.failed);
        }
    }

    fn wait_for(&mut self, lacking: &Lacking) -> bool {
        let mut plan = std::mem::take(&mut self.plan);
        let waits = wait_for_other_roots(&self.input(), lacking, &mut plan, self.behind());
        self.plan = plan;
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_goes_as_far_as_no_other_has_something_to_do_before() {
        use Turn::{Adds, Removes, Replaces};
        for (turns, may) in [
            (vec![Some(Adds)], vec![Removes]),
            (vec![Some(Removes), Some(Adds)], vec![Adds, Removes]),
            (vec![Some(Adds), Some(Adds)], vec![Adds, Adds]),
            (vec![Some(Removes), None], vec![Removes, Removes]),
            (vec![Some(Replaces), Some(Removes), Some(Adds)], vec![Adds, Adds, Replaces]),
        ] {
            let all: Vec<Turn> = (0..turns.len()).map(|at| may_go_on(&turns, at)).collect();
            assert_eq!(all, may, "{turns:?}");
        }
    }
}
