//! `make install` and the Debian package: each has every program, man page, completion and unit, at its place, and both
//! have the same.
//!
//! Deliberately not here: a build. The programs that are installed are empty files; `make deb` fails by itself when a file
//! is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Path without the leading `/`, and whether it may be executed.
type Files = BTreeMap<PathBuf, bool>;

/// What differs from `make install PREFIX=/usr` on purpose: Debian has a directory of its own, and a file for licences.
const DEBIAN: [&str; 2] = ["PREFIX=/usr", "zshcompdir=/usr/share/zsh/vendor-completions"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn make(target: &str, dir: &Path, variables: &[&str]) -> Output {
    Command::new("make")
        .arg(target)
        .arg(format!("DESTDIR={}", dir.join("root").display()))
        .arg(format!("CARGO_TARGET_DIR={}", dir.join("target").display()))
        .args(variables)
        .current_dir(root())
        .output()
        .expect("these tests need make; install it with: sudo apt-get install make")
}

/// As `make all` would leave it, without the work.
fn built(programs: &BTreeSet<String>) -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    let release = dir.path().join("target/release");
    fs::create_dir_all(&release).expect("a directory");
    for program in programs {
        fs::write(release.join(program), "").expect("a file");
        fs::set_permissions(release.join(program), fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    dir
}

fn installed(dir: &TempDir, variables: &[&str]) -> Files {
    let output = make("install", dir.path(), variables);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut files = Files::new();
    collect(&dir.path().join("root"), Path::new(""), &mut files);
    files
}

fn collect(root: &Path, below: &Path, files: &mut Files) {
    for entry in fs::read_dir(root.join(below)).expect("a directory").flatten() {
        let path = below.join(entry.file_name());
        let about = entry.metadata().expect("a file that is there");
        if about.is_dir() {
            collect(root, &path, files);
        } else {
            files.insert(path, about.permissions().mode() & 0o111 != 0);
        }
    }
}

fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--no-deps"])
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    serde_json::from_value(metadata["packages"].take()).expect("packages")
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The programs that the crates define, but for those that only test.
fn programs() -> BTreeSet<String> {
    let mut programs = BTreeSet::new();
    for package in
        packages().iter().filter(|package| !["smd-tests", "smd-models"].map(Value::from).contains(&package["name"]))
    {
        let targets = package["targets"].as_array().expect("targets").iter();
        let bins = targets.filter(|target| strings(&target["kind"]) == ["bin"]);
        programs.extend(bins.map(|target| target["name"].as_str().expect("a name").to_owned()));
    }
    assert!(programs.len() >= 12, "{programs:?}");
    programs
}

/// What the assets of the package stand for: `*` within the last component, and a target that ends with `/`.
fn of_the_package() -> Files {
    let packages = packages();
    let client = packages.iter().find(|package| package["name"] == "smd-client").expect("the client");
    let mut files = Files::new();
    for asset in client["metadata"]["deb"]["assets"].as_array().expect("assets") {
        let asset = strings(asset);
        let [source, target, mode] = asset[..] else { panic!("{asset:?}") };
        let executable = mode == "755";
        let (folder, name) = source.rsplit_once('/').expect("a path");
        if folder == "target/release" {
            files.insert(Path::new(target).join(name), executable);
            continue;
        }
        let (before, after) = name.split_once('*').unwrap_or((name, ""));
        let there = fs::read_dir(root().join("client").join(folder)).expect("a directory of assets").flatten();
        let there = there.filter_map(|entry| entry.file_name().into_string().ok());
        let found: Vec<String> = match name.contains('*') {
            true => there.filter(|name| name.starts_with(before) && name.ends_with(after)).collect(),
            false => there.filter(|there| there == name).collect(),
        };
        let found: Vec<String> =
            found.into_iter().filter(|name| root().join("client").join(folder).join(name).is_file()).collect();
        assert!(!found.is_empty(), "{source} is not there");
        files.extend(found.into_iter().map(|name| (Path::new(target).join(name), executable)));
    }
    files
}

fn names(dir: &str) -> BTreeSet<String> {
    let there = fs::read_dir(root().join(dir)).expect("a directory").flatten();
    there.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect()
}

#[test]
fn every_program_page_completion_and_unit_is_installed_at_its_place() {
    let programs = programs();
    let files = installed(&built(&programs), &[]);
    let at = |dir: &str| -> BTreeSet<String> {
        let of = files.keys().filter(|path| path.parent() == Some(Path::new(dir)));
        of.map(|path| path.file_name().expect("a name").to_str().expect("UTF-8").to_owned()).collect()
    };
    let ending =
        |dir, ends: &str| -> BTreeSet<String> { names(dir).into_iter().filter(|name| name.ends_with(ends)).collect() };
    assert_eq!(at("usr/local/bin"), programs, "PROGRAMS of the Makefile");
    assert_eq!(at("usr/local/share/man/man1"), ending("docs/man", ".1"));
    assert_eq!(at("usr/local/share/man/man5"), ending("docs/man", ".5"));
    assert_eq!(at("usr/local/share/man/man1").len() + at("usr/local/share/man/man5").len(), names("docs/man").len());
    let completions = names("docs/completions").len();
    let (bash, zsh, fish) = (
        at("usr/local/share/bash-completion/completions"),
        at("usr/local/share/zsh/site-functions"),
        at("usr/local/share/fish/vendor_completions.d"),
    );
    assert_eq!(bash.len() + zsh.len() + fish.len(), completions);
    assert_eq!(at("usr/local/lib/systemd/user"), names("dist/systemd/user"));
    assert_eq!(at("usr/local/share/doc/smd/examples/hooks"), names("sample/hooks"));
    for (path, executable) in &files {
        let meant = path.starts_with("usr/local/bin") || path.starts_with("usr/local/share/doc/smd/examples/hooks");
        assert_eq!(*executable, meant, "{}", path.display());
    }
}

#[test]
fn the_package_has_what_make_installs() {
    let mut made = installed(&built(&programs()), &DEBIAN);
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        assert!(made.remove(&Path::new("usr/share/doc/smd").join(licence)).is_some(), "{licence}");
    }
    let packed = of_the_package();
    let differ: Vec<_> = made.iter().filter(|(path, mode)| packed.get(*path) != Some(mode)).collect();
    assert!(differ.is_empty(), "make install has these, the assets in client/Cargo.toml have not: {differ:?}");
    let differ: Vec<_> = packed.iter().filter(|(path, mode)| made.get(*path) != Some(mode)).collect();
    assert!(differ.is_empty(), "the assets in client/Cargo.toml have these, make install has not: {differ:?}");
}

#[test]
fn units_start_the_programs_where_they_were_installed() {
    let dir = built(&programs());
    let files = installed(&dir, &["PREFIX=/opt/smd"]);
    let units = files.keys().filter(|path| path.starts_with("opt/smd/lib/systemd/user"));
    let texts: String =
        units.map(|path| fs::read_to_string(dir.path().join("root").join(path)).expect("a unit")).collect();
    for line in ["ExecStart=/opt/smd/bin/smd-loop\n", "ExecStart=/opt/smd/bin/smd-sync %i\n"] {
        assert!(texts.contains(line), "{line}{texts}");
    }
    assert!(!texts.contains("/usr/bin"), "{texts}");
}

#[test]
fn uninstall_leaves_no_file_behind() {
    let dir = built(&programs());
    assert!(!installed(&dir, &[]).is_empty());
    let output = make("uninstall", dir.path(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut left = Files::new();
    collect(&dir.path().join("root"), Path::new(""), &mut left);
    assert_eq!(left, Files::new());
}

#[test]
fn install_builds_nothing_and_says_what_is_missing() {
    let dir = built(&["smd-sync".to_owned()].into());
    let output = make("install", dir.path(), &[]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("is missing; build first, as yourself: make"), "{said}");
    assert!(!dir.path().join("root").exists(), "it began");
}

#[test]
fn the_changelog_of_the_package_begins_with_its_version() {
    let packages = packages();
    let version = packages[0]["version"].as_str().expect("a version");
    let text = fs::read_to_string(root().join("dist/debian/changelog")).expect("the changelog");
    assert!(text.starts_with(&format!("smd ({version}-1) ")), "{version}: {text}");
}
