//! Reading messages: digests of header and body, several files at once.
//!
//! Files are read with `read` in pieces (a mapping would kill us when the file is cut), and looked at
//! before and after: bytes that changed while they were read have no digest.
//!
//! Deliberately not here: which files need reading (`scan`), and what a digest means.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use smd_protocol::digest::{ContentHasher, Hashed};
use smd_protocol::{Content, Digest, Uniq, seeded};

use crate::fs::{Fs, Stat};

/// Bytes read at once.
pub const PIECE: usize = 128 * 1024;
/// Most threads that read at the same time.
const THREADS_MAX: usize = 8;
/// Files below which another thread does not pay.
const FOR_ONE: usize = 16;
/// How often a file that changes under us is read before it is given up.
const READS: usize = 3;

/// The file was written to while it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("changed while it was read")]
pub struct ChangedWhileRead;

/// Whether an error says that a file changed while it was read; reading again may help.
pub fn is_changed(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<ChangedWhileRead>())
}

/// Reads a file from where it stands to its end and gives digests and what `statx` says afterwards.
///
/// # Errors
/// As the system says, and [`ChangedWhileRead`] (see [`is_changed`]).
pub fn hash_file<F: Fs>(fs: &F, file: &mut F::File) -> io::Result<(Hashed, Stat)> {
    hash_with(fs, file, &mut vec![0; PIECE])
}

/// As [`hash_file`], with a buffer that is used again for the next file.
///
/// # Errors
/// As [`hash_file`].
pub fn hash_with<F: Fs>(fs: &F, file: &mut F::File, buffer: &mut [u8]) -> io::Result<(Hashed, Stat)> {
    let before = fs.stat_file(file)?;
    let mut hasher = ContentHasher::new();
    each_piece(file, buffer, |piece| hasher.update(piece))?;
    let hashed = hasher.finish();
    let after = fs.stat_file(file)?;
    // The ctime may move by a rename, which leaves the bytes alone.
    let moved = (before.size, before.mtime) != (after.size, after.mtime) || hashed.size != after.size;
    if moved && !seeded::is("half-written-is-read") {
        return Err(io::Error::other(ChangedWhileRead));
    }
    Ok((hashed, after))
}

/// Digest of all bytes from where the file stands, from which a fresh uniq is made.
///
/// # Errors
/// As the system says, and [`ChangedWhileRead`].
pub fn whole<F: Fs>(fs: &F, file: &mut F::File) -> io::Result<Digest> {
    let before = fs.stat_file(file)?;
    let mut hasher = blake3::Hasher::new();
    each_piece(file, &mut vec![0; PIECE], |piece| {
        hasher.update(piece);
    })?;
    let after = fs.stat_file(file)?;
    if (before.size, before.mtime) != (after.size, after.mtime) || hasher.count() != after.size {
        return Err(io::Error::other(ChangedWhileRead));
    }
    Ok(Digest::finish(&hasher))
}

/// The header of a message from where the file stands, with its empty line, cut to `max` bytes; and whether it is whole.
///
/// # Errors
/// As the system says.
pub fn header(file: &mut impl Read, max: usize) -> io::Result<(Vec<u8>, bool)> {
    let (mut hasher, mut header) = (ContentHasher::new(), Vec::new());
    let mut buffer = vec![0; 4096];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((header, true)),
            Ok(got) => {
                hasher.update(&buffer[..got]);
                header.extend_from_slice(&buffer[..got]);
                if hasher.in_body() {
                    header.truncate(usize::try_from(hasher.finish().header_size).unwrap_or(usize::MAX));
                }
                if header.len() > max {
                    header.truncate(max);
                    return Ok((header, false));
                }
                if hasher.in_body() {
                    return Ok((header, true));
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// The `nth` fresh uniq for bytes of this digest: the digest's 32 letters, then with a counter behind them. The
/// planner (`reconcile::clash`) spells it the same way.
pub fn fresh_uniq(whole: &Digest, nth: u32) -> Uniq {
    let mut name = whole.letters().to_vec();
    if nth > 0 {
        name.extend_from_slice(nth.to_string().as_bytes());
    }
    Uniq::parse(&name).expect("letters and digits are a uniq")
}

/// Letters of a digest at the end of a successor's name, at least.
const SUCCESSOR_LEAST: usize = 13;
/// All letters of a digest.
const SUCCESSOR_MOST: usize = 38;
/// Longest stem of such a name, in bytes: letters, flags and a counter fit behind it.
const STEM_MAX: usize = 160;

/// The part of a uniq that stays when its message gets another name: without the fields of IMAP servers, which tell of its
/// bytes, and without what an earlier name was given. It begins with no dash, which a shell would take for an option.
fn stem(uniq: &Uniq) -> &[u8] {
    let name = uniq.as_bytes();
    let name = name.split(|&byte| byte == b',').next().unwrap_or_default();
    let is_letter = |byte: &u8| matches!(byte, b'a'..=b'z' | b'2'..=b'7');
    let ending = |letters: &[u8]| letters.len() >= SUCCESSOR_LEAST && letters.iter().all(is_letter);
    let stem = match name.iter().rposition(|&byte| byte == b'~') {
        Some(at) if ending(&name[at + 1..]) => &name[..at],
        _ => name,
    };
    let first = stem.iter().position(|byte| !matches!(byte, b'-' | b'.')).unwrap_or(stem.len());
    &stem[first..stem.len().min(first + STEM_MAX)]
}

/// The `nth` name for a message whose own has other bytes: its stem, `~`, and letters of what it holds, more of them where
/// that is taken. Two hosts give the same message the same name.
pub fn successor(uniq: &Uniq, content: &Content, nth: u32) -> Uniq {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Digest::of(&[content.header.0, content.body.0].concat()).0;
    let bit = |at: usize| digest.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let letter = |n: usize| LETTERS[usize::from((5 * n..5 * n + 5).fold(0, |five, at| five << 1 | bit(at)))];
    let wanted = SUCCESSOR_LEAST + nth as usize;
    let mut name = [stem(uniq), b"~"].concat();
    name.extend((0..wanted.min(SUCCESSOR_MOST)).map(letter));
    if wanted > SUCCESSOR_MOST {
        name.extend_from_slice((wanted - SUCCESSOR_MOST).to_string().as_bytes());
    }
    Uniq::parse(&name).expect("part of a uniq, and letters")
}

fn each_piece(file: &mut impl Read, buffer: &mut [u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(got) => each(&buffer[..got]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// A file to read: its name in a held directory.
pub(crate) struct Job<D> {
    pub(crate) dir: D,
    pub(crate) name: Box<[u8]>,
}

/// What reading a file gave: digests, and what `statx` said afterwards.
pub(crate) type Outcome = io::Result<(Hashed, Stat)>;

/// Reads these files, several at a time, and gives the results in the order of the jobs. A file that
/// changes while it is read is read again a few times. `each` hears of the bytes of every file that was
/// read; once it says no, what is left is not read and ends as [`io::ErrorKind::Interrupted`].
pub(crate) fn hash_many<F: Fs>(fs: &F, jobs: &[Job<F::Dir>], each: &(dyn Fn(u64) -> bool + Sync)) -> Vec<Outcome> {
    if jobs.is_empty() {
        return Vec::new();
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Outcome)>> = Mutex::new(Vec::with_capacity(jobs.len()));
    let work = || {
        let mut buffer = vec![0; PIECE];
        let mut own = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { break };
            let result = hash_job(fs, job, &mut buffer);
            let bytes = result.as_ref().map_or(0, |(hashed, _)| hashed.size);
            own.push((at, result));
            if !each(bytes) {
                next.store(jobs.len(), Ordering::Relaxed);
            }
        }
        done.lock().expect("no reader panics while it holds the results").append(&mut own);
    };
    let threads = threads(jobs.len());
    if threads <= 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
    let mut results: Vec<_> = jobs.iter().map(|_| Err(io::Error::from(io::ErrorKind::Interrupted))).collect();
    for (at, result) in done.into_inner().expect("no reader panics while it holds the results") {
        results[at] = result;
    }
    results
}

/// How many threads read so many files. The number of processors is asked for only where it matters.
fn threads(jobs: usize) -> usize {
    match (jobs / FOR_ONE).min(THREADS_MAX) {
        0 | 1 => 1,
        pay => processors().min(pay),
    }
}

/// How many processors this process may use. Asked once, since it takes the standard library several reads of the control groups'
/// files; whoever may soon open none of these asks before.
pub fn processors() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

fn hash_job<F: Fs>(fs: &F, job: &Job<F::Dir>, buffer: &mut [u8]) -> Outcome {
    let mut tries = 1;
    loop {
        let result = hash_with(fs, &mut fs.open(&job.dir, &job.name)?, buffer);
        match result {
            Err(e) if is_changed(&e) && tries < READS => tries += 1,
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Disk;

    #[test]
    fn many_files_come_back_in_order() {
        let temp = tempfile::tempdir().expect("temp");
        let dir = Disk.open_root(temp.path()).expect("opens");
        let text = |n: usize| format!("N: {n}\n\n{}", "x".repeat(n * 1000));
        let jobs: Vec<_> = (0..300)
            .map(|n| {
                std::fs::write(temp.path().join(n.to_string()), text(n)).expect("writes");
                Job { dir: dir.clone(), name: n.to_string().into_bytes().into() }
            })
            .collect();
        std::fs::remove_file(temp.path().join("7")).expect("removes");
        let results = hash_many(&Disk, &jobs, &|_| true);
        for (n, result) in results.into_iter().enumerate() {
            match result {
                Ok((hashed, stat)) => {
                    assert_eq!(hashed.content, Content::of(text(n).as_bytes()));
                    assert_eq!(stat.size, text(n).len() as u64);
                }
                Err(e) => assert_eq!((n, e.kind()), (7, io::ErrorKind::NotFound)),
            }
        }
    }

    #[test]
    fn reading_stops_when_told() {
        let temp = tempfile::tempdir().expect("temp");
        let dir = Disk.open_root(temp.path()).expect("opens");
        std::fs::write(temp.path().join("a"), "x").expect("writes");
        let jobs: Vec<_> = (0..100).map(|_| Job { dir: dir.clone(), name: (*b"a").into() }).collect();
        let results = hash_many(&Disk, &jobs, &|_| false);
        assert!(results.last().is_some_and(Result::is_err));
    }

    #[test]
    fn a_successor_keeps_the_stem_begins_with_no_dash_and_grows_where_it_is_taken() {
        let content = Content::of(b"A: b\n\nc");
        let name = |uniq: &[u8], nth| successor(&Uniq::parse(uniq).expect("a uniq"), &content, nth).to_string();
        let first = name(b"1700000000.M1P2.host,S=738,W=795", 0);
        let letters = first.strip_prefix("1700000000.M1P2.host~").expect("the stem").to_owned();
        assert_eq!(letters.len(), SUCCESSOR_LEAST);
        for (uniq, stem) in [
            (first.as_bytes(), "1700000000.M1P2.host"),
            (b"-rf", "rf"),
            (b"-.x", "x"),
            (b",S=5", ""),
            (b"a~b", "a~b"),
            (b"a~abcdefghijklm,U=7", "a"),
            (&[b'x'; 255], &"x".repeat(STEM_MAX)),
        ] {
            assert_eq!(name(uniq, 0), format!("{stem}~{letters}"));
        }
        assert!(name(b"a", 1).starts_with(&name(b"a", 0)) && name(b"a", 1).len() == name(b"a", 0).len() + 1);
        let all: std::collections::BTreeSet<String> = (0..100).map(|nth| name(b"a", nth)).collect();
        assert_eq!(all.len(), 100);
    }

    #[test]
    fn a_fresh_uniq_is_the_digest_with_a_counter_when_taken() {
        let digest = Digest::of(b"x");
        assert_eq!(fresh_uniq(&digest, 0).as_bytes(), digest.letters());
        assert_eq!(fresh_uniq(&digest, 2).as_bytes(), [&digest.letters()[..], b"2"].concat());
    }
}
