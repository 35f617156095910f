//! Equal messages that moved together: which of them is which.
//!
//! When a host has several messages with the same digests under new uniqs, nobody can tell which of them went where, nor does it
//! matter for their bytes; but a copy and a delete of each would leave one message too many when the other host moved one of
//! them as well. So they are matched in order, those with the same flags side by side, and
//! * only where no host lacks one of them: where there are fewer new names than vanished entries, one was deleted, and to
//!   match the wrong one could let that delete take what the other host moved or edited. There they stay copies and deletes;
//! * a name that both hosts have is a copy that a cut run gave the other host, or the place where it moved one. It gets a
//!   message only where the names that a host has alone are too few, and then the same message on both: two messages with
//!   one name would become one.
//!
//! Deliberately not here: what a uniq or being the only one makes certain (`moves`), which comes first.

use std::collections::{BTreeSet, HashMap};

use super::gather::Gathered;
use super::moves::{Matches, enter, vanished};
use super::{At, Input, Side};
use crate::digest::Content;
use crate::flags::Flags;
use crate::names::Name;
use crate::seeded;
use crate::snapshot::{Entry, Place};

/// What one host has of the messages with one content.
#[derive(Default)]
struct Alike<'a> {
    /// Vanished, with what the base has of them.
    gone: Vec<(usize, &'a At)>,
    /// New names that the other host has not.
    alone: Vec<(&'a Name, &'a Entry)>,
}

/// Those of both hosts.
#[derive(Default)]
struct Pair<'a> {
    hosts: [Alike<'a>; 2],
    /// New names that both have.
    shared: Vec<(&'a Name, &'a Entry)>,
}

/// Finds these moves on both hosts and enters them; what is matched leaves `new`.
pub(super) fn match_alike(input: &Input<'_>, gathered: &mut Gathered) {
    // What is missing on a host that was not read completely may be there.
    if Side::BOTH.iter().any(|&side| input.host(side).incomplete) || seeded::is("moves-none-alike") {
        return;
    }
    let mut found = [Matches::new(), Matches::new()];
    for pair in collect(gathered).values_mut() {
        pair.sort();
        pair.choose(&mut found);
    }
    for (side, matches) in Side::BOTH.into_iter().zip(found) {
        enter(gathered, side, matches);
    }
}

fn collect(gathered: &Gathered) -> HashMap<Content, Pair<'_>> {
    let mut all: HashMap<Content, Pair<'_>> = HashMap::new();
    let none = Matches::new();
    for side in Side::BOTH.into_iter().filter(|&side| !gathered.new[side as usize].is_empty()) {
        for (index, base) in vanished(&gathered.messages, side, &none) {
            all.entry(base.entry.content).or_default().hosts[side as usize].gone.push((index, base));
        }
    }
    for side in Side::BOTH {
        for (name, entry) in &gathered.new[side as usize] {
            let Some(pair) = all.get_mut(&entry.content) else { continue };
            let there = gathered.new[side.other() as usize].get(name);
            match there.filter(|there| there.content == entry.content && !seeded::is("copies-are-moves")) {
                None => pair.hosts[side as usize].alone.push((name, entry)),
                Some(_) if side == Side::Ours => pair.shared.push((name, entry)),
                Some(_) => {}
            }
        }
    }
    all
}

impl Pair<'_> {
    fn sort(&mut self) {
        self.shared.sort_by(|a, b| order(a.0, a.1).cmp(&order(b.0, b.1)));
        for host in &mut self.hosts {
            host.gone.sort_by(|(_, a), (_, b)| order(&a.name, &a.entry).cmp(&order(&b.name, &b.entry)));
            host.alone.sort_by(|a, b| order(a.0, a.1).cmp(&order(b.0, b.1)));
        }
    }

    fn choose(&self, found: &mut [Matches; 2]) {
        let lacking = self.hosts.iter().map(|host| host.gone.len().saturating_sub(host.alone.len()));
        let lacking = lacking.max().unwrap_or_default();
        let theirs: BTreeSet<usize> = self.hosts[1].gone.iter().map(|(index, _)| *index).collect();
        let met = self.hosts[0].gone.iter().map(|(index, _)| *index).filter(|index| theirs.contains(index));
        for (index, (name, _)) in met.zip(&self.shared).take(lacking) {
            for found in &mut *found {
                found.insert(index, (*name).clone());
            }
        }
        for (found, host) in found.iter_mut().zip(&self.hosts) {
            let left: Vec<usize> =
                host.gone.iter().map(|(index, _)| *index).filter(|index| !found.contains_key(index)).collect();
            if left.len() <= host.alone.len() || seeded::is("guesses-moves") {
                found.extend(left.into_iter().zip(&host.alone).map(|(index, (name, _))| (index, (*name).clone())));
            }
        }
    }
}

/// By what they are matched: place and flags, then the name.
fn order<'a>(name: &'a Name, entry: &'a Entry) -> (Place, &'a Flags, &'a Name) {
    (entry.place, &entry.flags, name)
}
