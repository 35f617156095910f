//! The folders of both hosts with their names on the other one.
//!
//! Deliberately not here: how folders are listed (the session), and what is said of them (`text`).

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;

use smd_client::config::quote;
use smd_client::endpoint::RootPair;
use smd_client::report::{Host, Trouble};
use smd_client::session::BothSides;
use smd_maildir::exclude::{Excludes, Names};
use smd_protocol::{Folder, Snapshot};

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

/// Something that was met when folders were listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// What.
    pub trouble: Trouble,
    /// A run does not even look there, or passes it by.
    pub passed_by: bool,
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
    pub met: Vec<Met>,
    /// Patterns for it that match no folder, as a config has them, and what to write for the folder that was probably meant.
    pub idle_patterns: BTreeMap<String, Option<String>>,
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
        self.met.iter().map(|met| &met.trouble).filter(move |trouble| {
            let root = if trouble.host == Host::Client { &self.path } else { &self.there };
            let is_root = |path: &[u8]| path == &root[..] || path.ends_with(&[b"/", &root[..]].concat());
            is_root(&trouble.path)
                || self.rows.iter().flat_map(wanted).any(|(host, folder)| {
                    let below = [b"/", folder.as_bytes()].concat();
                    host == trouble.host && trouble.path.strip_suffix(&below[..]).is_some_and(is_root)
                })
        })
    }

    /// What was met on a host and a run would meet too: not a symlink, which a run passes by, and nothing in what is left alone.
    pub fn met_in_a_run(&self) -> impl Iterator<Item = &Trouble> {
        self.met.iter().filter(|met| !met.passed_by).map(|met| &met.trouble)
    }

    /// What was met on this host, or on the other.
    pub fn met(&self, host: Host) -> impl Iterator<Item = &Trouble> {
        self.met.iter().map(|met| &met.trouble).filter(move |trouble| trouble.host == host)
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
    let mut rows = Vec::new();
    for folder in both.client.snapshot.folders.keys() {
        // What is left alone is not translated, unless that is how it is known.
        let why = disk.why(folder).map(quote::word);
        let there = if disk.prunes(folder) { None } else { Some(canonical(folder)) };
        let state = match (why, &there) {
            (Some(pattern), _) => State::LeftAlone(pattern),
            (None, Some(Ok(there))) if theirs.remove(there) => State::Both,
            (None, Some(Err(why))) => State::NoName(why.clone()),
            (None, _) => State::OnlyHere,
        };
        rows.push(Row { here: Some(folder.clone()), there: there.and_then(Result::ok), state });
    }
    // A folder that is left alone on both hosts is one row.
    let known: BTreeMap<Folder, ()> = rows.iter().filter_map(|row| Some((row.there.clone()?, ()))).collect();
    for folder in theirs.into_iter().filter(|folder| !known.contains_key(*folder)) {
        let why = wire.why(folder).map(quote::word);
        let here = if wire.prunes(folder) { None } else { Some(local(folder)) };
        let state = match (why, &here) {
            (Some(pattern), _) => State::LeftAlone(pattern),
            (None, Some(Err(why))) => State::NoName(why.clone()),
            (None, _) => State::OnlyThere,
        };
        let here = here.and_then(Result::ok);
        match rows.iter_mut().find(|row| row.there.is_none() && here.is_some() && row.here == here) {
            Some(row) => row.there = Some(folder.clone()),
            None => rows.push(Row { here, there: Some(folder.clone()), state }),
        }
    }
    rows.sort_by(|a, b| a.here.as_ref().or(a.there.as_ref()).cmp(&b.here.as_ref().or(b.there.as_ref())));
    let by_design = both.left_out.iter().map(|trouble| (trouble, true));
    let met = both.troubles.iter().map(|trouble| (trouble, false)).chain(by_design).map(|(trouble, by_design)| {
        let (path, excludes) = match trouble.host {
            Host::Client => (root.local.as_os_str().as_bytes(), &disk),
            Host::Server => (&root.remote[..], &wire),
        };
        let left_alone = || below(&trouble.path, path).is_some_and(|place| is_left_alone(place, excludes));
        Met { trouble: trouble.clone(), passed_by: by_design || left_alone() }
    });
    let met = met.collect();
    let names = [(&disk, &both.client.snapshot), (&wire, &both.server.snapshot)];
    RootCheck {
        here: root.label.clone(),
        path: root.local.as_os_str().as_bytes().to_vec(),
        there: root.remote.clone(),
        absent: [both.client.absent, both.server.absent],
        rows,
        met,
        idle_patterns: idle_patterns(names),
    }
}

/// What of a path is below a root, which may be told from the home directory of its host.
fn below<'a>(path: &'a [u8], root: &[u8]) -> Option<&'a [u8]> {
    let start = if root.starts_with(b"/") { root.to_vec() } else { [b"/", root].concat() };
    let start = [&start[..], b"/"].concat();
    let at = path.windows(start.len()).position(|part| part == start)?;
    Some(&path[at + start.len()..])
}

/// Whether a place below a root lies in what is left alone.
fn is_left_alone(place: &[u8], excludes: &Excludes) -> bool {
    let ends = place.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).chain([place.len()]);
    let above = |end: usize| Folder::parse(&place[..end]).is_ok_and(|dir| excludes.prunes(&dir));
    let own = || place.strip_suffix(b"/cur").or_else(|| place.strip_suffix(b"/new"));
    ends.into_iter().any(above) || own().is_some_and(|own| Folder::parse(own).is_ok_and(|own| excludes.excludes(&own)))
}

/// The patterns that nothing matches on either host, asked by its own names.
fn idle_patterns(names: [(&Excludes, &Snapshot); 2]) -> BTreeMap<String, Option<String>> {
    let mut meant: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    // Each is asked of all, also where a row needed no answer.
    for (excludes, snapshot) in names {
        for folder in snapshot.folders.keys() {
            excludes.excludes(folder);
        }
    }
    for (excludes, snapshot) in names {
        meant.extend(excludes.meant(snapshot.folders.keys()));
    }
    let met: BTreeSet<&[u8]> = names[0].0.met().filter(|(_, met)| *met).map(|(pattern, _)| pattern).collect();
    let idle = names[0].0.met().map(|(pattern, _)| pattern).filter(|pattern| !met.contains(pattern));
    let instead = |pattern: &[u8]| Some(quote::pattern_of(meant.get(pattern)?));
    idle.map(|pattern| (quote::word(pattern), instead(pattern))).collect()
}

/// A pattern may be meant for another root: only those that match in none are idle.
pub fn idle_everywhere(roots: &[RootCheck]) -> BTreeMap<&str, Option<&str>> {
    let Some((first, others)) = roots.split_first() else { return BTreeMap::new() };
    let everywhere = |pattern: &String| others.iter().all(|root| root.idle_patterns.contains_key(pattern));
    let meant = |pattern: &String| roots.iter().find_map(|root| root.idle_patterns.get(pattern)?.as_deref());
    first.idle_patterns.keys().filter(|one| everywhere(one)).map(|one| (&one[..], meant(one))).collect()
}
