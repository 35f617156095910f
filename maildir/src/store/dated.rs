//! Files of dated lines: what is about to be done is written down first, durably, and forgotten when it is old.
//!
//! A line that a crash tore is passed over: nothing was done on its account, and the next write begins a line of its own. Where most
//! lines are old the file is written anew. All writers of a file hold one lock.
//!
//! Deliberately not here: what stands in a line, and how old is old.

use std::io::{self, Write};

use crate::fs::Fs;
use crate::home::{read_file, replace_file};

/// Such a file as it is.
pub(crate) struct Held<T> {
    /// The lines that are kept.
    pub(crate) lines: Vec<T>,
    /// How many bytes the kept ones take.
    pub(crate) size: u64,
    /// How many lines are old.
    over: usize,
    /// The file ends where a line does.
    whole: bool,
    is_there: bool,
}

impl<T> Held<T> {
    /// Of a file that is not there, and may not be.
    pub(crate) fn none() -> Self {
        Self { lines: Vec::new(), size: 0, over: 0, whole: true, is_there: false }
    }
}

/// Reads a file of at most `max` bytes. A line that `parse` does not understand is passed over; of the others those are kept that
/// `is_young` tells.
///
/// # Errors
/// As the system says; `FileTooLarge` when it is larger: then it counts as unknown, and never as empty.
pub(crate) fn read<F: Fs, T>(
    fs: &F,
    dir: &F::Dir,
    name: &[u8],
    max: u64,
    parse: impl Fn(&[u8]) -> Option<T>,
    is_young: impl Fn(&T) -> bool,
) -> io::Result<Held<T>> {
    let Some(bytes) = read_file(fs, dir, name, max)? else { return Ok(Held::none()) };
    let mut held = Held { whole: bytes.last().is_none_or(|&byte| byte == b'\n'), is_there: true, ..Held::none() };
    for line in bytes.split_inclusive(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\n")) {
        match parse(line) {
            Some(one) if is_young(&one) => {
                held.size += line.len() as u64 + 1;
                held.lines.push(one);
            }
            Some(_) => held.over += 1,
            None => {}
        }
    }
    Ok(held)
}

/// Adds lines to what was read, durably; `put` writes one with its end.
///
/// # Errors
/// As the system says: then nothing may be done that the lines tell of.
pub(crate) fn add<'a, F: Fs, T: 'a>(
    fs: &F,
    dir: &F::Dir,
    name: &[u8],
    held: &Held<T>,
    fresh: impl IntoIterator<Item = &'a T>,
    put: impl Fn(&mut Vec<u8>, &T),
) -> io::Result<()> {
    let mut text = Vec::new();
    if !held.is_there || held.over > held.lines.len() {
        held.lines.iter().for_each(|line| put(&mut text, line));
        fresh.into_iter().for_each(|line| put(&mut text, line));
        return replace_file(fs, dir, name, &[&text[..]]);
    }
    if !held.whole {
        text.push(b'\n');
    }
    fresh.into_iter().for_each(|line| put(&mut text, line));
    let mut file = fs.append(dir, name)?;
    file.write_all(&text)?;
    fs.sync_file(&file)
}
