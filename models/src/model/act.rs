//! What can happen in a model's world, as plain values: a sequence of them can be run again, shortened, and written
//! into a test.
//!
//! Numbers choose among what is there at that moment, by remainder, so that a sequence from which something was taken
//! out still means something.
//!
//! Deliberately not here: what any of it does (`play`).

use super::deed::{Deed, Form};
use crate::memory::Dice;

/// How users give names and bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// As mail programs do: every message has a body of its own, no uniq is given twice, nobody copies. No content may
    /// ever be there twice.
    Tidy,
    /// Every body is delivered once and names itself, and the names are few: proves loss.
    Named,
    /// Names and bodies are few: finds confusions.
    Few,
}

/// Which way a run's changes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `smd-pull`.
    Pull,
    /// `smd-push`.
    Push,
    /// `smd-sync`.
    Sync,
}

/// The parts of a deed by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers;

impl Form for Numbers {
    type Mail = u8;
    type Folder = u8;
    type Uniq = u8;
    type Body = u8;
    type Header = u8;
    type Letter = u8;
}

/// What a user or mail program does to one tree, by number.
pub type Act = Deed<Numbers>;

/// What goes wrong at one host during a run. `at` is in thousandths of a run's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A call fails once, with one of a few errors.
    Once(u16, u8),
    /// It and all later ones of its kind fail.
    Forever(u16, u8),
    /// It fails, and some calls later the host crashes.
    ThenCrash(u16, u8),
    /// The host crashes.
    Crash(u16),
    /// The process is killed; the host lives on.
    Kill(u16),
}

/// What happens beside a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing.
    None,
    /// At the client (0) or server (1).
    Fault(u8, Fault),
    /// At both.
    Both(Fault, Fault),
    /// The line is cut, in thousandths of the bytes of the last run.
    Cut(u16),
    /// A user acts at the client (0) or server (1) in the middle.
    User(u8, u16, Act),
    /// A user acts there in the middle of the n-th listing of a directory, which may miss or repeat what is renamed.
    Listing(u8, u8, Act),
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A user acts on this host; synced or not.
    User(u8, Act, bool),
    /// A run of this client.
    Run {
        /// Which client.
        client: u8,
        /// Which way.
        way: Way,
        /// `--no-delete`.
        keep: bool,
        /// `-n`.
        dry: bool,
        /// 0 quick, 1 stat, 2 full.
        depth: u8,
        /// What happens meanwhile.
        mishap: Mishap,
    },
    /// A host crashes.
    Crash(u8),
    /// Time passes: one of a few spans.
    Wait(u8),
    /// A host loses its state.
    LoseState(u8),
    /// A copy of state and tree is put aside.
    Keep(u8),
    /// That copy of the state is put back.
    RestoreState(u8),
    /// That copy of the tree is put back, as a backup does it.
    RestoreTree(u8),
    /// Users rename one folder alike on the server and a client.
    RenameBoth(u8, u8, u8),
    /// Everybody rests, and plain runs make all hosts equal.
    Settle(u8),
}

/// A whole case: the world and what happens in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Schedules, listings and crashes.
    pub seed: u64,
    /// Clients of the one server.
    pub clients: u8,
    /// What users do.
    pub habit: Habit,
    /// One of a few kinds of file system; from 8 on folders have other names at the clients.
    pub disk: u8,
    /// What happens.
    pub events: Vec<Event>,
}

fn act(dice: &mut Dice) -> Act {
    let mut n = || dice.number() as u8;
    let (a, b, c, d) = (n(), n(), n(), n());
    match dice.below(32) {
        0..=6 => Act::Deliver(a, b, c, d),
        7..=8 => Act::See(a),
        9..=12 => Act::Flag(a, b),
        13..=15 => Act::Move(a, b),
        16..=17 => Act::MoveAnew(a, b, c),
        18 => Act::Copy(a, b, c),
        19 => Act::HardLink(a, b, c),
        20..=22 => Act::Delete(a),
        23 => Act::EditHeader(a, b),
        24 => Act::Replace(a, b, c),
        25..=26 => Act::Rename(a, b),
        27 => Act::Swap(a, b),
        28 => Act::Touch(a),
        29 => Act::MakeFolder(a),
        30 => Act::RemoveFolder(a),
        _ => Act::RenameFolder(a, b),
    }
}

fn fault(dice: &mut Dice) -> Fault {
    let at = dice.below(1100) as u16;
    let errno = dice.number() as u8;
    match dice.below(8) {
        0..=1 => Fault::Once(at, errno),
        2 => Fault::Forever(at, errno),
        3 => Fault::ThenCrash(at, errno),
        4..=5 => Fault::Crash(at),
        _ => Fault::Kill(at),
    }
}

fn mishap(dice: &mut Dice) -> Mishap {
    match dice.below(14) {
        0..=4 => Mishap::None,
        12..=13 => Mishap::Listing(dice.below(2) as u8, dice.below(12) as u8, act(dice)),
        5..=8 => Mishap::Fault(dice.below(2) as u8, fault(dice)),
        9 => Mishap::Both(fault(dice), fault(dice)),
        10 => Mishap::Cut(dice.below(1100) as u16),
        _ => Mishap::User(dice.below(2) as u8, dice.below(1100) as u16, act(dice)),
    }
}

impl Case {
    /// A random case.
    pub fn random(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let clients = *[1, 1, 1, 2, 2, 3].get(dice.below(6)).unwrap_or(&1);
        // In half of the cases users act on one host at a time, so that it is known what the end must be.
        let alone = dice.below(2) == 0;
        let habit = [Habit::Tidy, Habit::Named, Habit::Few][dice.below(3)];
        let disk = dice.below(8) as u8 + if seed % 4 == 3 { 8 } else { 0 };
        let odd = dice.below(4) == 0;
        let mut events = Vec::new();
        for _ in 0..2 + dice.below(2) {
            let actor = dice.below(usize::from(clients) + 1) as u8;
            for _ in 0..1 + dice.below(3) {
                for _ in 0..dice.below(5) {
                    let host = if alone { actor } else { dice.below(usize::from(clients) + 1) as u8 };
                    events.push(Event::User(host, act(&mut dice), dice.below(3) > 0));
                }
                if dice.below(3) == 0 {
                    events.push(Event::Wait(dice.number() as u8));
                }
                let (host, other) = (dice.below(usize::from(clients) + 1) as u8, dice.number() as u8);
                match dice.below(40) {
                    0..=1 => events.push(Event::Crash(host)),
                    2 if odd => events.push(Event::LoseState(host)),
                    3..=4 if odd => events.push(Event::Keep(host)),
                    5 if odd => events.push(Event::RestoreState(host)),
                    6..=7 if odd => events.push(Event::RestoreTree(host)),
                    8 if !alone => events.push(Event::RenameBoth(host, other, other / 4)),
                    _ => {}
                }
                events.push(Event::Run {
                    client: dice.below(usize::from(clients)) as u8,
                    way: [Way::Pull, Way::Push, Way::Sync, Way::Sync][dice.below(4)],
                    keep: dice.below(8) == 0,
                    dry: dice.below(10) == 0,
                    depth: [0, 0, 0, 1, 2][dice.below(5)],
                    mishap: mishap(&mut dice),
                });
            }
            events.push(Event::Settle(dice.number() as u8));
        }
        Self { seed, clients, habit, disk, events }
    }
}
