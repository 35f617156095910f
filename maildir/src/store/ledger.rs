//! The ledgers: what runs removed from a root of this host within a day, whoever its peer was, and what they brought although it
//! was there (docs/FORMAT-db.md).
//!
//! A run writes what it is about to remove before it removes anything, durably; so it does with what it brings a second time. So a crash between the two leaves too much
//! here, never too little; and as each message is named, the run that removes it after all does not count it again. The caller holds
//! the root's lock for every write (`dated`).
//!
//! Times are those of the age clock. Deliberately not here: what is too much (`smd_protocol::reconcile`).

use std::collections::HashSet;

use smd_protocol::reconcile::Removal;
use smd_protocol::{Digest, Name, Uniq, seeded};

use super::dated::{self, Held};
use super::text::{self, number, put, put_folder, read_folder, words};
use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::home::{Access, Age, DAY, Home};
use crate::root::if_there;

/// Larger than any ledger gets within a day; a larger one fails the run rather than count as none.
const SIZE_MAX: u64 = 512 << 20;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// What runs removed.
    Removed,
    /// What they brought although it was there.
    Doubled,
}

impl Kept {
    fn name(self, stem: &str) -> Vec<u8> {
        match self {
            Self::Removed => format!("removed.{stem}").into_bytes(),
            Self::Doubled => format!("doubled.{stem}").into_bytes(),
        }
    }
}

/// Its path, for messages.
fn shown<F: Fs>(home: &Home<F>, name: &[u8]) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    [home.path().as_os_str().as_bytes(), b"/", name].concat()
}

/// A message with the age at which it was removed.
type Dated = (i64, Removal);

fn put_line(out: &mut Vec<u8>, (age, removal): &Dated) {
    let Removal { name, body, section, base } = removal;
    put(out, format_args!("{age} {section} {base} {body} "));
    put_folder(out, &name.folder);
    out.push(b' ');
    text::word(out, name.uniq.as_bytes());
    out.push(b'\n');
}

fn read_line(line: &[u8]) -> Option<Dated> {
    let [age, section, base, body, folder, uniq] = words(line)?;
    let removal = Removal {
        name: Name::new(&read_folder(folder)?, &Uniq::parse(&text::unescape(uniq)?).ok()?),
        body: Digest::from_letters(body)?,
        section: number(section)?,
        base: number(base)?,
    };
    Some((i64::try_from(number(age)?).ok()?, removal))
}

/// What was removed within a day.
fn read_all<F: Fs>(home: &Home<F>, name: &[u8], now: Age) -> Result<Held<Dated>, Error> {
    let Some(dir) = home.dir() else { return Ok(Held::none()) };
    let is_young = |(age, _): &Dated| now.since(*age) <= DAY;
    dated::read(&**home.fs(), dir, name, SIZE_MAX, read_line, is_young).context("read", shown(home, name))
}

/// What is noted of the root within a day.
///
/// # Errors
/// When the ledger, or the age clock, cannot be read.
pub(crate) fn read<F: Fs>(home: &Home<F>, kept: Kept, stem: &str) -> Result<Vec<Removal>, Error> {
    let now = home.age()?;
    Ok(read_all(home, &kept.name(stem), now)?.lines.into_iter().map(|(_, removal)| removal).collect())
}

/// Adds messages that are not in it, durably. Writes nothing in a dry run.
///
/// # Errors
/// When the ledger cannot be read or written: then nothing may be done that it is to tell of.
pub(crate) fn add<F: Fs>(home: &Home<F>, kept: Kept, stem: &str, removals: &[Removal]) -> Result<(), Error> {
    let (Some(dir), Access::ReadWrite, false) = (home.dir(), home.access(), seeded::is("removals-are-not-counted"))
    else {
        return Ok(());
    };
    let (fs, now, name) = (&**home.fs(), home.age()?, kept.name(stem));
    let held = read_all(home, &name, now)?;
    let known: HashSet<(&Name, Digest)> = held.lines.iter().map(|(_, one)| (&one.name, one.body)).collect();
    let fresh = removals.iter().filter(|one| !known.contains(&(&one.name, one.body)));
    let fresh: Vec<Dated> = fresh.map(|removal| (now.now, removal.clone())).collect();
    if fresh.is_empty() {
        return Ok(());
    }
    dated::add(fs, dir, &name, &held, &fresh, put_line).context("write", shown(home, &name))
}

/// Forgets all that is noted of the root: a person said that it was meant. Writes nothing in a dry run.
///
/// # Errors
/// When the ledger cannot be removed.
pub(crate) fn clear<F: Fs>(home: &Home<F>, kept: Kept, stem: &str) -> Result<(), Error> {
    let (Some(dir), Access::ReadWrite) = (home.dir(), home.access()) else { return Ok(()) };
    let (fs, name) = (&**home.fs(), kept.name(stem));
    let removed = if_there(fs.unlink(dir, &name)).context("remove", shown(home, &name))?;
    removed.map_or(Ok(()), |()| fs.sync_dir(dir).context("sync", shown(home, &name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Disk;
    use smd_protocol::Folder;
    use std::sync::Arc;

    fn removal(folder: &str, uniq: &str) -> Removal {
        let folder = Folder::parse(folder.as_bytes()).expect("folder");
        let name = Name::new(&folder, &Uniq::parse(uniq.as_bytes()).expect("uniq"));
        Removal { name, body: Digest::of(uniq.as_bytes()), section: 3, base: 7 }
    }

    /// A state directory whose clock began long ago.
    fn home(path: &std::path::Path, access: Access) -> Home<Disk> {
        let wall = Disk.now().sec;
        let clock = format!("smd-age-clock 1\nage {wall}\nboot -\nwall {wall}\nbegan 0\n");
        std::fs::write(path.join("age-clock"), clock).expect("writes");
        Home::open(Arc::new(Disk), path, access).expect("opens")
    }

    #[test]
    fn removals_are_kept_for_a_day_and_each_is_named_once() {
        let temp = tempfile::tempdir().expect("temp");
        let home = home(temp.path(), Access::ReadWrite);
        let (a, b) = (removal("", "a"), removal("x y/\u{e9}", "b %"));
        assert!(read(&home, Kept::Removed, "stem").expect("reads").is_empty());
        add(&home, Kept::Removed, "stem", &[a.clone(), b.clone()]).expect("adds");
        add(&home, Kept::Removed, "stem", std::slice::from_ref(&a)).expect("knows it");
        assert_eq!(read(&home, Kept::Removed, "stem").expect("reads"), [a, b.clone()]);
        assert!(read(&home, Kept::Removed, "other").expect("reads").is_empty());
        assert!(read(&home, Kept::Doubled, "stem").expect("reads").is_empty());
        // A day and a minute later.
        let file = temp.path().join("removed.stem");
        let text = std::fs::read_to_string(&file).expect("reads");
        let old = |line: &str| {
            let (age, rest) = line.split_once(' ').expect("an age");
            format!("{} {rest}\n", age.parse::<i64>().expect("a number") - DAY - 60)
        };
        std::fs::write(&file, text.lines().map(old).collect::<String>()).expect("writes");
        add(&home, Kept::Removed, "stem", std::slice::from_ref(&b)).expect("adds");
        assert_eq!(read(&home, Kept::Removed, "stem").expect("reads"), [b]);
        clear(&home, Kept::Removed, "stem").expect("clears");
        clear(&home, Kept::Removed, "stem").expect("clears what is not there");
        assert!(!file.exists());
    }

    #[test]
    fn a_line_torn_by_a_crash_swallows_neither_the_one_before_nor_the_one_after() {
        let temp = tempfile::tempdir().expect("temp");
        let home = home(temp.path(), Access::ReadWrite);
        add(&home, Kept::Removed, "stem", &[removal("", "a"), removal("", "b")]).expect("adds");
        let file = temp.path().join("removed.stem");
        let text = std::fs::read(&file).expect("reads");
        std::fs::write(&file, &text[..text.len() - 4]).expect("writes");
        add(&home, Kept::Removed, "stem", &[removal("", "c")]).expect("adds");
        assert_eq!(read(&home, Kept::Removed, "stem").expect("reads"), [removal("", "a"), removal("", "c")]);
    }

    #[test]
    fn a_ledger_of_bygone_days_is_written_anew_and_a_dry_run_writes_nothing() {
        let temp = tempfile::tempdir().expect("temp");
        let file = temp.path().join("removed.stem");
        let line = format!("1000 3 7 {} . x\n", Digest::of(b"x"));
        std::fs::write(&file, line.repeat(1_000)).expect("writes");
        add(&home(temp.path(), Access::ReadOnly), Kept::Removed, "stem", &[removal("", "a")]).expect("adds nothing");
        clear(&home(temp.path(), Access::ReadOnly), Kept::Removed, "stem").expect("clears nothing");
        assert!(std::fs::metadata(&file).expect("is there").len() > 10_000);
        add(&home(temp.path(), Access::ReadWrite), Kept::Removed, "stem", &[removal("", "a")]).expect("adds");
        assert_eq!(std::fs::read_to_string(&file).expect("reads").lines().count(), 1);
    }
}
