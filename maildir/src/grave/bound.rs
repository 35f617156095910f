//! What bounds a grave: days, a size, and a disk that is full. The oldest goes first, and nothing is ever removed to save
//! space while it is younger than one day.
//!
//! Deliberately not here: when that is looked at; a run does so before its first step.

use std::cell::Cell;
use std::collections::HashSet;
use std::io;

use smd_protocol::seeded;

use super::resting::is_told;
use super::{Buried, Grave, State, index, parse_id};
use crate::fs::Fs;
use crate::home::{Age, DAY};
use crate::root::if_there;

/// Bytes that [`Grave::free_space`] tries to free.
const FREE_AT_ONCE: u64 = 64 << 20;
/// The size that a grave may have where a share was asked for and the file system does not tell its own size.
const SIZE_UNKNOWN: u64 = 2 << 30;

/// How large a grave may get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GraveMax {
    /// So many bytes.
    Bytes(u64),
    /// This share of the file system that it lies on, from 0 to 100.
    Percent(u8),
}

impl Default for GraveMax {
    /// A tenth of the file system. A week's deletions are seldom so much; when they are, a share of the disk keeps mail
    /// deliverable on a small one, and on a large one does not give up mail that there is room for.
    fn default() -> Self {
        Self::Percent(10)
    }
}

impl GraveMax {
    /// Reads `500M`, `2G`, `1T` (powers of 1024), a number of bytes, or a percentage such as `10%`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(percent) = text.strip_suffix('%') {
            return percent.trim_end().parse().ok().filter(|&percent| percent <= 100).map(Self::Percent);
        }
        let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
        let unit = units.iter().find(|(letter, _)| text.ends_with([*letter, letter.to_ascii_lowercase()]));
        let (digits, shift) = unit.map_or((text, 0), |(_, shift)| (&text[..text.len() - 1], *shift));
        let number: u64 = digits.trim_end().parse().ok()?;
        number.checked_mul(1 << shift).map(Self::Bytes)
    }

    fn bytes(self, capacity: Option<u64>) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => capacity.map_or(SIZE_UNKNOWN, |all| all / 100 * u64::from(percent)),
        }
    }
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

    /// Removes the oldest, but nothing younger than one day of the age clock, until the grave is no larger than this; and the lines of the
    /// index. Gives how many files went.
    ///
    /// # Errors
    /// As the system says; what was not removed goes another time.
    pub fn bound(&self, max: GraveMax, age: Age) -> io::Result<usize> {
        let is_young = |buried: &Buried| age.since(buried.age) <= DAY && !seeded::is("grave-gives-up-the-young");
        self.remove_where(|dir, files| {
            let size = |buried: &Buried| {
                let stat = if_there(self.fs().stat(dir, &buried.ticket.file(buried.state)))?;
                io::Result::Ok(stat.map_or(0, |stat| stat.size))
            };
            let sizes = files.iter().map(size).collect::<io::Result<Vec<_>>>()?;
            let most = max.bytes(self.fs().capacity(dir)?);
            let mut total: u64 = sizes.iter().sum();
            let mut going = HashSet::new();
            for (buried, size) in files.iter().zip(sizes) {
                if total <= most || is_young(buried) {
                    break;
                }
                if buried.state == State::Kept {
                    total -= size;
                    going.insert(buried.ticket.id.clone());
                }
            }
            Ok(going)
        })
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

    /// Removes the oldest burials that are over one day old, until some space is free. Gives the bytes freed.
    ///
    /// # Errors
    /// As the system says.
    pub fn free_space(&self) -> io::Result<u64> {
        self.dirs()?.iter().try_fold(0, |freed, dir| Ok(freed + self.free_in(dir)?))
    }

    pub(super) fn free_in(&self, dir: &F::Dir) -> io::Result<u64> {
        let age = self.age()?;
        let mut freed = 0;
        for buried in self.files(dir)? {
            if freed >= FREE_AT_ONCE || age.since(buried.age) <= DAY {
                break;
            }
            if buried.state == State::Taken {
                continue;
            }
            let file = buried.ticket.file(State::Kept);
            freed += if_there(self.fs().stat(dir, &file))?.map_or(0, |stat| stat.size);
            if_there(self.fs().unlink(dir, &file))?;
        }
        Ok(freed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_size_or_a_share_of_the_file_system() {
        assert_eq!(GraveMax::parse(" 500M "), Some(GraveMax::Bytes(500 << 20)));
        assert_eq!(GraveMax::parse("2g"), Some(GraveMax::Bytes(2 << 30)));
        assert_eq!(GraveMax::parse("0"), Some(GraveMax::Bytes(0)));
        assert_eq!(GraveMax::parse("25%"), Some(GraveMax::Percent(25)));
        for bad in ["", "%", "101%", "-1", "M", "2 GB", "99999999T", "é"] {
            assert_eq!(GraveMax::parse(bad), None, "{bad}");
        }
        assert_eq!(GraveMax::default().bytes(Some(1000)), 100);
        assert_eq!(GraveMax::default().bytes(None), 2 << 30);
        assert_eq!(GraveMax::Bytes(7).bytes(Some(1)), 7);
    }
}
