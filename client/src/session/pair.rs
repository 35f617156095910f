//! One root at both hosts: the two looks, and the plan.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use smd_maildir::exclude::{ExcludePair, Excludes, PATTERNS_MAX, pattern_for};
use smd_maildir::fs::Fs;
use smd_maildir::home::{Home, Label, Side as StateSide};
use smd_maildir::run::{Attendance, RootRun, RunError, Settings};
use smd_protocol::names::printable;
use smd_protocol::pack::Unpacker;
use smd_protocol::reconcile::{Bare, Begun, Exempt, HostView, Input, Known, Limit, Plan, Policy, Side, Stop, draft};
use smd_protocol::wire::{Depth, FromServer, RootAnswer, RootOffer};
use smd_protocol::{Folder, Name, Rights, Snapshot, counter};

use super::SessionError;
use super::course::Course;
use super::greet::pair_label;
use super::headers::Learnt;
use super::idle::Idle;
use super::peer::{Peer, trouble, unexpected};
use super::tell::Undone;
use crate::endpoint::{Endpoint, RootPair};
use crate::options::{Direction, MaxDelete, RunOptions};
use crate::progress::Progress;
use crate::report::{Copies, Host, RootReport, Spent, Trouble};

/// How long a lock is waited for, in milliseconds.
pub(super) const LOCK_WAIT_MS: u64 = 30_000;

/// Where this host keeps what it has of a root.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The directory.
    pub(super) peer: Label,
    /// The root's name in it.
    pub(super) key: Vec<u8>,
}

/// How the two hosts' bases of a root stand to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Met {
    /// Both have the same one, or one of them has none.
    AsAgreed,
    /// Each has one that the other does not know.
    Parted,
}

/// For whom a root is opened.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    /// This client's id.
    pub(super) client: &'a str,
    /// The configured endpoint.
    pub(super) endpoint: Option<Attendance<'a>>,
}

/// Names that are left out by design, of one root, of which the server is heard.
const LEFT_OUT_MAX: usize = 2_000;

/// One root at both hosts, through one session.
pub(super) struct Pair<F: Fs> {
    pub(super) index: u16,
    pub(super) direction: smd_protocol::reconcile::Direction,
    /// Looks so closely, whatever the options say.
    pub(super) depth: Option<Depth>,
    pub(super) local: RootRun<F>,
    remote: Vec<u8>,
    /// What the server is told to tell this base apart by.
    pair: String,
    pub(super) label: Vec<u8>,
    /// Which folders the server is told to leave alone.
    exclude_pairs: Vec<ExcludePair>,
    /// The matcher of `exclude_pairs`; none where it is just that of this host.
    offered: Option<Excludes>,
    /// Folders that the server told of and that are left alone by their names on this host.
    left_out: BTreeSet<Folder>,
    /// Which exclude patterns match nothing.
    pub(super) idle: Idle,
    /// The counter of the next base.
    pub(super) next_counter: u64,
    pub(super) base: Arc<Snapshot>,
    pub(super) ours: HostView,
    pub(super) theirs: HostView,
    /// What a run that was cut was bringing.
    pub(super) begun: Begun,
    /// There was such a note when the run began, for whatever base.
    after_cut: bool,
    /// One of the hosts knows of an earlier agreement, be it lost.
    pub(super) met_before: bool,
    /// Every step is to be told.
    pub(super) verbose: bool,
    /// What is not as planned.
    pub(super) undone: Undone,
    /// A person gave up the base that there is.
    pub(super) gives_up_base: bool,
    /// What steps of this run that were not finished may have brought all the same.
    pub(super) unsure: Begun,
    /// Folders of the open batch that could not be removed on one host and were not made again on the other.
    pub(super) unmade: BTreeSet<Folder>,
    /// Bytes that may still be written at the server, if it says.
    pub(super) room_there: Option<u64>,
    pub(super) ours_absent: bool,
    pub(super) theirs_absent: bool,
    /// The server knows of spellings.
    pub(super) spells: bool,
    /// Nothing is done here, since a host cannot look at its root.
    pub(super) unusable: bool,
    pub(super) plan: Plan,
    /// How far it is carried out.
    pub(super) course: Option<Course>,
    pub(super) policy: Policy,
    /// The server tells of headers.
    pub(super) tells_headers: bool,
    /// By what the copies differ for which the run is stopped.
    pub(super) copies: Copies,
    /// The server keeps a ledger of removals.
    pub(super) counts_there: bool,
    /// This host's key has a budget for removal at the server.
    pub(super) has_budget_there: bool,
    /// Nothing of it is left.
    pub(super) spent: Option<Spent>,
    /// A person said that all removals are meant: those of the day are forgotten, and this run's are not counted.
    pub(super) forgets_removals: bool,
    /// A person said that all copies are meant, and there are some that runs of the day brought.
    pub(super) forgets_doubled: bool,
    /// The bulk guard stands when this run ends.
    pub(super) stands: bool,
    /// Deletes at each host that are one half of a move under another header.
    pub(super) dressed_moves: [HashSet<Name>; 2],
    pub(super) report: RootReport,
    pub(super) troubles: Vec<Trouble>,
    /// What either host leaves out by design.
    pub(super) left_out_by_design: Vec<Trouble>,
}

impl<F: Fs> Pair<F> {
    /// Takes this host's state lock and reads its state.
    pub(super) fn open(
        index: u16,
        root: &RootPair,
        home: &Home<F>,
        place: &Place,
        owner: Owner<'_>,
        options: &RunOptions,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, SessionError> {
        let settings = Settings {
            path: &root.local,
            key: &place.key,
            endpoint: owner.endpoint,
            excludes: root.excludes.clone(),
            naming: root.naming.clone(),
            local_excludes: root.local_excludes.clone(),
            changes: smd_protocol::reconcile::Direction::from(options.direction).changes(Side::Ours),
            grave_days: options.grave_days,
            owner: owner.client,
            lock_wait_ms: LOCK_WAIT_MS,
        };
        let mut local = RootRun::open(home, StateSide::Client, &place.peer, settings, stop)?;
        local.set_grave_max(options.grave_max);
        local.tell_changes();
        local.may_rename();
        // Which bytes messages were to be given may be told of a base that is long agreed on.
        let after_cut = local.begun()?.entries().next().is_some();
        if after_cut {
            local.comes_after_cut();
        }
        let idle = Idle::begin(&local);
        if idle.wants_all_dirs() {
            local.walks_all();
        }
        let exclude_pairs = with_left_out(&root.exclude_pairs, &local.left_out()?);
        // What was remembered makes no pattern that cannot be compiled; should it, the server says so.
        let offered = root.naming.as_ref().and_then(|_| Excludes::new(&exclude_pairs).ok());
        Ok(Self {
            index,
            direction: options.direction.into(),
            depth: None,
            local,
            remote: root.remote.clone(),
            pair: pair_label(root),
            label: root.label.clone(),
            exclude_pairs,
            offered,
            left_out: BTreeSet::new(),
            idle,
            next_counter: 1,
            base: Arc::default(),
            ours: HostView::default(),
            theirs: HostView::default(),
            begun: Begun::default(),
            after_cut,
            met_before: false,
            verbose: options.verbose > 0,
            undone: Undone::default(),
            gives_up_base: false,
            unsure: Begun::default(),
            unmade: BTreeSet::new(),
            room_there: None,
            ours_absent: false,
            theirs_absent: false,
            spells: false,
            unusable: false,
            plan: Plan::default(),
            course: None,
            policy: policy(options),
            tells_headers: false,
            copies: Copies::default(),
            counts_there: false,
            has_budget_there: false,
            spent: None,
            forgets_removals: options.allow_bulk_delete,
            forgets_doubled: false,
            stands: false,
            dressed_moves: Default::default(),
            report: RootReport::default(),
            troubles: Vec::new(),
            left_out_by_design: Vec::new(),
        })
    }

    /// Whether the run before was cut, as far as its note tells. The base that it was for may not be the one agreed on.
    pub(super) fn comes_after_cut(&self) -> bool {
        self.after_cut
    }

    /// What the server is told of this root, but for its name.
    pub(super) fn offer(&self) -> RootOffer {
        RootOffer {
            path: self.remote.clone(),
            pair: self.pair.clone(),
            root: None,
            ids: self.local.ids(),
            damaged: self.local.damaged().to_vec(),
            excludes: self.exclude_pairs.clone(),
        }
    }

    /// Plans within what the server lets this client do.
    pub(super) fn restrict(&mut self, rights: Rights) {
        self.policy.rights = rights;
        self.direction = self.policy.way();
    }

    /// Takes the server's answer: from here on both have the same base, or none.
    pub(super) fn meet(&mut self, answer: RootAnswer) -> Result<Met, SessionError> {
        let ids = self.local.ids();
        let ours = ids.highest_counter().max(self.local.counter());
        let theirs = answer.ids.highest_counter().max(answer.counter);
        self.next_counter = counter::next(ours, theirs);
        self.met_before = ours.max(theirs) > 0;
        let common = ids.common(answer.ids);
        self.local.agree(common, &answer.damaged)?;
        let parted = common.is_none() && ids.current.is_some() && answer.ids.current.is_some();
        Ok(if parted { Met::Parted } else { Met::AsAgreed })
    }

    /// Whether there is no base to start from.
    pub(super) fn adopts(&self) -> bool {
        self.local.adopts()
    }

    /// Gives up the base on this host; the server was told to. Both do so in memory alone.
    pub(super) fn give_up_base(&mut self) -> Result<(), SessionError> {
        self.gives_up_base = true;
        // Both look anew, and say so again.
        self.left_out_by_design.clear();
        Ok(self.local.agree(None, &[])?)
    }

    /// Looks at this host's root.
    pub(super) fn look(&mut self, options: &RunOptions, peer: &Peer, progress: &Progress) -> Result<(), SessionError> {
        let depth = self.depth.unwrap_or(options.scan.into());
        let read = std::sync::atomic::AtomicU64::new(0);
        let stop = peer.stop_flag();
        let on_read = |_: u64| {
            progress.at(read.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, 0);
            !stop.load(std::sync::atomic::Ordering::Relaxed)
        };
        let looked = match self.local.look(depth, &on_read) {
            Ok(looked) => looked,
            Err(_) if peer.stopped() => return Err(SessionError::Interrupted),
            Err(RunError::Io(error)) => {
                self.unusable = true;
                self.troubles.push(Trouble::new(Host::Client, error.path.clone(), error.to_string()));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.ours_absent = looked.absent;
        let troubles = looked.troubles.into_iter();
        self.troubles.extend(troubles.map(|t| Trouble::new(Host::Client, t.path, t.text)));
        self.left_out_by_design.extend(looked.left_out.into_iter().map(|t| Trouble::new(Host::Client, t.path, t.text)));
        self.ours = HostView {
            delta: (**self.local.delta()).clone(),
            incomplete: looked.incomplete,
            put_back: looked.put_back.into_iter().collect(),
            suspicious: looked.suspicious,
            twins: looked.twins,
        };
        Ok(())
    }

    /// Takes the server's look.
    pub(super) fn hear_look(&mut self, peer: &mut Peer) -> Result<(), SessionError> {
        let mut unpacker = Unpacker::default();
        let mut base = None;
        let (mut put_back, mut twins) = (BTreeSet::new(), Vec::new());
        loop {
            match peer.hear_message()? {
                FromServer::Delta { root, parts } if root == self.index => {
                    if base.is_none() {
                        // Of the base that the server counts on, which knows nothing of names on this host.
                        base = Some(match &self.offered {
                            None => self.local.base()?,
                            Some(offered) => Arc::new(self.local.base_under(offered)?),
                        });
                    }
                    let base = base.as_ref().expect("set above");
                    for part in parts {
                        unpacker
                            .take(base, part)
                            .map_err(|error| SessionError::Protocol { text: error.to_string() })?;
                    }
                }
                FromServer::PutBack { root, folders } if root == self.index => put_back.extend(folders),
                FromServer::Met { root, patterns } if root == self.index => self.idle.met_there(patterns),
                FromServer::Twins { root, twins: more } if root == self.index => twins.extend(more),
                FromServer::LeftOut { root, left_out } if root == self.index => {
                    let room = LEFT_OUT_MAX.saturating_sub(self.left_out_by_design.len());
                    self.left_out_by_design.extend(left_out.into_iter().take(room).map(trouble));
                }
                FromServer::Room { root, free } if root == self.index => self.room_there = Some(free),
                FromServer::Looked { root, looked } if root == self.index => {
                    let mut delta =
                        unpacker.finish().map_err(|error| SessionError::Protocol { text: error.to_string() })?;
                    let told = delta.folders.keys().chain(&put_back);
                    self.left_out = told.filter(|folder| self.local.leaves_out(folder)).cloned().collect();
                    delta.folders.retain(|folder, _| !self.left_out.contains(folder));
                    put_back.retain(|folder| !self.left_out.contains(folder));
                    twins.retain(|twin| !self.local.leaves_out(&twin.from.folder));
                    self.local.check_names(delta.folders.keys().chain(&put_back))?;
                    if let Some(text) = looked.unusable {
                        self.unusable = true;
                        self.troubles.push(Trouble::new(Host::Server, self.remote.clone(), text.escaped()));
                    }
                    self.theirs_absent = looked.absent;
                    self.troubles.extend(looked.troubles.into_iter().map(trouble));
                    let (incomplete, suspicious) = (looked.incomplete, looked.suspicious.map(|why| why.escaped()));
                    self.theirs = HostView { delta, incomplete, put_back, suspicious, twins };
                    return Ok(());
                }
                _ => return Err(unexpected("something else than its look")),
            }
        }
    }

    /// What the plan is made from.
    pub(super) fn input(&self) -> Input<'_> {
        Input {
            base: &self.base,
            adopt: self.local.adopts(),
            ours: &self.ours,
            theirs: &self.theirs,
            begun: &self.begun,
        }
    }

    /// Drafts the plan, which is finished by what the guard says ([`Pair::finish_plan`]). A run in which nothing changed does not even load the base, unless it follows one that was cut: what
    /// that one noted may be over.
    pub(super) fn draft_plan(
        &mut self,
        endpoint: &Endpoint,
        options: &RunOptions,
        peer: &mut Peer,
    ) -> Result<(), SessionError> {
        (self.plan, self.stands) = (Plan::default(), false);
        self.refuse_absent(endpoint, options)?;
        let still = |view: &HostView| view.delta.is_empty() && view.put_back.is_empty() && view.twins.is_empty();
        let quiet = still(&self.ours) && still(&self.theirs);
        let after_cut = self.local.is_begun();
        if self.unusable || (quiet && !after_cut && !self.local.has_adopting()?) {
            return Ok(());
        }
        self.base = self.local.base()?;
        peer.knows(self.base.messages() + self.base.folders.len());
        self.begun = self.local.begun()?;
        self.begun.forget_given(&self.base);
        let mut learnt = Learnt::default();
        self.plan = loop {
            let bare = |side: Side, name: &Name| learnt.bare[side as usize].get(name).copied();
            let known = Known {
                whole: &|name| learnt.whole.get(name).copied(),
                bare: self.tells_headers.then_some(&bare as &Bare<'_>),
            };
            match draft(&self.input(), &self.policy, &known) {
                Ok(plan) => break plan,
                Err(needs) => self.learn(needs, &mut learnt, peer)?,
            }
        };
        let mut begun = std::mem::take(&mut self.begun);
        begun.forget_seen(&self.input());
        self.begun = begun;
        Ok(())
    }

    /// A source that is not there is a slip of the pen, not an empty mailbox; so are two directories of which none holds mail.
    pub(super) fn refuse_absent(&self, endpoint: &Endpoint, options: &RunOptions) -> Result<(), SessionError> {
        if !self.local.adopts() {
            return Ok(());
        }
        let has_no = |host: &str, path: &[u8], absent: bool| match absent {
            true => format!("{host} has no {}", printable(path)),
            false => format!("{host} has no mail folder (a directory with cur or new) in {}", printable(path)),
        };
        let here = || has_no(&endpoint.client, self.local.path().as_os_str().as_bytes(), self.ours_absent);
        let there = || has_no(&endpoint.server, &self.remote, self.theirs_absent);
        let text = match (self.ours_absent, self.theirs_absent, options.direction) {
            (ours, theirs, _) if ours && theirs || self.is_bare() => format!("{}, and {}", here(), there()),
            (_, true, Direction::Pull) => there(),
            (true, _, Direction::Push) => here(),
            _ => return Ok(()),
        };
        Err(SessionError::Config { text })
    }

    /// Whether both hosts were looked through, never met here before, and have no mail folder that a pattern may have hidden.
    fn is_bare(&self) -> bool {
        let hides = self.exclude_pairs.iter().any(|(_, patterns)| !patterns.is_empty());
        let told = !self.troubles.is_empty() || !self.left_out_by_design.is_empty();
        let bare = |view: &HostView| view.delta.folders.is_empty() && !view.incomplete;
        let seen = !self.unusable && !self.met_before && !hides && !told;
        seen && bare(&self.ours) && bare(&self.theirs)
    }

    /// Whether a guard stopped something here.
    pub(super) fn tripped(&self) -> bool {
        self.plan.guard.is_some() || matches!(self.plan.stop, Some(Stop::Suspicious { .. }))
    }

    /// Steps that are to be taken, on both hosts.
    pub(super) fn open_steps(&self) -> u64 {
        if self.plan.stop.is_some() {
            return 0;
        }
        self.plan.components.iter().map(|c| (c.ours.open().len() + c.theirs.open().len()) as u64).sum()
    }

    /// The root as written for this host.
    pub(super) fn label(&self) -> &[u8] {
        &self.label
    }

    /// Where the root is at the server.
    pub(super) fn remote(&self) -> &[u8] {
        &self.remote
    }

    /// Lets go of the root and keeps what was learnt.
    pub(super) fn finish(&mut self, options: &RunOptions) {
        if !self.left_out.is_empty() {
            self.local.remember_left_out(&self.left_out);
        }
        self.local.finish(options.scan.into());
    }
}

/// Adds patterns for these folders, as many as the server takes: for others it tells more than it needs to.
fn with_left_out(pairs: &[ExcludePair], folders: &BTreeSet<Folder>) -> Vec<ExcludePair> {
    let room = PATTERNS_MAX.saturating_sub(pairs.iter().map(|(_, patterns)| patterns.len()).sum());
    let patterns: Vec<Vec<u8>> = folders.iter().filter_map(pattern_for).take(room).collect();
    let more = (!patterns.is_empty()).then(|| (Vec::new(), patterns));
    pairs.iter().cloned().chain(more).collect()
}

fn policy(options: &RunOptions) -> Policy {
    let exempt = options.guard_except.as_ref();
    Policy {
        no_delete: options.no_delete,
        allow_bulk_delete: options.allow_bulk_delete,
        adopt_other_headers: options.adopt_other_headers,
        limit: limit(options.max_delete),
        exempt: exempt.map_or_else(Exempt::default, |names| Exempt::new(names.iter().map(Vec::as_slice))),
        ..Policy::plain(options.direction.into())
    }
}

fn limit(max: Option<MaxDelete>) -> Limit {
    match max {
        None => Limit::default(),
        Some(MaxDelete::Count(count)) => Limit { percent: 0, count },
        Some(MaxDelete::Percent(percent)) => Limit { percent: u32::from(percent), count: 0 },
    }
}
