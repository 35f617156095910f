//! The first words: whether the far end is our server at all, before a session sees any of it.
//!
//! What the session says goes out at once, so that a run stays one round trip, and is kept until the server has spoken: where the server
//! has to be looked for elsewhere, it is said again. What comes in is held until it is known to be ours.
//!
//! Deliberately not here: what a far end that never spoke means ([`super::cause`]), and starting one ([`super::far`]).

use std::io::{self, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smd_protocol::wire::{FRAME_HEAD, PREAMBLE, PREAMBLE_SIZE, SILENCE_SECONDS};

use super::far::Far;
use super::patience::{self, Patience};

/// Bytes of noise that are looked through for the server's first word after it.
const NOISE_MAX: usize = 64 * 1024;
/// Bytes of a first frame that tell whether it is our own: the client's id is among them.
const TELLING: usize = 256;

/// How long nothing may come in once the server has spoken: a little longer than the session's own patience, which is told better.
const SILENCE: Duration = Duration::from_secs(SILENCE_SECONDS + 5);

/// What was heard of the far end before, or instead of, the server's first frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Heard {
    /// Nothing; it ended.
    #[default]
    Nothing,
    /// The server.
    Server,
    /// Our own words.
    Echo,
    /// Something else, and what came after it.
    Noise(Vec<u8>, Then),
    /// Nothing more for so many seconds, although it ran.
    Silence(u64),
}

/// What came after noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The server's first word: only a start-up file printed something.
    Server,
    /// The end.
    End,
    /// Neither, for as long as was waited.
    More,
}

/// What some first bytes are.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Too few to tell.
    Open,
    Server,
    Echo,
    Noise,
}

/// Judges the first bytes that came in by what was `said` so far.
fn judge(got: &[u8], said: &[u8]) -> Verdict {
    if !PREAMBLE.starts_with(&got[..got.len().min(PREAMBLE.len())]) {
        return Verdict::Noise;
    }
    let telling = said.len().min(PREAMBLE_SIZE + FRAME_HEAD + TELLING);
    let common = got.len().min(telling);
    match got[..common] == said[..common] {
        false => Verdict::Server,
        true if got.len() <= PREAMBLE_SIZE => Verdict::Open,
        // A frame before we said one: no echo can do that.
        true if telling <= PREAMBLE_SIZE + FRAME_HEAD => Verdict::Server,
        true if got.len() < telling => Verdict::Open,
        true => Verdict::Echo,
    }
}

/// What was said so far, and to whom.
#[derive(Debug, Default)]
pub(super) struct Said(Mutex<Way>);

#[derive(Debug, Default)]
struct Way {
    /// Where to say it; none while it is in use, and when nobody listens.
    stdin: Option<ChildStdin>,
    /// Everything that was said, until the server has spoken.
    bytes: Vec<u8>,
    /// Counts the children, so that the pipe of an earlier one is not taken for that of the present one.
    child: u32,
    /// The server has spoken: nothing needs to be said again.
    settled: bool,
    /// Nothing more will be said.
    closed: bool,
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, Way> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says everything again to another child, whose stdin this is, and goes on there.
    pub(super) fn go_on(&self, mut stdin: ChildStdin) {
        let mut at = 0;
        {
            let mut way = self.lock();
            way.stdin = None;
            way.child += 1;
        }
        loop {
            let missing = {
                let mut way = self.lock();
                if way.closed && way.bytes.len() == at {
                    return;
                }
                if way.bytes.len() == at {
                    way.stdin = Some(stdin);
                    return;
                }
                way.bytes[at..].to_vec()
            };
            // A child that is gone already is heard of by its stdout.
            if stdin.write_all(&missing).is_err() {
                return;
            }
            at += missing.len();
        }
    }

    /// Lets the child see the end of what is said.
    fn hang_up(&self) {
        let mut way = self.lock();
        way.closed = true;
        way.child += 1;
        way.stdin = None;
    }

    fn settle(&self) {
        let mut way = self.lock();
        way.settled = true;
        way.bytes = Vec::new();
    }
}

/// The server's stdin, whoever that turns out to be.
#[derive(Debug)]
pub(super) struct Mouth {
    said: Arc<Said>,
    own: Option<ChildStdin>,
}

impl Mouth {
    pub(super) fn new(said: Arc<Said>) -> Self {
        Self { said, own: None }
    }
}

impl Write for Mouth {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if let Some(own) = &mut self.own {
            return own.write(buf);
        }
        let mut way = self.said.lock();
        if way.settled {
            self.own = way.stdin.take();
            drop(way);
            return self.own.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write(buf);
        }
        way.bytes.extend_from_slice(buf);
        let (stdin, child) = (way.stdin.take(), way.child);
        drop(way);
        // Without the lock: the far end may read only as fast as its own words are read.
        if let Some(mut stdin) = stdin
            && stdin.write_all(buf).is_ok()
        {
            let mut way = self.said.lock();
            if way.child == child {
                way.stdin = Some(stdin);
            }
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.own.as_mut().map_or(Ok(()), ChildStdin::flush)
    }
}

impl Drop for Mouth {
    fn drop(&mut self) {
        let mut way = self.said.lock();
        way.closed = true;
        way.stdin = None;
    }
}

/// The server's stdout: empty unless the server has spoken.
pub(super) struct Ear {
    far: Arc<Far>,
    said: Arc<Said>,
    stdout: Option<ChildStdout>,
    patience: Patience,
    told: super::Told,
    /// The first bytes, once they are known to be the server's, and how many of them were given.
    first: Option<(Vec<u8>, usize)>,
}

impl Ear {
    pub(super) fn new(
        far: Arc<Far>,
        said: Arc<Said>,
        stdout: ChildStdout,
        patience: Patience,
        told: super::Told,
    ) -> Self {
        Self { far, said, stdout: Some(stdout), patience, told, first: None }
    }

    /// Listens until the server has spoken or nothing is left to try. Gives its first bytes.
    fn meet(&mut self) -> Vec<u8> {
        while let Some(mut stdout) = self.stdout.take() {
            let mut got = Vec::new();
            let heard = self.listen(&mut stdout, &mut got);
            if heard == Heard::Server {
                self.said.settle();
                self.far.spoke(&*self.told);
                self.stdout = Some(stdout);
                return got;
            }
            drop(stdout);
            let ends = matches!(heard, Heard::Nothing | Heard::Noise(_, Then::End));
            if !(ends && self.far.ends_within(patience::LAST_WORDS)) {
                self.said.hang_up();
                self.far.give_up(patience::LAST_WORDS);
            }
            if let Some((stdin, stdout)) = self.far.next(heard) {
                self.said.go_on(stdin);
                self.stdout = Some(stdout);
            }
        }
        Vec::new()
    }

    fn listen(&self, stdout: &mut ChildStdout, got: &mut Vec<u8>) -> Heard {
        let since = Instant::now();
        let mut noted = false;
        loop {
            let bound = if got.is_empty() { self.patience.bound } else { Duration::from_secs(SILENCE_SECONDS) };
            let until = if got.is_empty() { since + bound } else { Instant::now() + bound };
            let note = (!noted && got.is_empty()).then(|| since + self.patience.note);
            if !readable(stdout, note.map_or(until, |note| note.min(until))) {
                if Instant::now() >= until {
                    return Heard::Silence(bound.as_secs());
                }
                noted = true;
                if !patience::is_asked_now() {
                    self.far.waits(self.patience, &*self.told);
                }
                continue;
            }
            if !more(stdout, got) {
                return if got.is_empty() { Heard::Nothing } else { self.at_end(got) };
            }
            match judge(got, &self.said.lock().bytes) {
                Verdict::Open => {}
                Verdict::Server => return Heard::Server,
                Verdict::Echo => return Heard::Echo,
                Verdict::Noise => return noise(stdout, got),
            }
        }
    }

    /// The end came before it was clear whose words these are.
    fn at_end(&self, got: &[u8]) -> Heard {
        if got.len() < PREAMBLE_SIZE { Heard::Noise(got.to_vec(), Then::End) } else { Heard::Server }
    }
}

impl Read for Ear {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.first.is_none() {
            self.first = Some((self.meet(), 0));
        }
        if let Some((first, given)) = self.first.as_mut().filter(|(first, given)| *given < first.len()) {
            let count = buf.len().min(first.len() - *given);
            buf[..count].copy_from_slice(&first[*given..*given + count]);
            *given += count;
            if *given == first.len() {
                (*first, *given) = (Vec::new(), 0);
            }
            return Ok(count);
        }
        let Some(stdout) = &mut self.stdout else { return Ok(0) };
        // This bounds what waits for the far end to read, too: whoever is blocked by a full pipe is freed with the child's end.
        if !readable(stdout, Instant::now() + SILENCE) {
            self.far.kill();
            return Err(io::ErrorKind::TimedOut.into());
        }
        stdout.read(buf)
    }
}

/// Reads on after noise for a while, to see what comes after it.
fn noise(stdout: &mut ChildStdout, got: &mut Vec<u8>) -> Heard {
    let until = Instant::now() + patience::NOISE;
    let then = loop {
        if got.windows(PREAMBLE.len()).any(|window| window == PREAMBLE) {
            break Then::Server;
        }
        if got.len() >= NOISE_MAX || !readable(stdout, until) {
            break Then::More;
        }
        if !more(stdout, got) {
            break Then::End;
        }
    };
    Heard::Noise(std::mem::take(got), then)
}

/// One read; false at the end. A pipe that cannot be read has ended.
fn more(stdout: &mut ChildStdout, got: &mut Vec<u8>) -> bool {
    let mut buf = [0; 4096];
    loop {
        match stdout.read(&mut buf) {
            Ok(count) => {
                got.extend_from_slice(&buf[..count]);
                return count > 0;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// Waits until there is something to read, the end included; false when the time is over.
fn readable(stdout: &ChildStdout, until: Instant) -> bool {
    loop {
        let wait = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: wait.subsec_nanos().into() };
        match poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&timeout)) {
            Ok(0) if wait.is_zero() => return false,
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            // An error of poll is met again, and told, by the read.
            Ok(_) | Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use smd_protocol::wire;

    use super::*;

    #[test]
    fn first_bytes_are_the_servers_an_echo_or_noise() {
        let said = [&wire::preamble()[..], &[1, 40, 0, 0, 0], &[7; 40]].concat();
        let other = [&wire::preamble()[..], &[1, 40, 0, 0, 0], &[7; 39], &[8]].concat();
        let mut newer = wire::preamble();
        newer[PREAMBLE_SIZE - 1] = 9;
        for (got, said, verdict) in [
            (&b""[..], &said[..], Verdict::Open),
            (&PREAMBLE[..3], &said, Verdict::Open),
            (&said[..PREAMBLE_SIZE], &said, Verdict::Open),
            (&said[..PREAMBLE_SIZE + 9], &said, Verdict::Open),
            (&said, &said, Verdict::Echo),
            (&other, &said, Verdict::Server),
            (&other, &said[..PREAMBLE_SIZE], Verdict::Server),
            (&other, b"", Verdict::Server),
            (&newer, &said, Verdict::Server),
            (b"Welcome", &said, Verdict::Noise),
            (b"\0smdwirx", &said, Verdict::Noise),
            (b"W", &said, Verdict::Noise),
        ] {
            assert_eq!(judge(got, said), verdict, "{}", got.escape_ascii());
        }
    }
}
