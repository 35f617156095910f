//! The programs of this build: where they lie, and that they are there and up to date.
//!
//! Cargo gives the path of a binary only to tests of the same package, so they are looked for beside the running test.
//! They are built once per process, in the profile of the test itself; when nothing changed that costs a fraction of a
//! second. `SMD_TEST_BIN_DIR` names a directory of programs to test instead, for instance installed ones.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The directory that holds `smd-sync` and all the others.
pub fn dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| match std::env::var_os("SMD_TEST_BIN_DIR") {
        Some(dir) => dir.into(),
        None => build(),
    })
}

/// The path of one program.
pub fn path(program: &str) -> PathBuf {
    dir().join(program)
}

fn build() -> PathBuf {
    // …/target/debug/deps/name-0123456789abcdef is a test, …/target/debug/name a program of this crate.
    let exe = std::env::current_exe().expect("a test knows its own path");
    let above = exe.parent().expect("a test lies in a directory");
    let profile_dir = if above.ends_with("deps") { above.parent() } else { Some(above) };
    let profile_dir = profile_dir.expect("a test lies in deps/ of its profile").to_owned();
    let profile = profile_dir.file_name().and_then(|name| name.to_str()).expect("a profile has a name");
    let target_dir = profile_dir.parent().expect("a profile's directory lies in the target directory");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["build", "--quiet", "--offline", "--workspace", "--bins"])
        .args(["--profile", if profile == "debug" { "dev" } else { profile }])
        .arg("--target-dir")
        .arg(target_dir)
        .status()
        .expect("cargo can be started");
    assert!(status.success(), "the programs to be tested could not be built");
    profile_dir
}
