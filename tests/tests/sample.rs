//! The README's first command: the sample Maildir into a new directory.

use std::fs;
use std::path::Path;

use smd_tests::stamps::{Stamps, bases};
use smd_tests::tree::{Tree, assert_equal_trees};
use smd_tests::world::{Link, World, finish};

fn sample() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../sample/Maildir"))
}

#[test]
fn the_sample_goes_into_a_new_directory_and_a_second_run_touches_nothing() {
    let world = World::new(Link::Local);
    let host = world.client();
    let copy = world.dir().join("first-copy");
    let run = |options: &[&str]| finish(world.command("smd-sync", host).args(options).arg(sample()).arg(&copy));

    run(&[]).ok().says("26 new");
    assert_equal_trees(sample(), &copy);
    assert_eq!(Tree::read(&copy).len(), 26);

    let (before, bases_before) = (Stamps::below(&copy), bases(&host.smd_home()));
    assert_eq!(bases_before.len(), 2, "one base at each end: {:?}", bases_before.keys());
    run(&[]).ok().silent();
    before.assert_unchanged(&copy);
    assert_eq!(bases(&host.smd_home()), bases_before);
}

#[test]
fn the_sample_itself_is_never_written_to_by_a_first_sync() {
    let world = World::new(Link::Local);
    let before = Stamps::below(sample());
    let copy = world.dir().join("copy");
    finish(world.command("smd-sync", world.client()).arg(sample()).arg(&copy)).ok();
    before.assert_unchanged(sample());
}

#[test]
fn a_new_directory_below_a_missing_one_is_refused_or_made_but_never_half_done() {
    let world = World::new(Link::Local);
    let copy = world.dir().join("not-there/copy");
    let outcome = finish(world.command("smd-sync", world.client()).arg(sample()).arg(&copy));
    if outcome.code == 0 {
        assert_equal_trees(sample(), &copy);
    } else {
        assert!(!copy.exists(), "{outcome}");
        assert!(outcome.stderr.contains("not-there"), "the path is named\n{outcome}");
    }
}

#[test]
fn relative_paths_are_those_of_the_working_directory() {
    let world = World::new(Link::Local);
    let host = world.client();
    fs::create_dir(host.home.join("here")).expect("a directory");
    let mut command = world.command("smd-pull", host);
    finish(command.current_dir(host.home.join("here")).arg("copy").arg(sample())).ok();
    assert_equal_trees(sample(), &host.home.join("here/copy"));
}
