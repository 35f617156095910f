//! A translator that is a program of the person's: a line in, a line out.
//!
//! It is started without a shell, at the first question, and serves all questions of a run. It is asked for whole paths, as
//! the config writes roots: `MAILBOX_LOCAL/x` in and `MAILBOX_REMOTE/y` out, or the other way round. After a hang or its
//! end it is not asked again.
//!
//! Deliberately not here: whether an answer makes sense.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use smd_protocol::names::printable;

/// How long an answer is waited for.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer in bytes; longer than any path.
const ANSWER_MAX: u64 = 16 << 10;
/// Answers that may wait to be heard.
const ANSWERS: usize = 4;

/// A program, perhaps started.
#[derive(Debug)]
pub struct External {
    words: Vec<OsString>,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Idle,
    Running(Running),
    /// Why it is not asked any more.
    Broken(String),
}

#[derive(Debug)]
struct Running {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<Vec<u8>>,
}

/// What became of a question.
enum Failed {
    /// This question has no answer; the next may have one.
    Refused(String),
    /// The program is of no use any more.
    Broken(String),
}

impl External {
    /// A program and its arguments; nothing is started yet.
    pub fn new(words: Vec<OsString>, patience: Duration) -> Self {
        Self { words, patience, state: Mutex::new(State::Idle) }
    }

    /// Asks one question.
    ///
    /// # Errors
    /// When there is no answer: why, in words that follow the program's name.
    pub fn ask(&self, line: &[u8]) -> Result<Vec<u8>, String> {
        if line.contains(&b'\n') {
            return Err("cannot be asked for a name with a line break in it".to_owned());
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Idle = *state {
            *state = match self.start() {
                Ok(running) => State::Running(running),
                Err(error) => State::Broken(format!("cannot be started: {error}{}", self.looked_up())),
            };
        }
        let result = match &mut *state {
            State::Running(running) => running.ask(line, self.patience),
            State::Broken(why) => return Err(why.clone()),
            State::Idle => return Err("was not started".to_owned()),
        };
        result.map_err(|failed| match failed {
            Failed::Refused(why) => why,
            Failed::Broken(why) => {
                *state = State::Broken(why.clone());
                why
            }
        })
    }

    /// From where a program is looked up whose path does not tell.
    fn looked_up(&self) -> String {
        let Some(program) = self.words.first().map(Path::new).filter(|program| !program.is_absolute()) else {
            return String::new();
        };
        if program.components().count() == 1 && !program.as_os_str().as_encoded_bytes().contains(&b'/') {
            return "; it was looked for in the PATH".to_owned();
        }
        let dir = std::env::current_dir().map_or_else(
            |error| format!("a directory that is gone ({error})"),
            |dir| printable(dir.as_os_str().as_encoded_bytes()),
        );
        format!(
            "; it was looked for from {dir}: write the path from /, such as $HOME/{}",
            printable(program.as_os_str().as_encoded_bytes())
        )
    }

    fn start(&self) -> std::io::Result<Running> {
        let missing = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
        let (program, arguments) = self.words.split_first().ok_or_else(missing)?;
        let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else { return Err(missing()) };
        let (sender, answers) = sync_channel(ANSWERS);
        let running = Running { child, stdin, answers };
        thread::Builder::new().name("translator".to_owned()).spawn(move || listen(stdout, &sender))?;
        Ok(running)
    }
}

/// Passes lines on until there are no more, or nobody listens.
fn listen(stdout: ChildStdout, answers: &SyncSender<Vec<u8>>) {
    let mut lines = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        let read = (&mut lines).take(ANSWER_MAX).read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) || line.pop() != Some(b'\n') || answers.send(line).is_err() {
            return;
        }
    }
}

impl Running {
    fn ask(&mut self, line: &[u8], patience: Duration) -> Result<Vec<u8>, Failed> {
        if let Ok(more) = self.answers.try_recv() {
            return Err(Failed::Broken(format!("says more than it was asked: {}", shown(&more))));
        }
        let question = [line, b"\n"].concat();
        if self.stdin.write_all(&question).and_then(|()| self.stdin.flush()).is_err() {
            return Err(Failed::Broken(self.ended()));
        }
        let answer = self.hear(patience)?;
        let Some(message) = answer.strip_prefix(b"ERROR") else { return Ok(answer) };
        let message = match message.trim_ascii() {
            b"" => self.hear(patience)?,
            message => message.strip_prefix(b":").unwrap_or(message).trim_ascii().to_vec(),
        };
        Err(Failed::Refused(format!("says ERROR: {}", shown(&message))))
    }

    fn hear(&mut self, patience: Duration) -> Result<Vec<u8>, Failed> {
        self.answers.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => Failed::Broken(format!(
                "gave no answer within {} seconds; its output must not be buffered",
                patience.as_secs_f32()
            )),
            RecvTimeoutError::Disconnected => Failed::Broken(self.ended()),
        })
    }

    fn ended(&mut self) -> String {
        let _ = self.child.kill();
        match self.child.wait() {
            Ok(status) => format!("ended, or broke off, before it had answered ({status})"),
            Err(error) => format!("ended before it had answered: {error}"),
        }
    }
}

fn shown(line: &[u8]) -> String {
    printable(&line[..line.len().min(200)])
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its work is done, whatever it thinks of that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, patience: Duration) -> External {
        External::new(["sh", "-c", script].map(OsString::from).to_vec(), patience)
    }

    #[track_caller]
    fn refused(external: &External, question: &str, expected: &str) {
        let error = external.ask(question.as_bytes()).expect_err(question);
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn one_process_answers_all_questions_of_a_run() {
        let counting = sh("n=0; while read -r line; do n=$((n+1)); echo \"$n $line\"; done", PATIENCE);
        for n in 1..100 {
            assert_eq!(counting.ask(b"a b").expect("answers"), format!("{n} a b").into_bytes());
        }
    }

    #[test]
    fn a_hang_is_waited_for_once() {
        let hanging = sh("cat >/dev/null", Duration::from_millis(100));
        refused(&hanging, "a", "gave no answer within 0.1 seconds");
        // What it says later is not taken for an answer to another question.
        refused(&hanging, "b", "gave no answer");
    }

    #[test]
    fn a_program_that_dies_or_is_not_there_says_so() {
        refused(&sh("read -r line; exit 3", PATIENCE), "a", "exit status: 3");
        let once = sh("read -r line; echo \"$line\"", PATIENCE);
        assert_eq!(once.ask(b"a").expect("answers"), b"a");
        refused(&once, "b", "before it had answered");
        refused(&External::new(vec!["/nonexistent/program".into()], PATIENCE), "a", "cannot be started");
        refused(&External::new(Vec::new(), PATIENCE), "a", "cannot be started");
        let here = std::env::current_dir().expect("it exists").display().to_string();
        let relative = External::new(vec!["bin/no-such-program".into()], PATIENCE);
        refused(
            &relative,
            "a",
            &format!("looked for from {here}: write the path from /, such as $HOME/bin/no-such-program"),
        );
        refused(&External::new(vec!["no-such-program".into()], PATIENCE), "a", "looked for in the PATH");
    }

    #[test]
    fn an_error_is_passed_on_in_either_spelling_and_the_next_question_is_answered() {
        let script = "while read -r line; do case $line in a) echo 'ERROR: no a';; b) echo ERROR; echo 'no b';; *) echo \"$line\";; esac; done";
        let picky = sh(script, PATIENCE);
        refused(&picky, "a", "says ERROR: no a");
        refused(&picky, "b", "says ERROR: no b");
        assert_eq!(picky.ask(b"c").expect("answers"), b"c");
    }

    #[test]
    fn more_answers_than_questions_are_noticed() {
        // The second line is written with the first, so it is there when the first is.
        let talker = sh("while read -r line; do printf '%s\\n%s\\n' \"$line\" more; done", PATIENCE);
        let answers: Vec<Result<Vec<u8>, String>> = (0..3).map(|_| talker.ask(b"a")).collect();
        assert!(answers.iter().any(|answer| answer.as_ref().map_or(true, |line| line != b"a")), "{answers:?}");
    }

    #[test]
    fn endless_noise_without_a_line_break_ends() {
        refused(&sh("cat /dev/zero", PATIENCE), "a", "broke off");
        refused(&sh("cat", PATIENCE), "a\nb", "line break");
    }
}
