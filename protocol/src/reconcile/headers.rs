//! Copies that another program made: messages that a run would add although they are there, with another header.
//!
//! The old program ran once more, on one host or on both: each of its copies has a field of its own, or a name of its own, and so
//! no digest tells that it is the message that is there. A person is asked before a mailbox is doubled. Counted are bodies: a
//! hundred reports of a machine that say the same are one.
//!
//! Deliberately not here: which field it is (the client looks at the samples), and doubles that nobody would bring.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Input, Plan, Policy, Sample, Side, Stop};
use crate::digest::{Content, Digest};
use crate::names::{Folder, Name};
use crate::seeded;
use crate::step::{Bytes, Source, Step};

/// So few are no pattern.
const FEW: u64 = 20;
/// Nor is this share of a root or a folder, from 0 to 100.
const SHARE: u64 = 10;
/// In an adopt so few, of a root of which they are more than this share.
const FEW_OF_FEW: (u64, u64) = (5, 50);
/// Samples that are given.
const SAMPLES: usize = 3;

/// Whether so many bodies out of so many messages are a pattern.
fn is_pattern(bodies: u64, messages: u64) -> bool {
    bodies > FEW && bodies.saturating_mul(100) > messages.saturating_mul(SHARE)
}

/// Stops a run that would double what is there.
pub(super) fn ask(input: &Input<'_>, policy: &Policy, plan: &mut Plan) {
    if policy.adopt_other_headers || plan.stop.is_some() {
        return;
    }
    plan.stop = match input.adopt {
        true => Side::BOTH.into_iter().filter_map(|to| other_headers(input, plan, to)).max_by_key(|one| one.0),
        false => Side::BOTH.into_iter().filter_map(|from| doubles(input, plan, from)).max_by_key(|one| one.0),
    }
    .map(|(_, stop)| stop);
}

/// What a plan puts at a host now, with the message at the other host that it comes from.
fn puts(plan: &Plan, to: Side) -> impl Iterator<Item = (&Name, &Bytes, &Name)> {
    let open = plan.components.iter().map(move |component| component.part(to)).filter(|part| part.held.is_none());
    open.flat_map(|part| part.steps.iter().zip(&part.supply)).filter_map(|(step, supply)| match (step, supply) {
        (Step::Put { to, bytes, .. }, Some(from)) => Some((to, bytes, from)),
        _ => None,
    })
}

/// What an adopt would add at a host that has it with another header.
fn other_headers(input: &Input<'_>, plan: &Plan, to: Side) -> Option<(u64, Stop)> {
    let (mut bodies, mut samples) = (HashSet::new(), Vec::new());
    for (_, bytes, from) in puts(plan, to) {
        let Source::Body(there) = &bytes.source else { continue };
        if bodies.insert(bytes.content.body) && samples.len() < SAMPLES {
            samples.push(Sample { new: (to.other(), from.clone()), old: (to, there.clone()) });
        }
    }
    let messages = bodies.len() as u64;
    // Whoever has few of them need not count all.
    if messages <= FEW_OF_FEW.0 {
        return None;
    }
    let count = |side| input.present(side).iter().count() as u64;
    let of = count(Side::Ours).max(count(Side::Theirs));
    let most_of_few = messages.saturating_mul(100) > of.saturating_mul(FEW_OF_FEW.1);
    (is_pattern(messages, of) || most_of_few).then_some((messages, Stop::OtherHeaders { messages, of, samples }))
}

/// What an ordinary run would bring from a host that has it already, in the same folder, as a message of the base.
fn doubles(input: &Input<'_>, plan: &Plan, at: Side) -> Option<(u64, Stop)> {
    if seeded::is("doubles-are-brought") {
        return None;
    }
    let mut new: BTreeMap<&Folder, Vec<(Content, &Name)>> = BTreeMap::new();
    for (to, bytes, from) in puts(plan, at.other()) {
        if input.base.entry(to).is_none() && input.base.entry(from).is_none() {
            new.entry(&from.folder).or_default().push((bytes.content, from));
        }
    }
    let nothing = Digest::of(b"");
    let of_folder = |(folder, new): (&Folder, Vec<(Content, &Name)>)| {
        let section = input.base.folders.get(folder).filter(|_| new.len() as u64 > FEW)?;
        let wanted: HashSet<Digest> =
            new.iter().map(|(content, _)| content.body).filter(|one| *one != nothing).collect();
        // What is there still: where the old one is gone, the new one is what became of it.
        let mut old: HashMap<Digest, (Name, BTreeSet<Content>)> = HashMap::new();
        for entry in section.entries().iter().filter(|entry| wanted.contains(&entry.content.body)) {
            let name = Name::new(folder, &entry.uniq);
            if input.present(at).entry(&name).is_some_and(|now| now.content == entry.content) {
                old.entry(entry.content.body).or_insert((name, BTreeSet::new())).1.insert(entry.content);
            }
        }
        let (mut bodies, mut samples) = (HashSet::new(), Vec::new());
        for (content, name) in new {
            let Some((there, headers)) = old.get(&content.body) else { continue };
            let made = !headers.contains(&content) || is_fetched(name);
            if made && bodies.insert(content.body) && samples.len() < SAMPLES {
                samples.push(Sample { new: (at, name.clone()), old: (at, there.clone()) });
            }
        }
        let (messages, of) = (bodies.len() as u64, section.entries().len() as u64);
        let stop = || Stop::Doubles { at, folder: folder.clone(), messages, of, samples };
        is_pattern(messages, of).then(|| (messages, stop()))
    };
    new.into_iter().filter_map(of_folder).max_by_key(|one| one.0)
}

/// Whether a name is one that mbsync or OfflineIMAP gives to what it fetches.
fn is_fetched(name: &Name) -> bool {
    name.uniq.as_bytes().windows(3).any(|three| three == b",U=")
}
