//! What a person was told of and stands, by cause: what several endpoints meet is one thing to know, and one thing that is over.
//!
//! A full disk is one full disk, whichever endpoint, root or file did not fit. A cause that is of a file system is told apart by
//! what the system says and by that file system: on this host by its device. The other host does not name its own, so there the host
//! stands for it: another full disk of the same host is said on stderr and in `--status` alone.
//!
//! Deliberately not here: what is said (`herald`), and when.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::endpoint::Endpoint;
use crate::report::Host;

/// What the system says of a file system as a whole, and not of one file.
const OF_A_FILE_SYSTEM: [Errno; 4] = [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::IO];

/// A file system, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Disk {
    /// Of this host, by its device.
    Here(u64),
    /// Of the host of this name.
    There(String),
}

/// Why something is said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// The system's error number, of a file system: the same for all endpoints.
    Disk(i32, Disk),
    /// Of one endpoint, by a key that stays the same while numbers in the text change.
    Own(String, String),
}

impl Cause {
    /// The cause of what an endpoint says under this key; `system` is what the system said, and of which file system.
    pub(super) fn of(endpoint: &str, key: &str, system: Option<(i32, Option<Disk>)>) -> Self {
        match system {
            Some((error, Some(disk))) if OF_A_FILE_SYSTEM.iter().any(|one| one.raw_os_error() == error) => {
                Self::Disk(error, disk)
            }
            _ => Self::Own(endpoint.to_owned(), key.to_owned()),
        }
    }
}

/// The endpoints that meet a cause, and all that met it since it was told.
#[derive(Debug, Default)]
struct Meets {
    now: BTreeSet<String>,
    ever: BTreeSet<String>,
}

/// What a person was told of, and stands.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<Cause, Meets>);

/// What became of the causes when an endpoint met others than before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Those that no endpoint met until now.
    pub(super) fresh: BTreeSet<Cause>,
    /// The endpoints that met those which none meets any more, and that meet nothing else.
    pub(super) over: BTreeSet<String>,
}

impl Told {
    /// From now on the endpoint meets these causes and no others.
    pub(super) fn meets(&mut self, endpoint: &str, causes: BTreeSet<Cause>) -> Change {
        let mut over = BTreeSet::new();
        self.0.retain(|cause, meets| {
            if meets.now.contains(endpoint) && !causes.contains(cause) {
                meets.now.remove(endpoint);
            }
            if meets.now.is_empty() {
                over.append(&mut meets.ever);
            }
            !meets.now.is_empty()
        });
        let mut fresh = BTreeSet::new();
        for cause in causes {
            let meets = self.0.entry(cause.clone()).or_default();
            if meets.now.is_empty() {
                fresh.insert(cause);
            }
            meets.now.insert(endpoint.to_owned());
            meets.ever.insert(endpoint.to_owned());
        }
        over.retain(|name| name == endpoint || !self.0.values().any(|meets| meets.now.contains(name)));
        Change { fresh, over }
    }

    /// Nobody serves this endpoint any more.
    pub(super) fn forget(&mut self, endpoint: &str) {
        self.0.values_mut().for_each(|meets| {
            meets.now.remove(endpoint);
            meets.ever.remove(endpoint);
        });
        self.0.retain(|_, meets| !meets.now.is_empty());
    }
}

/// Which file systems an endpoint is about.
#[derive(Debug, Default)]
pub(super) struct Disks {
    server: Option<String>,
    roots: Vec<(Vec<u8>, PathBuf)>,
}

impl Disks {
    /// Those of an endpoint.
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        let roots = endpoint.roots.iter().map(|root| (root.label.clone(), root.local.clone()));
        Self { server: Some(endpoint.server.clone()), roots: roots.collect() }
    }

    /// That of a root, by its label.
    pub(super) fn of_root(&self, host: Host, root: &[u8]) -> Option<Disk> {
        let (_, path) = self.roots.iter().find(|(label, _)| label == root)?;
        self.of_path(host, path)
    }

    /// That of a path, which need not be there.
    pub(super) fn of_path(&self, host: Host, path: &Path) -> Option<Disk> {
        match host {
            Host::Client => {
                let device = path.ancestors().find_map(|path| Some(path.metadata().ok()?.dev()));
                device.map(Disk::Here)
            }
            Host::Server => self.server.clone().map(Disk::There),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<T: Ord + Clone>(all: &[T]) -> BTreeSet<T> {
        all.iter().cloned().collect()
    }

    #[test]
    fn only_what_the_system_says_of_a_whole_file_system_is_one_cause_for_all_endpoints() {
        let (here, there) = (Disk::Here(7), Disk::There("office".to_owned()));
        let of = |endpoint, system| Cause::of(endpoint, "key", system);
        for (one, other, same) in [
            (Some((28, Some(here.clone()))), Some((28, Some(here.clone()))), true),
            (Some((30, Some(there.clone()))), Some((30, Some(there.clone()))), true),
            (Some((28, Some(here.clone()))), Some((28, Some(Disk::Here(8)))), false),
            (Some((28, Some(here.clone()))), Some((28, Some(there.clone()))), false),
            (Some((28, Some(here.clone()))), Some((122, Some(here.clone()))), false),
            // Who may not read one file may read another.
            (Some((13, Some(here.clone()))), Some((13, Some(here))), false),
            (Some((28, None)), Some((28, None)), false),
            (None, None, false),
        ] {
            assert_eq!(of("work", one.clone()) == of("home", other.clone()), same, "{one:?} {other:?}");
        }
        assert_eq!(of("work", None), of("work", None));
        assert_ne!(of("work", None), Cause::of("work", "other", None));
    }

    #[test]
    fn a_cause_is_fresh_once_and_over_when_no_endpoint_meets_it() {
        let full = || Cause::Disk(28, Disk::Here(7));
        let own = |endpoint: &str| Cause::Own(endpoint.to_owned(), "guard".to_owned());
        let mut told = Told::default();
        for (endpoint, causes, fresh, over) in [
            ("a", vec![full()], vec![full()], vec![]),
            ("b", vec![full()], vec![], vec![]),
            ("a", vec![full()], vec![], vec![]),
            ("c", vec![full(), own("c")], vec![own("c")], vec![]),
            ("a", vec![], vec![], vec![]),
            // What is still wrong with c is its own.
            ("c", vec![own("c")], vec![], vec![]),
            ("b", vec![], vec![], vec!["a", "b"]),
            ("b", vec![full()], vec![full()], vec![]),
            ("b", vec![own("b")], vec![own("b")], vec!["b"]),
            ("c", vec![], vec![], vec!["c"]),
            ("c", vec![], vec![], vec![]),
        ] {
            let change = told.meets(endpoint, set(&causes));
            let over: BTreeSet<String> = over.into_iter().map(str::to_owned).collect();
            assert_eq!(change, Change { fresh: set(&fresh), over }, "{endpoint} {causes:?}");
        }
    }

    #[test]
    fn what_is_yet_to_be_made_is_on_the_file_system_of_what_is_above_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("Mail");
        let disks = Disks { server: Some("office".to_owned()), roots: vec![(b"Mail".to_vec(), root.clone())] };
        let missing = disks.of_root(Host::Client, b"Mail");
        std::fs::create_dir(&root).expect("a directory");
        assert_eq!(missing, disks.of_path(Host::Client, &root));
        assert_eq!(disks.of_root(Host::Server, b"Mail"), Some(Disk::There("office".to_owned())));
        assert_eq!((disks.of_root(Host::Client, b"M"), Disks::default().of_path(Host::Server, &root)), (None, None));
    }
}
