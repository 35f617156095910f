//! Which directories may be a root on this host: one judge for both ends, asked before anything in a root is opened.
//!
//! A root is judged by its path without symlinks, and so is what it is kept from: our state, with those parts of it that were moved to
//! another disk, and the keys to this account. At, around or inside of these a run would be its own prey, or a peer would
//! choose who may log in. Nor is a root a part of a Maildir, where a look would find no folder and say that there is
//! nothing to do, nor anything in a grave.
//!
//! Deliberately not here: what a path from the wire is (`smd-server`), roots inside one another (both ends have their own
//! question), and limits of a restricted key.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use smd_protocol::names::{GRAVE_DIR, printable};
use smd_protocol::seeded;

use crate::error::{Context, Error};

/// Where this account keeps things.
#[derive(Clone, Debug)]
pub struct Places {
    /// The home directory, where relative roots begin.
    pub user: PathBuf,
    /// `~/.smd`, or what `SMD_HOME` says.
    pub state: PathBuf,
}

/// Parts of the state that may be symlinks to another disk.
const MOVABLE: [&str; 3] = ["state", "served", "grave"];
/// What a Maildir is made of.
const PARTS: [&str; 3] = ["cur", "new", "tmp"];

/// Why a directory is no root: whole sentences but for the full stop.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoRoot {
    /// It is what must be left alone, or has it inside.
    #[error("the root {root} holds {kept}; choose a directory for mail alone")]
    Around {
        /// The root, for a person.
        root: String,
        /// What it must leave alone.
        kept: String,
    },
    /// It lies in what must be left alone.
    #[error("the root {root} lies in {kept}; choose a directory for mail alone")]
    Inside {
        /// The root, for a person.
        root: String,
        /// What it must leave alone.
        kept: String,
    },
    /// It is, or lies in, a directory of deleted mail.
    #[error("the root {root} lies in a grave, where deleted mail rests; smd-undo brings that back")]
    Grave {
        /// The root, for a person.
        root: String,
    },
    /// It is, or lies in, the `cur`, `new` or `tmp` of a Maildir.
    #[error("{root} {} the {part} of a Maildir; name {whole} instead", if *itself { "is" } else { "lies in" })]
    Part {
        /// The root, for a person.
        root: String,
        /// Whether it is the part itself.
        itself: bool,
        /// Which part.
        part: &'static str,
        /// The Maildir.
        whole: String,
    },
}

/// The path without symlinks, as far as it exists.
///
/// # Errors
/// When it cannot be looked at.
pub fn real(path: &Path) -> Result<PathBuf, Error> {
    let mut missing = Vec::new();
    let mut at = path;
    loop {
        match at.canonicalize() {
            Ok(found) => return Ok(missing.iter().rev().fold(found, |path, name| path.join(name))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => match (at.parent(), at.file_name()) {
                (Some(parent), Some(name)) => {
                    missing.push(name.to_owned());
                    at = parent;
                }
                _ => return Ok(path.to_path_buf()),
            },
            Err(e) => return Err(e).context("look at", path.as_os_str().as_bytes()),
        }
    }
}

/// What no root may touch: each without symlinks, and as a person knows it.
#[derive(Debug)]
pub struct Judge(Vec<(PathBuf, PathBuf)>);

impl Judge {
    /// Looks where this account keeps what no root may touch.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn new(places: &Places) -> Result<Self, Error> {
        let parts = MOVABLE.map(|part| places.state.join(part));
        Self(Vec::new()).keeping([places.state.clone(), places.user.join(".ssh")].into_iter().chain(parts))
    }

    /// The same, who keeps roots from these places too; they need not be there.
    ///
    /// # Errors
    /// When it cannot be told where one of them is.
    pub fn keeping(mut self, places: impl IntoIterator<Item = PathBuf>) -> Result<Self, Error> {
        for path in places {
            // The name itself is no root's to have either, wherever it leads.
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
                self.0.push((real(parent)?.join(name), path.clone()));
            }
            self.0.push((real(&path)?, path));
        }
        Ok(self)
    }

    /// Judges a root, given without symlinks; it need not be there. `shown` is what a person calls it.
    ///
    /// # Errors
    /// Why it may be none.
    pub fn check(&self, root: &Path, shown: &Path) -> Result<(), NoRoot> {
        self.judge(root, shown, &|path| path.is_dir(), &has_mail)
    }

    /// The decision. What cannot be looked at above a root is no fault of the root.
    fn judge(
        &self,
        root: &Path,
        shown: &Path,
        is_dir: &dyn Fn(&Path) -> bool,
        has_mail: &dyn Fn(&Path) -> bool,
    ) -> Result<(), NoRoot> {
        let text = |path: &Path| printable(path.as_os_str().as_bytes());
        let shown = || text(shown);
        for (at, kept) in &self.0 {
            if at.starts_with(root) && !seeded::is("root-around-our-state") {
                return Err(NoRoot::Around { root: shown(), kept: text(kept) });
            }
            if root.starts_with(at) && !seeded::is("root-inside-our-state") {
                return Err(NoRoot::Inside { root: shown(), kept: text(kept) });
            }
        }
        if root.components().any(|component| component.as_os_str().as_bytes() == GRAVE_DIR) {
            return Err(NoRoot::Grave { root: shown() });
        }
        for at in root.ancestors() {
            let (Some(whole), Some(name)) = (at.parent(), at.file_name()) else { continue };
            let Some(part) = PARTS.into_iter().find(|part| name == *part) else { continue };
            // Of two parts in one directory either may still be to be made.
            let others = PARTS.into_iter().filter(|other| *other != part && is_dir(&whole.join(other))).count();
            // What packs files and no empty directories leaves a part alone.
            let is_folder = || PARTS[..2].iter().any(|own| is_dir(&at.join(own)));
            let alone = || at == root && !is_folder() && has_mail(at);
            if (others > 0 || alone()) && !seeded::is("a-part-is-a-root") {
                return Err(NoRoot::Part { root: shown(), itself: at == root, part, whole: text(whole) });
            }
        }
        Ok(())
    }
}

/// Whether a file lies in this directory whose name is that of a message: it begins with a time, or has its flags.
fn has_mail(dir: &Path) -> bool {
    let named =
        |name: &[u8]| name.first().is_some_and(u8::is_ascii_digit) || name.windows(3).any(|part| part == b":2,");
    let is_mail = |entry: std::fs::DirEntry| {
        named(entry.file_name().as_bytes()) && entry.file_type().is_ok_and(|kind| kind.is_file())
    };
    std::fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(is_mail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::create_dir_all;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_root_is_never_at_around_or_inside_what_is_kept_nor_in_a_grave_nor_a_part_of_a_maildir() {
        let kept = ["/home/u/.smd", "/home/u/.ssh", "/disk/grave"].map(|path| (path.into(), path.into()));
        let judge = Judge(kept.into());
        let dirs = [
            "/m/M/cur",
            "/m/M/new",
            "/m/M/tmp",
            "/m/one/cur",
            "/m/two/new",
            "/m/two/tmp",
            "/m/M/.Sub/cur",
            "/m/whole/new/cur",
        ];
        let is_dir = |path: &Path| dirs.iter().any(|dir| Path::new(dir) == path);
        let has_mail = |path: &Path| path.starts_with("/m/alone") || path.starts_with("/m/whole");
        let judged = |root: &str| judge.judge(Path::new(root), Path::new("shown"), &is_dir, &has_mail);
        let word = |root: &str| match judged(root) {
            Ok(()) => "may be",
            Err(NoRoot::Around { .. }) => "around",
            Err(NoRoot::Inside { .. }) => "inside",
            Err(NoRoot::Grave { .. }) => "grave",
            Err(NoRoot::Part { itself: true, .. }) => "part",
            Err(NoRoot::Part { itself: false, .. }) => "below a part",
        };
        for (root, is) in [
            ("/home/u/Mail", "may be"),
            ("/home/u/.smdx", "may be"),
            ("/home/u/.sshd/x", "may be"),
            ("/home/u", "around"),
            ("/", "around"),
            ("/home/u/.smd", "around"),
            ("/home/u/.ssh", "around"),
            ("/disk", "around"),
            ("/home/u/.smd/served/x", "inside"),
            ("/home/u/.ssh/x", "inside"),
            ("/disk/grave/x", "inside"),
            ("/m/M/..smd-grave", "grave"),
            ("/m/M/..smd-grave/x/y", "grave"),
            ("/m/M/...smd-grave", "may be"),
            ("/m/alone/cur", "part"),
            ("/m/alone/cur/x", "may be"),
            ("/m/whole/new", "may be"),
            ("/m/M", "may be"),
            ("/m/M/.Sub", "may be"),
            ("/m/M/cur", "part"),
            ("/m/M/cur/x", "below a part"),
            ("/m/M/tmp/x/y/z", "below a part"),
            ("/m/M/.Sub/cur", "may be"),
            ("/m/M/.Sub/new", "part"),
            ("/m/one/cur", "may be"),
            ("/m/one/cur/x", "may be"),
            ("/m/one/new", "part"),
            ("/m/two/cur", "part"),
            ("/m/two/new/M", "below a part"),
        ] {
            assert_eq!(word(root), is, "{root}");
        }
        let text = judged("/m/M/cur/x").expect_err("a part").to_string();
        assert_eq!(text, "shown lies in the cur of a Maildir; name /m/M instead");
    }

    #[test]
    fn symlinks_hide_neither_what_is_kept_nor_a_part() {
        let temp = tempfile::tempdir().expect("temp");
        let at = |path: &str| temp.path().join(path);
        for dir in ["u/.smd", "u/Mail/cur", "u/Mail/new", "disk/grave", "keys"] {
            create_dir_all(at(dir)).expect("makes");
        }
        symlink(at("disk/grave"), at("u/.smd/grave")).expect("links");
        symlink(at("keys"), at("u/.ssh")).expect("links");
        symlink(at("u/Mail/new"), at("link")).expect("links");
        let judge = Judge::new(&Places { user: at("u"), state: at("u/.smd") }).expect("looks");
        let judged = |path: &str| judge.check(&real(&at(path)).expect("looks"), &at(path));
        for bad in
            ["u", "u/.ssh", "keys", "keys/x", "disk", "disk/grave/x", "u/.smd/grave/x", "u/.smd/y", "link", "link/x"]
        {
            assert!(judged(bad).is_err(), "{bad}");
        }
        let text = judged("disk").expect_err("it holds the grave").to_string();
        assert!(text.contains(".smd/grave"), "{text}");
        for good in ["u/Mail", "u/Mail2", "u/Mail/.Sub", "v"] {
            assert_eq!(judged(good), Ok(()), "{good}");
        }
    }
}
