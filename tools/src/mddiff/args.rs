//! What is typed after `mddiff`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use super::diff::Rules;

/// The program's name.
pub const NAME: &str = "mddiff";

#[derive(Clone, Debug, Parser)]
#[command(version, disable_version_flag = true, args_override_self = true, styles = Styles::plain(), max_term_width = 80)]
struct Options {
    /// Maildirs
    #[arg(value_name = "DIR", hide = true)]
    dirs: Vec<PathBuf>,
    /// The snapshot to compare with [db.txt]; FILE.new is written
    #[arg(long, value_name = "FILE", default_value = "db.txt", hide_default_value = true)]
    db_file: PathBuf,
    /// Write no FILE.new
    #[arg(short = 'd', long)]
    dry_run: bool,
    /// Print the folders of DIR, or without DIR what FILE holds
    #[arg(short = 'l', long, conflicts_with_all = ["between", "dry_run"])]
    list: bool,
    /// Leave these folders alone; as EXCLUDE in a config
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Do not report deletions
    #[arg(short = 'n', long)]
    no_delete: bool,
    /// Report copies and deletions instead of moves
    #[arg(long)]
    no_move: bool,
    /// Compare two snapshots, each a FILE or a DIR
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "dirs")]
    between: Vec<PathBuf>,
    /// Print JSON objects, one on each line
    #[arg(long)]
    json: bool,
    /// Accepted, for old scripts
    #[arg(long, value_name = "N", hide = true)]
    max_mailno: Option<u64>,
    /// Accepted, for old scripts
    #[arg(short = 'v', long, hide = true)]
    verbose: bool,
    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: (),
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Compare these directories with the snapshot.
    Scan(Vec<PathBuf>),
    /// Print the snapshot.
    List,
    /// Print the folders of these directories.
    Folders(Vec<PathBuf>),
    /// Compare two snapshots.
    Between(PathBuf, PathBuf),
}

/// A command line that makes sense.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked for.
    pub job: Job,
    /// The snapshot's file.
    pub db_file: PathBuf,
    /// Write nothing.
    pub dry_run: bool,
    /// Folders that are left alone.
    pub exclude: Vec<String>,
    /// What is told.
    pub rules: Rules,
    /// As JSON.
    pub json: bool,
}

/// The clap command.
pub fn command() -> clap::Command {
    Options::command()
        .name(NAME)
        .bin_name(NAME)
        .about("Print what changed in Maildirs since a snapshot.")
        .override_usage(format!(
            "{NAME} [OPTIONS] DIR...\n       {NAME} [OPTIONS] --list [DIR...]\n       {NAME} [OPTIONS] --between A B"
        ))
        .after_help(
            "One command on each line; blanks in names are %20 (docs/FORMAT-mddiff.md):
  ADD name hsha bsha                COPY name hsha bsha TO name
  MOVE name hsha bsha TO name       COPYBODY name bsha TO name hsha
  REPLACEHEADER name hsha bsha WITH hsha
  REPLACE name hsha bsha WITH hsha bsha
  DELETE name hsha bsha             ERROR text

hsha and bsha are digests of a message's header and body. FILE.new is what FILE
should be next time: mv db.txt.new db.txt. Snapshots are not used by smd-sync.

Examples:
  mddiff Maildir; mv db.txt.new db.txt   what changed since the last time
  mddiff --between ~/Maildir /backup/Maildir
  mddiff --list --db-file db.txt

Exit codes: 0 done, 1 there were ERROR lines, 2 usage.",
        )
}

/// Parses `args`, without the program's name. The error prints itself.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::iter::once(OsString::from(NAME)).chain(args))?;
    let options = Options::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let job = match (options.list, &options.between[..]) {
        (true, _) if options.dirs.is_empty() => Job::List,
        (true, _) => Job::Folders(options.dirs),
        (false, [a, b]) => Job::Between(a.clone(), b.clone()),
        _ if options.dirs.is_empty() => {
            return Err(command.error(ErrorKind::MissingRequiredArgument, "a directory is needed"));
        }
        _ => Job::Scan(options.dirs),
    };
    Ok(Request {
        job,
        db_file: options.db_file,
        dry_run: options.dry_run,
        exclude: options.exclude,
        rules: Rules { deletes: !options.no_delete, moves: !options.no_move },
        json: options.json,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_four_things_to_ask_for() {
        let parsed = |line: &str| parse(line.split_whitespace().map(OsString::from));
        assert_eq!(parsed("-dn a b --max-mailno 500000").expect("good").job, Job::Scan(vec!["a".into(), "b".into()]));
        assert_eq!(parsed("--between a b --no-move").expect("good").job, Job::Between("a".into(), "b".into()));
        assert_eq!(parsed("-l --db-file x").expect("good").job, Job::List);
        assert_eq!(parsed("-l a b").expect("good").job, Job::Folders(vec!["a".into(), "b".into()]));
        for line in ["", "-l -d", "-l --between a b", "--between a", "--between a b c", "--frob a", "--max-mailno x a"]
        {
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
