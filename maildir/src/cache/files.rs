//! The cache's files: an index with a checksum, and packs of folders' messages, each with its own.
//!
//! The seam to the file system has no seeking, and needs none: a pack is closed at about a MiB and read
//! whole. A folder of more messages has a pack to itself.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use smd_protocol::{Folder, codec};
use xxhash_rust::xxh3::xxh3_64;

use super::{Index, Record};
use crate::fs::{Fs, Rename};
use crate::root::if_there;

/// Names format and version of the index; another version is an empty cache.
const MAGIC: &[u8] = b"smd cache 5\n";
const INDEX: &[u8] = b"index";
const INDEX_NEW: &[u8] = b"index.new";
/// A pack is closed when it has so many bytes.
const PACK_FULL: usize = 1 << 20;
/// No file of a cache is larger.
const FILE_MAX: u64 = codec::STATE_MAX as u64;

/// Where the messages of a folder are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct BlobRef {
    pub(super) pack: u64,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) sum: u64,
}

impl BlobRef {
    /// Its bytes in a pack, if they are whole.
    pub(super) fn of<'a>(&self, pack: &'a [u8]) -> Option<&'a [u8]> {
        let from = usize::try_from(self.offset).ok()?;
        let to = from.checked_add(usize::try_from(self.len).ok()?)?;
        pack.get(from..to).filter(|bytes| xxh3_64(bytes) == self.sum)
    }

    /// Whether it holds these bytes.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        self.len == bytes.len() as u64 && self.sum == xxh3_64(bytes)
    }
}

fn damaged(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}

pub(super) fn encode_records(records: &[Record]) -> io::Result<Vec<u8>> {
    codec::encode_state(&records).map_err(damaged)
}

/// The messages by uniq, each once; none when the bytes are no such thing.
pub(super) fn decode_records(bytes: &[u8]) -> Option<Vec<Record>> {
    let records: Vec<Record> = codec::decode_state(bytes).ok()?;
    records.is_sorted_by(|a, b| a.uniq < b.uniq).then_some(records)
}

fn read_all<F: Fs>(fs: &F, dir: &F::Dir, name: &[u8], most: u64) -> io::Result<Vec<u8>> {
    let file = fs.open(dir, name)?;
    let size = fs.stat_file(&file)?.size;
    if size > most {
        return Err(damaged("too large"));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn read_index<F: Fs>(fs: &F, at: &F::Dir, name: &[u8]) -> io::Result<Index> {
    let dir = fs.open_dir(at, name)?;
    let bytes = read_all(fs, &dir, INDEX, FILE_MAX)?;
    let (body, sum) = bytes.split_last_chunk::<8>().ok_or_else(|| damaged("cut"))?;
    if xxh3_64(body) != u64::from_le_bytes(*sum) {
        return Err(damaged("the checksum differs"));
    }
    let body = body.strip_prefix(MAGIC).ok_or_else(|| damaged("another version"))?;
    codec::decode_state(body).map_err(damaged)
}

pub(super) fn read_pack<F: Fs>(fs: &F, at: &F::Dir, name: &[u8], pack: u64, size: u64) -> io::Result<Vec<u8>> {
    let dir = fs.open_dir(at, name)?;
    read_all(fs, &dir, &pack_name(pack), size.min(FILE_MAX))
}

fn pack_name(pack: u64) -> Vec<u8> {
    format!("pack.{pack}").into_bytes()
}

pub(super) fn make_dir<F: Fs>(fs: &F, at: &F::Dir, name: &[u8]) -> io::Result<F::Dir> {
    match if_there(fs.open_dir(at, name))? {
        Some(dir) => Ok(dir),
        None => {
            fs.make_dir(at, name)?;
            fs.open_dir(at, name)
        }
    }
}

fn write_new<F: Fs>(fs: &F, dir: &F::Dir, name: &[u8], bytes: &[u8]) -> io::Result<()> {
    // A leftover of a run that was killed before its index told of it.
    if_there(fs.unlink(dir, name))?;
    fs.create(dir, name)?.write_all(bytes)
}

/// Writes the messages of these folders into new packs and says where they are.
pub(super) fn write_packs<'a, F: Fs>(
    fs: &F,
    dir: &F::Dir,
    fresh: &[(&'a Folder, Vec<u8>)],
    packs: &mut BTreeMap<u64, u64>,
    next: &mut u64,
) -> io::Result<Vec<(&'a Folder, BlobRef)>> {
    let mut refs = Vec::with_capacity(fresh.len());
    let mut pack: Vec<u8> = Vec::new();
    let mut close = |pack: &mut Vec<u8>, number: &mut u64| -> io::Result<()> {
        write_new(fs, dir, &pack_name(*number), pack)?;
        packs.insert(*number, pack.len() as u64);
        *number += 1;
        pack.clear();
        Ok(())
    };
    for (folder, bytes) in fresh {
        if !pack.is_empty() && pack.len() + bytes.len() > PACK_FULL {
            close(&mut pack, next)?;
        }
        refs.push((
            *folder,
            BlobRef { pack: *next, offset: pack.len() as u64, len: bytes.len() as u64, sum: xxh3_64(bytes) },
        ));
        pack.extend_from_slice(bytes);
    }
    if !pack.is_empty() {
        close(&mut pack, next)?;
    }
    Ok(refs)
}

pub(super) fn write_index<F: Fs>(fs: &F, dir: &F::Dir, index: &Index) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(codec::encode_state(index).map_err(damaged)?);
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    write_new(fs, dir, INDEX_NEW, &bytes)?;
    fs.rename(dir, INDEX_NEW, dir, INDEX, Rename::Replace)
}

pub(super) fn remove_pack<F: Fs>(fs: &F, dir: &F::Dir, pack: u64) {
    if let Err(why) = fs.unlink(dir, &pack_name(pack)) {
        tracing::debug!(%why, pack, "a dead pack of the cache stays");
    }
}
