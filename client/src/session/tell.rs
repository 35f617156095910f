//! What the report says of a root: plan and outcomes put into counts, items and sentences.

use std::collections::BTreeSet;

use smd_maildir::fs::Fs;
use smd_protocol::names::printable;
use smd_protocol::reconcile::{Component, Hold, Note, Plan, Side, Stop};
use smd_protocol::{Folder, Name, Outcome, Refusal, Source, Step};

use super::batch::Outcomes;
use super::pair::Pair;
use crate::journal::Journal;
use crate::options::RunOptions;
use crate::report::{
    Adopted, Baseless, Conflict, Counts, Fate, Guard, Host, Item, Kind, Met, Reason, Report, Spent, Trouble,
};

fn host(side: Side) -> Host {
    match side {
        Side::Ours => Host::Client,
        Side::Theirs => Host::Server,
    }
}

fn kind(step: &Step) -> Kind {
    match step {
        Step::MakeFolder(_) => Kind::FolderMade,
        Step::RemoveFolder(_) => Kind::FolderRemoved,
        Step::Put { bytes, .. } if bytes.source == Source::Wire => Kind::New,
        Step::Put { .. } => Kind::Copied,
        Step::Replace { .. } => Kind::Replaced,
        Step::Move { from, to, .. } if from == to => Kind::Flags,
        Step::Move { .. } => Kind::Moved,
        Step::Part(_) => Kind::Renamed,
        Step::Delete(_) => Kind::Deleted,
    }
}

/// Whether a message gets another uniq and stays in its folder.
fn renames(step: &Step) -> bool {
    match step {
        Step::Move { from, to, .. } => from.folder == to.folder && from.uniq != to.uniq,
        Step::Part(_) => true,
        _ => false,
    }
}

fn reason(hold: Hold) -> Reason {
    match hold {
        Hold::Direction => Reason::Direction,
        Hold::Policy => Reason::Policy,
        Hold::NoDelete => Reason::NoDelete,
        Hold::Guard => Reason::Guard,
        Hold::Incomplete => Reason::Incomplete,
        Hold::OtherRoot => Reason::OtherRoot,
        Hold::Budget => Reason::Budget,
    }
}

/// What is not as planned on a host, so that no sentence about the plan holds for it: messages and folders whose steps failed
/// or wait.
#[derive(Default)]
pub(super) struct Undone {
    names: [BTreeSet<Name>; 2],
    folders: BTreeSet<Folder>,
}

impl Undone {
    fn add(&mut self, component: &Component, side: Side) {
        self.names[side as usize].extend(component.names.iter().cloned());
        self.folders.extend(component.folder.clone());
    }

    /// Whether what this note says has come true.
    fn leaves(&self, note: &Note) -> bool {
        let on = |side: Side, name: &Name| !self.names[side as usize].contains(name);
        match note {
            // The server's message keeps name and place: what is to be done is done at the client.
            Note::KeptBoth { name, .. } => on(Side::Ours, name),
            Note::MovedTwice { kept, .. } => on(Side::Ours, kept),
            Note::Returned { to: side, name } | Note::Healed { on: side, name } => on(*side, name),
            Note::FolderKept(folder) => !self.folders.contains(folder),
            Note::MovedAway { edited, name, .. } => on(edited.other(), name),
        }
    }
}

fn shown(step: &Step) -> Vec<u8> {
    let name = match step {
        Step::MakeFolder(folder) | Step::RemoveFolder(folder) => return folder.as_bytes().to_vec(),
        Step::Put { to, .. } | Step::Move { to, .. } => to,
        Step::Replace { at, .. } => at,
        Step::Delete(name) => name,
        Step::Part(twin) => &twin.from,
    };
    let mut path = name.folder.as_bytes().to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name.uniq.as_bytes());
    path
}

impl<F: Fs> Pair<F> {
    /// Counts what became of a component's steps.
    pub(super) fn count(&mut self, component: &Component, outcomes: &Outcomes, journal: &Journal) {
        for side in Side::BOTH {
            for (step, outcome) in component.part(side).open().iter().zip(&outcomes[side as usize]) {
                let text = match outcome {
                    Outcome::Done => {
                        self.told(side, step, Fate::Done, journal);
                        if let Step::Part(twin) = step {
                            let whose = if side == Side::Ours { "this host" } else { "the server" };
                            let text =
                                format!("two messages of {whose} had the name {}; one is now {}", twin.from, twin.to);
                            self.report.notes.push(text);
                        }
                        self.tally(side, step);
                        continue;
                    }
                    Outcome::Changed(text) | Outcome::Failed(text) => text.clone(),
                    Outcome::Refused(Refusal::Budget { lift, frees_at }) => {
                        self.spent = Some(Spent { lift: lift.clone(), frees_at: *frees_at });
                        self.told(side, step, Fate::Held(Reason::Budget), journal);
                        self.undone.add(component, side);
                        self.report.held.count(Reason::Budget);
                        continue;
                    }
                    // The server keeps to its policy better than this host knows it: such a step waits like one that was not tried.
                    Outcome::Refused(Refusal::Policy) => {
                        self.told(side, step, Fate::Held(Reason::Policy), journal);
                        self.undone.add(component, side);
                        self.report.held.count(Reason::Policy);
                        continue;
                    }
                    Outcome::Refused(refusal) => refusal.to_string(),
                    // The other host was to send it.
                    Outcome::NeedBytes => {
                        let place = if side == Side::Ours { "the server" } else { "this host" };
                        format!("it disappeared on {place} before it could be sent")
                    }
                };
                self.told(side, step, Fate::Left(text.clone()), journal);
                if let Step::RemoveFolder(folder) = step {
                    let made_again = !self.unmade.contains(folder);
                    if made_again {
                        self.report.notes.push(format!("the folder {folder} stays on both hosts: {text}"));
                        continue;
                    }
                    if !self.direction.changes(side.other()) {
                        self.report.notes.push(format!("the folder {folder} could not be removed: {text}"));
                        self.report.held.count(Reason::Direction);
                        continue;
                    }
                }
                self.undone.add(component, side);
                self.report.failed += 1;
                let passing = !matches!(outcome, Outcome::Failed(_) | Outcome::Refused(_));
                self.troubles.push(Trouble { passing, met: Met::Step, ..Trouble::new(host(side), shown(step), text) });
            }
        }
    }

    /// Tells log and report, as far as they want it, what became of a step.
    fn told(&mut self, side: Side, step: &Step, fate: Fate, journal: &Journal) {
        if self.verbose || journal.has_log() {
            let item = self.item(side, step, fate);
            journal.step(self.label(), &item);
            if self.verbose {
                self.report.items.push(item);
            }
        }
    }

    /// A delete that is one half of a move under another header is shown as that move.
    fn kind(&self, side: Side, step: &Step) -> Kind {
        if self.is_dressed_move(side, step) { Kind::Moved } else { kind(step) }
    }

    fn tally(&mut self, side: Side, step: &Step) {
        let kind = self.kind(side, step);
        let counts = self.counts(side);
        counts.count(kind);
        counts.renamed += u64::from(renames(step));
    }

    fn is_dressed_move(&self, side: Side, step: &Step) -> bool {
        matches!(step, Step::Delete(name) if self.dressed_moves[side as usize].contains(name))
    }

    fn counts(&mut self, side: Side) -> &mut Counts {
        match side {
            Side::Ours => &mut self.report.pulled,
            Side::Theirs => &mut self.report.pushed,
        }
    }

    /// Puts this root into the report.
    pub(super) fn tell(&mut self, options: &RunOptions, report: &mut Report) {
        let plan = std::mem::take(&mut self.plan);
        if plan.stop.is_none() {
            self.tell_untried(&plan, options);
        }
        self.report.root = self.label().to_vec();
        self.report.spent = self.spent.take().filter(|_| self.report.held.budget > 0);
        self.report.guard = match (&plan.stop, &plan.guard) {
            (Some(Stop::Suspicious { side, why }), _) => {
                let path = match side {
                    Side::Ours => std::os::unix::ffi::OsStrExt::as_bytes(self.local.path().as_os_str()).to_vec(),
                    Side::Theirs => self.remote().to_vec(),
                };
                Some(Guard::Swapped { host: host(*side), path, what: why.clone() })
            }
            (Some(Stop::OtherHeaders { messages, of, .. }), _) => {
                Some(Guard::OtherHeaders { messages: *messages, of: *of, copies: self.copies.clone() })
            }
            (Some(Stop::Doubles { at, folder, messages, earlier, of, .. }), _) => {
                let path = match at {
                    Side::Ours => std::os::unix::ffi::OsStrExt::as_bytes(self.local.path().as_os_str()).to_vec(),
                    Side::Theirs => self.remote().to_vec(),
                };
                Some(Guard::Doubles {
                    host: host(*at),
                    folder: folder.as_bytes().to_vec(),
                    messages: *messages,
                    earlier: *earlier,
                    of: *of,
                    copies: crate::report::Copies { path, ..self.copies.clone() },
                })
            }
            (None, Some(trip)) => Some(Guard::Bulk {
                host: host(trip.side),
                steps: trip.removals,
                earlier: trip.earlier,
                of: trip.messages,
                folder: trip.folder.as_ref().map(|folder| folder.as_bytes().to_vec()),
                stands: trip.stands,
            }),
            (None, None) => None,
        };
        // A first copy into nothing is no adopt that anybody need hear of.
        let had_mail =
            |view: &smd_protocol::reconcile::HostView| view.delta.folders.values().any(|change| !change.set.is_empty());
        if self.local.adopts()
            && !self.unusable
            && plan.stop.is_none()
            && had_mail(&self.ours)
            && had_mail(&self.theirs)
        {
            let why = match (self.gives_up_base, self.met_before) {
                (true, _) => Baseless::Asked,
                (false, true) => Baseless::Lost,
                (false, false) => Baseless::First,
            };
            self.report.adopted = Some(Adopted { why, matched: plan.matched, returned: Vec::new() });
        }
        for note in plan.notes.iter().filter(|_| plan.stop.is_none()) {
            if self.undone.leaves(note) {
                self.note(note);
            }
        }
        let put_back = self.ours.put_back.iter().chain(&self.theirs.put_back);
        self.report.restored = put_back.map(|folder| folder.as_bytes().to_vec()).collect();
        self.troubles.iter_mut().for_each(|trouble| trouble.root.clone_from(&self.label));
        report.troubles.append(&mut self.troubles);
        report.left_out.append(&mut self.left_out_by_design);
        report.roots.push(std::mem::take(&mut self.report));
    }

    /// Counts and names the steps that no outcome tells of: those that wait, and in a dry run all.
    fn tell_untried(&mut self, plan: &Plan, options: &RunOptions) {
        for component in &plan.components {
            for side in Side::BOTH {
                let part = component.part(side);
                let fate = match part.held.map(reason) {
                    Some(why) => Fate::Held(why),
                    None if options.dry_run => Fate::Done,
                    None => continue,
                };
                if fate.held().is_some() && !part.steps.is_empty() && !plan.notes.is_empty() {
                    self.undone.add(component, side);
                }
                for step in &part.steps {
                    match fate.held() {
                        Some(why) => self.report.held.count(why),
                        None => self.tally(side, step),
                    }
                    if options.dry_run || self.verbose {
                        let item = self.item(side, step, fate.clone());
                        self.report.items.push(item);
                    }
                }
            }
            if options.dry_run {
                self.report.mail = self.report.mail.saturating_add(component.wire_bytes);
            }
        }
    }

    fn note(&mut self, note: &Note) {
        match note {
            Note::KeptBoth { name, fresh } => self.report.conflicts.push(Conflict {
                folder: name.folder.as_bytes().to_vec(),
                uniq: name.uniq.as_bytes().to_vec(),
                fresh: fresh.uniq.as_bytes().to_vec(),
            }),
            Note::Returned { to, name } => {
                let item = item(host(*to), Kind::New, name, Vec::new(), Fate::Done);
                if let Some(adopted) = &mut self.report.adopted {
                    adopted.returned.push(item);
                }
            }
            Note::MovedTwice { kept, left } => {
                self.report.notes.push(format!("{left} was moved on both hosts and is kept as {kept}"));
            }
            Note::Healed { on, name } => {
                let host = match on {
                    Side::Ours => "this host",
                    Side::Theirs => "the server",
                };
                self.report.notes.push(format!("{name} was empty on {host} and gets the other host's bytes"));
            }
            Note::MovedAway { edited, name, root } => {
                let (edited, moved) = match edited {
                    Side::Ours => ("this host", "the server"),
                    Side::Theirs => ("the server", "this host"),
                };
                self.report.notes.push(format!(
                    "{name} was edited on {edited} and moved to {root} on {moved}; both are kept, so delete the one that you do not want"
                ));
            }
            Note::FolderKept(folder) => {
                self.report.notes.push(format!(
                    "the folder {folder} was removed on one host, but holds mail, so it is kept on both"
                ));
            }
        }
    }

    fn item(&self, side: Side, step: &Step, fate: Fate) -> Item {
        let host = host(side);
        let kind = self.kind(side, step);
        match step {
            Step::MakeFolder(folder) | Step::RemoveFolder(folder) => {
                Item { host, kind, folder: folder.as_bytes().to_vec(), uniq: Vec::new(), detail: Vec::new(), fate }
            }
            Step::Put { to, .. } => item(host, kind, to, Vec::new(), fate),
            Step::Replace { at, .. } => item(host, kind, at, Vec::new(), fate),
            Step::Part(twin) => item(host, kind, &twin.name(), format!("from {}", twin.from).into_bytes(), fate),
            Step::Delete(name) => {
                let detail = if self.is_dressed_move(side, step) { &b"away, with another header"[..] } else { b"" };
                item(host, kind, name, detail.to_vec(), fate)
            }
            Step::Move { from, to, dress } => {
                let detail = if from == to {
                    let was =
                        self.input().present(side).entry(from).map(|entry| (entry.flags.to_string(), entry.place));
                    let (flags, place) = was.unwrap_or((String::new(), dress.place));
                    let place = if place == dress.place {
                        String::new()
                    } else {
                        format!("{} -> {} ", printable(place.dir()), printable(dress.place.dir()))
                    };
                    format!("{place}[{flags}] -> [{}]", dress.flags)
                } else {
                    format!("from {from}")
                };
                item(host, kind, to, detail.into_bytes(), fate)
            }
        }
    }
}

fn item(host: Host, kind: Kind, name: &Name, detail: Vec<u8>, fate: Fate) -> Item {
    Item { host, kind, folder: name.folder.as_bytes().to_vec(), uniq: name.uniq.as_bytes().to_vec(), detail, fate }
}
