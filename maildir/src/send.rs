//! Sending: the bytes of messages, one after the other, to whoever wants them.
//!
//! What the bytes are is checked by the receiver, who knows what they must digest to: a message that changed
//! since it was announced arrives with other digests and is not installed.

use std::collections::HashMap;
use std::io::{self, Read};

use smd_protocol::delta::Meta;
use smd_protocol::wire::Fetch;
use smd_protocol::{ContentHasher, Entry, Name};

use crate::apply::Messages;
use crate::fs::Fs;
use crate::hash::PIECE;
use crate::root::Root;

/// Longest header that is sent by itself, in bytes. A longer one fails, and the message is sent whole.
const HEADER_MAX: u64 = 16 << 20;

/// Where the bytes of messages go.
pub trait ContentSink {
    /// The bytes of one message begin: so many, with this mtime.
    ///
    /// # Errors
    /// When the link is gone.
    fn start(&mut self, step: u32, meta: Meta) -> io::Result<()>;
    /// The next piece.
    ///
    /// # Errors
    /// When the link is gone.
    fn piece(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// They are complete, or why not. May come without a beginning.
    ///
    /// # Errors
    /// When the link is gone.
    fn end(&mut self, step: u32, failed: Option<String>) -> io::Result<()>;
}

/// Sends what is wanted, in order.
///
/// # Errors
/// Those of the sink. A message that cannot be read is ended as failed, and the next one follows.
pub fn send_contents<F: Fs>(
    root: &Root<F>,
    wanted: &[Fetch],
    hints: &HashMap<Name, Entry>,
    sink: &mut dyn ContentSink,
) -> io::Result<()> {
    let mut messages = Messages::new(root.clone());
    let mut buffer = vec![0; PIECE];
    for fetch in wanted {
        let mut sent = Sent::default();
        match send_one(&mut messages, fetch, hints.get(&fetch.name), &mut buffer, sink, &mut sent) {
            Ok(()) => sink.end(fetch.step, None)?,
            Err(_) if sent.link_lost => return Err(io::ErrorKind::BrokenPipe.into()),
            Err(error) => {
                let path = smd_protocol::names::printable(&root.shown_name(&fetch.name));
                sink.end(fetch.step, Some(format!("cannot read {path}: {error}")))?;
            }
        }
    }
    Ok(())
}

/// Tells errors of the sink from those of the file.
#[derive(Default)]
struct Sent {
    link_lost: bool,
}

impl Sent {
    fn noted(&mut self, result: io::Result<()>) -> io::Result<()> {
        self.link_lost |= result.is_err();
        result
    }
}

fn send_one<F: Fs>(
    messages: &mut Messages<F>,
    fetch: &Fetch,
    hint: Option<&Entry>,
    buffer: &mut [u8],
    sink: &mut dyn ContentSink,
    sent: &mut Sent,
) -> io::Result<()> {
    let mut message = messages.open(&fetch.name, hint)?;
    let meta = Meta { size: message.stat.size, mtime: message.stat.mtime };
    if fetch.header_only {
        let header = read_header(&mut message.file, buffer)?;
        sent.noted(sink.start(fetch.step, Meta { size: header.len() as u64, ..meta }))?;
        return sent.noted(sink.piece(&header));
    }
    sent.noted(sink.start(fetch.step, meta))?;
    // Exactly what was announced is sent: a file that grows meanwhile is not followed.
    let mut left = meta.size;
    while left > 0 {
        let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match message.file.read(&mut buffer[..room]) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter")),
            Ok(count) => {
                left -= count as u64;
                sent.noted(sink.piece(&buffer[..count]))?;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn read_header(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<Vec<u8>> {
    let mut hasher = ContentHasher::new();
    let mut header = Vec::new();
    loop {
        let count = match file.read(buffer) {
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        hasher.update(&buffer[..count]);
        header.extend_from_slice(&buffer[..count]);
        if count == 0 || hasher.in_body() {
            header.truncate(usize::try_from(hasher.finish().header_size).unwrap_or(usize::MAX));
            return Ok(header);
        }
        if header.len() as u64 > HEADER_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}
