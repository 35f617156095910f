//! Whether the steps of a batch are taken: the one place where rights, budgets and sizes are asked for each. Pure.

use std::collections::{HashMap, HashSet};

use smd_protocol::{Entry, Name, Refusal, Step};

use super::Authority;
use super::budget::{self, Removals};

/// A planned step with what is known of it.
#[derive(Clone, Debug)]
pub struct Planned<'a> {
    /// The step.
    pub step: &'a Step,
    /// The message that it moves, replaces or deletes, as this host's look saw it or an earlier step of the batch leaves it.
    pub was: Option<Entry>,
    /// Nothing is known under the name that it gives to a message.
    pub is_free: bool,
}

/// What is left of something that a key has only so much of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    /// So much of it.
    pub left: u64,
    /// The line by which the owner lifts it.
    pub lift: String,
    /// When it frees by itself, in seconds since 1970.
    pub frees_at: Option<i64>,
}

/// How a key stands before a batch: what is left of its budgets. What is none has no end.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// Removals.
    pub removals: Option<Removals>,
}

/// What is known of each step, in their order. `known` tells what is under a name before the batch.
pub fn planned<'a>(steps: &'a [Step], known: &dyn Fn(&Name) -> Option<Entry>) -> Vec<Planned<'a>> {
    // What earlier steps of the batch leave under a name.
    let mut now: HashMap<&Name, Option<Entry>> = HashMap::new();
    let mut planned = Vec::with_capacity(steps.len());
    for step in steps {
        let at = |name: &Name, now: &HashMap<&Name, Option<Entry>>| match now.get(name) {
            Some(entry) => entry.clone(),
            None => known(name),
        };
        let was = match step {
            Step::Move { from, .. } => at(from, &now),
            Step::Replace { at: name, .. } | Step::Delete(name) => at(name, &now),
            Step::MakeFolder(_) | Step::RemoveFolder(_) | Step::Put { .. } | Step::Part(_) => None,
        };
        let is_free = step.target().is_some_and(|name| at(name, &now).is_none());
        match step {
            Step::Move { from, to, dress } => {
                if from != to {
                    now.insert(from, None);
                }
                let moved = was.clone().map(|entry| Entry {
                    uniq: to.uniq.clone(),
                    place: dress.place,
                    flags: dress.flags.clone(),
                    ..entry
                });
                now.insert(to, moved);
            }
            Step::Put { to: name, dress, bytes } | Step::Replace { at: name, dress, bytes } => {
                let (place, flags) = (dress.place, dress.flags.clone());
                now.insert(name, Some(Entry { uniq: name.uniq.clone(), place, flags, content: bytes.content }));
            }
            Step::Delete(name) => drop(now.insert(name, None)),
            Step::MakeFolder(_) | Step::RemoveFolder(_) | Step::Part(_) => {}
        }
        planned.push(Planned { step, was, is_free });
    }
    planned
}

/// Which steps of a batch are refused, by their place, and why. A step on a message that a refused step was to bring or to move
/// away is refused with it.
pub fn admit(authority: &Authority, standing: &Standing, planned: &[Planned<'_>]) -> Vec<(usize, Refusal)> {
    let mut refused = Vec::new();
    let mut gone: HashSet<usize> = HashSet::new();
    let mut removals = standing.removals.clone();
    let costs = if removals.is_some() { budget::costs(planned) } else { Vec::new() };
    let mut stuck: HashMap<&Name, Refusal> = HashMap::new();
    for (at, one) in planned.iter().enumerate() {
        let after = names(one.step).find_map(|name| stuck.get(name).cloned());
        let was = one.was.as_ref().map(|entry| &entry.flags);
        let policy = || (!authority.rights.permit(one.step, was)).then_some(Refusal::Policy);
        let spent = || removals.as_mut().and_then(|removals| removals.spend(&costs, at, one, &gone));
        if let Some(refusal) = after.or_else(policy).or_else(spent) {
            for name in names(one.step) {
                stuck.insert(name, refusal.clone());
            }
            gone.insert(at);
            refused.push((at, refusal));
        }
    }
    refused
}

/// The messages that a step is about.
fn names(step: &Step) -> impl Iterator<Item = &Name> {
    let from = match step {
        Step::Move { from, .. } => Some(from),
        Step::Delete(name) => Some(name),
        _ => None,
    };
    from.into_iter().chain(step.target())
}
