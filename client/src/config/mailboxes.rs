//! Mailbox roots as a config file writes them: several words, `%20` for a space (and `%XX` for any byte), from the home
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

/// The words of a value; `%XX` stands for the byte of that number, so `%20` is a space within one.
pub fn words(value: &[u8]) -> Vec<Vec<u8>> {
    split(value).map(|word| letters(word).map(|letter| letter.byte).collect()).collect()
}

/// The patterns of an exclude: words, with a leading `~/` taken away as it is from paths. What is written `%XX` means itself
/// and is no wildcard; `?` stands for a byte that is no UTF-8.
pub fn patterns(value: &[u8]) -> Vec<Vec<u8>> {
    split(value).map(pattern).collect()
}

fn split(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

fn pattern(word: &[u8]) -> Vec<u8> {
    let (back, word) = word.strip_prefix(b"!").map_or((&b""[..], word), |rest| (&b"!"[..], rest));
    let word = word.strip_prefix(b"~/").unwrap_or(word);
    let mut out = back.to_vec();
    for letter in letters(word) {
        if letter.is_coded && b"\\*?[]{},!".contains(&letter.byte) {
            out.push(b'\\');
        }
        out.push(letter.byte);
    }
    let chunks = out.utf8_chunks();
    chunks.flat_map(|chunk| chunk.valid().bytes().chain(chunk.invalid().iter().map(|_| b'?'))).collect()
}

/// A byte of a word.
struct Letter {
    byte: u8,
    /// It was written as `%XX`.
    is_coded: bool,
}

fn letters(word: &[u8]) -> impl Iterator<Item = Letter> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let (&byte, tail) = rest.split_first()?;
        let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let coded = (byte == b'%').then(|| Some(digit(0)? << 4 | digit(1)?)).flatten();
        rest = if coded.is_some() { &tail[2..] } else { tail };
        Some(Letter { byte: coded.unwrap_or(byte), is_coded: coded.is_some() })
    })
}

/// A path in one spelling: no `~/`, no `.`, no doubled slash and none at the end. The home
/// directory itself is empty.
fn written(path: &[u8]) -> Result<Vec<u8>, AddressError> {
    let path = remote_path(path)?;
    Ok(if path == b"." { Vec::new() } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_and_two_digits_are_the_byte_of_that_number() {
        assert_eq!(
            words(b" a%20b\tc%41 \n%2 %zz %c3%A9% %2541"),
            [&b"a b"[..], b"cA", b"%2", b"%zz", b"\xc3\xa9%", b"%41"]
        );
    }

    #[test]
    fn what_a_pattern_writes_by_its_number_means_itself() {
        let table = [
            ("~/M/a%20b", "M/a b"),
            ("!~/M/R%26D", "!M/R&D"),
            ("M/%5BGmail%5D.*", r"M/\[Gmail\].*"),
            ("%21x%2A", r"\!x\*"),
            ("M/%c3%a9%E9", "M/\u{e9}?"),
        ];
        for (written, pattern) in table {
            assert_eq!(patterns(written.as_bytes()), [pattern.as_bytes().to_vec()], "{written}");
        }
        assert_eq!(patterns(b"M/\xff"), [b"M/?".to_vec()]);
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
