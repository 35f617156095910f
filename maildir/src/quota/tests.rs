//! The decision by a table, and what a run spends on a real disk.

use std::path::Path;

use super::*;
use crate::fs::Disk;
use crate::home::Access;

const GIB: u64 = 1 << 30;

#[test]
fn limits_are_asked_in_order_and_each_by_itself() {
    let caps = Caps { keep_free: Some(Share::Bytes(100)), max_message: Some(50), run: Some(200), day: None };
    let asked = |message, more, run| Asked { message, more, run };
    let space = |free| Some(Space { all: 1000, free });
    for (caps, asked, space, is) in [
        (caps, asked(50, 100, 100), space(200), Ok(())),
        (caps, asked(51, 100, 100), space(200), Err(Over::Message(50))),
        (caps, asked(50, 101, 100), space(900), Err(Over::Run(200))),
        (caps, asked(50, 100, 0), space(199), Err(Over::Room(100))),
        (caps, asked(50, 100, 0), None, Ok(())),
        (caps, asked(u64::MAX, u64::MAX, u64::MAX), space(u64::MAX), Err(Over::Message(50))),
        (Caps { max_message: None, ..caps }, asked(u64::MAX, u64::MAX, u64::MAX), space(900), Err(Over::Run(200))),
        (Caps { keep_free: Some(Share::Percent(20)), ..caps }, asked(1, 1, 0), space(200), Err(Over::Room(200))),
        (Caps { keep_free: None, ..caps }, asked(1, 1, 0), space(10), Err(Over::Room(10))),
        (Caps { keep_free: None, ..caps }, asked(1, 1, 0), space(11), Ok(())),
        (Caps::NONE, asked(u64::MAX, u64::MAX, u64::MAX), space(0), Ok(())),
    ] {
        assert_eq!(caps.judge(asked, space), is, "{caps:?} {asked:?} {space:?}");
    }
    assert_eq!(Caps::default().keeps(4096 * GIB), GIB, "1 GiB at most");
}

#[test]
fn a_file_costs_whole_blocks() {
    for (size, cost) in [(0, 4096), (1, 4096), (4096, 4096), (4097, 8192), (u64::MAX, u64::MAX)] {
        assert_eq!(on_disk(size), cost, "{size}");
    }
}

fn dir(path: &Path) -> <Disk as Fs>::Dir {
    Disk.open_root(path).expect("opens")
}

#[test]
fn bytes_beyond_those_announced_are_paid_for_and_what_did_not_come_is_given_back() {
    let temp = tempfile::tempdir().expect("temp");
    let dir = dir(temp.path());
    let quota = Quota::of(Caps { run: Some(5 * 4096), max_message: Some(20_000), ..Caps::NONE }, None);
    let over_run = |asked: Result<Permit<Disk>, Denied>| matches!(asked, Err(Denied::Over(Over::Run(_))));
    let mut one = quota.permit(&Disk, &dir, 10).expect("a block");
    one.write(&Disk, &dir, 10).expect("announced");
    one.write(&Disk, &dir, 4087).expect("another block");
    assert!(matches!(one.write(&Disk, &dir, 16_384), Err(Denied::Over(Over::Message(20_000)))));
    let two = quota.permit(&Disk, &dir, 3 * 4096).expect("the other three");
    assert!(over_run(quota.permit(&Disk, &dir, 0)));
    assert!(matches!(one.write(&Disk, &dir, 4096), Err(Denied::Over(Over::Run(_)))), "whoever writes it");
    drop(two);
    assert!(matches!(quota.folders(&Disk, &dir, 1), Err(Denied::Over(Over::Run(_)))), "a folder has four");
    assert!(over_run(quota.permit(&Disk, &dir, 3 * 4096)), "an empty file has one");
    drop(quota.permit(&Disk, &dir, 2 * 4096).expect("what did not come is free again"));
}

#[test]
fn a_days_bytes_outlive_the_run_and_what_was_not_needed_is_given_back() {
    let temp = tempfile::tempdir().expect("temp");
    let home = Home::open(Arc::new(Disk), temp.path(), Access::ReadWrite).expect("opens");
    home.keep_age().expect("notes");
    let dir = dir(temp.path());
    let caps = Caps { day: Some(100 * 4096), ..Caps::NONE };
    let run = || Quota::new(caps, &home, Whose::Server(None));
    let file = temp.path().join("brought.server");
    let counted = || {
        let text = std::fs::read_to_string(&file).expect("is kept");
        text.lines()
            .skip(1)
            .map(|line| line.split_once(' ').expect("two").1.parse::<u64>().expect("a number"))
            .sum::<u64>()
    };
    let first = run();
    first.permit(&Disk, &dir, 4096).expect("fits").write(&Disk, &dir, 4096).expect("fits");
    assert!(counted() > 4096, "taken before it is needed");
    drop(first);
    assert_eq!(counted(), 4096);
    assert!(matches!(run().permit(&Disk, &dir, 99 * 4096 + 1), Err(Denied::Over(Over::Day { .. }))));
    let last = run();
    last.permit(&Disk, &dir, 99 * 4096).expect("all that is left").write(&Disk, &dir, 99 * 4096).expect("paid for");
    assert!(matches!(run().permit(&Disk, &dir, 0), Err(Denied::Over(Over::Day { .. }))));
    drop(last);
    // Another one's day is its own.
    let key = crate::home::Label::parse(b"laptop").expect("a label");
    assert!(Quota::new(caps, &home, Whose::Server(Some(&key))).permit(&Disk, &dir, 4096).is_ok());
    // Nobody gets a day back by damaging the file.
    std::fs::write(&file, "junk").expect("writes");
    assert!(matches!(run().permit(&Disk, &dir, 0), Err(Denied::Over(Over::Day { .. }))));
}
