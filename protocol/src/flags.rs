//! The flags of a message: the letters after `:2,`, and whatever else stands there, carried along.
//!
//! Which letter means what is not decided here, but for `T` (trashed), which a union without a base
//! keeps only where both have it.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::names::NAME_MAX;
use crate::seeded;

/// The letters of an info part, and its remainder.
///
/// Spelling is not part of it: order and repetition of letters, and an empty `:2,`, make no difference.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u64, Option<Box<[u8]>>)", into = "(u64, Option<Box<[u8]>>)")]
pub struct Flags {
    /// Bits 0..26 are `A`..`Z`, bits 26..52 are `a`..`z`.
    letters: u64,
    /// What follows the letters, from the first byte that is none (a comma, a digit, …). An info part that
    /// does not begin with `2,` is kept whole behind a NUL, which no file name holds.
    rest: Option<Box<[u8]>>,
}

fn bit(letter: u8) -> Option<u64> {
    match letter {
        b'A'..=b'Z' => Some(1 << (letter - b'A')),
        b'a'..=b'z' => Some(1 << (letter - b'a' + 26)),
        _ => None,
    }
}

const ALL: u64 = (1 << 52) - 1;
const FOREIGN: u8 = 0;
const TRASHED: u64 = 1 << (b'T' - b'A');

impl TryFrom<(u64, Option<Box<[u8]>>)> for Flags {
    type Error = &'static str;

    /// Takes raw parts, as from the wire, of no more bytes than a file name may have.
    fn try_from((letters, rest): (u64, Option<Box<[u8]>>)) -> Result<Self, Self::Error> {
        match rest.as_ref().map_or(0, |rest| rest.len()) <= NAME_MAX {
            true => Ok(Self::normal(letters, rest)),
            false => Err("flags that are longer than a file name"),
        }
    }
}

impl Flags {
    /// Takes raw parts into the one normal form; bits that are no letters are dropped.
    fn normal(letters: u64, rest: Option<Box<[u8]>>) -> Self {
        let mut normal = match rest.as_deref() {
            // A foreign info part can carry no letters of ours: with letters it moves behind a comma.
            Some([FOREIGN, info @ ..]) if letters & ALL != 0 => {
                Self { letters: 0, rest: Some([b",", info].concat().into()) }
            }
            Some([FOREIGN, info @ ..]) => Self::from_info(info),
            Some(rest) => Self::from_info(&[b"2,", rest].concat()),
            None => Self::default(),
        };
        normal.letters |= letters & ALL;
        if let Some(rest) = &mut normal.rest {
            let from = usize::from(rest[0] == FOREIGN);
            rest[from..].iter_mut().filter(|b| matches!(**b, 0 | b'/')).for_each(|b| *b = b'_');
        }
        normal
    }
}

impl From<Flags> for (u64, Option<Box<[u8]>>) {
    fn from(flags: Flags) -> Self {
        (flags.letters, flags.rest)
    }
}

impl Flags {
    /// Reads an info part: what follows the first `:` of a file name.
    pub fn from_info(info: &[u8]) -> Self {
        let Some(list) = info.strip_prefix(b"2,") else {
            // A bare `x:` says nothing; anything else foreign is kept as it stands.
            return Self { letters: 0, rest: (!info.is_empty()).then(|| [&[FOREIGN], info].concat().into()) };
        };
        let end = list.iter().position(|&b| bit(b).is_none()).unwrap_or(list.len());
        let letters = list[..end].iter().filter_map(|&b| bit(b)).fold(0, |all, one| all | one);
        Self { letters, rest: (end < list.len() && !seeded::is("drops-unknown-flags")).then(|| list[end..].into()) }
    }

    /// Reads letters such as `FS`; other bytes are ignored. For tests and tools.
    pub fn from_letters(letters: &str) -> Self {
        Self { letters: letters.bytes().filter_map(bit).fold(0, |all, one| all | one), rest: None }
    }

    /// Whether nothing at all is said.
    pub fn is_empty(&self) -> bool {
        self.letters == 0 && self.rest.is_none()
    }

    /// Whether this letter is set.
    pub fn has(&self, letter: u8) -> bool {
        bit(letter).is_some_and(|bit| self.letters & bit != 0)
    }

    /// The letters in order.
    pub fn letters(&self) -> impl Iterator<Item = u8> + '_ {
        (b'A'..=b'Z').chain(b'a'..=b'z').filter(|&l| self.has(l))
    }

    /// What is carried along untouched, if anything; in the stored form, see [`Flags::from_stored`].
    pub fn rest(&self) -> Option<&[u8]> {
        self.rest.as_deref()
    }

    /// Puts letters and a stored remainder together again (the reverse of [`Flags::letters`] and [`Flags::rest`]).
    pub fn from_stored(letters: &[u8], rest: Option<&[u8]>) -> Self {
        Self::normal(letters.iter().filter_map(|&b| bit(b)).fold(0, |all, one| all | one), rest.map(Box::from))
    }

    /// Appends `:2,` and the letters in order, or the foreign info part, to a file name.
    pub fn write_info(&self, name: &mut Vec<u8>) {
        if let Some([FOREIGN, info @ ..]) = self.rest.as_deref() {
            name.push(b':');
            name.extend_from_slice(info);
            return;
        }
        name.extend_from_slice(b":2,");
        name.extend(self.letters());
        name.extend_from_slice(self.rest.as_deref().unwrap_or_default());
    }

    /// Merges letter by letter against the base: a side that changed a letter decides it. Of two changed
    /// remainders `second` (the server's) is kept.
    pub fn merge(base: &Self, first: &Self, second: &Self) -> Self {
        let base = if seeded::is("flags-last-writer-wins") { first } else { base };
        let both = base.letters & first.letters & second.letters;
        let added = !base.letters & (first.letters | second.letters);
        let rest = if second.rest == base.rest { &first.rest } else { &second.rest };
        Self::normal(both | added, rest.clone())
    }

    /// Merges without a base: the union, but `T` only where both have it, since no side may delete what
    /// the other may never have seen.
    pub fn union(first: &Self, second: &Self) -> Self {
        let both = if seeded::is("trashed-by-one-host") {
            first.letters | second.letters
        } else {
            first.letters & second.letters
        };
        let letters = (first.letters | second.letters) & !TRASHED | (both & TRASHED);
        Self::normal(letters, second.rest.clone().or_else(|| first.rest.clone()))
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Shows the letters and the escaped remainder.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.letters() {
            write!(f, "{}", char::from(letter))?;
        }
        let rest = self.rest.as_deref().unwrap_or_default();
        f.write_str(&crate::names::printable(rest.strip_prefix(&[FOREIGN]).unwrap_or(rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(flags: &Flags) -> String {
        let mut name = Vec::new();
        flags.write_info(&mut name);
        String::from_utf8(name).expect("ascii")
    }

    #[test]
    fn unknown_letters_and_remainders_are_carried() {
        for (info, expect) in [
            ("2,", ":2,"),
            ("2,SF", ":2,FS"),
            ("2,SS", ":2,S"),
            ("2,sS", ":2,Ss"),
            ("2,S,foo", ":2,S,foo"),
            ("2,S1", ":2,S1"),
            ("2,ab,U=5", ":2,ab,U=5"),
            ("1,x", ":1,x"),
            ("", ":2,"),
            ("x:y", ":x:y"),
            ("2,,2,S", ":2,,2,S"),
        ] {
            assert_eq!(spelled(&Flags::from_info(info.as_bytes())), expect, "{info}");
        }
    }

    #[test]
    fn what_is_spelled_reads_back_the_same() {
        for info in ["2,", "2,FS,x:y", "1,x", "2,S:2,F", "zz"] {
            let flags = Flags::from_info(info.as_bytes());
            assert_eq!(Flags::from_info(&spelled(&flags).as_bytes()[1..]), flags, "{info}");
        }
        let merged = Flags::union(&Flags::from_info(b"1,x"), &Flags::from_letters("S"));
        assert_eq!(Flags::from_info(&spelled(&merged).as_bytes()[1..]), merged);
    }

    #[test]
    fn each_letter_merges_by_the_side_that_changed_it() {
        for (base, ours, theirs, expect) in [
            ("", "S", "F", "FS"),
            ("S", "", "S", ""),
            ("S", "", "FS", "F"),
            ("S", "", "", ""),
            ("FS", "F", "S", ""),
            ("", "T", "", "T"),
            ("", "a", "b", "ab"),
            ("P", "PRS", "P", "PRS"),
        ] {
            let f = Flags::from_letters;
            assert_eq!(Flags::merge(&f(base), &f(ours), &f(theirs)), f(expect), "{base}|{ours}|{theirs}");
        }
    }

    #[test]
    fn without_a_base_flags_unite_but_trash_needs_both() {
        let f = Flags::from_letters;
        assert_eq!(Flags::union(&f("ST"), &f("F")), f("FS"));
        assert_eq!(Flags::union(&f("ST"), &f("T")), f("ST"));
    }
}
