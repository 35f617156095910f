//! A directory of a world on a small file system of its own: a tmpfs in a private mount namespace.
//!
//! The namespace lives as long as a process that waits in it; programs are started into it with `nsenter`, and the test looks at
//! it through `/proc/PID/root`. Nothing is mounted where anybody else could see it, and nothing is left when this is dropped.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::processes::under;

/// A mounted tmpfs.
#[derive(Debug)]
pub struct Room {
    holder: Child,
    dir: PathBuf,
}

impl Room {
    /// Mounts a tmpfs of `size` (as in `1m`) over this directory. What lies in it is copied first.
    #[track_caller]
    pub fn mount(dir: &Path, size: &str) -> Self {
        let script = "set -e; keep=$(mktemp -d); cp -a \"$1/.\" \"$keep\"; mount -t tmpfs -o size=\"$2\" smd-test \"$1\"; \
                      cp -a \"$keep/.\" \"$1\"; rm -rf \"$keep\"; echo ready; exec cat";
        let mut command = Command::new("unshare");
        command.arg(if is_root() { "-m" } else { "-rm" }).args(["sh", "-c", script, "sh"]).arg(dir).arg(size);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder =
            piped.spawn().expect("these tests need unshare; install it with: sudo apt-get install util-linux");
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the shell speaks");
        if line != "ready\n" {
            let output = holder.wait_with_output().expect("the shell ends");
            panic!(
                "a tmpfs cannot be mounted in a namespace of one's own: be root, or allow unprivileged user namespaces \
                 (sysctl kernel.unprivileged_userns_clone=1): {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Self { holder, dir: dir.to_owned() }
    }

    /// The same command, where the tmpfs is seen.
    pub fn enter(&self, command: &Command) -> Command {
        let (target, home) = (self.holder.id().to_string(), command.get_current_dir().expect("every host has a home"));
        let home = format!("--wd={}", home.display());
        let mut nsenter = vec!["nsenter", "--mount", "--target", &target, &home];
        if !is_root() {
            nsenter.extend(["--user", "--preserve-credentials"]);
        }
        under(&nsenter, command)
    }

    /// The directory, as it is seen from outside.
    pub fn path(&self) -> PathBuf {
        let inside = self.dir.strip_prefix("/").expect("the directory is absolute");
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(inside)
    }

    /// Changes options of the mount: `size=8m`, `ro`.
    #[track_caller]
    pub fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        // With its source and without help: in a namespace of one's own not every option that it has may be said again.
        mount.args(["-i", "-o", &format!("remount,{options}"), "smd-test"]).arg(&self.dir).current_dir("/");
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
        let status = self.enter(mount.env("PATH", path)).status().expect("mount can be started");
        assert!(status.success(), "the tmpfs cannot be remounted with {options}");
    }

    /// Writes a file until nothing more fits; removing it makes room again.
    #[track_caller]
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join(".filler");
        let mut file = std::fs::File::create(&path).expect("the filler can be made");
        // Pages, so that nothing is left over for the last one.
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Ended already is as good.
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
