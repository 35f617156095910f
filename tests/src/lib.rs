//! Whole programs against each other: what the tests under `tests/` share.
//!
//! A [`world::World`] is a temporary directory with a few hosts, each with its own home, and a way from one to the other:
//! a pair of directories, a remote shell of three lines, or a real `sshd`. [`user::User`] does to a Maildir what mail
//! programs and people do; [`tree::Tree`] is what a Maildir holds, as a value that can be compared.
//!
//! A [`memory::Memory`] is the disk of one host in memory, for what no whole program can be made to meet: a crash between
//! any two calls, the k-th call failing, another hand between two names of a listing.
//!
//! A [`model`] plays whole sessions on such disks, both ends in one thread, with users and faults in between; an
//! [`agreement`] plays only the commit of a base on two of them, and leaves no way out in which it may be cut.
//!
//! Deliberately not here, [`memory`], [`model`] and [`agreement`] apart: any of the project's own code. What is tested is the
//! programs as a person has them, so nothing else below links to them, reads their state files by their own parsers, or
//! trusts their digests.

pub mod agreement;
pub mod busy;
pub mod figures;
pub mod looping;
pub mod mail;
pub mod memory;
pub mod model;
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
