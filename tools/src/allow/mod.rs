//! `smd-allow`: the owner lets a restricted key remove more at this host than its budget, for a while; and looks what keys removed.
//!
//! It is run where the mail is, by whoever may write the state directory: no peer reaches that.
//!
//! The rooms: [`args`] (what was typed), [`text`] (what is said).
//!
//! Deliberately not here: how much a key may remove without it (the server's policy).

pub mod args;
pub mod text;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::output::Output;
use smd_maildir::fs::{Disk, Fs as _};
use smd_maildir::home::{Access, Home, Label};
use smd_maildir::keys::{Allowance, Key, Paid, What};
use smd_maildir::lock::Wait;
use smd_protocol::told::json_line;

use crate::undo::{failure, io_failure, locked};
use args::Request;
use text::Shown;

/// How long a key's lock is waited for, in milliseconds.
const LOCK_WAIT_MS: u64 = 30_000;

/// What `smd-allow` does. The first of `args` is the program's name.
pub fn main_impl(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let request = match args::parse(args.into_iter().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let output = Output::new(&request.typed);
    match allow(&request) {
        Ok(keys) => {
            if request.typed.json {
                output.say(&json_line(&text::json(&keys)));
            } else if !request.typed.quiet {
                output.say(&text::lines(&keys, request.allows.is_some()));
            }
            output.end(Exit::Ok)
        }
        Err(failure) => output.end(output.failure(&failure)),
    }
}

fn allow(request: &Request) -> Result<Vec<Shown>, Box<Failure>> {
    let smd_home = SmdHome::from_env()
        .map_err(|error| failure(Exit::Config, "Your home directory is not known.", Some(error.to_string()), None))?;
    let access = if request.allows.is_some() { Access::ReadWrite } else { Access::ReadOnly };
    let looked = Home::open(Arc::new(Disk), smd_home.path(), Access::ReadOnly).map_err(io_failure)?;
    let known = Key::labels(&looked).map_err(io_failure)?;
    let wanted = chosen(&known, request.label.as_ref())?;
    let home = Home::open(Arc::new(Disk), smd_home.path(), access).map_err(io_failure)?;
    wanted.iter().map(|label| one(&home, label, request.allows)).collect()
}

/// The keys that are meant. One that was never here is a slip of the pen: what is allowed to it would help nobody.
pub(crate) fn chosen(known: &[Label], label: Option<&Label>) -> Result<Vec<Label>, Box<Failure>> {
    let Some(label) = label else { return Ok(known.to_vec()) };
    if known.contains(label) {
        return Ok(vec![label.clone()]);
    }
    let known: Vec<&str> = known.iter().map(Label::as_str).collect();
    let cause = match known.is_empty() {
        true => "no restricted key changed anything here yet".to_owned(),
        false => format!("these did: {}", known.join(", ")),
    };
    let hint = "the label is what --client says in the key's line of ~/.ssh/authorized_keys";
    Err(failure(Exit::Usage, &format!("No key {label} is known on this host."), Some(cause), Some(hint)))
}

fn one(home: &Home<Disk>, label: &Label, allows: Option<(u64, i64)>) -> Result<Shown, Box<Failure>> {
    let key = Key::open(home, label).map_err(io_failure)?;
    let _lock = match allows {
        Some(_) => key.lock(&Wait { ms: LOCK_WAIT_MS, stop: &|| false }).map_err(locked)?,
        None => None,
    };
    home.keep_age().map_err(io_failure)?;
    let now = home.age().map_err(io_failure)?;
    if let Some((messages, seconds)) = allows {
        key.allow(&Allowance::beginning(messages, now, seconds)).map_err(io_failure)?;
    }
    let (lines, allowance) = (key.log(now).map_err(io_failure)?, key.allowance().map_err(io_failure)?);
    let removed = lines
        .of_day(now)
        .filter(|line| matches!(line.what, What::Removed { paid: Paid::Budget | Paid::Allowance, .. }));
    let left = allowance.map_or(0, |allowance| allowance.left(&lines, now));
    let until = allowance.filter(|_| left > 0).map(|allowance| home.fs().now().sec + allowance.seconds_left(now));
    Ok(Shown { key: label.to_string(), removed: removed.count() as u64, left, until })
}
