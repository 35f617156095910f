//! What one restricted key did, by its log: its burials among all others, and its moves, marks and removed folders.
//!
//! Deliberately not here: how anything is taken back (`smd_maildir::undo`), and what a log says (`smd_maildir::keys`).

use std::collections::HashSet;

use smd_maildir::keys::{How, Lines, What};
use smd_protocol::{Folder, Name};

use super::args::Pattern;
use super::runs::Run;

/// Something that a key did beside burying.
#[derive(Clone, Debug)]
pub struct Act {
    /// The Maildir, by index.
    pub mailbox: usize,
    /// When, in seconds since 1970.
    pub time: i64,
    /// What.
    pub what: What,
}

/// What a key did.
#[derive(Clone, Debug, Default)]
pub struct Deeds {
    /// What the ids of its burials have in common.
    burials: HashSet<String>,
    /// The others, in their order.
    pub acts: Vec<Act>,
    /// Lines about roots that nobody looked into.
    pub elsewhere: usize,
}

impl Deeds {
    /// All that a log tells; `mailbox` finds the Maildir of a root's path.
    pub fn of(lines: &Lines, mut mailbox: impl FnMut(&[u8]) -> Option<usize>) -> Self {
        let mut deeds = Self { burials: lines.burials(), ..Self::default() };
        for line in lines.iter() {
            let is_act = match &line.what {
                What::Moved { .. } | What::Unfolded(_) | What::Removed { how: How::Trashed, .. } => true,
                What::Run { .. } | What::Removed { .. } | What::End { .. } => false,
            };
            match mailbox(&line.root) {
                Some(mailbox) if is_act => {
                    deeds.acts.push(Act { mailbox, time: line.time, what: line.what.clone() });
                }
                Some(_) => {}
                None => deeds.elsewhere += 1,
            }
        }
        deeds
    }

    /// Keeps of the runs those of the key.
    pub fn keep(&self, runs: &mut Vec<Run>) {
        runs.retain(|run| run.items.first().is_some_and(|item| self.burials.contains(item.rests.run())));
    }

    /// Keeps what was done since then, in such folders.
    pub fn restrict(&mut self, since: Option<i64>, patterns: &[Pattern]) {
        let wanted = |folder: &Folder| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(folder));
        let is_meant = |what: &What| match what {
            What::Moved { from, to, .. } => wanted(&from.folder) || wanted(&to.folder),
            What::Removed { name, .. } => wanted(&name.folder),
            What::Unfolded(folder) => wanted(folder),
            What::Run { .. } | What::End { .. } => false,
        };
        self.acts.retain(|act| since.is_none_or(|since| act.time >= since) && is_meant(&act.what));
    }

    /// The acts of a Maildir, and where they are among all.
    pub fn of_mailbox(&self, mailbox: usize) -> (Vec<usize>, Vec<What>) {
        let acts = self.acts.iter().enumerate().filter(|(_, act)| act.mailbox == mailbox);
        acts.map(|(at, act)| (at, act.what.clone())).unzip()
    }
}

/// A word for it, and the message or folder.
pub fn words(what: &What) -> (&'static str, String) {
    let shown = |name: &Name| name.to_string();
    match what {
        What::Moved { from, to, .. } => ("moved", format!("{}  to {}", shown(from), shown(to))),
        What::Removed { name, .. } => ("trashed", shown(name)),
        What::Unfolded(folder) => ("removed", format!("the folder {folder}")),
        What::Run { .. } | What::End { .. } => ("", String::new()),
    }
}
