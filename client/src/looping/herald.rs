//! What the loop says by itself: each thing once, until it changes or is gone.
//!
//! Deliberately not here: the wording ([`crate::error`], [`crate::report`]).

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::causes::{Cause, Disks, Told};
use crate::error::Failure;
use crate::exit::Exit;
use crate::report::warnings::{self, Warning, Weight};
use crate::report::{Report, items, summary, troubles};
use crate::wrap;

/// Says things on stderr, and those that need a person to a command too.
#[derive(Debug, Default)]
pub(super) struct Herald {
    known: Mutex<Known>,
    notify: Option<Vec<OsString>>,
    verbose: u8,
}

/// What heals itself within this time is not said.
const HEALS: Duration = Duration::from_secs(60);

/// What was said of all endpoints and stands.
#[derive(Debug, Default)]
struct Known {
    said: BTreeMap<String, Said>,
    told: Told,
}

/// What is printed, and what a person is told of it.
#[derive(Debug, PartialEq, Eq)]
struct Announcement {
    text: String,
    person: Option<String>,
}

/// What was said of an endpoint and stands, by a key that stays the same while numbers in the text change.
#[derive(Debug, Default)]
struct Said {
    /// The last failure, until a run does all that it has to.
    failure: Option<(String, Cause)>,
    /// What runs left, how much it matters, and why.
    warnings: BTreeMap<String, (Weight, Cause)>,
    /// Since when what passes by itself stands.
    passing: BTreeMap<String, Instant>,
}

/// What there is to say after a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    fresh: Vec<Saying>,
    /// All is well again.
    mended: bool,
}

/// Something to say.
#[derive(Debug, PartialEq, Eq)]
struct Saying {
    key: String,
    text: String,
    weight: Weight,
    cause: Cause,
}

impl Known {
    /// Takes note of a failure; nothing is to be said of one that is known.
    fn fail(&mut self, endpoint: &str, key: String, cause: Cause, text: &str) -> Option<Announcement> {
        let said = self.said.entry(endpoint.to_owned()).or_default();
        if said.failure.as_ref().is_some_and(|(known, _)| *known == key) {
            return None;
        }
        said.failure = Some((key, cause.clone()));
        let change = self.told.meets(endpoint, said.causes());
        let person = change.fresh.contains(&cause).then(|| text.to_owned());
        Some(Announcement { text: text.to_owned(), person })
    }

    /// Takes note of a run that came to its end; `exit` is what it deserves. Pure, but for the clock that it is given.
    fn hear(
        &mut self,
        endpoint: &str,
        sayings: Vec<Saying>,
        exit: Exit,
        verbose: bool,
        now: Instant,
    ) -> Vec<Announcement> {
        let said = self.said.entry(endpoint.to_owned()).or_default();
        let News { fresh, mended } = said.hear(sayings, exit, verbose, now);
        let mut change = self.told.meets(endpoint, said.causes());
        let announce = |saying: Saying| {
            let person = change.fresh.remove(&saying.cause).then(|| saying.text.clone());
            Announcement { text: saying.text, person }
        };
        let mut all: Vec<Announcement> = fresh.into_iter().map(announce).collect();
        if mended {
            let well = |names: &str| format!("{names}: all is well again.\n");
            let names: Vec<String> = change.over.into_iter().collect();
            let person = (!names.is_empty()).then(|| well(&names.join(", ")));
            all.push(Announcement { text: well(endpoint), person });
        }
        all
    }

    /// Nobody serves this endpoint any more.
    fn forget(&mut self, endpoint: &str) {
        self.said.remove(endpoint);
        self.told.forget(endpoint);
    }
}

impl Said {
    /// What a person was told of, or would be.
    fn causes(&self) -> BTreeSet<Cause> {
        let failure = self.failure.iter().map(|(_, cause)| cause);
        let warnings = self.warnings.values().filter(|(weight, _)| *weight == Weight::Warning).map(|(_, cause)| cause);
        failure.chain(warnings).cloned().collect()
    }

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
            stands.insert(saying.key.clone(), (saying.weight, saying.cause.clone()));
            if !self.warnings.contains_key(&saying.key) {
                fresh.push(saying);
            }
        }
        let was = std::mem::replace(&mut self.warnings, stands);
        if exit != Exit::Ok {
            return News { fresh, mended: false };
        }
        let failed = self.failure.take().is_some();
        let wrong = was.values().any(|(weight, _)| *weight != Weight::Note);
        News { fresh, mended: failed || wrong }
    }
}

impl Herald {
    /// `notify` is the command for what needs a person; `verbose` also says what passes by itself and what each run did,
    /// twice message by message.
    pub(super) fn new(notify: Option<Vec<OsString>>, verbose: u8) -> Self {
        Self { known: Mutex::default(), notify, verbose }
    }

    /// Tells of a run, or a connection, that failed; `disks` are those of the endpoint.
    pub(super) fn failure(&self, endpoint: &str, failure: &Failure, disks: &Disks) {
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
        let disk = || failure.at.as_ref().and_then(|(host, path)| disks.of_path(*host, path));
        let system = system.and_then(troubles::error_number).map(|error| (error, disk()));
        let cause = Cause::of(endpoint, &key, system);
        let announcement = self.known().fail(endpoint, key, cause, &text);
        announcement.iter().for_each(|one| self.announce(one));
    }

    /// Tells of a run that came to its end; `disks` are those of the endpoint.
    pub(super) fn report(&self, endpoint: &str, report: &Report, disks: &Disks) {
        if self.verbose > 0
            && let Some(line) = summary::line(report, false)
        {
            let each = if self.verbose > 1 { items::each(report) } else { String::new() };
            print(&format!("{each}{endpoint}: {line}\n"));
        }
        let (sayings, verbose) = (sayings(endpoint, report, disks), self.verbose > 0);
        let all = self.known().hear(endpoint, sayings, report.exit(), verbose, Instant::now());
        all.iter().for_each(|one| self.announce(one));
    }

    /// Forgets an endpoint that is served no more.
    pub(super) fn forget(&self, endpoint: &str) {
        self.known().forget(endpoint);
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

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, announcement: &Announcement) {
        print(&announcement.text);
        if let (Some(words), Some(text)) = (&self.notify, &announcement.person) {
            notify(words, text);
        }
    }
}

/// All that a report gives a reason to say.
fn sayings(endpoint: &str, report: &Report, disks: &Disks) -> Vec<Saying> {
    let saying = |warning: Warning| {
        let mut text = format!("{} {endpoint}: {}\n", warning.weight.word(), warning.text);
        if let Some(hint) = &warning.hint {
            text.push_str(&format!("Hint: {hint}\n"));
        }
        let system = warning.system.map(|system| (system.error, disks.of_root(system.host, &system.root)));
        let cause = Cause::of(endpoint, &warning.key, system);
        Saying { key: warning.key, text, weight: warning.weight, cause }
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
    use super::super::causes::Disk;
    use super::*;
    use crate::endpoint::{Endpoint, RootPair, Transport};
    use crate::home::SmdHome;
    use crate::report::{Guard, Host, Met, RootReport, Trouble};

    fn root() -> RootPair {
        RootPair {
            local: "/".into(),
            remote: Vec::new(),
            label: Vec::new(),
            exclude_pairs: Vec::new(),
            excludes: smd_maildir::exclude::Excludes::default(),
            naming: None,
            local_excludes: smd_maildir::exclude::Excludes::default(),
        }
    }

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

    /// How many things are printed, and what a person is told.
    fn hear_of(known: &mut Known, endpoint: &str, report: &Report, now: Instant) -> (usize, Vec<String>) {
        let disks = Disks::of(&endpoint_of(endpoint));
        let all = known.hear(endpoint, sayings(endpoint, report, &disks), report.exit(), false, now);
        let printed = all.len();
        (printed, all.into_iter().filter_map(|one| one.person).collect())
    }

    fn endpoint_of(name: &str) -> Endpoint {
        Endpoint {
            name: name.to_owned(),
            client: "laptop".to_owned(),
            server: "office".to_owned(),
            roots: Vec::new(),
            transport: Transport::Local,
            home: SmdHome::new("/smd", "/home/me"),
        }
    }

    /// How many things are printed, and how many of them a person is told.
    fn hear(known: &mut Known, report: &Report, now: Instant) -> (usize, usize) {
        let (printed, told) = hear_of(known, "work", report, now);
        (printed, told.len())
    }

    #[test]
    fn a_guard_is_the_same_guard_whatever_its_numbers_and_needs_a_person() {
        let of = |report: &Report| sayings("work", report, &Disks::default());
        let (one, two) = (of(&guarded(21)), of(&guarded(22)));
        assert_eq!((one.len(), one[0].key.as_str(), one[0].weight), (1, "guard bulk Mail", Weight::Warning));
        assert_eq!((&one[0].key, &one[0].cause), (&two[0].key, &two[0].cause));
        assert!(one[0].text.starts_with("Warning: work: Mail: 21 of 30") && one[0].text.contains("\nHint: "));
    }

    #[test]
    fn what_was_said_is_said_again_only_after_it_was_gone() {
        let (mut known, now) = (Known::default(), Instant::now());
        assert_eq!(hear(&mut known, &guarded(21), now), (1, 1));
        assert_eq!(hear(&mut known, &guarded(22), now), (0, 0));
        assert_eq!(
            hear_of(&mut known, "work", &Report::default(), now),
            (1, vec!["work: all is well again.\n".to_owned()])
        );
        assert_eq!(hear(&mut known, &Report::default(), now), (0, 0));
        assert_eq!(hear(&mut known, &guarded(21), now), (1, 1));
    }

    const FULL: &str = "No space left on device (os error 28)";

    #[test]
    fn a_full_disk_is_told_once_whatever_it_stops() {
        let (mut known, now) = (Known::default(), Instant::now());
        assert_eq!(hear(&mut known, &troubled(271, false, FULL), now), (1, 1));
        assert_eq!(hear(&mut known, &troubled(1, false, FULL), now), (0, 0));
        assert_eq!(hear(&mut known, &troubled(14, false, FULL), now), (0, 0));
        assert_eq!(hear(&mut known, &troubled(14, false, "Input/output error (os error 5)"), now), (1, 1));
    }

    #[test]
    fn a_full_disk_that_stops_several_endpoints_is_one_notification_and_so_is_its_end() {
        let full = |number, host| {
            let mut report = troubled(number, false, FULL);
            report.troubles.iter_mut().for_each(|one| (one.host, one.root) = (host, b"Mail".to_vec()));
            report
        };
        let (mut known, now) = (Known::default(), Instant::now());
        let mut hear = |endpoint: &str, report: &Report| {
            let dir = Path::new("/");
            let root = RootPair { local: dir.join("no-such-mail"), label: b"Mail".to_vec(), ..root() };
            let disks = Disks::of(&Endpoint { roots: vec![root], ..endpoint_of(endpoint) });
            let all = known.hear(endpoint, sayings(endpoint, report, &disks), report.exit(), false, now);
            (all.len(), all.into_iter().filter_map(|one| one.person).collect::<Vec<_>>())
        };
        let well = |names: &str| vec![format!("{names}: all is well again.\n")];
        let (printed, told) = hear("home", &full(3, Host::Client));
        assert!(printed == 1 && told[0].starts_with("Warning: home: "), "{told:?}");
        // Each endpoint is printed, and nobody is told of it twice.
        assert_eq!(hear("work", &full(271, Host::Client)), (1, vec![]));
        assert_eq!(hear("lists", &full(1, Host::Client)), (1, vec![]));
        // The disk of the other host is another one.
        let (_, told) = hear("lists", &full(2, Host::Server));
        assert!(told[0].starts_with("Warning: lists: "), "{told:?}");
        assert_eq!(hear("home", &Report::default()), (1, vec![]), "work still meets it");
        assert_eq!(hear("work", &Report::default()), (1, well("home, work")));
        assert_eq!(hear("lists", &Report::default()), (1, well("lists")));
        assert_eq!(hear("work", &full(1, Host::Client)).1.len(), 1, "a new one");
    }

    #[test]
    fn a_run_that_a_full_disk_ends_and_one_that_it_hinders_are_one_notification() {
        let (mut known, disk) = (Known::default(), Cause::Disk(28, Disk::Here(7)));
        let person = |one: Option<Announcement>| one.map(|one| one.person.is_some());
        let failed = |known: &mut Known, endpoint: &str, key: &str, cause: &Cause| {
            person(known.fail(endpoint, key.to_owned(), cause.clone(), "Error: it failed\n"))
        };
        assert_eq!(failed(&mut known, "home", "a", &disk), Some(true));
        assert_eq!(failed(&mut known, "home", "a", &disk), None);
        assert_eq!(failed(&mut known, "work", "b", &disk), Some(false));
        assert_eq!(failed(&mut known, "work", "c", &Cause::Own("work".into(), "c".into())), Some(true));
        // One that is served no more holds nothing up.
        known.forget("work");
        let now = Instant::now();
        assert_eq!(
            hear_of(&mut known, "home", &Report::default(), now),
            (1, vec!["home: all is well again.\n".to_owned()])
        );
    }

    #[test]
    fn what_heals_itself_within_a_minute_is_not_said_and_neither_is_that_it_healed() {
        let (mut known, now) = (Known::default(), Instant::now());
        let (busy, after) = (troubled(1, true, "is busy"), |seconds| now + Duration::from_secs(seconds));
        assert_eq!(hear(&mut known, &busy, now), (0, 0));
        assert_eq!(hear(&mut known, &busy, after(59)), (0, 0));
        assert_eq!(hear(&mut known, &Report::default(), after(60)), (0, 0));
        assert_eq!(hear(&mut known, &busy, after(61)), (0, 0));
        assert_eq!(hear(&mut known, &busy, after(121)), (1, 0));
        assert_eq!(hear(&mut known, &busy, after(122)), (0, 0));
        assert_eq!(hear(&mut known, &Report::default(), after(123)), (1, 0));
    }

    #[test]
    fn a_note_that_is_gone_is_nothing_that_was_mended() {
        let root = RootReport { notes: vec!["one thing was settled".into()], ..RootReport::default() };
        let (mut known, now) = (Known::default(), Instant::now());
        assert_eq!(hear(&mut known, &Report { roots: vec![root], ..Report::default() }, now), (1, 0));
        assert_eq!(hear(&mut known, &Report::default(), now), (0, 0));
    }

    #[test]
    fn a_program_is_looked_for_as_it_would_be_started() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(is_installed(OsStr::new("sh")) && is_installed(OsStr::new("/bin/sh")));
        assert!(!is_installed(OsStr::new("no-such-program")) && !is_installed(dir.path().as_os_str()));
    }
}
