//! The one line that a run prints by itself, in words.

use std::time::Duration;

use smd_protocol::names::printable;

use super::{Counts, Held, Report};
use crate::exit::Exit;
use crate::options::Direction;

/// The line, or `None` when nothing happened, all is well, nothing is held back and nobody is watching.
pub fn line(report: &Report, watched: bool) -> Option<String> {
    let mut text = told(report, watched, &format!(" in {}", seconds(report.took)))?;
    let pushed = report.pushed();
    if watched && !report.dry_run && pushed.deleted + pushed.replaced > 0 {
        let server = printable(report.server.as_bytes());
        let undo = match report.undo_there.as_str() {
            "" => format!("smd-undo on {server}"),
            undo => undo.to_owned(),
        };
        text.push_str(&format!("; what was deleted or replaced on {server} is kept there: run {undo}"));
    }
    Some(text)
}

/// The line without how long it took and what crossed the wire, for a table that has a column of the one and no room for the
/// other.
pub fn untimed(report: &Report) -> String {
    told(report, true, "").unwrap_or_default()
}

fn told(report: &Report, watched: bool, took: &str) -> Option<String> {
    let server = printable(report.server.as_bytes());
    let mut parts = done(report, &server);
    let held = report.held();
    if parts.is_empty() {
        // Whoever watches is answered always; a script hears of what is not as it should be.
        let news = held.no_delete + held.guard + held.other_root + report.failed() > 0 || report.exit() != Exit::Ok;
        if !news && !watched {
            return None;
        }
        parts.push(nothing(report, &server));
    }
    let mut text = parts.join("; ");
    match report.dry_run {
        true => {
            let mail = report.roots.iter().map(|root| root.mail).sum();
            let mail = if mail > 0 { format!(" ({})", size(mail)) } else { String::new() };
            let checked = if took.is_empty() { String::new() } else { format!("; checked{took}") };
            text.push_str(&format!("{mail}{checked}"));
        }
        false if took.is_empty() => {}
        false => text.push_str(&format!("{took} ({})", size(report.traffic.sent + report.traffic.received))),
    }
    text.push_str(&left(report, watched));
    Some(text)
}

/// What was done on both hosts, or in a dry run would be, a clause for each.
fn done(report: &Report, server: &str) -> Vec<String> {
    let verb = |would: &str, done: &str| if report.dry_run { would.to_owned() } else { done.to_owned() };
    let mut parts = Vec::new();
    for (counts, way, from, at) in [
        (report.pulled(), verb("would pull", "pulled"), format!("from {server}"), "here".to_owned()),
        (report.pushed(), verb("would push", "pushed"), format!("to {server}"), format!("on {server}")),
    ] {
        let new = (counts.new > 0).then(|| count(counts.new, "new message", "new messages"));
        // With mail of their own, new folders belong to what came.
        let made =
            (counts.folders_made > 0 && new.is_some()).then(|| count(counts.folders_made, "new folder", "new folders"));
        let came: Vec<String> = new.into_iter().chain(made).collect();
        if !came.is_empty() {
            parts.push(format!("{way} {} {from}", came.join(" and ")));
        }
        let changes = changes(&counts, came.is_empty(), report.dry_run);
        if !changes.is_empty() {
            parts.push(format!("{} {at}", changes.join(", ")));
        }
    }
    parts
}

/// What changed on a host beside what came, each with its verb; `all`: new folders too.
fn changes(counts: &Counts, all: bool, dry_run: bool) -> Vec<String> {
    let messages = |number: u64| count(number, "message", "messages");
    let folders = |number: u64| count(number, "folder", "folders");
    let made = if all { counts.folders_made } else { 0 };
    let moved = counts.moved.saturating_sub(counts.renamed);
    let mut clauses: Vec<String> = [
        (made, "made", "make", folders(made)),
        (moved, "moved", "move", messages(moved)),
        (counts.renamed, "renamed", "rename", messages(counts.renamed)),
        (counts.copied, "copied", "copy", messages(counts.copied)),
        (counts.flags, "changed flags of", "change flags of", messages(counts.flags)),
        (counts.replaced, "replaced", "replace", messages(counts.replaced)),
        (counts.deleted, "deleted", "delete", messages(counts.deleted)),
        (counts.folders_removed, "removed", "remove", folders(counts.folders_removed)),
    ]
    .into_iter()
    .filter(|(number, ..)| *number > 0)
    .map(|(_, done, would, what)| format!("{} {what}", if dry_run { would } else { done }))
    .collect();
    if let (Some(first), true) = (clauses.first_mut(), dry_run) {
        first.insert_str(0, "would ");
    }
    clauses
}

/// What is said of a run that changed nothing.
fn nothing(report: &Report, server: &str) -> String {
    let waits = report.held();
    let only_waits = Held { direction: waits.direction, ..Held::default() } == waits;
    match report.direction {
        _ if report.in_sync() => format!("already in sync with {server}"),
        Direction::Pull if only_waits && report.exit() == Exit::Ok => format!("nothing to pull from {server}"),
        Direction::Push if only_waits && report.exit() == Exit::Ok => format!("nothing to push to {server}"),
        _ if report.dry_run => format!("nothing would be synced with {server}"),
        _ => format!("nothing was synced with {server}"),
    }
}

/// What was not done, and why.
fn left(report: &Report, watched: bool) -> String {
    let held = report.held();
    let changes = |number: u64, one: &str, many: &str| format!("; {}", count(number, one, many));
    let mut text = String::new();
    if report.failed() > 0 {
        text.push_str(&changes(report.failed(), "change could not be made", "changes could not be made"));
        text.push_str("; the next run will try again");
    }
    if held.no_delete > 0 {
        text.push_str(&changes(held.no_delete, "deletion", "deletions"));
        text.push_str(" held back by --no-delete");
    }
    if held.guard > 0 {
        text.push_str(&changes(held.guard, "step", "steps"));
        text.push_str(" held back by the guard");
    }
    if held.incomplete > 0 {
        text.push_str(&changes(held.incomplete, "change waits", "changes wait"));
        text.push_str(" until everything can be read");
    }
    if held.other_root > 0 {
        text.push_str(&changes(held.other_root, "deletion waits", "deletions wait"));
        text.push_str(" until what was moved is in the other Maildir");
    }
    if held.direction > 0 && watched {
        text.push_str(&changes(held.direction, "change waits", "changes wait"));
        text.push_str(match report.direction {
            Direction::Push => " for smd-pull",
            _ => " for smd-push",
        });
    }
    text
}

/// The kinds that happened, each with its count.
pub(crate) fn words(counts: &Counts) -> Vec<String> {
    let word = |number: u64, one: &str, many: &str| (number > 0).then(|| count(number, one, many));
    [
        word(counts.new, "new message", "new messages"),
        word(counts.copied, "copy", "copies"),
        word(counts.flags, "flag change", "flag changes"),
        word(counts.moved.saturating_sub(counts.renamed), "move", "moves"),
        word(counts.renamed, "rename", "renames"),
        word(counts.replaced, "replacement", "replacements"),
        word(counts.deleted, "deletion", "deletions"),
        word(counts.folders_made, "new folder", "new folders"),
        word(counts.folders_removed, "folder removed", "folders removed"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A number with its noun.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A duration: hundredths of a second below ten, then tenths, then minutes.
pub(super) fn seconds(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match took.as_secs() {
        0..10 => format!("{seconds:.2} s"),
        10..60 => format!("{seconds:.1} s"),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

/// A number of bytes in binary units, without a false precision.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 9.95 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::super::{Copies, Guard, Host, RootReport, Traffic, Trouble};
    use super::*;

    fn report(pulled: Counts, pushed: Counts) -> Report {
        Report {
            server: "host".into(),
            roots: vec![RootReport { pulled, pushed, ..RootReport::default() }],
            traffic: Traffic { sent: 1_000, received: 37_912, ..Traffic::default() },
            took: Duration::from_millis(412),
            ..Report::default()
        }
    }

    #[test]
    fn a_pull_says_what_came() {
        let pulled = Counts { new: 12, flags: 3, moved: 1, deleted: 2, ..Counts::default() };
        insta::assert_snapshot!(
            line(&report(pulled, Counts::default()), false).expect("a line"),
            @"pulled 12 new messages from host; moved 1 message, changed flags of 3 messages, deleted 2 messages here in 0.41 s (38 KiB)"
        );
    }

    #[test]
    fn a_sync_names_both_directions() {
        let pulled = Counts { new: 1, ..Counts::default() };
        let pushed = Counts { moved: 442, folders_made: 1, ..Counts::default() };
        insta::assert_snapshot!(
            line(&report(pulled, pushed), false).expect("a line"),
            @"pulled 1 new message from host; made 1 folder, moved 442 messages on host in 0.41 s (38 KiB)"
        );
    }

    #[test]
    fn a_message_that_stays_in_its_folder_was_renamed_and_not_moved() {
        let names = report(Counts { moved: 2_618, renamed: 2_618, ..Counts::default() }, Counts::default());
        insta::assert_snapshot!(untimed(&names), @"renamed 2618 messages here");
        let both = Counts { moved: 3, renamed: 1, ..Counts::default() };
        let dry = Report { dry_run: true, ..report(Counts::default(), both) };
        insta::assert_snapshot!(untimed(&dry), @"would move 2 messages, rename 1 message on host");
        assert_eq!(words(&both), ["2 moves", "1 rename"]);
    }

    #[test]
    fn whoever_watches_learns_where_deleted_mail_is_kept() {
        let pushed = Counts { deleted: 1, ..Counts::default() };
        let there = report(Counts::default(), pushed);
        assert!(line(&there, true).expect("a line").ends_with("is kept there: run smd-undo on host"));
        let from_here = Report { undo_there: "smd-undo --remote work".to_owned(), ..there.clone() };
        assert!(line(&from_here, true).expect("a line").ends_with("is kept there: run smd-undo --remote work"));
        assert!(!line(&there, false).expect("a line").contains("smd-undo"));
        assert!(!line(&report(pushed, Counts::default()), true).expect("a line").contains("smd-undo"));
    }

    #[test]
    fn a_dry_run_shows_the_bytes_of_the_mail_and_not_of_what_was_said() {
        let pulled = Counts { new: 2_630, folders_made: 1, ..Counts::default() };
        let pushed = Counts { deleted: 1, moved: 1, ..Counts::default() };
        let mut dry = Report { dry_run: true, ..report(pulled, pushed) };
        dry.roots[0].mail = 10 << 20;
        insta::assert_snapshot!(
            line(&dry, false).expect("a line"),
            @"would pull 2630 new messages and 1 new folder from host; would move 1 message, delete 1 message on host (10 MiB); checked in 0.41 s"
        );
    }

    #[test]
    fn in_sync_is_said_only_of_a_run_that_found_no_difference_and_nothing_wrong() {
        let idle = || report(Counts::default(), Counts::default());
        let held = |held: Held| {
            let mut report = idle();
            report.roots[0].held = held;
            report
        };
        let failed = || {
            let mut report = idle();
            report.roots[0].failed = 2;
            report
        };
        let troubled = || Report { troubles: vec![Trouble::new(Host::Server, b"x", "cannot be read")], ..idle() };
        let guard = || {
            let mut report = idle();
            report.roots[0].guard = Some(Guard::OtherHeaders { messages: 7, of: 9, copies: Copies::default() });
            report
        };
        let waits = Held { direction: 1, ..Held::default() };
        for (report, says) in [
            (idle(), "already in sync with host"),
            (failed(), "nothing was synced with host; 2 changes could not be made; the next run will try again"),
            (troubled(), "nothing was synced with host"),
            (guard(), "nothing was synced with host"),
            (Report { dry_run: true, ..guard() }, "nothing would be synced with host"),
            (
                held(Held { incomplete: 1, ..Held::default() }),
                "nothing was synced with host; 1 change waits until everything can be read",
            ),
            (
                Report { direction: Direction::Pull, ..held(waits) },
                "nothing to pull from host; 1 change waits for smd-push",
            ),
            (
                Report { direction: Direction::Push, ..held(waits) },
                "nothing to push to host; 1 change waits for smd-pull",
            ),
            (Report { direction: Direction::Pull, ..idle() }, "already in sync with host"),
        ] {
            assert_eq!(untimed(&report), says);
        }
    }

    #[test]
    fn a_script_hears_of_a_run_that_could_not_do_its_work() {
        let mut failed = report(Counts::default(), Counts::default());
        failed.roots[0].failed = 1;
        assert!(line(&failed, false).expect("a line").contains("1 change could not be made"));
    }

    #[test]
    fn nothing_is_said_of_nothing_unless_someone_watches() {
        let quiet = report(Counts::default(), Counts::default());
        assert_eq!(line(&quiet, false), None);
        insta::assert_snapshot!(line(&quiet, true).expect("a line"), @"already in sync with host in 0.41 s (38 KiB)");
    }

    #[test]
    fn held_deletions_are_counted() {
        let mut held = report(Counts::default(), Counts::default());
        held.roots[0].held = Held { no_delete: 1, ..Held::default() };
        insta::assert_snapshot!(
            line(&held, false).expect("a line"),
            @"nothing was synced with host in 0.41 s (38 KiB); 1 deletion held back by --no-delete"
        );
    }

    #[test]
    fn sizes_and_times_keep_three_figures_at_most() {
        let sizes: Vec<String> = [0, 1023, 1024, 10_188, 10_240, 1_023_000, 1 << 40].into_iter().map(size).collect();
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "9.9 KiB", "10 KiB", "999 KiB", "1.0 TiB"]);
        let times: Vec<String> = [4, 12_340, 61_000].into_iter().map(Duration::from_millis).map(seconds).collect();
        assert_eq!(times, ["0.00 s", "12.3 s", "1 min 1 s"]);
    }
}
