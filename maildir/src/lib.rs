//! Everything that touches a mailbox or a state file: scan, hash, store, lock, apply, grave.
//!
//! Deliberately not here: arguments, terminals, `ssh`, and decisions about what should happen to a
//! message. Those are made by `smd_protocol::reconcile`, without I/O.

pub mod apply;
pub mod cache;
pub mod error;
pub mod exclude;
pub mod fs;
pub mod grave;
pub mod hash;
pub mod home;
pub mod keys;
pub mod lock;
pub mod quota;
mod rename;
pub mod root;
pub mod roots;
pub mod run;
pub mod scan;
pub mod send;
pub mod share;
pub mod store;
pub mod undo;
pub mod watch;

pub use error::{Context, Error, Trouble};
pub use root::Root;
