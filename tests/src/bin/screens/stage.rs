//! Two hosts, `laptop` and `office`, each with its home at `/home/me`, and a real `sshd` between them.
//!
//! Paths stand on screens, so all of it is in a mount namespace of this program's own, where `/home` and [`MINE`] are empty
//! file systems in memory; what the server runs is in another one, where `/home/me` is the office's.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use smd_tests::populate;
use smd_tests::processes::wait_until;
use smd_tests::programs;
use smd_tests::rng::Rng;
use smd_tests::sshd::Sshd;

/// Where things lie that no screen shows.
pub(crate) const MINE: &str = "/mnt";
const INSIDE: &str = "SMD_SCREENS_INSIDE";

/// Runs this program again in a namespace of its own, and gives what it wrote; `None` inside of that.
pub(crate) fn outside() -> Option<Vec<u8>> {
    if std::env::var_os(INSIDE).is_some() {
        return None;
    }
    // Who is not root keeps their number, or sshd would take them for root and want to become somebody else.
    let flags: &[&str] =
        if rustix::process::geteuid().is_root() { &[] } else { &["--map-current-user", "--keep-caps"] };
    let output = Command::new("unshare")
        .args(["--mount", "--uts"])
        .args(flags)
        .arg(std::env::current_exe().expect("a program knows its own path"))
        .env(INSIDE, "1")
        .env("SMD_TEST_BIN_DIR", programs::dir())
        .stderr(Stdio::inherit())
        .output()
        .expect("unshare (of util-linux) can be started");
    assert!(output.status.success(), "it failed in a mount namespace of its own, which needs root or user namespaces");
    Some(output.stdout)
}

/// The two hosts.
#[derive(Debug)]
pub(crate) struct Stage {
    sshd: Sshd,
    rng: Rng,
    count: u64,
}

impl Stage {
    /// Empty homes, with an endpoint in that of the laptop.
    pub(crate) fn set() -> Self {
        let exe = std::env::current_exe().expect("a program knows its own path");
        run("mount", &["-t", "tmpfs", "stage", MINE]);
        for dir in ["bin", "shims", "office/Maildir", "laptop"] {
            fs::create_dir_all(mine(dir)).expect("a directory");
        }
        run("mount", &["--bind", &programs::dir().display().to_string(), &format!("{MINE}/bin")]);
        fs::write(mine("relay"), "").expect("a place for this program");
        run("mount", &["--bind", &exe.display().to_string(), &format!("{MINE}/relay")]);
        run("mount", &["-t", "tmpfs", "homes", "/home"]);
        fs::create_dir("/home/me").expect("a home");
        fs::write(mine("nsswitch.conf"), "hosts: files\npasswd: files\ngroup: files\n").expect("a file");
        // No name server is asked for a host that is not there.
        run("mount", &["--bind", &format!("{MINE}/nsswitch.conf"), "/etc/nsswitch.conf"]);
        run("hostname", &["laptop"]);
        run("mkfifo", &[&format!("{MINE}/gate")]);
        let sshd = Sshd::start(&mine("sshd"));
        let mut stage = Self { sshd, rng: Rng::new(4), count: 0 };
        script("shims/ssh", &format!("exec /usr/bin/ssh -F {MINE}/ssh_config \"$@\""));
        stage.admit("office", "office", &format!("{MINE}/bin:/usr/bin:/bin"));
        stage.admit("attic", "office", "/usr/bin:/bin");
        let known = fs::read_to_string(mine("sshd/known_hosts")).expect("the daemon's key is known");
        let key = known.split_once(' ').expect("a line of known_hosts").1.lines().next().expect("a key");
        fs::write(mine("known_hosts"), format!("office {key}\nattic {key}\n")).expect("known_hosts");
        stage.admit("porch", "office", "/usr/bin:/bin");
        // Nobody listens at this port; to use it takes rights that nobody gets by chance.
        append("ssh_config", "Host cellar\n  HostName 127.0.0.1\n  Port 9\n");
        stage.endpoint("default", "");
        stage
    }

    fn admit(&mut self, alias: &str, home: &str, path: &str) {
        let login = script(
            &format!("login-{alias}"),
            &format!(
                "exec unshare --mount sh -c 'mount --bind {MINE}/{home} /home/me && cd /home/me || exit 99\n\
             export HOME=/home/me PATH={path} LC_ALL=C TZ=UTC; exec bash -c \"$SSH_ORIGINAL_COMMAND\"'"
            ),
        );
        self.sshd.admit(alias, &format!("restrict,command=\"{login}\""));
        let config = fs::read_to_string(mine("sshd/ssh_config")).expect("ssh's configuration");
        let block = config.split("Host ").last().expect("a block of it").to_owned();
        let block =
            block.replace(&mine("sshd/known_hosts").display().to_string(), &mine("known_hosts").display().to_string());
        let key = if alias == "porch" { "porch" } else { "office" };
        append("ssh_config", &format!("Host {block}  HostKeyAlias {key}\n"));
    }

    /// Writes a config for the usual root.
    pub(crate) fn endpoint(&self, name: &str, lines: &str) {
        self.plain_endpoint(name, &format!("MAILBOX=Maildir\n{lines}"));
    }

    /// Writes a config.
    pub(crate) fn plain_endpoint(&self, name: &str, lines: &str) {
        fs::create_dir_all("/home/me/.smd").expect("the state's directory");
        let text = format!("SERVERNAME=office\nCLIENTNAME=laptop\n{lines}");
        fs::write(format!("/home/me/.smd/config.{name}"), text).expect("a config");
    }

    /// Forgets all mail and all state of both hosts.
    pub(crate) fn empty(&self) {
        for dir in [self.laptop(""), self.office("")] {
            for entry in fs::read_dir(dir).expect("a home can be read").flatten() {
                let path = entry.path();
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("it can go");
            }
        }
        self.endpoint("default", "");
        fs::create_dir(self.office("Maildir")).expect("a root");
    }

    /// A path of the laptop.
    pub(crate) fn laptop(&self, path: &str) -> PathBuf {
        Path::new("/home/me").join(path)
    }

    /// A path of the office.
    pub(crate) fn office(&self, path: &str) -> PathBuf {
        mine("office").join(path)
    }

    /// Puts a message of about `size` bytes into a folder and gives its path: `cur/…:2,FLAGS`, or `new/…` without flags.
    pub(crate) fn message(&mut self, root: &Path, folder: &str, flags: Option<&str>, size: usize) -> PathBuf {
        self.count += 1;
        let folder = root.join(folder);
        populate::make_folder(&folder, Path::new(""));
        let seconds = 1_767_600_000 + self.count * 97;
        let uniq = format!("{seconds}.M{}P{}.office", 1000 + self.count * 7919 % 9000, 300 + self.count % 90);
        let path = match flags {
            Some(flags) => folder.join("cur").join(format!("{uniq}:2,{flags}")),
            None => folder.join("new").join(uniq),
        };
        let bytes = smd_tests::mail::big(&self.count.to_string(), size, &mut self.rng);
        fs::write(&path, bytes).expect("a message can be written");
        let file = fs::File::options().write(true).open(&path).expect("it is there");
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).expect("a time can be set");
        path
    }

    /// A mailbox of forty messages at the office.
    pub(crate) fn furnish(&mut self) {
        let root = self.office("Maildir");
        for number in 0..40 {
            let folder = ["", ".Lists.rust", ".Work", ".Work.Invoices"][number % 4];
            let flags = [Some("S"), Some("RS"), None, Some("FS"), Some("S")][number % 5];
            self.message(&root, folder, flags, 1500 + number * 31);
        }
    }

    /// Runs a program at the laptop without anybody looking, and gives its stdout.
    pub(crate) fn quietly(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program, args).output().expect("a program can be started");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts a program at the laptop.
    pub(crate) fn start(&self, program: &str, args: &[&str]) -> Child {
        let mut command = self.command(program, args);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a program can be started")
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(mine("bin").join(program));
        command
            .args(args)
            .current_dir("/home/me")
            .env_clear()
            .envs([("HOME", "/home/me"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")])
            .env("PATH", format!("{MINE}/shims:{MINE}/bin:/usr/bin:/bin"))
            .stdin(Stdio::null());
        command
    }

    /// Lets only so many bytes come from the office, and then none before the gate is opened.
    pub(crate) fn slow_down(&self, bytes: u64) {
        fs::copy(mine("ssh_config"), mine("ssh_config.fast")).expect("a file can be copied");
        let fast = fs::read_to_string(mine("ssh_config")).expect("ssh's configuration");
        let slow = format!("Host office\n  ProxyCommand {MINE}/relay --relay %p {bytes}\n{fast}");
        fs::write(mine("ssh_config"), slow).expect("ssh's configuration");
    }

    /// The link is as it was before [`Stage::slow_down`].
    pub(crate) fn full_speed(&self) {
        fs::rename(mine("ssh_config.fast"), mine("ssh_config")).expect("ssh's configuration");
    }

    /// Waits until the link has let through what it lets through.
    pub(crate) fn wait_at_gate(&self) {
        wait_until("the link stands still", || mine("gate.reached").exists().then_some(()));
    }

    /// Waits until the loop of the laptop watches both hosts.
    pub(crate) fn watched(&self) {
        wait_until("the loop watches", || {
            let status = self.quietly("smd-loop", &["--status", "--json"]);
            let status: serde_json::Value = serde_json::from_str(&status).ok()?;
            (status["running"] == true && status["endpoints"][0]["watching"] == true).then_some(())
        });
    }

    /// Lets what waits at the gate of the slow link go on.
    pub(crate) fn open_gate(&self) {
        drop(fs::File::options().write(true).open(mine("gate")).expect("somebody waits at the gate"));
    }
}

/// Becomes a link: so many bytes from a port to stdout, then a wait at the gate, then the rest.
pub(crate) fn relay(port: &str, bytes: &str) -> ! {
    let port: u16 = port.parse().expect("a port");
    let limit: u64 = bytes.parse().expect("a number");
    let socket = TcpStream::connect(("127.0.0.1", port)).expect("sshd listens");
    let back = socket.try_clone().expect("a second handle");
    thread::spawn(move || pass(io::stdin(), &back, u64::MAX));
    // Not through the buffer of stdout, which waits for the end of a line.
    let out = fs::File::from(io::stdout().as_fd().try_clone_to_owned().expect("a second handle"));
    if pass(&socket, &out, limit) {
        fs::write(mine("gate.reached"), "").expect("a file can be written");
        drop(fs::File::open(mine("gate")).expect("the gate is there"));
        pass(&socket, &out, u64::MAX);
    }
    std::process::exit(0)
}

/// Passes bytes on as they come; false when there were fewer than `limit`.
fn pass(mut from: impl Read, mut to: impl Write, limit: u64) -> bool {
    let (mut part, mut passed) = (vec![0; 8 << 10], 0);
    while passed < limit {
        match from.read(&mut part) {
            Ok(count) if count > 0 && to.write_all(&part[..count]).is_ok() => passed += count as u64,
            _ => return false,
        }
    }
    true
}

/// The files of a folder, in the order of their names.
pub(crate) fn files(root: &Path, folder: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = ["cur", "new"]
        .iter()
        .flat_map(|dir| fs::read_dir(root.join(folder).join(dir)).expect("a folder").flatten())
        .map(|entry| entry.path())
        .collect();
    all.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    all
}

/// Moves a message to another folder of its root under its name.
pub(crate) fn file_under(message: &Path, root: &Path, folder: &str) {
    populate::make_folder(&root.join(folder), Path::new(""));
    let name = message.file_name().expect("a message has a name");
    fs::rename(message, root.join(folder).join("cur").join(name)).expect("a message can be moved");
}

fn mine(path: &str) -> PathBuf {
    Path::new(MINE).join(path)
}

fn script(name: &str, text: &str) -> String {
    let path = mine(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a script");
    path.display().to_string()
}

fn append(name: &str, text: &str) {
    let old = fs::read_to_string(mine(name)).unwrap_or_default();
    fs::write(mine(name), old + text).expect("a file can be written");
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
