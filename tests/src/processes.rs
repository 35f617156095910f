//! Processes of a running test: who the children of one are, whether one still runs, and its end by SIGKILL.
//!
//! Only processes that the test started are ever named here, by number or by the home that the test made for them, and
//! nothing is looked for by its name.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The children of a process, as the kernel lists them.
pub fn children(pid: u32) -> Vec<u32> {
    let mut all = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all.extend(text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    all
}

/// The processes whose home is this directory: those of one host of a world, whoever started them.
pub fn at_home(home: &Path) -> Vec<u32> {
    let wanted = [b"HOME=", home.as_os_str().as_bytes()].concat();
    let has_it = |pid: u32| {
        // A process that ended meanwhile, or is somebody else's, is none of them.
        let vars = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        vars.split(|&byte| byte == 0).any(|var| var == wanted)
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|&pid| has_it(pid) && runs(pid)).collect()
}

/// Whether a process is there and not only waits to be reaped.
pub fn runs(pid: u32) -> bool {
    state(format!("/proc/{pid}/stat")).is_some_and(|letter| !matches!(letter, 'Z' | 'X'))
}

/// Whether every thread of a process stands still after a SIGSTOP.
pub fn is_stopped(pid: u32) -> bool {
    let mut threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    runs(pid) && threads.all(|thread| state(thread.path().join("stat")) == Some('T'))
}

/// The letter of proc_pid_stat(5) for what a process or thread does.
fn state(stat: impl AsRef<Path>) -> Option<char> {
    let stat = fs::read_to_string(stat).ok()?;
    // The name stands in parentheses and may hold anything; the state follows.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Sends a signal; false when the process had ended before.
pub fn signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process has a positive number");
    runs(pid.as_raw_nonzero().get().unsigned_abs()) && kill_process(pid, signal).is_ok()
}

/// Ends a process that cannot object; false when it had ended before.
pub fn kill(pid: u32) -> bool {
    signal(pid, Signal::KILL)
}

/// Waits until something is so; there is no event to wait for where another's child is concerned.
#[track_caller]
pub fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(since.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_micros(300));
    }
}

/// Waits until a process that may be another's child has ended.
#[track_caller]
pub fn wait_for_end(pid: u32) {
    wait_until("a process ends", || (!runs(pid)).then_some(()));
}

/// A number that a start script wrote into a file, once it is complete.
pub fn written_pid(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.strip_suffix('\n')?.parse().ok()
}

/// Fails with what to install when `strace` is missing, or may not trace.
#[track_caller]
pub fn require_strace() {
    let output = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    let output = output.expect("these tests need strace; install it with: sudo apt-get install strace");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "strace must be allowed to trace (kernel.yama.ptrace_scope, seccomp): {text}");
}

/// The same command with another program before it.
pub fn under(tracer: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(tracer[0]);
    outer.args(&tracer[1..]).arg(command.get_program()).args(command.get_args());
    outer.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.current_dir(command.get_current_dir().expect("every host has a home")).stdin(Stdio::null());
    outer
}

/// Kills the client of a run at one of its syncs of a file system: the first at which the other end, whose home this is, has done
/// what it was told. A look that met what nobody has synced yet syncs before anything is said.
#[track_caller]
pub fn cut_at_sync(run: &Command, home: &Path, is_done: impl Fn() -> bool) {
    for nth in 1..=5 {
        let inject = format!("inject=syncfs:signal=KILL:when={nth}");
        let tracer = ["strace", "-o", "/dev/null", "-e", "trace=syncfs", "-e", &inject];
        let ended = under(&tracer, run).output().expect("strace can be started");
        let killed = ended.status.code() == Some(128 + 9) || ended.status.signal() == Some(9);
        assert!(killed, "the run comes to its end at {nth} syncs: {ended:?}");
        // Only the client was: its server may still carry out what it was told.
        at_home(home).into_iter().for_each(wait_for_end);
        if is_done() {
            return;
        }
    }
    panic!("the other end was never told");
}
