//! A terminal of 80 by 24 in a tmux server of its own, and a shell in it with a plain prompt.
//!
//! The shell tells the server when it is about to prompt (`wait-for`), so that nothing here guesses how long a command takes.

use std::process::{Command, Output};

use smd_tests::processes::wait_until;

use crate::stage::MINE;

/// Columns and rows.
pub(crate) const SIZE: [&str; 2] = ["80", "24"];
const PROMPT: &str = "$ ";

/// What stood on the terminal.
#[derive(Debug)]
pub(crate) struct Capture {
    /// The lines as they were shown.
    pub(crate) plain: String,
    /// The same with escape sequences.
    pub(crate) colored: String,
    /// Lines that were longer than the terminal is wide.
    pub(crate) wrapped: usize,
}

/// The server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Tmux;

impl Tmux {
    /// Starts it with a shell.
    pub(crate) fn start() -> Self {
        let shell = "exec env HISTFILE= PS1='$ ' bash --noprofile --norc -i";
        let tmux = Self;
        let [columns, rows] = SIZE;
        tmux.run(&["new-session", "-d", "-x", columns, "-y", rows, "-s", "screens", shell]);
        tmux.run(&["set-option", "-g", "status", "off"]);
        tmux.run(&["resize-window", "-x", columns, "-y", rows]);
        tmux.prompted();
        tmux
    }

    /// An empty screen with a fresh shell.
    pub(crate) fn clear(&self) {
        self.run(&["respawn-window", "-k"]);
        self.prompted();
        self.run(&["clear-history"]);
    }

    /// Types a command and waits until the shell prompts again.
    pub(crate) fn run_command(&self, line: &str) {
        self.type_line(line);
        self.prompted();
    }

    /// Types a command.
    pub(crate) fn type_line(&self, line: &str) {
        self.run(&["send-keys", "-l", line]);
        self.run(&["send-keys", "Enter"]);
    }

    /// Presses a key.
    pub(crate) fn press(&self, key: &str) {
        self.run(&["send-keys", key]);
    }

    /// Waits until this stands somewhere on the screen.
    pub(crate) fn wait_for(&self, text: &str) {
        wait_until(&format!("{text:?} on the screen"), || self.shown(&["-J"]).contains(text).then_some(()));
    }

    /// Waits until a line that counts stands still between two looks.
    pub(crate) fn settled(&self) {
        // No event tells that nothing will follow; the bar draws itself anew five times a second.
        let count = || self.shown(&[]).split_whitespace().nth(4).map(str::to_owned);
        wait_until("the bar stands still", || {
            let before = count();
            std::thread::sleep(std::time::Duration::from_millis(1500));
            (before.is_some() && before == count()).then_some(())
        });
    }

    /// Waits for the shell's word, and then for the prompt to be drawn.
    pub(crate) fn prompted(&self) {
        self.run(&["wait-for", "prompt"]);
        wait_until("the prompt is drawn", || self.shown(&[]).ends_with(PROMPT.trim()).then_some(()));
    }

    /// Everything since the last [`Tmux::clear`], without a prompt at its end.
    pub(crate) fn capture(&self) -> Capture {
        let all = |options: &[&str]| {
            let text = self.shown(&[&["-S", "-"], options].concat());
            let text = text.strip_suffix(PROMPT.trim()).unwrap_or(&text);
            format!("{}\n", text.trim_end())
        };
        let (plain, joined) = (all(&[]), all(&["-J"]));
        let wrapped = plain.lines().count() - joined.lines().count();
        Capture { plain, colored: all(&["-e"]), wrapped }
    }

    fn shown(&self, options: &[&str]) -> String {
        let output = self.run(&[&["capture-pane", "-p"], options].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-L", "screens", "-f", "/dev/null"]).args(args).current_dir("/home/me").env_clear();
        command.envs([("HOME", "/home/me"), ("TMUX_TMPDIR", MINE), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")]);
        command.env("PATH", format!("{MINE}/shims:{MINE}/bin:/usr/bin:/bin"));
        command.env("PROMPT_COMMAND", "tmux wait-for -S prompt");
        let output = command.output().expect("tmux can be started");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}
