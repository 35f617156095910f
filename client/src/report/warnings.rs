//! What a person must know although the run went on: guards, clashes, adopts, things left alone.
//!
//! A guard's text names both options, because only a person knows which one is right. Nothing is said of what the run did not
//! check: `nothing was deleted` is a count that is zero.

use smd_protocol::names::printable;
use smd_protocol::seeded;

use super::items::place;
use super::summary::count;
use super::{Adopted, Baseless, Copies, Guard, Host, IdlePattern, Report, RootReport, Trouble, troubles};

/// How many clashes are named before the rest is only counted.
const NAMED: usize = 10;

/// How many names that are left out by design stand in the one line that tells of them.
const NAMED_LEFT_OUT: usize = 3;

/// How many messages that an adopt brought back are named: the next run adopts no more and cannot name them.
const NAMED_RETURNED: usize = 50;

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Something was left as it was.
    Warning,
    /// Something was left as it was, and passes by itself.
    Passing,
    /// Nothing to do, nothing lost: left out by `-q`.
    Note,
}

impl Weight {
    /// The word before the text.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Warning | Self::Passing => "Warning:",
            Self::Note => "Note:",
        }
    }
}

/// What happened, and what to type if anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// One sentence or more.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// How much it matters.
    pub weight: Weight,
    /// Stays the same while numbers in the text change: the same cause is the same warning.
    pub key: String,
    /// What the system said, when that is the cause.
    pub system: Option<System>,
}

/// What the system said of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Where.
    pub host: Host,
    /// The root as written, which stands for its file system.
    pub root: Vec<u8>,
    /// The error's number.
    pub error: i32,
}

impl Warning {
    /// One without a hint, whose text tells it from others.
    pub(super) fn new(weight: Weight, text: String) -> Self {
        Self { key: text.clone(), text, hint: None, weight, system: None }
    }
}

/// All warnings of a report, the gravest first.
pub fn of(report: &Report) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for root in &report.roots {
        warnings.extend(root.guard.as_ref().map(|guard| tripped(report, root, guard)));
    }
    for root in report.roots.iter().filter(|root| root.held.policy > 0) {
        let steps = count(root.held.policy, "change was", "changes were");
        let text = format!("{}: {steps} refused by the server's policy.", place(root, b""));
        warnings.push(Warning::new(Weight::Warning, text));
    }
    let idle = report.idle_patterns.iter().filter(|idle| idle.fresh && !seeded::is("idle-patterns-are-not-said"));
    warnings.extend(idle.flat_map(|idle| &idle.patterns).map(idle_pattern));
    warnings.extend(troubles::warnings(report));
    for root in &report.roots {
        conflicts(report, root, &mut warnings);
        warnings.extend(root.notes.iter().map(|text| note(format!("{}: {text}.", place(root, b"")))));
        if root.guard.as_ref().is_some_and(Guard::stops_all) {
            continue;
        }
        warnings.extend(root.restored.iter().map(|folder| restored(report, root, folder)));
        warnings.extend(root.adopted.as_ref().map(|adopted| adoption(report, root, adopted)));
    }
    warnings.extend(left_out(report).map(|what| note(format!("Left out, with all behind it: {what}."))));
    warnings
}

/// Whether nothing left the user's tree on either host in this root, or would.
fn nothing_went(root: &RootReport) -> bool {
    [root.pulled, root.pushed].iter().all(|counts| counts.deleted + counts.replaced + counts.folders_removed == 0)
}

/// `; nothing was deleted`, where that is so.
fn nothing_deleted(report: &Report, root: &RootReport) -> &'static str {
    match (nothing_went(root), report.dry_run) {
        (true, false) => "; nothing was deleted",
        (true, true) => "; nothing would be deleted",
        (false, _) => "",
    }
}

fn restored(report: &Report, root: &RootReport, folder: &[u8]) -> Warning {
    let merged = if report.dry_run { "would be merged" } else { "was merged" };
    let text = format!(
        "{} was put back from a backup: its mail {merged} with that of the other host{}.",
        place(root, folder),
        nothing_deleted(report, root)
    );
    note(text)
}

/// A pattern that is to leave something alone, and leaves nothing.
fn idle_pattern(idle: &IdlePattern) -> Warning {
    let text = format!(
        "the exclude pattern {} matches no folder on either host, so it excludes nothing.",
        printable(idle.pattern.as_bytes())
    );
    let hint = match &idle.instead {
        Some(instead) => {
            format!("if the folder of that name was meant, write {instead} in its place; [ ] {{ }} * ? are wildcards.")
        }
        None => "correct it in the config, or remove it; smd-check-conf shows all folders.".to_owned(),
    };
    Warning { hint: Some(hint), ..Warning::new(Weight::Warning, text) }
}

/// What is left out by design, of both hosts, in one line; none when nothing is.
fn left_out(report: &Report) -> Option<String> {
    left_out_words(&report.left_out, |host| host_name(report, host))
}

/// As many names as fit a line, each with its host and why; the rest are counted.
pub fn left_out_words(left_out: &[Trouble], host_name: impl Fn(Host) -> String) -> Option<String> {
    let named = left_out.iter().take(NAMED_LEFT_OUT);
    let named = named.map(|one| {
        let text = printable(one.text.as_bytes());
        format!("{} at {} {text}", printable(&one.path), host_name(one.host))
    });
    let mut words: Vec<String> = named.collect();
    let rest = left_out.len().saturating_sub(NAMED_LEFT_OUT);
    words.extend((rest > 0).then(|| format!("and {rest} more, --json lists them all")));
    (!words.is_empty()).then(|| words.join("; "))
}

/// How to run again with an option: whoever reads it under a loop has typed nothing.
fn again(report: &Report, option: &str) -> String {
    match report.word.as_str() {
        "" => format!("run again with {option}"),
        word => format!("run: smd-{} {option} {word}", report.direction.word()),
    }
}

fn tripped(report: &Report, root: &RootReport, guard: &Guard) -> Warning {
    let name = place(root, b"");
    let (held, done, nothing) = if report.dry_run {
        ("would be held back", "Everything else would be done.", "Nothing would be done")
    } else {
        ("were held back", "Everything else was done.", "Nothing was done")
    };
    // Only where that is so.
    let rest = if root.failed == 0 && root.held.waits_for_others() == 0 { done } else { "" };
    let (text, hint) = match guard {
        Guard::Bulk { host, steps, earlier, of, folder, stands } => (
            {
                let (host, name) = (host_name(report, *host), place(root, folder.as_deref().unwrap_or_default()));
                let what = match (stands, earlier) {
                    (true, _) => format!(
                        "the guard tripped before and still stands; {} to be deleted or replaced at {host}",
                        count(*steps, "message is", "messages are")
                    ),
                    (false, 0) => format!("{steps} of {of} messages would be deleted or replaced at {host}"),
                    (false, earlier) => format!(
                        "{steps} of {of} messages would be deleted or replaced at {host}, with the {earlier} of the last 24 hours"
                    ),
                };
                format!("{name}: {what}. Those steps {held} on both hosts. {rest}").trim_end().to_owned()
            },
            format!(
                "if they were meant, {}; if not, {}, which merges both hosts and deletes nothing.",
                again(report, "--allow-bulk-delete"),
                again(report, "--adopt")
            ),
        ),
        Guard::Swapped { host, path, what } => (
            format!(
                "{name}: {} at {} {what}, and something would be deleted. {nothing} in this Maildir.",
                printable(path),
                host_name(report, *host)
            ),
            format!(
                "is everything mounted? If the change was meant, {}; to merge both hosts and delete nothing, {}.",
                again(report, "--allow-bulk-delete"),
                again(report, "--adopt")
            ),
        ),
        Guard::OtherHeaders { messages, of, copies } => {
            let by = differ(report, copies).map(|by| format!(" ({by})")).unwrap_or_default();
            let server = host_name(report, Host::Server);
            (
                format!(
                    "{name}: {messages} of {of} messages differ from their copies on {server} only in the header{by}. {nothing} in this Maildir."
                ),
                format!(
                    "{}; or, to keep both copies of each, {}.",
                    strip(report, copies),
                    again(report, "--adopt-other-headers")
                ),
            )
        }
        Guard::Doubles { host, folder, messages, earlier, of, copies } => {
            let host = host_name(report, *host);
            let program = copies.program().unwrap_or("another program");
            let by = differ(report, copies).map(|by| format!(", but for {by}")).unwrap_or_default();
            let earlier =
                if *earlier > 0 { format!(", with the {earlier} of the last 24 hours") } else { String::new() };
            let folder_path = [&copies.path[..], if folder.is_empty() { b"" } else { b"/" }, folder].concat();
            (
                format!(
                    "{}: {messages} messages that are new at {host} are copies of some of the {of} that were there before{by}{earlier}; {program} seems to run there. {nothing} in this Maildir.",
                    place(root, folder),
                ),
                format!(
                    "stop {program} at {host}, and bury its copies there with: smd-dedup --apply {}; or, to keep both copies of each, {}.",
                    quoted(&folder_path),
                    again(report, "--adopt-other-headers"),
                ),
            )
        }
    };
    // Its numbers change with every message that arrives meanwhile; it is the same guard.
    let key = match guard {
        Guard::Bulk { .. } => format!("guard bulk {name}"),
        Guard::Swapped { .. } => format!("guard swapped {name}"),
        Guard::OtherHeaders { .. } => format!("guard other-headers {name}"),
        Guard::Doubles { .. } => format!("guard doubles {name}"),
    };
    Warning { text, hint: Some(hint), weight: Weight::Warning, key, system: None }
}

/// The fields by which copies differ, and where these were added.
fn differ(report: &Report, copies: &Copies) -> Option<String> {
    let fields = copies.fields.join(", ");
    let at = copies.at.map(|host| format!(", added at {}", host_name(report, host))).unwrap_or_default();
    (!fields.is_empty()).then(|| format!("{fields}{at}"))
}

/// What removes those fields.
fn strip(report: &Report, copies: &Copies) -> String {
    if copies.fields.is_empty() {
        return "remove the added header field with smd-strip-header".to_owned();
    }
    let at = copies.at.map_or_else(|| "on each host".to_owned(), |host| format!("at {}", host_name(report, host)));
    let fields: String = copies.fields.iter().map(|field| format!(" -H {field}")).collect();
    format!("remove what was added, {at}, with: smd-strip-header{fields} {}", quoted(&copies.path))
}

/// A path as a shell takes it.
fn quoted(path: &[u8]) -> String {
    let quoted = shlex::bytes::try_quote(path).map(|quoted| quoted.into_owned());
    printable(&quoted.unwrap_or_else(|_| path.to_vec()))
}

fn conflicts(report: &Report, root: &RootReport, warnings: &mut Vec<Warning>) {
    let client = host_name(report, Host::Client);
    let are = if report.dry_run { "would be" } else { "are" };
    for conflict in root.conflicts.iter().take(NAMED) {
        let (place, uniq) = (place(root, &conflict.folder), printable(&conflict.uniq));
        let fresh = printable(&conflict.fresh);
        warnings
            .push(note(format!("{place}: two messages had the name {uniq}; both {are} kept, {client}'s as {fresh}.")));
    }
    let rest = root.conflicts.len().saturating_sub(NAMED);
    if rest > 0 {
        let messages = count(rest as u64, "message was", "messages were");
        warnings.push(note(format!("{}: {messages} kept twice for the same reason.", place(root, b""))));
    }
}

fn adoption(report: &Report, root: &RootReport, adopted: &Adopted) -> Warning {
    let matched = count(adopted.matched, "message is", "messages are");
    let merged = if report.dry_run { "would be merged" } else { "were merged" };
    let why = match adopted.why {
        Baseless::First => "first sync".to_owned(),
        Baseless::Lost => format!("the record of the last sync is lost, so both hosts {merged} by content"),
        Baseless::Asked => format!("both hosts {merged} by content, as asked"),
    };
    let deleted = nothing_deleted(report, root);
    let mut text = format!("{}: {why}: {matched} on both hosts already{deleted}.", place(root, b""));
    if !adopted.returned.is_empty() {
        let number = adopted.returned.len() as u64;
        let (returned, both) = match report.dry_run {
            false => (count(number, "message was", "messages were"), count_free(number, "is now", "are now")),
            true => (count(number, "message is", "messages are"), "would be"),
        };
        text.push_str(&format!(
            " {returned} on one host only and {both} on both; if you had deleted one, delete it again:"
        ));
        for item in adopted.returned.iter().take(NAMED_RETURNED) {
            text.push_str(&format!("\n  {} {}", place(root, &item.folder), printable(&item.uniq)));
        }
        if adopted.returned.len() > NAMED_RETURNED {
            let rest = adopted.returned.len() - NAMED_RETURNED;
            text.push_str(&format!("\n  and {rest} more; -v or --json lists them all during such a run."));
        }
    }
    note(text)
}

pub(super) fn host_name(report: &Report, host: Host) -> String {
    printable(if host == Host::Client { &report.client } else { &report.server }.as_bytes())
}

/// The word for a number that is not written.
fn count_free(number: u64, one: &'static str, many: &'static str) -> &'static str {
    if number == 1 { one } else { many }
}

fn note(text: String) -> Warning {
    Warning::new(Weight::Note, text)
}

#[cfg(test)]
mod tests {
    use super::super::{Conflict, Counts, Fate, Item, Kind, Trouble};
    use super::*;

    fn texts(report: &Report) -> String {
        of(report).iter().map(|warning| warning.text.clone() + "\n").collect()
    }

    fn report(root: RootReport) -> Report {
        let root = RootReport { root: b"Maildir".to_vec(), ..root };
        Report { client: "laptop".into(), server: "host".into(), roots: vec![root], ..Report::default() }
    }

    #[test]
    fn a_bulk_guard_names_both_ways_out() {
        let warnings = of(&report(RootReport { guard: Some(Guard::bulk(30, 40)), ..RootReport::default() }));
        insta::assert_snapshot!(warnings[0].text, @"Maildir: 30 of 40 messages would be deleted or replaced at laptop. Those steps were held back on both hosts. Everything else was done.");
        let hint = warnings[0].hint.as_deref().expect("a hint");
        assert!(hint.contains("--allow-bulk-delete") && hint.contains("--adopt"));
    }

    #[test]
    fn a_guard_says_what_the_day_adds_which_folder_it_is_and_that_it_stands() {
        let bulk = |earlier, folder: Option<&str>, stands| {
            let folder = folder.map(|folder| folder.as_bytes().to_vec());
            let guard = Some(Guard::Bulk { host: Host::Server, steps: 30, earlier, of: 30, folder, stands });
            of(&report(RootReport { guard, ..RootReport::default() })).remove(0).text
        };
        let texts = [bulk(12, None, false), bulk(0, Some(".Lists"), false), bulk(0, None, true)].join("\n");
        insta::assert_snapshot!(texts, @r"
        Maildir: 30 of 30 messages would be deleted or replaced at host, with the 12 of the last 24 hours. Those steps were held back on both hosts. Everything else was done.
        Maildir/.Lists: 30 of 30 messages would be deleted or replaced at host. Those steps were held back on both hosts. Everything else was done.
        Maildir: the guard tripped before and still stands; 30 messages are to be deleted or replaced at host. Those steps were held back on both hosts. Everything else was done.
        ");
    }

    #[test]
    fn copies_of_another_program_are_told_with_the_field_the_program_and_the_command() {
        let told = |guard| {
            let warning = of(&report(RootReport { guard: Some(guard), ..RootReport::default() })).remove(0);
            format!("{}\n{}", warning.text, warning.hint.expect("a hint"))
        };
        let copies = |fields: &[&str], at, names: &[&str]| Copies {
            fields: fields.iter().map(|&field| field.to_owned()).collect(),
            at,
            path: b"/home/me/My mail".to_vec(),
            names: names.iter().map(|name| name.as_bytes().to_vec()).collect(),
        };
        let other = |copies| told(Guard::OtherHeaders { messages: 2_618, of: 2_630, copies });
        insta::assert_snapshot!(other(copies(&["X-Label"], Some(Host::Client), &[])), @r"
        Maildir: 2618 of 2630 messages differ from their copies on host only in the header (X-Label, added at laptop). Nothing was done in this Maildir.
        remove what was added, at laptop, with: smd-strip-header -H X-Label '/home/me/My mail'; or, to keep both copies of each, run again with --adopt-other-headers.
        ");
        insta::assert_snapshot!(other(copies(&[], None, &[])), @r"
        Maildir: 2618 of 2630 messages differ from their copies on host only in the header. Nothing was done in this Maildir.
        remove the added header field with smd-strip-header; or, to keep both copies of each, run again with --adopt-other-headers.
        ");
        let doubles = |earlier, copies| {
            let folder = b".Lists".to_vec();
            told(Guard::Doubles { host: Host::Server, folder, messages: 400, earlier, of: 500, copies })
        };
        let by_mbsync = || copies(&["X-TUID"], Some(Host::Server), &["1,U=7"]);
        insta::assert_snapshot!(doubles(380, by_mbsync()), @r"
        Maildir/.Lists: 400 messages that are new at host are copies of some of the 500 that were there before, but for X-TUID, added at host, with the 380 of the last 24 hours; mbsync seems to run there. Nothing was done in this Maildir.
        stop mbsync at host, and bury its copies there with: smd-dedup --apply '/home/me/My mail/.Lists'; or, to keep both copies of each, run again with --adopt-other-headers.
        ");
        insta::assert_snapshot!(doubles(0, by_mbsync()), @r"
        Maildir/.Lists: 400 messages that are new at host are copies of some of the 500 that were there before, but for X-TUID, added at host; mbsync seems to run there. Nothing was done in this Maildir.
        stop mbsync at host, and bury its copies there with: smd-dedup --apply '/home/me/My mail/.Lists'; or, to keep both copies of each, run again with --adopt-other-headers.
        ");
        assert_eq!(copies(&[], None, &["1,U=7,FMD5=x"]).program(), Some("OfflineIMAP"));
    }

    #[test]
    fn what_came_back_is_named_and_the_rest_counted() {
        let item = |number: usize| Item {
            host: Host::Client,
            kind: Kind::New,
            folder: b".a".to_vec(),
            uniq: number.to_string().into_bytes(),
            detail: Vec::new(),
            fate: Fate::Done,
        };
        let adopted = Adopted { why: Baseless::Lost, matched: 1, returned: (0..52).map(item).collect() };
        let text = texts(&report(RootReport { adopted: Some(adopted), ..RootReport::default() }));
        assert!(text.contains("Maildir/.a 49\n  and 2 more"), "{text}");
    }

    #[test]
    fn troubles_and_clashes_are_told_with_host_and_name() {
        let conflict = Conflict { folder: b".a".to_vec(), uniq: b"1".to_vec(), fresh: b"fresh".to_vec() };
        let mut report = report(RootReport { conflicts: vec![conflict], failed: 2, ..RootReport::default() });
        report.troubles.push(Trouble::new(Host::Server, b".b/\x07", "cannot be read"));
        insta::assert_snapshot!(texts(&report), @r"
        .b/\x07 at host: cannot be read.
        Maildir/.a: two messages had the name 1; both are kept, laptop's as fresh.
        ");
    }

    #[test]
    fn a_first_sync_is_a_note_about_a_first_sync() {
        let adopted = |why| Some(Adopted { why, matched: 2618, returned: Vec::new() });
        let first = of(&report(RootReport { adopted: adopted(Baseless::First), ..RootReport::default() }));
        assert_eq!(first[0].weight, Weight::Note);
        insta::assert_snapshot!(first[0].text, @"Maildir: first sync: 2618 messages are on both hosts already; nothing was deleted.");
        let lost = of(&report(RootReport { adopted: adopted(Baseless::Lost), ..RootReport::default() }));
        insta::assert_snapshot!(lost[0].text, @"Maildir: the record of the last sync is lost, so both hosts were merged by content: 2618 messages are on both hosts already; nothing was deleted.");
    }

    #[test]
    fn nothing_was_deleted_is_said_only_where_nothing_was() {
        let put_back = || RootReport { restored: vec![b".a".to_vec()], ..RootReport::default() };
        let adopted = || RootReport { adopted: Some(Adopted::default()), ..RootReport::default() };
        let gone = [
            Counts { deleted: 3, ..Counts::default() },
            Counts { replaced: 1, ..Counts::default() },
            Counts { folders_removed: 1, ..Counts::default() },
        ];
        for root in [put_back(), adopted()] {
            assert!(texts(&report(root.clone())).contains("nothing was deleted"), "{root:?}");
            for counts in gone {
                for root in
                    [RootReport { pulled: counts, ..root.clone() }, RootReport { pushed: counts, ..root.clone() }]
                {
                    assert!(!texts(&report(root.clone())).contains("nothing"), "{root:?}");
                }
            }
        }
        let dry = Report { dry_run: true, ..report(put_back()) };
        assert!(texts(&dry).contains("would be merged with that of the other host; nothing would be deleted"));
    }

    #[test]
    fn everything_else_was_done_is_said_only_where_it_was() {
        let guard = Some(Guard::bulk(30, 40));
        let failed = texts(&report(RootReport { guard, failed: 1, ..RootReport::default() }));
        assert!(failed.ends_with("held back on both hosts.\n"), "{failed}");
    }
}
