//! What must be there before the second stage: directories of state, which could not be made behind it; what is read once and
//! lies elsewhere; and the grounds, from the client's Hello.
//!
//! Deliberately not here: errors of what a client asks for. The session meets them again and answers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smd_maildir::fs::Fs;
use smd_maildir::home::{Access, Home, server_id};
use smd_protocol::reconcile::Side;
use smd_protocol::wire::ClientHello;

use super::grounds::{Grounds, Right};
use crate::roots::{self, Places};

/// Directories of the state that may be symlinks to another disk, of those that a server uses.
const MOVED: [&str; 3] = ["served", "grave", "locks"];

/// What a session may touch.
pub struct Prepared<F: Fs> {
    /// The directories.
    pub grounds: Grounds,
    /// The directory above each root that is not there, open.
    pub above: HashMap<PathBuf, F::Dir>,
}

impl<F: Fs> Default for Prepared<F> {
    fn default() -> Self {
        Self { grounds: Grounds::default(), above: HashMap::new() }
    }
}

/// Makes the state, unless nothing may be written, and gives the grounds of the session that begins so.
pub fn prepare<F: Fs>(fs: &Arc<F>, places: &Places, hello: &ClientHello) -> Prepared<F> {
    if grounds(places, hello).is_none() {
        return Prepared::default();
    }
    // When the system started is asked by every run.
    fs.boot();
    if !hello.dry_run
        && let Err(error) = make_state(fs, places)
    {
        // The session meets it again.
        tracing::debug!(%error, "the state cannot be made");
    }
    let mut above = HashMap::new();
    for path in missing(places, hello) {
        if let Some(dir) = path.parent().and_then(|parent| fs.open_root(parent).ok()) {
            above.insert(path, dir);
        }
    }
    Prepared { grounds: grounds(places, hello).unwrap_or_default(), above }
}

fn make_state<F: Fs>(fs: &Arc<F>, places: &Places) -> Result<(), smd_maildir::Error> {
    let home = Home::open(fs.clone(), &places.state, Access::ReadWrite)?;
    home.sync_above()?;
    server_id(&home).map(drop)
}

/// Adds where parts of the state lead as symlinks.
pub(crate) fn moved(grounds: &mut Grounds, state: &Path, right: Right) {
    MOVED.iter().for_each(|name| grounds.add_linked(state, name, right));
}

/// Whether the run may change mail of this host.
fn may_change(hello: &ClientHello) -> bool {
    !hello.dry_run && hello.direction.changes(Side::Theirs)
}

fn resolved<'a>(places: &'a Places, hello: &'a ClientHello) -> impl Iterator<Item = Option<PathBuf>> + 'a {
    hello.roots.iter().map(|offer| roots::resolve(places, &offer.path).ok())
}

/// Roots that are not there.
pub fn missing(places: &Places, hello: &ClientHello) -> Vec<PathBuf> {
    resolved(places, hello).flatten().filter(|path| !path.is_dir()).collect()
}

/// The grounds of a session that begins so, as the directories are now; none when its roots are refused.
pub fn grounds(places: &Places, hello: &ClientHello) -> Option<Grounds> {
    let paths: Vec<PathBuf> = resolved(places, hello).collect::<Option<_>>()?;
    roots::check(places, &paths).ok()?;
    let mut grounds = Grounds::default();
    let state = if hello.dry_run { Right::Read } else { Right::Write };
    // A state that is not there is none, to a session that may not make it.
    let _ = grounds.add(&places.state, state);
    moved(&mut grounds, &places.state, state);
    let changes = may_change(hello);
    for path in paths {
        match (path.is_dir(), path.parent()) {
            (true, _) => {
                let _ = grounds.add(&path, if changes { Right::Write } else { Right::Read });
            }
            (false, Some(above)) if changes => {
                let _ = grounds.add(above, Right::MakeDir);
            }
            (false, _) => {}
        }
    }
    Some(grounds)
}
