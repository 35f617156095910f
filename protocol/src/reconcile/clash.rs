//! Two messages that want one name, and the fresh uniq.
//!
//! Equal bytes: one message. Equal body, where one is a move and the other's host no longer has the moved
//! message: the edited one. In every other case both are kept: the server's message keeps the name, in
//! every direction, and the client's gets a fresh uniq in the same folder.

use std::collections::{BTreeMap, VecDeque};

use super::{At, Input, Message, Needs, Note, Side, merge};
use crate::digest::{Content, Digest};
use crate::names::{Name, Uniq};
use crate::seeded;

/// Resolves every clash.
pub(super) fn settle(
    input: &Input<'_>,
    messages: Vec<Message>,
    whole: &dyn Fn(&Name) -> Option<Digest>,
    notes: &mut Vec<Note>,
) -> Result<Vec<Message>, Needs> {
    let mut claims: BTreeMap<Name, Vec<Message>> = BTreeMap::new();
    let mut rest = Vec::new();
    for message in messages {
        match &message.goal {
            Some(goal) => claims.entry(goal.name.clone()).or_default().push(message),
            None => rest.push(message),
        }
    }
    let mut claimed: BTreeMap<Name, Message> = BTreeMap::new();
    let mut displaced = VecDeque::new();
    for (name, mut claimants) in claims {
        claimants.sort_by_key(|message| rank(message, &name));
        let mut claimants = claimants.into_iter();
        let Some(mut keeper) = claimants.next() else { continue };
        for other in claimants {
            match unite(input, keeper, other) {
                (one, None) => keeper = one,
                (one, Some(client)) => {
                    keeper = one;
                    displaced.push_back(client);
                }
            }
        }
        claimed.insert(name, keeper);
    }

    let mut needs = Needs::default();
    while let Some(mut client) = displaced.pop_front() {
        let Some(goal) = client.goal.clone() else { continue };
        let Some(at) = client.ours.first().cloned() else {
            // The server's own message lost a name to another of the server's. There is no message of the client to
            // be renamed, and what the server has under its name now keeps that.
            let Some(stays) = client.theirs.first().map(|at| at.name.clone()) else { continue };
            client.goal = Some(super::Goal { name: stays.clone(), ..goal });
            let (one, out) = match claimed.remove(&stays) {
                Some(other) => unite(input, client, other),
                None => (client, None),
            };
            displaced.extend(out);
            claimed.insert(stays, one);
            continue;
        };
        let Some(digest) = whole(&at.name) else {
            needs.whole_digests.push(at.name);
            continue;
        };
        let fresh = fresh_name(input, &claimed, &goal.name, goal.content, digest);
        notes.push(Note::KeptBoth { name: goal.name.clone(), fresh: fresh.clone() });
        client.goal = Some(super::Goal { name: fresh.clone(), ..goal });
        let client = match claimed.remove(&fresh).or_else(|| untouched(input, &fresh)) {
            Some(same) => absorb(same, client),
            None => client,
        };
        claimed.insert(fresh, client);
    }
    if !needs.whole_digests.is_empty() {
        return Err(needs);
    }
    rest.extend(claimed.into_values());
    Ok(rest)
}

/// Who keeps a name: first the message that the server has under it, then one that only the server has.
fn rank(message: &Message, name: &Name) -> u8 {
    if message.theirs.iter().any(|at| at.name == *name) {
        0
    } else if message.ours.is_empty() {
        1
    } else {
        2
    }
}

/// Makes one message of two that want one name, or gives the client's back as the one to be renamed.
fn unite(input: &Input<'_>, keeper: Message, other: Message) -> (Message, Option<Message>) {
    let (Some(a), Some(b)) = (&keeper.goal, &other.goal) else { return (keeper, Some(other)) };
    if a.content == b.content {
        return (absorb(keeper, other), None);
    }
    if a.content.body == b.content.body {
        for (moved, edited) in [(&keeper, &other), (&other, &keeper)] {
            if let Some(one) = moved_and_edited(input, moved, edited) {
                return (one, None);
            }
        }
    }
    (keeper, (!seeded::is("clash-keeps-one")).then_some(other))
}

/// One message out of a move by one host and an edited newcomer of the other, which no longer has the moved one.
fn moved_and_edited(input: &Input<'_>, moved: &Message, edited: &Message) -> Option<Message> {
    let base = moved.base.as_ref()?;
    if edited.base.is_some() {
        return None;
    }
    let (side, newcomer) = match (&edited.ours[..], &edited.theirs[..]) {
        ([one], []) => (Side::Ours, one),
        ([], [one]) => (Side::Theirs, one),
        _ => return None,
    };
    if input.put_back(side, &newcomer.name) && !seeded::is("an-older-header-is-an-edit") {
        return None;
    }
    let [there] = moved.at(side.other()) else { return None };
    if !moved.at(side).is_empty() || there.name == base.name || there.entry.content != base.entry.content {
        return None;
    }
    let mut one = moved.clone();
    *one.at_mut(side) = edited.at(side).to_vec();
    // The other host changed no byte, so this cannot split.
    merge::set_goal(&mut one, super::Direction::Sync, &super::Begun::default(), &mut Vec::new());
    Some(one)
}

/// Makes one message of two with equal bytes and one goal.
fn absorb(mut one: Message, other: Message) -> Message {
    if let (Some(a), Some(b)) = (&mut one.goal, &other.goal) {
        a.dress = merge::unite(&b.dress, &a.dress);
    }
    one.ours.extend(other.ours);
    one.theirs.extend(other.theirs);
    one.also.extend(other.also);
    match (&one.base, other.base) {
        (Some(_), Some(base)) => one.also.push(base.name),
        (None, base) => one.base = base,
        (Some(_), None) => {}
    }
    one
}

/// A message that no delta touches, as one that wants to stay where it is.
fn untouched(input: &Input<'_>, name: &Name) -> Option<Message> {
    let entry = input.base.entry(name)?;
    if Side::BOTH.into_iter().any(|side| input.present(side).entry(name) != Some(entry)) {
        return None;
    }
    let at = At { name: name.clone(), entry: entry.clone() };
    let goal = super::Goal { name: name.clone(), dress: merge::dress(entry), content: entry.content };
    Some(Message {
        base: Some(at.clone()),
        ours: vec![at.clone()],
        theirs: vec![at],
        goal: Some(goal),
        ..Message::default()
    })
}

/// The digest's letters as a uniq in the folder of `wanted`; a counter is added until nobody has other bytes there.
/// A name that holds the same bytes is that message; only an adopt, which never deletes, also steps aside for
/// another message of the client with these bytes.
fn fresh_name(
    input: &Input<'_>,
    claimed: &BTreeMap<Name, Message>,
    wanted: &Name,
    content: Content,
    digest: Digest,
) -> Name {
    let letters = digest.letters();
    let mut counter = 0u64;
    loop {
        let mut uniq = letters.to_vec();
        if counter > 0 {
            uniq.extend_from_slice(counter.to_string().as_bytes());
        }
        let uniq = Uniq::parse(&uniq).expect("letters of base64url make a uniq");
        let name = Name::new(&wanted.folder, &uniq);
        let other_bytes = |held: Option<Content>| held.is_some_and(|held| held != content);
        let taken = Side::BOTH.iter().any(|&side| other_bytes(input.present(side).entry(&name).map(|e| e.content)))
            || other_bytes(claimed.get(&name).and_then(|m| m.goal.as_ref()).map(|goal| goal.content));
        let second = || {
            input.present(Side::Ours).entry(&name).is_some() || claimed.get(&name).is_some_and(|m| !m.ours.is_empty())
        };
        if taken && !seeded::is("fresh-uniq-without-a-look") || input.adopts(&wanted.folder) && second() {
            counter += 1;
        } else {
            return name;
        }
    }
}
