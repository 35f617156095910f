//! Whether the steps of a batch are taken: the one place where rights, budgets and sizes are asked for each. Pure.

use std::collections::{HashMap, HashSet};

use smd_protocol::{Entry, Name, Refusal, Step, seeded};

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
        let refusal = after.or_else(policy).filter(|_| !seeded::is("refused-steps-are-taken")).or_else(spent);
        if let Some(refusal) = refusal {
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

#[cfg(test)]
mod tests {
    use smd_protocol::delta::Present;
    use smd_protocol::step::{Bytes, Dress};
    use smd_protocol::{Content, Delta, Flags, Folder, Place, Section, Snapshot, Source, Uniq};

    use super::*;

    fn name(uniq: &str) -> Name {
        Name::new(&Folder::root(), &Uniq::parse(uniq.as_bytes()).expect("a uniq"))
    }

    fn dress(flags: &str) -> Dress {
        Dress { place: Place::Cur, flags: Flags::from_letters(flags) }
    }

    fn moves(from: &str, to: &str, flags: &str) -> Step {
        Step::Move { from: name(from), to: name(to), dress: dress(flags) }
    }

    fn put(uniq: &str) -> Step {
        let bytes = Bytes { content: Content::of(uniq.as_bytes()), source: Source::Wire, mtime: None };
        Step::Put { to: name(uniq), dress: dress(""), bytes }
    }

    /// The places of the steps that a key with these words is refused, on a host that has a, b and c, of which c is trashed.
    fn refused(words: &str, steps: &[Step]) -> Vec<usize> {
        let entry = |uniq: &str, flags: &str| Entry {
            uniq: Uniq::parse(uniq.as_bytes()).expect("a uniq"),
            place: Place::Cur,
            flags: Flags::from_letters(flags),
            content: Content::of(uniq.as_bytes()),
        };
        let entries = vec![entry("a", ""), entry("b", "S"), entry("c", "T")];
        let base = Snapshot { folders: [(Folder::root(), Section::new(entries, false))].into() };
        let delta = Delta::default();
        let rights = words.parse().unwrap_or_else(|never| match never {});
        let authority = Authority { rights, ..Authority::owner() };
        let planned = planned(steps, &|name| Present { base: &base, delta: &delta }.entry(name).cloned());
        let refused = admit(&authority, &Standing::default(), &planned);
        assert!(refused.iter().all(|(_, why)| *why == Refusal::Policy));
        refused.into_iter().map(|(at, _)| at).collect()
    }

    #[test]
    fn what_a_key_may_not_do_is_refused_and_the_rest_is_not() {
        let steps =
            [put("new"), Step::Delete(name("a")), moves("b", "b", "F"), moves("c", "c", "ST"), moves("a", "x", "")];
        assert!(refused("pull,push", &steps).is_empty());
        assert_eq!(refused("push,append-only", &steps), [1, 4]);
        assert_eq!(
            refused("push,no-delete", &steps),
            [1, 4],
            "what follows a refused step on the same message is refused too"
        );
        assert_eq!(refused("pull", &steps), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn flags_are_compared_with_what_an_earlier_step_leaves() {
        let steps = [moves("c", "c", ""), moves("c", "c", "T")];
        assert_eq!(refused("push,append-only", &steps), [1], "T was taken away, and is set");
        let steps = [moves("c", "d", "T"), moves("d", "d", "FT")];
        assert!(refused("push,no-delete", &steps).is_empty(), "it had T before");
    }

    #[test]
    fn what_builds_on_a_refused_step_is_refused_with_it() {
        let steps = [moves("a", "x", "T"), moves("x", "y", ""), put("x"), Step::Delete(name("y")), put("z")];
        assert_eq!(refused("push,no-delete", &steps), [0, 1, 2, 3]);
    }
}
