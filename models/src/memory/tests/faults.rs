//! Calls that fail, that are the last, and that others come between.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use smd_maildir::fs::{Fs as _, Rename};

use super::{disk, errno, files, open, text};
use crate::memory::{Class, EIO, Fault, How, Memory, Settings};
use smd_tests::rng::Rng;

const ENOSPC: i32 = 28;
const EACCES: i32 = 13;

#[test]
fn the_kth_call_fails_without_effect_and_only_that() {
    let (memory, dir) = disk();
    let before = memory.calls();
    memory.arm(Fault::new(2, ENOSPC, How::Once));
    memory.make_dir(&dir, b"a").expect("the first");
    assert_eq!(errno(memory.make_dir(&dir, b"b")), ENOSPC);
    memory.make_dir(&dir, b"b").expect("had no effect before");
    assert_eq!(memory.calls() - before, 3);
}

#[test]
fn a_fault_counts_only_its_class_and_name_and_may_stay() {
    let (memory, dir) = disk();
    memory.arm(Fault::new(2, EIO, How::Forever).only(Class::Reads).about(b"bad"));
    let mut file = memory.create(&dir, b"bad one").expect("not a read");
    file.write_all(b"x").expect("not a read");
    memory.stat(&dir, b"bad one").expect("the first");
    assert_eq!(errno(memory.stat(&dir, b"bad one")), EIO);
    assert_eq!(errno(file.read(&mut [0; 1])), EIO);
    memory.stat_dir(&dir).expect("another name");
    memory.disarm();
    memory.stat(&dir, b"bad one").expect("no longer");
}

#[test]
fn a_late_fault_has_its_effect() {
    let (memory, dir) = disk();
    memory.arm(Fault::new(1, EIO, How::Once).late());
    assert_eq!(errno(memory.create(&dir, b"a")), EIO);
    assert!(memory.by_hand().exists("/d/a"));
}

#[test]
fn a_planned_crash_comes_before_or_after_the_effect_and_lasts_until_the_reboot() {
    for (fault, there) in [(Fault::crash_before(2), false), (Fault::crash_after(2), true)] {
        let (memory, dir) = disk();
        memory.create(&dir, b"a").expect("creates");
        memory.sync_fs(&dir).expect("syncs");
        memory.arm(fault);
        memory.stat(&dir, b"a").expect("the first");
        assert_eq!(errno(memory.rename(&dir, b"a", &dir, b"b", Rename::NoReplace)), EIO);
        assert!(memory.is_dead());
        let calls = memory.calls();
        assert_eq!(errno(memory.open_root(Path::new("/"))), EIO);
        assert_eq!(memory.calls(), calls, "nothing is counted on a dead machine");
        assert_eq!(memory.by_hand().exists("/d/b"), there);
        memory.reboot(&mut Rng::from_env_or(1));
        assert!(!memory.is_dead());
        open(&memory, "/d");
    }
    let (memory, dir) = disk();
    memory.arm(Fault::new(1, EACCES, How::OnceThenCrash));
    assert_eq!(errno(memory.stat_dir(&dir)), EACCES);
    assert!(memory.is_dead());
}

#[test]
fn a_write_may_be_short_before_it_fails() {
    let (memory, dir) = disk();
    let mut file = memory.create(&dir, b"a").expect("creates");
    memory.arm(Fault::new(1, ENOSPC, How::Once).only(Class::Writes).short());
    assert_eq!(file.write(b"abcd").expect("half"), 2);
    assert_eq!(errno(file.write(b"cd")), ENOSPC);
    assert_eq!(file.write(b"cd").expect("room again"), 2);
    assert_eq!(text(&memory, &dir, b"a"), b"abcd");
}

#[test]
fn a_full_disk_takes_what_fits_and_gives_room_when_files_go() {
    let memory = Memory::with(1, Settings { capacity: Some(5), ..Settings::default() });
    let top = open(&memory, "/");
    let mut file = memory.create(&top, b"a").expect("creates");
    assert_eq!(file.write(b"abcdefg").expect("some"), 5);
    assert_eq!(errno(file.write(b"fg")), ENOSPC);
    assert_eq!(errno(memory.create(&top, b"b")), ENOSPC);
    memory.unlink(&top, b"a").expect("removes");
    assert_eq!(errno(file.write(b"x")), ENOSPC, "an open file keeps its room");
    drop(file);
    memory.create(&top, b"b").expect("creates").write_all(b"12345").expect("fits");
    memory.crash_worst();
    open(&memory, "/");
}

#[test]
fn another_hand_comes_between_calls_and_is_not_counted() {
    let (memory, dir) = disk();
    memory.create(&dir, b"a").expect("creates");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heard = seen.clone();
    let first = memory.calls() + 1;
    memory.between(move |memory, call| {
        heard.lock().expect("lock").push((call.number, call.what().to_owned()));
        let _ = memory.by_hand().rename("/d/a", "/d/b");
    });
    assert_eq!(errno(memory.open(&dir, b"a")), 2);
    assert!(memory.stat(&dir, b"b").is_ok());
    memory.alone();
    memory.stat_dir(&dir).expect("looks");
    assert_eq!(*seen.lock().expect("lock"), [(first, "open".to_owned()), (first + 1, "stat".to_owned())]);
}

#[test]
fn a_trace_names_calls_and_their_fate() {
    let (memory, dir) = disk();
    memory.trace(true);
    memory.create(&dir, b"a").expect("creates").write_all(b"x").expect("writes");
    memory.arm(Fault::new(1, EIO, How::Once));
    let _ = memory.rename(&dir, b"a", &dir, b"b", Rename::Exchange);
    let lines = memory.trace(false);
    assert_eq!(lines[..2], ["create /d/a", "write a"]);
    assert!(lines[2].starts_with("exchange /d/a /d/b => Fail"), "{lines:?}");
    memory.stat_dir(&dir).expect("looks");
    assert!(memory.trace(false).is_empty());
}

#[test]
fn what_the_owner_may_not_do_is_refused() {
    let (memory, dir) = disk();
    let hand = memory.by_hand();
    hand.write_file("/d/a", "x", None, true).expect("writes");
    hand.chmod("/d/a", 0).expect("sets");
    assert_eq!(errno(memory.open(&dir, b"a")), EACCES);
    hand.chmod("/d", 0o500).expect("sets");
    assert_eq!(errno(memory.create(&dir, b"b")), EACCES);
    hand.chmod("/d", 0o300).expect("sets");
    assert_eq!(errno(memory.open_root(Path::new("/d"))), EACCES);
}

#[test]
fn symlinks_and_fifos_are_not_opened_and_mounts_are_apart() {
    let (memory, dir) = disk();
    let hand = memory.by_hand();
    hand.symlink("/d", "/d/link").expect("links");
    hand.fifo("/d/fifo").expect("makes");
    assert_eq!(errno(memory.open_dir(&dir, b"link")), 20);
    assert_eq!(errno(memory.open(&dir, b"link")), 40);
    assert_eq!(memory.open(&dir, b"fifo").err().map(|e| e.kind()), Some(std::io::ErrorKind::InvalidInput));
    assert!(memory.open_root(Path::new("/d/link")).is_ok());
    hand.mkdir("/d/m").expect("makes");
    hand.mount("/d/m").expect("mounts");
    let mounted = memory.open_dir(&dir, b"m").expect("opens");
    memory.create(&dir, b"a").expect("creates");
    memory.create(&mounted, b"b").expect("creates");
    assert_eq!(errno(memory.rename(&dir, b"a", &mounted, b"a", Rename::NoReplace)), 18);
    assert_eq!(errno(memory.remove_dir(&dir, b"m")), 39);
    hand.sync();
    memory.create(&dir, b"c").expect("creates");
    memory.create(&mounted, b"d").expect("creates");
    memory.sync_fs(&mounted).expect("syncs");
    memory.crash_worst();
    assert_eq!(files(&memory), ["d/a", "d/m/b", "d/m/d"]);
}

#[test]
fn a_tree_put_back_has_new_inodes_and_old_mtimes() {
    let (memory, _) = disk();
    let hand = memory.by_hand();
    hand.mkdir_all("/d/f/cur").expect("makes");
    hand.write_file("/d/f/cur/a", "x", None, true).expect("writes");
    let copy = hand.copy_tree("/d/f").expect("copies");
    let (file, dir) = (hand.stat("/d/f/cur/a").expect("looks"), hand.stat("/d/f/cur").expect("looks"));
    hand.unlink("/d/f/cur/a").expect("removes");
    let print = memory.fingerprint();
    for dir_times in [false, true] {
        hand.put_tree("/d/f", &copy, super::super::Restore { dir_times, keep_top: false }).expect("puts");
        let (again, above) = (hand.stat("/d/f/cur/a").expect("looks"), hand.stat("/d/f/cur").expect("looks"));
        assert_eq!(again.mtime, file.mtime);
        assert!(again.ctime > file.ctime && again.ino != file.ino);
        assert_eq!(above.mtime == dir.mtime, dir_times);
        assert_ne!(memory.fingerprint(), print);
    }
}

#[test]
#[should_panic(expected = "not one directory entry")]
fn a_name_that_leaves_its_directory_is_no_call_at_all() {
    let (memory, dir) = disk();
    let _ = memory.stat(&dir, b"..");
}
