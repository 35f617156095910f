//! How messages are matched where there is no base: by name and bytes, then by folder and bytes, then by
//! uniq and bytes across folders; and in one folder by body and header but for a mark of another program. Nothing is ever deleted by it; what is left over is new.
//!
//! One match needs no adopt: a uniq and bytes that each host has once, as a new message, and that are nowhere else. A
//! run that was cut before its commit leaves a message on both hosts and in no base; whoever files it
//! before the next run must not get it twice.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::gather::Gathered;
use super::{At, Direction, Input, Known, Message, Needs, Note, Policy, Side, begun};
use crate::digest::{Content, Digest};
use crate::names::{Folder, Name};
use crate::seeded;
use crate::snapshot::Entry;

/// The sections that are being adopted: all, in a run without a base; else those marked in the base, those put back from a
/// backup, and those with mail on both hosts of which the base knows nothing.
pub(super) fn adopting_folders(input: &Input<'_>, gathered: &Gathered) -> BTreeSet<Folder> {
    let known = input.base.folders.keys();
    let here = Side::BOTH.into_iter().flat_map(|side| input.host(side).delta.folders.keys());
    let put_back = Side::BOTH.into_iter().flat_map(|side| input.host(side).put_back.iter());
    let new = gathered.new.iter().flat_map(|names| names.keys().map(|name| &name.folder));
    known
        .chain(here)
        .chain(put_back)
        .chain(new)
        .filter(|folder| input.adopts(folder))
        .filter(|folder| Side::BOTH.iter().any(|&side| input.present(side).has_folder(folder)))
        .cloned()
        .collect()
}

/// Takes out of the new names those that are one message in one folder but for a mark that another program put into one copy,
/// or into both: matched by body and header without it, in sorted order, after those of equal bytes. The copy without a mark
/// is what both hosts shall have.
///
/// # Errors
/// [`Needs`] when headers without their marks are not known.
pub(super) fn match_marked(
    new: &mut [BTreeMap<Name, Entry>; 2],
    adopting: &BTreeSet<Folder>,
    policy: &Policy,
    known: &Known<'_>,
) -> Result<Vec<Message>, Needs> {
    let [ours, theirs] = new;
    let Some(bare) = known.bare.filter(|_| !ours.is_empty() && !theirs.is_empty()) else { return Ok(Vec::new()) };
    let [here, there] = candidates(ours, theirs, adopting);
    let mut needs = Needs::default();
    let mut index = |side: Side, names: &[Name], mail: &BTreeMap<Name, Entry>| {
        let mut found: BTreeMap<(Folder, Digest, Digest), VecDeque<Name>> = BTreeMap::new();
        for name in names {
            match (bare(side, name), mail.get(name)) {
                (Some(Some(header)), Some(entry)) => {
                    found.entry((name.folder.clone(), entry.content.body, header)).or_default().push_back(name.clone());
                }
                (None, _) => needs.bare_headers[side as usize].push(name.clone()),
                _ => {}
            }
        }
        found
    };
    let (here, mut there) = (index(Side::Ours, &here, ours), index(Side::Theirs, &there, theirs));
    if needs != Needs::default() {
        return Err(needs);
    }
    let mut messages = Vec::new();
    for (key, names) in here.into_iter().filter(|_| !seeded::is("marks-make-two-messages")) {
        let Some(queue) = there.get_mut(&key) else { continue };
        for (a, b) in names.into_iter().zip(std::iter::from_fn(|| queue.pop_front())) {
            let (Some(ea), Some(eb)) = (ours.remove(&a), theirs.remove(&b)) else { continue };
            let by_us = policy.way() == Direction::Push;
            let (first, second) = if by_us { (&ea, &eb) } else { (&eb, &ea) };
            let bytes = if second.content.header == key.2 { second.content } else { first.content };
            messages.push(Message {
                ours: vec![At { name: a, entry: ea }],
                theirs: vec![At { name: b, entry: eb }],
                bytes: Some(bytes),
                ..Message::default()
            });
        }
    }
    Ok(messages)
}

/// New names of each host that have one folder and one body with a new name of the other, and not its header.
fn candidates(
    ours: &BTreeMap<Name, Entry>,
    theirs: &BTreeMap<Name, Entry>,
    adopting: &BTreeSet<Folder>,
) -> [Vec<Name>; 2] {
    let nothing = Digest::of(b"");
    let mut headers: HashMap<(Folder, Digest), HashMap<Digest, [usize; 2]>> = HashMap::new();
    for (side, mail) in [ours, theirs].into_iter().enumerate() {
        for (name, entry) in mail.iter().filter(|(name, _)| adopting.contains(&name.folder)) {
            if entry.content.body != nothing {
                let headers = headers.entry((name.folder.clone(), entry.content.body)).or_default();
                headers.entry(entry.content.header).or_default()[side] += 1;
            }
        }
    }
    // What both hosts have with one header is matched by its bytes, in sorted order; what is left over are the last.
    for headers in headers.values_mut() {
        for [here, there] in headers.values_mut() {
            (*here, *there) = (here.saturating_sub(*there), there.saturating_sub(*here));
        }
    }
    headers.retain(|_, headers| [0, 1].into_iter().all(|side: usize| headers.values().any(|left| left[side] > 0)));
    let mut left_over = |side: usize, mail: &BTreeMap<Name, Entry>| {
        let mut names = Vec::new();
        for (name, entry) in mail.iter().rev() {
            let headers = headers.get_mut(&(name.folder.clone(), entry.content.body));
            let left = headers.and_then(|headers| headers.get_mut(&entry.content.header));
            if let Some(left) = left.filter(|left| left[side] > 0) {
                left[side] -= 1;
                names.push(name.clone());
            }
        }
        names.reverse();
        names
    };
    [left_over(0, ours), left_over(1, theirs)]
}

/// Turns new names into messages: one for both hosts where they are the same message, else one each.
pub(super) fn match_new(
    input: &Input<'_>,
    mut messages: Vec<Message>,
    new: [BTreeMap<Name, Entry>; 2],
    adopting: &BTreeSet<Folder>,
    notes: &mut Vec<Note>,
) -> Vec<Message> {
    let [mut ours, mut theirs] = new;
    let mut pair = |base: Option<At>, name_ours: Name, a: Entry, name_theirs: Name, b: Entry| {
        messages.push(Message {
            base,
            ours: vec![At { name: name_ours, entry: a }],
            theirs: vec![At { name: name_theirs, entry: b }],
            ..Message::default()
        });
    };

    // Added on both sides under one name: the same bytes are one message, whether a base is lost or not. So are some
    // bytes and none: a crash that lost the state may have emptied a message too.
    let one = |a: &Entry, b: &Entry| a.content == b.content || a.content.is_empty() || b.content.is_empty();
    let same: Vec<Name> = ours
        .iter()
        .filter(|(name, a)| theirs.get(*name).is_some_and(|b| one(a, b)))
        .map(|(name, _)| name.clone())
        .collect();
    for name in same {
        if let (Some(a), Some(b)) = (ours.remove(&name), theirs.remove(&name)) {
            let base = begun::agreed(input, &name, [&a, &b]);
            pair(base, name.clone(), a, name, b);
        }
    }

    for (base, a, b) in begun::pairs(input, &ours, &theirs) {
        if let (Some(ea), Some(eb)) = (ours.remove(&a), theirs.remove(&b)) {
            pair(Some(base), a, ea, b, eb);
        }
    }

    // By folder and bytes, in sorted order.
    let mut waiting: HashMap<(&Folder, Content), VecDeque<&Name>> = HashMap::new();
    let any_of_ours = !ours.is_empty() && !seeded::is("adopt-doubles");
    for (name, entry) in theirs.iter().filter(|(name, _)| any_of_ours && adopting.contains(&name.folder)) {
        waiting.entry((&name.folder, entry.content)).or_default().push_back(name);
    }
    let mut found: Vec<(Name, Name)> = Vec::new();
    for (name, entry) in ours.iter().filter(|(name, _)| adopting.contains(&name.folder)) {
        if let Some(match_) = waiting.get_mut(&(&name.folder, entry.content)).and_then(|queue| queue.pop_front()) {
            found.push((name.clone(), match_.clone()));
        }
    }
    drop(waiting);
    for (a, b) in found {
        if let (Some(ea), Some(eb)) = (ours.remove(&a), theirs.remove(&b)) {
            pair(None, a, ea, b, eb);
        }
    }

    // By uniq and bytes across folders, where each side has it once: a move that nobody remembers.
    let by_uniq =
        |name: &Name, entry: &Entry| adopting.contains(&name.folder).then(|| (name.uniq.clone(), entry.content));
    let in_adopt = once_each(&ours, &theirs, by_uniq);
    for (a, b) in in_adopt {
        if let (Some(ea), Some(eb)) = (ours.remove(&a), theirs.remove(&b)) {
            pair(None, a, ea, b, eb);
        }
    }
    // New on both hosts, by bytes that no other message anywhere has: a run was cut after it had installed the message
    // and before it could say so, and then a user filed it elsewhere. While a first sync is under way, which may be
    // cut for days, also where the mail program gave it another uniq; in an ordinary run that is two messages.
    let known = |name: &Name| {
        input.present(Side::Ours).entry(name).is_some() && input.present(Side::Theirs).entry(name).is_some()
    };
    let by_bytes = |name: &Name, entry: &Entry| {
        (adopting.contains(&name.folder) && !entry.content.is_empty() && !known(name)).then_some(entry.content)
    };
    let mut filed = once_each(&ours, &theirs, |name, entry| Some((Some(name.uniq.clone()), entry.content)));
    filed.extend(once_each(&ours, &theirs, by_bytes));
    for (a, b) in nowhere_else(input, filed, &ours) {
        if let (Some(ea), Some(eb)) = (ours.remove(&a), theirs.remove(&b)) {
            notes.push(Note::MovedTwice { kept: b.clone(), left: a.clone() });
            pair(None, a, ea, b, eb);
        }
    }

    messages
        .extend(ours.into_iter().map(|(name, entry)| Message { ours: vec![At { name, entry }], ..Message::default() }));
    messages.extend(
        theirs.into_iter().map(|(name, entry)| Message { theirs: vec![At { name, entry }], ..Message::default() }),
    );
    messages
}

/// Names whose `key` each side has once, in order. Names without a key do not count.
pub(super) fn once_each<K: std::hash::Hash + Eq>(
    ours: &BTreeMap<Name, Entry>,
    theirs: &BTreeMap<Name, Entry>,
    key: impl Fn(&Name, &Entry) -> Option<K>,
) -> Vec<(Name, Name)> {
    if ours.is_empty() || theirs.is_empty() {
        return Vec::new();
    }
    let index = |side: &BTreeMap<Name, Entry>| {
        let mut map: HashMap<K, Vec<Name>> = HashMap::new();
        for (name, entry) in side {
            if let Some(key) = key(name, entry) {
                map.entry(key).or_default().push(name.clone());
            }
        }
        map
    };
    let there = index(theirs);
    let mut found: Vec<(Name, Name)> = index(ours)
        .into_iter()
        .filter_map(|(key, names)| match (&names[..], there.get(&key).map(Vec::as_slice)) {
            ([a], Some([b])) => Some((a.clone(), b.clone())),
            _ => None,
        })
        .collect();
    found.sort();
    found
}

/// Leaves out pairs whose bytes either host has in another message too: there a copy by a user is as likely.
fn nowhere_else(input: &Input<'_>, pairs: Vec<(Name, Name)>, ours: &BTreeMap<Name, Entry>) -> Vec<(Name, Name)> {
    if pairs.is_empty() {
        return pairs;
    }
    let content = |pair: &(Name, Name)| ours.get(&pair.0).map(|entry| entry.content);
    let mut counts: HashMap<Content, [usize; 2]> =
        pairs.iter().filter_map(|pair| Some((content(pair)?, [0; 2]))).collect();
    for side in Side::BOTH {
        for (_, entry) in input.present(side).iter() {
            if let Some(count) = counts.get_mut(&entry.content) {
                count[side as usize] += 1;
            }
        }
    }
    pairs.into_iter().filter(|pair| content(pair).and_then(|content| counts.get(&content)) == Some(&[1, 1])).collect()
}
