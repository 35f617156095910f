//! `server-id`: which host the roots of this state directory are on, to every client.
//!
//! Other than `client-id` it outlives a change of the machine's id: hosts that share one home directory serve one and the same
//! mail, and whoever copies a server copies its bases too.

use super::client_id::{first_run_lock, random_id};
use super::{Access, Home, Label, read_file, replace_file, shown};
use crate::error::{Context, Error};
use crate::fs::Fs;

const SERVER_ID: &[u8] = b"server-id";
const SERVER_ID_MAX: u64 = 4096;
const HEAD: &[u8] = b"smd-server-id 1\nid ";

/// Gives this state directory's server id, made once and kept in `server-id`: 26 letters and digits. One that cannot be
/// understood is made anew; then every client finds its state by what it holds (`store::earlier`). In a dry run none is made:
/// what is given then is the id of no server, always the same one.
///
/// # Errors
/// When the file cannot be read or written, or the system gives no random bytes.
pub fn server_id<F: Fs>(home: &Home<F>) -> Result<Label, Error> {
    let path = shown(&home.path, SERVER_ID);
    let Some(dir) = &home.dir else { return Ok(nobody()) };
    let known = || kept(home, dir).context("read", &path);
    if let Some(id) = known()? {
        return Ok(id);
    }
    if home.access == Access::ReadOnly {
        return Ok(nobody());
    }
    let guard = first_run_lock(home, dir, &path)?;
    if let Some(id) = known()? {
        return Ok(id);
    }
    let id = random_id()?;
    let parts = [HEAD, id.as_str().as_bytes(), b"\n"];
    replace_file(&*home.fs, dir, SERVER_ID, &parts).context("write", &path)?;
    drop(guard);
    Ok(id)
}

fn nobody() -> Label {
    Label::of_parts("smd server", &[])
}

fn kept<F: Fs>(home: &Home<F>, dir: &F::Dir) -> std::io::Result<Option<Label>> {
    let bytes = match read_file(&*home.fs, dir, SERVER_ID, SERVER_ID_MAX) {
        Err(e) if e.kind() == std::io::ErrorKind::FileTooLarge => None,
        read => read?,
    };
    let id = bytes.as_deref().and_then(|bytes| bytes.strip_prefix(HEAD)?.strip_suffix(b"\n"));
    Ok(id.and_then(|id| Label::parse(id).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Disk;
    use std::sync::Arc;

    #[test]
    fn the_server_id_is_made_once_and_anew_when_it_is_damaged() {
        let temp = tempfile::tempdir().expect("temp");
        let open = |access| Home::open(Arc::new(Disk), temp.path(), access).expect("opens");
        let dry = open(Access::ReadOnly);
        assert_eq!(server_id(&dry).expect("gives"), nobody());
        let home = open(Access::ReadWrite);
        let first = server_id(&home).expect("makes");
        assert_ne!(first, nobody());
        assert_eq!(server_id(&home).expect("reads"), first);
        assert_eq!(server_id(&dry).expect("reads"), first);
        std::fs::write(temp.path().join("server-id"), "junk").expect("writes");
        assert_ne!(server_id(&home).expect("makes"), first);
    }
}
