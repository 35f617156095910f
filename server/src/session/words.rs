//! What the server says of contents, troubles, and a look.

use smd_protocol::wire::{self, ContentEnd, ContentStart, FromServer, Looked, PeerTrouble, Spelled};
use smd_protocol::{Told, limits};

use crate::link::Wording;

/// How the server says what is said of contents.
#[derive(Debug)]
pub struct Words;

impl Wording for Words {
    fn start(&self, start: ContentStart) -> Vec<u8> {
        framed(&FromServer::Content(start))
    }

    fn end(&self, end: ContentEnd) -> Vec<u8> {
        framed(&FromServer::ContentEnd(end))
    }

    fn spelled(&self, spelled: Spelled) -> Vec<u8> {
        framed(&FromServer::Spelled(spelled))
    }

    fn ping(&self) -> Vec<u8> {
        framed(&FromServer::Ping)
    }

    fn working(&self) -> Vec<u8> {
        framed(&FromServer::Working)
    }
}

fn framed(message: &FromServer) -> Vec<u8> {
    wire::message(message).expect("such a message is small")
}

/// What is said of troubles beyond that.
pub(super) const NOT_LISTED: &str = "troubles are not listed";
/// Troubles that one message can tell of.
pub(super) const TROUBLES_MAX: usize = limits::TROUBLES_IN_FRAME - 1;

/// As many as one frame holds; `more` says of the others what they are.
pub(super) fn few(troubles: Vec<smd_maildir::Trouble>, others: &str) -> Vec<PeerTrouble> {
    let more = troubles.len().saturating_sub(TROUBLES_MAX);
    let mut few: Vec<PeerTrouble> =
        troubles.into_iter().take(TROUBLES_MAX).map(|trouble| PeerTrouble::new(trouble.path, trouble.text)).collect();
    if more > 0 {
        few.push(PeerTrouble::new(Vec::new(), format!("{more} more {others}")));
    }
    few
}

pub(super) fn told(found: smd_maildir::run::Looked) -> Looked {
    Looked {
        absent: found.absent,
        unusable: None,
        incomplete: found.incomplete,
        suspicious: found.suspicious.map(Told::from),
        troubles: few(found.troubles, NOT_LISTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_look_found_is_told_whole() {
        // A look that is incomplete and not said to be makes deletes of what was not read.
        let trouble = smd_maildir::Trouble { path: b"x".to_vec(), text: "cannot be read".to_owned() };
        let found = smd_maildir::run::Looked {
            absent: true,
            incomplete: true,
            suspicious: Some("is missing".to_owned()),
            troubles: vec![trouble],
            ..Default::default()
        };
        let told = told(found);
        assert!(told.absent && told.incomplete && told.unusable.is_none());
        assert_eq!((told.suspicious, told.troubles.len()), (Some("is missing".into()), 1));
    }
}
