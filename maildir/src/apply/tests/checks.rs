//! What each step does, what makes it refuse, and that it may be repeated.

use smd_protocol::step::Twin;

use super::*;

#[test]
fn a_message_is_put_with_its_flags_and_mtime() {
    let world = World::with(&[]);
    let mut applier = world.applier();
    let outcomes = world.run(&mut applier, vec![put("a", "FS", "A: b\n\nbody")], &[("a", "A: b\n\nbody")]);
    assert_eq!(outcomes, [Outcome::Done]);
    assert_eq!(world.read("cur/a:2,FS"), "A: b\n\nbody");
    let meta = std::fs::metadata(world.root().join("cur/a:2,FS")).expect("there");
    let mtime = meta.modified().expect("mtime").duration_since(std::time::UNIX_EPOCH).expect("after");
    assert_eq!((mtime.as_secs(), mtime.subsec_nanos()), (1_000_000_000, 123_456_789));
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777, 0o600);
    assert!(world.in_tmp().is_empty());
    let installed: Vec<_> = applier.installed().into_iter().map(|one| (one.name, one.content)).collect();
    assert_eq!(installed, [(name("a"), Content::of(b"A: b\n\nbody"))]);
    assert_eq!(applier.touched().into_iter().collect::<Vec<_>>(), [Folder::root()]);
}

#[test]
fn many_messages_are_put_by_one_sync() {
    let world = World::with(&[]);
    let names: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
    let steps = names.iter().map(|n| put(n, "", n)).collect();
    let contents: Vec<(&str, &str)> = names.iter().map(|n| (&n[..], &n[..])).collect();
    assert!(world.run(&mut world.applier(), steps, &contents).iter().all(Outcome::is_done));
    assert_eq!(world.tree().len(), 20);
}

#[test]
fn a_put_of_what_is_there_changes_nothing_whatever_its_flags() {
    let world = World::with(&[("new/a", "x")]);
    let outcomes = world.run(&mut world.applier(), vec![put("a", "S", "x")], &[("a", "x")]);
    assert_eq!(outcomes, [Outcome::Done]);
    assert_eq!(world.tree(), BTreeMap::from([("new/a".into(), "x".into())]));
    assert!(world.in_tmp().is_empty());
}

#[test]
fn a_put_on_other_bytes_is_refused() {
    let world = World::with(&[("new/a", "mine")]);
    let outcomes = world.run(&mut world.applier(), vec![put("a", "S", "x")], &[("a", "x")]);
    assert!(is_changed(&outcomes[0]), "{outcomes:?}");
    assert_eq!(world.tree(), BTreeMap::from([("new/a".into(), "mine".into())]));
    assert!(world.in_tmp().is_empty());
}

#[test]
fn a_flag_change_is_a_rename() {
    let world = World::with(&[("new/a", "x")]);
    assert_eq!(world.run(&mut world.applier(), vec![moved("a", "a", "RS")], &[]), [Outcome::Done]);
    assert_eq!(world.tree(), BTreeMap::from([("cur/a:2,RS".into(), "x".into())]));
}

#[test]
fn a_flag_change_finds_the_message_however_it_is_spelled() {
    let world = World::with(&[("cur/a:2,SFF", "x")]);
    assert_eq!(world.run(&mut world.applier(), vec![moved("a", "a", "FS")], &[]), [Outcome::Done]);
    assert_eq!(world.read("cur/a:2,SFF"), "x");
    assert_eq!(world.run(&mut world.applier(), vec![moved("a", "a", "F")], &[]), [Outcome::Done]);
    assert_eq!(world.tree().into_keys().collect::<Vec<_>>(), ["cur/a:2,F"]);
}

#[test]
fn flags_changed_meanwhile_stop_a_flag_change_and_a_replace_but_no_delete() {
    let world = World::with(&[("cur/a:2,", "x"), ("cur/b:2,", "x"), ("cur/c:2,", "x")]);
    let mut applier = world.applier();
    for uniq in ["a", "b", "c"] {
        std::fs::rename(world.root().join(format!("cur/{uniq}:2,")), world.root().join(format!("cur/{uniq}:2,F")))
            .expect("renames");
    }
    let outcomes =
        world.run(&mut applier, vec![moved("a", "a", "S"), replace("b", "", "y"), delete("c")], &[("b", "y")]);
    assert!(is_changed(&outcomes[0]) && is_changed(&outcomes[1]), "{outcomes:?}");
    assert_eq!(outcomes[2], Outcome::Done);
    assert_eq!(world.tree(), BTreeMap::from([("cur/a:2,F".into(), "x".into()), ("cur/b:2,F".into(), "x".into())]));
    assert_eq!(world.buried(State::Kept), ["x"]);
    assert!(world.buried(State::Taken).is_empty() && world.in_tmp().is_empty());
}

#[test]
fn a_move_to_a_name_that_is_taken_is_refused() {
    let world = World::with(&[("cur/a:2,", "x"), ("Work/cur/b:2,", "y")]);
    let outcomes = world.run(&mut world.applier(), vec![moved("a", "Work/b", "")], &[]);
    assert!(is_changed(&outcomes[0]), "{outcomes:?}");
    assert_eq!(world.tree().len(), 2);
}

#[test]
fn a_replace_buries_the_old_bytes_and_takes_the_new_flags() {
    let world = World::with(&[("new/a", "old")]);
    let mut applier = world.applier();
    assert_eq!(world.run(&mut applier, vec![replace("a", "S", "new")], &[("a", "new")]), [Outcome::Done]);
    assert_eq!(world.tree(), BTreeMap::from([("cur/a:2,S".into(), "new".into())]));
    assert_eq!(world.buried(State::Kept), ["old"]);
    let record = world.grave().entries().expect("lists").remove(0).record.expect("indexed");
    assert_eq!(
        (record.file, record.content, record.instead),
        (b"a".to_vec(), Some(Content::of(b"old")), Some(Content::of(b"new")))
    );
    assert!(world.in_tmp().is_empty());
}

#[test]
fn a_message_edited_since_the_scan_is_neither_replaced_nor_deleted() {
    let world = World::with(&[("cur/a:2,S", "old"), ("cur/b:2,S", "old")]);
    let mut applier = world.applier();
    world.write("cur/a:2,S", "edited");
    world.write("cur/b:2,S", "edited");
    let outcomes = world.run(&mut applier, vec![replace("a", "S", "new"), delete("b")], &[("a", "new")]);
    assert!(outcomes.iter().all(is_changed), "{outcomes:?}");
    assert_eq!(
        world.tree(),
        BTreeMap::from([("cur/a:2,S".into(), "edited".into()), ("cur/b:2,S".into(), "edited".into())])
    );
    assert!(world.buried(State::Kept).is_empty() && world.buried(State::Taken).is_empty() && world.in_tmp().is_empty());
}

#[test]
fn a_message_that_the_scan_did_not_see_is_not_deleted() {
    let world = World::with(&[]);
    let mut applier = world.applier();
    world.write("new/a", "just came");
    assert!(is_changed(&world.run(&mut applier, vec![delete("a")], &[])[0]));
    assert_eq!(world.read("new/a"), "just came");
}

#[test]
fn a_delete_goes_to_the_grave_and_may_be_repeated() {
    let world = World::with(&[("cur/a:2,S", "x")]);
    let mut applier = world.applier();
    assert_eq!(world.run(&mut applier, vec![delete("a")], &[]), [Outcome::Done]);
    assert_eq!(world.run(&mut applier, vec![delete("a")], &[]), [Outcome::Done]);
    assert!(world.tree().is_empty());
    assert_eq!(world.buried(State::Kept), ["x"]);
}

#[test]
fn a_batch_may_be_taken_twice_by_one_applier_or_by_another() {
    let start = [("cur/a:2,", "a"), ("cur/b:2,", "b"), ("cur/c:2,", "c"), ("Work/cur/d:2,S", "d")];
    for same in [true, false] {
        let world = World::with(&start);
        let seen = world.scan();
        let steps = vec![
            put("n", "S", "n"),
            moved("a", "a", "F"),
            moved("Work/d", "e", "S"),
            replace("b", "R", "b2"),
            delete("c"),
            put_copy("o", "n", "n"),
            Step::MakeFolder(folder("New/Sub")),
        ];
        let contents = [("n", "n"), ("b", "b2")];
        let mut applier = world.applier_expecting(seen.clone());
        assert_eq!(world.run(&mut applier, steps.clone(), &contents), vec![Outcome::Done; steps.len()]);
        let tree = world.tree();
        assert_eq!(tree.keys().collect::<Vec<_>>(), ["cur/a:2,F", "cur/b:2,R", "cur/e:2,S", "cur/n:2,S", "cur/o:2,"]);
        if !same {
            applier = world.applier_expecting(seen);
        }
        // Another one cannot know that it was no user who removed what is to be deleted.
        let again = world.run(&mut applier, steps.clone(), &contents);
        let open: Vec<usize> = (0..steps.len()).filter(|&at| !again[at].is_done()).collect();
        assert_eq!(open, if same { vec![] } else { vec![4] }, "same applier: {same}: {again:?}");
        assert!(same || is_changed(&again[4]));
        assert_eq!(world.tree(), tree);
        assert!(world.in_tmp().is_empty() && world.buried(State::Taken).is_empty());
        assert_eq!(world.buried(State::Kept).len(), 2);
    }
}

#[test]
fn names_are_freed_before_they_are_needed() {
    let world = World::with(&[("cur/a:2,", "a"), ("cur/b:2,", "b"), ("cur/c:2,", "c")]);
    // A ring of three, opened by a name of its own, and a delete that frees a name.
    let steps =
        vec![moved("a", "parked", ""), moved("b", "a", ""), delete("c"), moved("parked", "c", ""), put("b", "", "new")];
    let outcomes = world.run(&mut world.applier(), steps, &[("b", "new")]);
    assert_eq!(outcomes, vec![Outcome::Done; 5]);
    let texts: Vec<_> = world.tree().into_values().collect();
    assert_eq!(texts, ["b", "new", "a"]);
}

#[test]
fn a_delete_is_taken_though_the_bytes_that_need_its_name_did_not_come() {
    let world = World::with(&[("cur/a:2,", "old")]);
    let mut applier = world.applier();
    applier.begin(vec![delete("a"), put("a", "", "new")]);
    applier.stage_local();
    let outcomes = applier.install();
    assert_eq!(outcomes[0], Outcome::Done);
    assert!(is_changed(&outcomes[1]), "{outcomes:?}");
}

#[test]
fn a_moved_message_is_replaced_in_the_same_batch() {
    let world = World::with(&[("cur/a:2,", "old")]);
    let outcomes =
        world.run(&mut world.applier(), vec![moved("a", "b", "S"), replace("b", "S", "new")], &[("b", "new")]);
    assert_eq!(outcomes, vec![Outcome::Done; 2]);
    assert_eq!(world.tree(), BTreeMap::from([("cur/b:2,S".into(), "new".into())]));
    assert_eq!(world.buried(State::Kept), ["old"]);
}

#[test]
fn what_is_no_regular_file_is_left_alone() {
    let world = World::with(&[("cur/b:2,", "x")]);
    let mut seen = world.scan();
    seen.insert("a".into(), Entry { uniq: name("a").uniq, ..seen["b"].clone() });
    std::os::unix::fs::symlink("b:2,", world.root().join("cur/a:2,")).expect("links");
    let mut applier = world.applier_expecting(seen);
    for step in [delete("a"), moved("a", "a", "S"), replace("a", "", "y"), put("a", "", "y")] {
        let outcomes = world.run(&mut applier, vec![step], &[("a", "y")]);
        assert!(is_failed(&outcomes[0]), "{outcomes:?}");
    }
    assert!(world.root().join("cur/a:2,").is_symlink());
}

#[test]
fn two_files_of_one_uniq_are_left_alone() {
    let world = World::with(&[("cur/a:2,", "x"), ("new/a", "y")]);
    assert!(is_changed(&world.run(&mut world.applier(), vec![delete("a")], &[])[0]));
    assert_eq!(world.tree().len(), 2);
}

#[test]
fn the_second_of_two_messages_of_one_name_is_renamed_and_nothing_is_replaced() {
    let part = |text: &str, to: &str| {
        let to = Uniq::parse(to.as_bytes()).expect("uniq");
        vec![Step::Part(Twin { from: name("a"), content: Content::of(text.as_bytes()), to })]
    };
    for noreplace in [true, false] {
        let world = World::with(&[("cur/a:2,S", "one"), ("new/a", "two"), ("cur/taken:2,", "other")]);
        if !noreplace {
            world.before(|_, _, how| how == Rename::NoReplace, |_| Err(std::io::ErrorKind::InvalidInput.into()));
        }
        let mut applier = world.applier_expecting(BTreeMap::new());
        let after = BTreeMap::from([
            ("cur/a:2,S".to_owned(), "one".to_owned()),
            ("cur/taken:2,".to_owned(), "other".to_owned()),
            ("new/fresh".to_owned(), "two".to_owned()),
        ]);
        assert!(is_changed(&world.run(&mut applier, part("two", "taken"), &[])[0]), "a name that is taken");
        assert_eq!(world.run(&mut applier, part("two", "fresh"), &[]), [Outcome::Done]);
        assert_eq!(world.tree(), after);
        assert_eq!(world.run(&mut applier, part("two", "fresh"), &[]), [Outcome::Done], "taken before");
        assert!(is_changed(&world.run(&mut applier, part("one", "alone"), &[])[0]), "there is no second any more");
        assert!(is_changed(&world.run(&mut applier, part("edited", "late"), &[])[0]), "other bytes than were seen");
        assert_eq!(world.tree(), after);
    }
}

#[test]
fn what_others_bring_while_a_batch_waits_for_contents_is_not_brought_twice() {
    for (theirs, done) in [("x", true), ("y", false)] {
        let world = World::with(&[("cur/a:2,S", "one"), ("new/a", "two")]);
        let mut applier = world.applier_expecting(BTreeMap::new());
        let to = Uniq::parse(b"fresh").expect("uniq");
        // A second message of one name has its folder listed as soon as the batch begins.
        let part = Step::Part(Twin { from: name("a"), content: Content::of(b"two"), to });
        applier.begin(vec![part, put("b", "", "x")]);
        assert!(applier.stage_local().is_empty());
        send(&mut applier, 1, "x");
        world.write("cur/b:2,S", theirs);
        let outcomes = applier.install();
        assert_eq!((outcomes[0].is_done(), outcomes[1].is_done()), (true, done), "{outcomes:?}");
        let of_b: Vec<_> = world.tree().into_iter().filter(|(path, _)| path.contains("/b")).collect();
        assert_eq!(of_b, [("cur/b:2,S".to_owned(), theirs.to_owned())]);
    }
}
