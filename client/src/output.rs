//! What reaches the terminal or a pipe: results on stdout, everything else on stderr.
//!
//! Deliberately not here: the wording ([`crate::report`], [`crate::error`]). A closed stdout or
//! stderr is nobody's fault and changes no exit code: the mail is where it should be. A result that the
//! other end would have read, and that could not be written (a full disk), does: whoever reads it must know ([`Output::end`]).

use std::env;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use jiff::tz::TimeZone;
use smd_protocol::names::printable;

use smd_protocol::told::json_line;

use crate::args::{Color, Command, Typed};
use crate::connect::{Note, Told};
use crate::endpoint::{Resolved, Voice};
use crate::error::Failure;
use crate::exit::Exit;
use crate::log::frames;
use crate::log::past::{self, Past};
use crate::report::warnings::{self, Weight};
use crate::report::{Report, items, json, summary, tags};
use crate::wrap;

/// The variable that filters what goes to stderr in detail, for instance `SMD_LOG=debug`.
const LOG: &str = "SMD_LOG";

/// Where and how a run talks.
#[derive(Clone, Debug)]
pub struct Output {
    voice: Voice,
    verbose: u8,
    watched: bool,
    colored: bool,
    /// Why a result could not be written; clones share it.
    unsaid: Arc<OnceLock<String>>,
}

impl Output {
    /// As typed; [`Output::adjust`] adds what the config says.
    pub fn new(typed: &Typed) -> Self {
        let colored = match typed.color.unwrap_or_default() {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                io::stderr().is_terminal() && !unwanted && env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        let (watched, unsaid) = (io::stdout().is_terminal(), Arc::default());
        Self { voice: typed.into(), verbose: typed.verbose, watched, colored, unsaid }
    }

    /// Adds what the config says, warns of what a person should know first, and starts the log.
    pub fn adjust(&mut self, resolved: &Resolved) {
        self.voice = resolved.voice.clone();
        self.verbose = resolved.options.verbose;
        self.log(self.voice.debug);
        if !self.voice.quiet {
            resolved.warnings.iter().for_each(|warning| self.warn(warning, None));
        }
    }

    /// Starts the log on stderr when the environment asks for it, and the frames in the endpoint's log with `debug`.
    pub fn log(&self, debug: bool) {
        let filter = env::var(LOG).ok();
        if filter.is_some() || debug {
            frames::start(filter.as_deref(), self.colored);
        }
    }

    /// Prints the last runs of an endpoint.
    pub fn status(&self, endpoint: &str, runs: &[Past]) -> Exit {
        if self.voice.json {
            self.say(&format!("{}\n", past::value(endpoint, runs)));
        } else {
            self.say(&past::table(endpoint, runs, &TimeZone::system()));
        }
        Exit::Ok
    }

    /// Whether only errors are to be said.
    pub fn quiet(&self) -> bool {
        self.voice.quiet
    }

    /// Whether a progress bar is welcome. Lines that the server's stderr adds would tear it.
    pub fn progress(&self) -> bool {
        !self.voice.quiet && self.verbose == 0
    }

    /// Prints a report and returns its exit code.
    pub fn report(&self, report: &Report) -> Exit {
        if let (1.., Some(sandbox)) = (self.verbose, &report.sandbox) {
            self.note(&format!("sandbox of the server at {}: {sandbox}", printable(report.server.as_bytes())));
        }
        self.say(&wrap::fit(&self.results(report), wrap::width(io::stdout()).filter(|_| !self.machine())));
        for warning in warnings::of(report) {
            if !(warning.weight == Weight::Note && (self.voice.quiet || self.voice.json || self.voice.tags)) {
                self.say_aside(warning.weight, &warning.text, warning.hint.as_deref());
            }
        }
        report.exit()
    }

    /// Prints why a run failed and returns its exit code.
    pub fn failure(&self, failure: &Failure) -> Exit {
        if self.voice.json {
            let object = json::failure(failure.exit, &failure.heading, &failure.causes, failure.hint.as_deref());
            self.say(&json_line(&object));
        }
        self.complain(&failure.render(self.colored));
        failure.exit
    }

    /// Says that a template was written, and what to do with it.
    pub fn template(&self, which: Command, name: &str, path: &Path) -> Exit {
        if !self.voice.quiet {
            let program = which.name();
            let argument = if name == "default" { String::new() } else { format!(" {name}") };
            self.say(&format!(
                "{} written; edit it, then try it: smd-check-conf{argument}; then: {program}{argument}\n",
                path.display()
            ));
        }
        Exit::Ok
    }

    /// Whether a program reads stdout.
    fn machine(&self) -> bool {
        self.voice.json || self.voice.tags
    }

    fn results(&self, report: &Report) -> String {
        if self.voice.json {
            return json_line(&json::value(report));
        }
        if self.voice.tags {
            return format!("{}\n", tags::line(report));
        }
        if self.voice.quiet {
            return String::new();
        }
        let mut text = match (self.verbose, report.dry_run) {
            (0, true) => items::dry_run(report),
            (0, false) => String::new(),
            _ => items::each(report),
        };
        if let Some(line) = summary::line(report, self.watched || self.verbose > 0) {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// Prints a line to stderr that is good to know while one waits.
    pub fn note(&self, text: &str) {
        if !self.quiet() {
            self.complain(&format!("{text}\n"));
        }
    }

    /// Says what a person may want to know while a connection is made: always what is waited for, and where the server was
    /// found with `found`. No bar is drawn before the server has spoken.
    pub fn notes_while_connecting(self, found: bool) -> Told {
        Box::new(move |note| match note {
            Note::Waiting(text) => self.note(text),
            Note::Found(text) if found => self.note(text),
            Note::Found(_) => {}
        })
    }

    /// Prints a warning, and what to do about it.
    pub fn warn(&self, text: &str, hint: Option<&str>) {
        self.say_aside(Weight::Warning, text, hint);
    }

    fn say_aside(&self, weight: Weight, text: &str, hint: Option<&str>) {
        let code = if weight == Weight::Note { "1" } else { "1;33" };
        let mut block = format!("{} {text}\n", self.paint(code, weight.word()));
        if let Some(hint) = hint {
            block.push_str(&format!("{} {hint}\n", self.paint("1", "Hint:")));
        }
        self.complain(&block);
    }

    fn paint(&self, code: &str, word: &str) -> String {
        crate::error::paint(self.colored, code, word)
    }

    /// Prints a result to stdout.
    pub fn say(&self, text: &str) {
        self.say_bytes(text.as_bytes());
    }

    /// Prints a result that is not of UTF-8 alone to stdout.
    pub fn say_bytes(&self, bytes: &[u8]) {
        self.said(&mut io::stdout().lock(), bytes);
    }

    fn said(&self, out: &mut impl Write, bytes: &[u8]) {
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                // The first one is told.
                let _ = self.unsaid.set(error.to_string());
            }
            _ => {}
        }
    }

    /// The exit code of a program whose results went through this output, or a clone of it: success is none when a result
    /// could not be written, and that is said.
    pub fn end(&self, exit: Exit) -> ExitCode {
        let Some(why) = self.unsaid.get() else { return exit.into() };
        self.warn(&format!("the result cannot be written to stdout: {why}."), None);
        match exit {
            Exit::Ok => Exit::Io.into(),
            exit => exit.into(),
        }
    }

    fn complain(&self, text: &str) {
        let text = wrap::fit(text, wrap::width(io::stderr()));
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Counts, Fate, Host, Item, Kind, RootReport};

    fn output(change: impl FnOnce(&mut Output)) -> Output {
        let voice = Voice::default();
        let mut output = Output { voice, verbose: 0, watched: false, colored: false, unsaid: Arc::default() };
        change(&mut output);
        output
    }

    fn report(dry_run: bool) -> Report {
        let item = Item {
            host: Host::Client,
            kind: Kind::New,
            folder: Vec::new(),
            uniq: b"1".to_vec(),
            detail: Vec::new(),
            fate: Fate::Done,
        };
        let pulled = Counts { new: 1, ..Counts::default() };
        let root = RootReport { root: b"M".to_vec(), pulled, items: vec![item], ..RootReport::default() };
        Report { server: "host".into(), client: "here".into(), roots: vec![root], dry_run, ..Report::default() }
    }

    #[test]
    fn a_run_prints_one_line() {
        assert_eq!(output(|_| ()).results(&report(false)), "pulled 1 new message from host in 0.00 s (0 B)\n");
        assert_eq!(output(|_| ()).results(&Report::default()), "");
    }

    #[test]
    fn a_dry_run_prints_folders_and_with_v_messages() {
        let brief = output(|_| ()).results(&report(true));
        assert_eq!(
            brief,
            "at this host, here:\n  M: 1 new message\nwould pull 1 new message from host; checked in 0.00 s\n"
        );
        assert!(output(|output| output.verbose = 1).results(&report(true)).starts_with("pull new            M 1\n"));
    }

    #[test]
    fn a_result_that_cannot_be_written_is_no_success_and_a_closed_pipe_is() {
        struct Broken(io::ErrorKind);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let shown = |code: ExitCode| format!("{code:?}");
        let (output, clone) = (output(|_| ()), output(|_| ()));
        output.said(&mut Broken(io::ErrorKind::BrokenPipe), b"{}");
        assert_eq!(shown(output.end(Exit::Ok)), shown(Exit::Ok.into()));
        let clone = Output { unsaid: Arc::clone(&output.unsaid), ..clone };
        clone.said(&mut Broken(io::ErrorKind::StorageFull), b"{}");
        assert_eq!(shown(output.end(Exit::Ok)), shown(Exit::Io.into()));
        assert_eq!(shown(output.end(Exit::Guard)), shown(Exit::Guard.into()));
    }

    #[test]
    fn machine_formats_are_alone_on_stdout() {
        assert_eq!(output(|output| output.voice.tags = true).results(&report(false)).lines().count(), 1);
        let text = output(|output| output.voice.json = true).results(&report(false));
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        assert_eq!(output(|output| output.voice.quiet = true).results(&report(false)), "");
    }
}
