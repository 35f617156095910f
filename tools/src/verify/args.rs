//! What is typed after `smd-verify`.

use std::ffi::OsString;

use clap::builder::Styles;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use smd_client::args::Args;

use crate::hosts::{Hosts, Voice};

/// The program's name.
pub const NAME: &str = "smd-verify";

/// The options.
#[derive(Clone, Debug, Parser)]
#[command(version, disable_version_flag = true, args_override_self = true, styles = Styles::plain(), max_term_width = 80)]
struct Options {
    /// Name every difference, and pass on what ssh says
    #[arg(short = 'v', long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Print errors only; the exit code says the rest
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Print the comparison as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hosts: Hosts,
}

/// The clap command.
pub fn command() -> clap::Command {
    Options::command()
        .name(NAME)
        .bin_name(NAME)
        .about("Compare the Maildirs of two hosts, byte by byte. Nothing is changed.")
        .override_usage(format!("{NAME} [OPTIONS] [ENDPOINT]\n       {NAME} [OPTIONS] LOCAL REMOTE"))
        .after_help(
            "ENDPOINT names a file ~/.smd/config.ENDPOINT; none is `default`. REMOTE is
[USER@]HOST:PATH, ssh://[USER@]HOST[:PORT]/PATH, or a directory of this host.

Every message is read on both hosts, so this takes as long as reading all mail.
What differs is named: a message that one host lacks, other bytes, other flags,
another place (new or cur). A run makes both equal: smd-sync.

Exit codes: 0 equal, 1 different or not all could be read, 2 usage, 69 network
(try again), 70 bug, 74 input/output, 75 locked (try again), 76 protocol,
77 refused, 78 config, 130 interrupted, 143 terminated.",
        )
}

/// Parses `args`, without the program's name, into what a dry run is told. The error prints itself.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::iter::once(OsString::from(NAME)).chain(args))?;
    let options = Options::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let voice = Voice { verbose: options.verbose, quiet: options.quiet, json: options.json };
    options.hosts.args(NAME, &mut command, voice)
}

#[cfg(test)]
mod tests {
    use smd_client::args::Target;

    use super::*;

    #[test]
    fn the_target_is_that_of_a_run() {
        let parsed = |line: &str| parse(line.split_whitespace().map(OsString::from));
        assert_eq!(parsed("").expect("good").target, Target::Endpoint("default".into()));
        assert_eq!(parsed("-v a b").expect("good").target, Target::Here("a".into(), "b".into()));
        for line in ["-q -v", "--scan quick", "-n", "a b c", "-e x a b", "host:a b"] {
            assert_eq!(parsed(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn help_fits_a_screen() {
        command().debug_assert();
        let help = command().term_width(80).render_help().to_string();
        assert!(help.lines().count() <= 42 && help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
