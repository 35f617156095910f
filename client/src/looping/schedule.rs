//! What is due when: a pure table of rhythms, runs and failures; the clock is an argument.
//!
//! A pull and a push that are due together become one sync. After a failure everything waits for one retry, later each
//! time; a poke (a signal, a resume from suspend) ends that wait.
//!
//! Deliberately not here: waiting, running, and what counts as a failure.

use std::time::{Duration, Instant};

use crate::options::Direction;

/// The first retry after a failure that passes by itself, before jitter.
const SOON: Duration = Duration::from_secs(1);
/// The first retry after a failure that needs a person: some hosts lock out who knocks too often.
const LATER: Duration = Duration::from_secs(60);
/// No retry waits longer.
const LATEST: Duration = Duration::from_secs(15 * 60);
/// While both hosts are watched, a run is due so long after the last one: it notices what watching cannot, and takes the
/// closer look at the few folders whose turn it is by age.
pub const DEEP: Duration = Duration::from_secs(15 * 60);
/// What becomes due so soon, or within a tenth of its interval, is done along with what is due.
const TOGETHER: Duration = Duration::from_secs(30);

/// When one direction is due by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Not at all, whatever is seen.
    Never,
    /// When a change is seen; never by time alone.
    Seen,
    /// After so many minutes where nobody watches, and when a change is seen.
    Minutes(u32),
}

/// The two directions of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// From the server to this host.
    pub pull: Every,
    /// From this host to the server.
    pub push: Every,
}

/// Whether changes are seen as they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// On both hosts.
    Watching,
    /// Not on both.
    Blind,
}

/// How a failed run is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// It may pass by itself: the network, a lock, a message that changed meanwhile.
    Itself,
    /// A person must do something first.
    ByPerson,
}

/// What is known of one endpoint's runs.
#[derive(Clone, Debug)]
pub struct Schedule {
    rhythm: Rhythm,
    /// When each direction was last done.
    pulled: Instant,
    pushed: Instant,
    /// A run is wanted as soon as there is no failure to wait for.
    wanted: bool,
    failures: u32,
    retry: Option<Instant>,
    /// Runs in a row that left something, and when that is tried again; nothing waits for it.
    lefts: u32,
    again: Option<Instant>,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { pull: Every::Minutes(5), push: Every::Minutes(5) }
    }
}

impl Rhythm {
    /// Everything that is ever done; none for an endpoint that is only listed.
    pub fn direction(&self) -> Option<Direction> {
        both(self.pull != Every::Never, self.push != Every::Never)
    }
}

fn both(pull: bool, push: bool) -> Option<Direction> {
    match (pull, push) {
        (true, true) => Some(Direction::Sync),
        (true, false) => Some(Direction::Pull),
        (false, true) => Some(Direction::Push),
        (false, false) => None,
    }
}

/// Twice as long each time, up to the latest, and never less than half of that.
fn delay(first: Duration, before: u32, jitter: f64) -> Duration {
    let delay = first.saturating_mul(1 << before.min(20)).min(LATEST);
    delay.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

impl Every {
    fn interval(self) -> Option<Duration> {
        match self {
            Self::Minutes(minutes) => Some(Duration::from_secs(60 * u64::from(minutes))),
            Self::Never | Self::Seen => None,
        }
    }
}

impl Schedule {
    /// Nothing was done yet: the first run is due at once.
    pub fn new(rhythm: Rhythm, now: Instant) -> Self {
        Self { rhythm, pulled: now, pushed: now, wanted: true, failures: 0, retry: None, lefts: 0, again: None }
    }

    /// Another rhythm; the next run is due at once.
    pub fn change(&mut self, rhythm: Rhythm) {
        self.rhythm = rhythm;
        self.wanted = true;
    }

    /// A change was seen.
    pub fn see(&mut self) {
        self.wanted = true;
    }

    /// A person, or the end of a suspend, wants a run now, whatever failed before.
    pub fn poke(&mut self) {
        self.wanted = true;
        self.retry = None;
    }

    /// Whether a failure is waited out.
    pub fn failing(&self) -> bool {
        self.failures > 0
    }

    /// What is to be done now.
    pub fn due(&self, now: Instant, sight: Sight) -> Option<Direction> {
        let all = self.rhythm.direction()?;
        if let Some(retry) = self.retry {
            return (now >= retry).then_some(all);
        }
        if self.wanted || self.again.is_some_and(|again| now >= again) {
            return Some(all);
        }
        if sight == Sight::Watching {
            return self.deep().filter(|due| now >= *due).and(Some(all));
        }
        let (pull, push) = (self.pull_due(), self.push_due());
        if !pull.into_iter().chain(push).any(|due| now >= due) {
            return None;
        }
        let along = |every: Every, due: Option<Instant>| {
            let window = every.interval().map_or(Duration::ZERO, |interval| (interval / 10).min(TOGETHER));
            due.is_some_and(|due| now + window >= due)
        };
        both(along(self.rhythm.pull, pull), along(self.rhythm.push, push))
    }

    /// When something becomes due, if nothing else happens; none is never.
    pub fn wait(&self, sight: Sight) -> Option<Instant> {
        self.rhythm.direction()?;
        match (self.retry, sight) {
            (Some(retry), _) => Some(retry),
            (None, _) if self.wanted => Some(self.pulled),
            (None, Sight::Watching) => self.deep().into_iter().chain(self.again).min(),
            (None, Sight::Blind) => self.pull_due().into_iter().chain(self.push_due()).chain(self.again).min(),
        }
    }

    /// A run came to its end and did what the direction asks for.
    pub fn done(&mut self, direction: Direction, now: Instant) {
        if direction != Direction::Push {
            self.pulled = now;
        }
        if direction != Direction::Pull {
            self.pushed = now;
        }
        if self.rhythm.direction().is_none_or(|all| direction == Direction::Sync || direction == all) {
            self.wanted = false;
            self.failures = 0;
            self.retry = None;
            self.lefts = 0;
            self.again = None;
        }
    }

    /// A run came to its end and left something as it was: tried again later, while what is new goes on as ever.
    pub fn left(&mut self, direction: Direction, now: Instant, jitter: f64) {
        let lefts = self.lefts;
        self.done(direction, now);
        self.again = Some(now + delay(SOON, lefts, jitter));
        self.lefts = lefts.saturating_add(1);
    }

    /// A run failed; `jitter` is a random number from 0 to 1, so that many clients of one server do not knock in step.
    pub fn failed(&mut self, passing: Passing, now: Instant, jitter: f64) {
        let first = if passing == Passing::Itself { SOON } else { LATER };
        self.retry = Some(now + delay(first, self.failures, jitter));
        self.failures = self.failures.saturating_add(1);
    }

    fn deep(&self) -> Option<Instant> {
        Some(self.pulled.max(self.pushed) + DEEP)
    }

    fn pull_due(&self) -> Option<Instant> {
        Some(self.pulled + self.rhythm.pull.interval()?)
    }

    fn push_due(&self) -> Option<Instant> {
        Some(self.pushed + self.rhythm.push.interval()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn rhythm(pull: Every, push: Every) -> Rhythm {
        Rhythm { pull, push }
    }

    /// A schedule whose first run was done at the returned instant.
    fn ran(rhythm: Rhythm) -> (Schedule, Instant) {
        let now = Instant::now();
        let mut schedule = Schedule::new(rhythm, now);
        schedule.done(rhythm.direction().unwrap_or_default(), now);
        (schedule, now)
    }

    #[test]
    fn the_first_run_is_due_at_once_in_all_directions_that_are_ever_done() {
        use Every::{Minutes, Never, Seen};
        for (pull, push, due) in [
            (Minutes(5), Minutes(5), Some(Direction::Sync)),
            (Minutes(5), Never, Some(Direction::Pull)),
            (Never, Seen, Some(Direction::Push)),
            (Seen, Seen, Some(Direction::Sync)),
            (Never, Never, None),
        ] {
            let now = Instant::now();
            let schedule = Schedule::new(rhythm(pull, push), now);
            assert_eq!(schedule.due(now, Sight::Blind), due);
            assert_eq!(schedule.wait(Sight::Blind), due.map(|_| now));
        }
    }

    #[test]
    fn without_sight_each_direction_has_its_minutes_and_what_is_due_together_is_one_sync() {
        let (mut schedule, start) = ran(rhythm(Every::Minutes(5), Every::Minutes(10)));
        let mut runs = Vec::new();
        while runs.len() < 5 {
            let now = schedule.wait(Sight::Blind).expect("something is due");
            let direction = schedule.due(now, Sight::Blind).expect("what was waited for is due");
            // A run takes a while, so what is due together drifts apart.
            let end = now + Duration::from_secs(3);
            schedule.done(direction, end);
            runs.push((end.duration_since(start).as_secs() / 60, direction));
        }
        let expected = [Direction::Pull, Direction::Sync, Direction::Pull, Direction::Sync, Direction::Pull];
        assert_eq!(runs, [5, 10, 15, 20, 25].into_iter().zip(expected).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let (schedule, start) = ran(Rhythm::default());
        assert_eq!(schedule.due(start + 5 * MINUTE - Duration::from_nanos(1), Sight::Blind), None);
        assert_eq!(schedule.due(start + 5 * MINUTE, Sight::Blind), Some(Direction::Sync));
    }

    #[test]
    fn zero_minutes_are_never_by_time_and_always_by_sight() {
        let (mut schedule, start) = ran(rhythm(Every::Seen, Every::Seen));
        assert_eq!(schedule.wait(Sight::Blind), None);
        assert_eq!(schedule.due(start + 1000 * MINUTE, Sight::Blind), None);
        schedule.see();
        assert_eq!(schedule.due(start, Sight::Watching), Some(Direction::Sync));
    }

    #[test]
    fn while_both_hosts_are_watched_only_the_deep_look_is_due_by_time() {
        let (schedule, start) = ran(Rhythm::default());
        assert_eq!(schedule.wait(Sight::Watching), Some(start + DEEP));
        assert_eq!(schedule.due(start + 14 * MINUTE, Sight::Watching), None);
        assert_eq!(schedule.due(start + DEEP, Sight::Watching), Some(Direction::Sync));
        let (schedule, start) = ran(rhythm(Every::Minutes(5), Every::Never));
        assert_eq!(schedule.due(start + DEEP, Sight::Watching), Some(Direction::Pull));
    }

    #[test]
    fn retries_wait_twice_as_long_each_time_and_at_most_a_quarter_of_an_hour() {
        let waits = |passing, jitter| {
            let (mut schedule, start) = ran(Rhythm::default());
            (0..13)
                .map(|_| {
                    schedule.failed(passing, start, jitter);
                    schedule.wait(Sight::Blind).expect("a retry").duration_since(start).as_secs_f64()
                })
                .collect::<Vec<f64>>()
        };
        let all = [1., 2., 4., 8., 16., 32., 64., 128., 256., 512., 900., 900., 900.];
        assert_eq!(waits(Passing::Itself, 1.0), all);
        assert_eq!(waits(Passing::Itself, 0.0), all.map(|wait| wait / 2.0));
        assert_eq!(waits(Passing::ByPerson, 1.0)[..6], [60., 120., 240., 480., 900., 900.]);
    }

    #[test]
    fn a_failure_is_waited_out_whatever_is_seen_and_a_poke_ends_the_wait() {
        let (mut schedule, start) = ran(Rhythm::default());
        schedule.failed(Passing::ByPerson, start, 1.0);
        schedule.see();
        assert_eq!(schedule.due(start, Sight::Watching), None);
        assert_eq!(schedule.due(start + MINUTE, Sight::Watching), Some(Direction::Sync));
        schedule.poke();
        assert_eq!(schedule.due(start, Sight::Blind), Some(Direction::Sync));
        schedule.done(Direction::Sync, start);
        assert!(!schedule.failing());
        schedule.failed(Passing::Itself, start, 1.0);
        assert_eq!(schedule.wait(Sight::Blind), Some(start + SOON), "a good run forgets the failures before it");
    }

    #[test]
    fn what_was_left_is_tried_again_later_and_keeps_nothing_new_waiting() {
        let (mut schedule, start) = ran(Rhythm::default());
        for wait in [1, 2, 4, 8] {
            schedule.left(Direction::Sync, start, 1.0);
            let again = start + Duration::from_secs(wait);
            assert_eq!((schedule.wait(Sight::Watching), schedule.due(start, Sight::Watching)), (Some(again), None));
            assert_eq!(schedule.due(again, Sight::Watching), Some(Direction::Sync));
        }
        schedule.see();
        assert_eq!(schedule.due(start, Sight::Watching), Some(Direction::Sync));
        schedule.done(Direction::Sync, start);
        assert_eq!(schedule.wait(Sight::Watching), Some(start + DEEP));
    }

    #[test]
    fn one_direction_by_hand_leaves_the_other_wanted() {
        let (mut schedule, start) = ran(Rhythm::default());
        schedule.see();
        schedule.done(Direction::Pull, start);
        assert_eq!(schedule.due(start, Sight::Watching), Some(Direction::Sync));
        schedule.done(Direction::Sync, start);
        assert_eq!(schedule.due(start, Sight::Watching), None);
    }
}
