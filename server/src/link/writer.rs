//! The thread that owns writing.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use smd_maildir::send::ContentSink;
use smd_protocol::Told;
use smd_protocol::delta::Meta;
use smd_protocol::wire::{self, ContentEnd, ContentStart, PING_SECONDS, STALL_SECONDS, Spelled};

use super::{Job, Life, Meter, Outbox, SendError, left};

/// zstd's level: mail compresses well already at the default, and the pipe should be the slow part.
const LEVEL: i32 = 3;

/// How often a wait for the pipe is interrupted.
const TICK: Duration = Duration::from_millis(100);
/// How often a full queue is asked again.
const FULL: Duration = Duration::from_millis(5);
/// Bytes that are handed to the pipe at once: a link too slow for so many within [`STALL_SECONDS`] takes nothing.
const WRITE: usize = 32 * 1024;

enum Order {
    Frame(Vec<u8>),
    Contents(Job),
    Compress,
    Drain,
}

/// Wraps the messages about contents, which differ by direction.
pub trait Wording: Send + Sync + 'static {
    /// The frame that begins a message's bytes.
    fn start(&self, start: ContentStart) -> Vec<u8>;
    /// The frame that ends them.
    fn end(&self, end: ContentEnd) -> Vec<u8>;
    /// The frame that says how a message is spelled.
    fn spelled(&self, spelled: Spelled) -> Vec<u8>;
    /// A sign of life.
    fn ping(&self) -> Vec<u8>;
    /// A sign of life of an end that is at work.
    fn working(&self) -> Vec<u8>;
}

/// Orders that may wait: frames of at most 1 MiB, mostly far smaller.
const QUEUE: usize = 64;

/// The queue before the pipe. It is bounded, and no session fills it while the other end waits for it to read: an end
/// says much only when the other one listens.
pub struct Writer {
    queue: SyncSender<Order>,
    /// Answers to the drains, one each. One channel for all: a channel is given back by whichever thread lets go of it last.
    drained: Receiver<()>,
    meter: Meter,
    work: Work,
    /// When anything of use was heard of the other end.
    life: Life,
    /// An end that does not know how to say that it is at work is waited for all the same.
    strict: bool,
    stall: Duration,
}

/// What signs of life say, set from where the session is.
#[derive(Clone, Debug)]
struct Work {
    works: Arc<AtomicBool>,
    told: Arc<AtomicBool>,
}

impl Work {
    fn sign(&self, wording: &impl Wording) -> Vec<u8> {
        match self.works.load(Ordering::Relaxed) && self.told.load(Ordering::Relaxed) {
            true => wording.working(),
            false => wording.ping(),
        }
    }
}

/// How far a wait for the pipe came.
struct Stall {
    since: Instant,
    bytes: u64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("meter", &self.meter).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts to write, the preamble first, to an end of which `life` hears. One that takes nothing is waited for without end,
    /// unless it said that it knows how to tell of its work.
    pub fn start(writer: Box<dyn Write + Send>, wording: impl Wording, life: Life) -> Self {
        Self::spawn(writer, wording, life, wire::preamble().to_vec())
    }

    /// Starts to write behind the preamble, which went out before. An end that takes nothing is never waited for without end.
    pub fn behind_preamble(writer: Box<dyn Write + Send>, wording: impl Wording, life: Life) -> Self {
        Self { strict: true, ..Self::spawn(writer, wording, life, Vec::new()) }
    }

    fn spawn(writer: Box<dyn Write + Send>, wording: impl Wording, life: Life, first: Vec<u8>) -> Self {
        let (queue, orders) = mpsc::sync_channel(QUEUE);
        let (done, drained) = mpsc::sync_channel(1);
        let meter = Meter::default();
        let counted = Counted { inner: writer, meter: meter.clone() };
        let counted = io::BufWriter::with_capacity(wire::PIECE, counted);
        let work = Work { works: Arc::new(AtomicBool::new(true)), told: Arc::default() };
        let told = work.clone();
        thread::spawn(move || {
            // A broken pipe ends the thread; the session learns it from its next order, or from the reader.
            if let Err(error) = write_all(counted, &wording, &first, &told, &orders, &done) {
                tracing::debug!(%error, "writing ended");
            }
        });
        Self { queue, drained, meter, work, life, strict: false, stall: Duration::from_secs(STALL_SECONDS) }
    }

    fn order(&self, mut order: Order) -> Result<(), SendError> {
        let mut stall = self.waits();
        loop {
            order = match self.queue.try_send(order) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(SendError::Lost),
                Err(TrySendError::Full(order)) => order,
            };
            self.goes_on(&mut stall)?;
            thread::sleep(FULL);
        }
    }

    fn waits(&self) -> Stall {
        Stall { since: Instant::now(), bytes: self.meter.bytes() }
    }

    /// Whether the wait for the pipe goes on: bytes went out, or something of use came in.
    fn goes_on(&self, stall: &mut Stall) -> Result<(), SendError> {
        if !self.strict && !self.work.told.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (now, bytes) = (Instant::now(), self.meter.bytes());
        if bytes != stall.bytes {
            *stall = Stall { since: now, bytes };
        }
        match left(stall.since, self.life.useful(), now, self.stall) {
            Some(_) => Ok(()),
            None => Err(SendError::Stalled(self.stall.as_secs())),
        }
    }
}

impl Outbox for Writer {
    fn frame(&self, frame: Vec<u8>) -> Result<(), SendError> {
        self.order(Order::Frame(frame))
    }

    fn contents(&self, job: Job) -> Result<(), SendError> {
        self.order(Order::Contents(job))
    }

    fn drain(&self, tick: &mut dyn FnMut()) -> Result<(), SendError> {
        self.order(Order::Drain)?;
        let mut stall = self.waits();
        loop {
            match self.drained.recv_timeout(TICK) {
                Ok(()) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => tick(),
                Err(RecvTimeoutError::Disconnected) => return Err(SendError::Lost),
            }
            self.goes_on(&mut stall)?;
        }
    }

    fn compress(&self) -> Result<(), SendError> {
        self.order(Order::Compress)
    }

    fn bytes(&self) -> u64 {
        self.meter.bytes()
    }

    fn works(&self, works: bool) {
        self.work.works.store(works, Ordering::Relaxed);
    }

    fn tells_of_work(&self) {
        self.work.told.store(true, Ordering::Relaxed);
    }
}

struct Counted<W> {
    inner: W,
    meter: Meter,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(&buf[..buf.len().min(WRITE)])?;
        self.meter.add(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

enum Pipe<W: Write> {
    Plain(W),
    Compressed(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Pipe::Plain(writer) => writer.write(buf),
            Pipe::Compressed(encoder) => encoder.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Pipe::Plain(writer) => writer.flush(),
            Pipe::Compressed(encoder) => encoder.flush(),
        }
    }
}

fn write_all<W: Write + Send>(
    mut writer: W,
    wording: &impl Wording,
    first: &[u8],
    work: &Work,
    orders: &Receiver<Order>,
    done: &SyncSender<()>,
) -> io::Result<()> {
    writer.write_all(first)?;
    let mut pipe = Some(Pipe::Plain(writer));
    loop {
        let Some(open) = pipe.as_mut() else { return Ok(()) };
        let order = match orders.try_recv() {
            Ok(order) => order,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                // Nothing waits: let the other end see all that was said.
                open.flush()?;
                match orders.recv_timeout(Duration::from_secs(PING_SECONDS)) {
                    Ok(order) => order,
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => Order::Frame(work.sign(wording)),
                }
            }
        };
        match order {
            Order::Frame(frame) => open.write_all(&frame)?,
            Order::Contents(job) => job(&mut Sink { pipe: open, wording })?,
            Order::Drain => {
                open.flush()?;
                let _ = done.send(());
            }
            Order::Compress => {
                pipe = match pipe.take() {
                    Some(Pipe::Plain(mut writer)) => {
                        writer.flush()?;
                        Some(Pipe::Compressed(zstd::stream::write::Encoder::new(writer, LEVEL)?))
                    }
                    other => other,
                };
            }
        }
    }
    match pipe {
        Some(Pipe::Compressed(encoder)) => encoder.finish()?.flush(),
        Some(Pipe::Plain(mut writer)) => writer.flush(),
        None => Ok(()),
    }
}

struct Sink<'a, W: Write, L: Wording> {
    pipe: &'a mut Pipe<W>,
    wording: &'a L,
}

impl<W: Write, L: Wording> ContentSink for Sink<'_, W, L> {
    fn start(&mut self, step: u32, meta: Meta) -> io::Result<()> {
        self.pipe.write_all(&self.wording.start(ContentStart { step, size: meta.size, mtime: meta.mtime }))
    }

    fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(wire::PIECE) {
            self.pipe.write_all(&wire::piece_head(piece.len()))?;
            self.pipe.write_all(piece)?;
        }
        Ok(())
    }

    fn spelled(&mut self, step: u32, suffix: Option<&[u8]>) -> io::Result<()> {
        self.pipe.write_all(&self.wording.spelled(Spelled { step, suffix: suffix.map(<[u8]>::to_vec) }))
    }

    fn end(&mut self, step: u32, failed: Option<String>) -> io::Result<()> {
        self.pipe.write_all(&self.wording.end(ContentEnd { step, failed: failed.map(Told::from) }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::link::Sign;
    use crate::session::Words;

    /// A writer into a pipe that nobody reads for now, and the bound of its waits.
    fn into_pipe(stall: Duration, life: &Life) -> (io::PipeReader, Writer) {
        let (reader, writer) = io::pipe().expect("a pipe");
        (reader, Writer { stall, ..Writer::behind_preamble(Box::new(writer), Words, life.clone()) })
    }

    fn fill(writer: &Writer) -> SendError {
        loop {
            if let Err(error) = writer.frame(vec![0; 64 * 1024]) {
                return error;
            }
        }
    }

    #[test]
    fn an_end_that_takes_nothing_is_not_waited_for_without_end() {
        let life = Life::default();
        let (_unread, writer) = into_pipe(Duration::ZERO, &life);
        assert!(matches!(fill(&writer), SendError::Stalled(_)));
        assert!(matches!(writer.drain(&mut || {}), Err(SendError::Stalled(_))));
    }

    #[test]
    fn an_end_that_is_at_work_is_waited_for() {
        let life = Life::default();
        let (mut reader, writer) = into_pipe(Duration::from_millis(300), &life);
        let (stop, quit) = mpsc::channel::<()>();
        let says = life.clone();
        let working = thread::spawn(move || {
            while quit.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
                says.hear(Sign::Working);
            }
        });
        // Reads nothing for longer than the bound.
        let reads = thread::spawn(move || {
            thread::sleep(Duration::from_millis(600));
            io::copy(&mut reader.by_ref().take(200 * 64 * 1024), &mut io::sink()).expect("reads")
        });
        for _ in 0..200 {
            writer.frame(vec![0; 64 * 1024]).expect("the other end is at work");
        }
        writer.drain(&mut || {}).expect("and takes it in the end");
        assert_eq!(reads.join().expect("reads"), 200 * 64 * 1024);
        drop(stop);
        working.join().expect("ends");
    }

    #[test]
    fn signs_of_life_tell_of_work_where_both_know_of_it() {
        let work = Work { works: Arc::new(AtomicBool::new(true)), told: Arc::default() };
        assert_eq!(work.sign(&Words), Words.ping());
        work.told.store(true, Ordering::Relaxed);
        assert_eq!(work.sign(&Words), Words.working());
        work.works.store(false, Ordering::Relaxed);
        assert_eq!(work.sign(&Words), Words.ping());
    }
}
