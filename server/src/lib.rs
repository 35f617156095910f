//! The far end: policy and serve loop. Its stdout is the wire; it takes no arguments, everything comes in
//! the client's Hello.
//!
//! The rooms: `serve` (the loop over what comes in), [`session`] (message by message), [`link`] (frames, compression, signs of
//! life; the client uses it too), [`roots`] (where a path from the wire becomes a root on this host, and what may be one), [`policy`] (what a session may do),
//! [`sandbox`] (what the process takes from itself),
//! `watch` (between two runs of a session that stays), [`memory`] (what a run took goes back to the system; the client uses
//! it too), [`start`] and [`shell`] (the two programs), `error` (why serving ends, and how the client hears of it).
//!
//! Deliberately not here: decisions about messages (the client's planner makes them), and anything said
//! to a person but by way of the client.

pub mod config;
mod error;
pub mod link;
pub mod memory;
pub mod policy;
pub mod roots;
pub mod sandbox;
mod serve;
pub mod session;
pub mod shell;
pub mod start;
mod watch;

pub use error::ServeError;
pub use start::main_impl;
