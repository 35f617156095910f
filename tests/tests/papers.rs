//! What the repository says of itself: licences of all that is built in, and the README's commands.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use smd_tests::programs;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The list `name = ["…", …]` of a table of `deny.toml`, whose comments stand on lines of their own.
fn list(text: &str, name: &str) -> BTreeSet<String> {
    let start = text.find(&format!("\n{name} = [")).unwrap_or_else(|| panic!("deny.toml has no {name}"));
    let rest = &text[start..];
    let end = rest.find("\n]").unwrap_or_else(|| panic!("the list {name} ends"));
    let lines = rest[..end].lines().map(str::trim).filter(|line| line.starts_with('"'));
    lines.filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

/// Whether a licence expression can be met: every part joined by `AND` has a choice that is allowed.
fn allowed(expression: &str, licences: &BTreeSet<String>) -> bool {
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    flat.split(" AND ").all(|part| part.split(" OR ").any(|one| licences.contains(one.trim())))
}

#[test]
fn every_dependency_has_a_licence_that_deny_toml_allows_and_comes_from_the_one_registry() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform"])
        .arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let licences = list(&fs::read_to_string(root().join("deny.toml")).expect("deny.toml"), "allow");
    assert!(licences.contains("Apache-2.0"), "{licences:?}");
    for package in metadata["packages"].as_array().expect("packages") {
        let name = &package["name"];
        let licence = package["license"].as_str().unwrap_or_else(|| panic!("{name} names no licence"));
        assert!(allowed(licence, &licences), "{name} is under {licence}, which deny.toml does not allow");
        let source = package["source"].as_str().unwrap_or("registry+ourselves");
        assert!(source.starts_with("registry+"), "{name} comes from {source}");
    }
}

#[test]
fn the_readme_gives_the_two_commands_and_every_exit_code() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let ci = fs::read_to_string(root().join(".ci/run")).expect(".ci/run");
    for command in
        ["cargo run --release --bin smd-sync -- sample/Maildir target/first-copy", "cargo test --workspace --locked"]
    {
        assert!(readme.contains(command), "the README lacks: {command}");
        assert!(ci.contains(command), ".ci/run does not run: {command}");
    }
    for code in [0, 1, 2, 3, 69, 70, 74, 75, 76, 77, 78, 130, 143] {
        assert!(readme.contains(&format!("| {code} |")), "the README does not explain exit code {code}");
    }
}

#[test]
fn man_pages_and_completions_are_those_of_the_programs() {
    let output = Command::new(programs::path("papers")).arg("--check").output().expect("papers can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Where there is a `man` that formats (some systems have one that only says where the real one is).
#[test]
fn man_pages_are_formatted_without_a_warning_and_fit_a_terminal() {
    let works = Command::new("groff").arg("--version").output().is_ok_and(|output| output.status.success());
    for entry in fs::read_dir(root().join("docs/man")).expect("docs/man").flatten() {
        let shown = entry.path();
        let text = fs::read_to_string(&shown).expect("a page");
        let parts = [".TH ", "\n.SH NAME\n", "\n.SH SYNOPSIS\n", "\n.SH DESCRIPTION\n", "\n.SH SEE ALSO\n"];
        assert!(parts.iter().all(|part| text.contains(part)), "{shown:?}");
        if !works {
            continue;
        }
        let options = ["-man", "-Tascii", "-ww", "-rLL=80n", "-P-c", "-P-b", "-P-u", "-P-o"];
        let output = Command::new("groff").args(options).arg(&shown).output().expect("groff was there");
        assert!(output.stderr.is_empty(), "{shown:?}: {}", String::from_utf8_lossy(&output.stderr));
        let page = String::from_utf8_lossy(&output.stdout);
        assert!(page.lines().all(|line| line.len() <= 80), "{shown:?}:\n{page}");
    }
}

#[test]
fn every_key_of_the_config_is_explained_in_its_page() {
    let page = fs::read_to_string(root().join("docs/man/smd-config.5")).expect("the page");
    let template = fs::read_to_string(root().join("config.default.example")).expect("the template");
    let keys = template.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    let keys: Vec<&str> =
        keys.map(|(key, _)| key).filter(|key| key.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')).collect();
    assert!(keys.len() >= 18, "{keys:?}");
    for key in keys {
        assert!(page.contains(&format!("\\fB{key}=")), "{key} is not in smd-config(5)");
    }
}

#[test]
fn the_changelog_has_a_place_for_what_is_not_released() {
    let text = fs::read_to_string(root().join("CHANGELOG.md")).expect("CHANGELOG.md");
    assert!(text.contains("## [Unreleased]"));
}
