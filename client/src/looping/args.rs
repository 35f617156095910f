//! What was typed after `smd-loop`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use clap::builder::styling::Styles;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};

use crate::args::{self, Target};

/// The program's name.
pub const NAME: &str = "smd-loop";

/// The options as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Parser)]
#[command(
    name = NAME,
    version,
    disable_version_flag = true,
    args_override_self = true,
    styles = Styles::plain(),
    max_term_width = 80,
    about = "Keep the Maildirs of two hosts equal all the time, over ssh.",
    override_usage = "smd-loop [OPTIONS] [ENDPOINT]...\n       smd-loop --status [--json]",
    after_help = AFTER
)]
pub struct Typed {
    /// Endpoints of ~/.smd instead of those in ~/.smd/loop
    #[arg(value_name = "ENDPOINT", hide = true)]
    pub endpoints: Vec<OsString>,
    /// Sync by the minutes only, a connection each time
    #[arg(long)]
    pub no_watch: bool,
    /// Run CMD (notify-send) when something needs your attention
    #[arg(long, value_name = "CMD", num_args = 0..=1, require_equals = true, default_missing_value = "notify-send")]
    pub notify: Option<OsString>,
    /// Say what each run did; twice: message by message
    #[arg(short = 'v', long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Show the status of the loop, and exit
    #[arg(long, conflicts_with_all = ["no_watch", "notify", "verbose", "endpoints"])]
    pub status: bool,
    /// With --status: one JSON object
    #[arg(long, requires = "status")]
    pub json: bool,
    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    pub version: (),
}

const AFTER: &str = "\
~/.smd/loop has a line `PULL-MINUTES PUSH-MINUTES ENDPOINT` for each endpoint.
It is written to be edited when it is missing. Both hosts are watched and what
changes is synced at once; the minutes count where a host cannot be watched.

Signals: SIGUSR1 sync now, SIGHUP read the files again, SIGTERM end.

Examples:
  smd-loop work                        keep ~/.smd/config.work equal
  systemctl --user enable --now smd-loop
  smd-loop --status
  smd-loop --notify='notify-send -u critical'

Exit codes: 1 --status: no loop runs, or an error stands, 2 usage, 74 input/
output, 75 a loop runs already, 78 config, 130 interrupted, 143 terminated.";

/// A command line that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    /// The endpoints that were named; none for those of the loop file.
    pub endpoints: Vec<String>,
    /// The words of `--notify`.
    pub notify: Option<Vec<OsString>>,
    /// The options.
    pub typed: Typed,
}

/// The clap command.
pub fn command() -> clap::Command {
    Typed::command()
}

/// Parses `args`, without the program's name. The error prints itself, `--help` and `--version` included.
///
/// # Errors
/// When the command line makes no sense, or asks for a text.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::iter::once(OsString::from(NAME)).chain(args))?;
    let typed = Typed::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let usage = |text: String| command.clone().error(ErrorKind::InvalidValue, text);
    let mut endpoints: Vec<String> = Vec::new();
    for word in &typed.endpoints {
        match args::target(NAME, std::slice::from_ref(word)) {
            Ok(Target::Endpoint(name)) if endpoints.contains(&name) => {}
            Ok(Target::Endpoint(name)) => endpoints.push(name),
            _ => {
                let shown = word.to_string_lossy();
                return Err(usage(format!(
                    "`{shown}` is not the name of an endpoint (letters, digits, `.`, `_`, `-`)"
                )));
            }
        }
    }
    let notify = match &typed.notify {
        Some(text) => Some(words(text).ok_or_else(|| {
            usage(format!("--notify `{}` is not a command: a quote is never closed, or it is empty", text.display()))
        })?),
        None => None,
    };
    Ok(Args { endpoints, notify, typed })
}

fn words(text: &OsStr) -> Option<Vec<OsString>> {
    let words = shlex::bytes::split(text.as_bytes())?;
    words.first().filter(|word| !word.is_empty())?;
    Some(words.into_iter().map(OsString::from_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Args, clap::Error> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn endpoints_and_options_may_be_mixed() {
        let args = parsed(&["--notify", "work", "-v", "home", "work"]).expect("it makes sense");
        assert_eq!(args.endpoints, ["work", "home"]);
        assert_eq!(args.notify, Some(vec!["notify-send".into()]));
        let args = parsed(&["--notify=my-cmd -u 'two words'"]).expect("it makes sense");
        assert_eq!(args.notify, Some(vec!["my-cmd".into(), "-u".into(), "two words".into()]));
    }

    #[test]
    fn contradictions_are_usage_errors() {
        for words in [
            &["--json"][..],
            &["--status", "work"],
            &["--status", "--no-watch"],
            &["a/b"],
            &["--notify='"],
            &["--notify="],
            &["host:Mail"],
        ] {
            assert_eq!(parsed(words).expect_err("a usage error").exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn help_fits_a_screen() {
        let help = command().term_width(80).render_help().to_string();
        assert!(help.lines().count() <= 42, "{} lines:\n{help}", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        command().debug_assert();
    }
}
