//! Bytes of messages, and how they are compressed.

use std::fs;

use smd_protocol::wire::{self, ContentEnd, FromClient, FromServer};
use smd_protocol::{Content, Step};
use smd_tests::hostile::stage::{Stage, none};
use smd_tests::hostile::{Client, hello, raw};
use smd_tests::tree;

use super::{batch, begin, end, folder, name, piece, put};

const MAIL: &[u8] = b"A: b\n\nc\n";

/// A batch that awaits the bytes of `MAIL` for its only step.
fn awaits(client: &Client) {
    client.say(&batch(vec![put(name("", "p"), MAIL)]));
    client.say(&FromClient::BatchReady { root: 0 });
}

/// Ends it. Gives the steps that were not done.
fn installed(client: &Client) -> Vec<u32> {
    client.say(&FromClient::BatchEnd { root: 0 });
    let mut failed = Vec::new();
    loop {
        match client.until(Some).expect("it goes on") {
            FromServer::Outcomes { failed: more, .. } => failed.extend(more.into_iter().map(|(step, _)| step)),
            FromServer::BatchDone { .. } => return failed,
            _ => {}
        }
    }
}

#[test]
fn nothing_is_installed_but_the_bytes_that_were_announced() {
    let mut stage = Stage::new();
    let root = stage.root();
    let path = stage.home().join(&root);
    let asks = hello(root.as_bytes());
    let last = {
        let mut bytes = MAIL.to_vec();
        *bytes.last_mut().expect("some") ^= 1;
        bytes
    };
    let cases: [(u8, &str, u64, &[u8]); 6] = [
        (85, "fewer bytes than announced", 1_000, MAIL),
        (85, "no bytes", 0, b""),
        (85, "2^63 bytes announced", 1 << 63, MAIL),
        (85, "more than any disk has", u64::MAX, MAIL),
        (86, "another last byte", MAIL.len() as u64, &last),
        (86, "the right bytes and a wrong size", MAIL.len() as u64 + 1, MAIL),
    ];
    for (number, what, size, bytes) in cases {
        stage.at_server(number, what, &[0], Some(&asks), |client| {
            awaits(client);
            begin(client, 0, size);
            if !bytes.is_empty() {
                piece(client, bytes);
            }
            end(client, 0);
            let failed = installed(client);
            // What digests to what was announced is that message, whatever was said of its size.
            assert!(failed == [0] || bytes == MAIL, "{number} {what}: {failed:?}");
        });
    }
    stage.refused(85, "more bytes than announced", |client| {
        client.say(&batch(vec![put(name("", "p"), MAIL)]));
        client.say(&FromClient::BatchReady { root: 0 });
        begin(client, 0, 3);
        piece(client, MAIL);
    });
    type Play = fn(&Client);
    let cases: [(&str, Play); 4] = [
        ("bytes for a step that awaits none", |client| {
            awaits(client);
            begin(client, 5, 1);
        }),
        ("bytes of two steps at once", |client| {
            awaits(client);
            begin(client, 0, 8);
            begin(client, 0, 8);
        }),
        ("the end of another step", |client| {
            awaits(client);
            begin(client, 0, 8);
            end(client, 1);
        }),
        ("the same bytes twice", |client| {
            awaits(client);
            for _ in 0..2 {
                begin(client, 0, MAIL.len() as u64);
                piece(client, MAIL);
                end(client, 0);
            }
        }),
    ];
    for (what, play) in cases {
        stage.refused(87, what, play);
    }
    let odd: [(&str, Vec<u8>); 8] = [
        ("no header", b"\nbody\n".to_vec()),
        ("a header alone", b"A: b\nC: d".to_vec()),
        ("one line end", b"\n".to_vec()),
        ("no bytes at all", Vec::new()),
        ("CRLF alone", b"\r\n\r\n".to_vec()),
        ("NULs", vec![0; 5_000]),
        ("a line of 4 MiB", vec![b'x'; 4 << 20]),
        ("a header of 4 MiB", [b"A: b\n".repeat(800_000), b"\nbody".to_vec()].concat()),
    ];
    stage.at_server(89, "messages of odd forms", &[0], Some(&asks), |client| {
        let steps = odd.iter().enumerate().map(|(at, (_, bytes))| put(name("", &format!("odd{at}")), bytes)).collect();
        client.say(&batch(steps));
        client.say(&FromClient::BatchReady { root: 0 });
        for (step, (_, bytes)) in (0..).zip(&odd) {
            begin(client, step, bytes.len() as u64);
            bytes.chunks(wire::PIECE).for_each(|one| piece(client, one));
            end(client, step);
        }
        assert!(installed(client).is_empty());
    });
    for (at, (what, bytes)) in odd.iter().enumerate() {
        let file = path.join(format!("cur/odd{at}:2,"));
        assert!(fs::read(file).expect("it is there") == *bytes, "89 {what}");
        none(89, &format!("{what}: arrives as it is"));
    }
    none(90, "no SHA-1: digests are BLAKE3, and header and body are told apart by length");
    for (folder, uniq) in [(&b""[..], &b"m9"[..]), (b"../.smd", b"client-id"), (b"/proc/self", b"mem"), (b"", b"o")] {
        stage.refused(91, "bytes of what no look told of", |client| {
            client.bytes(&raw::fetch(folder, uniq));
            client.say(&FromClient::BatchReady { root: 0 });
        });
    }
    stage.refused(91, "a header of it", |client| client.say(&FromClient::Header { root: 0, name: name("", "m9") }));
    let tmp = path.join("tmp");
    stage.at_server(93, "2,000 messages that are given up in the middle", &[0], Some(&asks), |client| {
        client.say(&batch(vec![put(name("", "q"), MAIL)]));
        client.say(&FromClient::BatchReady { root: 0 });
        for _ in 0..2_000 {
            begin(client, 0, 100);
            piece(client, b"x");
            client.say(&FromClient::ContentEnd(ContentEnd { step: 0, failed: Some("no more".into()) }));
        }
        assert_eq!(installed(client), [0]);
    });
    assert_eq!(fs::read_dir(tmp).expect("a directory").count(), 0, "93: files in tmp");
    none(
        94,
        "no peer sends a base: it is computed from steps on both hosts, whose changes count against the budget (case 80)",
    );
    stage.end();
}

/// A frame of zstd: its head, for a window of so many powers of two.
fn z_head(window_log: u8) -> Vec<u8> {
    vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3]
}

/// A block of these bytes as they are.
fn z_raw(bytes: &[u8], last: bool) -> Vec<u8> {
    let head = (bytes.len() as u32) << 3 | u32::from(last);
    [&head.to_le_bytes()[..3], bytes].concat()
}

/// Blocks of so many times the same byte, 128 KiB in four.
fn z_repeated(byte: u8, count: u64) -> Vec<u8> {
    let blocks = (0..count >> 17).map(|_| (1u32 << 17) << 3 | 1 << 1);
    blocks.flat_map(|head| [head.to_le_bytes()[0], head.to_le_bytes()[1], head.to_le_bytes()[2], byte]).collect()
}

/// The server is sent this as its compressed stream.
#[track_caller]
fn streamed(stage: &Stage, number: u8, what: &str, codes: &[i32], stream: &[u8]) {
    let since = std::time::Instant::now();
    let before = tree::list(&stage.world.server().maildir());
    let client = Client::compressing(&stage.world, stage.world.server());
    let asks = wire::ClientHello { compress: true, ..hello(b"Maildir") };
    client.say(&FromClient::Hello(asks));
    client.bytes(stream);
    stage.judge(number, &format!("{what} ({} bytes)", stream.len()), codes, since, &client.end());
    assert!(tree::list(&stage.world.server().maildir()) == before, "{number} {what}: the root changed");
}

#[test]
fn a_few_bytes_never_become_much_memory() {
    let stage = Stage::new();
    let bye = wire::message(&FromClient::Bye).expect("small");
    let whole = [z_head(23), z_raw(&bye, true)].concat();
    streamed(&stage, 88, "a stream as it should be", &[0], &whole);
    streamed(&stage, 88, "a window of 2 GiB", &[76], &[z_head(31), z_raw(&bye, true)].concat());
    streamed(&stage, 88, "a window of 16 MiB", &[76], &[z_head(24), z_raw(&bye, true)].concat());
    streamed(
        &stage,
        88,
        "a dictionary",
        &[76],
        &[&[0x28, 0xb5, 0x2f, 0xfd, 1, 13 << 3, 7][..], &z_raw(&bye, true)].concat(),
    );
    streamed(
        &stage,
        88,
        "a frame to be passed over",
        &[0, 76],
        &[&b"\x50\x2a\x4d\x18\x08\0\0\0xxxxxxxx"[..], &whole].concat(),
    );
    let ping = wire::message(&FromClient::Ping).expect("small");
    streamed(&stage, 88, "two streams", &[0, 1, 76], &[z_head(23), z_raw(&ping, true), whole.clone()].concat());
    streamed(&stage, 88, "bytes behind it", &[0, 1, 76], &[&whole[..], b"more"].concat());
    streamed(&stage, 88, "a stream that is cut", &[0, 1], &whole[..whole.len() - 2]);
    streamed(&stage, 88, "4 GiB of zeros", &[76], &[z_head(23), z_repeated(0, 4 << 30)].concat());
    let packed = |frames: &[u8], times: usize| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("an encoder");
        for _ in 0..times {
            std::io::Write::write_all(&mut encoder, frames).expect("it can be compressed");
        }
        encoder.finish().expect("it can be compressed")
    };
    let second = |root: &str| {
        let mut asks = wire::ClientHello { compress: true, ..hello(b"Maildir") };
        asks.roots[0].root = Some(root.to_owned());
        wire::message(&FromClient::Hello(asks)).expect("small")
    };
    let client = Client::at(&stage.world, stage.world.server());
    let root = client.greet(&hello(b"Maildir")).expect("a root").roots[0].root.clone();
    client.end();
    let after = |frames: &[u8], times: usize| {
        let mut all = second(&root);
        (0..times).for_each(|_| all.extend_from_slice(frames));
        packed(&all, 1)
    };
    streamed(
        &stage,
        88,
        "half a million steps in a frame, of which 200 are sent",
        &[76],
        &after(&raw::half_a_million_steps(), 200),
    );
    let steps = vec![Step::MakeFolder(folder("")); wire::ITEMS_IN_FRAME];
    let frames = wire::message(&batch(steps)).expect("small").repeat(100);
    streamed(&stage, 88, "steps without end, as many in each frame as may be", &[76], &after(&frames, 200));
    let delete = vec![Step::Delete(name("", "m0")); wire::ITEMS_IN_FRAME];
    let frames = wire::message(&batch(delete)).expect("small").repeat(100);
    streamed(&stage, 88, "the same of deletes", &[76], &after(&frames, 200));
    let ids = wire::GraveWish::BringBack { ids: vec!["x".repeat(wire::ID_MAX); wire::IDS_IN_WISH], last: false };
    let frames = wire::message(&FromClient::Grave { root: 0, wish: ids }).expect("small");
    stage.at_server(88, "ids of a grave without end", &[76], None, |client| {
        let asks = wire::ClientHello { features: vec![wire::GRAVE.into()], ..hello(b"Maildir") };
        client.greet(&asks).expect("a grave");
        (0..400).for_each(|_| client.bytes(&frames));
    });
    stage.at_server(92, "4,000 wishes before an answer is read", &[0], Some(&hello(b"Maildir")), |client| {
        let wish = wire::message(&FromClient::Ledger { root: 0, act: wire::LedgerAct::Tell }).expect("small");
        client.bytes(&wish.repeat(4_000));
        for _ in 0..4_000 {
            client.until(|said| matches!(said, FromServer::Removed { .. }).then_some(())).expect("an answer");
        }
    });
    stage.end();
}

#[test]
fn a_server_makes_a_client_keep_no_more_than_its_budget() {
    use smd_protocol::wire::PeerTrouble;
    let stage = Stage::new();
    let troubles = vec![PeerTrouble::new(vec![b'p'; 512], "t".repeat(512)); smd_protocol::limits::TROUBLES_IN_FRAME];
    let twin = |at: usize| smd_protocol::step::Twin {
        from: name("", &format!("u{at}")),
        content: Content::of(b""),
        to: super::uniq(&format!("v{at}")),
    };
    let endless: Vec<(&str, FromServer)> = vec![
        ("troubles", FromServer::Troubles(troubles.clone())),
        ("troubles with nothing in them", FromServer::Troubles(Vec::new())),
        ("names that are left out", FromServer::LeftOut { root: 0, left_out: troubles }),
        ("folders put back", FromServer::PutBack { root: 0, folders: vec![folder("x"); wire::ITEMS_IN_FRAME] }),
        ("twins", FromServer::Twins { root: 0, twins: (0..wire::ITEMS_IN_FRAME).map(twin).collect() }),
        ("places of patterns", FromServer::Met { root: 0, patterns: (0..1_000).collect() }),
        ("parts with nothing in them", FromServer::Delta { root: 0, parts: Vec::new() }),
    ];
    for (what, message) in endless {
        let run = stage.at_client(88, &format!("{what} without end"), &[76], &[], |server| {
            server.meet(&[], &smd_tests::hostile::answer());
            let frames = wire::message(&message).expect("it fits");
            let frames = frames.repeat((256 << 10) / frames.len() + 1);
            // A gigabyte at the most.
            for _ in 0..4_096 {
                if !server.still_there() {
                    break;
                }
                server.bytes(&frames);
            }
            server.listens();
        });
        run.says("MiB to be kept");
    }
    stage.end();
}
