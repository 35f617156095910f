//! The report as one JSON object; `docs/JSON.md` describes it for those who read it with a program.
//!
//! Names are bytes and JSON is not: a name that is not UTF-8 is given with its odd bytes replaced,
//! and once more in hexadecimal under the same key with `_hex` at the end.

use serde_json::{Map, Value, json};

use super::{Fate, Guard, Host, Item, Report, RootReport, Trouble};

/// The number that a change of meaning, never an addition, raises.
pub const VERSION: u32 = 1;

/// The object.
pub fn value(report: &Report) -> Value {
    json!({
        "version": VERSION,
        "endpoint": report.endpoint,
        "client": report.client,
        "server": report.server,
        "direction": report.direction.word(),
        "dry_run": report.dry_run,
        "exit": report.exit().code(),
        "pulled": report.pulled(),
        "pushed": report.pushed(),
        "held": report.held(),
        "roots": report.roots.iter().map(root).collect::<Vec<_>>(),
        "idle_patterns": report.idle_patterns.as_ref().map(|idle| &idle.patterns),
        "keys": report.keys,
        "troubles": troubles(&report.troubles),
        "left_out": troubles(&report.left_out),
        "traffic": report.traffic,
        "seconds": report.took.as_secs_f64(),
    })
}

/// Where, what, and why, one by one.
pub fn troubles(troubles: &[Trouble]) -> Vec<Value> {
    let one = |trouble: &Trouble| {
        object(json!({ "host": trouble.host, "text": trouble.text }), [("path", trouble.path.as_slice())])
    };
    troubles.iter().map(one).collect()
}

/// A failed run as an object of the same version.
pub fn failure(exit: crate::exit::Exit, text: &str, causes: &[String], hint: Option<&str>) -> Value {
    json!({ "version": VERSION, "exit": exit.code(), "error": text, "causes": causes, "hint": hint, "try_again": exit.try_again() })
}

fn root(root: &RootReport) -> Value {
    let conflicts: Vec<Value> = root
        .conflicts
        .iter()
        .map(|one| object(json!({}), [("folder", one.folder.as_slice()), ("uniq", &one.uniq), ("fresh", &one.fresh)]))
        .collect();
    let adopted = root.adopted.as_ref().map(|adopted| {
        json!({ "why": adopted.why, "matched": adopted.matched, "returned": adopted.returned.iter().map(item).collect::<Vec<_>>() })
    });
    let restored: Vec<Value> =
        root.restored.iter().map(|folder| object(json!({}), [("folder", folder.as_slice())])).collect();
    let value = json!({
        "pulled": root.pulled,
        "pushed": root.pushed,
        "held": root.held,
        "failed": root.failed,
        "mail": root.mail,
        "guard": root.guard.as_ref().map(guard),
        "spent": root.spent,
        "conflicts": conflicts,
        "adopted": adopted,
        "restored": restored,
        "notes": root.notes,
        "items": root.items.iter().map(item).collect::<Vec<_>>(),
    });
    object(value, [("root", root.root.as_slice())])
}

fn guard(guard: &Guard) -> Value {
    match guard {
        Guard::Bulk { host, steps, earlier, of, folder, stands } => {
            let value =
                json!({ "kind": "bulk", "host": host, "steps": steps, "earlier": earlier, "of": of, "stands": stands });
            object(value, folder.iter().map(|folder| ("folder", folder.as_slice())))
        }
        Guard::Swapped { host, path, what } => {
            object(json!({ "kind": "swapped", "host": host, "what": what }), [("path", path.as_slice())])
        }
        Guard::OtherHeaders { messages, of, copies } => {
            json!({ "kind": "other-headers", "messages": messages, "of": of, "fields": copies.fields, "host": copies.at })
        }
        Guard::Doubles { host, folder, messages, earlier, of, copies } => {
            let value = json!({
                "kind": "doubles", "host": host, "messages": messages, "earlier": earlier, "of": of,
                "fields": copies.fields, "program": copies.program(),
            });
            object(value, [("folder", folder.as_slice())])
        }
    }
}

fn item(item: &Item) -> Value {
    let way = if item.host == Host::Client { "pull" } else { "push" };
    let left = if let Fate::Left(why) = &item.fate { Some(why) } else { None };
    let value = json!({ "way": way, "kind": item.kind, "held": item.fate.held(), "not_done": left });
    object(value, [("folder", item.folder.as_slice()), ("uniq", &item.uniq), ("detail", &item.detail)])
}

/// Adds named bytes to an object, each with a `_hex` twin where the text alone would lie.
pub fn object<'a>(value: Value, names: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Value {
    let mut map = match value {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    for (key, bytes) in names {
        map.insert(key.to_owned(), String::from_utf8_lossy(bytes).into());
        if str::from_utf8(bytes).is_err() {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            map.insert(format!("{key}_hex"), hex.into());
        }
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::super::{Counts, Kind};
    use super::*;

    #[test]
    fn names_that_are_not_utf8_come_in_hexadecimal_too() {
        let one = Item {
            host: Host::Server,
            kind: Kind::FolderMade,
            folder: b".\xff".to_vec(),
            uniq: Vec::new(),
            detail: Vec::new(),
            fate: Fate::Done,
        };
        insta::assert_snapshot!(
            item(&one),
            @r#"{"detail":"","folder":".�","folder_hex":"2eff","held":null,"kind":"folder-made","not_done":null,"uniq":"","way":"push"}"#
        );
    }

    #[test]
    fn the_object_carries_counts_and_exit_code() {
        let pulled = Counts { new: 2, ..Counts::default() };
        let root = RootReport { root: b"Maildir".to_vec(), pulled, failed: 1, ..RootReport::default() };
        let value = value(&Report { endpoint: "default".into(), roots: vec![root], ..Report::default() });
        assert_eq!(value["version"], 1);
        assert_eq!(value["direction"], "sync");
        assert_eq!(value["pulled"]["new"], 2);
        assert_eq!(value["roots"][0]["root"], "Maildir");
        assert_eq!(value["exit"], 1);
    }
}
