//! Takes fields out of a header, byte by byte, whatever the sizes of the pieces that come.
//!
//! A field is a line that begins with one of the names, whatever its case, and a colon, with all lines after it that begin with a
//! blank or a tab. The header ends as it does for digests: after the first empty line (LF or CRLF), or not at all.
//!
//! Beside that: which fields two headers differ by.
//!
//! Deliberately not here: MIME. What is attached to a message is body.

use std::collections::{HashMap, HashSet};

use crate::digest::Digest;

/// Fields that programs put into their copy of a message, to find it again, and that say nothing of it: OfflineIMAP's, and
/// mbsync's.
pub const MARKS: [&str; 2] = ["X-OfflineIMAP", "X-TUID"];

/// Digest of a header without [`MARKS`]: its own, where it has none. None when it has one of which nobody can tell where it ends.
pub fn without_marks(header: &[u8]) -> Option<Digest> {
    let names = Names::new(MARKS).expect("they are names");
    let (mut filter, mut stays) = (Filter::new(&names), Vec::with_capacity(header.len()));
    filter.pass(header, &mut stays);
    filter.end(&mut stays);
    (!filter.is_odd()).then(|| Digest::of(&stays))
}

/// The fields that one header has and the other does not, with those whose values differ on both sides: their names as
/// written, in the order of the first header, then of the second.
pub fn differing(one: &[u8], other: &[u8]) -> [Vec<String>; 2] {
    let (one, other) = (fields(one), fields(other));
    let only = |these: &[(Vec<u8>, &[u8])], those: &[(Vec<u8>, &[u8])]| {
        let mut left: HashMap<&(Vec<u8>, &[u8]), usize> = HashMap::new();
        those.iter().for_each(|field| *left.entry(field).or_default() += 1);
        let (mut names, mut named) = (Vec::new(), HashSet::new());
        for field in these {
            match left.get_mut(field).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None if named.insert(&field.0) => names.push(String::from_utf8_lossy(&field.0).into_owned()),
                None => {}
            }
        }
        names
    };
    [only(&one, &other), only(&other, &one)]
}

/// The value of a field, unfolded and without blanks around it; the first, if there are several.
pub fn value(header: &[u8], name: &str) -> Option<Vec<u8>> {
    let found = fields(header).into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()))?;
    let words = found.1.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    Some(words.collect::<Vec<_>>().join(&b' '))
}

/// The fields of a header, names as written and what follows the colon, folded lines included. What has no colon is no field.
fn fields(header: &[u8]) -> Vec<(Vec<u8>, &[u8])> {
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    for line in header.split_inclusive(|&byte| byte == b'\n') {
        if matches!(line, b"\n" | b"\r\n") {
            break;
        }
        if !matches!(line[0], b' ' | b'\t') {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([at]);
    let each = starts.iter().zip(ends).filter_map(|(&start, end)| {
        let field = &header[start..end];
        let colon = field.iter().position(|&byte| byte == b':')?;
        let name = field[..colon].trim_ascii_end();
        (!name.is_empty()).then(|| (name.to_vec(), field[colon + 1..].trim_ascii()))
    });
    each.collect()
}

/// Blanks that may stand between a name and its colon (RFC 822 had them); with more of them it is no such field.
const BLANKS: usize = 64;

/// Names of fields, lowercase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Vec<Vec<u8>>);

impl Names {
    /// Takes names as they are typed.
    ///
    /// # Errors
    /// With the one that no field can have.
    pub fn new<'a>(typed: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut names = Vec::new();
        for typed in typed {
            let name = typed.strip_suffix(':').unwrap_or(typed);
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
                return Err(format!("`{typed}` is not the name of a header field"));
            }
            names.push(name.to_ascii_lowercase().into_bytes());
        }
        names.sort();
        names.dedup();
        Ok(Self(names))
    }

    fn longest(&self) -> usize {
        self.0.iter().map(Vec::len).max().unwrap_or_default()
    }

    /// Whether the bytes before a colon are one of them.
    fn have(&self, before_colon: &[u8]) -> bool {
        let end = before_colon.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |at| at + 1);
        self.0.iter().any(|name| name.eq_ignore_ascii_case(&before_colon[..end]))
    }
}

/// What was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Fields.
    pub fields: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One message on its way through.
pub struct Filter<'a> {
    names: &'a Names,
    limit: usize,
    state: State,
    /// The beginning of a line that may be such a field.
    pending: Vec<u8>,
    removed: Removed,
    odd: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A line begins; whether the field before it was taken out.
    Start(bool),
    /// A line that is a CR so far.
    Cr,
    /// A line that may be such a field; its bytes are pending.
    Name,
    /// A line that stays.
    Keep,
    /// A line that goes.
    Drop,
    /// A CR in a line that goes.
    DropCr,
    /// Behind the header.
    Body,
}

impl<'a> Filter<'a> {
    /// For one message.
    pub fn new(names: &'a Names) -> Self {
        let limit = names.longest() + BLANKS;
        Self { names, limit, state: State::Start(false), pending: Vec::new(), removed: Removed::default(), odd: false }
    }

    /// Takes the next bytes and gives what stays of them, and of those that were pending.
    pub fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.state == State::Body {
                out.extend_from_slice(&bytes[at..]);
                return;
            }
            self.header_byte(byte, out);
        }
    }

    /// No more bytes come: what was pending stays.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.pending);
    }

    /// Whether the header is over.
    pub fn in_body(&self) -> bool {
        self.state == State::Body
    }

    /// What was taken out so far.
    pub fn removed(&self) -> Removed {
        self.removed
    }

    /// Whether a field that was taken out has a lone CR in it. In a file of such line ends the whole header would be that
    /// one field.
    pub fn is_odd(&self) -> bool {
        self.odd
    }

    fn header_byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.state = match (self.state, byte) {
            (State::Start(true), b' ' | b'\t') => self.drop_byte(byte),
            (State::Start(_), b'\n') => keep(byte, out, State::Body),
            (State::Start(_), b'\r') => self.wait(byte, State::Cr),
            (State::Start(false), b' ' | b'\t') => keep(byte, out, State::Keep),
            (State::Start(_), _) => self.name_byte(byte, out),
            (State::Cr, b'\n') => {
                self.end(out);
                keep(byte, out, State::Body)
            }
            (State::Cr, _) => {
                self.end(out);
                keep(byte, out, State::Keep)
            }
            (State::Name, _) => self.name_byte(byte, out),
            (State::Keep, b'\n') => keep(byte, out, State::Start(false)),
            (State::Keep, _) => keep(byte, out, State::Keep),
            (State::Drop, _) => self.drop_byte(byte),
            (State::DropCr, _) => {
                self.odd |= !matches!(byte, b'\n' | b'\r');
                self.drop_byte(byte)
            }
            (State::Body, _) => keep(byte, out, State::Body),
        };
    }

    fn wait(&mut self, byte: u8, state: State) -> State {
        self.pending.push(byte);
        state
    }

    fn name_byte(&mut self, byte: u8, out: &mut Vec<u8>) -> State {
        if byte == b':' && self.names.have(&self.pending) {
            self.removed.fields += 1;
            self.removed.bytes += self.pending.len() as u64;
            self.pending.clear();
            return self.drop_byte(byte);
        }
        self.pending.push(byte);
        let state = match byte {
            b'\n' => State::Start(false),
            b':' => State::Keep,
            _ if self.pending.len() > self.limit => State::Keep,
            _ => return State::Name,
        };
        self.end(out);
        state
    }

    fn drop_byte(&mut self, byte: u8) -> State {
        self.removed.bytes += 1;
        match byte {
            b'\n' => State::Start(true),
            b'\r' => State::DropCr,
            _ => State::Drop,
        }
    }
}

fn keep(byte: u8, out: &mut Vec<u8>, state: State) -> State {
    out.push(byte);
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContentHasher;

    /// What stays, in pieces of every size; it is the same for all.
    #[track_caller]
    fn stripped(names: &[&str], message: &[u8]) -> (Vec<u8>, Removed, bool) {
        let names = Names::new(names.iter().copied()).expect("names");
        let pass = |size: usize| {
            let (mut filter, mut out) = (Filter::new(&names), Vec::new());
            message.chunks(size).for_each(|piece| filter.pass(piece, &mut out));
            filter.end(&mut out);
            (out, filter.removed(), filter.is_odd(), filter.in_body())
        };
        let whole = pass(message.len().max(1));
        (1..message.len().min(40)).for_each(|size| assert_eq!(pass(size), whole, "in pieces of {size}"));
        let mut hasher = ContentHasher::new();
        hasher.update(message);
        assert_eq!(hasher.in_body(), whole.3, "the header ends elsewhere for digests");
        (whole.0, whole.1, whole.2)
    }

    #[track_caller]
    fn check(message: &str, expected: &str, fields: u64) {
        let (out, removed, odd) = stripped(&["X-OfflineIMAP"], message.as_bytes());
        assert_eq!(String::from_utf8_lossy(&out), expected, "{message:?}");
        assert_eq!(removed, Removed { fields, bytes: (message.len() - expected.len()) as u64 }, "{message:?}");
        assert!(!odd, "{message:?}");
    }

    #[test]
    fn headers_that_differ_by_a_mark_alone_have_one_digest_without_it() {
        let bare = Digest::of(b"A: 1\nB: 2\n\n");
        for marked in ["X-TUID: q/8\nA: 1\nB: 2\n\n", "A: 1\nx-offlineimap: 3\n 4\nB: 2\nX-Tuid: 1\n\n"] {
            assert_eq!(without_marks(marked.as_bytes()), Some(bare), "{marked}");
        }
        assert_eq!(without_marks(b"A: 1\nB: 2\n\n"), Some(bare));
        assert_eq!(without_marks(b"X-TUID: 1\rA: 1\n\n"), None);
    }

    #[test]
    fn fields_that_differ_are_named() {
        let one = b"A: 1\nX-Label: x\n y\nReceived: 1\nReceived: 2\n\nBody: 1\n";
        let other = b"A: 1\r\nReceived: 2\r\nReceived: 3\r\nStatus: RO\r\n\r\n";
        assert_eq!(differing(one, other), [vec!["X-Label", "Received"], vec!["Received", "Status"]]);
        assert_eq!(differing(one, one), [Vec::<String>::new(), Vec::new()]);
        assert_eq!(value(one, "x-label"), Some(b"x y".to_vec()));
        assert_eq!((value(one, "Body"), value(b"", "A")), (None, None));
    }

    #[test]
    fn the_field_goes_wherever_it_is() {
        check("X-OfflineIMAP: 1\nA: 2\n\nb", "A: 2\n\nb", 1);
        check("A: 2\nX-OfflineIMAP: 1\n\nb", "A: 2\n\nb", 1);
        check("A: 2\nx-offlineIMAP:1\nB: 3\nX-OFFLINEIMAP :\n\nb", "A: 2\nB: 3\n\nb", 2);
        check("A: 2\r\nX-OfflineIMAP: 1\r\n\r\nb\r\n", "A: 2\r\n\r\nb\r\n", 1);
        check("X-OfflineIMAP: 1\n\nb", "\nb", 1);
        check("A: 2\nX-OfflineIMAP: 1", "A: 2\n", 1);
        check(
            "From me@x Thu Jan  1 00:00:00 1970\nX-OfflineIMAP: 1\nA: 2\n\n",
            "From me@x Thu Jan  1 00:00:00 1970\nA: 2\n\n",
            1,
        );
    }

    #[test]
    fn folded_lines_go_with_their_field_and_with_no_other() {
        check("X-OfflineIMAP: 1\n 2\n\t3\n \nA: 4\n 5\n\nb", "A: 4\n 5\n\nb", 1);
        check("A: 1\n X-OfflineIMAP: 2\nX-OfflineIMAP:\r\n 3\r\n\nb", "A: 1\n X-OfflineIMAP: 2\n\nb", 1);
        check(" 1\nX-OfflineIMAP: 2\n 3", " 1\n", 1);
        check("X-OfflineIMAP: 1\nno colon\n 2\n\n", "no colon\n 2\n\n", 1);
    }

    #[test]
    fn other_fields_and_everything_behind_the_header_stay() {
        for message in [
            "",
            "\n",
            "\nX-OfflineIMAP: 1\n",
            "\r\nX-OfflineIMAP: 1\n",
            "A: 1\n\nX-OfflineIMAP: 1\n\nX-OfflineIMAP: 2\n",
            "X-OfflineIMAP-Foo: 1\nX-Offline: 2\nXX-OfflineIMAP: 3\nX-OfflineIMAP\n\n",
            "Content-Type: message/rfc822\n\nX-OfflineIMAP: 1\n\nb",
            "A: X-OfflineIMAP: 1\n",
            "X-OfflineIMAP",
            "X-OfflineIMAP \t x: 1\n",
            "\rX-OfflineIMAP: 1\nA: 2\n\r",
            "\r\r\n",
        ] {
            check(message, message, 0);
        }
        let blanks = format!("X-OfflineIMAP{}: 1\n\n", " ".repeat(BLANKS + 1));
        check(&blanks, &blanks, 0);
    }

    #[test]
    fn bytes_are_bytes() {
        let (out, removed, _) = stripped(&["x"], b"\0: \xff\nX: \0\xff\r\r\n\t\0\nY\0: 1\n\n\0");
        assert_eq!((&out[..], removed.fields), (&b"\0: \xff\nY\0: 1\n\n\0"[..], 1));
        let (_, _, odd) = stripped(&["x"], b"X: 1\rSubject: 2\r\rbody\n");
        assert!(odd);
    }

    #[test]
    fn several_names_are_taken_out_at_once() {
        let (out, removed, _) = stripped(&["a:", "B", "b"], b"A: 1\nb: 2\nC: 3\n\n");
        assert_eq!((&out[..], removed), (&b"C: 3\n\n"[..], Removed { fields: 2, bytes: 10 }));
        for bad in ["", ":", "a b", "a:b", "\u{e9}"] {
            assert!(Names::new([bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_stripped_has_nothing_more_to_strip() {
        // A field must not come into being when another goes.
        let message = b"A: 1\nX-OfflineIMAP: 1\n 2\nX-OfflineIMAP: 3\n x\nB: 4\n\nb";
        let (once, ..) = stripped(&["X-OfflineIMAP"], message);
        assert_eq!(stripped(&["X-OfflineIMAP"], &once).1, Removed::default());
    }
}
