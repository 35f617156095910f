//! Figures of a session that rests: how long a delivery takes to the other host, and what both processes hold.
//!
//! ```text
//! resting latency local|ssh COUNT      deliveries each way, one after the other; the distribution
//! resting make both|here DIR COUNT     makes DIR with so many messages, on both sides or on this one alone
//! resting memory DIR REST              runs of every kind there, and after each what both processes hold at rest, and how
//!                                      often they woke up in so many seconds of it
//! ```
//!
//! Deliberately not here: any judgement; the machine decides as much as the program.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use smd_client::args::{self, Command};
use smd_client::connect::Connection;
use smd_client::endpoint::{self, Resolved};
use smd_client::home::SmdHome;
use smd_client::options::Direction;
use smd_client::progress::Progress;
use smd_client::run::served;
use smd_client::session::{Line, Open, SessionError, Waker, Woken};
use smd_maildir::fs::Disk;
use smd_tests::processes;
use smd_tests::rng::Rng;
use smd_tests::world::{Link, World};

/// Folders of the mailbox whose memory is measured.
const FOLDERS: usize = 205;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    // The far end of a pair of directories is this executable again.
    if let Some(code) = served(&args.next().unwrap_or_default()) {
        return code;
    }
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["latency", link, count] => latency(link == "ssh", count.parse().expect("a number")),
        ["make", sides, dir, count] => make(sides == "both", Path::new(dir), count.parse().expect("a number")),
        ["memory", dir, rest] => memory(Path::new(dir), Duration::from_secs(rest.parse().expect("a number"))),
        _ => {
            eprintln!(
                "usage: resting latency local|ssh COUNT | resting make both|here DIR COUNT | resting memory DIR REST"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn resolve(line: Vec<OsString>, home: &Path) -> Resolved {
    let args = args::parse(Command::Sync, line).expect("the line is understood");
    endpoint::resolve(&args, Direction::Sync, SmdHome::new(home.join(".smd"), home)).expect("it resolves")
}

/// Rests and runs until it is stopped; `runs` hears how long each run took and what it moved.
fn live(resolved: &Resolved, waker: &Waker, stop: &Arc<AtomicBool>, runs: &mut dyn FnMut(Duration, u64)) {
    let (connection, link) = Connection::open(&resolved.endpoint, false).expect("the server starts");
    let mut open = Open::new(Arc::new(Disk), resolved.endpoint.clone(), Line::over(link), stop.clone());
    open.run(&resolved.options, &mut Progress::hidden()).expect("it runs");
    while open.rest(None, waker).is_ok() {
        let since = Instant::now();
        match open.run(&resolved.options, &mut Progress::hidden()) {
            Ok(report) => runs(since.elapsed(), report.traffic.round_trips),
            Err(SessionError::Interrupted) => break,
            Err(error) => panic!("{error}"),
        }
    }
    open.close().expect("it says goodbye");
    connection.finish();
}

fn latency(ssh: bool, count: usize) {
    let world = World::new(if ssh { Link::Ssh } else { Link::Local });
    let mut line: Vec<OsString> = world.link_options(world.server()).into_iter().map(Into::into).collect();
    line.push(world.client().maildir().into());
    line.push(if ssh { "office:Maildir".into() } else { world.server().maildir().into() });
    let resolved = resolve(line, &world.client().home);
    let (waker, stop) = (Waker::default(), Arc::new(AtomicBool::new(false)));
    let mut dice = Rng::from_env_or(5);
    thread::scope(|scope| {
        let session = scope.spawn(|| {
            let mut took: Vec<(u64, Duration)> = Vec::new();
            live(&resolved, &waker, &stop, &mut |time, trips| took.push((trips, time)));
            for trips in 1..=5 {
                let times = took.iter().filter(|run| run.0 == trips).map(|run| run.1).collect();
                distribution(&format!("runs of {trips} round trips"), times);
            }
        });
        let (here, there) = (world.client().maildir(), world.server().maildir());
        for (what, from, to) in
            [("warming up", &here, &there), ("there to here", &there, &here), ("here to there", &here, &there)]
        {
            let mut times = Vec::new();
            for n in 0..if what == "warming up" { 3 } else { count } {
                thread::sleep(Duration::from_millis(dice.within(300..500)));
                let name = format!("{}.{n}.host", what.replace(' ', "-"));
                fs::write(from.join("tmp").join(&name), format!("Subject: {name}\n\nbody {n}\n")).expect("writes");
                let since = Instant::now();
                fs::rename(from.join("tmp").join(&name), from.join("new").join(&name)).expect("renames");
                processes::wait_until("a delivery", || to.join("new").join(&name).exists().then_some(()));
                times.push(since.elapsed());
            }
            distribution(what, times);
        }
        stop.store(true, Ordering::Relaxed);
        waker.wake();
        session.join().expect("the session ends");
    });
}

fn distribution(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at =
        |percent: usize| times.get((times.len().max(1) - 1) * percent / 100).map_or(0.0, |t| t.as_secs_f64() * 1e3);
    let (n, least, most) = (times.len(), at(0), at(100));
    if n > 0 {
        say(&format!(
            "{what:24} {n:5}  least {least:6.1}  median {:6.1}  90 % {:6.1}  most {most:6.1} ms",
            at(50),
            at(90)
        ));
    }
}

fn make(both: bool, dir: &Path, count: usize) {
    let (here, there) = (dir.join("a"), dir.join("b"));
    for n in 0..count {
        let folder = folder(n);
        let name = format!("cur/{}.M{n}P1.host.example.org:2,S", 1_700_000_000 + n);
        if n < FOLDERS {
            for below in ["cur", "new", "tmp"] {
                for root in [&here, &there].into_iter().take(1 + usize::from(both)) {
                    fs::create_dir_all(root.join(&folder).join(below)).expect("makes");
                }
            }
        }
        let file = here.join(&folder).join(&name);
        fs::write(&file, format!("Message-ID: <{n}@example.org>\nSubject: message {n}\n\nbody {n}\n")).expect("writes");
        if both {
            fs::hard_link(&file, there.join(&folder).join(&name)).expect("links");
        }
    }
}

fn folder(n: usize) -> String {
    format!(".folder-{:03}", n % FOLDERS)
}

/// So many new messages in this folder, or from it on in one after the other.
fn deliver(root: &Path, what: &str, count: usize, spread: bool) {
    for n in 0..count {
        let folder = root.join(folder(7 + if spread { n } else { 0 }));
        let name = format!("{}.{what}-{n}.host", std::process::id());
        fs::write(folder.join("tmp").join(&name), format!("Subject: one more {name}\n\n")).expect("writes");
        fs::rename(folder.join("tmp").join(&name), folder.join("new").join(&name)).expect("renames");
    }
}

/// Flips the flag F of the first messages of every folder.
fn flag(root: &Path, each: usize) {
    for n in 0..FOLDERS {
        let cur = root.join(folder(n)).join("cur");
        for entry in fs::read_dir(&cur).expect("lists").take(each) {
            let name = entry.expect("an entry").file_name().into_string().expect("a name of ours");
            let (uniq, flags) = name.split_once(":2,").expect("a name of ours");
            let flags = if flags.starts_with('F') { "S" } else { "FS" };
            fs::rename(cur.join(&name), cur.join(format!("{uniq}:2,{flags}"))).expect("renames");
        }
    }
}

fn memory(dir: &Path, rest: Duration) {
    let (here, there) = (dir.join("a"), dir.join("b"));
    let resolved = resolve(vec![here.clone().into(), there.clone().into()], dir);
    let (connection, link) = Connection::open(&resolved.endpoint, false).expect("the server starts");
    let stop = Arc::new(AtomicBool::new(false));
    let mut open = Open::new(Arc::new(Disk), resolved.endpoint.clone(), Line::over(link), stop);
    let waker = Waker::default();
    let server = processes::children(std::process::id()).first().copied().unwrap_or_default();
    let both = [("client", std::process::id()), ("server", server)];
    let mut run = |what: &str| {
        // The most that each holds is that of this run.
        both.iter().for_each(|one| fs::write(format!("/proc/{}/clear_refs", one.1), "5").expect("a process of ours"));
        let since = Instant::now();
        let report = open.run(&resolved.options, &mut Progress::hidden()).expect("it runs");
        let took = since.elapsed();
        let mut more = 0;
        let before = loop {
            let before = both.map(|one| wakes(one.1));
            if open.rest(Some(Instant::now() + rest), &waker).expect("it rests") == Woken::Time {
                break before;
            }
            open.run(&resolved.options, &mut Progress::hidden()).expect("it runs");
            more += 1;
        };
        let held: Vec<String> = both
            .iter()
            .zip(before)
            .map(|(one, before)| {
                format!("{} {}, {} wakes", one.0, resident(one.1), wakes(one.1).saturating_sub(before))
            })
            .collect();
        let trips = report.traffic.round_trips;
        say(&format!("{what:22} {:7.3} s +{more} {trips} trips  {}", took.as_secs_f64(), held.join("  ")));
    };
    run("first");
    run("idle");
    run("idle");
    for round in 0..2 {
        deliver(&there, &format!("one-{round}"), 1, false);
        run("one new there");
        deliver(&here, &format!("one-{round}-here"), 1, false);
        run("one new here");
        flag(&here, 5);
        run("flags in all folders");
        flag(&there, 1);
        run("a flag in all there");
        deliver(&there, &format!("many-{round}"), 5000, true);
        run("5000 new there");
        deliver(&here, &format!("many-{round}-here"), 5000, false);
        run("5000 new here");
        run("idle");
    }
    open.close().expect("it says goodbye");
    connection.finish();
}

/// How often the threads of a process were woken up.
fn wakes(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.map(|task| value(&task.path().join("status"), "voluntary_ctxt_switches:") as u64).sum()
}

/// What a process holds, and the most that it held, in MB.
fn resident(pid: u32) -> String {
    let status = format!("/proc/{pid}/status");
    let of = |key| value(Path::new(&status), key) / 1024.0;
    format!("{:5.1} (anonymous {:5.1}, most {:5.1})", of("VmRSS:"), of("RssAnon:"), of("VmHWM:"))
}

fn value(status: &Path, key: &str) -> f64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}
