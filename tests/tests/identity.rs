//! Which root a path means: one root has one base, however it is written and whichever endpoint names it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::tree::Tree;
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

/// Two hosts that agree on 60 messages in three folders, and a user at each.
fn agreed() -> (World, User, User) {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(31);
    populate::populate(&world.server().maildir(), "first", Spec::plain(60, 3), &mut rng.fork(0));
    world.sync(&[]).ok();
    world.assert_equal();
    let us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let them = User::new(&world.server().maildir(), "them", rng.fork(2));
    (world, us, them)
}

#[track_caller]
fn typed(world: &World, options: &[&str], local: &Path, remote: &str) -> Outcome {
    let rsh = world.rsh_script();
    let options = [&["-e", rsh.to_str().expect("a path")], options].concat();
    finish(world.command("smd-sync", world.client()).args(options).arg(local).arg(format!("office:{remote}")))
}

fn write_config(world: &World, endpoint: &str, lines: &str) {
    let text = format!("SERVERNAME=office\nCLIENTNAME=laptop\nSSH='{}'\n{lines}\n", world.rsh_script().display());
    fs::create_dir_all(world.client().smd_home()).expect("the state directory can be made");
    fs::write(world.client().smd_home().join(format!("config.{endpoint}")), text).expect("the config can be written");
}

#[track_caller]
fn endpoint(world: &World, name: &str) -> Outcome {
    finish(world.command("smd-sync", world.client()).args(["--json", name]))
}

/// The bases of a host.
fn bases(home: &Path) -> Vec<PathBuf> {
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let peers = ["state", "served"].into_iter().flat_map(|side| entries(&home.join(side)).collect::<Vec<_>>());
    let mut bases: Vec<PathBuf> = peers.flat_map(|peer| entries(&peer).collect::<Vec<_>>()).collect();
    bases.retain(|path| path.to_string_lossy().ends_with(".db.txt"));
    bases.sort();
    bases
}

#[test]
fn a_root_has_one_base_however_it_is_written() {
    let (world, mut us, _) = agreed();
    let (local, whole) = (world.client().maildir(), world.server().maildir());
    symlink(&whole, world.server().home.join("link")).expect("a link");
    symlink(&local, world.client().home.join("link")).expect("a link");
    let whole = whole.to_str().expect("a path").to_owned();
    let mut left = 60;
    for remote in ["Maildir/", "./Maildir", "~/Maildir", "~//Maildir/", &whole, "link", "Maildir"] {
        us.delete(&us.list().remove(0));
        left -= 1;
        typed(&world, &[], &world.client().home.join("link"), remote).ok();
        assert_eq!(Tree::read(&world.server().maildir()).len(), left, "office:{remote}");
        assert_eq!(Tree::read(&local).len(), left, "office:{remote}");
    }
    assert_eq!(bases(&world.client().smd_home()).len(), 1);
    assert_eq!(bases(&world.server().smd_home()).len(), 1);
}

#[test]
fn only_a_new_spelling_costs_another_round_trip() {
    let (world, ..) = agreed();
    let local = world.client().maildir();
    symlink(world.server().maildir(), world.server().home.join("link")).expect("a link");
    let trips = |remote: &str| typed(&world, &["--json"], &local, remote).ok().round_trips();
    assert_eq!([trips("Maildir"), trips("link"), trips("link"), trips("Maildir")], [1, 2, 1, 1]);
}

#[test]
fn a_dry_run_by_a_new_spelling_knows_the_base_and_writes_nothing() {
    let (world, mut us, _) = agreed();
    us.delete(&us.list().remove(0));
    let before = bases(&world.client().smd_home());
    let said = typed(&world, &["-d", "--json"], &world.client().maildir(), "~/Maildir").ok();
    assert_eq!(said.deleted(), 1, "{said}");
    assert_eq!(bases(&world.client().smd_home()), before);
    assert_eq!(Tree::read(&world.server().maildir()).len(), 60);
}

#[test]
fn two_endpoints_with_one_pair_of_roots_share_its_base() {
    let (world, mut us, _) = agreed();
    write_config(&world, "one", "MAILBOX=Maildir");
    write_config(&world, "two", "MAILBOX_LOCAL=Maildir\nMAILBOX_REMOTE=~/Maildir/");
    for name in ["one", "two", "one"] {
        let edited = us.any();
        us.edit_header(&edited);
        us.delete(&us.list().remove(0));
        endpoint(&world, name).ok();
    }
    world.assert_equal();
    assert_eq!(Tree::read(&world.server().maildir()).len(), 57);
}

#[test]
fn an_endpoint_for_a_part_does_not_make_another_forget_the_rest() {
    let (world, mut us, mut them) = agreed();
    us.make_folder(".Old");
    for _ in 0..3 {
        us.deliver(".Old");
    }
    write_config(&world, "all", "MAILBOX=Maildir");
    write_config(&world, "inbox", "MAILBOX=Maildir\nEXCLUDE='Maildir/.*'");
    endpoint(&world, "all").ok();
    for round in 0..2 {
        us.delete(&us.list().into_iter().find(|found| found.folder == Path::new(".Old")).expect("a message in it"));
        them.deliver("");
        endpoint(&world, "inbox").ok();
        let said = endpoint(&world, "all").ok();
        assert_eq!((said.deleted(), said.number("/pulled/new")), (1, 0), "{said}");
        world.assert_equal();
        assert_eq!(us.list().iter().filter(|found| found.folder == Path::new(".Old")).count(), 2 - round);
    }
}

#[test]
fn a_folder_that_no_endpoint_includes_any_more_is_united_when_one_does_again() {
    let (world, mut us, _) = agreed();
    us.make_folder(".Old");
    us.deliver(".Old");
    write_config(&world, "all", "MAILBOX=Maildir");
    endpoint(&world, "all").ok();
    write_config(&world, "all", "MAILBOX=Maildir\nEXCLUDE=Maildir/.Old");
    endpoint(&world, "all").ok();
    us.remove_folder(".Old");
    endpoint(&world, "all").ok();
    write_config(&world, "all", "MAILBOX=Maildir");
    let said = endpoint(&world, "all").ok();
    assert_eq!((said.deleted(), said.number("/pulled/new")), (0, 1), "{said}");
    world.assert_equal();
}

#[test]
fn a_base_of_an_earlier_name_is_taken_over_by_both_hosts() {
    let (world, mut us, _) = agreed();
    let (here, there) = (world.client().smd_home(), world.server().smd_home());
    for (home, side, name) in [(&here, "state", "office-0123456789ab"), (&there, "served", "")] {
        let kept = bases(home).remove(0);
        let dir = kept.parent().expect("a directory");
        let peer = dir.file_name().expect("a name").to_str().expect("a name");
        let name = if side == "served" { peer.replace('+', ".") } else { name.to_owned() };
        fs::rename(dir, home.join(side).join(&name)).expect("renames");
        if side == "served" {
            let old = home.join(side).join(&name);
            for entry in fs::read_dir(&old).expect("a directory").map(|entry| entry.expect("an entry").path()) {
                let file = entry.file_name().expect("a name").to_str().expect("a name");
                if let Some(at) = file.find("Maildir.db.txt") {
                    fs::rename(&entry, old.join(&file[at..])).expect("renames");
                }
            }
        }
    }
    fs::remove_file(here.join("known-roots")).expect("removes");
    us.delete(&us.list().remove(0));
    let said = world.sync(&["--json"]).ok();
    assert_eq!(said.deleted(), 1, "{said}");
    world.assert_equal();
    assert!(bases(&here)[0].to_string_lossy().contains("/state/+"), "{:?}", bases(&here));
    assert_eq!((bases(&here).len(), bases(&there).len()), (1, 1));
}

#[test]
fn a_server_that_lost_its_id_is_known_by_what_it_holds() {
    let (world, mut us, _) = agreed();
    fs::remove_file(world.server().smd_home().join("server-id")).expect("removes");
    us.delete(&us.list().remove(0));
    assert_eq!(world.sync(&["--json"]).ok().deleted(), 1);
    world.assert_equal();
}

#[test]
fn a_copy_of_this_machine_that_syncs_too_is_said() {
    let (world, ..) = agreed();
    let (here, copy) = (world.client().smd_home(), world.dir().join("copy"));
    let copied = std::process::Command::new("cp").arg("-a").args([&here, &copy]).status().expect("cp runs");
    assert!(copied.success());
    let mut them = User::new(&world.server().maildir(), "later", Rng::from_env_or(4));
    for _ in 0..2 {
        them.deliver("");
        world.sync(&[]).ok();
    }
    // The server's processes take over this environment, so the copy takes the original's place.
    for (from, to) in [(&here, world.dir().join("original")), (&copy, here.clone())] {
        fs::rename(from, to).expect("renames");
    }
    world.sync(&[]).ok().says("two machines are copies of each other").says("client-id");
}

#[test]
fn folders_swapped_between_two_roots_were_not_put_back_from_a_backup() {
    let (world, mut us, mut them) = agreed();
    for user in [&mut us, &mut them] {
        user.make_folder(".F");
    }
    let other = |home: &Path| home.join("Other");
    let mut there = User::new(&other(&world.server().home), "there", Rng::from_env_or(5));
    there.make_folder(".F");
    write_config(&world, "two", "MAILBOX='Maildir Other'");
    for count in [3, 4] {
        let user = if count == 3 { &mut them } else { &mut there };
        (0..count).for_each(|_| drop(user.deliver(".F")));
        endpoint(&world, "two").ok();
    }
    let (one, two) = (us.list(), Tree::read(&other(&world.client().home)).len());
    us.delete(one.iter().find(|found| found.folder == Path::new(".F")).expect("a message"));
    endpoint(&world, "two").ok();
    let (one, two_dir) = (world.client().maildir().join(".F"), other(&world.client().home).join(".F"));
    let aside = world.client().home.join("aside");
    for (from, to) in [(&one, &aside), (&two_dir, &one), (&aside, &two_dir)] {
        fs::rename(from, to).expect("renames");
    }
    let said = endpoint(&world, "two").ok();
    assert_eq!(two, 4);
    let count = |root: &Path| fs::read_dir(root.join(".F/new")).expect("a folder").count();
    for host in [world.client(), world.server()] {
        assert_eq!((count(&host.maildir()), count(&other(&host.home))), (4, 2), "{}: {said}", host.name);
    }
    world.assert_equal();
}
