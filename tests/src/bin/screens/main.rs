//! What people see: every screen of `docs/SCREENS.md`, made by typing the commands into a terminal of 80 by 24.
//!
//! ```text
//! cargo run -p smd-tests --bin screens            # writes docs/SCREENS.md
//! cargo run -p smd-tests --bin screens -- -       # to stdout
//! ```
//!
//! It needs tmux, sshd and a mount namespace (root, or user namespaces). Times, process numbers, ports and the numbers of
//! runs are replaced by fixed ones, so the page changes only when a program does. Lines that the terminal had to wrap and
//! outputs that do not fit on the screen are told on stderr.
//!
//! Deliberately not here: a judgement. Somebody looks at the page.

mod page;
mod plain;
mod scenes;
mod stage;
mod tmux;

use std::fs;
use std::io::Write as _;
use std::process::{Command, ExitCode, Stdio};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["--relay", port, bytes] => stage::relay(port, bytes),
        [] | ["-"] => {}
        _ => {
            complain("usage: screens [-]");
            return ExitCode::from(2);
        }
    }
    let tmux = Command::new("tmux").arg("-V").stdout(Stdio::null()).status();
    if !tmux.is_ok_and(|status| status.success()) {
        complain("this needs tmux; install it with: sudo apt-get install tmux");
        return ExitCode::from(69);
    }
    match stage::outside() {
        None => drop(std::io::stdout().write_all(scenes::all().as_bytes())),
        Some(page) if words == ["-"] => drop(std::io::stdout().write_all(&page)),
        Some(page) => {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SCREENS.md");
            fs::write(path, page).expect("docs/SCREENS.md can be written");
        }
    }
    ExitCode::SUCCESS
}

fn complain(line: &str) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
