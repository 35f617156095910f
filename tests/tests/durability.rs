//! The order in which things become durable, as the kernel saw it: real runs under `strace`.
//!
//! What is asked of each host, whatever it did (ARCHITECTURE, "Order of durability"):
//!
//! 1. a name in `cur/` or `new/` is given only to synced bytes, never over another name, and no message is unlinked;
//! 2. a message goes into the grave only when its line of the index is synced, and when the batch has installed all it brings;
//! 3. directories are synced when a batch is reported as done, and everything is (also what others wrote) before `next`;
//! 4. `next` is synced before the other host may rely on it, and is promoted only when the other host's is;
//! 5. the promotion is synced before it is said, or before the program ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use smd_tests::processes::{require_strace, under};
use smd_tests::rng::Rng;
use smd_tests::story::Story;
use smd_tests::trace::{Act, Event, Frame, OPTIONS, Trace};
use smd_tests::world::{Link, World, finish};

/// Messages of the wire by their place in `FromClient` and `FromServer` of `protocol/src/wire.rs`.
const COMMIT: u8 = 10;
const BATCH_DONE: u8 = 7;
const PREPARED: u8 = 9;

/// How many things of each kind were looked at, so that a run in which nothing happened proves nothing.
#[derive(Debug, Default)]
struct Seen {
    installs: usize,
    burials: usize,
    replaced: usize,
    moves: usize,
    commits: usize,
}

fn is_grave(path: &str) -> bool {
    path.contains("/.smd/grave/") || path.contains("/..smd-grave/")
}

fn is_base(path: &str) -> bool {
    path.ends_with(".db.txt") || path.ends_with(".db.txt.new")
}

fn is_staged(path: &str) -> bool {
    path.rsplit('/').nth(1) == Some("tmp")
}

fn parent(path: &str) -> String {
    Path::new(path).parent().expect("a file lies in a directory").display().to_string()
}

/// Which half of a run is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Client,
    Server,
}

/// One host's half of a run, gone through call by call.
struct Watch {
    half: Half,
    /// Whether the wire cannot be read here.
    compressed: bool,
    root: String,
    frames: Vec<Frame>,
    seen: Seen,
    /// Files that were written and not synced since.
    dirty: BTreeSet<String>,
    /// Directories whose names changed and that were not synced since.
    unsynced: BTreeSet<String>,
    /// Whether a message was buried in this batch.
    buried: bool,
    /// Whether everything was synced since the last change of a mailbox.
    all_synced: bool,
    /// Whether a base is prepared and not promoted; then whether something was said since, and heard after that.
    next: bool,
    said: bool,
    heard: bool,
    /// What is being looked at, for messages.
    at: String,
}

impl Watch {
    /// Goes through all calls of a process; fails at the first that came too early.
    #[track_caller]
    fn go(half: Half, compressed: bool, root: &Path, trace: &Trace, process: usize) -> Seen {
        let root = root.canonicalize().expect("the root is there").display().to_string();
        let mut watch = Self {
            half,
            compressed,
            root,
            frames: trace.frames(process),
            seen: Seen::default(),
            dirty: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            buried: false,
            all_synced: false,
            next: false,
            said: false,
            heard: false,
            at: String::new(),
        };
        for event in trace.of(process) {
            watch.step(event);
        }
        watch.demand(!watch.next, "a base was prepared and not promoted");
        watch.demand(watch.state_is_durable(), "the program ended with a base that is not durable");
        watch.seen
    }

    #[track_caller]
    fn demand(&self, holds: bool, what: &str) {
        assert!(holds, "{:?}: {what}: {}", self.half, self.at);
    }

    fn state_is_durable(&self) -> bool {
        let state = |path: &String| path.contains("/.smd/state/") || path.contains("/.smd/served/");
        !self.dirty.iter().any(|path| is_base(path)) && !self.unsynced.iter().any(state)
    }

    #[track_caller]
    fn step(&mut self, event: &Event) {
        self.at = match &event.act {
            Act::Write(path, bytes) | Act::Read(path, bytes) => format!("{} bytes, {path}", bytes.len()),
            other => format!("{other:?}"),
        };
        self.at.push_str(&format!(" (line {} of the trace)", event.begin + 1));
        match &event.act {
            Act::Create(path) => {
                self.demand(!self.is_mail(path), "a message was made under its name");
                self.note_name(path);
            }
            Act::Write(path, _) if path.starts_with("pipe:") => self.say(event),
            Act::Read(..) => self.heard |= self.said,
            Act::Write(path, bytes) => self.write(event, path, bytes),
            Act::Truncate(path) => drop(self.dirty.insert(path.clone())),
            Act::Sync(path) => {
                self.dirty.remove(path);
                self.unsynced.remove(path);
            }
            Act::SyncFs(_) => {
                self.dirty.clear();
                self.unsynced.clear();
                self.all_synced = true;
            }
            Act::Rename { from, to, how } => self.rename(from, to, how),
            Act::Link(path) => {
                self.demand(!self.is_mail(path), "a message got its name by a link");
                self.note_name(path);
            }
            Act::Unlink(path) => {
                // Whole paths, which are not taken apart, are for what is neither mail nor a base.
                let beside = ["/.smd/state/", "/.smd/served/", "/.smd/log"].iter().any(|dir| path.contains(dir));
                self.demand(is_staged(path) || beside, "something was unlinked");
                self.dirty.remove(path);
            }
            Act::MakeDir(path) => self.note_name(path),
        }
    }

    #[track_caller]
    fn rename(&mut self, from: &str, to: &str, how: &str) {
        let mail = self.is_mail(from) || self.is_mail(to);
        let swap = how.contains("RENAME_EXCHANGE");
        self.demand(!mail || swap || how.contains("RENAME_NOREPLACE"), "a message was renamed over whatever was there");
        if self.is_mail(to) {
            self.demand(!self.dirty.contains(from), "a message got its name before its bytes were synced");
            self.demand(!self.buried || swap, "a message was installed after another one was buried");
            *match (is_staged(from), swap) {
                (true, _) => &mut self.seen.installs,
                (_, true) => &mut self.seen.replaced,
                _ => &mut self.seen.moves,
            } += 1;
        }
        if is_grave(to) && !is_grave(from) {
            let index = format!("{}/index", parent(to));
            self.demand(!self.dirty.contains(&index), "a message was buried before its line of the index was synced");
            self.demand(Path::new(&index).is_file(), "a message was buried without an index");
            if self.is_mail(from) {
                self.buried = true;
                self.seen.burials += 1;
            }
        }
        self.note_name(from);
        self.note_name(to);
        self.all_synced &= !mail;
        let (was, other) = (self.dirty.remove(from), self.dirty.remove(to));
        if was {
            self.dirty.insert(to.to_owned());
        }
        if other && swap {
            self.dirty.insert(from.to_owned());
        }
    }

    #[track_caller]
    fn write(&mut self, event: &Event, path: &str, bytes: &[u8]) {
        self.demand(!self.is_mail(path), "a message was written under its name");
        if is_base(path) && bytes.starts_with(b"commit ") {
            self.demand(self.state_is_durable(), "a base was promoted before it was durable");
        }
        self.dirty.insert(path.to_owned());
        if !is_base(path) {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        if text.lines().any(|line| line.starts_with("next ")) {
            let waiting = self.unsynced.iter().find(|dir| dir.starts_with(&self.root) || is_grave(dir));
            self.demand(waiting.is_none(), "`next` was written before the directories of messages were synced");
            self.demand(self.all_synced, "`next` was written without a sync of what others wrote");
            (self.next, self.said, self.heard, self.buried) = (true, false, false, false);
        }
        if text.starts_with("commit ") {
            self.demand(self.next, "a base was promoted that was not prepared");
            let word = if self.half == Half::Client { PREPARED } else { COMMIT };
            let heard =
                self.frames.iter().filter(|frame| !frame.sent && frame.variant == word && frame.end < event.begin);
            // Of a compressed wire only this is known: the server said something since, and heard an answer.
            let answered = self.half == Half::Server && self.heard;
            let early = "a base was promoted before the other host's was durable";
            self.demand(heard.count() > self.seen.commits || (self.compressed && answered), early);
            self.next = false;
            self.seen.commits += 1;
        }
    }

    /// Something is said on the wire: what of this host's must be durable by now?
    #[track_caller]
    fn say(&mut self, event: &Event) {
        self.said = true;
        let says = |variant: u8| self.frames.iter().any(|f| f.sent && f.begin == event.begin && f.variant == variant);
        // The client says `PrepareEnd` before its own is durable, so that both sync at once; its word is `Commit`.
        // A thread of its own says it, so that the promotion may be written first; then that was looked at.
        if self.half == Half::Server || (says(COMMIT) && self.next) {
            self.demand(self.state_is_durable(), "the other host was told of a base that is not durable");
        }
        if self.half == Half::Server && says(BATCH_DONE) {
            self.demand(self.unsynced.is_empty(), "a batch was reported as done before its directories were synced");
        }
    }

    fn is_mail(&self, path: &str) -> bool {
        let dir = path.rsplit('/').nth(1);
        path.starts_with(&format!("{}/", self.root)) && (dir == Some("cur") || dir == Some("new"))
    }

    /// A name that must be durable was made or removed.
    fn note_name(&mut self, path: &str) {
        if !is_staged(path) && (path.starts_with(&self.root) || is_grave(path) || is_base(path)) {
            self.unsynced.insert(parent(path));
        }
    }
}

/// Every kind of thing happened, so that the checks had something to look at.
#[track_caller]
fn assert_eventful(seen: &Seen, commits: usize) {
    let all = [seen.installs, seen.burials, seen.replaced, seen.moves];
    assert!(all.iter().all(|count| *count > 0) && seen.commits == commits, "too little happened: {seen:?}");
}

fn add(sum: &mut Seen, one: &Seen) {
    sum.installs += one.installs;
    sum.burials += one.burials;
    sum.replaced += one.replaced;
    sum.moves += one.moves;
    sum.commits += one.commits;
}

/// Runs with few changes, whose files are synced one by one, and with many, for which the whole file system is.
const SIZES: [usize; 6] = [1, 12, 2, 1, 16, 1];

#[test]
fn both_hosts_of_a_run_make_things_durable_in_order() {
    require_strace();
    let world = World::on_disk(Link::Local);
    let mut story = Story::begin(&world, 120, 6, Rng::from_env_or(61));
    let log = world.dir().join("strace.log");
    let mut seen = [Seen::default(), Seen::default()];
    // The first run, which makes all state and all folders, is watched as well.
    for much in [0].into_iter().chain(SIZES) {
        story.change(much);
        let mut tracer = vec!["strace"];
        tracer.extend(OPTIONS);
        let file = log.display().to_string();
        tracer.extend(["-o", &file]);
        finish(&mut under(&tracer, &world.prepare("smd-sync", world.client(), &[]))).ok();
        let trace = Trace::parse(&fs::read_to_string(&log).expect("strace wrote its log"));
        add(&mut seen[0], &Watch::go(Half::Client, false, &world.client().maildir(), &trace, 0));
        add(&mut seen[1], &Watch::go(Half::Server, false, &world.server().maildir(), &trace, 1));
        story.check();
    }
    seen.iter().for_each(|seen| assert_eventful(seen, 1 + SIZES.len()));
}

#[test]
fn a_server_under_a_remote_shell_makes_things_durable_in_order() {
    require_strace();
    let world = World::on_disk(Link::Rsh);
    let mut story = Story::begin(&world, 120, 6, Rng::from_env_or(62));
    let log = world.dir().join("strace.log");
    let before = format!("exec strace {} -o '{}'", OPTIONS.join(" "), log.display());
    let options = world.start_server_by(&before);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut seen = Seen::default();
    for much in [0].into_iter().chain(SIZES) {
        story.change(much);
        world.sync(&options).ok();
        let trace = Trace::parse(&fs::read_to_string(&log).expect("strace wrote its log"));
        add(&mut seen, &Watch::go(Half::Server, true, &world.server().maildir(), &trace, 0));
        story.check();
    }
    assert_eventful(&seen, 1 + SIZES.len());
}
