//! The grave by itself, on a real disk.

use std::path::Path;
use std::sync::Arc;

use smd_protocol::{Name, Place, Uniq};

use super::*;
use crate::fs::Disk;
use crate::home::DAY;

struct Yard {
    temp: tempfile::TempDir,
    root: Root<Disk>,
}

impl Yard {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("temp");
        for dir in ["mail/cur", "home"] {
            std::fs::create_dir_all(temp.path().join(dir)).expect("makes");
        }
        let root = Root::open(Arc::new(Disk), &temp.path().join("mail")).expect("opens");
        Self { temp, root }
    }

    fn path(&self, below: &str) -> std::path::PathBuf {
        self.temp.path().join(below)
    }

    fn grave(&self, home: bool) -> Grave<Disk> {
        let dir = Disk.open_root(&self.path("home")).expect("opens");
        Grave::open(&self.root, home.then_some((dir, "Mail%2Fx")), "2026.run/1")
    }

    fn bury(&self, grave: &Grave<Disk>, file: &str, bytes: &str) -> Ticket {
        let cur = Disk.open_root(&self.path("mail/cur")).expect("opens");
        std::fs::write(self.path("mail/cur").join(file), bytes).expect("writes");
        let name = Name::new(&smd_protocol::Folder::root(), &Uniq::parse(b"a").expect("uniq"));
        let record = record_of(Why::Deleted, &name, Place::Cur, file.as_bytes(), Content::of(bytes.as_bytes()));
        let ticket = grave.announce(vec![record]).expect("announces").remove(0);
        grave.take(&ticket, &cur, file.as_bytes()).expect("takes");
        ticket
    }
}

/// A clock that was never lost.
fn at(now: i64) -> Age {
    Age { now, began: 0 }
}

fn count(dir: &Path) -> usize {
    std::fs::read_dir(dir).map_or(0, Iterator::count)
}

#[test]
fn nothing_is_made_before_the_first_burial() {
    let yard = Yard::new();
    for home in [true, false] {
        let grave = yard.grave(home);
        assert!(grave.entries().expect("lists").is_empty() && grave.unsettled().expect("lists").is_empty());
        assert_eq!(grave.sweep(7, at(Disk.now().sec)).expect("sweeps"), Swept::default());
        grave.sync().expect("syncs");
        assert!(grave.announce(Vec::new()).expect("announces").is_empty());
    }
    assert_eq!((count(&yard.path("home")), count(&yard.path("mail"))), (0, 1));
}

#[test]
fn it_lies_in_the_home_where_that_is_on_the_same_file_system() {
    let yard = Yard::new();
    let grave = yard.grave(true);
    let ticket = yard.bury(&grave, "a:2,", "x");
    grave.keep(&ticket).expect("keeps");
    assert_eq!(count(&yard.path("home/grave/Mail%2Fx")), 2);
    assert_eq!(count(&yard.path("mail")), 1);
}

#[test]
fn it_lies_in_the_root_where_the_home_is_elsewhere() {
    let yard = Yard::new();
    // A file system that any Linux has mounted, and that is not the one of temporary files.
    let elsewhere = Disk.open_root(Path::new("/proc")).expect("opens");
    let grave = Grave::open(&yard.root, Some((elsewhere, "stem")), "run");
    let ticket = yard.bury(&grave, "a:2,", "x");
    grave.keep(&ticket).expect("keeps");
    assert_eq!(count(&yard.path("mail/..smd-grave")), 2);
}

#[test]
fn what_was_buried_is_listed_with_its_record_and_can_be_given_back() {
    let yard = Yard::new();
    let grave = yard.grave(true);
    let first = yard.bury(&grave, "a:2,S", "x");
    let entries = yard.grave(true).entries().expect("lists");
    assert_eq!((entries.len(), entries[0].state, entries[0].run.as_str()), (1, State::Taken, "2026_run_1"));
    let record = entries[0].record.as_ref().expect("indexed");
    assert_eq!((&record.file[..], record.content), (&b"a:2,S"[..], Some(Content::of(b"x"))));
    assert_eq!(yard.grave(true).unsettled().expect("lists"), entries);
    let cur = Disk.open_root(&yard.path("mail/cur")).expect("opens");
    std::fs::write(yard.path("mail/cur/a:2,S"), "other").expect("writes");
    assert_eq!(grave.give_back(&first, &cur, b"a:2,S").expect_err("taken").kind(), io::ErrorKind::AlreadyExists);
    grave.give_back(&first, &cur, b"b").expect("gives back");
    assert!(grave.entries().expect("lists").is_empty());
}

#[test]
fn runs_of_one_label_in_one_second_do_not_meet() {
    let yard = Yard::new();
    for n in 0..5 {
        let grave = yard.grave(true);
        grave.keep(&yard.bury(&grave, "a:2,", &n.to_string())).expect("keeps");
    }
    assert_eq!(yard.grave(true).entries().expect("lists").len(), 5);
}

#[test]
fn a_line_torn_by_a_crash_does_not_swallow_the_next() {
    let yard = Yard::new();
    yard.bury(&yard.grave(true), "a:2,", "x");
    let index = yard.path("home/grave/Mail%2Fx/index");
    let mut text = std::fs::read(&index).expect("reads");
    text.truncate(text.len() - 5);
    std::fs::write(&index, text).expect("writes");
    yard.bury(
        &Grave::open(&yard.root, Some((Disk.open_root(&yard.path("home")).expect("opens"), "Mail%2Fx")), "other"),
        "b:2,",
        "y",
    );
    let records: Vec<_> = yard.grave(true).entries().expect("lists").into_iter().map(|b| b.record.is_some()).collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records.iter().filter(|&&has| has).count(), 1);
}

#[test]
fn what_is_older_than_its_days_goes_with_its_line() {
    let yard = Yard::new();
    let grave = yard.grave(true);
    let (old, taken) = (yard.bury(&grave, "a:2,", "x"), yard.bury(&grave, "b:2,", "y"));
    grave.keep(&old).expect("keeps");
    let now = Disk.now().sec;
    let later = |days: i64| at(now + days * DAY + 60);
    assert_eq!(grave.sweep(7, later(6)).expect("sweeps").removed, 0);
    assert_eq!(grave.sweep(7, later(7)).expect("sweeps").removed, 1);
    // What nobody looked at is not ours to remove.
    let entries = grave.entries().expect("lists");
    assert_eq!(entries.iter().map(|b| &b.ticket).collect::<Vec<_>>(), [&taken]);
    let index = std::fs::read_to_string(yard.path("home/grave/Mail%2Fx/index")).expect("reads");
    assert_eq!(index.lines().count(), 1);
    yard.bury(&grave, "c:2,", "z");
    assert!(grave.entries().expect("lists").iter().all(|b| b.record.is_some()));
}

#[test]
fn a_grave_that_is_full_takes_nothing_more_and_gives_nothing_up() {
    let yard = Yard::new();
    let grave = yard.grave(false);
    grave.keep(&yard.bury(&grave, "a:2,", "of today")).expect("keeps");
    let old = |days: i64, number: u32| format!("{}.old.{number}.k", Disk.now().sec - days * DAY - 60);
    for (number, days) in [(1, 2), (2, 3), (3, 6)] {
        std::fs::write(yard.path("mail/..smd-grave").join(old(days, number)), "ten bytes.").expect("writes");
    }
    let name = Name::new(&smd_protocol::Folder::root(), &Uniq::parse(b"b").expect("uniq"));
    let record = |why| record_of(why, &name, Place::Cur, b"b:2,", Content::of(b"x"));
    let bounded = |max: u64| {
        let grave = yard.grave(false);
        grave.bound(Share::Bytes(max));
        grave
    };
    let full = bounded(38).announce(vec![record(Why::Deleted)]).expect_err("it is full").to_string();
    assert!(full.contains("GRAVE_MAX is 38") && full.contains("nothing in it is over its days"), "{full}");
    // A rename buries nothing.
    let renamed = Record { renamed: Some(Uniq::parse(b"c").expect("uniq")), ..record(Why::Renamed) };
    assert_eq!(bounded(38).announce(vec![renamed]).expect("is noted").len(), 1);
    // What this run buries counts.
    let grave = bounded(39);
    grave.keep(&yard.bury(&grave, "b:2,", "x")).expect("keeps");
    assert!(grave.announce(vec![record(Why::Deleted)]).is_err());
    assert_eq!(yard.grave(false).entries().expect("lists").len(), 5, "nothing went");
    let grave = yard.grave(false);
    grave.bound(Share::Percent(100));
    assert!(grave.announce(vec![record(Why::Deleted)]).is_ok());
}

#[test]
fn what_was_brought_back_is_noted_and_looked_at_once() {
    let yard = Yard::new();
    let grave = yard.grave(true);
    for name in ["a:2,", "b:2,"] {
        grave.keep(&yard.bury(&grave, name, name)).expect("keeps");
    }
    let mut seen = std::collections::HashSet::new();
    let resting = grave.resting(&mut seen).expect("lists");
    assert!(grave.resting(&mut seen).expect("lists").is_empty(), "each directory once");
    assert_eq!(resting[0].run(), resting[1].run());
    let cur = Disk.open_root(&yard.path("mail/cur")).expect("opens");
    resting[0].bring_back(&cur, b"a:2,").expect("brings back");
    Resting::note_back(&[&resting[0]]).expect("notes");
    let again = grave.resting(&mut std::collections::HashSet::new()).expect("lists");
    let mut back: Vec<(bool, bool)> = again.iter().map(|one| (one.back, one.stat().is_ok())).collect();
    back.sort_unstable();
    assert_eq!(back, [(false, true), (true, false)]);
    // A note may outlive its days in the index; nobody wants to hear of it then.
    let wall = Disk.now().sec;
    let clock = format!("smd-age-clock 1\nage {wall}\nboot -\nwall {wall}\nbegan 0\n");
    std::fs::write(yard.path("home/age-clock"), clock).expect("writes");
    let grave = yard.grave(true);
    let index = yard.path("home/grave/Mail%2Fx/index");
    let text = std::fs::read_to_string(&index).expect("reads");
    let long_ago = format!("{text}1000.old.0\tdeleted\t\tcur\tc:2,\t-\t-\t-\t-\n1000.old.0\tback\n");
    std::fs::write(&index, long_ago).expect("writes");
    assert_eq!(grave.resting(&mut std::collections::HashSet::new()).expect("lists").len(), 2);
}

#[test]
fn it_follows_a_symlink_of_the_person_where_a_rename_does() {
    let yard = Yard::new();
    std::fs::create_dir(yard.path("larger")).expect("makes");
    std::os::unix::fs::symlink("../larger", yard.path("home/grave")).expect("links");
    let grave = yard.grave(true);
    let ticket = yard.bury(&grave, "a:2,", "x");
    grave.keep(&ticket).expect("keeps");
    assert_eq!((count(&yard.path("larger/Mail%2Fx")), grave.entries().expect("lists").len()), (2, 1));
    // On a file system to which no message can be renamed, the root has a grave of its own.
    std::fs::remove_file(yard.path("home/grave")).expect("removes");
    std::os::unix::fs::symlink("/proc", yard.path("home/grave")).expect("links");
    let grave = yard.grave(true);
    let ticket = yard.bury(&grave, "b:2,", "y");
    grave.keep(&ticket).expect("keeps");
    assert_eq!(count(&yard.path("mail/..smd-grave")), 2);
    // What rests on a disk that is not mounted is not taken for nothing.
    std::fs::remove_file(yard.path("home/grave")).expect("removes");
    std::os::unix::fs::symlink("not/mounted", yard.path("home/grave")).expect("links");
    let error = yard.grave(true).entries().expect_err("it leads nowhere");
    assert!(error.to_string().contains("is its disk mounted?"), "{error}");
}

#[test]
fn what_rests_is_as_old_as_the_age_clock_says_whatever_the_wall_clock_said() {
    let yard = Yard::new();
    let boot = Disk.boot().expect("Linux tells");
    let noted = |age: i64, since: i64, wall: i64| {
        let text =
            format!("smd-age-clock 1\nage {age}\nboot {} {}\nwall {wall}\nbegan 0\n", boot.id, boot.seconds - since);
        std::fs::write(yard.path("home/age-clock"), text).expect("writes");
    };
    // The wall clock was ten days behind when this boot began; by the clock that counts, an hour went by since.
    noted(1_000_000, 3_600, Disk.now().sec - 10 * DAY);
    let grave = yard.grave(true);
    grave.keep(&yard.bury(&grave, "a:2,", "x")).expect("keeps");
    let age = grave.age().expect("reads").now;
    assert!((1_003_600..1_003_660).contains(&age), "{age}");
    let entries = grave.entries().expect("lists");
    assert_eq!((entries[0].age, entries[0].run.as_str()), (age, "2026_run_1"));
    assert!((entries[0].time - Disk.now().sec).abs() < 60, "a person is told the wall clock's time");
    for (later, swept) in [(0, 0), (7 * DAY, 0), (7 * DAY + 1, 1)] {
        noted(age + later, 0, 0);
        let grave = yard.grave(true);
        assert_eq!(
            grave.sweep(7, at(grave.age().expect("reads").now.min(age + later))).expect("sweeps").removed,
            swept
        );
    }
}

#[test]
fn what_rests_in_a_root_stays_when_the_clock_is_lost_and_the_wall_clock_is_weeks_ahead() {
    let yard = Yard::new();
    let elsewhere = Disk.open_root(Path::new("/proc")).expect("opens");
    let grave = Grave::open(&yard.root, Some((elsewhere, "stem")), "run");
    grave.keep(&yard.bury(&grave, "a:2,", "x")).expect("keeps");
    // Forty days ago by the clock that is lost, whatever went by since.
    let buried = yard.path("mail/..smd-grave").join(format!("{}.old.0.k", Disk.now().sec - 40 * DAY));
    std::fs::write(&buried, "mail").expect("writes");
    let grave = yard.grave(true);
    let age = grave.age().expect("reads");
    let swept = grave.sweep(7, age).expect("sweeps");
    assert_eq!(swept.removed, 0);
    assert!(buried.exists() && swept.newest.is_some_and(|newest| (newest - age.now).abs() < 60));
}
