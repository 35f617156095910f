//! Which roots of a host may have a grave, by its state directory: those that its bases name (as a client and as a server), and
//! those whose graves lie there.
//!
//! What cannot be read names none; the others do all the same.
//!
//! Deliberately not here: roots that only a config names.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use crate::fs::Fs;
use crate::home::{Home, Label, Side, path_of_stem};
use crate::store::earlier;

/// All roots that are known here, as a run spells them. `user` is the home directory, where relative ones begin.
pub fn kept<F: Fs>(home: &Home<F>, user: &Path) -> BTreeSet<PathBuf> {
    let mut roots: BTreeSet<PathBuf> = bases(home).into_iter().map(|(_, _, root)| user.join(path(root))).collect();
    let mut stems = Vec::new();
    if let Ok(Some(graves)) = home.reader().below(&[b"grave"]) {
        // A listing that ends early names fewer.
        let _ = home.fs().list(&graves, &mut |name, _, _| stems.push(name.to_vec()));
    }
    let stems = stems.iter().filter_map(|stem| Some(path(path_of_stem(std::str::from_utf8(stem).ok()?)?)));
    roots.extend(stems.filter(|path| path.is_absolute()));
    // One root is one path.
    roots.into_iter().map(|root| root.components().collect()).collect()
}

/// All bases that are kept here: whose, with which peer, and the root's path as the name of the file has it.
pub fn bases<F: Fs>(home: &Home<F>) -> Vec<(Side, Label, Vec<u8>)> {
    let of = |side: Side| earlier::bases(home, side).into_iter().map(move |(peer, root)| (side, peer, root));
    [Side::Client, Side::Server].into_iter().flat_map(of).collect()
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}
