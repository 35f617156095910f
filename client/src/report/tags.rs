//! The predecessor's machine line, letter by letter, for the tools that read it.
//!
//! `new-mails` and `del-mails` count both directions together; `xdelta-received` is the size of
//! the server's delta.

use super::Report;

/// The line without its newline.
pub fn line(report: &Report) -> String {
    let (pulled, pushed) = (report.pulled(), report.pushed());
    format!(
        "{}: smd-client@localhost: TAGS: stats::new-mails({}), del-mails({}), bytes-received({}), xdelta-received({})",
        report.endpoint,
        pulled.new + pulled.copied + pushed.new + pushed.copied,
        pulled.deleted + pushed.deleted,
        report.traffic.received,
        report.traffic.delta,
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Counts, RootReport, Traffic};
    use super::*;

    #[test]
    fn the_line_is_exactly_the_predecessors() {
        let pulled = Counts { new: 2, copied: 1, deleted: 4, ..Counts::default() };
        let report = Report {
            endpoint: "default".into(),
            roots: vec![RootReport { pulled, ..RootReport::default() }],
            traffic: Traffic { received: 9_000, delta: 120, ..Traffic::default() },
            ..Report::default()
        };
        insta::assert_snapshot!(
            line(&report),
            @"default: smd-client@localhost: TAGS: stats::new-mails(3), del-mails(4), bytes-received(9000), xdelta-received(120)"
        );
    }
}
