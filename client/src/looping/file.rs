//! The loop file, `~/.smd/loop`: which endpoints are kept equal, and how often where nobody can watch.
//!
//! Deliberately not here: the endpoints' own config files.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use smd_protocol::names::printable;

use super::schedule::{Every, Rhythm};
use crate::args::{self, Target};
use crate::home::SmdHome;

/// What the file begins with when it is written for the first time.
const TEMPLATE: &str = "\
# What smd-loop keeps equal, an endpoint a line:
#
#   PULL-MINUTES PUSH-MINUTES ENDPOINT
#
# ENDPOINT is a file ~/.smd/config.ENDPOINT. Both hosts are watched and what changes is synced at once; the minutes count
# where a host cannot be watched, and with --no-watch. 0 is never by time, only when a change is seen; `-` is never at all,
# so `5 - work` only pulls. After a change here: systemctl --user reload smd-loop, or send SIGHUP.
";

/// More than this is no such file.
const SIZE_MAX: u64 = 1 << 20;
/// More minutes than a year has are a mistake.
const MINUTES_MAX: u32 = 366 * 24 * 60;

/// An endpoint of the loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub endpoint: String,
    /// When it is due.
    pub rhythm: Rhythm,
}

/// Why the loop file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is none.
    #[error("there is no {}", .0.display())]
    Missing(PathBuf),
    /// It cannot be read or written.
    #[error("{}", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// A line makes no sense.
    #[error("{}, line {line}: {text}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        text: String,
    },
    /// No line names an endpoint.
    #[error("{} names no endpoint", .0.display())]
    Empty(PathBuf),
}

/// Where the file is.
pub fn path(home: &SmdHome) -> PathBuf {
    home.path().join("loop")
}

/// Reads the file.
///
/// # Errors
/// When it is not there, cannot be read, or makes no sense.
pub fn load(home: &SmdHome) -> Result<Vec<Entry>, FileError> {
    let file = path(home);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing(file.clone()),
        _ => FileError::Io(file.clone(), error),
    };
    if fs::metadata(&file).map_err(failed)?.len() > SIZE_MAX {
        return Err(FileError::Io(file, io::ErrorKind::FileTooLarge.into()));
    }
    parse(&file, &fs::read(&file).map_err(failed)?)
}

fn parse(file: &Path, text: &[u8]) -> Result<Vec<Entry>, FileError> {
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        let wrong = |text: String| FileError::Line { file: file.to_owned(), line: number, text };
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let words: Vec<&[u8]> = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        let [pull, push, endpoint] = words[..] else {
            if words.is_empty() {
                continue;
            }
            return Err(wrong("a line is: PULL-MINUTES PUSH-MINUTES ENDPOINT".to_owned()));
        };
        let rhythm = Rhythm { pull: every(pull).map_err(wrong)?, push: every(push).map_err(wrong)? };
        if rhythm.direction().is_none() {
            return Err(wrong("neither direction is ever to be done".to_owned()));
        }
        let endpoint = name(endpoint).map_err(wrong)?;
        if entries.iter().any(|entry| entry.endpoint == endpoint) {
            return Err(wrong(format!("{endpoint} is named a second time")));
        }
        entries.push(Entry { endpoint, rhythm });
    }
    if entries.is_empty() { Err(FileError::Empty(file.to_owned())) } else { Ok(entries) }
}

fn every(word: &[u8]) -> Result<Every, String> {
    if word == b"-" {
        return Ok(Every::Never);
    }
    let minutes = str::from_utf8(word).ok().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    match minutes.and_then(|word| word.parse().ok()).filter(|&minutes| minutes <= MINUTES_MAX) {
        Some(0) => Ok(Every::Seen),
        Some(minutes) => Ok(Every::Minutes(minutes)),
        None => Err(format!("`{}` is not a number of minutes", printable(word))),
    }
}

fn name(word: &[u8]) -> Result<String, String> {
    use std::os::unix::ffi::OsStringExt as _;
    match args::target("smd-loop", &[OsString::from_vec(word.to_vec())]) {
        Ok(Target::Endpoint(name)) => Ok(name),
        _ => Err(format!("`{}` is not the name of an endpoint (letters, digits, `.`, `_`, `-`)", printable(word))),
    }
}

/// Writes the file with the endpoints that have a config, all commented out, and returns its path.
///
/// # Errors
/// When it cannot be written, or is there.
pub fn write_template(home: &SmdHome) -> Result<PathBuf, FileError> {
    let file = path(home);
    let mut text = TEMPLATE.to_owned();
    let names = configured(home.path());
    if names.is_empty() {
        text.push_str("#\n# There is no endpoint yet. smd-sync -t NAME writes ~/.smd/config.NAME.\n\n# 5 5 default\n");
    } else {
        text.push_str("#\n# Take away the # before those that are to be kept equal:\n\n");
        names.iter().for_each(|name| text.push_str(&format!("# 5 5 {name}\n")));
    }
    let write = || {
        DirBuilder::new().recursive(true).mode(0o700).create(home.path())?;
        File::options().write(true).create_new(true).mode(0o600).open(&file)?.write_all(text.as_bytes())
    };
    write().map_err(|error| FileError::Io(file.clone(), error))?;
    Ok(file)
}

/// The endpoints that have a config file in the directory, in order.
pub(crate) fn configured(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("config.").map(str::to_owned));
    let mut names: Vec<String> =
        names.filter(|one| one != "example" && !one.ends_with('~') && name(one.as_bytes()).is_ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Entry>, String> {
        parse(Path::new("loop"), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_is_two_rhythms_and_a_name() {
        let entry = |pull, push, name: &str| Entry { endpoint: name.to_owned(), rhythm: Rhythm { pull, push } };
        assert_eq!(
            parsed("# mine\n\n 5 10\twork # at the office\r\n0 - default"),
            Ok(vec![entry(Every::Minutes(5), Every::Minutes(10), "work"), entry(Every::Seen, Every::Never, "default")])
        );
    }

    #[test]
    fn an_error_names_the_line() {
        for (text, error) in [
            ("\n5 work", "loop, line 2: a line is: PULL-MINUTES PUSH-MINUTES ENDPOINT"),
            ("5 5 a b", "loop, line 1: a line is: PULL-MINUTES PUSH-MINUTES ENDPOINT"),
            ("+5 5 a", "loop, line 1: `+5` is not a number of minutes"),
            ("5 1e3 a", "loop, line 1: `1e3` is not a number of minutes"),
            ("5 999999999 a", "loop, line 1: `999999999` is not a number of minutes"),
            ("5 5 a\n5 5 a", "loop, line 2: a is named a second time"),
            ("- - a", "loop, line 1: neither direction is ever to be done"),
            ("# 5 5 a\n", "loop names no endpoint"),
        ] {
            assert_eq!(parsed(text), Err(error.to_owned()), "{text:?}");
        }
        assert!(parsed("5 5 ../a").expect_err("no name").contains("`../a` is not the name of an endpoint"));
    }

    #[test]
    fn the_template_lists_the_endpoints_that_are_there_and_names_none_until_it_is_edited() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = SmdHome::new(dir.path().join("smd"), dir.path());
        assert!(matches!(load(&home), Err(FileError::Missing(_))));
        fs::create_dir(home.path()).expect("a home");
        for name in ["work", "a b", "default", "example"] {
            fs::write(home.config_file(name), "").expect("a config");
        }
        let file = write_template(&home).expect("the first time");
        let text = fs::read_to_string(&file).expect("it was written");
        assert!(text.ends_with("\n\n# 5 5 default\n# 5 5 work\n"), "{text}");
        assert!(matches!(load(&home), Err(FileError::Empty(_))));
        fs::write(&file, text.replace("# 5 5", "5 5")).expect("it is edited");
        assert_eq!(load(&home).expect("it is a loop file").len(), 2);
        assert!(matches!(write_template(&home), Err(FileError::Io(..))), "it is never overwritten");
    }
}
