//! Names of messages, folders and roots; links; excludes.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::tree::{self, Found, Place, Tree};
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

const PARTLY: i32 = 1;

#[test]
fn a_name_without_room_for_the_merged_flags_is_reported_and_never_cut() {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(41);
    let mut us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let mut them = User::new(&world.server().maildir(), "them", rng.fork(2));
    // 255 bytes are the most; this one takes one letter and not two, the others as many as there are.
    let long = |len: usize| Found { folder: "".into(), place: Place::Cur, name: OsString::from_vec(vec![b'x'; len]) };
    let (full, fitting) = (long(251), long(250));
    let letters = OsString::from_vec([b"y:2,".as_slice(), &[b'a'; 251]].concat());
    for name in [&full.name, &fitting.name, &letters] {
        let path = world.server().maildir().join("cur").join(name);
        fs::write(path, format!("Subject: long\n\n{}\n", name.len())).expect("a message");
    }
    world.sync(&[]).ok();
    for found in [&full, &fitting] {
        us.set_flags(found, "F");
        them.set_flags(found, "S");
    }
    them.deliver("");
    world.sync(&[]).exits(PARTLY).says("xxxx");
    let trees = [world.client(), world.server()].map(|host| Tree::read(&host.maildir()));
    for tree in &trees {
        assert_eq!(tree.len(), 4, "nothing is cut, doubled or gone, and the rest is done");
        assert_eq!(tree.message("", fitting.uniq()).flags, b"FS");
    }
    assert_eq!([0, 1].map(|side: usize| trees[side].message("", full.uniq()).flags.clone()), [b"F", b"S"]);
    // A person makes room.
    them.set_flags(&full, "");
    world.sync(&[]).ok();
    world.assert_equal();
}

#[test]
fn names_that_a_shell_would_obey_are_only_names() {
    let world = World::new(Link::Rsh);
    let root = "it's \"quoted\" $(touch mark) `touch mark`; touch mark & * ~ \\ \n|touch mark";
    let (here, there) = (world.client().home.join(root), world.server().home.join(root));
    for (root, label) in [(&here, "us"), (&there, "them")] {
        populate::make_folder(root, Path::new("-rf"));
        populate::make_folder(root, Path::new(".$(touch mark)"));
        for name in ["; touch mark", "`touch mark`", "$(touch mark)", "--dry-run", "|touch mark\n"] {
            fs::write(root.join("-rf/new").join(format!("{name}{label}")), format!("{name}{label}"))
                .expect("a message");
        }
    }
    let mut command = world.command("smd-sync", world.client());
    command.args(world.link_options(world.server())).arg(&here).arg(format!("office:{root}"));
    finish(&mut command).ok();
    tree::assert_equal_trees(&here, &there);
    assert_eq!(Tree::read(&there).len(), 10);
    let again = finish(&mut command).ok().silent();
    for host in [world.client(), world.server()] {
        assert!(!host.home.join("mark").exists(), "a shell obeyed a name\n{again}");
    }
}

#[test]
fn a_server_that_is_given_any_argument_says_so_and_does_nothing() {
    let world = World::new(Link::Local);
    let host = world.server();
    for args in [["--root", "/"], ["-e", "touch mark"], ["--", "Maildir"], ["serve", "--umask=0"]] {
        let refused = finish(world.command("smd-server", host).args(args)).exits(2).says("no arguments");
        assert!(refused.stdout.is_empty(), "stdout is the wire\n{refused}");
    }
    assert!(!host.smd_home().exists() && !host.home.join("mark").exists());
}

#[test]
fn symlinks_in_a_ring_are_not_followed_and_nothing_goes_through_them() {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(42);
    let (here, there) = (world.client().maildir(), world.server().maildir());
    populate::populate(&here, "first", Spec::plain(12, 3), &mut rng.fork(1));
    let outside = world.dir().join("outside");
    populate::populate(&outside, "outside", Spec::plain(3, 1), &mut rng.fork(2));
    for root in [&here, &there] {
        symlink(".", root.join(".INBOX")).expect("a symlink");
        fs::create_dir_all(root.join("Ring")).expect("a directory");
        symlink("..", root.join("Ring/up")).expect("a symlink");
    }
    symlink(&outside, here.join(".Outside")).expect("a symlink");
    let kept = Tree::read(&outside);
    world.sync(&[]);
    world.assert_equal();
    let mut us = User::new(&here, "us", rng.fork(3));
    let found = us.list().remove(0);
    us.delete(&found);
    us.deliver("Work");
    world.sync(&[]);
    world.assert_equal();
    assert_eq!(Tree::read(&there).len(), 12, "nothing came through a link");

    // A folder here is a link there: what is delivered into it stays here, and the link leads nowhere.
    symlink(&outside, there.join("Through")).expect("a symlink");
    let waiting = us.deliver("Through");
    us.deliver("Work");
    world.sync(&[]).exits(PARTLY).says("Through");
    assert_eq!((Tree::read(&here).len(), Tree::read(&there).len()), (14, 13), "the rest is done");
    assert!(waiting.path(&here).is_file());
    assert_eq!(Tree::read(&outside), kept, "what is outside is left alone");
    assert!(there.join(".INBOX").is_symlink() && there.join("Through").is_symlink(), "and so are the links");
}

#[test]
fn folders_that_change_names_places_and_depth_keep_their_mail_and_send_none_of_it() {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(43);
    let root = world.server().maildir();
    for (folder, count) in [("One", 7), ("Two", 8), ("Deep/Er", 9), ("Deep", 10)] {
        let mut them = User::new(&root, &format!("{count}"), rng.fork(count));
        (0..count).for_each(|_| drop(them.deliver(folder)));
    }
    world.sync(&[]).ok();
    let contents = Tree::read(&root).contents();
    let renames: [&[(&str, &str)]; 3] = [
        // Two folders swap their names; a tree goes below another name; and comes back as its own child's.
        &[("One", "away"), ("Two", "One"), ("away", "Two")],
        &[("Deep", "away"), ("away", "Two/Deep")],
        &[("Two/Deep/Er", "Er"), ("Two/Deep", "Er/Deep")],
    ];
    for steps in renames {
        let mut us = User::new(&world.client().maildir(), "us", rng.fork(1));
        steps.iter().for_each(|(from, to)| us.rename_folder(from, to));
        let run = world.sync(&["--json", "--allow-bulk-delete"]).ok();
        world.assert_equal();
        assert_eq!(Tree::read(&root).contents(), contents, "{steps:?}\n{run}");
        assert_eq!((run.deleted(), run.number("/pushed/new")), (0, 0), "{steps:?}\n{run}");
    }
    assert_eq!(Tree::read(&root).folders[Path::new("Er/Deep")].len(), 10);
}

#[test]
fn an_exclude_with_a_space_an_ampersand_and_a_percent_sign_excludes() {
    let world = World::new(Link::Rsh);
    populate::populate(&world.server().maildir(), "first", Spec::plain(90, 9), &mut Rng::from_env_or(44));
    let home = world.client().smd_home();
    fs::create_dir_all(&home).expect("the state directory can be made");
    let exclude = "Maildir/.Bits%20&%20pieces Maildir/100% Maildir/Work/Projects/Two%20words";
    let text = format!(
        "SERVERNAME=office\nCLIENTNAME=laptop\nSSH='{}'\nMAILBOX=Maildir\nEXCLUDE=\"{exclude}\"\n",
        world.rsh_script().display()
    );
    fs::write(home.join("config.default"), text).expect("the config can be written");
    finish(&mut world.command("smd-sync", world.client())).ok();
    let (here, there) = (Tree::read(&world.client().maildir()), Tree::read(&world.server().maildir()));
    let missing: Vec<&Path> =
        there.folders.keys().filter(|name| !here.folders.contains_key(*name)).map(|name| &**name).collect();
    assert_eq!(missing, [".Bits & pieces", "100%", "Work/Projects/Two words"].map(Path::new));
    assert_eq!(here.len(), 60, "and nothing else");
}
