//! What is kept in `fuzz/corpus/` is given to the readers as it is, and with small changes.

use std::fs;
use std::path::{Path, PathBuf};

use smd_tests::rng::Rng;

use super::*;

/// Builds for tests are slower than what is shipped.
const SLACK: u32 = 10;
/// Changes of each input that are tried.
const CHANGES: usize = 60;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

/// An input with some bytes changed, cut out, or doubled.
fn changed(data: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=rng.index(3) {
        let at = rng.index(data.len() + 1);
        match rng.index(5) {
            0 if at < data.len() => data[at] = rng.index(256) as u8,
            1 if at < data.len() => data[at] = [0, 0xff, 250, 251, 252, 253, b'/', b'\n'][rng.index(8)],
            2 => data.truncate(at),
            3 => data.insert(at, rng.index(256) as u8),
            _ => {
                let end = at + rng.index(data.len() - at + 1).min(64);
                let part = data[at..end].to_vec();
                data.splice(at..at, part);
            }
        }
    }
    data
}

#[test]
fn every_reader_takes_what_is_kept_and_small_changes_of_it() {
    let mut rng = Rng::from_env_or(15);
    let most = TIME_MAX * SLACK;
    for &(name, target) in TARGETS {
        let dir = corpus().join(name);
        let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        assert!(paths.len() >= 3, "{} holds {} inputs only", dir.display(), paths.len());
        for path in paths {
            let data = fs::read(&path).expect("an input");
            let said = std::panic::catch_unwind(|| run(target, &data, most));
            assert!(said.is_ok(), "{name}: {}", path.display());
            for _ in 0..CHANGES {
                let changed = changed(&data, &mut rng);
                let said = std::panic::catch_unwind(|| run(target, &changed, most));
                assert!(said.is_ok(), "{name}: a change of {} fails: {changed:?}", path.display());
            }
        }
    }
}

#[test]
fn the_fuzzer_has_every_reader() {
    let top = corpus().join("..");
    let manifest = fs::read_to_string(top.join("Cargo.toml")).expect("a manifest");
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is missing in fuzz/Cargo.toml");
        let text = fs::read_to_string(top.join(format!("fuzz_targets/{name}.rs"))).expect("a target");
        assert!(text.contains(&format!("\"{name}\"")), "{name}");
    }
    let found = fs::read_dir(corpus()).expect("a directory").count();
    assert_eq!(found, TARGETS.len(), "a directory of fuzz/corpus/ has no reader");
}

/// What is right is taken too, as the wire is now: `SMD_WRITE_SEEDS=1` writes it down for a fuzzer to begin with.
#[test]
fn every_reader_takes_what_is_right() {
    let most = TIME_MAX * SLACK;
    for (name, seed, data) in seeds::seeds() {
        let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).expect("a reader");
        let said = std::panic::catch_unwind(|| run(*target, &data, most));
        assert!(said.is_ok(), "{name}: {seed}");
        if std::env::var_os("SMD_WRITE_SEEDS").is_some() {
            let dir = corpus().join(name);
            fs::create_dir_all(&dir).and_then(|()| fs::write(dir.join(seed), &data)).expect("an input is written");
        }
    }
}

#[test]
fn both_ends_are_led_deep_into_a_run() {
    let seed = |name: &str, of: &str| {
        let found = seeds::seeds().into_iter().find(|(target, seed, _)| *target == name && *seed == of);
        found.expect("a seed").2
    };
    // Up to the base, which is not the one that was computed.
    assert!(ends::serve(&seed("server_machine", "batch")) >= 10);
    assert_eq!(ends::serve(&seed("server_machine", "grave")), 1, "and a goodbye");
    assert!(ends::run(&seed("client_machine", "brings")) >= 10);
    assert!(ends::run(&seed("client_machine", "nothing")) >= 3);
}
