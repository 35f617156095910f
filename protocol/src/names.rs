//! Names as bytes, parsed once into types that cannot be wrong.
//!
//! A [`Folder`] or [`Uniq`] that exists is safe to hand to `openat` component by component: it has no
//! `/`, no NUL, no `.` or `..`, and fits the limits below. Everything off the wire or out of a state
//! file becomes one of these types before anything else looks at it.
//!
//! Deliberately not here: symlinks, mount points, case folding. Those are properties of a disk, and
//! are looked at when it is touched.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

use crate::flags::Flags;
use crate::seeded;
pub use crate::told::printable;

/// Longest name of one directory entry, in bytes (POSIX `NAME_MAX` on every file system we know).
pub const NAME_MAX: usize = 255;
/// Longest folder name in bytes, components and separators together (Linux `PATH_MAX`): no program can name a longer one in
/// one piece. It bounds the depth as well, to half as many components.
pub const FOLDER_MAX: usize = 4096;
/// Directory in a root that holds the grave when `~/.smd` is on another file system. Never a folder.
pub const GRAVE_DIR: &[u8] = b"..smd-grave";

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {name:?}: {why}", name = String::from_utf8_lossy(.name))]
pub struct NameError {
    /// `folder` or `uniq`.
    pub what: &'static str,
    /// The bytes as they came, cut to 64.
    pub name: Vec<u8>,
    /// The rule that they break.
    pub why: &'static str,
}

fn refuse(what: &'static str, name: &[u8], why: &'static str) -> NameError {
    NameError { what, name: name[..name.len().min(64)].to_vec(), why }
}

/// Checks one directory-entry name; gives the broken rule.
fn component_rule(name: &[u8]) -> Result<(), &'static str> {
    match name {
        b"" => Err("is empty"),
        b"." | b".." if !seeded::is("dot-dot-is-a-folder") => Err("is a dot name"),
        _ if name.len() > NAME_MAX => Err("is longer than 255 bytes"),
        _ if name.iter().any(|&b| b == b'/' || b == 0) => Err("contains a slash or NUL"),
        _ => Ok(()),
    }
}

/// A folder: its path components below the root, joined by `/`. The root itself is the empty folder.
///
/// Cloning is cheap. Order is that of the joined bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folder(Arc<[u8]>);

impl Folder {
    /// The root of a mailbox tree, as a folder.
    pub fn root() -> Self {
        Self(Arc::from(&b""[..]))
    }

    /// Parses components joined by `/`. Empty bytes are the root.
    ///
    /// # Errors
    /// When a component is empty, `.`, `..`, `cur`, `new`, `tmp` or the grave, holds NUL, or a limit is passed.
    pub fn parse(joined: &[u8]) -> Result<Self, NameError> {
        if joined.is_empty() {
            return Ok(Self::root());
        }
        Self::from_components(joined.split(|&b| b == b'/'))
    }

    /// Builds a folder from its components.
    ///
    /// # Errors
    /// As [`Folder::parse`]; a component that contains `/` is refused too.
    pub fn from_components<'a>(components: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameError> {
        let mut joined = Vec::new();
        for (depth, component) in components.into_iter().enumerate() {
            component_rule(component).map_err(|why| refuse("folder", component, why))?;
            if matches!(component, b"cur" | b"new" | b"tmp") {
                return Err(refuse("folder", component, "is a name inside every folder"));
            }
            if component == GRAVE_DIR {
                return Err(refuse("folder", component, "is where deleted messages are kept"));
            }
            if depth > 0 {
                joined.push(b'/');
            }
            joined.extend_from_slice(component);
            if joined.len() > FOLDER_MAX {
                return Err(refuse("folder", &joined, "is longer than 4096 bytes"));
            }
        }
        Ok(Self(joined.into()))
    }

    /// The folder one component below this one.
    ///
    /// # Errors
    /// As [`Folder::parse`].
    pub fn child(&self, component: &[u8]) -> Result<Self, NameError> {
        Self::from_components(self.components().chain(std::iter::once(component)))
    }

    /// The components below the root; none for the root itself.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|c| !c.is_empty())
    }

    /// The components joined by `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// This folder, and those above it up to the root, which is only given for itself.
    pub fn and_above(&self) -> impl Iterator<Item = Self> {
        let mut next = Some(&self.0[..]);
        std::iter::from_fn(move || {
            let path = next?;
            next = path.iter().rposition(|&b| b == b'/').map(|slash| &path[..slash]);
            Some(Self(path.into()))
        })
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Shows the joined components with control and non-UTF-8 bytes escaped; the root is `.`.
impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() { f.write_str(".") } else { f.write_str(&printable(&self.0)) }
    }
}

/// The part of a message's file name before `:`. Never parsed further.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uniq(Box<[u8]>);

impl Uniq {
    /// Parses a uniq.
    ///
    /// # Errors
    /// When it is empty, begins with a dot (no message does), holds `/`, NUL or `:`, or passes 255 bytes.
    pub fn parse(name: &[u8]) -> Result<Self, NameError> {
        component_rule(name).map_err(|why| refuse("uniq", name, why))?;
        if name[0] == b'.' {
            return Err(refuse("uniq", name, "begins with a dot"));
        }
        if name.contains(&b':') {
            return Err(refuse("uniq", name, "contains a colon"));
        }
        Ok(Self(name.into()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Uniq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Shows the bytes with control and non-UTF-8 bytes escaped.
impl fmt::Display for Uniq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

/// Where a message is: the key under which base, ours and theirs are compared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// The folder.
    pub folder: Folder,
    /// The uniq within it.
    pub uniq: Uniq,
}

impl Name {
    /// Puts the two together.
    pub fn new(folder: &Folder, uniq: &Uniq) -> Self {
        Self { folder: folder.clone(), uniq: uniq.clone() }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.folder.is_root() { write!(f, "{}", self.uniq) } else { write!(f, "{}/{}", self.folder, self.uniq) }
    }
}

/// A file name in `cur/` or `new/`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    /// The part before the first `:`.
    pub uniq: Uniq,
    /// What the part after it says.
    pub flags: Flags,
}

impl FileName {
    /// Takes a file name apart at its first `:` (the info separator of the Maildir page).
    ///
    /// # Errors
    /// When the part before it is no [`Uniq`]; names that begin with a dot are no messages.
    pub fn parse(name: &[u8]) -> Result<Self, NameError> {
        let (uniq, info) = match name.iter().position(|&b| b == b':') {
            Some(colon) => (&name[..colon], Some(&name[colon + 1..])),
            None => (name, None),
        };
        Ok(Self { uniq: Uniq::parse(uniq)?, flags: info.map_or_else(Flags::default, Flags::from_info) })
    }

    /// Composes the file name that we give: in `cur` with `:2,`, unless only that made it too long, in `new` only when there
    /// are flags. May be longer than [`NAME_MAX`]; the file system then refuses it.
    pub fn spell(uniq: &Uniq, in_cur: bool, flags: &Flags) -> Vec<u8> {
        let mut name = uniq.as_bytes().to_vec();
        let marked = in_cur && name.len() + b":2,".len() <= NAME_MAX;
        if marked || !flags.is_empty() {
            flags.write_info(&mut name);
        }
        name
    }
}

impl Uniq {
    /// What a file name says behind this uniq, when we would spell the message otherwise.
    pub fn spelling<'a>(&self, file: &'a [u8], in_cur: bool, flags: &Flags) -> Option<&'a [u8]> {
        let suffix = file.strip_prefix(self.as_bytes())?;
        (FileName::spell(self, in_cur, flags) != file).then_some(suffix)
    }

    /// The file name that says this behind the uniq; none when that would be another message, or one with other flags.
    pub fn spelled(&self, suffix: &[u8], flags: &Flags) -> Option<Vec<u8>> {
        let file = [self.as_bytes(), suffix].concat();
        let fits = file.len() <= NAME_MAX && component_rule(&file).is_ok();
        let same = |name: FileName| name.uniq == *self && name.flags == *flags;
        ((fits && FileName::parse(&file).is_ok_and(same)) || seeded::is("any-spelling-is-taken")).then_some(file)
    }
}

pub(crate) struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name as bytes")
    }

    fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<Vec<u8>, E> {
        Ok(v.to_vec())
    }

    fn visit_byte_buf<E: de::Error>(self, v: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(v)
    }
}

impl Serialize for Uniq {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}

/// Refuses what [`Uniq::parse`] refuses.
impl<'de> Deserialize<'de> for Uniq {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let bytes = d.deserialize_byte_buf(BytesVisitor)?;
        Self::parse(&bytes).map_err(de::Error::custom)
    }
}

impl Serialize for Folder {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}

/// Refuses what [`Folder::parse`] refuses. A component cannot hold `/`, so the joined form is exact.
impl<'de> Deserialize<'de> for Folder {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let bytes = d.deserialize_byte_buf(BytesVisitor)?;
        Self::parse(&bytes).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_folders_are_refused() {
        for bad in [
            &b".."[..],
            b"../x",
            b"a/../../x",
            b"/etc",
            b"a//b",
            b"a/",
            b".",
            b"./x",
            b"cur",
            b"a/cur",
            b"cur/cur",
            b"tmp",
            b"a\0b",
            b"..smd-grave",
            b"x/..smd-grave",
        ] {
            assert!(Folder::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Folder::parse(&[b'a'; 256]).is_err());
        assert!(Folder::parse(&[b'a'; 255]).is_ok());
        assert!(Folder::parse(&b"a/".repeat(2049)[..4097]).is_err());
        assert!(Folder::parse(&b"a/".repeat(2048)[..4095]).is_ok());
        assert!(Folder::from_components([&b"a/b"[..]]).is_err());
    }

    #[test]
    fn folders_of_both_layouts_are_taken() {
        for good in [&b""[..], b".Archive.2024", b"a/b", b"...", b"..cur", b"a b&%\n\xff", b"-x", b"%2e%2e"] {
            assert_eq!(Folder::parse(good).expect("good").as_bytes(), good);
        }
        assert_eq!(Folder::parse(b"a/b").expect("good").components().count(), 2);
        assert_eq!(Folder::root().components().count(), 0);
        let above =
            |path: &[u8]| Folder::parse(path).expect("good").and_above().map(|f| f.to_string()).collect::<Vec<_>>();
        assert_eq!(
            (above(b"a/b/c"), above(b"")),
            (vec!["a/b/c".to_owned(), "a/b".to_owned(), "a".to_owned()], vec![".".to_owned()])
        );
        assert_eq!(Folder::root().child(b"x").expect("good").as_bytes(), b"x");
    }

    #[test]
    fn file_names_are_taken_apart_at_the_first_colon() {
        let flags = |name: &[u8]| FileName::parse(name).expect("parses").flags;
        assert_eq!(FileName::parse(b"x:2,S").expect("parses").uniq.as_bytes(), b"x");
        assert_eq!(flags(b"x"), flags(b"x:2,"));
        assert_eq!(flags(b"x:2,SF"), flags(b"x:2,FS"));
        assert_ne!(flags(b"x:2,s"), flags(b"x:2,S"));
        for bad in [&b".x"[..], b":2,S", b"", b"a/b", b"a\0"] {
            assert!(FileName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_spelled_as_mail_programs_do() {
        let spell = |uniq: &[u8], cur, info: &[u8]| {
            FileName::spell(&Uniq::parse(uniq).expect("uniq"), cur, &Flags::from_info(info))
        };
        assert_eq!(spell(b"x", false, b"2,"), b"x");
        assert_eq!(spell(b"x", true, b"2,"), b"x:2,");
        assert_eq!(spell(b"x", true, b"2,SF"), b"x:2,FS");
        assert_eq!(spell(b"x", false, b"2,S"), b"x:2,S");
        assert_eq!(spell(&[b'x'; 252], true, b"2,").len(), 255);
        assert_eq!(spell(&[b'x'; 253], true, b"2,"), [b'x'; 253]);
        assert_eq!(spell(&[b'x'; 253], true, b"2,S").len(), 257);
    }

    #[test]
    fn a_spelling_is_taken_when_it_says_the_same_of_the_same_message() {
        let uniq = Uniq::parse(b"x").expect("uniq");
        let flags = |info: &[u8]| Flags::from_info(info);
        for (info, suffix) in [(&b""[..], &b""[..]), (b"2,", b""), (b"2,FS", b":2,SF"), (b"2,S", b":2,SS"), (b"", b":")]
        {
            let file = uniq.spelled(suffix, &flags(info)).expect("says the same");
            assert_eq!(file, [b"x", suffix].concat());
            assert_eq!(uniq.spelling(&file, true, &flags(info)), Some(suffix));
        }
        for (info, suffix) in [
            (&b"2,S"[..], &b""[..]),
            (b"", b"y"),
            (b"", b":2,S"),
            (b"2,S", b":2,S/../y"),
            (b"2,S", b":2,S\0"),
            (b"", b"y:2,"),
        ] {
            assert_eq!(uniq.spelled(suffix, &flags(info)), None, "{suffix:?}");
        }
        assert_eq!(uniq.spelled(&[&b":2,"[..], &[b'S'; 300]].concat(), &flags(b"2,S")), None);
        assert_eq!(uniq.spelling(b"x:2,FS", true, &flags(b"2,FS")), None, "as we write it");
        assert_eq!(uniq.spelling(b"other:2,", true, &flags(b"2,")), None);
    }
}
