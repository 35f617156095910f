//! A few hosts with homes of their own, and the ways between them.
//!
//! The programs run with an empty environment but for what is named in [`World::command`]; nothing of the machine's or the
//! user's configuration reaches them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use smd_protocol::seeded;
use tempfile::TempDir;

use crate::outcome::Outcome;
use crate::programs;
use crate::ram;
use crate::sshd::Sshd;
use crate::tree;

/// How a client reaches a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Both roots are directories of the client's host; the server is a child process with the client's home.
    Local,
    /// A remote shell of a few lines, given with `-e`: quick, and without encryption.
    Rsh,
    /// `ssh` to a real `sshd`, and `--remote-command`.
    Ssh,
    /// `ssh` with a key that `authorized_keys` restricts to the server; no `--remote-command`.
    RestrictedSsh,
}

/// A host: a name and a home directory.
#[derive(Clone, Debug)]
pub struct Host {
    /// The name under which the others reach it.
    pub name: String,
    /// Its home.
    pub home: PathBuf,
}

impl Host {
    /// Its root.
    pub fn maildir(&self) -> PathBuf {
        self.home.join("Maildir")
    }

    /// Its state directory.
    pub fn smd_home(&self) -> PathBuf {
        self.home.join(".smd")
    }
}

/// Some hosts in a temporary directory.
#[derive(Debug)]
pub struct World {
    // Before `dir`, so that the daemon has ended when its files go.
    sshd: Option<Sshd>,
    link: Link,
    hosts: Vec<Host>,
    dir: TempDir,
}

impl World {
    /// Two hosts, `laptop` and `office`; laptop is the client of [`World::sync`] and its like. In memory, where this machine
    /// has room for it ([`ram`]).
    #[track_caller]
    pub fn new(link: Link) -> Self {
        Self::with_hosts(link, &["laptop", "office"])
    }

    /// Hosts with these names, in memory as in [`World::new`]; the last is the server, the others its clients.
    #[track_caller]
    pub fn with_hosts(link: Link, names: &[&str]) -> Self {
        Self::within(ram::tempdir(), link, names)
    }

    /// Two hosts on a disk: for tests of what is durable, of programs that are killed, and of mail programs that never rest.
    #[track_caller]
    pub fn on_disk(link: Link) -> Self {
        Self::within(ram::disk(), link, &["laptop", "office"])
    }

    #[track_caller]
    fn within(dir: TempDir, link: Link, names: &[&str]) -> Self {
        let host = |name: &&str| Host { name: (*name).to_owned(), home: dir.path().join("home").join(name) };
        let hosts: Vec<Host> = names.iter().map(host).collect();
        let mut world = Self { sshd: None, link, hosts, dir };
        for host in &world.hosts {
            fs::create_dir_all(host.maildir().join("cur")).expect("a home can be made");
            fs::create_dir_all(host.maildir().join("new")).expect("a home can be made");
            fs::create_dir_all(host.maildir().join("tmp")).expect("a home can be made");
            world.script(&world.server_script(host), &world.on_host(host, "exec smd-server \"$@\""));
            world.script(&world.login_script(host), &world.on_host(host, "exec sh -c \"$1\""));
        }
        world.script(&world.rsh_script(), RSH);
        if matches!(link, Link::Ssh | Link::RestrictedSsh) {
            world.sshd = Some(world.start_sshd());
        }
        world
    }

    /// The world's directory; a place for a test's own files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A host by name.
    #[track_caller]
    pub fn host(&self, name: &str) -> &Host {
        let found = self.hosts.iter().find(|host| host.name == name);
        found.unwrap_or_else(|| panic!("there is no host {name}"))
    }

    /// The first host, by default the client.
    pub fn client(&self) -> &Host {
        &self.hosts[0]
    }

    /// The last host, the server.
    pub fn server(&self) -> &Host {
        self.hosts.last().expect("a world has hosts")
    }

    /// The daemon, when there is one.
    #[track_caller]
    pub fn sshd(&mut self) -> &mut Sshd {
        self.sshd.as_mut().expect("this world has an sshd")
    }

    /// Runs `smd-sync` from the client to the server.
    #[track_caller]
    pub fn sync(&self, options: &[&str]) -> Outcome {
        self.run("smd-sync", self.client(), options)
    }

    /// Runs `smd-pull` from the client to the server.
    #[track_caller]
    pub fn pull(&self, options: &[&str]) -> Outcome {
        self.run("smd-pull", self.client(), options)
    }

    /// Runs `smd-push` from the client to the server.
    #[track_caller]
    pub fn push(&self, options: &[&str]) -> Outcome {
        self.run("smd-push", self.client(), options)
    }

    /// Runs one of the three programs at a client.
    #[track_caller]
    pub fn run(&self, program: &str, client: &Host, options: &[&str]) -> Outcome {
        finish(&mut self.prepare(program, client, options))
    }

    /// The command of [`World::run`], not started yet.
    pub fn prepare(&self, program: &str, client: &Host, options: &[&str]) -> Command {
        let mut command = self.command(program, client);
        command.args(self.link_options(self.server())).args(options).arg(client.maildir());
        match self.link {
            Link::Local => command.arg(self.server().maildir()),
            _ => command.arg(format!("{}:Maildir", self.server().name)),
        };
        command
    }

    /// The options that lead to a host over this world's link.
    pub fn link_options(&self, server: &Host) -> Vec<String> {
        let rsh = || self.sshd.as_ref().expect("this world has an sshd").rsh();
        match self.link {
            Link::Local => Vec::new(),
            Link::Rsh => vec!["-e".to_owned(), self.rsh_script().display().to_string()],
            Link::Ssh => {
                let script = self.server_script(server).display().to_string();
                vec!["-e".to_owned(), rsh(), "--remote-command".to_owned(), script]
            }
            Link::RestrictedSsh => vec!["-e".to_owned(), rsh()],
        }
    }

    /// One of the programs at a host, with that host's environment and nothing on stdin.
    pub fn command(&self, program: &str, host: &Host) -> Command {
        let mut command = Command::new(programs::path(program));
        command
            .current_dir(&host.home)
            .env_clear()
            .env("HOME", &host.home)
            .env("PATH", self.path())
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .envs(std::env::var_os(seeded::BUG).map(|bug| (seeded::BUG, bug)))
            .stdin(Stdio::null());
        command
    }

    /// Fails unless the roots of all hosts hold the same.
    #[track_caller]
    pub fn assert_equal(&self) {
        for client in &self.hosts[..self.hosts.len() - 1] {
            tree::assert_equal_trees(&client.maildir(), &self.server().maildir());
        }
    }

    /// The remote shell of [`Link::Rsh`], for a test's own configuration.
    pub fn rsh_script(&self) -> PathBuf {
        self.dir.path().join("rsh")
    }

    /// Lets `before` be said in the script that starts the server, so that a test can learn its number, or run it under
    /// another program when `before` ends in `exec PROGRAM`. Gives the options that make a client use that script.
    #[track_caller]
    pub fn start_server_by(&self, before: &str) -> Vec<String> {
        let script = self.server_script(self.server());
        self.script(&script, &self.on_host(self.server(), &format!("{before} smd-server \"$@\"")));
        match self.link {
            // The pair of directories starts its own; ssh uses this script anyway.
            Link::Local | Link::Ssh | Link::RestrictedSsh => Vec::new(),
            Link::Rsh => vec!["--remote-command".to_owned(), script.display().to_string()],
        }
    }

    /// Lets clients in at the server as `alias`, by a key that is restricted to `smd-restricted-shell` with these arguments. Gives the
    /// options that lead there; the environment that the program finds is of no use to it.
    #[track_caller]
    pub fn restrict(&self, alias: &str, arguments: &str) -> Vec<String> {
        let account = self.server().home.display();
        let login = Host { name: alias.to_owned(), home: self.server().home.clone() };
        // From `sshd` comes what was asked for by itself.
        let bug = std::env::var(seeded::BUG).map(|bug| format!("export {}='{bug}'\n", seeded::BUG)).unwrap_or_default();
        let command = format!(
            "{bug}[ $# -gt 0 ] && export SSH_ORIGINAL_COMMAND=\"$1\"\nexport HOME=/nonexistent SMD_HOME=/nonexistent/state\n\
             export SMD_TEST_ACCOUNT_HOME='{account}'\nexec smd-restricted-shell {arguments}"
        );
        self.script(&self.login_script(&login), &self.on_host(self.server(), &command));
        match &self.sshd {
            Some(sshd) => {
                sshd.admit(alias, &format!("restrict,command=\"{}\"", self.login_script(&login).display()));
                vec!["-e".to_owned(), sshd.rsh()]
            }
            None => vec!["-e".to_owned(), self.rsh_script().display().to_string()],
        }
    }

    fn server_script(&self, host: &Host) -> PathBuf {
        self.dir.path().join(format!("server-at-{}", host.name))
    }

    fn login_script(&self, host: &Host) -> PathBuf {
        self.dir.path().join(format!("login-at-{}", host.name))
    }

    fn path(&self) -> String {
        format!("{}:/usr/local/bin:/usr/bin:/bin", programs::dir().display())
    }

    fn on_host(&self, host: &Host, command: &str) -> String {
        let (home, path) = (host.home.display(), self.path());
        format!("#!/bin/sh\ncd '{home}' || exit 99\nexport HOME='{home}' PATH='{path}' LC_ALL=C TZ=UTC\n{command}\n")
    }

    fn start_sshd(&self) -> Sshd {
        let sshd = Sshd::start(&self.dir.path().join("sshd"));
        for host in &self.hosts {
            let options = match self.link {
                Link::RestrictedSsh => format!("restrict,command=\"{}\"", self.server_script(host).display()),
                _ => "restrict".to_owned(),
            };
            sshd.admit(&host.name, &options);
        }
        sshd
    }

    #[track_caller]
    fn script(&self, path: &Path, text: &str) {
        fs::write(path, text)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
            .expect("a script");
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn finish(command: &mut Command) -> Outcome {
    let line = format!("{command:?}");
    let output = command.output().unwrap_or_else(|e| panic!("{line}: {e}"));
    Outcome::new(line, &output)
}

/// What `ssh` is called like, without ssh: options are dropped, the host's login script runs the command.
const RSH: &str = r#"#!/bin/sh
here=$(dirname "$0")
while :; do
    case $1 in
        --) shift; break ;;
        -[bcDEeFIiJLlmOopQRSWw]) shift 2 ;;
        -*) shift ;;
        *) break ;;
    esac
done
host=${1#*@}
shift
[ "$1" = -- ] && shift
[ -x "$here/login-at-$host" ] || { echo "ssh: Could not resolve hostname $host: Name or service not known" >&2; exit 255; }
exec "$here/login-at-$host" "$*"
"#;
