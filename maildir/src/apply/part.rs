//! A second message of one uniq gets a name of its own: a rename in its directory that replaces nothing.
//!
//! Taken when a batch begins, since contents are sent by the new name. Nothing leaves the tree by it; a crash leaves the old
//! name or the new one, and the next look tells of the message by the new one in either case.

use smd_protocol::step::Twin;
use smd_protocol::{Content, Entry, FileName};

use super::listing::Spot;
use super::stop::Stop;
use super::work::{Created, Origin, Work};
use crate::error::Context;
use crate::fs::Fs;
use crate::hash;
use crate::rename::rename_free;
use crate::root::if_there;

impl<F: Fs> Work<F> {
    /// Renames the one of two messages of a name that has these bytes.
    pub(super) fn part(&mut self, step: usize, twin: &Twin) -> Result<(), Stop> {
        let (from, to) = (&twin.from, twin.name());
        let shown = self.shown(from);
        let (mut spots, mut others) = (Vec::new(), 0);
        for spot in self.folders.takers(from).context("list", &shown)? {
            match self.content_at(twin, &spot)? {
                Some(content) if content == twin.content => spots.push(spot),
                Some(_) => others += 1,
                None => {}
            }
        }
        let taken = !self.folders.takers(&to).context("list", &shown)?.is_empty();
        let Some(spot) = spots.into_iter().next().filter(|_| others > 0 && !taken) else {
            return match self.holds(&to, &twin.content)? {
                true => Ok(()),
                false => Err(Stop::changed(&shown, "is no longer there twice, or the name for it is taken")),
            };
        };
        let dir = self.folders.place(&from.folder, spot.place).context("open", &shown)?;
        let info = spot.file.get(from.uniq.as_bytes().len()..).unwrap_or_default();
        let mut file = [to.uniq.as_bytes(), info].concat();
        if FileName::parse(&file).is_err() {
            file = FileName::spell(&to.uniq, true, &spot.flags());
        }
        rename_free(self.fs(), &dir, &spot.file, &dir, &file).context("rename", &shown)?;
        let there = Spot { place: spot.place, file };
        self.folders.refresh(&from.folder).context("list", &shown)?;
        self.folders.note(&to, there.clone());
        let entry = Entry { uniq: to.uniq.clone(), place: there.place, flags: there.flags(), content: twin.content };
        self.know(&to, Some(entry));
        self.tell_moved((from, &spot), (&to, &there));
        self.created.push(Created { step, name: to, spot: there, origin: Origin::Moved(from.clone(), spot) });
        Ok(())
    }

    /// The bytes of one of the files; none when it is gone.
    fn content_at(&mut self, twin: &Twin, spot: &Spot) -> Result<Option<Content>, Stop> {
        let shown = self.shown(&twin.from);
        let dir = self.folders.place(&twin.from.folder, spot.place).context("open", &shown)?;
        let Some(mut file) = if_there(self.fs().open(&dir, &spot.file)).context("open", &shown)? else {
            return Ok(None);
        };
        let (hashed, _) = hash::hash_file(self.fs(), &mut file).context("read", &shown)?;
        Ok(Some(hashed.content))
    }
}
