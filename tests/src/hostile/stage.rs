//! Where cases of hostile input are played: a world with things around the roots that nobody may touch, and one judge for all.
//!
//! Deliberately not here: the cases.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use smd_protocol::wire::{ClientHello, FromClient, FromServer, RootAnswer};

use super::{Client, Server, hello};
use crate::outcome::Outcome;
use crate::processes;
use crate::rng::Rng;
use crate::tree;
use crate::user::User;
use crate::world::{Link, World};

/// So long may a peer that means harm hold a program.
const TIME: Duration = Duration::from_secs(5);
/// What the manual pages have for a run that met somebody who breaks rules; and 1, of a server whose client is gone.
const CODES: [i32; 12] = [0, 1, 2, 3, 69, 74, 75, 76, 77, 78, 130, 143];

/// What tells one file from another and from itself before: number, change time, size, and what it holds.
type Stamp = (u64, i64, i64, u64, u64);

/// Every file below these, without the places of ours.
fn stamps(home: &Path) -> BTreeMap<PathBuf, Stamp> {
    let mut all = BTreeMap::new();
    let mut left = vec![home.to_owned()];
    while let Some(path) = left.pop() {
        let name = path.file_name().unwrap_or(OsStr::new(""));
        // Roots are named by their first letters; what is inside is theirs. A directory around them changes with them.
        if [OsStr::new("Maildir"), OsStr::new(".smd")].contains(&name) || name.as_encoded_bytes().starts_with(b"root-")
        {
            continue;
        }
        let info = fs::symlink_metadata(&path).expect("nobody removes it");
        let holds = match info.is_file() {
            true => tree::hash(&fs::read(&path).expect("it can be read")),
            false => 0,
        };
        if path != home {
            let stamp = (info.ino(), info.ctime(), info.ctime_nsec(), info.size(), holds);
            all.insert(path.clone(), stamp);
        }
        if info.is_dir() {
            left.extend(fs::read_dir(&path).expect("it can be read").map(|entry| entry.expect("an entry").path()));
        }
    }
    all
}

/// See the module's text.
#[derive(Debug)]
pub struct Stage {
    /// The two hosts.
    pub world: World,
    before: [BTreeMap<PathBuf, Stamp>; 2],
    roots: usize,
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage {
    /// Two hosts that have just been synchronised.
    #[track_caller]
    pub fn new() -> Self {
        let world = World::new(Link::Rsh);
        let mut them = User::new(&world.server().maildir(), "them", Rng::from_env_or(60));
        (0..8).for_each(|_| drop(them.deliver("")));
        for host in [world.client(), world.server()] {
            for dir in [".ssh", "outside/cur", "outside/new", "outside/tmp", "outside/F/cur"] {
                fs::create_dir_all(host.home.join(dir)).expect("a directory");
            }
            for file in
                [".ssh/authorized_keys", ".bashrc", "outside/cur/o:2,", "outside/cur/f:2,", "outside/F/cur/o:2,"]
            {
                fs::write(host.home.join(file), file).expect("a file");
            }
        }
        let before = [stamps(&world.client().home), stamps(&world.server().home)];
        let stage = Self { world, before, roots: 0 };
        stage.sync();
        stage
    }

    /// The server's home.
    pub fn home(&self) -> &Path {
        &self.world.server().home
    }

    /// An ordinary run works.
    #[track_caller]
    pub fn sync(&self) {
        self.world.sync(&[]).ok();
        self.world.assert_equal();
    }

    /// A root of its own at the server, with three messages `m0` to `m2` in `cur`. Gives its name.
    pub fn root(&mut self) -> String {
        self.roots += 1;
        let name = format!("root-{}", self.roots);
        let path = self.home().join(&name);
        for dir in ["cur", "new", "tmp"] {
            fs::create_dir_all(path.join(dir)).expect("a directory");
        }
        for number in 0..3 {
            fs::write(path.join(format!("cur/m{number}:2,")), format!("A: {number}\n\nbody {number}\n"))
                .expect("a file");
        }
        name
    }

    /// Plays a client; `hello` is said first, and the looks are heard. Says what came of it, and whether that is among `codes`.
    #[track_caller]
    pub fn at_server(
        &self,
        number: u8,
        what: &str,
        codes: &[i32],
        asks: Option<&ClientHello>,
        play: impl FnOnce(&Client),
    ) {
        let since = Instant::now();
        let client = Client::at(&self.world, self.world.server());
        if let Some(asks) = asks {
            client.open(asks).unwrap_or_else(|failure| panic!("{number} {what}: {failure}"));
        }
        play(&client);
        self.judge(number, what, codes, since, &client.end());
    }

    /// As [`Stage::at_server`], for the root that is synchronised; it is left as it was, and the server refuses (76).
    #[track_caller]
    pub fn refused(&self, number: u8, what: &str, play: impl FnOnce(&Client)) {
        let before = tree::list(&self.world.server().maildir());
        self.at_server(number, what, &[76], Some(&hello(b"Maildir")), play);
        assert!(tree::list(&self.world.server().maildir()) == before, "{number} {what}: the root changed");
    }

    /// As [`Stage::refused`], for bytes behind the looks.
    #[track_caller]
    pub fn refused_bytes(&self, number: u8, what: &str, bytes: &[u8]) {
        self.refused(number, what, |client| client.bytes(bytes));
    }

    /// Plays a server to a real client. An ordinary run follows.
    #[track_caller]
    pub fn at_client(
        &self,
        number: u8,
        what: &str,
        codes: &[i32],
        options: &[&str],
        play: impl FnOnce(&mut Server) + Send,
    ) -> Outcome {
        let since = Instant::now();
        let run = super::serve(&self.world, options, play);
        self.judge(number, what, codes, since, &run);
        run
    }

    /// As [`Stage::at_client`], for a server that has only the ends of the pipes.
    #[track_caller]
    pub fn bytes_at_client(&self, number: u8, what: &str, codes: &[i32], play: impl FnOnce(File, File) + Send) {
        let since = Instant::now();
        let run = super::serve_bytes(&self.world, &[], play);
        self.judge(number, what, codes, since, &run);
    }

    /// Plays a server that says these bytes behind its Hello, and hears what there is to hear. The client ends by 76, and has all its mail.
    #[track_caller]
    pub fn client_refuses(&self, number: u8, what: &str, answer: &RootAnswer, bytes: &[u8]) {
        let before = tree::list(&self.world.client().maildir());
        self.at_client(number, what, &[76], &[], |server| {
            server.meet(&[], answer);
            server.bytes(bytes);
            server.listens();
        });
        assert!(tree::list(&self.world.client().maildir()) == before, "{number} {what}: the root changed");
    }

    /// One judge for all: code, words, time, children, and everything around the roots.
    #[track_caller]
    pub fn judge(&self, number: u8, what: &str, codes: &[i32], since: Instant, run: &Outcome) {
        let took = since.elapsed();
        let sentence = run.stderr.lines().chain(run.stdout.lines()).next().unwrap_or("").to_owned();
        say(number, what, &format!("{} {sentence}", run.code));
        assert!(codes.contains(&run.code), "{number} {what}: expected one of {codes:?}\n{run}");
        assert!(CODES.contains(&run.code), "{number} {what}: no documented code\n{run}");
        for word in ["panicked", "overflowed its stack", "memory allocation"] {
            assert!(!run.stderr.contains(word), "{number} {what}: {word}\n{run}");
        }
        assert!(took <= TIME, "{number} {what}: took {took:?}\n{run}");
        self.untouched(number, what);
    }

    /// Nothing around the roots changed.
    #[track_caller]
    pub fn untouched(&self, number: u8, what: &str) {
        let now = [stamps(&self.world.client().home), stamps(&self.world.server().home)];
        for (before, now) in self.before.iter().zip(&now) {
            let changed: Vec<_> =
                before.keys().chain(now.keys()).filter(|&path| before.get(path) != now.get(path)).collect();
            assert!(changed.is_empty(), "{number} {what}: changed outside of the roots: {changed:?}");
        }
    }

    /// The end: no program is left, and an ordinary run works.
    #[track_caller]
    pub fn end(self) {
        for host in [self.world.client(), self.world.server()] {
            let since = Instant::now();
            while !processes::at_home(&host.home).is_empty() {
                assert!(since.elapsed() < TIME, "left: {:?}", processes::at_home(&host.home));
                thread::yield_now();
            }
        }
        self.sync();
    }
}

impl Server {
    /// Hears the client to its end.
    pub fn listens(&self) {
        while self.hear().is_some() {}
    }

    /// Hears the client until it wants a base or says goodbye; its batches are done.
    pub fn plays_along(&self) {
        while let Some(said) = self.hear() {
            match said {
                FromClient::BatchEnd { root } => self.say(&FromServer::BatchDone { root }),
                FromClient::Bye | FromClient::PrepareEnd { .. } => return,
                _ => {}
            }
        }
    }

    /// Hears the client until it says this.
    pub fn hears<T>(&self, pick: impl Fn(FromClient) -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = pick(self.hear()?) {
                return Some(found);
            }
        }
    }
}

/// A case's line.
pub fn say(number: u8, what: &str, came: &str) {
    let _ = writeln!(std::io::stdout(), "case {number:3} {what}: {came}");
}

/// A case that cannot be met here, and why.
pub fn none(number: u8, why: &str) {
    say(number, "-", why);
}

/// Lets a thread exchange a directory and a symlink of the same place as fast as it can, as long as something else goes on.
pub fn while_swapping<T>(place: &Path, target: &Path, work: impl FnOnce() -> T) -> (T, u64) {
    let link = place.with_extension("link");
    std::os::unix::fs::symlink(target, &link).expect("a symlink");
    let stop = AtomicBool::new(false);
    let done = thread::scope(|scope| {
        let swaps = scope.spawn(|| {
            let mut swaps = 0u64;
            while !stop.load(Ordering::Relaxed) {
                let cwd = rustix::fs::CWD;
                let _ = rustix::fs::renameat_with(cwd, place, cwd, &link, rustix::fs::RenameFlags::EXCHANGE);
                swaps += 1;
            }
            swaps
        });
        let done = work();
        stop.store(true, Ordering::Relaxed);
        (done, swaps.join().expect("it swaps"))
    });
    // The directory is where it was.
    if fs::symlink_metadata(place).is_ok_and(|info| info.is_symlink()) {
        let cwd = rustix::fs::CWD;
        rustix::fs::renameat_with(cwd, place, cwd, &link, rustix::fs::RenameFlags::EXCHANGE).expect("both are there");
    }
    fs::remove_file(link).expect("it is there");
    done
}
