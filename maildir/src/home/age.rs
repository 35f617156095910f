//! The age clock: how long what rests has rested, by no clock that can be set.
//!
//! A wall clock jumps: a board without a battery boots ten days ago, a typing slip puts it a month ahead, and what was buried
//! minutes ago would be over its days. So ages count seconds of a clock of their own, kept in `age-clock` in the state
//! directory: in one boot it goes with the boot clock (sleep included); across a boot with what the wall clock says went by, but
//! never back, and never more than a day. It may go slow, and then something rests longer than it must; it never goes fast.
//!
//! It begins where the wall clock stands, so that what was buried before there was one has an age. One that was lost begins
//! after the newest burial of this state directory, and not more than a day after it.
//!
//! Deliberately not here: what is old (`grave`, `ledger`), and times that a person reads.

use std::io;

use smd_protocol::seeded;

use super::{Access, Home, read_file, replace_file};
use crate::error::{Context, Error};
use crate::fs::{Boot, Fs};
use crate::grave;
use crate::lock::{self, LockError, Wait};

/// Seconds that may go by at most across a boot.
pub(crate) const DAY: i64 = 86_400;
/// Seconds after which a run notes how far the clock is: so much may be lost at a boot.
const NOTED: i64 = 3_600;
const NAME: &[u8] = b"age-clock";
const SIZE_MAX: u64 = 512;

/// How far the clock was, and by which clocks.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Mark {
    age: i64,
    boot: Option<Boot>,
    wall: i64,
}

impl Mark {
    /// The mark for this moment.
    fn moved_on(&self, boot: Option<Boot>, wall: i64) -> Self {
        let since = match (&self.boot, &boot) {
            (Some(then), Some(now)) if then.id == now.id => now.seconds.saturating_sub(then.seconds).max(0),
            _ => wall.saturating_sub(self.wall).clamp(0, DAY),
        };
        let age = if seeded::is("ages-by-the-wall-clock") { wall } else { self.age.saturating_add(since) };
        Self { age, boot, wall }
    }

    /// Whether the next boot would lose too much, were this one not noted.
    fn replaces(&self, noted: &Self) -> bool {
        let id = |mark: &Self| mark.boot.as_ref().map(|boot| boot.id.clone());
        id(self) != id(noted)
            || self.age.saturating_sub(noted.age) >= NOTED
            || self.wall.saturating_sub(noted.wall).saturating_abs() >= NOTED
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()? == "smd-age-clock 1").then_some(())?;
        let mut word = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let age = word("age")?.parse().ok().filter(|age| *age >= 0)?;
        let boot = match word("boot")? {
            "-" => None,
            boot => {
                let (id, seconds) = boot.split_once(' ')?;
                Some(Boot { id: id.to_owned(), seconds: seconds.parse().ok()? })
            }
        };
        Some(Self { age, boot, wall: word("wall")?.parse().ok()? })
    }

    fn text(&self) -> String {
        let boot = self.boot.as_ref().map_or("-".to_owned(), |boot| format!("{} {}", boot.id, boot.seconds));
        format!("smd-age-clock 1\nage {}\nboot {boot}\nwall {}\n", self.age, self.wall)
    }
}

/// The mark that was noted, if it was, and the one for this moment.
fn marks<F: Fs>(fs: &F, dir: &F::Dir) -> io::Result<(Option<Mark>, Mark)> {
    let (boot, wall) = (fs.boot(), fs.now().sec);
    let noted = match read_file(fs, dir, NAME, SIZE_MAX) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => None,
        read => read?.and_then(|bytes| Mark::parse(std::str::from_utf8(&bytes).ok()?)),
    };
    let now = match &noted {
        Some(noted) => noted.moved_on(boot, wall),
        None => {
            let newest = grave::newest_below(fs, dir)?;
            let begin = newest.map_or(wall, |(age, time)| age.saturating_add(wall.saturating_sub(time).clamp(0, DAY)));
            Mark { age: begin.max(0), boot, wall }
        }
    };
    Ok((noted, now))
}

/// The age clock of a state directory now, in seconds. Writes nothing.
///
/// # Errors
/// When what was noted cannot be read.
pub(crate) fn age<F: Fs>(fs: &F, dir: &F::Dir) -> io::Result<i64> {
    Ok(marks(fs, dir)?.1.age)
}

impl<F: Fs> Home<F> {
    /// The age clock now, in seconds; the wall clock where there is no state directory yet.
    ///
    /// # Errors
    /// When what was noted cannot be read.
    pub fn age(&self) -> Result<i64, Error> {
        match &self.dir {
            Some(dir) => age(&*self.fs, dir).context("read", super::shown(&self.path, NAME)),
            None => Ok(self.fs.now().sec.max(0)),
        }
    }

    /// Notes how far the age clock is, durably, when that was not done in this boot or for an hour. A write that fails makes
    /// the clock slower at the next boot, and fails nothing. A crash leaves the old note or the new one.
    ///
    /// # Errors
    /// When what was noted cannot be read.
    pub fn keep_age(&self) -> Result<(), Error> {
        let (Some(dir), Access::ReadWrite) = (&self.dir, self.access) else { return Ok(()) };
        let path = super::shown(&self.path, NAME);
        let is_due = |noted: Option<Mark>, now: &Mark| noted.is_none_or(|noted| now.replaces(&noted));
        let (noted, now) = marks(&*self.fs, dir).context("read", &path)?;
        if !is_due(noted, &now) {
            return Ok(());
        }
        // Whoever holds the lock is noting it, or does something else of which there is one in a home; the next run is soon.
        let _lock = match lock::lock_dir(&*self.fs, dir, &path, &Wait { ms: 0, stop: &|| false }) {
            Ok(held) => Some(held),
            Err(LockError::Io(error)) if lock::is_unsupported(&error.cause) => None,
            Err(_) => return Ok(()),
        };
        let (noted, now) = marks(&*self.fs, dir).context("read", &path)?;
        if is_due(noted, &now)
            && let Err(error) = replace_file(&*self.fs, dir, NAME, &[now.text().as_bytes()])
        {
            tracing::warn!(%error, "how far the age clock is was not noted");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Disk;
    use std::sync::Arc;

    fn boot(id: &str, seconds: i64) -> Option<Boot> {
        Some(Boot { id: id.to_owned(), seconds })
    }

    #[test]
    fn in_one_boot_only_the_boot_clock_counts() {
        let noted = Mark { age: 1_000, boot: boot("a", 50), wall: 2_000_000 };
        for wall in [0, 2_000_000, 2_000_060, 2_000_000 + 40 * DAY] {
            assert_eq!(noted.moved_on(boot("a", 110), wall).age, 1_060, "{wall}");
        }
        // A virtual machine that was set back.
        assert_eq!(noted.moved_on(boot("a", 10), 2_000_000).age, 1_000);
    }

    #[test]
    fn across_a_boot_the_wall_clock_counts_for_a_day_at_most_and_never_back() {
        let noted = Mark { age: 1_000, boot: boot("a", 50), wall: 2_000_000 };
        for (wall, age) in [(2_003_600, 4_600), (2_000_000 - 10 * DAY, 1_000), (2_000_000 + 40 * DAY, 1_000 + DAY)] {
            assert_eq!(noted.moved_on(boot("b", 7), wall).age, age, "{wall}");
            assert_eq!(noted.moved_on(None, wall).age, age, "{wall}");
        }
    }

    #[test]
    fn a_mark_reads_back_and_a_damaged_one_does_not() {
        for boot in [boot("8d2f-1", 5), None] {
            let mark = Mark { age: 7, boot, wall: -3 };
            assert_eq!(Mark::parse(&mark.text()), Some(mark));
        }
        for text in ["", "smd-age-clock 2\nage 1\nboot -\nwall 1\n", "smd-age-clock 1\nage -1\nboot -\nwall 1\n"] {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_clock_is_noted_once_an_hour_and_a_lost_one_begins_at_the_newest_burial() {
        let temp = tempfile::tempdir().expect("temp");
        let home = Home::open(Arc::new(Disk), temp.path(), Access::ReadWrite).expect("opens");
        let file = temp.path().join("age-clock");
        let wall = Disk.now().sec;
        home.keep_age().expect("notes");
        let noted = std::fs::read_to_string(&file).expect("is noted");
        home.keep_age().expect("notes");
        assert_eq!(std::fs::read_to_string(&file).expect("is noted"), noted);
        assert!((wall..wall + 60).contains(&home.age().expect("reads")));
        // Lost, and the wall clock is forty days ahead of the last burial.
        std::fs::remove_file(&file).expect("goes");
        std::fs::create_dir_all(temp.path().join("grave/root")).expect("makes");
        let buried = wall - 40 * DAY;
        std::fs::write(temp.path().join(format!("grave/root/{buried}.run.0.k")), "x").expect("writes");
        assert_eq!(home.age().expect("reads"), buried + DAY);
    }
}
