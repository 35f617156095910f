//! What both ends of a synchronisation must agree on: names, flags, digests, snapshots, deltas,
//! the reconciliation of two deltas, and the wire.
//!
//! Deliberately not here: any I/O, clock, environment or process. `clippy.toml` beside this crate
//! forbids them by name, so that every decision can be tested by a table and replayed from a seed.

pub mod codec;
pub mod counter;
pub mod delta;
pub mod digest;
pub mod flags;
pub mod grave;
pub mod header;
pub mod limits;
pub mod names;
pub mod pack;
pub mod reconcile;
pub mod rights;
pub mod seeded;
pub mod snapshot;
pub mod step;
pub mod told;
pub mod wire;

pub use delta::{Delta, FolderDelta, Meta, Presence, Seen};
pub use digest::{Content, ContentHasher, Digest};
pub use flags::Flags;
pub use names::{FileName, Folder, Name, NameError, Uniq};
pub use rights::{Rights, Verb};
pub use snapshot::{BaseId, Entry, Place, Section, Snapshot};
pub use step::{Outcome, Refusal, Source, Step};
pub use told::Told;
