//! What a person must know although the run went on: guards, clashes, adopts, things left alone.
//!
//! A guard's text names both options, because only a person knows which one is right. Nothing is said of what the run did not
//! check: `nothing was deleted` is a count that is zero.

use smd_protocol::names::printable;

use super::items::place;
use super::summary::count;
use super::{Adopted, Baseless, Guard, Host, Report, RootReport, troubles};

/// How many clashes are named before the rest is only counted.
const NAMED: usize = 10;

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
}

impl Warning {
    /// One without a hint, whose text tells it from others.
    pub(super) fn new(weight: Weight, text: String) -> Self {
        Self { key: text.clone(), text, hint: None, weight }
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
        Guard::Bulk { steps, of } => (
            format!("{name}: {steps} of {of} messages would be deleted or replaced. Those steps {held} on both hosts. {rest}").trim_end().to_owned(),
            "if they were meant, run again with --allow-bulk-delete; if not, with --adopt, which merges both hosts and deletes nothing.".to_owned(),
        ),
        Guard::Swapped { host, path, what } => (
            format!("{name}: {} at {} {what}, and something would be deleted. {nothing} in this root.", printable(path), host_name(report, *host)),
            "is everything mounted? If the change was meant, run again with --allow-bulk-delete; to merge both hosts and delete nothing, with --adopt.".to_owned(),
        ),
        Guard::OtherHeaders { messages, of } => (
            format!("{name}: {messages} of {of} messages that would be added are at the other host with another header. {nothing} in this root."),
            "remove the added header field with smd-strip-header; or, to keep both copies of each, run again with --adopt-other-headers.".to_owned(),
        ),
    };
    // Its numbers change with every message that arrives meanwhile; it is the same guard.
    let key = match guard {
        Guard::Bulk { .. } => format!("guard bulk {name}"),
        Guard::Swapped { .. } => format!("guard swapped {name}"),
        Guard::OtherHeaders { .. } => format!("guard other-headers {name}"),
    };
    Warning { text, hint: Some(hint), weight: Weight::Warning, key }
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
        let warnings =
            of(&report(RootReport { guard: Some(Guard::Bulk { steps: 30, of: 40 }), ..RootReport::default() }));
        insta::assert_snapshot!(warnings[0].text, @"Maildir: 30 of 40 messages would be deleted or replaced. Those steps were held back on both hosts. Everything else was done.");
        let hint = warnings[0].hint.as_deref().expect("a hint");
        assert!(hint.contains("--allow-bulk-delete") && hint.contains("--adopt"));
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
        let guard = Some(Guard::Bulk { steps: 30, of: 40 });
        let failed = texts(&report(RootReport { guard, failed: 1, ..RootReport::default() }));
        assert!(failed.ends_with("held back on both hosts.\n"), "{failed}");
    }
}
