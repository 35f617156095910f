//! A host of a model: a disk, what goes wrong on it, and how it starts again.
//!
//! Deliberately not here: what users do (`users`), and what the disk does (`crate::memory`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use smd_protocol::delta::Mtime;

use super::mail::{Bytes, GRAVE, ROOT, STATE, folder_path};
use super::scenario::Blow;
use crate::memory::{Coming, Fault, Grain, How, Memory, Restore, Settings, Tree};
use smd_tests::rng::Rng;

/// See the module's text. Clones share the disk.
#[derive(Clone, Debug)]
pub struct Host {
    /// The disk.
    pub disk: Memory,
    /// Calls of a run without mishap.
    typical: Arc<AtomicU64>,
    killed: Arc<AtomicBool>,
    crashes: Arc<AtomicU64>,
    seed: u64,
    /// Whether its folders have other names than the server's (`boxes`).
    pub boxed: bool,
}

/// What a run's fault came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Struck {
    /// The run was over before.
    No,
    /// A call failed.
    Error,
    /// The process was killed.
    Killed,
    /// The host is down.
    Crashed,
}

/// A copy of a host's mail and state.
#[derive(Clone, Debug)]
pub struct Copy {
    mail: Tree,
    state: Vec<(String, Tree)>,
}

/// The parts of the state that hold bases, caches and the client's id. The grave holds mail, so it is left alone.
const STATE_PARTS: [&str; 2] = ["state", "served"];

impl Host {
    /// A host with an empty root.
    pub fn new(seed: u64, at: usize, kind: u8) -> Self {
        let plain = Settings::default();
        let settings = match kind % 8 {
            0..=2 => plain,
            3 => Settings { grain: Grain::Tick, unknown_kinds: true, reuse: true, ..plain },
            4 => Settings { grain: Grain::Second, ..plain },
            5 => Settings { grain: Grain::TwoSeconds, births: false, reuse: true, trusted: false, ..plain },
            6 => Settings { trusted: false, ..plain },
            _ => Settings { births: false, reuse: true, grain: Grain::Tick, ..plain },
        };
        let disk = Memory::with(seed.wrapping_mul(31).wrapping_add(at as u64), settings);
        let host = Self {
            disk,
            typical: Arc::new(AtomicU64::new(300)),
            killed: Arc::default(),
            crashes: Arc::default(),
            seed: seed ^ ((at as u64) << 56),
            boxed: kind & 8 != 0 && at > 0,
        };
        for dir in ["cur", "new", "tmp"] {
            host.make_dirs(&format!("{}/{dir}", folder_path(&host, "")));
        }
        // The id is not left to chance, so that a case is the same every time.
        host.make_dirs(STATE);
        let id = format!("smd-client-id 1\nid modelclient{at}\nmachine -\n");
        host.disk.by_hand().write_file(format!("{STATE}/client-id"), id, None, true).expect("a file can be written");
        host.sync_all();
        host
    }

    fn rng(&self) -> Rng {
        Rng::new(self.seed ^ self.crashes.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9))
    }

    /// Power fails and comes back.
    pub fn crash(&self) {
        self.disk.crash(&mut self.rng());
    }

    /// The number of the call that lies so many thousandths into a run.
    pub fn call(&self, at: u16) -> u64 {
        self.disk.calls() + self.way_in(at)
    }

    fn way_in(&self, at: u16) -> u64 {
        1 + self.typical.load(Ordering::Relaxed) * u64::from(at) / 1000
    }

    /// Remembers how many calls a run without mishap makes.
    pub fn note_calls(&self, before: u64) {
        self.typical.store((self.disk.calls() - before).max(100), Ordering::Relaxed);
    }

    /// The next call goes wrong.
    pub fn strike(&self, blow: Blow) {
        let next = |errno, how| Fault::new(1, errno, how);
        let fault = match blow {
            Blow::Fails(errno) => next(errno, How::Once),
            Blow::FailsLate(errno) => next(errno, How::Once).late(),
            Blow::FailsShort(errno) => next(errno, How::Once).short(),
            Blow::FailsForEver(errno) => next(errno, How::Forever),
            Blow::FailsThenCrashes(errno) => next(errno, How::OnceThenCrash),
            Blow::Crashes(false) | Blow::Killed(false) => Fault::crash_before(1),
            Blow::Crashes(true) | Blow::Killed(true) => Fault::crash_after(1),
        };
        self.disk.arm(fault);
        self.killed.store(matches!(blow, Blow::Killed(_)), Ordering::Relaxed);
    }

    /// Ends what goes wrong. A killed process is gone; a host that is down stays so until [`Host::crash`].
    pub fn disarm(&self) -> Struck {
        let struck = self.disk.struck();
        self.disk.disarm();
        match (self.disk.is_dead(), self.killed.swap(false, Ordering::Relaxed)) {
            (true, true) => {
                self.disk.end_processes();
                Struck::Killed
            }
            (true, false) => Struck::Crashed,
            (false, _) if struck > 0 => Struck::Error,
            (false, _) => Struck::No,
        }
    }

    /// Runs something before every call.
    pub fn between(&self, mut hook: impl FnMut(&Coming<'_>) + Send + 'static) {
        self.disk.between(move |_, call| hook(call));
    }

    /// Runs something in the middle of every listing of a directory, with its path.
    pub fn while_listing(&self, mut hook: impl FnMut(&[u8]) + Send + 'static) {
        self.disk.while_listing(move |_, path| hook(path));
    }

    /// Ends both.
    pub fn unhook(&self) {
        self.disk.alone();
    }

    /// Every content in `cur/`, `new/` and the grave, without what a run that was cut had only laid into the grave to let it
    /// change places with a message.
    pub fn settled_contents(&self) -> BTreeSet<Bytes> {
        self.contents_but(|path| path.ends_with(b".t"))
    }

    /// Every content in `cur/`, `new/` and the grave. What is staged does not count: nobody reads it there.
    pub fn contents(&self) -> BTreeSet<Bytes> {
        self.contents_but(|_| false)
    }

    fn contents_but(&self, leaves_out: impl Fn(&[u8]) -> bool) -> BTreeSet<Bytes> {
        let mut all = BTreeSet::new();
        let hand = self.disk.by_hand();
        let staged = |path: &[u8]| path.starts_with(b"tmp/") || path.windows(5).any(|part| part == b"/tmp/");
        for top in [ROOT, GRAVE] {
            // Before the first run there is no grave.
            let _ = hand.each_file(top, |path, bytes| {
                if !staged(path) && !leaves_out(path) && !all.contains(bytes) {
                    all.insert(bytes.clone());
                }
            });
        }
        all
    }

    /// Every file below the root and in the grave, in words.
    pub fn files(&self) -> Vec<String> {
        let mut all = Vec::new();
        for top in [ROOT, GRAVE] {
            let found = self.disk.by_hand().list(top).unwrap_or_default();
            all.extend(found.into_iter().filter(|(_, info)| info.kind == smd_maildir::fs::Kind::File).map(
                |(path, info)| {
                    let what = super::mail::parse(&info.bytes);
                    format!("{top}/{} {what:?} {} bytes", String::from_utf8_lossy(&path), info.bytes.len())
                },
            ));
        }
        all
    }

    /// A digest of mail with its stamps, and of the bases.
    pub fn mail_and_bases(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        for (path, info) in self.disk.by_hand().list(ROOT).unwrap_or_default() {
            (path, &info.bytes, info.mtime.sec, info.mtime.nsec, info.ino, info.mode).hash(&mut hasher);
        }
        for part in STATE_PARTS {
            for (path, info) in self.disk.by_hand().list(format!("{STATE}/{part}")).unwrap_or_default() {
                if path.ends_with(b".db.txt") {
                    (path, &info.bytes, info.mtime.sec, info.mtime.nsec, info.ino).hash(&mut hasher);
                }
            }
        }
        hasher.finish()
    }

    /// State and caches are gone.
    pub fn lose_state(&self) {
        for part in STATE_PARTS {
            self.remove_all(&format!("{STATE}/{part}"));
        }
    }

    /// A copy to be put back.
    pub fn keep(&self) -> Copy {
        let hand = self.disk.by_hand();
        let state = STATE_PARTS.map(|part| format!("{STATE}/{part}")).into_iter();
        Copy {
            mail: hand.copy_tree(ROOT).expect("the root is there"),
            state: state.filter_map(|path| Some((path.clone(), hand.copy_tree(&path).ok()?))).collect(),
        }
    }

    /// Puts the state of a copy back.
    pub fn restore_state(&self, copy: &Copy) {
        self.lose_state();
        for (path, tree) in &copy.state {
            let how = Restore { dir_times: true, keep_top: false };
            self.disk.by_hand().put_tree(path, tree, how).expect("state can be put back");
        }
        self.sync_all();
    }

    /// Puts the mail of a copy back, into the same root directory.
    pub fn restore_tree(&self, copy: &Copy) {
        let how = Restore { dir_times: true, keep_top: true };
        self.disk.by_hand().put_tree(ROOT, &copy.mail, how).expect("mail can be put back");
        self.sync_all();
    }

    /// Writes a new file as users do; gives its mtime.
    pub fn write_file(&self, path: &str, bytes: &[u8], synced: bool) -> Mtime {
        self.disk.by_hand().write_file(path, bytes, None, synced).expect("a file can be written");
        self.disk.by_hand().stat(path).expect("it is there").mtime
    }

    /// Gives a file a second name.
    pub fn link(&self, from: &str, to: &str) {
        self.disk.by_hand().link(from, to).expect("the name is free");
    }

    /// Removes a name.
    pub fn unlink(&self, path: &str) {
        self.disk.by_hand().unlink(path).expect("it is there");
    }

    /// Renames, replacing what has the name.
    pub fn rename(&self, from: &str, to: &str) {
        self.disk.by_hand().rename(from, to).expect("it is there");
    }

    /// Gives a file another mtime.
    pub fn touch(&self, path: &str) {
        self.disk.by_hand().touch(path, Mtime { sec: 1_000_000_000, nsec: 7 }).expect("it is there");
    }

    /// Makes a directory and those above it.
    pub fn make_dirs(&self, path: &str) {
        self.disk.by_hand().mkdir_all(path).expect("a directory can be made");
    }

    /// Whether there is a directory.
    pub fn is_dir(&self, path: &str) -> bool {
        self.disk.by_hand().stat(path).is_ok_and(|stat| stat.kind == smd_maildir::fs::Kind::Dir)
    }

    /// Removes a tree, if it is there.
    pub fn remove_all(&self, path: &str) {
        let _ = self.disk.by_hand().remove_dir_all(path);
    }

    /// Everything durable.
    pub fn sync_all(&self) {
        self.disk.by_hand().sync();
    }
}
