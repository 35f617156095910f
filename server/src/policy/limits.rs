//! Limits of quantity: plain data, none of which is enforced here.

use smd_maildir::quota::Caps;
use smd_maildir::share::Share;

/// How many messages a key may remove within 24 hours of the age clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MaxRemove {
    /// As many as there are.
    Any,
    /// The larger of a tenth of the root and 20: what a restricted key has unless its line says otherwise.
    Default,
    /// So many.
    Messages(u64),
}

/// How much a session, or a key within a day, may do. Sizes are in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `--max-remove N`.
    pub max_remove: MaxRemove,
    /// `--keep-free SIZE`: so much stays free on the disk of a root, or such a share of it.
    pub keep_free: Option<Share>,
    /// `--max-message SIZE`: the largest message.
    pub max_message: Option<u64>,
    /// `--max-bytes SIZE`: what one run may bring, copies counted.
    pub max_bytes_run: Option<u64>,
    /// `--max-bytes-day SIZE`: the same for 24 hours of the age clock.
    pub max_bytes_day: Option<u64>,
    /// `--require-sandbox`: without all of it nothing is served.
    pub require_sandbox: bool,
}

impl Limits {
    /// How much may be brought: what is not said here, the owner's file says.
    pub fn caps(&self, file: Caps) -> Caps {
        Caps {
            keep_free: self.keep_free.or(file.keep_free),
            max_message: self.max_message.or(file.max_message),
            run: self.max_bytes_run.or(file.run),
            day: self.max_bytes_day.or(file.day),
        }
    }

    /// No limit.
    pub fn none() -> Self {
        Self {
            max_remove: MaxRemove::Any,
            keep_free: None,
            max_message: None,
            max_bytes_run: None,
            max_bytes_day: None,
            require_sandbox: false,
        }
    }
}
