//! Messages and folders that move, before and while they are looked at.

use std::os::unix::fs::MetadataExt as _;

use super::*;

#[test]
fn a_moved_folder_reads_nothing() {
    let mut world = World::new();
    for n in 0..1000 {
        world.put(&format!("a/cur/{n}:2,S"), &n.to_string());
    }
    world.settle();
    world.rename("a", "b/c");
    let look = world.scan();
    assert_eq!(look.files_read, 0);
    assert_eq!(look.delta.folders[&folder("a")].presence, Presence::Removed);
    assert_eq!(look.delta.folders[&folder("b/c")].set.len(), 1000);
}

#[test]
fn a_message_moved_to_another_folder_keeps_its_digests() {
    let mut world = World::new();
    world.put("cur/a:2,S", "a");
    world.put(".B/cur/b:2,S", "b");
    world.settle();
    world.rename("cur/a:2,S", ".B/cur/renamed:2,RS");
    let look = world.check("-./a .B/renamed=cur:RS");
    assert_eq!(look.files_read, 0);
}

#[test]
fn a_file_with_an_inode_used_again_is_read() {
    let mut world = World::new();
    // Most disks give a free inode to the next file at once, and that may be somebody else's.
    for tries_left in (0..50).rev() {
        world.put("cur/a:2,S", "a");
        world.settle();
        let old = std::fs::metadata(world.path("cur/a:2,S")).expect("it is there");
        world.remove("cur/a:2,S");
        world.put("cur/b:2,S", "b");
        let new = std::fs::File::open(world.path("cur/b:2,S")).expect("opens");
        new.set_modified(old.modified().expect("mtime")).expect("sets");
        if new.metadata().expect("it is there").ino() == old.ino() || tries_left == 0 {
            break;
        }
        world.remove("cur/b:2,S");
    }
    let look = world.check("-./a ./b=cur:S");
    assert_eq!(look.delta.seen(&name("", "b")).expect("seen").entry.content, Content::of(b"b"));
}

/// Does something in the middle of the `nth` listing from now on.
fn during(world: &World, nth: usize, mut act: impl FnMut() + Send + 'static) {
    world.fs.listed.store(0, Ordering::Relaxed);
    *world.fs.while_listing.lock().expect("lock") = Some(Box::new(move |before| {
        if before == nth {
            act();
        }
    }));
}

#[test]
fn a_flag_that_changes_while_names_are_read_hides_no_message() {
    let mut world = World::new();
    world.put("cur/a:2,", "a");
    world.put("cur/b:2,", "b");
    world.settle();
    world.put("cur/c:2,", "c");
    let (from, to) = (world.path("cur/a:2,"), world.path("cur/a:2,S"));
    during(&world, 0, move || std::fs::rename(&from, &to).expect("renames"));
    world.check("./a=cur:S ./c=cur:");
}

#[test]
fn a_message_that_moves_behind_the_scan_is_found_by_the_second_look() {
    let mut world = World::new();
    world.put(".A/cur/a:2,", "a");
    world.put(".Z/cur/z:2,", "z");
    world.settle();
    // .A is listed first, then the message goes from .Z to .A, then .Z is listed.
    world.put(".A/cur/x:2,", "x");
    world.put(".Z/cur/y:2,", "y");
    let (from, to) = (world.path(".Z/cur/z:2,"), world.path(".A/cur/z:2,"));
    during(&world, 1, move || std::fs::rename(&from, &to).expect("renames"));
    let look = world.check(".A/x=cur: .A/z=cur: -.Z/z .Z/y=cur:");
    assert_eq!(look.files_read, 2);
}

#[test]
fn what_the_last_look_met_and_no_base_tells_of_is_looked_for_again() {
    let mut world = World::new();
    world.put(".A/cur/a:2,", "a");
    world.put(".Z/cur/z:2,", "z");
    world.settle();
    // Met by a look whose run agreed on nothing.
    world.put(".Z/cur/y:2,", "y");
    world.check(".Z/y=cur:").remember(&mut world.cache(), &world.excludes).expect("saves");
    // .A is clean, and then the message goes there before .Z is listed.
    let (from, to) = (world.path(".Z/cur/y:2,"), world.path(".A/cur/y:2,"));
    during(&world, 0, move || std::fs::rename(&from, &to).expect("renames"));
    world.check(".A/y=cur:");
}

#[test]
fn a_folder_that_never_stands_still_only_adds() {
    let mut world = World::new();
    world.put("cur/a:2,", "a");
    world.put("cur/b:2,", "b");
    world.settle();
    world.remove("cur/b:2,");
    world.put("cur/c:2,", "c");
    let dir = world.path("cur");
    *world.fs.while_listing.lock().expect("lock") = Some(Box::new(move |n| {
        std::thread::sleep(std::time::Duration::from_millis(12));
        std::fs::write(dir.join(format!(".{n}")), "").expect("writes");
    }));
    let look = world.check("./c=cur:");
    assert!(texts(&look).contains("is changing while it is read"));
    *world.fs.while_listing.lock().expect("lock") = None;
    world.check("-./b ./c=cur:");
}

#[test]
fn a_message_renamed_between_listing_and_reading_is_met_under_its_new_name() {
    let world = World::new();
    world.put("new/a", "a");
    std::fs::create_dir(world.path("cur")).expect("makes");
    let (from, to) = (world.path("new/a"), world.path("cur/a:2,S"));
    // Listings: the root, `new`, `cur`. The names stood still; then the message was read.
    let moved = std::sync::Once::new();
    world.fs.listed.store(0, Ordering::Relaxed);
    *world.fs.while_listing.lock().expect("lock") = Some(Box::new(move |before| {
        if before == 2 {
            moved.call_once(|| std::fs::rename(&from, &to).expect("renames"));
        }
    }));
    world.check("+. ./a=cur:S");
}

#[test]
fn a_folder_renamed_while_it_is_looked_at_is_not_lost() {
    let mut world = World::new();
    world.put(".A/cur/a:2,", "a");
    world.put(".Z/cur/z:2,", "z");
    world.settle();
    world.put(".A/cur/x:2,", "x");
    let (from, to) = (world.path(".Z"), world.path(".B"));
    during(&world, 0, move || std::fs::rename(&from, &to).expect("renames"));
    // The second look, at what is new, meets the folder under its new name.
    world.check(".A/x=cur: +.B .B/z=cur: -.Z");
}

#[test]
fn a_folder_that_goes_between_the_walk_and_its_own_listing_is_gone() {
    let mut world = World::new();
    world.put(".A/cur/a:2,", "a");
    std::fs::create_dir_all(world.path(".Z/cur")).expect("makes");
    std::fs::create_dir_all(world.path(".Z/tmp")).expect("makes");
    world.settle();
    world.depth = Depth::Stat;
    // `rm -r` has come as far as this, or something in it keeps the directory. Listings: three by the walk, then `.A/cur`.
    let cur = world.path(".Z/cur");
    during(&world, 3, move || std::fs::remove_dir(&cur).expect("removes"));
    let look = world.check("-.Z");
    look.remember(&mut world.cache(), &world.excludes).expect("saves");
    // No run took it over: it is told until one does.
    world.depth = Depth::Quick;
    *world.fs.while_listing.lock().expect("lock") = None;
    world.check("-.Z");
}

#[test]
fn a_new_folder_that_goes_between_the_walk_and_its_own_listing_is_none() {
    let mut world = World::new();
    world.put(".A/cur/a:2,", "a");
    world.settle();
    world.put(".A/cur/b:2,", "b");
    std::fs::create_dir_all(world.path(".Z/cur")).expect("makes");
    let cur = world.path(".Z/cur");
    // Listings: the root and the new directory, by the walk; then the folders.
    during(&world, 1, move || std::fs::remove_dir(&cur).expect("removes"));
    let mut look = world.check(".A/b=cur:");
    *world.fs.while_listing.lock().expect("lock") = None;
    world.commit(&mut look, &[".A"], &[]);
    // Its directory is there and known: when it is a folder again, the next look meets it.
    std::fs::create_dir(world.path(".Z/cur")).expect("makes");
    world.check("+.Z");
}

#[test]
fn what_was_listed_of_a_folder_that_is_none_any_more_is_not_there() {
    let mut world = World::new();
    world.put(".A/cur/a:2,", "a");
    world.settle();
    world.put(".B/cur/b:2,", "b");
    std::fs::create_dir_all(world.path(".C/cur")).expect("makes");
    let (cur, message) = (world.path(".B/cur"), world.path(".B/cur/b:2,"));
    let to = world.path(".C/cur/b:2,");
    // Listings: three by the walk, then `.B/cur` and `.C/cur`.
    during(&world, 4, move || {
        std::fs::rename(&message, &to).expect("renames");
        std::fs::remove_dir(&cur).expect("removes");
    });
    world.check("+.C .C/b=cur:");
}

#[test]
fn a_mail_program_at_work_makes_nothing_seem_gone() {
    use std::sync::atomic::AtomicBool;
    let mut world = World::new();
    world.fs.ahead.store(0, Ordering::Relaxed);
    for n in 0..200 {
        world.put(&format!("{}/cur/{n}:2,", n % 3), &n.to_string());
    }
    world.settle();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let flags = ["", "S", "FS", "RS"];
            for turn in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let n = turn * 7 % 200;
                let round = turn / 200;
                let name = |round: usize| format!("{}/cur/{n}:2,{}", n % 3, flags[round % 4]);
                world.rename(&name(round), &name(round + 1));
            }
        });
        for _ in 0..15 {
            let look = world.scan();
            look.remember(&mut world.cache(), &world.excludes).expect("saves");
            let gone: Vec<_> = look.delta.folders.values().flat_map(|f| &f.gone).collect();
            assert!(gone.is_empty(), "{gone:?}");
            assert_eq!(look.delta.folders.values().filter(|f| f.presence != Presence::Same).count(), 0);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let look = world.scan();
    assert!(look.delta.folders.values().all(|f| f.gone.is_empty()));
}

#[test]
fn a_message_moved_between_two_listings_is_seen_once() {
    for moment in 0..16 {
        let mut world = World::new();
        for path in [".A/cur/x:2,", ".A/cur/a:2,", ".Z/cur/z:2,", ".Z/new/y"] {
            world.put(path, path);
        }
        world.settle();
        world.put(".A/cur/more:2,", "more");
        world.put(".Z/cur/other:2,", "other");
        let (from, to) = (world.path(".A/cur/x:2,"), world.path(".Z/cur/x:2,"));
        *world.fs.while_listing.lock().expect("lock") = Some(Box::new(move |before| {
            if before == moment && from.exists() {
                std::fs::rename(&from, &to).expect("moves");
            }
        }));
        world.fs.listed.store(0, Ordering::Relaxed);
        let look = world.scan();
        let gone = look.delta.folders[&folder(".A")].gone.iter().any(|uniq| uniq.as_bytes() == b"x");
        let added = look.delta.seen(&name(".Z", "x")).is_some();
        assert_eq!(gone, added, "moved in the middle of listing {moment}");
    }
}
