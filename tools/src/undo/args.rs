//! What is typed after `smd-undo`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use smd_client::args::{Color, Target, Typed, target};
use smd_protocol::Folder;

/// The program's name.
pub const NAME: &str = "smd-undo";
/// Fewer digits than these name no run: one would be met by chance.
const DIGITS_LEAST: usize = 3;

#[derive(Clone, Debug, Parser)]
#[command(version, disable_version_flag = true, args_override_self = true, styles = Styles::plain(), max_term_width = 80)]
struct Options {
    /// Runs, endpoints, or directories
    #[arg(value_name = "ENDPOINT | DIRECTORY | RUN", hide = true)]
    words: Vec<OsString>,
    /// Show the messages of RUN; change nothing
    #[arg(short = 'l', long, short_alias = 'n', alias = "dry-run")]
    list: bool,
    /// Only messages of such folders; * and ? match, . is the root itself
    #[arg(short = 'f', long, value_name = "PATTERN")]
    folder: Vec<OsString>,
    /// Only the grave of this root, known or not; as DIRECTORY
    #[arg(long, value_name = "DIRECTORY")]
    root: Vec<PathBuf>,
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
    /// Show, and change nothing.
    pub list: bool,
    /// Which folders.
    pub folders: Vec<Pattern>,
    /// How to talk.
    pub typed: Typed,
}

/// A pattern for folders: `*` stands for any bytes, `?` for any one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<u8>);

impl Pattern {
    /// Whether a folder is meant; the root itself is called `.`.
    pub fn matches(&self, folder: &Folder) -> bool {
        let name = if folder.is_root() { b"." } else { folder.as_bytes() };
        glob(&self.0, name)
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
        .about("Bring back what a run deleted or replaced on this host.")
        .override_usage(format!("{NAME} [OPTIONS] [ENDPOINT | DIRECTORY]...\n       {NAME} [OPTIONS] RUN..."))
        .after_help(
            "Without RUN the runs that deleted or replaced something on this host are listed,
the newest first, each with its number: of all known Maildirs, or of those of an
ENDPOINT or DIRECTORY (a word with a slash, or `.`). RUN is such a number.

What comes back has its old folder, flags and name, or a new name if that is
taken; nothing is overwritten. The next smd-sync gives it to the other host.
Messages rest for GRAVE_DAYS days; what this host's mail program deleted rests
on the other host: run smd-undo there.

Examples:
  smd-undo                    which runs there are
  smd-undo -l 48291           the messages of one
  smd-undo -f '.Work*' 48291  bring back those of some folders

Exit codes: 0 done, 1 partly (see the warnings), 2 usage or no such run,
74 input/output, 75 locked (try again), 78 config.",
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
        folders: options.folder.iter().map(|pattern| Pattern(pattern.as_bytes().to_vec())).collect(),
        typed: Typed {
            verbose: u8::from(options.verbose),
            quiet: options.quiet,
            json: options.json,
            color: options.color,
            ..Typed::default()
        },
    };
    for word in &options.words {
        sort_in(&mut request, word).map_err(|text| command.error(ErrorKind::InvalidValue, text))?;
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
        format!("`{}` is no run (a number), no endpoint, and no directory (with a slash)", word.display())
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
        for line in ["12", "-q -v", "--frob", "host:Mail", "-f"] {
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
        assert!(help.lines().count() <= 45 && help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
