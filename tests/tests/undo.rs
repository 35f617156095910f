//! `smd-undo`: brings back what a run deleted or replaced, once, and the next run takes it to the other host.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use smd_tests::figures;
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::processes::{cut_at_sync, require_strace};
use smd_tests::ram;
use smd_tests::rng::Rng;
use smd_tests::stamps::Stamps;
use smd_tests::tree::{Found, Tree};
use smd_tests::user::User;
use smd_tests::world::{Host, Link, World, finish};

/// Two hosts that agree on 60 messages in three folders, and a user at each.
fn agreed() -> (World, User, User) {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(12);
    populate::populate(&world.server().maildir(), "first", Spec::plain(60, 3), &mut rng.fork(0));
    world.sync(&[]).ok();
    let us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let them = User::new(&world.server().maildir(), "them", rng.fork(2));
    (world, us, them)
}

fn undo(world: &World, host: &Host, options: &[&str]) -> Outcome {
    finish(world.command("smd-undo", host).args(options))
}

/// The numbers of all runs that rest at a host, newest first.
#[track_caller]
fn runs(world: &World, host: &Host) -> Vec<String> {
    let listed = undo(world, host, &["--json"]).ok().json();
    let runs = listed["runs"].as_array().expect("runs");
    runs.iter().map(|run| run["run"].as_str().expect("a number").to_owned()).collect()
}

/// The one run that rests at a host.
#[track_caller]
fn run(world: &World, host: &Host) -> String {
    let runs = runs(world, host);
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

#[track_caller]
fn assert_same(before: &Tree, root: &Path) {
    let differences = before.differences(&Tree::read(root));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn grave(host: &Host) -> PathBuf {
    let graves: Vec<PathBuf> = fs::read_dir(host.smd_home().join("grave"))
        .expect("graves")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(graves.len(), 1, "{graves:?}");
    graves[0].clone()
}

/// The buried messages of a host's one grave.
fn buried(host: &Host) -> Vec<PathBuf> {
    let files = fs::read_dir(grave(host)).expect("a grave").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|letter| letter == "k")).collect();
    files.sort();
    files
}

/// Deletes this many messages at the client and lets a run take that to the server. Gives what the server had.
fn deleted(world: &World, us: &mut User, count: usize) -> (Tree, Vec<Found>) {
    let before = Tree::read(&world.server().maildir());
    let gone = us.list()[..count].to_vec();
    gone.iter().for_each(|found| us.delete(found));
    world.sync(&[]).ok();
    world.assert_equal();
    (before, gone)
}

#[test]
fn deleted_messages_come_back_as_they_were_and_the_next_run_gives_them_to_the_other_host() {
    let (world, mut us, mut them) = agreed();
    let (before, gone) = deleted(&world, &mut us, 7);
    undo(&world, world.client(), &[]).ok().says("Nothing was deleted or replaced by a run on this host");
    undo(&world, world.server(), &[]).ok().says("7 deleted from").says(&world.server().maildir().display().to_string());
    let number = run(&world, world.server());
    undo(&world, world.server(), &["-l", &number]).ok().says(&String::from_utf8_lossy(gone[0].uniq()));
    undo(&world, world.server(), &[&number]).ok().says("brought back 7 messages to");
    assert_same(&before, &world.server().maildir());
    let next = world.sync(&["--json"]).ok();
    assert_eq!((next.deleted(), next.number("/pulled/new")), (0, 7), "{next}");
    assert_same(&before, &world.client().maildir());
    assert_eq!(world.sync(&["--json"]).ok().steps(), 0);
    // What came back can be deleted again.
    them.delete(&them.list()[0].clone());
    world.sync(&[]).ok();
    world.assert_equal();
    assert_eq!(Tree::read(&world.client().maildir()).len(), 59);
}

#[test]
fn a_pull_buries_at_the_client_and_both_hosts_of_one_home_are_found() {
    let world = World::new(Link::Local);
    let rng = Rng::from_env_or(13);
    populate::populate(&world.server().maildir(), "first", Spec::plain(60, 3), &mut rng.fork(0));
    world.sync(&[]).ok();
    let mut us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let mut them = User::new(&world.server().maildir(), "them", rng.fork(2));
    let before = Tree::read(&world.client().maildir());
    us.delete(&us.list()[3].clone());
    them.delete(&them.list()[30].clone());
    world.sync(&[]).ok();
    assert_eq!(runs(&world, world.client()).len(), 2);
    let only = world.client().maildir().display().to_string();
    let listed = undo(&world, world.client(), &["--json", &only]).ok().json();
    assert_eq!(
        (listed["runs"].as_array().map(Vec::len), listed["runs"][0]["root"].as_str()),
        (Some(1), Some(&only[..]))
    );
    let numbers = runs(&world, world.client());
    undo(&world, world.client(), &[&numbers[0], &numbers[1]]).ok();
    world.sync(&[]).ok();
    world.assert_equal();
    assert_same(&before, &world.client().maildir());
}

#[test]
fn another_client_whose_base_still_has_the_messages_keeps_them() {
    let world = World::with_hosts(Link::Rsh, &["laptop", "desk", "office"]);
    let rng = Rng::from_env_or(14);
    populate::populate(&world.server().maildir(), "first", Spec::plain(60, 3), &mut rng.fork(0));
    let desk = world.host("desk").clone();
    world.sync(&[]).ok();
    world.run("smd-sync", &desk, &[]).ok();
    let mut us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let before = Tree::read(&world.server().maildir());
    let gone = us.list();
    gone[..5].iter().for_each(|found| us.delete(found));
    world.sync(&[]).ok();
    undo(&world, world.server(), &[&run(&world, world.server())]).ok();
    let other = world.run("smd-sync", &desk, &["--json"]).ok();
    assert_eq!(other.steps(), 0, "{other}");
    world.sync(&[]).ok();
    world.run("smd-sync", &desk, &[]).ok();
    world.assert_equal();
    assert_same(&before, &desk.maildir());
}

#[test]
fn a_replaced_message_comes_back_beside_what_replaced_it_and_only_once() {
    let (world, mut us, mut them) = agreed();
    let found = them.list()[8].clone();
    let old = them.bytes(&found);
    them.edit_header(&found);
    let new = them.bytes(&found);
    world.sync(&[]).ok();
    world.assert_equal();
    let number = run(&world, world.client());
    undo(&world, world.client(), &[&number]).ok().says("under a new name");
    assert_eq!(us.bytes(&found), new);
    let second = us.list().into_iter().find(|one| us.bytes(one) == old).expect("the old bytes are there");
    assert_eq!((&second.folder, second.flags()), (&found.folder, found.flags()));
    let stem = [found.uniq().split(|&byte| byte == b',').next().expect("a stem"), b"~"].concat();
    assert!(second.uniq().starts_with(&stem), "{second:?}");
    world.sync(&[]).ok();
    world.assert_equal();
    us.move_to(&second, "Elsewhere", true);
    undo(&world, world.client(), &[&number]).ok().says("1 brought back before");
    assert_eq!(Tree::read(&world.client().maildir()).len(), 61);
}

#[test]
fn a_uniq_with_the_same_bytes_is_the_message_whatever_its_flags_and_stays_so() {
    let (world, mut us, mut them) = agreed();
    let found = us.list()[4].clone();
    let bytes = us.bytes(&found);
    us.delete(&found);
    world.sync(&[]).ok();
    let number = run(&world, world.server());
    // Somebody put it back by hand, and it was flagged since.
    let path = world.server().maildir().join(&found.folder).join("cur");
    let by_hand = [found.uniq(), b":2,DF"].concat();
    fs::write(path.join(String::from_utf8(by_hand).expect("ASCII")), &bytes).expect("a message");
    undo(&world, world.server(), &[&number]).ok().says("brought back 0 messages").says("1 there already");
    assert_eq!(Tree::read(&world.server().maildir()).len(), 60);
    let here = them.find(&found.folder, found.uniq());
    them.move_to(&here, "Elsewhere", true);
    undo(&world, world.server(), &[&number]).ok();
    assert_eq!(Tree::read(&world.server().maildir()).len(), 60);
    undo(&world, world.server(), &[]).ok().says("all brought back");
}

#[test]
fn a_name_that_other_bytes_have_is_left_alone() {
    let (world, mut us, _) = agreed();
    let (before, gone) = deleted(&world, &mut us, 1);
    let path = gone[0].path(&world.server().maildir());
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(&path, b"Subject: another\n\nbytes\n").expect("a message");
    undo(&world, world.server(), &[&run(&world, world.server())]).ok().says("under a new name");
    assert_eq!(fs::read(&path).expect("it is there"), b"Subject: another\n\nbytes\n");
    let after = Tree::read(&world.server().maildir());
    assert_eq!(after.len(), 61);
    assert!(before.contents().keys().all(|content| after.contents().contains_key(content)));
    world.sync(&[]).ok();
    world.assert_equal();
}

#[test]
fn a_removed_folder_is_made_again_with_its_control_files() {
    let (world, mut us, _) = agreed();
    fs::write(world.server().maildir().join("Work/dovecot-uidlist"), b"3 V1 N1\n").expect("a control file");
    let before = Tree::read(&world.server().maildir());
    us.remove_folder("Work");
    world.sync(&[]).ok();
    assert!(!world.server().maildir().join("Work").exists());
    let number = run(&world, world.server());
    undo(&world, world.server(), &[]).ok().says("20 deleted, 1 control file from Work");
    undo(&world, world.server(), &[&number]).ok().says("brought back 20 messages and restored 1 control file");
    assert_eq!(fs::read(world.server().maildir().join("Work/dovecot-uidlist")).expect("it is back"), b"3 V1 N1\n");
    world.sync(&[]).ok();
    world.assert_equal();
    assert_same(&before, &world.client().maildir());
}

#[test]
fn an_undo_that_was_cut_is_finished_by_the_same_command() {
    let (world, mut us, _) = agreed();
    let (before, _) = deleted(&world, &mut us, 6);
    let number = run(&world, world.server());
    // As a crash leaves it: one was brought back and not noted, one has both names.
    let shown = undo(&world, world.server(), &["-l", "--json", &number]).ok().json();
    let index = fs::read_to_string(grave(world.server()).join("index")).expect("an index");
    for (at, file) in buried(world.server()).iter().enumerate() {
        let id = file.file_stem().expect("a stem").to_string_lossy().into_owned();
        let line: Vec<&str> = index.lines().find(|line| line.starts_with(&id)).expect("a line").split('\t').collect();
        let home = world.server().maildir().join(line[2]).join(line[3]).join(line[4]);
        match at {
            0 => fs::rename(file, home).expect("it is moved"),
            1 => fs::hard_link(file, home).expect("it is linked"),
            _ => {}
        }
    }
    assert_eq!(shown["runs"][0]["messages"].as_array().map(Vec::len), Some(6));
    undo(&world, world.server(), &[&number]).ok().says("brought back 4 messages").says("1 there already");
    assert_same(&before, &world.server().maildir());
    // All notes of it are lost: what has both names is seen to be there once more.
    fs::write(grave(world.server()).join("index"), index).expect("the old index");
    undo(&world, world.server(), &[&number]).ok().says("brought back 0 messages").says("1 there already");
    assert_same(&before, &world.server().maildir());
    world.sync(&[]).ok();
    assert_same(&before, &world.client().maildir());
}

#[test]
fn damaged_bytes_are_not_brought_back_and_the_others_are() {
    let (world, mut us, _) = agreed();
    deleted(&world, &mut us, 3);
    let file = &buried(world.server())[0];
    fs::write(file, b"other bytes").expect("damage");
    let number = run(&world, world.server());
    undo(&world, world.server(), &[&number]).exits(1).says("other bytes in the grave").says("brought back 2 messages");
    assert_eq!(Tree::read(&world.server().maildir()).len(), 59);
    assert_eq!(fs::read(file).expect("it rests"), b"other bytes");
}

#[test]
fn what_a_crash_left_untouched_is_left_to_the_next_run_with_a_word() {
    let (world, mut us, _) = agreed();
    deleted(&world, &mut us, 3);
    let file = &buried(world.server())[0];
    fs::rename(file, file.with_extension("t")).expect("unsettled");
    let number = run(&world, world.server());
    let said = undo(&world, world.server(), &[&number]).ok().says("brought back 2 messages");
    assert!(said.stderr.contains("1 message of a run that was cut"), "{said}");
}

#[test]
fn listing_changes_nothing_and_a_folder_pattern_restricts() {
    let (world, mut us, _) = agreed();
    let (_, gone) = deleted(&world, &mut us, 30);
    let number = run(&world, world.server());
    let before = Stamps::below(&world.server().home);
    for options in [&["-l", &number][..], &["--dry-run", &number], &[], &["--json"], &["-l", "-f", "Work", &number]] {
        undo(&world, world.server(), options).ok();
    }
    before.assert_unchanged(&world.server().home);
    let in_archive = gone.iter().filter(|found| found.folder == Path::new(".Archive.2024")).count();
    assert!(in_archive > 0 && in_archive < 30, "{in_archive}");
    let said = undo(&world, world.server(), &["-f", ".Arch*", &number]).ok();
    said.says(&format!("brought back {in_archive} messages"));
    assert_eq!(Tree::read(&world.server().maildir()).len(), 30 + in_archive);
    undo(&world, world.server(), &["-f", "None", &number]).ok().says("nothing to bring back matches");
    undo(&world, world.server(), &[&number]).ok().says(&format!("brought back {} messages", 30 - in_archive));
    assert_eq!(Tree::read(&world.server().maildir()).len(), 60);
}

#[test]
fn an_endpoint_names_its_roots_and_a_run_that_is_not_there_is_a_usage_error() {
    let (world, _, mut them) = agreed();
    them.delete(&them.list()[1].clone());
    world.sync(&[]).ok();
    let config = |name: &str, root: &str| {
        let text = format!("SERVERNAME=office\nMAILBOX={root}\n");
        fs::write(world.client().smd_home().join(format!("config.{name}")), text).expect("a config");
    };
    config("mine", "Maildir");
    config("other", "Other");
    undo(&world, world.client(), &["mine"]).ok().says("1 deleted");
    undo(&world, world.client(), &["other"]).exits(1).says("Other does not exist; no deleted mail of it");
    fs::create_dir_all(world.client().home.join("Other/cur")).expect("a Maildir");
    undo(&world, world.client(), &["other"]).ok().says("Nothing was deleted or replaced by a run on this host");
    undo(&world, world.client(), &["none"]).exits(78);
    for options in [&["12"][..], &["--frob"], &["host:Maildir"], &["-q", "-v"]] {
        undo(&world, world.client(), options).exits(2);
    }
    undo(&world, world.client(), &["00000000"]).exits(2).says("No run 00000000");
    undo(&world, world.client(), &["--help"]).ok().says("smd-undo [OPTIONS] RUN...").says("GRAVE_DAYS");
}

#[test]
fn a_grave_in_the_root_is_found_and_given_back_from() {
    let (world, _, mut them) = agreed();
    // A state directory on another file system; where there is none, any root has its grave in the home.
    let device = |dir: &Path| fs::metadata(dir).expect("a directory").dev();
    let places = [Ok(ram::disk()), tempfile::tempdir_in("/dev/shm")];
    let mut other = places.into_iter().flatten().filter(|place| device(place.path()) != device(world.dir()));
    let Some(elsewhere) = other.next() else {
        figures::note("no second file system: a grave in the root was not tried");
        return;
    };
    let sync = || finish(world.prepare("smd-sync", world.client(), &[]).env("SMD_HOME", elsewhere.path()));
    let undo = |options: &[&str]| {
        finish(world.command("smd-undo", world.client()).env("SMD_HOME", elsewhere.path()).args(options))
    };
    sync().ok();
    let before = Tree::read(&world.client().maildir());
    them.delete(&them.list()[2].clone());
    sync().ok();
    let listed = undo(&["--json"]).ok().json();
    let number = listed["runs"][0]["run"].as_str().unwrap_or_else(|| panic!("{listed}")).to_owned();
    let in_root = world.client().maildir().join("..smd-grave");
    assert!(in_root.join("index").exists(), "the grave lies in the root");
    undo(&[&number]).ok().says("brought back 1 message to");
    assert_same(&before, &world.client().maildir());
    sync().ok();
    assert_same(&before, &world.server().maildir());
}

/// The age clock of a host began long ago: what seems to be from before then is as old as it says.
fn began_long_ago(host: &Host) {
    let file = host.smd_home().join("age-clock");
    let text = fs::read_to_string(&file).expect("an age clock");
    let (kept, _) = text.split_once("began ").expect("where it began");
    fs::write(&file, format!("{kept}began 0\n")).expect("an age clock");
}

#[test]
fn a_grave_that_the_config_bounds_takes_no_more_and_gives_nothing_up() {
    let (world, _, mut them) = agreed();
    let text = format!("SERVERNAME=office\nMAILBOX=Maildir\nSSH={}\nGRAVE_MAX=3K\n", world.rsh_script().display());
    fs::create_dir_all(world.client().smd_home()).expect("a home");
    fs::write(world.client().smd_home().join("config.default"), &text).expect("a config");
    let sync = || finish(&mut world.command("smd-sync", world.client()));
    sync().ok();
    them.delete(&them.list()[0].clone());
    sync().ok();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let old = |days: u64| grave(world.client()).join(format!("{}.old.{days}.k", now - days * 86_400 - 60));
    began_long_ago(world.client());
    for days in [2, 3, 4] {
        fs::write(old(days), vec![b'x'; 2000]).expect("an old one");
    }
    them.delete(&them.list()[0].clone());
    let before = Tree::read(&world.client().maildir()).len();
    sync().exits(1).says("GRAVE_MAX is 3K").says("set GRAVE_MAX higher");
    assert_eq!(Tree::read(&world.client().maildir()).len(), before, "what finds no room in the grave stays");
    assert!([2, 3, 4].iter().all(|days| old(*days).exists()), "and nothing makes room for it");
    let config = world.client().smd_home().join("config.default");
    fs::write(&config, text.replace("GRAVE_MAX=3K\n", "")).expect("a config");
    sync().ok();
    world.assert_equal();
}

#[test]
fn a_client_cannot_empty_the_servers_grave() {
    let (world, mut us, _) = agreed();
    let text = format!("SERVERNAME=office\nMAILBOX=Maildir\nSSH={}\nGRAVE_DAYS=0\n", world.rsh_script().display());
    fs::create_dir_all(world.client().smd_home()).expect("a home");
    fs::write(world.client().smd_home().join("config.default"), text).expect("a config");
    let sync = || finish(&mut world.command("smd-sync", world.client())).ok();
    sync();
    us.delete(&us.list()[0].clone());
    sync();
    began_long_ago(world.server());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let [young, old] = [3, 8].map(|days| grave(world.server()).join(format!("{}.old.{days}.k", now - days * 86_400)));
    for file in [&young, &old] {
        fs::write(file, "another client's").expect("a grave");
    }
    us.delete(&us.list()[0].clone());
    sync();
    assert!(young.exists(), "for a week it rests, whatever a client asks");
    assert!(!old.exists(), "then its days are over");
    // Or for as long as the owner of the server says.
    fs::write(world.server().smd_home().join("server"), "GRAVE_DAYS=30\n").expect("a file of limits");
    fs::write(&old, "another client's").expect("a grave");
    us.delete(&us.list()[0].clone());
    sync();
    assert!(old.exists(), "for thirty days it rests");
}

#[test]
fn what_a_run_that_was_cut_deleted_stays_when_it_was_brought_back() {
    require_strace();
    for at_server in [true, false] {
        let world = World::new(Link::Local);
        let rng = Rng::from_env_or(15);
        populate::populate(&world.server().maildir(), "first", Spec::plain(60, 3), &mut rng.fork(0));
        world.sync(&[]).ok();
        let before = Tree::read(&world.server().maildir());
        let (from, to) = match at_server {
            true => (world.client(), world.server()),
            false => (world.server(), world.client()),
        };
        let mut user = User::new(&from.maildir(), "us", rng.fork(1));
        user.list()[..3].iter().for_each(|found| user.delete(found));
        let cut = world.prepare("smd-sync", world.client(), &[]);
        cut_at_sync(&cut, &world.client().home, || Tree::read(&to.maildir()).len() == 57);
        // Both hosts of a local world have one home.
        let said = undo(&world, world.client(), &[&run(&world, world.client())]).ok();
        world.sync(&[]).ok();
        world.assert_equal();
        let after = Tree::read(&world.client().maildir());
        assert_eq!((after.len(), after.contents()), (60, before.contents()), "at the server: {at_server}");
        said.says("brought back 3 messages").says("the run was cut");
        assert_eq!(world.sync(&["--json"]).ok().steps(), 0);
    }
}

#[test]
fn runs_that_follow_each_other_are_one_burst_that_one_number_brings_back() {
    let (world, mut us, _) = agreed();
    let before = Tree::read(&world.server().maildir());
    for _ in 0..3 {
        us.delete(&us.list()[0].clone());
        world.sync(&[]).ok();
    }
    let listed = undo(&world, world.server(), &["--json"]).ok().json();
    let runs = listed["runs"].as_array().expect("runs");
    let burst = runs[0]["burst"].as_str().expect("a burst").to_owned();
    assert!(runs.len() == 3 && runs.iter().all(|run| run["burst"] == burst.as_str()), "{listed}");
    let said = undo(&world, world.server(), &[]).ok().says("3 deleted from").says("(3 runs within");
    assert_eq!(said.stdout.lines().count(), 2, "{said}");
    let verbose = undo(&world, world.server(), &["-v"]).ok();
    assert!(runs.iter().all(|run| verbose.stdout.contains(run["run"].as_str().expect("a number"))), "{verbose}");
    undo(&world, world.server(), &[runs[1]["run"].as_str().expect("a number")]).ok().says("brought back 1 message to");
    undo(&world, world.server(), &[&burst]).ok().says("brought back 2 messages to").says("1 brought back before");
    assert_same(&before, &world.server().maildir());
}

#[test]
fn a_list_shows_from_subject_and_date_decoded_and_they_find_a_message() {
    let (world, mut us, mut them) = agreed();
    let mail = |from: &str, subject: &str| {
        format!("From: {from}\nSubject: {subject}\nDate: Mon, 5 Jan 2026 09:30:00 +0000\n\nbody\n").into_bytes()
    };
    let ours = us.deliver_bytes("", &mail("=?utf-8?q?Ren=C3=A9?= <rene@example.org>", "=?utf-8?b?R3LDvMOfZQ==?="));
    let other = us.deliver_bytes("", &mail("ann@example.org", "\u{1b}[2J lunch"));
    world.sync(&[]).ok();
    for found in [&ours, &other] {
        them.delete(&them.find(&found.folder, found.uniq()));
    }
    world.sync(&[]).ok();
    let number = run(&world, world.client());
    // Without a run, too.
    for options in [&["-l", &number][..], &["-l"]] {
        let said = undo(&world, world.client(), options).ok().says("Ren\u{e9} <rene@example.org>  Gr\u{fc}\u{df}e");
        let said = said.says("2026-01-05").says(&String::from_utf8_lossy(ours.uniq())).says("ann@example.org");
        assert!(!said.stdout.contains('\u{1b}'), "{said}");
    }
    let found = undo(&world, world.client(), &["-m", "from:REN\u{c9}"]).ok();
    assert!(found.stdout.contains("rene@example.org") && !found.stdout.contains("ann@example.org"), "{found}");
    let json = undo(&world, world.client(), &["--json", "-l", "-m", "lunch"]).ok().json();
    assert_eq!(json["runs"][0]["messages"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(json["runs"][0]["messages"][0]["from"], "ann@example.org");
    undo(&world, world.client(), &[&number, "-m", "gr\u{fc}\u{df}e"]).ok().says("brought back 1 message to");
    assert_eq!(Tree::read(&world.client().maildir()).len(), 61);
}

#[test]
fn since_restricts_a_list_and_all_brings_back_what_it_shows() {
    let (world, mut us, _) = agreed();
    let (before, _) = deleted(&world, &mut us, 4);
    undo(&world, world.server(), &["--since", "1h"]).ok().says("4 deleted");
    undo(&world, world.server(), &["--since", "0s", "-f", "None"]).ok().says("by a run on this host since then");
    undo(&world, world.server(), &["--since", "soon"]).exits(2).says("`soon` is not a time");
    undo(&world, world.server(), &["--since", "1h", "--all"]).ok().says("brought back 4 messages");
    assert_same(&before, &world.server().maildir());
}

#[test]
fn a_name_that_is_given_anew_keeps_its_stem_and_is_no_option_of_a_shell() {
    let (world, _, mut them) = agreed();
    for name in ["-rf:2,S", "1700000000.M1P2.host,S=738,W=795:2,S"] {
        fs::write(world.server().maildir().join("cur").join(name), format!("Subject: {name}\n\n1\n")).expect("mail");
    }
    world.sync(&[]).ok();
    for name in ["-rf", "1700000000.M1P2.host,S=738,W=795"] {
        let found = them.find(Path::new(""), name.as_bytes());
        them.edit_header(&found);
    }
    world.sync(&[]).ok();
    undo(&world, world.client(), &[&run(&world, world.client())]).ok().says("2 of them under a new name");
    let names: Vec<String> = fs::read_dir(world.client().maildir().join("cur"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains('~'))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("rf~")), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("1700000000.M1P2.host~") && name.ends_with(":2,S")), "{names:?}");
}

#[test]
fn mail_of_a_maildir_that_is_gone_is_mentioned_and_not_warned_about() {
    let (world, mut us, _) = agreed();
    deleted(&world, &mut us, 1);
    fs::remove_dir_all(world.server().maildir()).expect("it goes");
    let said = undo(&world, world.server(), &[]).ok().says("no longer exists; its deleted mail is still kept here");
    assert_eq!(said.stderr, "", "{said}");
    assert_eq!(undo(&world, world.server(), &["--json"]).ok().json()["gone"].as_array().map(Vec::len), Some(1));
}

#[test]
fn of_a_maildir_that_cannot_be_looked_at_nobody_says_that_nothing_was_deleted() {
    let (world, mut us, _) = agreed();
    deleted(&world, &mut us, 7);
    let (server, root) = (world.server(), world.server().maildir());
    fs::write(server.smd_home().join("config.default"), "SERVERNAME=other\nMAILBOX=Maildir/\n").expect("a config");
    let typed = root.display().to_string();
    let asks = [&["default"][..], &[&typed], &["--root", &typed], &["default", "-l"], &["default", "--all"]];
    let assert_said = |cause: &str| {
        for ask in asks {
            let said = undo(&world, server, ask).exits(1).says(cause);
            let said = said.says("its deleted mail is still kept here (7 messages)");
            assert!(!said.stdout.contains("Nothing was deleted"), "{said}");
            let json = undo(&world, server, &[ask, &["--json"]].concat()).exits(1).json();
            assert_eq!(json["gone"][0], typed.as_str(), "{json}");
        }
        let said = undo(&world, server, &[]);
        assert!(!said.stdout.contains("Nothing was deleted"), "{said}");
    };
    let away = server.home.join("Away");
    fs::rename(&root, &away).expect("it goes");
    assert_said("no longer exists");
    fs::write(&root, "no directory").expect("a file");
    assert_said("cannot be looked at");
    undo(&world, server, &[]).exits(1).says("still kept here (7 messages)");
    fs::remove_file(&root).expect("it goes");
    fs::rename(&away, &root).expect("it is back");
    undo(&world, server, &["default", "--all"]).ok().says("brought back 7 messages");
}

#[test]
fn a_directory_that_is_no_maildir_is_said_to_be_none() {
    let (world, _, _) = agreed();
    let (client, root) = (world.client(), world.client().maildir());
    let other = client.home.join("Pictures");
    fs::create_dir_all(other.join("cur")).expect("a directory");
    let said =
        undo(&world, client, &[&other.display().to_string()]).exits(1).says("is no Maildir that a config or a run");
    assert!(!said.stdout.contains("Nothing was deleted"), "{said}");
    // So looks a mount point without its disk.
    fs::rename(&root, client.home.join("Away")).expect("it goes");
    fs::create_dir(&root).expect("a mount point");
    let said = undo(&world, client, &[&root.display().to_string()]).exits(1).says("mount its disk");
    assert!(!said.stdout.contains("Nothing was deleted"), "{said}");
}

#[test]
fn a_list_of_nothing_says_that_nothing_matches() {
    let (world, mut us, _) = agreed();
    deleted(&world, &mut us, 1);
    for options in
        [&["-l", "-m", "nobody"][..], &["-m", "nobody"], &["-l", "-f", "None"], &["-l", "-s", "0s", "-f", "None"]]
    {
        let said = undo(&world, world.server(), options).ok();
        assert_eq!(said.stdout, "nothing matches\n", "{said}");
        let json = undo(&world, world.server(), &[options, &["--json"]].concat()).ok().json();
        assert_eq!(json["runs"].as_array().map(Vec::len), Some(0));
    }
    undo(&world, world.server(), &["-f", "None"]).ok().says("Nothing of such folders was deleted or replaced");
    undo(&world, world.client(), &["-l"]).ok().says("Nothing was deleted or replaced by a run on this host");
}

#[test]
fn control_files_that_come_back_alone_are_counted_as_such() {
    let (world, mut us, _) = agreed();
    fs::write(world.server().maildir().join("Work/dovecot-uidlist"), b"3 V1 N1\n").expect("a control file");
    us.remove_folder("Work");
    world.sync(&[]).ok();
    let number = run(&world, world.server());
    // Somebody brought the mail back by hand.
    for file in buried(world.server()) {
        let id = file.file_stem().expect("a stem").to_string_lossy().into_owned();
        let index = fs::read_to_string(grave(world.server()).join("index")).expect("an index");
        let line: Vec<String> =
            index.lines().find(|line| line.starts_with(&id)).expect("a line").split('\t').map(str::to_owned).collect();
        if line[1] == "deleted" {
            let dir = world.server().maildir().join(&line[2]).join(&line[3]);
            fs::create_dir_all(&dir).expect("a directory");
            fs::remove_file(&file).expect("it goes");
            fs::write(dir.join("other:2,"), b"A: b\n\nc\n").expect("a message");
        }
    }
    undo(&world, world.server(), &[&number]).ok().says("restored 1 control file to");
}
