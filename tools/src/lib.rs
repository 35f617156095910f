//! What a person runs by hand, once: `smd-check-conf`, `smd-translate`, `smd-undo`, `smd-allow` and `smd-verify`; to
//! move in, `smd-strip-header`, `smd-uniform-names`, `smd-dedup` and configs of other programs; and `mddiff` for scripts.
//!
//! Each program has a room of its own: its arguments, what it does, and what it says; `area`, `hosts` and `crew` are shared. Config, connection, session
//! and exit codes are those of `smd-client`.
//!
//! Deliberately not here: anything that a run needs, and anything that touches a mailbox (`smd-maildir`).

pub mod allow;
mod area;
pub mod check_conf;
mod crew;
pub mod dedup;
mod hosts;
pub mod import;
pub mod mddiff;
pub mod strip_header;
pub mod translate;
pub mod undo;
pub mod uniform_names;
pub mod verify;
