//! Whether what a plan brings to each host fits on its disk, as far as that can be known before anything is sent.
//!
//! Only the sizes of messages that a look found new are known, and others write to the disk too: what is said is that the room
//! will not do, never that it will. The run goes on all the same, since what fits is done.
//!
//! Deliberately not here: what becomes of a step that found no room. That is its outcome.

use smd_maildir::fs::Fs;
use smd_protocol::names::printable;
use smd_protocol::reconcile::{HostView, Plan, Side};

use super::pair::Pair;
use crate::endpoint::Endpoint;
use crate::options::RunOptions;
use crate::progress::Progress;
use crate::report::summary::{count, size};
use crate::report::{Host, Met, Trouble};

/// What a plan brings to one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    messages: u64,
    bytes: u64,
}

/// The messages that the open steps of a host bring, with their sizes as the other host's look saw them.
fn load(plan: &Plan, side: Side, there: &HostView) -> Load {
    let mut load = Load::default();
    for part in plan.components.iter().map(|component| component.part(side)).filter(|part| part.held.is_none()) {
        for (step, supply) in part.steps.iter().zip(&part.supply) {
            let size = || Some(there.delta.seen(supply.as_ref()?)?.meta?.size);
            if let (Some(_), Some(size)) = (step.bytes(), size()) {
                load.messages += 1;
                load.bytes = load.bytes.saturating_add(size);
            }
        }
    }
    load
}

/// What is said when that much does not fit; none when it may.
fn short(load: Load, free: Option<u64>) -> Option<String> {
    let free = free.filter(|free| load.bytes > *free)?;
    let messages = count(load.messages, "message", "messages");
    Some(format!(
        "there is not enough room: {messages} with {} are to be written there, and {} are free; make room on this disk",
        size(load.bytes),
        size(free)
    ))
}

impl<F: Fs> Pair<F> {
    /// Says where the plan does not fit before anything is sent; a dry run has it in its report.
    pub(super) fn weigh(&mut self, endpoint: &Endpoint, options: &RunOptions, progress: &Progress) {
        if self.unusable || self.plan.stop.is_some() {
            return;
        }
        let loads = [
            (Side::Ours, load(&self.plan, Side::Ours, &self.theirs)),
            (Side::Theirs, load(&self.plan, Side::Theirs, &self.ours)),
        ];
        for (side, load) in loads.into_iter().filter(|(_, load)| load.bytes > 0) {
            let (host, name, free) = match side {
                Side::Ours => (Host::Client, &endpoint.client, self.local.room()),
                Side::Theirs => (Host::Server, &endpoint.server, self.room_there),
            };
            let Some(text) = short(load, free) else { continue };
            match options.dry_run {
                true => self.troubles.push(Trouble { met: Met::Step, ..Trouble::new(host, self.label.clone(), text) }),
                false => {
                    let (root, name) = (printable(&self.label), printable(name.as_bytes()));
                    progress.warn(&format!("{root} at {name}: {text}."));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_missed_only_where_it_is_known_to_be_too_little() {
        let load = Load { messages: 30, bytes: 3 << 20 };
        assert_eq!(short(load, None), None);
        assert_eq!(short(load, Some(3 << 20)), None);
        insta::assert_snapshot!(
            short(load, Some(900 << 10)).expect("too little"),
            @"there is not enough room: 30 messages with 3.0 MiB are to be written there, and 900 KiB are free; make room on this disk"
        );
    }
}
