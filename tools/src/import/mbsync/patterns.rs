//! Which folders the channels take, as patterns of ours: what mbsync decides pattern by pattern, later ones over earlier
//! ones, is what our list does in the other sense.
//!
//! Folders of Maildir++ lie side by side, so that nothing below an excluded one is lost. INBOX is the Maildir itself, whose
//! mail is named by `cur`.
//!
//! Deliberately not here: how a folder is called (`rc`).

use super::super::rc::{INBOX, wild_pattern};
use super::{Channel, Section};

/// What was made of the patterns.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Patterns for folders of the server.
    pub(super) exclude: Vec<String>,
    /// What a person must look at.
    pub(super) untold: Vec<String>,
}

/// Whether a channel has patterns: then its mailboxes are only where their names begin.
pub(super) fn has_any(channel: &Section) -> bool {
    !(channel.words("patterns").is_empty() && channel.words("pattern").is_empty())
}

/// What none of these channels takes.
pub(super) fn excludes(channels: &[Channel<'_>]) -> Told {
    let mut told = Told::default();
    // The one that takes most decides what is left out; what the others take is taken back from that.
    let takes_all = |channel: &&Channel<'_>| patterns(channel).any(|(taken, name)| taken && is_all(name));
    let widest = channels.iter().position(|channel| takes_all(&channel)).unwrap_or(0);
    let order = std::iter::once(widest).chain((0..channels.len()).filter(|&at| at != widest));
    // Nothing is taken until something is.
    let mut list = List { exclude: vec!["*".to_owned(), INBOX.to_owned()], takes_all: false };
    for (nth, channel) in order.map(|at| &channels[at]).enumerate() {
        told.named_mailboxes(channel);
        if !has_any(channel.section) {
            let which = if channel.there.is_empty() { channel.here } else { channel.there };
            list.take(if which.is_empty() { "INBOX" } else { which });
            continue;
        }
        for (taken, name) in patterns(channel) {
            told.percent(taken, name);
            let whole = format!("{}{name}", channel.there);
            match taken {
                true if is_all(&whole) => list = List { exclude: Vec::new(), takes_all: true },
                true => list.take(&whole),
                false if nth == 0 => list.leave(&whole),
                // Another channel may take it.
                false => told.untold.push(format!("!{name} of channel {}: it is taken", channel.section.name)),
            }
        }
    }
    Told { exclude: list.exclude, ..told }
}

/// The patterns of a channel, and whether each takes what it matches.
fn patterns<'a>(channel: &Channel<'a>) -> impl Iterator<Item = (bool, &'a str)> {
    let section: &'a Section = channel.section;
    let all = ["patterns", "pattern"].into_iter().flat_map(|key| section.words(key));
    all.map(|pattern| pattern.strip_prefix('!').map_or((true, &pattern[..]), |left| (false, left)))
}

fn is_all(name: &str) -> bool {
    matches!(name, "*" | "%")
}

/// Our list, as it grows.
struct List {
    exclude: Vec<String>,
    takes_all: bool,
}

impl List {
    fn take(&mut self, name: &str) {
        // What was never left out need not be taken back.
        if self.takes_all && self.exclude.is_empty() {
            return;
        }
        if matches_inbox(name) {
            match self.exclude.last() {
                Some(last) if last == INBOX => drop(self.exclude.pop()),
                _ if self.exclude.iter().any(|one| one == INBOX) => self.exclude.push(format!("!{INBOX}")),
                _ => {}
            }
        }
        self.exclude.extend(wild_pattern(name).map(|pattern| format!("!{pattern}")));
    }

    fn leave(&mut self, name: &str) {
        if is_all(name) {
            *self = Self { exclude: vec!["*".to_owned(), INBOX.to_owned()], takes_all: false };
            return;
        }
        self.exclude.extend(matches_inbox(name).then(|| INBOX.to_owned()));
        self.exclude.extend(wild_pattern(name));
    }
}

/// Whether INBOX is among what this names.
fn matches_inbox(name: &str) -> bool {
    fn matches(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*' | b'%', rest)), _) => {
                matches(rest, name) || name.split_first().is_some_and(|(_, tail)| matches(pattern, tail))
            }
            (Some((one, rest)), Some((other, tail))) => one.eq_ignore_ascii_case(other) && matches(rest, tail),
            _ => false,
        }
    }
    matches(name.as_bytes(), b"INBOX")
}

impl Told {
    fn percent(&mut self, taken: bool, name: &str) {
        let Some(at) = name.find('%') else { return };
        let shown = if taken { name.to_owned() } else { format!("!{name}") };
        self.untold.push(match (taken, name.len() > 1 || at > 0) {
            (true, true) => format!("{shown} takes folders below those as well: EXCLUDE knows no %"),
            (true, false) => format!("{shown} takes folders of every depth: EXCLUDE knows no %"),
            (false, _) => format!("{shown} leaves out folders below those as well: EXCLUDE knows no %"),
        });
    }

    /// Mailboxes that are called otherwise in the two stores, or all begin with the same.
    fn named_mailboxes(&mut self, channel: &Channel<'_>) {
        let Channel { there, here, .. } = channel;
        if there == here {
            return;
        }
        self.untold.push(match (has_any(channel.section), there.is_empty()) {
            (true, true) => format!("what is meant begins with \"{here}\" here: see MAILBOX_LOCAL"),
            (true, false) => format!(
                "only what begins with \"{there}\" at the server, and with \"{here}\" here, is meant: let MAILBOX name those \
                 directories, or EXCLUDE the rest"
            ),
            (false, _) => {
                let name = |name: &str| if name.is_empty() { "INBOX".to_owned() } else { name.to_owned() };
                format!("the server's {} is called {} here: rename one of them", name(there), name(here))
            }
        });
    }
}
