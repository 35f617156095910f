//! Carries out the steps of one host, a batch at a time: each checked against the disk first, each repeatable.
//!
//! The order in which things become durable is that of [`Applier::install`]: staged bytes, then names, then deletes, then
//! the directories. Whoever commits a state does so after that.
//!
//! | file | what |
//! | --- | --- |
//! | `staging` | bytes from here or from the wire into `tmp/` |
//! | `stage`, `incoming` | one file being written; one message being received |
//! | `part` | a second message of one uniq gets a name of its own |
//! | `steps` | put, replace, move, delete: how each is taken, and when it is refused |
//! | `spelling` | names read back after they were created |
//! | `tree` | folders made and removed |
//! | `work` | what the steps share: expectations, names in `tmp/`, syncs |
//! | `settle` | bytes that may not stay in the grave: the fresh uniq, and what a crash left |
//! | `back` | what a grave gives back when a person asks |
//! | `reverse` | moves and marks of a key taken back when its owner asks |
//! | `change` | paths of files that came, moved or went, for whoever indexes them |
//! | `folders`, `listing` | where messages lie, by uniq |
//! | `read` | opening a message to send it |
//!
//! Deliberately not here: which steps (the plan's), whether they may be (the policy's), locks, state files.

use std::collections::{BTreeSet, HashMap};

use smd_protocol::step::Twin;
use smd_protocol::{Content, Entry, Folder, Name, Outcome, Refusal, Source, Step, seeded};

use crate::error::{Context, Trouble};
use crate::fs::{Fs, Stat};
use crate::grave::{Grave, Record, Ticket, Why, record_of};
use crate::quota::Quota;
use crate::root::Root;

mod back;
mod change;
mod folders;
mod incoming;
mod listing;
mod part;
mod read;
mod reverse;
mod settle;
mod spelling;
mod stage;
mod staging;
mod steps;
mod stop;
#[cfg(test)]
mod tests;
mod tree;
mod work;

pub use back::Back;
pub use change::Change;
pub use incoming::{Incoming, Refused};
pub use read::{Message, Messages, open_message};
use stage::Staged;
use stop::Stop;
use work::Work;

/// So few files or directories of a batch are synced one by one, rather than the whole file system.
const FEW: usize = 4;

/// A message that got its bytes from a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Installed {
    /// Its name.
    pub name: Name,
    /// Its bytes, as they were checked.
    pub content: Content,
    /// The file that has them. Another file under the name, or other stamps, is somebody else's work.
    pub stat: Stat,
}

/// What a host's scan saw under a name.
pub type Expect = Box<dyn Fn(&Name) -> Option<Entry> + Send>;

/// Executes steps on one root, for one run. Sweep, begin and install under the root's lock; it may be free between them.
pub struct Applier<F: Fs> {
    work: Work<F>,
    batch: Batch,
    /// Whether the grave was looked through for what a crash left.
    settled: bool,
}

#[derive(Default)]
struct Batch {
    steps: Vec<Step>,
    states: Vec<State>,
    /// Steps by the message that they bring or move to.
    by_target: HashMap<Name, Vec<usize>>,
    /// Steps that copy what another step of the batch brings, by that step.
    followers: HashMap<usize, Vec<usize>>,
    /// What messages that arrive anew are called, where that is not as we spell it.
    spelled: HashMap<usize, Vec<u8>>,
    /// Whether each staged file is synced by itself.
    sync_each: bool,
    /// Whether that, or the sync of all of them, is done.
    synced: bool,
    /// Steps that are taken only where another one was done, by their place.
    only_after: HashMap<usize, usize>,
    /// Why nothing of this batch may be installed: a sync failed.
    broken: Option<String>,
}

/// How far a step is.
enum State {
    /// It needs no bytes.
    Ready,
    /// Its bytes are not here yet.
    Waiting,
    /// Its bytes are in `tmp/`.
    Staged(Staged),
    /// It is over.
    Settled(Outcome),
}

impl<F: Fs> Applier<F> {
    /// Only leftovers of the same `owner` are swept, of which no two may be under way at once. `expect` tells what this host's scan saw.
    pub fn new(root: Root<F>, grave: Grave<F>, owner: &str, expect: Expect) -> Self {
        Self { work: Work::new(root, grave, owner, expect), batch: Batch::default(), settled: false }
    }

    /// What it replaces was rewritten here, by a tool that a person ran: it changes places again when that is undone.
    pub fn rewriting(mut self) -> Self {
        self.work.replaced = Why::Rewritten;
        self
    }

    /// Brings no more than this quota allows; otherwise as much as there is.
    pub fn within(mut self, quota: Quota<F>) -> Self {
        self.work.quota = quota;
        self
    }

    /// Removes what earlier runs of the same owner left in `tmp/` of these folders, and settles what a crash left in the
    /// grave between taking and looking. Call it before the first batch that touches a folder.
    pub fn sweep<'a>(&mut self, folders: impl IntoIterator<Item = &'a Folder>) -> Vec<Trouble> {
        let settled = std::mem::replace(&mut self.settled, true);
        let mut troubles =
            if settled || seeded::is("leftovers-rest") { Vec::new() } else { self.work.settle_leftovers() };
        troubles.extend(folders.into_iter().filter_map(|folder| self.work.sweep_tmp(folder)));
        troubles
    }

    /// Starts a batch. Steps are known by their index from here on. Folders are made at once, since `tmp/` is needed.
    pub fn begin(&mut self, steps: Vec<Step>) {
        self.begin_admitted(steps, Vec::new());
    }

    /// The same, but for steps that are refused: these are over before anything is done.
    pub fn begin_admitted(&mut self, steps: Vec<Step>, refused: Vec<(usize, Refusal)>) {
        self.discard_staged();
        self.work.begin();
        let brings = steps.iter().filter(|step| step.bytes().is_some()).count();
        for step in &steps {
            let from = match step {
                Step::Move { from, .. } | Step::Delete(from) | Step::Part(Twin { from, .. }) => Some(from),
                _ => None,
            };
            step.target().into_iter().chain(from).for_each(|name| self.work.folders.want(name));
        }
        let states =
            steps.iter().map(|step| if step.bytes().is_some() { State::Waiting } else { State::Ready }).collect();
        let mut by_target: HashMap<Name, Vec<usize>> = HashMap::new();
        for (at, step) in steps.iter().enumerate() {
            if let Some(target) = step.target() {
                by_target.entry(target.clone()).or_default().push(at);
            }
        }
        self.batch = Batch { steps, states, by_target, sync_each: brings <= FEW, ..Batch::default() };
        for (at, refusal) in refused {
            if let Some(state) = self.batch.states.get_mut(at) {
                *state = State::Settled(Outcome::Refused(refusal));
            }
        }
        self.part_twins();
        let making = |(at, step): (usize, &Step)| match (step, &self.batch.states[at]) {
            (Step::MakeFolder(folder), State::Ready) => Some((at, folder.clone())),
            _ => None,
        };
        let (at, folders): (Vec<usize>, Vec<Folder>) = self.batch.steps.iter().enumerate().filter_map(making).unzip();
        match self.work.permit_folders(folders.len()) {
            Ok(()) => {
                for (at, made) in at.into_iter().zip(self.work.make_folders(&folders)) {
                    self.batch.states[at] = State::Settled(outcome(made));
                }
            }
            Err(stop) => self.do_without(&folders, &stop),
        }
    }

    /// Folders that may not be made: nor is anything done that needs them.
    fn do_without(&mut self, folders: &[Folder], stop: &Stop) {
        let folders: BTreeSet<&Folder> = folders.iter().collect();
        for (step, state) in self.batch.steps.iter().zip(&mut self.batch.states) {
            let needed = match step {
                Step::MakeFolder(folder) => Some(folder),
                step => step.target().map(|name| &name.folder),
            };
            if needed.is_some_and(|folder| folders.contains(folder)) && !matches!(state, State::Settled(_)) {
                *state = State::Settled(stop.clone().into());
            }
        }
    }

    /// Renames second messages of one name, once the grave has a note of it.
    fn part_twins(&mut self) {
        let (mut found, mut records) = (Vec::new(), Vec::new());
        for (at, step) in self.batch.steps.iter().enumerate() {
            let (Step::Part(twin), State::Ready) = (step, &self.batch.states[at]) else { continue };
            match self.work.find_twin(twin) {
                Ok(Some(spot)) => {
                    let record = record_of(Why::Renamed, &twin.from, spot.place, &spot.file, twin.content);
                    records.push(Record { renamed: Some(twin.to.clone()), ..record });
                    found.push((at, twin.clone(), spot));
                }
                Ok(None) => self.batch.states[at] = State::Settled(Outcome::Done),
                Err(stop) => self.batch.states[at] = State::Settled(stop.into()),
            }
        }
        let noted = self.work.grave.announce(records).context("write the grave of", self.work.shown_root());
        for (at, twin, spot) in found {
            self.batch.states[at] = State::Settled(match &noted {
                Ok(_) => outcome(self.work.part(at, &twin, spot)),
                Err(error) => Stop::from(error).into(),
            });
        }
    }

    /// Whether there is a batch.
    pub fn has_steps(&self) -> bool {
        !self.batch.steps.is_empty()
    }

    /// Makes the staged bytes durable, once all have come, so that [`Applier::install`] need not: this needs no lock.
    pub fn sync_staged(&mut self) {
        if self.batch.broken.is_none() && !std::mem::replace(&mut self.batch.synced, true) {
            self.batch.broken = self.sync_batch().err();
        }
    }

    /// Makes the staged bytes durable, installs everything, and makes that durable. Gives the outcomes in the order of the
    /// steps. After a failed sync of staged bytes nothing is installed.
    pub fn install(&mut self) -> Vec<Outcome> {
        self.sync_staged();
        if let Some(text) = self.batch.broken.take().filter(|_| !seeded::is("failed-sync-is-no-failure")) {
            self.discard_staged();
            // Nothing of it is left, so that whoever installs again without a new batch installs nothing.
            let Batch { states, .. } = std::mem::take(&mut self.batch);
            return states.into_iter().map(|state| not_durable(state, &text)).collect();
        }
        // Others may have taken names since the batch began.
        self.work.folders.relist();
        let mut tickets = self.announce();
        let (mut deletes, mut removals) = (Vec::new(), Vec::new());
        let needed = self.needed_names();
        for at in 0..self.batch.steps.len() {
            match &self.batch.steps[at] {
                Step::RemoveFolder(folder) => removals.push((std::cmp::Reverse(folder.components().count()), at)),
                Step::Delete(name) if !seeded::is("deletes-first") && needed.get(name).is_none_or(|&by| by < at) => {
                    deletes.push(at)
                }
                _ => self.take(at, &mut tickets),
            }
        }
        for (at, stop) in self.work.misspelled() {
            self.batch.states[at] = State::Settled(stop.into());
        }
        deletes.into_iter().for_each(|at| self.take(at, &mut tickets));
        removals.sort();
        removals.into_iter().for_each(|(_, at)| self.take(at, &mut tickets));
        let synced = self.work.sync_names();
        self.batch.followers.clear();
        let states = std::mem::take(&mut self.batch.states);
        self.batch.steps.clear();
        let outcomes = states.into_iter().map(|state| match state {
            State::Settled(outcome) => outcome,
            _ => unreachable!("every step was taken"),
        });
        match synced {
            Ok(()) => outcomes.collect(),
            Err(stop) => {
                outcomes.map(|outcome| if outcome.is_done() { stop.clone().into() } else { outcome }).collect()
            }
        }
    }

    /// The directories that were changed since this was made, by their paths on this host.
    pub fn touched(&self) -> BTreeSet<Folder> {
        self.work.touched()
    }

    /// The messages that got their bytes from a step since this was made.
    pub fn installed(&self) -> Vec<Installed> {
        self.work.installed.clone()
    }

    /// Takes note of every file that comes, moves or goes from now on.
    pub fn tell_changes(&mut self) {
        self.work.changes.get_or_insert_default();
    }

    /// The files that came, moved or went since this was asked before, in order; none unless [`Applier::tell_changes`]
    /// was called.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.work.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Names that a step is about to give to a message, with the last such step.
    fn needed_names(&self) -> HashMap<Name, usize> {
        let ready = |at: usize| matches!(self.batch.states[at], State::Ready | State::Staged(_));
        let targets = self.batch.steps.iter().enumerate().filter(|(at, _)| ready(*at));
        targets.filter_map(|(at, step)| Some((step.target()?.clone(), at))).collect()
    }

    /// Announces to the grave what this batch will bury: one write and one sync for all.
    fn announce(&mut self) -> HashMap<usize, Ticket> {
        let (mut at, mut records): (Vec<usize>, Vec<Record>) = (Vec::new(), Vec::new());
        for (index, step) in self.batch.steps.iter().enumerate() {
            let (why, name, instead) = match (step, &self.batch.states[index]) {
                (Step::Delete(name), State::Ready) => (Why::Deleted, name, None),
                (Step::Replace { at, bytes, .. }, State::Staged(_)) => (self.work.replaced, at, Some(bytes.content)),
                _ => continue,
            };
            let Some(expected) = self.work.expected(name) else { continue };
            match self.work.find_alone(name) {
                Ok(Some(spot)) => {
                    at.push(index);
                    records.push(Record { instead, ..record_of(why, name, spot.place, &spot.file, expected.content) });
                }
                Ok(None) => {}
                Err(stop) => self.batch.states[index] = State::Settled(stop.into()),
            }
        }
        match self.work.grave.announce(records).context("write the grave of", self.work.shown_root()) {
            Ok(tickets) => at.into_iter().zip(tickets).collect(),
            Err(error) => {
                let stop = Stop::from(error);
                at.into_iter().for_each(|index| self.settle(index, Err(stop.clone())));
                HashMap::new()
            }
        }
    }

    /// Lets a step of the batch be taken only where another one of it was done. To be called before it is installed.
    pub fn only_after(&mut self, at: usize, other: usize) {
        self.batch.only_after.insert(at, other);
    }

    /// What the ids of all that it buries have in common.
    ///
    /// # Errors
    /// When the age clock cannot be read.
    pub fn burials(&self) -> std::io::Result<String> {
        self.work.grave.burials()
    }

    /// What is under a name, as far as the scan and the steps that were taken since tell.
    pub fn expected(&self, name: &Name) -> Option<Entry> {
        self.work.expected(name)
    }

    /// Takes one step, unless it is over.
    fn take(&mut self, at: usize, tickets: &mut HashMap<usize, Ticket>) {
        if let Some(other) = self.batch.only_after.get(&at)
            && !matches!(self.batch.states.get(*other), Some(State::Settled(Outcome::Done)))
            && let Step::Delete(name) = &self.batch.steps[at]
        {
            let stop = Stop::changed(&self.work.shown(name), "stays, since its copy did not come");
            return self.settle(at, Err(stop));
        }
        let work = &mut self.work;
        let result = match (&self.batch.steps[at], &self.batch.states[at]) {
            (_, State::Settled(_)) | (Step::MakeFolder(_) | Step::Part(_), _) => return,
            (step, State::Waiting) => {
                self.batch.states[at] = State::Settled(match step.bytes().map(|bytes| &bytes.source) {
                    Some(Source::Copy(_) | Source::Body(_)) => Outcome::NeedBytes,
                    _ => Outcome::Changed(format!(
                        "{} disappeared on the other host before it could be sent",
                        step.target().expect("it brings bytes")
                    )),
                });
                return;
            }
            (Step::Put { to, dress, bytes }, State::Staged(staged)) => {
                work.put(at, to, dress, &bytes.content, staged, self.batch.spelled.remove(&at))
            }
            (Step::Replace { at: name, dress, bytes }, State::Staged(staged)) => {
                work.replace(name, dress, &bytes.content, staged, tickets.remove(&at))
            }
            (Step::Move { from, to, dress }, _) => work.relocate(at, from, to, dress),
            (Step::Delete(name), _) => work.delete(name, tickets.remove(&at)),
            (Step::RemoveFolder(folder), _) => work.remove_folder(folder),
            (Step::Put { .. } | Step::Replace { .. }, State::Ready) => unreachable!("such a step waits or is staged"),
        };
        self.settle(at, result);
    }

    fn settle(&mut self, at: usize, result: Result<(), Stop>) {
        let failed = result.is_err();
        let before = std::mem::replace(&mut self.batch.states[at], State::Settled(outcome(result)));
        if let (true, State::Staged(staged)) = (failed, before) {
            self.work.discard(&staged);
        }
    }

    /// Makes staged bytes durable that were not synced one by one.
    fn sync_batch(&mut self) -> Result<(), String> {
        if self.batch.sync_each || seeded::is("skips-sync-of-batch") {
            return Ok(());
        }
        let mut devices = BTreeSet::new();
        for state in &self.batch.states {
            if let State::Staged(staged) = state
                && devices.insert(staged.stat.dev)
            {
                self.work.sync_device(&staged.folder).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn discard_staged(&mut self) {
        for state in &self.batch.states {
            if let State::Staged(staged) = state {
                self.work.discard(staged);
            }
        }
    }
}

fn outcome(result: Result<(), Stop>) -> Outcome {
    result.map_or_else(Outcome::from, |()| Outcome::Done)
}

/// The outcome of a step whose batch was given up.
fn not_durable(state: State, text: &str) -> Outcome {
    match state {
        State::Settled(outcome) if !outcome.is_done() => outcome,
        _ => Outcome::Failed(format!("{text}; nothing of this batch was installed")),
    }
}
