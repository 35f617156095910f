//! Limits that the owner of a host set for whoever comes: how much may be brought, and how many sessions there may be.

use std::fs;

use smd_protocol::delta::Mtime;
use smd_protocol::step::{Bytes, Dress};
use smd_protocol::wire::{self, ContentEnd, ContentStart, FromClient, FromServer};
use smd_protocol::{Content, Flags, Folder, Name, Outcome, Place, Refusal, Source, Step, Told, Uniq};
use smd_tests::hostile::{Client, hello};
use smd_tests::mail;
use smd_tests::outcome::Outcome as Run;
use smd_tests::rng::Rng;
use smd_tests::tree::Tree;
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

const PARTLY: i32 = 1;
const LOCKED: i32 = 75;
const CONFIG: i32 = 78;

fn world(server: &str) -> World {
    let world = World::new(Link::Rsh);
    User::new(&world.server().maildir(), "them", Rng::from_env_or(90)).deliver("");
    write_server(&world, server);
    world
}

/// Writes the server's file of limits.
fn write_server(world: &World, text: &str) {
    fs::create_dir_all(world.server().smd_home()).expect("a state directory");
    fs::write(world.server().smd_home().join("server"), text).expect("a file of limits");
}

fn name(uniq: &str) -> Name {
    Name::new(&Folder::root(), &Uniq::parse(uniq.as_bytes()).expect("a uniq"))
}

fn put(uniq: &str, bytes: &[u8], source: Source) -> Step {
    let dress = Dress { place: Place::New, flags: Flags::default() };
    Step::Put { to: name(uniq), dress, bytes: Bytes { content: Content::of(bytes), source, mtime: None } }
}

/// Copies of one message.
fn copies(count: usize, of: &str, bytes: &[u8], label: &str) -> Vec<Step> {
    (0..count).map(|at| put(&format!("{label}{at}"), bytes, Source::Copy(name(of)))).collect()
}

fn opened(world: &World) -> Client {
    let client = Client::at(world, world.server());
    client.open(&hello(b"Maildir")).expect("a root");
    client
}

#[test]
fn what_comes_is_bounded_by_message_run_and_day_and_copies_count_as_what_they_take() {
    let world = world("MAX_MESSAGE=16K\nMAX_BYTES=64K\nMAX_BYTES_DAY=100K\n");
    let (small, large) = (vec![b'x'; 3072], vec![b'y'; 20_000]);
    let client = opened(&world);
    let mut steps = vec![put("large", &large, Source::Wire), put("small", &small, Source::Wire)];
    steps.extend(copies(20, "small", &small, "copy"));
    // A block for each: 16 of them, whatever came over the wire. The others are refused, and the batch goes on.
    let refused = client.batch(steps, &[(0, &large), (1, &small)]).expect("a batch");
    assert_eq!(refused, [0, 17, 18, 19, 20, 21]);
    client.end().ok();
    // Another run has what the day has left.
    let client = opened(&world);
    let refused = client.batch(copies(12, "small", &small, "more"), &[]).expect("a batch");
    assert_eq!(refused, [9, 10, 11]);
    client.end().ok();
    assert_eq!(Tree::read(&world.server().maildir()).len(), 1 + 16 + 9);
    // An ordinary client hears of it, and what to do.
    User::new(&world.client().maildir(), "us", Rng::from_env_or(91)).deliver("");
    world.sync(&[]).exits(PARTLY).says("came within a day").says("max-bytes-day");
    write_server(&world, "MAX_BYTES=lots\n");
    world.sync(&[]).exits(CONFIG).says("server, line 1: MAX_BYTES must be a size");
    write_server(&world, "");
    world.sync(&[]).ok();
    world.assert_equal();
}

#[test]
fn a_size_that_no_disk_has_is_refused_before_a_byte_of_it_is_written_and_the_rest_is_done() {
    let world = world("");
    let client = opened(&world);
    let steps = vec![put("liar", b"a lie", Source::Wire), put("honest", b"the truth", Source::Wire)];
    client.say(&FromClient::Batch { root: 0, steps, fetch: Vec::new() });
    client.say(&FromClient::BatchReady { root: 0 });
    for (step, size, bytes) in [(0, 1 << 60, &b"a lie"[..]), (1, 9, b"the truth")] {
        let mtime = Mtime { sec: 1_700_000_000, nsec: 0 };
        client.say(&FromClient::Content(ContentStart { step, size, mtime }));
        client.bytes(&[&wire::piece_head(bytes.len())[..], bytes].concat());
        client.say(&FromClient::ContentEnd(ContentEnd { step, failed: None }));
    }
    client.say(&FromClient::BatchEnd { root: 0 });
    let outcomes =
        client.until(|said| if let FromServer::Outcomes { failed, .. } = said { Some(failed) } else { None });
    let outcomes: Vec<(u32, Outcome<Told>)> = outcomes.expect("a batch");
    assert!(matches!(&outcomes[..], [(0, Outcome::Refused(Refusal::Room(_)))]), "{outcomes:?}");
    client.end().ok();
    assert_eq!(Tree::read(&world.server().maildir()).len(), 2);
}

#[test]
fn a_client_bounds_what_its_server_sends() {
    let world = world("");
    let mut rng = Rng::from_env_or(92);
    let large = mail::big("large", 100_000, &mut rng);
    User::new(&world.server().maildir(), "them", rng.fork(1)).deliver_bytes("", &large);
    let sync = |lines: &str| -> Run {
        fs::create_dir_all(world.client().smd_home()).expect("a state directory");
        let text = format!("SERVERNAME=office\nMAILBOX=Maildir\nSSH='{}'\n{lines}\n", world.rsh_script().display());
        fs::write(world.client().smd_home().join("config.default"), text).expect("a config");
        finish(&mut world.command("smd-sync", world.client()))
    };
    sync("MAX_MESSAGE=50K").exits(PARTLY).says("max-message");
    assert_eq!(Tree::read(&world.client().maildir()).len(), 1, "what fits is there");
    sync("KEEP_FREE=100%").exits(PARTLY).says("make room on this disk");
    sync("MAX_BYTES_DAY=20K").exits(PARTLY).says("max-bytes-day");
    assert_eq!(Tree::read(&world.client().maildir()).len(), 1);
    sync("MAX_MESSAGE=200K\nMAX_BYTES_DAY=1M").ok();
    world.assert_equal();
}

#[test]
fn a_client_has_four_sessions_at_work_and_another_when_one_of_them_ends() {
    let world = world("");
    let mut busy: Vec<Client> = (0..4)
        .map(|number| {
            let client = Client::at(&world, world.server());
            let mut asks = hello(b"Maildir");
            // Roots of their own, so that none waits for another.
            asks.roots[0].pair = format!("pair{number}");
            client.greet(&asks).expect("a place");
            client
        })
        .collect();
    let client = Client::at(&world, world.server());
    let refused = client.greet(&hello(b"Maildir")).expect_err("there are four").to_string();
    assert!(refused.contains("4 sessions at work") && refused.contains("run again"), "{refused}");
    client.end().exits(LOCKED);
    // Another client has places of its own.
    world.sync(&[]).ok();
    // However it ends.
    drop(busy.pop().expect("one").end());
    let client = Client::at(&world, world.server());
    client.greet(&hello(b"Maildir")).expect("a place");
}
