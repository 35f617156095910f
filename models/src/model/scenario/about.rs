//! What a path of a host is about, in words: where mail lies, and which part of the state a file is.
//!
//! Names that chance or a clock gives (staged bytes, files in the grave) do not show, nor do flags; so a call keeps its name
//! when the product changes how many calls it makes before it. Deliberately not here: which call it is (`play::calls`).

use super::super::host::Host;
use super::super::mail::{self, ROOT, STATE};
use super::by_name::Labels;

/// How users call a folder.
pub fn shown(folder: &str) -> &str {
    if folder.is_empty() { "INBOX" } else { folder }
}

/// A path, in words.
pub fn about(host: &Host, labels: &Labels, path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    if let Some(below) = below(&path, ROOT) {
        return mailbox(host, labels, &path, below);
    }
    match below(&path, STATE) {
        Some(below) => state(below).to_owned(),
        None => path.into_owned(),
    }
}

fn below<'a>(path: &'a str, top: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(top)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
}

fn mailbox(host: &Host, labels: &Labels, path: &str, below: &str) -> String {
    let (dir, file) = below.rsplit_once('/').unwrap_or(("", below));
    if ["cur", "new", "tmp"].contains(&file) {
        return format!("{file} of {}", shown(&mail::folder_at(host, dir)));
    }
    let (folder, place) = dir.rsplit_once('/').unwrap_or(("", dir));
    if !["cur", "new", "tmp"].contains(&place) {
        return shown(&mail::folder_at(host, below)).to_owned();
    }
    let place = format!("{place} of {}", shown(&mail::folder_at(host, folder)));
    let bytes = host.disk.by_hand().read_file(path).ok();
    match bytes.and_then(|bytes| labels.label(&bytes)) {
        Some(label) => format!("{label} in {place}"),
        None => format!("a name in {place}"),
    }
}

fn state(below: &str) -> String {
    match below.strip_suffix(".new") {
        Some(old) => format!("the next of {}", part(old)),
        None => part(below).to_owned(),
    }
}

fn part(below: &str) -> &'static str {
    let file = below.rsplit('/').next().unwrap_or_default();
    let parts: Vec<&str> = below.split('/').collect();
    let base = parts.iter().find_map(|part| Some(part.split_once(".db.txt")?.1));
    match (parts.as_slice(), base) {
        ([""], _) => "the state directory",
        (["client-id"], _) => "the client's id",
        (["grave"], _) => "the graves",
        (["grave", _], _) => "the grave",
        (["grave", ..], _) if file == "index" => "the grave's index",
        (["grave", ..], _) if file == "index.next" => "the next of the grave's index",
        (["grave", ..], _) => "a file in the grave",
        ([name], _) if name.starts_with("restored.") => "the notes of folders put back",
        (["state" | "served"], _) => "the states of peers",
        (["state" | "served", _], _) => "the state of the peer",
        (_, Some("")) => "the base",
        (_, Some(".bad")) => "the base put aside",
        (_, Some(".begun")) => "the note of the batch",
        (_, Some(".put-back")) => "what was dealt with",
        (_, Some(".left-out")) => "the folders left out",
        (_, Some(".stat")) if file.ends_with(".stat") => "the cache",
        (_, Some(".stat")) => "a part of the cache",
        _ if file.starts_with("lock.") => "the lock",
        _ => "another file of the state",
    }
}
