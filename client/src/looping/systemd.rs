//! What the service manager is told, when one listens: `sd_notify` without its library.
//!
//! Deliberately not here: the units (`dist/systemd/`).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// The variable that names the socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// The service manager, or nobody.
#[derive(Clone, Debug, Default)]
pub(super) struct Manager {
    socket: Option<OsString>,
}

impl Manager {
    /// The one that started this process.
    pub(super) fn from_env() -> Self {
        Self { socket: std::env::var_os(SOCKET).filter(|socket| !socket.is_empty()) }
    }

    /// Everything is up; also after a reload.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// The files are read again; [`Manager::ready`] follows.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The end has begun.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// One line for `systemctl status`.
    pub(super) fn status(&self, line: &str) {
        self.tell(&format!("STATUS={}", line.replace('\n', " ")));
    }

    fn tell(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = send(socket, text)
        {
            tracing::debug!(%error, "the service manager did not listen");
        }
    }
}

fn send(socket: &OsStr, text: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_hears_by_a_path_and_by_an_abstract_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let abstract_name = format!("smd-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).expect("a name");
        for (listener, socket) in [
            (UnixDatagram::bind(&path).expect("a socket"), path.clone().into_os_string()),
            (UnixDatagram::bind_addr(&address).expect("a socket"), format!("@{abstract_name}").into()),
        ] {
            let manager = Manager { socket: Some(socket) };
            manager.ready();
            manager.status("a\nb");
            manager.reloading();
            let hear = || {
                let mut bytes = [0; 200];
                let length = listener.recv(&mut bytes).expect("it is told");
                String::from_utf8_lossy(&bytes[..length]).into_owned()
            };
            assert_eq!((hear().as_str(), hear().as_str()), ("READY=1", "STATUS=a b"));
            assert!(hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        }
    }

    #[test]
    fn nobody_listens_and_nothing_happens() {
        Manager { socket: Some("/nowhere/at/all".into()) }.stopping();
        Manager::default().ready();
    }
}
