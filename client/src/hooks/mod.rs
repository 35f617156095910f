//! Hooks: programs of the user that run before and after a run.
//!
//! They are the executables of `hooks/{pre,post}-{pull,push}.d` in the directory of config and state, in the order of
//! their names, and get four arguments: `pre` or `post`, `pull` or `push`, the endpoint, and a status. A sync runs those
//! of both directions. A pre hook that fails stops the run before anything is looked at. Post hooks run when something changed on
//! this host, or the run failed, and read on stdin which files that were.
//!
//! Rooms: [`feed`] (what they read), [`process`] (one of them, from start to end), [`untold`] (what they were not told yet).
//!
//! Deliberately not here: a shell, a time limit, and whether the run is worth one (`run`).

pub mod feed;
pub mod process;
pub mod untold;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Access, access};
use smd_maildir::apply::Change;
use smd_protocol::seeded;

use crate::home::SmdHome;
use crate::options::Direction;
use feed::Format;
use process::Fault;

/// Ends of names that editors and package managers give to files that are no hooks.
const LEFT_ALONE: [&str; 12] = [
    "~",
    ".bak",
    ".orig",
    ".rej",
    ".swp",
    ".sample",
    ".disabled",
    ".dpkg-old",
    ".dpkg-new",
    ".dpkg-dist",
    ".rpmsave",
    ".rpmnew",
];

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before the run.
    Pre,
    /// After it.
    Post,
}

impl When {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Post => "post",
        }
    }
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// When it runs.
    pub when: When,
    /// `pull` or `push`.
    pub way: &'static str,
    /// The program.
    pub path: PathBuf,
}

impl Hook {
    /// Its name for a person: the directory and the file.
    pub fn shown(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().as_bytes();
        format!("{}-{}.d/{}", self.when.word(), self.way, smd_protocol::names::printable(name))
    }
}

/// A hook that did not end well.
#[derive(Debug)]
pub struct Failed {
    /// Which one.
    pub hook: Hook,
    /// What happened.
    pub fault: Fault,
}

/// How hooks are told and listened to.
pub struct Manner<'a> {
    /// The endpoint's name, their third argument.
    pub endpoint: &'a str,
    /// Whether what they say goes to stderr as they say it.
    pub pass_on: bool,
    /// When this is raised they are asked to end.
    pub stop: &'a AtomicBool,
    /// Told of each hook that begins, and with none of its end: who asks why nothing happens is to hear which one it is.
    pub at: &'a dyn Fn(Option<&Hook>),
    /// Takes each hook that ran, with the last lines that it said.
    pub heard: &'a mut dyn FnMut(&Hook, &[String]),
}

/// Set for every hook, and so for all that it starts.
const WITHIN: &str = "SMD_HOOK";

/// Whether this process was started by a hook. Its runs have no hooks, or one that syncs would start itself for ever; and no
/// loop is asked to do them, since that loop may be waiting for the hook.
pub fn within() -> bool {
    std::env::var_os(WITHIN).is_some()
}

/// The hooks of one kind, for a direction: those of a pull before those of a push.
///
/// # Errors
/// When a directory of hooks is there and cannot be read.
pub fn find(home: &SmdHome, when: When, direction: Direction) -> Result<Vec<Hook>, Failed> {
    let mut hooks = Vec::new();
    for way in ways(direction) {
        let dir = dir(home, when, way);
        let paths = list(&dir).map_err(|source| Failed {
            hook: Hook { when, way, path: dir.clone() },
            fault: Fault { what: format!("{} cannot be read: {source}", dir.display()), said: Vec::new() },
        })?;
        hooks.extend(paths.into_iter().map(|path| Hook { when, way, path }));
    }
    Ok(hooks)
}

/// Says which files would be hooks, as the scripts that they are, and cannot be run: by a slip, nearly always.
pub fn not_executable(home: &SmdHome, direction: Direction) -> Vec<String> {
    let whens = [When::Pre, When::Post].into_iter();
    let dirs = whens.flat_map(|when| ways(direction).iter().map(move |way| dir(home, when, way)));
    // A directory that cannot be read stops the run when its hooks are looked for.
    let paths = dirs.filter_map(|dir| candidates(&dir).ok()).flatten();
    let slips = paths.filter(|path| access(path, Access::EXEC_OK).is_err() && is_script(path));
    slips
        .map(|path| {
            format!("{0} is no hook, since it is not executable; if it is meant to be: chmod +x {0}", path.display())
        })
        .collect()
}

/// Whether it begins as a script does.
fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}

fn ways(direction: Direction) -> &'static [&'static str] {
    match direction {
        Direction::Pull => &["pull"],
        Direction::Push => &["push"],
        Direction::Sync => &["pull", "push"],
    }
}

fn dir(home: &SmdHome, when: When, way: &str) -> PathBuf {
    home.path().join("hooks").join(format!("{}-{way}.d", when.word()))
}

/// Runs hooks before a run, one after the other; the first that fails is the last.
///
/// # Errors
/// When one does not end well.
pub fn before(hooks: Vec<Hook>, manner: &mut Manner<'_>) -> Result<(), Failed> {
    hooks.into_iter().try_for_each(|hook| match run(hook, 0, None, manner) {
        Err(_) if seeded::is("pre-hook-stops-nothing") => Ok(()),
        ended => ended,
    })
}

/// Runs hooks after a run that ended with `status`, all of them unless stopped, and gives those that failed.
pub fn after(hooks: Vec<Hook>, status: u8, changes: &[Change], format: Format, manner: &mut Manner<'_>) -> Vec<Failed> {
    let mut failed = Vec::new();
    for hook in hooks {
        failed.extend(run(hook, status, Some((changes, format)), manner).err());
        if manner.stop.load(Ordering::Relaxed) {
            break;
        }
    }
    failed
}

/// One hook at a time in this process: those of two endpoints of a loop would start two indexers on one index.
static TURN: Mutex<()> = Mutex::new(());

fn run(hook: Hook, status: u8, changes: Option<(&[Change], Format)>, manner: &mut Manner<'_>) -> Result<(), Failed> {
    let args = [hook.when.word(), hook.way, manner.endpoint, &status.to_string()].map(str::to_owned);
    tracing::debug!(hook = %hook.path.display(), ?args, "a hook");
    (manner.at)(Some(&hook));
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (said, ended) = process::run(&hook.path, &args, changes, manner.pass_on, manner.stop);
    drop(turn);
    (manner.at)(None);
    (manner.heard)(&hook, &said);
    ended.map_err(|what| Failed { hook, fault: Fault { what, said } })
}

/// The executables of a directory by name, without hidden files and what editors leave behind.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = candidates(dir)?;
    paths.retain(|path| access(path, Access::EXEC_OK).is_ok());
    Ok(paths)
}

/// The files of a directory by name that would be hooks if they were executable.
fn candidates(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_file = match fs::metadata(&path) {
            Ok(meta) => meta.is_file(),
            // A link that leads nowhere.
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if is_file && is_hook(path.file_name().unwrap_or_default()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_hook(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let hidden = name.starts_with(b".") || name.starts_with(b"#");
    !hidden && !LEFT_ALONE.iter().any(|end| name.ends_with(end.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn executables_are_hooks_in_the_order_of_their_names_and_leftovers_are_none() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = temp.path().join("smd/hooks/post-pull.d");
        fs::create_dir_all(dir.join("30-directory")).expect("a directory");
        for (name, mode) in [
            ("20-b", 0o755),
            ("10-a", 0o700),
            (".hidden", 0o755),
            ("10-a~", 0o755),
            ("readme", 0o644),
            ("a.bak", 0o755),
        ] {
            fs::write(dir.join(name), "").expect("a file");
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).expect("its mode");
        }
        let home = SmdHome::new(temp.path().join("smd"), temp.path());
        let found = find(&home, When::Post, Direction::Sync).expect("the others are not there");
        let shown: Vec<String> = found.iter().map(Hook::shown).collect();
        assert_eq!(shown, ["post-pull.d/10-a", "post-pull.d/20-b"]);
        assert!(find(&home, When::Post, Direction::Push).expect("none").is_empty());
    }

    #[test]
    fn a_script_that_is_not_executable_is_said_and_a_text_is_not() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = temp.path().join("hooks/pre-push.d");
        fs::create_dir_all(&dir).expect("a directory");
        for (name, text, mode) in [
            ("10-mark", "#!/bin/sh\n", 0o644),
            ("20-runs", "#!/bin/sh\n", 0o755),
            ("readme", "hooks\n", 0o644),
            ("30.bak", "#!/bin/sh\n", 0o644),
        ] {
            fs::write(dir.join(name), text).expect("a file");
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).expect("its mode");
        }
        let home = SmdHome::new(temp.path(), temp.path());
        let said = not_executable(&home, Direction::Sync);
        assert!(said.len() == 1 && said[0].contains("10-mark is no hook") && said[0].contains("chmod +x"), "{said:?}");
        assert!(not_executable(&home, Direction::Pull).is_empty());
    }

    #[test]
    fn a_hook_that_cannot_be_looked_at_is_no_absence_and_a_link_to_nothing_is() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = temp.path().join("hooks/pre-pull.d");
        fs::create_dir_all(&dir).expect("a directory");
        std::os::unix::fs::symlink("nothing", dir.join("10-gone")).expect("a link");
        let home = SmdHome::new(temp.path(), temp.path());
        assert!(find(&home, When::Pre, Direction::Pull).expect("none").is_empty());
        std::os::unix::fs::symlink("20-loop", dir.join("20-loop")).expect("a link");
        find(&home, When::Pre, Direction::Pull).expect_err("nobody can tell what it is");
    }

    #[test]
    fn hooks_of_two_endpoints_take_turns() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = temp.path().join("hooks/post-pull.d");
        fs::create_dir_all(&dir).expect("a directory");
        // Fails where another one is at work.
        let hook = dir.join("10-index");
        fs::write(
            &hook,
            format!("#!/bin/sh\nmkdir {0}/busy || exit 1\nsleep 0.1\nrmdir {0}/busy\n", temp.path().display()),
        )
        .expect("a hook");
        fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("it can be run");
        let home = SmdHome::new(temp.path(), temp.path());
        std::thread::scope(|scope| {
            for endpoint in ["one", "two", "three"] {
                let home = &home;
                scope.spawn(move || {
                    let hooks = find(home, When::Post, Direction::Pull).expect("one");
                    let (stop, mut heard) = (AtomicBool::new(false), |_: &Hook, _: &[String]| {});
                    let mut manner = Manner { endpoint, pass_on: false, stop: &stop, at: &|_| {}, heard: &mut heard };
                    let failed = after(hooks, 0, &[], Format::Nul, &mut manner);
                    assert!(failed.is_empty(), "{failed:?}");
                });
            }
        });
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_no_absence_of_hooks() {
        let temp = tempfile::tempdir().expect("a directory");
        fs::create_dir(temp.path().join("hooks")).expect("a directory");
        fs::write(temp.path().join("hooks/pre-pull.d"), "a file").expect("a file");
        let home = SmdHome::new(temp.path(), temp.path());
        let failed = find(&home, When::Pre, Direction::Pull).expect_err("a file is no directory");
        assert!(failed.fault.what.contains("hooks/pre-pull.d"), "{}", failed.fault.what);
    }
}
