//! What each option does that a person can see.

use std::fs;

use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::stamps::{Stamps, bases};
use smd_tests::tree::Tree;
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

/// Two hosts that agree on this many messages in three folders, and a user at each.
fn agreed(messages: usize) -> (World, User, User) {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(3);
    populate::populate(&world.server().maildir(), "first", Spec::plain(messages, 3), &mut rng.fork(0));
    world.sync(&[]).ok();
    world.assert_equal();
    let us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let them = User::new(&world.server().maildir(), "them", rng.fork(2));
    (world, us, them)
}

fn states(world: &World) -> [Stamps; 2] {
    [world.client(), world.server()].map(|host| Stamps::below(&host.home))
}

#[test]
fn a_dry_run_says_what_it_would_do_names_the_deletions_and_touches_nothing() {
    let (world, mut us, mut them) = agreed(60);
    let gone = us.list().remove(0);
    us.delete(&gone);
    them.deliver("");
    let before = states(&world);
    let said = world.sync(&["-d"]).ok().says(&String::from_utf8_lossy(gone.uniq()));
    world.sync(&["--dry-run", "-v"]).ok().says("them.").says(&String::from_utf8_lossy(gone.uniq()));
    before[0].assert_unchanged(&world.client().home);
    before[1].assert_unchanged(&world.server().home);
    assert!(!said.stdout.contains("them."), "only -v names what is not a deletion\n{said}");
    world.sync(&[]).ok();
    world.assert_equal();
}

#[test]
fn a_first_dry_run_makes_no_state_and_no_root() {
    let world = World::new(Link::Rsh);
    populate::populate(&world.server().maildir(), "first", Spec::plain(10, 2), &mut Rng::from_env_or(1));
    fs::remove_dir_all(world.client().maildir()).expect("the root can be removed");
    let before = states(&world);
    world.pull(&["-d"]).ok();
    before[0].assert_unchanged(&world.client().home);
    before[1].assert_unchanged(&world.server().home);
}

#[test]
fn two_directories_of_which_neither_holds_mail_are_a_slip_of_the_pen() {
    let world = World::new(Link::Rsh);
    for host in [world.client(), world.server()] {
        fs::remove_dir_all(host.maildir()).expect("the root can be removed");
    }
    fs::create_dir(world.client().maildir()).expect("a directory can be made");
    fs::write(world.client().maildir().join("letter.txt"), "no mail").expect("a file can be written");
    world.sync(&[]).exits(78).says("has no mail folder").says("laptop/Maildir, and office has no Maildir");
    fs::create_dir(world.server().maildir()).expect("a directory can be made");
    for options in [&[][..], &["-d"]] {
        world.sync(options).exits(78).says("office has no mail folder");
    }
    // One of the two is enough, and what was in sync stays so.
    fs::create_dir_all(world.server().maildir().join("cur")).expect("a folder can be made");
    world.sync(&[]).ok();
    world.sync(&[]).ok();
}

#[test]
fn deletions_held_back_by_no_delete_are_counted_and_carried_out_by_the_next_run_without_it() {
    let (world, mut us, mut them) = agreed(60);
    for found in &us.list()[..3] {
        us.delete(found);
    }
    them.delete(&them.list()[10].clone());
    them.deliver("");
    let held = world.sync(&["-n", "--json"]).ok();
    assert_eq!((held.number("/held/no_delete"), held.deleted()), (4, 0), "{held}");
    assert_eq!(Tree::read(&world.server().maildir()).len(), 60);
    assert_eq!(Tree::read(&world.client().maildir()).len(), 58);
    world.sync(&["-n"]).ok().says("4 deletions held back");
    let done = world.sync(&["--json"]).ok();
    assert_eq!(done.deleted(), 4, "{done}");
    world.assert_equal();
    assert_eq!(Tree::read(&world.client().maildir()).len(), 57);
}

#[test]
fn a_replacement_is_held_back_by_no_delete_and_nothing_is_copied() {
    let (world, mut us, _) = agreed(60);
    let found = us.list().remove(0);
    us.edit_header(&found);
    world.sync(&["-n"]).ok();
    assert_eq!(Tree::read(&world.server().maildir()).len(), 60);
    assert_eq!(Tree::read(&world.client().maildir()).len(), 60);
    world.sync(&[]).ok();
    world.assert_equal();
    assert_eq!(Tree::read(&world.server().maildir()).len(), 60);
}

#[test]
fn a_pull_changes_nothing_at_the_server_and_a_push_nothing_here() {
    let (world, mut us, mut them) = agreed(60);
    us.deliver("");
    us.delete(&us.list()[30].clone());
    them.deliver("");
    them.delete(&them.list()[40].clone());
    let theirs = Stamps::below(&world.server().maildir());
    world.pull(&[]).ok();
    theirs.assert_unchanged(&world.server().maildir());
    let ours = Stamps::below(&world.client().maildir());
    world.push(&[]).ok();
    ours.assert_unchanged(&world.client().maildir());
    world.assert_equal();
    assert_eq!(Tree::read(&world.client().maildir()).len(), 60);
}

#[test]
fn the_run_says_one_line_in_words_nothing_when_nothing_happened_and_quiet_says_nothing() {
    let (world, mut us, mut them) = agreed(60);
    them.deliver("");
    let said = world.pull(&[]).ok().says("pulled 1 new message from office");
    assert_eq!(said.stdout.lines().count() + said.stderr.lines().count(), 1, "{said}");
    world.sync(&[]).ok().silent();
    us.deliver("");
    world.sync(&["-q"]).ok().silent();
    world.assert_equal();
    let found = us.deliver("");
    world.sync(&["-v"]).ok().says(&String::from_utf8_lossy(found.uniq()));
}

#[test]
fn show_tags_prints_the_predecessors_machine_line() {
    let (world, _, mut them) = agreed(60);
    them.delete(&them.list()[5].clone());
    them.deliver("");
    them.deliver("");
    let said = world.pull(&["-s"]).ok();
    let line = said.stdout.lines().find(|line| line.contains("TAGS")).unwrap_or_else(|| panic!("no line\n{said}"));
    let (name, rest) = line.split_once(": smd-client@localhost: TAGS: stats::").unwrap_or_else(|| panic!("{line}"));
    assert!(!name.is_empty(), "{line}");
    assert!(rest.starts_with("new-mails(2), del-mails(1), bytes-received("), "{line}");
    let xdelta = rest.split_once("xdelta-received(").and_then(|(_, rest)| rest.strip_suffix(')'));
    assert!(xdelta.is_some_and(|number| number.parse::<u64>().is_ok_and(|bytes| bytes > 0)), "{line}");
}

#[test]
fn json_is_one_object_also_when_nothing_happened_and_when_the_run_failed() {
    let (world, _, _) = agreed(10);
    let rest = world.sync(&["--json"]).ok();
    assert_eq!((rest.number("/exit"), rest.steps(), rest.round_trips()), (0, 0, 1));
    fs::write(
        world.rsh_script(),
        "#!/bin/sh\necho 'ssh: connect to host office port 22: No route to host' >&2\nexit 255\n",
    )
    .expect("the shell");
    let failed = world.sync(&["--json"]).exits(69);
    assert_eq!(failed.number("/exit"), 69);
}

#[test]
fn an_edit_in_place_is_found_by_a_stat_scan_and_by_a_full_one() {
    for depth in ["stat", "full"] {
        let (world, mut us, _) = agreed(20);
        let found = us.list().remove(0);
        us.edit_in_place(&found);
        world.sync(&["--scan", depth]).ok();
        world.assert_equal();
    }
}

#[test]
fn the_bulk_guard_holds_deletes_back_does_the_rest_and_names_two_ways_out() {
    let (world, mut us, _) = agreed(60);
    for found in &us.list()[..31] {
        us.delete(found);
    }
    us.deliver("");
    let stopped = world.sync(&["--json"]).exits(3);
    assert_eq!((stopped.number("/held/guard"), stopped.deleted()), (31, 0), "{stopped}");
    assert_eq!(Tree::read(&world.server().maildir()).len(), 61, "the rest is done");
    world.sync(&[]).exits(3).says("--allow-bulk-delete").says("--adopt");
    world.sync(&["--allow-bulk-delete"]).ok();
    world.assert_equal();
    assert_eq!(Tree::read(&world.server().maildir()).len(), 30);
}

#[test]
fn after_a_tripped_guard_adopt_brings_everything_back() {
    let (world, mut us, _) = agreed(60);
    for found in &us.list()[..31] {
        us.delete(found);
    }
    world.sync(&[]).exits(3);
    let united = world.sync(&["--adopt", "--json"]).ok();
    world.assert_equal();
    assert_eq!(united.deleted(), 0, "{united}");
    assert_eq!(Tree::read(&world.client().maildir()).len(), 60);
}

#[test]
fn all_messages_of_a_small_root_are_not_deleted_unasked() {
    let (world, mut us, _) = agreed(6);
    for found in &us.list() {
        us.delete(found);
    }
    world.sync(&[]).exits(3);
    assert_eq!(Tree::read(&world.server().maildir()).len(), 6);
}

#[test]
fn a_root_that_is_missing_or_empty_or_another_directory_deletes_nothing() {
    for what in ["missing", "empty", "another"] {
        let (world, _, _) = agreed(10);
        let root = world.client().maildir();
        fs::rename(&root, root.with_extension("away")).expect("the root can be moved away");
        if what != "missing" {
            populate::make_folder(&root, "".as_ref());
        }
        if what == "another" {
            populate::populate(&root, "other", Spec::plain(9, 3), &mut Rng::from_env_or(5));
        }
        let theirs = Tree::read(&world.server().maildir());
        let stopped = world.sync(&[]);
        assert_eq!(stopped.code, 3, "{what}\n{stopped}");
        assert!(theirs.differences(&Tree::read(&world.server().maildir())).is_empty(), "{what}\n{stopped}");

        drop(fs::remove_dir_all(&root));
        fs::rename(root.with_extension("away"), &root).expect("the root can be moved back");
        world.sync(&[]).ok();
        world.assert_equal();
        assert_eq!(Tree::read(&root).len(), 10, "{what}");
    }
}

#[test]
fn a_folder_that_cannot_be_read_is_reported_and_nothing_in_it_is_deleted() {
    let (world, mut us, mut them) = agreed(60);
    // A folder that became a file: unlike missing rights, root sees that too.
    let folder = world.client().maildir().join(".Archive.2024");
    fs::rename(&folder, folder.with_extension("away")).expect("the folder can be moved");
    fs::write(&folder, b"not a folder").expect("a file");
    fs::rename(folder.with_extension("away"), world.dir().join("away")).expect("the folder can be moved");
    let theirs = Tree::read(&world.server().maildir()).folders[".Archive.2024".as_ref() as &std::path::Path].clone();
    us.deliver("");
    them.deliver("");
    let partly = world.sync(&[]).exits(1);
    assert!(partly.stderr.contains(".Archive.2024"), "{partly}");
    let now = Tree::read(&world.server().maildir());
    assert_eq!(now.folders[".Archive.2024".as_ref() as &std::path::Path], theirs);
    assert_eq!(now.len(), 62, "everything else is done");
    fs::remove_file(&folder).expect("the file can be removed");
    fs::rename(world.dir().join("away"), &folder).expect("the folder can be moved back");
    world.sync(&[]).ok();
    world.assert_equal();
}

#[test]
fn usage_errors_exit_with_2_and_touch_nothing() {
    let world = World::new(Link::Local);
    let before = Stamps::below(&world.client().home);
    for options in [
        vec!["--frobnicate"],
        vec!["-q", "-v"],
        vec!["--allow-bulk-delete", "--adopt"],
        vec!["--scan", "deep"],
        vec!["one", "two", "three"],
        vec!["host:Maildir", "Maildir"],
        vec!["--json", "-s"],
    ] {
        for program in ["smd-sync", "smd-pull", "smd-push"] {
            let outcome = finish(world.command(program, world.client()).args(&options)).exits(2);
            assert!(!outcome.stderr.is_empty() && outcome.stdout.is_empty(), "{outcome}");
        }
    }
    before.assert_unchanged(&world.client().home);
}

#[test]
fn roots_that_are_one_or_inside_one_another_are_a_config_error() {
    let world = World::new(Link::Local);
    let host = world.client();
    let root = host.maildir();
    populate::populate(&root, "first", Spec::plain(5, 3), &mut Rng::from_env_or(1));
    std::os::unix::fs::symlink(&root, host.home.join("link")).expect("a symlink");
    for other in [root.clone(), host.home.join("link"), root.join("Work"), root.join("cur/.."), host.home.clone()] {
        let before = Stamps::below(&root);
        finish(world.command("smd-sync", host).arg(&root).arg(&other)).exits(78);
        before.assert_unchanged(&root);
    }
}

#[test]
fn smd_home_replaces_the_state_directory() {
    let world = World::new(Link::Local);
    let host = world.client();
    populate::populate(&host.maildir(), "first", Spec::plain(5, 1), &mut Rng::from_env_or(1));
    let state = world.dir().join("elsewhere");
    let mut command = world.command("smd-sync", host);
    finish(command.env("SMD_HOME", &state).arg(host.maildir()).arg(world.server().maildir())).ok();
    world.assert_equal();
    assert!(!host.smd_home().exists());
    assert_eq!(bases(&state).len(), 2);
}

#[test]
fn files_that_are_no_messages_are_left_alone() {
    let (world, mut us, _) = agreed(20);
    let root = world.client().maildir();
    fs::create_dir_all(root.join(".notmuch/xapian")).expect("a directory");
    for path in
        [".notmuch/xapian/iamglass", "cur/.hidden", "dovecot-uidlist", "tmp/1.half", ".Archive.2024/maildirfolder"]
    {
        fs::write(root.join(path), b"not mail").expect("a file");
    }
    fs::create_dir(root.join("cur/directory")).expect("a directory");
    std::os::unix::fs::symlink("/etc/hostname", root.join("cur/1.link:2,S")).expect("a symlink");
    us.deliver("");
    world.sync(&[]);
    let there = world.server().maildir();
    assert_eq!(Tree::read(&there).len(), 21);
    for path in [".notmuch", "cur/.hidden", "dovecot-uidlist", "tmp/1.half", "cur/directory", "cur/1.link:2,S"] {
        assert!(there.join(path).symlink_metadata().is_err(), "{path} has no business there");
        assert!(root.join(path).symlink_metadata().is_ok(), "{path} was removed");
    }
}
