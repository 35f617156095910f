//! `SMDCLIENTOPTS`: options that every run of an endpoint gets, weaker than typed ones.
//!
//! Options that answer a question of one run (`--adopt`, `--allow-bulk-delete`) are deliberately
//! not taken from a file: they would disarm a guard for good.

use std::ffi::OsString;

use clap::Parser;

use crate::args::Typed;
use crate::options::Scan;

/// The options that a config file may give.
#[derive(Clone, Debug, Default, PartialEq, Eq, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
pub struct Opts {
    /// As `--dry-run`.
    #[arg(short = 'd', long)]
    pub dry_run: bool,
    /// As `--no-delete`.
    #[arg(short = 'n', long)]
    pub no_delete: bool,
    /// As `--verbose`.
    #[arg(short = 'v', long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// As `--quiet`.
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// As `--show-tags`.
    #[arg(short = 's', long)]
    pub show_tags: bool,
    /// As `--scan`.
    #[arg(long)]
    pub scan: Option<Scan>,
}

/// Takes the known options out of `words`; the others come back as they are.
pub fn known(words: impl IntoIterator<Item = OsString>) -> (Opts, Vec<OsString>) {
    let (mut taken, mut ignored) = (Vec::new(), Vec::new());
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        if Opts::try_parse_from([&word]).is_ok() {
            taken.push(word);
            continue;
        }
        // An option with a value in the next word.
        match words.next_if(|next| Opts::try_parse_from([&word, next]).is_ok()) {
            Some(value) => taken.extend([word, value]),
            None => ignored.push(word),
        }
    }
    (Opts::try_parse_from(taken).unwrap_or_default(), ignored)
}

impl Opts {
    /// What was typed, completed by what the config says. Where they contradict, what was typed wins.
    pub fn under(self, typed: Typed) -> Typed {
        Typed {
            dry_run: typed.dry_run || self.dry_run,
            no_delete: typed.no_delete || self.no_delete,
            verbose: if typed.quiet { 0 } else { typed.verbose.max(self.verbose) },
            quiet: typed.quiet || (self.quiet && typed.verbose == 0 && self.verbose == 0),
            show_tags: typed.show_tags || (self.show_tags && !typed.json),
            scan: typed.scan.or(self.scan),
            ..typed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opts(text: &str) -> (Opts, Vec<OsString>) {
        known(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn known_options_are_taken_and_others_named() {
        let (taken, ignored) = opts("-vn --scan full --frob --scan deep --adopt x -v");
        assert_eq!(taken, Opts { verbose: 2, no_delete: true, scan: Some(Scan::Full), ..Opts::default() });
        assert_eq!(ignored, ["--frob", "--scan", "deep", "--adopt", "x"]);
    }

    #[test]
    fn what_was_typed_wins() {
        let config = opts("-v -s --scan stat").0;
        let typed = Typed { quiet: true, json: true, scan: Some(Scan::Quick), ..Typed::default() };
        assert_eq!(config.under(typed.clone()), typed);
    }
}
