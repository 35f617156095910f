//! Why there is no server at the far end, from what was heard of it, its exit status, and its last words.
//!
//! A shell ends with 127 or 126 when it cannot start a program, and with 128 and more when a signal ended it; ssh ends with 255 when it
//! fails itself, and, without a word, when a signal ended the program. Only what ssh itself says of the network is a fault of the
//! network. Deliberately not here: what to say of it ([`super::explain`]).

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use smd_protocol::names::printable;
use smd_protocol::wire::SILENCE_SECONDS;

use super::{Ending, Heard, Then};
use crate::endpoint::{Endpoint, Transport};

/// Why there is no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The program is not there.
    Missing,
    /// It is there and may not be started.
    Closed,
    /// It is for another machine, or lacks a library.
    Unsuited,
    /// The host has another key than before, or none that is known.
    HostKey,
    /// The host does not let us in.
    ShutOut,
    /// ssh cannot work with its own options or files.
    Setup,
    /// The name of the host is not known.
    UnknownHost,
    /// The host cannot be reached.
    Unreachable,
    /// ssh failed and said why in other words.
    Failed,
    /// A signal ended ssh on this host.
    KilledHere(i32),
    /// A signal ended the program there; its number, where it is known.
    KilledThere(Option<i32>),
    /// The program wants arguments: it is another one, or an old one.
    Older,
    /// The key is restricted, and what guards it would not serve; the code says why.
    Restricted(i32),
    /// It ended by itself, with this code.
    Ended(i32),
    /// It said something else than our server does, and ended.
    Stranger,
    /// Something was printed before our server spoke; true when it is known that it did.
    Noise(bool),
    /// Our own words came back.
    Echo,
    /// A shell took our words for commands.
    Shell,
    /// It ran, and nothing more was heard for so many seconds.
    Silent(u64),
    /// It closed the connection and would not end.
    Hung,
}

/// When some words mean what they say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sayer {
    /// Whatever the exit code: no other program says them.
    Anyone,
    /// With the exit code of ssh alone.
    Ssh,
    /// In a line that names our program, with any other code than that of ssh.
    OfProgram,
}

/// What the last words mean, in lower case; the first row that fits counts.
const WORDS: &[(Sayer, Cause, &[&str])] = &[
    (
        Sayer::Anyone,
        Cause::Unsuited,
        &[
            "error while loading shared libraries",
            "error loading shared library",
            "error relocating",
            "version `glibc",
            "exec format error",
            "cannot execute binary file",
            "required file not found",
            "library not loaded",
        ],
    ),
    (
        Sayer::OfProgram,
        Cause::Missing,
        &["not found", "unknown command", "no such file or directory", "not recognized", "cannot find"],
    ),
    (Sayer::OfProgram, Cause::Closed, &["permission denied", "cannot execute", "not executable"]),
    (
        Sayer::Anyone,
        Cause::HostKey,
        &["host key verification failed", "remote host identification has changed", "host key is known for"],
    ),
    (
        Sayer::Ssh,
        Cause::ShutOut,
        &[
            "permission denied",
            "too many authentication failures",
            "no supported authentication",
            "no more authentication methods",
            "account is locked",
        ],
    ),
    (
        Sayer::Ssh,
        Cause::Setup,
        &[
            "bad configuration option",
            "bad owner or permissions",
            "terminating, ",
            "no matching ",
            "unable to negotiate",
            "unknown option",
            "illegal option",
            "invalid option",
            "usage: ssh",
            "command-line line",
            "too long for unix domain socket",
        ],
    ),
    (
        Sayer::Anyone,
        Cause::UnknownHost,
        &["could not resolve hostname", "temporary failure in name resolution", "no address associated with"],
    ),
    (Sayer::Ssh, Cause::UnknownHost, &["name or service not known", "name resolution"]),
    (Sayer::Anyone, Cause::Unreachable, &["ssh: connect to host", "kex_exchange_identification", "banner exchange"]),
    (
        Sayer::Ssh,
        Cause::Unreachable,
        &[
            "connection refused",
            "timed out",
            "not responding",
            "no route to host",
            "host is down",
            "network is down",
            "network is unreachable",
            "connection reset",
            "connection closed",
            "broken pipe",
        ],
    ),
];

/// What the program for restricted keys begins its only line with.
const RESTRICTED: &str = "smd-restricted-shell: ";
/// Its exit codes where it serves nothing.
const RESTRICTS: [i32; 3] = [74, 77, 78];

/// Why the program for restricted keys would not serve, in its own words.
pub(super) fn restriction(ending: &Ending) -> Option<&str> {
    ending.stderr.iter().rev().find_map(|line| line.strip_prefix(RESTRICTED))
}

/// Our own words, as a terminal or a shell that took them for commands shows them.
const OUR_WORDS: &str = "smdwire";

impl Cause {
    /// Whether the server's program, or something in its place, is there.
    pub(super) fn is_found(self) -> bool {
        matches!(
            self,
            Self::Closed
                | Self::Unsuited
                | Self::KilledThere(_)
                | Self::Older
                | Self::Restricted(_)
                | Self::Noise(true)
                | Self::Silent(_)
        )
    }

    /// Whether the last words are our own, or in the heading: to show them as the far end's would mislead.
    pub(super) fn is_our_words(self) -> bool {
        matches!(self, Self::Echo | Self::Shell | Self::Restricted(_))
    }
}

/// Tells why the far end of this endpoint ended without a word of the server.
pub fn of(endpoint: &Endpoint, ending: &Ending) -> Cause {
    let is_ours = |line: &String| line.contains(OUR_WORDS);
    match &ending.heard {
        Heard::Echo => return Cause::Echo,
        Heard::Noise(bytes, _) if printable(bytes).contains(OUR_WORDS) && !then_server(&ending.heard) => {
            return Cause::Echo;
        }
        _ if ending.stderr.iter().any(is_ours) => return Cause::Shell,
        Heard::Noise(_, then @ (Then::Server | Then::More)) => return Cause::Noise(*then == Then::Server),
        Heard::Silence(seconds) => return Cause::Silent(*seconds),
        Heard::Nothing | Heard::Server | Heard::Noise(_, Then::End) => {}
    }
    let Some(status) = ending.status else {
        // It began, and fell silent before its Hello.
        return if ending.heard == Heard::Server { Cause::Silent(SILENCE_SECONDS) } else { Cause::Hung };
    };
    match (status.signal(), status.code()) {
        (Some(signal), _) => Cause::KilledHere(signal),
        (None, code) => by_code(endpoint, ending, code.unwrap_or(255)),
    }
}

fn then_server(heard: &Heard) -> bool {
    matches!(heard, Heard::Noise(_, Then::Server))
}

fn by_code(endpoint: &Endpoint, ending: &Ending, code: i32) -> Cause {
    if RESTRICTS.contains(&code) && restriction(ending).is_some() {
        return Cause::Restricted(code);
    }
    let lines: Vec<String> = ending.stderr.iter().map(|line| line.to_ascii_lowercase()).collect();
    let name = Path::new(&ending.program).file_name().unwrap_or(&ending.program);
    let name = printable(name.as_encoded_bytes()).to_ascii_lowercase();
    let row = WORDS.iter().find(|(sayer, _, words)| {
        let counts = |line: &String| match sayer {
            Sayer::Anyone => true,
            Sayer::Ssh => code == 255,
            Sayer::OfProgram => code != 255 && line.contains(&name),
        };
        lines.iter().any(|line| counts(line) && words.iter().any(|word| line.contains(word)))
    });
    match (row, code) {
        (Some((_, cause @ Cause::Unsuited, _)), _) => *cause,
        (_, 127) => Cause::Missing,
        (_, 126) => Cause::Closed,
        (Some((_, cause, _)), _) => *cause,
        (None, _) if matches!(ending.heard, Heard::Noise(..)) => Cause::Stranger,
        // Who asked ssh to be quiet is not told of the network either.
        (None, 255) if lines.is_empty() && !is_quiet(endpoint) => Cause::KilledThere(None),
        (None, 255) => Cause::Failed,
        (None, 129..=192) => Cause::KilledThere(Some(code - 128)),
        (None, _) if lines.iter().any(|line| line.contains("usage:")) => Cause::Older,
        (None, code) => Cause::Ended(code),
    }
}

fn is_quiet(endpoint: &Endpoint) -> bool {
    let Transport::Rsh { rsh, .. } = &endpoint.transport else { return false };
    rsh.iter().skip(1).any(|word| {
        let word = word.to_string_lossy().to_ascii_lowercase();
        word == "-q" || word.contains("loglevel")
    })
}

/// A program of the far end as texts name it.
pub(super) fn shown(program: &OsStr) -> String {
    printable(program.as_encoded_bytes())
}
