//! Somebody else acts between two of our calls, or we end there.

use std::os::unix::ffi::OsStrExt as _;

use super::*;

fn is_fresh(world: &World, text: &str, flags: &str) -> bool {
    let letters = String::from_utf8(smd_protocol::Digest::of(text.as_bytes()).letters().to_vec()).expect("ascii");
    world.tree().get(&format!("cur/{letters}:2,{flags}")).is_some_and(|found| found == text)
}

fn io_error(kind: std::io::ErrorKind) -> std::io::Result<()> {
    Err(kind.into())
}

#[test]
fn a_target_that_appears_while_we_install_is_not_overwritten() {
    for (theirs, done) in [("other", false), ("x", true)] {
        let world = World::with(&[]);
        world.before(
            |_, new, _| new == b"a:2,",
            move |root| {
                write_below(root, "cur/a:2,", theirs);
                Ok(())
            },
        );
        let outcomes = world.run(&mut world.applier(), vec![put("a", "", "x")], &[("a", "x")]);
        assert_eq!(outcomes[0].is_done(), done, "{outcomes:?}");
        assert_eq!(world.tree(), BTreeMap::from([("cur/a:2,".into(), theirs.into())]));
        assert!(world.in_tmp().is_empty());
    }
}

#[test]
fn a_message_goes_only_when_all_that_comes_is_there() {
    let world = World::with(&[("cur/d:2,", "d")]);
    world.before(
        |old, _, _| old == b"d:2,",
        |root| if root.join("cur/a:2,").exists() { Ok(()) } else { io_error(std::io::ErrorKind::PermissionDenied) },
    );
    let outcomes = world.run(&mut world.applier(), vec![delete("d"), put("a", "", "x")], &[("a", "x")]);
    assert!(outcomes.iter().all(Outcome::is_done), "{outcomes:?}");
}

#[test]
fn a_message_renamed_meanwhile_is_still_deleted() {
    let world = World::with(&[("cur/a:2,", "x")]);
    world.before(|old, _, _| old == b"a:2,", |root| std::fs::rename(root.join("cur/a:2,"), root.join("cur/a:2,S")));
    assert_eq!(world.run(&mut world.applier(), vec![delete("a")], &[]), [Outcome::Done]);
    assert_eq!(world.buried(State::Kept), ["x"]);
    assert!(world.tree().is_empty());
}

#[test]
fn a_message_whose_flags_change_in_the_last_moment_keeps_them() {
    let world = World::with(&[("cur/a:2,", "x"), ("cur/b:2,", "x")]);
    let mut applier = world.applier();
    world.before(|old, _, _| old == b"a:2,", |root| std::fs::rename(root.join("cur/a:2,"), root.join("cur/a:2,S")));
    assert!(is_changed(&world.run(&mut applier, vec![moved("a", "a", "F")], &[])[0]));
    world.before(
        |_, new, how| new == b"b:2," && how == Rename::Exchange,
        |root| std::fs::rename(root.join("cur/b:2,"), root.join("cur/b:2,S")),
    );
    assert!(is_changed(&world.run(&mut applier, vec![replace("b", "F", "y")], &[("b", "y")])[0]));
    assert_eq!(world.tree(), BTreeMap::from([("cur/a:2,S".into(), "x".into()), ("cur/b:2,S".into(), "x".into())]));
    assert!(world.buried(State::Taken).is_empty() && world.in_tmp().is_empty());
}

#[test]
fn an_edited_message_whose_name_is_taken_before_it_comes_back_gets_the_fresh_uniq() {
    let world = World::with(&[("cur/a:2,S", "x")]);
    let mut applier = world.applier();
    world.write("cur/a:2,S", "edited");
    world.before(
        |_, new, _| new == b"a:2,S",
        |root| {
            write_below(root, "cur/a:2,S", "third");
            Ok(())
        },
    );
    assert!(is_changed(&world.run(&mut applier, vec![delete("a")], &[])[0]));
    assert_eq!(world.read("cur/a:2,S"), "third");
    assert!(is_fresh(&world, "edited", "S"), "{:?}", world.tree());
    assert!(world.buried(State::Taken).is_empty() && world.buried(State::Kept).is_empty());
}

#[test]
fn edited_bytes_displaced_by_a_replace_are_kept_when_the_name_changes_once_more() {
    // Renamed after our bytes came in: both stay. Rewritten by a third: all three stay but ours.
    for rename in [true, false] {
        let world = World::with(&[("cur/a:2,S", "x")]);
        let mut applier = world.applier();
        world.write("cur/a:2,S", "edited");
        let mut swaps = 0;
        let root = world.root();
        *world.fs.before_rename.lock().expect("unpoisoned") = Some(Box::new(move |_, _, how| {
            swaps += usize::from(how == Rename::Exchange);
            if swaps == 2 {
                swaps += 1;
                std::fs::rename(root.join("cur/a:2,S"), root.join("cur/a:2,FS"))?;
                if !rename {
                    std::fs::remove_file(root.join("cur/a:2,FS"))?;
                    write_below(&root, "cur/a:2,S", "third");
                }
            }
            Ok(())
        }));
        assert!(is_changed(&world.run(&mut applier, vec![replace("a", "S", "new")], &[("a", "new")])[0]));
        if rename {
            assert_eq!(world.read("cur/a:2,FS"), "new");
            assert!(is_fresh(&world, "edited", "S"), "{:?}", world.tree());
        } else {
            assert_eq!(world.read("cur/a:2,S"), "edited");
            assert!(is_fresh(&world, "third", "S"), "{:?}", world.tree());
        }
        assert_eq!(world.tree().len(), 2);
        assert!(world.buried(State::Taken).is_empty());
    }
}

#[test]
fn a_file_system_that_cannot_swap_names_is_told_and_left_alone() {
    let world = World::with(&[("cur/a:2,", "x")]);
    world.before(|_, _, how| how == Rename::Exchange, |_| io_error(std::io::ErrorKind::InvalidInput));
    let outcomes = world.run(&mut world.applier(), vec![replace("a", "", "y")], &[("a", "y")]);
    assert!(matches!(&outcomes[0], Outcome::Failed(text) if text.contains("cannot swap")), "{outcomes:?}");
    assert_eq!(world.tree(), BTreeMap::from([("cur/a:2,".into(), "x".into())]));
    assert!(world.buried(State::Taken).is_empty() && world.in_tmp().is_empty());
}

#[test]
fn without_noreplace_names_are_linked_and_still_not_replaced() {
    let world = World::with(&[("cur/b:2,", "mine")]);
    let unsupported = || {
        *world.fs.before_rename.lock().expect("unpoisoned") =
            Some(Box::new(
                |_, _, how| if how == Rename::NoReplace { io_error(std::io::ErrorKind::InvalidInput) } else { Ok(()) },
            ));
    };
    let mut applier = world.applier();
    unsupported();
    let outcomes =
        world.run(&mut applier, vec![put("a", "", "x"), put("b", "", "y"), delete("b")], &[("a", "x"), ("b", "y")]);
    assert_eq!(
        (outcomes[0].is_done(), outcomes[1].is_done(), outcomes[2].is_done()),
        (true, false, true),
        "{outcomes:?}"
    );
    assert_eq!(world.tree(), BTreeMap::from([("cur/a:2,".into(), "x".into())]));
    assert_eq!(world.buried(State::Kept), ["mine"]);
}

#[test]
fn without_a_grave_on_the_same_file_system_nothing_is_deleted_or_replaced() {
    let world = World::with(&[("cur/a:2,", "x")]);
    let mut applier = world.applier();
    *world.fs.before_rename.lock().expect("unpoisoned") =
        Some(Box::new(
            |_, new, _| if new.ends_with(b".t") { io_error(std::io::ErrorKind::CrossesDevices) } else { Ok(()) },
        ));
    for step in [delete("a"), replace("a", "", "y")] {
        let outcomes = world.run(&mut applier, vec![step], &[("a", "y")]);
        assert!(matches!(&outcomes[0], Outcome::Failed(text) if text.contains("no grave")), "{outcomes:?}");
    }
    assert_eq!(world.tree(), BTreeMap::from([("cur/a:2,".into(), "x".into())]));
    assert!(world.in_tmp().is_empty());
}

#[test]
fn a_move_between_file_systems_copies_first() {
    for (no_grave, edited) in [(false, false), (true, false), (false, true), (true, true)] {
        let world = World::with(&[("cur/a:2,S", "x"), ("Work/cur/z:2,", "z")]);
        let mut applier = world.applier();
        let root = world.root();
        *world.fs.before_rename.lock().expect("unpoisoned") = Some(Box::new(move |old, new, _| {
            let crosses = (old, new) == (b"a:2,S", b"b:2,S") || no_grave && new.ends_with(b".t");
            if old == b"a:2,S" && !crosses && edited {
                write_below(&root, "cur/a:2,S", "edited");
            }
            if crosses { io_error(std::io::ErrorKind::CrossesDevices) } else { Ok(()) }
        }));
        let outcomes = world.run(&mut applier, vec![moved("a", "Work/b", "S")], &[]);
        let tree: Vec<_> = world.tree().into_iter().filter(|(path, _)| !path.ends_with("z:2,")).collect();
        if edited {
            assert!(is_changed(&outcomes[0]), "{outcomes:?}");
            assert_eq!(tree, [("cur/a:2,S".into(), "edited".into())]);
        } else {
            assert_eq!(outcomes, [Outcome::Done]);
            assert_eq!(tree, [("Work/cur/b:2,S".into(), "x".into())]);
            assert_eq!(world.buried(State::Kept).len(), usize::from(!no_grave));
        }
        assert!(world.in_tmp().is_empty() && world.buried(State::Taken).is_empty());
    }
}

#[test]
fn a_name_that_reads_back_otherwise_is_undone() {
    let world = World::with(&[("cur/a:2,", "x")]);
    for (step, file) in [(put("n", "", "y"), b"n:2,"), (moved("a", "m", ""), b"m:2,")] {
        *world.fs.listed_as.lock().expect("unpoisoned") = Some((file.to_vec(), b"OTHER:2,".to_vec()));
        let outcomes = world.run(&mut world.applier(), vec![step], &[("n", "y")]);
        assert!(matches!(&outcomes[0], Outcome::Failed(text) if text.contains("another spelling")), "{outcomes:?}");
        *world.fs.listed_as.lock().expect("unpoisoned") = None;
        assert_eq!(world.tree(), BTreeMap::from([("cur/a:2,".into(), "x".into())]));
    }
}

/// What a crash leaves in the grave: the disk as it is when the process ends between taking and looking.
fn crash(world: &World, step: Step, contents: &[(&str, &str)]) {
    let mut applier = world.applier();
    // The look fails, and so does every way back: as if we were no longer there.
    *world.fs.before_rename.lock().expect("unpoisoned") = Some(Box::new(|old, _, how| {
        if old.ends_with(b".t") && how != Rename::Exchange {
            io_error(std::io::ErrorKind::PermissionDenied)
        } else {
            Ok(())
        }
    }));
    assert!(is_failed(&world.run(&mut applier, vec![step], contents)[0]));
    *world.fs.before_rename.lock().expect("unpoisoned") = None;
    assert_eq!(world.buried(State::Taken).len(), 1);
}

#[test]
fn a_delete_cut_short_is_settled_by_the_next_run() {
    let world = World::with(&[("cur/a:2,S", "x")]);
    crash(&world, delete("a"), &[]);
    assert!(world.applier().sweep([]).is_empty());
    assert!(world.tree().is_empty());
    assert_eq!(world.buried(State::Kept), ["x"]);
}

#[test]
fn an_edited_message_in_the_grave_of_a_crashed_run_comes_back() {
    for taken in [false, true] {
        let world = World::with(&[("Work/cur/a:2,S", "x")]);
        crash(&world, delete("Work/a"), &[]);
        // It was edited between the scan and the rename into the grave.
        let grave = world.root().join("..smd-grave");
        let file = files_below(&grave).into_keys().find(|file| file.ends_with(".t")).expect("taken");
        std::fs::write(grave.join(file), "edited").expect("writes");
        if taken {
            world.write("Work/cur/a:2,", "other");
        } else {
            std::fs::remove_dir_all(world.root().join("Work")).expect("removes");
        }
        assert!(world.applier().sweep([]).is_empty());
        let texts: Vec<_> = world.tree().into_values().collect();
        assert!(texts.contains(&"edited".to_owned()), "{texts:?}");
        assert_eq!(world.root().join("Work/cur/a:2,S").exists(), !taken);
        assert!(world.buried(State::Taken).is_empty());
    }
}

#[test]
fn a_replace_cut_short_is_settled_by_the_next_run() {
    let world = World::with(&[("cur/a:2,", "old")]);
    crash(&world, replace("a", "", "new"), &[("a", "new")]);
    assert_eq!(world.read("cur/a:2,"), "new");
    assert!(world.applier().sweep([]).is_empty());
    assert_eq!((world.read("cur/a:2,"), world.buried(State::Kept)), ("new".into(), vec!["old".into()]));

    // Before the swap: the new bytes lie in the grave, as a copy of what the other host has.
    let world = World::with(&[("cur/a:2,", "old")]);
    crash(&world, replace("a", "", "new"), &[("a", "new")]);
    let grave = world.root().join("..smd-grave");
    let file = files_below(&grave).into_keys().find(|file| file.ends_with(".t")).expect("taken");
    std::fs::write(grave.join(file), "new").expect("writes");
    world.write("cur/a:2,", "old");
    assert!(world.applier().sweep([]).is_empty());
    assert_eq!(world.tree(), BTreeMap::from([("cur/a:2,".into(), "old".into())]));
    assert!(world.buried(State::Kept).is_empty() && world.buried(State::Taken).is_empty());
}

#[test]
fn a_message_of_two_names_goes_or_moves_as_one() {
    for link in [false, true] {
        let world = World::with(&[("cur/a:2,S", "x"), ("cur/b:2,S", "y"), ("cur/c:2,S", "z")]);
        let mut applier = world.applier();
        for file in ["a", "b", "c"] {
            let (from, to) = (world.root().join(format!("cur/{file}:2,S")), world.root().join("new").join(file));
            if link { std::fs::hard_link(from, to) } else { std::fs::copy(from, to).map(drop) }
                .expect("makes a second name");
        }
        let steps = vec![delete("a"), moved("b", "d", "S"), replace("c", "S", "w")];
        let outcomes = world.run(&mut applier, steps, &[("c", "w")]);
        assert!(outcomes.iter().all(Outcome::is_done), "{outcomes:?}");
        let left = [("cur/c:2,S", "w"), ("cur/d:2,S", "y")].map(|(path, bytes)| (path.into(), bytes.into()));
        assert_eq!(world.tree(), BTreeMap::from(left));
        assert!(world.buried(State::Taken).is_empty());
    }
}

#[test]
fn the_last_name_of_a_message_is_not_one_to_spare() {
    let world = World::with(&[("cur/a:2,S", "x")]);
    let mut applier = world.applier();
    world.write("new/a", "x");
    world.before(|old, _, _| old == b"a", |root| std::fs::remove_file(root.join("cur/a:2,S")));
    assert!(is_changed(&world.run(&mut applier, vec![moved("a", "b", "S")], &[])[0]));
    assert_eq!(world.tree(), BTreeMap::from([("new/a".into(), "x".into())]));
    assert!(world.buried(State::Taken).is_empty() && world.buried(State::Kept).is_empty());
}

#[test]
fn a_second_name_with_other_bytes_is_never_taken_along() {
    let world = World::with(&[("cur/a:2,S", "x")]);
    let mut applier = world.applier();
    world.write("new/a", "other");
    assert!(is_changed(&world.run(&mut applier, vec![delete("a")], &[])[0]));
    let both = [("cur/a:2,S", "x"), ("new/a", "other")].map(|(path, bytes)| (path.into(), bytes.into()));
    assert_eq!(world.tree(), BTreeMap::from(both));
    assert!(world.buried(State::Taken).is_empty() && world.buried(State::Kept).is_empty());
}

#[test]
fn a_swap_that_is_said_to_have_failed_and_took_place_loses_nothing() {
    for edited in [false, true] {
        let world = World::with(&[("cur/a:2,S", "old")]);
        let mut applier = world.applier();
        if edited {
            world.write("cur/a:2,S", "edited");
        }
        let root = world.root();
        *world.fs.before_rename.lock().expect("unpoisoned") = Some(Box::new(move |old, new, how| {
            if how != Rename::Exchange {
                return Ok(());
            }
            let (grave, message) = (root.join("..smd-grave").join(std::ffi::OsStr::from_bytes(old)), root.join("cur"));
            let message = message.join(std::ffi::OsStr::from_bytes(new));
            let aside = root.join("tmp/aside");
            std::fs::rename(&message, &aside)?;
            std::fs::rename(&grave, &message)?;
            std::fs::rename(&aside, &grave)?;
            Err(std::io::Error::from_raw_os_error(5))
        }));
        assert!(is_failed(&world.run(&mut applier, vec![replace("a", "S", "new")], &[("a", "new")])[0]));
        *world.fs.before_rename.lock().expect("unpoisoned") = None;
        // The next run settles what is not known now.
        assert!(world.applier().sweep([]).is_empty());
        assert_eq!(world.read("cur/a:2,S"), "new");
        if edited {
            assert!(is_fresh(&world, "edited", "S"), "{:?}", world.tree());
        } else {
            assert_eq!(world.buried(State::Kept), ["old"]);
        }
        assert!(world.buried(State::Taken).is_empty());
    }
}

#[test]
fn edited_bytes_without_a_grave_are_kept_when_their_name_is_taken() {
    let world = World::with(&[("cur/a:2,S", "x"), ("Work/cur/z:2,", "z")]);
    let mut applier = world.applier();
    let root = world.root();
    *world.fs.before_rename.lock().expect("unpoisoned") = Some(Box::new(move |old, new, _| {
        let crosses = (old, new) == (b"a:2,S", b"b:2,S") || new.ends_with(b".t");
        if old == b"a:2,S" && !crosses {
            write_below(&root, "cur/a:2,S", "edited");
        }
        if new == b"a:2,S" {
            write_below(&root, "cur/a:2,S", "third");
        }
        if crosses { io_error(std::io::ErrorKind::CrossesDevices) } else { Ok(()) }
    }));
    assert!(!world.run(&mut applier, vec![moved("a", "Work/b", "S")], &[])[0].is_done());
    *world.fs.before_rename.lock().expect("unpoisoned") = None;
    assert!(world.applier().sweep([&folder("")]).is_empty());
    assert_eq!(world.read("cur/a:2,S"), "third");
    assert!(is_fresh(&world, "edited", "S"), "{:?}", world.tree());
    assert!(world.in_tmp().is_empty());
}

#[test]
fn without_noreplace_a_message_that_is_taken_is_renamed_at_once() {
    let world = World::with(&[("cur/a:2,", "x")]);
    let mut applier = world.applier();
    *world.fs.before_rename.lock().expect("unpoisoned") =
        Some(Box::new(
            |_, _, how| {
                if how == Rename::NoReplace { io_error(std::io::ErrorKind::InvalidInput) } else { Ok(()) }
            },
        ));
    let (root, edited) = (world.root(), Arc::new(std::sync::Mutex::new(None)));
    let edit = edited.clone();
    *world.fs.after_link.lock().expect("unpoisoned") = Some(Box::new(move |old, _| {
        if old == b"a:2," {
            // A mail program puts an edited message in its place, by a rename over it.
            write_below(&root, "tmp/edit", "edited");
            std::fs::rename(root.join("tmp/edit"), root.join("cur/a:2,")).expect("renames");
            *edit.lock().expect("unpoisoned") = Some("edited".to_owned());
        }
    }));
    assert_eq!(world.run(&mut applier, vec![delete("a")], &[]), [Outcome::Done]);
    assert_eq!(world.buried(State::Kept), ["x"]);
    let edited = edited.lock().expect("unpoisoned").take();
    assert_eq!(world.tree().into_values().collect::<Vec<_>>(), edited.into_iter().collect::<Vec<_>>());
}

#[test]
fn what_was_taken_and_cannot_be_read_goes_back() {
    let world = World::with(&[("cur/a:2,S", "x"), ("cur/b:2,S", "y")]);
    let mut applier = world.applier();
    *world.fs.unreadable.lock().expect("unpoisoned") = Some(b".t");
    let outcomes = world.run(&mut applier, vec![delete("a"), replace("b", "S", "new")], &[("b", "new")]);
    assert!(outcomes.iter().all(is_failed), "{outcomes:?}");
    assert_eq!(world.tree().get("cur/a:2,S").map(String::as_str), Some("x"));
    *world.fs.unreadable.lock().expect("unpoisoned") = None;
    assert!(world.applier().sweep([]).is_empty());
    let all: Vec<_> = world.tree().into_values().chain(world.buried(State::Kept)).collect();
    assert!(all.contains(&"y".to_owned()), "{all:?}");
}

#[test]
fn taken_bytes_whose_line_is_lost_rest() {
    let world = World::with(&[("cur/a:2,S", "x")]);
    crash(&world, delete("a"), &[]);
    std::fs::remove_file(world.root().join("..smd-grave/index")).expect("removes");
    assert!(world.applier().sweep([]).is_empty());
    assert_eq!(world.buried(State::Kept), ["x"]);
}

#[test]
fn a_move_to_a_uniq_that_has_other_flags_is_refused() {
    let world = World::with(&[("cur/a:2,S", "x"), ("cur/b:2,F", "y")]);
    let before = world.tree();
    assert!(is_changed(&world.run(&mut world.applier(), vec![moved("a", "b", "S")], &[])[0]));
    assert_eq!(world.tree(), before);
}

#[test]
fn a_carried_copy_that_somebody_edits_stays_when_its_move_is_taken_back() {
    let world = World::with(&[("cur/a:2,S", "x"), ("Work/cur/z:2,", "z")]);
    let mut applier = world.applier();
    let root = world.root();
    *world.fs.before_rename.lock().expect("unpoisoned") = Some(Box::new(move |old, new, _| {
        let crosses = (old, new) == (b"a:2,S", b"b:2,S");
        if old == b"a:2,S" && !crosses {
            write_below(&root, "cur/a:2,S", "edited here");
            write_below(&root, "Work/cur/b:2,S", "and there");
        }
        if crosses { io_error(std::io::ErrorKind::CrossesDevices) } else { Ok(()) }
    }));
    assert!(is_changed(&world.run(&mut applier, vec![moved("a", "Work/b", "S")], &[])[0]));
    assert_eq!((world.read("cur/a:2,S"), world.read("Work/cur/b:2,S")), ("edited here".into(), "and there".into()));
}

#[test]
fn a_message_is_carried_only_when_its_new_name_is_durable() {
    let world = World::with(&[("cur/a:2,S", "x"), ("Work/cur/z:2,", "z")]);
    let mut applier = world.applier();
    world.before(|old, new, _| (old, new) == (b"a:2,S", b"b:2,S"), |_| io_error(std::io::ErrorKind::CrossesDevices));
    world.never_syncs("Work/cur");
    assert!(is_failed(&world.run(&mut applier, vec![moved("a", "Work/b", "S")], &[])[0]));
    assert_eq!(world.read("cur/a:2,S"), "x");
    assert!(world.buried(State::Taken).is_empty() && world.buried(State::Kept).is_empty());
}

#[test]
fn a_put_that_finds_its_bytes_there_makes_them_durable_or_fails() {
    for fails in [false, true] {
        let world = World::with(&[]);
        let fs = world.fs.clone();
        // Another program had put it there just now, and nobody made it durable.
        world.before(
            |_, new, _| new == b"a:2,",
            move |root| {
                write_below(root, "cur/a:2,", "x");
                *fs.sync_fails.lock().expect("unpoisoned") = fails;
                Ok(())
            },
        );
        let outcome = &world.run(&mut world.applier(), vec![put("a", "", "x")], &[("a", "x")])[0];
        assert_eq!((outcome.is_done(), is_failed(outcome)), (!fails, fails), "{outcome:?}");
        assert_eq!(world.read("cur/a:2,"), "x");
    }
}

#[test]
fn a_file_system_that_can_only_replace_installs_nothing_and_says_what_it_lacks() {
    let world = World::with(&[("cur/a:2,", "a")]);
    let text = "cannot rename without replacing, and has no hard links";
    *world.fs.replaces_only.lock().expect("unpoisoned") = true;
    let root = world.open_root();
    assert!(crate::rename::lacking(&*world.fs, &root.dir).expect("lacks something").contains(text));
    assert_eq!(files_below(&world.root()).len(), 1, "nothing is left of the trial");
    let mut applier = world.applier();
    let outcomes = world.run(&mut applier, vec![put("b", "", "b")], &[("b", "b")]);
    assert!(matches!(&outcomes[0], Outcome::Failed(why) if why.contains(text)), "{outcomes:?}");
    *world.fs.replaces_only.lock().expect("unpoisoned") = false;
    assert_eq!(crate::rename::lacking(&*world.fs, &root.dir), None);
}
