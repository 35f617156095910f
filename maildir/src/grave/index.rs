//! The index of a grave: one line of text for each burial (docs/FORMAT-grave.md).
//!
//! `ID TAB WHY TAB FOLDER TAB PLACE TAB FILE TAB HEADER TAB BODY TAB HEADER TAB BODY`, the last two of the bytes that came instead. `-` stands for
//! nothing; control bytes and bytes that are no UTF-8 are `\xNN`, a backslash is `\\`. A rename, which buries nothing, has the uniq
//! that the message got in place of the last two. Lines that are torn or not understood are passed over. What was brought back has a second line, `ID TAB back`: it is never brought back again.

use std::collections::HashSet;
use std::io::{self, Read, Write};

pub use smd_protocol::grave::Why;
use smd_protocol::names::printable;
use smd_protocol::{Content, Digest, Folder, Place, Uniq, seeded};

use super::Ticket;
use crate::fs::{Fs, Rename};
use crate::root::if_there;

const INDEX: &[u8] = b"index";
const INDEX_NEXT: &[u8] = b"index.next";
/// The second word of a line about something that was brought back.
const BACK: &str = "back";
/// Longest index that is read, in bytes; what is beyond is passed over.
const INDEX_MAX: u64 = 256 << 20;

/// What the index says of a burial.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Why it was buried.
    pub why: Why,
    /// The folder it was in; in the index of a grave by its path on this host.
    pub folder: Folder,
    /// The directory it was in; none is the folder's own.
    pub place: Option<Place>,
    /// Its file name.
    pub file: Vec<u8>,
    /// The bytes that were to be buried; none for control files.
    pub content: Option<Content>,
    /// The bytes that came instead, when it was replaced.
    pub instead: Option<Content>,
    /// The uniq that it got in its folder, when it was renamed: then nothing was buried.
    pub renamed: Option<Uniq>,
}

fn place_word(place: Option<Place>) -> &'static str {
    match place {
        Some(Place::New) => "new",
        Some(Place::Cur) => "cur",
        None => "-",
    }
}

fn content_words(content: Option<&Content>) -> String {
    content.map_or_else(|| "-\t-".to_owned(), |c| format!("{}\t{}", c.header, c.body))
}

fn line(id: &str, record: &Record) -> String {
    let Record { why, folder, place, file, content, instead, renamed } = record;
    let last = match renamed {
        Some(uniq) => printable(uniq.as_bytes()),
        None => content_words(instead.as_ref()),
    };
    format!(
        "{id}\t{}\t{}\t{}\t{}\t{}\t{last}\n",
        why.word(),
        printable(folder.as_bytes()),
        place_word(*place),
        printable(file),
        content_words(content.as_ref()),
    )
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next()? {
            b'\\' => out.push(b'\\'),
            b'x' => {
                let digits = [bytes.next()?, bytes.next()?];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            _ => return None,
        }
    }
    Some(out)
}

/// Two words to a content; both `-` are none, and that is well-formed.
fn content(header: &str, body: &str) -> Option<Option<Content>> {
    if (header, body) == ("-", "-") {
        return Some(None);
    }
    let digest = |word: &str| Digest::from_letters(word.as_bytes());
    Some(Some(Content { header: digest(header)?, body: digest(body)? }))
}

/// A line of the index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// What was buried under this id.
    Buried(String, Record),
    /// What was buried under this id was brought back.
    Back(String),
}

fn parse_line(line: &str) -> Option<Line> {
    let words: Vec<&str> = line.split('\t').collect();
    if let [id, BACK] = words[..] {
        return Some(Line::Back(id.to_owned()));
    }
    let (head, instead, renamed) = match words[..] {
        [_, why, _, _, _, _, _, uniq] if why == Why::Renamed.word() => {
            (&words[..7], None, Some(Uniq::parse(&unescape(uniq)?).ok()?))
        }
        [_, _, _, _, _, _, _, header, body] => (&words[..7], content(header, body)?, None),
        _ => return None,
    };
    let [id, why, folder, place, file, header, body] = *head else { return None };
    let place = match place {
        "new" => Some(Place::New),
        "cur" => Some(Place::Cur),
        "-" => None,
        _ => return None,
    };
    let record = Record {
        why: Why::from_word(why)?,
        folder: Folder::parse(&unescape(folder)?).ok()?,
        place,
        // One directory entry, whatever the line says.
        file: unescape(file).filter(|file| !file.contains(&b'/') && !file.contains(&0))?,
        content: content(header, body)?,
        instead,
        renamed,
    };
    // A rename and nothing else says what it got.
    ((record.why == Why::Renamed) == record.renamed.is_some()).then_some(())?;
    Some(Line::Buried(id.to_owned(), record))
}

/// Appends burials and makes them durable. `fresh`: a torn line may come before.
pub(super) fn append<F: Fs>(fs: &F, dir: &F::Dir, burials: &[(Ticket, Record)], fresh: bool) -> io::Result<()> {
    append_text(fs, dir, &burials.iter().map(|(ticket, record)| line(&ticket.id, record)).collect::<String>(), fresh)
}

/// Notes, durably, that these were brought back.
pub(super) fn append_back<'a, F: Fs>(
    fs: &F,
    dir: &F::Dir,
    tickets: impl IntoIterator<Item = &'a Ticket>,
) -> io::Result<()> {
    append_text(fs, dir, &tickets.into_iter().map(|ticket| back_line(&ticket.id)).collect::<String>(), true)
}

fn back_line(id: &str) -> String {
    format!("{id}\t{BACK}\n")
}

fn append_text<F: Fs>(fs: &F, dir: &F::Dir, lines: &str, fresh: bool) -> io::Result<()> {
    let (mut file, made) = match if_there(fs.append(dir, INDEX))? {
        Some(file) => (file, false),
        None => (fs.create(dir, INDEX)?, true),
    };
    let mut text = String::new();
    if fresh && !made {
        text.push('\n');
    }
    text.push_str(lines);
    file.write_all(text.as_bytes())?;
    if !seeded::is("index-is-not-synced") {
        fs.sync_file(&file)?;
    }
    if made { fs.sync_dir(dir) } else { Ok(()) }
}

/// The burials of all lines that are understood.
pub(super) fn read<F: Fs>(fs: &F, dir: &F::Dir) -> io::Result<Vec<(String, Record)>> {
    let lines = read_lines(fs, dir)?.into_iter();
    let buried = |line| if let Line::Buried(id, record) = line { Some((id, record)) } else { None };
    Ok(lines.filter_map(buried).collect())
}

/// All lines that are understood.
pub(super) fn read_lines<F: Fs>(fs: &F, dir: &F::Dir) -> io::Result<Vec<Line>> {
    let Some(file) = if_there(fs.open(dir, INDEX))? else { return Ok(Vec::new()) };
    let mut bytes = Vec::new();
    file.take(INDEX_MAX).read_to_end(&mut bytes)?;
    let lines = bytes.split(|&b| b == b'\n');
    Ok(lines.filter_map(|line| parse_line(std::str::from_utf8(line).ok()?)).collect())
}

/// Writes the index anew with the lines of these ids, and those of renames that are `young`. A crash leaves the old one, and
/// perhaps `index.next`.
pub(super) fn compact<F: Fs>(
    fs: &F,
    dir: &F::Dir,
    keep: &HashSet<String>,
    young: impl Fn(&str) -> bool,
) -> io::Result<()> {
    let lines = read_lines(fs, dir)?;
    let renames = lines.iter().filter_map(|one| match one {
        Line::Buried(id, record) if record.why == Why::Renamed && young(id) => Some(id.as_str()),
        _ => None,
    });
    let keep: HashSet<&str> = keep.iter().map(String::as_str).chain(renames).collect();
    let kept = |one: &Line| match one {
        Line::Buried(id, record) if keep.contains(id.as_str()) => Some(line(id, record)),
        Line::Back(id) if keep.contains(id.as_str()) => Some(back_line(id)),
        _ => None,
    };
    let kept: String = lines.iter().filter_map(kept).collect();
    if_there(fs.unlink(dir, INDEX_NEXT))?;
    let mut file = fs.create(dir, INDEX_NEXT)?;
    file.write_all(kept.as_bytes())?;
    fs.sync_file(&file)?;
    fs.rename(dir, INDEX_NEXT, dir, INDEX, Rename::Replace)?;
    fs.sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_whatever_the_names() {
        for (folder, file) in [(&b""[..], &b"a:2,S"[..]), (b"x y/\xff\n", b"t\tab\\x00:2,"), ("é".as_bytes(), b"-")] {
            let record = Record {
                why: Why::Replaced,
                folder: Folder::parse(folder).expect("folder"),
                place: Some(Place::Cur),
                file: file.to_vec(),
                content: Some(Content::of(b"old")),
                instead: Some(Content::of(b"new")),
                renamed: None,
            };
            let uniq = Uniq::parse(b"a~\xff \\b").expect("uniq");
            let renamed = Record { why: Why::Renamed, instead: None, renamed: Some(uniq), ..record.clone() };
            for record in [record, renamed] {
                let text = line("1.run.0", &record);
                assert_eq!(text.matches('\n').count(), 1);
                assert_eq!(parse_line(text.trim_end_matches('\n')), Some(Line::Buried("1.run.0".to_owned(), record)));
            }
        }
    }

    #[test]
    fn what_was_brought_back_has_a_line_of_its_own() {
        assert_eq!(parse_line(back_line("1.run.0").trim_end()), Some(Line::Back("1.run.0".to_owned())));
    }

    #[test]
    fn torn_lines_are_passed_over() {
        for torn in [
            "",
            "1.run.0",
            "1.run.0\tdeleted\tx",
            "1.run.0\tdeleted\t\tcur\ta\\x\t-\t-\t-\t-",
            "1.r.0\teaten\t\tcur\ta\t-\t-\t-\t-",
            "1.r.0\tdeleted\t\tcur\t../a\t-\t-\t-\t-",
            "1.r.0\trenamed\t\tcur\ta\t-\t-\t../b",
            "1.r.0\trenamed\t\tcur\ta\t-\t-\t-\t-",
            "1.r.0\tdeleted\t\tcur\ta\t-\t-\tb",
        ] {
            assert_eq!(parse_line(torn), None, "{torn}");
        }
    }
}
