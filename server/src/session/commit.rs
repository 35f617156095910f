//! The end of a run: both halves of the base change together, or neither does.

use std::collections::HashSet;

use smd_maildir::fs::Fs;
use smd_maildir::run::RunError;
use smd_protocol::delta::Present;
use smd_protocol::limits::Weigh as _;
use smd_protocol::pack::{Part, Unpacker};
use smd_protocol::wire::{Failure, FromServer};
use smd_protocol::{BaseId, Content, Delta, Entry, Name, Seen, counter, seeded};

use super::{Active, Session};
use crate::error::{ServeError, protocol};
use crate::link::{Outbox, send};

impl<F: Fs> Active<F> {
    /// Whether this host knows the bytes of every entry that is to enter the base: its own look saw them, the common base has them, or
    /// a step of this session was to bring them. Names, flags and places are what both hosts will have, and this one may lack them
    /// for a while.
    fn knows_all(&mut self, changes: &Delta) -> Result<bool, RunError> {
        let (base, delta) = (self.run.base()?, self.run.delta().clone());
        let present = Present { base: &base, delta: &delta };
        let mut everything: Option<HashSet<Content>> = None;
        for (folder, change) in &changes.folders {
            for Seen { entry, .. } in &change.set {
                let name = Name::new(folder, &entry.uniq);
                let is = |found: Option<&Entry>| found.is_some_and(|found| found.content == entry.content);
                if is(present.entry(&name)) || is(base.entry(&name)) || self.brought.contains(&entry.content) {
                    continue;
                }
                let contents = || {
                    let old = base.folders.values().flat_map(|section| section.entries());
                    present.iter().map(|(_, entry)| entry).chain(old).map(|entry| entry.content).collect()
                };
                if !everything.get_or_insert_with(contents).contains(&entry.content)
                    && !seeded::is("a-base-of-anything")
                {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

impl<F: Fs, O: Outbox> Session<F, O> {
    /// More of a change of the base.
    pub(super) fn handle_prepare(&mut self, root: u16, parts: Vec<Part>) -> Result<(), ServeError> {
        let weight = parts.as_slice().weight();
        self.keep(weight)?;
        let active = self.active(root)?;
        active.kept[1] += weight;
        active.parts.extend(parts);
        Ok(())
    }

    /// The change is complete: stages the new base and says which one it is.
    pub(super) fn handle_prepare_end(
        &mut self,
        root: u16,
        counter: u64,
        from: Option<BaseId>,
    ) -> Result<(), ServeError> {
        if self.hello.as_ref().is_none_or(|hello| hello.dry_run) {
            return Err(protocol("a base in a dry run"));
        }
        let looks_at_it = self.authority.key.is_some();
        let active = self.active(root)?;
        if active.run.ids().current != from {
            return Err(protocol("changes of a base that is not the current one"));
        }
        let counted = active.run.counter().max(active.run.ids().highest_counter());
        if !counter::may_follow(counted, counter) {
            return Err(protocol("a counter that jumps"));
        }
        let mut unpacker = Unpacker::default();
        let parts = std::mem::take(&mut active.parts);
        let stored = active.run.stored()?;
        for part in parts {
            unpacker.take(stored, part).map_err(|error| protocol(error.to_string()))?;
        }
        let changes = unpacker.finish().map_err(|error| protocol(error.to_string()))?;
        if looks_at_it && !active.knows_all(&changes)? {
            let text = "the next base has messages that neither host has; nothing of it is kept";
            return Err(Failure::Refused(text.into()).into());
        }
        let id = active.run.prepare(counter, &changes)?;
        let kept = std::mem::take(&mut active.kept[1]);
        self.budget.let_go(kept);
        Ok(send(&self.outbox, &FromServer::Prepared { root, id })?)
    }

    /// The client has staged the same base: it becomes the current one.
    pub(super) fn handle_commit(&mut self, root: u16, id: BaseId) -> Result<(), ServeError> {
        let active = self.active(root)?;
        if active.run.ids().next != Some(id) {
            return Err(protocol("a base that was never prepared"));
        }
        if !seeded::is("says-committed-and-does-not") {
            active.run.commit(id)?;
        }
        Ok(send(&self.outbox, &FromServer::Committed { root })?)
    }
}
