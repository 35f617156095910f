//! Which endpoints of this host share a base, and which of its sections each leaves alone: a file beside the base, at the client.
//!
//! A section stays in the base for as long as one of them includes its folder. It is advice: a damaged file is an empty one, and
//! then a section that leaves early makes its folder adopt for the others. While it cannot be read, no section leaves.
//!
//! Deliberately not here: what an endpoint excludes (`exclude`), and when sections leave (`run`).

use std::collections::{BTreeMap, BTreeSet};

use smd_protocol::Folder;

use super::text::{escape, unescape};
use super::{Store, StoreError};
use crate::error::Context;
use crate::fs::{Fs, Rename};
use crate::home::Access;
use crate::home::file::{read_file, write_beside};

/// Larger than any such file gets; a larger one is not ours.
const ENDPOINTS_MAX: u64 = 16 << 20;

/// The endpoints that share a base, by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Endpoints(BTreeMap<Vec<u8>, Attending>);

/// What one endpoint looks at.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Attending {
    /// A fingerprint of its excludes.
    pub excludes: String,
    /// Sections of the base that they leave alone, as of its last run that looked.
    pub leaves: BTreeSet<Folder>,
}

impl Endpoints {
    /// Whether this endpoint was seen with these excludes.
    pub fn has(&self, name: &str, excludes: &str) -> bool {
        self.0.get(name.as_bytes()).is_some_and(|one| one.excludes == excludes)
    }

    /// Whether no endpoint but this one includes a folder.
    pub fn others_leave(&self, name: &str, folder: &Folder) -> bool {
        self.0.iter().filter(|(other, _)| *other != name.as_bytes()).all(|(_, other)| other.leaves.contains(folder))
    }

    /// Keeps those of which this is true.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| std::str::from_utf8(name).is_ok_and(&keep));
    }

    /// Puts in what an endpoint looks at now. Gives whether that is news.
    pub fn put(&mut self, name: &str, attending: Attending) -> bool {
        self.0.insert(name.as_bytes().to_vec(), attending.clone()) != Some(attending)
    }

    fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let word = |out: &mut Vec<u8>, bytes: &[u8]| escape(out, bytes, |b| b.is_ascii_graphic() && b != b'%');
        for (name, one) in &self.0 {
            out.extend_from_slice(b"endpoint ");
            word(&mut out, name);
            out.push(b' ');
            word(&mut out, one.excludes.as_bytes());
            out.push(b'\n');
            for folder in &one.leaves {
                out.extend_from_slice(b"leaves ");
                word(&mut out, folder.as_bytes());
                out.push(b'\n');
            }
        }
        out
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let mut all = Self::default();
        let mut last = None;
        for line in text.strip_suffix(b"\n")?.split(|&byte| byte == b'\n') {
            if let Some(rest) = line.strip_prefix(b"endpoint ") {
                let (name, excludes) = rest.split_at(rest.iter().position(|&byte| byte == b' ')?);
                let excludes = String::from_utf8(unescape(&excludes[1..])?).ok()?;
                let name = unescape(name)?;
                all.0.insert(name.clone(), Attending { excludes, leaves: BTreeSet::new() });
                last = Some(name);
            } else {
                let folder = Folder::parse(&unescape(line.strip_prefix(b"leaves ")?)?).ok()?;
                all.0.get_mut(last.as_ref()?)?.leaves.insert(folder);
            }
        }
        Some(all)
    }
}

impl<F: Fs> Store<F> {
    fn endpoints_name(&self) -> Vec<u8> {
        [&self.name[..], b".endpoints"].concat()
    }

    /// The endpoints of which is known that they share this base; none where that cannot be read, which is not to know of no
    /// other.
    pub fn endpoints(&self) -> Option<Endpoints> {
        let Some(dir) = &self.pair.dir else { return Some(Endpoints::default()) };
        let file = read_file(&*self.pair.fs, dir, &self.endpoints_name(), ENDPOINTS_MAX).ok()?;
        Some(file.and_then(|text| Endpoints::parse(&text)).unwrap_or_default())
    }

    /// Keeps these instead. Writes nothing in a dry run.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note_endpoints(&self, endpoints: &Endpoints) -> Result<(), StoreError> {
        if self.pair.access == Access::ReadOnly {
            return Ok(());
        }
        let (dir, name, fs) = (self.dir()?, self.endpoints_name(), &*self.pair.fs);
        let beside = [&name[..], b".new"].concat();
        write_beside(fs, dir, &name, &[&endpoints.text()])
            .and_then(|()| fs.rename(dir, &beside, dir, &name, Rename::Replace))
            .context("write", self.pair.shown(&name))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> Folder {
        Folder::parse(name.as_bytes()).expect("a folder")
    }

    fn attending(excludes: &str, leaves: &[&str]) -> Attending {
        Attending { excludes: excludes.to_owned(), leaves: leaves.iter().map(|name| folder(name)).collect() }
    }

    #[test]
    fn what_is_written_is_read_and_anything_else_is_nothing() {
        let mut all = Endpoints::default();
        assert!(all.put("a", attending("", &[])));
        assert!(all.put("b c%", attending("M/.x\n|y", &[".A b", "d/e"])));
        assert!(!all.put("a", attending("", &[])));
        assert_eq!(Endpoints::parse(&all.text()), Some(all.clone()));
        for bad in [&b"x"[..], b"leaves a\n", b"endpoint a\n", b"endpoint a %\n", b"endpoint a b\nleaves ../x\n"] {
            assert_eq!(Endpoints::parse(bad), None, "{bad:?}");
        }
        all.retain(|name| name == "a");
        assert!(all.has("a", "") && !all.has("b c%", "M/.x\n|y") && !all.has("a", "other"));
    }

    #[test]
    fn a_folder_is_left_by_all_others_only_when_each_of_them_leaves_it() {
        let mut all = Endpoints::default();
        assert!(all.others_leave("a", &folder(".x")));
        all.put("a", attending("p", &[]));
        assert!(all.others_leave("a", &folder(".x")));
        all.put("b", attending("q", &[".x"]));
        assert!(all.others_leave("a", &folder(".x")) && !all.others_leave("a", &folder(".y")));
        all.put("c", attending("", &[]));
        assert!(!all.others_leave("a", &folder(".x")));
    }
}
