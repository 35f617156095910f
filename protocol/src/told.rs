//! What the other host says in words, and how words and names get to a person.
//!
//! A terminal obeys what is written to it, and an eye believes it: control characters set titles and colours, others turn the
//! direction of writing around, take no room, or break a line. `escape` is the one place that knows them. Text from the wire is a
//! [`Told`], which cannot be printed but by way of that; names and paths, of whichever host, go through [`printable`].
//!
//! Deliberately not here: sentences, and where they are shown.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::names::BytesVisitor;
use crate::seeded;

/// Longest text that is told, in bytes; what comes longer is cut.
pub const TOLD_MAX: usize = 512;

/// Text of the other host: at most [`TOLD_MAX`] bytes, which need not be UTF-8. It has no `Display`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Told(Box<[u8]>);

impl Told {
    fn cut(mut bytes: Vec<u8>) -> Self {
        if bytes.len() > TOLD_MAX && !seeded::is("texts-of-any-length") {
            // At the beginning of a character, if there is one near.
            let starts = |at: &usize| bytes[*at] & 0xc0 != 0x80;
            let end = (TOLD_MAX - 3..=TOLD_MAX).rev().find(starts).unwrap_or(TOLD_MAX);
            bytes.truncate(end);
        }
        Self(bytes.into())
    }

    /// Bytes of the text.
    pub(crate) fn size(&self) -> usize {
        self.0.len()
    }

    /// The text as a person may see it. The only way out.
    pub fn escaped(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        escape(&mut out, &self.0, false);
        out
    }
}

impl From<String> for Told {
    fn from(text: String) -> Self {
        Self::cut(text.into_bytes())
    }
}

impl From<&str> for Told {
    fn from(text: &str) -> Self {
        Self::cut(text.as_bytes().to_vec())
    }
}

/// Whether it is this word, of those that programs say to each other.
impl PartialEq<str> for Told {
    fn eq(&self, word: &str) -> bool {
        *self.0 == *word.as_bytes()
    }
}

/// For logs and failed tests: escaped too.
impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escaped())
    }
}

impl Serialize for Told {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}

/// Cuts what is too long.
impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self::cut(d.deserialize_byte_buf(BytesVisitor)?))
    }
}

/// Bytes for a person: UTF-8 kept, but for what a terminal obeys or an eye does not see, which becomes `\xNN` as do all other bytes;
/// a backslash becomes `\\`.
pub fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    escape(&mut out, bytes, true);
    out
}

/// Writes bytes so that a terminal obeys none of them and an eye sees all; with `backslash` so that they could be read back.
fn escape(out: &mut String, bytes: &[u8], backslash: bool) {
    let hex = |out: &mut String, byte: u8| {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(digit), 16).expect("four bits"));
        }
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' if backslash => out.push_str("\\\\"),
                c if misleads(c) && !seeded::is("terminals-obey") => {
                    for &byte in c.encode_utf8(&mut [0; 4]).as_bytes() {
                        out.push_str("\\x");
                        hex(out, byte);
                    }
                }
                c => out.push(c),
            }
        }
        for &byte in chunk.invalid() {
            out.push_str("\\x");
            hex(out, byte);
        }
    }
}

/// The same for JSON, which says it by escapes of its own, so that whoever reads it gets what was meant: those characters stand in its
/// texts alone.
pub fn json_line(json: &impl fmt::Display) -> String {
    let mut out = String::new();
    for c in json.to_string().chars() {
        match misleads(c) {
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
            false => out.push(c),
        }
    }
    out.push('\n');
    out
}

/// Whether a character is obeyed rather than shown: controls, line separators, what changes the direction of writing, and what
/// takes no room (by Unicode's list of ignorable ones, but for variation selectors, which belong to the emoji before them).
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn what_a_terminal_obeys_or_an_eye_misses_is_escaped() {
        assert_eq!(printable(b"a\x1b]0;\n\xff\\"), "a\\x1b]0;\\x0a\\xff\\\\");
        assert_eq!(printable("\u{9b}é".as_bytes()), "\\xc2\\x9bé");
        let obeyed = [
            '\0',
            '\r',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{fff9}',
            '\u{e0041}',
        ];
        for c in obeyed {
            for shown in [printable(format!("a{c}b").as_bytes()), Told::from(format!("a{c}b")).escaped()] {
                assert!(shown.is_ascii() && shown.starts_with("a\\x") && shown.ends_with('b'), "{c:?} {shown}");
            }
        }
        for c in ['é', 'ß', 'א', 'ع', '漢', '😀', '\u{301}', '\u{fe0f}', ' ', '"', '\u{fffd}'] {
            assert_eq!(printable(c.to_string().as_bytes()), c.to_string());
            assert_eq!(Told::from(c.to_string()).escaped(), c.to_string());
        }
        assert_eq!(format!("{:?}", Told::from("\x1b[2J")), "\"\\x1b[2J\"");
    }

    #[test]
    fn json_says_the_same_by_its_own_escapes() {
        let line = json_line(&"{\"a\":\"é\u{202e}\u{9b}\u{e0041}\\n\"}");
        assert_eq!(line, "{\"a\":\"é\\u202e\\u009b\\udb40\\udc41\\n\"}\n");
    }

    #[test]
    fn text_from_the_wire_is_cut_and_need_not_be_text() {
        let sent = codec::encode(&"é".repeat(1000)).expect("small");
        let told: Told = codec::decode(&sent).expect("text");
        assert_eq!(told.escaped(), "é".repeat(256));
        let told: Told =
            codec::decode(&codec::encode(&[&b"\xff"[..], &[b'x'; 600]].concat()).expect("small")).expect("bytes");
        assert_eq!(told.escaped(), format!("\\xff{}", "x".repeat(511)));
        let told: Told = codec::decode(&codec::encode(&vec![0x80u8; 600]).expect("small")).expect("bytes");
        assert_eq!(told.escaped().len(), 4 * TOLD_MAX);
        // As text was sent before.
        assert_eq!(codec::encode(&Told::from("watch")).expect("small"), codec::encode(&"watch").expect("small"));
        let (one, other) = (Told::from("watch"), Told::from("watch2"));
        assert!(one == *"watch" && other != *"watch");
    }
}
