//! What a run that was cut before its commit was bringing to each host, and what follows from it for the next.
//!
//! Such a run leaves one host, or both, ahead of the base. When a user goes on there before the next run, base and
//! hosts alone tell a wrong story: a message that the run brought and that was renamed since is a stranger on both; a
//! flag that it took over, and that its user has taken back since, seems to have been set at the other host. With the
//! note of what was to be done, *both hosts had this* once, and it stands for the base of that message. Of the same past it
//! tells which bytes a host did not write itself: they are no edit that may replace the base's, and where they went under
//! another name, the base's were not deleted.
//!
//! Deliberately not here: how the note is kept (`smd_maildir`), and when it is written (`smd-client`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::gather::Gathered;
use super::{At, Component, Input, Message, Side};
use crate::digest::Content;
use crate::names::Name;
use crate::seeded;
use crate::snapshot::{Entry, Snapshot};
use crate::step::Step;

/// Entries that steps were to leave behind.
pub type Brought = BTreeMap<Name, Entry>;

/// Other bytes that messages of the base were to be given, by their names in the base.
pub type Changed = BTreeMap<Name, BTreeSet<Content>>;

/// What the steps of a run were to leave behind, where it may not have come to its commit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Begun {
    /// Of steps by which one host was to take over what the other had already: by the host that takes them.
    pub alone: [Brought; 2],
    /// Bytes that other steps were to bring.
    pub merged: Brought,
    /// What messages of the base were to be given, whatever the other host had to do: by the host that takes it. Counts until
    /// all that became of such a message is agreed on, through any number of runs and bases.
    pub changed: [Changed; 2],
}

impl Begun {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.parts().all(Brought::is_empty) && self.changed.iter().all(Changed::is_empty)
    }

    fn parts(&self) -> impl Iterator<Item = &Brought> {
        self.alone.iter().chain([&self.merged])
    }

    /// Every entry.
    pub fn entries(&self) -> impl Iterator<Item = (&Name, &Entry)> {
        self.parts().flatten()
    }

    /// The bytes that a host was to be given in place of the base's.
    fn given<'a>(&'a self, side: Side, message: &'a Message) -> impl Iterator<Item = &'a Content> {
        let names = message.base.iter().map(|base| &base.name).chain(&message.also);
        names.filter_map(move |name| self.changed[side as usize].get(name)).flatten()
    }

    /// Whether what a host has of a message are bytes that it was to be given: no edit of its own.
    pub(super) fn brought(&self, side: Side, message: &Message, at: &At) -> bool {
        self.given(side, message).any(|content| *content == at.entry.content) && !seeded::is("brought-bytes-are-edits")
    }

    /// Whether a host that has nothing under a message's name may have lost other bytes than the base's: it was to be given
    /// some, and they may have gone under another name.
    pub(super) fn gave_others(&self, side: Side, message: &Message) -> bool {
        self.given(side, message).next().is_some() && !seeded::is("brought-bytes-were-the-old-ones")
    }

    fn contents(&self) -> HashSet<Content> {
        self.entries().map(|(_, entry)| entry.content).collect()
    }

    /// Adds what the steps of a component that are taken now, and that `wanted` picks by host and place among them, are to
    /// leave behind.
    pub fn bring(&mut self, input: &Input<'_>, component: &Component, wanted: impl Fn(Side, usize) -> bool) {
        for side in Side::BOTH {
            self.change(input, component, side, &wanted);
            // Where the other host has nothing to do, not even later, it has what these steps bring.
            let alone = component.part(side.other()).steps.is_empty();
            for (_, step) in component.part(side).open().iter().enumerate().filter(|(at, _)| wanted(side, *at)) {
                let (name, dress, content) = match step {
                    Step::Put { to, dress, bytes } | Step::Replace { at: to, dress, bytes } => {
                        (to, dress, bytes.content)
                    }
                    Step::Move { from, to, dress } if alone => match input.present(side).entry(from) {
                        Some(entry) => (to, dress, entry.content),
                        None => continue,
                    },
                    Step::Move { .. }
                    | Step::Delete(_)
                    | Step::MakeFolder(_)
                    | Step::RemoveFolder(_)
                    | Step::Part(_) => continue,
                };
                let entry = Entry { uniq: name.uniq.clone(), place: dress.place, flags: dress.flags.clone(), content };
                let part = if alone { &mut self.alone[side as usize] } else { &mut self.merged };
                part.insert(name.clone(), entry);
            }
        }
    }

    /// Adds which messages of the base a host is to be given other bytes for, here or at the name that it moved them to. What it
    /// has not got is none: a user took it away before.
    fn change(&mut self, input: &Input<'_>, component: &Component, side: Side, wanted: impl Fn(Side, usize) -> bool) {
        let present = input.present(side);
        // What a name holds by then, by the name of the look.
        let mut held: HashMap<&Name, &Name> = HashMap::new();
        for (at, step) in component.part(side).open().iter().enumerate() {
            match step {
                Step::Move { from, to, .. } => {
                    let first = held.remove(from).unwrap_or(from);
                    held.insert(to, first);
                }
                Step::Replace { at: name, bytes, .. } if wanted(side, at) => {
                    let first = *held.get(name).unwrap_or(&name);
                    let Some(old) = present.entry(first).map(|entry| entry.content) else { continue };
                    if old == bytes.content {
                        continue;
                    }
                    let was_it = |name: &&Name| input.base.entry(name).is_some_and(|base| base.content == old);
                    let moved = |name: &&Name| present.entry(name).is_none_or(|now| now.content != old);
                    let its = match Some(first).filter(was_it) {
                        Some(first) => vec![first],
                        None => component.names.iter().filter(|name| was_it(name) && moved(name)).collect(),
                    };
                    for name in its {
                        self.changed[side as usize].entry(name.clone()).or_default().insert(bytes.content);
                    }
                }
                // Of two versions, one goes on under a new name here, and the other takes its old one.
                Step::Put { to, bytes, .. }
                    if wanted(side, at)
                        && present.entry(to).is_some()
                        && input.base.entry(to).is_some_and(|base| base.content != bytes.content) =>
                {
                    self.changed[side as usize].entry(to.clone()).or_default().insert(bytes.content);
                }
                _ => {}
            }
        }
    }

    /// Adds what an earlier run was bringing when it was cut, as long as its base is the one of this run: it is in no base
    /// until a commit. What this says of the same bytes is newer.
    pub fn still(&mut self, earlier: &Self) {
        let again = self.contents();
        let old = |part: &Brought| -> Vec<(Name, Entry)> {
            let kept = part.iter().filter(|(_, entry)| !again.contains(&entry.content));
            kept.map(|(name, entry)| (name.clone(), entry.clone())).collect()
        };
        for side in Side::BOTH {
            self.alone[side as usize].extend(old(&earlier.alone[side as usize]));
        }
        self.merged.extend(old(&earlier.merged));
        self.still_changed(earlier);
    }

    fn still_changed(&mut self, earlier: &Self) {
        for (changed, earlier) in self.changed.iter_mut().zip(&earlier.changed) {
            for (name, contents) in earlier {
                changed.entry(name.clone()).or_default().extend(contents);
            }
        }
    }

    /// Adds what an earlier run was bringing, after a commit: of what is in no base still, only that it was brought counts.
    pub fn still_after(&mut self, earlier: &Self) {
        let mut flat = Self::default();
        flat.merged.extend(earlier.entries().map(|(name, entry)| (name.clone(), entry.clone())));
        self.still(&flat);
        self.still_changed(earlier);
    }

    /// Leaves out what is told of these names: all that became of their messages is agreed on.
    pub fn settle(&mut self, names: &[Name]) {
        for name in names {
            self.alone.iter_mut().chain([&mut self.merged]).for_each(|part| drop(part.remove(name)));
        }
        self.settle_given(names);
    }

    /// Leaves out which bytes messages of these names were to be given.
    pub fn settle_given(&mut self, names: &[Name]) {
        for name in names {
            self.changed.iter_mut().for_each(|changed| drop(changed.remove(name)));
        }
    }

    /// Leaves out what messages were to be given that have it in this base, or are not in it.
    pub fn forget_given(&mut self, base: &Snapshot) {
        for changed in &mut self.changed {
            changed.retain(|name, given| base.entry(name).is_some_and(|base| !given.contains(&base.content)));
        }
    }

    /// Leaves out what the look of a host shows not to be so there: a message that has the base's bytes was given no others, and
    /// what it has not just so is no past. Whatever its user does with such a message from now on is the user's own. That something
    /// was brought still counts, under whatever name it is. A look that did not see all shows nothing.
    pub fn forget_seen(&mut self, input: &Input<'_>) {
        if seeded::is("a-look-shows-nothing-of-a-cut-run") {
            return;
        }
        for side in Side::BOTH.into_iter().filter(|&side| !input.host(side).incomplete) {
            let present = input.present(side);
            let was = |name: &Name| input.base.entry(name).map(|base| base.content);
            let is_old = |name: &Name| present.entry(name).is_some_and(|now| was(name) == Some(now.content));
            self.changed[side as usize].retain(|name, _| !is_old(name));
            let (so, other): (Brought, Brought) = std::mem::take(&mut self.alone[side as usize])
                .into_iter()
                .partition(|(name, entry)| present.entry(name) == Some(entry));
            self.alone[side as usize] = so;
            self.merged.extend(other.into_iter().filter(|(name, entry)| was(name) != Some(entry.content)));
        }
    }

    /// Leaves out what this base has.
    pub fn forget(&mut self, base: &Snapshot) {
        self.forget_given(base);
        for part in &mut self.alone {
            part.retain(|name, entry| base.entry(name) != Some(entry));
        }
        self.merged.retain(|name, entry| base.entry(name).is_none_or(|base| base.content != entry.content));
    }
}

/// The contents that a run that was cut was bringing.
pub(super) fn contents(input: &Input<'_>) -> HashSet<Content> {
    if seeded::is("cut-run-brought-nothing") { HashSet::new() } else { input.begun.contents() }
}

/// Lets what both hosts had while a run was cut stand for the base of a message: the host that was to take it over has it
/// just so, and the other one had it before. Where that host's user went on as well, the old base is all there is.
pub(super) fn rebase(input: &Input<'_>, gathered: &mut Gathered) {
    let begun = input.begun;
    if begun.alone.iter().all(Brought::is_empty) || seeded::is("cut-run-is-no-past") {
        return;
    }
    // Bytes that are also spoken of otherwise do not tell which message is meant.
    let others = Side::BOTH.map(|side| -> HashSet<Content> {
        begun.alone[side.other() as usize].values().chain(begun.merged.values()).map(|entry| entry.content).collect()
    });
    for message in &mut gathered.messages {
        let Some(base) = &message.base else { continue };
        let agreed = Side::BOTH.into_iter().find_map(|side| {
            let [now] = message.at(side) else { return None };
            let taken = begun.alone[side as usize].get(&now.name) == Some(&now.entry);
            // Bytes of which a crash took the newer ones at the host that had them must not seem to be the newest.
            let plain = now.entry.content == base.entry.content && now != base;
            (taken && plain && !others[side as usize].contains(&now.entry.content)).then(|| now.clone())
        });
        if let Some(agreed) = agreed
            && let Some(old) = message.base.replace(agreed)
        {
            message.also.push(old.name);
        }
    }
}

/// What both hosts had of a message of no base that both have under one name, by the same rule.
pub(super) fn agreed(input: &Input<'_>, name: &Name, both: [&Entry; 2]) -> Option<At> {
    let taken = |side: Side| input.begun.alone[side as usize].get(name) == Some(both[side as usize]);
    let one = both[0].content == both[1].content;
    let side = Side::BOTH
        .into_iter()
        .find(|&side| one && taken(side))
        .filter(|_| !seeded::is("cut-run-is-no-past-of-new-mail"))?;
    Some(At { name: name.clone(), entry: both[side as usize].clone() })
}

/// Messages that a run which was cut brought to one host, and that a user of the other gave another name since: what was
/// to be there, and the two names. Each host has one new message with these bytes, or it is not known which is meant.
pub(super) fn pairs(
    input: &Input<'_>,
    ours: &BTreeMap<Name, Entry>,
    theirs: &BTreeMap<Name, Entry>,
) -> Vec<(At, Name, Name)> {
    let wanted = input.begun.contents();
    let found = super::adopt::once_each(ours, theirs, |_, entry| {
        (wanted.contains(&entry.content) && !entry.content.is_empty()).then_some(entry.content)
    });
    let mut by_content: HashMap<Content, (Name, Name)> =
        found.into_iter().filter_map(|pair| Some((ours.get(&pair.0)?.content, pair))).collect();
    // First what one of the two is still called.
    let mut notes: Vec<(&Name, &Entry)> = input.begun.entries().collect();
    notes.sort_by_key(|(name, entry)| {
        let pair = by_content.get(&entry.content);
        (pair.is_none_or(|(a, b)| *name != a && *name != b), *name)
    });
    let known = notes.into_iter().filter_map(|(name, entry)| {
        // Of a message that was to be given other bytes, the base has the old ones.
        if input.base.entry(name).is_some_and(|base| base.content == entry.content) {
            return None;
        }
        let (a, b) = by_content.remove(&entry.content)?;
        Some((At { name: name.clone(), entry: entry.clone() }, a, b))
    });
    known.collect()
}
