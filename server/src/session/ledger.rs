//! What runs removed here within a day, told to the client and kept as it says: its guard counts by it.

use smd_maildir::fs::Fs;
use smd_maildir::run::RunError;
use smd_protocol::wire::{self, FromServer, LedgerAct};

use super::Session;
use crate::error::{ServeError, protocol};
use crate::link::{Outbox, send};

impl<F: Fs, O: Outbox> Session<F, O> {
    /// Tells of the ledger, or changes it.
    pub(super) fn handle_ledger(&mut self, root: u16, act: LedgerAct) -> Result<(), ServeError> {
        let dry_run = self.hello.as_ref().is_none_or(|hello| hello.dry_run);
        if dry_run && act != LedgerAct::Tell {
            return Err(protocol("removals in a dry run"));
        }
        let Self { roots, outbox, .. } = self;
        let active = roots.get_mut(usize::from(root)).ok_or_else(crate::error::never_offered)?;
        if active.begun.is_some() {
            return Err(protocol("removals within a batch"));
        }
        let stop = || false;
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
            LedgerAct::Count(removals) => active.run.count_removals(&removals, &stop)?,
            LedgerAct::Forget => active.run.forget_removals().map_err(RunError::from)?,
        }
        Ok(())
    }
}
