//! Peers that mean harm: a client against the real server, a server against the real client.
//!
//! What must come of it: nothing outside the roots is touched, the real program ends with the code that the manual has for it,
//! and an ordinary run works afterwards.

use std::fs;
use std::path::Path;

use smd_protocol::reconcile::Direction;
use smd_protocol::step::{Bytes, Dress};
use smd_protocol::wire::{Failure, FromClient, FromServer, Looked};
use smd_protocol::{BaseId, Content, Flags, Folder, Name, Place, Source, Step, Uniq};
use smd_tests::hostile::{self, Client, answer, hello};
use smd_tests::rng::Rng;
use smd_tests::tree::Tree;
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

const PROTOCOL: i32 = 76;

fn world() -> World {
    let world = World::new(Link::Rsh);
    let mut them = User::new(&world.server().maildir(), "them", Rng::from_env_or(60));
    (0..3).for_each(|_| drop(them.deliver("")));
    world
}

fn folder(path: &str) -> Folder {
    Folder::parse(path.as_bytes()).expect("a folder")
}

fn name(path: &str, uniq: &str) -> Name {
    Name::new(&folder(path), &Uniq::parse(uniq.as_bytes()).expect("a uniq"))
}

/// Brings a message over the wire.
fn put(to: Name, place: Place, bytes: &[u8]) -> Step {
    let dress = Dress { place, flags: Flags::default() };
    Step::Put { to, dress, bytes: Bytes { content: Content::of(bytes), source: Source::Wire, mtime: None } }
}

/// Deletes every message of the server's `Maildir/new`.
fn deletes(world: &World) -> Vec<Step> {
    let tree = fs::read_dir(world.server().maildir().join("new")).expect("a folder");
    let names = tree.map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
    names.map(|file| Step::Delete(name("", file.split(':').next().expect("a part")))).collect()
}

/// Commits an empty base, as a client that has seen nothing would.
fn commit(client: &Client, counter: u64) -> Result<BaseId, Failure> {
    client.say(&FromClient::PrepareEnd { root: 0, counter, from: None });
    let id = client.until(|said| if let FromServer::Prepared { id, .. } = said { Some(id) } else { None })?;
    client.say(&FromClient::Commit { root: 0, id });
    client.until(|said| matches!(said, FromServer::Committed { .. }).then_some(id))
}

#[test]
fn whoever_may_start_the_server_writes_into_any_directory_and_the_readme_does_not_deny_it() {
    let world = world();
    let host = world.server();
    fs::create_dir(host.home.join(".vim")).expect("a directory");
    let client = Client::at(&world, host);
    client.open(&hello(b".vim")).expect("any directory will do");
    let script = b"call writefile(['x'], $HOME.'/PWNED')\n";
    let steps = vec![Step::MakeFolder(folder("plugin")), put(name("plugin", "x.vim"), Place::New, script)];
    assert!(client.batch(steps, &[(1, script)]).expect("it is taken").is_empty());
    client.end();
    assert!(host.home.join(".vim/plugin/new/x.vim").exists());
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (page, says) in [("README.md", "be it for mail or not"), ("docs/man/smd-server.1", "mail or not")] {
        let text = fs::read_to_string(top.join(page)).expect("a page");
        assert!(text.contains(says) && !text.contains("file that is no mail"), "{page}");
    }
}

#[test]
fn no_root_is_at_around_or_inside_keys_and_state_nor_a_part_of_a_maildir_nor_in_a_grave() {
    let world = world();
    let home = &world.server().home;
    for dir in [".ssh/mail/cur", "Maildir/cur/x", "Maildir/..smd-grave/x/new", "box/new/cur", "box/tmp"] {
        fs::create_dir_all(home.join(dir)).expect("a directory");
    }
    world.sync(&[]).ok();
    let roots = [
        ".",
        ".ssh",
        ".ssh/mail",
        ".ssh/new",
        ".smd",
        ".smd/served",
        ".smd/grave/x",
        "Maildir/cur",
        "Maildir/cur/x",
        "Maildir/tmp/y",
        "Maildir/..smd-grave",
        "Maildir/..smd-grave/x",
        "box/new",
        "/",
        "..smd-grave",
    ];
    for root in roots {
        let client = Client::at(&world, world.server());
        client.say(&FromClient::Hello(hello(root.as_bytes())));
        let refused = client.until(Some).expect_err(root);
        assert!(matches!(refused, Failure::Config(_)), "{root}: {refused}");
        client.end();
    }
    // The same judge at the client.
    let here = &world.client().home;
    fs::create_dir_all(here.join(".ssh/mail/cur")).expect("a directory");
    for root in [".", ".ssh/mail", ".smd/served", "Maildir/new", "Maildir/..smd-grave/x"] {
        let mut command = world.command("smd-sync", world.client());
        let run = finish(command.args(world.link_options(world.server())).arg(here.join(root)).arg("office:Maildir"));
        run.exits(78).says("cannot be a mailbox root");
    }
    world.sync(&[]).ok().silent();
}

#[test]
fn a_directory_that_is_no_folder_is_not_removed() {
    let world = world();
    let root = world.server().maildir();
    for dir in ["plain", "locks/lock.Maildir", "only-tmp/tmp", ".Real/cur"] {
        fs::create_dir_all(root.join(dir)).expect("a directory");
    }
    let client = Client::at(&world, world.server());
    client.open(&hello(b"Maildir")).expect("a root");
    let steps =
        ["plain", "locks/lock.Maildir", "locks", "only-tmp", ".Real"].map(|path| Step::RemoveFolder(folder(path)));
    client.batch(steps.to_vec(), &[]).expect("a batch");
    client.end();
    for dir in ["plain", "locks/lock.Maildir", "only-tmp/tmp"] {
        assert!(root.join(dir).is_dir(), "{dir}");
    }
    assert!(!root.join(".Real").exists());
}

#[test]
fn a_client_whose_counter_jumps_is_refused_and_takes_no_commit_from_anyone() {
    let world = world();
    world.sync(&[]).ok();
    for counter in [0, u64::MAX, u64::MAX - 1, 1 << 40] {
        let client = Client::at(&world, world.server());
        client.open(&hello(b"Maildir")).expect("a root");
        assert!(matches!(commit(&client, counter), Err(Failure::Protocol(_))), "{counter}");
        client.end().exits(PROTOCOL);
    }
    let client = Client::at(&world, world.server());
    client.open(&hello(b"Maildir")).expect("a root");
    let id = commit(&client, 1).expect("a step");
    // It is the current one by now.
    client.say(&FromClient::Commit { root: 0, id });
    assert!(matches!(client.until(|_| None::<()>), Err(Failure::Protocol(_))));
    client.end().exits(PROTOCOL);
    world.sync(&[]).ok().silent();
}

#[test]
fn a_server_whose_counter_jumps_is_not_followed() {
    let world = world();
    User::new(&world.client().maildir(), "us", Rng::from_env_or(61)).deliver("");
    let mut next = None;
    hostile::serve(&world, &[], |server| {
        let _ = server.meet(&[], &smd_protocol::wire::RootAnswer { counter: u64::MAX - 1, ..answer() });
        server.looked(Looked::default());
        while let Some(said) = server.hear() {
            match said {
                FromClient::BatchEnd { root } => server.say(&FromServer::BatchDone { root }),
                FromClient::PrepareEnd { counter, .. } => {
                    next = Some(counter);
                    break;
                }
                _ => {}
            }
        }
    });
    assert_eq!(next, Some(1));
    world.sync(&[]).ok();
    world.assert_equal();
    assert_eq!(Tree::read(&world.client().maildir()).len(), 4);
}

#[test]
fn two_clients_never_share_a_state_whatever_is_in_their_labels() {
    let world = world();
    let at = |client: &str, pair: &str| {
        let mut hello = hello(b"Maildir");
        hello.client = client.to_owned();
        hello.roots[0].pair = pair.to_owned();
        let driven = Client::at(&world, world.server());
        let earlier = driven.greet(&hello).expect("a root").roots.remove(0).earlier;
        let answer = driven.open(&hello).expect("a root").roots.remove(0);
        (driven, smd_protocol::wire::RootAnswer { earlier, ..answer })
    };
    let (first, _) = at("a.b", "c");
    let id = commit(&first, 1).expect("a base");
    first.end().ok();
    for (client, pair) in [("a", "b.c"), ("a", "b+c"), ("a", "c"), ("a.b+c", "d"), ("a+b", "c"), ("a.b", "d")] {
        let (driven, answer) = at(client, pair);
        assert_eq!(answer.ids.current, None, "{client} {pair}");
        let told = answer.earlier.iter().any(|ids| ids.current == Some(id));
        // The same client, which calls its own root otherwise by now, may have its base back.
        assert_eq!(told, client == "a.b", "{client} {pair}");
        driven.end().ok();
    }
    assert_eq!(at("a.b", "c").1.ids.current, Some(id));
}

#[test]
fn a_broken_stream_is_a_fault_of_the_protocol_on_both_hosts() {
    let world = world();
    let client = Client::compressing(&world, world.server());
    let mut asks = hello(b"Maildir");
    asks.compress = true;
    client.say(&FromClient::Hello(asks));
    client.bytes(b"no stream of ours at all");
    let failure = client.until(|_| None::<()>).expect_err("it cannot go on");
    assert!(matches!(&failure, Failure::Protocol(_)) && failure.to_string().contains("compressed"), "{failure}");
    client.end().exits(PROTOCOL);

    let run = hostile::serve(&world, &[], |server| {
        let Some(FromClient::Hello(asked)) = server.hear() else { panic!("the client says Hello") };
        assert!(asked.compress);
        let hello = smd_protocol::wire::ServerHello { features: Vec::new(), roots: vec![answer()] };
        server.say(&FromServer::Hello(hello));
        server.bytes(b"no stream of ours at all");
        while server.hear().is_some() {}
    });
    run.exits(PROTOCOL).says("compressed");
    world.sync(&[]).ok();
    world.assert_equal();
}

#[test]
fn steps_that_the_direction_or_a_dry_run_forbids_are_refused_where_they_would_be_taken() {
    let world = world();
    for (direction, dry_run, taken) in
        [(Direction::Pull, false, false), (Direction::Sync, true, false), (Direction::Push, false, true)]
    {
        let client = Client::at(&world, world.server());
        let mut asks = hello(b"Maildir");
        (asks.direction, asks.dry_run) = (direction, dry_run);
        client.open(&asks).expect("a root");
        let refused = client.batch(deletes(&world), &[]);
        assert_eq!(refused.is_ok(), taken, "{direction:?} {dry_run}: {refused:?}");
        assert!(taken || matches!(refused, Err(Failure::Protocol(_))), "{refused:?}");
        client.end().exits(if taken { 0 } else { PROTOCOL });
        assert_eq!(Tree::read(&world.server().maildir()).len(), if taken { 0 } else { 3 });
    }
    // Nor is a root made for a run that changes nothing there, nor a base kept of a dry one.
    let client = Client::at(&world, world.server());
    let mut asks = hello(b"Missing");
    asks.direction = Direction::Pull;
    client.open(&asks).expect("a root");
    assert!(client.batch(Vec::new(), &[]).is_err());
    client.end().exits(PROTOCOL);
    assert!(!world.server().home.join("Missing").exists());
    let client = Client::at(&world, world.server());
    let mut asks = hello(b"Maildir");
    asks.dry_run = true;
    client.open(&asks).expect("a root");
    assert!(matches!(commit(&client, 1), Err(Failure::Protocol(_))));
    client.end().exits(PROTOCOL);
}

/// Sets the title, turns the direction of writing around, hides, breaks a line; and is long.
const TEXT: &str = "PWN\u{1b}]0;title\u{7}\u{9b}2J\u{202e}\u{200b}\u{2028}\u{e0041}END";

/// What no terminal, log or program may be given of it.
fn obeyed(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && c != '\n' || "\u{9b}\u{202e}\u{200b}\u{2028}\u{e0041}".contains(c))
}

#[test]
fn words_of_a_server_reach_no_terminal_log_or_program_as_they_are() {
    use smd_protocol::wire::PeerTrouble;
    let world = world();
    world.sync(&[]).ok();
    let told = || TEXT.into();
    let trouble = || PeerTrouble::new(TEXT.as_bytes().to_vec(), TEXT.repeat(100));
    let failures = [
        Failure::Locked { path: told() },
        Failure::Io { path: told(), text: told() },
        Failure::Refused(told()),
        Failure::Config(told()),
        Failure::Protocol(told()),
    ];
    for options in [&[][..], &["-v"], &["--json"], &["-s"]] {
        for failure in &failures {
            let run = hostile::serve(&world, options, |server| {
                server.hear();
                server.say(&FromServer::Fail(failure.clone()));
            });
            assert!(run.code != 0 && run.code != 70, "{run}");
            assert!(!obeyed(&run.stdout) && !obeyed(&run.stderr), "{run:?}");
            assert!(run.stderr.contains("END") || run.stdout.contains("END"), "{run:?}");
        }
        let looks: [fn(PeerTrouble) -> Looked; 3] = [
            |trouble| Looked { troubles: vec![trouble], ..Looked::default() },
            |trouble| Looked { unusable: Some(trouble.text), ..Looked::default() },
            |trouble| Looked { suspicious: Some(trouble.text), ..Looked::default() },
        ];
        for look in looks {
            let run = hostile::serve(&world, options, |server| {
                server.meet(&[], &answer());
                server.say(&FromServer::LeftOut { root: 0, left_out: vec![trouble()] });
                server.say(&FromServer::Troubles(vec![trouble()]));
                server.looked(look(trouble()));
                while let Some(said) = server.hear() {
                    match said {
                        FromClient::BatchEnd { root } => {
                            let why = smd_protocol::Outcome::Failed(TEXT.repeat(100).into());
                            server.say(&FromServer::Outcomes { root, failed: vec![(0, why)] });
                            server.say(&FromServer::BatchDone { root });
                        }
                        FromClient::PrepareEnd { .. } => server.say(&FromServer::Fail(failures[4].clone())),
                        _ => {}
                    }
                }
            });
            assert!(![0, 70].contains(&run.code), "{run}");
            assert!(!obeyed(&run.stdout) && !obeyed(&run.stderr), "{run:?}");
        }
    }
    let logs = fs::read_dir(world.client().smd_home().join("log")).into_iter().flatten();
    for log in logs {
        let text = fs::read_to_string(log.expect("an entry").path()).expect("text");
        assert!(!obeyed(&text), "{text:?}");
    }
}
