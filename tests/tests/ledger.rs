//! The bulk guard over a day: what runs removed counts with what the next one would, whoever ran; what survives elsewhere excuses
//! a delete; and once tripped it stands until a person has spoken.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use smd_tests::mail;
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::tree::{Found, Tree};
use smd_tests::user::User;
use smd_tests::world::{Host, Link, World, finish};

const GUARD: i32 = 3;

/// The clients agree with the server on this many messages in four folders.
fn agreed(clients: &[&str], messages: usize) -> World {
    let names: Vec<&str> = clients.iter().copied().chain(["office"]).collect();
    let world = World::with_hosts(Link::Rsh, &names);
    populate::populate(&world.server().maildir(), "first", Spec::plain(messages, 4), &mut Rng::from_env_or(17));
    for client in clients {
        world.run("smd-sync", world.host(client), &[]).ok();
    }
    world
}

fn user(host: &Host) -> User {
    User::new(&host.maildir(), "us", Rng::from_env_or(18))
}

/// Deletes so many of a host's messages, folder by folder.
fn delete(host: &Host, count: usize) {
    let mut user = user(host);
    user.list().iter().take(count).for_each(|found| user.delete(found));
}

fn left(host: &Host) -> usize {
    Tree::read(&host.maildir()).len()
}

/// Gives a message another body, by a new file in its place.
fn rewrite(root: &Path, found: &Found) {
    let path = found.path(root);
    let bytes = [fs::read(&path).expect("a message"), b"and more\n".to_vec()].concat();
    let beside = root.join("tmp/rewritten");
    fs::write(&beside, bytes).expect("a file");
    fs::rename(&beside, &path).expect("the message is rewritten");
}

/// Every file of a state directory with its bytes.
fn state(host: &Host) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![host.smd_home()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => dirs.push(path),
                false => drop(all.insert(path.display().to_string(), fs::read(&path).expect("a file"))),
            }
        }
    }
    all
}

#[test]
fn deletes_that_come_run_by_run_are_stopped_when_they_are_too_many_of_a_day_in_either_direction() {
    for here in [true, false] {
        let world = agreed(&["laptop"], 80);
        let (deleter, other) = if here { (world.client(), world.server()) } else { (world.server(), world.client()) };
        for done in 1..=2 {
            delete(deleter, 20);
            world.sync(&[]).ok();
            assert_eq!(left(other), 80 - 20 * done);
        }
        delete(deleter, 1);
        let stopped = world.sync(&[]).exits(GUARD).says("41 of 80 messages").says("with the 40 of the last 24 hours");
        assert_eq!(left(other), 40, "{stopped}");
        world.sync(&["--allow-bulk-delete"]).ok();
        world.assert_equal();
        // What was meant is not counted any more.
        delete(deleter, 19);
        world.sync(&[]).ok();
        assert_eq!(left(other), 20);
    }
}

#[test]
fn clients_of_one_server_are_counted_together_there() {
    let world = agreed(&["laptop", "tablet"], 60);
    delete(world.host("tablet"), 30);
    world.run("smd-sync", world.host("tablet"), &[]).ok();
    world.run("smd-pull", world.host("laptop"), &[]).ok();
    delete(world.host("laptop"), 1);
    world.run("smd-sync", world.host("laptop"), &[]).exits(GUARD).says("31 of 60 messages").says("at office");
    assert_eq!(left(world.server()), 30);
    // A guard that tripped is one client's; the other goes on with what it may do.
    user(world.host("tablet")).deliver("");
    world.run("smd-sync", world.host("tablet"), &[]).ok();
    assert_eq!(left(world.server()), 31);
}

#[test]
fn once_tripped_it_stands_until_a_person_speaks_or_nothing_is_left_to_remove() {
    for answer in ["--allow-bulk-delete", "--adopt", ""] {
        let world = agreed(&["laptop"], 40);
        let aside = world.dir().join("aside");
        let copy = |from: &Path, to: &Path| {
            let done = std::process::Command::new("cp").arg("-a").args([from, to]).status().expect("cp starts");
            assert!(done.success());
        };
        copy(&world.client().maildir(), &aside);
        delete(world.client(), 25);
        world.sync(&[]).exits(GUARD).says("25 of 40 messages");
        // Most come back; the rest would not have tripped it.
        copy(&aside.join("."), &world.client().maildir());
        delete(world.client(), 3);
        user(world.client()).deliver("");
        let stands = world.sync(&[]).exits(GUARD).says("stands").says("3 messages are");
        assert_eq!(left(world.server()), 41, "new mail passes\n{stands}");
        world.sync(&["-d"]).exits(GUARD);
        world.pull(&[]).ok();
        world.sync(&[]).exits(GUARD);
        let expected = match answer {
            "" => {
                copy(&aside.join("."), &world.client().maildir());
                41
            }
            "--adopt" => 41,
            _ => 38,
        };
        world.sync(&[answer].map(|word| if word.is_empty() { "-q" } else { word })).ok();
        world.assert_equal();
        assert_eq!(left(world.server()), expected, "{answer}");
        delete(world.client(), 2);
        world.sync(&[]).ok();
        assert_eq!(left(world.server()), expected - 2, "{answer}");
    }
}

#[test]
fn all_of_a_folder_that_stays_is_asked_about_and_a_trash_may_be_emptied() {
    let world = agreed(&["laptop"], 200);
    let mut user = user(world.client());
    for folder in [".Lists", ".Trash"] {
        user.make_folder(folder);
        (0..25).for_each(|_| drop(user.deliver(folder)));
    }
    world.sync(&[]).ok();
    let empty = |user: &mut User, folder: &str| {
        let all: Vec<Found> = user.list().into_iter().filter(|found| found.folder == Path::new(folder)).collect();
        assert_eq!(all.len(), 25);
        all.iter().for_each(|found| user.delete(found));
    };
    empty(&mut user, ".Trash");
    world.sync(&[]).ok();
    assert_eq!(left(world.server()), 225);
    empty(&mut user, ".Lists");
    world.sync(&[]).exits(GUARD).says("/.Lists: 25 of 25 messages");
    assert_eq!(left(world.server()), 225);
}

#[test]
fn messages_saved_elsewhere_by_a_program_that_adds_a_header_are_moved_and_no_alarm() {
    let world = agreed(&["laptop"], 40);
    let mut user = user(world.client());
    user.make_folder(".Saved");
    for found in user.list() {
        let bytes =
            mail::with_header_line(&user.bytes(&found), &format!("Content-Length: {}", user.bytes(&found).len()));
        user.deliver_bytes(".Saved", &bytes);
        user.delete(&found);
    }
    let dry = world.sync(&["-d", "-v"]).ok().says("with another header");
    assert!(dry.stdout.contains("move 40 messages"), "{dry}");
    let saved = world.sync(&["--json"]).ok();
    assert_eq!((saved.number("/pushed/moved"), saved.deleted()), (40, 0), "{saved}");
    world.assert_equal();
    assert_eq!(left(world.server()), 40);
    // The copies excused the originals; they cannot excuse themselves.
    user.list().iter().for_each(|found| user.delete(found));
    world.sync(&[]).exits(GUARD);
    assert_eq!(left(world.server()), 40);
}

#[test]
fn a_dry_run_reads_the_ledger_and_writes_nothing() {
    let world = agreed(&["laptop"], 50);
    delete(world.client(), 20);
    world.sync(&[]).ok();
    delete(world.client(), 10);
    let before = [world.client(), world.server()].map(state);
    world.sync(&["-d"]).exits(GUARD).says("30 of 50 messages");
    assert_eq!([world.client(), world.server()].map(state), before);
    world.sync(&["-d", "--allow-bulk-delete"]).ok();
    assert_eq!([world.client(), world.server()].map(state), before);
    world.sync(&[]).exits(GUARD);
}

#[test]
fn other_headers_are_no_removals_and_other_bodies_are() {
    let world = agreed(&["laptop"], 40);
    let root = world.client().maildir();
    let mut us = user(world.client());
    us.list().iter().for_each(|found| us.edit_header(found));
    world.sync(&[]).ok();
    world.assert_equal();
    us.list().iter().take(21).for_each(|found| rewrite(&root, found));
    let stopped: Outcome = world.sync(&[]).exits(GUARD).says("21 of 40 messages");
    assert_ne!(Tree::read(&root), Tree::read(&world.server().maildir()), "{stopped}");
}

#[test]
fn a_config_cannot_disarm_the_guard() {
    let world = agreed(&["laptop"], 10);
    for key in ["SMDCLIENTOPTS", "SMDSERVEROPTS"] {
        let text = format!("SERVERNAME=office\nMAILBOX=Maildir\n{key}=--allow-bulk-delete\n");
        fs::write(world.client().smd_home().join("config.default"), text).expect("a config");
        finish(&mut world.command("smd-sync", world.client())).exits(78).says("line 3").says("MAX_DELETE");
    }
}

/// Builds a library that sets the wall clock of a program ahead by `SMD_TEST_CLOCK` seconds, and no other clock of it.
fn wrong_clock(dir: &Path) -> std::path::PathBuf {
    let (source, library) = (dir.join("clock.c"), dir.join("clock.so"));
    let text = "#define _GNU_SOURCE\n#include <stdlib.h>\n#include <sys/syscall.h>\n#include <time.h>\n#include <unistd.h>\n\
                int clock_gettime(clockid_t id, struct timespec *now) {\n\
                  long said = syscall(SYS_clock_gettime, id, now);\n\
                  const char *ahead = getenv(\"SMD_TEST_CLOCK\");\n\
                  if (said == 0 && id == CLOCK_REALTIME && ahead) now->tv_sec += atol(ahead);\n\
                  return (int)said;\n}\n";
    fs::write(&source, text).expect("a file");
    let built = std::process::Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(built.expect("there is a C compiler").success());
    library
}

#[test]
fn a_wall_clock_that_was_wrong_once_sweeps_nothing_that_was_buried_minutes_ago() {
    const DAY: i64 = 86_400;
    let world = agreed(&["laptop"], 100);
    let library = wrong_clock(world.dir());
    let (here, there) = (world.client().maildir(), world.dir().join("copy"));
    let sync = |ahead: i64| {
        let mut command = world.command("smd-sync", world.client());
        command.args([&here, &there]).env("LD_PRELOAD", &library).env("SMD_TEST_CLOCK", ahead.to_string());
        finish(&mut command).ok()
    };
    sync(0);
    for (runs, ahead) in [-10 * DAY, 0, 40 * DAY, 0].into_iter().enumerate() {
        let gone = world.dir().join("copy");
        let mut user = User::new(&gone, "us", Rng::from_env_or(19));
        user.list().iter().take(3).for_each(|found| user.delete(found));
        sync(ahead);
        let undo = finish(world.command("smd-undo", world.client()).arg("--json")).ok().json();
        let resting: u64 =
            undo["runs"].as_array().expect("runs").iter().map(|run| run["deleted"].as_u64().unwrap_or(0)).sum();
        assert_eq!(resting, 3 * (runs as u64 + 1), "after a clock {ahead} s ahead: {undo}");
    }
}

#[test]
fn what_rests_in_a_grave_of_its_root_stays_when_the_age_clock_is_lost_and_the_wall_clock_wrong() {
    const DAY: i64 = 86_400;
    for ahead in [-400 * DAY, 40 * DAY] {
        let world = agreed(&["laptop"], 100);
        let library = wrong_clock(world.dir());
        let (here, there) = (world.client().maildir(), world.dir().join("copy"));
        let sync = |ahead: i64| {
            let mut command = world.command("smd-sync", world.client());
            command.args([&here, &there]).env("LD_PRELOAD", &library).env("SMD_TEST_CLOCK", ahead.to_string());
            finish(&mut command).ok()
        };
        sync(0);
        // A grave that lies in the root, as when the state directory is on another file system.
        fs::create_dir(here.join("..smd-grave")).expect("a grave");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let buried = here.join("..smd-grave").join(format!("{now}.run.{now:x}-1-1-1-0.k"));
        fs::write(&buried, "mail").expect("a burial");
        for (run, ahead) in [ahead, 0, 40 * DAY].into_iter().enumerate() {
            drop(fs::remove_file(world.client().smd_home().join("age-clock")));
            let mut user = User::new(&there, "us", Rng::from_env_or(23));
            user.list().iter().take(3).for_each(|found| user.delete(found));
            sync(ahead);
            assert!(buried.exists(), "run {run}, with a clock {ahead} s ahead");
        }
    }
}

#[test]
fn messages_saved_in_another_root_of_the_endpoint_are_no_alarm() {
    let world = agreed(&["laptop"], 40);
    for host in [world.client(), world.server()] {
        populate::make_folder(&host.home.join("Archive"), Path::new(""));
    }
    let rsh = world.rsh_script();
    let text = format!("SERVERNAME=office\nCLIENTNAME=laptop\nSSH='{}'\nMAILBOX='Maildir Archive'\n", rsh.display());
    fs::write(world.client().smd_home().join("config.default"), text).expect("a config");
    let sync = || finish(&mut world.command("smd-sync", world.client()));
    sync().ok();
    let mut user = user(world.client());
    let mut archive = User::new(&world.client().home.join("Archive"), "archive", Rng::from_env_or(22));
    for found in user.list() {
        archive.deliver_bytes("", &mail::with_header_line(&user.bytes(&found), "Status: RO"));
        user.delete(&found);
    }
    sync().ok();
    assert_eq!(left(world.server()), 0);
    assert_eq!(Tree::read(&world.server().home.join("Archive")).len(), 40);
    // What is in no root any more is a loss again.
    archive.list().iter().for_each(|found| archive.delete(found));
    sync().exits(GUARD);
    assert_eq!(Tree::read(&world.server().home.join("Archive")).len(), 40);
}
