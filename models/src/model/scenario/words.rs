//! The words of scenarios.
//!
//! Deeds of users: [`deliver`], [`flag`], [`delete`] …; what else happens to a host: [`crash`], [`back_up`] …; runs:
//! [`sync`], [`pull`], [`push`], with what happens beside them. Where names are few (`Scenario::named`, `Scenario::few`) a
//! message that gets a name says which: `called`. Deliberately not here: the values behind them (`step`).

use super::super::act::{Habit, Way};
use super::step::{
    Beside, Blow, Cutting, Doing, Moment, NamedCall, Pick, Plan, Scenario, Side, Step, Stretch, Which, Word,
};

pub use super::plays::at_every_call;

/// The host of a run where it was started.
pub const CLIENT: Side = Side::Client;
/// The other one.
pub const SERVER: Side = Side::Server;

/// Errors that calls fail with.
pub const EIO: i32 = 5;
/// See [`EIO`].
pub const EACCES: i32 = 13;
/// See [`EIO`].
pub const EMFILE: i32 = 24;
/// See [`EIO`].
pub const ENOSPC: i32 = 28;
/// See [`EIO`].
pub const EROFS: i32 = 30;
/// See [`EIO`].
pub const ESTALE: i32 = 116;

/// What a file system is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// As ext4.
    Plain = 0,
    /// Stamps are of a tick of 4 ms, listings do not say what an entry is, and inode numbers are used again.
    Ticks = 3,
    /// Stamps are of whole seconds.
    Seconds = 4,
    /// Of every other second, with no times of birth, inode numbers used again, and nothing trusted.
    TwoSeconds = 5,
    /// Syncs of it all are not trusted.
    Untrusted = 6,
    /// Stamps of a tick, no times of birth, inode numbers used again.
    Reusing = 7,
}

/// How long nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// 1 ms.
    Millisecond = 0,
    /// 25 ms, a few ticks of a clock.
    Ticks = 1,
    /// 3 s.
    Seconds = 2,
    /// 7 h.
    Hours = 3,
}

/// By which runs everything becomes equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A sync.
    Sync = 0,
    /// A pull, then a push.
    PullPush = 1,
    /// A push, then a pull.
    PushPull = 2,
}

/// What a user does, and whether that is made durable at once.
#[derive(Clone, Debug)]
pub struct Deal {
    word: Word,
    synced: bool,
}

/// A message that needs more than its label: [`the`].
pub fn the(label: &str) -> Pick {
    Pick { label: label.to_owned(), folder: None, uniq: None }
}

impl Pick {
    /// It lies in this folder.
    pub fn of(self, folder: &str) -> Self {
        Self { folder: Some(folder.to_owned()), ..self }
    }

    /// It has this uniq.
    pub fn called(self, uniq: &str) -> Self {
        Self { uniq: Some(uniq.to_owned()), ..self }
    }
}

impl From<&str> for Pick {
    fn from(label: &str) -> Self {
        the(label)
    }
}

fn deal(word: Word) -> Deal {
    Deal { word, synced: true }
}

/// A message arrives in the `new/` of INBOX, unless said otherwise.
pub fn deliver(label: &str) -> Deal {
    deal(Word::Deliver("INBOX".to_owned(), None, label.to_owned(), "one".to_owned()))
}

/// A message goes from `new/` to `cur/`.
pub fn see(mail: impl Into<Pick>) -> Deal {
    deal(Word::See(mail.into()))
}

/// A letter is set or taken.
pub fn flag(mail: impl Into<Pick>, letter: char) -> Deal {
    deal(Word::Flag(mail.into(), letter))
}

/// To another folder, with its uniq.
pub fn move_to(mail: impl Into<Pick>, folder: &str) -> Deal {
    deal(Word::Move(mail.into(), folder.to_owned()))
}

/// To another folder under another uniq.
pub fn move_anew(mail: impl Into<Pick>, folder: &str) -> Deal {
    deal(Word::MoveAnew(mail.into(), folder.to_owned(), None))
}

/// A second file with equal bytes.
pub fn copy(mail: impl Into<Pick>, folder: &str) -> Deal {
    deal(Word::Copy(mail.into(), folder.to_owned(), None))
}

/// A second name of the same file.
pub fn hard_link(mail: impl Into<Pick>, folder: &str) -> Deal {
    deal(Word::HardLink(mail.into(), folder.to_owned(), None))
}

/// Gone.
pub fn delete(mail: impl Into<Pick>) -> Deal {
    deal(Word::Delete(mail.into()))
}

/// Another header: `one`, `two` or `three`.
pub fn edit_header(mail: impl Into<Pick>, header: &str) -> Deal {
    deal(Word::EditHeader(mail.into(), header.to_owned()))
}

/// Other bytes under the same name.
pub fn replace(mail: impl Into<Pick>, label: &str) -> Deal {
    deal(Word::Replace(mail.into(), label.to_owned(), "one".to_owned()))
}

/// Another uniq in the same folder.
pub fn rename(mail: impl Into<Pick>) -> Deal {
    deal(Word::Rename(mail.into(), None))
}

/// Two messages change names.
pub fn swap(one: impl Into<Pick>, two: impl Into<Pick>) -> Deal {
    deal(Word::Swap(one.into(), two.into()))
}

/// The mtime alone.
pub fn touch(mail: impl Into<Pick>) -> Deal {
    deal(Word::Touch(mail.into()))
}

/// A folder is made.
pub fn make_folder(folder: &str) -> Deal {
    deal(Word::MakeFolder(folder.to_owned()))
}

/// And removed, with what it holds.
pub fn remove_folder(folder: &str) -> Deal {
    deal(Word::RemoveFolder(folder.to_owned()))
}

/// And renamed.
pub fn rename_folder(from: &str, to: &str) -> Deal {
    deal(Word::RenameFolder(from.to_owned(), to.to_owned()))
}

/// A user comes, does nothing, and syncs the disk.
pub fn idle() -> Deal {
    deal(Word::Rest)
}

impl Deal {
    /// Into this folder.
    pub fn to(mut self, into: &str) -> Self {
        match &mut self.word {
            Word::Deliver(folder, ..) => into.clone_into(folder),
            other => panic!("{other:?} says its folder, or has none"),
        }
        self
    }

    /// Under this uniq.
    pub fn called(mut self, name: &str) -> Self {
        match &mut self.word {
            Word::Deliver(_, uniq, ..)
            | Word::MoveAnew(_, _, uniq)
            | Word::Copy(_, _, uniq)
            | Word::HardLink(_, _, uniq)
            | Word::Rename(_, uniq) => *uniq = Some(name.to_owned()),
            other => panic!("{other:?} gives no uniq"),
        }
        self
    }

    /// With this header: `one`, `two` or `three`.
    pub fn header(mut self, name: &str) -> Self {
        match &mut self.word {
            Word::Deliver(.., header) | Word::Replace(.., header) => name.clone_into(header),
            other => panic!("{other:?} says its header, or has none"),
        }
        self
    }

    /// And not made durable.
    pub fn unsynced(self) -> Self {
        Self { synced: false, ..self }
    }
}

/// What happens to a host.
#[derive(Clone, Debug)]
pub enum AtHost {
    /// A user does something.
    Deal(Deal),
    /// See [`crash`].
    Crash,
    /// See [`lose_state`].
    LoseState,
    /// See [`back_up`].
    BackUp,
    /// See [`put_state_back`].
    PutStateBack,
    /// See [`put_mail_back`].
    PutMailBack,
}

impl From<Deal> for AtHost {
    fn from(deal: Deal) -> Self {
        Self::Deal(deal)
    }
}

/// The power fails.
pub fn crash() -> AtHost {
    AtHost::Crash
}

/// The host loses its state.
pub fn lose_state() -> AtHost {
    AtHost::LoseState
}

/// A copy of state and mail is put aside.
pub fn back_up() -> AtHost {
    AtHost::BackUp
}

/// That copy of the state is put back.
pub fn put_state_back() -> AtHost {
    AtHost::PutStateBack
}

/// That copy of the mail is put back, as a backup does it.
pub fn put_mail_back() -> AtHost {
    AtHost::PutMailBack
}

/// The first call that does this (`sync_file`, `rename` …: as the seam calls it) to a path that is about this (`the base`,
/// `A in cur of INBOX`, `a name in tmp of .a`; two paths with ` to ` between).
pub fn call(what: &str, about: &str) -> NamedCall {
    NamedCall { what: what.to_owned(), about: about.to_owned(), nth: 1 }
}

impl NamedCall {
    /// The n-th of these in the run at that host.
    pub fn nth(self, nth: u32) -> Self {
        Self { nth, ..self }
    }

    /// Every call from this one to that one: [`at_every_call`].
    pub fn to(self, last: Self) -> Stretch {
        Stretch { from: self, to: Some(last) }
    }

    /// Every call from this one on: [`at_every_call`].
    pub fn to_the_end(self) -> Stretch {
        Stretch { from: self, to: None }
    }
}

impl From<NamedCall> for Moment {
    fn from(call: NamedCall) -> Self {
        Self::Call(call)
    }
}

/// Every call that a run makes at a host: [`at_every_call`].
pub fn whole_run() -> Stretch {
    call("open_root", "the state directory").to_the_end()
}

fn plan(way: Way) -> Plan {
    Plan { client: 1, way, keep: false, dry: false, depth: 0, beside: Vec::new() }
}

/// A quick run of client 1.
pub fn sync() -> Plan {
    plan(Way::Sync)
}

/// A quick run of client 1.
pub fn pull() -> Plan {
    plan(Way::Pull)
}

/// A quick run of client 1.
pub fn push() -> Plan {
    plan(Way::Push)
}

impl Plan {
    /// Of another client.
    pub fn of_client(self, client: u8) -> Self {
        Self { client, ..self }
    }

    /// With `--no-delete`.
    pub fn no_delete(self) -> Self {
        Self { keep: true, ..self }
    }

    /// After the same run with `-n`.
    pub fn after_dry_run(self) -> Self {
        Self { dry: true, ..self }
    }

    /// Looks at every message.
    pub fn stat(self) -> Self {
        Self { depth: 1, ..self }
    }

    /// Reads every message.
    pub fn full(self) -> Self {
        Self { depth: 2, ..self }
    }

    fn beside(mut self, beside: Beside) -> Self {
        self.beside.push(beside);
        self
    }

    /// A call goes wrong.
    pub fn strikes(self, side: Side, at: impl Into<Moment>, blow: Blow) -> Self {
        self.beside(Beside::Blow(side, at.into(), blow))
    }

    /// A call fails.
    pub fn fails(self, side: Side, at: impl Into<Moment>, errno: i32) -> Self {
        self.strikes(side, at, Blow::Fails(errno))
    }

    /// A call takes effect and says that it failed.
    pub fn fails_late(self, side: Side, at: impl Into<Moment>, errno: i32) -> Self {
        self.strikes(side, at, Blow::FailsLate(errno))
    }

    /// A write writes half, and the next one fails.
    pub fn fails_short(self, side: Side, at: impl Into<Moment>, errno: i32) -> Self {
        self.strikes(side, at, Blow::FailsShort(errno))
    }

    /// A call fails, and so does every later one.
    pub fn fails_for_ever(self, side: Side, at: impl Into<Moment>, errno: i32) -> Self {
        self.strikes(side, at, Blow::FailsForEver(errno))
    }

    /// A call fails, and the host crashes.
    pub fn fails_then_crashes(self, side: Side, at: impl Into<Moment>, errno: i32) -> Self {
        self.strikes(side, at, Blow::FailsThenCrashes(errno))
    }

    /// The host crashes instead of a call.
    pub fn crashes_before(self, side: Side, at: impl Into<Moment>) -> Self {
        self.strikes(side, at, Blow::Crashes(false))
    }

    /// Or right after it.
    pub fn crashes_after(self, side: Side, at: impl Into<Moment>) -> Self {
        self.strikes(side, at, Blow::Crashes(true))
    }

    /// The process is killed instead of a call.
    pub fn killed_before(self, side: Side, at: impl Into<Moment>) -> Self {
        self.strikes(side, at, Blow::Killed(false))
    }

    /// Or right after it.
    pub fn killed_after(self, side: Side, at: impl Into<Moment>) -> Self {
        self.strikes(side, at, Blow::Killed(true))
    }

    /// A user acts before a call.
    pub fn meanwhile(self, side: Side, at: impl Into<Moment>, deal: Deal) -> Self {
        self.beside(Beside::User(side, at.into(), Doing::ByName(deal.word)))
    }

    /// A user acts in the middle of the n-th listing, from 1, of this directory: `cur of INBOX`.
    pub fn while_listing(self, side: Side, about: &str, nth: u32, deal: Deal) -> Self {
        self.beside(Beside::Listing(side, Which::Named(about.to_owned(), nth), Doing::ByName(deal.word)))
    }

    /// The line is cut after so many bytes, both ways together.
    pub fn cut_after(self, bytes: u64) -> Self {
        self.beside(Beside::Cut(Cutting::Bytes(bytes)))
    }
}

impl Scenario {
    fn new(habit: Habit) -> Self {
        Self { seed: 1, clients: 1, habit, disk: Disk::Plain as u8, steps: Vec::new() }
    }

    /// Users do as mail programs do: see [`Habit::Tidy`].
    pub fn tidy() -> Self {
        Self::new(Habit::Tidy)
    }

    /// Names are few: see [`Habit::Named`].
    pub fn named() -> Self {
        Self::new(Habit::Named)
    }

    /// Names and bodies are few: see [`Habit::Few`].
    pub fn few() -> Self {
        Self::new(Habit::Few)
    }

    /// The schedule, the order of listings, and what crashes leave.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// How many clients there are: one, unless said otherwise.
    pub fn clients(self, clients: u8) -> Self {
        Self { clients, ..self }
    }

    /// On such disks.
    pub fn on(self, disk: Disk) -> Self {
        Self { disk: self.disk & 8 | disk as u8, ..self }
    }

    /// Folders have other names at the clients.
    pub fn folders_named_otherwise(self) -> Self {
        Self { disk: self.disk | 8, ..self }
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    fn at(self, host: u8, what: AtHost) -> Self {
        let is_kept = self.steps.contains(&Step::Keep(host));
        self.step(match what {
            AtHost::Deal(Deal { word, synced }) => Step::User(host, Doing::ByName(word), synced),
            AtHost::Crash => Step::Crash(host),
            AtHost::LoseState => Step::LoseState(host),
            AtHost::BackUp => Step::Keep(host),
            AtHost::PutStateBack | AtHost::PutMailBack if !is_kept => panic!("host {host} has no backup"),
            AtHost::PutStateBack => Step::RestoreState(host),
            AtHost::PutMailBack => Step::RestoreTree(host),
        })
    }

    /// Something happens at the server.
    pub fn server(self, what: impl Into<AtHost>) -> Self {
        self.at(0, what.into())
    }

    /// Something happens at a client, from 1.
    pub fn client(self, client: u8, what: impl Into<AtHost>) -> Self {
        assert!((1..=self.clients).contains(&client), "there are {} clients", self.clients);
        self.at(client, what.into())
    }

    /// A run, of client 1 unless it says otherwise.
    pub fn run(self, plan: Plan) -> Self {
        assert!((1..=self.clients).contains(&plan.client), "there are {} clients", self.clients);
        self.step(Step::Run(plan))
    }

    /// Time passes.
    pub fn wait(self, span: Span) -> Self {
        self.step(Step::Wait(span as u8))
    }

    /// Syncs make all hosts equal. At the end of a scenario this comes unasked.
    pub fn everybody_rests(self) -> Self {
        self.everybody_rests_by(Order::Sync)
    }

    /// Other runs do.
    pub fn everybody_rests_by(self, order: Order) -> Self {
        self.step(Step::Settle(order as u8))
    }

    /// And the ends of all orders of runs are compared before.
    pub fn everybody_rests_after_comparing(self, order: Order) -> Self {
        self.step(Step::Settle(COMPARES + order as u8))
    }
}

/// From here on a rest compares the ends of all orders; a multiple of three.
pub(super) const COMPARES: u8 = 129;
