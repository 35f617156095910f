//! What a failed connection means, in words: the exit code, a sentence and a hint for each [`Cause`].
//!
//! Deliberately not here: telling the causes apart ([`super::cause`]), and other errors ([`crate::error`]).

use std::os::unix::process::ExitStatusExt as _;

use smd_protocol::names::printable;
use smd_protocol::wire::SILENCE_SECONDS;

use super::cause::{self, Cause};
use super::command::for_remote_shell;
use super::far::PLACES;
use super::{Ending, Heard};
use crate::endpoint::{Endpoint, Transport};
use crate::exit::Exit;

/// Bytes of a stranger's words that are shown.
const SHOWN: usize = 120;
/// The exit code of a program of Rust that panicked.
const PANICKED: i32 = 101;

/// A failed connection in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The exit code.
    pub exit: Exit,
    /// What happened: one sentence.
    pub heading: String,
    /// What to do, with a command to type.
    pub hint: Option<String>,
    /// The last words of the far end are worth reading beside it.
    pub words: bool,
}

const RUN_AGAIN: &str = "run again: what was done is kept";

/// The names of one connection, as a person types and reads them.
struct Names {
    /// The words of the remote shell.
    rsh: String,
    /// What it is given as host.
    to: String,
    host: String,
    /// The server's program.
    program: String,
    /// The same, to type behind `rsh` and `to`.
    typed: String,
}

/// Explains why the server's Hello never came, or why the connection broke after it (`met`).
pub fn explain(endpoint: &Endpoint, ending: &Ending, met: bool) -> Explanation {
    let Some(names) = Names::of(endpoint, ending) else { return local(endpoint, ending, met) };
    if met {
        return lost(&names, ending);
    }
    let cause = cause::of(endpoint, ending);
    let (exit, heading) = heading(cause, &names, ending);
    Explanation { exit, heading, hint: Some(hint(cause, &names)), words: !cause.is_our_words() }
}

/// What each cause is called, and its exit code. 69 is kept for what the network does: the loop tries that again without a word.
fn heading(cause: Cause, names: &Names, ending: &Ending) -> (Exit, String) {
    let Names { rsh, host, program, .. } = names;
    let after = |seconds| format!("{host} said nothing for {seconds} s");
    match cause {
        Cause::Missing => (Exit::Config, format!("{host} could not find {program}.")),
        Cause::Closed => (Exit::Refused, format!("{program} cannot be started on {host}.")),
        Cause::Unsuited => (Exit::Protocol, format!("{program} is not made for the system of {host}.")),
        Cause::HostKey => (Exit::Refused, format!("ssh does not trust the host key of {host}.")),
        Cause::ShutOut => (Exit::Refused, format!("{host} refused the login.")),
        Cause::Setup => (Exit::Config, format!("ssh cannot connect to {host} as it is configured.")),
        Cause::UnknownHost => (Exit::Network, format!("The host {host} is not known.")),
        Cause::Unreachable => (Exit::Network, format!("The host {host} cannot be reached.")),
        Cause::Failed => (Exit::Network, format!("ssh to {host} failed.")),
        Cause::KilledHere(signal) => (Exit::Io, format!("{rsh} to {host} was ended by signal {signal} on this host.")),
        Cause::KilledThere(Some(signal)) => {
            (Exit::Protocol, format!("{program} on {host} was ended by signal {signal} before it said anything."))
        }
        Cause::KilledThere(None) => {
            (Exit::Protocol, format!("{program} on {host} was ended by a signal before it said anything."))
        }
        Cause::Older => {
            (Exit::Protocol, format!("{program} on {host} is another program, or an old one: it wants arguments."))
        }
        Cause::Restricted(code) => {
            let exit = match code {
                78 => Exit::Config,
                74 => Exit::Io,
                _ => Exit::Refused,
            };
            (exit, format!("{host} serves nothing to this key: {}.", cause::restriction(ending).unwrap_or_default()))
        }
        Cause::Ended(code) => (
            Exit::Protocol,
            format!("{program} on {host} ended by itself with exit code {code} before it said anything."),
        ),
        Cause::Stranger => {
            let code = ending.status.and_then(|status| status.code()).unwrap_or_default();
            let said = said(ending);
            (
                Exit::Protocol,
                format!("{host} said `{said}` and ended with exit code {code}; that is not our smd-server."),
            )
        }
        Cause::Noise(true) => {
            (Exit::Protocol, format!("{host} printed `{}` before the server began to speak.", said(ending)))
        }
        Cause::Noise(false) => {
            (Exit::Protocol, format!("{host} printed `{}`, and the server did not begin to speak.", said(ending)))
        }
        Cause::Echo => (
            Exit::Protocol,
            format!("{host} sent back our own words: {program} is not our smd-server, or a terminal echoes them."),
        ),
        Cause::Shell => {
            (Exit::Protocol, format!("A shell on {host} took our words for commands: {program} was not started."))
        }
        Cause::Silent(seconds) => (Exit::Protocol, format!("{}: {program} did not begin to speak.", after(seconds))),
        Cause::Hung => (Exit::Protocol, format!("{program} on {host} closed the connection and did not end.")),
    }
}

/// What to do about each cause, with the command to type.
fn hint(cause: Cause, names: &Names) -> String {
    let Names { rsh, to, host, program, .. } = names;
    let look = names.look();
    match cause {
        Cause::Missing if program == super::DEFAULT_COMMAND => format!(
            "it is not in the PATH of ssh there, nor in {}; install it, or say where it is:\n\
             REMOTE_COMMAND=PATH in the config, or --remote-command PATH",
            PLACES.map(|place| place.trim_end_matches("/smd-server")).join(" or ")
        ),
        Cause::Missing => "install it there, or correct REMOTE_COMMAND in the config, or --remote-command".to_owned(),
        Cause::Closed => "make it executable there, or give --remote-command PATH".to_owned(),
        Cause::Unsuited => format!("build or install one on {host} itself; this must print a version: {look}"),
        Cause::HostKey => format!("connect once by hand and look at the key: {rsh} {to}"),
        Cause::ShutOut => format!(
            "this must work without a question: {rsh} -o BatchMode=yes {to} true\n\
             how to make a key for it is at the end of: man smd-config"
        ),
        Cause::Setup => format!("this must work, and says what does not: {rsh} -v {to} true"),
        Cause::UnknownHost => format!("is the name right, and is the network up? try: {rsh} {to}"),
        Cause::Unreachable | Cause::Failed => format!("try again later, or look why: {rsh} -v {to} true"),
        Cause::KilledHere(_) => RUN_AGAIN.to_owned(),
        Cause::KilledThere(_) => {
            format!("the host may lack memory, or limit the account; this must print a version: {look}")
        }
        Cause::Restricted(_) => {
            format!("the key's line in ~/.ssh/authorized_keys on {host} says what it is for: man smd-restricted-shell")
        }
        Cause::Ended(_) => {
            format!("it, or a start-up file there (.bashrc, .profile), ends at once; this must print a version: {look}")
        }
        Cause::Older | Cause::Stranger | Cause::Hung => {
            format!("this must print the version of smd-server that this host has: {look}")
        }
        Cause::Noise(_) => format!(
            "a start-up file of the shell there (.bashrc, .profile) prints something; it must be silent without a terminal.\n\
             this must print nothing: {rsh} {to} true"
        ),
        Cause::Echo => format!("take -t out of the words for ssh, if it is there; this must print a version: {look}"),
        Cause::Shell => format!(
            "a start-up file there (.bashrc, .profile) starts another shell; it must not do so without a terminal.\n\
             this must print a version: {look}"
        ),
        Cause::Silent(_) => format!(
            "the login there may hang, or a start-up file (.bashrc, .profile) waits or asks or starts another shell.\n\
             this must print a version at once: {look}"
        ),
    }
}

/// What to type to see which version the far end has; none where it is this program itself.
pub fn look(endpoint: &Endpoint, ending: &Ending) -> Option<String> {
    Names::of(endpoint, ending).map(|names| names.look())
}

/// After the Hello: the server was there.
fn lost(names: &Names, ending: &Ending) -> Explanation {
    let Names { rsh, host, program, .. } = names;
    let status = ending.status;
    let (exit, heading, hint) =
        match (status.and_then(|status| status.signal()), status.and_then(|status| status.code())) {
            (Some(signal), _) => (Exit::Network, format!("{rsh} to {host} was ended by signal {signal}."), RUN_AGAIN),
            (None, Some(PANICKED)) => (
                Exit::Bug,
                format!("{program} on {host} ended in the midst of the run, with exit code {PANICKED}."),
                "this is a fault of these programs; please report it",
            ),
            _ => (Exit::Network, format!("The connection to {host} was lost."), RUN_AGAIN),
        };
    Explanation { exit, heading, hint: Some(hint.to_owned()), words: true }
}

/// After the Hello nothing was heard for so long that we closed the connection: whatever ended the child then tells nothing.
pub fn silent(endpoint: &Endpoint) -> Explanation {
    let host = printable(endpoint.server.as_bytes());
    let heading = match &endpoint.transport {
        Transport::Rsh { .. } => {
            format!("{host} stopped answering ({SILENCE_SECONDS} s); the connection was closed.")
        }
        Transport::Local => {
            format!("The server for {host} on this host stopped answering ({SILENCE_SECONDS} s); it was ended.")
        }
    };
    Explanation { exit: Exit::Network, heading, hint: Some(RUN_AGAIN.to_owned()), words: true }
}

/// The first bytes were not ours, on a line that is no connection of this room.
pub fn noise(endpoint: &Endpoint, first_bytes: &[u8]) -> Explanation {
    let heading = format!("{} printed `{}` before the server began to speak.", endpoint.server, excerpt(first_bytes));
    Explanation { exit: Exit::Protocol, heading, hint: None, words: true }
}

fn local(endpoint: &Endpoint, ending: &Ending, met: bool) -> Explanation {
    let how = match ending.status {
        Some(status) => status.to_string(),
        None => "it had to be killed".to_owned(),
    };
    let (server, words) = (&endpoint.server, true);
    let heading = match &ending.heard {
        Heard::Silence(seconds) => format!("The server for {server} on this host said nothing for {seconds} s."),
        _ => format!("The server for {server} on this host ended too early ({how})."),
    };
    let exit = if met { Exit::Network } else { Exit::Io };
    Explanation { exit, heading, hint: Some(RUN_AGAIN.to_owned()), words }
}

/// What the far end said in the server's place.
fn said(ending: &Ending) -> String {
    match &ending.heard {
        Heard::Noise(bytes, _) => excerpt(bytes),
        _ => String::new(),
    }
}

fn excerpt(bytes: &[u8]) -> String {
    let shown = printable(bytes[..bytes.len().min(SHOWN)].trim_ascii());
    if bytes.len() > SHOWN { format!("{shown}…") } else { shown }
}

impl Names {
    /// None where the server is a child of this host.
    fn of(endpoint: &Endpoint, ending: &Ending) -> Option<Self> {
        let Transport::Rsh { rsh, destination, .. } = &endpoint.transport else { return None };
        let typed = for_remote_shell(&ending.program).to_string_lossy().into_owned();
        Some(Self {
            rsh: spoken(rsh),
            to: destination.as_str().to_owned(),
            host: destination.host().to_owned(),
            program: cause::shown(&ending.program),
            typed: quoted(&typed),
        })
    }

    /// A command that prints the version of the server's program, and waits for nothing.
    fn look(&self) -> String {
        format!("{} {} {} --version </dev/null", self.rsh, self.to, self.typed)
    }
}

/// The words of the remote shell, as a person would type them.
fn spoken(rsh: &[std::ffi::OsString]) -> String {
    if rsh.is_empty() {
        return crate::endpoint::DEFAULT_RSH.to_owned();
    }
    rsh.iter().map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// A word for the shell of this host.
fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), |quoted| quoted.into_owned())
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;
    use crate::address::Destination;
    use crate::home::SmdHome;

    fn endpoint(words: &[&str]) -> Endpoint {
        Endpoint {
            name: "x".into(),
            client: "here".into(),
            server: "host".into(),
            roots: Vec::new(),
            transport: Transport::Rsh {
                rsh: words.iter().map(std::ffi::OsString::from).collect(),
                destination: Destination::parse(b"me@host").expect("a host"),
                command: None,
            },
            home: SmdHome::new("/smd", "/home/me"),
        }
    }

    fn ending(code: i32, stderr: &str) -> Ending {
        let stderr = stderr.lines().map(str::to_owned).collect();
        let program = super::super::DEFAULT_COMMAND.into();
        Ending { status: Some(ExitStatus::from_raw(code << 8)), stderr, heard: Heard::Nothing, program }
    }

    /// How an exit code and last words are told apart: the shells', the loaders', those of ssh, and others'.
    #[test]
    fn last_words_count_only_from_who_can_say_them() {
        for (code, stderr, cause) in [
            (127, "bash: line 1: smd-server: command not found", Cause::Missing),
            (127, "zsh:1: no such file or directory: /x", Cause::Missing),
            (1, "smd-server: Command not found.", Cause::Missing),
            (1, "sh: smd-server: not found", Cause::Missing),
            (1, "bash: nvm: command not found", Cause::Ended(1)),
            (126, "bash: /x/smd-server: Permission denied", Cause::Closed),
            (1, "smd-server: Permission denied.", Cause::Closed),
            (1, "mkdir: permission denied", Cause::Ended(1)),
            (126, "bash: smd-server: cannot execute binary file: Exec format error", Cause::Unsuited),
            (127, "bash: smd-server: cannot execute: required file not found", Cause::Unsuited),
            (255, "Host key verification failed.", Cause::HostKey),
            (255, "me@host: Permission denied (publickey).", Cause::ShutOut),
            (255, "/home/me/.ssh/config: line 3: Bad configuration option: x", Cause::Setup),
            (255, "Unable to negotiate with 1.2.3.4 port 22: no matching host key type found.", Cause::Setup),
            (255, "ssh: Could not resolve hostname host: Name or service not known", Cause::UnknownHost),
            (255, "ssh: connect to host host port 22: Connection refused", Cause::Unreachable),
            (255, "… Connection timed out", Cause::Unreachable),
            (255, "… No route to host", Cause::Unreachable),
            (255, "Connection closed by 1.2.3.4 port 22", Cause::Unreachable),
            (255, "Timeout, server host not responding.", Cause::Unreachable),
            (1, "ssh: connect to host host port 22: Connection refused", Cause::Unreachable),
            (1, "tunnel: connection refused", Cause::Ended(1)),
            (255, "something else", Cause::Failed),
            (255, "", Cause::KilledThere(None)),
            (143, "", Cause::KilledThere(Some(15))),
            (2, "usage: thing FILE", Cause::Older),
            (78, "smd-restricted-shell: the root x is not there, and is not made", Cause::Restricted(78)),
            (
                77,
                "smd-restricted-shell: this key is for smd-sync; `smd-server: not found` is not run",
                Cause::Restricted(77),
            ),
            (127, "bash: line 1: smd-restricted-shell: command not found", Cause::Missing),
            (78, "something else", Cause::Ended(78)),
            (0, "", Cause::Ended(0)),
        ] {
            assert_eq!(cause::of(&endpoint(&["ssh"]), &ending(code, stderr)), cause, "{code} {stderr}");
        }
        let silent = Ending { status: None, heard: Heard::Server, ..ending(0, "") };
        assert_eq!(cause::of(&endpoint(&["ssh"]), &silent), Cause::Silent(60), "it began, and fell silent");
        let quiet = cause::of(&endpoint(&["ssh", "-q"]), &ending(255, ""));
        assert_eq!(quiet, Cause::Failed, "who is quiet is not told of the network");
    }

    #[test]
    fn only_what_ssh_says_of_the_network_is_tried_again_without_a_word() {
        let all = [
            Cause::Missing,
            Cause::Closed,
            Cause::Unsuited,
            Cause::HostKey,
            Cause::ShutOut,
            Cause::Setup,
            Cause::UnknownHost,
            Cause::Unreachable,
            Cause::Failed,
            Cause::KilledHere(9),
            Cause::KilledThere(Some(9)),
            Cause::KilledThere(None),
            Cause::Older,
            Cause::Restricted(77),
            Cause::Ended(1),
            Cause::Stranger,
            Cause::Noise(true),
            Cause::Noise(false),
            Cause::Echo,
            Cause::Shell,
            Cause::Silent(90),
            Cause::Hung,
        ];
        let ending = Ending { program: "~/my bin/smd-server".into(), ..ending(1, "") };
        let names = Names::of(&endpoint(&["ssh", "-p", "2222"]), &ending).expect("a remote shell");
        let mut text = String::new();
        for cause in all {
            let (exit, heading) = heading(cause, &names, &ending);
            let network = matches!(cause, Cause::UnknownHost | Cause::Unreachable | Cause::Failed);
            assert_eq!(exit.try_again(), network, "{cause:?}");
            text.push_str(&format!("{} {heading}\n  {}\n", exit.code(), hint(cause, &names).replace('\n', "\n  ")));
        }
        insta::assert_snapshot!(text, @r#"
        78 host could not find ~/my bin/smd-server.
          install it there, or correct REMOTE_COMMAND in the config, or --remote-command
        77 ~/my bin/smd-server cannot be started on host.
          make it executable there, or give --remote-command PATH
        76 ~/my bin/smd-server is not made for the system of host.
          build or install one on host itself; this must print a version: ssh -p 2222 me@host "~/'my bin/smd-server'" --version </dev/null
        77 ssh does not trust the host key of host.
          connect once by hand and look at the key: ssh -p 2222 me@host
        77 host refused the login.
          this must work without a question: ssh -p 2222 -o BatchMode=yes me@host true
          how to make a key for it is at the end of: man smd-config
        78 ssh cannot connect to host as it is configured.
          this must work, and says what does not: ssh -p 2222 -v me@host true
        69 The host host is not known.
          is the name right, and is the network up? try: ssh -p 2222 me@host
        69 The host host cannot be reached.
          try again later, or look why: ssh -p 2222 -v me@host true
        69 ssh to host failed.
          try again later, or look why: ssh -p 2222 -v me@host true
        74 ssh -p 2222 to host was ended by signal 9 on this host.
          run again: what was done is kept
        76 ~/my bin/smd-server on host was ended by signal 9 before it said anything.
          the host may lack memory, or limit the account; this must print a version: ssh -p 2222 me@host "~/'my bin/smd-server'" --version </dev/null
        76 ~/my bin/smd-server on host was ended by a signal before it said anything.
          the host may lack memory, or limit the account; this must print a version: ssh -p 2222 me@host "~/'my bin/smd-server'" --version </dev/null
        76 ~/my bin/smd-server on host is another program, or an old one: it wants arguments.
          this must print the version of smd-server that this host has: ssh -p 2222 me@host "~/'my bin/smd-server'" --version </dev/null
        77 host serves nothing to this key: .
          the key's line in ~/.ssh/authorized_keys on host says what it is for: man smd-restricted-shell
        76 ~/my bin/smd-server on host ended by itself with exit code 1 before it said anything.
          it, or a start-up file there (.bashrc, .profile), ends at once; this must print a version: ssh -p 2222 me@host "~/'my bin/smd-server'" --version </dev/null
        76 host said `` and ended with exit code 1; that is not our smd-server.
          this must print the version of smd-server that this host has: ssh -p 2222 me@host "~/'my bin/smd-server'" --version </dev/null
        76 host printed `` before the server began to speak.
          a start-up file of the shell there (.bashrc, .profile) prints something; it must be silent without a terminal.
          this must print nothing: ssh -p 2222 me@host true
        76 host printed ``, and the server did not begin to speak.
          a start-up file of the shell there (.bashrc, .profile) prints something; it must be silent without a terminal.
          this must print nothing: ssh -p 2222 me@host true
        76 host sent back our own words: ~/my bin/smd-server is not our smd-server, or a terminal echoes them.
          take -t out of the words for ssh, if it is there; this must print a version: ssh -p 2222 me@host "~/'my bin/smd-server'" --version </dev/null
        76 A shell on host took our words for commands: ~/my bin/smd-server was not started.
          a start-up file there (.bashrc, .profile) starts another shell; it must not do so without a terminal.
          this must print a version: ssh -p 2222 me@host "~/'my bin/smd-server'" --version </dev/null
        76 host said nothing for 90 s: ~/my bin/smd-server did not begin to speak.
          the login there may hang, or a start-up file (.bashrc, .profile) waits or asks or starts another shell.
          this must print a version at once: ssh -p 2222 me@host "~/'my bin/smd-server'" --version </dev/null
        76 ~/my bin/smd-server on host closed the connection and did not end.
          this must print the version of smd-server that this host has: ssh -p 2222 me@host "~/'my bin/smd-server'" --version </dev/null
        "#);
    }

    #[test]
    fn a_lost_connection_is_the_networks_unless_the_server_fell() {
        let lost = |code, text| {
            let explanation = explain(&endpoint(&["ssh"]), &ending(code, text), true);
            (explanation.exit, explanation.heading)
        };
        let network = (Exit::Network, "The connection to host was lost.".to_owned());
        assert_eq!(lost(255, "client_loop: send disconnect: Broken pipe"), network);
        assert_eq!(lost(127, "command not found"), network);
        assert_eq!(lost(1, "smd-server: nothing was heard from the client for 60 seconds"), network);
        assert_eq!(lost(101, "thread 'main' panicked at x").0, Exit::Bug);
        let killed = Ending { status: Some(ExitStatus::from_raw(9)), ..ending(0, "") };
        assert_eq!(explain(&endpoint(&["ssh"]), &killed, true).heading, "ssh to host was ended by signal 9.");
    }

    #[test]
    fn a_program_that_is_not_found_is_told_with_the_places_that_were_searched() {
        let missing = explain(&endpoint(&["ssh"]), &ending(127, "bash: line 1: smd-server: command not found"), false);
        let text = format!("{} {}\n{}", missing.exit.code(), missing.heading, missing.hint.expect("a hint"));
        insta::assert_snapshot!(text, @r"
        78 host could not find smd-server.
        it is not in the PATH of ssh there, nor in ~/.local/bin or ~/.cargo/bin; install it, or say where it is:
        REMOTE_COMMAND=PATH in the config, or --remote-command PATH
        ");
    }

    #[test]
    fn a_host_that_fell_silent_is_not_told_as_the_signal_that_we_ended_ssh_by() {
        let silent = silent(&endpoint(&["ssh"]));
        let text = format!("{} {}\n{}", silent.exit.code(), silent.heading, silent.hint.expect("a hint"));
        insta::assert_snapshot!(text, @r"
        69 host stopped answering (60 s); the connection was closed.
        run again: what was done is kept
        ");
        let here = Endpoint { transport: Transport::Local, ..endpoint(&[]) };
        assert_eq!(
            super::silent(&here).heading,
            "The server for host on this host stopped answering (60 s); it was ended."
        );
    }

    #[test]
    fn noise_is_shown_escaped_and_bounded() {
        let bytes = [b"Welcome\x1b\n".as_slice(), &[b'x'; 500]].concat();
        let noisy = Ending { heard: Heard::Noise(bytes, super::super::Then::Server), ..ending(0, "") };
        let explanation = explain(&endpoint(&["ssh"]), &noisy, false);
        assert!(
            explanation.heading.contains("Welcome\\x1b\\x0a") && explanation.heading.len() < 250,
            "{}",
            explanation.heading
        );
        assert!(explanation.hint.expect("a hint").contains("ssh me@host true"));
    }
}
