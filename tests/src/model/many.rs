//! Many random cases on all cores, and what is said of the first that fails.
//!
//! Deliberately not here: how long or how many; the CI's test and the `soak` program say so.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use smd_protocol::seeded;

use super::play::play_told;
use super::{Case, Figures, play, shrink};

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

/// Plays a case; a panic of the code under test counts as a broken promise.
///
/// # Errors
/// The broken promise.
pub fn play_safely(case: &Case) -> Result<Figures, String> {
    quietly(|| play(case)).unwrap_or_else(|| Err(format!("panic: {}", PANIC.take())))
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

/// A failing case, made short, in words that can be put into a test.
pub fn report(case: &Case, broken: &str) -> String {
    let wanted = kind(broken);
    // One that was seeded is no riddle.
    let short = if seeded::chosen().is_some() {
        case.clone()
    } else {
        shrink(case, |shorter| play_safely(shorter).is_err_and(|broken| kind(&broken) == wanted))
    };
    let now = play_safely(&short).err().unwrap_or_default();
    let mut story = String::new();
    // Told again for those who look for the cause.
    quietly(|| {
        let mut tell = |line: String| {
            story.push_str(&line);
            story.push('\n');
        };
        // Its end was said above.
        drop(play_told(&short, Some(&mut tell)));
    });
    format!("seed {} broke a promise: {broken}\nshortened: {now}\n{short:?}\n{story}", case.seed)
}

/// Plays random cases from a seed on, on all cores, until `enough` says so. Gives the figures and how many failed (it ends
/// at the fifth; where one was seeded, at the first), of which `failed` hears at once.
pub fn many(first: u64, enough: impl Fn(&Figures) -> bool + Sync, failed: impl Fn(&str) + Sync) -> (Figures, u64) {
    let next = AtomicU64::new(first);
    let done = AtomicBool::new(false);
    let all = Mutex::new((Figures::default(), 0));
    let work = || {
        while !done.load(Ordering::Relaxed) {
            let case = Case::random(next.fetch_add(1, Ordering::Relaxed));
            let result = play_safely(&case);
            if let Err(broken) = &result {
                failed(&report(&case, broken));
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
