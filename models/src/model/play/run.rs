//! One session with what goes wrong in it, and what must hold after it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use smd_client::endpoint::{Endpoint, RootPair, Transport};
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::options::{Direction, RunOptions, Scan};
use smd_client::progress::Progress;
use smd_client::report::Report;
use smd_client::session::{self, SessionError};
use smd_maildir::exclude::Excludes;
use smd_maildir::root::Naming;
use smd_server::roots::Places;

use super::super::act::Habit;
use super::super::boxes::Boxes;
use super::super::host::{Host, Struck};
use super::super::line::Call;
use super::super::mail::{self, ROOT, STATE, Tree};
use super::super::scenario::{Beside, Cutting, Side};
use super::calls::Calls;
use super::look::{known, lock, look};
use super::{Broken, Mercy, World};
use crate::memory::Memory;

pub(super) struct Run {
    pub(super) client: usize,
    pub(super) options: RunOptions,
    pub(super) beside: Vec<Beside>,
}

impl Run {
    pub(super) fn plain(client: usize, direction: Direction, scan: Scan) -> Self {
        let options = RunOptions {
            direction,
            scan,
            allow_bulk_delete: true,
            adopt_other_headers: true,
            grave_days: 7,
            ..RunOptions::default()
        };
        Self { client, options, beside: Vec::new() }
    }
}

impl World {
    pub(super) fn endpoint(&self, client: usize) -> Endpoint {
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
                naming: self.hosts[client].boxed.then(|| -> Arc<dyn Naming> { Arc::new(Boxes) }),
                local_excludes: Excludes::default(),
            }],
            transport: Transport::Local,
            home: SmdHome::new(STATE, "/home"),
        }
    }

    /// One session, with what happens in it.
    pub(super) fn session(&mut self, run: &Run) -> Result<Report, SessionError> {
        self.figures.runs += 1;
        let (server, client) = (&self.hosts[0], &self.hosts[run.client]);
        let before = [client.disk.calls(), server.disk.calls()];
        let cut = self.cut(run);
        self.hook(run);
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
        self.unhooked(run, cut.filter(|_| result.is_err()));
        if run.beside.is_empty() {
            self.last_bytes = bytes;
            self.hosts[run.client].note_calls(before[0]);
            self.hosts[0].note_calls(before[1]);
        }
        result
    }

    /// After how many bytes the line is cut.
    fn cut(&self, run: &Run) -> Option<u64> {
        run.beside.iter().find_map(|beside| match beside {
            Beside::Cut(Cutting::Share(at)) => Some(self.last_bytes * u64::from(*at) / 1000),
            Beside::Cut(Cutting::Bytes(bytes)) => Some(*bytes),
            _ => None,
        })
    }

    /// After each call that changes a name, everything is looked at; before one a user may act, or it goes wrong.
    fn hook(&self, run: &Run) {
        let mut held = lock(&self.shared);
        let named = held.named;
        held.calls.clear();
        held.calls.resize_with(self.hosts.len(), Calls::default);
        for (at, side) in [(0, Side::Server), (run.client, Side::Client)] {
            held.calls[at] = Calls::new(&self.hosts[at], side, &run.beside, named);
            let hosts: Vec<Host> = self.hosts.clone();
            let shared = self.shared.clone();
            let mut changed = false;
            self.hosts[at].between(move |call| {
                let mut held = lock(&shared);
                if held.broken.is_some() {
                    return;
                }
                if changed {
                    held.looks += 1;
                    let all: Vec<&Host> = hosts.iter().collect();
                    let seen = look(&held.ledger, &all).and_then(|()| known(&held.ledger, &all));
                    held.broken = seen.err().map(|broken| format!("{broken} [before {} at host {at}]", call.what()));
                }
                changed = ["rename", "unlink", "link", "remove_dir", "make_dir"].contains(&call.what());
                held.coming(&hosts[at], at, call);
            });
            if held.calls[at].wants_listings() {
                let (host, shared) = (self.hosts[at].clone(), self.shared.clone());
                self.hosts[at].while_listing(move |path| lock(&shared).listing(&host, at, path));
            }
        }
    }

    /// What was asked for by name must have come. `cut` is where the line was.
    fn unhooked(&self, run: &Run, cut: Option<u64>) {
        let mut held = lock(&self.shared);
        held.happened.extend(cut.map(|bytes| Beside::Cut(Cutting::Bytes(bytes))));
        let mut missing =
            held.calls[0].missing("the server").and_then(|()| held.calls[run.client].missing("the client"));
        if cut.is_none() && run.beside.iter().any(|beside| matches!(beside, Beside::Cut(Cutting::Bytes(_)))) {
            missing = missing.and(Err("absent: the line was not cut".to_owned()));
        }
        held.broken = held.broken.take().or(missing.err());
    }

    /// A run with what goes wrong in it, and what must hold after it.
    pub(super) fn run(&mut self, run: &Run) -> Result<Option<Report>, Broken> {
        let before = self.trees();
        let excuse = self.excuse(&before);
        let result = self.session(run);
        let (struck, crashed) = self.blows()?;
        self.struck |= struck;
        let cut = run.beside.iter().any(|beside| matches!(beside, Beside::Cut(_))) && result.is_err();
        // What such a run brought and others delete before the next is no delete to it: it adopts.
        self.mixed |= (struck || cut) && self.hosts.len() > 2 && !self.based.contains(&run.client);
        // Nor what users of another client have deleted and not synced yet (SAFETY.md, known limits).
        self.mixed |= (struck || cut) && self.actors.iter().any(|&at| at != 0 && at != run.client);
        let mut shared = lock(&self.shared);
        let meddled = std::mem::take(&mut shared.meddled);
        self.figures.looks += std::mem::take(&mut shared.looks);
        if let Some(broken) = shared.broken.take() {
            return Err(broken);
        }
        drop(shared);
        self.figures.faults += u64::from(struck && !run.beside.is_empty()) + u64::from(meddled) + u64::from(cut);
        if meddled {
            self.mixed = true;
            // The look may have come after what the user did.
            [0, run.client].into_iter().for_each(|at| self.forget_lacking(at));
        }
        let good = matches!(&result, Ok(report) if report.exit() == Exit::Ok);
        if !struck && !cut {
            self.unprovoked(&result, meddled)?;
        } else if let Err(SessionError::Bug { text }) = &result {
            return Err(format!("bug: {text}"));
        }
        if good && !meddled && !struck {
            self.untidy.remove(&run.client);
            self.based.insert(run.client);
            self.crashed.remove(&0);
            self.crashed.remove(&run.client);
            // What a run held back need not be durable.
            let [server, client] = [0, run.client].map(|at| Tree::of(&self.hosts[at]));
            let both = server.in_common(&client);
            [0, run.client].iter().for_each(|at| lock(&self.shared).ledger.firm(*at, &self.hosts[*at], &both));
        } else if !run.options.dry_run {
            self.untidy.insert(run.client);
            self.doubtful |= meddled;
        }
        self.meet();
        let after = self.trees();
        // What this run could not tell was put back and changed now looks like deletes to other clients (SAFETY.md).
        let told = |report: &Report| report.roots.iter().any(|root| !root.restored.is_empty());
        if self.hosts.len() > 2 && after[0].mail != before[0].mail && !result.as_ref().is_ok_and(told) {
            self.forget_lacking(0);
        }
        self.check_surplus(&before, &after, run.client, meddled || crashed)?;
        let excuse = excuse.or(self.mixed.then_some(Mercy::Mixed));
        self.check_actor(&before, &after, if meddled { Some(Mercy::Meddled) } else { excuse })?;
        Ok(result.ok())
    }

    /// What struck the hosts in this run: whether anything did, and whether one crashed.
    fn blows(&mut self) -> Result<(bool, bool), Broken> {
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
        Ok((struck, crashed))
    }

    /// A run that nothing struck fails or leaves something undone only where a user or a policy stood in its way.
    fn unprovoked(&mut self, result: &Result<Report, SessionError>, meddled: bool) -> Result<(), Broken> {
        match result {
            Err(SessionError::Bug { text }) => Err(format!("bug: {text}")),
            Err(_) if meddled => {
                self.figures.forgiven.more(Mercy::Failed, 1);
                Ok(())
            }
            Err(error) => Err(format!("failed: {error:?} with no fault")),
            Ok(report) if report.exit() == Exit::Ok || meddled => Ok(()),
            // A guard that tripped, and messages that a policy held back, are outcomes.
            Ok(report) if report.roots.iter().all(|root| root.failed == 0) && report.troubles.is_empty() => {
                self.figures.forgiven.more(Mercy::Held, 1);
                Ok(())
            }
            Ok(report) => Err(format!("failed: {report:?} with no fault")),
        }
    }

    /// A dry run changes nothing, and says what the run would do.
    pub(super) fn dry_run(&mut self, run: &Run) -> Result<(), Broken> {
        let mut dry = Run { beside: Vec::new(), client: run.client, options: run.options.clone() };
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
        let mut real = Run { beside: Vec::new(), client: run.client, options: run.options.clone() };
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

    /// No tree has more messages of a content than users made. Where names are used again, nobody can tell a move onto a
    /// name from an edit; there it has no more than both had before together. Nor can anybody tell which of equal messages
    /// moved where, so the same goes for a content that users made more than once (the same edit on two hosts).
    pub(super) fn check_surplus(
        &mut self,
        before: &[Tree],
        trees: &[Tree],
        client: usize,
        disturbed: bool,
    ) -> Result<(), Broken> {
        let mut shared = lock(&self.shared);
        let tidy = self.habit == Habit::Tidy;
        let forgiven = &mut self.figures.forgiven;
        if tidy && self.adopted {
            forgiven.more(Mercy::Returned, trees.iter().map(|tree| shared.ledger.surplus(tree)).sum());
            shared.ledger.count_anew(trees);
            return Ok(());
        }
        let had: Vec<_> = [0, client].iter().map(|at| before[*at].counts()).collect();
        for (at, tree) in trees.iter().enumerate() {
            for (bytes, count) in tree.counts().into_iter().filter(|(bytes, _)| mail::parse(bytes).is_some()) {
                let both: usize = had.iter().filter_map(|had| had.get(&bytes)).sum();
                let more = count > both && [0, client].contains(&at);
                let grew = more && !disturbed;
                let made = shared.ledger.made(&bytes);
                forgiven.more(Mercy::Disturbed, usize::from(more && disturbed && (!tidy || count > made && made > 1)));
                forgiven.more(Mercy::Several, usize::from(tidy && count > made && made > 1 && !more));
                if tidy && count > made && (made <= 1 || grew) {
                    return Err(format!("surplus: host {at} has more of {:?} than users made", mail::parse(&bytes)));
                }
                if !tidy && grew {
                    return Err(format!("surplus: host {at} has more of {:?} than both had", mail::parse(&bytes)));
                }
            }
        }
        Ok(())
    }
}
