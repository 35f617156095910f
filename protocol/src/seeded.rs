//! Deliberate bugs, to prove that the tests see them: each is one switch in the code, and one at a time is switched on.
//!
//! The table of them, with the promise that each breaks and the test that must catch it, is `tests/src/bin/seeded/`; `cargo run
//! -p smd-tests --bin seeded` goes through it. Only builds with debug assertions have the switches, so that the tests and the
//! deliberate bugs share one build. In a release every switch is a constant `false`, and the compiler leaves nothing of it.
//!
//! Deliberately not here: what a bug does. It stands where the rule stands that it breaks.

/// The environment variable that names the bug.
pub const BUG: &str = "SMD_SEEDED_BUG";

/// Whether this deliberate bug is switched on.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn is(_bug: &str) -> bool {
    false
}

/// Whether this deliberate bug is switched on.
#[cfg(debug_assertions)]
#[inline]
pub fn is(bug: &str) -> bool {
    chosen().is_some_and(|chosen| chosen == bug)
}

/// The bug that the environment names, asked once.
#[cfg(debug_assertions)]
#[inline]
pub fn chosen() -> Option<&'static str> {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "only in builds for tests, and nothing else of them asks")]
    CHOSEN.get_or_init(|| std::env::var(BUG).ok()).as_deref()
}

/// The bug that the environment names: none, in a release.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn chosen() -> Option<&'static str> {
    None
}
