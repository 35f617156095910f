//! Which parts of a plan wait: direction, the server's policy, `--no-delete`, what goes with what the bulk guard holds (`guard`), and roots that
//! may not be the ones they were.
//!
//! Nothing that waits is forgotten: the base keeps the old entry, and the next run proposes it again.

use std::collections::HashMap;

use super::guard::{self, Past};
use super::{Component, Hold, Input, Plan, Policy, Side, Stop};
use crate::digest::{Content, Digest};
use crate::names::{Folder, Name};
use crate::rights::Rights;
use crate::seeded;
use crate::step::Step;

/// Whether this host's part takes user's bytes out of the tree.
pub(super) fn removes(component: &Component, side: Side) -> bool {
    !component.heals && component.part(side).steps.iter().any(Step::removes)
}

/// Decides what waits for reasons that lie in the run alone: its direction, what the server lets this client do, and `--no-delete`.
pub(super) fn hold_by_policy(input: &Input<'_>, policy: &Policy, plan: &mut Plan) {
    for component in &mut plan.components {
        for side in Side::BOTH {
            let removes = removes(component, side) || is_removal(component, side);
            let permitted = is_permitted(input, policy, component, side);
            let part = component.part_mut(side);
            if part.steps.is_empty() || part.held.is_some() {
                continue;
            }
            if !policy.direction.changes(side) && !seeded::is("pull-changes-the-server") {
                part.held = Some(Hold::Direction);
            } else if !permitted {
                part.held = Some(Hold::Policy);
            } else if policy.no_delete && removes {
                part.held = Some(Hold::NoDelete);
            }
        }
    }
}

/// Whether the server lets this client do a host's part: at the server each step by itself, at this host whatever is read there.
fn is_permitted(input: &Input<'_>, policy: &Policy, component: &Component, side: Side) -> bool {
    if policy.rights == Rights::OWNER {
        return true;
    }
    let flags = |name: &Name| input.present(side).entry(name).map(|entry| &entry.flags);
    let permit = |step: &Step| {
        let was = match step {
            Step::Move { from: name, .. } | Step::Replace { at: name, .. } => flags(name),
            _ => None,
        };
        policy.rights.permit(step, was)
    };
    match side {
        Side::Ours => policy.rights.pull,
        Side::Theirs => component.theirs.steps.iter().all(permit),
    }
}

/// Decides what the guards hold back, whether anything is done at all, and what waits with what is held.
pub(super) fn hold(input: &Input<'_>, policy: &Policy, past: &Past, plan: &mut Plan) {
    suspect(input, policy, plan);
    guard::guard(input, policy, past, plan);
    guard::spare(input, past, plan);
    hold_copies(input, plan);
    hold_folders(plan);
}

fn is_removal(component: &Component, side: Side) -> bool {
    component.part(side).steps.iter().any(|step| matches!(step, Step::RemoveFolder(_)))
}

/// Stops a run that would remove something while a root may not be the one it was.
fn suspect(input: &Input<'_>, policy: &Policy, plan: &mut Plan) {
    if policy.allow_bulk_delete {
        return;
    }
    // Whether something *would* be deleted is asked of every direction: a pull into the empty place of a disk that
    // is not mounted deletes nothing, and would still put mail where nobody looks for it.
    let some_go = Side::BOTH.into_iter().any(|side| plan.components.iter().any(|component| removes(component, side)));
    let suspicious = Side::BOTH.into_iter().find_map(|side| Some((side, suspicion(input, side)?)));
    if let (true, Some((side, why))) = (some_go, suspicious) {
        plan.stop.get_or_insert(Stop::Suspicious { side, why });
    }
}

/// Why a host's root may not be the one it was.
fn suspicion(input: &Input<'_>, side: Side) -> Option<String> {
    let host = input.host(side);
    if seeded::is("trusts-any-root") {
        return None;
    }
    if host.suspicious.is_some() {
        return host.suspicious.clone();
    }
    let had_mail = input.base.messages() > 0;
    let none_left = input.base.folders.keys().all(|folder| !input.present(side).has_folder(folder));
    (had_mail && none_left).then(|| "has no folder left".to_owned())
}

/// A copy whose matching delete or replacement is held back is held back with it: else a move that was not
/// recognised as one would leave two messages. One removal holds at most one copy. With the guard an equal body is
/// enough; under `--no-delete` and the server's policy, which may stand for years, only equal bytes are.
fn hold_copies(input: &Input<'_>, plan: &mut Plan) {
    for side in Side::BOTH {
        let mut waiting: HashMap<Content, (u64, Hold)> = HashMap::new();
        for component in &plan.components {
            let part = component.part(side);
            let Some(why) = part.held.filter(|&hold| hold != Hold::Direction) else { continue };
            for content in part.removed(input, side) {
                waiting.entry(content).or_insert((0, why)).0 += 1;
            }
        }
        if waiting.is_empty() || seeded::is("copies-without-their-delete") {
            continue;
        }
        hold_puts(plan, side, |content| {
            let (left, why) = waiting.get_mut(&content).filter(|(left, _)| *left > 0)?;
            *left -= 1;
            Some(*why)
        });
        let mut bodies: HashMap<Digest, u64> = HashMap::new();
        for (content, (left, _)) in waiting.iter().filter(|(_, (_, why))| *why == Hold::Guard) {
            *bodies.entry(content.body).or_default() += left;
        }
        bodies.remove(&Digest::of(b""));
        hold_puts(plan, side, |content| {
            let left = bodies.get_mut(&content.body).filter(|left| **left > 0)?;
            *left -= 1;
            Some(Hold::Guard)
        });
    }
}

/// Holds the open parts of a host that put a message for which `why` finds a reason.
fn hold_puts(plan: &mut Plan, side: Side, mut why: impl FnMut(Content) -> Option<Hold>) {
    for component in &mut plan.components {
        let part = component.part_mut(side);
        if part.held.is_some() {
            continue;
        }
        let puts = part
            .steps
            .iter()
            .filter_map(|step| if let Step::Put { bytes, .. } = step { Some(bytes.content) } else { None });
        let found = puts.filter_map(&mut why).min();
        part.held = found;
    }
}

/// A folder cannot go while a delete in it waits.
pub(super) fn hold_folders(plan: &mut Plan) {
    if seeded::is("folders-go-before-their-mail") {
        return;
    }
    for side in Side::BOTH {
        let waiting: HashMap<Folder, Hold> = plan
            .components
            .iter()
            .filter_map(|c| Some((c, c.part(side).held?)))
            .flat_map(|(c, hold)| c.part(side).steps.iter().map(move |step| (step, hold)))
            .filter_map(|(step, hold)| match step {
                Step::Delete(name) => Some((name.folder.clone(), hold)),
                Step::Move { from, .. } => Some((from.folder.clone(), hold)),
                _ => None,
            })
            .collect();
        for component in &mut plan.components {
            let part = component.part_mut(side);
            if let [Step::RemoveFolder(folder)] = &part.steps[..]
                && part.held.is_none()
            {
                part.held = waiting.get(folder).copied();
            }
        }
    }
}
