//! The rest between two runs of one session: this host watches its roots and tells the client of the first change.
//!
//! Deliberately not here: what is watched, and how (`smd_maildir::watch`).

use std::sync::Arc;

use smd_maildir::fs::Fs;
use smd_maildir::watch::{Ground, Watch};
use smd_protocol::wire::PeerTrouble;

use crate::link::Ringer;

/// The watch of a session whose client asked for one.
pub(crate) struct Rest<F: Fs> {
    watch: Result<Watch<F>, String>,
    resting: bool,
}

impl<F: Fs> Rest<F> {
    /// A rest that `ringer` ends.
    pub(crate) fn new(fs: Arc<F>, ringer: Ringer) -> Self {
        Self { watch: Watch::start(fs, move || ringer.ring()).map_err(|error| error.to_string()), resting: false }
    }

    /// Before the look of a run.
    pub(crate) fn begin(&mut self, grounds: Vec<Ground>) {
        self.resting = false;
        if let Ok(watch) = &mut self.watch {
            watch.begin(grounds);
        }
    }

    /// After a run. Gives what is not watched.
    pub(crate) fn rest(&mut self) -> Vec<PeerTrouble> {
        self.resting = true;
        match &mut self.watch {
            Ok(watch) => {
                watch.rest();
                watch.unwatched().iter().map(|t| PeerTrouble::new(t.path.clone(), t.text.clone())).collect()
            }
            Err(why) => vec![PeerTrouble::new(Vec::new(), format!("nothing is watched: {why}"))],
        }
    }

    /// Whether the client is to be told of a change now.
    pub(crate) fn is_due(&self) -> bool {
        self.resting && self.watch.as_ref().is_ok_and(Watch::take)
    }
}
