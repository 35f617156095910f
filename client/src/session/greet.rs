//! The two hosts meet: which roots these are, and which bases both have of them.
//!
//! A root is known by what the server calls it, and not by its path as written: `office:Maildir`, `office:Maildir/` and the
//! absolute path are one root, with one base. The client remembers what it was called (`known`) and offers the ids of that base
//! at once; where the server calls it otherwise, both say Hello once more.
//!
//! Deliberately not here: the looks that follow.

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use smd_maildir::fs::Fs;
use smd_maildir::home::{Home, Label, Side};
use smd_maildir::lock::Wait;
use smd_maildir::run::{Attendance, RunError};
use smd_maildir::store::earlier::{self, Earlier};
use smd_protocol::wire::{Ids, RootAnswer, RootOffer, ServerHello};

use super::SessionError;
use super::known::{Known, real};
use super::pair::{LOCK_WAIT_MS, Owner, Pair, Place};
use super::peer::unexpected;
use crate::endpoint::{Endpoint, RootPair};
use crate::options::RunOptions;

/// Says Hello with these offers, and hears the server's.
pub(super) type SayHello<'a, F> = dyn FnMut(&[Pair<F>], Vec<RootOffer>) -> Result<ServerHello, SessionError> + 'a;

/// The client in a meeting.
pub(super) struct Host<'a, F: Fs> {
    pub(super) home: &'a Home<F>,
    pub(super) id: &'a str,
    pub(super) endpoint: &'a Endpoint,
    pub(super) options: &'a RunOptions,
    /// Offers no base, whatever there is.
    pub(super) baseless: bool,
    /// Raised when the person wants the run to end.
    pub(super) stop: Arc<AtomicBool>,
}

impl<F: Fs> Host<'_, F> {
    /// Opens the roots and meets the server. Gives the roots, each with the answer to its offer, and what else the server said.
    ///
    /// # Errors
    /// When a state cannot be opened, or the server names its roots otherwise each time it is asked.
    pub(super) fn meet(&self, say_hello: &mut SayHello<'_, F>) -> Result<(Vec<Pair<F>>, ServerHello), SessionError> {
        let roots = &self.endpoint.roots;
        let mut known = Known::read(self.home);
        let mut answers: Option<Vec<RootAnswer>> = None;
        for _ in 0..3 {
            let names: Option<Vec<Label>> = roots.iter().map(|root| known.get(self.endpoint, root).cloned()).collect();
            let mut pairs = Vec::new();
            for (index, (root, name)) in (0u16..).zip(roots.iter().zip(names.iter().flatten())) {
                let answer = answers.as_ref().and_then(|answers| answers.get(usize::from(index)));
                pairs.push(self.open(index, root, name, answer)?);
            }
            let offers: Vec<RootOffer> = match &names {
                Some(names) => pairs.iter().zip(names).map(|(pair, name)| self.offer(pair, name)).collect(),
                None => roots.iter().map(unknown).collect(),
            };
            let offered: Vec<Option<String>> = offers.iter().map(|offer| offer.root.clone()).collect();
            let hello = say_hello(&pairs, offers)?;
            if hello.roots.len() != roots.len() {
                return Err(unexpected("answers for other roots"));
            }
            if hello.roots.iter().zip(&offered).all(|(answer, offered)| Some(&answer.root) == offered.as_ref()) {
                return Ok((pairs, hello));
            }
            for (root, answer) in roots.iter().zip(&hello.roots) {
                let name = Label::parse(answer.root.as_bytes()).map_err(|_| unexpected("no name of a root"))?;
                known.learn(self.endpoint, root, name);
            }
            known.remember(self.home);
            answers = Some(hello.roots);
        }
        Err(unexpected("another name of the root each time"))
    }

    fn offer(&self, pair: &Pair<F>, name: &Label) -> RootOffer {
        let offer = RootOffer { root: Some(name.to_string()), ..pair.offer() };
        match self.baseless {
            true => RootOffer { ids: Ids::default(), damaged: Vec::new(), ..offer },
            false => offer,
        }
    }

    /// Opens a root with the base that this host has of it. `answer` is what the server said of it just now, if it did.
    fn open(
        &self,
        index: u16,
        root: &RootPair,
        name: &Label,
        answer: Option<&RootAnswer>,
    ) -> Result<Pair<F>, SessionError> {
        let stop = || self.stop.load(Ordering::Relaxed);
        let key = key(root);
        let state = state_label(name, root);
        let place = match answer {
            Some(answer) => self.find_base(root, state, &key, answer, &stop)?,
            None => Place { peer: state, key },
        };
        let home = &self.endpoint.home;
        let exists = |name: &str| home.has_endpoint(name);
        let name = self.endpoint.name.as_str();
        let endpoint = exists(name).then_some(Attendance { name, exists: &exists });
        Pair::open(index, root, self.home, &place, Owner { client: self.id, endpoint }, self.options, &stop)
    }

    /// Where this host's base of a root is: under its right name, or under another one, which it gets over.
    fn find_base(
        &self,
        root: &RootPair,
        state: Label,
        key: &[u8],
        answer: &RootAnswer,
        stop: &dyn Fn() -> bool,
    ) -> Result<Place, SessionError> {
        let right = Place { peer: state, key: key.to_vec() };
        let pair = self.home.pair(Side::Client, &right.peer).map_err(RunError::from)?;
        if self.baseless || earlier::is_kept(&pair, key).map_err(RunError::from)? {
            return Ok(right);
        }
        let translator = root.naming.as_ref().map_or("", |naming| naming.fingerprint());
        let is_of = |_: &Label, path: &[u8]| real(path).as_os_str().as_bytes() == key;
        let theirs = || std::iter::once(answer.ids).chain(answer.earlier.iter().copied());
        let mut both = earlier::earlier(self.home, Side::Client, translator, &is_of).map_err(RunError::from)?;
        both.retain(|one| theirs().any(|ids| one.ids.common(ids).is_some()));
        both.sort_by_key(|one: &Earlier| one.written);
        let Some(newest) = both.pop() else { return Ok(right) };
        let wait = Wait { ms: LOCK_WAIT_MS, stop };
        // First those that are older: one that stayed would be taken for the base when the newest is lost.
        for other in &both {
            earlier::put_aside(self.home, Side::Client, other, &wait).map_err(RunError::from)?;
        }
        let taken = earlier::take_over(self.home, Side::Client, &newest, &right.peer, key, &wait);
        let (peer, key) = taken.map_err(RunError::from)?;
        Ok(Place { peer, key })
    }
}

/// What a root is offered as before its name is known.
pub(super) fn unknown(root: &RootPair) -> RootOffer {
    RootOffer {
        path: root.remote.clone(),
        pair: pair_label(root),
        root: None,
        ids: Ids::default(),
        damaged: Vec::new(),
        excludes: root.exclude_pairs.clone(),
    }
}

/// Under which this host keeps what it has with a root of the server: the root, and the translator.
fn state_label(name: &Label, root: &RootPair) -> Label {
    let translator = root.naming.as_ref().map_or("", |naming| naming.fingerprint());
    Label::of_parts("smd peer", &[name.as_str().as_bytes(), translator.as_bytes()]).of_client()
}

/// The name of this host's root in state files: its path without symlinks.
fn key(root: &RootPair) -> Vec<u8> {
    real(root.local.as_os_str().as_bytes()).into_os_string().into_encoded_bytes()
}

/// What the server tells bases of this client and one of its roots apart by: this host's root and its translator.
pub(super) fn pair_label(root: &RootPair) -> String {
    let translator = root.naming.as_ref().map_or("", |naming| naming.fingerprint());
    Label::of_parts("smd pair", &[&key(root), translator.as_bytes()]).to_string()
}
