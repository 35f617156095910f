//! A run begins: the roots are opened, the bases agreed on, and each root is looked at.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use smd_maildir::exclude::Excludes;
use smd_maildir::fs::Fs;
use smd_maildir::home::{Access, Home, Label, Side, server_id};
use smd_maildir::lock::Wait;
use smd_maildir::quota::{Quota, Whose};
use smd_maildir::run::{RootRun, RunError, Settings};
use smd_maildir::store::earlier::{self, Earlier};
use smd_protocol::reconcile::Side as HostSide;
use smd_protocol::rights::NOT_LIMITED;
use smd_protocol::wire::{
    self, ClientHello, Depth, Failure, FromServer, Ids, Looked, RootAnswer, RootOffer, ServerHello,
};
use smd_protocol::{Told, limits, pack, seeded};

use super::presence::hears_busy;
use super::words::{few, told};
use super::{Active, Session};
use crate::config::ServerConfig;
use crate::error::{ServeError, never_offered, protocol};
use crate::link::{Outbox, send};
use crate::policy::roots::{self, Place};
use crate::policy::{MaxRemove, Roots};
use crate::watch::Rest;

/// How long a lock is waited for, in milliseconds.
pub(super) const LOCK_WAIT_MS: u64 = wire::LOCK_SECONDS * 1000;
/// Of the state: the owner was told.
const KEY_IS_NOT_LIMITED: &[u8] = b"told-key-is-not-limited";
/// What is said of this program: advice for a person.
pub(super) const VERSION: &str = concat!("version=", env!("CARGO_PKG_VERSION"));

/// A root that a client offers, as this host finds it.
#[derive(Clone, Copy)]
struct Asked<'a> {
    offer: &'a RootOffer,
    path: &'a Path,
    /// The path without symlinks.
    real: &'a [u8],
    /// As what belongs to the client is called here.
    client: &'a Label,
    /// As the client calls itself.
    id: &'a Label,
    server: &'a Label,
}

/// What the owner of this host set for whoever comes, and what a run may bring by it.
struct Limited<F: Fs> {
    config: ServerConfig,
    quota: Quota<F>,
}

fn label(text: &str) -> Result<Label, ServeError> {
    Label::parse(text.as_bytes()).map_err(|error| protocol(error.to_string()))
}

impl<F: Fs, O: Outbox> Session<F, O> {
    /// Opens what the client offers, agrees on the bases, and tells of every root what changed in it.
    pub(super) fn handle_hello(&mut self, mut hello: ClientHello) -> Result<(), ServeError> {
        if self.hello.is_some() || hello.roots.is_empty() || hello.roots.len() > wire::ROOTS_MAX {
            return Err(protocol("a second Hello, or one without roots"));
        }
        self.hellos += 1;
        if self.hellos > limits::HELLOS_MAX {
            return Err(protocol("other names of the roots each time"));
        }
        if hello.depth == Depth::Folders && !hello.dry_run && !has(&hello, wire::GRAVE) {
            return Err(protocol("a run that looks at no message"));
        }
        self.rests = false;
        self.reconnects = has(&hello, wire::RECONNECT);
        if has(&hello, wire::WORKING) {
            self.outbox.tells_of_work();
        }
        let id = label(&hello.client)?;
        let client = self.authority.client(&id).map_err(|error| protocol(error.to_string()))?;
        let paths: Vec<&[u8]> = hello.roots.iter().map(|offer| &offer.path[..]).collect();
        let places = roots::places(&self.authority.roots, &self.places, &paths)?;
        match self.authority.roots {
            Roots::Any => self.reaches(&hello)?,
            Roots::Named(_) | Roots::Found(_) => self.are_held(&places)?,
        }
        let access = if hello.dry_run { Access::ReadOnly } else { Access::ReadWrite };
        let home = Home::open(self.fs.clone(), &self.places.state, access).map_err(RunError::from)?;
        self.hears_busy = hears_busy(&hello);
        self.takes_place(&home, &client)?;
        if has(&hello, wire::GRAVE) {
            return self.begin_graves(hello, places);
        }
        hello.direction = self.authority.direction(hello.direction)?;
        let server = server_id(&home).map_err(RunError::from)?;
        if self.authority.forced && self.not_limited.is_none() {
            self.not_limited = Some(is_said_now(&home));
        }
        let config = ServerConfig::read(&home)?;
        let whose = Whose::Server(self.authority.key.as_ref());
        let quota = Quota::new(self.authority.limits.caps(config.caps), &home, whose);
        let limited = Limited { config, quota };

        let mut answers = Vec::new();
        for (offer, Place { path, real }) in hello.roots.iter().zip(&places) {
            let real = real.as_os_str().as_bytes();
            let asked = Asked { offer, path, real, client: &client, id: &id, server: &server };
            let (active, answer) = self.open_root(&home, &hello, &asked, &limited)?;
            self.roots.push(active);
            answers.push(answer);
        }
        self.hears_of_left_out = hello.features.iter().any(|feature| *feature == *wire::LEFT_OUT);
        let features = self.features(&hello);
        self.tells_room = hello.features.iter().any(|feature| *feature == *wire::ROOM);
        send(&self.outbox, &FromServer::Hello(ServerHello { features, roots: answers.clone() }))?;
        if hello.compress && !self.compressed {
            self.outbox.compress()?;
            self.compressed = true;
        }
        let is_met = |(offer, answer): (&RootOffer, &RootAnswer)| offer.root.as_ref() == Some(&answer.root);
        if !hello.roots.iter().zip(&answers).all(is_met) {
            // The client knows some of these roots by another name, and says Hello again with what it has of the right ones.
            self.roots.clear();
            return Ok(());
        }
        if let Some(rest) = &mut self.rest {
            rest.begin(self.roots.iter().map(|active| active.run.ground()).collect());
        }
        self.tell_reports(&home, &hello)?;
        RootRun::introduce(self.roots.iter_mut().map(|active| &mut active.run));
        for (index, (offer, answer)) in (0u16..).zip(hello.roots.iter().zip(&answers)) {
            self.active(index)?.run.agree(offer.ids.common(answer.ids), &offer.damaged)?;
            self.look(index, &hello)?;
        }
        self.hello = Some(hello);
        self.hellos = 0;
        Ok(())
    }

    /// Whether these directories are still what lies at their paths. In a session that stays, a disk may have come or gone since it
    /// began: then another session is wanted.
    fn are_held(&self, places: &[Place]) -> Result<(), Failure> {
        places.iter().try_for_each(|Place { path, .. }| match self.fs.open_root(path) {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "another directory than was held");
                Err(Failure::Reconnect)
            }
        })
    }

    /// Opens a root with the base that this host has of it, and says what that is.
    fn open_root(
        &self,
        home: &Home<F>,
        hello: &ClientHello,
        asked: &Asked<'_>,
        limited: &Limited<F>,
    ) -> Result<(Active<F>, RootAnswer), ServeError> {
        let Asked { offer, path, real, client, server, .. } = *asked;
        let named = if seeded::is("each-spelling-is-a-root") { &offer.path } else { real };
        let root = Label::of_parts("smd root", &[server.as_str().as_bytes(), named]);
        let pair = label(&offer.pair)?;
        let peer = client.served(&pair).map_err(|error| protocol(error.to_string()))?;
        let (peer, key, earlier) = match offer.root.as_deref() == Some(root.as_str()) {
            true => self.find_base(home, asked, peer)?,
            false
                if earlier::is_kept(&home.pair(Side::Server, &peer).map_err(RunError::from)?, real)
                    .map_err(RunError::from)? =>
            {
                (peer, real.to_vec(), Vec::new())
            }
            false => {
                let mut earlier: Vec<Ids> = self.earlier(home, asked)?.iter().map(|one| one.ids).collect();
                earlier.truncate(wire::EARLIER_MAX);
                (peer, real.to_vec(), earlier)
            }
        };
        let excludes = Excludes::new(&offer.excludes)
            .map_err(|error| ServeError::Failure(Failure::Config(error.to_string().into())))?;
        self.admits(home, &peer)?;
        // A client may ask for more, but not empty a grave in which other clients' messages rest too.
        let least = if seeded::is("client-empties-the-grave") { 0 } else { limited.config.grave_days };
        let settings = Settings {
            path,
            key: &key,
            endpoint: None,
            excludes,
            naming: None,
            local_excludes: Excludes::default(),
            changes: hello.direction.changes(HostSide::Theirs),
            grave_days: hello.grave_days.max(least),
            owner: client.as_str(),
            lock_wait_ms: LOCK_WAIT_MS,
        };
        let mut run = RootRun::open(home, Side::Server, &peer, settings, &|| false)?;
        self.keeps_books(home, &peer);
        run.set_grave_max(limited.config.grave_max);
        run.set_quota(limited.quota.clone());
        if has(hello, wire::CUT) {
            run.comes_after_cut();
        }
        if has(hello, wire::ALL_DIRS) {
            run.walks_all();
        }
        if let Some(above) = self.confined.above.get(path) {
            run.holds_above(above.clone());
        }
        if has(hello, wire::TWINS) {
            run.may_rename();
        }
        let answer = RootAnswer {
            root: root.to_string(),
            ids: run.ids(),
            earlier,
            counter: run.counter(),
            damaged: run.damaged().to_vec(),
        };
        let (steps, fetch, spell, parts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (removals, late, brought, real) = (Vec::new(), Vec::new(), HashSet::new(), real.to_vec());
        let (begun, refused, is_in_log) = (None, None, false);
        let (kept, adopted) = ([0; 2], false);
        let active = Active {
            run,
            steps,
            fetch,
            removals,
            spell,
            begun,
            refused,
            parts,
            kept,
            adopted,
            brought,
            real,
            is_in_log,
            late,
        };
        Ok((active, answer))
    }

    /// Where the base lies that this host is to have with the client: under its right name, or under that which it gets now,
    /// since it is the one that the client offers.
    fn find_base(
        &self,
        home: &Home<F>,
        asked: &Asked<'_>,
        peer: Label,
    ) -> Result<(Label, Vec<u8>, Vec<Ids>), ServeError> {
        let right = (peer, asked.real.to_vec(), Vec::new());
        let none = asked.offer.ids == Ids::default();
        let pair = home.pair(Side::Server, &right.0).map_err(RunError::from)?;
        if none || earlier::is_kept(&pair, asked.real).map_err(RunError::from)? {
            return Ok(right);
        }
        let earlier = self.earlier(home, asked)?;
        let offered = asked.offer.ids;
        let Some(one) =
            earlier.iter().max_by_key(|one| offered.common(one.ids)).filter(|one| offered.common(one.ids).is_some())
        else {
            return Ok(right);
        };
        let wait = Wait { ms: LOCK_WAIT_MS, stop: &|| false };
        let (peer, key) =
            earlier::take_over(home, Side::Server, one, &right.0, asked.real, &wait).map_err(RunError::from)?;
        Ok((peer, key, Vec::new()))
    }

    /// Bases of this client and root that lie under other names.
    fn earlier(&self, home: &Home<F>, asked: &Asked<'_>) -> Result<Vec<Earlier>, ServeError> {
        // Under its own name a client had no key of its own; whoever offers the id of that base is that client.
        let is_clients = |peer: &Label| peer.is_served_to(asked.client) || peer.is_served_to(asked.id);
        let is_root = |root: &[u8]| match &self.authority.roots {
            Roots::Any => crate::roots::resolve(&self.places, root)
                .and_then(|path| crate::roots::real(&path))
                .is_ok_and(|path| path.as_os_str().as_bytes() == asked.real),
            Roots::Named(_) | Roots::Found(_) => root == asked.real,
        };
        let is_of = |peer: &Label, root: &[u8]| is_clients(peer) && is_root(root);
        Ok(earlier::earlier(home, Side::Server, "", &is_of).map_err(RunError::from)?)
    }

    /// The client's features that this session has too.
    fn features(&mut self, hello: &ClientHello) -> Vec<Told> {
        if let (None, Some(ringer), true) = (&self.rest, &self.ringer, has(hello, wire::WATCH)) {
            self.rest = Some(Rest::new(self.fs.clone(), ringer.clone()));
        }
        let watches = self.rest.iter().map(|_| wire::WATCH);
        let patterns = has(hello, wire::PATTERNS).then_some(wire::PATTERNS);
        let has_budget = self.authority.key.is_some() && self.authority.limits.max_remove != MaxRemove::Any;
        let budget = (has_budget && has(hello, wire::BUDGET)).then_some(wire::BUDGET);
        [VERSION, wire::SPELLING, wire::COUNTS, wire::HEADERS]
            .into_iter()
            .chain(watches)
            .chain(patterns)
            .chain(budget)
            .map(Told::from)
            .chain(self.not_limited.unwrap_or_default().then(|| Told::from(NOT_LIMITED)))
            .chain(self.authority.features().into_iter().map(Told::from))
            .chain(self.of_process(hello))
            .collect()
    }

    /// The features of every session: signs of work, and how the process is confined.
    pub(super) fn of_process(&self, hello: &ClientHello) -> impl Iterator<Item = Told> {
        let working = has(hello, wire::WORKING).then(|| wire::WORKING.into());
        let sandbox = self.confined.told.as_ref().map(|told| Told::from(format!("{}{told}", wire::SANDBOX)));
        working.into_iter().chain(sandbox)
    }

    /// Looks at a root and tells what changed in it.
    fn look(&mut self, root: u16, hello: &ClientHello) -> Result<(), ServeError> {
        let Self { roots, outbox, hears_of_left_out, tells_room, .. } = self;
        let active = roots.get_mut(usize::from(root)).ok_or_else(never_offered)?;
        let looked = match active.run.look(hello.depth, &|_| true) {
            Ok(found) => {
                for parts in pack::groups(active.run.pack_delta()?) {
                    send(outbox, &FromServer::Delta { root, parts })?;
                }
                if *hears_of_left_out && !found.left_out.is_empty() {
                    let left_out = few(found.left_out.clone(), "names are left out and not listed");
                    send(outbox, &FromServer::LeftOut { root, left_out })?;
                }
                for twins in found.twins.chunks(wire::ITEMS_IN_FRAME) {
                    send(outbox, &FromServer::Twins { root, twins: twins.to_vec() })?;
                }
                for folders in found.put_back.chunks(wire::ITEMS_IN_FRAME) {
                    send(outbox, &FromServer::PutBack { root, folders: folders.to_vec() })?;
                }
                let met = (0..).zip(active.run.excludes().met()).filter(|(_, (_, met))| *met);
                let patterns: Vec<u32> = met.map(|(index, _)| index).collect();
                if has(hello, wire::PATTERNS) && !patterns.is_empty() {
                    send(outbox, &FromServer::Met { root, patterns })?;
                }
                told(found)
            }
            Err(error @ RunError::Io(_)) => Looked { unusable: Some(error.to_string().into()), ..Looked::default() },
            Err(error) => return Err(error.into()),
        };
        if let (true, Some(free)) = (*tells_room, active.run.room()) {
            send(outbox, &FromServer::Room { root, free })?;
        }
        Ok(send(outbox, &FromServer::Looked { root, looked })?)
    }

    /// The client does without a base: looks anew as if there had been none.
    pub(super) fn handle_adopt(&mut self, root: u16) -> Result<(), ServeError> {
        let hello = self.hello.clone().ok_or_else(|| protocol("something before a Hello"))?;
        let active = self.active(root)?;
        if active.begun.is_some() || !active.steps.is_empty() || std::mem::replace(&mut active.adopted, true) {
            return Err(protocol("a base is given up within a batch, or once more"));
        }
        active.run.agree(None, &[])?;
        self.look(root, &hello)
    }
}

/// A key's line runs the plain server, and its owner may think that this limits the key. Whether that is to be said now: once, so it is
/// noted first. It goes to stderr too, for whoever looks there.
fn is_said_now<F: Fs>(home: &Home<F>) -> bool {
    let Some(dir) = home.dir().filter(|_| home.access() == Access::ReadWrite) else { return false };
    let first = home.fs().create(dir, KEY_IS_NOT_LIMITED).is_ok();
    if first {
        eprintln!(
            "smd-server: the key of this connection is not limited by command=\"smd-server\"; smd-restricted-shell in its place \
             limits it"
        );
    }
    first
}

/// Whether the client named this feature.
pub(super) fn has(hello: &ClientHello, feature: &str) -> bool {
    hello.features.iter().any(|named| *named == *feature)
}
