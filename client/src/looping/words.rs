//! What is said over the socket of a running loop: a line of JSON each, between programs of one version.
//!
//! Deliberately not here: the socket.

use std::io::{self, BufRead, Read as _, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::status::Status;
use crate::error::Failure;
use crate::options::{Direction, RunOptions, Scan};
use crate::report::Report;

/// The version of both ends; a loop that was started before an update answers nobody but its like.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A question is short.
pub const ASK_MAX: u64 = 1 << 16;
/// A report names every message of a run at most.
pub const REPLY_MAX: u64 = 1 << 30;

/// What is asked, and by which version.
#[derive(Debug, Serialize, Deserialize)]
pub struct Asked {
    /// The asking program's version.
    pub version: String,
    /// What it wants.
    pub request: Request,
}

/// What is wanted of a running loop.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// How it fares.
    Status,
    /// A run of this endpoint.
    Run {
        /// The endpoint's name.
        endpoint: String,
        /// As the person wants it.
        wish: Wish,
    },
}

/// A run as a person wants it. What the config alone decides is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    direction: Direction,
    dry_run: bool,
    no_delete: bool,
    scan: Scan,
    allow_bulk_delete: bool,
    adopt: bool,
    adopt_other_headers: bool,
    verbose: u8,
}

/// What a loop says. A run is answered by [`Reply::Taken`] at once, [`Reply::Waiting`] now and then, and its answer.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// How it fares.
    Status(Status),
    /// The run will be done.
    Taken,
    /// It is not done yet.
    Waiting,
    /// What became of it.
    Answer(Answer),
    /// The loop cannot do that, for this reason.
    Declined(String),
}

/// What became of a run.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// It came to its end.
    Report(Box<Report>),
    /// It did not.
    Failure(Box<Failure>),
    /// It was not tried, for this reason; the person's own program may.
    Declined(String),
}

impl Wish {
    /// As these options say.
    pub fn of(options: &RunOptions) -> Self {
        Self {
            direction: options.direction,
            dry_run: options.dry_run,
            no_delete: options.no_delete,
            scan: options.scan,
            allow_bulk_delete: options.allow_bulk_delete,
            adopt: options.adopt,
            adopt_other_headers: options.adopt_other_headers,
            verbose: options.verbose,
        }
    }

    /// The options of such a run, where `config` says what only the config says.
    pub fn options(&self, config: &RunOptions) -> RunOptions {
        RunOptions {
            direction: self.direction,
            dry_run: self.dry_run,
            no_delete: self.no_delete,
            scan: self.scan,
            allow_bulk_delete: self.allow_bulk_delete,
            adopt: self.adopt,
            adopt_other_headers: self.adopt_other_headers,
            verbose: self.verbose,
            ..config.clone()
        }
    }
}

/// Says one thing.
///
/// # Errors
/// When nobody listens.
pub fn say<T: Serialize>(to: &mut impl Write, what: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Hears one thing of at most so many bytes; the end is [`io::ErrorKind::UnexpectedEof`].
///
/// # Errors
/// When nothing comes in time, the other end is gone, or what it says makes no sense.
pub fn hear<T: DeserializeOwned>(from: &mut impl BufRead, most: u64) -> io::Result<T> {
    let mut line = Vec::new();
    from.take(most).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(serde_json::from_slice(&line)?),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Counts, Fate, Guard, Host, Item, Kind, RootReport};

    #[test]
    fn a_report_arrives_as_it_was() {
        let item = Item {
            host: Host::Server,
            kind: Kind::Moved,
            folder: b".\xff".to_vec(),
            uniq: b"1\n".to_vec(),
            detail: b"from x".to_vec(),
            fate: Fate::Left("the disk is full".into()),
        };
        let root = RootReport {
            root: b"Mail".to_vec(),
            pulled: Counts { new: 3, ..Counts::default() },
            guard: Some(Guard::bulk(7, 9)),
            items: vec![item],
            ..RootReport::default()
        };
        let report = Report { endpoint: "work".into(), roots: vec![root], ..Report::default() };
        let mut bytes = Vec::new();
        say(&mut bytes, &Reply::Answer(Answer::Report(Box::new(report.clone())))).expect("it is written");
        let Ok(Reply::Answer(Answer::Report(heard))) = hear(&mut bytes.as_slice(), REPLY_MAX) else {
            panic!("a report")
        };
        assert_eq!(*heard, report);
    }

    #[test]
    fn a_wish_is_all_that_a_person_types_and_nothing_that_the_config_alone_says() {
        let config = RunOptions { grave_days: 3, no_delete: true, ..RunOptions::default() };
        let typed = RunOptions { adopt: true, dry_run: true, verbose: 2, scan: Scan::Full, ..RunOptions::default() };
        let expected = RunOptions { grave_days: 3, ..typed.clone() };
        assert_eq!(Wish::of(&typed).options(&config), expected);
    }

    #[test]
    fn what_never_ends_is_not_heard_to_its_end() {
        let endless = vec![b'x'; 100];
        assert!(hear::<Asked>(&mut endless.as_slice(), 10).is_err());
        assert!(hear::<Asked>(&mut b"".as_slice(), 10).is_err());
        assert!(hear::<Asked>(&mut b"{}\n".as_slice(), 10).is_err());
    }
}
