//! The thread that owns writing.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::thread;
use std::time::Duration;

use smd_maildir::send::ContentSink;
use smd_protocol::Told;
use smd_protocol::delta::Meta;
use smd_protocol::wire::{self, ContentEnd, ContentStart, PING_SECONDS, Spelled};

use super::{Job, Meter, Outbox, SendError};

/// zstd's level: mail compresses well already at the default, and the pipe should be the slow part.
const LEVEL: i32 = 3;

/// How often a wait for the pipe is interrupted.
const TICK: Duration = Duration::from_millis(100);

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
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("meter", &self.meter).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts to write: the preamble first.
    pub fn start(writer: Box<dyn Write + Send>, wording: impl Wording) -> Self {
        let (queue, orders) = mpsc::sync_channel(QUEUE);
        let (done, drained) = mpsc::sync_channel(1);
        let meter = Meter::default();
        let counted = Counted { inner: io::BufWriter::with_capacity(wire::PIECE, writer), meter: meter.clone() };
        thread::spawn(move || {
            // A broken pipe ends the thread; the session learns it from its next order, or from the reader.
            if let Err(error) = write_all(counted, &wording, &orders, &done) {
                tracing::debug!(%error, "writing ended");
            }
        });
        Self { queue, drained, meter }
    }

    fn order(&self, order: Order) -> Result<(), SendError> {
        self.queue.send(order).map_err(|_| SendError::Lost)
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
        loop {
            match self.drained.recv_timeout(TICK) {
                Ok(()) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => tick(),
                Err(RecvTimeoutError::Disconnected) => return Err(SendError::Lost),
            }
        }
    }

    fn compress(&self) -> Result<(), SendError> {
        self.order(Order::Compress)
    }

    fn bytes(&self) -> u64 {
        self.meter.bytes()
    }
}

struct Counted<W> {
    inner: W,
    meter: Meter,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buf)?;
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
    orders: &Receiver<Order>,
    done: &SyncSender<()>,
) -> io::Result<()> {
    writer.write_all(&wire::preamble())?;
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
                    Err(RecvTimeoutError::Timeout) => Order::Frame(wording.ping()),
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
