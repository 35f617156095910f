//! The log of a key: what it removed, moved and marked as trashed, by whom and when. The budget is counted by it, its owner is told
//! by it, and `smd-undo --by` takes back by it.
//!
//! A line is written, durably, before what it tells of is done, so that a crash leaves too much here and never too little. Each
//! message counts once within a day, however often a run is cut before it was removed. Lines rest for [`KEPT_DAYS`] days of the age
//! clock, in at most [`LOG_MAX`] bytes: where these are full nothing more is done that would need a line, since what is younger may
//! still have to be undone.
//!
//! | line | |
//! | --- | --- |
//! | `AGE TIME run LIMIT MESSAGES BURIALS ROOT FROM` | a session begins to change something: its limit, what the root held, and how its burials are called |
//! | `AGE TIME deleted\|replaced\|trashed PAID HEADER BODY FOLDER UNIQ ROOT FROM` | a message goes, gets other bytes, or the flag `T` |
//! | `AGE TIME moved PLACE HEADER BODY FOLDER UNIQ FOLDER UNIQ ROOT FROM` | from (it lay in `new` or `cur`), to |
//! | `AGE TIME unfolded FOLDER ROOT FROM` | a folder is removed |
//! | `AGE TIME end REFUSED ROOT FROM` | the budget met its end |
//!
//! Deliberately not here: how much is too much.

use std::collections::HashSet;

use smd_protocol::{Content, Digest, Folder, Name, Place, Uniq, seeded};

use super::Key;
use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::home::{Age, DAY};
use crate::store::dated::{self, Held};
use crate::store::text::{number, put, put_folder, read_folder, unescape, word, words};

/// Days for which a line rests: as long as messages in a grave.
pub const KEPT_DAYS: i64 = 8;
/// Bytes that lines may take which are not old.
pub const LOG_MAX: u64 = 64 << 20;
/// A larger file is no log of ours, and fails the step rather than count as none.
const SIZE_MAX: u64 = 4 * LOG_MAX;
const LOG: &[u8] = b"log";

/// How a message leaves the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// It is buried.
    Deleted,
    /// It gets other bytes.
    Replaced,
    /// It gets the flag `T`.
    Trashed,
}

impl How {
    const ALL: [Self; 3] = [Self::Deleted, Self::Replaced, Self::Trashed];
}

/// What pays for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paid {
    /// The day's budget.
    Budget,
    /// What the owner allowed.
    Allowance,
    /// Nothing: its body stays, or it is counted already.
    Free,
}

impl Paid {
    const ALL: [Self; 3] = [Self::Budget, Self::Allowance, Self::Free];
}

/// What a key did, or was about to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A session begins to change something in a root.
    Run {
        /// How many messages it may remove within a day; none where there is no end.
        limit: Option<u64>,
        /// Messages of the root.
        messages: u64,
        /// What the ids of its burials have in common.
        burials: String,
    },
    /// A message goes.
    Removed {
        /// How.
        how: How,
        /// What pays for it.
        paid: Paid,
        /// Its name; of a trashed one that which it gets.
        name: Name,
        /// Its bytes.
        content: Content,
    },
    /// A message gets another name.
    Moved {
        /// Its name before.
        from: Name,
        /// Where it lay then.
        place: Place,
        /// Its name afterwards.
        to: Name,
        /// Its bytes.
        content: Content,
    },
    /// A folder without messages is removed.
    Unfolded(Folder),
    /// The budget met its end.
    End {
        /// Steps that were refused.
        refused: u64,
    },
}

/// A line of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// When, by the age clock, in seconds.
    pub age: i64,
    /// When, by the wall clock, in seconds since 1970: for a person.
    pub time: i64,
    /// Where the key came from, as sshd said: `SSH_CONNECTION`.
    pub from: Vec<u8>,
    /// The root, by its path without symlinks.
    pub root: Vec<u8>,
    /// What.
    pub what: What,
}

/// The young lines of a log, in their order.
pub struct Lines(Held<Line>);

impl Lines {
    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.0.lines.iter()
    }

    /// Bytes that may still be written.
    pub fn room(&self) -> u64 {
        LOG_MAX.saturating_sub(self.0.size)
    }
}

fn put_word(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b' ');
    match bytes {
        b"" => out.push(b'-'),
        bytes => word(out, bytes),
    }
}

fn put_name(out: &mut Vec<u8>, name: &Name) {
    out.push(b' ');
    put_folder(out, &name.folder);
    put_word(out, name.uniq.as_bytes());
}

fn put_line(out: &mut Vec<u8>, line: &Line) {
    let Line { age, time, from, root, what } = line;
    put(out, format_args!("{age} {time} "));
    match what {
        What::Run { limit, messages, burials } => {
            let limit = limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
            put(out, format_args!("run {limit} {messages}"));
            put_word(out, burials.as_bytes());
        }
        What::Removed { how, paid, name, content } => {
            let how = how_word(*how);
            put(out, format_args!("{how} {} {} {}", paid_word(*paid), content.header, content.body));
            put_name(out, name);
        }
        What::Moved { from, place, to, content } => {
            let place = if *place == Place::New { "new" } else { "cur" };
            put(out, format_args!("moved {place} {} {}", content.header, content.body));
            put_name(out, from);
            put_name(out, to);
        }
        What::Unfolded(folder) => {
            put(out, format_args!("unfolded "));
            put_folder(out, folder);
        }
        What::End { refused } => put(out, format_args!("end {refused}")),
    }
    put_word(out, root);
    put_word(out, from);
    out.push(b'\n');
}

fn how_word(how: How) -> &'static str {
    match how {
        How::Deleted => "deleted",
        How::Replaced => "replaced",
        How::Trashed => "trashed",
    }
}

fn paid_word(paid: Paid) -> &'static str {
    match paid {
        Paid::Budget => "budget",
        Paid::Allowance => "allowance",
        Paid::Free => "free",
    }
}

fn read_word(text: &[u8]) -> Option<Vec<u8>> {
    if text == b"-" { Some(Vec::new()) } else { unescape(text).filter(|bytes| !bytes.is_empty()) }
}

fn read_name(folder: &[u8], uniq: &[u8]) -> Option<Name> {
    Some(Name::new(&read_folder(folder)?, &Uniq::parse(&unescape(uniq)?).ok()?))
}

fn read_content(header: &[u8], body: &[u8]) -> Option<Content> {
    Some(Content { header: Digest::from_letters(header)?, body: Digest::from_letters(body)? })
}

fn read_line(line: &[u8]) -> Option<Line> {
    let kind = line.split(|&byte| byte == b' ').nth(2)?;
    let (age, time, root, from, what) = match kind {
        b"run" => {
            let [age, time, _, limit, messages, burials, root, from] = words(line)?;
            let limit = if limit == b"-" { None } else { Some(number(limit)?) };
            let burials = String::from_utf8(read_word(burials)?).ok()?;
            (age, time, root, from, What::Run { limit, messages: number(messages)?, burials })
        }
        b"deleted" | b"replaced" | b"trashed" => {
            let [age, time, _, paid, header, body, folder, uniq, root, from] = words(line)?;
            let how = How::ALL.into_iter().find(|how| how_word(*how).as_bytes() == kind)?;
            let paid = Paid::ALL.into_iter().find(|one| paid_word(*one).as_bytes() == paid)?;
            let (name, content) = (read_name(folder, uniq)?, read_content(header, body)?);
            (age, time, root, from, What::Removed { how, paid, name, content })
        }
        b"moved" => {
            let [age, time, _, place, header, body, folder, uniq, to_folder, to_uniq, root, from] = words(line)?;
            let place = match place {
                b"new" => Place::New,
                b"cur" => Place::Cur,
                _ => return None,
            };
            let (of, to) = (read_name(folder, uniq)?, read_name(to_folder, to_uniq)?);
            (age, time, root, from, What::Moved { from: of, place, to, content: read_content(header, body)? })
        }
        b"unfolded" => {
            let [age, time, _, folder, root, from] = words(line)?;
            (age, time, root, from, What::Unfolded(read_folder(folder)?))
        }
        b"end" => {
            let [age, time, _, refused, root, from] = words(line)?;
            (age, time, root, from, What::End { refused: number(refused)? })
        }
        _ => return None,
    };
    let seconds = |digits| i64::try_from(number(digits)?).ok();
    Some(Line { age: seconds(age)?, time: seconds(time)?, from: read_word(from)?, root: read_word(root)?, what })
}

impl<F: Fs> Key<F> {
    /// The lines that are not old.
    ///
    /// # Errors
    /// When they cannot be read: then nothing is known, and nothing may be removed.
    pub fn log(&self, now: Age) -> Result<Lines, Error> {
        let Some(dir) = self.dir.as_ref().filter(|_| !seeded::is("a-budget-forgets")) else {
            return Ok(Lines(Held::none()));
        };
        let is_young = |line: &Line| now.since(line.age) <= KEPT_DAYS * DAY;
        let held = dated::read(&**self.home.fs(), dir, LOG, SIZE_MAX, read_line, is_young);
        Ok(Lines(held.context("read", self.shown(LOG))?))
    }

    /// Adds lines to those that were read under the same lock, durably. Writes nothing in a dry run.
    ///
    /// # Errors
    /// When that cannot be done: then nothing may be done that they tell of.
    pub fn write_down(&self, lines: &Lines, fresh: &[Line]) -> Result<(), Error> {
        let Some(dir) = self.written().filter(|_| !fresh.is_empty()) else { return Ok(()) };
        let fs = &**self.home.fs();
        dated::add(fs, dir, LOG, &lines.0, fresh, put_line).context("write", self.shown(LOG))
    }
}

impl Lines {
    /// Lines of the last day.
    pub fn of_day(&self, now: Age) -> impl Iterator<Item = &Line> {
        self.iter().filter(move |line| now.since(line.age) <= DAY)
    }

    /// Messages of a root that were counted within the day: none of them counts again.
    pub fn counted(&self, now: Age, root: &[u8]) -> HashSet<(Name, Content)> {
        let counted = self.of_day(now).filter(|line| line.root == root).filter_map(|line| match &line.what {
            What::Removed { name, content, paid: Paid::Budget | Paid::Allowance, .. } => Some((name.clone(), *content)),
            _ => None,
        });
        counted.collect()
    }

    /// What the ids of the burials of this key have in common, by session and root.
    pub fn burials(&self) -> HashSet<String> {
        let burials = self.iter().filter_map(|line| match &line.what {
            What::Run { burials, .. } => Some(burials.clone()),
            _ => None,
        });
        burials.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(folder: &[u8], uniq: &[u8]) -> Name {
        Name::new(&Folder::parse(folder).expect("folder"), &Uniq::parse(uniq).expect("uniq"))
    }

    #[test]
    fn a_line_reads_back_whatever_the_names_and_a_torn_one_does_not() {
        let (a, b) = (name(b"", b"a b%"), name(b"x y/\xff", "\u{e9}".as_bytes()));
        let content = Content::of(b"A: b\n\nbody");
        let mut whats = vec![
            What::Run { limit: Some(20), messages: 7, burials: "me+k-1.2-3".to_owned() },
            What::Run { limit: None, messages: 0, burials: String::new() },
            What::Moved { from: a.clone(), place: Place::New, to: b.clone(), content },
            What::Moved { from: b.clone(), place: Place::Cur, to: a.clone(), content },
            What::Unfolded(b.folder.clone()),
            What::Unfolded(Folder::root()),
            What::End { refused: 3 },
        ];
        for how in How::ALL {
            for paid in Paid::ALL {
                whats.push(What::Removed { how, paid, name: b.clone(), content });
            }
        }
        for what in whats {
            for from in [&b""[..], b"192.0.2.1 5 192.0.2.2 22"] {
                let line = Line {
                    age: 7,
                    time: 9,
                    from: from.to_vec(),
                    root: b"/home/u/My Mail".to_vec(),
                    what: what.clone(),
                };
                let mut text = Vec::new();
                put_line(&mut text, &line);
                let text = text.strip_suffix(b"\n").expect("a line");
                assert_eq!(read_line(text).as_ref(), Some(&line));
                for end in 0..text.len() {
                    // Cut within its last word it may be a shorter word.
                    if let Some(other) = read_line(&text[..end]) {
                        assert_eq!(Line { from: Vec::new(), ..other }, Line { from: Vec::new(), ..line.clone() });
                    }
                }
            }
        }
    }
}
