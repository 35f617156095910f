//! When a change is told: the first after a quiet time at once, later ones when they have settled.
//!
//! Deliberately not here: any clock; whoever calls says what time it is.

use std::time::{Duration, Instant};

/// A quiet time, and how long later changes are collected.
const SETTLE: Duration = Duration::from_millis(100);

/// Changes on their way to being told.
#[derive(Debug, Default)]
pub(super) struct Settle {
    /// When something changed last, told or not.
    last: Option<Instant>,
    /// When what is not told yet will be.
    due: Option<Instant>,
    told: bool,
}

impl Settle {
    /// Something changed.
    pub(super) fn meet(&mut self, now: Instant) {
        let quiet = self.last.is_none_or(|last| now.saturating_duration_since(last) >= SETTLE);
        self.last = Some(now);
        if self.told || self.due.is_some() {
            return;
        }
        if quiet {
            self.told = true;
        } else {
            self.due = Some(now + SETTLE);
        }
    }

    /// Time passes.
    pub(super) fn pass(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.tell();
        }
    }

    /// How long until something is to be told; none when nothing is on its way.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(now))
    }

    /// Something is to be told now.
    pub(super) fn tell(&mut self) {
        self.due = None;
        self.told = true;
    }

    /// Whether something is to be told.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// Whether something is to be told, which is then done.
    pub(super) fn take(&mut self) -> bool {
        std::mem::take(&mut self.told)
    }

    /// What was met is known otherwise.
    pub(super) fn forget(&mut self) {
        self.due = None;
        self.told = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_change_of_a_quiet_time_is_told_at_once_and_later_ones_when_settled() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut settle = Settle::default();
        settle.meet(at(0));
        assert!(settle.take());
        settle.meet(at(30));
        settle.meet(at(60));
        assert_eq!((settle.is_told(), settle.wait(at(60))), (false, Some(Duration::from_millis(70))));
        settle.pass(at(129));
        assert!(!settle.is_told());
        settle.pass(at(130));
        assert!(settle.take());
        assert_eq!(settle.wait(at(130)), None);
        settle.meet(at(200));
        assert!(settle.take(), "a quiet time after what was collected");
    }

    #[test]
    fn what_a_look_knows_is_not_told() {
        let start = Instant::now();
        let mut settle = Settle::default();
        settle.meet(start);
        settle.forget();
        settle.meet(start);
        settle.forget();
        settle.pass(start + SETTLE);
        assert!(!settle.is_told());
    }
}
