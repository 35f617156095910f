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
use smd_maildir::home::{Side, path_of_stem};
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
    roots.extend(bases(home).into_iter().map(|(_, _, root)| home.user().join(path(root))));
    let stems = entries(&home.path().join("grave"));
    roots.extend(stems.iter().filter_map(|stem| Some(path(path_of_stem(stem.to_str()?)?))).filter(|p| p.is_absolute()));
    // As a run spells them, so that one root is one path.
    roots.into_iter().map(|root| root.components().collect()).collect()
}

/// All bases that are kept here: whose, with which peer, and the root as it was configured.
pub fn bases(home: &SmdHome) -> Vec<(Side, String, Vec<u8>)> {
    let mut bases = Vec::new();
    for (side, dir) in [(Side::Client, "state"), (Side::Server, "served")] {
        let dir = home.path().join(dir);
        for peer in entries(&dir).iter().filter_map(|peer| peer.to_str()) {
            let here = dir.join(peer);
            let files = entries(&here).into_iter().filter(|name| name.as_bytes().ends_with(b".db.txt"));
            let roots = files.filter_map(|name| named_in(&here.join(name)));
            bases.extend(roots.map(|root| (side, peer.to_owned(), root)));
        }
    }
    bases
}

/// The roots of an endpoint on this host.
pub fn of_endpoint(home: &SmdHome, name: &str) -> Result<Vec<PathBuf>, ConfigError> {
    let config = Config::load(home, name)?;
    Ok(config.mailboxes.iter().map(|pair| pair.local_path(home.user())).collect())
}

fn named_in(file: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    fs::File::open(file).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    root_of(&head).filter(|root| !root.is_empty())
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

fn entries(dir: &Path) -> Vec<OsString> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect()
}
