//! What reaches a terminal and what reaches a pipe: colours and wrapped lines are for people only.
//!
//! The terminal is that of `script` (util-linux); the screens themselves are looked at in `docs/SCREENS.md`.

use std::fs;
use std::process::Command;

use smd_tests::outcome::Outcome;
use smd_tests::programs;
use smd_tests::world::{Link, World, finish};

/// What every colour begins with.
const ESCAPE: char = '\x1b';
/// Runs of every kind that says something, with its exit code: an error, usage, a guard, nothing to do, and a tool's.
const ERROR: &[&str] = &["smd-sync", "Maildir", "nobody:Maildir"];
const USAGE: &[&str] = &["smd-sync", "--no-such-option"];
const GUARD: &[&str] = &["smd-sync", "Maildir", "../office/Maildir"];
const TOOL: &[&str] = &["smd-verify", "Maildir", "../office/nothing/there"];

/// A laptop whose Maildir is gone, so that a run warns.
fn world() -> World {
    let world = World::new(Link::Local);
    for number in 0..6 {
        fs::write(world.server().maildir().join("cur").join(format!("{number}.a:2,S")), "Subject: x\n\nbody\n")
            .expect("a message can be written");
    }
    finish(&mut run(&world, GUARD, &[])).ok();
    fs::rename(world.client().maildir(), world.client().home.join("away")).expect("a Maildir can be moved");
    world
}

/// A program with its output in pipes; the remote shell knows no host `nobody`.
fn run(world: &World, words: &[&str], options: &[&str]) -> Command {
    let mut command = world.command(words[0], world.client());
    command.env("TERM", "xterm").args(options).args(&words[1..]);
    if words == ERROR {
        command.arg("-e").arg(world.rsh_script());
    }
    command
}

/// The same on a terminal of 80 columns, which is where stdout and stderr go.
#[track_caller]
fn on_terminal(world: &World, words: &[&str], options: &[&str], variables: &[(&str, &str)]) -> String {
    let inner = run(world, words, options);
    let program = programs::path(words[0]).display().to_string();
    let line = inner.get_args().fold(program, |line, arg| format!("{line} '{}'", arg.display()));
    let mut outer = Command::new("script");
    outer.args(["-q", "-e", "-c", &format!("stty cols 80 rows 24; {line}"), "/dev/null"]);
    outer.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.env("SHELL", "/bin/sh").envs(variables.iter().copied()).current_dir(&world.client().home);
    let output = outer.output().expect("script can be started; install it with: sudo apt-get install bsdutils");
    Outcome::new(line, &output).stdout.replace('\r', "")
}

#[test]
fn nothing_in_a_pipe_is_coloured_or_broken_into_lines() {
    let world = world();
    for words in [ERROR, USAGE, GUARD, TOOL] {
        for options in [&[][..], &["-v"]] {
            let outcome = finish(&mut run(&world, words, options));
            assert!(!outcome.stdout.contains(ESCAPE) && !outcome.stderr.contains(ESCAPE), "{outcome}");
            assert!(!outcome.stderr.is_empty(), "this was to say something\n{outcome}");
        }
    }
    let guard = finish(&mut run(&world, GUARD, &[]));
    assert!(guard.stderr.lines().any(|line| line.len() > 100), "a warning is one line\n{guard}");
}

#[test]
fn a_terminal_has_colours_unless_they_are_unwanted() {
    let world = world();
    for words in [ERROR, GUARD, TOOL] {
        let shown = on_terminal(&world, words, &[], &[]);
        assert!(shown.contains("\x1b[1;3"), "{words:?}: {shown}");
        for (options, variables) in [
            (&["--color", "never"][..], &[][..]),
            (&[], &[("NO_COLOR", "1")]),
            (&[], &[("TERM", "dumb")]),
            (&["--color", "auto"], &[("NO_COLOR", "1")]),
        ] {
            let shown = on_terminal(&world, words, options, variables);
            assert!(!shown.contains(ESCAPE), "{words:?} {options:?} {variables:?}: {shown}");
        }
        // An empty NO_COLOR is none; what is asked for by name is given, also to a pipe.
        assert!(on_terminal(&world, words, &[], &[("NO_COLOR", "")]).contains(ESCAPE));
        let outcome = finish(run(&world, words, &["--color", "always"]).env("NO_COLOR", "1"));
        assert!(outcome.stderr.contains(ESCAPE) && !outcome.stdout.contains(ESCAPE), "{outcome}");
    }
}

#[test]
fn sentences_on_a_terminal_are_broken_at_blanks() {
    let world = world();
    let shown = on_terminal(&world, GUARD, &["--color", "never"], &[]);
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (piped, mut there) = (finish(&mut run(&world, GUARD, &[])), Vec::new());
    shown.lines().for_each(|line| there.extend(words(line)));
    assert!(shown.lines().all(|line| line.chars().count() <= 80 || !line.trim().contains(' ')), "{shown}");
    let all = words(&piped.stderr);
    assert!(there.windows(all.len()).any(|part| part == all), "every word is there, whole\n{shown}\n{piped}");
}
