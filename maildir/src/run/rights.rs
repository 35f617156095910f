//! Where a run would need to write and may not: asked before a first run, when only folders are looked at.
//!
//! Deliberately not here: ordinary runs. They meet what they may not when they need it, and go on with the rest.

use smd_protocol::Delta;

use super::RootRun;
use crate::error::Trouble;
use crate::fs::Fs;
use crate::root::{Root, if_there};

/// Folders that are named, at most; a person mends the first and asks again.
const NAMED: usize = 20;

impl<F: Fs> RootRun<F> {
    /// The root, or folders of it by their paths on this host, when their directories may not be written to.
    pub(super) fn unwritable(&self, root: &Root<F>, found: &Delta) -> Vec<Trouble> {
        let disk = root.on_disk();
        let text = |why| format!("may not be written to: {why}; whatever a run brings here needs that");
        if let Err(why) = self.fs.may_write(&disk.dir) {
            return vec![Trouble { path: disk.shown_root(), text: text(why) }];
        }
        let refused = |folder| {
            let dirs = disk.folder(folder).ok()?;
            // Whatever comes is written there first; where there is none, one is made.
            let tmp = match if_there(self.fs.open_dir(&dirs.dir, b"tmp")) {
                Ok(tmp) => tmp.unwrap_or_else(|| dirs.dir.clone()),
                Err(why) => return Some(Trouble { path: disk.shown(folder, b"tmp"), text: text(why) }),
            };
            let all = dirs.new.iter().chain(&dirs.cur).chain([&tmp]);
            let why = all.into_iter().find_map(|dir| self.fs.may_write(dir).err())?;
            Some(Trouble { path: disk.shown(folder, b""), text: text(why) })
        };
        found.folders.keys().filter_map(refused).take(NAMED).collect()
    }
}
