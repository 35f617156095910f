//! What this process takes from itself, so that a fault in it, or whoever drives it, cannot do more than synchronise mail.
//!
//! There are two stages. The first comes before the first byte of the client and before any thread ([`Sandbox::first`]): no new
//! privileges, no core dumps, limits, and a list of system calls that a synchroniser has no use for. The second comes when it is
//! known what the session may touch ([`Sandbox::confine`]), again before any thread: Landlock, by which files outside of that
//! cannot be opened, nothing can be run, and no connection can be made. It belongs to a thread and is handed down to those that
//! it starts; so whoever serves starts the threads of its link, and with them all others, behind it (`serve`).
//!
//! Each barrier is put up as far as the system has it. What is missing is told, or ends the process where that is wanted.
//!
//! The rooms: `stage` (the first one), `calls` (the list), `landlock`, [`grounds`] (directories and what may be done in them),
//! [`mod@prepare`] (what must be made, opened or read before the second stage), `without` (what tests take away).
//!
//! Deliberately not here: which roots a client may name (`roots`), and what it may do in them.

use std::fmt;
use std::sync::Arc;

use smd_maildir::fs::Fs;
use smd_protocol::seeded;
use smd_protocol::wire::ClientHello;

use crate::roots::Places;
use crate::session::Confined;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod calls;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
mod calls {
    /// There is no list of the numbers of this processor.
    pub(super) fn deny() -> Result<(), &'static str> {
        Err("nobody wrote the list for this processor")
    }
}
pub mod grounds;
mod landlock;
pub mod prepare;
mod stage;
#[cfg(test)]
mod tests;
mod without;

pub use grounds::{Ground, Grounds, Right};
pub use prepare::{Prepared, prepare};
pub use stage::Limits;
use without::Without;

/// Whether a system may lack a barrier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// What there is is used, and what is missing is told.
    #[default]
    BestEffort,
    /// Nothing is served without every barrier.
    Require,
}

/// A barrier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Barrier {
    /// It stands.
    Up,
    /// It is not there: why.
    Missing(String),
}

impl Barrier {
    fn of<E: fmt::Display>(result: Result<(), E>) -> Self {
        result.map_or_else(|error| Self::Missing(error.to_string()), |()| Self::Up)
    }
}

/// Files and connections, by Landlock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Files {
    /// Nothing was tried yet.
    Open,
    /// Only grounds can be opened, by this version of the kernel's interface.
    Confined(i32),
    /// It is not there: why.
    Missing(String),
}

/// Which barriers stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// No new privileges, no core dumps, and the limits.
    pub limits: Barrier,
    /// The list of system calls.
    pub calls: Barrier,
    /// Landlock.
    pub files: Files,
}

impl Report {
    /// In words, for a person.
    pub fn told(&self) -> String {
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        match &self.files {
            Files::Confined(version) => there.push(format!("Landlock {version}")),
            Files::Open => missing.push("no Landlock: nothing was agreed on yet".to_owned()),
            Files::Missing(why) => missing.push(format!("no Landlock: {why}")),
        }
        for (barrier, name) in [(&self.calls, "seccomp"), (&self.limits, "limits")] {
            match barrier {
                Barrier::Up => there.push(name.to_owned()),
                Barrier::Missing(why) => missing.push(format!("no {name}: {why}")),
            }
        }
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        std::iter::once(there).chain(missing).collect::<Vec<_>>().join("; ")
    }

    /// Why this is not all that there could be.
    fn lacks(&self) -> Option<Lacking> {
        let barriers = [(&self.limits, "limits"), (&self.calls, "seccomp")];
        let lacking = barriers.into_iter().find_map(|(barrier, name)| match barrier {
            Barrier::Up => None,
            Barrier::Missing(why) => Some(Lacking { barrier: name, why: why.clone() }),
        });
        match &self.files {
            Files::Missing(why) => lacking.or_else(|| Some(Lacking { barrier: "Landlock", why: why.clone() })),
            Files::Open | Files::Confined(_) => lacking,
        }
    }
}

/// A barrier is required and missing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a sandbox is required here and this host has no {barrier} for it ({why}); take --require-sandbox away, or use a kernel that \
     has it (Linux 5.19 or newer, with Landlock among its security modules)"
)]
pub struct Lacking {
    barrier: &'static str,
    why: String,
}

/// The barriers of this process, between the two stages and after them.
#[derive(Debug)]
pub struct Sandbox {
    mode: Mode,
    without: Without,
    report: Report,
}

impl Sandbox {
    /// The first stage. To be called before the first byte of the other end is read, and before there is any other thread.
    ///
    /// # Errors
    /// When a barrier is required and missing; Landlock is asked for already, though it is put up later.
    pub fn first(limits: &Limits, mode: Mode) -> Result<Self, Lacking> {
        Self::first_without(limits, mode, Without::from_env())
    }

    fn first_without(limits: &Limits, mode: Mode, without: Without) -> Result<Self, Lacking> {
        if without.all {
            return Ok(Self { mode, without, report: Report::none() });
        }
        let report = Report {
            limits: stage::bound(limits, &without),
            calls: match without.seccomp {
                true => Barrier::Missing("left out".to_owned()),
                false => Barrier::of(calls::deny()),
            },
            files: landlock::lacking(&without).map_or(Files::Open, Files::Missing),
        };
        let sandbox = Self { mode, without, report };
        sandbox.checked()
    }

    /// The second stage: from now on this thread, and those that it starts, can open nothing but the grounds. To be called before
    /// there is any other thread. Gives whether files are confined.
    ///
    /// # Errors
    /// When a barrier is required and missing.
    pub fn confine(&mut self, grounds: &Grounds) -> Result<bool, Lacking> {
        if self.report.files == Files::Open && !self.without.all && !seeded::is("files-are-not-confined") {
            self.report.files = landlock::confine(grounds).map_or_else(Files::Missing, Files::Confined);
        }
        match self.report.lacks().filter(|_| self.mode == Mode::Require) {
            Some(lacking) => Err(lacking),
            None => Ok(matches!(self.report.files, Files::Confined(_))),
        }
    }

    /// The second stage of a server that learns from the client's Hello which roots there are; without one it can open nothing.
    ///
    /// # Errors
    /// As [`Sandbox::confine`].
    pub(crate) fn at_hello<F: Fs>(
        mut self,
        fs: &Arc<F>,
        places: &Places,
        hello: Option<&ClientHello>,
    ) -> Result<Confined<F>, Lacking> {
        let Prepared { grounds, above } = hello.map(|hello| prepare(fs, places, hello)).unwrap_or_default();
        let held = self.confine(&grounds)?;
        let told = Some(self.report.told());
        tracing::debug!(sandbox = told);
        Ok(match held {
            true => Confined { told, grounds: Some(grounds), above },
            false => Confined { told, ..Confined::default() },
        })
    }

    /// Which barriers stand.
    pub fn report(&self) -> &Report {
        &self.report
    }

    fn checked(self) -> Result<Self, Lacking> {
        match self.report.lacks().filter(|_| self.mode == Mode::Require) {
            Some(lacking) => Err(lacking),
            None => Ok(self),
        }
    }
}

impl Report {
    fn none() -> Self {
        let out = || "left out".to_owned();
        Self { limits: Barrier::Missing(out()), calls: Barrier::Missing(out()), files: Files::Missing(out()) }
    }
}
