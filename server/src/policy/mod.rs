//! What one session may do: whose key it is, which verbs it has, in which roots, and within which limits.
//!
//! The plain server serves with [`Authority::owner`]; the restricted shell makes an authority of its arguments. A session asks it
//! in one place for each step ([`admit`]).
//!
//! Deliberately not here: reading arguments, and anything that touches a disk.

mod admit;
pub mod budget;
mod limits;
pub mod roots;

use smd_maildir::home::{Label, LabelError};
use smd_protocol::Rights;
use smd_protocol::reconcile::Direction;
use smd_protocol::rights::{FEATURE, Push, UNBOUND};
use smd_protocol::wire::Failure;

pub use admit::{Left, Planned, Standing, admit, planned};
pub use budget::Removals;
pub use limits::{Limits, MaxRemove};
pub use roots::Roots;

/// What one session may do.
#[derive(Clone, Debug)]
pub struct Authority {
    /// The key's label, under which its state lies and what it removes is written down; none for the owner's own keys.
    pub key: Option<Label>,
    /// Its verbs.
    pub rights: Rights,
    /// In which directories.
    pub roots: Roots,
    /// How much.
    pub limits: Limits,
    /// The plain server runs by the command of a key's line, whose owner may think that the key is limited by it.
    pub forced: bool,
    /// Where the client comes from, as sshd says (`SSH_CONNECTION`): for the log of the key.
    pub connection: Vec<u8>,
}

impl Authority {
    /// Everything that the account may do: the plain server's.
    pub fn owner() -> Self {
        Self {
            key: None,
            rights: Rights::OWNER,
            roots: Roots::Any,
            limits: Limits::none(),
            forced: false,
            connection: Vec::new(),
        }
    }

    /// Whether there is anything to ask for a step.
    pub fn asks(&self) -> bool {
        self.rights != Rights::OWNER || self.limits != Limits::none()
    }

    /// The name under which a client's state lies that calls itself so. A key's clients are told from those of every other key,
    /// whatever they call themselves.
    ///
    /// # Errors
    /// When that is too long for a name.
    pub fn client(&self, id: &Label) -> Result<Label, LabelError> {
        self.key.as_ref().map_or_else(|| Ok(id.clone()), |key| id.of_key(key))
    }

    /// Whether what rests in a grave under this owner's name was removed by this key; the owner's keys own all.
    pub fn owns(&self, owner: &str) -> bool {
        self.rights.undo || self.key.as_ref().is_none_or(|key| key.is_key_of(owner))
    }

    /// The direction that remains of what a client wants.
    ///
    /// # Errors
    /// [`Failure::Refused`] when nothing of it does.
    pub fn direction(&self, wanted: Direction) -> Result<Direction, Failure> {
        self.rights.within(wanted).ok_or_else(|| {
            let may = match (self.rights.pull, self.rights.push) {
                (true, _) => "this key may pull and not push",
                (false, Push::Nothing) => "this key may neither pull nor push",
                (false, _) => "this key may push and not pull",
            };
            Failure::Refused(
                format!("{may} (its line in ~/.ssh/authorized_keys at the server says --allow {})", self.rights).into(),
            )
        })
    }

    /// What a client is told of it: features of the server's Hello.
    pub fn features(&self) -> Vec<String> {
        let policy = self.key.is_some().then(|| format!("{FEATURE}{}", self.rights));
        let unbound = matches!(self.roots, Roots::Found(_)).then(|| UNBOUND.to_owned());
        policy.into_iter().chain(unbound).collect()
    }
}
