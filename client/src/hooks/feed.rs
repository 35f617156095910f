//! What a post hook reads on stdin: the paths of files that came, moved or went on this host, in order.
//!
//! Fields end with NUL: `A`, path; `M`, path before, path now; `R`, path. Or, when `SMD_HOOK_FORMAT=json`, one JSON object a line.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use serde_json::json;
use smd_maildir::apply::Change;

use crate::report::json::object;

/// The variable that chooses the format.
pub const VARIABLE: &str = "SMD_HOOK_FORMAT";

/// How changes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Fields that end with NUL.
    #[default]
    Nul,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// What the environment asks for.
    pub fn from_env() -> Self {
        if std::env::var_os(VARIABLE).is_some_and(|format| format == "json") { Self::Json } else { Self::Nul }
    }

    /// Writes the changes.
    ///
    /// # Errors
    /// As the writer says.
    pub fn write(self, changes: &[Change], to: &mut dyn Write) -> io::Result<()> {
        for change in changes {
            match self {
                Self::Nul => write_fields(change, to)?,
                Self::Json => writeln!(to, "{}", value(change))?,
            }
        }
        Ok(())
    }
}

/// Reads what [`Format::Nul`] wrote; an end that was cut off is passed over.
pub fn parse(bytes: &[u8]) -> Vec<Change> {
    let mut fields: Vec<&[u8]> = bytes.split(|&byte| byte == 0).collect();
    // What follows the last NUL is nothing, or cut off.
    fields.pop();
    let mut fields = fields.into_iter().map(|field| PathBuf::from(OsStr::from_bytes(field)));
    let mut changes = Vec::new();
    while let Some(kind) = fields.next() {
        let change = match kind.as_os_str().as_bytes() {
            b"A" => fields.next().map(Change::Added),
            b"M" => fields.next().zip(fields.next()).map(|(from, to)| Change::Moved { from, to }),
            b"R" => fields.next().map(Change::Removed),
            // The rest of a field that was cut off.
            _ => continue,
        };
        match change {
            Some(change) => changes.push(change),
            None => break,
        }
    }
    changes
}

fn write_fields(change: &Change, to: &mut dyn Write) -> io::Result<()> {
    let (letter, paths) = match change {
        Change::Added(path) => (b"A\0", [Some(path), None]),
        Change::Moved { from, to } => (b"M\0", [Some(from), Some(to)]),
        Change::Removed(path) => (b"R\0", [Some(path), None]),
    };
    to.write_all(letter)?;
    for path in paths.into_iter().flatten() {
        to.write_all(path.as_os_str().as_bytes())?;
        to.write_all(b"\0")?;
    }
    Ok(())
}

fn value(change: &Change) -> serde_json::Value {
    match change {
        Change::Added(path) => object(json!({ "change": "added" }), [("path", path.as_os_str().as_bytes())]),
        Change::Moved { from, to } => object(
            json!({ "change": "moved" }),
            [("from", from.as_os_str().as_bytes()), ("to", to.as_os_str().as_bytes())],
        ),
        Change::Removed(path) => object(json!({ "change": "removed" }), [("path", path.as_os_str().as_bytes())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again_and_a_torn_end_is_passed_over() {
        let changes = [
            Change::Added("/a\nb".into()),
            Change::Removed("/c".into()),
            Change::Moved { from: "/d".into(), to: "/e".into() },
        ];
        let mut bytes = Vec::new();
        Format::Nul.write(&changes, &mut bytes).expect("memory takes it");
        assert_eq!(parse(&bytes), changes);
        for cut in 1..8 {
            assert_eq!(parse(&bytes[..bytes.len() - cut]), changes[..2], "{cut}");
        }
        assert_eq!(parse(b""), []);
        assert_eq!(parse(b"X\0/a\0"), []);
    }

    fn text(format: Format) -> String {
        let odd = OsStr::from_bytes(b"/m/cur/\xff:2,").into();
        let changes = [
            Change::Added("/m/new/a\nb".into()),
            Change::Moved { from: "/m/new/c".into(), to: "/m/cur/c:2,S".into() },
            Change::Removed(odd),
        ];
        let mut out = Vec::new();
        format.write(&changes, &mut out).expect("memory takes it");
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn fields_end_with_nul_so_that_every_path_can_be_told() {
        assert_eq!(text(Format::Nul), "A\0/m/new/a\nb\0M\0/m/new/c\0/m/cur/c:2,S\0R\0/m/cur/\u{fffd}:2,\0");
    }

    #[test]
    fn json_is_an_object_a_line_and_odd_bytes_come_in_hexadecimal_too() {
        insta::assert_snapshot!(text(Format::Json), @r#"
        {"change":"added","path":"/m/new/a\nb"}
        {"change":"moved","from":"/m/new/c","to":"/m/cur/c:2,S"}
        {"change":"removed","path":"/m/cur/�:2,","path_hex":"2f6d2f6375722fff3a322c"}
        "#);
    }
}
