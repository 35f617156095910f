//! Both ends of sessions in one process and one thread, on disks that forget, fail and crash, with users in between.
//!
//! A [`Case`] is a seed and a sequence of events; `play` plays it and says which promise was broken, if one
//! was; `shrink` makes a failing case short. What must and may be there is known from what users did alone (`ledger`).
//! The code under test is the project's own session, scan, apply, store and commit, unchanged.
//!
//! Deliberately not here: real processes, pipes and disks; those are what the tests under `tests/` have.

pub mod act;
mod boxes;
pub mod deed;
pub mod host;
pub mod ledger;
pub mod line;
pub mod mail;
pub mod many;
pub mod number;
pub mod play;
pub mod scenario;
pub mod shrink;
#[cfg(test)]
mod tests;
pub mod users;

pub use act::Case;
pub use play::{Figures, play};
pub use shrink::shrink;
