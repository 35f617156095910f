//! The program: stdin and stdout become the wire, and the serve loop runs until the client says goodbye.
//!
//! Deliberately not here: arguments, but for a person's `--help` and `--version`. A server that took any could be told things by whoever may choose the
//! command that ssh runs.

use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use smd_maildir::fs::Disk;
use smd_protocol::wire::{ClientHello, Failure};

use crate::error::ServeError;
use crate::link::{Stdin, Stdout};
use crate::policy::Authority;
use crate::roots::Places;
use crate::sandbox::{Limits, Mode, Sandbox};
use crate::serve::serve;
use crate::session::Presence;

const HELP: &str = "\
The far end of smd-sync: ssh starts it on the other host, and it speaks to
smd-pull, smd-push and smd-sync over stdin and stdout. People do not run it.

Usage: smd-server

Options:
  -V, --version  Print the version
  -h, --help     Print help

State lies in ~/.smd, or in $SMD_HOME. For a key that can do nothing but sync
there is smd-restricted-shell.
";

/// The exit code of a process that cannot be confined as it is to be: it serves nobody.
const LACKING: u8 = 77;

/// As the client's exit codes have it.
pub(crate) fn code(failure: &Failure) -> u8 {
    match failure {
        Failure::Io { .. } => 74,
        Failure::Locked { .. } | Failure::Busy(_) => 75,
        Failure::Protocol(_) => 76,
        Failure::Refused(_) => 77,
        Failure::Config(_) => 78,
        // The client does at once what it was told.
        Failure::Reconnect => 0,
    }
}

/// What `smd-server` does.
pub fn main_impl() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if let Some(arg) = args.next() {
        // Nothing was said on the wire yet, and a person asked.
        let text = match arg.to_str() {
            Some("--version" | "-V") => concat!("smd-server ", env!("CARGO_PKG_VERSION"), "\n"),
            Some("--help" | "-h") => HELP,
            _ => {
                eprintln!(
                    "smd-server takes no arguments but --help and --version; smd-pull, smd-push and smd-sync start it"
                );
                return ExitCode::from(2);
            }
        };
        let mut out = std::io::stdout();
        return match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    if std::io::stdin().is_terminal() {
        eprintln!("smd-server speaks to a program, not to a person; run smd-sync on the other host");
        return ExitCode::from(2);
    }
    let Some(user) = std::env::home_dir().filter(|home| home.is_absolute()) else {
        eprintln!("smd-server: the home directory is not known: HOME is not an absolute path");
        return ExitCode::from(78);
    };
    let state = std::env::var_os("SMD_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let places = Places { state: state.unwrap_or_else(|| user.join(".smd")), user };
    let forced = std::env::var_os("SSH_ORIGINAL_COMMAND").is_some();
    let authority = Authority { forced, ..Authority::owner() };
    let sandbox = match Sandbox::first(&Limits::of_this_machine(), Mode::BestEffort) {
        Ok(sandbox) => sandbox,
        Err(lacking) => {
            eprintln!("smd-server: {lacking}");
            return ExitCode::from(LACKING);
        }
    };
    let disk = Arc::new(Disk);
    let confine = |hello: Option<&ClientHello>| sandbox.at_hello(&disk, &places, hello);
    match serve(disk.clone(), &places, authority, Presence::Outside, Stdin::of_process(), Box::new(Stdout), confine) {
        Ok(()) => ExitCode::SUCCESS,
        // The client was told and tells the person.
        Err(ServeError::Failure(failure)) => ExitCode::from(code(&failure)),
        Err(error) => {
            eprintln!("smd-server: {error}");
            match error {
                ServeError::Lacking(_) => ExitCode::from(LACKING),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
