//! What the child says on stderr: passed on when someone wants to read it, its end kept for
//! explanations. The text comes from the other host and is printed escaped, always.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use smd_protocol::names::printable;

/// How many lines are kept.
const LINES: usize = 20;
/// How many bytes of a line are looked at.
const LINE_MAX: u64 = 1_000;
/// How long to wait for the end of stderr once the child has ended. A master connection that ssh
/// left in the background keeps stderr open for as long as it lives.
const PATIENCE: Duration = Duration::from_millis(300);

/// The stderr of a running child.
#[derive(Debug)]
pub struct Stderr {
    kept: Arc<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    ended: bool,
}

impl Stderr {
    /// Reads `from` in a thread of its own, until it ends.
    pub fn follow(from: impl Read + Send + 'static, pass_on: bool) -> Self {
        let kept = Arc::new(Kept::default());
        let keep = Arc::clone(&kept);
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            loop {
                line.clear();
                match (&mut from).take(LINE_MAX).read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => break,
                    Ok(_) => keep.line(&printable(line.trim_ascii_end()), pass_on),
                }
            }
            keep.lock().ended = true;
            keep.ended.notify_all();
        });
        Self { kept }
    }

    /// The last lines, once the child has ended.
    pub fn tail(&self) -> Vec<String> {
        let state = self.kept.lock();
        let waited = self.kept.ended.wait_timeout_while(state, PATIENCE, |state| !state.ended);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.lines.iter().cloned().collect()
    }
}

impl Kept {
    fn line(&self, line: &str, pass_on: bool) {
        if line.is_empty() {
            return;
        }
        if pass_on {
            // Nobody is left to tell when our own stderr is closed.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
        let mut state = self.lock();
        if state.lines.len() == LINES {
            state.lines.pop_front();
        }
        state.lines.push_back(line.to_owned());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_escaped_and_bounded() {
        let mut text: Vec<u8> = (0..30).flat_map(|number| format!("line {number}\r\n").into_bytes()).collect();
        text.extend(b"\x1b[31mred\n\n");
        text.extend(vec![b'x'; 5_000]);
        let tail = Stderr::follow(std::io::Cursor::new(text), false).tail();
        assert_eq!(tail.len(), LINES);
        assert!(tail.contains(&"\\x1b[31mred".to_owned()), "{tail:?}");
        assert!(tail.iter().all(|line| line.len() <= 1_000));
    }

    #[test]
    fn a_stderr_that_never_ends_does_not_hold_us_up() {
        struct Never;
        impl Read for Never {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                thread::park();
                Ok(0)
            }
        }
        assert!(Stderr::follow(Never, false).tail().is_empty());
    }
}
