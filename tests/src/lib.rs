//! Whole programs against each other: what the tests under `tests/` share.
//!
//! A [`world::World`] is a temporary directory with a few hosts, each with its own home, and a way from one to the other:
//! a pair of directories, a remote shell of three lines, or a real `sshd`. [`user::User`] does to a Maildir what mail
//! programs and people do; [`tree::Tree`] is what a Maildir holds, as a value that can be compared.
//!
//! Deliberately not here: the rules of the project's own code. What is tested is the programs as a person has them, so nothing
//! below reads their state files by their own parsers or trusts their digests; what it takes from them are lists, names and
//! texts. And what no whole program can be made to meet: `smd-models` has that.

pub mod busy;
pub mod figures;
pub mod hostile;
pub mod looping;
pub mod mail;
pub mod mounts;
pub mod moving;
pub mod outcome;
pub mod populate;
pub mod processes;
pub mod programs;
pub mod ram;
pub mod rng;
pub mod room;
pub mod sshd;
pub mod stamps;
pub mod story;
pub mod trace;
pub mod tree;
pub mod user;
pub mod world;
