//! A running `smd-loop` of a world: started, asked, and ended in order.
//!
//! What it does is awaited by what it leaves: mail at the other host, lines on stderr, the answer of `--status`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use serde_json::Value;

use crate::processes::{self, wait_until};
use crate::world::{Host, World, finish};

/// The loop of the client's home; killed when dropped.
#[derive(Debug)]
pub struct Loop {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

/// Gives the client an endpoint of this name, with more lines of config.
#[track_caller]
pub fn configure(world: &World, endpoint: &str, lines: &str) {
    let home = world.client().smd_home();
    fs::create_dir_all(&home).expect("the state directory can be made");
    let options = world.link_options(world.server());
    let rsh = options.get(1).expect("a world with a remote shell");
    let mut text = format!("SERVERNAME=office\nCLIENTNAME=laptop\nSSH='{rsh}'\n");
    if let Some(command) = options.get(3) {
        text.push_str(&format!("REMOTE_COMMAND='{command}'\n"));
    }
    fs::write(home.join(format!("config.{endpoint}")), format!("{text}{lines}\n")).expect("the config can be written");
}

impl Loop {
    /// Starts one; it has not synced yet.
    #[track_caller]
    pub fn start(world: &World, words: &[&str]) -> Self {
        Self::start_with(world, words, &[])
    }

    /// Starts one with these variables in its environment.
    #[track_caller]
    pub fn start_with(world: &World, words: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = world.command("smd-loop", world.client());
        command.envs(variables.iter().copied());
        command.args(words).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("smd-loop can be started");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&said);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { child, said, reader: Some(reader) }
    }

    /// Starts one for an endpoint and returns when it watches both hosts.
    #[track_caller]
    pub fn watching(world: &World, endpoint: &str) -> Self {
        let looping = Self::start(world, &["-v", endpoint]);
        looping.wait_for(world, &format!("{endpoint} is watched"), |one| one["watching"] == true);
        looping
    }

    /// Waits until the status of its first endpoint is as it should be.
    #[track_caller]
    pub fn wait_for(&self, world: &World, what: &str, right: impl Fn(&Value) -> bool) -> Value {
        wait_until(&format!("{what}\n{}", self.said()), || {
            let status = status(world)?;
            (status["running"] == true && right(&status["endpoints"][0])).then(|| status["endpoints"][0].clone())
        })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processes of its only connection, the near end first: its remote shell, and what that started.
    pub fn link(&self) -> Vec<u32> {
        let mut chain = Vec::new();
        while let Some(&next) = processes::children(*chain.last().unwrap_or(&self.pid())).first() {
            chain.push(next);
        }
        chain
    }

    /// The far end of its only connection, as far as this host sees it.
    pub fn server(&self) -> Option<u32> {
        self.link().pop()
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        assert!(processes::signal(self.child.id(), signal), "the loop has ended\n{}", self.said());
    }

    /// Stops it as a suspend does, at a moment when neither host has a lock: a run that is stopped in its middle
    /// keeps others out, and a loop that watches may still answer to what its first run changed.
    #[track_caller]
    pub fn stop_at_rest(&self, world: &World) {
        wait_until("it can be stopped between two runs", || {
            self.wait_for(world, "it watches", |one| one["watching"] == true);
            self.signal(Signal::STOP);
            wait_until("it stands still", || processes::is_stopped(self.pid()).then_some(()));
            let at_rest = [world.client(), world.server()].into_iter().all(no_lock_is_held);
            if !at_rest {
                self.signal(Signal::CONT);
            }
            at_rest.then_some(())
        });
    }

    /// Everything it wrote to stderr so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// How often it said something.
    pub fn times(&self, text: &str) -> usize {
        self.said().matches(text).count()
    }

    /// Waits until it has ended and gives its exit code.
    #[track_caller]
    pub fn code(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("the loop can be waited for");
        self.reader.take().expect("nobody has waited before").join().expect("stderr can be read");
        (status.code(), self.said())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // Ended already is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether nobody holds a lock of this host's endpoints; each is asked for and given back at once.
fn no_lock_is_held(host: &Host) -> bool {
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let of_state = entries(&host.smd_home().join("state")).flat_map(|endpoint| entries(&endpoint).collect::<Vec<_>>());
    let is_lock = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"lock."));
    of_state.filter(is_lock).chain([host.maildir()]).all(|path| {
        let dir = fs::File::open(path).expect("a lock is a directory that stays");
        flock(&dir, FlockOperation::NonBlockingLockExclusive).is_ok()
    })
}

/// What `smd-loop --status --json` says, if it says anything yet.
pub fn status(world: &World) -> Option<Value> {
    let outcome = finish(world.command("smd-loop", world.client()).args(["--status", "--json"]));
    serde_json::from_str(&outcome.stdout).ok()
}
