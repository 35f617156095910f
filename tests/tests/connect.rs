//! Far ends without a server, far ends with one in an unusual place, and addresses: as a person meets them.
//!
//! Each cause by itself is in the table of `client/src/connect/tests.rs`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use smd_tests::looping::Loop;
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::processes::wait_until;
use smd_tests::programs;
use smd_tests::rng::Rng;
use smd_tests::tree::Tree;
use smd_tests::world::{Link, World, finish};

/// Two hosts, six messages at the server.
fn world() -> World {
    let world = World::new(Link::Rsh);
    populate::populate(&world.server().maildir(), "first", Spec::plain(6, 2), &mut Rng::from_env_or(60));
    world
}

#[track_caller]
fn script(path: &Path, text: &str) -> PathBuf {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a script");
    path.to_owned()
}

/// Gives the client an endpoint `work` whose remote shell does this.
#[track_caller]
fn configure(world: &World, far: &str, lines: &str) {
    let rsh = script(&world.dir().join("far"), far);
    let home = world.client().smd_home();
    fs::create_dir_all(&home).expect("a directory");
    let text = format!("SERVERNAME=office\nMAILBOX=Maildir\nSSH={}\n{lines}\n", rsh.display());
    fs::write(home.join("config.work"), text).expect("a config");
}

#[track_caller]
fn smd(world: &World, program: &str, words: &[&str]) -> Outcome {
    finish(world.command(program, world.client()).args(words))
}

#[test]
fn a_program_that_ends_at_once_is_no_fault_of_the_network_and_the_loop_tells_a_person() {
    let world = world();
    let old = "echo 'Usage: smd-server [-vdn] endpointname mailboxes...' >&2; exit 2";
    configure(&world, old, "REMOTE_COMMAND=/opt/smd/smd-server");
    let said = smd(&world, "smd-sync", &["work"]).exits(76).says("Usage: smd-server [-vdn]");
    let said = said.says("far office /opt/smd/smd-server --version");
    assert!(!said.stderr.contains("office smd-server"), "{said}");
    let told = world.dir().join("told");
    let notify = script(&world.dir().join("notify"), &format!("echo \"$1\" >> '{}'", told.display()));
    let looping = Loop::start(&world, &[&format!("--notify={}", notify.display()), "work"]);
    let text = wait_until("a person is told", || fs::read_to_string(&told).ok().filter(|text| text.contains("Hint")));
    assert!(text.contains("is another program, or an old one"), "{text}");
    drop(looping);
}

#[test]
fn a_server_in_the_home_of_its_user_is_found_and_a_restricted_command_sees_no_more_than_paths() {
    let world = world();
    let asked = world.dir().join("asked");
    let home = world.server().home.display().to_string();
    let far = format!(
        "echo \"$2\" >> '{}'; cd '{home}'; export HOME='{home}' PATH=/usr/bin:/bin; exec sh -c \"$2\"",
        asked.display()
    );
    configure(&world, &far, "");
    smd(&world, "smd-sync", &["work"])
        .exits(78)
        .says("office could not find smd-server.")
        .says("it is not in the PATH of ssh there")
        .says("~/.local/bin");
    let places = ["smd-server", "~/.local/bin/smd-server", "~/.cargo/bin/smd-server"];
    let asked = fs::read_to_string(&asked).expect("it was asked");
    assert_eq!(asked.lines().collect::<Vec<_>>(), places);
    let bin = world.server().home.join(".cargo/bin");
    fs::create_dir_all(&bin).expect("a directory");
    symlink(programs::path("smd-server"), bin.join("smd-server")).expect("a program of the user's own");
    smd(&world, "smd-sync", &["-v", "work"]).ok().says("REMOTE_COMMAND=~/.cargo/bin/smd-server");
    world.assert_equal();
    assert_eq!(Tree::read(&world.client().maildir()).len(), 6);
    // A key that is restricted to a command starts that one, whatever is asked for.
    let script = world.start_server_by("exec");
    configure(&world, &format!("exec {}", script[1]), "");
    smd(&world, "smd-sync", &["work"]).ok();
}

#[test]
fn a_port_is_no_directory_and_an_ssh_url_is_taken_as_git_takes_it() {
    let world = world();
    let sync = |remote: &str| {
        let mut command = world.command("smd-sync", world.client());
        command.args(world.link_options(world.server())).arg(world.client().maildir()).arg(remote);
        finish(&mut command)
    };
    sync("office:2222:Maildir").exits(2).says("ssh://office:2222/~/Maildir");
    sync("me@::1:Maildir").exits(2).says("me@[::1]:Maildir");
    sync("imaps://office/Maildir").exits(2).says("ssh://");
    assert!(Tree::read(&world.client().maildir()).is_empty());
    sync("ssh://me@office:2222/~/Maildir").ok();
    world.assert_equal();
    sync(&format!("ssh://office{}", world.server().maildir().display())).ok();
    world.assert_equal();
    let at_server: Vec<_> =
        fs::read_dir(&world.server().home).expect("a home").flatten().map(|e| e.file_name()).collect();
    assert!(at_server.iter().all(|name| name == "Maildir" || name == ".smd"), "{at_server:?}");
}

#[test]
fn state_on_another_disk_is_used_and_a_link_to_a_disk_that_is_not_mounted_is_no_lost_state() {
    let world = world();
    let larger = world.dir().join("larger");
    for (host, dir) in [(world.client(), "state"), (world.server(), "served"), (world.server(), "grave")] {
        fs::create_dir_all(larger.join(dir)).expect("a directory");
        fs::create_dir_all(host.smd_home()).expect("a directory");
        symlink(larger.join(dir), host.smd_home().join(dir)).expect("a link");
    }
    world.sync(&[]).ok();
    world.assert_equal();
    assert!(larger.join("state").read_dir().expect("state").next().is_some(), "the state is elsewhere");
    fs::rename(&larger, world.dir().join("unmounted")).expect("the disk goes");
    for options in [&["-d"][..], &[]] {
        world.sync(options).exits(74).says("is a symlink to a directory that is not there").says(".smd/state");
    }
    fs::rename(world.dir().join("unmounted"), &larger).expect("the disk comes back");
    let found = smd_tests::tree::list(&world.client().maildir()).remove(0);
    fs::remove_file(found.path(&world.client().maildir())).expect("a message goes");
    let ran = world.sync(&["--json"]).ok();
    assert_eq!((ran.deleted(), ran.returned()), (1, None), "{ran}");
    assert!(larger.join("grave").read_dir().expect("graves").next().is_some(), "it rests elsewhere");
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let world = world();
    world.sync(&[]).ok();
    let full = || fs::File::options().write(true).open("/dev/full").expect("every Linux has it");
    let programs = [
        world.prepare("smd-sync", world.client(), &["--json"]),
        world.prepare("smd-verify", world.client(), &["--json"]),
        world.prepare("smd-check-conf", world.client(), &["--json"]),
        world.prepare("smd-uniform-names", world.client(), &["--json"]),
    ];
    for mut command in programs {
        let said = finish_into(&mut command, full());
        assert_eq!(said.code, 74, "{said}");
        said.says("the result cannot be written to stdout: No space left on device");
    }
    let mut undo = world.command("smd-undo", world.client());
    assert_eq!(finish_into(undo.arg("--json"), full()).code, 74);
    let mut server = world.command("smd-server", world.client());
    assert_ne!(finish_into(server.arg("--help"), full()).code, 0);
}

#[track_caller]
fn finish_into(command: &mut std::process::Command, stdout: fs::File) -> Outcome {
    let line = format!("{command:?}");
    let child = command.stdout(stdout).stderr(std::process::Stdio::piped()).spawn().expect("it starts");
    Outcome::new(line, &child.wait_with_output().expect("it ends"))
}

#[test]
fn a_person_who_starts_the_server_is_told_what_it_is() {
    let world = world();
    smd(&world, "smd-server", &["--help"]).ok().says("Usage: smd-server");
    smd(&world, "smd-server", &["--version"]).ok().says("smd-server 0.");
    smd(&world, "smd-server", &["Maildir"]).exits(2).says("takes no arguments but --help and --version");
}

#[test]
fn a_home_of_another_user_is_said_as_such() {
    let world = world();
    if !rustix::process::geteuid().is_root() {
        return;
    }
    std::os::unix::fs::chown(&world.client().home, Some(65534), Some(65534)).expect("root can give a directory away");
    smd(&world, "smd-sync", &["nowhere"]).exits(78).says("is HOME, or SMD_HOME, that of another user?");
    world.sync(&[]).ok().says("belongs to another user (id 65534; this is 0)");
}
