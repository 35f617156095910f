//! Which roots of this host may have a grave: those of its configs, those that its state files name (as a client and as a
//! server), and those whose graves lie in the state directory.
//!
//! A config or state file that cannot be read names none; the others do all the same.
//!
//! Deliberately not here: what rests in the graves.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use smd_client::config::{Config, ConfigError};
use smd_client::home::SmdHome;
use smd_maildir::home::path_of_stem;
use smd_maildir::store::root_of;

/// So much of a base file holds the line with the root's path.
const HEAD: u64 = 16 << 10;

/// All roots that are known here.
pub fn known(home: &SmdHome) -> BTreeSet<PathBuf> {
    let mut roots = BTreeSet::new();
    for entry in entries(home.path()) {
        let name = entry.to_string_lossy().into_owned();
        if let Some(endpoint) = name.strip_prefix("config.") {
            roots.extend(of_endpoint(home, endpoint).unwrap_or_default());
        }
    }
    for side in ["state", "served"] {
        let side = home.path().join(side);
        for peer in entries(&side).into_iter().map(|peer| side.join(peer)) {
            let files = entries(&peer).into_iter().filter(|name| name.as_bytes().ends_with(b".db.txt"));
            roots.extend(files.filter_map(|name| named_in(&peer.join(name))).map(|root| home.user().join(root)));
        }
    }
    let stems = entries(&home.path().join("grave"));
    roots.extend(stems.iter().filter_map(|stem| Some(path(path_of_stem(stem.to_str()?)?))).filter(|p| p.is_absolute()));
    // As a run spells them, so that one root is one path.
    roots.into_iter().map(|root| root.components().collect()).collect()
}

/// The roots of an endpoint on this host.
pub fn of_endpoint(home: &SmdHome, name: &str) -> Result<Vec<PathBuf>, ConfigError> {
    let config = Config::load(home, name)?;
    Ok(config.mailboxes.iter().map(|pair| pair.local_path(home.user())).collect())
}

fn named_in(file: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    fs::File::open(file).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    root_of(&head).filter(|root| !root.is_empty()).map(path)
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

fn entries(dir: &Path) -> Vec<OsString> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect()
}
