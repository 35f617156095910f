//! Digests: what a message's bytes are, header and body apart.
//!
//! BLAKE3 cut to 192 bits, 32 letters of base64url. The header ends after the first empty line (LF or
//! CRLF); with no empty line the whole file is header and the body is empty. MIME is never looked at.

use serde::{Deserialize, Serialize};
use std::fmt;

/// BLAKE3 cut to 192 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 24]);

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Digest {
    /// Digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hash(blake3::hash(bytes))
    }

    fn from_hash(hash: blake3::Hash) -> Self {
        let mut cut = [0; 24];
        cut.copy_from_slice(&hash.as_bytes()[..24]);
        Self(cut)
    }

    /// Finishes a running hash.
    pub fn finish(hasher: &blake3::Hasher) -> Self {
        Self::from_hash(hasher.finalize())
    }

    /// The 32 letters of base64url (RFC 4648 section 5, no padding needed).
    pub fn letters(&self) -> [u8; 32] {
        let mut out = [0; 32];
        for (three, four) in self.0.chunks_exact(3).zip(out.chunks_exact_mut(4)) {
            let word = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
            for (i, letter) in four.iter_mut().enumerate() {
                *letter = LETTERS[(word >> (18 - 6 * i) & 63) as usize];
            }
        }
        out
    }

    /// Reads 32 letters of base64url; none when they are not.
    pub fn from_letters(letters: &[u8]) -> Option<Self> {
        if letters.len() != 32 {
            return None;
        }
        let mut out = [0; 24];
        for (four, three) in letters.chunks_exact(4).zip(out.chunks_exact_mut(3)) {
            let mut word = 0u32;
            for &letter in four {
                let value = match letter {
                    b'A'..=b'Z' => letter - b'A',
                    b'a'..=b'z' => letter - b'a' + 26,
                    b'0'..=b'9' => letter - b'0' + 52,
                    b'-' => 62,
                    b'_' => 63,
                    _ => return None,
                };
                word = word << 6 | u32::from(value);
            }
            three.copy_from_slice(&word.to_be_bytes()[1..]);
        }
        Some(Self(out))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.letters().iter().try_for_each(|&l| write!(f, "{}", char::from(l)))
    }
}

/// What a message's bytes are. Two messages with equal content hold equal bytes: the header digest
/// covers the empty line, so the split cannot be shifted unnoticed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Content {
    /// Digest of the bytes up to and with the first empty line.
    pub header: Digest,
    /// Digest of the bytes after it.
    pub body: Digest,
}

impl Content {
    /// Content of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = ContentHasher::new();
        hasher.update(bytes);
        hasher.finish().content
    }

    /// Whether the message has no bytes at all.
    pub fn is_empty(&self) -> bool {
        let nothing = Digest::of(b"");
        self.header == nothing && self.body == nothing
    }
}

/// What a finished [`ContentHasher`] knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// The digests.
    pub content: Content,
    /// Bytes in all.
    pub size: u64,
    /// Bytes of the header, empty line included.
    pub header_size: u64,
}

/// Hashes a message as its bytes pass by, in pieces of any size.
pub struct ContentHasher {
    header: blake3::Hasher,
    body: blake3::Hasher,
    header_size: u64,
    body_size: u64,
    line: Line,
}

/// What the current line of the header holds so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Nothing,
    OnlyCr,
    Something,
    /// The empty line was seen: everything further is body.
    Body,
}

impl Default for ContentHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl ContentHasher {
    /// Starts with no bytes seen.
    pub fn new() -> Self {
        Self {
            header: blake3::Hasher::new(),
            body: blake3::Hasher::new(),
            header_size: 0,
            body_size: 0,
            line: Line::Nothing,
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let split = self.header_part(bytes);
        self.header.update(&bytes[..split]);
        self.header_size += split as u64;
        self.body.update(&bytes[split..]);
        self.body_size += (bytes.len() - split) as u64;
    }

    /// How many of these bytes belong to the header.
    fn header_part(&mut self, bytes: &[u8]) -> usize {
        if self.line == Line::Body {
            return 0;
        }
        for (at, &byte) in bytes.iter().enumerate() {
            self.line = match (byte, self.line) {
                (b'\n', Line::Nothing | Line::OnlyCr) => {
                    self.line = Line::Body;
                    return at + 1;
                }
                (b'\n', _) => Line::Nothing,
                (b'\r', Line::Nothing) => Line::OnlyCr,
                _ => Line::Something,
            };
        }
        bytes.len()
    }

    /// Whether the header is complete, so that further bytes are body.
    pub fn in_body(&self) -> bool {
        self.line == Line::Body
    }

    /// Gives the digests and sizes of all that was taken.
    pub fn finish(&self) -> Hashed {
        Hashed {
            content: Content { header: Digest::finish(&self.header), body: Digest::finish(&self.body) },
            size: self.header_size + self.body_size,
            header_size: self.header_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_size(bytes: &[u8]) -> u64 {
        let mut hasher = ContentHasher::new();
        hasher.update(bytes);
        hasher.finish().header_size
    }

    #[test]
    fn the_header_ends_after_the_first_empty_line() {
        for (bytes, size) in [
            (&b"A: b\n\nbody"[..], 6),
            (b"A: b\r\n\r\nbody", 8),
            (b"A: b\nno blank", 13),
            (b"\nbody", 1),
            (b"\r\nbody", 2),
            (b"", 0),
            (b"\n", 1),
            (b"A: b\n\r\nx", 7),
            (b"A: b\r\n\nx", 7),
            (b"A\n\r\r\nx\n\ny", 8),
            (b"A\n \n\nx", 5),
        ] {
            assert_eq!(header_size(bytes), size, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_digests() {
        let bytes = b"A: b\r\nC: d\r\n\r\nbody\n\nmore";
        for piece in 1..bytes.len() {
            let mut hasher = ContentHasher::new();
            bytes.chunks(piece).for_each(|part| hasher.update(part));
            assert_eq!(hasher.finish().content, Content::of(bytes));
        }
    }

    #[test]
    fn letters_read_back() {
        let digest = Digest::of(b"x");
        assert_eq!(Digest::from_letters(&digest.letters()), Some(digest));
        assert_eq!(Digest::from_letters(b"short"), None);
        assert_eq!(Digest::from_letters(&[b'!'; 32]), None);
    }

    #[test]
    fn only_no_bytes_are_empty() {
        assert!(Content::of(b"").is_empty());
        assert!(!Content::of(b"\n").is_empty());
    }
}
