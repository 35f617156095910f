//! A clock that goes only when something is done, and the stamps that a file system takes from it.
//!
//! Deliberately not here: real time.

use smd_protocol::delta::Mtime;

/// How finely a file system stamps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grain {
    /// To the nanosecond.
    Nano,
    /// The kernel's tick of 4 ms: the time of the last tick, with a sub-second part.
    Tick,
    /// Whole seconds.
    Second,
    /// Every other second, as on FAT.
    TwoSeconds,
    /// All stamps are equal from the moment this is set.
    Frozen,
}

const SECOND: i64 = 1_000_000_000;

#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// Nanoseconds since 1970.
    now: i64,
    frozen: i64,
}

impl Clock {
    pub(super) fn new(seed: u64) -> Self {
        let now = (1_700_000_000 + (seed % 10_000) as i64) * SECOND + (seed % 999_983) as i64;
        Self { now, frozen: now }
    }

    pub(super) fn now(&self) -> Mtime {
        mtime(self.now)
    }

    pub(super) fn advance(&mut self, ns: i64) {
        self.now = self.now.saturating_add(ns);
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = self.now;
    }

    pub(super) fn stamp(&self, grain: Grain) -> Mtime {
        let grains = |ns: i64| self.now.div_euclid(ns) * ns;
        mtime(match grain {
            Grain::Nano => self.now,
            Grain::Tick => grains(4_000_000),
            Grain::Second => grains(SECOND),
            Grain::TwoSeconds => grains(2 * SECOND),
            Grain::Frozen => self.frozen,
        })
    }
}

fn mtime(ns: i64) -> Mtime {
    Mtime { sec: ns.div_euclid(SECOND), nsec: ns.rem_euclid(SECOND) as u32 }
}

/// A stamp as this file system can keep it.
pub(super) fn kept(stamp: Mtime, grain: Grain) -> Mtime {
    match grain {
        Grain::Second => Mtime { sec: stamp.sec, nsec: 0 },
        Grain::TwoSeconds => Mtime { sec: stamp.sec.div_euclid(2) * 2, nsec: 0 },
        _ => Mtime { sec: stamp.sec, nsec: stamp.nsec.min(999_999_999) },
    }
}
