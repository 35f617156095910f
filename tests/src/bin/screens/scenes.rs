//! What happens on the stage, screen by screen.

use std::fs;

use serde_json::Value;
use smd_tests::processes::{runs, signal};

use crate::page::Page;
use crate::stage::{Stage, file_under, files};
use crate::tmux::Tmux;

/// Where the slow link stops for the picture.
const HALF: u64 = 14 << 20;
const SIZE: usize = 200 << 10;

struct Show {
    stage: Stage,
    tmux: Tmux,
    page: Page,
    replaced: Vec<(String, &'static str)>,
}

impl Show {
    /// Commands on a fresh screen.
    fn screen(&mut self, sentence: &str, commands: &[&str]) {
        self.tmux.clear();
        commands.iter().for_each(|command| self.tmux.run_command(command));
        self.shot(sentence);
    }

    fn shot(&mut self, sentence: &str) {
        self.page.add(sentence, &self.tmux.capture(), &self.replaced);
    }

    /// Both hosts with the same forty messages.
    fn furnished(&mut self) {
        self.stage.empty();
        self.stage.furnish();
        self.stage.quietly("smd-sync", &["-q"]);
    }
}

/// All screens, as the page.
pub(crate) fn all() -> String {
    let stage = Stage::set();
    let mut show = Show { stage, tmux: Tmux::start(), page: Page::new(), replaced: Vec::new() };
    everyday(&mut show);
    dry_runs(&mut show);
    two_sides(&mut show);
    trouble(&mut show);
    guards(&mut show);
    tools(&mut show);
    the_loop(&mut show);
    show.page.chapter("Help");
    show.screen("Options, examples and exit codes.", &["smd-sync --help"]);
    show.screen("A slip of the fingers.", &["smd-sync --dryrun", "echo $?"]);
    show.page.finish()
}

fn everyday(show: &mut Show) {
    show.page.chapter("Every day");
    show.stage.empty();
    fs::remove_dir_all(show.stage.laptop(".smd")).expect("it is there");
    show.screen("Nothing is configured yet.", &["smd-sync", "echo $?"]);
    show.stage.empty();
    let root = show.stage.office("Maildir");
    for number in 0..120 {
        show.stage.message(&root, ["", ".Lists.rust", ".Work"][number % 3], Some("S"), SIZE);
    }
    show.stage.slow_down(HALF);
    show.tmux.clear();
    show.tmux.type_line("smd-sync");
    show.tmux.wait_for("applying [");
    // What went through the gate arrives; then nothing moves any more.
    show.stage.wait_at_gate();
    show.tmux.settled();
    show.shot("A first sync under way: a bar appears when a run takes longer than a second.");
    show.stage.open_gate();
    show.tmux.prompted();
    show.shot("The same when it is done: nothing of the bar is left.");
    show.stage.full_speed();
    show.screen("Nothing to do.", &["smd-sync", "smd-sync -q", "smd-sync | cat"]);
    show.furnished();
    let (here, there) = (show.stage.laptop("Maildir"), show.stage.office("Maildir"));
    show.stage.message(&there, ".Work", None, 2000);
    show.stage.message(&there, "", None, 2000);
    let work = files(&here, ".Work");
    fs::remove_file(&work[0]).expect("a message can go");
    file_under(&work[1], &here, ".Archive");
    let name = work[3].display().to_string();
    fs::rename(&work[3], name.replace("2,", "2,F")).expect("a flag can be set");
    show.screen(
        "`-v` names every message: `pull` is what was done here, `push` what was done at the other host.",
        &["smd-sync -v"],
    );
}

fn dry_runs(show: &mut Show) {
    show.page.chapter("What would happen?");
    show.furnished();
    let (here, there) = (show.stage.laptop("Maildir"), show.stage.office("Maildir"));
    show.stage.message(&there, ".Work", None, 2000);
    let work = files(&here, ".Work");
    fs::remove_file(&work[0]).expect("a message can go");
    file_under(&work[1], &here, ".Archive");
    show.screen("A dry run with few changes.", &["smd-sync -d"]);
    show.furnished();
    for number in 0..400 {
        show.stage.message(
            &there,
            [".Lists.rust", ".Lists.mutt", ".Work.Reports", ".Trips.2025"][number % 4],
            Some("S"),
            900,
        );
    }
    for message in files(&here, "").iter().take(5) {
        fs::remove_file(message).expect("a message can go");
    }
    show.screen("A dry run with many: folders and numbers, and by name only what would be deleted.", &["smd-sync -d"]);
}

fn two_sides(show: &mut Show) {
    show.page.chapter("Both sides changed something");
    show.furnished();
    let (here, there) = (show.stage.laptop("Maildir"), show.stage.office("Maildir"));
    for (root, text) in [(&here, "as at the laptop"), (&there, "as at the office")] {
        let path = files(root, ".Work")[2].clone();
        let new = path.with_file_name("edited");
        fs::write(&new, format!("Subject: {text}\n\nbody\n")).expect("a message can be edited");
        fs::rename(&new, &path).expect("a message can be edited");
    }
    show.screen("A message was edited on both hosts: both are kept.", &["smd-sync", "echo $?"]);
    show.furnished();
    file_under(&files(&here, ".Work")[2], &here, ".Archive");
    file_under(&files(&there, ".Work")[2], &there, ".Later");
    show.screen("A message was moved on both hosts.", &["smd-sync", "echo $?"]);
}

fn trouble(show: &mut Show) {
    show.page.chapter("The other host");
    show.furnished();
    show.screen("A name that is not known.", &["smd-sync Maildir offcie:Maildir", "echo $?"]);
    show.screen("Nobody listens there.", &["smd-sync Maildir cellar:Maildir", "echo $?"]);
    show.screen("The program is not there.", &["smd-sync Maildir attic:Maildir", "echo $?"]);
    show.screen("A host key that nobody has looked at.", &["smd-sync Maildir porch:Maildir", "echo $?"]);
    fs::rename(show.stage.office("Maildir"), show.stage.office("away")).expect("it can be moved");
    show.screen("The Maildir is not there: perhaps a disk that is not mounted.", &["smd-sync", "echo $?"]);
    fs::rename(show.stage.office("away"), show.stage.office("Maildir")).expect("it can be moved");
    fs::rename(show.stage.laptop("Maildir"), show.stage.laptop("away")).expect("it can be moved");
    show.screen("The same on this host.", &["smd-sync", "echo $?"]);
}

fn guards(show: &mut Show) {
    show.page.chapter("Many deletions are questioned");
    for way in ["--allow-bulk-delete", "--adopt"] {
        show.furnished();
        let here = show.stage.laptop("Maildir");
        for folder in [".Lists.rust", ".Work", ".Work.Invoices"] {
            files(&here, folder).iter().for_each(|message| fs::remove_file(message).expect("a message can go"));
        }
        if way == "--adopt" {
            show.screen("They were not meant.", &["smd-sync --adopt", "echo $?"]);
        } else {
            show.screen("Thirty of forty messages are gone.", &["smd-sync", "echo $?"]);
            show.screen("They were meant.", &["smd-sync --allow-bulk-delete", "echo $?"]);
        }
    }
}

fn tools(show: &mut Show) {
    show.page.chapter("Back from the grave");
    show.furnished();
    let (here, there) = (show.stage.laptop("Maildir"), show.stage.office("Maildir"));
    let work = files(&there, ".Work");
    work.iter().take(3).for_each(|message| fs::remove_file(message).expect("a message can go"));
    show.stage.quietly("smd-sync", &["-q"]);
    let listed: Value = serde_json::from_str(&show.stage.quietly("smd-undo", &["--json"])).expect("JSON");
    let number = listed["runs"][0]["run"].to_string().trim_matches('"').to_owned();
    show.replaced.push((number.clone(), "48291"));
    let look = format!("smd-undo -l {number}");
    show.screen("What was deleted on this host by runs, and one of them.", &["smd-undo", &look]);
    show.screen("Back again.", &[&format!("smd-undo {number}"), "smd-sync"]);

    show.page.chapter("Are both hosts equal?");
    show.screen("They are.", &["smd-verify", "echo $?"]);
    fs::remove_file(&files(&here, ".Work")[0]).expect("a message can go");
    let path = files(&there, "")[0].clone();
    let mut bytes = fs::read(&path).expect("a message");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(&path, bytes).expect("a message");
    let name = files(&here, "")[4].display().to_string();
    fs::rename(&name, name.replace(":2,", ":2,F").replace("/new/", "/cur/")).expect("a flag can be set");
    show.screen("They are not.", &["smd-verify", "echo $?"]);

    show.page.chapter("Is the config right?");
    show.furnished();
    show.stage.endpoint("default", "EXCLUDE=.Trash .Spam\n");
    show.screen("A line of it has an error.", &["smd-check-conf", "echo $?"]);
    show.stage.message(&there, ".Trash", Some("S"), 900);
    show.stage.message(&here, ".Drafts", Some("DS"), 900);
    show.stage.endpoint("default", "EXCLUDE=\".Trash .Spam\"\n");
    show.screen("A config that works.", &["smd-check-conf", "echo $?"]);
    let translated = "MAILBOX_LOCAL=Mail\nMAILBOX_REMOTE=Maildir\n\
                      TRANSLATOR_LR=\"smd-translate -m nodots -d LR default\"\n\
                      TRANSLATOR_RL=\"smd-translate -m nodots -d RL default\"\n";
    show.stage.plain_endpoint("default", translated);
    show.screen("Folders with other names on the two hosts.", &["smd-check-conf", "echo $?"]);
}

fn the_loop(show: &mut Show) {
    show.page.chapter("All the time");
    show.furnished();
    let there = show.stage.office("Maildir");
    show.tmux.clear();
    show.tmux.type_line("smd-loop -v default");
    show.stage.watched();
    show.stage.message(&there, ".Work", None, 2000);
    show.tmux.wait_for("1 new");
    show.tmux.press("C-c");
    show.tmux.prompted();
    show.shot("A message arrives at the office while the loop watches; then Ctrl-C.");
    let mut child = show.stage.start("smd-loop", &["default"]);
    show.stage.watched();
    show.screen("The status of the loop, asked from another terminal.", &["smd-loop --status", "smd-sync"]);
    assert!(runs(child.id()) && signal(child.id(), rustix::process::Signal::TERM), "the loop runs");
    child.wait().expect("the loop ends");
    show.furnished();
    show.stage.message(&there, ".Work", None, 2000);
    show.stage.quietly("smd-sync", &["-q"]);
    show.stage.quietly("smd-pull", &["-q"]);
    fs::rename(&there, show.stage.office("away")).expect("it can be moved");
    show.stage.quietly("smd-sync", &["-q"]);
    show.screen("How the last runs went.", &["smd-sync --status"]);
}
