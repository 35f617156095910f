//! Headers of messages that this session told of, for a client that must know by which field two messages differ.

use smd_maildir::apply::Messages;
use smd_maildir::fs::Fs;
use smd_protocol::delta::Present;
use smd_protocol::wire::FromServer;
use smd_protocol::{Entry, Name, Verb};

use super::{Active, Session};
use crate::error::{ServeError, never_offered, protocol};
use crate::link::{Outbox, send};

/// The entry that this session told of, or that both hosts have in the base.
fn told<F: Fs>(active: &mut Active<F>, name: &Name) -> Result<Entry, ServeError> {
    let base = active.run.base()?;
    let delta = active.run.delta().clone();
    let entry = Present { base: &base, delta: &delta }.entry(name).cloned();
    entry.ok_or_else(|| protocol("the header of a message that is not there"))
}

impl<F: Fs, O: Outbox> Session<F, O> {
    /// Digests of headers without marks.
    pub(super) fn handle_bare_headers(&mut self, root: u16, names: &[Name]) -> Result<(), ServeError> {
        let Self { roots, outbox, .. } = self;
        let active = roots.get_mut(usize::from(root)).ok_or_else(never_offered)?;
        let mut digests = Vec::with_capacity(names.len());
        let root_there = active.run.root().cloned().ok_or_else(|| protocol("headers of a root that is not there"))?;
        let mut messages = Messages::new(root_there);
        for name in names {
            let entry = told(active, name)?;
            digests.push(active.run.bare_header(&mut messages, name, &entry));
        }
        Ok(send(outbox, &FromServer::BareHeaders { root, digests })?)
    }

    /// A header.
    pub(super) fn handle_header(&mut self, root: u16, name: &Name) -> Result<(), ServeError> {
        let Self { roots, outbox, authority, .. } = self;
        let active = roots.get_mut(usize::from(root)).ok_or_else(never_offered)?;
        told(active, name)?;
        let bytes = match authority.rights.permits(Verb::Fetch) {
            true => active.run.header(name).unwrap_or_default(),
            false => Vec::new(),
        };
        Ok(send(outbox, &FromServer::Header { root, bytes })?)
    }
}
