//! Switches deliberate bugs on, one at a time, and sees that the test named for each catches it: `seeded` for all of the
//! table, `seeded BUG…` for some, `seeded --list` to read it. Fails when one escaped.
//!
//! `table` says which bugs there are, what each does to a person's mail, and which test is to catch it; `build` makes the
//! programs and tests with all of them in it, none switched on, and runs one test with one bug. The switches themselves
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
    /// The file in `tests/tests`; none for one that stands beside the code.
    file: Option<&'static str>,
    /// The test's name with its modules.
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
        match self.file {
            Some(file) => write!(f, "cargo test -p {} --test {file} {}", self.package, self.name),
            None => write!(f, "cargo test -p {} --lib {}", self.package, self.name),
        }
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:40} {:2}  {}\n{:22}{}", self.bug, self.promise, self.harm, "", self.test)
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args == ["--list"] {
        TABLE.iter().for_each(|seed| say(&seed.to_string()));
        return ExitCode::SUCCESS;
    }
    let unknown = args.iter().find(|arg| TABLE.iter().all(|seed| seed.bug != **arg));
    if let Some(unknown) = unknown {
        eprintln!("seeded: there is no bug {unknown}; `seeded --list` names them");
        return ExitCode::from(2);
    }
    let wanted: Vec<_> =
        TABLE.iter().filter(|seed| args.is_empty() || args.iter().any(|arg| arg == seed.bug)).collect();
    let build = match Build::make() {
        Ok(build) => build,
        Err(why) => {
            eprintln!("seeded: {why}");
            return ExitCode::FAILURE;
        }
    };
    // A test that fails without a bug proves nothing with one.
    let mut tests: Vec<_> = wanted.iter().map(|seed| seed.test).collect();
    tests.sort();
    tests.dedup();
    say(&format!("{} tests, without a bug:", tests.len()));
    for test in tests {
        let ran = build.run(&test, None);
        if ran.verdict != Verdict::Passed {
            say(&format!("{test}: {}\n{}", ran.verdict, ran.said));
            return ExitCode::FAILURE;
        }
    }
    say("all pass; with one bug each:");
    let mut caught = 0;
    for seed in &wanted {
        let ran = build.run(&seed.test, Some(seed.bug));
        let is_caught = ran.verdict == Verdict::Failed;
        caught += usize::from(is_caught);
        let word = if is_caught { "caught".to_owned() } else { format!("NOT CAUGHT ({})", ran.verdict) };
        say(&format!("{word:10} {:5.1} s  {seed}", ran.seconds));
        if !is_caught {
            say(&ran.said);
        }
    }
    smd_tests::figures::note(&format!("seeded bugs: caught {caught} of {}", wanted.len()));
    ExitCode::from(u8::from(caught < wanted.len()))
}

fn say(line: &str) {
    // Nobody is left to tell when stdout is closed.
    let _ = writeln!(std::io::stdout(), "{line}");
}
