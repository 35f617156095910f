//! `smd-dedup`: doubles that another program made are shown, then buried, on both hosts after a sync, and come back.

use std::fs;
use std::path::{Path, PathBuf};

use smd_tests::mail;
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::tree::{self, Found, Tree};
use smd_tests::world::{Host, Link, World, finish};

const GUARD: i32 = 3;

/// Two hosts that agree on so many messages in one folder.
fn agreed(messages: usize) -> World {
    let world = World::new(Link::Rsh);
    populate::populate(&world.server().maildir(), "first", Spec::plain(messages, 1), &mut Rng::from_env_or(21));
    world.sync(&[]).ok();
    world.assert_equal();
    world
}

/// mbsync runs once more at this host: each message is fetched under another name, with a field more.
fn fetch_again(host: &Host, field: &str) {
    let all = tree::list(&host.maildir());
    fetch_some(host, &all, 1_999_999_999, field);
}

/// It fetches these messages again, in this round.
fn fetch_some(host: &Host, some: &[Found], round: usize, field: &str) {
    let root = host.maildir();
    for (number, found) in some.iter().enumerate() {
        let bytes = fs::read(found.path(&root)).expect("a message");
        let name = format!("{round}.{number}.host,U={number}:2,S");
        fs::write(root.join("cur").join(name), mail::with_header_line(&bytes, field)).expect("a message");
    }
}

fn dedup(world: &World, host: &Host, options: &[&str], dir: &Path) -> Outcome {
    finish(world.command("smd-dedup", host).args(options).arg(dir))
}

#[test]
fn a_mailbox_that_another_program_fetched_once_more_is_not_doubled_and_the_doubles_are_buried() {
    for here in [true, false] {
        let world = agreed(60);
        let host = if here { world.client() } else { world.server() };
        let other = if here { world.server() } else { world.client() };
        let before = Tree::read(&host.maildir());
        fetch_again(host, "X-TUID: abc/defg");
        for options in [&["-d"][..], &[]] {
            let stopped = world.sync(options).exits(GUARD).says("mbsync").says("X-TUID").says("smd-dedup");
            assert!(!stopped.stderr.contains("united"), "{stopped}");
            assert_eq!((Tree::read(&other.maildir()).len(), Tree::read(&host.maildir()).len()), (60, 120));
        }
        let root = host.maildir();
        dedup(&world, host, &[], &root).ok().says("60 doubles among 120 messages");
        dedup(&world, host, &["-v"], &root).ok().says("once more");
        assert_eq!(Tree::read(&root).len(), 120, "nothing is buried unasked");
        let json = dedup(&world, host, &["--apply", "--json"], &root).ok();
        assert_eq!((json.number("/doubles"), json.number("/buried")), (60, 60), "{json}");
        assert_eq!(Tree::read(&root), before, "the oldest names stay");
        dedup(&world, host, &["--apply"], &root).ok().says("nothing to do");
        world.sync(&[]).ok();
        world.assert_equal();
        // They can be brought back.
        let listed = finish(world.command("smd-undo", host).arg("--json")).ok().json();
        let number = listed["runs"][0]["run"].as_str().unwrap_or_else(|| panic!("{listed}")).to_owned();
        finish(world.command("smd-undo", host).arg(number)).ok();
        assert_eq!(Tree::read(&root).len(), 120);
    }
}

#[test]
fn doubles_on_both_hosts_are_buried_on_one_and_the_sync_does_the_rest_unasked() {
    let world = agreed(60);
    let root: PathBuf = world.client().maildir();
    fetch_again(world.client(), "X-TUID: abc/defg");
    world.sync(&["--adopt-other-headers"]).ok();
    world.assert_equal();
    assert_eq!(Tree::read(&root).len(), 120);
    dedup(&world, world.client(), &["--apply"], &root).ok().says("60 of 60 doubles buried");
    world.sync(&[]).ok();
    world.assert_equal();
    assert_eq!(Tree::read(&root).len(), 60);
}

#[test]
fn what_another_program_fetches_again_a_few_at_a_time_stops_when_it_is_too_much_of_a_day() {
    for here in [true, false] {
        let world = agreed(100);
        let host = if here { world.client() } else { world.server() };
        let other = if here { world.server() } else { world.client() };
        let (root, first) = (host.maildir(), tree::list(&host.maildir()));
        let fetch = |round: usize| {
            let at = round % 10;
            fetch_some(host, &first[at * 8..][..8], 1_999_999_000 + round, "X-TUID: abc/defg");
        };
        for round in 0..2 {
            fetch(round);
            world.sync(&[]).ok();
            world.assert_equal();
        }
        fetch(2);
        for options in [&["-d"][..], &[], &["--scan", "stat"]] {
            let stopped = world.sync(options).exits(GUARD).says("24 messages that are new").says("some of the 100");
            stopped.says("with the 16 of the last 24 hours").says("mbsync").says("smd-dedup");
            assert_eq!((Tree::read(&other.maildir()).len(), Tree::read(&root).len()), (116, 124));
        }
        // What was buried does not count any more.
        dedup(&world, host, &["--apply"], &root).ok().says("24 of 24 doubles buried");
        world.sync(&[]).ok();
        world.assert_equal();
        for round in 10..12 {
            fetch(round);
            world.sync(&[]).ok();
        }
        fetch(12);
        world.sync(&[]).exits(GUARD);
        // Nor what a person wants twice.
        world.sync(&["--adopt-other-headers"]).ok();
        world.assert_equal();
        fetch(3);
        world.sync(&[]).ok();
        world.assert_equal();
        assert_eq!(Tree::read(&root).len(), 132);
    }
}

#[test]
fn a_field_that_is_no_mark_is_named_with_its_host_and_the_command() {
    let world = agreed(30);
    let root = world.server().maildir();
    for found in tree::list(&root) {
        let bytes = fs::read(found.path(&root)).expect("a message");
        fs::write(found.path(&root), mail::with_header_line(&bytes, "X-Filed-By: sieve")).expect("a message");
    }
    for host in [world.client(), world.server()] {
        fs::remove_dir_all(host.smd_home()).expect("the state can be lost");
    }
    let stopped = world.sync(&[]).exits(GUARD).says("30 of 30 messages").says("X-Filed-By, added at office");
    let stopped = stopped.says("smd-strip-header -H X-Filed-By Maildir").says("Nothing was done");
    assert!(!stopped.stderr.contains("united"), "{stopped}");
    finish(world.command("smd-strip-header", world.server()).args(["-H", "X-Filed-By", "Maildir"])).ok();
    world.sync(&[]).ok();
    // The test gave each its own time, and a change of that alone is not synchronised.
    assert_eq!(Tree::read(&root).contents(), Tree::read(&world.client().maildir()).contents());
    assert_eq!(Tree::read(&root).len(), 30);
}

#[test]
fn copies_that_differ_by_a_mark_alone_are_one_on_both_hosts_after_the_first_sync() {
    for (marked_there, field) in [(true, "X-TUID: abc"), (false, "X-OfflineIMAP: 123-456")] {
        let world = agreed(30);
        let marked = if marked_there { world.server() } else { world.client() };
        let plain = if marked_there { world.client() } else { world.server() };
        let before = Tree::read(&plain.maildir()).contents();
        let root = marked.maildir();
        for found in tree::list(&root) {
            let bytes = fs::read(found.path(&root)).expect("a message");
            fs::write(found.path(&root), mail::with_header_line(&bytes, field)).expect("a message");
        }
        for host in [world.client(), world.server()] {
            fs::remove_dir_all(host.smd_home()).expect("the state can be lost");
        }
        let first = world.sync(&[]).ok();
        world.assert_equal();
        assert_eq!(Tree::read(&root).contents(), before, "the copy without the field stays\n{first}");
        // The other one rests in the grave.
        let undo = finish(world.command("smd-undo", marked).args(["--json"])).ok();
        assert!(undo.stdout.contains("30"), "{undo}");
        let rest = world.sync(&["--json"]).ok();
        assert_eq!((rest.steps(), rest.round_trips()), (0, 1), "{rest}");
    }
}
