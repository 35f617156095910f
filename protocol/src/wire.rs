//! The wire: what the two ends say to each other, and in which frames.
//!
//! Each direction begins with [`PREAMBLE`] and the range of versions that the sender speaks, then one
//! frame with a Hello. All further bytes are one zstd stream per direction where the client asked for it,
//! and plain where it did not. A frame is one byte of kind, four bytes of length (little endian), and so
//! many bytes: a bincode message, or a raw piece of a message's bytes.
//!
//! Deliberately not here: reading, writing, compressing, waiting.

use serde::{Deserialize, Deserializer, Serialize};

use crate::codec::{self, CodecError};
use crate::delta::Mtime;
use crate::digest::{Content, Digest};
use crate::grave::{Head, Rest, Rests, Undone};
use crate::limits::{self, FEATURES_MAX, LABEL_MAX, PARTS_IN_FRAME, PATH_MAX, PATTERNS_MAX, TROUBLES_IN_FRAME};
pub use crate::limits::{
    DAMAGED_MAX, EARLIER_MAX, FRAME_MAX, HEADER_MAX, ID_MAX, IDS_IN_WISH, ITEMS_IN_FRAME, PIECE, ROOTS_MAX,
};
use crate::names::{Folder, NAME_MAX, Name};
use crate::pack::Part;
use crate::reconcile::{Direction, Removal};
use crate::seeded;
use crate::snapshot::BaseId;
use crate::step::{Outcome, Step, Twin};
pub use crate::told::TOLD_MAX;
use crate::told::Told;

/// The first bytes of either direction. No text that a shell start-up file prints begins like this.
pub const PREAMBLE: &[u8; 8] = b"\0smdwire";
/// Bytes of the preamble with its two version numbers.
pub const PREAMBLE_SIZE: usize = 12;
/// The versions that this program speaks, lowest and highest.
pub const VERSIONS: (u16, u16) = (2, 2);
/// Seconds between signs of life.
pub const PING_SECONDS: u64 = 15;
/// Seconds of silence after which the other end counts as lost.
pub const SILENCE_SECONDS: u64 = 60;
/// Seconds that an end waits for the other one's Hello, whatever else it hears meanwhile. Longer than [`LOCK_SECONDS`], since
/// either end may wait for a lock before it says Hello.
pub const HANDSHAKE_SECONDS: u64 = 120;
/// Seconds without anything of use after which an end gives up, and its locks with it. A [`FromClient::Ping`] is of no use; who
/// is at work says so ([`WORKING`]), every [`PING_SECONDS`].
pub const IDLE_SECONDS: u64 = 60;
/// Seconds in which not a byte of what was said can be handed to the pipe, and nothing of use is heard, after which an end
/// gives up.
pub const STALL_SECONDS: u64 = 60;
/// Seconds that a server waits for a lock. Longer than [`IDLE_SECONDS`]: a client that comes back after its connection broke
/// outlives what the server still holds for it.
pub const LOCK_SECONDS: u64 = 90;

/// The feature by which both ends say that they know how to rest: to watch between the runs of one session.
pub const WATCH: &str = "watch";

/// The feature by which a client says that an earlier run was cut: both hosts may have messages of which no base tells, so that
/// one look may miss what is moved meanwhile and not know it.
pub const CUT: &str = "cut";

/// The feature by which a client asks which exclude patterns matched anything at the server ([`FromServer::Met`]).
pub const PATTERNS: &str = "patterns";

/// The feature by which a client asks to list every directory in this run, so that the server knows of every pattern.
pub const ALL_DIRS: &str = "all-dirs";
/// The feature by which a client says that it takes [`FromServer::LeftOut`].
pub const LEFT_OUT: &str = "left-out";

/// The feature by which both ends say that they know [`Spelled`].
pub const SPELLING: &str = "spelling";

/// The feature by which a client says that it takes [`FromServer::Twins`] and plans [`Step::Part`].
pub const TWINS: &str = "twins";
/// The feature by which a server says that it counts what runs remove, for the bulk guard.
pub const COUNTS: &str = "counts";

/// The feature by which a server says that it tells of headers.
pub const HEADERS: &str = "headers";

/// The feature by which a client asks how much room there is in each root: [`FromServer::Room`].
pub const ROOM: &str = "room";

/// The feature by which a client says that it takes [`Failure::Busy`].
pub const BUSY: &str = "busy";

/// The feature by which a client says that it is there for the graves of the roots alone, and a server that it tells of them and gives
/// back. Where both have it nobody looks at a mailbox, and no base is agreed on: after the Hellos come [`FromClient::Grave`] and
/// a goodbye.
pub const GRAVE: &str = "grave";

/// The feature by which both ends say that they know [`FromClient::Working`] and [`FromServer::Working`].
pub const WORKING: &str = "working";

/// The feature by which a client says that it takes [`Failure::Reconnect`].
pub const RECONNECT: &str = "reconnect";

/// What a server's feature begins with that says how the process confined itself, for a person: `sandbox=…`.
pub const SANDBOX: &str = "sandbox=";
/// The feature by which a client says that it takes [`FromServer::Budget`], before [`FromServer::Removed`].
pub const BUDGET: &str = "budget";
/// The feature by which a client says that it shows [`FromServer::Reports`] to a person.
pub const REPORTS: &str = "reports";

/// How closely to look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum Depth {
    /// Unchanged directories are not listed.
    #[default]
    Quick,
    /// Every file's stamps are compared.
    Stat,
    /// Every file is read.
    Full,
    /// Only which folders there are, and no message: in a dry run, for a person who looks at a config.
    Folders,
}

/// The bases that a host can be at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ids {
    /// The last base that was committed here.
    pub current: Option<BaseId>,
    /// One that was prepared; whether the other host committed it is not known here.
    pub next: Option<BaseId>,
}

impl Ids {
    /// The highest base that both hosts have, as current or as next.
    pub fn common(self, other: Ids) -> Option<BaseId> {
        let theirs = [other.current, other.next];
        [self.current, self.next.filter(|_| !seeded::is("handshake-forgets-next"))]
            .into_iter()
            .flatten()
            .filter(|id| theirs.contains(&Some(*id)))
            .max()
    }

    /// The highest counter in use.
    pub fn highest_counter(self) -> u64 {
        self.current.into_iter().chain(self.next).map(|id| id.counter).max().unwrap_or(0)
    }
}

/// A root as the client offers it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RootOffer {
    /// Its path at the server: absolute, or from the home directory there.
    #[serde(deserialize_with = "limits::bytes::<_, PATH_MAX>")]
    pub path: Vec<u8>,
    /// A label of what the client calls this base: of its own root and its translator.
    #[serde(deserialize_with = "limits::text::<_, LABEL_MAX>")]
    pub pair: String,
    /// Which root the client knows by this path, as the server called it. Where the server calls it otherwise, it answers with
    /// the right name and awaits another Hello; nothing else follows.
    #[serde(deserialize_with = "limits::maybe_text::<_, LABEL_MAX>")]
    pub root: Option<String>,
    /// The client's bases of that root.
    pub ids: Ids,
    /// Sections of the client's base that are damaged; both hosts drop them.
    #[serde(deserialize_with = "limits::few::<_, _, DAMAGED_MAX>")]
    pub damaged: Vec<Folder>,
    /// Exclude patterns by the prefix that they are matched under.
    #[serde(deserialize_with = "patterns")]
    pub excludes: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

/// Patterns by the prefix that they are matched under.
type Patterns = Vec<(Vec<u8>, Vec<Vec<u8>>)>;

/// Reads exclude patterns of at most [`PATTERNS_MAX`] prefixes, each with as many.
fn patterns<'de, D: Deserializer<'de>>(d: D) -> Result<Patterns, D::Error> {
    #[derive(Deserialize)]
    struct Pattern(#[serde(deserialize_with = "limits::bytes::<_, PATH_MAX>")] Vec<u8>);
    #[derive(Deserialize)]
    struct Below(
        #[serde(deserialize_with = "limits::bytes::<_, PATH_MAX>")] Vec<u8>,
        #[serde(deserialize_with = "limits::few::<_, _, PATTERNS_MAX>")] Vec<Pattern>,
    );
    let all = limits::few::<D, Below, PATTERNS_MAX>(d)?;
    Ok(all.into_iter().map(|Below(prefix, all)| (prefix, all.into_iter().map(|one| one.0).collect())).collect())
}

/// The client's first message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClientHello {
    /// Named features that the client has.
    #[serde(deserialize_with = "limits::few::<_, _, FEATURES_MAX>")]
    pub features: Vec<Told>,
    /// Who it is; the server keeps what belongs to this client under this name.
    #[serde(deserialize_with = "limits::text::<_, LABEL_MAX>")]
    pub client: String,
    /// Which hosts the run may change.
    pub direction: Direction,
    /// Nothing may be written.
    pub dry_run: bool,
    /// How closely to look.
    pub depth: Depth,
    /// Compress all that follows.
    pub compress: bool,
    /// Days that messages rest in the grave.
    pub grave_days: u32,
    /// The roots.
    #[serde(deserialize_with = "limits::few::<_, _, ROOTS_MAX>")]
    pub roots: Vec<RootOffer>,
}

/// What the server says of a root.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RootAnswer {
    /// Which root this is, whatever the path that the client has for it: a label.
    #[serde(deserialize_with = "limits::text::<_, LABEL_MAX>")]
    pub root: String,
    /// The server's bases.
    pub ids: Ids,
    /// Bases of this root under names of before, where there is none under the right one. The client takes the newest that it has
    /// too and offers it in its next Hello.
    #[serde(deserialize_with = "limits::few::<_, _, EARLIER_MAX>")]
    pub earlier: Vec<Ids>,
    /// The highest counter that the server remembers.
    pub counter: u64,
    /// Sections of the server's base that are damaged.
    #[serde(deserialize_with = "limits::few::<_, _, DAMAGED_MAX>")]
    pub damaged: Vec<Folder>,
}

/// The server's first message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServerHello {
    /// Named features that the server has. `version=…` says which version of the program it is.
    #[serde(deserialize_with = "limits::few::<_, _, FEATURES_MAX>")]
    pub features: Vec<Told>,
    /// One answer for each root that was offered.
    #[serde(deserialize_with = "limits::few::<_, _, ROOTS_MAX>")]
    pub roots: Vec<RootAnswer>,
}

/// Something at the server that a person should hear of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerTrouble {
    /// The path, bytes as they are.
    #[serde(deserialize_with = "limits::cut::<_, TOLD_MAX>")]
    pub path: Vec<u8>,
    /// One sentence.
    pub text: Told,
}

impl PeerTrouble {
    /// Cuts both to [`TOLD_MAX`], so that a frame holds many.
    pub fn new(mut path: Vec<u8>, text: impl Into<Told>) -> Self {
        path.truncate(TOLD_MAX);
        Self { path, text: text.into() }
    }
}

/// What a restricted key did at the server that its owner should hear of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyReport {
    /// The key's label.
    pub key: Told,
    /// When it began, in seconds since 1970, by the server's clock.
    pub since: i64,
    /// Messages that it deleted, replaced, or marked as trashed.
    pub removed: u64,
    /// Its budget met its end.
    pub is_end: bool,
}

/// What the server found beside its delta.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Looked {
    /// There is no root here, and no base says that there should be one.
    pub absent: bool,
    /// Nothing can be done in this root: why.
    pub unusable: Option<Told>,
    /// Something could not be read, so no absence counts.
    pub incomplete: bool,
    /// Why the root may not be the one it was.
    pub suspicious: Option<Told>,
    /// What a person should hear of.
    #[serde(deserialize_with = "limits::few::<_, _, TROUBLES_IN_FRAME>")]
    pub troubles: Vec<PeerTrouble>,
}

/// A message whose bytes the other end wants.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fetch {
    /// The step that wants them, by its place in the client's batch.
    pub step: u32,
    /// The message at the sender.
    pub name: Name,
    /// Its header is enough.
    pub header_only: bool,
    /// What the bytes must digest to.
    pub content: Content,
}

/// What the client says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum FromClient {
    /// First of all.
    Hello(ClientHello),
    /// Forget the base of this root and look again: the person asked to unite both sides.
    Adopt {
        /// Which root.
        root: u16,
    },
    /// Steps for the server, and messages that the client wants; may come in several.
    Batch {
        /// Which root.
        root: u16,
        /// The steps, in order.
        #[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")]
        steps: Vec<Step>,
        /// What the client wants.
        #[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")]
        fetch: Vec<Fetch>,
    },
    /// All steps and fetches of the batch were said; contents follow.
    BatchReady {
        /// Which root.
        root: u16,
    },
    /// Bytes for a step begin; pieces follow.
    Content(ContentStart),
    /// Bytes for a step end.
    ContentEnd(ContentEnd),
    /// All contents of the batch were sent: install.
    BatchEnd {
        /// Which root.
        root: u16,
    },
    /// Changes of the base; may come in several.
    Prepare {
        /// Which root.
        root: u16,
        /// The changes.
        #[serde(deserialize_with = "limits::few::<_, _, PARTS_IN_FRAME>")]
        parts: Vec<Part>,
    },
    /// All changes were said: write the next base.
    PrepareEnd {
        /// Which root.
        root: u16,
        /// Its counter.
        counter: u64,
        /// The base before it; none: from nothing.
        from: Option<BaseId>,
    },
    /// The prepared base is not the one that the client computed: drop it.
    Abort {
        /// Which root.
        root: u16,
    },
    /// The next base becomes the current one.
    Commit {
        /// Which root.
        root: u16,
        /// The id that both computed.
        id: BaseId,
    },
    /// Nothing more comes.
    Bye,
    /// A sign of life.
    Ping,
    /// The run is over and the session stays ([`WATCH`]): let go of everything, watch, and tell of the first change.
    /// Another Hello begins the next run.
    Rest,
    /// How the client's message for a step is spelled ([`SPELLING`]).
    Spelled(Spelled),
    /// Steps of the batch whose bytes the client has, and wants to know how the server's message is spelled ([`SPELLING`]).
    Spell {
        /// Which root.
        root: u16,
        /// Step of the client's batch, and message at the server.
        #[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")]
        wanted: Vec<(u32, Name)>,
    },
    /// Of what runs removed at the server within a day ([`COUNTS`]).
    Ledger {
        /// Which root.
        root: u16,
        /// What is to be done about it.
        act: LedgerAct,
    },
    /// Asks for digests of headers without marks ([`HEADERS`]).
    BareHeaders {
        /// Which root.
        root: u16,
        /// Messages that the server told of.
        #[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")]
        names: Vec<Name>,
    },
    /// Asks for a header, as far as [`HEADER_MAX`] ([`HEADERS`]).
    Header {
        /// Which root.
        root: u16,
        /// A message that the server told of.
        name: Name,
    },
    /// About the graves of a root ([`GRAVE`]).
    Grave {
        /// Which root.
        root: u16,
        /// What is wanted.
        wish: GraveWish,
    },
    /// A sign of life of a client that is at work and waits for nothing ([`WORKING`]).
    Working,
}

/// What the client wants of the graves of a root. Each is answered by itself, and may be refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum GraveWish {
    /// Tell what rests there: [`GraveAnswer::Rests`].
    List,
    /// Tell From, Subject and Date of these, which were told of; at most [`IDS_IN_WISH`]: [`GraveAnswer::Heads`].
    Heads(#[serde(deserialize_with = "limits::ids")] Vec<String>),
    /// Bring these back; may come in several, each of at most [`IDS_IN_WISH`]: after the last, [`GraveAnswer::Undone`].
    BringBack {
        /// The ids.
        #[serde(deserialize_with = "limits::ids")]
        ids: Vec<String>,
        /// No more follow.
        last: bool,
    },
}

/// What the server says of the graves of a root.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum GraveAnswer {
    /// What rests there; may come in several.
    Rests {
        /// Some of it.
        #[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")]
        rests: Vec<Rests>,
        /// With the last: what else was found.
        end: Option<Rest>,
    },
    /// What tells a person which messages these are, in the order in which they were asked for; comes in several.
    Heads(#[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")] Vec<Head>),
    /// What became of each, in the order in which they were asked for; comes in several.
    Undone(#[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")] Vec<Undone>),
    /// The server's policy does not permit it: why.
    Refused(Told),
}

/// How a message's file is called behind its uniq at the host that has it. It is no part of entry or base: whoever installs the
/// message may call it so too.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Spelled {
    /// Which step of the batch.
    pub step: u32,
    /// What follows the uniq; none when that is what both ends would write by themselves.
    #[serde(deserialize_with = "limits::maybe_bytes::<_, NAME_MAX>")]
    pub suffix: Option<Vec<u8>>,
}

/// What the client wants of the server's ledger of removals.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LedgerAct {
    /// Tell what is in it.
    Tell,
    /// Count these, before the steps of a batch that remove them; may come in several.
    Count(#[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")] Vec<Removal>),
    /// Forget all: a person said that they were meant.
    Forget,
}

/// Bytes for a step begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ContentStart {
    /// Which step of the batch.
    pub step: u32,
    /// How many bytes come.
    pub size: u64,
    /// The mtime of the sender's file.
    pub mtime: Mtime,
}

/// Bytes for a step end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ContentEnd {
    /// Which step of the batch.
    pub step: u32,
    /// Why they are not complete; none when they are. May come without a beginning.
    pub failed: Option<Told>,
}

/// What the server says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum FromServer {
    /// First of all.
    Hello(ServerHello),
    /// A part of the server's delta.
    Delta {
        /// Which root.
        root: u16,
        /// The parts.
        #[serde(deserialize_with = "limits::few::<_, _, PARTS_IN_FRAME>")]
        parts: Vec<Part>,
    },
    /// Folders that were put back from a backup; may come in several.
    PutBack {
        /// Which root.
        root: u16,
        /// The folders.
        #[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")]
        folders: Vec<Folder>,
    },
    /// The delta of this root is complete.
    Looked {
        /// Which root.
        root: u16,
        /// What else was found.
        looked: Looked,
    },
    /// Bytes that the client wanted begin.
    Content(ContentStart),
    /// Bytes that the client wanted end.
    ContentEnd(ContentEnd),
    /// Outcomes of steps that are not done; may come in several.
    Outcomes {
        /// Which root.
        root: u16,
        /// Step and outcome.
        #[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")]
        failed: Vec<(u32, Outcome<Told>)>,
    },
    /// Every step not named in an outcome is done.
    BatchDone {
        /// Which root.
        root: u16,
    },
    /// Something that a person should hear of.
    Troubles(#[serde(deserialize_with = "limits::few::<_, _, TROUBLES_IN_FRAME>")] Vec<PeerTrouble>),
    /// The next base is written and durable.
    Prepared {
        /// Which root.
        root: u16,
        /// Its id, computed from what was written.
        id: BaseId,
    },
    /// The next base is the current one.
    Committed {
        /// Which root.
        root: u16,
    },
    /// The session ends here.
    Fail(Failure),
    /// A sign of life.
    Ping,
    /// The run is over here too, and this host rests.
    Resting {
        /// What is not watched, and why.
        #[serde(deserialize_with = "limits::few::<_, _, TROUBLES_IN_FRAME>")]
        unwatched: Vec<PeerTrouble>,
    },
    /// Something changed here since the last look; said once in a rest. May cross a Hello of the client.
    Changed,
    /// Exclude patterns that something here matched, when the client asked for it ([`PATTERNS`]); before the end of the look.
    Met {
        /// Which root.
        root: u16,
        /// By their place among all patterns that were offered for it.
        #[serde(deserialize_with = "limits::few::<_, _, PATTERNS_MAX>")]
        patterns: Vec<u32>,
    },
    /// What a look left out by design ([`LEFT_OUT`]); before its end, and only when there is any.
    LeftOut {
        /// Which root.
        root: u16,
        /// Path and reason.
        #[serde(deserialize_with = "limits::few::<_, _, TROUBLES_IN_FRAME>")]
        left_out: Vec<PeerTrouble>,
    },
    /// Second messages of one uniq, which the delta tells of by the names that they are to get ([`TWINS`]); may come in several.
    Twins {
        /// Which root.
        root: u16,
        /// The messages.
        #[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")]
        twins: Vec<Twin>,
    },
    /// How the server's message for a step is spelled ([`SPELLING`]): before its bytes, or alone where that was asked for.
    Spelled(Spelled),
    /// What runs removed here within a day; may come in several.
    Removed {
        /// Which root.
        root: u16,
        /// What was removed.
        #[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")]
        removals: Vec<Removal>,
        /// Nothing of it follows.
        last: bool,
    },
    /// Digests of headers without marks, in the order in which they were asked for.
    BareHeaders {
        /// Which root.
        root: u16,
        /// None where nobody can tell.
        #[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")]
        digests: Vec<Option<Digest>>,
    },
    /// A header; empty where it cannot be read.
    Header {
        /// Which root.
        root: u16,
        /// Its bytes.
        #[serde(deserialize_with = "limits::bytes::<_, HEADER_MAX>")]
        bytes: Vec<u8>,
    },
    /// Before [`FromServer::Looked`], to a client that asked for it ([`ROOM`]) and where the file system says so.
    Room {
        /// Which root.
        root: u16,
        /// How many bytes may still be written there.
        free: u64,
    },
    /// Of the graves of a root ([`GRAVE`]).
    Grave {
        /// Which root.
        root: u16,
        /// The answer.
        answer: GraveAnswer,
    },
    /// A sign of life of a server that is at work and waits for nothing ([`WORKING`]).
    Working,
    /// What the client's key may still remove from a root ([`BUDGET`]); once, before [`FromServer::Removed`], where it has a budget.
    Budget {
        /// Which root.
        root: u16,
        /// Messages.
        left: u64,
        /// The line by which the owner lifts it at the server.
        lift: Told,
        /// When it frees by itself, in seconds since 1970 by the server's clock; none where nothing is to be freed.
        frees_at: Option<i64>,
    },
    /// What other keys did ([`REPORTS`]); after the Hello, and only when there is something; may come in several.
    Reports(#[serde(deserialize_with = "limits::few::<_, _, ITEMS_IN_FRAME>")] Vec<KeyReport>),
}

/// Why the server ends a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// Another run holds a lock.
    #[error("{} is locked", path.escaped())]
    Locked {
        /// What is locked.
        path: Told,
    },
    /// Reading or writing failed.
    #[error("{}", text.escaped())]
    Io {
        /// The path.
        path: Told,
        /// What was tried and what the system said.
        text: Told,
    },
    /// The server's policy does not permit it.
    #[error("{}", .0.escaped())]
    Refused(Told),
    /// Roots or excludes make no sense there.
    #[error("{}", .0.escaped())]
    Config(Told),
    /// The client broke a rule of the wire.
    #[error("{}", .0.escaped())]
    Protocol(Told),
    /// This process shut itself off from what the client wants of it; another one can do it. Nothing is wrong: the client
    /// connects again at once ([`RECONNECT`]).
    #[error("this needs another connection")]
    Reconnect,
    /// There are too many sessions; to a client that knows of it ([`BUSY`]).
    #[error("{}", .0.escaped())]
    Busy(Told),
}

/// A frame taken off the wire.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message, still encoded.
    Message(Vec<u8>),
    /// A piece of a message's bytes.
    Piece(Vec<u8>),
}

/// Why bytes are no frame.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A frame longer than the cap, or of no known kind.
    #[error("a frame of kind {kind} and {size} bytes")]
    Frame {
        /// The kind byte.
        kind: u8,
        /// The claimed length.
        size: u32,
    },
    /// A message that cannot be decoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A stream that cannot be unpacked.
    #[error("a compressed stream that is broken ({0})")]
    Compression(String),
    /// No version that both ends speak.
    #[error("the other end speaks versions {0} to {1} of the wire, this one {a} to {b}", a = VERSIONS.0, b = VERSIONS.1)]
    Versions(u16, u16),
}

const KIND_MESSAGE: u8 = 1;
const KIND_PIECE: u8 = 2;
/// Bytes before a frame's content.
pub const FRAME_HEAD: usize = 5;

/// The preamble that this program sends.
pub fn preamble() -> [u8; PREAMBLE_SIZE] {
    let mut bytes = [0; PREAMBLE_SIZE];
    bytes[..8].copy_from_slice(PREAMBLE);
    bytes[8..10].copy_from_slice(&VERSIONS.0.to_le_bytes());
    bytes[10..].copy_from_slice(&VERSIONS.1.to_le_bytes());
    bytes
}

/// Reads the other end's versions from a preamble whose first eight bytes are right; gives the highest common one.
///
/// # Errors
/// When there is none.
pub fn common_version(preamble: &[u8; PREAMBLE_SIZE]) -> Result<u16, WireError> {
    let low = u16::from_le_bytes([preamble[8], preamble[9]]);
    let high = u16::from_le_bytes([preamble[10], preamble[11]]);
    let common = high.min(VERSIONS.1);
    if low <= high && common >= low.max(VERSIONS.0) { Ok(common) } else { Err(WireError::Versions(low, high)) }
}

/// Encodes a message with its frame.
///
/// # Errors
/// When it is larger than a frame may be.
pub fn message<T: Serialize>(message: &T) -> Result<Vec<u8>, CodecError> {
    let body = codec::encode(message)?;
    let mut frame = head(KIND_MESSAGE, body.len()).to_vec();
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// The head of a frame that holds `size` raw bytes; at most [`PIECE`].
pub fn piece_head(size: usize) -> [u8; FRAME_HEAD] {
    head(KIND_PIECE, size)
}

fn head(kind: u8, size: usize) -> [u8; FRAME_HEAD] {
    let size = u32::try_from(size).expect("no frame is larger than FRAME_MAX").to_le_bytes();
    [kind, size[0], size[1], size[2], size[3]]
}

/// Reads a frame's head: what kind it is, and how many bytes follow.
///
/// # Errors
/// When the kind is unknown or the length passes the cap of its kind.
pub fn read_head(head: [u8; FRAME_HEAD]) -> Result<(bool, usize), WireError> {
    let [kind, a, b, c, d] = head;
    let size = u32::from_le_bytes([a, b, c, d]);
    match kind {
        KIND_MESSAGE if size as usize <= FRAME_MAX || seeded::is("frames-of-any-size") => Ok((false, size as usize)),
        KIND_PIECE if size as usize <= PIECE => Ok((true, size as usize)),
        _ => Err(WireError::Frame { kind, size }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn id(counter: u64, text: &str) -> BaseId {
        BaseId { counter, digest: Digest::of(text.as_bytes()) }
    }

    #[test]
    fn the_common_base_is_the_highest_that_both_have() {
        let ids = |current: Option<BaseId>, next: Option<BaseId>| Ids { current, next };
        let (a, b, c) = (id(1, "a"), id(2, "b"), id(2, "c"));
        for (ours, theirs, common) in [
            (ids(None, None), ids(None, None), None),
            (ids(Some(a), None), ids(Some(a), None), Some(a)),
            (ids(Some(a), Some(b)), ids(Some(a), None), Some(a)),
            (ids(Some(a), Some(b)), ids(Some(a), Some(b)), Some(b)),
            (ids(Some(b), None), ids(Some(a), Some(b)), Some(b)),
            (ids(Some(a), Some(b)), ids(Some(b), None), Some(b)),
            (ids(Some(b), None), ids(Some(c), None), None),
            (ids(Some(a), Some(b)), ids(Some(a), Some(c)), Some(a)),
            (ids(Some(a), None), ids(None, None), None),
        ] {
            assert_eq!(ours.common(theirs), common);
            assert_eq!(theirs.common(ours), common);
        }
    }

    #[test]
    fn lengths_over_the_cap_are_refused() {
        for (kind, size) in [(1, u32::MAX), (1, FRAME_MAX as u32 + 1), (2, PIECE as u32 + 1), (0, 1), (3, 0)] {
            let [a, b, c, d] = size.to_le_bytes();
            assert!(read_head([kind, a, b, c, d]).is_err(), "{kind} {size}");
        }
        assert_eq!(read_head(piece_head(PIECE)).expect("fits"), (true, PIECE));
    }

    #[test]
    fn versions_meet_or_say_so() {
        let with = |low: u16, high: u16| {
            let mut bytes = preamble();
            bytes[8..10].copy_from_slice(&low.to_le_bytes());
            bytes[10..].copy_from_slice(&high.to_le_bytes());
            common_version(&bytes)
        };
        assert_eq!(with(1, 9).expect("common"), 2);
        for (low, high) in [(3, 9), (1, 1), (0, 0), (9, 1)] {
            assert!(with(low, high).is_err());
        }
    }
}
