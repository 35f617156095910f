//! From, Subject and Date of what rests in a grave, decoded for a person.
//!
//! They were written by whoever sent the mail: they are only shown, escaped, and compared with what a person looks for. A
//! message that cannot be read, or has no such field, has an empty one.

use std::io::Read as _;

use jiff::{Timestamp, tz::TimeZone};
use mail_parser::MessageParser;
use smd_maildir::fs::Disk;
use smd_maildir::grave::Resting;

/// So much of a message is read for its header, in bytes.
const HEAD: u64 = 256 << 10;

/// What tells a person which message it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Name and address.
    pub from: String,
    /// The subject.
    pub subject: String,
    /// When it was written, by this host's zone.
    pub date: String,
}

impl Head {
    /// Reads that of a burial.
    pub fn of(resting: &Resting<Disk>) -> Self {
        let mut bytes = Vec::new();
        match resting.open().and_then(|file| file.take(HEAD).read_to_end(&mut bytes)) {
            Ok(_) => Self::parse(&bytes, &TimeZone::system()),
            Err(_) => Self::default(),
        }
    }

    fn parse(bytes: &[u8], zone: &TimeZone) -> Self {
        let Some(message) = MessageParser::default().parse_headers(bytes) else { return Self::default() };
        let from = message.from().and_then(|from| from.first()).map(|one| match (one.name(), one.address()) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            (name, address) => name.or(address).unwrap_or_default().to_owned(),
        });
        let date = message.date().filter(|date| date.is_valid());
        let date = date.and_then(|date| Timestamp::from_second(date.to_timestamp()).ok());
        Self {
            from: one_line(&from.unwrap_or_default()),
            subject: one_line(message.subject().unwrap_or_default()),
            date: date
                .map_or_else(String::new, |stamp| stamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()),
        }
    }
}

/// Without line ends and blanks in a row.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a person looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    field: Option<Field>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    From,
    Subject,
    Date,
}

impl Match {
    /// `TEXT`, in any of the three, or in one: `from:TEXT`, `subject:TEXT`, `date:TEXT`.
    pub fn parse(word: &str) -> Self {
        let fields = [("from", Field::From), ("subject", Field::Subject), ("date", Field::Date)];
        let named = word.split_once(':').and_then(|(name, text)| {
            let (_, field) = fields.iter().find(|(one, _)| one.eq_ignore_ascii_case(name.trim()))?;
            Some((*field, text))
        });
        match named {
            Some((field, text)) => Self { field: Some(field), text: text.trim().to_lowercase() },
            None => Self { field: None, text: word.to_lowercase() },
        }
    }

    /// Whether this message is meant. Letters are compared without case.
    pub fn matches(&self, head: &Head) -> bool {
        let has = |field: Field| {
            let text = match field {
                Field::From => &head.from,
                Field::Subject => &head.subject,
                Field::Date => &head.date,
            };
            text.to_lowercase().contains(&self.text)
        };
        match self.field {
            Some(field) => has(field),
            None => [Field::From, Field::Subject, Field::Date].into_iter().any(has),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] = b"From: =?utf-8?q?Ren=C3=A9?= Example <rene@example.org>\r\n\
        Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r\n =?utf-8?b?IGF1cyBLw7Zsbg==?=\r\n\
        Date: Thu, 1 Jan 2026 23:30:00 -0500\r\n\r\nSubject: not this\r\n";

    #[test]
    fn fields_are_decoded_and_the_date_is_of_this_zone() {
        let head = Head::parse(MAIL, &TimeZone::UTC);
        assert_eq!(
            (head.from.as_str(), head.subject.as_str(), head.date.as_str()),
            ("Ren\u{e9} Example <rene@example.org>", "Gr\u{fc}\u{df}e aus K\u{f6}ln", "2026-01-02 04:30")
        );
    }

    #[test]
    fn what_is_no_mail_has_no_fields() {
        for bytes in [&b""[..], b"\0\xff\n\n", b"no header", b"From:\nSubject:\nDate: never\n\nx"] {
            assert_eq!(Head::parse(bytes, &TimeZone::UTC), Head::default(), "{bytes:?}");
        }
    }

    #[test]
    fn a_text_is_looked_for_in_all_fields_or_in_one_without_case() {
        let head = Head::parse(MAIL, &TimeZone::UTC);
        for (word, is) in [
            ("gr\u{dc}\u{df}e", true),
            ("RENE@", true),
            ("2026-01", true),
            ("from:ren\u{e9}", true),
            ("Subject: k\u{f6}ln", true),
            ("subject:ren\u{e9}", false),
            ("date:2026-01-02", true),
            ("not this", false),
            ("http://x", false),
        ] {
            assert_eq!(Match::parse(word).matches(&head), is, "{word}");
        }
    }
}
