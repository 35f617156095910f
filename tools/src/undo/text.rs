//! What is said of runs and their burials: lines for a person, or one JSON object (docs/JSON.md).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::{Value, json};
use smd_client::exit::Exit;
use smd_client::output::Output;
use smd_client::report::json::{VERSION, object};
use smd_maildir::keys::What;
use smd_protocol::grave::{Rests, Undone, Why};
use smd_protocol::names::printable;
use smd_protocol::told::json_line;
use smd_protocol::{FileName, Folder};

use super::args::{INBOX, NAME, Request};
use super::by::{self, Act, Deeds};
use super::runs::{Counts, Item, Mailbox, Run};
use super::unseen::Unseen;

/// What became of each burial of a run.
pub type Done = Vec<Undone>;

/// Folders that are named in a line.
const FOLDERS: usize = 3;
/// Failures that are named.
const FAILURES: usize = 20;

/// Whose graves these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// This host's.
    Here,
    /// Another's.
    There {
        /// How it is called, escaped.
        host: String,
        /// How it was typed.
        word: OsString,
    },
}

impl Place {
    /// How the host is called in a sentence.
    pub fn host(&self) -> &str {
        match self {
            Self::Here => "this host",
            Self::There { host, .. } => host,
        }
    }

    /// What is typed to look there.
    pub fn command(&self) -> String {
        match self {
            Self::Here => NAME.to_owned(),
            Self::There { word, .. } => {
                let word = printable(word.as_bytes());
                let quoted = shlex::try_quote(&word).map_or_else(|_| word.clone(), |quoted| quoted.into_owned());
                format!("{NAME} --remote {quoted}")
            }
        }
    }
}

/// What was seen, and done.
pub struct Seen {
    /// The Maildirs.
    pub mailboxes: Vec<Mailbox>,
    /// The runs, newest first.
    pub runs: Vec<Run>,
    /// What became of the burials of each; none when nothing was to be done.
    pub done: Option<Vec<Done>>,
    /// What a key did beside burying, where one is meant.
    pub deeds: Deeds,
    /// What became of each of these.
    pub taken: Option<Done>,
}

/// Says everything, and gives the exit code. `unseen` are Maildirs of the question into which nobody could look.
pub fn report(
    request: &Request,
    output: &Output,
    place: &Place,
    seen: &Seen,
    unseen: &[Unseen],
    mut warnings: Vec<String>,
) -> Exit {
    let Seen { mailboxes, runs, done, deeds, taken } = seen;
    let (faults, others): (Vec<&Unseen>, Vec<&Unseen>) = unseen.iter().partition(|one| one.is_fault());
    warnings.extend(faults.iter().map(|one| one.sentence()));
    warnings.extend(unsettled(mailboxes));
    let failed: Vec<String> = done
        .iter()
        .flatten()
        .flatten()
        .chain(taken.iter().flatten())
        .filter_map(|back| if let Undone::Failed(text) = back { Some(text.escaped()) } else { None })
        .collect();
    warnings.extend(failed.iter().take(FAILURES).map(|text| (*text).clone()));
    if failed.len() > FAILURES {
        warnings.push(format!("and {} more could not be brought back", failed.len() - FAILURES));
    }
    if deeds.elsewhere > 0 && !request.is_of_some_roots() {
        let count = count(deeds.elsewhere, "line");
        warnings.push(format!("{count} of the key's log are about a Maildir that is not there now"));
    }
    let exit = if failed.is_empty() && faults.is_empty() { Exit::Ok } else { Exit::Partly };
    let verbose = request.typed.verbose > 0;
    if request.typed.json {
        output.say(&json_line(&object_of(place, seen, unseen, request.detailed(), &warnings, exit)));
    } else if !request.typed.quiet {
        output.say(&match done {
            _ if runs.is_empty() && deeds.acts.is_empty() => nothing(place, request, unseen),
            Some(done) => brought_back(place, mailboxes, runs, done, verbose),
            None if request.detailed() => messages(mailboxes, runs),
            None => listing(place, mailboxes, runs, verbose),
        });
        output.say(&acts(mailboxes, deeds, taken.as_ref(), verbose));
        // Of those without mail only whoever sees nothing wants to hear.
        let others = others.iter().filter(|one| runs.is_empty() || one.may_have_mail());
        others.for_each(|one| output.say(&format!("{}\n", one.sentence())));
    }
    warnings.iter().for_each(|warning| output.warn(warning, None));
    exit
}

/// What cannot be brought back now.
fn unsettled(mailboxes: &[Mailbox]) -> Vec<String> {
    let mut lines = Vec::new();
    for Mailbox { shown: root, rest, .. } in mailboxes {
        if rest.unsettled > 0 {
            let count = count(rest.unsettled, "message");
            lines.push(format!(
                "{root}: {count} of a run that was cut short cannot be brought back yet; run smd-sync first"
            ));
        }
        if rest.unknown > 0 {
            let count = count(rest.unknown, "file");
            lines.push(format!(
                "{root}: {count} in the grave without an entry in its index, so where they were is not known"
            ));
        }
    }
    lines
}

fn count<N: Copy + PartialEq + From<u8> + std::fmt::Display>(count: N, word: &str) -> String {
    format!("{count} {word}{}", if count == N::from(1) { "" } else { "s" })
}

/// What a key did beside burying, line by line, or by what became of it.
fn acts(mailboxes: &[Mailbox], deeds: &Deeds, taken: Option<&Done>, verbose: bool) -> String {
    let mut text = String::new();
    let mut tallies: BTreeMap<usize, [usize; 5]> = BTreeMap::new();
    for (at, act) in deeds.acts.iter().enumerate() {
        let (word, of) = by::words(&act.what);
        if taken.is_none() || verbose {
            text.push_str(&format!("  {word:<8}  {of}\n"));
        }
        let Some(taken) = taken else { continue };
        let kind = match (&taken[at], &act.what) {
            (Undone::Failed(_), _) => 4,
            (Undone::IsThere | Undone::Before, _) => 3,
            (_, What::Moved { .. }) => 0,
            (_, What::Removed { .. }) => 1,
            _ => 2,
        };
        tallies.entry(act.mailbox).or_default()[kind] += 1;
    }
    for (mailbox, [moved, marks, folders, there, failed]) in tallies {
        let words = [
            (moved > 0).then(|| format!("moved {} back", count(moved, "message"))),
            (marks > 0).then(|| format!("took the mark as trashed off {}", count(marks, "message"))),
            (folders > 0).then(|| format!("made {} again", count(folders, "folder"))),
            (there > 0).then(|| format!("{there} were as before already")),
            (failed > 0).then(|| format!("{failed} were touched since and stay")),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        text.push_str(&format!("{}: {}\n", mailboxes[mailbox].shown, words.join("; ")));
    }
    text
}

/// When, by this host's clock and zone.
pub(crate) fn when(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(stamp) => stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => format!("@{seconds}"),
    }
}

fn what(runs: &[&Run]) -> String {
    let counts = runs.iter().fold(Counts::default(), |sum, run| sum.with(&run.counts()));
    let words = [
        (counts.deleted, "deleted"),
        (counts.replaced, "replaced"),
        (counts.rewritten, "rewritten"),
        (counts.renamed, "renamed"),
    ];
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

/// What is said where no run is meant. That nothing was deleted is said of what was looked at only.
fn nothing(place: &Place, request: &Request, unseen: &[Unseen]) -> String {
    let what = if request.changes() { "nothing to bring back matches" } else { "nothing matches" };
    if !unseen.is_empty() {
        return format!("{what} in what could be looked at\n");
    }
    if request.changes() || request.detailed() && request.is_restricted() {
        return format!("{what}\n");
    }
    let which = if request.folders.is_empty() { "Nothing" } else { "Nothing of such folders" };
    let when = if request.since.is_some() { " since then" } else { "" };
    let mut text = format!("{which} was deleted or replaced by a run on {}{when}.\n", place.host());
    if *place == Place::Here {
        text.push_str("What your mail program deleted here is kept on the other host: smd-undo --remote ENDPOINT\n");
    }
    text
}

/// All runs, a line each, or for a burst; with `verbose` its runs too.
fn listing(place: &Place, mailboxes: &[Mailbox], runs: &[Run], verbose: bool) -> String {
    let mut text = String::new();
    let mut bursts: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        run.burst().into_iter().for_each(|burst| bursts.entry(burst).or_default().push(run));
    }
    for run in runs {
        let Some(burst) = run.burst() else {
            text.push_str(&line(mailboxes, run.number(), &[run], ""));
            continue;
        };
        // Where its newest run is.
        let Some(all) = bursts.remove(burst) else { continue };
        text.push_str(&line(mailboxes, burst, &all, ""));
        if verbose {
            all.iter().for_each(|one| text.push_str(&line(mailboxes, one.number(), &[one], "  ")));
        }
    }
    if let Some(run) = runs.iter().find(|run| run.counts().back < run.items.len()) {
        let (command, number) = (place.command(), run.burst().unwrap_or(run.number()));
        text.push_str(&format!("Look at one: {command} -l {number}    Bring it back: {command} {number}\n"));
    }
    text
}

/// A line about these runs of one root, newest first.
fn line(mailboxes: &[Mailbox], number: &str, runs: &[&Run], indent: &str) -> String {
    let (newest, oldest) = (runs[0], runs[runs.len() - 1]);
    let names: BTreeSet<&Folder> = runs.iter().flat_map(|run| run.folders()).collect();
    let folders = folders(&names.into_iter().collect::<Vec<_>>());
    let many = match runs.len() {
        1 => String::new(),
        number => format!(" ({number} runs within {} s)", newest.until.saturating_sub(oldest.time)),
    };
    let root = &mailboxes[newest.mailbox].shown;
    format!("{indent}{number}  {}  {root}: {} from {folders}{many}\n", when(oldest.time), what(runs))
}

fn word(rests: &Rests) -> &'static str {
    match rests.why {
        Why::Control => "control file",
        why => why.word(),
    }
}

/// The messages of runs, a line each.
fn messages(mailboxes: &[Mailbox], runs: &[Run]) -> String {
    let mut text = String::new();
    for run in runs {
        let root = &mailboxes[run.mailbox].shown;
        text.push_str(&format!("{}  {}  {root}: {}\n", run.number(), when(run.time), what(&[run])));
        run.items.iter().for_each(|item| text.push_str(&message(item, None)));
    }
    text
}

fn message(item: &Item, back: Option<&Undone>) -> String {
    let rests = &item.rests;
    let size = rests.size.map_or_else(String::new, |size| format!(", {size} B"));
    let (uniq, flags) = parts(&rests.file);
    let note = match back {
        None if rests.back => "  (brought back)".to_owned(),
        None | Some(Undone::Returned) => String::new(),
        Some(Undone::Before) => "  (brought back before)".to_owned(),
        Some(Undone::IsThere) => "  (there already)".to_owned(),
        Some(Undone::Fresh(uniq) | Undone::Anew(uniq)) => format!("  (as {uniq})"),
        Some(Undone::Failed(_)) => "  (failed)".to_owned(),
    };
    let now = match (&rests.renamed, back) {
        (Some(uniq), None) if !rests.back => format!("  (now {uniq})"),
        _ => String::new(),
    };
    let name = format!("{}  {uniq} [{flags}]", folder(&rests.folder));
    // What is there to be looked at can be read; after it came back it is elsewhere.
    if back.is_some() || !rests.is_message() {
        return format!("  {:<8}  {name}{note}\n", word(rests));
    }
    let head = &item.head;
    let fields = [&head.date, &head.from, &head.subject].map(|field| printable(field.as_bytes()));
    let fields: Vec<String> = fields.into_iter().filter(|field| !field.is_empty()).collect();
    match fields.is_empty() {
        true => format!("  {:<8}  {name}{size}{now}{note}\n", word(rests)),
        false => format!("  {:<8}  {}\n            {name}{size}{now}{note}\n", word(rests), fields.join("  ")),
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
    renamed: usize,
    control: usize,
}

impl Tally {
    fn count(&mut self, rests: &Rests, back: &Undone) {
        match back {
            // A control file goes along with its folder and is no message.
            _ if !rests.is_message() => self.control += usize::from(*back == Undone::Returned),
            Undone::Returned if rests.renamed.is_some() => self.renamed += 1,
            Undone::Before => self.before += 1,
            Undone::Returned => self.returned += 1,
            Undone::Anew(_) => self.anew += 1,
            Undone::Fresh(_) => self.fresh += 1,
            Undone::IsThere => self.there += 1,
            Undone::Failed(_) => self.failed += 1,
        }
    }

    fn line(&self, root: &str) -> String {
        let messages = self.returned + self.fresh + self.anew;
        let others = self.there + self.before + self.failed;
        let mut did = Vec::new();
        if messages + others > 0 || self.control + self.renamed == 0 {
            did.push(format!("brought back {}", count(messages, "message")));
        }
        if self.control > 0 {
            did.push(format!("restored {}", count(self.control, "control file")));
        }
        let did = did.join(" and ");
        let mut line = match self.renamed {
            0 => format!("{did} to {root}"),
            some if did.is_empty() => format!("gave {} the old name back in {root}", count(some, "message")),
            some => format!("{did} to {root}; gave {} the old name back", count(some, "message")),
        };
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
fn brought_back(place: &Place, mailboxes: &[Mailbox], runs: &[Run], done: &[Done], verbose: bool) -> String {
    let mut text = String::new();
    let mut tallies: BTreeMap<usize, Tally> = BTreeMap::new();
    for (run, done) in runs.iter().zip(done) {
        let tally = tallies.entry(run.mailbox).or_default();
        for (item, back) in run.items.iter().zip(done) {
            tally.count(&item.rests, back);
            if verbose {
                text.push_str(&message(item, Some(back)));
            }
        }
    }
    for (mailbox, tally) in &tallies {
        text.push_str(&tally.line(&mailboxes[*mailbox].shown));
    }
    if tallies.values().any(|tally| tally.returned + tally.fresh + tally.anew > 0) {
        text.push_str(match place {
            Place::Here => "the next smd-sync copies them to the other host\n",
            Place::There { .. } => "the next smd-sync copies them to this host\n",
        });
    }
    if tallies.values().any(|tally| tally.renamed > 0) {
        text.push_str("the next smd-sync renames such a message again while the other one of its name is there\n");
    }
    text
}

fn object_of(place: &Place, seen: &Seen, unseen: &[Unseen], detailed: bool, warnings: &[String], exit: Exit) -> Value {
    let Seen { mailboxes, runs, done, deeds, taken } = seen;
    let act = |(at, act): (usize, &Act)| {
        let (what, of) = by::words(&act.what);
        let outcome = taken.as_ref().map(|taken| outcome_word(&taken[at]));
        let value = json!({ "what": what, "of": of, "time": act.time, "outcome": outcome });
        object(value, [("root", mailboxes[act.mailbox].path.as_slice())])
    };
    let run = |(at, run): (usize, &Run)| {
        let counts = run.counts();
        let folders: Vec<Value> =
            run.folders().iter().map(|folder| object(json!({}), [("folder", folder.as_bytes())])).collect();
        let items = run.items.iter().enumerate();
        let items = items.map(|(n, item)| message_object(item, done.as_ref().map(|done| &done[at][n])));
        let messages: Vec<Value> = if detailed { items.collect() } else { Vec::new() };
        let value = json!({
            "run": run.number(),
            "burst": run.burst(),
            "time": run.time,
            "deleted": counts.deleted,
            "replaced": counts.replaced,
            "rewritten": counts.rewritten,
            "renamed": counts.renamed,
            "control_files": counts.control,
            "brought_back": counts.back,
            "folders": folders,
            "messages": messages,
        });
        object(value, [("root", mailboxes[run.mailbox].path.as_slice())])
    };
    json!({
        "version": VERSION,
        "exit": exit.code(),
        "host": match place {
            Place::Here => None,
            Place::There { host, .. } => Some(host),
        },
        "runs": runs.iter().enumerate().map(run).collect::<Vec<_>>(),
        "acts": deeds.acts.iter().enumerate().map(act).collect::<Vec<_>>(),
        "gone": unseen.iter().filter(|one| one.may_have_mail()).map(|one| printable(&one.path)).collect::<Vec<_>>(),
        "warnings": warnings,
    })
}

fn outcome_word(undone: &Undone) -> &'static str {
    match undone {
        Undone::Before => "back",
        Undone::IsThere => "there",
        Undone::Returned => "returned",
        Undone::Fresh(_) | Undone::Anew(_) => "fresh",
        Undone::Failed(_) => "failed",
    }
}

fn message_object(item: &Item, back: Option<&Undone>) -> Value {
    let (rests, head) = (&item.rests, &item.head);
    let outcome = back.map_or(if rests.back { "back" } else { "rests" }, outcome_word);
    let (fresh, text) = match back {
        Some(Undone::Fresh(uniq) | Undone::Anew(uniq)) => (Some(uniq.to_string()), None),
        Some(Undone::Failed(text)) => (None, Some(text.escaped())),
        _ => (None, None),
    };
    let value = json!({
        "from": head.from,
        "subject": head.subject,
        "date": head.date,
        "why": rests.why.word(),
        "place": rests.place.map(|place| printable(place.dir())),
        "size": rests.size,
        "renamed": rests.renamed.as_ref().map(ToString::to_string),
        "outcome": outcome,
        "fresh": fresh,
        "text": text,
    });
    object(value, [("folder", rests.folder.as_bytes()), ("file", &rests.file)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_for_another_host_can_be_typed_as_it_is_shown() {
        let there = |word: &str| Place::There { host: "office".to_owned(), word: word.into() }.command();
        assert_eq!(Place::Here.command(), "smd-undo");
        assert_eq!(there("work"), "smd-undo --remote work");
        assert_eq!(there("me@office:My Mail"), "smd-undo --remote 'me@office:My Mail'");
    }

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
        assert_eq!(line(Tally { renamed: 1, ..Tally::default() }), "gave 1 message the old name back in /mail\n");
        assert_eq!(
            line(Tally { renamed: 1, returned: 2, ..Tally::default() }),
            "brought back 2 messages to /mail; gave 1 message the old name back\n"
        );
    }
}
