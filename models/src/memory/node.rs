//! Inodes: what they hold now, and what of it a crash would leave.
//!
//! Deliberately not here: names (`names.rs` beside it) and which names a crash leaves (`crash.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use smd_maildir::fs::Kind;
use smd_protocol::delta::Mtime;

/// An inode by a number of our own that is never given twice; `st_ino` may be.
pub(super) type Id = u64;

/// A name in a directory.
pub(super) type EntryName = Arc<[u8]>;

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// `st_ino`.
    pub(super) number: u64,
    pub(super) dev: u64,
    pub(super) links: u64,
    pub(super) mode: u32,
    pub(super) mtime: Mtime,
    pub(super) ctime: Mtime,
    pub(super) btime: Mtime,
    /// Whether another file system is mounted here.
    pub(super) mount: bool,
    pub(super) body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    File(FileBody),
    Dir(DirBody),
    Symlink(Arc<[u8]>),
    Other,
}

#[derive(Clone, Debug)]
pub(super) struct DirBody {
    pub(super) names: BTreeMap<EntryName, Id>,
    pub(super) parent: Id,
    /// Removed, but still held by somebody.
    pub(super) gone: bool,
}

/// What of a file is durable.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) mtime: Mtime,
    pub(super) ctime: Mtime,
    pub(super) mode: u32,
}

#[derive(Clone, Debug)]
pub(super) struct FileBody {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) image: Image,
    /// Bytes before this are in both the file and the image, unchanged.
    pub(super) floor: usize,
    /// What was written since the last sync, from and to; the kernel knows that it has to write it.
    pub(super) dirty: Option<(usize, usize)>,
    /// What a failed sync dropped: the kernel believes it clean, and no later sync will write it.
    pub(super) lost: Vec<(usize, usize)>,
    /// Whether the kernel knows of anything to write, bytes or inode.
    pub(super) changed: bool,
}

impl FileBody {
    pub(super) fn new(stamp: Mtime, mode: u32) -> Self {
        let bytes = Arc::new(Vec::new());
        let image = Image { bytes: bytes.clone(), mtime: stamp, ctime: stamp, mode };
        Self { bytes, image, floor: 0, dirty: None, lost: Vec::new(), changed: true }
    }

    pub(super) fn write(&mut self, at: usize, new: &[u8]) {
        let bytes = Arc::make_mut(&mut self.bytes);
        let end = at + new.len();
        self.floor = self.floor.min(at).min(bytes.len());
        if bytes.len() == at {
            bytes.extend_from_slice(new);
        } else {
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[at..end].copy_from_slice(new);
        }
        self.dirty = Some(self.dirty.map_or((at, end), |(from, to)| (from.min(at), to.max(end))));
        if !self.lost.is_empty() {
            self.lost = self
                .lost
                .iter()
                .flat_map(|&(from, to)| [(from, to.min(at)), (from.max(end), to)])
                .filter(|(from, to)| from < to)
                .collect();
        }
        self.changed = true;
    }

    pub(super) fn truncate(&mut self, size: usize) {
        let bytes = Arc::make_mut(&mut self.bytes);
        self.floor = self.floor.min(size).min(bytes.len());
        bytes.resize(size, 0);
        let cut = |&(from, to): &(usize, usize)| (from, to.min(size));
        self.dirty = self.dirty.as_ref().map(cut).filter(|(from, to)| from < to);
        self.lost = self.lost.iter().map(cut).filter(|(from, to)| from < to).collect();
        self.changed = true;
    }

    /// What a sync that succeeds leaves on the disk: everything but what an earlier one dropped.
    fn written(&self) -> Arc<Vec<u8>> {
        if self.lost.is_empty() {
            return self.bytes.clone();
        }
        let mut bytes = (*self.bytes).clone();
        for &(from, to) in &self.lost {
            for (at, byte) in bytes.iter_mut().enumerate().take(to).skip(from) {
                *byte = self.image.bytes.get(at).copied().unwrap_or(0);
            }
        }
        Arc::new(bytes)
    }
}

impl Node {
    pub(super) fn kind(&self) -> Kind {
        match self.body {
            Body::File(_) => Kind::File,
            Body::Dir(_) => Kind::Dir,
            Body::Symlink(_) => Kind::Symlink,
            Body::Other => Kind::Other,
        }
    }

    pub(super) fn size(&self) -> u64 {
        match &self.body {
            Body::File(file) => file.bytes.len() as u64,
            Body::Symlink(target) => target.len() as u64,
            Body::Dir(_) => 4096,
            Body::Other => 0,
        }
    }

    /// Makes a file durable, as far as the kernel knows that there is something to write.
    pub(super) fn sync(&mut self) {
        if let Body::File(file) = &mut self.body
            && file.changed
        {
            let bytes = file.written();
            file.floor = bytes.len();
            file.image = Image { bytes, mtime: self.mtime, ctime: self.ctime, mode: self.mode };
            file.dirty = None;
            file.changed = false;
        }
    }

    /// A sync fails: what was to be written counts as clean and is not durable.
    pub(super) fn fail_sync(&mut self) {
        if let Body::File(file) = &mut self.body {
            file.lost.extend(file.dirty.take());
            file.changed = false;
        }
    }
}
