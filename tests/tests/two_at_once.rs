//! Runs started at the same instant: one works, the others wait or say that they could not.

use std::process::Stdio;
use std::sync::Barrier;
use std::thread;

use smd_protocol::wire::{FromClient, FromServer};
use smd_protocol::{Folder, Step};
use smd_tests::hostile::{Client, hello};
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::processes::wait_until;
use smd_tests::rng::Rng;
use smd_tests::tree::Tree;
use smd_tests::user::User;
use smd_tests::world::{Link, World};

const LOCKED: i32 = 75;

/// Starts one program at each of these clients at the same instant.
fn at_once(world: &World, clients: &[&str], program: &str) -> Vec<Outcome> {
    let barrier = Barrier::new(clients.len());
    thread::scope(|scope| {
        let runs: Vec<_> = clients
            .iter()
            .map(|name| {
                let mut command = world.prepare(program, world.host(name), &[]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                let barrier = &barrier;
                scope.spawn(move || {
                    let line = format!("{command:?}");
                    barrier.wait();
                    let output = command.output().expect("the program can be started");
                    Outcome::new(line, &output)
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().expect("the thread ends")).collect()
    })
}

#[test]
fn of_two_runs_at_the_same_instant_one_works_and_nothing_is_harmed_20_times() {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(20);
    populate::populate(&world.server().maildir(), "first", Spec::plain(200, 5), &mut rng.fork(0));
    let mut us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let mut them = User::new(&world.server().maildir(), "them", rng.fork(2));
    for round in 0..20 {
        let outcomes = at_once(&world, &["laptop", "laptop"], ["smd-sync", "smd-pull"][round % 2]);
        for outcome in &outcomes {
            assert!([0, LOCKED].contains(&outcome.code), "round {round}\n{outcome}");
            assert!(outcome.code == 0 || !outcome.stderr.is_empty(), "who could not run says so\n{outcome}");
        }
        assert!(outcomes.iter().any(|outcome| outcome.code == 0), "round {round}: one of them works");
        world.sync(&[]).ok();
        world.assert_equal();
        let expected = 200 + 2 * round;
        assert_eq!(Tree::read(&world.server().maildir()).len(), expected, "round {round}");
        us.deliver("");
        them.deliver("");
        let found = us.any();
        us.set_flags(&found, "FS");
    }
}

#[test]
fn three_clients_that_reach_one_server_at_the_same_instant_do_no_harm() {
    let names = ["laptop", "desktop", "phone"];
    let world = World::with_hosts(Link::Rsh, &["laptop", "desktop", "phone", "office"]);
    let rng = Rng::from_env_or(21);
    populate::populate(&world.server().maildir(), "first", Spec::plain(100, 3), &mut rng.fork(0));
    let mut users: Vec<User> = names
        .iter()
        .enumerate()
        .map(|(n, name)| User::new(&world.host(name).maildir(), name, rng.fork(n as u64 + 1)))
        .collect();
    for round in 0..5 {
        for outcome in at_once(&world, &names, "smd-sync") {
            // What another client installed meanwhile may leave a step for the next run.
            assert!([0, 1, LOCKED].contains(&outcome.code), "round {round}\n{outcome}");
        }
        for user in &mut users {
            user.deliver("");
        }
    }
    for name in names.iter().chain(&names) {
        world.run("smd-sync", world.host(name), &[]).ok();
    }
    world.assert_equal();
    let tree = Tree::read(&world.server().maildir());
    assert_eq!(tree.len(), 100 + 5 * names.len());
    assert!(tree.contents().values().all(|count| *count == 1), "no content is there twice");
}

#[test]
fn a_client_that_says_nothing_more_within_a_batch_keeps_nobody_from_the_root() {
    let world = World::new(Link::Rsh);
    populate::populate(&world.server().maildir(), "first", Spec::plain(20, 3), &mut Rng::from_env_or(1600));
    world.sync(&[]).ok();

    let slow = Client::at(&world, world.server());
    slow.open(&hello(b"Maildir")).expect("a root");
    let folder = Folder::from_components([&b"slow"[..]]).expect("it is one");
    slow.say(&FromClient::Batch { root: 0, steps: vec![Step::MakeFolder(folder)], fetch: Vec::new() });
    slow.say(&FromClient::BatchReady { root: 0 });
    let made = world.server().maildir().join("slow/cur");
    wait_until("the batch begins", || made.is_dir().then_some(()));

    let mut us = User::new(&world.client().maildir(), "us", Rng::from_env_or(1601));
    us.deliver("");
    world.sync(&[]).ok();
    world.assert_equal();
    slow.say(&FromClient::BatchEnd { root: 0 });
    slow.until(|said| matches!(said, FromServer::BatchDone { root: 0 }).then_some(())).expect("it is waited for");
    slow.say(&FromClient::Bye);
    slow.end().ok();
}
