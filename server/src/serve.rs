//! The serve loop: what the server does about each message of the client.
//!
//! The server decides nothing about mail. It looks, tells what changed, takes the steps that it is given
//! after checking each against its own disk, and keeps its half of the base.
//!
//! Deliberately not here: frames (`link`), which paths may be roots (`roots`), and everything that
//! touches a mailbox (`smd-maildir`).

use std::collections::HashMap;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use smd_maildir::apply::Incoming;
use smd_maildir::exclude::Excludes;
use smd_maildir::fs::Fs;
use smd_maildir::home::{Access, Home, Label, Side};
use smd_maildir::lock::LockError;
use smd_maildir::run::{RootRun, RunError, Settings};
use smd_maildir::send::send_contents;
use smd_maildir::store::StoreError;
use smd_protocol::delta::{Meta, Present};
use smd_protocol::names::printable;
use smd_protocol::pack::{self, Part, Unpacker};
use smd_protocol::wire::{
    self, ClientHello, ContentEnd, ContentStart, Depth, Failure, Fetch, Frame, FromClient, FromServer, Looked,
    PeerTrouble, RootAnswer, ServerHello,
};
use smd_protocol::{Entry, Name, Outcome, Step, codec, seeded};

use crate::link::{Event, Inbox, Job, Outbox, ReadError, Reader, Ringer, SendError, Wording, Writer, send};
use crate::memory::Memory;
use crate::roots;
use crate::watch::Rest;

/// How long a lock is waited for, in milliseconds.
const LOCK_WAIT_MS: u64 = 30_000;
/// Days that messages rest in this host's grave at least.
const GRAVE_DAYS_LEAST: u32 = 7;
/// What is said of this program: advice for a person.
const VERSION: &str = concat!("version=", env!("CARGO_PKG_VERSION"));
/// Steps in one batch.
const STEPS_MAX: usize = 2_000_000;
/// Parts of one change of the base.
const PARTS_MAX: usize = 100_000;

/// Where this account keeps things.
#[derive(Clone, Debug)]
pub struct Places {
    /// The home directory, where relative roots begin.
    pub user: PathBuf,
    /// `~/.smd`, or what `SMD_HOME` says.
    pub state: PathBuf,
}

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The session cannot go on; the client was told.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The client is gone.
    #[error(transparent)]
    Send(#[from] SendError),
    /// What came cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The client was silent for too long.
    #[error("nothing was heard from the client for {0} seconds")]
    Silence(u64),
}

impl From<RunError> for ServeError {
    fn from(error: RunError) -> Self {
        Self::Failure(failure(&error))
    }
}

fn failure(error: &RunError) -> Failure {
    match error {
        RunError::Lock(LockError::Held { path } | LockError::Stopped { path }) => {
            Failure::Locked { path: printable(path) }
        }
        RunError::Lock(LockError::Io(error)) | RunError::Io(error) | RunError::Store(StoreError::Io(error)) => {
            Failure::Io { path: printable(&error.path), text: error.to_string() }
        }
        RunError::Naming(text) => Failure::Config(text.clone()),
        RunError::Store(error) => Failure::Io { path: "the state".to_owned(), text: error.to_string() },
    }
}

fn protocol(text: impl Into<String>) -> ServeError {
    ServeError::Failure(Failure::Protocol(text.into()))
}

/// How the server says the two content messages.
#[derive(Debug)]
pub struct Words;

impl Wording for Words {
    fn start(&self, start: ContentStart) -> Vec<u8> {
        framed(&FromServer::Content(start))
    }

    fn end(&self, end: ContentEnd) -> Vec<u8> {
        framed(&FromServer::ContentEnd(end))
    }

    fn ping(&self) -> Vec<u8> {
        framed(&FromServer::Ping)
    }
}

fn framed(message: &FromServer) -> Vec<u8> {
    wire::message(message).expect("such a message is small")
}

/// Serves one client on this pipe until it says goodbye or goes away.
///
/// # Errors
/// When the session ended in any other way. Whatever was begun is finished by the next run.
pub fn serve<F: Fs>(
    fs: Arc<F>,
    places: &Places,
    reader: Box<dyn Read + Send>,
    writer: Box<dyn Write + Send>,
) -> Result<(), ServeError> {
    let inbox =
        Reader::start(reader, |first| matches!(codec::decode(first), Ok(FromClient::Hello(hello)) if hello.compress));
    let writer = Writer::start(writer, Words);
    let mut session = Session::new(fs, places, writer);
    session.ringer = inbox.ringer();
    let mut talk = Talk { session, inbox, memory: Memory::default() };
    let result = loop {
        match talk.rest() {
            Ok(Some(event)) => match talk.run(event) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break Ok(()),
                Err(error) => break Err(error),
            },
            Ok(None) => {}
            Err(error) => break Err(error),
        }
    };
    talk.session.finish();
    result
}

/// The two ends of serving.
struct Talk<F: Fs> {
    session: Session<F, Writer>,
    inbox: Reader,
    memory: Memory,
}

impl<F: Fs> Talk<F> {
    /// Waits between two runs. Gives what begins the next one, or ends the session.
    fn rest(&mut self) -> Result<Option<Event>, ServeError> {
        let event = self.inbox.next(Duration::from_secs(wire::SILENCE_SECONDS));
        let ping = match &event {
            Some(Event::Frame(Frame::Message(bytes))) => matches!(codec::decode(bytes), Ok(FromClient::Ping)),
            _ => false,
        };
        match event {
            Some(Event::Rung) | None => self.session.hear(event).map(|_| None),
            Some(_) if ping => {
                self.memory.rests();
                Ok(None)
            }
            event => Ok(event),
        }
    }

    /// Carries a run from its first message to the rest after it.
    fn run(&mut self, first: Event) -> Result<ControlFlow<()>, ServeError> {
        let Self { session, inbox, memory } = self;
        memory.runs();
        let mut event = Some(first);
        loop {
            match session.hear(event)? {
                ControlFlow::Continue(()) if session.hello.is_some() => {
                    event = inbox.next(Duration::from_secs(wire::SILENCE_SECONDS));
                }
                flow => return Ok(flow),
            }
        }
    }
}

fn never_offered() -> ServeError {
    protocol("a root that was never offered")
}

struct Active<F: Fs> {
    run: RootRun<F>,
    steps: Vec<Step>,
    fetch: Vec<Fetch>,
    /// Steps of the batch that was begun and not yet installed.
    begun: Option<usize>,
    parts: Vec<Part>,
}

/// A session with one client, fed with what comes in.
pub struct Session<F: Fs, O: Outbox> {
    fs: Arc<F>,
    places: Places,
    outbox: O,
    /// What can end a wait for the client; none where a session cannot rest.
    ringer: Option<Ringer>,
    /// The watch between the runs, once the client asked for one.
    rest: Option<Rest<F>>,
    /// Everything said is compressed.
    compressed: bool,
    /// Of the run that is on.
    hello: Option<ClientHello>,
    roots: Vec<Active<F>>,
    /// The message whose bytes are coming in.
    incoming: Option<(u32, Incoming<F>)>,
}

impl<F: Fs, O: Outbox> Session<F, O> {
    /// Begins a session that answers into this outbox. Nothing is touched before the client's Hello.
    pub fn new(fs: Arc<F>, places: &Places, outbox: O) -> Self {
        Self {
            fs,
            places: places.clone(),
            outbox,
            ringer: None,
            rest: None,
            compressed: false,
            hello: None,
            roots: Vec::new(),
            incoming: None,
        }
    }

    /// Deals with what came in, or with nothing having come for too long. Breaks when the client is done.
    ///
    /// # Errors
    /// When the session cannot go on; the client was told, if it can still hear.
    pub fn hear(&mut self, event: Option<Event>) -> Result<ControlFlow<()>, ServeError> {
        let result = self.take_in(event);
        if let Err(ServeError::Failure(failure)) = &result {
            // That the client cannot be told any more is no second failure.
            let _ = send(&self.outbox, &FromServer::Fail(failure.clone()));
        }
        result
    }

    fn take_in(&mut self, event: Option<Event>) -> Result<ControlFlow<()>, ServeError> {
        match event {
            Some(Event::Frame(Frame::Piece(bytes))) => self.handle_piece(&bytes)?,
            Some(Event::Frame(Frame::Message(bytes))) => {
                let message = codec::decode(&bytes).map_err(|error| protocol(error.to_string()))?;
                if message == FromClient::Bye {
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
            FromClient::Batch { root, steps, fetch } => {
                let active = self.active(root)?;
                if active.begun.is_some()
                    || active.steps.len() + steps.len() > STEPS_MAX
                    || active.fetch.len() + fetch.len() > STEPS_MAX
                {
                    return Err(protocol("steps out of place, or too many"));
                }
                active.steps.extend(steps);
                active.fetch.extend(fetch);
                Ok(())
            }
            FromClient::BatchReady { root } => self.handle_batch_ready(root),
            FromClient::Content(start) => self.handle_content(start),
            FromClient::ContentEnd(end) => self.handle_content_end(end),
            FromClient::BatchEnd { root } => self.handle_batch_end(root),
            FromClient::Prepare { root, parts } => {
                let active = self.active(root)?;
                if active.parts.len() + parts.len() > PARTS_MAX {
                    return Err(protocol("too many changes of the base"));
                }
                active.parts.extend(parts);
                Ok(())
            }
            FromClient::PrepareEnd { root, counter, from } => {
                let active = self.active(root)?;
                if active.run.ids().current != from {
                    return Err(protocol("changes of a base that is not the current one"));
                }
                let mut unpacker = Unpacker::default();
                let parts = std::mem::take(&mut active.parts);
                let stored = active.run.stored()?;
                for part in parts {
                    unpacker.take(stored, part).map_err(|error| protocol(error.to_string()))?;
                }
                let changes = unpacker.finish().map_err(|error| protocol(error.to_string()))?;
                let id = active.run.prepare(counter, &changes)?;
                Ok(send(&self.outbox, &FromServer::Prepared { root, id })?)
            }
            FromClient::Abort { root } => Ok(self.active(root)?.run.abort()?),
            FromClient::Commit { root, id } => {
                if !seeded::is("says-committed-and-does-not") {
                    self.active(root)?.run.commit(id)?;
                }
                Ok(send(&self.outbox, &FromServer::Committed { root })?)
            }
            FromClient::Rest => self.handle_rest(),
            FromClient::Bye | FromClient::Ping => Ok(()),
        }
    }

    fn active(&mut self, root: u16) -> Result<&mut Active<F>, ServeError> {
        self.roots.get_mut(usize::from(root)).ok_or_else(never_offered)
    }

    fn handle_hello(&mut self, hello: ClientHello) -> Result<(), ServeError> {
        if self.hello.is_some() || hello.roots.is_empty() || hello.roots.len() > wire::ROOTS_MAX {
            return Err(protocol("a second Hello, or one without roots"));
        }
        if hello.depth == Depth::Folders && !hello.dry_run {
            return Err(protocol("a run that looks at no message"));
        }
        let label = |text: &str| Label::parse(text.as_bytes()).map_err(|error| protocol(error.to_string()));
        let (client, pair) = (label(&hello.client)?, label(&hello.pair)?);
        let peer = Label::derive(format!("{client}.{pair}").as_bytes());
        let paths: Vec<PathBuf> =
            hello.roots.iter().map(|offer| roots::resolve(&self.places, &offer.path)).collect::<Result<_, _>>()?;
        roots::check(&self.places, &paths)?;
        let access = if hello.dry_run { Access::ReadOnly } else { Access::ReadWrite };
        let home = Home::open(self.fs.clone(), &self.places.state, access).map_err(RunError::from)?;

        let mut answers = Vec::new();
        for (offer, path) in hello.roots.iter().zip(&paths) {
            let excludes = Excludes::new(&offer.excludes)
                .map_err(|error| ServeError::Failure(Failure::Config(error.to_string())))?;
            let settings = Settings {
                path,
                key: &offer.path,
                excludes,
                naming: None,
                local_excludes: Excludes::default(),
                // A client may ask for more, but not empty a grave in which other clients' messages rest too.
                grave_days: hello.grave_days.max(if seeded::is("client-empties-the-grave") {
                    0
                } else {
                    GRAVE_DAYS_LEAST
                }),
                owner: client.as_str(),
                lock_wait_ms: LOCK_WAIT_MS,
            };
            let run = RootRun::open(&home, Side::Server, &peer, settings, &|| false)?;
            answers.push(RootAnswer { ids: run.ids(), counter: run.counter(), damaged: run.damaged().to_vec() });
            self.roots.push(Active { run, steps: Vec::new(), fetch: Vec::new(), begun: None, parts: Vec::new() });
        }
        let features = self.features(&hello);
        send(&self.outbox, &FromServer::Hello(ServerHello { features, roots: answers.clone() }))?;
        if hello.compress && !self.compressed {
            self.outbox.compress()?;
            self.compressed = true;
        }
        if let Some(rest) = &mut self.rest {
            rest.begin(self.roots.iter().map(|active| active.run.ground()).collect());
        }
        for (index, (offer, answer)) in (0u16..).zip(hello.roots.iter().zip(&answers)) {
            self.active(index)?.run.agree(offer.ids.common(answer.ids), &offer.damaged)?;
            self.look(index, hello.depth)?;
        }
        self.hello = Some(hello);
        Ok(())
    }

    /// The client's features that this session has too.
    fn features(&mut self, hello: &ClientHello) -> Vec<String> {
        if let (None, Some(ringer), true) = (&self.rest, &self.ringer, hello.features.iter().any(|f| f == wire::WATCH))
        {
            self.rest = Some(Rest::new(self.fs.clone(), ringer.clone()));
        }
        let watches = self.rest.iter().map(|_| wire::WATCH.to_owned());
        std::iter::once(VERSION.to_owned()).chain(watches).collect()
    }

    /// The run is over, and the session stays.
    fn handle_rest(&mut self) -> Result<(), ServeError> {
        if self.rest.is_none() || self.hello.is_none() {
            return Err(protocol("a rest that was not agreed on, or not after a run"));
        }
        self.end_run();
        let mut unwatched = self.rest.as_mut().map(Rest::rest).unwrap_or_default();
        unwatched.truncate(TROUBLES_MAX);
        Ok(send(&self.outbox, &FromServer::Resting { unwatched })?)
    }

    /// Keeps what was learnt, and lets go of everything.
    fn end_run(&mut self) {
        self.incoming = None;
        let depth = self.hello.take().map_or(Depth::Quick, |hello| hello.depth);
        for mut active in std::mem::take(&mut self.roots) {
            active.run.finish(depth);
        }
    }

    /// Looks at a root and tells what changed in it.
    fn look(&mut self, root: u16, depth: Depth) -> Result<(), ServeError> {
        let Self { roots, outbox, .. } = self;
        let active = roots.get_mut(usize::from(root)).ok_or_else(never_offered)?;
        let looked = match active.run.look(depth, &|_| true) {
            Ok(found) => {
                for parts in pack::groups(active.run.pack_delta()?) {
                    send(outbox, &FromServer::Delta { root, parts })?;
                }
                for folders in found.put_back.chunks(wire::ITEMS_IN_FRAME) {
                    send(outbox, &FromServer::PutBack { root, folders: folders.to_vec() })?;
                }
                told(found)
            }
            Err(error @ RunError::Io(_)) => Looked { unusable: Some(error.to_string()), ..Looked::default() },
            Err(error) => return Err(error.into()),
        };
        Ok(send(outbox, &FromServer::Looked { root, looked })?)
    }

    fn handle_adopt(&mut self, root: u16) -> Result<(), ServeError> {
        let depth = self.hello.as_ref().map_or(Depth::Quick, |hello| hello.depth);
        let active = self.active(root)?;
        if active.begun.is_some() || !active.steps.is_empty() {
            return Err(protocol("a base is given up within a batch"));
        }
        active.run.agree(None, &[])?;
        self.look(root, depth)
    }

    fn handle_batch_ready(&mut self, root: u16) -> Result<(), ServeError> {
        if self.hello.as_ref().is_none_or(|hello| hello.dry_run) {
            return Err(protocol("steps in a dry run"));
        }
        let active = self.active(root)?;
        if active.begun.is_some() {
            return Err(protocol("a batch within a batch"));
        }
        let steps = std::mem::take(&mut active.steps);
        let fetch = std::mem::take(&mut active.fetch);
        active.begun = Some(steps.len());
        let troubles = active.run.begin(steps, &|| false)?;
        if !fetch.is_empty() {
            let base = active.run.base()?;
            let delta = active.run.delta().clone();
            let present = Present { base: &base, delta: &delta };
            let hints: HashMap<Name, Entry> =
                fetch.iter().filter_map(|f| Some((f.name.clone(), present.entry(&f.name)?.clone()))).collect();
            // Only what this session announced is ever sent: a name that no scan of ours saw has no hint.
            if hints.len() < fetch.iter().map(|f| &f.name).collect::<std::collections::HashSet<_>>().len() {
                return Err(protocol("a message was asked for that is not there"));
            }
            let root = active.run.root().cloned().ok_or_else(|| protocol("messages of a root that is not there"))?;
            let job: Job = Box::new(move |sink| send_contents(&root, &fetch, &hints, sink));
            self.outbox.contents(job)?;
        }
        self.tell(troubles)
    }

    fn tell(&self, troubles: Vec<smd_maildir::Trouble>) -> Result<(), ServeError> {
        if troubles.is_empty() {
            return Ok(());
        }
        Ok(send(&self.outbox, &FromServer::Troubles(few(troubles)))?)
    }

    /// The applier of the one root in which a batch is open.
    fn open_batch(&mut self) -> Result<&mut smd_maildir::apply::Applier<F>, ServeError> {
        let active = self.roots.iter_mut().find(|active| active.begun.is_some());
        active.and_then(|active| active.run.applying()).ok_or_else(|| protocol("contents outside of a batch"))
    }

    fn handle_content(&mut self, start: ContentStart) -> Result<(), ServeError> {
        if self.incoming.is_some() {
            return Err(protocol("contents within contents"));
        }
        let meta = Meta { size: start.size, mtime: start.mtime };
        let incoming =
            self.open_batch()?.incoming(start.step as usize, meta).map_err(|error| protocol(error.to_string()))?;
        self.incoming = Some((start.step, incoming));
        Ok(())
    }

    fn handle_piece(&mut self, bytes: &[u8]) -> Result<(), ServeError> {
        match &mut self.incoming {
            Some((_, incoming)) => incoming.write(bytes).map_err(|error| protocol(error.to_string())),
            None => Err(protocol("bytes of no message")),
        }
    }

    fn handle_content_end(&mut self, end: ContentEnd) -> Result<(), ServeError> {
        match (self.incoming.take(), end.failed) {
            (Some((step, _)), _) if step != end.step => Err(protocol("the end of other contents")),
            (Some((_, incoming)), None) => {
                incoming.finish(self.open_batch()?);
                Ok(())
            }
            (Some((_, incoming)), Some(_)) => {
                incoming.abort();
                Ok(())
            }
            // The client could not even open it: the step is not taken.
            (None, Some(_)) => Ok(()),
            (None, None) => Err(protocol("an end without a beginning")),
        }
    }

    fn handle_batch_end(&mut self, root: u16) -> Result<(), ServeError> {
        if self.incoming.is_some() || self.active(root)?.begun.is_none() {
            return Err(protocol("the end of a batch that is not complete"));
        }
        // Everything the client wanted must have been read before names change.
        self.outbox.drain(&mut || {})?;
        let active = self.active(root)?;
        active.begun = None;
        let outcomes = active.run.install();
        let failed: Vec<(u32, Outcome)> = (0u32..)
            .zip(outcomes)
            .filter(|(_, outcome)| !outcome.is_done() && !seeded::is("failures-are-not-told"))
            .collect();
        for failed in failed.chunks(wire::ITEMS_IN_FRAME) {
            send(&self.outbox, &FromServer::Outcomes { root, failed: failed.to_vec() })?;
        }
        Ok(send(&self.outbox, &FromServer::BatchDone { root })?)
    }

    /// Ends the session: keeps what was learnt, lets go of everything, and waits until all was said.
    pub fn finish(mut self) {
        self.end_run();
        let _ = self.outbox.drain(&mut || {});
    }
}

/// Troubles that one message can tell of.
const TROUBLES_MAX: usize = 500;

/// As many troubles as one frame holds.
fn few(troubles: Vec<smd_maildir::Trouble>) -> Vec<PeerTrouble> {
    let more = troubles.len().saturating_sub(TROUBLES_MAX);
    let mut few: Vec<PeerTrouble> =
        troubles.into_iter().take(TROUBLES_MAX).map(|trouble| PeerTrouble::new(trouble.path, trouble.text)).collect();
    if more > 0 {
        few.push(PeerTrouble::new(Vec::new(), format!("{more} more troubles are not listed")));
    }
    few
}

fn told(found: smd_maildir::run::Looked) -> Looked {
    Looked {
        absent: found.absent,
        unusable: None,
        incomplete: found.incomplete,
        suspicious: found.suspicious,
        troubles: few(found.troubles),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_look_found_is_told_whole() {
        // A look that is incomplete and not said to be makes deletes of what was not read.
        let trouble = smd_maildir::Trouble { path: b"x".to_vec(), text: "cannot be read".to_owned() };
        let found = smd_maildir::run::Looked {
            absent: true,
            incomplete: true,
            suspicious: Some("is missing".to_owned()),
            troubles: vec![trouble],
            ..Default::default()
        };
        let told = told(found);
        assert!(told.absent && told.incomplete && told.unusable.is_none());
        assert_eq!((told.suspicious.as_deref(), told.troubles.len()), (Some("is missing"), 1));
    }
}
