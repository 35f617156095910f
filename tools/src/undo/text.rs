//! What is said of runs and their burials: lines for a person, or one JSON object (docs/JSON.md).

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
use smd_protocol::{FileName, Folder};

use super::args::Request;
use super::is_home;
use super::runs::{Run, Yard};

/// What became of each burial of a run; none: it was brought back before.
pub type Done = Vec<Option<Back>>;

/// Folders that are named in a line.
const FOLDERS: usize = 3;
/// Failures that are named.
const FAILURES: usize = 20;

/// Says everything, and gives the exit code. `unseen`: a root that was named cannot be looked at.
pub fn report(
    request: &Request,
    output: &Output,
    yards: &[Yard],
    runs: &[Run],
    done: Option<&[Done]>,
    mut warnings: Vec<String>,
    unseen: bool,
) -> Exit {
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
    let detailed = !request.runs.is_empty();
    if request.typed.json {
        output.say(&format!("{}\n", object_of(yards, runs, done, detailed, &warnings, exit)));
    } else if !request.typed.quiet {
        output.say(&match done {
            Some(done) => brought_back(yards, runs, done, request.typed.verbose > 0),
            None if detailed => messages(yards, runs),
            None => listing(yards, runs),
        });
    }
    warnings.iter().for_each(|warning| output.warn(warning, None));
    exit
}

/// Roots that are gone, as far as something of them rests here.
pub fn lost(home: &Home<Disk>, lost: &[(PathBuf, io::Error)]) -> Vec<String> {
    let holds = |path: &PathBuf| {
        let stem = stem(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
        let dir = home.dir()?;
        let dir = Disk.open_dir(&Disk.open_moved(dir, b"grave").ok()?, stem.as_bytes()).ok()?;
        let mut any = false;
        Disk.list(&dir, &mut |name, _, _| any |= name.ends_with(b".k")).ok()?;
        any.then_some(())
    };
    let lost = lost.iter().filter(|(path, _)| holds(path).is_some());
    lost.map(|(path, error)| format!("mail of {} rests here, but it cannot be opened: {error}", path.display()))
        .collect()
}

/// What cannot be brought back now.
pub fn unsettled(yards: &[Yard]) -> Vec<String> {
    let mut lines = Vec::new();
    for yard in yards {
        let root = yard.root.path.display();
        if yard.unsettled > 0 {
            let count = count(yard.unsettled, "message");
            lines.push(format!("{root}: {count} of a run that was cut are left out; the next run settles them"));
        }
        if yard.unknown > 0 {
            let count = count(yard.unknown, "file");
            lines.push(format!(
                "{root}: {count} in the grave without a line in its index; where they were is not known"
            ));
        }
    }
    lines
}

fn count(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

fn root(yards: &[Yard], run: &Run) -> String {
    printable(std::os::unix::ffi::OsStrExt::as_bytes(yards[run.yard].root.path.as_os_str()))
}

/// When, by this host's clock and zone.
fn when(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(stamp) => stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => format!("@{seconds}"),
    }
}

fn what(run: &Run) -> String {
    let counts = run.counts();
    let words = [(counts.deleted, "deleted"), (counts.replaced, "replaced"), (counts.rewritten, "rewritten")];
    let mut words: Vec<String> =
        words.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if counts.control > 0 {
        words.push(count(counts.control, "control file"));
    }
    let mut text = words.join(", ");
    if counts.back == run.items.len() {
        text.push_str(" (all brought back)");
    } else if counts.back > 0 {
        text.push_str(&format!(" ({} brought back)", counts.back));
    }
    text
}

fn folders(folders: &[&Folder]) -> String {
    let mut text = folders.iter().take(FOLDERS).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if folders.len() > FOLDERS {
        text.push_str(&format!(" and {} more", folders.len() - FOLDERS));
    }
    text
}

/// All runs, a line each.
fn listing(yards: &[Yard], runs: &[Run]) -> String {
    if runs.is_empty() {
        return "Nothing rests in the graves of this host.\n".to_owned();
    }
    let mut text = String::new();
    for run in runs {
        let folders = folders(&run.folders());
        text.push_str(&format!(
            "{}  {}  {}: {} in {folders}\n",
            run.number(),
            when(run.time),
            root(yards, run),
            what(run)
        ));
    }
    if let Some(run) = runs.iter().find(|run| run.counts().back < run.items.len()) {
        let number = run.number();
        text.push_str(&format!("Look at one: smd-undo -l {number}    Bring it back: smd-undo {number}\n"));
    }
    text
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
        text.push_str(&format!("{}  {}  {}: {}\n", run.number(), when(run.time), root(yards, run), what(run)));
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
    // A size is there to be looked at, not after it came back.
    let size = if back.is_none() { size } else { String::new() };
    format!("  {:<8}  {}  {uniq} [{flags}]{size}{note}\n", word(resting), record.folder)
}

fn parts(file: &[u8]) -> (String, String) {
    match FileName::parse(file) {
        Ok(name) => (name.uniq.to_string(), name.flags.to_string()),
        Err(_) => (printable(file), String::new()),
    }
}

/// What was done, a line for each run.
fn brought_back(yards: &[Yard], runs: &[Run], done: &[Done], verbose: bool) -> String {
    let (mut text, mut any) = (String::new(), false);
    for (run, done) in runs.iter().zip(done) {
        // A control file goes along with its folder and is no message.
        let is_message = |resting: &Resting<Disk>| resting.buried.record.as_ref().is_some_and(|r| r.place.is_some());
        let messages = || run.items.iter().zip(done).filter(|(resting, _)| is_message(resting)).map(|(_, back)| back);
        let number = |matches: &dyn Fn(&Option<Back>) -> bool| messages().filter(|back| matches(back)).count();
        let returned = number(&|back| matches!(back, Some(Back::Returned)));
        let fresh = number(&|back| matches!(back, Some(Back::Fresh(_))));
        let is_anew =
            |(resting, back): &(&Resting<Disk>, &Option<Back>)| resting.anew && matches!(back, Some(Back::Fresh(_)));
        let anew = run.items.iter().zip(done).filter(is_anew).count();
        let there = number(&|back| matches!(back, Some(Back::IsThere)));
        let before = number(&|back| back.is_none());
        let failed = number(&|back| !is_home(back));
        let mut line = format!("brought back {} to {}", count(returned + fresh, "message"), root(yards, run));
        if fresh > anew {
            line.push_str(&format!(", {} of them under a new name, since the old one is taken", fresh - anew));
        }
        if anew > 0 {
            line.push_str(&format!(
                ", {anew} of them under a new name: the run was cut, and the next would delete the old one again"
            ));
        }
        if there > 0 {
            line.push_str(&format!("; {there} there already"));
        }
        if before > 0 {
            line.push_str(&format!("; {before} brought back before"));
        }
        if failed > 0 {
            line.push_str(&format!("; {failed} could not be"));
        }
        if verbose {
            run.items.iter().zip(done).for_each(|(resting, back)| text.push_str(&message(resting, Some(back))));
        }
        text.push_str(&line);
        text.push('\n');
        any |= returned + fresh > 0;
    }
    if runs.is_empty() {
        text.push_str("nothing of that rests in such a folder\n");
    }
    if any {
        text.push_str("the next smd-sync gives them to the other host\n");
    }
    text
}

fn object_of(
    yards: &[Yard],
    runs: &[Run],
    done: Option<&[Done]>,
    detailed: bool,
    warnings: &[String],
    exit: Exit,
) -> Value {
    let run = |(at, run): (usize, &Run)| {
        let counts = run.counts();
        let folders: Vec<Value> =
            run.folders().iter().map(|folder| object(json!({}), [("folder", folder.as_bytes())])).collect();
        let items = run.items.iter().enumerate();
        let items = items.map(|(n, resting)| message_object(resting, done.map(|done| &done[at][n])));
        let messages: Vec<Value> = if detailed { items.collect() } else { Vec::new() };
        let value = json!({
            "run": run.number(),
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
    let value = json!({
        "why": word(resting).split(' ').next(),
        "place": record.place.map(|place| printable(place.dir())),
        "size": resting.stat().ok().map(|stat| stat.size),
        "outcome": outcome,
        "fresh": fresh,
        "text": text,
    });
    object(value, [("folder", record.folder.as_bytes()), ("file", &record.file)])
}
