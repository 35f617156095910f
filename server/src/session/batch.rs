//! A batch of steps: what it asks for goes out, what it needs comes in, and then it is installed.

use std::collections::{HashMap, HashSet};

use smd_maildir::Trouble;
use smd_maildir::apply::Applier;
use smd_maildir::fs::Fs;
use smd_maildir::send::{Wanted, send_contents};
use smd_protocol::delta::{Meta, Present};
use smd_protocol::limits::{BROUGHT, Weigh as _};
use smd_protocol::rights::{Push, Verb};
use smd_protocol::wire::{self, ContentEnd, ContentStart, Fetch, FromServer, Spelled};
use smd_protocol::{Entry, Name, Outcome, Step, Told, seeded};

use super::keys::Admitted;
use super::words::{NOT_LISTED, few};
use super::{Active, Session};
use crate::error::{ServeError, never_offered, protocol};
use crate::link::{Job, Outbox, send};
use crate::policy::Authority;

impl<F: Fs> Active<F> {
    /// Begins the steps that this authority admits. What is to be removed is counted before any of them.
    fn begin(&mut self, authority: &Authority, steps: Vec<Step>) -> Result<Vec<Trouble>, ServeError> {
        self.count_removals()?;
        let asks = authority.asks() || authority.key.is_some();
        let Admitted { refused, after } = if asks { self.admit(authority, &steps)? } else { Admitted::default() };
        let changes_nothing = steps.is_empty() && authority.rights.push == Push::Nothing;
        if changes_nothing || !refused.is_empty() && refused.len() == steps.len() {
            // Nothing below the root is touched, not even what an earlier run left there.
            self.refused = Some(refused.into_iter().map(|(_, refusal)| refusal).collect());
            return Ok(Vec::new());
        }
        if authority.key.is_some() {
            self.brought.extend(steps.iter().filter_map(Step::bytes).map(|bytes| bytes.content));
        }
        let troubles = self.run.begin_admitted(steps, refused, &|| false)?;
        if let Some(applier) = self.run.applying() {
            after.into_iter().for_each(|(at, other)| applier.only_after(at, other));
        }
        Ok(troubles)
    }
}

impl<F: Fs, O: Outbox> Session<F, O> {
    /// More of a batch that is not complete yet.
    pub(super) fn handle_batch(&mut self, root: u16, steps: Vec<Step>, fetch: Vec<Fetch>) -> Result<(), ServeError> {
        if self.active(root)?.begun.is_some() {
            return Err(protocol("steps out of place"));
        }
        if self.authority.key.is_some() {
            self.keep(BROUGHT * steps.iter().filter(|step| step.bytes().is_some()).count())?;
        }
        let active = self.keep_for_batch(root, steps.as_slice().weight() + fetch.as_slice().weight())?;
        active.steps.extend(steps);
        active.fetch.extend(fetch);
        Ok(())
    }

    /// Counts what is kept until the batch is installed. Gives the root that it is for.
    pub(super) fn keep_for_batch(&mut self, root: u16, bytes: usize) -> Result<&mut Active<F>, ServeError> {
        self.keep(bytes)?;
        let active = self.active(root)?;
        active.kept[0] += bytes;
        Ok(active)
    }

    /// The batch is complete: its steps begin, and what it asks for is sent.
    pub(super) fn handle_batch_ready(&mut self, root: u16) -> Result<(), ServeError> {
        if self.hello.as_ref().is_none_or(|hello| hello.dry_run) {
            return Err(protocol("steps in a dry run"));
        }
        let spells = self.hello.iter().flat_map(|hello| &hello.features).any(|feature| *feature == *wire::SPELLING);
        let Self { roots, authority, outbox, .. } = self;
        let active = roots.get_mut(usize::from(root)).ok_or_else(never_offered)?;
        if active.begun.is_some() {
            return Err(protocol("a batch within a batch"));
        }
        let steps = std::mem::take(&mut active.steps);
        let mut bytes = std::mem::take(&mut active.fetch);
        if !authority.rights.permits(Verb::Fetch) {
            for Fetch { step, .. } in std::mem::take(&mut bytes) {
                let failed = Some("this key may not read messages".into());
                send(outbox, &FromServer::ContentEnd(ContentEnd { step, failed }))?;
            }
        }
        let spellings = spells.then(|| std::mem::take(&mut active.spell));
        let wanted = Wanted { bytes, spellings };
        active.begun = Some(steps.len());
        let troubles = active.begin(authority, steps)?;
        if !wanted.is_empty() {
            let base = active.run.base()?;
            let delta = active.run.delta().clone();
            let present = Present { base: &base, delta: &delta };
            let hints: HashMap<Name, Entry> =
                wanted.names().filter_map(|name| Some((name.clone(), present.entry(name)?.clone()))).collect();
            // Only what this session announced is ever sent: a name that no scan of ours saw has no hint.
            if hints.len() < wanted.names().collect::<HashSet<_>>().len() {
                return Err(protocol("a message was asked for that is not there"));
            }
            let root = active.run.root().cloned().ok_or_else(|| protocol("messages of a root that is not there"))?;
            let job: Job = Box::new(move |sink| send_contents(&root, &wanted, &hints, sink));
            self.outbox.contents(job)?;
        }
        self.tell(troubles)
    }

    /// Steps that want to know how a message is spelled here.
    pub(super) fn handle_spell(&mut self, root: u16, wanted: Vec<(u32, Name)>) -> Result<(), ServeError> {
        let spells = self.hello.iter().flat_map(|hello| &hello.features).any(|feature| *feature == *wire::SPELLING);
        if !spells || self.active(root)?.begun.is_some() {
            return Err(protocol("wishes out of place"));
        }
        self.keep_for_batch(root, wanted.as_slice().weight())?.spell.extend(wanted);
        Ok(())
    }

    /// How the client's message for a step is spelled.
    pub(super) fn handle_spelled(&mut self, spelled: &Spelled) -> Result<(), ServeError> {
        let Some(suffix) = &spelled.suffix else { return Ok(()) };
        if self.passes_over() {
            return Ok(());
        }
        self.open_batch()?.spell(spelled.step as usize, suffix).map_err(|error| protocol(error.to_string()))
    }

    fn tell(&self, troubles: Vec<Trouble>) -> Result<(), ServeError> {
        if troubles.is_empty() {
            return Ok(());
        }
        Ok(send(&self.outbox, &FromServer::Troubles(few(troubles, NOT_LISTED)))?)
    }

    /// Whether every step of the open batch was refused.
    fn passes_over(&self) -> bool {
        self.roots.iter().any(|active| active.begun.is_some() && active.refused.is_some())
    }

    /// The applier of the one root in which a batch is open.
    fn open_batch(&mut self) -> Result<&mut Applier<F>, ServeError> {
        let active = self.roots.iter_mut().find(|active| active.begun.is_some());
        active.and_then(|active| active.run.applying()).ok_or_else(|| protocol("contents outside of a batch"))
    }

    /// The bytes of a message begin.
    pub(super) fn handle_content(&mut self, start: ContentStart) -> Result<(), ServeError> {
        if self.incoming.is_some() {
            return Err(protocol("contents within contents"));
        }
        if self.passes_over() {
            self.incoming = Some((start.step, None));
            return Ok(());
        }
        let meta = Meta { size: start.size, mtime: start.mtime };
        let incoming =
            self.open_batch()?.incoming(start.step as usize, meta).map_err(|error| protocol(error.to_string()))?;
        self.incoming = Some((start.step, Some(incoming)));
        Ok(())
    }

    /// Some of them.
    pub(super) fn handle_piece(&mut self, bytes: &[u8]) -> Result<(), ServeError> {
        match &mut self.incoming {
            Some((_, Some(incoming))) => incoming.write(bytes).map_err(|error| protocol(error.to_string())),
            Some((_, None)) => Ok(()),
            None => Err(protocol("bytes of no message")),
        }
    }

    /// They are complete, or the client could not read on.
    pub(super) fn handle_content_end(&mut self, end: ContentEnd) -> Result<(), ServeError> {
        match (self.incoming.take(), end.failed) {
            (Some((step, _)), _) if step != end.step => Err(protocol("the end of other contents")),
            (Some((_, None)), _) => Ok(()),
            (Some((_, Some(incoming))), None) => {
                incoming.finish(self.open_batch()?);
                Ok(())
            }
            (Some((_, Some(incoming))), Some(_)) => {
                incoming.abort();
                Ok(())
            }
            // The client could not even open it: the step is not taken.
            (None, Some(_)) => Ok(()),
            (None, None) => Err(protocol("an end without a beginning")),
        }
    }

    /// All contents came: installs the steps and tells which were not done.
    pub(super) fn handle_batch_end(&mut self, root: u16) -> Result<(), ServeError> {
        if self.incoming.is_some() || self.active(root)?.begun.is_none() {
            return Err(protocol("the end of a batch that is not complete"));
        }
        // Everything the client wanted must have been read before names change.
        self.outbox.drain(&mut || {})?;
        let Self { roots, authority, .. } = self;
        let active = roots.get_mut(usize::from(root)).ok_or_else(never_offered)?;
        active.begun = None;
        let outcomes = match active.refused.take() {
            Some(refused) => refused.into_iter().map(Outcome::Refused).collect(),
            None => active.run.install(&|| false)?,
        };
        active.write_down_late(authority)?;
        let kept = std::mem::take(&mut active.kept[0]);
        self.budget.let_go(kept);
        let failed: Vec<(u32, Outcome<Told>)> = (0u32..)
            .zip(outcomes)
            .filter(|(_, outcome)| !outcome.is_done() && !seeded::is("failures-are-not-told"))
            .map(|(step, outcome)| (step, outcome.map(Told::from)))
            .collect();
        for failed in failed.chunks(wire::ITEMS_IN_FRAME) {
            send(&self.outbox, &FromServer::Outcomes { root, failed: failed.to_vec() })?;
        }
        Ok(send(&self.outbox, &FromServer::BatchDone { root })?)
    }
}
