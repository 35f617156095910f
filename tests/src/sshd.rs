//! A real `sshd` on a free port of the loopback, with keys of its own and nothing of this machine's configuration.
//!
//! Every account is a host of the world: an alias in ssh's configuration, a key, and a program that `sshd` runs with that
//! host's home. All of them are the user who runs the tests, so no rights are needed; as root it works as well.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

/// The daemon; it ends when this is dropped.
#[derive(Debug)]
pub struct Sshd {
    child: Child,
    dir: PathBuf,
    user: String,
    port: u16,
}

impl Sshd {
    /// Starts a daemon whose files lie in `dir`, and returns when it listens.
    #[track_caller]
    pub fn start(dir: &Path) -> Self {
        let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let program = program.expect("these tests need sshd; install it with: sudo apt-get install openssh-server");
        fs::create_dir_all(dir).expect("the daemon's directory can be made");
        keygen(&dir.join("host_key"));
        fs::write(dir.join("authorized_keys"), "").expect("authorized_keys can be written");
        fs::write(dir.join("known_hosts"), "").expect("known_hosts can be written");
        let root = rustix::process::geteuid().is_root();
        if root {
            fs::create_dir_all("/run/sshd").expect("root can make the directory sshd wants");
        }
        // Another process may take the free port before sshd does; then it says so and another port is tried.
        for _ in 0..20 {
            let port = free_port();
            fs::write(dir.join("sshd_config"), config(dir, port)).expect("sshd_config can be written");
            if let Some(child) = spawn(program, dir) {
                return Self { child, dir: dir.to_owned(), user: user_name(), port };
            }
        }
        panic!("sshd did not listen on any of 20 ports; see {}", dir.join("log").display());
    }

    /// Lets `ssh ALIAS COMMAND` in, with a key of its own; `options` are those of `authorized_keys`.
    #[track_caller]
    pub fn admit(&self, alias: &str, options: &str) {
        let key = self.dir.join(format!("key-{alias}"));
        keygen(&key);
        let public = fs::read_to_string(key.with_extension("pub")).expect("ssh-keygen wrote the public key");
        append(&self.dir.join("authorized_keys"), &format!("{options} {public}"));
        let host_key = fs::read_to_string(self.dir.join("host_key.pub")).expect("ssh-keygen wrote the host key");
        append(&self.dir.join("known_hosts"), &format!("[127.0.0.1]:{} {host_key}", self.port));
        let block = format!(
            "Host {alias}\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
             UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  BatchMode yes\n",
            self.port,
            self.user,
            key.display(),
            self.dir.join("known_hosts").display(),
        );
        append(&self.dir.join("ssh_config"), &block);
    }

    /// The value for `-e`: ssh with the configuration of this world only.
    pub fn rsh(&self) -> String {
        format!("ssh -F {}", self.dir.join("ssh_config").display())
    }

    /// Forgets the daemon's host key, as if it had never been seen.
    #[track_caller]
    pub fn forget_host_key(&self) {
        fs::write(self.dir.join("known_hosts"), "").expect("known_hosts can be written");
    }

    /// Admits no key any more.
    #[track_caller]
    pub fn shut_out(&self) {
        fs::write(self.dir.join("authorized_keys"), "").expect("authorized_keys can be written");
    }

    /// Ends the daemon, so that the host cannot be reached.
    #[track_caller]
    pub fn stop(&mut self) {
        self.child.kill().expect("sshd can be ended");
        self.child.wait().expect("sshd can be waited for");
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Ended already is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The key exchange is the quickest one: hundreds of connections are made, and nobody listens.
fn config(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {dir}/host_key\nAuthorizedKeysFile {dir}/authorized_keys\n\
         PidFile none\nStrictModes no\nUsePAM no\nKexAlgorithms curve25519-sha256\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\nMaxStartups 200\nUseDNS no\nLogLevel INFO\n"
    )
}

fn spawn(program: &str, dir: &Path) -> Option<Child> {
    let log = dir.join("log");
    let mut child = Command::new(program)
        .args(["-D", "-e", "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sshd can be started");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).expect("sshd's stderr can be read") > 0 {
        let text = String::from_utf8_lossy(&line).into_owned();
        append(&log, &text);
        if text.contains("Server listening on") {
            // Sessions go on to write here; unread they would block once the pipe is full.
            thread::spawn(move || drop(std::io::copy(&mut lines, &mut std::io::sink())));
            return Some(child);
        }
        line.clear();
    }
    child.wait().expect("sshd can be waited for");
    None
}

#[track_caller]
fn keygen(path: &Path) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .expect("these tests need ssh-keygen; install it with: sudo apt-get install openssh-client");
    assert!(status.success(), "ssh-keygen failed");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

fn user_name() -> String {
    let output = Command::new("id").arg("-un").output().expect("id can be started");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[track_caller]
fn append(path: &Path, text: &str) {
    use std::io::Write as _;
    let file = fs::File::options().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::Sshd;
    use std::process::Command;

    #[test]
    fn an_admitted_alias_runs_its_program_and_a_stopped_daemon_runs_nothing() {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let mut sshd = Sshd::start(&dir.path().join("sshd"));
        sshd.admit("office", "restrict");
        sshd.admit("vault", "restrict,command=\"echo only this\"");
        let ssh = |alias: &str| {
            let config = dir.path().join("sshd/ssh_config");
            let output = Command::new("ssh").arg("-F").arg(config).args([alias, "echo 'any thing'"]).output();
            let output = output.expect("ssh can be started");
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        assert_eq!(ssh("office"), (Some(0), "any thing\n".to_owned()));
        assert_eq!(ssh("vault"), (Some(0), "only this\n".to_owned()));
        sshd.stop();
        assert_eq!(ssh("office").0, Some(255));
    }
}
