//! What the open batch brings to either host: a note beside the base, for a run that is cut before its commit.
//!
//! A message that such a run installed is on both hosts and in no base. When a user then moves it or renames its uniq,
//! the two look like strangers; with the note they are one message. It is written before names change, and counts only
//! while the base is the one that it was written for; which bytes messages of a base were to be given counts on, since a
//! message may still be in the next. A lost or torn note costs a second copy, or the bytes to which a user went back after
//! the run that was cut; they are in the grave then.
//!
//! Deliberately not here: what is made of it (`smd_protocol::reconcile`).

use smd_protocol::delta::Seen;
use smd_protocol::reconcile::{Begun, Brought, Changed};
use smd_protocol::{BaseId, Delta, Digest, Entry, Flags, Name, Place};

use super::{Store, StoreError, tail, text};
use crate::error::Context;
use crate::fs::Fs;
use crate::home::file::{put_in_place, read_file, write_beside};
use crate::root::if_there;

/// Larger than any batch's note gets, in bytes; a larger one is not ours.
const NOTE_MAX: u64 = 256 << 20;

/// Stands between what both hosts' steps bring, what the client's bring, what the server's bring, and then by turns what
/// messages at the client and at the server are given, one of each message at a time.
const BETWEEN: &[u8] = b"=\n";

/// Stands for the base where there is none; no base has it, since theirs count from 1.
const NO_BASE: BaseId = BaseId { counter: 0, digest: Digest([0; 24]) };

impl<F: Fs> Store<F> {
    fn note_name(&self) -> Vec<u8> {
        [&self.name[..], b".begun"].concat()
    }

    /// Notes what the batch is about to bring, on top of the current base or of none.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn note_begun(&self, brings: &Begun) -> Result<(), StoreError> {
        let dir = self.dir()?;
        if self.ids.current.is_none() {
            // No base made the way to this directory durable yet.
            self.pair.sync_way()?;
        }
        let (name, fs) = (self.note_name(), &*self.pair.fs);
        let mut payload = Vec::new();
        put(&mut payload, &brings.merged);
        for brought in brings.alone.iter().cloned().chain(layers(&brings.changed)) {
            payload.extend_from_slice(BETWEEN);
            put(&mut payload, &brought);
        }
        let record = tail::next_record(&self.ids.current.unwrap_or(NO_BASE), &payload);
        // Durable, since the other host may keep what was brought when this one crashes.
        write_beside(fs, dir, &name, &[&record])
            .and_then(|()| put_in_place(fs, dir, &name))
            .context("write", self.pair.shown(&name))?;
        Ok(())
    }

    /// What a run was bringing when it was cut, if the base is still the one that it went on from. One that went on from
    /// none may have been uniting two hosts of which this one had a base, and that base still stands.
    ///
    /// # Errors
    /// When there is a note and it cannot be read.
    pub fn begun(&self) -> Result<Begun, StoreError> {
        let Some(dir) = &self.pair.dir else { return Ok(Begun::default()) };
        let name = self.note_name();
        let note = read_file(&*self.pair.fs, dir, &name, NOTE_MAX).context("read", self.pair.shown(&name))?;
        let note = note.unwrap_or_default();
        let Some((id, _, payload)) = tail::read_tail(&note, 0, None).next else { return Ok(Begun::default()) };
        let brings = parse(&note[payload]).unwrap_or_default();
        match self.ids.current {
            current if current.unwrap_or(NO_BASE) == id => Ok(brings),
            // What no base stood for says nothing of this one, but that it was brought.
            _ if id == NO_BASE => {
                let mut flat = Begun::default();
                flat.still_after(&brings);
                Ok(flat)
            }
            _ => Ok(Begun { changed: brings.changed, ..Begun::default() }),
        }
    }

    /// Removes the note after a commit, when it says nothing any more.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn drop_begun(&self) -> Result<(), StoreError> {
        let name = self.note_name();
        if_there(self.pair.fs.unlink(self.dir()?, &name)).context("remove", self.pair.shown(&name))?;
        Ok(())
    }
}

fn put(out: &mut Vec<u8>, brought: &Brought) {
    let mut changes = Delta::default();
    for (name, entry) in brought {
        changes.folders.entry(name.folder.clone()).or_default().set.push(Seen::bare(entry.clone()));
    }
    text::put_changes(out, &changes, None);
}

/// No line of a change begins with what stands between; an earlier version wrote the first part alone.
fn parse(payload: &[u8]) -> Option<Begun> {
    let mut parts: Vec<Brought> = Vec::new();
    let mut from = 0;
    let mut at = 0;
    while at <= payload.len() {
        let line = payload[at..].iter().position(|&byte| byte == b'\n').map_or(payload.len(), |end| at + end + 1);
        let ends = at == payload.len();
        if ends || &payload[at..line] == BETWEEN {
            parts.push(read(&payload[from..at])?);
            from = line;
        }
        if ends {
            break;
        }
        at = line;
    }
    let mut parts = parts.into_iter();
    let merged = parts.next()?;
    let alone = [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()];
    let mut changed: [Changed; 2] = Default::default();
    for (at, layer) in parts.enumerate() {
        for (name, entry) in layer {
            changed[at % 2].entry(name).or_default().insert(entry.content);
        }
    }
    Some(Begun { alone, merged, changed })
}

/// The first bytes that each message was to be given, at the client and at the server; the second, and so on.
fn layers(changed: &[Changed; 2]) -> Vec<Brought> {
    let depth = changed.iter().flat_map(Changed::values).map(std::collections::BTreeSet::len).max().unwrap_or(0);
    let layer = |at: usize, side: &Changed| -> Brought {
        let given = side.iter().filter_map(|(name, contents)| Some((name, *contents.iter().nth(at)?)));
        let entry = |(name, content): (&Name, _)| {
            let uniq = name.uniq.clone();
            (name.clone(), Entry { uniq, place: Place::Cur, flags: Flags::default(), content })
        };
        given.map(entry).collect()
    };
    (0..depth).flat_map(|at| changed.iter().map(move |side| layer(at, side))).collect()
}

fn read(part: &[u8]) -> Option<Brought> {
    if part.is_empty() {
        return Some(Brought::new());
    }
    let (changes, _) = text::read_changes(part)?;
    let folders = changes.folders.into_iter();
    let entries = folders.flat_map(|(folder, change)| {
        change.set.into_iter().map(move |seen| (Name::new(&folder, &seen.entry.uniq), seen.entry))
    });
    Some(entries.collect())
}
