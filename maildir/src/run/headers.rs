//! Headers of messages, for what digests do not tell: whether two differ by another program's mark alone, and by which field.

use smd_protocol::{Digest, Entry, Name, header, wire};

use super::RootRun;
use crate::apply::{Messages, open_message};
use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::hash;

/// A header that is longer is not compared without its marks.
const HEADER_MAX: usize = 4 << 20;

impl<F: Fs> RootRun<F> {
    /// The digest of a message's header without marks ([`header::MARKS`]): its own, if it has none. None where nobody can
    /// tell: it cannot be read, is not what the look found, or is too long. Then it is a message of its own.
    /// `messages` keeps a listing: ask folder by folder.
    pub fn bare_header(&self, messages: &mut Messages<F>, name: &Name, seen: &Entry) -> Option<Digest> {
        let mut message = messages.open(name, Some(seen)).ok()?;
        let (header, whole) = hash::header(&mut message.file, HEADER_MAX).ok()?;
        if !whole || Digest::of(&header) != seen.content.header {
            return None;
        }
        header::without_marks(&header)
    }

    /// A message's header, as far as it is told to a person.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn header(&self, name: &Name) -> Result<Vec<u8>, Error> {
        let Some(root) = &self.root else {
            return Err(std::io::Error::from(std::io::ErrorKind::NotFound)).context("open", name.uniq.as_bytes());
        };
        let mut message = open_message(root, name).context("open", root.shown_name(name))?;
        Ok(hash::header(&mut message.file, wire::HEADER_MAX).context("read", root.shown_name(name))?.0)
    }
}
