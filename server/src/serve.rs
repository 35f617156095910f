//! The serve loop: what came in goes to the session, one event after another, and what a run took is given back in the rest.
//!
//! Until the client's Hello there is one thread, which waits for it; those of the link, and with them all others, start behind
//! both stages of the sandbox and inherit it.
//!
//! Deliberately not here: what a message means (`session`).

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smd_maildir::fs::Fs;
use smd_protocol::codec;
use smd_protocol::wire::{self, ClientHello, Failure, Frame, FromClient, FromServer};

use crate::error::ServeError;
use crate::link::{self, Event, Hearing, Inbox as _, Life, ReadError, Reader, Sign, Writer, left};
use crate::memory::Memory;
use crate::policy::Authority;
use crate::roots::Places;
use crate::sandbox::Lacking;
use crate::session::{Confined, Presence, Session, Words};

/// A client's first message, and its signs of life.
const HEARING: Hearing = Hearing {
    compressed: |first| matches!(codec::decode(first), Ok(FromClient::Hello(hello)) if hello.compress),
    sign: |bytes| match bytes.len() <= 2 {
        true => match codec::decode(bytes) {
            Ok(FromClient::Ping) => Sign::Ping,
            Ok(FromClient::Working) => Sign::Working,
            _ => Sign::Message,
        },
        false => Sign::Message,
    },
};

/// What comes from the client, with a bound for its first message.
pub(crate) trait Incoming: Read + Send {
    /// As [`link::Stdin::bound`].
    fn bound(&mut self, bound: Option<Duration>);
}

impl Incoming for link::Stdin {
    fn bound(&mut self, bound: Option<Duration>) {
        link::Stdin::bound(self, bound);
    }
}

/// Serves one client on this pipe until it says goodbye or goes away. No other thread may run yet. `confine` is the second stage
/// of the sandbox; it is given the client's Hello, unless that is not what came first.
///
/// # Errors
/// When the session ended in any other way. Whatever was begun is finished by the next run.
pub(crate) fn serve<F: Fs>(
    fs: Arc<F>,
    places: &Places,
    authority: Authority,
    presence: Presence<F>,
    mut reader: impl Incoming + 'static,
    mut writer: Box<dyn Write + Send>,
    confine: impl FnOnce(Option<&ClientHello>) -> Result<Confined<F>, Lacking>,
) -> Result<(), ServeError> {
    writer.write_all(&wire::preamble()).and_then(|()| writer.flush()).map_err(ReadError::from)?;
    reader.bound(Some(Duration::from_secs(wire::HANDSHAKE_SECONDS)));
    let (opened, first) = match link::open(&mut reader, HEARING) {
        Ok(mut opened) => {
            let first = opened.first.take();
            (Some(opened), first.map_or(Event::End, Event::Frame))
        }
        Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::TimedOut => {
            return Err(ServeError::Silence(wire::HANDSHAKE_SECONDS));
        }
        Err(error) => (None, Event::Broken(error)),
    };
    reader.bound(None);
    let confined = confine(hello_of(&first).as_ref())
        .inspect_err(|lacking| refuse(&mut *writer, Failure::Refused(lacking.to_string().into())))?;
    let life = Life::default();
    let inbox = Reader::behind(opened, Box::new(reader), HEARING, life.clone());
    let writer = Writer::behind_preamble(writer, Words, life.clone());
    let mut session = Session::new(fs, places, authority, writer);
    session.is_confined(confined);
    session.is_counted(presence);
    session.wakes_by(inbox.ringer());
    let idle = Duration::from_secs(wire::IDLE_SECONDS);
    let mut talk = Talk { session, inbox, memory: Memory::default(), life, idle };
    let result = talk.talk(first);
    talk.session.finish();
    result
}

/// Serves nobody, and tells the client why.
pub(crate) fn turn_away(writer: &mut dyn Write, why: Failure) {
    if writer.write_all(&wire::preamble()).is_ok() {
        refuse(writer, why);
    }
}

fn hello_of(first: &Event) -> Option<ClientHello> {
    let Event::Frame(Frame::Message(bytes)) = first else { return None };
    match codec::decode(bytes) {
        Ok(FromClient::Hello(hello)) => Some(hello),
        _ => None,
    }
}

/// Tells a client that nothing is served here; that it cannot be told any more is no second failure.
fn refuse(writer: &mut dyn Write, why: Failure) {
    let refused = wire::message(&FromServer::Fail(why));
    let _ = refused.map(|refused| writer.write_all(&refused).and_then(|()| writer.flush()));
}

/// The two ends of serving.
struct Talk<F: Fs> {
    session: Session<F, Writer>,
    inbox: Reader,
    memory: Memory,
    life: Life,
    /// How long a client that only gives signs of life keeps its locks.
    idle: Duration,
}

impl<F: Fs> Talk<F> {
    /// One run after another, from this event on, until the client is done.
    fn talk(&mut self, first: Event) -> Result<(), ServeError> {
        let mut next = Some(first);
        loop {
            let event = match next.take() {
                Some(event) => Some(event),
                None => self.rest()?,
            };
            if let Some(event) = event
                && self.run(event)?.is_break()
            {
                return Ok(());
            }
        }
    }

    /// Waits between two runs. Gives what begins the next one, or ends the session.
    fn rest(&mut self) -> Result<Option<Event>, ServeError> {
        self.session.works(false);
        let event = self.inbox.next(Duration::from_secs(wire::SILENCE_SECONDS));
        self.session.works(true);
        match event {
            Some(Event::Rung) | None => self.session.hear(event).map(|_| None),
            Some(Event::Frame(Frame::Message(bytes))) if (HEARING.sign)(&bytes) != Sign::Message => {
                self.memory.rests();
                Ok(None)
            }
            event => Ok(event),
        }
    }

    /// Carries a run from its first message to the rest after it.
    fn run(&mut self, first: Event) -> Result<ControlFlow<()>, ServeError> {
        self.memory.runs();
        let mut event = first;
        loop {
            match self.session.hear(Some(event))? {
                ControlFlow::Continue(()) if !self.session.rests() => event = self.useful()?,
                flow => return Ok(flow),
            }
        }
    }

    /// Waits for something of use, before a run and within it, when locks are held.
    fn useful(&mut self) -> Result<Event, ServeError> {
        self.session.works(false);
        let began = Instant::now();
        let event = loop {
            let Some(left) = left(began, self.life.useful(), Instant::now(), self.idle) else {
                return Err(ServeError::Idle(self.idle.as_secs()));
            };
            let heard = self.inbox.next(left);
            match heard {
                Some(Event::Frame(Frame::Message(bytes))) if (HEARING.sign)(&bytes) != Sign::Message => {}
                // Mail that comes here says nothing of the client.
                Some(Event::Rung) => drop(self.session.hear(Some(Event::Rung))?),
                Some(event) => break event,
                None => {}
            }
        };
        self.session.works(true);
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::thread::{self, JoinHandle};

    use smd_maildir::fs::Disk;
    use smd_protocol::reconcile::Direction;
    use smd_protocol::wire::{Depth, Ids, RootOffer};

    use super::*;

    const OFTEN: Duration = Duration::from_millis(20);
    const IDLE: Duration = Duration::from_millis(400);

    fn hello() -> FromClient {
        let root = RootOffer {
            path: b"Maildir".to_vec(),
            pair: "x".to_owned(),
            root: None,
            ids: Ids::default(),
            damaged: Vec::new(),
            excludes: Vec::new(),
        };
        FromClient::Hello(ClientHello {
            features: vec![wire::WORKING.into()],
            client: "laptop".to_owned(),
            direction: Direction::Sync,
            dry_run: false,
            depth: Depth::Quick,
            compress: false,
            grave_days: 7,
            roots: vec![root],
        })
    }

    fn frame(message: &FromClient) -> Event {
        let bytes = codec::encode(message).expect("small");
        Event::Frame(Frame::Message(bytes))
    }

    /// How far a client has come.
    #[derive(Clone, Copy)]
    enum Stage {
        /// It was told the names of its roots, and does not say Hello under these.
        Named,
        /// A run is on.
        Runs,
    }

    /// A client of which nothing is heard but this sign from there on, every so often, until the server closes or for so long.
    fn only_says(sign: &FromClient, stage: Stage, until: Duration) -> Result<(), ServeError> {
        let temp = tempfile::tempdir().expect("temp");
        std::fs::create_dir_all(temp.path().join("Maildir/cur")).expect("makes");
        let places = Places { state: temp.path().join(".smd"), user: temp.path().to_path_buf() };
        let ((reads, mut says), (hears, writes)) = (io::pipe().expect("a pipe"), io::pipe().expect("a pipe"));
        let life = Life::default();
        let opened =
            link::open(&[&wire::preamble()[..], &wire::message(&hello()).expect("small")].concat()[..], HEARING);
        let inbox = Reader::behind(Some(opened.expect("it is well said")), Box::new(reads), HEARING, life.clone());
        let writer = Writer::behind_preamble(Box::new(writes), Words, life.clone());
        let session = Session::new(Arc::new(Disk), &places, Authority::owner(), writer);
        let mut talk = Talk { session, inbox, memory: Memory::default(), life, idle: IDLE };

        // The first Hello learns the root's name, and the second begins the run.
        assert!(talk.session.hear(Some(frame(&hello()))).expect("it is understood").is_continue());
        let mut hears = hears;
        let named = link::open(
            &mut (&wire::preamble()[..]).chain(&mut hears),
            Hearing { compressed: |_| false, sign: |_| Sign::Message },
        );
        let Some(Frame::Message(named)) = named.expect("it answers").first else { panic!("no answer") };
        let Ok(FromServer::Hello(answer)) = codec::decode(&named) else { panic!("no Hello") };
        let FromClient::Hello(mut second) = hello() else { unreachable!("it is one") };
        second.roots[0].root = Some(answer.roots[0].root.clone());

        let sign = wire::message(sign).expect("small");
        let (done, ended) = mpsc::channel::<()>();
        let client: JoinHandle<()> = thread::spawn(move || {
            let since = Instant::now();
            while ended.recv_timeout(OFTEN) == Err(RecvTimeoutError::Timeout) && since.elapsed() < until {
                if says.write_all(&sign).is_err() {
                    return;
                }
            }
            let _ = says.write_all(&wire::message(&FromClient::Bye).expect("small"));
        });
        let result = talk.talk(match stage {
            Stage::Named => frame(&FromClient::Ping),
            Stage::Runs => frame(&FromClient::Hello(second)),
        });
        drop(done);
        client.join().expect("it ends");
        talk.session.finish();
        drop(hears);
        result
    }

    #[test]
    fn a_client_that_only_gives_signs_of_life_loses_its_locks() {
        for stage in [Stage::Named, Stage::Runs] {
            let ended = only_says(&FromClient::Ping, stage, Duration::from_secs(20));
            assert!(matches!(ended, Err(ServeError::Idle(_))), "{ended:?}");
        }
    }

    #[test]
    fn a_client_that_is_at_work_is_waited_for() {
        only_says(&FromClient::Working, Stage::Runs, 3 * IDLE).expect("it is heard until its goodbye");
    }

    /// A client that connects and says nothing.
    struct Silent(Arc<std::sync::Mutex<Vec<Option<Duration>>>>);

    impl Read for Silent {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::TimedOut.into())
        }
    }

    impl Incoming for Silent {
        fn bound(&mut self, bound: Option<Duration>) {
            self.0.lock().expect("nobody panics").push(bound);
        }
    }

    #[test]
    fn a_client_that_says_nothing_is_waited_for_so_long_and_no_longer() {
        let temp = tempfile::tempdir().expect("temp");
        let places = Places { state: temp.path().join(".smd"), user: temp.path().to_path_buf() };
        let bounds = Arc::default();
        let silent = Silent(Arc::clone(&bounds));
        let ended =
            serve(Arc::new(Disk), &places, Authority::owner(), Presence::Outside, silent, Box::new(io::sink()), |_| {
                Ok(Confined::default())
            });
        assert!(matches!(ended, Err(ServeError::Silence(wire::HANDSHAKE_SECONDS))), "{ended:?}");
        assert_eq!(*bounds.lock().expect("nobody panics"), [Some(Duration::from_secs(wire::HANDSHAKE_SECONDS))]);
        assert!(!places.state.exists());
    }
}
