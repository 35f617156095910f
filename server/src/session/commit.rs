//! The end of a run: both halves of the base change together, or neither does.

use smd_maildir::fs::Fs;
use smd_protocol::limits::Weigh as _;
use smd_protocol::pack::{Part, Unpacker};
use smd_protocol::wire::FromServer;
use smd_protocol::{BaseId, counter, seeded};

use super::Session;
use crate::error::{ServeError, protocol};
use crate::link::{Outbox, send};

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
