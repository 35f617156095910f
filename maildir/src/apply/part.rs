//! A second message of one uniq gets a name of its own: a rename in its directory that replaces nothing. Undone, it gets its
//! old one back.
//!
//! Taken when a batch begins, since contents are sent by the new name. Nothing leaves the tree by it; a crash leaves the old
//! name or the new one, and the next look tells of the message by the new one in either case.

use std::io;

use smd_protocol::step::Twin;
use smd_protocol::{Content, Entry, FileName, Name, seeded};

use super::back::Back;
use super::listing::Spot;
use super::stop::Stop;
use super::work::{Created, Origin, Work};
use crate::error::Context;
use crate::fs::Fs;
use crate::hash;
use crate::rename::rename_free;
use crate::root::if_there;

impl<F: Fs> Work<F> {
    /// Finds the one of two messages of a name that has these bytes; none when it was renamed before.
    pub(super) fn find_twin(&mut self, twin: &Twin) -> Result<Option<Spot>, Stop> {
        let shown = self.shown(&twin.from);
        let (mut spots, mut others) = (Vec::new(), 0);
        for spot in self.folders.takers(&twin.from).context("list", &shown)? {
            match self.content_at(&twin.from, &spot)? {
                Some(content) if content == twin.content => spots.push(spot),
                Some(_) => others += 1,
                None => {}
            }
        }
        let taken = !self.folders.takers(&twin.name()).context("list", &shown)?.is_empty();
        match spots.into_iter().next().filter(|_| others > 0 && !taken) {
            Some(spot) => Ok(Some(spot)),
            None if self.holds(&twin.name(), &twin.content)? => Ok(None),
            None => Err(Stop::changed(&shown, "is no longer there twice, or the name for it is taken")),
        }
    }

    /// Gives it the name of its own.
    pub(super) fn part(&mut self, step: usize, twin: &Twin, spot: Spot) -> Result<(), Stop> {
        let (from, to) = (&twin.from, twin.name());
        let Some(there) = self.rename_beside(from, &spot, &to)? else {
            return Err(Stop::changed(&self.shown(from), "is there twice, and the name for it is taken"));
        };
        let entry = Entry { uniq: to.uniq.clone(), place: there.place, flags: there.flags(), content: twin.content };
        self.know(&to, Some(entry));
        self.tell_moved((from, &spot), (&to, &there));
        self.created.push(Created { step, name: to, spot: there, origin: Origin::Moved(from.clone(), spot) });
        Ok(())
    }

    /// Gives a message of a folder another uniq and leaves all else of its name; none when a file of its directory has that.
    fn rename_beside(&mut self, from: &Name, spot: &Spot, to: &Name) -> Result<Option<Spot>, Stop> {
        let shown = self.shown(from);
        let dir = self.folders.place(&from.folder, spot.place).context("open", &shown)?;
        let info = spot.file.get(from.uniq.as_bytes().len()..).unwrap_or_default();
        let mut file = [to.uniq.as_bytes(), info].concat();
        if FileName::parse(&file).is_err() {
            file = FileName::spell(&to.uniq, true, &spot.flags());
        }
        match rename_free(self.fs(), &dir, &spot.file, &dir, &file) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            other => other.context("rename", &shown)?,
        }
        let there = Spot { place: spot.place, file };
        self.folders.refresh(&from.folder).context("list", &shown)?;
        self.folders.note(to, there.clone());
        Ok(Some(there))
    }

    /// Gives a message that was the second of its name that name back, whatever flags it got since, unless a file has it or the
    /// bytes are others. Afterwards there may be two of one name again.
    pub(super) fn rename_back(&mut self, old: &Name, now: &Name, content: &Content) -> Result<Back, Stop> {
        let shown = self.shown(now);
        let hint = "rename it by hand";
        match self.read_message(now)? {
            Some((spot, found, file)) if found == *content || seeded::is("undo-renames-any-bytes") => {
                self.fs().sync_file(&file).context("sync", &shown)?;
                match self.rename_beside(now, &spot, old)? {
                    Some(_) => Ok(Back::Returned),
                    None => Err(Stop::failed(&shown, "keeps its name, since another message has the old one", hint)),
                }
            }
            Some(_) => Err(Stop::failed(&shown, "was edited since it was renamed", hint)),
            None => {
                let spots = if_there(self.folders.takers(old)).context("list", &shown)?;
                for spot in spots.into_iter().flatten() {
                    if self.content_at(old, &spot)? == Some(*content) {
                        self.folders.mark(&old.folder, Some(spot.place));
                        return Ok(Back::IsThere);
                    }
                }
                Err(Stop::failed(&shown, "is no longer there", "look for it in other folders"))
            }
        }
    }

    /// The bytes of one of the files of a name; none when it is gone.
    fn content_at(&mut self, name: &Name, spot: &Spot) -> Result<Option<Content>, Stop> {
        let shown = self.shown(name);
        let dir = self.folders.place(&name.folder, spot.place).context("open", &shown)?;
        let Some(mut file) = if_there(self.fs().open(&dir, &spot.file)).context("open", &shown)? else {
            return Ok(None);
        };
        let (hashed, _) = hash::hash_file(self.fs(), &mut file).context("read", &shown)?;
        Ok(Some(hashed.content))
    }
}
