//! A running `smd-loop` under fire for a given time: mail programs at both hosts never rest, the link is cut at random every
//! few seconds, and now and then all its processes are stopped for a while, as in a suspend.
//!
//! ```text
//! watch_soak SECONDS [rsh|ssh] [SEED]
//! ```
//!
//! In the end everybody rests; then both hosts must be equal without a run by hand, and every message must be what the
//! ledgers of `smd_tests::busy` say. Probes tell how long a delivery took to the other host, in a histogram.
//!
//! Deliberately not here: any judgement of that time; the machine decides as much as the program.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use smd_tests::busy::clerk::Clerk;
use smd_tests::busy::commuter::Commuter;
use smd_tests::busy::{Due, Fate, Ledger};
use smd_tests::looping::{Loop, configure, status};
use smd_tests::mail;
use smd_tests::populate;
use smd_tests::processes::{kill, signal};
use smd_tests::rng::Rng;
use smd_tests::tree::{self, Found, Place, Tree};
use smd_tests::world::{Link, World, finish};

/// Folders of the mail programs, and the one of the probes alone.
const FOLDERS: [&str; 4] = ["", "Work", "Work/Deep", "Two words"];
const PROBES: &str = "Probes";
/// What a mail program thinks between two things.
const THOUGHT: Duration = Duration::from_millis(120);
/// How long a probe, or the rest in the end, may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long a probe took, and whether the link was cut meanwhile.
struct Probe {
    took: Duration,
    cut: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let seconds = args.first().and_then(|word| word.parse().ok());
    let link = match args.get(1).map_or("rsh", String::as_str) {
        "rsh" => Some(Link::Rsh),
        "ssh" => Some(Link::Ssh),
        _ => None,
    };
    let (Some(seconds), Some(link)) = (seconds, link) else {
        say("usage: watch_soak SECONDS [rsh|ssh] [SEED]");
        return ExitCode::from(2);
    };
    let seed = args.get(2).and_then(|word| word.parse().ok()).unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("seed {seed}"));
    let faults = soak(Duration::from_secs(seconds), link, seed);
    faults.iter().take(50).for_each(|fault| say(fault));
    say(&format!("violations: {}", faults.len()));
    ExitCode::from(u8::from(!faults.is_empty()))
}

fn say(line: &str) {
    // Nobody is left to tell when stdout is closed.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Plays it, and gives everything that is wrong in the end.
fn soak(time: Duration, link: Link, seed: u64) -> Vec<String> {
    let world = World::new(link);
    let rng = Rng::new(seed);
    let (here, there) = (world.client().maildir(), world.server().maildir());
    for folder in FOLDERS.iter().chain([&PROBES]) {
        populate::make_folder(&here, Path::new(folder));
        populate::make_folder(&there, Path::new(folder));
    }
    // Many deletes in a small mailbox are nothing that a person would have to be asked about here.
    configure(&world, "work", "MAILBOX=Maildir\nMAX_DELETE=1000000");
    let looping = Loop::start(&world, &["-v", "work"]);
    looping.wait_for(&world, "it watches", |one| one["watching"] == true);

    let (home, cuts) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut ledger = Ledger::default();
    let mut probes = Vec::new();
    let mut counts = [0; 3];
    thread::scope(|scope| {
        let (home, cuts) = (&home, &cuts);
        let sent_home = SendHome(home);
        let keep = move |act: &mut dyn FnMut()| {
            while !home.load(Ordering::Relaxed) {
                act();
                thread::sleep(THOUGHT);
            }
        };
        let clerks = [("here", &here, 1), ("there", &there, 2)].map(|(label, root, fork)| {
            let mut clerk = Clerk::new(root, label, &FOLDERS, rng.fork(fork));
            scope.spawn(move || {
                keep(&mut || clerk.act());
                clerk.into_ledger()
            })
        });
        let mut commuter = Commuter::new([&here, &there], "both", &FOLDERS, rng.fork(3));
        let commuter = scope.spawn(move || {
            keep(&mut || commuter.act());
            commuter.into_ledger()
        });
        let roots = [here.as_path(), there.as_path()];
        let mut dice = rng.fork(4);
        let prober = scope.spawn(move || {
            let (mut ledger, mut probes) = (Ledger::default(), Vec::new());
            while !home.load(Ordering::Relaxed) {
                probes.extend(probe(roots, probes.len(), &mut ledger, cuts, &mut dice));
                thread::sleep(Duration::from_millis(dice.within(100..700)));
            }
            (ledger, probes)
        });
        let mut dice = rng.fork(5);
        let since = Instant::now();
        while since.elapsed() < time {
            thread::sleep(Duration::from_millis(dice.within(1000..6000)).min(time.saturating_sub(since.elapsed())));
            cuts.fetch_add(1, Ordering::Relaxed);
            counts[strike(&looping, &mut dice)] += 1;
        }
        drop(sent_home);
        for writer in clerks.into_iter().chain([commuter]) {
            ledger.add(writer.join().expect("a writer ends"));
        }
        let (probed, times) = prober.join().expect("the prober ends");
        ledger.add(probed);
        probes = times;
    });
    let [servers, links, suspends] = counts;
    say(&format!("{} operations; {servers} servers and {links} links killed, {suspends} suspends", ledger.operations));
    histogram(&probes);
    judge(&world, looping, &ledger)
}

/// Sends everybody home, also when the soak fails.
struct SendHome<'a>(&'a AtomicBool);

impl Drop for SendHome<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Delivers at one host and waits for the message at the other.
fn probe(roots: [&Path; 2], number: usize, ledger: &mut Ledger, cuts: &AtomicU64, dice: &mut Rng) -> Option<Probe> {
    let id = format!("probe.{number}");
    let found = Found { folder: PROBES.into(), place: Place::New, name: id.clone().into() };
    let (from, to) = if dice.chance(50) { (roots[0], roots[1]) } else { (roots[1], roots[0]) };
    let bytes = mail::plain(&id, dice);
    let staged = from.join(PROBES).join("tmp").join(&id);
    std::fs::write(&staged, &bytes).expect("a probe can be written");
    ledger.due.insert(id, Due { hash: tree::hash(&bytes), fate: Fate::At(found.clone()) });
    let before = cuts.load(Ordering::Relaxed);
    let since = Instant::now();
    std::fs::rename(&staged, found.path(from)).expect("a probe can be delivered");
    let awaited = found.path(to);
    while !awaited.exists() {
        if since.elapsed() > PATIENCE {
            ledger.wrongs.push(format!("{found:?} did not come to {}", to.display()));
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    }
    Some(Probe { took: since.elapsed(), cut: cuts.load(Ordering::Relaxed) != before })
}

/// Cuts the link at one of its ends, or stops everything for a while. Gives which.
fn strike(looping: &Loop, dice: &mut Rng) -> usize {
    match dice.within(0..100) {
        ..45 => {
            if let Some(server) = looping.server() {
                kill(server);
            }
            0
        }
        45..85 => {
            // All of it: what only its starter lost lives on, and holds the pipes.
            looping.link().into_iter().for_each(|link| {
                kill(link);
            });
            1
        }
        _ => {
            let all: Vec<u32> = std::iter::once(looping.pid()).chain(looping.link()).collect();
            all.iter().for_each(|&pid| {
                signal(pid, Signal::STOP);
            });
            thread::sleep(Duration::from_millis(dice.within(500..4000)));
            all.iter().rev().for_each(|&pid| {
                signal(pid, Signal::CONT);
            });
            2
        }
    }
}

/// Waits until the loop has nothing to do, and compares.
fn judge(world: &World, looping: Loop, ledger: &Ledger) -> Vec<String> {
    let (here, there) = (world.client().maildir(), world.server().maildir());
    let since = Instant::now();
    let mut runs = None;
    loop {
        let now = status(world).map(|status| status["endpoints"][0].clone());
        let rests = now.filter(|one| one["watching"] == true && one["lag_seconds"] == 0).map(|one| one["runs"].clone());
        if rests.is_some() && rests == runs {
            break;
        }
        if since.elapsed() > PATIENCE {
            return vec![format!("the loop does not come to rest\n{}", looping.said())];
        }
        runs = rests;
        thread::sleep(Duration::from_secs(1));
    }
    let mut faults = Tree::read(&here).differences(&Tree::read(&there));
    for root in [&here, &there] {
        faults.extend(ledger.faults(root).into_iter().map(|fault| format!("{}: {fault}", root.display())));
    }
    let lost = looping.times("was lost") + looping.times("ended by signal");
    say(&format!("the loop lost {lost} connections"));
    let errors = looping.times("Error:");
    if errors > lost || looping.times("panicked") > 0 {
        faults.push(format!("the loop said {errors} errors\n{}", looping.said()));
    }
    looping.signal(Signal::TERM);
    let (code, said) = looping.code();
    if code != Some(143) {
        faults.push(format!("the loop ended with {code:?}\n{said}"));
    }
    let last = finish(world.command("smd-sync", world.client()).args(["--json", "work"]));
    if last.code != 0 || last.steps() != 0 {
        faults.push(format!("something was left to do\n{last}"));
    }
    faults
}

fn histogram(probes: &[Probe]) {
    const BOUNDS: [u64; 11] = [25, 50, 75, 100, 150, 250, 500, 1000, 2000, 5000, u64::MAX];
    let mut calm: Vec<Duration> = probes.iter().filter(|probe| !probe.cut).map(|probe| probe.took).collect();
    calm.sort_unstable();
    let at = |share: usize| calm.get((calm.len() * share / 100).min(calm.len().saturating_sub(1)));
    say(&format!(
        "{} deliveries, {} of them while the link stood: median {:?}, 90 % {:?}, 99 % {:?}, all {:?}",
        probes.len(),
        calm.len(),
        at(50).copied().unwrap_or_default(),
        at(90).copied().unwrap_or_default(),
        at(99).copied().unwrap_or_default(),
        calm.last().copied().unwrap_or_default(),
    ));
    let mut from = 0;
    for bound in BOUNDS {
        let range = from..u128::from(bound);
        let within = |cut: bool| {
            probes.iter().filter(|probe| probe.cut == cut && range.contains(&probe.took.as_millis())).count()
        };
        let (stood, cut) = (within(false), within(true));
        let label = if bound == u64::MAX { "more".to_owned() } else { format!("< {bound} ms") };
        say(&format!("{label:>10} {stood:6} {:6} {}", format!("+{cut}"), "#".repeat((stood + cut).min(60))));
        from = u128::from(bound);
    }
}
