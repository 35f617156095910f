//! The folders of both hosts with their names on the other one.
//!
//! Deliberately not here: how folders are listed (the session), and what is said of them (`text`).

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;

use smd_client::endpoint::RootPair;
use smd_client::report::{Host, Trouble};
use smd_client::session::BothSides;
use smd_maildir::exclude::{Excludes, Names};
use smd_protocol::Folder;

/// What a run would make of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Both hosts have it.
    Both,
    /// Only this host has it.
    OnlyHere,
    /// Only the other host has it.
    OnlyThere,
    /// It is left alone, because of this pattern.
    LeftAlone(String),
    /// It has no name at the other host: why, and what to do.
    NoName(String),
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name here, if it has one.
    pub here: Option<Folder>,
    /// Its name at the other host, if it has one.
    pub there: Option<Folder>,
    /// What a run would make of it.
    pub state: State,
}

/// A root.
#[derive(Clone, Debug)]
pub struct RootCheck {
    /// As written for this host.
    pub here: Vec<u8>,
    /// Where it lies on this host.
    pub path: Vec<u8>,
    /// As the server is told it.
    pub there: Vec<u8>,
    /// Whether this or the other host has no such root.
    pub absent: [bool; 2],
    /// Its folders, by their names here as far as they have one.
    pub rows: Vec<Row>,
    /// What was met on either host.
    pub troubles: Vec<Trouble>,
    /// Patterns for it that match no folder.
    pub idle_patterns: Vec<String>,
}

impl RootCheck {
    /// Whether a run would work.
    pub fn would_work(&self) -> bool {
        self.absent != [true, true]
            && !self.rows.iter().any(|row| matches!(row.state, State::NoName(_)))
            && self.in_the_way().next().is_none()
    }

    /// What was met on a host where a run would need a root or a folder.
    pub fn in_the_way(&self) -> impl Iterator<Item = &Trouble> {
        let wanted = |row: &Row| {
            let both = [(Host::Client, row.here.clone()), (Host::Server, row.there.clone())];
            let synced = matches!(row.state, State::OnlyThere | State::OnlyHere | State::Both);
            both.into_iter().filter_map(move |(host, folder)| Some((host, folder.filter(|_| synced)?)))
        };
        self.troubles.iter().filter(move |trouble| {
            let root = if trouble.host == Host::Client { &self.path } else { &self.there };
            let is_root = |path: &[u8]| path == &root[..] || path.ends_with(&[b"/", &root[..]].concat());
            is_root(&trouble.path)
                || self.rows.iter().flat_map(wanted).any(|(host, folder)| {
                    let below = [b"/", folder.as_bytes()].concat();
                    host == trouble.host && trouble.path.strip_suffix(&below[..]).is_some_and(is_root)
                })
        })
    }

    /// What was met on this host, or on the other.
    pub fn met(&self, host: Host) -> impl Iterator<Item = &Trouble> {
        self.troubles.iter().filter(move |trouble| trouble.host == host)
    }
}

/// Puts a root's folders together.
pub fn check(root: &RootPair, both: &BothSides) -> RootCheck {
    let asked = |names| match &root.naming {
        Some(naming) => root.excludes.clone().with(root.local_excludes.clone(), naming.clone(), names),
        None => root.excludes.clone(),
    };
    let [disk, wire]: [Excludes; 2] = [asked(Names::Local), asked(Names::Canonical)];
    let canonical =
        |folder: &Folder| root.naming.as_ref().map_or(Ok(folder.clone()), |naming| naming.canonical(folder));
    let local = |folder: &Folder| root.naming.as_ref().map_or(Ok(folder.clone()), |naming| naming.local(folder));

    let mut theirs: BTreeSet<&Folder> = both.server.snapshot.folders.keys().collect();
    let (mut rows, mut working) = (Vec::new(), BTreeSet::new());
    for folder in both.client.snapshot.folders.keys() {
        // What is left alone is not translated, unless that is how it is known.
        let why = disk.why(folder);
        let there = if disk.prunes(folder) { None } else { Some(canonical(folder)) };
        let state = match (why, &there) {
            (Some(pattern), _) => State::LeftAlone(pattern),
            (None, Some(Ok(there))) if theirs.remove(there) => State::Both,
            (None, Some(Err(why))) => State::NoName(why.clone()),
            (None, _) => State::OnlyHere,
        };
        if let State::LeftAlone(pattern) = &state {
            working.insert(pattern.clone());
        }
        rows.push(Row { here: Some(folder.clone()), there: there.and_then(Result::ok), state });
    }
    // A folder that is left alone on both hosts is one row.
    let known: BTreeMap<Folder, ()> = rows.iter().filter_map(|row| Some((row.there.clone()?, ()))).collect();
    for folder in theirs.into_iter().filter(|folder| !known.contains_key(*folder)) {
        let why = wire.why(folder);
        let here = if wire.prunes(folder) { None } else { Some(local(folder)) };
        let state = match (why, &here) {
            (Some(pattern), _) => State::LeftAlone(pattern),
            (None, Some(Err(why))) => State::NoName(why.clone()),
            (None, _) => State::OnlyThere,
        };
        if let State::LeftAlone(pattern) = &state {
            working.insert(pattern.clone());
        }
        let here = here.and_then(Result::ok);
        match rows.iter_mut().find(|row| row.there.is_none() && here.is_some() && row.here == here) {
            Some(row) => row.there = Some(folder.clone()),
            None => rows.push(Row { here, there: Some(folder.clone()), state }),
        }
    }
    rows.sort_by(|a, b| a.here.as_ref().or(a.there.as_ref()).cmp(&b.here.as_ref().or(b.there.as_ref())));
    let idle: BTreeSet<String> = disk.patterns().filter(|pattern| !working.contains(pattern)).collect();
    RootCheck {
        here: root.label.clone(),
        path: root.local.as_os_str().as_bytes().to_vec(),
        there: root.remote.clone(),
        absent: [both.client.absent, both.server.absent],
        rows,
        troubles: both.troubles.clone(),
        idle_patterns: idle.into_iter().collect(),
    }
}

/// A pattern may be meant for another root: only those that match in none are idle.
pub fn idle_everywhere(roots: &[RootCheck]) -> Vec<String> {
    let Some((first, others)) = roots.split_first() else { return Vec::new() };
    let everywhere = |pattern: &&String| others.iter().all(|root| root.idle_patterns.contains(pattern));
    first.idle_patterns.iter().filter(everywhere).cloned().collect()
}
