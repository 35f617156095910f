//! The page: a heading, a sentence and a screen each, and at the end which words have which colour.

use std::collections::BTreeMap;

use crate::complain;
use crate::plain::plain;
use crate::tmux::{Capture, SIZE};

const INTRODUCTION: &str = "\
# What you will see

Screens of a terminal of 80 columns and 24 lines, made by `cargo run -p smd-tests --bin screens`. `laptop` is where one types and
`office` is the other host, behind a real `sshd`. Times, rates, sizes below 1 MiB, ports, and the numbers of processes and runs were replaced by fixed ones; all else is as
it was. `echo $?` shows the exit code.
";

/// The page as far as it is written.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
    colors: BTreeMap<String, Vec<String>>,
}

impl Page {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { text: INTRODUCTION.to_owned(), ..Self::default() }
    }

    /// A heading of its own.
    pub(crate) fn chapter(&mut self, heading: &str) {
        self.text.push_str(&format!("\n## {heading}\n"));
    }

    /// A screen below a sentence.
    pub(crate) fn add(&mut self, sentence: &str, capture: &Capture, replaced: &[(String, &str)]) {
        let mut shown = plain(&capture.plain);
        for (old, new) in replaced {
            shown = shown.replace(old, new);
        }
        let title = sentence.split('.').next().unwrap_or_default();
        if capture.wrapped > 0 {
            complain(&format!("{title}: {} lines wrapped", capture.wrapped));
        }
        let lines = shown.lines().count();
        if SIZE[1].parse::<usize>().is_ok_and(|rows| lines >= rows) {
            complain(&format!("{title}: {lines} lines do not fit with a prompt below"));
        }
        self.text.push_str(&format!("\n{sentence}\n\n```text\n{shown}```\n"));
        for (style, text) in styled(&capture.colored) {
            let texts = self.colors.entry(style).or_default();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
    }

    /// The whole page.
    pub(crate) fn finish(mut self) -> String {
        self.chapter("Colours");
        self.text.push_str(
            "\nOn a terminal, unless `NO_COLOR` is set, `TERM` is `dumb`, or `--color never` is given. These words, and no others:\n\n",
        );
        for (style, texts) in &self.colors {
            let texts: Vec<String> = texts.iter().map(|text| format!("`{text}`")).collect();
            self.text.push_str(&format!("* {style}: {}\n", texts.join(", ")));
        }
        self.text
    }
}

/// Texts that are not in the terminal's own colours, each with its style in words.
fn styled(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut style: Vec<&str> = Vec::new();
    for part in text.split("\x1b[").skip(1) {
        let Some((codes, shown)) = part.split_once('m') else { continue };
        for code in codes.split(';') {
            match code {
                "" | "0" => style.clear(),
                "39" => style.retain(|code| !code.starts_with('3')),
                "49" => style.retain(|code| !code.starts_with('4') || *code == "4"),
                "22" => style.retain(|code| *code != "1"),
                code => style.push(code),
            }
        }
        if !style.is_empty() && !shown.trim().is_empty() {
            let words: Vec<String> = style.iter().map(|code| word(code)).collect();
            found.push((words.join(" "), shown.trim().to_owned()));
        }
    }
    found
}

fn word(code: &str) -> String {
    match code {
        "1" => "bold",
        "2" => "dim",
        "4" => "underlined",
        "31" => "red",
        "32" => "green",
        "33" => "yellow",
        "36" => "cyan",
        other => other,
    }
    .to_owned()
}
