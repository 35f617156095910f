//! Sessions of a restricted key with real directories: what it removes, and how that comes back.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use smd_maildir::fs::Disk;
use smd_maildir::home::{Access, Age, Home, Label};
use smd_maildir::keys::{Allowance, Key, Paid, What};
use smd_maildir::lock::Wait;
use smd_maildir::undo::{Yards, places};
use smd_protocol::grave::Undone;
use smd_protocol::limits::BROUGHT;
use smd_protocol::reconcile::Direction;
use smd_protocol::step::{Bytes, Dress, Source};
use smd_protocol::wire::{ClientHello, Depth, FromServer, Ids, LedgerAct, RootOffer};
use smd_protocol::{Content, Flags, Folder, Outcome, Place, Refusal, Step, Told, Uniq};

use super::*;
use crate::link::{Job, SendError};
use crate::policy::{Authority, Limits, MaxRemove};

/// What a session said.
#[derive(Default)]
struct Said(RefCell<Vec<FromServer>>);

impl Outbox for &Said {
    fn frame(&self, frame: Vec<u8>) -> Result<(), SendError> {
        self.0.borrow_mut().push(codec::decode(&frame[wire::FRAME_HEAD..]).expect("a message"));
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

struct World {
    temp: tempfile::TempDir,
}

impl World {
    /// So many messages in `cur`, each with a body of its own.
    fn of(messages: usize) -> Self {
        let world = Self { temp: tempfile::tempdir().expect("temp") };
        ["cur", "new", "tmp"].iter().for_each(|part| std::fs::create_dir_all(world.mail().join(part)).expect("makes"));
        for n in 0..messages {
            std::fs::write(world.mail().join(format!("cur/m{n:03}:2,S")), bytes(n)).expect("writes");
        }
        world
    }

    fn mail(&self) -> PathBuf {
        self.temp.path().join("Mail")
    }

    fn places(&self) -> Places {
        Places { user: self.temp.path().to_path_buf(), state: self.temp.path().join(".smd") }
    }

    fn home(&self) -> Home<Disk> {
        Home::open(Arc::new(Disk), &self.temp.path().join(".smd"), Access::ReadWrite).expect("opens")
    }

    fn key(&self, label: &str) -> (Key<Disk>, Age) {
        let label = Label::parse(label.as_bytes()).expect("a label");
        (Key::open(&self.home(), &label).expect("opens"), self.home().age().expect("a clock"))
    }

    /// All messages by their paths below the root.
    fn tree(&self) -> BTreeMap<String, String> {
        let mut tree = BTreeMap::new();
        for folder in [self.mail(), self.mail().join("Away")] {
            for part in ["cur", "new"] {
                for entry in std::fs::read_dir(folder.join(part)).into_iter().flatten().flatten() {
                    let path = entry.path();
                    let shown = path.strip_prefix(self.mail()).expect("below").display().to_string();
                    tree.insert(shown, std::fs::read_to_string(path).expect("reads"));
                }
            }
        }
        tree
    }

    /// Lets the key take these steps in a session of its own. Gives what is told of those that are not done.
    fn takes(&self, key: Option<&str>, steps: Vec<Step>) -> Vec<(u32, Outcome<Told>)> {
        let said = Said::default();
        let mut session = self.begun(&said, key, steps.clone());
        for (step, bytes) in steps.iter().enumerate().filter_map(|(at, step)| Some((at as u32, step.bytes()?))) {
            if bytes.source == Source::Wire {
                let text = JUNK.as_bytes();
                let mtime = smd_protocol::delta::Mtime { sec: 1_700_000_000, nsec: 0 };
                hear(&mut session, FromClient::Content(wire::ContentStart { step, size: text.len() as u64, mtime }));
                let _ = session.hear(Some(Event::Frame(Frame::Piece(text.to_vec())))).expect("hears");
                hear(&mut session, FromClient::ContentEnd(wire::ContentEnd { step, failed: None }));
            }
        }
        hear(&mut session, FromClient::BatchEnd { root: 0 });
        session.finish();
        said.0
            .borrow()
            .iter()
            .filter_map(|one| match one {
                FromServer::Outcomes { failed, .. } => Some(failed.clone()),
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// A session in which a batch is begun.
    fn begun<'s>(&self, said: &'s Said, key: Option<&str>, steps: Vec<Step>) -> Session<Disk, &'s Said> {
        let mut session = Session::new(Arc::new(Disk), &self.places(), authority(key), said);
        greet(&mut session, said, &[]);
        hear(&mut session, FromClient::Batch { root: 0, steps, fetch: Vec::new() });
        hear(&mut session, FromClient::BatchReady { root: 0 });
        session
    }

    /// Takes back what a key did, as its owner does.
    fn undo(&self, label: &str) -> Vec<Undone> {
        let (key, now) = self.key(label);
        let (lines, home) = (key.log(now).expect("reads"), self.home());
        let wait = Wait { ms: 0, stop: &|| false };
        let known = places::kept(&home, self.temp.path());
        let yard = Yards::open(&Arc::new(Disk), known).into_all().remove(0);
        let burials = lines.burials();
        let ids: Vec<String> = {
            let found = yard.look(&home).expect("looks");
            let all: Vec<_> = found.told().filter(|one| burials.contains(one.run())).collect();
            all.into_iter().map(|one| one.id).collect()
        };
        let mut undone = yard.bring_back(&home, self.temp.path(), &ids, &wait).expect("brings back");
        let acts: Vec<What> = lines.iter().map(|line| line.what.clone()).collect();
        undone.extend(yard.take_back(&home, &acts, &wait).expect("takes back"));
        undone
    }
}

const JUNK: &str = "Subject: junk\n\njunk\n";

fn bytes(n: usize) -> String {
    format!("Subject: {n}\n\nbody of {n}\n")
}

fn authority(key: Option<&str>) -> Authority {
    match key {
        None => Authority::owner(),
        Some(label) => Authority {
            key: Some(Label::parse(label.as_bytes()).expect("a label")),
            limits: Limits { max_remove: MaxRemove::Default, ..Limits::none() },
            connection: b"192.0.2.1 5 192.0.2.2 22".to_vec(),
            ..Authority::owner()
        },
    }
}

fn hear(session: &mut Session<Disk, &Said>, message: FromClient) {
    let bytes = codec::encode(&message).expect("it fits");
    let _ = session.hear(Some(Event::Frame(Frame::Message(bytes)))).expect("hears");
}

/// Says Hello until the root has its right name.
fn greet(session: &mut Session<Disk, &Said>, said: &Said, features: &[&str]) {
    let mut root = None;
    for _ in 0..2 {
        let offer = RootOffer {
            path: b"Mail".to_vec(),
            pair: "pair".to_owned(),
            root: root.clone(),
            ids: Ids::default(),
            damaged: Vec::new(),
            excludes: Vec::new(),
        };
        let features = features.iter().map(|&feature| Told::from(feature)).collect();
        hear(
            session,
            FromClient::Hello(ClientHello {
                features,
                client: "thief".to_owned(),
                direction: Direction::Sync,
                dry_run: false,
                depth: Depth::Quick,
                compress: false,
                grave_days: 7,
                roots: vec![offer],
            }),
        );
        let named = said.0.borrow().iter().find_map(|one| match one {
            FromServer::Hello(hello) => Some(hello.roots[0].root.clone()),
            _ => None,
        });
        root = named;
    }
}

fn name(folder: &str, uniq: &str) -> Name {
    Name::new(&Folder::parse(folder.as_bytes()).expect("folder"), &Uniq::parse(uniq.as_bytes()).expect("uniq"))
}

fn dress(flags: &str) -> Dress {
    Dress { place: Place::Cur, flags: Flags::from_letters(flags) }
}

/// What a thief does to a message: by its number.
fn harm(n: usize) -> Step {
    let at = name("", &format!("m{n:03}"));
    match n % 4 {
        0 => Step::Delete(at),
        1 => {
            let bytes = Bytes { content: Content::of(JUNK.as_bytes()), source: Source::Wire, mtime: None };
            Step::Replace { at, dress: dress("S"), bytes }
        }
        2 => Step::Move { from: at.clone(), to: at, dress: dress("ST") },
        _ => Step::Move { from: at.clone(), to: name("Away", &format!("x{n:03}")), dress: dress("S") },
    }
}

#[test]
fn fifty_sessions_of_a_key_remove_no_more_than_its_budget_and_all_of_it_comes_back() {
    let world = World::of(300);
    let before = world.tree();
    let mut refused = 0;
    for session in 0..50 {
        let mut steps = vec![Step::MakeFolder(name("Away", "x").folder)];
        steps.extend((session * 6..session * 6 + 6).map(harm));
        for (_, outcome) in world.takes(Some("laptop"), steps) {
            let Outcome::Refused(Refusal::Budget { lift, frees_at }) = outcome else { panic!("{outcome:?}") };
            assert_eq!(lift.escaped(), "smd-allow laptop 1000 --for 1h");
            assert!(frees_at.is_some());
            refused += 1;
        }
    }
    let after = world.tree();
    let bodies: BTreeSet<&String> = after.values().collect();
    let gone = before.values().filter(|bytes| !bodies.contains(bytes)).count();
    let trashed = after.keys().filter(|path| path.ends_with(":2,ST")).count();
    let moved = after.keys().filter(|path| path.starts_with("Away/")).count();
    // A tenth of 300, and every move.
    assert_eq!((gone + trashed, moved, refused), (30, 75, 225 - 30));
    // Another key has a budget of its own.
    assert!(world.takes(Some("phone"), vec![harm(296)]).is_empty());
    let undone = world.undo("laptop");
    assert!(!undone.iter().any(|one| matches!(one, Undone::Failed(_))), "{undone:?}");
    let mut back = world.tree();
    // What the phone deleted, and the bytes that were put where others were replaced.
    assert_eq!(back.values().filter(|bytes| *bytes == JUNK).count(), 10);
    back.retain(|_, bytes| bytes != JUNK);
    back.insert("cur/m296:2,S".to_owned(), bytes(296));
    let of = |tree: &BTreeMap<String, String>| tree.values().cloned().collect::<Vec<String>>();
    let (mut was, mut is) = (of(&before), of(&back));
    was.sort();
    is.sort();
    assert_eq!(is, was);
    // Under their own names, but for those that were replaced: these lie beside what replaced them.
    let elsewhere = before.iter().filter(|(path, _)| !back.contains_key(*path)).count();
    assert_eq!(elsewhere, 10);
    assert!(back.keys().all(|path| path.starts_with("cur/") && path.ends_with(":2,S")));
}

#[test]
fn what_a_batch_does_is_written_down_before_any_of_it_is_done() {
    let world = World::of(30);
    let before = world.tree();
    let said = Said::default();
    let session = world.begun(&said, Some("laptop"), vec![harm(0), harm(2), harm(3)]);
    let (key, now) = world.key("laptop");
    let lines = key.log(now).expect("reads");
    let what: Vec<&What> = lines.iter().map(|line| &line.what).collect();
    assert!(
        matches!(
            what[..],
            [
                What::Run { limit: Some(20), messages: 30, .. },
                What::Removed { paid: Paid::Budget, .. },
                What::Removed { paid: Paid::Budget, .. },
                What::Moved { .. },
            ]
        ),
        "{what:?}"
    );
    assert_eq!(world.tree(), before);
    drop(session);
}

#[test]
fn a_batch_is_let_go_of_when_it_is_over_also_where_all_of_it_was_refused() {
    let brings = || {
        let bytes =
            Bytes { content: Content::of(JUNK.as_bytes()), source: Source::Copy(name("", "none")), mtime: None };
        Step::Put { to: name("", "new"), dress: dress("S"), bytes }
    };
    let pulls =
        Authority { rights: "pull".parse().unwrap_or_else(|never| match never {}), ..authority(Some("laptop")) };
    // What a key's step is to bring is known to the end of the run.
    for (authority, refused, kept) in
        [(authority(None), 0, 0), (pulls, 1, BROUGHT), (authority(Some("laptop")), 0, BROUGHT)]
    {
        let (world, said) = (World::of(3), Said::default());
        let mut session = Session::new(Arc::new(Disk), &world.places(), authority, &said);
        greet(&mut session, &said, &[]);
        hear(&mut session, FromClient::Batch { root: 0, steps: vec![brings()], fetch: Vec::new() });
        hear(&mut session, FromClient::BatchReady { root: 0 });
        assert_ne!(session.budget, Budget::default());
        hear(&mut session, FromClient::BatchEnd { root: 0 });
        let mut is = Budget::default();
        is.keep(kept).expect("little");
        assert_eq!(session.budget, is);
        let is_refused = |one: &FromServer| match one {
            FromServer::Outcomes { failed, .. } => matches!(failed[..], [(0, Outcome::Refused(_))]),
            _ => false,
        };
        assert_eq!(said.0.borrow().iter().filter(|one| is_refused(one)).count(), refused);
    }
}

#[test]
fn where_nothing_can_be_written_down_nothing_is_done() {
    let world = World::of(30);
    let before = world.tree();
    std::fs::create_dir_all(world.temp.path().join(".smd/keys/laptop/log")).expect("makes");
    let said = Said::default();
    let mut session = Session::new(Arc::new(Disk), &world.places(), authority(Some("laptop")), &said);
    greet(&mut session, &said, &[]);
    hear(&mut session, FromClient::Batch { root: 0, steps: vec![harm(0)], fetch: Vec::new() });
    let ready = codec::encode(&FromClient::BatchReady { root: 0 }).expect("it fits");
    assert!(session.hear(Some(Event::Frame(Frame::Message(ready)))).is_err());
    session.finish();
    assert_eq!(world.tree(), before);
}

#[test]
fn an_owner_lifts_the_budget_for_a_while_and_hears_once_what_went() {
    let world = World::of(100);
    let steps =
        |from: usize, to: usize| (from..to).map(|n| Step::Delete(name("", &format!("m{n:03}")))).collect::<Vec<_>>();
    assert_eq!(world.takes(Some("laptop"), steps(0, 25)).len(), 5);
    let (key, now) = world.key("laptop");
    key.allow(&Allowance::beginning(30, now, 3_600)).expect("writes");
    assert_eq!(world.takes(Some("laptop"), steps(25, 60)).len(), 5);
    assert_eq!(world.tree().len(), 50);
    let reports = |key: Option<&str>, ends: bool| {
        let said = Said::default();
        let mut session = Session::new(Arc::new(Disk), &world.places(), authority(key), &said);
        greet(&mut session, &said, &[wire::REPORTS]);
        if ends {
            let bye = codec::encode(&FromClient::Bye).expect("it fits");
            assert!(session.hear(Some(Event::Frame(Frame::Message(bye)))).expect("hears").is_break());
        }
        session.finish();
        let told: Vec<(String, u64, bool)> = said
            .0
            .borrow()
            .iter()
            .filter_map(|one| match one {
                FromServer::Reports(reports) => {
                    Some(reports.iter().map(|one| (one.key.escaped(), one.removed, one.is_end)).collect::<Vec<_>>())
                }
                _ => None,
            })
            .flatten()
            .collect();
        told
    };
    let fact = ("laptop".to_owned(), 50, true);
    // A client that goes away before its end has shown nothing.
    assert_eq!(reports(None, false), std::slice::from_ref(&fact));
    assert_eq!(reports(None, true), [fact]);
    assert_eq!(reports(None, true), []);
}

#[test]
fn what_is_left_is_told_where_it_is_asked_for() {
    let world = World::of(100);
    let left = |key: Option<&str>, features: &[&str]| {
        let said = Said::default();
        let mut session = Session::new(Arc::new(Disk), &world.places(), authority(key), &said);
        greet(&mut session, &said, features);
        hear(&mut session, FromClient::Ledger { root: 0, act: LedgerAct::Tell });
        session.finish();
        said.0.borrow().iter().find_map(|one| match one {
            FromServer::Budget { left, .. } => Some(*left),
            _ => None,
        })
    };
    assert_eq!(left(Some("laptop"), &[wire::BUDGET]), Some(20));
    assert!(world.takes(Some("laptop"), vec![harm(0)]).is_empty());
    assert_eq!(left(Some("laptop"), &[wire::BUDGET]), Some(19));
    assert_eq!(left(Some("laptop"), &[]), None);
    assert_eq!(left(None, &[wire::BUDGET]), None);
}
