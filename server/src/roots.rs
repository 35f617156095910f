//! Where a path from the wire becomes a root on this host.
//!
//! Deliberately not here: what may be one (`smd_maildir::roots`), and limits of a restricted key. Everything that the account
//! may do is allowed, except what would make the synchroniser destroy itself or the way to it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use smd_maildir::Error;
use smd_maildir::roots::Judge;
pub use smd_maildir::roots::Places;
use smd_protocol::limits::PATH_MAX;
use smd_protocol::names::printable;
use smd_protocol::wire::Failure;

/// Resolves a root's path: absolute, or from the home directory; `.` is that itself, and so is `~`.
///
/// # Errors
/// [`Failure::Config`] when it is empty, too long, or holds NUL or `..`.
pub fn resolve(places: &Places, path: &[u8]) -> Result<PathBuf, Failure> {
    let refuse =
        |why: &str| Failure::Config(format!("the root {} {why}", printable(&path[..path.len().min(256)])).into());
    if path.is_empty() || path.len() > PATH_MAX || path.contains(&0) {
        return Err(refuse("is not a path"));
    }
    let path = match path.strip_prefix(b"~") {
        Some(b"") => b".",
        Some([b'/', rest @ ..]) if rest.iter().all(|&byte| byte == b'/') => b".",
        Some([b'/', rest @ ..]) => &rest[rest.iter().take_while(|&&byte| byte == b'/').count()..],
        Some(_) => return Err(refuse("begins with ~; write ./~ for a directory of that name, or the whole path")),
        None => path,
    };
    let path = Path::new(OsStr::from_bytes(path));
    if path.components().any(|component| component == Component::ParentDir) {
        return Err(refuse("goes up by `..`; name it directly"));
    }
    Ok(places.user.join(path).components().collect())
}

/// Checks that each of these may be a root, and that none is equal to or inside another. Gives their paths without symlinks.
///
/// # Errors
/// [`Failure::Config`] for such a root, [`Failure::Io`] when a path cannot be looked at.
pub fn check(places: &Places, roots: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let real: Vec<PathBuf> = roots.iter().map(|root| real(root)).collect::<Result<_, _>>()?;
    let judge = Judge::new(places).map_err(|error| unreadable(&error))?;
    for (index, root) in real.iter().enumerate() {
        let shown = &roots[index];
        judge.check(root, shown).map_err(|why| Failure::Config(format!("at the server, {why}").into()))?;
        for (other_index, other) in real.iter().enumerate().filter(|(other, _)| *other != index) {
            if root.starts_with(other) {
                let [inner, outer] = [shown, &roots[other_index]].map(|path| printable(path.as_os_str().as_bytes()));
                return Err(Failure::Config(format!("the root {inner} is inside the root {outer}").into()));
            }
        }
    }
    Ok(real)
}

/// The path without symlinks, as far as it exists.
///
/// # Errors
/// [`Failure::Io`] when it cannot be looked at.
pub fn real(path: &Path) -> Result<PathBuf, Failure> {
    smd_maildir::roots::real(path).map_err(|error| unreadable(&error))
}

fn unreadable(error: &Error) -> Failure {
    Failure::Io { path: printable(&error.path).into(), text: error.to_string().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(user: &Path) -> Places {
        Places { user: user.to_path_buf(), state: user.join(".smd") }
    }

    #[test]
    fn paths_start_at_home_and_never_go_up() {
        let places = places(Path::new("/home/u"));
        assert_eq!(resolve(&places, b"Mail").expect("fine"), Path::new("/home/u/Mail"));
        assert_eq!(resolve(&places, b"Mail//x/./").expect("fine"), Path::new("/home/u/Mail/x"));
        assert_eq!(resolve(&places, b"/var/mail").expect("fine"), Path::new("/var/mail"));
        for (path, is) in
            [(&b"~"[..], "/home/u"), (b"~/", "/home/u"), (b"~//Mail/", "/home/u/Mail"), (b"./~", "/home/u/~")]
        {
            assert_eq!(resolve(&places, path).expect("fine"), Path::new(is));
        }
        for bad in [&b""[..], b"~x", b"~x/Mail", b"../x", b"a/../../x", b"/..", b"a\0"] {
            assert!(resolve(&places, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn roots_inside_one_another_or_around_our_state_are_refused() {
        let temp = tempfile::tempdir().expect("temp");
        let user = temp.path().join("u");
        std::fs::create_dir_all(user.join("Mail/sub")).expect("makes");
        std::os::unix::fs::symlink(user.join("Mail"), user.join("link")).expect("links");
        let places = places(&user);
        let roots = |names: &[&str]| names.iter().map(|name| user.join(name)).collect::<Vec<_>>();
        assert!(check(&places, &roots(&["Mail", "Mail2"])).is_ok());
        for bad in
            [&["Mail", "Mail"][..], &["Mail/sub", "Mail"], &["Mail", "link"], &["Mail", "link/new"], &[""], &[".smd/x"]]
        {
            assert!(check(&places, &roots(bad)).is_err(), "{bad:?}");
        }
    }
}
