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
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::Mode;
use smd_maildir::fs::{Fs as _, Held};
use smd_protocol::rights::Push;
use smd_protocol::wire::{ClientHello, Failure};

use crate::error::ServeError;
use crate::link::{Stdin, Stdout};
use crate::policy::{self, Authority, Roots};
use crate::roots::Places;
use crate::sandbox::{Grounds, Lacking, Limits, Mode as Barriers, Right, Sandbox, prepare};
use crate::serve::{serve, turn_away};
use crate::session::{Confined, Presence};
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

fn lacking(lacking: Lacking) -> Unfit {
    Unfit::refused(lacking.to_string())
}

fn sandbox(options: &Options) -> Result<Sandbox, Unfit> {
    let mode = if options.limits.require_sandbox { Barriers::Require } else { Barriers::BestEffort };
    Sandbox::first(&Limits::of_this_machine(), mode).map_err(lacking)
}

/// From now on nothing can be opened but what is held.
fn confine(
    sandbox: &mut Sandbox,
    authority: &Authority,
    places: &Places,
    held: &Held,
) -> Result<Confined<Held>, Lacking> {
    let right = if authority.rights.push == Push::Nothing { Right::Read } else { Right::Write };
    let mut grounds = Grounds::default();
    for (path, dir) in held.all() {
        let right = if path == places.state { Right::Write } else { right };
        // What cannot be held cannot be used, and whoever needs it says so.
        let _ = dir.and_then(|dir| grounds.hold(dir, right));
    }
    prepare::moved(&mut grounds, &places.state, Right::Write);
    sandbox.confine(&grounds)?;
    Ok(Confined { told: Some(sandbox.report().told()), ..Confined::default() })
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
    // From here on nothing is started and nobody is asked over a socket, as the password database may be.
    let mut sandbox = sandbox(&options)?;
    let state = options.state.as_ref().map_or_else(|| home.join(".smd"), |state| home.join(state));
    let places = Places { user: home, state };
    let (held, sealed) = (Arc::new(Held::default()), Arc::<AtomicBool>::default());
    let roots = open::roots(&options.roots, &places, &held, &sealed)?;
    open::state(&places, &held)?;
    // Asked of the system while its files can be opened.
    held.boot();
    smd_maildir::hash::processors();
    let Options { key, rights, limits, .. } = options;
    let mut connection = std::env::var_os("SSH_CONNECTION").unwrap_or_default().into_encoded_bytes();
    connection.truncate(CONNECTION_MAX);
    let authority = Authority { key: Some(key), rights, roots, limits, forced: false, connection };
    let confined = match &authority.roots {
        // Before the first byte.
        Roots::Named(_) | Roots::Any => Some(confine(&mut sandbox, &authority, &places, &held).map_err(lacking)?),
        Roots::Found(_) => None,
    };
    let (asked, at, fs) = (authority.clone(), places.clone(), held.clone());
    let confine = |hello: Option<&ClientHello>| match confined {
        Some(confined) => Ok(confined),
        None => {
            // What is found for this client is held, and nothing else can be opened behind it. A refusal is met again.
            let paths: Vec<&[u8]> = hello.iter().flat_map(|hello| &hello.roots).map(|offer| &offer.path[..]).collect();
            let _ = policy::roots::places(&asked.roots, &at, &paths);
            sealed.store(true, Ordering::Relaxed);
            confine(&mut sandbox, &asked, &at, &fs)
        }
    };
    let presence = match authority.key.as_ref().map(|key| Presence::of_key(&held, &places, key)) {
        Some(Ok(presence)) => presence,
        None => Presence::Outside,
        Some(Err(failure)) => {
            turn_away(&mut Stdout, failure.clone());
            return Ok(ExitCode::from(code(&failure)));
        }
    };
    Ok(match serve(held, &places, authority, presence, Stdin::of_process(), Box::new(Stdout), confine) {
        // The client does at once what it was told.
        Ok(()) | Err(ServeError::Failure(Failure::Reconnect)) => ExitCode::SUCCESS,
        // The client was told and tells the person.
        Err(ServeError::Failure(failure)) => ExitCode::from(code(&failure)),
        Err(error) => {
            eprintln!("{NAME}: {error}");
            ExitCode::FAILURE
        }
    })
}
