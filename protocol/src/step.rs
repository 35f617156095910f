//! Steps: what a plan asks one host to do, and what became of it.
//!
//! A step names messages by folder and uniq and says what they shall become. What they are *now* it
//! does not say: the host that takes the step knows what it scanned, compares the disk with that before
//! it acts, and refuses when they differ.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::delta::Mtime;
use crate::digest::Content;
use crate::flags::Flags;
use crate::names::{Folder, Name, Uniq};
use crate::snapshot::Place;

/// Where the bytes of a new or replaced message come from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Source {
    /// The peer sends them whole.
    Wire,
    /// This host has them under this name, or installs them there in this same batch.
    Copy(Name),
    /// The peer sends the header; the body is that of this host's message of this name.
    Body(Name),
}

/// How a message shall lie in its folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dress {
    /// `new` or `cur`.
    pub place: Place,
    /// Its flags.
    pub flags: Flags,
}

/// Bytes that a host does not have under the name where they shall be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bytes {
    /// What they must digest to.
    pub content: Content,
    /// Where they come from.
    pub source: Source,
    /// The mtime that goes with them; with [`Source::Wire`] the sender says it beside the bytes.
    pub mtime: Option<Mtime>,
}

/// One thing for one host to do. Each may be repeated: a step that was already taken changes nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Step {
    /// Make `cur`, `new` and `tmp` of this folder, and what is missing above.
    MakeFolder(Folder),
    /// Remove this folder if no message and no unknown file is left in it.
    RemoveFolder(Folder),
    /// Install a message under a name that is free.
    Put {
        /// Its name.
        to: Name,
        /// Place and flags.
        dress: Dress,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Give a message other bytes; the old ones go to the grave.
    Replace {
        /// Its name.
        at: Name,
        /// Place and flags afterwards.
        dress: Dress,
        /// The new bytes.
        bytes: Bytes,
    },
    /// Rename a message: to another name, to other flags, or both. `to` is free, or equal to `from`.
    Move {
        /// Its name now.
        from: Name,
        /// Its name afterwards.
        to: Name,
        /// Place and flags afterwards.
        dress: Dress,
    },
    /// Put a message into the grave.
    Delete(Name),
    /// Two messages of this host have one name: the one with other bytes than the first gets one of its own. Taken before all
    /// others, as they know it by that already.
    Part(Twin),
}

/// A second message under a name that another has.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Twin {
    /// The name of both.
    pub from: Name,
    /// The bytes of the second.
    pub content: Content,
    /// The uniq that it gets, in the same folder.
    pub to: Uniq,
}

impl Twin {
    /// The second's own name.
    pub fn name(&self) -> Name {
        Name::new(&self.from.folder, &self.to)
    }
}

impl Step {
    /// The bytes that this step brings in, if any.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Step::Put { bytes, .. } | Step::Replace { bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// The message under which the new bytes, or the moved ones, will be found.
    pub fn target(&self) -> Option<&Name> {
        match self {
            Step::Put { to, .. } | Step::Move { to, .. } => Some(to),
            Step::Replace { at, .. } => Some(at),
            _ => None,
        }
    }

    /// Whether the user's bytes leave the tree by it.
    pub fn removes(&self) -> bool {
        matches!(self, Step::Delete(_) | Step::Replace { .. })
    }
}

/// How a sentence ends that tells of something which changed meanwhile. It passes by itself.
pub const LOOKS_AGAIN: &str = "the next run looks again";

/// What became of a step. From the wire it comes with texts of another type, [`crate::Told`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome<T = String> {
    /// It is done, or was already.
    Done,
    /// The disk was not as scanned; the next run looks again. Carries one sentence for the person.
    Changed(T),
    /// The file system or the name forbids it. Carries path, cause and hint for the person.
    Failed(T),
    /// The local source of its bytes is gone: the peer must send them whole.
    NeedBytes,
    /// The host was able to, and would not: nothing was tried.
    Refused(Refusal<T>),
}

/// Why a host would not take a step. It is asked in one place (`policy::admit` of the server).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Refusal<T = String> {
    /// The key may not do this at all; it was told so in Hello.
    Policy,
    /// The key removed as much as it may within a day.
    Budget {
        /// The line that the owner types at the server to lift it.
        lift: T,
        /// When it frees by itself, in seconds since 1970; none where that is not known.
        frees_at: Option<i64>,
    },
    /// So many bytes would leave too little room, or pass what the key may bring. Carries one sentence for the person.
    Room(T),
    /// The message is larger than this host takes.
    TooLarge {
        /// The most, in bytes.
        most: u64,
    },
}

impl<T> Refusal<T> {
    /// The same with another text.
    pub fn map<U>(self, text: impl FnOnce(T) -> U) -> Refusal<U> {
        match self {
            Refusal::Policy => Refusal::Policy,
            Refusal::Budget { lift, frees_at } => Refusal::Budget { lift: text(lift), frees_at },
            Refusal::Room(why) => Refusal::Room(text(why)),
            Refusal::TooLarge { most } => Refusal::TooLarge { most },
        }
    }
}

/// What is said of it where it is one trouble among others.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Policy => write!(f, "the server's policy for this key does not permit it"),
            Refusal::Budget { lift, .. } => {
                write!(f, "this key may remove no more for now; the owner lifts that at the server by `{lift}`")
            }
            Refusal::Room(why) => f.write_str(why),
            Refusal::TooLarge { most } => {
                write!(
                    f,
                    "it is larger than a message may be here: {most} bytes (max-message); raise that there, or exclude its folder"
                )
            }
        }
    }
}

impl<T> Outcome<T> {
    /// Whether the step is done.
    pub fn is_done(&self) -> bool {
        matches!(self, Outcome::Done)
    }

    /// The same with another text.
    pub fn map<U>(self, text: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Outcome::Done => Outcome::Done,
            Outcome::Changed(it) => Outcome::Changed(text(it)),
            Outcome::Failed(it) => Outcome::Failed(text(it)),
            Outcome::NeedBytes => Outcome::NeedBytes,
            Outcome::Refused(it) => Outcome::Refused(it.map(text)),
        }
    }
}
