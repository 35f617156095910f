//! Whole programs against each other, each kind in a module of its own. One binary, so that all of it is linked once.
//!
//! `cargo test -p smd-tests --test main merge::` runs one module. Deliberately not here: helpers; they are the library of this
//! crate.

use std::fs;
use std::path::Path;

mod budget;
mod busy;
mod config;
mod connect;
mod converge;
mod cut;
mod dedup;
mod durability;
mod everything;
mod guard;
mod hazards;
mod hooks;
mod hostile;
mod hundred;
mod identity;
mod install;
mod kill;
mod ledger;
mod limits;
mod log;
mod looping;
mod lost_state;
mod mddiff;
mod merge;
mod migrate;
mod options;
mod papers;
mod restricted;
mod roots;
mod sample;
mod sandbox;
mod ssh;
mod strip_header;
mod terminal;
mod tiers;
mod translate;
mod trouble;
mod two_at_once;
mod undo;
mod undo_there;
mod uniform_names;
mod verify;
mod watch;

/// A file below this directory that no `mod` names is compiled by nobody, and its tests are forgotten.
#[test]
fn no_file_of_this_directory_is_forgotten() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut found = 0;
    look_for_forgotten(&top, &top.join("main.rs"), &mut found);
    let kept = top.join("../../models/src/model/tests");
    look_for_forgotten(&kept, &kept.join("mod.rs"), &mut found);
    assert!(found > 35, "{} and {} hold {found} modules only", top.display(), kept.display());
}

/// Fails unless `parent` names every module of its directory `dir`; looks into those that are directories.
fn look_for_forgotten(dir: &Path, parent: &Path, found: &mut usize) {
    let text = fs::read_to_string(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
    for entry in fs::read_dir(dir).expect("a directory of tests can be read") {
        let path = entry.expect("a directory of tests can be read").path();
        let module = path.file_stem().and_then(|name| name.to_str()).expect("names of modules are text");
        if path != parent && module != "mod" {
            *found += 1;
            assert!(text.contains(&format!("\nmod {module};\n")), "{} has no `mod {module};`", parent.display());
        }
        if path.is_dir() {
            let beside = path.with_extension("rs");
            let parent = if beside.is_file() { beside } else { path.join("mod.rs") };
            look_for_forgotten(&path, &parent, found);
        }
    }
}
