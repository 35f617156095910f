//! Brings the bytes of a batch into `tmp/`: from messages of this host, or from the wire.

use std::io;

use smd_protocol::delta::{Meta, Mtime};
use smd_protocol::step::Bytes;
use smd_protocol::{ContentHasher, Digest, Name, Outcome, Source, Step, seeded};

use super::incoming::{Incoming, Refused};
use super::read;
use super::stage::{Draft, StageError, Staged};
use super::stop::Stop;
use super::work::Work;
use super::{Applier, State};
use crate::error::{Context, Error};
use crate::fs::{Fs, Stat};
use crate::hash;

/// Why a step has no bytes from this host.
enum Lack {
    /// The source is gone, differs, or cannot be read: the peer must send them.
    Source,
    /// `tmp/` does not take them.
    Stop(Stop),
    /// A sync failed.
    Sync(String),
}

impl From<Stop> for Lack {
    fn from(stop: Stop) -> Self {
        Lack::Stop(stop)
    }
}

impl From<Error> for Lack {
    fn from(error: Error) -> Self {
        Lack::Stop(error.into())
    }
}

impl<F: Fs> Applier<F> {
    /// Stages what this host has itself. Gives the steps whose local source is gone or differs: the peer must send their
    /// bytes whole. A step that copies what another step of this batch brings is staged when that one arrives.
    pub fn stage_local(&mut self) -> Vec<usize> {
        let mut lacking = Vec::new();
        for at in 0..self.batch.steps.len() {
            if !matches!(self.batch.states[at], State::Waiting) {
                continue;
            }
            let (target, bytes) = target_of(&self.batch.steps[at]);
            let staged = match &bytes.source {
                Source::Wire => continue,
                Source::Body(name) => match self.work.has_body(name, &bytes.content.body) {
                    true => continue,
                    false => Err(Lack::Source),
                },
                Source::Copy(name) => {
                    let copied = self.work.copy(name, target, bytes, self.batch.sync_each);
                    match (copied, self.bringer(at, name)) {
                        (Err(Lack::Source), Some(Bringer::Moved(from))) => {
                            self.work.copy(&from, target, bytes, self.batch.sync_each)
                        }
                        (Err(Lack::Source), Some(Bringer::Step(by))) => {
                            self.batch.followers.entry(by).or_default().push(at);
                            continue;
                        }
                        (copied, _) => copied,
                    }
                }
            };
            if let Some(at) = self.stage(at, staged) {
                lacking.push(at);
            }
        }
        let here: Vec<usize> = self
            .batch
            .followers
            .keys()
            .copied()
            .filter(|&by| matches!(self.batch.states[by], State::Staged(_)))
            .collect();
        here.into_iter().for_each(|by| self.stage_followers(by));
        lacking
    }

    /// Who makes in this batch the message that a step copies.
    fn bringer(&self, at: usize, name: &Name) -> Option<Bringer> {
        let content = target_of(&self.batch.steps[at]).1.content;
        let steps = self.batch.by_target.get(name).into_iter().flatten();
        steps.map(|&by| (by, &self.batch.steps[by])).find_map(|(by, step)| match step {
            Step::Move { from, .. } => Some(Bringer::Moved(from.clone())),
            _ if by != at && step.bytes()?.content == content => Some(Bringer::Step(by)),
            _ => None,
        })
    }

    /// Takes note of staged bytes; gives the step back when its source is lacking.
    fn stage(&mut self, at: usize, staged: Result<Staged, Lack>) -> Option<usize> {
        self.batch.states[at] = match staged {
            Ok(staged) => State::Staged(staged),
            Err(Lack::Source) => return Some(at),
            Err(Lack::Stop(stop)) => State::Settled(stop.into()),
            Err(Lack::Sync(text)) => {
                self.batch.broken = Some(text.clone());
                State::Settled(Outcome::Failed(text))
            }
        };
        None
    }

    fn stage_followers(&mut self, by: usize) {
        for at in self.batch.followers.remove(&by).unwrap_or_default() {
            let State::Staged(leader) = &self.batch.states[by] else { return };
            if matches!(self.batch.states[at], State::Waiting) {
                let (target, bytes) = target_of(&self.batch.steps[at]);
                let staged = self.work.copy_staged(&leader.clone(), target, bytes, self.batch.sync_each);
                // When it lacks its source after all, the step asks for its bytes by its outcome.
                let _ = self.stage(at, staged);
                self.stage_followers(at);
            }
        }
    }

    /// Expects the bytes of a step from the wire: whole, or for [`Source::Body`] the header alone. `meta` is what the peer
    /// says of the message; no more than its size is taken.
    ///
    /// # Errors
    /// When the step awaits no bytes: the peer breaks the rules.
    pub fn incoming(&mut self, step: usize, meta: Meta) -> Result<Incoming<F>, Refused> {
        let refused = Refused::NotAwaited(step);
        let stop = match self.batch.states.get(step) {
            Some(State::Waiting) => None,
            // It failed here meanwhile; what comes is passed over.
            Some(State::Settled(Outcome::Failed(text))) if self.batch.steps[step].bytes().is_some() => {
                Some(Stop::Failed(text.clone()))
            }
            // It was refused, which the peer hears with the outcomes; it may be sending already.
            Some(State::Settled(Outcome::Refused(refusal))) if self.batch.steps[step].bytes().is_some() => {
                Some(Stop::Refused(refusal.clone()))
            }
            _ => return Err(refused),
        };
        let (target, _) = target_of(&self.batch.steps[step]);
        let shown = self.work.shown(target);
        let draft = stop.map_or_else(|| self.work.draft(target, meta.size), Err);
        Ok(Incoming::new(step, meta, shown, draft))
    }

    /// What the other host's message says behind its uniq. A message that arrives under a free name is called so too, if that
    /// says the same.
    ///
    /// # Errors
    /// When there is no such step: the peer breaks the rules.
    pub fn spell(&mut self, step: usize, suffix: &[u8]) -> Result<(), Refused> {
        let wanted = self.batch.steps.get(step).ok_or(Refused::NotAwaited(step))?;
        if let Step::Put { to, dress, .. } = wanted
            && let Some(file) = to.uniq.spelled(suffix, &dress.flags)
        {
            self.batch.spelled.insert(step, file);
        }
        Ok(())
    }

    /// Stages what came, if it is what was announced.
    pub(super) fn arrived(&mut self, incoming: Incoming<F>) {
        let (at, mtime) = (incoming.step, incoming.mtime);
        // A batch may have ended meanwhile.
        if !matches!(self.batch.states.get(at), Some(State::Waiting)) {
            return incoming.abort();
        }
        let (target, bytes) = target_of(&self.batch.steps[at]);
        let staged = match incoming.draft {
            Ok(draft) => self.work.complete(draft, target, bytes, mtime, self.batch.sync_each),
            Err(stop) => Err(stop.into()),
        };
        // A lacking body: the step waits on, for its bytes whole.
        let _ = self.stage(at, staged);
        self.stage_followers(at);
    }
}

/// Who makes the message that a step copies.
enum Bringer {
    /// It is moved there from here.
    Moved(Name),
    /// This step brings its bytes.
    Step(usize),
}

fn target_of(step: &Step) -> (&Name, &Bytes) {
    (
        step.target().expect("a step that brings bytes has a target"),
        step.bytes().expect("asked for steps that bring bytes"),
    )
}

impl<F: Fs> Work<F> {
    /// Creates a file for so many bytes of this message in its folder's `tmp/`.
    fn draft(&mut self, target: &Name, size: u64) -> Result<Draft<F>, Stop> {
        let shown = self.root.shown(&target.folder, b"tmp");
        let tmp = self.folders.tmp(&target.folder).context("open", &shown)?;
        let (fs, quota) = (self.root.fs.clone(), self.quota.clone());
        Draft::create(&fs, &quota, tmp, &target.folder, size, || self.tmp_name())
            .map_err(|denied| Stop::denied("write", &shown, denied))
    }

    /// Whether this host's message of this name has this body.
    fn has_body(&mut self, name: &Name, body: &Digest) -> bool {
        let hint = self.expected(name);
        let message = self.messages.open(name, hint.as_ref());
        let hashed = message.and_then(|mut message| hash::hash_file(self.fs(), &mut message.file));
        hashed.is_ok_and(|(hashed, _)| hashed.content.body == *body)
    }

    /// Stages a copy of a message of this host.
    fn copy(&mut self, name: &Name, target: &Name, bytes: &Bytes, sync: bool) -> Result<Staged, Lack> {
        // Neither the scan saw it nor has a step made it: another step of the batch may bring it. Looking for what is not
        // there lists its whole folder several times.
        let Some(hint) = self.expected(name) else { return Err(Lack::Source) };
        // An unreadable source is no reason to fail: the peer has the bytes.
        let message = self.messages.open(name, Some(&hint)).map_err(|_| Lack::Source)?;
        self.copy_file(message.file, target, bytes, message.stat, sync)
    }

    /// Stages a copy of what another step staged.
    fn copy_staged(&mut self, leader: &Staged, target: &Name, bytes: &Bytes, sync: bool) -> Result<Staged, Lack> {
        let open = |work: &mut Self| -> io::Result<_> {
            let tmp = work.folders.tmp(&leader.folder)?;
            let file = work.fs().open(&tmp, &leader.file)?;
            let stat = work.fs().stat_file(&file)?;
            Ok((file, stat))
        };
        let (file, stat) = open(self).map_err(|_| Lack::Source)?;
        self.copy_file(file, target, bytes, stat, sync)
    }

    fn copy_file(
        &mut self,
        mut file: F::File,
        target: &Name,
        bytes: &Bytes,
        stat: Stat,
        sync: bool,
    ) -> Result<Staged, Lack> {
        let mut draft = self.draft(target, stat.size)?;
        let mut written = Ok(());
        let read = read::each_chunk(&mut file, |chunk| {
            written = draft.write(chunk);
            if written.is_ok() { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
        });
        if written.is_err() || read.is_err() || draft.hashed().content != bytes.content {
            draft.discard();
            written.map_err(|denied| Stop::denied("write", &self.shown(target), denied))?;
            return Err(Lack::Source);
        }
        self.finish(draft, target, bytes.mtime.unwrap_or(stat.mtime), sync)
    }

    /// Checks what came for a message and, when it was the header alone, adds the body from this host's message.
    fn complete(
        &mut self,
        mut draft: Draft<F>,
        target: &Name,
        bytes: &Bytes,
        mtime: Mtime,
        sync: bool,
    ) -> Result<Staged, Lack> {
        let came = draft.hashed().content;
        if came != bytes.content && !seeded::is("installs-whatever-came") {
            let header_alone = came.header == bytes.content.header && came.body == Digest::of(b"");
            let added = match &bytes.source {
                Source::Body(name) if header_alone => self.add_body(&mut draft, name, target),
                _ => Err(Stop::changed(&self.shown(target), "changed on the other host while it was sent").into()),
            };
            let checked =
                added.and_then(|()| if draft.hashed().content == bytes.content { Ok(()) } else { Err(Lack::Source) });
            if let Err(lack) = checked {
                draft.discard();
                return Err(lack);
            }
        }
        self.finish(draft, target, bytes.mtime.unwrap_or(mtime), sync)
    }

    fn add_body(&mut self, draft: &mut Draft<F>, name: &Name, target: &Name) -> Result<(), Lack> {
        let hint = self.expected(name);
        let mut message = self.messages.open(name, hint.as_ref()).map_err(|_| Lack::Source)?;
        let (mut hasher, mut written) = (ContentHasher::new(), Ok(()));
        let mut before = 0;
        let read = read::each_chunk(&mut message.file, |chunk| {
            let mut body = 0;
            if !hasher.in_body() {
                hasher.update(chunk);
                let header_size = hasher.finish().header_size;
                body = usize::try_from(header_size - before).expect("a header ends in its chunk");
                before = header_size;
            }
            written = draft.write(&chunk[body..]);
            if written.is_ok() { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
        });
        written.map_err(|denied| Stop::denied("write", &self.shown(target), denied))?;
        read.map_err(|_| Lack::Source)
    }

    fn finish(&mut self, draft: Draft<F>, target: &Name, mtime: Mtime, sync: bool) -> Result<Staged, Lack> {
        let shown = self.shown(target);
        let sync = sync || !self.trusted(&target.folder).context("open", &shown)?;
        draft.finish(mtime, sync).map_err(|error| match error {
            StageError::Io(cause) => Lack::Stop(Error { action: "write", path: shown, cause }.into()),
            StageError::Sync(cause) => Lack::Sync(Error { action: "sync", path: shown, cause }.to_string()),
        })
    }
}
