//! The file: sections, each from a line that names it to an empty one, and what stands before them.
//!
//! Deliberately not here: what a key means.

use std::collections::BTreeMap;

/// The kinds of section; each begins with such a key.
const KINDS: [&str; 5] = ["imapaccount", "imapstore", "maildirstore", "channel", "group"];

/// A section: its kind, its name, and what each key says, all its lines together.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) kind: String,
    pub(super) name: String,
    keys: BTreeMap<String, Vec<String>>,
}

impl Section {
    /// What a key says; of several words the first.
    pub(super) fn first(&self, key: &str) -> Option<&str> {
        self.words(key).first().map(String::as_str)
    }

    pub(super) fn words(&self, key: &str) -> &[String] {
        self.keys.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.keys.iter().map(|(key, values)| (&key[..], &values[..]))
    }

    /// The channels of a group, without the mailboxes that it may name for each.
    pub(super) fn channels(&self) -> impl Iterator<Item = &str> {
        let named = ["", "channel", "channels"].into_iter().flat_map(|key| self.words(key));
        named.map(|name| name.split(':').next().unwrap_or_default())
    }
}

/// A file.
#[derive(Debug, Default)]
pub(super) struct File {
    sections: Vec<Section>,
    /// What goes for all channels unless they say otherwise.
    pub(super) before: Section,
}

impl File {
    /// Reads it.
    ///
    /// # Errors
    /// With the line that makes no sense.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut file = Self::default();
        let mut open = false;
        for (number, line) in (1..).zip(text.lines()) {
            let words = words(line).ok_or_else(|| format!("line {number}: a quote is never closed"))?;
            let Some((key, values)) = words.split_first() else {
                open &= line.trim_start().starts_with('#');
                continue;
            };
            let key = key.to_ascii_lowercase();
            // A group lists its channels by the same word that begins one.
            let in_group = open && file.sections.last().is_some_and(|section| section.kind == "group");
            if KINDS.contains(&&key[..]) && !(in_group && key == "channel") {
                let (name, more) =
                    values.split_first().ok_or_else(|| format!("line {number}: {key} without a name"))?;
                let keys = BTreeMap::from([(String::new(), more.to_vec())]);
                let keys = if key == "group" { keys } else { BTreeMap::new() };
                file.sections.push(Section { kind: key, name: name.clone(), keys });
                open = true;
                continue;
            }
            let section = if open { file.sections.last_mut() } else { None };
            section.unwrap_or(&mut file.before).keys.entry(key).or_default().extend_from_slice(values);
        }
        Ok(file)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter()
    }

    pub(super) fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections.iter().filter(move |section| section.kind == kind)
    }
}

/// Words by blanks; double quotes keep blanks, a backslash the next letter. Nothing when a quote is never closed.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    let mut letters = line.trim().chars();
    while let Some(letter) = letters.next() {
        match letter {
            '#' if word.is_none() && !quoted => break,
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' => word.get_or_insert_default().extend(letters.next()),
            letter if letter.is_whitespace() && !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}
