//! `smd-loop` as a person has it: real programs, a remote shell of three lines, signals, and runs by hand in between.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use smd_tests::looping::{Loop, configure, status};
use smd_tests::mounts::{Disk, privately};
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::processes::{children, kill, runs, wait_for_end, wait_until};
use smd_tests::rng::Rng;
use smd_tests::tree::{self, Tree};
use smd_tests::user::User;
use smd_tests::world::{Host, Link, World, finish};

/// Two hosts, twelve messages at the server, and an endpoint `work`.
fn world() -> World {
    let world = World::new(Link::Rsh);
    populate::populate(&world.server().maildir(), "first", Spec::plain(12, 3), &mut Rng::from_env_or(12));
    configure(&world, "work", "MAILBOX=Maildir");
    world
}

#[track_caller]
fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a script");
}

#[track_caller]
fn smd(world: &World, program: &str, words: &[&str]) -> Outcome {
    finish(world.command(program, world.client()).args(words))
}

fn us(world: &World) -> User {
    User::new(&world.client().maildir(), "us", Rng::from_env_or(1))
}

fn them(world: &World) -> User {
    User::new(&world.server().maildir(), "them", Rng::from_env_or(2))
}

/// Waits until a message has come to a host.
#[track_caller]
fn wait_for_mail(looping: &Loop, host: &Host, found: &tree::Found) {
    wait_until(&format!("{found:?} comes to {}\n{}", host.name, looping.said()), || {
        tree::list(&host.maildir()).iter().any(|one| one.uniq() == found.uniq()).then_some(())
    });
}

#[test]
fn what_is_delivered_at_either_host_comes_to_the_other_and_a_request_to_end_ends_it() {
    let world = world();
    let looping = Loop::watching(&world, "work");
    world.assert_equal();
    let ours = us(&world).deliver("");
    wait_for_mail(&looping, world.server(), &ours);
    let theirs = them(&world).deliver("brand new folder");
    wait_for_mail(&looping, world.client(), &theirs);
    let again = them(&world).deliver_bytes("brand new folder", b"Subject: 2\n\nin the folder that was new\n");
    wait_for_mail(&looping, world.client(), &again);

    let fares = looping.wait_for(&world, "it rests", |one| one["watching"] == true);
    assert_eq!((fares["lag_seconds"].as_u64(), &fares["unwatched"]), (Some(0), &serde_json::json!([])));
    assert!(fares["pulled"]["new"].as_u64() >= Some(14) && fares["pushed"]["new"] == 1, "{fares}");
    smd(&world, "smd-loop", &["--status"]).ok().says("work: watching both hosts");

    let since = Instant::now();
    looping.signal(Signal::TERM);
    let (code, said) = looping.code();
    assert_eq!(code, Some(143), "{said}");
    assert!(since.elapsed() < Duration::from_secs(20), "{said}");
    world.assert_equal();
    smd(&world, "smd-loop", &["--status"]).exits(1).says("No loop runs").says("last success");
}

#[test]
fn a_run_by_hand_is_done_in_the_open_session_and_prints_its_own_report() {
    let world = world();
    let looping = Loop::watching(&world, "work");
    // No other connection can be made any more.
    fs::rename(world.rsh_script(), world.dir().join("rsh-away")).expect("the remote shell can go");
    smd(&world, "smd-sync", &["-q", "work"]).ok().silent();
    let json = smd(&world, "smd-pull", &["--json", "work"]).ok();
    assert_eq!((json.json()["direction"].as_str(), json.round_trips()), (Some("pull"), 1), "{json}");

    // A guard is met by the loop, told by it once, and lifted by hand.
    let mut them = them(&world);
    tree::list(&world.server().maildir()).iter().for_each(|found| them.delete(found));
    let guarded = smd(&world, "smd-sync", &["work"]).exits(3).says("--allow-bulk-delete");
    assert!(guarded.stderr.starts_with("Warning: Maildir: 12 of 12"), "{guarded}");
    looping.signal(Signal::USR1);
    looping.wait_for(&world, "the guard is known", |one| one["watching"] == true && one["last_error"]["exit"] == 3);
    smd(&world, "smd-loop", &["--status"]).exits(1).says("error").says("--allow-bulk-delete");
    let dry = smd(&world, "smd-sync", &["-d", "--allow-bulk-delete", "work"]).ok();
    assert!(dry.stdout.contains("would delete 12 messages here"), "{dry}");
    smd(&world, "smd-sync", &["-v", "--allow-bulk-delete", "work"])
        .ok()
        .says("deleted 12 messages here")
        .says("pull delete");
    assert!(Tree::read(&world.client().maildir()).is_empty());
    looping.wait_for(&world, "all is well", |one| one["last_error"]["stands"] == false);
    assert_eq!(looping.times("12 of 12 messages would be deleted"), 1, "{}", looping.said());
    assert_eq!(looping.times("work: all is well again."), 1, "{}", looping.said());

    // What the loop cannot do as it is typed, the program does by itself; here it cannot.
    smd(&world, "smd-sync", &["-e", "/no/such/shell", "work"]).exits(74).says("/no/such/shell");
}

#[test]
fn a_run_by_hand_does_without_a_loop_that_is_stopped_or_dead() {
    let world = world();
    let looping = Loop::watching(&world, "work");
    looping.stop_at_rest(&world);
    smd(&world, "smd-loop", &["--status"]).exits(1).says(&format!("No loop answers, though process {}", looping.pid()));
    them(&world).deliver("");
    let by_itself = smd(&world, "smd-sync", &["--json", "work"]).ok();
    assert_eq!(by_itself.number("/pulled/new"), 1, "{by_itself}");
    world.assert_equal();
    looping.signal(Signal::CONT);
    let us = us(&world).deliver("");
    wait_for_mail(&looping, world.server(), &us);
    assert!(kill(looping.pid()));
    let (_, said) = looping.code();
    smd(&world, "smd-sync", &["work"]).ok();
    assert!(!said.contains("Error"), "{said}");
    // The socket of a dead loop is no hindrance.
    let looping = Loop::watching(&world, "work");
    smd(&world, "smd-loop", &["work"]).exits(75).says(&format!("already running (pid {})", looping.pid()));
}

#[test]
fn a_connection_that_is_cut_is_made_anew_and_nothing_is_said_of_it() {
    let world = world();
    let looping = Loop::start(&world, &["work"]);
    let mut them = them(&world);
    for _ in 0..3 {
        looping.wait_for(&world, "it watches", |one| one["watching"] == true);
        let server = looping.server().expect("there is a connection");
        assert!(kill(server), "{}", looping.said());
        wait_for_end(server);
        let theirs = them.deliver("");
        wait_for_mail(&looping, world.client(), &theirs);
        assert_ne!(looping.server(), Some(server));
    }
    assert_eq!(looping.said(), "");
    looping.wait_for(&world, "it is mended", |one| one["last_error"]["stands"] == false);
}

#[test]
fn an_error_that_needs_a_person_is_said_once_and_the_mending_too() {
    let world = world();
    configure(&world, "work", "MAILBOX=Maildir\nNONSENSE=1");
    let heard = world.dir().join("heard");
    let notify = world.dir().join("notify");
    script(&notify, &format!("printf '%s\\n==\\n' \"$2\" >>'{}'", heard.display()));
    let looping = Loop::start(&world, &[&format!("--notify={} -u", notify.display()), "work"]);
    let failing = |one: &serde_json::Value, runs: u64| {
        one["doing"] == "retrying" && one["last_error"]["stands"] == true && one["runs"].as_u64() == Some(runs)
    };
    let first = looping.wait_for(&world, "it is wrong", |one| failing(one, 0));
    assert_eq!(first["last_error"]["exit"], 78);
    // Its clock has a second's resolution; a later failure shows that it was met again.
    let at = |one: &serde_json::Value| one["last_error"]["at"].as_u64();
    wait_until("it is met again", || {
        looping.signal(Signal::USR1);
        status(&world).filter(|status| at(&status["endpoints"][0]) > at(&first))
    });
    let said = wait_until("it is told", || fs::read_to_string(&heard).ok().filter(|text| text.contains("==")));
    assert!(said.starts_with("Error: work: The config file has an error.\n  because: "), "{said}");
    assert!(said.contains("line 5"), "{said}");

    configure(&world, "work", "MAILBOX=Maildir");
    looping.signal(Signal::HUP);
    looping.wait_for(&world, "it watches", |one| one["watching"] == true);
    world.assert_equal();
    assert_eq!((looping.times("Error: "), looping.times("all is well again")), (1, 1), "{}", looping.said());
    let told = wait_until("the end is told too", || {
        fs::read_to_string(&heard).ok().filter(|text| text.matches("==").count() > 1)
    });
    assert!(told.ends_with("work: all is well again.\n==\n") && told.matches("==").count() == 2, "{told}");
}

#[test]
fn a_full_disk_that_stops_two_endpoints_is_one_notification_and_so_is_its_end() {
    if !privately(module_path!(), "a_full_disk_that_stops_two_endpoints_is_one_notification_and_so_is_its_end") {
        return;
    }
    let world = world();
    let place = world.client().home.join("small");
    fs::create_dir(&place).expect("a directory");
    let _disk = Disk::mount(&place);
    configure(&world, "home", "MAILBOX_LOCAL=small/Home\nMAILBOX_REMOTE=Maildir");
    configure(&world, "work", "MAILBOX_LOCAL=small/Work\nMAILBOX_REMOTE=Maildir");
    let (heard, notify) = (world.dir().join("heard"), world.dir().join("notify"));
    script(&notify, &format!("printf '%s\\n==\\n' \"$1\" >>'{}'", heard.display()));
    let looping = Loop::start(&world, &[&format!("--notify={}", notify.display()), "home", "work"]);
    let both = |what: &str, right: &dyn Fn(&serde_json::Value) -> bool| {
        wait_until(&format!("{what}\n{}", looping.said()), || {
            let status = status(&world)?;
            let all = status["endpoints"].as_array()?.iter().all(right);
            all.then_some(())
        });
    };
    let watching = |one: &serde_json::Value| one["watching"] == true && one["last_error"]["stands"] != true;
    both("both watch", &watching);
    // What is left fits no message of this size.
    let filler = place.join("filler");
    let full = (0..).map(|_| [0; 65_536]).try_for_each(|block| {
        use std::io::Write as _;
        fs::OpenOptions::new().append(true).create(true).open(&filler)?.write_all(&block)
    });
    assert!(full.is_err(), "the disk has an end");
    them(&world).deliver_bytes("", &[b"Subject: big\n\n".to_vec(), vec![b'x'; 400_000]].concat());
    both("neither has room", &|one| one["last_error"]["stands"] == true);
    for endpoint in ["home", "work"] {
        let printed = || (looping.times(&format!("Warning: {endpoint}: ")) == 1).then_some(());
        wait_until(&format!("it is printed for {endpoint}"), printed);
    }
    let told = || fs::read_to_string(&heard).unwrap_or_default();
    wait_until("a person is told", || told().contains("==").then_some(()));

    fs::remove_file(&filler).expect("the filler goes");
    looping.signal(Signal::USR1);
    both("both have room", &watching);
    let told = wait_until("the end is told", || Some(told()).filter(|text| text.matches("==").count() > 1));
    let (warning, end) = told.split_once("\n==\n").expect("two notifications");
    assert!(warning.starts_with("Warning: ") && warning.contains("No space left on device"), "{told}");
    assert_eq!(end, "home, work: all is well again.\n==\n", "{told}");
    wait_until("both ends are printed", || (looping.times("all is well again.") == 2).then_some(()));
}

#[test]
fn a_program_for_notifications_that_is_not_there_is_told_when_the_loop_begins() {
    let world = world();
    let looping = Loop::start(&world, &["--notify=/no/such/program", "work"]);
    looping.wait_for(&world, "it watches", |one| one["watching"] == true);
    assert_eq!(looping.times("/no/such/program is not installed, so nobody will be notified"), 1, "{}", looping.said());
    drop(looping);
    let looping = Loop::start(&world, &["--notify=/bin/echo", "work"]);
    looping.wait_for(&world, "it watches", |one| one["watching"] == true);
    assert_eq!(looping.said(), "");
}

#[test]
fn an_endpoint_that_was_mistyped_ends_the_loop_at_once_and_those_that_there_are_are_named() {
    let world = world();
    let looping = Loop::start(&world, &["wrok"]);
    wait_for_end(looping.pid());
    let (code, said) = looping.code();
    assert_eq!(code, Some(78), "{said}");
    assert!(said.starts_with("Error: There is no ") && said.ends_with("or use an existing one: work"), "{said}");
}

#[test]
fn the_loop_file_is_written_to_be_edited_and_read_again_on_request() {
    let world = world();
    let file = world.client().smd_home().join("loop");
    smd(&world, "smd-loop", &[]).exits(78).says("edit it");
    let text = fs::read_to_string(&file).expect("it was written");
    assert!(text.contains("\n# 5 5 work\n"), "{text}");
    smd(&world, "smd-loop", &[]).exits(78).says("names no endpoint");
    fs::write(&file, "5 5 work\nfive 5 home\n").expect("it can be edited");
    smd(&world, "smd-loop", &[]).exits(78).says("line 2").says("`five` is not a number of minutes");

    fs::write(&file, text.replace("# 5 5 work", "5 5 work")).expect("it can be edited");
    let looping = Loop::start(&world, &[]);
    looping.wait_for(&world, "it watches", |one| one["watching"] == true);
    let [first] = children(looping.pid())[..] else { panic!("one child") };

    // Another endpoint for another root: the first is served no more.
    let there = world.server().home.join("Other");
    populate::populate(&there, "other", Spec::plain(3, 1), &mut Rng::from_env_or(3));
    configure(&world, "other", "MAILBOX=Other");
    fs::write(&file, "0 - other\n").expect("it can be edited");
    looping.signal(Signal::HUP);
    looping.wait_for(&world, "it watches the other", |one| one["endpoint"] == "other" && one["watching"] == true);
    tree::assert_equal_trees(&world.client().home.join("Other"), &there);
    wait_until("the first connection ends", || (!runs(first)).then_some(()));
    // `-` is never: what is delivered here stays here.
    let mut us = User::new(&world.client().home.join("Other"), "us", Rng::from_env_or(1));
    let ours = us.deliver("");
    let mut them = User::new(&there, "them", Rng::from_env_or(1));
    let theirs = them.deliver("");
    wait_until("a pull", || {
        tree::list(&world.client().home.join("Other")).iter().any(|one| one.uniq() == theirs.uniq()).then_some(())
    });
    assert!(tree::list(&there).iter().all(|one| one.uniq() != ours.uniq()));

    // A file that makes no sense changes nothing.
    fs::write(&file, "x\n").expect("it can be edited");
    looping.signal(Signal::HUP);
    wait_until("it is said", || (looping.times("The loop file has an error") == 1).then_some(()));
    let theirs = them.deliver("");
    wait_until("a pull", || {
        tree::list(&world.client().home.join("Other")).iter().any(|one| one.uniq() == theirs.uniq()).then_some(())
    });
}

#[test]
fn without_watching_a_signal_is_what_syncs_between_the_minutes() {
    let world = world();
    let looping = Loop::start(&world, &["--no-watch", "work"]);
    let first = looping.wait_for(&world, "it waits", |one| one["doing"] == "waiting" && one["runs"] == 1);
    assert_eq!((&first["watching"], first["next"].is_u64()), (&serde_json::json!(false), true), "{first}");
    assert_eq!(children(looping.pid()), [0; 0], "no connection stays");
    world.assert_equal();
    us(&world).deliver("");
    looping.signal(Signal::USR1);
    looping.wait_for(&world, "it has synced", |one| one["doing"] == "waiting" && one["runs"] == 2);
    world.assert_equal();
    let by_hand = smd(&world, "smd-sync", &["--json", "work"]).ok();
    assert_eq!(by_hand.steps(), 0, "{by_hand}");
    looping.wait_for(&world, "that was the loop", |one| one["runs"] == 3);
    looping.signal(Signal::INT);
    assert_eq!(looping.code().0, Some(130));
}

#[test]
fn the_service_manager_hears_of_beginning_reload_and_end() {
    let world = world();
    let path = world.dir().join("manager");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket can be told");
    let hear = |wanted: &str| {
        loop {
            let mut bytes = [0; 500];
            let length = manager.recv(&mut bytes).expect("something is said in time");
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if text.starts_with(wanted) {
                return text;
            }
        }
    };
    let looping = Loop::start_with(&world, &["work"], &[("NOTIFY_SOCKET", &path.display().to_string())]);
    hear("READY=1");
    hear("STATUS=1 of 1 endpoint watched");
    looping.signal(Signal::HUP);
    hear("RELOADING=1\nMONOTONIC_USEC=");
    hear("READY=1");
    looping.signal(Signal::TERM);
    hear("STOPPING=1");
    assert_eq!(looping.code().0, Some(143));
}

#[test]
fn a_hook_of_the_loop_is_named_by_the_status_and_syncs_by_hand_without_waiting_for_the_loop() {
    let world = world();
    let hooks = world.client().smd_home().join("hooks/post-pull.d");
    fs::create_dir_all(&hooks).expect("a directory");
    let (heard, seen) = (world.dir().join("heard"), world.dir().join("seen"));
    script(&hooks.join("05-look"), &format!("smd-loop --status >'{}'", seen.display()));
    script(&hooks.join("10-again"), &format!("smd-push --json work >'{0}.new'\nmv '{0}.new' '{0}'", heard.display()));
    let looping = Loop::watching(&world, "work");
    let json = wait_until("the hook has synced", || fs::read_to_string(&heard).ok());
    assert!(json.contains("\"exit\":0"), "{json}\n{}", looping.said());
    let seen = fs::read_to_string(seen).expect("the first hook has ended");
    assert!(seen.contains("work: waiting for the hook post-pull.d/05-look\n"), "{seen}");
    let fares = looping.wait_for(&world, "it watches", |one| one["watching"] == true);
    assert!(fares["hook"].is_null(), "{fares}");
}
