//! What a run is asked to do, as values: read by the session, the report and the output.
//!
//! Deliberately not here: where they were said (`args`, `config`).

use smd_maildir::quota::Caps;
use smd_maildir::share::Share;

/// Which way changes go: a policy of the planner, nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Direction {
    /// The client takes what changed at the server.
    Pull,
    /// The server takes what changed at the client.
    Push,
    /// Both.
    #[default]
    Sync,
}

/// How closely both hosts look at their mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
pub enum Scan {
    /// Unchanged directories are not listed.
    #[default]
    Quick,
    /// Every file's stamps are compared.
    Stat,
    /// Every file is read.
    Full,
}

/// Another limit for the bulk guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxDelete {
    /// More deletes and replacements than this, per root.
    Count(u64),
    /// More than this share of a root's messages, from 0 to 100.
    Percent(u8),
}

/// What the session is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Which way changes go.
    pub direction: Direction,
    /// Change nothing; fill the report's items with the plan.
    pub dry_run: bool,
    /// Hold back deletes and replacements.
    pub no_delete: bool,
    /// How closely to look, at least.
    pub scan: Scan,
    /// The bulk guard does not trip.
    pub allow_bulk_delete: bool,
    /// Drop the base and unite.
    pub adopt: bool,
    /// Adopt although most headers differ.
    pub adopt_other_headers: bool,
    /// Above zero: fill the report's items.
    pub verbose: u8,
    /// Days that messages rest in this host's grave.
    pub grave_days: u32,
    /// How large this host's grave may get; none: whatever its messages take.
    pub grave_max: Option<Share>,
    /// How much may be brought to this host.
    pub caps: Caps,
    /// Another limit for the bulk guard.
    pub max_delete: Option<MaxDelete>,
    /// Folders that may be emptied without a question, by name; none: the usual names of trash and junk.
    pub guard_except: Option<Vec<Vec<u8>>>,
}

impl Direction {
    /// The word for it in texts and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Sync => "sync",
        }
    }
}

impl MaxDelete {
    /// Reads `30` or `30%`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim_end().parse().ok().filter(|&percent| percent <= 100).map(Self::Percent),
            None => text.trim().parse().ok().map(Self::Count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_a_share() {
        assert_eq!(MaxDelete::parse(" 20 "), Some(MaxDelete::Count(20)));
        assert_eq!(MaxDelete::parse("20%"), Some(MaxDelete::Percent(20)));
        for text in ["", "%", "101%", "-1", "x", "1.5%"] {
            assert_eq!(MaxDelete::parse(text), None, "{text}");
        }
    }
}
