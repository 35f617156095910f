//! `mddiff`: the look at a Maildir by itself, for scripts: what changed since a snapshot, in the predecessor's grammar.
//!
//! The rooms: [`args`] (what was typed), [`look`] (directories), [`db`] (a snapshot as a file), [`mod@diff`] (two snapshots, a pure
//! function), [`names`] and [`text`] (what is printed).
//!
//! Deliberately not here: bases and caches of runs, which it neither reads nor writes, and anything that changes mail.

pub mod args;
pub mod db;
pub mod diff;
pub mod look;
pub mod names;
pub mod text;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use serde_json::json;
use smd_client::exit::Exit;
use smd_client::report::json::object;
use smd_client::signals::Signals;
use smd_maildir::exclude::Excludes;
use smd_protocol::Folder;
use smd_protocol::told::json_line;

use args::{Job, Request};
use db::Records;
use diff::{Command, diff};

/// What `mddiff` does. The first of `args` is the program's name.
pub fn main_impl(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let request = match args::parse(args.into_iter().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let mut done = Done::default();
    let exit = match do_it(&request, &mut done) {
        Ok(()) if done.errors.is_empty() => Exit::Ok,
        Ok(()) => Exit::Partly,
        Err(exit) => exit,
    };
    // A closed stdout is nobody's fault; but a script that sees nothing must not move the new snapshot into place.
    if print(&request, &done).is_err() {
        return Exit::Partly.into();
    }
    if let (Exit::Ok | Exit::Partly, Some((file, records))) = (exit, &done.write)
        && let Err(error) = db::write(file, records)
    {
        let _ = io::stdout().write_all(&said(&request, &error.to_string()));
        return Exit::Partly.into();
    }
    exit.into()
}

/// What came out.
#[derive(Default)]
struct Done {
    commands: Vec<Command>,
    folders: Vec<Vec<u8>>,
    errors: Vec<String>,
    /// A snapshot to write.
    write: Option<(PathBuf, Records)>,
}

fn do_it(request: &Request, done: &mut Done) -> Result<(), Exit> {
    let signals = Signals::catch().map_err(|_| Exit::Io)?;
    let stop = signals.stop();
    match &request.job {
        Job::List => match db::read(&request.db_file) {
            Ok(Some(records)) => {
                done.commands = records.into_iter().map(|(name, one)| Command::Add(name, one.content)).collect();
            }
            Ok(None) => done.errors.push(format!("there is no {}", request.db_file.display())),
            Err(error) => done.errors.push(error.to_string()),
        },
        Job::Folders(dirs) => {
            for dir in dirs {
                let prefix = prefix(dir);
                let Some(excludes) = excludes(request, &prefix, &mut done.errors) else { break };
                let (mut folders, mut errors) = look::folders(dir, &prefix, &excludes);
                done.folders.append(&mut folders);
                done.errors.append(&mut errors);
            }
        }
        Job::Between(a, b) => {
            let mut snapshot = |path: &Path| {
                if !path.is_dir() {
                    return match db::read(path) {
                        Ok(Some(records)) => Some(records),
                        Ok(None) => {
                            done.errors.push(format!("there is no {}", path.display()));
                            None
                        }
                        Err(error) => {
                            done.errors.push(error.to_string());
                            None
                        }
                    };
                }
                let excludes = excludes(request, b"", &mut done.errors)?;
                let mut looked = look::look(path, b"", &excludes, &Records::new(), &stop);
                done.errors.append(&mut looked.errors);
                Some(looked.found)
            };
            if let (Some(a), Some(b)) = (snapshot(a), snapshot(b)) {
                // What could not be read in one of them is not gone from it.
                let rules = diff::Rules { deletes: request.rules.deletes && done.errors.is_empty(), ..request.rules };
                done.commands = diff(&db::contents(&a), &db::contents(&b), rules);
            }
        }
        Job::Scan(dirs) => scan(request, dirs, &stop, done),
    }
    match signals.exit() {
        Some(exit) if stop.load(Ordering::Relaxed) => {
            *done = Done { errors: vec!["stopped before it was over".to_owned()], ..Done::default() };
            Err(exit)
        }
        _ => Ok(()),
    }
}

fn scan(request: &Request, dirs: &[PathBuf], stop: &std::sync::atomic::AtomicBool, done: &mut Done) {
    let mut old = match db::read(&request.db_file) {
        Ok(old) => old.unwrap_or_default(),
        Err(error) => return done.errors.push(error.to_string()),
    };
    // What lies in none of the directories is as it was.
    let mut new = old.clone();
    for dir in dirs {
        let prefix = prefix(dir);
        let Some(excludes) = excludes(request, &prefix, &mut done.errors) else { return };
        let rest = |name: &[u8]| {
            let rest = name.strip_prefix(&prefix[..])?;
            if prefix.is_empty() { Some(rest.to_vec()) } else { rest.strip_prefix(b"/").map(<[u8]>::to_vec) }
        };
        // A folder that became excluded is forgotten, not deleted.
        let is_excluded = |name: &[u8]| {
            rest(name)
                .is_some_and(|rest| Folder::parse(names::parts(&rest).0).is_ok_and(|folder| excludes.excludes(&folder)))
        };
        old.retain(|name, _| !is_excluded(name));
        new.retain(|name, _| rest(name).is_none());
        let mut looked = look::look(dir, &prefix, &excludes, &old, stop);
        new.append(&mut looked.found);
        done.errors.append(&mut looked.errors);
    }
    done.commands = diff(&db::contents(&old), &db::contents(&new), request.rules);
    if !request.rules.deletes {
        // What is not told is told the next time.
        let gone: Vec<_> = old.iter().filter(|(name, _)| !new.contains_key(*name)).collect();
        let moved: std::collections::BTreeSet<&Vec<u8>> = done
            .commands
            .iter()
            .filter_map(|command| if let Command::Move(from, ..) = command { Some(from) } else { None })
            .collect();
        let kept: Records = gone
            .into_iter()
            .filter(|(name, _)| !moved.contains(name))
            .map(|(name, one)| (name.clone(), *one))
            .collect();
        new.extend(kept);
    }
    if !request.dry_run {
        let mut file = request.db_file.clone().into_os_string();
        file.push(".new");
        done.write = Some((file.into(), new));
    }
}

/// A directory as the names in it begin: without a slash at the end.
fn prefix(dir: &Path) -> Vec<u8> {
    let bytes = dir.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|&byte| byte != b'/').map_or(0, |at| at + 1);
    bytes[..end].to_vec()
}

fn excludes(request: &Request, prefix: &[u8], errors: &mut Vec<String>) -> Option<Excludes> {
    let patterns = request.exclude.iter().map(|pattern| pattern.as_bytes().to_vec()).collect();
    Excludes::new(&[(prefix.to_vec(), patterns)]).map_err(|error| errors.push(error.to_string())).ok()
}

fn said(request: &Request, text: &str) -> Vec<u8> {
    if request.json { json_line(&json!({ "command": "ERROR", "text": text })).into_bytes() } else { text::error(text) }
}

fn print(request: &Request, done: &Done) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for command in &done.commands {
        match request.json {
            true => out.write_all(json_line(&text::json(command)).as_bytes())?,
            false => out.write_all(&text::line(command))?,
        }
    }
    for folder in &done.folders {
        match request.json {
            true => out.write_all(json_line(&object(json!({}), [("folder", &folder[..])])).as_bytes())?,
            false => {
                let mut line = Vec::new();
                names::escape(folder, &mut line);
                line.push(b'\n');
                out.write_all(&line)?;
            }
        }
    }
    for error in &done.errors {
        out.write_all(&said(request, error))?;
    }
    out.flush()
}
