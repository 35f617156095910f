//! `smd-undo --remote`: what runs deleted on the other host is listed and brought back from here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use smd_protocol::reconcile::Direction;
use smd_protocol::wire::{self, ClientHello, Depth, FromClient, FromServer, GraveWish, Ids, RootOffer, ServerHello};
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::processes::{cut_at_sync, require_strace};
use smd_tests::rng::Rng;
use smd_tests::stamps::Stamps;
use smd_tests::tree::{Found, Tree};
use smd_tests::user::User;
use smd_tests::world::{Host, Link, World, finish};

/// Two hosts that agree on 60 messages in three folders, and a user at each.
fn agreed(link: Link) -> (World, User, User) {
    let world = World::new(link);
    let rng = Rng::from_env_or(16);
    populate::populate(&world.server().maildir(), "first", Spec::plain(60, 3), &mut rng.fork(0));
    world.sync(&[]).ok();
    let us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let them = User::new(&world.server().maildir(), "them", rng.fork(2));
    (world, us, them)
}

/// Deletes this many messages at the client and lets a run take that to the server. Gives what the server had.
fn deleted(world: &World, us: &mut User, count: usize) -> (Tree, Vec<Found>) {
    let before = Tree::read(&world.server().maildir());
    let gone = us.list()[..count].to_vec();
    gone.iter().for_each(|found| us.delete(found));
    world.sync(&[]).ok();
    (before, gone)
}

/// From the client, of the server's graves.
fn far(world: &World, options: &[&str]) -> Outcome {
    let mut command = world.command("smd-undo", world.client());
    finish(command.args(world.link_options(world.server())).args(["--remote", "office:Maildir"]).args(options))
}

fn near(world: &World, host: &Host, options: &[&str]) -> Outcome {
    finish(world.command("smd-undo", host).args(options))
}

#[track_caller]
fn number(world: &World) -> String {
    let listed = far(world, &["--json"]).ok().json();
    let runs = listed["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 1, "{listed}");
    runs[0]["run"].as_str().expect("a number").to_owned()
}

#[track_caller]
fn assert_same(before: &Tree, root: &Path) {
    let differences = before.differences(&Tree::read(root));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn what_was_deleted_on_the_other_host_is_listed_and_brought_back_from_here_over_ssh() {
    for link in [Link::RestrictedSsh, Link::Ssh] {
        let (world, mut us, _) = agreed(link);
        far(&world, &[]).ok().says("Nothing was deleted or replaced by a run on office.");
        let (before, gone) = deleted(&world, &mut us, 7);
        let listed = far(&world, &[]).ok().says("office:Maildir: 7 deleted from ");
        let number = number(&world);
        listed.says(&format!("Bring it back: smd-undo --remote office:Maildir {number}"));
        let stamps = Stamps::below(&world.server().home);
        far(&world, &["-l", &number]).ok().says(&String::from_utf8_lossy(gone[0].uniq()));
        far(&world, &["--dry-run", &number]).ok().says("7 deleted");
        stamps.assert_unchanged(&world.server().home);
        let done = far(&world, &[&number]).ok().says("brought back 7 messages to office:Maildir");
        done.says("the next smd-sync copies them to this host");
        assert_same(&before, &world.server().maildir());
        let next = world.sync(&["--json"]).ok();
        assert_eq!((next.deleted(), next.number("/pulled/new")), (0, 7), "{next}");
        world.assert_equal();
        far(&world, &[&number]).ok().says("brought back 0 messages").says("7 brought back before");
        assert_same(&before, &world.server().maildir());
    }
}

#[test]
fn both_hosts_tell_the_same_of_the_same_graves() {
    let (world, mut us, mut them) = agreed(Link::Rsh);
    let mail = |from: &str, subject: &str| {
        format!("From: {from}\nSubject: {subject}\nDate: Mon, 5 Jan 2026 09:30:00 +0000\n\nbody\n").into_bytes()
    };
    let ours = us.deliver_bytes("", &mail("=?utf-8?q?Ren=C3=A9?= <rene@example.org>", "=?utf-8?b?R3LDvMOfZQ==?="));
    us.deliver_bytes("", &mail("ann@example.org", "\u{1b}[2J lunch"));
    world.sync(&[]).ok();
    let edited = us.list().into_iter().find(|found| found.folder == Path::new("Work")).expect("a message");
    us.edit_header(&edited);
    us.list().iter().filter(|found| found.folder == Path::new("")).for_each(|found| us.delete(found));
    world.sync(&["--allow-bulk-delete"]).ok();
    world.assert_equal();
    // More than one frame holds, of several runs.
    for round in 0..130 {
        us.deliver_bytes("", &mail(&format!("{round}@example.org"), "many"));
    }
    world.sync(&[]).ok();
    us.list().iter().filter(|found| found.folder == Path::new("")).for_each(|found| us.delete(found));
    world.sync(&["--allow-bulk-delete"]).ok();
    for options in [
        &["-l"][..],
        &[],
        &["-l", "-m", "many"],
        &["-m", "from:REN\u{c9}"],
        &["-l", "-f", "Work"],
        &["-s", "1h"],
        &["-s", "0s", "-f", "None"],
    ] {
        let json = [options, &["--json"]].concat();
        let (there, here) = (far(&world, &json).ok().json(), near(&world, world.server(), &json).ok().json());
        let runs = |listed: &Value| {
            let mut runs = listed["runs"].clone();
            runs.as_array_mut().expect("runs").iter_mut().for_each(|run| drop(run["root"].take()));
            runs
        };
        assert_eq!(runs(&there), runs(&here), "{options:?}");
        assert_eq!((&there["host"], &here["host"]), (&Value::from("office"), &Value::Null));
    }
    let said = far(&world, &["-l", "-m", "from:REN\u{c9}"]).ok().says("Ren\u{e9} <rene@example.org>  Gr\u{fc}\u{df}e");
    assert!(!said.stdout.contains("ann@example.org"), "{said}");
    assert!(!far(&world, &["-l"]).ok().stdout.contains('\u{1b}'));
    far(&world, &["-s", "0s", "-f", "None"]).ok().says("by a run on office since then");
    far(&world, &["--all", "-m", "from:ren\u{e9}"]).ok().says("brought back 1 message to office:Maildir");
    assert!(them.list().iter().any(|found| found.uniq() == ours.uniq()));
    far(&world, &["--all", "-s", "1h", "-f", "Work"]).ok().says("1 of them under a new name");
    far(&world, &["--all"]).ok().says("brought back 1");
    world.sync(&[]).ok();
    world.assert_equal();
    them.read(&them.list()[0].clone());
}

#[test]
fn a_config_names_the_other_host_and_the_run_says_so() {
    let (world, mut us, _) = agreed(Link::Rsh);
    let text = format!("SERVERNAME=office\nMAILBOX=Maildir\nSSH={}\n", world.rsh_script().display());
    fs::write(world.client().smd_home().join("config.work"), text).expect("a config");
    let before = Tree::read(&world.server().maildir());
    us.delete(&us.list()[0].clone());
    let synced = finish(world.command("smd-sync", world.client()).args(["-v", "work"])).ok();
    synced.says("what was deleted or replaced on office is kept there: run smd-undo --remote work");
    near(&world, world.client(), &["--remote", "work", "--all", "-s", "1h"]).ok().says("brought back 1 message");
    assert_same(&before, &world.server().maildir());
    near(&world, world.client(), &["--remote", "none"]).exits(78).says("config.none");
    let wrong = near(&world, world.client(), &["--remote", "work", "00000000"]).exits(2);
    wrong.says("No run 00000000 has anything in a grave of office").says("smd-undo --remote work");
    near(&world, world.client(), &["--remote", "work", "./Maildir"]).exits(2);
}

#[test]
fn a_maildir_that_is_not_there_and_a_host_that_cannot_be_reached_are_said() {
    let (mut world, mut us, _) = agreed(Link::Ssh);
    deleted(&world, &mut us, 1);
    let mut command = world.command("smd-undo", world.client());
    command.args(world.link_options(world.server())).args(["--remote", "office:Other"]);
    let said = finish(&mut command).exits(1).says("office:Other is not there");
    assert!(!said.stdout.contains("Nothing was deleted"), "{said}");
    far(&world, &["-l", "-m", "nobody"]).ok().says("nothing matches");
    // So looks a mount point without its disk.
    let (root, away) = (world.server().maildir(), world.server().home.join("Away"));
    let grave = world.server().smd_home().join("grave");
    fs::rename(&grave, world.server().smd_home().join("away")).expect("it goes");
    fs::rename(&root, &away).expect("it goes");
    for is_there in [false, true] {
        if is_there {
            fs::create_dir(&root).expect("a mount point");
        }
        let said = far(&world, &[]).exits(1).says("office:Maildir is not there");
        assert!(!said.stdout.contains("Nothing was deleted"), "{said}");
        assert_eq!(far(&world, &["--json"]).exits(1).json()["gone"][0], "Maildir");
        far(&world, &["12345"]).exits(2).says("cannot be opened: office:Maildir");
    }
    world.sshd().stop();
    far(&world, &[]).exits(69).says("office");
}

#[test]
fn a_server_of_before_is_told_from_one_that_has_nothing() {
    let world = World::new(Link::Rsh);
    let hello = ServerHello { features: vec!["version=0.0.9".into()], roots: Vec::new() };
    let said = [&wire::preamble()[..], &wire::message(&FromServer::Hello(hello)).expect("small")].concat();
    let (words, script) = (world.dir().join("words"), world.dir().join("old"));
    fs::write(&words, said).expect("its words");
    fs::write(&script, format!("#!/bin/sh\ncat '{}'\nexec cat >/dev/null\n", words.display())).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a script");
    let rsh = script.display().to_string();
    let said = near(&world, world.client(), &["-e", &rsh, "--remote", "office:Maildir"]).exits(76);
    said.says("office has a different version of these programs").says("smd-server 0.0.9 there cannot be asked");
}

/// What smd-server says to a client that asks it to bring something back, and how it ends.
fn told_to_bring_back(world: &World, dry_run: bool) -> String {
    let hello = ClientHello {
        features: vec![wire::GRAVE.into()],
        client: "abcdefgh".to_owned(),
        direction: Direction::Sync,
        dry_run,
        depth: Depth::Folders,
        compress: false,
        grave_days: 7,
        roots: vec![RootOffer {
            path: b"Maildir".to_vec(),
            pair: "pair".to_owned(),
            root: None,
            ids: Ids::default(),
            damaged: Vec::new(),
            excludes: Vec::new(),
        }],
    };
    let wish = GraveWish::BringBack { ids: vec!["1.none.0".to_owned()], last: true };
    let said = [FromClient::Hello(hello), FromClient::Grave { root: 0, wish }, FromClient::Bye];
    let words: Vec<u8> = said.iter().flat_map(|one| wire::message(one).expect("small")).collect();
    let file = world.dir().join("words");
    fs::write(&file, [&wire::preamble()[..], &words].concat()).expect("its words");
    let mut command = world.command("smd-server", world.server());
    let answer = command.stdin(fs::File::open(&file).expect("a file")).output().expect("it runs");
    String::from_utf8_lossy(&answer.stdout).into_owned() + &String::from_utf8_lossy(&answer.stderr)
}

#[test]
fn nothing_comes_back_in_a_session_that_said_it_changes_nothing() {
    let world = World::new(Link::Rsh);
    fs::create_dir_all(world.server().maildir().join("cur")).expect("a Maildir");
    let refused = "messages come back in a dry run";
    let said = told_to_bring_back(&world, true);
    assert!(said.contains(refused), "{said}");
    let said = told_to_bring_back(&world, false);
    assert!(said.contains("no longer rests"), "{said}");
}

#[test]
fn what_a_run_that_was_cut_deleted_there_stays_when_it_was_brought_back_from_here() {
    require_strace();
    let (world, mut us, _) = agreed(Link::Rsh);
    let before = Tree::read(&world.server().maildir());
    us.list()[..3].to_vec().iter().for_each(|found| us.delete(found));
    let cut = world.prepare("smd-sync", world.client(), &[]);
    cut_at_sync(&cut, &world.server().home, || Tree::read(&world.server().maildir()).len() == 57);
    let said = far(&world, &[&number(&world)]).ok().says("brought back 3 messages").says("the run was cut");
    world.sync(&[]).ok();
    world.assert_equal();
    let after = Tree::read(&world.client().maildir());
    assert_eq!((after.len(), after.contents()), (60, before.contents()), "{said}");
}

#[test]
fn a_second_message_of_one_name_that_a_run_renamed_gets_its_name_back_on_either_host() {
    for at_server in [false, true] {
        let (world, _, _) = agreed(Link::Rsh);
        let (host, other) = match at_server {
            true => (world.server().clone(), world.client().clone()),
            false => (world.client().clone(), world.server().clone()),
        };
        let root = host.maildir();
        fs::write(root.join("cur/1.twin:2,S"), "Subject: one\n\none\n").expect("a message");
        fs::write(root.join("new/1.twin"), "Subject: two\n\ntwo\n").expect("a message");
        world.sync(&[]).ok();
        world.assert_equal();
        assert!(!root.join("new/1.twin").exists());
        let before = Tree::read(&root);
        let undo = |options: &[&str]| match at_server {
            true => far(&world, options),
            false => near(&world, &host, options),
        };
        assert_eq!(near(&world, &other, &["--json"]).ok().json()["runs"].as_array().map(Vec::len), Some(0));
        undo(&[]).ok().says("1 renamed from INBOX");
        let listed = undo(&["-l"]).ok().says("renamed").says("1.twin []").says("(now ");
        listed.says("two");
        let said = undo(&["--all"]).ok().says("gave 1 message the old name back");
        said.says("renames such a message again while the other one of its name is there");
        assert_eq!(fs::read(root.join("new/1.twin")).expect("it is there"), b"Subject: two\n\ntwo\n");
        assert_eq!(fs::read(root.join("cur/1.twin:2,S")).expect("it is there"), b"Subject: one\n\none\n");
        undo(&["--all"]).ok().says("1 brought back before");
        // The next run gives it a name of its own again, and nothing is lost or doubled.
        world.sync(&[]).ok();
        world.assert_equal();
        assert_eq!((Tree::read(&root).len(), Tree::read(&root).contents()), (before.len(), before.contents()));
        // Where the first is gone, the name is free for good.
        undo(&["--all"]).ok().says("gave 1 message the old name back");
        fs::remove_file(root.join("cur/1.twin:2,S")).expect("deleted");
        world.sync(&[]).ok();
        world.assert_equal();
        assert_eq!(fs::read(root.join("new/1.twin")).expect("it is there"), b"Subject: two\n\ntwo\n");
        assert_eq!((Tree::read(&root).len(), world.sync(&["--json"]).ok().steps()), (before.len() - 1, 0));
    }
}
