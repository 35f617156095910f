//! A message that one host edited, and the other moved to another root of the endpoint.
//!
//! Each root by itself sees an ordinary thing: an edited message that was deleted elsewhere, which comes back, and a new one.
//! Together they are one message that is there twice from now on. Nothing is lost by it, and a person hears of it.
//!
//! Deliberately not here: making one of them. Which of the two places and which of the two texts hold would be a guess over roots
//! that may be stopped, held back, or translated each in its own way.

use std::collections::HashSet;

use super::turns::mark;
use super::{Input, Note, Plan, Side};
use crate::digest::Digest;
use crate::names::Name;
use crate::step::Step;

/// A message that comes back to a host which no longer has it, since the other one edited it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Back {
    /// The host that edited it.
    edited: Side,
    /// Its name.
    name: Name,
    /// What tells it, as it was, from others.
    mark: Digest,
}

impl Back {
    /// What is said where this root brings the message, as it was, to the host that edited it.
    pub fn note(&self, brought: &[HashSet<Digest>; 2], root: &str) -> Option<Note> {
        brought[self.edited as usize].contains(&self.mark).then(|| Note::MovedAway {
            edited: self.edited,
            name: self.name.clone(),
            root: root.to_owned(),
        })
    }
}

/// The messages of a plan that come back edited.
pub fn backs(input: &Input<'_>, plan: &Plan) -> Vec<Back> {
    let mut backs = Vec::new();
    for (to, step) in open(plan) {
        let Step::Put { to: name, bytes, .. } = step else { continue };
        let Some(was) = input.base.entry(name).filter(|was| was.content != bytes.content) else { continue };
        if let (None, Some(mark)) = (input.present(to).entry(name), mark(was.content)) {
            backs.push(Back { edited: to.other(), name: name.clone(), mark });
        }
    }
    backs
}

/// What a plan brings to each host.
pub fn brought(plan: &Plan) -> [HashSet<Digest>; 2] {
    let mut brought = <[HashSet<Digest>; 2]>::default();
    for (to, step) in open(plan) {
        if let Step::Put { bytes, .. } = step {
            brought[to as usize].extend(mark(bytes.content));
        }
    }
    brought
}

fn open(plan: &Plan) -> impl Iterator<Item = (Side, &Step)> {
    let stopped = plan.stop.is_some();
    let components = plan.components.iter().filter(move |_| !stopped);
    let parts = components.flat_map(|component| Side::BOTH.map(|side| (side, component.part(side).open())));
    parts.flat_map(|(side, steps)| steps.iter().map(move |step| (side, step)))
}
