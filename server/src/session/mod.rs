//! A session with one client: what the server does about each of its messages.
//!
//! The server decides nothing about mail. It looks, tells what changed, takes the steps that it is given
//! after checking each against its own disk, and keeps its half of the base.
//!
//! The rooms, in the order of a run: `begin` (roots, bases, looks), `confined` (whether this process can do what a run wants), `batch` (steps and contents), `commit`; `ledger` (what runs removed within a day); `graves` (what rests, for
//! a client that asks for nothing else); `headers`; `keys` (what a restricted key may remove, and what its owner hears); `presence` (sessions of one client, and
//! which clients there may be); `words` (what is
//! said of contents, troubles, and a look).
//!
//! Deliberately not here: frames and their order in time (`link`, `serve`), what a session may do and in which roots (`policy`), and
//! everything that touches a mailbox (`smd-maildir`).

mod batch;
mod begin;
mod commit;
mod confined;
mod graves;
mod headers;
mod keys;
mod ledger;
mod presence;
#[cfg(test)]
mod tests;
mod words;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use smd_maildir::apply::Incoming;
use smd_maildir::fs::Fs;
use smd_maildir::run::{RootRun, RunError};
use smd_protocol::limits::Budget;
use smd_protocol::pack::Part;
use smd_protocol::reconcile::Removal;
use smd_protocol::wire::{self, ClientHello, Depth, Fetch, Frame, FromClient, FromServer};
use smd_protocol::{Content, Name, Refusal, Step, codec};

pub(crate) use self::confined::Confined;
pub(crate) use self::presence::Presence;
pub use self::words::Words;
use crate::error::{ServeError, never_offered, protocol};
use crate::link::{Event, Outbox, ReadError, Ringer, send};
use crate::policy::Authority;
use crate::roots::Places;
use crate::watch::Rest;

/// A root of the run that is on.
struct Active<F: Fs> {
    run: RootRun<F>,
    steps: Vec<Step>,
    fetch: Vec<Fetch>,
    /// What the next batch removes, as the client counts it.
    removals: Vec<Removal>,
    /// Steps of the client that want to know how a message is spelled here.
    spell: Vec<(u32, Name)>,
    /// Steps of the batch that was begun and not yet installed.
    begun: Option<usize>,
    /// All steps of that batch were refused, for these reasons: nothing of it reaches the root.
    refused: Option<Vec<Refusal>>,
    parts: Vec<Part>,
    /// What of the budget is kept for the batch, and for the parts.
    kept: [usize; 2],
    /// The client did without a base already.
    adopted: bool,
    /// What this session's own steps were to bring, where the next base is looked at (`commit`).
    brought: HashSet<Content>,
    /// Its path without symlinks.
    real: Vec<u8>,
    /// This run is in the log of the client's key.
    is_in_log: bool,
    /// What a deliberate bug writes down too late.
    late: Vec<smd_maildir::keys::Line>,
}

impl<F: Fs> Active<F> {
    /// How many messages and folders this host knows of.
    fn known(&mut self) -> Result<u64, RunError> {
        let base = self.run.base()?;
        let found = self.run.delta().folders.values().map(|change| 1 + change.set.len()).sum::<usize>();
        Ok((base.messages() + base.folders.len() + found) as u64)
    }
}

/// A session with one client, fed with what comes in.
pub struct Session<F: Fs, O: Outbox> {
    fs: Arc<F>,
    places: Places,
    /// What the session may do.
    authority: Authority,
    /// Whether the client is to be told that its key is not limited, though a command makes it look so; none: not asked yet.
    not_limited: Option<bool>,
    outbox: O,
    /// What can end a wait for the client; none where a session cannot rest.
    ringer: Option<Ringer>,
    /// The watch between the runs, once the client asked for one.
    rest: Option<Rest<F>>,
    /// Everything said is compressed.
    compressed: bool,
    /// The client takes word of what is left out by design.
    hears_of_left_out: bool,
    /// The client wants to know how much room there is.
    tells_room: bool,
    /// The client connects again when it is told to.
    reconnects: bool,
    /// How the process is confined, in words, and to what.
    confined: Confined<F>,
    /// No run is on, and the session stays.
    rests: bool,
    /// The client takes word of there being too many sessions.
    hears_busy: bool,
    /// Its place among the sessions of its client.
    presence: Presence<F>,
    /// Of the run that is on.
    hello: Option<ClientHello>,
    roots: Vec<Active<F>>,
    /// The roots of a session for their graves; then there are no others.
    graves: Vec<graves::Asked<F>>,
    /// What the owner was told of other keys in this run.
    reported: Vec<(smd_maildir::home::Label, smd_maildir::keys::Heard)>,
    /// The message whose bytes are coming in; none where its step was refused, and they are passed over.
    incoming: Option<(u32, Option<Incoming<F>>)>,
    /// What the client makes this host keep.
    budget: Budget,
    /// Hellos since the last run.
    hellos: usize,
}

impl<F: Fs, O: Outbox> Session<F, O> {
    /// Begins a session that may do so much and answers into this outbox. Nothing is touched before the client's Hello.
    pub fn new(fs: Arc<F>, places: &Places, authority: Authority, outbox: O) -> Self {
        Self {
            fs,
            places: places.clone(),
            authority,
            not_limited: None,
            outbox,
            ringer: None,
            rest: None,
            compressed: false,
            hears_of_left_out: false,
            tells_room: false,
            reconnects: false,
            confined: Confined::default(),
            rests: false,
            hears_busy: false,
            presence: Presence::Uncounted,
            hello: None,
            roots: Vec::new(),
            graves: Vec::new(),
            reported: Vec::new(),
            incoming: None,
            budget: Budget::default(),
            hellos: 0,
        }
    }

    /// Gives it what can end a wait for the client; only then it can watch between two runs.
    pub(crate) fn wakes_by(&mut self, ringer: Option<Ringer>) {
        self.ringer = ringer;
    }

    /// Tells it how the process is confined.
    pub(crate) fn is_confined(&mut self, confined: Confined<F>) {
        self.confined = confined;
    }

    /// Whether this end is at work from now on, or waits for the client.
    pub(crate) fn works(&self, works: bool) {
        self.outbox.works(works);
    }

    /// Whether the client may say nothing for as long as it likes: between two runs, when nothing is held.
    pub(crate) fn rests(&self) -> bool {
        self.rests
    }

    /// Deals with what came in, or with nothing having come for too long. Breaks when the client is done.
    ///
    /// # Errors
    /// When the session cannot go on; the client was told, if it can still hear.
    pub fn hear(&mut self, event: Option<Event>) -> Result<ControlFlow<()>, ServeError> {
        let result = self.take_in(event);
        if let Err(ServeError::Failure(failure)) = &result {
            let failure = self.known(failure);
            // That the client cannot be told any more is no second failure.
            let _ = send(&self.outbox, &FromServer::Fail(failure));
        }
        result
    }

    fn take_in(&mut self, event: Option<Event>) -> Result<ControlFlow<()>, ServeError> {
        match event {
            Some(Event::Frame(Frame::Piece(bytes))) => self.handle_piece(&bytes)?,
            Some(Event::Frame(Frame::Message(bytes))) => {
                let message = codec::decode(&bytes).map_err(|error| protocol(error.to_string()))?;
                if message == FromClient::Bye {
                    self.note_reported()?;
                    return Ok(ControlFlow::Break(()));
                }
                self.handle(message)?;
            }
            // A client that goes away between two messages is like one that was interrupted: what it
            // committed stands, and the next run goes on from there.
            Some(Event::End) => return Ok(ControlFlow::Break(())),
            Some(Event::Broken(ReadError::Io(error))) => return Err(ReadError::Io(error).into()),
            Some(Event::Broken(error)) => return Err(protocol(error.to_string())),
            Some(Event::Rung) => {
                if self.rest.as_ref().is_some_and(Rest::is_due) {
                    send(&self.outbox, &FromServer::Changed)?;
                }
            }
            None => return Err(ServeError::Silence(wire::SILENCE_SECONDS)),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn handle(&mut self, message: FromClient) -> Result<(), ServeError> {
        match message {
            FromClient::Hello(hello) => self.handle_hello(hello),
            FromClient::Adopt { root } => self.handle_adopt(root),
            FromClient::Batch { root, steps, fetch } => self.handle_batch(root, steps, fetch),
            FromClient::BatchReady { root } => self.handle_batch_ready(root),
            FromClient::Content(start) => self.handle_content(start),
            FromClient::ContentEnd(end) => self.handle_content_end(end),
            FromClient::BatchEnd { root } => self.handle_batch_end(root),
            FromClient::Prepare { root, parts } => self.handle_prepare(root, parts),
            FromClient::PrepareEnd { root, counter, from } => self.handle_prepare_end(root, counter, from),
            FromClient::Abort { root } => Ok(self.active(root)?.run.abort()?),
            FromClient::Commit { root, id } => self.handle_commit(root, id),
            FromClient::Rest => self.handle_rest(),
            FromClient::Spelled(spelled) => self.handle_spelled(&spelled),
            FromClient::Spell { root, wanted } => self.handle_spell(root, wanted),
            FromClient::BareHeaders { root, names } => self.handle_bare_headers(root, &names),
            FromClient::Header { root, name } => self.handle_header(root, &name),
            FromClient::Ledger { root, act } => self.handle_ledger(root, act),
            FromClient::Grave { root, wish } => self.handle_grave(root, wish),
            FromClient::Bye | FromClient::Ping | FromClient::Working => Ok(()),
        }
    }

    fn active(&mut self, root: u16) -> Result<&mut Active<F>, ServeError> {
        self.roots.get_mut(usize::from(root)).ok_or_else(never_offered)
    }

    /// Counts so much as kept.
    fn keep(&mut self, bytes: usize) -> Result<(), ServeError> {
        if self.budget.keep(bytes).is_ok() {
            return Ok(());
        }
        // How many messages there are is counted only for a client that says a great deal.
        let resting: u64 = self.graves.iter().map(graves::Asked::known).sum();
        let known = self.roots.iter_mut().try_fold(resting, |sum, active| Ok::<_, RunError>(sum + active.known()?))?;
        self.budget.knows(known);
        self.budget.keep(bytes).map_err(|over| protocol(format!("the client said {over}")))
    }

    /// The run is over, and the session stays.
    fn handle_rest(&mut self) -> Result<(), ServeError> {
        if self.rest.is_none() || self.hello.is_none() {
            return Err(protocol("a rest that was not agreed on, or not after a run"));
        }
        self.note_reported()?;
        self.end_run();
        self.rests = true;
        self.gives_place();
        let mut unwatched = self.rest.as_mut().map(Rest::rest).unwrap_or_default();
        unwatched.truncate(words::TROUBLES_MAX);
        Ok(send(&self.outbox, &FromServer::Resting { unwatched })?)
    }

    /// Keeps what was learnt, and lets go of everything.
    fn end_run(&mut self) {
        self.incoming = None;
        self.graves.clear();
        self.not_limited = self.not_limited.map(|_| false);
        self.budget = Budget::default();
        let depth = self.hello.take().map_or(Depth::Quick, |hello| hello.depth);
        for mut active in std::mem::take(&mut self.roots) {
            active.run.finish(depth);
        }
    }

    /// Ends the session: keeps what was learnt, lets go of everything, and waits until all was said.
    pub fn finish(mut self) {
        self.end_run();
        let _ = self.outbox.drain(&mut || {});
    }
}
