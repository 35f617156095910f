//! Small file systems that nobody but one test sees, for disks that come and go.
//!
//! Deliberately not here: a way to leave such a test out. Where no private mounts are to be had, it fails and says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs;

const INSIDE: &str = "SMD_TEST_PRIVATE_MOUNTS";

/// Runs a test once more, alone, in a mount namespace of its own. True inside of that: then the test does its work.
///
/// Root needs no more for it; others are root in a user namespace of their own. `module` is the `module_path!()` of the test.
#[track_caller]
pub fn privately(module: &str, test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    // The path begins with the binary, which its own names of tests leave out.
    let name = module.split_once("::").map_or_else(|| test.to_owned(), |(_, module)| format!("{module}::{test}"));
    let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
    let output = Command::new("unshare")
        .arg(flags)
        .arg(std::env::current_exe().expect("a test knows its own path"))
        .args(["--exact", &name, "--nocapture"])
        .env(INSIDE, "1")
        .env("SMD_TEST_BIN_DIR", programs::dir())
        .output()
        .expect("unshare (of util-linux) can be started");
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && said.contains("1 passed"),
        "in a mount namespace of its own (unshare {flags}; needs root or user namespaces):\n{said}\n{complaint}"
    );
    false
}

/// A file system in memory, mounted until this is dropped.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts a fresh one on a directory.
    #[track_caller]
    pub fn mount(at: &Path) -> Self {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m,mode=755", "smd-test"]).arg(at));
        Self(at.to_owned())
    }

    /// Mounts what is in a directory on another one, or on itself.
    #[track_caller]
    pub fn bind(from: &Path, at: &Path) -> Self {
        run(Command::new("mount").arg("--bind").args([from, at]));
        Self(at.to_owned())
    }

    /// Takes it from where it is to another directory.
    #[track_caller]
    pub fn move_to(&mut self, to: &Path) {
        run(Command::new("mount").arg("--move").args([self.0.as_path(), to]));
        self.0 = to.to_owned();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _the_namespace_ends_anyway = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
