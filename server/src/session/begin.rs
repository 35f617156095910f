//! A run begins: the roots are opened, the bases agreed on, and each root is looked at.

use std::path::PathBuf;

use smd_maildir::exclude::Excludes;
use smd_maildir::fs::Fs;
use smd_maildir::home::{Access, Home, Label, Side};
use smd_maildir::run::{RootRun, RunError, Settings};
use smd_protocol::wire::{self, ClientHello, Depth, Failure, FromServer, Looked, RootAnswer, ServerHello};
use smd_protocol::{pack, seeded};

use super::words::told;
use super::{Active, Session};
use crate::error::{ServeError, never_offered, protocol};
use crate::link::{Outbox, send};
use crate::roots;
use crate::watch::Rest;

/// How long a lock is waited for, in milliseconds.
const LOCK_WAIT_MS: u64 = 30_000;
/// Days that messages rest in this host's grave at least.
const GRAVE_DAYS_LEAST: u32 = 7;
/// What is said of this program: advice for a person.
const VERSION: &str = concat!("version=", env!("CARGO_PKG_VERSION"));

impl<F: Fs, O: Outbox> Session<F, O> {
    /// Opens what the client offers, agrees on the bases, and tells of every root what changed in it.
    pub(super) fn handle_hello(&mut self, hello: ClientHello) -> Result<(), ServeError> {
        if self.hello.is_some() || hello.roots.is_empty() || hello.roots.len() > wire::ROOTS_MAX {
            return Err(protocol("a second Hello, or one without roots"));
        }
        if hello.depth == Depth::Folders && !hello.dry_run {
            return Err(protocol("a run that looks at no message"));
        }
        let label = |text: &str| Label::parse(text.as_bytes()).map_err(|error| protocol(error.to_string()));
        let (client, pair) = (label(&hello.client)?, label(&hello.pair)?);
        let peer = Label::derive(format!("{client}.{pair}").as_bytes());
        let paths: Vec<PathBuf> =
            hello.roots.iter().map(|offer| roots::resolve(&self.places, &offer.path)).collect::<Result<_, _>>()?;
        roots::check(&self.places, &paths)?;
        let access = if hello.dry_run { Access::ReadOnly } else { Access::ReadWrite };
        let home = Home::open(self.fs.clone(), &self.places.state, access).map_err(RunError::from)?;

        let mut answers = Vec::new();
        for (offer, path) in hello.roots.iter().zip(&paths) {
            let excludes = Excludes::new(&offer.excludes)
                .map_err(|error| ServeError::Failure(Failure::Config(error.to_string())))?;
            let settings = Settings {
                path,
                key: &offer.path,
                excludes,
                naming: None,
                local_excludes: Excludes::default(),
                // A client may ask for more, but not empty a grave in which other clients' messages rest too.
                grave_days: hello.grave_days.max(if seeded::is("client-empties-the-grave") {
                    0
                } else {
                    GRAVE_DAYS_LEAST
                }),
                owner: client.as_str(),
                lock_wait_ms: LOCK_WAIT_MS,
            };
            let mut run = RootRun::open(&home, Side::Server, &peer, settings, &|| false)?;
            if hello.features.iter().any(|feature| feature == wire::CUT) {
                run.comes_after_cut();
            }
            answers.push(RootAnswer { ids: run.ids(), counter: run.counter(), damaged: run.damaged().to_vec() });
            self.roots.push(Active { run, steps: Vec::new(), fetch: Vec::new(), begun: None, parts: Vec::new() });
        }
        let features = self.features(&hello);
        send(&self.outbox, &FromServer::Hello(ServerHello { features, roots: answers.clone() }))?;
        if hello.compress && !self.compressed {
            self.outbox.compress()?;
            self.compressed = true;
        }
        if let Some(rest) = &mut self.rest {
            rest.begin(self.roots.iter().map(|active| active.run.ground()).collect());
        }
        for (index, (offer, answer)) in (0u16..).zip(hello.roots.iter().zip(&answers)) {
            self.active(index)?.run.agree(offer.ids.common(answer.ids), &offer.damaged)?;
            self.look(index, hello.depth)?;
        }
        self.hello = Some(hello);
        Ok(())
    }

    /// The client's features that this session has too.
    fn features(&mut self, hello: &ClientHello) -> Vec<String> {
        if let (None, Some(ringer), true) = (&self.rest, &self.ringer, hello.features.iter().any(|f| f == wire::WATCH))
        {
            self.rest = Some(Rest::new(self.fs.clone(), ringer.clone()));
        }
        let watches = self.rest.iter().map(|_| wire::WATCH.to_owned());
        std::iter::once(VERSION.to_owned()).chain(watches).collect()
    }

    /// Looks at a root and tells what changed in it.
    fn look(&mut self, root: u16, depth: Depth) -> Result<(), ServeError> {
        let Self { roots, outbox, .. } = self;
        let active = roots.get_mut(usize::from(root)).ok_or_else(never_offered)?;
        let looked = match active.run.look(depth, &|_| true) {
            Ok(found) => {
                for parts in pack::groups(active.run.pack_delta()?) {
                    send(outbox, &FromServer::Delta { root, parts })?;
                }
                for folders in found.put_back.chunks(wire::ITEMS_IN_FRAME) {
                    send(outbox, &FromServer::PutBack { root, folders: folders.to_vec() })?;
                }
                told(found)
            }
            Err(error @ RunError::Io(_)) => Looked { unusable: Some(error.to_string()), ..Looked::default() },
            Err(error) => return Err(error.into()),
        };
        Ok(send(outbox, &FromServer::Looked { root, looked })?)
    }

    /// The client does without a base: looks anew as if there had been none.
    pub(super) fn handle_adopt(&mut self, root: u16) -> Result<(), ServeError> {
        let depth = self.hello.as_ref().map_or(Depth::Quick, |hello| hello.depth);
        let active = self.active(root)?;
        if active.begun.is_some() || !active.steps.is_empty() {
            return Err(protocol("a base is given up within a batch"));
        }
        active.run.agree(None, &[])?;
        self.look(root, depth)
    }
}
