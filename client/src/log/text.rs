//! The lines of the log. Names come from both hosts and from senders of mail: they are printed escaped, always.

use smd_protocol::names::printable;

use crate::error::Failure;
use crate::report::{Fate, Host, Item, Kind, Report, items, summary, warnings};

/// A message or folder that a run touched, or could not; `server` is how the other host is called.
pub fn step(server: &str, root: &[u8], item: &Item) -> String {
    let way = match item.host {
        Host::Client => "pull",
        Host::Server => "push",
    };
    let mut text = format!("{way} {:<14} {}", items::word(item.kind), items::path(root, &item.folder));
    if !item.uniq.is_empty() {
        text.push(' ');
        text.push_str(&printable(&item.uniq));
    }
    let why = match &item.fate {
        Fate::Left(why) => format!("NOT DONE: {}", printable(why.as_bytes())),
        Fate::Done | Fate::Held(_) => why(server, item),
    };
    format!("{text}: {why}")
}

fn why(server: &str, item: &Item) -> String {
    let cause = match item.host {
        Host::Client => printable(server.as_bytes()),
        Host::Server => "this host".to_owned(),
    };
    match item.kind {
        Kind::New => format!("new at {cause}"),
        Kind::Copied => format!("{cause} has it, and its bytes were there"),
        Kind::Flags | Kind::Moved => format!("{}, as at {cause}", printable(&item.detail)),
        Kind::Renamed => format!("{}, as another message there is called", printable(&item.detail)),
        Kind::Replaced => format!("edited at {cause}"),
        Kind::Deleted => format!("deleted at {cause}"),
        Kind::FolderMade => format!("made at {cause}"),
        Kind::FolderRemoved => format!("removed at {cause}"),
    }
}

/// What a report is in the log: its warnings, then the line of the run.
pub fn report(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> =
        warnings::of(report).into_iter().map(|one| one.weight.word().to_lowercase() + " " + &one.text).collect();
    let line = summary::line(report, true).unwrap_or_default();
    lines.push(format!("{}: {line}; exit {}", report.direction.word(), report.exit().code()));
    lines
}

/// The line of a run that failed.
pub fn failure(direction: &str, failure: &Failure) -> String {
    let mut text = format!("{direction}: {}", failure.heading.trim_end_matches('.'));
    if !failure.causes.is_empty() {
        text.push_str(&format!(" ({})", failure.causes.join("; ")));
    }
    format!("{text}; exit {}", failure.exit.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::report::{Counts, RootReport};

    fn item(host: Host, kind: Kind, detail: &str) -> Item {
        let (folder, uniq) = (b".Work".to_vec(), b"1.a\x1b".to_vec());
        Item { host, kind, folder, uniq, detail: detail.as_bytes().to_vec(), fate: Fate::Done }
    }

    #[test]
    fn a_line_says_what_where_which_and_why() {
        let left = Item { fate: Fate::Left("was edited".into()), ..item(Host::Server, Kind::Deleted, "") };
        let lines = [
            step("office", b"Maildir", &item(Host::Client, Kind::New, "")),
            step("office", b"Maildir", &item(Host::Client, Kind::Flags, "[S] -> [FS]")),
            step("office", b"Maildir", &item(Host::Server, Kind::Moved, "from .Old/1.a")),
            step("office", b"Maildir", &left),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        pull new            Maildir/.Work 1.a\x1b: new at office
        pull flags          Maildir/.Work 1.a\x1b: [S] -> [FS], as at office
        push moved          Maildir/.Work 1.a\x1b: from .Old/1.a, as at this host
        push deleted        Maildir/.Work 1.a\x1b: NOT DONE: was edited
        ");
    }

    #[test]
    fn a_run_is_a_line_with_its_exit_code() {
        let root = RootReport { pulled: Counts { new: 2, ..Counts::default() }, failed: 1, ..RootReport::default() };
        let done = report(&Report { server: "office".into(), roots: vec![root], ..Report::default() });
        let failed = Failure {
            exit: Exit::Network,
            heading: "office cannot be reached.".into(),
            causes: vec!["ssh: no route".into()],
            hint: None,
            at: None,
        };
        insta::assert_snapshot!([done.join("\n"), failure("pull", &failed)].join("\n"), @r"
        sync: pulled 2 new messages from office in 0.00 s (0 B); 1 change could not be made; the next run will try again; exit 1
        pull: office cannot be reached (ssh: no route); exit 69
        ");
    }
}
