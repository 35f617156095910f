//! What both sides changed is merged; what moved moves without its bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::stamps::bases;
use smd_tests::tree::{self, Tree};
use smd_tests::user::User;
use smd_tests::world::{Link, World};

/// A world in which both hosts hold the same, and a user at each.
fn agreed(link: Link, spec: Spec) -> (World, User, User) {
    let world = World::new(link);
    let rng = Rng::from_env_or(7);
    populate::populate(&world.server().maildir(), "first", spec, &mut rng.fork(1));
    world.sync(&[]).ok();
    world.assert_equal();
    let us = User::new(&world.client().maildir(), "us", rng.fork(2));
    let them = User::new(&world.server().maildir(), "them", rng.fork(3));
    (world, us, them)
}

#[test]
fn flags_changed_on_both_sides_merge_letter_by_letter_and_nothing_is_duplicated() {
    let (world, mut us, mut them) = agreed(Link::Rsh, Spec::plain(10, 1));
    let found = us.list().remove(0);
    let found = us.set_flags(&found, "FS");
    world.sync(&[]).ok();
    us.set_flags(&found, "S"); // -F
    them.set_flags(&found, "FRS"); // +R
    world.sync(&[]).ok();
    world.assert_equal();
    let tree = Tree::read(&world.server().maildir());
    assert_eq!(tree.message("", found.uniq()).flags, b"RS");
    assert_eq!(tree.len(), 10);
}

#[test]
fn unknown_flags_and_what_follows_a_comma_are_carried_along() {
    let (world, mut us, _) = agreed(Link::Rsh, Spec::plain(10, 1));
    let found = us.list().remove(0);
    let found = us.set_flags(&found, "Sab");
    world.push(&[]).ok();
    world.assert_equal();
    let flags = || Tree::read(&world.server().maildir()).message("", found.uniq()).flags.clone();
    assert_eq!(flags(), b"Sab");
    let path = found.path(&world.client().maildir());
    let longer = [path.as_os_str().as_bytes(), b",U=5"].concat();
    std::fs::rename(&path, OsStr::from_bytes(&longer)).expect("renames");
    world.push(&[]).ok();
    world.assert_equal();
    assert_eq!(flags(), b"Sab,U=5");
}

#[test]
fn a_folder_of_1000_messages_moves_without_a_body_whoever_moves_it() {
    let (world, mut us, mut them) = agreed(Link::Rsh, Spec::plain(1_000, 1));
    for found in us.list() {
        us.move_to(&found, ".Moved here", true);
    }
    let pushed = world.sync(&["--json"]).ok();
    world.assert_equal();
    assert_eq!(
        (pushed.number("/pushed/moved"), pushed.steps() - pushed.number("/pushed/folders_made")),
        (1_000, 1_000),
        "{pushed}"
    );
    assert!(pushed.bytes() < 100 << 10, "{pushed}");

    them.rename_folder(".Moved here", ".Moved there");
    let pulled = world.sync(&["--json"]).ok();
    world.assert_equal();
    assert_eq!(pulled.number("/pulled/moved"), 1_000, "{pulled}");
    assert_eq!(pulled.deleted() + pulled.number("/pulled/new"), 0, "{pulled}");
    assert!(pulled.bytes() < 100 << 10, "{pulled}");
    assert!(!world.client().maildir().join(".Moved here").exists());
}

#[test]
fn different_edits_of_one_message_are_both_kept_and_the_server_keeps_the_name() {
    let (world, mut us, mut them) = agreed(Link::Rsh, Spec::plain(10, 1));
    let found = us.list().remove(0);
    us.edit_header(&found);
    them.edit_header(&found);
    let (ours, theirs) = (us.bytes(&found), them.bytes(&found));
    let outcome = world.sync(&["--json"]).ok();
    world.assert_equal();
    assert_eq!(outcome.json()["roots"][0]["conflicts"].as_array().map(Vec::len), Some(1), "{outcome}");
    let tree = Tree::read(&world.client().maildir());
    assert_eq!(tree.len(), 11);
    assert_eq!(tree.message("", found.uniq()).hash, tree::hash(&theirs));
    assert_eq!(tree.contents()[&(tree::hash(&ours), ours.len() as u64)], 1);
    assert_eq!(world.sync(&["--json"]).ok().steps(), 0);
}

#[test]
fn a_message_deleted_here_and_edited_there_comes_back_edited() {
    let (world, mut us, mut them) = agreed(Link::Rsh, Spec::plain(10, 1));
    let found = us.list().remove(0);
    us.delete(&found);
    them.edit_header(&found);
    let edited = them.bytes(&found);
    world.sync(&[]).ok();
    world.assert_equal();
    assert_eq!(Tree::read(&world.client().maildir()).message("", found.uniq()).hash, tree::hash(&edited));
}

#[test]
fn a_message_deleted_here_and_moved_there_stays_at_its_new_place() {
    let (world, mut us, mut them) = agreed(Link::Rsh, Spec::plain(10, 2));
    let found = us.find("", us.list()[0].uniq());
    us.delete(&found);
    them.move_to(&found, ".Archive.2024", false);
    world.sync(&[]).ok();
    world.assert_equal();
    assert_eq!(Tree::read(&world.client().maildir()).len(), 10);
}

#[test]
fn a_message_moved_on_both_sides_is_one_message_at_the_servers_place() {
    let (world, mut us, mut them) = agreed(Link::Rsh, Spec::plain(10, 1));
    let found = us.list().remove(0);
    us.move_to(&found, ".Ours", true);
    let theirs = them.move_to(&found, ".Theirs", true);
    world.sync(&[]).ok();
    world.assert_equal();
    let tree = Tree::read(&world.client().maildir());
    assert_eq!(tree.len(), 10);
    tree.message(".Theirs", theirs.uniq());
}

#[test]
fn a_change_of_flags_does_not_save_a_message_that_the_other_side_deleted() {
    let (world, mut us, mut them) = agreed(Link::Rsh, Spec::plain(10, 1));
    let found = us.list().remove(0);
    us.set_flags(&found, "FRS");
    them.delete(&found);
    world.sync(&[]).ok();
    world.assert_equal();
    assert_eq!(Tree::read(&world.client().maildir()).len(), 9);
}

#[test]
fn a_message_that_became_empty_is_given_back_its_bytes() {
    let (world, us, _) = agreed(Link::Rsh, Spec::plain(10, 1));
    let found = us.list().remove(0);
    let good = Tree::read(&world.server().maildir());
    let path = found.path(&world.client().maildir());
    std::fs::write(&path, b"").expect("the message can be emptied");
    world.sync(&["--scan", "stat"]);
    world.assert_equal();
    let now = Tree::read(&world.server().maildir());
    assert_eq!(now.message("", found.uniq()).hash, good.message("", found.uniq()).hash);
    assert_eq!(now.len(), 10);
}

#[test]
fn an_empty_folder_is_made_and_a_removed_one_is_removed_with_its_mail() {
    let (world, mut us, _) = agreed(Link::Rsh, Spec::plain(40, 4));
    us.make_folder(".Empty");
    us.remove_folder(".Archive.2024");
    world.sync(&[]).ok();
    world.assert_equal();
    let root = world.server().maildir();
    assert!(root.join(".Empty/cur").is_dir() && !root.join(".Archive.2024").exists());
}

#[test]
fn names_swapped_by_one_user_cost_no_bodies() {
    let (world, mut us, _) = agreed(Link::Rsh, Spec::plain(10, 2));
    let all = us.list();
    us.swap(&all[0], &all[1]);
    us.swap(&all[2], &all[7]);
    let outcome = world.sync(&["--json"]).ok();
    world.assert_equal();
    assert_eq!(outcome.number("/pushed/new"), 0, "{outcome}");
    assert_eq!(Tree::read(&world.server().maildir()).len(), 10);
}

#[test]
fn a_folder_removed_here_that_holds_a_file_of_others_there_is_made_again_in_the_same_run() {
    let (world, ..) = agreed(Link::Rsh, Spec::plain(10, 1));
    let here = world.client().maildir().join(".lists");
    let there = world.server().maildir().join(".lists");
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(here.join(part)).expect("a folder");
    }
    world.sync(&[]).ok();
    assert!(there.join("cur").is_dir());
    std::fs::write(there.join("notes.txt"), "mine").expect("a file");
    std::fs::remove_dir_all(&here).expect("removed");
    world.sync(&[]).ok().says("the folder .lists stays on both hosts").says("notes.txt");
    world.assert_equal();
    assert!(there.join("notes.txt").is_file() && here.join("cur").is_dir());
    // It never left the base, so there is nothing to agree on again.
    let written = || [world.client(), world.server()].map(|host| bases(&host.smd_home()));
    let before = written();
    world.sync(&["-v"]).ok().says("already in sync");
    assert!(written() == before, "a run with nothing to do wrote a base");
}
