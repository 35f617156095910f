//! Several roots of one endpoint: a message that was moved from one to another is, for the other host, a delete in the one and
//! a new message in the other. Whatever happens between the two, that host has it in one of its roots.
//!
//! Deliberately not here: folders that change places between roots (`identity.rs`), and what excuses a delete (`ledger.rs`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::processes::{require_strace, under, wait_for_end, wait_until, written_pid};
use smd_tests::rng::Rng;
use smd_tests::tree;
use smd_tests::world::{Host, Link, World, finish};

const GUARD: i32 = 3;
const ROOTS: [&str; 2] = ["Maildir", "Archive"];

/// Two hosts that agree on 12 messages in each of two roots.
fn agreed() -> World {
    let world = World::new(Link::Rsh);
    for (number, root) in (0..).zip(ROOTS) {
        let rng = &mut Rng::from_env_or(40).fork(number);
        populate::populate(&world.server().home.join(root), root, Spec::plain(12, 1), rng);
    }
    configure(&world, "Maildir Archive");
    sync(&world, &[]).ok();
    assert_equal(&world);
    world
}

/// An endpoint of these roots.
fn configure(world: &World, mailbox: &str) {
    let rsh = world.rsh_script();
    let text = format!("SERVERNAME=office\nCLIENTNAME=laptop\nSSH='{}'\nMAILBOX='{mailbox}'\n", rsh.display());
    fs::create_dir_all(world.client().smd_home()).expect("a state directory");
    fs::write(world.client().smd_home().join("config.default"), text).expect("a config");
}

fn command(world: &World, options: &[&str]) -> Command {
    let mut command = world.command("smd-sync", world.client());
    command.args(options);
    command
}

#[track_caller]
fn sync(world: &World, options: &[&str]) -> Outcome {
    finish(&mut command(world, options))
}

#[track_caller]
fn assert_equal(world: &World) {
    for root in ROOTS {
        tree::assert_equal_trees(&world.client().home.join(root), &world.server().home.join(root));
    }
}

/// The bytes of every message in the roots of a host.
fn mail(host: &Host) -> BTreeSet<Vec<u8>> {
    let roots = ROOTS.map(|root| host.home.join(root));
    let files = roots.iter().flat_map(|root| tree::list(root).into_iter().map(|found| found.path(root)));
    files.map(|path| fs::read(path).expect("a message")).collect()
}

/// A message of each root goes to the other, and one more comes to each.
fn move_some(host: &Host, round: usize) {
    let roots = ROOTS.map(|root| host.home.join(root));
    let picked: Vec<PathBuf> = roots.iter().map(|root| tree::list(root)[round % 10].path(root)).collect();
    for (from, to) in picked.iter().zip(roots.iter().rev()) {
        let name = from.file_name().expect("a name");
        fs::rename(from, to.join("cur").join(name)).expect("a message can be moved");
    }
    for (number, root) in roots.iter().enumerate() {
        let text = format!("Subject: {round}\n\nnew in {number} in round {round}\n");
        fs::write(root.join(format!("new/1700000000.{round}_{number}.new")), text).expect("a message");
    }
}

/// Kills the client, or the server, before each call in turn that gives a file another name, while messages move between the
/// roots of the other host.
#[track_caller]
fn killed_at_every_name(at_server: bool) {
    require_strace();
    let world = agreed();
    let (mover, told) = match at_server {
        true => (world.client(), world.server()),
        false => (world.server(), world.client()),
    };
    let (pid_file, mut kills) = (world.dir().join("server.pid"), 0);
    for nth in 1.. {
        move_some(mover, nth);
        let before = mail(told);
        let inject = format!("inject=renameat2:signal=KILL:when={nth}");
        let tracer = ["strace", "-f", "-o", "/dev/null", "-e", "trace=renameat2", "-e", &inject];
        let outcome = match at_server {
            true => {
                let before = format!("echo $$ >'{}'; exec {}", pid_file.display(), tracer.join(" "));
                let options = world.start_server_by(&before);
                let options: Vec<&str> = options.iter().map(String::as_str).collect();
                finish(&mut command(&world, &options))
            }
            false => finish(&mut under(&tracer, &command(&world, &[]))),
        };
        written_pid(&pid_file).into_iter().for_each(wait_for_end);
        let lost = before.difference(&mail(told)).count();
        assert_eq!(lost, 0, "messages rest in the grave of {} alone, after call {nth}\n{outcome}", told.name);
        kills += usize::from(outcome.code != 0);
        let mended = sync(&world, &[]).ok();
        assert_equal(&world);
        assert_eq!(mail(told), mail(mover), "{mended}");
        if outcome.code == 0 {
            break;
        }
    }
    assert!(kills > 8, "a run gives more names than {kills}");
}

#[test]
fn a_client_killed_at_any_name_has_in_a_root_what_moved_between_two() {
    killed_at_every_name(false);
}

#[test]
fn a_server_killed_at_any_name_has_in_a_root_what_moved_between_two() {
    killed_at_every_name(true);
}

/// The message is moved from the first root into the second, which another directory has taken the place of.
#[track_caller]
fn moved_into_a_root_that_stops(there: bool) {
    let world = agreed();
    let (mover, told) = if there { (world.server(), world.client()) } else { (world.client(), world.server()) };
    let (from, to) = (mover.home.join("Maildir"), mover.home.join("Archive"));
    fs::rename(&to, mover.home.join("aside")).expect("a root can go");
    populate::make_folder(&to, Path::new(""));
    let moved = tree::list(&from)[0].path(&from);
    let (bytes, name) = (fs::read(&moved).expect("a message"), moved.file_name().expect("a name").to_owned());
    fs::rename(&moved, to.join("cur").join(&name)).expect("a message can be moved");
    let gone = tree::list(&from)[0].path(&from);
    fs::remove_file(&gone).expect("a message can be deleted");

    let dry = sync(&world, &["-d", "--json"]).exits(GUARD);
    let run = sync(&world, &["--json"]).exits(GUARD);
    for outcome in [&dry, &run] {
        assert_eq!((outcome.number("/held/other_root"), outcome.deleted()), (1, 1), "{outcome}");
    }
    assert!(mail(told).contains(&bytes), "it is not in the other root yet\n{run}");
    assert_eq!(tree::list(&told.home.join("Maildir")).len(), 11, "the other one was deleted");
    sync(&world, &[]).exits(GUARD).says("1 deletion waits until what was moved is in the other Maildir");

    let mended = sync(&world, &["--adopt"]);
    sync(&world, &[]).ok();
    assert_equal(&world);
    let count = |root: &str| tree::list(&told.home.join(root)).len();
    assert_eq!((count("Maildir"), count("Archive")), (10, 13), "{mended}");
}

#[test]
fn what_was_moved_into_a_root_that_stops_stays_in_the_other_and_is_said() {
    moved_into_a_root_that_stops(true);
    moved_into_a_root_that_stops(false);
}

#[test]
fn a_message_that_cannot_come_to_one_root_stays_in_the_other_and_the_next_run_moves_it() {
    let world = agreed();
    let (from, to) = (world.server().home.join("Maildir"), world.server().home.join("Archive"));
    let moved = tree::list(&from)[0].path(&from);
    let (bytes, name) = (fs::read(&moved).expect("a message"), moved.file_name().expect("a name").to_owned());
    fs::rename(&moved, to.join("cur").join(&name)).expect("a message can be moved");
    // No file can be made where there is no directory for it.
    let tmp = world.client().home.join("Archive/tmp");
    fs::remove_dir_all(&tmp).expect("it can go");
    fs::write(&tmp, "no directory").expect("a file");
    let run = sync(&world, &["--json"]).exits(1);
    assert_eq!(run.number("/held/other_root"), 1, "{run}");
    assert!(mail(world.client()).contains(&bytes), "{run}");
    fs::remove_file(&tmp).expect("it can go");
    sync(&world, &[]).ok();
    assert_equal(&world);
    assert!(!mail(world.client()).is_empty() && mail(world.client()).contains(&bytes));
}

#[test]
fn a_message_edited_on_one_host_and_moved_to_another_root_on_the_other_is_kept_in_both_and_said() {
    let world = agreed();
    let [from, to] = ROOTS.map(|root| world.client().home.join(root));
    let moved = tree::list(&from)[0].clone();
    let name = moved.path(&from).file_name().expect("a name").to_owned();
    fs::rename(moved.path(&from), to.join("cur").join(&name)).expect("a message can be moved");
    let edited = moved.path(&world.server().home.join("Maildir"));
    let text = [&fs::read(&edited).expect("a message")[..], b"edited\n"].concat();
    fs::write(&edited, &text).expect("it can be edited");
    sync(&world, &[]).ok().says("was edited on the server and moved to Archive on this host; both are kept");
    assert_equal(&world);
    assert!(mail(world.client()).contains(&text) && to.join("cur").join(&name).exists());
    sync(&world, &[]).ok().silent();
}

#[test]
fn roots_of_which_one_has_work_cost_no_more_than_one_root() {
    let world = agreed();
    let trips = |both: bool| {
        let root = world.server().home.join("Maildir");
        fs::remove_file(tree::list(&root)[0].path(&root)).expect("a message can be deleted");
        let name = format!("new/1700000001.{both}.new");
        fs::write(root.join(&name), format!("Subject: x\n\nnew: {both}\n")).expect("a message");
        if both {
            fs::write(world.server().home.join("Archive").join(&name), "Subject: x\n\nnew here\n").expect("a message");
        }
        sync(&world, &["--json"]).ok().number("/traffic/round_trips")
    };
    // The look, a batch, and the base in two.
    assert_eq!(trips(false), 4);
    // Each root its own; and where the deletes of the first wait, the base once more.
    assert_eq!(trips(true), 9);
    assert_equal(&world);
}

/// Gives both hosts something new in both roots, and moves a message at the server from the first to the second.
fn give_work(world: &World) {
    let [from, to] = ROOTS.map(|root| world.server().home.join(root));
    let moved = tree::list(&from)[0].path(&from);
    fs::rename(&moved, to.join("cur").join(moved.file_name().expect("a name"))).expect("a message can be moved");
    for host in [world.client(), world.server()] {
        for (number, root) in ROOTS.iter().enumerate() {
            let root = host.home.join(root);
            let name = format!("1700000002.{number}_{}.{}", tree::list(&root).len(), host.name);
            fs::write(root.join("new").join(&name), format!("Subject: {name}\n\n{name}\n")).expect("a message");
        }
    }
}

#[test]
fn a_run_that_waits_for_the_lock_of_one_root_keeps_nobody_from_another() {
    require_strace();
    let world = agreed();
    let trace = world.dir().join("locks");
    let file = trace.display().to_string();
    for host in [world.client(), world.server()] {
        let lock = |root: &str| {
            let dir = fs::File::open(host.home.join(root)).expect("the root");
            rustix::fs::flock(&dir, rustix::fs::FlockOperation::NonBlockingLockExclusive).map(|()| dir)
        };
        for (at, taken) in ROOTS.into_iter().enumerate() {
            give_work(&world);
            let held = lock(taken).expect("nobody has it");
            let _ = fs::remove_file(&trace);
            let mut run =
                under(&["strace", "-f", "-qq", "-y", "-e", "trace=flock", "-o", &file], &command(&world, &[]));
            let child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be started");
            let asked = format!("<{}>, LOCK_EX", host.home.join(taken).display());
            // A look asks once; who asks again waits.
            wait_until("the run waits for the lock", || {
                let text = fs::read_to_string(&trace).unwrap_or_default();
                (text.lines().filter(|line| line.contains(&asked)).count() > 2).then_some(())
            });
            lock(ROOTS[1 - at]).map(drop).expect("the run does not hold it");
            drop(held);
            Outcome::new(format!("{run:?}"), &child.wait_with_output().expect("it ends")).ok();
            sync(&world, &[]).ok();
            assert_equal(&world);
        }
    }
}
