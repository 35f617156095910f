//! A key on a real disk: its log, its allowance, and what its owner hears.

use std::path::Path;
use std::sync::Arc;

use smd_protocol::{Content, Folder, Name, Uniq};

use super::*;
use crate::fs::Disk;
use crate::home::{Age, DAY};

const ROOT: &[u8] = b"/home/u/Mail";

fn label(text: &str) -> Label {
    Label::parse(text.as_bytes()).expect("a label")
}

fn key(path: &Path, of: &str) -> Key<Disk> {
    Key::open(&Home::open(Arc::new(Disk), path, Access::ReadWrite).expect("opens"), &label(of)).expect("opens")
}

fn at(now: i64) -> Age {
    Age { now, began: 0 }
}

fn line(age: i64, what: What) -> Line {
    Line { age, time: age + 1_000, from: b"192.0.2.1 5 192.0.2.2 22".to_vec(), root: ROOT.to_vec(), what }
}

fn run(age: i64, limit: u64) -> Line {
    line(age, What::Run { limit: Some(limit), messages: limit * 10, burials: "me-1".to_owned() })
}

fn removed(age: i64, uniq: &str, paid: Paid) -> Line {
    let name = Name::new(&Folder::root(), &Uniq::parse(uniq.as_bytes()).expect("uniq"));
    line(age, What::Removed { how: How::Deleted, paid, name, content: Content::of(uniq.as_bytes()) })
}

/// The log with these lines, as another session reads it.
fn written(path: &Path, lines: &[Line], now: Age) -> Lines {
    let one = key(path, "laptop");
    one.write_down(&one.log(now).expect("reads"), lines).expect("writes");
    key(path, "laptop").log(now).expect("reads")
}

#[test]
fn what_a_key_removed_is_there_after_a_restart_and_gone_after_its_days() {
    let temp = tempfile::tempdir().expect("temp");
    assert!(
        Key::labels(&Home::open(Arc::new(Disk), temp.path(), Access::ReadOnly).expect("opens"))
            .expect("lists")
            .is_empty()
    );
    let lines = [run(10, 20), removed(10, "a", Paid::Budget), removed(11, "b", Paid::Free)];
    let log = written(temp.path(), &lines, at(12));
    assert_eq!(log.iter().cloned().collect::<Vec<_>>(), lines);
    assert_eq!(log.counted(at(12), ROOT).len(), 1);
    assert!(log.counted(at(12), b"/another").is_empty() && log.counted(at(12 + DAY), ROOT).is_empty());
    assert_eq!(log.burials(), ["me-1".to_owned()].into());
    // After nine days they are written away by the next line, and nobody reads them before.
    let later = at(9 * DAY);
    assert_eq!(key(temp.path(), "laptop").log(later).expect("reads").iter().count(), 0);
    written(temp.path(), &[run(9 * DAY, 20)], later);
    let text = std::fs::read_to_string(temp.path().join("keys/laptop/log")).expect("reads");
    assert_eq!(text.lines().count(), 1, "{text}");
    let labels = Key::labels(&Home::open(Arc::new(Disk), temp.path(), Access::ReadOnly).expect("opens"));
    assert_eq!(labels.expect("lists"), [label("laptop")]);
}

#[test]
fn a_torn_line_swallows_neither_the_one_before_nor_the_one_after() {
    let temp = tempfile::tempdir().expect("temp");
    written(temp.path(), &[removed(1, "a", Paid::Budget), removed(1, "b", Paid::Budget)], at(2));
    let file = temp.path().join("keys/laptop/log");
    let text = std::fs::read(&file).expect("reads");
    std::fs::write(&file, &text[..text.len() - 60]).expect("writes");
    let log = written(temp.path(), &[removed(2, "c", Paid::Budget)], at(2));
    let names: Vec<_> = log.counted(at(2), ROOT).into_iter().map(|(name, _)| name.uniq.to_string()).collect();
    assert!(names.len() == 2 && names.contains(&"a".to_owned()) && names.contains(&"c".to_owned()), "{names:?}");
}

#[test]
fn an_allowance_is_of_one_key_for_its_time_and_is_used_up() {
    let temp = tempfile::tempdir().expect("temp");
    let (laptop, phone) = (key(temp.path(), "laptop"), key(temp.path(), "phone"));
    phone.allow(&Allowance::beginning(5, at(100), 60)).expect("writes");
    assert_eq!(laptop.allowance().expect("reads"), None);
    laptop.allow(&Allowance::beginning(2, at(100), 60)).expect("writes");
    let allowance = key(temp.path(), "laptop").allowance().expect("reads").expect("is there");
    let used = written(
        temp.path(),
        &[removed(99, "a", Paid::Allowance), removed(101, "b", Paid::Allowance), removed(101, "c", Paid::Budget)],
        at(102),
    );
    for (now, left) in [(99, 0), (100, 1), (159, 1), (160, 0)] {
        assert_eq!(allowance.left(&used, at(now)), left, "{now}");
    }
    std::fs::write(temp.path().join("keys/laptop/allowance"), "smd-allowance 1\nmessages many\n").expect("writes");
    assert_eq!(laptop.allowance().expect("reads"), None);
}

#[test]
fn an_owner_hears_of_more_than_a_tenth_of_a_day_and_of_the_end_and_once() {
    let temp = tempfile::tempdir().expect("temp");
    let mut lines = vec![run(1, 50)];
    lines.extend((0..5).map(|n| removed(2, &format!("a{n}"), Paid::Budget)));
    let log = written(temp.path(), &lines, at(10));
    assert_eq!(fact(&log, Heard::default()), None, "a tenth is not more than a tenth");
    // Five of another day are none of this day's.
    let log = written(temp.path(), &[removed(3 + DAY, "b", Paid::Budget)], at(3 + DAY));
    assert_eq!(fact(&log, Heard::default()), None);
    let more: Vec<Line> = (0..5).map(|n| removed(4 + DAY, &format!("c{n}"), Paid::Allowance)).collect();
    let log = written(temp.path(), &more, at(4 + DAY));
    let told = fact(&log, Heard::default()).expect("six of fifty");
    assert_eq!((told.since, told.removed, told.is_end), (1_002, 11, false));
    key(temp.path(), "laptop").note_heard(told.heard).expect("notes");
    let told = key(temp.path(), "laptop").heard().expect("reads");
    assert_eq!(fact(&log, told), None);
    // In the same second as the last that was told.
    let log = written(
        temp.path(),
        &[removed(4 + DAY, "d", Paid::Budget), line(4 + DAY, What::End { refused: 7 })],
        at(4 + DAY),
    );
    let end = fact(&log, told).expect("the end");
    assert_eq!((end.removed, end.is_end), (1, true));
    assert_eq!(fact(&log, end.heard), None);
}
