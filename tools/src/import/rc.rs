//! Names of IMAP folders as patterns of ours.
//!
//! Deliberately not here: whether the server's Maildir has those names. It is taken for Maildir++, as Dovecot and Courier
//! keep it, which a person must check.

/// The pattern for the mail of the server's Maildir itself, which IMAP calls so.
pub(super) const INBOX: &str = "cur";

/// The pattern for the folder that IMAP calls so, below the server's Maildir; none for INBOX, which is the root itself.
pub(super) fn pattern(imap: &str) -> Option<String> {
    let mut pattern = String::from(".");
    for letter in below_inbox(imap)?.chars() {
        match letter {
            '/' => pattern.push('.'),
            '*' | '?' | '[' | ']' | '\\' => pattern.extend(['\\', letter]),
            letter => pattern.push(letter),
        }
    }
    Some(pattern)
}

/// As [`pattern`], where `*` and `%` stand for anything.
pub(super) fn wild_pattern(imap: &str) -> Option<String> {
    let name = below_inbox(imap)?;
    let parts: Vec<String> = name
        .split(['*', '%'])
        .map(|part| pattern(part).map_or_else(String::new, |text| text[1..].to_owned()))
        .collect();
    // What begins with a star may be anything, with the dot in front or not.
    Some(if name.starts_with(['*', '%']) { parts.join("*") } else { format!(".{}", parts.join("*")) })
}

/// Excludes everything but these.
pub(super) fn all_but(patterns: impl IntoIterator<Item = String>) -> Vec<String> {
    std::iter::once("*".to_owned()).chain(patterns.into_iter().map(|pattern| format!("!{pattern}"))).collect()
}

fn below_inbox(imap: &str) -> Option<&str> {
    match imap.get(..5).filter(|start| start.eq_ignore_ascii_case("INBOX")).map(|_| &imap[5..]) {
        Some("") => None,
        Some(rest) if rest.len() > 1 && rest.starts_with(['.', '/']) => Some(&rest[1..]),
        _ => Some(imap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_imap_are_folders_of_maildir_plus_plus() {
        let table = [
            ("Spam", ".Spam"),
            ("a/b.c", ".a.b.c"),
            ("INBOX.Trash", ".Trash"),
            ("inbox/x", ".x"),
            ("INBOXES", ".INBOXES"),
            ("[Gmail]/All?", r".\[Gmail\].All\?"),
        ];
        table.iter().for_each(|(imap, expected)| assert_eq!(pattern(imap).as_deref(), Some(*expected)));
        assert_eq!((pattern("INBOX"), wild_pattern("inbox")), (None, None));
    }

    #[test]
    fn stars_stay_stars() {
        let table = [("*", "*"), ("%", "*"), ("Lists*", ".Lists*"), ("a/*/[b]", r".a.*.\[b\]"), ("*Trash", "*Trash")];
        table.iter().for_each(|(imap, expected)| assert_eq!(wild_pattern(imap).as_deref(), Some(*expected), "{imap}"));
    }
}
