//! Low arguments: what was typed, checked for sense and nothing else.
//!
//! Deliberately not here: the environment, the config file, the disk. [`crate::endpoint`] looks at
//! those afterwards, so that a usage error never depends on them.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::styling::Styles;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::address::{Address, RemoteAddress};
use crate::options::{Direction, Scan};

/// Which of the three programs this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `smd-pull`.
    Pull,
    /// `smd-push`.
    Push,
    /// `smd-sync`.
    Sync,
}

impl Command {
    /// The program's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pull => "smd-pull",
            Self::Push => "smd-push",
            Self::Sync => "smd-sync",
        }
    }

    /// The direction that it stands for.
    pub const fn direction(self) -> Direction {
        match self {
            Self::Pull => Direction::Pull,
            Self::Push => Direction::Push,
            Self::Sync => Direction::Sync,
        }
    }

    const fn about(self) -> &'static str {
        match self {
            Self::Pull => "Bring what changed in the other host's Maildir to this host.",
            Self::Push => "Bring what changed in this host's Maildir to the other host.",
            Self::Sync => "Make the Maildirs of two hosts equal, over ssh.",
        }
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The two maildirs of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A config file's name; `default` when nothing was typed.
    Endpoint(String),
    /// Two directories of this host.
    Here(PathBuf, PathBuf),
    /// A directory of this host and one elsewhere; the text is the second as typed.
    There(PathBuf, RemoteAddress, OsString),
}

/// The options, as typed or as given in `SMDCLIENTOPTS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Parser)]
#[command(
    version,
    disable_version_flag = true,
    args_override_self = true,
    styles = Styles::plain(),
    max_term_width = 80,
    override_usage = "smd-X [OPTIONS] [ENDPOINT]\n       smd-X [OPTIONS] LOCAL REMOTE"
)]
pub struct Typed {
    /// An endpoint of ~/.smd, or LOCAL and REMOTE
    #[arg(value_name = "ENDPOINT | LOCAL REMOTE", num_args = 0..=2, hide = true)]
    pub paths: Vec<OsString>,
    /// Show what would be done; change nothing
    #[arg(short = 'd', long)]
    pub dry_run: bool,
    /// Hold back deletions and replacements
    #[arg(short = 'n', long)]
    pub no_delete: bool,
    /// Name every message, and pass on what ssh says
    #[arg(short = 'v', long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Print errors and tripped guards only
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Print the statistics as one machine line
    #[arg(short = 's', long, conflicts_with = "json")]
    pub show_tags: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
    /// How closely to look: quick, stat or full
    #[arg(long, value_name = "DEPTH", hide_possible_values = true)]
    pub scan: Option<Scan>,
    /// The many deletions were meant
    #[arg(long, conflicts_with = "adopt")]
    pub allow_bulk_delete: bool,
    /// Forget the last sync, merge both, delete nothing
    #[arg(long)]
    pub adopt: bool,
    /// Adopt although most headers differ
    #[arg(long)]
    pub adopt_other_headers: bool,
    /// What to run instead of ssh, with its options
    #[arg(short = 'e', long, value_name = "CMD")]
    pub rsh: Option<OsString>,
    /// Where smd-server is on the other host
    #[arg(long, value_name = "PATH")]
    pub remote_command: Option<OsString>,
    /// Show the last runs of ENDPOINT, and end
    #[arg(long, conflicts_with_all = STATUS_ALONE)]
    pub status: bool,
    /// Write a config file to edit, and end
    #[arg(short = 't', long, conflicts_with_all = TEMPLATE_ALONE)]
    pub template_only: bool,
    /// Colours: auto, always or never
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    pub color: Option<Color>,
    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    pub version: (),
}

/// Options that make no sense where only a template is written.
const TEMPLATE_ALONE: [&str; 11] = [
    "dry_run",
    "no_delete",
    "show_tags",
    "json",
    "scan",
    "allow_bulk_delete",
    "adopt",
    "adopt_other_headers",
    "rsh",
    "remote_command",
    "verbose",
];

/// Options that make no sense where only past runs are shown.
const STATUS_ALONE: [&str; 11] = [
    "dry_run",
    "no_delete",
    "show_tags",
    "scan",
    "allow_bulk_delete",
    "adopt",
    "adopt_other_headers",
    "rsh",
    "remote_command",
    "template_only",
    "verbose",
];

/// A command line that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    /// Which maildirs.
    pub target: Target,
    /// The options.
    pub typed: Typed,
}

/// Parses `args`, without the program's name. The error prints itself, `--help` and `--version`
/// included.
pub fn parse(which: Command, args: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
    let mut command = command(which);
    let name = OsString::from(which.name());
    let matches = command.try_get_matches_from_mut(std::iter::once(name).chain(args))?;
    let typed = Typed::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let usage = |kind, text: String| command.clone().error(kind, text);
    let target = target(which.name(), &typed.paths).map_err(|text| usage(ErrorKind::InvalidValue, text))?;
    if typed.template_only && !matches!(target, Target::Endpoint(_)) {
        let text = "--template-only takes the name of an endpoint, not two paths";
        return Err(usage(ErrorKind::ArgumentConflict, text.to_owned()));
    }
    if matches!(target, Target::Here(..)) && (typed.rsh.is_some() || typed.remote_command.is_some()) {
        let text = "--rsh and --remote-command have no meaning for two directories on this host";
        return Err(usage(ErrorKind::ArgumentConflict, text.to_owned()));
    }
    Ok(Args { target, typed })
}

/// The clap command of one program.
pub fn command(which: Command) -> clap::Command {
    let name = which.name();
    Typed::command()
        .name(name)
        .bin_name(name)
        .about(which.about())
        .override_usage(format!("{name} [OPTIONS] [ENDPOINT]\n       {name} [OPTIONS] LOCAL REMOTE"))
        .after_help(format!(
            "ENDPOINT names a file ~/.smd/config.ENDPOINT; none is `default`. REMOTE is
[USER@]HOST:PATH, ssh://[USER@]HOST[:PORT]/PATH, or a directory of this host.

Examples:
  {name} ~/Maildir me@host:Maildir   without a config file
  {name} -t work; {name} work      write ~/.smd/config.work; use it
  {name} -d -v work                  what would be done, message by message

Exit codes: 0 done, 1 partly (run again), 2 usage, 3 guard, 69 network (try
again), 70 bug, 74 input/output, 75 locked (try again), 76 protocol,
77 refused, 78 config, 130 interrupted, 143 terminated."
        ))
}

/// The two maildirs that these arguments name; `program` is for tips.
///
/// # Errors
/// Why they name none, for a usage error.
pub fn target(program: &str, paths: &[OsString]) -> Result<Target, String> {
    match paths {
        [] => Ok(Target::Endpoint("default".to_owned())),
        [name] => endpoint_name(program, name).map(Target::Endpoint),
        [local, remote] => pair(program, local, remote),
        _ => Err("at most two arguments are taken: LOCAL REMOTE".to_owned()),
    }
}

fn endpoint_name(program: &str, typed: &OsStr) -> Result<String, String> {
    let shown = typed.to_string_lossy();
    let good = |name: &&str| {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        !name.is_empty() && name.len() <= 64 && !name.starts_with(['-', '.']) && name.chars().all(allowed)
    };
    typed.to_str().filter(good).map(str::to_owned).ok_or_else(|| {
        format!(
            "`{shown}` is not the name of an endpoint (letters, digits, `.`, `_`, `-`)\n\n  \
             tip: two directories are given as: {program} LOCAL REMOTE"
        )
    })
}

fn pair(program: &str, local: &OsStr, remote: &OsStr) -> Result<Target, String> {
    let here = match Address::parse(local) {
        Ok(Address::Local(path)) => path,
        Ok(Address::Remote(_)) => {
            return Err(format!(
                "`{}` is on another host, but LOCAL is a directory of this host\n\n  \
                 tip: LOCAL comes first whatever the direction: {program} {} {}\n  \
                 tip: for a directory with a colon in its name write ./NAME",
                local.display(),
                remote.display(),
                local.display()
            ));
        }
        Err(error) => return Err(format!("LOCAL: {error}")),
    };
    match Address::parse(remote) {
        Ok(Address::Local(there)) => Ok(Target::Here(here, there)),
        Ok(Address::Remote(there)) => Ok(Target::There(here, there, remote.to_owned())),
        Err(error) => Err(format!("REMOTE: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Args, clap::Error> {
        parse(Command::Sync, line.split_whitespace().map(OsString::from))
    }

    #[track_caller]
    fn good(line: &str) -> Args {
        parsed(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[track_caller]
    fn usage_error(line: &str) -> String {
        let error = parsed(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        error.to_string()
    }

    #[test]
    fn nothing_typed_is_the_default_endpoint() {
        let args = good("");
        assert_eq!(args.target, Target::Endpoint("default".into()));
        assert_eq!(args.typed, Typed::default());
    }

    #[test]
    fn one_word_is_an_endpoint_and_two_are_directories() {
        assert_eq!(good("work-2.x").target, Target::Endpoint("work-2.x".into()));
        assert_eq!(good("a b").target, Target::Here("a".into(), "b".into()));
        assert!(matches!(good("a host:b").target, Target::There(..)));
        for line in ["~/Mail", "host:Mail", ".hidden", "a/b", "..", "a b c"] {
            usage_error(line);
        }
        assert!(usage_error("host:a b").contains("smd-sync b host:a"));
        usage_error("a -- -oProxyCommand=x:b");
    }

    #[test]
    fn options_stand_before_and_after_the_endpoint() {
        let args = good("-d work -vn --scan full -e my-ssh");
        assert!(args.typed.dry_run && args.typed.no_delete);
        assert_eq!((args.typed.verbose, args.typed.scan), (1, Some(Scan::Full)));
        assert_eq!(args.typed.rsh, Some("my-ssh".into()));
        assert_eq!(good("-n -n -vv").typed.verbose, 2);
    }

    #[test]
    fn contradictions_and_unknown_options_are_usage_errors() {
        for line in [
            "-q -v",
            "--json -s",
            "--allow-bulk-delete --adopt",
            "-t a b",
            "-t -d",
            "-t --status",
            "--status -d",
            "--frobnicate",
            "--scan deep",
            "--color pink",
            "--dry",
            "-e",
            "-e x a b",
        ] {
            usage_error(line);
        }
    }

    #[test]
    fn help_fits_a_screen() {
        for which in [Command::Pull, Command::Push, Command::Sync] {
            let help = command(which).term_width(80).render_help().to_string();
            assert!(help.lines().count() <= 42, "{} lines:\n{help}", help.lines().count());
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
            assert!(help.contains("Examples:"), "{help}");
            for exit in crate::exit::Exit::ALL {
                assert!(help.contains(&exit.code().to_string()), "{}", exit.code());
            }
        }
    }

    #[test]
    fn clap_finds_no_fault_in_the_definitions() {
        command(Command::Pull).debug_assert();
    }
}
