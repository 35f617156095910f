//! Changes that post hooks were not told yet: `log/NAME.untold-WAY` in the directory of config and state, in the format that hooks read.
//!
//! They are noted as they happen and forgotten when all hooks ended well. So a run that was stopped or killed, and one whose hook failed,
//! leave them to the next, and an index does not miss a message. The file is not synced: after a power failure an index has to
//! look for itself.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use smd_maildir::apply::Change;
use smd_protocol::seeded;

use super::feed::{self, Format};
use crate::home::SmdHome;
use crate::log::open;
use crate::options::Direction;

/// What is more than this is told by the run that does it, or not at all.
const MOST_BYTES: u64 = 64 << 20;

/// The file.
#[derive(Debug)]
pub struct Untold {
    path: PathBuf,
    file: Option<(File, u64)>,
    /// The bytes that earlier runs left.
    found: u64,
}

impl Untold {
    /// That of an endpoint and a direction, whose hooks are the same each time; nothing is opened yet.
    pub fn new(home: &SmdHome, endpoint: &str, direction: Direction) -> Self {
        let name = format!("{endpoint}.untold-{}", direction.word());
        Self { path: home.path().join("log").join(name), file: None, found: 0 }
    }

    /// What earlier runs left.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn left(&mut self) -> io::Result<Vec<Change>> {
        match fs::read(&self.path) {
            Ok(bytes) => {
                self.found = bytes.len() as u64;
                Ok(feed::parse(&bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Notes changes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn add(&mut self, changes: &[Change]) -> io::Result<()> {
        let mut bytes = Vec::new();
        Format::Nul.write(changes, &mut bytes)?;
        let (mut file, size) = match self.file.take() {
            Some(open) => open,
            None => open(&self.path)?,
        };
        let added = size + bytes.len() as u64;
        if added <= MOST_BYTES && !seeded::is("changes-are-forgotten") {
            file.write_all(&bytes)?;
        }
        self.file = Some((file, added));
        Ok(())
    }

    /// Forgets what is noted here, unless a run that one of the hooks started has added to it: then all of it is told once more.
    pub fn forget_told(&mut self) {
        let noted = self.file.take().map_or(0, |(_, size)| size);
        if fs::metadata(&self.path).is_ok_and(|meta| meta.len() <= noted.max(self.found)) {
            self.forget();
        }
    }

    /// Forgets them all.
    pub fn forget(&mut self) {
        self.file = None;
        // Most often there is none.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_left_to_the_next_run_until_it_is_forgotten() {
        let temp = tempfile::tempdir().expect("a directory");
        let home = SmdHome::new(temp.path(), temp.path());
        let untold = || Untold::new(&home, "work", Direction::Sync);
        let changes = [Change::Added("/a".into()), Change::Moved { from: "/b".into(), to: "/c".into() }];
        assert_eq!(untold().left().expect("none"), []);
        for change in &changes {
            untold().add(std::slice::from_ref(change)).expect("it is noted");
        }
        assert_eq!(untold().left().expect("it is read"), changes);
        assert_eq!(
            Untold::new(&home, "work", Direction::Pull).left().expect("none"),
            [],
            "the hooks of a pull are others"
        );
        untold().forget();
        assert_eq!(untold().left().expect("none"), []);
    }
}
