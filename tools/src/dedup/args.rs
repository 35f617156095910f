//! What is typed after `smd-dedup`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::Styles;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use smd_client::args::{Color, Typed};

/// The program's name.
pub const NAME: &str = "smd-dedup";

#[derive(Clone, Debug, Parser)]
#[command(version, disable_version_flag = true, args_override_self = true, styles = Styles::plain(), max_term_width = 80)]
struct Options {
    /// A Maildir, or a folder of one
    #[arg(value_name = "DIR", hide = true)]
    dir: PathBuf,
    /// Bury the doubles; without this they are only shown
    #[arg(long)]
    apply: bool,
    /// Name every double
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
    /// The Maildir, or a folder of one.
    pub dir: PathBuf,
    /// Bury what is found.
    pub apply: bool,
    /// How to talk.
    pub typed: Typed,
}

/// The clap command.
pub fn command() -> clap::Command {
    Options::command()
        .name(NAME)
        .bin_name(NAME)
        .about("Find messages that are twice in their folder, and bury the doubles.")
        .override_usage(format!("{NAME} [OPTIONS] DIR"))
        .after_help(
            "Two messages of one folder are doubles when their bodies are the same bytes, and
their Message-ID, Date, From and Subject as well; other header fields may
differ. So are copies that mbsync or OfflineIMAP fetched once more. Of each the
oldest name stays, by the number that it begins with. A message without a body
has no double.

Nothing is changed without --apply. Then the doubles rest in the grave for
GRAVE_DAYS days; smd-undo brings them back. End the program that made them
first, or it makes them again; the next smd-sync buries them on the other host.

Examples:
  smd-dedup ~/Mail                   how many there are
  smd-dedup -v ~/Mail/Lists          each of one folder
  smd-dedup --apply ~/Mail

Exit codes: 0 done, 1 partly (see the warnings), 2 usage, 74 input/output,
75 locked (try again), 130 interrupted, 143 terminated.",
        )
}

/// Parses `args`, without the program's name. The error prints itself.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::iter::once(OsString::from(NAME)).chain(args))?;
    let options = Options::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let typed = Typed {
        dry_run: !options.apply,
        verbose: u8::from(options.verbose),
        quiet: options.quiet,
        json: options.json,
        color: options.color,
        ..Typed::default()
    };
    Ok(Request { dir: options.dir, apply: options.apply, typed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_buried_unless_that_is_typed() {
        let parsed = |line: &str| parse(line.split_whitespace().map(OsString::from));
        assert!(!parsed("Mail").expect("good").apply && parsed("--apply Mail").expect("good").apply);
        for line in ["", "a b", "-q -v a", "--frob a"] {
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
