//! When the note of what a batch brings is written in a run, and when it goes.
//!
//! It says what the run knows last: each word replaces the one before, and when there is nothing left to say, the note goes with
//! the end of the run, be there a commit or not. A run that is cut leaves what it said last.
//!
//! Deliberately not here: what it says (`smd_protocol::reconcile`), and how it is kept (`store`).

use smd_protocol::reconcile::Begun;

use super::{RootRun, RunError};
use crate::fs::Fs;

/// What a run knows of the note.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Noted {
    /// There is none that says anything.
    #[default]
    No,
    /// It stands, of this run or of an earlier one: the next run needs it.
    Stands,
    /// It says nothing any more.
    Over,
}

impl<F: Fs> RootRun<F> {
    /// Notes what the next batch brings to either host, and what else is in no base yet, in case the run is cut. Where that is
    /// nothing, the note that stands goes with the end of the run.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn note_begun(&mut self, brings: &Begun) -> Result<(), RunError> {
        if !brings.is_empty() {
            self.begun = Noted::Stands;
            return Ok(self.store.note_begun(brings)?);
        }
        if self.begun == Noted::Stands {
            self.begun = Noted::Over;
        }
        Ok(())
    }

    /// What a run that was cut was bringing.
    ///
    /// # Errors
    /// When its note cannot be read.
    pub fn begun(&mut self) -> Result<Begun, RunError> {
        let begun = self.store.begun()?;
        if !begun.is_empty() && self.begun == Noted::No {
            self.begun = Noted::Stands;
        }
        Ok(begun)
    }

    /// Whether there is a note that the next run would go by, as far as this run has read or written one.
    pub fn is_begun(&self) -> bool {
        self.begun == Noted::Stands
    }

    /// Removes the note when it says nothing any more. One that stays costs the next run time.
    pub(super) fn drop_begun(&self) {
        if self.begun == Noted::Over
            && let Err(error) = self.store.drop_begun()
        {
            tracing::warn!(%error, "a note that says nothing any more stays");
        }
    }
}
