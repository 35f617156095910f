//! The texts as roff, with what the definition of the command line says.
//!
//! A text is lines. `# TITLE` begins a section; an empty line ends a paragraph; `: term` begins an item, whose indented lines
//! explain it; lines of four blanks outside an item, or of eight within, are an example as it stands. Within lines
//! `` `x` `` is to be typed as it is and `{x}` stands for something else. In the section OPTIONS the items explain options of
//! the command, and `%exits` stands for all exit codes of a run.

use clap_mangen::Man;

use crate::pages::{self, Page};

/// The whole page.
pub(crate) fn page(page: Page) -> String {
    let Page { name, section, about, command, text, .. } = page;
    let version = env!("CARGO_PKG_VERSION");
    let mut out = format!(
        ".TH {} {section} \"\" \"smd {version}\" \"smd\"\n.nh\n.ad l\n",
        name.to_uppercase().replace('-', "\\-")
    );
    out.push_str(&format!(".SH NAME\n{} \\- {}\n", escaped(name), escaped(about_of(about, command.as_ref()))));
    let sections = sections(text);
    let command = command.map(|command| {
        let explained = sections.iter().find(|(title, _)| *title == "OPTIONS").map_or(&[][..], |(_, lines)| lines);
        Man::new(explain(command, explained))
    });
    if let Some(man) = &command {
        out.push_str(&rendered(|out| man.render_synopsis_section(out)));
    }
    for (title, lines) in &sections {
        match (*title, &command) {
            ("OPTIONS", Some(man)) => out.push_str(&rendered(|out| man.render_options_section(out))),
            _ => out.push_str(&format!(".SH {}\n{}", escaped(title), body(lines))),
        }
    }
    out
}

fn about_of<'a>(about: &'a str, command: Option<&'a clap::Command>) -> String {
    let text = command.and_then(|command| command.get_about()).map_or_else(|| about.to_owned(), ToString::to_string);
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn rendered(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    render(&mut out).expect("memory takes it");
    let text = String::from_utf8(out)
        .expect("the definitions are UTF-8")
        .replace("\\*(Aq", "\\(aq")
        .replace(" (see a summary with \\(aq\\-h\\(aq)", "");
    // A definition of two letters that each page begins with anew.
    text.lines()
        .filter(|line| !line.starts_with(".ie \\n(.g") && !line.starts_with(".el .ds"))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The sections of a text with their lines.
fn sections(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(title) => sections.push((title, Vec::new())),
            None => sections.last_mut().expect("a text begins with a section").1.push(line),
        }
    }
    sections
}

/// Gives options their explanations. One of an option that there is not is a mistake in the text.
fn explain(command: clap::Command, lines: &[&str]) -> clap::Command {
    let mut explained = command;
    let mut items: Vec<(&str, String)> = Vec::new();
    for line in lines {
        match (line.strip_prefix(": --"), items.last_mut()) {
            (Some(option), _) => items.push((option, String::new())),
            (None, Some((_, text))) => *text = format!("{text} {}", line.trim()),
            (None, None) => {}
        }
    }
    for (option, text) in items {
        let of = |arg: &clap::Arg| arg.get_long() == Some(option);
        let found = explained.get_arguments().find(|arg| of(arg)).map(|arg| arg.get_id().clone());
        let id = found.unwrap_or_else(|| panic!("{}: there is no --{option}", explained.get_name()));
        explained = explained.mut_arg(id, |arg| arg.long_help(text.trim().replace(['`', '{', '}'], "")));
    }
    explained
}

/// Lines of a section as roff.
fn body(lines: &[&str]) -> String {
    let mut out = String::new();
    let (mut gap, mut item, mut example) = (false, false, false);
    for line in lines {
        let indent = if item { 8 } else { 4 };
        let is_example = line.len() > indent && line.as_bytes()[..indent].iter().all(|byte| *byte == b' ');
        if example && !is_example && !line.is_empty() {
            out.push_str(".EE\n.RE\n");
            example = false;
        }
        if line.is_empty() {
            gap = true;
            continue;
        }
        let after_gap = std::mem::take(&mut gap);
        if is_example {
            match (example, after_gap) {
                (false, _) if item => out.push_str(".RS 11\n.sp\n.EX\n"),
                (false, _) => out.push_str(".PP\n.RS 4\n.EX\n"),
                (true, true) => out.push('\n'),
                (true, false) => {}
            }
            example = true;
            out.push_str(&format!("{}\n", at_start(&escaped(&line[indent..]))));
        } else if let Some(term) = line.strip_prefix(": ") {
            item = true;
            out.push_str(&format!(".TP\n{}\n", at_start(&fonts(term))));
        } else if *line == "%exits" {
            for (code, meaning) in pages::exits() {
                out.push_str(&format!(".TP\n\\fB{code}\\fR\n{}\n", at_start(&escaped(meaning))));
            }
            item = true;
        } else {
            let inside = line.starts_with("    ") && item;
            if !inside && (item || after_gap) && !out.is_empty() {
                out.push_str(".PP\n");
            } else if inside && after_gap {
                out.push_str(".IP\n");
            }
            item = inside;
            out.push_str(&format!("{}\n", at_start(&fonts(line.trim_start()))));
        }
    }
    if example {
        out.push_str(".EE\n.RE\n");
    }
    out
}

/// A backquote changes to bold and back, braces to italic and back.
fn fonts(text: &str) -> String {
    let mut out = String::new();
    let mut bold = false;
    for letter in text.chars() {
        match letter {
            '`' => {
                bold = !bold;
                out.push_str(if bold { "\\fB" } else { "\\fR" });
            }
            '{' if !bold => out.push_str("\\fI"),
            '}' if !bold => out.push_str("\\fR"),
            letter => out.push_str(&escaped(letter.encode_utf8(&mut [0; 4]))),
        }
    }
    assert!(!bold, "a backquote is never closed: {text}");
    out
}

fn escaped(text: impl AsRef<str>) -> String {
    text.as_ref()
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
        .replace('~', "\\(ti")
        .replace('^', "\\(ha")
}

/// A line that begins with a point or a quote is none of text.
fn at_start(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}
