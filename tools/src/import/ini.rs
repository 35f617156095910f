//! The form of `~/.offlineimaprc`: what Python's ConfigParser reads.
//!
//! Sections, `key = value` or `key: value`, values that go on in indented lines, comments that fill a line, and `[DEFAULT]`.
//!
//! Deliberately not here: `%(key)s`, which stands as it is, and whatever is Python.

use std::collections::BTreeMap;

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ini {
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

impl Ini {
    /// Reads a file.
    ///
    /// # Errors
    /// With the line that is none of the above.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut ini = Self::default();
        let (mut section, mut key) = (None::<String>, None::<String>);
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            let wrong = |what: &str| format!("line {number}: {what}");
            if line.starts_with([' ', '\t'])
                && let (Some(section), Some(key)) = (&section, &key)
            {
                let value = ini.sections.entry(section.clone()).or_default().entry(key.clone()).or_default();
                value.push('\n');
                value.push_str(trimmed);
            } else if let Some(name) = trimmed.strip_prefix('[') {
                let name = name.strip_suffix(']').ok_or_else(|| wrong("a `[` is never closed"))?.trim().to_owned();
                ini.sections.entry(name.clone()).or_default();
                (section, key) = (Some(name), None);
            } else {
                let at = trimmed.find(['=', ':']).ok_or_else(|| wrong("expected `key = value`"))?;
                let section = section.clone().ok_or_else(|| wrong("a key before the first section"))?;
                let name = trimmed[..at].trim().to_ascii_lowercase();
                ini.sections.entry(section).or_default().insert(name.clone(), trimmed[at + 1..].trim().to_owned());
                key = Some(name);
            }
        }
        Ok(ini)
    }

    /// Whether there is such a section.
    pub fn has(&self, section: &str) -> bool {
        self.sections.contains_key(section)
    }

    /// What a key says in a section, or else in `[DEFAULT]`; nothing when it is empty.
    pub fn value(&self, section: &str, key: &str) -> Option<&str> {
        let found = |section| self.sections.get(section)?.get(key);
        found(section).or_else(|| found("DEFAULT")).map(String::as_str).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_keys_and_values_over_several_lines_are_read() {
        let text = "# a comment\n[DEFAULT]\nsep = /\n\n[Repository  x]\nA=1\n; another\nb : two: three\n  and more\n\n  \
                    # no value\n  [still]\nc=\n";
        let ini = Ini::parse(text).expect("it parses");
        let value = |key| ini.value("Repository  x", key);
        assert_eq!((value("a"), value("b"), value("c")), (Some("1"), Some("two: three\nand more\n[still]"), None));
        assert_eq!((value("sep"), ini.value("none", "a"), ini.has("none")), (Some("/"), None, false));
    }

    #[test]
    fn other_lines_are_named() {
        for (text, line) in [("a=1", "line 1"), ("[x]\n\nnothing", "line 3"), ("[x\n", "line 1")] {
            assert!(Ini::parse(text).expect_err(text).starts_with(line), "{text}");
        }
    }
}
