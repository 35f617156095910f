//! How long the note of a cut run counts: until its messages are seen or settled.

use std::cell::Cell;

use crate::model::many::play_safely;
use crate::model::scenario::words::*;
use crate::model::scenario::{Pick, Scenario};

/// The message that both hosts have.
fn it() -> Pick {
    the("A").called("m1")
}

/// It is changed at the server and not synced; the run that was to bring the change to the client is cut by a power cut at the
/// server, which may take the change back. Then comes what `follows`.
fn after_a_run_whose_news_a_power_cut_took(change: impl Fn() -> Deal, follows: impl Fn(Scenario) -> Scenario) {
    // What the power cut takes: the change, or all bytes.
    for seed in [1, 2, 7, 11] {
        at_every_call(&whole_run(), |moment| {
            let cut = Scenario::tidy()
                .seed(seed)
                .server(deliver("A").called("m1").to(".a").header("two"))
                .everybody_rests()
                .server(change().unsynced())
                .run(sync().crashes_before(SERVER, moment));
            follows(cut)
        });
    }
}

#[test]
fn a_message_deleted_after_a_run_that_found_nothing_to_do_stays_deleted_whatever_a_cut_run_was_bringing() {
    after_a_run_whose_news_a_power_cut_took(
        || edit_header("A", "three"),
        |cut| cut.everybody_rests().client(1, delete(it())),
    );
}

#[test]
fn a_flag_set_after_a_run_that_found_nothing_to_do_stays_set_whatever_a_cut_run_was_bringing() {
    after_a_run_whose_news_a_power_cut_took(|| flag("A", 'F'), |cut| cut.everybody_rests().client(1, flag("A", 'F')));
}

#[test]
fn a_message_deleted_after_a_cut_run_comes_back_once_at_most() {
    let came_back = Cell::new(0);
    after_a_run_whose_news_a_power_cut_took(
        || edit_header("A", "three"),
        |cut| {
            let once = cut.client(1, delete(it())).everybody_rests();
            let twice = once.clone().client(1, delete(it()));
            // Most often there is nothing to delete again.
            if play_safely(&twice).is_err_and(|broken| broken.starts_with("absent: host 1")) {
                return once;
            }
            came_back.set(came_back.get() + 1);
            twice
        },
    );
    assert!(came_back.get() > 0, "the message never came back");
}
