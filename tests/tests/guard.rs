//! The bulk guard: mail that seems to be gone in bulk is not deleted anywhere before a person has said so; and each way out
//! of a run that it stopped leads to equal trees.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use smd_tests::mounts::{Disk, privately};
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::tree::{self, Found, Tree};
use smd_tests::user::User;
use smd_tests::world::{Host, Link, World, finish};

const GUARD: i32 = 3;
const PARTLY: i32 = 1;

/// At which host something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

impl End {
    const BOTH: [Self; 2] = [Self::Client, Self::Server];

    fn host(self, world: &World) -> &Host {
        match self {
            Self::Client => world.client(),
            Self::Server => world.server(),
        }
    }

    fn root(self, world: &World) -> PathBuf {
        self.host(world).maildir()
    }

    fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// How a report names the root: as it was written for that host, and the host's name.
    fn said(self, world: &World) -> String {
        match self {
            Self::Client => {
                let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
                format!("{} at {name} ", self.root(world).display())
            }
            Self::Server => "Maildir at office ".to_owned(),
        }
    }
}

/// How a person ends what the guard began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The mail is put where it was.
    Restored,
    /// It was meant.
    Meant,
    /// It was not, and the mail is lost here.
    Adopted,
}

impl Way {
    const ALL: [Self; 3] = [Self::Restored, Self::Meant, Self::Adopted];

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Restored => &[],
            Self::Meant => &["--allow-bulk-delete"],
            Self::Adopted => &["--adopt"],
        }
    }
}

/// Two hosts that agree on this many messages in four folders.
fn agreed(messages: usize) -> World {
    let world = World::new(Link::Rsh);
    fill(&world, messages);
    world
}

fn fill(world: &World, messages: usize) {
    let spec = Spec::plain(messages, 4);
    populate::populate(&world.server().maildir(), "first", spec, &mut Rng::from_env_or(13));
    world.sync(&[]).ok();
    world.assert_equal();
}

fn user(world: &World, end: End, label: &str) -> User {
    User::new(&end.root(world), label, Rng::from_env_or(14))
}

fn trees(world: &World) -> [Tree; 2] {
    End::BOTH.map(|end| Tree::read(&end.root(world)))
}

/// Every program is stopped by the root at this end, says so with host, path, reason and both options, and changes nothing.
#[track_caller]
fn assert_stops(world: &World, end: End, why: &str) {
    let before = trees(world);
    for program in ["smd-sync", "smd-pull", "smd-push"] {
        let stopped = world.run(program, world.client(), &[]);
        assert_eq!(stopped.code, GUARD, "{why} at the {end:?}\n{stopped}");
        let stopped = stopped.says(&end.said(world)).says(why).says("--allow-bulk-delete").says("--adopt");
        assert_eq!(trees(world), before, "nothing is done\n{stopped}");
    }
}

/// An ordinary run finds nothing more to do.
#[track_caller]
fn assert_rests(world: &World) {
    let rest = world.sync(&["--json"]).ok();
    assert_eq!(rest.steps(), 0, "{rest}");
}

#[track_caller]
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status().expect("cp can be started");
    assert!(done.success(), "{} is copied", from.display());
}

/// Deletes the first `count` messages of a host.
fn delete(world: &World, end: End, count: usize) {
    let mut user = user(world, end, "deleter");
    user.list().iter().take(count).for_each(|found| user.delete(found));
}

// ---- The root ----

/// What may have become of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Missing,
    Emptied,
    /// Another Maildir of 9 messages is in its place.
    Another,
}

impl Loss {
    /// What a stopped run says of it.
    fn reason(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::Emptied => "has no folder left",
            Self::Another => "is another directory",
        }
    }

    fn happens(self, root: &Path, gone: &Path) {
        if self == Self::Emptied {
            let entries = fs::read_dir(root).expect("the root").map(|entry| entry.expect("an entry").path());
            return entries.for_each(|path| fs::remove_dir_all(path).expect("a folder can go"));
        }
        fs::rename(root, gone).expect("the root can be moved away");
        if self == Self::Another {
            populate::populate(root, "other", Spec::plain(9, 3), &mut Rng::from_env_or(5));
        }
    }

    fn is_mended(self, root: &Path, gone: &Path, aside: &Path) {
        if self == Self::Emptied {
            return copy(&aside.join("."), root);
        }
        let _missing = fs::remove_dir_all(root);
        fs::rename(gone, root).expect("the root can be moved back");
    }
}

/// The loss stops every program, and each way out leads to equal trees.
#[track_caller]
fn assert_loss_has_three_ways_out(loss: Loss, end: End) {
    for way in Way::ALL {
        let world = agreed(30);
        let (root, aside, gone) = (end.root(&world), world.dir().join("aside"), world.dir().join("gone"));
        copy(&root, &aside);
        loss.happens(&root, &gone);
        assert_stops(&world, end, loss.reason());
        assert_eq!(!root.exists(), loss == Loss::Missing, "no root is made where a disk may be missing");

        let others = if loss == Loss::Another { 9 } else { 0 };
        let expected = match way {
            Way::Restored => {
                loss.is_mended(&root, &gone, &aside);
                30
            }
            Way::Meant => others,
            Way::Adopted => 30 + others,
        };
        let after = world.sync(way.options()).ok();
        let lengths = trees(&world).map(|tree| tree.len());
        assert_eq!(lengths, [expected; 2], "{loss:?} at the {end:?}, {way:?}\n{after}");
        if root.exists() {
            world.assert_equal();
        }
        assert_rests(&world);
    }
}

#[test]
fn a_root_that_is_missing_here_stops_everything_and_has_three_ways_out() {
    assert_loss_has_three_ways_out(Loss::Missing, End::Client);
}

#[test]
fn a_root_that_is_missing_there_stops_everything_and_has_three_ways_out() {
    assert_loss_has_three_ways_out(Loss::Missing, End::Server);
}

#[test]
fn a_root_that_was_emptied_here_stops_everything_and_has_three_ways_out() {
    assert_loss_has_three_ways_out(Loss::Emptied, End::Client);
}

#[test]
fn a_root_that_was_emptied_there_stops_everything_and_has_three_ways_out() {
    assert_loss_has_three_ways_out(Loss::Emptied, End::Server);
}

#[test]
fn another_directory_in_the_roots_place_here_stops_everything_and_has_three_ways_out() {
    assert_loss_has_three_ways_out(Loss::Another, End::Client);
}

#[test]
fn another_directory_in_the_roots_place_there_stops_everything_and_has_three_ways_out() {
    assert_loss_has_three_ways_out(Loss::Another, End::Server);
}

/// All mail of this end is gone, its folders are not.
#[track_caller]
fn assert_gone_mail_is_held_back(end: End) {
    for way in Way::ALL {
        let world = agreed(30);
        let (root, aside) = (end.root(&world), world.dir().join("aside"));
        copy(&root, &aside);
        delete(&world, end, 30);
        user(&world, end, "us").deliver("");
        let stopped =
            world.sync(&[]).exits(GUARD).says("30 of 30 messages").says("--allow-bulk-delete").says("--adopt");
        let there = Tree::read(&end.other().root(&world)).len();
        assert_eq!(there, 31, "nothing is deleted, and the new message arrives\n{stopped}");
        if way == Way::Restored {
            copy(&aside.join("."), &root);
        }
        world.sync(way.options()).ok();
        world.assert_equal();
        assert_eq!(Tree::read(&root).len(), if way == Way::Meant { 1 } else { 31 }, "{way:?}");
        assert_rests(&world);
    }
}

#[test]
fn mail_that_is_all_gone_here_from_folders_that_stayed_is_held_back_and_the_rest_is_done() {
    assert_gone_mail_is_held_back(End::Client);
}

#[test]
fn mail_that_is_all_gone_there_from_folders_that_stayed_is_held_back_and_the_rest_is_done() {
    assert_gone_mail_is_held_back(End::Server);
}

#[test]
fn a_root_that_moved_to_another_disk_with_all_its_mail_stops_nothing_and_is_known_from_then_on() {
    for end in End::BOTH {
        let world = agreed(30);
        let (root, gone) = (end.root(&world), world.dir().join("gone"));
        fs::rename(&root, &gone).expect("the root can be moved away");
        copy(&gone, &root);
        world.sync(&[]).ok();
        delete(&world, end, 1);
        world.sync(&[]).ok();
        world.assert_equal();
        assert_eq!(Tree::read(&root).len(), 29);
    }
}

#[test]
fn both_roots_emptied_by_their_users_trip_nothing() {
    let world = agreed(30);
    End::BOTH.iter().for_each(|&end| delete(&world, end, 30));
    world.sync(&[]).ok();
    assert_rests(&world);
    // Folders and all.
    let world = agreed(30);
    for root in End::BOTH.map(|end| end.root(&world)) {
        fs::remove_dir_all(&root).expect("the root can be emptied");
        fs::create_dir(&root).expect("a root");
    }
    world.sync(&[]).ok();
    assert_rests(&world);
    user(&world, End::Client, "us").deliver("");
    world.sync(&[]).ok();
    world.assert_equal();
}

// ---- Disks ----

#[test]
fn a_root_whose_disk_is_not_mounted_stops_everything_until_it_is_back() {
    if !privately(module_path!(), "a_root_whose_disk_is_not_mounted_stops_everything_until_it_is_back") {
        return;
    }
    for end in End::BOTH {
        // What lies under the mount point: nothing, or a Maildir that somebody made.
        for maildir_below in [false, true] {
            let world = World::new(Link::Rsh);
            let (root, elsewhere) = (end.root(&world), world.dir().join("elsewhere"));
            fs::create_dir(&elsewhere).expect("a directory");
            if !maildir_below {
                fs::remove_dir_all(&root).expect("the root can be emptied");
                fs::create_dir(&root).expect("a mount point");
            }
            let mut disk = Disk::mount(&root);
            fill(&world, 30);
            disk.move_to(&elsewhere);
            assert_stops(&world, end, "is another directory");
            disk.move_to(&root);
            user(&world, end, "us").deliver("");
            delete(&world, end.other(), 1);
            world.sync(&[]).ok();
            world.assert_equal();
            assert_eq!(Tree::read(&root).len(), 30);
        }
    }
}

#[test]
fn a_mount_that_is_not_there_is_no_matter_where_the_same_directory_is() {
    if !privately(module_path!(), "a_mount_that_is_not_there_is_no_matter_where_the_same_directory_is") {
        return;
    }
    for end in End::BOTH {
        for folder in ["", "Work"] {
            let world = World::new(Link::Rsh);
            let at = end.root(&world).join(folder);
            drop(user(&world, end, "first").deliver("Work"));
            fs::create_dir_all(&at).expect("a directory");
            // As a unit with ReadWritePaths, or a container, has it.
            let mount = Disk::bind(&at, &at);
            fill(&world, 30);
            world.sync(&[]).ok();
            drop(mount);
            delete(&world, end, 1);
            world.sync(&[]).ok();
            world.assert_equal();
            let mount = Disk::bind(&at, &at);
            delete(&world, end, 1);
            world.sync(&[]).ok();
            world.assert_equal();
            // And what was mounted is another directory, in the end.
            drop(mount);
            if !folder.is_empty() {
                let _other = Disk::mount(&at);
                assert_stops(&world, end, "has another disk mounted at Work than before");
            }
        }
    }
}

#[test]
fn another_disk_in_the_place_of_the_roots_stops_everything_until_it_is_gone() {
    if !privately(module_path!(), "another_disk_in_the_place_of_the_roots_stops_everything_until_it_is_gone") {
        return;
    }
    for end in End::BOTH {
        let world = agreed(30);
        let disk = Disk::mount(&end.root(&world));
        assert_stops(&world, end, "is another directory");
        populate::populate(&end.root(&world), "other", Spec::plain(9, 3), &mut Rng::from_env_or(5));
        assert_stops(&world, end, "is another directory");
        drop(disk);
        world.sync(&[]).ok();
        world.assert_equal();
        assert_eq!(Tree::read(&end.root(&world)).len(), 30);
    }
}

/// A world in which one folder of one host is a disk of its own, with 3 of 43 messages.
fn with_a_mounted_folder(end: End, folder: &str) -> (World, Disk) {
    let world = World::new(Link::Rsh);
    let at = end.root(&world).join(folder);
    fs::create_dir_all(&at).expect("a mount point");
    let disk = Disk::mount(&at);
    fill(&world, 40);
    let mut user = user(&world, end, "owner");
    (0..3).for_each(|_| drop(user.deliver(folder)));
    world.sync(&[]).ok();
    world.assert_equal();
    (world, disk)
}

/// The disk of a folder of this end is not mounted.
#[track_caller]
fn assert_unmounted_folder_stops(end: End) {
    for below in ["nothing", "a folder", "no mount point"] {
        let (world, mut disk) = with_a_mounted_folder(end, "Disk");
        let (at, elsewhere) = (end.root(&world).join("Disk"), world.dir().join("elsewhere"));
        fs::create_dir(&elsewhere).expect("a directory");
        disk.move_to(&elsewhere);
        match below {
            "a folder" => populate::make_folder(&end.root(&world), "Disk".as_ref()),
            "no mount point" => fs::remove_dir(&at).expect("a mount point"),
            _ => {}
        }
        assert_stops(&world, end, "Disk");
        let _there = fs::remove_dir_all(&at);
        fs::create_dir(&at).expect("a mount point");
        disk.move_to(&at);
        world.sync(&[]).ok();
        world.assert_equal();
        assert_eq!(Tree::read(&end.root(&world)).len(), 43, "{below}");
    }
}

#[test]
fn a_folder_whose_disk_is_not_mounted_here_stops_everything_however_few_messages_it_held() {
    if !privately(
        module_path!(),
        "a_folder_whose_disk_is_not_mounted_here_stops_everything_however_few_messages_it_held",
    ) {
        return;
    }
    assert_unmounted_folder_stops(End::Client);
}

#[test]
fn a_folder_whose_disk_is_not_mounted_there_stops_everything_however_few_messages_it_held() {
    if !privately(
        module_path!(),
        "a_folder_whose_disk_is_not_mounted_there_stops_everything_however_few_messages_it_held",
    ) {
        return;
    }
    assert_unmounted_folder_stops(End::Server);
}

#[test]
fn a_folder_whose_disk_is_gone_for_good_has_two_ways_out() {
    if !privately(module_path!(), "a_folder_whose_disk_is_gone_for_good_has_two_ways_out") {
        return;
    }
    for end in End::BOTH {
        for way in [Way::Meant, Way::Adopted] {
            let (world, disk) = with_a_mounted_folder(end, "Disk");
            drop(disk);
            assert_stops(&world, end, "Disk");
            world.sync(way.options()).ok();
            world.assert_equal();
            let expected = if way == Way::Meant { 40 } else { 43 };
            assert_eq!(Tree::read(&end.root(&world)).len(), expected, "{way:?}");
            assert_rests(&world);
        }
    }
}

#[test]
fn another_disk_in_the_place_of_a_folders_stops_everything() {
    if !privately(module_path!(), "another_disk_in_the_place_of_a_folders_stops_everything") {
        return;
    }
    for end in End::BOTH {
        let (world, mut disk) = with_a_mounted_folder(end, "Disk");
        let (at, elsewhere) = (end.root(&world).join("Disk"), world.dir().join("elsewhere"));
        fs::create_dir(&elsewhere).expect("a directory");
        disk.move_to(&elsewhere);
        let other = Disk::mount(&at);
        populate::make_folder(&end.root(&world), "Disk".as_ref());
        assert_stops(&world, end, "Disk");
        drop(other);
        disk.move_to(&at);
        world.sync(&[]).ok();
        world.assert_equal();
        assert_eq!(Tree::read(&end.root(&world)).len(), 43);
    }
}

#[test]
fn a_folder_that_became_a_symlink_keeps_its_mail_at_the_other_host() {
    if !privately(module_path!(), "a_folder_that_became_a_symlink_keeps_its_mail_at_the_other_host") {
        return;
    }
    for end in End::BOTH {
        for mounted in [true, false] {
            let (world, mut disk) = with_a_mounted_folder(end, "Disk");
            let folder = if mounted { "Disk" } else { "Work" };
            let (at, elsewhere) = (end.root(&world).join(folder), world.dir().join("elsewhere"));
            fs::create_dir(&elsewhere).expect("a directory");
            if mounted {
                disk.move_to(&elsewhere);
                fs::remove_dir(&at).expect("a mount point");
            } else {
                fs::remove_dir(&elsewhere).expect("nothing in it");
                fs::rename(&at, &elsewhere).expect("the folder can be moved");
            }
            symlink(&elsewhere, &at).expect("a symlink");
            let before = Tree::read(&end.other().root(&world));
            user(&world, end, "us").deliver("");
            world.sync(&[]).exits(PARTLY).says(folder).says("symlink").says(host_said(&end.said(&world)));
            let after = Tree::read(&end.other().root(&world));
            assert_eq!(after.len(), before.len() + 1, "nothing is deleted, and the rest is done");

            fs::remove_file(&at).expect("the symlink can go");
            if mounted {
                fs::create_dir(&at).expect("a mount point");
                disk.move_to(&at);
            } else {
                fs::rename(&elsewhere, &at).expect("the folder can be moved back");
            }
            world.sync(&[]).ok();
            world.assert_equal();
            assert_eq!(Tree::read(&end.root(&world)).len(), 44);
        }
    }
}

fn host_said(said: &str) -> &str {
    &said[said.find(" at ").expect("path at host")..said.len() - 1]
}

// ---- Permissions ----

/// The same command without root's right to look everywhere; for others, as it is.
fn without_rights(command: &Command) -> Command {
    if !rustix::process::geteuid().is_root() {
        let mut same = Command::new(command.get_program());
        same.args(command.get_args());
        return dressed(same, command);
    }
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--bounding-set", "-all", "--inh-caps", "-all"]).arg(command.get_program()).args(command.get_args());
    dressed(wrapped, command)
}

fn dressed(mut command: Command, like: &Command) -> Command {
    command.env_clear().envs(like.get_envs().filter_map(|(key, value)| Some((key, value?))));
    if let Some(dir) = like.get_current_dir() {
        command.current_dir(dir);
    }
    command.stdin(std::process::Stdio::null());
    command
}

fn sync_without_rights(world: &World) -> Outcome {
    finish(&mut without_rights(&world.prepare("smd-sync", world.client(), &[])))
}

/// Rights are taken at this end.
#[track_caller]
fn assert_unreadable_is_kept(end: End) {
    for (what, mode) in [("", 0o000), ("Work", 0o000), ("Work/cur", 0o000), ("Work/cur", 0o600), (".", 0o600)] {
        let world = agreed(40);
        let dir = end.root(&world).join(what);
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).expect("rights can be taken");
        let mut look = Command::new("ls");
        look.arg("-l").arg(&dir).env("PATH", "/usr/bin:/bin");
        let looked = finish(&mut without_rights(&look));
        assert_ne!(looked.code, 0, "{} can be read all the same\n{looked}", dir.display());

        let before = trees(&world);
        let partly = sync_without_rights(&world).exits(PARTLY).says(host_said(&end.said(&world)));
        assert_eq!(trees(&world), before, "{what} {mode:o}\n{partly}");
        let gone = user(&world, end.other(), "other").list()[0].clone();
        user(&world, end.other(), "other").delete(&gone);
        sync_without_rights(&world).exits(PARTLY);

        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("rights can be given");
        world.sync(&[]).ok();
        world.assert_equal();
        assert_eq!(Tree::read(&end.root(&world)).len(), 39, "{what} {mode:o}");
    }
}

#[test]
fn what_may_not_be_read_here_any_more_is_kept_on_both_hosts_and_reported() {
    assert_unreadable_is_kept(End::Client);
}

#[test]
fn what_may_not_be_read_there_any_more_is_kept_on_both_hosts_and_reported() {
    assert_unreadable_is_kept(End::Server);
}

// ---- How many are too many ----

/// So many messages in all; deleted at the client, deleted at the server, given another body at the client: does it trip?
#[track_caller]
fn assert_trips(all: usize, deleted_here: usize, deleted_there: usize, edited: usize, trips: bool) {
    let world = agreed(all);
    let list = user(&world, End::Client, "x").list();
    let mut us = user(&world, End::Client, "us");
    let mut them = user(&world, End::Server, "them");
    let mut messages = list.iter();
    messages.by_ref().take(deleted_here).for_each(|found| us.delete(found));
    messages.by_ref().take(deleted_there).for_each(|found| them.delete(found));
    messages.by_ref().take(edited).for_each(|found| rewrite(&us_root(&world), found));
    let dry = world.sync(&["--dry-run"]);
    let before = trees(&world);
    let outcome = world.sync(&["--json"]);
    let case = format!("{deleted_here} + {deleted_there} deleted and {edited} edited of {all}\n{outcome}");
    assert_eq!((dry.code, outcome.code), if trips { (GUARD, GUARD) } else { (0, 0) }, "{case}\n{dry}");
    let count = (deleted_here + deleted_there + edited) as u64;
    if trips {
        assert_eq!(trees(&world), before, "{case}");
        assert_eq!((outcome.number("/held/guard"), outcome.deleted()), (count, 0), "{case}");
        world.sync(&["--allow-bulk-delete"]).ok();
    }
    world.assert_equal();
    assert_eq!(Tree::read(&us_root(&world)).len(), all - deleted_here - deleted_there, "{case}");
    assert_rests(&world);
}

/// Gives a message another body, by a new file in its place.
fn rewrite(root: &Path, found: &Found) {
    let path = found.path(root);
    let bytes = [fs::read(&path).expect("a message"), b"and more\n".to_vec()].concat();
    let beside = root.join("tmp/rewritten");
    fs::write(&beside, bytes).expect("a file");
    fs::rename(&beside, &path).expect("the message is rewritten");
}

fn us_root(world: &World) -> PathBuf {
    world.client().maildir()
}

#[test]
fn half_is_not_too_many_and_one_more_is() {
    assert_trips(42, 21, 0, 0, false);
    assert_trips(42, 22, 0, 0, true);
    assert_trips(43, 0, 22, 0, true);
}

#[test]
fn twenty_is_not_too_many_and_one_more_is() {
    assert_trips(30, 20, 0, 0, false);
    assert_trips(30, 21, 0, 0, true);
}

#[test]
fn all_of_five_is_not_too_many_and_all_of_six_is() {
    assert_trips(5, 5, 0, 0, false);
    assert_trips(6, 6, 0, 0, true);
    assert_trips(7, 6, 0, 0, false);
}

#[test]
fn replacements_count_as_deletes_and_hosts_are_counted_apart() {
    assert_trips(30, 0, 0, 21, true);
    assert_trips(30, 0, 0, 20, false);
    assert_trips(30, 14, 0, 7, true);
    assert_trips(30, 10, 10, 0, false);
    assert_trips(40, 11, 20, 9, false);
    assert_trips(40, 12, 17, 9, true);
}

/// Runs a configured endpoint on 40 messages of which so many were deleted.
fn configured(line: &str, deleted: usize) -> (World, Outcome) {
    let world = World::new(Link::Rsh);
    populate::populate(&world.server().maildir(), "first", Spec::plain(40, 4), &mut Rng::from_env_or(13));
    let text = format!(
        "SERVERNAME=office\nCLIENTNAME=laptop\nSSH='{}'\nMAILBOX=Maildir\n{line}\n",
        world.rsh_script().display()
    );
    fs::create_dir_all(world.client().smd_home()).expect("the state directory can be made");
    fs::write(world.client().smd_home().join("config.default"), text).expect("the config can be written");
    finish(&mut world.command("smd-sync", world.client())).ok();
    delete(&world, End::Client, deleted);
    let outcome = finish(&mut world.command("smd-sync", world.client()));
    (world, outcome)
}

/// Whether a run under this limit holds so many deletions of 40 messages back.
#[track_caller]
fn assert_limit(line: &str, deleted: usize, trips: bool) {
    let (world, outcome) = configured(line, deleted);
    assert_eq!(outcome.code, if trips { GUARD } else { 0 }, "{line}, {deleted} deleted\n{outcome}");
    let left = Tree::read(&world.server().maildir()).len();
    assert_eq!(left, if trips { 40 } else { 40 - deleted }, "{line}\n{outcome}");
    if trips {
        finish(world.command("smd-sync", world.client()).arg("--allow-bulk-delete")).ok();
    }
    world.assert_equal();
}

#[test]
fn max_delete_may_be_a_count_and_nothing_else_counts_then() {
    assert_limit("MAX_DELETE=3", 3, false);
    assert_limit("MAX_DELETE=3", 4, true);
    assert_limit("MAX_DELETE=0", 1, true);
    assert_limit("MAX_DELETE=30", 30, false);
    assert_limit("MAX_DELETE=30", 31, true);
}

#[test]
fn max_delete_may_be_a_share_and_nothing_else_counts_then() {
    assert_limit("MAX_DELETE=10%", 4, false);
    assert_limit("MAX_DELETE=10%", 5, true);
    assert_limit("MAX_DELETE=100%", 39, false);
}

#[test]
fn an_empty_max_delete_is_none_and_all_mail_is_asked_about_under_any() {
    assert_limit("MAX_DELETE=", 20, false);
    assert_limit("MAX_DELETE=", 21, true);
    assert_limit("MAX_DELETE=1000", 40, true);
    assert_limit("MAX_DELETE=100%", 40, true);
}

// ---- Backups ----

/// A host's mail as it was before some came, some was read, and some was deleted, with the state then and now.
struct Backup {
    world: World,
    mail: PathBuf,
    state: PathBuf,
    /// What was deleted since.
    deleted: Vec<Found>,
    /// Messages now.
    now: usize,
}

fn backup(end: End) -> Backup {
    let world = World::with_hosts(Link::Rsh, &["laptop", "desktop", "office"]);
    populate::populate(&world.server().maildir(), "first", Spec::plain(40, 4), &mut Rng::from_env_or(13));
    everywhere(&world);
    let (mail, state) = (world.dir().join("mail"), world.dir().join("state"));
    copy(&end.root(&world), &mail);
    copy(&end.host(&world).smd_home(), &state);
    let mut them = user(&world, End::Server, "late");
    let all = them.list();
    for folder in tree::folders(&world.server().maildir()) {
        (0..2).for_each(|_| drop(them.deliver(&folder)));
    }
    let deleted = all[..3].to_vec();
    deleted.iter().for_each(|found| them.delete(found));
    all[10..14].iter().for_each(|found| drop(them.read(found)));
    everywhere(&world);
    world.assert_equal();
    let now = Tree::read(&world.server().maildir()).len();
    Backup { world, mail, state, deleted, now }
}

/// Both clients run, as often as news needs to get round.
fn everywhere(world: &World) -> Vec<Outcome> {
    ["laptop", "desktop", "laptop"].map(|name| world.run("smd-sync", world.host(name), &[]).ok()).into()
}

impl Backup {
    #[track_caller]
    fn put_back(&self, end: End, how: &str) {
        let root = end.root(&self.world);
        if how == "as another directory" {
            fs::remove_dir_all(&root).expect("the root can go");
            copy(&self.mail, &root);
        } else {
            // As rsync does it: within the directories that are there.
            for folder in tree::folders(&root) {
                for place in ["cur", "new"] {
                    fs::remove_dir_all(root.join(&folder).join(place)).expect("a folder can go");
                }
            }
            copy(&self.mail.join("."), &root);
        }
    }

    /// All newer mail is back at every host, what was deleted since may be, and nothing is there twice.
    #[track_caller]
    fn assert_whole(&self, newer: &Tree) {
        self.world.assert_equal();
        let tree = Tree::read(&self.world.server().maildir());
        let contents = tree.contents();
        assert!(newer.contents().keys().all(|content| contents.contains_key(content)), "newer mail is given back");
        assert!(contents.values().all(|&count| count == 1), "no content is there twice");
        assert!((self.now..=self.now + self.deleted.len()).contains(&tree.len()), "{} of {}", tree.len(), self.now);
    }
}

/// The tree of this end is put back.
#[track_caller]
fn assert_newer_mail_is_given_back(end: End) {
    for how in ["in place", "as another directory"] {
        let backup = backup(end);
        let newer = Tree::read(&backup.world.server().maildir());
        backup.put_back(end, how);
        assert!(Tree::read(&end.root(&backup.world)).differences(&newer).len() > 8, "the backup is older");
        let said = everywhere(&backup.world);
        assert!(said[0].stderr.contains("put back from a backup"), "{how}\n{}", said[0]);
        backup.assert_whole(&newer);
        assert_rests(&backup.world);
    }
}

#[test]
fn a_tree_put_back_here_from_a_backup_is_given_back_its_newer_mail_by_every_client() {
    assert_newer_mail_is_given_back(End::Client);
}

#[test]
fn a_tree_put_back_there_from_a_backup_is_given_back_its_newer_mail_by_every_client() {
    assert_newer_mail_is_given_back(End::Server);
}

#[test]
fn a_tree_and_a_state_put_back_from_a_backup_are_given_back_the_newer_mail() {
    for end in End::BOTH {
        let backup = backup(end);
        let newer = Tree::read(&backup.world.server().maildir());
        backup.put_back(end, "as another directory");
        let home = end.host(&backup.world).smd_home();
        fs::remove_dir_all(&home).expect("the state can go");
        copy(&backup.state, &home);
        let said = everywhere(&backup.world);
        backup.assert_whole(&newer);
        assert!(said[0].stderr.contains("the record of the last sync is lost"), "{}", said[0]);
        assert_rests(&backup.world);
    }
}
