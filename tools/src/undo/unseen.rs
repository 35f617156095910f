//! Maildirs of a question into whose graves nobody could look: what is known of them, and what a person can do.
//!
//! Of such a Maildir nobody can say that nothing was deleted.

use std::io;
use std::path::{Path, PathBuf};

/// Why nobody could look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no such directory.
    Gone,
    /// It cannot be looked at: why.
    Closed(String),
    /// The other host says that it is not there, or knows it as no Maildir.
    Absent,
    /// No config and no state of this host names it, and nothing of it rests.
    Unknown,
    /// It has no directory in it, and nothing of it rests: so looks a mount point without its disk.
    Empty,
}

/// What rests of it elsewhere than in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// So many messages in the state directory of this host.
    Messages(usize),
    /// That cannot be read: why.
    Unread(String),
    /// The other host knows.
    There,
}

/// Such a Maildir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Its path, bytes as they are.
    pub path: Vec<u8>,
    /// How it is called in texts, escaped.
    pub shown: String,
    /// Why nobody could look.
    pub cause: Cause,
    /// What is known to rest.
    pub kept: Kept,
    /// It was named, or is one of an endpoint that was.
    pub is_named: bool,
}

impl Cause {
    /// Of a root that could not be opened.
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Gone,
            _ => Self::Closed(error.to_string()),
        }
    }
}

impl Kept {
    /// What the state directory has of these paths, which are one root.
    pub fn sum(counts: impl Iterator<Item = io::Result<usize>>) -> Self {
        match counts.sum::<io::Result<usize>>() {
            Ok(messages) => Self::Messages(messages),
            Err(error) => Self::Unread(error.to_string()),
        }
    }
}

impl Unseen {
    /// Whether mail of it rests, or may.
    pub fn may_have_mail(&self) -> bool {
        self.kept != Kept::Messages(0)
    }

    /// Whether what was asked for is not done without it. A Maildir that nobody named and that is gone is nobody's fault: that will
    /// pass when the days of its mail are over.
    pub fn is_fault(&self) -> bool {
        self.is_named || self.may_have_mail() && self.cause != Cause::Gone
    }

    /// What is said of it.
    pub fn sentence(&self) -> String {
        let path = &self.shown;
        let subject = match &self.cause {
            Cause::Gone if self.may_have_mail() => format!("{path} no longer exists"),
            Cause::Gone => format!("{path} does not exist"),
            Cause::Closed(why) => format!("{path} cannot be looked at: {why}"),
            Cause::Absent => format!("{path} is not there, or no run knows it as a Maildir"),
            Cause::Unknown => format!("{path} is no Maildir that a config or a run on this host names"),
            Cause::Empty => format!("{path} is no Maildir: no directory is in it"),
        };
        let kept = match &self.kept {
            Kept::Messages(0) => "no deleted mail of it was found here".to_owned(),
            Kept::Messages(1) => "its deleted mail is still kept here (1 message)".to_owned(),
            Kept::Messages(many) => format!("its deleted mail is still kept here ({many} messages)"),
            Kept::Unread(why) => format!("whether its deleted mail is still kept here cannot be read: {why}"),
            Kept::There => "deleted mail of it that was kept there still is".to_owned(),
        };
        let advice = match &self.cause {
            Cause::Gone | Cause::Absent => "mount it, make the directory again, or name another Maildir",
            Cause::Closed(_) => "mend that, or name another Maildir",
            Cause::Unknown => "name one that smd-undo lists, or its endpoint",
            Cause::Empty => "mount its disk, or name another Maildir",
        };
        format!("{subject}; {kept}; {advice}")
    }
}

/// A path as a run spells it, so that its grave is found.
pub fn spelled(path: &Path) -> PathBuf {
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maildir_that_nobody_named_is_a_fault_only_where_its_mail_cannot_be_reached_and_it_is_there() {
        let unseen = |cause: Cause, kept: Kept, is_named: bool| {
            let one = Unseen { path: b"/m".to_vec(), shown: "/m".to_owned(), cause, kept, is_named };
            (one.is_fault(), one.sentence())
        };
        let closed = || Cause::Closed("denied".to_owned());
        for (cause, kept, is_named, is_fault, said) in [
            (
                Cause::Gone,
                Kept::Messages(2),
                false,
                false,
                "no longer exists; its deleted mail is still kept here (2 messages)",
            ),
            (
                Cause::Gone,
                Kept::Messages(2),
                true,
                true,
                "no longer exists; its deleted mail is still kept here (2 messages)",
            ),
            (Cause::Gone, Kept::Messages(0), true, true, "does not exist; no deleted mail of it was found here"),
            (
                closed(),
                Kept::Messages(1),
                false,
                true,
                "cannot be looked at: denied; its deleted mail is still kept here (1 message)",
            ),
            (closed(), Kept::Messages(0), false, false, "cannot be looked at: denied; no deleted mail"),
            (Cause::Empty, Kept::Unread("damage".to_owned()), true, true, "cannot be read: damage; mount its disk"),
            (Cause::Absent, Kept::There, true, true, "is not there"),
        ] {
            let (fault, sentence) = unseen(cause, kept, is_named);
            assert!(fault == is_fault && sentence.contains(said), "{fault} {sentence}");
        }
    }
}
