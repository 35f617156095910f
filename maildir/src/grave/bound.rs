//! What bounds a grave: days, and a size at which nothing more is buried. Whatever rests there stays for its days: nobody who
//! sends or deletes mail, on either host, can make room by it.
//!
//! Deliberately not here: when that is looked at; a run does so before its first step.

use std::cell::Cell;
use std::collections::HashSet;
use std::io;

use smd_protocol::seeded;

use super::resting::is_told;
use super::{Buried, Grave, Opened, State, index, parse_id};
use crate::fs::Fs;
use crate::home::{Age, DAY};
use crate::root::if_there;
use crate::share::Share;

/// The size that a grave may have where a share was asked for and the file system does not tell its own size.
const SIZE_UNKNOWN: u64 = 2 << 30;

/// A grave that is as large as it may get.
#[derive(Debug, thiserror::Error)]
#[error(
    "it is full: it holds {} MiB, GRAVE_MAX is {max}, and nothing in it is over its days; set GRAVE_MAX higher, or remove from it what you do not need",
    .size >> 20
)]
pub struct Full {
    /// What it holds, in bytes.
    pub size: u64,
    /// What it may hold.
    pub max: Share,
}

/// What a sweep met.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// How many files went.
    pub removed: usize,
    /// What the age clock was at the newest burial.
    pub newest: Option<i64>,
}

impl<F: Fs> Grave<F> {
    /// Removes what was kept for more than `days` of the age clock, and its lines of the index.
    ///
    /// # Errors
    /// As the system says; what was not removed goes another time.
    pub fn sweep(&self, days: u64, age: Age) -> io::Result<Swept> {
        let longest = i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY);
        let newest = Cell::new(None);
        let removed = self.remove_where(|_, files| {
            newest.set(newest.get().max(files.iter().map(|buried| buried.age).max()));
            let is_old = |buried: &&Buried| buried.state == State::Kept && age.since(buried.age) > longest;
            Ok(files.iter().filter(is_old).map(|buried| buried.ticket.id.clone()).collect())
        })?;
        Ok(Swept { removed, newest: newest.get() })
    }

    /// Buries nothing more once the grave has this size. To be said before the first burial.
    pub fn bound(&self, max: Share) {
        self.opened().max = Some(max);
    }

    /// Whether something more may be buried in this directory, which this run uses.
    ///
    /// # Errors
    /// [`Full`] when not, and as the system says.
    pub(super) fn has_room(&self, dir: &F::Dir) -> io::Result<()> {
        let Opened { max, size, .. } = *self.opened();
        let Some(max) = max else { return Ok(()) };
        let size = match size {
            Some(size) => size,
            None => self.measured(dir)?,
        };
        self.opened().size = Some(size);
        let most = max.of(self.fs().space(dir)?.map(|space| space.all)).unwrap_or(SIZE_UNKNOWN);
        if size < most {
            return Ok(());
        }
        if seeded::is("grave-makes-room") {
            return self.sweep(1, self.age()?).map(drop);
        }
        Err(io::Error::other(Full { size, max }))
    }

    /// Bytes of all that lies in a directory of the grave.
    fn measured(&self, dir: &F::Dir) -> io::Result<u64> {
        let size = |buried: &Buried| {
            let stat = if_there(self.fs().stat(dir, &buried.ticket.file(buried.state)))?;
            io::Result::Ok(stat.map_or(0, |stat| stat.size))
        };
        self.files(dir)?.iter().map(size).sum()
    }

    /// Counts what was just kept, where the size matters.
    pub(super) fn grows_by(&self, dir: &F::Dir, file: &[u8]) {
        if self.opened().max.is_none() {
            return;
        }
        let size = self.fs().stat(dir, file).map_or(0, |stat| stat.size);
        let mut opened = self.opened();
        opened.size = opened.size.map(|so_far| so_far.saturating_add(size));
    }

    /// Removes of each directory the files that are chosen, which come oldest first, and their lines.
    fn remove_where(&self, choose: impl Fn(&F::Dir, &[Buried]) -> io::Result<HashSet<String>>) -> io::Result<usize> {
        let mut removed = 0;
        for dir in self.dirs()? {
            let files = self.files(&dir)?;
            let going = choose(&dir, &files)?;
            if going.is_empty() {
                continue;
            }
            for buried in files.iter().filter(|buried| going.contains(&buried.ticket.id)) {
                if_there(self.fs().unlink(&dir, &buried.ticket.file(State::Kept)))?;
            }
            let _guard = self.opened();
            let left = files.into_iter().map(|buried| buried.ticket.id).filter(|id| !going.contains(id));
            let age = self.age()?;
            index::compact(self.fs(), &dir, &left.collect(), |id| {
                parse_id(id).is_some_and(|one| is_told(age, one.age))
            })?;
            removed += going.len();
        }
        Ok(removed)
    }
}
