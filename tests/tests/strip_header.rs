//! `smd-strip-header`: only the field goes, whatever happens meanwhile, and smd-undo puts it back.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use rustix::process::Signal;
use smd_tests::outcome::Outcome;
use smd_tests::populate::{self, Spec};
use smd_tests::processes::{self, wait_until};
use smd_tests::rng::Rng;
use smd_tests::stamps::Stamps;
use smd_tests::tree::{self, Found, Tree};
use smd_tests::world::{Link, World, finish};

const FIELD: &str = "X-OfflineIMAP: 1234-0987654321-6c-v7.3.3\n";

fn strip(world: &World, options: &[&str]) -> Outcome {
    finish(world.command("smd-strip-header", world.client()).args(options).arg(world.client().maildir()))
}

/// Starts it, and says nothing of what it says.
fn start(world: &World, dir: &Path) -> Child {
    let mut command = world.command("smd-strip-header", world.client());
    command.arg(dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

/// Writes a message with a mode and a time of its own.
fn write(path: &Path, bytes: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, bytes).expect("a message");
    let file = fs::File::options().write(true).open(path).expect("a file");
    file.set_modified(UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789)).expect("a time");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Puts the field into every message of a Maildir that has a header, as OfflineIMAP does to those that it uploads; gives how many.
fn with_fields(root: &Path) -> usize {
    let mut count = 0;
    for found in tree::list(root) {
        let path = found.path(root);
        let modified = path.metadata().and_then(|meta| meta.modified()).expect("a time");
        let bytes = fs::read(&path).expect("a message");
        if !bytes.is_empty() && !bytes.starts_with(b"\n") {
            fs::write(&path, [FIELD.as_bytes(), &bytes].concat()).expect("a message");
            fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(modified)).expect("a time");
            count += 1;
        }
    }
    count
}

#[test]
fn messages_become_what_they_were_without_the_field_and_come_back_with_it() {
    let world = World::new(Link::Rsh);
    let mut rng = Rng::from_env_or(41);
    let mail = world.client().maildir();
    populate::populate(&mail, "first", Spec { messages: 300, folders: 12, big: 3_000_000, odd: true }, &mut rng);
    let plain = Tree::read(&mail);
    let count = with_fields(&mail);
    let fielded = Tree::read(&mail);
    let names = tree::list(&mail);

    let before = Stamps::below(&world.client().home);
    let dry = strip(&world, &["-d", "--json"]).ok();
    assert_eq!(
        (dry.number("/found"), dry.number("/fields"), dry.number("/rewritten")),
        (count as u64, count as u64, 0)
    );
    before.assert_unchanged(&world.client().home);

    strip(&world, &[]).ok().says(&format!("removed from {count} of 300 messages in 12 folders"));
    assert_eq!(plain.differences(&Tree::read(&mail)), Vec::<String>::new());
    assert_eq!(tree::list(&mail), names, "no file has another name");

    let again = Stamps::below(&mail);
    strip(&world, &[]).ok().says("nothing to remove");
    again.assert_unchanged(&mail);

    let runs = finish(world.command("smd-undo", world.client()).arg("--json")).ok().json();
    assert_eq!(runs["runs"][0]["rewritten"].as_u64(), Some(count as u64), "{runs}");
    let number = runs["runs"][0]["run"].as_str().expect("a number");
    finish(world.command("smd-undo", world.client()).arg(number)).ok();
    assert_eq!(fielded.differences(&Tree::read(&mail)), Vec::<String>::new());
    assert_eq!(tree::list(&mail), names);
}

#[test]
fn mode_time_name_and_every_other_byte_stay() {
    let world = World::new(Link::Local);
    let mail = world.client().maildir();
    let header = "From: a\r\nX-OfflineIMAP-Foo: keep\r\nx-offlineimap: 1\r\n\tfolded\r\n more\r\nTo: b\r\n\r\n";
    let body = "body\0\r\nX-OfflineIMAP: keep\n\n";
    let path = mail.join("cur/1.a:2,SF,x");
    write(&path, format!("{header}{body}").as_bytes(), 0o400);
    write(&mail.join("new/2.b"), format!("A: 1\n{FIELD}").as_bytes(), 0o640);
    let linked = mail.join("Sub/cur/1.a:2,");
    fs::create_dir_all(linked.parent().expect("a directory")).expect("a folder");
    fs::hard_link(&path, &linked).expect("a second name");
    strip(&world, &[]).ok();
    let expected = format!("From: a\r\nX-OfflineIMAP-Foo: keep\r\nTo: b\r\n\r\n{body}");
    for path in [&path, &linked] {
        assert_eq!(fs::read(path).expect("a message"), expected.as_bytes());
        let meta = path.metadata().expect("stamps");
        assert_eq!((meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec()), (0o400, 1_234_567_890, 123_456_789));
    }
    let second = mail.join("new/2.b");
    assert_eq!(fs::read(&second).expect("a message"), b"A: 1\n");
    assert_eq!(second.metadata().expect("stamps").mode() & 0o7777, 0o640);
    for dir in ["tmp", "Sub/tmp"] {
        assert!(fs::read_dir(mail.join(dir)).is_ok_and(|mut files| files.next().is_none()), "{dir}");
    }
}

#[test]
fn what_cannot_be_stripped_is_left_alone_and_named_and_the_rest_is_done() {
    let world = World::new(Link::Local);
    let mail = world.client().maildir();
    let outside = world.dir().join("outside");
    write(&outside, FIELD.as_bytes(), 0o600);
    write(&mail.join("cur/good:2,S"), format!("{FIELD}A: 1\n\nx").as_bytes(), 0o600);
    write(&mail.join("cur/only:2,S"), FIELD.as_bytes(), 0o600);
    write(&mail.join("cur/mac:2,S"), b"X-OfflineIMAP: 1\rA: 2\r\rbody\n", 0o600);
    write(&mail.join("cur/twin:2,S"), format!("{FIELD}A: 2\n\nx").as_bytes(), 0o600);
    write(&mail.join("new/twin"), format!("{FIELD}A: 3\n\nx").as_bytes(), 0o600);
    write(&mail.join("cur/.hidden"), FIELD.as_bytes(), 0o600);
    write(&mail.join("tmp/draft"), FIELD.as_bytes(), 0o600);
    std::os::unix::fs::symlink(&outside, mail.join("cur/link:2,S")).expect("a link");
    std::os::unix::fs::symlink(world.dir(), mail.join("linked")).expect("a link");
    let said = strip(&world, &[]).exits(1).says("removed from 1 of 5 messages");
    for text in ["only:2,S has nothing but the field", "mac:2,S has a lone CR", "twin has two names"] {
        assert!(said.stderr.contains(text), "{text}\n{said}");
    }
    assert_eq!(fs::read(mail.join("cur/good:2,S")).expect("a message"), b"A: 1\n\nx");
    for path in [outside, mail.join("cur/only:2,S"), mail.join("cur/.hidden"), mail.join("tmp/draft")] {
        assert_eq!(fs::read(&path).expect("it is there"), FIELD.as_bytes(), "{}", path.display());
    }
}

#[test]
fn a_folder_of_a_known_root_is_stripped_alone_and_under_the_lock_of_that_root() {
    let world = World::new(Link::Rsh);
    let mail = world.client().maildir();
    write(&mail.join("cur/a:2,S"), format!("{FIELD}A: 1\n\nx").as_bytes(), 0o600);
    write(&mail.join("Sub/cur/b:2,S"), format!("{FIELD}A: 2\n\nx").as_bytes(), 0o600);
    write(&mail.join("Sub/Below/cur/c:2,S"), format!("{FIELD}A: 3\n\nx").as_bytes(), 0o600);
    write(&mail.join("Subway/cur/d:2,S"), format!("{FIELD}A: 4\n\nx").as_bytes(), 0o600);
    world.sync(&[]).ok();
    let strip = |dir: PathBuf| finish(world.command("smd-strip-header", world.client()).arg(dir));
    // As a run holds it.
    let held = fs::File::open(&mail).expect("the root");
    rustix::fs::flock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).expect("the lock");
    let mut waiting = start(&world, &mail.join("Sub"));
    let pid = waiting.id();
    // It asks for the lock again and again. Without one it would be done long before.
    wait_until("it waits", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let pauses = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let waits = pauses.and_then(|count| count.trim().parse::<u32>().ok()).is_some_and(|count| count > 15);
        (waits || !processes::runs(pid)).then_some(())
    });
    processes::signal(pid, Signal::TERM);
    assert_eq!(waiting.wait().expect("it ends").code(), Some(143), "it did not wait for the lock");
    assert!(fs::read(mail.join("Sub/cur/b:2,S")).expect("a message").starts_with(b"X-Off"));
    drop(held);
    strip(mail.join("Sub")).ok().says("removed from 2 of 2");
    let has = |path: &str| fs::read(mail.join(path)).expect("a message").starts_with(b"X-Off");
    assert_eq!(
        ["cur/a:2,S", "Sub/cur/b:2,S", "Sub/Below/cur/c:2,S", "Subway/cur/d:2,S"].map(has),
        [true, false, false, true]
    );
    strip(mail.clone()).ok().says("removed from 2 of 4");
    // The next run takes that to the other host, and smd-undo finds both.
    let next = world.sync(&["--json", "--allow-bulk-delete"]).ok();
    assert_eq!(next.number("/pushed/replaced"), 4, "{next}");
    world.assert_equal();
    let runs = finish(world.command("smd-undo", world.client()).arg("--json")).ok().json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(2), "{runs}");
    strip(world.dir().join("none")).exits(74);
    strip(world.client().smd_home()).exits(74).says("There is no Maildir");
}

#[test]
fn mail_programs_may_change_flags_and_move_messages_meanwhile() {
    let world = World::new(Link::Local);
    let mail = world.client().maildir();
    let mut rng = Rng::from_env_or(42);
    populate::populate(&mail, "first", Spec::plain(1_500, 3), &mut rng);
    let plain = Tree::read(&mail).contents();
    with_fields(&mail);
    let mut child = start(&world, &mail);
    let mut renamed = 0;
    while child.try_wait().expect("it is ours").is_none() {
        let all: Vec<Found> = tree::list(&mail).into_iter().filter(|one| one.place == tree::Place::Cur).collect();
        for _ in 0..50 {
            let one = rng.pick(&all);
            let folder = rng.pick(&all).folder.clone();
            let name = [one.uniq(), b":2,", populate::flags(&mut rng).as_bytes()].concat();
            let to = mail.join(folder).join("cur").join(String::from_utf8(name).expect("ASCII"));
            renamed += usize::from(fs::rename(one.path(&mail), to).is_ok());
        }
    }
    let code = child.wait().expect("it ends").code();
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
    // What it did not catch it catches when nobody renames any more.
    strip(&world, &[]).ok();
    assert_eq!(Tree::read(&mail).contents(), plain, "after {renamed} renames, seed {rng:?}");
}

#[test]
fn a_run_that_was_killed_leaves_every_message_whole_and_the_next_goes_on() {
    let world = World::new(Link::Local);
    let mail = world.client().maildir();
    let mut rng = Rng::from_env_or(43);
    populate::populate(&mail, "first", Spec::plain(600, 3), &mut rng);
    let plain = Tree::read(&mail);
    with_fields(&mail);
    let fielded = Tree::read(&mail);
    for round in 0..4 {
        let mut child = start(&world, &mail);
        // Further each time: as soon as so many were staged or are done.
        let wanted = 60 * round;
        let progress = || {
            let staged: usize = [".Archive.2024/tmp", "Work/tmp", "tmp"]
                .iter()
                .map(|tmp| fs::read_dir(mail.join(tmp)).map_or(0, Iterator::count))
                .sum();
            let done = fs::read_dir(world.client().smd_home().join("grave")).is_ok();
            staged > wanted || (done && round > 2)
        };
        while child.try_wait().expect("it is ours").is_none() && !progress() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        let _ = child.wait();
        let now = Tree::read(&mail);
        for (folder, messages) in &now.folders {
            for (uniq, is) in messages {
                let was = [&plain, &fielded].map(|tree| tree.message(folder, uniq));
                assert!(was.contains(&&is[0]) && is.len() == 1, "{folder:?} {uniq:?} is neither");
            }
        }
        assert_eq!(now.len(), 600);
    }
    strip(&world, &[]).ok();
    assert_eq!(plain.differences(&Tree::read(&mail)), Vec::<String>::new());
    for tmp in [".Archive.2024/tmp", "Work/tmp", "tmp"] {
        assert!(fs::read_dir(mail.join(tmp)).is_ok_and(|mut files| files.next().is_none()), "{tmp}");
    }
}
