//! Copies that another program made: messages that a run would add although they are there, with another header.
//!
//! The old program ran once more, on one host or on both: each of its copies has a field of its own, or a name of its own, and so
//! no digest tells that it is the message that is there. A person is asked before a mailbox is doubled. Counted are bodies: a
//! hundred reports of a machine that say the same are one.
//!
//! Such a program may run for ever, with a sync after each of its rounds, and bring a few copies at a time. So an ordinary run
//! counts what runs of the last 24 hours brought a second time with what it would bring itself.
//!
//! Deliberately not here: which field it is (the client looks at the samples), and doubles that nobody would bring.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::guard::{Past, Removal};
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

/// Stops a run that would double what is there; else says what it doubles, so that portions of a day count together.
pub(super) fn ask(input: &Input<'_>, policy: &Policy, past: &Past, plan: &mut Plan) {
    if policy.adopt_other_headers || plan.stop.is_some() {
        return;
    }
    if input.adopt {
        let most = Side::BOTH.into_iter().filter_map(|to| other_headers(input, plan, to)).max_by_key(|one| one.0);
        plan.stop = most.map(|(_, stop)| stop);
        return;
    }
    let doubled: Vec<Doubled<'_>> = Side::BOTH.into_iter().flat_map(|at| doubled(input, past, plan, at)).collect();
    let stop = doubled.iter().filter_map(Doubled::stop).max_by_key(|one| one.0).map(|(_, stop)| stop);
    plan.doubled = match stop {
        Some(_) => Vec::new(),
        None => doubled.iter().flat_map(|one| one.removals(input)).collect(),
    };
    plan.stop = stop;
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

/// Messages of one folder that a host has twice, of which a run would bring the second.
struct Doubled<'a> {
    at: Side,
    folder: &'a Folder,
    /// A message of each body, with the one that is there already.
    new: Vec<(&'a Name, Digest, Name)>,
    /// Bodies that runs of the day brought a second time, and that are there twice still.
    earlier: u64,
    /// Messages of the folder in the base, without those.
    of: u64,
}

impl Doubled<'_> {
    /// What is said when they are a pattern, with how many they are.
    fn stop(&self) -> Option<(u64, Stop)> {
        let messages = self.new.len() as u64 + self.earlier;
        is_pattern(messages, self.of).then(|| {
            let sample = |(new, _, old): &(&Name, Digest, Name)| Sample {
                new: (self.at, (*new).clone()),
                old: (self.at, old.clone()),
            };
            let samples = self.new.iter().take(SAMPLES).map(sample).collect();
            let Self { at, folder, earlier, of, .. } = *self;
            (messages, Stop::Doubles { at, folder: folder.clone(), messages, earlier, of, samples })
        })
    }

    fn removals(&self, input: &Input<'_>) -> impl Iterator<Item = Removal> {
        let (section, base) = (self.of + self.earlier, input.base.messages() as u64);
        self.new.iter().map(move |(name, body, _)| Removal { name: (*name).clone(), body: *body, section, base })
    }
}

/// What an ordinary run would bring from a host that has it already, in the same folder, as a message of the base.
fn doubled<'a>(input: &Input<'_>, past: &Past, plan: &'a Plan, at: Side) -> Vec<Doubled<'a>> {
    let mut new: BTreeMap<&Folder, Vec<(Content, &Name)>> = BTreeMap::new();
    let nothing = Digest::of(b"");
    for (to, bytes, from) in puts(plan, at.other()) {
        // Whoever has the first of two makes the second from it, so mail that is only new costs no look.
        let has_body = bytes.source != Source::Wire && bytes.content.body != nothing;
        if has_body && input.base.entry(to).is_none() && input.base.entry(from).is_none() {
            new.entry(&from.folder).or_default().push((bytes.content, from));
        }
    }
    if seeded::is("doubles-are-brought") {
        return Vec::new();
    }
    let of_folder = |(folder, new): (&'a Folder, Vec<(Content, &'a Name)>)| {
        let section = input.base.folders.get(folder)?;
        let bodies: HashSet<Digest> = new.iter().map(|(content, _)| content.body).collect();
        // Each body counts once, and only while it is there twice, under whatever names.
        let counts = |one: &&Removal| {
            one.name.folder == *folder && !bodies.contains(&one.body) && !seeded::is("doubles-have-no-past")
        };
        let earlier: HashSet<Digest> = past.doubled.iter().filter(counts).map(|one| one.body).collect();
        // What is there still: where the old one is gone, the new one is what became of it.
        let mut old: HashMap<Digest, (Name, u64, BTreeSet<Content>)> = HashMap::new();
        let is_wanted = |body: &Digest| bodies.contains(body) || earlier.contains(body);
        for entry in section.entries().iter().filter(|entry| is_wanted(&entry.content.body)) {
            let name = Name::new(folder, &entry.uniq);
            if input.present(at).entry(&name).is_some_and(|now| now.content == entry.content) {
                let (_, count, headers) = old.entry(entry.content.body).or_insert((name, 0, BTreeSet::new()));
                *count += 1;
                headers.insert(entry.content);
            }
        }
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        for (content, name) in new {
            let Some((there, _, headers)) = old.get(&content.body) else { continue };
            let made = !headers.contains(&content) || is_fetched(name);
            if made && seen.insert(content.body) {
                found.push((name, content.body, there.clone()));
            }
        }
        let twice = |body: &&Digest| old.get(*body).is_some_and(|(_, count, _)| *count > 1);
        let earlier = earlier.iter().filter(twice).count() as u64;
        let of = (section.entries().len() as u64).saturating_sub(earlier);
        (!found.is_empty()).then_some(Doubled { at, folder, new: found, earlier, of })
    };
    new.into_iter().filter_map(of_folder).collect()
}

/// Whether a name is one that mbsync or OfflineIMAP gives to what it fetches.
fn is_fetched(name: &Name) -> bool {
    name.uniq.as_bytes().windows(3).any(|three| three == b",U=")
}
