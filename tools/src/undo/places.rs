//! Which roots of this host may have a grave: those of its configs, and those that its state directory knows
//! (`smd_maildir::undo::places`).
//!
//! A config that cannot be read names none; the others do all the same.
//!
//! Deliberately not here: what rests in the graves.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use smd_client::config::{Config, ConfigError};
use smd_client::home::SmdHome;
use smd_maildir::fs::Disk;
use smd_maildir::home::{Access, Home};
use smd_maildir::undo::places::kept;

/// All roots that are known here.
pub fn known(home: &SmdHome) -> BTreeSet<PathBuf> {
    let mut roots = BTreeSet::new();
    for entry in fs::read_dir(home.path()).into_iter().flatten().flatten() {
        if let Some(endpoint) = entry.file_name().to_string_lossy().strip_prefix("config.") {
            roots.extend(of_endpoint(home, endpoint).unwrap_or_default());
        }
    }
    // As a run spells them, so that one root is one path.
    let mut roots: BTreeSet<PathBuf> = roots.into_iter().map(|root: PathBuf| root.components().collect()).collect();
    if let Ok(state) = Home::open(Arc::new(Disk), home.path(), Access::ReadOnly) {
        roots.extend(kept(&state, home.user()));
    }
    roots
}

/// The roots of an endpoint on this host.
pub fn of_endpoint(home: &SmdHome, name: &str) -> Result<Vec<PathBuf>, ConfigError> {
    let config = Config::load(home, name)?;
    Ok(config.mailboxes.iter().map(|pair| pair.local_path(home.user())).collect())
}
