//! Quotas: how much a run may put on the disk of its host, whoever sends it.
//!
//! Counted is what lies on the disk afterwards: copies of messages that are there cost as much as bytes from the wire, and a file
//! costs whole blocks. A file is permitted twice: when it begins, by the size that was announced, and while its bytes come, since
//! whoever announced it may have lied, and others write to the disk too.
//!
//! | file | what |
//! | --- | --- |
//! | this one | the limits, the decision (`Caps::judge`, pure), and what a run has spent |
//! | `day` | what came within a day, kept in the state directory |
//!
//! Deliberately not here: removals, which have a budget of their own, and where limits come from (configs, a key's line).

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smd_protocol::{Refusal, seeded};

use crate::error::Error;
use crate::fs::{Fs, Space};
use crate::home::Home;
use crate::share::{Share, Size};

mod day;
#[cfg(test)]
mod tests;

use day::Day;
pub use day::Whose;

/// Bytes in which a file lies on the disk: most file systems have blocks of this size.
const BLOCK: u64 = 4096;
/// What a folder with its three directories costs.
pub(crate) const FOLDER: u64 = 4 * BLOCK;
/// After so many bytes of one file the disk is asked again how much room there is.
const LOOK: u64 = 4 << 20;
/// What stays free at most unless something else was said.
const KEEP_FREE_MOST: u64 = 1 << 30;

/// The limits of one host. None is no limit, but for `keep_free`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Caps {
    /// So much of the disk stays free; none: a hundredth of it, and 1 GiB at most.
    pub keep_free: Option<Share>,
    /// The largest message, in bytes.
    pub max_message: Option<u64>,
    /// What one run may bring, in bytes on the disk.
    pub run: Option<u64>,
    /// What runs may bring within 24 hours of the age clock, in bytes on the disk.
    pub day: Option<u64>,
}

/// More than a limit allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Over {
    /// The message is larger than this.
    Message(u64),
    /// The disk has no room beside what stays free.
    Room(u64),
    /// The run brought as much as this.
    Run(u64),
    /// Runs brought as much as this within a day.
    Day {
        /// So much.
        max: u64,
        /// Seconds until some of it is a day old.
        frees_in: i64,
    },
}

impl Over {
    /// The outcome of the step that met it.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Over::Message(most) => Refusal::TooLarge { most },
            // In the system's own words, by which a full disk is known as one cause whoever meets it.
            Over::Room(keep) => Refusal::Room(format!(
                "{} of this disk are to stay free (keep-free): {}; make room on this disk",
                Size(keep),
                io::Error::from(rustix::io::Errno::NOSPC)
            )),
            Over::Run(max) => Refusal::Room(format!(
                "one run brings {} at most (max-bytes); run again for the rest, or raise it there",
                Size(max)
            )),
            Over::Day { max, frees_in } => Refusal::Room(format!(
                "{} came within a day, the most that may (max-bytes-day); it frees from {} hours on, or raise it there",
                Size(max),
                frees_in.max(0) / 3600 + 1
            )),
        }
    }
}

/// Why a file is not written.
#[derive(Debug)]
pub(crate) enum Denied {
    /// A limit.
    Over(Over),
    /// The disk, or the state, cannot be asked.
    Io(io::Error),
}

impl From<Over> for Denied {
    fn from(over: Over) -> Self {
        Denied::Over(over)
    }
}

impl From<io::Error> for Denied {
    fn from(error: io::Error) -> Self {
        Denied::Io(error)
    }
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        Denied::Io(io::Error::new(error.cause.kind(), error.to_string()))
    }
}

/// What is asked of the limits that need no state: a file of `message` bytes in all, for which `more` bytes come onto the disk
/// of a run that brought `run` so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Asked {
    message: u64,
    more: u64,
    run: u64,
}

impl Caps {
    /// No limit at all.
    pub const NONE: Self = Self { keep_free: Some(Share::Bytes(0)), max_message: None, run: None, day: None };

    /// How many bytes stay free of a file system that holds so many.
    fn keeps(self, all: u64) -> u64 {
        match self.keep_free {
            Some(share) => share.of(Some(all)).unwrap_or(0),
            None => (all / 100).min(KEEP_FREE_MOST),
        }
    }

    /// Whether something may be written where there is so much space; none where that is not known.
    fn judge(self, asked: Asked, space: Option<Space>) -> Result<(), Over> {
        let Asked { message, more, run } = asked;
        if let Some(max) = self.max_message.filter(|max| message > *max) {
            return Err(Over::Message(max));
        }
        if let Some(max) = self.run.filter(|max| run.saturating_add(more) > *max) {
            return Err(Over::Run(max));
        }
        let Some(Space { all, free }) = space else { return Ok(()) };
        let keep = self.keeps(all);
        // Without anything to keep free the disk says itself when it is full.
        match keep > 0 && free < keep.saturating_add(more) && !seeded::is("fills-the-disk") {
            true => Err(Over::Room(keep)),
            false => Ok(()),
        }
    }
}

/// What a file of so many bytes takes of a disk; an empty one has an inode.
fn on_disk(size: u64) -> u64 {
    size.div_ceil(BLOCK).max(1).saturating_mul(BLOCK)
}

/// The limits of one run at one host with what it has spent, for all roots of it. Cloning shares it.
pub struct Quota<F: Fs> {
    shared: Arc<Shared<F>>,
}

impl<F: Fs> Clone for Quota<F> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<F: Fs> Default for Quota<F> {
    fn default() -> Self {
        Self::of(Caps::NONE, None)
    }
}

struct Shared<F: Fs> {
    caps: Caps,
    day: Option<Day<F>>,
    spent: Mutex<Spent>,
}

#[derive(Clone, Copy, Default)]
struct Spent {
    /// What the run brought, in bytes on the disk.
    run: u64,
    /// What was taken of the day and not spent yet.
    day: u64,
}

impl<F: Fs> Quota<F> {
    /// The quota of a run that begins. The bytes of a day are counted in the state directory, when they are limited.
    pub fn new(caps: Caps, home: &Home<F>, whose: Whose<'_>) -> Self {
        Self::of(caps, caps.day.map(|max| Day::new(home, whose, max)))
    }

    fn of(caps: Caps, day: Option<Day<F>>) -> Self {
        Self { shared: Arc::new(Shared { caps, day, spent: Mutex::default() }) }
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.shared.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes may still be written where there is so much space.
    pub(crate) fn room(&self, space: Space) -> u64 {
        space.free.saturating_sub(self.shared.caps.keeps(space.all))
    }

    /// Permits a file of this size in a directory. What was permitted and not written is given back when the permit is dropped.
    pub(crate) fn permit(&self, fs: &F, dir: &F::Dir, size: u64) -> Result<Permit<F>, Denied> {
        self.charge(fs, dir, size, on_disk(size))?;
        Ok(Permit { quota: self.clone(), size, written: 0, looked: 0 })
    }

    /// Counts so many folders that are to be made below this directory.
    pub(crate) fn folders(&self, fs: &F, dir: &F::Dir, number: u64) -> Result<(), Denied> {
        self.charge(fs, dir, 0, FOLDER.saturating_mul(number))
    }

    /// Counts bytes on the disk for a file of `message` bytes in all.
    fn charge(&self, fs: &F, dir: &F::Dir, message: u64, more: u64) -> Result<(), Denied> {
        let Shared { caps, day, .. } = &*self.shared;
        let space = fs.space(dir)?;
        let mut spent = self.spent();
        caps.judge(Asked { message, more, run: spent.run }, space)?;
        if let Some(day) = day.as_ref().filter(|_| spent.day < more) {
            spent.day += day.take(more - spent.day)?;
        }
        spent.day = spent.day.saturating_sub(more);
        spent.run = spent.run.saturating_add(more);
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        let mut spent = self.spent();
        spent.run = spent.run.saturating_sub(bytes);
        if self.shared.day.is_some() {
            spent.day = spent.day.saturating_add(bytes);
        }
    }
}

impl<F: Fs> Drop for Shared<F> {
    fn drop(&mut self) {
        let left = self.spent.get_mut().unwrap_or_else(PoisonError::into_inner).day;
        // A run that is killed leaves too much counted, never too little; so does one that cannot write this.
        if let Some(day) = self.day.as_ref().filter(|_| left > 0)
            && let Err(error) = day.give_back(left)
        {
            tracing::warn!(%error, "what was not brought of a day's bytes stays counted");
        }
    }
}

/// A file on its way to the disk, as far as it was permitted.
pub(crate) struct Permit<F: Fs> {
    quota: Quota<F>,
    /// Bytes that were permitted.
    size: u64,
    written: u64,
    /// How much was written when the disk was asked for its room.
    looked: u64,
}

impl<F: Fs> Permit<F> {
    /// To be asked before so many more bytes are written to the directory for which it was given.
    pub(crate) fn write(&mut self, fs: &F, dir: &F::Dir, bytes: u64) -> Result<(), Denied> {
        let after = self.written.saturating_add(bytes);
        if after > self.size {
            let more = on_disk(after) - on_disk(self.size);
            self.quota.charge(fs, dir, after, more)?;
            (self.size, self.looked) = (after, after);
        } else if after - self.looked >= LOOK {
            // Paid for, but others may have filled the disk.
            let asked = Asked { message: after, more: bytes, run: 0 };
            self.quota.shared.caps.judge(asked, fs.space(dir)?)?;
            self.looked = after;
        }
        self.written = after;
        Ok(())
    }
}

impl<F: Fs> Drop for Permit<F> {
    fn drop(&mut self) {
        let unwritten = on_disk(self.size) - on_disk(self.written);
        if unwritten > 0 {
            self.quota.give_back(unwritten);
        }
    }
}
