//! Free memory goes back to the system while a session rests.
//!
//! A run on a large mailbox takes hundreds of thousands of small pieces and gives all of them back, but glibc keeps the pages
//! between what is left of its heaps, up to hundreds of MB, until it is asked. Each end asks at the first sign of life of
//! a rest: a run that follows at once finds its memory still there, and nothing wakes up for this alone.
//!
//! Deliberately not here: other C libraries, whose allocators give back by themselves or know no such wish.

/// Whether the memory of the last run was given back.
#[derive(Debug, Default)]
pub struct Memory {
    given_back: bool,
}

impl Memory {
    /// A run takes memory again.
    pub fn runs(&mut self) {
        self.given_back = false;
    }

    /// The session rests: gives back what is free, once after each run. Takes some milliseconds.
    pub fn rests(&mut self) {
        if !std::mem::replace(&mut self.given_back, true) {
            give_back();
        }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the only way to ask glibc, and no safe binding of it is kept by anybody")]
fn give_back() {
    // SAFETY: takes no pointer, touches only memory that nobody holds, and may be called from any thread at any time
    // (malloc_trim(3): MT-Safe).
    let some = unsafe { libc::malloc_trim(0) } != 0;
    tracing::debug!(some, "free memory was given back");
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}
