//! The last runs of an endpoint, for `--status`: `log/NAME.runs`, one JSON object a line.
//!
//! Deliberately not here: what a run did message by message; that is in the log.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::open;
use crate::error::Failure;
use crate::home::SmdHome;
use crate::report::json::VERSION;
use crate::report::{Report, summary};
use crate::wrap;

/// How many runs are shown.
const SHOWN: usize = 20;
/// The file is cut to the runs that are shown when it is larger than this.
const MOST_BYTES: u64 = 32 << 10;
/// Columns of a terminal.
const WIDTH: usize = 80;
/// Columns before the text of a run.
const INDENT: usize = 43;

/// A run that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// When it began.
    pub when: Timestamp,
    /// `pull`, `push` or `sync`.
    pub direction: String,
    /// The exit code.
    pub exit: u8,
    /// How long it took, without its hooks.
    pub seconds: f64,
    /// What it did, or why it failed.
    pub text: String,
    /// Steps at this host and at the server, and steps held back, by kind; none when it failed.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub counts: Value,
}

impl Past {
    /// The run of a report.
    pub fn of_report(when: Timestamp, report: &Report) -> Self {
        Self {
            when,
            direction: report.direction.word().to_owned(),
            exit: report.exit().code(),
            seconds: report.took.as_secs_f64(),
            text: summary::untimed(report),
            counts: json!({ "pulled": report.pulled(), "pushed": report.pushed(), "held": report.held() }),
        }
    }

    /// A run that failed.
    pub fn of_failure(when: Timestamp, direction: &str, seconds: f64, failure: &Failure) -> Self {
        Self {
            when,
            direction: direction.to_owned(),
            exit: failure.exit.code(),
            seconds,
            text: with_cause(failure),
            counts: Value::Null,
        }
    }

    fn is_idle(&self) -> bool {
        self.exit == 0 && is_zero(&self.counts)
    }
}

/// The heading, and the first line of what lies at the bottom of it.
fn with_cause(failure: &Failure) -> String {
    match failure.causes.last().and_then(|cause| cause.lines().next()) {
        Some(cause) => format!("{} {cause}", failure.heading),
        None => failure.heading.clone(),
    }
}

/// Whether all counts are zero.
fn is_zero(counts: &Value) -> bool {
    match counts {
        Value::Object(parts) => parts.values().all(is_zero),
        Value::Number(count) => count.as_u64() == Some(0),
        _ => false,
    }
}

fn path(home: &SmdHome, endpoint: &str) -> PathBuf {
    home.path().join("log").join(format!("{endpoint}.runs"))
}

/// Adds a run to those of an endpoint.
///
/// # Errors
/// When it cannot be written.
pub fn add(home: &SmdHome, endpoint: &str, past: &Past) -> io::Result<()> {
    let path = path(home, endpoint);
    let (mut file, size) = open(&path)?;
    let line = serde_json::to_string(past)? + "\n";
    // One write: two runs at a time leave two lines.
    file.write_all(line.as_bytes())?;
    if size > MOST_BYTES {
        shorten(&path)?;
    }
    Ok(())
}

fn shorten(path: &Path) -> io::Result<()> {
    let mut kept = String::new();
    for past in last(&fs::read(path)?).iter().rev() {
        kept.push_str(&serde_json::to_string(past)?);
        kept.push('\n');
    }
    let next = path.with_extension("runs.next");
    drop(fs::remove_file(&next));
    let (mut file, _) = open(&next)?;
    file.write_all(kept.as_bytes())?;
    fs::rename(next, path)
}

/// The last runs of an endpoint, the newest first. Lines that make no sense, such as one that a crash cut, are no runs.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read(home: &SmdHome, endpoint: &str) -> io::Result<Vec<Past>> {
    let bytes = match fs::read(path(home, endpoint)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(last(&bytes))
}

/// The last runs of a file, the newest first; of those in a row that found nothing to do, the last.
fn last(bytes: &[u8]) -> Vec<Past> {
    let lines = bytes.split(|&byte| byte == b'\n').rev();
    let mut runs: Vec<Past> = Vec::new();
    for past in lines.filter_map(|line| serde_json::from_slice::<Past>(line).ok()) {
        let again = |newer: &Past| newer.is_idle() && past.is_idle() && newer.direction == past.direction;
        if !runs.last().is_some_and(again) {
            runs.push(past);
        }
        if runs.len() == SHOWN {
            break;
        }
    }
    runs
}

/// The runs as a table for a person.
pub fn table(endpoint: &str, runs: &[Past], zone: &TimeZone) -> String {
    if runs.is_empty() {
        return format!("{endpoint}: no run yet\n");
    }
    let mut text = format!("{:<19}  {:<4}  {:>4}  {:>8}  what\n", "when", "way", "exit", "took");
    for run in runs {
        let when = Zoned::new(run.when, zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let took = format!("{:.2} s", run.seconds);
        let head = format!("{when}  {:<4}  {:>4}  {took:>8}", run.direction, run.exit);
        let what = wrap::lines(&run.text, "", "", WIDTH - INDENT);
        let mut lines = what.lines();
        text.push_str(&format!("{head:<41}  {}\n", lines.next().unwrap_or_default()));
        lines.for_each(|line| text.push_str(&format!("{:INDENT$}{line}\n", "")));
    }
    text
}

/// The runs as one object.
pub fn value(endpoint: &str, runs: &[Past]) -> Value {
    json!({ "version": VERSION, "endpoint": endpoint, "runs": runs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(second: i64, exit: u8, text: &str) -> Past {
        Past {
            when: Timestamp::from_second(1_700_000_000 + second).expect("a time"),
            direction: "sync".into(),
            exit,
            seconds: 0.412,
            text: text.into(),
            counts: Value::Null,
        }
    }

    #[test]
    fn the_last_runs_are_kept_newest_first_and_the_file_stays_small() {
        let temp = tempfile::tempdir().expect("a directory");
        let home = SmdHome::new(temp.path(), temp.path());
        assert_eq!(read(&home, "work").expect("none"), []);
        for number in 0..600 {
            add(&home, "work", &run(number, 0, "nothing to do")).expect("it is written");
        }
        let runs = read(&home, "work").expect("runs");
        let expected: Vec<Past> = (580..600).rev().map(|number| run(number, 0, "nothing to do")).collect();
        assert_eq!(runs, expected);
        assert!(fs::metadata(path(&home, "work")).expect("a file").len() < MOST_BYTES + 1000);
        assert_eq!(fs::read_dir(temp.path().join("log")).expect("a directory").count(), 1);
    }

    #[test]
    fn of_idle_runs_in_a_row_the_last_is_shown_and_no_other_run_is_lost_for_them() {
        let temp = tempfile::tempdir().expect("a directory");
        let home = SmdHome::new(temp.path(), temp.path());
        let counts = |new: u64| json!({ "pulled": { "new": new, "flags": 0 }, "pushed": { "new": 0 } });
        let of = |number, new| Past { counts: counts(new), ..run(number, 0, "in words") };
        add(&home, "work", &of(0, 1)).expect("it is written");
        add(&home, "work", &run(1, 69, "office cannot be reached.")).expect("it is written");
        (2..500).for_each(|number| add(&home, "work", &of(number, 0)).expect("it is written"));
        let expected = [of(499, 0), run(1, 69, "office cannot be reached."), of(0, 1)];
        assert_eq!(read(&home, "work").expect("runs"), expected);
        assert!(fs::metadata(path(&home, "work")).expect("a file").len() < MOST_BYTES + 1000);
    }

    #[test]
    fn a_line_that_was_cut_is_no_run() {
        let temp = tempfile::tempdir().expect("a directory");
        let home = SmdHome::new(temp.path(), temp.path());
        add(&home, "work", &run(1, 0, "x")).expect("it is written");
        let (mut file, _) = open(&path(&home, "work")).expect("it opens");
        file.write_all(b"{\"when\":\n").expect("it is written");
        add(&home, "work", &run(2, 0, "y")).expect("it is written");
        assert_eq!(read(&home, "work").expect("runs"), [run(2, 0, "y"), run(1, 0, "x")]);
    }

    #[test]
    fn the_table_fits_a_terminal() {
        let runs = [
            run(60, 69, "office cannot be reached."),
            run(
                0,
                0,
                "pulled 12 new, 3 flag changes, 1 moved, 2 deleted from office; pushed 1 new to office in 0.41 s (38 KiB)",
            ),
        ];
        let text = table("work", &runs, &TimeZone::UTC);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        insta::assert_snapshot!(text, @r"
        when                 way   exit      took  what
        2023-11-14 22:14:20  sync    69    0.41 s  office cannot be reached.
        2023-11-14 22:13:20  sync     0    0.41 s  pulled 12 new, 3 flag changes, 1
                                                   moved, 2 deleted from office; pushed
                                                   1 new to office in 0.41 s (38 KiB)
        ");
    }
}
