//! The far end: policy and serve loop. Its stdout is the wire; it takes no arguments, everything comes in
//! the client's Hello.
//!
//! The rooms: [`memory`] (what a run took goes back to the system; the client uses it too), [`link`] (frames, compression, signs of life; the client uses it too), [`roots`] (where a
//! path from the wire becomes a root on this host, and what may be one), [`serve`] (message by message), `watch` (between
//! two runs of a session that stays).
//!
//! Deliberately not here: decisions about messages (the client's planner makes them), and anything said
//! to a person but by way of the client.

pub mod link;
pub mod memory;
pub mod roots;
pub mod serve;
pub mod start;
mod watch;

pub use start::main_impl;
