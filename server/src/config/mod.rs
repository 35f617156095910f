//! The file `server` in the state directory: limits that the owner of this host set for whoever comes.
//!
//! [`lines`] reads `KEY=value` lines, for this file and the client's configs; [`limits`] are the keys that both have.
//!
//! Deliberately not here: what one key may do (`policy`); its line in `authorized_keys` is stronger than this file.

pub mod limits;
pub mod lines;

use std::os::unix::ffi::OsStrExt as _;

use smd_maildir::fs::Fs;
use smd_maildir::home::{Home, read_file};
use smd_maildir::quota::Caps;
use smd_maildir::share::Share;
use smd_protocol::names::printable;
use smd_protocol::wire::Failure;

use lines::{LineError, Lines};

const NAME: &[u8] = b"server";
/// More than this is no such file.
const SIZE_MAX: u64 = 1 << 20;
/// Days that messages rest in this host's grave at least, unless its owner said otherwise.
const GRAVE_DAYS: u32 = 7;
const KEYS: [&str; 6] = ["GRAVE_DAYS", "GRAVE_MAX", "KEEP_FREE", "MAX_MESSAGE", "MAX_BYTES", "MAX_BYTES_DAY"];

/// What the file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerConfig {
    /// `GRAVE_DAYS`: days that messages rest in the grave at least, whatever a client asks for.
    pub grave_days: u32,
    /// `GRAVE_MAX`: how large the grave of a root may get.
    pub grave_max: Option<Share>,
    /// `KEEP_FREE`, `MAX_MESSAGE`, `MAX_BYTES`, `MAX_BYTES_DAY`.
    pub caps: Caps,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { grave_days: GRAVE_DAYS, grave_max: None, caps: Caps::default() }
    }
}

impl ServerConfig {
    /// Reads the file; without one the defaults hold.
    ///
    /// # Errors
    /// [`Failure::Io`] when it cannot be read, [`Failure::Config`] when a line makes no sense: then nothing is served, since a limit
    /// that is not understood is no limit.
    pub fn read<F: Fs>(home: &Home<F>) -> Result<Self, Failure> {
        let Some(dir) = home.dir() else { return Ok(Self::default()) };
        let shown = || printable(&[home.path().as_os_str().as_bytes(), b"/", NAME].concat());
        let read = read_file(&**home.fs(), dir, NAME, SIZE_MAX).map_err(|error| Failure::Io {
            path: shown().into(),
            text: format!("cannot read {}: {error}", shown()).into(),
        })?;
        let Some(text) = read else { return Ok(Self::default()) };
        Self::parse(&text).map_err(|LineError { number, text }| {
            Failure::Config(format!("at the server, {}, line {number}: {text}", shown()).into())
        })
    }

    /// Reads the text of the file.
    fn parse(text: &[u8]) -> Result<Self, LineError> {
        // There is no `$HOME` in limits.
        let lines = Lines::parse(text, b"")?;
        let unknown =
            lines.lines.iter().find(|line| !KEYS.contains(&line.key.as_str()) && !lines.used.contains(&line.key));
        if let Some(line) = unknown {
            let text = format!("the key {} is not known: there are {}", line.key, KEYS.join(", "));
            return Err(LineError { number: line.number, text });
        }
        Ok(Self {
            grave_days: limits::number(&lines, "GRAVE_DAYS")?.unwrap_or(GRAVE_DAYS),
            grave_max: limits::share(&lines, "GRAVE_MAX")?,
            caps: limits::caps(&lines)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_the_default_and_what_is_not_understood_is_an_error() {
        assert_eq!(ServerConfig::parse(b"# nothing\nKEEP_FREE=\n"), Ok(ServerConfig::default()));
        let text =
            b"GRAVE_DAYS=30\nGRAVE_MAX=5%\nKEEP_FREE=2G\nMAX_MESSAGE=100M\nMAX_BYTES=10G\nMAX_BYTES_DAY=\"20G\"\n";
        let (keep_free, max_message) = (Some(Share::Bytes(2 << 30)), Some(100 << 20));
        let caps = Caps { keep_free, max_message, run: Some(10 << 30), day: Some(20 << 30) };
        assert_eq!(
            ServerConfig::parse(text),
            Ok(ServerConfig { grave_days: 30, grave_max: Some(Share::Percent(5)), caps })
        );
        for (text, line) in [
            (&b"MAXBYTES=1G"[..], 1),
            (b"\nMAX_BYTES=10%", 2),
            (b"KEEP_FREE=a lot", 1),
            (b"KEEP_FREE=101%", 1),
            (b"MAX_MESSAGE=-1", 1),
            (b"GRAVE_DAYS=week", 1),
            (b"MAX_BYTES=$(id)", 1),
        ] {
            assert_eq!(ServerConfig::parse(text).map_err(|error| error.number), Err(line));
        }
    }
}
