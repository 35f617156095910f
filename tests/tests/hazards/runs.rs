//! Runs that meet, are cut, find damaged state, have a conflict, or only look.

use std::fs;
use std::process::{Child, Stdio};

use rustix::process::Signal;
use smd_tests::mail;
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::processes::{children, is_stopped, kill, runs, signal, wait_until};
use smd_tests::rng::Rng;
use smd_tests::stamps::{Stamps, bases};
use smd_tests::tree::{self, Tree};
use smd_tests::user::User;
use smd_tests::world::{Host, Link, World};

const TERMINATED: i32 = 143;

/// Waits until a stopped process really stands still.
#[track_caller]
fn stop(pid: u32) {
    assert!(signal(pid, Signal::STOP), "the process runs");
    wait_until("a process stands still", || is_stopped(pid).then_some(()));
}

/// Whether a process has one of our locks open.
fn is_at_a_lock(pid: u32) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|path| path.to_string_lossy().contains("/lock"))
}

fn start(world: &World, program: &str) -> Child {
    let mut command = world.prepare(program, world.client(), &[]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the client starts")
}

#[track_caller]
fn end(child: Child, what: &str) -> Outcome {
    Outcome::new(what.to_owned(), &child.wait_with_output().expect("the client ends"))
}

#[test]
fn a_second_start_changes_nothing_of_the_first() {
    let world = World::new(Link::Local);
    let mut rng = Rng::from_env_or(51);
    let (here, there) = (world.client().maildir(), world.server().maildir());
    populate::populate(&there, "first", Spec::plain(40, 4), &mut rng.fork(1));
    world.sync(&[]).ok();
    User::new(&here, "us", rng.fork(2)).deliver_bytes("", &mail::big("large", 48 << 20, &mut rng));

    let first = start(&world, "smd-sync");
    wait_until("a part of the message arrives", || {
        let staged = fs::read_dir(there.join("tmp")).expect("tmp/ can be read").flatten();
        let begun = staged.filter_map(|entry| entry.metadata().ok()).any(|meta| meta.len() > 0);
        (begun || !runs(first.id())).then_some(())
    });
    let both = [first.id(), *children(first.id()).first().expect("the first run is at work")];
    both.into_iter().for_each(stop);
    // Both hosts have one home and one state here; the client's home holds its root as well.
    let before = [world.client(), world.server()].map(|host: &Host| Stamps::below(&host.home));
    for program in ["smd-sync", "smd-pull", "smd-push"] {
        let second = start(&world, program);
        wait_until("the second is at the lock", || (is_at_a_lock(second.id()) || !runs(second.id())).then_some(()));
        assert!(signal(second.id(), Signal::TERM), "the second waits");
        end(second, program).exits(TERMINATED);
        for (stamps, host) in before.iter().zip([world.client(), world.server()]) {
            stamps.assert_unchanged_but_for_the_log(&host.home);
        }
    }
    both.into_iter().for_each(|pid| assert!(signal(pid, Signal::CONT), "the first goes on"));
    end(first, "the first").ok();
    world.assert_equal();
    assert_eq!(Tree::read(&there).len(), 41);
}

#[test]
fn an_interrupted_first_run_goes_on() {
    let world = World::new(Link::Rsh);
    let mut rng = Rng::from_env_or(52);
    let mut them = User::new(&world.server().maildir(), "them", rng.fork(1));
    // The first 64 MiB are committed before the rest is begun.
    let sizes = [24 << 20; 5];
    for (number, size) in sizes.into_iter().enumerate() {
        them.deliver_bytes("", &mail::big(&format!("big.{number}"), size, &mut rng));
    }
    let first = start(&world, "smd-sync");
    let committed = || !bases(&world.client().smd_home()).is_empty() || !runs(first.id());
    wait_until("something is committed", || committed().then_some(()));
    assert!(kill(first.id()), "the first run is not at its end");
    assert_ne!(end(first, "the first").code, 0);
    let arrived = Tree::read(&world.client().maildir()).len();
    assert!((1..sizes.len()).contains(&arrived), "{arrived} messages arrived");
    let second = world.sync(&["--json"]).ok();
    world.assert_equal();
    assert_eq!(second.number("/pulled/new"), (sizes.len() - arrived) as u64, "{second}");
    let rest: usize = sizes[arrived..].iter().sum();
    assert!(second.bytes() < rest as u64 + (1 << 20), "what had arrived came again\n{second}");
    assert!(Tree::read(&world.client().maildir()).contents().values().all(|count| *count == 1));
}

/// What a power cut leaves of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Zeros,
    Nothing,
    Half,
}

#[test]
fn state_full_of_zeros_or_cut_is_damage_and_never_an_empty_mailbox() {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(53);
    populate::populate(&world.server().maildir(), "first", Spec::plain(60, 3), &mut rng.fork(1));
    world.sync(&[]).ok();
    let mut us = User::new(&world.client().maildir(), "us", rng.fork(2));
    let mut count = 60;
    for left in [Left::Zeros, Left::Nothing, Left::Half] {
        for host in [world.client(), world.server()] {
            for path in damaged(host) {
                let bytes = fs::read(&path).expect("a state file can be read");
                let bytes = match left {
                    Left::Zeros => vec![0; bytes.len()],
                    Left::Nothing => Vec::new(),
                    Left::Half => bytes[..bytes.len() / 2].to_vec(),
                };
                fs::write(&path, bytes).expect("a state file can be damaged");
            }
            us.deliver("");
            count += 1;
            let run = world.sync(&["--json"]).ok();
            world.assert_equal();
            assert_eq!(run.deleted(), 0, "{left:?} {}\n{run}", host.name);
            assert_eq!(Tree::read(&host.maildir()).len(), count, "{left:?} {}\n{run}", host.name);
        }
    }
}

/// The files that say what was agreed and what was seen.
fn damaged(host: &Host) -> Vec<std::path::PathBuf> {
    let chosen = smd_tests::stamps::files(&host.smd_home(), |path| path.to_string_lossy().contains(".db.txt"));
    assert!(chosen.len() > 1, "a base and a cache: {:?}", chosen.keys());
    chosen.into_keys().collect()
}

#[test]
fn a_conflict_stops_nothing_and_asks_nobody() {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(54);
    populate::populate(&world.server().maildir(), "first", Spec::plain(40, 4), &mut rng.fork(0));
    world.sync(&[]).ok();
    let mut us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let mut them = User::new(&world.server().maildir(), "them", rng.fork(2));
    let all = us.list();
    for found in &all[..3] {
        us.edit_header(found);
        them.edit_header(found);
    }
    us.delete(&all[10]);
    them.delete(&all[11]);
    us.move_to(&all[12], "Work", true);
    us.deliver("");
    let read = them.read(&all[13]);
    them.deliver("Work");
    let run = world.sync(&[]).ok().says("kept");
    world.assert_equal();
    for command in ["mv ", "rm ", "cp "] {
        assert!(!run.stdout.contains(command) && !run.stderr.contains(command), "a person is sent to {command}\n{run}");
    }
    let tree = Tree::read(&world.client().maildir());
    assert_eq!(tree.len(), 40 + 3 - 2 + 2, "three are kept twice, two went, two came");
    assert_eq!(tree.message(&read.folder, read.uniq()).hash, tree::hash(&them.bytes(&read)));
    world.sync(&[]).ok().silent();
}

#[test]
fn a_dry_run_of_thousands_of_messages_fits_a_screen_and_shows_each_deletion() {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(55);
    populate::populate(&world.server().maildir(), "first", Spec::plain(200, 4), &mut rng.fork(0));
    world.sync(&[]).ok();
    populate::populate(&world.server().maildir(), "second", Spec::plain(3_000, 4), &mut rng.fork(1));
    let mut us = User::new(&world.client().maildir(), "us", rng.fork(2));
    let gone = us.list()[50..55].to_vec();
    gone.iter().for_each(|found| us.delete(found));
    let mut dry = world.sync(&["-d"]).ok();
    assert!(dry.stdout.lines().count() <= 24, "{} lines\n{dry}", dry.stdout.lines().count());
    for found in &gone {
        dry = dry.says(&String::from_utf8_lossy(found.uniq()));
    }
}
