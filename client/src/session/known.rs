//! Which root each spelling of a remote path was found to mean: `known-roots` in the state directory.
//!
//! It is advice that saves a round trip: the server says which root it is in every run, and a wrong line costs that trip.
//!
//! Deliberately not here: what a root's name is made of (the server's Hello).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use smd_maildir::fs::{Fs, Rename};
use smd_maildir::home::{Access, Home, Label, read_file, write_beside};

use crate::endpoint::{Endpoint, RootPair, Transport};

const FILE: &[u8] = b"known-roots";
/// Larger than any such file gets; a larger one is not ours.
const FILE_MAX: u64 = 4 << 20;
/// So many spellings are kept.
const SPELLINGS_MAX: usize = 4096;

/// The root that each spelling means: the way to the host, and the path as the server is told it, each ended by NUL.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<Vec<u8>, Label>);

fn spelling(endpoint: &Endpoint, root: &RootPair) -> Vec<u8> {
    let way = match &endpoint.transport {
        Transport::Local => Vec::new(),
        // A port is among the words of the remote shell.
        Transport::Rsh { rsh, destination, .. } => {
            let words = rsh.iter().map(|word| word.as_bytes()).chain([destination.as_str().as_bytes()]);
            words.collect::<Vec<_>>().join(&b' ')
        }
    };
    [&way[..], b"\0", &root.remote, b"\0"].concat()
}

impl Known {
    /// What is remembered; nothing where that cannot be read.
    pub(super) fn read<F: Fs>(home: &Home<F>) -> Self {
        let Some(dir) = home.dir() else { return Self::default() };
        let file = read_file(&**home.fs(), dir, FILE, FILE_MAX).ok().flatten().unwrap_or_default();
        let mut fields = file.split(|&byte| byte == 0);
        let mut known = BTreeMap::new();
        while let (Some(root), Some(host), Some(path)) = (fields.next(), fields.next(), fields.next()) {
            let Ok(root) = Label::parse(root.strip_prefix(b"\n").unwrap_or(root)) else { continue };
            known.insert([host, b"\0", path, b"\0"].concat(), root);
        }
        Self(known)
    }

    /// The root that a spelling meant last.
    pub(super) fn get(&self, endpoint: &Endpoint, root: &RootPair) -> Option<&Label> {
        self.0.get(&spelling(endpoint, root))
    }

    /// Learns what a spelling means.
    pub(super) fn learn(&mut self, endpoint: &Endpoint, root: &RootPair, is: Label) {
        if self.0.len() >= SPELLINGS_MAX {
            self.0.clear();
        }
        self.0.insert(spelling(endpoint, root), is);
    }

    /// Remembers it. Writes nothing in a dry run; that it fails costs a round trip.
    pub(super) fn remember<F: Fs>(&self, home: &Home<F>) {
        let (Some(dir), Access::ReadWrite) = (home.dir(), home.access()) else { return };
        let lines: Vec<Vec<u8>> =
            self.0.iter().map(|(spelling, root)| [root.as_str().as_bytes(), b"\0", spelling, b"\n"].concat()).collect();
        let parts: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let beside = [FILE, b".new"].concat();
        let written = write_beside(&**home.fs(), dir, FILE, &parts)
            .and_then(|()| home.fs().rename(dir, &beside, dir, FILE, Rename::Replace));
        if let Err(error) = written {
            tracing::warn!(%error, "the names of the server's roots were not remembered");
        }
    }
}

/// A root's path without symlinks; as it is configured where that cannot be found out.
pub(super) fn real(path: &[u8]) -> PathBuf {
    let path = PathBuf::from(OsStr::from_bytes(path));
    crate::endpoint::overlap::resolved(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use smd_maildir::fs::Disk;
    use std::sync::Arc;

    #[test]
    fn what_was_remembered_is_known_and_a_damaged_file_knows_nothing_false() {
        let temp = tempfile::tempdir().expect("temp");
        let home = |access| Home::open(Arc::new(Disk), temp.path(), access).expect("opens");
        let label = |name: &str| Label::parse(name.as_bytes()).expect("a label");
        let mut known = Known::default();
        known.0.insert(b"me@office\0Mail\0".to_vec(), label("abc"));
        known.0.insert(b"\0/m\xff \n\0".to_vec(), label("def"));
        known.remember(&home(Access::ReadOnly));
        assert!(Known::read(&home(Access::ReadWrite)).0.is_empty());
        known.remember(&home(Access::ReadWrite));
        assert_eq!(Known::read(&home(Access::ReadOnly)).0, known.0);
        std::fs::write(temp.path().join("known-roots"), b"../x\0office\0Mail\0\nabc\0office").expect("writes");
        assert!(Known::read(&home(Access::ReadOnly)).0.is_empty());
    }
}
