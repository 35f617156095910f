//! How the loop fares, endpoint by endpoint, as a value: asked for over the socket, and kept in `state/loop.json` for when
//! no loop runs.
//!
//! Deliberately not here: the socket, where threads write it (`board`), and what a run reports.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use smd_protocol::names::printable;

use crate::error::Failure;
use crate::exit::Exit;
use crate::home::SmdHome;
use crate::report::warnings::{self, Weight};
use crate::report::{Counts, Report, summary};

/// The number that a change of meaning, never an addition, raises.
pub(super) const VERSION: u32 = 1;

/// A file larger than this is none of ours.
const SIZE_MAX: u64 = 1 << 24;

/// What an endpoint's thread does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doing {
    /// It connects, or syncs.
    #[default]
    Working,
    /// Both hosts are watched.
    Watching,
    /// It waits for the minutes of the loop file.
    Waiting,
    /// It waits to try again after a failure.
    Retrying,
}

/// A failure as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// When it was met last, in seconds since 1970.
    pub at: u64,
    /// The exit code that it would have.
    pub exit: u8,
    /// One sentence.
    pub text: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to type.
    pub hint: Option<String>,
    /// Nothing was well since.
    pub stands: bool,
}

/// One endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// Its name.
    pub endpoint: String,
    /// What its thread does.
    pub doing: Doing,
    /// The hook that it waits for.
    #[serde(default)]
    pub hook: Option<String>,
    /// What it waits for while it connects, once that takes long.
    #[serde(default)]
    pub waits: Option<String>,
    /// Why both hosts are not watched; empty when they are, or when nobody looked yet.
    pub unwatched: Vec<String>,
    /// When a run last did all that it had to, in seconds since 1970.
    pub last_success: Option<u64>,
    /// The last failure.
    pub last_error: Option<Wrong>,
    /// When the next run is due if nothing is seen, in seconds since 1970.
    pub next: Option<u64>,
    /// Runs since the loop began.
    pub runs: u64,
    /// Steps at this host since the loop began.
    pub pulled: Counts,
    /// Steps at the server since the loop began.
    pub pushed: Counts,
}

/// The whole loop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The number of this format.
    pub version: u32,
    /// The loop's process.
    pub pid: u32,
    /// When it began, in seconds since 1970.
    pub since: u64,
    /// Its endpoints, in order.
    pub endpoints: Vec<EndpointStatus>,
}

/// Whether there is a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// One runs, and gave the status.
    Runs,
    /// A process holds the loop's place and does not answer, such as one that was stopped.
    Silent {
        /// The process.
        pid: u32,
    },
    /// None is there.
    Gone,
}

/// The time, as it is shown: this host's clock, and nothing depends on it.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Where a loop leaves it.
pub(super) fn path(home: &SmdHome) -> PathBuf {
    home.path().join("state").join("loop.json")
}

impl EndpointStatus {
    /// A run came to its end.
    pub fn ran(&mut self, report: &Report) {
        self.runs += 1;
        if report.dry_run {
            return;
        }
        self.pulled.add(&report.pulled());
        self.pushed.add(&report.pushed());
        let exit = report.exit();
        if exit == Exit::Ok {
            self.well();
            return;
        }
        let warning = warnings::of(report).into_iter().find(|warning| warning.weight != Weight::Note);
        let (text, hint) = warning.map_or((exit.sentence().to_owned(), None), |warning| (warning.text, warning.hint));
        self.last_error = Some(Wrong { at: now(), exit: exit.code(), text, causes: Vec::new(), hint, stands: true });
    }

    /// All that had to be done is done.
    fn well(&mut self) {
        self.last_success = Some(now());
        if let Some(wrong) = &mut self.last_error {
            wrong.stands = false;
        }
    }

    /// A run, or the connection, failed.
    pub fn failed(&mut self, failure: &Failure) {
        self.last_error = Some(Wrong {
            at: now(),
            exit: failure.exit.code(),
            text: failure.heading.clone(),
            causes: failure.causes.clone(),
            hint: failure.hint.clone(),
            stands: true,
        });
    }

    fn wrong(&self) -> Option<&Wrong> {
        self.last_error.as_ref().filter(|wrong| wrong.stands)
    }

    /// For how long this host may have lacked what the other has, in seconds: nothing while both are watched and all is
    /// done.
    pub fn lag(&self, now: u64) -> Option<u64> {
        match (self.doing, self.wrong()) {
            (Doing::Watching, None) => Some(0),
            _ => self.last_success.map(|last| now.saturating_sub(last)),
        }
    }

    fn words(&self, now: u64) -> String {
        let due = self.next.map(|next| format!(" in {}", span(next.saturating_sub(now)))).unwrap_or_default();
        match self.doing {
            Doing::Working => match (&self.hook, &self.waits) {
                (Some(hook), _) => format!("waiting for the hook {hook}"),
                (None, Some(waits)) => waits.clone(),
                (None, None) => "at work".to_owned(),
            },
            Doing::Watching => "watching both hosts".to_owned(),
            Doing::Waiting if self.next.is_none() => "waiting to be asked".to_owned(),
            Doing::Waiting => format!("next run{due}"),
            Doing::Retrying => format!("trying again{due}"),
        }
    }
}

impl Status {
    /// That of a home in which no loop has run.
    pub fn none() -> Self {
        Self { version: VERSION, ..Self::default() }
    }

    /// Nothing is wrong that a run since did not mend.
    pub fn well(&self) -> bool {
        self.endpoints.iter().all(|one| one.wrong().is_none())
    }

    /// One line for the service manager.
    pub(super) fn line(&self) -> String {
        let wrong: Vec<String> = self
            .endpoints
            .iter()
            .filter_map(|one| Some(format!("{}: {}", one.endpoint, printable(one.wrong()?.text.as_bytes()))))
            .collect();
        if !wrong.is_empty() {
            return wrong.join(" ");
        }
        let watching = self.endpoints.iter().filter(|one| one.doing == Doing::Watching).count();
        format!("{} of {} watched", watching, summary::count(self.endpoints.len() as u64, "endpoint", "endpoints"))
    }

    /// The object that `--json` prints.
    pub fn json(&self, presence: Presence, now: u64) -> Value {
        let running = presence == Presence::Runs;
        let mut value = json!(self);
        value["running"] = running.into();
        for (one, status) in value["endpoints"].as_array_mut().into_iter().flatten().zip(&self.endpoints) {
            one["lag_seconds"] = status.lag(now).into();
            one["watching"] = (running && status.doing == Doing::Watching).into();
        }
        value
    }

    /// The lines that a person reads.
    pub fn text(&self, presence: Presence, now: u64) -> String {
        let running = presence == Presence::Runs;
        let ago = |then: u64| format!("{} ago", span(now.saturating_sub(then)));
        let since = ago(self.since);
        let mut text = match presence {
            Presence::Runs => format!("smd-loop is running (process {}), started {since}.\n", self.pid),
            Presence::Silent { pid } => {
                format!("No loop answers, though process {pid} is there: is it stopped? Its last status:\n")
            }
            Presence::Gone => format!("No loop runs. The last loop's status, started {since}:\n"),
        };
        for one in &self.endpoints {
            let doing = if running { one.words(now) } else { "not served".to_owned() };
            text.push_str(&format!("\n{}: {doing}\n", one.endpoint));
            let success = one.last_success.map_or("never".to_owned(), ago);
            let lag = match one.lag(now) {
                Some(lag) if running => format!(", lag {}", span(lag)),
                _ => String::new(),
            };
            text.push_str(&format!("  last success: {success}{lag}\n"));
            let counts = |counts: &Counts| match summary::words(counts) {
                words if words.is_empty() => "nothing".to_owned(),
                words => words.join(", "),
            };
            let runs = summary::count(one.runs, "run", "runs");
            text.push_str(&format!("  {runs}; pulled: {}; pushed: {}\n", counts(&one.pulled), counts(&one.pushed)));
            one.unwatched.iter().for_each(|why| text.push_str(&format!("  not watched: {why}\n")));
            if let Some(wrong) = &one.last_error {
                let (word, resolved) = if wrong.stands { ("error", "") } else { ("last error", ", resolved") };
                text.push_str(&format!("  {word} ({}{resolved}): {}\n", ago(wrong.at), wrong.text));
                if wrong.stands {
                    wrong.causes.iter().for_each(|cause| text.push_str(&format!("    because: {cause}\n")));
                    let hint = wrong.hint.iter().map(|hint| format!("    hint: {}\n", hint.replace('\n', "\n    ")));
                    text.extend(hint);
                }
            }
        }
        text
    }
}

/// What the last loop left, if there was one.
pub fn left(home: &SmdHome) -> Option<Status> {
    let file = path(home);
    let small = fs::metadata(&file).is_ok_and(|meta| meta.len() <= SIZE_MAX);
    let text = fs::read(file).ok().filter(|_| small)?;
    serde_json::from_slice(&text).ok().filter(|status: &Status| status.version == VERSION)
}

/// A number of seconds as a person says it.
fn span(seconds: u64) -> String {
    match Duration::from_secs(seconds).as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let wrong = Wrong {
            at: 1000,
            exit: 78,
            text: "The config file has an error.".into(),
            causes: vec!["config.work, line 3: no".into()],
            hint: Some("edit it".into()),
            stands: true,
        };
        let good = EndpointStatus {
            endpoint: "home".into(),
            doing: Doing::Watching,
            last_success: Some(900),
            runs: 2,
            pulled: Counts { new: 3, ..Counts::default() },
            last_error: Some(Wrong { stands: false, exit: 69, text: "Lost.".into(), ..wrong.clone() }),
            ..EndpointStatus::default()
        };
        let bad = EndpointStatus {
            endpoint: "work".into(),
            doing: Doing::Retrying,
            unwatched: vec!["/mail at the server: NFS".into()],
            last_error: Some(wrong),
            next: Some(1200),
            ..EndpointStatus::default()
        };
        Status { version: VERSION, pid: 7, since: 0, endpoints: vec![good, bad] }
    }

    #[test]
    fn a_person_reads_what_each_endpoint_does_and_what_is_wrong() {
        insta::assert_snapshot!(status().text(Presence::Runs, 1010), @r"
        smd-loop is running (process 7), started 16 min ago.

        home: watching both hosts
          last success: 110 s ago, lag 0 s
          2 runs; pulled: 3 new messages; pushed: nothing
          last error (10 s ago, resolved): Lost.

        work: trying again in 3 min
          last success: never
          0 runs; pulled: nothing; pushed: nothing
          not watched: /mail at the server: NFS
          error (10 s ago): The config file has an error.
            because: config.work, line 3: no
            hint: edit it
        ");
    }

    #[test]
    fn a_program_reads_numbers() {
        let value = status().json(Presence::Runs, 1010);
        assert_eq!((&value["running"], &value["endpoints"][0]["lag_seconds"]), (&json!(true), &json!(0)));
        assert_eq!(value["endpoints"][1]["lag_seconds"], Value::Null);
        assert_eq!(status().json(Presence::Gone, 1010)["endpoints"][0]["watching"], json!(false));
        assert!(!status().well());
        assert!(
            status().text(Presence::Silent { pid: 7 }, 1010).starts_with("No loop answers, though process 7 is there")
        );
        assert!(
            status()
                .text(Presence::Gone, 1010)
                .starts_with("No loop runs. The last loop's status, started 16 min ago:\n")
        );
    }
}
