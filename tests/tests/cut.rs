//! Runs that are cut between giving a message its name and agreeing on it, and users who file the message before the next
//! run: it stays one message. And an `--adopt` that is cut, with an ordinary run after it: nothing is deleted.
//!
//! `strace` kills the client at its `syncfs`, when both hosts have installed all and neither has committed; a line that ends
//! after some bytes cuts the other.
//!
//! Deliberately not here: kills at every other moment (`kill.rs`), and crashes (`model.rs`).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use smd_tests::processes::{require_strace, under};
use smd_tests::rng::Rng;
use smd_tests::tree::Tree;
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

const CUT: [&str; 7] = ["strace", "-o", "/dev/null", "-e", "trace=syncfs", "-e", "inject=syncfs:signal=KILL:when=1"];

/// A message with a body of its own arrives at the server.
fn deliver(world: &World, name: &str) {
    let text = format!("Subject: {name}\n\nthe body of {name}\n");
    fs::write(world.server().maildir().join("new").join(name), text).expect("a message can be delivered");
}

/// A run that is killed when `name` is on both hosts and in no base.
#[track_caller]
fn cut_run(world: &World, name: &str) {
    let outcome = finish(&mut under(&CUT, &world.prepare("smd-sync", world.client(), &[])));
    assert_eq!(outcome.code, 128 + 9, "{outcome}");
    assert_eq!(named(&world.client().maildir(), name).len(), 1, "the run installed {name}");
}

/// The messages of this tree with the body that was given to `name`.
fn named(maildir: &Path, name: &str) -> Vec<PathBuf> {
    let body = format!("Subject: {name}\n\nthe body of {name}\n");
    let files = ["new", "cur", ".Filed/new", ".Filed/cur"].into_iter().flat_map(|dir| {
        let entries = fs::read_dir(maildir.join(dir)).expect("a folder can be listed");
        entries.map(|entry| entry.expect("an entry can be read").path())
    });
    files.filter(|path| fs::read(path).is_ok_and(|bytes| bytes == body.as_bytes())).collect()
}

/// After `cuts` cut runs, each of which brings a message, the first of them is filed under another uniq on one host.
#[track_caller]
fn filed_after(cuts: usize, at_server: bool) {
    require_strace();
    let world = World::new(Link::Local);
    for dir in ["cur", "new", "tmp"] {
        fs::create_dir_all(world.client().maildir().join(".Filed").join(dir)).expect("a folder can be made");
    }
    world.sync(&[]).ok();
    for cut in 1..=cuts {
        deliver(&world, &cut.to_string());
        cut_run(&world, &cut.to_string());
    }
    let host = if at_server { world.server() } else { world.client() };
    let from = named(&host.maildir(), "1").pop().expect("it is there");
    fs::rename(from, host.maildir().join(".Filed/cur/another:2,S")).expect("a message can be filed");
    world.sync(&[]).ok();
    world.assert_equal();
    for cut in 1..=cuts {
        let found = named(&world.client().maildir(), &cut.to_string());
        assert_eq!(found.len(), 1, "{cuts} cut runs, at the server: {at_server}, message {cut}: {found:?}");
    }
}

#[test]
fn a_message_filed_after_a_run_that_was_cut_is_one_message() {
    filed_after(1, true);
    filed_after(1, false);
}

#[test]
fn a_message_filed_after_several_runs_that_were_cut_is_one_message() {
    filed_after(2, true);
    filed_after(2, false);
    filed_after(3, true);
}

#[test]
fn an_ordinary_run_after_an_adopt_that_was_cut_adopts_too() {
    let world = World::new(Link::Rsh);
    let mut rng = Rng::from_env_or(31);
    let mut them = User::new(&world.server().maildir(), "them", rng.fork(1));
    let mut deliver = || {
        // Nothing that compression makes small.
        let body: String = rng.bytes(40_000).iter().map(|byte| format!("{byte:02x}")).collect();
        them.deliver_bytes("", format!("Subject: large\n\n{body}\n").as_bytes())
    };
    let all: Vec<_> = (0..6).map(|_| deliver()).collect();
    world.sync(&[]).ok();
    // A backup with stamps of today, which nothing tells from a tree in which mail was deleted.
    all.iter().take(2).for_each(|found| them.delete(found));

    let (rsh, whole) = (world.rsh_script(), world.dir().join("whole"));
    fs::rename(&rsh, &whole).expect("the remote shell can go");
    fs::write(&rsh, "#!/bin/sh\nstdbuf -o0 head -c 20000 | \"$(dirname \"$0\")/whole\" \"$@\"\n").expect("a script");
    fs::set_permissions(&rsh, fs::Permissions::from_mode(0o755)).expect("a script");
    world.sync(&["--adopt"]).exits(69);
    assert_eq!(Tree::read(&world.server().maildir()).len(), 4, "it was cut before it gave anything back");
    fs::rename(&whole, &rsh).expect("the remote shell comes back");

    let report = world.sync(&["--json"]).ok();
    assert_eq!((report.deleted(), report.number("/pushed/new")), (0, 2), "{report}");
    world.assert_equal();
    assert_eq!(Tree::read(&world.client().maildir()).len(), 6);
}
