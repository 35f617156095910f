//! The table of all man pages. A new command gets a row and a text, and `papers` writes its page and its completions.

use smd_client::Command;
use smd_client::exit::Exit;

use crate::completions::Words;

/// One man page.
pub(crate) struct Page {
    /// The page's name: that of the command, or of the format.
    pub(crate) name: &'static str,
    /// Its section: 1, 5 or 8.
    pub(crate) section: &'static str,
    /// One line, for a page without a command.
    pub(crate) about: &'static str,
    /// The command line, for a command that has one.
    pub(crate) command: Option<clap::Command>,
    /// What it takes beside options.
    pub(crate) words: Words,
    /// What is said beside options and exit codes, in the markup of `markup`.
    pub(crate) text: &'static str,
}

/// All of them.
pub(crate) fn all() -> Vec<Page> {
    let command =
        |name, command, words, text| Page { name, section: "1", about: "", command: Some(command), words, text };
    let other = |name, section, about, text| Page { name, section, about, command: None, words: Words::Files, text };
    let hosts = Words::EndpointsAndHosts;
    let run = |which: Command, text| command(which.name(), smd_client::args::command(which), hosts, text);
    vec![
        run(Command::Pull, include_str!("text/smd-pull.txt")),
        run(Command::Push, include_str!("text/smd-push.txt")),
        run(Command::Sync, include_str!("text/smd-sync.txt")),
        command("smd-loop", smd_client::looping::args::command(), Words::Endpoints, include_str!("text/smd-loop.txt")),
        command(
            "smd-undo",
            smd_tools::undo::args::command(),
            Words::EndpointsAndRuns,
            include_str!("text/smd-undo.txt"),
        ),
        command("smd-verify", smd_tools::verify::args::command(), hosts, include_str!("text/smd-verify.txt")),
        command(
            "smd-check-conf",
            smd_tools::check_conf::args::command(),
            hosts,
            include_str!("text/smd-check-conf.txt"),
        ),
        command(
            "smd-translate",
            smd_tools::translate::args::command(),
            Words::Endpoints,
            include_str!("text/smd-translate.txt"),
        ),
        command(
            "smd-strip-header",
            smd_tools::strip_header::args::command(),
            Words::Files,
            include_str!("text/smd-strip-header.txt"),
        ),
        command(
            "smd-uniform-names",
            smd_tools::uniform_names::args::command(),
            hosts,
            include_str!("text/smd-uniform-names.txt"),
        ),
        command("smd-dedup", smd_tools::dedup::args::command(), Words::Files, include_str!("text/smd-dedup.txt")),
        command("smd-allow", smd_tools::allow::args::command(), Words::Files, include_str!("text/smd-allow.txt")),
        command("mddiff", smd_tools::mddiff::args::command(), Words::Files, include_str!("text/mddiff.txt")),
        command(
            "smd-restricted-shell",
            smd_server::shell::args::command(),
            Words::Files,
            include_str!("text/smd-restricted-shell.txt"),
        ),
        other("smd-server", "1", "The far end of smd-sync, which ssh runs.", include_str!("text/smd-server.txt")),
        other("smd-config", "5", "The config file of an endpoint of smd-sync.", include_str!("text/smd-config.txt")),
        other("smd-loop", "5", "What smd-loop runs, and how often.", include_str!("text/smd-loop.5.txt")),
    ]
}

/// Exit codes with their meaning, for the pages of runs.
pub(crate) fn exits() -> impl Iterator<Item = (u8, &'static str)> {
    Exit::ALL.into_iter().map(|exit| (exit.code(), exit.sentence()))
}
