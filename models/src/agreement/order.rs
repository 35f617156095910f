//! Which host can be how far in a session: who waits for what.
//!
//! Deliberately not here: what a host does at each stage (`host.rs` beside it).

use super::host::{Kind, Point};

/// How the hosts keep the agreement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Habit {
    /// As the programs do.
    #[default]
    Product,
    /// The client promotes and says so when its own next base is durable, without having heard of the server's.
    CommitUnheard,
    /// The next base has the counter of the one before.
    SameCounter,
}

impl Habit {
    /// Whether the client can be here while the server is there. Each waits for what the other says when it is done:
    /// open (its offer), agree (the server's look), prepare (`Prepared`); the client's offer, its `Prepare`, and `Commit`
    /// are said before the client itself begins with the same.
    pub(super) fn may_be(self, kind: Kind, client: Point, server: Point) -> bool {
        // A host needs nobody for its own notes.
        if kind == Kind::Note {
            return (server.begun < 1 || client.done >= 1) && (client.begun < 2 || server.done >= 1);
        }
        (server.begun < 1 || client.done >= 1)
            && (client.begun < 2 || server.done >= 1)
            && (client.begun < 3 || server.done >= 2)
            && (server.begun < 3 || client.done >= 2)
            && (client.begun < 4 || server.done >= 3 || self == Self::CommitUnheard)
            && (server.begun < 4 || client.done >= 3)
    }
}
