//! Steps for a person: every one of them (`-v`), or the dry run's summary by folder and kind with
//! the deletions by name.
//!
//! Names come from both hosts and from senders of mail: they are printed escaped, always.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use smd_protocol::names::printable;

use super::summary::words;
use super::{Counts, Fate, Host, Item, Kind, Reason, Report, RootReport};

/// Every step on a line of its own.
pub fn each(report: &Report) -> String {
    let mut text = String::new();
    for root in &report.roots {
        for item in &root.items {
            push_item(&mut text, root, item);
        }
    }
    text
}

/// What would be done: a line per folder with its kinds, below it the deletions by name.
pub fn dry_run(report: &Report) -> String {
    let mut text = String::new();
    for host in [Host::Client, Host::Server] {
        let mut section = String::new();
        for root in &report.roots {
            let mut folders: BTreeMap<&[u8], (Counts, Counts, Vec<&Item>)> = BTreeMap::new();
            for item in
                root.items.iter().filter(|item| item.host == host && item.fate.held() != Some(Reason::Direction))
            {
                let (done, held, deleted) = folders.entry(&item.folder).or_default();
                if item.fate.held().is_some() { held } else { done }.count_item(item);
                if matches!(item.kind, Kind::Deleted) {
                    deleted.push(item);
                }
            }
            for (folder, (done, held, deleted)) in folders {
                push_folder(&mut section, &place(root, folder), &done, &held, &deleted);
            }
        }
        if !section.is_empty() {
            let name = printable(if host == Host::Client { &report.client } else { &report.server }.as_bytes());
            let heading = if host == Host::Client { "this host" } else { "the server" };
            let _ = write!(text, "at {heading}, {name}:\n{section}");
        }
    }
    text
}

fn push_folder(text: &mut String, place: &str, done: &Counts, held: &Counts, deleted: &[&Item]) {
    let mut kinds = words(done);
    kinds.extend(words(held).into_iter().map(|kind| format!("{kind} (held back)")));
    let _ = writeln!(text, "  {place}: {}", kinds.join(", "));
    for item in deleted {
        let _ = writeln!(text, "    delete {}{}", printable(&item.uniq), fate(item));
    }
}

fn push_item(text: &mut String, root: &RootReport, item: &Item) {
    let way = match item.host {
        Host::Client => "pull",
        Host::Server => "push",
    };
    let _ = write!(text, "{way} {:<14} {}", word(item.kind), place(root, &item.folder));
    if !item.uniq.is_empty() {
        let _ = write!(text, " {}", printable(&item.uniq));
    }
    if !item.detail.is_empty() {
        let _ = write!(text, " ({})", detail(root, item));
    }
    let _ = writeln!(text, "{}", fate(item));
}

/// From where a message was moved, without its name if that is the same; otherwise the detail as it is.
fn detail(root: &RootReport, item: &Item) -> String {
    let from = item.detail.strip_prefix(b"from ").and_then(|from| from.strip_suffix(printable(&item.uniq).as_bytes()));
    match from {
        Some([]) if item.kind == Kind::Moved => format!("from {}", place(root, b"")),
        Some([folder @ .., b'/']) if item.kind == Kind::Moved => format!("from {}", path(&root.root, folder)),
        _ => printable(&item.detail),
    }
}

/// What a line says of a step that is not done.
fn fate(item: &Item) -> String {
    match &item.fate {
        Fate::Done => String::new(),
        Fate::Left(why) => format!(" NOT DONE: {}", printable(why.as_bytes())),
        Fate::Held(why) => format!(" [{}]", held_by(*why)),
    }
}

/// Why a step was not tried.
fn held_by(why: Reason) -> &'static str {
    match why {
        Reason::NoDelete => "held back by --no-delete",
        Reason::Guard => "held back by the guard",
        Reason::Direction => "waits for the other direction",
        Reason::Policy => "not permitted to this key at the server",
        Reason::Incomplete => "waits until everything can be read",
        Reason::OtherRoot => "waits until it has come to the other Maildir",
        Reason::Budget => "waits for the budget of this host's key",
    }
}

/// The word for a kind of step.
pub(crate) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::New => "new",
        Kind::Copied => "copied",
        Kind::Flags => "flags",
        Kind::Moved => "moved",
        Kind::Renamed => "renamed",
        Kind::Replaced => "replaced",
        Kind::Deleted => "deleted",
        Kind::FolderMade => "folder made",
        Kind::FolderRemoved => "folder removed",
    }
}

/// Root and folder as one printable path.
pub(super) fn place(root: &RootReport, folder: &[u8]) -> String {
    path(&root.root, folder)
}

/// As [`place`], for a root as written.
pub(crate) fn path(root: &[u8], folder: &[u8]) -> String {
    let mut path = root.to_vec();
    if !folder.is_empty() {
        path.push(b'/');
        path.extend_from_slice(folder);
    }
    printable(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(host: Host, kind: Kind, folder: &str, uniq: &str) -> Item {
        let (folder, uniq) = (folder.as_bytes().to_vec(), uniq.as_bytes().to_vec());
        Item { host, kind, folder, uniq, detail: Vec::new(), fate: Fate::Done }
    }

    fn report() -> Report {
        let items = vec![
            item(Host::Client, Kind::New, ".Work", "1.a"),
            item(Host::Client, Kind::New, ".Work", "2.a"),
            item(Host::Client, Kind::Deleted, "", "3\u{1b}[2Jx"),
            Item { fate: Fate::Held(Reason::NoDelete), ..item(Host::Server, Kind::Deleted, "", "4.a") },
            Item { detail: b"from .Old/5.a".to_vec(), ..item(Host::Server, Kind::Moved, ".New", "5.a") },
            Item { detail: b"from 6.a".to_vec(), ..item(Host::Server, Kind::Moved, ".New", "6.a") },
            Item { detail: b"from .Old/6.b".to_vec(), ..item(Host::Server, Kind::Moved, ".New", "7.a") },
            Item { detail: b"from .New/7.b".to_vec(), ..item(Host::Server, Kind::Moved, ".New", "7.c") },
            Item { detail: b"from 9.b".to_vec(), ..item(Host::Server, Kind::Moved, "", "9.a") },
            Item { fate: Fate::Left("no room".into()), ..item(Host::Server, Kind::New, ".New", "8.a") },
        ];
        Report {
            client: "laptop".into(),
            server: "host".into(),
            roots: vec![RootReport { root: b"Maildir".to_vec(), items, ..RootReport::default() }],
            ..Report::default()
        }
    }

    #[test]
    fn a_dry_run_sums_up_by_folder_and_names_what_would_be_deleted() {
        insta::assert_snapshot!(dry_run(&report()), @r"
        at this host, laptop:
          Maildir: 1 deletion
            delete 3\x1b[2Jx
          Maildir/.Work: 2 new messages
        at the server, host:
          Maildir: 1 rename, 1 deletion (held back)
            delete 4.a [held back by --no-delete]
          Maildir/.New: 1 new message, 3 moves, 1 rename
        ");
    }

    #[test]
    fn every_step_has_a_line_when_asked() {
        insta::assert_snapshot!(each(&report()), @r"
        pull new            Maildir/.Work 1.a
        pull new            Maildir/.Work 2.a
        pull deleted        Maildir 3\x1b[2Jx
        push deleted        Maildir 4.a [held back by --no-delete]
        push moved          Maildir/.New 5.a (from Maildir/.Old)
        push moved          Maildir/.New 6.a (from Maildir)
        push moved          Maildir/.New 7.a (from .Old/6.b)
        push moved          Maildir/.New 7.c (from .New/7.b)
        push moved          Maildir 9.a (from 9.b)
        push new            Maildir/.New 8.a NOT DONE: no room
        ");
    }
}
