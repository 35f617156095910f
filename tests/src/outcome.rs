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

    /// A number of the object that `--json` prints, by its JSON pointer such as `/pulled/new`.
    #[track_caller]
    pub fn number(&self, pointer: &str) -> u64 {
        let found = self.json().pointer(pointer).and_then(Value::as_u64);
        found.unwrap_or_else(|| panic!("no number at {pointer:?}\n{self}"))
    }

    /// Bytes over the wire in both directions.
    #[track_caller]
    pub fn bytes(&self) -> u64 {
        self.number("/traffic/sent") + self.number("/traffic/received")
    }

    /// How often the client waited for the server.
    #[track_caller]
    pub fn round_trips(&self) -> u64 {
        self.number("/traffic/round_trips")
    }

    /// The sum of all steps of both directions.
    #[track_caller]
    pub fn steps(&self) -> u64 {
        let json = self.json();
        let counts = ["pulled", "pushed"].into_iter().filter_map(|way| json[way].as_object());
        counts.flat_map(serde_json::Map::values).filter_map(Value::as_u64).sum()
    }

    /// Deletes of both directions.
    #[track_caller]
    pub fn deleted(&self) -> u64 {
        self.number("/pulled/deleted") + self.number("/pushed/deleted")
    }

    /// The uniqs that an adopt of the first root reports as returned, or `None` when the run did not adopt.
    #[track_caller]
    pub fn returned(&self) -> Option<Vec<String>> {
        let json = self.json();
        let items = json.pointer("/roots/0/adopted/returned")?.as_array()?;
        Some(items.iter().filter_map(|item| item["uniq"].as_str().map(str::to_owned)).collect())
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
