//! Sentences as wide as the terminal that shows them, broken at blanks.
//!
//! Only for a terminal: in a pipe or a file every sentence stays on a line of its own, for `grep`. Deliberately not here: tables,
//! which are made as wide as they are.

use std::os::fd::AsFd;

use rustix::termios::{isatty, tcgetwinsize};

/// Less is no terminal that anybody reads on.
const NARROWEST: usize = 40;
/// Lines longer than this are hard to read on any terminal.
const WIDEST: usize = 100;
/// Below this a hint stands in line with its first word.
const HINT: &str = "Hint: ";

/// How many columns sentences have there; none where they are not to be broken.
pub fn width(file: impl AsFd) -> Option<usize> {
    if !isatty(&file) {
        return None;
    }
    let columns = usize::from(tcgetwinsize(&file).ok()?.ws_col);
    (columns > 0).then(|| columns.clamp(NARROWEST, WIDEST))
}

/// The text with lines that are no longer than `width`, as far as their words allow.
pub fn fit(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    text.split_inclusive('\n').map(|line| one(line, width)).collect()
}

fn one(line: &str, width: usize) -> String {
    if columns(line.trim_end()) <= width {
        return line.to_owned();
    }
    let blanks = line.len() - line.trim_start_matches(' ').len();
    let plain = visible(line);
    let hint = plain.starts_with(HINT);
    let indent = if hint { HINT.len() } else { blanks + 2 };
    let (sentence, ends) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
    // A command to type stands at the end of a hint, and whole if it can.
    let (words, command) = match sentence.rsplit_once(": ") {
        Some((head, command)) if hint && head.contains(HINT) && indent + columns(command) <= width => {
            (format!("{head}:"), Some(command))
        }
        _ => (sentence.to_owned(), None),
    };
    let mut text = " ".repeat(blanks);
    let mut used = blanks;
    let mut begins = true;
    let words = units(words.trim_start_matches(' '));
    for word in words.iter().map(String::as_str).chain(command) {
        if !begins && !word.is_empty() && used + 1 + columns(word) > width {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            used = indent;
        } else if !begins {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += columns(word);
        begins = false;
    }
    text + ends
}

/// The words, each number together with what it counts. Further blanks between two words are empty words.
fn units(text: &str) -> Vec<String> {
    let mut units: Vec<String> = Vec::new();
    let mut counted = false;
    for word in text.split(' ') {
        match units.last_mut() {
            Some(unit) if counted => {
                unit.push(' ');
                unit.push_str(word);
                counted = false;
            }
            _ => {
                counted = word.trim_start_matches('(').parse::<f64>().is_ok();
                units.push(word.to_owned());
            }
        }
    }
    units
}

/// How many columns a text takes, without its colours.
fn columns(text: &str) -> usize {
    visible(text).chars().count()
}

fn visible(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, shown)| shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_broken_at_blanks_and_short_lines_stay() {
        let text = "Warning: Maildir: 30 of 40 messages would be deleted.\n  short\nError: x\n";
        insta::assert_snapshot!(fit(text, Some(40)), @r"
        Warning: Maildir: 30 of 40 messages
          would be deleted.
          short
        Error: x
        ");
        assert_eq!(fit(text, None), text);
    }

    #[test]
    fn a_command_in_a_hint_stays_whole_and_colours_take_no_room() {
        let text = "\x1b[1mHint:\x1b[0m is the name right, and up? try: ssh -v office true\n";
        assert_eq!(visible(&fit(text, Some(40))), "Hint: is the name right, and up? try:\n      ssh -v office true\n");
        let fits = "\x1b[1;31mError:\x1b[0m exactly as wide as a terminal is\n";
        assert_eq!(fit(fits, Some(40)), fits);
    }

    #[test]
    fn a_number_stays_with_its_unit_and_columns_of_a_table_stay() {
        assert_eq!(fit("pushed 1 folder made to the office in 0.42 s (205 B)\n", Some(40)), {
            "pushed 1 folder made to the office in\n  0.42 s (205 B)\n"
        });
        assert_eq!(fit("push moved          Maildir/.Archive 17676.M7P3\n", Some(40)), {
            "push moved          Maildir/.Archive\n  17676.M7P3\n"
        });
    }

    #[test]
    fn a_word_that_is_too_long_stays_whole() {
        let word = "x".repeat(60);
        assert_eq!(fit(&format!("    why: {word} so\n"), Some(40)), format!("    why:\n      {word}\n      so\n"));
    }

    #[test]
    fn a_file_has_no_width() {
        assert_eq!(width(tempfile::tempfile().expect("a file")), None);
    }
}
