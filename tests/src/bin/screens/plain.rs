//! Numbers that differ from run to run, replaced by fixed ones, so that a page changes only when a program does.
//!
//! Deliberately not here: anything that changes a word.

/// A text with fixed times, ports, process numbers and rates.
pub(crate) fn plain(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(text: &str) -> String {
    let text = dates(text);
    let text = between(&text, " in ", " s", "0.42", |inner| inner.parse::<f64>().is_ok());
    let text = started(text);
    let text = between(&text, "(process ", ")", "4711", number);
    let text = between(&text, " (", " B)", "205", number);
    let text = between(&text, " (", " KiB)", "5.2", |inner| inner.parse::<f64>().is_ok());
    let text = between(&text, "started ", " s ago", "3", number);
    let text = between(&text, "success: ", " s ago", "1", number);
    let text = between(&text, "iB ", " MiB/s", "5.25", |inner| inner.parse::<f64>().is_ok());
    let text = between(&text, "MiB/s ", "s left", "2", number);
    let text = between(&text, "/123 ", " MiB ", "13.92", |inner| inner.parse::<f64>().is_ok());
    let text = row(text);
    let text = between(&text, "127.0.0.1 port ", ":", "22", number);
    text.replace("127.0.0.1 port", "cellar port")
}

/// A line that begins with how long a run took, since the one above was full.
fn started(text: String) -> String {
    match text.strip_prefix("  ").and_then(|rest| rest.split_once(" s (")) {
        Some((took, rest)) if took.parse::<f64>().is_ok() => format!("  0.42 s ({rest}"),
        _ => text,
    }
}

/// A row of the table of past runs: how long it took.
fn row(text: String) -> String {
    let took = text.get(33..41).is_some_and(|took| took.ends_with(" s") && took.trim_start().len() < 8);
    if text.starts_with("2026-01-05 09:30:00  ") && took {
        format!("{}  0.42 s{}", &text[..33], &text[41..])
    } else {
        text
    }
}

fn number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What stands between two texts, replaced where it is of the right form.
fn between(text: &str, before: &str, after: &str, new: &str, right: impl Fn(&str) -> bool) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((head, tail)) = rest.split_once(before) {
        out.push_str(head);
        out.push_str(before);
        rest = tail;
        if let Some((inner, _)) = tail.split_once(after).filter(|(inner, _)| right(inner)) {
            out.push_str(new);
            rest = &tail[inner.len()..];
        }
    }
    out + rest
}

/// Every `2025-11-22 10:00:00`, and every such time of the day that stands alone.
fn dates(text: &str) -> String {
    let is = |at: usize, form: &str| {
        text.get(at..at + form.len()).is_some_and(|part| {
            part.bytes()
                .zip(form.bytes())
                .all(|(byte, form)| if form == b'0' { byte.is_ascii_digit() } else { byte == form })
        })
    };
    let mut out = String::new();
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let found = [("0000-00-00 00:00:00", "2026-01-05 09:30:00"), ("00:00:00", "09:30:00")];
        match found.into_iter().find(|(form, _)| is(at, form)) {
            Some((form, new)) => {
                out.push_str(new);
                at += form.len();
            }
            None => {
                out.push(letter);
                at += letter.len_utf8();
            }
        }
    }
    out
}
