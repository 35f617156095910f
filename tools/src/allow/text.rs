//! What is said of keys: a line for each, or one JSON object (docs/JSON.md).

use serde_json::{Value, json};
use smd_client::exit::Exit;
use smd_client::report::json::VERSION;

use crate::undo::text::when;

/// What is said of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its label.
    pub key: String,
    /// Messages that it removed within 24 hours.
    pub removed: u64,
    /// Messages that it may still remove beyond its budget.
    pub left: u64,
    /// Until then, in seconds since 1970.
    pub until: Option<i64>,
}

/// A line for each.
pub fn lines(keys: &[Shown], changed: bool) -> String {
    if keys.is_empty() {
        return "no restricted key changed anything here yet\n".to_owned();
    }
    let mut text = String::new();
    for Shown { key, removed, left, until } in keys {
        let beyond = match until {
            Some(until) => format!("may remove {left} more than its budget until {}", when(*until)),
            None => "may remove no more than its budget".to_owned(),
        };
        match changed {
            true => text.push_str(&format!("{key} {beyond}\n")),
            false => {
                let messages = if *removed == 1 { "message" } else { "messages" };
                text.push_str(&format!("{key} removed {removed} {messages} within 24 hours; it {beyond}\n"));
            }
        }
    }
    text
}

/// One object.
pub fn json(keys: &[Shown]) -> Value {
    let key = |Shown { key, removed, left, until }: &Shown| json!({ "key": key, "removed": removed, "allowed": left, "until": until });
    json!({ "version": VERSION, "exit": Exit::Ok.code(), "keys": keys.iter().map(key).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_a_key_removed_and_what_it_may() {
        let shown = Shown { key: "laptop".to_owned(), removed: 1, left: 0, until: None };
        assert_eq!(
            lines(std::slice::from_ref(&shown), false),
            "laptop removed 1 message within 24 hours; it may remove no more than its budget\n"
        );
        assert_eq!(lines(&[shown], true), "laptop may remove no more than its budget\n");
        assert_eq!(lines(&[], false), "no restricted key changed anything here yet\n");
    }
}
