//! Bytes from the wire, one message at a time.

use smd_protocol::delta::{Meta, Mtime};
use smd_protocol::seeded;

use super::Applier;
use super::stage::Draft;
use super::stop::Stop;
use crate::fs::Fs;

/// The peer broke the rules of sending contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such step in the batch, or it brings no bytes, or it has them.
    #[error("the peer sent contents for step {0}, which awaits none")]
    NotAwaited(usize),
    /// More came than was announced.
    #[error("the peer sent more contents for step {step} than the {size} bytes that it announced")]
    TooLong {
        /// The step.
        step: usize,
        /// The bytes announced.
        size: u64,
    },
}

/// Bytes on their way to a step. What the disk says about them is told as the step's outcome; an error here is a fault
/// of the peer. Dropped without an end, it leaves a file in `tmp/` for the next sweep.
pub struct Incoming<F: Fs> {
    pub(super) step: usize,
    pub(super) mtime: Mtime,
    size: u64,
    left: u64,
    /// The target's path, for a person.
    shown: Vec<u8>,
    /// Otherwise why what comes is passed over.
    pub(super) draft: Result<Draft<F>, Stop>,
}

impl<F: Fs> Incoming<F> {
    pub(super) fn new(step: usize, meta: Meta, shown: Vec<u8>, draft: Result<Draft<F>, Stop>) -> Self {
        Self { step, mtime: meta.mtime, size: meta.size, left: meta.size, shown, draft }
    }

    /// The message gets these permission bits, rather than those of its owner alone.
    pub fn set_mode(&mut self, mode: u32) {
        if let Ok(draft) = &mut self.draft {
            draft.set_mode(mode);
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When more come than were announced.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let count = bytes.len() as u64;
        self.left = self
            .left
            .checked_sub(count)
            .or(seeded::is("takes-more-than-announced").then_some(0))
            .ok_or(Refused::TooLong { step: self.step, size: self.size })?;
        if let Ok(draft) = &mut self.draft
            && let Err(denied) = draft.write(bytes)
        {
            draft.discard();
            self.draft = Err(Stop::denied("write", &self.shown, denied));
        }
        Ok(())
    }

    /// All bytes came: checks them and stages them, or takes note why not.
    pub fn finish(self, applier: &mut Applier<F>) {
        applier.arrived(self);
    }

    /// No more bytes come. The step waits on; if nothing else comes for it, it is not taken.
    pub fn abort(self) {
        if let Ok(draft) = self.draft {
            draft.discard();
        }
    }
}
