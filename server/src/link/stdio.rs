//! Stdin and stdout without a buffer of the standard library's; stdin with a bound until when it must have said something.
//!
//! Deliberately not here: a bound for all that follows; who waits then is the session (`serve`), which knows what for.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The process's stdin, or in tests another descriptor.
#[derive(Debug)]
pub struct Stdin<F = BorrowedFd<'static>> {
    fd: F,
    until: Option<Instant>,
}

impl Stdin {
    /// The process's stdin, which nothing else may read.
    pub fn of_process() -> Self {
        Self::new(rustix::stdio::stdin())
    }
}

impl<F: AsFd> Stdin<F> {
    /// Reads from this descriptor, without a bound.
    pub fn new(fd: F) -> Self {
        Self { fd, until: None }
    }

    /// From now on reads fail with [`io::ErrorKind::TimedOut`] once so much time has passed in all; none: there is no bound.
    pub fn bound(&mut self, bound: Option<Duration>) {
        self.until = bound.map(|bound| Instant::now() + bound);
    }

    fn wait(&self, until: Instant) -> io::Result<()> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                // A pipe that was closed is readable too: then comes its end.
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<F: AsFd> Read for Stdin<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(until) = self.until {
            self.wait(until)?;
        }
        Ok(rustix::io::read(&self.fd, buf)?)
    }
}

/// The process's stdout without a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(rustix::stdio::stdout(), buf)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_came_is_read_and_what_does_not_come_is_not_waited_for() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let mut stdin = Stdin::new(reader);
        stdin.bound(Some(Duration::ZERO));
        writer.write_all(b"ab").expect("writes");
        let mut bytes = [0; 2];
        stdin.read_exact(&mut bytes).expect("it is there already");
        assert_eq!(stdin.read(&mut bytes).expect_err("nothing comes").kind(), io::ErrorKind::TimedOut);
        drop(writer);
        assert_eq!(stdin.read(&mut bytes).expect("the end is there"), 0);
    }
}
