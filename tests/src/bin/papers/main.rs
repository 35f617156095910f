//! Writes the man pages and the shell completions, `docs/man` and `docs/completions`, from the one definition of each
//! command line and the texts beside this file; with `--check` says which of them are out of date.
//!
//! Rooms: `pages` (the table of all of them), `markup` (the texts as roff), `completions` (with the words that only a machine knows).
//!
//! Deliberately not here: what a command does. Its options and exit codes come from its own crate.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_complete::Shell;

mod completions;
mod markup;
mod pages;

fn main() -> ExitCode {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => {
            eprintln!("papers: {other} is not known; --check is");
            return ExitCode::from(2);
        }
    };
    let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
    let papers = all();
    let stale = stale(docs, &papers);
    if check {
        stale.iter().for_each(|path| eprintln!("out of date: docs/{}", path.display()));
        if !stale.is_empty() {
            eprintln!("write them anew with: cargo run -p smd-tests --bin papers");
        }
        return ExitCode::from(u8::from(!stale.is_empty()));
    }
    match stale.iter().try_for_each(|path| write(&docs.join(path), papers.get(path))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("papers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Every file with its text, by its path below `docs`.
fn all() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut papers = BTreeMap::new();
    for page in pages::all() {
        let name = page.name;
        if let Some(mut command) = page.command.clone() {
            for (shell, file) in [
                (Shell::Bash, format!("{name}.bash")),
                (Shell::Zsh, format!("_{name}")),
                (Shell::Fish, format!("{name}.fish")),
            ] {
                let text = completions::text(shell, name, &mut command, page.words);
                papers.insert(Path::new("completions").join(file), text);
            }
        }
        papers.insert(Path::new("man").join(format!("{name}.{}", page.section)), markup::page(page).into_bytes());
    }
    papers
}

/// The files that differ, are missing, or have no business there.
fn stale(docs: &Path, papers: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    let differs = |(path, text): &(&PathBuf, &Vec<u8>)| fs::read(docs.join(path)).ok().as_ref() != Some(text);
    let mut stale: Vec<PathBuf> = papers.iter().filter(differs).map(|(path, _)| path.clone()).collect();
    for dir in ["man", "completions"] {
        let there = fs::read_dir(docs.join(dir)).into_iter().flatten().flatten();
        let there = there.map(|entry| Path::new(dir).join(entry.file_name()));
        stale.extend(there.filter(|path| !papers.contains_key(path)));
    }
    stale
}

fn write(path: &Path, text: Option<&Vec<u8>>) -> io::Result<()> {
    match text {
        Some(text) => {
            fs::create_dir_all(path.parent().expect("a directory of docs"))?;
            fs::write(path, text)
        }
        None => fs::remove_file(path),
    }
}
