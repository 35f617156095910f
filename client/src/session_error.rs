//! How a session fails: the values that the brain returns and [`crate::error`] puts into words.

use std::io;
use std::path::PathBuf;

use smd_protocol::names::printable;

use crate::report::Host;

/// Why a session ended without a report. A tripped guard is not among them: it is an outcome.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Another run holds a lock.
    #[error("{} is locked at the {}", path.display(), word(*host))]
    Locked {
        /// Where.
        host: Host,
        /// The lock or the root.
        path: PathBuf,
    },
    /// The server has enough sessions.
    #[error("{text}")]
    Busy {
        /// Of whom, and how many.
        text: String,
    },
    /// The first bytes were no frame of ours.
    #[error("it said `{}`", printable(first_bytes))]
    Noise {
        /// The beginning of what came.
        first_bytes: Vec<u8>,
    },
    /// No version that both ends know.
    #[error("{text}")]
    Version {
        /// Which versions.
        text: String,
    },
    /// The peer broke a rule of the wire.
    #[error("{text}")]
    Protocol {
        /// Which one.
        text: String,
    },
    /// The connection ended or broke.
    #[error("the connection was lost")]
    Lost {
        /// Whether the server's Hello had come.
        met: bool,
        /// What reading or writing said; an orderly end has none.
        #[source]
        source: Option<io::Error>,
    },
    /// Reading or writing failed, and no part of the run could go on.
    #[error("{} at the {}", path.display(), word(*host))]
    Io {
        /// Where.
        host: Host,
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server shut itself off from what this run wants of it; another connection reaches a server that can do it. Nothing is
    /// wrong. Whoever runs a session connects again ([`crate::run::RECONNECTS`]).
    #[error("the server asked for another connection")]
    Reconnect,
    /// The server's policy does not permit it.
    #[error("{text}")]
    Refused {
        /// What.
        text: String,
    },
    /// The roots or excludes make no sense to one of the hosts.
    #[error("{text}")]
    Config {
        /// What.
        text: String,
    },
    /// The stop flag was seen.
    #[error("stopped")]
    Interrupted,
    /// Something that cannot be.
    #[error("{text}")]
    Bug {
        /// What.
        text: String,
    },
}

fn word(host: Host) -> &'static str {
    match host {
        Host::Client => "client",
        Host::Server => "server",
    }
}
