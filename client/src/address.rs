//! Where the other mailbox root is, as typed: a path on this host, or `[user@]host:path`.
//!
//! The rules are those of rsync and scp. Deliberately not here: looking at a disk or a network.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use smd_protocol::names::printable;

/// The second positional argument, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A directory on this host.
    Local(PathBuf),
    /// A directory on another host.
    Remote(RemoteAddress),
}

/// A directory on another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteAddress {
    /// The destination that ssh is given: `host` or `user@host`, without brackets.
    pub destination: Destination,
    /// The path there: absolute, or relative to the home directory; `.` is the home directory.
    pub path: Vec<u8>,
}

/// A host to connect to, with an optional user: safe to be an argument of ssh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination(String);

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing was typed.
    #[error("the path is empty")]
    Empty,
    /// The host would be taken for an option, or has letters that no host has.
    #[error("`{0}` cannot be the name of a host")]
    Host(String),
    /// `host::module` is rsync's own protocol.
    #[error("`{0}` has two colons: there is no rsync daemon here, write host:path")]
    Daemon(String),
    /// The path at the server cannot be used.
    #[error("`{path}` cannot be a mailbox root at the server: {why}")]
    Path {
        /// The path, printable.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Address {
    /// Takes `typed` apart. A `/` before the first `:` makes it a path on this host.
    pub fn parse(typed: &OsStr) -> Result<Self, AddressError> {
        let bytes = typed.as_bytes();
        if bytes.is_empty() {
            return Err(AddressError::Empty);
        }
        let here = || Ok(Self::Local(PathBuf::from(typed)));
        let Some(colon) = bytes.iter().position(|&byte| byte == b':') else {
            return here();
        };
        if bytes[..colon].contains(&b'/') {
            return here();
        }
        let at = bytes[..colon].iter().rposition(|&byte| byte == b'@').map_or(0, |at| at + 1);
        let (user, rest) = bytes.split_at(at);
        let (host, path) = if rest.first() == Some(&b'[') {
            let end = rest.windows(2).position(|pair| pair == b"]:");
            let end = end.ok_or_else(|| AddressError::Host(printable(bytes)))?;
            (&rest[1..end], &rest[end + 2..])
        } else {
            (&bytes[at..colon], &bytes[colon + 1..])
        };
        if host.is_empty() {
            return Err(AddressError::Host(printable(host)));
        }
        if path.first() == Some(&b':') {
            return Err(AddressError::Daemon(printable(bytes)));
        }
        let destination = Destination::parse(&[user, host].concat())?;
        Ok(Self::Remote(RemoteAddress { destination, path: remote_path(path)? }))
    }
}

impl Destination {
    /// Checks that `typed` can be handed to ssh: no option, no blank, no control letter.
    pub fn parse(typed: &[u8]) -> Result<Self, AddressError> {
        let refuse = || AddressError::Host(printable(typed));
        let text = str::from_utf8(typed).map_err(|_| refuse())?;
        let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
        // A leading dash would be an option to ssh, in the user's place as well as in the host's.
        let odd = |letter: char| letter.is_whitespace() || letter.is_control() || "/'\"\\$`;&|<>()".contains(letter);
        if host.is_empty() || text.starts_with(['-', '@']) || host.starts_with('-') || text.contains(odd) {
            return Err(refuse());
        }
        Ok(Self(text.to_owned()))
    }

    /// `host` or `user@host`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host alone, for messages.
    pub fn host(&self) -> &str {
        self.0.rsplit_once('@').map_or(&self.0, |(_, host)| host)
    }
}

/// A path as the server is told it: no `~`, no `..`, no slash at the end; `.` is the home.
pub fn remote_path(typed: &[u8]) -> Result<Vec<u8>, AddressError> {
    let refuse = |why| Err(AddressError::Path { path: printable(typed), why });
    let path = match typed {
        b"~" => b"",
        [b'~', b'/', rest @ ..] => &rest[rest.iter().take_while(|&&byte| byte == b'/').count()..],
        [b'~', ..] => return refuse("another user's home must be written as an absolute path"),
        _ => typed,
    };
    if path.contains(&0) {
        return refuse("it holds a NUL byte");
    }
    let parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&b"..".as_slice()) {
        return refuse("`..` is not followed there");
    }
    let joined = parts.join(&b'/');
    Ok(match (path.first(), joined.is_empty()) {
        (Some(b'/'), _) => [b"/".as_slice(), &joined].concat(),
        (_, true) => b".".to_vec(),
        _ => joined,
    })
}

/// Bytes as an OS string, for paths that came from a config file.
pub(crate) fn os_string(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn remote(typed: &str) -> (String, String) {
        match Address::parse(OsStr::new(typed)) {
            Ok(Address::Remote(address)) => {
                (address.destination.as_str().to_owned(), String::from_utf8(address.path).expect("a test path"))
            }
            other => panic!("{typed}: {other:?}"),
        }
    }

    #[track_caller]
    fn local(typed: &str) {
        assert_eq!(Address::parse(OsStr::new(typed)), Ok(Address::Local(PathBuf::from(typed))));
    }

    #[track_caller]
    fn refused(typed: &str) {
        assert!(Address::parse(OsStr::new(typed)).is_err(), "{typed}");
    }

    #[test]
    fn a_colon_names_a_host_unless_a_slash_comes_first() {
        assert_eq!(remote("host:Maildir"), ("host".into(), "Maildir".into()));
        assert_eq!(remote("me@host:/var/mail/"), ("me@host".into(), "/var/mail".into()));
        local("./host:Maildir");
        local("/a:b");
        local("Maildir");
    }

    #[test]
    fn a_host_alone_is_its_home_directory() {
        assert_eq!(remote("host:"), ("host".into(), ".".into()));
        assert_eq!(remote("host:~"), ("host".into(), ".".into()));
        assert_eq!(remote("host:~/Mail//x/"), ("host".into(), "Mail/x".into()));
        assert_eq!(remote("host:/"), ("host".into(), "/".into()));
    }

    #[test]
    fn brackets_hold_an_ipv6_address() {
        assert_eq!(remote("[::1]:Mail"), ("::1".into(), "Mail".into()));
        assert_eq!(remote("me@[fe80::1%eth0]:Mail"), ("me@fe80::1%eth0".into(), "Mail".into()));
        refused("[::1");
        refused("[::1]Mail");
    }

    #[test]
    fn what_ssh_would_take_for_an_option_is_refused() {
        refused("-oProxyCommand=x:Mail");
        refused("me@-host:Mail");
        refused("-me@host:Mail");
        refused("@host:Mail");
        refused("ho st:Mail");
        refused("host;id:Mail");
        refused(":Mail");
        refused("host::module");
        refused("");
    }

    #[test]
    fn paths_that_leave_their_place_are_refused() {
        refused("host:../x");
        refused("host:a/../../x");
        refused("host:~other/Mail");
    }
}
