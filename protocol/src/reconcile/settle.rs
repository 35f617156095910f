//! The new base, message by message, from what was done.
//!
//! Where one host has taken in all that the other changed, the other's entries as they now stand are the
//! base; where neither has, the old ones. A host that has not finished every step of a component has taken
//! in none of its names. Bytes that a host lost are no change, and never enter the base. A message that one host moved
//! and the other deleted keeps its old entry until the other has it back: a third host may have moved it too, and without
//! the entry the two places would be two messages. So nothing that failed or waits is forgotten, and none of it turns
//! into an addition.

use std::collections::{BTreeMap, HashSet};

use super::{Component, Input, Plan, Side};
use crate::delta::{Delta, FolderDelta, Presence, Seen};
use crate::digest::Content;
use crate::names::{Folder, Name, Uniq};
use crate::seeded;
use crate::snapshot::{Entry, Section, Snapshot};
use crate::step::Step;

impl Plan {
    /// Adds what both hosts agreed on already. Goes with the first commit of a run.
    pub fn settle_agreed(&self, input: &Input<'_>, into: &mut Delta) {
        for (name, value) in &self.agreed {
            put(into, name, value.clone());
        }
        for (folder, there) in &self.agreed_folders {
            set_folder(input, into, folder, *there);
        }
    }

    /// Marks the sections that are being adopted still, or (`false`) are adopted completely: that is when every
    /// component in them was open and done on both hosts. What waits for another direction keeps the mark, since the
    /// server may get the same message under another uniq meanwhile. Goes after all that a commit settles.
    ///
    /// A folder that does not enter the base gets no mark: one host has not got it, and the mark would make
    /// its absence there look like a removal.
    pub fn settle_adopting(&self, input: &Input<'_>, into: &mut Delta, adopting: &dyn Fn(&Folder) -> bool) {
        for folder in &self.adopting {
            let mark = adopting(folder) && !seeded::is("adopt-is-over-at-once");
            let known = input.base.folders.contains_key(folder);
            let enters = into
                .folders
                .get(folder)
                .is_some_and(|change| change.presence == Presence::Added || !change.set.is_empty());
            if known || enters {
                into.folders.entry(folder.clone()).or_default().adopting = Some(mark);
            }
        }
    }

    /// A folder could not go from one host and was not made again on the other, because of the direction or of an error: it
    /// leaves the base, and is new on the host that has it. As a part of the base it would be removed in vain for ever.
    pub fn settle_unmade(&self, input: &Input<'_>, folder: &Folder, into: &mut Delta) {
        if !seeded::is("folder-goes-in-vain") {
            set_folder(input, into, folder, false);
        }
    }

    /// Adds what became of one component. `done` tells for each open step of a host whether it is done.
    pub fn settle_component(&self, input: &Input<'_>, component: &Component, done: [&[bool]; 2], into: &mut Delta) {
        let finished = |side: Side| {
            component.part(side).held.is_none()
                && done[side as usize].iter().all(|&done| done || seeded::is("failed-step-is-forgotten"))
        };
        let value_from = match (finished(Side::Ours), finished(Side::Theirs)) {
            (true, _) => Some(Side::Theirs),
            (false, true) => Some(Side::Ours),
            (false, false) => None,
        };
        if let Some(folder) = &component.folder {
            if let Some(side) = value_from {
                let steps = component.part(side).open();
                let mut there = input.present(side).has_folder(folder);
                for (step, _) in steps.iter().zip(done[side as usize]).filter(|(_, done)| **done) {
                    there = matches!(step, Step::MakeFolder(_));
                }
                set_folder(input, into, folder, there);
            }
            return;
        }
        let now = value_from.map(|side| (side, stands(input, component, side, done[side as usize])));
        match now {
            Some((side, now)) if !shows_damage(component, side, done[side as usize], &now) => {
                let away = moved_away(input, component, side, done[side as usize], &now);
                for name in component.names.iter().filter(|name| !away.contains(name)) {
                    put(into, name, now.get(name).cloned());
                }
            }
            _ => {
                for name in component.names.iter().filter(|name| self.forgotten.contains(name)) {
                    put(into, name, None);
                }
            }
        }
    }
}

/// Whether a host still has a message without bytes that was to get some back. That is damage, and nobody takes it
/// in: as a base it would make the good copy look like a change, or its move like a stranger.
fn shows_damage(component: &Component, side: Side, done: &[bool], now: &BTreeMap<&Name, Entry>) -> bool {
    let part = component.part(side);
    let waits = |at: usize| part.held.is_some() || !done.get(at).copied().unwrap_or_default();
    let replaces = part.steps.iter().enumerate().any(|(at, step)| matches!(step, Step::Replace { .. }) && waits(at));
    !seeded::is("lost-bytes-enter-the-base") && replaces && now.values().any(|entry| entry.content.is_empty())
}

/// The names in the base of messages that this host deleted, that the other moved, and that are not yet back here.
fn moved_away<'a>(
    input: &Input<'_>,
    component: &'a Component,
    side: Side,
    done: &[bool],
    now: &BTreeMap<&Name, Entry>,
) -> Vec<&'a Name> {
    let part = component.part(side);
    let waits = |at: usize| part.held.is_some() || !done.get(at).copied().unwrap_or_default();
    let puts = part.steps.iter().enumerate().filter(|(at, _)| waits(*at)).filter_map(|(_, step)| match step {
        Step::Put { to, bytes, .. } if input.base.entry(to).is_none() => Some(bytes.content),
        _ => None,
    });
    let missing: HashSet<Content> = puts.collect();
    if missing.is_empty() || seeded::is("deleted-there-is-forgotten") {
        return Vec::new();
    }
    let nowhere = |name: &Name| input.present(side.other()).entry(name).is_none() && !now.contains_key(name);
    let was = |name: &Name| input.base.entry(name).map(|entry| entry.content);
    component.names.iter().filter(|name| nowhere(name) && was(name).is_some_and(|it| missing.contains(&it))).collect()
}

/// What a host has under the names of a component after the steps that are done.
fn stands<'a>(input: &Input<'_>, component: &'a Component, side: Side, done: &[bool]) -> BTreeMap<&'a Name, Entry> {
    let present = input.present(side);
    let mut now: BTreeMap<&Name, Entry> =
        component.names.iter().filter_map(|name| Some((name, present.entry(name)?.clone()))).collect();
    for (step, _) in component.part(side).open().iter().zip(done).filter(|(_, done)| **done) {
        match step {
            Step::Put { to: name, dress, bytes } | Step::Replace { at: name, dress, bytes } => {
                let uniq = name.uniq.clone();
                now.insert(
                    name,
                    Entry { uniq, place: dress.place, flags: dress.flags.clone(), content: bytes.content },
                );
            }
            Step::Move { from, to, dress } => {
                if let Some(entry) = now.remove(from) {
                    let uniq = to.uniq.clone();
                    now.insert(
                        to,
                        Entry { uniq, place: dress.place, flags: dress.flags.clone(), content: entry.content },
                    );
                }
            }
            Step::Delete(name) => {
                now.remove(name);
            }
            Step::MakeFolder(_) | Step::RemoveFolder(_) | Step::Part(_) => {}
        }
    }
    now
}

fn put(into: &mut Delta, name: &Name, value: Option<Entry>) {
    let change = into.folders.entry(name.folder.clone()).or_default();
    match value {
        Some(entry) => change.set.push(Seen::bare(entry)),
        None => change.gone.push(name.uniq.clone()),
    }
}

fn set_folder(input: &Input<'_>, into: &mut Delta, folder: &Folder, there: bool) {
    let was = input.base.folders.contains_key(folder);
    let change = into.folders.entry(folder.clone()).or_default();
    // A section that starts afresh does so first, whatever became of its folder: one host has lost its entries, and
    // the other must forget the same ones. That the folder is gone, the next run agrees on.
    if change.presence == Presence::Reset {
        return;
    }
    change.presence = match (was, there) {
        (false, true) => Presence::Added,
        (true, false) => Presence::Removed,
        (true, true) | (false, false) => Presence::Same,
    };
}

/// Whether a section has entries besides those that go.
fn keeps_entries(section: Option<&Section>, gone: &[Uniq]) -> bool {
    let gone: HashSet<&Uniq> = gone.iter().collect();
    section.is_some_and(|section| section.entries().iter().any(|entry| !gone.contains(&entry.uniq)))
}

/// Brings changes of a base into their one form: sorted, and without what the base says already.
pub fn normalise(base: &Snapshot, changes: &mut Delta) {
    for (folder, change) in &mut changes.folders {
        let section = base.folders.get(folder);
        let old = |uniq: &Uniq| section.and_then(|section| section.entry(uniq));
        // A folder that still has entries, because what shall become of them is not done everywhere, stays in the
        // base with them: else they would be forgotten, and come back as additions.
        if change.presence == Presence::Removed && (!change.set.is_empty() || keeps_entries(section, &change.gone)) {
            change.presence = Presence::Same;
        }
        if change.presence != Presence::Reset {
            change.gone.retain(|uniq| old(uniq).is_some());
            change.set.retain(|seen| old(&seen.entry.uniq) != Some(&seen.entry));
        } else {
            change.gone.clear();
        }
        if change.presence == Presence::Added && section.is_some() {
            change.presence = Presence::Same;
        }
        if change.presence == Presence::Removed && section.is_none() {
            *change = FolderDelta::default();
        }
        if change.adopting == section.map(|section| section.adopting()).or(Some(false))
            && change.presence != Presence::Reset
        {
            change.adopting = None;
        }
        change.normalise();
        // A name that left the base on one ground and entered it on another is there.
        let set = std::mem::take(&mut change.set);
        change.gone.retain(|uniq| set.binary_search_by(|seen| seen.entry.uniq.cmp(uniq)).is_err());
        change.set = set;
    }
    changes.folders.retain(|folder, change| {
        // A folder named for nothing must not come into being by being named.
        let comes_to_be = change.presence != Presence::Same || !change.set.is_empty() || change.adopting == Some(true);
        !change.is_empty() && (base.folders.contains_key(folder) || comes_to_be)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Content;
    use crate::flags::Flags;
    use crate::reconcile::{Begun, HostView};
    use crate::snapshot::Place;

    #[test]
    fn a_section_that_one_host_lost_starts_afresh_on_both_though_its_folder_is_gone_or_made_again() {
        let folder = Folder::parse(b"F").expect("folder");
        let uniq = Uniq::parse(b"m").expect("uniq");
        let entry = Entry { uniq, place: Place::Cur, flags: Flags::default(), content: Content::of(b"m") };
        let section = |entries| Snapshot { folders: [(folder.clone(), entries)].into() };
        // What either host has stored, and what both count as the base of this run.
        let whole = section(Section::new(vec![entry], false));
        let lost = section(Section::new(Vec::new(), true));
        let view = HostView::default();
        let input = Input { base: &lost, adopt: false, ours: &view, theirs: &view, begun: &Begun::default() };
        for there in [false, true] {
            let plan = Plan { agreed_folders: vec![(folder.clone(), there)], ..Plan::default() };
            let mut changes = Delta::default();
            let afresh = FolderDelta { presence: Presence::Reset, adopting: Some(true), ..FolderDelta::default() };
            changes.folders.insert(folder.clone(), afresh);
            plan.settle_agreed(&input, &mut changes);
            normalise(&whole, &mut changes);
            let ids = [whole.clone(), lost.clone()].map(|mut stored| {
                stored.apply(&changes);
                stored.id(2)
            });
            assert_eq!(ids[0], ids[1], "{there}");
        }
    }
}
