//! Programs that are killed for real, at random moments and at every phase: one ordinary run makes all well.
//!
//! At random: SIGKILL to the client, the server or `ssh`, some time after the server started. At every phase: `strace` kills
//! the client or the server when it makes its N-th call of a kind, for every N and every kind that changes or syncs a file.
//! After each kill, or after up to three in a row, comes one ordinary `smd-sync`. It must end with 0, and both mailboxes must
//! hold exactly what the story says: nothing lost, nothing back, nothing twice, flags merged.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use smd_tests::figures;
use smd_tests::outcome::Outcome;
use smd_tests::processes::{children, kill, require_strace, runs, under, wait_for_end, wait_until, written_pid};
use smd_tests::rng::Rng;
use smd_tests::story::{Picture, Progress, Story};
use smd_tests::world::{Link, World, finish};

/// Kills of one test at random moments: two over a pipe, four over ssh.
const RANDOM_LOCAL: usize = 45;
const RANDOM_SSH: usize = 16;
/// Kills of one test at phases: two at the client, two at the server. So many phases are met at least.
const PHASES: usize = 38;
const _: () = assert!(2 * RANDOM_LOCAL + 4 * RANDOM_SSH + 4 * PHASES >= 300 && 4 * RANDOM_SSH >= 60);

/// Calls that change names, and calls that change or sync a file, all made by the main thread of either program.
const NAME_CALLS: [&str; 4] = ["renameat2", "unlinkat", "linkat", "mkdirat"];
const FILE_CALLS: [&str; 4] = ["fsync", "syncfs", "write", "openat"];

const KILLED: i32 = 128 + 9;
/// How a run ends whose connection ended: 69 in the middle; before the server's first word 76 when it was killed there, 74 when
/// ssh was killed here.
const LOST: [i32; 3] = [69, 74, 76];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Client,
    Server,
    Ssh,
}

/// What was killed, and when.
#[derive(Debug, Default)]
struct Tally {
    client: usize,
    server: usize,
    ssh: usize,
    early: usize,
    middle: usize,
    late: usize,
}

impl Tally {
    fn kills(&self) -> usize {
        self.client + self.server + self.ssh
    }

    fn count(&mut self, victim: Victim, progress: Progress) {
        *match victim {
            Victim::Client => &mut self.client,
            Victim::Server => &mut self.server,
            Victim::Ssh => &mut self.ssh,
        } += 1;
        *match progress {
            Progress::Nothing => &mut self.early,
            Progress::Middle => &mut self.middle,
            Progress::Everything => &mut self.late,
        } += 1;
    }

    /// Fails when the kills missed what they were meant to hit.
    #[track_caller]
    fn report(&self, least: usize) {
        figures::note(&format!(
            "kills: {} (client {}, server {}, ssh {}; in the middle of a transfer {}, before {}, after {})",
            self.kills(),
            self.client,
            self.server,
            self.ssh,
            self.middle,
            self.early,
            self.late
        ));
        assert!(self.kills() >= least, "too few kills: {self:?}");
        assert!(self.middle * 3 >= self.kills(), "too few kills hit while something was under way: {self:?}");
    }
}

/// Two hosts, the story of their mail, and what was killed so far.
struct Stage {
    link: Link,
    world: World,
    story: Story,
    rng: Rng,
    tally: Tally,
    /// Where the server's start script writes its number, and strace what it saw.
    pid_file: PathBuf,
    log: PathBuf,
    /// How long a run takes from the server's start to its end.
    length: Duration,
    /// Kills since the last ordinary run.
    in_a_row: u64,
}

impl Stage {
    #[track_caller]
    fn new(link: Link, seed: u64) -> Self {
        let rng = Rng::from_env_or(seed);
        let world = World::on_disk(link);
        let story = Story::begin(&world, 160, 7, rng.fork(1));
        let (pid_file, log) = (world.dir().join("server.pid"), world.dir().join("strace.log"));
        let (rng, tally, length) = (rng.fork(2), Tally::default(), Duration::ZERO);
        let mut stage = Self { link, world, story, rng, tally, pid_file, log, length, in_a_row: 0 };
        stage.ordinary_run();
        stage.story.change(4);
        let (client, _, since) = stage.start("smd-sync");
        let output = client.wait_with_output().expect("the client ends");
        stage.length = since.elapsed();
        Outcome::new("smd-sync".to_owned(), &output).ok();
        stage.story.check();
        stage.story.change(4);
        stage
    }

    /// A run whose server writes its number into a file, and is started under `tracer` if there is one.
    fn prepare(&self, program: &str, tracer: &str) -> Command {
        let before = format!("echo $$ >'{}'; exec {tracer}", self.pid_file.display());
        let options = self.world.start_server_by(&before);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let mut command = self.world.prepare(program, self.world.client(), &options);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a run, and waits until its server runs as well, or the client has ended: gives both, and when that was.
    #[track_caller]
    fn start(&mut self, program: &str) -> (Child, Option<u32>, Instant) {
        drop(fs::remove_file(&self.pid_file));
        let client = self.prepare(program, "").spawn().expect("the client can be started");
        let server = wait_until("the server starts", || {
            let pid = match self.link {
                Link::Local => children(client.id()).first().copied(),
                _ => written_pid(&self.pid_file),
            };
            (pid.is_some() || !runs(client.id())).then_some(pid)
        });
        (client, server, Instant::now())
    }

    /// One ordinary run makes all well.
    #[track_caller]
    fn ordinary_run(&mut self) {
        let outcome = finish(&mut self.prepare("smd-sync", ""));
        self.story.remember(format!("== an ordinary run: {} {}{}", outcome.code, outcome.stdout, outcome.stderr));
        assert_eq!(outcome.code, 0, "after {} kills in a row, {} in all\n{outcome}", self.in_a_row, self.tally.kills());
        self.story.check();
        self.in_a_row = 0;
    }

    /// A program for the run that is killed.
    fn program(&mut self) -> &'static str {
        self.rng.pick::<&str>(&["smd-sync", "smd-sync", "smd-sync", "smd-sync", "smd-pull", "smd-push"])
    }

    /// Takes stock after a run that was to be killed, and most times lets an ordinary run follow.
    #[track_caller]
    fn after(&mut self, hit: Option<Victim>, before: &Picture) {
        if let Some(victim) = hit {
            let picture = self.story.picture();
            let progress = picture.since(before);
            self.tally.count(victim, progress);
            self.story.remember(format!("== {victim:?} killed: {progress:?}"));
            self.in_a_row += 1;
            if picture.is_prepared(before) {
                // The mail is done and only the base is not: what is deleted now may not come back by an adopt.
                self.story.change(3);
            } else if self.in_a_row < 3 && self.rng.chance(25) {
                return self.story.deliver_to_both();
            }
        }
        self.ordinary_run();
        let much = self.rng.index(8) + 1;
        self.story.change(much);
    }

    /// Kills one of these at a random moment of a run.
    #[track_caller]
    fn kill_at_random(&mut self, victims: &[Victim]) {
        let (victim, program) = (*self.rng.pick(victims), self.program());
        let before = self.story.picture();
        let dirs = self.story.dirs();
        let quiet = pulse(&dirs);
        let (client, server, mut since) = self.start(program);
        let mut length = u64::try_from(self.length.as_micros()).expect("a run takes no centuries");
        // At any moment of the run, or at its first change of a mailbox, or more or less shortly after.
        if self.rng.chance(75) {
            wait_until("something changes", || (pulse(&dirs) != quiet || !runs(client.id())).then_some(()));
            (since, length) = (Instant::now(), length / self.rng.pick(&[8, 32, 1000]));
        }
        let moment = Duration::from_micros(self.rng.within(0..length.max(1)));
        thread::sleep(moment.saturating_sub(since.elapsed()));
        let hit = match victim {
            Victim::Client => kill(client.id()),
            Victim::Server => server.is_some_and(kill),
            Victim::Ssh => children(client.id()).first().is_some_and(|ssh| kill(*ssh)),
        };
        let output = client.wait_with_output().expect("the client ends");
        server.into_iter().for_each(wait_for_end);
        let outcome = Outcome::new(format!("{program}, {victim:?} killed after {moment:?}"), &output);
        // Whoever was killed at its very end may have been done.
        let hit = hit && (victim != Victim::Client || outcome.code == KILLED);
        match victim {
            Victim::Client if hit => {}
            _ if hit && LOST.contains(&outcome.code) => drop(outcome.says("office")),
            _ => drop(outcome.ok()),
        }
        self.after(hit.then_some(victim), &before);
    }

    /// Kills the client or the server when it makes its `nth` call of a kind; false when it made fewer.
    #[track_caller]
    fn kill_at_call(&mut self, victim: Victim, call: &str, nth: usize) -> bool {
        let before = self.story.picture();
        let program = self.program();
        drop(fs::remove_file(&self.pid_file));
        fs::write(&self.log, "").expect("the log can be emptied");
        let log = self.log.display().to_string();
        let inject = format!("inject={call}:signal=KILL:when={nth}");
        let tracer = ["strace", "-o", &log, "-e", &format!("trace={call}"), "-e", &inject];
        let outcome = match victim {
            // The server does a run in a thread of its own.
            Victim::Server => finish(&mut self.prepare(program, &tracer.join(" ").replacen("strace", "strace -f", 1))),
            _ => finish(&mut under(&tracer, &self.prepare(program, ""))),
        };
        written_pid(&self.pid_file).into_iter().for_each(wait_for_end);
        let hit = fs::read_to_string(&self.log).expect("strace writes its log").contains("killed by SIGKILL");
        let expected: &[i32] = match victim {
            _ if !hit => &[0],
            Victim::Client => &[KILLED],
            _ => &LOST,
        };
        // A server that is killed while it tidies up after the last word is not missed.
        if !(victim == Victim::Server && outcome.code == 0) {
            assert!(expected.contains(&outcome.code), "{victim:?} killed at {call} {nth}: {hit}\n{outcome}");
        }
        self.after(hit.then_some(victim), &before);
        hit
    }

    /// Kills at each call of each kind, with growing steps where there are many.
    #[track_caller]
    fn kill_at_every_call(&mut self, victim: Victim, calls: [&'static str; 4], least: usize) {
        let mut reached = Vec::new();
        for call in calls {
            let (mut nth, mut missed) = (1, 0);
            // How many calls a run makes depends on what there is to do.
            while missed < 3 {
                match self.kill_at_call(victim, call, nth) {
                    // Most files are opened before anything is changed.
                    true => nth += if call == "openat" { 1 + nth } else { 1 + nth / 4 },
                    false => missed += 1,
                }
            }
            reached.push((call, nth));
        }
        eprintln!("calls reached at the {victim:?}: {reached:?}");
        reached.retain(|(call, nth)| *nth > 1 && *call != "openat");
        while self.tally.kills() < least {
            let (call, most) = *self.rng.pick(&reached);
            let nth = self.rng.index(most) + 1;
            self.kill_at_call(victim, call, nth);
        }
    }

    /// All is well for good: nothing was left lying about.
    #[track_caller]
    fn end(mut self, least: usize) {
        self.ordinary_run();
        self.story.deliver_everywhere();
        self.ordinary_run();
        self.story.check_leftovers();
        self.tally.report(least);
    }
}

/// Stamps of directories: cheap enough to ask for all the time.
fn pulse(dirs: &[PathBuf]) -> Vec<Option<SystemTime>> {
    dirs.iter().map(|dir| dir.metadata().and_then(|meta| meta.modified()).ok()).collect()
}

#[track_caller]
fn kill_over_a_pipe(seed: u64) {
    let mut stage = Stage::new(Link::Local, seed);
    while stage.tally.kills() < RANDOM_LOCAL {
        stage.kill_at_random(&[Victim::Client, Victim::Server]);
    }
    stage.end(RANDOM_LOCAL);
}

#[track_caller]
fn kill_over_ssh(seed: u64) {
    let mut stage = Stage::new(Link::Ssh, seed);
    while stage.tally.kills() < RANDOM_SSH {
        stage.kill_at_random(&[Victim::Client, Victim::Server, Victim::Ssh]);
    }
    stage.end(RANDOM_SSH);
}

#[track_caller]
fn kill_at_calls(victim: Victim, calls: [&'static str; 4], seed: u64) {
    require_strace();
    let mut stage = Stage::new(Link::Rsh, seed);
    stage.kill_at_every_call(victim, calls, PHASES);
    stage.end(PHASES);
}

#[test]
fn a_client_or_server_killed_at_random_over_a_pipe_costs_nothing() {
    kill_over_a_pipe(1);
}

#[test]
fn a_client_or_server_killed_at_random_over_a_pipe_costs_nothing_in_another_story() {
    kill_over_a_pipe(5);
}

#[test]
fn a_client_or_server_or_ssh_killed_at_random_costs_nothing() {
    kill_over_ssh(2);
}

#[test]
fn a_client_or_server_or_ssh_killed_at_random_costs_nothing_in_a_second_story() {
    kill_over_ssh(6);
}

#[test]
fn a_client_or_server_or_ssh_killed_at_random_costs_nothing_in_a_third_story() {
    kill_over_ssh(7);
}

#[test]
fn a_client_or_server_or_ssh_killed_at_random_costs_nothing_in_a_fourth_story() {
    kill_over_ssh(8);
}

#[test]
fn a_client_killed_before_any_call_that_changes_a_name_costs_nothing() {
    kill_at_calls(Victim::Client, NAME_CALLS, 3);
}

#[test]
fn a_client_killed_before_any_call_that_changes_or_syncs_a_file_costs_nothing() {
    kill_at_calls(Victim::Client, FILE_CALLS, 9);
}

#[test]
fn a_server_killed_before_any_call_that_changes_a_name_costs_nothing() {
    kill_at_calls(Victim::Server, NAME_CALLS, 4);
}

#[test]
fn a_server_killed_before_any_call_that_changes_or_syncs_a_file_costs_nothing() {
    kill_at_calls(Victim::Server, FILE_CALLS, 10);
}
