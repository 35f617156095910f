//! What happens when both sides changed a message: a function from (base, ours, theirs) to what the message
//! shall be on both hosts.
//!
//! | ours \ theirs | unchanged | flags or place | bytes | moved | deleted |
//! | --- | --- | --- | --- | --- | --- |
//! | unchanged | - | take | take | move ours | delete ours |
//! | flags or place | give | merge | take bytes, merge flags | move ours, merge flags | delete ours |
//! | bytes | give | mirror | equal: agree; else keep both | move, keep bytes | give it back |
//! | moved | move theirs | mirror | mirror | one folder: the smaller uniq; else the server's place | keep at the new place |
//! | deleted | delete theirs | delete theirs | take it back | keep at the new place | agree |
//!
//! Place, flags and bytes merge separately. Only bytes can be at odds; then the message is split in two,
//! and `clash` gives the client's a name. So it is where one host has bytes that a run which was cut brought, and the other
//! the old ones: that is no edit that may replace them. Who went back to them, a user or a crash, or whether they are another
//! message that was moved here, nobody can tell. Nor are the old ones deleted by a host that was given others for them.

use super::{At, Begun, Direction, Goal, Message, Note, Side};
use crate::flags::Flags;
use crate::seeded;
use crate::snapshot::{Entry, Place};
use crate::step::Dress;

/// Gives every message its goal. A message with other bytes on both sides becomes two, both wanting one name.
pub(super) fn set_goals(messages: &mut Vec<Message>, direction: Direction, begun: &Begun, notes: &mut Vec<Note>) {
    let mut split = Vec::new();
    for message in messages.iter_mut() {
        if let Some(second) = set_goal(message, direction, begun, notes) {
            split.push(second);
        }
    }
    messages.extend(split);
}

fn goal(at: &At) -> Goal {
    Goal { name: at.name.clone(), dress: dress(&at.entry), content: at.entry.content }
}

/// Place and flags of an entry.
pub(super) fn dress(entry: &Entry) -> Dress {
    Dress { place: entry.place, flags: entry.flags.clone() }
}

/// Unites two dresses without a base.
pub(super) fn unite(ours: &Dress, theirs: &Dress) -> Dress {
    Dress { place: ours.place.max(theirs.place), flags: Flags::union(&ours.flags, &theirs.flags) }
}

fn merge_dress(base: &Entry, ours: &Entry, theirs: &Entry) -> Dress {
    // With two values, of three at least two agree; the one that left the base decides.
    let place = if ours.place == base.place { theirs.place } else { ours.place };
    Dress { place, flags: Flags::merge(&base.flags, &ours.flags, &theirs.flags) }
}

/// Whether the entry lost all its bytes since the base: damage, not a change by a user.
fn damaged(base: &At, now: &At) -> bool {
    now.entry.content.is_empty() && !base.entry.content.is_empty() && !seeded::is("empty-is-an-edit")
}

/// Sets the goal of one message; gives the client's half when it had to be split.
pub(super) fn set_goal(
    message: &mut Message,
    direction: Direction,
    begun: &Begun,
    notes: &mut Vec<Note>,
) -> Option<Message> {
    let ours = message.ours.first().cloned();
    let theirs = message.theirs.first().cloned();
    let Some(base) = &message.base else {
        message.goal = match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => {
                let by_us = direction == Direction::Push || seeded::is("adopt-renames-the-servers");
                let named = if by_us { ours } else { theirs };
                let dress = unite(&dress(&ours.entry), &dress(&theirs.entry));
                // Matched by bytes, or one of them has none.
                let damaged = [(Side::Ours, ours), (Side::Theirs, theirs)]
                    .into_iter()
                    .find(|(_, at)| at.entry.content.is_empty());
                let content = if theirs.entry.content.is_empty() { ours.entry.content } else { theirs.entry.content };
                let content = message.bytes.unwrap_or(content);
                if let Some((on, _)) = damaged.filter(|_| !content.is_empty()) {
                    notes.push(Note::Healed { on, name: named.name.clone() });
                }
                Some(Goal { name: named.name.clone(), dress, content })
            }
            (Some(only), None) | (None, Some(only)) => Some(goal(only)),
            (None, None) => None,
        };
        return None;
    };

    let (ours, theirs) = match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours, theirs),
        // Deleted there: only another place or other bytes here save it, or that other bytes were deleted.
        (Some(left), None) | (None, Some(left)) => {
            let absent = if message.ours.is_empty() { Side::Ours } else { Side::Theirs };
            let saved = left.name != base.name
                || (left.entry.content != base.entry.content
                    && !damaged(base, &left)
                    && !seeded::is("delete-beats-edit"))
                || (begun.gave_others(absent, message) && !damaged(base, &left));
            message.goal = saved.then(|| goal(&left));
            return None;
        }
        (None, None) => return None,
    };

    let name = match (ours.name == base.name, theirs.name == base.name) {
        (true, _) => theirs.name.clone(),
        (false, true) => ours.name.clone(),
        (false, false) if ours.name.folder == theirs.name.folder => ours.name.clone().min(theirs.name.clone()),
        (false, false) => {
            notes.push(Note::MovedTwice { kept: theirs.name.clone(), left: ours.name.clone() });
            theirs.name.clone()
        }
    };
    let equal = ours.entry.content == theirs.entry.content;
    let changed = |now: &At| now.entry.content != base.entry.content && (equal || !damaged(base, now));
    let content = match (changed(&ours), changed(&theirs)) {
        (false, false) if damaged(base, &theirs) => ours.entry.content,
        (false, false) => theirs.entry.content,
        (false, true) if !begun.brought(Side::Theirs, message, &theirs) || damaged(base, &ours) => theirs.entry.content,
        (true, false) if !begun.brought(Side::Ours, message, &ours) || damaged(base, &theirs) => ours.entry.content,
        (true, true) if ours.entry.content == theirs.entry.content => ours.entry.content,
        _ => {
            let client = Message {
                goal: Some(Goal { name: name.clone(), dress: dress(&ours.entry), content: ours.entry.content }),
                ours: std::mem::take(&mut message.ours),
                ..Message::default()
            };
            message.goal = Some(Goal { name, dress: dress(&theirs.entry), content: theirs.entry.content });
            return Some(client);
        }
    };
    for (side, now) in [(Side::Ours, &ours), (Side::Theirs, &theirs)] {
        if !equal && damaged(base, now) {
            notes.push(Note::Healed { on: side, name: name.clone() });
        }
    }
    message.goal = Some(Goal { name, dress: merge_dress(&base.entry, &ours.entry, &theirs.entry), content });
    None
}

/// `cur` is later than `new`: the order by which [`unite`] takes the greater.
const _: () = assert!((Place::New as u8) < (Place::Cur as u8));
