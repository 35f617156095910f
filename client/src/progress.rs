//! The progress bar: fed by the session, shown to a person who waits.
//!
//! It appears on stderr when that is a terminal, nobody said `-q`, and the run takes longer than a
//! second after the connection stands: ssh may ask for a passphrase before that, and a bar would
//! write over the question. Deliberately not here: anything that the run's outcome depends on.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::journal::Journal;
use crate::output::Output;

/// How long a run may take before it shows a bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar. With 200,000 messages and gigabytes it still fits into 80 columns.
const COUNTED: &str = "{msg} [{bar:16}] {human_pos}/{human_len} {prefix} {eta} left";
/// A count of what nobody knows the number of.
const UNCOUNTED: &str = "{spinner} {msg} {human_pos} {prefix} {elapsed}";

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for the server's Hello; nothing is drawn.
    Connect,
    /// Scanning the roots of this host.
    Scan,
    /// Waiting for the server's delta.
    Wait,
    /// Computing the plan.
    Compare,
    /// Contents go over the wire and steps are carried out.
    Apply,
    /// Making everything durable and agreeing on the new base.
    Commit,
}

impl Phase {
    /// The phase in a word or two.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::Scan => "looking here",
            Self::Wait => "server looks",
            Self::Compare => "comparing",
            Self::Apply => "applying",
            Self::Commit => "committing",
        }
    }
}

/// Where the session tells how far it is, and what it did. All methods take `&self` and may be called from any
/// thread.
#[derive(Debug)]
pub struct Progress {
    bar: Option<Bar>,
    journal: Journal,
    /// Whom to tell what a person should know while the run is on.
    output: Option<Output>,
}

#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    connected: Arc<AtomicBool>,
    /// Dropped to end the thread that waits for the right moment to draw.
    quit: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Progress {
    /// A bar if `wanted` and stderr is a terminal, otherwise nothing at all.
    pub fn new(wanted: bool) -> Self {
        let bar = (wanted && std::io::stderr().is_terminal()).then(Bar::start);
        Self { bar, journal: Journal::default(), output: None }
    }

    /// Never draws.
    pub fn hidden() -> Self {
        Self { bar: None, journal: Journal::default(), output: None }
    }

    /// Tells this journal what the session does.
    pub fn telling(self, journal: &Journal) -> Self {
        Self { journal: journal.clone(), ..self }
    }

    /// Says through this what a person should know while the run is on.
    pub fn speaking(self, output: &Output) -> Self {
        Self { output: Some(output.clone()).filter(|output| !output.quiet()), ..self }
    }

    /// Says something that a person should know now, to the log too.
    pub fn warn(&self, text: &str) {
        self.journal.line(&format!("warning: {text}"));
        if let Some(output) = &self.output {
            self.suspend(|| output.warn(text, None));
        }
    }

    /// Where the session tells what it does.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Enters a phase of `total` messages, or of an unknown number.
    pub fn phase(&self, phase: Phase, total: Option<u64>) {
        let Some(Bar { bar, connected, .. }) = &self.bar else { return };
        bar.set_style(style(total.is_some()));
        bar.set_message(phase.word());
        bar.set_prefix("");
        bar.reset();
        match total {
            Some(total) => bar.set_length(total),
            None => bar.unset_length(),
        }
        if phase != Phase::Connect {
            connected.store(true, Ordering::Relaxed);
        }
    }

    /// Tells how many messages of this phase are done, and how many bytes went over the wire so far.
    pub fn at(&self, messages: u64, bytes: u64) {
        if let Some(Bar { bar, .. }) = &self.bar {
            bar.set_position(messages);
            if bytes > 0 {
                let rate = bytes as f64 / bar.elapsed().as_secs_f64().max(0.1);
                bar.set_prefix(format!("{} {}/s", indicatif::BinaryBytes(bytes), indicatif::BinaryBytes(rate as u64)));
            }
        }
    }

    /// Runs `write`, which may write to the terminal, with the bar out of the way.
    pub fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        match &self.bar {
            Some(bar) => bar.bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the bar away for good.
    pub fn finish(&mut self) {
        self.bar = None;
    }
}

impl Bar {
    fn start() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let connected = Arc::new(AtomicBool::new(false));
        let (quit, wait) = mpsc::channel::<()>();
        let (shown, ready) = (bar.clone(), Arc::clone(&connected));
        let thread = thread::spawn(move || {
            let since = Instant::now();
            while since.elapsed() < PATIENCE || !ready.load(Ordering::Relaxed) {
                match wait.recv_timeout(Duration::from_millis(100)) {
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    _ => return,
                }
            }
            shown.set_draw_target(ProgressDrawTarget::stderr());
            shown.enable_steady_tick(Duration::from_millis(200));
        });
        Self { bar, connected, quit: Some(quit), thread: Some(thread) }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.quit = None;
        if let Some(thread) = self.thread.take() {
            // It only sleeps and draws; a panic in it is no reason for another one.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

fn style(counted: bool) -> ProgressStyle {
    ProgressStyle::with_template(if counted { COUNTED } else { UNCOUNTED })
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_understood() {
        for template in [COUNTED, UNCOUNTED] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }

    #[test]
    fn a_bar_that_was_never_drawn_goes_away_at_once() {
        let since = Instant::now();
        let mut progress = Progress { bar: Some(Bar::start()), ..Progress::hidden() };
        progress.phase(Phase::Scan, Some(10));
        progress.at(5, 100);
        progress.finish();
        assert!(since.elapsed() < PATIENCE);
    }
}
