//! Many random cases on all cores, and what is said of the first that fails.
//!
//! Deliberately not here: how long or how many; the CI's test and the `soak` program say so.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use smd_protocol::seeded;

use super::play::{in_words, play_told};
use super::scenario::Scenario;
use super::{Case, Figures, shrink};

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
    static PLAYS: Cell<bool> = const { Cell::new(false) };
}

/// Keeps what a panic says while this thread plays, for the report, instead of printing it. Other panics are printed as ever.
pub fn catch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let as_ever = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match PLAYS.get() {
            true => PANIC.set(panic.to_string()),
            false => as_ever(panic),
        }));
    });
}

/// Plays a scenario; a panic of the code under test counts as a broken promise.
///
/// # Errors
/// The broken promise.
pub fn play_safely(scenario: &Scenario) -> Result<Figures, String> {
    quietly(|| play_told(scenario, None)).unwrap_or_else(|| Err(format!("panic: {}", PANIC.take())))
}

/// What `plays` gives; none where it panicked.
fn quietly<T>(plays: impl FnOnce() -> T) -> Option<T> {
    PLAYS.set(true);
    let played = catch_unwind(AssertUnwindSafe(plays));
    PLAYS.set(false);
    played.ok()
}

/// After so many failures nothing more is played.
fn failures() -> u64 {
    if seeded::chosen().is_some() { 1 } else { 5 }
}

/// The first word of a broken promise.
fn kind(broken: &str) -> String {
    let end = if broken.starts_with("panic") { 60 } else { broken.find(':').unwrap_or(broken.len()) };
    broken.chars().take(end).collect()
}

/// A failing random case, made short, as a scenario that can be put into a test, with its story.
pub fn report_case(case: &Case, broken: &str) -> String {
    let wanted = kind(broken);
    // One that was seeded is no riddle.
    let short = if seeded::chosen().is_some() {
        case.clone()
    } else {
        shrink(case, |shorter| play_safely(&shorter.into()).is_err_and(|broken| kind(&broken) == wanted))
    };
    format!("seed {} broke a promise: {broken}\nshortened: {short:?}\n{}", case.seed, told(&(&short).into()))
}

/// A failing scenario, with its story.
pub fn report(scenario: &Scenario, broken: &str) -> String {
    format!("{broken}\n{scenario}\n{}", told(scenario))
}

/// What is broken in a scenario, all of it by name, and its story for those who look for the cause.
fn told(scenario: &Scenario) -> String {
    let broken = play_safely(scenario).err().unwrap_or_default();
    let words = quietly(|| in_words(scenario).0);
    let mut story = words.map_or_else(|| "(it cannot be said by name)".to_owned(), |words| words.to_string());
    story.push('\n');
    quietly(|| {
        let mut tell = |line: String| {
            story.push_str(&line);
            story.push('\n');
        };
        // Its end was said above.
        drop(play_told(scenario, Some(&mut tell)));
    });
    format!("{broken}\n{story}")
}

/// Plays the random cases of these seeds on all cores, each of them, unless `enough` says before that it is. Gives the
/// figures and how many failed (it ends at the fifth; where one was seeded, at the first), of which `failed` hears at once.
pub fn many(
    seeds: Range<u64>,
    enough: impl Fn(&Figures) -> bool + Sync,
    failed: impl Fn(&str) + Sync,
) -> (Figures, u64) {
    let next = AtomicU64::new(seeds.start);
    let done = AtomicBool::new(false);
    let all = Mutex::new((Figures::default(), 0));
    let work = || {
        while !done.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            let case = Case::random(seed);
            let result = play_safely(&(&case).into());
            if let Err(broken) = &result {
                failed(&report_case(&case, broken));
            }
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.1 += u64::from(result.is_err());
            all.0.add(&result.unwrap_or(Figures { sequences: 1, ..Figures::default() }));
            if enough(&all.0) || all.1 >= failures() {
                done.store(true, Ordering::Relaxed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}
