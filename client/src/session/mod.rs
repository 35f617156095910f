//! The session's brain: both looks, one plan per root, batches of steps, and the agreement on a new base.
//!
//! The rooms: `peer` (talking to the server), `greet` (which roots and bases these are, and `known`, what they were last),
//! `pair` (one root at both hosts: looks and plan), `room` (whether the plan fits on the disks), `batch`
//! (steps and contents, both ways), `course` (batch by batch), `turns` (which root is carried out when), `guard` (what was removed within a day), `headers` (what copies differ by), `agree` (the
//! new base), `tell` (what the report says of it), `verify` (both looks without a base, for `smd-verify` and `smd-check-conf`),
//! `graves` (what rests at the other host, for `smd-undo`), `idle` (exclude patterns that match nothing),
//! `open` (run after run over one connection). `converse` is the order in which they are used.
//!
//! Deliberately not here: what happens to a message (`smd_protocol::reconcile`), how it happens on a disk
//! (`smd_maildir`), and how anything is said to a person (`report`, `error`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use smd_maildir::fs::Fs;
use smd_maildir::home::{Access, Fresh, Home, client_id};
use smd_maildir::lock::LockError;
use smd_maildir::quota::{Quota, Whose};
use smd_maildir::run::{RootRun, RunError};
use smd_maildir::store::StoreError;
use smd_protocol::names::printable;
use smd_protocol::reconcile::Past;
use smd_protocol::wire::{self, ClientHello, Depth, FromClient, FromServer, RootOffer, ServerHello};
use smd_protocol::{Told, rights, seeded};
use smd_server::link::{Hearing, Inbox, Life, Outbox, Reader, Writer};

mod agree;
mod batch;
mod course;
mod graves;
mod greet;
mod guard;
mod headers;
mod idle;
mod known;
mod open;
mod pair;
mod peer;
mod room;
mod tell;
mod turns;
mod verify;

use pair::{Met, Pair};
use peer::unexpected;

pub use crate::session_error::SessionError;
pub use graves::FarGraves;
pub use open::{Open, Waker, Woken};
pub use peer::Words;
pub use verify::{BothFolders, BothSides, OneSide, both_folders, both_sides};

use crate::connect::Link;
use crate::endpoint::Endpoint;
use crate::options::{Direction, RunOptions, Scan};
use crate::progress::{Phase, Progress};
use crate::report::{Host, Report, Traffic};

/// Where the system tells machines apart.
const MACHINE_ID: &str = "/etc/machine-id";

/// The way to the server, as the session uses it.
pub struct Line {
    /// What the server says.
    pub inbox: Box<dyn Inbox + Send>,
    /// What it is told.
    pub outbox: Box<dyn Outbox + Send>,
    /// The server is on this host, so nothing is compressed.
    pub local: bool,
}

impl Line {
    /// Starts to read from and write to a connection.
    pub fn over(link: Link) -> Self {
        let compressed = if link.local { |_: &[u8]| false } else { |_: &[u8]| true };
        let life = Life::default();
        let inbox = Box::new(Reader::start(link.reader, Hearing { compressed, sign: peer::sign }, life.clone()));
        Self { inbox, outbox: Box::new(Writer::start(link.writer, Words, life)), local: link.local }
    }
}

/// Runs one session over this line, with this host's files in `fs`: one run, and goodbye.
///
/// # Errors
/// When the session cannot be brought to its end. What was committed stands; the next run finishes the rest.
pub fn run<F: Fs>(
    fs: &Arc<F>,
    endpoint: &Endpoint,
    options: &RunOptions,
    line: Line,
    progress: &mut Progress,
    stop: Arc<AtomicBool>,
) -> Result<Report, SessionError> {
    Open::new(fs.clone(), endpoint.clone(), line, stop).once(options, progress)
}

impl<F: Fs> Open<F> {
    /// Says Hello for a run after which this session rests if it `stays`, and hears the server's.
    fn say_hello(
        &mut self,
        stays: bool,
        client: &str,
        options: &RunOptions,
        pairs: &[Pair<F>],
        roots: Vec<RootOffer>,
    ) -> Result<ServerHello, SessionError> {
        let after_cut = pairs.iter().any(Pair::comes_after_cut);
        let features = [
            (stays, wire::WATCH),
            (after_cut, wire::CUT),
            (true, wire::LEFT_OUT),
            (true, wire::SPELLING),
            (true, wire::TWINS),
            (true, wire::ROOM),
            (true, wire::WORKING),
            (true, wire::RECONNECT),
            (true, wire::BUDGET),
            (true, wire::REPORTS),
            (true, wire::BUSY),
        ];
        let features = features
            .into_iter()
            .chain(idle::features(pairs))
            .filter(|(has, _)| *has)
            .map(|(_, feature)| Told::from(feature))
            .collect();
        self.begins();
        self.peer.say(&FromClient::Hello(ClientHello {
            features,
            client: client.to_owned(),
            direction: options.direction.into(),
            dry_run: options.dry_run,
            depth: options.scan.into(),
            compress: !self.local,
            grave_days: options.grave_days,
            roots,
        }))?;
        if !self.local && !self.compressed {
            self.peer.compress()?;
            self.compressed = true;
        }
        if stays && !pairs.is_empty() {
            self.watch(pairs.iter().map(|pair| pair.local.ground()).collect());
        }
        let FromServer::Hello(hello) = self.peer.hear_message()? else {
            return Err(unexpected("something before its Hello"));
        };
        self.peer.meets(&hello);
        self.peer.round_trips += 1;
        Ok(hello)
    }
}

/// One run over a connection; `stays` when there may be another one after it.
fn converse<F: Fs>(
    open: &mut Open<F>,
    stays: bool,
    options: &RunOptions,
    pairs: &mut Vec<Pair<F>>,
    progress: &Progress,
) -> Result<Report, SessionError> {
    progress.phase(Phase::Connect, None);
    let access = if options.dry_run && !seeded::is("dry-run-writes") { Access::ReadOnly } else { Access::ReadWrite };
    let home = Home::open(open.fs.clone(), open.endpoint.home.path(), access).map_err(RunError::from)?;
    let id = client_id(&home, Path::new(MACHINE_ID)).map_err(RunError::from)?;
    let endpoint = open.endpoint.clone();
    let (host_home, host_endpoint) = (&home, &endpoint);
    let stop = open.peer.stop_flag();
    let host =
        greet::Host { home: host_home, id: id.id.as_str(), endpoint: host_endpoint, options, baseless: false, stop };
    open.peer.begin();
    let (met, hello) = host.meet(&mut |pairs, roots| open.say_hello(stays, id.id.as_str(), options, pairs, roots))?;
    *pairs = met;
    let quota = Quota::new(options.caps, &home, Whose::Endpoint(&endpoint.name));
    pairs.iter_mut().for_each(|pair| pair.local.set_quota(quota.clone()));
    let changed = match id.fresh {
        Some(Fresh::Clone) => Some("this machine is a copy of another one, so it has a new client id"),
        Some(Fresh::Damaged) => Some("the client id could not be read, so there is a new one"),
        Some(Fresh::First) | None => None,
    };
    if let (Some(why), Some(pair)) = (changed, pairs.first_mut()) {
        pair.report.notes.push(format!("{why}; this run merges both hosts by content"));
    }
    let sandbox =
        hello.features.iter().find_map(|feature| feature.escaped().strip_prefix(wire::SANDBOX).map(str::to_owned));
    let Open { peer, endpoint, rests, .. } = open;
    idle::hear(pairs, &hello.features);
    *rests = hello.features.iter().any(|feature| *feature == *wire::WATCH);
    let has = |name: &str| hello.features.iter().any(|feature| *feature == *name);
    let (spells, headers, counts) = (has(wire::SPELLING), has(wire::HEADERS), has(wire::COUNTS));
    let budget = has(wire::BUDGET);
    let rights = rights::told(&hello.features);
    if let (true, true, Some(pair)) = (options.verbose > 0, has(rights::UNBOUND), pairs.first_mut()) {
        let (server, root) = (&endpoint.server, printable(pair.remote()));
        let text = format!(
            "the key of this host may sync every Maildir of its account on {server}; --root {root} in its line of \
             ~/.ssh/authorized_keys there keeps it to this one"
        );
        pair.report.notes.push(text);
    }
    if let (true, Some(pair)) = (has(rights::NOT_LIMITED), pairs.first_mut()) {
        let text = format!(
            "the key of this host is not limited by command=\"smd-server\" in ~/.ssh/authorized_keys on {}: it reads and writes any \
             directory of the account; smd-restricted-shell in its place limits it",
            endpoint.server
        );
        pair.report.notes.push(text);
    }
    for (pair, answer) in pairs.iter_mut().zip(hello.roots) {
        pair.restrict(rights);
        pair.spells = spells;
        pair.counts_there = counts;
        pair.has_budget_there = budget;
        pair.tells_headers = headers;
        if pair.meet(answer)? == Met::Parted {
            let (server, id) = (&endpoint.server, endpoint.home.path().join("client-id"));
            let text = format!(
                "{server} has another state of this host than this host has, as after a backup was put back, or where two \
                 machines are copies of each other; if this is such a copy, remove {} here",
                id.display()
            );
            pair.report.notes.push(text);
        }
    }

    progress.phase(Phase::Scan, None);
    RootRun::introduce(pairs.iter_mut().map(|pair| &mut pair.local));
    for pair in pairs.iter_mut() {
        pair.look(options, peer, progress)?;
    }
    progress.phase(Phase::Wait, None);
    for pair in pairs.iter_mut() {
        pair.hear_look(peer)?;
    }
    let mut traffic = Traffic { delta: peer.bytes_after_hello(), ..Traffic::default() };

    progress.phase(Phase::Compare, None);
    for pair in pairs.iter_mut() {
        pair.draft_plan(endpoint, options, peer)?;
    }
    guard::finish_plans(pairs, peer)?;
    if options.adopt {
        let tripped = pairs.iter().any(Pair::tripped);
        for pair in pairs.iter_mut().filter(|pair| !pair.adopts() && (pair.tripped() || !tripped)) {
            peer.say(&FromClient::Adopt { root: pair.index })?;
            pair.give_up_base()?;
            pair.look(options, peer, progress)?;
            pair.hear_look(peer)?;
            pair.draft_plan(endpoint, options, peer)?;
            pair.finish_plan(&Past::default());
        }
        peer.round_trips += 1;
        traffic.delta = peer.bytes_after_hello();
    }
    for pair in pairs.iter_mut() {
        pair.look_at_samples(peer)?;
    }

    turns::hold(pairs);
    for pair in pairs.iter_mut() {
        pair.weigh(endpoint, options, progress);
    }
    if !options.dry_run {
        progress.phase(Phase::Apply, Some(pairs.iter().map(Pair::open_steps).sum()));
        turns::carry_out(pairs, peer, progress)?;
    }
    let idle_patterns = idle::tell(pairs);
    let mut report = Report {
        endpoint: endpoint.name.clone(),
        client: endpoint.client.clone(),
        server: endpoint.server.clone(),
        undo_there: endpoint.undo_there(),
        word: endpoint.word().unwrap_or_default().to_owned(),
        direction: options.direction,
        dry_run: options.dry_run,
        traffic,
        idle_patterns,
        sandbox,
        keys: guard::key_reports(&mut peer.reports),
        ..Report::default()
    };
    for pair in pairs.iter_mut() {
        pair.tell(options, &mut report);
    }
    Ok(report)
}

impl From<Scan> for Depth {
    fn from(scan: Scan) -> Self {
        match scan {
            Scan::Quick => Self::Quick,
            Scan::Stat => Self::Stat,
            Scan::Full => Self::Full,
        }
    }
}

impl From<RunError> for SessionError {
    fn from(error: RunError) -> Self {
        let io = |error: smd_maildir::Error| {
            use std::os::unix::ffi::OsStringExt;
            let path = std::ffi::OsString::from_vec(error.path).into();
            SessionError::Io { host: Host::Client, path, source: error.cause }
        };
        match error {
            RunError::Lock(LockError::Held { path }) => {
                use std::os::unix::ffi::OsStringExt;
                SessionError::Locked { host: Host::Client, path: std::ffi::OsString::from_vec(path).into() }
            }
            RunError::Lock(LockError::Stopped { .. }) => SessionError::Interrupted,
            RunError::Lock(LockError::Io(error)) | RunError::Io(error) | RunError::Store(StoreError::Io(error)) => {
                io(error)
            }
            RunError::Naming(text) => SessionError::Config { text },
            // The plan is our own.
            RunError::Forbidden(text) => SessionError::Bug { text: text.to_owned() },
            // Nothing here shut itself off.
            RunError::Made => SessionError::Bug { text: error.to_string() },
            RunError::Store(error) => {
                let text = error.to_string();
                SessionError::Io { host: Host::Client, path: "the state".into(), source: std::io::Error::other(text) }
            }
        }
    }
}

impl From<Direction> for smd_protocol::reconcile::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Pull => Self::Pull,
            Direction::Push => Self::Push,
            Direction::Sync => Self::Sync,
        }
    }
}
