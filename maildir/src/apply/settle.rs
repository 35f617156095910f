//! Bytes that may not stay in the grave: other ones than were to be buried.
//!
//! They go back to their name, or, when that is taken by others, under the *fresh uniq*: the digest of all their bytes, with
//! a counter until it is free. A name that holds the same bytes already is that message.

use std::io;

use smd_protocol::names::printable;
use smd_protocol::{Content, FileName, Folder, Name, Place, seeded};

use super::listing::Spot;
use super::stop::Stop;
use super::work::Work;
use crate::error::{Context, Trouble};
use crate::fs::{Fs, Kind};
use crate::grave::{Buried, Record, Ticket, Why, record_of};
use crate::hash;
use crate::root::if_there;

/// Most messages of one digest and other bytes that are tried; there are none, short of a broken hash.
pub(super) const FRESH_TRIES: u32 = 100;

impl<F: Fs> Work<F> {
    /// Gives taken bytes back to the name that they had, or else to the fresh uniq.
    pub(super) fn give_back(&mut self, folder: &Folder, spot: &Spot, ticket: &Ticket) -> Result<(), Stop> {
        let shown = self.root.shown(folder, &spot.file);
        let dir = self.folders.place_made(folder, spot.place).context("open", &shown)?;
        match self.grave.give_back(ticket, &dir, &spot.file) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.settle_fresh(folder, spot, ticket),
            other => {
                other.context("give back", &shown)?;
                if let Ok(FileName { uniq, .. }) = FileName::parse(&spot.file) {
                    self.folders.note(&Name::new(folder, &uniq), spot.clone());
                }
                Ok(())
            }
        }
    }

    /// Finds a message that a step is about to take away, move or replace. Names to spare, which a scan took for the same
    /// message since their bytes are equal, rest in the grave first: else the step would leave one of them behind, as a
    /// message that nobody knows.
    pub(super) fn find_alone(&mut self, name: &Name) -> Result<Option<Spot>, Stop> {
        let shown = self.shown(name);
        let there = match if_there(self.folders.dir(&name.folder)).context("open", &shown)? {
            Some(_) => self.folders.takers(name).context("list", &shown)?,
            None => Vec::new(),
        };
        if there.len() > 1
            && let Some(expected) = self.expected(name)
        {
            let is_expected = |spot: &Spot| spot.place == expected.place && spot.flags() == expected.flags;
            let main = there.iter().position(is_expected).unwrap_or(0);
            for (_, spare) in there.iter().enumerate().filter(|(at, _)| *at != main) {
                self.bury_spare(name, &there[main], spare, &expected.content)?;
            }
            self.folders.refresh(&name.folder).context("list", &shown)?;
        }
        self.folders.find(name)
    }

    /// Takes one of several names of a message away, if it still has these bytes. A message that was renamed while it was
    /// listed is listed under two names and has one: so the main one must be there, before and afterwards.
    fn bury_spare(&mut self, name: &Name, main: &Spot, spare: &Spot, content: &Content) -> Result<(), Stop> {
        let shown = self.shown(name);
        for spot in [main, spare] {
            // What is no message is told by whoever looks for one.
            if !self.has_file(name, spot)? {
                return Ok(());
            }
        }
        let dir = self.folders.place(&name.folder, spare.place).context("open", &shown)?;
        let record = record_of(Why::Deleted, name, spare.place, &spare.file, *content);
        for ticket in self.grave.announce(vec![record]).context("write the grave for", &shown)? {
            if if_there(self.grave.take(&ticket, &dir, &spare.file)).context("bury", &shown)?.is_some() {
                self.folders.mark(&name.folder, Some(spare.place));
                if !self.has_file(name, main).unwrap_or(false) {
                    self.give_back(&name.folder, spare, &ticket)?;
                    return Err(Stop::changed(&shown, "keeps being renamed"));
                }
                self.look_at_taken(name, spare, content, &ticket)?;
                self.tell_removed(&name.folder, spare);
            }
        }
        Ok(())
    }

    fn has_file(&mut self, name: &Name, spot: &Spot) -> Result<bool, Stop> {
        let shown = self.shown(name);
        let dir = self.folders.place(&name.folder, spot.place).context("open", &shown)?;
        let stat = if_there(self.fs().stat(&dir, &spot.file)).context("look at", &shown)?;
        Ok(stat.is_some_and(|stat| stat.kind == Kind::File))
    }

    /// What was taken.
    pub(super) fn taken_content(&self, ticket: &Ticket) -> io::Result<Content> {
        let mut file = self.grave.open_taken(ticket)?;
        Ok(hash::hash_file(self.fs(), &mut file)?.0.content)
    }

    /// Installs taken bytes under the fresh uniq, with place and flags as they were.
    pub(super) fn settle_fresh(&mut self, folder: &Folder, spot: &Spot, ticket: &Ticket) -> Result<(), Stop> {
        let shown = self.root.shown(folder, &spot.file);
        if seeded::is("edited-bytes-rest-in-the-grave") {
            return Ok(self.grave.keep(ticket).context("bury", &shown)?);
        }
        let content = self.taken_content(ticket).context("read in the grave what was", &shown)?;
        let whole = self.grave.open_taken(ticket).and_then(|mut file| hash::whole(self.fs(), &mut file));
        let whole = whole.context("read in the grave what was", &shown)?;
        let dir = self.folders.place_made(folder, spot.place).context("open", &shown)?;
        for n in 0..FRESH_TRIES {
            let name = Name::new(folder, &hash::fresh_uniq(&whole, n));
            match self.read_message(&name)? {
                // It is that message; the copy may rest.
                Some((_, there, _)) if there == content => {
                    return Ok(self.grave.keep(ticket).context("bury", &shown)?);
                }
                Some(_) => continue,
                None => {}
            }
            let fresh =
                Spot { place: spot.place, file: FileName::spell(&name.uniq, spot.place == Place::Cur, &spot.flags()) };
            match self.grave.give_back(ticket, &dir, &fresh.file) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other.context("give back", &shown)?,
            }
            self.tell_added(folder, &fresh);
            self.folders.note(&name, fresh);
            return Ok(());
        }
        Err(Stop::failed(&shown, "is kept in the grave: every name for it is taken", "bring it back with smd-undo"))
    }

    /// Settles what a crash left in the grave between taking and looking.
    pub(super) fn settle_leftovers(&mut self) -> Vec<Trouble> {
        let leftovers = match self.grave.unsettled().context("list the grave of", self.shown_root()) {
            Ok(leftovers) => leftovers,
            Err(error) => return vec![Trouble { path: Vec::new(), text: error.to_string() }],
        };
        let mut troubles = Vec::new();
        for Buried { ticket, record, .. } in leftovers {
            let settled = match &record {
                // Its line is lost: nobody knows where it belongs, so it rests.
                None => self.grave.keep(&ticket).context("settle the grave of", self.shown_root()).map_err(Stop::from),
                Some(record) => self.settle_leftover(&ticket, record),
            };
            if let Err(Stop::Changed(text) | Stop::Failed(text)) = settled {
                let path = record.map_or_else(Vec::new, |record| record.file);
                troubles.push(Trouble { path, text });
            }
        }
        if let Err(Stop::Changed(text) | Stop::Failed(text)) = self.sync_names() {
            troubles.push(Trouble { path: Vec::new(), text });
        }
        troubles
    }

    fn settle_leftover(&mut self, ticket: &Ticket, record: &Record) -> Result<(), Stop> {
        let shown = self.root.on_disk().shown(&record.folder, &record.file);
        let folder = self.root.canonical(&record.folder).context("settle in the grave what was", &shown)?;
        let record = &Record { folder, ..record.clone() };
        let found = self.taken_content(ticket).context("read in the grave what was", &shown)?;
        let (Some(content), Some(place)) = (record.content, record.place) else {
            return Ok(self.grave.keep(ticket).context("bury", &shown)?);
        };
        if found == content {
            return Ok(self.grave.keep(ticket).context("bury", &shown)?);
        }
        // New bytes that were laid here to be swapped, and were not, or were swapped back.
        if matches!(record.why, Why::Replaced | Why::Rewritten) && record.instead == Some(found) {
            return Ok(self.grave.discard(ticket).context("remove", &shown)?);
        }
        tracing::warn!(file = %printable(&record.file), folder = %record.folder, "gives back what a crash left in the grave");
        let spot = Spot { place, file: record.file.clone() };
        let uniq = FileName::parse(&record.file).ok().map(|name| name.uniq);
        let taken = match &uniq {
            Some(uniq) => self.folders.find(&Name::new(&record.folder, uniq))?.is_some(),
            None => false,
        };
        if if_there(self.root.folder_dir(&record.folder)).context("open", &shown)?.is_none() {
            self.make_folder(&record.folder)?;
        }
        match taken {
            true => self.settle_fresh(&record.folder, &spot, ticket),
            false => {
                self.give_back(&record.folder, &spot, ticket)?;
                self.tell_added(&record.folder, &spot);
                Ok(())
            }
        }
    }
}
