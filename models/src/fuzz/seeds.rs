//! Inputs that are right, or nearly so: what a fuzzer begins with.

use smd_protocol::codec;
use smd_protocol::delta::{Delta, FolderDelta, Meta, Mtime, Presence, Seen};
use smd_protocol::grave::{Rest, Rests, Why};
use smd_protocol::pack::{groups, pack};
use smd_protocol::reconcile::Removal;
use smd_protocol::step::{Bytes, Dress, Twin};
use smd_protocol::wire::{
    self, ContentEnd, ContentStart, FRAME_HEAD, Failure, Fetch, FromClient, FromServer, GraveAnswer, GraveWish,
    LedgerAct, Looked, PeerTrouble, Spelled,
};
use smd_protocol::{BaseId, Content, Digest, Entry, Flags, Folder, Name, Outcome, Place, Snapshot, Source, Step, Uniq};

/// An input: its reader, its name, and its bytes.
pub(super) type Seed = (&'static str, &'static str, Vec<u8>);

const MAIL: &[u8] = b"From: a@example.org\r\nSubject: x\r\n y\r\nX-OfflineIMAP: 1\r\n\r\nbody\r\n\r\nmore\n";
const NEW: &[u8] = b"A: new\n\nbytes\n";

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
    Dress { place: Place::Cur, flags: Flags::from_letters("FS") }
}

fn bytes(of: &[u8], source: Source) -> Bytes {
    Bytes { content: Content::of(of), source, mtime: None }
}

fn delta() -> Delta {
    let seen = |of: &str, bytes: &[u8]| Seen {
        entry: Entry { uniq: uniq(of), place: Place::New, flags: Flags::default(), content: Content::of(bytes) },
        meta: Some(Meta { size: bytes.len() as u64, mtime: Mtime { sec: 1_700_000_000, nsec: 5 } }),
    };
    let change = FolderDelta {
        presence: Presence::Added,
        set: vec![seen("v0", NEW), seen("v1", MAIL)],
        ..FolderDelta::default()
    };
    Delta { folders: [(folder(""), change.clone()), (folder(".b"), change)].into() }
}

fn start(step: u32, of: &[u8]) -> ContentStart {
    ContentStart { step, size: of.len() as u64, mtime: Mtime { sec: 1_700_000_000, nsec: 5 } }
}

/// Messages as frames of a machine; bytes stand for a piece.
enum Word<T> {
    Says(T),
    Piece(&'static [u8]),
}

fn talk<T: serde::Serialize>(choice: u8, words: Vec<Word<T>>) -> Vec<u8> {
    let mut all = vec![choice];
    for word in words {
        let (kind, bytes) = match word {
            Word::Says(message) => (0, codec::encode(&message).expect("small")),
            Word::Piece(bytes) => (1, bytes.to_vec()),
        };
        let [low, high] = u16::try_from(bytes.len()).expect("small").to_le_bytes();
        all.extend([kind, low, high]);
        all.extend(bytes);
    }
    all
}

fn client_says() -> Vec<FromClient> {
    let removal = Removal { name: name("", "u0"), body: Digest::of(b"body\n"), section: 2, base: 3 };
    vec![
        FromClient::Batch {
            root: 0,
            steps: vec![
                Step::MakeFolder(folder(".b")),
                Step::Put { to: name(".b", "w0"), dress: dress(), bytes: bytes(NEW, Source::Wire) },
                Step::Move { from: name("", "u0"), to: name(".a", "u0"), dress: dress() },
                Step::Delete(name("", "u1")),
                Step::Part(Twin { from: name("", "u0"), content: Content::of(NEW), to: uniq("u7") }),
            ],
            fetch: vec![Fetch {
                step: 0,
                name: name(".a", "u2"),
                header_only: false,
                content: Content::of(b"A: d\n\n"),
            }],
        },
        FromClient::Spell { root: 0, wanted: vec![(0, name("", "u0"))] },
        FromClient::Ledger { root: 0, act: LedgerAct::Count(vec![removal]) },
        FromClient::BatchReady { root: 0 },
        FromClient::Spelled(Spelled { step: 1, suffix: Some(b":2,SF".to_vec()) }),
        FromClient::Content(start(1, NEW)),
    ]
}

fn client_ends() -> Vec<FromClient> {
    vec![
        FromClient::ContentEnd(ContentEnd { step: 1, failed: None }),
        FromClient::BatchEnd { root: 0 },
        FromClient::Prepare { root: 0, parts: pack(&Snapshot::default(), &delta()) },
        FromClient::PrepareEnd { root: 0, counter: 1, from: None },
        FromClient::Commit { root: 0, id: BaseId { counter: 1, digest: Digest::of(b"") } },
    ]
}

/// One new message.
fn one() -> Delta {
    let mut delta = delta();
    delta.folders.retain(|folder, _| folder.is_root());
    delta.folders.values_mut().for_each(|change| change.set.truncate(1));
    delta
}

fn server_says(delta: &Delta) -> Vec<FromServer> {
    let trouble = || PeerTrouble::new(b"a/b".to_vec(), "cannot be read");
    let mut all: Vec<FromServer> = groups(pack(&Snapshot::default(), delta))
        .into_iter()
        .map(|parts| FromServer::Delta { root: 0, parts })
        .collect();
    all.extend([
        FromServer::LeftOut { root: 0, left_out: vec![trouble()] },
        FromServer::Met { root: 0, patterns: vec![0] },
        FromServer::PutBack { root: 0, folders: vec![folder(".b")] },
        FromServer::Room { root: 0, free: 1 << 40 },
        FromServer::Looked { root: 0, looked: Looked { troubles: vec![trouble()], ..Looked::default() } },
    ]);
    all
}

fn server_ends() -> Vec<FromServer> {
    vec![
        FromServer::ContentEnd(ContentEnd { step: 0, failed: None }),
        FromServer::Outcomes { root: 0, failed: vec![(0, Outcome::Changed("changed".into()))] },
        FromServer::BatchDone { root: 0 },
        FromServer::Prepared { root: 0, id: BaseId { counter: 1, digest: Digest::of(b"") } },
        FromServer::Committed { root: 0 },
        FromServer::Fail(Failure::Protocol("no".into())),
    ]
}

fn grave() -> FromServer {
    let rests = Rests {
        id: "1700000000.run-1".to_owned(),
        time: 1_700_000_000,
        why: Why::Deleted,
        folder: folder(".a"),
        place: Some(Place::Cur),
        file: b"u2:2,S".to_vec(),
        renamed: None,
        size: Some(7),
        back: false,
    };
    FromServer::Grave { root: 0, answer: GraveAnswer::Rests { rests: vec![rests], end: Some(Rest::default()) } }
}

fn says<T>(all: Vec<T>) -> impl Iterator<Item = Word<T>> {
    all.into_iter().map(Word::Says)
}

fn messages() -> Vec<Seed> {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let wish = FromClient::Grave { root: 0, wish: GraveWish::BringBack { ids: vec!["1.x-1".to_owned()], last: true } };
    let client = client_says().into_iter().chain(client_ends().into_iter().take(3)).chain([wish]);
    let client = client.map(|one| codec::encode(&one).expect("small"));
    let server = server_says(&delta()).into_iter().chain(server_ends()).chain([grave()]);
    let server = server.map(|one| codec::encode(&one).expect("small"));
    let client = NAMES.into_iter().zip(client).map(|(name, bytes)| ("client_messages", name, bytes));
    client.chain(NAMES.into_iter().zip(server).map(|(name, bytes)| ("server_messages", name, bytes))).collect()
}

fn machines() -> Vec<Seed> {
    let batch = says(client_says()).chain([Word::Piece(NEW)]).chain(says(client_ends()));
    let wishes = vec![FromClient::Grave { root: 0, wish: GraveWish::List }, FromClient::Bye];
    let others = vec![
        FromClient::Adopt { root: 0 },
        FromClient::BareHeaders { root: 0, names: vec![name("", "u0"), name(".a", "u2")] },
        FromClient::Header { root: 0, name: name("", "u0") },
        FromClient::Ledger { root: 0, act: LedgerAct::Tell },
        FromClient::Rest,
        FromClient::Ping,
    ];
    let content = [Word::Says(FromServer::Content(start(0, NEW))), Word::Piece(NEW)];
    let brings = says(server_says(&one())).chain(content).chain(says(server_ends()));
    let nothing = vec![FromServer::Looked { root: 0, looked: Looked::default() }];
    let absent = Looked { absent: true, suspicious: Some("is another".into()), ..Looked::default() };
    let dry = vec![FromServer::Looked { root: 0, looked: absent }, FromServer::Changed];
    vec![
        ("server_machine", "batch", talk(0, batch.collect())),
        ("server_machine", "grave", talk(0x40, says(wishes).collect())),
        ("server_machine", "others", talk(8, says(others).collect())),
        ("server_machine", "no_hello", talk(0x80, says(client_says()).collect())),
        ("client_machine", "brings", talk(0, brings.collect())),
        ("client_machine", "nothing", talk(8, says(nothing).collect())),
        ("client_machine", "dry", talk(4, says(dry).collect())),
        ("client_machine", "no_hello", talk(0x80, says(server_says(&delta())).collect())),
    ]
}

fn streams() -> Vec<Seed> {
    let frame = |message: FromClient| wire::message(&message).expect("small");
    let mut frames = vec![0];
    client_says().into_iter().for_each(|message| frames.extend(frame(message)));
    frames.extend(wire::piece_head(NEW.len()));
    frames.extend_from_slice(NEW);
    let packed = zstd::encode_all(&frames[1..], 3).expect("it can be compressed");
    vec![
        ("frames", "talk", frames.clone()),
        ("frames", "cut", frames[..frames.len() / 2].to_vec()),
        ("frames", "noise", b"\x01Welcome to this host!\n".to_vec()),
        ("frames", "long", vec![0, 1, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 2, 0]),
        ("decompressor", "talk", [&[0][..], &packed].concat()),
        ("decompressor", "plain", [&[1][..], &frames[1..]].concat()),
        ("decompressor", "zeros", [&[0][..], &zstd::encode_all(&vec![0; 1 << 20][..], 3).expect("small")].concat()),
        ("decompressor", "twice", [&[0][..], &packed, &packed].concat()),
    ]
}

fn texts() -> Vec<Seed> {
    let example = include_bytes!("../../../config.default.example").to_vec();
    let config =
        b"SERVERNAME=host\nMAILBOX=\"Maildir Other\"\nEXCLUDE='Maildir/.x* !y'\nGRAVE_DAYS=9\nMAX_DELETE=10%\n";
    let base = format!(
        "\0root -\nidentity -\nexcludes \ntranslator \nmount -\nid 1 {}\nfolder 0 4 0 {} - .\n\n[.]\n",
        "A".repeat(32),
        "A".repeat(32)
    );
    vec![
        ("config", "example", example),
        ("config", "own", config.to_vec()),
        ("config", "wrong", b"MAILBOX=\nNO=\"x\n\x1b[2J=1\n".to_vec()),
        ("excludes", "plain", b"Mail/.foo/cur\n!b\n**/x*[a-z]{a,b}?\n\nc\\ d\nMail/.foo".to_vec()),
        ("excludes", "stars", [b"**/".repeat(60), b"*a*a*a*a*b\na/a/a/aaaaaaaaaa".to_vec()].concat()),
        ("excludes", "odd", b"[a\n{a,{b\n!\n/\n\\\n\xff\na".to_vec()),
        ("names", "folder", b".a/b c/\xff".to_vec()),
        ("names", "file", b"1700000000.M1P2.host,S=3:2,FS,x".to_vec()),
        ("names", "foreign", b"x:1,y:2,S".to_vec()),
        ("names", "dots", b"a/../b".to_vec()),
        ("header", "mail", [&[3][..], MAIL].concat()),
        ("header", "fields", [&[200][..], &b"a:\nb:\n".repeat(2000)].concat()),
        ("header", "no_end", b"\x01Subject: x\r\r\n\n\r".to_vec()),
        ("escaper", "controls", b"a\x1b]0;t\x07\xc2\x9b\\\xff".to_vec()),
        ("escaper", "unicode", "é\u{202e}\u{200b}\u{2028}\u{e0041}漢".as_bytes().to_vec()),
        ("escaper", "long", "é".repeat(2000).into_bytes()),
        ("snapshot", "empty", base.into_bytes()),
        ("snapshot", "zeros", vec![0; 100]),
        ("snapshot", "raw", b"\x01smd-db 3 0 0000000000000000\n".to_vec()),
        ("cache", "zeros", vec![0; 64]),
        ("cache", "claims", vec![0, 0, 0, 253, 0, 0, 0, 0, 0, 0, 0, 16]),
        ("cache", "ones", vec![1; 64]),
    ]
}

/// All of them.
pub(super) fn seeds() -> Vec<Seed> {
    let seeds: Vec<Seed> = [messages(), machines(), streams(), texts()].concat();
    debug_assert!(seeds.iter().all(|(_, _, bytes)| bytes.len() <= super::INPUT_MAX + FRAME_HEAD));
    seeds
}
