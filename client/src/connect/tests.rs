//! Far ends of every kind, as small scripts that take the place of ssh: what each is taken for, and what is said of it.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use smd_protocol::wire::{self, FromClient};

use super::explain::{Explanation, explain};
use super::*;
use crate::address::Destination;
use crate::exit::Exit;
use crate::home::SmdHome;

/// A server's first words, as printf takes them.
const SPEAKS: &str = r"printf '\0smdwire\1\0\1\0\1\2\0\0\0..'";

fn endpoint(rsh: &[&str], command: Option<&str>) -> Endpoint {
    Endpoint {
        name: "x".into(),
        client: "here".into(),
        server: "host".into(),
        roots: Vec::new(),
        transport: Transport::Rsh {
            rsh: rsh.iter().map(OsString::from).collect(),
            destination: Destination::parse(b"me@host").expect("a host"),
            command: command.map(OsString::from),
        },
        home: SmdHome::new("/nowhere", "/nowhere"),
    }
}

/// What a far end is taken for whose shell does this, and what came in of it.
fn meet(script: &str, command: Option<&str>, bound: Duration) -> (Endpoint, Ending, Vec<u8>, Vec<Note>) {
    let endpoint = endpoint(&["sh", "-c", script, "sh"], command);
    let (tell, notes) = mpsc::channel();
    let told = Box::new(move |note: &Note| tell.send(note.clone()).expect("the test listens"));
    let patience = Patience { note: Duration::from_millis(50), bound };
    let (connection, mut link) = Connection::open_with(&endpoint, false, patience, told).expect("sh starts");
    // A newline, so that a shell which takes it for a command need not wait for the end.
    let hello = [&wire::preamble()[..], &wire::message(&FromClient::Ping).expect("small"), b"hello hello\n"].concat();
    link.writer.write_all(&hello).expect("the words are kept");
    let mut heard = Vec::new();
    link.reader.read_to_end(&mut heard).expect("it ends");
    drop(link);
    (endpoint, connection.finish(), heard, notes.try_iter().collect())
}

#[track_caller]
fn explained(script: &str, command: Option<&str>) -> Explanation {
    let (endpoint, ending, heard, _) = meet(script, command, Duration::from_millis(300));
    assert_eq!(heard, b"", "{script}: {ending:?}");
    explain(&endpoint, &ending, false)
}

/// Every way to end before the first word, as it really comes about.
#[test]
fn each_far_end_without_a_server_has_its_own_cause_code_and_hint() {
    let opt = Some("/opt/smd/smd-server");
    for (script, command, exit, heading) in [
        ("exit 127", opt, Exit::Config, "host could not find /opt/smd/smd-server."),
        ("exit 127", None, Exit::Config, "host could not find smd-server."),
        ("exit 126", opt, Exit::Refused, "/opt/smd/smd-server cannot be started on host."),
        (
            "echo 'smd-server: /lib/libc.so.6: version `GLIBC_2.39'\"' not found\" >&2; exit 1",
            opt,
            Exit::Protocol,
            "/opt/smd/smd-server is not made for the system of host.",
        ),
        (
            "echo 'x: error while loading shared libraries: libzstd.so.1' >&2; exit 127",
            None,
            Exit::Protocol,
            "smd-server is not made for the system of host.",
        ),
        (
            "echo 'Usage: smd-server [-v] endpoint mailbox' >&2; exit 2",
            opt,
            Exit::Protocol,
            "/opt/smd/smd-server on host is another program, or an old one: it wants arguments.",
        ),
        (
            "exit 1",
            opt,
            Exit::Protocol,
            "/opt/smd/smd-server on host ended by itself with exit code 1 before it said anything.",
        ),
        (
            "exit 0",
            None,
            Exit::Protocol,
            "smd-server on host ended by itself with exit code 0 before it said anything.",
        ),
        ("kill -9 $$", None, Exit::Io, " was ended by signal 9 on this host."),
        ("exit 137", None, Exit::Protocol, "smd-server on host was ended by signal 9 before it said anything."),
        ("exit 255", None, Exit::Protocol, "smd-server on host was ended by a signal before it said anything."),
        (
            "echo 'ssh: connect to host host port 22: Connection refused' >&2; exit 255",
            None,
            Exit::Network,
            "The host host cannot be reached.",
        ),
        (
            "echo 'This account is not available.'; exit 1",
            None,
            Exit::Protocol,
            "host said `This account is not available.` and ended with exit code 1; that is not our smd-server.",
        ),
        (
            "printf 'Welcome!'; printf '\\0smdwire'; sleep 9",
            None,
            Exit::Protocol,
            "host printed `Welcome!\\x00smdwire` before the server began to speak.",
        ),
        (
            "printf '? '; exec sleep 600",
            None,
            Exit::Protocol,
            "host printed `?`, and the server did not begin to speak.",
        ),
        (
            "exec cat",
            None,
            Exit::Protocol,
            "host sent back our own words: smd-server is not our smd-server, or a terminal echoes them.",
        ),
        (
            "printf '^@smdwire^A^@^A^@'; exec cat > /dev/null",
            None,
            Exit::Protocol,
            "host sent back our own words: smd-server is not our smd-server, or a terminal echoes them.",
        ),
        ("exec sh", None, Exit::Protocol, "A shell on host took our words for commands: smd-server was not started."),
        ("exec sleep 600", None, Exit::Protocol, "host said nothing for 0 s: smd-server did not begin to speak."),
        (
            "while read -r line; do :; done",
            opt,
            Exit::Protocol,
            "host said nothing for 0 s: /opt/smd/smd-server did not begin to speak.",
        ),
    ] {
        let explanation = explained(script, command);
        assert_eq!(explanation.exit, exit, "{script}: {explanation:?}");
        assert!(explanation.heading.ends_with(heading), "{script}: {explanation:?}");
        let hint = explanation.hint.expect("there is always something to do");
        assert!(command.is_none() || !hint.contains("me@host smd-server"), "{script}: {hint}");
        assert_eq!(explanation.words, !heading.contains("our words") && !heading.contains("our own words"), "{script}");
    }
}

#[test]
fn what_is_heard_of_a_server_goes_on_as_it_is() {
    let script = format!("{SPEAKS}; cat; echo \"$1 $2\" >&2; exit 7");
    let endpoint = endpoint(&["sh", "-c", &script, "sh"], None);
    let (connection, mut link) = Connection::open(&endpoint, false).expect("sh starts");
    link.writer.write_all(b"hello").expect("the pipe takes it");
    drop(link.writer);
    let mut text = String::new();
    link.reader.read_to_string(&mut text).expect("it comes back");
    let ending = connection.finish();
    assert_eq!(text, "\0smdwire\u{1}\0\u{1}\0\u{1}\u{2}\0\0\0..hello");
    assert_eq!((ending.heard, ending.status.and_then(|status| status.code())), (Heard::Server, Some(7)));
    assert_eq!(ending.stderr, ["me@host smd-server"]);
}

#[test]
fn a_server_beside_the_path_is_found_and_hears_every_word() {
    let script = format!(
        "case $2 in '~/.cargo/bin/smd-server') {SPEAKS}; head -c 30; exit 0;; esac; echo \"$2: not found\" >&2; exit 127"
    );
    let (_, ending, heard, notes) = meet(&script, None, Duration::from_secs(60));
    assert_eq!(ending.heard, Heard::Server);
    assert!(heard.ends_with(b"hello hello\n"), "{}", heard.escape_ascii());
    assert!(
        matches!(&notes[..], [Note::Found(text)] if text.contains("REMOTE_COMMAND=~/.cargo/bin/smd-server")),
        "{notes:?}"
    );
}

#[test]
fn nothing_is_looked_for_beside_a_command_that_was_given() {
    let (_, ending, ..) = meet("echo \"$2\" >&2; exit 127", Some("/opt/smd-server"), Duration::from_secs(60));
    assert_eq!(ending.stderr, ["/opt/smd-server"]);
}

#[test]
fn what_was_not_found_first_is_told_unless_something_was_found_later() {
    let all = "echo \"$2: not found\" >&2; exit 127";
    assert_eq!(meet(all, None, Duration::from_secs(60)).1.stderr, ["smd-server: not found"]);
    let later = "case $2 in *local*) exit 126;; esac; exit 127";
    let (endpoint, ending, ..) = meet(later, None, Duration::from_secs(60));
    assert_eq!(explain(&endpoint, &ending, false).heading, "~/.local/bin/smd-server cannot be started on host.");
}

#[test]
fn a_person_is_told_what_is_waited_for_and_then_the_server_is_heard() {
    let script = format!("sleep 0.5; {SPEAKS}");
    let (_, ending, heard, notes) = meet(&script, None, Duration::from_secs(60));
    assert_eq!((ending.heard, heard.len()), (Heard::Server, 19));
    let [Note::Waiting(text)] = &notes[..] else { panic!("{notes:?}") };
    assert!(text.starts_with("Waiting for host: smd-server has not answered") && text.contains("after 60 s"), "{text}");
}

#[test]
fn a_child_that_does_not_end_is_ended() {
    let (connection, _link) =
        Connection::open(&endpoint(&["sh", "-c", "exec sleep 1000"], None), false).expect("sh starts");
    let since = Instant::now();
    connection.killer().kill();
    drop(connection);
    assert!(since.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error = Connection::open(&endpoint(&["/no/such/ssh"], None), false).expect_err("it cannot start");
    assert_eq!(error.to_string(), "`/no/such/ssh` cannot be started");
}
