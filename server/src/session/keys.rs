//! The budget of a restricted key, and its log; and what the owner hears of other keys.
//!
//! What a batch does is decided and written down under the lock of the key, before a step of it begins: so sessions of one key that
//! run at the same time share one budget, and a crash leaves too much counted and never too little.
//!
//! Deliberately not here: what counts, and how much there is (`policy::budget`).

use smd_maildir::fs::Fs;
use smd_maildir::home::{Home, Label};
use smd_maildir::keys::{Heard, Key, Line, Lines, What, fact};
use smd_maildir::lock::Wait;
use smd_maildir::run::RunError;
use smd_protocol::wire::{self, ClientHello, FromServer, KeyReport};
use smd_protocol::{Refusal, Step, Told, Verb, seeded};

use super::begin::{LOCK_WAIT_MS, has};
use super::{Active, Session};
use crate::error::ServeError;
use crate::link::{Outbox, send};
use crate::policy::budget::{self, Now};
use crate::policy::{self, Authority, MaxRemove, Removals, Standing};

const WAIT: Wait<'static> = Wait { ms: LOCK_WAIT_MS, stop: &|| false };

/// What was decided of a batch.
#[derive(Default)]
pub(super) struct Admitted {
    /// Steps that are refused, by their place.
    pub(super) refused: Vec<(usize, Refusal)>,
    /// Steps that are taken only where another one was done.
    pub(super) after: Vec<(usize, usize)>,
}

impl<F: Fs> Active<F> {
    /// Decides which steps of a batch are taken, and writes down what they do.
    pub(super) fn admit(&mut self, authority: &Authority, steps: &[Step]) -> Result<Admitted, ServeError> {
        let planned = &policy::planned(steps, &self.run.known()?);
        let refused = policy::admit(authority, &Standing::default(), planned);
        let matters = budget::matters(planned) && refused.len() < planned.len();
        let Some(label) = authority.key.as_ref().filter(|_| matters) else {
            return Ok(Admitted { refused, after: Vec::new() });
        };
        let (messages, burials) = (self.run.messages()?, self.run.burials(&|| false)?);
        let home = self.run.home().clone();
        let key = Key::open(&home, label).map_err(RunError::from)?;
        let _lock = key.lock(&WAIT).map_err(RunError::from)?;
        let (now, lines) = read(&home, &key)?;
        let messages = budget::whole(&lines, &self.real, messages);
        let removals = self.removals_left(authority, label, &key, &lines, now, messages)?;
        let standing = Standing { removals: Some(removals.clone()) };
        let limit = budget::limit(authority.limits.max_remove, budget::least(&lines, &self.real, messages));
        let refused = policy::admit(authority, &standing, planned);
        let (deeds, after) = budget::written(removals, planned, &refused);
        let line = |what| Line {
            age: now.age.seconds(),
            time: now.time,
            from: authority.connection.clone(),
            root: self.real.clone(),
            what,
        };
        let mut fresh = Vec::new();
        if !self.is_in_log {
            fresh.push(line(What::Run { limit, messages, burials }));
        }
        fresh.extend(deeds.into_iter().map(line));
        let spent = refused.iter().filter(|(_, refusal)| matches!(refusal, Refusal::Budget { .. })).count() as u64;
        let is_end = |one: &Line| matches!(one.what, What::End { .. });
        if spent > 0 && !lines.of_day(now.age).any(is_end) {
            fresh.push(line(What::End { refused: spent }));
        }
        if seeded::is("a-budget-counts-afterwards") {
            self.late = fresh;
        } else {
            key.write_down(&lines, &fresh).map_err(RunError::from)?;
        }
        self.is_in_log = true;
        Ok(Admitted { refused, after })
    }

    /// What the key may still remove here.
    fn removals_left(
        &self,
        authority: &Authority,
        label: &Label,
        key: &Key<F>,
        lines: &Lines,
        now: Now,
        messages: u64,
    ) -> Result<Removals, ServeError> {
        let allowance = key.allowance().map_err(RunError::from)?;
        let max = authority.limits.max_remove;
        Ok(budget::removals(lines, now, label, max, (&self.real, messages), allowance.as_ref()))
    }

    /// What a deliberate bug writes down when it is done.
    pub(super) fn write_down_late(&mut self, authority: &Authority) -> Result<(), ServeError> {
        let late = std::mem::take(&mut self.late);
        let Some(label) = authority.key.as_ref().filter(|_| !late.is_empty()) else { return Ok(()) };
        let home = self.run.home().clone();
        let key = Key::open(&home, label).map_err(RunError::from)?;
        let (_, lines) = read(&home, &key)?;
        Ok(key.write_down(&lines, &late).map_err(RunError::from)?)
    }
}

fn read<F: Fs>(home: &Home<F>, key: &Key<F>) -> Result<(Now, Lines), ServeError> {
    let age = home.age().map_err(RunError::from)?;
    let lines = key.log(age).map_err(RunError::from)?;
    Ok((Now { age, time: home.fs().now().sec }, lines))
}

impl<F: Fs, O: Outbox> Session<F, O> {
    /// Tells what the client's key may still remove from a root, where it has a budget.
    pub(super) fn tell_budget(&mut self, root: u16) -> Result<(), ServeError> {
        let hears = self.hello.as_ref().is_some_and(|hello| has(hello, wire::BUDGET));
        let Self { roots, authority, outbox, .. } = self;
        let has_end = authority.limits.max_remove != MaxRemove::Any;
        let (Some(label), true) = (&authority.key, hears && has_end) else { return Ok(()) };
        let active = roots.get_mut(usize::from(root)).ok_or_else(crate::error::never_offered)?;
        let messages = active.run.messages()?;
        let home = active.run.home().clone();
        let key = Key::open(&home, label).map_err(RunError::from)?;
        let (now, lines) = read(&home, &key)?;
        let messages = budget::whole(&lines, &active.real, messages);
        let removals = active.removals_left(authority, label, &key, &lines, now, messages)?;
        let Some(left) = removals.left else { return Ok(()) };
        let (lift, frees_at) = (Told::from(left.lift), left.frees_at);
        Ok(send(outbox, &FromServer::Budget { root, left: left.left + removals.allowed, lift, frees_at })?)
    }

    /// Tells the owner what other keys did, where the client shows it to a person.
    pub(super) fn tell_reports(&mut self, home: &Home<F>, hello: &ClientHello) -> Result<(), ServeError> {
        self.reported.clear();
        if !has(hello, wire::REPORTS) || !self.authority.rights.permits(Verb::Reports) {
            return Ok(());
        }
        let mut reports = Vec::new();
        for label in Key::labels(home).map_err(RunError::from)? {
            if self.authority.key.as_ref() == Some(&label) {
                continue;
            }
            let key = Key::open(&home.reader(), &label).map_err(RunError::from)?;
            let (_, lines) = read(home, &key)?;
            let heard = key.heard().map_err(RunError::from)?;
            if let Some(fact) = fact(&lines, heard) {
                let key = Told::from(label.as_str());
                reports.push(KeyReport { key, since: fact.since, removed: fact.removed, is_end: fact.is_end });
                self.reported.push((label, fact.heard));
            }
        }
        for some in reports.chunks(wire::ITEMS_IN_FRAME) {
            send(&self.outbox, &FromServer::Reports(some.to_vec()))?;
        }
        Ok(())
    }

    /// Notes that the owner heard it: the client came to the end of its run.
    pub(super) fn note_reported(&mut self) -> Result<(), ServeError> {
        let reported: Vec<(Label, Heard)> = std::mem::take(&mut self.reported);
        if reported.is_empty() || self.hello.as_ref().is_none_or(|hello| hello.dry_run) {
            return Ok(());
        }
        let home = self.home(smd_maildir::home::Access::ReadWrite)?;
        for (label, heard) in reported {
            let key = Key::open(&home, &label).map_err(RunError::from)?;
            let _lock = key.lock(&WAIT).map_err(RunError::from)?;
            key.note_heard(heard).map_err(RunError::from)?;
        }
        Ok(())
    }
}
