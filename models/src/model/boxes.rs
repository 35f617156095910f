//! Another name for each folder: at some clients the server's root is `box/INBOX`, and `.a` is `box/a`. `box` is no folder.
//!
//! Deliberately not here: what users make of it; they speak of folders as the server does.

use smd_maildir::root::Naming;
use smd_protocol::Folder;

/// The path of a folder below the client's root.
pub(super) fn local(folder: &str) -> String {
    match folder.strip_prefix('.') {
        None => "box/INBOX".to_owned(),
        Some(name) => format!("box/{name}"),
    }
}

/// The folder that has this path; none where none can be.
pub(super) fn canonical(path: &str) -> Option<String> {
    match path.strip_prefix("box/")? {
        "INBOX" => Some(String::new()),
        name if name.contains('/') => None,
        name => Some(format!(".{name}")),
    }
}

/// The translator.
#[derive(Debug)]
pub(super) struct Boxes;

fn text(folder: &Folder) -> Result<&str, String> {
    std::str::from_utf8(folder.as_bytes()).map_err(|_| format!("{folder} is no text"))
}

impl Naming for Boxes {
    fn canonical(&self, local: &Folder) -> Result<Folder, String> {
        let name = canonical(text(local)?).ok_or_else(|| format!("{local} has no name at the server"))?;
        Folder::parse(name.as_bytes()).map_err(|error| error.to_string())
    }

    fn local(&self, canonical: &Folder) -> Result<Folder, String> {
        Folder::parse(local(text(canonical)?).as_bytes()).map_err(|error| error.to_string())
    }

    fn fingerprint(&self) -> &str {
        "boxes"
    }
}
