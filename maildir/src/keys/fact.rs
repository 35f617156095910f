//! What the owner of a key should hear of: that it removed more than a tenth of its budget within a day, or met the end of it.
//! Each is said once; what follows is a fact of its own when it is as much again.
//!
//! Deliberately not here: the words.

use std::collections::VecDeque;

use smd_protocol::seeded;

use super::Key;
use super::log::{Line, Lines, Paid, What};
use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::home::{DAY, read_file, replace_file};

const TOLD: &[u8] = b"told";
const SIZE_MAX: u64 = 512;
/// So small a part of the budget is not worth a word: one in so many.
const PART: u64 = 10;
/// The budget that is assumed of a key that has none, at least.
const LIMIT_LEAST: u64 = 20;

/// Up to which line of the log the owner heard of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Heard {
    /// The age of the last of them.
    age: i64,
    /// How many of this age there were.
    lines: u64,
}

/// Something that a key's owner should hear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// When the first of it was, in seconds since 1970.
    pub since: i64,
    /// Messages that were deleted, replaced, or marked as trashed.
    pub removed: u64,
    /// The budget met its end.
    pub is_end: bool,
    /// With it the owner heard of all this.
    pub heard: Heard,
}

impl Heard {
    /// The lines behind it.
    fn rest(self, lines: &Lines) -> impl Iterator<Item = &Line> {
        let mut same = 0;
        lines.iter().filter(move |line| {
            same += u64::from(line.age == self.age);
            line.age > self.age || line.age == self.age && same > self.lines
        })
    }

    /// Up to the last line.
    fn all(lines: &Lines) -> Self {
        let age = lines.iter().map(|line| line.age).max().unwrap_or(0);
        Self { age, lines: lines.iter().filter(|line| line.age == age).count() as u64 }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(text).ok()?.lines();
        (lines.next()? == "smd-told 1").then_some(())?;
        let age = lines.next()?.strip_prefix("age ")?.parse().ok()?;
        Some(Self { age, lines: lines.next()?.strip_prefix("lines ")?.parse().ok()? })
    }
}

/// What is to be said; none where there is nothing new, or nothing worth it.
pub fn fact(lines: &Lines, heard: Heard) -> Option<Fact> {
    let heard = if seeded::is("facts-are-told-for-ever") { Heard::default() } else { heard };
    let (mut limit, mut day, mut since, mut removed) = (LIMIT_LEAST, VecDeque::new(), None, 0);
    let (mut is_much, mut is_end) = (false, false);
    // Of what was told already only the limit counts.
    let known =
        |what: &What| if let What::Run { limit, messages, .. } = what { Some((*limit, *messages)) } else { None };
    let first = heard.rest(lines).next()?;
    if let Some((of, messages)) =
        lines.iter().take_while(|line| !std::ptr::eq(*line, first)).filter_map(|line| known(&line.what)).last()
    {
        limit = of.unwrap_or(LIMIT_LEAST.max(messages / PART));
    }
    for line in heard.rest(lines) {
        if let Some((of, messages)) = known(&line.what) {
            limit = of.unwrap_or(LIMIT_LEAST.max(messages / PART));
        }
        match &line.what {
            What::Removed { paid: Paid::Budget | Paid::Allowance, .. } => {
                since.get_or_insert(line.time);
                removed += 1;
                day.push_back(line.age);
                while day.front().is_some_and(|age| line.age.saturating_sub(*age) > DAY) {
                    day.pop_front();
                }
                is_much |= day.len() as u64 > limit / PART;
            }
            What::End { .. } => {
                since.get_or_insert(line.time);
                is_end = true;
            }
            _ => {}
        }
    }
    (is_much || is_end).then(|| Fact { since: since.unwrap_or(first.time), removed, is_end, heard: Heard::all(lines) })
}

impl<F: Fs> Key<F> {
    /// How much of the log the owner heard of. A note that is not understood counts as none: it is said once more.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn heard(&self) -> Result<Heard, Error> {
        let Some(dir) = &self.dir else { return Ok(Heard::default()) };
        let text = read_file(&**self.home.fs(), dir, TOLD, SIZE_MAX).context("read", self.shown(TOLD))?;
        Ok(text.and_then(|text| Heard::parse(&text)).unwrap_or_default())
    }

    /// Notes, durably, how much the owner heard of. A crash before it: it is said once more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_heard(&self, heard: Heard) -> Result<(), Error> {
        let Some(dir) = self.written() else { return Ok(()) };
        let text = format!("smd-told 1\nage {}\nlines {}\n", heard.age, heard.lines);
        replace_file(&**self.home.fs(), dir, TOLD, &[text.as_bytes()]).context("write", self.shown(TOLD))
    }
}
