//! What a delta or a plan means.

use std::fs;

use smd_protocol::delta::{Delta, FolderDelta, Meta, Mtime, Presence, Seen};
use smd_protocol::pack::{Unpacker, groups, pack};
use smd_protocol::step::{Bytes, Dress};
use smd_protocol::wire::{self, FromClient, FromServer, Ids, Looked, RootAnswer};
use smd_protocol::{BaseId, Content, Entry, Flags, Folder, Place, Snapshot, Source, Step};
use smd_tests::hostile::stage::{Stage, none};
use smd_tests::hostile::{Server, answer, hello, raw};
use smd_tests::tree::{self, Tree};

use super::{dress, folder, name, put, put_from, uniq};

const MAIL: &[u8] = b"A: b\n\nc\n";

fn seen(of: &str, bytes: &[u8]) -> Seen {
    let entry = Entry { uniq: uniq(of), place: Place::New, flags: Flags::default(), content: Content::of(bytes) };
    Seen { entry, meta: Some(Meta { size: bytes.len() as u64, mtime: Mtime { sec: 1_700_000_000, nsec: 0 } }) }
}

fn told(delta: &Delta) -> Vec<FromServer> {
    groups(pack(&Snapshot::default(), delta)).into_iter().map(|parts| FromServer::Delta { root: 0, parts }).collect()
}

fn adds(path: &str, set: Vec<Seen>) -> Delta {
    Delta { folders: [(folder(path), FolderDelta { presence: Presence::Added, set, ..FolderDelta::default() })].into() }
}

/// A server that takes what it is told, and commits it. Gives the base.
pub(super) fn agrees(server: &Server, answer: &RootAnswer) -> Option<BaseId> {
    server.meet(&[], answer);
    server.looked(Looked::default());
    let (mut unpacker, mut made) = (Unpacker::default(), None);
    let nothing = Snapshot::default();
    while let Some(said) = server.hear() {
        match said {
            FromClient::BatchEnd { root } => server.say(&FromServer::BatchDone { root }),
            FromClient::Prepare { parts, .. } => {
                parts.into_iter().for_each(|part| unpacker.take(&nothing, part).expect("the client keeps to the wire"));
            }
            FromClient::PrepareEnd { root, counter, .. } => {
                let mut snapshot = nothing.clone();
                snapshot.apply(&std::mem::take(&mut unpacker).finish().expect("a delta"));
                let id = snapshot.id(counter);
                server.say(&FromServer::Prepared { root, id });
                made = Some(id);
            }
            FromClient::Commit { root, .. } => server.say(&FromServer::Committed { root }),
            _ => {}
        }
    }
    made
}

#[test]
fn a_server_that_says_that_everything_is_gone_removes_nothing() {
    let stage = Stage::new();
    let mut id = None;
    stage.at_client(71, "an honest first run with this server", &[0], &[], |server| id = agrees(server, &answer()));
    let agreed = RootAnswer { ids: Ids { current: id, next: None }, counter: 1, ..answer() };
    let mail = tree::list(&stage.world.client().maildir());
    let gone: Vec<_> = mail.iter().map(|found| uniq(std::str::from_utf8(found.uniq()).expect("text"))).collect();
    let without = |presence, gone: &[smd_protocol::Uniq]| Delta {
        folders: [(Folder::root(), FolderDelta { presence, gone: gone.to_vec(), ..FolderDelta::default() })].into(),
    };
    let cases = [
        (71, "all messages are gone", without(Presence::Same, &gone)),
        (71, "more than half are gone", without(Presence::Same, &gone[..6])),
        (72, "the folder is gone, and no message is named", without(Presence::Removed, &[])),
        (72, "the folder begins anew with nothing", without(Presence::Reset, &[])),
    ];
    for (number, what, delta) in cases {
        stage.at_client(number, what, &[0, 1, 3], &[], |server| {
            server.meet(&[], &agreed);
            told(&delta).iter().for_each(|message| server.say(message));
            server.looked(Looked::default());
            server.plays_along();
        });
        let left = tree::list(&stage.world.client().maildir()).len();
        assert!(left == mail.len(), "{number} {what}: {left} of {}", mail.len());
    }
    for (what, looked) in [
        ("nothing is there, and nothing could be read", Looked { incomplete: true, ..Looked::default() }),
        ("there is no such root any more", Looked { absent: true, ..Looked::default() }),
        ("the root is another one", Looked { suspicious: Some("is another".into()), ..Looked::default() }),
    ] {
        stage.at_client(84, what, &[0, 1, 3, 69], &[], |server| {
            server.meet(&[], &agreed);
            told(&without(Presence::Same, &gone)).iter().for_each(|message| server.say(message));
            server.looked(looked);
            server.plays_along();
        });
        assert_eq!(tree::list(&stage.world.client().maildir()).len(), mail.len(), "84 {what}");
    }
    stage.end();
}

#[test]
fn a_server_brings_only_what_was_asked_for_and_names_nothing_twice() {
    let stage = Stage::new();
    let start = |step, size| wire::ContentStart { step, size, mtime: Mtime::default() };
    for (what, step) in [("a message that nobody asked for", 7), ("another one than was asked for", 1)] {
        stage.at_client(67, what, &[76], &[], |server| {
            server.meet(&[], &answer());
            told(&adds("", vec![seen("v0", MAIL)])).iter().for_each(|message| server.say(message));
            server.looked(Looked::default());
            server.hears(|said| matches!(said, FromClient::BatchEnd { .. }).then_some(()));
            server.say(&FromServer::Content(start(step, MAIL.len() as u64)));
            server.listens();
        });
    }
    stage.at_client(67, "contents and spellings without end", &[76], &[], |server| {
        server.meet(&[wire::SPELLING], &answer());
        told(&adds("", vec![seen("v0", MAIL)])).iter().for_each(|message| server.say(message));
        server.looked(Looked::default());
        server.hears(|said| matches!(said, FromClient::BatchEnd { .. }).then_some(()));
        (0..3).for_each(|_| server.say(&FromServer::Spelled(wire::Spelled { step: 0, suffix: Some(b":2,".to_vec()) })));
        server.listens();
    });
    // By hand, since a delta of ours never is so: a uniq that is there twice, and both gone and there.
    let part = |uniqs: &[&[u8]]| {
        let gone: Vec<Vec<u8>> = uniqs.iter().map(|uniq| uniq.to_vec()).collect();
        raw::frame(&(1u32, 0u16, vec![(0u32, b"".to_vec(), 0u32, None::<bool>, gone)]))
    };
    let looked = wire::message(&FromServer::Looked { root: 0, looked: Looked::default() }).expect("small");
    stage.client_refuses(
        68,
        "a message that is gone twice",
        &answer(),
        &[part(&[b"v", b"v"]), looked.clone()].concat(),
    );
    let twice = told(&adds("", vec![seen("v0", MAIL), seen("v0", b"other")]));
    let twice: Vec<u8> = twice.iter().flat_map(|message| wire::message(message).expect("small")).collect();
    stage.client_refuses(68, "a message that is there twice", &answer(), &[twice, looked].concat());
    let folders = [&b"b"[..], b"a"].map(|path| (0u32, path.to_vec(), 1u32, None::<bool>, Vec::<Vec<u8>>::new()));
    stage.client_refuses(81, "folders that are not in order", &answer(), &raw::frame(&(1u32, 0u16, folders.to_vec())));
    stage.refused_bytes(
        81,
        "folders of a base that are not in order",
        &[
            raw::frame(&(7u32, 0u16, folders.to_vec())),
            wire::message(&FromClient::PrepareEnd { root: 0, counter: 2, from: None }).expect("small"),
        ]
        .concat(),
    );
    none(82, "names are bytes: none is made of another, so no two become one");

    // A million entries that cost next to nothing on the wire, and folders of all names; the client has the memory of `capped`.
    stage.at_client(80, "entries without end", &[76], &[], |server| {
        server.meet(&[], &answer());
        let mut number = 0;
        while server.still_there() && number < 3_000_000 {
            let set = (number..number + 1_000).map(|at| seen(&format!("u{at:07}"), b"")).collect();
            told(&adds("", set)).iter().for_each(|message| server.say(message));
            number += 1_000;
        }
        server.listens();
    });
    stage.at_client(80, "folders without end", &[76], &[], |server| {
        server.meet(&[], &answer());
        let mut number = 0;
        while server.still_there() && number < 2_000_000 {
            let names = number..number + 4_000;
            let folders = names.map(|at| {
                (folder(&format!("f{at:07}")), FolderDelta { presence: Presence::Added, ..FolderDelta::default() })
            });
            told(&Delta { folders: folders.collect() }).iter().for_each(|message| server.say(message));
            number += 4_000;
        }
        server.listens();
    });
    none(80, "hash maps have random seeds, so nobody can choose names that collide");
    stage.end();
}

#[test]
fn steps_that_make_no_sense_lose_nothing() {
    let mut stage = Stage::new();
    let moves = |from: &str, to: &str| Step::Move { from: name("", from), to: name("", to), dress: dress() };
    let copy = |to: &str, of: &str, bytes: &[u8]| put_from(name("", to), bytes, Source::Copy(name("", of)));
    let flags = |of: &str| Step::Move {
        from: name("", of),
        to: name("", of),
        dress: Dress { place: Place::Cur, flags: Flags::from_letters("FS") },
    };
    let body = Bytes { content: Content::of(b"zz\n\nnew\n"), source: Source::Body(name("", "m0")), mtime: None };
    let m0: &[u8] = b"A: 0\n\nbody 0\n";
    type Case<'a> = (u8, &'a str, Vec<Step>, Vec<(u32, &'a [u8])>, &'a [u32]);
    let cases: Vec<Case<'_>> = vec![
        (
            68,
            "deleted, brought, deleted",
            vec![Step::Delete(name("", "m0")), put(name("", "m0"), MAIL), Step::Delete(name("", "m0"))],
            vec![(1, MAIL)],
            &[],
        ),
        (69, "deletes what is not there", vec![Step::Delete(name("", "nope"))], vec![], &[]),
        (73, "two change places", vec![moves("m0", "m1"), moves("m1", "m0")], vec![], &[]),
        (73, "three change places", vec![moves("m0", "m1"), moves("m1", "m2"), moves("m2", "m0")], vec![], &[]),
        (73, "onto itself", vec![moves("m0", "m0")], vec![], &[]),
        (73, "by way of another name", vec![moves("m0", "t"), moves("m1", "m0"), moves("t", "m1")], vec![], &[]),
        (74, "copies of what is not there", vec![copy("c", "nope", m0), moves("nope", "m9")], vec![], &[0, 1]),
        (75, "a copy that is said to be another message", vec![copy("c", "m0", MAIL)], vec![], &[0]),
        (
            76,
            "a body under a header that does not belong to it",
            vec![Step::Put { to: name("", "c"), dress: dress(), bytes: body }],
            vec![(0, b"zz\n\n")],
            &[0],
        ),
        (78, "flags of what is not there", vec![flags("nope")], vec![], &[0]),
    ];
    for (number, what, steps, contents, failed) in cases {
        let root = stage.root();
        let path = stage.home().join(&root);
        stage.at_server(number, what, &[0], Some(&hello(root.as_bytes())), |client| {
            let done = client.batch(steps, &contents).expect("a batch");
            assert!(failed.iter().all(|step| done.contains(step)), "{number} {what}: {done:?}");
        });
        let left = Tree::read(&path);
        let deleted = usize::from(number == 68);
        assert!(left.len() >= 3 - deleted, "{number} {what}: {} left", left.len());
        for at in deleted..3 {
            let bytes = format!("A: {at}\n\nbody {at}\n");
            let key = (bytes.len() as u64, tree::hash(bytes.as_bytes()));
            let found = fs::read_dir(path.join("cur"))
                .expect("cur")
                .any(|entry| fs::read(entry.expect("an entry").path()).is_ok_and(|found| found == bytes.as_bytes()));
            assert!(found, "{number} {what}: message {at} {key:?} is lost");
        }
    }
    let root = stage.root();
    let cur = stage.home().join(&root).join("cur");
    stage.at_server(70, "deletes what was written since the look", &[0], Some(&hello(root.as_bytes())), |client| {
        fs::write(cur.join("m1:2,"), "A: 1\n\nedited since\n").expect("an edit");
        assert_eq!(client.batch(vec![Step::Delete(name("", "m1"))], &[]).expect("a batch"), [0]);
    });
    assert_eq!(fs::read(cur.join("m1:2,")).expect("it is there"), b"A: 1\n\nedited since\n");
    let root = stage.root();
    let at = stage.home().join(&root);
    fs::write(at.join("cur/m0:2,S"), "twin").expect("a file");
    fs::write(at.join("new/m1"), "twin").expect("a file");
    stage.at_server(77, "a uniq that is there twice", &[0], Some(&hello(root.as_bytes())), |client| {
        client.batch(vec![flags("m0"), flags("m1"), Step::Delete(name("", "m2"))], &[]).expect("a batch");
    });
    assert!(Tree::read(&at).len() >= 4);
    for (sec, nsec) in
        [(i64::MIN, 0), (i64::MAX, 999_999_999), (0, u32::MAX), (-2_208_988_800, 1), (253_402_300_799, 1_000_000_000)]
    {
        let root = stage.root();
        stage.at_server(79, &format!("an mtime of {sec} and {nsec}"), &[0], Some(&hello(root.as_bytes())), |client| {
            client.say(&super::batch(vec![put(name("", "p"), MAIL)]));
            client.say(&FromClient::BatchReady { root: 0 });
            client.say(&FromClient::Content(wire::ContentStart {
                step: 0,
                size: MAIL.len() as u64,
                mtime: Mtime { sec, nsec },
            }));
            super::piece(client, MAIL);
            super::end(client, 0);
            client.say(&FromClient::BatchEnd { root: 0 });
            client.until(|said| matches!(said, FromServer::BatchDone { .. }).then_some(())).expect("done");
        });
    }
    let root = stage.root();
    stage.at_server(83, "1,000 folders made and removed, thrice", &[0], Some(&hello(root.as_bytes())), |client| {
        for _ in 0..3 {
            let paths = (0..1_000).map(|at| folder(&format!("storm-{at}")));
            let made = paths.clone().map(Step::MakeFolder).collect();
            client.batch(made, &[]).expect("a batch");
            client.batch(paths.map(Step::RemoveFolder).collect(), &[]).expect("a batch");
        }
    });
    stage.end();
}
