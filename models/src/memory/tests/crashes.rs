//! Which names a crash leaves.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use smd_maildir::fs::{Fs as _, Rename};

use super::{crashes, disk, errno, files, open};
use crate::memory::{EIO, Grain, Memory, Settings};
use smd_tests::rng::Rng;

fn sets<const N: usize>(all: [&[&str]; N]) -> BTreeSet<Vec<String>> {
    all.iter().map(|set| set.iter().map(|path| (*path).to_owned()).collect()).collect()
}

#[test]
fn a_crash_keeps_any_changes_with_what_they_build_on() {
    let (memory, dir) = disk();
    memory.by_hand().write_file("/d/a", "1", None, true).expect("writes");
    memory.rename(&dir, b"a", &dir, b"b", Rename::NoReplace).expect("renames");
    memory.link(&dir, b"b", &dir, b"c").expect("links");
    memory.rename(&dir, b"c", &dir, b"e", Rename::NoReplace).expect("renames");
    let all = sets([&["d/a"], &["d/b"], &["d/a", "d/c"], &["d/b", "d/c"], &["d/a", "d/e"], &["d/b", "d/e"]]);
    assert_eq!(crashes(&memory, files), all);
    memory.crash_worst();
    assert_eq!(files(&memory), ["d/a"]);
}

#[test]
fn after_a_crash_all_is_durable_and_a_synced_directory_keeps_its_names() {
    let (memory, dir) = disk();
    memory.create(&dir, b"a").expect("creates");
    memory.sync_dir(&dir).expect("syncs");
    memory.create(&dir, b"b").expect("creates");
    assert_eq!(crashes(&memory, files), sets([&["d/a"], &["d/a", "d/b"]]));
    memory.sync_fs(&dir).expect("syncs");
    assert_eq!(crashes(&memory, files), sets([&["d/a", "d/b"]]));
    let left = crashes(&memory, |memory| {
        memory.crash_worst();
        files(memory)
    });
    assert_eq!(left, sets([&["d/a", "d/b"]]));
}

#[test]
fn a_rename_between_directories_is_one_change_for_both() {
    let (memory, dir) = disk();
    let hand = memory.by_hand();
    hand.mkdir("/e").expect("makes");
    hand.write_file("/d/m", "1", None, true).expect("writes");
    hand.sync();
    hand.rename("/d/m", "/e/n").expect("renames");
    assert_eq!(crashes(&memory, files), sets([&["d/m"], &["e/n"]]));
    let saved = memory.snapshot();
    memory.sync_dir(&dir).expect("syncs");
    assert_eq!(crashes(&memory, files), sets([&["e/n"]]));
    memory.restore(&saved);
    memory.sync_dir(&open(&memory, "/e")).expect("syncs");
    assert_eq!(crashes(&memory, files), sets([&["e/n"]]));
}

#[test]
fn an_exchange_and_a_replacement_are_done_or_not() {
    let (memory, dir) = disk();
    memory.by_hand().write_file("/d/a", "1", None, true).expect("writes");
    memory.by_hand().write_file("/d/b", "2", None, true).expect("writes");
    memory.rename(&dir, b"a", &dir, b"b", Rename::Exchange).expect("swaps");
    memory.rename(&dir, b"a", &dir, b"b", Rename::Replace).expect("replaces");
    let bytes = |memory: &Memory| {
        ["/d/a", "/d/b"].map(|path| memory.by_hand().read_file(path).map(|bytes| bytes.to_vec()).unwrap_or_default())
    };
    let expected = [[b"1".to_vec(), b"2".to_vec()], [b"2".to_vec(), b"1".to_vec()], [Vec::new(), b"2".to_vec()]];
    assert_eq!(crashes(&memory, bytes), BTreeSet::from(expected));
}

#[test]
fn what_was_moved_out_of_a_removed_directory_is_never_lost() {
    let (memory, _) = disk();
    let hand = memory.by_hand();
    hand.mkdir("/e").expect("makes");
    hand.write_file("/d/m", "1", None, true).expect("writes");
    hand.sync();
    hand.rename("/d/m", "/e/m").expect("renames");
    hand.rmdir("/d").expect("removes");
    assert_eq!(crashes(&memory, files), sets([&["d/m"], &["e/m"]]));
    memory.sync_dir(&open(&memory, "/")).expect("syncs");
    assert_eq!(crashes(&memory, files), sets([&["e/m"]]));
}

#[test]
fn a_new_directory_whose_parent_was_not_synced_may_be_lost_unless_parents_come_first() {
    for parents_first in [false, true] {
        let (memory, dir) = disk();
        memory.set(|settings| settings.parents_first = parents_first);
        memory.by_hand().write_file("/d/m", "1", None, true).expect("writes");
        memory.make_dir(&dir, b"n").expect("makes");
        let new = memory.open_dir(&dir, b"n").expect("opens");
        memory.rename(&dir, b"m", &new, b"m", Rename::NoReplace).expect("renames");
        let lost = crashes(&memory, |memory| files(memory).is_empty());
        assert_eq!(lost.contains(&true), !parents_first);
        memory.sync_dir(&new).expect("syncs");
        memory.crash_worst();
        assert_eq!(files(&memory).is_empty(), !parents_first);
    }
}

#[test]
fn a_directory_that_went_below_another_and_back_makes_no_ring() {
    let (memory, _) = disk();
    let hand = memory.by_hand();
    hand.mkdir("/e").expect("makes");
    hand.write_file("/d/1", "1", None, true).expect("writes");
    hand.write_file("/e/2", "2", None, true).expect("writes");
    hand.sync();
    hand.rename("/d", "/e/d").expect("renames");
    hand.rename("/e/d", "/d").expect("renames");
    hand.rename("/e", "/d/e").expect("renames");
    assert_eq!(crashes(&memory, |memory| files(memory).len()), BTreeSet::from([2]));
}

#[test]
fn a_number_is_reused_at_once_or_never_and_is_no_crash_given_twice() {
    for reuse in [false, true] {
        let memory = Memory::with(3, Settings { reuse, ..Settings::default() });
        let hand = memory.by_hand();
        hand.write_file("/a", "1", None, true).expect("writes");
        let before = hand.stat("/a").expect("looks").ino;
        hand.unlink("/a").expect("removes");
        hand.write_file("/b", "2", None, false).expect("writes");
        assert_eq!(hand.stat("/b").expect("looks").ino == before, reuse);
        let both = crashes(&memory, |memory| files(memory).len() == 2);
        assert_eq!(both.contains(&true), !reuse);
    }
}

#[test]
fn a_number_stays_taken_while_the_file_is_open() {
    let memory = Memory::with(3, Settings { reuse: true, ..Settings::default() });
    let top = open(&memory, "/");
    let mut held = memory.create(&top, b"a").expect("creates");
    held.write_all(b"here").expect("writes");
    let number = memory.stat_file(&held).expect("looks").ino;
    drop(held);
    let mut held = memory.open(&top, b"a").expect("opens");
    memory.unlink(&top, b"a").expect("removes");
    let other = memory.create(&top, b"b").expect("creates");
    assert_ne!(memory.stat_file(&other).expect("looks").ino, number);
    let mut bytes = String::new();
    held.read_to_string(&mut bytes).expect("reads");
    assert_eq!((&*bytes, memory.stat_file(&held).expect("looks").links), ("here", 0));
    drop(held);
    memory.create(&top, b"c").expect("creates");
    assert_eq!(memory.stat(&top, b"c").expect("looks").ino, number);
}

#[test]
fn stamps_of_directories_and_names_go_back_with_the_names() {
    let (memory, dir) = disk();
    memory.by_hand().write_file("/d/a", "1", None, true).expect("writes");
    let look = |memory: &Memory| {
        let stat = |path| memory.by_hand().stat(path).map(|stat| (stat.mtime, stat.ctime)).ok();
        [stat("/d"), stat("/d/a"), stat("/d/b")]
    };
    let before = look(&memory);
    memory.rename(&dir, b"a", &dir, b"b", Rename::NoReplace).expect("renames");
    let after = look(&memory);
    assert_ne!(before[0], after[0]);
    assert_eq!(crashes(&memory, look), BTreeSet::from([before, after]));
}

#[test]
fn what_is_durable_has_its_stamps_whatever_is_taken_back() {
    let (memory, dir) = disk();
    memory.by_hand().mkdir("/e").expect("makes");
    memory.by_hand().write_file("/d/m", "1", None, true).expect("writes");
    memory.by_hand().sync();
    let other = open(&memory, "/e");
    memory.create(&other, b"x").expect("creates");
    memory.rename(&dir, b"m", &other, b"m", Rename::NoReplace).expect("renames");
    let stamp = memory.stat_dir(&other).expect("looks").mtime;
    memory.sync_dir(&dir).expect("syncs");
    memory.crash_worst();
    assert_eq!(files(&memory), ["e/m"]);
    assert_eq!(memory.by_hand().stat("/e").expect("looks").mtime, stamp);
}

#[test]
fn no_handle_and_no_lock_outlives_a_crash_or_the_processes() {
    let ends: [fn(&Memory); 3] =
        [|memory| memory.crash(&mut Rng::from_env_or(1)), Memory::crash_worst, Memory::end_processes];
    for end in ends {
        let (memory, dir) = disk();
        let mut file = memory.create(&dir, b"a").expect("creates");
        let guard = memory.try_lock(&dir).expect("locks").expect("free");
        end(&memory);
        assert_eq!(errno(file.write(b"x")), EIO);
        assert_eq!(errno(memory.stat_dir(&dir)), EIO);
        assert_eq!(errno(memory.rename(&dir, b"a", &dir, b"b", Rename::NoReplace)), EIO);
        let dir = open(&memory, "/d");
        let held = memory.try_lock(&dir).expect("locks").expect("free");
        drop((guard, file));
        assert!(memory.try_lock(&dir).expect("asks").is_none(), "a dead guard let go of a living lock");
        drop(held);
    }
}

#[test]
fn a_lock_is_held_until_its_guard_and_all_its_clones_are_dropped() {
    let (memory, dir) = disk();
    let held = memory.try_lock(&dir).expect("locks").expect("free");
    let clone = held.clone();
    drop(held);
    assert!(memory.try_lock(&open(&memory, "/d")).expect("asks").is_none());
    drop(clone);
    assert!(memory.try_lock(&dir).expect("asks").is_some());
}

#[test]
fn a_restored_disk_goes_on_as_it_did_and_equal_disks_have_equal_fingerprints() {
    let (memory, dir) = disk();
    memory.create(&dir, b"a").expect("creates");
    let saved = memory.snapshot();
    let rng = Rng::from_env_or(5);
    let go_on = || {
        let dir = open(&memory, "/d");
        memory.create(&dir, b"b").expect("creates").write_all(b"x").expect("writes");
        memory.crash(&mut rng.fork(1));
        (memory.by_hand().list("/").expect("lists"), memory.time())
    };
    let once = go_on();
    let print = memory.fingerprint();
    memory.restore(&saved);
    assert_eq!(go_on(), once);
    assert_eq!(memory.fingerprint(), print);
    memory.by_hand().write_file("/d/z", "", None, true).expect("writes");
    assert_ne!(memory.fingerprint(), print);
}

#[test]
fn stamps_are_as_coarse_as_the_disk() {
    let stamps = |grain, pause: u64| {
        let memory = Memory::with(9, Settings { grain, ..Settings::default() });
        let hand = memory.by_hand();
        memory.set(|settings| settings.grain = grain);
        hand.write_file("/a", "", None, true).expect("writes");
        memory.pause(pause);
        hand.write_file("/b", "", None, true).expect("writes");
        let stat = |path| hand.stat(path).expect("looks").mtime;
        (stat("/a") == stat("/b"), stat("/a").nsec % 4_000_000 == 0, stat("/a").nsec == 0, stat("/b").sec % 2 == 0)
    };
    assert_eq!(stamps(Grain::Nano, 0), (false, false, false, false));
    assert!(stamps(Grain::Tick, 4).1);
    assert!(!stamps(Grain::Tick, 4).0);
    assert!(stamps(Grain::Second, 0).2);
    assert!(!stamps(Grain::Second, 1_000).0);
    assert!(stamps(Grain::TwoSeconds, 3_000).3);
    assert!(stamps(Grain::Frozen, 1_000_000).0);
}
