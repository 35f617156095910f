//! Where bytes come from, and what is swept.

use smd_protocol::Refusal;

use super::super::{Refused, open_message};
use super::*;
use crate::home::{Access, Home};
use crate::quota::{Caps, Quota, Whose};

#[test]
fn a_copy_takes_its_bytes_and_mtime_from_here() {
    let world = World::with(&[("cur/a:2,S", "x")]);
    let mut applier = world.applier();
    assert_eq!(
        world.run(&mut applier, vec![put_copy("Work/b", "x", "a"), Step::MakeFolder(folder("Work"))], &[]),
        vec![Outcome::Done; 2]
    );
    assert_eq!(world.read("Work/cur/b:2,"), "x");
    let mtime = |path: &str| std::fs::metadata(world.root().join(path)).expect("there").modified().expect("mtime");
    assert_eq!(mtime("Work/cur/b:2,"), mtime("cur/a:2,S"));
}

#[test]
fn swapped_bytes_of_two_messages_need_no_wire() {
    let world = World::with(&[("cur/a:2,", "a"), ("cur/b:2,", "b")]);
    let steps = [("a", "b"), ("b", "a")].map(|(at, from)| Step::Replace {
        at: name(at),
        dress: cur(""),
        bytes: bytes(from, Source::Copy(name(from))),
    });
    assert_eq!(world.run(&mut world.applier(), steps.to_vec(), &[]), vec![Outcome::Done; 2]);
    assert_eq!(world.tree().into_values().collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn a_copy_whose_source_is_gone_or_differs_asks_for_the_bytes() {
    let world = World::with(&[("cur/a:2,", "x"), ("cur/b:2,", "y")]);
    let mut applier = world.applier();
    std::fs::remove_file(world.root().join("cur/a:2,")).expect("removes");
    world.write("cur/b:2,", "edited");
    applier.begin(vec![put_copy("c", "x", "a"), put_copy("d", "y", "b")]);
    assert_eq!(applier.stage_local(), [0, 1]);
    send(&mut applier, 0, "x");
    assert_eq!(applier.install(), [Outcome::Done, Outcome::NeedBytes]);
    assert_eq!(world.read("cur/c:2,"), "x");
    assert!(world.in_tmp().is_empty());
}

#[test]
fn a_copy_of_what_comes_in_the_same_batch_waits_for_it() {
    let world = World::with(&[]);
    let mut applier = world.applier();
    let steps = vec![put_copy("b", "x", "a"), put_copy("c", "x", "b"), put("a", "", "x")];
    applier.begin(steps);
    assert!(applier.stage_local().is_empty());
    send(&mut applier, 2, "x");
    assert_eq!(applier.install(), vec![Outcome::Done; 3]);
    assert_eq!(world.tree().len(), 3);
}

#[test]
fn a_header_from_the_wire_gets_the_body_from_here() {
    for (header, body) in [("A: old\n\n", "body\n\nmore"), ("A: old\r\n\r\n", "\nb"), ("\n", "x")] {
        let old = format!("{header}{body}");
        let long = body.repeat(100_000);
        for body in [body, &long] {
            let world = World::with(&[("cur/a:2,", &format!("{header}{body}"))]);
            let new = format!("A: new\nX: y\n\n{body}");
            let step = Step::Replace { at: name("a"), dress: cur(""), bytes: bytes(&new, Source::Body(name("a"))) };
            let outcomes = world.run(&mut world.applier(), vec![step], &[("a", "A: new\nX: y\n\n")]);
            assert_eq!(outcomes, [Outcome::Done], "{old:?}");
            assert_eq!(world.read("cur/a:2,"), new);
        }
    }
}

#[test]
fn a_body_that_is_not_here_is_asked_for_whole() {
    let world = World::with(&[("cur/a:2,", "A: b\n\nother")]);
    let mut applier = world.applier();
    applier.begin(vec![Step::Put {
        to: name("n"),
        dress: cur(""),
        bytes: bytes("N: n\n\nbody", Source::Body(name("a"))),
    }]);
    assert_eq!(applier.stage_local(), [0]);
    // The header was on its way already.
    send(&mut applier, 0, "N: n\n\n");
    send(&mut applier, 0, "N: n\n\nbody");
    assert_eq!(applier.install(), [Outcome::Done]);
    assert_eq!(world.read("cur/n:2,"), "N: n\n\nbody");
    assert!(world.in_tmp().is_empty());
}

#[test]
fn bytes_that_are_not_those_announced_are_not_installed() {
    let world = World::with(&[]);
    let outcomes =
        world.run(&mut world.applier(), vec![put("a", "", "x"), put("b", "", "y")], &[("a", "z"), ("b", "y")]);
    assert!(is_changed(&outcomes[0]), "{outcomes:?}");
    assert_eq!(outcomes[1], Outcome::Done);
    assert_eq!(world.tree().len(), 1);
    assert!(world.in_tmp().is_empty());
}

#[test]
fn contents_that_nobody_awaits_or_that_are_too_long_are_a_fault_of_the_peer() {
    let world = World::with(&[("cur/a:2,", "x")]);
    let mut applier = world.applier();
    applier.begin(vec![put("b", "", "y"), delete("a")]);
    applier.stage_local();
    let meta = Meta { size: 1, mtime: MTIME };
    for at in [1, 2, usize::MAX] {
        assert_eq!(applier.incoming(at, meta).err(), Some(Refused::NotAwaited(at)));
    }
    let mut incoming = applier.incoming(0, meta).expect("awaited");
    assert_eq!(incoming.write(b"yy"), Err(Refused::TooLong { step: 0, size: 1 }));
    incoming.abort();
    send(&mut applier, 0, "y");
    assert_eq!(applier.incoming(0, meta).err(), Some(Refused::NotAwaited(0)));
    assert!(applier.install().iter().all(Outcome::is_done));
}

#[test]
fn bytes_for_a_folder_that_is_gone_are_passed_over() {
    let world = World::with(&[]);
    let outcomes = world.run(
        &mut world.applier(),
        vec![put("Gone/a", "", "x"), put("b", "", "y")],
        &[("Gone/a", "x"), ("b", "y")],
    );
    assert!(is_failed(&outcomes[0]), "{outcomes:?}");
    assert_eq!(outcomes[1], Outcome::Done);
}

#[test]
fn a_full_disk_takes_nothing_from_the_grave_however_old_it_is() {
    let world = World::with(&[("..smd-grave/1000.run.0.k", "old"), ("..smd-grave/99999999999.run.0.k", "young")]);
    *world.fs.space.lock().expect("unpoisoned") = Some(1);
    let outcomes = world.run(&mut world.applier(), vec![put("a", "", "much longer")], &[("a", "much longer")]);
    assert!(is_failed(&outcomes[0]), "{outcomes:?}");
    assert!(world.in_tmp().is_empty());
    assert_eq!(world.buried(State::Kept), ["old", "young"]);
}

#[test]
fn what_a_quota_has_no_room_for_is_refused_wherever_its_bytes_come_from_and_the_rest_is_done() {
    let (long, header) = ("A: b\n\n".to_owned() + &"x".repeat(5_000), "A: c\n\n");
    let headed = long.replacen('b', "c", 1);
    let world = World::with(&[("cur/long:2,", &long), ("cur/a:2,", "x")]);
    let caps = Caps { max_message: Some(5_000), run: Some(4 * 4096), ..Caps::NONE };
    let home = Home::open(world.fs.clone(), world.temp.path(), Access::ReadOnly).expect("opens");
    let body = Step::Put { to: name("body"), dress: cur(""), bytes: bytes(&headed, Source::Body(name("long"))) };
    let steps = vec![
        put_copy("copied", &long, "long"),
        body,
        put("sent", "", &long),
        put_copy("b", "x", "a"),
        put("c", "", "y"),
        delete("a"),
    ];
    let mut applier = world.applier().within(Quota::new(caps, &home, Whose::Server(None)));
    let outcomes = world.run(&mut applier, steps, &[("body", header), ("sent", &long), ("c", "y")]);
    let large = Outcome::Refused(Refusal::TooLarge { most: 5_000 });
    let done = Outcome::Done;
    assert_eq!(outcomes, [large.clone(), large.clone(), large, done.clone(), done.clone(), done]);
    assert!(world.in_tmp().is_empty());
    // Three of four blocks are spent: one for the header of what was too large, which had to be tried. A folder takes four, and
    // what is to go into it is refused with it.
    let steps = vec![put("d", "", "z"), put_copy("e", "z", "d"), Step::MakeFolder(folder("F")), moved("b", "F/b", "")];
    let outcomes = world.run(&mut applier, steps, &[("d", "z")]);
    assert!(outcomes[0].is_done(), "{outcomes:?}");
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(Refusal::Room(_)));
    assert!(outcomes[1..].iter().all(refused), "{outcomes:?}");
}

#[test]
fn after_a_failed_sync_nothing_is_installed() {
    for count in [1, 20] {
        let world = World::with(&[("cur/d:2,", "d")]);
        let mut applier = world.applier();
        let texts: Vec<String> = (0..count).map(|n| format!("m{n}")).collect();
        let mut steps: Vec<Step> = texts.iter().map(|text| put(text, "", text)).collect();
        steps.push(delete("d"));
        let contents: Vec<(&str, &str)> = texts.iter().map(|n| (&n[..], &n[..])).collect();
        *world.fs.sync_fails.lock().expect("unpoisoned") = true;
        let outcomes = world.run(&mut applier, steps.clone(), &contents);
        assert!(outcomes.iter().all(is_failed), "{outcomes:?}");
        assert_eq!(world.tree().len(), 1);
        assert!(world.in_tmp().is_empty());
        *world.fs.sync_fails.lock().expect("unpoisoned") = false;
        assert!(world.run(&mut applier, steps, &contents).iter().all(Outcome::is_done));
    }
}

#[test]
fn a_failed_sync_is_not_tried_again() {
    for count in [1, 20] {
        let world = World::with(&[]);
        let texts: Vec<String> = (0..count).map(|n| format!("m{n}")).collect();
        let steps: Vec<Step> = texts.iter().map(|text| put(text, "", text)).collect();
        let contents: Vec<(&str, &str)> = texts.iter().map(|n| (&n[..], &n[..])).collect();
        *world.fs.one_sync_fails.lock().expect("unpoisoned") = true;
        // What a second sync says nobody can rely on: the first one may have dropped the bytes.
        let outcomes = world.run(&mut world.applier(), steps, &contents);
        assert!(outcomes.iter().all(is_failed), "{outcomes:?}");
        assert!(world.tree().is_empty());
    }
}

#[test]
fn only_our_own_leftovers_are_swept() {
    let world = World::with(&[
        ("tmp/smd.client.1-2-3.4", ""),
        ("tmp/smd.other.1-2-3.4", ""),
        ("tmp/123.x", ""),
        ("tmp/smd.clientele.1", ""),
    ]);
    let troubles = world.applier().sweep([&Folder::root(), &folder("None")]);
    assert!(troubles.is_empty(), "{troubles:?}");
    assert_eq!(world.in_tmp(), ["tmp/123.x", "tmp/smd.clientele.1", "tmp/smd.other.1-2-3.4"]);
}

#[test]
fn an_unfinished_batch_leaves_nothing_when_the_next_begins() {
    let world = World::with(&[]);
    let mut applier = world.applier();
    applier.begin(vec![put("a", "", "x")]);
    applier.stage_local();
    send(&mut applier, 0, "x");
    assert_eq!(world.in_tmp().len(), 1);
    applier.begin(Vec::new());
    assert!(world.in_tmp().is_empty() && applier.install().is_empty());
}

#[test]
fn a_message_is_opened_however_it_is_spelled() {
    let world = World::with(&[("cur/a:2,SF", "x"), ("new/b", "yy")]);
    let found = open_message(&world.open_root(), &name("a")).expect("opens");
    assert_eq!((found.place, found.flags.clone(), found.stat.size), (Place::Cur, Flags::from_letters("FS"), 1));
    let mut messages = super::super::Messages::new(world.open_root());
    let hint = world.scan()["b"].clone();
    assert_eq!(messages.open(&name("b"), Some(&hint)).expect("opens").stat.size, 2);
    std::fs::rename(world.root().join("new/b"), world.root().join("cur/b:2,S")).expect("renames");
    assert_eq!(messages.open(&name("b"), Some(&hint)).expect("opens").place, Place::Cur);
    std::fs::remove_file(world.root().join("cur/b:2,S")).expect("removes");
    assert_eq!(messages.open(&name("b"), Some(&hint)).err().map(|e| e.kind()), Some(std::io::ErrorKind::NotFound));
}
