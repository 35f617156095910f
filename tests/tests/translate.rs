//! Folders that have other names on the two hosts.

use std::fs;
use std::path::Path;

use smd_tests::outcome::Outcome;
use smd_tests::populate;
use smd_tests::rng::Rng;
use smd_tests::stamps::Stamps;
use smd_tests::tree::{self, Tree};
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

/// A server with mail in `Maildir++` folders, and a client whose config has these lines for `Mail`.
struct Pair {
    world: World,
    us: User,
    them: User,
}

/// How a folder of the server is called at the client; none for one that is not there.
type Local = fn(&str) -> Option<String>;

fn inbox(remote: &str) -> Option<String> {
    Some(remote.strip_prefix('.').unwrap_or("INBOX").to_owned())
}

fn nodots(remote: &str) -> Option<String> {
    Some(remote.strip_prefix('.').unwrap_or("").replace('.', "/"))
}

impl Pair {
    fn new(mode: &str, lines: &str) -> Self {
        let world = World::new(Link::Rsh);
        let rng = Rng::from_env_or(31);
        fs::create_dir_all(world.client().home.join("Mail")).expect("a root");
        let us = User::new(&world.client().home.join("Mail"), "us", rng.fork(1));
        let mut them = User::new(&world.server().maildir(), "them", rng.fork(2));
        for folder in ["", ".Work", ".Work.2024", ".Lists.a b", ".Junk"] {
            populate::make_folder(&world.server().maildir(), Path::new(folder));
            (0..3).for_each(|_| drop(them.deliver(folder)));
        }
        let pair = Self { world, us, them };
        pair.configure(&translators(mode), lines);
        pair
    }

    fn configure(&self, translators: &str, lines: &str) {
        let home = self.world.client().smd_home();
        fs::create_dir_all(&home).expect("the state directory can be made");
        let ssh = self.world.rsh_script().display().to_string();
        let text = format!(
            "SERVERNAME=office\nCLIENTNAME=laptop\nSSH='{ssh}'\nMAILBOX_LOCAL=Mail\nMAILBOX_REMOTE=Maildir\n{translators}\n{lines}\n"
        );
        fs::write(home.join("config.default"), text).expect("the config can be written");
    }

    #[track_caller]
    fn run(&self, program: &str, words: &[&str]) -> Outcome {
        finish(self.world.command(program, self.world.client()).args(words))
    }

    #[track_caller]
    fn sync(&self, words: &[&str]) -> Outcome {
        self.run("smd-sync", words)
    }

    fn ours(&self) -> Tree {
        Tree::read(&self.world.client().home.join("Mail"))
    }

    fn theirs(&self) -> Tree {
        Tree::read(&self.world.server().maildir())
    }

    /// Fails unless both hosts hold the same under the names that a folder should have.
    #[track_caller]
    fn assert_equal(&self, local: Local) {
        let mut expected = Tree::default();
        for (folder, messages) in self.theirs().folders {
            if let Some(name) = local(folder.to_str().expect("text")) {
                expected.folders.insert(tree::folder(name.as_bytes()), messages);
            }
        }
        tree::assert_same(&self.ours(), &expected);
    }

    fn stamps(&self) -> [Stamps; 2] {
        [Stamps::below(&self.world.client().home.join("Mail")), Stamps::below(&self.world.server().maildir())]
    }

    #[track_caller]
    fn assert_unchanged(&self, [ours, theirs]: &[Stamps; 2]) {
        ours.assert_unchanged(&self.world.client().home.join("Mail"));
        theirs.assert_unchanged(&self.world.server().maildir());
    }

    /// Fails unless a run finds nothing to do, in one round trip and few bytes.
    #[track_caller]
    fn assert_idle(&self) {
        let idle = self.sync(&["--json"]).ok();
        assert_eq!((idle.steps(), idle.round_trips()), (0, 1), "{idle}");
        assert!(idle.bytes() < 1500, "{idle}");
    }
}

fn translators(mode: &str) -> String {
    format!(
        "TRANSLATOR_LR='smd-translate -m {mode} -d LR default'\nTRANSLATOR_RL='smd-translate -m {mode} -d RL default'"
    )
}

#[test]
fn every_change_arrives_under_the_other_name_and_then_nothing_is_left_to_do() {
    for (mode, local) in [("inbox", inbox as Local), ("nodots", nodots)] {
        let mut pair = Pair::new(mode, "");
        pair.sync(&[]).ok().says("15 new");
        pair.assert_equal(local);
        pair.assert_idle();

        let at = |remote: &str| local(remote).expect("a name");
        pair.us.deliver(at(""));
        pair.us.make_folder(at(".New.folder"));
        pair.us.deliver(at(".New.folder"));
        pair.them.deliver(".Work");
        pair.them.make_folder(".Theirs.too");
        pair.them.deliver(".Theirs.too");
        pair.sync(&[]).ok();
        pair.assert_equal(local);
        assert!(pair.theirs().folders.contains_key(Path::new(".New.folder")));
        pair.assert_idle();

        // A folder renamed, one removed, and a message moved between folders, at either host: nothing is sent twice.
        pair.us.rename_folder(at(".Work.2024"), at(".Old"));
        let moved = pair.us.list().into_iter().find(|found| found.folder == Path::new(&at(".Junk"))).expect("one");
        pair.us.move_to(&moved, at(".Work"), true);
        pair.them.remove_folder(".Lists.a b");
        let run = pair.sync(&["--json"]).ok();
        assert_eq!(
            (run.number("/pushed/moved"), run.number("/pulled/new"), run.number("/pushed/new")),
            (4, 0, 0),
            "{run}"
        );
        pair.assert_equal(local);
        assert!(!pair.ours().folders.contains_key(Path::new(&at(".Lists.a b"))));
        pair.us.remove_folder(at(".Junk"));
        pair.sync(&[]).ok();
        pair.assert_equal(local);
        assert!(!pair.theirs().folders.contains_key(Path::new(".Junk")));
        pair.assert_idle();
        pair.run("smd-verify", &[]).ok().says("equal");
    }
}

#[test]
fn what_a_run_deleted_comes_back_under_the_name_that_it_had_here() {
    let mut pair = Pair::new("nodots-inbox", "");
    pair.sync(&[]).ok();
    let before = pair.ours();
    pair.them.remove_folder(".Work.2024");
    pair.sync(&[]).ok();
    assert!(!pair.ours().folders.contains_key(Path::new("Work/2024")) && pair.ours() != before);
    let listed = pair.run("smd-undo", &["--json"]).ok().json();
    let run = listed["runs"][0]["run"].as_str().expect("a run").to_owned();
    pair.run("smd-undo", &[&run]).ok();
    tree::assert_same(&pair.ours(), &before);
    pair.sync(&[]).ok();
    assert_eq!(pair.theirs().folders[Path::new(".Work.2024")].len(), 3);
    pair.assert_idle();
}

#[test]
fn a_changed_translator_adopts_and_neither_sends_nor_doubles_anything() {
    let pair = Pair::new("oimap-dovecot", "");
    pair.sync(&[]).ok();
    let theirs = pair.theirs();
    // The person renames the folders here to what the other mode calls them.
    let mail = pair.world.client().home.join("Mail");
    for (old, new) in [("Work", "x"), ("Work.2024", "y"), ("Lists.a b", "z")] {
        fs::rename(mail.join(old), mail.join(new)).expect("renames");
    }
    for (old, new) in [("x", "Work"), ("y", "Work/2024"), ("z", "Lists/a b")] {
        fs::create_dir_all(mail.join(new).parent().expect("a parent")).expect("makes");
        fs::rename(mail.join(old), mail.join(new)).expect("renames");
    }
    pair.configure(&translators("nodots"), "");
    let run = pair.sync(&["--json"]).ok();
    assert_eq!((run.steps(), run.json()["roots"][0]["adopted"].is_object()), (0, true), "{run}");
    pair.assert_equal(nodots);
    tree::assert_same(&pair.theirs(), &theirs);
    pair.assert_idle();

    // And the other way round, with nothing renamed: what lies where no name leads is an error before anything changes.
    pair.configure(&translators("inbox"), "");
    let stamps = pair.stamps();
    pair.sync(&[]).exits(78).says("of this host has no name on the server").says("TRANSLATOR_LR, line 6");
    pair.configure("TRANSLATOR_LR=cat\nTRANSLATOR_RL='smd-translate -m move -d RL'", "");
    let plan = pair.sync(&["--dry-run", "--json"]).ok();
    assert_eq!(plan.deleted(), 0, "{plan}");
    pair.assert_unchanged(&stamps);
    pair.configure(&translators("nodots"), "");
    pair.assert_idle();
}

#[test]
fn folders_are_excluded_by_the_name_of_either_host_and_stay_as_they_are_on_both() {
    let mut pair = Pair::new("nodots", "EXCLUDE_LOCAL='Mail/Work/2024 Mail/Drafts'\nEXCLUDE_REMOTE=Maildir/.Junk");
    pair.us.make_folder("Drafts");
    pair.us.deliver("Drafts");
    pair.us.make_folder("Junk/deep");
    pair.us.deliver("Junk/deep");
    pair.them.make_folder(".odd.");
    pair.configure(
        &translators("nodots"),
        "EXCLUDE_LOCAL='Mail/Work/2024 Mail/Drafts'\nEXCLUDE_REMOTE='Maildir/.Junk Maildir/.odd.'",
    );
    pair.sync(&[]).ok();
    let (ours, theirs) = (pair.ours(), pair.theirs());
    assert!(!ours.folders.contains_key(Path::new("Work/2024")) && !theirs.folders.contains_key(Path::new(".Drafts")));
    assert_eq!((ours.folders.get(Path::new("Junk")), theirs.folders[Path::new(".Junk")].len()), (None, 3));
    // What lies below an excluded folder by the excluded name only is not excluded.
    assert_eq!(theirs.folders[Path::new(".Junk.deep")].len(), 1);
    // The server is told, by its own name, what it need not tell of.
    pair.sync(&[]).ok();
    pair.assert_idle();

    // A folder that is excluded later is forgotten, not deleted; and one that is excluded no more is united.
    pair.configure(&translators("nodots"), "EXCLUDE_LOCAL='Mail/Work'\nEXCLUDE_REMOTE=Maildir/.odd.");
    let gone = pair.us.list().into_iter().find(|found| found.folder == Path::new("Work")).expect("a message");
    pair.us.delete(&gone);
    let there = pair.them.list().into_iter().find(|found| found.folder == Path::new(".Work")).expect("a message");
    pair.them.edit_header(&there);
    pair.sync(&[]).ok();
    assert_eq!(
        (pair.ours().folders[Path::new("Junk")].len(), pair.theirs().folders[Path::new(".Drafts")].len()),
        (3, 1)
    );
    assert_eq!((pair.ours().folders[Path::new("Work")].len(), pair.theirs().folders[Path::new(".Work")].len()), (2, 3));
    pair.sync(&[]).ok();
    pair.assert_idle();
    pair.configure(&translators("nodots"), "EXCLUDE_REMOTE=Maildir/.odd.");
    pair.sync(&[]).ok();
    pair.assert_equal(|remote| nodots(remote).filter(|_| remote != ".odd."));
}

#[test]
fn a_folder_without_a_name_ends_the_run_before_anything_changes_on_either_host() {
    let mut pair = Pair::new("nodots", "");
    pair.sync(&[]).ok();
    let roots = [pair.world.client().home.join("Mail"), pair.world.server().maildir()];
    for (here, name, says) in [
        (true, "a.b", "the folder Mail/a.b of this host has no name on the server by TRANSLATOR_LR, line 6"),
        (false, "nodot", "the folder Maildir/nodot of the server has no name on this host by TRANSLATOR_RL, line 7"),
        (false, ".a..b", "EXCLUDE_REMOTE=Maildir/.a..b"),
        (false, ".a.cur", "is a name inside every folder"),
    ] {
        let user = if here { &mut pair.us } else { &mut pair.them };
        user.make_folder(name);
        user.deliver(name);
        pair.us.deliver("Work");
        pair.them.deliver(".Work");
        let stamps = pair.stamps();
        for program in ["smd-sync", "smd-pull", "smd-push"] {
            pair.run(program, &[]).exits(78).says(says);
        }
        pair.assert_unchanged(&stamps);
        fs::remove_dir_all(roots[usize::from(!here)].join(name)).expect("removes");
    }
    pair.sync(&[]).ok();
    pair.assert_equal(nodots);
}

#[test]
fn the_line_that_a_hint_gives_leaves_the_folder_alone_whatever_is_in_its_name() {
    let pair = Pair::new("nodots", "");
    pair.sync(&[]).ok();
    let root = pair.world.server().maildir();
    for name in [
        ".Tasks.. B",
        ".[Gmail]..x",
        ".$HOME..x",
        ".a..%20b",
        ".q..\"z\"",
        ".it's..x",
        ".#..{a,b}",
        ".\\..\t*?",
        "!..~",
        ".\n..\u{e9}\u{a0}",
    ] {
        populate::make_folder(&root, Path::new(name));
        fs::write(root.join(name).join("cur/1:2,S"), "Subject: s\n\nb\n").expect("a message");
        let refused = pair.sync(&[]).exits(78);
        let hint =
            refused.stderr.split("leave it alone with ").nth(1).and_then(|rest| rest.split(", or choose").next());
        let hint = hint.unwrap_or_else(|| panic!("no hint\n{refused}"));
        pair.configure(&translators("nodots"), hint);
        pair.sync(&[]).ok();
        assert!(!pair.ours().folders.keys().any(|folder| folder.to_string_lossy().contains("..")), "{name}: {hint}");
        pair.configure(&translators("nodots"), "");
        fs::remove_dir_all(root.join(name)).expect("removes");
    }
}

#[test]
fn a_program_of_the_persons_translates_as_the_one_that_is_built_in() {
    let pair = Pair::new("nodots", "");
    // Both are started: only two that are built in are not.
    let program = pair.world.dir().join("translate");
    let script = "#!/bin/sh\necho started >>started\nexec smd-translate -m nodots \"$@\"\n";
    fs::write(&program, script).expect("a script");
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a script");
    let lines = |d| format!("TRANSLATOR_{d}='{} -d {d} default'", program.display());
    pair.configure(&format!("{}\n{}", lines("LR"), lines("RL")), "");
    pair.sync(&[]).ok().says("15 new");
    pair.assert_equal(nodots);
    let started = fs::read_to_string(pair.world.client().home.join("started")).expect("it was started");
    assert_eq!(started.lines().count(), 2, "one process for each way");
    pair.assert_idle();

    // One that lies ends the run.
    fs::write(&program, "#!/bin/sh\nwhile read -r line; do echo Maildir/../../etc; done\n").expect("a script");
    pair.configure(&format!("{}\n{}", lines("LR").replace("default", "x"), lines("RL")), "");
    pair.sync(&[]).exits(78).says("answers Maildir/../../etc").says("TRANSLATOR_LR, line 6");
    pair.configure(&translators("nodots"), "");
    pair.sync(&[]).ok();
    pair.assert_equal(nodots);
}

#[test]
fn the_config_is_checked_by_what_a_run_would_make_of_it_and_changes_nothing() {
    let mut pair = Pair::new(
        "nodots",
        "EXCLUDE_LOCAL='Mail/Drafts Mail/Work/2024'\nEXCLUDE_REMOTE='Maildir/.Junk Maildir/.nothing'",
    );
    pair.us.make_folder("Work");
    pair.us.make_folder("Drafts");
    pair.us.make_folder("Notes");
    std::os::unix::fs::symlink("/etc", pair.world.client().home.join("Mail/elsewhere")).expect("a symlink");
    let state = Stamps::below(&pair.world.client().smd_home());
    let stamps = pair.stamps();
    let checked = pair.run("smd-check-conf", &["--json"]).ok().json();
    let row = |here: &str| {
        let rows = checked["roots"][0]["folders"].as_array().expect("folders").iter();
        let row = rows.filter(|row| row["here"] == here).collect::<Vec<_>>();
        assert_eq!(row.len(), 1, "{here}: {checked:#}");
        let text = |key: &str| row[0][key].as_str().unwrap_or("-").to_owned();
        (text("there"), text("state"), text("because"))
    };
    let is = |there: &str, state: &str, because: &str| (there.to_owned(), state.to_owned(), because.to_owned());
    assert_eq!(row("Work"), is(".Work", "both", "-"));
    assert_eq!(row("Notes"), is(".Notes", "only-here", "-"));
    assert_eq!(row("Lists/a b"), is(".Lists.a b", "only-there", "-"));
    assert_eq!(row("Drafts"), is("-", "left-alone", "Mail/Drafts"));
    assert_eq!(row("Work/2024"), is(".Work.2024", "left-alone", "Mail/Work/2024"));
    assert_eq!(checked["idle_patterns"], serde_json::json!(["Maildir/.nothing"]), "{checked:#}");
    assert_eq!(checked["client_version"], checked["server_version"]);
    let listing = pair.run("smd-check-conf", &[]).ok();
    let listing = listing.says("A run would work").says("Mail/elsewhere is a symlink").says("no folder matches");
    assert!(listing.stdout.lines().all(|line| line.chars().count() <= 80), "{listing}");
    pair.assert_unchanged(&stamps);

    pair.us.make_folder("a.b");
    let told = pair.run("smd-check-conf", &[]).exits(78).says("Mail/a.b of this host has no name");
    // The line takes the place of the one that is there, so it has what that says; it may be broken to the width of a screen.
    let line = "leave it alone with EXCLUDE_LOCAL='Mail/Drafts Mail/Work/2024 Mail/a.b', or";
    assert!(told.stdout.split_whitespace().collect::<Vec<_>>().join(" ").contains(line), "{told}");
    fs::remove_dir_all(pair.world.client().home.join("Mail/a.b")).expect("removes");
    state.assert_unchanged(&pair.world.client().smd_home());
    pair.configure("TRANSLATOR_LR='smd-translate -m nodot'\nTRANSLATOR_RL=cat", "");
    pair.run("smd-check-conf", &[]).exits(78).says("line 6").says("there is no mode `nodot`");
}

#[test]
fn a_root_that_cannot_be_made_is_told_by_the_check_and_by_a_dry_run() {
    let pair = Pair::new("nodots", "");
    let mail = pair.world.client().home.join("Mail");
    fs::rename(&mail, mail.with_file_name("elsewhere")).expect("it is taken away");
    pair.run("smd-check-conf", &[]).ok().says("A run would work");
    std::os::unix::fs::symlink("nowhere", &mail).expect("a symlink");
    pair.run("smd-check-conf", &[]).exits(78).says("is a symlink");
    pair.run("smd-sync", &["-d"]).exits(1);
    fs::remove_file(&mail).expect("it is removed");
    let config = pair.world.client().smd_home().join("config.default");
    let text = fs::read_to_string(&config).expect("a config").replace("LOCAL=Mail\n", "LOCAL=no/such/Mail\n");
    fs::write(&config, text).expect("it is written");
    pair.run("smd-check-conf", &[]).exits(78).says("directory above");
}
