//! The product's own rooms on the disk in memory: runs of one root, as a session drives them.

use std::path::Path;
use std::sync::Arc;

use smd_maildir::exclude::Excludes;
use smd_maildir::home::{Access, Home, Label, Side};
use smd_maildir::run::{RootRun, RunError, Settings};
use smd_maildir::scan::Depth;
use smd_protocol::step::Step;
use smd_protocol::{Folder, Name, Uniq};

use crate::memory::{Fault, Memory};
use smd_tests::rng::Rng;

const MINUTE: i64 = 60_000_000_000;

fn world(seed: u64) -> Arc<Memory> {
    let memory = Memory::new(seed);
    let hand = memory.by_hand();
    for dir in ["cur", "new", "tmp"] {
        hand.mkdir_all(format!("/home/u/Mail/{dir}")).expect("makes");
    }
    for n in 0..5 {
        hand.write_file(format!("/home/u/Mail/cur/{n}:2,S"), body(n), None, true).expect("writes");
    }
    hand.sync();
    memory.advance(MINUTE);
    Arc::new(memory)
}

fn body(n: usize) -> String {
    format!("A: {n}\n\nbody {n}")
}

/// One run that commits what it finds, and puts the messages `delete` into the grave. Gives how many changes there were.
fn run(memory: &Arc<Memory>, delete: &[Name]) -> Result<usize, RunError> {
    let home = Home::open(memory.clone(), Path::new("/home/u/.smd"), Access::ReadWrite)?;
    let settings = Settings {
        path: Path::new("/home/u/Mail"),
        key: b"Mail",
        endpoint: None,
        excludes: Excludes::default(),
        naming: None,
        local_excludes: Excludes::default(),
        changes: true,
        grave_days: 7,
        owner: "me",
        lock_wait_ms: 0,
    };
    let mut run = RootRun::open(&home, Side::Client, &Label::derive(b"peer"), settings, &|| false)?;
    let ids = run.ids();
    let known = ids.next.or(ids.current);
    run.agree(known, &[])?;
    run.look(Depth::Quick, &|_| true)?;
    let mut delta = (**run.delta()).clone();
    if !delete.is_empty() {
        run.begin(delete.iter().cloned().map(Step::Delete).collect(), &|| false)?;
        let outcomes = run.install(&|| false)?;
        for (name, outcome) in delete.iter().zip(outcomes) {
            if outcome.is_done() {
                delta.folders.entry(name.folder.clone()).or_default().gone.push(name.uniq.clone());
            }
        }
    }
    let found = delta.folders.values().map(|folder| folder.set.len() + folder.gone.len()).sum();
    if found > 0 || known.is_none() {
        let id = run.prepare(run.counter() + 1, &delta)?;
        run.commit(id)?;
    }
    run.finish(Depth::Quick);
    Ok(found)
}

fn name(uniq: &[u8]) -> Name {
    Name::new(&Folder::root(), &Uniq::parse(uniq).expect("a name"))
}

#[test]
fn a_run_finds_what_changed_since_the_one_before() {
    let memory = world(1);
    let found = || {
        memory.advance(MINUTE);
        run(&memory, &[]).expect("runs")
    };
    assert_eq!((found(), found()), (5, 0));
    memory.by_hand().rename("/home/u/Mail/cur/3:2,S", "/home/u/Mail/cur/3:2,RS").expect("renames");
    assert_eq!((found(), found()), (1, 0));
}

#[test]
fn a_run_cut_at_any_call_keeps_all_bytes_and_the_next_one_goes_on() {
    let memory = world(2);
    run(&memory, &[]).expect("runs");
    memory.advance(MINUTE);
    let saved = memory.snapshot();
    let start = memory.calls();
    assert_eq!(run(&memory, &[name(b"3")]).expect("runs"), 1);
    let calls = memory.calls() - start;
    let mut rng = Rng::from_env_or(3);
    let (mut kept, mut buried) = (0, 0);
    for at in 1..=calls {
        for fault in [Fault::crash_before(at), Fault::crash_after(at)] {
            memory.restore(&saved);
            memory.arm(fault);
            let cut = run(&memory, &[name(b"3")]);
            assert!(memory.is_dead(), "call {at} of {calls} was made: {:?}", cut.err());
            memory.reboot(&mut rng);
            let found = memory.by_hand().list("/home/u").expect("lists");
            for n in 0..5 {
                let copies: Vec<_> = found.iter().filter(|(_, info)| **info.bytes == *body(n).as_bytes()).collect();
                assert!(!copies.is_empty(), "message {n} is lost by a crash at call {at}: {found:?}");
                if n == 3 {
                    let in_grave = copies.iter().any(|(path, _)| !path.starts_with(b"Mail/cur/"));
                    *(if in_grave { &mut buried } else { &mut kept }) += 1;
                }
            }
            memory.advance(MINUTE);
            run(&memory, &[]).expect("runs");
            memory.advance(MINUTE);
            assert_eq!(run(&memory, &[]).expect("runs"), 0, "after a crash at call {at}");
        }
    }
    assert!(kept > 0 && buried > 0, "{kept} {buried}");
    smd_tests::figures::note(&format!("fault points of a run: {}", 2 * calls));
}

/// A message that a mail program delivered and did not sync is in the base of a run: a crash right after it keeps it.
#[track_caller]
fn assert_counted_mail_is_durable(memory: &Arc<Memory>, folder: &str) {
    let hand = memory.by_hand();
    for dir in ["cur", "new", "tmp"] {
        hand.mkdir_all(format!("/home/u/Mail/{folder}/{dir}")).expect("makes");
    }
    hand.write_file(format!("/home/u/Mail/{folder}/new/m"), body(7), None, false).expect("writes");
    memory.advance(MINUTE);
    assert_eq!(run(memory, &[]).expect("runs"), 1);
    memory.crash_worst();
    let found = memory.by_hand().list("/home/u/Mail").expect("lists");
    assert!(found.iter().any(|(path, _)| path.ends_with(b"/new/m")), "{found:?}");
}

#[test]
fn what_others_wrote_is_durable_before_it_counts_also_below_directories_that_are_no_folders() {
    for trusted in [true, false] {
        let memory = world(4);
        memory.set(|settings| settings.trusted = trusted);
        run(&memory, &[]).expect("runs");
        assert_counted_mail_is_durable(&memory, "lists/deep/rust");
    }
}

#[test]
fn what_others_wrote_is_durable_before_it_counts_also_on_a_disk_mounted_in_the_root() {
    for below in ["", "/rust"] {
        let memory = world(5);
        memory.by_hand().mkdir_all("/home/u/Mail/lists").expect("makes");
        memory.by_hand().mount("/home/u/Mail/lists").expect("mounts");
        memory.by_hand().sync();
        run(&memory, &[]).expect("runs");
        assert_counted_mail_is_durable(&memory, &format!("lists{below}"));
    }
}
