//! The command line that starts the server, here or on another host.
//!
//! What ssh is given after the host goes through a shell over there: the path of the server is
//! quoted for it, and nothing else is sent.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::DEFAULT_COMMAND;
use crate::endpoint::{Endpoint, Transport};

/// What ssh itself is given: no terminal, no forwarding of agent or display (the far end has no use
/// for them), no escape character, and a host that is dead or cannot be reached is noticed within a
/// minute, by ssh before we lose our patience with it ([`super::patience`]). They stand behind the options of `--rsh`, because ssh keeps the first value that it sees. `--` ends the
/// options, so that nothing after it can become one.
const SSH_OPTIONS: [&str; 12] = [
    "-T",
    "-a",
    "-x",
    "-e",
    "none",
    "-o",
    "ServerAliveInterval=20",
    "-o",
    "ServerAliveCountMax=3",
    "-o",
    "ConnectTimeout=60",
    "--",
];

/// The command for an endpoint whose server's program is `server`; stdin, stdout and stderr are not set yet.
pub fn of(endpoint: &Endpoint, server: &OsStr) -> io::Result<Command> {
    let command = match &endpoint.transport {
        Transport::Local => {
            let mut command = Command::new(std::env::current_exe()?);
            // The server has its own process group: an interrupt from the terminal reaches us alone,
            // and the session ends in order. ssh must stay in ours, or it could not ask for a
            // passphrase.
            command.arg0(DEFAULT_COMMAND).process_group(0).env("SMD_HOME", endpoint.home.path());
            command
        }
        Transport::Rsh { rsh, destination, .. } => {
            let program = rsh.first().map_or(OsStr::new(crate::endpoint::DEFAULT_RSH), OsString::as_os_str);
            let mut command = Command::new(program);
            command.args(rsh.iter().skip(1));
            if Path::new(program).file_name() == Some(OsStr::new("ssh")) {
                command.args(SSH_OPTIONS);
            }
            command.arg(destination.as_str());
            command.arg(for_remote_shell(server));
            command
        }
    };
    Ok(command)
}

/// Quotes a path for the shell at the other end; a `~/` in front keeps its meaning.
pub(super) fn for_remote_shell(path: &OsStr) -> OsString {
    let bytes = path.as_bytes();
    let (home, rest) = match bytes.strip_prefix(b"~/") {
        Some(rest) => (b"~/".as_slice(), rest),
        None => (b"".as_slice(), bytes),
    };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@%,:".contains(byte);
    let mut out = home.to_vec();
    if !rest.is_empty() && rest.iter().all(plain) {
        out.extend_from_slice(rest);
    } else {
        // A quote ends the quoted text, stands escaped, and begins it anew: the one spelling that
        // sh, csh and fish read alike.
        out.push(b'\'');
        for &byte in rest {
            match byte {
                b'\'' => out.extend_from_slice(b"'\\''"),
                _ => out.push(byte),
            }
        }
        out.push(b'\'');
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Destination;
    use crate::home::SmdHome;

    fn line(transport: Transport, server: &str) -> Vec<String> {
        let endpoint = Endpoint {
            name: "x".into(),
            client: "here".into(),
            server: "there".into(),
            roots: Vec::new(),
            transport,
            home: SmdHome::new("/smd", "/home/me"),
        };
        let command = of(&endpoint, OsStr::new(server)).expect("a command");
        std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.display().to_string())
            .collect()
    }

    fn rsh(words: &[&str], server: &str) -> Vec<String> {
        let transport = Transport::Rsh {
            rsh: words.iter().map(OsString::from).collect(),
            destination: Destination::parse(b"me@host").expect("a host"),
            command: None,
        };
        line(transport, server)
    }

    #[test]
    fn ssh_gets_our_options_after_its_own_and_a_double_dash() {
        let words = rsh(&["/usr/bin/ssh", "-p", "22"], DEFAULT_COMMAND);
        assert_eq!(words[..5], ["/usr/bin/ssh", "-p", "22", "-T", "-a"]);
        assert_eq!(words[words.len() - 4..], ["ConnectTimeout=60", "--", "me@host", "smd-server"]);
    }

    #[test]
    fn another_program_gets_host_and_command_alone() {
        assert_eq!(rsh(&["my-rsh", "-x"], "/opt/smd-server"), ["my-rsh", "-x", "me@host", "/opt/smd-server"]);
    }

    #[test]
    fn the_remote_path_is_quoted_and_keeps_its_tilde() {
        let quoted = |path: &str| for_remote_shell(OsStr::new(path)).display().to_string();
        assert_eq!(quoted("~/bin/smd-server"), "~/bin/smd-server");
        assert_eq!(quoted("~/my bin/smd;id"), "~/'my bin/smd;id'");
        assert_eq!(quoted("/o'b/$(id)"), "'/o'\\''b/$(id)'");
        assert_eq!(quoted("~other/x"), "'~other/x'");
    }

    #[test]
    fn the_server_of_a_local_pair_is_this_very_program() {
        let words = line(Transport::Local, DEFAULT_COMMAND);
        assert_eq!(words, [std::env::current_exe().expect("a path").display().to_string()]);
    }
}
