//! The arguments of a restricted key's line, and what they mean. Pure.
//!
//! A word that is not known, or that contradicts another, makes the key serve nothing: whoever writes `--append-olny` must not have
//! a key that deletes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum};
use smd_maildir::home::Label;
use smd_maildir::share::{self, Share};
use smd_protocol::Rights;
use smd_protocol::rights::Push;

use super::NAME;
use crate::policy::{Limits, MaxRemove};

/// Longest label of a key, in bytes.
const KEY_MAX: usize = 32;
/// The label of keys whose line gives none.
const NO_KEY: &str = "restricted";

/// What a key may be for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Allow {
    Pull,
    Push,
    Undo,
    Reports,
}

/// Serve smd-sync for a key that can do nothing else
#[derive(Clone, Debug, Parser)]
#[command(name = NAME, version, disable_version_flag = true, styles = Styles::plain(), max_term_width = 80)]
struct Line {
    /// A Maildir of this key, as clients call it, or by a name; none: those below the home directory
    #[arg(long, value_name = "[NAME=]DIR")]
    root: Vec<OsString>,
    /// What it is for: pull, push, undo, reports; by default pull,push
    #[arg(long, value_name = "WORDS", value_delimiter = ',', hide_possible_values = true)]
    allow: Option<Vec<Allow>>,
    /// Pushes add messages and folders and change flags but T; nothing else
    #[arg(long, conflicts_with = "no_delete")]
    append_only: bool,
    /// Pushes delete and replace nothing
    #[arg(long)]
    no_delete: bool,
    /// The name of this key in logs and budgets
    #[arg(long, value_name = "LABEL")]
    client: Option<OsString>,
    /// Messages that it may remove in 24 hours; by default the larger of 10 % of the root and 20
    #[arg(long, value_name = "N")]
    max_remove: Option<u64>,
    /// Room that it must leave on the disk: 500M, 2G
    #[arg(long, value_name = "SIZE", value_parser = part)]
    keep_free: Option<Share>,
    /// The largest message that it may bring
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_message: Option<u64>,
    /// How much it may bring in one run
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_bytes: Option<u64>,
    /// How much it may bring in 24 hours
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_bytes_day: Option<u64>,
    /// Serve nothing where this host lacks a barrier
    #[arg(long)]
    require_sandbox: bool,
    /// Where state lies, in place of ~/.smd
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: (),
}

/// A root as the owner wrote it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootArg {
    /// What clients call it.
    pub name: OsString,
    /// Where it is: absolute, or from the home directory.
    pub dir: PathBuf,
}

/// What a line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// The key's label.
    pub key: Label,
    /// Its roots; without any, every Maildir tree below the home directory.
    pub roots: Vec<RootArg>,
    /// What it may do.
    pub rights: Rights,
    /// And how much.
    pub limits: Limits,
    /// Where state lies, if not in `~/.smd`.
    pub state: Option<PathBuf>,
}

/// What is asked for.
#[derive(Debug)]
pub enum Asked {
    /// A text to print: help, or the version.
    Text(String),
    /// To serve.
    Serve(Box<Options>),
}

/// The definition of the command line.
pub fn command() -> clap::Command {
    Line::command()
}

/// Reads the words, the program's name first.
///
/// # Errors
/// One line that says which word is wrong.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    match Line::try_parse_from(words) {
        Ok(line) => Ok(Asked::Serve(Box::new(line.options()?))),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Asked::Text(error.to_string()))
        }
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Err(smd_protocol::names::printable(first.strip_prefix("error: ").unwrap_or(first).as_bytes()))
        }
    }
}

impl Line {
    fn options(self) -> Result<Options, String> {
        let rights = self.rights()?;
        let key = match &self.client {
            Some(label) => key(label)?,
            None => Label::derive(NO_KEY.as_bytes()),
        };
        let limits = Limits {
            max_remove: self.max_remove.map_or(MaxRemove::Default, MaxRemove::Messages),
            keep_free: self.keep_free,
            max_message: self.max_message,
            max_bytes_run: self.max_bytes,
            max_bytes_day: self.max_bytes_day,
            require_sandbox: self.require_sandbox,
        };
        let roots = self.root.iter().map(|word| root(word)).collect::<Result<_, _>>()?;
        if self.state.as_ref().is_some_and(|state| state.as_os_str().is_empty()) {
            return Err("--state names no directory".to_owned());
        }
        Ok(Options { key, roots, rights, limits, state: self.state })
    }

    fn rights(&self) -> Result<Rights, String> {
        let allow = self.allow.as_deref().unwrap_or(&[Allow::Pull, Allow::Push]);
        let has = |what| allow.contains(&what);
        let push = match (has(Allow::Push), self.append_only, self.no_delete) {
            (true, true, _) => Push::AppendOnly,
            (true, false, true) => Push::NoDelete,
            (true, false, false) => Push::All,
            (false, false, false) => Push::Nothing,
            (false, ..) => {
                return Err("--append-only and --no-delete are about pushes, which --allow leaves out".to_owned());
            }
        };
        Ok(Rights { pull: has(Allow::Pull), push, undo: has(Allow::Undo), reports: has(Allow::Reports) })
    }
}

fn key(label: &OsStr) -> Result<Label, String> {
    let bytes = label.as_bytes();
    let fits = !bytes.is_empty()
        && bytes.len() <= KEY_MAX
        && bytes[0] != b'-'
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let refuse = || {
        let shown = smd_protocol::names::printable(bytes);
        format!("--client {shown}: a label is 1 to {KEY_MAX} letters, digits, - and _, and begins with no -")
    };
    if fits { Label::parse(bytes).map_err(|_| refuse()) } else { Err(refuse()) }
}

/// `DIR`, or `NAME=DIR`.
fn root(word: &OsStr) -> Result<RootArg, String> {
    let bytes = word.as_bytes();
    let (name, dir) = match bytes.iter().position(|&byte| byte == b'=') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, bytes),
    };
    if name.is_empty() || dir.is_empty() {
        return Err(format!("--root {}: write DIR or NAME=DIR", smd_protocol::names::printable(bytes)));
    }
    let name = OsString::from_vec(name.to_vec());
    Ok(RootArg { name, dir: OsString::from_vec(dir.to_vec()).into() })
}

fn size(text: &str) -> Result<u64, String> {
    share::size(text).ok_or_else(|| "a size is a number with K, M, G or T behind it, or none".to_owned())
}

fn part(text: &str) -> Result<Share, String> {
    let wrong = || "a size is a number with K, M, G or T behind it, or none; or a percentage of the disk".to_owned();
    Share::parse(text).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, String> {
        let words = line.split_whitespace().map(OsString::from);
        match parse([OsString::from(NAME)].into_iter().chain(words))? {
            Asked::Serve(options) => Ok(*options),
            Asked::Text(text) => Err(text),
        }
    }

    #[test]
    fn a_line_says_roots_rights_label_and_limits() {
        let all = options("--root Maildir --root mail=/srv/mail/u --allow pull,push --client laptop").expect("fine");
        assert_eq!(all.key.as_str(), "laptop");
        assert_eq!(all.rights.to_string(), "pull,push");
        let roots: Vec<(&str, &str)> = all
            .roots
            .iter()
            .map(|root| (root.name.to_str().expect("text"), root.dir.to_str().expect("text")))
            .collect();
        assert_eq!(roots, [("Maildir", "Maildir"), ("mail", "/srv/mail/u")]);
        assert_eq!(all.limits.max_remove, MaxRemove::Default);
        let none = options("").expect("fine");
        assert!(none.roots.is_empty() && none.rights.to_string() == "pull,push" && none.key.as_str() == NO_KEY);
        let line = "--keep-free 2G --max-message 50M --max-bytes 1g --max-bytes-day 1T --max-remove 7 --require-sandbox --state /x";
        let limits = options(line).expect("fine").limits;
        assert_eq!((limits.keep_free, limits.max_message), (Some(Share::Bytes(2 << 30)), Some(50 << 20)));
        assert_eq!((limits.max_bytes_run, limits.max_bytes_day), (Some(1 << 30), Some(1 << 40)));
        assert_eq!((limits.max_remove, limits.require_sandbox), (MaxRemove::Messages(7), true));
        for (line, words) in [
            ("--allow pull", "pull"),
            ("--allow push", "push"),
            ("--append-only", "pull,push,append-only"),
            ("--no-delete --allow push", "push,no-delete"),
            ("--allow pull,push,undo,reports", "pull,push,undo,reports"),
            ("--allow=reports", "reports"),
        ] {
            let rights = options(line).expect(line).rights;
            assert_eq!(rights.to_string(), words, "{line}");
            assert_eq!(words.parse(), Ok(rights), "the client reads what the server says");
        }
    }

    #[test]
    fn a_line_that_is_not_understood_serves_nothing_and_says_so_in_one_line() {
        for line in [
            "--rooot Maildir",
            "--append-olny",
            "--append",
            "--no-del",
            "--allow pull,pusch",
            "--allow",
            "--allow ,",
            "--allow pull --append-only",
            "--allow pull --no-delete",
            "--append-only --no-delete",
            "--append-only=yes",
            "--client",
            "--client a --client b",
            "--client a+b",
            "--client a.b",
            "--client -x",
            "--client 0123456789012345678901234567890123",
            "--root",
            "--root =x",
            "--root x=",
            "--max-remove many",
            "--max-remove -1",
            "--max-remove 1 --max-remove 2",
            "--max-message 10%",
            "--keep-free 2X",
            "--max-message",
            "--state=",
            "Maildir",
            "-x",
            "smd-server",
            "-- x",
        ] {
            let text = options(line).expect_err(line);
            assert!(!text.contains('\n') && !text.is_empty(), "{line}: {text}");
        }
    }
}
