//! What a scan finds: every kind of change, and what is no message.

use super::*;

#[test]
fn a_first_scan_finds_every_message_of_both_layouts() {
    let world = World::new();
    world.put("cur/a:2,S", "A: 1\n\nx");
    world.put(".Sub/new/b", "");
    world.put("deep/er/cur/c:2,", "no blank line");
    std::fs::create_dir_all(world.path("plain/tmp")).expect("makes");
    let look = world.check("+. ./a=cur:S +.Sub .Sub/b=new: +deep/er deep/er/c=cur:");
    assert_eq!((look.files_read, look.messages_seen, look.troubles.len()), (3, 3, 0));
    let seen = look.delta.seen(&name("", "a")).expect("seen");
    assert_eq!(seen.entry.content, Content::of(b"A: 1\n\nx"));
    assert_eq!(seen.meta.expect("meta").size, 7);
}

#[test]
fn each_kind_of_change_is_told_against_the_base() {
    let mut world = World::new();
    for uniq in ["keep", "flag", "gone", "seen", "edit"] {
        world.put(&format!("cur/{uniq}:2,"), uniq);
    }
    world.put("new/fresh", "n");
    world.settle();
    world.check("");
    world.rename("cur/flag:2,", "cur/flag:2,FS");
    world.rename("new/fresh", "cur/fresh:2,S");
    world.remove("cur/gone:2,");
    world.put("tmp/edit", "other");
    world.rename("tmp/edit", "cur/edit:2,");
    world.put("new/more", "m");
    let look = world.check("-./gone ./edit=cur: ./flag=cur:FS ./fresh=cur:S ./more=new:");
    assert_eq!(look.files_read, 2);
}

#[test]
fn the_spelling_of_a_name_is_no_change() {
    let mut world = World::new();
    world.put("cur/a:2,SF", "a");
    world.put("cur/b", "b");
    world.settle();
    world.rename("cur/a:2,SF", "cur/a:2,FS");
    world.rename("cur/b", "cur/b:2,");
    world.check("");
}

#[test]
fn names_are_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new();
    std::fs::create_dir_all(world.path("cur")).expect("makes");
    for name in [&b"a b&%\n"[..], b"\xff\xfe:2,S", b"c:2,S,x=y"] {
        std::fs::write(world.path("cur").join(std::ffi::OsStr::from_bytes(name)), "x").expect("writes");
    }
    world.check("+. ./a b&%\\x0a=cur: ./c=cur:S,x=y ./\\xff\\xfe=cur:S");
}

#[test]
fn what_is_no_message_is_left_alone() {
    let world = World::new();
    world.put("cur/a:2,", "a");
    world.put("cur/.hidden", "x");
    world.put("cur/:2,S", "x");
    std::fs::create_dir(world.path("cur/dir")).expect("makes");
    std::os::unix::fs::symlink("/etc/passwd", world.path("cur/link")).expect("links");
    let _socket = std::os::unix::net::UnixListener::bind(world.path("cur/socket")).expect("binds");
    world.put("tmp/half", "x");
    world.put("..smd-grave/cur/dead", "x");
    let look = world.check("+. ./a=cur:");
    assert_eq!(texts(&look).lines().count(), 1, "{}", texts(&look));
    assert!(texts(&look).contains("cur/:2,S: is left alone"));
}

#[test]
fn kinds_that_readdir_does_not_tell_are_asked_for() {
    let world = World::new();
    *world.fs.no_kinds.lock().expect("lock") = true;
    world.put(".Sub/cur/a", "a");
    std::os::unix::fs::symlink("/etc/passwd", world.path(".Sub/cur/link")).expect("links");
    std::os::unix::fs::symlink("/etc", world.path("etc")).expect("links");
    world.check("+.Sub .Sub/a=cur:");
}

#[test]
fn excluded_folders_and_our_own_state_are_not_seen() {
    let mut world = World::new();
    world.put(".Spam/cur/a", "a");
    world.put(".Spam/below/cur/a", "a");
    world.put("state/grave/cur/a", "a");
    world.put("cur/b", "b");
    world.settle();
    assert_eq!(world.base.folders.len(), 4);
    world.excludes = Excludes::new(&[(b"".to_vec(), vec![b".Spam".to_vec()])]).expect("patterns");
    let state = world.fs.stat(&world.root().dir, b"state").expect("stat");
    world.skip_dirs = vec![(state.dev, state.ino)];
    let look = world.scan();
    assert_eq!(shown(&look), "", "an excluded folder is not gone");
    world.base.folders.retain(|f, _| f.is_root());
    world.check("");
}

#[test]
fn a_folder_that_lost_cur_and_new_is_removed_and_its_sub_folders_stay() {
    let mut world = World::new();
    world.put("a/cur/x", "x");
    world.put("a/b/cur/y", "y");
    world.settle();
    std::fs::remove_dir_all(world.path("a/cur")).expect("removes");
    world.check("-a");
}

#[test]
fn an_empty_folder_is_added_and_removed() {
    let mut world = World::new();
    world.put("cur/x", "x");
    world.settle();
    std::fs::create_dir_all(world.path(".New/cur")).expect("makes");
    world.check("+.New");
    world.settle();
    std::fs::remove_dir_all(world.path(".New")).expect("removes");
    world.check("-.New");
}

#[test]
fn twins_of_equal_bytes_are_one_message() {
    let world = World::new();
    world.put("cur/a:2,S", "same");
    world.put("new/a", "same");
    world.put("cur/b:2,F", "linked");
    std::fs::hard_link(world.path("cur/b:2,F"), world.path("cur/b:2,S")).expect("links");
    let look = world.check("+. ./a=cur:S ./b=cur:F");
    assert_eq!(look.twins.len(), 2);
    assert!(look.twins.iter().all(|t| t.fresh.is_none()));
    assert!(exists(&world.path("new/a")) && exists(&world.path("cur/b:2,S")));
}

#[test]
fn of_twins_with_different_bytes_the_second_is_told_of_by_the_fresh_uniq_and_stays_as_it_is() {
    let mut world = World::new();
    world.put("new/a", "first");
    world.settle();
    world.put("cur/a:2,S", "second");
    let fresh = String::from_utf8(Digest::of(b"second").letters().to_vec()).expect("ascii");
    for _ in 0..2 {
        let look = world.check(&format!("./{fresh}=cur:S"));
        let content = Content::of(b"second");
        assert_eq!(look.twins, [Twin { name: name("", "a"), fresh: Some(uniq(&fresh)), content }]);
        assert!(look.left_out.is_empty() && look.troubles.is_empty());
        assert!(exists(&world.path("cur/a:2,S")) && exists(&world.path("new/a")), "a look changes nothing");
        look.remember(&mut world.cache(), &world.excludes).expect("saves");
    }
    // A step gave it its name.
    world.rename("cur/a:2,S", &format!("cur/{fresh}:2,S"));
    assert_eq!(world.check(&format!("./{fresh}=cur:S")).twins, []);
}

#[test]
fn the_second_of_twins_is_left_out_and_said_where_the_run_may_not_rename_it() {
    let mut world = World::new();
    world.renames = false;
    world.put("new/a", "first");
    world.settle();
    world.put("cur/a:2,S", "second");
    for _ in 0..2 {
        let look = world.check("");
        assert_eq!((look.left_out.len(), look.troubles.len(), look.incomplete), (1, 0, false));
        assert!(look.left_out[0].text.contains("has the name of another message"));
        look.remember(&mut world.cache(), &world.excludes).expect("saves");
    }
    // What the base knows by the name that a step could not give is there.
    world.renames = true;
    world.settle();
    world.renames = false;
    world.check("");
}

#[test]
fn a_fresh_uniq_that_holds_other_bytes_is_counted_on() {
    let world = World::new();
    let fresh = String::from_utf8(Digest::of(b"second").letters().to_vec()).expect("ascii");
    world.put(&format!("cur/{fresh}:2,"), "squatter");
    world.put("cur/a:2,S", "first");
    world.put("new/a", "second");
    let look = world.scan();
    assert_eq!(look.twins[0].fresh, Some(uniq(&format!("{fresh}1"))));
}

#[test]
fn a_fresh_uniq_that_holds_the_bytes_already_is_that_message() {
    let world = World::new();
    let fresh = String::from_utf8(Digest::of(b"second").letters().to_vec()).expect("ascii");
    world.put(&format!("cur/{fresh}:2,"), "second");
    world.put("cur/a:2,S", "first");
    world.put("new/a", "second");
    world.check(&format!("+. ./a=cur:S ./{fresh}=cur:"));
}
