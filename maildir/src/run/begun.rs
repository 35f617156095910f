//! When the note of what a batch brings is written in a run, and when it goes.
//!
//! Deliberately not here: what it says (`smd_protocol::reconcile`), and how it is kept (`store`).

use smd_protocol::reconcile::Begun;

use super::{RootRun, RunError};
use crate::fs::Fs;

/// What a run knows of the note that it wrote.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Noted {
    /// None.
    #[default]
    No,
    /// Of a batch that is not committed: the next run needs it.
    Open,
    /// Of a batch that was committed; what of it is in no base yet may not be noted anew.
    Committed,
    /// Of what is agreed on: it goes with the end of the run.
    Over,
}

impl<F: Fs> RootRun<F> {
    /// Notes what the next batch brings to either host, in case the run is cut before its commit.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn note_begun(&mut self, brings: &Begun) -> Result<(), RunError> {
        self.begun = Noted::Open;
        Ok(self.store.note_begun(brings)?)
    }

    /// What a run that was cut was bringing.
    ///
    /// # Errors
    /// When its note cannot be read.
    pub fn begun(&self) -> Result<Begun, RunError> {
        Ok(self.store.begun()?)
    }

    /// What was noted is committed.
    pub(super) fn begun_is_committed(&mut self) {
        if self.begun == Noted::Open {
            self.begun = Noted::Committed;
        }
    }

    /// Lets the note of what was committed go with the end of the run: what of it is in no base yet was noted anew. With
    /// `all`, nothing was to be noted, be there a commit or not.
    pub fn begun_is_over(&mut self, all: bool) {
        if all || self.begun == Noted::Committed {
            self.begun = Noted::Over;
        }
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
