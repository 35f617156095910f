//! A snapshot as a file of text (docs/FORMAT-mddiff.md): a line for each message.
//!
//! Deliberately not here: bases. This file is the person's who asked for it, and no run looks at it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use smd_maildir::fs::Stat;
use smd_protocol::delta::Mtime;
use smd_protocol::{Content, Digest};

use super::diff::Files;
use super::names::{escape, unescape};

const FIRST: &[u8] = b"mddiff 1";

/// What tells that a file still has its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Inode.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Last change of the bytes.
    pub mtime: Mtime,
    /// Last change of bytes or inode.
    pub ctime: Mtime,
}

impl From<&Stat> for Stamp {
    fn from(stat: &Stat) -> Self {
        Self { ino: stat.ino, size: stat.size, mtime: stat.mtime, ctime: stat.ctime }
    }
}

/// A message's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its bytes.
    pub content: Content,
    /// Its stamp, unless it was too young when it was read for that to prove anything.
    pub stamp: Option<Stamp>,
}

/// Messages by their names.
pub type Records = BTreeMap<Vec<u8>, Record>;

/// The contents alone.
pub fn contents(records: &Records) -> Files {
    records.iter().map(|(name, record)| (name.clone(), record.content)).collect()
}

/// Why a file is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// It cannot be read or written.
    #[error("{file}: {1}", file = .0.display())]
    Io(PathBuf, io::Error),
    /// It is something else, or was cut.
    #[error("{}, line {line}: {what}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// Reads a snapshot; none when there is no such file.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn read(file: &Path) -> Result<Option<Records>, DbError> {
    match fs::read(file) {
        Ok(text) => parse(&text).map(Some).map_err(|(line, what)| DbError::Line { file: file.to_owned(), line, what }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DbError::Io(file.to_owned(), error)),
    }
}

/// Writes a snapshot, whole or not at all.
///
/// # Errors
/// As the system says.
pub fn write(file: &Path, records: &Records) -> Result<(), DbError> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = File::create(&beside)
        .and_then(|mut out| out.write_all(&text(records)).and_then(|()| out.sync_all()))
        .and_then(|()| fs::rename(&beside, file));
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        DbError::Io(file.to_owned(), error)
    })
}

fn text(records: &Records) -> Vec<u8> {
    let mut out = FIRST.to_vec();
    out.push(b'\n');
    for (name, Record { content, stamp }) in records {
        let stamp = match stamp {
            Some(Stamp { ino, size, mtime, ctime }) => {
                format!("{ino} {size} {}.{:09} {}.{:09}", mtime.sec, mtime.nsec, ctime.sec, ctime.nsec)
            }
            None => "- - - -".to_owned(),
        };
        out.extend_from_slice(format!("{} {} {stamp} ", content.header, content.body).as_bytes());
        escape(name, &mut out);
        out.push(b'\n');
    }
    out.extend_from_slice(format!("end {}\n", records.len()).as_bytes());
    out
}

fn parse(text: &[u8]) -> Result<Records, (usize, &'static str)> {
    let mut records = Records::new();
    let mut lines = (1..).zip(text.split(|&byte| byte == b'\n'));
    if lines.next().is_none_or(|(_, line)| line != FIRST) {
        return Err((1, "is not a snapshot of mddiff, or of a later version"));
    }
    for (number, line) in lines {
        if let Some(count) = line.strip_prefix(b"end ") {
            let whole = count == records.len().to_string().as_bytes();
            return if whole { Ok(records) } else { Err((number, "lines are missing")) };
        }
        let (name, record) = parse_line(line).ok_or((number, "is not a line of a snapshot"))?;
        records.insert(name, record);
    }
    Err((records.len() + 2, "the end is missing"))
}

fn parse_line(line: &[u8]) -> Option<(Vec<u8>, Record)> {
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [header, body, stamp @ .., name] = &words[..] else { return None };
    let content = Content { header: Digest::from_letters(header)?, body: Digest::from_letters(body)? };
    let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<u64>().ok();
    let time = |word: &[u8]| {
        let (sec, nsec) = std::str::from_utf8(word).ok()?.split_once('.')?;
        Some(Mtime { sec: sec.parse().ok()?, nsec: nsec.parse().ok()? })
    };
    let stamp = match stamp {
        [b"-", b"-", b"-", b"-"] => None,
        [ino, size, mtime, ctime] => {
            Some(Stamp { ino: number(ino)?, size: number(size)?, mtime: time(mtime)?, ctime: time(ctime)? })
        }
        _ => return None,
    };
    Some((unescape(name)?, Record { content, stamp }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Records {
        let time = |sec| Mtime { sec, nsec: 5 };
        let stamp = Some(Stamp { ino: 1, size: 2, mtime: time(-3), ctime: time(4) });
        let record = |bytes: &str, stamp| Record { content: Content::of(bytes.as_bytes()), stamp };
        [(b"a b/cur/\xff\n:2,S".to_vec(), record("x", stamp)), (b"new/y".to_vec(), record("", None))].into()
    }

    #[test]
    fn a_snapshot_reads_back_and_half_of_one_does_not() {
        let text = text(&records());
        assert_eq!(parse(&text), Ok(records()));
        for cut in 0..text.len() - 1 {
            assert!(parse(&text[..cut]).is_err(), "{cut}");
        }
        assert_eq!(parse(b"mddiff 2\nend 0\n").expect_err("later").0, 1);
        assert_eq!(parse(b"mddiff 1\nx\nend 1\n").expect_err("nonsense").0, 2);
    }

    #[test]
    fn a_file_is_written_whole_beside_the_old_one() {
        let temp = tempfile::tempdir().expect("temp");
        let file = temp.path().join("db.txt.new");
        assert!(read(&file).expect("there is none").is_none());
        write(&file, &Records::new()).expect("writes");
        write(&file, &records()).expect("writes again");
        assert_eq!(read(&file).expect("reads"), Some(records()));
        assert_eq!(fs::read_dir(temp.path()).expect("lists").count(), 1);
        assert!(write(&temp.path().join("none/db"), &records()).is_err());
    }
}
