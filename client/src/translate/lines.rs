//! The two lines of a config: what they mean, and whether they belong together.
//!
//! `smd-translate` on both lines is not started but done here; whatever else is named is a program, as is `smd-translate`
//! beside another one. `cat`, and `-m move`, on both is no translation at all.
//!
//! Deliberately not here: the config file.

use std::sync::Arc;

use smd_protocol::names::printable;

use super::external::{External, PATIENCE};
use super::modes::{Mode, Way};
use super::{How, Translation};
use crate::address::os_string;

/// One of the lines.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// Its number in the file.
    pub number: usize,
    /// What is assigned.
    pub value: &'a [u8],
}

/// What one line means.
enum Meaning {
    Builtin(Mode),
    Program,
}

/// What both lines mean; none when folders have the same names. The error says in which line and what.
pub fn translation(lr: Option<Said<'_>>, rl: Option<Said<'_>>) -> Result<Option<Translation>, (usize, String)> {
    let (lr, rl) = match (lr, rl) {
        (Some(lr), Some(rl)) => (lr, rl),
        (None, None) => return Ok(None),
        (Some(one), None) => return alone(one, Way::LocalToRemote),
        (None, Some(one)) => return alone(one, Way::RemoteToLocal),
    };
    let meanings = (meaning(lr, Way::LocalToRemote)?, meaning(rl, Way::RemoteToLocal)?);
    let how = match meanings {
        (Meaning::Builtin(Mode::Move), Meaning::Builtin(Mode::Move)) => return Ok(None),
        (Meaning::Builtin(one), Meaning::Builtin(other)) if one == other => How::Builtin(one),
        (Meaning::Builtin(one), Meaning::Builtin(other)) => {
            let text = format!(
                "TRANSLATOR_RL is `{}`, and TRANSLATOR_LR `{}`: what one way gives, the other must take back",
                other.word(),
                one.word()
            );
            return Err((rl.number, text));
        }
        _ => {
            let program = |said: Said<'_>, way| {
                Ok(External::new(words(said, way)?.iter().map(|word| os_string(word)).collect(), PATIENCE))
            };
            How::External(Arc::new([program(lr, Way::LocalToRemote)?, program(rl, Way::RemoteToLocal)?]))
        }
    };
    let said = [lr, rl].map(|said| printable(said.value.trim_ascii()));
    Ok(Some(Translation { said, lines: [lr.number, rl.number], how }))
}

/// A line without the other is well only when it translates nothing.
fn alone(said: Said<'_>, way: Way) -> Result<Option<Translation>, (usize, String)> {
    match meaning(said, way)? {
        Meaning::Builtin(Mode::Move) => Ok(None),
        _ => Err((said.number, format!("{} is set, and {} is not: names go both ways", way.key(), way.back().key()))),
    }
}

fn words(said: Said<'_>, way: Way) -> Result<Vec<Vec<u8>>, (usize, String)> {
    let words = shlex::bytes::split(said.value).filter(|words| words.first().is_some_and(|word| !word.is_empty()));
    words.ok_or_else(|| {
        (said.number, format!("{} is not a command: a quote is never closed, or it is empty", way.key()))
    })
}

fn meaning(said: Said<'_>, way: Way) -> Result<Meaning, (usize, String)> {
    let words = words(said, way)?;
    let program = words[0].rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    match (program, &words[1..]) {
        (b"cat", []) => Ok(Meaning::Builtin(Mode::Move)),
        (b"smd-translate", options) => {
            let mode = builtin(options, way).map_err(|text| (said.number, format!("{}: {text}", way.key())))?;
            Ok(Meaning::Builtin(mode))
        }
        _ => Ok(Meaning::Program),
    }
}

/// The mode that `smd-translate` is given.
fn builtin(options: &[Vec<u8>], way: Way) -> Result<Mode, String> {
    let mut mode = Mode::OimapDovecot;
    let mut endpoints = 0;
    let mut rest = options.iter().map(Vec::as_slice);
    while let Some(word) = rest.next() {
        let mut value = |name: &'static str, attached: &[u8]| match attached {
            [] => rest.next().map(<[u8]>::to_vec).ok_or_else(|| format!("smd-translate {name} lacks a value")),
            [b'=', value @ ..] | value => Ok(value.to_vec()),
        };
        if let Some(attached) = word.strip_prefix(b"--mode").or_else(|| word.strip_prefix(b"-m")) {
            let word = value("-m", attached)?;
            let known = || Mode::words().collect::<Vec<_>>().join(", ");
            mode = Mode::parse(&word)
                .ok_or_else(|| format!("there is no mode `{}`, only {}", printable(&word), known()))?;
        } else if let Some(attached) = word.strip_prefix(b"--direction").or_else(|| word.strip_prefix(b"-d")) {
            let word = value("-d", attached)?;
            if Way::parse(&word) != Some(way) {
                return Err(format!("-d {} must be -d {} here", printable(&word), way.word()));
            }
        } else if word.starts_with(b"-") {
            return Err(format!("smd-translate has no option `{}`", printable(word)));
        } else {
            endpoints += 1;
        }
    }
    if endpoints > 1 { Err("smd-translate takes one endpoint".to_owned()) } else { Ok(mode) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lr: &str, rl: &str) -> Result<Option<Translation>, (usize, String)> {
        let said = |number, value: &'static [u8]| (!value.is_empty()).then_some(Said { number, value });
        let leaked = |text: &str| -> &'static [u8] { Box::leak(text.as_bytes().to_vec().into_boxed_slice()) };
        translation(said(3, leaked(lr)), said(4, leaked(rl)))
    }

    #[test]
    fn a_built_in_mode_is_recognised_however_it_is_written() {
        for (lr, rl) in [
            ("smd-translate -m nodots -d LR work", "smd-translate -m nodots -d RL work"),
            ("/usr/bin/smd-translate -mnodots", "smd-translate work --mode=nodots -dRL"),
            ("smd-translate --direction LR --mode nodots", "'smd-translate' \"-m\" nodots"),
        ] {
            let translation = parse(lr, rl).expect(lr).expect("a translation");
            assert!(matches!(translation.how, How::Builtin(Mode::Nodots)), "{translation:?}");
            assert_eq!((translation.said[0].as_str(), translation.lines), (lr, [3, 4]));
        }
        let default = parse("smd-translate -d LR", "smd-translate -m oimap-dovecot -d RL x").expect("good");
        assert!(matches!(default.expect("a translation").how, How::Builtin(Mode::OimapDovecot)));
    }

    #[test]
    fn what_changes_no_name_is_no_translation() {
        for (lr, rl) in [
            ("", ""),
            ("cat", "cat"),
            ("smd-translate -m move -d LR x", "smd-translate -m cat -d RL x"),
            ("/bin/cat", ""),
            ("", "smd-translate -m move"),
        ] {
            assert_eq!(parse(lr, rl), Ok(None), "{lr} {rl}");
        }
    }

    #[test]
    fn other_programs_are_programs_and_both_are_needed() {
        for (lr, rl) in
            [("sed -u s/a/b/", "sed -u s/b/a/"), ("smd-translate -m nodots -d LR", "perl x"), ("cat", "tac")]
        {
            assert!(matches!(parse(lr, rl).expect(lr).expect("a translation").how, How::External(_)), "{lr}");
        }
    }

    #[test]
    fn lines_that_make_no_sense_are_refused_by_number() {
        for (lr, rl, number, expected) in [
            ("smd-translate -m nodots", "", 3, "TRANSLATOR_LR is set, and TRANSLATOR_RL is not"),
            ("", "sed s/a/b/", 4, "TRANSLATOR_RL is set, and TRANSLATOR_LR is not"),
            ("smd-translate -m nodots", "smd-translate -m nodots2", 4, "must take back"),
            ("cat", "smd-translate -m nodots2", 4, "must take back"),
            ("smd-translate -m nodots -d RL", "smd-translate -m nodots -d RL", 3, "must be -d LR here"),
            ("smd-translate -m other", "cat", 3, "there is no mode `other`, only oimap-dovecot, default"),
            ("smd-translate -m", "cat", 3, "-m lacks a value"),
            ("smd-translate -x", "cat", 3, "no option `-x`"),
            ("smd-translate a b", "cat", 3, "one endpoint"),
            ("sed 's", "cat", 3, "never closed"),
            ("''", "cat", 3, "is empty"),
        ] {
            let (at, text) = parse(lr, rl).expect_err(lr);
            assert!(at == number && text.contains(expected), "{lr} {rl}: {at} {text}");
        }
    }
}
