//! What the owner lets a key remove beyond its budget, for a while: written by `smd-allow`, read by every session of the key.
//!
//! Times are those of the age clock, so that a wall clock that is set back does not prolong it. A file that is not understood
//! allows nothing.

use smd_protocol::seeded;

use super::Key;
use super::log::{Lines, Paid, What};
use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::home::{Age, Label, read_file, replace_file};

const ALLOWANCE: &[u8] = b"allowance";
const SIZE_MAX: u64 = 512;

/// So many messages, from then until then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// Messages.
    pub messages: u64,
    /// When it was given, by the age clock, in seconds.
    pub from: i64,
    /// When it ends.
    pub until: i64,
}

impl Allowance {
    /// So many messages for so many seconds from now on.
    pub fn beginning(messages: u64, now: Age, seconds: i64) -> Self {
        Self { messages, from: now.now, until: now.now.saturating_add(seconds) }
    }

    /// How many messages may still be removed on its account.
    pub fn left(&self, lines: &Lines, now: Age) -> u64 {
        if !(self.from..self.until).contains(&now.now) {
            return 0;
        }
        let is_paid = |what: &What| matches!(what, What::Removed { paid: Paid::Allowance, .. });
        let used = lines.iter().filter(|line| line.age >= self.from && is_paid(&line.what)).count();
        self.messages.saturating_sub(used as u64)
    }

    /// Seconds that it still stands.
    pub fn seconds_left(&self, now: Age) -> i64 {
        self.until.saturating_sub(now.now).max(0)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(text).ok()?.lines();
        (lines.next()? == "smd-allowance 1").then_some(())?;
        let mut number = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let allowance = Self {
            messages: number("messages")?.parse().ok()?,
            from: number("from")?.parse().ok()?,
            until: number("until")?.parse().ok()?,
        };
        Some(allowance)
    }

    fn text(&self) -> String {
        format!("smd-allowance 1\nmessages {}\nfrom {}\nuntil {}\n", self.messages, self.from, self.until)
    }
}

impl<F: Fs> Key<F> {
    /// What was allowed last, be it over; none where nothing was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn allowance(&self) -> Result<Option<Allowance>, Error> {
        let Some(dir) = self.any_allowance()? else { return Ok(None) };
        let text = read_file(&**self.home.fs(), &dir, ALLOWANCE, SIZE_MAX).context("read", self.shown(ALLOWANCE))?;
        Ok(text.and_then(|text| Allowance::parse(&text)))
    }

    /// The directory that has this key's allowance.
    fn any_allowance(&self) -> Result<Option<F::Dir>, Error> {
        if !seeded::is("an-allowance-is-anybodys") {
            return Ok(self.dir.clone());
        }
        let labels: Vec<Label> = Self::labels(&self.home)?;
        for label in labels {
            let other = Self::open(&self.home, &label)?;
            if let Some(dir) = other.dir
                && self.home.fs().stat(&dir, ALLOWANCE).is_ok()
            {
                return Ok(Some(dir));
            }
        }
        Ok(self.dir.clone())
    }

    /// Allows so much, in place of what was allowed before. The caller holds the lock.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn allow(&self, allowance: &Allowance) -> Result<(), Error> {
        let Some(dir) = self.written() else { return Ok(()) };
        let text = allowance.text();
        replace_file(&**self.home.fs(), dir, ALLOWANCE, &[text.as_bytes()]).context("write", self.shown(ALLOWANCE))
    }
}
