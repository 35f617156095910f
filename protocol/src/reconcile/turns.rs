//! Several roots of one endpoint: what leaves one of them may be what comes to another.
//!
//! A message that was moved from one root to another is, to the host that is told of it, a delete in the one and a new message
//! in the other. So that its only copy never rests in the grave alone, all roots bring in what they can before any of them
//! buries something; and what was to be brought and is not there, because its root stopped, waits or failed, keeps what it may
//! be a copy of.
//!
//! Known by its body, since a program that moves a message may write a header of its own. Two messages that change places
//! between two roots under names that both have there stay a ring: each replaces the other's.
//!
//! Deliberately not here: who has its turn when (the client's session), and roots that the run knows nothing of.

use std::collections::HashSet;

use super::hold::{hold_folders, removes};
use super::{Component, Hold, Input, Plan, Side, parts};
use crate::delta::Delta;
use crate::digest::{Content, Digest};
use crate::seeded;

/// When a component is due, as its endpoint's other roots see it. A plan has its components in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Turn {
    /// It buries nothing.
    Adds,
    /// It buries something, and brings something in.
    Replaces,
    /// It buries something, or removes a folder.
    Removes,
}

impl Component {
    /// When it is due.
    pub fn turn(&self) -> Turn {
        match parts::class(self) {
            0..=2 => Turn::Adds,
            3 | 4 => Turn::Replaces,
            _ => Turn::Removes,
        }
    }

    /// Whether any step of it is to be taken now.
    pub fn is_open(&self) -> bool {
        Side::BOTH.into_iter().any(|side| !self.part(side).open().is_empty())
    }
}

/// What tells a message in one root from others in another: its body, or its header where it has none.
pub(super) fn mark(content: Content) -> Option<Digest> {
    let nothing = Digest::of(b"");
    let mark = if content.body == nothing { content.header } else { content.body };
    (mark != nothing).then_some(mark)
}

/// What was to be brought to a host in some root and is not there, by host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lacking([HashSet<Digest>; 2]);

impl Lacking {
    /// Whether nothing is lacking.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(HashSet::is_empty)
    }

    /// Adds what is lacking elsewhere as well.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(all, more)| all.extend(more));
    }

    /// Adds what these components bring as soon as they may: what waits in them, or all where the whole plan stops.
    pub fn add_plan(&mut self, plan: &Plan) {
        for component in &plan.components {
            for side in Side::BOTH {
                let part = component.part(side);
                if plan.stop.is_some() || part.held.is_some() {
                    let brought = part.steps.iter().filter_map(|step| step.bytes());
                    self.0[side as usize].extend(brought.filter_map(|bytes| mark(bytes.content)));
                }
            }
        }
    }

    /// Adds what open steps of a component were to bring and did not; `done` tells of each.
    pub fn add_failed(&mut self, component: &Component, done: [&[bool]; 2]) {
        for side in Side::BOTH {
            let steps = component.part(side).open().iter().zip(done[side as usize]);
            let failed = steps.filter(|(_, done)| !**done).filter_map(|(step, _)| step.bytes());
            self.0[side as usize].extend(failed.filter_map(|bytes| mark(bytes.content)));
        }
    }

    /// Adds what a host told of a root that has no plan, since the other could not look at it.
    pub fn add_told(&mut self, to: Side, delta: &Delta) {
        let told = delta.folders.values().flat_map(|change| &change.set);
        self.0[to as usize].extend(told.filter_map(|seen| mark(seen.entry.content)));
    }

    fn has(&self, side: Side, content: Content) -> bool {
        mark(content).is_some_and(|mark| self.0[side as usize].contains(&mark))
    }
}

/// Holds back what of a plan, from this component on, would bury a message that another root lacks. Gives whether it held back
/// anything.
pub fn wait_for_other_roots(input: &Input<'_>, lacking: &Lacking, plan: &mut Plan, from: usize) -> bool {
    if lacking.is_empty() || seeded::is("roots-do-not-wait-for-what-failed") {
        return false;
    }
    let mut waits = false;
    for component in plan.components.iter_mut().skip(from) {
        for side in Side::BOTH {
            if component.part(side).held.is_none()
                && removes(component, side)
                && component.part(side).removed(input, side).into_iter().any(|content| lacking.has(side, content))
            {
                component.part_mut(side).held = Some(Hold::OtherRoot);
                waits = true;
            }
        }
    }
    if waits {
        hold_folders(plan);
    }
    waits
}
