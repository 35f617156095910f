//! What is typed after `smd-undo`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use jiff::Zoned;
use smd_client::address::Address;
use smd_client::args::{Color, Target, Typed, target};
use smd_maildir::home::Label;
use smd_protocol::Folder;

use super::heads::Match;
use super::since::since;

/// The program's name.
pub const NAME: &str = "smd-undo";
/// What the root itself is called.
pub(super) const INBOX: &str = "INBOX";
/// Fewer digits than these name no run: one would be met by chance.
const DIGITS_LEAST: usize = 3;

#[derive(Clone, Debug, Parser)]
#[command(version, disable_version_flag = true, args_override_self = true, styles = Styles::plain(), max_term_width = 80)]
struct Options {
    /// Runs, endpoints, or directories
    #[arg(value_name = "ENDPOINT | DIRECTORY | RUN", hide = true)]
    words: Vec<OsString>,
    /// Show the messages of each run; change nothing
    #[arg(short = 'l', long, short_alias = 'n', alias = "dry-run")]
    list: bool,
    /// Only messages of such folders; * and ? match, . is the root itself
    #[arg(short = 'f', long, value_name = "PATTERN")]
    folder: Vec<OsString>,
    /// Only messages with TEXT in From, Subject or Date
    #[arg(short = 'm', long = "match", value_name = "TEXT")]
    matches: Vec<String>,
    /// Only runs since then: 1h, today, 10:00, 2026-01-05
    #[arg(short = 's', long, value_name = "WHEN")]
    since: Option<String>,
    /// Bring back all runs that would be listed
    #[arg(long, conflicts_with = "list")]
    all: bool,
    /// Take back what this restricted key did; -l shows it
    #[arg(long, value_name = "LABEL", conflicts_with_all = ["remote", "all"])]
    by: Option<String>,
    /// Only the grave of this Maildir
    #[arg(long, value_name = "DIRECTORY")]
    root: Vec<PathBuf>,
    /// What runs deleted on the other host of it
    #[arg(short = 'r', long, value_name = "ENDPOINT", conflicts_with = "root")]
    remote: Option<OsString>,
    /// What to run instead of ssh, with its options
    #[arg(short = 'e', long, value_name = "CMD", requires = "remote")]
    rsh: Option<OsString>,
    /// Where smd-server is on the other host
    #[arg(long, value_name = "PATH", requires = "remote")]
    remote_command: Option<OsString>,
    /// Name every message
    #[arg(short = 'v', long, conflicts_with = "quiet")]
    verbose: bool,
    /// Print errors only
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Colours: auto, always or never
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    color: Option<Color>,
    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: (),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Runs to bring back, by digits; none: all runs are listed.
    pub runs: Vec<String>,
    /// Endpoints whose roots are looked at.
    pub endpoints: Vec<String>,
    /// Roots that are looked at. With no endpoint and no root all known ones are.
    pub roots: Vec<PathBuf>,
    /// Show the messages, and change nothing.
    pub list: bool,
    /// Bring all runs back.
    pub all: bool,
    /// Only runs that ended since then, in seconds since 1970.
    pub since: Option<i64>,
    /// Only messages that all of these mean.
    pub matches: Vec<Match>,
    /// Which folders.
    pub folders: Vec<Pattern>,
    /// The key whose doings are taken back.
    pub by: Option<Label>,
    /// The other host whose graves are meant; none is this one.
    pub remote: Option<Remote>,
    /// How to talk.
    pub typed: Typed,
}

/// Stands for the root of this host where none takes part; nothing opens it.
const NO_ROOT_HERE: &str = "/nonexistent";

/// Another host, as it was typed.
#[derive(Clone, Debug)]
pub struct Remote {
    /// An endpoint, or an address.
    pub target: Target,
    /// The word.
    pub word: OsString,
}

impl Remote {
    fn parse(word: OsString) -> Result<Self, String> {
        let target = match Address::parse(&word) {
            Ok(Address::Remote(there)) => Target::There(PathBuf::from(NO_ROOT_HERE), there, word.clone()),
            // What is no address may be an endpoint all the same.
            Ok(Address::Local(_)) | Err(_) => target(NAME, std::slice::from_ref(&word)).map_err(|_| {
                format!("`{}` is not an endpoint, and not the Maildir of another host (host:PATH)", word.display())
            })?,
        };
        Ok(Self { target, word })
    }
}

impl Request {
    /// Whether anything is to be brought back.
    pub fn changes(&self) -> bool {
        (self.all || !self.runs.is_empty() || self.by.is_some()) && !self.list
    }

    /// Whether some of what rests is left out.
    pub fn is_restricted(&self) -> bool {
        !self.folders.is_empty()
            || !self.matches.is_empty()
            || self.since.is_some()
            || !self.runs.is_empty()
            || self.by.is_some()
    }

    /// Whether only some Maildirs are meant.
    pub fn is_of_some_roots(&self) -> bool {
        !self.roots.is_empty() || !self.endpoints.is_empty()
    }

    /// Whether messages are to be shown, and not only runs.
    pub fn detailed(&self) -> bool {
        self.list || !self.runs.is_empty() || !self.matches.is_empty()
    }
}

/// A pattern for folders: `*` stands for any bytes, `?` for any one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<u8>);

impl Pattern {
    /// Whether a folder is meant; the root itself is called `.` or `INBOX`.
    pub fn matches(&self, folder: &Folder) -> bool {
        match folder.is_root() {
            true => glob(&self.0, b".") || glob(&self.0, INBOX.as_bytes()),
            false => glob(&self.0, folder.as_bytes()),
        }
    }
}

/// By going back to the last star only: linear in practice, quadratic at worst.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// The clap command.
pub fn command() -> clap::Command {
    Options::command()
        .name(NAME)
        .bin_name(NAME)
        .about("Bring back what a run deleted or replaced, on this host or the other.")
        .override_usage(format!(
            "{NAME} [OPTIONS] [ENDPOINT | DIRECTORY]...\n       {NAME} [OPTIONS] RUN...\n       \
             {NAME} [OPTIONS] --remote ENDPOINT [RUN]...\n       {NAME} [OPTIONS] --by LABEL"
        ))
        .after_help(
            "Without RUN the runs that deleted or replaced something on this host are listed,
newest first, each with its number: of all known Maildirs, or of an ENDPOINT or
DIRECTORY (a word with a slash, or `.`). RUN is such a number; runs of the same
minutes are one. -m from:TEXT, subject:TEXT or date:TEXT looks in one field.

What comes back has its old folder, flags and name, or a new name if that is
taken; nothing is overwritten. The next smd-sync gives it to the other host.
Messages are kept for GRAVE_DAYS days; what this host's mail program deleted is
kept on the other host: --remote ENDPOINT (or host:PATH) does the same there.

Examples:
  smd-undo                     which runs there are
  smd-undo -l 48291            the messages of one
  smd-undo 48291 -m from:ann   bring back those from Ann
  smd-undo -r work -s 1h --all bring back all of the last hour on the other host
  smd-undo --by laptop         take back what that restricted key did here

Exit codes: 0 done, 1 partly (see the warnings), 2 usage or no such run, 74
input/output, 75 locked (try again), 78 config; with -r also those of smd-sync.",
        )
}

/// Parses `args`, without the program's name. The error prints itself.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::iter::once(OsString::from(NAME)).chain(args))?;
    let options = Options::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let mut request = Request {
        runs: Vec::new(),
        endpoints: Vec::new(),
        roots: options.root,
        list: options.list,
        all: options.all,
        since: None,
        matches: options.matches.iter().map(|word| Match::parse(word)).collect(),
        folders: options.folder.iter().map(|pattern| Pattern(pattern.as_bytes().to_vec())).collect(),
        by: None,
        remote: None,
        typed: Typed {
            rsh: options.rsh,
            remote_command: options.remote_command,
            verbose: u8::from(options.verbose),
            quiet: options.quiet,
            json: options.json,
            color: options.color,
            ..Typed::default()
        },
    };
    if let Some(word) = &options.since {
        let text = || format!("`{word}` is not a time: 1h, today, 10:00, 2026-01-05");
        request.since = Some(since(word, &Zoned::now()).ok_or_else(|| command.error(ErrorKind::InvalidValue, text()))?);
    }
    for word in &options.words {
        sort_in(&mut request, word).map_err(|text| command.error(ErrorKind::InvalidValue, text))?;
    }
    if let Some(label) = &options.by {
        let label = Label::parse(label.as_bytes());
        request.by = Some(label.map_err(|error| command.error(ErrorKind::InvalidValue, error.to_string()))?);
        if !request.runs.is_empty() {
            let text = "with --by all runs of the key are meant: take the numbers away, or --by";
            return Err(command.error(ErrorKind::ArgumentConflict, text));
        }
    }
    if let Some(word) = options.remote {
        let text = "with --remote only numbers of runs are taken: it names the Maildirs itself";
        if !request.roots.is_empty() || !request.endpoints.is_empty() {
            return Err(command.error(ErrorKind::ArgumentConflict, text));
        }
        request.remote = Some(Remote::parse(word).map_err(|text| command.error(ErrorKind::InvalidValue, text))?);
    }
    Ok(request)
}

fn sort_in(request: &mut Request, word: &OsStr) -> Result<(), String> {
    let bytes = word.as_bytes();
    if bytes.contains(&b'/') || matches!(bytes, b"." | b"..") {
        request.roots.push(PathBuf::from(word));
    } else if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit) {
        if bytes.len() < DIGITS_LEAST {
            return Err(format!("`{}` is too short for the number of a run", word.display()));
        }
        request.runs.push(word.to_string_lossy().into_owned());
    } else if let Target::Endpoint(name) = target(NAME, &[word.to_owned()]).map_err(|_| {
        format!("`{}` is not a run (a number), an endpoint, or a directory (with a slash)", word.display())
    })? {
        request.endpoints.push(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, clap::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn numbers_are_runs_slashes_directories_and_other_words_endpoints() {
        let request = parsed("48291 work ./Mail -f a* -n 00012").expect("good");
        assert_eq!((request.runs, request.endpoints), (vec!["48291".into(), "00012".into()], vec!["work".into()]));
        assert_eq!((request.roots, request.list), (vec![PathBuf::from("./Mail")], true));
        let request = parsed("--since 1h -m from:ann -m x --all").expect("good");
        assert!(request.changes() && request.since.is_some() && request.matches.len() == 2);
        assert!(!parsed("--since today").expect("good").changes(), "a list");
        let by = parsed("--by laptop -s 1h").expect("good");
        assert!(by.changes() && !parsed("--by laptop -l").expect("good").changes());
        let remote = |line: &str| parsed(line).expect(line).remote.expect("another host").target;
        assert!(matches!(remote("-r work 48291"), Target::Endpoint(name) if name == "work"));
        assert!(matches!(remote("--remote me@office:Mail -e my-ssh -l"), Target::There(..)));
        for line in [
            "12",
            "-q -v",
            "--frob",
            "host:Mail",
            "-f",
            "--since soon",
            "--all -l",
            "-r",
            "-r a/b",
            "-e x",
            "-r work home",
            "--by",
            "--by a/b",
            "--by laptop -r work",
            "--by laptop 48291",
        ] {
            assert_eq!(parsed(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn patterns_match_whole_folders() {
        let matches = |pattern: &str, folder: &str| {
            Pattern(pattern.as_bytes().to_vec()).matches(&Folder::parse(folder.as_bytes()).expect("folder"))
        };
        for (pattern, folder) in [
            (".", ""),
            ("INBOX", ""),
            ("*", ""),
            (".Work*", ".Work.2024"),
            ("a/?/c*", "a/b/cd/e"),
            ("*x*y", "axbxyy"),
            ("Work", "Work"),
        ] {
            assert!(matches(pattern, folder), "{pattern} {folder}");
        }
        for (pattern, folder) in [(".", ".Work"), ("Work", "Work/a"), ("?", "ab"), ("*x", "xa"), ("", "a")] {
            assert!(!matches(pattern, folder), "{pattern} {folder}");
        }
    }

    #[test]
    fn help_fits_a_screen() {
        command().debug_assert();
        let help = command().term_width(80).render_help().to_string();
        assert!(help.lines().count() <= 55 && help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
