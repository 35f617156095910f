//! `smd-verify`: says exactly what differs, believes no cache, and changes nothing.

use std::fs;

use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::stamps::{Stamps, files};
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

/// Two hosts that agree on 40 messages in three folders, and a user at each.
fn agreed(link: Link) -> (World, User, User) {
    let world = World::new(link);
    let rng = Rng::from_env_or(8);
    populate::populate(&world.server().maildir(), "first", Spec::plain(40, 3), &mut rng.fork(0));
    world.sync(&[]).ok();
    world.assert_equal();
    let us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let them = User::new(&world.server().maildir(), "them", rng.fork(2));
    (world, us, them)
}

fn verify(world: &World, options: &[&str]) -> Outcome {
    world.run("smd-verify", world.client(), options)
}

/// The kinds that are told of a uniq, with commas.
#[track_caller]
fn kinds(outcome: &Outcome, uniq: &[u8]) -> String {
    let json = outcome.json();
    let all = json.pointer("/roots/0/differences").and_then(|all| all.as_array()).expect("differences");
    let of_uniq = all.iter().filter(|one| one["uniq"].as_str().map(str::as_bytes) == Some(uniq));
    let words = of_uniq.flat_map(|one| one["kinds"].as_array().expect("kinds"));
    words.map(|word| word.as_str().expect("a word")).collect::<Vec<_>>().join(",")
}

#[test]
fn equal_hosts_are_equal_over_every_link_and_the_exit_code_says_so() {
    for link in [Link::Local, Link::Rsh] {
        let (world, _, _) = agreed(link);
        verify(&world, &[]).ok().says("equal, 40 messages in 3 folders");
        verify(&world, &["-q"]).ok().silent();
        assert_eq!(verify(&world, &["--json"]).ok().json()["equal"], true);
    }
}

#[test]
fn every_difference_is_told_by_its_kind_and_nothing_else_is() {
    let (world, mut us, mut them) = agreed(Link::Rsh);
    let all = us.list();
    us.delete(&all[0]);
    us.set_flags(&all[1], "FRS");
    us.edit_header(&all[2]);
    let here = us.deliver("");
    let there = them.deliver("");
    us.make_folder(".Empty");
    let found = verify(&world, &["--json"]).exits(1);
    for (uniq, kind) in [
        (all[0].uniq(), "only-there"),
        (all[1].uniq(), "flags"),
        (all[2].uniq(), "content"),
        (here.uniq(), "only-here"),
        (there.uniq(), "only-there"),
        (b"", "only-here"),
    ] {
        // A flag set with another than the message had may also have moved it from new to cur.
        let kinds = kinds(&found, uniq).replace(",place", "");
        assert_eq!(kinds, kind, "{:?}\n{found}", String::from_utf8_lossy(uniq));
    }
    assert_eq!(found.json()["roots"][0]["differences"].as_array().map(Vec::len), Some(6), "{found}");
    verify(&world, &[]).exits(1).says("1 other bytes").says("folder .Empty");
    world.sync(&[]).ok();
    verify(&world, &[]).ok();
}

/// What a quick scan cannot see, and a cache would hide.
#[test]
fn bytes_that_changed_behind_every_stamp_are_found() {
    let (world, us, _) = agreed(Link::Rsh);
    let path = us.list()[5].path(&world.client().maildir());
    let mtime = fs::metadata(&path).and_then(|meta| meta.modified()).expect("an mtime");
    let mut bytes = fs::read(&path).expect("a message");
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(&path, bytes).expect("other bytes");
    fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(mtime)).expect("the old stamp");
    world.sync(&[]).ok().silent();
    let found = verify(&world, &["--json"]).exits(1);
    assert_eq!(kinds(&found, us.list()[5].uniq()), "content", "{found}");
}

#[test]
fn nothing_is_changed_on_either_host() {
    let (world, mut us, mut them) = agreed(Link::Rsh);
    us.deliver("");
    them.delete(&them.list()[3].clone());
    us.edit_header(&us.list()[9].clone());
    let homes = [&world.client().home, &world.server().home];
    let before = homes.map(|home| (Stamps::below(home), files(home, |_| true)));
    verify(&world, &[]).exits(1);
    verify(&world, &["--json", "-v"]).exits(1);
    for (home, (stamps, bytes)) in homes.iter().zip(&before) {
        stamps.assert_unchanged(home);
        assert_eq!(&files(home, |_| true), bytes);
    }
}

#[test]
fn hosts_without_any_state_are_compared_and_get_none() {
    let world = World::new(Link::Rsh);
    for host in [world.client(), world.server()] {
        populate::populate(&host.maildir(), "same", Spec::plain(10, 2), &mut Rng::from_env_or(3));
    }
    let before = [world.client(), world.server()].map(|host| Stamps::below(&host.home));
    verify(&world, &[]).ok().says("equal");
    before[0].assert_unchanged(&world.client().home);
    before[1].assert_unchanged(&world.server().home);
}

#[test]
fn what_cannot_be_read_is_not_equal() {
    let (world, us, _) = agreed(Link::Rsh);
    let folder = world.client().maildir().join(".Archive.2024");
    fs::rename(&folder, folder.with_extension("away")).expect("the folder can be moved");
    fs::rename(folder.with_extension("away"), world.dir().join("away")).expect("the folder can be moved");
    fs::write(&folder, b"not a folder").expect("a file");
    verify(&world, &[]).exits(1).says("only there");
    drop(us);
    fs::remove_dir_all(world.client().maildir()).expect("the root can be removed");
    verify(&world, &[]).exits(1).says("no such Maildir");
    fs::remove_dir_all(world.server().maildir()).expect("the root can be removed");
    verify(&world, &[]).exits(78);
}

#[test]
fn an_endpoint_is_taken_from_its_config_and_habits_of_runs_are_not() {
    let (world, mut us, _) = agreed(Link::Rsh);
    let config = format!(
        "SERVERNAME=office\nMAILBOX=Maildir\nSSH={}\nSMDCLIENTOPTS='-q --scan quick -s'\n",
        world.rsh_script().display()
    );
    fs::write(world.client().smd_home().join("config.work"), config).expect("a config");
    let command = |options: &[&str]| finish(world.command("smd-verify", world.client()).args(options).arg("work"));
    command(&[]).ok().says("Maildir: equal");
    us.deliver("");
    command(&["-v"]).exits(1).says("only here");
    finish(&mut world.command("smd-verify", world.client())).exits(78);
}

#[test]
fn usage_errors_and_help_touch_nothing() {
    let world = World::new(Link::Local);
    let before = Stamps::below(&world.client().home);
    let command = |options: &[&str]| finish(world.command("smd-verify", world.client()).args(options));
    for options in [&["-q", "-v"][..], &["--adopt"], &["one", "two", "three"], &["host:Maildir", "Maildir"]] {
        command(options).exits(2);
    }
    command(&["--help"]).ok().says("Exit codes: 0 equal").says("smd-verify [OPTIONS] [ENDPOINT]");
    command(&["--version"]).ok().says("smd-verify ");
    before.assert_unchanged(&world.client().home);
}
