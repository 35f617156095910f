//! `client-id`: who this machine is to every server.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::rand::{GetRandomFlags, getrandom};
use smd_protocol::Digest;

use super::{Access, Home, Label, read_file, replace_file, shown};
use crate::error::{Context, Error};
use crate::fs::Fs;
use crate::lock;

/// Why a client id was made by this call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fresh {
    /// There was none: the first run here.
    First,
    /// The one that was there belongs to another machine, of which this one is a clone.
    Clone,
    /// The file that held it could not be understood.
    Damaged,
}

/// Who we are to every server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientId {
    /// 26 letters and digits (128 random bits in base 32); a [`Label`].
    pub id: Label,
    /// Why it was made just now, if it was. It is kept only with [`Access::ReadWrite`].
    pub fresh: Option<Fresh>,
}

const CLIENT_ID: &[u8] = b"client-id";
const CLIENT_ID_MAX: u64 = 4096;

/// Gives this machine's client id, made once and kept in `client-id`. `machine_id` is the file by which
/// the system tells machines apart (`/etc/machine-id`); of it only a digest is kept. When either time it
/// cannot be read, nothing is concluded from it.
///
/// # Errors
/// When the file cannot be read or written, or the system gives no random bytes.
pub fn client_id<F: Fs>(home: &Home<F>, machine_id: &Path) -> Result<ClientId, Error> {
    let path = shown(&home.path, CLIENT_ID);
    let machine = machine(machine_id);
    let Some(dir) = &home.dir else { return Ok(ClientId { id: random_id()?, fresh: Some(Fresh::First) }) };
    let known = || kept_id(home, dir, machine.as_ref()).context("read", &path);
    if let Ok(id) = known()? {
        return Ok(ClientId { id, fresh: None });
    }
    let guard = first_run_lock(home, dir, &path)?;
    let why = match known()? {
        Ok(id) => return Ok(ClientId { id, fresh: None }),
        Err(why) => why,
    };
    let id = random_id()?;
    if home.access == Access::ReadWrite {
        let machine = machine.map_or_else(|| "-".to_owned(), |digest| digest.to_string());
        let text = format!("smd-client-id 1\nid {id}\nmachine {machine}\n");
        replace_file(&*home.fs, dir, CLIENT_ID, &[text.as_bytes()]).context("write", &path)?;
    }
    drop(guard);
    Ok(ClientId { id, fresh: Some(why) })
}

/// Two first runs may start at one instant: whoever comes second finds what the first wrote. Where the file system has no
/// locks we go on without one; then the later of the two names stays.
pub(super) fn first_run_lock<F: Fs>(
    home: &Home<F>,
    dir: &F::Dir,
    path: &[u8],
) -> Result<Option<lock::Guard<F>>, Error> {
    if home.access == Access::ReadOnly {
        return Ok(None);
    }
    let wait = lock::Wait { ms: 10_000, stop: &|| false };
    match lock::lock_dir(&*home.fs, dir, home.path.as_os_str().as_bytes(), &wait) {
        Ok(guard) => Ok(Some(guard)),
        Err(lock::LockError::Io(e)) if lock::is_unsupported(&e.cause) => Ok(None),
        Err(lock::LockError::Io(e)) => Err(e),
        Err(e) => {
            let cause = io::Error::new(io::ErrorKind::TimedOut, e.to_string());
            Err(Error { action: "lock", path: path.to_vec(), cause })
        }
    }
}

/// The id in the file, or why it is not ours to use.
fn kept_id<F: Fs>(home: &Home<F>, dir: &F::Dir, machine: Option<&Digest>) -> io::Result<Result<Label, Fresh>> {
    let bytes = match read_file(&*home.fs, dir, CLIENT_ID, CLIENT_ID_MAX) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Err(Fresh::First)),
        Err(e) if e.kind() == io::ErrorKind::FileTooLarge => return Ok(Err(Fresh::Damaged)),
        Err(e) => return Err(e),
    };
    let mut lines = bytes.split(|&b| b == b'\n');
    let head = lines.next() == Some(b"smd-client-id 1");
    let id = lines.next().and_then(|line| line.strip_prefix(b"id ")).and_then(|id| Label::parse(id).ok());
    let kept = lines.next().and_then(|line| line.strip_prefix(b"machine "));
    let (true, Some(id), Some(kept)) = (head, id, kept) else { return Ok(Err(Fresh::Damaged)) };
    match (Digest::from_letters(kept), machine) {
        (None, _) if kept != b"-" => Ok(Err(Fresh::Damaged)),
        (Some(kept), Some(now)) if kept != *now => Ok(Err(Fresh::Clone)),
        _ => Ok(Ok(id)),
    }
}

/// A fact of the operating system, outside our tree and the same under every `Fs`: read directly.
fn machine(path: &Path) -> Option<Digest> {
    let text = std::fs::read(path).ok()?;
    let text = text.trim_ascii();
    // An image is often shipped with an empty file, or this word, until its first boot.
    (!text.is_empty() && text != b"uninitialized").then(|| Digest::of(&[b"smd machine\0", text].concat()))
}

/// 128 bits of the kernel's, asked for by a call: a process that shut itself off from all devices may do so too. So few are never
/// given in part.
pub(super) fn random_id() -> Result<Label, Error> {
    let mut bytes = [0; 16];
    getrandom(&mut bytes, GetRandomFlags::empty()).map_err(io::Error::from).context("get", "random bytes")?;
    Ok(Label::of_bits(u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Disk;
    use std::sync::Arc;

    fn home(path: &Path, access: Access) -> Home<Disk> {
        Home::open(Arc::new(Disk), path, access).expect("opens")
    }

    #[test]
    fn the_client_id_is_made_once_and_again_on_a_clone() {
        let temp = tempfile::tempdir().expect("temp");
        let (one, two) = (temp.path().join("one"), temp.path().join("two"));
        std::fs::write(&one, "0123\n").expect("writes");
        std::fs::write(&two, "4567\n").expect("writes");
        let home = home(&temp.path().join(".smd"), Access::ReadWrite);
        let first = client_id(&home, &one).expect("makes");
        assert_eq!(first.fresh, Some(Fresh::First));
        assert_eq!(first.id.as_str().len(), 26);
        let kept = ClientId { fresh: None, ..first.clone() };
        assert_eq!(client_id(&home, &one).expect("reads"), kept);
        assert_eq!(client_id(&home, Path::new("/nonexistent")).expect("reads"), kept);
        let clone = client_id(&home, &two).expect("makes");
        assert_eq!(clone.fresh, Some(Fresh::Clone));
        assert_ne!(clone.id, first.id);
        assert_eq!(client_id(&home, &two).expect("reads").fresh, None);
        std::fs::write(temp.path().join(".smd/client-id"), "junk").expect("writes");
        assert_eq!(client_id(&home, &two).expect("makes").fresh, Some(Fresh::Damaged));
        assert!(!temp.path().join(".smd/client-id.new").exists());
    }

    #[test]
    fn first_runs_at_one_instant_agree_on_the_client_id() {
        let temp = tempfile::tempdir().expect("temp");
        let ids = std::thread::scope(|scope| {
            let run = || {
                client_id(&home(&temp.path().join(".smd"), Access::ReadWrite), Path::new("/nonexistent"))
                    .expect("gives")
                    .id
            };
            let runs = (0..8).map(|_| scope.spawn(run)).collect::<Vec<_>>();
            runs.into_iter().map(|run| run.join().expect("ran")).collect::<Vec<_>>()
        });
        assert!(ids.windows(2).all(|two| two[0] == two[1]), "{ids:?}");
    }
}
