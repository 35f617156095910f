//! Bytes, times and copies of messages.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use smd_tests::mail;
use smd_tests::rng::Rng;
use smd_tests::tree::{self, Found, Tree};
use smd_tests::user::User;
use smd_tests::world::{Link, World};

/// Two hosts that share a base, and a user at each: without one, equal bytes would be matched under any name.
fn agreed() -> (World, User, User) {
    let (world, rng) = (World::new(Link::Rsh), Rng::from_env_or(31));
    let mut us = User::new(&world.client().maildir(), "us", rng.fork(1));
    let them = User::new(&world.server().maildir(), "them", rng.fork(2));
    us.deliver("First");
    world.sync(&[]).ok();
    (world, us, them)
}

/// One run finds nothing more to do.
#[track_caller]
fn assert_rests(world: &World) {
    let rest = world.sync(&["--json"]).ok();
    assert_eq!(rest.steps(), 0, "{rest}");
}

/// What somebody's parser once stumbled over.
const ODD: [&[u8]; 12] = [
    b"Subject: crlf\r\n\r\nbody\r\n",
    b"Subject: no blank line\n",
    b"Subject: neither blank line nor newline",
    b"Subject: crlf without a blank line\r\n",
    b"\nbody without a header\n",
    b"\r\n",
    b"\n",
    b"x",
    b"\0",
    b"Subject: nul\0in the header\n\n\0\0body\0",
    b"From somebody Thu Jan  1 00:00:00 1970\nSubject: mbox\n\n>From here\n.\n",
    b"Subject: \xff\xfe\x80 \x1b]0;no utf-8\x07\n\n\xc3\x28",
];

#[test]
fn crlf_mail_and_mail_without_a_blank_line_arrive_identical() {
    let (world, mut us, mut them) = agreed();
    let of_us: Vec<Found> = ODD.iter().map(|bytes| us.deliver_bytes("Ours", bytes)).collect();
    let of_them: Vec<Found> = ODD.iter().map(|bytes| them.deliver_bytes("Theirs", bytes)).collect();
    world.sync(&[]).ok();
    world.assert_equal();
    for ((ours, theirs), bytes) in of_us.iter().zip(&of_them).zip(ODD) {
        assert_eq!((us.bytes(theirs).as_slice(), them.bytes(ours).as_slice()), (bytes, bytes));
    }
    assert_rests(&world);
}

#[test]
fn a_message_that_loses_its_blank_line_stays_and_its_new_bytes_arrive() {
    let (world, mut us, them) = agreed();
    let found = us.deliver_bytes("", b"Subject: whole\n\nbody\n");
    world.sync(&[]).ok();
    let path = found.path(&world.client().maildir());
    let rewritten = world.client().maildir().join("tmp/rewritten");
    fs::write(&rewritten, b"Subject: whole\nbody").expect("the message is rewritten");
    fs::rename(&rewritten, &path).expect("and takes the name");
    world.sync(&[]).ok();
    world.assert_equal();
    assert_eq!(them.bytes(&found), b"Subject: whole\nbody");
}

#[test]
fn a_header_edit_leaves_a_body_of_any_bytes_alone_and_does_not_send_it() {
    let (world, mut us, mut them) = agreed();
    let noise = Rng::from_env_or(32).bytes(300_000);
    // NUL, CR, lines without end, no newline at the end: whatever works by lines breaks it.
    let body = [b"\r\n\0one\0\r\r\n".as_slice(), &noise, b"\r\nno newline at the end\r"].concat();
    let found = us.deliver_bytes("", &[b"Subject: edited\n\n".as_slice(), &body].concat());
    world.sync(&[]).ok();
    them.edit_header(&found);
    let edited = them.bytes(&found);
    let run = world.sync(&["--json"]).ok();
    world.assert_equal();
    assert_eq!(run.number("/pulled/replaced"), 1, "{run}");
    assert!(us.bytes(&found) == edited && edited.ends_with(&body), "the body is as it was");
    assert!(run.bytes() < 50_000, "the body was sent\n{run}");
}

#[test]
fn an_edit_that_keeps_size_and_mtime_arrives() {
    let (world, mut us, them) = agreed();
    let found = us.deliver_bytes("", b"Subject: one\n\nthe old bytes\n");
    us.deliver("");
    world.sync(&[]).ok();
    let path = found.path(&world.client().maildir());
    let mtime = path.metadata().and_then(|meta| meta.modified()).expect("the message has an mtime");
    fs::write(&path, b"Subject: one\n\nthe new bytes\n").expect("an edit in place");
    set_mtime(&path, mtime);
    world.sync(&["--scan", "stat"]).ok();
    world.assert_equal();
    assert_eq!(them.bytes(&found), b"Subject: one\n\nthe new bytes\n");
}

fn set_mtime(path: &Path, mtime: SystemTime) {
    let file = fs::File::options().write(true).open(path).expect("the message can be opened");
    file.set_modified(mtime).expect("the mtime can be set");
}

#[test]
fn mtimes_arrive_to_the_nanosecond_whatever_the_year() {
    let (world, mut us, mut them) = agreed();
    let nano = Duration::from_nanos(1);
    let years = |count: u64| Duration::from_secs(count * 365 * 24 * 3600);
    let times = [
        UNIX_EPOCH,
        UNIX_EPOCH + nano,
        UNIX_EPOCH - nano,
        UNIX_EPOCH - years(30),
        UNIX_EPOCH + years(30) + Duration::from_nanos(999_999_999),
        UNIX_EPOCH + years(69),
        UNIX_EPOCH + years(200) + nano,
    ];
    let mut all = Vec::new();
    for mtime in times {
        for (user, host) in [(&mut us, world.client()), (&mut them, world.server())] {
            let found = user.deliver("Times");
            set_mtime(&found.path(&host.maildir()), mtime);
            all.push((found, mtime));
        }
    }
    world.sync(&[]).ok();
    // A flag and another folder change no time.
    for (found, _) in &all[..4] {
        let flagged = us.read(found);
        us.move_to(&flagged, "Moved", true);
    }
    world.sync(&[]).ok();
    world.assert_equal();
    for root in [world.client().maildir(), world.server().maildir()] {
        for (found, mtime) in &all {
            let uniq = found.uniq();
            let here = tree::list(&root).into_iter().find(|one| one.uniq() == uniq).expect("the message is there");
            let now = here.path(&root).metadata().and_then(|meta| meta.modified()).expect("it has an mtime");
            assert_eq!(now, *mtime, "{:?}", here.path(&root));
        }
    }
    assert_rests(&world);
}

#[test]
fn equal_messages_stay_as_many_as_they_are() {
    let (world, mut us, mut them) = agreed();
    let bytes = mail::plain("one of many", &mut Rng::from_env_or(33));
    let all: Vec<Found> = (0..200).map(|_| them.deliver_bytes("", &bytes)).collect();
    world.sync(&[]).ok();
    us.delete(&all[7]);
    them.read(&all[8]);
    them.delete(&all[9]);
    them.move_to(&all[10], "Elsewhere", true);
    world.sync(&[]).ok();
    world.assert_equal();
    us.deliver_bytes("Elsewhere", &bytes);
    world.sync(&[]).ok();
    world.assert_equal();
    assert_rests(&world);
    let tree = Tree::read(&world.client().maildir());
    let names = |folder: &str| tree.folders[Path::new(folder)].keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!((names("").len(), names("Elsewhere").len()), (197, 2));
    assert!(!names("").contains(all[7].uniq()) && !names("").contains(all[9].uniq()), "those that went are gone");
    assert!(names("Elsewhere").contains(all[10].uniq()), "and the one that moved is there");
}

#[test]
fn equal_bodies_under_other_headers_and_equal_headers_over_other_bodies_stay_apart() {
    let (world, mut us, mut them) = agreed();
    let mut all = Vec::new();
    for header in ["Subject: a\n", "Subject: b\n"] {
        for body in ["one\n", "two\n", ""] {
            let text = format!("{header}\n{body}");
            all.push((us.deliver_bytes("", text.as_bytes()), text.clone()));
            all.push((them.deliver_bytes("", text.as_bytes()), text));
        }
    }
    world.sync(&[]).ok();
    for (found, text) in all.iter_mut().filter(|(_, text)| text.starts_with("Subject: a")) {
        *text = text.replace("Subject: a", "Subject: c");
        let path = found.path(&world.server().maildir());
        fs::write(&path, text.as_bytes()).expect("an edit in place");
    }
    world.sync(&["--scan", "stat"]).ok();
    world.assert_equal();
    for (found, text) in &all {
        assert_eq!(us.bytes(found), text.as_bytes(), "{:?}", found.name);
    }
    assert_eq!(Tree::read(&world.client().maildir()).len(), 1 + all.len());
}

#[test]
fn one_name_in_two_folders_is_two_messages_also_when_they_change_places() {
    let (world, mut us, them) = agreed();
    let found = us.deliver_bytes("", b"Subject: this\n\nthis\n");
    let other = us.deliver_bytes("Work", b"Subject: that\n\nthat\n");
    let same = Found { name: found.name.clone(), ..other.clone() };
    let root = world.client().maildir();
    fs::rename(other.path(&root), same.path(&root)).expect("a mail program keeps the name");
    world.sync(&[]).ok();
    world.assert_equal();
    us.swap(&found, &same);
    world.sync(&[]).ok();
    world.assert_equal();
    assert_eq!((them.bytes(&same), them.bytes(&found)), (b"Subject: this\n\nthis\n".to_vec(), us.bytes(&found)));
    us.move_to(&same, "Third", true);
    let moved = us.move_to(&found, "Work", true);
    world.sync(&[]).ok();
    world.assert_equal();
    assert_eq!(them.bytes(&moved), b"Subject: that\n\nthat\n");
    assert_eq!(Tree::read(&root).len(), 1 + 2);
}

#[test]
fn a_name_arrives_as_it_is_spelled_where_it_is_free() {
    let world = World::new(Link::Rsh);
    let roots = [world.client().maildir(), world.server().maildir()];
    for (root, label) in roots.iter().zip(["us", "them"]) {
        // The last two have the bytes of the first, so that only their names cross the wire.
        for (dir, name, text) in [
            ("cur", "plain", "a"),
            ("cur", "empty:2,", "b"),
            ("cur", "unordered:2,SF", "c"),
            ("cur", "doubled:2,SS", "d"),
            ("new", "marked:2,", "e"),
            ("Copies/cur", "copy", "a"),
            ("Copies/cur", "another:2,SF", "a"),
        ] {
            fs::create_dir_all(root.join(dir)).expect("a folder");
            let path = root.join(dir).join(format!("{label}.{name}"));
            fs::write(path, format!("Subject: {label} {text}\n\n{label} {text}\n")).expect("a message");
        }
    }
    world.sync(&[]).ok();
    let names = |root: &Path| tree::list(root).into_iter().map(|found| found.path(Path::new(""))).collect::<Vec<_>>();
    assert_eq!(names(&roots[0]).len(), 14);
    assert_eq!(names(&roots[0]), names(&roots[1]));
    world.assert_equal();
    // Another spelling is no reason for a step.
    fs::rename(roots[0].join("cur/us.plain"), roots[0].join("cur/us.plain:2,")).expect("a mail program spells it so");
    assert_rests(&world);
    assert_ne!(names(&roots[0]), names(&roots[1]));
}

/// Two messages of one name in a folder of this root, with other bytes.
fn put_twins(root: &Path) {
    fs::write(root.join("cur/1.twin:2,S"), "Subject: one\n\none\n").expect("a message");
    fs::write(root.join("new/1.twin"), "Subject: two\n\ntwo\n").expect("a message");
}

#[test]
fn the_second_of_two_messages_of_one_name_gets_one_by_a_step_that_is_shown_and_logged() {
    for at_server in [false, true] {
        let (world, _, _) = agreed();
        let root = if at_server { world.server().maildir() } else { world.client().maildir() };
        put_twins(&root);
        let planned = world.sync(&["--dry-run", "-v"]).ok();
        assert!(planned.stdout.contains("would rename 1 message"), "{planned}");
        assert!(root.join("new/1.twin").exists(), "a dry run changes nothing");
        world.sync(&["-v"]).ok().says("had the name 1.twin; one is now ").says("renamed").says("(from 1.twin)");
        world.assert_equal();
        assert_eq!(Tree::read(&root).len(), 3);
        assert!(root.join("cur/1.twin:2,S").exists() && !root.join("new/1.twin").exists());
        assert_rests(&world);
        let log = fs::read_dir(world.client().smd_home().join("log")).expect("a log");
        let texts = log.map(|entry| fs::read_to_string(entry.expect("a file").path()).unwrap_or_default());
        assert!(texts.collect::<String>().contains("1.twin"), "the log has the step");
    }
}

#[test]
fn a_run_that_may_not_change_a_host_leaves_out_its_second_message_of_one_name_and_says_so() {
    for (at_server, program) in [(true, "smd-pull"), (false, "smd-push")] {
        let (world, _, _) = agreed();
        let root = if at_server { world.server().maildir() } else { world.client().maildir() };
        put_twins(&root);
        for _ in 0..3 {
            let run = world.run(program, world.client(), &[]).ok();
            run.says("has the name of another message beside it");
        }
        assert!(root.join("cur/1.twin:2,S").exists() && root.join("new/1.twin").exists());
        let other = if at_server { world.client().maildir() } else { world.server().maildir() };
        assert_eq!((Tree::read(&root).len(), Tree::read(&other).len()), (3, 2));
        world.sync(&[]).ok();
        world.assert_equal();
        assert_eq!(Tree::read(&other).len(), 3);
        assert_rests(&world);
    }
}
