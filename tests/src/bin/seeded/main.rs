//! Switches deliberate bugs on, one at a time, and sees that the test named for each catches it: `seeded` for all of the
//! table, `seeded BUG…` for some, `seeded --list` to read it. Fails when one escaped. Before it goes through the bugs it runs
//! their tests without any; `--tests-passed` says that this was just done.
//!
//! `table` says which bugs there are, what each does to a person's mail, and which test is to catch it; `build` makes the
//! programs and tests, the same ones that `cargo test` makes, and runs one test with one bug. The switches themselves
//! are `smd_protocol::seeded::is("…")` in the product, each where the rule stands that it breaks.
//!
//! Deliberately not here: bugs that no test catches. Such a bug is a test to be written.

mod build;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use build::{Build, Verdict};
use table::TABLE;

/// A deliberate bug.
#[derive(Clone, Copy, Debug)]
struct Seed {
    /// Its name in the switch.
    bug: &'static str,
    /// The number of the promise that it breaks.
    promise: u8,
    /// What it does, to somebody who has mail.
    harm: &'static str,
    /// The test that catches it.
    test: Test,
}

/// One test.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Test {
    /// The crate.
    package: &'static str,
    /// The module of `tests/tests`; none for a test that stands beside the code.
    module: Option<&'static str>,
    /// The test's name; with its modules, or with those below `module`.
    name: &'static str,
    /// How many sequences the model plays.
    sequences: Option<u32>,
}

/// The command that runs it.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(sequences) = self.sequences {
            write!(f, "SMD_MODEL_SEQUENCES={sequences} ")?;
        }
        let target = if self.module.is_some() { "--test main" } else { "--lib" };
        write!(f, "cargo test -p {} {target} {}", self.package, self.full_name())
    }
}

impl Test {
    /// The name by which its binary knows it.
    fn full_name(&self) -> String {
        self.module.map_or_else(|| self.name.to_owned(), |module| format!("{module}::{}", self.name))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:40} {:2}  {}\n{:22}{}", self.bug, self.promise, self.harm, "", self.test)
    }
}

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if args == ["--list"] {
        TABLE.iter().for_each(|seed| say(&seed.to_string()));
        return ExitCode::SUCCESS;
    }
    let all = args.len();
    args.retain(|arg| arg != "--tests-passed");
    let passed = args.len() < all;
    let unknown = args.iter().find(|arg| TABLE.iter().all(|seed| seed.bug != **arg));
    if let Some(unknown) = unknown {
        eprintln!("seeded: there is no bug {unknown}; `seeded --list` names them");
        return ExitCode::from(2);
    }
    let wanted: Vec<&Seed> =
        TABLE.iter().filter(|seed| args.is_empty() || args.iter().any(|arg| arg == seed.bug)).collect();
    let build = match Build::make() {
        Ok(build) => build,
        Err(why) => {
            eprintln!("seeded: {why}");
            return ExitCode::FAILURE;
        }
    };
    if !passed && !pass_without(&build, &wanted) {
        return ExitCode::FAILURE;
    }
    say("with one bug each:");
    let caught = AtomicUsize::new(0);
    two_at_a_time(&wanted, |seed| caught.fetch_add(usize::from(is_caught(&build, seed)), Ordering::Relaxed));
    let caught = caught.into_inner();
    smd_tests::figures::note(&format!("seeded bugs: caught {caught} of {}", wanted.len()));
    ExitCode::from(u8::from(caught < wanted.len()))
}

/// Whether the tests of these bugs pass without them. A test that fails without a bug proves nothing with one.
fn pass_without(build: &Build, wanted: &[&Seed]) -> bool {
    let mut tests: Vec<&Test> = wanted.iter().map(|seed| &seed.test).collect();
    tests.sort();
    tests.dedup();
    say(&format!("{} tests, without a bug:", tests.len()));
    let failed = AtomicUsize::new(0);
    two_at_a_time(&tests, |test| {
        let ran = build.run(test, None);
        if ran.verdict != Verdict::Passed {
            failed.fetch_add(1, Ordering::Relaxed);
            say(&format!("{test}: {}\n{}", ran.verdict, ran.said));
        }
    });
    failed.into_inner() == 0
}

/// Whether the test fails with the bug; says so.
fn is_caught(build: &Build, seed: &Seed) -> bool {
    let ran = build.run(&seed.test, Some(seed.bug));
    let is_caught = ran.verdict == Verdict::Failed;
    let word = if is_caught { "caught".to_owned() } else { format!("NOT CAUGHT ({})", ran.verdict) };
    let said = if is_caught { String::new() } else { format!("\n{}", ran.said) };
    say(&format!("{word:10} {:5.1} s  {seed}{said}", ran.seconds));
    is_caught
}

/// Does it for each, two side by side: each waits for disks and processes half of its time.
fn two_at_a_time<T: Copy + Sync, R>(all: &[T], work: impl Fn(T) -> R + Sync) {
    let next = AtomicUsize::new(0);
    let worker = || {
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(*one);
        }
    };
    thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(worker))));
}

fn say(line: &str) {
    // Nobody is left to tell when stdout is closed.
    let _ = writeln!(std::io::stdout(), "{line}");
}
