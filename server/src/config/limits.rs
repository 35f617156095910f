//! Keys of quantity that a client's config and the server's file have in common. An empty value is as good as no line.

use smd_maildir::quota::Caps;
use smd_maildir::share::{self, Share};

use super::lines::{Line, LineError, Lines};

/// The line that counts, unless its value is empty.
fn set<'a>(lines: &'a Lines, key: &str) -> Option<&'a Line> {
    lines.last(key).filter(|line| !line.value.trim_ascii().is_empty())
}

fn parsed<T>(
    lines: &Lines,
    key: &str,
    read: impl Fn(&str) -> Option<T>,
    must_be: &str,
) -> Result<Option<T>, LineError> {
    let Some(line) = set(lines, key) else { return Ok(None) };
    match str::from_utf8(&line.value).ok().and_then(read) {
        Some(value) => Ok(Some(value)),
        None => Err(LineError { number: line.number, text: format!("{key} must be {must_be}") }),
    }
}

/// A number.
///
/// # Errors
/// The line, and what must be there.
pub fn number(lines: &Lines, key: &str) -> Result<Option<u32>, LineError> {
    parsed(lines, key, |text| text.trim().parse().ok(), "a number")
}

/// A size or a percentage.
///
/// # Errors
/// As [`number`].
pub fn share(lines: &Lines, key: &str) -> Result<Option<Share>, LineError> {
    parsed(lines, key, Share::parse, "a size such as 500M or 2G, or a percentage such as 10%")
}

/// A size.
///
/// # Errors
/// As [`number`].
pub fn size(lines: &Lines, key: &str) -> Result<Option<u64>, LineError> {
    parsed(lines, key, share::size, "a size such as 500M or 2G")
}

/// `KEEP_FREE`, `MAX_MESSAGE`, `MAX_BYTES` and `MAX_BYTES_DAY`.
///
/// # Errors
/// As [`number`].
pub fn caps(lines: &Lines) -> Result<Caps, LineError> {
    Ok(Caps {
        keep_free: share(lines, "KEEP_FREE")?,
        max_message: size(lines, "MAX_MESSAGE")?,
        run: size(lines, "MAX_BYTES")?,
        day: size(lines, "MAX_BYTES_DAY")?,
    })
}
