//! Whether this process, which shut itself off from all but a few directories, can do what a run wants of it.
//!
//! Deliberately not here: how it did that (`crate::sandbox`).

use std::collections::HashMap;
use std::path::PathBuf;

use smd_maildir::fs::Fs;
use smd_protocol::seeded;
use smd_protocol::wire::{ClientHello, Failure};

use super::Session;
use crate::error::ServeError;
use crate::link::Outbox;
use crate::sandbox::{Grounds, prepare};

/// How the process is confined.
pub(crate) struct Confined<F: Fs> {
    /// In words, for a person; none where nobody tried.
    pub(crate) told: Option<String>,
    /// The only directories that can be opened; none where any can.
    pub(crate) grounds: Option<Grounds>,
    /// The directory above each root that was not there, open.
    pub(crate) above: HashMap<PathBuf, F::Dir>,
}

impl<F: Fs> Default for Confined<F> {
    fn default() -> Self {
        Self { told: None, grounds: None, above: HashMap::new() }
    }
}

impl<F: Fs, O: Outbox> Session<F, O> {
    /// Asks whether the roots of this run can be reached: they are those of the first Hello, and the same directories as then.
    pub(super) fn reaches(&self, hello: &ClientHello) -> Result<(), ServeError> {
        let Some(held) = &self.confined.grounds else { return Ok(()) };
        let covered = prepare::grounds(&self.places, hello).is_some_and(|wanted| held.cover(&wanted));
        let missing = prepare::missing(&self.places, hello);
        let known = missing.iter().all(|path| self.confined.above.contains_key(path));
        match (covered && known) || seeded::is("serves-what-it-cannot-reach") {
            true => Ok(()),
            false => Err(Failure::Reconnect.into()),
        }
    }

    /// The failure in words that this client knows.
    pub(super) fn known(&self, failure: &Failure) -> Failure {
        match failure {
            Failure::Reconnect if !self.reconnects => Failure::Io {
                path: "the root".into(),
                text: "the root was made, or is another directory than before; run again".into(),
            },
            failure => failure.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use smd_maildir::fs::Disk;
    use smd_protocol::codec;
    use smd_protocol::reconcile::Direction;
    use smd_protocol::wire::{self, Depth, Frame, FromClient, FromServer, Ids, RootOffer};

    use super::*;
    use crate::link::{Event, Job, SendError};
    use crate::policy::Authority;
    use crate::roots::Places;
    use crate::sandbox::{Prepared, prepare};

    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Outbox for Said {
        fn frame(&self, frame: Vec<u8>) -> Result<(), SendError> {
            self.0.lock().expect("nobody panics").push(frame);
            Ok(())
        }

        fn contents(&self, _: Job) -> Result<(), SendError> {
            Ok(())
        }

        fn drain(&self, _: &mut dyn FnMut()) -> Result<(), SendError> {
            Ok(())
        }

        fn compress(&self) -> Result<(), SendError> {
            Ok(())
        }

        fn bytes(&self) -> u64 {
            0
        }
    }

    fn hello(path: &str, features: &[&str], direction: Direction) -> ClientHello {
        let root = RootOffer {
            path: path.as_bytes().to_vec(),
            pair: "x".to_owned(),
            root: None,
            ids: Ids::default(),
            damaged: Vec::new(),
            excludes: Vec::new(),
        };
        ClientHello {
            features: features.iter().map(|feature| (*feature).into()).collect(),
            client: "laptop".to_owned(),
            direction,
            dry_run: false,
            depth: Depth::Quick,
            compress: false,
            grave_days: 7,
            roots: vec![root],
        }
    }

    #[test]
    fn what_cannot_be_reached_is_asked_for_over_another_connection() {
        let temp = tempfile::tempdir().expect("temp");
        let at = |name: &str| temp.path().join(name);
        ["Maildir/cur", "Other/cur"].iter().for_each(|dir| std::fs::create_dir_all(at(dir)).expect("makes"));
        let places = Places { user: temp.path().to_path_buf(), state: at(".smd") };
        let (said, fs) = (Said::default(), Arc::new(Disk));
        let mut session = Session::new(fs.clone(), &places, Authority::owner(), said.clone());
        let first = hello("Maildir", &[wire::RECONNECT], Direction::Push);
        let Prepared { grounds, above } = prepare(&fs, &places, &first);
        session.is_confined(Confined { told: Some("x".to_owned()), grounds: Some(grounds), above });
        let mut answer = |hello: ClientHello| {
            let bytes = codec::encode(&FromClient::Hello(hello)).expect("small");
            // More of them than one client may say.
            session.hellos = 0;
            let _ = session.hear(Some(Event::Frame(Frame::Message(bytes))));
            let frame = said.0.lock().expect("nobody panics").pop().expect("it answers");
            codec::decode::<FromServer>(&frame[wire::FRAME_HEAD..]).expect("it is whole")
        };
        let met = |answer: &FromServer| matches!(answer, FromServer::Hello(hello) if hello.features.contains(&"sandbox=x".into()));
        assert!(met(&answer(first.clone())));
        assert!(met(&answer(hello("Maildir", &[], Direction::Pull))), "less is covered");
        let again = FromServer::Fail(Failure::Reconnect);
        assert_eq!(answer(hello("Other", &[wire::RECONNECT], Direction::Push)), again);
        assert!(matches!(answer(hello("Other", &[], Direction::Push)), FromServer::Fail(Failure::Io { .. })));
        assert_eq!(answer(hello("New", &[wire::RECONNECT], Direction::Pull)), again, "it was not known to be missing");
        assert!(met(&answer(first.clone())));
        std::fs::rename(at("Maildir"), at("Moved")).expect("moves");
        assert_eq!(answer(first.clone()), again, "it is missing now");
        std::fs::create_dir_all(at("Maildir/cur")).expect("makes");
        assert_eq!(answer(first), again, "it is another one");
    }
}
