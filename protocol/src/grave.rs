//! What rests in a host's graves, as it is told and asked for: by `smd-undo` on that host, and over the wire.
//!
//! Deliberately not here: the files of a grave (`smd-maildir`), and what is said of them (`smd-tools`).

use serde::{Deserialize, Serialize};

use crate::limits::{self, FIELD_MAX, ID_MAX};
use crate::names::{Folder, NAME_MAX, Uniq};
use crate::snapshot::Place;
use crate::told::Told;

/// Why something was buried, or noted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Why {
    /// The message was deleted.
    Deleted,
    /// The message got other bytes.
    Replaced,
    /// A tool of this host gave the message other bytes: it changes places with these when they come back.
    Rewritten,
    /// The message was copied to another file system, to where it moved.
    Moved,
    /// A control file of a mail program, whose folder was removed.
    Control,
    /// The second of two messages of one name got another: nothing was buried, and it is renamed back.
    Renamed,
}

impl Why {
    /// All of them.
    pub const ALL: [Why; 6] = [Why::Deleted, Why::Replaced, Why::Rewritten, Why::Moved, Why::Control, Why::Renamed];

    /// Its word in an index.
    pub fn word(self) -> &'static str {
        match self {
            Why::Deleted => "deleted",
            Why::Replaced => "replaced",
            Why::Rewritten => "rewritten",
            Why::Moved => "moved",
            Why::Control => "control",
            Why::Renamed => "renamed",
        }
    }

    /// What a word of an index stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.word() == word)
    }
}

/// Something that a run of the last days took away, and that can be undone or was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rests {
    /// Its id in the index of the grave: how it is asked for.
    #[serde(deserialize_with = "limits::text::<_, ID_MAX>")]
    pub id: String,
    /// When that was, seconds since 1970, by the clock of its host.
    pub time: i64,
    /// Why.
    pub why: Why,
    /// The folder, by its path on its host.
    pub folder: Folder,
    /// The directory that it was in; none is the folder's own.
    pub place: Option<Place>,
    /// Its file name then.
    #[serde(deserialize_with = "limits::bytes::<_, NAME_MAX>")]
    pub file: Vec<u8>,
    /// The uniq that it got, when it was renamed.
    pub renamed: Option<Uniq>,
    /// Bytes of its file; none when that is no longer there.
    pub size: Option<u64>,
    /// It was brought back before.
    pub back: bool,
}

impl Rests {
    /// Tells runs apart: all that one process buried in one root has the same.
    pub fn run(&self) -> &str {
        run_of(&self.id)
    }

    /// Whether it is a message, and not a control file.
    pub fn is_message(&self) -> bool {
        self.place.is_some()
    }
}

/// The run in an id of a grave's index, `TIME.RUN.N`: all but its time and the number that counts.
pub fn run_of(id: &str) -> &str {
    let run = id.split_once('.').map_or(id, |(_, rest)| rest);
    run.rsplit_once('-').map_or(run, |(run, _)| run)
}

/// What else is known of the graves of a root.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Rest {
    /// There is no such root, or it is no Maildir that a run on its host knows, and nothing of it rests.
    pub absent: bool,
    /// Burials that were cut short and not settled since.
    pub unsettled: u64,
    /// Files of which the index has no line.
    pub unknown: u64,
}

/// What tells a person which message it is; empty where it has no such field, or cannot be read. Whoever sent the mail wrote it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Head {
    /// Name and address.
    #[serde(deserialize_with = "limits::text::<_, FIELD_MAX>")]
    pub from: String,
    /// The subject.
    #[serde(deserialize_with = "limits::text::<_, FIELD_MAX>")]
    pub subject: String,
    /// When it was written, in seconds since 1970.
    pub date: Option<i64>,
}

/// What became of something that was to come back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Undone {
    /// It is where it was, under the name that it had.
    Returned,
    /// It is in its folder under this uniq, since its own holds other bytes.
    Fresh(Uniq),
    /// It is in its folder under this uniq: its run was cut, and the next would delete the old name again.
    Anew(Uniq),
    /// The mailbox has it already.
    IsThere,
    /// It was brought back before.
    Before,
    /// It stays as it is: why.
    Failed(Told),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_an_id_without_its_time_and_its_last_number() {
        assert_eq!(run_of("1700000000.abc+k7-1699.1f-2-3-4-5"), "abc+k7-1699.1f-2-3-4");
        assert_eq!(run_of("nothing"), "nothing");
    }

    #[test]
    fn words_of_the_index_are_read_back() {
        for why in Why::ALL {
            assert_eq!(Why::from_word(why.word()), Some(why));
        }
        assert_eq!(Why::from_word("eaten"), None);
    }
}
