//! From the names of this disk to canonical ones and back, for everything at once.
//!
//! Deliberately not here: a single folder on its way to the disk, which its root translates.

use smd_protocol::{Folder, Snapshot};

use super::RunError;
use crate::root::Naming;

/// A base by the names of this disk. It shares its entries.
pub(super) fn to_local(naming: &dyn Naming, base: &Snapshot) -> Result<Snapshot, RunError> {
    let local = |(folder, section): (&Folder, &smd_protocol::Section)| {
        Ok((naming.local(folder).map_err(RunError::Naming)?, section.clone()))
    };
    Ok(Snapshot { folders: base.folders.iter().map(local).collect::<Result<_, RunError>>()? })
}

/// What was found, by canonical names.
pub(super) fn all_to_canonical<T>(
    naming: &dyn Naming,
    found: impl IntoIterator<Item = (Folder, T)>,
) -> Result<Vec<(Folder, T)>, RunError> {
    let canonical = |(folder, what): (Folder, T)| Ok((naming.canonical(&folder).map_err(RunError::Naming)?, what));
    found.into_iter().map(canonical).collect()
}
