//! Figures that tests of many tries give, for a person to read.
//!
//! They go to stderr, which `cargo test` hides when a test passes, and to the file that `SMD_FIGURES` names, a line each,
//! so that CI can show them. Deliberately not here: judging them; each test has its own bounds.

use std::io::Write as _;

/// Notes a line of figures.
pub fn note(line: &str) {
    eprintln!("{line}");
    let Some(path) = std::env::var_os("SMD_FIGURES") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    // Tests run side by side: one write for one line.
    let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    written.unwrap_or_else(|error| panic!("cannot write {}: {error}", path.to_string_lossy()));
}
