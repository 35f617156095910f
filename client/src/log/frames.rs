//! `DEBUG=true`: what the two programs say to each other, in the endpoint's log, without the bytes of mail.
//!
//! Frames and the like are events of `tracing`. The run of each thread has a journal of its own, so that a program that runs
//! several endpoints at a time keeps them apart. `SMD_LOG` is for stderr and knows nothing of this.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write as _};
use std::io;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::journal::Journal;

/// The most letters of a message of the wire that are logged.
const BRIEF: usize = 300;

thread_local! {
    static CURRENT: RefCell<Option<Journal>> = const { RefCell::new(None) };
}

/// Starts the log of a process: to stderr by a filter, and for journals. One that was started by someone else, such as a test, is
/// as good.
pub fn start(filter: Option<&str>, colored: bool) {
    let stderr = filter.map(|filter| {
        let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("debug"));
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colored).with_filter(filter)
    });
    let _ = tracing_subscriber::registry().with(stderr).with(ToJournal.with_filter(LevelFilter::DEBUG)).try_init();
}

/// While this lives, events of this thread go into a journal.
#[derive(Debug)]
pub struct Listening(());

impl Listening {
    /// Lets events of this thread go into a journal.
    pub fn to(journal: &Journal) -> Self {
        CURRENT.set(Some(journal.clone()));
        Self(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

struct ToJournal;

impl<S: Subscriber> Layer<S> for ToJournal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Taken out meanwhile: what the journal does is no event of it.
        let Some(journal) = CURRENT.take() else { return };
        let mut line = Line(format!("debug: {}:", event.metadata().target()));
        event.record(&mut line);
        journal.debug(&line.0);
        CURRENT.set(Some(journal));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

/// The beginning of a message of the wire: lists of messages can be long.
pub(crate) struct Brief<'a, T>(pub(crate) &'a T);

impl<T: Debug> fmt::Display for Brief<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Bounded<'a, 'b>(&'a mut fmt::Formatter<'b>, usize);
        impl fmt::Write for Bounded<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                let left = self.1;
                let fits = text.char_indices().nth(left).map_or(text.len(), |(at, _)| at);
                self.1 -= text[..fits].chars().count();
                self.0.write_str(&text[..fits])?;
                if fits < text.len() { Err(fmt::Error) } else { Ok(()) }
            }
        }
        match write!(Bounded(f, BRIEF), "{:?}", self.0) {
            Ok(()) => Ok(()),
            Err(_) => f.write_str("…"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut() {
        assert_eq!(Brief(&1).to_string(), "1");
        let long = Brief(&"ä".repeat(1000)).to_string();
        assert_eq!(long.chars().count(), BRIEF + 1);
        assert!(long.ends_with('…'));
    }
}
