//! What is looked at between two calls, and what the hooks there share with the world.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::act::Habit;
use super::super::deed::Translate as _;
use super::super::host::Host;
use super::super::ledger::Ledger;
use super::super::mail;
use super::super::number::ByNumber;
use super::super::scenario::{Beside, ByName, Doing, Labels, Naming, Scenario, Word};
use super::super::users::{Done, User};
use super::Broken;
use super::calls::{Calls, Deal};
use crate::memory::Coming;

/// What the hooks between calls share with the world.
pub(super) struct Shared {
    pub(super) ledger: Ledger,
    pub(super) next: u32,
    pub(super) labels: Labels,
    pub(super) habit: Habit,
    pub(super) broken: Option<Broken>,
    pub(super) looks: u64,
    /// A user acted in the middle of the run.
    pub(super) meddled: bool,
    pub(super) in_place: bool,
    /// Whether calls and deeds are called by their names.
    pub(super) named: bool,
    /// The calls of the run, by host.
    pub(super) calls: Vec<Calls>,
    /// What happened beside the run, by name.
    pub(super) happened: Vec<Beside>,
}

pub(super) type Common = Arc<Mutex<Shared>>;

pub(super) fn lock(shared: &Common) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            ledger: Ledger::default(),
            next: 0,
            labels: Labels::new(scenario.habit),
            habit: scenario.habit,
            broken: None,
            looks: 0,
            meddled: false,
            in_place: false,
            named: scenario.is_named(),
            calls: Vec::new(),
            happened: Vec::new(),
        }
    }

    /// A user acts on a host. Gives what that was by name, where names are asked for.
    ///
    /// # Errors
    /// When a deed by name cannot be done.
    pub(super) fn user_acts(
        &mut self,
        host: &Host,
        at: usize,
        doing: &Doing,
        synced: bool,
    ) -> Result<Option<Word>, Broken> {
        let Self { ledger, next, labels, habit, .. } = self;
        let (habit, absent) = (*habit, |why: String| format!("absent: host {at}, {doing:?}: {why}"));
        let deed = match doing {
            Doing::ByNumber(act) => ByNumber { host, habit, next }.resolve(act),
            Doing::ByName(word) => ByName { host, habit, next, labels }.deed(word).map_err(absent)?,
        };
        let word = self.named.then(|| Naming { host, habit, labels }.word(&deed));
        let done = User { at, host, ledger, synced }.act(&deed);
        self.in_place |= done == Done::InPlace;
        match (done, doing) {
            (Done::InVain(why), Doing::ByName(_)) => Err(absent(why.to_owned())),
            (Done::InVain(_), Doing::ByNumber(_)) => Ok(word.map(|_| Word::Rest)),
            _ => Ok(word),
        }
    }

    /// A user acts in the middle of a run. `beside` is what that is by name.
    fn meddles(&mut self, host: &Host, at: usize, doing: &Doing, beside: Option<Beside>) {
        match self.user_acts(host, at, doing, true) {
            Ok(word) => self.happened.extend(beside.zip(word).map(|(beside, word)| beside.with(word))),
            Err(absent) => self.broken = self.broken.take().or(Some(absent)),
        }
        self.meddled = true;
    }

    /// What happens before a call at a host.
    pub(super) fn coming(&mut self, host: &Host, at: usize, call: &Coming<'_>) {
        for (deal, beside) in self.calls[at].coming(host, &self.labels, call) {
            match deal {
                Deal::Strike(blow) => {
                    host.strike(blow);
                    self.happened.extend(beside);
                }
                Deal::Act(doing) => self.meddles(host, at, &doing, beside),
            }
        }
    }

    /// What happens in the middle of a listing.
    pub(super) fn listing(&mut self, host: &Host, at: usize, path: &[u8]) {
        for (doing, beside) in self.calls[at].listing(host, &self.labels, path) {
            self.meddles(host, at, &doing, beside);
        }
    }
}

/// Promise 1: every owed content is complete on some host.
pub(super) fn look(ledger: &Ledger, hosts: &[&Host]) -> Result<(), Broken> {
    let there: Vec<_> = hosts.iter().map(|host| host.contents()).collect();
    match ledger.owed().find(|bytes| !there.iter().any(|there| there.contains(*bytes))) {
        Some(bytes) => Err(format!("lost: {:?} is on no host", mail::parse(bytes))),
        None => Ok(()),
    }
}

/// Promise 2: every name in `cur/` and `new/` has bytes that somebody made, or that a crash left of them.
pub(super) fn known(ledger: &Ledger, hosts: &[&Host]) -> Result<(), Broken> {
    for (at, host) in hosts.iter().enumerate() {
        if let Some((path, bytes)) = mail::not_so(host, |bytes| ledger.is_known(bytes)) {
            return Err(format!("partial: {path} at host {at} has {} bytes that nobody made", bytes.len()));
        }
    }
    Ok(())
}
