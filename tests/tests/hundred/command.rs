//! What sshd hands to the server: a command, arguments, an environment, a root.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Instant;

use smd_protocol::Step;
use smd_protocol::reconcile::Direction;
use smd_protocol::wire::{ClientHello, Failure, FromClient};
use smd_tests::hostile::stage::{Stage, none};
use smd_tests::hostile::{Client, capped, hello};
use smd_tests::world::finish;

use super::name;

/// A session under these variables works, and does nothing else.
#[track_caller]
fn under(stage: &Stage, number: u8, what: &str, vars: &[(&str, OsString)]) {
    let since = Instant::now();
    let mut command = stage.world.command("smd-server", stage.world.server());
    command.envs(vars.iter().map(|(name, value)| (name, value)));
    let client = Client::by(capped(&command), false);
    client.open(&hello(b"Maildir")).expect("it serves");
    client.say(&FromClient::Bye);
    stage.judge(number, what, &[0, 77], since, &client.end());
}

/// The server with these arguments says how it is called, and does nothing.
#[track_caller]
fn with_arguments(stage: &Stage, number: u8, what: &str, arguments: Vec<OsString>) {
    let since = Instant::now();
    let mut command = stage.world.command("smd-server", stage.world.server());
    command.args(arguments);
    stage.judge(number, what, &[2], since, &finish(&mut command));
}

#[test]
fn what_ssh_hands_over_starts_nothing_and_opens_nothing() {
    let mut stage = Stage::new();
    let asked = "SSH_ORIGINAL_COMMAND";
    none(1, "without SSH_ORIGINAL_COMMAND every other session of this test is served");
    under(&stage, 2, "an empty command", &[(asked, OsString::new())]);
    let touch = |mark: &str| format!("smd-server{mark}touch {}/outside/cur/canary", stage.home().display());
    under(&stage, 3, "smd-server; touch", &[(asked, touch("; ").into())]);
    for mark in [" $(", " `", " && ", "\n", "\r", "\t|"] {
        under(&stage, 4, "a shell's signs", &[(asked, touch(mark).into())]);
    }
    for arguments in [&["--dump-stdin", "x"][..], &["-t", "sh"], &["--root", "/"], &["--override-db", "x"]] {
        with_arguments(&stage, 5, "options that it does not have", arguments.iter().map(Into::into).collect());
    }
    for argument in ["--vers", "-Vx", "--version=x", "--", "-", "-VV"] {
        with_arguments(&stage, 6, "abbreviated, joined, repeated options", vec![argument.into(), argument.into()]);
    }
    with_arguments(&stage, 7, "something that begins with - for a root", vec!["-oProxyCommand=id".into()]);
    with_arguments(&stage, 8, "100,000 arguments", vec!["x".into(); 100_000]);
    with_arguments(&stage, 9, "bytes that are no text", vec![OsString::from_vec(vec![0xff, 0xfe, b'/'])]);
    stage.refused(10, "deletes in a session that only pulls", |client| {
        // It began as one that pulls.
        let pulls = ClientHello { direction: Direction::Pull, ..hello(b"Maildir") };
        assert!(matches!(client.greet(&pulls), Err(Failure::Protocol(_))));
    });
    let pulls = ClientHello { direction: Direction::Pull, ..hello(b"Maildir") };
    stage.at_server(10, "the same in its own session", &[76], Some(&pulls), |client| {
        assert!(client.batch(vec![Step::Delete(name("", "m0"))], &[]).is_err());
    });
    let root = stage.root();
    let named = |path: &str| {
        let client = Client::at(&stage.world, stage.world.server());
        let greeted = client.greet(&hello(path.as_bytes())).map(|hello| hello.roots[0].root.clone());
        client.end();
        greeted
    };
    let own = named(&root).expect("a root");
    for path in [format!("{root}/."), format!("{root}//"), format!("./{root}")] {
        assert_eq!(named(&path).expect("a root"), own, "11 {path}");
    }
    assert_ne!(named(&format!("{root}2")).expect("another root"), own, "11");
    for path in [format!("{root}/../{root}2"), format!("{root}/.."), "..".to_owned()] {
        assert!(matches!(named(&path), Err(Failure::Config(_))), "11 {path}");
    }
    stage.untouched(11, "a root beside");
    none(11, "paths of a root beside, with .. and ., are refused or the same root");
    let outside = |to: &str| OsString::from(format!("{}/{to}", stage.home().join("outside").display()));
    let vars = [
        ("LC_ALL", "../../x".into()),
        ("LANG", OsString::from_vec(vec![0xff; 4_000])),
        ("RUST_LOG", "trace".into()),
        ("SMD_LOG", "trace,x=[".into()),
        ("TMPDIR", outside("tmp")),
        ("SMD_DIR", outside("")),
        ("TZ", outside("tz")),
        ("PATH", outside("cur")),
    ];
    under(&stage, 12, "a hostile environment", &vars);
    none(
        13,
        "a terminal is refused by `restrict`, and by the server, which speaks to no person; a subsystem is sshd's",
    );
    for path in [".", "~", "/", ".ssh", ".smd", "./"] {
        let refused = named(path);
        assert!(matches!(refused, Err(Failure::Config(_))), "14 {path}: {refused:?}");
    }
    none(14, "the home directory and what is around keys and state is no root (78)");
    stage.end();
}
