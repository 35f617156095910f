//! The age clock: how long what rests has rested, by no clock that can be set.
//!
//! A wall clock jumps: a board without a battery boots ten days ago, a typing slip puts it a month ahead, and what was buried
//! minutes ago would be over its days. So ages count seconds of a clock of their own, kept in `age-clock` in the state
//! directory: in one boot it goes with the boot clock (sleep included); across a boot with what the wall clock says went by, but
//! never back, and never more than a day. It may go slow, and then something rests longer than it must; it never goes fast. Two
//! hosts that share a home take turns like two boots, and what their wall clocks differ by counts once.
//!
//! It begins where the wall clock stands, when there is none or the one that was is lost. What is from before then, in graves
//! here, in roots or on other disks, counts from the beginning: how old it was by then nobody knows any more. So whatever was
//! lost, nothing is older than this clock. Where a grave holds what is from days after now, the clock begins once more, there:
//! else that would rest for ever.
//!
//! Deliberately not here: what is old (`grave`, `ledger`), and times that a person reads.

use std::io;

use smd_protocol::seeded;

use super::{Access, Home, read_file, replace_file};
use crate::error::{Context, Error};
use crate::fs::{Boot, Fs};
use crate::lock::{self, LockError, Wait};

/// Seconds that may go by at most across a boot.
pub(crate) const DAY: i64 = 86_400;
/// Seconds after which a run notes how far the clock is: so much may be lost at a boot.
const NOTED: i64 = 3_600;
/// A clock that is this far behind what rests is not behind.
const CENTURY: i64 = 36_525 * DAY;
const NAME: &[u8] = b"age-clock";
const SIZE_MAX: u64 = 512;

/// The age clock at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Age {
    /// How far it is, in seconds.
    pub(crate) now: i64,
    /// How far it was when it began.
    pub(crate) began: i64,
}

impl Age {
    /// One that began now: nothing has an age.
    pub(crate) fn beginning(now: i64) -> Self {
        Self { now, began: now }
    }

    /// How far it is, in seconds.
    pub fn seconds(self) -> i64 {
        self.now
    }

    /// Seconds for which something rests that was laid down when the clock stood there; below zero where it is from after now.
    pub fn since(self, then: i64) -> i64 {
        let then = if seeded::is("a-lost-clock-ages-all") { then } else { then.max(self.began) };
        self.now.saturating_sub(then)
    }
}

/// How far the clock was, and by which clocks.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Mark {
    age: i64,
    /// How far it was when it began.
    began: i64,
    boot: Option<Boot>,
    /// The furthest that the wall clock was.
    wall: i64,
}

impl Mark {
    /// The mark for this moment.
    fn moved_on(&self, boot: Option<Boot>, wall: i64) -> Self {
        let by_wall = wall.saturating_sub(self.wall);
        let since = match (&self.boot, &boot) {
            // A machine that was frozen and carried on may have any boot clock.
            (Some(then), Some(now)) if then.id == now.id => {
                now.seconds.saturating_sub(then.seconds).clamp(0, by_wall.max(DAY))
            }
            _ => by_wall.clamp(0, DAY),
        };
        let age = if seeded::is("ages-by-the-wall-clock") { wall } else { self.age.saturating_add(since) };
        // One that was days ahead was wrong, and is believed no longer.
        let wall = if by_wall < -DAY { wall } else { wall.max(self.wall) };
        Self { age, began: self.began, boot, wall }
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
        let wall = word("wall")?.parse().ok()?;
        let began = word("began")?.parse().ok().filter(|began| *began <= age)?;
        Some(Self { age, began, boot, wall })
    }

    fn text(&self) -> String {
        let boot = self.boot.as_ref().map_or("-".to_owned(), |boot| format!("{} {}", boot.id, boot.seconds));
        format!("smd-age-clock 1\nage {}\nboot {boot}\nwall {}\nbegan {}\n", self.age, self.wall, self.began)
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
        None => Mark { age: wall.max(0), began: wall.max(0), boot, wall },
    };
    Ok((noted, now))
}

/// The age clock of a state directory now. Writes nothing.
///
/// # Errors
/// When what was noted cannot be read.
pub(crate) fn age<F: Fs>(fs: &F, dir: &F::Dir) -> io::Result<Age> {
    let now = marks(fs, dir)?.1;
    Ok(Age { now: now.age, began: now.began })
}

impl<F: Fs> Home<F> {
    /// The age clock now; one that begins now where there is no state directory yet.
    ///
    /// # Errors
    /// When what was noted cannot be read.
    pub fn age(&self) -> Result<Age, Error> {
        match &self.dir {
            Some(dir) => age(&*self.fs, dir).context("read", super::shown(&self.path, NAME)),
            None => Ok(Age::beginning(self.fs.now().sec.max(0))),
        }
    }

    /// Notes how far the age clock is, durably, when that was not done in this boot or for an hour. A write that fails makes
    /// the clock slower at the next boot, and fails nothing. A crash leaves the old note or the new one.
    ///
    /// # Errors
    /// When what was noted cannot be read.
    pub fn keep_age(&self) -> Result<(), Error> {
        self.keep(|noted, now| noted.is_none_or(|noted| now.replaces(&noted)).then_some(now))
    }

    /// Begins the clock once more where something rests that is from so far ahead of it that no boot explains it: the clock was
    /// lost, or this state directory was put back from a backup. What is from another century is a name that nobody gave. Otherwise
    /// as [`Home::keep_age`].
    ///
    /// # Errors
    /// When what was noted cannot be read.
    pub fn keep_age_after(&self, newest: i64) -> Result<(), Error> {
        let ahead = |now: &Mark| newest.saturating_sub(now.age);
        let is_behind =
            |now: &Mark| (DAY + 1..CENTURY).contains(&ahead(now)) && !seeded::is("a-lost-clock-stays-behind");
        self.keep(|_, now| is_behind(&now).then_some(Mark { age: newest, began: newest, ..now }))
    }

    /// Notes what `due` makes of the mark that was noted and the one for now.
    fn keep(&self, due: impl Fn(Option<Mark>, Mark) -> Option<Mark>) -> Result<(), Error> {
        let (Some(dir), Access::ReadWrite) = (&self.dir, self.access) else { return Ok(()) };
        let path = super::shown(&self.path, NAME);
        let (noted, now) = marks(&*self.fs, dir).context("read", &path)?;
        if due(noted, now).is_none() {
            return Ok(());
        }
        // Whoever holds the lock is noting it, or does something else of which there is one in a home; the next run is soon.
        let _lock = match lock::lock_dir(&*self.fs, dir, &path, &Wait { ms: 0, stop: &|| false }) {
            Ok(held) => Some(held),
            Err(LockError::Io(error)) if lock::is_unsupported(&error.cause) => None,
            Err(_) => return Ok(()),
        };
        let (noted, now) = marks(&*self.fs, dir).context("read", &path)?;
        if let Some(mark) = due(noted, now)
            && let Err(error) = replace_file(&*self.fs, dir, NAME, &[mark.text().as_bytes()])
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
        let noted = Mark { age: 1_000, began: 0, boot: boot("a", 50), wall: 2_000_000 };
        for wall in [0, 2_000_000, 2_000_060, 2_000_000 + 40 * DAY] {
            assert_eq!(noted.moved_on(boot("a", 110), wall).age, 1_060, "{wall}");
        }
        // A virtual machine that was set back.
        assert_eq!(noted.moved_on(boot("a", 10), 2_000_000).age, 1_000);
    }

    #[test]
    fn across_a_boot_the_wall_clock_counts_for_a_day_at_most_and_never_back() {
        let noted = Mark { age: 1_000, began: 0, boot: boot("a", 50), wall: 2_000_000 };
        for (wall, age) in [(2_003_600, 4_600), (2_000_000 - 10 * DAY, 1_000), (2_000_000 + 40 * DAY, 1_000 + DAY)] {
            assert_eq!(noted.moved_on(boot("b", 7), wall).age, age, "{wall}");
            assert_eq!(noted.moved_on(None, wall).age, age, "{wall}");
        }
    }

    #[test]
    fn a_boot_clock_that_leaps_counts_a_day_at_most_or_what_the_wall_clock_says() {
        let noted = Mark { age: 1_000, began: 0, boot: boot("a", 50), wall: 2_000_000 };
        for (wall, age) in [(2_000_001, DAY), (2_000_000 + 9 * DAY, 9 * DAY), (2_000_000 - 9 * DAY, DAY)] {
            assert_eq!(noted.moved_on(boot("a", 50 + 50 * DAY), wall).age, 1_000 + age, "{wall}");
        }
    }

    #[test]
    fn two_hosts_that_take_turns_count_what_their_clocks_differ_by_once() {
        let mut mark = Mark { age: 1_000, began: 0, boot: boot("a", 50), wall: 2_000_000 };
        for turn in 0..100 {
            mark =
                mark.moved_on(boot("b", 7 + turn), 2_003_600 + turn).moved_on(boot("a", 50 + turn), 2_000_000 + turn);
        }
        assert_eq!(mark.age, 1_000 + 3_600 + 99);
        // A wall clock that was weeks ahead and was set right stops nothing.
        let right = mark.moved_on(boot("c", 1), 9_000_000).moved_on(boot("d", 1), 2_100_000);
        assert_eq!(right.moved_on(boot("e", 1), 2_100_060).age, right.age + 60);
    }

    #[test]
    fn a_mark_reads_back_and_a_damaged_one_does_not() {
        for boot in [boot("8d2f-1", 5), None] {
            let mark = Mark { age: 7, began: 5, boot, wall: -3 };
            assert_eq!(Mark::parse(&mark.text()), Some(mark));
        }
        for text in [
            "",
            "smd-age-clock 2\nage 1\nboot -\nwall 1\nbegan 0\n",
            "smd-age-clock 1\nage -1\nboot -\nwall 1\nbegan -2\n",
            "smd-age-clock 1\nage 1\nboot -\nwall 1\n",
            "smd-age-clock 1\nage 1\nboot -\nwall 1\nbegan 2\n",
        ] {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_clock_is_noted_once_an_hour() {
        let temp = tempfile::tempdir().expect("temp");
        let home = Home::open(Arc::new(Disk), temp.path(), Access::ReadWrite).expect("opens");
        let file = temp.path().join("age-clock");
        let wall = Disk.now().sec;
        home.keep_age().expect("notes");
        let noted = std::fs::read_to_string(&file).expect("is noted");
        home.keep_age().expect("notes");
        assert_eq!(std::fs::read_to_string(&file).expect("is noted"), noted);
        assert!((wall..wall + 60).contains(&home.age().expect("reads").now));
    }

    #[test]
    fn nothing_is_older_than_a_clock_that_was_lost() {
        let temp = tempfile::tempdir().expect("temp");
        let home = Home::open(Arc::new(Disk), temp.path(), Access::ReadWrite).expect("opens");
        // Lost, and the wall clock may be anywhere.
        let long_ago = Disk.now().sec - 40 * DAY;
        assert!((0..60).contains(&home.age().expect("reads").since(long_ago)));
        home.keep_age().expect("notes");
        assert!((0..60).contains(&home.age().expect("reads").since(long_ago)));
        // From then on it goes as ever.
        let age = Age { now: 30 * DAY, began: 20 * DAY };
        for (then, since) in [(0, 10), (20, 10), (21, 9), (30, 0), (31, -1)] {
            assert_eq!(age.since(then * DAY), since * DAY, "{then}");
        }
    }

    #[test]
    fn a_clock_that_is_days_behind_what_rests_begins_once_more() {
        let temp = tempfile::tempdir().expect("temp");
        let home = Home::open(Arc::new(Disk), temp.path(), Access::ReadWrite).expect("opens");
        home.keep_age().expect("notes");
        let now = home.age().expect("reads").now;
        // A boot may take an hour from it, and more where it could not be noted.
        home.keep_age_after(now + DAY / 2).expect("notes");
        assert!((now..now + 60).contains(&home.age().expect("reads").now));
        home.keep_age_after(now + 9 * DAY).expect("notes");
        home.keep_age_after(i64::MAX).expect("notes");
        let age = home.age().expect("reads");
        assert!((0..60).contains(&age.since(now + 9 * DAY)) && (0..60).contains(&age.since(now)), "{age:?}");
    }
}
