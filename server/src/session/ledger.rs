//! What runs removed here within a day, told to the client and kept as it says: its guard counts by it.

use smd_maildir::fs::Fs;
use smd_maildir::run::RunError;
use smd_protocol::Verb;
use smd_protocol::delta::Present;
use smd_protocol::limits::Weigh as _;
use smd_protocol::wire::{self, FromServer, LedgerAct};

use super::{Active, Session};
use crate::error::{ServeError, protocol};
use crate::link::{Outbox, send};

impl<F: Fs> Active<F> {
    /// Counts what the client said the next batch removes, durably, once for all of it. What it was among is what this host knows,
    /// and what is not here cannot be removed: the guard of other clients goes by it too.
    pub(super) fn count_removals(&mut self) -> Result<(), RunError> {
        let mut removals = std::mem::take(&mut self.removals);
        if removals.is_empty() {
            return Ok(());
        }
        let base = self.run.base()?;
        let delta = self.run.delta().clone();
        let (present, messages) = (Present { base: &base, delta: &delta }, base.messages() as u64);
        removals.retain(|one| present.entry(&one.name).is_some());
        for one in &mut removals {
            let section = base.folders.get(&one.name.folder);
            (one.section, one.base) = (section.map_or(0, |section| section.entries().len() as u64), messages);
        }
        self.run.count_removals(&removals, &|| false)
    }
}

impl<F: Fs, O: Outbox> Session<F, O> {
    /// Tells of the ledger, or changes it.
    pub(super) fn handle_ledger(&mut self, root: u16, act: LedgerAct) -> Result<(), ServeError> {
        let dry_run = self.hello.as_ref().is_none_or(|hello| hello.dry_run);
        if dry_run && act != LedgerAct::Tell {
            return Err(protocol("removals in a dry run"));
        }
        if act == LedgerAct::Tell {
            self.tell_budget(root)?;
        }
        if act != LedgerAct::Tell && !self.authority.rights.permits(Verb::Delete) {
            // It counts for the guards of all clients, and this one has nothing to count.
            return Ok(());
        }
        let Self { roots, outbox, .. } = self;
        let active = roots.get_mut(usize::from(root)).ok_or_else(crate::error::never_offered)?;
        if active.begun.is_some() {
            return Err(protocol("removals within a batch"));
        }
        match act {
            LedgerAct::Tell => {
                let all = active.run.removed().map_err(RunError::from)?;
                let mut parts = all.chunks(wire::ITEMS_IN_FRAME).peekable();
                if parts.peek().is_none() {
                    return Ok(send(outbox, &FromServer::Removed { root, removals: Vec::new(), last: true })?);
                }
                while let Some(part) = parts.next() {
                    let last = parts.peek().is_none();
                    send(outbox, &FromServer::Removed { root, removals: part.to_vec(), last })?;
                }
            }
            LedgerAct::Count(removals) => {
                self.keep_for_batch(root, removals.as_slice().weight())?.removals.extend(removals);
            }
            LedgerAct::Forget => active.run.forget_removals(&|| false)?,
        }
        Ok(())
    }
}
