//! The two ends of a pipe as an inbox and an outbox: framing, compression, signs of life.
//!
//! One thread owns reading and one owns writing, so that neither end ever waits for the other to read
//! while the other waits for it: the pipe cannot deadlock. Both ends use this room. What the session
//! sees are the traits [`Inbox`] and [`Outbox`]; a model of both hosts in one thread gives it queues instead.
//!
//! Deliberately not here: what the messages mean.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use smd_maildir::send::ContentSink;
use smd_protocol::codec::CodecError;
use smd_protocol::wire::{self, WireError};

mod life;
mod reader;
mod stdio;
mod writer;

pub use life::{Life, Sign, left};
pub use reader::{Event, Hearing, Opened, Reader, Ringer, open};
pub use stdio::{Stdin, Stdout};
pub use writer::{Wording, Writer};

/// Bytes that passed, after compression.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// So many more.
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sends the contents of many messages. Runs where writing happens, so that it may wait for the pipe.
pub type Job = Box<dyn FnOnce(&mut dyn ContentSink) -> io::Result<()> + Send>;

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The link is gone.
    #[error("the connection was lost")]
    Lost,
    /// The other end takes nothing any more.
    #[error("nothing could be sent for {0} seconds, and nothing of use was heard")]
    Stalled(u64),
    /// A message is too large for a frame.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Where a session puts what it has to say, in order.
pub trait Outbox {
    /// Queues a frame.
    ///
    /// # Errors
    /// When the link is gone.
    fn frame(&self, frame: Vec<u8>) -> Result<(), SendError>;
    /// Queues the sending of contents.
    ///
    /// # Errors
    /// When the link is gone.
    fn contents(&self, job: Job) -> Result<(), SendError>;
    /// Waits until everything queued was handed to the pipe. `tick` is called now and then meanwhile.
    ///
    /// # Errors
    /// When the link is gone.
    fn drain(&self, tick: &mut dyn FnMut()) -> Result<(), SendError>;
    /// Compresses everything queued from now on.
    ///
    /// # Errors
    /// When the link is gone.
    fn compress(&self) -> Result<(), SendError>;
    /// Bytes written so far, after compression.
    fn bytes(&self) -> u64;
    /// Says whether this end is at work from now on, or waits for the other one. Where the two agreed on it, signs of life
    /// tell.
    fn works(&self, _works: bool) {}
    /// The other end knows what [`Outbox::works`] makes of signs of life.
    fn tells_of_work(&self) {}
}

/// Where a session hears what the other end says, in order.
pub trait Inbox {
    /// Waits for the next event, at most so long; none when nothing came.
    fn next(&self, wait: Duration) -> Option<Event>;
    /// Bytes read so far, after compression.
    fn bytes(&self) -> u64;
    /// What ends a wait from another thread; none where there is no other thread.
    fn ringer(&self) -> Option<Ringer> {
        None
    }
}

/// Queues a message.
///
/// # Errors
/// When the link is gone or the message too large.
pub fn send<T: Serialize>(outbox: &dyn Outbox, message: &T) -> Result<(), SendError> {
    let mut frame = wire::message(message)?;
    frame.reserve_exact(UNKEPT);
    outbox.frame(frame)
}

/// Bytes that glibc's allocator does not keep for the thread that gives them back (`tcache`, up to 1032). A frame is given
/// back by the thread that writes, which lives on: kept there, it would hold the memory of a whole run below it.
const UNKEPT: usize = 1040;

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The first bytes were not ours: a start-up file of the shell printed something, or the wrong program runs.
    #[error("unexpected output")]
    Noise(Vec<u8>),
    /// The other end broke a rule of the wire.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The pipe broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}
