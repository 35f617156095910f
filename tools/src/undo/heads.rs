//! From, Subject and Date as a person sees them, and looks for them.
//!
//! Deliberately not here: how they are read (`smd_maildir::undo`).

use jiff::{Timestamp, tz::TimeZone};
use smd_protocol::grave::Head;

/// What tells a person which message it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Name and address.
    pub from: String,
    /// The subject.
    pub subject: String,
    /// When it was written, by this host's zone.
    pub date: String,
}

impl Shown {
    /// With the date of this zone.
    pub fn new(head: Head, zone: &TimeZone) -> Self {
        let date = head.date.and_then(|date| Timestamp::from_second(date).ok());
        let date = date.map(|stamp| stamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string());
        Self { from: head.from, subject: head.subject, date: date.unwrap_or_default() }
    }
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
    pub fn matches(&self, head: &Shown) -> bool {
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

    #[test]
    fn a_text_is_looked_for_in_all_fields_or_in_one_without_case() {
        let (from, subject) = ("Ren\u{e9} Example <rene@example.org>".into(), "Gr\u{fc}\u{df}e aus K\u{f6}ln".into());
        let head = Shown::new(Head { from, subject, date: Some(1_767_328_200) }, &TimeZone::UTC);
        assert_eq!(head.date, "2026-01-02 04:30");
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

    #[test]
    fn a_date_that_no_calendar_has_is_none() {
        let head = Head { date: Some(i64::MAX), ..Head::default() };
        assert_eq!(Shown::new(head, &TimeZone::UTC), Shown::default());
    }
}
