//! Keys that can do nothing but sync: `smd-restricted-shell` behind a real `sshd`, with clients that keep to it and others.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use smd_protocol::grave::Undone;
use smd_protocol::reconcile::Direction;
use smd_protocol::rights::{FEATURE, verbs};
use smd_protocol::step::{Bytes, Dress};
use smd_protocol::wire::{
    self, ClientHello, ContentEnd, ContentStart, Depth, Failure, Fetch, FromClient, FromServer, GraveAnswer, GraveWish,
};
use smd_protocol::{
    BaseId, Content, Entry, Flags, Folder, FolderDelta, Name, Outcome, Place, Refusal, Rights, Seen, Source, Step,
    Told, Uniq, Verb,
};
use smd_tests::hostile::{Client, hello};
use smd_tests::outcome::Outcome as Run;
use smd_tests::populate::{self, Spec};
use smd_tests::processes::require_strace;
use smd_tests::rng::Rng;
use smd_tests::tree::{Tree, assert_same};
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

/// Runs a program at the client against this name of the server.
fn run(world: &World, program: &str, options: &[String], more: &[&str], to: &str) -> Run {
    let mut command = world.command(program, world.client());
    finish(command.args(options).args(more).arg(world.client().maildir()).arg(to))
}

fn world(link: Link) -> World {
    let world = World::new(link);
    populate::populate(&world.server().maildir(), "first", Spec::plain(30, 4), &mut Rng::from_env_or(70));
    world
}

/// Everything below a directory: what it is, its inode, and when that changed last.
fn inodes(root: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("a directory").flatten() {
            let about = entry.metadata().expect("an entry");
            if about.is_dir() {
                dirs.push(entry.path());
            }
            all.insert(entry.path().display().to_string(), (about.ino(), about.ctime(), about.ctime_nsec()));
        }
    }
    all
}

#[test]
fn a_restricted_key_syncs_and_nothing_else_gets_through() {
    let world = world(Link::Ssh);
    let key = world.restrict("key", "--root Maildir --allow pull,push --client laptop");
    let mut us = User::new(&world.client().maildir(), "us", Rng::from_env_or(71));
    run(&world, "smd-pull", &key, &[], "key:Maildir").ok();
    let found = us.deliver("");
    run(&world, "smd-push", &key, &[], "key:~/Maildir/").ok();
    us.delete(&found);
    us.deliver("Work");
    run(&world, "smd-sync", &key, &[], "key:Maildir").ok();
    assert_same(&Tree::read(&world.client().maildir()), &Tree::read(&world.server().maildir()));
    assert!(!Path::new("/nonexistent").exists() && world.server().smd_home().join("served").is_dir());

    fs::create_dir_all(world.server().home.join(".vim/new")).expect("a directory");
    for root in [".vim", "/etc"] {
        run(&world, "smd-sync", &key, &[], &format!("key:{root}")).exits(77).says("but for Maildir");
    }
    let config = key[1].trim_start_matches("ssh -F ").to_owned();
    let ssh = |words: &[&str]| {
        let mut command = Command::new("ssh");
        finish(command.args(["-F", &config]).args(words).stdin(std::process::Stdio::null()))
    };
    for words in [&["key", "id"][..], &["key", "smd-server --x"], &["key", "sh -c smd-server"]] {
        ssh(words).exits(77).says("smd-restricted-shell: this key is for smd-sync");
    }
    let file = world.dir().join("file");
    fs::write(&file, "x").expect("a file");
    for legacy in ["-O", "-s"] {
        let mut scp = Command::new("scp");
        let copied = finish(scp.args(["-F", &config, legacy]).arg(&file).arg("key:copied"));
        assert!(copied.code != 0 && !world.server().home.join("copied").exists(), "{copied}");
    }
    // No forwarding: `restrict` sees to that.
    let forwarded = ssh(&["-W", "127.0.0.1:1", "key"]);
    assert!(forwarded.code != 0 && forwarded.to_string().contains("prohibited"), "{forwarded}");
    // Nobody asked for anything: it serves, and hears that nothing comes.
    ssh(&["key"]).ok();
    ssh(&["key", "/opt/smd/smd-server"]).ok();
}

#[test]
fn a_line_that_is_not_understood_is_explained_at_the_client_and_serves_nothing() {
    let world = world(Link::Rsh);
    for (line, says) in [
        ("--append-olny --root Maildir", "--append-olny"),
        ("--root Mailbox", "the root Mailbox is not there"),
        ("--root .", "holds"),
        ("--root Maildir --allow pull --append-only", "about pushes"),
    ] {
        let key = world.restrict("key", line);
        run(&world, "smd-sync", &key, &[], "key:Maildir").exits(78).says(says);
    }
    let key = world.restrict("key", "--root Maildir --allow push");
    run(&world, "smd-pull", &key, &[], "key:Maildir").exits(77).says("may push and not pull");
    assert!(Tree::read(&world.client().maildir()).is_empty());
}

#[test]
fn a_key_that_only_pulls_changes_nothing_below_a_root_and_says_what_it_left_out() {
    let world = world(Link::Rsh);
    let key = world.restrict("key", "--root Maildir --allow pull --client reader");
    let mut us = User::new(&world.client().maildir(), "us", Rng::from_env_or(72));
    let before = inodes(&world.server().maildir());
    let sync = |options: &[&str]| run(&world, "smd-sync", &key, options, "key:Maildir");
    sync(&[]).ok().says("30 new messages");
    let found = us.any();
    us.delete(&found);
    us.deliver("");
    sync(&[]).ok().says("2 changes are not permitted to this key at the server");
    sync(&["--json"]).ok();
    run(&world, "smd-push", &key, &[], "key:Maildir").exits(77).says("may pull and not push");
    run(&world, "smd-push", &key, &["--dry-run"], "key:Maildir").exits(77);
    assert_eq!(inodes(&world.server().maildir()), before);
    // The base is kept, so that the next run transfers nothing.
    let idle = sync(&["--json"]).ok();
    assert_eq!(idle.number("/pulled/new"), 0, "{idle}");
}

#[test]
fn a_key_that_only_appends_takes_mail_and_flags_and_never_fails_for_what_it_leaves_out() {
    let world = world(Link::Rsh);
    let key = world.restrict("key", "--root Maildir --append-only --client laptop");
    let mut us = User::new(&world.client().maildir(), "us", Rng::from_env_or(73));
    let sync = |options: &[&str]| run(&world, "smd-sync", &key, options, "key:Maildir");
    sync(&[]).ok();
    let before = Tree::read(&world.server().maildir());
    let all = us.list();
    us.delete(&all[0]);
    us.set_flags(&all[1], "T");
    us.set_flags(&all[2], "F");
    us.move_to(&all[3], "Elsewhere", true);
    us.edit_in_place(&all[4]);
    us.deliver("New");
    let report = sync(&["--json"]).ok();
    assert_eq!((report.number("/pushed/new"), report.number("/pushed/flags"), report.deleted()), (1, 1, 0), "{report}");
    assert!(report.number("/held/policy") >= 4, "{report}");
    let after = Tree::read(&world.server().maildir());
    assert_eq!(after.len(), before.len() + 1);
    // What waits is neither a fault nor done by another run, and is said with a number.
    sync(&[]).ok().says("changes are not permitted to this key at the server");
    assert_eq!(Tree::read(&world.server().maildir()).len(), after.len());
    assert_eq!(Tree::read(&world.client().maildir()).len(), after.len() - 1);
}

#[test]
fn a_client_keeps_its_base_when_its_key_becomes_a_restricted_one() {
    let world = world(Link::Rsh);
    world.sync(&[]).ok();
    let mut us = User::new(&world.client().maildir(), "us", Rng::from_env_or(74));
    let found = us.any();
    us.delete(&found);
    let key = world.restrict("office2", "--root Maildir --client laptop");
    let done = run(&world, "smd-sync", &key, &["--json"], "office2:Maildir").ok();
    assert_eq!((done.deleted(), done.number("/pulled/new")), (1, 0), "{done}");
    let served = fs::read_dir(world.server().smd_home().join("served")).expect("state");
    let names: Vec<String> =
        served.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().any(|name| name.contains("+laptop+")), "{names:?}");
}

#[test]
fn without_roots_a_key_serves_maildir_trees_below_the_home_directory() {
    let world = world(Link::Rsh);
    let home = &world.server().home;
    fs::create_dir_all(home.join(".vim/new")).expect("a directory");
    fs::create_dir_all(home.join("papers/x")).expect("a directory");
    std::os::unix::fs::symlink("/tmp", home.join("link")).expect("a link");
    let key = world.restrict("key", "");
    run(&world, "smd-sync", &key, &["-v"], "key:Maildir").ok().says("--root Maildir");
    run(&world, "smd-sync", &key, &[], "key:Maildir").ok().silent();
    for root in [".vim", "papers", "link", "Missing", "/tmp", "Maildir/cur", ".smd"] {
        run(&world, "smd-sync", &key, &[], &format!("key:{root}")).exits(77);
    }
    assert!(!home.join("Missing").exists() && !home.join(".vim/cur").exists());
}

#[test]
fn the_plain_server_says_once_that_its_command_limits_no_key() {
    let world = world(Link::RestrictedSsh);
    world.sync(&[]).ok().says("is not limited by command=");
    world.sync(&[]).ok().silent();
    assert!(!self::world(Link::Ssh).sync(&[]).ok().to_string().contains("not limited"));
}

// The table of policies, cell by cell.

fn name(folder: &str, uniq: &str) -> Name {
    let folder = Folder::parse(folder.as_bytes()).expect("a folder");
    Name::new(&folder, &Uniq::parse(uniq.as_bytes()).expect("a uniq"))
}

fn dress(flags: &str) -> Dress {
    Dress { place: Place::Cur, flags: Flags::from_letters(flags) }
}

fn from_wire(text: &[u8]) -> Bytes {
    Bytes { content: Content::of(text), source: Source::Wire, mtime: None }
}

/// One step of each kind, on messages of their own, in the order of the verbs that they need; and what they bring.
fn steps() -> Vec<Step> {
    let at = |uniq: &str| name("", uniq);
    let to = |from: &str, to: &str, flags: &str| Step::Move { from: at(from), to: at(to), dress: dress(flags) };
    let copied = Bytes {
        content: Content::of(&message("copy")),
        source: Source::Copy(at("copy")),
        mtime: Some(Default::default()),
    };
    vec![
        Step::MakeFolder(Folder::parse(b".Made").expect("a folder")),
        Step::Put { to: at("put"), dress: dress(""), bytes: from_wire(&message("put")) },
        Step::Put { to: at("copied"), dress: dress(""), bytes: copied },
        to("move", "moved", ""),
        to("flags", "flags", "S"),
        to("trash", "trash", "T"),
        Step::Replace { at: at("replace"), dress: dress(""), bytes: from_wire(&message("replaced")) },
        Step::Delete(at("delete")),
        Step::RemoveFolder(Folder::parse(b".Gone").expect("a folder")),
    ]
}

fn message(uniq: &str) -> Vec<u8> {
    format!("Subject: {uniq}\n\nthe message {uniq}\n").into_bytes()
}

const MESSAGES: [&str; 6] = ["copy", "move", "flags", "trash", "replace", "delete"];

/// The server's mail as the steps find it.
fn lay_out(root: &Path) {
    fs::remove_dir_all(root).expect("it can be removed");
    for dir in ["cur", "new", "tmp", ".Gone/cur", ".Gone/new", ".Gone/tmp"] {
        fs::create_dir_all(root.join(dir)).expect("a folder");
    }
    for uniq in MESSAGES {
        fs::write(root.join(format!("cur/{uniq}:2,")), message(uniq)).expect("a message");
    }
}

struct Session {
    client: Client,
}

impl Session {
    fn open(world: &World, alias: &str, hello: &ClientHello) -> (Self, Rights) {
        let config = world.dir().join("sshd/ssh_config");
        let mut command = Command::new("ssh");
        command.arg("-F").arg(config).args([alias, "smd-server"]);
        let client = Client::by(command, false);
        let features = match hello.features.is_empty() {
            true => client.open(hello).expect("it is served").features,
            false => client.greet(hello).expect("it is served").features,
        };
        let told = features.iter().map(Told::escaped).find_map(|one| one.strip_prefix(FEATURE).map(str::to_owned));
        (Self { client }, told.expect("a policy is told").parse().expect("words"))
    }

    /// A batch: these steps and contents, and a wish for a message's bytes. Gives the outcomes, and whether the bytes came.
    fn batch(&self, steps: &[Step], contents: &[(u32, Vec<u8>)], fetch: &Name) -> (Vec<Outcome<Told>>, bool) {
        let client = &self.client;
        let wish = Fetch { step: 0, name: fetch.clone(), header_only: false, content: Content::of(&message("copy")) };
        client.say(&FromClient::Batch { root: 0, steps: steps.to_vec(), fetch: vec![wish] });
        client.say(&FromClient::BatchReady { root: 0 });
        for (step, bytes) in contents {
            let start = ContentStart { step: *step, size: bytes.len() as u64, mtime: Default::default() };
            client.say(&FromClient::Content(start));
            client.bytes(&[&wire::piece_head(bytes.len())[..], bytes].concat());
            client.say(&FromClient::ContentEnd(ContentEnd { step: *step, failed: None }));
        }
        client.say(&FromClient::BatchEnd { root: 0 });
        let (mut outcomes, mut came) = (vec![Outcome::Done; steps.len()], None);
        loop {
            match client.until(Some).expect("the batch goes on") {
                FromServer::ContentEnd(end) => came = Some(end.failed.is_none()),
                FromServer::Outcomes { failed, .. } => {
                    failed.into_iter().for_each(|(step, outcome)| outcomes[step as usize] = outcome);
                }
                FromServer::BatchDone { .. } => return (outcomes, came.expect("the wish is answered")),
                _ => {}
            }
        }
    }

    /// Commits a base that has this message alone, and says how that fails.
    fn commit(&self, base: &str, content: Content, from: Option<BaseId>) -> Result<BaseId, Failure> {
        let uniq = Uniq::parse(base.as_bytes()).expect("a uniq");
        let entry = Entry { uniq, place: Place::Cur, flags: Flags::default(), content };
        let change = FolderDelta {
            presence: smd_protocol::Presence::Added,
            set: vec![Seen::bare(entry)],
            ..FolderDelta::default()
        };
        let delta = smd_protocol::Delta { folders: [(Folder::root(), change)].into() };
        for parts in smd_protocol::pack::groups(smd_protocol::pack::pack(&smd_protocol::Snapshot::default(), &delta)) {
            self.client.say(&FromClient::Prepare { root: 0, parts });
        }
        let counter = from.map_or(1, |from| from.counter + 1);
        self.client.say(&FromClient::PrepareEnd { root: 0, counter, from });
        let id = self.client.until(|said| if let FromServer::Prepared { id, .. } = said { Some(id) } else { None })?;
        self.client.say(&FromClient::Commit { root: 0, id });
        self.client.until(|said| matches!(said, FromServer::Committed { .. }).then_some(id))
    }

    fn grave(&self, wish: GraveWish) -> GraveAnswer {
        self.client.say(&FromClient::Grave { root: 0, wish });
        let answer = |said| if let FromServer::Grave { answer, .. } = said { Some(answer) } else { None };
        self.client.until(answer).expect("each wish is answered")
    }

    fn resting(&self) -> Vec<String> {
        match self.grave(GraveWish::List) {
            GraveAnswer::Rests { rests, .. } => rests.into_iter().map(|one| one.id).collect(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_policy_permits_its_verbs_and_refuses_the_others_over_a_real_sshd() {
    let world = World::new(Link::Ssh);
    // Somebody else's removals rest there already.
    world.sync(&[]).ok();
    lay_out(&world.server().maildir());
    world.sync(&[]).ok();
    fs::remove_file(world.client().maildir().join("cur/delete:2,")).expect("a message");
    world.sync(&[]).ok();
    for (number, (line, policy)) in [
        ("--allow pull", "pull"),
        ("--allow push", "push"),
        ("--append-only", "pull,push,append-only"),
        ("--no-delete", "pull,push,no-delete"),
        ("", "pull,push"),
        ("--allow pull,undo", "pull,undo"),
        ("--allow pull,push,undo", "pull,push,undo"),
    ]
    .into_iter()
    .enumerate()
    {
        let alias = format!("key{number}");
        world.restrict(&alias, &format!("--root Maildir --client {alias} --max-remove 100 {line}"));
        lay_out(&world.server().maildir());
        let (session, rights) = Session::open(&world, &alias, &hello(b"Maildir"));
        assert_eq!(rights.to_string(), policy);
        let wire = [(1, message("put")), (6, message("replaced"))];
        let (outcomes, came) = session.batch(&steps(), &wire, &name("", "copy"));
        for (step, outcome) in steps().iter().zip(&outcomes) {
            let permitted = verbs(step, Some(&Flags::default())).all(|verb| rights.permits(verb));
            match permitted {
                true => assert_eq!(*outcome, Outcome::Done, "{policy}: {step:?}"),
                false => assert_eq!(*outcome, Outcome::Refused(Refusal::Policy), "{policy}: {step:?}"),
            }
        }
        assert_eq!(came, rights.permits(Verb::Fetch), "{policy}");
        let there = Tree::read(&world.server().maildir());
        assert_eq!(there.message("", b"flags").flags == b"S", rights.permits(Verb::Flags), "{policy}");
        assert_eq!(there.message("", b"trash").flags == b"T", rights.permits(Verb::Trash), "{policy}");
        assert_eq!(world.server().maildir().join("cur/delete:2,").exists(), !rights.permits(Verb::Delete), "{policy}");
        // A base of what is here, and none of what is nowhere.
        session.client.say(&FromClient::Adopt { root: 0 });
        session.client.until(|said| matches!(said, FromServer::Looked { .. }).then_some(())).expect("it may adopt");
        let id = session.commit("copy", Content::of(&message("copy")), None).expect("it may commit");
        let refused =
            session.commit("ghost", Content::of(b"nobody has this"), Some(id)).expect_err("a base of nothing");
        assert!(matches!(refused, Failure::Refused(_)), "{policy}: {refused}");
        session.client.end();

        let graves = ClientHello { features: vec![wire::GRAVE.into()], depth: Depth::Folders, ..hello(b"Maildir") };
        let (session, _) = Session::open(&world, &alias, &graves);
        let rests = session.resting();
        let own = rests.iter().filter(|id| id.contains(&format!("+{alias}+"))).count();
        let removes = rights.permits(Verb::Delete);
        assert_eq!(own > 0, removes, "{policy}: {rests:?}");
        assert_eq!(rests.len() > own, rights.permits(Verb::OthersGrave), "{policy}: {rests:?}");
        if let Some(id) = rests.first() {
            let GraveAnswer::Heads(heads) = session.grave(GraveWish::Heads(vec![id.clone()])) else {
                panic!("no heads")
            };
            assert_eq!(!heads[0].subject.is_empty(), rights.permits(Verb::ReadGrave), "{policy}");
            match session.grave(GraveWish::BringBack { ids: vec![id.clone()], last: true }) {
                GraveAnswer::Undone(done) => {
                    assert!(
                        rights.permits(Verb::BringBack) && !matches!(done[0], Undone::Failed(_)),
                        "{policy}: {done:?}"
                    );
                }
                GraveAnswer::Refused(_) => assert!(!rights.permits(Verb::BringBack), "{policy}"),
                other => panic!("{policy}: {other:?}"),
            }
        }
        session.client.end().ok();
    }
}

#[test]
fn a_direction_that_a_key_lacks_is_refused_and_the_rest_of_a_sync_is_not() {
    let world = World::new(Link::Ssh);
    for (line, direction, is_served) in [
        ("--allow pull", Direction::Pull, true),
        ("--allow pull", Direction::Sync, true),
        ("--allow pull", Direction::Push, false),
        ("--allow push", Direction::Pull, false),
        ("--allow push", Direction::Push, true),
        ("--allow undo", Direction::Sync, false),
    ] {
        let alias = format!("{}-{direction:?}", line.replace([' ', '-'], "")).to_lowercase();
        world.restrict(&alias, &format!("--root Maildir {line}"));
        let mut command = Command::new("ssh");
        command.arg("-F").arg(world.dir().join("sshd/ssh_config")).args([&alias, "smd-server"]);
        let client = Client::by(command, false);
        match client.greet(&ClientHello { direction, ..hello(b"Maildir") }) {
            Ok(_) => assert!(is_served, "{alias}"),
            Err(failure) => assert!(!is_served && matches!(failure, Failure::Refused(_)), "{alias}: {failure}"),
        }
        client.end();
    }
}

#[test]
fn after_the_first_byte_no_path_is_opened_nothing_is_run_and_nobody_is_called() {
    require_strace();
    let world = world(Link::Rsh);
    let log = world.dir().join("strace.log");
    let key = world.restrict("key", "--root Maildir --client laptop");
    let script = world.dir().join("login-at-key");
    let text = fs::read_to_string(&script).expect("a script");
    let traced = format!(
        "exec strace -f -qq -o '{}' -e trace=open,openat,openat2,execve,socket,read smd-restricted",
        log.display()
    );
    fs::write(&script, text.replace("exec smd-restricted", &traced)).expect("a script");
    let mut us = User::new(&world.client().maildir(), "us", Rng::from_env_or(75));
    run(&world, "smd-sync", &key, &[], "key:Maildir").ok();
    us.deliver("Work");
    let found = us.any();
    us.delete(&found);
    run(&world, "smd-sync", &key, &[], "key:Maildir").ok();
    let text = fs::read_to_string(&log).expect("strace wrote its log");
    let begins = text.lines().position(|line| line.contains("read(0, ")).expect("it reads");
    let mut opened = 0;
    for line in text.lines().skip(begins) {
        assert!(!line.contains("execve(") && !line.contains("socket("), "{line}");
        let path = line.split_once("open").and_then(|(_, rest)| rest.split('"').nth(1));
        if let Some(path) = path {
            opened += 1;
            assert!(!path.contains('/') || path.starts_with("/proc/self/fd/"), "{line}");
        }
    }
    assert!(opened > 20, "{opened}");
}
