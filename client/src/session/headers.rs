//! What digests do not tell: whether two messages differ by another program's mark alone, and by which fields two differ.
//!
//! Deliberately not here: what follows from it (`smd_protocol::reconcile`, `tell`).

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;

use smd_maildir::apply::Messages;
use smd_maildir::fs::Fs;
use smd_protocol::header;
use smd_protocol::reconcile::{Needs, Sample, Side, Stop};
use smd_protocol::wire::{self, FromClient, FromServer};
use smd_protocol::{Digest, Name};

use super::SessionError;
use super::pair::Pair;
use super::peer::{Peer, unexpected};
use crate::report::{Copies, Host};

/// Questions that are under way at a time.
const AHEAD: usize = 16;

/// Fields that are named.
const FIELDS: usize = 5;

/// What the planner asked for, as far as it is known.
#[derive(Default)]
pub(super) struct Learnt {
    pub(super) whole: HashMap<Name, Digest>,
    pub(super) bare: [HashMap<Name, Option<Digest>>; 2],
}

impl<F: Fs> Pair<F> {
    /// Learns what the planner needs.
    pub(super) fn learn(&self, needs: Needs, learnt: &mut Learnt, peer: &mut Peer) -> Result<(), SessionError> {
        for name in needs.whole_digests {
            // A message that cannot be read now has changed since the look: whatever its name
            // would be, the step on it will fail and the next run plans anew.
            let digest = self.local.whole_digest(&name).unwrap_or_else(|error| {
                tracing::debug!(%error, "no digest for a fresh uniq");
                Digest::of(name.uniq.as_bytes())
            });
            learnt.whole.insert(name, digest);
        }
        let [ours, theirs] = needs.bare_headers;
        let mut messages = self.local.root().cloned().map(Messages::new);
        for name in ours {
            let entry = self.input().present(Side::Ours).entry(&name).cloned();
            let both = messages.as_mut().zip(entry);
            let digest = both.and_then(|(messages, entry)| self.local.bare_header(messages, &name, &entry));
            learnt.bare[Side::Ours as usize].insert(name, digest);
        }
        let mut asked = theirs.chunks(wire::ITEMS_IN_FRAME);
        let mut told = theirs.chunks(wire::ITEMS_IN_FRAME);
        asked.by_ref().take(AHEAD).try_for_each(|names| self.ask_bare(names, peer))?;
        for names in told.by_ref() {
            let digests = match peer.hear_message()? {
                FromServer::BareHeaders { root, digests } if root == self.index && digests.len() == names.len() => {
                    digests
                }
                _ => return Err(unexpected("something else than headers")),
            };
            learnt.bare[Side::Theirs as usize].extend(names.iter().cloned().zip(digests));
            asked.next().map_or(Ok(()), |names| self.ask_bare(names, peer))?;
        }
        peer.round_trips += u64::from(!theirs.is_empty());
        Ok(())
    }

    fn ask_bare(&self, names: &[Name], peer: &Peer) -> Result<(), SessionError> {
        peer.say(&FromClient::BareHeaders { root: self.index, names: names.to_vec() })
    }

    /// Looks by which fields the messages differ that stop a run.
    pub(super) fn look_at_samples(&mut self, peer: &mut Peer) -> Result<(), SessionError> {
        let samples = match &self.plan.stop {
            Some(Stop::OtherHeaders { samples, .. } | Stop::Doubles { samples, .. }) => samples.clone(),
            _ => return Ok(()),
        };
        let mut all: Option<Vec<(String, bool, bool)>> = None;
        for Sample { new, old } in &samples {
            let (Some(one), Some(other)) = (self.header_of(new, peer)?, self.header_of(old, peer)?) else { continue };
            let [added, missing] = header::differing(&one, &other);
            let each = added.iter().chain(missing.iter().filter(|name| !added.contains(name)));
            let fields: Vec<_> =
                each.map(|name| (name.clone(), added.contains(name), missing.contains(name))).collect();
            all = Some(match all {
                None => fields,
                Some(all) => all.into_iter().filter(|(name, ..)| fields.iter().any(|(one, ..)| one == name)).collect(),
            });
        }
        let host = |side| if side == Side::Ours { Host::Client } else { Host::Server };
        let Some(first) = samples.first() else { return Ok(()) };
        let all = all.unwrap_or_default();
        // Where only one of the two copies has fields that the other lacks, it is that copy's host where they are removed.
        let only_new = all.iter().all(|(_, new, old)| *new && !old);
        let only_old = all.iter().all(|(_, new, old)| !new && *old);
        let at = match (only_new && !all.is_empty(), only_old && !all.is_empty()) {
            (true, _) => Some(host(first.new.0)),
            (_, true) => Some(host(first.old.0)),
            _ => None,
        };
        let names = samples.iter().map(|sample| sample.new.1.uniq.as_bytes().to_vec()).collect();
        // A name goes into a command that a person may type.
        let plain =
            |name: &String| name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let fields = all.into_iter().map(|(name, ..)| name).filter(plain).take(FIELDS).collect();
        let path = match at {
            Some(Host::Server) => self.remote().to_vec(),
            _ => self.local.path().as_os_str().as_bytes().to_vec(),
        };
        self.copies = Copies { fields, at, path, names };
        Ok(())
    }

    /// A message's header; none where it cannot be told.
    fn header_of(&self, (side, name): &(Side, Name), peer: &mut Peer) -> Result<Option<Vec<u8>>, SessionError> {
        if *side == Side::Ours {
            return Ok(self.local.header(name).ok());
        }
        if !self.tells_headers {
            return Ok(None);
        }
        peer.say(&FromClient::Header { root: self.index, name: name.clone() })?;
        peer.round_trips += 1;
        match peer.hear_message()? {
            FromServer::Header { root, bytes } if root == self.index => Ok((!bytes.is_empty()).then_some(bytes)),
            _ => Err(unexpected("something else than a header")),
        }
    }
}
