//! A plan's way from its first batch to its last, each ended by a commit. It may rest between two turns, so that other roots go on.
//!
//! A batch is as large as half a minute carries, so that a run which is cut goes on where it was.
//!
//! Deliberately not here: what a batch says to the server (`batch`), and whose turn it is (`turns`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use smd_maildir::fs::Fs;
use smd_protocol::delta::Delta;
use smd_protocol::limits::{BATCH_WEIGHT, Weigh as _};
use smd_protocol::reconcile::{Begun, Component, Input, Lacking, Plan, Side, Turn};
use smd_protocol::wire::Fetch;
use smd_protocol::{Folder, Name, Outcome, Step};

use super::SessionError;
use super::batch::{Gauge, Outcomes};
use super::pair::Pair;
use super::peer::Peer;
use crate::progress::Progress;

/// Bytes that the first batch may bring over the wire; later ones follow the rate that was seen.
const FIRST_BYTES: u64 = 64 << 20;
/// A batch is never planned larger than this, in bytes: a commit every GiB at least.
const MOST_BYTES: u64 = 1 << 30;
/// Nor smaller than this.
const LEAST_BYTES: u64 = 4 << 20;
/// How long a batch should take.
const BATCH_TIME: Duration = Duration::from_secs(30);
/// Components in one batch.
const MOST_COMPONENTS: usize = 50_000;

/// How far a plan is carried out.
pub(super) struct Course {
    /// Components that are behind it.
    pub(super) at: usize,
    /// All are, and what both hosts agreed on already is in the base.
    pub(super) is_over: bool,
    /// Bytes that the next batch may bring.
    budget: u64,
    /// Changes of the base that go with the next commit.
    changes: Delta,
    /// Names on which both hosts agreed already, until that is in the base.
    agreed: Vec<Name>,
    /// Folders in which something was not done.
    unhandled: BTreeSet<Folder>,
    /// What was to be brought and was not.
    pub(super) failed: Lacking,
}

impl Default for Course {
    fn default() -> Self {
        let (changes, agreed, unhandled, failed) = Default::default();
        Self { at: 0, is_over: false, budget: FIRST_BYTES, changes, agreed, unhandled, failed }
    }
}

impl<F: Fs> Pair<F> {
    /// Whether the plan is carried out, be there anything to do or not.
    pub(super) fn is_carried_out(&self) -> bool {
        !self.unusable && self.plan.stop.is_none()
    }

    /// Prepares to carry out the plan, before the first step in any root; not where nothing is to be done.
    pub(super) fn set_out(&mut self, peer: &Peer) -> Result<(), SessionError> {
        if !self.is_carried_out() {
            return Ok(());
        }
        self.keep_guard(peer)?;
        if self.gives_up_base {
            self.local.put_base_aside()?;
        }
        let mut changes = self.local.upkeep()?;
        self.plan.settle_agreed(&self.input(), &mut changes);
        let agreed: Vec<Name> = match self.begun.is_empty() {
            true => Vec::new(),
            false => self.plan.agreed.iter().map(|(name, _)| name.clone()).collect(),
        };
        self.course = Some(Course { changes, agreed, ..Course::default() });
        Ok(())
    }

    /// Carries out what of the plan is due by this turn, batch by batch, each ended by a commit. `steps_done` counts those of all
    /// roots.
    pub(super) fn carry_out(
        &mut self,
        until: Turn,
        peer: &mut Peer,
        progress: &Progress,
        steps_done: &mut u64,
    ) -> Result<(), SessionError> {
        let Some(mut course) = self.course.take() else { return Ok(()) };
        let plan = std::mem::take(&mut self.plan);
        let all = plan.components.len();
        let due = plan.components.partition_point(|component| component.turn() <= until);
        while !course.is_over && (course.at < due || due == all) {
            let rest = &plan.components[course.at..due];
            // A second message of one uniq has its own name before anything is sent by that.
            let size = match rest.iter().take_while(|component| component.is_parting()).count() {
                0 => batch_size(rest, course.budget),
                partings => batch_size(&rest[..partings], u64::MAX),
            };
            let now = &rest[..size];
            let since = Instant::now();
            let before = peer.bytes();
            let outcomes = self.batch(now, peer, &Gauge { progress, done: *steps_done })?;
            course.at += size;
            course.is_over = course.at == all;
            *steps_done += self.settle(&plan, now, &outcomes, &mut course, progress);
            let unhandled = &course.unhandled;
            self.mark_adopting(&plan, &mut course.changes, &|folder| !course.is_over || unhandled.contains(folder))?;
            let committed = self.commit(std::mem::take(&mut course.changes), peer)?;
            self.begun.settle(&std::mem::take(&mut course.agreed));
            let all_seen = self.troubles.is_empty() && !self.ours.incomplete && !self.theirs.incomplete;
            if course.is_over && course.unhandled.is_empty() && self.unsure.is_empty() && all_seen {
                // Both hosts are as the base says, whatever was brought.
                self.begun = Begun::default();
            }
            self.note_unsure(committed)?;
            let after = peer.bytes();
            progress.at(*steps_done, after.0 + after.1);
            course.budget = next_budget((after.0 + after.1) - (before.0 + before.1), since.elapsed(), course.budget);
        }
        self.plan = plan;
        self.course = Some(course);
        Ok(())
    }

    /// Turns what became of these components into changes of the base. Gives how many steps were tried.
    fn settle(
        &mut self,
        plan: &Plan,
        now: &[Component],
        outcomes: &[Outcomes],
        course: &mut Course,
        progress: &Progress,
    ) -> u64 {
        let mut tried = 0;
        for (component, outcomes) in now.iter().zip(outcomes) {
            let done = [0, 1].map(|side: usize| outcomes[side].iter().map(Outcome::is_done).collect::<Vec<_>>());
            plan.settle_component(&self.input(), component, [&done[0], &done[1]], &mut course.changes);
            let whole = component.ours.held.is_none() && component.theirs.held.is_none();
            if !whole || !done.iter().flatten().all(|done| *done) {
                course.unhandled.extend(component.names.iter().map(|name| name.folder.clone()));
                course.failed.add_failed(component, [&done[0], &done[1]]);
            } else {
                self.begun.settle(&component.names);
            }
            let has_all = |side: Side| {
                let part = component.part(side);
                part.held.is_none() && !part.steps.is_empty() && done[side as usize].iter().all(|done| *done)
            };
            if Side::BOTH.into_iter().any(has_all) {
                // This host has both the base's bytes and those that were brought, be the other held for ever.
                self.begun.settle_given(&component.names);
            }
            tried += (done[0].len() + done[1].len()) as u64;
            self.count(component, outcomes, progress.journal());
        }
        for folder in std::mem::take(&mut self.unmade) {
            plan.settle_unmade(&self.input(), &folder, &mut course.changes);
        }
        let mut unsure = std::mem::take(&mut self.unsure);
        for (component, outcomes) in now.iter().zip(outcomes) {
            // A failed sync may leave what such a step installed.
            unsure.bring(&self.input(), component, |side, step| !outcomes[side as usize][step].is_done());
        }
        self.unsure = unsure;
        tried
    }

    /// Notes what is in no base still, after a commit on top of the new one: what steps that were not finished may have brought,
    /// and what an earlier run that was cut brought and this one could not settle. Where nothing is left of it, the note goes,
    /// else a later delete of a message that was settled would be taken for what the cut run left.
    fn note_unsure(&mut self, committed: bool) -> Result<(), SessionError> {
        if committed {
            // The note was for the base before.
            let earlier = std::mem::take(&mut self.begun);
            self.begun.still_after(&earlier);
        }
        let mut unsure = self.unsure.clone();
        unsure.still(&self.begun);
        if !unsure.is_empty() {
            unsure.forget(self.local.stored()?);
        }
        Ok(self.local.note_begun(&unsure)?)
    }

    /// Adds the marks of sections that are being adopted, or are adopted completely now.
    fn mark_adopting(
        &mut self,
        plan: &Plan,
        changes: &mut Delta,
        adopting: &dyn Fn(&Folder) -> bool,
    ) -> Result<(), SessionError> {
        if plan.adopting.is_empty() {
            return Ok(());
        }
        let (ours, theirs, adopt) = (&self.ours, &self.theirs, self.local.adopts());
        let base = self.local.stored()?;
        plan.settle_adopting(&Input { base, adopt, ours, theirs, begun: &self.begun }, changes, adopting);
        Ok(())
    }
}

/// How many components the next batch takes: at least one, if there is one. The server keeps no more of one than
/// [`BATCH_WEIGHT`] for somebody of whom it knows nothing.
fn batch_size(components: &[Component], budget: u64) -> usize {
    let (mut bytes, mut weighs) = (0u64, 0);
    let fits = components.iter().take(MOST_COMPONENTS).take_while(|component| {
        bytes = bytes.saturating_add(component.wire_bytes);
        weighs += weight(component);
        bytes <= budget && weighs <= BATCH_WEIGHT
    });
    fits.count().max(components.len().min(1))
}

/// What is kept of a component while its batch is on: steps, and what is wanted for them or counted.
fn weight(component: &Component) -> usize {
    let weigh = |side: Side| {
        let part = component.part(side);
        let wishes = part.supply.iter().flatten().map(|name| size_of::<Fetch>() + name.heap()).sum::<usize>();
        part.open().iter().map(Step::weight).sum::<usize>() + wishes
    };
    Side::BOTH.into_iter().map(weigh).sum()
}

/// What the next batch may bring, so that it takes about [`BATCH_TIME`] at the rate of the last one.
fn next_budget(bytes: u64, took: Duration, budget: u64) -> u64 {
    // A small batch says little about the rate.
    if bytes < LEAST_BYTES {
        return budget;
    }
    let rate = bytes as f64 / took.as_secs_f64().max(0.001);
    ((rate * BATCH_TIME.as_secs_f64()) as u64).clamp(LEAST_BYTES, MOST_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use smd_protocol::reconcile::Part;

    #[test]
    fn a_batch_takes_what_fits_and_at_least_one() {
        let component = |wire_bytes| Component { wire_bytes, ..Component::default() };
        let components = [component(5), component(5), component(5)];
        assert_eq!(batch_size(&components, 10), 2);
        assert_eq!(batch_size(&components, 1), 1);
        assert_eq!(batch_size(&components, 100), 3);
        assert_eq!(batch_size(&[], 100), 0);
        // Nor more than the server keeps, be the names as long as they may.
        let folder = Folder::parse(&b"a/".repeat(2048)[..4095]).expect("a folder");
        let ours = Part { steps: vec![Step::MakeFolder(folder)], ..Part::default() };
        let long = Component { ours, ..Component::default() };
        let size = batch_size(&vec![long.clone(); MOST_COMPONENTS], u64::MAX);
        assert!(size < MOST_COMPONENTS && size * weight(&long) <= BATCH_WEIGHT, "{size}");
        assert!((size + 1) * weight(&long) > BATCH_WEIGHT, "{size}");
    }

    #[test]
    fn a_slow_link_gets_small_batches() {
        let mib = 1 << 20;
        assert_eq!(next_budget(10 * mib, Duration::from_secs(100), FIRST_BYTES), LEAST_BYTES);
        assert_eq!(next_budget(1000 * mib, Duration::from_secs(1), FIRST_BYTES), MOST_BYTES);
        assert_eq!(next_budget(10, Duration::from_secs(1), FIRST_BYTES), FIRST_BYTES);
    }
}
