//! Errors that carry what was tried, on which path, and why it failed.
//!
//! Whoever shows them adds the host and what the person can do.

use std::fmt;
use std::io;

use smd_protocol::names::printable;

/// A file-system call that failed, with the path it was about.
#[derive(Debug)]
pub struct Error {
    /// What was tried, as a verb: `open`, `rename`, `sync`.
    pub action: &'static str,
    /// The path as a person would type it, bytes as they are.
    pub path: Vec<u8>,
    /// What the system said.
    pub cause: io::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.action, printable(&self.path), self.cause)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Adds verb and path to an I/O result: cheaper to do than to skip.
pub trait Context<T> {
    /// Names what was tried on which path.
    ///
    /// # Errors
    /// The one that was there.
    fn context(self, action: &'static str, path: impl AsRef<[u8]>) -> Result<T, Error>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, action: &'static str, path: impl AsRef<[u8]>) -> Result<T, Error> {
        self.map_err(|cause| Error { action, path: path.as_ref().to_vec(), cause })
    }
}

/// Something that kept us from a complete look or a step, to be shown to a person. What it is about
/// counts as unknown, never as gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// The path below the root (or the root's own), bytes as they are.
    pub path: Vec<u8>,
    /// One sentence without a full stop: cause and, after a semicolon, what to do.
    pub text: String,
}
