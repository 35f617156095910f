//! Faults: which call fails or is the last one, and how.
//!
//! Deliberately not here: what a crash leaves (`crash.rs` beside it).

/// The classes of calls that a fault can be restricted to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Opening, reading, looking.
    Reads,
    /// Listing a directory.
    Lists,
    /// Making files and directories, writing, cutting, setting mtime and mode.
    Writes,
    /// Changing names: rename, link, unlink, removal of a directory.
    Renames,
    /// Syncing a file, a directory, a file system.
    Syncs,
    /// Taking a lock.
    Locks,
}

/// What a fault does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// One call fails.
    Once,
    /// That call and every later one of the class fails.
    Forever,
    /// That call fails, and then the machine is dead.
    OnceThenCrash,
    /// The machine is dead; the errno does not count.
    Crash,
}

/// One planned fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    at: u64,
    errno: i32,
    how: How,
    class: Option<Class>,
    name: Option<Vec<u8>>,
    late: bool,
    short: bool,
}

impl Fault {
    /// The `at`-th call from when this is armed fails with `errno`; 1 is the next call.
    pub fn new(at: u64, errno: i32, how: How) -> Self {
        Self { at, errno, how, class: None, name: None, late: false, short: false }
    }

    /// The machine dies instead of the `at`-th call.
    pub fn crash_before(at: u64) -> Self {
        Self::new(at, super::EIO, How::Crash)
    }

    /// The machine dies after the `at`-th call took effect, before its caller heard of it.
    pub fn crash_after(at: u64) -> Self {
        Self::crash_before(at).late()
    }

    /// Only calls of this class are counted and fail.
    pub fn only(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    /// Only calls about a name with these bytes in it are counted and fail; calls on an open file are about the name by
    /// which it was opened.
    pub fn about(mut self, name: &[u8]) -> Self {
        self.name = Some(name.to_vec());
        self
    }

    /// The call takes effect, and its caller is told that it failed, as NFS can do.
    pub fn late(mut self) -> Self {
        self.late = true;
        self
    }

    /// If the call is a write, half of it is written and said so, and the next write fails.
    pub fn short(mut self) -> Self {
        self.short = true;
        self
    }
}

/// What is to become of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Go,
    /// Half of the write, and the next one fails so.
    Short(i32),
    Fail {
        errno: i32,
        late: bool,
        dies: bool,
    },
}

/// The faults that are armed, and how many calls each saw.
#[derive(Clone, Default, Debug)]
pub(super) struct Plan {
    armed: Vec<(Fault, u64)>,
    next_write: Option<i32>,
    /// How many calls failed as planned.
    pub(super) struck: u64,
}

impl Plan {
    pub(super) fn arm(&mut self, fault: Fault) {
        self.armed.push((fault, 0));
    }

    pub(super) fn judge(&mut self, class: Class, is_write: bool, names: [&[u8]; 2]) -> Verdict {
        if is_write && let Some(errno) = self.next_write.take() {
            return Verdict::Fail { errno, late: false, dies: false };
        }
        let mut verdict = Verdict::Go;
        let struck = &mut self.struck;
        self.armed.retain_mut(|(fault, seen)| {
            let about = |wanted: &Vec<u8>| {
                names.iter().any(|name| name.windows(wanted.len().max(1)).any(|part| part == wanted.as_slice()))
            };
            if fault.class.is_some_and(|wanted| wanted != class) || !fault.name.as_ref().is_none_or(about) {
                return true;
            }
            *seen += 1;
            if *seen < fault.at || verdict != Verdict::Go {
                return true;
            }
            *struck += 1;
            let dies = matches!(fault.how, How::OnceThenCrash | How::Crash);
            verdict = Verdict::Fail { errno: fault.errno, late: fault.late, dies };
            if fault.short && is_write && !dies {
                verdict = Verdict::Short(fault.errno);
                self.next_write = Some(fault.errno);
            }
            fault.how == How::Forever
        });
        verdict
    }
}
