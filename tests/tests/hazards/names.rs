//! Names of messages, folders and roots; links; excludes.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use smd_tests::populate::{self, Spec};
use smd_tests::processes::under;
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
fn symlinks_are_said_once_by_every_run_and_what_is_equal_is_so_but_for_them() {
    let world = World::new(Link::Rsh);
    let (here, there) = (world.client().maildir(), world.server().maildir());
    User::new(&here, "us", Rng::from_env_or(49)).deliver("Work");
    symlink(world.dir(), here.join("Elsewhere")).expect("a symlink");
    symlink("nowhere", there.join("Broken")).expect("a symlink");
    for _ in 0..3 {
        let run = world.sync(&[]).ok().says("Left out").says("Elsewhere at ").says("Broken at office");
        assert_eq!(run.stderr.matches("Left out").count(), 1, "{run}");
        let json = world.sync(&["--json"]).ok().json();
        let told = |at: usize, key: &str| json["left_out"][at][key].as_str().expect("text").to_owned();
        assert_eq!((told(0, "host"), told(1, "host")), ("client".to_owned(), "server".to_owned()));
        assert!(told(0, "path").ends_with("/Elsewhere") && told(1, "text").contains("leads nowhere"), "{json}");
    }
    world.sync(&["-q"]).ok().silent();
    let verified = world.run("smd-verify", world.client(), &[]).ok();
    verified.says("equal, 1 message in 2 folders, but for").says("Broken at office");
}

#[test]
fn a_tree_is_synchronised_however_deep_and_wide_it_is_with_few_descriptors() {
    let world = World::new(Link::Rsh);
    let here = world.client().maildir();
    let mut us = User::new(&here, "us", Rng::from_env_or(48));
    let deep = |depth: usize| vec!["d"; depth].join("/");
    for depth in [1, 64, 65, 300] {
        us.deliver(deep(depth));
    }
    (0..120).for_each(|number| drop(us.deliver(format!(".flat.{number}"))));
    let few = ["sh", "-c", "ulimit -n 96; exec \"$@\"", "sh"];
    let options = world.start_server_by("ulimit -n 96; exec");
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let run = |program: &str| finish(&mut under(&few, &world.prepare(program, world.client(), &options)));
    run("smd-sync").ok();
    world.assert_equal();
    // A tree that is moved down is moved there too.
    fs::rename(here.join(".flat.7"), here.join(deep(300)).join("moved")).expect("a folder can be moved");
    let moved = finish(under(&few, &world.prepare("smd-sync", world.client(), &options)).arg("--json")).ok();
    world.assert_equal();
    assert_eq!((moved.number("/pushed/moved"), moved.deleted()), (1, 0), "{moved}");
    run("smd-verify").ok().says("equal, 124 messages");
}

#[test]
fn a_path_that_no_program_can_name_is_said_and_what_went_there_is_not_gone() {
    let world = World::new(Link::Rsh);
    let here = world.client().maildir();
    let mut us = User::new(&here, "us", Rng::from_env_or(47));
    let found: Vec<Found> = (0..3).map(|number| us.deliver(format!("Work{number}"))).collect();
    world.sync(&[]).ok();
    // So deep that it can be reached step by step alone.
    let mut at = rustix::fs::open(&here, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).expect("the root");
    for _ in 0..17 {
        let name = "d".repeat(250);
        rustix::fs::mkdirat(&at, &name, rustix::fs::Mode::RWXU).expect("a directory");
        at =
            rustix::fs::openat(&at, &name, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).expect("the directory");
    }
    rustix::fs::renameat(rustix::fs::CWD, here.join("Work1"), &at, "Work1").expect("a folder can be moved");
    for _ in 0..2 {
        world.sync(&[]).exits(PARTLY).says("longer than 4096 bytes");
        assert_eq!(Tree::read(&world.server().maildir()).len(), 3, "what was moved out of sight is not deleted there");
    }
    world.run("smd-verify", world.client(), &[]).exits(PARTLY).says("not everything could be read");
    rustix::fs::renameat(&at, "Work1", rustix::fs::CWD, here.join("Back")).expect("a folder can be moved");
    fs::remove_dir_all(here.join("d".repeat(250))).expect("the directories can go");
    world.sync(&[]).ok();
    world.assert_equal();
    assert_eq!(us.find("Back", found[1].uniq()).uniq(), found[1].uniq());
}

#[test]
fn a_root_that_is_a_part_of_a_maildir_is_refused_with_the_right_path() {
    let world = World::new(Link::Rsh);
    let here = world.client().maildir();
    User::new(&world.server().maildir(), "them", Rng::from_env_or(46)).deliver("");
    let sync = |local: &Path, remote: &str| {
        let mut command = world.command("smd-sync", world.client());
        command.args(world.link_options(world.server()));
        finish(command.arg(local).arg(remote))
    };
    fs::create_dir(world.server().home.join("Maildir/cur/below")).expect("a directory");
    for (remote, whole) in [
        ("office:Maildir/cur", "name /"),
        ("office:Maildir/new", "/office/Maildir instead"),
        ("office:Maildir/tmp/", "is the tmp of a Maildir"),
        ("office:Maildir/cur/below", "lies in the cur of a Maildir"),
    ] {
        sync(&here, remote).exits(78).says(whole).says("at the server");
    }
    let us = sync(&here.join("cur"), "office:Maildir").exits(78);
    us.says(&format!("is the cur of a Maildir; name {} instead", here.display()));
    symlink(here.join("new"), world.client().home.join("mail")).expect("a symlink");
    sync(&world.client().home.join("mail"), "office:Maildir").exits(78).says("is the new of a Maildir");
    fs::remove_dir(here.join("tmp")).expect("nothing in it");
    sync(&here.join("tmp"), "office:Maildir").exits(78).says("is the tmp of a Maildir");
    assert_eq!((Tree::read(&here).len(), Tree::read(&world.server().maildir()).len()), (0, 1));
    // A whole Maildir may be called so.
    fs::rename(&here, world.client().home.join("new")).expect("a Maildir can be renamed");
    sync(&world.client().home.join("new"), "office:Maildir");
    assert_eq!(Tree::read(&world.client().home.join("new")).len(), 1);
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
