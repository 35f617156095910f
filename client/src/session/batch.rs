//! A batch: steps for both hosts, and the contents that they need, both ways at once.
//!
//! Nothing is asked for one by one: the server is told all steps and all that is wanted, contents
//! stream in both directions, and each host installs when it has what it needs and has sent what was
//! wanted of it. A step whose local source was gone is taken once more, with the bytes from the other host.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use smd_maildir::apply::Incoming;
use smd_maildir::fs::Fs;
use smd_maildir::send::{ContentSink, Wanted, send_contents};
use smd_protocol::delta::Meta;
use smd_protocol::reconcile::{Component, Side};
use smd_protocol::wire::{self, Fetch, FromClient, FromServer};
use smd_protocol::{Entry, Folder, Name, Outcome, Source, Step};
use smd_server::link::Job;

use super::SessionError;
use super::pair::Pair;
use super::peer::{Heard, Peer, unexpected};
use crate::progress::Progress;
use crate::report::{Host, Trouble};

/// A step with the message at the other host that has its bytes.
type Supplied = (Step, Option<Name>);

/// The outcomes of a component's open steps, by host.
pub(super) type Outcomes = [Vec<Outcome>; 2];

impl<F: Fs> Pair<F> {
    /// Takes the open steps of these components on both hosts. Gives the outcomes of each.
    pub(super) fn batch(
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
        let (mut waiting, mut told) = (asks, 0);
        while waiting {
            match peer.hear_message()? {
                FromServer::Outcomes { root: of, failed } if of == root => {
                    told += failed.len();
                    if failed.is_empty() || told > there.len() {
                        return Err(unexpected("more outcomes than there are steps"));
                    }
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
        // Of each message once, be it for its bytes or alone.
        let mut spellings = pending + unspelled.len();
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
                    spellings = spellings.checked_sub(1).ok_or_else(|| unexpected("spellings that nobody wanted"))?;
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
pub(super) struct Gauge<'a> {
    pub(super) progress: &'a Progress,
    pub(super) done: u64,
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
    let kept =
        steps.iter().zip(outcomes).filter(|(_, outcome)| !outcome.is_done() && !matches!(outcome, Outcome::Refused(_)));
    kept.filter_map(|((step, _), _)| if let Step::RemoveFolder(folder) = step { Some(folder.clone()) } else { None })
        .collect()
}
