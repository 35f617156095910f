//! What runs brought within a day, in bytes on the disk: one small file of the state directory for whoever is limited
//! (docs/FORMAT-db.md).
//!
//! A run takes some of the day before it writes any of it, durably, and gives back what it did not need. So a crash leaves too
//! much counted. Times are those of the age clock. A file that is damaged, which no crash does, counts as a day that is used up.

use std::io;

use super::{Denied, Over};
use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::home::{Access, Age, DAY, Home, Label, read_file, replace_file};
use crate::lock::{self, LockError, Wait};

const HEAD: &str = "smd-brought 1";
const SIZE_MAX: u64 = 64 << 10;
/// Bytes that a run takes at once, so that not every message writes the file.
const AT_ONCE: u64 = 64 << 20;
/// What came within so many seconds is one line.
const GRAIN: i64 = 3_600;
const LOCK_WAIT_MS: u64 = 10_000;

/// Whose bytes are counted.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// Those of a restricted key, by its label; without one those of the plain server, whoever its clients say they are.
    Server(Option<&'a Label>),
    /// Those of an endpoint of this client.
    Endpoint(&'a str),
}

/// The bytes of a day.
pub(super) struct Day<F: Fs> {
    home: Home<F>,
    name: String,
    max: u64,
}

/// When it came, and how much.
type Line = (i64, u64);

/// What the file says. One that makes no sense says that `max` came just now.
fn parse(bytes: Option<&[u8]>, now: i64, max: u64) -> Vec<Line> {
    let Some(bytes) = bytes else { return Vec::new() };
    let read = || -> Option<Vec<Line>> {
        let mut lines = std::str::from_utf8(bytes).ok()?.lines();
        (lines.next()? == HEAD).then_some(())?;
        let line = |line: &str| {
            let (age, bytes) = line.split_once(' ')?;
            // What is from after now would count for ever: the clock was lost.
            Some((age.parse::<i64>().ok()?.min(now), bytes.parse().ok()?))
        };
        lines.map(line).collect()
    };
    read().unwrap_or_else(|| vec![(now, max)])
}

fn text(lines: &[Line]) -> String {
    let lines = lines.iter().map(|(age, bytes)| format!("{age} {bytes}\n"));
    std::iter::once(format!("{HEAD}\n")).chain(lines).collect()
}

fn sum(lines: &[Line]) -> u64 {
    lines.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
}

/// Takes `wanted` of what is left of a day's `max`, and more for later. Gives what was taken.
fn take(lines: &mut Vec<Line>, age: Age, max: u64, wanted: u64) -> Result<u64, Over> {
    lines.retain(|(then, _)| age.since(*then) < DAY);
    let left = max.saturating_sub(sum(lines));
    if wanted > left {
        let oldest = lines.iter().map(|(then, _)| DAY - age.since(*then)).min();
        return Err(Over::Day { max, frees_in: oldest.unwrap_or(0) });
    }
    let taken = left.min(wanted.max(AT_ONCE.min(max / 16)));
    match lines.last_mut().filter(|(then, _)| age.now.saturating_sub(*then) < GRAIN) {
        // It counts from the later of the two times: for longer, never for less.
        Some(last) => *last = (age.now, last.1.saturating_add(taken)),
        None => lines.push((age.now, taken)),
    }
    Ok(taken)
}

/// Takes bytes off again, the latest first.
fn give_back(lines: &mut Vec<Line>, mut bytes: u64) {
    while let Some((_, last)) = lines.last_mut() {
        let off = bytes.min(*last);
        (*last, bytes) = (*last - off, bytes - off);
        if *last > 0 {
            return;
        }
        lines.pop();
    }
}

impl<F: Fs> Day<F> {
    pub(super) fn new(home: &Home<F>, whose: Whose<'_>, max: u64) -> Self {
        let name = match whose {
            Whose::Server(None) => "brought.server".to_owned(),
            Whose::Server(Some(key)) => format!("brought.key.{key}"),
            Whose::Endpoint(name) => format!("brought.endpoint.{}", Label::derive(name.as_bytes())),
        };
        Self { home: home.clone(), name, max }
    }

    /// Takes so many bytes of the day, durably. Gives how many were taken, at least as many.
    pub(super) fn take(&self, wanted: u64) -> Result<u64, Denied> {
        self.change(|lines, age| take(lines, age, self.max, wanted).map_err(Denied::from))
    }

    pub(super) fn give_back(&self, bytes: u64) -> Result<(), Error> {
        let given = self.change(|lines, _| -> Result<(), Denied> {
            give_back(lines, bytes);
            Ok(())
        });
        given.map_err(|denied| match denied {
            Denied::Io(cause) => Error { action: "write", path: self.shown(), cause },
            Denied::Over(_) => unreachable!("bytes that are given back pass no limit"),
        })
    }

    fn shown(&self) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt as _;
        [self.home.path().as_os_str().as_bytes(), b"/", self.name.as_bytes()].concat()
    }

    /// Reads the file, changes it, and writes it where that made a difference, under the lock of the state directory.
    fn change<T>(&self, how: impl FnOnce(&mut Vec<Line>, Age) -> Result<T, Denied>) -> Result<T, Denied> {
        let (fs, path) = (&**self.home.fs(), self.shown());
        let Some(dir) = self.home.dir().filter(|_| self.home.access() == Access::ReadWrite) else {
            return Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem).into());
        };
        let wait = Wait { ms: LOCK_WAIT_MS, stop: &|| false };
        let _lock = match lock::lock_dir(fs, dir, &path, &wait) {
            Ok(held) => Some(held),
            Err(LockError::Io(error)) if lock::is_unsupported(&error.cause) => None,
            Err(LockError::Io(error)) => return Err(error.into()),
            Err(error) => return Err(io::Error::new(io::ErrorKind::TimedOut, error.to_string()).into()),
        };
        let age = self.home.age()?;
        let read = match read_file(fs, dir, self.name.as_bytes(), SIZE_MAX) {
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Some(Vec::new()),
            read => read.context("read", &path)?,
        };
        let before = parse(read.as_deref(), age.now, self.max);
        let mut lines = before.clone();
        let done = how(&mut lines, age);
        let text = text(&lines);
        if read.as_deref().unwrap_or_default() != text.as_bytes() && !(read.is_none() && lines.is_empty()) {
            replace_file(fs, dir, self.name.as_bytes(), &[text.as_bytes()]).context("write", &path)?;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now: i64) -> Age {
        Age { now, began: 0 }
    }

    #[test]
    fn a_day_gives_no_more_than_it_has_and_frees_what_is_a_day_old() {
        let mut lines = Vec::new();
        assert_eq!(take(&mut lines, at(DAY), 1000, 100), Ok(100));
        assert_eq!(take(&mut lines, at(DAY + 10), 1000, 800), Ok(800));
        assert_eq!(lines, [(DAY + 10, 900)], "one line an hour");
        assert_eq!(take(&mut lines, at(DAY + 2 * GRAIN), 1000, 50), Ok(62), "and some for later");
        let full = take(&mut lines, at(DAY + 2 * GRAIN), 1000, 100);
        assert_eq!(full, Err(Over::Day { max: 1000, frees_in: DAY - 2 * GRAIN + 10 }));
        assert_eq!(take(&mut lines, at(2 * DAY + 9), 1000, 100).map_err(drop), Err(()));
        assert_eq!(take(&mut lines, at(2 * DAY + 10), 1000, 900), Ok(900));
        assert_eq!(take(&mut lines, at(2 * DAY + 10), 1000, 1001).map_err(drop), Err(()), "more than ever fits");
        give_back(&mut lines, 910);
        assert_eq!(sum(&lines), 52);
        give_back(&mut lines, u64::MAX);
        assert_eq!(lines, []);
    }

    #[test]
    fn what_makes_no_sense_counts_as_a_day_that_is_used_up() {
        assert_eq!(parse(None, 7, 100), []);
        assert_eq!(parse(Some(text(&[(3, 4), (5, 6)]).as_bytes()), 7, 100), [(3, 4), (5, 6)]);
        assert_eq!(parse(Some(text(&[(3, 4), (99, 6)]).as_bytes()), 7, 100), [(3, 4), (7, 6)]);
        for bad in ["", "smd-brought 2\n1 1\n", "smd-brought 1\n1\n", "smd-brought 1\n1 -1\n"] {
            assert_eq!(parse(Some(bad.as_bytes()), 7, 100), [(7, 100)], "{bad}");
        }
    }
}
