//! What one session may do: whose key it is, which verbs it has, in which roots, and within which limits.
//!
//! The plain server serves with [`Authority::owner`]; the restricted shell makes an authority of its arguments. A session asks it
//! in one place for each step ([`admit`]).
//!
//! Deliberately not here: reading arguments, and anything that touches a disk.

mod admit;
pub mod budget;
mod limits;

use smd_maildir::home::Label;
use smd_protocol::Rights;

pub use admit::{Left, Planned, Standing, admit, planned};
pub use budget::Removals;
pub use limits::{Limits, MaxRemove};

/// What one session may do.
#[derive(Clone, Debug)]
pub struct Authority {
    /// The key's label, under which its state lies and what it removes is written down; none for the owner's own keys.
    pub key: Option<Label>,
    /// Its verbs.
    pub rights: Rights,
    /// How much.
    pub limits: Limits,
    /// Where the client comes from, as sshd says (`SSH_CONNECTION`): for the log of the key.
    pub connection: Vec<u8>,
}

impl Authority {
    /// Everything that the account may do: the plain server's.
    pub fn owner() -> Self {
        Self { key: None, rights: Rights::OWNER, limits: Limits::none(), connection: Vec::new() }
    }
}
