//! Where the other mailbox root is, as typed: a path on this host, `[user@]host:path`, or `ssh://[user@]host[:port]/path`.
//!
//! The rules are those of rsync and scp, and for `ssh://` those of git. What either of them would take for another thing than was
//! meant (a port, an address of IPv6, another scheme) is refused with the right spelling. Deliberately not here: looking
//! at a disk or a network.

use std::ffi::{OsStr, OsString};
use std::net::Ipv6Addr;
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
    /// The port, where one was typed.
    pub port: Option<u16>,
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
    /// `:path`, `@host:path`, `ssh:///path`: something before the path is empty.
    #[error("`{typed}`: the {what} name is missing; write [USER@]HOST:PATH, or ssh://[USER@]HOST[:PORT]/PATH")]
    Missing {
        /// What was typed, or the part of it that stands for the host.
        typed: String,
        /// `host` or `user`.
        what: &'static str,
    },
    /// The host would be taken for an option, or has letters that no host has.
    #[error("`{0}` cannot be the name of a host")]
    Host(String),
    /// `host::module` is rsync's own protocol.
    #[error("`{0}` has two colons: there is no rsync daemon here, write host:path")]
    Daemon(String),
    /// `host:port:path`: a directory of that name would be made.
    #[error(
        "`{typed}` has a port where the path is; write {url}, or --rsh 'ssh -p {port}' {plain}\n\n  \
             tip: a directory that begins with `{port}:` is written as HOST:./{port}:…"
    )]
    Port {
        /// What was typed.
        typed: String,
        /// The port.
        port: u16,
        /// The same as it is understood.
        url: String,
        /// The same without the port.
        plain: String,
    },
    /// An address of IPv6 without brackets, with the right spelling.
    #[error("`{typed}`: an address of IPv6 stands in brackets, write {right}")]
    Brackets {
        /// What was typed.
        typed: String,
        /// The same in brackets.
        right: String,
    },
    /// `scheme://…`, but not of ssh.
    #[error("`{0}` is reached by ssh alone: write host:path, or ssh://[user@]host[:port]/path")]
    Scheme(String),
    /// `ssh://host` without a directory.
    #[error(
        "`{0}` names no directory: write ssh://host/~/Maildir for one below the home directory, ssh://host/srv/mail for any other"
    )]
    NoPath(String),
    /// What stands between the host and the path of `ssh://` is no port.
    #[error("`{0}` has no port from 1 to 65535 after its host")]
    BadPort(String),
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
    ///
    /// # Errors
    /// When it cannot be a root, or would be taken for another thing than was meant.
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
        if let Some(rest) = bytes[colon..].strip_prefix(b"://") {
            return match bytes[..colon].eq_ignore_ascii_case(b"ssh") {
                true => url(bytes, rest).map(Self::Remote),
                false => Err(AddressError::Scheme(printable(bytes))),
            };
        }
        let at = bytes[..colon].iter().rposition(|&byte| byte == b'@').map_or(0, |at| at + 1);
        let (user, rest) = bytes.split_at(at);
        let (host, path) = if rest.first() == Some(&b'[') {
            let end = rest.windows(2).position(|pair| pair == b"]:");
            let end = end.ok_or_else(|| AddressError::Host(printable(bytes)))?;
            (&rest[1..end], &rest[end + 2..])
        } else {
            without_brackets(bytes, user, rest)?;
            (&bytes[at..colon], &bytes[colon + 1..])
        };
        named(bytes, user, host)?;
        if path.first() == Some(&b':') {
            return Err(AddressError::Daemon(printable(bytes)));
        }
        let destination = Destination::parse(&[user, host].concat())?;
        if let Some((port, path)) = leading_port(path) {
            return Err(port_in_path(bytes, &destination, port, path));
        }
        Ok(Self::Remote(RemoteAddress { destination, port: None, path: remote_path(path)? }))
    }
}

/// Refuses what has nothing where the host is to stand, or the user before an `@`.
fn named(typed: &[u8], user: &[u8], host: &[u8]) -> Result<(), AddressError> {
    let missing = |what| Err(AddressError::Missing { typed: printable(typed), what });
    match (host, user) {
        (b"", _) => missing("host"),
        (_, b"@") => missing("user"),
        _ => Ok(()),
    }
}

/// `host`, `host:port`, `[address]` or `[address]:port`, then a path from the root directory; `/~/` is the home directory.
fn url(typed: &[u8], rest: &[u8]) -> Result<RemoteAddress, AddressError> {
    let no_path = || AddressError::NoPath(printable(typed));
    let slash = rest.iter().position(|&byte| byte == b'/').ok_or_else(no_path)?;
    let (authority, path) = (decoded(&rest[..slash]), decoded(&rest[slash..]));
    let at = authority.iter().rposition(|&byte| byte == b'@').map_or(0, |at| at + 1);
    let (user, rest) = authority.split_at(at);
    let (host, port) = match rest.strip_prefix(b"[") {
        Some(rest) => {
            let end = rest.iter().position(|&byte| byte == b']');
            let end = end.ok_or_else(|| AddressError::Host(printable(typed)))?;
            (&rest[..end], &rest[end + 1..])
        }
        None => match rest.iter().position(|&byte| byte == b':') {
            Some(_) if address(rest) => {
                let right = [b"ssh://", user, b"[", rest, b"]", &path].concat();
                return Err(AddressError::Brackets { typed: printable(typed), right: printable(&right) });
            }
            Some(colon) => rest.split_at(colon),
            None => (rest, &b""[..]),
        },
    };
    let port = match port {
        b"" | b":" => None,
        [b':', digits @ ..] => Some(number(digits).ok_or_else(|| AddressError::BadPort(printable(typed)))?),
        _ => return Err(AddressError::BadPort(printable(typed))),
    };
    named(typed, user, host)?;
    let below_home = path.strip_prefix(b"/").filter(|path| path.first() == Some(&b'~'));
    let path = remote_path(below_home.unwrap_or(&path))?;
    if path == b"/" {
        return Err(no_path());
    }
    Ok(RemoteAddress { destination: Destination::parse(&[user, host].concat())?, port, path })
}

/// Bytes with each `%XX` as the byte that it stands for; any other `%` stands for itself.
fn decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two digits of 16 are a byte"));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// A port, and what follows its colon.
fn leading_port(path: &[u8]) -> Option<(u16, &[u8])> {
    let colon = path.iter().position(|&byte| byte == b':')?;
    Some((number(&path[..colon])?, &path[colon + 1..]))
}

fn number(digits: &[u8]) -> Option<u16> {
    let text = str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok().filter(|port| *port > 0)
}

/// The two right spellings of `host:port:path`.
fn port_in_path(typed: &[u8], destination: &Destination, port: u16, path: &[u8]) -> AddressError {
    let host = destination.host();
    let user = destination.as_str().strip_suffix(host).unwrap_or_default();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let path = printable(path);
    let below = match path.as_str() {
        "" => "/~/Maildir".to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path if path.starts_with('~') => format!("/{path}"),
        path => format!("/~/{path}"),
    };
    AddressError::Port {
        typed: printable(typed),
        port,
        url: format!("ssh://{user}{host}:{port}{below}"),
        plain: format!("{user}{host}:{path}"),
    }
}

/// Refuses an address of IPv6 before a path, or alone, that has no brackets around it.
fn without_brackets(typed: &[u8], user: &[u8], rest: &[u8]) -> Result<(), AddressError> {
    let colons = rest.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
    let ends = std::iter::once(rest.len()).chain(colons.collect::<Vec<_>>().into_iter().rev());
    let Some(end) = ends.into_iter().find(|end| address(&rest[..*end])) else { return Ok(()) };
    let path = rest.get(end + 1..).filter(|path| !path.is_empty()).unwrap_or(b"Maildir");
    let right = [user, b"[", &rest[..end], b"]:", path].concat();
    Err(AddressError::Brackets { typed: printable(typed), right: printable(&right) })
}

/// Whether this is an address of IPv6, perhaps with its interface.
fn address(bytes: &[u8]) -> bool {
    let text = str::from_utf8(bytes).unwrap_or_default();
    let (number, zone) = text.split_once('%').unwrap_or((text, "0"));
    number.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && !zone.contains([':', '/'])
}

impl Destination {
    /// Checks that `typed` can be handed to ssh: no option, no blank, no control letter.
    pub fn parse(typed: &[u8]) -> Result<Self, AddressError> {
        let refuse = || AddressError::Host(printable(typed));
        let text = str::from_utf8(typed).map_err(|_| refuse())?;
        let (user, host) =
            text.rsplit_once('@').map_or(("", text), |(_, host)| (&text[..text.len() - host.len()], host));
        // ssh takes an address as it is, without the brackets that set it apart from a path.
        if let Some(inner) =
            host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).filter(|host| address(host.as_bytes()))
        {
            return Self::parse(format!("{user}{inner}").as_bytes());
        }
        // A leading dash would be an option to ssh, in the user's place as well as in the host's.
        named(typed, user.as_bytes(), host.as_bytes())?;
        let odd = |letter: char| letter.is_whitespace() || letter.is_control() || "/'\"\\$`;&|<>()".contains(letter);
        if text.starts_with('-') || host.starts_with('-') || text.contains(odd) {
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
        let (host, port, path) = parts(typed);
        assert_eq!(port, None);
        (host, path)
    }

    #[track_caller]
    fn parts(typed: &str) -> (String, Option<u16>, String) {
        match Address::parse(OsStr::new(typed)) {
            Ok(Address::Remote(RemoteAddress { destination, port, path })) => {
                (destination.as_str().to_owned(), port, String::from_utf8(path).expect("a test path"))
            }
            other => panic!("{typed}: {other:?}"),
        }
    }

    #[track_caller]
    fn text(typed: &str) -> String {
        Address::parse(OsStr::new(typed)).expect_err(typed).to_string()
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
    fn an_address_of_ipv6_without_brackets_is_refused_with_them() {
        for (typed, right) in [
            ("me@::1:Maildir", "me@[::1]:Maildir"),
            ("::1:Maildir", "[::1]:Maildir"),
            ("::1", "[::1]:Maildir"),
            ("2001:db8::1:Maildir", "[2001:db8::1]:Maildir"),
            ("me@fe80::1%eth0:/srv/mail", "me@[fe80::1%eth0]:/srv/mail"),
            ("1:2:3:4:5:6:7:8:Mail", "[1:2:3:4:5:6:7:8]:Mail"),
            ("ssh://me@::1/srv/mail", "ssh://me@[::1]/srv/mail"),
        ] {
            assert!(text(typed).ends_with(&format!("write {right}")), "{}", text(typed));
        }
        assert_eq!(Destination::parse(b"me@[::1]").expect("an address").as_str(), "me@::1");
    }

    #[test]
    fn a_port_in_the_place_of_the_path_is_refused_with_the_right_spelling() {
        for (typed, url, plain) in [
            ("host:2222:Maildir", "ssh://host:2222/~/Maildir", "host:Maildir"),
            ("me@host:22:/srv/mail", "ssh://me@host:22/srv/mail", "me@host:/srv/mail"),
            ("me@host:22:~/Mail", "ssh://me@host:22/~/Mail", "me@host:~/Mail"),
            ("host:2222:", "ssh://host:2222/~/Maildir", "host:"),
            ("[::1]:2222:Mail", "ssh://[::1]:2222/~/Mail", "[::1]:Mail"),
        ] {
            let text = text(typed);
            assert!(
                text.contains(&format!("write {url}, or --rsh 'ssh -p ")) && text.contains(&format!("' {plain}")),
                "{text}"
            );
            assert!(matches!(Address::parse(OsStr::new(url)), Ok(Address::Remote(_))), "{url} is refused itself");
        }
        assert_eq!(remote("host:./2222:Maildir"), ("host".into(), "2222:Maildir".into()));
        assert_eq!(remote("host:2024"), ("host".into(), "2024".into()));
        assert_eq!(remote("host:a:b"), ("host".into(), "a:b".into()));
        assert_eq!(remote("host:99999:b"), ("host".into(), "99999:b".into()));
    }

    #[test]
    fn an_ssh_url_is_taken_as_git_takes_it() {
        for (typed, host, port, path) in [
            ("ssh://me@host:2222/Maildir", "me@host", Some(2222), "/Maildir"),
            ("ssh://host/~/Maildir", "host", None, "Maildir"),
            ("ssh://host:/srv//mail/", "host", None, "/srv/mail"),
            ("SSH://[::1]:22/~/a%20b", "::1", Some(22), "a b"),
            ("ssh://a%40b@host/~", "a@b@host", None, "."),
            ("ssh://host/100%/x", "host", None, "/100%/x"),
        ] {
            assert_eq!(parts(typed), (host.into(), port, path.into()));
        }
        for typed in ["ssh://host", "ssh://host/", "ssh:///x", "ssh://host:0/x", "ssh://host:x/y", "ssh://host:70000/y"]
        {
            refused(typed);
        }
        for typed in
            ["ssh://-oProxyCommand=x/y", "ssh://host/a/../b", "ssh://host/~other/x", "ssh://h%20t/x", "ssh://[::1/x"]
        {
            refused(typed);
        }
        for typed in ["imaps://host/Maildir", "rsync://host/x", "file:///srv/mail"] {
            assert!(text(typed).contains("is reached by ssh alone"), "{typed}");
        }
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
    fn an_empty_name_is_called_missing_and_not_a_wrong_one() {
        for (typed, what) in [
            (":Maildir", "host"),
            (":", "host"),
            ("me@:x", "host"),
            ("@:x", "host"),
            ("[]:x", "host"),
            ("ssh:///x", "host"),
            ("ssh://:22/x", "host"),
            ("ssh://me@/x", "host"),
            ("ssh://[]/x", "host"),
            ("@host:x", "user"),
            ("ssh://@host/x", "user"),
        ] {
            let text = text(typed);
            assert!(
                text.starts_with(&format!("`{typed}`: the {what} name is missing; write [USER@]HOST:PATH")),
                "{text}"
            );
        }
        for (typed, what) in [("", "host"), ("me@", "host"), ("@", "host"), ("@host", "user")] {
            let error = Destination::parse(typed.as_bytes()).expect_err(typed);
            assert_eq!(error, AddressError::Missing { typed: typed.to_owned(), what });
        }
    }

    #[test]
    fn paths_that_leave_their_place_are_refused() {
        refused("host:../x");
        refused("host:a/../../x");
        refused("host:~other/Mail");
    }
}
