//! What the loop says by itself: each thing once, until it changes or is gone.
//!
//! Deliberately not here: the wording ([`crate::error`], [`crate::report`]).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::Failure;
use crate::exit::Exit;
use crate::report::{Guard, Report, items, summary, warnings};
use crate::wrap;

/// Says things on stderr, and those that need a person to a command too.
#[derive(Debug, Default)]
pub(super) struct Herald {
    said: Mutex<BTreeMap<String, Said>>,
    notify: Option<Vec<OsString>>,
    verbose: u8,
}

/// What was said of an endpoint and stands, by a key that stays the same while numbers in the text change.
#[derive(Debug, Default)]
struct Said {
    failure: Option<String>,
    warnings: BTreeSet<String>,
    /// Those of them that a person was to be told.
    persons: BTreeSet<String>,
}

/// Something to say.
struct Saying {
    key: String,
    text: String,
    person: bool,
    passing: bool,
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
        let known = self.with(endpoint, |said| said.failure.replace(text.clone()));
        if known.as_ref() != Some(&text) {
            self.say(&Saying { key: String::new(), text, person: true, passing: false });
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
        let mut sayings = sayings(endpoint, report);
        // What passes by itself comes and goes with every busy minute.
        sayings.retain(|saying| !saying.passing || self.verbose > 0);
        let keys: BTreeSet<String> = sayings.iter().map(|saying| saying.key.clone()).collect();
        let persons = sayings.iter().filter(|saying| saying.person).map(|saying| saying.key.clone()).collect();
        let (fresh, mended, person) = self.with(endpoint, |said| {
            let person = said.failure.is_some() || !said.persons.is_empty();
            let fresh: Vec<Saying> = sayings.into_iter().filter(|one| !said.warnings.contains(&one.key)).collect();
            let mended =
                said.failure.take().is_some() || (report.exit() == Exit::Ok && !said.warnings.is_subset(&keys));
            said.persons = persons;
            said.warnings = keys;
            (fresh, mended && report.exit() == Exit::Ok, person)
        });
        fresh.iter().for_each(|saying| self.say(saying));
        if mended {
            self.say(&Saying {
                key: String::new(),
                text: format!("{endpoint}: all is well again.\n"),
                person,
                passing: false,
            });
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

    fn say(&self, saying: &Saying) {
        print(&saying.text);
        if let (Some(words), true) = (&self.notify, saying.person) {
            notify(words, &saying.text);
        }
    }
}

/// All that a report gives a reason to say.
fn sayings(endpoint: &str, report: &Report) -> Vec<Saying> {
    // A guard's numbers change with every message that arrives meanwhile; it is the same guard.
    let guards: Vec<String> = report
        .roots
        .iter()
        .filter_map(|root| {
            let kind = match root.guard.as_ref()? {
                Guard::Bulk { .. } => "bulk",
                Guard::Swapped { .. } => "swapped",
                Guard::OtherHeaders { .. } => "other-headers",
                Guard::Doubles { .. } => "doubles",
            };
            Some(format!("guard {kind} {}", root.root.escape_ascii()))
        })
        .collect();
    let mut guards = guards.into_iter();
    warnings::of(report)
        .into_iter()
        .map(|warning| {
            let guard = guards.next();
            let person = !warning.mild && !warning.passing;
            let mut text = format!("Warning: {endpoint}: {}\n", warning.text);
            if let Some(hint) = &warning.hint {
                text.push_str(&format!("Hint: {hint}\n"));
            }
            Saying { key: guard.unwrap_or(warning.text), text, person, passing: warning.passing }
        })
        .collect()
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
    use crate::report::RootReport;

    fn guarded(steps: u64) -> Report {
        let root = RootReport { root: b"Mail".to_vec(), guard: Some(Guard::bulk(steps, 30)), ..RootReport::default() };
        Report { roots: vec![root], ..Report::default() }
    }

    #[test]
    fn a_guard_is_the_same_guard_whatever_its_numbers_and_needs_a_person() {
        let (one, two) = (sayings("work", &guarded(21)), sayings("work", &guarded(22)));
        assert_eq!((one.len(), one[0].key.as_str(), one[0].person), (1, "guard bulk Mail", true));
        assert_eq!(one[0].key, two[0].key);
        assert!(one[0].text.starts_with("Warning: work: Mail: 21 of 30") && one[0].text.contains("\nHint: "));
    }

    #[test]
    fn what_was_said_is_said_again_only_after_it_was_gone() {
        let herald = Herald::new(None, 0);
        let known = |herald: &Herald| herald.with("work", |said| said.warnings.len());
        herald.report("work", &guarded(21));
        herald.report("work", &guarded(22));
        assert_eq!(known(&herald), 1);
        herald.report("work", &Report::default());
        assert_eq!(known(&herald), 0);
    }
}
