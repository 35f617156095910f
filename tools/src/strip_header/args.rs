//! What is typed after `smd-strip-header`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use smd_client::args::{Color, Typed};

use super::filter::{MARKS, Names};

/// The program's name.
pub const NAME: &str = "smd-strip-header";
#[derive(Clone, Debug, Parser)]
#[command(version, disable_version_flag = true, args_override_self = true, styles = Styles::plain(), max_term_width = 80)]
struct Options {
    /// A Maildir, or a folder of one
    #[arg(value_name = "DIR", hide = true)]
    dir: PathBuf,
    /// Remove this field, several times for several [X-OfflineIMAP, X-TUID]
    #[arg(short = 'H', long, value_name = "NAME")]
    header: Vec<String>,
    /// Count only; change nothing
    #[arg(short = 'd', long)]
    dry_run: bool,
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
    /// The Maildir, or a folder of one.
    pub dir: PathBuf,
    /// The fields.
    pub names: Names,
    /// The fields as typed.
    pub headers: Vec<String>,
    /// Change nothing.
    pub dry_run: bool,
    /// How to talk.
    pub typed: Typed,
}

/// The clap command.
pub fn command() -> clap::Command {
    Options::command()
        .name(NAME)
        .bin_name(NAME)
        .about("Remove header fields from all messages of a Maildir.")
        .override_usage(format!("{NAME} [OPTIONS] DIR"))
        .after_help(
            "A field goes with all its folded lines, whatever the case of its name, from the
header of the message itself and from nothing that is attached. Everything else
of the file stays as it is: its other bytes, name, flags, mode and time.

The messages as they were rest in the grave for GRAVE_DAYS days and take that
much space; smd-undo puts them back. Run it on the host whose messages have the
field: OfflineIMAP adds X-OfflineIMAP, and mbsync X-TUID, to one of the two
copies of a message, which differ by nothing else.

Examples:
  smd-strip-header -d ~/Mail                   how many have X-OfflineIMAP or X-TUID
  smd-strip-header ~/Mail                      remove both
  smd-strip-header -H X-Keywords -H Status ~/Mail/Archive

Exit codes: 0 done, 1 partly (see the warnings), 2 usage, 74 input/output,
75 locked (try again), 130 interrupted, 143 terminated.",
        )
}

/// Parses `args`, without the program's name. The error prints itself.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::iter::once(OsString::from(NAME)).chain(args))?;
    let options = Options::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let headers = if options.header.is_empty() { MARKS.map(str::to_owned).to_vec() } else { options.header };
    let names =
        Names::new(headers.iter().map(String::as_str)).map_err(|text| command.error(ErrorKind::InvalidValue, text))?;
    let typed = Typed {
        dry_run: options.dry_run,
        verbose: u8::from(options.verbose),
        quiet: options.quiet,
        json: options.json,
        color: options.color,
        ..Typed::default()
    };
    Ok(Request { dir: options.dir, names, headers, dry_run: options.dry_run, typed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_several_or_those_of_offlineimap_and_mbsync() {
        let parsed = |line: &str| parse(line.split_whitespace().map(OsString::from));
        assert_eq!(parsed("Mail").expect("good").headers, MARKS);
        assert_eq!(parsed("-H A --header B: Mail -d").expect("good").headers, ["A", "B:"]);
        for line in ["", "a b", "-H x:y a", "-q -v a", "--frob a"] {
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
