//! Plays a case: users, runs and faults in their order, and looks after each whether a promise was broken.
//!
//! Checked after every call that changes a name, on any host: no owed content is gone from all hosts (promise 1), no
//! name in `cur/` or `new/` has bytes that nobody made (2). After every run: no tree has more messages of a content than
//! users made (3), and the tree of a host on which alone users acted is as they left it (4, 5, 8). When all is quiet:
//! the first plain run does everything that is left (12), all trees are equal (11), owed contents are everywhere, mtimes
//! are as they were (7), a further run is one round trip and writes nothing (10).
//!
//! Deliberately not here: what users do (`users`) and what may be there (`ledger`).

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smd_client::endpoint::{Endpoint, RootPair, Transport};
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::options::{Direction, RunOptions, Scan};
use smd_client::progress::Progress;
use smd_client::report::{Guard, Report};
use smd_client::session::{self, SessionError};
use smd_maildir::exclude::Excludes;
use smd_server::serve::Places;

use super::act::{Act, Case, Event, Habit, Mishap, Way};
use super::host::{Copy, Host, Struck};
use super::ledger::Ledger;
use super::line::Call;
use super::mail::{self, FOLDERS, ROOT, STATE, Tree, folder_path};
use super::users::User;
use crate::memory::{Dice, Memory};

/// What was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Cases.
    pub sequences: u64,
    /// Sessions.
    pub runs: u64,
    /// Faults that struck: errors, crashes, kills, cuts, users in the middle of a run.
    pub faults: u64,
    /// Looks at the promises between two calls.
    pub looks: u64,
}

impl Figures {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.sequences += other.sequences;
        self.runs += other.runs;
        self.faults += other.faults;
        self.looks += other.looks;
    }
}

/// A broken promise, in words; the first word says which.
pub type Broken = String;

/// Plays a case to its end, or to the first broken promise.
///
/// # Errors
/// The broken promise.
pub fn play(case: &Case) -> Result<Figures, Broken> {
    play_told(case, None)
}

/// Who hears what happens in a case.
pub type Teller<'a> = &'a mut dyn FnMut(String);

/// As [`play`], telling every event and the trees and graves after it.
///
/// # Errors
/// The broken promise.
pub fn play_told(case: &Case, mut tell: Option<Teller<'_>>) -> Result<Figures, Broken> {
    let mut world = World::new(case);
    for event in case.events.iter().chain([&Event::Settle(0)]) {
        let result = world.happens(*event);
        if let Some(tell) = &mut tell {
            tell(format!("{event:?}: {result:?}"));
            for line in std::mem::take(&mut world.said) {
                tell(format!("    {line}"));
            }
            for (at, host) in world.hosts.iter().enumerate() {
                for file in host.files() {
                    tell(format!("  host {at}: {file}"));
                }
            }
        }
        result.map_err(|broken| format!("{broken} [at {event:?}]"))?;
    }
    world.figures.sequences = 1;
    Ok(world.figures)
}

/// What the hooks between calls share with the world.
struct Shared {
    ledger: Ledger,
    next: u32,
    broken: Option<Broken>,
    looks: u64,
    /// A user acted in the middle of the run.
    meddled: bool,
    in_place: bool,
}

type Common = Arc<Mutex<Shared>>;

fn lock(shared: &Common) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct World {
    case: Case,
    /// The server, then the clients.
    hosts: Vec<Host>,
    kept: Vec<Option<Copy>>,
    shared: Common,
    dice: Dice,
    figures: Figures,
    /// Bytes of the last run, to cut the next one in its middle.
    last_bytes: u64,
    /// Hosts on which users acted since all was quiet.
    actors: BTreeSet<usize>,
    /// Something happened after which the actor's tree may change too.
    mixed: bool,
    /// State was lost or a tree put back: what was removed may return.
    adopted: bool,
    /// Clients whose last run did not end well.
    untidy: BTreeSet<usize>,
    /// Users acted after such a run, or in the middle of one: what they removed then may come back.
    doubtful: bool,
    /// Hosts whose tree was put back since all was quiet.
    restored: BTreeSet<usize>,
    /// Hosts that crashed since their last run that went well.
    crashed: BTreeSet<usize>,
    /// What the runs of the last event came to.
    said: Vec<String>,
}

struct Run {
    client: usize,
    options: RunOptions,
    mishap: Mishap,
}

impl Run {
    fn plain(client: usize, direction: Direction, scan: Scan) -> Self {
        let options = RunOptions {
            direction,
            scan,
            allow_bulk_delete: true,
            adopt_other_headers: true,
            grave_days: 7,
            ..RunOptions::default()
        };
        Self { client, options, mishap: Mishap::None }
    }
}

impl World {
    fn new(case: &Case) -> Self {
        let count = usize::from(case.clients.clamp(1, 3)) + 1;
        let hosts: Vec<Host> = (0..count).map(|at| Host::new(case.seed, at, case.disk)).collect();
        let shared =
            Shared { ledger: Ledger::default(), next: 0, broken: None, looks: 0, meddled: false, in_place: false };
        Self {
            case: case.clone(),
            kept: vec![None; count],
            hosts,
            shared: Arc::new(Mutex::new(shared)),
            dice: Dice::new(case.seed ^ 0x77),
            figures: Figures::default(),
            last_bytes: 2_000,
            actors: BTreeSet::new(),
            mixed: false,
            adopted: false,
            untidy: BTreeSet::new(),
            doubtful: false,
            restored: BTreeSet::new(),
            crashed: BTreeSet::new(),
            said: Vec::new(),
        }
    }

    fn host(&self, n: u8) -> usize {
        usize::from(n) % self.hosts.len()
    }

    fn client(&self, n: u8) -> usize {
        1 + usize::from(n) % (self.hosts.len() - 1)
    }

    fn happens(&mut self, event: Event) -> Result<(), Broken> {
        self.said.clear();
        match event {
            Event::User(host, act, synced) => {
                let host = self.host(host);
                self.acted(host);
                user_acts(&self.shared, &self.hosts[host], host, self.case.habit, act, synced);
            }
            Event::Run { client, way, keep, dry, depth, mishap } => {
                let client = self.client(client);
                let direction = match way {
                    Way::Pull => Direction::Pull,
                    Way::Push => Direction::Push,
                    Way::Sync => Direction::Sync,
                };
                let scan = [Scan::Quick, Scan::Stat, Scan::Full][usize::from(depth % 3)];
                let mut run = Run { mishap, ..Run::plain(client, direction, scan) };
                run.options.no_delete = keep;
                run.options.allow_bulk_delete = self.dice.below(2) == 0;
                if dry {
                    self.dry_run(&run)?;
                }
                self.run(&run)?;
            }
            Event::Crash(host) => {
                let host = self.host(host);
                self.crash(host)?;
            }
            Event::Wait(n) => {
                let ns = [1_000_000, 25_000_000, 3_000_000_000, 7 * 3_600_000_000_000][usize::from(n) % 4];
                self.hosts.iter().for_each(|host| host.disk.advance(ns));
            }
            Event::LoseState(host) => {
                let host = self.host(host);
                self.hosts[host].lose_state();
                self.adopts();
            }
            Event::Keep(host) => {
                let host = self.host(host);
                self.kept[host] = Some(self.hosts[host].keep());
                // A backup is older than what is done after it by more than a tick of the clock.
                self.hosts.iter().for_each(|host| host.disk.advance(3_000_000_000));
            }
            Event::RestoreState(host) => {
                let host = self.host(host);
                if let Some(copy) = &self.kept[host] {
                    self.hosts[host].restore_state(copy);
                    self.adopts();
                }
            }
            Event::RestoreTree(host) => {
                let host = self.host(host);
                self.restore_tree(host);
            }
            Event::RenameBoth(client, from, to) => {
                let client = self.client(client);
                for host in [0, client] {
                    self.acted(host);
                    let act = Act::RenameFolder(from, to);
                    user_acts(&self.shared, &self.hosts[host], host, self.case.habit, act, true);
                }
            }
            Event::Settle(n) => self.settle(n)?,
        }
        self.check_bytes()
    }

    fn acted(&mut self, host: usize) {
        // A folder that was put back and then used has new stamps, and its lack of a message looks like a delete.
        self.forget_lacking(host);
        self.actors.insert(host);
        self.doubtful |= !self.untidy.is_empty();
    }

    fn forget_lacking(&mut self, host: usize) {
        if self.restored.remove(&host) {
            let has = self.hosts[host].contents();
            let mut shared = lock(&self.shared);
            let lacking: Vec<_> = shared.ledger.owed().filter(|bytes| !has.contains(*bytes)).cloned().collect();
            lacking.iter().for_each(|bytes| shared.ledger.remove(bytes));
        }
    }

    fn adopts(&mut self) {
        self.adopted = true;
        self.mixed = true;
    }

    fn trees(&self) -> Vec<Tree> {
        self.hosts.iter().map(|host| Tree::of(host)).collect()
    }

    fn restore_tree(&mut self, host: usize) {
        let Some(copy) = &self.kept[host] else { return };
        self.hosts[host].restore_tree(copy);
        if self.crashed.contains(&host) {
            // The stamps that would tell were in a cache that the crash may have taken.
            self.restored.insert(host);
            self.forget_lacking(host);
        }
        // A folder that the copy does not have looks like one that a user removed; and what was nowhere else is gone.
        let has: BTreeSet<String> = mail::folders(&self.hosts[host]);
        let others: Vec<Tree> = self.trees();
        let mut shared = lock(&self.shared);
        let owed: Vec<_> = shared.ledger.owed().cloned().collect();
        for bytes in owed {
            let kept = others.iter().any(|tree| {
                tree.mail.iter().any(|((folder, _), all)| has.contains(folder) && all.iter().any(|m| m.2 == bytes))
            });
            if !kept {
                shared.ledger.remove(&bytes);
            }
        }
        drop(shared);
        self.restored.insert(host);
        self.adopts();
    }

    fn crash(&mut self, host: usize) -> Result<(), Broken> {
        self.figures.faults += 1;
        self.hosts[host].crash();
        self.crashed.insert(host);
        let everywhere: BTreeSet<mail::Bytes> = self.hosts.iter().flat_map(Host::contents).collect();
        let tree = Tree::of(&self.hosts[host]);
        let mut shared = lock(&self.shared);
        shared.ledger.crashed(host, |bytes| everywhere.contains(bytes), &tree);
        drop(shared);
        if self.actors.contains(&host) || tree.mail.values().flatten().any(|m| m.2.is_empty()) {
            self.mixed = true;
        }
        self.look()
    }

    /// Promise 1, at this instant.
    fn look(&mut self) -> Result<(), Broken> {
        let hosts: Vec<&Host> = self.hosts.iter().collect();
        self.figures.looks += 1;
        look(&lock(&self.shared).ledger, &hosts)
    }

    fn endpoint(&self, client: usize) -> Endpoint {
        Endpoint {
            name: "model".to_owned(),
            client: format!("client {client}"),
            server: "server".to_owned(),
            roots: vec![RootPair {
                local: ROOT.into(),
                remote: ROOT.as_bytes().to_vec(),
                label: b"Maildir".to_vec(),
                exclude_pairs: Vec::new(),
                excludes: Excludes::default(),
            }],
            transport: Transport::Local,
            home: SmdHome::new(STATE, "/home"),
        }
    }

    /// One session, with what happens in it.
    fn session(&mut self, run: &Run) -> Result<Report, SessionError> {
        self.figures.runs += 1;
        let (server, client) = (&self.hosts[0], &self.hosts[run.client]);
        let before = [client.disk.calls(), server.disk.calls()];
        let mut cut = None;
        match run.mishap {
            Mishap::Fault(0, fault) => client.arm(fault),
            Mishap::Fault(_, fault) => server.arm(fault),
            Mishap::Both(one, two) => {
                client.arm(one);
                server.arm(two);
            }
            Mishap::Cut(at) => cut = Some(self.last_bytes * u64::from(at) / 1000),
            Mishap::None | Mishap::User(..) => {}
        }
        // After each call that changes a name, everything is looked at; a user may act before one.
        for at in [0, run.client] {
            let hosts: Vec<Host> = self.hosts.clone();
            let shared = self.shared.clone();
            let meddler = match run.mishap {
                Mishap::User(side, when, act) if (side % 2 == 1) == (at == 0) => Some((self.hosts[at].call(when), act)),
                _ => None,
            };
            let habit = self.case.habit;
            let mut changed = false;
            self.hosts[at].between(move |call, name| {
                let mut held = lock(&shared);
                if held.broken.is_some() {
                    return;
                }
                if changed {
                    held.looks += 1;
                    let all: Vec<&Host> = hosts.iter().collect();
                    let seen = look(&held.ledger, &all).and_then(|()| known(&held.ledger, &all));
                    held.broken = seen.err().map(|broken| format!("{broken} [before {name} at host {at}]"));
                }
                drop(held);
                changed = ["rename", "unlink", "link", "remove_dir", "make_dir"].contains(&name);
                if let Some((when, act)) = meddler
                    && when == call
                {
                    user_acts(&shared, &hosts[at], at, habit, act, true);
                    lock(&shared).meddled = true;
                }
            });
        }
        let places = Places { user: "/home".into(), state: STATE.into() };
        let lives = |disk: &Memory| {
            let disk = disk.clone();
            move || !disk.is_dead()
        };
        let call = Call::new(Arc::new(server.disk.clone()), &places, lives(&server.disk), cut, self.dice.number());
        let line = call.line(lives(&client.disk));
        let result = session::run(
            &Arc::new(client.disk.clone()),
            &self.endpoint(run.client),
            &run.options,
            line,
            &mut Progress::hidden(),
            Arc::new(AtomicBool::new(false)),
        );
        let bytes = call.hang_up(!client.disk.is_dead());
        self.said.push(match &result {
            Ok(report) => format!("run: {:?} {:?} {:?}", report.exit(), report.roots, report.troubles),
            Err(error) => format!("run: {error:?}"),
        });
        self.hosts.iter().for_each(Host::unhook);
        if run.mishap == Mishap::None {
            self.last_bytes = bytes;
            self.hosts[run.client].note_calls(before[0]);
            self.hosts[0].note_calls(before[1]);
        }
        result
    }

    /// A run with what goes wrong in it, and what must hold after it.
    fn run(&mut self, run: &Run) -> Result<Option<Report>, Broken> {
        let before = self.trees();
        let strict = !self.mixed && !self.doubtful && self.actors.len() < 2 && !before.iter().any(Tree::is_odd);
        let result = self.session(run);
        let (mut struck, mut crashed) = (false, false);
        for at in 0..self.hosts.len() {
            match self.hosts[at].disarm() {
                Struck::No => {}
                Struck::Error | Struck::Killed => struck = true,
                Struck::Crashed => {
                    (struck, crashed) = (true, true);
                    self.crash(at)?;
                }
            }
        }
        let mut shared = lock(&self.shared);
        let meddled = std::mem::take(&mut shared.meddled);
        self.figures.looks += std::mem::take(&mut shared.looks);
        if let Some(broken) = shared.broken.take() {
            return Err(broken);
        }
        drop(shared);
        let cut = matches!(run.mishap, Mishap::Cut(_)) && result.is_err();
        self.figures.faults +=
            u64::from(struck && !matches!(run.mishap, Mishap::None)) + u64::from(meddled) + u64::from(cut);
        if meddled {
            self.mixed = true;
        }
        match &result {
            Err(SessionError::Bug { text }) => return Err(format!("bug: {text}")),
            Err(error) if !struck && !cut && !meddled => return Err(format!("failed: {error:?} with no fault")),
            _ => {}
        }
        let good = matches!(&result, Ok(report) if report.exit() == Exit::Ok);
        if !good && !struck && !cut && !meddled {
            let report = result.as_ref().ok();
            let held = report
                .is_some_and(|report| report.roots.iter().all(|root| root.failed == 0) && report.troubles.is_empty());
            // A guard that tripped, and messages that a policy held back, are outcomes.
            if !held {
                return Err(format!("failed: {report:?} with no fault"));
            }
        }
        if good && !meddled && !struck {
            self.untidy.remove(&run.client);
            self.crashed.remove(&0);
            self.crashed.remove(&run.client);
            // What a run held back need not be durable.
            let [server, client] = [0, run.client].map(|at| Tree::of(&self.hosts[at]));
            let both = server.in_common(&client);
            [0, run.client].iter().for_each(|at| lock(&self.shared).ledger.firm(*at, &both));
        } else if !run.options.dry_run {
            self.untidy.insert(run.client);
            self.doubtful |= meddled;
        }
        let after = self.trees();
        self.check_surplus(&before, &after, run.client, meddled || crashed)?;
        let actor = self.actors.iter().next().copied();
        if let (true, false, Some(actor)) = (strict && !self.mixed, meddled, actor)
            && (after[actor].mail != before[actor].mail || (!struck && after[actor] != before[actor]))
        {
            // A folder that a fault kept is made again on the other host.
            let what = after[actor].difference(&before[actor]);
            return Err(format!("actor: users acted on host {actor} alone, and a run changed it:{what}"));
        }
        Ok(result.ok())
    }

    /// A dry run changes nothing, and says what the run would do.
    fn dry_run(&mut self, run: &Run) -> Result<(), Broken> {
        let mut dry = Run { mishap: Mishap::None, client: run.client, options: run.options.clone() };
        dry.options.dry_run = true;
        let before: Vec<u64> = self.hosts.iter().map(|host| host.disk.fingerprint()).collect();
        let said = self.session(&dry);
        let after: Vec<u64> = self.hosts.iter().map(|host| host.disk.fingerprint()).collect();
        self.take_broken()?;
        if before != after {
            return Err("dry: a dry run changed something".to_owned());
        }
        let Ok(said) = said else { return Err(format!("dry: a dry run failed: {said:?}")) };
        // Played on copies of the disks, which are put back.
        let saved: Vec<_> = self.hosts.iter().map(|host| host.disk.snapshot()).collect();
        let mut real = Run { mishap: Mishap::None, client: run.client, options: run.options.clone() };
        real.options.verbose = 1;
        let did = self.session(&real);
        self.take_broken()?;
        for (host, saved) in self.hosts.iter().zip(&saved) {
            host.disk.restore(saved);
        }
        let Ok(did) = did else { return Err(format!("dry: the run after a dry run failed: {did:?}")) };
        let items = |report: &Report| {
            let all = report.roots.iter().flat_map(|root| &root.items);
            let mut all: Vec<_> = all.map(|item| format!("{item:?}")).collect();
            all.sort();
            all
        };
        if items(&said) != items(&did) {
            return Err(format!("dry: a dry run said {:#?}, and the run did {:#?}", items(&said), items(&did)));
        }
        Ok(())
    }

    fn take_broken(&self) -> Result<(), Broken> {
        lock(&self.shared).broken.take().map_or(Ok(()), Err)
    }

    fn check_bytes(&self) -> Result<(), Broken> {
        let hosts: Vec<&Host> = self.hosts.iter().collect();
        known(&lock(&self.shared).ledger, &hosts)
    }

    /// No tree has more messages of a content than users made. Where names are used again, nobody can tell a move onto a
    /// name from an edit; there it has no more than both had before together.
    fn check_surplus(&self, before: &[Tree], trees: &[Tree], client: usize, disturbed: bool) -> Result<(), Broken> {
        let mut shared = lock(&self.shared);
        if self.case.habit != Habit::Tidy {
            let had: Vec<_> = [0, client].iter().map(|at| before[*at].counts()).collect();
            for at in [0, client].into_iter().filter(|_| !disturbed) {
                for (bytes, count) in trees[at].counts() {
                    let both: usize = had.iter().filter_map(|had| had.get(&bytes)).sum();
                    if count > both && mail::parse(&bytes).is_some() {
                        return Err(format!("surplus: host {at} has more of {:?} than both had", mail::parse(&bytes)));
                    }
                }
            }
            return Ok(());
        }
        if self.adopted {
            shared.ledger.count_anew(trees);
            return Ok(());
        }
        for (at, tree) in trees.iter().enumerate() {
            if let Some(bytes) = shared.ledger.surplus(tree) {
                return Err(format!("surplus: host {at} has more of {:?} than users made", mail::parse(&bytes)));
            }
        }
        Ok(())
    }

    /// Everybody rests.
    fn settle(&mut self, n: u8) -> Result<(), Broken> {
        let in_place = std::mem::take(&mut lock(&self.shared).in_place);
        let scan = if in_place { Scan::Stat } else { Scan::Quick };
        let before = self.trees();
        let strict = !self.mixed && !self.doubtful && !before.iter().any(Tree::is_odd);
        let actor = self.actors.iter().next().copied();
        let solo = actor.filter(|_| strict && self.actors.len() == 1);
        let directions: &[Direction] = match n % 3 {
            0 => &[Direction::Sync],
            1 => &[Direction::Pull, Direction::Push],
            _ => &[Direction::Push, Direction::Pull],
        };
        if self.hosts.len() == 2 && strict && n >= 128 {
            self.compare_orders(scan)?;
        }
        for _ in 0..if self.hosts.len() == 2 { 1 } else { 2 } {
            for client in 1..self.hosts.len() {
                for &direction in directions {
                    self.settle_one(client, direction, scan)?;
                }
            }
        }
        let trees = self.trees();
        for (at, tree) in trees.iter().enumerate().skip(1) {
            if *tree != trees[0] {
                return Err(format!("unequal: server and client {at} differ:{}", trees[0].difference(tree)));
            }
        }
        if let Some(actor) = solo
            && trees[actor] != before[actor]
        {
            let what = trees[actor].difference(&before[actor]);
            return Err(format!("actor: users acted on host {actor} alone, and the end is not what they did:{what}"));
        }
        self.check_end(&trees[0])?;
        for client in 1..self.hosts.len() {
            self.check_idle(client)?;
        }
        self.actors.clear();
        (self.mixed, self.adopted, self.doubtful) = (false, false, false);
        self.untidy.clear();
        self.restored.clear();
        lock(&self.shared).ledger.count_anew(&trees[..1]);
        Ok(())
    }

    /// A plain run that must go well; a root that looks like another is united by `--adopt`.
    fn settle_one(&mut self, client: usize, direction: Direction, scan: Scan) -> Result<(), Broken> {
        let mut run = Run::plain(client, direction, scan);
        for _ in 0..2 {
            let report = self.run(&run)?;
            match report {
                Some(report) if report.exit() == Exit::Ok => return Ok(()),
                Some(report) if report.roots.iter().any(|root| matches!(root.guard, Some(Guard::Swapped { .. }))) => {
                    run.options.adopt = true;
                    self.adopts();
                }
                other => return Err(format!("unhealed: a plain run of client {client} gave {other:?}")),
            }
        }
        Err("unhealed: --adopt did not help".to_owned())
    }

    fn check_end(&self, tree: &Tree) -> Result<(), Broken> {
        let shared = lock(&self.shared);
        let counts = tree.counts();
        if let Some(bytes) = shared.ledger.owed().find(|bytes| !counts.contains_key(*bytes)) {
            return Err(format!("lost: {:?} is nowhere", mail::parse(bytes)));
        }
        for host in &self.hosts {
            for mail in mail::mails(host) {
                if let Some(mtime) = shared.ledger.mtime(&mail.bytes)
                    && mtime != mail.mtime
                {
                    return Err(format!("mtime: {} has {:?} and not {mtime:?}", mail.path(), mail.mtime));
                }
            }
        }
        Ok(())
    }

    /// A further run changes nothing and asks once.
    fn check_idle(&mut self, client: usize) -> Result<(), Broken> {
        let before: Vec<u64> = self.hosts.iter().map(Host::mail_and_bases).collect();
        let report = self.session(&Run::plain(client, Direction::Sync, Scan::Quick));
        self.take_broken()?;
        let Ok(report) = report else { return Err(format!("restless: an idle run failed: {report:?}")) };
        if !report.nothing_happened() || report.traffic.round_trips != 1 {
            return Err(format!("restless: an idle run did {report:?}"));
        }
        let after: Vec<u64> = self.hosts.iter().map(Host::mail_and_bases).collect();
        if before != after {
            return Err("restless: an idle run wrote".to_owned());
        }
        Ok(())
    }

    /// Pull then push, push then pull, and sync end in the same trees, where nobody was of two minds.
    fn compare_orders(&mut self, scan: Scan) -> Result<(), Broken> {
        let saved: Vec<_> = self.hosts.iter().map(|host| host.disk.snapshot()).collect();
        let mut ends = Vec::new();
        let mut conflict = false;
        for directions in
            [&[Direction::Sync][..], &[Direction::Pull, Direction::Push], &[Direction::Push, Direction::Pull]]
        {
            for &direction in directions {
                let report = self.session(&Run::plain(1, direction, scan));
                self.take_broken()?;
                let Ok(report) = report else { return Err(format!("failed: {report:?}")) };
                conflict |= report.roots.iter().any(|root| !root.conflicts.is_empty() || !root.notes.is_empty());
            }
            ends.push(Tree::of(&self.hosts[0]));
            for (host, saved) in self.hosts.iter().zip(&saved) {
                host.disk.restore(saved);
            }
        }
        if !conflict && (ends[0] != ends[1] || ends[1] != ends[2]) {
            let what = if ends[0] == ends[1] { ends[1].difference(&ends[2]) } else { ends[0].difference(&ends[1]) };
            return Err(format!("orders: sync, pull and push, push and pull end differently:{what}"));
        }
        Ok(())
    }
}

fn user_acts(shared: &Common, host: &Host, at: usize, habit: Habit, act: Act, synced: bool) {
    let mut shared = lock(shared);
    let Shared { ledger, next, in_place, .. } = &mut *shared;
    *in_place |= User { at, host, ledger, next, habit, synced }.act(act);
}

/// Promise 1: every owed content is complete on some host.
fn look(ledger: &Ledger, hosts: &[&Host]) -> Result<(), Broken> {
    let there: Vec<_> = hosts.iter().map(|host| host.contents()).collect();
    match ledger.owed().find(|bytes| !there.iter().any(|there| there.contains(*bytes))) {
        Some(bytes) => Err(format!("lost: {:?} is on no host", mail::parse(bytes))),
        None => Ok(()),
    }
}

/// Promise 2: every name in `cur/` and `new/` has bytes that somebody made, or that a crash left of them.
fn known(ledger: &Ledger, hosts: &[&Host]) -> Result<(), Broken> {
    for (at, host) in hosts.iter().enumerate() {
        for mail in mail::mails(host) {
            if !ledger.is_known(&mail.bytes) {
                return Err(format!(
                    "partial: {} at host {at} has {} bytes that nobody made",
                    mail.path(),
                    mail.bytes.len()
                ));
            }
        }
    }
    Ok(())
}

/// The folders that a case can have, for those who make worlds by hand.
pub fn folder_paths() -> impl Iterator<Item = String> {
    FOLDERS.iter().map(|folder| folder_path(folder))
}
