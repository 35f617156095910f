//! What the other end is heard of: signs of life and, apart from them, anything of use.
//!
//! A sign of life comes by itself, from a thread that does nothing else; so it proves that there is a process, and not that it
//! goes on. Who is at work says that with another sign, and only that and real messages are of use.
//!
//! Deliberately not here: who waits, and what for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use smd_protocol::seeded;

/// What a message says beyond itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// It is no sign.
    Message,
    /// There is a process at the other end.
    Ping,
    /// It is at work.
    Working,
}

/// When anything of use was last heard. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Life(Arc<Mutex<Instant>>);

impl Default for Life {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Life {
    /// Takes note of what was heard.
    pub(crate) fn hear(&self, sign: Sign) {
        if sign != Sign::Ping || seeded::is("pings-hold-locks") {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    /// When anything of use was last heard; at first, when this was made.
    pub fn useful(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long may still be waited, after a wait that began then and something of use that was heard then; none when it is over.
pub fn left(began: Instant, useful: Instant, now: Instant, bound: Duration) -> Option<Duration> {
    bound.checked_sub(now.saturating_duration_since(began.max(useful))).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_bounded_from_its_begin_or_from_what_was_of_use_meanwhile() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let seconds = Duration::from_secs;
        for (began, useful, now, expected) in [
            (0, 0, 0, Some(60)),
            (0, 0, 59, Some(1)),
            (0, 0, 60, None),
            (0, 0, 600, None),
            // What was heard before, while this end was at work itself, does not shorten the wait.
            (100, 10, 120, Some(40)),
            (100, 130, 160, Some(30)),
            (100, 130, 190, None),
        ] {
            assert_eq!(
                left(at(began), at(useful), at(now), seconds(60)),
                expected.map(seconds),
                "{began} {useful} {now}"
            );
        }
    }

    #[test]
    fn a_ping_is_of_no_use() {
        let life = Life::default();
        let before = life.useful();
        life.hear(Sign::Ping);
        assert_eq!(life.useful(), before);
        std::thread::yield_now();
        life.hear(Sign::Working);
        assert!(life.useful() > before);
        let worked = life.useful();
        life.hear(Sign::Message);
        assert!(life.useful() > worked);
    }
}
