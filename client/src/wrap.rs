//! Sentences as wide as the terminal that shows them, broken at blanks.
//!
//! Only for a terminal: in a pipe or a file every sentence stays on a line of its own, for `grep`. Deliberately not here: tables,
//! which are made as wide as they are.

use std::os::fd::AsFd;

use rustix::termios::{isatty, tcgetwinsize};
use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter, fill};

/// Less is no terminal that anybody reads on.
const NARROWEST: usize = 40;
/// Lines longer than this are hard to read on any terminal.
const WIDEST: usize = 100;
/// Below this a hint stands in line with its first word.
const HINT: &str = "Hint: ";
/// A blank that no line is broken at: of no alphabet, so that no text has it.
const GLUE: &str = "\u{f8ff}";

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
    let (sentence, ends) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
    if columns(sentence.trim_end()) <= width {
        return line.to_owned();
    }
    let words = sentence.trim_start_matches(' ');
    let blanks = sentence.len() - words.len();
    let hint = visible(sentence).starts_with(HINT);
    let indent = if hint { HINT.len() } else { blanks + 2 };
    // A command to type stands at the end of a hint, and whole if it can.
    let glued = match words.rsplit_once(": ") {
        Some((head, command)) if hint && head.contains(HINT) && indent + columns(command) <= width => {
            format!("{}: {}", with_units(head), command.replace(' ', GLUE))
        }
        _ => with_units(words),
    };
    let (first, others) = (" ".repeat(blanks), " ".repeat(indent));
    lines(&glued, &first, &others, width).replace(GLUE, " ") + ends
}

/// A text broken at blanks alone: what its first line begins with, and all others.
pub fn lines(text: &str, first: &str, others: &str, width: usize) -> String {
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(others)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    fill(text, options)
}

/// The text with each number glued to what it counts.
fn with_units(text: &str) -> String {
    let mut glued = String::with_capacity(text.len());
    let mut counted = false;
    for (at, word) in text.split(' ').enumerate() {
        match at {
            0 => {}
            _ if counted => glued.push_str(GLUE),
            _ => glued.push(' '),
        }
        glued.push_str(word);
        counted = !counted && word.trim_start_matches('(').parse::<f64>().is_ok();
    }
    glued
}

/// How many columns a text takes, without its colours.
fn columns(text: &str) -> usize {
    display_width(text)
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
    fn wide_letters_take_two_columns() {
        assert_eq!(fit("folder 仕事仕事仕事 of the office is not there\n", Some(40)), {
            "folder 仕事仕事仕事 of the office is not\n  there\n"
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
