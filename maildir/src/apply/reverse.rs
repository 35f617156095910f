//! Takes back what a key did beside burying: messages that it moved, marked as trashed, and folders that it removed.
//!
//! The newest first, each from where it was put to where it was, by the same rename as any move. A message that is elsewhere or has
//! other bytes by now was touched since, and stays; a name that something else has keeps it, and what comes back lies beside it, as
//! for `back`. So the command may be cut, or given twice.
//!
//! What the grave gave back may have got a name of the same stem: it is looked for there too.

use smd_protocol::step::Dress;
use smd_protocol::{Content, Entry, Flags, Folder, Name, Place};

use super::Applier;
use super::back::Back;
use super::listing::Spot;
use super::settle::FRESH_TRIES;
use super::stop::Stop;
use super::work::Work;
use crate::error::Context;
use crate::fs::Fs;
use crate::hash;
use crate::keys::{How, What};
use crate::root::if_there;

/// What is said of a message that others had in hand since.
const TOUCHED: &str = "was moved, edited or removed since";
const STAYS: &str = "look for it by hand";

impl<F: Fs> Applier<F> {
    /// Takes these back, which are in the order in which they were done, and makes that durable. Gives what became of each, in the
    /// same order; of one that is no such thing, that it is as it was.
    pub fn take_back(&mut self, acts: &[What]) -> Vec<Back> {
        self.work.begin();
        for act in acts {
            let (from, at, content) = match act {
                What::Moved { from, to, content, .. } => (Some(from), to, content),
                What::Removed { how: How::Trashed, name, content, .. } => (None, name, content),
                _ => continue,
            };
            for name in from.into_iter().chain([at]) {
                self.work.folders.want(name);
                self.work.folders.want(&beside(name, content, 0));
            }
        }
        let mut outcomes: Vec<Back> = acts.iter().rev().map(|act| told(self.work.take_back(act))).collect();
        if let Err(text) = self.work.sync_names().map_err(Stop::text) {
            let taken = outcomes.iter_mut().filter(|back| matches!(back, Back::Returned | Back::Fresh(_)));
            taken.for_each(|back| *back = Back::Failed(text.clone()));
        }
        outcomes.reverse();
        outcomes
    }
}

fn told(taken: Result<Back, Stop>) -> Back {
    taken.unwrap_or_else(|stop| Back::Failed(stop.text()))
}

fn beside(name: &Name, content: &Content, nth: u32) -> Name {
    Name::new(&name.folder, &hash::successor(&name.uniq, content, nth))
}

fn without_trashed(flags: &Flags) -> Flags {
    let letters: Vec<u8> = flags.letters().filter(|letter| *letter != b'T').collect();
    Flags::from_stored(&letters, flags.rest())
}

impl<F: Fs> Work<F> {
    fn take_back(&mut self, act: &What) -> Result<Back, Stop> {
        match act {
            What::Moved { from, place, to, content } => self.move_back((from, *place), to, content),
            What::Removed { how: How::Trashed, name, content, .. } => self.unmark(name, content),
            What::Unfolded(folder) => self.fold_back(folder),
            What::Run { .. } | What::Removed { .. } | What::End { .. } => Ok(Back::IsThere),
        }
    }

    /// Where these bytes are now, of a name or of that beside it. What is there is what a step may expect.
    fn lies(&mut self, name: &Name, content: &Content) -> Result<Option<(Name, Spot)>, Stop> {
        for name in [name.clone(), beside(name, content, 0)] {
            let Some((spot, found, _)) = self.read_message(&name)? else { continue };
            if found == *content {
                let entry =
                    Entry { uniq: name.uniq.clone(), place: spot.place, flags: spot.flags(), content: *content };
                self.know(&name, Some(entry));
                return Ok(Some((name, spot)));
            }
        }
        Ok(None)
    }

    fn move_back(&mut self, (from, was): (&Name, Place), to: &Name, content: &Content) -> Result<Back, Stop> {
        let Some((here, spot)) = self.lies(to, content)? else {
            return match self.lies(from, content)? {
                Some(_) => Ok(Back::IsThere),
                None => Err(Stop::failed(&self.shown(to), TOUCHED, STAYS)),
            };
        };
        self.fold_back(&from.folder)?;
        // It was unread, and nobody has flagged it since.
        let place = if spot.flags().is_empty() { was } else { spot.place };
        let dress = Dress { place, flags: spot.flags() };
        let beside = (0..FRESH_TRIES).map(|nth| beside(from, content, nth));
        for target in std::iter::once(from.clone()).chain(beside) {
            match self.read_message(&target)? {
                Some((_, found, _)) if found == *content => return Ok(Back::IsThere),
                Some(_) => continue,
                None => {}
            }
            self.relocate(0, &here, &target, &dress)?;
            return Ok(if target == *from { Back::Returned } else { Back::Fresh(target.uniq) });
        }
        Err(Stop::failed(&self.shown(from), "every name for it is taken", "move it back by hand"))
    }

    fn unmark(&mut self, name: &Name, content: &Content) -> Result<Back, Stop> {
        match self.lies(name, content)? {
            Some((here, spot)) if spot.flags().has(b'T') => {
                let dress = Dress { place: spot.place, flags: without_trashed(&spot.flags()) };
                self.relocate(0, &here, &here, &dress)?;
                Ok(Back::Returned)
            }
            Some(_) => Ok(Back::IsThere),
            None => Err(Stop::failed(&self.shown(name), TOUCHED, STAYS)),
        }
    }

    /// Makes a folder that is not there.
    fn fold_back(&mut self, folder: &Folder) -> Result<Back, Stop> {
        let shown = self.root.shown(folder, b"");
        if if_there(self.root.folder_dir(folder)).context("open", &shown)?.is_some() {
            return Ok(Back::IsThere);
        }
        self.make_folder(folder)?;
        Ok(Back::Returned)
    }
}
