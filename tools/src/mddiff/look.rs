//! Looks at directories: names first, then the bytes of files that no stamp proves to be as they were.
//!
//! What cannot be looked at is as it was. A name is missing only when the whole directory was listed again and it was not there,
//! since listing may miss a file that is renamed meanwhile.
//!
//! Deliberately not here: what a difference means.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use smd_maildir::exclude::Excludes;
use smd_maildir::fs::{Disk, Fs as _};
use smd_maildir::hash::hash_file;
use smd_maildir::root::Root;
use smd_maildir::scan::{Depth, Names, Scanner};
use smd_protocol::Folder;
use smd_protocol::names::printable;

use super::db::{Record, Records, Stamp};
use super::names::parts;
use crate::crew;

/// How often a directory is listed that does not stand still.
const ROUNDS: usize = 3;
/// A stamp proves something when it is so many seconds old.
const OLD: i64 = 2;
/// Files that one thread looks at between two words with the others.
const AT_ONCE: usize = 64;

/// What was found below one directory.
#[derive(Debug, Default)]
pub struct Look {
    /// Messages by name: the directory as it was given, the folder, the place and the file.
    pub found: Records,
    /// What could not be looked at.
    pub errors: Vec<String>,
}

/// One file to look at.
struct Job<'n> {
    folder: &'n Folder,
    place: smd_protocol::Place,
    file: &'n [u8],
    name: Vec<u8>,
}

/// The folders of `dir`, each beginning with `prefix`, and what could not be looked at. No message is read.
pub fn folders(dir: &Path, prefix: &[u8], excludes: &Excludes) -> (Vec<Vec<u8>>, Vec<String>) {
    let root = match Root::open(Arc::new(Disk), dir) {
        Ok(root) => root,
        Err(error) => return (Vec::new(), vec![cannot_open(dir, &error)]),
    };
    match scanner(&root, excludes).names() {
        Ok(names) => {
            let path = |folder: &Folder| {
                let parts = [prefix, folder.as_bytes()].into_iter().filter(|part| !part.is_empty());
                parts.collect::<Vec<_>>().join(&b'/')
            };
            (names.folders.iter().map(|one| path(&one.folder)).collect(), troubles(&names))
        }
        Err(error) => (Vec::new(), vec![error.to_string()]),
    }
}

fn scanner<'a>(root: &'a Root<Disk>, excludes: &'a Excludes) -> Scanner<'a, Disk> {
    let on_read = &|_| true;
    Scanner {
        root,
        excludes,
        skip_dirs: &[],
        depth: Depth::Full,
        siblings: &[],
        after_cut: false,
        renames: false,
        on_read,
    }
}

fn cannot_open(dir: &Path, error: &impl std::fmt::Display) -> String {
    format!("cannot open {}: {error}", printable(dir.as_os_str().as_encoded_bytes()))
}

fn troubles(names: &Names) -> Vec<String> {
    names.troubles.iter().map(|one| format!("{}: {}", printable(&one.path), one.text)).collect()
}

/// Looks at `dir`, whose names begin with `prefix`. What `known` has of it and nothing can be said about is found as known.
pub fn look(dir: &Path, prefix: &[u8], excludes: &Excludes, known: &Records, stop: &AtomicBool) -> Look {
    let mut look = Look::default();
    let below = |name: &[u8]| name.strip_prefix(prefix).is_some_and(|rest| prefix.is_empty() || rest.starts_with(b"/"));
    let known: Records = known.iter().filter(|(name, _)| below(name)).map(|(name, one)| (name.clone(), *one)).collect();
    let root = match Root::open(Arc::new(Disk), dir) {
        Ok(root) => root,
        Err(error) => {
            look.errors.push(cannot_open(dir, &error));
            look.found = known;
            return look;
        }
    };
    let scanner = scanner(&root, excludes);
    let mut read = Records::new();
    let mut failed: BTreeSet<Vec<u8>> = BTreeSet::new();
    for round in 1..=ROUNDS {
        let names = match scanner.names() {
            Ok(names) => names,
            Err(error) => {
                look.errors.push(error.to_string());
                look.found = known;
                return look;
            }
        };
        look.errors = troubles(&names);
        let jobs = jobs(&names, prefix);
        let todo: Vec<&Job<'_>> = jobs.iter().filter(|job| !read.contains_key(&job.name)).collect();
        let some: Vec<&[&Job<'_>]> = todo.chunks(AT_ONCE).collect();
        let done = crew::each(&some, stop, |some| some.iter().map(|job| one(&root, job, &known)).collect::<Vec<_>>());
        let mut vanished = BTreeSet::new();
        failed.clear();
        for (some, done) in some.iter().zip(done) {
            for (job, done) in some.iter().zip(done.into_iter().flatten()) {
                match done {
                    Ok(record) => drop(read.insert(job.name.clone(), record)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => drop(vanished.insert(job.name.clone())),
                    Err(error) => {
                        look.errors.push(format!("cannot read {}: {error}", printable(&job.name)));
                        failed.insert(job.name.clone());
                    }
                }
            }
        }
        let listed: BTreeSet<&[u8]> = jobs.iter().map(|job| &job.name[..]).collect();
        let missing = known.keys().any(|name| !listed.contains(&name[..]));
        if round < ROUNDS && (!vanished.is_empty() || (round == 1 && missing)) {
            continue;
        }
        // A message that is not where it was listed has another name, which is not known: its folder is left out.
        let restless: BTreeSet<&[u8]> = vanished.iter().map(|name| parts(name).0).collect();
        look.errors.extend(restless.iter().map(|folder| format!("{} keeps changing", printable(folder))));
        let is_unknown = |name: &Vec<u8>| {
            let folder = parts(name).0;
            let path = folder.strip_prefix(prefix).unwrap_or_default();
            let path = path.strip_prefix(b"/").unwrap_or(path);
            let unknown = Folder::parse(path).is_ok_and(|folder| names.is_unknown(&folder));
            unknown || restless.contains(folder) || failed.contains(name)
        };
        look.found = read.iter().filter(|(name, _)| listed.contains(&name[..])).map(|(n, r)| (n.clone(), *r)).collect();
        look.found.extend(known.iter().filter(|(name, _)| is_unknown(name)).map(|(name, one)| (name.clone(), *one)));
        break;
    }
    look
}

fn jobs<'n>(names: &'n Names, prefix: &[u8]) -> Vec<Job<'n>> {
    let files = names.folders.iter().flat_map(|one| one.files.iter().map(move |file| (&one.folder, file)));
    files
        .map(|(folder, file)| {
            let parts = [prefix, folder.as_bytes(), file.place.dir(), &file.name];
            let parts: Vec<&[u8]> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            Job { folder, place: file.place, file: &file.name, name: parts.join(&b'/') }
        })
        .collect()
}

fn one(root: &Root<Disk>, job: &Job<'_>, known: &Records) -> io::Result<Record> {
    let dirs = root.folder(job.folder)?;
    let dir = dirs.place(job.place).ok_or(io::ErrorKind::NotFound)?;
    if let Some(record) = known.get(&job.name)
        && record.stamp.is_some()
        && record.stamp == Some(Stamp::from(&root.fs.stat(dir, job.file)?))
    {
        return Ok(*record);
    }
    let moment = root.fs.now();
    let (hashed, stat) = hash_file(&*root.fs, &mut root.fs.open(dir, job.file)?)?;
    let old = stat.ctime.sec + OLD < moment.sec && stat.mtime.sec + OLD < moment.sec;
    Ok(Record { content: hashed.content, stamp: old.then(|| Stamp::from(&stat)) })
}
