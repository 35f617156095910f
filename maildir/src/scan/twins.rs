//! A uniq that was met twice in a folder: in `new` and `cur`, or under two spellings.
//!
//! The same file, or equal bytes, is one message; both names stay as they are. Of different bytes the second
//! gets the fresh uniq on this host, by a rename that replaces nothing, and is a message of its own.

use std::collections::BTreeSet;
use std::io;

use smd_protocol::snapshot::Place;
use smd_protocol::{FileName, Folder, Name, Section, Uniq};

use super::Scanner;
use super::folder::{Candidate, Messages};
use crate::cache::Record;
use crate::fs::{Fs, Rename};
use crate::hash;
use crate::root::FolderDirs;

/// A uniq that was met twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Twin {
    /// Under which both were.
    pub name: Name,
    /// The uniq that the second has now, when its bytes were others. (In a dry run: would have.)
    pub fresh: Option<Uniq>,
}

/// Settles two or more names of one uniq.
pub(super) fn settle<F: Fs>(
    scanner: &Scanner<'_, F>,
    folder: &Folder,
    dirs: &FolderDirs<F>,
    base: Option<&Section>,
    mut group: Vec<(Candidate, Record)>,
    messages: &mut Messages,
    noted: &mut BTreeSet<Twin>,
) {
    let uniq = group[0].1.uniq.clone();
    let in_base = base.and_then(|section| section.entry(&uniq)).map(|entry| entry.content);
    // `cur` came before `new` and smaller names first already; the sort keeps that.
    group.sort_by_key(|(_, record)| Some(record.content) != in_base);
    let mut group = group.into_iter();
    let Some((_, first)) = group.next() else { return };
    let mut kept = vec![first];
    for (candidate, record) in group {
        if kept.iter().any(|k| k.content == record.content) {
            noted.insert(Twin { name: Name::new(folder, &uniq), fresh: None });
            continue;
        }
        match rename(scanner, dirs, &candidate, &record) {
            Ok(Given::Fresh(fresh)) => {
                noted.insert(Twin { name: Name::new(folder, &uniq), fresh: Some(fresh.clone()) });
                kept.push(Record { uniq: fresh, ..record });
            }
            Ok(Given::IsThere) => {
                noted.insert(Twin { name: Name::new(folder, &uniq), fresh: None });
            }
            Err(e) => {
                let text = format!(
                    "has the name of another message and cannot be given a fresh one, so it is left alone: {e}"
                );
                messages.trouble(scanner.shown(folder, &candidate.item), text);
            }
        }
        // The directory moved, or would have to.
        messages.proven = false;
    }
    messages.records.extend(kept);
}

/// What a second message is called.
enum Given {
    /// It has this uniq of its own now.
    Fresh(Uniq),
    /// The fresh uniq of its bytes holds these bytes already: it is that message.
    IsThere,
}

/// Gives a file the fresh uniq of its bytes; in a dry run only says which.
fn rename<F: Fs>(
    scanner: &Scanner<'_, F>,
    dirs: &FolderDirs<F>,
    candidate: &Candidate,
    record: &Record,
) -> io::Result<Given> {
    let fs = &*scanner.root.fs;
    let item = &candidate.item;
    let dir = dirs.place(item.place).ok_or(io::ErrorKind::NotFound)?;
    let digest = hash::whole(fs, &mut fs.open(dir, &item.name)?)?;
    for nth in 0..100 {
        let fresh = hash::fresh_uniq(&digest, nth);
        if let Some((dir, name)) = holder(fs, dirs, &fresh)? {
            let (hashed, _) = hash::hash_file(fs, &mut fs.open(dir, &name)?)?;
            if hashed.content == record.content {
                return Ok(Given::IsThere);
            }
            continue;
        }
        if scanner.dry_run {
            return Ok(Given::Fresh(fresh));
        }
        let name = FileName::spell(&fresh, item.place == Place::Cur, &record.flags);
        match fs.rename(dir, &item.name, dir, &name, Rename::NoReplace) {
            Ok(()) => return Ok(Given::Fresh(fresh)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The file of the folder that has this uniq.
fn holder<'d, F: Fs>(fs: &F, dirs: &'d FolderDirs<F>, uniq: &Uniq) -> io::Result<Option<(&'d F::Dir, Vec<u8>)>> {
    let mut found = None;
    for dir in dirs.cur.iter().chain(&dirs.new) {
        fs.list(dir, &mut |name, _, _| {
            if name.split(|&b| b == b':').next() == Some(uniq.as_bytes()) {
                found = Some((dir, name.to_vec()));
            }
        })?;
    }
    Ok(found)
}
