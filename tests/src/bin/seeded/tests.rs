//! The table against the code: what it names is there, and what is there it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use smd_protocol::seeded::BUG;

use super::TABLE;

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The texts of all sources below a directory.
fn sources(dir: PathBuf) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("it is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(sources(path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            all.push(fs::read_to_string(path).expect("it is text"));
        }
    }
    all
}

#[test]
fn every_switch_is_in_the_table_and_every_bug_of_the_table_has_its_switch() {
    let crates = ["protocol", "maildir", "server", "client", "tools"];
    let texts: Vec<String> = crates.iter().flat_map(|name| sources(workspace().join(name).join("src"))).collect();
    let mut switches = BTreeSet::new();
    for text in &texts {
        let found = text.split("seeded::is(\"").skip(1).filter_map(|rest| rest.split('"').next());
        for bug in found {
            assert!(switches.insert(bug), "{bug} has two switches");
        }
    }
    let named: BTreeSet<&str> = TABLE.iter().map(|seed| seed.bug).collect();
    assert_eq!(named.len(), TABLE.len(), "a bug is named twice");
    assert_eq!(switches, named);
}

#[test]
fn every_test_of_the_table_is_there() {
    for seed in TABLE {
        let dir = workspace().join(seed.test.package.strip_prefix("smd-").expect("all are ours"));
        let texts = match seed.test.module {
            Some(_) => sources(dir.join("tests")),
            None => sources(dir.join("src")),
        };
        let name = format!("fn {}()", seed.test.name.rsplit("::").next().unwrap_or_default());
        assert!(texts.iter().any(|text| text.contains(&name)), "{}", seed.test);
    }
}

#[test]
fn no_released_program_can_be_told_to_be_wrong() {
    if cfg!(debug_assertions) {
        // These programs are made for the tests and have the switches. CI looks at those of a release.
        return;
    }
    for program in ["smd-sync", "smd-server", "smd-undo"] {
        let bytes = fs::read(smd_tests::programs::path(program)).expect("it was built");
        assert!(!bytes.windows(BUG.len()).any(|part| part == BUG.as_bytes()), "{program}");
    }
}
