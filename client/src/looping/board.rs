//! Where the threads of a loop write how they fare; what is written there reaches the file and the service manager.
//!
//! Deliberately not here: what it means, and how it is shown (`status`).

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::status::{Doing, EndpointStatus, Status, VERSION, left, now, path};
use super::systemd::Manager;
use crate::home::SmdHome;

/// Where threads write how they fare.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<State>,
    file: PathBuf,
    manager: Manager,
}

#[derive(Debug)]
struct State {
    status: Status,
    line: String,
    /// The file cannot be written, and that was said.
    dumb: bool,
    /// What the loop before this one left.
    earlier: Vec<EndpointStatus>,
}

impl Board {
    /// An empty one for this process.
    pub(super) fn new(home: &SmdHome, manager: Manager) -> Self {
        let status = Status { version: VERSION, pid: std::process::id(), since: now(), endpoints: Vec::new() };
        let earlier = left(home).map(|status| status.endpoints).unwrap_or_default();
        let state = State { status, line: String::new(), dumb: false, earlier };
        Self { state: Mutex::new(state), file: path(home), manager }
    }

    /// Names the endpoints; those that were there keep what is known of them.
    pub(super) fn serve<'a>(&self, endpoints: impl Iterator<Item = &'a str>) {
        let mut state = self.state();
        let known = std::mem::take(&mut state.status.endpoints);
        let named = |list: &[EndpointStatus], name: &str| list.iter().find(|one| one.endpoint == name).cloned();
        state.status.endpoints = endpoints
            .map(|name| {
                named(&known, name).unwrap_or_else(|| {
                    let last_success = named(&state.earlier, name).and_then(|one| one.last_success);
                    EndpointStatus { endpoint: name.to_owned(), last_success, ..EndpointStatus::default() }
                })
            })
            .collect();
        self.publish(&mut state);
    }

    /// Changes what is known of an endpoint.
    pub(super) fn note(&self, endpoint: &str, change: impl FnOnce(&mut EndpointStatus)) {
        let mut state = self.state();
        let Some(one) = state.status.endpoints.iter_mut().find(|one| one.endpoint == endpoint) else { return };
        let before = one.clone();
        change(one);
        // The beginning of each run, or of a hook, is nothing that a reader of the file needs to know.
        let same = EndpointStatus { doing: before.doing, hook: before.hook.clone(), ..one.clone() } == before;
        if same && (one.doing == Doing::Working || one.doing == before.doing) {
            return;
        }
        self.publish(&mut state);
    }

    /// As it is now.
    pub(super) fn status(&self) -> Status {
        self.state().status.clone()
    }

    fn publish(&self, state: &mut State) {
        let line = state.status.line();
        if line != state.line {
            self.manager.status(&line);
            state.line = line;
        }
        match (self.write(&state.status), state.dumb) {
            (Err(error), false) => {
                tracing::warn!(%error, file = %self.file.display(), "the loop's state cannot be written");
                state.dumb = true;
            }
            (result, _) => state.dumb = result.is_err(),
        }
    }

    /// Not synced: a crash may take it, and nothing depends on it.
    fn write(&self, status: &Status) -> io::Result<()> {
        if let Some(dir) = self.file.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let new = self.file.with_extension("json.new");
        fs::write(&new, format!("{}\n", serde_json::to_string(status)?))?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
        fs::rename(&new, &self.file)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;

    #[test]
    fn what_a_loop_left_is_there_when_it_is_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = SmdHome::new(dir.path().join("smd"), dir.path());
        assert_eq!(left(&home), None);
        let board = Board::new(&home, Manager::default());
        board.serve(["work", "home"].into_iter());
        board.note("work", |one| one.ran(&Report::default()));
        board.serve(["work"].into_iter());
        board.note("home", |one| one.runs = 9);
        let kept = left(&home).expect("it was written");
        assert_eq!(kept, board.status());
        assert_eq!((kept.endpoints.len(), kept.endpoints[0].runs), (1, 1));
        assert!(kept.endpoints[0].last_success.is_some());
        // The next loop begins to count anew, and knows when all was well last.
        let next = Board::new(&home, Manager::default());
        next.serve(["work", "home"].into_iter());
        let status = next.status();
        assert_eq!((status.endpoints[0].runs, status.endpoints[0].last_success), (0, kept.endpoints[0].last_success));
        assert_eq!(status.endpoints[1].last_success, None);
    }
}
