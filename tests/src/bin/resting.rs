//! Figures of a session that rests: how long a delivery takes to the other host, and what both processes hold.
//!
//! ```text
//! resting latency local|ssh COUNT      deliveries each way, one after the other; the distribution
//! resting memory DIR COUNT             makes DIR with so many messages on both sides, or, when it is there, takes one
//!                                      message over and tells the memory of both processes at rest
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
        ["memory", dir, count] => memory(Path::new(dir), count.parse().expect("a number")),
        _ => {
            eprintln!("usage: resting latency local|ssh COUNT | resting memory DIR COUNT");
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

fn memory(dir: &Path, count: usize) {
    let (here, there) = (dir.join("a"), dir.join("b"));
    if !dir.exists() {
        for n in 0..count {
            let folder = format!(".folder-{:03}", n % FOLDERS);
            let name = format!("cur/{}.M{n}P1.host.example.org:2,S", 1_700_000_000 + n);
            if n < FOLDERS {
                for below in ["cur", "new", "tmp"] {
                    for root in [&here, &there] {
                        fs::create_dir_all(root.join(&folder).join(below)).expect("makes");
                    }
                }
            }
            let file = here.join(&folder).join(&name);
            fs::write(&file, format!("Message-ID: <{n}@example.org>\nSubject: message {n}\n\nbody {n}\n"))
                .expect("writes");
            fs::hard_link(&file, there.join(&folder).join(&name)).expect("links");
        }
        say("made; now once more");
        return;
    }
    let resolved = resolve(vec![here.clone().into(), there.clone().into()], dir);
    let (connection, link) = Connection::open(&resolved.endpoint, false).expect("the server starts");
    let stop = Arc::new(AtomicBool::new(false));
    let mut open = Open::new(Arc::new(Disk), resolved.endpoint.clone(), Line::over(link), stop);
    let waker = Waker::default();
    let mut run = |what: &str| {
        let since = Instant::now();
        let report = open.run(&resolved.options, &mut Progress::hidden()).expect("it runs");
        let took = since.elapsed();
        while open.rest(Some(Instant::now() + Duration::from_millis(500)), &waker).expect("it rests") != Woken::Time {
            open.run(&resolved.options, &mut Progress::hidden()).expect("it runs");
        }
        let server = processes::children(std::process::id()).first().copied().unwrap_or_default();
        say(&format!(
            "{what:22} {:7.3} s  {} round trips   client {}   server {}",
            took.as_secs_f64(),
            report.traffic.round_trips,
            resident(std::process::id()),
            resident(server)
        ));
    };
    run("first");
    run("idle");
    for n in 0..3 {
        let name = format!("{}.{n}.host", std::process::id());
        let root = if n == 1 { &here } else { &there };
        let folder = root.join(".folder-007");
        fs::write(folder.join("tmp").join(&name), format!("Subject: one more {name}\n\n")).expect("writes");
        fs::rename(folder.join("tmp").join(&name), folder.join("new").join(&name)).expect("renames");
        run("one change");
    }
    open.close().expect("it says goodbye");
    connection.finish();
}

/// What a process holds, and the most that it held.
fn resident(pid: u32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = |key: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0)
    };
    format!(
        "{:.1} MB (most {:.1}, anonymous {:.1})",
        value("VmRSS:") / 1024.0,
        value("VmHWM:") / 1024.0,
        value("RssAnon:") / 1024.0
    )
}
