//! Mailbox roots as a config file writes them: several words, `%20` for a space, from the home
//! directory of each host.
//!
//! Deliberately not here: the disk. Whether roots lie inside one another is seen in
//! [`crate::endpoint`].

use std::path::{Path, PathBuf};

use crate::address::{AddressError, os_string, remote_path};

/// One root: its path at either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxPair {
    /// As written for this host, without a slash at the end: what excludes are matched against.
    pub local: Vec<u8>,
    /// As written for the server, likewise.
    pub remote_written: Vec<u8>,
    /// As the server is told it.
    pub remote: Vec<u8>,
}

impl MailboxPair {
    /// Checks both paths. `shared_home` is the home directory of this host when both sides share
    /// one text: `$HOME/Mail` then means the home of each.
    pub fn new(local: &[u8], remote: &[u8], shared_home: Option<&[u8]>) -> Result<Self, AddressError> {
        let below_home = shared_home.and_then(|home| remote.strip_prefix(home)?.strip_prefix(b"/"));
        Ok(Self {
            local: written(local)?,
            remote_written: written(remote)?,
            remote: remote_path(below_home.unwrap_or(remote))?,
        })
    }

    /// The path at this host, absolute.
    pub fn local_path(&self, user: &Path) -> PathBuf {
        if self.local.is_empty() { user.to_owned() } else { user.join(os_string(&self.local)) }
    }
}

/// The words of a value; `%20` is a space within one.
pub fn words(value: &[u8]) -> Vec<Vec<u8>> {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.map(unescape).collect()
}

/// The patterns of an exclude: words, with a leading `~/` taken away as it is from paths.
pub fn patterns(value: &[u8]) -> Vec<Vec<u8>> {
    let strip = |word: Vec<u8>| word.strip_prefix(b"~/").map(<[u8]>::to_vec).unwrap_or(word);
    words(value).into_iter().map(strip).collect()
}

/// A path in one spelling: no `~/`, no `.`, no doubled slash and none at the end. The home
/// directory itself is empty.
fn written(path: &[u8]) -> Result<Vec<u8>, AddressError> {
    let path = remote_path(path)?;
    Ok(if path == b"." { Vec::new() } else { path })
}

fn unescape(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = match rest.strip_prefix(b"%20") {
            Some(tail) => {
                out.push(b' ');
                tail
            }
            None => {
                out.push(byte);
                tail
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_twenty_is_a_space_and_nothing_else_is_unescaped() {
        assert_eq!(words(b" a%20b\tc%41 \n%2 "), [b"a b".to_vec(), b"c%41".to_vec(), b"%2".to_vec()]);
    }

    #[test]
    fn paths_start_from_the_home_of_each_host() {
        let pair = MailboxPair::new(b"~/Mail/", b"Mail//x/.", None).expect("paths");
        assert_eq!(pair.local_path(Path::new("/home/me")), Path::new("/home/me/Mail"));
        assert_eq!((pair.local.as_slice(), pair.remote.as_slice()), (b"Mail".as_slice(), b"Mail/x".as_slice()));
        let home = MailboxPair::new(b".", b"~", None).expect("paths");
        assert_eq!(home.local_path(Path::new("/home/me")), Path::new("/home/me"));
    }

    #[test]
    fn the_home_of_this_host_is_not_imposed_on_the_server() {
        let text = b"/home/me/Mail".as_slice();
        let shared = MailboxPair::new(text, text, Some(b"/home/me")).expect("paths");
        assert_eq!((shared.remote.as_slice(), shared.remote_written.as_slice()), (b"Mail".as_slice(), text));
        let meant = MailboxPair::new(text, text, None).expect("paths");
        assert_eq!(meant.remote, text);
    }
}
