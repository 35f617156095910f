//! What a grave gives back, with somebody else at work and with calls that fail.

use std::collections::HashSet;
use std::io;

use smd_protocol::step::Twin;

use super::*;
use crate::apply::Back;
use crate::grave::Resting;

const MAIL: [(&str, &str); 4] =
    [("cur/a:2,S", "A\n\n1"), ("new/b", "B\n\n2"), ("x/cur/c:2,", "C\n\n3"), ("x/new/d", "D\n\n4")];

/// A root whose messages were all deleted by a run.
fn emptied() -> World {
    let world = World::with(&MAIL);
    let steps = vec![delete("a"), delete("b"), delete("x/c"), delete("x/d"), Step::RemoveFolder(folder("x"))];
    assert!(world.run(&mut world.applier(), steps, &[]).iter().all(Outcome::is_done));
    assert!(world.tree().is_empty() && !world.root().join("x").exists());
    world
}

fn resting(world: &World) -> Vec<Resting<Meddling>> {
    let mut all = world.grave().resting(&mut HashSet::new()).expect("lists");
    all.retain(|one| !one.back);
    all.sort_by_key(|one| one.buried.record.as_ref().map(|record| (record.folder.clone(), record.file.clone())));
    all
}

fn bring_back(world: &World) -> Vec<Back> {
    world.applier().bring_back(&resting(world))
}

fn is_whole(world: &World) -> bool {
    world.tree() == MAIL.iter().map(|(path, bytes)| ((*path).to_owned(), (*bytes).to_owned())).collect()
}

/// A root with one message that a tool rewrote.
fn rewritten() -> World {
    let world = World::with(&[("cur/a:2,S", "X: 1\nA\n\n1")]);
    let mut applier = world.applier().rewriting();
    let outcomes = world.run(&mut applier, vec![replace("a", "S", "A\n\n1")], &[("a", "A\n\n1")]);
    assert!(outcomes.iter().all(Outcome::is_done), "{outcomes:?}");
    assert_eq!((world.read("cur/a:2,S"), world.buried(State::Kept).len()), ("A\n\n1".to_owned(), 1));
    world
}

#[test]
fn what_a_tool_rewrote_changes_places_again_under_the_name_that_it_has_now() {
    let world = rewritten();
    std::fs::rename(world.root().join("cur/a:2,S"), world.root().join("cur/a:2,FS")).expect("flags");
    let index = std::fs::read(world.root().join("..smd-grave/index")).expect("an index");
    assert_eq!(bring_back(&world), [Back::Returned]);
    assert_eq!((world.read("cur/a:2,FS"), world.tree().len()), ("X: 1\nA\n\n1".to_owned(), 1));
    assert!(bring_back(&world).is_empty());
    // The note of it was lost in a crash: it is there.
    std::fs::write(world.root().join("..smd-grave/index"), index).expect("the old index");
    assert_eq!(bring_back(&world), [Back::IsThere]);
    assert_eq!(world.tree().len(), 1);
}

#[test]
fn an_edit_of_what_a_tool_rewrote_keeps_its_name() {
    let world = rewritten();
    world.write("cur/a:2,S", "B\n\n2");
    assert!(matches!(bring_back(&world)[..], [Back::Fresh(_)]));
    assert_eq!((world.read("cur/a:2,S"), world.tree().len()), ("B\n\n2".to_owned(), 2));
    // And one that is made at the very moment.
    let world = rewritten();
    world.before(
        |_, _, how| how == Rename::Exchange,
        |root| {
            std::fs::write(root.join("cur/edit"), "B\n\n2")?;
            std::fs::rename(root.join("cur/edit"), root.join("cur/a:2,S"))
        },
    );
    assert!(matches!(bring_back(&world)[..], [Back::Failed(_)]));
    assert_eq!((world.read("cur/a:2,S"), world.tree().len()), ("B\n\n2".to_owned(), 1));
    assert_eq!(world.buried(State::Kept), ["X: 1\nA\n\n1"]);
}

#[test]
fn everything_comes_back_where_it_was_and_a_second_time_nothing_does() {
    let world = emptied();
    assert_eq!(bring_back(&world), vec![Back::Returned; 4]);
    assert!(is_whole(&world) && world.buried(State::Kept).is_empty());
    assert!(bring_back(&world).is_empty() && is_whole(&world));
}

#[test]
fn what_failed_at_any_rename_is_finished_by_the_next_without_a_copy() {
    for good in 0..4 {
        let world = emptied();
        let mut renames = 0;
        *world.fs.before_rename.lock().expect("unpoisoned") = Some(Box::new(move |_, _, _| {
            renames += 1;
            if renames > good { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
        }));
        let first = bring_back(&world);
        assert_eq!(first.iter().filter(|back| **back == Back::Returned).count(), good, "{first:?}");
        assert_eq!(world.tree().len() + world.buried(State::Kept).len(), 4);
        *world.fs.before_rename.lock().expect("unpoisoned") = None;
        assert_eq!(bring_back(&world), vec![Back::Returned; 4 - good]);
        assert!(is_whole(&world));
    }
}

#[test]
fn bytes_that_cannot_be_made_durable_get_no_name() {
    let world = emptied();
    *world.fs.sync_fails.lock().expect("unpoisoned") = true;
    assert!(bring_back(&world).iter().all(|back| matches!(back, Back::Failed(_))));
    assert!(world.tree().is_empty() && world.buried(State::Kept).len() == 4);
    *world.fs.sync_fails.lock().expect("unpoisoned") = false;
    assert_eq!(bring_back(&world), vec![Back::Returned; 4]);
}

#[test]
fn a_name_that_is_taken_at_the_last_moment_is_not_overwritten() {
    for (bytes, is_same) in [("A\n\n1", true), ("other", false)] {
        let world = emptied();
        world.before(
            |_, new, _| new == b"a:2,S",
            move |root| {
                write_below(root, "cur/a:2,S", bytes);
                Ok(())
            },
        );
        let back = bring_back(&world);
        assert_eq!(world.read("cur/a:2,S"), bytes);
        assert_eq!(back[0] == Back::IsThere, is_same, "{back:?}");
        assert_eq!(matches!(back[0], Back::Fresh(_)), !is_same, "{back:?}");
        assert_eq!(world.tree().len(), if is_same { 4 } else { 5 });
    }
}

#[test]
fn a_replaced_message_comes_back_under_a_name_of_the_same_stem_with_its_flags() {
    let world = World::with(&[("cur/a:2,FS", "old\n\nx")]);
    let done = world.run(&mut world.applier(), vec![replace("a", "FS", "new\n\nx")], &[("a", "new\n\nx")]);
    assert_eq!(done, [Outcome::Done]);
    let (uniq, content) = (Uniq::parse(b"a").expect("a uniq"), Content::of(b"old\n\nx"));
    let fresh = crate::hash::successor(&uniq, &content, 0);
    assert_eq!(bring_back(&world), [Back::Fresh(fresh.clone())]);
    assert_eq!(world.read(&format!("cur/{fresh}:2,FS")), "old\n\nx");
    assert_eq!(world.read("cur/a:2,FS"), "new\n\nx");
    assert!(bring_back(&world).is_empty());
}

#[test]
fn nothing_is_noted_as_back_before_its_name_is_durable() {
    let world = World::with(&MAIL[..1]);
    assert_eq!(world.run(&mut world.applier(), vec![delete("a")], &[]), [Outcome::Done]);
    let index = || std::fs::read(world.root().join("..smd-grave/index")).expect("an index");
    let before = index();
    world.never_syncs("cur");
    assert!(matches!(bring_back(&world)[..], [Back::Failed(_)]));
    assert_eq!((index(), world.read("cur/a:2,S").as_str()), (before, MAIL[0].1));
}

/// A root with two messages of one name, of which a run renamed the second.
fn parted() -> World {
    let world = World::with(&[("cur/a:2,S", "one"), ("new/a", "two")]);
    let to = Uniq::parse(b"fresh").expect("uniq");
    let step = Step::Part(Twin { from: name("a"), content: Content::of(b"two"), to });
    assert_eq!(world.run(&mut world.applier(), vec![step], &[]), [Outcome::Done]);
    assert_eq!((world.read("new/fresh"), world.tree().len()), ("two".to_owned(), 2));
    world
}

#[test]
fn the_second_of_two_messages_of_one_name_is_renamed_back_once() {
    let world = parted();
    let index = std::fs::read(world.root().join("..smd-grave/index")).expect("an index");
    assert_eq!(bring_back(&world), [Back::Returned]);
    assert_eq!((world.read("new/a"), world.read("cur/a:2,S"), world.tree().len()), ("two".into(), "one".into(), 2));
    assert!(bring_back(&world).is_empty());
    // The note of it was lost in a crash: it is there.
    std::fs::write(world.root().join("..smd-grave/index"), index).expect("the old index");
    assert_eq!(bring_back(&world), [Back::IsThere]);
    assert_eq!(world.tree().len(), 2);
}

#[test]
fn a_renamed_message_keeps_its_flags_when_it_gets_its_name_back_and_replaces_nothing() {
    let world = parted();
    std::fs::rename(world.root().join("new/fresh"), world.root().join("cur/fresh:2,F")).expect("flags");
    assert_eq!(bring_back(&world), [Back::Returned]);
    assert_eq!((world.read("cur/a:2,F"), world.tree().len()), ("two".to_owned(), 2));
    let world = parted();
    std::fs::rename(world.root().join("new/fresh"), world.root().join("cur/fresh:2,S")).expect("flags");
    let before = world.tree();
    assert!(matches!(bring_back(&world)[..], [Back::Failed(_)]), "the first has that name");
    assert_eq!(world.tree(), before);
}

#[test]
fn a_renamed_message_that_was_edited_or_is_gone_is_left_as_it_is() {
    let world = parted();
    world.write("new/fresh", "edited");
    assert!(matches!(bring_back(&world)[..], [Back::Failed(_)]));
    assert_eq!((world.read("new/fresh"), world.tree().len()), ("edited".to_owned(), 2));
    std::fs::remove_file(world.root().join("new/fresh")).expect("removed");
    assert!(matches!(bring_back(&world)[..], [Back::Failed(_)]));
    assert_eq!(world.tree().len(), 1);
}

#[test]
fn a_message_is_not_renamed_where_no_grave_can_note_it() {
    let world = World::with(&[("cur/a:2,S", "one"), ("new/a", "two"), ("..smd-grave", "no directory")]);
    let to = Uniq::parse(b"fresh").expect("uniq");
    let step = Step::Part(Twin { from: name("a"), content: Content::of(b"two"), to });
    assert!(matches!(world.run(&mut world.applier(), vec![step], &[])[..], [Outcome::Failed(_)]));
    assert_eq!(world.read("new/a"), "two");
}

#[test]
fn the_note_of_a_rename_outlives_a_sweep_of_what_is_older() {
    let world = parted();
    let old = format!("{}.run.0-1-2-3-4.k", 1);
    std::fs::write(world.root().join("..smd-grave").join(&old), "old").expect("an old one");
    let grave = world.grave();
    let age = grave.age().expect("a clock");
    assert_eq!(grave.sweep(7, age).expect("sweeps").removed, 1);
    assert_eq!(bring_back(&world), [Back::Returned]);
}
