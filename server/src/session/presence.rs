//! A session among others: how many of one client there are, which clients there may be, and when one is forgotten.
//!
//! Sessions of a restricted key are counted from their first moment, by its label; those of the owner's keys from the Hello, by what
//! the client calls itself, so that a loop that went wild does not take the host.

use std::sync::Arc;

use smd_maildir::fs::Fs;
use smd_maildir::home::{Access, Crowded, Home, Label, Sessions};
use smd_maildir::run::RunError;
use smd_maildir::store::visits::{self, TooMany};
use smd_protocol::names::printable;
use smd_protocol::wire::{self, Failure};

use super::Session;
use crate::error::{ServeError, failure};
use crate::link::Outbox;
use crate::roots::Places;

/// Where a session stands.
pub(crate) enum Presence<F: Fs> {
    /// Nobody counts: a session that is no process of its own.
    Uncounted,
    /// It has no place yet.
    Outside,
    /// It has one.
    Inside(Sessions<F>),
}

impl<F: Fs> Presence<F> {
    /// A restricted key takes its place before anything is heard of its client.
    ///
    /// # Errors
    /// When there is none left, or the places cannot be asked.
    pub(crate) fn of_key(fs: &Arc<F>, places: &Places, key: &Label) -> Result<Self, Failure> {
        let cannot = |error: smd_maildir::Error| failure(&RunError::from(error));
        let home = Home::open(fs.clone(), &places.state, Access::ReadWrite).map_err(cannot)?;
        let taken = Sessions::enter(&home, &format!("key.{key}")).and_then(|mut sessions| {
            sessions.works()?;
            Ok(Self::Inside(sessions))
        });
        taken.map_err(|crowded| match crowded {
            Crowded::Io(error) => cannot(error),
            crowded => Failure::Busy(format!("this key may not have another session: {crowded}").into()),
        })
    }
}

impl<F: Fs, O: Outbox> Session<F, O> {
    /// Counts this session among those of its client, from where it stands.
    pub(crate) fn is_counted(&mut self, presence: Presence<F>) {
        self.presence = presence;
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
