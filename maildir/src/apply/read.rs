//! Opens a message by its name, however it is spelled now.

use std::io::{self, Read};

use smd_protocol::{Entry, FileName, Flags, Folder, Name, Place};

use super::listing::{self, Spot, Spots};
use crate::fs::{Fs, Stat};
use crate::root::{FolderDirs, Root, if_there};

/// Bytes read at once.
pub(super) const CHUNK: usize = 128 * 1024;
/// How often a message that is renamed meanwhile is looked for.
const TRIES: usize = 3;

/// Hands on what is left of a file in pieces.
pub(super) fn each_chunk(file: &mut impl Read, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => each(&buffer[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// A message held open.
pub struct Message<F: Fs> {
    /// Its bytes, from the start.
    pub file: F::File,
    /// What the open file is.
    pub stat: Stat,
    /// Where it was found.
    pub place: Place,
    /// The flags of the name that it was found under.
    pub flags: Flags,
    /// That name.
    pub name: Vec<u8>,
}

/// Finds messages of a root for reading. Keeps the listing of one folder, so ask folder by folder.
pub struct Messages<F: Fs> {
    root: Root<F>,
    held: Option<Held<F>>,
}

struct Held<F: Fs> {
    folder: Folder,
    dirs: FolderDirs<F>,
    spots: Option<Spots>,
}

impl<F: Fs> Messages<F> {
    /// Nothing is looked at yet.
    pub fn new(root: Root<F>) -> Self {
        Self { root, held: None }
    }

    /// Forgets what was listed.
    pub fn forget(&mut self) {
        self.held = None;
    }

    /// Opens a message for reading. `hint` is what a scan saw: with it the folder need not be listed when the name
    /// is still spelled our way. What the bytes are is for the reader to check.
    ///
    /// # Errors
    /// `NotFound` when several looks miss it; anything else as the system says.
    pub fn open(&mut self, name: &Name, hint: Option<&Entry>) -> io::Result<Message<F>> {
        if self.held.as_ref().is_none_or(|held| held.folder != name.folder) {
            let dirs = self.root.folder(&name.folder)?;
            self.held = Some(Held { folder: name.folder.clone(), dirs, spots: None });
        }
        let held = self.held.as_mut().expect("set above");
        if let Some(entry) = hint {
            let file = FileName::spell(&name.uniq, entry.place == Place::Cur, &entry.flags);
            let tried = open_at(&*self.root.fs, &held.dirs, Spot { place: entry.place, file });
            match tried {
                // A name that is too long for us to spell may be there in a shorter spelling.
                Err(e) if e.kind() != io::ErrorKind::InvalidFilename => return Err(e),
                Ok(Some(message)) => return Ok(message),
                _ => {}
            }
        }
        for _ in 0..TRIES {
            if held.spots.is_none() {
                held.spots = Some(listing::list(&*self.root.fs, &held.dirs, |_| true)?);
            }
            let spots = held.spots.as_ref().and_then(|spots| spots.get(name.uniq.as_bytes()));
            for spot in spots.into_iter().flatten() {
                if let Some(message) = open_at(&*self.root.fs, &held.dirs, spot.clone())? {
                    return Ok(message);
                }
            }
            held.spots = None;
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "the message is gone"))
    }
}

fn open_at<F: Fs>(fs: &F, dirs: &FolderDirs<F>, spot: Spot) -> io::Result<Option<Message<F>>> {
    let Some(dir) = dirs.place(spot.place) else { return Ok(None) };
    let Some(file) = if_there(fs.open(dir, &spot.file))? else { return Ok(None) };
    let stat = fs.stat_file(&file)?;
    Ok(Some(Message { file, stat, place: spot.place, flags: spot.flags(), name: spot.file }))
}

/// Opens one message; for many, keep [`Messages`].
///
/// # Errors
/// As [`Messages::open`].
pub fn open_message<F: Fs>(root: &Root<F>, name: &Name) -> io::Result<Message<F>> {
    Messages::new(root.clone()).open(name, None)
}
