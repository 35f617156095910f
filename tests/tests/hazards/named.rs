//! Whether the tests that are named as proof are there. A proof that was renamed away is none.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The repository's root.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[track_caller]
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// What stands between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The names of the tests in a source.
fn tests(source: &str) -> BTreeSet<&str> {
    let after = source.split("#[test]").skip(1);
    after.filter_map(|rest| rest.split_once("fn ")?.1.split_once('(')).map(|(name, _)| name).collect()
}

/// Whether these words are a test's name.
fn is_name(word: &str) -> bool {
    word.bytes().filter(|&byte| byte == b'_').count() > 2
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Every test that a document names, as (file, name). Fails with those that are not there.
#[track_caller]
fn named<'a>(document: &str, text: &'a str) -> BTreeSet<(&'a str, &'a str)> {
    let mut all = BTreeSet::new();
    let mut faults = Vec::new();
    for word in code(text) {
        match word.split_once("::") {
            Some((file, name)) if file.ends_with(".rs") && is_name(name) => {
                let source = fs::read_to_string(root().join(file)).unwrap_or_default();
                if tests(&source).contains(name) {
                    all.insert((file, name));
                } else {
                    faults.push(format!("{file} has no test {name}"));
                }
            }
            None if is_name(word) => faults.push(format!("{word} is named without its file")),
            None if word.ends_with(".rs") && !root().join(word).is_file() => faults.push(format!("there is no {word}")),
            _ => {}
        }
    }
    assert!(faults.is_empty(), "{document}:\n{}", faults.join("\n"));
    all
}

#[test]
fn every_test_that_is_named_as_proof_exists() {
    let table = read("tests/tests/hazards/mod.rs");
    assert!(named("the table of hazards", &table).len() > 60);
    let safety = read("SAFETY.md");
    assert!(named("SAFETY.md", &safety).len() > 30);
    assert!(read("README.md").contains("(SAFETY.md)"), "the README leads there");
}

#[test]
fn every_test_of_this_directory_is_a_proof_of_something() {
    let table = read("tests/tests/hazards/mod.rs");
    let all = named("the table of hazards", &table);
    for file in ["messages", "names", "runs"].map(|name| format!("tests/tests/hazards/{name}.rs")) {
        for test in tests(&read(&file)) {
            assert!(all.contains(&(file.as_str(), test)), "{file}: {test} stands in no line of the table");
        }
    }
}
