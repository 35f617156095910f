//! What a finished program left: exit code, output, and the numbers of `--json`.

use std::process::Output;

use serde_json::Value;

/// A finished program. Its checks fail with the whole output, so that a failed test can be understood from the log.
#[derive(Debug)]
pub struct Outcome {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; 128 and the number of the signal that ended it.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Outcome {
    /// Takes over a finished process.
    pub fn new(command: String, output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let signal = output.status.signal().map_or(-1, |signal| 128 + signal);
        Self {
            command,
            code: output.status.code().unwrap_or(signal),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails unless the program ended with this exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "wrong exit code\n{self}");
        self
    }

    /// Fails unless the program ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Fails unless this text is in stdout or stderr.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "{text:?} was not said\n{self}");
        self
    }

    /// Fails unless nothing at all was printed.
    #[track_caller]
    pub fn silent(self) -> Self {
        assert!(self.stdout.is_empty() && self.stderr.is_empty(), "something was said\n{self}");
        self
    }

    /// The object that `--json` prints.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("stdout is not one JSON object: {e}\n{self}"))
    }

    /// A number of the object that `--json` prints.
    #[track_caller]
    pub fn number(&self, field: &str) -> u64 {
        self.json()[field].as_u64().unwrap_or_else(|| panic!("no number {field:?}\n{self}"))
    }

    /// Bytes over the wire in both directions.
    #[track_caller]
    pub fn bytes(&self) -> u64 {
        self.number("bytes_sent") + self.number("bytes_received")
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "$ {}\nexit code {}\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}
