//! A session among others: how many of one client there are, which clients there may be, and when one is forgotten.
//!
//! Sessions of a restricted key are counted from their first moment, by its label; those of the owner's keys from the Hello, by what
//! the client calls itself, so that a loop that went wild does not take the host.

use smd_maildir::fs::Fs;
use smd_maildir::home::{Access, Crowded, Home, Label, Sessions};
use smd_maildir::run::RunError;
use smd_maildir::store::visits::{self, TooMany};
use smd_protocol::names::printable;
use smd_protocol::wire::{self, Failure, FromServer};

use super::Session;
use crate::error::ServeError;
use crate::link::{Outbox, send};

/// Where a session stands.
pub(super) enum Presence<F: Fs> {
    /// Nobody counts: a session that is no process of its own.
    Uncounted,
    /// It has no place yet.
    Outside,
    /// It has one.
    Inside(Sessions<F>),
}

impl<F: Fs, O: Outbox> Session<F, O> {
    /// Counts this session among those of its client, and keeps the books of all clients.
    pub(crate) fn counts_sessions(&mut self) {
        self.presence = Presence::Outside;
    }

    /// Before anything was heard: a restricted key takes its place, or is told that there is none.
    ///
    /// # Errors
    /// When the session may not go on; the client was told.
    pub(crate) fn comes_in(&mut self) -> Result<(), ServeError> {
        let Some(key) = self.authority.key.clone() else { return Ok(()) };
        let done = self.home_of_sessions(Access::ReadWrite).and_then(|home| self.takes_place(&home, &key));
        if let Err(ServeError::Failure(failure)) = &done {
            // That the client cannot be told any more is no second failure.
            let _ = send(&self.outbox, &FromServer::Fail(failure.clone()));
        }
        done
    }

    fn home_of_sessions(&self, access: Access) -> Result<Home<F>, ServeError> {
        Ok(Home::open(self.fs.clone(), &self.places.state, access).map_err(RunError::from)?)
    }

    /// A run begins: a place among the sessions of this client that are at work.
    ///
    /// # Errors
    /// When there is none left, or the places cannot be asked.
    pub(super) fn takes_place(&mut self, home: &Home<F>, client: &Label) -> Result<(), ServeError> {
        let (whose, name) = match &self.authority.key {
            Some(key) => ("this key", format!("key.{key}")),
            None => ("this client", format!("id.{client}")),
        };
        let taken = match &mut self.presence {
            Presence::Uncounted => return Ok(()),
            Presence::Inside(sessions) => sessions.works(),
            Presence::Outside => Sessions::enter(home, &name).and_then(|mut sessions| {
                sessions.works()?;
                self.presence = Presence::Inside(sessions);
                Ok(())
            }),
        };
        taken.map_err(|crowded| match crowded {
            Crowded::Io(error) => RunError::from(error).into(),
            Crowded::Clients => self.busy(crowded.to_string()),
            Crowded::Open | Crowded::Busy => self.busy(format!("{whose} may not have another session: {crowded}")),
        })
    }

    /// As far as the client knows how to hear it; a restricted key's does.
    fn busy(&self, text: String) -> ServeError {
        match self.authority.key.is_some() || self.hears_busy {
            true => Failure::Busy(text.into()).into(),
            false => Failure::Locked { path: text.into() }.into(),
        }
    }

    /// The run is over, and the session rests.
    pub(super) fn gives_place(&mut self) {
        if let Presence::Inside(sessions) = &mut self.presence {
            sessions.rests();
        }
    }

    /// Before state of a client and root is made under this name: whether there may be more.
    ///
    /// # Errors
    /// When not, or when it cannot be asked.
    pub(super) fn admits(&self, home: &Home<F>, peer: &Label) -> Result<(), ServeError> {
        if matches!(self.presence, Presence::Uncounted) || home.access() == Access::ReadOnly {
            return Ok(());
        }
        let ask = || visits::admits(home, peer).map_err(RunError::from);
        let refuse = |why: TooMany| {
            let served = printable(self.places.state.join("served").as_os_str().as_encoded_bytes());
            Failure::Refused(format!("{why} ({served} at the server)").into())
        };
        let Err(_) = ask()? else { return Ok(()) };
        visits::collect(home, true).map_err(RunError::from)?;
        Ok(ask()?.map_err(refuse)?)
    }

    /// Notes that this client was here, and forgets those that were not for long. What goes wrong with that stops nobody.
    pub(super) fn keeps_books(&self, home: &Home<F>, peer: &Label) {
        if matches!(self.presence, Presence::Uncounted) {
            return;
        }
        let kept = visits::note(home, peer).and_then(|()| visits::collect(home, false));
        match kept {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "state of clients that were not seen for long is gone"),
            Err(error) => tracing::warn!(%error, "when clients were here was not noted"),
        }
    }
}

/// Whether a client takes [`Failure::Busy`].
pub(super) fn hears_busy(hello: &wire::ClientHello) -> bool {
    hello.features.iter().any(|feature| *feature == *wire::BUSY)
}
