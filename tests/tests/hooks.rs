//! Hooks: which run, in which order, what they are told, and what their failure means.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::stamps::Stamps;
use smd_tests::tree::Tree;
use smd_tests::user::User;
use smd_tests::world::{Host, Link, World, finish};

/// Says its four arguments in `told`, and keeps what it read in a file of its own name.
const TELLS: &str = "echo \"${0##*/} $1 $2 $4\" >>\"$HOME/told\"\ncat >\"$HOME/read-$1-$2\"\n";

/// Two hosts that agree on 20 messages, and a user at each.
fn agreed() -> (World, User, User) {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(9);
    populate::populate(&world.server().maildir(), "first", Spec::plain(20, 3), &mut rng.fork(0));
    world.sync(&[]).ok();
    let us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let them = User::new(&world.server().maildir(), "them", rng.fork(2));
    (world, us, them)
}

#[track_caller]
fn executable(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a directory above")).expect("a directory");
    fs::write(path, format!("#!/bin/sh\n{text}")).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}

#[track_caller]
fn hook(host: &Host, name: &str, text: &str) -> PathBuf {
    let path = host.smd_home().join("hooks").join(name);
    executable(&path, text);
    path
}

/// Hooks of all four kinds that tell their arguments.
fn tell_all(host: &Host) {
    for dir in ["pre-pull.d", "pre-push.d", "post-pull.d", "post-push.d"] {
        hook(host, &format!("{dir}/50-tell"), TELLS);
    }
}

/// What the hooks told since this was asked before.
fn told(host: &Host) -> Vec<String> {
    let path = host.home.join("told");
    let text = fs::read_to_string(&path).unwrap_or_default();
    drop(fs::remove_file(&path));
    text.lines().map(str::to_owned).collect()
}

/// The fields that a hook read: each ends with NUL.
fn fields(host: &Host, kind: &str) -> Vec<Vec<u8>> {
    let bytes = fs::read(host.home.join(format!("read-{kind}"))).expect("the hook read its stdin");
    assert!(bytes.is_empty() || bytes.ends_with(b"\0"), "{:?}", String::from_utf8_lossy(&bytes));
    let mut fields: Vec<Vec<u8>> = bytes.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    fields.pop();
    fields
}

#[test]
fn a_sync_runs_the_hooks_of_both_directions_in_order_and_by_name() {
    let (world, _, mut them) = agreed();
    let host = world.client();
    tell_all(host);
    hook(host, "pre-pull.d/10-first", TELLS);
    hook(host, "pre-pull.d/.hidden", TELLS);
    hook(host, "pre-pull.d/10-first~", TELLS);
    fs::write(host.smd_home().join("hooks/pre-pull.d/README"), "no program").expect("a file");
    them.deliver("");
    world.sync(&[]).ok();
    let order = ["10-first pre pull 0", "50-tell pre pull 0", "50-tell pre push 0", "50-tell post pull 0"];
    assert_eq!(told(host), [order.as_slice(), &["50-tell post push 0"]].concat());
    them.deliver("");
    world.pull(&[]).ok();
    assert_eq!(told(host), [&order[..2], &["50-tell post pull 0"]].concat());
}

#[test]
fn hooks_are_told_the_endpoint_and_have_no_shell_between() {
    let (world, _, mut them) = agreed();
    let host = world.client();
    hook(host, "post-pull.d/a $(touch shell) b", "printf '%s|' \"$#\" \"$3\" >\"$HOME/args\"");
    let config = format!("SERVERNAME=office\nMAILBOX=Maildir\nSSH='{}'\n", world.rsh_script().display());
    fs::write(host.smd_home().join("config.work"), config).expect("the config");
    them.deliver("");
    finish(world.command("smd-pull", host).arg("work")).ok();
    assert_eq!(fs::read_to_string(host.home.join("args")).expect("it ran"), "4|work|");
    assert!(!host.home.join("shell").exists());
}

#[test]
fn after_a_run_without_changes_here_and_in_a_dry_run_there_are_no_post_hooks() {
    let (world, mut us, mut them) = agreed();
    let host = world.client();
    tell_all(host);
    world.sync(&[]).ok().silent();
    assert_eq!(told(host), ["50-tell pre pull 0", "50-tell pre push 0"]);
    // What changes at the server only is no change here.
    us.deliver("");
    world.sync(&[]).ok();
    assert_eq!(told(host), ["50-tell pre pull 0", "50-tell pre push 0"]);
    them.deliver("");
    let before = Stamps::below(&host.home);
    world.sync(&["-d"]).ok();
    before.assert_unchanged(&host.home);
    world.sync(&[]).ok();
    assert_eq!(told(host).len(), 4);
}

#[test]
fn a_pre_hook_that_fails_stops_the_run_and_nothing_is_changed() {
    let (world, mut us, mut them) = agreed();
    let host = world.client();
    tell_all(host);
    let path = hook(host, "pre-push.d/40-no", "echo 'not today' >&2; exit 3");
    us.deliver("");
    them.deliver("");
    let before = [world.client().maildir(), world.server().maildir()].map(|root| (Stamps::below(&root), root));
    let failed = world.sync(&[]).exits(77).says("pre-push.d/40-no: it exited with 3").says("not today");
    assert!(failed.stderr.contains(&path.display().to_string()), "{failed}");
    before.iter().for_each(|(stamps, root)| stamps.assert_unchanged(root));
    assert_eq!(told(host), ["50-tell pre pull 0"], "nothing runs after it");
    fs::remove_file(path).expect("it is removed");
    world.sync(&[]).ok();
    world.assert_equal();
}

#[test]
fn a_post_hook_that_fails_is_reported_and_the_mail_is_done() {
    let (world, _, mut them) = agreed();
    let host = world.client();
    hook(host, "post-pull.d/10-bad", "echo first; echo 'the index is broken' >&2; exit 9");
    hook(host, "post-pull.d/20-good", TELLS);
    them.deliver("");
    world.pull(&[]).exits(1).says("post-pull.d/10-bad").says("it exited with 9").says("the index is broken");
    assert_eq!(told(host), ["20-good post pull 0"], "the others run all the same");
    world.assert_equal();
    // Until it is mended, hooks are told again what they may have missed.
    let first = fields(host, "post-pull");
    world.pull(&[]).exits(1);
    assert_eq!((told(host).len(), fields(host, "post-pull")), (1, first));
    hook(host, "post-pull.d/10-bad", "");
    world.pull(&[]).ok();
    assert_eq!(told(host).len(), 1);
    world.pull(&[]).ok().silent();
    assert!(told(host).is_empty());
}

#[test]
fn what_a_killed_run_changed_is_told_after_the_next() {
    let (world, _, mut them) = agreed();
    let host = world.client();
    let kills = hook(host, "post-pull.d/10-kills", "kill -9 $PPID");
    hook(host, "post-pull.d/20-tells", TELLS);
    let first = them.deliver("");
    world.pull(&[]).exits(137);
    assert!(told(host).is_empty());
    fs::remove_file(kills).expect("it is removed");
    let second = them.deliver("");
    world.pull(&[]).ok();
    let here = User::new(&host.maildir(), "here", Rng::from_env_or(1));
    let path = |found: &smd_tests::tree::Found| {
        here.find(&found.folder, found.uniq()).path(&host.maildir()).as_os_str().as_bytes().to_vec()
    };
    assert_eq!(fields(host, "post-pull"), [b"A".to_vec(), path(&first), b"A".to_vec(), path(&second)]);
    told(host);
    world.pull(&[]).ok().silent();
    assert!(told(host).is_empty());
}

#[test]
fn after_a_failed_run_post_hooks_are_told_its_exit_code() {
    let (world, _, _) = agreed();
    let host = world.client();
    tell_all(host);
    fs::write(
        world.rsh_script(),
        "#!/bin/sh\necho 'ssh: connect to host office port 22: No route to host' >&2\nexit 255\n",
    )
    .expect("the shell");
    world.sync(&[]).exits(69);
    let expected = ["50-tell pre pull 0", "50-tell pre push 0", "50-tell post pull 69", "50-tell post push 69"];
    assert_eq!(told(host), expected);
    assert!(fields(host, "post-pull").is_empty());
}

#[test]
fn post_hooks_read_the_paths_that_came_moved_and_went() {
    let (world, _, mut them) = agreed();
    let host = world.client();
    tell_all(host);
    let before = Tree::read(&host.maildir());
    let all = them.list();
    let read = them.set_flags(&all[0], "DFRS");
    them.delete(&all[1]);
    let moved = them.move_to(&all[2], ".Archive.New", true);
    them.edit_header(&all[3]);
    let edited = all[3].clone();
    let new = them.deliver("");
    let here = User::new(&host.maildir(), "here", Rng::from_env_or(1));
    let was: Vec<_> =
        all[..4].iter().map(|found| here.find(&found.folder, found.uniq()).path(&host.maildir())).collect();
    world.sync(&[]).ok();
    world.assert_equal();
    assert_ne!(before.len(), 0);

    let path = |found: &smd_tests::tree::Found| here.find(&found.folder, found.uniq()).path(&host.maildir());
    let bytes = |path: PathBuf| path.as_os_str().as_bytes().to_vec();
    let records = records(&fields(host, "post-pull"));
    assert!(records.contains(&vec![b"M".to_vec(), bytes(was[0].clone()), bytes(path(&read))]), "{records:?}");
    assert!(records.contains(&vec![b"R".to_vec(), bytes(was[1].clone())]), "{records:?}");
    assert!(records.contains(&vec![b"M".to_vec(), bytes(was[2].clone()), bytes(path(&moved))]), "{records:?}");
    assert!(records.contains(&vec![b"A".to_vec(), bytes(path(&new))]), "{records:?}");
    // Other bytes under the same name: what was there went, and something came.
    assert!(records.contains(&vec![b"A".to_vec(), bytes(path(&edited))]), "{records:?}");
    assert!(records.contains(&vec![b"R".to_vec(), bytes(was[3].clone())]), "{records:?}");
    assert_eq!(records.len(), 6, "and nothing else: {records:?}");
    assert_eq!(fields(host, "post-push"), fields(host, "post-pull"));
}

fn records(fields: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let mut records = Vec::new();
    let mut rest = fields;
    while let [kind, ..] = rest {
        let (record, later) = rest.split_at(if kind == b"M" { 3 } else { 2 });
        records.push(record.to_vec());
        rest = later;
    }
    records
}

#[test]
fn the_paths_lead_an_index_from_one_state_to_the_next_whatever_happened() {
    let (world, _, mut them) = agreed();
    let host = world.client();
    tell_all(host);
    let mut index = paths(&host.maildir()).expect("the root can be listed");
    for round in 0..6 {
        them.edit(25);
        world.pull(&["--allow-bulk-delete"]);
        if host.home.join("read-post-pull").exists() {
            for record in records(&fields(host, "post-pull")) {
                match record[0].as_slice() {
                    b"A" => assert!(index.insert(record[1].clone()), "round {round}: {record:?}"),
                    b"M" => {
                        assert!(index.remove(&record[1]), "round {round}: {record:?}");
                        index.insert(record[2].clone());
                    }
                    _ => assert!(index.remove(&record[1]), "round {round}: {record:?}"),
                }
            }
            fs::remove_file(host.home.join("read-post-pull")).expect("it is removed");
        }
        assert_eq!(index, paths(&host.maildir()).expect("the root can be listed"), "round {round}");
    }
}

/// Every message's path.
fn paths(root: &Path) -> io::Result<std::collections::BTreeSet<Vec<u8>>> {
    Ok(smd_tests::tree::list(root).iter().map(|found| found.path(root).as_os_str().as_bytes().to_vec()).collect())
}

#[test]
fn json_is_one_object_a_line_when_asked() {
    let (world, _, mut them) = agreed();
    let host = world.client();
    tell_all(host);
    them.deliver("");
    finish(world.prepare("smd-pull", host, &[]).env("SMD_HOOK_FORMAT", "json")).ok();
    let text = fs::read_to_string(host.home.join("read-post-pull")).expect("text");
    let value: serde_json::Value = serde_json::from_str(text.trim_end()).expect("one object");
    assert_eq!(value["change"], "added");
    assert!(Path::new(value["path"].as_str().expect("a path")).is_file(), "{text}");
}

#[test]
fn what_hooks_say_is_shown_with_v_only_and_one_that_reads_nothing_is_no_error() {
    let (world, _, mut them) = agreed();
    hook(world.client(), "post-pull.d/says", "echo indexed");
    them.deliver("");
    let quiet = world.pull(&[]).ok();
    assert!(!quiet.stderr.contains("indexed") && !quiet.stdout.contains("indexed"), "{quiet}");
    them.deliver("");
    assert!(world.pull(&["-v"]).ok().stderr.contains("indexed"));
}

#[test]
fn an_indexer_that_renames_what_it_finds_does_not_feed_itself_for_ever() {
    let (world, _, mut them) = agreed();
    let host = world.client();
    // As notmuch with maildir.synchronize_flags: what is new is moved to cur and gets a flag.
    let renames = "for file in \"$HOME\"/Maildir/new/*; do [ -e \"$file\" ] && \
                   mv \"$file\" \"$HOME/Maildir/cur/${file##*/}:2,S\"; done; echo ran >>\"$HOME/told\"; exit 0\n";
    hook(host, "post-pull.d/index", renames);
    them.deliver("");
    world.sync(&[]).ok();
    assert_eq!(told(host), ["ran"]);
    world.sync(&[]).ok();
    assert!(told(host).is_empty(), "the flag went to the server, nothing came here");
    world.sync(&[]).ok().silent();
    assert!(told(host).is_empty());
    world.assert_equal();
}

#[test]
fn a_signal_ends_a_hook_that_hangs_and_the_run_with_it() {
    let (world, mut us, _) = agreed();
    let host = world.client();
    let fifo = host.home.join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    hook(host, "pre-pull.d/hangs", "echo up >\"$HOME/fifo\"; exec sleep 1000");
    us.deliver("");
    let mut command = world.prepare("smd-sync", host, &[]);
    let child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("it starts");
    // Opening the fifo waits for the hook.
    assert_eq!(fs::read_to_string(&fifo).expect("the hook is up"), "up\n");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(Tree::read(&world.server().maildir()).len(), 20, "nothing was done");
}

/// A program of this name on the client's `PATH` that tells its arguments, and runs this script afterwards.
fn stand_in(world: &World, name: &str, script: &str) {
    let text = format!("echo \"{name} $*\" >>\"$HOME/told\"\n{script}");
    executable(&world.dir().join("stand-ins").join(name), &text);
}

/// Copies a sample to where it is active.
fn install_sample(host: &Host, name: &str) {
    let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../sample/hooks")).join(name);
    let text = fs::read_to_string(sample).expect("the sample");
    hook(host, &format!("post-pull.d/{name}"), text.strip_prefix("#!/bin/sh\n").expect("a script"));
}

/// A pull by the endpoint `work`, with the stand-ins.
fn pull(world: &World) -> smd_tests::outcome::Outcome {
    let mut command = world.command("smd-pull", world.client());
    let path = command.get_envs().find(|(key, _)| *key == "PATH").and_then(|(_, value)| value).expect("a PATH");
    let path = format!("{}:{}", world.dir().join("stand-ins").display(), path.display());
    let config = format!("SERVERNAME=office\nMAILBOX=Maildir\nSSH='{}'\n", world.rsh_script().display());
    fs::write(world.client().smd_home().join("config.work"), config).expect("the config");
    finish(command.env("PATH", path).arg("work"))
}

#[test]
fn the_samples_for_indexers_run_them_when_something_changed() {
    for (sample, program, expected) in
        [("notmuch-new", "notmuch", "notmuch new --quiet"), ("mu-index", "mu", "mu index --quiet")]
    {
        let (world, _, mut them) = agreed();
        stand_in(&world, program, "");
        install_sample(world.client(), sample);
        pull(&world);
        told(world.client());
        pull(&world).ok().silent();
        assert!(told(world.client()).is_empty(), "{sample}");
        them.deliver("");
        pull(&world).ok();
        assert_eq!(told(world.client()), [expected]);
    }
}

#[test]
fn the_samples_for_indexers_try_once_more_when_the_database_is_busy_and_only_then() {
    for (sample, program) in [("notmuch-new", "notmuch"), ("mu-index", "mu"), ("notmuch-tag", "notmuch")] {
        for (code, runs, ends) in [(75, 1, 0), (75, 2, 1), (1, 1, 1)] {
            let (world, _, mut them) = agreed();
            let host = world.client();
            pull(&world).ok();
            // Ends so as often as said, and tells of it; a wait is only told.
            let script = format!(
                "[ $(grep -c '^{program} [ni]' \"$HOME/told\") -gt {runs} ] || exit {code}\n[ $1 = config ] && echo \"$HOME/Maildir\"; exit 0"
            );
            stand_in(&world, program, &script);
            stand_in(&world, "sleep", "");
            install_sample(host, sample);
            them.deliver("");
            pull(&world).exits(ends);
            let told = told(host);
            let waits = told.iter().filter(|line| line.starts_with("sleep ")).count();
            assert_eq!(waits, usize::from(code == 75), "{sample} {code} {runs}: {told:?}");
        }
    }
}

#[test]
fn the_sample_that_tags_gives_new_messages_the_names_of_their_folders() {
    let (world, _, mut them) = agreed();
    let host = world.client();
    let script = "case $1 in config) echo \"$HOME/Maildir\" ;; tag) cat \"${3#--input=}\" >\"$HOME/tags\" ;; esac";
    stand_in(&world, "notmuch", script);
    pull(&world).ok();
    install_sample(host, "notmuch-tag");
    let all = them.list();
    them.delete(&all[0]);
    them.set_flags(&all[1], "DFRS");
    for folder in ["", ".Lists.rust", ".Lists.rust", "Work/two words"] {
        them.deliver(folder);
    }
    pull(&world).ok();
    let told = told(host);
    assert_eq!(told[..2], ["notmuch new --quiet", "notmuch config get database.mail_root"]);
    assert!(told[2].starts_with("notmuch tag --batch --input="), "{told:?}");
    let tags = fs::read_to_string(host.home.join("tags")).expect("the tags");
    let expected = "+Lists.rust -- tag:new and folder:\".Lists.rust\"\n\
                    +Work_two_words -- tag:new and folder:\"Work/two words\"\n-new -- tag:new\n";
    assert_eq!(tags, expected);
}

#[test]
fn the_sample_that_mails_says_a_failure_once() {
    let (world, _, mut them) = agreed();
    let host = world.client();
    stand_in(&world, "sendmail", "cat >\"$HOME/mail\"");
    pull(&world).ok();
    install_sample(host, "mail-on-failure");
    them.list().iter().for_each(|found| them.delete(found));
    pull(&world).exits(3);
    assert_eq!(told(host), ["sendmail -t"]);
    let mail = fs::read_to_string(host.home.join("mail")).expect("the mail");
    assert!(mail.contains("Subject: mail of work is not synchronised (exit 3)\n\n"), "{mail}");
    assert!(mail.contains("first sync") || mail.contains("pull: "), "{mail}");
    pull(&world).exits(3);
    assert!(told(host).is_empty(), "once is enough");
}

#[test]
fn a_hook_that_syncs_does_not_start_itself_for_ever_and_what_it_brought_is_told_later() {
    let (world, _, mut them) = agreed();
    let host = world.client();
    let args: Vec<String> =
        world.prepare("smd-pull", host, &[]).get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let command = world.prepare("smd-pull", host, &[]).get_program().to_string_lossy().into_owned();
    let quoted: Vec<String> = std::iter::once(&command).chain(&args).map(|word| format!("'{word}'")).collect();
    // Brings one more message first, and pulls it.
    let more = format!(
        "[ $(cat \"$HOME/ran\" 2>/dev/null | wc -l) -lt 3 ] || exit 0; echo once >> \"$HOME/ran\"; printf 'A: b\\n\\nc\\n' > '{}/new/inner'; {} || exit 9",
        world.server().maildir().display(),
        quoted.join(" ")
    );
    hook(host, "post-pull.d/10-syncs", &more);
    tell_all(host);
    them.deliver("");
    world.pull(&[]).ok();
    assert_eq!(fs::read_to_string(host.home.join("ran")).expect("it ran"), "once\n");
    assert!(host.maildir().join("new/inner").exists());
    // The outer run knew nothing of it; it is told next, whatever was told before.
    fs::remove_file(host.home.join(".smd/hooks/post-pull.d/10-syncs")).expect("it is removed");
    fs::remove_file(host.home.join("read-post-pull")).expect("it was told");
    world.pull(&[]).ok();
    let told = fs::read(host.home.join("read-post-pull")).expect("it is told");
    assert!(told.windows(10).any(|part| part == b"/new/inner"), "{}", String::from_utf8_lossy(&told));
}
