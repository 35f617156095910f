//! The bytes of messages: ordinary ones and odd ones.
//!
//! Every message that has room for it carries an id, `X-Test-Id: …`, by which a test follows it through moves and edits.
//! Ids are for the tests alone; the programs know nothing of them.

use crate::rng::Rng;

const ID: &[u8] = b"X-Test-Id: ";
const WORDS: &[&str] = &[
    "the", "harbour", "lamp", "Thursday", "invoice", "quietly", "meeting", "brown", "river", "attached", "please",
    "kettle", "tomorrow", "ledger", "Grüße", "naïve", "draft", "window", "seven", "thanks",
];

/// The kinds of odd messages; see [`odd`].
pub const ODD_KINDS: usize = 9;

/// An ordinary message with this id, of a few hundred bytes to a few KiB.
pub fn plain(id: &str, rng: &mut Rng) -> Vec<u8> {
    let mut text = header(id, rng, "\n");
    text.push('\n');
    push_lines(&mut text, rng, "\n");
    text.into_bytes()
}

/// One of the odd messages, `kind` below [`ODD_KINDS`]: no bytes, CRLF, no blank line, NUL, no header, no final newline,
/// not UTF-8, one very long line, header ending in LF among CRLF lines.
pub fn odd(kind: usize, id: &str, rng: &mut Rng) -> Vec<u8> {
    match kind {
        0 => Vec::new(),
        1 => {
            let mut text = header(id, rng, "\r\n");
            text.push_str("\r\n");
            push_lines(&mut text, rng, "\r\n");
            text.into_bytes()
        }
        2 => header(id, rng, "\n").into_bytes(),
        3 => [plain(id, rng), b"before\0after\0\0\n".to_vec(), vec![0; 100]].concat(),
        4 => [b"\n".to_vec(), plain(id, rng)].concat(),
        5 => {
            let mut bytes = plain(id, rng);
            bytes.pop();
            bytes
        }
        6 => [plain(id, rng), b"latin-1: Gr\xfc\xdfe \xff\xfe\n".to_vec()].concat(),
        7 => [plain(id, rng), vec![b'x'; 100_000]].concat(),
        8 => [header(id, rng, "\r\n").into_bytes(), b"\n".to_vec(), b"body\r\n".to_vec()].concat(),
        other => panic!("there is no odd message of kind {other}"),
    }
}

/// A message of about `size` bytes that do not compress.
pub fn big(id: &str, size: usize, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = header(id, rng, "\n").into_bytes();
    bytes.push(b'\n');
    bytes.append(&mut rng.bytes(size));
    bytes
}

/// The id in these bytes, if they have one.
pub fn id(bytes: &[u8]) -> Option<&[u8]> {
    let start = bytes.windows(ID.len()).take(4096).position(|window| window == ID)? + ID.len();
    let rest = &bytes[start..];
    let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// The same message with one more header line in front.
pub fn with_header_line(bytes: &[u8], line: &str) -> Vec<u8> {
    [line.as_bytes(), b"\n", bytes].concat()
}

fn header(id: &str, rng: &mut Rng, newline: &str) -> String {
    let subject: Vec<&str> = (0..rng.within(2..7)).map(|_| *rng.pick(WORDS)).collect();
    let minute = rng.within(0..60);
    [
        "Return-Path: <ada@example.org>".to_owned(),
        "From: Ada Fisk <ada@example.org>".to_owned(),
        "To: Ben Orme <ben@example.org>".to_owned(),
        format!("Subject: {}", subject.join(" ")),
        format!("Date: Tue, 05 Mar 2024 09:{minute:02}:00 +0100"),
        format!("Message-ID: <{id}@example.org>"),
        format!("X-Test-Id: {id}"),
    ]
    .map(|line| line + newline)
    .concat()
}

fn push_lines(text: &mut String, rng: &mut Rng, newline: &str) {
    for _ in 0..rng.within(3..40) {
        let words: Vec<&str> = (0..rng.within(1..14)).map(|_| *rng.pick(WORDS)).collect();
        text.push_str(&words.join(" "));
        text.push_str(newline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_with_room_carries_its_id_also_after_a_header_edit() {
        let mut rng = Rng::from_env_or(1);
        for kind in 0..ODD_KINDS {
            let bytes = odd(kind, "a.7", &mut rng);
            assert_eq!(id(&bytes), if kind == 0 { None } else { Some(b"a.7".as_slice()) }, "kind {kind}");
        }
        let edited = with_header_line(&plain("b.1", &mut rng), "X-Label: later");
        assert_eq!(id(&edited), Some(b"b.1".as_slice()));
    }
}
