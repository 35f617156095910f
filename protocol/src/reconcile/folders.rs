//! Folders made and removed.
//!
//! A folder that one host made is made on the other, empty or not. A folder that one host removed is
//! removed on the other when no message shall be in it any more; otherwise it is made again where it was
//! removed. The root itself is never removed.

use std::collections::BTreeSet;

use super::{Component, Input, Message, Note, Part, Plan, Side};
use crate::delta::Presence;
use crate::names::Folder;
use crate::step::Step;

/// Adds a component for every folder that must be made or removed.
pub(super) fn plan_folders(input: &Input<'_>, messages: &[Message], plan: &mut Plan) {
    let populated: BTreeSet<&Folder> =
        messages.iter().filter_map(|m| m.goal.as_ref()).map(|goal| &goal.name.folder).collect();
    let mut touched: BTreeSet<&Folder> = populated.clone();
    for side in Side::BOTH {
        let changes = input.host(side).delta.folders.iter();
        touched.extend(changes.filter(|(_, change)| change.presence != Presence::Same).map(|(folder, _)| folder));
    }
    for folder in touched {
        let was = input.base.folders.contains_key(folder);
        let here = Side::BOTH.map(|side| input.present(side).has_folder(folder));
        let kept = if was { here == [true; 2] } else { here != [false; 2] };
        let wanted = kept || populated.contains(folder) || folder.is_root();
        if was && !kept && wanted && here != [false; 2] {
            plan.notes.push(Note::FolderKept(folder.clone()));
        }
        let part = |present: bool| Part {
            steps: match (present, wanted) {
                (false, true) => vec![Step::MakeFolder(folder.clone())],
                (true, false) => vec![Step::RemoveFolder(folder.clone())],
                _ => Vec::new(),
            },
            supply: vec![None; usize::from(present != wanted)],
            held: None,
        };
        let component = Component {
            folder: Some(folder.clone()),
            ours: part(here[0]),
            theirs: part(here[1]),
            ..Component::default()
        };
        if !component.ours.steps.is_empty() || !component.theirs.steps.is_empty() {
            plan.components.push(component);
        } else if was != wanted {
            plan.agreed_folders.push((folder.clone(), wanted));
        }
    }
}
