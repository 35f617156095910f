//! What a quick scan saves, and what it must not miss.

use super::*;

fn many(world: &World) {
    for n in 0..30 {
        for m in 0..10 {
            world.put(&format!(".F{n}/cur/{m}:2,S"), &format!("{n} {m}"));
        }
    }
}

#[test]
fn a_clean_root_is_not_listed_and_the_base_not_asked_for() {
    let mut world = World::new();
    many(&world);
    world.settle();
    counted(&world);
    let (look, asked) = world.try_scan().expect("scans");
    assert!(!asked);
    assert_eq!((shown(&look).as_str(), look.messages_seen), ("", 300));
    // The index of the cache is the one file opened.
    assert_eq!(counted(&world), (1, 0));
    let index = || std::fs::metadata(world.temp.path().join("r.stat/index")).expect("index");
    let before = std::os::unix::fs::MetadataExt::ino(&index());
    look.remember(&mut world.cache(), &world.excludes).expect("saves");
    assert_eq!(before, std::os::unix::fs::MetadataExt::ino(&index()), "an unchanged cache is not written");
}

#[test]
fn one_new_message_costs_one_listing_and_one_read() {
    let mut world = World::new();
    many(&world);
    world.settle();
    world.put(".F7/cur/x:2,", "x");
    counted(&world);
    world.fs.stated.store(0, Ordering::Relaxed);
    let look = world.check(".F7/x=cur:");
    assert_eq!(look.files_read, 1);
    assert_eq!(counted(&world).1, 1);
    // `cur` and `new` of 31 directories, twice, as what is new is looked at twice; the new file; and the ten others of its
    // folder, any of which may have been edited by rename.
    assert_eq!(world.fs.stated.load(Ordering::Relaxed), 135);
}

#[test]
fn under_another_base_everything_is_dirty_and_nothing_is_read() {
    let mut world = World::new();
    many(&world);
    world.settle();
    world.counter += 1;
    let (look, asked) = world.try_scan().expect("scans");
    assert!(asked);
    assert_eq!((shown(&look).as_str(), look.files_read), ("", 0));
    world.adopted = false;
    world.base = Snapshot::default();
    let look = world.scan();
    assert_eq!((look.delta.folders.len(), look.files_read), (30, 0));
}

#[test]
fn what_was_read_survives_an_aborted_run() {
    let world = World::new();
    many(&world);
    world.scan().remember(&mut world.cache(), &world.excludes).expect("saves");
    let look = world.scan();
    assert_eq!((look.delta.folders.len(), look.files_read), (30, 0));
}

#[test]
fn a_change_that_was_not_committed_is_told_again() {
    let mut world = World::new();
    many(&world);
    world.settle();
    world.rename(".F1/cur/1:2,S", ".F1/cur/1:2,FS");
    world.check(".F1/1=cur:FS").remember(&mut world.cache(), &world.excludes).expect("saves");
    world.check(".F1/1=cur:FS");
}

#[test]
fn a_lost_cache_costs_reading_only() {
    let mut world = World::new();
    many(&world);
    world.settle();
    std::fs::remove_dir_all(world.temp.path().join("r.stat")).expect("removes");
    let look = world.check("");
    assert_eq!(look.files_read, 300);
}

#[test]
fn stamps_too_young_leave_a_folder_dirty() {
    let mut world = World::new();
    world.fs.ahead.store(0, Ordering::Relaxed);
    world.put("cur/a:2,", "a");
    world.settle();
    // The file was younger than two seconds when read: its folder is looked into, and it is read again.
    std::fs::write(world.path("cur/a:2,"), "b").expect("writes");
    assert_eq!(world.check("./a=cur:").files_read, 1);
}

#[test]
fn an_edit_in_place_is_found_by_a_stat_scan() {
    let mut world = World::new();
    world.put("cur/a:2,", "a");
    world.put("cur/b:2,", "b");
    world.settle();
    std::thread::sleep(std::time::Duration::from_millis(20));
    std::fs::write(world.path("cur/a:2,"), "b").expect("writes");
    world.check("");
    world.depth = Depth::Stat;
    assert_eq!(world.check("./a=cur:").files_read, 1);
    world.depth = Depth::Full;
    assert_eq!(world.check("./a=cur:").files_read, 2);
}

/// Writes other bytes of the same length into a file, and gives it the mtime that it had.
fn edit_unseen(world: &World, path: &str) {
    std::thread::sleep(std::time::Duration::from_millis(20));
    let path = world.path(path);
    let mtime = path.metadata().and_then(|meta| meta.modified()).expect("it has an mtime");
    std::fs::write(&path, "!").expect("writes");
    let file = std::fs::File::options().write(true).open(&path).expect("opens");
    file.set_modified(mtime).expect("the mtime is set back");
}

#[test]
fn an_edit_that_keeps_size_and_mtime_is_found_by_its_ctime() {
    let mut world = World::new();
    world.put("cur/a:2,", "a");
    world.put("cur/b:2,", "b");
    world.settle();
    edit_unseen(&world, "cur/a:2,");
    world.depth = Depth::Stat;
    assert_eq!(world.check("./a=cur:").files_read, 1);
}

#[test]
fn an_edit_that_keeps_size_and_mtime_is_found_after_a_quick_look_at_its_folder() {
    let mut world = World::new();
    world.put("cur/a:2,", "a");
    world.put("cur/b:2,", "b");
    world.settle();
    edit_unseen(&world, "cur/a:2,");
    for (path, found) in [("cur/c:2,", "./c=cur:"), ("cur/d:2,", "./d=cur:")] {
        world.put(path, "new");
        assert_eq!(world.check(found).files_read, 1);
        world.settle();
    }
    world.depth = Depth::Stat;
    assert_eq!(world.check("./a=cur:").files_read, 1);
}

#[test]
fn a_change_of_mode_is_read_once_and_by_a_closer_look_alone() {
    let mut world = World::new();
    world.put("cur/a:2,", "a");
    world.put("cur/b:2,", "b");
    world.settle();
    std::thread::sleep(std::time::Duration::from_millis(20));
    for name in ["cur/a:2,", "cur/b:2,"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(world.path(name), mode).expect("changes the mode");
    }
    world.put("cur/c:2,", "c");
    assert_eq!(world.check("./c=cur:").files_read, 1);
    world.settle();
    world.depth = Depth::Stat;
    assert_eq!(world.settle().files_read, 2);
    assert_eq!(world.check("").files_read, 0);
}

#[test]
fn age_makes_a_quick_scan_look_closely_folder_by_folder() {
    let mut world = World::new();
    many(&world);
    std::fs::create_dir_all(world.path("plain/below")).expect("makes");
    world.settle();
    std::thread::sleep(std::time::Duration::from_millis(20));
    std::fs::write(world.path(".F7/cur/5:2,S"), "edited in place").expect("writes");
    world.check("");
    let mut looks = Vec::new();
    for quarter in 11..=24 {
        world.fs.ahead.store(60 + quarter * 900, Ordering::Relaxed);
        world.fs.stated.store(0, Ordering::Relaxed);
        let look = world.scan();
        look.remember(&mut world.cache(), &world.excludes).expect("saves");
        // `cur` and `new` of 33 directories, and ten messages of each folder whose turn it is.
        looks.push((world.fs.stated.load(Ordering::Relaxed) - 66, look.files_read));
    }
    let statted: Vec<usize> = looks.iter().map(|look| look.0).collect();
    assert_eq!((statted[0], statted[1]), (0, 0), "{statted:?}");
    assert!(statted.iter().all(|count| *count <= 120), "{statted:?}");
    assert!(looks.iter().any(|look| look.1 > 0), "the edit was found: {looks:?}");
    // Once all had their turn, and the edit is in the base, nothing is due, directories without mail included.
    world.settle();
    let (look, asked) = world.try_scan().expect("scans");
    assert_eq!((shown(&look).as_str(), asked), ("", false));
    counted(&world);
    world.scan();
    assert_eq!(counted(&world).1, 0, "no directory is listed");
    world.fs.ahead.store(-60, Ordering::Relaxed);
    world.fs.stated.store(0, Ordering::Relaxed);
    world.scan();
    assert!(world.fs.stated.load(Ordering::Relaxed) >= 366, "a clock that went back makes all of it due");
}

#[test]
fn a_message_replaced_under_its_name_is_read() {
    let mut world = World::new();
    world.put("cur/a:2,", "a");
    world.settle();
    world.put("tmp/x", "b");
    world.rename("tmp/x", "cur/a:2,");
    world.check("./a=cur:");
}

#[test]
fn untrusted_file_systems_are_always_listed() {
    let mut world = World::new();
    *world.fs.untrusted.lock().expect("lock") = true;
    world.put("cur/a:2,", "a");
    world.settle();
    counted(&world);
    assert_eq!(world.check("").files_read, 0);
    assert_eq!(counted(&world).1, 2);
    world.remove("cur/a:2,");
    world.check("-./a");
}

#[test]
fn a_folder_put_back_from_a_backup_is_named_until_a_commit() {
    let mut world = World::new();
    world.put(".A/cur/a:2,", "a");
    world.put(".A/cur/b:2,", "b");
    let settled = world.settle();
    assert!(settled.put_back.is_empty());
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    world.remove(".A/cur/b:2,");
    std::fs::File::open(world.path(".A/cur")).and_then(|dir| dir.set_modified(old)).expect("sets");
    for _ in 0..2 {
        let mut look = world.check("-.A/b");
        assert_eq!(look.put_back, [folder(".A")]);
        look.remember(&mut world.cache(), &world.excludes).expect("saves");
        look.put_back.clear();
    }
    world.settle();
    assert!(world.check("").put_back.is_empty());
}

#[test]
fn what_is_deleted_after_a_clock_was_set_back_is_gone() {
    let mut world = World::new();
    world.put(".A/cur/a:2,", "a");
    world.put(".A/cur/b:2,", "b");
    let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    std::fs::File::open(world.path(".A/cur")).and_then(|dir| dir.set_modified(ahead)).expect("sets");
    world.settle();
    world.remove(".A/cur/b:2,");
    let look = world.check("-.A/b");
    assert!(look.put_back.is_empty(), "{:?}", look.put_back);
}

#[test]
fn two_folders_that_swapped_their_names_are_no_backup() {
    let mut world = World::new();
    world.put(".A/cur/a:2,", "a");
    world.put(".B/cur/b:2,", "b");
    world.settle();
    world.rename(".A", ".t");
    world.rename(".B", ".A");
    world.rename(".t", ".B");
    let look = world.check("-.A/a .A/b=cur: -.B/b .B/a=cur:");
    assert!(look.put_back.is_empty(), "{:?}", look.put_back);
}

#[test]
fn folders_a_run_changed_are_clean_afterwards_without_reading() {
    let mut world = World::new();
    world.fs.ahead.store(0, Ordering::Relaxed);
    world.put("cur/a:2,", "a");
    world.settle();
    std::thread::sleep(std::time::Duration::from_millis(2100));
    world.settle();
    let mut look = world.scan();
    // The run renames one message and installs another, in a folder that it makes.
    world.rename("cur/a:2,", "cur/a:2,S");
    world.put(".New/cur/b:2,", "b");
    let after = world.scan();
    look.delta = after.delta;
    counted(&world);
    let ours = [installed(&world, ".New/cur/b:2,", name(".New", "b"), "b")];
    world.commit(&mut look, &["", ".New"], &ours);
    assert_eq!(counted(&world).0, 2, "index and pack of the cache");
    let (look, asked) = world.try_scan().expect("scans");
    assert_eq!((shown(&look).as_str(), asked, look.messages_seen), ("", false, 2));
}

#[test]
fn mail_that_arrived_during_a_run_is_found_by_the_next() {
    let mut world = World::new();
    world.put("cur/a:2,", "a");
    world.settle();
    world.put("cur/b:2,", "b");
    let mut look = world.scan();
    world.put("cur/c:2,", "c");
    world.commit(&mut look, &[""], &[]);
    let look = world.check("./c=cur:");
    assert_eq!(look.files_read, 1);
}

#[test]
fn an_edit_of_what_a_run_just_installed_is_found_by_the_next() {
    for in_place in [false, true] {
        let mut world = World::new();
        world.put("cur/a:2,", "a");
        world.settle();
        let mut look = world.scan();
        world.put("cur/b:2,", "b");
        look.delta = world.scan().delta;
        let ours = [installed(&world, "cur/b:2,", name("", "b"), "b")];
        // Before the run is over a mail program writes other bytes.
        if in_place {
            world.put("cur/b:2,", "edited");
        } else {
            world.put("tmp/b", "edited");
            world.rename("tmp/b", "cur/b:2,");
        }
        world.commit(&mut look, &[""], &ours);
        world.check("./b=cur:");
    }
}

#[test]
fn a_clean_folder_whose_base_changed_is_dirty() {
    let mut world = World::new();
    world.put("cur/a:2,", "a");
    world.put(".B/cur/b:2,", "b");
    world.settle();
    let mut look = world.scan();
    world.base.folders.remove(&folder(".B"));
    world.commit(&mut look, &[], &[]);
    world.check("+.B .B/b=cur:");
}

#[test]
fn a_folder_of_the_base_that_is_not_there_is_not_forgotten() {
    let mut world = World::new();
    world.put(".A/cur/a:2,", "a");
    world.put(".B/cur/b:2,", "b");
    world.settle();
    std::fs::remove_dir_all(world.path(".B")).expect("removes");
    let mut look = world.check("-.B");
    look.delta = Delta::default();
    world.commit(&mut look, &[], &[]);
    world.check("-.B");
}

#[test]
fn a_file_that_got_the_inode_of_the_one_it_replaced_is_found() {
    let mut world = World::new();
    world.put("cur/a:2,", "a");
    world.put("cur/b:2,", "b");
    world.settle();
    // As two edits by rename leave it: the folder moved, its names and inodes did not.
    world.put("cur/a:2,", "edited");
    world.put("cur/passing", "");
    world.remove("cur/passing");
    assert_eq!(world.check("./a=cur:").files_read, 1);
}

#[test]
fn a_file_that_got_the_inode_of_the_one_it_replaced_is_found_beside_other_changes() {
    let mut world = World::new();
    world.put("cur/a:2,", "a");
    world.put("cur/b:2,", "b");
    world.settle();
    world.put("cur/a:2,", "edited");
    world.put("cur/c:2,", "c");
    world.remove("cur/b:2,");
    assert_eq!(world.check("-./b ./a=cur: ./c=cur:").files_read, 2);
}
