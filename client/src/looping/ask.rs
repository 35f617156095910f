//! Asking the running loop, from another process: for a run that a person started by hand, or how it fares.
//!
//! Whatever goes wrong on the way, the answer is that no loop does it, and the person's own program does.
//!
//! Deliberately not here: the loop's side (`socket`).

use std::fs;
use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::socket::{WAITING, holder, reach};
use super::status::Status;
use super::words::{Answer, Asked, REPLY_MAX, Reply, Request, VERSION, Wish, hear, say};
use crate::args::{Args, Target};
use crate::endpoint::Resolved;
use crate::home::SmdHome;

/// How long a loop may take to say that it heard.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lets the running loop do this run in its open session, if one serves the endpoint and can. `waits` hears, once, that the
/// answer takes long.
pub fn run(args: &Args, resolved: &Resolved, waits: impl FnOnce(&str)) -> Option<Answer> {
    let own_way = args.typed.rsh.is_some() || args.typed.remote_command.is_some();
    let (Target::Endpoint(name), false) = (&args.target, own_way) else { return None };
    let home = &resolved.endpoint.home;
    // A hook of the loop would wait for the loop, which waits for the hook.
    if holder(home).is_some_and(is_ancestor) {
        return None;
    }
    let request = Request::Run { endpoint: name.clone(), wish: Wish::of(&resolved.options) };
    let mut waits = Some(waits);
    let answer = asked(home, request).and_then(|mut from| {
        loop {
            match hear(&mut from, REPLY_MAX)? {
                Reply::Taken => from.get_ref().set_read_timeout(Some(WAITING * 3))?,
                Reply::Waiting => {
                    if let Some(waits) = waits.take() {
                        waits(&format!("smd-loop is busy with {name} (a run or a hook); waiting for it."));
                    }
                }
                Reply::Answer(Answer::Declined(why)) | Reply::Declined(why) => return Err(io::Error::other(why)),
                Reply::Answer(answer) => return Ok(answer),
                Reply::Status(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    });
    match answer {
        Ok(answer) => Some(answer),
        Err(error) => {
            tracing::debug!(%error, "no loop does it");
            None
        }
    }
}

/// How the running loop fares, if one runs.
pub fn status(home: &SmdHome) -> Option<Status> {
    let reply = asked(home, Request::Status).and_then(|mut from| hear(&mut from, REPLY_MAX));
    match reply {
        Ok(Reply::Status(status)) => Some(status),
        _ => None,
    }
}

fn asked(home: &SmdHome, request: Request) -> io::Result<BufReader<UnixStream>> {
    let mut stream = reach(home)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    say(&mut stream, &Asked { version: VERSION.to_owned(), request })?;
    Ok(BufReader::new(stream))
}

/// Whether a process is a parent of this one, at whatever distance.
fn is_ancestor(pid: u32) -> bool {
    let mut next = std::os::unix::process::parent_id();
    while next > 1 {
        if next == pid {
            return true;
        }
        next = parent(next).unwrap_or(0);
    }
    false
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything; the state and the parent follow.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_ancestors_and_this_process_is_none_of_its_own() {
        let own = std::process::id();
        assert_eq!(parent(own), Some(std::os::unix::process::parent_id()));
        assert!(is_ancestor(std::os::unix::process::parent_id()) && !is_ancestor(own));
    }

    #[test]
    fn without_a_loop_nobody_answers() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(status(&SmdHome::new(dir.path(), dir.path())), None);
    }
}
