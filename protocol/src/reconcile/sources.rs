//! Where the bytes of each step come from: from the host itself where it has them, whole or at least the body;
//! else over the wire.
//!
//! Comes after `hold`: a step that waits brings nothing in, so no other may count on its bytes.

use std::collections::HashMap;

use super::{Input, Plan, Side};
use crate::digest::{Content, Digest};
use crate::names::Name;
use crate::snapshot::Entry;
use crate::step::{Source, Step};

/// What a header is expected to weigh on the wire, in bytes; only for sizing batches.
const HEADER_GUESS: u64 = 2048;

/// Gives every step that brings bytes in its source.
pub(super) fn choose(input: &Input<'_>, plan: &mut Plan) {
    for side in Side::BOTH {
        let wanted: Vec<Content> = plan
            .components
            .iter()
            .flat_map(|c| &c.part(side).steps)
            .filter_map(Step::bytes)
            .map(|bytes| bytes.content)
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let mut whole: HashMap<Content, Option<Name>> = wanted.iter().map(|&content| (content, None)).collect();
        let nothing = Digest::of(b"");
        let mut body: HashMap<Digest, Option<Name>> =
            wanted.iter().map(|c| c.body).filter(|&body| body != nothing).map(|b| (b, None)).collect();
        let keep_least = |slot: &mut Option<Name>, folder, entry: &Entry| {
            let name = Name::new(folder, &entry.uniq);
            if slot.as_ref().is_none_or(|held| name < *held) {
                *slot = Some(name);
            }
        };
        for (folder, entry) in input.present(side).iter() {
            if let Some(slot) = whole.get_mut(&entry.content) {
                keep_least(slot, folder, entry);
            }
            if let Some(slot) = body.get_mut(&entry.content.body) {
                keep_least(slot, folder, entry);
            }
        }
        for component in &mut plan.components {
            let mut wire = 0;
            let part = component.part_mut(side);
            let waits = part.held.is_some();
            for (step, supply) in part.steps.iter_mut().zip(&part.supply) {
                let target = step.target().cloned();
                let (Step::Put { bytes, .. } | Step::Replace { bytes, .. }) = step else { continue };
                let size = supply
                    .as_ref()
                    .and_then(|name| input.host(side.other()).delta.seen(name)?.meta)
                    .map_or(0, |meta| meta.size);
                let held = whole.get_mut(&bytes.content);
                match held {
                    // Without a known mtime the bytes must come with one.
                    Some(Some(name)) if bytes.mtime.is_some() => bytes.source = Source::Copy(name.clone()),
                    slot => {
                        match body.get(&bytes.content.body) {
                            Some(Some(name)) => {
                                bytes.source = Source::Body(name.clone());
                                wire += HEADER_GUESS.min(size);
                            }
                            _ => wire += size,
                        }
                        // Whoever needs the same bytes later in this run finds them here.
                        if let (Some(slot @ None), Some(target), false) = (slot, target, waits) {
                            *slot = Some(target);
                        }
                    }
                }
            }
            component.wire_bytes += if waits { 0 } else { wire };
        }
    }
}
