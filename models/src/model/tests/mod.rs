//! Random sequences of users, runs, faults and crashes on disks in memory (`crate::model`), and beside them, by theme, the
//! cases that once broke a promise, as scenarios.
//!
//! `SMD_MODEL_SEQUENCES` sets how many sequences are played, `SMD_TEST_SEED` the first; `make soak` plays for a given time. Deliberately not here: real processes and disks (`kill`, `busy`, `trouble`).

use crate::model::many::{catch_panics, many};
use smd_tests::figures;

mod backups;
mod bounds;
mod cut_runs;
mod disks;
mod folders;
mod looks;
mod notes;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("it is a number"))
}

#[test]
fn no_sequence_of_users_runs_and_faults_breaks_a_promise() {
    catch_panics();
    let (first, wanted) = (number("SMD_TEST_SEED", bounds::FIRST), number("SMD_MODEL_SEQUENCES", bounds::SEQUENCES));
    let (tried, failures) = many(first..first + wanted, |_| false, |report| eprintln!("{report}"));
    assert_eq!(failures, 0, "reports are above");
    tried.lines().iter().for_each(|line| figures::note(line));
    if (first, wanted) == (bounds::FIRST, bounds::SEQUENCES) {
        bounds::check(&tried);
    }
}
