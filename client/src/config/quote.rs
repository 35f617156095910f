//! Values as a config file has them: what [`super::lines`] and [`super::mailboxes`] read back as what was meant.
//!
//! Whoever writes a line for a person to take over (hints, `--import`) writes it by these.
//!
//! Deliberately not here: which key, and what it says.

use std::fmt::Write as _;

/// One word of a value of several, such as a path of `MAILBOX` or a pattern: what would end it, or not be seen, is written `%XX`.
pub fn word(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut done = 0;
    for chunk in bytes.utf8_chunks() {
        for (at, letter) in chunk.valid().char_indices() {
            // What would be read as the number of a byte is none.
            let number = letter == '%'
                && bytes[done + at + 1..].iter().take(2).filter(|byte| byte.is_ascii_hexdigit()).count() == 2;
            match number || letter.is_whitespace() || letter.is_control() {
                true => coded(&mut out, letter.encode_utf8(&mut [0; 4]).as_bytes()),
                false => out.push(letter),
            }
        }
        coded(&mut out, chunk.invalid());
        done += chunk.valid().len() + chunk.invalid().len();
    }
    out
}

/// What a value of several words says, to be said again by a line that takes its place: the words as they are written, a blank
/// between two. What a terminal would not show is written `%XX`, which is read as the same.
pub fn kept(value: &[u8]) -> String {
    let mut out = String::new();
    for word in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        for chunk in word.utf8_chunks() {
            for letter in chunk.valid().chars() {
                match letter.is_control() {
                    true => coded(&mut out, letter.encode_utf8(&mut [0; 4]).as_bytes()),
                    false => out.push(letter),
                }
            }
            coded(&mut out, chunk.invalid());
        }
    }
    out
}

fn coded(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Nothing can go wrong when a string grows.
        let _ = write!(out, "%{byte:02X}");
    }
}

/// A word of an exclude that means the folder at this path and what is below it. The path begins as the root is written; it
/// is that of a folder and not of a root, which no such word can name. What means something to a pattern, a shell or a
/// terminal is written `%XX`, so that nothing is to be escaped on the way to the config: it stands as it is among other words in
/// any quotes.
pub fn pattern_of(path: &[u8]) -> String {
    // Below the root of the disk.
    let path = path.strip_prefix(b"/").filter(|rest| rest.starts_with(b"/")).unwrap_or(path);
    // One name alone is looked for at every depth.
    let mut out = String::from(if path.contains(&b'/') { "" } else { "/" });
    for chunk in path.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let means_itself = letter.is_alphanumeric() || "._-/@+:=".contains(letter);
            match means_itself {
                true => out.push(letter),
                false => coded(&mut out, letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        coded(&mut out, chunk.invalid());
    }
    out
}

/// `KEY=value`, in quotes where it needs them.
pub fn assignment(key: &str, value: &str) -> String {
    format!("{key}={}", quoted(value))
}

/// A value, in quotes where it needs them.
pub fn quoted(value: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/@%+,:=".contains(letter);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    if !value.contains('\'') {
        return format!("'{value}'");
    }
    let mut quoted = String::from("\"");
    for letter in value.chars() {
        if matches!(letter, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use smd_maildir::exclude::Excludes;
    use smd_protocol::Folder;

    use super::super::{Config, mailboxes};
    use super::*;

    /// What a config of one host and these lines says.
    fn read(lines: &str) -> Config {
        let text = format!("SERVERNAME=h\n{lines}\n");
        Config::parse(Path::new("c"), text.as_bytes(), Path::new("/home/me"))
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Bytes that mean something to a shell, a pattern or a number, more often than others.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let odd = prop::sample::select(&b"[]$%\"'\\ \n\t#*?{},!~.-`;&()|<>=20Ab\x01\x7f\xff\xc3\xa9"[..]);
        vec(prop_oneof![3 => odd, 1 => 1u8..], 1..12)
    }

    #[test]
    fn values_are_quoted_only_where_they_must_be() {
        for (path, line) in [
            ("Maildir/.Work", "E=Maildir/.Work"),
            ("M/a b", "E=M/a%20b"),
            ("M/[Gmail].All Mail", "E=M/%5BGmail%5D.All%20Mail"),
            ("M/$HOME", "E=M/%24HOME"),
            ("M/%20%", "E=M/%2520%25"),
            ("M/it's", "E=M/it%27s"),
            ("~/\u{e9}", "E='%7E/\u{e9}'"),
            (".Spam", "E=/.Spam"),
        ] {
            assert_eq!(assignment("E", &pattern_of(path.as_bytes())), line, "{path}");
        }
    }

    #[test]
    fn quotes_are_those_of_a_shell() {
        for (value, line) in [("a b", "K='a b'"), ("it's", "K=\"it's\""), ("\"it's\"$`\\", r#"K="\"it's\"\$\`\\""#)] {
            assert_eq!(assignment("K", value), line, "{value}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

        #[test]
        fn a_word_is_read_back_as_it_was_meant(words in vec(bytes(), 1..4)) {
            let value = words.iter().map(|one| word(one)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(mailboxes::words(value.as_bytes()), words.clone());
            let line = assignment("CLIENTNAME", &value);
            let lines = smd_server::config::lines::Lines::parse(line.as_bytes(), b"/home/me").expect("it parses");
            prop_assert_eq!(mailboxes::words(&lines.lines[0].value), words);
        }

        #[test]
        fn what_a_key_says_is_kept_by_the_line_that_takes_its_place(value in vec(bytes(), 0..4), more in bytes()) {
            let value = value.join(&b' ');
            let more = pattern_of(&more);
            let line = assignment("E", &format!("{} {more}", kept(&value)));
            prop_assert!(!line.contains(char::is_control), "{}", line);
            let lines = smd_server::config::lines::Lines::parse(line.as_bytes(), b"/home/me").expect("it parses");
            let mut patterns = mailboxes::patterns(&value);
            patterns.extend(mailboxes::patterns(more.as_bytes()));
            prop_assert_eq!(mailboxes::patterns(&lines.lines[0].value), patterns);
        }

        #[test]
        fn a_pattern_stands_among_others_in_any_quotes(path in bytes(), quote in prop::sample::select(&["", "'", "\""][..])) {
            let pattern = pattern_of(&path);
            let (before, after) = if quote.is_empty() { ("", "") } else { ("a ", " b") };
            let line = format!("E={quote}{before}{pattern}{after}{quote}");
            let lines = smd_server::config::lines::Lines::parse(line.as_bytes(), b"/home/me").expect("it parses");
            let read = mailboxes::patterns(&lines.lines[0].value);
            prop_assert!(read.contains(&mailboxes::patterns(pattern.as_bytes())[0]), "{}", line);
        }

        #[test]
        fn the_pattern_for_a_folder_excludes_it_and_none_beside_it(
            root in prop_oneof![Just(b"Maildir".to_vec()), bytes()],
            names in vec(bytes(), 1..3),
            other in bytes(),
        ) {
            let folder = Folder::from_components(names.iter().map(|name| &name[..]));
            let beside = Folder::from_components([&other[..]]);
            let (Ok(folder), Ok(beside)) = (folder, beside) else { return Ok(()) };
            let mailbox = assignment("MAILBOX", &word(&root));
            // What is no path of a root is refused, with a sentence.
            let text = format!("SERVERNAME=h\n{mailbox}\n");
            let Ok(config) = Config::parse(Path::new("c"), text.as_bytes(), Path::new("/home/me")) else { return Ok(()) };
            let written = config.mailboxes[0].local.clone();
            let path = [&written[..], folder.as_bytes()].into_iter().filter(|part| !part.is_empty());
            let path = path.collect::<Vec<_>>().join(&b'/');
            let config = read(&format!("{mailbox}\n{}", assignment("EXCLUDE_REMOTE", &pattern_of(&path))));
            let excludes = Excludes::new(&[(written, config.exclude_remote)]).expect("it compiles");
            prop_assert!(excludes.excludes(&folder), "{:?}", excludes);
            let exact = str::from_utf8(&path).is_ok();
            prop_assert!(!exact || !excludes.excludes(&Folder::root()));
            prop_assert!(!exact || beside == folder || folder.and_above().any(|above| above == beside) || !excludes.excludes(&beside));
        }
    }
}
