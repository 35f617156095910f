//! What is typed after `smd-check-conf`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use smd_client::args::Args;

use crate::hosts::{Hosts, Voice};
use crate::import::Kind;

/// The program's name.
pub const NAME: &str = "smd-check-conf";

/// The options.
#[derive(Clone, Debug, Parser)]
#[command(version, disable_version_flag = true, args_override_self = true, styles = Styles::plain(), max_term_width = 80)]
struct Options {
    /// Write ~/.smd/config.NAME by a config of offlineimap or mbsync
    #[arg(long, num_args = 2, value_names = ["KIND", "FILE"], conflicts_with_all = ["paths", "json", "rsh", "remote_command"])]
    import: Vec<OsString>,
    /// Pass on what ssh says
    #[arg(short = 'v', long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Print what must be changed only
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Print everything as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hosts: Hosts,
}

/// A config of another program, to be made into ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Whose it is.
    pub kind: Kind,
    /// The file.
    pub file: PathBuf,
}

/// The clap command.
pub fn command() -> clap::Command {
    Options::command()
        .name(NAME)
        .bin_name(NAME)
        .about("Show what a config means on both hosts. Nothing is changed.")
        .override_usage(format!("{NAME} [OPTIONS] [ENDPOINT]\n       {NAME} [OPTIONS] LOCAL REMOTE"))
        .after_help(
            "ENDPOINT names a file ~/.smd/config.ENDPOINT; none is `default`. REMOTE is
[USER@]HOST:PATH, ssh://[USER@]HOST[:PORT]/PATH, or a directory of this host.

The config is read, the host is reached, and the folders of both hosts are
listed with their names on the other one: what both have, what only one has,
what is left alone and by which pattern, and what has no name there. Then it
says what to change. Before the first run no message is read; after it, a dry
run says how the next one would end.

Exit codes: 0 a run would work, 1 and 3 a run would end so, 2 usage,
69 network (try again), 70 bug, 74 input/output, 75 locked (try again),
76 protocol, 77 refused, 78 config (change what is named), 130 interrupted,
143 terminated.",
        )
}

/// Parses `args`, without the program's name: the pair, and with `--import` what is made into configs instead. The error
/// prints itself.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<(Args, Option<Import>), clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::iter::once(OsString::from(NAME)).chain(args))?;
    let options = Options::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let import = match &options.import[..] {
        [kind, file] => {
            let kind = kind.to_string_lossy().parse::<Kind>();
            let kind = kind.map_err(|text| command.error(ErrorKind::InvalidValue, format!("KIND {text}")))?;
            Some(Import { kind, file: PathBuf::from(file) })
        }
        _ => None,
    };
    let voice = Voice { verbose: options.verbose, quiet: options.quiet, json: options.json };
    let args = options.hosts.args(NAME, &mut command, voice)?;
    Ok((args, import))
}

#[cfg(test)]
mod tests {
    use smd_client::args::Target;

    use super::*;

    #[test]
    fn the_target_is_that_of_a_run() {
        let parsed = |line: &str| parse(line.split_whitespace().map(OsString::from));
        assert_eq!(parsed("").expect("good").0.target, Target::Endpoint("default".into()));
        assert_eq!(parsed("-v a b").expect("good").0.target, Target::Here("a".into(), "b".into()));
        let import = parsed("--import mbsync rc").expect("good").1;
        assert_eq!(import, Some(Import { kind: Kind::Mbsync, file: "rc".into() }));
        for line in [
            "--import mbsync",
            "--import mutt rc",
            "--import mbsync rc work",
            "-q -v",
            "--scan quick",
            "-n",
            "a b c",
            "-e x a b",
            "host:a b",
        ] {
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
