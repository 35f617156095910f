use super::*;
use std::time::Duration;

fn folder(path: &str) -> Folder {
    Folder::parse(path.as_bytes()).expect("a folder")
}

fn roots() -> Roots {
    Roots { local: b"Mail".to_vec(), remote: b"srv/Maildir".to_vec() }
}

fn naming(how: How) -> RootNaming {
    RootNaming::new(
        Translation { said: ["to it".to_owned(), "from it".to_owned()], lines: [3, 4], how },
        roots(),
        Arc::default(),
    )
}

/// Programs that answer each question with what a shell function `t` prints, for each way.
fn programs(lr: &str, rl: &str) -> RootNaming {
    let loops = |body: &str| format!("while IFS= read -r p; do {body}; done");
    let program =
        |body: &str| External::new(["sh", "-c", &loops(body)].map(Into::into).to_vec(), Duration::from_millis(300));
    naming(How::External(Arc::new([program(lr), program(rl)])))
}

#[track_caller]
fn refuses(naming: &RootNaming, local: &str, expected: &str) {
    let error = naming.canonical(&folder(local)).expect_err(local);
    assert!(error.contains(expected), "{error}");
}

const TO_SERVER: &str = "echo \"srv/Maildir/.${p#Mail/}\"";
const TO_US: &str = "echo \"Mail/${p#srv/Maildir/.}\"";

#[test]
fn programs_are_asked_for_whole_paths_and_every_folder_once() {
    let naming = programs(TO_SERVER, TO_US);
    assert_eq!(naming.canonical(&folder("a b")), Ok(folder(".a b")));
    assert_eq!(naming.local(&folder(".x")), Ok(folder("x")));
    assert_eq!(naming.canonical(&folder("\u{e4}")), Ok(folder(".\u{e4}")));
    // A program that says something else the second time is not asked a second time.
    let fickle = programs("n=x$n; echo srv/Maildir/$n", "echo Mail/a");
    let first = fickle.canonical(&folder("a"));
    assert_eq!((first.clone(), fickle.canonical(&folder("a"))), (Ok(folder("x")), first));
}

#[test]
fn a_refusal_names_the_folder_the_line_and_what_to_do() {
    let nodots = naming(How::Builtin(Mode::Nodots));
    let told = |told: Result<Folder, String>| told.expect_err("no name").replace(". Rename", ".\nRename");
    insta::assert_snapshot!(told(nodots.canonical(&folder("a b/c.d"))), @r"
    the folder Mail/a b/c.d of this host has no name on the server by TRANSLATOR_LR, line 3 (to it): it has a dot in its name, and a dot stands for a slash at the other host.
    Rename the folder, leave it alone with EXCLUDE_LOCAL=Mail/a%20b/c.d, or choose another translator; smd-check-conf shows all folders
    ");
    insta::assert_snapshot!(told(nodots.local(&folder("x"))), @r"
    the folder srv/Maildir/x of the server has no name on this host by TRANSLATOR_RL, line 4 (from it): it does not begin with a dot, as folders below the root do there.
    Rename the folder, leave it alone with EXCLUDE_REMOTE=srv/Maildir/x, or choose another translator; smd-check-conf shows all folders
    ");
    let one = programs("echo srv/Maildir/same", "echo Mail/a");
    assert_eq!(one.canonical(&folder("a")), Ok(folder("same")));
    insta::assert_snapshot!(told(one.canonical(&folder("b"))), @r"
    the folder Mail/b of this host has no name on the server by TRANSLATOR_RL, line 4 (from it): TRANSLATOR_RL makes Mail/a of srv/Maildir/same, so that two folders would be one.
    Rename the folder, leave it alone with EXCLUDE_LOCAL=Mail/b, or choose another translator; smd-check-conf shows all folders
    ");
}

/// The key's line as a person finds it in the text.
fn proposed(told: Result<Folder, String>) -> String {
    let told = told.expect_err("no name");
    let line =
        told.split_once("leave it alone with ").and_then(|(_, rest)| rest.split_once(", or choose")).expect("a line").0;
    line.to_owned()
}

#[test]
fn a_line_that_is_proposed_keeps_what_the_config_leaves_alone_and_what_was_proposed_before() {
    use crate::config::Config;
    use std::path::Path;

    let there = "EXCLUDE_REMOTE=\"srv/Maildir/.a%20b !it's 'srv/*'\"\n";
    let read = |lines: &str| {
        let text = format!("SERVERNAME=h\nMAILBOX_LOCAL=Mail\nMAILBOX_REMOTE=srv/Maildir\n{lines}\n");
        Config::parse(Path::new("c"), text.as_bytes(), Path::new("/home/me")).expect("a config")
    };
    let config = read(there);
    let left_alone = Arc::new(LeftAlone::new(config.excludes_said.clone()));
    let naming = |how| {
        let said = ["to it".to_owned(), "from it".to_owned()];
        RootNaming::new(Translation { said, lines: [3, 4], how }, roots(), Arc::clone(&left_alone))
    };
    // Two roots of one config: whoever takes over all lines, or the last alone, loses none.
    let lines = [
        proposed(naming(How::Builtin(Mode::Nodots)).local(&folder("[x]"))),
        proposed(naming(How::Builtin(Mode::Nodots)).local(&folder("y z"))),
    ];
    assert_eq!(lines[0], "EXCLUDE_REMOTE=\"srv/Maildir/.a%20b !it's 'srv/*' srv/Maildir/%5Bx%5D\"");
    let mut patterns = config.exclude_remote;
    patterns.extend([b"srv/Maildir/\\[x\\]".to_vec(), b"srv/Maildir/y z".to_vec()]);
    assert_eq!(read(&format!("{there}{}\n{}", lines[0], lines[1])).exclude_remote, patterns);
    assert_eq!(read(&lines[1]).exclude_remote, patterns);
    assert_eq!(proposed(naming(How::Builtin(Mode::Nodots)).canonical(&folder("c.d"))), "EXCLUDE_LOCAL=Mail/c.d");
}

#[test]
fn hostile_programs_give_errors() {
    for (answer, expected) in [
        ("echo srv/Maildir/../x", "is a dot name"),
        ("echo srv/Maildir/a/../../../etc", "is a dot name"),
        ("echo /etc/passwd", "not below srv/Maildir"),
        ("echo srv/Maildirs/x", "not below srv/Maildir"),
        ("echo", "answers nothing, which is not below"),
        ("echo srv/Maildir/cur", "inside every folder"),
        ("echo srv/Maildir//x", "is empty"),
        ("printf 'srv/Maildir/\\000x\\n'", "slash or NUL"),
        ("printf 'srv/Maildir/\\377\\001\\n'", "two folders would be one"),
        ("head -c 300 /dev/zero | tr '\\000' x; echo", "not below"),
        ("printf srv/Maildir/; head -c 300 /dev/zero | tr '\\000' x; echo", "longer than 255"),
        ("echo ERROR; echo I do not like it", "says ERROR: I do not like it"),
        ("exit 7", "exit status: 7"),
        (":", "gave no answer within 0.3 seconds"),
    ] {
        let naming = programs(answer, "echo Mail/other");
        let error = naming.canonical(&folder("a")).expect_err(answer);
        assert!(error.contains(expected) && error.contains("folder Mail/a of this host"), "{answer}: {error}");
        assert!(error.contains("line 3 (to it)") || error.contains("line 4 (from it)"), "{answer}: {error}");
    }
    refuses(&programs(TO_SERVER, TO_US), "a\nb", "line break");
    refuses(&programs(TO_SERVER, "exit 1"), "a", "cannot take srv/Maildir/.a back");
    assert!(programs(TO_SERVER, "echo Mail/../../x").local(&folder(".a")).expect_err("dots").contains("dot name"));
}

#[test]
fn a_root_may_be_the_home_directory_or_the_whole_disk() {
    let at = |local: &str, remote: &str| Roots { local: local.into(), remote: remote.into() };
    for (roots, path) in [(at("", "x"), "a/b"), (at("/", "x"), "/a/b"), (at("/m", "x"), "/m/a/b")] {
        let given = roots.path(Way::LocalToRemote, &folder("a/b"));
        // The root of a disk already ends with a slash.
        assert_eq!(String::from_utf8_lossy(&given).replace("//", "/"), path);
        assert_eq!(roots.folder(Way::RemoteToLocal, path.as_bytes()), Ok(folder("a/b")));
    }
    assert_eq!(at("m", "x").folder(Way::RemoteToLocal, b"m"), Ok(Folder::root()));
    assert_eq!(at("m", "x").folder(Way::RemoteToLocal, b"m/"), Ok(Folder::root()));
}

#[test]
fn the_fingerprint_is_another_for_another_translation_only() {
    let of = |how: How, lines| {
        RootNaming::new(Translation { said: ["a".to_owned(), "b".to_owned()], lines, how }, roots(), Arc::default())
            .fingerprint
    };
    assert_eq!(of(How::Builtin(Mode::Nodots), [1, 2]), of(How::Builtin(Mode::Nodots), [5, 6]));
    assert_ne!(of(How::Builtin(Mode::Nodots), [1, 2]), of(How::Builtin(Mode::Inbox), [1, 2]));
    let program = || How::External(Arc::new([(); 2].map(|()| External::new(Vec::new(), external::PATIENCE))));
    assert_eq!(of(program(), [1, 2]), of(program(), [2, 3]));
}
