//! `SMDCLIENTOPTS` and `SMDSERVEROPTS`: options that every run of an endpoint gets, weaker than typed ones.
//!
//! The predecessor gave the one to the end that writes and the other to the end that is read; here one run has both, so
//! they are one list. Of its options, those that keep mail from harm (`-n`, `-d`, `--exclude`) mean what they meant. What
//! cannot be taken ends the run with what to write instead, since nobody knows what it was to prevent; only the name of a
//! state file is left out, because no mail depends on it.
//!
//! Options that answer a question of one run (`--adopt`, `--allow-bulk-delete`) are deliberately
//! not taken from a file: they would disarm a guard for good.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use clap::Parser;
use smd_protocol::names::printable;

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
    /// A pattern, as in `EXCLUDE`.
    #[arg(long)]
    pub exclude: Vec<OsString>,
    /// The predecessor's name for its state file; ours is told apart by the two hosts.
    #[arg(long)]
    override_db: Option<OsString>,
}

/// What the predecessor's other options asked for, and what does it here.
const INSTEAD: [(&[&str], &str); 6] = [
    (&["-t", "--translator"], "how folders are called is said by TRANSLATOR_LR and TRANSLATOR_RL"),
    (&["-l", "--local-sync"], "two directories of one host are named on the command line: smd-sync LOCAL REMOTE"),
    (&["--rename-only"], "smd-uniform-names gives messages the names of the other host"),
    (&["--stop-after-diff", "--get-mddiff-cmdline", "--dump-stdin"], "-d shows what would be done and does none of it"),
    (&["--adopt", "--adopt-other-headers"], "it answers the question of one run: type it for that run"),
    (
        &["--allow-bulk-delete"],
        "it would disarm a guard for good: type it for the run in which many deletions are meant",
    ),
];

/// The options of both keys, each with the place where it was found.
///
/// # Errors
/// On the first word that is no option for a config file: where it was, and in a sentence what to write instead.
pub fn taken<P: Copy>(words: impl IntoIterator<Item = (P, OsString)>) -> Result<Opts, (P, String)> {
    let mut taken = Vec::new();
    let mut last = None;
    let mut words = words.into_iter().peekable();
    while let Some((place, word)) = words.next() {
        last = Some(place);
        // It would make words of all that follows it.
        if word == "--" {
            return Err((place, instead(&word)));
        }
        if Opts::try_parse_from([&word]).is_ok() {
            taken.push(word);
            continue;
        }
        // An option with a value in the next word.
        match words.next_if(|(_, next)| Opts::try_parse_from([&word, next]).is_ok()) {
            Some((_, value)) => taken.extend([word, value]),
            None => return Err((place, instead(&word))),
        }
    }
    // Each was taken alone. Should they not go together, nobody may do without one that keeps mail from harm.
    let all = Opts::try_parse_from(taken);
    all.map_err(|error| (last, error)).or_else(|(place, error)| match place {
        Some(place) => Err((place, format!("its options do not go together: {error}"))),
        None => Ok(Opts::default()),
    })
}

fn instead(word: &OsStr) -> String {
    let bytes = word.as_bytes();
    let name = bytes.split(|&byte| byte == b'=').next().unwrap_or_default();
    let known = INSTEAD.iter().find(|(names, _)| names.iter().any(|known| known.as_bytes() == name));
    let advice =
        known.map_or("-v, -q, -n, -d, -s, --scan DEPTH and --exclude PATTERN are taken", |(_, advice)| *advice);
    format!("`{}` cannot be set in a config: {advice}", printable(bytes))
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

    fn opts(text: &str) -> Result<Opts, (usize, String)> {
        taken((0..).zip(text.split_whitespace().map(OsString::from)))
    }

    #[test]
    fn what_keeps_mail_from_harm_is_taken_whichever_end_it_was_for() {
        let taken = opts("-vn --scan full --exclude M/.a --exclude=M/.b -v --override-db x.db").expect("all are known");
        let expected = Opts {
            verbose: 2,
            no_delete: true,
            scan: Some(Scan::Full),
            exclude: vec!["M/.a".into(), "M/.b".into()],
            override_db: Some("x.db".into()),
            ..Opts::default()
        };
        assert_eq!(taken, expected);
        assert!(opts("--dry-run --no-delete").expect("known").dry_run);
    }

    #[test]
    fn what_cannot_be_taken_is_refused_with_what_to_write_instead() {
        for (text, at, says) in [
            ("-v --frob", 1, "`--frob` cannot be set in a config: -v, -q, -n"),
            ("--scan deep", 0, "`--scan` cannot be set"),
            ("--adopt", 0, "type it for that run"),
            ("-n --allow-bulk-delete", 1, "disarm a guard"),
            ("-t cat", 0, "TRANSLATOR_LR"),
            ("--translator=cat", 0, "TRANSLATOR_LR"),
            ("-l", 0, "smd-sync LOCAL REMOTE"),
            ("--rename-only", 0, "smd-uniform-names"),
            ("-n --stop-after-diff", 1, "-d shows"),
            ("--dump-stdin x", 0, "-d shows"),
            ("x", 0, "`x` cannot be set"),
            ("-- -n", 0, "`--` cannot be set"),
            ("-n -- -v", 1, "`--` cannot be set"),
        ] {
            let (place, told) = opts(text).expect_err(text);
            assert!(place == at && told.contains(says), "{text}: {place} {told}");
        }
    }

    #[test]
    fn what_was_typed_wins() {
        let config = opts("-v -s --scan stat").expect("known");
        let typed = Typed { quiet: true, json: true, scan: Some(Scan::Quick), ..Typed::default() };
        assert_eq!(config.under(typed.clone()), typed);
    }
}
