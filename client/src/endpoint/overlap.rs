//! Roots that are one directory, or lie inside one another, are refused: mail would be seen twice. So are those that may be
//! none (`smd_maildir::roots`).
//!
//! Directories of this host are told apart by device and inode, so that symlinks and bind mounts
//! do not hide an overlap; a root that is not there yet, by its nearest existing parent. Of the
//! server's roots only the names are known here; the server looks at its own disk.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use smd_maildir::roots::{self, Judge, Places};
use smd_protocol::names::printable;

use super::EndpointError;
use crate::home::SmdHome;

/// Two roots that cannot be kept apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", if inner == outer { format!("`{inner}` is named twice: it cannot be made equal to itself") } else { format!("`{inner}` is `{outer}`, or lies inside it: its mail would be seen twice") })]
pub struct Overlap {
    /// The one inside, or the second of two equal ones.
    pub inner: String,
    /// The other one.
    pub outer: String,
}

/// The absolute path without symlinks, `.` and `..`. What does not exist yet keeps its name.
pub fn resolved(path: &Path) -> Result<PathBuf, EndpointError> {
    let wrong = |error| EndpointError::Path(path.to_owned(), error);
    let absolute = std::path::absolute(path).map_err(wrong)?;
    let mut out = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
        match fs::canonicalize(&out) {
            Ok(real) => out = real,
            // The rest is not there yet; `..` in it goes by name alone.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !out.is_symlink() => {}
            Err(error) => return Err(wrong(error)),
        }
    }
    Ok(out)
}

/// Checks directories of this host: whether each may be a root, and against one another.
pub fn check(home: &SmdHome, roots: &[PathBuf]) -> Result<(), EndpointError> {
    let places = Places { user: home.user().to_owned(), state: home.path().to_owned() };
    let judge = Judge::new(&places).map_err(|error| {
        let path = std::ffi::OsString::from_vec(error.path);
        EndpointError::Path(path.into(), error.cause)
    })?;
    for root in roots {
        judge.check(&roots::real(root).unwrap_or_else(|_| root.clone()), root)?;
    }
    // A root that cannot be reached (a dangling symlink, a dead mount) cannot be opened by the session either, which
    // says so and goes on with the others; among roots like it the names decide.
    let place = |root: &PathBuf| match resolved(root) {
        Ok(real) => Place::of(&real),
        Err(_) => Place { chain: Vec::new(), rest: root.clone() },
    };
    let places: Vec<Place> = roots.iter().map(place).collect();
    let name = |index: usize| roots[index].display().to_string();
    pairs(places.len(), |inner, outer| places[inner].is_inside(&places[outer]), name)
}

/// Checks paths of the server against one another, by name.
pub fn check_names(roots: &[&[u8]]) -> Result<(), EndpointError> {
    let inside = |inner: usize, outer: usize| match (roots[inner], roots[outer]) {
        (inner, b".") => !inner.starts_with(b"/"),
        (inner, outer) => inner
            .strip_prefix(outer.strip_suffix(b"/").unwrap_or(outer))
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'/'),
    };
    pairs(roots.len(), inside, |index| printable(roots[index]))
}

fn pairs(
    count: usize,
    inside: impl Fn(usize, usize) -> bool,
    name: impl Fn(usize) -> String,
) -> Result<(), EndpointError> {
    for outer in 0..count {
        for inner in (0..count).filter(|&inner| inner != outer) {
            if inside(inner, outer) {
                return Err(Overlap { inner: name(inner), outer: name(outer) }.into());
            }
        }
    }
    Ok(())
}

/// A directory by identity: of itself and its parents, and the names that are not there yet.
struct Place {
    /// Device and inode of the nearest existing directory, then of each of its parents.
    chain: Vec<(u64, u64)>,
    /// Components below it that do not exist.
    rest: PathBuf,
}

impl Place {
    fn of(path: &Path) -> Self {
        let exists = path.ancestors().find(|parent| parent.exists()).unwrap_or(Path::new("/"));
        let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
        let rest = path.strip_prefix(exists).unwrap_or(Path::new("")).to_owned();
        Self { chain: exists.ancestors().filter_map(identity).collect(), rest }
    }

    fn is_inside(&self, outer: &Self) -> bool {
        if outer.rest.as_os_str().is_empty() {
            return outer.chain.first().is_some_and(|top| self.chain.contains(top));
        }
        self.chain.first() == outer.chain.first() && self.rest.starts_with(&outer.rest)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn home(dir: &tempfile::TempDir) -> SmdHome {
        SmdHome::new(dir.path().join("home/.smd"), dir.path().join("home"))
    }

    #[test]
    fn a_symlink_does_not_hide_an_overlap() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b")).expect("directories");
        symlink(at("a"), at("link")).expect("a link");
        assert!(check(&home(&dir), &[at("link"), at("a")]).is_err());
        assert!(check(&home(&dir), &[at("a"), at("link/b/later")]).is_err());
        assert!(check(&home(&dir), &[at("a/new/x"), at("link/new")]).is_err());
        assert!(check(&home(&dir), &[at("a/b"), at("a/bb"), at("c")]).is_ok());
    }

    #[test]
    fn a_root_that_cannot_be_reached_does_not_hold_up_the_others() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("a")).expect("a directory");
        symlink(at("nowhere"), at("dangling")).expect("a link");
        symlink(at("loop"), at("loop")).expect("a link");
        assert!(check(&home(&dir), &[at("dangling"), at("a"), at("loop")]).is_ok());
        assert!(check(&home(&dir), &[at("dangling"), at("a"), at("dangling")]).is_err());
    }

    #[test]
    fn names_of_the_server_are_compared_by_components() {
        assert!(check_names(&[b"Mail", b"Mail2", b"/Mail"]).is_ok());
        assert!(check_names(&[b"Mail/x", b"Mail"]).is_err());
        assert!(check_names(&[b"Mail", b"Mail"]).is_err());
        assert!(check_names(&[b".", b"Mail"]).is_err());
        assert!(check_names(&[b"/", b"/srv"]).is_err());
    }

    #[test]
    fn dots_are_resolved_even_where_nothing_exists() {
        let dir = tempfile::tempdir().expect("a directory");
        let real = fs::canonicalize(dir.path()).expect("it exists");
        assert_eq!(resolved(&dir.path().join("x/../y/./z")).expect("it resolves"), real.join("y/z"));
        symlink(dir.path().join("nowhere"), dir.path().join("dangling")).expect("a link");
        assert!(resolved(&dir.path().join("dangling")).is_err());
    }
}
