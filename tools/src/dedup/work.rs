//! The work on one root: each folder's messages are read, and the doubles buried as a run deletes: taken to the grave, looked at
//! there, and given back when they are not what was read.
//!
//! Deliberately not here: the root's lock, under which this is done, what a double is (`same`), and what is said of it.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use smd_client::progress::{Phase, Progress};
use smd_maildir::apply::Applier;
use smd_maildir::error::Error;
use smd_maildir::exclude::Excludes;
use smd_maildir::fs::{Disk, Fs as _};
use smd_maildir::grave::Grave;
use smd_maildir::hash;
use smd_maildir::root::Root;
use smd_maildir::scan::{Depth, File, FolderNames, Scanner};
use smd_protocol::names::printable;
use smd_protocol::{Entry, FileName, Folder, Name, Outcome, Step, seeded};

use super::same::{self, Group, Read};
use crate::crew;
use crate::strip_header::work::is_below;

/// Part of the names of staged files.
const OWNER: &str = "dedup";
/// Longest header that is looked at; a message with a longer one has no double.
const HEADER_MAX: usize = 4 << 20;
/// Messages that one thread reads between two words with the others.
const READ_AT_ONCE: usize = 64;
/// Messages that are buried together, but for a larger group: between the last look at what stays and the burial of its doubles
/// lies no more work than that.
const BURIED_AT_ONCE: usize = 100;

/// What there is to work on.
pub struct Work<'a> {
    /// The root.
    pub root: &'a Root<Disk>,
    /// Only this folder and those below it.
    pub below: Folder,
    /// Our own state directory, should it lie in the root.
    pub skip_dirs: Vec<(u64, u64)>,
    /// Where doubles will rest; none: nothing is changed.
    pub grave: Option<Grave<Disk>>,
    /// Raised when a signal came.
    pub stop: &'a AtomicBool,
    /// How far it is.
    pub progress: &'a Progress,
}

/// What was found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Folders.
    pub folders: usize,
    /// Messages in all.
    pub messages: usize,
    /// What is there twice, by folder.
    pub groups: Vec<(Folder, Group)>,
    /// The doubles that were buried.
    pub buried: BTreeSet<Name>,
    /// What was left as it was, and why.
    pub troubles: Vec<String>,
    /// A signal came before it was over.
    pub stopped: bool,
}

impl Report {
    /// Doubles that were found.
    pub fn doubles(&self) -> usize {
        self.groups.iter().map(|(_, group)| group.doubles.len()).sum()
    }
}

impl Work<'_> {
    /// Does it all.
    ///
    /// # Errors
    /// When the root itself cannot be looked at.
    pub fn run(&self) -> Result<Report, Error> {
        let (folders, troubles) = self.list()?;
        let messages = folders.iter().map(|one| one.files.len()).sum();
        let mut report = Report { folders: folders.len(), messages, troubles, ..Report::default() };
        let entries = self.read_all(&folders, &mut report);
        if self.stop.load(Ordering::Relaxed) {
            report.stopped = true;
            return Ok(report);
        }
        if let Some(grave) = &self.grave {
            self.bury_all(grave, &folders, &entries, &mut report);
            report.stopped = self.stop.load(Ordering::Relaxed);
        }
        Ok(report)
    }

    fn list(&self) -> Result<(Vec<FolderNames>, Vec<String>), Error> {
        let scanner = Scanner {
            root: self.root,
            excludes: &Excludes::default(),
            skip_dirs: &self.skip_dirs,
            siblings: &[],
            depth: Depth::Full,
            after_cut: false,
            renames: false,
            on_read: &|_| true,
        };
        let mut names = scanner.names()?;
        names.folders.retain(|one| is_below(&one.folder, &self.below));
        let troubles = names.troubles.iter().map(|trouble| format!("{}: {}", printable(&trouble.path), trouble.text));
        Ok((names.folders, troubles.collect()))
    }

    /// Reads every message of a folder that has more than one, and finds the doubles. Gives what was read, by name.
    fn read_all(&self, folders: &[FolderNames], report: &mut Report) -> HashMap<Name, Entry> {
        self.progress.phase(Phase::Scan, Some(report.messages as u64));
        let some: Vec<(&Folder, &[File])> = folders
            .iter()
            .flat_map(|one| one.files.chunks(READ_AT_ONCE).map(move |files| (&one.folder, files)))
            .collect();
        let count = AtomicU64::new(0);
        let all = crew::each(&some, self.stop, |(folder, files)| {
            let read: Vec<_> = files.iter().map(|file| self.read(folder, file)).collect();
            let read_so_far = count.fetch_add(files.len() as u64, Ordering::Relaxed) + files.len() as u64;
            self.progress.at(read_so_far, 0);
            read
        });
        let mut entries: HashMap<Name, Entry> = HashMap::new();
        let mut by_folder: Vec<(&Folder, Vec<Read>)> = Vec::new();
        let mut twins = BTreeSet::new();
        for ((folder, files), read) in some.iter().zip(all) {
            if by_folder.last().is_none_or(|(last, _)| last != folder) {
                by_folder.push((folder, Vec::new()));
            }
            for (file, read) in files.iter().zip(read.into_iter().flatten()) {
                let (read, entry) = match read {
                    Ok(Some(read)) => read,
                    // It is gone by now, or has another name.
                    Ok(None) => continue,
                    Err(error) => {
                        let shown = self.root.shown(folder, &[file.place.dir(), b"/", &file.name].concat());
                        report.troubles.push(format!("{} is left alone: {error}", printable(&shown)));
                        continue;
                    }
                };
                let name = Name::new(folder, &read.uniq);
                // Two files of one name: a sync settles that first.
                if entries.insert(name.clone(), entry).is_some() {
                    twins.insert(name);
                } else if let Some((_, messages)) = by_folder.last_mut() {
                    messages.push(read);
                }
            }
        }
        for name in &twins {
            let shown = self.root.shown(&name.folder, name.uniq.as_bytes());
            report.troubles.push(format!(
                "{} and its double were left alone: two files there have one name; smd-sync settles that",
                printable(&shown)
            ));
        }
        for (folder, mut messages) in by_folder {
            messages.retain(|one| !twins.contains(&Name::new(folder, &one.uniq)));
            report.groups.extend(same::groups(messages).into_iter().map(|group| (folder.clone(), group)));
        }
        entries
    }

    fn read(&self, folder: &Folder, file: &File) -> io::Result<Option<(Read, Entry)>> {
        let Ok(FileName { uniq, flags, .. }) = FileName::parse(&file.name) else { return Ok(None) };
        let open = || -> io::Result<_> {
            let dirs = self.root.folder(folder)?;
            let dir = dirs.place(file.place).ok_or(io::ErrorKind::NotFound)?;
            self.root.fs.open(dir, &file.name)
        };
        let read = || -> io::Result<_> {
            let (hashed, _) = hash::hash_file(&Disk, &mut open()?)?;
            let (header, whole) = hash::header(&mut open()?, HEADER_MAX)?;
            Ok((hashed.content, header, whole))
        };
        let (content, header, whole) = match read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        if !whole {
            return Err(io::Error::other("its header is longer than 4 MiB"));
        }
        if smd_protocol::Digest::of(&header) != content.header {
            return Err(io::Error::other("it changed while it was read; run again"));
        }
        let trashed = flags.has(b'T');
        let entry = Entry { uniq: uniq.clone(), place: file.place, flags, content };
        let (place, name) = (file.place, file.name.to_vec());
        Ok(Some((Read { uniq, place, file: name, trashed, content, who: same::who(&header) }, entry)))
    }

    /// Whether a message is there as it was read, under the very name: then its doubles may go. A mail program may have taken it
    /// since, or marked it as deleted.
    fn is_still_there(&self, folder: &Folder, one: &Read) -> bool {
        let digest = || -> io::Result<_> {
            let dirs = self.root.folder(folder)?;
            let dir = dirs.place(one.place).ok_or(io::ErrorKind::NotFound)?;
            Ok(hash::hash_file(&Disk, &mut self.root.fs.open(dir, &one.file)?)?.0.content)
        };
        digest().is_ok_and(|content| content == one.content) || seeded::is("a-double-goes-unseen")
    }

    /// The groups whose doubles may go now; of the others it is said.
    fn may_go<'r>(&self, groups: &'r [(Folder, Group)], troubles: &mut Vec<String>) -> Vec<(&'r Folder, &'r Group)> {
        let mut go = Vec::new();
        for (folder, group) in groups {
            if self.is_still_there(folder, &group.stays) {
                go.push((folder, group));
                continue;
            }
            let shown = self.root.shown(folder, group.stays.uniq.as_bytes());
            troubles.push(format!("{} changed since it was read, so its doubles stay; run again", printable(&shown)));
        }
        go
    }

    fn bury_all(
        &self,
        grave: &Grave<Disk>,
        folders: &[FolderNames],
        entries: &HashMap<Name, Entry>,
        report: &mut Report,
    ) {
        self.progress.phase(Phase::Apply, Some(report.doubles() as u64));
        let expect = |seen: HashMap<Name, Entry>| Box::new(move |name: &Name| seen.get(name).cloned());
        let applier = |seen| Applier::new(self.root.clone(), grave.clone(), OWNER, expect(seen));
        // What an earlier command that was cut took and did not look at.
        let troubles = applier(HashMap::new()).sweep(folders.iter().map(|one| &one.folder));
        report.troubles.extend(troubles.into_iter().map(|trouble| trouble.text));
        let groups = std::mem::take(&mut report.groups);
        let mut rest = &groups[..];
        while !rest.is_empty() && !self.stop.load(Ordering::Relaxed) {
            let mut doubles = 0;
            let fits = |(_, group): &&(Folder, Group)| {
                doubles += group.doubles.len();
                doubles <= BURIED_AT_ONCE
            };
            let (now, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            rest = later;
            let going = self.may_go(now, &mut report.troubles);
            let some: Vec<Name> = going
                .iter()
                .flat_map(|(folder, group)| group.doubles.iter().map(|one| Name::new(folder, &one.uniq)))
                .collect();
            let seen = some.iter().filter_map(|name| Some((name.clone(), entries.get(name)?.clone()))).collect();
            let mut applier = applier(seen);
            applier.begin(some.iter().cloned().map(Step::Delete).collect());
            for (name, outcome) in some.iter().zip(applier.install()) {
                match outcome {
                    Outcome::Done => drop(report.buried.insert(name.clone())),
                    Outcome::Changed(text) | Outcome::Failed(text) => report.troubles.push(text),
                    Outcome::NeedBytes => report.troubles.push(format!("{name} changed meanwhile")),
                    Outcome::Refused(refusal) => report.troubles.push(format!("{name}: {refusal}")),
                }
            }
            for (folder, group) in
                going.into_iter().filter(|(folder, group)| !self.is_still_there(folder, &group.stays))
            {
                let shown = self.root.shown(folder, group.stays.uniq.as_bytes());
                report.troubles.push(format!(
                    "{} changed while its doubles were buried; if it is gone, smd-undo brings them back",
                    printable(&shown)
                ));
            }
            self.progress.at(report.buried.len() as u64, 0);
        }
        report.groups = groups;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::Arc;

    #[test]
    fn the_double_of_a_message_that_went_since_it_was_read_stays() {
        let temp = tempfile::tempdir().expect("a directory");
        let cur = temp.path().join("cur");
        fs::create_dir_all(&cur).expect("a folder");
        for name in ["1600000000.a:2,S", "1700000000.b:2,S"] {
            fs::write(cur.join(name), "Message-ID: <1>\n\nbody\n").expect("a message");
        }
        let root = Root::open(Arc::new(Disk), temp.path()).expect("opens");
        let grave = Grave::open(&root, None, "dedup");
        let (stop, progress) = (AtomicBool::new(false), Progress::new(false));
        let work = Work {
            root: &root,
            below: Folder::root(),
            skip_dirs: Vec::new(),
            grave: None,
            stop: &stop,
            progress: &progress,
        };
        let (folders, _) = work.list().expect("lists");
        let mut report = Report::default();
        let entries = work.read_all(&folders, &mut report);
        assert_eq!(report.doubles(), 1);
        fs::remove_file(cur.join("1600000000.a:2,S")).expect("a mail program removes it");
        work.bury_all(&grave, &folders, &entries, &mut report);
        assert!(cur.join("1700000000.b:2,S").exists(), "the last copy stays");
        assert!(report.buried.is_empty() && report.troubles[0].contains("run again"), "{:?}", report.troubles);
    }
}
