//! When a stamp proves something.
//!
//! A stamp that is not clearly older than the moment of looking may stay the same through one more change:
//! file systems stamp by a clock that ticks every few milliseconds, some only every second or two.

use smd_protocol::delta::Mtime;
use smd_protocol::{Folder, seeded};
use xxhash_rust::xxh3::xxh3_64;

use crate::cache::{DirStamp, NEWER_THAN_ANY};

/// Stamps with a part below the second tick at least this often, in milliseconds.
const TICK: i64 = 20;
/// Stamps of whole seconds tick at least this often (FAT: every two seconds).
const COARSE_TICK: i64 = 2000;
/// A file that changed so shortly before it was read may still be written to, in milliseconds.
const YOUNG: i64 = 2000;
/// The stamps of a folder's files are looked at when the last look was so many seconds ago, or half of it and more by the
/// folder's name, so that folders that were first seen together do not stay together.
const LOOK_EVERY: i64 = 6 * 3600;

/// Milliseconds from one time to another, negative when it is later.
fn ms_between(from: Mtime, to: Mtime) -> i64 {
    let seconds = to.sec.saturating_sub(from.sec).saturating_mul(1000);
    seconds.saturating_add((i64::from(to.nsec) - i64::from(from.nsec)).div_euclid(1_000_000))
}

/// How many milliseconds after `moment` this stamp will prove that nothing changed since; 0 when it does now.
pub(super) fn ms_until_proof(stamp: &DirStamp, moment: Mtime) -> i64 {
    ms_until_old(stamp.mtime, moment).max(ms_until_old(stamp.ctime, moment))
}

fn ms_until_old(at: Mtime, moment: Mtime) -> i64 {
    let tick = if at.nsec == 0 { COARSE_TICK } else { TICK };
    (tick + 1).saturating_sub(ms_between(at, moment)).max(0)
}

/// Whether a file with this ctime, looked at `moment`, could be followed by another one with the same stamps.
pub(super) fn may_repeat(ctime: Mtime, moment: Mtime) -> bool {
    ms_until_old(ctime, moment) > 0
}

/// Whether these stamps, taken at `moment`, prove that nothing changed since.
pub(super) fn proves<'a>(stamps: impl IntoIterator<Item = &'a DirStamp>, moment: Mtime) -> bool {
    stamps.into_iter().all(|stamp| ms_until_proof(stamp, moment) == 0 || seeded::is("any-stamp-is-proof"))
}

/// Whether a file with this ctime was too young at `moment` for its bytes to be taken as final.
pub(super) fn is_young(ctime: Mtime, moment: Mtime) -> bool {
    ms_between(ctime, moment) < YOUNG
}

/// Whether the stamps of this folder's files are to be looked at again.
pub(super) fn look_is_due(folder: &Folder, last: Option<Mtime>, now: Mtime) -> bool {
    let Some(last) = last else { return true };
    // In seconds: two processors of one machine may differ by less.
    let age = now.sec.saturating_sub(last.sec);
    let later = || (xxh3_64(folder.as_bytes()) % (LOOK_EVERY / 2).unsigned_abs()) as i64;
    age < 0 || age > LOOK_EVERY / 2 && age > LOOK_EVERY / 2 + later()
}

/// Whether a directory, looked at `moment`, was put back from a backup: it changed earlier than what was recorded. A recorded
/// stamp that lies in the future is of a clock that was set back since, and whatever changed in the same directory after
/// that has an older one. It excuses no other directory in its place: that is how most backups are put back.
pub(super) fn went_back(recorded: Option<&DirStamp>, seen: Option<&DirStamp>, moment: Mtime) -> bool {
    let (Some(old), Some(new)) = (recorded, seen) else { return false };
    // Not by the device, whose number may change at a reboot.
    let same = (old.ino, old.btime) == (new.ino, new.btime);
    let tells =
        |at: Mtime| !same || at <= moment || at == NEWER_THAN_ANY || seeded::is("future-stamp-tells-of-a-backup");
    let by_mtime = new.mtime < old.mtime && tells(old.mtime);
    by_mtime || (new.ctime < old.ctime && tells(old.ctime) && !seeded::is("backup-by-mtime-alone"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sec: i64, nsec: u32) -> Mtime {
        Mtime { sec, nsec }
    }

    fn stamp(mtime: Mtime) -> DirStamp {
        DirStamp { dev: 1, ino: 1, mtime, ctime: mtime, btime: None, mount: false }
    }

    #[test]
    fn a_stamp_of_the_same_tick_proves_nothing() {
        assert!(!proves([&stamp(at(10, 999_000_000))], at(11, 1_000_000)));
        assert!(proves([&stamp(at(10, 999_000_000))], at(11, 30_000_000)));
        assert!(!proves([&stamp(at(10, 0))], at(11, 500_000_000)));
        assert!(proves([&stamp(at(10, 0))], at(12, 100_000_000)));
    }

    #[test]
    fn a_stamp_of_the_future_proves_nothing() {
        assert!(!proves([&stamp(at(i64::MAX, 5))], at(11, 0)));
        assert!(proves([&stamp(at(i64::MIN, 5))], at(11, 0)));
    }

    #[test]
    fn a_directory_went_back_by_either_stamp() {
        let old = stamp(at(10, 5));
        let with = |mtime, ctime| DirStamp { mtime, ctime, ..old };
        let back = |new: &DirStamp| went_back(Some(&old), Some(new), at(20, 0));
        assert!(back(&with(at(10, 4), at(11, 0))));
        // Its mtime was set to what it was in the backup, or to the day of the restore; the inode's own stamp is older.
        assert!(back(&with(at(10, 5), at(9, 0))));
        assert!(back(&with(at(12, 0), at(10, 4))));
        assert!(!back(&with(at(10, 5), at(10, 5))));
        assert!(!went_back(None, Some(&old), at(20, 0)) && !went_back(Some(&old), None, at(20, 0)));
    }

    #[test]
    fn a_recorded_stamp_of_the_future_tells_of_no_backup() {
        let old = stamp(at(100, 5));
        let later = DirStamp { mtime: at(50, 0), ctime: at(50, 0), ..old };
        let back = |old: &DirStamp, new: &DirStamp, moment| went_back(Some(old), Some(new), moment);
        assert!(!back(&old, &later, at(60, 0)));
        assert!(!back(&old, &DirStamp { dev: 2, ..later }, at(60, 0)), "after a reboot");
        // The clock has passed it, or only one of the two is of the future.
        assert!(back(&old, &later, at(100, 5)));
        assert!(back(&DirStamp { mtime: at(55, 0), ..old }, &later, at(60, 0)));
        assert!(back(&DirStamp { ctime: at(55, 0), ..old }, &later, at(60, 0)));
        // Another directory lies in its place, or a peer noted that it was put back.
        assert!(back(&old, &DirStamp { ino: 2, ..later }, at(60, 0)));
        assert!(back(&old, &DirStamp { btime: Some(at(49, 0)), ..later }, at(60, 0)));
        assert!(back(&DirStamp { mtime: NEWER_THAN_ANY, ..old }, &later, at(60, 0)));
    }

    #[test]
    fn a_look_of_long_ago_or_of_the_future_is_due() {
        let due =
            |folder: &str, last, now| look_is_due(&Folder::parse(folder.as_bytes()).expect("a folder"), last, now);
        assert!(due("a", None, at(5, 0)));
        assert!(due("a", Some(at(6, 0)), at(5, 0)));
        assert!(!due("a", Some(at(5, 0)), at(5, 0)));
        // Each at its own time in the second half of six hours.
        let all: Vec<String> = (0..200).map(|n| format!("folder-{n}")).collect();
        let at_age = |age: i64| all.iter().filter(|folder| due(folder, Some(at(5, 0)), at(5 + age, 0))).count();
        assert_eq!((at_age(3 * 3600), at_age(6 * 3600)), (0, 200));
        for quarter in 0..12 {
            let (before, after) = (at_age(3 * 3600 + quarter * 900), at_age(3 * 3600 + (quarter + 1) * 900));
            assert!((5..40).contains(&(after - before)), "{quarter}: {before} {after}");
        }
    }
}
