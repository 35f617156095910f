//! The graves of the other host, over a connection to its server.
//!
//! Deliberately not here: what the server does about them (`smd-server`).

use std::sync::Arc;

use smd_client::Command;
use smd_client::args::Args;
use smd_client::endpoint::{self, Endpoint};
use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::options::Direction;
use smd_client::output::Output;
use smd_client::run::connected;
use smd_client::session::FarGraves;
use smd_maildir::home::{Access, Label};
use smd_maildir::keys::What;
use smd_protocol::grave::{Head, Rests, Undone};
use smd_protocol::names::printable;

use super::args::{Remote, Request};
use super::by::Deeds;
use super::runs::Mailbox;
use super::text::{self, Place};
use super::unseen::{Cause, Kept, Unseen};
use super::{Graves, Halt, carry_out, failure};

/// What is asked for, of the other host.
pub(super) fn undo(request: &Request, remote: &Remote, output: &mut Output) -> Result<Exit, Box<Failure>> {
    let failed = |error| Box::new(Failure::endpoint(&remote.target, Command::Sync, error));
    let home = SmdHome::from_env().map_err(|error| failed(error.into()))?;
    let args = Args { target: remote.target.clone(), typed: request.typed.clone() };
    let mut resolved = endpoint::resolve(&args, Direction::Sync, home).map_err(failed)?;
    // Habits from the config are for runs.
    resolved.options.verbose = request.typed.verbose;
    (resolved.voice.tags, resolved.voice.json, resolved.voice.quiet) = (false, request.typed.json, request.typed.quiet);
    output.adjust(&resolved);
    let place = Place::There { host: printable(resolved.endpoint.server.as_bytes()), word: remote.word.clone() };
    let access = if request.changes() { Access::ReadWrite } else { Access::ReadOnly };
    let seen = connected(&resolved, output, |fs, endpoint, options, line, _, stop| {
        let graves = FarGraves::open(&Arc::clone(fs), endpoint, options, access, line, stop)?;
        let mut graves = There { endpoint, graves };
        let seen = match carry_out(request, &place, &mut graves, &[]) {
            Ok(seen) => Ok(seen),
            Err(Halt::Failure(failure)) => Err(failure),
            Err(Halt::Session(error)) => return Err(error),
        };
        graves.graves.close()?;
        Ok(seen)
    })??;
    let absent = seen.mailboxes.iter().filter(|mailbox| mailbox.rest.absent);
    let unseen = absent.map(|Mailbox { path, shown, .. }| Unseen {
        path: path.clone(),
        shown: shown.clone(),
        cause: Cause::Absent,
        kept: Kept::There,
        is_named: true,
    });
    let unseen: Vec<Unseen> = unseen.collect();
    Ok(text::report(request, output, &place, &seen, &unseen, Vec::new()))
}

struct There<'a> {
    endpoint: &'a Endpoint,
    graves: FarGraves,
}

fn index(mailbox: usize) -> u16 {
    u16::try_from(mailbox).expect("an endpoint has fewer roots")
}

impl Graves for There<'_> {
    fn list(&mut self) -> Result<Vec<(Mailbox, Vec<Rests>)>, Halt> {
        let mut all = Vec::new();
        for (mailbox, root) in self.endpoint.roots.iter().enumerate() {
            let (rests, rest) = self.graves.list(index(mailbox))?;
            let shown = format!("{}:{}", printable(self.endpoint.server.as_bytes()), printable(&root.remote));
            all.push((Mailbox { path: root.remote.clone(), shown, rest }, rests));
        }
        Ok(all)
    }

    fn heads(&mut self, mailbox: usize, ids: &[String]) -> Result<Vec<Head>, Halt> {
        Ok(self.graves.heads(index(mailbox), ids)?)
    }

    fn deeds(&mut self, _: &Label) -> Result<Deeds, Halt> {
        Err(failure(Exit::Usage, "What a key did is taken back on the host that has the mail.", None, None).into())
    }

    fn take_back(&mut self, _: usize, _: &[What]) -> Result<Vec<Undone>, Halt> {
        Ok(Vec::new())
    }

    fn bring_back(&mut self, mailbox: usize, ids: &[String]) -> Result<Vec<Undone>, Halt> {
        Ok(self.graves.bring_back(index(mailbox), ids)?)
    }
}
