//! Folders made and removed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use smd_protocol::names::printable;
use smd_protocol::{Folder, Place, seeded};

use super::stop::{Stop, other_spelling};
use super::work::Work;
use crate::error::{Context, Error};
use crate::fs::{Fs, Kind};
use crate::grave::{Record, Why};
use crate::root::if_there;

/// Seconds after which a file in `tmp/` is rubbish, by the Maildir page.
const TMP_AGE: i64 = 36 * 3600;
/// What a folder has of directories.
const PARTS: [&[u8]; 3] = [b"new", b"cur", b"tmp"];
/// Beginnings of the names of control files that may go along into the grave when their folder is removed.
const CONTROL: [&[u8]; 8] = [
    b"dovecot-",
    b"dovecot.",
    b"maildirfolder",
    b".mbsyncstate",
    b".uidvalidity",
    b".isyncuidmap",
    b"courierimap",
    b"maildirsize",
];

fn is_control(name: &[u8]) -> bool {
    CONTROL.iter().any(|start| name.starts_with(start)) || seeded::is("buries-unknown-files")
}

fn below(above: &Folder, name: &[u8]) -> Folder {
    above.child(name).expect("a part of a folder's name is one")
}

fn parent(folder: &Folder) -> Option<Folder> {
    let components: Vec<&[u8]> = folder.components().collect();
    let (_, above) = components.split_last()?;
    Folder::from_components(above.iter().copied()).ok()
}

impl<F: Fs> Work<F> {
    /// Makes folders with their three directories, and what is missing above. They are made level by level, so that each
    /// directory is listed once, however many are made in it. Gives what became of each.
    pub(super) fn make_folders(&mut self, folders: &[Folder]) -> Vec<Result<(), Stop>> {
        let local = |folder: &Folder| self.root.local(folder).context("make the folder", self.root.shown(folder, b""));
        let locals: Vec<Result<Folder, Error>> = folders.iter().map(local).collect();
        let mut levels: BTreeMap<(usize, Folder), BTreeSet<Vec<u8>>> = BTreeMap::new();
        for local in locals.iter().flatten() {
            let mut above = Folder::root();
            for (depth, component) in local.components().enumerate() {
                levels.entry((depth, above.clone())).or_default().insert(component.to_vec());
                above = below(&above, component);
            }
        }
        let mut refused = HashMap::new();
        for ((_, above), names) in levels {
            self.make_in(&above, &names, &mut refused);
        }
        let each = folders.iter().zip(locals).map(|(folder, local)| match refused.get(&local?) {
            Some(stop) => Err(stop.clone()),
            None => self.make_parts(folder),
        });
        each.collect()
    }

    /// As [`Work::make_folders`], for one.
    pub(super) fn make_folder(&mut self, folder: &Folder) -> Result<(), Stop> {
        self.make_folders(std::slice::from_ref(folder)).into_iter().collect()
    }

    /// Makes directories in one, all by their paths on this host. Those that cannot be are refused, with all below them.
    fn make_in(&mut self, above: &Folder, names: &BTreeSet<Vec<u8>>, refused: &mut HashMap<Folder, Stop>) {
        let disk = self.root.on_disk();
        let shown = |name: &[u8]| disk.shown(above, name);
        let opened = match refused.get(above) {
            Some(stop) => Err(stop.clone()),
            None => disk.local_dir(above).context("open", shown(b"")).map_err(Stop::from),
        };
        let mut refuse = |name: &[u8], stop: Stop| drop(refused.insert(below(above, name), stop));
        let dir = match opened {
            Ok(dir) => dir,
            Err(stop) => return names.iter().for_each(|name| refuse(name, stop.clone())),
        };
        let mut unlisted: BTreeSet<&[u8]> = BTreeSet::new();
        for name in names {
            match self.folders.ensure_local(above, &dir, name).context("make the folder", shown(name)) {
                Ok(_) => drop(unlisted.insert(name.as_slice())),
                Err(error) => refuse(name, error.into()),
            }
        }
        let made = unlisted.clone();
        let listed = self.fs().list(&dir, &mut |name, _, _| _ = unlisted.remove(name)).context("list", shown(b""));
        if let Err(error) = listed {
            let stop = Stop::from(error);
            return made.into_iter().for_each(|name| refuse(name, stop.clone()));
        }
        for name in unlisted {
            // A file system that knows the name by another spelling would give us another folder's mail.
            // Another folder of this batch may be it, and still empty.
            let ino = |name: &[u8]| self.fs().stat(&dir, name).ok().map(|stat| stat.ino);
            let own = ino(name);
            if own.is_some() && !made.iter().any(|other| *other != name && ino(other) == own) {
                let _ = self.fs().remove_dir(&dir, name);
            }
            refuse(name, other_spelling(&shown(name)));
        }
    }

    /// Makes the three directories of a folder whose own is there.
    fn make_parts(&mut self, folder: &Folder) -> Result<(), Stop> {
        let shown = self.root.shown(folder, b"");
        let dir = self.root.folder_dir(folder).context("make the folder", &shown)?;
        for part in PARTS {
            self.folders.ensure(folder, &dir, part).context("make the folder", &shown)?;
        }
        self.folders.release(folder);
        for place in [Place::New, Place::Cur] {
            self.folders.mark(folder, Some(place));
        }
        Ok(())
    }

    /// Removes a folder in which no message and no unknown file is left. Its sub-folders stay, and so does its directory then. What
    /// has neither `cur` nor `new` is no folder, and left as it is.
    pub(super) fn remove_folder(&mut self, folder: &Folder) -> Result<(), Stop> {
        let shown = self.root.shown(folder, b"");
        let local = self.root.local(folder).context("remove", &shown)?;
        let Some(above) = parent(&local).filter(|_| !folder.is_root()) else {
            return Err(Stop::failed(
                &shown,
                "is the root, which is never removed",
                "remove it by hand on both hosts, and from the config",
            ));
        };
        let Some(dir) = if_there(self.root.folder_dir(folder)).context("open", &shown)? else { return Ok(()) };
        let mut is_folder = false;
        for part in [b"new", b"cur"] {
            if let Some(held) = if_there(self.fs().open_dir(&dir, part)).context("open", &shown)? {
                is_folder = true;
                if let Some(name) =
                    self.entries(&held).context("list", &shown)?.into_iter().map(|(name, _)| name).next()
                {
                    return Err(kept(&shown, &name));
                }
            }
        }
        // A directory that is no folder, or what is left of a removed one, is no business of ours.
        if !is_folder && !seeded::is("removes-what-is-no-folder") {
            return Ok(());
        }
        let (controls, has_others) = self.look_into(folder, &dir)?;
        let rubbish = self.look_into_tmp(&dir, &shown)?;
        self.folders.release(folder);
        self.folders.mark(folder, None);
        if let Some(tmp) = if_there(self.fs().open_dir(&dir, b"tmp")).context("open", &shown)? {
            for file in rubbish {
                if_there(self.fs().unlink(&tmp, &file)).context("remove", &shown)?;
            }
        }
        for part in PARTS {
            if let Err(error) = if_there(self.fs().remove_dir(&dir, part)).context("remove", &shown) {
                // Something came meanwhile: it is a folder still.
                for part in PARTS {
                    let _ = self.folders.ensure(folder, &dir, part);
                }
                return Err(error.into());
            }
        }
        self.bury_controls(folder, &dir, &controls)?;
        if !has_others {
            let name = local.components().last().expect("not the root");
            let above_dir = self.root.local_dir(&above).context("open", &shown)?;
            match if_there(self.fs().remove_dir(&above_dir, name)) {
                // What came meanwhile stays, and its directory with it.
                Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                other => drop(other.context("remove", &shown)?),
            }
            self.folders.mark_local(&above);
        }
        Ok(())
    }

    /// What the folder's own directory holds: its control files, and whether there are sub-directories.
    fn look_into(&mut self, folder: &Folder, dir: &F::Dir) -> Result<(Vec<Vec<u8>>, bool), Stop> {
        let shown = self.root.shown(folder, b"");
        let (mut controls, mut has_others) = (Vec::new(), false);
        for (name, kind) in self.entries(dir).context("list", &shown)? {
            match kind {
                _ if PARTS.contains(&&name[..]) => {}
                Kind::Dir => has_others = true,
                Kind::File if is_control(&name) => controls.push(name),
                _ => return Err(kept(&shown, &name)),
            }
        }
        Ok((controls, has_others))
    }

    /// The files of `tmp/` that may go: old ones and our own. The mtime of a staged file is its message's, so age is by
    /// the younger of both stamps.
    fn look_into_tmp(&mut self, dir: &F::Dir, shown: &[u8]) -> Result<Vec<Vec<u8>>, Stop> {
        let Some(tmp) = if_there(self.fs().open_dir(dir, b"tmp")).context("open", shown)? else {
            return Ok(Vec::new());
        };
        let oldest = self.fs().now().sec - TMP_AGE;
        let mut rubbish = Vec::new();
        for (name, _) in self.entries(&tmp).context("list", shown)? {
            let Some(stat) = if_there(self.fs().stat(&tmp, &name)).context("look at", shown)? else { continue };
            if stat.kind != Kind::File || !self.is_own(&name) && stat.mtime.sec.max(stat.ctime.sec) >= oldest {
                return Err(kept(shown, &name));
            }
            rubbish.push(name);
        }
        Ok(rubbish)
    }

    fn bury_controls(&mut self, folder: &Folder, dir: &F::Dir, controls: &[Vec<u8>]) -> Result<(), Stop> {
        let shown = self.root.shown(folder, b"");
        let record = |file: &Vec<u8>| Record {
            why: Why::Control,
            folder: folder.clone(),
            place: None,
            file: file.clone(),
            content: None,
            instead: None,
            renamed: None,
        };
        let tickets =
            self.grave.announce(controls.iter().map(record).collect()).context("write the grave for", &shown)?;
        for (file, ticket) in controls.iter().zip(tickets) {
            if if_there(self.grave.take(&ticket, dir, file)).context("bury", &shown)?.is_some() {
                self.grave.keep(&ticket).context("bury", &shown)?;
            }
        }
        Ok(())
    }

    /// Names and kinds of a directory; the kinds that `readdir` did not say are asked for.
    fn entries(&self, dir: &F::Dir) -> io::Result<Vec<(Vec<u8>, Kind)>> {
        let mut entries = Vec::new();
        self.fs().list(dir, &mut |name, kind, _| entries.push((name.to_vec(), kind)))?;
        for (name, kind) in &mut entries {
            if *kind == Kind::Unknown {
                *kind = self.fs().stat(dir, name)?.kind;
            }
        }
        Ok(entries)
    }
}

fn kept(shown: &[u8], name: &[u8]) -> Stop {
    Stop::Failed(format!(
        "{} still holds {}, so it stays, and is made again on the other host",
        printable(shown),
        printable(name)
    ))
}
