//! Watching the roots of one host for changes, so that nobody need look for them by the clock.
//!
//! A watch tells that *something* changed, never what: what it is the next look finds. So a watch may ring for nothing,
//! and what it must not do is stay silent while a root changes that [`Watch::unwatched`] does not name. Watches are set
//! before the look of a run and what was met before it is forgotten, so that nothing falls between the two.
//!
//! The rooms: `ground` (which directories are watched), `events` (what the system's events mean), `settle` (when to tell).
//!
//! Deliberately not here: looking, and what a change leads to.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::io::Errno;

mod events;
mod ground;
mod settle;
#[cfg(test)]
mod tests;

pub use ground::Ground;

use crate::error::Trouble;
use crate::fs::Fs;
use events::Watched;
use settle::Settle;

/// Bytes of events that are read at once.
const BUFFER: usize = 4096;

/// What the session and the thread that waits for events share.
struct Shared {
    inotify: OwnedFd,
    state: Mutex<State>,
    ring: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    /// The watched directories by the system's numbers.
    watched: HashMap<i32, Watched>,
    settle: Settle,
    /// There may be directories that are not watched yet.
    stale: bool,
    /// Somebody rests and is to be rung for.
    armed: bool,
}

/// A watch over the roots of one host.
pub struct Watch<F: Fs> {
    fs: Arc<F>,
    shared: Arc<Shared>,
    grounds: Vec<Ground>,
    /// Which directory each root was when it was covered; none when it was not there.
    covered: Vec<Option<(u64, u64)>>,
    unwatched: Vec<Trouble>,
    /// Closed to end the thread.
    quit: Option<io::PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl<F: Fs> Watch<F> {
    /// A watch over nothing yet. `ring` is called, from another thread, when something changed during a rest.
    ///
    /// # Errors
    /// When the system gives no more watches to this user, or no thread.
    pub fn start(fs: Arc<F>, ring: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let shared = Arc::new(Shared { inotify, state: Mutex::default(), ring: Box::new(ring) });
        let (ended, quit) = io::pipe()?;
        let waits = shared.clone();
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(move || {
            if let Err(error) = waits.attend(&ended) {
                tracing::warn!(%error, "watching ended");
            }
        })?;
        Ok(Self {
            fs,
            shared,
            grounds: Vec::new(),
            covered: Vec::new(),
            unwatched: Vec::new(),
            quit: Some(quit),
            thread: Some(thread),
        })
    }

    /// Before a look at these roots: from here on every change is met, and what was met before is forgotten.
    pub fn begin(&mut self, grounds: Vec<Ground>) {
        if self.grounds != grounds {
            self.grounds = grounds;
            self.covered.clear();
        }
        {
            let mut state = self.shared.lock();
            state.armed = false;
            self.shared.drain(&mut state);
        }
        self.cover();
        self.shared.lock().settle.forget();
    }

    /// After a run: rings once when something changes, or has changed since the look. Changes of the run itself count.
    pub fn rest(&mut self) {
        // A root that this run made, or a folder that came meanwhile, may have changed before it was watched.
        let late = self.cover();
        let mut state = self.shared.lock();
        if late {
            state.settle.tell();
        }
        state.armed = true;
        self.shared.ring_if_due(&mut state);
    }

    /// Whether a change is to be told. It is told once; then nothing rings until the next rest.
    pub fn take(&self) -> bool {
        let mut state = self.shared.lock();
        let told = state.settle.take();
        state.armed &= !told;
        told
    }

    /// What is not watched, or not wholly, and why.
    pub fn unwatched(&self) -> &[Trouble] {
        &self.unwatched
    }

    /// Sets watches where there are none yet. Says whether it had to.
    fn cover(&mut self) -> bool {
        let now: Vec<Option<(u64, u64)>> = self.grounds.iter().map(|ground| ground.identity(&*self.fs)).collect();
        let mut state = self.shared.lock();
        if now == self.covered && !state.stale {
            return false;
        }
        state.stale = false;
        self.unwatched = ground::cover(&self.fs, &self.grounds, &self.shared.inotify, &mut state.watched);
        self.covered = now;
        true
    }
}

impl<F: Fs> Drop for Watch<F> {
    fn drop(&mut self) {
        self.quit = None;
        if let Some(thread) = self.thread.take() {
            // It only waits and rings; a panic in it is no reason for another one.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for events until the other end of `ended` is closed.
    fn attend(&self, ended: &io::PipeReader) -> io::Result<()> {
        loop {
            let wait = self.lock().settle.wait(Instant::now());
            let wait = wait.map(|wait| Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() });
            let mut fds = [PollFd::new(&self.inotify, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
            match poll(&mut fds, wait.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !fds[1].revents().is_empty() {
                return Ok(());
            }
            let mut state = self.lock();
            self.drain(&mut state);
            state.settle.pass(Instant::now());
            self.ring_if_due(&mut state);
        }
    }

    fn ring_if_due(&self, state: &mut State) {
        if state.armed && state.settle.is_told() {
            (self.ring)();
        }
    }

    /// Takes in all events that wait.
    fn drain(&self, state: &mut State) {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return,
                Err(error) => {
                    // Nothing is known any more: as if everything had changed.
                    tracing::warn!(%error, "events cannot be read");
                    state.stale = true;
                    state.settle.meet(Instant::now());
                    return;
                }
            };
            let name = event.file_name().map_or(&b""[..], |name| name.to_bytes());
            let meaning = events::meaning(state.watched.get(&event.wd()), event.events(), name);
            if event.events().contains(inotify::ReadFlags::IGNORED) {
                state.watched.remove(&event.wd());
            }
            state.stale |= meaning.stale;
            if meaning.change {
                state.settle.meet(Instant::now());
            }
        }
    }
}
