//! Every number that one end obeys and the other enforces, and how much memory a peer can make this one take.
//!
//! A number of items is enforced while they are decoded ([`few`] and its like), before anything is allocated for them: a frame of
//! a MiB that holds half a million empty things would become a hundred times that. What is kept beyond its message is
//! weighed ([`Weigh`]) and counted against a [`Budget`], which grows with the mailbox and with nothing that costs a peer nothing.
//! docs/FORMAT-wire.md has the same numbers in one table.
//!
//! Deliberately not here: bounds in time, and what a key may do or bring.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::digest::Content;
use crate::flags::Flags;
use crate::grave::{Head, Rests, Undone};
use crate::names::{Folder, Name, Uniq};
use crate::pack::{PackedEntry, Part};
use crate::reconcile::Removal;
use crate::seeded;
use crate::step::{Source, Step, Twin};
use crate::told::Told;
use crate::wire::{Fetch, FromServer, GraveAnswer, KeyReport, PeerTrouble};

/// Largest frame, in bytes; checked before anything is allocated.
pub const FRAME_MAX: usize = crate::codec::VALUE_MAX;
/// Bytes of a message's content in one frame.
pub const PIECE: usize = 128 * 1024;
/// Frames that are read ahead: 8 MiB of contents, 64 MiB of messages.
pub const FRAMES_AHEAD: usize = 64;
/// Largest zstd window that is accepted, as a power of two: 8 MiB.
pub const WINDOW_LOG: u32 = 23;

/// Hellos in a row before a run begins: one with the roots as they were known, one with their right names, one more.
pub const HELLOS_MAX: usize = 3;
/// Features in one Hello.
pub const FEATURES_MAX: usize = 64;
/// Roots in one session.
pub const ROOTS_MAX: usize = 1_000;
/// Longest path of a root, prefix of patterns, or pattern, in bytes.
pub const PATH_MAX: usize = 4_096;
/// Longest label, in bytes.
pub const LABEL_MAX: usize = 100;
/// Exclude patterns of one root, and prefixes.
pub const PATTERNS_MAX: usize = 1_000;
/// Damaged sections that one Hello can name; a base with more counts as lost.
pub const DAMAGED_MAX: usize = 100;
/// Bases of names of before that are told of one root.
pub const EARLIER_MAX: usize = 100;

/// Steps, fetches, wishes, removals, outcomes, twins, folders put back, answers of a grave, reports of keys in one frame: so many of the longest names fit.
pub const ITEMS_IN_FRAME: usize = 100;
/// Troubles, or names that are left out, in one frame; the last may count the rest.
pub const TROUBLES_IN_FRAME: usize = 501;
/// Parts of a delta in one frame.
pub const PARTS_IN_FRAME: usize = 4_096;
/// Names in one part of a delta.
pub const NAMES_IN_PART: usize = 1_000;
/// Folders that one delta may name.
pub const FOLDERS_MAX: usize = 1_000_000;
/// Entries that one delta may name.
pub const ENTRIES_MAX: usize = 20_000_000;
/// Most bytes of a header that are told.
pub const HEADER_MAX: usize = 64 * 1024;
/// Ids in one wish for the grave.
pub const IDS_IN_WISH: usize = 1_000;
/// Longest id in such a wish, in bytes.
pub const ID_MAX: usize = 255;
/// Longest From or Subject that a grave tells, in bytes.
pub const FIELD_MAX: usize = 2 << 10;

/// Bytes that a batch's steps and wishes may weigh, unless a single component is heavier.
pub const BATCH_WEIGHT: usize = 32 << 20;
/// Bytes that a session may make this end keep, whatever it is about.
pub const BUDGET_LEAST: u64 = 64 << 20;
/// Bytes more for each message or folder that this end knows of: what an honest first sync takes.
pub const BUDGET_OF_MESSAGE: u64 = 2_600;
/// Bytes on the wire that the name of a message takes at least, beyond the first 25,000: compressed, and as alike as names can be.
pub const WIRE_OF_MESSAGE: u64 = 2;

/// Reports of keys that a client shows in one run; a server has no more clients.
pub const REPORTS_MAX: usize = 1_000;

/// Bytes that a server keeps of each message that a step of a restricted key is to bring, until the run is over.
pub const BROUGHT: usize = 2 * size_of::<Content>();

/// What an allocation takes beside its bytes, as a cautious guess.
const BLOCK: usize = 32;

/// What a message costs that is kept, whatever is in it: of those with nothing in them there are no more than a second takes.
const MESSAGE: usize = 256;

/// Whether these limits are enforced.
fn enforced() -> bool {
    !seeded::is("any-number-is-taken")
}

/// Decodes at most `MAX` items; a claim of more is refused before anything is allocated.
///
/// # Errors
/// When there are more.
pub fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(d: D) -> Result<Vec<T>, D::Error> {
    struct Few<T, const MAX: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Few<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let most = if enforced() { MAX } else { usize::MAX };
            let claimed = seq.size_hint().unwrap_or(0);
            if claimed > most {
                return Err(A::Error::custom(format_args!("{claimed} items where {MAX} are the most")));
            }
            let mut items = Vec::with_capacity(claimed.min(MAX));
            while let Some(item) = seq.next_element()? {
                if items.len() == most {
                    return Err(A::Error::custom(format_args!("more than {MAX} items")));
                }
                items.push(item);
            }
            Ok(items)
        }
    }
    d.deserialize_seq(Few::<T, MAX>(PhantomData))
}

fn within<E: Error>(bytes: usize, max: usize) -> Result<(), E> {
    match bytes <= max || !enforced() {
        true => Ok(()),
        false => Err(E::custom(format_args!("{bytes} bytes where {max} are the most"))),
    }
}

/// Decodes at most `MAX` bytes.
///
/// # Errors
/// When there are more.
pub fn bytes<'de, D: Deserializer<'de>, const MAX: usize>(d: D) -> Result<Vec<u8>, D::Error> {
    let bytes = d.deserialize_byte_buf(crate::names::BytesVisitor)?;
    within(bytes.len(), MAX)?;
    Ok(bytes)
}

/// Decodes at most `MAX` bytes, if there are any at all.
///
/// # Errors
/// When there are more.
pub fn maybe_bytes<'de, D: Deserializer<'de>, const MAX: usize>(d: D) -> Result<Option<Vec<u8>>, D::Error> {
    let bytes = Option::<Vec<u8>>::deserialize(d)?;
    within(bytes.as_ref().map_or(0, Vec::len), MAX)?;
    Ok(bytes)
}

/// Decodes bytes and cuts what is longer than `MAX`.
///
/// # Errors
/// When they are none.
pub fn cut<'de, D: Deserializer<'de>, const MAX: usize>(d: D) -> Result<Vec<u8>, D::Error> {
    let mut bytes = d.deserialize_byte_buf(crate::names::BytesVisitor)?;
    if bytes.len() > MAX {
        bytes.truncate(MAX);
        bytes.shrink_to_fit();
    }
    Ok(bytes)
}

/// Decodes text of at most `MAX` bytes.
///
/// # Errors
/// When it is longer, or no UTF-8.
pub fn text<'de, D: Deserializer<'de>, const MAX: usize>(d: D) -> Result<String, D::Error> {
    let text = String::deserialize(d)?;
    within(text.len(), MAX)?;
    Ok(text)
}

/// Decodes text of at most `MAX` bytes, if there is any at all.
///
/// # Errors
/// When it is longer, or no UTF-8.
pub fn maybe_text<'de, D: Deserializer<'de>, const MAX: usize>(d: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(d)?;
    within(text.as_ref().map_or(0, String::len), MAX)?;
    Ok(text)
}

/// Decodes ids of a grave.
///
/// # Errors
/// When there are more than [`IDS_IN_WISH`], or one is longer than [`ID_MAX`].
pub fn ids<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let ids = few::<D, String, IDS_IN_WISH>(d)?;
    ids.iter().try_for_each(|id| within(id.len(), ID_MAX))?;
    Ok(ids)
}

/// How much memory a value takes, with what is made of it as long as it is kept. An estimate, rather too high.
pub trait Weigh {
    /// Bytes that it takes beside itself.
    fn heap(&self) -> usize;

    /// Bytes that it takes in all.
    fn weight(&self) -> usize {
        size_of_val(self) + self.heap()
    }
}

impl<T: Weigh> Weigh for [T] {
    fn heap(&self) -> usize {
        self.iter().map(T::heap).sum()
    }
}

impl<T: Weigh> Weigh for Option<T> {
    fn heap(&self) -> usize {
        self.as_ref().map_or(0, T::heap)
    }
}

impl<T: Weigh> Weigh for (u32, T) {
    fn heap(&self) -> usize {
        self.1.heap()
    }
}

impl Weigh for Folder {
    fn heap(&self) -> usize {
        BLOCK + self.as_bytes().len()
    }
}

impl Weigh for Uniq {
    fn heap(&self) -> usize {
        BLOCK + self.as_bytes().len()
    }
}

impl Weigh for Name {
    fn heap(&self) -> usize {
        self.folder.heap() + self.uniq.heap()
    }
}

impl Weigh for Flags {
    fn heap(&self) -> usize {
        self.rest().map_or(0, |rest| BLOCK + rest.len())
    }
}

impl Weigh for String {
    fn heap(&self) -> usize {
        BLOCK + self.len()
    }
}

impl Weigh for Told {
    fn heap(&self) -> usize {
        BLOCK + self.size()
    }
}

impl Weigh for Twin {
    fn heap(&self) -> usize {
        self.from.heap() + self.to.heap()
    }
}

impl Weigh for Fetch {
    fn heap(&self) -> usize {
        self.name.heap()
    }
}

impl Weigh for Removal {
    fn heap(&self) -> usize {
        self.name.heap()
    }
}

/// A step that is kept has its names in an index as well, and a state beside it.
impl Weigh for Step {
    fn heap(&self) -> usize {
        let names = match self {
            Step::MakeFolder(folder) | Step::RemoveFolder(folder) => folder.heap(),
            Step::Put { to: at, dress, .. } | Step::Replace { at, dress, .. } => at.heap() + dress.flags.heap(),
            Step::Move { from, to, dress } => from.heap() + to.heap() + dress.flags.heap(),
            Step::Delete(name) => name.heap(),
            Step::Part(twin) => twin.heap(),
        };
        let source = match self.bytes().map(|bytes| &bytes.source) {
            Some(Source::Copy(name) | Source::Body(name)) => name.heap(),
            Some(Source::Wire) | None => 0,
        };
        size_of::<Self>() + 2 * (names + source)
    }
}

impl Weigh for PackedEntry {
    fn heap(&self) -> usize {
        self.uniq().heap() + self.flags().heap()
    }
}

/// Parts become a delta, whose entries are no smaller.
impl Weigh for Part {
    fn heap(&self) -> usize {
        match self {
            Part::Folder { folder, gone, .. } => 2 * folder.heap() + BLOCK + gone.as_slice().weight(),
            Part::Entries { entries, .. } => BLOCK + entries.as_slice().weight(),
        }
    }
}

impl Weigh for PeerTrouble {
    fn heap(&self) -> usize {
        // Shown, each byte may become four.
        2 * BLOCK + self.path.len() + 4 * self.text.size()
    }
}

impl Weigh for KeyReport {
    fn heap(&self) -> usize {
        // Shown, each byte may become four.
        2 * BLOCK + 4 * self.key.size()
    }
}

impl Weigh for Rests {
    fn heap(&self) -> usize {
        self.id.heap() + self.folder.heap() + BLOCK + self.file.len() + self.renamed.heap()
    }
}

impl Weigh for Head {
    fn heap(&self) -> usize {
        self.from.heap() + self.subject.heap()
    }
}

impl Weigh for Undone {
    fn heap(&self) -> usize {
        match self {
            Undone::Fresh(uniq) | Undone::Anew(uniq) => uniq.heap(),
            Undone::Failed(why) => why.heap(),
            Undone::Returned | Undone::IsThere | Undone::Before => 0,
        }
    }
}

/// What a client keeps of a message beyond it, in bytes. Nothing of signs of life, contents, or what answers a question of its own.
pub fn kept(message: &FromServer) -> usize {
    let of = match message {
        FromServer::Delta { parts, .. } => parts.as_slice().weight(),
        FromServer::PutBack { folders, .. } => folders.as_slice().weight(),
        FromServer::LeftOut { left_out: troubles, .. }
        | FromServer::Troubles(troubles)
        | FromServer::Resting { unwatched: troubles } => troubles.as_slice().weight(),
        FromServer::Looked { looked, .. } => {
            looked.troubles.as_slice().weight() + looked.unusable.heap() + looked.suspicious.heap()
        }
        FromServer::Twins { twins, .. } => twins.as_slice().weight(),
        FromServer::Met { patterns, .. } => patterns.len() * BLOCK,
        FromServer::Removed { removals, .. } => removals.as_slice().weight(),
        FromServer::Reports(reports) => reports.as_slice().weight(),
        FromServer::Budget { lift, .. } => lift.heap(),
        FromServer::BareHeaders { digests, .. } => size_of_val(digests.as_slice()),
        FromServer::Header { bytes, .. } => bytes.len(),
        FromServer::Grave { answer, .. } => match answer {
            GraveAnswer::Rests { rests, .. } => rests.as_slice().weight(),
            GraveAnswer::Heads(heads) => heads.as_slice().weight(),
            GraveAnswer::Undone(done) => done.as_slice().weight(),
            GraveAnswer::Refused(why) => why.heap(),
        },
        _ => return 0,
    };
    // One with nothing in it costs as well, so that there is no end of them either.
    of + MESSAGE
}

/// How many messages and folders a server names by this.
pub fn named(message: &FromServer) -> u64 {
    let part = |part: &Part| match part {
        Part::Folder { gone, .. } => 1 + gone.len(),
        Part::Entries { entries, .. } => entries.len(),
    };
    let named = match message {
        FromServer::Delta { parts, .. } => parts.iter().map(part).sum(),
        FromServer::Removed { removals, .. } => removals.len(),
        FromServer::Grave { answer: GraveAnswer::Rests { rests, .. }, .. } => rests.len(),
        _ => 0,
    };
    named as u64
}

/// The other end wants more kept than anybody needs who keeps to the rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more than {} MiB to be kept, which is more than mailboxes of this size need", .0 >> 20)]
pub struct OverBudget(u64);

/// The memory that one session may make this end keep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Budget {
    kept: u64,
    limit: u64,
    most: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { kept: 0, limit: BUDGET_LEAST, most: u64::MAX }
    }
}

impl Budget {
    /// One that never gets larger than this, in bytes, however many messages there are.
    pub fn within(most: u64) -> Self {
        Self { most: most.max(BUDGET_LEAST), ..Self::default() }
    }

    /// There are so many messages and folders.
    pub fn knows(&mut self, messages: u64) {
        let limit = messages.saturating_mul(BUDGET_OF_MESSAGE).saturating_add(BUDGET_LEAST);
        self.limit = self.limit.max(limit.min(self.most));
    }

    /// So much is kept from now on.
    ///
    /// # Errors
    /// When it is too much; then it is not to be kept.
    pub fn keep(&mut self, bytes: usize) -> Result<(), OverBudget> {
        let kept = self.kept.saturating_add(bytes as u64);
        if kept > self.limit && !seeded::is("keeps-without-end") {
            return Err(OverBudget(self.limit));
        }
        self.kept = kept;
        Ok(())
    }

    /// So much is kept no longer.
    pub fn let_go(&mut self, bytes: usize) {
        self.kept = self.kept.saturating_sub(bytes as u64);
    }
}

/// How many messages a peer may have named with so many bytes on the wire.
pub fn may_have_named(wire_bytes: u64) -> u64 {
    BUDGET_LEAST / BUDGET_OF_MESSAGE + wire_bytes / WIRE_OF_MESSAGE
}

#[cfg(test)]
mod tests;
