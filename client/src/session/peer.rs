//! Talking to the server: what is said, what is heard, and how the connection can end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use smd_protocol::codec;
use smd_protocol::limits::{self, Budget, REPORTS_MAX};
use smd_protocol::wire::{
    self, ContentEnd, ContentStart, Failure, Frame, FromClient, FromServer, ServerHello, Spelled, WireError,
};
use smd_server::link::{Event, Inbox, Job, Outbox, ReadError, Ringer, SendError, Sign, Wording, send};

use super::{Line, SessionError};
use crate::log::frames::Brief;
use crate::report::{Host, Trouble};

/// How often the stop flag is looked at while waiting.
const TICK: Duration = Duration::from_millis(50);

/// How the client says what is said of contents.
#[derive(Debug)]
pub struct Words;

impl Wording for Words {
    fn start(&self, start: ContentStart) -> Vec<u8> {
        framed(&FromClient::Content(start))
    }

    fn end(&self, end: ContentEnd) -> Vec<u8> {
        framed(&FromClient::ContentEnd(end))
    }

    fn spelled(&self, spelled: Spelled) -> Vec<u8> {
        framed(&FromClient::Spelled(spelled))
    }

    fn ping(&self) -> Vec<u8> {
        framed(&FromClient::Ping)
    }

    fn working(&self) -> Vec<u8> {
        framed(&FromClient::Working)
    }
}

fn framed(message: &FromClient) -> Vec<u8> {
    wire::message(message).expect("such a message is small")
}

/// What a frame says beyond itself.
pub(super) fn sign(bytes: &[u8]) -> Sign {
    // No sign has anything beside its kind.
    match bytes.len() <= 2 {
        true => match codec::decode(bytes) {
            Ok(FromServer::Ping) => Sign::Ping,
            Ok(FromServer::Working) => Sign::Working,
            _ => Sign::Message,
        },
        false => Sign::Message,
    }
}

/// A quarter of this host's memory, in bytes: more than this no server makes it keep, however many messages it names.
fn memory_share() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram as u64).saturating_mul(u64::from(info.mem_unit)) / 4
}

/// What was heard.
pub(super) enum Heard {
    /// A message.
    Message(FromServer),
    /// A piece of a message's bytes.
    Piece(Vec<u8>),
}

/// How long the server is waited for.
#[derive(Clone, Copy)]
struct Bounds {
    /// For its first Hello.
    handshake: Duration,
    /// For anything of use.
    idle: Duration,
    /// For a sign of life.
    silence: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let [handshake, idle, silence] =
            [wire::HANDSHAKE_SECONDS, wire::IDLE_SECONDS, wire::SILENCE_SECONDS].map(Duration::from_secs);
        Self { handshake, idle, silence }
    }
}

/// The server, as the session sees it.
pub(super) struct Peer {
    inbox: Box<dyn Inbox + Send>,
    outbox: Box<dyn Outbox + Send>,
    stop: Arc<AtomicBool>,
    bounds: Bounds,
    /// The server has said something.
    met: bool,
    /// The server's first Hello has come.
    greeted: bool,
    /// The server says when it is at work, so that its other signs of life are of no use.
    tells_of_work: bool,
    /// Bytes sent and received before this run.
    before: (u64, u64),
    /// Bytes up to the end of the server's Hello.
    hello_bytes: u64,
    /// How often an answer was waited for.
    pub(super) round_trips: u64,
    /// What the server wants a person to know.
    pub(super) troubles: Vec<Trouble>,
    /// What it says of other keys.
    pub(super) reports: Vec<wire::KeyReport>,
    /// What the server makes this host keep in this run.
    budget: Budget,
    /// Messages and folders that this host knows of, and those that the server named.
    known: [u64; 2],
    /// The server told of a change since its last rest began.
    told_of_change: bool,
}

impl Peer {
    pub(super) fn new(line: Line, stop: Arc<AtomicBool>) -> Self {
        Self {
            inbox: line.inbox,
            outbox: line.outbox,
            stop,
            bounds: Bounds::default(),
            met: false,
            greeted: false,
            tells_of_work: false,
            before: (0, 0),
            hello_bytes: 0,
            round_trips: 0,
            troubles: Vec::new(),
            reports: Vec::new(),
            budget: Budget::within(memory_share()),
            known: [0; 2],
            told_of_change: false,
        }
    }

    /// Another run begins: bytes, round trips and troubles are counted anew.
    pub(super) fn begin(&mut self) {
        if self.met {
            self.before = self.bytes();
        }
        self.outbox.works(true);
        self.round_trips = 0;
        self.troubles.clear();
        self.reports.clear();
        (self.budget, self.known) = (Budget::within(memory_share()), [0; 2]);
    }

    /// The server's Hello has come.
    pub(super) fn meets(&mut self, hello: &ServerHello) {
        self.greeted = true;
        self.tells_of_work = hello.features.iter().any(|feature| *feature == *wire::WORKING);
        if self.tells_of_work {
            self.outbox.tells_of_work();
        }
    }

    /// This host has so many messages and folders more than was said before.
    pub(super) fn knows(&mut self, more: usize) {
        self.known[0] += more as u64;
        self.budget.knows(self.known[0] + self.known[1]);
    }

    /// The server rests: it may tell of a change again.
    pub(super) fn rests(&mut self) {
        self.told_of_change = false;
    }

    /// Holds what the server says to the numbers that every server keeps to.
    fn weigh(&mut self, message: &FromServer) -> Result<(), SessionError> {
        self.known[1] += limits::named(message);
        if self.known[1] > limits::may_have_named(self.inbox.bytes()) {
            return Err(unexpected("more names than its bytes can hold"));
        }
        self.budget.knows(self.known[0] + self.known[1]);
        self.budget.keep(limits::kept(message)).map_err(|over| unexpected(&over.to_string()))?;
        if matches!(message, FromServer::Changed) && std::mem::replace(&mut self.told_of_change, true) {
            return Err(unexpected("word of a change once more"));
        }
        Ok(())
    }

    /// What ends a wait from another thread.
    pub(super) fn ringer(&self) -> Option<Ringer> {
        self.inbox.ringer()
    }

    /// Whether the person wants the run to end.
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The flag by which the person ends the run.
    pub(super) fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    pub(super) fn say(&self, message: &FromClient) -> Result<(), SessionError> {
        tracing::debug!("-> {}", Brief(message));
        send(&*self.outbox, message).map_err(|error| self.send_error(&error))
    }

    pub(super) fn say_contents(&self, job: Job) -> Result<(), SessionError> {
        self.outbox.contents(job).map_err(|error| self.send_error(&error))
    }

    /// Compresses everything said from now on.
    pub(super) fn compress(&self) -> Result<(), SessionError> {
        self.outbox.compress().map_err(|error| self.send_error(&error))
    }

    /// Waits until everything said was handed over; `tick` is called now and then meanwhile.
    pub(super) fn drain(&self, tick: &mut dyn FnMut()) -> Result<(), SessionError> {
        self.outbox.drain(tick).map_err(|error| self.send_error(&error))
    }

    /// When nothing can be said any more, the server may have said why.
    fn send_error(&self, error: &SendError) -> SessionError {
        match error {
            SendError::Codec(error) => SessionError::Bug { text: error.to_string() },
            SendError::Stalled(_) => self.silent(),
            SendError::Lost => loop {
                match self.inbox.next(TICK) {
                    Some(Event::Frame(Frame::Message(bytes))) => {
                        if let Ok(FromServer::Fail(failure)) = codec::decode(&bytes) {
                            return told(failure);
                        }
                    }
                    Some(Event::Frame(Frame::Piece(_)) | Event::Rung) => {}
                    Some(Event::Broken(error)) => return self.broken(error),
                    Some(Event::End) | None => return SessionError::Lost { met: self.met, source: None },
                }
            },
        }
    }

    fn broken(&self, error: ReadError) -> SessionError {
        match error {
            ReadError::Noise(first_bytes) => SessionError::Noise { first_bytes },
            ReadError::Wire(error @ WireError::Versions(..)) => SessionError::Version { text: error.to_string() },
            ReadError::Wire(error) => SessionError::Protocol { text: error.to_string() },
            ReadError::Io(source) => SessionError::Lost { met: self.met, source: Some(source) },
        }
    }

    /// Waits for what the server says next. Signs of life, troubles and the end are dealt with here.
    pub(super) fn hear(&mut self) -> Result<Heard, SessionError> {
        self.outbox.works(false);
        let heard = self.wait();
        self.outbox.works(true);
        heard
    }

    fn wait(&mut self) -> Result<Heard, SessionError> {
        let start = Instant::now();
        // Since when it is waited for the server's first Hello, for anything of use, and for anything.
        let (mut begun, mut useful, mut heard) = (start, start, start);
        let mut began = self.met || self.inbox.bytes() > 0;
        loop {
            if self.stopped() {
                return Err(SessionError::Interrupted);
            }
            match self.inbox.next(TICK) {
                Some(Event::Frame(Frame::Piece(bytes))) => return Ok(Heard::Piece(bytes)),
                Some(Event::Frame(Frame::Message(bytes))) => {
                    heard = Instant::now();
                    if !std::mem::replace(&mut began, true) {
                        (begun, useful) = (heard, heard);
                    }
                    match self.take(&bytes)? {
                        // The server tells of a change, and the client has begun the next run already.
                        FromServer::Working | FromServer::Changed => useful = heard,
                        FromServer::Ping => {}
                        FromServer::Fail(failure) => return Err(told(failure)),
                        FromServer::Troubles(troubles) => {
                            useful = heard;
                            self.troubles.extend(troubles.into_iter().map(trouble));
                        }
                        FromServer::Reports(reports) => {
                            useful = heard;
                            let room = REPORTS_MAX.saturating_sub(self.reports.len());
                            self.reports.extend(reports.into_iter().take(room));
                        }
                        message => return Ok(Heard::Message(message)),
                    }
                }
                Some(Event::End) => return Err(SessionError::Lost { met: self.met, source: None }),
                Some(Event::Broken(error)) => return Err(self.broken(error)),
                // Before its first word ssh may be asking for a passphrase, and the connection has bounds of its own for it
                // (`connect`); afterwards there are signs of life.
                None if !began => {
                    began = self.inbox.bytes() > 0;
                    (begun, useful, heard) = (Instant::now(), Instant::now(), Instant::now());
                }
                Some(Event::Rung) | None => {}
            }
            let Bounds { handshake, idle, silence } = self.bounds;
            let silent = heard.elapsed() > silence
                || self.tells_of_work && useful.elapsed() > idle
                || !self.greeted && begun.elapsed() > handshake;
            if began && silent {
                return Err(self.silent());
            }
        }
    }

    /// Decodes what the server said, and takes note of it.
    fn take(&mut self, bytes: &[u8]) -> Result<FromServer, SessionError> {
        let message = codec::decode(bytes).map_err(|error| SessionError::Protocol { text: error.to_string() })?;
        let preamble = if self.met { 0 } else { wire::PREAMBLE_SIZE };
        self.met = true;
        if matches!(message, FromServer::Hello(_)) {
            self.hello_bytes = self.before.1 + (preamble + wire::FRAME_HEAD + bytes.len()) as u64;
        }
        tracing::debug!(bytes = bytes.len(), "<- {}", Brief(&message));
        self.weigh(&message)?;
        Ok(message)
    }

    /// The error of a server that is silent for too long.
    pub(super) fn silent(&self) -> SessionError {
        SessionError::Lost { met: self.met, source: Some(std::io::ErrorKind::TimedOut.into()) }
    }

    /// Waits at most so long for what the server says between two runs; none when nothing came, or someone rang.
    pub(super) fn hear_at_rest(&mut self, wait: Duration) -> Result<Option<FromServer>, SessionError> {
        self.outbox.works(false);
        match self.inbox.next(wait) {
            None | Some(Event::Rung) => Ok(None),
            Some(Event::Frame(Frame::Piece(_))) => Err(unexpected("bytes of no message")),
            Some(Event::Frame(Frame::Message(bytes))) => match codec::decode(&bytes) {
                Ok(FromServer::Fail(failure)) => Err(told(failure)),
                Ok(message) => self.weigh(&message).map(|()| Some(message)),
                Err(error) => Err(SessionError::Protocol { text: error.to_string() }),
            },
            Some(Event::End) => Err(SessionError::Lost { met: self.met, source: None }),
            Some(Event::Broken(error)) => Err(self.broken(error)),
        }
    }

    /// Waits for a message; bytes of contents are out of place.
    pub(super) fn hear_message(&mut self) -> Result<FromServer, SessionError> {
        match self.hear()? {
            Heard::Message(message) => Ok(message),
            Heard::Piece(_) => Err(unexpected("bytes of no message")),
        }
    }

    /// Bytes sent and received so far, after compression.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.outbox.bytes(), self.inbox.bytes())
    }

    /// Bytes sent and received in this run so far.
    pub(super) fn bytes_of_run(&self) -> (u64, u64) {
        let (sent, received) = self.bytes();
        (sent.saturating_sub(self.before.0), received.saturating_sub(self.before.1))
    }

    /// Bytes received after the Hello so far.
    pub(super) fn bytes_after_hello(&self) -> u64 {
        self.bytes().1.saturating_sub(self.hello_bytes)
    }
}

pub(super) fn unexpected(text: &str) -> SessionError {
    SessionError::Protocol { text: format!("the server sent {text}") }
}

pub(super) fn trouble(trouble: wire::PeerTrouble) -> Trouble {
    let wire::PeerTrouble { path, text } = trouble;
    Trouble::new(Host::Server, path, text.escaped())
}

/// What the server said before it ended the session.
fn told(failure: Failure) -> SessionError {
    match failure {
        Failure::Locked { path } => SessionError::Locked { host: Host::Server, path: path.escaped().into() },
        Failure::Io { path, text } => {
            let source = std::io::Error::other(text.escaped());
            SessionError::Io { host: Host::Server, path: path.escaped().into(), source }
        }
        Failure::Busy(text) => SessionError::Busy { text: text.escaped() },
        Failure::Refused(text) => SessionError::Refused { text: text.escaped() },
        Failure::Config(text) => SessionError::Config { text: text.escaped() },
        Failure::Protocol(text) => SessionError::Protocol { text: text.escaped() },
        Failure::Reconnect => SessionError::Reconnect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Link;

    #[test]
    fn signs_of_life_without_end_cost_nothing() {
        let mut bytes = wire::preamble().to_vec();
        let ping = wire::message(&FromServer::Ping).expect("small");
        (0..200_000).for_each(|_| bytes.extend_from_slice(&ping));
        bytes.extend(wire::message(&FromServer::Committed { root: 7 }).expect("small"));
        let link =
            Link { reader: Box::new(std::io::Cursor::new(bytes)), writer: Box::new(std::io::sink()), local: true };
        let mut peer = Peer::new(Line::over(link), Arc::default());
        assert!(matches!(peer.hear_message(), Ok(FromServer::Committed { root: 7 })));
    }

    /// A server that says nothing but this.
    struct Says(FromServer);

    impl Inbox for Says {
        fn next(&self, _: Duration) -> Option<Event> {
            std::thread::sleep(Duration::from_millis(1));
            Some(Event::Frame(Frame::Message(codec::encode(&self.0).expect("small"))))
        }

        fn bytes(&self) -> u64 {
            1
        }
    }

    #[test]
    fn a_server_that_only_gives_signs_of_life_is_not_waited_for_without_end() {
        const SHORT: Duration = Duration::from_millis(30);
        const LONG: Duration = Duration::from_secs(600);
        let link = || Link { reader: Box::new(std::io::empty()), writer: Box::new(std::io::sink()), local: true };
        let features = |features: &[&str]| ServerHello {
            features: features.iter().map(|feature| (*feature).into()).collect(),
            roots: Vec::new(),
        };
        let ended = |says: FromServer, meets: Option<&[&str]>, bounds: Bounds| {
            let mut peer = Peer::new(Line { inbox: Box::new(Says(says)), ..Line::over(link()) }, Arc::default());
            peer.bounds = bounds;
            if let Some(named) = meets {
                peer.meets(&features(named));
            }
            let stop = peer.stop_flag();
            let stopping = std::thread::spawn(move || {
                std::thread::sleep(4 * SHORT);
                stop.store(true, Ordering::Relaxed);
            });
            let ended = peer.hear_message();
            stopping.join().expect("it sleeps");
            matches!(ended, Err(SessionError::Lost { source: Some(_), .. }))
        };
        let idle = Bounds { handshake: LONG, idle: SHORT, silence: LONG };
        let handshake = Bounds { handshake: SHORT, idle: LONG, silence: LONG };
        assert!(ended(FromServer::Ping, None, handshake) && ended(FromServer::Working, None, handshake));
        assert!(!ended(FromServer::Ping, Some(&[]), handshake));
        assert!(ended(FromServer::Ping, Some(&[wire::WORKING]), idle));
        assert!(!ended(FromServer::Working, Some(&[wire::WORKING]), idle), "it is at work");
        assert!(!ended(FromServer::Ping, Some(&[]), idle), "it knows no other sign");
    }
}
