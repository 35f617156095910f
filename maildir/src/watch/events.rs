//! What the system's events mean for the mail of a root.
//!
//! Deliberately not here: reading them, and when they are told.

use rustix::fs::inotify::{ReadFlags, WatchFlags};
use smd_protocol::names::GRAVE_DIR;

/// Which directory is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Watched {
    /// A directory below the root, or the root itself: only directories in it matter. Mail programs write their
    /// indexes here all day.
    Own,
    /// A `cur` or `new`: names matter.
    Place,
}

impl Watched {
    /// What to ask the system for.
    pub(super) fn flags(self) -> WatchFlags {
        let names = WatchFlags::CREATE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO | WatchFlags::DELETE;
        let more = match self {
            // A root is moved or removed without a word to the directory above, which is not watched.
            Self::Own => WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF,
            // A message that is written in its place is complete when it is closed.
            Self::Place => WatchFlags::CLOSE_WRITE,
        };
        names | more | WatchFlags::ONLYDIR | WatchFlags::EXCL_UNLINK
    }
}

/// What an event means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Meaning {
    /// A look may find something.
    pub(super) change: bool,
    /// There may be directories that are not watched.
    pub(super) stale: bool,
}

const NOTHING: Meaning = Meaning { change: false, stale: false };
const CHANGE: Meaning = Meaning { change: true, stale: false };
const ALL: Meaning = Meaning { change: true, stale: true };

/// What an event in this directory (none: one that is not watched any more) means.
pub(super) fn meaning(at: Option<&Watched>, events: ReadFlags, name: &[u8]) -> Meaning {
    if events.intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::UNMOUNT) {
        return ALL;
    }
    let Some(at) = at else { return NOTHING };
    if events.intersects(ReadFlags::MOVE_SELF | ReadFlags::DELETE_SELF) {
        return ALL;
    }
    if events.contains(ReadFlags::IGNORED) {
        return NOTHING;
    }
    match at {
        Watched::Own if !events.contains(ReadFlags::ISDIR) || name == b"tmp" || name == GRAVE_DIR => NOTHING,
        Watched::Own => ALL,
        // What begins with a dot is no message.
        Watched::Place if name.starts_with(b".") || events.contains(ReadFlags::ISDIR) => NOTHING,
        Watched::Place => CHANGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_look_would_find_counts() {
        let (own, place) = (Some(&Watched::Own), Some(&Watched::Place));
        let dir = ReadFlags::CREATE | ReadFlags::ISDIR;
        for (at, events, name, meaning) in [
            (own, ReadFlags::MOVED_TO, &b"dovecot-uidlist"[..], NOTHING),
            (own, dir, b"tmp", NOTHING),
            (own, dir, b"..smd-grave", NOTHING),
            (own, dir, b"cur", ALL),
            (own, dir, b".Work", ALL),
            (own, ReadFlags::MOVE_SELF, b"", ALL),
            (place, ReadFlags::MOVED_TO, b"1.host", CHANGE),
            (place, ReadFlags::DELETE, b"1.host:2,S", CHANGE),
            (place, ReadFlags::CLOSE_WRITE, b"1.host", CHANGE),
            (place, ReadFlags::CREATE, b".nfs0001", NOTHING),
            (place, dir, b"odd", NOTHING),
            (place, ReadFlags::IGNORED, b"", NOTHING),
            (None, ReadFlags::CREATE, b"1.host", NOTHING),
            (None, ReadFlags::QUEUE_OVERFLOW, b"", ALL),
            (place, ReadFlags::UNMOUNT, b"", ALL),
        ] {
            assert_eq!(super::meaning(at, events, name), meaning, "{at:?} {events:?} {name:?}");
        }
    }
}
