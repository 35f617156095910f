//! A uniq that was met twice in a folder: in `new` and `cur`, or under two spellings.
//!
//! The same file, or equal bytes, is one message; both names stay as they are. Of different bytes the second is a message of
//! its own. Where this run may change this host, it is told of by the fresh uniq of its bytes, and a step of the plan gives it
//! that name before all others ([`smd_protocol::Step::Part`]); the look itself changes nothing. Elsewhere it is left out, and said.

use std::collections::BTreeSet;
use std::io;

use smd_protocol::{Content, Digest, Folder, Name, Section, Uniq, seeded};

use super::Scanner;
use super::folder::{Candidate, Messages};
use crate::cache::Record;
use crate::error::Trouble;
use crate::fs::Fs;
use crate::hash;
use crate::root::Root;

/// So many fresh uniqs of one digest are tried.
const FRESH_TRIES: u32 = 100;

/// A uniq that was met twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Twin {
    /// Under which both are.
    pub name: Name,
    /// The uniq by which the look tells of the second, when its bytes are others and this run may rename it.
    pub fresh: Option<Uniq>,
    /// The bytes of the second.
    pub content: Content,
}

/// A second message of a uniq, with other bytes.
pub(super) struct Second {
    candidate: Candidate,
    record: Record,
}

/// Settles two or more names of one uniq: the first that counts, and those of other bytes, which are named when all names of
/// the folder are known.
pub(super) fn settle(
    folder: &Folder,
    base: Option<&Section>,
    mut group: Vec<(Candidate, Record)>,
    messages: &mut Messages,
    noted: &mut BTreeSet<Twin>,
) -> Vec<Second> {
    let uniq = group[0].1.uniq.clone();
    let in_base = base.and_then(|section| section.entry(&uniq)).map(|entry| entry.content);
    // `cur` came before `new` and smaller names first already; the sort keeps that.
    group.sort_by_key(|(_, record)| Some(record.content) != in_base);
    let mut group = group.into_iter();
    let Some((_, first)) = group.next() else { return Vec::new() };
    let mut seconds: Vec<Second> = Vec::new();
    for (candidate, record) in group {
        let known = first.content == record.content || seconds.iter().any(|one| one.record.content == record.content);
        match known {
            true => drop(noted.insert(Twin { name: Name::new(folder, &uniq), fresh: None, content: record.content })),
            false => seconds.push(Second { candidate, record }),
        }
    }
    messages.records.push(first);
    messages.said_again |= !seconds.is_empty();
    seconds
}

/// Names second messages by their bytes, or leaves them out. All other messages of the folder are in `messages` by now.
pub(super) fn name<F: Fs>(
    scanner: &Scanner<'_, F>,
    folder: &Folder,
    base: Option<&Section>,
    seconds: Vec<Second>,
    messages: &mut Messages,
    noted: &mut BTreeSet<Twin>,
) {
    for Second { candidate, record } in seconds {
        let path = scanner.shown(folder, &candidate.item);
        let digest = match whole(scanner.root, folder, &candidate, &record) {
            Ok(digest) => digest,
            Err(e) => {
                messages
                    .trouble(path, format!("has the name of another message, and cannot be read to give it one: {e}"));
                continue;
            }
        };
        let (name, content) = (Name::new(folder, &record.uniq), record.content);
        let in_base = |uniq: &Uniq| base.and_then(|base| base.entry(uniq)).map(|entry| entry.content);
        for nth in 0..FRESH_TRIES {
            let fresh = hash::fresh_uniq(&digest, nth);
            let holder = messages.records.iter().find(|held| held.uniq == fresh).map(|held| held.content);
            let unknown = messages.unknown.contains(&fresh);
            match holder {
                // It is that message.
                Some(held) if held == content => {
                    noted.insert(Twin { name, fresh: None, content });
                }
                // What the base knows by this name is not gone, though a step could not give it yet.
                None if !unknown
                    && (scanner.renames
                        || in_base(&fresh) == Some(content) && !seeded::is("twin-of-the-base-is-gone")) =>
                {
                    let to = scanner.renames.then(|| fresh.clone());
                    noted.insert(Twin { name, fresh: to, content });
                    messages.records.push(Record { uniq: fresh, ..record });
                }
                None if !unknown => {
                    let text =
                        "has the name of another message beside it, and waits for a run that may rename it (smd-sync)";
                    messages.said.push(Trouble { path, text: text.to_owned() });
                }
                _ => continue,
            }
            break;
        }
    }
}

/// The digest of all bytes of a file that was read a moment ago.
fn whole<F: Fs>(root: &Root<F>, folder: &Folder, candidate: &Candidate, record: &Record) -> io::Result<Digest> {
    let fs = &*root.fs;
    let dirs = root.folder(folder)?;
    let dir = dirs.place(candidate.item.place).ok_or(io::ErrorKind::NotFound)?;
    let (hashed, _) = hash::hash_file(fs, &mut fs.open(dir, &candidate.item.name)?)?;
    if hashed.content != record.content {
        return Err(io::Error::other("it was edited meanwhile; run again"));
    }
    hash::whole(fs, &mut fs.open(dir, &candidate.item.name)?)
}
