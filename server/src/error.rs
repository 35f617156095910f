//! Why serving ends early, and how each cause is told to the client.

use smd_maildir::lock::LockError;
use smd_maildir::run::RunError;
use smd_maildir::store::StoreError;
use smd_protocol::Told;
use smd_protocol::names::printable;
use smd_protocol::wire::Failure;

use crate::link::{ReadError, SendError};
use crate::sandbox::Lacking;

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The session cannot go on; the client was told.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The client is gone.
    #[error(transparent)]
    Send(#[from] SendError),
    /// What came cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The client was silent for too long.
    #[error("nothing was heard from the client for {0} seconds")]
    Silence(u64),
    /// The client gave signs of life, and nothing else.
    #[error("nothing of use was heard from the client for {0} seconds, so its locks are free again")]
    Idle(u64),
    /// The process cannot be confined as it is to be.
    #[error(transparent)]
    Lacking(#[from] Lacking),
}

impl From<RunError> for ServeError {
    fn from(error: RunError) -> Self {
        Self::Failure(failure(&error))
    }
}

pub(crate) fn failure(error: &RunError) -> Failure {
    match error {
        RunError::Lock(LockError::Held { path } | LockError::Stopped { path }) => {
            Failure::Locked { path: printable(path).into() }
        }
        RunError::Lock(LockError::Io(error)) | RunError::Io(error) | RunError::Store(StoreError::Io(error)) => {
            Failure::Io { path: printable(&error.path).into(), text: error.to_string().into() }
        }
        RunError::Naming(text) => Failure::Config(text.clone().into()),
        RunError::Made => Failure::Reconnect,
        RunError::Forbidden(text) => Failure::Protocol((*text).into()),
        RunError::Store(error) => Failure::Io { path: "the state".into(), text: error.to_string().into() },
    }
}

pub(crate) fn protocol(text: impl Into<Told>) -> ServeError {
    ServeError::Failure(Failure::Protocol(text.into()))
}

pub(crate) fn never_offered() -> ServeError {
    protocol("a root that was never offered")
}
