//! What a failed connection means, from the exit status, from stderr, and from whether the server was
//! heard at all.
//!
//! ssh ends with 255 when it fails itself; a shell ends with 127 or 126 when it cannot start the
//! program. Deliberately not here: the hint's wording for other errors ([`crate::error`]).

use std::os::unix::process::ExitStatusExt as _;

use super::Ending;
use crate::endpoint::{Endpoint, Transport};
use crate::exit::Exit;

/// A failed connection in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The exit code.
    pub exit: Exit,
    /// What happened: one sentence.
    pub heading: String,
    /// What to do, with a command to type.
    pub hint: Option<String>,
}

/// What to do where ssh does not find our server.
const MISSING: &str =
    "install it there, or say where it is: REMOTE_COMMAND=PATH in the config, or --remote-command PATH";

/// Explains why the server's Hello never came, or why the connection broke after it (`met`).
pub fn explain(endpoint: &Endpoint, ending: &Ending, met: bool) -> Explanation {
    let Transport::Rsh { rsh, destination, .. } = &endpoint.transport else {
        return local(endpoint, ending);
    };
    let (host, to) = (destination.host(), destination.as_str());
    let rsh = spoken(rsh);
    let said = |texts: &[&str]| {
        ending.stderr.iter().any(|line| texts.iter().any(|text| line.to_ascii_lowercase().contains(text)))
    };
    let explanation = |exit, heading: String, hint: String| Explanation { exit, heading, hint: Some(hint) };
    let code = ending.status.and_then(|status| status.code());

    if !met {
        if matches!(code, Some(127)) || said(&["command not found", "smd-server: not found", "unknown command"]) {
            let heading = format!("smd-server is not installed on {host}.");
            return explanation(Exit::Config, heading, MISSING.to_owned());
        }
        if matches!(code, Some(126)) || (code != Some(255) && said(&["permission denied"])) {
            let heading = format!("smd-server cannot be started on {host}.");
            return explanation(
                Exit::Refused,
                heading,
                "make it executable there, or give --remote-command PATH".to_owned(),
            );
        }
        if said(&["host key verification failed", "remote host identification has changed", "host key is known for"]) {
            let heading = format!("ssh does not trust the host key of {host}.");
            return explanation(
                Exit::Refused,
                heading,
                format!("connect once by hand and look at the key: {rsh} {to}"),
            );
        }
        if said(&["permission denied", "too many authentication failures", "no supported authentication"]) {
            let heading = format!("{host} does not let us in.");
            return explanation(
                Exit::Refused,
                heading,
                format!(
                    "this must work without a question: {rsh} -o BatchMode=yes {to} true\n\
                     how to make a key for it is at the end of: man smd-config"
                ),
            );
        }
        if said(&["could not resolve hostname", "name or service not known", "name resolution"]) {
            let heading = format!("The host {host} is not known.");
            return explanation(
                Exit::Network,
                heading,
                format!("is the name right, and is the network up? try: {rsh} {to}"),
            );
        }
        if said(&[
            "connection refused",
            "timed out",
            "no route to host",
            "network is unreachable",
            "connection reset",
            "connection closed",
        ]) {
            let heading = format!("The host {host} cannot be reached.");
            return explanation(Exit::Network, heading, format!("try again later, or look why: {rsh} -v {to} true"));
        }
    }
    if let Some(signal) = ending.status.and_then(|status| status.signal()) {
        let heading = format!("{rsh} to {host} was ended by signal {signal}.");
        return Explanation { exit: Exit::Network, heading, hint: Some("run again: what was done is kept".to_owned()) };
    }
    let (heading, hint) = if met {
        (format!("The connection to {host} was lost."), "run again: what was done is kept".to_owned())
    } else {
        (
            format!("{host} ended the connection before it said anything."),
            format!("look why: {rsh} {to} smd-server </dev/null"),
        )
    };
    Explanation { exit: Exit::Network, heading, hint: Some(hint) }
}

/// The first bytes were not ours: usually a start-up file of the shell that prints something.
pub fn noise(endpoint: &Endpoint, first_bytes: &[u8]) -> Explanation {
    let shown = smd_protocol::names::printable(&first_bytes[..first_bytes.len().min(120)]);
    let Transport::Rsh { rsh, destination, .. } = &endpoint.transport else {
        let heading = format!("The server on this host said `{shown}`, which is not our language.");
        return Explanation { exit: Exit::Protocol, heading, hint: None };
    };
    let rsh = spoken(rsh);
    let (host, to) = (destination.host(), destination.as_str());
    let heading = format!("{host} printed `{shown}` before the server began to speak.");
    let hint = format!(
        "a start-up file of the shell there (.bashrc, .profile) prints something; it must be silent without a terminal.\n\
         this must print nothing: {rsh} {to} true"
    );
    Explanation { exit: Exit::Protocol, heading, hint: Some(hint) }
}

fn local(endpoint: &Endpoint, ending: &Ending) -> Explanation {
    let how = match ending.status {
        Some(status) => status.to_string(),
        None => "it had to be killed".to_owned(),
    };
    let heading = format!("The server for {} on this host ended too early ({how}).", endpoint.server);
    Explanation { exit: Exit::Network, heading, hint: Some("run again: what was done is kept".to_owned()) }
}

/// The words of the remote shell, as a person would type them.
fn spoken(rsh: &[std::ffi::OsString]) -> String {
    if rsh.is_empty() {
        return crate::endpoint::DEFAULT_RSH.to_owned();
    }
    let words = rsh.iter().map(|word| word.to_string_lossy().into_owned());
    words
        .map(|word| shlex::try_quote(&word).map_or_else(|_| word.clone(), |quoted| quoted.into_owned()))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;
    use crate::address::Destination;
    use crate::home::SmdHome;

    fn endpoint() -> Endpoint {
        Endpoint {
            name: "x".into(),
            client: "here".into(),
            server: "host".into(),
            roots: Vec::new(),
            transport: Transport::Rsh {
                rsh: vec!["ssh".into()],
                destination: Destination::parse(b"me@host").expect("a host"),
                command: None,
            },
            home: SmdHome::new("/smd", "/home/me"),
        }
    }

    #[track_caller]
    fn check(code: i32, stderr: &str, met: bool, exit: Exit, heading: &str) -> Explanation {
        let ending = Ending { status: Some(ExitStatus::from_raw(code << 8)), stderr: vec![stderr.to_owned()] };
        let explanation = explain(&endpoint(), &ending, met);
        assert_eq!((explanation.exit, explanation.heading.as_str()), (exit, heading));
        explanation
    }

    #[test]
    fn a_missing_server_is_to_be_installed() {
        let heading = "smd-server is not installed on host.";
        let explanation = check(127, "bash: line 1: smd-server: command not found", false, Exit::Config, heading);
        assert_eq!(explanation.hint.as_deref(), Some(MISSING));
        check(127, "zsh:1: no such file or directory: /x", false, Exit::Config, heading);
        check(1, "sh: smd-server: not found", false, Exit::Config, heading);
        check(126, "bash: /x: Permission denied", false, Exit::Refused, "smd-server cannot be started on host.");
    }

    #[test]
    fn the_messages_of_ssh_are_understood() {
        check(255, "Host key verification failed.", false, Exit::Refused, "ssh does not trust the host key of host.");
        check(255, "me@host: Permission denied (publickey).", false, Exit::Refused, "host does not let us in.");
        check(
            255,
            "ssh: Could not resolve hostname host: Name or service not known",
            false,
            Exit::Network,
            "The host host is not known.",
        );
        for text in
            ["ssh: connect to host host port 22: Connection refused", "… Connection timed out", "… No route to host"]
        {
            check(255, text, false, Exit::Network, "The host host cannot be reached.");
        }
    }

    #[test]
    fn a_silent_end_and_a_lost_connection_differ() {
        check(0, "", false, Exit::Network, "host ended the connection before it said anything.");
        check(
            255,
            "client_loop: send disconnect: Broken pipe",
            true,
            Exit::Network,
            "The connection to host was lost.",
        );
        check(127, "command not found", true, Exit::Network, "The connection to host was lost.");
        let killed = Ending { status: Some(ExitStatus::from_raw(9)), stderr: Vec::new() };
        assert_eq!(explain(&endpoint(), &killed, true).heading, "ssh to host was ended by signal 9.");
    }

    #[test]
    fn noise_is_shown_escaped_and_bounded() {
        let explanation = noise(&endpoint(), &[b"Welcome\x1b\n".as_slice(), &[b'x'; 500]].concat());
        assert!(
            explanation.heading.contains("Welcome\\x1b\\x0a") && explanation.heading.len() < 250,
            "{}",
            explanation.heading
        );
        assert!(explanation.hint.expect("a hint").contains("ssh me@host true"));
    }
}
