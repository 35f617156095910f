//! Which directories a session may synchronise, and which of them a client means.
//!
//! For a restricted key the path of the wire is compared with names, or looked for below a held directory: it never reaches the
//! system as a path. The plain server lets the account's own rights decide (`crate::roots`).

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use smd_protocol::names::printable;
use smd_protocol::seeded;
use smd_protocol::wire::Failure;

use crate::roots::{self, Places};

/// A directory that a session may synchronise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Where it is opened, and what a person calls it.
    pub path: PathBuf,
    /// The path without symlinks: under this its base is kept.
    pub real: PathBuf,
}

/// A directory with the name by which clients ask for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// The name: a path that begins at the home directory, though nothing need lie there.
    pub name: PathBuf,
    /// As the operator wrote it.
    pub shown: String,
    /// The directory.
    pub place: Place,
}

/// Finds a directory for a path from the wire, and opens it; or says why not.
pub type Finder = dyn Fn(&[u8]) -> Result<Place, Failure> + Send + Sync;

/// Which directories a session may synchronise.
#[derive(Clone)]
pub enum Roots {
    /// Any that may be a root on this host.
    Any,
    /// These.
    Named(Vec<Named>),
    /// Those that this finds.
    Found(Arc<Finder>),
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Roots::Any => f.write_str("Any"),
            Roots::Named(all) => f.debug_tuple("Named").field(all).finish(),
            Roots::Found(_) => f.write_str("Found"),
        }
    }
}

/// The directories that a client means by these paths, in their order. None is equal to or inside another.
///
/// # Errors
/// [`Failure::Refused`] for one that the key is not for; [`Failure::Config`] and [`Failure::Io`] as the plain server says them.
pub fn places(roots: &Roots, places: &Places, paths: &[&[u8]]) -> Result<Vec<Place>, Failure> {
    let found: Vec<Place> = match roots {
        Roots::Any => {
            let paths: Vec<PathBuf> =
                paths.iter().map(|path| roots::resolve(places, path)).collect::<Result<_, _>>()?;
            let real = roots::check(places, &paths)?;
            return Ok(paths.into_iter().zip(real).map(|(path, real)| Place { path, real }).collect());
        }
        Roots::Named(all) => paths.iter().map(|path| named(all, places, path)).collect::<Result<_, _>>()?,
        Roots::Found(find) => paths.iter().map(|path| find(path)).collect::<Result<_, _>>()?,
    };
    for (at, place) in found.iter().enumerate() {
        if let Some(other) = found.iter().enumerate().find(|(n, other)| *n != at && place.real.starts_with(&other.real))
        {
            let [inner, outer] = [place, other.1].map(|place| printable(place.path.as_os_str().as_bytes()));
            return Err(Failure::Config(format!("the root {inner} is inside the root {outer}").into()));
        }
    }
    Ok(found)
}

/// The named directory that a path of the wire is the name of. Both are compared as text: `Maildir`, `./Maildir/` and `~/Maildir`
/// are one name.
fn named(all: &[Named], places: &Places, path: &[u8]) -> Result<Place, Failure> {
    let wanted = roots::resolve(places, path)?;
    if let Some(found) = all.iter().find(|one| one.name == wanted) {
        return Ok(found.place.clone());
    }
    if seeded::is("a-key-is-for-any-root") {
        return Ok(Place { path: wanted.clone(), real: wanted });
    }
    let names: Vec<String> = all.iter().map(|one| printable(one.shown.as_bytes())).collect();
    let shown = printable(&path[..path.len().min(256)]);
    let text = format!("this key is not for the root {shown} but for {}", names.join(", "));
    Err(Failure::Refused(text.into()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn key() -> (Roots, Places) {
        let places = Places { user: "/home/u".into(), state: "/home/u/.smd".into() };
        let named = |name: &str, path: &str| Named {
            name: roots::resolve(&places, name.as_bytes()).expect("a name"),
            shown: name.to_owned(),
            place: Place { path: path.into(), real: path.into() },
        };
        (Roots::Named(vec![named("Maildir", "/home/u/Maildir"), named("mail", "/srv/mail/u")]), places)
    }

    #[test]
    fn a_path_from_the_wire_is_a_name_and_reaches_nothing_else() {
        let (roots, at) = key();
        for (path, is) in [
            ("Maildir", "/home/u/Maildir"),
            ("~/Maildir/", "/home/u/Maildir"),
            ("./Maildir", "/home/u/Maildir"),
            ("/home/u/Maildir", "/home/u/Maildir"),
            ("mail", "/srv/mail/u"),
        ] {
            let found = places(&roots, &at, &[path.as_bytes()]).expect(path);
            assert_eq!(found[0].path, Path::new(is), "{path}");
        }
        for path in [".vim", "Maildir/cur", "Maildir/.Sub", "/srv/mail/u", ".", "~", "/", "maildir", "Mail", "mail/x"] {
            let refused = places(&roots, &at, &[path.as_bytes()]).expect_err(path);
            assert!(matches!(refused, Failure::Refused(_)), "{path}: {refused}");
            assert!(refused.to_string().contains("but for Maildir, mail"), "{refused}");
        }
        for path in [&b""[..], b"../Maildir", b"~other/Maildir", b"a\0b", &[b'a'; 5_000]] {
            assert!(matches!(places(&roots, &at, &[path]), Err(Failure::Config(_))), "{path:?}");
        }
        let twice = places(&roots, &at, &[b"Maildir", b"~/Maildir"]).expect_err("one root twice");
        assert!(matches!(twice, Failure::Config(_)));
    }
}
