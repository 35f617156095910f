//! The first stage but for the list of system calls: privileges, core dumps, limits.
//!
//! Deliberately not here: a limit of processes. It counts threads, and those of the whole account.

use std::io;
use std::sync::Arc;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::system::sysinfo;
use rustix::thread::set_no_new_privs;

use super::Barrier;
use super::without::Without;

/// Address space that is allowed at least, in bytes.
const MEMORY_LEAST: u64 = 4 << 30;
/// Files that may be open at once: a thousand roots take some each.
const FILES: u64 = 16_384;
/// Largest file that may be written, in bytes.
const FILE_SIZE: u64 = 1 << 40;

/// What the system refuses this process from the first stage on. They are backstops: what a peer may make this process do is
/// bounded by its own rules, which speak sooner and better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of address space.
    pub memory: u64,
    /// Open files.
    pub files: u64,
    /// Bytes of one written file.
    pub file_size: u64,
}

impl Limits {
    /// Those of this machine: more address space than it has memory is of no use to anybody.
    #[expect(clippy::useless_conversion, reason = "these numbers have 32 bits on other machines")]
    pub fn of_this_machine() -> Self {
        let system = sysinfo();
        let unit = u64::from(system.mem_unit.max(1));
        let all = (u64::from(system.totalram) + u64::from(system.totalswap)).saturating_mul(unit);
        Self { memory: all.max(MEMORY_LEAST), files: FILES, file_size: FILE_SIZE }
    }
}

/// Puts it all up, as far as it goes.
pub(super) fn bound(limits: &Limits, without: &Without) -> Barrier {
    Barrier::of(try_bound(limits, without))
}

fn try_bound(limits: &Limits, without: &Without) -> io::Result<()> {
    set_no_new_privs(true)?;
    // Also keeps other processes of this account from looking into this one.
    if !without.dumps {
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    lower(Resource::Core, 0)?;
    lower(Resource::As, limits.memory)?;
    lower(Resource::Nofile, limits.files)?;
    // The signal that comes with it would end the process; caught by anybody, the write fails and says why.
    signal_hook::flag::register(libc::SIGXFSZ, Arc::default())?;
    lower(Resource::Fsize, limits.file_size)
}

/// Lowers a limit for good, and uses what is left of it. One that is lower stays.
fn lower(resource: Resource, to: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(to, |most| most.min(to));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}
