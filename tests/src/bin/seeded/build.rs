//! Programs and tests with the bugs in them, and the running of one test.
//!
//! They are those that `cargo test` builds, so nothing is built for the deliberate bugs alone.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use smd_protocol::seeded::BUG;

use super::{TABLE, Test};

/// How long one test may take; a bug that makes it hang is not caught by it.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much is shown of what an unexpected test said, in bytes.
const SHOWN: usize = 4000;

/// Where tests stand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    /// Beside the code.
    Beside,
    /// In the binary of whole programs.
    Whole,
}

/// What was built.
pub(super) struct Build {
    /// The binaries of tests by package, those beside the code and those of whole programs, with the directory that they run in.
    tests: HashMap<(String, Kind), (PathBuf, PathBuf)>,
    /// Where the programs are.
    programs: PathBuf,
}

/// What became of a test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It passed.
    Passed,
    /// It failed, by itself and under its name.
    Failed,
    /// It did not end.
    Hung,
    /// It was not run, or broke off.
    NotRun,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Hung => "did not end",
            Verdict::NotRun => "was not run",
        })
    }
}

/// A test that was run.
pub(super) struct Ran {
    /// What became of it.
    pub(super) verdict: Verdict,
    /// How long it took.
    pub(super) seconds: f64,
    /// The end of what it said.
    pub(super) said: String,
}

impl Build {
    /// Builds everything that the table needs.
    ///
    /// # Errors
    /// When it cannot be built, or a binary of tests is missing.
    pub(super) fn make() -> Result<Self, String> {
        let mut build = Self { tests: HashMap::new(), programs: PathBuf::new() };
        build.cargo(&["build", "--bins"])?;
        build.cargo(&["test", "--no-run"])?;
        match TABLE.iter().find(|seed| build.test(&seed.test).is_none()) {
            Some(seed) => Err(format!("there is no such test: {}", seed.test)),
            None => Ok(build),
        }
    }

    /// Lets cargo build something, and takes note of what came of it. All of the workspace, so that what comes from
    /// elsewhere has the same features as in every other build.
    fn cargo(&mut self, what: &[&str]) -> Result<(), String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .args(what)
            .args(["--workspace", "--locked", "--message-format=json-render-diagnostics"])
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cargo cannot be started: {error}"))?;
        if !output.status.success() {
            return Err("it cannot be built".to_owned());
        }
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            if let Some(path) = message["executable"].as_str() {
                self.built(&message, Path::new(path));
            }
        }
        Ok(())
    }

    fn built(&mut self, message: &serde_json::Value, path: &Path) {
        let target = &message["target"];
        let (kind, name) = (target["kind"][0].as_str(), target["name"].as_str().unwrap_or_default());
        let manifest = message["manifest_path"].as_str().map(PathBuf::from).unwrap_or_default();
        let dir = manifest.parent().unwrap_or(Path::new("."));
        let package = format!("smd-{}", dir.file_name().unwrap_or_default().to_string_lossy());
        match (kind, message["profile"]["test"].as_bool()) {
            (Some("bin"), Some(false)) if name == "smd-sync" => {
                self.programs = path.parent().map(Path::to_path_buf).unwrap_or_default();
            }
            (Some("lib"), Some(true)) => drop(self.tests.insert((package, Kind::Beside), (path.into(), dir.into()))),
            (Some("test"), Some(true)) => drop(self.tests.insert((package, Kind::Whole), (path.into(), dir.into()))),
            _ => {}
        }
    }

    fn test(&self, test: &Test) -> Option<&(PathBuf, PathBuf)> {
        let kind = if test.module.is_some() { Kind::Whole } else { Kind::Beside };
        self.tests.get(&(test.package.to_owned(), kind))
    }

    /// Runs one test, with one bug or none.
    pub(super) fn run(&self, test: &Test, bug: Option<&str>) -> Ran {
        let since = Instant::now();
        let result = tempfile::tempdir().and_then(|dir| self.run_in(test, bug, dir.path()));
        let (verdict, said) = result.unwrap_or_else(|error| (Verdict::NotRun, error.to_string()));
        Ran { verdict, seconds: since.elapsed().as_secs_f64(), said }
    }

    fn run_in(&self, test: &Test, bug: Option<&str>, dir: &Path) -> std::io::Result<(Verdict, String)> {
        let (path, at) = self.test(test).ok_or(std::io::ErrorKind::NotFound)?;
        let (out, err) = (dir.join("out"), dir.join("err"));
        let mut command = Command::new(path);
        command
            .args(["--exact", &test.full_name(), "--test-threads=1"])
            .current_dir(at)
            .env("SMD_TEST_BIN_DIR", &self.programs)
            .env_remove("SMD_TEST_SEED")
            .env_remove(BUG)
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .process_group(0);
        if let Some(bug) = bug {
            command.env(BUG, bug);
        }
        if let Some(sequences) = test.sequences {
            command.env("SMD_MODEL_SEQUENCES", sequences.to_string());
        }
        let status = wait(command.spawn()?)?;
        let said = fs::read_to_string(&out)?;
        let line = |word: &str| said.lines().any(|line| line == format!("test {} ... {word}", test.full_name()));
        let verdict = match status {
            None => Verdict::Hung,
            Some(status) if status.success() && line("ok") => Verdict::Passed,
            // Its own word, not that of a program that could not be started or linked.
            Some(status) if !status.success() && line("FAILED") => Verdict::Failed,
            Some(_) => Verdict::NotRun,
        };
        let all = said + &String::from_utf8_lossy(&fs::read(&err)?);
        let from = all.len().saturating_sub(SHOWN);
        Ok((verdict, all.chars().skip(from).collect()))
    }
}

/// Waits for a test; one that does not end is killed with all that it started.
fn wait(mut child: Child) -> std::io::Result<Option<ExitStatus>> {
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if since.elapsed() > PATIENCE {
            let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            group.map(|group| kill_process_group(group, Signal::KILL));
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}
