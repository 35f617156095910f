//! The steps of each host, in order. Where their bytes come from is `sources`.
//!
//! Messages that share a name are one component: they are settled together, and their steps are ordered
//! so that a name is free before it is needed. A ring of names (possible in an adopt, where whole sets
//! of names change) is opened by parking one message under a name of its own, as an ordinary message
//! in its folder, so that a crash leaves nothing but a move.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::merge::dress;
use super::{At, Component, Goal, Hold, Input, Message, Note, Part, Plan, Side, begun};
use crate::delta::Meta;
use crate::digest::{Content, Digest};
use crate::names::{Name, Uniq};
use crate::snapshot::Entry;
use crate::step::{Bytes, Source, Step};

/// Gives second messages of one uniq names of their own, each by itself: all other steps know them by these.
pub(super) fn part_twins(input: &Input<'_>, plan: &mut Plan) {
    for side in Side::BOTH {
        for twin in &input.host(side).twins {
            let mut component = Component::default();
            push(component.part_mut(side), Step::Part(twin.clone()), None);
            plan.components.push(component);
        }
    }
}

/// Turns messages into components with steps, or into agreed values of the base.
pub(super) fn plan_parts(input: &Input<'_>, messages: &mut [Message], plan: &mut Plan) {
    messages.sort_by(|a, b| first_name(a).cmp(&first_name(b)));
    // Only asked for where a host was not read completely.
    let incomplete = Side::BOTH.into_iter().any(|side| input.host(side).incomplete);
    let known: HashSet<Content> =
        if incomplete { input.base.iter().map(|(_, entry)| entry.content).collect() } else { HashSet::new() };
    let begun = if incomplete { begun::contents(input) } else { HashSet::new() };
    for group in group_by_names(messages) {
        let members: Vec<&Message> = group.iter().map(|&index| &messages[index]).collect();
        let component = component(input, &members, &known, &begun);
        let waits = component.ours.held.is_some();
        if component.ours.steps.is_empty() && component.theirs.steps.is_empty() && !waits {
            agree(input, &members, plan);
            continue;
        }
        for message in &members {
            note_returned(input, message, plan);
        }
        plan.components.push(component);
    }
    plan.components.sort_by_key(class);
}

fn names(message: &Message) -> impl Iterator<Item = &Name> {
    let goal = message.goal.iter().map(|goal| &goal.name);
    let there = message.ours.iter().chain(&message.theirs).chain(&message.base).map(|at| &at.name);
    goal.chain(there).chain(&message.also)
}

fn first_name(message: &Message) -> Option<&Name> {
    names(message).min()
}

/// Groups messages that share a name; groups and members in the order of the messages.
fn group_by_names(messages: &[Message]) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..messages.len()).collect();
    fn find(parent: &mut [usize], mut at: usize) -> usize {
        while parent[at] != at {
            parent[at] = parent[parent[at]];
            at = parent[at];
        }
        at
    }
    let mut owner: HashMap<&Name, usize> = HashMap::new();
    for (index, message) in messages.iter().enumerate() {
        for name in names(message) {
            let other = *owner.entry(name).or_insert(index);
            let (a, b) = (find(&mut parent, index), find(&mut parent, other));
            parent[a.max(b)] = a.min(b);
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..messages.len() {
        groups.entry(find(&mut parent, index)).or_default().push(index);
    }
    groups.into_values().collect()
}

/// When a component is due: twins first, then folders, what adds before what replaces, what deletes and adds before what deletes
/// alone, removed folders last.
pub(super) fn class(component: &Component) -> u8 {
    let steps = || component.ours.steps.iter().chain(&component.theirs.steps);
    if steps().any(|step| matches!(step, Step::RemoveFolder(_))) {
        6
    } else if component.is_parting() {
        0
    } else if component.folder.is_some() {
        1
    } else if steps().any(|step| matches!(step, Step::Delete(_))) {
        if steps().any(|step| step.bytes().is_some()) { 4 } else { 5 }
    } else if steps().any(|step| matches!(step, Step::Replace { .. })) {
        3
    } else {
        2
    }
}

fn component(input: &Input<'_>, members: &[&Message], known: &HashSet<Content>, begun: &HashSet<Content>) -> Component {
    let mut all: BTreeSet<Name> = members.iter().flat_map(|message| names(message)).cloned().collect();
    let mut component = Component::default();
    for side in Side::BOTH {
        let part = part(input, side, members);
        // A parked message keeps its own name when a run is cut: the base must know that name too.
        all.extend(
            part.steps.iter().filter_map(Step::target).filter(|name| !all.contains(name)).cloned().collect::<Vec<_>>(),
        );
        *component.part_mut(side) = part;
    }
    component.names = all.into_iter().collect();
    component.heals = heals(input, &component);
    // An absence proves nothing when its host was not read completely, and what is new there may have left the
    // part that was not read; and what a run that was cut brought may be there under another name. Both parts wait, be they
    // empty: neither host has taken in what the other says.
    let proves_nothing = |message: &&Message| {
        Side::BOTH.into_iter().filter(|&side| input.host(side).incomplete).any(|side| {
            match (&message.base, message.at(side)) {
                (Some(_), []) => true,
                (None, []) => message.at(side.other()).iter().any(|new| begun.contains(&new.entry.content)),
                (None, [new]) => message.at(side.other()).is_empty() && known.contains(&new.entry.content),
                _ => false,
            }
        })
    };
    if members.iter().any(proves_nothing) {
        for side in Side::BOTH {
            component.part_mut(side).held = Some(Hold::Incomplete);
        }
    }
    component
}

/// Whether all that leaves the tree is files without a byte, which get some back.
fn heals(input: &Input<'_>, component: &Component) -> bool {
    let mut any = false;
    for side in Side::BOTH {
        let part = component.part(side);
        if part.steps.iter().any(|step| matches!(step, Step::Delete(_))) {
            return false;
        }
        for content in part.removed(input, side) {
            if !content.is_empty() {
                return false;
            }
            any = true;
        }
    }
    any
}

/// One host's steps for the messages of a component, in an order in which every name is free when needed.
fn part(input: &Input<'_>, side: Side, members: &[&Message]) -> Part {
    // What each message is here: the copy that becomes the goal, and copies too many.
    let mut main: Vec<Option<At>> = Vec::with_capacity(members.len());
    let mut spare: Vec<At> = Vec::new();
    for message in members {
        let here = message.at(side);
        let chosen = message.goal.as_ref().and_then(|goal| {
            let by_name = here.iter().position(|at| at.name == goal.name);
            by_name
                .or_else(|| here.iter().position(|at| at.entry.content == goal.content))
                .or((!here.is_empty()).then_some(0))
        });
        main.push(chosen.map(|index| here[index].clone()));
        spare.extend(here.iter().enumerate().filter(|(index, _)| Some(*index) != chosen).map(|(_, at)| at.clone()));
    }

    let mut part = Part::default();
    let mut occupied: HashMap<Name, usize> =
        main.iter().enumerate().filter_map(|(index, at)| Some((at.as_ref()?.name.clone(), index))).collect();
    // A spare copy in the way of another message goes before it; the others last.
    let wanted: HashSet<&Name> = members.iter().filter_map(|m| m.goal.as_ref()).map(|goal| &goal.name).collect();
    let (in_the_way, late): (Vec<At>, Vec<At>) = spare.into_iter().partition(|at| wanted.contains(&at.name));
    in_the_way.iter().for_each(|at| push(&mut part, Step::Delete(at.name.clone()), None));

    let mut done = vec![false; members.len()];
    let mut waits = vec![false; members.len()];
    for start in 0..members.len() {
        let mut stack = vec![start];
        while let Some(&index) = stack.last() {
            let Some(goal) = members[index].goal.as_ref().filter(|_| !done[index]) else {
                stack.pop();
                continue;
            };
            waits[index] = true;
            match occupied.get(&goal.name).copied() {
                Some(holder) if holder != index && !done[holder] && waits[holder] => {
                    park(&mut part, &mut main[holder], &mut occupied, holder);
                }
                Some(holder) if holder != index && !done[holder] => stack.push(holder),
                _ => {
                    let supply = members[index].at(side.other()).iter().find(|at| at.entry.content == goal.content);
                    let meta = supply.and_then(|at| input.host(side.other()).delta.seen(&at.name)?.meta);
                    if let Some(at) = &main[index] {
                        occupied.remove(&at.name);
                    }
                    steps_to_goal(&mut part, main[index].as_ref(), goal, supply.map(|at| &at.name), meta);
                    done[index] = true;
                }
            }
        }
    }
    late.iter().for_each(|at| push(&mut part, Step::Delete(at.name.clone()), None));
    part
}

fn push(part: &mut Part, step: Step, supply: Option<&Name>) {
    part.steps.push(step);
    part.supply.push(supply.cloned());
}

/// Opens a ring of names: the holder waits under a name of its own.
fn park(part: &mut Part, holder: &mut Option<At>, occupied: &mut HashMap<Name, usize>, index: usize) {
    let Some(at) = holder else { return };
    let seed = [
        at.name.folder.as_bytes(),
        b"\0",
        at.name.uniq.as_bytes(),
        &at.entry.content.header.0,
        &at.entry.content.body.0,
    ]
    .concat();
    let letters = Digest::of(&seed).letters();
    let uniq = Uniq::parse(&[b"smd-", &letters[..]].concat()).expect("letters of base64url make a uniq");
    let parked = Name::new(&at.name.folder, &uniq);
    push(part, Step::Move { from: at.name.clone(), to: parked.clone(), dress: dress(&at.entry) }, None);
    occupied.remove(&at.name);
    occupied.insert(parked.clone(), index);
    at.name = parked;
}

fn steps_to_goal(part: &mut Part, now: Option<&At>, goal: &Goal, supply: Option<&Name>, meta: Option<Meta>) {
    let bytes = || Bytes { content: goal.content, source: Source::Wire, mtime: meta.map(|meta| meta.mtime) };
    let Some(now) = now else {
        push(part, Step::Put { to: goal.name.clone(), dress: goal.dress.clone(), bytes: bytes() }, supply);
        return;
    };
    let same_bytes = now.entry.content == goal.content;
    if now.name != goal.name || (same_bytes && dress(&now.entry) != goal.dress) {
        push(part, Step::Move { from: now.name.clone(), to: goal.name.clone(), dress: goal.dress.clone() }, None);
    }
    if !same_bytes {
        push(part, Step::Replace { at: goal.name.clone(), dress: goal.dress.clone(), bytes: bytes() }, supply);
    }
}

/// Both hosts have the goal already: only the base must learn it.
fn agree(input: &Input<'_>, members: &[&Message], plan: &mut Plan) {
    for message in members {
        let goal = message.goal.as_ref();
        let distinct: BTreeSet<&Name> = names(message).collect();
        for name in distinct {
            let value = goal.filter(|goal| goal.name == *name).map(entry);
            let known = input.base.entry(name).filter(|_| !plan.forgotten.contains(name));
            if known != value.as_ref() || plan.forgotten.contains(name) {
                plan.agreed.push((name.clone(), value));
            }
        }
    }
}

fn entry(goal: &Goal) -> Entry {
    Entry {
        uniq: goal.name.uniq.clone(),
        place: goal.dress.place,
        flags: goal.dress.flags.clone(),
        content: goal.content,
    }
}

fn note_returned(input: &Input<'_>, message: &Message, plan: &mut Plan) {
    let Some(goal) = message.goal.as_ref().filter(|_| message.base.is_none()) else { return };
    if !input.adopts(&goal.name.folder) {
        return;
    }
    for side in Side::BOTH {
        if message.at(side).is_empty() {
            plan.notes.push(Note::Returned { to: side, name: goal.name.clone() });
        }
    }
}
