//! Reconcile: base, our delta, their delta and a policy in; a plan out. The heart, and pure: same input,
//! same plan.
//!
//! The rooms, in the order in which data passes through them:
//! * `gather`: which messages are touched, and what base, ours and theirs hold of each;
//! * `moves`: how a move is recognised, and a message that was moved and edited;
//! * `begun`: what a run that was cut was bringing;
//! * `adopt`: how messages are matched where there is no base;
//! * `merge`: what happens when both sides changed a message (the table of the design);
//! * `clash`: two messages that want one name, and the fresh uniq;
//! * `folders`: folders made and removed;
//! * `parts`: the steps of each host, in order;
//! * `hold`: direction and `--no-delete`; `guard`: the bulk guard; `headers`: copies that another program made;
//! * `sources`: where the bytes come from;
//! * `turns`: what waits for the endpoint's other roots;
//! * `settle`: the new base, from what was done.
//!
//! Deliberately not here: disk, wire, clock. A clash first met while applying is not settled here
//! either: its step fails, and the next plan sees it.

use std::collections::{BTreeSet, HashSet};

use crate::delta::{Delta, Present};
use crate::digest::{Content, Digest};
use crate::names::{Folder, Name};
use crate::seeded;
use crate::snapshot::{Entry, Snapshot};
use crate::step::{Dress, Step, Twin};

mod adopt;
mod begun;
mod clash;
mod folders;
mod gather;
mod guard;
mod headers;
mod hold;
mod merge;
mod moves;
mod parted;
mod parts;
mod settle;
mod sources;
#[cfg(test)]
mod tests;
mod turns;

pub use begun::{Begun, Brought, Changed};
pub use guard::{Exempt, GuardTrip, Limit, Past, Removal, removals, survivors};
pub use parted::{Back, backs, brought};
pub use settle::normalise;
pub use turns::{Lacking, Turn, wait_for_other_roots};

/// One of the two hosts, seen from the client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// The client's.
    Ours,
    /// The server's.
    Theirs,
}

impl Side {
    /// Both, the client first.
    pub const BOTH: [Side; 2] = [Side::Ours, Side::Theirs];

    /// The other host.
    pub fn other(self) -> Side {
        match self {
            Side::Ours => Side::Theirs,
            Side::Theirs => Side::Ours,
        }
    }
}

/// Which hosts a run may change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Direction {
    /// Only the client.
    Pull,
    /// Only the server.
    Push,
    /// Both.
    Sync,
}

impl Direction {
    /// Whether this host may be changed.
    pub fn changes(self, side: Side) -> bool {
        match self {
            Direction::Sync => true,
            Direction::Pull => side == Side::Ours,
            Direction::Push => side == Side::Theirs,
        }
    }
}

/// What a person allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Which hosts may be changed.
    pub direction: Direction,
    /// Hold back what deletes or replaces.
    pub no_delete: bool,
    /// Let the bulk guard pass.
    pub allow_bulk_delete: bool,
    /// Adopt although most of what would be added differs in the header only.
    pub adopt_other_headers: bool,
    /// Where the bulk guard trips.
    pub limit: Limit,
    /// Folders that may be emptied.
    pub exempt: Exempt,
}

impl Policy {
    /// Everything that a plain run in this direction may do.
    pub fn plain(direction: Direction) -> Self {
        Self {
            direction,
            no_delete: false,
            allow_bulk_delete: false,
            adopt_other_headers: false,
            limit: Limit::default(),
            exempt: Exempt::default(),
        }
    }
}

/// What one host brings into a run.
#[derive(Clone, Debug, Default)]
pub struct HostView {
    /// Base -> present.
    pub delta: Delta,
    /// A folder or file could not be read: what is missing may be there, so no absence counts.
    pub incomplete: bool,
    /// Folders that were put back from a backup: their missing entries leave the base.
    pub put_back: BTreeSet<Folder>,
    /// Why this root may not be the one it was (missing, empty, another directory): with this nothing is
    /// done when something would be deleted.
    pub suspicious: Option<String>,
    /// Second messages of one uniq, which the delta has by the names that they are to get.
    pub twins: Vec<Twin>,
}

/// Everything a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The common base; empty when there is none.
    pub base: &'a Snapshot,
    /// There is no common base: unite by content, delete nothing.
    pub adopt: bool,
    /// The client.
    pub ours: &'a HostView,
    /// The server.
    pub theirs: &'a HostView,
    /// What a run that was cut before its commit was bringing to either host, on top of this base.
    pub begun: &'a Begun,
}

impl<'a> Input<'a> {
    fn host(&self, side: Side) -> &'a HostView {
        match side {
            Side::Ours => self.ours,
            Side::Theirs => self.theirs,
        }
    }

    /// A host's tree as it was scanned.
    pub fn present(&self, side: Side) -> Present<'a> {
        Present { base: self.base, delta: &self.host(side).delta }
    }

    /// Whether a host's folder was put back from a backup: what is new there is older than it seems, and no edit.
    fn put_back(&self, side: Side, name: &Name) -> bool {
        self.host(side).put_back.contains(&name.folder)
    }

    /// Whether a message in this folder that has no base entry is matched as an adopt does.
    fn adopts(&self, folder: &Folder) -> bool {
        self.adopt
            || self.base.folders.get(folder).is_some_and(|section| section.adopting())
            || Side::BOTH.iter().any(|&side| self.host(side).put_back.contains(folder))
            || self.is_met(folder)
    }

    /// Whether both hosts have mail in a folder of which a base with other folders knows nothing: it was excluded until now,
    /// or filled on both by another program. There is no common base of it, so nothing in it can be told to be deleted.
    fn is_met(&self, folder: &Folder) -> bool {
        let has_mail =
            |side: Side| self.host(side).delta.folders.get(folder).is_some_and(|change| !change.set.is_empty());
        !self.base.folders.contains_key(folder) && Side::BOTH.into_iter().all(has_mail) && !seeded::is("met-is-strange")
    }
}

/// A message at one host, or in the base.
#[derive(Clone, PartialEq, Eq, Debug)]
struct At {
    name: Name,
    entry: Entry,
}

/// What a message shall be on both hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Goal {
    name: Name,
    dress: Dress,
    content: Content,
}

/// A message with all its names.
#[derive(Clone, Debug, Default)]
struct Message {
    base: Option<At>,
    /// What each host has of it: one, or two when two results with equal bytes became one message.
    ours: Vec<At>,
    theirs: Vec<At>,
    /// Base names of messages that became one with this.
    also: Vec<Name>,
    /// The bytes that it shall have on both hosts, where these have others and are one message all the same.
    bytes: Option<Content>,
    /// What it shall be; none: it is deleted.
    goal: Option<Goal>,
}

impl Message {
    fn at(&self, side: Side) -> &[At] {
        match side {
            Side::Ours => &self.ours,
            Side::Theirs => &self.theirs,
        }
    }

    fn at_mut(&mut self, side: Side) -> &mut Vec<At> {
        match side {
            Side::Ours => &mut self.ours,
            Side::Theirs => &mut self.theirs,
        }
    }
}

/// Why a host's part of a component waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Hold {
    /// The direction does not change this host.
    Direction,
    /// `--no-delete`.
    NoDelete,
    /// The bulk guard tripped.
    Guard,
    /// A host could not be read completely, so an absence there proves nothing.
    Incomplete,
    /// What it would bury may be a message that was moved to another root of the endpoint, and is not there yet.
    OtherRoot,
}

/// The steps of one host within a component, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Part {
    /// The steps.
    pub steps: Vec<Step>,
    /// For each step, the message at the *other* host that has the bytes it brings in.
    pub supply: Vec<Option<Name>>,
    /// Why none of them is taken now, if so.
    pub held: Option<Hold>,
}

impl Part {
    /// The steps that are to be taken now.
    pub fn open(&self) -> &[Step] {
        if self.held.is_some() { &[] } else { &self.steps }
    }

    /// The contents that its steps take out of the tree, of messages deleted or replaced.
    fn removed(&self, input: &Input<'_>, side: Side) -> Vec<Content> {
        self.taken_out(input, side).into_iter().map(|(_, old, _)| old).collect()
    }

    /// What its steps take out of the tree: the name there, the bytes, and those that come instead, if any.
    fn taken_out<'a>(&'a self, input: &Input<'_>, side: Side) -> Vec<(&'a Name, Content, Option<Content>)> {
        let mut moved: Vec<(&Name, Content)> = Vec::new();
        let mut removed = Vec::new();
        for step in &self.steps {
            let content = |name: &Name| {
                let moved = moved.iter().rev().find(|(to, _)| *to == name).map(|(_, content)| *content);
                moved.or_else(|| input.present(side).entry(name).map(|entry| entry.content))
            };
            match step {
                Step::Delete(name) => removed.extend(content(name).map(|old| (name, old, None))),
                Step::Replace { at: name, bytes, .. } => {
                    removed.extend(content(name).map(|old| (name, old, Some(bytes.content))));
                }
                Step::Move { from, to, .. } => {
                    if let Some(content) = content(from) {
                        moved.push((to, content));
                    }
                }
                _ => {}
            }
        }
        removed
    }
}

/// Messages that share names, and what each host does about them: settled together or not at all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Component {
    /// Every name involved: in the base, at either host, and where it goes.
    pub names: Vec<Name>,
    /// The folder whose making or removal this is; then `names` is empty.
    pub folder: Option<Folder>,
    /// The client's part.
    pub ours: Part,
    /// The server's part.
    pub theirs: Part,
    /// Bytes that cross the wire for it, as far as they are known.
    pub wire_bytes: u64,
    /// An empty message gets its bytes back: neither guard nor `--no-delete` stands in the way.
    pub heals: bool,
}

impl Component {
    /// The part of a host.
    pub fn part(&self, side: Side) -> &Part {
        match side {
            Side::Ours => &self.ours,
            Side::Theirs => &self.theirs,
        }
    }

    fn part_mut(&mut self, side: Side) -> &mut Part {
        match side {
            Side::Ours => &mut self.ours,
            Side::Theirs => &mut self.theirs,
        }
    }

    /// Whether it gives a second message of one uniq a name of its own, which is due before all else.
    pub fn is_parting(&self) -> bool {
        let mut steps = self.ours.steps.iter().chain(&self.theirs.steps);
        steps.any(|step| matches!(step, Step::Part(_)))
    }
}

/// Something that a person should hear about a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// Both hosts had other bytes under one name; both are kept.
    KeptBoth {
        /// The name, which the server's message keeps.
        name: Name,
        /// The client's message has this name from now on.
        fresh: Name,
    },
    /// Both hosts moved the message to different folders; the server's place holds.
    MovedTwice {
        /// Where it is now.
        kept: Name,
        /// Where the client had put it.
        left: Name,
    },
    /// An adopt brings this message to a host that has not got it; it may have been deleted there.
    Returned {
        /// The host that gets it.
        to: Side,
        /// The message.
        name: Name,
    },
    /// A message without bytes gets back those of the other host.
    Healed {
        /// The host whose file was empty.
        on: Side,
        /// The message.
        name: Name,
    },
    /// A folder removed on one host is made again, since mail is in it.
    FolderKept(Folder),
    /// One host edited a message, and the other moved it to another root; both are kept.
    MovedAway {
        /// The host that edited it.
        edited: Side,
        /// The message, which is there again on both.
        name: Name,
        /// The other root, as the client writes it.
        root: String,
    },
}

/// Why nothing at all is done in a root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// A root may not be the one it was, and something would be deleted.
    Suspicious {
        /// Whose root.
        side: Side,
        /// What is wrong with it.
        why: String,
    },
    /// Much of what an adopt would add is there with another header.
    OtherHeaders {
        /// Messages that differ in the header only.
        messages: u64,
        /// Messages of the root.
        of: u64,
        /// Some of them.
        samples: Vec<Sample>,
    },
    /// Much of what an ordinary run would bring into a folder is there already, with another header or by another program.
    Doubles {
        /// The host that has them twice.
        at: Side,
        /// The folder.
        folder: Folder,
        /// Messages that are there twice.
        messages: u64,
        /// How many of them runs of the last day brought.
        earlier: u64,
        /// Messages of the folder in the base, without those.
        of: u64,
        /// Some of them, both at that host.
        samples: Vec<Sample>,
    },
}

/// Two messages with one body and different headers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The one that would be brought, and the host that has it.
    pub new: (Side, Name),
    /// The one that is there already, and the host that has it.
    pub old: (Side, Name),
}

/// The ordered steps for both hosts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// What there is to do, folders first, deletes late, removed folders last.
    pub components: Vec<Component>,
    /// Names on which both hosts agree already though the base says otherwise: its new value.
    pub agreed: Vec<(Name, Option<Entry>)>,
    /// Folders on which both hosts agree already: whether they are there.
    pub agreed_folders: Vec<(Folder, bool)>,
    /// Sections that are being adopted.
    pub adopting: BTreeSet<Folder>,
    /// Messages that both hosts had already although no base knew them.
    pub matched: u64,
    /// What a person should hear.
    pub notes: Vec<Note>,
    /// The bulk guard tripped.
    pub guard: Option<GuardTrip>,
    /// Something is to be removed at either host, now or, for whatever reason, in a later run.
    pub removals_left: bool,
    /// Deletes at each host that are one half of a move under another header.
    pub dressed_moves: [HashSet<Name>; 2],
    /// Messages that it brings although they are there, made by another program; to be noted for the runs of a day.
    pub doubled: Vec<Removal>,
    /// Nothing is done, and why.
    pub stop: Option<Stop>,
    /// Entries that left the base because their folder was put back from a backup.
    forgotten: BTreeSet<Name>,
}

impl Plan {
    /// Whether neither a step nor a change of the base follows from it.
    pub fn is_empty(&self) -> bool {
        self.components.is_empty()
            && self.agreed.is_empty()
            && self.agreed_folders.is_empty()
            && self.adopting.is_empty()
    }
}

/// What the planner must know before it can finish.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// Messages of the client that clash: the digest of all their bytes is their fresh uniq.
    pub whole_digests: Vec<Name>,
    /// Messages of each host that may differ by a mark of another program alone ([`crate::header::MARKS`]): wanted is the digest
    /// of their headers without it.
    pub bare_headers: [Vec<Name>; 2],
}

/// What is known of the bytes of messages beside their digests. Each gives none where it is not known yet.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The digest of all bytes of one of the client's messages.
    pub whole: &'a dyn Fn(&Name) -> Option<Digest>,
    /// The digest of a message's header without marks: `Some(None)` where nobody can tell. Without it no message is matched by it.
    pub bare: Option<&'a Bare<'a>>,
}

/// Tells of a host's message the digest of its header without marks.
pub type Bare<'a> = dyn Fn(Side, &Name) -> Option<Option<Digest>> + 'a;

/// Makes the plan as far as the root alone says: not yet is anything held back by a guard. To be [`finish`]ed.
///
/// # Errors
/// [`Needs`] when it must know more of some messages than is known; call again with it.
pub fn draft(input: &Input<'_>, policy: &Policy, known: &Known<'_>) -> Result<Plan, Needs> {
    let mut plan = Plan::default();
    let mut gathered = gather::gather(input);
    moves::match_moves(input, &mut gathered);
    begun::rebase(input, &mut gathered);
    let adopting = adopt::adopting_folders(input, &gathered);
    let marked = adopt::match_marked(&mut gathered.new, &adopting, policy, known)?;
    gathered.messages.extend(marked);
    let mut messages = adopt::match_new(input, gathered.messages, gathered.new, &adopting, &mut plan.notes);
    plan.matched =
        messages.iter().filter(|m| m.base.is_none() && !m.ours.is_empty() && !m.theirs.is_empty()).count() as u64;
    merge::set_goals(&mut messages, policy.direction, input.begun, &mut plan.notes);
    let mut messages = clash::settle(input, messages, known.whole, &mut plan.notes)?;
    plan.forgotten = gathered.forgotten;
    plan.adopting = adopting;
    plan.agreed.extend(
        plan.forgotten
            .iter()
            .filter(|&name| Side::BOTH.iter().all(|&side| input.present(side).entry(name).is_none()))
            .map(|name| (name.clone(), None)),
    );
    parts::part_twins(input, &mut plan);
    folders::plan_folders(input, &messages, &mut plan);
    parts::plan_parts(input, &mut messages, &mut plan);
    hold::hold_by_policy(policy, &mut plan);
    Ok(plan)
}

/// Holds back what the guards say, and chooses where bytes come from.
pub fn finish(input: &Input<'_>, policy: &Policy, past: &Past, plan: &mut Plan) {
    hold::hold(input, policy, past, plan);
    sources::choose(input, plan);
    headers::ask(input, policy, past, plan);
    plan.dressed_moves = guard::dressed_moves(input, plan);
}
