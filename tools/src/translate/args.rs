//! What is typed after `smd-translate`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use clap::builder::Styles;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use smd_client::translate::modes::{Mode, Way};

/// The program's name.
pub const NAME: &str = "smd-translate";

/// The options.
#[derive(Clone, Debug, Parser)]
#[command(version, disable_version_flag = true, args_override_self = true, styles = Styles::plain(), max_term_width = 80)]
struct Options {
    /// An endpoint of ~/.smd, which says what the roots are called
    #[arg(value_name = "ENDPOINT", default_value = "default")]
    endpoint: String,
    /// One name to translate, rather than those on stdin
    #[arg(value_name = "MAILBOX")]
    mailbox: Option<OsString>,
    /// How folders are called at either host
    #[arg(short = 'm', long, value_name = "MODE", default_value = "oimap-dovecot", value_parser = mode, hide_default_value = true)]
    mode: Mode,
    /// LR (from names here to the server's) or RL
    #[arg(short = 'd', long, value_name = "LR|RL", value_parser = way)]
    direction: Way,
    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: (),
}

/// What was typed.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose roots.
    pub endpoint: String,
    /// The one name, when there is one.
    pub mailbox: Option<Vec<u8>>,
    /// How.
    pub mode: Mode,
    /// Which way.
    pub way: Way,
}

fn mode(word: &str) -> Result<Mode, String> {
    Mode::parse(word.as_bytes()).ok_or_else(|| format!("there is {}", Mode::words().collect::<Vec<_>>().join(", ")))
}

fn way(word: &str) -> Result<Way, String> {
    Way::parse(word.as_bytes()).ok_or_else(|| "there is LR and RL".to_owned())
}

/// The clap command.
pub fn command() -> clap::Command {
    Options::command()
        .name(NAME)
        .bin_name(NAME)
        .about("Translate folder names between two hosts: a line in, a line out.")
        .override_usage(format!("{NAME} [-m MODE] -d LR|RL [ENDPOINT [MAILBOX]]"))
        .after_help(
            "Names are whole, as the config of ENDPOINT (none is `default`) writes roots:
MAILBOX_LOCAL/x here and MAILBOX_REMOTE/y at the server; /cur, /new or /tmp
behind it stays. A name that has no other is answered by a line that begins
with ERROR.

MODE              at the server                here
  oimap-dovecot   Maildir  Maildir/.a.b        Mail        Mail/a.b
  inbox           Maildir  Maildir/.a.b        Mail/INBOX  Mail/a.b
  nodots          Maildir  Maildir/.a.b        Mail        Mail/a/b
  nodots-inbox    Maildir  Maildir/.a.b        Mail/INBOX  Mail/a/b
  nodots2         Maildir  Maildir/a/b         Mail        Mail/..a.b
  move            Maildir  Maildir/any/thing   Mail        Mail/any/thing
`default` is oimap-dovecot, the one that is taken without -m; `cat` is move.

In a config (TRANSLATOR_LR, TRANSLATOR_RL) it is built in: no process is started.

Exit codes: 0 all translated, 1 not all, 2 usage, 74 input/output, 78 config.",
        )
}

/// Parses `args`, without the program's name. The error prints itself.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::iter::once(OsString::from(NAME)).chain(args))?;
    let options = Options::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok(Request {
        endpoint: options.endpoint,
        mailbox: options.mailbox.map(|mailbox| mailbox.as_bytes().to_vec()),
        mode: options.mode,
        way: options.direction,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Result<Request, clap::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_predecessors_command_line_is_understood() {
        let request = typed("-m nodots -d LR work").expect("good");
        assert_eq!((request.endpoint.as_str(), request.mode, request.way), ("work", Mode::Nodots, Way::LocalToRemote));
        let request = typed("-d RL").expect("good");
        assert_eq!((request.endpoint.as_str(), request.mode, request.mailbox), ("default", Mode::OimapDovecot, None));
        assert_eq!(typed("-d LR work Mail/x").expect("good").mailbox, Some(b"Mail/x".to_vec()));
        for line in ["", "-d lr", "-m x -d LR", "-d LR a b c"] {
            assert_eq!(typed(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn help_fits_a_screen() {
        command().debug_assert();
        let help = command().term_width(80).render_help().to_string();
        assert!(help.lines().count() <= 42 && help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
