//! Which messages are touched, and what base, ours and theirs hold of each.

use std::collections::{BTreeMap, BTreeSet};

use super::{At, Input, Message, Side};
use crate::delta::Presence;
use crate::names::{Folder, Name};
use crate::snapshot::Entry;

/// Touched messages by base name, and new names not yet matched to any.
pub(super) struct Gathered {
    /// One message for each touched base entry, with what each host still has *under that name*.
    pub(super) messages: Vec<Message>,
    /// Names that are in no base, by host.
    pub(super) new: [BTreeMap<Name, Entry>; 2],
    /// Base entries that count as never agreed on, because a host's folder was put back from a backup.
    pub(super) forgotten: BTreeSet<Name>,
}

/// The names of a folder that a host lost since the base.
fn lost_in(input: &Input<'_>, side: Side, folder: &Folder) -> Vec<Name> {
    let Some(change) = input.host(side).delta.folders.get(folder) else { return Vec::new() };
    match change.presence {
        Presence::Removed | Presence::Reset => input
            .base
            .folders
            .get(folder)
            .map(|section| section.entries().iter().map(|e| &e.uniq))
            .into_iter()
            .flatten()
            .filter(|uniq| change.seen(uniq).is_none())
            .map(|uniq| Name::new(folder, uniq))
            .collect(),
        Presence::Same | Presence::Added => change.gone.iter().map(|uniq| Name::new(folder, uniq)).collect(),
    }
}

/// Collects what both deltas touch.
pub(super) fn gather(input: &Input<'_>) -> Gathered {
    let mut forgotten = BTreeSet::new();
    for side in Side::BOTH {
        for folder in &input.host(side).put_back {
            forgotten.extend(lost_in(input, side, folder).into_iter().filter(|name| input.base.entry(name).is_some()));
            // Other bytes under a name are those of the backup, and no edit.
            let set = input.host(side).delta.folders.get(folder).into_iter().flat_map(|change| &change.set);
            let older = set.filter_map(|seen| {
                let name = Name::new(folder, &seen.entry.uniq);
                input.base.entry(&name).is_some_and(|base| base.content != seen.entry.content).then_some(name)
            });
            forgotten.extend(older);
        }
    }
    let mut touched: BTreeSet<Name> = forgotten.clone();
    for side in Side::BOTH {
        let delta = &input.host(side).delta;
        for (folder, change) in &delta.folders {
            touched.extend(lost_in(input, side, folder));
            touched.extend(change.set.iter().map(|seen| Name::new(folder, &seen.entry.uniq)));
        }
    }
    let mut gathered = Gathered { messages: Vec::new(), new: [BTreeMap::new(), BTreeMap::new()], forgotten };
    for name in touched {
        let at = |side| input.present(side).entry(&name).map(|entry| At { name: name.clone(), entry: entry.clone() });
        match input.base.entry(&name) {
            Some(entry) if !gathered.forgotten.contains(&name) => gathered.messages.push(Message {
                base: Some(At { name: name.clone(), entry: entry.clone() }),
                ours: at(Side::Ours).into_iter().collect(),
                theirs: at(Side::Theirs).into_iter().collect(),
                ..Message::default()
            }),
            _ => {
                for side in Side::BOTH {
                    if let Some(At { entry, .. }) = at(side) {
                        gathered.new[side as usize].insert(name.clone(), entry);
                    }
                }
            }
        }
    }
    gathered
}
