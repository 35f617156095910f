//! What the report says of a root: plan and outcomes put into counts, items and sentences.

use smd_maildir::fs::Fs;
use smd_protocol::names::printable;
use smd_protocol::reconcile::{Component, Hold, Note, Side, Stop};
use smd_protocol::{Name, Outcome, Source, Step};

use super::batch::Outcomes;
use super::pair::Pair;
use crate::journal::Journal;
use crate::options::RunOptions;
use crate::report::{Adopted, Conflict, Counts, Guard, Host, Item, Kind, Reason, Report, Trouble};

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

fn reason(hold: Hold) -> Option<Reason> {
    match hold {
        Hold::Direction => Some(Reason::Direction),
        Hold::NoDelete => Some(Reason::NoDelete),
        Hold::Guard => Some(Reason::Guard),
        // The trouble that made the look incomplete is told by itself.
        Hold::Incomplete => None,
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
                let item = journal.has_log().then(|| self.item(side, step, None));
                let tell = |why| item.iter().for_each(|item| journal.step(self.label(), item, why));
                let text = match outcome {
                    Outcome::Done => {
                        tell(None);
                        if let Step::Part(twin) = step {
                            let whose = if side == Side::Ours { "this host" } else { "the server" };
                            let text =
                                format!("two messages of {whose} were called {}; one is now {}", twin.from, twin.to);
                            self.report.notes.push(text);
                        }
                        let kind = self.kind(side, step);
                        self.counts(side).count(kind);
                        continue;
                    }
                    Outcome::Changed(text) | Outcome::Failed(text) => text.clone(),
                    Outcome::NeedBytes => "its bytes were not to be had; run again".to_owned(),
                };
                tell(Some(&text));
                // A folder that could not go was made again on the other host in the same run: nothing is left to do.
                if let Step::RemoveFolder(folder) = step {
                    self.report.notes.push(format!("the folder {folder} stays on both hosts: {text}"));
                    continue;
                }
                self.report.failed += 1;
                let passing = !matches!(outcome, Outcome::Failed(_));
                self.troubles.push(Trouble { passing, ..Trouble::new(host(side), shown(step), text) });
            }
        }
    }

    /// A delete that is one half of a move under another header is shown as that move.
    fn kind(&self, side: Side, step: &Step) -> Kind {
        if self.is_dressed_move(side, step) { Kind::Moved } else { kind(step) }
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
        let wants_items = options.dry_run || options.verbose > 0;
        for component in &plan.components {
            for side in Side::BOTH {
                let part = component.part(side);
                let why = part.held.and_then(reason);
                for step in &part.steps {
                    if let (Some(why), true) = (why, plan.stop.is_none()) {
                        self.report.held.count(why);
                    } else if options.dry_run && plan.stop.is_none() && part.held.is_none() {
                        let kind = self.kind(side, step);
                        self.counts(side).count(kind);
                    }
                    if wants_items && plan.stop.is_none() && (part.held.is_none() || why.is_some()) {
                        self.report.items.push(self.item(side, step, why));
                    }
                }
            }
        }
        self.report.root = self.label().to_vec();
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
            (Some(Stop::Doubles { at, folder, messages, of, .. }), _) => {
                let path = match at {
                    Side::Ours => std::os::unix::ffi::OsStrExt::as_bytes(self.local.path().as_os_str()).to_vec(),
                    Side::Theirs => self.remote().to_vec(),
                };
                Some(Guard::Doubles {
                    host: host(*at),
                    folder: folder.as_bytes().to_vec(),
                    messages: *messages,
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
            self.report.adopted = Some(Adopted { matched: plan.matched, returned: Vec::new() });
        }
        for note in plan.notes.iter().filter(|_| plan.stop.is_none()) {
            self.note(note);
        }
        let put_back = self.ours.put_back.iter().chain(&self.theirs.put_back);
        self.report.restored = put_back.map(|folder| folder.as_bytes().to_vec()).collect();
        report.troubles.append(&mut self.troubles);
        report.left_out.append(&mut self.left_out_by_design);
        report.roots.push(std::mem::take(&mut self.report));
    }

    fn note(&mut self, note: &Note) {
        match note {
            Note::KeptBoth { name, fresh } => self.report.conflicts.push(Conflict {
                folder: name.folder.as_bytes().to_vec(),
                uniq: name.uniq.as_bytes().to_vec(),
                fresh: fresh.uniq.as_bytes().to_vec(),
            }),
            Note::Returned { to, name } => {
                let item = item(host(*to), Kind::New, name, Vec::new(), None);
                if let Some(adopted) = &mut self.report.adopted {
                    adopted.returned.push(item);
                }
            }
            Note::MovedTwice { kept, left } => {
                let text = format!("moved on both hosts: it is now {kept}, no longer {left}");
                self.report.notes.push(text);
            }
            Note::Healed { on, name } => {
                let host = match on {
                    Side::Ours => "this host",
                    Side::Theirs => "the server",
                };
                self.report.notes.push(format!("{name} was empty on {host}; the other host's bytes are given back"));
            }
            Note::FolderKept(folder) => {
                self.report
                    .notes
                    .push(format!("the folder {folder} was removed on one host, but holds mail; it is made again"));
            }
        }
    }

    fn item(&self, side: Side, step: &Step, held: Option<Reason>) -> Item {
        let host = host(side);
        let kind = self.kind(side, step);
        match step {
            Step::MakeFolder(folder) | Step::RemoveFolder(folder) => {
                Item { host, kind, folder: folder.as_bytes().to_vec(), uniq: Vec::new(), detail: Vec::new(), held }
            }
            Step::Put { to, .. } => item(host, kind, to, Vec::new(), held),
            Step::Replace { at, .. } => item(host, kind, at, Vec::new(), held),
            Step::Part(twin) => item(host, kind, &twin.name(), format!("from {}", twin.from).into_bytes(), held),
            Step::Delete(name) => {
                let detail = if self.is_dressed_move(side, step) { &b"away, with another header"[..] } else { b"" };
                item(host, kind, name, detail.to_vec(), held)
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
                item(host, kind, to, detail.into_bytes(), held)
            }
        }
    }
}

fn item(host: Host, kind: Kind, name: &Name, detail: Vec<u8>, held: Option<Reason>) -> Item {
    Item { host, kind, folder: name.folder.as_bytes().to_vec(), uniq: name.uniq.as_bytes().to_vec(), detail, held }
}
