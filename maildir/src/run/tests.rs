//! Runs of one root at one host, as a session drives them.

use smd_protocol::reconcile::Begun;

use super::*;
use crate::fs::Disk;
use crate::home::Access;

struct World {
    temp: tempfile::TempDir,
    home: Home<Disk>,
}

impl World {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("temp");
        std::fs::create_dir_all(temp.path().join("mail/cur")).expect("makes");
        std::fs::write(temp.path().join("mail/cur/a:2,"), "a").expect("writes");
        let home = Home::open(Arc::new(Disk), &temp.path().join(".smd"), Access::ReadWrite).expect("opens");
        Self { temp, home }
    }

    /// A run that has looked and is about to prepare what it found.
    fn run(&self) -> (RootRun<Disk>, Delta) {
        self.run_with("peer")
    }

    fn run_with(&self, peer: &str) -> (RootRun<Disk>, Delta) {
        self.run_by("mail", peer)
    }

    /// By another way to the root.
    fn run_by(&self, way: &str, peer: &str) -> (RootRun<Disk>, Delta) {
        self.run_that(true, &self.home, way, peer)
    }

    fn run_that(&self, changes: bool, home: &Home<Disk>, way: &str, peer: &str) -> (RootRun<Disk>, Delta) {
        let path = self.temp.path().join(way);
        let settings = Settings {
            path: &path,
            key: b"mail",
            endpoint: None,
            excludes: Excludes::default(),
            naming: None,
            local_excludes: Excludes::default(),
            changes,
            grave_days: 7,
            owner: "me",
            lock_wait_ms: 0,
        };
        let mut run =
            RootRun::open(home, Side::Client, &Label::derive(peer.as_bytes()), settings, &|| false).expect("opens");
        run.agree(run.ids().current, &[]).expect("agrees");
        run.look(Depth::Quick, &|_| true).expect("looks");
        let delta = (**run.delta()).clone();
        (run, delta)
    }

    /// A first run to its end: what it found is the base.
    fn agree(&self) -> BaseId {
        let (mut run, delta) = self.run();
        let id = run.prepare(1, &delta).expect("prepares");
        run.commit(id).expect("commits");
        run.finish(Depth::Quick);
        id
    }
}

#[test]
fn hosts_that_differ_read_everything_and_if_that_does_not_help_adopt() {
    let world = World::new();
    let id = world.agree();
    let differ = || {
        let (mut run, delta) = world.run();
        let was_empty = run.cache.is_empty();
        run.prepare(2, &delta).expect("prepares");
        run.abort().expect("aborts");
        run.finish(Depth::Quick);
        was_empty
    };
    assert!(!differ());
    assert_eq!(world.run().0.ids(), Ids { current: Some(id), next: None });
    assert!(differ(), "everything was read");
    assert!(world.run().0.adopts());
}

#[test]
fn one_run_at_a_time_changes_a_root() {
    let world = World::new();
    let [(mut first, _), (mut second, _)] = ["one", "another"].map(|peer| world.run_with(peer));
    let make = |name: &str| vec![Step::MakeFolder(Folder::parse(name.as_bytes()).expect("a folder"))];
    let held = || {
        let root = Root::open(Arc::new(Disk), &world.temp.path().join("mail")).expect("it is there");
        lock::root_lock(&root, &world.home, &Wait { ms: 0, stop: &|| false })
    };
    let is_held = |refused: Result<(), RunError>| matches!(refused, Err(RunError::Lock(LockError::Held { .. })));
    let other = held().expect("free");
    assert!(is_held(first.begin(make("a"), &|| false).map(drop)) && is_held(first.forget_removals(&|| false)));
    drop(other);
    first.begin(make("a"), &|| false).expect("free again");
    // It waits for contents now, and keeps nobody from the root meanwhile.
    second.begin(make("b"), &|| false).expect("free");
    assert_eq!(second.install(&|| false).expect("free"), [Outcome::Done]);
    let other = held().expect("free");
    assert!(is_held(first.install(&|| false).map(drop)));
    drop(other);
    assert_eq!(first.install(&|| false).expect("free again"), [Outcome::Done]);
    first.forget_removals(&|| false).expect("free");
    held().map(drop).expect("and free");
}

#[test]
fn a_run_without_steps_writes_nothing_below_the_root() {
    let world = World::new();
    let (mut run, _) = world.run();
    let held = Root::open(Arc::new(Disk), &world.temp.path().join("mail")).expect("it is there");
    let held = lock::root_lock(&held, &world.home, &Wait { ms: 0, stop: &|| false }).expect("free");
    assert!(run.begin(Vec::new(), &|| false).expect("it needs no lock").is_empty());
    assert!(run.install(&|| false).expect("nor does this").is_empty());
    drop(held);
}

#[test]
fn what_a_crash_left_in_the_grave_is_settled_when_removals_are_counted_before_the_first_step() {
    fn files(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            found.push(path.clone());
            files(&path, found);
        }
    }
    let world = World::new();
    std::fs::write(world.temp.path().join("mail/cur/b:2,"), "b").expect("writes");
    world.agree();
    let name = |uniq: &[u8]| Name::new(&Folder::root(), &smd_protocol::Uniq::parse(uniq).expect("a uniq"));
    let buried = |ending: &str| {
        let mut found = Vec::new();
        files(&world.temp.path().join(".smd/grave"), &mut found);
        found.retain(|path| path.to_string_lossy().ends_with(ending));
        found
    };
    let delete = |run: &mut RootRun<Disk>, uniq: &[u8]| {
        run.begin(vec![Step::Delete(name(uniq))], &|| false).expect("free");
        assert_eq!(run.install(&|| false).expect("free"), [Outcome::Done]);
    };
    delete(&mut world.run().0, b"a");
    // As if it had died before it looked at what it took.
    let [kept] = &buried(".k")[..] else { panic!("one message is buried") };
    std::fs::rename(kept, kept.with_extension("t")).expect("renames");
    let (mut run, _) = world.run();
    let body = smd_protocol::Content::of(b"b").body;
    let removal = smd_protocol::reconcile::Removal { name: name(b"b"), body, section: 2, base: 2 };
    run.count_removals(&[removal], &|| false).expect("counts");
    delete(&mut run, b"b");
    assert_eq!((buried(".t").len(), buried(".k").len()), (0, 2));
}

#[test]
fn runs_of_two_peers_leave_each_other_what_they_staged() {
    let world = World::new();
    let [(mut first, _), (mut second, _)] = ["one", "another"].map(|peer| world.run_with(peer));
    let put = |uniq: &str| {
        let name = Name::new(&Folder::root(), &smd_protocol::Uniq::parse(uniq.as_bytes()).expect("a uniq"));
        let bytes = smd_protocol::step::Bytes {
            content: smd_protocol::Content::of(b"b"),
            source: smd_protocol::Source::Wire,
            mtime: None,
        };
        let dress = smd_protocol::step::Dress { place: smd_protocol::Place::Cur, flags: Default::default() };
        vec![Step::Put { to: name, dress, bytes }]
    };
    let bring = |run: &mut RootRun<Disk>| {
        let meta = smd_protocol::delta::Meta { size: 1, mtime: Disk.now() };
        let applier = run.applying().expect("a batch has begun");
        let mut incoming = applier.incoming(0, meta).expect("awaited");
        incoming.write(b"b").expect("not too long");
        incoming.finish(applier);
    };
    first.begin(put("b"), &|| false).expect("free");
    bring(&mut first);
    second.begin(put("c"), &|| false).expect("free");
    bring(&mut second);
    for run in [&mut first, &mut second] {
        assert_eq!(run.install(&|| false).expect("free"), [Outcome::Done]);
    }
}

#[test]
fn steps_for_a_host_that_the_run_may_not_change_are_refused() {
    let world = World::new();
    let dry = Home::open(Arc::new(Disk), &world.temp.path().join(".smd"), Access::ReadOnly).expect("opens");
    let steps = || vec![Step::Delete(Name::new(&Folder::root(), &smd_protocol::Uniq::parse(b"a").expect("a uniq")))];
    for (changes, home) in [(false, &world.home), (true, &dry)] {
        let (mut run, _) = world.run_that(changes, home, "mail", "peer");
        let refused = run.begin(steps(), &|| false);
        assert!(matches!(refused, Err(RunError::Forbidden(_))), "{refused:?}");
        assert!(world.temp.path().join("mail/cur/a:2,").exists());
    }
    // Nor is a root made.
    let (mut run, _) = world.run_that(false, &world.home, "missing", "another");
    let refused = run.begin(Vec::new(), &|| false);
    assert!(matches!(refused, Err(RunError::Forbidden(_))), "{refused:?}");
    assert!(!world.temp.path().join("missing").exists());
    let (mut run, _) = world.run_that(true, &world.home, "mail", "peer");
    run.begin(steps(), &|| false).expect("it may");
    assert_eq!(run.install(&|| false).expect("free"), [Outcome::Done]);
}

#[test]
fn the_note_of_a_batch_that_was_cut_outlives_the_commit_of_an_earlier_one() {
    let world = World::new();
    let (mut run, delta) = world.run();
    let id = run.prepare(1, &delta).expect("prepares");
    run.commit(id).expect("commits");
    let folders = delta.folders.iter();
    let entries = folders.flat_map(|(folder, change)| change.set.iter().map(move |seen| (folder, &seen.entry)));
    let merged = entries.map(|(folder, entry)| (Name::new(folder, &entry.uniq), entry.clone())).collect();
    let noted = Begun { merged, ..Begun::default() };
    assert!(!noted.is_empty());
    run.note_begun(&noted).expect("notes");
    run.finish(Depth::Quick);
    drop(run);

    let (mut run, _) = world.run();
    let begun = run.begun().expect("reads");
    assert_eq!(begun, noted);
    let there = || {
        let mut left = std::fs::read_dir(world.temp.path().join(".smd/state/peer")).expect("lists").flatten();
        left.any(|entry| entry.file_name().to_string_lossy().ends_with(".begun"))
    };
    // Nor does it go with its own batch when the link broke before what is in no base yet was noted anew, be an earlier one over.
    let nothing = Begun::default();
    run.note_begun(&noted).expect("notes");
    run.note_begun(&nothing).expect("is over");
    run.note_begun(&noted).expect("notes");
    let id = run.prepare(2, &Delta::default()).expect("prepares");
    run.commit(id).expect("commits");
    run.finish(Depth::Quick);
    drop(run);
    assert!(there());
    let (mut run, _) = world.run();
    run.note_begun(&noted).expect("notes");
    let id = run.prepare(3, &Delta::default()).expect("prepares");
    run.commit(id).expect("commits");
    run.note_begun(&nothing).expect("is over");
    run.finish(Depth::Quick);
    drop(run);
    assert!(!there());
    // Where nothing is left to say, it goes without a commit, be it that of an earlier run.
    for all in [true, false, true] {
        let (mut run, _) = world.run();
        if !all {
            run.note_begun(&noted).expect("notes");
        }
        run.begun().expect("reads");
        assert_eq!(run.is_begun(), there());
        if all {
            run.note_begun(&nothing).expect("is over");
        }
        run.finish(Depth::Quick);
        assert_eq!(there(), !all);
    }
}

#[test]
fn a_folder_put_back_is_noted_as_soon_as_it_is_seen() {
    let world = World::new();
    world.agree();
    let cur = world.temp.path().join("mail/cur");
    std::fs::remove_file(cur.join("a:2,")).expect("removes");
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    std::fs::File::open(&cur).expect("opens").set_modified(old).expect("is stamped");
    drop(world.run());
    // As a crash leaves it: neither cache nor a step.
    let (mut run, _) = world.run();
    run.cache.clear().expect("clears");
    drop(run);
    let (run, _) = world.run();
    assert_eq!(run.look.expect("looked").put_back, [Folder::root()]);
}

#[test]
fn a_folder_that_another_peer_noted_since_the_look_is_put_back_for_the_next() {
    let world = World::new();
    let (mut run, delta) = world.run();
    let mail = world.temp.path().join("mail");
    let stem = "mail";
    restored::add(&world.home, stem, &[Folder::root()]).expect("notes");
    run.begin(Vec::new(), &|| false).expect("begins");
    let id = run.prepare(1, &delta).expect("prepares");
    run.commit(id).expect("commits");
    run.finish(Depth::Quick);
    drop(run);
    std::fs::remove_file(mail.join("cur/a:2,")).expect("removes");
    assert_eq!(world.run().0.look.expect("looked").put_back, [Folder::root()]);
}

#[test]
fn a_folder_put_back_is_dealt_with_once_whatever_becomes_of_the_cache() {
    let world = World::new();
    let mail = world.temp.path().join("mail");
    let stem = "mail";
    let commit = |counter| {
        let (mut run, delta) = world.run();
        let id = run.prepare(counter, &delta).expect("prepares");
        run.commit(id).expect("commits");
        let put_back = run.look.as_ref().expect("looked").put_back.len();
        run.finish(Depth::Quick);
        put_back
    };
    assert_eq!(commit(1), 0);
    restored::add(&world.home, stem, &[Folder::root()]).expect("notes");
    std::fs::write(mail.join("cur/b:2,"), "b").expect("writes");
    std::fs::remove_file(mail.join("cur/a:2,")).expect("removes");
    assert_eq!(commit(2), 1);
    let (mut run, _) = world.run();
    run.cache.clear().expect("clears");
    drop(run);
    // What a user deletes now is deleted.
    std::fs::remove_file(mail.join("cur/b:2,")).expect("removes");
    assert_eq!(commit(3), 0);
    // Nor is a number that is none, or is too long for one, in the way of a run.
    let dealt = world.temp.path().join(".smd/state/peer/mail.db.txt.put-back");
    for text in [&b"\xff"[..], &[b'7'; 100]] {
        assert!(dealt.exists());
        std::fs::write(&dealt, text).expect("writes");
        assert!(world.run().0.look.expect("looked").put_back.is_empty());
    }
    // The notes may be removed, and are counted anew then.
    let notes = world.temp.path().join(format!(".smd/restored.{stem}"));
    std::fs::write(&notes, "").expect("writes");
    std::fs::write(mail.join("cur/b:2,"), "b").expect("writes");
    assert_eq!(commit(4), 0);
    restored::add(&world.home, stem, &[Folder::root()]).expect("notes");
    std::fs::remove_file(mail.join("cur/b:2,")).expect("removes");
    assert_eq!(commit(5), 1);
}

#[test]
fn a_root_has_its_notes_by_whatever_way_it_is_reached() {
    let world = World::new();
    world.agree();
    let mail = world.temp.path().join("mail");
    std::os::unix::fs::symlink(&mail, world.temp.path().join("link")).expect("links");
    restored::add(&world.home, "mail", &[Folder::root()]).expect("notes");
    let commit = |way, counter| {
        std::fs::write(mail.join(format!("cur/{counter}:2,")), "x").expect("writes");
        let (mut run, delta) = world.run_by(way, "peer");
        let id = run.prepare(counter, &delta).expect("prepares");
        run.commit(id).expect("commits");
        let put_back = run.look.as_ref().expect("looked").put_back.len();
        run.finish(Depth::Quick);
        put_back
    };
    assert_eq!([commit("mail", 2), commit("link", 3), commit("mail", 4)], [1, 0, 0]);
}

#[test]
fn a_base_that_a_person_gave_up_is_there_for_no_later_run() {
    let world = World::new();
    world.agree();
    let (mut run, _) = world.run();
    run.agree(None, &[]).expect("gives up");
    run.put_base_aside().expect("puts aside");
    // As a kill leaves it.
    drop(run);
    let (mut run, delta) = world.run();
    assert!(run.adopts());
    let id = run.prepare(2, &delta).expect("prepares");
    run.commit(id).expect("commits");
    drop(run);
    assert!(!world.run().0.adopts());
}

#[test]
fn a_base_that_cannot_be_put_aside_stays_and_ends_the_run() {
    let world = World::new();
    world.agree();
    std::fs::create_dir(world.temp.path().join(".smd/state/peer/mail.db.txt.bad")).expect("makes");
    let (mut run, _) = world.run();
    run.agree(None, &[]).expect("gives up");
    assert!(run.put_base_aside().is_err());
    drop(run);
    assert!(!world.run().0.adopts());
}

#[test]
fn a_section_that_the_peer_lost_adopts_here_too() {
    let world = World::new();
    let id = world.agree();
    let (mut run, _) = world.run();
    assert_eq!((run.base().expect("base").messages(), run.has_adopting().expect("read")), (1, false));
    run.agree(Some(id), &[Folder::root()]).expect("agrees");
    assert_eq!((run.base().expect("base").messages(), run.has_adopting().expect("read")), (0, true));
}
