//! The agreement on a new base: both hosts write it as `next`, compare ids, and promote it.
//!
//! A crash or a cut at any point leaves each host with the old base, or with the new one, or with both; the
//! next handshake takes the highest that both have.

use smd_maildir::fs::Fs;
use smd_protocol::counter;
use smd_protocol::delta::Delta;
use smd_protocol::pack;
use smd_protocol::reconcile::normalise;
use smd_protocol::seeded;
use smd_protocol::wire::{FromClient, FromServer};

use super::SessionError;
use super::pair::Pair;
use super::peer::{Peer, unexpected};

impl<F: Fs> Pair<F> {
    /// Commits these changes on both hosts; nothing is written where they change nothing. Gives whether there is a new base.
    pub(super) fn commit(&mut self, mut changes: Delta, peer: &mut Peer) -> Result<bool, SessionError> {
        let root = self.index;
        // A run with nothing to do does not even load the base.
        if changes.is_empty() {
            return Ok(false);
        }
        let stored = self.local.stored()?;
        normalise(stored, &mut changes);
        if changes.is_empty() {
            return Ok(false);
        }
        let parts = pack::groups(pack::pack(stored, &changes));
        let counter = self.next_counter;
        let from = self.local.ids().current;
        for parts in parts {
            peer.say(&FromClient::Prepare { root, parts })?;
        }
        peer.say(&FromClient::PrepareEnd { root, counter, from })?;
        let ours = self.local.prepare(counter, &changes)?;
        let early = seeded::is("promotes-before-the-other-host-is-ready");
        if early {
            self.local.commit(ours)?;
        }
        let theirs = match peer.hear_message()? {
            FromServer::Prepared { root: of, id } if of == root => id,
            _ => return Err(unexpected("something else than the next base's id")),
        };
        peer.round_trips += 1;
        if ours != theirs && !seeded::is("ids-are-not-compared") {
            peer.say(&FromClient::Abort { root })?;
            self.local.abort()?;
            return Err(SessionError::Protocol {
                text: "the two hosts computed different bases from the same changes".to_owned(),
            });
        }
        peer.say(&FromClient::Commit { root, id: ours })?;
        if !early {
            self.local.commit(ours)?;
        }
        self.next_counter = counter::next(counter, counter);
        match peer.hear_message()? {
            FromServer::Committed { root: of } if of == root => {}
            _ => return Err(unexpected("something else than the commit")),
        }
        peer.round_trips += 1;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Link;
    use crate::endpoint::RootPair;
    use crate::options::RunOptions;
    use crate::session::Line;
    use crate::session::pair::{Owner, Place};
    use smd_maildir::exclude::Excludes;
    use smd_maildir::fs::Disk;
    use smd_maildir::home::{Access, Home, Label};
    use smd_protocol::wire::{self, Depth, Ids, RootAnswer};
    use smd_protocol::{BaseId, Digest};
    use std::sync::Arc;

    /// A server that says these things, whatever it is told.
    fn server(says: &[FromServer]) -> Peer {
        let mut bytes = wire::preamble().to_vec();
        says.iter().for_each(|message| bytes.extend(wire::message(message).expect("small")));
        let link =
            Link { reader: Box::new(std::io::Cursor::new(bytes)), writer: Box::new(std::io::sink()), local: true };
        Peer::new(Line::over(link), Arc::default())
    }

    #[test]
    fn bases_that_differ_are_committed_by_neither_host() {
        let temp = tempfile::tempdir().expect("temp");
        let mail = temp.path().join("mail");
        std::fs::create_dir_all(mail.join("cur")).expect("makes");
        std::fs::write(mail.join("cur/a:2,"), "a").expect("writes");
        let home = Home::open(Arc::new(Disk), &temp.path().join(".smd"), Access::ReadWrite).expect("opens");
        let root = RootPair {
            local: mail,
            remote: b"mail".to_vec(),
            label: b"mail".to_vec(),
            exclude_pairs: Vec::new(),
            excludes: Excludes::default(),
            naming: None,
            local_excludes: Excludes::default(),
        };
        let place = Place { peer: Label::derive(b"peer"), key: b"mail".to_vec() };
        let owner = Owner { client: "me", endpoint: None };
        let mut pair = Pair::open(0, &root, &home, &place, owner, &RunOptions::default(), &|| false).expect("opens");
        let (root, ids, earlier, damaged) = ("r".to_owned(), Ids::default(), Vec::new(), Vec::new());
        pair.meet(RootAnswer { root, ids, earlier, counter: 0, damaged }).expect("agrees on none");
        pair.local.look(Depth::Quick, &|_| true).expect("looks");
        let changes = (**pair.local.delta()).clone();
        let other = BaseId { counter: 1, digest: Digest::of(b"another base") };
        let mut peer = server(&[FromServer::Prepared { root: 0, id: other }, FromServer::Committed { root: 0 }]);
        let error = pair.commit(changes, &mut peer).expect_err("the bases differ");
        assert!(error.to_string().contains("different bases"), "{error}");
        assert_eq!(pair.local.ids(), Ids::default());
    }
}
