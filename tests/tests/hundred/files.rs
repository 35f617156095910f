//! Symlinks, and files that are no messages, with a thread that exchanges them while the server works.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use smd_protocol::wire::{FromClient, FromServer};
use smd_protocol::{Content, Step};
use smd_tests::hostile::stage::{Stage, none, say, while_swapping};
use smd_tests::hostile::{Client, hello, raw};
use smd_tests::world::World;

use super::{folder, name, put};

const MAIL: &[u8] = b"A: b\n\nc\n";

/// Puts, moves and deletes in a folder. Gives the steps that were not done.
fn all_in(client: &Client, at: &str) -> Vec<u32> {
    let steps = vec![
        Step::MakeFolder(folder(at)),
        put(name(at, "p"), MAIL),
        Step::Delete(name(at, "o")),
        Step::Move { from: name("", "m0"), to: name(at, "m0"), dress: super::dress() },
        Step::RemoveFolder(folder(at)),
    ];
    client.batch(steps, &[(1, MAIL)]).expect("a batch")
}

#[test]
fn no_symlink_is_followed_and_no_file_of_another_kind_is_a_message() {
    let mut stage = Stage::new();
    let outside = stage.home().join("outside");
    for (number, what, link) in [
        (37, "a folder that is a symlink to outside", outside.join("F")),
        (38, "a folder that is a symlink to inside", Path::new("cur").to_owned()),
    ] {
        let root = stage.root();
        symlink(link, stage.home().join(&root).join("F")).expect("a symlink");
        stage.at_server(number, what, &[0], Some(&hello(root.as_bytes())), |client| {
            let failed = all_in(client, "F");
            assert!([0, 1, 3].iter().all(|step| failed.contains(step)), "{failed:?}");
        });
        assert!(stage.home().join(&root).join("cur/m0:2,").exists(), "{number}");
    }
    for part in ["cur", "new", "tmp"] {
        let root = stage.root();
        let at = stage.home().join(&root).join("F");
        for own in ["cur", "new", "tmp"].iter().filter(|own| **own != part) {
            fs::create_dir_all(at.join(own)).expect("a directory");
        }
        symlink(outside.join(part), at.join(part)).expect("a symlink");
        stage.at_server(39, &format!("{part} is a symlink"), &[0], Some(&hello(root.as_bytes())), |client| {
            all_in(client, "F");
        });
    }
    let root = stage.root();
    let cur = stage.home().join(&root).join("cur");
    for (leaf, target) in [("l0:2,", "/etc/passwd"), ("l1:2,", "/nonexistent"), ("l2:2,", "l2:2,")] {
        symlink(target, cur.join(leaf)).expect("a symlink");
    }
    stage.at_server(40, "a message that is a symlink", &[0], Some(&hello(root.as_bytes())), |client| {
        let replaced = ["l0", "l1", "l2"].map(|uniq| put(name("", uniq), MAIL));
        let deleted = ["l0", "l1", "l2"].map(|uniq| Step::Delete(name("", uniq)));
        let contents: Vec<(u32, &[u8])> = (0..3).map(|step| (step, MAIL)).collect();
        client.batch([&replaced[..], &deleted].concat(), &contents).expect("a batch");
    });
    assert!(fs::symlink_metadata(cur.join("l0:2,")).expect("it is there").is_symlink());
    stage.refused_bytes(40, "its bytes are asked for", &[raw::fetch(b"", b"l0"), raw::framed(&[3, 0])].concat());

    let root = stage.root();
    let cur = stage.home().join(&root).join("cur");
    rustix::fs::mknodat(rustix::fs::CWD, cur.join("f:2,"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .expect("a pipe");
    let _socket = std::os::unix::net::UnixListener::bind(cur.join("s:2,")).expect("a socket");
    fs::create_dir(cur.join("d:2,")).expect("a directory");
    stage.at_server(
        43,
        "a pipe, a socket and a directory for messages",
        &[0],
        Some(&hello(root.as_bytes())),
        |client| {
            let steps = ["f", "s", "d"].map(|uniq| Step::Delete(name("", uniq)));
            client.batch(steps.into(), &[]).expect("a batch");
        },
    );
    assert!(["f:2,", "s:2,", "d:2,"].iter().all(|leaf| cur.join(leaf).exists()));

    // What has two names keeps its bytes under the other one; only the count of its names and its change time tell of it.
    let root = stage.root();
    let kept = stage.world.dir().join("kept");
    fs::write(&kept, MAIL).expect("a file");
    fs::hard_link(&kept, stage.home().join(&root).join("cur/h:2,")).expect("a link");
    stage.at_server(
        44,
        "a message that is a second name of a file outside",
        &[0],
        Some(&hello(root.as_bytes())),
        |client| {
            let bytes = b"A: new\n\nbytes\n";
            let content = Content::of(bytes);
            let bytes_from = smd_protocol::step::Bytes { content, source: smd_protocol::Source::Wire, mtime: None };
            let replace = Step::Replace { at: name("", "h"), dress: super::dress(), bytes: bytes_from };
            client.batch(vec![replace], &[(0, bytes)]).expect("a batch");
        },
    );
    assert_eq!(fs::read(&kept).expect("it is there"), MAIL);

    for path in ["/proc/self/root", "/proc/self/fd/0", "/proc/self/cwd/.ssh", "/dev/stdin"] {
        let since = Instant::now();
        let client = Client::at(&stage.world, stage.world.server());
        client.say(&FromClient::Hello(hello(path.as_bytes())));
        while let Some(said) = client.hear() {
            if matches!(said, FromServer::Looked { .. } | FromServer::Hello(_) | FromServer::Fail(_)) {
                break;
            }
        }
        stage.judge(45, path, &[0, 74, 78], since, &client.end());
    }
    none(
        46,
        "a file system mounted inside of a root: guard::a_folder_whose_disk_is_not_mounted_here_stops_everything…",
    );
    stage.end();
}

#[test]
fn a_directory_that_is_exchanged_for_a_symlink_at_any_moment_leads_nowhere() {
    let mut stage = Stage::new();
    let outside = stage.home().join("outside");
    for (number, what, at, target) in [
        (41, "a folder is exchanged", "P/F", outside.join("F")),
        (41, "the directory above is exchanged", "P", outside.clone()),
        (41, "cur is exchanged", "P/F/cur", outside.join("cur")),
        (42, "tmp is exchanged", "P/F/tmp", outside.join("tmp")),
    ] {
        let root = stage.root();
        let path = stage.home().join(&root);
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(path.join("P/F").join(part)).expect("a directory");
        }
        let (rounds, swaps) = while_swapping(&path.join(at), &target, || {
            let (until, mut rounds) = (Instant::now() + Duration::from_millis(400), 0);
            while Instant::now() < until {
                stage.at_server(number, what, &[0, 74], Some(&hello(root.as_bytes())), |client| {
                    let mut steps = vec![Step::MakeFolder(folder("P/F")), Step::Delete(name("P/F", "o"))];
                    steps.extend((0..20).map(|put_at| put(name("P/F", &format!("p{rounds}-{put_at}")), MAIL)));
                    steps.push(Step::Move { from: name("", "m0"), to: name("P/F", "m0"), dress: super::dress() });
                    let contents: Vec<(u32, &[u8])> = (2..22).map(|step| (step, MAIL)).collect();
                    let _ = client.batch(steps, &contents);
                });
                rounds += 1;
            }
            rounds
        });
        say(number, what, &format!("{rounds} rounds, {swaps} exchanges"));
        stage.untouched(number, what);
    }
    stage.end();
}

/// The server of a world of its own, in whose state something is another thing than it should be.
fn with_state(number: u8, what: &str, prepare: impl FnOnce(&World, &Path)) {
    let stage = Stage::new();
    let outside = stage.home().join("outside");
    prepare(&stage.world, &outside);
    let since = Instant::now();
    let client = Client::at(&stage.world, stage.world.server());
    client.say(&FromClient::Hello(hello(b"Maildir")));
    while let Some(said) = client.hear() {
        if matches!(said, FromServer::Fail(_) | FromServer::Hello(_)) {
            break;
        }
    }
    stage.judge(number, what, &[0, 74, 75, 78], since, &client.end());
}

#[test]
fn state_that_is_a_symlink_leads_nowhere_and_a_root_of_another_user_is_no_way_out() {
    with_state(47, "the state of a client is a symlink", |world, outside| {
        let served = world.server().smd_home().join("served");
        let first = fs::read_dir(&served).expect("a client").next().expect("one").expect("an entry").path();
        fs::remove_dir_all(&first).expect("it goes");
        symlink(outside, &first).expect("a symlink");
    });
    with_state(47, "the id of the server is a symlink", |world, outside| {
        let id = world.server().smd_home().join("server-id");
        fs::remove_file(&id).expect("it goes");
        symlink(outside.join("cur/o:2,"), &id).expect("a symlink");
    });
    let mut stage = Stage::new();
    let root = stage.root();
    let path = stage.home().join(&root);
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).expect("its mode");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).expect("its owner");
    }
    stage.at_server(
        48,
        "a root that all may write to, of another user",
        &[0],
        Some(&hello(root.as_bytes())),
        |client| {
            client.batch(vec![put(name("", "p"), MAIL), Step::Delete(name("", "m1"))], &[(0, MAIL)]).expect("a batch");
        },
    );
    stage.end();
}
