//! `smd-translate`: the translations that are built in, as a filter.
//!
//! Whole names go in and come out, as with every translator of a config, so that a run which does this by itself and one
//! that starts this program agree.
//!
//! Deliberately not here: the rules (`smd_client::translate::modes`).

pub mod args;

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use smd_client::Command;
use smd_client::args::{Target, Typed};
use smd_client::config::Config;
use smd_client::endpoint::EndpointError;
use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::output::Output;
use smd_client::translate::Roots;
use smd_client::translate::modes::{Mode, Way};
use smd_protocol::Folder;
use smd_protocol::names::printable;

use args::Request;

/// What `smd-translate` does. The first of `args` is the program's name.
pub fn main_impl(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let request = match args::parse(args.into_iter().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let roots = match roots(&request.endpoint) {
        Ok(roots) => roots,
        Err(error) => {
            let target = Target::Endpoint(request.endpoint);
            let failure = Failure::endpoint(&target, Command::Sync, error);
            return Output::new(&Typed::default()).failure(&failure).into();
        }
    };
    let out = &mut io::stdout();
    let done = match &request.mailbox {
        Some(mailbox) => filter(&roots, &request, &mut &mailbox[..], out),
        None => filter(&roots, &request, &mut io::stdin().lock(), out),
    };
    match done {
        Ok(true) => Exit::Ok.into(),
        Ok(false) => Exit::Partly.into(),
        // Nobody is left to tell.
        Err(_) => Exit::Io.into(),
    }
}

fn roots(endpoint: &str) -> Result<Vec<Roots>, EndpointError> {
    let config = Config::load(&SmdHome::from_env()?, endpoint)?;
    let both =
        |pair: smd_client::config::mailboxes::MailboxPair| Roots { local: pair.local, remote: pair.remote_written };
    Ok(config.mailboxes.into_iter().map(both).collect())
}

/// Answers line by line, each at once. Says whether every name had another.
fn filter(roots: &[Roots], request: &Request, names: &mut dyn BufRead, out: &mut dyn Write) -> io::Result<bool> {
    let mut all = true;
    let mut line = Vec::new();
    while names.read_until(b'\n', &mut line)? > 0 {
        let name = line.strip_suffix(b"\n").unwrap_or(&line);
        let mut answer = one(roots, request.mode, request.way, name).unwrap_or_else(|why| {
            all = false;
            format!("ERROR: {} {why}", printable(name)).into_bytes()
        });
        answer.push(b'\n');
        out.write_all(&answer)?;
        out.flush()?;
        line.clear();
    }
    Ok(all)
}

/// Translates one whole name. The error says why that cannot be.
fn one(roots: &[Roots], mode: Mode, way: Way, name: &[u8]) -> Result<Vec<u8>, String> {
    // Of roots that could both be meant the longer one is.
    let found = roots.iter().filter_map(|root| Some((root, root.below(way, name)?))).min_by_key(|(_, rest)| rest.len());
    let (root, rest) = found.ok_or_else(|| format!("is not below a root of the config for -d {}", way.word()))?;
    let (folder, place) = match rest.rsplitn(2, |&byte| byte == b'/').collect::<Vec<_>>()[..] {
        [place @ (b"cur" | b"new" | b"tmp")] => (&b""[..], place),
        [place @ (b"cur" | b"new" | b"tmp"), folder] => (folder, place),
        _ => (rest.strip_suffix(b"/").unwrap_or(rest), &b""[..]),
    };
    let folder = Folder::parse(folder).map_err(|error| error.to_string())?;
    let there = mode.folder(way, &folder)?;
    let mut answer = root.path(way.back(), &there);
    if !place.is_empty() {
        answer.push(b'/');
        answer.extend_from_slice(place);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(mode: Mode, way: Way, lines: &str) -> (bool, String) {
        let root = |local: &str, remote: &str| Roots { local: local.into(), remote: remote.into() };
        let roots = [root("Mail", "Maildir"), root("Mail/old x", "/srv/old")];
        let request = Request { endpoint: String::new(), mailbox: None, mode, way };
        let mut out = Vec::new();
        let all = filter(&roots, &request, &mut lines.as_bytes(), &mut out).expect("writes");
        (all, String::from_utf8(out).expect("text"))
    }

    #[test]
    fn a_line_in_is_a_line_out_with_root_and_place() {
        let (mode, way) = (Mode::OimapDovecot, Way::RemoteToLocal);
        let lines = "Maildir/cur\nMaildir/.sub.folder/new\nMaildir/.sub.folder\nMaildir\nMaildir/\n/srv/old/.a";
        let answers = "Mail/cur\nMail/sub.folder/new\nMail/sub.folder\nMail\nMail\nMail/old x/a\n";
        assert_eq!(translated(mode, way, lines), (true, answers.to_owned()));
        assert_eq!(translated(mode, way.back(), answers), (true, lines.replace("Maildir/\n", "Maildir\n") + "\n"));
        let (mode, way) = (Mode::Inbox, Way::LocalToRemote);
        assert_eq!(translated(mode, way, "Mail/INBOX/cur\n"), (true, "Maildir/cur\n".to_owned()));
    }

    #[test]
    fn what_has_no_name_is_an_error_line_and_the_next_goes_on() {
        let (all, answers) =
            translated(Mode::Nodots, Way::LocalToRemote, "Mail/a.b\nelsewhere\nMail/../x\n\nMail/ok\n");
        assert!(!all);
        insta::assert_snapshot!(answers, @r#"
        ERROR: Mail/a.b has a dot in its name, and a dot stands for a slash at the other host
        ERROR: elsewhere is not below a root of the config for -d LR
        ERROR: Mail/../x folder "..": is a dot name
        ERROR:  is not below a root of the config for -d LR
        Maildir/.ok
        "#);
    }
}
