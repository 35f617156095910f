//! What a run did, or would do, as a value: the session fills it in, the renderings only read it.
//!
//! Rooms: [`summary`] (the one line), [`items`] (message by message, and the dry run), [`warnings`]
//! (what a person must know), `troubles` (what
//! was left, by cause), [`json`] (one object), [`tags`] (the predecessor's machine line).
//!
//! Deliberately not here: deciding anything about mail, and the terminal. The exit code is
//! derived here because a guard or a left message is an outcome, not an error.

pub mod items;
pub mod json;
pub mod summary;
pub mod tags;
pub(crate) mod troubles;
pub mod warnings;

use std::time::Duration;

use smd_maildir::apply::Change;
use smd_protocol::names::printable;
use smd_protocol::seeded;
use smd_protocol::step::LOOKS_AGAIN;

use crate::exit::Exit;
use crate::options::Direction;

/// What one run did; with `dry_run`, what it would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Report {
    /// The endpoint's name.
    pub endpoint: String,
    /// How this host is called in texts.
    pub client: String,
    /// How the other host is called in texts.
    pub server: String,
    /// What is typed, or done, to bring back what was deleted at the server; empty where that is not known.
    #[serde(default)]
    pub undo_there: String,
    /// The endpoint as it is typed; empty for two paths.
    #[serde(default)]
    pub word: String,
    /// Which way changes were to go.
    pub direction: Direction,
    /// Nothing was changed: counts and items are what would be done.
    pub dry_run: bool,
    /// One per root, in the order of the config.
    pub roots: Vec<RootReport>,
    /// Exclude patterns that match nothing in any root; none when that is not known.
    #[serde(default)]
    pub idle_patterns: Option<IdlePatterns>,
    /// What could not be looked at or done; each leaves something as it was.
    pub troubles: Vec<Trouble>,
    /// What was left out by design, such as symlinks: no trouble, and no part of what is in sync.
    #[serde(default)]
    pub left_out: Vec<Trouble>,
    /// The files that came, moved or went on this host, in order, as post hooks were told; empty when there are no such hooks.
    #[serde(skip)]
    pub changed_here: Vec<Change>,
    /// How the server confined itself, as it says; none of a server that does not say.
    #[serde(default)]
    pub sandbox: Option<String>,
    /// What went over the wire.
    pub traffic: Traffic,
    /// From the start of the connection to the end of the session.
    pub took: Duration,
}

/// Exclude patterns that match no folder on either host.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IdlePatterns {
    /// This is the first run under these excludes.
    pub fresh: bool,
    /// The patterns.
    pub patterns: Vec<IdlePattern>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IdlePattern {
    /// As a config has it.
    pub pattern: String,
    /// What to write in its place, in whatever quotes are there, to leave alone the folder that was probably meant.
    pub instead: Option<String>,
}

/// What was done in one root.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RootReport {
    /// The root as written in the config, or as typed.
    pub root: Vec<u8>,
    /// Steps done at the client, because of changes at the server.
    pub pulled: Counts,
    /// Steps done at the server, because of changes at the client.
    pub pushed: Counts,
    /// Steps that were not done, because they were not allowed to be.
    pub held: Held,
    /// Steps that failed on either host; the next run proposes them again.
    pub failed: u64,
    /// The guard that tripped, if one did.
    pub guard: Option<Guard>,
    /// Messages of which both were kept.
    pub conflicts: Vec<Conflict>,
    /// Set when there was no common base.
    pub adopted: Option<Adopted>,
    /// Folders that were put back from a backup, and therefore adopted.
    pub restored: Vec<Vec<u8>>,
    /// Sentences without a full stop about what was settled and wants nothing done.
    pub notes: Vec<String>,
    /// Bytes of mail that a dry run found to be sent, as far as their sizes are known.
    #[serde(default)]
    pub mail: u64,
    /// Step by step: what a dry run found to be done, or, when `verbose` is above zero, what became of each.
    pub items: Vec<Item>,
}

/// Steps by kind, at one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Messages whose bytes came over the wire.
    pub new: u64,
    /// Messages made from bytes that the host had already.
    pub copied: u64,
    /// Messages whose flags or place changed.
    pub flags: u64,
    /// Messages that got another folder or another uniq.
    pub moved: u64,
    /// Of those, the ones that stayed in their folder.
    #[serde(default)]
    pub renamed: u64,
    /// Messages whose bytes or header were replaced.
    pub replaced: u64,
    /// Messages that went into the grave.
    pub deleted: u64,
    /// Folders made.
    pub folders_made: u64,
    /// Folders removed.
    pub folders_removed: u64,
}

/// Steps held back, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// Deletes and replacements held back by `--no-delete`.
    pub no_delete: u64,
    /// Deletes, replacements and their copies held back by a guard.
    pub guard: u64,
    /// Steps that go the other way than the direction of this run.
    pub direction: u64,
    /// Steps that the server's policy refused.
    pub policy: u64,
    /// Steps that wait for a look that could read everything.
    #[serde(default)]
    pub incomplete: u64,
    /// Deletes and replacements of messages that were moved to another root, and are not there yet.
    #[serde(default)]
    pub other_root: u64,
}

/// A host of the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Host {
    /// This host.
    Client,
    /// The other host.
    Server,
}

/// Why a root, or a part of its steps, was left alone.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Guard {
    /// The run would delete or replace too much; everything else was done.
    Bulk {
        /// The host that would lose them.
        host: Host,
        /// Messages that would be deleted or replaced there, those of the day before among them.
        steps: u64,
        /// How many of them runs removed within the day.
        earlier: u64,
        /// Messages of the base, or of the folder.
        of: u64,
        /// The folder, when it is all of one.
        folder: Option<Vec<u8>>,
        /// It tripped in an earlier run, and nobody has said anything since.
        stands: bool,
    },
    /// A root, or a mount point in it, is missing, empty, or another directory than before; nothing
    /// was done in this root.
    Swapped {
        /// Where.
        host: Host,
        /// Which directory: a path, or a folder.
        path: Vec<u8>,
        /// What is wrong, a few words such as `is missing`.
        what: String,
    },
    /// While adopting, many messages are on both hosts with different headers; nothing was done in this root.
    OtherHeaders {
        /// Messages with an equal body and another header.
        messages: u64,
        /// Messages of the root.
        of: u64,
        /// By what they differ.
        copies: Copies,
    },
    /// Many messages that are new at a host are there already: another program made them. Nothing was done in this root.
    Doubles {
        /// Where.
        host: Host,
        /// The folder.
        folder: Vec<u8>,
        /// Messages that are there twice.
        messages: u64,
        /// How many of them runs of the last 24 hours brought.
        #[serde(default)]
        earlier: u64,
        /// Messages of the folder in the base, without those.
        of: u64,
        /// By what they differ.
        copies: Copies,
    },
}

/// By what copies of messages differ, as far as a few of them tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Copies {
    /// Names of header fields.
    pub fields: Vec<String>,
    /// The host whose copies have those fields, when only one has.
    pub at: Option<Host>,
    /// The root's path at that host, else at this one.
    pub path: Vec<u8>,
    /// Names of some of the copies.
    pub names: Vec<Vec<u8>>,
}

impl Copies {
    /// The program that made them, when it is one that marks what it makes.
    pub fn program(&self) -> Option<&'static str> {
        let has = |field: &str| self.fields.iter().any(|one| one.eq_ignore_ascii_case(field));
        let named = |part: &[u8]| self.names.iter().any(|name| name.windows(part.len()).any(|some| some == part));
        if has("X-OfflineIMAP") || named(b",FMD5=") {
            Some("OfflineIMAP")
        } else if has("X-TUID") || named(b",U=") {
            Some("mbsync")
        } else {
            None
        }
    }
}

#[cfg(test)]
impl Guard {
    /// So many messages of so many that this host would lose in one run.
    pub(crate) fn bulk(steps: u64, of: u64) -> Self {
        Self::Bulk { host: Host::Client, steps, earlier: 0, of, folder: None, stands: false }
    }
}

impl Guard {
    /// Whether nothing at all was done in this root.
    pub fn stops_all(&self) -> bool {
        matches!(self, Self::Swapped { .. } | Self::OtherHeaders { .. } | Self::Doubles { .. })
    }
}

/// Two messages that claimed one name; both are kept.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Conflict {
    /// The folder.
    pub folder: Vec<u8>,
    /// The name, which the server's message keeps.
    pub uniq: Vec<u8>,
    /// The name that the client's message got.
    pub fresh: Vec<u8>,
}

/// Why there is no common base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseless {
    /// Neither host knows of an earlier run.
    #[default]
    First,
    /// There were runs, and at least one host has lost what they agreed on.
    Lost,
    /// A person gave it up: `--adopt`.
    Asked,
}

/// What an adopt found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Adopted {
    /// Why there was no base.
    #[serde(default)]
    pub why: Baseless,
    /// Messages that both hosts had already.
    pub matched: u64,
    /// Messages that only one host had and that both have now: new ones, and perhaps some that were deleted since the lost base.
    pub returned: Vec<Item>,
}

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A message whose bytes come over the wire.
    New,
    /// A message made from bytes that the host has.
    Copied,
    /// Other flags, or another place.
    Flags,
    /// Another folder or uniq.
    Moved,
    /// Another uniq, since two messages of the host had one. Counted with those that moved.
    Renamed,
    /// Other bytes under the same name.
    Replaced,
    /// Into the grave.
    Deleted,
    /// A folder to make; the uniq is empty.
    FolderMade,
    /// A folder to remove; the uniq is empty.
    FolderRemoved,
}

/// Why a step was held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// `--no-delete`.
    NoDelete,
    /// A guard.
    Guard,
    /// The direction of this run.
    Direction,
    /// The server's policy.
    Policy,
    /// Not everything could be read.
    Incomplete,
    /// The message was moved to another root, and is not there yet.
    OtherRoot,
}

/// One step with what became of it; in a dry run, with what would be tried.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Item {
    /// Where the step is carried out: at the client it is a pull, at the server a push.
    pub host: Host,
    /// What is done.
    pub kind: Kind,
    /// The folder, components joined by `/`; empty is the root itself.
    pub folder: Vec<u8>,
    /// The message's uniq; empty for a step on a folder.
    pub uniq: Vec<u8>,
    /// What else a person wants to know: `from .Old`, `-S +FS`. Empty is fine. Printed escaped.
    pub detail: Vec<u8>,
    /// What became of it.
    pub fate: Fate,
}

impl Item {
    /// Whether a message gets another uniq and stays in its folder.
    pub fn renames(&self) -> bool {
        let from = || self.detail.strip_prefix(b"from ");
        // The detail is printable, a folder and a uniq hold no slash of their own.
        let folder =
            |path: &[u8]| path.iter().rposition(|&byte| byte == b'/').map_or_else(Vec::new, |at| path[..at].to_vec());
        match self.kind {
            Kind::Renamed => true,
            Kind::Moved => from().is_some_and(|from| folder(from) == printable(&self.folder).as_bytes()),
            _ => false,
        }
    }
}

/// What became of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is done; in a dry run, it would be tried.
    #[default]
    Done,
    /// It was not tried.
    Held(Reason),
    /// It was tried and is not done: why, lowercase, without a full stop.
    Left(String),
}

impl Fate {
    /// Why it was not tried, if it was not.
    pub fn held(&self) -> Option<Reason> {
        if let Self::Held(reason) = self { Some(*reason) } else { None }
    }
}

/// Something that could not be looked at or done.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Trouble {
    /// Where.
    pub host: Host,
    /// A path, or a folder and name.
    pub path: Vec<u8>,
    /// What and why, lowercase, without a full stop.
    pub text: String,
    /// It passes by itself: a message changed meanwhile, and the next run finds it as it is now.
    #[serde(default)]
    pub passing: bool,
    /// The root as written, which stands for its file system; empty when it is about none.
    #[serde(default)]
    pub root: Vec<u8>,
    /// What was being done.
    #[serde(default)]
    pub met: Met,
}

/// What was being done when something went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Met {
    /// A look at what there is.
    #[default]
    Look,
    /// A step.
    Step,
    /// A hook after the run.
    Hook,
}

impl Trouble {
    /// One of a look. It passes by itself when its text says so.
    pub fn new(host: Host, path: impl Into<Vec<u8>>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        Self { host, path, passing: text.ends_with(LOOKS_AGAIN), text, root: Vec::new(), met: Met::Look }
    }
}

/// What went over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Traffic {
    /// Bytes that the client wrote, after compression.
    pub sent: u64,
    /// Bytes that the client read, before decompression.
    pub received: u64,
    /// Of the received bytes, those of the server's delta.
    pub delta: u64,
    /// How often the client waited for an answer.
    pub round_trips: u64,
}

impl Counts {
    /// Counts one step.
    pub fn count(&mut self, kind: Kind) {
        *match kind {
            Kind::New => &mut self.new,
            Kind::Copied => &mut self.copied,
            Kind::Flags => &mut self.flags,
            Kind::Moved | Kind::Renamed => &mut self.moved,
            Kind::Replaced => &mut self.replaced,
            Kind::Deleted => &mut self.deleted,
            Kind::FolderMade => &mut self.folders_made,
            Kind::FolderRemoved => &mut self.folders_removed,
        } += 1;
    }

    /// Counts one step of an item.
    pub fn count_item(&mut self, item: &Item) {
        self.count(item.kind);
        self.renamed += u64::from(item.renames());
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.new += other.new;
        self.copied += other.copied;
        self.flags += other.flags;
        self.moved += other.moved;
        self.renamed += other.renamed;
        self.replaced += other.replaced;
        self.deleted += other.deleted;
        self.folders_made += other.folders_made;
        self.folders_removed += other.folders_removed;
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Held {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.no_delete += other.no_delete;
        self.guard += other.guard;
        self.direction += other.direction;
        self.policy += other.policy;
        self.incomplete += other.incomplete;
        self.other_root += other.other_root;
    }

    /// Steps that wait for something else than the guard, the direction apart, which the person chose.
    pub fn waits_for_others(&self) -> u64 {
        self.no_delete + self.policy + self.incomplete + self.other_root
    }

    /// Counts one step.
    pub fn count(&mut self, reason: Reason) {
        *match reason {
            Reason::NoDelete => &mut self.no_delete,
            Reason::Guard => &mut self.guard,
            Reason::Direction => &mut self.direction,
            Reason::Policy => &mut self.policy,
            Reason::Incomplete => &mut self.incomplete,
            Reason::OtherRoot => &mut self.other_root,
        } += 1;
    }
}

impl Report {
    /// Steps at the client, of all roots.
    pub fn pulled(&self) -> Counts {
        self.total(|root| &root.pulled)
    }

    /// Steps at the server, of all roots.
    pub fn pushed(&self) -> Counts {
        self.total(|root| &root.pushed)
    }

    /// Steps held back, of all roots.
    pub fn held(&self) -> Held {
        let mut held = Held::default();
        self.roots.iter().for_each(|root| held.add(&root.held));
        held
    }

    /// Steps that were tried and are not done, of all roots.
    pub fn failed(&self) -> u64 {
        self.roots.iter().map(|root| root.failed).sum()
    }

    /// Whether nothing below the roots was changed, or would be.
    pub fn nothing_happened(&self) -> bool {
        self.pulled().is_empty() && self.pushed().is_empty()
    }

    /// Whether this run looked at everything and found nothing that one of the hosts lacks. A step that waits, for whatever
    /// reason, is a difference that stays.
    pub fn in_sync(&self) -> bool {
        let waits = self.held() != Held::default();
        self.exit() == Exit::Ok && self.nothing_happened() && !waits
    }

    /// The exit code that this outcome deserves: a tripped guard outweighs a left message.
    pub fn exit(&self) -> Exit {
        if self.roots.iter().any(|root| root.guard.is_some()) {
            return Exit::Guard;
        }
        let left = self.roots.iter().any(|root| root.failed > 0 || root.held.policy > 0);
        if (left || !self.troubles.is_empty()) && !seeded::is("always-well") { Exit::Partly } else { Exit::Ok }
    }

    fn total(&self, side: impl Fn(&RootReport) -> &Counts) -> Counts {
        let mut counts = Counts::default();
        self.roots.iter().for_each(|root| counts.add(side(root)));
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(root: RootReport) -> Report {
        Report { roots: vec![RootReport::default(), root], ..Report::default() }
    }

    #[test]
    fn held_back_by_request_is_no_failure() {
        let held = Held { no_delete: 3, direction: 4, ..Held::default() };
        assert_eq!(with(RootReport { held, ..RootReport::default() }).exit(), Exit::Ok);
    }

    #[test]
    fn a_left_message_is_partly_done() {
        let left = RootReport { failed: 1, ..RootReport::default() };
        assert_eq!(with(left).exit(), Exit::Partly);
        let trouble = Trouble::new(Host::Server, b"x", "cannot be read");
        assert_eq!(Report { troubles: vec![trouble], ..Report::default() }.exit(), Exit::Partly);
    }

    #[test]
    fn a_guard_outweighs_a_left_message() {
        let guard = Some(Guard::bulk(30, 40));
        assert_eq!(with(RootReport { guard, failed: 1, ..RootReport::default() }).exit(), Exit::Guard);
    }
}
