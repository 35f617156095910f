//! A session that stays: run after run over one connection, and in between a rest in which both hosts watch.
//!
//! Deliberately not here: when to run, what to do about a run that failed, and connecting again (`looping`).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use smd_maildir::fs::Fs;

use super::{Line, SessionError};
use crate::endpoint::Endpoint;
use crate::options::RunOptions;
use crate::progress::Progress;
use crate::report::{Report, Trouble};

/// Why a rest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something changed on this host.
    Here,
    /// Something changed at the server.
    There,
    /// [`Waker::wake`] was called.
    Asked,
    /// The time has come.
    Time,
}

/// Ends a rest from any thread. What is asked for while nobody rests ends the next rest at once.
#[derive(Clone, Debug, Default)]
pub struct Waker {}

impl Waker {
    /// Ends the rest that is on, or else the next one.
    pub fn wake(&self) {}
}

/// A session that stays: run after run over one connection.
pub struct Open<F: Fs> {
    fs: Arc<F>,
    endpoint: Endpoint,
    line: Line,
    stop: Arc<AtomicBool>,
}

impl<F: Fs> Open<F> {
    /// A session of which nothing was said yet.
    pub fn new(fs: Arc<F>, endpoint: Endpoint, line: Line, stop: Arc<AtomicBool>) -> Self {
        Self { fs, endpoint, line, stop }
    }

    /// One run: locks are taken and freed. After an error the session is of no more use: drop it, and connect again.
    ///
    /// # Errors
    /// When the run cannot be brought to its end. What was committed stands; the next run finishes the rest.
    pub fn run(&mut self, options: &RunOptions, progress: &mut Progress) -> Result<Report, SessionError> {
        let _ = (&self.fs, &self.endpoint, &self.line, &self.stop, options, progress);
        Err(SessionError::Bug { text: "not built yet".to_owned() })
    }

    /// Whether another run needs another connection: the server does not know how to rest. Until then [`Open::rest`]
    /// still watches this host.
    pub fn is_over(&self) -> bool {
        true
    }

    /// What is not watched, by host and path, and why: to be told once. While there is any of it, only time tells when to
    /// look; empty when both hosts watch everything. Known after a run.
    pub fn unwatched(&self) -> Vec<Trouble> {
        Vec::new()
    }

    /// Watches both hosts until something happens, or until then. Each thing is told once: a run is expected to follow
    /// [`Woken::Here`] and [`Woken::There`].
    ///
    /// # Errors
    /// [`SessionError::Lost`] when the connection ends or is silent for too long, [`SessionError::Interrupted`] when the
    /// stop flag is up (raise it first, then wake).
    pub fn rest(&mut self, until: Option<Instant>, waker: &Waker) -> Result<Woken, SessionError> {
        let _ = (until, waker);
        Err(SessionError::Bug { text: "not built yet".to_owned() })
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn close(self) -> Result<(), SessionError> {
        Ok(())
    }
}
