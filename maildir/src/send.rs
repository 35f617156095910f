//! Sending: the bytes of messages, one after the other, to whoever wants them.
//!
//! What the bytes are is checked by the receiver, who knows what they must digest to: a message that changed
//! since it was announced arrives with other digests and is not installed.

use std::collections::HashMap;
use std::io::{self, Read};

use smd_protocol::delta::Meta;
use smd_protocol::wire::Fetch;
use smd_protocol::{ContentHasher, Entry, Name, Place};

use crate::apply::{Message, Messages};
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
    /// How the message is spelled, before its bytes, or alone where that was asked for.
    ///
    /// # Errors
    /// When the link is gone.
    fn spelled(&mut self, step: u32, suffix: Option<&[u8]>) -> io::Result<()>;
    /// They are complete, or why not. May come without a beginning.
    ///
    /// # Errors
    /// When the link is gone.
    fn end(&mut self, step: u32, failed: Option<String>) -> io::Result<()>;
}

/// What the other host wants of messages.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Their bytes.
    pub bytes: Vec<Fetch>,
    /// How they are spelled: with all bytes, and alone for these steps. None to an end that does not know of spellings.
    pub spellings: Option<Vec<(u32, Name)>>,
}

impl Wanted {
    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.spellings.as_ref().is_none_or(Vec::is_empty)
    }

    /// The messages that it is about, some more than once.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let alone = self.spellings.iter().flatten().map(|(_, name)| name);
        self.bytes.iter().map(|fetch| &fetch.name).chain(alone)
    }
}

/// Sends what is wanted, in order.
///
/// # Errors
/// Those of the sink. A message that cannot be read is ended as failed, and the next one follows.
pub fn send_contents<F: Fs>(
    root: &Root<F>,
    wanted: &Wanted,
    hints: &HashMap<Name, Entry>,
    sink: &mut dyn ContentSink,
) -> io::Result<()> {
    let mut messages = Messages::new(root.clone());
    for (step, name) in wanted.spellings.iter().flatten() {
        // What cannot be opened is spelled as both would by themselves; nothing rests on it.
        let message = messages.open(name, hints.get(name)).ok();
        sink.spelled(*step, message.as_ref().and_then(|message| spelling(message, name)))?;
    }
    let mut buffer = vec![0; PIECE];
    for fetch in &wanted.bytes {
        let mut sent = Sent::default();
        let (hint, told) = (hints.get(&fetch.name), wanted.spellings.is_some());
        match send_one(&mut messages, fetch, hint, told, &mut buffer, sink, &mut sent) {
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

/// What follows the uniq in a message's file name, where we would write something else.
fn spelling<'a, F: Fs>(message: &'a Message<F>, name: &Name) -> Option<&'a [u8]> {
    name.uniq.spelling(&message.name, message.place == Place::Cur, &message.flags)
}

fn send_one<F: Fs>(
    messages: &mut Messages<F>,
    fetch: &Fetch,
    hint: Option<&Entry>,
    spells: bool,
    buffer: &mut [u8],
    sink: &mut dyn ContentSink,
    sent: &mut Sent,
) -> io::Result<()> {
    let mut message = messages.open(&fetch.name, hint)?;
    let meta = Meta { size: message.stat.size, mtime: message.stat.mtime };
    if let (true, Some(suffix)) = (spells, spelling(&message, &fetch.name)) {
        sent.noted(sink.spelled(fetch.step, Some(suffix)))?;
    }
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
