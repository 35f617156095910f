//! One hook from start to end.
//!
//! It is a member of our own process group, so that an interrupt from the keyboard reaches it too; a stop that only we
//! hear of is passed on. What it reads lies in a file in memory: a hook that reads nothing, or not to the end, holds
//! nobody up.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;
use rustix::process::{Pid, Signal, kill_process};
use smd_maildir::apply::Change;

use super::feed::Format;
use crate::connect::stderr::Stderr;

/// How long a hook that was asked to end may take.
const GRACE: Duration = Duration::from_secs(3);
/// The longest time between two looks at a hook.
const LOOK: Duration = Duration::from_millis(50);

/// Why a hook did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A few words, such as `it exited with 1`.
    pub what: String,
    /// The last lines that it said.
    pub said: Vec<String>,
}

/// Runs a program to its end. Gives the last lines that it said on stdout and stderr, and otherwise what went wrong.
pub fn run(
    program: &Path,
    args: &[String],
    changes: Option<(&[Change], Format)>,
    pass_on: bool,
    stop: &AtomicBool,
) -> (Vec<String>, Result<(), String>) {
    let (mut child, said) = match start(program, args, changes, pass_on) {
        Ok(started) => started,
        Err(error) => return (Vec::new(), Err(format!("it cannot be started: {error}"))),
    };
    let ended = match wait(&mut child, stop) {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(words(status)),
        Err(error) => Err(format!("it cannot be waited for: {error}")),
    };
    (said.tail(), ended)
}

fn start(
    program: &Path,
    args: &[String],
    changes: Option<(&[Change], Format)>,
    pass_on: bool,
) -> io::Result<(Child, Stderr)> {
    let stdin = match changes {
        Some((changes, format)) => filled(changes, format)?.into(),
        None => Stdio::null(),
    };
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    command.args(args).env(super::WITHIN, "1").stdin(stdin).stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn()?;
    // The command holds the writing end of the pipe: while it does, the pipe has no end.
    drop(command);
    Ok((child, Stderr::follow(reader, pass_on)))
}

/// A file in memory with the changes, to be read from its beginning.
fn filled(changes: &[Change], format: Format) -> io::Result<File> {
    let file = File::from(rustix::fs::memfd_create("smd-changes", MemfdFlags::CLOEXEC)?);
    let mut buffer = BufWriter::new(file);
    format.write(changes, &mut buffer)?;
    let mut file = buffer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.flush()?;
    file.rewind()?;
    Ok(file)
}

fn wait(child: &mut Child, stop: &AtomicBool) -> io::Result<ExitStatus> {
    let mut nap = Duration::from_millis(1);
    let mut asked: Option<Instant> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        match asked {
            None if stop.load(Ordering::Relaxed) => {
                asked = Some(Instant::now());
                // A hook that has just ended needs no asking.
                let _ = kill_process(Pid::from_child(child), Signal::TERM);
            }
            Some(since) if since.elapsed() > GRACE => child.kill()?,
            _ => {}
        }
        thread::sleep(nap);
        nap = (nap * 2).min(LOOK);
    }
}

fn words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it exited with {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended without saying how".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, changes: Option<(&[Change], Format)>, stop: bool) -> (Vec<String>, Result<(), String>) {
        let args = ["-c".to_owned(), script.to_owned()];
        run(Path::new("/bin/sh"), &args, changes, false, &AtomicBool::new(stop))
    }

    #[test]
    fn what_it_says_is_heard_and_how_it_ends_is_told() {
        assert_eq!(sh("echo out; echo err >&2", None, false), (vec!["out".into(), "err".into()], Ok(())));
        assert_eq!(sh("exit 3", None, false).1, Err("it exited with 3".into()));
        assert_eq!(sh("kill -9 $$", None, false).1, Err("it was ended by signal 9".into()));
        let missing = run(Path::new("/no/such/hook"), &[], None, false, &AtomicBool::new(false)).1;
        assert!(missing.expect_err("it is not there").starts_with("it cannot be started"));
    }

    #[test]
    fn a_hook_that_reads_nothing_is_no_error_and_one_before_a_run_has_nothing_to_read() {
        let changes = vec![Change::Added("/x/new/a".into()); 100_000];
        assert_eq!(sh("true", Some((&changes, Format::Nul)), false).1, Ok(()));
        assert_eq!(sh("wc -c", Some((&changes, Format::Nul)), false).0, ["1100000"]);
        assert_eq!(sh("wc -c", None, false).0, ["0"]);
    }

    #[test]
    fn a_stop_ends_a_hook_that_hangs() {
        assert_eq!(sh("exec sleep 1000", None, true).1, Err("it was ended by signal 15".into()));
    }
}
