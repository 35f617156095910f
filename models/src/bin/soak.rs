//! Plays random cases for a given time or number, on all cores: `soak 1h`, `soak 5m`, `soak 20000`, and `soak =SEED` for
//! one case, which it says in the words of a scenario, ready to be kept. Prints a line a minute, and in the end what was tried; fails when a promise was broken.
//!
//! Deliberately not here: what a case is (`smd_models::model`).

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use smd_models::model::many::{catch_panics, many, play_safely, report_case};
use smd_models::model::play::in_words;
use smd_models::model::{Case, Figures};

fn main() -> ExitCode {
    catch_panics();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(amount) = args.first() else {
        eprintln!("usage: soak 1h|5m|30s|COUNT|=SEED [FIRST-SEED]");
        return ExitCode::from(2);
    };
    if let Some(seed) = amount.strip_prefix('=').and_then(|seed| seed.parse().ok()) {
        let case = Case::random(seed);
        return match play_safely(&(&case).into()) {
            Ok(figures) => {
                let [tried, forgiven] = figures.lines();
                let words = in_words(&(&case).into()).0.to_string();
                say(&[format!("seed {seed}: nothing is broken"), tried, forgiven, words])
            }
            Err(broken) => say(&[report_case(&case, &broken)]) | 1,
        }
        .into();
    }
    let first = args.get(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let (number, unit) = amount.split_at(amount.trim_end_matches(char::is_alphabetic).len());
    let Ok(number) = number.parse::<u64>() else {
        eprintln!("soak: {amount} is neither a time nor a number");
        return ExitCode::from(2);
    };
    let time = match unit {
        "h" => Some(number * 3600),
        "m" => Some(number * 60),
        "s" => Some(number),
        _ => None,
    };
    let start = Instant::now();
    let said = Mutex::new(0);
    let enough = |figures: &Figures| {
        let minutes = start.elapsed().as_secs() / 60;
        let mut said = said.lock().expect("nobody panics with it");
        if minutes > *said {
            *said = minutes;
            say(&[line(minutes, figures)]);
        }
        time.is_some_and(|seconds| start.elapsed() >= Duration::from_secs(seconds))
    };
    let seeds = first..if time.is_some() { u64::MAX } else { first.saturating_add(number) };
    let (figures, failures) = many(seeds, enough, |report| {
        say(&[report.to_owned()]);
    });
    let [_, forgiven] = figures.lines();
    say(&[line(start.elapsed().as_secs() / 60, &figures), forgiven, format!("violations: {failures}")]);
    ExitCode::from(u8::from(failures > 0))
}

fn line(minutes: u64, figures: &Figures) -> String {
    let Figures { sequences, runs, faults, looks, .. } = figures;
    format!("{minutes:4} min: {sequences} sequences, {runs} sessions, {faults} faults, {looks} looks between calls")
}

/// Says it on stdout, line by line. Gives the exit code of success.
fn say(lines: &[String]) -> u8 {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    for line in lines {
        // Nobody is left to tell when stdout is closed.
        let _ = writeln!(out, "{line}");
    }
    0
}
