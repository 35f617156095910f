//! How each step is taken, and when it is refused.
//!
//! A name is given with `RENAME_NOREPLACE`; a message leaves its name by a rename into the grave, and is looked at there.
//! So nothing is overwritten, whatever others do at the same time, and a crash leaves either the old or the new.

use std::io;

use smd_protocol::step::Dress;
use smd_protocol::{Content, Entry, FileName, Name, Place, seeded};

use super::Installed;
use super::listing::Spot;
use super::read;
use super::settle::FRESH_TRIES;
use super::stage::{Draft, StageError, Staged};
use super::stop::{Stop, other_spelling};
use super::work::{Created, Origin, TRIES, Work};
use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::grave::{Record, Ticket, Why, record_of};
use crate::hash;
use crate::rename::{is_unsupported, rename_free};
use crate::root::if_there;

fn spell(name: &Name, dress: &Dress) -> Spot {
    Spot { place: dress.place, file: FileName::spell(&name.uniq, dress.place == Place::Cur, &dress.flags) }
}

fn entry(name: &Name, dress: &Dress, content: Content) -> Entry {
    Entry { uniq: name.uniq.clone(), place: dress.place, flags: dress.flags.clone(), content }
}

fn is_dressed(spot: &Spot, place: Place, flags: &smd_protocol::Flags) -> bool {
    spot.place == place && spot.flags() == *flags
}

impl<F: Fs> Work<F> {
    /// Installs staged bytes under a name that is free; `spelled` is how the other host spells it.
    pub(super) fn put(
        &mut self,
        step: usize,
        to: &Name,
        dress: &Dress,
        content: &Content,
        staged: &Staged,
        spelled: Option<Vec<u8>>,
    ) -> Result<(), Stop> {
        let shown = self.shown(to);
        if !self.folders.takers(to).context("list", &shown)?.is_empty() && self.is_taken_by(to, content)? {
            self.discard(staged);
            return Ok(());
        }
        let spot = match spelled {
            Some(file) => Spot { place: dress.place, file },
            None => spell(to, dress),
        };
        let tmp = self.folders.tmp(&to.folder).context("open", &shown)?;
        let dir = self.folders.place_made(&to.folder, dress.place).context("open", &shown)?;
        match rename_free(self.fs(), &tmp, &staged.file, &dir, &spot.file) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                // It came meanwhile, or this file system takes the name for another that it has.
                self.folders.refresh(&to.folder).context("list", &shown)?;
                if !self.is_taken_by(to, content)? {
                    return Err(other_spelling(&shown));
                }
                self.discard(staged);
                return Ok(());
            }
            other => other.context("install", &shown)?,
        }
        self.folders.note(to, spot.clone());
        self.know(to, Some(entry(to, dress, *content)));
        self.installed.push(Installed { name: to.clone(), content: *content, stat: staged.stat });
        self.tell_added(&to.folder, &spot);
        self.created.push(Created { step, name: to.clone(), spot, origin: Origin::Staged(*content) });
        Ok(())
    }

    /// Whether a name has these bytes already. Other bytes stop the step; false: nothing is there.
    fn is_taken_by(&mut self, name: &Name, content: &Content) -> Result<bool, Stop> {
        match self.holds(name, content)? {
            true => Ok(true),
            false if self.folders.find(name)?.is_none() => Ok(false),
            false => Err(Stop::changed(&self.shown(name), "is another message by now")),
        }
    }

    /// Renames a message.
    pub(super) fn relocate(&mut self, step: usize, from: &Name, to: &Name, dress: &Dress) -> Result<(), Stop> {
        let shown = self.shown(from);
        let target = spell(to, dress);
        for _ in 0..TRIES {
            let Some(spot) = self.find_alone(from)? else { return self.relocated_before(from, to) };
            let Some(expected) = self.expected(from) else { return Err(Stop::changed(&shown, "was not there before")) };
            if from == to && is_dressed(&spot, dress.place, &dress.flags) {
                self.know(to, Some(entry(to, dress, expected.content)));
                self.folders.mark(&to.folder, Some(spot.place));
                return Ok(());
            }
            if !is_dressed(&spot, expected.place, &expected.flags) && !seeded::is("overwrites-flags") {
                return Err(Stop::changed(&shown, "got other flags in the meantime"));
            }
            if from != to && self.is_taken(to)? {
                return Err(Stop::changed(&self.shown(to), "was taken meanwhile"));
            }
            let source = self.folders.place(&from.folder, spot.place).context("open", &shown)?;
            let dir = self.folders.place_made(&to.folder, dress.place).context("open", self.shown(to))?;
            match rename_free(self.fs(), &source, &spot.file, &dir, &target.file) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    self.folders.refresh(&from.folder).context("list", &shown)?;
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    self.folders.refresh(&to.folder).context("list", self.shown(to))?;
                    return Err(match self.folders.takers(to).context("list", self.shown(to))?.is_empty() {
                        true => other_spelling(&self.shown(to)),
                        false => Stop::changed(&self.shown(to), "was taken meanwhile"),
                    });
                }
                Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
                    self.carry_across(from, &spot, to, &target, &expected.content)?
                }
                Err(e) => return Err(Err::<(), _>(e).context("rename", &shown).expect_err("an error").into()),
            }
            self.folders.note_gone(from, spot.place);
            self.folders.note(to, target.clone());
            self.tell_moved((from, &spot), (to, &target));
            if from != to {
                self.know(from, None);
                self.created.push(Created {
                    step,
                    name: to.clone(),
                    spot: target,
                    origin: Origin::Moved(from.clone(), spot),
                });
            }
            self.know(to, Some(entry(to, dress, expected.content)));
            return Ok(());
        }
        Err(Stop::changed(&shown, "keeps being renamed"))
    }

    /// Whether something has this name.
    fn is_taken(&mut self, name: &Name) -> Result<bool, Stop> {
        // The listing first: a find that misses looks twice.
        let shown = self.shown(name);
        Ok(!self.folders.takers(name).context("list", &shown)?.is_empty() && self.folders.find(name)?.is_some())
    }

    /// The source of a move is gone: done, if the target has its bytes.
    fn relocated_before(&mut self, from: &Name, to: &Name) -> Result<(), Stop> {
        let content = self.expected(from).or_else(|| self.scanned(from)).map(|entry| entry.content);
        match content {
            Some(content) if from != to && self.holds(to, &content)? => {
                self.know(from, None);
                Ok(())
            }
            _ => Err(Stop::changed(&self.shown(from), "is gone")),
        }
    }

    /// A move between two file systems: a durable, checked copy first, then the source goes. After a crash
    /// between the two, both are there; the next plan sees a target that holds these bytes, and deletes the source.
    fn carry_across(
        &mut self,
        from: &Name,
        spot: &Spot,
        to: &Name,
        target: &Spot,
        content: &Content,
    ) -> Result<(), Stop> {
        let (shown, shown_to) = (self.shown(from), self.shown(to));
        let source = self.folders.place(&from.folder, spot.place).context("open", &shown)?;
        let dir = self.folders.place(&to.folder, target.place).context("open", &shown_to)?;
        let mut file = self.fs().open(&source, &spot.file).context("open", &shown)?;
        let stat = self.fs().stat_file(&file).context("look at", &shown)?;
        let tmp = self.folders.tmp(&to.folder).context("open", &shown_to)?;
        let (fs, quota) = (self.root.fs.clone(), self.quota.clone());
        let mut draft = Draft::create(&fs, &quota, tmp.clone(), &to.folder, stat.size, || self.tmp_name())
            .map_err(|denied| Stop::denied("write", &shown_to, denied))?;
        let mut written = Ok(());
        let copied = read::each_chunk(&mut file, |chunk| {
            written = draft.write(chunk);
            if written.is_ok() { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
        });
        if written.is_err() || copied.is_err() || draft.hashed().content != *content {
            draft.discard();
            written.map_err(|denied| Stop::denied("write", &shown_to, denied))?;
            copied.context("copy", &shown)?;
            return Err(Stop::changed(&shown, "was edited"));
        }
        let staged = draft.finish(stat.mtime, true).map_err(|(StageError::Io(cause) | StageError::Sync(cause))| {
            Error { action: "write", path: shown_to.clone(), cause }
        })?;
        let installed = rename_free(self.fs(), &tmp, &staged.file, &dir, &target.file);
        let installed = if seeded::is("carries-names-unsynced") {
            installed
        } else {
            installed.and_then(|()| self.fs().sync_dir(&dir))
        };
        if let Err(error) = installed.context("install", &shown_to) {
            self.discard(&staged);
            return Err(error.into());
        }
        self.installed.push(Installed { name: to.clone(), content: *content, stat: staged.stat });
        if let Err(stop) = self.bury_carried(from, spot, &source, content) {
            // The source stays, so the copy goes. If it cannot, the next plan sees both.
            if self.remove_ours(&dir, &target.file, content).unwrap_or(false) {
                self.installed.pop();
            }
            return Err(stop);
        }
        Ok(())
    }

    /// Takes the source of a carried move away: into the grave, or, where there is none for its file system, by way of its `tmp/`
    /// out of the world, since its bytes are at the target.
    fn bury_carried(&mut self, from: &Name, spot: &Spot, source: &F::Dir, content: &Content) -> Result<(), Stop> {
        let shown = self.shown(from);
        let ticket = self.announce(Why::Moved, from, spot, *content, None)?;
        match self.grave.take(&ticket, source, &spot.file) {
            Ok(()) => self.look_at_taken(from, spot, content, &ticket),
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
                let tmp = self.folders.tmp(&from.folder).context("open", &shown)?;
                let aside = self.tmp_name();
                rename_free(self.fs(), source, &spot.file, &tmp, &aside).context("take", &shown)?;
                let hashed = self.fs().open(&tmp, &aside).and_then(|mut file| hash::hash_file(self.fs(), &mut file));
                if hashed.as_ref().is_ok_and(|(hashed, _)| hashed.content == *content) {
                    return Ok(self.fs().unlink(&tmp, &aside).context("remove", &shown)?);
                }
                match rename_free(self.fs(), &tmp, &aside, source, &spot.file) {
                    // The name was taken meanwhile, and the next sweep of `tmp/` must not find it there.
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.put_fresh(from, spot, &tmp, &aside)?,
                    other => other.context("give back", &shown)?,
                }
                hashed.context("read", &shown)?;
                Err(Stop::changed(&shown, "was edited"))
            }
            Err(e) => Err(Error { action: "bury", path: shown, cause: e }.into()),
        }
    }

    /// Gives a file in `tmp/`, whose bytes are nowhere else, the fresh uniq in its folder.
    fn put_fresh(&mut self, from: &Name, spot: &Spot, tmp: &F::Dir, aside: &[u8]) -> Result<(), Stop> {
        let shown = self.shown(from);
        let whole = self.fs().open(tmp, aside).and_then(|mut file| hash::whole(self.fs(), &mut file));
        let whole = whole.context("read", &shown)?;
        let dir = self.folders.place_made(&from.folder, spot.place).context("open", &shown)?;
        for n in 0..FRESH_TRIES {
            let name = Name::new(&from.folder, &hash::fresh_uniq(&whole, n));
            if self.read_message(&name)?.is_some() {
                continue;
            }
            let fresh =
                Spot { place: spot.place, file: FileName::spell(&name.uniq, spot.place == Place::Cur, &spot.flags()) };
            match rename_free(self.fs(), tmp, aside, &dir, &fresh.file) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other.context("give back", &shown)?,
            }
            self.folders.note(&name, fresh);
            return Ok(());
        }
        Err(Stop::failed(&shown, "lies in tmp/: every name for it is taken", "move it back by hand"))
    }

    /// Gives a message other bytes: swaps first, then reads what came out.
    pub(super) fn replace(
        &mut self,
        at: &Name,
        dress: &Dress,
        content: &Content,
        staged: &Staged,
        ticket: Option<Ticket>,
    ) -> Result<(), Stop> {
        let shown = self.shown(at);
        let Some(expected) = self.expected(at) else { return Err(Stop::changed(&shown, "was not there before")) };
        let ticket = match (ticket, self.find_alone(at)?) {
            (Some(ticket), _) => ticket,
            (None, Some(spot)) => self.announce(self.replaced, at, &spot, expected.content, Some(*content))?,
            (None, None) => return Err(Stop::changed(&shown, "is gone")),
        };
        let tmp = self.folders.tmp(&at.folder).context("open", &shown)?;
        self.grave.lay(&ticket, &tmp, &staged.file).context("use the grave for", &shown)?;
        let spot = match self.swap_in(at, dress, &expected, &ticket) {
            Ok(spot) => spot,
            Err(stop) => {
                // A call may fail after it took effect: other bytes than ours are settled by the next run.
                if self.taken_content(&ticket).is_ok_and(|found| found == *content) {
                    let _ = self.grave.discard(&ticket);
                }
                return Err(stop);
            }
        };
        let displaced = self.taken_content(&ticket);
        match &displaced {
            Ok(old) if (*old == expected.content || seeded::is("replaces-without-a-look")) && old != content => {
                self.grave.keep(&ticket).context("bury", &shown)?
            }
            // The step was taken before: a second copy of the new bytes came out.
            Ok(old) if old == content => self.grave.discard(&ticket).context("remove", &shown)?,
            _ => return Err(self.swap_back(at, &spot, content, &ticket, displaced)),
        }
        self.installed.push(Installed { name: at.clone(), content: *content, stat: staged.stat });
        self.folders.note(at, spot.clone());
        self.tell_removed(&at.folder, &spot);
        self.tell_added(&at.folder, &spot);
        self.know(at, Some(Entry { uniq: at.uniq.clone(), place: spot.place, flags: spot.flags(), content: *content }));
        if is_dressed(&spot, dress.place, &dress.flags) {
            return Ok(());
        }
        let target = spell(at, dress);
        let from = self.folders.place(&at.folder, spot.place).context("open", &shown)?;
        let to = self.folders.place_made(&at.folder, dress.place).context("open", &shown)?;
        match if_there(rename_free(self.fs(), &from, &spot.file, &to, &target.file)).context("rename", &shown)? {
            None => Err(Stop::changed(&shown, "got other flags in the meantime")),
            Some(()) => {
                self.folders.note_gone(at, spot.place);
                self.tell_moved((at, &spot), (at, &target));
                self.folders.note(at, target);
                self.know(at, Some(entry(at, dress, *content)));
                Ok(())
            }
        }
    }

    /// Announces one burial, where it could not be announced with those of the batch: the name got its message only now.
    fn announce(
        &mut self,
        why: Why,
        name: &Name,
        spot: &Spot,
        content: Content,
        instead: Option<Content>,
    ) -> Result<Ticket, Stop> {
        let record = Record { instead, ..record_of(why, name, spot.place, &spot.file, content) };
        let tickets = self.grave.announce(vec![record]).context("write the grave for", self.shown(name))?;
        Ok(tickets.into_iter().next().expect("one for each record"))
    }

    /// Swaps what lies in the grave with the message, however it is spelled now.
    fn swap_in(&mut self, at: &Name, dress: &Dress, expected: &Entry, ticket: &Ticket) -> Result<Spot, Stop> {
        let shown = self.shown(at);
        for _ in 0..TRIES {
            let Some(spot) = self.folders.find(at)? else { return Err(Stop::changed(&shown, "is gone")) };
            if !is_dressed(&spot, expected.place, &expected.flags) && !is_dressed(&spot, dress.place, &dress.flags) {
                return Err(Stop::changed(&shown, "got other flags in the meantime"));
            }
            let dir = self.folders.place(&at.folder, spot.place).context("open", &shown)?;
            match if_there(self.grave.swap(ticket, &dir, &spot.file)) {
                Ok(Some(())) => return Ok(spot),
                Ok(None) => self.folders.refresh(&at.folder).context("list", &shown)?,
                Err(e) if is_unsupported(&e) => {
                    return Err(Stop::failed(
                        &shown,
                        "is on a file system that cannot swap two names",
                        "move the mail to another file system",
                    ));
                }
                Err(e) => return Err(Error { action: "swap", path: shown, cause: e }.into()),
            }
        }
        Err(Stop::changed(&shown, "keeps being renamed"))
    }

    /// Undoes a swap that brought out other bytes than planned. If the name changed once more, what is left over is
    /// installed under the fresh uniq.
    fn swap_back(
        &mut self,
        at: &Name,
        spot: &Spot,
        content: &Content,
        ticket: &Ticket,
        displaced: io::Result<Content>,
    ) -> Stop {
        let shown = self.shown(at);
        self.folders.mark(&at.folder, Some(spot.place));
        let swapped =
            self.folders.place(&at.folder, spot.place).and_then(|dir| self.grave.swap(ticket, &dir, &spot.file));
        let ours = swapped.is_ok() && self.taken_content(ticket).is_ok_and(|found| found == *content);
        let left = match ours {
            true => self.grave.discard(ticket).context("remove", &shown).map_err(Stop::from),
            false => self.settle_fresh(&at.folder, spot, ticket),
        };
        match (left, displaced) {
            (Err(stop), _) => stop,
            (Ok(()), Err(cause)) => Error { action: "read", path: shown, cause }.into(),
            (Ok(()), Ok(_)) => Stop::changed(&shown, "was edited"),
        }
    }

    /// Puts a message into the grave, then looks at it there.
    pub(super) fn delete(&mut self, name: &Name, mut ticket: Option<Ticket>) -> Result<(), Stop> {
        let shown = self.shown(name);
        for _ in 0..TRIES {
            let Some(spot) = self.find_alone(name)? else {
                // Gone by our own hand, or not done: a user who gave it another name since the scan keeps it, and only its base
                // entry tells which message that is.
                let ours = self.expected(name).is_none() || seeded::is("gone-is-deleted");
                if !ours {
                    return Err(Stop::changed(&shown, "was moved or removed meanwhile"));
                }
                self.know(name, None);
                return Ok(());
            };
            let Some(expected) = self.expected(name) else { return Err(Stop::changed(&shown, "was not there before")) };
            let this = match ticket.take() {
                Some(ticket) => ticket,
                None => self.announce(Why::Deleted, name, &spot, expected.content, None)?,
            };
            let this = ticket.insert(this);
            let dir = self.folders.place(&name.folder, spot.place).context("open", &shown)?;
            match if_there(self.grave.take(this, &dir, &spot.file)).context("bury", &shown)? {
                Some(()) => {
                    self.folders.note_gone(name, spot.place);
                    self.look_at_taken(name, &spot, &expected.content, this)?;
                    self.tell_removed(&name.folder, &spot);
                    self.know(name, None);
                    return Ok(());
                }
                None => self.folders.refresh(&name.folder).context("list", &shown)?,
            }
        }
        Err(Stop::changed(&shown, "keeps being renamed"))
    }

    /// Reads what was taken: it is kept if it is what should go; anything else goes back.
    pub(super) fn look_at_taken(
        &mut self,
        name: &Name,
        spot: &Spot,
        content: &Content,
        ticket: &Ticket,
    ) -> Result<(), Stop> {
        let shown = self.shown(name);
        let looked = self.taken_content(ticket);
        if looked.as_ref().is_ok_and(|found| found == content) || seeded::is("deletes-without-a-look") {
            return Ok(self.grave.keep(ticket).context("bury", &shown)?);
        }
        self.give_back(&name.folder, spot, ticket)?;
        looked.context("read", &shown)?;
        Err(Stop::changed(&shown, "was edited"))
    }
}
