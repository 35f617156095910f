//! Listings while another hand is at work.

use std::collections::BTreeSet;

use smd_maildir::fs::{Fs as _, Kind};

use super::{disk, errno, open};
use crate::memory::{Class, EIO, Fault, How, Memory};

fn list(memory: &Memory) -> Vec<String> {
    let mut names = Vec::new();
    let dir = open(memory, "/d");
    memory.list(&dir, &mut |name, _, _| names.push(String::from_utf8_lossy(name).into_owned())).expect("lists");
    names
}

fn with_files(names: &[&str]) -> Memory {
    let (memory, _) = disk();
    for name in names {
        memory.by_hand().write_file(format!("/d/{name}"), "", None, true).expect("writes");
    }
    memory
}

#[test]
fn a_listing_gives_every_name_once_in_any_order() {
    let memory = with_files(&["a", "b", "c"]);
    let orders: BTreeSet<Vec<String>> = (0..200).map(|_| list(&memory)).collect();
    assert_eq!(orders.len(), 6);
    assert!(orders.iter().all(|order| order.iter().collect::<BTreeSet<_>>().len() == 3));
}

#[test]
fn a_file_renamed_while_listed_may_be_missed_or_given_twice() {
    let memory = with_files(&["a", "b"]);
    memory.while_listing(|memory, path| {
        assert_eq!(path, b"/d");
        let hand = memory.by_hand();
        let (from, to) = if hand.exists("/d/a") { ("/d/a", "/d/A") } else { ("/d/A", "/d/a") };
        hand.rename(from, to).expect("renames");
    });
    let counts: BTreeSet<usize> =
        (0..200).map(|_| list(&memory).iter().filter(|name| name.eq_ignore_ascii_case("a")).count()).collect();
    assert_eq!(counts, BTreeSet::from([0, 1, 2]));
    memory.alone();
    assert_eq!(list(&memory).len(), 2);
}

#[test]
fn a_listing_that_fails_may_give_some_names_first() {
    let memory = with_files(&["a", "b", "c"]);
    let dir = open(&memory, "/d");
    memory.arm(Fault::new(1, EIO, How::Forever).only(Class::Lists));
    let given: BTreeSet<usize> = (0..200)
        .map(|_| {
            let mut count = 0;
            assert_eq!(errno(memory.list(&dir, &mut |_, _, _| count += 1)), EIO);
            count
        })
        .collect();
    assert_eq!(given, BTreeSet::from([0, 1, 2, 3]));
}

#[test]
fn kinds_are_left_out_where_the_disk_does_not_tell() {
    let memory = with_files(&["a"]);
    memory.set(|settings| settings.unknown_kinds = true);
    let mut kinds = Vec::new();
    memory.list(&open(&memory, "/d"), &mut |_, kind, _| kinds.push(kind)).expect("lists");
    assert_eq!(kinds, [Kind::Unknown]);
}

#[test]
fn a_machine_that_dies_while_listing_says_so() {
    let memory = with_files(&["a"]);
    memory.while_listing(|memory, _| memory.kill());
    assert_eq!(errno(memory.list(&open(&memory, "/d"), &mut |_, _, _| ())), EIO);
}
