//! The lines of a config file: `KEY=value` as a shell would read it, without being one.
//!
//! Understood are comments, single and double quotes (which may span lines), the backslash, `$KEY`
//! and `${KEY}` of keys set above, `$HOME`, and a leading `export`. Deliberately not here: running
//! anything. Back quotes, `$(…)` and the other expansions of a shell are errors, because taking
//! them literally would be wrong in silence.

use std::collections::BTreeSet;

use smd_protocol::names::printable;

/// One assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The key.
    pub key: String,
    /// The value, quotes taken away and keys replaced.
    pub value: Vec<u8>,
    /// The line on which it begins, from 1.
    pub number: usize,
}

/// All assignments of a file, in order, and the keys that some `$KEY` used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// In the order of the file.
    pub lines: Vec<Line>,
    /// Keys that another value used.
    pub used: BTreeSet<String>,
}

/// What is wrong on which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The line, from 1.
    pub number: usize,
    /// What is wrong, lowercase, without a full stop.
    pub text: String,
}

impl Lines {
    /// Reads a whole file; `home` replaces `$HOME`.
    pub fn parse(text: &[u8], home: &[u8]) -> Result<Self, LineError> {
        // An editor of another system may have put a byte order mark first; it is no part of the first key.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut reader = Reader { text, at: 0, number: 1, home, done: Self::default() };
        while reader.at < text.len() {
            reader.statement()?;
        }
        Ok(reader.done)
    }

    /// The last assignment of a key, which is the one that counts.
    pub fn last(&self, key: &str) -> Option<&Line> {
        self.lines.iter().rev().find(|line| line.key == key)
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    number: usize,
    home: &'a [u8],
    done: Lines,
}

impl Reader<'_> {
    /// Reads to the end of one line, or of one assignment where quotes span lines.
    fn statement(&mut self) -> Result<(), LineError> {
        let number = self.number;
        self.blanks();
        if matches!(self.peek(), None | Some(b'\n' | b'#')) {
            self.rest_of_line();
            return Ok(());
        }
        let wrong = |text: String| LineError { number, text };
        let mut key = self.key();
        if key == "export" && matches!(self.peek(), Some(b' ' | b'\t')) {
            self.blanks();
            key = self.key();
        }
        if key.is_empty() || self.peek() != Some(b'=') {
            let line = self.text[self.at..].split(|&byte| byte == b'\n').next().unwrap_or_default();
            let what = if key.is_empty() { printable(line) } else { key };
            let spaced = line.trim_ascii_start().first() == Some(&b'=');
            let hint = if spaced { ": there are no blanks around =" } else { "" };
            return Err(wrong(format!("expected KEY=value, found `{}`{hint}", what.trim_end())));
        }
        self.at += 1;
        let value = self.value(&key).map_err(&wrong)?;
        self.blanks();
        match self.peek() {
            None | Some(b'\n') => {}
            Some(b'#') if self.text[self.at - 1].is_ascii_whitespace() => {}
            Some(_) => {
                return Err(wrong(format!(
                    "there is more after the value of {key}: put quotes around a value with blanks"
                )));
            }
        }
        self.rest_of_line();
        self.done.lines.push(Line { key, value, number });
        Ok(())
    }

    fn key(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.at += 1;
        }
        let key = &self.text[start..self.at];
        if key.first().is_none_or(u8::is_ascii_digit) {
            self.at = start;
            return String::new();
        }
        String::from_utf8_lossy(key).into_owned()
    }

    fn value(&mut self, key: &str) -> Result<Vec<u8>, String> {
        let mut value = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' => break,
                b'\r' if matches!(self.text.get(self.at + 1), None | Some(b'\n')) => break,
                b'\'' => self.single(&mut value, key)?,
                b'"' => self.double(&mut value, key)?,
                b'\\' => {
                    self.next();
                    match self.next() {
                        Some(b'\n') | None => {}
                        Some(byte) => value.push(byte),
                    }
                }
                b'$' => self.dollar(&mut value)?,
                b'`' => return Err(no_shell()),
                b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => {
                    return Err(format!("`{}` must be in quotes: this file is read, not run", char::from(byte)));
                }
                _ => {
                    value.push(byte);
                    self.next();
                }
            }
        }
        Ok(value)
    }

    fn single(&mut self, value: &mut Vec<u8>, key: &str) -> Result<(), String> {
        self.next();
        loop {
            match self.next() {
                Some(b'\'') => return Ok(()),
                Some(byte) => value.push(byte),
                None => return Err(format!("the single quote in the value of {key} is never closed")),
            }
        }
    }

    fn double(&mut self, value: &mut Vec<u8>, key: &str) -> Result<(), String> {
        self.next();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.next();
                    return Ok(());
                }
                Some(b'$') => self.dollar(value)?,
                Some(b'`') => return Err(no_shell()),
                Some(b'\\') => {
                    self.next();
                    match self.next() {
                        Some(b'\n') => {}
                        Some(byte @ (b'"' | b'\\' | b'$' | b'`')) => value.push(byte),
                        Some(byte) => value.extend([b'\\', byte]),
                        None => {}
                    }
                }
                Some(byte) => {
                    value.push(byte);
                    self.next();
                }
                None => return Err(format!("the double quote in the value of {key} is never closed")),
            }
        }
    }

    fn dollar(&mut self, value: &mut Vec<u8>) -> Result<(), String> {
        self.next();
        let name = match self.peek() {
            Some(b'(') => return Err(no_shell()),
            Some(b'{') => {
                self.next();
                let name = self.key();
                if name.is_empty() || self.next() != Some(b'}') {
                    return Err("only ${KEY} is understood between braces".to_owned());
                }
                name
            }
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => self.key(),
            Some(byte) if byte.is_ascii_digit() || b"$!?@*#-".contains(&byte) => {
                return Err(format!("`${}` means nothing here: write \\$ for a dollar", char::from(byte)));
            }
            _ => {
                value.push(b'$');
                return Ok(());
            }
        };
        match self.done.last(&name) {
            Some(line) => value.extend_from_slice(&line.value),
            None if name == "HOME" => value.extend_from_slice(self.home),
            None => return Err(format!("${name} is not set above: only $HOME and keys of this file are known")),
        }
        self.done.used.insert(name);
        Ok(())
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn rest_of_line(&mut self) {
        while self.next().is_some_and(|byte| byte != b'\n') {}
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.number += 1;
        }
        Some(byte)
    }
}

fn no_shell() -> String {
    "commands are not run: this file is read, not given to a shell".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn values(text: &str) -> Vec<String> {
        let lines = Lines::parse(text.as_bytes(), b"/home/me").unwrap_or_else(|error| panic!("{text}: {error:?}"));
        lines.lines.iter().map(|line| format!("{}={}", line.key, String::from_utf8_lossy(&line.value))).collect()
    }

    #[track_caller]
    fn error(text: &str) -> LineError {
        Lines::parse(text.as_bytes(), b"/home/me").expect_err(text)
    }

    #[test]
    fn quotes_comments_and_backslashes() {
        assert_eq!(
            values(
                "# c\nA=x # c\nB='a $A \"'\nC=\"a $A \\$A \\\\ \\n\"\nexport D=a\\ b\"c d\"'e'\r\nE=\nF=a#b\n\n  G=$"
            ),
            ["A=x", "B=a $A \"", "C=a x $A \\ \\n", "D=a bc de", "E=", "F=a#b", "G=$"]
        );
    }

    #[test]
    fn keys_are_replaced_by_their_latest_value() {
        assert_eq!(
            values("A=1\nB=$A\nA=2\nC=\"${A}x$HOME\"\nD='${A}'"),
            ["A=1", "B=1", "A=2", "C=2x/home/me", "D=${A}"]
        );
    }

    #[test]
    fn a_quoted_value_may_span_lines() {
        assert_eq!(values("A=\"x\n y\"\nB=a\\\nb"), ["A=x\n y", "B=ab"]);
        assert_eq!(error("A=\"x\n y\"\n\nB").number, 4);
    }

    #[test]
    fn what_only_a_shell_could_do_is_an_error_with_its_line() {
        for text in [
            "\nA=`id`",
            "\nA=\"`id`\"",
            "\nA=$(id)",
            "\nA=\"x",
            "\nA='x\n",
            "\nA=x y",
            "\nA=x;id",
            "\nA=${B:-x}",
            "\nA=$B",
            "\nA=$1",
            "\nA",
            "\nA =x",
            "\n=x",
            "\n. /etc/profile",
            "\nif true; then",
        ] {
            assert_eq!(error(text).number, 2, "{text}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_kept() {
        let lines = Lines::parse(b"A='\xff\xfe'", b"/").expect("it parses");
        assert_eq!(lines.lines[0].value, b"\xff\xfe");
    }
}
