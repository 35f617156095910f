//! Any bytes for everything that reads what somebody else wrote: one function for each reader, none of which may panic, take long,
//! or give back another thing than it took.
//!
//! `fuzz/` in the repository calls them from a fuzzer, and the test below with what is kept in `fuzz/corpus/`, and with small
//! changes of it. What decides the time is the processor's, so that a busy machine does not count.
//!
//! Deliberately not here: whole programs (`smd-tests`).

mod ends;
mod readers;
#[cfg(test)]
mod seeds;
mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

/// So many bytes are given to a reader at most.
pub const INPUT_MAX: usize = 64 << 10;
/// So long may one take for them, in a build that is optimised.
pub const TIME_MAX: Duration = Duration::from_millis(50);

/// A reader of what somebody else wrote.
pub type Target = fn(&[u8]);

/// All of them, by the names that their directories have.
pub const TARGETS: &[(&str, Target)] = &[
    ("frames", readers::frames),
    ("decompressor", readers::decompressor),
    ("client_messages", readers::client_messages),
    ("server_messages", readers::server_messages),
    ("server_machine", ends::server),
    ("client_machine", ends::client),
    ("snapshot", state::snapshot),
    ("cache", state::cache),
    ("config", readers::config),
    ("excludes", readers::excludes),
    ("names", readers::names),
    ("header", readers::header),
    ("escaper", readers::escaper),
];

/// Gives these bytes to a reader, and panics when it takes longer than `most`.
pub fn run(target: Target, data: &[u8], most: Duration) {
    let data = &data[..data.len().min(INPUT_MAX)];
    let before = spent();
    target(data);
    let took = spent().saturating_sub(before);
    assert!(took <= most, "{} bytes took {} ms of the processor", data.len(), took.as_millis());
}

/// Gives these bytes to the reader of this name, for a fuzzer: its builds check more and are slower.
///
/// # Panics
/// When there is no such reader, or it does what none may do.
pub fn named(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a reader of that name");
    run(*target, data, TIME_MAX * 4);
}

/// What this process has had of the processors. Readers may have threads of their own.
fn spent() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
}
