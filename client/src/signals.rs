//! SIGINT and SIGTERM: ask the session to stop, and make sure that it does.
//!
//! The first signal raises a flag that the session looks at between steps. A session that waits for
//! the other host cannot look: after a short grace the connection is cut under it. A second
//! signal ends the process at once; what that leaves behind is what any crash leaves, and the next
//! run deals with it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::Exit;

/// How long a session may take to stop by itself.
const GRACE: Duration = Duration::from_secs(3);
/// How often the watching thread looks at the flag.
const LOOK: Duration = Duration::from_millis(50);

/// What became of the signals.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    number: Arc<AtomicUsize>,
}

impl Signals {
    /// Catches both signals from now on.
    pub fn catch() -> io::Result<Self> {
        let signals = Self::default();
        for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
            // In this order: the shutdown must see the flag as the *earlier* signal left it.
            flag::register_conditional_shutdown(signal, i32::from(exit.code()), Arc::clone(&signals.stop))?;
            flag::register_usize(signal, Arc::clone(&signals.number), usize::from(exit.code()))?;
            flag::register(signal, Arc::clone(&signals.stop))?;
        }
        Ok(signals)
    }

    /// The flag for the session.
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// The exit code that a caught signal asks for.
    pub fn exit(&self) -> Option<Exit> {
        if !self.stop.load(Ordering::Relaxed) {
            return None;
        }
        Some(if self.number.load(Ordering::Relaxed) == usize::from(Exit::Terminated.code()) {
            Exit::Terminated
        } else {
            Exit::Interrupted
        })
    }

    /// Calls `cut` when a signal came and the session did not stop in time; the thread ends with the process.
    pub fn cut_after_grace(&self, cut: impl FnOnce() + Send + 'static) {
        let stop = self.stop();
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(LOOK);
            }
            thread::sleep(GRACE);
            cut();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_only_asks() {
        let signals = Signals::catch().expect("signals can be caught");
        assert_eq!(signals.exit(), None);
        signal_hook::low_level::raise(SIGTERM).expect("it can be raised");
        assert!(signals.stop().load(Ordering::Relaxed));
        assert_eq!(signals.exit(), Some(Exit::Terminated));
    }
}
