//! What is said of runs and their burials: lines for a person, or one JSON object (docs/JSON.md).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};
use smd_client::exit::Exit;
use smd_client::output::Output;
use smd_client::report::json::{VERSION, object};
use smd_maildir::apply::Back;
use smd_maildir::fs::{Disk, Fs as _};
use smd_maildir::grave::{Resting, Why};
use smd_maildir::home::{Home, stem};
use smd_protocol::names::printable;
use smd_protocol::told::json_line;
use smd_protocol::{FileName, Folder};

use super::args::{INBOX, Request};
use super::heads::Head;
use super::runs::{Counts, Run, Yard};

/// What became of each burial of a run; none: it was brought back before.
pub type Done = Vec<Option<Back>>;

/// Folders that are named in a line.
const FOLDERS: usize = 3;
/// Failures that are named.
const FAILURES: usize = 20;

/// What was seen, and done.
pub struct Seen<'a> {
    /// The Maildirs.
    pub yards: &'a [Yard],
    /// The runs, newest first.
    pub runs: &'a [Run],
    /// What became of the burials of each; none when nothing was to be done.
    pub done: Option<&'a [Done]>,
    /// Maildirs that are no longer there, with mail that rests here.
    pub gone: &'a [PathBuf],
}

/// Says everything, and gives the exit code. `unseen`: a root that was named cannot be looked at.
pub fn report(request: &Request, output: &Output, seen: &Seen<'_>, mut warnings: Vec<String>, unseen: bool) -> Exit {
    let &Seen { yards, runs, done, gone } = seen;
    let failed: Vec<&String> = done
        .unwrap_or_default()
        .iter()
        .flatten()
        .filter_map(|back| if let Some(Back::Failed(text)) = back { Some(text) } else { None })
        .collect();
    warnings.extend(failed.iter().take(FAILURES).map(|text| (*text).clone()));
    if failed.len() > FAILURES {
        warnings.push(format!("and {} more could not be brought back", failed.len() - FAILURES));
    }
    let exit = if failed.is_empty() && !unseen { Exit::Ok } else { Exit::Partly };
    let verbose = request.typed.verbose > 0;
    if request.typed.json {
        output.say(&json_line(&object_of(seen, request.detailed(), &warnings, exit)));
    } else if !request.typed.quiet {
        output.say(&match done {
            Some(done) => brought_back(yards, runs, done, verbose),
            None if request.detailed() => messages(yards, runs),
            None => listing(yards, runs, request, verbose),
        });
        gone.iter().for_each(|path| {
            output.say(&format!(
                "{} no longer exists; its deleted mail is still kept here\n",
                printable(path.as_os_str().as_encoded_bytes())
            ));
        });
    }
    warnings.iter().for_each(|warning| output.warn(warning, None));
    exit
}

/// Of roots that cannot be opened those of which something rests here: first those that are gone, which is nobody's fault and
/// will pass when the days of their mail are over, then sentences about the others.
pub fn lost(home: &Home<Disk>, lost: &[(PathBuf, io::Error)]) -> (Vec<PathBuf>, Vec<String>) {
    let holds = |path: &PathBuf| {
        let stem = stem(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
        let dir = home.dir()?;
        let dir = Disk.open_dir(&Disk.open_moved(dir, b"grave").ok()?, stem.as_bytes()).ok()?;
        let mut any = false;
        Disk.list(&dir, &mut |name, _, _| any |= name.ends_with(b".k")).ok()?;
        any.then_some(())
    };
    let (mut gone, mut others) = (Vec::new(), Vec::new());
    for (path, error) in lost.iter().filter(|(path, _)| holds(path).is_some()) {
        match error.kind() {
            io::ErrorKind::NotFound => gone.push(path.clone()),
            _ => others.push(format!(
                "{} cannot be opened, and deleted mail of it is kept here: {error}",
                printable(path.as_os_str().as_encoded_bytes())
            )),
        }
    }
    (gone, others)
}

/// What cannot be brought back now.
pub fn unsettled(yards: &[Yard]) -> Vec<String> {
    let mut lines = Vec::new();
    for yard in yards {
        let root = printable(yard.root.path.as_os_str().as_encoded_bytes());
        if yard.unsettled > 0 {
            let count = count(yard.unsettled, "message");
            lines.push(format!(
                "{root}: {count} of a run that was cut short cannot be brought back yet; run smd-sync first"
            ));
        }
        if yard.unknown > 0 {
            let count = count(yard.unknown, "file");
            lines.push(format!(
                "{root}: {count} in the grave without an entry in its index, so where they were is not known"
            ));
        }
    }
    lines
}

fn count(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

fn shown(yard: &Yard) -> String {
    printable(std::os::unix::ffi::OsStrExt::as_bytes(yard.root.path.as_os_str()))
}

fn root(yards: &[Yard], run: &Run) -> String {
    shown(&yards[run.yard])
}

/// When, by this host's clock and zone.
fn when(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(stamp) => stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => format!("@{seconds}"),
    }
}

fn what(runs: &[&Run]) -> String {
    let counts = runs.iter().fold(Counts::default(), |sum, run| sum.with(&run.counts()));
    let words = [(counts.deleted, "deleted"), (counts.replaced, "replaced"), (counts.rewritten, "rewritten")];
    let mut words: Vec<String> =
        words.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if counts.control > 0 {
        words.push(count(counts.control, "control file"));
    }
    let mut text = words.join(", ");
    if counts.back == runs.iter().map(|run| run.items.len()).sum::<usize>() {
        text.push_str(" (all brought back)");
    } else if counts.back > 0 {
        text.push_str(&format!(" ({} brought back)", counts.back));
    }
    text
}

/// A folder's name; the root itself is INBOX.
fn folder(folder: &Folder) -> String {
    if folder.is_root() { INBOX.to_owned() } else { folder.to_string() }
}

/// Folders in a sentence: the first ones by name.
fn folders(folders: &[&Folder]) -> String {
    let mut names: Vec<String> = folders.iter().take(FOLDERS).map(|one| folder(one)).collect();
    if folders.len() > FOLDERS {
        names.push(format!("{} more", folders.len() - FOLDERS));
    }
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// All runs, a line each, or for a burst; with `verbose` its runs too.
fn listing(yards: &[Yard], runs: &[Run], request: &Request, verbose: bool) -> String {
    if runs.is_empty() {
        let when = if request.since.is_some() { " since then" } else { "" };
        return format!(
            "Nothing was deleted or replaced by a run on this host{when}.\nWhat your mail program deleted here is kept on the other host: run smd-undo there.\n"
        );
    }
    let mut text = String::new();
    let mut bursts: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        run.burst().into_iter().for_each(|burst| bursts.entry(burst).or_default().push(run));
    }
    for run in runs {
        let Some(burst) = run.burst() else {
            text.push_str(&line(yards, run.number(), &[run], ""));
            continue;
        };
        // Where its newest run is.
        let Some(all) = bursts.remove(burst) else { continue };
        text.push_str(&line(yards, burst, &all, ""));
        if verbose {
            all.iter().for_each(|one| text.push_str(&line(yards, one.number(), &[one], "  ")));
        }
    }
    if let Some(run) = runs.iter().find(|run| run.counts().back < run.items.len()) {
        let number = run.burst().unwrap_or(run.number());
        text.push_str(&format!("Look at one: smd-undo -l {number}    Bring it back: smd-undo {number}\n"));
    }
    text
}

/// A line about these runs of one root, newest first.
fn line(yards: &[Yard], number: &str, runs: &[&Run], indent: &str) -> String {
    let (newest, oldest) = (runs[0], runs[runs.len() - 1]);
    let names: BTreeSet<&Folder> = runs.iter().flat_map(|run| run.folders()).collect();
    let folders = folders(&names.into_iter().collect::<Vec<_>>());
    let many = match runs.len() {
        1 => String::new(),
        number => format!(" ({number} runs within {} s)", newest.until - oldest.time),
    };
    format!("{indent}{number}  {}  {}: {} from {folders}{many}\n", when(oldest.time), root(yards, newest), what(runs))
}

fn word(resting: &Resting<Disk>) -> &'static str {
    match resting.buried.record.as_ref().map(|record| record.why) {
        Some(Why::Replaced) => "replaced",
        Some(Why::Rewritten) => "rewritten",
        Some(Why::Control) => "control file",
        _ => "deleted",
    }
}

/// The messages of runs, a line each.
fn messages(yards: &[Yard], runs: &[Run]) -> String {
    let mut text = String::new();
    for run in runs {
        text.push_str(&format!("{}  {}  {}: {}\n", run.number(), when(run.time), root(yards, run), what(&[run])));
        run.items.iter().for_each(|resting| text.push_str(&message(resting, None)));
    }
    text
}

fn message(resting: &Resting<Disk>, back: Option<&Option<Back>>) -> String {
    let Some(record) = &resting.buried.record else { return String::new() };
    let size = resting.stat().map_or_else(|_| String::new(), |stat| format!(", {} B", stat.size));
    let (uniq, flags) = parts(&record.file);
    let note = match back {
        None if resting.back => "  (brought back)".to_owned(),
        None | Some(Some(Back::Returned)) => String::new(),
        Some(None) => "  (brought back before)".to_owned(),
        Some(Some(Back::IsThere)) => "  (there already)".to_owned(),
        Some(Some(Back::Fresh(uniq))) => format!("  (as {uniq})"),
        Some(Some(Back::Failed(_))) => "  (failed)".to_owned(),
    };
    let name = format!("{}  {uniq} [{flags}]", folder(&record.folder));
    // What is there to be looked at can be read; after it came back it is elsewhere.
    if back.is_some() || record.place.is_none() {
        return format!("  {:<8}  {name}{note}\n", word(resting));
    }
    let head = Head::of(resting);
    let fields = [head.date, head.from, head.subject].map(|field| printable(field.as_bytes()));
    let fields: Vec<String> = fields.into_iter().filter(|field| !field.is_empty()).collect();
    match fields.is_empty() {
        true => format!("  {:<8}  {name}{size}{note}\n", word(resting)),
        false => format!("  {:<8}  {}\n            {name}{size}{note}\n", word(resting), fields.join("  ")),
    }
}

fn parts(file: &[u8]) -> (String, String) {
    match FileName::parse(file) {
        Ok(name) => (name.uniq.to_string(), name.flags.to_string()),
        Err(_) => (printable(file), String::new()),
    }
}

/// What became of messages, and of control files.
#[derive(Default)]
struct Tally {
    returned: usize,
    fresh: usize,
    anew: usize,
    there: usize,
    before: usize,
    failed: usize,
    control: usize,
}

impl Tally {
    fn count(&mut self, resting: &Resting<Disk>, back: &Option<Back>) {
        // A control file goes along with its folder and is no message.
        if resting.buried.record.as_ref().is_some_and(|record| record.place.is_none()) {
            self.control += usize::from(matches!(back, Some(Back::Returned)));
            return;
        }
        match back {
            None => self.before += 1,
            Some(Back::Returned) => self.returned += 1,
            Some(Back::Fresh(_)) if resting.anew => self.anew += 1,
            Some(Back::Fresh(_)) => self.fresh += 1,
            Some(Back::IsThere) => self.there += 1,
            Some(Back::Failed(_)) => self.failed += 1,
        }
    }

    fn line(&self, root: &str) -> String {
        let messages = self.returned + self.fresh + self.anew;
        let others = self.there + self.before + self.failed;
        let mut did = Vec::new();
        if messages + others > 0 || self.control == 0 {
            did.push(format!("brought back {}", count(messages, "message")));
        }
        if self.control > 0 {
            did.push(format!("restored {}", count(self.control, "control file")));
        }
        let mut line = format!("{} to {root}", did.join(" and "));
        if self.fresh > 0 {
            line.push_str(&format!(", {} of them under a new name, since the old one is taken", self.fresh));
        }
        if self.anew > 0 {
            line.push_str(&format!(
                ", {} of them under a new name: the run was cut, and the next would delete the old one again",
                self.anew
            ));
        }
        for (number, what) in [
            (self.there, "there already"),
            (self.before, "brought back before"),
            (self.failed, "could not be brought back"),
        ] {
            if number > 0 {
                line.push_str(&format!("; {number} {what}"));
            }
        }
        line + "\n"
    }
}

/// What was done, a line for each Maildir.
fn brought_back(yards: &[Yard], runs: &[Run], done: &[Done], verbose: bool) -> String {
    if runs.is_empty() {
        return "nothing to bring back matches\n".to_owned();
    }
    let mut text = String::new();
    let mut tallies: BTreeMap<usize, Tally> = BTreeMap::new();
    for (run, done) in runs.iter().zip(done) {
        let tally = tallies.entry(run.yard).or_default();
        for (resting, back) in run.items.iter().zip(done) {
            tally.count(resting, back);
            if verbose {
                text.push_str(&message(resting, Some(back)));
            }
        }
    }
    for (yard, tally) in &tallies {
        text.push_str(&tally.line(&shown(&yards[*yard])));
    }
    if tallies.values().any(|tally| tally.returned + tally.fresh + tally.anew > 0) {
        text.push_str("the next smd-sync copies them to the other host\n");
    }
    text
}

fn object_of(seen: &Seen<'_>, detailed: bool, warnings: &[String], exit: Exit) -> Value {
    let &Seen { yards, runs, done, gone } = seen;
    let run = |(at, run): (usize, &Run)| {
        let counts = run.counts();
        let folders: Vec<Value> =
            run.folders().iter().map(|folder| object(json!({}), [("folder", folder.as_bytes())])).collect();
        let items = run.items.iter().enumerate();
        let items = items.map(|(n, resting)| message_object(resting, done.map(|done| &done[at][n])));
        let messages: Vec<Value> = if detailed { items.collect() } else { Vec::new() };
        let value = json!({
            "run": run.number(),
            "burst": run.burst(),
            "time": run.time,
            "deleted": counts.deleted,
            "replaced": counts.replaced,
            "rewritten": counts.rewritten,
            "control_files": counts.control,
            "brought_back": counts.back,
            "folders": folders,
            "messages": messages,
        });
        let root = yards[run.yard].root.path.as_os_str();
        object(value, [("root", std::os::unix::ffi::OsStrExt::as_bytes(root))])
    };
    json!({
        "version": VERSION,
        "exit": exit.code(),
        "runs": runs.iter().enumerate().map(run).collect::<Vec<_>>(),
        "gone": gone.iter().map(|path| printable(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))).collect::<Vec<_>>(),
        "warnings": warnings,
    })
}

fn message_object(resting: &Resting<Disk>, back: Option<&Option<Back>>) -> Value {
    let Some(record) = &resting.buried.record else { return Value::Null };
    let (outcome, fresh, text) = match back {
        None => (if resting.back { "back" } else { "rests" }, None, None),
        Some(None) => ("back", None, None),
        Some(Some(Back::IsThere)) => ("there", None, None),
        Some(Some(Back::Returned)) => ("returned", None, None),
        Some(Some(Back::Fresh(uniq))) => ("fresh", Some(uniq.to_string()), None),
        Some(Some(Back::Failed(text))) => ("failed", None, Some(text.clone())),
    };
    let head = if record.place.is_some() && back.is_none() { Head::of(resting) } else { Head::default() };
    let value = json!({
        "from": head.from,
        "subject": head.subject,
        "date": head.date,
        "why": word(resting).split(' ').next(),
        "place": record.place.map(|place| printable(place.dir())),
        "size": resting.stat().ok().map(|stat| stat.size),
        "outcome": outcome,
        "fresh": fresh,
        "text": text,
    });
    object(value, [("folder", record.folder.as_bytes()), ("file", &record.file)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_as_a_person_says_it() {
        let all: Vec<Folder> =
            ["", ".Sent", "a", "b", "c"].iter().map(|name| Folder::parse(name.as_bytes()).expect("a folder")).collect();
        let some = |number: usize| folders(&all.iter().take(number).collect::<Vec<_>>());
        assert_eq!(some(1), "INBOX");
        assert_eq!(some(2), "INBOX and .Sent");
        assert_eq!(some(3), "INBOX, .Sent and a");
        assert_eq!(some(5), "INBOX, .Sent, a and 2 more");
    }

    #[test]
    fn what_came_back_is_counted_by_kind() {
        let line = |tally: Tally| tally.line("/mail");
        assert_eq!(line(Tally { control: 7, ..Tally::default() }), "restored 7 control files to /mail\n");
        assert_eq!(
            line(Tally { returned: 19, fresh: 1, control: 1, ..Tally::default() }),
            "brought back 20 messages and restored 1 control file to /mail, 1 of them under a new name, since the old one is taken\n"
        );
        assert_eq!(
            line(Tally { there: 1, failed: 2, ..Tally::default() }),
            "brought back 0 messages to /mail; 1 there already; 2 could not be brought back\n"
        );
    }
}
