//! Brings back what rests in a grave, for `smd-undo`.
//!
//! Each message goes back by one rename to where it was, under the name that it had, flags and all. It is in the grave or
//! in the folder at every instant, so that a command that was cut, or is given twice, adds nothing. A uniq that holds the
//! same bytes, under whatever flags, is that message; one that holds other bytes keeps its name, and what comes back gets
//! a name of the same stem ([`hash::successor`]); so does what must not seem never to have gone ([`Resting::anew`]). Bytes that a tool
//! of this host took out change places with those that it put there. What was only renamed is renamed back (`part`).
//!
//! The index of a grave names folders by their paths on this host, so this is done with a root that has no naming.
//!
//! Deliberately not here: which ones (`smd-tools`), and the root's lock, under which this is done.

use std::io;

use smd_protocol::{FileName, Folder, Name, Place, Uniq, seeded};

use super::Applier;
use super::listing::Spot;
use super::settle::FRESH_TRIES;
use super::stop::Stop;
use super::work::{TRIES, Work};
use crate::error::Context;
use crate::fs::Fs;
use crate::grave::{Resting, Why};
use crate::hash;
use crate::root::if_there;

/// What became of something that should come back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Back {
    /// It is where it was.
    Returned,
    /// It is in its folder under this uniq, since its own holds other bytes or is in a base still.
    Fresh(Uniq),
    /// The mailbox has it already.
    IsThere,
    /// It still rests: why.
    Failed(String),
}

impl<F: Fs> Applier<F> {
    /// Brings these back and makes that durable. Gives what became of each. They should come folder by folder.
    pub fn bring_back(&mut self, all: &[Resting<F>]) -> Vec<Back> {
        self.work.begin();
        for resting in all {
            if let Some(record) = &resting.buried.record
                && let Ok(file) = FileName::parse(&record.file)
            {
                self.work.folders.want(&Name::new(&record.folder, &file.uniq));
                if let Some(uniq) = &record.renamed {
                    self.work.folders.want(&Name::new(&record.folder, uniq));
                }
                // Most replaced messages will need another name: asked for one by one, each would list its folder anew.
                if let (Why::Replaced, Some(content)) = (record.why, &record.content) {
                    self.work.folders.want(&Name::new(&record.folder, &hash::successor(&file.uniq, content, 0)));
                }
            }
        }
        // All at once, as each alone would list the directory above. One that cannot be made is told of with its messages.
        let folders = all.iter().filter_map(|resting| resting.buried.record.as_ref());
        let folders = folders.filter(|record| record.place.is_some() && record.renamed.is_none());
        let mut missing: Vec<Folder> = folders.map(|record| record.folder.clone()).collect();
        missing.dedup();
        missing.retain(|folder| matches!(if_there(self.work.root.folder_dir(folder)), Ok(None)));
        self.work.make_folders(&missing);
        let mut outcomes: Vec<Back> = all
            .iter()
            .map(|resting| match self.work.bring_back(resting) {
                Ok(back) => back,
                Err(stop) => Back::Failed(stop.text()),
            })
            .collect();
        // First the folders, then the graves: a crash between the two leaves both names, and never none.
        let done: Vec<&Resting<F>> = all
            .iter()
            .zip(&outcomes)
            .filter(|(_, back)| !matches!(back, Back::Failed(_)))
            .map(|(one, _)| one)
            .collect();
        let shown = self.work.shown_root();
        let early = if seeded::is("notes-back-first") { Resting::note_back(&done).is_ok() } else { false };
        let noted = self.work.sync_names().and_then(|()| match early {
            true => Ok(()),
            false => Ok(Resting::note_back(&done).context("write the grave of", shown)?),
        });
        if let Err(text) = noted.map_err(Stop::text) {
            outcomes.iter_mut().filter(|back| !matches!(back, Back::Failed(_))).for_each(|back| {
                *back = Back::Failed(text.clone());
            });
        }
        outcomes
    }
}

impl<F: Fs> Work<F> {
    fn bring_back(&mut self, resting: &Resting<F>) -> Result<Back, Stop> {
        let Some(record) = &resting.buried.record else {
            let file = resting.buried.ticket.kept();
            return Err(Stop::failed(&file, "has lost its line in the index of the grave", "move it back by hand"));
        };
        let shown = self.root.shown(&record.folder, &record.file);
        let (Some(place), Some(content)) = (record.place, record.content) else {
            return self.bring_control_back(resting);
        };
        let spot = Spot { place, file: record.file.clone() };
        let Ok(FileName { uniq, .. }) = FileName::parse(&record.file) else {
            return Err(Stop::failed(&shown, "was no message", "move it back by hand"));
        };
        if let Some(now) = &record.renamed {
            return self.rename_back(&Name::new(&record.folder, &uniq), &Name::new(&record.folder, now), &content);
        }
        let mut file = resting.open().context("open in the grave what was", &shown)?;
        let (hashed, _) = hash::hash_file(self.fs(), &mut file).context("read in the grave what was", &shown)?;
        let name = Name::new(&record.folder, &uniq);
        let rewritten = record.instead.filter(|_| record.why == Why::Rewritten);
        if hashed.content != content {
            // A command that was cut had let them change places already.
            if rewritten == Some(hashed.content) && self.holds(&name, &content)? {
                return Ok(Back::IsThere);
            }
            return Err(Stop::failed(&shown, "has other bytes in the grave than were buried", "look at it there"));
        }
        // Bytes before names, as in every step.
        self.fs().sync_file(&file).context("sync in the grave what was", &shown)?;
        if if_there(self.root.folder_dir(&record.folder)).context("open", &shown)?.is_none() {
            self.make_folder(&record.folder)?;
        }
        for _ in 0..TRIES {
            if let Some((there, found, _)) = self.read_message(&name)? {
                if self.holds(&name, &content)? {
                    return Ok(Back::IsThere);
                }
                if rewritten == Some(found) {
                    match self.swap_home(resting, &name, &there, &found)? {
                        true => return Ok(Back::Returned),
                        false => continue,
                    }
                }
                return self.bring_back_fresh(resting, &name, &spot, &content);
            }
            if resting.anew && !seeded::is("undo-forgets-the-base") {
                return self.bring_back_fresh(resting, &name, &spot, &content);
            }
            if self.try_name(resting, &name, &spot)? {
                return Ok(Back::Returned);
            }
        }
        Err(Stop::changed(&shown, "keeps being renamed"))
    }

    /// Lets it change places with what a tool of this host made of it, then looks at what came out. False: the name changed
    /// meanwhile.
    fn swap_home(
        &mut self,
        resting: &Resting<F>,
        name: &Name,
        spot: &Spot,
        made: &smd_protocol::Content,
    ) -> Result<bool, Stop> {
        let shown = self.root.shown(&name.folder, &spot.file);
        let dir = self.folders.place(&name.folder, spot.place).context("open", &shown)?;
        if if_there(resting.swap(&dir, &spot.file)).context("swap", &shown)?.is_none() {
            self.folders.refresh(&name.folder).context("list", &shown)?;
            return Ok(false);
        }
        self.folders.note(name, spot.clone());
        let look = |work: &Self| {
            let hashed = resting.open().and_then(|mut file| hash::hash_file(work.fs(), &mut file));
            hashed.map(|(hashed, _)| hashed.content)
        };
        let came = look(self);
        if came.as_ref().is_ok_and(|came| came == made) {
            return Ok(true);
        }
        // An edit that was made meanwhile goes back to its name, or, where that changed once more, gets its fresh uniq.
        let swapped = resting.swap(&dir, &spot.file);
        let edited = came.context("read in the grave what was", &shown)?;
        if swapped.is_err() || look(self).is_ok_and(|left| left == edited) {
            self.bring_back_fresh(resting, name, spot, &edited)?;
        }
        Err(Stop::changed(&shown, "was edited"))
    }

    fn bring_back_fresh(
        &mut self,
        resting: &Resting<F>,
        old: &Name,
        spot: &Spot,
        content: &smd_protocol::Content,
    ) -> Result<Back, Stop> {
        let shown = self.root.shown(&old.folder, &spot.file);
        for n in 0..FRESH_TRIES {
            let name = Name::new(&old.folder, &hash::successor(&old.uniq, content, n));
            if self.read_message(&name)?.is_some() {
                if self.holds(&name, content)? {
                    return Ok(Back::IsThere);
                }
                continue;
            }
            let file = FileName::spell(&name.uniq, spot.place == Place::Cur, &spot.flags());
            if self.try_name(resting, &name, &Spot { place: spot.place, file })? {
                return Ok(Back::Fresh(name.uniq));
            }
        }
        Err(Stop::failed(&shown, "stays in the grave: every name for it is taken", "move it back by hand"))
    }

    /// Gives it this name unless something has it.
    fn try_name(&mut self, resting: &Resting<F>, name: &Name, spot: &Spot) -> Result<bool, Stop> {
        let shown = self.root.shown(&name.folder, &spot.file);
        let dir = self.folders.place_made(&name.folder, spot.place).context("open", &shown)?;
        match resting.bring_back(&dir, &spot.file) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.folders.refresh(&name.folder).context("list", &shown)?;
                Ok(false)
            }
            other => {
                other.context("bring back", &shown)?;
                self.folders.note(name, spot.clone());
                Ok(true)
            }
        }
    }

    /// A control file of a mail program goes back only to a folder that is there and has none of its own: it says
    /// something about that folder's messages.
    fn bring_control_back(&mut self, resting: &Resting<F>) -> Result<Back, Stop> {
        let Some(record) = resting.buried.record.as_ref().filter(|record| record.why == Why::Control) else {
            return Err(Stop::failed(&resting.buried.ticket.kept(), "is described badly", "move it back by hand"));
        };
        let shown = self.root.shown(&record.folder, &record.file);
        let Some(dir) = if_there(self.root.folder_dir(&record.folder)).context("open", &shown)? else {
            return Ok(Back::IsThere);
        };
        match resting.bring_back(&dir, &record.file) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(Back::IsThere),
            other => {
                other.context("bring back", &shown)?;
                self.folders.mark(&record.folder, None);
                Ok(Back::Returned)
            }
        }
    }
}
