//! Names and paths.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use smd_protocol::step::{Bytes, Dress};
use smd_protocol::wire::FromClient;
use smd_protocol::{Content, Flags, Place, Source, Step};
use smd_tests::hostile::stage::{Stage, none};
use smd_tests::hostile::{answer, hello, raw};

use super::{folder, name, put, uniq};

/// A folder that none may be: refused by both hosts.
#[track_caller]
fn no_folder(stage: &Stage, number: u8, what: &str, path: &[u8]) {
    stage.refused_bytes(number, what, &raw::make_folders(&[path]));
    stage.client_refuses(number, what, &answer(), &raw::delta(path, b"u"));
}

/// A uniq that none may be: refused by both hosts.
#[track_caller]
fn no_uniq(stage: &Stage, number: u8, what: &str, name: &[u8]) {
    stage.refused_bytes(number, what, &raw::delete(b"", name));
    stage.client_refuses(number, what, &answer(), &raw::delta(b"", name));
}

#[test]
fn no_name_leads_out_of_a_root() {
    let stage = Stage::new();
    no_folder(&stage, 15, "..", b"..");
    no_folder(&stage, 16, "../outside", b"../outside");
    no_folder(&stage, 16, "a/../../outside", b"a/../../outside");
    no_folder(&stage, 17, "/etc/passwd", b"/etc/passwd");
    for path in [&b"."[..], b"./x", b"x/", b"x//y", b"/"] {
        stage.refused_bytes(18, "empty components and dots", &raw::make_folders(&[path]));
    }
    no_uniq(&stage, 18, "an empty uniq", b"");
    no_uniq(&stage, 19, "a slash in a uniq", b"../outside/cur/o");
    no_uniq(&stage, 20, "NUL in a uniq", b"a\0b");
    stage.refused_bytes(20, "NUL in a folder", &raw::make_folders(&[b"a\0b"]));
    stage.refused_bytes(24, "a component of 256 bytes", &raw::make_folders(&[&[b'a'; 256]]));
    stage.refused_bytes(24, "a path of 4097 bytes", &raw::make_folders(&[&b"a/".repeat(2049)[..4097]]));
    stage.refused_bytes(24, "10,000 levels", &raw::make_folders(&[&b"a/".repeat(10_000)[..19_999]]));
    no_uniq(&stage, 24, "a uniq of 256 bytes", &[b'a'; 256]);
    no_uniq(&stage, 27, "a uniq with a dot first", b".hidden");
    no_uniq(&stage, 28, "a colon in a uniq", b"x:2,S");
    no_uniq(&stage, 29, "nothing before the colon", b":2,S");
    for path in [&b"cur"[..], b"new", b"tmp", b"cur/cur", b".Trash/../..", b"..smd-grave"] {
        stage.refused_bytes(31, "names inside every folder, and of the grave", &raw::make_folders(&[path]));
    }
    stage.client_refuses(31, "cur for a folder", &answer(), &raw::delta(b"a/cur", b"u"));
    stage.end();
}

#[test]
fn odd_names_stay_where_they_belong() {
    let mut stage = Stage::new();
    let odd: [(u8, &str, &[u8]); 17] = [
        (21, "line ends and controls", b"a\nb\r\t\x1b]0;x\x07\xc2\x9b"),
        (22, "overlong UTF-8 of / and .", b"\xc0\xaf\xc0\xae\xc0\xae\xe0\x80\xaf"),
        (23, "percent signs", b"%2e%2e%2f%252e%2500"),
        (25, "no UTF-8, and halves of a pair", b"\xff\xfe\xed\xa0\x80"),
        (26, "composed", "é".as_bytes()),
        (26, "decomposed", "e\u{301}".as_bytes()),
        (26, "upper case", b"CASE"),
        (26, "lower case", b"case"),
        (27, "..cur", b"..cur"),
        (27, "...", b"..."),
        (31, ".ssh inside", b".ssh"),
        (31, ".smd inside", b".smd"),
        (33, "state inside", b".smd/served"),
        (35, "a shell's signs", b"`touch x` $IFS \"\\' -x"),
        (35, "a dash first", b"-rf"),
        (36, "%", b"%"),
        (36, "&", b"&"),
    ];
    let root = stage.root();
    let path = stage.home().join(&root);
    let steps: Vec<&[u8]> = odd.iter().map(|(_, _, path)| *path).collect();
    stage.at_server(21, "odd folders are made inside of the root", &[0], Some(&hello(root.as_bytes())), |client| {
        client.bytes(&raw::make_folders(&steps));
        client.say(&FromClient::BatchReady { root: 0 });
        client.say(&FromClient::BatchEnd { root: 0 });
        client
            .until(|said| matches!(said, smd_protocol::wire::FromServer::BatchDone { .. }).then_some(()))
            .expect("done");
        let at = [22, 23, 25, 26, 27].map(|number| folder_of(&odd, number));
        let puts = at.iter().map(|(_, folder)| put(smd_protocol::Name::new(folder, &uniq("p")), b"A: b\n\nc\n"));
        let contents: Vec<(u32, &[u8])> = (0..5).map(|step| (step, &b"A: b\n\nc\n"[..])).collect();
        assert!(client.batch(puts.collect(), &contents).expect("a batch").is_empty());
    });
    for (number, what, folder) in odd {
        assert!(path.join(std::ffi::OsStr::from_bytes(folder)).join("cur").is_dir(), "{number} {what}");
        none(number, &format!("{what}: a folder like others"));
    }
    let mut top: Vec<_> =
        fs::read_dir(&path).expect("a root").map(|entry| entry.expect("an entry").file_name()).collect();
    top.retain(|name| !["cur", "new", "tmp"].iter().any(|own| name == own));
    assert_eq!(top.len(), 16, "{top:?}");

    let root = stage.root();
    let path = stage.home().join(&root);
    for (file, bytes) in [("dovecot-uidlist", "3 V1 N1\n"), ("subscriptions", "a\n"), ("plain", "a file")] {
        fs::write(path.join(file), bytes).expect("a file");
    }
    fs::create_dir(path.join("cur/d:2,")).expect("a directory");
    let flags = |info: &[u8]| Dress { place: Place::Cur, flags: Flags::from_info(info) };
    stage.at_server(
        30,
        "names of control files, and what is in the way",
        &[0],
        Some(&hello(root.as_bytes())),
        |client| {
            let mut steps: Vec<Step> = ["dovecot-uidlist", "dovecot.index.log", "maildirfolder", "subscriptions"]
                .map(|uniq| put(name("", uniq), b"A: b\n\nc\n"))
                .into();
            steps.push(Step::MakeFolder(folder("plain")));
            steps.push(put(name("", "d"), b"A: b\n\nc\n"));
            // A uniq that leaves no room for flags.
            let long = Step::Put {
                to: name("", &"l".repeat(255)),
                dress: flags(b"2,S"),
                bytes: Bytes { content: Content::of(b"A: b\n\nc\n"), source: Source::Wire, mtime: None },
            };
            steps.push(long);
            let contents: Vec<(u32, &[u8])> = [0, 1, 2, 3, 5, 6].map(|step| (step, &b"A: b\n\nc\n"[..])).into();
            let failed = client.batch(steps, &contents).expect("a batch");
            assert!(failed.contains(&4) && failed.contains(&6), "{failed:?}");
        },
    );
    assert_eq!(fs::read(path.join("dovecot-uidlist")).expect("a file"), b"3 V1 N1\n");
    assert!(path.join("plain").is_file() && path.join("cur/d:2,").is_dir());
    none(32, "a folder where a file is, and a message where a directory is, are not made (with case 30)");
    none(34, "a name that has no room here fails by itself (with case 30)");
    let infos: [&[u8]; 6] = [b"1,x", b"2,SS", b"2,sS", b"2,S,foo", b"2,S:2,F", b"2,\xff"];
    let root = stage.root();
    stage.at_server(28, "odd flags", &[0], Some(&hello(root.as_bytes())), |client| {
        let moves =
            infos.iter().map(|info| Step::Move { from: name("", "m0"), to: name("", "m0"), dress: flags(info) });
        client.batch(moves.collect(), &[]).expect("a batch");
    });
    stage.refused(28, "10,000 letters", |client| {
        let message = (
            2u32,
            0u16,
            vec![(
                4u32,
                (b"".to_vec(), b"m0".to_vec()),
                (b"".to_vec(), b"m0".to_vec()),
                1u32,
                (0u64, Some(vec![b'x'; 10_000])),
            )],
            Vec::<u8>::new(),
        );
        client.bytes(&raw::frame(&message));
    });
    stage.end();
}

fn folder_of(odd: &[(u8, &str, &[u8])], number: u8) -> (u8, smd_protocol::Folder) {
    let found = odd.iter().find(|(own, ..)| *own == number).expect("a case");
    (number, smd_protocol::Folder::parse(found.2).expect("a folder"))
}
