//! What a session tells while it runs, kept although it may fail: which files came, moved or went on this host, and what
//! became of each step, for the log.
//!
//! A report is the end of a session that came to its end. A session that is cut has changed files all the same, and
//! whoever keeps an index of them must hear of it.
//!
//! Deliberately not here: what is done with it ([`crate::hooks`]), and the words ([`crate::log`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smd_maildir::apply::Change;

use crate::hooks::untold::Untold;
use crate::log::{Log, text};
use crate::report::Item;

/// Where a session tells what it does; clones are the same journal.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    changed: bool,
    /// Set when somebody will ask for the changes.
    untold: Option<Untold>,
    changes: Vec<Change>,
    log: Option<Log>,
    /// How the other host is called.
    server: String,
}

impl Journal {
    /// Keeps every change, those that earlier runs left first. Otherwise, when nobody will ask, only that there was one.
    pub fn keep_changes(&self, mut untold: Untold) {
        let mut told = self.told();
        match untold.left() {
            Ok(left) => told.changes = left,
            Err(error) => {
                let text = format!("warning: what earlier runs did not tell the hooks cannot be read: {error}");
                told.log.iter_mut().for_each(|log| log.line(&text));
            }
        }
        told.changed |= !told.changes.is_empty();
        told.untold = Some(untold);
    }

    /// Takes note that all changes were told.
    pub fn all_told(&self) {
        self.told().untold.iter_mut().for_each(Untold::forget_told);
    }

    /// The same with a log; `server` is how the other host is called in it.
    pub fn with_log(self, log: Log, server: &str) -> Self {
        let mut told = self.told();
        told.log = Some(log);
        server.clone_into(&mut told.server);
        drop(told);
        self
    }

    /// Takes note of files that came, moved or went on this host.
    pub fn changed(&self, changes: Vec<Change>) {
        let mut told = self.told();
        if changes.is_empty() {
            return;
        }
        let Told { changed, untold, changes: all, log, .. } = &mut *told;
        *changed = true;
        if let Some(untold) = untold {
            // They are told by this run all the same, if it comes to its end.
            if let (Err(error), Some(log)) = (untold.add(&changes), log) {
                log.line(&format!("warning: what changed cannot be noted for the hooks: {error}"));
            }
            all.extend(changes);
        }
    }

    /// Takes note of a step that was tried; `root` is the root as written.
    pub fn step(&self, root: &[u8], item: &Item) {
        let mut told = self.told();
        let Told { log, server, .. } = &mut *told;
        if let Some(log) = log {
            log.line(&text::step(server, root, item));
        }
    }

    /// Writes a line to the log.
    pub fn line(&self, line: &str) {
        self.told().log.iter_mut().for_each(|log| log.line(line));
    }

    /// Writes a line to the log, whatever happens next.
    pub(crate) fn debug(&self, line: &str) {
        self.told().log.iter_mut().for_each(|log| {
            log.line(line);
            log.flush();
        });
    }

    /// Writes what waits to be written to the log, so that a hook can read it.
    pub fn flush(&self) {
        self.told().log.iter_mut().for_each(Log::flush);
    }

    /// Ends the log, and says what went wrong with it.
    pub fn end_log(&self) -> Option<String> {
        self.told().log.take().and_then(|mut log| log.take_error())
    }

    /// Whether there is a log.
    pub fn has_log(&self) -> bool {
        self.told().log.is_some()
    }

    /// Whether anything changed on this host, or hooks were not told yet of what did.
    pub fn has_changes(&self) -> bool {
        self.told().changed
    }

    /// The changes that were kept, in order.
    pub fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.told().changes)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
