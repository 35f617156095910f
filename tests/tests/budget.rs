//! How much a restricted key may remove: a thief who has it, its owner's own clients, and what brings all of it back.

use std::process::Command;

use smd_protocol::step::Dress;
use smd_protocol::{Flags, Folder, Name, Place, Step, Uniq};
use smd_tests::hostile::{Client, hello};
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::tree::{Found, Tree, assert_same, list};
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

fn world(link: Link, messages: usize) -> World {
    let world = World::new(link);
    populate::populate(&world.server().maildir(), "first", Spec::plain(messages, 3), &mut Rng::from_env_or(90));
    world
}

fn at_server(world: &World, program: &str, options: &[&str]) -> Outcome {
    finish(world.command(program, world.server()).args(options))
}

fn name(found: &Found) -> Name {
    let folder = Folder::parse(found.folder.as_os_str().as_encoded_bytes()).expect("a folder");
    Name::new(&folder, &Uniq::parse(found.uniq()).expect("a uniq"))
}

/// Deletes three messages of four, and moves the fourth away.
fn harm(nth: usize, found: &Found) -> Step {
    let from = name(found);
    match nth % 4 {
        3 => {
            let flags = Flags::from_letters(std::str::from_utf8(&found.flags()).expect("letters"));
            let to = Name::new(&Folder::parse(b".Away").expect("a folder"), &from.uniq);
            Step::Move { from, to, dress: Dress { place: Place::Cur, flags } }
        }
        _ => Step::Delete(from),
    }
}

#[test]
fn fifty_sessions_of_a_stolen_key_remove_no_more_than_its_budget_over_a_real_sshd_and_undo_brings_all_of_it_back() {
    let world = world(Link::Ssh, 200);
    world.sync(&[]).ok();
    world.restrict("key", "--root Maildir --client laptop");
    let before = Tree::read(&world.server().maildir());
    let all = list(&world.server().maildir());
    let (mut removed, mut moved) = (0, 0);
    for (session, some) in all.chunks(4).enumerate() {
        assert!(session < 50);
        let mut command = Command::new("ssh");
        command.arg("-F").arg(world.dir().join("sshd/ssh_config")).args(["key", "smd-server"]);
        let thief = Client::by(command, false);
        let stranger = smd_protocol::wire::ClientHello { client: format!("thief{session}"), ..hello(b"Maildir") };
        thief.open(&stranger).expect("it is served");
        let mut steps = vec![Step::MakeFolder(Folder::parse(b".Away").expect("a folder"))];
        steps.extend(some.iter().enumerate().map(|(nth, found)| harm(nth, found)));
        let failed = thief.batch(steps, &[]).expect("the batch goes on").len();
        removed += 3 - failed;
        moved += 1;
        thief.end();
    }
    let left = Tree::read(&world.server().maildir());
    // A tenth of 200, whoever the thief says that it is; and moves are free.
    assert_eq!((removed, moved, left.len()), (20, 50, 180));
    // The owner hears it from a run that changes nothing, and once from one that ends.
    let says = "laptop removed 20 messages, and its budget met its end";
    for options in [&["--dry-run"][..], &["--dry-run"], &[]] {
        world.sync(options).says(says).says("smd-undo --by laptop");
    }
    at_server(&world, "smd-undo", &["--by", "laptop", "-l"]).ok().says("moved");
    assert_same(&left, &Tree::read(&world.server().maildir()));
    at_server(&world, "smd-undo", &["--by", "laptop"])
        .ok()
        .says("brought back 20 messages")
        .says("moved 50 messages back");
    let after = Tree::read(&world.server().maildir());
    assert_eq!(after.contents(), before.contents());
    let differences = before.differences(&after);
    assert!(differences.iter().all(|line| line.contains("Away")), "{differences:?}");
    at_server(&world, "smd-undo", &["--by", "laptop"]).ok().says("50 were as before already");
    at_server(&world, "smd-undo", &["--by", "lapto"]).exits(2).says("laptop");
    let next = world.sync(&[]).ok();
    assert!(!next.to_string().contains("laptop removed"), "{next}");
    world.assert_equal();
}

#[test]
fn a_client_whose_budget_is_spent_waits_says_what_lifts_it_and_goes_on_when_it_is_lifted() {
    let world = world(Link::Rsh, 60);
    let key = world.restrict("key", "--root Maildir --client laptop --max-remove 5");
    let sync = |options: &[&str]| {
        let mut command = world.command("smd-sync", world.client());
        finish(command.args(&key).args(options).arg(world.client().maildir()).arg("key:Maildir"))
    };
    at_server(&world, "smd-allow", &["laptop", "5"]).exits(2).says("no restricted key");
    sync(&[]).ok();
    let mut us = User::new(&world.client().maildir(), "us", Rng::from_env_or(91));
    let all = us.list();
    all[..7].iter().for_each(|found| us.delete(found));
    all[7..9].iter().for_each(|found| drop(us.set_flags(found, "ST")));
    all[9..20].iter().for_each(|found| drop(us.move_to(found, ".Archive", true)));
    let first = sync(&[]).exits(3).says("smd-allow laptop 1000 --for 1h").says("4 messages wait");
    assert!(first.to_string().contains("as much as it may within 24 hours until 2"), "{first}");
    // Moves were free, and nothing of what waits is tried.
    let again = sync(&["--json"]).exits(3);
    assert_eq!((again.number("/held/budget"), again.steps(), again.number("/pushed/moved")), (4, 0, 0), "{again}");
    let next = us.deliver("");
    let third = sync(&["--json"]).exits(3);
    assert_eq!((third.number("/pushed/new"), third.number("/held/budget")), (1, 4), "{third}");
    us.read(&next);

    at_server(&world, "smd-allow", &["lapto", "5"]).exits(2).says("laptop");
    at_server(&world, "smd-allow", &["laptop", "5000", "--for", "1h"]).ok().says("laptop may remove 5000 more");
    sync(&[]).ok();
    assert_same(&Tree::read(&world.client().maildir()), &Tree::read(&world.server().maildir()));
    at_server(&world, "smd-allow", &[]).ok().says("laptop removed 9 messages within 24 hours");
    at_server(&world, "smd-allow", &["laptop", "0"]).ok().says("no more than its budget");
    let found = us.any();
    us.delete(&found);
    sync(&[]).exits(3);
    // Another key is another matter.
    let key = world.restrict("other", "--root Maildir --client phone --max-remove 0");
    let other = || {
        let mut command = world.command("smd-sync", world.client());
        finish(command.args(&key).arg(world.client().maildir()).arg("other:Maildir"))
    };
    other().ok();
    us.delete(&us.list()[0].clone());
    other().exits(3).says("smd-allow phone 1000 --for 1h");
}
