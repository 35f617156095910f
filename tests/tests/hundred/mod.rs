//! A hundred kinds of hostile input, by number: to the real server (S) and to the real client (C), each with a line of what came.
//!
//! What must come of each (`smd_tests::hostile::stage`): nothing around the roots changed, not even a stamp; an exit code that the
//! manual has; no panic and no abort, with 400 MiB of memory; within 5 s; no process left; and an ordinary run works afterwards.
//! A case that our programs give no place to, or that another test has, says so in its line.
//!
//! | module | cases |
//! | --- | --- |
//! | `command` | 1 to 14: what sshd hands to the server |
//! | `names` | 15 to 36: names and paths |
//! | `files` | 37 to 48: symlinks and kinds of files |
//! | `framing` | 49 to 66: frames, order, ends |
//! | `deltas` | 67 to 84: what a delta or a plan means |
//! | `contents` | 85 to 94: bytes of messages |
//! | `agreement` | 95 to 100: bases |

mod agreement;
mod command;
mod contents;
mod deltas;
mod files;
mod framing;
mod names;

use smd_protocol::delta::Mtime;
use smd_protocol::step::{Bytes, Dress};
use smd_protocol::wire::{self, ContentEnd, ContentStart, FromClient};
use smd_protocol::{Content, Flags, Folder, Name, Place, Source, Step, Uniq};
use smd_tests::hostile::Client;

fn folder(path: &str) -> Folder {
    Folder::parse(path.as_bytes()).expect("a folder")
}

fn uniq(uniq: &str) -> Uniq {
    Uniq::parse(uniq.as_bytes()).expect("a uniq")
}

fn name(path: &str, of: &str) -> Name {
    Name::new(&folder(path), &uniq(of))
}

fn dress() -> Dress {
    Dress { place: Place::Cur, flags: Flags::default() }
}

/// Brings a message, its bytes from here.
fn put_from(to: Name, bytes: &[u8], source: Source) -> Step {
    Step::Put { to, dress: dress(), bytes: Bytes { content: Content::of(bytes), source, mtime: None } }
}

fn put(to: Name, bytes: &[u8]) -> Step {
    put_from(to, bytes, Source::Wire)
}

fn batch(steps: Vec<Step>) -> FromClient {
    FromClient::Batch { root: 0, steps, fetch: Vec::new() }
}

/// Says that bytes for a step begin: so many.
fn begin(client: &Client, step: u32, size: u64) {
    client.say(&FromClient::Content(ContentStart { step, size, mtime: Mtime { sec: 1_700_000_000, nsec: 0 } }));
}

fn piece(client: &Client, bytes: &[u8]) {
    client.bytes(&[&wire::piece_head(bytes.len())[..], bytes].concat());
}

fn end(client: &Client, step: u32) {
    client.say(&FromClient::ContentEnd(ContentEnd { step, failed: None }));
}

#[test]
fn every_number_has_its_case() {
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hundred");
    let mut text = String::new();
    for entry in std::fs::read_dir(top).expect("a directory") {
        text += &std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
    }
    // The first or second argument of a call, or the first of a row.
    let calls = text.split(['(', '\n']).flat_map(|rest| rest.split(',').take(2));
    let numbers: std::collections::BTreeSet<u8> = calls.filter_map(|word| word.trim().parse().ok()).collect();
    let missing: Vec<u8> = (1..=100).filter(|number| !numbers.contains(number)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
