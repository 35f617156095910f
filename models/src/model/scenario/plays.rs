//! Plays scenarios in tests.
//!
//! Deliberately not here: random ones (`many`).

use super::super::many::{play_safely, report};
use super::super::play::calls::OVER;
use super::step::{Moment, Scenario, Stretch};

/// More calls than any stretch has.
const ENDLESS: u32 = 5_000;

/// Plays it.
///
/// # Panics
/// When a promise is broken, or something that it asks for is not there; with the whole story.
#[track_caller]
pub fn plays(scenario: &Scenario) {
    if let Err(broken) = play_safely(scenario) {
        panic!("{}", report(scenario, &broken));
    }
}

impl Scenario {
    /// See [`plays`].
    ///
    /// # Panics
    /// As that.
    #[track_caller]
    pub fn plays(&self) {
        plays(self);
    }
}

/// Plays a scenario once for every call of a stretch of one of its runs, and ends when the run has no further one.
///
/// # Panics
/// As [`plays`]; and when the stretch is not there.
#[track_caller]
pub fn at_every_call(stretch: &Stretch, scenario: impl Fn(Moment) -> Scenario) {
    for nth in 1..ENDLESS {
        let scenario = scenario(Moment::Within(stretch.clone(), nth));
        match play_safely(&scenario) {
            Err(broken) if broken.starts_with(OVER) => return,
            Err(broken) => panic!("at call {nth} of the stretch: {}", report(&scenario, &broken)),
            Ok(_) => {}
        }
    }
    panic!("a run of {ENDLESS} calls and more");
}
