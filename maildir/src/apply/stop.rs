//! Why a step was not taken, as a sentence for a person.

use std::io;

use smd_protocol::names::printable;
use smd_protocol::step::LOOKS_AGAIN;
use smd_protocol::{Outcome, Refusal};

use crate::error::Error;
use crate::quota::Denied;

/// Ends a step before it is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// The disk was not as scanned.
    Changed(String),
    /// The file system or a name forbids it.
    Failed(String),
    /// A limit forbids it.
    Refused(Refusal),
}

impl Stop {
    /// The sentence.
    pub(super) fn text(self) -> String {
        match self {
            Stop::Changed(text) | Stop::Failed(text) => text,
            Stop::Refused(refusal) => refusal.to_string(),
        }
    }

    pub(super) fn changed(path: &[u8], what: &str) -> Self {
        Stop::Changed(format!("{} {what}; {LOOKS_AGAIN}", printable(path)))
    }

    /// What a quota says, or the disk when it was asked.
    pub(super) fn denied(action: &'static str, path: &[u8], denied: Denied) -> Self {
        match denied {
            Denied::Over(over) => Stop::Refused(over.refusal()),
            Denied::Io(cause) => Error { action, path: path.to_vec(), cause }.into(),
        }
    }

    pub(super) fn failed(path: &[u8], what: &str, hint: &str) -> Self {
        Stop::Failed(format!("{} {what}; {hint}", printable(path)))
    }
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Changed(text) => Outcome::Changed(text),
            Stop::Failed(text) => Outcome::Failed(text),
            Stop::Refused(refusal) => Outcome::Refused(refusal),
        }
    }
}

impl From<&Error> for Stop {
    fn from(error: &Error) -> Self {
        let hint = hint(&error.cause);
        Stop::Failed(format!("{error}{}{hint}", if hint.is_empty() { "" } else { "; " }))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

/// A name that the file system takes for another that it has.
pub(super) fn other_spelling(shown: &[u8]) -> Stop {
    Stop::failed(
        shown,
        "exists under another spelling, which this file system takes for the same",
        "rename one of the two",
    )
}

/// What a person can do about it, if we know.
fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::StorageFull => "make room on this disk",
        io::ErrorKind::QuotaExceeded => "the quota is used up",
        io::ErrorKind::PermissionDenied => "check owner and permissions",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is mounted read-only",
        io::ErrorKind::InvalidFilename => "this file system does not take so long a name",
        io::ErrorKind::NotADirectory => "a file or symlink is where a directory should be",
        io::ErrorKind::CrossesDevices => "it is on another file system than the root, so there is no grave for it",
        _ => "",
    }
}
