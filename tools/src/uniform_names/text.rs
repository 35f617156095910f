//! What is said of a plan: a table for a person, a shell script, or one JSON object (docs/JSON.md).

use std::collections::HashMap;

use serde_json::{Value, json};
use smd_client::exit::Exit;
use smd_client::report::json::{VERSION, object};
use smd_protocol::names::printable;
use smd_protocol::{Folder, Name, Place};

use super::plan::{Counts, Plan, Rename};

/// Columns of a line.
const WIDTH: usize = 79;
/// Columns of a folder's name.
const FOLDER: usize = 28;
/// Folders that are named unless `-v` asks for all.
const FOLDERS: usize = 20;
/// Renames that are named unless `-v` asks for all.
const RENAMES: usize = 5;

/// A root with its plan, and what was done.
pub struct RootPlan {
    /// The root as written for this host.
    pub label: Vec<u8>,
    /// The plan.
    pub plan: Plan,
    /// What was renamed; none when nothing was to be.
    pub done: Option<usize>,
    /// What could not be looked at or renamed.
    pub troubles: Vec<String>,
}

/// The table of a root.
pub fn table(root: &RootPlan, server: &str, all: bool) -> String {
    let (plan, label) = (&root.plan, printable(&root.label));
    let total = plan.total();
    let mut text =
        format!("{label}: {} of {} messages here have another name at {server}\n", total.renamed, total.here);
    let telling: Vec<_> = plan.folders.iter().filter(|(_, counts)| all || counts.same < counts.here).collect();
    let shown = if all { telling.len() } else { telling.len().min(FOLDERS) };
    if shown > 0 {
        let row = |name: &str, cells: [&str; 6]| {
            let [a, b, c, d, e, f] = cells;
            format!("{name:<FOLDER$} {a:>7} {b:>7} {c:>7} {d:>7} {e:>9} {f:>7}\n")
        };
        text.push_str(&row("FOLDER", ["HERE", "SAME", "RENAME", "HEADER", "ELSEWHERE", "NEW"]));
        let counts = |name: &str, counts: &Counts| {
            let Counts { here, same, renamed, other_header, elsewhere, only_here } = counts;
            let cells = [here, same, renamed, other_header, elsewhere, only_here].map(ToString::to_string);
            row(&middle(name, FOLDER), cells.each_ref().map(String::as_str))
        };
        telling[..shown].iter().for_each(|(folder, one)| text.push_str(&counts(&folder.to_string(), one)));
        if shown < telling.len() {
            text.push_str(&format!("and {} more folders; -v lists them all\n", telling.len() - shown));
        }
        if plan.folders.len() > 1 {
            text.push_str(&counts("all folders", &total));
        }
    }
    let named = if all { plan.renames.len() } else { plan.renames.len().min(RENAMES) };
    if named > 0 {
        text.push_str(&match named == plan.renames.len() {
            true => "Renames:\n".to_owned(),
            false => format!("Renames (the first {named} of {}; -v lists them all):\n", plan.renames.len()),
        });
        for one in &plan.renames[..named] {
            text.push_str(&format!("  {}\n", middle(&one.from_name().to_string(), WIDTH - 2)));
            text.push_str(&format!("    -> {}\n", middle(&one.to.to_string(), WIDTH - 7)));
        }
    }
    text
}

/// What a person should know and may do.
pub fn notes(root: &RootPlan, applied: bool) -> Vec<String> {
    let (plan, total) = (&root.plan, root.plan.total());
    let mut notes = Vec::new();
    let makers = [(plan.makers.offlineimap, "OfflineIMAP"), (plan.makers.mbsync, "mbsync")];
    for (count, program) in makers.into_iter().filter(|(count, _)| *count > 0) {
        notes.push(format!(
            "{program} made {count} of the names and keeps its state in them:\n  let it no longer run on this Maildir"
        ));
    }
    if total.other_header > 0 {
        notes.push(format!(
            "Of {} the server has the body with another header. If that is X-OfflineIMAP,\n  remove it where it is and come back: smd-strip-header -d {}",
            total.other_header,
            printable(&root.label)
        ));
    }
    if !plan.stuck.is_empty() {
        notes.push(format!(
            "Other messages here have {} of the new names; the first sync settles them",
            plan.stuck.len()
        ));
    }
    match root.done {
        Some(done) => notes.push(format!("Renamed {done} of {}", plan.renames.len())),
        None if !plan.renames.is_empty() && !applied => {
            notes.push("Nothing was changed. The first sync renames by itself, or --apply now".to_owned());
        }
        None => {}
    }
    notes
}

/// Cuts a text in its middle to so many columns.
fn middle(text: &str, width: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= width {
        return text.to_owned();
    }
    let tail = (width - 1) / 2;
    let head = width - 1 - tail;
    let [head, tail] = [&letters[..head], &letters[letters.len() - tail..]].map(|part| part.iter().collect::<String>());
    format!("{head}\u{2026}{tail}")
}

/// A message's file as it is called now: its folder on this host, its place and its name.
pub type Files = HashMap<Name, (Folder, Place, Vec<u8>)>;

/// A POSIX shell script that renames, message by message; `root` is the root's path. What has no file is left out.
pub fn script(root: &[u8], plan: &Plan, files: &Files) -> Vec<u8> {
    let mut out = Vec::new();
    for one in &plan.renames {
        let Some((folder, place, file)) = files.get(&one.from_name()) else { continue };
        let info = &file[one.entry.uniq.as_bytes().len()..];
        let to = [one.to.as_bytes(), info].concat();
        out.extend_from_slice(b"mv -n -- ");
        quote(&path(root, folder, *place, file), &mut out);
        out.push(b' ');
        quote(&path(root, folder, *place, &to), &mut out);
        out.push(b'\n');
    }
    out
}

fn path(root: &[u8], folder: &Folder, place: Place, file: &[u8]) -> Vec<u8> {
    let parts = [root, folder.as_bytes(), place.dir(), file];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b'/')
}

/// Writes a word that a shell takes as it is.
fn quote(word: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    for &byte in word {
        match byte {
            b'\'' => out.extend_from_slice(b"'\\''"),
            byte => out.push(byte),
        }
    }
    out.push(b'\'');
}

/// The object.
pub fn json(endpoint: &str, roots: &[RootPlan], exit: Exit) -> Value {
    let counts = |counts: &Counts| {
        json!({
            "here": counts.here,
            "same": counts.same,
            "renamed": counts.renamed,
            "other_header": counts.other_header,
            "elsewhere": counts.elsewhere,
            "only_here": counts.only_here,
        })
    };
    let rename = |one: &Rename| {
        let names = [("folder", one.folder.as_bytes()), ("from", one.entry.uniq.as_bytes()), ("to", one.to.as_bytes())];
        object(json!({}), names)
    };
    let root = |root: &RootPlan| {
        let folders = root.plan.folders.iter();
        let folders: Vec<Value> =
            folders.map(|(folder, one)| object(counts(one), [("folder", folder.as_bytes())])).collect();
        let rest = json!({
            "counts": counts(&root.plan.total()),
            "folders": folders,
            "renames": root.plan.renames.iter().map(rename).collect::<Vec<_>>(),
            "taken": root.plan.stuck.iter().map(rename).collect::<Vec<_>>(),
            "names": json!({ "offlineimap": root.plan.makers.offlineimap, "mbsync": root.plan.makers.mbsync }),
            "done": root.done,
            "troubles": root.troubles,
        });
        object(rest, [("root", &root.label[..])])
    };
    json!({
        "version": VERSION,
        "endpoint": endpoint,
        "exit": exit.code(),
        "roots": roots.iter().map(root).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::plan::plan;
    use super::*;
    use smd_protocol::{Content, Entry, Flags, Section, Snapshot, Uniq};

    fn entry(uniq: &str, bytes: &str) -> Entry {
        Entry {
            uniq: Uniq::parse(uniq.as_bytes()).expect("uniq"),
            place: Place::Cur,
            flags: Flags::default(),
            content: Content::of(bytes.as_bytes()),
        }
    }

    fn snapshot(folders: Vec<(&str, Vec<Entry>)>) -> Snapshot {
        let folder = |text: &str| Folder::parse(text.as_bytes()).expect("folder");
        Snapshot { folders: folders.into_iter().map(|(name, all)| (folder(name), Section::new(all, false))).collect() }
    }

    fn root() -> RootPlan {
        let md5 = "FMD5=7e33429f656f1e6e9d79b29c3f82c57e";
        let long = ".A folder of a very long name.And one below it";
        let here = snapshot(vec![
            ("", vec![entry(&format!("1225_1.3.laptop,U=12,{md5}"), "1"), entry("b", "2"), entry("h", "A\n\nx")]),
            (long, vec![entry("it's", "3"), entry("c", "4")]),
            (".same", vec![entry("s", "5")]),
        ]);
        let there = snapshot(vec![
            ("", vec![entry("1700.M1P2.office,S=1", "1"), entry("b", "2"), entry("i", "B\n\nx")]),
            (long, vec![entry("d", "3"), entry("e", "4")]),
            (".same", vec![entry("s", "5")]),
        ]);
        RootPlan { label: b"Mail".to_vec(), plan: plan(&here, &there), done: None, troubles: Vec::new() }
    }

    #[test]
    fn the_table_fits_a_terminal() {
        let text = table(&root(), "office", false) + &notes(&root(), false).join("\n");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text, @r"
        Mail: 3 of 6 messages here have another name at office
        FOLDER                          HERE    SAME  RENAME  HEADER ELSEWHERE     NEW
        .                                  3       1       1       1         0       0
        .A folder of a… one below it       2       0       2       0         0       0
        all folders                        6       2       3       1         0       0
        Renames:
          1225_1.3.laptop,U=12,FMD5=7e33429f656f1e6e9d79b29c3f82c57e
            -> 1700.M1P2.office,S=1
          .A folder of a very long name.And one below it/c
            -> e
          .A folder of a very long name.And one below it/it's
            -> d
        OfflineIMAP made 1 of the names and keeps its state in them:
          let it no longer run on this Maildir
        Of 1 the server has the body with another header. If that is X-OfflineIMAP,
          remove it where it is and come back: smd-strip-header -d Mail
        Nothing was changed. The first sync renames by itself, or --apply now
        ");
    }

    #[test]
    fn the_script_quotes_every_name() {
        let root = root();
        let mut files: Files = root
            .plan
            .renames
            .iter()
            .map(|one| (one.from_name(), (one.folder.clone(), Place::Cur, one.entry.uniq.as_bytes().to_vec())))
            .collect();
        let name = root.plan.renames.iter().find(|one| one.to.as_bytes() == b"d").expect("it's").from_name();
        files.insert(name.clone(), (name.folder.clone(), Place::New, b"it's:2,S".to_vec()));
        let text = String::from_utf8(script(b"/home/me/My Mail", &root.plan, &files)).expect("ASCII");
        let line = text.lines().find(|line| line.contains("it'")).expect("a line");
        let folder = name.folder.to_string();
        assert_eq!(
            line,
            format!("mv -n -- '/home/me/My Mail/{folder}/new/it'\\''s:2,S' '/home/me/My Mail/{folder}/new/d:2,S'")
        );
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn the_object_has_everything() {
        let object = json("default", &[root()], Exit::Ok);
        assert_eq!(object["roots"][0]["counts"]["renamed"].as_u64(), Some(3));
        assert_eq!(object["roots"][0]["names"]["offlineimap"].as_u64(), Some(1));
        assert_eq!(object["roots"][0]["renames"].as_array().map(Vec::len), Some(3));
    }
}
