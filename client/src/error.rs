//! What a person reads when a run fails: heading, causes, hint, and the exit code. All four are
//! decided in this one file.
//!
//! Headings and hints are sentences for a person; the errors of other rooms are lowercase parts of
//! them. A hint has a command to type and at most two lines.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use smd_protocol::names::printable;

use crate::args::{Command, Target};
use crate::config::ConfigError;
use crate::connect::explain::{self, Explanation};
use crate::connect::{Ending, StartError};
use crate::endpoint::{Endpoint, EndpointError};
use crate::exit::Exit;
use crate::home::SmdHome;
use crate::hooks::Failed;
use crate::looping::file::configured;
use crate::report::Host;
use crate::session::SessionError;

/// How many of the last lines of ssh's stderr are shown.
const SAID: usize = 5;

/// A failed run in words.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened: one sentence.
    pub heading: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to type.
    pub hint: Option<String>,
    /// Where it was, when reading or writing at a path of a host failed. Stays with who met it: JSON knows no path that is not UTF-8.
    #[serde(skip)]
    pub at: Option<(Host, PathBuf)>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, heading: impl Into<String>) -> Self {
        Self { exit, heading: heading.into(), causes: Vec::new(), hint: None, at: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn cause(mut self, error: &(dyn Error + 'static)) -> Self {
        self.causes.extend(chain(error));
        self
    }

    /// The endpoint cannot be used, or its template cannot be written.
    pub fn endpoint(target: &Target, which: Command, error: EndpointError) -> Self {
        let program = which.name();
        let name = match target {
            Target::Endpoint(name) if name != "default" => format!(" {name}"),
            _ => String::new(),
        };
        let failure = match &error {
            EndpointError::NoHome(_) => Self::new(Exit::Config, "Your home directory is not known.")
                .cause(&error)
                .hint("set HOME, or SMD_HOME for config and state"),
            EndpointError::Config(ConfigError::Missing(file)) => Self::new(
                Exit::Config,
                format!("There is no {}.", file.display()),
            )
            .hint(match configured(file.parent().unwrap_or(file)).as_slice() {
                [] => format!(
                    "write one and edit it: {program} -t{name}\n\
                     or name two Maildirs: {program} ~/Maildir user@host:Maildir"
                ),
                there => {
                    format!("write one and edit it: {program} -t{name}\nor use an existing one: {}", there.join(", "))
                }
            }),
            EndpointError::Config(ConfigError::Exists(file)) => {
                Self::new(Exit::Config, format!("{} exists already; nothing was written.", file.display()))
                    .hint("edit it, or remove it first")
            }
            EndpointError::Config(ConfigError::Io(..)) => {
                Self::new(Exit::Io, "The config file cannot be used.").cause(&error)
            }
            EndpointError::Config(_) | EndpointError::Exclude { .. } => {
                Self::new(Exit::Config, "The config file has an error.").cause(&error).hint(format!(
                    "correct it, then try it: smd-check-conf{name}\nevery key is explained in: man smd-config"
                ))
            }
            EndpointError::Overlap(_) => Self::new(Exit::Config, "Two mailbox roots overlap.").cause(&error),
            EndpointError::NoRoot(_) => {
                Self::new(Exit::Config, "This directory cannot be a mailbox root.").cause(&error)
            }
            EndpointError::Path(..) => {
                Self::new(Exit::Io, "A directory on this host cannot be looked at.").cause(&error)
            }
            EndpointError::EndpointAsPath(word) => Self::new(Exit::Usage, "Invalid command line.")
                .cause(&error)
                .hint(format!("for the endpoint: {program} {word}; for a directory: ./{word}")),
            EndpointError::Address(_) | EndpointError::Rsh(_) | EndpointError::RemoteCommand(_) => {
                Self::new(Exit::Usage, "Invalid command line.").cause(&error).hint(format!("{program} --help"))
            }
        };
        match &error {
            EndpointError::Config(ConfigError::Missing(_) | ConfigError::Io(..)) => failure.of_another_user(),
            _ => failure,
        }
    }

    /// Adds, as a cause, that the home is that of another user, if so.
    fn of_another_user(mut self) -> Self {
        self.causes.extend(SmdHome::from_env().ok().and_then(|home| home.of_another_user()));
        self
    }

    /// ssh, or the server on this host, cannot be started.
    pub fn start(error: &StartError) -> Self {
        let failure = Self::new(Exit::Io, "The connection cannot be started.").cause(error);
        match error.source.kind() {
            io::ErrorKind::NotFound => failure.hint(format!("install {}, or give --rsh CMD", error.program)),
            _ => failure,
        }
    }

    /// Signals cannot be caught.
    pub fn signals(error: &io::Error) -> Self {
        Self::new(Exit::Bug, "Signals cannot be caught.").cause(error)
    }

    /// A hook stopped the run before anything was looked at.
    pub fn hook(endpoint: &Endpoint, failed: &Failed) -> Self {
        let Failed { hook, fault } = failed;
        let causes = std::iter::once(format!("{}: {}", hook.shown(), fault.what));
        let said = fault.said.iter().skip(fault.said.len().saturating_sub(SAID)).cloned();
        let file = printable(hook.path.as_os_str().as_encoded_bytes());
        Self {
            causes: causes.chain(said).collect(),
            ..Self::new(Exit::Refused, "A pre hook stopped the run; nothing was done.")
        }
        .hint(format!("try the hook by itself: {file} {} {} {} 0", hook.when.word(), hook.way, endpoint.name))
    }

    /// The record of past runs cannot be read.
    pub fn runs(endpoint: &str, error: &io::Error) -> Self {
        Self::new(Exit::Io, format!("The past runs of {endpoint} cannot be read.")).cause(error)
    }

    /// A signal came before the session began.
    pub fn stopped(exit: Exit) -> Self {
        Self::new(exit, "Stopped by a signal; nothing was done.").hint("run again")
    }

    /// The session ended with an error; `stopped` is the exit code of a caught signal, `heard` says
    /// that stderr was passed on already.
    pub fn session(
        endpoint: &Endpoint,
        error: SessionError,
        ending: &Ending,
        stopped: Option<Exit>,
        heard: bool,
    ) -> Self {
        if let Some(exit) = stopped {
            return Self::new(exit, "Stopped by a signal; what was done is kept.").hint("run again to finish");
        }
        let said = |failure: Self| if heard { failure } else { failure.said(ending) };
        let server = printable(endpoint.server.as_bytes());
        match &error {
            SessionError::Lost { met, source } => {
                let explanation = match source {
                    Some(why) if *met && why.kind() == io::ErrorKind::TimedOut => explain::silent(endpoint),
                    _ => explain::explain(endpoint, ending, *met),
                };
                let words = explanation.words;
                let failure = match (Self::explained(explanation), source) {
                    // What the heading says already.
                    (failure, Some(why)) if *met && why.kind() != io::ErrorKind::TimedOut => failure.cause(why),
                    (failure, _) => failure,
                };
                if words { said(failure) } else { failure }
            }
            SessionError::Noise { first_bytes } => said(Self::explained(explain::noise(endpoint, first_bytes))),
            SessionError::Locked { .. } => Self::new(Exit::Locked, "Another run is using this Maildir.")
                .cause(&error)
                .hint("try again when it is done; nothing needs to be removed"),
            SessionError::Busy { .. } => {
                Self::new(Exit::Locked, format!("{server} has too many sessions of this host."))
                    .cause(&error)
                    .hint("try again when another run is done; nothing needs to be removed")
            }
            SessionError::Version { .. } => {
                let look = explain::look(endpoint, ending).map(|look| format!("; what is there: {look}"));
                Self::new(Exit::Protocol, format!("{server} has a different version of these programs."))
                    .cause(&error)
                    .hint(format!("install the same version on both hosts{}", look.unwrap_or_default()))
            }
            SessionError::Protocol { .. } => {
                said(Self::new(Exit::Protocol, format!("{server} broke the protocol.")).cause(&error))
                    .hint("run again; if it happens again, compare on both hosts: smd-sync --version")
            }
            SessionError::Reconnect => said(
                Self::new(Exit::Network, format!("{server} asks for another connection again and again."))
                    .cause(&error),
            )
            .hint("do its roots change all the time? run again when they rest"),
            SessionError::Refused { .. } => {
                let failure = said(Self::new(Exit::Refused, format!("{server} refused.")).cause(&error));
                let line = "the key's line in ~/.ssh/authorized_keys on";
                failure.hint(format!("{line} {server} says what it is for: man smd-restricted-shell"))
            }
            SessionError::Config { .. } => {
                let failure = Self::new(Exit::Config, "The endpoint cannot be used as it is configured.").cause(&error);
                match endpoint.home.config_file(&endpoint.name).exists() {
                    true => failure.hint(format!("see what to change: smd-check-conf {}", endpoint.name)),
                    false => failure,
                }
            }
            SessionError::Io { host, path, .. } => {
                // What has no path of its own is the state.
                let path = if path.is_absolute() { path.as_path() } else { endpoint.home.path() };
                let at = Some((*host, path.to_owned()));
                said(Self { at, ..Self::new(Exit::Io, "Reading or writing failed.").cause(&error) })
            }
            SessionError::Interrupted => {
                Self::new(Exit::Interrupted, "Stopped; what was done is kept.").hint("run again to finish")
            }
            SessionError::Bug { .. } => said(Self::new(Exit::Bug, "This is a bug in these programs.").cause(&error))
                .hint("please report it, with the output of the same command under SMD_LOG=debug"),
        }
    }

    fn explained(explanation: Explanation) -> Self {
        Self {
            exit: explanation.exit,
            heading: explanation.heading,
            causes: Vec::new(),
            hint: explanation.hint,
            at: None,
        }
    }

    /// Adds the last lines that ssh or the server wrote to stderr.
    fn said(mut self, ending: &Ending) -> Self {
        let skip = ending.stderr.len().saturating_sub(SAID);
        self.causes.extend(ending.stderr.iter().skip(skip).cloned());
        self
    }

    /// The failure as lines for stderr.
    pub fn render(&self, colored: bool) -> String {
        let mut text = format!("{} {}\n", paint(colored, "1;31", "Error:"), self.heading);
        for cause in &self.causes {
            text.push_str(&format!("  because: {cause}\n"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("{} {}\n", paint(colored, "1", "Hint:"), hint.replace('\n', "\n      ")));
        }
        text
    }
}

/// A word in an ANSI style.
pub(crate) fn paint(colored: bool, code: &str, word: &str) -> String {
    if colored { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
}

/// The texts of an error and of everything below it, without repetitions (a transparent error has
/// the text of its source).
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        texts.push(printable(error.to_string().as_bytes()));
        next = error.source();
    }
    texts.dedup();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::Endpoint("work".into())
    }

    #[test]
    fn a_missing_config_says_what_to_type() {
        let missing = EndpointError::Config(ConfigError::Missing(PathBuf::from("/home/me/.smd/config.work")));
        let failure = Failure::endpoint(&target(), Command::Pull, missing);
        assert_eq!(failure.exit, Exit::Config);
        insta::assert_snapshot!(failure.render(false), @r"
        Error: There is no /home/me/.smd/config.work.
        Hint: write one and edit it: smd-pull -t work
              or name two Maildirs: smd-pull ~/Maildir user@host:Maildir
        ");
    }

    #[test]
    fn a_timeout_is_told_as_the_silence_that_it_is_however_ssh_ended() {
        let endpoint = Endpoint {
            name: "x".into(),
            client: "here".into(),
            server: "office".into(),
            roots: Vec::new(),
            transport: crate::endpoint::Transport::Rsh {
                rsh: Vec::new(),
                destination: crate::address::Destination::parse(b"office").expect("a host"),
                command: None,
            },
            home: SmdHome::new("/smd", "/home/me"),
        };
        let ending = |status: Option<i32>| Ending {
            status: status.map(std::os::unix::process::ExitStatusExt::from_raw),
            stderr: Vec::new(),
            heard: crate::connect::Heard::Server,
            program: "smd-server".into(),
        };
        let lost = |kind: Option<io::ErrorKind>, status| {
            let error = SessionError::Lost { met: true, source: kind.map(io::Error::from) };
            let failure = Failure::session(&endpoint, error, &ending(status), None, false);
            assert_eq!(failure.exit, Exit::Network);
            failure.render(false)
        };
        for status in [None, Some(9), Some(255 << 8)] {
            insta::allow_duplicates! {
                insta::assert_snapshot!(lost(Some(io::ErrorKind::TimedOut), status), @r"
                Error: office stopped answering (60 s); the connection was closed.
                Hint: run again: what was done is kept
                ");
            }
        }
        let broken = lost(Some(io::ErrorKind::BrokenPipe), Some(255 << 8));
        assert!(broken.starts_with("Error: The connection to office was lost.\n  because: broken pipe"), "{broken}");
    }

    #[test]
    fn causes_are_named_once_each() {
        let error = ConfigError::Line { file: "c".into(), line: 3, text: "no".into() };
        let failure = Failure::endpoint(&target(), Command::Pull, error.into());
        assert_eq!(failure.causes, ["c, line 3: no"]);
        let error = ConfigError::Io("c".into(), io::Error::other("broken"));
        let failure = Failure::endpoint(&target(), Command::Pull, error.into());
        assert_eq!((failure.exit, failure.causes), (Exit::Io, vec!["c".to_owned(), "broken".to_owned()]));
    }

    #[test]
    fn colours_are_asked_for() {
        let failure = Failure::new(Exit::Bug, "x");
        assert_eq!(failure.render(false), "Error: x\n");
        assert!(failure.render(true).starts_with("\x1b[1;31mError:\x1b[0m"));
    }
}
