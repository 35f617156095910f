//! What is looked at between two calls, and what the hooks there share with the world.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::act::{Act, Habit};
use super::super::host::Host;
use super::super::ledger::Ledger;
use super::super::mail;
use super::super::users::User;
use super::Broken;

/// What the hooks between calls share with the world.
pub(super) struct Shared {
    pub(super) ledger: Ledger,
    pub(super) next: u32,
    pub(super) broken: Option<Broken>,
    pub(super) looks: u64,
    /// A user acted in the middle of the run.
    pub(super) meddled: bool,
    pub(super) in_place: bool,
}

pub(super) type Common = Arc<Mutex<Shared>>;

pub(super) fn lock(shared: &Common) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn user_acts(shared: &Common, host: &Host, at: usize, habit: Habit, act: Act, synced: bool) {
    let mut shared = lock(shared);
    let Shared { ledger, next, in_place, .. } = &mut *shared;
    *in_place |= User { at, host, ledger, next, habit, synced }.act(act);
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
