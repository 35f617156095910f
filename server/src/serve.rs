//! The serve loop: what came in goes to the session, one event after another, and what a run took is given back in the rest.
//!
//! Deliberately not here: what a message means (`session`).

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use smd_maildir::fs::Fs;
use smd_protocol::codec;
use smd_protocol::wire::{self, Frame, FromClient};

use crate::error::ServeError;
use crate::link::{Event, Inbox as _, Reader, Writer};
use crate::memory::Memory;
use crate::policy::Authority;
use crate::roots::Places;
use crate::session::{Session, Words};

/// Serves one client on this pipe until it says goodbye or goes away.
///
/// # Errors
/// When the session ended in any other way. Whatever was begun is finished by the next run.
pub(crate) fn serve<F: Fs>(
    fs: Arc<F>,
    places: &Places,
    authority: Authority,
    reader: Box<dyn Read + Send>,
    writer: Box<dyn Write + Send>,
) -> Result<(), ServeError> {
    let inbox =
        Reader::start(reader, |first| matches!(codec::decode(first), Ok(FromClient::Hello(hello)) if hello.compress));
    let writer = Writer::start(writer, Words);
    let mut session = Session::new(fs, places, authority, writer);
    session.wakes_by(inbox.ringer());
    session.counts_sessions();
    let mut talk = Talk { session, inbox, memory: Memory::default() };
    let result = talk.session.comes_in().and_then(|()| talk.serve());
    talk.session.finish();
    result
}

/// The two ends of serving.
struct Talk<F: Fs> {
    session: Session<F, Writer>,
    inbox: Reader,
    memory: Memory,
}

impl<F: Fs> Talk<F> {
    /// Deals with what comes in, until the client is done.
    fn serve(&mut self) -> Result<(), ServeError> {
        loop {
            if let Some(event) = self.rest()?
                && self.run(event)?.is_break()
            {
                return Ok(());
            }
        }
    }

    /// Waits between two runs. Gives what begins the next one, or ends the session.
    fn rest(&mut self) -> Result<Option<Event>, ServeError> {
        let event = self.inbox.next(Duration::from_secs(wire::SILENCE_SECONDS));
        let ping = match &event {
            Some(Event::Frame(Frame::Message(bytes))) => matches!(codec::decode(bytes), Ok(FromClient::Ping)),
            _ => false,
        };
        match event {
            Some(Event::Rung) | None => self.session.hear(event).map(|_| None),
            Some(_) if ping => {
                self.memory.rests();
                Ok(None)
            }
            event => Ok(event),
        }
    }

    /// Carries a run from its first message to the rest after it.
    fn run(&mut self, first: Event) -> Result<ControlFlow<()>, ServeError> {
        let Self { session, inbox, memory } = self;
        memory.runs();
        let mut event = Some(first);
        loop {
            match session.hear(event)? {
                ControlFlow::Continue(()) if session.runs() => {
                    event = inbox.next(Duration::from_secs(wire::SILENCE_SECONDS));
                }
                flow => return Ok(flow),
            }
        }
    }
}
