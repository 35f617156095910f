//! A batch: steps for both hosts, and the contents that they need, both ways at once.
//!
//! Nothing is asked for one by one: the server is told all steps and all that is wanted, contents
//! stream in both directions, and each host installs when it has what it needs and has sent what was
//! wanted of it. A step whose local source was gone is taken once more, with the bytes from the other host.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use smd_maildir::apply::Incoming;
use smd_maildir::fs::Fs;
use smd_maildir::send::{ContentSink, Wanted, send_contents};
use smd_protocol::delta::{Delta, Meta};
use smd_protocol::reconcile::{Begun, Component, Side};
use smd_protocol::wire::{self, Fetch, FromClient, FromServer};
use smd_protocol::{Entry, Folder, Name, Outcome, Source, Step};
use smd_server::link::Job;

use super::SessionError;
use super::pair::Pair;
use super::peer::{Heard, Peer, unexpected};
use crate::progress::Progress;
use crate::report::{Host, Trouble};

/// Bytes that the first batch may bring over the wire; later ones follow the rate that was seen.
const FIRST_BYTES: u64 = 64 << 20;
/// A batch is never planned larger than this, in bytes: a commit every GiB at least.
const MOST_BYTES: u64 = 1 << 30;
/// Nor smaller than this.
const LEAST_BYTES: u64 = 4 << 20;
/// How long a batch should take.
const BATCH_TIME: Duration = Duration::from_secs(30);
/// Components in one batch.
const MOST_COMPONENTS: usize = 50_000;

/// A step with the message at the other host that has its bytes.
type Supplied = (Step, Option<Name>);

/// The outcomes of a component's open steps, by host.
pub(super) type Outcomes = [Vec<Outcome>; 2];

impl<F: Fs> Pair<F> {
    /// Carries out the plan, batch by batch, each ended by a commit.
    pub(super) fn carry_out(&mut self, peer: &mut Peer, progress: &Progress) -> Result<(), SessionError> {
        if self.unusable || self.plan.stop.is_some() {
            return Ok(());
        }
        self.keep_guard(peer)?;
        if self.gives_up_base {
            self.local.put_base_aside()?;
        }
        let plan = std::mem::take(&mut self.plan);
        let mut rest = &plan.components[..];
        let mut budget = FIRST_BYTES;
        let mut changes = self.local.upkeep()?;
        plan.settle_agreed(&self.input(), &mut changes);
        let mut agreed: Vec<Name> = match self.begun.is_empty() {
            true => Vec::new(),
            false => plan.agreed.iter().map(|(name, _)| name.clone()).collect(),
        };
        let mut unhandled = BTreeSet::new();
        let mut steps_done = 0;
        loop {
            // A second message of one uniq has its own name before anything is sent by that.
            let size = match rest.iter().take_while(|component| component.is_parting()).count() {
                0 => batch_size(rest, budget),
                partings => partings,
            };
            let (now, later) = rest.split_at(size);
            let since = Instant::now();
            let before = peer.bytes();
            let outcomes = self.batch(now, peer, &Gauge { progress, done: steps_done })?;
            for (component, outcomes) in now.iter().zip(&outcomes) {
                let done = [0, 1].map(|side: usize| outcomes[side].iter().map(Outcome::is_done).collect::<Vec<_>>());
                plan.settle_component(&self.input(), component, [&done[0], &done[1]], &mut changes);
                let whole = component.ours.held.is_none() && component.theirs.held.is_none();
                if !whole || !done.iter().flatten().all(|done| *done) {
                    unhandled.extend(component.names.iter().map(|name| name.folder.clone()));
                } else {
                    self.begun.settle(&component.names);
                }
                let has_all = |side: Side| {
                    let part = component.part(side);
                    part.held.is_none() && !part.steps.is_empty() && done[side as usize].iter().all(|done| *done)
                };
                if Side::BOTH.into_iter().any(has_all) {
                    // This host has both the base's bytes and those that were brought, be the other held for ever.
                    self.begun.settle_given(&component.names);
                }
                steps_done += (done[0].len() + done[1].len()) as u64;
                self.count(component, outcomes, progress.journal());
            }
            for folder in std::mem::take(&mut self.unmade) {
                plan.settle_unmade(&self.input(), &folder, &mut changes);
            }
            let last = later.is_empty();
            let mut unsure = std::mem::take(&mut self.unsure);
            for (component, outcomes) in now.iter().zip(&outcomes) {
                // A failed sync may leave what such a step installed.
                unsure.bring(&self.input(), component, |side, step| !outcomes[side as usize][step].is_done());
            }
            self.unsure = unsure;
            self.mark_adopting(&plan, &mut changes, &|folder| !last || unhandled.contains(folder))?;
            let committed = self.commit(std::mem::take(&mut changes), peer)?;
            self.begun.settle(&std::mem::take(&mut agreed));
            let all_seen = self.troubles.is_empty() && !self.ours.incomplete && !self.theirs.incomplete;
            if last && unhandled.is_empty() && self.unsure.is_empty() && all_seen {
                // Both hosts are as the base says, whatever was brought.
                self.begun = Begun::default();
            }
            self.note_unsure(committed)?;
            let after = peer.bytes();
            progress.at(steps_done, after.0 + after.1);
            budget = next_budget((after.0 + after.1) - (before.0 + before.1), since.elapsed(), budget);
            rest = later;
            if last {
                break;
            }
        }
        self.plan = plan;
        Ok(())
    }

    /// Notes what is in no base still, after a commit on top of the new one: what steps that were not finished may have brought,
    /// and what an earlier run that was cut brought and this one could not settle. Where nothing is left of it, the note goes,
    /// else a later delete of a message that was settled would be taken for what the cut run left.
    fn note_unsure(&mut self, committed: bool) -> Result<(), SessionError> {
        if committed {
            // The note was for the base before.
            let earlier = std::mem::take(&mut self.begun);
            self.begun.still_after(&earlier);
        }
        let mut unsure = self.unsure.clone();
        unsure.still(&self.begun);
        if !unsure.is_empty() {
            unsure.forget(self.local.stored()?);
        }
        Ok(self.local.note_begun(&unsure)?)
    }

    /// Adds the marks of sections that are being adopted, or are adopted completely now.
    fn mark_adopting(
        &mut self,
        plan: &smd_protocol::reconcile::Plan,
        changes: &mut Delta,
        adopting: &dyn Fn(&Folder) -> bool,
    ) -> Result<(), SessionError> {
        if plan.adopting.is_empty() {
            return Ok(());
        }
        let (ours, theirs, adopt) = (&self.ours, &self.theirs, self.local.adopts());
        let base = self.local.stored()?;
        plan.settle_adopting(
            &smd_protocol::reconcile::Input { base, adopt, ours, theirs, begun: &self.begun },
            changes,
            adopting,
        );
        Ok(())
    }

    /// Takes the open steps of these components on both hosts. Gives the outcomes of each.
    fn batch(
        &mut self,
        components: &[Component],
        peer: &mut Peer,
        gauge: &Gauge<'_>,
    ) -> Result<Vec<Outcomes>, SessionError> {
        let open = |side: Side| -> Vec<Supplied> {
            let parts = components.iter().map(|component| component.part(side)).filter(|part| part.held.is_none());
            parts.flat_map(|part| part.steps.iter().cloned().zip(part.supply.iter().cloned())).collect()
        };
        let (ours, theirs) = (open(Side::Ours), open(Side::Theirs));
        let mut brings = self.unsure.clone();
        components.iter().for_each(|component| brings.bring(&self.input(), component, |_, _| true));
        brings.still(&self.begun);
        self.local.note_begun(&brings)?;
        self.count_removals(components, peer)?;
        let mut all = self.exchange([ours.clone(), theirs.clone()], peer, gauge)?;

        // Once more, with bytes from the other host; and folders that could not go are made again.
        let again = |steps: &[Supplied], outcomes: &[Outcome]| -> (Vec<usize>, Vec<Supplied>) {
            let lacking =
                steps.iter().zip(outcomes).enumerate().filter(|(_, (_, outcome))| **outcome == Outcome::NeedBytes);
            lacking.map(|(at, ((step, supply), _))| (at, (whole_from_wire(step.clone()), supply.clone()))).unzip()
        };
        let retries = [again(&ours, &all[0]), again(&theirs, &all[1])];
        let [kept_here, kept_there] = [kept_folders(&ours, &all[0]), kept_folders(&theirs, &all[1])];
        let [(at_ours, mut more_ours), (at_theirs, mut more_theirs)] = retries;
        let mut unmade: BTreeSet<Folder> = kept_here.iter().chain(&kept_there).cloned().collect();
        let make = |folder: &Folder| (Step::MakeFolder(folder.clone()), None);
        if self.direction.changes(Side::Ours) {
            more_ours.extend(kept_there.iter().map(make));
        }
        if self.direction.changes(Side::Theirs) {
            more_theirs.extend(kept_here.iter().map(make));
        }
        if !more_ours.is_empty() || !more_theirs.is_empty() {
            let second = self.exchange([more_ours, more_theirs], peer, gauge)?;
            for ((places, made), (all, second)) in
                [(at_ours, kept_there), (at_theirs, kept_here)].into_iter().zip(all.iter_mut().zip(&second))
            {
                for (at, outcome) in places.iter().zip(second) {
                    all[*at] = outcome.clone();
                }
                let making = second.iter().skip(places.len());
                for (folder, _) in made.iter().zip(making).filter(|(_, outcome)| outcome.is_done()) {
                    unmade.remove(folder);
                }
            }
        }
        self.unmade.extend(unmade);

        let mut each = all.map(Vec::into_iter);
        Ok(components
            .iter()
            .map(|component| {
                let ours = each[0].by_ref().take(component.ours.open().len()).collect();
                let theirs = each[1].by_ref().take(component.theirs.open().len()).collect();
                [ours, theirs]
            })
            .collect())
    }

    /// Gives both hosts their steps and the contents for them, and waits until both have installed.
    fn exchange(
        &mut self,
        steps: [Vec<Supplied>; 2],
        peer: &mut Peer,
        gauge: &Gauge<'_>,
    ) -> Result<Outcomes, SessionError> {
        let [ours, theirs] = steps;
        let root = self.index;
        let fetch = wanted(&ours);
        let spell = if self.spells { copied(&ours) } else { Vec::new() };
        let send = Wanted { bytes: wanted(&theirs), spellings: self.spells.then(|| copied(&theirs)) };
        let ours: Vec<Step> = ours.into_iter().map(|(step, _)| step).collect();
        let theirs: Vec<Step> = theirs.into_iter().map(|(step, _)| step).collect();
        let sent = Arc::new(AtomicU64::new(0));
        let asks = !theirs.is_empty() || !fetch.is_empty() || !spell.is_empty();
        if asks {
            for steps in theirs.chunks(wire::ITEMS_IN_FRAME) {
                peer.say(&FromClient::Batch { root, steps: steps.to_vec(), fetch: Vec::new() })?;
            }
            for fetch in fetch.chunks(wire::ITEMS_IN_FRAME) {
                peer.say(&FromClient::Batch { root, steps: Vec::new(), fetch: fetch.to_vec() })?;
            }
            for wanted in spell.chunks(wire::ITEMS_IN_FRAME) {
                peer.say(&FromClient::Spell { root, wanted: wanted.to_vec() })?;
            }
            peer.say(&FromClient::BatchReady { root })?;
            if !send.is_empty() {
                peer.say_contents(self.sending(send, sent.clone())?)?;
            }
            peer.say(&FromClient::BatchEnd { root })?;
            peer.round_trips += 1;
        }
        if !ours.is_empty() {
            let stop = peer.stop_flag();
            let troubles = self.local.begin(ours, &|| stop.load(Ordering::Relaxed))?;
            self.troubles.extend(troubles.into_iter().map(|t| Trouble::new(Host::Client, t.path, t.text)));
        }
        self.receive(fetch.len(), spell.into_iter().map(|(step, _)| step).collect(), peer, gauge)?;
        if asks {
            // The server must have all our bytes before names change here.
            let received = fetch.len() as u64;
            peer.drain(&mut || gauge.show(received + sent.load(Ordering::Relaxed), peer))?;
        }
        let stop = peer.stop_flag();
        let here = self.local.install(&|| stop.load(Ordering::Relaxed))?;
        gauge.progress.journal().changed(self.local.take_changes());
        let mut there = vec![Outcome::Done; theirs.len()];
        let mut waiting = asks;
        while waiting {
            match peer.hear_message()? {
                FromServer::Outcomes { root: of, failed } if of == root => {
                    for (step, outcome) in failed {
                        *there.get_mut(step as usize).ok_or_else(|| unexpected("the outcome of no step"))? =
                            outcome.map(|text| text.escaped());
                    }
                }
                FromServer::BatchDone { root: of } if of == root => waiting = false,
                _ => return Err(unexpected("something else than outcomes")),
            }
        }
        Ok([here, there])
    }

    /// The job that sends contents to the server.
    fn sending(&self, send: Wanted, sent: Arc<AtomicU64>) -> Result<Job, SessionError> {
        let present = self.input().present(Side::Ours);
        let hints: HashMap<Name, Entry> =
            send.names().filter_map(|name| Some((name.clone(), present.entry(name)?.clone()))).collect();
        let root = self
            .local
            .root()
            .cloned()
            .ok_or_else(|| SessionError::Bug { text: "contents of a root that is not there".into() })?;
        Ok(Box::new(move |sink| send_contents(&root, &send, &hints, &mut Counting { sink, sent: &sent })))
    }

    /// Takes in the contents that were asked for, and how the messages for these steps are spelled.
    fn receive(
        &mut self,
        mut pending: usize,
        mut unspelled: HashSet<u32>,
        peer: &mut Peer,
        gauge: &Gauge<'_>,
    ) -> Result<(), SessionError> {
        let refused = |error: smd_maildir::apply::Refused| SessionError::Protocol { text: error.to_string() };
        let mut incoming: Option<(u32, Incoming<F>)> = None;
        let all = pending;
        while pending > 0 || !unspelled.is_empty() {
            gauge.show((all - pending) as u64, peer);
            let heard = peer.hear()?;
            let applier = self.local.applying().ok_or_else(|| unexpected("contents for no step"))?;
            match heard {
                Heard::Piece(bytes) => match &mut incoming {
                    Some((_, incoming)) => incoming.write(&bytes).map_err(refused)?,
                    None => return Err(unexpected("bytes of no message")),
                },
                Heard::Message(FromServer::Content(start)) if incoming.is_none() => {
                    let meta = Meta { size: start.size, mtime: start.mtime };
                    incoming = Some((start.step, applier.incoming(start.step as usize, meta).map_err(refused)?));
                }
                Heard::Message(FromServer::ContentEnd(end)) => {
                    match (incoming.take(), end.failed) {
                        (Some((step, _)), _) if step != end.step => {
                            return Err(unexpected("the end of other contents"));
                        }
                        (Some((_, incoming)), None) => incoming.finish(applier),
                        (Some((_, incoming)), Some(why)) => {
                            tracing::debug!(?why, "the server could not send a message");
                            incoming.abort();
                        }
                        (None, Some(why)) => tracing::debug!(?why, "the server could not open a message"),
                        (None, None) => return Err(unexpected("an end without a beginning")),
                    }
                    pending = pending.checked_sub(1).ok_or_else(|| unexpected("contents that nobody wanted"))?;
                }
                Heard::Message(FromServer::Spelled(spelled)) => {
                    unspelled.remove(&spelled.step);
                    if let Some(suffix) = &spelled.suffix {
                        applier.spell(spelled.step as usize, suffix).map_err(refused)?;
                    }
                }
                Heard::Message(_) => return Err(unexpected("something else than contents")),
            }
        }
        Ok(())
    }
}

/// Shows how far the steps are, from those that earlier batches have done.
struct Gauge<'a> {
    progress: &'a Progress,
    done: u64,
}

impl Gauge<'_> {
    fn show(&self, contents: u64, peer: &Peer) {
        let (sent, received) = peer.bytes();
        self.progress.at(self.done + contents, sent + received);
    }
}

/// Counts the messages that were sent.
struct Counting<'a> {
    sink: &'a mut dyn ContentSink,
    sent: &'a AtomicU64,
}

impl ContentSink for Counting<'_> {
    fn start(&mut self, step: u32, meta: Meta) -> io::Result<()> {
        self.sink.start(step, meta)
    }

    fn spelled(&mut self, step: u32, suffix: Option<&[u8]>) -> io::Result<()> {
        self.sink.spelled(step, suffix)
    }

    fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.piece(bytes)
    }

    fn end(&mut self, step: u32, failed: Option<String>) -> io::Result<()> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.sink.end(step, failed)
    }
}

/// The contents that these steps need from the other host.
fn wanted(steps: &[Supplied]) -> Vec<Fetch> {
    let wanted = (0u32..).zip(steps).filter_map(|(step, (what, supply))| {
        let bytes = what.bytes()?;
        let header_only = match bytes.source {
            Source::Wire => false,
            Source::Body(_) => true,
            Source::Copy(_) => return None,
        };
        Some(Fetch { step, name: supply.clone()?, header_only, content: bytes.content })
    });
    wanted.collect()
}

/// Messages at the other host, of steps that bring them from what their own host has: only their spelling is not here.
fn copied(steps: &[Supplied]) -> Vec<(u32, Name)> {
    let copied = (0u32..).zip(steps).filter_map(|(at, (step, supply))| match step {
        Step::Put { bytes, .. } if matches!(bytes.source, Source::Copy(_)) => Some((at, supply.clone()?)),
        _ => None,
    });
    copied.collect()
}

fn whole_from_wire(mut step: Step) -> Step {
    if let Step::Put { bytes, .. } | Step::Replace { bytes, .. } = &mut step {
        bytes.source = Source::Wire;
    }
    step
}

/// Folders that could not be removed on one host, and are to be made again on the other.
fn kept_folders(steps: &[Supplied], outcomes: &[Outcome]) -> Vec<Folder> {
    let kept = steps.iter().zip(outcomes).filter(|(_, outcome)| !outcome.is_done());
    kept.filter_map(|((step, _), _)| if let Step::RemoveFolder(folder) = step { Some(folder.clone()) } else { None })
        .collect()
}

/// How many components the next batch takes: at least one, if there is one.
fn batch_size(components: &[Component], budget: u64) -> usize {
    let mut bytes = 0u64;
    let fits = components.iter().take(MOST_COMPONENTS).take_while(|component| {
        bytes = bytes.saturating_add(component.wire_bytes);
        bytes <= budget
    });
    fits.count().max(components.len().min(1))
}

/// What the next batch may bring, so that it takes about [`BATCH_TIME`] at the rate of the last one.
fn next_budget(bytes: u64, took: Duration, budget: u64) -> u64 {
    // A small batch says little about the rate.
    if bytes < LEAST_BYTES {
        return budget;
    }
    let rate = bytes as f64 / took.as_secs_f64().max(0.001);
    ((rate * BATCH_TIME.as_secs_f64()) as u64).clamp(LEAST_BYTES, MOST_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_takes_what_fits_and_at_least_one() {
        let component = |wire_bytes| Component { wire_bytes, ..Component::default() };
        let components = [component(5), component(5), component(5)];
        assert_eq!(batch_size(&components, 10), 2);
        assert_eq!(batch_size(&components, 1), 1);
        assert_eq!(batch_size(&components, 100), 3);
        assert_eq!(batch_size(&[], 100), 0);
    }

    #[test]
    fn a_slow_link_gets_small_batches() {
        let mib = 1 << 20;
        assert_eq!(next_budget(10 * mib, Duration::from_secs(100), FIRST_BYTES), LEAST_BYTES);
        assert_eq!(next_budget(1000 * mib, Duration::from_secs(1), FIRST_BYTES), MOST_BYTES);
        assert_eq!(next_budget(10, Duration::from_secs(1), FIRST_BYTES), FIRST_BYTES);
    }
}
