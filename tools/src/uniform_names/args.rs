//! What is typed after `smd-uniform-names`.

use std::ffi::OsString;

use clap::builder::Styles;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use smd_client::args::Args;

use crate::hosts::{Hosts, Voice};

/// The program's name.
pub const NAME: &str = "smd-uniform-names";

#[derive(Clone, Debug, Parser)]
#[command(version, disable_version_flag = true, args_override_self = true, styles = Styles::plain(), max_term_width = 80)]
struct Options {
    /// Rename the messages of this host
    #[arg(long, conflicts_with = "script")]
    apply: bool,
    /// Print a shell script that would rename them
    #[arg(long, conflicts_with_all = ["json", "quiet"])]
    script: bool,
    /// Name every folder and rename, and pass on what ssh says
    #[arg(short = 'v', long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Print errors only
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hosts: Hosts,
}

/// What is done with the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is shown.
    Show,
    /// It is carried out.
    Apply,
    /// It is printed as a shell script.
    Script,
}

/// The clap command.
pub fn command() -> clap::Command {
    Options::command()
        .name(NAME)
        .bin_name(NAME)
        .about("Show which messages here have another name on the server, before a first sync.")
        .override_usage(format!("{NAME} [OPTIONS] [ENDPOINT]\n       {NAME} [OPTIONS] LOCAL REMOTE"))
        .after_help(
            "ENDPOINT names a file ~/.smd/config.ENDPOINT; none is `default`. REMOTE is
[USER@]HOST:PATH, ssh://[USER@]HOST[:PORT]/PATH, or a directory of this host.

Every message is read on both hosts; equals are found by their bytes. Columns:
SAME the server has it under this name, RENAME under another, HEADER with another
header, ELSEWHERE in another folder, NEW not at all. Flags stay as they are here.
The first smd-sync gives these names by itself; this shows it beforehand.

Examples:
  smd-uniform-names work             the plan; nothing is changed
  smd-uniform-names --apply work     carry it out
  smd-uniform-names --script work > rename.sh; less rename.sh; sh rename.sh

Exit codes: 0 done, 1 partly (see the warnings), 2 usage, 69 network (try
again), 70 bug, 74 input/output, 75 locked (try again), 76 protocol,
77 refused, 78 config, 130 interrupted, 143 terminated.",
        )
}

/// Parses `args`, without the program's name, into what a dry run is told and what is done then. The error prints itself.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<(Args, Then), clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::iter::once(OsString::from(NAME)).chain(args))?;
    let options = Options::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let then = match (options.apply, options.script) {
        (true, _) => Then::Apply,
        (_, true) => Then::Script,
        _ => Then::Show,
    };
    let voice = Voice { verbose: options.verbose, quiet: options.quiet, json: options.json };
    let args = options.hosts.args(NAME, &mut command, voice)?;
    Ok((args, then))
}

#[cfg(test)]
mod tests {
    use smd_client::args::Target;

    use super::*;

    #[test]
    fn a_plan_is_shown_carried_out_or_printed() {
        let parsed = |line: &str| parse(line.split_whitespace().map(OsString::from));
        assert_eq!(parsed("").expect("good").0.target, Target::Endpoint("default".into()));
        assert_eq!(parsed("--apply a b").expect("good").1, Then::Apply);
        assert_eq!(parsed("--script work").expect("good").1, Then::Script);
        for line in ["--apply --script", "--script --json", "-q -v", "a b c", "-e x a b", "-n"] {
            assert_eq!(parsed(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn help_fits_a_screen() {
        command().debug_assert();
        let help = command().term_width(80).render_help().to_string();
        assert!(help.lines().count() <= 48 && help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
