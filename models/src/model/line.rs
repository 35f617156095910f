//! A line between the two ends of a session in one process and one thread, which a seed schedules and may cut.
//!
//! The client runs as it always does; whenever it waits, the server is fed with one event, or one thing that either
//! end wanted to say is said. A line is cut after so many bytes: what was on its way then arrives or not, a frame as a
//! whole or as a broken one.
//!
//! Deliberately not here: compression and the splitting of bytes into frames, which `smd_server::link` tests byte by
//! byte; and what is said.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smd_maildir::fs::Fs;
use smd_maildir::send::ContentSink;
use smd_protocol::delta::Meta;
use smd_protocol::wire::{self, ContentEnd, ContentStart, FRAME_HEAD, Frame, Spelled};
use smd_server::link::{Event, Inbox, Job, Outbox, ReadError, SendError, Wording};
use smd_server::policy::Authority;
use smd_server::roots::Places;
use smd_server::session::{self, Session};

use crate::memory::Dice;

/// Whether the host at this end still lives: a dead one says nothing more.
pub type Alive = Box<dyn Fn() -> bool + Send>;

/// What an end wants to say and has not handed to the wire.
enum Order {
    Frame(Vec<u8>),
    Contents(Job),
}

/// One direction.
#[derive(Default)]
struct Way {
    orders: VecDeque<Order>,
    frames: VecDeque<Vec<u8>>,
    /// The sender will say nothing more.
    closed: bool,
    bytes: u64,
}

struct Wire {
    up: Way,
    down: Way,
    /// Bytes that may yet pass, both ways together; none where the line is never cut.
    left: Option<u64>,
    cut: bool,
    rng: Dice,
}

impl Wire {
    fn way(&mut self, end: End) -> &mut Way {
        match end {
            End::Client => &mut self.up,
            End::Server => &mut self.down,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

type Shared = Arc<Mutex<Wire>>;

/// One thread plays all; the locks are there since a line may be taken to another thread.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one end says.
struct Mouth {
    wire: Shared,
    end: End,
    alive: Alive,
}

impl Mouth {
    fn order(&self, order: Order) -> Result<(), SendError> {
        let mut wire = lock(&self.wire);
        if wire.cut || !(self.alive)() {
            return Err(SendError::Lost);
        }
        wire.way(self.end).orders.push_back(order);
        let at_once = wire.rng.below(2) == 0;
        drop(wire);
        if at_once {
            say_all(&self.wire, self.end);
        }
        Ok(())
    }
}

impl Outbox for Mouth {
    fn frame(&self, frame: Vec<u8>) -> Result<(), SendError> {
        self.order(Order::Frame(frame))
    }

    fn contents(&self, job: Job) -> Result<(), SendError> {
        self.order(Order::Contents(job))
    }

    fn drain(&self, _tick: &mut dyn FnMut()) -> Result<(), SendError> {
        say_all(&self.wire, self.end);
        if lock(&self.wire).cut || !(self.alive)() { Err(SendError::Lost) } else { Ok(()) }
    }

    fn compress(&self) -> Result<(), SendError> {
        Ok(())
    }

    fn bytes(&self) -> u64 {
        lock(&self.wire).way(self.end).bytes
    }
}

/// Hands the oldest order to the wire; says whether there was one. Contents are read only now, as by a writing thread.
fn say_one(wire: &Shared, end: End) -> bool {
    let order = lock(wire).way(end).orders.pop_front();
    match order {
        None => return false,
        Some(Order::Frame(frame)) => put(wire, end, frame),
        Some(Order::Contents(job)) => {
            // The line's end shows in what comes after.
            let _ = job(&mut Sink { wire, end });
        }
    }
    true
}

fn say_all(wire: &Shared, end: End) {
    while say_one(wire, end) {}
}

fn put(wire: &Shared, end: End, mut frame: Vec<u8>) {
    let mut wire = lock(wire);
    if wire.cut {
        return;
    }
    if let Some(left) = wire.left {
        let size = frame.len() as u64;
        wire.left = Some(left.saturating_sub(size));
        if size > left {
            wire.cut = true;
            frame.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            // Everything on its way may be lost with the line, in either direction.
            for end in [End::Client, End::Server] {
                let rest = wire.way(end).frames.len();
                let kept = if wire.rng.below(2) == 0 { rest } else { wire.rng.below(rest + 1) };
                wire.way(end).frames.truncate(kept);
                wire.way(end).closed = true;
                if kept < rest {
                    frame.clear();
                }
            }
        }
    }
    let way = wire.way(end);
    way.bytes += frame.len() as u64;
    if !frame.is_empty() {
        way.frames.push_back(frame);
    }
}

struct Sink<'a> {
    wire: &'a Shared,
    end: End,
}

impl Sink<'_> {
    fn put(&self, frame: Vec<u8>) -> io::Result<()> {
        put(self.wire, self.end, frame);
        if lock(self.wire).cut { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

impl ContentSink for Sink<'_> {
    fn spelled(&mut self, step: u32, suffix: Option<&[u8]>) -> io::Result<()> {
        let spelled = Spelled { step, suffix: suffix.map(<[u8]>::to_vec) };
        self.put(match self.end {
            End::Client => smd_client::session::Words.spelled(spelled),
            End::Server => session::Words.spelled(spelled),
        })
    }

    fn start(&mut self, step: u32, meta: Meta) -> io::Result<()> {
        let start = ContentStart { step, size: meta.size, mtime: meta.mtime };
        self.put(match self.end {
            End::Client => smd_client::session::Words.start(start),
            End::Server => session::Words.start(start),
        })
    }

    fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.chunks(wire::PIECE).try_for_each(|piece| self.put([&wire::piece_head(piece.len())[..], piece].concat()))
    }

    fn end(&mut self, step: u32, failed: Option<String>) -> io::Result<()> {
        let end = ContentEnd { step, failed: failed.map(Into::into) };
        self.put(match self.end {
            End::Client => smd_client::session::Words.end(end),
            End::Server => session::Words.end(end),
        })
    }
}

/// The next event on this way; none when nothing is there yet.
fn heard(way: &mut Way) -> Option<Event> {
    let Some(frame) = way.frames.pop_front() else { return way.closed.then_some(Event::End) };
    let broken = || Some(Event::Broken(ReadError::Io(io::ErrorKind::UnexpectedEof.into())));
    let Some((head, bytes)) = frame.split_first_chunk::<FRAME_HEAD>() else { return broken() };
    match wire::read_head(*head) {
        Ok((_, size)) if size != bytes.len() => broken(),
        Ok((true, _)) => Some(Event::Frame(Frame::Piece(bytes.to_vec()))),
        Ok((false, _)) => Some(Event::Frame(Frame::Message(bytes.to_vec()))),
        Err(error) => Some(Event::Broken(error.into())),
    }
}

/// The server, which lives on while the client does not wait for it, but does nothing then.
struct Served<F: Fs> {
    wire: Shared,
    session: Option<Session<F, Mouth>>,
    alive: Alive,
}

impl<F: Fs> Served<F> {
    /// Lets the server deal with one event. Says whether there was one.
    fn step(&mut self) -> bool {
        let Some(session) = &mut self.session else { return false };
        if !(self.alive)() {
            self.end();
            return true;
        }
        let event = heard(&mut lock(&self.wire).up);
        let Some(event) = event else { return false };
        match session.hear(Some(event)) {
            Ok(std::ops::ControlFlow::Continue(())) => {}
            Ok(std::ops::ControlFlow::Break(())) | Err(_) => self.end(),
        }
        true
    }

    /// The server's process ends, in good order or not.
    fn end(&mut self) {
        let Some(session) = self.session.take() else { return };
        session.finish();
        let mut wire = lock(&self.wire);
        if !(self.alive)() {
            // What a dead host had on its way may be lost.
            let kept = wire.down.frames.len();
            let kept = wire.rng.below(kept + 1);
            wire.down.frames.truncate(kept);
            wire.down.orders.clear();
        }
        wire.down.closed = true;
        wire.up.frames.clear();
    }
}

/// What the client hears: it makes the server go on.
struct Ear<F: Fs> {
    alive: Alive,
    wire: Shared,
    served: Arc<Mutex<Served<F>>>,
}

impl<F: Fs> Inbox for Ear<F> {
    fn next(&self, _wait: Duration) -> Option<Event> {
        loop {
            if !(self.alive)() {
                // It will notice nothing more, whatever this says.
                return Some(Event::End);
            }
            let ahead = lock(&self.wire).rng.below(3) == 0;
            if ahead {
                say_one(&self.wire, End::Client);
                lock(&self.served).step();
            }
            if let Some(event) = heard(&mut lock(&self.wire).down) {
                return Some(event);
            }
            let moved =
                say_one(&self.wire, End::Server) || say_one(&self.wire, End::Client) || lock(&self.served).step();
            assert!(moved, "both ends wait for each other");
        }
    }

    fn bytes(&self) -> u64 {
        lock(&self.wire).down.bytes
    }
}

/// A line with a server at its far end.
pub struct Call<F: Fs> {
    wire: Shared,
    served: Arc<Mutex<Served<F>>>,
}

impl<F: Fs> Call<F> {
    /// Starts a server on this host. `cut` bytes pass, or all.
    pub fn new(
        fs: Arc<F>,
        places: &Places,
        alive: impl Fn() -> bool + Clone + Send + 'static,
        cut: Option<u64>,
        seed: u64,
    ) -> Self {
        let wire = Wire { up: Way::default(), down: Way::default(), left: cut, cut: false, rng: Dice::new(seed) };
        let wire = Arc::new(Mutex::new(wire));
        let mouth = Mouth { wire: wire.clone(), end: End::Server, alive: Box::new(alive.clone()) };
        let session = Some(Session::new(fs, places, Authority::owner(), mouth));
        let served = Arc::new(Mutex::new(Served { wire: wire.clone(), session, alive: Box::new(alive) }));
        Self { wire, served }
    }

    /// The client's end.
    pub fn line(&self, alive: impl Fn() -> bool + Clone + Send + 'static) -> smd_client::session::Line {
        smd_client::session::Line {
            inbox: Box::new(Ear {
                alive: Box::new(alive.clone()),
                wire: self.wire.clone(),
                served: self.served.clone(),
            }),
            outbox: Box::new(Mouth { wire: self.wire.clone(), end: End::Client, alive: Box::new(alive) }),
            local: true,
        }
    }

    /// The client's process has ended: the server hears what is on its way, and the end. Gives all bytes that passed.
    pub fn hang_up(self, client_lives: bool) -> u64 {
        if client_lives {
            say_all(&self.wire, End::Client);
        }
        {
            let mut wire = lock(&self.wire);
            if !client_lives {
                wire.up.orders.clear();
                let kept = wire.up.frames.len();
                let kept = wire.rng.below(kept + 1);
                wire.up.frames.truncate(kept);
            }
            wire.up.closed = true;
        }
        while lock(&self.served).step() {
            say_all(&self.wire, End::Server);
        }
        lock(&self.served).end();
        let wire = lock(&self.wire);
        wire.up.bytes + wire.down.bytes
    }
}
