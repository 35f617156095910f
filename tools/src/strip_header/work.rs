//! The work on one root: names, a look at each message, then other bytes for those that have the field.
//!
//! Each message is rewritten as a run replaces one: staged in `tmp/`, durable, exchanged with the file, and what came out is looked
//! at before it rests in the grave. So a message that changes or is renamed meanwhile is not harmed; it is met again in the next
//! round.
//!
//! Deliberately not here: the root's lock, under which this is done, and what is said of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use smd_client::progress::{Phase, Progress};
use smd_maildir::apply::Applier;
use smd_maildir::error::{Context as _, Error};
use smd_maildir::exclude::Excludes;
use smd_maildir::fs::{Disk, Fs as _};
use smd_maildir::grave::Grave;
use smd_maildir::hash::is_changed;
use smd_maildir::root::Root;
use smd_maildir::scan::{Depth, File, FolderNames, Scanner};
use smd_protocol::delta::Meta;
use smd_protocol::names::printable;
use smd_protocol::step::{Bytes, Dress};
use smd_protocol::{Entry, FileName, Folder, Name, Outcome, Source, Step};

use super::filter::{Filter, Names, Removed};
use super::look::{Has, look, pass};
use crate::crew;

/// Part of the names of staged files.
const OWNER: &str = "strip-header";
/// Messages that one thread looks at between two words with the others.
const LOOKED_AT_ONCE: usize = 64;
/// Messages that are made durable together.
const WRITTEN_AT_ONCE: usize = 1_000;
/// How often messages that change meanwhile are met again.
const ROUNDS: usize = 4;

/// What there is to work on.
pub struct Work<'a> {
    /// The root.
    pub root: &'a Root<Disk>,
    /// Only this folder and those below it.
    pub below: Folder,
    /// Our own state directory, should it lie in the root.
    pub skip_dirs: Vec<(u64, u64)>,
    /// The fields.
    pub names: &'a Names,
    /// Where the bytes that go will rest; none: nothing is changed.
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
    /// Messages that have the field, with what goes.
    pub found: BTreeMap<Name, Removed>,
    /// Those of them that were rewritten.
    pub done: BTreeSet<Name>,
    /// Those of them that were not, and will not be.
    pub left: BTreeSet<Name>,
    /// What was left as it was, and why.
    pub troubles: Vec<String>,
    /// A signal came before it was over.
    pub stopped: bool,
}

impl Report {
    /// What goes, or went, of these messages.
    pub fn removed<'n>(&self, of: impl IntoIterator<Item = &'n Name>) -> Removed {
        of.into_iter().filter_map(|name| self.found.get(name)).fold(Removed::default(), |sum, one| Removed {
            fields: sum.fields + one.fields,
            bytes: sum.bytes + one.bytes,
        })
    }
}

/// A message that is to be rewritten.
struct Found<'n> {
    name: Name,
    file: &'n File,
    has: Has,
}

/// What became of a message.
enum Became {
    Done,
    /// It was not as it had been looked at.
    Changed(String),
    Failed(String),
}

impl Work<'_> {
    /// Does it all.
    ///
    /// # Errors
    /// When the root itself cannot be looked at.
    pub fn run(&self) -> Result<Report, Error> {
        let mut report = Report::default();
        // Files that need no further look, by folder. A file that is renamed has a new name, and is looked at again.
        let mut seen: BTreeSet<(Folder, File)> = BTreeSet::new();
        let mut again: Vec<String> = Vec::new();
        // Listing may miss a file that is moved meanwhile: it is over when there is nothing new.
        for round in 0..ROUNDS {
            let (mut folders, troubles) = self.list()?;
            report.folders = folders.len();
            report.messages = folders.iter().map(|one| one.files.len()).sum();
            if round == 0 {
                report.troubles = troubles;
                self.sweep(&folders, &mut report);
            }
            for FolderNames { folder, files, .. } in &mut folders {
                files.retain(|file| !seen.contains(&(folder.clone(), file.clone())));
            }
            if folders.iter().all(|one| one.files.is_empty()) {
                return Ok(report);
            }
            again.clear();
            // What is met again is counted again, under the name that it has now.
            report.found.retain(|name, _| report.done.contains(name) || report.left.contains(name));
            let found = self.find(&folders, &mut report, &mut again, &mut seen);
            if let Some(grave) = &self.grave {
                self.rewrite_all(grave, &found, &mut report, &mut again, &mut seen);
            } else {
                report.left.extend(found.iter().map(|one| one.name.clone()));
                seen.extend(found.iter().map(|one| (one.name.folder.clone(), one.file.clone())));
            }
            if self.stop.load(Ordering::Relaxed) {
                report.stopped = true;
                return Ok(report);
            }
        }
        report.troubles.append(&mut again);
        Ok(report)
    }

    /// Removes what an earlier command that was cut left behind.
    fn sweep(&self, folders: &[FolderNames], report: &mut Report) {
        if let Some(grave) = &self.grave {
            let troubles = self.applier(grave, HashMap::new()).sweep(folders.iter().map(|one| &one.folder));
            report.troubles.extend(troubles.into_iter().map(|trouble| trouble.text));
        }
    }

    fn list(&self) -> Result<(Vec<FolderNames>, Vec<String>), Error> {
        let scanner = Scanner {
            root: self.root,
            excludes: &Excludes::default(),
            skip_dirs: &self.skip_dirs,
            depth: Depth::Full,
            siblings: &[],
            after_cut: false,
            renames: false,
            on_read: &|_| true,
        };
        let mut names = scanner.names()?;
        names.folders.retain(|one| is_below(&one.folder, &self.below));
        let troubles = names.troubles.iter().map(|trouble| format!("{}: {}", printable(&trouble.path), trouble.text));
        Ok((names.folders, troubles.collect()))
    }

    /// Looks at every message.
    fn find<'n>(
        &self,
        folders: &'n [FolderNames],
        report: &mut Report,
        again: &mut Vec<String>,
        seen: &mut BTreeSet<(Folder, File)>,
    ) -> Vec<Found<'n>> {
        let total = folders.iter().map(|one| one.files.len() as u64).sum();
        self.progress.phase(Phase::Scan, Some(total));
        let some: Vec<(&Folder, &[File])> = folders
            .iter()
            .flat_map(|one| one.files.chunks(LOOKED_AT_ONCE).map(move |files| (&one.folder, files)))
            .collect();
        let looked_at = AtomicU64::new(0);
        let looked = crew::each(&some, self.stop, |(folder, files)| {
            let dirs = self.root.folder(folder);
            let looked: Vec<io::Result<Option<Has>>> = files
                .iter()
                .map(|file| {
                    let dirs = dirs.as_ref().map_err(|error| io::Error::from(error.kind()))?;
                    let dir = dirs.place(file.place).ok_or(io::ErrorKind::NotFound)?;
                    look(|| self.root.fs.open(dir, &file.name), self.names)
                })
                .collect();
            let count = looked_at.fetch_add(files.len() as u64, Ordering::Relaxed) + files.len() as u64;
            self.progress.at(count, 0);
            looked
        });
        let mut found: Vec<Found<'n>> = Vec::new();
        let mut twins = BTreeSet::new();
        for ((folder, files), looked) in some.iter().zip(looked) {
            for (file, looked) in files.iter().zip(looked.into_iter().flatten()) {
                let shown = printable(&self.root.shown(folder, &[file.place.dir(), b"/", &file.name].concat()));
                let mut over = || seen.insert(((*folder).clone(), file.clone()));
                let has = match looked {
                    Ok(None) => {
                        over();
                        continue;
                    }
                    Ok(Some(has)) => has,
                    // It has another name by now, or is gone.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) if is_changed(&error) => {
                        again.push(format!("{shown} is left alone: {error}"));
                        continue;
                    }
                    Err(error) => {
                        over();
                        report.troubles.push(format!("{shown} is left alone: {error}"));
                        continue;
                    }
                };
                let Ok(FileName { uniq, .. }) = FileName::parse(&file.name) else { continue };
                let name = Name::new(folder, &uniq);
                if found.last().is_some_and(|last| last.name == name) {
                    twins.insert(name.clone());
                }
                report.found.insert(name.clone(), has.removed);
                match has.odd {
                    Some(odd) => {
                        over();
                        report.left.insert(name);
                        report.troubles.push(format!("{shown} {odd}; it is left alone"));
                    }
                    None => found.push(Found { name, file, has }),
                }
            }
        }
        // Two names of one message: which of them is it? A sync settles that first.
        let (left, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|one| twins.contains(&one.name));
        seen.extend(left.into_iter().map(|one| (one.name.folder, one.file.clone())));
        for name in twins {
            let shown = printable(&self.root.shown_name(&name));
            report.troubles.push(format!("{shown} has two names in its folder and is left alone; a sync settles that"));
            report.left.insert(name);
        }
        found
    }

    fn applier(&self, grave: &Grave<Disk>, seen: HashMap<Name, Entry>) -> Applier<Disk> {
        let expect = Box::new(move |name: &Name| seen.get(name).cloned());
        Applier::new(self.root.clone(), grave.clone(), OWNER, expect).rewriting()
    }

    fn rewrite_all(
        &self,
        grave: &Grave<Disk>,
        found: &[Found<'_>],
        report: &mut Report,
        again: &mut Vec<String>,
        seen: &mut BTreeSet<(Folder, File)>,
    ) {
        self.progress.phase(Phase::Apply, Some(found.len() as u64));
        let some: Vec<&[Found<'_>]> = found.chunks(WRITTEN_AT_ONCE).collect();
        let written = AtomicU64::new(0);
        let became = crew::each(&some, self.stop, |some| self.rewrite(grave, some, &written));
        for (some, became) in some.iter().zip(became) {
            for (one, became) in some.iter().zip(became.into_iter().flatten()) {
                match became {
                    Became::Done => {
                        report.done.insert(one.name.clone());
                    }
                    Became::Changed(text) => {
                        again.push(text);
                        continue;
                    }
                    Became::Failed(text) => {
                        report.left.insert(one.name.clone());
                        report.troubles.push(text);
                    }
                }
                seen.insert((one.name.folder.clone(), one.file.clone()));
            }
        }
    }

    /// Gives some messages their new bytes, as one batch.
    fn rewrite(&self, grave: &Grave<Disk>, some: &[Found<'_>], written: &AtomicU64) -> Vec<Became> {
        let entry = |one: &Found<'_>| {
            let flags = FileName::parse(&one.file.name).map(|name| name.flags).unwrap_or_default();
            Entry { uniq: one.name.uniq.clone(), place: one.file.place, flags, content: one.has.old.content }
        };
        let seen: HashMap<Name, Entry> = some.iter().map(|one| (one.name.clone(), entry(one))).collect();
        let step = |one: &Found<'_>| {
            let Entry { place, flags, .. } = entry(one);
            let bytes = Bytes { content: one.has.new.content, source: Source::Wire, mtime: None };
            Step::Replace { at: one.name.clone(), dress: Dress { place, flags }, bytes }
        };
        let mut applier = self.applier(grave, seen);
        applier.begin(some.iter().map(step).collect());
        let fed: Vec<Result<(), Became>> = some
            .iter()
            .enumerate()
            .map(|(at, one)| {
                let fed = self.feed(&mut applier, at, one);
                self.progress.at(written.fetch_add(1, Ordering::Relaxed) + 1, 0);
                fed
            })
            .collect();
        let outcomes = applier.install();
        fed.into_iter()
            .zip(outcomes)
            .map(|(fed, outcome)| match (fed, outcome) {
                (Err(became), _) => became,
                (Ok(()), Outcome::Done) => Became::Done,
                (Ok(()), Outcome::Changed(text)) => Became::Changed(text),
                (Ok(()), Outcome::Failed(text)) => Became::Failed(text),
                (Ok(()), Outcome::Refused(refusal)) => Became::Failed(refusal.to_string()),
                (Ok(()), Outcome::NeedBytes) => Became::Changed("its bytes changed meanwhile".to_owned()),
            })
            .collect()
    }

    /// Stages the new bytes of a message.
    fn feed(&self, applier: &mut Applier<Disk>, at: usize, one: &Found<'_>) -> Result<(), Became> {
        let shown = self.root.shown(&one.name.folder, &[one.file.place.dir(), b"/", &one.file.name].concat());
        let changed = || Became::Changed(format!("{} keeps changing and is left alone", printable(&shown)));
        let opened = self.root.folder(&one.name.folder).and_then(|dirs| {
            let dir = dirs.place(one.file.place).ok_or(io::ErrorKind::NotFound)?;
            self.root.fs.open(dir, &one.file.name)
        });
        let mut file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(changed()),
            opened => opened.context("open", &shown).map_err(|error| Became::Failed(error.to_string()))?,
        };
        let meta = Meta { size: one.has.new.size, mtime: one.has.stat.mtime };
        let mut incoming = applier.incoming(at, meta).map_err(|error| Became::Failed(error.to_string()))?;
        incoming.set_mode(one.has.stat.mode);
        let mut filter = Filter::new(self.names);
        let mut grown = false;
        let read = pass(&mut file, &mut filter, |_, _, stays| {
            grown = incoming.write(stays).is_err();
            !grown
        });
        match read {
            Ok(()) if !grown => {
                incoming.finish(applier);
                Ok(())
            }
            Ok(()) => {
                incoming.abort();
                Err(changed())
            }
            Err(error) => {
                incoming.abort();
                Err(Became::Failed(format!("cannot read {}: {error}", printable(&shown))))
            }
        }
    }
}

/// Whether a folder is this one or below it.
pub(crate) fn is_below(folder: &Folder, above: &Folder) -> bool {
    match folder.as_bytes().strip_prefix(above.as_bytes()) {
        Some(rest) => above.is_root() || rest.is_empty() || rest[0] == b'/',
        None => false,
    }
}
