//! What is said of it: lines for a person, or one JSON object (docs/JSON.md).

use serde_json::{Value, json};
use smd_client::exit::Exit;
use smd_client::report::json::{VERSION, object};
use smd_protocol::names::printable;

use super::work::Report;

/// Lines for a person.
pub fn lines(dir: &str, report: &Report, apply: bool, verbose: bool) -> String {
    let mut text = String::new();
    for (folder, group) in report.groups.iter().filter(|_| verbose) {
        let place = if folder.is_root() { String::new() } else { format!("{folder}/") };
        let stays = printable(group.stays.uniq.as_bytes());
        for double in &group.doubles {
            text.push_str(&format!("{place}{} is {stays} once more\n", printable(double.uniq.as_bytes())));
        }
    }
    let all = format!("{} in {}", count(report.messages, "message"), count(report.folders, "folder"));
    let doubles = count(report.doubles(), "double");
    text.push_str(&match (report.doubles(), apply) {
        (0, _) if report.troubles.is_empty() => format!("{dir}: nothing to do, none of {all} is there twice\n"),
        (0, _) => format!("{dir}: nothing to do, no double among what could be read of {all}\n"),
        (_, false) => format!(
            "{dir}: {doubles} among {all}; to bury what is there twice: smd-dedup --apply {}\n",
            shlex::try_quote(dir).unwrap_or_else(|_| dir.into())
        ),
        (_, true) => format!("{dir}: {} of {doubles} buried, among {all}\n", report.buried.len()),
    });
    if !report.buried.is_empty() {
        text.push_str("They rest in the grave; to bring them back: smd-undo\n");
    }
    text
}

fn count(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// The object.
pub fn json(dir: &str, report: &Report, apply: bool, exit: Exit) -> Value {
    let item = |(folder, group): &(smd_protocol::Folder, super::same::Group)| -> Vec<Value> {
        let stays = group.stays.uniq.as_bytes().to_vec();
        let one = |double: &super::same::Read| {
            let name = smd_protocol::Name::new(folder, &double.uniq);
            let rest = json!({ "buried": report.buried.contains(&name) });
            object(rest, [("folder", folder.as_bytes()), ("uniq", double.uniq.as_bytes()), ("stays", &stays)])
        };
        group.doubles.iter().map(one).collect()
    };
    json!({
        "version": VERSION,
        "exit": exit.code(),
        "dry_run": !apply,
        "directory": dir,
        "folders": report.folders,
        "messages": report.messages,
        "doubles": report.doubles(),
        "buried": report.buried.len(),
        "stopped": report.stopped,
        "items": report.groups.iter().flat_map(item).collect::<Vec<_>>(),
        "warnings": report.troubles,
    })
}
