//! A session for what rests in the graves of the other host: told, and brought back there, for `smd-undo --remote`.
//!
//! No mailbox is looked at and no base agreed on. What is brought back there is an addition, which the next run brings here.
//!
//! Deliberately not here: which messages are meant, and what is said of them (`smd-tools`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use smd_maildir::fs::Fs;
use smd_maildir::home::{Access, Home, client_id};
use smd_maildir::run::RunError;
use smd_protocol::grave::{Head, Rest, Rests, Undone};
use smd_protocol::reconcile::Direction;
use smd_protocol::wire::{self, ClientHello, Depth, FromClient, FromServer, GraveAnswer, GraveWish};

use super::greet::unknown;
use super::peer::{Peer, unexpected};
use super::verify::version_of;
use super::{Line, MACHINE_ID, SessionError};
use crate::endpoint::Endpoint;
use crate::options::RunOptions;

/// The graves of the other host's roots.
pub struct FarGraves {
    peer: Peer,
}

impl FarGraves {
    /// Meets the server. With [`Access::ReadOnly`] it is told that nothing will be brought back, and holds the client to that.
    ///
    /// # Errors
    /// When it cannot be met, or knows nothing of such sessions ([`SessionError::Version`]).
    pub fn open<F: Fs>(
        fs: &Arc<F>,
        endpoint: &Endpoint,
        options: &RunOptions,
        access: Access,
        line: Line,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, SessionError> {
        let home = Home::open(fs.clone(), endpoint.home.path(), Access::ReadOnly).map_err(RunError::from)?;
        let id = client_id(&home, Path::new(MACHINE_ID)).map_err(RunError::from)?;
        let local = line.local;
        let mut peer = Peer::new(line, stop);
        // A server that does not know the feature begins a dry run that reads nothing, and is said goodbye to. It refuses a run
        // that looks at no message and is no dry run.
        peer.say(&FromClient::Hello(ClientHello {
            features: [wire::GRAVE, wire::WORKING, wire::RECONNECT, wire::BUSY].map(Into::into).to_vec(),
            client: id.id.as_str().to_owned(),
            direction: Direction::Sync,
            dry_run: access == Access::ReadOnly,
            depth: Depth::Folders,
            compress: !local,
            grave_days: options.grave_days,
            roots: endpoint.roots.iter().map(unknown).collect(),
        }))?;
        if !local {
            peer.compress()?;
        }
        let FromServer::Hello(hello) = peer.hear_message()? else {
            return Err(unexpected("something before its Hello"));
        };
        if !hello.features.iter().any(|feature| *feature == *wire::GRAVE) {
            peer.say(&FromClient::Bye)?;
            let version = version_of(&hello.features).map(|version| format!(" {version}")).unwrap_or_default();
            let text = format!("smd-server{version} there cannot be asked for what rests in its grave");
            return Err(SessionError::Version { text });
        }
        peer.meets(&hello);
        Ok(Self { peer })
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn close(self) -> Result<(), SessionError> {
        self.peer.say(&FromClient::Bye)?;
        self.peer.drain(&mut || {})
    }

    /// All that rests in the graves of a root, and what else is known of them.
    ///
    /// # Errors
    /// When the server refuses, or the session cannot go on.
    pub fn list(&mut self, root: u16) -> Result<(Vec<Rests>, Rest), SessionError> {
        self.wish(root, GraveWish::List)?;
        let mut all = Vec::new();
        loop {
            let GraveAnswer::Rests { rests, end } = self.answer(root)? else {
                return Err(unexpected("something else than what rests"));
            };
            if rests.is_empty() && end.is_none() {
                return Err(unexpected("a part of a grave with nothing in it"));
            }
            all.extend(rests);
            if let Some(rest) = end {
                return Ok((all, rest));
            }
        }
    }

    /// What tells a person which messages these are, in the same order.
    ///
    /// # Errors
    /// As [`FarGraves::list`].
    pub fn heads(&mut self, root: u16, ids: &[String]) -> Result<Vec<Head>, SessionError> {
        let mut all = Vec::with_capacity(ids.len());
        for ids in ids.chunks(wire::IDS_IN_WISH) {
            self.wish(root, GraveWish::Heads(ids.to_vec()))?;
            let most = all.len() + ids.len();
            while all.len() < most {
                let GraveAnswer::Heads(heads) = self.answer(root)? else {
                    return Err(unexpected("something else than heads"));
                };
                take(&mut all, heads, most)?;
            }
        }
        Ok(all)
    }

    /// Brings these back at the other host, under the root's lock there. Gives what became of each, in the same order.
    ///
    /// # Errors
    /// As [`FarGraves::list`]; after a refusal or a lock that is held nothing was done.
    pub fn bring_back(&mut self, root: u16, ids: &[String]) -> Result<Vec<Undone>, SessionError> {
        let mut parts = ids.chunks(wire::IDS_IN_WISH).peekable();
        while let Some(part) = parts.next() {
            self.wish(root, GraveWish::BringBack { ids: part.to_vec(), last: parts.peek().is_none() })?;
        }
        let mut all = Vec::with_capacity(ids.len());
        while all.len() < ids.len() {
            let GraveAnswer::Undone(done) = self.answer(root)? else {
                return Err(unexpected("something else than what came back"));
            };
            take(&mut all, done, ids.len())?;
        }
        Ok(all)
    }

    fn wish(&self, root: u16, wish: GraveWish) -> Result<(), SessionError> {
        self.peer.say(&FromClient::Grave { root, wish })
    }

    fn answer(&mut self, root: u16) -> Result<GraveAnswer, SessionError> {
        match self.peer.hear_message()? {
            FromServer::Grave { root: of, answer: GraveAnswer::Refused(text) } if of == root => {
                Err(SessionError::Refused { text: text.escaped() })
            }
            FromServer::Grave { root: of, answer } if of == root => Ok(answer),
            _ => Err(unexpected("something else than the answer")),
        }
    }
}

/// Adds some of `most`; none, or more than that, is no answer.
fn take<T>(all: &mut Vec<T>, some: Vec<T>, most: usize) -> Result<(), SessionError> {
    if some.is_empty() || all.len() + some.len() > most {
        return Err(unexpected("more or less than was asked for"));
    }
    all.extend(some);
    Ok(())
}

#[cfg(test)]
mod tests {
    use smd_maildir::fs::Disk;
    use smd_protocol::Folder;
    use smd_protocol::grave::Why;
    use smd_protocol::names::NAME_MAX;
    use smd_protocol::wire::ServerHello;

    use super::*;
    use crate::args::{self, Command};
    use crate::connect::Link;
    use crate::home::SmdHome;
    use crate::{endpoint, options};

    /// What a server says, after its Hello, to a client that asks for two things.
    fn heard(answers: Vec<GraveAnswer>) -> FarGraves {
        let mut bytes = wire::preamble().to_vec();
        for answer in answers {
            bytes.extend(wire::message(&FromServer::Grave { root: 0, answer }).expect("small"));
        }
        let link =
            Link { reader: Box::new(std::io::Cursor::new(bytes)), writer: Box::new(std::io::sink()), local: true };
        FarGraves { peer: Peer::new(Line::over(link), Arc::default()) }
    }

    #[test]
    fn an_old_server_is_told_from_one_that_breaks_the_protocol() {
        let hello = ServerHello { features: vec!["version=0.0.9".into()], roots: Vec::new() };
        let mut bytes = wire::preamble().to_vec();
        bytes.extend(wire::message(&FromServer::Hello(hello)).expect("small"));
        let link =
            Link { reader: Box::new(std::io::Cursor::new(bytes)), writer: Box::new(std::io::sink()), local: true };
        let temp = tempfile::tempdir().expect("temp");
        let args = args::parse(Command::Sync, ["Mail", "Copy"].map(Into::into)).expect("a line");
        let home = SmdHome::new(temp.path().join(".smd"), temp.path());
        let resolved = endpoint::resolve(&args, options::Direction::Sync, home).expect("an endpoint");
        let (endpoint, options) = (&resolved.endpoint, &resolved.options);
        let (disk, line) = (Arc::new(Disk), Line::over(link));
        let met = FarGraves::open(&disk, endpoint, options, Access::ReadOnly, line, Arc::default());
        let Err(SessionError::Version { text }) = met else { panic!("met") };
        assert_eq!(text, "smd-server 0.0.9 there cannot be asked for what rests in its grave");
    }

    fn rests(id: String, file: Vec<u8>) -> Rests {
        let (why, folder) = (Why::Deleted, Folder::root());
        Rests { id, time: 0, why, folder, place: None, file, renamed: None, size: None, back: false }
    }

    #[test]
    fn a_list_of_nothing_is_its_last_part_and_no_name_is_longer_than_a_file_has() {
        let part = |rests: Vec<Rests>, end: bool| GraveAnswer::Rests { rests, end: end.then(Rest::default) };
        let good = rests("i".repeat(wire::ID_MAX), vec![b'f'; NAME_MAX]);
        let told = heard(vec![part(vec![good.clone()], false), part(Vec::new(), true)]).list(0).expect("a list");
        assert_eq!(told, (vec![good.clone()], Rest::default()));
        for parts in [
            vec![part(Vec::new(), false), part(vec![good], true)],
            vec![part(vec![rests("i".repeat(wire::ID_MAX + 1), Vec::new())], true)],
            vec![part(vec![rests(String::new(), vec![b'f'; NAME_MAX + 1])], true)],
        ] {
            let error = heard(parts).list(0).expect_err("nonsense");
            assert!(matches!(error, SessionError::Protocol { .. }), "{error}");
        }
    }

    #[test]
    fn a_refusal_is_told_and_other_answers_than_were_asked_for_are_not_taken() {
        let ids = ["a".to_owned(), "b".to_owned()];
        let both = vec![GraveAnswer::Undone(vec![Undone::IsThere]), GraveAnswer::Undone(vec![Undone::Before])];
        assert_eq!(heard(both).bring_back(0, &ids).expect("done"), [Undone::IsThere, Undone::Before]);
        let refused = heard(vec![GraveAnswer::Refused("not by\u{1b}[2J this key".into())]).bring_back(0, &ids);
        assert!(matches!(refused, Err(SessionError::Refused { text }) if text == "not by\\x1b[2J this key"));
        for answer in [
            GraveAnswer::Undone(vec![Undone::Before; 3]),
            GraveAnswer::Undone(Vec::new()),
            GraveAnswer::Heads(vec![Head::default(); 2]),
        ] {
            let error = heard(vec![answer]).bring_back(0, &ids).expect_err("nonsense");
            assert!(matches!(error, SessionError::Protocol { .. }), "{error}");
        }
        let heads = heard(vec![GraveAnswer::Heads(vec![Head::default(); 2])]).heads(0, &ids).expect("heads");
        assert_eq!(heads.len(), 2);
        assert!(heard(vec![GraveAnswer::Heads(vec![Head::default(); 3])]).heads(0, &ids).is_err());
    }
}
