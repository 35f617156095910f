//! How long the far end may take to say its first word, and what a person is told meanwhile.
//!
//! Once the far end has spoken, signs of life bound every wait ([`smd_protocol::wire::SILENCE_SECONDS`]). Before that only a clock does,
//! and a question of ssh at the terminal must have its time. Deliberately not here: waiting itself ([`super::opening`]).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::time::Duration;

use rustix::termios::{LocalModes, tcgetattr};

/// How long to wait for the first word where ssh has nobody to ask; it is longer than ssh takes to give up on a host.
const UNASKED: Duration = Duration::from_secs(90);
/// How long to wait for the first word where ssh may ask for a password or about a host key. sshd gives a login two minutes.
const ASKED: Duration = Duration::from_secs(300);
/// How much longer than a `ConnectTimeout` of the person's own the wait is.
const AFTER_CONNECT: Duration = Duration::from_secs(30);
/// When a person is told what is waited for.
const NOTE: Duration = Duration::from_secs(10);
/// How long a far end that said something else may go on, so that it is known whether the server comes after it.
pub(super) const NOISE: Duration = Duration::from_secs(2);
/// How long a child whose stdin is closed may take for its last words.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// The bounds of one wait for a first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// A person is told after so long.
    pub(super) note: Duration,
    /// The far end is given up after so long.
    pub(super) bound: Duration,
}

/// Whom ssh can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// A person at a terminal, or by a window.
    Somebody,
    /// Nobody: it fails instead.
    Nobody,
}

impl Patience {
    /// The bounds where ssh is started by these words.
    pub(super) fn of(rsh: &[OsString], asks: Asks) -> Self {
        let own = rsh.iter().filter_map(|word| connect_timeout(word)).next();
        let bound = if asks == Asks::Somebody { ASKED } else { UNASKED };
        let own = own.map_or(bound, |seconds| Duration::from_secs(seconds).saturating_add(AFTER_CONNECT));
        Self { note: NOTE, bound: bound.max(own) }
    }
}

/// The seconds of `-o ConnectTimeout=N`, in whatever word it stands.
fn connect_timeout(word: &OsStr) -> Option<u64> {
    let word = word.to_str()?.to_ascii_lowercase();
    let (_, value) = word.split_once("connecttimeout")?;
    value.trim_start_matches(['=', ' ']).parse().ok()
}

impl Asks {
    /// Whom a child of this process can ask now.
    pub(super) fn now() -> Self {
        let window = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some())
            && std::env::var_os("SSH_ASKPASS").is_some();
        if window || terminal().is_some() { Self::Somebody } else { Self::Nobody }
    }
}

fn terminal() -> Option<File> {
    File::options().read(true).write(true).open("/dev/tty").ok()
}

/// Whether something reads a password from this terminal: then the person knows what is waited for, and a line would tear the question.
pub(super) fn is_asked_now() -> bool {
    let modes = terminal().and_then(|terminal| tcgetattr(&terminal).ok());
    modes.is_some_and(|modes| !modes.local_modes.contains(LocalModes::ECHO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(words: &[&str], asks: Asks) -> u64 {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Patience::of(&words, asks).bound.as_secs()
    }

    #[test]
    fn the_bounds_are_those_of_the_manual() {
        assert_eq!((bound(&["ssh"], Asks::Nobody), bound(&["ssh"], Asks::Somebody)), (90, 300));
        assert_eq!(bound(&["ssh", "-o", "ConnectTimeout=200"], Asks::Nobody), 230);
        assert_eq!(bound(&["ssh", "-oconnecttimeout 5"], Asks::Nobody), 90);
        assert_eq!(bound(&["ssh", "-oConnectTimeout=x"], Asks::Somebody), 300);
    }
}
