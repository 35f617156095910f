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

/// What bash would offer after these words.
#[track_caller]
fn offered(home: &Path, words: &[&str]) -> Vec<String> {
    let name = words[0];
    let file = root().join(format!("docs/completions/{name}.bash"));
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let [.., before, current] = &quoted[..] else { panic!("two words at least") };
    let text = format!(
        "source '{}'; COMP_WORDS=({}); COMP_CWORD={}; _{} {name} {current} {before}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        file.display(),
        quoted.join(" "),
        words.len() - 1,
        name.replace('-', "__")
    );
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", &text]).env_clear().env("HOME", home);
    command.env("PATH", format!("{}:/usr/bin:/bin", programs::dir().display()));
    let output = command.output().expect("bash can be started");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .expect("words")
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn completions_know_endpoints_hosts_and_runs_and_offer_options_only_after_a_dash() {
    let home = tempfile::tempdir().expect("a home");
    assert_eq!(offered(home.path(), &["smd-sync", "-d", ""]), [""; 0], "a dash would be inserted");
    assert_eq!(offered(home.path(), &["smd-sync", ""]), [""; 0]);
    let write = |file: &str, text: &str| {
        let file = home.path().join(file);
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(file, text).expect("a file");
    };
    write(".smd/config.work", "");
    write(".smd/config.work~", "");
    write(".smd/config.home", "");
    write(".ssh/config", "Host office *.example.org $(id)\n  User me\n");
    write(
        ".ssh/known_hosts",
        "attic.example.org,1.2.3.4 ssh-ed25519 AAAA\n|1|x=|y= ssh-ed25519 AAAA\n[far]:22 ssh-rsa A\n",
    );
    let all = ["home", "work", "1.2.3.4:", "attic.example.org:", "office:"];
    assert_eq!(offered(home.path(), &["smd-sync", "-d", ""]), all);
    assert_eq!(offered(home.path(), &["smd-verify", ""]), all);
    assert_eq!(offered(home.path(), &["smd-sync", "wo"]), ["work"]);
    assert_eq!(offered(home.path(), &["smd-sync", "Maildir", "off"]), ["office:"]);
    assert_eq!(offered(home.path(), &["smd-sync", "Maildir", "office", ":", ""]), [""; 0]);
    assert_eq!(offered(home.path(), &["smd-loop", ""]), ["home", "work"]);
    assert_eq!(offered(home.path(), &["smd-translate", "-m", "x", "h"]), ["home"]);
    assert!(offered(home.path(), &["smd-sync", "--st"]).contains(&"--status".to_owned()));
    assert_eq!(offered(home.path(), &["smd-sync", "--scan", "f"]), ["full"]);
    assert_eq!(offered(home.path(), &["smd-undo", "--remote", ""]), ["home", "work"]);
    assert_eq!(offered(home.path(), &["smd-strip-header", ""]), [""; 0]);
    // A run that deleted a message here.
    let run = |words: &[&str]| {
        let mut command = Command::new(programs::path("smd-sync"));
        command.args(words).env_clear().env("HOME", home.path());
        assert!(command.status().expect("it starts").success());
    };
    write("A/cur/1.a:2,S", "Subject: 1\n\n1\n");
    write("A/cur/2.a:2,S", "Subject: 2\n\n2\n");
    fs::create_dir_all(home.path().join("B/cur")).expect("a root");
    let roots = ["A", "B"].map(|root| home.path().join(root).display().to_string());
    run(&["-q", &roots[0], &roots[1]]);
    fs::remove_file(home.path().join("A/cur/1.a:2,S")).expect("a message");
    run(&["-q", &roots[0], &roots[1]]);
    let runs = offered(home.path(), &["smd-undo", "-l", ""]);
    assert!(runs.len() == 3 && runs[2].parse::<u64>().is_ok(), "{runs:?}");
}
