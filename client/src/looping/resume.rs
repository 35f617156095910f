//! Notices that the machine was suspended, without ever waking up to look: a timer that is never due is cancelled when the
//! clock is set, which is what a resume does.
//!
//! Deliberately not here: what is done about it.

use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::{Errno, read};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};

/// A shorter sleep is a clock that was set.
const SLEPT: Duration = Duration::from_secs(1);

/// Waits for resumes.
#[derive(Debug)]
pub(super) struct Resumes {
    timer: OwnedFd,
    asleep: Duration,
}

impl Resumes {
    /// Notices every resume from now on.
    ///
    /// # Errors
    /// When this kernel has no such timer.
    pub(super) fn watch() -> rustix::io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC)?;
        Ok(Self { timer, asleep: asleep() })
    }

    /// Waits for the next one and says how long the machine slept.
    ///
    /// # Errors
    /// When the timer cannot be used.
    pub(super) fn next(&mut self) -> rustix::io::Result<Duration> {
        let never = Timespec { tv_sec: i64::from(u32::MAX) * 4, tv_nsec: 0 };
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let when = Itimerspec { it_interval: zero, it_value: never };
        loop {
            timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &when)?;
            match read(&self.timer, &mut [0u8; 8]) {
                Ok(_) | Err(Errno::CANCELED | Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            let now = asleep();
            let slept = now.saturating_sub(self.asleep);
            self.asleep = now;
            if slept >= SLEPT {
                return Ok(slept);
            }
        }
    }
}

/// How long this machine was suspended since its start: what one clock counts and the other does not.
fn asleep() -> Duration {
    let seconds = |clock| {
        let time = clock_gettime(clock);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    // In this order, so that the difference never seems smaller than it is by the time between the two.
    let awake = seconds(ClockId::Monotonic);
    seconds(ClockId::Boottime).saturating_sub(awake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_tell_how_long_the_machine_slept_and_that_does_not_grow_while_it_is_awake() {
        let resumes = Resumes::watch().expect("this kernel has such a timer");
        assert!(asleep().saturating_sub(resumes.asleep) < SLEPT);
    }
}
