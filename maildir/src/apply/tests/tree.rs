//! Folders made and removed.

use super::*;

fn make(text: &str) -> Step {
    Step::MakeFolder(folder(text))
}

fn remove(text: &str) -> Step {
    Step::RemoveFolder(folder(text))
}

#[test]
fn a_folder_is_made_with_all_above_it() {
    let world = World::with(&[]);
    let mut applier = world.applier();
    assert_eq!(
        world.run(&mut applier, vec![make("a/b c/d"), put("a/b c/d/m", "", "x")], &[("a/b c/d/m", "x")]),
        vec![Outcome::Done; 2]
    );
    for part in ["cur", "new", "tmp"] {
        assert!(world.root().join("a/b c/d").join(part).is_dir());
        assert!(!world.root().join("a").join(part).exists());
    }
    assert!(applier.touched().contains(&folder("a/b c/d")));
}

#[test]
fn a_root_without_its_directories_gets_them() {
    let world = World::with(&[]);
    for part in ["cur", "new", "tmp"] {
        std::fs::remove_dir(world.root().join(part)).expect("removes");
    }
    assert_eq!(
        world.run(&mut world.applier(), vec![make(""), put("m", "", "x")], &[("m", "x")]),
        vec![Outcome::Done; 2]
    );
}

#[test]
fn a_file_or_symlink_in_the_way_of_a_folder_is_told() {
    let world = World::with(&[]);
    std::fs::write(world.root().join("file"), "").expect("writes");
    let outside = world.temp.path().join("outside");
    std::fs::create_dir(&outside).expect("makes");
    std::os::unix::fs::symlink(&outside, world.root().join("link")).expect("links");
    let outcomes = world.run(&mut world.applier(), vec![make("file"), make("link/x"), make("ok")], &[]);
    assert!(is_failed(&outcomes[0]) && is_failed(&outcomes[1]), "{outcomes:?}");
    assert_eq!(outcomes[2], Outcome::Done);
    assert_eq!(std::fs::read_dir(&outside).expect("lists").count(), 0);
}

#[test]
fn a_folder_under_another_spelling_is_not_made() {
    let world = World::with(&[("mail/cur/a:2,", "x")]);
    *world.fs.listed_as.lock().expect("unpoisoned") = Some((b"mail".to_vec(), b"MAIL".to_vec()));
    let outcomes = world.run(&mut world.applier(), vec![make("mail")], &[]);
    assert!(matches!(&outcomes[0], Outcome::Failed(text) if text.contains("another spelling")), "{outcomes:?}");
    assert_eq!(world.read("mail/cur/a:2,"), "x");
}

#[test]
fn an_emptied_folder_goes_with_its_control_files_and_deletes_come_first() {
    let world =
        World::with(&[("a/cur/m:2,", "x"), ("a/dovecot-uidlist", "3"), ("a/maildirfolder", ""), ("a/b/cur/n:2,", "y")]);
    for part in ["a/new", "a/tmp"] {
        std::fs::create_dir(world.root().join(part)).expect("makes");
    }
    let mut applier = world.applier();
    let outcomes = world.run(&mut applier, vec![remove("a"), remove("a/b"), delete("a/m"), delete("a/b/n")], &[]);
    assert_eq!(outcomes, vec![Outcome::Done; 4]);
    assert!(!world.root().join("a").exists());
    assert_eq!(world.buried(State::Kept).len(), 4);
    assert_eq!(world.run(&mut applier, vec![remove("a")], &[]), [Outcome::Done]);
}

#[test]
fn a_directory_that_is_no_folder_stays_whatever_is_in_it() {
    let world = World::with(&[("plain/dovecot.conf", "x"), ("only/tmp/y", "z"), ("lock/x/cur/m:2,", "n")]);
    std::fs::create_dir_all(world.root().join("empty/inner")).expect("makes");
    let before = files_below(&world.root());
    let steps = ["plain", "only", "lock", "empty/inner", "empty"].map(remove);
    assert_eq!(world.run(&mut world.applier(), steps.to_vec(), &[]), vec![Outcome::Done; 5]);
    assert_eq!(files_below(&world.root()), before);
    assert!(world.root().join("empty/inner").is_dir());
}

#[test]
fn many_folders_cost_as_much_each_as_few_to_make_and_to_remove() {
    let world = World::with(&[]);
    let work = |count: u32, step: &dyn Fn(&str) -> Step| {
        let before = world.fs.work.load(std::sync::atomic::Ordering::Relaxed);
        let paths = (0..count).flat_map(|n| [format!(".many.{n}"), format!("deep/er/{n}")]);
        let steps: Vec<Step> = paths.map(|path| step(&path)).collect();
        let outcomes = world.run(&mut world.applier(), steps, &[]);
        assert!(outcomes.iter().all(Outcome::is_done), "{outcomes:?}");
        world.fs.work.load(std::sync::atomic::Ordering::Relaxed) - before
    };
    let rounds = [40, 80].map(|count| (work(count, &|path| Step::MakeFolder(folder(path))), work(count, &remove)));
    let [few, many] = rounds;
    for (few, many) in [(few.0, many.0), (few.1, many.1)] {
        assert!(many <= few * 2 + 20, "{few} and {many}");
    }
}

#[test]
fn sub_folders_stay_when_a_folder_is_removed() {
    let world = World::with(&[("a/b/cur/n:2,", "y")]);
    for part in ["a/new", "a/cur"] {
        std::fs::create_dir(world.root().join(part)).expect("makes");
    }
    assert_eq!(world.run(&mut world.applier(), vec![remove("a")], &[]), [Outcome::Done]);
    assert!(!world.root().join("a/cur").exists() && !world.root().join("a/new").exists());
    assert_eq!(world.read("a/b/cur/n:2,"), "y");
}

#[test]
fn a_folder_with_anything_unknown_stays_whole() {
    for (path, kept) in
        [("a/cur/m:2,", "m:2,"), ("a/new/.hidden", ".hidden"), ("a/notes.txt", "notes.txt"), ("a/tmp/123", "123")]
    {
        let world = World::with(&[("a/maildirfolder", "")]);
        for part in ["a/new", "a/cur", "a/tmp"] {
            std::fs::create_dir(world.root().join(part)).expect("makes");
        }
        world.write(path, "x");
        let outcomes = world.run(&mut world.applier(), vec![remove("a")], &[]);
        assert!(matches!(&outcomes[0], Outcome::Failed(text) if text.contains(kept)), "{outcomes:?}");
        assert_eq!(world.read(path), "x");
        for part in ["a/new", "a/cur", "a/tmp", "a/maildirfolder"] {
            assert!(world.root().join(part).exists());
        }
    }
}

#[test]
fn our_own_leftovers_in_tmp_do_not_keep_a_folder() {
    let world = World::with(&[("a/tmp/smd.client.1-2-3.4", "x")]);
    std::fs::create_dir(world.root().join("a/cur")).expect("makes");
    assert_eq!(world.run(&mut world.applier(), vec![remove("a")], &[]), [Outcome::Done]);
    assert!(!world.root().join("a").exists());
}

#[test]
fn the_root_is_never_removed() {
    let world = World::with(&[]);
    assert!(is_failed(&world.run(&mut world.applier(), vec![remove("")], &[])[0]));
    assert!(world.root().join("cur").exists());
}
