//! The tail of a base file: what was appended since its sections were written.
//!
//! Three kinds of records follow one another: `next COUNTER LETTERS BYTES CHECKSUM` with BYTES bytes of
//! changes, `commit COUNTER LETTERS` which makes the changes before it the base, and
//! `meta BYTES CHECKSUM` with a new description of the root. Each is appended and synced before the one
//! after it, so that only the last can be torn by a crash.
//!
//! Deliberately not here: what the changes say (`text`), and any reading or writing of files.

use std::ops::Range;

use smd_protocol::BaseId;

use super::text::{self, put};

/// A tail, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The id after the last commit; the header's when there was none.
    pub(super) current: Option<BaseId>,
    /// Changes that are part of `current`, in order.
    pub(super) committed: Vec<Range<usize>>,
    /// A last `next` without a commit: its id, where its record begins, and its changes.
    pub(super) next: Option<(BaseId, usize, Range<usize>)>,
    /// Where the last good record ends. What follows is torn.
    pub(super) end: usize,
    /// Whether a record that is not the last is bad, so that what comes after it cannot be trusted.
    pub(super) damaged: bool,
}

/// Writes a `next` record.
pub(super) fn next_record(id: &BaseId, payload: &[u8]) -> Vec<u8> {
    let mut claim = Vec::new();
    text::put_id(&mut claim, id);
    record(b"next ", claim, payload)
}

/// Writes a `meta` record.
pub(super) fn meta_record(payload: &[u8]) -> Vec<u8> {
    record(b"meta", Vec::new(), payload)
}

fn record(tag: &[u8], mut claim: Vec<u8>, payload: &[u8]) -> Vec<u8> {
    put(&mut claim, format_args!(" {}", payload.len()));
    let mut out = [tag, &claim].concat();
    put(&mut out, format_args!(" {:016x}\n", text::checksum(&[&claim, payload])));
    out.extend_from_slice(payload);
    out
}

/// Writes a `commit` record. It needs no checksum: it must name the id of the `next` before it.
pub(super) fn commit_record(id: &BaseId) -> Vec<u8> {
    let mut out = b"commit ".to_vec();
    text::put_id(&mut out, id);
    out.push(b'\n');
    out
}

enum Record {
    Next(BaseId, Range<usize>),
    Commit(BaseId),
    Meta(Range<usize>),
}

/// Reads the tail that begins at `from`, behind sections that are the base `current`.
pub(super) fn read_tail(file: &[u8], from: usize, current: Option<BaseId>) -> Tail {
    let mut tail = Tail { current, committed: Vec::new(), next: None, end: from.min(file.len()), damaged: false };
    while tail.end < file.len() {
        let taken = read_record(file, tail.end).and_then(|(record, end)| take(&mut tail, record).then_some(end));
        let Some(end) = taken else {
            // A torn append ends with the record that it tore. A record behind the bad one means that
            // the bad one was whole once: the tail is not torn but damaged.
            let rest = &file[tail.end..];
            let begins = |tag: &[u8]| rest.windows(tag.len()).any(|part| part == tag);
            tail.damaged = begins(b"\nnext ") || begins(b"\ncommit ") || begins(b"\nmeta ");
            break;
        };
        tail.end = end;
    }
    tail
}

/// Takes a record in, if it may stand here.
fn take(tail: &mut Tail, record: Record) -> bool {
    match (record, tail.next.take()) {
        (Record::Next(id, payload), None) => tail.next = Some((id, tail.end, payload)),
        (Record::Commit(id), Some((next, _, payload))) if id == next => {
            tail.current = Some(id);
            tail.committed.push(payload);
        }
        (Record::Meta(payload), None) => tail.committed.push(payload),
        (_, next) => {
            tail.next = next;
            return false;
        }
    }
    true
}

/// Reads the record at `at` and says where it ends.
fn read_record(file: &[u8], at: usize) -> Option<(Record, usize)> {
    let rest = &file[at..];
    // The longest first line is that of `next`: two numbers, 32 letters, a checksum.
    let line = &rest[..rest.iter().take(128).position(|&b| b == b'\n')?];
    let from = at + line.len() + 1;
    if let Some(id) = line.strip_prefix(b"commit ") {
        return Some((Record::Commit(text::read_id(id)?), from));
    }
    let next = line.strip_prefix(b"next ");
    let claim = next.or_else(|| line.strip_prefix(b"meta"))?;
    let (claim, sum) = claim.split_at_checked(claim.len().checked_sub(17)?)?;
    let bytes = &claim[claim.iter().rposition(|&b| b == b' ')? + 1..];
    let end = from.checked_add(usize::try_from(text::number(bytes)?).ok()?)?;
    let payload = file.get(from..end)?;
    if text::read_checksum(sum.strip_prefix(b" ")?)? != text::checksum(&[claim, payload]) {
        return None;
    }
    if next.is_none() {
        return Some((Record::Meta(from..end), end));
    }
    let id = text::read_id(&claim[..claim.len() - bytes.len() - 1])?;
    Some((Record::Next(id, from..end), end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use smd_protocol::Digest;

    fn id(counter: u64) -> BaseId {
        BaseId { counter, digest: Digest::of(&counter.to_le_bytes()) }
    }

    fn three() -> Vec<u8> {
        [
            next_record(&id(2), b"[a] same -\n"),
            commit_record(&id(2)),
            meta_record(b"identity -\nexcludes\n"),
            next_record(&id(3), b"[b] same -\n"),
        ]
        .concat()
    }

    #[test]
    fn records_read_back() {
        let file = three();
        let tail = read_tail(&file, 0, Some(id(1)));
        assert_eq!((tail.current, tail.end, tail.damaged), (Some(id(2)), file.len(), false));
        assert_eq!(tail.committed.len(), 2);
        let (next, start, payload) = tail.next.expect("a next");
        assert_eq!((next, &file[payload]), (id(3), &b"[b] same -\n"[..]));
        assert!(file[start..].starts_with(b"next 3 "));
    }

    #[test]
    fn a_tail_cut_anywhere_is_torn_and_never_damaged() {
        let file = three();
        for len in 0..file.len() {
            let tail = read_tail(&file[..len], 0, Some(id(1)));
            assert!(!tail.damaged && tail.end <= len, "{len}");
            assert!([id(1), id(2)].map(Some).contains(&tail.current));
            // Blocks of the last append that never reached the disk read as zeros.
            let zeros = [&file[..len], &[0; 100]].concat();
            assert_eq!(read_tail(&zeros, 0, Some(id(1))).end, tail.end, "{len}");
        }
    }

    #[test]
    fn a_bad_record_before_a_good_one_is_damage() {
        let mut file = three();
        file[60] ^= 1;
        let tail = read_tail(&file, 0, Some(id(1)));
        assert!(tail.damaged);
    }

    #[test]
    fn records_that_cannot_stand_together_are_damage() {
        let twice = [next_record(&id(2), b""), next_record(&id(3), b""), commit_record(&id(3))].concat();
        assert!(read_tail(&twice, 0, Some(id(1))).damaged);
        let other = [next_record(&id(2), b""), commit_record(&id(3)), commit_record(&id(2))].concat();
        assert!(read_tail(&other, 0, Some(id(1))).damaged);
    }
}
