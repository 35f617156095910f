//! The head of a base file: what version it is, what root it belongs to, and a table of its sections.
//!
//! The first line, `smd-db VERSION BYTES CHECKSUM`, keeps its form in every version: the checksum is over
//! the text `VERSION BYTES` and the BYTES bytes that follow the line. So a version of later days is told
//! from a damaged digit, and an older program knows that the file is good but not for it.

use smd_protocol::{BaseId, Digest, Folder, Section, Snapshot, seeded};

use super::Meta;
use super::text::{self, put};

/// The version that we write.
pub(super) const VERSION: u64 = 3;

/// The oldest that we read. In 1 no `mount` says which directory was mounted; before 3 there is no `translator`.
const OLDEST: u64 = 1;

const MAGIC: &[u8] = b"smd-db ";

/// The head, read.
#[derive(Debug)]
pub(super) struct Header {
    /// The description of the root.
    pub(super) meta: Meta,
    /// The id of the base that the sections hold; none when there is no base, only a tail that will be one.
    pub(super) id: Option<BaseId>,
    /// The sections, in the order in which their texts follow.
    pub(super) sections: Vec<Line>,
    /// Bytes of the whole head: where the first section's text begins.
    pub(super) len: usize,
    /// The version that wrote it.
    pub(super) version: u64,
}

/// A section's line in the table.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) folder: Folder,
    pub(super) entries: u64,
    /// Bytes of its text.
    pub(super) bytes: u64,
    /// Checksum of its text.
    pub(super) sum: u64,
    /// Canonical digest of its entries.
    pub(super) digest: Digest,
    pub(super) adopting: bool,
}

/// What the beginning of a file turned out to be.
#[derive(Debug)]
pub(super) enum Head {
    /// Ours.
    Good(Header),
    /// Of a later version.
    Newer(u64),
    /// Not to be trusted; says why.
    Bad(&'static str),
}

/// Writes a head for these sections. `root` is its path as configured, for a person who looks.
pub(super) fn put_header(root: &[u8], meta: &Meta, id: Option<&BaseId>, sections: &[Line]) -> Vec<u8> {
    let mut body = b"root ".to_vec();
    text::escape(&mut body, root, |b| b.is_ascii_graphic() && b != b'%');
    body.push(b'\n');
    text::put_meta(&mut body, meta);
    body.extend_from_slice(b"id ");
    match id {
        Some(id) => text::put_id(&mut body, id),
        None => body.push(b'-'),
    }
    body.push(b'\n');
    for line in sections {
        let mark = if line.adopting { "adopting" } else { "-" };
        put(
            &mut body,
            format_args!("folder {} {} {:016x} {} {mark} ", line.entries, line.bytes, line.sum, line.digest),
        );
        text::put_folder(&mut body, &line.folder);
        body.push(b'\n');
    }
    let claim = format!("{VERSION} {}", body.len());
    let mut out = MAGIC.to_vec();
    put(&mut out, format_args!("{claim} {:016x}\n", text::checksum(&[claim.as_bytes(), &body])));
    out.extend_from_slice(&body);
    out
}

/// Reads the head of a file.
pub(super) fn read_header(file: &[u8]) -> Head {
    let Some(rest) = file.strip_prefix(MAGIC) else { return Head::Bad("it does not begin as one of our files") };
    // 20 digits, 20 digits, 16 digits and two spaces are the longest that we write.
    let Some(end) = rest.iter().take(80).position(|&b| b == b'\n') else {
        return Head::Bad("its first line has no end");
    };
    let first = &rest[..end];
    let claimed = text::words::<3>(first).and_then(|[version, bytes, sum]| {
        let claim = &first[..version.len() + 1 + bytes.len()];
        let bytes = usize::try_from(text::number(bytes)?).ok()?;
        Some((claim, text::number(version)?, bytes, text::read_checksum(sum)?))
    });
    let Some((claim, version, bytes, sum)) = claimed else { return Head::Bad("its first line is damaged") };
    let from = MAGIC.len() + end + 1;
    let Some(body) = from.checked_add(bytes).and_then(|end| file.get(from..end)) else {
        return Head::Bad("it ends within its head");
    };
    if text::checksum(&[claim, body]) != sum {
        return Head::Bad("the checksum of its head does not hold");
    }
    match version {
        OLDEST..=VERSION => read_body(body, from + body.len())
            .map_or(Head::Bad("its head cannot be read"), |header| Head::Good(Header { version, ..header })),
        _ if version > VERSION && !seeded::is("newer-state-is-overwritten") => Head::Newer(version),
        _ => Head::Bad("its version was never in use"),
    }
}

fn read_body(body: &[u8], len: usize) -> Option<Header> {
    let mut lines = text::lines(body)?;
    lines.next()?.strip_prefix(b"root ")?;
    let meta = text::read_meta(&mut lines)?;
    let id = match lines.next()?.strip_prefix(b"id ")? {
        b"-" => None,
        id => Some(text::read_id(id)?),
    };
    let sections = lines.map(read_line).collect::<Option<Vec<_>>>()?;
    let sorted = sections.windows(2).all(|two| two[0].folder < two[1].folder);
    (sorted && (id.is_some() || sections.is_empty())).then_some(Header { meta, id, sections, len, version: VERSION })
}

fn read_line(line: &[u8]) -> Option<Line> {
    let [tag, entries, bytes, sum, digest, mark, folder] = text::words(line)?;
    let adopting = match mark {
        b"-" => false,
        b"adopting" => true,
        _ => return None,
    };
    (tag == b"folder").then_some(Line {
        folder: text::read_folder(folder)?,
        entries: text::number(entries)?,
        bytes: text::number(bytes)?,
        sum: text::read_checksum(sum)?,
        digest: Digest::from_letters(digest)?,
        adopting,
    })
}

impl Header {
    /// The snapshot with every section's digest and mark, but none of its entries: enough for the id.
    pub(super) fn skeleton(&self) -> Snapshot {
        let section = |line: &Line| Section::with_digest(Vec::new(), line.adopting, line.digest);
        Snapshot { folders: self.sections.iter().map(|line| (line.folder.clone(), section(line))).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_version_is_told_from_a_damaged_digit() {
        let good = put_header(b"/m", &Meta::default(), None, &[]);
        assert!(matches!(read_header(&good), Head::Good(_)));
        let mut flipped = good.clone();
        flipped[MAGIC.len()] = b'4';
        assert!(matches!(read_header(&flipped), Head::Bad(_)));
        let body = b"whatever it holds";
        let claim = format!("4 {}", body.len());
        let later = format!("smd-db {claim} {:016x}\n", text::checksum(&[claim.as_bytes(), body]));
        let later = [later.as_bytes(), body, b"and more"].concat();
        assert!(matches!(read_header(&later), Head::Newer(4)));
        assert!(matches!(read_header(b"smd-db 3\n"), Head::Bad(_)));
        assert!(matches!(read_header(b"smd-db 0\n"), Head::Bad(_)));
        assert!(matches!(read_header(b""), Head::Bad(_)));
    }

    #[test]
    fn no_length_in_a_damaged_head_is_believed() {
        for head in ["smd-db 1 18446744073709551615 0000000000000000\n", "smd-db 1 99 0000000000000000\nroot x\n"] {
            assert!(matches!(read_header(head.as_bytes()), Head::Bad(_)));
        }
    }
}
