//! Readers that need no disk.

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use smd_client::config::Config;
use smd_maildir::exclude::{ExcludePair, Excludes};
use smd_protocol::codec;
use smd_protocol::digest::{Content, ContentHasher};
use smd_protocol::header::{self, Filter};
use smd_protocol::names::{FileName, Folder, NAME_MAX, Uniq, printable};
use smd_protocol::told::{Told, json_line};
use smd_protocol::wire::{self, FRAME_HEAD, Frame, FromClient, FromServer, WireError};
use smd_server::link::{Event, Hearing, Inbox as _, Life, ReadError, Reader, Sign};

/// What comes in, until there is no more.
fn read_to_the_end(bytes: Vec<u8>, compressed: bool) {
    let compresses = if compressed { |_: &[u8]| true } else { |_: &[u8]| false };
    let hearing = Hearing { compressed: compresses, sign: |_| Sign::Message };
    let inbox = Reader::start(Box::new(Cursor::new(bytes)), hearing, Life::default());
    loop {
        match inbox.next(Duration::from_secs(60)).expect("a reader of bytes that are there does not wait") {
            Event::Frame(Frame::Piece(piece)) => assert!(piece.len() <= wire::PIECE),
            Event::Frame(Frame::Message(message)) => assert!(message.len() <= wire::FRAME_MAX),
            Event::Broken(ReadError::Wire(WireError::Compression(_))) => return assert!(compressed),
            Event::End | Event::Broken(_) => return,
            Event::Rung => {}
        }
    }
}

/// All that a peer may send before anything is decoded. The first byte says whether the preamble is right already.
pub(super) fn frames(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let preamble = wire::preamble();
    read_to_the_end(if first & 1 == 0 { [&preamble[..], rest].concat() } else { rest.to_vec() }, false);
}

/// A compressed stream behind a first frame; the first byte says whether it is one already.
pub(super) fn decompressor(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let mut bytes = wire::preamble().to_vec();
    bytes.extend(wire::message(&FromServer::Ping).expect("small"));
    match first & 1 {
        0 => bytes.extend_from_slice(rest),
        _ => bytes.extend(zstd::encode_all(rest, 1).expect("it can be compressed")),
    }
    read_to_the_end(bytes, true);
}

/// What is decoded is encoded and decoded again to the same.
fn messages<T: Serialize + DeserializeOwned + PartialEq>(data: &[u8]) {
    let Ok(message) = codec::decode::<T>(data) else { return };
    // Names that are cut are no longer than they were, so it fits.
    let frame = wire::message(&message).expect("what came in a frame fits one");
    let again: T = codec::decode(&frame[FRAME_HEAD..]).expect("what we say can be read");
    assert!(again == message, "a message is another one after it was sent");
}

/// What a client says.
pub(super) fn client_messages(data: &[u8]) {
    messages::<FromClient>(data);
}

/// What a server says.
pub(super) fn server_messages(data: &[u8]) {
    messages::<FromServer>(data);
}

/// A config file.
pub(super) fn config(data: &[u8]) {
    let home = Path::new("/home/me");
    if let Err(error) = Config::parse(Path::new("/home/me/.smd/config.x"), data, home) {
        let text = error.to_string();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}

/// Patterns, a line each, and a folder to ask about: the last line. Empty lines begin another prefix.
pub(super) fn excludes(data: &[u8]) {
    let mut lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').collect();
    let folder = lines.pop().and_then(|path| Folder::parse(path).ok()).unwrap_or_else(Folder::root);
    let mut pairs: Vec<ExcludePair> = vec![(Vec::new(), Vec::new())];
    for line in lines {
        match (line, pairs.last_mut()) {
            (b"", _) | (_, None) => pairs.push((b"Mail".to_vec(), Vec::new())),
            (line, Some((_, patterns))) => patterns.push(line.to_vec()),
        }
    }
    let Ok(excludes) = Excludes::new(&pairs) else { return };
    let left_alone = excludes.excludes(&folder);
    assert_eq!(left_alone, excludes.why(&folder).is_some());
    assert!(!excludes.fingerprint().contains([' ', '\n']));
}

/// Names: what is taken is given back byte by byte, and is safe.
pub(super) fn names(data: &[u8]) {
    if let Ok(folder) = Folder::parse(data) {
        assert_eq!(folder.as_bytes(), data);
        let components: Vec<&[u8]> = folder.components().collect();
        assert!(components.iter().all(|one| !matches!(*one, b"" | b"." | b"..") && !one.contains(&b'/')));
        assert_eq!(Folder::from_components(components).expect("the same"), folder);
        assert!(!folder.to_string().chars().any(char::is_control));
        let sent: Folder = codec::decode(&codec::encode(&folder).expect("small")).expect("taken");
        assert_eq!(sent, folder);
    }
    if let Ok(uniq) = Uniq::parse(data) {
        assert_eq!(uniq.as_bytes(), data);
        assert!(!data.contains(&b'/') && !data.contains(&b':') && !data.contains(&0) && data[0] != b'.');
    }
    // No directory holds other names.
    let is_entry = data.len() <= NAME_MAX && !data.contains(&b'/') && !data.contains(&0);
    if let (true, Ok(name)) = (is_entry, FileName::parse(data)) {
        for in_cur in [false, true] {
            let spelled = FileName::spell(&name.uniq, in_cur, &name.flags);
            let again = FileName::parse(&spelled).expect("we can read what we write");
            assert!(again.uniq == name.uniq && again.flags == name.flags, "{data:?} {spelled:?}");
        }
        if let Some(suffix) = name.uniq.spelling(data, true, &name.flags) {
            assert_eq!([name.uniq.as_bytes(), suffix].concat(), data);
        }
        let sent: smd_protocol::Flags = codec::decode(&codec::encode(&name.flags).expect("small")).expect("taken");
        assert_eq!(sent, name.flags);
    }
}

/// A message, taken in pieces: the digests and what stays of the header are the same however it is cut.
pub(super) fn header(data: &[u8]) {
    let Some((&size, message)) = data.split_first() else { return };
    let whole = Content::of(message);
    let mut hasher = ContentHasher::new();
    message.chunks(usize::from(size).max(1)).for_each(|piece| hasher.update(piece));
    let hashed = hasher.finish();
    assert!(hashed.content == whole && hashed.size == message.len() as u64 && hashed.header_size <= hashed.size);
    let names = header::Names::new(header::MARKS).expect("they are names");
    let stays = |piece: usize| {
        let (mut filter, mut out) = (Filter::new(&names), Vec::new());
        message.chunks(piece).for_each(|piece| filter.pass(piece, &mut out));
        filter.end(&mut out);
        (out, filter.removed())
    };
    let (once, removed) = stays(message.len().max(1));
    assert!(once == stays(usize::from(size).max(1)).0 && once.len() as u64 + removed.bytes == message.len() as u64);
    let (one, other) = message.split_at(message.len() / 2);
    let [added, missing] = header::differing(one, other);
    let [back, forth] = header::differing(other, one);
    assert!(added.len() == forth.len() && missing.len() == back.len());
    header::without_marks(message);
    header::value(message, "Subject");
}

/// Text of a peer or a disk.
pub(super) fn escaper(data: &[u8]) {
    let obeyed = |text: &str| text.chars().any(|c| c.is_control() || "\u{202e}\u{200b}\u{2028}\u{e0041}".contains(c));
    let shown = printable(data);
    assert!(!obeyed(&shown) && shown.len() <= 4 * data.len());
    let told: Told = codec::decode(&codec::encode(&data.to_vec()).expect("small")).expect("any bytes are text");
    let text = told.escaped();
    assert!(!obeyed(&text) && text.len() <= 4 * wire::TOLD_MAX);
    let line = json_line(&serde_json::Value::String(text));
    assert!(!obeyed(line.trim_end_matches('\n')));
}
