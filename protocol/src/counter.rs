//! The counters of bases: how the next one follows from what both hosts know.
//!
//! A counter is one more with every commit, so that a base that looks like an old one is not taken for it. The other host says
//! what it has counted to, and may be wrong or mean harm: a counter at the end of its range would leave no room for another
//! commit, ever. So none is believed that is far above one's own.
//!
//! Deliberately not here: where counters are kept (`smd-maildir`), and when one is asked for.

use crate::seeded;

/// So far may the counters of two hosts lie apart: more commits than a host that was put back from a backup has missed. At one a second
/// that is twelve days of nothing else.
pub const STEP: u64 = 1 << 20;

fn step() -> u64 {
    if seeded::is("counters-jump") { u64::MAX } else { STEP }
}

/// The counter of the next base, where this host has counted to `ours` and the other says `theirs`; 0 where there was no base.
/// One more than the higher; where they lie further apart than [`STEP`], one more than the lower, since the higher one is no
/// count of commits. Always at least 1, and taken by both hosts ([`may_follow`]).
pub fn next(ours: u64, theirs: u64) -> u64 {
    let (low, high) = (ours.min(theirs), ours.max(theirs));
    let from = if high - low <= step() { high } else { low };
    // Both at the end: there the count begins anew.
    from.checked_add(1).unwrap_or(1)
}

/// Whether a host that has counted to `ours` takes a base with this counter from the other.
pub fn may_follow(ours: u64, counter: u64) -> bool {
    counter > 0 && counter <= ours.saturating_add(step()).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_moves_by_small_steps_whatever_the_other_host_says() {
        for (ours, theirs, then) in [
            (0, 0, 1),
            (5, 5, 6),
            (5, 7, 8),
            (7, 5, 8),
            (0, STEP, STEP + 1),
            (5, STEP + 6, 6),
            (5, u64::MAX, 6),
            (5, u64::MAX - 1, 6),
            (u64::MAX, 0, 1),
            (u64::MAX, u64::MAX - 1, 1),
            (u64::MAX, u64::MAX, 1),
        ] {
            assert_eq!(next(ours, theirs), then, "{ours} {theirs}");
            assert_eq!(next(theirs, ours), then, "{theirs} {ours}");
            assert!(may_follow(ours, then) && may_follow(theirs, then), "{ours} {theirs}");
        }
    }

    #[test]
    fn a_counter_that_jumps_is_refused() {
        for (ours, counter) in [(0, 0), (5, 0), (0, STEP + 2), (5, u64::MAX), (5, u64::MAX / 2), (5, STEP + 7)] {
            assert!(!may_follow(ours, counter), "{ours} {counter}");
        }
        assert!(may_follow(0, STEP + 1) && may_follow(9, 1) && may_follow(u64::MAX, u64::MAX));
    }
}
