//! Deliberate bugs, to prove that the tests see them: each is one switch in the code, and one at a time is switched on.
//!
//! The table of them, with the promise that each breaks and the test that must catch it, is `tests/src/bin/seeded/`; `cargo run
//! -p smd-tests --bin seeded` goes through it. Without the feature `seeded`, which nothing enables but that program, every
//! switch is a constant `false`, and the compiler leaves nothing of it.
//!
//! Deliberately not here: what a bug does. It stands where the rule stands that it breaks.

#[cfg(all(feature = "seeded", not(debug_assertions)))]
compile_error!("the feature `seeded` is for tests: a released program has no deliberate bugs");

/// The environment variable that names the bug.
pub const BUG: &str = "SMD_SEEDED_BUG";

/// Whether this deliberate bug is switched on.
#[cfg(not(feature = "seeded"))]
#[inline(always)]
pub const fn is(_bug: &str) -> bool {
    false
}

/// Whether this deliberate bug is switched on.
#[cfg(feature = "seeded")]
pub fn is(bug: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "only in programs that are built to be broken, and nothing else of them asks"
    )]
    let chosen = CHOSEN.get_or_init(|| std::env::var(BUG).unwrap_or_default());
    chosen == bug
}
