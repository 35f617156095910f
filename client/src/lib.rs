//! Everything that a person, a shell or ssh notices: the commands `smd-pull`, `smd-push` and
//! `smd-sync`, their arguments, the config file, the connection, and the report.
//!
//! The rooms, in the order a run walks through them: [`args`] (what was typed), [`config`] (what
//! the endpoint's file says), [`endpoint`] (both, resolved against this host), [`connect`] (ssh,
//! or a child on this host), [`session`] (the brain), [`report`] (what happened, in words or
//! JSON), [`error`] and [`exit`] (what went wrong, and the code a script sees). [`run`] is the
//! corridor.
//!
//! Deliberately not here: how a mailbox is read or written (`smd-maildir`), what both ends agree
//! on and how changes are reconciled (`smd-protocol`), and what the far end permits
//! (`smd-server`).

pub mod address;
pub mod args;
pub mod config;
pub mod connect;
pub mod endpoint;
pub mod error;
pub mod exit;
pub mod home;
pub mod hooks;
pub mod journal;
pub mod log;
pub mod looping;
pub mod options;
pub mod output;
pub mod progress;
pub mod report;
pub mod run;
pub mod session;
pub mod session_error;
pub mod signals;
pub mod translate;
pub mod wrap;

pub use args::Command;
pub use run::main_impl;
