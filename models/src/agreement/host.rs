//! One host's part of a session: the product's own store on a disk in memory, and every state of that disk on the way.
//!
//! A part depends on the disk that it began with and on what the other host said, nothing else. So it is played once for
//! each of these, without faults, and where it can be cut is read off the states that it went through.
//!
//! Deliberately not here: when a host may go on (`mod.rs` beside it), and what must hold.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use smd_maildir::home::{Access, Home, Label, Pair, Side, stem};
use smd_maildir::lock::{Wait, state_lock};
use smd_maildir::store::{Ids, Meta, Store};
use smd_protocol::delta::Seen;
use smd_protocol::digest::Content;
use smd_protocol::flags::Flags;
use smd_protocol::{BaseId, Delta, Entry, Folder, Place, Presence, Uniq};

use crate::memory::{Memory, Saved};

const KEY: &[u8] = b"Mail";
const STATE: &str = "/h/.smd";
const ONCE: Wait<'static> = Wait { ms: 0, stop: &|| false };

/// [`Side`], as a key.
type IsServer = bool;

/// A disk, by the order in which it was first met.
pub(super) type DiskId = usize;

/// Mail, abstracted: the uniqs of a base.
pub(super) type Mail = BTreeSet<Vec<u8>>;

/// How a session goes on after the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Both hosts prepare the same base and commit it.
    Commit,
    /// The server prepares another base; both drop it.
    Differ,
    /// As [`Kind::Differ`], and for the second time: both give up the current base too.
    GiveUp,
    /// No mail changed, but what is recorded of the root.
    Note,
}

/// All that a host's part of a session depends on beside its disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Script {
    /// The base that both have.
    pub(super) common: Option<BaseId>,
    /// The next one's counter.
    pub(super) counter: u64,
    /// Names the session, and the message that is new in it.
    pub(super) tag: u8,
    /// Whether this host prepares another base than it is told.
    pub(super) strange: bool,
    /// How it goes on.
    pub(super) kind: Kind,
}

/// A state of a disk within a host's part of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// Operations that were begun.
    pub(super) begun: u8,
    /// Operations that came to their end: 1 open, 2 agree, 3 prepare (or note), 4 commit (or abort).
    pub(super) done: u8,
    /// The disk.
    pub(super) disk: DiskId,
}

/// A host's part of a session.
#[derive(Debug)]
pub(super) struct Track {
    /// The states of its disk, in order; the same state never twice within one operation.
    pub(super) points: Vec<Point>,
    /// The base that it prepared.
    pub(super) prepared: Option<BaseId>,
}

impl Track {
    /// Where the part ends when nothing cuts it.
    pub(super) fn end(&self) -> Point {
        *self.points.last().expect("a part has its beginning")
    }
}

/// What a host offers that finds its disk so.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// Its bases.
    pub(super) ids: Ids,
    /// The highest counter that it remembers.
    pub(super) counter: u64,
}

/// All disks that were met, and all that is known of them.
pub(super) struct Hosts {
    disks: Vec<Saved>,
    by_digest: HashMap<u64, DiskId>,
    outcomes: HashMap<(DiskId, IsServer), Rc<Vec<DiskId>>>,
    offers: HashMap<(DiskId, IsServer), Rc<Offer>>,
    tracks: HashMap<(DiskId, IsServer, Script), Rc<Track>>,
    /// What each base that was ever prepared holds.
    pub(super) truth: HashMap<BaseId, Mail>,
    /// Calls before and after which a host's part was cut.
    pub(super) crash_points: usize,
    /// How large a session's change is.
    bulk: usize,
}

impl Hosts {
    /// No disks yet. Each session's change takes `bulk` more entries along, so that tails grow long and are folded in.
    pub(super) fn new(bulk: usize) -> Self {
        Self {
            disks: Vec::new(),
            by_digest: HashMap::new(),
            outcomes: HashMap::new(),
            offers: HashMap::new(),
            tracks: HashMap::new(),
            truth: HashMap::new(),
            crash_points: 0,
            bulk,
        }
    }

    /// How many disks were met.
    pub(super) fn disks(&self) -> usize {
        self.disks.len()
    }

    /// A disk on which no run ever was.
    pub(super) fn fresh(&mut self) -> DiskId {
        // Names of directories are durable before what is in them, as every journal keeps it.
        let memory = Memory::new(1);
        memory.set(|settings| settings.parents_first = true);
        memory.by_hand().mkdir("/h").expect("makes");
        memory.by_hand().sync();
        self.intern(memory.snapshot())
    }

    /// This disk with its state directory gone.
    pub(super) fn without_state(&mut self, disk: DiskId) -> DiskId {
        let memory = Memory::of(&self.disks[disk]);
        if memory.by_hand().exists(STATE) {
            memory.by_hand().remove_dir_all(STATE).expect("removes");
        }
        memory.by_hand().sync();
        self.intern(memory.snapshot())
    }

    /// This disk as a backup holds it: all of it durable.
    pub(super) fn settled(&mut self, disk: DiskId) -> DiskId {
        let memory = Memory::of(&self.disks[disk]);
        memory.by_hand().sync();
        self.intern(memory.snapshot())
    }

    fn intern(&mut self, saved: Saved) -> DiskId {
        let fresh = self.disks.len();
        let id = *self.by_digest.entry(saved.digest()).or_insert(fresh);
        if id == fresh {
            self.disks.push(saved);
        }
        id
    }

    /// What becomes of a disk when the host's part ends there: nothing, when only the process ends; then what a crash may
    /// leave. A torn end that reads as zeros, rather than as less than was written, is not gone on from: it offers the
    /// same and is cut in the same way.
    ///
    /// # Errors
    /// When it does not offer the same.
    pub(super) fn outcomes(&mut self, disk: DiskId, side: Side) -> Result<Rc<Vec<DiskId>>, String> {
        let key = (disk, side == Side::Server);
        if let Some(known) = self.outcomes.get(&key) {
            return Ok(known.clone());
        }
        let mut ids = vec![disk];
        for crash in self.disks[disk].crashes(false) {
            let id = self.intern(crash);
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let mut offered = Vec::new();
        for id in &ids {
            offered.push(self.offer(*id, side)?.ids);
        }
        for crash in self.disks[disk].crashes(true) {
            let memory = Memory::of(&crash);
            let mut store = open(&memory, side, Access::ReadOnly)?.1;
            self.proved(&mut store)?;
            if !offered.contains(&store.ids()) {
                return Err(format!("zeros make it offer {:?}", store.ids()));
            }
        }
        let ids = Rc::new(ids);
        self.outcomes.insert(key, ids.clone());
        Ok(ids)
    }

    /// The bytes of the base file, for messages.
    pub(super) fn shown(&self, disk: DiskId) -> String {
        let memory = Memory::of(&self.disks[disk]);
        let mut text = format!("{} pending changes of names", memory.by_hand().pending());
        for (path, info) in memory.by_hand().list("/h").unwrap_or_default() {
            let mut bytes = info.bytes.escape_ascii().to_string();
            bytes.truncate(1_500);
            text.push_str(&format!("\n    {} {bytes}", path.escape_ascii()));
        }
        text
    }

    /// What the host offers, and that its state is whole and true.
    ///
    /// # Errors
    /// When it is not; says why.
    pub(super) fn offer(&mut self, disk: DiskId, side: Side) -> Result<Rc<Offer>, String> {
        let key = (disk, side == Side::Server);
        if let Some(known) = self.offers.get(&key) {
            return Ok(known.clone());
        }
        let memory = Memory::of(&self.disks[disk]);
        let mut store = open(&memory, side, Access::ReadOnly)?.1;
        self.proved(&mut store)?;
        let (ids, counter) = (store.ids(), store.counter());
        if let Some(next) = ids.next {
            store.promote(next).map_err(|error| error.to_string())?;
            self.proved(&mut store)?;
        }
        let offer = Rc::new(Offer { ids, counter });
        self.offers.insert(key, offer.clone());
        Ok(offer)
    }

    /// That the state is whole, and the current base holds what was agreed on under its id.
    fn proved(&self, store: &mut Store<Memory>) -> Result<(), String> {
        if let Some(why) = store.lost() {
            return Err(format!("the base is lost: {why}"));
        }
        if !store.damaged().is_empty() {
            return Err("a section of the base is damaged".to_owned());
        }
        let id = store.ids().current;
        let snapshot = store.snapshot().map_err(|error| error.to_string())?;
        let mail: Mail = snapshot.iter().map(|(_, entry)| entry.uniq.as_bytes().to_vec()).collect();
        match id {
            None if mail.is_empty() => Ok(()),
            None => Err("there is mail in no base".to_owned()),
            Some(id) => match self.truth.get(&id) {
                Some(truth) if *truth == mail => Ok(()),
                Some(_) => Err(format!("base {id} holds other mail than was agreed")),
                None => Err(format!("base {id} was never prepared")),
            },
        }
    }

    /// Plays a host's part of a session to its end.
    ///
    /// # Errors
    /// When any of it fails, though nothing was in its way.
    pub(super) fn play(&mut self, disk: DiskId, side: Side, script: Script) -> Result<Rc<Track>, String> {
        let key = (disk, side == Side::Server, script);
        if let Some(known) = self.tracks.get(&key) {
            return Ok(known.clone());
        }
        let memory = Memory::of(&self.disks[disk]);
        let begun = Arc::new(AtomicU8::new(1));
        let seen: Arc<Mutex<Vec<(u8, Saved)>>> = Arc::default();
        let mut changed = false;
        let (stage, states) = (begun.clone(), seen.clone());
        memory.between(move |memory, call| {
            if changed {
                let state = (stage.load(Ordering::SeqCst), memory.snapshot());
                states.lock().unwrap_or_else(PoisonError::into_inner).push(state);
            }
            let reads =
                ["open_root", "open_dir", "open", "append", "read", "stat", "stat_dir", "stat_file", "try_lock"];
            changed = !reads.contains(&call.what());
        });
        let mut points = vec![Point { begun: 0, done: 0, disk }];
        let calls = memory.calls();
        let mut done = 0;
        let mut state_of = |hosts: &mut Self, memory: &Memory| {
            for (begun, state) in std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner)) {
                let disk = hosts.intern(state);
                if points.last().is_none_or(|last| last.disk != disk) {
                    points.push(Point { begun, done, disk });
                }
            }
            done += 1;
            let disk = hosts.intern(memory.snapshot());
            points.push(Point { begun: done, done, disk });
            begun.store(done + 1, Ordering::SeqCst);
        };
        let told = |what: &'static str| move |error: smd_maildir::store::StoreError| format!("{what}: {error}");

        let (_guard, mut store) = open(&memory, side, Access::ReadWrite)?;
        state_of(self, &memory);
        match script.common {
            Some(id) => store.promote(id).map_err(told("agree"))?,
            None => store.forget(),
        }
        state_of(self, &memory);
        let meta = Meta { excludes: format!("of session {}", script.tag), ..Meta::default() };
        let mut prepared = None;
        if script.kind == Kind::Note {
            store.note(&meta).map_err(told("note"))?;
            state_of(self, &memory);
        } else {
            if store.ids().current != script.common {
                return Err(format!("agreed on {:?} and is at {:?}", script.common, store.ids().current));
            }
            let (changes, mail) = self.changes(&script);
            let id = store.write_next(script.counter, &changes, &meta).map_err(told("prepare"))?;
            self.truth.insert(id, mail);
            prepared = Some(id);
            state_of(self, &memory);
            if script.kind == Kind::Commit {
                store.commit(id).map_err(told("commit"))?;
            } else {
                store.abort().map_err(told("abort"))?;
                if script.kind == Kind::GiveUp {
                    store.give_up().map_err(told("give up"))?;
                }
            }
            state_of(self, &memory);
        }
        memory.alone();
        self.crash_points += (memory.calls() - calls) as usize;
        let track = Rc::new(Track { points, prepared });
        self.tracks.insert(key, track.clone());
        Ok(track)
    }

    /// The session's change of the base, and the mail that it leads to: one message came, and that of two sessions ago is
    /// gone.
    fn changes(&self, script: &Script) -> (Delta, Mail) {
        let mut mail = script.common.map(|id| self.truth[&id].clone()).unwrap_or_default();
        let presence = if script.common.is_some() { Presence::Same } else { Presence::Added };
        let mut delta = Delta::default();
        let change = delta.folders.entry(Folder::root()).or_default();
        change.presence = presence;
        let old = format!("of session {}", script.tag.saturating_sub(2)).into_bytes();
        mail.retain(|uniq| {
            let gone = uniq.starts_with(&old);
            if gone {
                change.gone.push(self::uniq(uniq));
            }
            !gone
        });
        let strange = if script.strange { ", strange" } else { "" };
        for extra in 0..=self.bulk {
            let long = if self.bulk > 0 { format!(" {extra:0>200}") } else { String::new() };
            let bytes = format!("of session {}{strange}{long}", script.tag).into_bytes();
            let entry =
                Entry { uniq: uniq(&bytes), place: Place::Cur, flags: Flags::default(), content: Content::of(&bytes) };
            change.set.push(Seen::bare(entry));
            mail.insert(bytes);
        }
        change.normalise();
        (delta, mail)
    }
}

fn uniq(bytes: &[u8]) -> Uniq {
    Uniq::parse(bytes).expect("a uniq")
}

type Opened = (smd_maildir::lock::Guard<Memory>, Store<Memory>);

fn open(memory: &Memory, side: Side, access: Access) -> Result<Opened, String> {
    let home = Home::open(Arc::new(memory.clone()), Path::new(STATE), access).map_err(|error| error.to_string())?;
    let pair: Pair<Memory> = home.pair(side, &Label::derive(b"peer")).map_err(|error| error.to_string())?;
    let guard = state_lock(&pair, &stem(KEY), &ONCE).map_err(|error| error.to_string())?;
    let store = Store::open(&pair, KEY).map_err(|error| error.to_string())?;
    Ok((guard, store))
}
