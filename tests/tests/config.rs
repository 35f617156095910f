//! Endpoints: the config file, excludes, and a host where the predecessor ran.

use std::fs;
use std::path::Path;

use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::stamps;
use smd_tests::tree::{self, Tree};
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

/// Two hosts, 60 messages in the first six folders at the server, and a config with these lines.
fn configured(lines: &str) -> World {
    let world = World::new(Link::Rsh);
    let spec = Spec::plain(60, 6);
    populate::populate(&world.server().maildir(), "first", spec, &mut Rng::from_env_or(6));
    write_config(&world, "default", lines);
    world
}

fn write_config(world: &World, endpoint: &str, lines: &str) {
    let home = world.client().smd_home();
    fs::create_dir_all(&home).expect("the state directory can be made");
    let text = format!("SERVERNAME=office\nCLIENTNAME=laptop\nSSH='{}'\n{lines}\n", world.rsh_script().display());
    fs::write(home.join(format!("config.{endpoint}")), text).expect("the config can be written");
}

#[track_caller]
fn sync(world: &World, words: &[&str]) -> Outcome {
    finish(world.command("smd-sync", world.client()).args(words))
}

#[test]
fn an_endpoint_is_default_or_the_one_named() {
    let world = configured("MAILBOX=Maildir");
    sync(&world, &[]).ok().says("60 new");
    world.assert_equal();
    write_config(&world, "work", "MAILBOX=Maildir");
    sync(&world, &["work"]).ok();
    world.assert_equal();
}

#[test]
fn without_a_config_the_run_says_what_to_do_next() {
    let world = World::new(Link::Local);
    sync(&world, &[]).exits(78).says("config.default").says("smd-sync -t");
    sync(&world, &["work"]).exits(78).says("config.work");
}

#[test]
fn the_template_is_written_once_and_is_a_config_after_the_host_is_filled_in() {
    let world = World::new(Link::Local);
    sync(&world, &["-t"]).ok();
    let path = world.client().smd_home().join("config.default");
    let text = fs::read_to_string(&path).expect("the template was written");
    assert!(
        text.contains("SERVERNAME") && text.contains("MAILBOX") && text.lines().any(|line| line.starts_with('#')),
        "{text}"
    );
    fs::write(&path, "MAILBOX=Maildir # mine\n").expect("the config can be written");
    assert_ne!(sync(&world, &["-t"]).code, 0, "a config is never overwritten");
    assert_eq!(fs::read_to_string(&path).expect("the config"), "MAILBOX=Maildir # mine\n");
}

#[test]
fn an_error_in_a_config_names_file_and_line_and_runs_nothing() {
    let world = configured("MAILBOX=Maildir");
    let mark = world.dir().join("mark");
    for line in ["MAILBOKS=Mail", "EXCLUDE=`touch MARK`", "EXCLUDE=$(touch MARK)", "touch MARK"] {
        let line = line.replace("MARK", &mark.display().to_string());
        write_config(&world, "default", &format!("MAILBOX=Maildir\n{line}"));
        let outcome = sync(&world, &[]).exits(78).says("config.default");
        let named = ["line 5", ":5"].iter().any(|text| outcome.stderr.contains(text));
        assert!(named, "the line is named\n{outcome}");
    }
    assert!(!mark.exists());
}

#[test]
fn two_roots_and_roots_with_other_names_at_the_server_are_kept_apart() {
    let world = configured("MAILBOX_LOCAL='Maildir Work%20mail'\nMAILBOX_REMOTE='Maildir Office'");
    let (work, office) = (world.client().home.join("Work mail"), world.server().home.join("Office"));
    populate::populate(&work, "work", Spec::plain(12, 3), &mut Rng::from_env_or(8));
    populate::make_folder(&office, Path::new(""));
    sync(&world, &[]).ok();
    world.assert_equal();
    tree::assert_equal_trees(&work, &office);
    assert_eq!((Tree::read(&office).len(), Tree::read(&world.client().maildir()).len()), (12, 60));
}

#[test]
fn an_excluded_folder_stays_where_it_is_in_both_directions_and_is_forgotten_not_deleted() {
    let world = configured("MAILBOX=Maildir");
    sync(&world, &[]).ok();
    world.assert_equal();
    write_config(
        &world,
        "default",
        "MAILBOX=Maildir\nEXCLUDE='Maildir/.Archive.2024 Maildir/Work/Projects/Two%20words'",
    );
    let (here, there) = (world.client().maildir(), world.server().maildir());
    let mut us = User::new(&here, "us", Rng::from_env_or(1));
    let mut them = User::new(&there, "them", Rng::from_env_or(2));
    us.remove_folder(".Archive.2024");
    us.deliver("Work/Projects/Two words");
    us.deliver("");
    let theirs = them.deliver(".Archive.2024");
    let kept = Tree::read(&there);
    let said = sync(&world, &["-v", "--allow-bulk-delete"]).ok();
    assert!(
        !format!("{said}").contains(&String::from_utf8_lossy(theirs.uniq()).into_owned()),
        "an excluded folder shows\n{said}"
    );
    let now = Tree::read(&there);
    for folder in [".Archive.2024", "Work/Projects/Two words"] {
        assert_eq!(now.folders.get(Path::new(folder)), kept.folders.get(Path::new(folder)), "{folder}");
    }
    assert_eq!(now.len(), kept.len() + 1);
    assert!(!here.join(".Archive.2024").exists());
}

#[test]
fn a_folder_that_was_excluded_for_a_while_comes_back_with_what_either_side_has() {
    let world = configured("MAILBOX=Maildir");
    sync(&world, &[]).ok();
    let (here, there) = (world.client().maildir(), world.server().maildir());
    let (mut us, mut them) =
        (User::new(&here, "us", Rng::from_env_or(1)), User::new(&there, "them", Rng::from_env_or(2)));
    let (first, second) = (us.deliver(".Archive.2024"), us.deliver(".Archive.2024"));
    sync(&world, &[]).ok();
    world.assert_equal();
    let whole = Tree::read(&here);

    for exclude in ["EXCLUDE=Maildir/.Archive.2024", "EXCLUDE_LOCAL=Maildir/.Archive.2024"] {
        write_config(&world, "default", &format!("MAILBOX=Maildir\n{exclude}"));
        sync(&world, &[]).ok();
        us.delete(&first);
        them.delete(&second);
        sync(&world, &[]).ok();
        write_config(&world, "default", "MAILBOX=Maildir");
        sync(&world, &[]).ok();
        world.assert_equal();
        assert_eq!(Tree::read(&here).len(), whole.len(), "what was deleted while nobody looked is no deletion");
    }
}

#[test]
fn what_got_another_name_while_its_folder_was_excluded_is_one_message() {
    let world = configured("MAILBOX=Maildir");
    sync(&world, &[]).ok();
    let in_folder = world.server().maildir().join(".Archive.2024/cur");
    fs::write(in_folder.join("before:2,S"), "Subject: s\n\nof a folder that is excluded\n").expect("a message");
    sync(&world, &[]).ok();
    write_config(&world, "default", "MAILBOX=Maildir\nEXCLUDE=Maildir/.Archive.2024");
    sync(&world, &[]).ok();
    fs::rename(in_folder.join("before:2,S"), in_folder.join("after:2,S")).expect("another name");
    let (whole, mut us) =
        (Tree::read(&world.server().maildir()), User::new(&world.client().maildir(), "us", Rng::from_env_or(1)));
    write_config(&world, "default", "MAILBOX=Maildir");
    finish(&mut world.command("smd-pull", world.client())).ok();
    assert_eq!(Tree::read(&world.client().maildir()).len(), whole.len());
    // The folder is as any other from now on: equal mail is two messages.
    us.deliver(".Archive.2024");
    let pulled = finish(world.command("smd-pull", world.client()).arg("--json")).json();
    assert_eq!(pulled["roots"][0]["adopted"], serde_json::Value::Null, "{pulled}");
    sync(&world, &[]).ok();
    world.assert_equal();
    assert_eq!(Tree::read(&world.server().maildir()).len(), whole.len() + 1);
}

#[test]
fn an_exclude_of_one_side_works_at_that_side() {
    for key in ["EXCLUDE_LOCAL", "EXCLUDE_REMOTE"] {
        let world = configured(&format!("MAILBOX=Maildir\n{key}='Maildir/.Archive.2024'"));
        populate::populate(&world.client().maildir(), "ours", Spec::plain(6, 2), &mut Rng::from_env_or(9));
        sync(&world, &[]).ok();
        let (here, there) = (Tree::read(&world.client().maildir()), Tree::read(&world.server().maildir()));
        let archive = Path::new(".Archive.2024");
        assert_eq!((here.folders[archive].len(), there.folders[archive].len()), (3, 10), "{key}");
    }
}

#[test]
fn a_backup_that_the_predecessors_config_keeps_whole_keeps_what_is_deleted_here() {
    for key in ["SMDSERVEROPTS", "SMDCLIENTOPTS"] {
        let world = configured(&format!("MAILBOX=Maildir\n{key}='-v -n'"));
        sync(&world, &[]).ok();
        let whole = Tree::read(&world.server().maildir());
        let mut us = User::new(&world.client().maildir(), "us", Rng::from_env_or(3));
        us.list().into_iter().take(4).for_each(|found| us.delete(&found));
        for program in ["smd-push", "smd-sync"] {
            finish(&mut world.command(program, world.client())).ok().says("held back");
            tree::assert_same(&Tree::read(&world.server().maildir()), &whole);
        }
        assert_eq!(Tree::read(&world.client().maildir()).len(), whole.len() - 4, "{key}");
    }
}

#[test]
fn an_option_in_a_config_that_cannot_be_taken_ends_the_run_and_says_what_to_write() {
    let world = configured("MAILBOX=Maildir");
    for (line, says) in [
        (
            "SMDSERVEROPTS='-n --stop-after-diff'",
            "line 5: SMDSERVEROPTS: `--stop-after-diff` cannot be set in a config: -d shows",
        ),
        ("SMDCLIENTOPTS=--rename-only", "smd-uniform-names"),
        ("SMDCLIENTOPTS=--allow-bulk-delete", "type it for the run"),
        ("SMDSERVEROPTS=--no-delte", "`--no-delte` cannot be set"),
    ] {
        write_config(&world, "default", &format!("MAILBOX=Maildir\n{line}"));
        sync(&world, &[]).exits(78).says(says);
        assert_eq!(Tree::read(&world.client().maildir()).len(), 0, "nothing was done");
    }
    write_config(&world, "default", "MAILBOX=Maildir\nSMDSERVEROPTS='--exclude Maildir/.Archive.2024 -d'");
    sync(&world, &[]).ok().says("would");
    assert_eq!(Tree::read(&world.client().maildir()).len(), 0, "-d changes nothing");
    write_config(&world, "default", "MAILBOX=Maildir\nSMDSERVEROPTS='--exclude Maildir/.Archive.2024'");
    sync(&world, &[]).ok();
    assert!(!world.client().maildir().join(".Archive.2024").exists());
}

/// Folders at the server with a message in each, and a config with these lines; gives those that a sync brings here.
fn folders_brought(folders: &[&str], lines: &str) -> (World, Outcome, Vec<String>) {
    let world = World::new(Link::Rsh);
    let mut them = User::new(&world.server().maildir(), "them", Rng::from_env_or(4));
    for folder in folders {
        populate::make_folder(&world.server().maildir(), Path::new(folder));
        them.deliver(*folder);
    }
    write_config(&world, "default", lines);
    let run = sync(&world, &[]).ok();
    let brought = Tree::read(&world.client().maildir());
    let names = brought.folders.iter().filter(|(_, messages)| !messages.is_empty());
    let names = names.map(|(folder, _)| folder.display().to_string()).collect();
    (world, run, names)
}

#[test]
fn patterns_that_name_the_directories_of_mail_leave_alone_what_they_did_for_the_predecessor() {
    let folders = ["", ".R&D", ".foo", ".foo/sub", ".it's 100%", "work", "work/sub"];
    for (exclude, brought) in [
        ("Maildir/.foo/*", &["", ".R&D", ".it's 100%", "work", "work/sub"][..]),
        ("Maildir/.foo/cur Maildir/work/new", &["", ".R&D", ".foo/sub", ".it's 100%", "work/sub"]),
        ("Maildir/cur", &[".R&D", ".foo", ".foo/sub", ".it's 100%", "work", "work/sub"]),
        ("Maildir/.R%26D Maildir/.it%27s%20100%25 Maildir/work/*", &["", ".foo", ".foo/sub"]),
        ("Maildir/*", &[""]),
    ] {
        let (world, _, names) = folders_brought(&folders, &format!("MAILBOX=Maildir\nEXCLUDE=\"{exclude}\""));
        assert_eq!(names, brought, "{exclude}");
        let kept = Tree::read(&world.server().maildir());
        let idle = sync(&world, &["--json"]).ok();
        assert_eq!((idle.steps(), idle.round_trips()), (0, 1), "{exclude}: {idle}");
        assert_eq!(idle.json()["idle_patterns"], serde_json::json!([]), "{exclude}");
        // What is excluded later is neither deleted nor taken for deleted.
        write_config(&world, "default", "MAILBOX=Maildir");
        sync(&world, &[]).ok();
        world.assert_equal();
        write_config(&world, "default", &format!("MAILBOX=Maildir\nEXCLUDE=\"{exclude}\""));
        sync(&world, &[]).ok();
        let whole = Tree::read(&world.client().maildir());
        assert_eq!((whole.len(), Tree::read(&world.server().maildir())), (folders.len(), kept), "{exclude}");
    }
}

#[test]
fn a_pattern_that_matches_no_folder_is_said_by_the_first_run_and_after_a_change() {
    let folders = ["", "[Gmail].All Mail", ".Spam", "Work"];
    let exclude = "EXCLUDE='Maildir/[Gmail].All%20Mail Maildir/spam Maildir/Work'\nEXCLUDE_LOCAL=Maildir/later";
    let (world, first, names) = folders_brought(&folders, &format!("MAILBOX=Maildir\n{exclude}"));
    assert_eq!(names, ["", ".Spam", "[Gmail].All Mail"]);
    let said =
        |run: &Outcome, pattern: &str| run.stderr.contains(&format!("exclude pattern {pattern} matches no folder"));
    assert!(
        said(&first, "Maildir/[Gmail].All%20Mail") && said(&first, "Maildir/spam") && said(&first, "Maildir/later"),
        "{first}"
    );
    assert!(!said(&first, "Maildir/Work"), "{first}");
    first.says("write Maildir/%5BGmail%5D.All%20Mail in").says("write Maildir/.Spam");

    // Not again, but for programs; and no more once there is such a folder, on either host.
    let again = sync(&world, &["--json"]).ok();
    assert!(!again.stderr.contains("exclude pattern") && again.round_trips() == 1, "{again}");
    let idle = |run: &Outcome| -> Vec<String> {
        let json = run.json();
        let all = json["idle_patterns"].as_array().unwrap_or_else(|| panic!("{json:#}"));
        all.iter().map(|one| one["pattern"].as_str().expect("a pattern").to_owned()).collect()
    };
    assert_eq!(idle(&again), ["Maildir/[Gmail].All%20Mail", "Maildir/later", "Maildir/spam"]);
    populate::make_folder(&world.server().maildir(), Path::new("later"));
    populate::make_folder(&world.client().maildir(), Path::new("spam"));
    assert_eq!(idle(&sync(&world, &["--json"]).ok()), ["Maildir/[Gmail].All%20Mail"]);
    fs::remove_dir_all(world.server().maildir().join("later")).expect("removes");
    assert_eq!(idle(&sync(&world, &["--json"]).ok()), ["Maildir/[Gmail].All%20Mail"], "it matched once");

    write_config(&world, "default", "MAILBOX=Maildir\nEXCLUDE='Maildir/Work Maildir/nothing'");
    sync(&world, &["-d"]).ok().says("exclude pattern Maildir/nothing matches no folder");
    let changed = sync(&world, &[]).ok().says("exclude pattern Maildir/nothing matches no folder");
    assert!(!said(&changed, "Maildir/Work"), "{changed}");
    let quiet = sync(&world, &[]).ok();
    assert!(!quiet.stderr.contains("exclude pattern"), "{quiet}");
    finish(&mut world.command("smd-check-conf", world.client())).ok().says("exclude pattern Maildir/nothing");
}

#[test]
fn a_check_of_the_config_ends_as_the_run_then_does() {
    type Change = fn(&World);
    let here: Change = |world| spoil(&world.client().maildir());
    let there: Change = |world| spoil(&world.server().maildir());
    let nothing: Change = |_| {};
    let emptied: Change = |world| {
        let mut us = User::new(&world.client().maildir(), "us", Rng::from_env_or(3));
        us.list().iter().for_each(|found| us.delete(found));
    };
    let nowhere: Change = |world| {
        for host in [world.client(), world.server()] {
            fs::remove_dir_all(host.maildir()).expect("removes");
        }
    };
    let blocked: Change = |world| {
        let tmp = world.client().maildir().join("tmp");
        fs::create_dir_all(world.client().maildir().join("cur")).expect("makes");
        drop(fs::remove_dir(&tmp));
        fs::write(tmp, "in the way").expect("writes");
    };
    let gone: Change = |world| fs::remove_dir_all(world.server().maildir()).expect("removes");
    for (what, after_a_run, change, lines, code, says) in [
        ("nothing", true, nothing, "", 0, "A run would work.\n"),
        ("before the first run", false, nothing, "", 0, "A run would work, as far as folders tell"),
        ("a symlink here", true, here, "", 1, "odd/cur is a symlink"),
        ("a symlink there", true, there, "", 1, "odd/cur is a symlink"),
        ("a symlink there, first", false, there, "", 1, "odd/cur is a symlink"),
        ("a symlink that is excluded", true, there, "EXCLUDE=Maildir/odd", 0, "A run would work"),
        ("a symlink that is excluded, first", false, there, "EXCLUDE=Maildir/odd", 0, "A run would work"),
        ("all deleted", true, emptied, "", 3, "--allow-bulk-delete"),
        ("all deleted, a backup", true, emptied, "SMDSERVEROPTS=-n", 0, "A run would work"),
        ("a file for a tmp here, first", false, blocked, "", 1, "Maildir/tmp"),
        ("no root there", true, gone, "", 3, "is missing"),
        ("no root anywhere", false, nowhere, "", 78, "neither host has Maildir"),
    ] {
        let world = configured(&format!("MAILBOX=Maildir\n{lines}"));
        if after_a_run {
            sync(&world, &[]).ok();
        }
        change(&world);
        let checked = finish(&mut world.command("smd-check-conf", world.client()));
        let quiet = finish(world.command("smd-check-conf", world.client()).arg("-q"));
        let run = sync(&world, &[]);
        assert_eq!((checked.code, quiet.code, run.code), (code, code, code), "{what}\n{checked}\n{run}");
        let text = checked.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(says.trim()), "{what}: {says}\n{checked}");
    }
}

/// A folder in which a symlink stands where mail should be.
fn spoil(root: &Path) {
    populate::make_folder(root, Path::new("odd"));
    fs::remove_dir(root.join("odd/cur")).expect("removes");
    std::os::unix::fs::symlink("/etc", root.join("odd/cur")).expect("a symlink");
}

#[test]
fn where_the_predecessor_ran_the_config_is_read_its_files_are_left_alone_and_the_first_run_adopts() {
    let world =
        configured("MAILBOX=\"Maildir\"\nEXCLUDE=\"\"\nDEBUG=false\nTRANSLATOR_RL=\"cat\"\nTRANSLATOR_LR=\"cat\"");
    for host in [world.client(), world.server()] {
        let home = host.smd_home();
        fs::create_dir_all(home.join("workarea")).expect("a work area");
        fs::create_dir_all(home.join("fifo")).expect("a directory");
        fs::write(home.join("office__Maildir.db.txt"), "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8 Maildir/cur/1\n")
            .expect("a file");
        fs::write(home.join("office__Maildir.db.txt.mtime"), "1700000000 Maildir/cur/1\n").expect("a file");
        fs::write(home.join("workarea/lock"), "4711\n").expect("a file");
    }
    let theirs = |home: &Path| {
        stamps::files(home, |path| path.to_string_lossy().contains("office__") || path.ends_with("workarea/lock"))
    };
    let before = [world.client(), world.server()].map(|host| theirs(&host.smd_home()));
    assert_eq!(before[0].len(), 3);
    // Both hosts hold the same already, as they would after years with the predecessor.
    let copied =
        std::process::Command::new("cp").arg("-a").arg(world.server().maildir()).arg(&world.client().home).status();
    assert!(copied.expect("cp can be started").success());
    let adopted = sync(&world, &["--json"]).ok();
    assert_eq!(adopted.steps(), 0, "{adopted}");
    assert_eq!(adopted.returned().as_deref(), Some([].as_slice()), "{adopted}");
    world.assert_equal();
    assert_eq!([world.client(), world.server()].map(|host| theirs(&host.smd_home())), before);
}
