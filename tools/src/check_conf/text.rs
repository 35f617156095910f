//! What is said of a config: a table and sentences for a person, or one JSON object.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::report::json::{VERSION, object};
use smd_client::report::warnings::{self, Weight};
use smd_client::report::{Host, Report};
use smd_client::wrap;
use smd_protocol::Folder;
use smd_protocol::names::printable;

use super::compare::{Met, RootCheck, Row, State, idle_everywhere};

/// Letters in a line.
const WIDTH: usize = 80;
/// Letters of a name in the table.
const NAME: usize = 29;
/// Things met at a host that are named.
const NAMED: usize = 10;

/// Everything that is said.
pub struct Check<'a> {
    /// The endpoint's name.
    pub endpoint: &'a str,
    /// How this host is called.
    pub client: &'a str,
    /// How the other is called.
    pub server: &'a str,
    /// The version of the program there, if it says.
    pub server_version: Option<&'a str>,
    /// Its roots.
    pub roots: &'a [RootCheck],
    /// What a dry run came to, where one was made.
    pub rehearsed: Option<Result<Report, Box<Failure>>>,
}

impl Check<'_> {
    /// The code: whether a run would work. Where the run was asked, it is the judge; only what may not be written to it cannot
    /// know, since it writes nothing.
    pub fn exit(&self) -> Exit {
        match &self.rehearsed {
            Some(Ok(report))
                if report.exit() == Exit::Ok && self.roots.iter().any(|root| root.in_the_way().next().is_some()) =>
            {
                Exit::Config
            }
            Some(Ok(report)) => report.exit(),
            Some(Err(failure)) => failure.exit,
            None if !self.roots.iter().all(RootCheck::would_work) => Exit::Config,
            None if self.roots.iter().any(|root| root.met_in_a_run().next().is_some()) => Exit::Partly,
            None => Exit::Ok,
        }
    }

    /// Everything, for a person.
    pub fn listing(&self) -> String {
        let mut text = format!(
            "Versions: {} {}, {} {}\n",
            self.client,
            env!("CARGO_PKG_VERSION"),
            self.server,
            self.server_version.unwrap_or("an older one")
        );
        self.roots.iter().for_each(|root| text.push_str(&self.table(root)));
        text.push('\n');
        text.push_str(&self.advice());
        text
    }

    fn table(&self, root: &RootCheck) -> String {
        let (here, there) = (printable(&root.here), printable(&root.there));
        let mut text = String::from("\n");
        text.push_str(&line(&format!("{here} here"), &format!("{there} at {}", self.server), ""));
        for row in &root.rows {
            let name = |folder: &Option<Folder>| folder.as_ref().map_or_else(|| "-".to_owned(), Folder::to_string);
            let (state, pattern) = match &row.state {
                State::Both => ("both", None),
                State::OnlyHere => ("only here", None),
                State::OnlyThere => ("only there", None),
                State::LeftAlone(pattern) => ("left alone by", Some(pattern)),
                State::NoName(_) => ("NO NAME", None),
            };
            text.push_str(&line(&name(&row.here), &name(&row.there), state));
            if let Some(pattern) = pattern {
                text.push_str(&format!("      {pattern}\n"));
            }
        }
        for (absent, host, path) in [(root.absent[0], self.client, here), (root.absent[1], self.server, there)] {
            if absent {
                text.push_str(&wrapped("  ", &format!("{host} has no {path} yet")));
            }
        }
        for host in [Host::Client, Host::Server] {
            let called = if host == Host::Client { self.client } else { self.server };
            let met: Vec<String> = root.met(host).map(|trouble| told(&trouble.path, &trouble.text)).collect();
            met.iter().take(NAMED).for_each(|one| text.push_str(&wrapped("  ", &format!("at {called}: {one}"))));
            if met.len() > NAMED {
                text.push_str(&format!("  at {called}: and {} more; --json lists them all\n", met.len() - NAMED));
            }
        }
        text
    }

    /// What must be changed, and what may be.
    pub fn advice(&self) -> String {
        let mut text = String::new();
        for why in self.roots.iter().flat_map(|root| &root.rows).filter_map(no_name) {
            text.push_str(&wrapped("Change: ", why));
        }
        for root in self.roots.iter().filter(|root| root.absent == [true, true]) {
            // Two names may be meant for one.
            let blank = if self.roots.len() > 1 { " (a blank within a name is written %20)" } else { "" };
            let both =
                format!("neither host has {}; make one of them, or correct MAILBOX{blank}", printable(&root.here));
            text.push_str(&wrapped("Change: ", &both));
        }
        match &self.rehearsed {
            Some(outcome) => self.change(outcome, &mut text),
            None => {
                for trouble in self.roots.iter().flat_map(RootCheck::met_in_a_run) {
                    let called = if trouble.host == Host::Client { self.client } else { self.server };
                    text.push_str(&wrapped(
                        "Change: ",
                        &format!("at {called}: {}", told(&trouble.path, &trouble.text)),
                    ));
                }
            }
        }
        for (pattern, instead) in idle_everywhere(self.roots) {
            let instead =
                instead.map(|instead| format!("; if the folder of that name was meant, write {instead} in its place"));
            let note = format!("no folder matches the exclude pattern {pattern}{}", instead.unwrap_or_default());
            text.push_str(&wrapped("Note: ", &note));
        }
        text.push_str(&match (self.exit(), &self.rehearsed) {
            (Exit::Ok, Some(_)) => "A run would work.\n".to_owned(),
            (Exit::Ok, None) => {
                wrapped("", "A run would work, as far as folders tell; smd-sync -d reads the mail as well.")
            }
            (exit @ (Exit::Partly | Exit::Guard), _) => format!("A run would end with exit code {}.\n", exit.code()),
            _ => "A run would end with an error before it changes anything.\n".to_owned(),
        });
        text
    }

    /// What a dry run says that is not merely worth knowing.
    fn change(&self, outcome: &Result<Report, Box<Failure>>, text: &mut String) {
        match outcome {
            Ok(report) => {
                for warning in warnings::of(report).iter().filter(|warning| warning.weight != Weight::Note) {
                    let hint = warning.hint.as_ref().map(|hint| format!(" {hint}"));
                    text.push_str(&wrapped("Change: ", &format!("{}{}", warning.text, hint.unwrap_or_default())));
                }
            }
            // What has no name, or no root, is told of every folder already.
            Err(failure) if failure.exit == Exit::Config && !self.roots.iter().all(RootCheck::would_work) => {}
            Err(failure) => {
                let parts = std::iter::once(&failure.heading).chain(&failure.causes).chain(&failure.hint);
                text.push_str(&wrapped("Change: ", &parts.cloned().collect::<Vec<_>>().join(" ")));
            }
        }
    }

    /// The object.
    pub fn json(&self) -> Value {
        json!({
            "version": VERSION,
            "endpoint": self.endpoint,
            "client": self.client,
            "server": self.server,
            "client_version": env!("CARGO_PKG_VERSION"),
            "server_version": self.server_version,
            "exit": self.exit().code(),
            "dry_run": self.rehearsed.as_ref().map(rehearsed_object),
            "roots": self.roots.iter().map(root_object).collect::<Vec<_>>(),
            "idle_patterns": idle_everywhere(self.roots).into_keys().collect::<Vec<_>>(),
            "instead": idle_everywhere(self.roots).into_iter().filter(|(_, instead)| instead.is_some()).collect::<BTreeMap<_, _>>(),
        })
    }
}

fn rehearsed_object(outcome: &Result<Report, Box<Failure>>) -> Value {
    match outcome {
        Ok(report) => {
            let warnings = warnings::of(report).into_iter().filter(|warning| warning.weight != Weight::Note);
            json!({ "exit": report.exit().code(), "warnings": warnings.map(|warning| warning.text).collect::<Vec<_>>() })
        }
        Err(failure) => json!({ "exit": failure.exit.code(), "error": failure.heading, "causes": failure.causes }),
    }
}

fn no_name(row: &Row) -> Option<&str> {
    match &row.state {
        State::NoName(why) => Some(why),
        _ => None,
    }
}

fn told(path: &[u8], text: &str) -> String {
    let path = printable(path);
    if path.is_empty() || text.contains(&path) { text.to_owned() } else { format!("{path} {text}") }
}

/// A line of the table; a name that is too long is cut in the middle, where names differ least.
fn line(here: &str, there: &str, state: &str) -> String {
    let text = format!("  {:<NAME$}  {:<NAME$}  {state}", cut(here), cut(there));
    format!("{}\n", text.trim_end())
}

fn cut(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= NAME {
        return name.to_owned();
    }
    let (front, back) = (&letters[..NAME / 2], &letters[letters.len() - (NAME - NAME / 2 - 1)..]);
    front.iter().chain(&['…']).chain(back).collect()
}

/// A sentence in lines; those after the first are indented.
fn wrapped(first: &str, text: &str) -> String {
    wrap::lines(text, first, "    ", WIDTH) + "\n"
}

fn root_object(root: &RootCheck) -> Value {
    let row = |row: &Row| {
        let (state, by) = match &row.state {
            State::Both => ("both", None),
            State::OnlyHere => ("only-here", None),
            State::OnlyThere => ("only-there", None),
            State::LeftAlone(pattern) => ("left-alone", Some(pattern)),
            State::NoName(why) => ("no-name", Some(why)),
        };
        let names = [("here", &row.here), ("there", &row.there)];
        let names = names.into_iter().filter_map(|(key, folder)| Some((key, folder.as_ref()?.as_bytes())));
        object(json!({ "state": state, "because": by }), names)
    };
    let troubles = root.met.iter().map(|Met { trouble, .. }| {
        object(json!({ "host": trouble.host, "text": trouble.text }), [("path", trouble.path.as_slice())])
    });
    object(
        json!({
            "absent": { "here": root.absent[0], "there": root.absent[1] },
            "folders": root.rows.iter().map(row).collect::<Vec<_>>(),
            "troubles": troubles.collect::<Vec<_>>(),
        }),
        [("here", root.here.as_slice()), ("there", root.there.as_slice())],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use smd_client::report::Trouble;

    fn folder(path: &str) -> Option<Folder> {
        Some(Folder::parse(path.as_bytes()).expect("a folder"))
    }

    fn root() -> RootCheck {
        let row = |here: Option<Folder>, there: Option<Folder>, state| Row { here, there, state };
        let long = "a folder with a name that is longer than a column of the table is wide";
        RootCheck {
            here: b"Mail".to_vec(),
            path: b"/home/me/Mail".to_vec(),
            there: b"Maildir".to_vec(),
            absent: [false; 2],
            rows: vec![
                row(folder("INBOX"), folder(""), State::Both),
                row(folder("Drafts"), None, State::LeftAlone("Mail/Drafts".to_owned())),
                row(folder("Lists.a b"), folder(".Lists.a b"), State::OnlyThere),
                row(folder("Work"), folder(".Work"), State::OnlyHere),
                row(folder(long), folder(&format!(".{long}")), State::Both),
                row(None, folder("odd\n"), State::NoName("the folder Maildir/odd of the server has no name on this host by TRANSLATOR_RL, line 7 (smd-translate): it does not begin with a dot. Rename the folder".to_owned())),
            ],
            met: vec![Met {
                trouble: Trouble::new(Host::Client, b"/home/me/Mail/.notmuch", "is a symlink, which is not followed"),
                passed_by: true,
            }],
            idle_patterns: BTreeMap::from([("Mail/[Spam]".to_owned(), Some("Mail/%5BSpam%5D".to_owned()))]),
        }
    }

    fn check(roots: &[RootCheck]) -> Check<'_> {
        Check {
            endpoint: "work",
            client: "laptop",
            server: "office",
            server_version: Some("0.2.0"),
            roots,
            rehearsed: None,
        }
    }

    #[test]
    fn what_lies_where_a_run_needs_a_root_or_a_folder_is_said_and_no_run_would_work() {
        let mut fine = root();
        fine.rows.retain(|row| !matches!(row.state, State::NoName(_)));
        assert!(fine.would_work(), "a symlink beside the folders is in nobody's way");
        for (host, path) in [
            (Host::Client, "/home/me/Mail"),
            (Host::Server, "/srv/mail/Maildir"),
            (Host::Client, "/home/me/Mail/Lists.a b"),
            (Host::Server, "/srv/mail/Maildir/.Work"),
        ] {
            let mut root = fine.clone();
            root.met.push(Met { trouble: Trouble::new(host, path, "is a file"), passed_by: false });
            let roots = [root];
            let check = check(&roots);
            assert_eq!(check.exit(), Exit::Config, "{path}");
            assert!(check.advice().contains("Change: at ") && check.advice().contains(path), "{}", check.advice());
        }
        for (host, path) in [(Host::Server, "/home/me/Mail/Lists.a b"), (Host::Client, "/home/me/Mail/Work/x")] {
            let mut root = fine.clone();
            root.met.push(Met { trouble: Trouble::new(host, path, "is a file"), passed_by: false });
            assert!(root.would_work(), "{path}");
        }
    }

    #[test]
    fn the_table_fits_eighty_columns_and_says_what_to_change() {
        let roots = [root()];
        let listing = check(&roots).listing().replace(env!("CARGO_PKG_VERSION"), "0.2.0");
        assert!(listing.lines().all(|line| line.chars().count() <= WIDTH), "{listing}");
        insta::assert_snapshot!(listing, @r"
        Versions: laptop 0.2.0, office 0.2.0

          Mail here                      Maildir at office
          INBOX                          .                              both
          Drafts                         -                              left alone by
              Mail/Drafts
          Lists.a b                      .Lists.a b                     only there
          Work                           .Work                          only here
          a folder with … table is wide  .a folder with… table is wide  both
          -                              odd\x0a                        NO NAME
          at laptop: /home/me/Mail/.notmuch is a symlink, which is not followed

        Change: the folder Maildir/odd of the server has no name on this host by
            TRANSLATOR_RL, line 7 (smd-translate): it does not begin with a dot. Rename
            the folder
        Note: no folder matches the exclude pattern Mail/[Spam]; if the folder of that
            name was meant, write Mail/%5BSpam%5D in its place
        A run would end with an error before it changes anything.
        ");
        assert_eq!(check(&roots).exit(), Exit::Config);
    }

    #[test]
    fn a_run_works_with_what_is_left_alone_and_not_without_any_root() {
        let mut root = root();
        root.rows.pop();
        assert_eq!(check(&[root.clone()]).exit(), Exit::Ok);
        root.absent = [true, true];
        let roots = [root];
        assert_eq!(check(&roots).exit(), Exit::Config);
        assert!(check(&roots).advice().contains("neither host has Mail"), "{}", check(&roots).advice());
    }

    #[test]
    fn a_pattern_for_another_root_is_not_idle() {
        let (one, mut two) = (root(), root());
        two.idle_patterns.clear();
        assert!(idle_everywhere(&[one.clone(), one.clone()]).contains_key("Mail/[Spam]"));
        assert!(idle_everywhere(&[one, two]).is_empty());
    }
}
