//! The server takes from itself what it has no use for, and works whole without it.
//!
//! All other tests of whole programs run under the same barriers; these ask whether they stand, and how it is where a system has
//! not all of them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};

use smd_protocol::wire;
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::processes::{require_strace, wait_until};
use smd_tests::rng::Rng;
use smd_tests::tree::{Tree, assert_equal_trees};
use smd_tests::user::User;
use smd_tests::world::{LEFT_OUT, Link, World, finish};

/// What is left out in a system that has all.
const NOTHING: &str = "";

fn world(seed: u64) -> World {
    let world = World::new(Link::Rsh);
    populate::populate(&world.server().maildir(), "first", Spec::plain(30, 6), &mut Rng::from_env_or(seed));
    world
}

/// Lets the server leave this out; gives the options for the client.
fn leaving_out(world: &World, what: &str) -> Vec<String> {
    world.start_server_by(&format!("export {}='{what}'\nexec", LEFT_OUT.0))
}

fn told(world: &World, what: &str) -> Outcome {
    let options = leaving_out(world, what);
    let options: Vec<&str> = ["-v"].into_iter().chain(options.iter().map(String::as_str)).collect();
    world.sync(&options).ok()
}

/// Whether this kernel has a Landlock of use: unless the server says that the kernel lacks it, which a server that forgot to ask
/// does not say.
fn has_landlock(world: &World) -> bool {
    !told(world, LEFT_OUT.1).stderr.contains("no Landlock: this kernel")
}

/// A server of its own, which waits for a Hello.
fn waiting(world: &World, left_out: &str) -> Child {
    let mut server = world.command("smd-server", world.server());
    server.env(LEFT_OUT.0, left_out).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = server.spawn().expect("it starts");
    let mut preamble = [0; wire::PREAMBLE_SIZE];
    server.stdout.as_mut().expect("it is piped").read_exact(&mut preamble).expect("it speaks first");
    server
}

#[test]
fn before_the_first_byte_of_a_client_the_first_stage_is_over_and_there_is_one_thread() {
    let world = world(1500);
    let mut server = waiting(&world, LEFT_OUT.1);
    let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", server.id())).expect("it runs");
    let status = read("status");
    let has = |line: &str| status.lines().any(|one| one.split_whitespace().eq(line.split_whitespace()));
    assert!(has("NoNewPrivs: 1") && has("Seccomp: 2") && has("Threads: 1"), "{status}");
    let limits = read("limits");
    for (name, value) in [("Max core file size", "0"), ("Max file size", "1099511627776")] {
        let line = limits.lines().find(|line| line.starts_with(name)).expect("there is such a limit");
        let (soft, hard) = (line[26..].split_whitespace().next(), line[26..].split_whitespace().nth(1));
        assert_eq!((soft, hard), (Some(value), Some(value)), "{limits}");
    }
    let memory = limits.lines().find(|line| line.starts_with("Max address space")).expect("there is such a limit");
    assert!(!memory.contains("unlimited"), "{memory}");
    drop(server.stdin.take());
    assert!(server.wait().expect("it ends").success());
}

#[test]
fn no_other_process_of_the_account_looks_into_a_server() {
    let world = world(1510);
    // Who owns this directory may look; by default it is whoever runs the process.
    let owner = |left_out: &str| {
        use std::os::unix::fs::MetadataExt as _;
        let mut server = waiting(&world, left_out);
        let environ = fs::metadata(format!("/proc/{}/environ", server.id())).expect("it runs");
        let readable = Command::new("sh").args(["-c", &format!("cat /proc/{}/environ", server.id())]).output();
        drop(server.stdin.take());
        server.wait().expect("it ends");
        (environ.uid(), readable.expect("sh runs").status.success())
    };
    assert_eq!(owner(NOTHING).0, 0, "root's");
    let us = rustix::process::getuid().as_raw();
    assert_eq!(owner(LEFT_OUT.1), (us, true));
    if us != 0 {
        assert!(!owner(NOTHING).1);
    }
}

#[test]
fn a_server_syncs_whole_whatever_of_the_sandbox_a_system_lacks_and_tells_it() {
    let world = world(1520);
    let landlock = has_landlock(&world);
    let (mut us, mut them) = (
        User::new(&world.client().maildir(), "us", Rng::from_env_or(1521)),
        User::new(&world.server().maildir(), "them", Rng::from_env_or(1522)),
    );
    let files = if landlock { "Landlock " } else { "no Landlock" };
    for (left_out, says, without) in [
        (NOTHING, vec![files, "seccomp, limits"], vec!["no seccomp"]),
        ("refer", vec!["seccomp, limits; no Landlock: "], vec![]),
        ("landlock", vec!["seccomp, limits; no Landlock: "], vec![]),
        ("seccomp", vec![files, "limits", "no seccomp: "], vec![]),
        ("all", vec!["none; no Landlock", "no seccomp", "no limits"], vec![]),
    ] {
        us.deliver("Work");
        them.deliver("");
        let found = them.any();
        them.set_flags(&found, "FS");
        let found = us.any();
        us.move_to(&found, "Archive", true);
        let outcome = told(&world, left_out);
        for says in says {
            assert!(outcome.stderr.contains(says), "{left_out}: {says}\n{outcome}");
        }
        assert!(!without.iter().any(|text| outcome.stderr.contains(text)), "{left_out}\n{outcome}");
        world.assert_equal();
    }
    let options = leaving_out(&world, NOTHING);
    world.sync(&options.iter().map(String::as_str).collect::<Vec<_>>()).ok().silent();
}

#[test]
fn what_is_symlinked_to_another_disk_is_reached() {
    let world = world(1530);
    let disk = world.dir().join("disk");
    let state = world.server().smd_home();
    for part in ["served", "grave", "locks"] {
        fs::create_dir_all(disk.join(part)).expect("makes");
        fs::create_dir_all(&state).expect("makes");
        symlink(disk.join(part), state.join(part)).expect("links");
    }
    fs::rename(world.server().maildir(), disk.join("mail")).expect("moves");
    symlink(disk.join("mail"), world.server().maildir()).expect("links");
    world.sync(&[]).ok();
    let mut us = User::new(&world.client().maildir(), "us", Rng::from_env_or(1531));
    let gone = us.any();
    us.delete(&gone);
    world.sync(&[]).ok();
    assert_equal_trees(&world.client().maildir(), &disk.join("mail"));
    assert!(fs::read_dir(disk.join("grave")).expect("it is there").next().is_some(), "the message rests there");
}

#[test]
fn a_root_that_is_not_there_is_made_over_two_connections_of_which_nobody_is_told() {
    let world = world(1540);
    world.sync(&[]).ok();
    let needed = if has_landlock(&world) { 2 } else { 1 };
    let count = world.dir().join("count");
    let options = world.start_server_by(&format!("echo x >>'{}'\nexec", count.display()));
    let (new, options) = (world.server().home.join("New"), options);
    let sync = || {
        let mut command = world.command("smd-sync", world.client());
        command.args(world.link_options(world.server())).args(&options).arg(world.client().maildir());
        finish(command.arg("office:New"))
    };
    let outcome = sync().ok();
    assert_eq!(outcome.stderr, "", "{outcome}");
    assert_equal_trees(&world.client().maildir(), &new);
    let connections = || fs::read_to_string(&count).expect("it was started").lines().count();
    assert_eq!(connections(), needed);
    fs::write(&count, "").expect("writes");
    sync().ok().silent();
    assert_eq!(connections(), 1);
    // A pull makes nothing, and asks for nothing.
    let mut command = world.command("smd-pull", world.client());
    command.args(world.link_options(world.server())).args(&options).arg(world.client().maildir());
    let outcome = finish(command.arg("office:Newer"));
    assert!(!world.server().home.join("Newer").exists() && !outcome.stderr.contains("cannot be made"), "{outcome}");
    assert_eq!(connections(), 2);
}

#[test]
fn several_roots_that_are_not_there_are_made_in_one_run_and_all_of_it_is_told() {
    let world = world(1550);
    world.sync(&[]).ok();
    let client = world.client();
    for name in ["A", "B"] {
        populate::populate(&client.home.join(name), name, Spec::plain(5, 2), &mut Rng::from_env_or(1551));
    }
    let rsh = world.rsh_script();
    let config = format!(
        "SERVERNAME=office\nCLIENTNAME=laptop\nSSH='{}'\nMAILBOX_LOCAL=\"A B Maildir\"\nMAILBOX_REMOTE=\"A B Maildir\"\n",
        rsh.display()
    );
    fs::create_dir_all(client.smd_home()).expect("makes");
    fs::write(client.smd_home().join("config.default"), config).expect("writes");
    let outcome = finish(world.command("smd-sync", client).args(["--json"])).ok();
    for name in ["A", "B"] {
        assert_equal_trees(&client.home.join(name), &world.server().home.join(name));
    }
    assert_eq!(Tree::read(&client.home.join("A")).len() + Tree::read(&client.home.join("B")).len(), 10);
    assert_eq!(outcome.number("/pushed/new"), 10, "{outcome}");
}

#[test]
fn behind_the_hello_a_server_opens_roots_and_state_alone_runs_nothing_and_connects_to_nothing() {
    require_strace();
    let world = world(1560);
    if !has_landlock(&world) {
        return;
    }
    let log = world.dir().join("strace.log");
    let trace = "trace=openat,open,openat2,creat,execve,execveat,socket,connect,clone,clone3,fork,vfork,landlock_restrict_self,seccomp";
    let options = world
        .start_server_by(&format!("exec strace -f -y -qq -s 4096 -o '{}' -e signal=none -e {trace}", log.display()));
    let mut us = User::new(&world.client().maildir(), "us", Rng::from_env_or(1561));
    us.deliver("New");
    let found = us.any();
    us.delete(&found);
    world.sync(&options.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    world.assert_equal();
    let text =
        wait_until("strace writes its log", || fs::read_to_string(&log).ok().filter(|text| text.contains("restrict")));
    let (before, behind) = text.split_once("landlock_restrict_self(").expect("it confines itself");
    assert!(behind.lines().next().is_some_and(|line| line.ends_with("= 0")), "{text}");
    let begun = before.rfind("seccomp(").expect("there is a first stage");
    assert!(!before.contains("clone") && !before[begun..].contains("execve"), "no thread is outside of it\n{text}");
    let (root, state) = (world.server().maildir(), world.server().smd_home());
    let mut opened = 0;
    for line in behind.lines().filter(|line| line.contains("open")) {
        // `= 7</path>` at the end: what was opened.
        let Some((_, path)) = line.rsplit_once(" = ").and_then(|(_, result)| result.split_once('<')) else { continue };
        let path = std::path::Path::new(path.trim_end_matches('>'));
        let held = line.contains("O_PATH");
        assert!(held || path.starts_with(&root) || path.starts_with(&state), "{line}");
        opened += 1;
    }
    assert!(opened > 10, "{text}");
    for call in ["execve", "socket(", "connect(", "fork("] {
        assert!(!behind.contains(call), "{call}\n{text}");
    }
}

#[test]
fn a_client_that_sends_no_hello_gets_no_further_than_the_second_stage() {
    let world = world(1570);
    for first in [&wire::message(&wire::FromClient::Bye).expect("small")[..], b"no frame at all", b""] {
        let mut server = waiting(&world, LEFT_OUT.1);
        let mut stdin = server.stdin.take().expect("it is piped");
        stdin.write_all(&wire::preamble()).and_then(|()| stdin.write_all(first)).expect("it listens");
        drop(stdin);
        server.wait().expect("it ends");
        assert!(!world.server().smd_home().exists());
    }
}
