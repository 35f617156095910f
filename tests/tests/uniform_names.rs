//! `smd-uniform-names`: the names that a first sync would give are shown, and given if asked.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use smd_tests::outcome::Outcome;
use smd_tests::stamps::Stamps;
use smd_tests::tree::{self, Tree};
use smd_tests::world::{Link, World, finish};

const MD5: &str = "7e33429f656f1e6e9d79b29c3f82c57e";

fn write(root: &Path, path: &str, bytes: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(&path, bytes).expect("a message");
    // A change of the time alone is not synchronised.
    let file = fs::File::options().write(true).open(&path).expect("a file");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1_234_567_890)).expect("a time");
}

/// Two Maildirs of the same mail, one with the names of OfflineIMAP.
fn two() -> World {
    let world = World::new(Link::Rsh);
    let (here, there) = (world.client().maildir(), world.server().maildir());
    for n in 0..30 {
        let folder = ["", ".Work/", ".it's a \"name\"/"][n % 3];
        let bytes = format!("Subject: {n}\n\nbody {n}\n");
        write(&here, &format!("{folder}cur/12{n}_0.7.laptop,U={n},FMD5={MD5}:2,S"), &bytes);
        write(&there, &format!("{folder}cur/17{n}.M{n}P1.office,S=20:2,FS"), &bytes);
    }
    // Duplicates, a message of the same name, one with another header, and one that is only here.
    for n in 0..2 {
        write(&here, &format!("new/dup{n},U=9"), "Subject: dup\n\nx\n");
        write(&there, &format!("cur/pud{n}:2,S"), "Subject: dup\n\nx\n");
    }
    write(&here, "cur/same:2,S", "Subject: same\n\nsame\n");
    write(&there, "cur/same:2,", "Subject: same\n\nsame\n");
    write(&here, "cur/header:2,S", "X-OfflineIMAP: 1\nSubject: h\n\nheader\n");
    write(&there, "cur/other:2,S", "Subject: h\n\nheader\n");
    write(&here, "cur/alone:2,S", "Subject: alone\n\nalone\n");
    world
}

fn uniform(world: &World, options: &[&str]) -> Outcome {
    finish(&mut world.prepare("smd-uniform-names", world.client(), options))
}

#[test]
fn the_plan_is_shown_and_nothing_is_changed() {
    let world = two();
    let before = Stamps::below(world.dir());
    let said = uniform(&world, &[]).ok();
    for text in
        ["32 of 35 messages here have another name", ".Work", "U=", "smd-strip-header -d", "OfflineIMAP", "mbsync"]
    {
        assert!(said.stdout.contains(text), "{text}\n{said}");
    }
    assert!(said.stdout.lines().all(|line| line.chars().count() <= 120), "{said}");
    let json = uniform(&world, &["--json"]).ok();
    let counts = &json.json()["roots"][0]["counts"];
    assert_eq!(
        ["here", "same", "renamed", "other_header", "elsewhere", "only_here"].map(|key| counts[key].as_u64()),
        [35, 1, 32, 1, 0, 1].map(Some)
    );
    before.assert_unchanged(world.dir());
}

#[test]
fn applied_the_names_are_the_servers_the_flags_ours_and_the_first_sync_transfers_no_equal() {
    let world = two();
    let contents = Tree::read(&world.client().maildir()).contents();
    uniform(&world, &["--apply"]).ok().says("Renamed 32 of 32");
    let here = Tree::read(&world.client().maildir());
    assert_eq!(here.contents(), contents);
    assert_eq!(here.message(".Work", b"171.M1P1.office,S=20").flags, b"S");
    assert_eq!(here.message("", b"pud0").place, tree::Place::New);
    uniform(&world, &["--apply"]).ok().says("0 of 35 messages here");
    let first = world.sync(&["--json"]).ok();
    // The one that is only here; the one that another program marked is the server's, and loses its mark.
    assert_eq!((first.number("/pulled/new"), first.number("/pushed/new")), (0, 1), "{first}");
    assert_eq!((first.number("/pulled/moved"), first.number("/pulled/replaced")), (1, 1), "{first}");
    assert_eq!(first.number("/pushed/moved") + first.number("/pushed/replaced"), 0, "{first}");
    world.assert_equal();
}

#[test]
fn the_script_does_the_same_whatever_the_names() {
    let world = two();
    let applied = two();
    uniform(&applied, &["--apply"]).ok();
    let script = uniform(&world, &["--script"]).ok().stdout;
    assert_eq!(script.lines().filter(|line| line.starts_with("mv -n -- ")).count(), 32, "{script}");
    let file = world.dir().join("rename.sh");
    fs::write(&file, &script).expect("a script");
    for _ in 0..2 {
        // A second time there is nothing to move, and nothing is overwritten.
        let _ = Command::new("sh").arg(&file).output().expect("sh");
        let names = |world: &World| tree::list(&world.client().maildir());
        assert_eq!(names(&world), names(&applied));
    }
}
