//! The log of an endpoint and the last runs: what is written, and that neither matters to a run.

use std::fs;
use std::path::PathBuf;

use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::stamps::Stamps;
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

/// Two hosts that agree on 20 messages by the endpoint `work`, and a user at each.
fn agreed(config: &str) -> (World, User, User) {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(11);
    populate::populate(&world.server().maildir(), "first", Spec::plain(20, 3), &mut rng.fork(0));
    fs::create_dir_all(world.client().smd_home()).expect("the state directory");
    let text = format!("SERVERNAME=office\nMAILBOX=Maildir\nSSH='{}'\n{config}", world.rsh_script().display());
    fs::write(world.client().smd_home().join("config.work"), text).expect("the config");
    run(&world, "smd-sync", &[]).ok();
    let us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let them = User::new(&world.server().maildir(), "them", rng.fork(2));
    (world, us, them)
}

#[track_caller]
fn run(world: &World, program: &str, options: &[&str]) -> smd_tests::outcome::Outcome {
    finish(world.command(program, world.client()).args(options).arg("work"))
}

fn log_path(world: &World) -> PathBuf {
    world.client().smd_home().join("log/work.log")
}

/// The lines since this was asked before, each without its time.
#[track_caller]
fn lines(world: &World) -> Vec<String> {
    let text = fs::read_to_string(log_path(world)).unwrap_or_default();
    fs::write(log_path(world), "").expect("the log can be emptied");
    let time = "2026-11-22 06:11:39 +00:00 ".len();
    text.lines().map(|line| line.get(time..).unwrap_or_else(|| panic!("{line}")).to_owned()).collect()
}

#[test]
fn every_message_that_a_run_touched_has_a_line_and_the_run_another() {
    let (world, mut us, mut them) = agreed("");
    assert_eq!(lines(&world).len(), 20 + 2 + 1, "messages, folders but the root, and the run");
    let all = them.list();
    them.set_flags(&all[0], "DFRS");
    us.delete(&all[1]);
    let new = us.deliver("");
    run(&world, "smd-sync", &[]).ok();
    let said = lines(&world);
    assert_eq!(said.len(), 4, "{said:#?}");
    let line =
        |kind: &str| said.iter().find(|line| line.starts_with(kind)).unwrap_or_else(|| panic!("{kind}: {said:#?}"));
    assert!(line("pull flags").ends_with("[DFRS], as at office"), "{said:#?}");
    assert!(line("push deleted").ends_with(": deleted at this host"), "{said:#?}");
    assert!(line("push new").ends_with(&format!("Maildir {}: new at this host", String::from_utf8_lossy(new.uniq()))));
    assert!(said[3].starts_with(
        "sync: changed flags of 1 message here; pushed 1 new message to office; deleted 1 message on office in "
    ));
    assert!(said[3].ends_with("; exit 0"), "{said:#?}");
}

#[test]
fn a_run_with_nothing_to_do_adds_one_line_and_a_dry_run_none() {
    let (world, mut us, _) = agreed("");
    lines(&world);
    run(&world, "smd-pull", &[]).ok().silent();
    let said = lines(&world);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].starts_with("pull: already in sync with office in "), "{said:#?}");
    us.deliver("");
    let before = Stamps::below(&world.client().home);
    run(&world, "smd-sync", &["-d"]).ok();
    run(&world, "smd-sync", &["--status"]).ok();
    before.assert_unchanged(&world.client().home);
}

#[test]
fn failures_guards_and_hooks_are_in_the_log_with_what_they_said() {
    let (world, _, mut them) = agreed("");
    let hooks = world.client().smd_home().join("hooks/post-pull.d");
    fs::create_dir_all(&hooks).expect("a directory");
    fs::write(hooks.join("index"), "#!/bin/sh\necho \"status $4\"\nexit 2\n").expect("a hook");
    fs::set_permissions(hooks.join("index"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    lines(&world);
    them.list().iter().for_each(|found| them.delete(found));
    them.deliver("");
    run(&world, "smd-pull", &[]).exits(3);
    let said = lines(&world).join("\n");
    for text in
        ["hook post-pull.d/index: status 3", "warning: Maildir: 20 of 20 messages", "it exited with 2", "; exit 3"]
    {
        assert!(said.contains(text), "{text}: {said}");
    }
    fs::write(world.rsh_script(), "#!/bin/sh\necho 'ssh: connect to host office: No route to host' >&2\nexit 255\n")
        .expect("the shell");
    run(&world, "smd-pull", &[]).exits(69);
    let said = lines(&world).join("\n");
    assert!(said.contains("No route to host") && said.contains("; exit 69"), "{said}");
    assert!(said.contains("hook post-pull.d/index: status 69"), "{said}");
}

#[test]
fn a_log_that_cannot_be_written_is_said_once_and_fails_nothing() {
    let (world, _, mut them) = agreed("");
    let log = world.client().smd_home().join("log");
    fs::remove_dir_all(&log).expect("it is removed");
    fs::write(&log, "a file in the way").expect("a file");
    (0..3).for_each(|_| drop(them.deliver("")));
    let said = run(&world, "smd-sync", &[]).ok().says("log/work.log cannot be written");
    assert_eq!(said.stderr.matches("Warning").count(), 1, "{said}");
    world.assert_equal();
    let quiet = run(&world, "smd-sync", &["-q"]).ok();
    assert!(quiet.stderr.is_empty(), "{quiet}");
}

#[test]
fn a_log_over_its_size_is_turned_over() {
    let (world, _, mut them) = agreed("");
    fs::write(log_path(&world), "x".repeat(1 << 20)).expect("a long log");
    them.deliver("");
    run(&world, "smd-sync", &[]).ok();
    let size = |name: &str| fs::metadata(log_path(&world).with_file_name(name)).map(|meta| meta.len()).ok();
    assert_eq!(size("work.log.1"), Some(1 << 20));
    assert!(size("work.log").is_some_and(|size| size < 1000));
}

#[test]
fn debug_adds_what_went_over_the_wire_without_the_mail() {
    let (world, _, mut them) = agreed("DEBUG=true\n");
    lines(&world);
    them.deliver_bytes("", b"Subject: sesame\n\nopen\n");
    let said = run(&world, "smd-sync", &[]).ok();
    assert!(!said.stderr.contains("Hello"), "stderr is for SMD_LOG\n{said}");
    let log = lines(&world).join("\n");
    for text in ["-> Hello", "<- Hello", "-> Batch", "<- ContentEnd", "-> Commit", "-> Bye"] {
        assert!(log.contains(text), "{text}: {log}");
    }
    assert!(!log.contains("sesame") && !log.contains("open\n"), "{log}");
    let filtered = finish(world.command("smd-sync", world.client()).env("SMD_LOG", "debug").arg("work")).ok();
    assert!(filtered.stderr.contains("Hello"), "{filtered}");
}

#[test]
fn status_shows_the_last_runs_newest_first() {
    let (world, _, mut them) = agreed("");
    them.deliver("");
    run(&world, "smd-pull", &[]).ok();
    let shell = fs::read(world.rsh_script()).expect("the shell");
    fs::write(world.rsh_script(), "#!/bin/sh\necho 'ssh: connect to host office: No route to host' >&2\nexit 255\n")
        .expect("the shell");
    run(&world, "smd-push", &[]).exits(69);
    fs::write(world.rsh_script(), shell).expect("the shell");

    let text = run(&world, "smd-sync", &["--status"]).ok().stdout;
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("20")).collect();
    assert_eq!(rows.len(), 3, "{text}");
    assert!(
        rows[0].contains("  push    69 ") && rows[1].contains("  pull     0 ") && rows[2].contains("  sync     0 ")
    );
    assert!(
        text.contains("pulled 1 new message from") && text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );

    let status = run(&world, "smd-sync", &["--status", "--json"]).ok();
    assert_eq!((status.number("/runs/1/counts/pulled/new"), status.number("/runs/0/exit")), (1, 69));
    let missing = finish(world.command("smd-sync", world.client()).args(["--status", "nowhere"]));
    missing.exits(78).says("config.nowhere");
}
