//! The largest that our senders say is taken by our receivers, number by number; and nothing beyond it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::*;
use crate::codec;
use crate::delta::{Delta, FolderDelta, Meta, Mtime, Presence, Seen};
use crate::digest::{Content, Digest};
use crate::grave::Why;
use crate::pack::{self, ContentRef};
use crate::snapshot::{BaseId, Entry, Place, Snapshot};
use crate::step::{Bytes, Dress, Outcome, Refusal};
use crate::wire::{
    self, FromClient, GraveWish, Ids, KeyReport, LedgerAct, Looked, RootAnswer, RootOffer, ServerHello, Spelled,
};

#[derive(Serialize, Deserialize)]
struct Some3(#[serde(deserialize_with = "few::<_, _, 3>")] Vec<Uniq>);

#[test]
fn a_number_of_items_is_refused_before_any_is_decoded() {
    let uniq = Uniq::parse(b"u").expect("uniq");
    let coded = |count| codec::encode(&vec![uniq.clone(); count]).expect("small");
    assert_eq!(codec::decode::<Some3>(&coded(3)).expect("three").0.len(), 3);
    assert!(codec::decode::<Some3>(&coded(4)).is_err());
    // A claim with nothing behind it names the number, and not the end of the bytes.
    let error = codec::decode::<Some3>(&[251, 0xff, 0xff]).err().expect("too many").to_string();
    assert!(error.contains("65535 items where 3"), "{error}");
}

#[test]
fn no_value_weighs_less_than_it_takes() {
    let name = Name::new(&Folder::parse(b"a/b").expect("folder"), &Uniq::parse(b"uniq").expect("uniq"));
    let content = Content::of(b"x");
    let bytes = Bytes { content, source: Source::Copy(name.clone()), mtime: None };
    let dress = Dress { place: Place::Cur, flags: Flags::from_info(b"2,S,rest") };
    let step = Step::Put { to: name.clone(), dress, bytes };
    // Two names and what follows the letters: five allocations.
    assert!(step.weight() > size_of::<Step>() + 5 * 16 + 2 * (3 + 4));
    assert!([step.clone(), step.clone()].as_slice().weight() == 2 * step.weight());
    let entry = Entry { uniq: name.uniq.clone(), place: Place::Cur, flags: Flags::default(), content };
    let part = Part::Entries { folder: 0, entries: vec![PackedEntry::of(Seen::bare(entry), ContentRef::Kept); 10] };
    assert!(part.weight() >= size_of::<Part>() + 10 * size_of::<Seen>());
    let removal = Removal { name, body: Digest::of(b""), section: 0, base: 0 };
    assert!(removal.weight() > size_of::<Removal>() + 7);
}

#[test]
fn a_budget_grows_with_messages_and_not_beyond_what_this_host_has() {
    let mut budget = Budget::default();
    budget.keep(BUDGET_LEAST as usize).expect("always");
    assert!(budget.keep(1).is_err());
    budget.knows(1_000);
    budget.keep(1_000 * BUDGET_OF_MESSAGE as usize).expect("a thousand messages");
    assert!(budget.keep(1).is_err());
    budget.let_go(5);
    assert!(budget.keep(6).is_err() && budget.keep(5).is_ok());
    // What was refused is not counted, and numbers do not wrap.
    assert!(budget.keep(usize::MAX).is_err());
    let mut budget = Budget::within(BUDGET_LEAST * 2);
    budget.knows(u64::MAX);
    assert!(budget.keep(BUDGET_LEAST as usize * 2 + 1).is_err() && budget.keep(BUDGET_LEAST as usize * 2).is_ok());
}

/// The longest names and texts that any sender has.
fn longest_folder(number: usize) -> Folder {
    let mut path = format!("{number:08}/").into_bytes();
    path.extend(b"abc/".repeat(1022));
    path.truncate(crate::names::FOLDER_MAX - 1);
    Folder::parse(&path).expect("a folder")
}

fn longest_uniq(number: usize) -> Uniq {
    Uniq::parse(format!("{number:0255}").as_bytes()).expect("a uniq")
}

fn longest_name(number: usize) -> Name {
    Name::new(&longest_folder(number), &longest_uniq(number))
}

fn longest_flags() -> Flags {
    Flags::from_info(&[&b"2,ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz,"[..], &[b'r'; 199]].concat())
}

fn longest_trouble() -> PeerTrouble {
    PeerTrouble::new(vec![0xff; 9_999], "x".repeat(9_999))
}

/// Fails unless the other end takes this, whole.
fn passes<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(message: &T) {
    let frame = wire::message(message).expect("the sender's largest message fits a frame");
    let back: T = codec::decode(&frame[wire::FRAME_HEAD..]).expect("the receiver takes it");
    assert!(back == *message);
}

#[test]
fn the_largest_that_a_client_says_is_taken() {
    let far = BaseId { counter: u64::MAX, digest: Digest::of(b"") };
    let offer = |excludes| RootOffer {
        path: vec![b'p'; PATH_MAX],
        pair: "p".repeat(LABEL_MAX),
        root: Some("r".repeat(LABEL_MAX)),
        ids: Ids { current: Some(far), next: Some(far) },
        damaged: Vec::new(),
        excludes,
    };
    let hello = |roots: Vec<RootOffer>| wire::ClientHello {
        features: vec!["f".repeat(512).into(); FEATURES_MAX],
        client: "c".repeat(LABEL_MAX),
        direction: crate::reconcile::Direction::Sync,
        dry_run: true,
        depth: wire::Depth::Folders,
        compress: true,
        grave_days: u32::MAX,
        roots,
    };
    let patterns = vec![(vec![b'p'; PATH_MAX], vec![vec![b'x'; 900]; PATTERNS_MAX])];
    passes(&FromClient::Hello(hello(vec![offer(patterns)])));
    passes(&FromClient::Hello(hello(vec![offer(vec![(vec![b'p'; PATH_MAX], vec![vec![b'x'; PATH_MAX]; 200])])])));
    let damaged = RootOffer { damaged: (0..DAMAGED_MAX).map(longest_folder).collect(), ..offer(Vec::new()) };
    passes(&FromClient::Hello(hello(vec![damaged])));
    let short = RootOffer { path: vec![b'p'; 500], ..offer(Vec::new()) };
    passes(&FromClient::Hello(hello(vec![short; ROOTS_MAX])));

    let dress = Dress { place: Place::Cur, flags: longest_flags() };
    let content = Content::of(b"x");
    let moves = |at: usize| Step::Move { from: longest_name(at), to: longest_name(at + 1), dress: dress.clone() };
    let copies = |at: usize| {
        let mtime = Some(Mtime { sec: i64::MIN, nsec: u32::MAX });
        let bytes = Bytes { content, source: Source::Copy(longest_name(at)), mtime };
        Step::Put { to: longest_name(at + 1), dress: dress.clone(), bytes }
    };
    let fetch = |at: usize| Fetch { step: u32::MAX, name: longest_name(at), header_only: true, content };
    let removal = |at: usize| Removal { name: longest_name(at), body: content.body, section: u64::MAX, base: u64::MAX };
    let all = 0..ITEMS_IN_FRAME;
    passes(&FromClient::Batch { root: u16::MAX, steps: all.clone().map(moves).collect(), fetch: Vec::new() });
    passes(&FromClient::Batch { root: u16::MAX, steps: all.clone().map(copies).collect(), fetch: Vec::new() });
    passes(&FromClient::Batch { root: u16::MAX, steps: Vec::new(), fetch: all.clone().map(fetch).collect() });
    passes(&FromClient::Spell { root: u16::MAX, wanted: all.clone().map(|at| (u32::MAX, longest_name(at))).collect() });
    passes(&FromClient::BareHeaders { root: u16::MAX, names: all.clone().map(longest_name).collect() });
    passes(&FromClient::Ledger { root: u16::MAX, act: LedgerAct::Count(all.map(removal).collect()) });
    passes(&FromClient::Spelled(Spelled { step: u32::MAX, suffix: Some(vec![b':'; crate::names::NAME_MAX]) }));
    let ids = vec!["i".repeat(ID_MAX); IDS_IN_WISH];
    passes(&FromClient::Grave { root: u16::MAX, wish: GraveWish::BringBack { ids: ids.clone(), last: true } });
    passes(&FromClient::Grave { root: u16::MAX, wish: GraveWish::Heads(ids) });
}

#[test]
fn the_largest_that_a_server_says_is_taken() {
    let far = BaseId { counter: u64::MAX, digest: Digest::of(b"") };
    let ids = Ids { current: Some(far), next: Some(far) };
    let answer = RootAnswer {
        root: "r".repeat(LABEL_MAX),
        ids,
        earlier: vec![ids; EARLIER_MAX],
        counter: u64::MAX,
        damaged: (0..DAMAGED_MAX).map(longest_folder).collect(),
    };
    let features = vec!["f".repeat(512).into(); FEATURES_MAX];
    passes(&FromServer::Hello(ServerHello { features: features.clone(), roots: vec![answer.clone()] }));
    let short = RootAnswer { earlier: Vec::new(), damaged: Vec::new(), ..answer };
    passes(&FromServer::Hello(ServerHello { features, roots: vec![short; ROOTS_MAX] }));

    let root = u16::MAX;
    let troubles = vec![longest_trouble(); TROUBLES_IN_FRAME];
    let text = || Told::from("x".repeat(9_999));
    let looked = Looked {
        absent: true,
        unusable: Some(text()),
        incomplete: true,
        suspicious: Some(text()),
        troubles: troubles.clone(),
    };
    passes(&FromServer::Looked { root, looked });
    passes(&FromServer::LeftOut { root, left_out: troubles.clone() });
    passes(&FromServer::Resting { unwatched: troubles.clone() });
    passes(&FromServer::Troubles(troubles));
    let all = 0..ITEMS_IN_FRAME;
    let twin = |at| Twin { from: longest_name(at), content: Content::of(b"x"), to: longest_uniq(at + 1) };
    passes(&FromServer::Twins { root, twins: all.clone().map(twin).collect() });
    passes(&FromServer::PutBack { root, folders: all.clone().map(longest_folder).collect() });
    passes(&FromServer::Met { root, patterns: (0..PATTERNS_MAX as u32).map(|at| u32::MAX - at).collect() });
    let removal = |at| Removal { name: longest_name(at), body: Digest::of(b""), section: u64::MAX, base: u64::MAX };
    passes(&FromServer::Removed { root, removals: all.clone().map(removal).collect(), last: true });
    let budget = || Outcome::Refused(Refusal::Budget { lift: text(), frees_at: Some(i64::MIN) });
    passes(&FromServer::Outcomes { root, failed: vec![(u32::MAX, budget()); ITEMS_IN_FRAME] });
    let report = KeyReport { key: text(), since: i64::MIN, removed: u64::MAX, is_end: true };
    passes(&FromServer::Reports(vec![report; ITEMS_IN_FRAME]));
    passes(&FromServer::Budget { root, left: u64::MAX, lift: text(), frees_at: Some(i64::MIN) });
    passes(&FromServer::BareHeaders { root, digests: vec![Some(Digest::of(b"")); ITEMS_IN_FRAME] });
    passes(&FromServer::Header { root, bytes: vec![0xff; HEADER_MAX] });
    let rests = |at| Rests {
        id: "i".repeat(ID_MAX),
        time: i64::MIN,
        why: Why::Renamed,
        folder: longest_folder(at),
        place: Some(Place::Cur),
        file: vec![b'f'; crate::names::NAME_MAX],
        renamed: Some(longest_uniq(at)),
        size: Some(u64::MAX),
        back: true,
    };
    let grave = |answer| FromServer::Grave { root, answer };
    passes(&grave(GraveAnswer::Rests { rests: all.map(rests).collect(), end: None }));
    let head = Head { from: "f".repeat(FIELD_MAX), subject: "s".repeat(FIELD_MAX), date: Some(i64::MIN) };
    passes(&grave(GraveAnswer::Heads(vec![head; ITEMS_IN_FRAME])));
    passes(&grave(GraveAnswer::Undone(vec![Undone::Failed(text()); ITEMS_IN_FRAME])));
}

#[test]
fn deltas_of_any_shape_are_taken_in_their_frames() {
    let seen = |at: usize| {
        let entry =
            Entry { uniq: longest_uniq(at), place: Place::Cur, flags: longest_flags(), content: Content::of(b"x") };
        Seen { entry, meta: Some(Meta { size: u64::MAX, mtime: Mtime { sec: i64::MIN, nsec: u32::MAX } }) }
    };
    let long = FolderDelta {
        presence: Presence::Added,
        adopting: Some(true),
        gone: (0..2_500).map(longest_uniq).collect(),
        set: (2_500..5_000).map(seen).collect(),
    };
    let small = |at: usize| Folder::parse(format!("{at:x}").as_bytes()).expect("a folder");
    let empty = FolderDelta { presence: Presence::Added, ..FolderDelta::default() };
    let many: BTreeMap<Folder, FolderDelta> = (0..20_000).map(|at| (small(at), empty.clone())).collect();
    for folders in [BTreeMap::from([(longest_folder(0), long)]), many] {
        let delta = Delta { folders };
        let mut unpacker = pack::Unpacker::default();
        for parts in pack::groups(pack::pack(&Snapshot::default(), &delta)) {
            let message = FromServer::Delta { root: u16::MAX, parts };
            passes(&message);
            let FromServer::Delta { parts, .. } = message else { unreachable!() };
            parts.into_iter().for_each(|part| unpacker.take(&Snapshot::default(), part).expect("in order"));
        }
        assert!(unpacker.finish().expect("a delta") == delta);
    }
}

#[test]
fn an_honest_batch_and_its_base_fit_the_budget_of_a_server_that_knows_nothing() {
    // What a client may say at once: its own weight of a batch, and what follows from that for the base.
    assert!(2 * BATCH_WEIGHT as u64 <= BUDGET_LEAST + BUDGET_LEAST / 4);
    let name = Name::new(&Folder::parse(b".Archive.2024").expect("a folder"), &longest_uniq(0));
    let bytes = Bytes { content: Content::of(b"x"), source: Source::Wire, mtime: None };
    let put = Step::Put { to: name.clone(), dress: Dress { place: Place::New, flags: Flags::default() }, bytes };
    let entry = Entry { uniq: name.uniq, place: Place::New, flags: Flags::default(), content: Content::of(b"x") };
    let part = Part::Entries { folder: 0, entries: vec![PackedEntry::of(Seen::bare(entry), ContentRef::Kept)] };
    assert!(part.weight() <= 2 * put.weight(), "{} {}", part.weight(), put.weight());
    // For each message that this end knows, all that can be said of it at once.
    let all = put.weight() + part.weight() + BROUGHT;
    assert!(all as u64 <= BUDGET_OF_MESSAGE, "{} {}", put.weight(), part.weight());
    assert!(4 * BROUGHT <= put.weight());
}
