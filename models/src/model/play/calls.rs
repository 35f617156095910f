//! The calls of a run at each host: which have come, and what happens at one of them.
//!
//! By number a moment is a share of a usual run and may never come. By name it is one of the calls that were asked for, and
//! a run without it is a broken scenario. Deliberately not here: what is looked at between calls (`look`).

use std::collections::BTreeMap;

use super::super::host::Host;
use super::super::scenario::about::about;
use super::super::scenario::{Beside, Blow, Doing, Labels, Moment, NamedCall, Side, Stretch, Which};
use super::Broken;
use crate::memory::Coming;

/// The first word of what is said of a stretch that has no further call.
pub(in super::super) const OVER: &str = "over";

/// Something that is to happen at a host during a run.
#[derive(Clone, Debug)]
struct Due {
    beside: Beside,
    /// For a moment by share: the number of its call.
    number: u64,
    /// For a stretch: how many of its calls came, and whether it is at its end.
    came: u32,
    ended: bool,
    done: bool,
}

/// What is to be done at a call.
pub(super) enum Deal {
    Strike(Blow),
    Act(Doing),
}

/// The calls of one host in a run.
#[derive(Debug, Default)]
pub(super) struct Calls {
    due: Vec<Due>,
    /// Whether calls are called by their names.
    named: bool,
    /// How often each came, by what it does and what it is about.
    came: BTreeMap<(String, String), u32>,
    listings: u8,
}

impl Calls {
    pub(super) fn new(host: &Host, side: Side, beside: &[Beside], named: bool) -> Self {
        let number = |beside: &Beside| match beside {
            Beside::Blow(_, Moment::Share(at), _) | Beside::User(_, Moment::Share(at), _) => host.call(*at),
            _ => 0,
        };
        let here = |beside: &&Beside| match beside {
            Beside::Blow(at, ..) | Beside::User(at, ..) | Beside::Listing(at, ..) => *at == side,
            Beside::Cut(_) => false,
        };
        let due = |beside: &Beside| {
            let number = number(beside);
            Due { beside: beside.clone(), number, came: 0, ended: false, done: false }
        };
        Self { due: beside.iter().filter(here).map(due).collect(), named, ..Self::default() }
    }

    pub(super) fn wants_listings(&self) -> bool {
        self.named || self.due.iter().any(|due| matches!(due.beside, Beside::Listing(..)))
    }

    /// What happens before this call, and each of it by name.
    pub(super) fn coming(&mut self, host: &Host, labels: &Labels, call: &Coming<'_>) -> Vec<(Deal, Option<Beside>)> {
        if self.due.is_empty() && !self.named {
            return Vec::new();
        }
        let name = self.named.then(|| self.name(host, labels, call));
        let mut happens = Vec::new();
        for due in self.due.iter_mut().filter(|due| !due.done) {
            let (side, moment) = match &due.beside {
                Beside::Blow(side, moment, _) | Beside::User(side, moment, _) => (*side, moment.clone()),
                _ => continue,
            };
            due.done = match (&moment, &name) {
                (Moment::Share(_), _) => due.number == call.number,
                (_, None) => false,
                (Moment::Call(wanted), Some(name)) => wanted == name,
                (Moment::Within(stretch, nth), Some(name)) => {
                    within(stretch, name, &mut due.came, &mut due.ended, *nth)
                }
            };
            if due.done {
                let at = name.clone().map(Moment::Call);
                happens.push(match due.beside.clone() {
                    Beside::Blow(_, _, blow) => (Deal::Strike(blow), at.map(|at| Beside::Blow(side, at, blow))),
                    Beside::User(_, _, doing) => (Deal::Act(doing.clone()), at.map(|at| Beside::User(side, at, doing))),
                    Beside::Listing(..) | Beside::Cut(_) => continue,
                });
            }
        }
        happens
    }

    fn name(&mut self, host: &Host, labels: &Labels, call: &Coming<'_>) -> NamedCall {
        let paths: Vec<_> = call.paths().iter().map(|path| about(host, labels, path)).collect();
        self.count(call.what(), paths.join(" to "))
    }

    fn count(&mut self, what: &str, about: String) -> NamedCall {
        let nth = self.came.entry((what.to_owned(), about.clone())).or_default();
        *nth += 1;
        NamedCall { what: what.to_owned(), about, nth: *nth }
    }

    /// What happens in the middle of this listing, each by name.
    pub(super) fn listing(&mut self, host: &Host, labels: &Labels, path: &[u8]) -> Vec<(Doing, Option<Beside>)> {
        let name = self.named.then(|| self.count("the middle of a list", about(host, labels, path)));
        let number = self.listings;
        self.listings = self.listings.saturating_add(1);
        let mut happens = Vec::new();
        for due in self.due.iter_mut().filter(|due| !due.done) {
            let Beside::Listing(side, which, doing) = &due.beside else { continue };
            due.done = match (which, &name) {
                (Which::Number(wanted), _) => *wanted == number,
                (Which::Named(..), None) => false,
                (Which::Named(wanted, nth), Some(name)) => *wanted == name.about && *nth == name.nth,
            };
            if due.done {
                let named = name.clone().map(|name| Which::Named(name.about, name.nth));
                happens.push((doing.clone(), named.map(|which| Beside::Listing(*side, which, doing.clone()))));
            }
        }
        happens
    }

    /// What was asked for by name and did not come.
    pub(super) fn missing(&self, who: &str) -> Result<(), Broken> {
        for due in self.due.iter().filter(|due| !due.done) {
            let (what, about) = match &due.beside {
                Beside::Blow(_, Moment::Call(call), _) | Beside::User(_, Moment::Call(call), _) => {
                    (format!("{} of {:?}, number {}", call.what, call.about, call.nth), &call.about)
                }
                Beside::Blow(_, Moment::Within(stretch, nth), _) | Beside::User(_, Moment::Within(stretch, nth), _) => {
                    let to_its_end = due.ended || stretch.to.is_none();
                    if *nth > 1 && due.came > 0 && to_its_end {
                        return Err(format!("{OVER}: the stretch has {} calls at {who}", due.came));
                    }
                    (format!("whole {stretch:?}, call {nth}"), &stretch.from.about)
                }
                Beside::Listing(_, Which::Named(about, nth), _) => (format!("listing {nth} of {about:?}"), about),
                _ => continue,
            };
            let count = |((what, about), times): (&(String, String), &u32)| format!("{what} of {about:?} x{times}");
            let near: Vec<_> = self.came.iter().filter(|((_, other), _)| other == about).map(count).collect();
            let all: Vec<_> = self.came.iter().map(count).collect();
            let there = if near.is_empty() { all } else { near };
            return Err(format!("absent: in this run {who} had no {what}; there were: {}", there.join(", ")));
        }
        Ok(())
    }
}

/// Whether this is the `nth` call of a stretch.
fn within(stretch: &Stretch, name: &NamedCall, came: &mut u32, ended: &mut bool, nth: u32) -> bool {
    if *ended || (*came == 0 && *name != stretch.from) {
        return false;
    }
    *came += 1;
    *ended = stretch.to.as_ref() == Some(name);
    *came == nth
}
