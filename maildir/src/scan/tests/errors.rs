//! An error is never an absence.

use super::*;

fn settled() -> World {
    let mut world = World::new();
    world.put("cur/a:2,", "a");
    world.put(".B/cur/b:2,", "b");
    world.put(".B/below/cur/c:2,", "c");
    world.settle();
    world
}

fn break_name(world: &World, name: &[u8]) {
    world.fs.broken.lock().expect("lock").insert(name.to_vec());
}

#[test]
fn a_folder_that_cannot_be_opened_is_unknown_with_all_below() {
    let world = settled();
    break_name(&world, b".B");
    for depth in [Depth::Quick, Depth::Stat, Depth::Full] {
        let look = World { depth, ..settled_with(&world) }.scan();
        assert_eq!(shown(&look), "");
        assert_eq!(look.unknown.len(), 2);
        assert!(texts(&look).contains(".B: cannot be looked at"), "{}", texts(&look));
    }
}

/// The same tree and faults, in another world.
fn settled_with(world: &World) -> World {
    let other = settled();
    *other.fs.broken.lock().expect("lock") = world.fs.broken.lock().expect("lock").clone();
    other
}

#[test]
fn after_an_error_the_digests_are_still_known() {
    let world = settled();
    break_name(&world, b".B");
    world.scan().remember(&mut world.cache(), &world.excludes).expect("saves");
    world.fs.broken.lock().expect("lock").clear();
    let look = world.check("");
    assert_eq!(look.files_read, 0);
}

#[test]
fn a_cur_that_cannot_be_opened_makes_its_folder_unknown() {
    let world = settled();
    world.put(".B/cur/new:2,", "n");
    break_name(&world, b"cur");
    let look = world.check("");
    assert_eq!(look.unknown, BTreeSet::from([folder(".B")]));
    assert!(texts(&look).contains("cannot be listed"));
}

#[test]
fn a_message_that_cannot_be_read_is_kept_as_it_was() {
    let world = settled();
    world.put("tmp/x", "edited");
    world.rename("tmp/x", "cur/a:2,");
    world.put("cur/new:2,", "n");
    break_name(&world, b"a:2,");
    let look = world.check("./new=cur:");
    assert!(texts(&look).contains("cur/a:2,: cannot be read and is left as it was"));
    world.fs.broken.lock().expect("lock").clear();
    world.check("./a=cur: ./new=cur:");
}

#[test]
fn a_message_that_is_written_while_it_is_read_has_no_digest_yet() {
    let world = settled();
    world.put("cur/new:2,", "half");
    let path = world.path("cur/new:2,");
    let grow = move |before: usize| {
        if before % 2 == 1 {
            let text = std::fs::read_to_string(&path).expect("reads") + "more";
            std::fs::write(&path, text).expect("writes");
        }
    };
    world.fs.looked.store(0, Ordering::Relaxed);
    *world.fs.while_reading.lock().expect("lock") = Some(Box::new(grow));
    let look = world.check("");
    assert!(texts(&look).contains("cur/new:2,: is being written to"), "{}", texts(&look));
    *world.fs.while_reading.lock().expect("lock") = None;
    world.check("./new=cur:");
}

#[test]
fn a_folder_that_became_a_symlink_or_file_is_unknown() {
    let world = settled();
    world.rename(".B", "../elsewhere");
    std::os::unix::fs::symlink(world.temp.path().join("elsewhere"), world.path(".B")).expect("links");
    let look = world.check("");
    assert_eq!(look.unknown.len(), 2);
    assert!(texts(&look).contains("symlink"));
    world.remove(".B");
    world.put(".B", "file");
    assert!(texts(&world.check("")).contains("is now a file"));
}

#[test]
fn a_cur_that_became_a_symlink_or_file_makes_its_folder_unknown() {
    let world = settled();
    world.rename(".B/cur", "../elsewhere");
    std::os::unix::fs::symlink(world.temp.path().join("elsewhere"), world.path(".B/cur")).expect("links");
    let look = world.check("");
    assert_eq!(look.unknown, BTreeSet::from([folder(".B")]));
    world.remove(".B/cur");
    world.put(".B/cur", "file");
    assert_eq!(world.check("").unknown, BTreeSet::from([folder(".B")]));
}

#[test]
fn a_message_that_became_a_symlink_or_directory_is_kept() {
    let world = settled();
    world.remove("cur/a:2,");
    std::os::unix::fs::symlink("/etc/passwd", world.path("cur/a:2,")).expect("links");
    assert!(texts(&world.check("")).contains("no longer a regular file"));
    world.remove("cur/a:2,");
    std::fs::create_dir(world.path("cur/a:2,")).expect("makes");
    assert!(texts(&world.check("")).contains("no longer a regular file"));
}

#[test]
fn an_emptied_root_is_told_as_it_is() {
    let world = settled();
    for entry in ["cur", ".B"] {
        std::fs::remove_dir_all(world.path(entry)).expect("removes");
    }
    world.check("-. -.B -.B/below");
}

#[test]
fn a_scan_that_is_ended_is_an_error() {
    let world = World::new();
    world.put("cur/a", "a");
    let root = world.root();
    let ended = world.with(&root, |s| {
        Scanner { on_read: &|_| false, ..*s }
            .scan::<Failed>(&world.cache(), None, || Ok(&world.base))
            .expect_err("ended")
    });
    assert_eq!(ended.0.cause.kind(), io::ErrorKind::Interrupted);
}

#[test]
fn the_identity_is_that_of_the_root() {
    let world = settled();
    let root = world.root();
    let stat = world.fs.stat_dir(&root.dir).expect("stat");
    assert_eq!(world.scan().identity, Identity { ino: stat.ino, btime: stat.btime });
}

#[test]
fn what_only_root_may_read_in_a_new_file_system_is_no_trouble() {
    let world = settled();
    std::fs::create_dir(world.path("lost+found")).expect("makes");
    break_name(&world, b"lost+found");
    let look = world.check("");
    assert_eq!((look.troubles.len(), look.unknown.len()), (0, 0));
}

#[test]
fn an_error_in_one_folder_does_not_hide_a_deletion_in_another() {
    let world = settled();
    world.put(".B/cur/new:2,", "n");
    world.remove("cur/a:2,");
    break_name(&world, b".B");
    let look = world.check("-./a");
    assert_eq!(texts(&look).lines().count(), 1, "{}", texts(&look));
}

#[test]
fn what_a_new_folder_or_message_hides_may_be_what_is_missing() {
    // A message that went where nobody can look is not gone: no absence counts.
    let hidden = |to: &str, broken: &[u8]| {
        let world = settled();
        // By a copy, so that no record tells of the file.
        world.remove("cur/a:2,");
        world.put(to, "a");
        break_name(&world, broken);
        world.scan()
    };
    assert!(hidden("fresh/cur/a:2,", b"fresh").incomplete);
    assert!(hidden("fresh/cur/a:2,", b"cur").incomplete);
    assert!(hidden(".B/cur/a:2,", b"a:2,").incomplete);
    assert!(!hidden("fresh/cur/a:2,", b"other").incomplete);
    // A known message that cannot be read keeps its entry, so it hides nothing.
    let world = settled();
    world.put("tmp/x", "edited");
    world.rename("tmp/x", "cur/a:2,");
    break_name(&world, b"a:2,");
    assert!(!world.scan().incomplete);
}

#[test]
fn the_lost_and_found_of_a_disk_hides_nothing() {
    let world = settled();
    world.put("lost+found/x", "");
    break_name(&world, b"lost+found");
    assert!(!world.scan().incomplete);
}

#[test]
fn a_folder_that_cannot_be_listed_may_hide_what_is_missing() {
    let world = settled();
    world.remove("cur/a:2,");
    world.put("fresh/cur/a:2,", "a");
    *world.fs.unlistable.lock().expect("lock") = Some(b"a:2,".to_vec());
    let look = world.scan();
    assert!(texts(&look).contains("cannot be listed"), "{}", texts(&look));
    assert!(look.incomplete);
}

#[test]
fn a_path_that_is_too_long_hides_what_is_missing_and_is_said_by_every_look() {
    let mut world = settled();
    // Deeper than any path of one piece, as a tree that was moved down may be.
    let mut at = world.fs.open_root(&world.path("")).expect("opens");
    for _ in 0..17 {
        world.fs.make_dir(&at, &[b'd'; 250]).expect("makes");
        at = world.fs.open_dir(&at, &[b'd'; 250]).expect("opens");
    }
    world.fs.make_dir(&at, b"cur").expect("makes");
    world.remove("cur/a:2,");
    let first = world.scan();
    assert!(first.incomplete && texts(&first).contains("longer than 4096 bytes"), "{}", texts(&first));
    world.settle();
    let later = world.check("");
    assert!(later.incomplete && texts(&later).contains("longer than 4096 bytes"), "{}", texts(&later));
}

#[test]
fn a_tree_is_walked_to_the_bottom_however_deep_it_is() {
    let mut world = World::new();
    let deep = |depth: usize| "d/".repeat(depth);
    for depth in [1, 64, 65, 900] {
        world.put(&format!("{}cur/m:2,", deep(depth)), &depth.to_string());
    }
    let look = world.settle();
    assert_eq!((look.messages_seen, look.incomplete, look.troubles.len()), (4, false, 0), "{}", texts(&look));
    world.remove(&format!("{}cur/m:2,", deep(900)));
    world.check(&format!("-{}/m", deep(900).trim_end_matches('/')));
}

#[test]
fn a_directory_among_messages_hides_what_is_missing_and_is_said_by_every_look() {
    for place in [".B/cur/moved", ".B/new/.moved"] {
        let mut world = settled();
        std::fs::create_dir_all(world.path(place)).expect("makes");
        world.settle();
        assert!(!world.check("").incomplete, "what is empty hides nothing");
        // Mail that is moved into it changes no stamp of its folder.
        std::fs::create_dir(world.path(place).join("cur")).expect("makes");
        world.rename("cur/a:2,", &format!("{place}/cur/a:2,"));
        let look = world.check("-./a");
        assert!(look.incomplete && texts(&look).contains("is a directory among messages"), "{}", texts(&look));
        world.settle();
        let later = world.check("");
        assert!(later.incomplete && texts(&later).contains("is a directory among messages"), "{}", texts(&later));
    }
}

#[test]
fn symlinks_are_left_out_and_said_by_every_look() {
    let mut world = settled();
    let root = world.path("");
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, root.join(at)).expect("links");
    link("/tmp", "folder");
    link("nowhere", ".B/broken");
    link("../../cur/a:2,", ".B/cur/message:2,");
    link("cur/a:2,", "a file that is no mail");
    let said = |look: &Look| {
        let one = |t: &Trouble| {
            let path = String::from_utf8_lossy(&t.path).into_owned();
            format!("{}: {}", path.trim_start_matches(root.to_str().expect("text")).trim_start_matches('/'), t.text)
        };
        let mut all: Vec<String> = look.left_out.iter().map(one).collect();
        all.sort();
        all
    };
    let all = [
        ".B/broken: is a symlink that leads nowhere",
        ".B/cur/message:2,: is a symlink, which is not followed",
        "folder: is a symlink, which is not followed",
    ];
    let first = world.scan();
    assert_eq!((said(&first), first.incomplete, first.troubles.len()), (all.map(str::to_owned).to_vec(), false, 0));
    world.settle();
    for _ in 0..2 {
        let (look, asked) = world.try_scan().expect("scans");
        assert_eq!(said(&look), all);
        assert!(!asked, "what is left out makes no folder dirty");
        look.remember(&mut world.cache(), &world.excludes).expect("saves");
    }
    world.remove(".B/cur/message:2,");
    assert_eq!(said(&world.scan()), [all[0], all[2]]);
}
