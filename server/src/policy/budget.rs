//! The budget for removal of a key: how many messages it may delete, replace or mark as trashed within 24 hours of the age clock.
//! Pure.
//!
//! A message counts when its body leaves the tree, or when it gets the flag `T`, at which mail programs delete: once within a day,
//! however often it is tried. Not counted: another header, bytes given to a message that had none, moves; and a delete beside which
//! the same batch brings the same body (a move by a program that writes headers of its own, or an edit that got a name of its own):
//! it is taken only where that was done.
//!
//! What an owner allowed is used first. Where a name was touched by an earlier step of the batch nobody knows yet what will be
//! there, and everything counts.
//!
//! Deliberately not here: where removals are written down (`smd_maildir::keys`).

use std::collections::{HashMap, HashSet};

use smd_maildir::home::{Age, Label};
use smd_maildir::keys::{Allowance, How, Lines, Paid, What};
use smd_protocol::step::Dress;
use smd_protocol::{Content, Digest, Name, Refusal, Step, seeded};

use super::admit::{Left, Planned};
use super::limits::MaxRemove;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// So many messages any key may remove, and one in [`PART`] of a larger root.
const LEAST: u64 = 20;
const PART: u64 = 10;

/// What a key may still remove.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removals {
    /// Of the day's budget; its end is none where there is no budget.
    pub left: Option<Left>,
    /// Of what the owner allowed, in front of the budget.
    pub allowed: u64,
    /// What was counted within the day, and does not count again.
    pub counted: HashSet<(Name, Content)>,
    /// Bytes that the key's log still takes.
    pub room: u64,
}

/// What a step costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cost {
    /// Nothing, and it removes nothing.
    Nothing,
    /// A message, or nothing where it is counted already.
    Message(How),
    /// A message that may be counted already was touched by the batch, so that it counts in any case.
    Touched(How),
    /// Nothing, as the body stays.
    Kept(How),
    /// Nothing, as this step of the batch brings the same body: it must be done before.
    After(How, usize),
}

/// How many messages a key may remove from a root within a day; none where there is no end. `least` is the smallest number of
/// messages that the root held while its log tells: what a key itself brought lets it remove no more.
pub fn limit(max: MaxRemove, least: u64) -> Option<u64> {
    match max {
        MaxRemove::Any => None,
        MaxRemove::Default => Some(LEAST.max(least / PART)),
        MaxRemove::Messages(most) => Some(most),
    }
}

/// How many messages a root has, with those that the key deleted while its log tells: else each would make its budget smaller.
pub fn whole(lines: &Lines, root: &[u8], messages: u64) -> u64 {
    let is_gone =
        |what: &What| matches!(what, What::Removed { how: How::Deleted, paid: Paid::Budget | Paid::Allowance, .. });
    messages + lines.iter().filter(|line| line.root == root && is_gone(&line.what)).count() as u64
}

/// The smallest number of messages that a root held, as far as the log tells and now.
pub fn least(lines: &Lines, root: &[u8], messages: u64) -> u64 {
    let earlier = lines.iter().filter(|line| line.root == root).filter_map(|line| match &line.what {
        What::Run { messages, .. } => Some(*messages),
        _ => None,
    });
    earlier.min().unwrap_or(messages).min(messages)
}

/// When something is asked, and by which clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// The age clock.
    pub age: Age,
    /// Seconds since 1970, for a person.
    pub time: i64,
}

/// What the key may still remove from a root with so many messages.
pub fn removals(
    lines: &Lines,
    now: Now,
    key: &Label,
    max: MaxRemove,
    (root, messages): (&[u8], u64),
    allowance: Option<&Allowance>,
) -> Removals {
    // A number is of the key, in all of its roots; a share is of each root.
    let is_of = |of: &[u8]| of == root || max != MaxRemove::Default;
    let spent = lines.of_day(now.age).filter(|line| is_of(&line.root));
    let spent: Vec<i64> = spent
        .filter(|line| matches!(line.what, What::Removed { paid: Paid::Budget, .. }))
        .map(|line| line.age)
        .collect();
    let frees_at = |first: i64| now.time + (DAY + 1 - now.age.since(first)).max(1);
    let left = limit(max, least(lines, root, messages)).map(|limit| Left {
        left: limit.saturating_sub(spent.len() as u64),
        lift: lift(key, limit),
        // What this batch spends first frees a day from now.
        frees_at: spent.iter().copied().min().or_else(|| (limit > 0).then(|| now.age.seconds())).map(frees_at),
    });
    Removals {
        left,
        allowed: allowance.map_or(0, |allowance| allowance.left(lines, now.age)),
        counted: lines.counted(now.age, root),
        room: lines.room(),
    }
}

/// The line by which the owner lifts it: for so much as is more than the budget, so that one line is enough.
fn lift(key: &Label, limit: u64) -> String {
    format!("smd-allow {key} {} --for 1h", limit.saturating_mul(PART).max(1_000))
}

impl Removals {
    /// Takes for a step what it costs; the refusal where that is not left. `refused` are those before it.
    pub(super) fn spend(
        &mut self,
        costs: &[Cost],
        at: usize,
        one: &Planned<'_>,
        refused: &HashSet<usize>,
    ) -> Option<Refusal> {
        let cost = due(costs[at], refused);
        let paid = match message(one) {
            Some(message) => self.pay(cost, message),
            None => Some(Paid::Free),
        };
        let Some(paid) = paid else {
            let (lift, frees_at) =
                self.left.as_ref().map(|left| (left.lift.clone(), left.frees_at)).unwrap_or_default();
            return Some(Refusal::Budget { lift, frees_at });
        };
        let weight = deeds(one, cost, paid).iter().map(weight).sum();
        match self.room.checked_sub(weight) {
            Some(room) => self.room = room,
            None => return Some(Refusal::Room(LOG_IS_FULL.to_owned())),
        }
        None
    }

    /// Pays for a message; none where nothing is left.
    fn pay(&mut self, cost: Cost, message: (&Name, Content)) -> Option<Paid> {
        let known = || (message.0.clone(), message.1);
        match cost {
            Cost::Nothing | Cost::Kept(_) | Cost::After(..) => return Some(Paid::Free),
            Cost::Message(_) if self.counted.contains(&known()) => return Some(Paid::Free),
            Cost::Message(_) | Cost::Touched(_) => {}
        }
        let paid = match &mut self.left {
            // Counted all the same: the owner wants to know.
            None => Paid::Budget,
            Some(_) if self.allowed > 0 => {
                self.allowed -= 1;
                Paid::Allowance
            }
            Some(left) if left.left > 0 => {
                left.left -= 1;
                Paid::Budget
            }
            Some(_) => return None,
        };
        self.counted.insert(known());
        Some(paid)
    }
}

/// Why a step is refused of which nothing could be written down.
const LOG_IS_FULL: &str =
    "the server's log of what this key moved and removed is full for now; it takes more as its days pass";

/// Bytes that a line takes, about.
fn weight(what: &What) -> u64 {
    let of = |name: &Name| (name.folder.as_bytes().len() + name.uniq.as_bytes().len()) as u64;
    let names = match what {
        What::Removed { name, .. } => of(name),
        What::Moved { from, to, .. } => of(from) + of(to),
        What::Unfolded(folder) => folder.as_bytes().len() as u64,
        What::Run { .. } | What::End { .. } => 0,
    };
    200 + names
}

/// What a step costs after these were refused: where the same body does not come, it is a message that goes.
fn due(cost: Cost, refused: &HashSet<usize>) -> Cost {
    match cost {
        Cost::After(how, copy) if refused.contains(&copy) => Cost::Touched(how),
        cost => cost,
    }
}

/// What is to be written down of the steps that are not refused, before any of them is taken; and which of them are taken only after
/// another one.
pub fn written(
    mut removals: Removals,
    planned: &[Planned<'_>],
    refused: &[(usize, Refusal)],
) -> (Vec<What>, Vec<(usize, usize)>) {
    let refused: &HashSet<usize> = &refused.iter().map(|(at, _)| *at).collect();
    let (mut all, mut after) = (Vec::new(), Vec::new());
    for (at, (one, cost)) in planned.iter().zip(costs(planned)).enumerate().filter(|(at, _)| !refused.contains(at)) {
        let cost = due(cost, refused);
        if let Cost::After(_, copy) = cost {
            after.push((at, copy));
        }
        // It was not refused, so it can be paid.
        let paid = message(one).map_or(Some(Paid::Free), |message| removals.pay(cost, message));
        all.extend(deeds(one, cost, paid.unwrap_or(Paid::Budget)));
    }
    (all, after)
}

/// Whether anything of these steps is for the log of a key.
pub fn matters(planned: &[Planned<'_>]) -> bool {
    planned.iter().any(|one| match one.step {
        Step::MakeFolder(_) | Step::Put { .. } | Step::Part(_) => false,
        Step::Move { from, to, dress } => from != to || dress.flags.has(b'T'),
        Step::RemoveFolder(_) | Step::Replace { .. } | Step::Delete(_) => true,
    })
}

/// What each of these steps costs.
pub fn costs(planned: &[Planned<'_>]) -> Vec<Cost> {
    let mut touched: HashSet<&Name> = HashSet::new();
    // Bodies that the batch brings under names that were free, and that it does not touch again.
    let mut brought = Brought::default();
    let mut uses: HashMap<&Name, usize> = HashMap::new();
    for name in planned.iter().flat_map(|one| names(one.step)) {
        *uses.entry(name).or_default() += 1;
    }
    let mut costs = Vec::with_capacity(planned.len());
    for (at, one) in planned.iter().enumerate() {
        let is_touched = names(one.step).any(|name| touched.contains(name));
        costs.push(if is_touched { touched_cost(one) } else { cost(one, &mut brought) });
        if let Step::Put { to, dress, bytes } = one.step
            && !is_touched
            && one.is_free
            && uses.get(to) == Some(&1)
        {
            brought.add(bytes.content.body, dress.flags.has(b'T'), at);
        }
        touched.extend(names(one.step));
    }
    costs
}

/// Steps that bring a body, by it: those that bring it as it should be, and those that mark it as trashed.
#[derive(Default)]
struct Brought(HashMap<Digest, [Vec<usize>; 2]>);

impl Brought {
    fn add(&mut self, body: Digest, is_trashed: bool, step: usize) {
        // Nothing but a header is no body that anything could stay in.
        if body != Digest::of(b"") {
            self.0.entry(body).or_default()[usize::from(is_trashed)].push(step);
        }
    }

    /// A step beside which a message with this body may go. Each stands for one.
    fn take(&mut self, body: &Digest, was_trashed: bool) -> Option<usize> {
        let [plain, trashed] = self.0.get_mut(body)?;
        plain.pop().or_else(|| if was_trashed { trashed.pop() } else { None })
    }
}

/// The messages that a step is about.
fn names(step: &Step) -> impl Iterator<Item = &Name> {
    let from = match step {
        Step::Move { from, to, .. } if from != to => Some(from),
        Step::Delete(name) => Some(name),
        _ => None,
    };
    from.into_iter().chain(step.target())
}

/// What it costs where nobody knows what will be there.
fn touched_cost(one: &Planned<'_>) -> Cost {
    match one.step {
        Step::Delete(_) if one.was.is_some() => Cost::Touched(How::Deleted),
        Step::Replace { .. } if one.was.is_some() => Cost::Touched(How::Replaced),
        Step::Move { dress, .. } if dress.flags.has(b'T') && one.was.is_some() => Cost::Touched(How::Trashed),
        _ => Cost::Nothing,
    }
}

fn cost(one: &Planned<'_>, brought: &mut Brought) -> Cost {
    let Some(was) = &one.was else { return Cost::Nothing };
    let nothing = Digest::of(b"");
    let marks = |dress: &Dress| dress.flags.has(b'T') && !was.flags.has(b'T') && !seeded::is("trashing-is-free");
    match one.step {
        Step::Delete(_) => match brought.take(&was.content.body, was.flags.has(b'T')) {
            Some(copy) => Cost::After(How::Deleted, copy),
            None => Cost::Message(How::Deleted),
        },
        Step::Replace { dress, bytes, .. } => {
            let is_kept = bytes.content.body == was.content.body && was.content.body != nothing;
            match marks(dress) {
                true => Cost::Message(How::Replaced),
                false if is_kept || was.content.is_empty() => Cost::Kept(How::Replaced),
                false => Cost::Message(How::Replaced),
            }
        }
        Step::Move { dress, .. } if marks(dress) => Cost::Message(How::Trashed),
        _ => Cost::Nothing,
    }
}

/// The message that a step takes its cost for: of a move the name that it gets.
pub(super) fn message<'a>(one: &Planned<'a>) -> Option<(&'a Name, Content)> {
    let name = match one.step {
        Step::Delete(name) => name,
        Step::Replace { at, .. } => at,
        Step::Move { to, .. } => to,
        _ => return None,
    };
    Some((name, one.was.as_ref()?.content))
}

/// What is to be written down of a step before it is taken.
pub fn deeds(one: &Planned<'_>, cost: Cost, paid: Paid) -> Vec<What> {
    let mut deeds = Vec::new();
    match one.step {
        Step::Move { from, to, .. } if from != to => deeds.extend(one.was.as_ref().map(|was| What::Moved {
            from: from.clone(),
            place: was.place,
            to: to.clone(),
            content: was.content,
        })),
        Step::RemoveFolder(folder) => deeds.push(What::Unfolded(folder.clone())),
        _ => {}
    }
    let how = match cost {
        Cost::Nothing => None,
        Cost::Message(how) | Cost::Touched(how) | Cost::Kept(how) | Cost::After(how, _) => Some(how),
    };
    if let (Some(how), Some((name, content))) = (how, message(one)) {
        deeds.push(What::Removed { how, paid, name: name.clone(), content });
    }
    deeds
}

#[cfg(test)]
mod tests;
