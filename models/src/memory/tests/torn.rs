//! Which bytes, stamps and modes a crash leaves of a file, and what a failed sync means for them.

use std::collections::BTreeSet;
use std::io::Write as _;

use smd_maildir::fs::Fs as _;
use smd_protocol::delta::Mtime;

use super::{crashes, disk, errno, worst};
use crate::memory::{Class, EIO, Fault, How, Memory};

fn bytes(memory: &Memory) -> Vec<u8> {
    memory.by_hand().read_file("/d/a").expect("reads").to_vec()
}

fn set<const N: usize>(all: [&[u8]; N]) -> BTreeSet<Vec<u8>> {
    all.iter().map(|bytes| bytes.to_vec()).collect()
}

#[test]
fn bytes_that_were_not_synced_may_be_there_cut_zero_or_gone() {
    let (memory, dir) = disk();
    memory.create(&dir, b"a").expect("creates").write_all(b"abc").expect("writes");
    memory.sync_dir(&dir).expect("syncs");
    let all = set([b"abc", b"", b"a", b"ab", b"ab\0", b"a\0\0", b"\0\0\0"]);
    assert_eq!(crashes(&memory, bytes), all);
    assert_eq!(bytes(&worst(&memory)), b"");
}

#[test]
fn what_was_synced_stays_when_more_is_appended() {
    let (memory, dir) = disk();
    let mut file = memory.create(&dir, b"a").expect("creates");
    file.write_all(b"abc").expect("writes");
    memory.sync_file(&file).expect("syncs");
    memory.sync_dir(&dir).expect("syncs");
    assert_eq!(crashes(&memory, bytes), set([b"abc"]));
    memory.append(&dir, b"a").expect("opens").write_all(b"de").expect("writes");
    assert_eq!(crashes(&memory, bytes), set([b"abc", b"abcd", b"abcde", b"abcd\0", b"abc\0\0"]));
    assert_eq!(bytes(&worst(&memory)), b"abc");
}

#[test]
fn a_cut_that_was_not_synced_is_done_or_not() {
    let (memory, dir) = disk();
    memory.by_hand().write_file("/d/a", "abc", None, true).expect("writes");
    let file = memory.append(&dir, b"a").expect("opens");
    memory.truncate(&file, 1).expect("cuts");
    assert_eq!(crashes(&memory, bytes), set([b"abc", b"a"]));
    memory.sync_file(&memory.open(&dir, b"a").expect("opens")).expect("syncs");
    assert_eq!(crashes(&memory, bytes), set([b"a"]));
}

#[test]
fn a_synced_file_keeps_its_mtime_and_mode_but_not_its_name() {
    let (memory, dir) = disk();
    let stamp = Mtime { sec: 5, nsec: 6 };
    let look = |memory: &Memory| memory.by_hand().stat("/d/a").map(|stat| (stat.mtime == stamp, stat.mode)).ok();
    let file = memory.create(&dir, b"a").expect("creates");
    memory.sync_dir(&dir).expect("syncs");
    memory.set_mtime(&file, stamp).expect("sets");
    memory.set_mode(&file, 0o640).expect("sets");
    let all = [false, true].into_iter().flat_map(|set| [Some((set, 0o600)), Some((set, 0o640))]);
    assert_eq!(crashes(&memory, look), all.collect());
    memory.sync_file(&memory.open(&dir, b"a").expect("opens")).expect("syncs");
    assert_eq!(crashes(&memory, look), BTreeSet::from([Some((true, 0o640))]));
    memory.by_hand().rename("/d/a", "/d/b").expect("renames");
    assert!(crashes(&memory, look).contains(&None));
}

#[test]
fn after_a_failed_sync_a_good_one_makes_nothing_durable() {
    let (memory, dir) = disk();
    let mut file = memory.create(&dir, b"a").expect("creates");
    file.write_all(b"abc").expect("writes");
    memory.sync_dir(&dir).expect("syncs");
    memory.arm(Fault::new(1, EIO, How::Once).only(Class::Syncs));
    assert_eq!(errno(memory.sync_file(&file)), EIO);
    memory.sync_file(&file).expect("says that all is well");
    memory.sync_fs(&dir).expect("says that all is well");
    assert_eq!(bytes(&memory), b"abc");
    assert_eq!(bytes(&worst(&memory)), b"");
    memory.append(&dir, b"a").expect("opens").write_all(b"de").expect("writes");
    memory.sync_fs(&dir).expect("syncs");
    assert_eq!(bytes(&worst(&memory)), b"\0\0\0de", "only what was written again is durable");
}

#[test]
fn what_is_written_again_after_a_failed_sync_is_durable_with_the_next() {
    let (memory, dir) = disk();
    memory.by_hand().write_file("/d/a", "old", None, true).expect("writes");
    memory.by_hand().write_file("/d/a", "new", None, false).expect("writes");
    memory.arm(Fault::new(1, EIO, How::Once).only(Class::Syncs));
    assert_eq!(errno(memory.sync_fs(&dir)), EIO);
    memory.sync_fs(&dir).expect("says that all is well");
    assert_eq!(bytes(&worst(&memory)), b"old");
    memory.by_hand().write_file("/d/a", "new", None, true).expect("writes");
    assert_eq!(bytes(&worst(&memory)), b"new");
}
