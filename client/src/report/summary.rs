//! The one line that a run prints by itself, in words.

use std::time::Duration;

use smd_protocol::names::printable;

use super::{Counts, Guard, Report};

/// The line, or `None` when nothing happened, nothing is held back and nobody is watching.
pub fn line(report: &Report, watched: bool) -> Option<String> {
    told(report, watched, &format!(" in {}", seconds(report.took)))
}

/// The line without how long it took, for a table that has a column of it.
pub fn untimed(report: &Report) -> String {
    told(report, true, "").unwrap_or_default()
}

fn told(report: &Report, watched: bool, took: &str) -> Option<String> {
    let server = printable(report.server.as_bytes());
    let (pulled, pushed) = (words(&report.pulled()), words(&report.pushed()));
    let (pull, push) = if report.dry_run { ("would pull", "would push") } else { ("pulled", "pushed") };
    let mut parts = Vec::new();
    if !pulled.is_empty() {
        parts.push(format!("{pull} {} from {server}", pulled.join(", ")));
    }
    if !pushed.is_empty() {
        parts.push(format!("{push} {} to {server}", pushed.join(", ")));
    }
    let (held, guarded) = (report.held().no_delete, report.held().guard);
    if parts.is_empty() {
        if held + guarded == 0 && !watched {
            return None;
        }
        let stopped =
            |guard: &Guard| matches!(guard, Guard::Swapped { .. } | Guard::OtherHeaders { .. } | Guard::Doubles { .. });
        let stopped = report.roots.iter().filter_map(|root| root.guard.as_ref()).any(stopped);
        let nothing = if held + guarded == 0 && !stopped { "nothing to do" } else { "nothing done" };
        parts.push(format!("{nothing} with {server}"));
    }
    let mut text = format!("{}{took}", parts.join("; "));
    let bytes = report.traffic.sent + report.traffic.received;
    text.push_str(&format!(" ({})", size(bytes)));
    if held > 0 {
        text.push_str(&format!("; {} held back by --no-delete", count(held, "deletion", "deletions")));
    }
    if guarded > 0 {
        text.push_str(&format!("; {} held back by the guard", count(guarded, "step", "steps")));
    }
    let waiting = report.held().direction;
    if waiting > 0 && watched {
        text.push_str(&format!("; {} for the other direction", count(waiting, "change waits", "changes wait")));
    }
    Some(text)
}

/// The kinds that happened, each with its count.
pub(crate) fn words(counts: &Counts) -> Vec<String> {
    let word = |number: u64, one: &str, many: &str| (number > 0).then(|| count(number, one, many));
    [
        word(counts.new, "new", "new"),
        word(counts.copied, "copied", "copied"),
        word(counts.flags, "flag change", "flag changes"),
        word(counts.moved, "moved", "moved"),
        word(counts.replaced, "replaced", "replaced"),
        word(counts.deleted, "deleted", "deleted"),
        word(counts.folders_made, "folder made", "folders made"),
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
pub(super) fn size(bytes: u64) -> String {
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
    use super::super::{Held, RootReport, Traffic};
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
            @"pulled 12 new, 3 flag changes, 1 moved, 2 deleted from host in 0.41 s (38 KiB)"
        );
    }

    #[test]
    fn a_sync_names_both_directions() {
        let pulled = Counts { new: 1, ..Counts::default() };
        let pushed = Counts { flags: 1, folders_made: 1, ..Counts::default() };
        insta::assert_snapshot!(
            line(&report(pulled, pushed), false).expect("a line"),
            @"pulled 1 new from host; pushed 1 flag change, 1 folder made to host in 0.41 s (38 KiB)"
        );
    }

    #[test]
    fn nothing_is_said_of_nothing_unless_someone_watches() {
        let quiet = report(Counts::default(), Counts::default());
        assert_eq!(line(&quiet, false), None);
        insta::assert_snapshot!(line(&quiet, true).expect("a line"), @"nothing to do with host in 0.41 s (38 KiB)");
    }

    #[test]
    fn held_deletions_are_counted() {
        let mut held = report(Counts::default(), Counts::default());
        held.roots[0].held = Held { no_delete: 1, ..Held::default() };
        insta::assert_snapshot!(
            line(&held, false).expect("a line"),
            @"nothing done with host in 0.41 s (38 KiB); 1 deletion held back by --no-delete"
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
