//! What a session tells while it runs, kept although it may fail: which files came, moved or went on this host.
//!
//! A report is the end of a session that came to its end. A session that is cut has changed files all the same, and
//! whoever keeps an index of them must hear of it.
//!
//! Deliberately not here: what is done with it ([`crate::hooks`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smd_maildir::apply::Change;

/// Where a session tells what it does; clones are the same journal.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    changed: bool,
    keeps: bool,
    changes: Vec<Change>,
}

impl Journal {
    /// A journal that keeps every change, or, when nobody will ask, only that there was one.
    pub fn new(keeps: bool) -> Self {
        Self(Arc::new(Mutex::new(Told { keeps, ..Told::default() })))
    }

    /// Takes note of files that came, moved or went on this host.
    pub fn changed(&self, changes: Vec<Change>) {
        let mut told = self.told();
        told.changed |= !changes.is_empty();
        if told.keeps {
            told.changes.extend(changes);
        }
    }

    /// Whether anything changed on this host.
    pub fn has_changes(&self) -> bool {
        self.told().changed
    }

    /// The changes, in order.
    pub fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.told().changes)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
