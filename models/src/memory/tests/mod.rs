//! What the disk in memory promises, and the product's own rooms on it.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::Path;

use smd_maildir::fs::Fs as _;

use super::{HeldDir, Memory};
use smd_tests::rng::Rng;

mod alike;
mod crashes;
mod faults;
mod listing;
mod runs;
mod torn;

/// A disk with a directory `/d`, durable, and that directory held.
fn disk() -> (Memory, HeldDir) {
    let memory = Memory::new(1);
    memory.by_hand().mkdir("/d").expect("makes");
    memory.by_hand().sync();
    let dir = open(&memory, "/d");
    (memory, dir)
}

#[track_caller]
fn open(memory: &Memory, path: &str) -> HeldDir {
    memory.open_root(Path::new(path)).expect("opens")
}

#[track_caller]
fn errno<T>(result: io::Result<T>) -> i32 {
    let Err(error) = result else { panic!("it succeeded") };
    error.raw_os_error().expect("the kernel's error")
}

#[track_caller]
fn text(memory: &Memory, dir: &HeldDir, name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    memory.open(dir, name).expect("opens").read_to_end(&mut bytes).expect("reads");
    bytes
}

/// The paths of files on the disk.
fn files(memory: &Memory) -> Vec<String> {
    let found = memory.by_hand().list("/").expect("lists");
    let files = found.into_iter().filter(|(_, info)| info.kind == smd_maildir::fs::Kind::File);
    files.map(|(path, _)| String::from_utf8(path).expect("text")).collect()
}

/// A disk of its own that is as this one, after the worst crash.
fn worst(memory: &Memory) -> Memory {
    let twin = Memory::of(&memory.snapshot());
    twin.crash_worst();
    twin
}

/// What many crashes would leave of the disk as it is, as told by `look`.
fn crashes<T: Ord>(memory: &Memory, look: impl Fn(&Memory) -> T) -> BTreeSet<T> {
    let saved = memory.snapshot();
    let twin = Memory::of(&saved);
    let mut rng = Rng::from_env_or(7);
    let crash = |_| {
        twin.restore(&saved);
        twin.crash(&mut rng);
        look(&twin)
    };
    (0..2_000).map(crash).collect()
}
