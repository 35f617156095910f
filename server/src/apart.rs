//! A piece of work in a thread of its own, so that its memory goes with it.
//!
//! What an allocator keeps of a thread for its next requests (glibc's `tcache`) lies between all that was given back, and holds
//! the memory of a whole run through the rest after it. It lets go of that when the thread ends. Where an allocator has
//! other ways, nothing is lost but the time of a thread.
//!
//! Deliberately not here: what the work is.

use std::io;
use std::thread;

/// As much as the first thread of a process has by custom.
const STACK: usize = 8 << 20;

/// Does this in a thread of its own.
///
/// # Errors
/// When there is no thread for it.
pub fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let work = thread::Builder::new().name("run".to_owned()).stack_size(STACK).spawn_scoped(scope, work)?;
        Ok(work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
