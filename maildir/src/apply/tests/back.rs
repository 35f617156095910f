//! What a grave gives back, with somebody else at work and with calls that fail.

use std::collections::HashSet;
use std::io;

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
fn a_replaced_message_comes_back_under_the_fresh_uniq_with_its_flags() {
    let world = World::with(&[("cur/a:2,FS", "old\n\nx")]);
    let done = world.run(&mut world.applier(), vec![replace("a", "FS", "new\n\nx")], &[("a", "new\n\nx")]);
    assert_eq!(done, [Outcome::Done]);
    let fresh = crate::hash::fresh_uniq(&smd_protocol::Digest::of(b"old\n\nx"), 0);
    assert_eq!(bring_back(&world), [Back::Fresh(fresh.clone())]);
    assert_eq!(world.read(&format!("cur/{fresh}:2,FS")), "old\n\nx");
    assert_eq!(world.read("cur/a:2,FS"), "new\n\nx");
    assert!(bring_back(&world).is_empty());
}
