//! How a move is recognised, and a message that was moved and edited.
//!
//! A *move* is a one-to-one match at one host: a vanished entry and a new name with the same digests that
//! have the same uniq, or that are each the only one with these digests. Anything else is a copy and a
//! delete, which costs a local copy of the bytes and merges no flags.
//!
//! *Moved and edited* is looked for first: a vanished entry whose new name at this host is where the
//! other host moved it, or is the only new name here (absent there) with the bytes to which the other
//! host changed it. A run that was cut between the two halves of "moved here, changed there" leaves
//! just that; without this rule the next run would see a delete and a stranger, and keep both.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::gather::Gathered;
use super::{At, Input, Message, Side};
use crate::digest::Content;
use crate::names::{Name, Uniq};
use crate::seeded;
use crate::snapshot::Entry;

type News = BTreeMap<Name, Entry>;
/// Message index -> its new name.
type Matches = BTreeMap<usize, Name>;

/// Finds every move on both hosts and enters it into its message; what is matched leaves `new`.
pub(super) fn match_moves(input: &Input<'_>, gathered: &mut Gathered) {
    let unedited =
        Side::BOTH.map(|side| plain(&gathered.messages, side, &gathered.new[side as usize], &Matches::new()));
    let mut settled = Matches::new();
    for (side, alone) in Side::BOTH.into_iter().zip(&unedited) {
        // A message that one host moved, and the other moved there and edited: the former's match stands.
        let mut there = unedited[side.other() as usize].clone();
        there.retain(|index, _| !settled.contains_key(index));
        let mut all = edited(input, &gathered.messages, side, &gathered.new[side as usize], &there);
        settled.extend(all.clone());
        // What is edited is no longer free for a plain move, so those are looked for once more.
        let again = if all.is_empty() {
            alone.clone()
        } else {
            plain(&gathered.messages, side, &gathered.new[side as usize], &all)
        };
        all.extend(again);
        for (index, name) in all {
            if let Some(entry) = gathered.new[side as usize].remove(&name) {
                gathered.messages[index].at_mut(side).push(At { name, entry });
            }
        }
    }
}

fn base_of(message: &Message) -> &At {
    message.base.as_ref().expect("gather gives every message a base")
}

/// Indices of messages that this host no longer has under their base name, and that are not taken.
fn vanished<'a>(messages: &'a [Message], side: Side, taken: &'a Matches) -> impl Iterator<Item = (usize, &'a At)> {
    messages
        .iter()
        .enumerate()
        .filter(move |(index, message)| message.at(side).is_empty() && !taken.contains_key(index))
        .map(|(index, message)| (index, base_of(message)))
}

/// The only element, if there is exactly one.
fn only<T: Copy>(list: &[T]) -> Option<T> {
    match list {
        [one] => Some(*one),
        [one, ..] if seeded::is("guesses-moves") => Some(*one),
        _ => None,
    }
}

/// Moves that change no bytes (or, with the uniq kept, lose them all: damage, for which there is help).
fn plain(messages: &[Message], side: Side, new: &News, taken: &Matches) -> Matches {
    let mut found = Matches::new();
    let mut used: BTreeSet<&Name> = taken.values().collect();
    let mut gone_by_uniq: HashMap<(&Uniq, Content), Vec<usize>> = HashMap::new();
    for (index, base) in vanished(messages, side, taken) {
        gone_by_uniq.entry((&base.name.uniq, base.entry.content)).or_default().push(index);
    }
    // A first run has much that is new and nothing that is gone.
    if gone_by_uniq.is_empty() || new.is_empty() {
        return found;
    }
    let free: Vec<(&Name, &Entry)> = new.iter().filter(|(name, _)| !used.contains(name)).collect();

    // First by uniq and digests, then by digests alone among the rest.
    let mut by_uniq: HashMap<(&Uniq, Content), Vec<&Name>> = HashMap::new();
    for (name, entry) in &free {
        let key = (&name.uniq, entry.content);
        if gone_by_uniq.contains_key(&key) {
            by_uniq.entry(key).or_default().push(name);
        }
    }
    for (key, indices) in &gone_by_uniq {
        if let (Some(index), Some(name)) = (only(indices), by_uniq.get(key).and_then(|names| only(names))) {
            found.insert(index, name.clone());
            used.insert(name);
        }
    }

    let mut by_content: HashMap<Content, Vec<&Name>> = HashMap::new();
    for (name, entry) in free.iter().filter(|(name, _)| !used.contains(name)) {
        by_content.entry(entry.content).or_default().push(name);
    }
    let mut gone_by_content: HashMap<Content, Vec<usize>> = HashMap::new();
    let mut gone_uniqs: HashMap<&Uniq, Vec<usize>> = HashMap::new();
    for (index, base) in vanished(messages, side, taken).filter(|(index, _)| !found.contains_key(index)) {
        gone_by_content.entry(base.entry.content).or_default().push(index);
        gone_uniqs.entry(&base.name.uniq).or_default().push(index);
    }
    for (content, indices) in &gone_by_content {
        if let (Some(index), Some(name)) = (only(indices), by_content.get(content).and_then(|names| only(names))) {
            found.insert(index, name.clone());
            used.insert(name);
        }
    }

    // A moved message whose bytes a crash took away: only the uniq is left to know it by.
    let mut empties: HashMap<&Uniq, Vec<&Name>> = HashMap::new();
    for (name, _) in free.iter().filter(|(name, entry)| entry.content.is_empty() && !used.contains(name)) {
        empties.entry(&name.uniq).or_default().push(name);
    }
    for (uniq, names) in empties {
        let left = gone_uniqs
            .get(uniq)
            .map(|list| list.iter().copied().filter(|i| !found.contains_key(i)).collect::<Vec<_>>());
        if let (Some(name), Some(index)) = (only(&names), left.and_then(|list| only(&list))) {
            found.insert(index, name.clone());
        }
    }
    found
}

/// Messages that this host moved and edited, by what the other host did with them.
fn edited(input: &Input<'_>, messages: &[Message], side: Side, new: &News, moved_there: &Matches) -> Matches {
    let other = side.other();
    let mut found = Matches::new();
    let mut used = BTreeSet::new();
    let mut by_content: Option<HashMap<Content, Vec<&Name>>> = None;
    for (index, base) in vanished(messages, side, &Matches::new()) {
        if seeded::is("forgets-moved-and-edited") {
            continue;
        }
        if let Some(place) = moved_there.get(&index) {
            // What a backup put under that name is no edit of it.
            let older = input.put_back(side, place) && !seeded::is("older-bytes-are-moved-and-edited");
            if new.contains_key(place) && !older && used.insert(place.clone()) {
                found.insert(index, place.clone());
            }
            continue;
        }
        let changed_there = messages[index]
            .at(other)
            .first()
            .map(|at| at.entry.content)
            .filter(|&c| c != base.entry.content && !c.is_empty());
        let Some(content) = changed_there else { continue };
        let by_content = by_content.get_or_insert_with(|| {
            let mut map: HashMap<Content, Vec<&Name>> = HashMap::new();
            for (name, entry) in new.iter().filter(|(name, _)| input.present(other).entry(name).is_none()) {
                map.entry(entry.content).or_default().push(name);
            }
            map
        });
        if let Some(name) = by_content.get(&content).and_then(|names| only(names))
            && used.insert(name.clone())
        {
            found.insert(index, name.clone());
        }
    }
    found
}
