//! The store on a real disk: what it keeps, what crashes leave, and what damage may never do.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use smd_protocol::{Content, Entry, Flags, FolderDelta, Name, Place, Seen, Uniq};

use super::*;
use crate::fs::Disk;
use crate::home::{Home, Label, Side};

mod begun;

struct World {
    temp: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { temp: tempfile::tempdir().expect("temp") }
    }

    fn pair(&self, access: Access) -> Pair<Disk> {
        let home = Home::open(Arc::new(Disk), &self.temp.path().join(".smd"), access).expect("opens");
        home.pair(Side::Client, &Label::derive(b"peer")).expect("opens")
    }

    fn open(&self) -> Store<Disk> {
        Store::open(&self.pair(Access::ReadWrite), b"/m").expect("opens")
    }

    fn dry(&self) -> Store<Disk> {
        Store::open(&self.pair(Access::ReadOnly), b"/m").expect("opens")
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.temp.path().join(format!(".smd/state/peer/%2Fm.db.txt{suffix}"))
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.file("")).expect("reads")
    }

    fn put(&self, bytes: &[u8]) {
        fs::create_dir_all(self.file("").parent().expect("a parent")).expect("makes");
        fs::write(self.file(""), bytes).expect("writes");
    }
}

fn folder(name: &str) -> Folder {
    Folder::parse(name.as_bytes()).expect("folder")
}

fn entry(uniq: &str, info: &str) -> Entry {
    Entry {
        uniq: Uniq::parse(uniq.as_bytes()).expect("uniq"),
        place: if info.is_empty() { Place::New } else { Place::Cur },
        flags: Flags::from_info(info.as_bytes()),
        content: Content::of(uniq.as_bytes()),
    }
}

/// Changes from lines `folder: +uniq:info -uniq …`, with `!`, `*`, `x` for reset, adopting, removed.
fn changes(text: &str) -> Delta {
    let mut delta = Delta::default();
    for line in text.split('|') {
        let (name, what) = line.split_once(": ").unwrap_or((line, ""));
        let mut change = FolderDelta::default();
        for word in what.split_whitespace() {
            match (&word[..1], &word[1..]) {
                ("+", rest) => {
                    let (uniq, info) = rest.split_once(':').unwrap_or((rest, ""));
                    change.set.push(Seen::bare(entry(uniq, info)));
                }
                ("-", rest) => change.gone.push(entry(rest, "").uniq),
                ("!", _) => change.presence = Presence::Reset,
                ("x", _) => change.presence = Presence::Removed,
                ("*", _) => change.adopting = Some(true),
                ("/", _) => change.adopting = Some(false),
                other => panic!("{other:?}"),
            }
        }
        change.normalise();
        delta.folders.insert(folder(name.trim()), change);
    }
    delta
}

fn step(store: &mut Store<Disk>, counter: u64, text: &str) -> BaseId {
    let id = store.write_next(counter, &changes(text), &Meta::default()).expect("writes");
    store.commit(id).expect("commits");
    id
}

/// Three folders, folded, and behind them a tail of two commits and a `next`.
fn sample(world: &World) -> (Vec<BaseId>, Snapshot) {
    let mut store = world.open();
    let mut ids = vec![step(&mut store, 1, ": +a +b:2,S|x y: +c:2,FS,x +d:1,z|z")];
    store.fold_due = true;
    ids.push(step(&mut store, 2, "x y: -c +e"));
    ids.push(step(&mut store, 3, ": +b:2,FS|w: * +f"));
    ids.push(step(&mut store, 4, "z: +g|w: /"));
    let snapshot = store.snapshot().expect("parses").clone();
    ids.push(store.write_next(5, &changes("z: -g|x y: x"), &Meta::default()).expect("writes"));
    (ids, snapshot)
}

#[test]
fn without_a_file_there_is_no_base() {
    let world = World::new();
    for mut store in [world.dry(), world.open()] {
        assert_eq!(store.ids(), Ids::default());
        assert_eq!(store.snapshot().expect("is empty"), &Snapshot::default());
        assert_eq!((store.messages().expect("counts"), store.lost(), store.counter()), (0, None, 0));
    }
    assert!(!world.file("").exists());
}

#[test]
fn what_is_committed_is_there_at_the_next_opening() {
    let world = World::new();
    let (ids, snapshot) = sample(&world);
    let mut store = world.open();
    assert_eq!(store.ids(), Ids { current: Some(ids[3]), next: Some(ids[4]) });
    assert_eq!(store.messages().expect("counts"), 6);
    assert_eq!(store.section(&folder("w")).expect("parses").map(|w| w.entries().len()), Some(1));
    assert_eq!(store.snapshot().expect("parses"), &snapshot);
    assert_eq!((store.snapshot().expect("is there").id(4), store.counter()), (ids[3], 5));
    store.commit(ids[4]).expect("commits");
    for store in [&mut store, &mut world.open()] {
        assert_eq!(store.ids(), Ids { current: Some(ids[4]), next: None });
        let snapshot = store.snapshot().expect("parses");
        assert_eq!(snapshot.folders.keys().map(|f| f.to_string()).collect::<Vec<_>>(), [".", "w", "z"]);
        assert_eq!(snapshot.id(5), ids[4]);
    }
}

#[test]
fn recorded_digests_are_those_of_what_is_parsed() {
    let world = World::new();
    sample(&world);
    for (folder, section) in &world.open().snapshot().expect("parses").folders {
        assert_eq!(Section::new(section.entries().to_vec(), false).digest(), section.digest(), "{folder}");
    }
}

#[test]
fn promoting_what_is_current_writes_nothing_and_drops_another_next() {
    let world = World::new();
    let (ids, _) = sample(&world);
    let mut store = world.open();
    store.promote(ids[3]).expect("drops");
    assert_eq!(world.open().ids(), Ids { current: Some(ids[3]), next: None });
    let before = (world.bytes(), fs::metadata(world.file("")).expect("is there").modified().expect("stamped"));
    store.promote(ids[3]).expect("is so");
    store.abort().expect("is so");
    world.open().promote(ids[3]).expect("is so");
    assert_eq!((world.bytes(), fs::metadata(world.file("")).expect("is there").modified().expect("stamped")), before);
    assert!(matches!(store.promote(ids[4]), Err(StoreError::Unknown { .. })));
}

#[test]
fn a_dry_run_promotes_in_memory_alone() {
    let world = World::new();
    let (ids, _) = sample(&world);
    let before = world.bytes();
    let mut store = world.dry();
    store.promote(ids[4]).expect("promotes");
    assert_eq!(store.snapshot().expect("parses").id(5), ids[4]);
    assert!(matches!(store.write_next(6, &Delta::default(), &Meta::default()), Err(StoreError::ReadOnly { .. })));
    assert_eq!(world.bytes(), before);
}

#[test]
fn a_second_next_takes_the_place_of_the_first() {
    let world = World::new();
    let (ids, _) = sample(&world);
    let mut store = world.open();
    let other = store.write_next(6, &changes("z: +h"), &Meta::default()).expect("writes");
    assert_eq!(store.ids(), Ids { current: Some(ids[3]), next: Some(other) });
    assert_eq!(world.open().ids(), store.ids());
    assert!(matches!(store.commit(ids[4]), Err(StoreError::Unknown { .. })));
}

#[test]
fn one_new_mail_appends_a_few_hundred_bytes() {
    let world = World::new();
    let many = (0..2000).map(|n| format!("+m{n:05}:2,S")).collect::<Vec<_>>().join(" ");
    let mut store = world.open();
    step(&mut store, 1, &format!("big: {many}|: +a"));
    let len = world.bytes().len();
    assert!(world.bytes().starts_with(b"smd-db 3 ") && store.on_disk == world.open().on_disk);
    let mut store = world.open();
    step(&mut store, 2, ": +b");
    assert!(world.bytes().len() - len < 400);
    assert!(store.unparsed.contains_key(&folder("big")), "an untouched section is not parsed");
    assert_eq!(store.messages().expect("counts"), 2002);
}

#[test]
fn whether_anything_is_adopted_still_is_known_without_an_entry() {
    let world = World::new();
    let many = |of: &str| (0..2000).map(|n| format!("+{of}{n:05}:2,S")).collect::<Vec<_>>().join(" ");
    let mut store = world.open();
    step(&mut store, 1, &format!("one: * {}|two: * {}", many("a"), many("b")));
    assert!(world.open().has_adopting().expect("knows"));
    // As the last batch of a first run does: a short tail behind long sections that touches each.
    step(&mut store, 2, "one: /|two: / +x");
    let mut store = world.open();
    assert!(!store.has_adopting().expect("knows"));
    assert_eq!(store.unparsed.len(), 2, "no section is parsed for it");
    let snapshot = store.snapshot().expect("parses").clone();
    assert!(snapshot.folders.values().all(|section| !section.adopting()));
    assert_eq!(snapshot.messages(), 4001);
    // A mark alone parses no section when the tail is applied.
    step(&mut store, 3, "two: *");
    let mut store = world.open();
    assert!(store.section(&folder("one")).expect("parses").is_some() && store.has_adopting().expect("knows"));
    step(&mut store, 4, "two: x|one: -a00000");
    assert!(!world.open().has_adopting().expect("knows"));
    assert_eq!(world.open().messages().expect("counts"), 1999);
}

#[test]
fn a_long_tail_is_folded_in() {
    let world = World::new();
    let mut store = world.open();
    let mut last = None;
    for counter in 1..60 {
        let many = (0..50).map(|n| format!("+m{counter:03}.{n:05}:2,S")).collect::<Vec<_>>().join(" ");
        last = Some(step(&mut store, counter, &format!("f{}: {many}", counter % 7)));
        let OnDisk::Good { base, end, len } = store.on_disk else { panic!("not good") };
        assert!(end == len && len - base <= FOLD_SLACK.max(base / 10) && len == world.bytes().len() as u64);
    }
    let mut again = world.open();
    assert_eq!(again.ids().current, last);
    assert_eq!(again.snapshot().expect("parses"), store.snapshot().expect("is there"));
    assert_eq!(again.messages().expect("counts"), 59 * 50);
    assert!(!world.file(".new").exists());
}

const FOLD_SLACK: u64 = 64 * 1024;

#[test]
fn a_forgotten_base_is_replaced_by_the_next_one_and_not_before() {
    let world = World::new();
    let (ids, _) = sample(&world);
    let mut store = world.open();
    store.forget();
    assert_eq!((store.ids(), store.counter()), (Ids::default(), 5));
    assert_eq!(world.open().ids().current, Some(ids[3]));
    let id = store.write_next(6, &changes(": * +a"), &Meta::default()).expect("writes");
    assert_eq!(world.open().ids(), Ids { current: None, next: Some(id) });
    let mut other = world.open();
    other.promote(id).expect("promotes");
    assert_eq!(other.snapshot().expect("parses").id(6), id);
    assert_eq!(world.open().ids(), Ids { current: Some(id), next: None });
    let mut dropped = world.open();
    dropped.forget();
    dropped.write_next(7, &changes(": * +a"), &Meta::default()).expect("writes");
    dropped.abort().expect("drops");
    assert_eq!(world.open().ids(), Ids::default());
    assert_eq!(world.open().lost(), None);
}

#[test]
fn the_description_of_the_root_is_kept_with_the_base() {
    let world = World::new();
    let identity = Some(Identity { ino: 7, btime: None });
    let mounts = vec![Mount { folder: folder("a"), identity }];
    let one = Meta { identity, excludes: "x".to_owned(), translator: "t".to_owned(), mounts };
    let two = Meta { excludes: "y".to_owned(), translator: "u".to_owned(), ..one.clone() };
    let mut store = world.open();
    store.note(&two).expect("nothing to note with");
    assert!(!world.file("").exists());
    let id = store.write_next(1, &changes(": +a"), &one).expect("writes");
    assert_eq!(store.meta(), &Meta::default());
    store.commit(id).expect("commits");
    assert_eq!((store.meta(), world.open().meta()), (&one, &one));
    store.note(&two).expect("notes");
    assert_eq!((store.meta(), world.open().meta()), (&two, &two));
    let len = world.bytes().len();
    store.note(&two).expect("is so");
    assert_eq!(world.bytes().len(), len);
    assert_eq!(world.open().snapshot().expect("parses").id(1), id);
    store.fold_due = true;
    let id = store.write_next(2, &changes(": +b"), &two).expect("writes");
    store.commit(id).expect("commits");
    assert_eq!(world.open().meta(), &two);
    assert!(world.open().committed.is_empty());
}

#[test]
fn under_which_translator_a_base_was_made_is_known_before_and_after_its_commit() {
    let world = World::new();
    let of = |translator: &str| Meta { translator: translator.to_owned(), ..Meta::default() };
    let all = |store: &Store<Disk>| ["", "t", "u"].map(|translator| store.is_made_under(translator));
    assert_eq!(all(&world.open()), [true; 3], "there is no base");
    let mut store = world.open();
    let id = store.write_next(1, &changes(": +a"), &of("t")).expect("writes");
    assert_eq!((all(&store), all(&world.open())), ([false, true, false], [false, true, false]));
    store.commit(id).expect("commits");
    assert_eq!((all(&store), all(&world.open())), ([false, true, false], [false, true, false]));
    store.write_next(2, &changes(": +b"), &of("t")).expect("writes");
    assert_eq!(all(&world.open()), [false, true, false]);
    store.write_next(2, &changes(": +b"), &of("u")).expect("writes");
    assert_eq!(all(&world.open()), [false; 3], "one of each");
}

#[test]
fn a_file_of_version_1_is_read_and_rewritten_by_the_next_commit() {
    let world = World::new();
    let mut store = world.open();
    store.fold_due = true;
    let meta = Meta { mounts: vec![Mount { folder: folder("a"), identity: None }], ..Meta::default() };
    let id = store.write_next(1, &changes(": +a"), &meta).expect("writes");
    store.commit(id).expect("commits");
    store.fold_due = true;
    let id = store.write_next(2, &changes(": +b"), &meta).expect("writes");
    store.commit(id).expect("commits");
    // The same file as the older programs wrote it.
    let file = world.bytes();
    let first = file.iter().position(|&b| b == b'\n').expect("a first line") + 1;
    let words = text::words::<4>(&file[..first - 1]).expect("a first line of ours");
    let head: usize = std::str::from_utf8(words[2]).expect("digits").parse().expect("a number");
    let body = std::str::from_utf8(&file[first..first + head]).expect("ascii").replace("mount a -\n", "mount a\n");
    assert_eq!(body.len(), head - 2);
    let claim = format!("1 {}", body.len());
    let old = format!("smd-db {claim} {:016x}\n{body}", text::checksum(&[claim.as_bytes(), body.as_bytes()]));
    world.put(&[old.as_bytes(), &file[first + head..]].concat());

    let mut store = world.open();
    assert_eq!((store.lost(), store.ids().current, store.meta()), (None, Some(id), &meta));
    let id = store.write_next(3, &changes(": +c"), &meta).expect("writes");
    store.commit(id).expect("commits");
    assert!(world.bytes().starts_with(b"smd-db 3 "));
    assert_eq!(world.open().ids().current, Some(id));
}

#[test]
fn a_later_version_is_neither_read_nor_overwritten() {
    let world = World::new();
    let body = b"of later days";
    let claim = format!("4 {}", body.len());
    let file = format!("smd-db {claim} {:016x}\nof later days", text::checksum(&[claim.as_bytes(), body]));
    world.put(file.as_bytes());
    let opened = Store::open(&world.pair(Access::ReadWrite), b"/m");
    assert!(matches!(opened, Err(StoreError::Newer { version: 4, .. })));
    assert_eq!(world.bytes(), file.as_bytes());
}

#[test]
fn an_unreadable_file_is_an_error_and_no_absence() {
    let world = World::new();
    fs::create_dir_all(world.file("")).expect("makes");
    assert!(matches!(Store::open(&world.pair(Access::ReadWrite), b"/m"), Err(StoreError::Io(_))));
}

#[test]
fn a_lost_base_is_put_aside_when_the_next_one_is_written() {
    let world = World::new();
    world.put(b"no file of ours\n");
    let mut store = world.open();
    assert!(store.lost().is_some() && store.ids() == Ids::default());
    assert!(!world.file(".bad").exists());
    let id = step(&mut store, 1, ": * +a");
    assert_eq!(fs::read(world.file(".bad")).expect("kept"), b"no file of ours\n");
    assert_eq!((world.open().ids().current, world.open().lost()), (Some(id), None));
}

#[test]
fn a_damaged_section_is_empty_and_adopting_until_it_was_started_afresh() {
    let world = World::new();
    let (ids, snapshot) = sample(&world);
    let mut bytes = world.bytes();
    let at = bytes.windows(7).position(|w| w == b"\n[x%20y").expect("a section");
    bytes[at + 12] ^= 4;
    world.put(&bytes);
    let mut store = world.open();
    assert_eq!(store.damaged(), [folder("x y")]);
    assert_eq!(store.ids().current, Some(ids[3]));
    let read = store.snapshot().expect("parses");
    assert_eq!(read.folders[&folder("x y")], Section::new(Vec::new(), true));
    for name in ["", "w", "z"] {
        assert_eq!(read.folders[&folder(name)], snapshot.folders[&folder(name)], "{name}");
    }
    // What the peer, whose section is good, takes the same changes for.
    let mut peer = snapshot.clone();
    peer.apply(&changes("x y: ! * +e"));
    assert_eq!(store.write_next(6, &changes("x y: ! * +e"), &Meta::default()).expect("writes"), peer.id(6));
    let mut again = world.open();
    assert_eq!(again.damaged(), [folder("x y")]);
    again.promote(peer.id(6)).expect("promotes");
    assert!(again.damaged().is_empty());
    assert_eq!(again.snapshot().expect("parses"), &peer);
    let mut reread = world.open();
    assert!(reread.damaged().is_empty());
    assert_eq!(reread.snapshot().expect("parses"), &peer);
    let id = step(&mut reread, 7, ": -a");
    let mut last = world.open();
    assert!(last.committed.is_empty(), "the damage was folded away");
    assert_eq!(last.snapshot().expect("parses").id(7), id);
}

#[test]
fn a_damaged_section_starts_afresh_even_when_nobody_says_so() {
    let world = World::new();
    let mut store = world.open();
    store.fold_due = true;
    step(&mut store, 1, "a: +x|b: +y");
    let mut bytes = world.bytes();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    world.put(&bytes);
    let mut store = world.open();
    assert_eq!(store.damaged(), [folder("b")]);
    let id = step(&mut store, 2, "a: +z");
    let mut again = world.open();
    assert_eq!((again.ids().current, again.damaged()), (Some(id), &[][..]));
    assert_eq!(again.snapshot().expect("parses").folders[&folder("b")], Section::new(Vec::new(), true));
}

#[test]
fn a_crash_while_appending_leaves_an_agreed_base_and_the_next_write_cuts_it() {
    let world = World::new();
    let (ids, _) = sample(&world);
    let bytes = world.bytes();
    let OnDisk::Good { base, .. } = world.open().on_disk else { panic!("not good") };
    for len in base as usize..bytes.len() {
        for tear in [&b""[..], &[0; 50]] {
            world.put(&[&bytes[..len], tear].concat());
            let mut store = world.open();
            let current = store.ids().current.expect("a base");
            assert!(ids.contains(&current) && store.lost().is_none() && store.damaged().is_empty());
            assert_eq!(store.snapshot().expect("parses").id(current.counter), current);
            if len % 7 == 0 {
                let id = step(&mut store, 9, ": +new");
                assert_eq!(world.open().snapshot().expect("parses").id(9), id);
            }
        }
    }
}

#[test]
fn a_left_over_new_file_is_in_nobodys_way() {
    let world = World::new();
    sample(&world);
    fs::write(world.file(".new"), "half").expect("writes");
    let mut store = world.open();
    store.fold_due = true;
    let id = step(&mut store, 6, ": -a");
    assert!(!world.file(".new").exists());
    assert_eq!(world.open().ids().current, Some(id));
}

#[test]
fn a_failed_fold_keeps_no_later_batch_from_its_commit() {
    let world = World::new();
    sample(&world);
    fs::create_dir(world.file(".new")).expect("makes");
    let mut store = world.open();
    store.fold_due = true;
    step(&mut store, 6, ": -a");
    let id = step(&mut store, 7, ": +a");
    assert_eq!(world.open().snapshot().expect("parses").id(7), id);
    fs::remove_dir(world.file(".new")).expect("removes");
    let id = step(&mut store, 8, ": -a");
    assert!(world.open().committed.is_empty() && store.ids() == world.open().ids() && store.ids().current == Some(id));
}

#[test]
fn after_a_failed_write_nothing_more_is_written() {
    let world = World::new();
    let (ids, _) = sample(&world);
    let mut store = world.open();
    let away = world.file(".away");
    fs::rename(world.file(""), &away).expect("renames");
    assert!(matches!(store.promote(ids[4]), Err(StoreError::Io(_))));
    fs::rename(&away, world.file("")).expect("renames");
    assert!(matches!(store.promote(ids[4]), Err(StoreError::Failed { .. })));
    assert!(matches!(store.write_next(9, &Delta::default(), &Meta::default()), Err(StoreError::Failed { .. })));
    assert_eq!(store.ids(), world.open().ids());
}

#[test]
fn a_file_that_contradicts_itself_is_put_aside_at_once() {
    let world = World::new();
    let mut store = world.open();
    let id = step(&mut store, 1, ": +a");
    let wrong = BaseId { counter: 2, ..id };
    let mut bytes = world.bytes();
    bytes.extend(tail::next_record(&wrong, b"[.] same -\n"));
    bytes.extend(tail::commit_record(&wrong));
    world.put(&bytes);
    let before = world.bytes();
    assert!(matches!(world.dry().snapshot(), Err(StoreError::Inconsistent { .. })));
    assert_eq!(world.bytes(), before);
    let mut store = world.open();
    assert!(matches!(store.snapshot(), Err(StoreError::Inconsistent { .. })));
    assert_eq!(store.ids(), Ids::default());
    assert!(world.file(".bad").exists() && world.open().ids() == Ids::default());
    step(&mut store, 3, ": +a");
}

/// A generator good enough to choose what to damage (xorshift64).
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn no_damage_panics_or_passes_for_another_base() {
    let world = World::new();
    let (ids, _) = sample(&world);
    let good = world.bytes();
    let mut rng = Rng(0x9E37_79B9_7F4A_7C15);
    for round in 0..1000 {
        let mut bytes = good.clone();
        for _ in 0..=rng.below(3) {
            let at = rng.below(bytes.len());
            match rng.below(6) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = b'\n',
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, rng.below(256) as u8),
                4 => {
                    let end = (at + rng.below(600)).min(bytes.len());
                    bytes.drain(at..end);
                    bytes.push(b'\n');
                }
                _ => bytes[at] ^= 1 << rng.below(8),
            }
        }
        world.put(&bytes);
        let Ok(mut store) = Store::open(&world.pair(Access::ReadOnly), b"/m") else {
            panic!("round {round}: damage was taken for a later version");
        };
        let Some(current) = store.ids().current else {
            assert!(store.lost().is_some(), "round {round}");
            continue;
        };
        assert!(ids[..4].contains(&current), "round {round}: {current}");
        let damaged = store.damaged().to_vec();
        let read = store.snapshot().expect("parses").clone();
        if damaged.is_empty() {
            let fresh = read.folders.iter().map(|(f, s)| (f.clone(), Section::new(s.entries().to_vec(), s.adopting())));
            assert_eq!(Snapshot { folders: fresh.collect() }.id(current.counter), current, "round {round}");
        }
        for folder in damaged {
            assert_eq!(read.folders[&folder], Section::new(Vec::new(), true), "round {round}");
        }
    }
}
