//! What is typed to name the two Maildirs that a tool looks at: an endpoint, or two places, and how the other host is
//! reached.
//!
//! Deliberately not here: what a tool does with them, and how much it says.

use std::ffi::OsString;

use clap::error::ErrorKind;
use smd_client::args::{Args, Color, Target, Typed, target};

/// The part of the command line that is the same for all tools that reach the other host.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Hosts {
    /// An endpoint of ~/.smd, or LOCAL and REMOTE
    #[arg(value_name = "ENDPOINT | LOCAL REMOTE", num_args = 0..=2, hide = true)]
    paths: Vec<OsString>,
    /// What to run instead of ssh, with its options
    #[arg(short = 'e', long, value_name = "CMD")]
    rsh: Option<OsString>,
    /// Where smd-server is on the other host
    #[arg(long, value_name = "PATH")]
    remote_command: Option<OsString>,
    /// Colours: auto, always or never
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    color: Option<Color>,
    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: (),
}

/// How much a tool says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    pub(crate) verbose: u8,
    pub(crate) quiet: bool,
    pub(crate) json: bool,
}

impl Hosts {
    /// What a dry run is told.
    ///
    /// # Errors
    /// When these are no two Maildirs. The error prints itself.
    pub(crate) fn args(self, name: &str, command: &mut clap::Command, voice: Voice) -> Result<Args, clap::Error> {
        let target = target(name, &self.paths).map_err(|text| command.error(ErrorKind::InvalidValue, text))?;
        if matches!(target, Target::Here(..)) && (self.rsh.is_some() || self.remote_command.is_some()) {
            let text = "--rsh and --remote-command have no meaning for two directories on this host";
            return Err(command.error(ErrorKind::ArgumentConflict, text));
        }
        let Voice { verbose, quiet, json } = voice;
        let Self { paths, rsh, remote_command, color, version: () } = self;
        let typed =
            Typed { paths, dry_run: true, verbose, quiet, json, rsh, remote_command, color, ..Typed::default() };
        Ok(Args { target, typed })
    }
}
