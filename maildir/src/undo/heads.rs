//! From, Subject and Date of a message, decoded for a person.
//!
//! They were written by whoever sent the mail. A message that has no such field has an empty one.

use std::io::{self, Read};

use mail_parser::MessageParser;
use smd_protocol::grave::Head;
use smd_protocol::limits::FIELD_MAX as FIELD;

/// So much of a message is read for its header, in bytes.
const HEADER: u64 = 256 << 10;

/// Reads that of a message.
///
/// # Errors
/// When it cannot be read.
pub fn of(file: impl Read) -> io::Result<Head> {
    let mut bytes = Vec::new();
    file.take(HEADER).read_to_end(&mut bytes)?;
    Ok(parse(&bytes))
}

fn parse(bytes: &[u8]) -> Head {
    let Some(message) = MessageParser::default().parse_headers(bytes) else { return Head::default() };
    let from = message.from().and_then(|from| from.first()).map(|one| match (one.name(), one.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => name.or(address).unwrap_or_default().to_owned(),
    });
    Head {
        from: one_line(&from.unwrap_or_default()),
        subject: one_line(message.subject().unwrap_or_default()),
        date: message.date().filter(|date| date.is_valid()).map(mail_parser::DateTime::to_timestamp),
    }
}

/// Without line ends and blanks in a row, and not too long.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > FIELD {
            line.truncate((0..=FIELD).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0));
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] = b"From: =?utf-8?q?Ren=C3=A9?= Example <rene@example.org>\r\n\
        Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r\n =?utf-8?b?IGF1cyBLw7Zsbg==?=\r\n\
        Date: Thu, 1 Jan 2026 23:30:00 -0500\r\n\r\nSubject: not this\r\n";

    #[test]
    fn fields_are_decoded() {
        let head = parse(MAIL);
        assert_eq!(
            (head.from.as_str(), head.subject.as_str(), head.date),
            ("Ren\u{e9} Example <rene@example.org>", "Gr\u{fc}\u{df}e aus K\u{f6}ln", Some(1_767_328_200))
        );
    }

    #[test]
    fn what_is_no_mail_has_no_fields() {
        for bytes in [&b""[..], b"\0\xff\n\n", b"no header", b"From:\nSubject:\nDate: never\n\nx"] {
            assert_eq!(parse(bytes), Head::default(), "{bytes:?}");
        }
    }

    #[test]
    fn a_field_without_end_is_cut_between_two_letters() {
        let long = format!("Subject: x{}\n\n", "\u{e9}".repeat(FIELD));
        let subject = parse(long.as_bytes()).subject;
        assert!((FIELD - 1..=FIELD).contains(&subject.len()), "{}", subject.len());
    }
}
