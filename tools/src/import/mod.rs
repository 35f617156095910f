//! `smd-check-conf --import`: makes a config out of that of OfflineIMAP or mbsync, as far as it can be told.
//!
//! Their configs speak of an IMAP server, ours of a directory on its host: where the mail lies there is a guess that a person
//! must check, and what is written in Python cannot be told. Each such thing is a line `CHECK:` in the config that is written,
//! and is listed. The rooms: [`ini`] and [`offlineimap`], [`mbsync`] (what they say), [`text`] (what is written).
//!
//! Deliberately not here: reaching the host, passwords, and overwriting anything.

pub mod ini;
pub mod mbsync;
pub mod offlineimap;
mod rc;
pub mod text;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Whose config it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `~/.offlineimaprc`.
    OfflineImap,
    /// `~/.mbsyncrc`.
    Mbsync,
}

impl Kind {
    /// The program's name, as it is typed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::OfflineImap => "offlineimap",
            Self::Mbsync => "mbsync",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = [Self::OfflineImap, Self::Mbsync];
        all.into_iter().find(|kind| kind.word() == word).ok_or_else(|| "must be offlineimap or mbsync".to_owned())
    }
}

/// One pair of mailboxes as their config tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Its name there.
    pub name: String,
    /// The IMAP server; empty when it is not told.
    pub server: String,
    /// What is to run instead of ssh, as words; none when ssh alone will do.
    pub ssh: Vec<String>,
    /// The Maildir on this host, as written.
    pub local: String,
    /// The mode of `smd-translate` that gives folders the names that they have; none where they need none.
    pub mode: Option<&'static str>,
    /// Patterns for folders of the server, without the path of the Maildir.
    pub exclude: Vec<String>,
    /// What could not be told, sentence by sentence.
    pub untold: Vec<String>,
}

/// A config that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The endpoint's name.
    pub endpoint: String,
    /// The text of its config.
    pub text: String,
    /// What a person must look at, each also a `CHECK:` in the text.
    pub untold: Vec<String>,
    /// Where it was written; none when it was not.
    pub file: Option<PathBuf>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read or written.
    #[error("{}", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// A config of that name is there already.
    #[error("{} exists already; nothing was written", .0.display())]
    Exists(PathBuf),
    /// It makes no sense.
    #[error("{}: {text}", file.display())]
    Nonsense {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        text: String,
    },
}

/// Makes configs out of theirs; `shown` is how their file is called, `user` the home directory.
///
/// # Errors
/// What makes no sense, in a sentence.
pub fn imported(kind: Kind, theirs: &str, shown: &str, user: &Path) -> Result<Vec<Imported>, String> {
    let (mut accounts, left_out) = match kind {
        Kind::OfflineImap => offlineimap::accounts(theirs)?,
        Kind::Mbsync => mbsync::accounts(theirs)?,
    };
    match (accounts.first_mut(), left_out.is_empty()) {
        // Said once, where somebody reads.
        (Some(first), _) => first.untold.extend(left_out),
        (None, false) => return Err(left_out.join("; ")),
        (None, true) => return Err("it names no pair of an IMAP server and a Maildir".to_owned()),
    }
    let mut made: Vec<Imported> = Vec::new();
    for account in &accounts {
        let endpoint = text::endpoint(&account.name, &made.iter().map(|one| &one.endpoint[..]).collect::<Vec<_>>());
        let (text, untold) = text::config(kind, shown, account, &endpoint, user);
        made.push(Imported { endpoint, text, untold, file: None });
    }
    Ok(made)
}

/// Reads `file` and writes a `config.NAME` for each of its accounts into the directory `out`, all or none; what is there
/// is never overwritten. Without `out` nothing is written: the texts are in what is given.
///
/// # Errors
/// When `file` cannot be read or makes no sense, or a config is there already.
pub fn run(kind: Kind, file: &Path, user: &Path, out: Option<&Path>) -> Result<Vec<Imported>, ImportError> {
    let theirs = fs::read(file).map_err(|error| ImportError::Io(file.to_owned(), error))?;
    let theirs = String::from_utf8_lossy(&theirs);
    let shown = file.display().to_string();
    let mut made =
        imported(kind, &theirs, &shown, user).map_err(|text| ImportError::Nonsense { file: file.to_owned(), text })?;
    let Some(out) = out else { return Ok(made) };
    let place = |one: &Imported| out.join(format!("config.{}", one.endpoint));
    if let Some(there) = made.iter().map(place).find(|path| path.symlink_metadata().is_ok()) {
        return Err(ImportError::Exists(there));
    }
    let failed = |error| ImportError::Io(out.to_owned(), error);
    DirBuilder::new().recursive(true).mode(0o700).create(out).map_err(failed)?;
    for one in &mut made {
        let path = place(one);
        let failed = |error| ImportError::Io(path.clone(), error);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(one.text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        one.file = Some(path);
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_written_once_and_never_over_another() {
        let temp = tempfile::tempdir().expect("a directory");
        let rc = temp.path().join("mbsyncrc");
        let store = |name: &str| {
            format!(
                "IMAPStore r{name}\nHost {name}.example.org\n\nMaildirStore l{name}\nPath ~/M{name}/\nSubFolders Verbatim\n\nChannel {name}\nFar :r{name}:\nNear :l{name}:\nPatterns *\n\n"
            )
        };
        fs::write(&rc, store("a") + &store("b")).expect("their config");
        let out = temp.path().join("new/.smd");
        let made = run(Kind::Mbsync, &rc, Path::new("/home/me"), None).expect("it makes sense");
        assert!(!out.exists() && made.len() == 2 && made[0].file.is_none());
        let made = run(Kind::Mbsync, &rc, Path::new("/home/me"), Some(&out)).expect("it is written");
        assert_eq!(fs::read_to_string(out.join("config.b")).expect("a config"), made[1].text);
        assert!(made[0].text.contains("SERVERNAME=a.example.org\n"), "{}", made[0].text);
        fs::remove_file(out.join("config.a")).expect("one goes");
        let again = run(Kind::Mbsync, &rc, Path::new("/home/me"), Some(&out));
        assert!(matches!(again, Err(ImportError::Exists(path)) if path.ends_with("config.b")));
        assert!(!out.join("config.a").exists());
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let file = Path::new("/nonexistent/rc");
        assert!(matches!(run(Kind::Mbsync, file, file, None), Err(ImportError::Io(..))));
        for kind in [Kind::Mbsync, Kind::OfflineImap] {
            assert!(imported(kind, "", "rc", Path::new("/home/me")).expect_err("nothing").contains("names no pair"));
            assert_eq!(kind.word().parse::<Kind>(), Ok(kind));
        }
    }
}
