//! Frames, their order, and how a session ends.

use std::io::Write as _;
use std::time::Instant;

use smd_protocol::delta::Mtime;

use smd_protocol::wire::{
    self, ClientHello, ContentEnd, ContentStart, FromClient, FromServer, Looked, RootAnswer, ServerHello,
};
use smd_protocol::{BaseId, Digest, Step};
use smd_tests::hostile::stage::{Stage, none};
use smd_tests::hostile::{Client, answer, hello, raw};

use super::{batch, begin, folder, name, piece, put};

const MAIL: &[u8] = b"A: b\n\nc\n";

fn head(kind: u8, size: u32) -> Vec<u8> {
    [&[kind][..], &size.to_le_bytes()].concat()
}

fn varint(value: u64) -> Vec<u8> {
    [&[253][..], &value.to_le_bytes()].concat()
}

#[test]
fn no_frame_and_no_number_in_one_is_believed() {
    let stage = Stage::new();
    for (kind, size) in [
        (1, 0),
        (1, u32::MAX),
        (1, (1 << 31) - 1),
        (1, 1 << 31),
        (1, wire::FRAME_MAX as u32 + 1),
        (2, wire::PIECE as u32 + 1),
        (2, u32::MAX),
    ] {
        stage.refused_bytes(49, &format!("a frame of kind {kind} and {size} bytes"), &head(kind, size));
        stage.client_refuses(49, &format!("a frame of kind {kind} and {size} bytes"), &answer(), &head(kind, size));
    }
    let frame = wire::message(&FromClient::Hello(hello(b"Maildir"))).expect("small");
    for cut in (1..frame.len()).step_by(9) {
        stage.at_server(50, &format!("a frame that is cut at byte {cut}"), &[1], None, |client| {
            client.bytes(&frame[..cut])
        });
    }
    none(50, "each byte: link::reader::tests::a_frame_cut_at_every_byte_is_an_error_and_never_a_frame");
    stage.at_server(51, "one byte at a time", &[0], None, |client| {
        let asked = hello(b"Maildir");
        frame.iter().for_each(|&byte| client.bytes(&[byte]));
        client.until(|said| matches!(said, FromServer::Hello(_)).then_some(())).expect("a Hello");
        client.open(&ClientHello { client: "another".to_owned(), ..asked }).expect("a root");
        client.say(&FromClient::Bye);
    });
    stage.at_server(52, "a number in more bytes than it needs", &[0, 76], Some(&hello(b"Maildir")), |client| {
        client.bytes(&raw::framed(&[251, 11, 0]));
    });
    stage.refused_bytes(52, "a number without an end", &raw::framed(&[255; 12]));
    stage.refused_bytes(53, "a kind of message that is none", &raw::framed(&[250]));
    stage.refused_bytes(53, "a kind of frame that is none", &head(3, 1));
    stage.refused_bytes(53, "reserved bits of a kind", &head(0x81, 1));
    stage.client_refuses(53, "a kind of message that is none", &answer(), &raw::framed(&[250]));
    let counts = |count: &[u8], kind: u8| raw::framed(&[&[kind, 0][..], count].concat());
    stage.refused_bytes(54, "2^60 steps, and none follows", &counts(&varint(1 << 60), 2));
    stage.client_refuses(54, "2^60 parts, and none follows", &answer(), &counts(&varint(1 << 60), 1));
    let both = [varint(u64::MAX), varint(u64::MAX)].concat();
    stage.refused_bytes(55, "numbers whose sum is no number", &counts(&both, 2));
    stage.refused_bytes(55, "a name whose length is", &raw::framed(&[&[2, 0, 1, 5][..], &varint(u64::MAX)].concat()));
    stage.refused_bytes(56, "bytes behind a message", &raw::framed(&[11, 0]));
    stage.client_refuses(56, "bytes behind a message", &answer(), &raw::framed(&[12, 0]));
    none(57, "no type of the wire holds itself; how deep folders go is case 24");
    for size in [0, 64 << 20] {
        stage.bytes_at_client(58, &format!("a banner, and {size} bytes of it"), &[76], |mut write, _read| {
            let mut all = vec![b"Welcome to this host!\r\n".to_vec()];
            all.extend((0..size >> 20).map(|_| vec![b'x'; 1 << 20]));
            // The client ends before it has read them all.
            let _ = all.iter().try_for_each(|bytes| write.write_all(bytes));
        });
    }
    stage.end();
}

#[test]
fn no_message_is_taken_out_of_its_order() {
    let stage = Stage::new();
    let id = BaseId { counter: 1, digest: Digest::of(b"") };
    let start = ContentStart { step: 0, size: 1, mtime: Mtime::default() };
    let before: Vec<(&str, FromClient)> = vec![
        ("steps before Hello", batch(vec![Step::Delete(name("", "m0"))])),
        ("a commit before Hello", FromClient::Commit { root: 0, id }),
        ("an adopt before Hello", FromClient::Adopt { root: 0 }),
        ("a rest before Hello", FromClient::Rest),
    ];
    for (what, message) in before {
        stage.at_server(59, what, &[76], None, |client| client.say(&message));
    }
    let within: Vec<(&str, Vec<FromClient>)> = vec![
        ("a second Hello", vec![FromClient::Hello(hello(b"Maildir"))]),
        ("the end of no batch", vec![FromClient::BatchEnd { root: 0 }]),
        ("another root", vec![FromClient::BatchReady { root: 7 }]),
        ("contents of no batch", vec![FromClient::Content(start)]),
        ("two batches", vec![FromClient::BatchReady { root: 0 }, FromClient::BatchReady { root: 0 }]),
        ("steps within a batch", vec![FromClient::BatchReady { root: 0 }, batch(vec![Step::MakeFolder(folder("x"))])]),
        ("a rest that was not agreed on", vec![FromClient::Rest]),
        ("a base given up twice", vec![FromClient::Adopt { root: 0 }, FromClient::Adopt { root: 0 }]),
        ("a grave of a run", vec![FromClient::Grave { root: 0, wish: wire::GraveWish::List }]),
    ];
    for (what, messages) in within {
        stage.refused(59, what, |client| messages.iter().for_each(|message| client.say(message)));
    }
    stage.refused(59, "a piece of nothing", |client| piece(client, b"x"));
    stage.at_server(59, "other names of the roots each time", &[76], None, |client| {
        (0..4).for_each(|_| client.say(&FromClient::Hello(hello(b"Maildir"))));
    });
    let says: Vec<(&str, FromServer)> = vec![
        ("the end of a batch for a look", FromServer::BatchDone { root: 0 }),
        ("a commit for a look", FromServer::Committed { root: 0 }),
        ("a Hello for a look", FromServer::Hello(ServerHello { features: Vec::new(), roots: vec![answer()] })),
        ("a look at another root", FromServer::Looked { root: 9, looked: Looked::default() }),
        ("a rest within a run", FromServer::Resting { unwatched: Vec::new() }),
    ];
    for (what, message) in says {
        stage.client_refuses(59, what, &answer(), &wire::message(&message).expect("small"));
    }
    for (low, high) in [(0u16, 1u16), (3, 9), (u16::MAX, u16::MAX), (9, 1), (0, 0)] {
        let preamble = [&wire::PREAMBLE[..], &low.to_le_bytes(), &high.to_le_bytes()].concat();
        let since = Instant::now();
        let run = Client::bytes_alone(&stage.world, stage.world.server(), &preamble);
        stage.judge(60, &format!("versions {low} to {high}"), &[76], since, &run);
        stage.bytes_at_client(60, &format!("versions {low} to {high}"), &[76], |mut write, _read| {
            write.write_all(&preamble).expect("the client reads");
        });
    }
    none(61, "silence and trickling have bounds of their own (link, serve)");
    stage.end();
}

#[test]
fn words_numbers_and_ends_of_a_peer_do_no_harm() {
    let mut stage = Stage::new();
    let text = "\u{1b}]0;x\u{7}".repeat(100_000);
    stage.at_client(62, "a failure of 700 KB", &[76], &[], |server| {
        server.hear();
        // Cut by its type, so by hand.
        server.bytes(&raw::frame(&(11u32, 4u32, text.as_bytes())));
        server.listens();
    });
    for days in [0, u32::MAX] {
        let asks = ClientHello { grave_days: days, ..hello(b"Maildir") };
        stage.at_server(63, &format!("{days} days of the grave"), &[0], Some(&asks), |client| {
            client.say(&FromClient::Bye)
        });
    }
    for free in [0, u64::MAX] {
        stage.at_client(63, &format!("room for {free} bytes"), &[0, 1], &["--dry-run"], |server| {
            server.meet(&[], &answer());
            server.say(&FromServer::Room { root: 0, free });
            server.looked(Looked::default());
            server.listens();
        });
    }
    for counter in [u64::MAX, u64::MAX - 1] {
        stage.at_client(63, &format!("a counter of {counter}"), &[0, 1], &["--dry-run"], |server| {
            server.meet(&[], &RootAnswer { counter, ..answer() });
            server.looked(Looked::default());
            server.listens();
        });
    }
    let root = stage.root();
    stage.at_server(64, "20,000 messages before anything is read", &[0], Some(&hello(root.as_bytes())), |client| {
        let wish = wire::message(&FromClient::Header { root: 0, name: name("", "m0") }).expect("small");
        let batch =
            wire::message(&batch(vec![Step::Move { from: name("", "m0"), to: name("", "m0"), dress: super::dress() }]));
        let batch = batch.expect("small");
        client.bytes(&wish.repeat(40));
        client.bytes(&batch.repeat(20_000));
        client.bytes(&wish.repeat(40));
        let mut answers = 0;
        while answers < 80 {
            client.until(|said| matches!(said, FromServer::Header { .. }).then_some(())).expect("a header");
            answers += 1;
        }
        client.say(&FromClient::Bye);
    });
    let root = stage.root();
    let asks = hello(root.as_bytes());
    let put = || batch(vec![put(name("", "p"), MAIL)]);
    type Play<'a> = Box<dyn Fn(&Client) + 'a>;
    let ends: Vec<(&str, Play<'_>)> = vec![
        ("after the looks", Box::new(|_| {})),
        ("within steps", Box::new(|client| client.say(&put()))),
        (
            "within a batch",
            Box::new(|client| [put(), FromClient::BatchReady { root: 0 }].iter().for_each(|one| client.say(one))),
        ),
        (
            "within contents",
            Box::new(|client| {
                [put(), FromClient::BatchReady { root: 0 }].iter().for_each(|one| client.say(one));
                begin(client, 0, 1_000);
                piece(client, MAIL);
            }),
        ),
        (
            "within a piece",
            Box::new(|client| {
                [put(), FromClient::BatchReady { root: 0 }].iter().for_each(|one| client.say(one));
                begin(client, 0, 1_000);
                client.bytes(&head(2, 100));
            }),
        ),
        ("within a base", Box::new(|client| client.say(&FromClient::PrepareEnd { root: 0, counter: 1, from: None }))),
    ];
    for (what, play) in ends {
        stage.at_server(65, &format!("the client ends {what}"), &[0, 1], Some(&asks), play);
    }
    let tmp = stage.home().join(&root).join("tmp");
    assert!(
        std::fs::read_dir(tmp).expect("a directory").count() <= 2,
        "what was staged is left for the next run to sweep"
    );
    for said in [1, 2] {
        stage.at_client(65, &format!("the server ends after {said} words"), &[69, 76], &[], |server| {
            server.meet(&[], &answer());
            if said > 1 {
                server.say(&FromServer::Room { root: 0, free: 1 });
            }
        });
    }
    stage.at_server(65, "half a connection", &[0], Some(&hello(b"Maildir")), |client| client.say(&FromClient::Ping));
    stage.at_server(66, "300,000 signs of life", &[0], Some(&hello(b"Maildir")), |client| {
        let ping = wire::message(&FromClient::Ping).expect("small").repeat(1_000);
        (0..300).for_each(|_| client.bytes(&ping));
        client.say(&FromClient::Bye);
    });
    let what = "changes without end";
    let before = wire::message(&FromServer::Changed).expect("small").repeat(2);
    stage.client_refuses(66, what, &answer(), &before);
    let end = FromClient::ContentEnd(ContentEnd { step: 0, failed: None });
    stage.refused(65, "the end of no contents", |client| {
        client.say(&FromClient::BatchReady { root: 0 });
        client.say(&end);
    });
    stage.end();
}
