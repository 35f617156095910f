//! Faults of real file systems and links: a full disk, a read-only one, no permission, a cut connection, a signal.
//!
//! In each case nothing may be deleted anywhere, the run says what it met and where and does not end with 0, and what can be
//! done is done; when the fault is gone, one ordinary run makes all well.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use smd_tests::mail;
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::processes::{children, kill, require_strace, runs, signal, under, wait_until};
use smd_tests::rng::Rng;
use smd_tests::room::Room;
use smd_tests::tree::{self, Tree};
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

const PARTLY: i32 = 1;
const LOST: i32 = 69;
const IO: i32 = 74;

/// Two hosts that agree, with 40 messages in 4 folders, and what each side's person does.
struct Scene {
    world: World,
    rng: Rng,
    users: [User; 2],
}

/// Client and server, as indices.
const SIDES: [usize; 2] = [0, 1];

impl Scene {
    #[track_caller]
    fn new(link: Link, seed: u64) -> Self {
        let (world, rng) = (World::new(link), Rng::from_env_or(seed));
        populate::populate(&world.server().maildir(), "first", Spec::plain(40, 4), &mut rng.fork(0));
        let roots = [world.client().maildir(), world.server().maildir()];
        let users = [User::new(&roots[0], "us", rng.fork(1)), User::new(&roots[1], "them", rng.fork(2))];
        Self { world, rng: rng.fork(3), users }
    }

    fn root(&self, side: usize) -> PathBuf {
        [self.world.client(), self.world.server()][side].maildir()
    }

    fn sync(&self) -> Command {
        self.world.prepare("smd-sync", self.world.client(), &[])
    }

    /// Messages that do not fit into a small room, into the root of one side's person.
    #[track_caller]
    fn deliver_much(&mut self, root: &Path, count: usize) {
        let mut user = User::new(root, &format!("much {}", self.rng.number()), self.rng.fork(7));
        for number in 0..count {
            let bytes = mail::big(&format!("much.{number}"), 100_000, &mut self.rng);
            user.deliver_bytes("", &bytes);
        }
    }
}

/// Hashes of all messages.
#[track_caller]
fn contents(root: &Path) -> BTreeSet<(u64, u64)> {
    Tree::read(root).contents().into_keys().collect()
}

#[track_caller]
fn assert_kept(before: &BTreeSet<(u64, u64)>, root: &Path) {
    let lost = before.difference(&contents(root)).count();
    assert_eq!(lost, 0, "{lost} messages are gone from {}", root.display());
}

#[test]
fn a_full_disk_under_a_root_costs_nothing_and_the_rest_is_done() {
    for side in SIDES {
        let mut scene = Scene::new(Link::Local, 70);
        let room = Room::mount(&scene.root(side), "1m");
        finish(&mut room.enter(&scene.sync())).ok();
        let roots = if side == 0 { [room.path(), scene.root(1)] } else { [scene.root(0), room.path()] };
        // More for the full side than it takes, and a message for the other one.
        scene.deliver_much(&roots[1 - side], 30);
        User::new(&roots[side], "small", scene.rng.fork(5)).deliver("Work");
        let before = roots.each_ref().map(|root| contents(root));
        let full = finish(&mut room.enter(&scene.sync())).exits(PARTLY).says("make room on this disk");
        let full = full.says(&scene.root(side).display().to_string());
        roots.iter().zip(&before).for_each(|(root, before)| assert_kept(before, root));
        let small = before[side].difference(&contents(&roots[1 - side])).count();
        assert_eq!(small, 0, "what the full side had to give did not arrive\n{full}");
        room.remount("size=16m");
        finish(&mut room.enter(&scene.sync())).ok();
        tree::assert_equal_trees(&roots[0], &roots[1]);
        assert_eq!(Tree::read(&roots[0]).len(), 40 + 30 + 1);
    }
}

#[test]
fn a_full_disk_is_told_before_and_once_afterwards_and_every_line_of_a_step_says_what_became_of_it() {
    for side in SIDES {
        let mut scene = Scene::new(Link::Local, 79);
        let room = Room::mount(&scene.root(side), "1m");
        finish(&mut room.enter(&scene.sync())).ok();
        let roots = if side == 0 { [room.path(), scene.root(1)] } else { [scene.root(0), room.path()] };
        scene.deliver_much(&roots[1 - side], 30);
        let with = |options: &[&str]| finish(room.enter(&scene.sync()).args(options));
        with(&["-d"]).exits(PARTLY).says("there is not enough room: 30 messages");

        let before = contents(&roots[side]).len();
        let full = with(&["-v"]).exits(PARTLY).says("there is not enough room: 30 messages").says("could not be made");
        let came = contents(&roots[side]).len() - before;
        let (failed, done): (Vec<&str>, Vec<&str>) = full
            .stdout
            .lines()
            .filter(|line| line.starts_with("pull new ") || line.starts_with("push new "))
            .partition(|line| line.contains(" NOT DONE: "));
        assert_eq!((done.len(), failed.len()), (came, 30 - came), "{full}");
        let told = full.stderr.lines().filter(|line| line.contains("No space left on device")).count();
        assert_eq!(told, 1, "one line for one cause\n{full}");

        // Nothing more fits, and that is not the same as nothing to do.
        let again = with(&[]).exits(PARTLY).says("could not be made; the next run will try again");
        assert!(!again.stdout.contains("in sync"), "{again}");
        let status = with(&["--status"]).ok().stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(status.contains("changes could not be made") && !status.contains("in sync"), "{status}");
        room.remount("size=16m");
        with(&[]).ok();
        with(&["-v"]).ok().says("already in sync with");
    }
}

#[test]
fn a_message_is_not_deleted_when_there_is_no_room_for_the_line_in_the_index_of_the_grave() {
    for side in SIDES {
        let scene = Scene::new(Link::Local, 71);
        let room = Room::mount(&scene.root(side), "1m");
        finish(&mut room.enter(&scene.sync())).ok();
        let roots = if side == 0 { [room.path(), scene.root(1)] } else { [scene.root(0), room.path()] };
        let mut user = User::new(&roots[1 - side], "deletes", scene.rng.fork(5));
        let found = user.any();
        user.delete(&found);
        let before = contents(&roots[side]);
        let filler = room.fill();
        finish(&mut room.enter(&scene.sync())).exits(PARTLY).says("make room on this disk");
        assert_kept(&before, &roots[side]);
        fs::remove_file(filler).expect("the filler goes");
        finish(&mut room.enter(&scene.sync())).ok();
        tree::assert_equal_trees(&roots[0], &roots[1]);
        assert_eq!(Tree::read(&roots[0]).len(), 39);
    }
}

#[test]
fn a_full_disk_takes_nothing_out_of_the_grave_before_its_days_are_over() {
    for side in SIDES {
        let mut scene = Scene::new(Link::Local, 73);
        let room = Room::mount(&scene.root(side), "1m");
        finish(&mut room.enter(&scene.sync())).ok();
        let roots = if side == 0 { [room.path(), scene.root(1)] } else { [scene.root(0), room.path()] };
        let grave = room.path().join("..smd-grave");
        fs::create_dir(&grave).expect("a grave");
        // The clock by which its days count began long ago.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let clock = format!("smd-age-clock 1\nage {now}\nboot -\nwall {now}\nbegan 0\n");
        fs::write(scene.world.client().smd_home().join("age-clock"), clock).expect("a clock");
        let [young, old] = [6, 8].map(|days| grave.join(format!("{}.old.{days}.k", now - days * 86_400)));
        for file in [&young, &old] {
            fs::write(file, vec![0; 200_000]).expect("a grave");
        }
        // More than there is room for, whatever goes; and a message that is replaced.
        scene.deliver_much(&roots[1 - side], 30);
        let found = scene.users[1 - side].any();
        scene.users[1 - side].edit_in_place(&found);
        finish(&mut room.enter(&scene.sync())).exits(PARTLY).says("make room on this disk");
        assert!(young.exists() && !old.exists());
    }
}

#[test]
fn a_full_disk_under_the_state_ends_the_run_and_nothing_is_lost() {
    for side in SIDES {
        let mut scene = Scene::new(Link::Rsh, 72);
        let home = [scene.world.client(), scene.world.server()][side].smd_home();
        fs::create_dir(&home).expect("the state's directory can be made");
        let room = Room::mount(&home, "1m");
        finish(&mut room.enter(&scene.sync())).ok();
        for user in &mut scene.users {
            let found = user.any();
            user.delete(&found);
            // So many that their lines do not fit into what is left of the file's last page.
            (0..60).for_each(|_| drop(user.deliver("Work")));
        }
        let filler = room.fill();
        // The base is written after the mail is safe; what cannot be written is not agreed on.
        let full = finish(&mut room.enter(&scene.sync()));
        assert!([PARTLY, IO].contains(&full.code), "{full}");
        // The client's note of what it is about to bring comes first, and nothing is begun without it; nor is anything removed
        // that is not counted.
        let named = [".db.txt.begun at the client", "Maildir at the server"][side];
        full.says("No space left on device").says(named).says([".db.txt", "/.smd/removed."][side]);
        fs::remove_file(filler).expect("the filler goes");
        finish(&mut room.enter(&scene.sync())).ok();
        scene.world.assert_equal();
        assert_eq!(Tree::read(&scene.root(0)).len(), 40 + 120 - 2);
    }
}

#[test]
fn a_read_only_root_is_left_alone_and_nothing_is_deleted() {
    for side in SIDES {
        let scene = Scene::new(Link::Local, 73);
        let room = Room::mount(&scene.root(side), "4m");
        finish(&mut room.enter(&scene.sync())).ok();
        let roots = if side == 0 { [room.path(), scene.root(1)] } else { [scene.root(0), room.path()] };
        let mut other = User::new(&roots[1 - side], "other", scene.rng.fork(5));
        let found = other.any();
        other.delete(&found);
        other.deliver("Work");
        User::new(&roots[side], "own", scene.rng.fork(6)).deliver("");
        let before = roots.each_ref().map(|root| contents(root));
        room.remount("ro");
        let refused = finish(&mut room.enter(&scene.sync()));
        assert!([PARTLY, IO].contains(&refused.code), "{refused}");
        let refused = refused.says(&scene.root(side).display().to_string()).says("ead-only file system");
        roots.iter().zip(&before).for_each(|(root, before)| assert_kept(before, root));
        assert_eq!(contents(&roots[side]), before[side], "{refused}");
        room.remount("rw");
        finish(&mut room.enter(&scene.sync())).ok();
        tree::assert_equal_trees(&roots[0], &roots[1]);
        assert_eq!(Tree::read(&roots[0]).len(), 40 + 2 - 1);
    }
}

#[test]
fn a_root_or_folder_that_may_not_be_written_is_told_by_the_check() {
    for (side, below) in SIDES.into_iter().flat_map(|side| ["", ".Archive.2024"].map(|below| (side, below))) {
        let scene = Scene::new(Link::Rsh, 78);
        finish(&mut scene.sync()).ok();
        let closed = scene.root(side).join(below);
        let room = Room::mount(&closed, "4m");
        for place in ["cur", "new", "tmp"] {
            fs::create_dir_all(room.path().join(place)).expect("the room is a folder");
        }
        let mut check = scene.world.prepare("smd-check-conf", scene.world.client(), &[]);
        finish(&mut room.enter(&check)).ok().says("A run would work");
        room.remount("ro");
        let said = finish(&mut room.enter(&check)).exits(78).says(closed.display().to_string().trim_end_matches('/'));
        let words: Vec<&str> = said.stdout.split_whitespace().collect();
        assert!(words.join(" ").contains("may not be written to: Read-only file system"), "{said}");
        room.remount("rw");
        finish(&mut check).ok();
    }
}

/// Programs run as somebody who is not root: as the user of the test, or as nobody.
struct Unprivileged {
    program: PathBuf,
}

impl Unprivileged {
    const ID: u32 = 65534;

    /// Gives the world to that user, with a copy of the program that the user can reach.
    #[track_caller]
    fn own(world: &World) -> Self {
        let program = world.dir().join("smd-sync");
        fs::copy(smd_tests::programs::path("smd-sync"), &program).expect("the program can be copied");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it may be run");
        let this = Self { program };
        this.give(world.dir());
        this
    }

    /// Makes that user the owner of all below, as far as there is a choice.
    fn give(&self, path: &Path) {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        chown(path, Some(Self::ID), Some(Self::ID)).expect("root can give a file away");
        if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            for entry in fs::read_dir(path).expect("the world can be read") {
                self.give(&entry.expect("the world can be read").path());
            }
        }
    }

    /// A program of this machine, started as that user.
    fn start(program: &Path) -> Command {
        if !rustix::process::geteuid().is_root() {
            return Command::new(program);
        }
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
        setpriv
    }

    /// The same command as that user.
    fn command(&self, command: &Command) -> Command {
        let mut own = Self::start(&self.program);
        own.args(command.get_args()).env_clear();
        own.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        own.current_dir(command.get_current_dir().expect("every host has a home")).stdin(Stdio::null());
        own
    }

    /// The test proves nothing if this can be read.
    #[track_caller]
    fn assert_unreadable(path: &Path) {
        let program = if path.is_dir() { "/bin/ls" } else { "/bin/cat" };
        let output = Self::start(Path::new(program)).arg(path).env("LC_ALL", "C").current_dir("/").output();
        let output = output.expect("these tests need setpriv; install it with: sudo apt-get install util-linux");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains("Permission denied"), "{}: {text}", path.display());
    }
}

/// What is made unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    Message,
    Folder,
    Root,
}

#[test]
fn what_may_not_be_read_is_not_gone() {
    for (side, closed) in
        SIDES.into_iter().flat_map(|side| [Closed::Message, Closed::Folder, Closed::Root].map(|closed| (side, closed)))
    {
        let mut scene = Scene::new(Link::Local, 74);
        let nobody = Unprivileged::own(&scene.world);
        finish(&mut nobody.command(&scene.sync())).ok();
        // New mail on both sides, in a folder that stays open, and in the one that does not; a message of that one deleted.
        for user in &mut scene.users {
            user.deliver("Work");
        }
        let fresh = scene.users[side].deliver(".Archive.2024");
        let mut deleted = 0;
        if closed != Closed::Message {
            let found = scene.users[1 - side].list().into_iter().find(|found| found.folder == fresh.folder);
            scene.users[1 - side].delete(&found.expect("every folder has mail"));
            deleted = 1;
        }
        let roots = SIDES.map(|side| scene.root(side));
        let path = match closed {
            Closed::Message => fresh.path(&roots[side]),
            Closed::Folder => roots[side].join(".Archive.2024"),
            Closed::Root => roots[side].clone(),
        };
        nobody.give(scene.world.dir());
        let before = roots.each_ref().map(|root| contents(root));
        let mode = path.metadata().expect("it is there").permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("the owner can close it");
        Unprivileged::assert_unreadable(&path);
        let refused = finish(&mut nobody.command(&scene.sync()));
        fs::set_permissions(&path, mode).expect("the owner can open it");
        assert!([PARTLY, IO].contains(&refused.code), "{side} {closed:?}: {refused}");
        let name = match closed {
            Closed::Message => String::from_utf8_lossy(fresh.uniq()).into_owned(),
            Closed::Folder => ".Archive.2024".to_owned(),
            Closed::Root => path.display().to_string(),
        };
        let refused = refused.says("Permission denied").says(&name);
        roots.iter().zip(&before).for_each(|(root, before)| assert_kept(before, root));
        // The new message is missing at the other side, and the mail of both sides in the open folder has arrived.
        let missing = if closed == Closed::Root { 2 + deleted } else { 1 + deleted };
        let rest = contents(&roots[1 - side]);
        assert_eq!(before[side].difference(&rest).count(), missing, "{side} {closed:?}: the rest is done\n{refused}");
        finish(&mut nobody.command(&scene.sync())).ok();
        scene.world.assert_equal();
        assert_eq!(Tree::read(&roots[0]).len(), 40 + 3 - deleted, "{side} {closed:?}");
    }
}

/// Starts a run that sends a large message, and waits until part of it is there.
#[track_caller]
fn start_large(scene: &mut Scene) -> Child {
    let bytes = mail::big("large", 48 << 20, &mut scene.rng);
    scene.users[0].deliver_bytes("", &bytes);
    let child = scene.sync().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the client starts");
    let tmp = scene.root(1).join("tmp");
    wait_until("a part of the message arrives", || {
        let staged = fs::read_dir(&tmp).expect("tmp/ can be read").flatten();
        let sizes = staged.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len());
        (sizes.max().unwrap_or(0) > 0 || !runs(child.id())).then_some(())
    });
    child
}

#[track_caller]
fn end_large(mut scene: Scene, child: Child, expected: i32, say: &str) {
    let output = child.wait_with_output().expect("the client ends");
    Outcome::new("cut in the middle of a large message".to_owned(), &output).exits(expected).says(say);
    // It may have arrived whole; half of it has no name.
    assert!(contents(&scene.root(1)).is_subset(&contents(&scene.root(0))), "half a message has a name");
    finish(&mut scene.sync()).ok();
    scene.world.assert_equal();
    assert_eq!(Tree::read(&scene.root(0)).len(), 41);
    // What was left in tmp/ goes with the next step in that folder.
    scene.users[0].deliver("");
    finish(&mut scene.sync()).ok();
    let left = fs::read_dir(scene.root(1).join("tmp")).expect("tmp/ can be read").count();
    assert_eq!(left, 0, "tmp/ is empty");
}

#[test]
fn a_connection_cut_in_the_middle_of_a_message_is_said_and_made_good() {
    let mut scene = Scene::new(Link::Ssh, 75);
    finish(&mut scene.sync()).ok();
    let child = start_large(&mut scene);
    let ssh = *children(child.id()).first().expect("ssh runs");
    assert!(kill(ssh), "ssh runs");
    end_large(scene, child, LOST, "run again");
}

#[test]
fn a_server_killed_in_the_middle_of_a_message_is_said_and_made_good() {
    let mut scene = Scene::new(Link::Local, 76);
    finish(&mut scene.sync()).ok();
    let child = start_large(&mut scene);
    let server = *children(child.id()).first().expect("the server runs");
    assert!(kill(server), "the server runs");
    end_large(scene, child, LOST, "run again");
}

#[test]
fn a_signal_in_the_middle_of_a_message_ends_the_run_in_order() {
    for (which, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut scene = Scene::new(Link::Rsh, 77);
        finish(&mut scene.sync()).ok();
        let child = start_large(&mut scene);
        assert!(signal(child.id(), which), "the client runs");
        end_large(scene, child, code, "run again");
    }
}

#[test]
fn a_directory_that_cannot_be_read_to_its_end_hides_no_message() {
    require_strace();
    let world = World::new(Link::Local);
    let rng = Rng::from_env_or(77);
    let (here, there) = (world.client().maildir(), world.server().maildir());
    populate::populate(&there, "first", Spec::plain(12, 2), &mut rng.fork(1));
    world.sync(&[]).ok();
    let mut us = User::new(&here, "us", rng.fork(2));
    let log = world.dir().join("strace.log").display().to_string();
    // From its N-th call on, for every N that a run reaches: the client reads no directory any more.
    for nth in 1.. {
        us.deliver("");
        let before = contents(&there);
        let inject = format!("inject=getdents64:error=EIO:when={nth}+");
        let tracer = ["strace", "-o", &log, "-e", "trace=getdents64", "-e", &inject];
        let run = finish(&mut under(&tracer, &world.prepare("smd-sync", world.client(), &["--allow-bulk-delete"])));
        assert_kept(&before, &there);
        world.sync(&[]).ok();
        world.assert_equal();
        if !fs::read_to_string(&log).expect("strace writes its log").contains("INJECTED") {
            assert!(nth > 2, "no directory was read\n{run}");
            break;
        }
    }
}
