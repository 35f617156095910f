//! The program for keys that can do nothing but sync: `smd-restricted-shell` in a line of `authorized_keys`.
//!
//! All that it is told comes from the owner, by its arguments; of the client it hears first when roots and state are open. It
//! looks at no environment but at what `sshd` says of the command, takes the home directory from the password database, and
//! starts no program. Whatever is not as it should be is one line on stderr, which `ssh` shows at the client.
//!
//! The rooms: [`args`] (the arguments, and what they mean), `command` (what the client asked `sshd` to run), `account` (whose it
//! is), `kept` (which places are no roots), `open` (roots and state are opened and held).
//!
//! Deliberately not here: serving (`serve`), and what each verb means (`policy`).

mod account;
pub mod args;
mod command;
mod kept;
mod open;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use rustix::fs::Mode;
use smd_maildir::fs::{Fs as _, Held};

use crate::error::ServeError;
use crate::policy::Authority;
use crate::roots::Places;
use crate::serve::serve;
use crate::start::code;
use args::{Asked, Options};

/// The program's name.
pub const NAME: &str = "smd-restricted-shell";

/// Why nothing is served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unfit {
    code: u8,
    text: String,
}

impl Unfit {
    /// The arguments, or what they name, are not fit for it.
    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self { code: 78, text: text.into() }
    }

    /// The system would not.
    pub(crate) fn io(text: impl Into<String>) -> Self {
        Self { code: 74, text: text.into() }
    }

    /// The client may not.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self { code: 77, text: text.into() }
    }
}

/// Bytes of what sshd says of the connection that are written down: two addresses and two ports are fewer.
const CONNECTION_MAX: usize = 200;

/// What `smd-restricted-shell` does.
pub fn main_impl() -> ExitCode {
    let options = match args::parse(std::env::args_os()) {
        Ok(Asked::Text(text)) => {
            let mut out = std::io::stdout();
            return match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        Ok(Asked::Serve(options)) => *options,
        Err(text) => return fails(&Unfit::config(text)),
    };
    match begin(options, std::env::var_os("SSH_ORIGINAL_COMMAND")) {
        Ok(code) => code,
        Err(unfit) => fails(&unfit),
    }
}

fn fails(unfit: &Unfit) -> ExitCode {
    let fix = match unfit.code {
        78 => "; the line of this key in ~/.ssh/authorized_keys is to be corrected, and nothing is served until then",
        _ => "",
    };
    eprintln!("{NAME}: {}{fix}", unfit.text);
    ExitCode::from(unfit.code)
}

fn begin(options: Options, command: Option<OsString>) -> Result<ExitCode, Unfit> {
    command::check(command.as_deref())?;
    if std::io::stdin().is_terminal() {
        return Err(Unfit {
            code: 2,
            text: "it speaks to a program, not to a person; run smd-sync on the other host".into(),
        });
    }
    // But for what the Maildir's own modes say, which are set and not asked for.
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let home = account::home()?;
    let state = options.state.as_ref().map_or_else(|| home.join(".smd"), |state| home.join(state));
    let places = Places { user: home, state };
    let held = Arc::new(Held::default());
    let roots = open::roots(&options.roots, &places, &held)?;
    open::state(&places, &held)?;
    // Asked of the system while its files can be opened.
    held.boot();
    smd_maildir::hash::processors();
    let Options { key, rights, limits, .. } = options;
    let mut connection = std::env::var_os("SSH_CONNECTION").unwrap_or_default().into_encoded_bytes();
    connection.truncate(CONNECTION_MAX);
    let authority = Authority { key: Some(key), rights, roots, limits, forced: false, connection };
    Ok(match serve(held, &places, authority, Box::new(std::io::stdin()), Box::new(std::io::stdout())) {
        Ok(()) => ExitCode::SUCCESS,
        // The client was told and tells the person.
        Err(ServeError::Failure(failure)) => ExitCode::from(code(&failure)),
        Err(error) => {
            eprintln!("{NAME}: {error}");
            ExitCode::FAILURE
        }
    })
}
