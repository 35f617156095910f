use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use smd_protocol::reconcile::Direction;
use smd_protocol::wire::{ClientHello, Depth, Ids, RootOffer};

use super::*;
use crate::roots::Places;

const WHOLE: Without = Without { all: false, landlock: false, refer: false, seccomp: false, dumps: false };

/// Does it in a thread of its own, which what is put up there ends with. Gives none where the kernel has no Landlock.
fn confined<T: Send>(grounds: &Grounds, act: impl FnOnce() -> T + Send) -> Option<T> {
    if let Some(why) = landlock::lacking(&WHOLE) {
        eprintln!("not tried: {why}");
        return None;
    }
    thread::scope(|scope| {
        let confined = scope.spawn(|| {
            assert!(landlock::confine(grounds).expect("it is there") > 1);
            act()
        });
        Some(confined.join().expect("the thread ends"))
    })
}

fn grounds(of: &[(&Path, Right)]) -> Grounds {
    let mut grounds = Grounds::default();
    of.iter().for_each(|(path, right)| grounds.add(path, *right).expect("it is there"));
    grounds
}

#[test]
fn only_grounds_can_be_touched_and_in_each_only_what_its_right_says() {
    let temp = tempfile::tempdir().expect("temp");
    let at = |name: &str| temp.path().join(name);
    for dir in ["write/a", "write/b", "read/a", "make", "else"] {
        fs::create_dir_all(at(dir)).expect("makes");
        fs::write(at(dir).join("there"), "x").expect("writes");
    }
    symlink(at("else/there"), at("write/link")).expect("links");
    let held = grounds(&[(&at("write"), Right::Write), (&at("read"), Right::Read), (&at("make"), Right::MakeDir)]);
    confined(&held, || {
        let writes = |path: &str| fs::write(at(path), "y").is_ok();
        let reads = |path: &str| fs::read(at(path)).is_ok();
        assert!(writes("write/new") && writes("write/a/new") && reads("write/a/there"));
        fs::rename(at("write/a/new"), at("write/b/new")).expect("a message is filed");
        fs::create_dir(at("write/c")).expect("a folder is made");
        fs::remove_dir(at("write/c")).expect("and removed");
        assert!(reads("read/a/there") && fs::read_dir(at("read")).is_ok());
        assert!(!writes("read/new") && !writes("read/a/there") && fs::create_dir(at("read/new")).is_err());
        assert!(fs::remove_file(at("read/a/there")).is_err() && fs::rename(at("read/a/there"), at("write/t")).is_err());
        fs::create_dir(at("make/new")).expect("a root is made");
        assert!(!writes("make/new/x") && fs::read_dir(at("make/new")).is_err() && !reads("make/there"));
        assert!(!reads("else/there") && !writes("else/there") && !reads("write/link") && !reads("/etc/passwd"));
        assert!(fs::rename(at("write/new"), at("else/new")).is_err());
        assert!(
            symlink("x", at("write/l")).is_err()
                && rustix::fs::mknodat(
                    rustix::fs::CWD,
                    at("write/f"),
                    rustix::fs::FileType::Fifo,
                    rustix::fs::Mode::RWXU,
                    0
                )
                .is_err()
        );
        assert!(thread::spawn(|| fs::read("/etc/passwd").is_err()).join().expect("ends"), "a thread inherits it");
        assert!(Command::new("/bin/true").status().is_err(), "nothing is run");
    });
}

#[test]
fn nothing_is_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("it has one");
    let refused = confined(&Grounds::default(), || {
        TcpStream::connect(port).is_err() && TcpListener::bind("127.0.0.1:0").is_err()
    });
    assert_ne!(refused, Some(false));
}

#[test]
fn calls_of_no_use_are_denied_and_all_others_work() {
    let temp = tempfile::tempdir().expect("temp");
    thread::scope(|scope| {
        let denied = scope.spawn(|| {
            rustix::thread::set_no_new_privs(true).expect("sets");
            calls::deny().expect("denies");
            for error in [
                Command::new("/bin/true").status().expect_err("no program"),
                TcpListener::bind("127.0.0.1:0").expect_err("no socket"),
                symlink("x", temp.path().join("link")).expect_err("no link"),
                fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o777)).expect_err("no mode by a path"),
                std::os::unix::fs::chown(temp.path(), None, None).err().unwrap_or_else(|| denied_anyway("fchownat")),
                rustix::process::kill_process(rustix::process::getppid().expect("one"), rustix::process::Signal::USR1)
                    .expect_err("no signal")
                    .into(),
                rustix::process::setrlimit(
                    rustix::process::Resource::Core,
                    rustix::process::getrlimit(rustix::process::Resource::Core),
                )
                .expect_err("no limit")
                .into(),
            ] {
                assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
            }
            assert!(thread::spawn(|| fs::read("/etc/passwd").is_ok()).join().expect("threads start"));
            fs::write(temp.path().join("x"), "y").expect("writes");
            fs::rename(temp.path().join("x"), temp.path().join("z")).expect("renames");
            let file = fs::File::options().write(true).open(temp.path().join("z")).expect("opens");
            file.set_modified(std::time::UNIX_EPOCH).expect("a file that is open gets its time");
            file.set_permissions(fs::Permissions::from_mode(0o600)).expect("and its mode");
            assert!(thread::available_parallelism().is_ok());
        });
        denied.join().expect("the thread ends");
    });
}

fn denied_anyway(call: &str) -> std::io::Error {
    panic!("{call} is not denied")
}

#[test]
fn what_is_missing_is_told_or_ends_the_process() {
    let report = |calls: Barrier, files: Files| Report { limits: Barrier::Up, calls, files };
    let missing = |why: &str| Barrier::Missing(why.to_owned());
    for (report, told, lacks) in [
        (report(Barrier::Up, Files::Confined(7)), "Landlock 7, seccomp, limits", None),
        (report(Barrier::Up, Files::Missing("old".to_owned())), "seccomp, limits; no Landlock: old", Some("Landlock")),
        (report(missing("off"), Files::Confined(3)), "Landlock 3, limits; no seccomp: off", Some("seccomp")),
        (Report::none(), "none; no Landlock: left out; no seccomp: left out; no limits: left out", Some("limits")),
    ] {
        assert_eq!(report.told(), told);
        assert_eq!(report.lacks().map(|lacking| lacking.barrier), lacks);
    }
    let sandbox = |without: Without, mode: Mode| Sandbox {
        mode,
        without,
        report: Report { files: Files::Open, ..report(Barrier::Up, Files::Open) },
    };
    for without in [Without { landlock: true, ..WHOLE }, Without { refer: true, ..WHOLE }] {
        let why = landlock::lacking(&without).expect("it is left out");
        let lacking = |mode| {
            let mut sandbox = sandbox(without, mode);
            sandbox.report.files = Files::Missing(why.clone());
            sandbox.confine(&Grounds::default())
        };
        assert_eq!(lacking(Mode::BestEffort), Ok(false));
        let text = lacking(Mode::Require).expect_err("it is required").to_string();
        assert!(text.contains("no Landlock") && text.contains(&why) && text.contains("5.19"), "{text}");
    }
}

fn hello(dry_run: bool, direction: Direction, paths: &[&str]) -> ClientHello {
    let offer = |path: &&str| RootOffer {
        path: path.as_bytes().to_vec(),
        pair: "x".to_owned(),
        root: None,
        ids: Ids::default(),
        damaged: Vec::new(),
        excludes: Vec::new(),
    };
    ClientHello {
        features: Vec::new(),
        client: "laptop".to_owned(),
        direction,
        dry_run,
        depth: Depth::Quick,
        compress: false,
        grave_days: 7,
        roots: paths.iter().map(offer).collect(),
    }
}

#[test]
fn the_grounds_are_those_of_the_hello() {
    let (temp, disk) = (tempfile::tempdir().expect("temp"), tempfile::tempdir().expect("another disk"));
    let places = Places { user: temp.path().to_path_buf(), state: temp.path().join(".smd") };
    fs::create_dir_all(temp.path().join("Maildir/cur")).expect("makes");
    let fs_ = Arc::new(smd_maildir::fs::Disk);
    let rights = |hello: &ClientHello| {
        let prepared = prepare(&fs_, &places, hello);
        let rights: Vec<Right> = prepared.grounds.iter().map(|ground| ground.right).collect();
        (rights, prepared.above.len())
    };
    use Right::{MakeDir, Read, Write};
    // A dry run makes nothing, not even the state.
    assert_eq!(rights(&hello(true, Direction::Sync, &["Maildir"])), (vec![Read], 0));
    assert!(!places.state.exists());
    assert_eq!(rights(&hello(false, Direction::Pull, &["Maildir"])), (vec![Write, Read], 0));
    assert!(places.state.join("server-id").exists());
    assert_eq!(rights(&hello(false, Direction::Push, &["Maildir"])), (vec![Write, Write], 0));
    assert_eq!(rights(&hello(false, Direction::Sync, &["Maildir", "new"])), (vec![Write, Write, MakeDir], 1));
    assert_eq!(rights(&hello(false, Direction::Pull, &["new"])), (vec![Write], 1));
    assert_eq!(rights(&hello(false, Direction::Sync, &[".ssh"])), (vec![], 0), "what is refused is no ground");
    assert_eq!(rights(&hello(false, Direction::Sync, &["../x"])), (vec![], 0));
    symlink(disk.path(), places.state.join("grave")).expect("links");
    assert_eq!(rights(&hello(false, Direction::Push, &["Maildir"])), (vec![Write, Write, Write], 0));
}
