//! The thread that owns reading.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use smd_protocol::limits::{FRAMES_AHEAD, WINDOW_LOG};
use smd_protocol::wire::{self, FRAME_HEAD, Frame, PREAMBLE, PREAMBLE_SIZE, WireError};

use super::{Inbox, Life, Meter, ReadError, Sign};

/// Bytes of a stranger's greeting that are kept to be shown.
const NOISE: usize = 256;

/// What came in.
#[derive(Debug)]
pub enum Event {
    /// A frame.
    Frame(Frame),
    /// The other end closed, between two frames.
    End,
    /// Reading is over.
    Broken(ReadError),
    /// Nothing came in; a [`Ringer`] was used.
    Rung,
}

/// Ends a wait for the next event from another thread. Why it was rung is known elsewhere.
#[derive(Clone, Debug)]
pub struct Ringer(SyncSender<Event>);

impl Ringer {
    /// Lets the wait that is on, or the next one, end.
    pub fn ring(&self) {
        // A queue that is full ends every wait by itself, and who is gone waits no more.
        let _ = self.0.try_send(Event::Rung);
    }
}

/// How the first messages of the other end, and its signs of life, are known.
#[derive(Clone, Copy)]
pub struct Hearing {
    /// Whether all bytes after this first message are compressed.
    pub compressed: fn(&[u8]) -> bool,
    /// Whether this is a sign of life.
    pub sign: fn(&[u8]) -> Sign,
}

impl std::fmt::Debug for Hearing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hearing").finish_non_exhaustive()
    }
}

/// The first message of the other end, and how to go on behind it.
#[derive(Debug)]
pub struct Opened {
    /// The message, still encoded; none when the other end closed before it said any.
    pub first: Option<Frame>,
    compressed: bool,
}

/// What has been read and not yet looked at.
#[derive(Debug)]
pub struct Reader {
    queue: Receiver<Event>,
    ringer: Ringer,
    meter: Meter,
}

impl Reader {
    /// Starts to read, from the preamble on. `life` hears of everything behind the first message.
    pub fn start(reader: Box<dyn Read + Send>, hearing: Hearing, life: Life) -> Self {
        Self::spawn(reader, move |reader, queue| {
            let Opened { first, compressed } = open(&mut *reader, hearing)?;
            match first.is_some_and(|first| queue.send(Event::Frame(first)).is_ok()) {
                true => go_on(reader, compressed, &Ear { queue, sign: hearing.sign, life: &life }),
                false => Ok(()),
            }
        })
    }

    /// Starts to read behind the first message; reads nothing where that could not be read. `life` hears of everything.
    pub fn behind(opened: Option<Opened>, reader: Box<dyn Read + Send>, hearing: Hearing, life: Life) -> Self {
        Self::spawn(reader, move |reader, queue| match opened {
            Some(opened) => go_on(reader, opened.compressed, &Ear { queue, sign: hearing.sign, life: &life }),
            None => Ok(()),
        })
    }

    fn spawn(
        reader: Box<dyn Read + Send>,
        read: impl FnOnce(&mut Counted<Box<dyn Read + Send>>, &SyncSender<Event>) -> Result<(), ReadError> + Send + 'static,
    ) -> Self {
        let (sender, queue) = mpsc::sync_channel(FRAMES_AHEAD);
        let meter = Meter::default();
        let mut counted = Counted { inner: reader, meter: meter.clone() };
        let ringer = Ringer(sender.clone());
        // The thread ends with the pipe, or when nobody listens any more. It is not joined: a read from a
        // pipe that stays open cannot be interrupted, and it holds nothing but the pipe.
        thread::spawn(move || {
            let last = match read(&mut counted, &sender) {
                Ok(()) => Event::End,
                Err(error) => Event::Broken(error),
            };
            let _ = sender.send(last);
        });
        Self { queue, ringer, meter }
    }
}

impl Inbox for Reader {
    fn next(&self, wait: Duration) -> Option<Event> {
        match self.queue.recv_timeout(wait) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::End),
        }
    }

    fn bytes(&self) -> u64 {
        self.meter.bytes()
    }

    fn ringer(&self) -> Option<Ringer> {
        Some(self.ringer.clone())
    }
}

struct Counted<R> {
    inner: R,
    meter: Meter,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.meter.add(count);
        Ok(count)
    }
}

/// A pipe behind a decoder. Errors come out of there alike, be it the pipe that broke or the stream in it; only this one knows
/// which.
struct Pipe<R> {
    inner: R,
    broke: Arc<AtomicBool>,
}

impl<R: Read> Read for Pipe<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.broke.store(true, Ordering::Relaxed);
            }
        })
    }
}

/// Reads the preamble and the first message. Signs of life may come before it: the other end waits for a lock.
///
/// # Errors
/// When these are no first words of ours, or the pipe breaks.
pub fn open(mut reader: impl Read, hearing: Hearing) -> Result<Opened, ReadError> {
    let nothing = Opened { first: None, compressed: false };
    let mut preamble = [0; PREAMBLE_SIZE];
    let got = fill(&mut reader, &mut preamble)?;
    if got == 0 {
        return Ok(nothing);
    }
    if !PREAMBLE.starts_with(&preamble[..got.min(PREAMBLE.len())]) {
        let mut noise = preamble[..got].to_vec();
        let mut more = [0; NOISE];
        // One more read gives the rest of the line in practice; waiting for more could take for ever.
        if got == PREAMBLE_SIZE {
            let count = reader.read(&mut more).unwrap_or(0);
            noise.extend_from_slice(&more[..count]);
        }
        noise.truncate(NOISE);
        return Err(ReadError::Noise(noise));
    }
    if got < PREAMBLE_SIZE {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    wire::common_version(&preamble)?;
    loop {
        let Some(first) = read_frame(&mut reader)? else { return Ok(nothing) };
        match &first {
            Frame::Message(bytes) if (hearing.sign)(bytes) != Sign::Message => {}
            Frame::Message(bytes) => return Ok(Opened { compressed: (hearing.compressed)(bytes), first: Some(first) }),
            Frame::Piece(_) => return Ok(Opened { first: Some(first), compressed: false }),
        }
    }
}

/// Where what is read goes.
struct Ear<'a> {
    queue: &'a SyncSender<Event>,
    sign: fn(&[u8]) -> Sign,
    life: &'a Life,
}

fn go_on(reader: impl Read, compressed: bool, ear: &Ear<'_>) -> Result<(), ReadError> {
    if compressed {
        let broke = Arc::new(AtomicBool::new(false));
        let pipe = Pipe { inner: reader, broke: broke.clone() };
        let mut decoder = zstd::stream::read::Decoder::new(pipe)?.single_frame();
        decoder.window_log_max(WINDOW_LOG)?;
        pump(decoder, ear).map_err(|error| match error {
            // A stream that only ends too early is a connection that was cut.
            ReadError::Io(cause) if cause.kind() != io::ErrorKind::UnexpectedEof && !broke.load(Ordering::Relaxed) => {
                WireError::Compression(cause.to_string()).into()
            }
            other => other,
        })
    } else {
        pump(io::BufReader::with_capacity(wire::PIECE, reader), ear)
    }
}

fn pump(mut reader: impl Read, ear: &Ear<'_>) -> Result<(), ReadError> {
    while let Some(frame) = read_frame(&mut reader)? {
        let sign = match &frame {
            Frame::Message(bytes) => (ear.sign)(bytes),
            Frame::Piece(_) => Sign::Message,
        };
        ear.life.hear(sign);
        let heard = match sign {
            Sign::Message => ear.queue.send(Event::Frame(frame)).is_ok(),
            // Where nobody listens just now, one sign more says nothing, and the next one must be read all the same.
            Sign::Ping | Sign::Working => {
                !matches!(ear.queue.try_send(Event::Frame(frame)), Err(TrySendError::Disconnected(_)))
            }
        };
        if !heard {
            break;
        }
    }
    Ok(())
}

/// Reads until the buffer is full or the pipe ends; gives how much came.
fn fill(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buf.len() {
        match reader.read(&mut buf[got..]) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // A stream that is cut in the middle of a compressed block ends like one that is closed.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && got == 0 => break,
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

fn read_frame(reader: &mut impl Read) -> Result<Option<Frame>, ReadError> {
    let mut head = [0; FRAME_HEAD];
    match fill(reader, &mut head)? {
        0 => return Ok(None),
        FRAME_HEAD => {}
        _ => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    }
    let (piece, size) = wire::read_head(head)?;
    let mut bytes = vec![0; size];
    if fill(reader, &mut bytes)? < size {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(Some(if piece { Frame::Piece(bytes) } else { Frame::Message(bytes) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Hearing = Hearing { compressed: |_| false, sign: |_| Sign::Message };

    fn events(bytes: &[u8]) -> Vec<Event> {
        events_of(bytes, PLAIN)
    }

    fn events_of(bytes: &[u8], hearing: Hearing) -> Vec<Event> {
        let inbox = Reader::start(Box::new(io::Cursor::new(bytes.to_vec())), hearing, Life::default());
        let mut events = Vec::new();
        loop {
            let event = inbox.next(Duration::from_secs(10)).expect("the cursor ends");
            let last = !matches!(event, Event::Frame(_));
            events.push(event);
            if last {
                return events;
            }
        }
    }

    #[test]
    fn a_chatty_shell_is_recognised() {
        let events = events(b"Welcome to host\nlast login: today\n");
        assert!(
            matches!(&events[..], [Event::Broken(ReadError::Noise(bytes))] if bytes.starts_with(b"Welcome to host"))
        );
    }

    #[test]
    fn signs_of_life_before_the_first_message_are_none() {
        // A host that waits for a lock says that it lives, and only then Hello, by which all that follows is compressed.
        let mut bytes = wire::preamble().to_vec();
        let said = |number: u32| wire::message(&number).expect("small");
        [1, 1, 7].into_iter().for_each(|number| bytes.extend(said(number)));
        bytes.extend(zstd::encode_all(&said(8)[..], 3).expect("compresses"));
        let sign = |bytes: &[u8]| if bytes == [1] { Sign::Ping } else { Sign::Message };
        let events = events_of(&bytes, Hearing { compressed: |bytes| bytes == [7], sign });
        assert!(
            matches!(&events[..], [Event::Frame(Frame::Message(seven)), Event::Frame(Frame::Message(eight)), Event::End]
                if seven == &[7] && eight == &[8]),
            "{events:?}"
        );
    }

    #[test]
    fn a_frame_cut_at_every_byte_is_an_error_and_never_a_frame() {
        let mut bytes = wire::preamble().to_vec();
        bytes.extend(wire::message(&7u32).expect("small"));
        for cut in 1..bytes.len() {
            let events = events(&bytes[..cut]);
            assert!(!events.iter().any(|event| matches!(event, Event::Frame(_))), "{cut}");
        }
        assert!(matches!(&events(&bytes)[..], [Event::Frame(Frame::Message(_)), Event::End]));
    }

    /// What comes in behind a first frame that announces compression.
    fn unpacked(then: &[u8], ends_in: Option<io::ErrorKind>) -> Event {
        struct Broken(io::ErrorKind);
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
        }
        let mut bytes = wire::preamble().to_vec();
        bytes.extend(wire::message(&7u32).expect("small"));
        bytes.extend_from_slice(then);
        let bytes = io::Cursor::new(bytes);
        let reader: Box<dyn Read + Send> = match ends_in {
            Some(kind) => Box::new(bytes.chain(Broken(kind))),
            None => Box::new(bytes),
        };
        let hearing = Hearing { compressed: |_| true, ..PLAIN };
        let inbox = Reader::start(reader, hearing, Life::default());
        loop {
            match inbox.next(Duration::from_secs(10)).expect("it ends") {
                Event::Frame(_) => {}
                last => return last,
            }
        }
    }

    #[test]
    fn a_broken_stream_is_a_fault_of_the_other_end_and_a_broken_pipe_is_none() {
        let good = zstd::encode_all(&wire::message(&"x".repeat(1000)).expect("small")[..], 3).expect("encodes");
        let mut bad = good.clone();
        *bad.last_mut().expect("some") ^= 1;
        bad[6] ^= 0xff;
        for then in [&b"plain words"[..], &wire::message(&7u32).expect("small"), &bad] {
            let last = unpacked(then, None);
            assert!(matches!(&last, Event::Broken(ReadError::Wire(_))), "{last:?}");
        }
        let kind = io::ErrorKind::ConnectionReset;
        for cut in [0, 3, good.len() / 2] {
            let last = unpacked(&good[..cut], Some(kind));
            assert!(matches!(&last, Event::Broken(ReadError::Io(error)) if error.kind() == kind), "{cut} {last:?}");
            let last = unpacked(&good[..cut], None);
            assert!(!matches!(&last, Event::Broken(ReadError::Wire(_))), "{cut} {last:?}");
        }
    }

    #[test]
    fn an_oversized_frame_ends_the_reading() {
        let mut bytes = wire::preamble().to_vec();
        bytes.extend([1, 255, 255, 255, 255]);
        assert!(matches!(&events(&bytes)[..], [Event::Broken(ReadError::Wire(_))]));
    }
}
