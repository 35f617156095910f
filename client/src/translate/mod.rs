//! Folder names that differ between the hosts: `TRANSLATOR_LR` and `TRANSLATOR_RL`.
//!
//! Canonical names, on the wire and in every base, are the server's; only the client translates. A [`Translation`] is what
//! the config says; a [`RootNaming`] is it for one root, and what the rest of the program uses.
//!
//! | file | what it does |
//! | --- | --- |
//! | `modes` | the built-in translations, pure |
//! | `external` | a program of the person's |
//! | `lines` | the two lines of a config |
//!
//! Deliberately not here: where names are translated (`smd_maildir::run`, `smd_maildir::root`).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use smd_maildir::root::Naming;
use smd_protocol::Folder;
use smd_protocol::names::printable;

pub mod external;
pub mod lines;
pub mod modes;

use crate::config::quote;
use external::External;
use modes::{Mode, Way};

/// How names are translated.
#[derive(Clone, Debug)]
pub struct Translation {
    /// The commands of the two lines, for texts: for local to remote, and back.
    pub said: [String; 2],
    /// Where the config has them.
    pub lines: [usize; 2],
    /// What translates.
    pub how: How,
}

/// What translates names.
#[derive(Clone, Debug)]
pub enum How {
    /// A mode of our own.
    Builtin(Mode),
    /// Two programs: for local to remote, and back.
    External(Arc<[External; 2]>),
}

impl PartialEq for Translation {
    fn eq(&self, other: &Self) -> bool {
        self.said == other.said
    }
}

impl Eq for Translation {}

/// A root as the config writes it at either host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// For this host.
    pub local: Vec<u8>,
    /// For the server.
    pub remote: Vec<u8>,
}

impl Roots {
    /// A folder's whole path on the side from which this way leads.
    pub fn path(&self, way: Way, folder: &Folder) -> Vec<u8> {
        let root = self.from(way);
        [root, folder.as_bytes()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b'/')
    }

    fn from(&self, way: Way) -> &[u8] {
        match way {
            Way::LocalToRemote => &self.local,
            Way::RemoteToLocal => &self.remote,
        }
    }

    /// What of a whole path on the side from which this way leads is below the root; none when it is not there.
    pub fn below<'a>(&self, way: Way, path: &'a [u8]) -> Option<&'a [u8]> {
        let root = self.from(way);
        match path.strip_prefix(root) {
            Some(rest) if root.is_empty() || root == b"/" || rest.is_empty() => Some(rest),
            Some(rest) => rest.strip_prefix(b"/"),
            None => None,
        }
    }

    /// The folder that a whole path names on the side to which this way leads.
    fn folder(&self, way: Way, path: &[u8]) -> Result<Folder, String> {
        let outside = || format!("answers {}, which is not below {}", shown(path), shown(self.from(way.back())));
        let rest = self.below(way.back(), path).ok_or_else(outside)?;
        Folder::parse(rest).map_err(|error| format!("answers {}: {error}", shown(path)))
    }
}

/// What a config leaves alone at either host by its own key, and what was proposed besides. A line that is proposed takes the place of
/// the one that is there, and the last of several that are taken over counts: so each has all that the ones before it say.
#[derive(Debug, Default)]
pub struct LeftAlone([Mutex<Vec<String>>; 2]);

impl LeftAlone {
    /// What the config says of this host and of the server, each in one text.
    pub fn new(said: [String; 2]) -> Self {
        Self(said.map(|said| Mutex::new(said.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect())))
    }

    /// The line that leaves alone this path, too.
    fn line(&self, way: Way, path: &[u8]) -> String {
        let (at, key) = match way {
            Way::LocalToRemote => (0, "EXCLUDE_LOCAL"),
            Way::RemoteToLocal => (1, "EXCLUDE_REMOTE"),
        };
        let mut words = self.0[at].lock().unwrap_or_else(PoisonError::into_inner);
        words.push(quote::pattern_of(path));
        quote::assignment(key, &words.join(" "))
    }
}

fn shown(path: &[u8]) -> String {
    if path.is_empty() { "nothing".to_owned() } else { printable(&path[..path.len().min(300)]) }
}

impl Translation {
    /// Translates one way, and nothing is checked but that the result can be a folder.
    fn once(&self, roots: &Roots, way: Way, folder: &Folder) -> Result<Folder, String> {
        match &self.how {
            How::Builtin(mode) => mode.folder(way, folder),
            How::External(both) => {
                let program = &both[usize::from(way == Way::RemoteToLocal)];
                roots.folder(way, &program.ask(&roots.path(way, folder))?)
            }
        }
    }

    /// A line of the config, for texts.
    fn line(&self, way: Way) -> String {
        let at = usize::from(way == Way::RemoteToLocal);
        format!("{}, line {} ({})", way.key(), self.lines[at], self.said[at])
    }
}

/// The names of one root's folders. Each is asked for once in a run.
pub struct RootNaming {
    translation: Translation,
    roots: Roots,
    left_alone: Arc<LeftAlone>,
    fingerprint: String,
    known: [Mutex<HashMap<Folder, Result<Folder, String>>>; 2],
}

impl fmt::Debug for RootNaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootNaming").field("translation", &self.translation).field("roots", &self.roots).finish()
    }
}

impl RootNaming {
    /// The names of the folders of these roots; `left_alone` is that of all roots of the config.
    pub fn new(translation: Translation, roots: Roots, left_alone: Arc<LeftAlone>) -> Self {
        let fingerprint = match &translation.how {
            // Where the roots lie changes nothing, nor which word for the mode was chosen.
            How::Builtin(mode) => mode.word().to_owned(),
            How::External(_) => translation.said.join("|"),
        };
        Self { translation, roots, left_alone, fingerprint, known: Default::default() }
    }

    fn name(&self, way: Way, folder: &Folder) -> Result<Folder, String> {
        let known = &self.known[usize::from(way == Way::RemoteToLocal)];
        if let Some(name) = known.lock().unwrap_or_else(PoisonError::into_inner).get(folder) {
            return name.clone();
        }
        let name = self.checked(way, folder);
        known.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.clone(), name.clone());
        name
    }

    /// Translates there and back.
    fn checked(&self, way: Way, folder: &Folder) -> Result<Folder, String> {
        let there = self.translation.once(&self.roots, way, folder).map_err(|why| self.told(way, folder, way, &why))?;
        let back = self.translation.once(&self.roots, way.back(), &there);
        let path = shown(&self.roots.path(way.back(), &there));
        match back {
            Ok(back) if back == *folder => Ok(there),
            Ok(back) => {
                let other = shown(&self.roots.path(way, &back));
                let why = format!("makes {other} of {path}, so that two folders would be one");
                Err(self.told(way, folder, way.back(), &why))
            }
            Err(why) => Err(self.told(way, folder, way.back(), &format!("cannot take {path} back: it {why}"))),
        }
    }

    /// The whole sentence: the folder, the translator, what to do.
    fn told(&self, way: Way, folder: &Folder, by: Way, why: &str) -> String {
        let path = self.roots.path(way, folder);
        let (here, there) = match way {
            Way::LocalToRemote => ("of this host", "on the server"),
            Way::RemoteToLocal => ("of the server", "on this host"),
        };
        let who = match self.translation.how {
            How::Builtin(_) if by == way => "it".to_owned(),
            _ => by.key().to_owned(),
        };
        let advice = match folder.is_root() {
            // The root itself cannot be left alone.
            true => "Choose another translator".to_owned(),
            false => {
                let line = self.left_alone.line(way, &path);
                format!("Rename the folder, leave it alone with {line}, or choose another translator")
            }
        };
        format!(
            "the folder {} {here} has no name {there} by {}: {who} {why}. {advice}; smd-check-conf shows all folders",
            shown(&path),
            self.translation.line(by),
        )
    }
}

impl Naming for RootNaming {
    fn canonical(&self, local: &Folder) -> Result<Folder, String> {
        self.name(Way::LocalToRemote, local)
    }

    fn local(&self, canonical: &Folder) -> Result<Folder, String> {
        self.name(Way::RemoteToLocal, canonical)
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

#[cfg(test)]
mod tests;
