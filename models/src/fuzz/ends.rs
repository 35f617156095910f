//! Both ends of a session on disks in memory, with another end that says any frames.
//!
//! The first bytes choose what the session is for; the rest are frames: a byte of kind, two of length (little endian), and as many
//! bytes of them as there are. What a peer says must leave alone what lies beside the root and the state.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use smd_client::endpoint::{Endpoint, RootPair, Transport};
use smd_client::home::SmdHome;
use smd_client::options::{self, RunOptions};
use smd_client::progress::Progress;
use smd_client::session::{self, Line};
use smd_maildir::exclude::Excludes;
use smd_maildir::send::ContentSink;
use smd_protocol::codec;
use smd_protocol::delta::Meta;
use smd_protocol::reconcile::Direction;
use smd_protocol::wire::{
    self, ClientHello, Depth, FRAME_HEAD, Frame, FromClient, FromServer, Ids, RootAnswer, RootOffer, ServerHello,
};
use smd_server::link::{Event, Inbox, Job, Outbox, SendError};
use smd_server::policy::Authority;
use smd_server::roots::Places;
use smd_server::session::Session;

use crate::memory::Memory;
use crate::model::mail::{ROOT, STATE};

/// What no peer may touch.
const BESIDE: &str = "/home/beside";
/// Frames that are said at most.
const FRAMES: usize = 2_000;

/// A disk with a Maildir, and something beside it.
fn disk() -> Memory {
    let disk = Memory::new(1);
    let hand = disk.by_hand();
    for dir in ["cur", "new", "tmp", ".a/cur", ".a/new", ".a/tmp"] {
        hand.mkdir_all(format!("{ROOT}/{dir}")).expect("a directory");
    }
    for (path, bytes) in [("cur/u0:2,S", "A: b\n\nbody\n"), ("new/u1", "A: c\n\nbody\n"), (".a/cur/u2:2,", "A: d\n\n")]
    {
        hand.write_file(format!("{ROOT}/{path}"), bytes, None, true).expect("a file");
    }
    hand.mkdir_all(format!("{BESIDE}/cur")).expect("a directory");
    hand.write_file(format!("{BESIDE}/cur/u9:2,"), "A: e\n\n", None, true).expect("a file");
    // The id is not left to chance.
    hand.mkdir_all(STATE).expect("a directory");
    let id = "smd-client-id 1\nid fuzzedclient\nmachine -\n";
    hand.write_file(format!("{STATE}/client-id"), id, None, true).expect("a file");
    disk
}

/// The frames in these bytes.
fn frames(mut data: &[u8]) -> Vec<Frame> {
    let mut all = Vec::new();
    while let Some((&[kind, low, high], rest)) = data.split_first_chunk::<3>() {
        let size = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let (bytes, after) = rest.split_at(size);
        all.push(if kind & 1 == 0 { Frame::Message(bytes.to_vec()) } else { Frame::Piece(bytes.to_vec()) });
        data = after;
        if all.len() == FRAMES {
            break;
        }
    }
    all
}

/// The same frame once more.
fn again(frame: &Frame) -> Frame {
    match frame {
        Frame::Message(bytes) => Frame::Message(bytes.clone()),
        Frame::Piece(bytes) => Frame::Piece(bytes.clone()),
    }
}

/// Takes what an end says, and keeps its messages.
#[derive(Clone, Default)]
struct Mouth(Arc<Mutex<Vec<Vec<u8>>>>);

/// Reads contents and drops them.
struct Void;

impl ContentSink for Void {
    fn spelled(&mut self, _: u32, _: Option<&[u8]>) -> io::Result<()> {
        Ok(())
    }

    fn start(&mut self, _: u32, _: Meta) -> io::Result<()> {
        Ok(())
    }

    fn piece(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, _: u32, _: Option<String>) -> io::Result<()> {
        Ok(())
    }
}

impl Outbox for Mouth {
    fn frame(&self, frame: Vec<u8>) -> Result<(), SendError> {
        let mut said = self.0.lock().expect("one thread");
        // Only the first words are asked for.
        if said.len() < 16 {
            said.push(frame);
        }
        Ok(())
    }

    fn contents(&self, job: Job) -> Result<(), SendError> {
        let _ = job(&mut Void);
        Ok(())
    }

    fn drain(&self, _: &mut dyn FnMut()) -> Result<(), SendError> {
        Ok(())
    }

    fn compress(&self) -> Result<(), SendError> {
        Ok(())
    }

    fn bytes(&self) -> u64 {
        0
    }
}

fn hello(choice: u8, root: Option<String>) -> ClientHello {
    let directions = [Direction::Sync, Direction::Push, Direction::Pull, Direction::Sync];
    let depths = [Depth::Quick, Depth::Stat, Depth::Full, Depth::Quick];
    let features = [wire::SPELLING, wire::TWINS, wire::LEFT_OUT, wire::PATTERNS, wire::ROOM];
    let grave = choice & 0x40 != 0;
    let offer = RootOffer {
        path: b"Maildir".to_vec(),
        pair: "pair".to_owned(),
        root,
        ids: Ids::default(),
        damaged: Vec::new(),
        excludes: Vec::new(),
    };
    ClientHello {
        features: features.into_iter().chain(grave.then_some(wire::GRAVE)).map(Into::into).collect(),
        client: "fuzz".to_owned(),
        direction: directions[usize::from(choice & 3)],
        dry_run: choice & 4 != 0,
        depth: depths[usize::from(choice >> 3 & 3)],
        compress: false,
        grave_days: 7,
        roots: vec![offer],
    }
}

fn said(message: &impl serde::Serialize) -> Event {
    Event::Frame(Frame::Message(codec::encode(message).expect("small")))
}

/// A client that says any frames, after its Hellos or from the first word on.
pub(super) fn server(data: &[u8]) {
    serve(data);
}

/// Gives how many frames the server took.
pub(super) fn serve(data: &[u8]) -> usize {
    let Some((&choice, rest)) = data.split_first() else { return 0 };
    let disk = disk();
    let before = disk.by_hand().fingerprint(BESIDE).expect("it is there");
    let places = Places { user: "/home".into(), state: STATE.into() };
    let mouth = Mouth::default();
    let mut session = Session::new(Arc::new(disk.clone()), &places, Authority::owner(), mouth.clone());
    let mut hear = |event| session.hear(Some(event)).is_ok_and(|flow| flow.is_continue());
    if choice & 0x80 == 0 {
        hear(said(&FromClient::Hello(hello(choice, None))));
        let answer = mouth.0.lock().expect("one thread").first().map(|frame| frame[FRAME_HEAD..].to_vec());
        let answer = answer.map(|bytes| codec::decode(&bytes).expect("the server keeps to the wire"));
        if let Some(FromServer::Hello(ServerHello { roots, .. })) = answer
            && choice & 0x40 == 0
        {
            hear(said(&FromClient::Hello(hello(choice, Some(roots[0].root.clone())))));
        }
    }
    let taken = frames(rest).into_iter().take_while(|frame| hear(Event::Frame(again(frame)))).count();
    session.finish();
    assert_eq!(disk.by_hand().fingerprint(BESIDE).expect("it is there"), before, "something beside the root changed");
    taken
}

/// What a server says, and the end.
struct Ear {
    frames: RefCell<std::vec::IntoIter<Frame>>,
    bytes: RefCell<u64>,
    /// Frames that were taken.
    taken: Arc<AtomicUsize>,
}

impl Inbox for Ear {
    fn next(&self, _: Duration) -> Option<Event> {
        let Some(frame) = self.frames.borrow_mut().next() else { return Some(Event::End) };
        let (Frame::Message(bytes) | Frame::Piece(bytes)) = &frame;
        self.taken.fetch_add(1, Ordering::Relaxed);
        *self.bytes.borrow_mut() += (FRAME_HEAD + bytes.len()) as u64;
        Some(Event::Frame(frame))
    }

    fn bytes(&self) -> u64 {
        *self.bytes.borrow()
    }
}

fn endpoint() -> Endpoint {
    let root = RootPair {
        local: ROOT.into(),
        remote: b"Maildir".to_vec(),
        label: b"Maildir".to_vec(),
        exclude_pairs: Vec::new(),
        excludes: Excludes::default(),
        naming: None,
        local_excludes: Excludes::default(),
    };
    Endpoint {
        name: "fuzz".to_owned(),
        client: "client".to_owned(),
        server: "server".to_owned(),
        roots: vec![root],
        transport: Transport::Local,
        home: SmdHome::new(STATE, "/home"),
    }
}

/// A server that says any frames, after its Hellos or from the first word on.
pub(super) fn client(data: &[u8]) {
    run(data);
}

/// Gives how many frames the client took, Hellos among them.
pub(super) fn run(data: &[u8]) -> usize {
    let Some((&choice, rest)) = data.split_first() else { return 0 };
    let disk = disk();
    let before = disk.by_hand().fingerprint(BESIDE).expect("it is there");
    let root = || RootAnswer {
        root: "fuzzedserver".to_owned(),
        ids: Ids::default(),
        earlier: Vec::new(),
        counter: u64::from(choice >> 5 & 1),
        damaged: Vec::new(),
    };
    let features = [wire::SPELLING, wire::COUNTS, wire::HEADERS, wire::PATTERNS];
    let features = || features.into_iter().map(Into::into).collect();
    let greets = || FromServer::Hello(ServerHello { features: features(), roots: vec![root()] });
    let mut all: Vec<Frame> = Vec::new();
    if choice & 0x80 == 0 {
        // The client says Hello again under the name that the root has.
        all.extend((0..2).map(|_| Frame::Message(codec::encode(&greets()).expect("small"))));
    }
    all.extend(frames(rest));
    let taken = Arc::new(AtomicUsize::new(0));
    let bytes = RefCell::new(wire::PREAMBLE_SIZE as u64);
    let inbox = Ear { frames: RefCell::new(all.into_iter()), bytes, taken: taken.clone() };
    let line = Line { inbox: Box::new(inbox), outbox: Box::new(Mouth::default()), local: true };
    let options = RunOptions {
        direction: [options::Direction::Sync, options::Direction::Pull, options::Direction::Push]
            [usize::from(choice % 3)],
        dry_run: choice & 4 != 0,
        adopt: choice & 8 != 0,
        allow_bulk_delete: choice & 16 != 0,
        grave_days: 7,
        ..RunOptions::default()
    };
    let stop = Arc::new(AtomicBool::new(false));
    let _ = session::run(&Arc::new(disk.clone()), &endpoint(), &options, line, &mut Progress::hidden(), stop);
    assert_eq!(disk.by_hand().fingerprint(BESIDE).expect("it is there"), before, "something beside the root changed");
    taken.load(Ordering::Relaxed)
}
