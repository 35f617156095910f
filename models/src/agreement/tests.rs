//! The commit of a base on two hosts, cut wherever it can be cut (`crate::agreement`).
//!
//! Deliberately not here: whole sessions with mail; `model` plays those at random.

use crate::agreement::{Habit, Kind, Plan, enumerate};
use smd_tests::figures;

/// Sessions that commit, and nothing but cuts.
fn plain() -> Plan {
    Plan { kinds: vec![Kind::Commit], losses: false, ..Plan::default() }
}

#[track_caller]
fn holds(plan: &Plan) {
    match enumerate(plan) {
        Ok(found) => figures::note(&format!(
            "two-phase agreement: {} states, {} transitions, {} crash points ({} sessions, {} disks)",
            found.states, found.transitions, found.crash_points, plan.sessions, found.disks
        )),
        Err(why) => panic!("{why}"),
    }
}

#[track_caller]
fn is_caught(plan: &Plan, words: &str) {
    let why = enumerate(plan).expect_err("it was not noticed");
    assert!(why.contains(words), "{why}");
}

#[test]
fn no_crash_and_no_lost_message_parts_the_hosts() {
    holds(&plain());
}

#[test]
fn hosts_that_lost_their_state_or_differed_once_agree_again() {
    // The third session is the one without faults that must commit from every state.
    holds(&Plan { sessions: 2, ..Plan::default() });
}

#[test]
fn no_crash_parts_hosts_that_fold_their_tails_in() {
    holds(&Plan { sessions: 2, bulk: 250, ..plain() });
}

#[test]
fn a_commit_before_the_server_is_prepared_is_noticed() {
    is_caught(&Plan { habit: Habit::CommitUnheard, ..plain() }, "both would start from None");
}

#[test]
fn a_counter_that_stands_still_is_noticed() {
    is_caught(&Plan { habit: Habit::SameCounter, ..plain() }, "a counter comes back");
}
