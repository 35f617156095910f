//! `smd-uniform-names`: shows which messages of this host have an equal on the server under another name, and gives them that
//! name if asked. An adopt does so by itself; this lets a person look first.
//!
//! The rooms: [`args`] (what was typed), [`mod@plan`] (a pure function of two snapshots), [`text`] (what is said of it).
//!
//! Deliberately not here: how both hosts are read (`smd_client::session`), and how a message is renamed
//! (`smd_maildir::apply`).

pub mod args;
pub mod plan;
pub mod text;

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use smd_client::Command;
use smd_client::args::Args;
use smd_client::endpoint::{self, Resolved, RootPair};
use smd_client::error::Failure;
use smd_client::exit::Exit;
use smd_client::home::SmdHome;
use smd_client::options::{Direction, Scan};
use smd_client::output::Output;
use smd_client::run::{connected, served};
use smd_client::session::{self, BothSides};
use smd_maildir::apply::Applier;
use smd_maildir::exclude::Excludes;
use smd_maildir::fs::Disk;
use smd_maildir::grave::Grave;
use smd_maildir::home::{Access, Home, stem};
use smd_maildir::lock::Wait;
use smd_maildir::root::Root;
use smd_maildir::scan::{Depth, Scanner};
use smd_protocol::step::Dress;
use smd_protocol::told::json_line;
use smd_protocol::{Entry, FileName, Name, Outcome, Step};

use crate::undo::{failure, io_failure, take_lock};
use crate::verify;
use args::Then;
use plan::plan;
use text::{Files, RootPlan};

/// How long the root's lock is waited for, in milliseconds.
const LOCK_WAIT_MS: u64 = 30_000;
/// Messages that are renamed between two syncs.
const AT_ONCE: usize = 5_000;
/// Troubles that are named.
const NAMED: usize = 20;

/// What `smd-uniform-names` does. The first of `args` is the program's name.
pub fn main_impl(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    if let Some(code) = served(&name) {
        return code;
    }
    let (args, then) = match args::parse(args) {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let mut output = Output::new(&args.typed);
    match run(&args, then, &mut output) {
        Ok(exit) => output.end(exit),
        Err(failure) => output.end(output.failure(&failure)),
    }
}

fn run(args: &Args, then: Then, output: &mut Output) -> Result<Exit, Box<Failure>> {
    let resolved = resolve(args)?;
    output.adjust(&resolved);
    let both = connected(&resolved, output, session::both_sides)?;
    let mut roots = Vec::new();
    let mut script = Vec::new();
    for (both, pair) in both.iter().zip(&resolved.endpoint.roots) {
        let mut root = planned(both, &resolved);
        match then {
            Then::Show => {}
            Then::Apply => apply(&mut root, both, pair, &resolved.endpoint.home)?,
            Then::Script => script.extend(text::script(&path_bytes(&pair.local), &root.plan, &files(pair)?)),
        }
        roots.push(root);
    }
    let exit = if roots.iter().all(|root| root.troubles.is_empty()) { Exit::Ok } else { Exit::Partly };
    if then == Then::Script {
        let count = script.iter().filter(|&&byte| byte == b'\n').count();
        let head = format!(
            "#!/bin/sh\n# Gives {count} messages of this host the names that they have at {}.\n# Made by smd-uniform-names; read it before you run it.\n",
            resolved.endpoint.server
        );
        output.say_bytes(&[head.into_bytes(), script].concat());
    } else if resolved.voice.json {
        output.say(&json_line(&text::json(&resolved.endpoint.name, &roots, exit)));
    } else if !resolved.voice.quiet {
        for root in &roots {
            output.say(&text::table(root, &resolved.endpoint.server, resolved.options.verbose > 0));
            text::notes(root, then == Then::Apply).iter().for_each(|note| output.say(&format!("{note}.\n")));
        }
    }
    for root in &roots {
        root.troubles.iter().take(NAMED).for_each(|trouble| output.warn(trouble, None));
        if root.troubles.len() > NAMED {
            output.warn(&format!("and {} more were left as they are", root.troubles.len() - NAMED), None);
        }
    }
    Ok(exit)
}

fn resolve(args: &Args) -> Result<Resolved, Box<Failure>> {
    let failed = |error| Box::new(Failure::endpoint(&args.target, Command::Sync, error));
    let home = SmdHome::from_env().map_err(|error| failed(error.into()))?;
    let mut resolved = endpoint::resolve(args, Direction::Sync, home).map_err(failed)?;
    // Habits from the config are for runs that change something.
    resolved.options.dry_run = true;
    resolved.options.scan = Scan::Full;
    resolved.options.verbose = args.typed.verbose;
    resolved.voice.tags = false;
    resolved.voice.quiet = args.typed.quiet;
    Ok(resolved)
}

fn planned(both: &BothSides, resolved: &Resolved) -> RootPlan {
    let names = verify::text::Names { client: &resolved.endpoint.client, server: &resolved.endpoint.server };
    let mut troubles: Vec<String> = both.troubles.iter().map(|trouble| verify::text::trouble(names, trouble)).collect();
    for (side, host) in [(&both.client, names.client), (&both.server, names.server)] {
        if side.absent {
            troubles.push(format!("{host} has no such Maildir"));
        }
    }
    RootPlan {
        label: both.root.clone(),
        plan: plan(&both.client.snapshot, &both.server.snapshot),
        done: None,
        troubles,
    }
}

fn path_bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

fn open(pair: &RootPair) -> Result<Root<Disk>, Box<Failure>> {
    Root::open(Arc::new(Disk), &pair.local)
        .map(|root| root.named(pair.naming.clone()))
        .map_err(|error| io_failure(format!("cannot open {}: {error}", pair.local.display())))
}

/// How the files of a root are called now, and their folders on this host, by the names that both hosts know.
fn files(pair: &RootPair) -> Result<Files, Box<Failure>> {
    let root = open(pair)?;
    let scanner = Scanner {
        root: &root.on_disk(),
        excludes: &Excludes::default(),
        skip_dirs: &[],
        depth: Depth::Full,
        siblings: &[],
        after_cut: false,
        renames: false,
        on_read: &|_| true,
    };
    let names = scanner.names().map_err(io_failure)?;
    let file = |one: &smd_maildir::scan::FolderNames, file: &smd_maildir::scan::File| {
        let FileName { uniq, .. } = FileName::parse(&file.name).ok()?;
        // What has no name on the other host is nothing to rename.
        let folder = root.canonical(&one.folder).ok()?;
        Some((Name::new(&folder, &uniq), (one.folder.clone(), file.place, file.name.to_vec())))
    };
    Ok(names.folders.iter().flat_map(|one| one.files.iter().filter_map(move |found| file(one, found))).collect())
}

/// Renames under the root's lock.
fn apply(root: &mut RootPlan, both: &BothSides, pair: &RootPair, home: &SmdHome) -> Result<(), Box<Failure>> {
    let mut done = 0;
    if !root.plan.renames.is_empty() {
        let opened = open(pair)?;
        let home = Home::open(Arc::new(Disk), home.path(), Access::ReadWrite).map_err(io_failure)?;
        let _lock = take_lock(&opened, &home, &Wait { ms: LOCK_WAIT_MS, stop: &|| false })?;
        let key = stem(pair.local.as_os_str().as_bytes());
        let grave = Grave::open(&opened, home.dir().cloned().map(|dir| (dir, key.as_str())), "uniform-names");
        let seen: HashMap<Name, Entry> = both
            .client
            .snapshot
            .iter()
            .map(|(folder, entry)| (Name::new(folder, &entry.uniq), entry.clone()))
            .collect();
        let expect = Box::new(move |name: &Name| seen.get(name).cloned());
        let mut applier = Applier::new(opened, grave, "uniform-names", expect);
        for some in root.plan.renames.chunks(AT_ONCE) {
            let step = |one: &plan::Rename| {
                let dress = Dress { place: one.entry.place, flags: one.entry.flags.clone() };
                Step::Move { from: one.from_name(), to: one.to_name(), dress }
            };
            applier.begin(some.iter().map(step).collect());
            for outcome in applier.install() {
                match outcome {
                    Outcome::Done => done += 1,
                    Outcome::Changed(text) | Outcome::Failed(text) => root.troubles.push(text),
                    Outcome::NeedBytes => return Err(failure(Exit::Bug, "A rename asked for bytes.", None, None)),
                }
            }
        }
    }
    root.done = Some(done);
    Ok(())
}
