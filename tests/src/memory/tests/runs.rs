//! The product's own rooms on the disk in memory: runs of one root, as a session drives them.

use std::path::Path;
use std::sync::Arc;

use smd_maildir::exclude::Excludes;
use smd_maildir::home::{Access, Home, Label, Side};
use smd_maildir::run::{RootRun, Settings};
use smd_maildir::scan::Depth;

use crate::memory::Memory;

fn world(seed: u64) -> Arc<Memory> {
    let memory = Memory::new(seed);
    let hand = memory.by_hand();
    hand.mkdir_all("/home/u/Mail/cur").expect("makes");
    hand.mkdir("/home/u/Mail/new").expect("makes");
    hand.mkdir("/home/u/Mail/tmp").expect("makes");
    for n in 0..5 {
        hand.write_file(format!("/home/u/Mail/cur/{n}:2,S"), format!("A: {n}\n\nbody {n}"), None, true)
            .expect("writes");
    }
    hand.sync();
    memory.advance(60_000_000_000);
    Arc::new(memory)
}

/// One run that commits what it finds; gives how many entries it found changed.
fn run(memory: &Arc<Memory>) -> usize {
    let home = Home::open(memory.clone(), Path::new("/home/u/.smd"), Access::ReadWrite).expect("opens");
    let settings = Settings {
        path: Path::new("/home/u/Mail"),
        key: b"Mail",
        excludes: Excludes::default(),
        grave_days: 7,
        owner: "me",
        lock_wait_ms: 0,
    };
    let mut run = RootRun::open(&home, Side::Client, &Label::derive(b"peer"), settings, &|| false).expect("opens");
    let current = run.ids().current;
    run.agree(current, &[]).expect("agrees");
    run.look(Depth::Quick, &|_| true).expect("looks");
    let delta = (**run.delta()).clone();
    let found = delta.folders.values().map(|folder| folder.set.len() + folder.gone.len()).sum();
    if found > 0 || current.is_none() {
        let id = run.prepare(run.counter() + 1, &delta).expect("prepares");
        run.commit(id).expect("commits");
    }
    run.finish(Depth::Quick);
    found
}

#[test]
fn a_run_finds_what_changed_since_the_one_before() {
    let memory = world(1);
    assert_eq!(run(&memory), 5);
    memory.advance(60_000_000_000);
    assert_eq!(run(&memory), 0);
    memory.by_hand().rename("/home/u/Mail/cur/3:2,S", "/home/u/Mail/cur/3:2,RS").expect("renames");
    memory.advance(60_000_000_000);
    assert_eq!(run(&memory), 1);
    memory.advance(60_000_000_000);
    assert_eq!(run(&memory), 0);
}
