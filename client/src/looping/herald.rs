//! What the loop says by itself: each thing once, until it changes or is gone.
//!
//! Deliberately not here: the wording ([`crate::error`], [`crate::report`]).

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::exit::Exit;
use crate::report::warnings::{self, Warning, Weight};
use crate::report::{Report, items, summary, troubles};
use crate::wrap;

/// Says things on stderr, and those that need a person to a command too.
#[derive(Debug, Default)]
pub(super) struct Herald {
    said: Mutex<BTreeMap<String, Said>>,
    notify: Option<Vec<OsString>>,
    verbose: u8,
}

/// What heals itself within this time is not said.
const HEALS: Duration = Duration::from_secs(60);

/// What was said of an endpoint and stands, by a key that stays the same while numbers in the text change.
#[derive(Debug, Default)]
struct Said {
    /// The last failure, until a run does all that it has to.
    failure: Option<String>,
    /// What runs left, and that a person was told.
    warnings: BTreeMap<String, Weight>,
    /// Since when what passes by itself stands.
    passing: BTreeMap<String, Instant>,
}

/// What there is to say after a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    fresh: Vec<Saying>,
    /// All is well again, and whether a person was told that it was not.
    mended: Option<bool>,
}

/// Something to say.
#[derive(Debug, PartialEq, Eq)]
struct Saying {
    key: String,
    text: String,
    weight: Weight,
}

impl Said {
    /// Takes note of a run that came to its end; `exit` is what it deserves. Pure, but for the clock that it is given.
    fn hear(&mut self, sayings: Vec<Saying>, exit: Exit, verbose: bool, now: Instant) -> News {
        self.passing.retain(|key, _| sayings.iter().any(|one| one.key == *key));
        let mut stands = BTreeMap::new();
        let mut fresh = Vec::new();
        for saying in sayings {
            if saying.weight == Weight::Passing {
                let since = *self.passing.entry(saying.key.clone()).or_insert(now);
                if now.duration_since(since) < HEALS && !verbose {
                    continue;
                }
            }
            stands.insert(saying.key.clone(), saying.weight);
            if !self.warnings.contains_key(&saying.key) {
                fresh.push(saying);
            }
        }
        let was = std::mem::replace(&mut self.warnings, stands);
        if exit != Exit::Ok {
            return News { fresh, mended: None };
        }
        let failed = self.failure.take().is_some();
        let wrong = was.values().any(|weight| *weight != Weight::Note);
        let person = failed || was.values().any(|weight| *weight == Weight::Warning);
        News { fresh, mended: (failed || wrong).then_some(person) }
    }
}

impl Herald {
    /// `notify` is the command for what needs a person; `verbose` also says what passes by itself and what each run did,
    /// twice message by message.
    pub(super) fn new(notify: Option<Vec<OsString>>, verbose: u8) -> Self {
        Self { said: Mutex::default(), notify, verbose }
    }

    /// Tells of a run, or a connection, that failed.
    pub(super) fn failure(&self, endpoint: &str, failure: &Failure) {
        let text = failure.render(false).replacen(": ", &format!(": {endpoint}: "), 1);
        if failure.exit.try_again() {
            if self.verbose > 0 {
                print(&text);
            }
            return;
        }
        // A full disk is the same full disk, whichever file did not fit.
        let system = failure.causes.iter().find_map(|cause| troubles::system_said(cause));
        let key = system.map_or_else(|| text.clone(), |said| format!("{} {said}", failure.heading));
        let known = self.with(endpoint, |said| said.failure.replace(key.clone()));
        if known.as_ref() != Some(&key) {
            self.say(&text, true);
        }
    }

    /// Tells of a run that came to its end.
    pub(super) fn report(&self, endpoint: &str, report: &Report) {
        if self.verbose > 0
            && let Some(line) = summary::line(report, false)
        {
            let each = if self.verbose > 1 { items::each(report) } else { String::new() };
            print(&format!("{each}{endpoint}: {line}\n"));
        }
        let (sayings, verbose) = (sayings(endpoint, report), self.verbose > 0);
        let news = self.with(endpoint, |said| said.hear(sayings, report.exit(), verbose, Instant::now()));
        news.fresh.iter().for_each(|saying| self.say(&saying.text, saying.weight == Weight::Warning));
        if let Some(person) = news.mended {
            self.say(&format!("{endpoint}: all is well again.\n"), person);
        }
    }

    /// Says one more thing of an endpoint.
    pub(super) fn remark(&self, endpoint: &str, text: &str) {
        print(&format!("{endpoint}: {text}\n"));
    }

    /// Tells, when asked to tell more, that from now on both hosts are watched.
    pub(super) fn watching(&self, endpoint: &str) {
        self.aside(endpoint, "watching both hosts");
    }

    /// Says what is only of use to who asked to be told more.
    pub(super) fn aside(&self, endpoint: &str, text: &str) {
        if self.verbose > 0 {
            self.remark(endpoint, text);
        }
    }

    fn with<T>(&self, endpoint: &str, change: impl FnOnce(&mut Said) -> T) -> T {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        change(said.entry(endpoint.to_owned()).or_default())
    }

    fn say(&self, text: &str, person: bool) {
        print(text);
        if let (Some(words), true) = (&self.notify, person) {
            notify(words, text);
        }
    }
}

/// All that a report gives a reason to say.
fn sayings(endpoint: &str, report: &Report) -> Vec<Saying> {
    let saying = |warning: Warning| {
        let mut text = format!("{} {endpoint}: {}\n", warning.weight.word(), warning.text);
        if let Some(hint) = &warning.hint {
            text.push_str(&format!("Hint: {hint}\n"));
        }
        Saying { key: warning.key, text, weight: warning.weight }
    };
    warnings::of(report).into_iter().map(saying).collect()
}

/// Whether this program is there to be started.
pub(super) fn is_installed(program: &OsStr) -> bool {
    let runs = |path: &Path| path.metadata().is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0);
    if program.as_encoded_bytes().contains(&b'/') {
        return runs(Path::new(program));
    }
    // What execvp(3) takes where there is no PATH.
    let dirs = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    env::split_paths(&dirs).any(|dir| runs(&dir.join(program)))
}

/// One write, so that lines of several endpoints do not mix; nobody is left to tell when stderr is closed.
fn print(text: &str) {
    let text = wrap::fit(text, wrap::width(io::stderr()));
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Runs the command with the text as its last argument, and waits for it elsewhere.
fn notify(words: &[OsString], text: &str) {
    let Some((program, arguments)) = words.split_first() else { return };
    let mut command = Command::new(program);
    command.args(arguments).arg(text.trim_end()).stdin(Stdio::null()).stdout(Stdio::null());
    match command.spawn() {
        Ok(mut child) => drop(thread::spawn(move || child.wait())),
        Err(error) => print(&format!("Warning: {} cannot be started: {error}\n", program.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Guard, Host, Met, RootReport, Trouble};

    fn guarded(steps: u64) -> Report {
        let root = RootReport { root: b"Mail".to_vec(), guard: Some(Guard::bulk(steps, 30)), ..RootReport::default() };
        Report { roots: vec![root], ..Report::default() }
    }

    fn troubled(number: usize, passing: bool, text: &str) -> Report {
        let trouble = |at: usize| Trouble {
            passing,
            met: Met::Step,
            ..Trouble::new(Host::Client, format!("{at}"), format!("cannot write {at}: {text}"))
        };
        Report { troubles: (0..number).map(trouble).collect(), ..Report::default() }
    }

    fn hear(said: &mut Said, report: &Report, now: Instant) -> (usize, Option<bool>) {
        let news = said.hear(sayings("work", report), report.exit(), false, now);
        (news.fresh.len(), news.mended)
    }

    #[test]
    fn a_guard_is_the_same_guard_whatever_its_numbers_and_needs_a_person() {
        let (one, two) = (sayings("work", &guarded(21)), sayings("work", &guarded(22)));
        assert_eq!((one.len(), one[0].key.as_str(), one[0].weight), (1, "guard bulk Mail", Weight::Warning));
        assert_eq!(one[0].key, two[0].key);
        assert!(one[0].text.starts_with("Warning: work: Mail: 21 of 30") && one[0].text.contains("\nHint: "));
    }

    #[test]
    fn what_was_said_is_said_again_only_after_it_was_gone() {
        let (mut said, now) = (Said::default(), Instant::now());
        assert_eq!(hear(&mut said, &guarded(21), now), (1, None));
        assert_eq!(hear(&mut said, &guarded(22), now), (0, None));
        assert_eq!(hear(&mut said, &Report::default(), now), (0, Some(true)));
        assert_eq!(hear(&mut said, &Report::default(), now), (0, None));
        assert_eq!(hear(&mut said, &guarded(21), now), (1, None));
    }

    #[test]
    fn a_full_disk_is_told_once_whatever_it_stops() {
        let (mut said, now) = (Said::default(), Instant::now());
        let full = "No space left on device (os error 28)";
        assert_eq!(hear(&mut said, &troubled(271, false, full), now), (1, None));
        assert_eq!(hear(&mut said, &troubled(1, false, full), now), (0, None));
        assert_eq!(hear(&mut said, &troubled(14, false, full), now), (0, None));
        assert_eq!(hear(&mut said, &troubled(14, false, "Input/output error (os error 5)"), now), (1, None));
    }

    #[test]
    fn what_heals_itself_within_a_minute_is_not_said_and_neither_is_that_it_healed() {
        let (mut said, now) = (Said::default(), Instant::now());
        let (busy, after) = (troubled(1, true, "is busy"), |seconds| now + Duration::from_secs(seconds));
        assert_eq!(hear(&mut said, &busy, now), (0, None));
        assert_eq!(hear(&mut said, &busy, after(59)), (0, None));
        assert_eq!(hear(&mut said, &Report::default(), after(60)), (0, None));
        assert_eq!(hear(&mut said, &busy, after(61)), (0, None));
        assert_eq!(hear(&mut said, &busy, after(121)), (1, None));
        assert_eq!(hear(&mut said, &busy, after(122)), (0, None));
        assert_eq!(hear(&mut said, &Report::default(), after(123)), (0, Some(false)));
    }

    #[test]
    fn a_note_that_is_gone_is_nothing_that_was_mended() {
        let root = RootReport { notes: vec!["one thing was settled".into()], ..RootReport::default() };
        let (mut said, now) = (Said::default(), Instant::now());
        assert_eq!(hear(&mut said, &Report { roots: vec![root], ..Report::default() }, now), (1, None));
        assert_eq!(hear(&mut said, &Report::default(), now), (0, None));
    }

    #[test]
    fn a_program_is_looked_for_as_it_would_be_started() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(is_installed(OsStr::new("sh")) && is_installed(OsStr::new("/bin/sh")));
        assert!(!is_installed(OsStr::new("no-such-program")) && !is_installed(dir.path().as_os_str()));
    }
}
