//! What both hosts hold, read from the first byte to the last, or only which folders: no base, no cache, no change.
//!
//! This is a dry run that offers no base, so that each host tells everything that it has as if all of it were new,
//! with a look that reads every file, or none.
//!
//! Deliberately not here: the comparison, and what is said of it (`smd-tools`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use smd_maildir::fs::Fs;
use smd_maildir::home::{Access, Home, client_id};
use smd_maildir::run::RunError;
use smd_protocol::wire::{self, ClientHello, Depth, FromClient, FromServer, Ids};
use smd_protocol::{Delta, Snapshot, Told};

use super::greet::Host;
use super::pair::Pair;
use super::peer::{Peer, unexpected};
use super::{Line, MACHINE_ID, SessionError};
use crate::endpoint::Endpoint;
use crate::options::RunOptions;
use crate::progress::{Phase, Progress};
use crate::report::Trouble;

/// What one host holds of a root.
#[derive(Clone, Debug, Default)]
pub struct OneSide {
    /// Every message, as read.
    pub snapshot: Snapshot,
    /// There is no such root.
    pub absent: bool,
    /// Something could not be read, so that nothing is known of what seems missing.
    pub incomplete: bool,
}

/// A root as both hosts hold it.
#[derive(Clone, Debug, Default)]
pub struct BothSides {
    /// The root as written for this host.
    pub root: Vec<u8>,
    /// This host's.
    pub client: OneSide,
    /// The other host's.
    pub server: OneSide,
    /// What could not be read, or is left alone, on either.
    pub troubles: Vec<Trouble>,
    /// What either leaves out by design.
    pub left_out: Vec<Trouble>,
}

/// Which folders both hosts have, by their own names, those that are left alone among them.
#[derive(Clone, Debug, Default)]
pub struct BothFolders {
    /// Of each root, in the order of the endpoint. The snapshots hold no messages.
    pub roots: Vec<BothSides>,
    /// The version of the program at the server, if it says.
    pub server_version: Option<String>,
    /// An earlier run left a base of some root, so that a dry run need not read all messages.
    pub has_base: bool,
}

/// Lists both hosts' folders and changes nothing on either. Nothing is translated or left alone.
///
/// # Errors
/// When the session cannot be brought to its end.
pub fn both_folders<F: Fs>(
    fs: &Arc<F>,
    endpoint: &Endpoint,
    options: &RunOptions,
    line: Line,
    progress: &mut Progress,
    stop: Arc<AtomicBool>,
) -> Result<BothFolders, SessionError> {
    let mut endpoint = endpoint.clone();
    for root in &mut endpoint.roots {
        (root.naming, root.exclude_pairs) = (None, Vec::new());
        (root.excludes, root.local_excludes) = Default::default();
    }
    let looks = look_at_both(fs, &endpoint, options, Depth::Folders, line, progress, stop)?;
    let Looks { mut pairs, features, has_base } = looks;
    let roots = pairs.iter_mut().map(Pair::sides).collect();
    Ok(BothFolders { roots, server_version: version_of(&features), has_base })
}

/// Which version of the program the server names among its features, for a person.
pub(super) fn version_of(features: &[Told]) -> Option<String> {
    features.iter().find_map(|feature| feature.escaped().strip_prefix("version=").map(str::to_owned))
}

/// Reads both hosts' roots and changes nothing on either.
///
/// # Errors
/// When the session cannot be brought to its end.
pub fn both_sides<F: Fs>(
    fs: &Arc<F>,
    endpoint: &Endpoint,
    options: &RunOptions,
    line: Line,
    progress: &mut Progress,
    stop: Arc<AtomicBool>,
) -> Result<Vec<BothSides>, SessionError> {
    let Looks { mut pairs, .. } = look_at_both(fs, endpoint, options, Depth::Full, line, progress, stop)?;
    pairs.iter_mut().map(|pair| pair.both_sides(endpoint)).collect()
}

/// Both hosts' looks without a base.
struct Looks<F: Fs> {
    pairs: Vec<Pair<F>>,
    /// What the server says of itself.
    features: Vec<Told>,
    /// There are bases here all the same.
    has_base: bool,
}

/// Looks without a base.
fn look_at_both<F: Fs>(
    fs: &Arc<F>,
    endpoint: &Endpoint,
    options: &RunOptions,
    depth: Depth,
    line: Line,
    progress: &mut Progress,
    stop: Arc<AtomicBool>,
) -> Result<Looks<F>, SessionError> {
    let local = line.local;
    let options = RunOptions { dry_run: true, ..options.clone() };
    let mut peer = Peer::new(line, stop);
    progress.phase(Phase::Connect, None);
    let home = Home::open(fs.clone(), endpoint.home.path(), Access::ReadOnly).map_err(RunError::from)?;
    let id = client_id(&home, Path::new(MACHINE_ID)).map_err(RunError::from)?;
    let stop = peer.stop_flag();
    let host = Host { home: &home, id: id.id.as_str(), endpoint, options: &options, baseless: true, stop };
    let mut compressed = local;
    let (mut pairs, hello) = host.meet(&mut |_, roots| {
        peer.say(&FromClient::Hello(ClientHello {
            features: [wire::LEFT_OUT, wire::TWINS, wire::WORKING, wire::RECONNECT, wire::BUSY]
                .map(Told::from)
                .to_vec(),
            client: id.id.as_str().to_owned(),
            direction: options.direction.into(),
            dry_run: true,
            depth,
            compress: !local,
            grave_days: options.grave_days,
            roots,
        }))?;
        if !std::mem::replace(&mut compressed, true) {
            peer.compress()?;
        }
        let FromServer::Hello(hello) = peer.hear_message()? else {
            return Err(unexpected("something before its Hello"));
        };
        peer.meets(&hello);
        Ok(hello)
    })?;
    let mut has_base = false;
    for pair in &mut pairs {
        has_base |= pair.local.ids() != Ids::default();
        pair.give_up_base()?;
        pair.depth = Some(depth);
    }
    progress.phase(Phase::Scan, None);
    for pair in &mut pairs {
        pair.look(&options, &peer, progress)?;
    }
    progress.phase(Phase::Wait, None);
    for pair in &mut pairs {
        pair.hear_look(&mut peer)?;
    }
    progress.phase(Phase::Compare, None);
    peer.say(&FromClient::Bye)?;
    peer.drain(&mut || {})?;
    Ok(Looks { pairs, features: hello.features, has_base })
}

impl<F: Fs> Pair<F> {
    /// What was found; a root that neither host has is a slip of the pen.
    fn both_sides(&mut self, endpoint: &Endpoint) -> Result<BothSides, SessionError> {
        self.refuse_absent(endpoint, &RunOptions::default())?;
        Ok(self.sides())
    }

    /// What was found.
    fn sides(&mut self) -> BothSides {
        let whole = |delta: &mut Delta| {
            let mut snapshot = Snapshot::default();
            snapshot.apply(&std::mem::take(delta));
            snapshot
        };
        let client = OneSide {
            snapshot: whole(&mut self.ours.delta),
            absent: self.ours_absent,
            incomplete: self.ours.incomplete || self.unusable,
        };
        let server = OneSide {
            snapshot: whole(&mut self.theirs.delta),
            absent: self.theirs_absent,
            incomplete: self.theirs.incomplete || self.unusable,
        };
        let troubles = std::mem::take(&mut self.troubles);
        let left_out = std::mem::take(&mut self.left_out_by_design);
        BothSides { root: self.label().to_vec(), client, server, troubles, left_out }
    }
}
