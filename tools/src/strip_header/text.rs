//! What is said of it: lines for a person, or one JSON object (docs/JSON.md).

use serde_json::{Value, json};
use smd_client::exit::Exit;
use smd_client::report::json::{VERSION, object};

use super::work::Report;

/// How it is called, for texts.
#[derive(Clone, Copy, Debug)]
pub struct What<'a> {
    /// The directory as typed.
    pub dir: &'a str,
    /// The fields.
    pub headers: &'a [String],
    /// Whether nothing was to be changed.
    pub dry_run: bool,
}

/// Lines for a person.
pub fn lines(what: What<'_>, report: &Report, verbose: bool) -> String {
    let mut text = String::new();
    let named: Vec<_> = if what.dry_run { report.found.keys().collect() } else { report.done.iter().collect() };
    if verbose {
        named.iter().for_each(|name| text.push_str(&format!("{name}\n")));
    }
    let fields = what.headers.join(", ");
    let all = format!("{} in {}", count(report.messages, "message"), count(report.folders, "folder"));
    let removed = report.removed(named.iter().copied());
    let sizes = format!("{}, {} bytes", count(removed.fields, "field"), removed.bytes);
    text.push_str(&match (report.found.is_empty(), what.dry_run) {
        (true, _) => format!("{}: nothing to remove, none of {all} has {fields}\n", what.dir),
        (false, true) => format!("{}: {} of {all} have {fields} ({sizes})\n", what.dir, named.len()),
        (false, false) => format!("{}: {fields} removed from {} of {all} ({sizes})\n", what.dir, named.len()),
    });
    if !what.dry_run && !named.is_empty() {
        text.push_str("The originals are kept in the grave; to restore them: smd-undo\n");
    }
    text
}

fn count(count: impl TryInto<u64>, word: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// The object.
pub fn json(what: What<'_>, report: &Report, exit: Exit) -> Value {
    let removed = report.removed(if what.dry_run {
        report.found.keys().collect::<Vec<_>>()
    } else {
        report.done.iter().collect()
    });
    let messages: Vec<Value> = report
        .found
        .iter()
        .map(|(name, removed)| {
            let rest = json!({ "fields": removed.fields, "bytes": removed.bytes, "done": report.done.contains(name) });
            object(rest, [("folder", name.folder.as_bytes()), ("uniq", name.uniq.as_bytes())])
        })
        .collect();
    json!({
        "version": VERSION,
        "exit": exit.code(),
        "dry_run": what.dry_run,
        "directory": what.dir,
        "headers": what.headers,
        "folders": report.folders,
        "messages": report.messages,
        "found": report.found.len(),
        "rewritten": report.done.len(),
        "fields": removed.fields,
        "bytes": removed.bytes,
        "stopped": report.stopped,
        "items": messages,
        "warnings": report.troubles,
    })
}

#[cfg(test)]
mod tests {
    use super::super::filter::Removed;
    use super::*;
    use smd_protocol::{Folder, Name, Uniq};

    #[test]
    fn counts_are_lines() {
        let name = |uniq: &str| Name::new(&Folder::root(), &Uniq::parse(uniq.as_bytes()).expect("uniq"));
        let one = Removed { fields: 1, bytes: 20 };
        let mut report = Report { folders: 1, messages: 3, ..Report::default() };
        let headers = ["X-OfflineIMAP".to_owned()];
        let what = |dry_run| What { dir: "Mail", headers: &headers, dry_run };
        assert_eq!(
            lines(what(false), &report, true),
            "Mail: nothing to remove, none of 3 messages in 1 folder has X-OfflineIMAP\n"
        );
        report.found.extend([(name("a"), one), (name("b"), one)]);
        report.done.insert(name("b"));
        assert_eq!(
            lines(what(true), &report, true),
            "a\nb\nMail: 2 of 3 messages in 1 folder have X-OfflineIMAP (2 fields, 40 bytes)\n"
        );
        assert_eq!(
            lines(what(false), &report, false),
            "Mail: X-OfflineIMAP removed from 1 of 3 messages in 1 folder (1 field, 20 bytes)\n\
             The originals are kept in the grave; to restore them: smd-undo\n"
        );
        let object = json(what(false), &report, Exit::Partly);
        assert_eq!((object["rewritten"].as_u64(), object["items"][1]["done"].as_bool()), (Some(1), Some(true)));
    }
}
