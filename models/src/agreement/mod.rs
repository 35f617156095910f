//! The two-phase agreement alone, in every way in which it can be cut: two hosts, each with the product's store on a disk
//! in memory, mail abstracted to names, and three sessions in a row.
//!
//! Hosts act on their own disks and hear of each other through messages only. So the states in which a session can be cut
//! are the pairs of a state of each host of which neither heard what the other had not said yet; the order of what both
//! do meanwhile makes no difference. In each of them each host either ends as a process does (a lost link, a kill: the
//! next session finds its disk as it was, durable or not), or its power fails, with every outcome that [`Saved::crashes`]
//! knows. A state directory may be lost, or put back as it was before a session, once in a row of sessions. From every
//! state that is come to a session without faults must commit.
//!
//! Rooms: `host` (one host's part of a session), `order` (which host may be how far), `past` (what must not come back).
//!
//! Deliberately not here: mail, and calls that fail. And the messages themselves: their order, and what is made of an
//! offer, is told here once more, as `client/src/session/agree.rs` and `server/src/session/` have it.
//!
//! [`Saved::crashes`]: crate::memory::Saved::crashes

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use smd_maildir::home::Side;
use smd_protocol::BaseId;

mod host;
mod order;
mod past;
#[cfg(test)]
mod tests;

pub use host::Kind;
use host::{DiskId, Hosts, Offer, Point, Script, Track};
pub use order::Habit;
use past::Past;

const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// What is enumerated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Sessions in a row.
    pub sessions: u8,
    /// How sessions may go on.
    pub kinds: Vec<Kind>,
    /// Sessions of another kind than [`Kind::Commit`] in one row.
    pub others: u8,
    /// Whether state may be lost or put back, once in a row.
    pub losses: bool,
    /// Entries that each change of the base takes along.
    pub bulk: usize,
    /// How the hosts keep the agreement; anything but the default is there to be caught.
    pub habit: Habit,
}

impl Default for Plan {
    fn default() -> Self {
        let kinds = vec![Kind::Commit, Kind::Differ, Kind::GiveUp, Kind::Note];
        Self { sessions: 3, kinds, others: 1, losses: true, bulk: 0, habit: Habit::Product }
    }
}

/// How much was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Different states of both hosts between sessions, with what must be remembered of the past.
    pub states: usize,
    /// Ways into them.
    pub transitions: usize,
    /// Calls at which a host's part of a session was cut.
    pub crash_points: usize,
    /// Different disks.
    pub disks: usize,
}

/// A state between sessions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    disks: [DiskId; 2],
    past: usize,
}

struct State {
    key: Key,
    from: Option<usize>,
    how: How,
}

/// How a state was come to.
#[derive(Clone, Copy, Debug)]
enum How {
    Begin,
    Session { kind: Kind, cut: [Point; 2], outcome: [usize; 2] },
    Lost(usize),
    PutBack(usize),
}

/// Enumerates, and checks every state.
///
/// # Errors
/// When something does not hold: what, and how it was come to.
pub fn enumerate(plan: &Plan) -> Result<Figures, String> {
    let mut search = Search {
        plan: plan.clone(),
        hosts: Hosts::new(plan.bulk),
        pasts: Vec::new(),
        past_ids: HashMap::new(),
        states: Vec::new(),
        known: HashMap::new(),
        free: HashSet::new(),
        met: HashSet::default(),
        alive: HashMap::new(),
        transitions: 0,
    };
    search.run()?;
    Ok(Figures {
        states: search.states.len(),
        transitions: search.transitions,
        crash_points: search.hosts.crash_points,
        disks: search.hosts.disks(),
    })
}

/// Two disks and a past in one number; there are fewer of each than two million.
fn packed(client: DiskId, server: DiskId, past: usize) -> u64 {
    assert!(client.max(server).max(past) < 1 << 21, "more disks than a number has room for");
    (client as u64) << 42 | (server as u64) << 21 | past as u64
}

/// Hashes one number, fast: there are many.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed");
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (number ^ number >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        self.0 = mixed ^ mixed >> 32;
    }
}

struct Search {
    plan: Plan,
    hosts: Hosts,
    pasts: Vec<Rc<Past>>,
    past_ids: HashMap<Past, usize>,
    states: Vec<State>,
    /// States of the level that is being filled.
    known: HashMap<Key, usize>,
    /// Pairs of disks from which a session without faults was seen to commit, by its tag.
    free: HashSet<([DiskId; 2], u8)>,
    /// Ends of sessions that were looked at on this level.
    met: HashSet<u64, BuildHasherDefault<Mixed>>,
    /// See [`Search::alive`].
    alive: HashMap<(DiskId, bool), Rc<Vec<BaseId>>>,
    transitions: usize,
}

/// What both hosts offer, and what follows from it.
struct Handshake {
    offers: [Rc<Offer>; 2],
    common: Option<BaseId>,
    counter: u64,
}

impl Search {
    fn run(&mut self) -> Result<(), String> {
        let fresh = self.hosts.fresh();
        let first = self.past_id(Past::default());
        self.arrive(Key { disks: [fresh; 2], past: first }, None, How::Begin, 1)?;
        let mut level = 0..self.states.len();
        for tag in 1..=self.plan.sessions {
            self.known.clear();
            self.met.clear();
            let next = self.states.len();
            for at in level {
                for kind in self.plan.kinds.clone() {
                    if kind == Kind::Commit || self.past(self.states[at].key.past).others < self.plan.others {
                        self.session(at, kind, tag)?;
                    }
                }
            }
            level = next..self.states.len();
        }
        Ok(())
    }

    fn past_id(&mut self, past: Past) -> usize {
        if let Some(id) = self.past_ids.get(&past) {
            return *id;
        }
        self.pasts.push(Rc::new(past.clone()));
        self.past_ids.insert(past, self.pasts.len() - 1);
        self.pasts.len() - 1
    }

    fn past(&self, id: usize) -> Rc<Past> {
        self.pasts[id].clone()
    }

    fn handshake(&mut self, disks: [DiskId; 2]) -> Result<Handshake, String> {
        let offers = [self.hosts.offer(disks[0], SIDES[0])?, self.hosts.offer(disks[1], SIDES[1])?];
        let [ours, theirs] = [&offers[0], &offers[1]];
        let common = ours.ids.common(theirs.ids);
        let highest = [ours.ids.highest_counter(), theirs.ids.highest_counter(), ours.counter, theirs.counter];
        let highest = highest.into_iter().max().unwrap_or(0);
        let counter = if self.plan.habit == Habit::SameCounter { highest.max(1) } else { highest + 1 };
        Ok(Handshake { offers, common, counter })
    }

    fn tracks(&mut self, disks: [DiskId; 2], hands: &Handshake, kind: Kind, tag: u8) -> Result<[Rc<Track>; 2], String> {
        let script = Script { common: hands.common, counter: hands.counter, tag, strange: false, kind };
        let strange = matches!(kind, Kind::Differ | Kind::GiveUp);
        let ours = self.hosts.play(disks[0], SIDES[0], script).map_err(|why| format!("the client's part: {why}"))?;
        let theirs = self.hosts.play(disks[1], SIDES[1], Script { strange, ..script });
        Ok([ours, theirs.map_err(|why| format!("the server's part: {why}"))?])
    }

    /// All ways in which a session of this kind can go from a state.
    fn session(&mut self, at: usize, kind: Kind, tag: u8) -> Result<(), String> {
        let Key { disks, past } = self.states[at].key;
        let told = |search: &Self, why: String| search.story(Some(at), How::Begin, &why);
        let hands = self.handshake(disks).map_err(|why| told(self, why))?;
        let tracks = self.tracks(disks, &hands, kind, tag).map_err(|why| told(self, why))?;
        let before = self.past(past);
        if kind != Kind::Note && !before.tainted() && tracks[0].prepared.is_some_and(|id| id.counter <= before.top) {
            return Err(told(self, format!("a counter comes back: {:?} after {}", tracks[0].prepared, before.top)));
        }
        let mut outcomes = [Vec::new(), Vec::new()];
        let mut fresh = [Vec::new(), Vec::new()];
        for host in 0..2 {
            let was = self.currents(disks[host], SIDES[host]).map_err(|why| told(self, why))?;
            for point in &tracks[host].points {
                let ends = self.hosts.outcomes(point.disk, SIDES[host]).map_err(|why| told(self, why))?;
                let now = self.currents(point.disk, SIDES[host]).map_err(|why| told(self, why))?;
                fresh[host].push(now.difference(&was).copied().collect::<Vec<_>>());
                outcomes[host].push(ends);
            }
        }
        let prepared = tracks.each_ref().map(|track| track.prepared);
        for (i, ours) in tracks[0].points.iter().enumerate() {
            for (j, theirs) in tracks[1].points.iter().enumerate() {
                if !self.plan.habit.may_be(kind, *ours, *theirs) {
                    continue;
                }
                let cut = [*ours, *theirs];
                let after = before.after(kind, &hands.offers, hands.common, cut, prepared);
                let (client_ends, server_ends) = (outcomes[0][i].clone(), outcomes[1][j].clone());
                if let Some(id) = fresh[0][i].iter().chain(&fresh[1][j]).find(|id| after.dropped.contains(id)) {
                    let how = How::Session { kind, cut, outcome: [0, 0] };
                    return Err(self.story(Some(at), how, &format!("{id} was dropped and is the current base again")));
                }
                let after = self.past_id(after);
                for (p, client) in client_ends.iter().enumerate() {
                    for (q, server) in server_ends.iter().enumerate() {
                        self.transitions += 1;
                        if self.met.insert(packed(*client, *server, after)) {
                            let how = How::Session { kind, cut, outcome: [p, q] };
                            self.settle(at, how, [*client, *server], after, disks, tag + 1)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The current bases that a disk has, as it is or after a crash.
    fn currents(&mut self, disk: DiskId, side: Side) -> Result<BTreeSet<BaseId>, String> {
        let mut ids = BTreeSet::new();
        for end in self.hosts.outcomes(disk, side)?.iter() {
            ids.extend(self.hosts.offer(*end, side)?.ids.current);
        }
        Ok(ids)
    }

    /// A session ended so: checks it, and notes the states that follow.
    fn settle(
        &mut self,
        at: usize,
        how: How,
        ends: [DiskId; 2],
        after: usize,
        start: [DiskId; 2],
        tag: u8,
    ) -> Result<(), String> {
        let told = |search: &Self, why: String| search.story(Some(at), how, &why);
        let mut past = (*self.past(after)).clone();
        let offers = self.handshake(ends).map_err(|why| told(self, why))?.offers;
        past.check(&offers).map_err(|why| told(self, why))?;
        past.remember(&offers);
        let mut alive = BTreeSet::new();
        for host in 0..2 {
            alive.extend(self.alive(ends[host], SIDES[host]).map_err(|why| told(self, why))?.iter());
        }
        past.forget_all_but(&alive);
        let losable = self.plan.losses && !past.spent && matches!(how, How::Session { kind: Kind::Commit, .. });
        let key = Key { disks: ends, past: self.past_id(past.clone()) };
        let Some(here) = self.arrive(key, Some(at), how, tag)? else { return Ok(()) };
        if !losable {
            return Ok(());
        }
        for host in 0..2 {
            let lost = self.hosts.without_state(ends[host]);
            let put_back = self.hosts.settled(start[host]);
            for (disk, how) in [(lost, How::Lost(host)), (put_back, How::PutBack(host))] {
                let mut disks = ends;
                disks[host] = disk;
                let mut stale = alive.clone();
                let ids = self.hosts.offer(disk, SIDES[host]).map_err(|why| self.story(Some(here), how, &why))?.ids;
                stale.extend(ids.current.into_iter().chain(ids.next));
                let key = Key { disks, past: self.past_id(past.with_stale(stale)) };
                self.arrive(key, Some(here), how, tag)?;
            }
        }
        Ok(())
    }

    /// The bases that a disk knows, as it is or after a crash.
    fn alive(&mut self, disk: DiskId, side: Side) -> Result<Rc<Vec<BaseId>>, String> {
        let key = (disk, side == Side::Server);
        if let Some(known) = self.alive.get(&key) {
            return Ok(known.clone());
        }
        let mut ids = BTreeSet::new();
        for end in self.hosts.outcomes(disk, side)?.iter() {
            let known = self.hosts.offer(*end, side)?.ids;
            ids.extend(known.current.into_iter().chain(known.next));
        }
        let ids = Rc::new(ids.into_iter().collect::<Vec<_>>());
        self.alive.insert(key, ids.clone());
        Ok(ids)
    }

    /// Notes a state, if it is new: then a session without faults must commit from there.
    fn arrive(&mut self, key: Key, from: Option<usize>, how: How, tag: u8) -> Result<Option<usize>, String> {
        if self.known.contains_key(&key) {
            return Ok(None);
        }
        let disks = key.disks;
        let at = self.states.len();
        self.known.insert(key, at);
        self.states.push(State { key, from, how });
        if self.free.insert((disks, tag)) {
            self.undisturbed(disks, tag).map_err(|why| self.story(Some(at), How::Begin, &why))?;
        }
        Ok(Some(at))
    }

    /// A session without faults commits, and what it reports no crash takes back.
    fn undisturbed(&mut self, disks: [DiskId; 2], tag: u8) -> Result<(), String> {
        let hands = self.handshake(disks)?;
        let tracks = self.tracks(disks, &hands, Kind::Commit, tag)?;
        if tracks[0].prepared != tracks[1].prepared {
            return Err("the hosts prepare different bases".to_owned());
        }
        for (host, track) in tracks.iter().enumerate() {
            for disk in self.hosts.outcomes(track.end().disk, SIDES[host])?.iter() {
                let offer = self.hosts.offer(*disk, SIDES[host])?;
                if offer.ids.current != track.prepared || offer.ids.next.is_some() {
                    let disk = self.hosts.shown(*disk);
                    return Err(format!(
                        "the {:?} has {:?} after a crash, and the client was told that {:?} is committed\n  {disk}",
                        SIDES[host], offer.ids, track.prepared
                    ));
                }
            }
        }
        Ok(())
    }

    /// How a state was come to, and what is wrong with it.
    fn story(&self, at: Option<usize>, last: How, why: &str) -> String {
        let mut text = format!("{why}\n");
        let mut line = |how: How, disks: Option<[DiskId; 2]>| {
            match how {
                How::Begin => {}
                How::Session { kind, cut, outcome } => {
                    text.push_str(&format!("  after a session ({kind:?}) cut at\n"));
                    for host in 0..2 {
                        let Point { begun, done, .. } = cut[host];
                        let end = if outcome[host] == 0 { "the process ended" } else { "the power failed" };
                        text.push_str(&format!("    {:?}: begun {begun}, done {done}, {end}\n", SIDES[host]));
                    }
                }
                How::Lost(host) => text.push_str(&format!("  after the {:?} lost its state\n", SIDES[host])),
                How::PutBack(host) => {
                    text.push_str(&format!("  after the {:?}'s state was put back\n", SIDES[host]));
                }
            }
            for disk in disks.into_iter().flatten() {
                text.push_str(&format!("    {}\n", self.hosts.shown(disk)));
            }
        };
        line(last, None);
        let mut next = at;
        while let Some(at) = next {
            let State { key, from, how } = &self.states[at];
            line(*how, Some(key.disks));
            next = *from;
        }
        text
    }
}
