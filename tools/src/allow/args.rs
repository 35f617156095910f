//! What is typed after `smd-allow`.

use std::ffi::OsString;

use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use smd_client::args::{Color, Typed};
use smd_maildir::home::Label;

use crate::undo::since::ago;

/// The program's name.
pub const NAME: &str = "smd-allow";
/// An allowance is for a while: what is for good belongs to the key, as `--max-remove`.
const SECONDS_MAX: i64 = 30 * 86_400;

#[derive(Clone, Debug, Parser)]
#[command(version, disable_version_flag = true, args_override_self = true, styles = Styles::plain(), max_term_width = 80)]
struct Options {
    /// The key, as its --client says
    #[arg(value_name = "LABEL", hide = true)]
    label: Option<String>,
    /// So many messages, beyond its budget; 0 takes back what was allowed
    #[arg(value_name = "MESSAGES", hide = true)]
    messages: Option<u64>,
    /// For how long: 30m, 1h, 2d
    #[arg(long = "for", value_name = "TIME", default_value = "1h", requires = "messages")]
    time: String,
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
    /// The key; none: all are shown.
    pub label: Option<Label>,
    /// Messages to allow, and for how many seconds; none: it is shown.
    pub allows: Option<(u64, i64)>,
    /// How to talk.
    pub typed: Typed,
}

/// The clap command.
pub fn command() -> clap::Command {
    Options::command()
        .name(NAME)
        .bin_name(NAME)
        .about("Let a restricted key remove more messages at this host than its budget, for a while.")
        .override_usage(format!("{NAME} [OPTIONS] LABEL MESSAGES [--for TIME]\n       {NAME} [OPTIONS] [LABEL]"))
        .after_help(
            "A restricted key may delete, replace and mark as trashed only so many messages
within 24 hours. Its owner lifts that here, on the host that has the mail: for
the key of this LABEL, so many messages beyond its budget, until the TIME is
over (1h unless given; 30 days at most). The next run of the key's client goes
on. A second allowance takes the place of the first; 0 ends it.

Without MESSAGES it shows what keys removed and what is allowed. smd-undo --by
LABEL takes back what a key did.

Examples:
  smd-allow                        which keys there are
  smd-allow laptop 5000 --for 1h
  smd-allow laptop 0               take it back

Exit codes: 0 done, 2 usage or no such key, 74 input/output, 75 locked (try
again), 78 the home directory is not known.",
        )
}

/// Parses `args`, without the program's name. The error prints itself.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::iter::once(OsString::from(NAME)).chain(args))?;
    let options = Options::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let mut invalid = |text: String| command.error(ErrorKind::InvalidValue, text);
    let label = match &options.label {
        Some(label) => Some(Label::parse(label.as_bytes()).map_err(|error| invalid(error.to_string()))?),
        None => None,
    };
    let allows = match options.messages {
        Some(messages) => {
            let seconds = ago(options.time.trim()).filter(|seconds| (1..=SECONDS_MAX).contains(seconds));
            let text = || format!("`{}` is not a time: 30m, 1h, 2d, and 30d at most", options.time);
            Some((messages, seconds.ok_or_else(|| invalid(text()))?))
        }
        None => None,
    };
    let typed = Typed { quiet: options.quiet, json: options.json, color: options.color, ..Typed::default() };
    Ok(Request { label, allows, typed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_allowed_so_many_messages_for_so_long() {
        let parsed = |line: &str| parse(line.split_whitespace().map(OsString::from));
        let allows = |line: &str| parsed(line).expect(line).allows;
        assert_eq!(allows("laptop 5000 --for 1h"), Some((5_000, 3_600)));
        assert_eq!(allows("laptop 5000"), Some((5_000, 3_600)));
        assert_eq!(allows("--for 30m laptop 0"), Some((0, 1_800)));
        assert_eq!(allows("laptop"), None);
        assert!(parsed("").expect("all").label.is_none());
        for line in [
            "laptop many",
            "lap/top 5",
            ".x 5",
            "laptop 5 --for soon",
            "laptop 5 --for 31d",
            "laptop 5 --for 0h",
            "laptop --for 1h",
            "a 1 2",
            "laptop -5",
        ] {
            assert_eq!(parsed(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn help_fits_a_screen() {
        command().debug_assert();
        let help = command().term_width(80).render_help().to_string();
        assert!(help.lines().count() <= 45 && help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
