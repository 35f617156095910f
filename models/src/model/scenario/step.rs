//! What happens in a world, one step after the other, as plain values: by number, as a random case has it, or by name.
//!
//! Deliberately not here: what any of it does (`play`).

use super::super::act::{self, Act, Case, Event, Habit, Mishap, Way};
use super::super::deed::{Deed, Form};

/// A message by name: the label of its body and, where that is not enough, its folder and uniq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The label that its delivery gave it.
    pub label: String,
    /// The folder that it lies in.
    pub folder: Option<String>,
    /// Its uniq.
    pub uniq: Option<String>,
}

/// The parts of a deed by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names;

impl Form for Names {
    type Mail = Pick;
    type Folder = String;
    /// None is the next one that no message had.
    type Uniq = Option<String>;
    type Body = String;
    type Header = String;
    type Letter = char;
}

/// What a user does, by name.
pub type Word = Deed<Names>;

/// What a user does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// By number: it may come to nothing.
    ByNumber(Act),
    /// By name: what cannot be done is a broken scenario.
    ByName(Word),
}

/// One of the two hosts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where the run was started.
    Client,
    /// The other one.
    Server,
}

/// A call by name: what it does, what its path is about (`about`), and which of these in the run at that host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCall {
    /// As the file system's seam calls it.
    pub what: String,
    /// What its path, or both, are about.
    pub about: String,
    /// From 1.
    pub nth: u32,
}

/// Calls one after the other: every one from a named call on, to a named one or the end of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first of them.
    pub from: NamedCall,
    /// The last.
    pub to: Option<NamedCall>,
}

/// When something happens in a run: at one of the calls of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// In thousandths of the calls of a run without mishap. It may be over before.
    Share(u16),
    /// A named call.
    Call(NamedCall),
    /// The n-th call of a stretch, from 1.
    Within(Stretch, u32),
}

/// In which listing something happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// In the n-th of the run at that host, from 0. There may be fewer.
    Number(u8),
    /// In the n-th, from 1, of what the directory is.
    Named(String, u32),
}

/// Where a line is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cutting {
    /// In thousandths of the bytes of the last run without mishap.
    Share(u16),
    /// After so many bytes.
    Bytes(u64),
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// It fails with this error.
    Fails(i32),
    /// It takes effect and says that it failed.
    FailsLate(i32),
    /// A write writes half, and the next one fails.
    FailsShort(i32),
    /// It fails, and so does every later call.
    FailsForEver(i32),
    /// It fails, and the host crashes.
    FailsThenCrashes(i32),
    /// The host crashes instead of it, or (`true`) right after it.
    Crashes(bool),
    /// The process is killed instead of it, or (`true`) right after it.
    Killed(bool),
}

/// What happens beside a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beside {
    /// A call goes wrong.
    Blow(Side, Moment, Blow),
    /// A user acts before a call, synced.
    User(Side, Moment, Doing),
    /// A user acts in the middle of a listing, which may miss or repeat what is renamed.
    Listing(Side, Which, Doing),
    /// The line is cut.
    Cut(Cutting),
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which client, from 1.
    pub client: u8,
    /// Which way.
    pub way: Way,
    /// `--no-delete`.
    pub keep: bool,
    /// `-n` goes before it.
    pub dry: bool,
    /// 0 quick, 1 stat, 2 full.
    pub depth: u8,
    /// What happens meanwhile.
    pub beside: Vec<Beside>,
}

/// One thing that happens. Hosts: 0 is the server, then the clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A user acts on this host; synced or not.
    User(u8, Doing, bool),
    /// A run.
    Run(Plan),
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
    /// Everybody rests, and plain runs make all hosts equal. The number says in which order, and from 128 on that the ends of
    /// all orders are compared.
    Settle(u8),
}

/// A world and what happens in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Schedules, listings and crashes.
    pub seed: u64,
    /// Clients of the one server.
    pub clients: u8,
    /// What users do.
    pub habit: Habit,
    /// One of a few kinds of file system; from 8 on folders have other names at the clients.
    pub disk: u8,
    /// What happens.
    pub steps: Vec<Step>,
}

/// What a fault of a random case fails with.
const ERRNOS: [i32; 8] = [5, 5, 28, 28, 13, 24, 116, 30];

fn blow(fault: act::Fault) -> (Moment, Blow) {
    let errno = |n: u8| ERRNOS[usize::from(n) % ERRNOS.len()];
    let (at, blow) = match fault {
        act::Fault::Once(at, n) if n >= 192 => (at, Blow::FailsLate(errno(n))),
        act::Fault::Once(at, n) if n >= 128 => (at, Blow::FailsShort(errno(n))),
        act::Fault::Once(at, n) => (at, Blow::Fails(errno(n))),
        act::Fault::Forever(at, n) => (at, Blow::FailsForEver(errno(n))),
        act::Fault::ThenCrash(at, n) => (at, Blow::FailsThenCrashes(errno(n))),
        act::Fault::Crash(at) => (at, Blow::Crashes(at % 2 == 1)),
        act::Fault::Kill(at) => (at, Blow::Killed(at % 2 == 1)),
    };
    (Moment::Share(at), blow)
}

fn beside(mishap: Mishap) -> Vec<Beside> {
    let struck = |side, fault| {
        let (moment, blow) = blow(fault);
        Beside::Blow(side, moment, blow)
    };
    match mishap {
        Mishap::None => Vec::new(),
        Mishap::Fault(0, fault) => vec![struck(Side::Client, fault)],
        Mishap::Fault(_, fault) => vec![struck(Side::Server, fault)],
        Mishap::Both(one, two) => vec![struck(Side::Client, one), struck(Side::Server, two)],
        Mishap::Cut(at) => vec![Beside::Cut(Cutting::Share(at))],
        Mishap::User(side, at, act) => vec![Beside::User(odd(side), Moment::Share(at), Doing::ByNumber(act))],
        Mishap::Listing(side, nth, act) => vec![Beside::Listing(odd(side), Which::Number(nth), Doing::ByNumber(act))],
    }
}

fn odd(side: u8) -> Side {
    if side % 2 == 1 { Side::Server } else { Side::Client }
}

impl From<&Case> for Scenario {
    /// The same by number, with definite hosts.
    fn from(case: &Case) -> Self {
        let clients = case.clients.clamp(1, 3);
        let host = |n: u8| n % (clients + 1);
        let one = |event: &Event| match *event {
            Event::User(n, act, synced) => vec![Step::User(host(n), Doing::ByNumber(act), synced)],
            Event::Run { client, way, keep, dry, depth, mishap } => {
                let (client, depth) = (1 + client % clients, depth % 3);
                vec![Step::Run(Plan { client, way, keep, dry, depth, beside: beside(mishap) })]
            }
            Event::Crash(n) => vec![Step::Crash(host(n))],
            Event::Wait(n) => vec![Step::Wait(n % 4)],
            Event::LoseState(n) => vec![Step::LoseState(host(n))],
            Event::Keep(n) => vec![Step::Keep(host(n))],
            Event::RestoreState(n) => vec![Step::RestoreState(host(n))],
            Event::RestoreTree(n) => vec![Step::RestoreTree(host(n))],
            Event::RenameBoth(n, from, to) => {
                let both = [0, 1 + n % clients].into_iter();
                both.map(|at| Step::User(at, Doing::ByNumber(Act::RenameFolder(from, to)), true)).collect()
            }
            Event::Settle(n) => vec![Step::Settle(n)],
        };
        let steps = case.events.iter().flat_map(one).collect();
        Self { seed: case.seed, clients, habit: case.habit, disk: case.disk, steps }
    }
}

impl Beside {
    /// The same, done by name.
    pub fn with(self, word: Word) -> Self {
        match self {
            Self::User(side, moment, _) => Self::User(side, moment, Doing::ByName(word)),
            Self::Listing(side, which, _) => Self::Listing(side, which, Doing::ByName(word)),
            other => other,
        }
    }

    fn is_named(&self) -> bool {
        let moment = |moment: &Moment| !matches!(moment, Moment::Share(_));
        match self {
            Self::Blow(_, at, _) => moment(at),
            Self::User(_, at, doing) => moment(at) || matches!(doing, Doing::ByName(_)),
            Self::Listing(_, which, doing) => matches!(which, Which::Named(..)) || matches!(doing, Doing::ByName(_)),
            Self::Cut(_) => false,
        }
    }
}

impl Scenario {
    /// Whether anything in it is by name.
    pub fn is_named(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::User(_, doing, _) => matches!(doing, Doing::ByName(_)),
            Step::Run(plan) => plan.beside.iter().any(Beside::is_named),
            _ => false,
        })
    }
}
