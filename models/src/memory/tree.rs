//! Whole trees as values: what lies below a path, a copy of it, and a digest of it.
//!
//! Deliberately not here: what of it is mail; [`smd_tests::tree`] knows that of real directories.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use smd_maildir::fs::Kind;
use smd_protocol::delta::Mtime;

use super::names::Disk;
use super::node::{Body, Id, Node};

/// What a checker sees of an inode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileInfo {
    /// What it is.
    pub kind: Kind,
    /// Bytes of a file, target of a symlink, nothing else.
    pub bytes: Arc<Vec<u8>>,
    /// Last change of the contents.
    pub mtime: Mtime,
    /// Permission bits.
    pub mode: u32,
    /// Inode number.
    pub ino: u64,
    /// Hard links.
    pub links: u64,
}

/// A copy of a tree, as a backup keeps it: paths below its top (the top itself is the empty path) with what was there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree(pub BTreeMap<Vec<u8>, FileInfo>);

/// How a tree is put back from a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Restore {
    /// Whether directories get their mtimes from the copy.
    pub dir_times: bool,
    /// Whether the directory at the top stays the one that it is; otherwise it is a new one.
    pub keep_top: bool,
}

fn info(node: &Node) -> FileInfo {
    let bytes = match &node.body {
        Body::File(file) => file.bytes.clone(),
        Body::Symlink(target) => Arc::new(target.to_vec()),
        Body::Dir(_) | Body::Other => Arc::default(),
    };
    FileInfo { kind: node.kind(), bytes, mtime: node.mtime, mode: node.mode, ino: node.number, links: node.links }
}

impl Disk {
    pub(super) fn tree(&self, top: Id) -> BTreeMap<Vec<u8>, FileInfo> {
        let mut found = BTreeMap::new();
        let mut left = vec![(Vec::new(), top)];
        while let Some((path, id)) = left.pop() {
            if let Body::Dir(dir) = &self.node(id).body {
                for (name, below) in &dir.names {
                    let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
                    left.push(([&path[..], slash, name].concat(), *below));
                }
            }
            found.insert(path, info(self.node(id)));
        }
        found
    }

    /// Calls `each` with the path below `top` and the bytes of every file.
    pub(super) fn each_file<E: FnMut(&[u8], &Arc<Vec<u8>>)>(&self, top: Id, path: &mut Vec<u8>, each: &mut E) {
        match &self.node(top).body {
            Body::File(file) => each(path, &file.bytes),
            Body::Symlink(_) | Body::Other => {}
            Body::Dir(dir) => {
                let len = path.len();
                for (name, below) in &dir.names {
                    if len > 0 {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name);
                    self.each_file(*below, path, each);
                    path.truncate(len);
                }
            }
        }
    }

    pub(super) fn fingerprint(&self, top: Id) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.digest(top, &mut hasher);
        hasher.finish()
    }

    fn digest(&self, id: Id, hasher: &mut DefaultHasher) {
        match &self.node(id).body {
            Body::File(file) => (0_u8, &**file.bytes).hash(hasher),
            Body::Symlink(target) => (1_u8, &**target).hash(hasher),
            Body::Other => 2_u8.hash(hasher),
            Body::Dir(dir) => {
                (3_u8, dir.names.len()).hash(hasher);
                for (name, below) in &dir.names {
                    name.hash(hasher);
                    self.digest(*below, hasher);
                }
            }
        }
    }
}
