//! One run of the loop, with all that belongs to a run whichever program does it.
//!
//! Deliberately not here: the connection, and when.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::endpoint::Resolved;
use crate::error::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::Report;

/// Does `session` as one run of this endpoint.
///
/// # Errors
/// When the session failed, in words.
pub(super) fn one_run(
    _resolved: &Resolved,
    _output: &Output,
    _stop: &AtomicBool,
    session: impl FnOnce(&mut Progress) -> Result<Report, Box<Failure>>,
) -> Result<Report, Box<Failure>> {
    let start = Instant::now();
    let mut report = session(&mut Progress::hidden())?;
    report.took = start.elapsed();
    Ok(report)
}
