//! A session for what rests in the graves of some roots: told, and brought back. No mailbox is looked at, and no base.
//!
//! Each wish is answered by itself, so that one may be refused and another not.
//!
//! Deliberately not here: where graves are, and how anything comes back (`smd_maildir::undo`).

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use smd_maildir::fs::Fs;
use smd_maildir::home::{Access, Home, Label, server_id};
use smd_maildir::lock::Wait;
use smd_maildir::run::RunError;
use smd_maildir::undo::{Found, Yard, Yards, owner, places};
use smd_protocol::grave::{Head, Rest, Rests, Undone, run_of};
use smd_protocol::limits::Weigh as _;
use smd_protocol::names::printable;
use smd_protocol::wire::{
    self, ClientHello, Failure, FromServer, GraveAnswer, GraveWish, Ids, RootAnswer, ServerHello,
};
use smd_protocol::{Told, Verb, seeded};

use super::Session;
use super::begin::{LOCK_WAIT_MS, VERSION};
use crate::error::{ServeError, never_offered, protocol};
use crate::link::{Outbox, SendError, send};
use crate::policy::roots::Place;

/// A root whose graves a client asked for.
pub(super) struct Asked<F: Fs> {
    path: PathBuf,
    real: PathBuf,
    /// What was found when its graves were listed.
    found: Option<Found<F>>,
    /// What is to come back, as far as it was said.
    wanted: Vec<String>,
    /// What of the budget is kept for it.
    kept: usize,
}

impl<F: Fs> Asked<F> {
    /// How many burials this host has told of.
    pub(super) fn known(&self) -> u64 {
        self.found.as_ref().map_or(0, |found| found.told().count() as u64)
    }
}

impl<F: Fs, O: Outbox> Session<F, O> {
    /// Answers the Hello of a client that is there for the graves of these roots.
    pub(super) fn begin_graves(&mut self, hello: ClientHello, places: Vec<Place>) -> Result<(), ServeError> {
        let server = server_id(&self.home(Access::ReadOnly)?).map_err(RunError::from)?;
        let answer = |real: &PathBuf| RootAnswer {
            root: Label::of_parts("smd root", &[server.as_str().as_bytes(), real.as_os_str().as_bytes()]).to_string(),
            ids: Ids::default(),
            earlier: Vec::new(),
            counter: 0,
            damaged: Vec::new(),
        };
        let known = [VERSION, wire::GRAVE].into_iter().map(Told::from);
        let policy = self.authority.features().into_iter().map(Told::from);
        let features = known.chain(policy).chain(self.of_process(&hello)).collect();
        let roots = places.iter().map(|place| answer(&place.real)).collect();
        send(&self.outbox, &FromServer::Hello(ServerHello { features, roots }))?;
        if hello.compress && !self.compressed {
            self.outbox.compress()?;
            self.compressed = true;
        }
        let asked = |Place { path, real }| Asked { path, real, found: None, wanted: Vec::new(), kept: 0 };
        self.graves = places.into_iter().map(asked).collect();
        self.hello = Some(hello);
        self.hellos = 0;
        Ok(())
    }

    /// Tells of the graves of a root, or brings back from them.
    pub(super) fn handle_grave(&mut self, root: u16, wish: GraveWish) -> Result<(), ServeError> {
        match wish {
            GraveWish::List => self.list_grave(root),
            GraveWish::Heads(ids) => self.tell_heads(root, &ids),
            GraveWish::BringBack { ids, last } => {
                if self.hello.as_ref().is_none_or(|hello| hello.dry_run) {
                    return Err(protocol("messages come back in a dry run"));
                }
                if !self.authority.rights.permits(Verb::BringBack) {
                    self.asked(root)?;
                    let text = "this key may change nothing at the server, nor bring anything back";
                    return match last {
                        true => Ok(self.answer(root, GraveAnswer::Refused(text.into()))?),
                        false => Ok(()),
                    };
                }
                let weight = ids.as_slice().weight();
                self.keep(weight)?;
                let asked = self.asked(root)?;
                asked.kept += weight;
                asked.wanted.extend(ids);
                if last { self.bring_back(root) } else { Ok(()) }
            }
        }
    }

    fn asked(&mut self, root: u16) -> Result<&mut Asked<F>, ServeError> {
        self.graves.get_mut(usize::from(root)).ok_or_else(never_offered)
    }

    pub(super) fn home(&self, access: Access) -> Result<Home<F>, ServeError> {
        Ok(Home::open(self.fs.clone(), &self.places.state, access).map_err(RunError::from)?)
    }

    /// The root with all its graves; none where there is no such root.
    fn yard(&mut self, root: u16, home: &Home<F>) -> Result<Option<Yard<F>>, ServeError> {
        let (fs, user) = (self.fs.clone(), self.places.user.clone());
        let asked = self.asked(root)?;
        let own: BTreeSet<PathBuf> = [asked.path.clone(), asked.real.clone()].into();
        let only = Yards::open(&fs, own.clone());
        if let Some((path, error)) = only.lost.iter().find(|(_, error)| error.kind() != io::ErrorKind::NotFound) {
            let path = printable(path.as_os_str().as_bytes());
            let text = format!("cannot open {path}: {error}");
            return Err(Failure::Io { path: path.into(), text: text.into() }.into());
        }
        let mut yards = Yards::open(&fs, places::kept(home, &user).union(&own).cloned());
        yards.keep(&only);
        Ok(yards.into_all().into_iter().next())
    }

    fn list_grave(&mut self, root: u16) -> Result<(), ServeError> {
        let home = self.home(Access::ReadOnly)?;
        let found = match self.yard(root, &home)? {
            Some(yard) => {
                let found = yard.look(&home).map_err(RunError::from)?;
                // Where nothing rests, a disk that is not mounted looks like a Maildir of which nothing was deleted.
                let is_known =
                    yard.is_any_of(&places::kept(&home, &self.places.user)) && yard.has_dirs().unwrap_or(false);
                (is_known || !found.is_empty()).then_some(found)
            }
            None => None,
        };
        let end = found.as_ref().map_or(Rest { absent: true, ..Rest::default() }, |found| found.rest);
        let mut rests: Vec<Rests> = Vec::new();
        for one in found.iter().flat_map(Found::told).filter(|one| self.owns(&one.id)) {
            rests.push(one);
            if rests.len() == wire::ITEMS_IN_FRAME {
                self.answer(root, GraveAnswer::Rests { rests: std::mem::take(&mut rests), end: None })?;
            }
        }
        self.answer(root, GraveAnswer::Rests { rests, end: Some(end) })?;
        self.asked(root)?.found = found;
        Ok(())
    }

    fn tell_heads(&mut self, root: u16, ids: &[String]) -> Result<(), ServeError> {
        let found = self.asked(root)?.found.take();
        for ids in ids.chunks(wire::ITEMS_IN_FRAME) {
            let heads = match &found {
                // Of what it may not read, as of what is not there, nothing is told.
                Some(found) if self.authority.rights.permits(Verb::ReadGrave) => {
                    found.heads(ids.iter().map(|id| if self.owns(id) { id.as_str() } else { "" }))
                }
                _ => vec![Head::default(); ids.len()],
            };
            self.answer(root, GraveAnswer::Heads(heads))?;
        }
        self.asked(root)?.found = found;
        Ok(())
    }

    fn bring_back(&mut self, root: u16) -> Result<(), ServeError> {
        let home = self.home(Access::ReadWrite)?;
        let user = self.places.user.clone();
        let asked = self.asked(root)?;
        let (ids, kept) = (std::mem::take(&mut asked.wanted), std::mem::take(&mut asked.kept));
        self.budget.let_go(kept);
        let wait = Wait { ms: LOCK_WAIT_MS, stop: &|| false };
        let own: Vec<String> = ids.iter().filter(|id| self.owns(id)).cloned().collect();
        let mut done = match self.yard(root, &home)? {
            Some(yard) => yard.bring_back(&home, &user, &own, &wait).map_err(RunError::from)?,
            None => vec![Undone::Failed("the Maildir is no longer there".into()); own.len()],
        }
        .into_iter();
        let other = || Undone::Failed("another key removed it, and this one is not for that (--allow undo)".into());
        let done: Vec<Undone> =
            ids.iter().map(|id| if self.owns(id) { done.next().unwrap_or_else(other) } else { other() }).collect();
        for done in done.chunks(wire::ITEMS_IN_FRAME) {
            self.answer(root, GraveAnswer::Undone(done.to_vec()))?;
        }
        Ok(())
    }

    /// Whether this key may know of what has this id in a grave.
    fn owns(&self, id: &str) -> bool {
        self.authority.owns(owner(run_of(id))) || seeded::is("graves-are-open-to-any-key")
    }

    fn answer(&self, root: u16, answer: GraveAnswer) -> Result<(), SendError> {
        send(&self.outbox, &FromServer::Grave { root, answer })
    }
}
