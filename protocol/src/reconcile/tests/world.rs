//! Hosts as maps, and a run as the session does it: deltas, plan, steps, next base.
//!
//! The executor is strict. It takes a step only when every name is as the plan believes, and refuses everything
//! else: an occupied target, a source that is gone, bytes that nobody has. A plan whose steps are refused
//! though nothing else went wrong is a wrong plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::delta::{Delta, FolderDelta, Meta, Mtime, Presence, Seen};
use crate::digest::Digest;
use crate::names::{Folder, Name};
use crate::reconcile::{Bare, Component, HostView, Input, Known, Past, Plan, Policy, Side, draft, finish, normalise};
use crate::snapshot::{Entry, Section, Snapshot};
use crate::step::{Source, Step};

/// One host's tree.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Tree {
    pub(super) folders: BTreeSet<Folder>,
    pub(super) mail: BTreeMap<Name, Entry>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { folders: BTreeSet::from([Folder::root()]), mail: BTreeMap::new() }
    }
}

impl Tree {
    pub(super) fn snapshot(&self, adopting: &BTreeSet<Folder>) -> Snapshot {
        let section = |folder: &Folder| Section::new(self.entries(folder), adopting.contains(folder));
        Snapshot { folders: self.folders.iter().map(|folder| (folder.clone(), section(folder))).collect() }
    }

    fn entries(&self, folder: &Folder) -> Vec<Entry> {
        self.mail.iter().filter(|(name, _)| name.folder == *folder).map(|(_, entry)| entry.clone()).collect()
    }

    pub(super) fn add(&mut self, name: Name, entry: Entry) {
        self.folders.insert(name.folder.clone());
        self.mail.insert(name, entry);
    }

    /// What a scan would report.
    pub(super) fn delta(&self, base: &Snapshot) -> Delta {
        let mut delta = Delta::default();
        let meta = Some(Meta { size: 100, mtime: Mtime { sec: 1, nsec: 2 } });
        let mut by_folder: BTreeMap<&Folder, Vec<Seen>> =
            self.folders.iter().map(|folder| (folder, Vec::new())).collect();
        for (name, entry) in &self.mail {
            by_folder.get_mut(&name.folder).expect("mail lies in folders").push(Seen { entry: entry.clone(), meta });
        }
        let nothing = Section::default();
        for (folder, present) in by_folder {
            let known = base.folders.get(folder);
            let mut change = FolderDelta::between(known.unwrap_or(&nothing), present);
            if known.is_none() {
                change.presence = Presence::Added;
            }
            if !change.is_empty() {
                delta.folders.insert(folder.clone(), change);
            }
        }
        for folder in base.folders.keys().filter(|folder| !self.folders.contains(*folder)) {
            delta.folders.insert(folder.clone(), FolderDelta { presence: Presence::Removed, ..FolderDelta::default() });
        }
        delta
    }

    pub(super) fn view(&self, base: &Snapshot) -> HostView {
        HostView { delta: self.delta(base), ..HostView::default() }
    }
}

/// The digest of all bytes of a message, as far as a model has bytes.
pub(super) fn whole_digest(entry: &Entry) -> Digest {
    Digest::of(&[entry.content.header.0, entry.content.body.0].concat())
}

/// Makes the plan, twice: the same input must give the same plan.
#[track_caller]
pub(super) fn plan(input: &Input<'_>, policy: &Policy) -> Plan {
    plan_after(input, policy, &Past::default(), None)
}

/// Makes the plan when this went before.
#[track_caller]
pub(super) fn plan_after(input: &Input<'_>, policy: &Policy, past: &Past, bare: Option<&Bare<'_>>) -> Plan {
    let make = || {
        let whole = |name: &Name| input.present(Side::Ours).entry(name).map(whole_digest);
        let mut plan = draft(input, policy, &Known { whole: &whole, bare }).expect("every digest is known");
        finish(input, policy, past, &mut plan);
        plan
    };
    let plan = make();
    assert_eq!(plan, make(), "the plan depends on chance");
    plan
}

/// A host that takes steps.
pub(super) struct Executor {
    /// As it was scanned.
    scanned: Tree,
    /// As the steps so far should have made it.
    believed: Tree,
    /// As it is.
    pub(super) tree: Tree,
}

impl Executor {
    /// `tree` may differ from what was scanned: a user was quicker than the run.
    pub(super) fn new(scanned: Tree, tree: Tree) -> Self {
        Self { believed: scanned.clone(), scanned, tree }
    }

    fn as_believed(&self, name: &Name) -> Result<Option<&Entry>, String> {
        let now = self.tree.mail.get(name);
        if now == self.believed.mail.get(name) { Ok(now) } else { Err(format!("{name} changed under us")) }
    }

    fn free(&self, name: &Name) -> Result<(), String> {
        if !self.tree.folders.contains(&name.folder) {
            return Err(format!("no folder for {name}"));
        }
        if self.as_believed(name)?.is_some() { Err(format!("{name} is occupied")) } else { Ok(()) }
    }

    fn there(&self, name: &Name) -> Result<Entry, String> {
        self.as_believed(name)?.cloned().ok_or_else(|| format!("{name} is not there"))
    }

    fn bytes_exist(&self, step: &Step, supply: Option<&Name>, peer: &Executor) -> Result<(), String> {
        let Some(bytes) = step.bytes() else { return Ok(()) };
        let local = |name: &Name| {
            [self.scanned.mail.get(name), self.tree.mail.get(name)]
                .into_iter()
                .flatten()
                .map(|e| e.content)
                .collect::<Vec<_>>()
        };
        let sent = || {
            let name = supply.ok_or_else(|| format!("nobody sends {step:?}"))?;
            let kept = peer.scanned.mail.get(name).is_some_and(|entry| entry.content == bytes.content);
            if kept { Ok(()) } else { Err(format!("the peer has not got {name} for {step:?}")) }
        };
        match &bytes.source {
            Source::Wire => sent(),
            Source::Copy(name) if local(name).contains(&bytes.content) => Ok(()),
            Source::Body(name) if local(name).iter().any(|content| content.body == bytes.content.body) => sent(),
            source => Err(format!("no such bytes here: {source:?} for {step:?}")),
        }
    }

    /// Takes one step, or says why not and changes nothing.
    pub(super) fn take(&mut self, step: &Step, supply: Option<&Name>, peer: &Executor) -> Result<(), String> {
        self.bytes_exist(step, supply, peer)?;
        match step {
            Step::MakeFolder(_) => {}
            Step::RemoveFolder(folder) => {
                if folder.is_root() || self.tree.mail.keys().any(|name| name.folder == *folder) {
                    return Err(format!("{folder} holds mail"));
                }
            }
            Step::Put { to, .. } => self.free(to)?,
            Step::Replace { at, bytes, .. } => {
                if self.there(at)?.content == bytes.content {
                    return Err(format!("{at} has these bytes already"));
                }
            }
            Step::Move { from, to, .. } => {
                self.there(from)?;
                if from != to {
                    self.free(to)?;
                }
            }
            Step::Delete(name) => drop(self.there(name)?),
            // The tree has the second message by the name that it gets, as a look tells of it.
            Step::Part(twin) => drop(self.there(&twin.name())?),
        }
        for tree in [&mut self.tree, &mut self.believed] {
            do_step(tree, step);
        }
        Ok(())
    }
}

fn do_step(tree: &mut Tree, step: &Step) {
    match step {
        Step::MakeFolder(folder) => drop(tree.folders.insert(folder.clone())),
        Step::RemoveFolder(folder) => drop(tree.folders.remove(folder)),
        Step::Put { to: name, dress, bytes } | Step::Replace { at: name, dress, bytes } => {
            let entry = Entry {
                uniq: name.uniq.clone(),
                place: dress.place,
                flags: dress.flags.clone(),
                content: bytes.content,
            };
            tree.mail.insert(name.clone(), entry);
        }
        Step::Move { from, to, dress } => {
            let content = tree.mail.remove(from).expect("checked before").content;
            let entry = Entry { uniq: to.uniq.clone(), place: dress.place, flags: dress.flags.clone(), content };
            tree.mail.insert(to.clone(), entry);
        }
        Step::Delete(name) => drop(tree.mail.remove(name)),
        Step::Part(_) => {}
    }
}

/// For each component, which open steps of each host are done.
pub(super) type Done = Vec<[Vec<bool>; 2]>;

/// Takes the steps of a plan in order. `fails` may make a step fail; `look` sees both hosts after each.
/// Gives what was done, and why the first step that was refused was refused.
pub(super) fn execute(
    plan: &Plan,
    hosts: &mut [Executor; 2],
    mut fails: impl FnMut() -> bool,
    mut look: impl FnMut(&[Executor; 2]),
) -> (Done, Option<String>) {
    let mut refused = None;
    let mut done = Done::new();
    for component in &plan.components {
        let mut both = [Vec::new(), Vec::new()];
        for side in Side::BOTH {
            let part = component.part(side);
            for (step, supply) in part.open().iter().zip(&part.supply) {
                let [ours, theirs] = hosts;
                let (host, peer) = if side == Side::Ours { (ours, theirs) } else { (theirs, ours) };
                let outcome = if fails() { Err(None) } else { host.take(step, supply.as_ref(), peer).map_err(Some) };
                both[side as usize].push(outcome.is_ok());
                if let Err(Some(why)) = outcome {
                    refused.get_or_insert(format!("{side:?}: {why}"));
                }
                look(hosts);
            }
        }
        done.push(both);
    }
    (done, refused)
}

/// Whether a component leaves nothing of its messages to a later adopt.
fn handled(component: &Component, done: &[Vec<bool>; 2]) -> bool {
    let whole = |side: Side| component.part(side).held.is_none() && done[side as usize].iter().all(|&done| done);
    Side::BOTH.into_iter().all(whole)
}

/// The base after a run; `done` may cover fewer components than the plan has (the run was cut after a commit).
pub(super) fn next_base(input: &Input<'_>, plan: &Plan, done: &Done) -> Snapshot {
    let mut changes = Delta::default();
    plan.settle_agreed(input, &mut changes);
    for (component, done) in plan.components.iter().zip(done) {
        plan.settle_component(input, component, [&done[0], &done[1]], &mut changes);
    }
    let mut open: BTreeSet<&Folder> = BTreeSet::new();
    for (index, component) in plan.components.iter().enumerate() {
        if !done.get(index).is_some_and(|done| handled(component, done)) {
            open.extend(component.names.iter().map(|name| &name.folder).chain(&component.folder));
        }
    }
    plan.settle_adopting(input, &mut changes, &|folder| open.contains(folder));
    normalise(input.base, &mut changes);
    for change in changes.folders.values() {
        assert!(change.gone.iter().all(|uniq| change.seen(uniq).is_none()), "gone and set share a uniq");
        assert!(change.gone.is_sorted() && change.set.is_sorted_by(|a, b| a.entry.uniq < b.entry.uniq));
    }
    let mut next = input.base.clone();
    next.apply(&changes);
    let mut twice = next.clone();
    twice.apply(&changes);
    assert_eq!(next, twice, "applying twice is applying once");
    next
}

/// One run in which nothing goes wrong, from trees to trees.
#[track_caller]
pub(super) fn run_well(base: &mut Option<Snapshot>, ours: &mut Tree, theirs: &mut Tree, policy: &Policy) -> Plan {
    let empty = Snapshot::default();
    let common = base.as_ref().unwrap_or(&empty);
    let views = [ours.view(common), theirs.view(common)];
    let input = Input {
        base: common,
        adopt: base.is_none(),
        ours: &views[0],
        theirs: &views[1],
        begun: &crate::reconcile::Begun::default(),
    };
    let plan = plan(&input, policy);
    let mut hosts = [Executor::new(ours.clone(), ours.clone()), Executor::new(theirs.clone(), theirs.clone())];
    let (done, refused) = execute(&plan, &mut hosts, || false, |_| {});
    assert_eq!(refused, None, "a step was refused in {plan:#?}");
    let next = next_base(&input, &plan, &done);
    *base = Some(next);
    let [a, b] = hosts;
    (*ours, *theirs) = (a.tree, b.tree);
    plan
}
