//! `mddiff`: what changed since a snapshot, in commands that a script can carry out.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::stamps::Stamps;
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

fn mddiff(world: &World, options: &[&str]) -> Outcome {
    finish(world.command("mddiff", world.client()).args(options))
}

/// Takes the new snapshot for the old one.
fn accept(world: &World) {
    let home = &world.client().home;
    fs::rename(home.join("db.txt.new"), home.join("db.txt")).expect("a new snapshot");
}

/// How often each command was printed.
fn commands(outcome: &Outcome) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in outcome.stdout.lines() {
        *counts.entry(line.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

fn only(word: &str, count: usize) -> BTreeMap<String, usize> {
    [(word.to_owned(), count)].into()
}

#[test]
fn the_folders_of_a_directory_are_listed_and_nothing_is_written() {
    let world = World::new(Link::Local);
    let maildir = world.client().maildir();
    for folder in ["", ".Work", "Lists/a b", ".Spam"] {
        populate::make_folder(&maildir, std::path::Path::new(folder));
    }
    let before = Stamps::below(&world.client().home);
    let listed = mddiff(&world, &["-l", "Maildir", "--exclude", "Maildir/.Spam/*"]).ok();
    assert_eq!(listed.stdout, "Maildir\nMaildir/.Work\nMaildir/Lists/a%20b\n");
    let json = mddiff(&world, &["-l", "--json", "Maildir/Lists"]).ok();
    assert_eq!(json.stdout, "{\"folder\":\"Maildir/Lists/a b\"}\n");
    mddiff(&world, &["-l", "nowhere"]).exits(1).says("ERROR cannot open nowhere");
    before.assert_unchanged(&world.client().home);
}

#[test]
fn changes_since_the_last_snapshot_are_told_once() {
    let world = World::new(Link::Local);
    let rng = Rng::from_env_or(44);
    populate::populate(
        &world.client().maildir(),
        "first",
        Spec { odd: true, ..Spec::plain(120, 12) },
        &mut rng.fork(0),
    );
    assert_eq!(commands(&mddiff(&world, &["Maildir"]).ok()), only("ADD", 120));
    assert_eq!(commands(&mddiff(&world, &["Maildir/"]).ok()), only("ADD", 120));
    accept(&world);
    mddiff(&world, &["Maildir"]).ok().silent();
    let listed = mddiff(&world, &["-l"]).ok();
    assert_eq!(commands(&listed), only("ADD", 120));
    assert!(listed.stdout.lines().all(|line| line.split(' ').count() == 4), "{listed}");
    let mut us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let all = us.list();
    us.delete(&all[40]);
    us.edit_header(&all[50]);
    us.move_to(&all[60], "Elsewhere", true);
    let before = Stamps::below(&world.client().home);
    let dry = mddiff(&world, &["-d", "Maildir"]).ok();
    before.assert_unchanged(&world.client().home);
    assert_eq!(commands(&mddiff(&world, &["--no-delete", "Maildir"]).ok()).get("DELETE"), None);
    accept(&world);
    // What was not told is told the next time.
    assert_eq!(commands(&mddiff(&world, &["Maildir"]).ok()), only("DELETE", 1));
    let counts = commands(&dry);
    assert_eq!((counts.get("DELETE"), counts.get("MOVE")), (Some(&1), Some(&1)), "{dry}");
    accept(&world);
    mddiff(&world, &["Maildir"]).ok().silent();
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_a_delete() {
    let world = World::new(Link::Local);
    let mail = world.client().maildir();
    populate::populate(&mail, "first", Spec::plain(30, 3), &mut Rng::from_env_or(45));
    mddiff(&world, &["Maildir"]).ok();
    accept(&world);
    if rustix::process::geteuid().is_root() {
        // Root reads everything: a folder in whose place is something else will do.
        fs::rename(mail.join("Work/cur"), world.dir().join("aside")).expect("it is moved");
        std::os::unix::fs::symlink(world.dir().join("aside"), mail.join("Work/cur")).expect("a link");
    } else {
        fs::set_permissions(mail.join("Work"), fs::Permissions::from_mode(0o000)).expect("a mode");
    }
    let said = mddiff(&world, &["Maildir"]).exits(1);
    assert!(said.stdout.starts_with("ERROR ") && !said.stdout.contains("DELETE"), "{said}");
    accept(&world);
    assert_eq!(commands(&mddiff(&world, &["-l"]).ok()), only("ADD", 30));
    let said = mddiff(&world, &["None"]).exits(1);
    assert_eq!(commands(&said), only("ERROR", 1));
    mddiff(&world, &[]).exits(2);
    fs::set_permissions(mail.join("Work"), fs::Permissions::from_mode(0o700)).expect("a mode");
    // What is no snapshot is not taken for an empty one.
    fs::write(world.client().home.join("db.txt"), "something else\n").expect("a file");
    assert_eq!(commands(&mddiff(&world, &["Maildir"]).exits(1)), only("ERROR", 1));
}

#[test]
fn an_excluded_folder_is_forgotten_and_two_snapshots_are_compared() {
    let world = World::new(Link::Local);
    let mail = world.client().maildir();
    populate::populate(&mail, "first", Spec::plain(30, 3), &mut Rng::from_env_or(46));
    mddiff(&world, &["Maildir"]).ok();
    accept(&world);
    mddiff(&world, &["--exclude", "Maildir/Work", "Maildir"]).ok().silent();
    accept(&world);
    assert_eq!(commands(&mddiff(&world, &["-l"]).ok()), only("ADD", 20));
    assert_eq!(commands(&mddiff(&world, &["Maildir"]).ok()), only("ADD", 10));
    let aside = world.dir().join("aside");
    assert!(std::process::Command::new("cp").arg("-a").args([&mail, &aside]).status().expect("cp").success());
    let between = |options: &[&str]| {
        let options = [options, &["--between", "Maildir", aside.to_str().expect("ASCII")]].concat();
        mddiff(&world, &options).ok()
    };
    between(&[]).silent();
    fs::remove_dir_all(aside.join("Work")).expect("it goes");
    fs::write(aside.join("new/added"), "A: 1\n\nx").expect("a message");
    let said = between(&[]);
    assert_eq!(commands(&said), [("ADD".to_owned(), 1), ("DELETE".to_owned(), 10)].into());
    assert!(said.stdout.contains("ADD new/added "), "{said}");
    assert_eq!(between(&["--json", "-n"]).stdout.lines().count(), 1);
    assert_eq!(mddiff(&world, &["--between", "db.txt", "db.txt.new"]).ok().stdout.lines().count(), 10);
}
