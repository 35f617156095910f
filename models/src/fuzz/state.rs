//! State files on a disk in memory. Checksums are right, since whoever writes a file may compute them.

use std::sync::Arc;

use smd_maildir::cache::Cache;
use smd_maildir::fs::Fs as _;
use smd_maildir::home::{Access, Home, Label, Side, stem};
use smd_maildir::store::Store;
use xxhash_rust::xxh3::xxh3_64;

use crate::memory::Memory;
use crate::model::mail::{ROOT, STATE};

/// A base file: its head, and what follows it, behind a first line that is right.
pub(super) fn snapshot(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else { return };
    // The sections follow behind an empty line, which belongs to neither.
    let head = data.windows(2).position(|two| two == b"\n\n").map_or(data.len(), |at| at + 1);
    let data = [&data[..head], data.get(head + 1..).unwrap_or_default()].concat();
    let claim = format!("3 {head}");
    let sum = xxh3_64(&[claim.as_bytes(), &data[..head]].concat());
    let file = match kind & 1 {
        0 => [format!("smd-db {claim} {sum:016x}\n").as_bytes(), &data].concat(),
        _ => data,
    };
    let disk = Memory::new(1);
    disk.by_hand().mkdir_all("/home").expect("a directory");
    let home = Home::open(Arc::new(disk.clone()), STATE.as_ref(), Access::ReadWrite).expect("a state");
    let pair = home.pair(Side::Client, &Label::derive(b"peer")).expect("a directory");
    let path = pair.path.join(format!("{}.db.txt", stem(ROOT.as_bytes())));
    disk.by_hand().write_file(path.as_os_str().as_encoded_bytes(), &file, None, true).expect("a file");
    let Ok(mut store) = Store::open(&pair, ROOT.as_bytes()) else { return };
    let _ = store.has_adopting();
    let _ = store.messages();
    if let Ok(snapshot) = store.snapshot() {
        assert!(snapshot.folders.values().all(|section| section.entries().is_sorted_by(|a, b| a.uniq < b.uniq)));
    }
    if let Some(next) = store.ids().next {
        let _ = store.promote(next);
    }
    let _ = store.messages();
}

/// The index of a cache.
pub(super) fn cache(data: &[u8]) {
    let mut file = [b"smd cache 5\n", data].concat();
    file.extend_from_slice(&xxh3_64(&file).to_le_bytes());
    let disk = Memory::new(1);
    disk.by_hand().mkdir_all("/home/c/stat").expect("a directory");
    disk.by_hand().write_file("/home/c/stat/index", &file, None, true).expect("a file");
    let at = disk.open_root(std::path::Path::new("/home/c")).expect("a directory");
    if let Ok(cache) = Cache::open(Arc::new(disk.clone()), &at, b"stat") {
        let _ = cache.base();
    }
}
