//! A mailbox in which mail programs never rest, on both hosts, while runs follow one another: nothing is lost, nothing is
//! doubled, and nothing that was expunged comes back. `smd_tests::busy` says what must be, and why.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use smd_tests::busy::clerk::Clerk;
use smd_tests::busy::commuter::Commuter;
use smd_tests::busy::flagger::Flagger;
use smd_tests::busy::naive_listing;
use smd_tests::figures;
use smd_tests::outcome::Outcome;
use smd_tests::populate;
use smd_tests::rng::Rng;
use smd_tests::tree;
use smd_tests::world::{Link, World};

/// Messages of the large folder: smaller ones fit into one buffer of `getdents`, and then nothing can be missed.
const RESIDENTS: usize = 20_000;
/// Of these, so many are marked at each host; all others must stay as they are.
const MARKED: usize = 500;
/// Runs under load; one that does not come to its end fails the test.
const RUNS: usize = 15;
/// Listings within which a naive look must be seen to miss a message.
const LISTINGS: usize = 2000;

const LARGE: &str = "Large";
const SMALL: [&str; 5] = ["", "Work", "Work/Deep", ".Archive.2024", "Two words"];

/// Exit codes that a run may have while users are at work: done, or some messages left for the next run.
const UNDER_CHANGE: [i32; 2] = [0, 1];

/// Fills the large folder; gives id and hash of each message.
fn residents(root: &Path) -> Vec<(String, u64)> {
    populate::make_folder(root, LARGE.as_ref());
    let dir = root.join(LARGE).join("cur");
    (0..RESIDENTS)
        .map(|number| {
            let id = format!("resident.{number}");
            let text = format!("Subject: {number}\nX-Test-Id: {id}\n\nstays where it is, {number}\n");
            fs::write(dir.join(format!("{id}:2,")), &text).expect("a message can be written");
            (id, tree::hash(text.as_bytes()))
        })
        .collect()
}

/// What writers think between two things, in milliseconds: nothing in a hurry, when no folder ever stands still and runs can
/// only add and mark; a little at leisure, when runs also move; more when it is calm, when they delete as well. Nothing is
/// awaited by it, and no check depends on how long it is.
const HURRY: u64 = 0;
const LEISURE: u64 = 50;
const CALM: u64 = 400;
/// No more of it.
const HOME: u64 = u64::MAX;

/// Acts until it may go home.
fn keep<T>(pace: &AtomicU64, mut writer: T, act: impl Fn(&mut T)) -> T {
    loop {
        match pace.load(Ordering::Relaxed) {
            HOME => return writer,
            HURRY => act(&mut writer),
            thought => {
                act(&mut writer);
                thread::sleep(Duration::from_millis(thought));
            }
        }
    }
}

/// Sends everybody home also when the test fails, so that the writers end with it.
struct Busy<'a>(&'a AtomicU64);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(HOME, Ordering::Relaxed);
    }
}

/// Lists naively until a message that is there all the time is missed.
#[track_caller]
fn assert_naive_look_misses(dir: &Path, residents: &[(String, u64)]) {
    for listing in 1..=LISTINGS {
        let seen = naive_listing(dir).expect("the folder can be listed");
        let missed = residents.iter().filter(|(id, _)| !seen.contains(id.as_bytes())).count();
        if missed > 0 {
            figures::note(&format!(
                "naive readdir: missed {missed} of {} messages, in 1 of {listing} listings",
                residents.len()
            ));
            return;
        }
    }
    panic!("{LISTINGS} naive listings missed nothing: this test cannot see the race on this file system");
}

fn outcome_counts(outcomes: &[Outcome]) -> String {
    UNDER_CHANGE
        .map(|code| format!("{} with {code}", outcomes.iter().filter(|outcome| outcome.code == code).count()))
        .join(", ")
}

#[test]
fn nothing_is_lost_doubled_or_revived_while_mail_programs_never_rest() {
    let world = World::on_disk(Link::Rsh);
    let rng = Rng::from_env_or(99);
    let (here, there) = (world.client().maildir(), world.server().maildir());
    let all = residents(&there);
    SMALL.iter().for_each(|folder| populate::make_folder(&there, folder.as_ref()));
    let copied = Command::new("cp").arg("-a").arg(there.join(".")).arg(&here).status().expect("cp can be started");
    assert!(copied.success(), "both hosts have the same mail at first");
    world.sync(&[]).ok();

    let (marked_here, rest) = all.split_at(MARKED);
    let (marked_there, quiet) = rest.split_at(MARKED);
    let folders: Vec<&str> = SMALL.into_iter().chain([LARGE]).collect();
    let programs = [
        (Flagger::new(&here, LARGE, marked_here, rng.fork(1)), Clerk::new(&here, "here", &folders, rng.fork(3))),
        (Flagger::new(&there, LARGE, marked_there, rng.fork(2)), Clerk::new(&there, "there", &folders, rng.fork(4))),
    ];
    let commuter = Commuter::new([&here, &there], "both", &SMALL, rng.fork(5));
    let mut ledger = Flagger::new(&there, LARGE, quiet, rng.fork(6)).into_ledger();

    let pace = AtomicU64::new(HURRY);
    let mut outcomes = Vec::new();
    thread::scope(|scope| {
        let busy = Busy(&pace);
        let pace = busy.0;
        let work = |(flagger, clerk): &mut (Flagger, Clerk)| {
            flagger.act();
            clerk.act();
        };
        let programs = programs.map(|both| scope.spawn(move || keep(pace, both, work)));
        let commuter = scope.spawn(move || keep(pace, commuter, Commuter::act));
        for root in [&here, &there] {
            assert_naive_look_misses(&root.join(LARGE).join("cur"), &all);
        }
        for run in 0..RUNS {
            pace.store([HURRY, LEISURE, CALM, LEISURE, CALM][run % 5], Ordering::Relaxed);
            let outcome = world.sync(&["--json"]);
            assert!(UNDER_CHANGE.contains(&outcome.code), "a run under load\n{outcome}");
            outcomes.push(outcome);
        }
        drop(busy);
        for program in programs {
            let (flagger, clerk) = program.join().expect("a writer ends");
            ledger.add(flagger.into_ledger());
            ledger.add(clerk.into_ledger());
        }
        ledger.add(commuter.join().expect("a writer ends").into_ledger());
    });
    figures::note(&format!(
        "scans under load: {}, runs: {} ({}), operations: {}",
        2 * outcomes.len(),
        outcomes.len(),
        outcome_counts(&outcomes),
        ledger.operations
    ));
    let sum = |kind| {
        let ways = ["pulled", "pushed"].map(|way| format!("/{way}/{kind}"));
        outcomes.iter().map(|outcome| ways.iter().map(|way| outcome.number(way)).sum::<u64>()).sum::<u64>()
    };
    let [new, flags, moved, deleted] = ["new", "flags", "moved", "deleted"].map(sum);
    figures::note(&format!("steps under load: {new} new, {flags} flags, {moved} moved, {deleted} deleted"));

    // What a run under load left is done by the next, or by the one after it.
    world.sync(&[]);
    let last = world.sync(&["--json"]).ok();
    for root in [&here, &there] {
        let faults = ledger.faults(root);
        assert!(
            faults.is_empty(),
            "{}: {} faults\n{}\n{last}",
            root.display(),
            faults.len(),
            faults.iter().take(30).map(String::as_str).collect::<Vec<_>>().join("\n")
        );
    }
    world.assert_equal();
    let rest = world.sync(&["--json"]).ok();
    assert_eq!(rest.steps(), 0, "{rest}");
}
