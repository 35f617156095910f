//! The lines of the base file: how names, entries, ids and changes are written, and read again.
//!
//! Whatever the bytes of a name, a record is one line of printable ASCII: every other byte, the space and
//! the percent sign are `%XX`. Reading gives none for anything that writing does not give in substance;
//! nothing here panics on bytes from a disk.

use std::fmt;
use std::io::Write;

use smd_protocol::delta::Mtime;
use smd_protocol::{BaseId, Content, Delta, Digest, Entry, Flags, Folder, FolderDelta, Place, Presence, Seen, Uniq};
use xxhash_rust::xxh3::Xxh3;

use super::{Identity, Meta, Mount};

/// Appends bytes, those that `keep` refuses as `%XX`.
pub(crate) fn escape(out: &mut Vec<u8>, bytes: &[u8], keep: impl Fn(u8) -> bool) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if keep(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

pub(crate) fn word(out: &mut Vec<u8>, bytes: &[u8]) {
    escape(out, bytes, |b| b.is_ascii_graphic() && b != b'%');
}

pub(crate) fn unescape(word: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word.iter();
    while let Some(&byte) = rest.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            b if b.is_ascii_graphic() => b,
            _ => return None,
        });
    }
    Some(out)
}

/// Appends a formatted piece.
pub(crate) fn put(out: &mut Vec<u8>, piece: fmt::Arguments<'_>) {
    out.write_fmt(piece).expect("memory takes every write");
}

/// Decimal digits and nothing else.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// XXH3 (64 bits) over the parts, one after the other.
pub(super) fn checksum(parts: &[&[u8]]) -> u64 {
    let mut hasher = Xxh3::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.digest()
}

/// The 16 hex digits of a checksum.
pub(super) fn read_checksum(digits: &[u8]) -> Option<u64> {
    let lower = |b: &u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    if digits.len() != 16 || !digits.iter().all(lower) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Exactly `N` words between single spaces.
pub(crate) fn words<const N: usize>(line: &[u8]) -> Option<[&[u8]; N]> {
    let mut found = [&b""[..]; N];
    let mut parts = line.split(|&b| b == b' ');
    for slot in &mut found {
        *slot = parts.next()?;
    }
    parts.next().is_none().then_some(found)
}

/// The root folder is `.`, which no folder is called.
pub(crate) fn put_folder(out: &mut Vec<u8>, folder: &Folder) {
    if folder.is_root() { out.push(b'.') } else { word(out, folder.as_bytes()) }
}

pub(crate) fn read_folder(text: &[u8]) -> Option<Folder> {
    match text {
        b"" => None,
        b"." => Some(Folder::root()),
        _ => Folder::parse(&unescape(text)?).ok(),
    }
}

/// `COUNTER LETTERS`.
pub(super) fn put_id(out: &mut Vec<u8>, id: &BaseId) {
    put(out, format_args!("{} {}", id.counter, id.digest));
}

pub(super) fn read_id(text: &[u8]) -> Option<BaseId> {
    let [counter, letters] = words(text)?;
    Some(BaseId { counter: number(counter)?, digest: Digest::from_letters(letters)? })
}

/// `UNIQ TAB PLACE[ FLAGS] TAB HEADER TAB BODY` and the line's end.
pub(super) fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    word(out, entry.uniq.as_bytes());
    out.push(b'\t');
    out.extend_from_slice(entry.place.dir());
    if !entry.flags.is_empty() {
        out.push(b' ');
        out.extend(entry.flags.letters());
        // The remainder never begins with a letter, as a NUL becomes `%00`: the letters end where it begins.
        word(out, entry.flags.rest().unwrap_or_default());
    }
    for digest in [&entry.content.header, &entry.content.body] {
        out.push(b'\t');
        out.extend_from_slice(&digest.letters());
    }
    out.push(b'\n');
}

/// Reads a line of [`put_entry`], without its end.
pub(super) fn read_entry(line: &[u8]) -> Option<Entry> {
    let mut fields = line.split(|&b| b == b'\t');
    let uniq = Uniq::parse(&unescape(fields.next()?)?).ok()?;
    let (place, flags) = match fields.next()? {
        [b'c', b'u', b'r', flags @ ..] => (Place::Cur, flags),
        [b'n', b'e', b'w', flags @ ..] => (Place::New, flags),
        _ => return None,
    };
    let flags = match flags {
        [] => Flags::default(),
        [b' ', flags @ ..] if !flags.is_empty() => {
            let end = flags.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(flags.len());
            let rest = if end < flags.len() { Some(unescape(&flags[end..])?) } else { None };
            Flags::from_stored(&flags[..end], rest.as_deref())
        }
        _ => return None,
    };
    let header = Digest::from_letters(fields.next()?)?;
    let body = Digest::from_letters(fields.next()?)?;
    fields.next().is_none().then_some(Entry { uniq, place, flags, content: Content { header, body } })
}

/// The lines of a section: its title and its entries.
pub(super) fn put_section(out: &mut Vec<u8>, folder: &Folder, entries: &[Entry]) {
    out.push(b'[');
    put_folder(out, folder);
    out.extend_from_slice(b"]\n");
    entries.iter().for_each(|entry| put_entry(out, entry));
}

/// Reads a section's lines; none unless it is this folder's and holds so many entries, in order.
pub(super) fn read_section(text: &[u8], folder: &Folder, count: u64) -> Option<Vec<Entry>> {
    let text = text.strip_suffix(b"\n")?;
    let mut lines = text.split(|&b| b == b'\n');
    let title = lines.next()?.strip_prefix(b"[")?.strip_suffix(b"]")?;
    if read_folder(title).as_ref() != Some(folder) {
        return None;
    }
    let mut entries = Vec::with_capacity(usize::try_from(count).ok()?.min(text.len() / 64));
    for line in lines {
        entries.push(read_entry(line)?);
    }
    let sorted = entries.windows(2).all(|two| two[0].uniq < two[1].uniq);
    (sorted && entries.len() as u64 == count).then_some(entries)
}

/// `INODE BIRTH`; a dash where they are not known.
fn put_identity(out: &mut Vec<u8>, identity: Option<&Identity>) {
    match identity {
        None => out.push(b'-'),
        Some(Identity { ino, btime: None }) => put(out, format_args!("{ino} -")),
        Some(Identity { ino, btime: Some(born) }) => put(out, format_args!("{ino} {}.{:09}", born.sec, born.nsec)),
    }
}

fn read_identity(text: &[u8]) -> Option<Option<Identity>> {
    if text == b"-" {
        return Some(None);
    }
    let [ino, born] = words(text)?;
    Some(Some(Identity { ino: number(ino)?, btime: if born == b"-" { None } else { Some(read_stamp(born)?) } }))
}

/// The lines that describe the root as it was: `identity`, `excludes`, `translator` if there was one, and a `mount` for
/// each mount point.
pub(super) fn put_meta(out: &mut Vec<u8>, meta: &Meta) {
    out.extend_from_slice(b"identity ");
    put_identity(out, meta.identity.as_ref());
    out.push(b'\n');
    out.extend_from_slice(b"excludes");
    if !meta.excludes.is_empty() {
        out.push(b' ');
        word(out, meta.excludes.as_bytes());
    }
    out.push(b'\n');
    if !meta.translator.is_empty() {
        out.extend_from_slice(b"translator ");
        word(out, meta.translator.as_bytes());
        out.push(b'\n');
    }
    for mount in &meta.mounts {
        out.extend_from_slice(b"mount ");
        put_folder(out, &mount.folder);
        out.push(b' ');
        put_identity(out, mount.identity.as_ref());
        out.push(b'\n');
    }
}

/// A folder and which directory was mounted there; a file of version 1 has the folder alone.
fn read_mount(text: &[u8]) -> Option<Mount> {
    let space = text.iter().position(|&b| b == b' ');
    let (folder, identity) = space.map_or((text, &b"-"[..]), |at| (&text[..at], &text[at + 1..]));
    Some(Mount { folder: read_folder(folder)?, identity: read_identity(identity)? })
}

/// Lines of a text, looked at one ahead.
pub(super) type Lines<'a> = std::iter::Peekable<std::slice::Split<'a, u8, fn(&u8) -> bool>>;

/// The lines of a text that ends with a line's end; no lines of an empty text.
pub(super) fn lines(text: &[u8]) -> Option<Lines<'_>> {
    let end: fn(&u8) -> bool = |&b| b == b'\n';
    let mut lines = match text.strip_suffix(b"\n") {
        Some(text) => text.split(end).peekable(),
        None if text.is_empty() => text.split(end).peekable(),
        None => return None,
    };
    if text.is_empty() {
        lines.next();
    }
    Some(lines)
}

pub(super) fn read_meta(lines: &mut Lines<'_>) -> Option<Meta> {
    let identity = read_identity(lines.next()?.strip_prefix(b"identity ")?)?;
    let excludes = match lines.next()?.strip_prefix(b"excludes")? {
        [] => String::new(),
        [b' ', escaped @ ..] => String::from_utf8(unescape(escaped)?).ok()?,
        _ => return None,
    };
    let translator = match lines.peek().and_then(|line| line.strip_prefix(b"translator ")) {
        Some(escaped) => String::from_utf8(unescape(escaped)?).ok()?,
        None => String::new(),
    };
    if !translator.is_empty() {
        lines.next();
    }
    let mut mounts = Vec::new();
    while let Some(mount) = lines.peek().and_then(|line| line.strip_prefix(b"mount ")) {
        mounts.push(read_mount(mount)?);
        lines.next();
    }
    Some(Meta { identity, excludes, translator, mounts })
}

fn read_stamp(text: &[u8]) -> Option<Mtime> {
    let (sec, nsec) = std::str::from_utf8(text).ok()?.split_once('.')?;
    let nsec = if nsec.len() == 9 { number(nsec.as_bytes())? } else { return None };
    Some(Mtime { sec: sec.parse().ok()?, nsec: u32::try_from(nsec).ok()? })
}

/// What a record of the tail says: the description of the root if it is a new one, then by folder
/// `[NAME] PRESENCE MARK`, `-UNIQ` for what is gone and `+ENTRY` for what is set.
pub(super) fn put_changes(out: &mut Vec<u8>, changes: &Delta, meta: Option<&Meta>) {
    if let Some(meta) = meta {
        put_meta(out, meta);
    }
    for (folder, change) in &changes.folders {
        out.push(b'[');
        put_folder(out, folder);
        out.extend_from_slice(match change.presence {
            Presence::Same => b"] same",
            Presence::Added => b"] added",
            Presence::Removed => b"] removed",
            Presence::Reset => b"] reset",
        });
        out.extend_from_slice(match change.adopting {
            None => b" -\n",
            Some(true) => b" adopting\n",
            Some(false) => b" settled\n",
        });
        for uniq in &change.gone {
            out.push(b'-');
            word(out, uniq.as_bytes());
            out.push(b'\n');
        }
        for seen in &change.set {
            out.push(b'+');
            put_entry(out, &seen.entry);
        }
    }
}

pub(super) fn read_changes(payload: &[u8]) -> Option<(Delta, Option<Meta>)> {
    let mut lines = lines(payload)?;
    let meta = if lines.peek().is_some_and(|line| line.starts_with(b"identity ")) {
        Some(read_meta(&mut lines)?)
    } else {
        None
    };
    let mut changes = Delta::default();
    let mut open: Option<(Folder, FolderDelta)> = None;
    for line in lines {
        match line.split_first()? {
            (b'[', title) => changes.folders.extend(open.replace(read_title(title)?)),
            (b'-', uniq) => open.as_mut()?.1.gone.push(Uniq::parse(&unescape(uniq)?).ok()?),
            (b'+', entry) => open.as_mut()?.1.set.push(Seen::bare(read_entry(entry)?)),
            _ => return None,
        }
    }
    changes.folders.extend(open);
    changes.folders.values_mut().for_each(FolderDelta::normalise);
    Some((changes, meta))
}

/// The line that begins the changes of a folder, behind its bracket.
fn read_title(title: &[u8]) -> Option<(Folder, FolderDelta)> {
    let [name, presence, mark] = words(title)?;
    let folder = read_folder(name.strip_suffix(b"]")?)?;
    let presence = match presence {
        b"same" => Presence::Same,
        b"added" => Presence::Added,
        b"removed" => Presence::Removed,
        b"reset" => Presence::Reset,
        _ => return None,
    };
    let adopting = match mark {
        b"-" => None,
        b"adopting" => Some(true),
        b"settled" => Some(false),
        _ => return None,
    };
    Some((folder, FolderDelta { presence, adopting, ..FolderDelta::default() }))
}

/// Which folders a record of the tail touches, and what becomes of these themselves. No entry is read.
pub(super) fn read_titles(payload: &[u8]) -> Option<Vec<(Folder, FolderDelta)>> {
    lines(payload)?.filter_map(|line| line.strip_prefix(b"[")).map(read_title).collect()
}

/// The description at the head of a record, if it has one.
pub(super) fn meta_of(payload: &[u8]) -> Option<Meta> {
    read_meta(&mut lines(payload)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(uniq: &[u8], place: Place, info: &[u8]) -> Entry {
        Entry {
            uniq: Uniq::parse(uniq).expect("uniq"),
            place,
            flags: Flags::from_info(info),
            content: Content::of(uniq),
        }
    }

    #[test]
    fn every_entry_is_one_line_of_printable_text_and_reads_back() {
        let uniqs = [&b"x"[..], b"a b&%\n\t\xff", b"-x", b"+x", b"[x]", "Grüße".as_bytes(), b"%00", b"~\x7f\x01"];
        let infos = [
            &b""[..],
            b"2,",
            b"2,FSab",
            b"2,S,x:y",
            b"1,x",
            b"2,,",
            b"zz",
            b"2,S1\n\t%",
            b"2,\xff",
            b"x:2,S",
            b"2,S T",
        ];
        for uniq in uniqs {
            for info in infos {
                for place in [Place::New, Place::Cur] {
                    let entry = entry(uniq, place, info);
                    let mut line = Vec::new();
                    put_entry(&mut line, &entry);
                    let line = line.strip_suffix(b"\n").expect("a line");
                    assert!(line.iter().all(|&b| b.is_ascii_graphic() || b == b' ' || b == b'\t'), "{line:?}");
                    assert_eq!(read_entry(line).as_ref(), Some(&entry), "{:?}", String::from_utf8_lossy(line));
                }
            }
        }
    }

    #[test]
    fn lines_that_are_no_entry_are_refused() {
        let mut good = Vec::new();
        put_entry(&mut good, &entry(b"x", Place::Cur, b"2,S"));
        let good = String::from_utf8(good).expect("ascii").trim_end().to_owned();
        for bad in [
            "",
            "x",
            "x\tcur",
            &good.replace("cur S", "cur "),
            &good.replace("cur", "tmp"),
            &good.replace("x\t", "\t"),
            &good.replace("x\t", ".x\t"),
            &good.replace("x\t", "%2F\t"),
            &good.replace("x\t", "%2\t"),
            &good.replace("x\t", "%zz\t"),
            &good[..good.len() - 1],
            &format!("{good}\t"),
            &format!("{good}="),
        ] {
            assert_eq!(read_entry(bad.as_bytes()), None, "{bad:?}");
        }
        assert!(read_entry(good.as_bytes()).is_some());
    }

    #[test]
    fn changes_and_the_description_of_a_root_read_back() {
        let folder = |name: &[u8]| Folder::parse(name).expect("folder");
        let mut changes = Delta::default();
        let presences = [Presence::Same, Presence::Added, Presence::Removed, Presence::Reset];
        for (at, presence) in presences.into_iter().enumerate() {
            for (mark, adopting) in [None, Some(true), Some(false)].into_iter().enumerate() {
                let change = FolderDelta {
                    presence,
                    adopting,
                    gone: vec![entry(b"gone", Place::Cur, b"").uniq, entry(b"gone too\n", Place::Cur, b"").uniq],
                    set: vec![Seen::bare(entry(b"a", Place::New, b"")), Seen::bare(entry(b"b c", Place::Cur, b"2,S"))],
                };
                changes.folders.insert(folder(format!("f] {at}\n/{mark}").as_bytes()), change);
            }
        }
        changes.folders.insert(Folder::root(), FolderDelta::default());
        let metas = [
            Meta::default(),
            Meta {
                identity: Some(Identity { ino: u64::MAX, btime: Some(Mtime { sec: -5, nsec: 7 }) }),
                excludes: "a b\n%é".to_owned(),
                translator: "x y\n".to_owned(),
                mounts: vec![
                    Mount { folder: Folder::root(), identity: None },
                    Mount { folder: folder(b"a b/c"), identity: Some(Identity { ino: 3, btime: None }) },
                    Mount {
                        folder: folder(b"d"),
                        identity: Some(Identity { ino: 4, btime: Some(Mtime { sec: 5, nsec: 6 }) }),
                    },
                ],
            },
            Meta { identity: Some(Identity { ino: 1, btime: None }), ..Meta::default() },
        ];
        for meta in metas.iter().map(Some).chain([None]) {
            for changes in [&changes, &Delta::default()] {
                let mut text = Vec::new();
                put_changes(&mut text, changes, meta);
                let read = read_changes(&text).expect("reads");
                assert_eq!((&read.0, read.1.as_ref()), (changes, meta));
                assert_eq!(meta_of(&text).as_ref(), meta);
            }
        }
        assert_eq!(read_changes(b"\n"), None);
        assert_eq!(read_changes(b"+x\n"), None);
        assert_eq!(read_changes(b"[a] same -"), None);
    }
}
