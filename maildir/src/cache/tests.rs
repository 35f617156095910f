use super::*;
use crate::fs::Disk;
use std::path::Path;

fn folder(name: &str) -> Folder {
    Folder::parse(name.as_bytes()).expect("folder")
}

fn record(uniq: &str) -> Record {
    Record {
        uniq: Uniq::parse(uniq.as_bytes()).expect("uniq"),
        place: Place::Cur,
        flags: Flags::from_letters("S"),
        ino: 7,
        size: 8,
        mtime: Mtime { sec: -1, nsec: 5 },
        ctime: Mtime { sec: 10, nsec: 6 },
        btime: None,
        content: Content::of(uniq.as_bytes()),
        racy: false,
    }
}

fn listed(uniqs: impl IntoIterator<Item = String>) -> DirState {
    let mut files: Vec<_> = uniqs.into_iter().map(|u| record(&u)).collect();
    files.sort_by(|a, b| a.uniq.cmp(&b.uniq));
    DirState { files: Some(files), ..DirState::default() }
}

fn open(at: &Path) -> Cache<Disk> {
    Cache::open(Arc::new(Disk), &Disk.open_root(at).expect("opens"), b"r.stat").expect("opens")
}

fn names(at: &Path) -> Vec<String> {
    let list = std::fs::read_dir(at.join("r.stat")).expect("lists");
    let mut names: Vec<_> = list.map(|e| e.expect("entry").file_name().into_string().expect("ascii")).collect();
    names.sort();
    names
}

#[test]
fn what_is_kept_comes_back() {
    let temp = tempfile::tempdir().expect("temp");
    let mut cache = open(temp.path());
    let whole = Whole { complete: true, excludes: b"x".to_vec(), ..Whole::default() };
    let dirs = BTreeMap::from([
        (folder(""), listed(["a".into()])),
        (folder("b"), listed(["c".into(), "d".into()])),
        (folder("e"), DirState::default()),
    ]);
    cache.save(&whole, &dirs).expect("saves");
    let cache = open(temp.path());
    assert_eq!(*cache.whole(), whole);
    assert_eq!(cache.dirs().len(), 3);
    let records = cache.records([&folder("b"), &folder("e")]);
    assert_eq!(records.len(), 1);
    assert_eq!(Some(&records[&folder("b")]), dirs[&folder("b")].files.as_ref());
}

#[test]
fn the_same_state_is_not_written_again() {
    let temp = tempfile::tempdir().expect("temp");
    let mut cache = open(temp.path());
    let dirs = BTreeMap::from([(folder(""), listed(["a".into()]))]);
    cache.save(&Whole::default(), &dirs).expect("saves");
    std::fs::remove_file(temp.path().join("r.stat/index")).expect("removes");
    cache.save(&Whole::default(), &dirs).expect("saves");
    assert_eq!(names(temp.path()), ["pack.0"]);
}

#[test]
fn any_flaw_is_an_empty_cache() {
    let temp = tempfile::tempdir().expect("temp");
    let mut cache = open(temp.path());
    let dirs = BTreeMap::from([(folder("b"), listed((0..20).map(|n| n.to_string())))]);
    cache.save(&Whole::default(), &dirs).expect("saves");
    for file in ["index", "pack.0"] {
        let path = temp.path().join("r.stat").join(file);
        let good = std::fs::read(&path).expect("reads");
        for at in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            for bytes in [&bad[..], &good[..at]] {
                std::fs::write(&path, bytes).expect("writes");
                assert!(open(temp.path()).records([&folder("b")]).is_empty(), "{file} {at}");
            }
        }
        std::fs::write(&path, good).expect("writes");
    }
    assert_eq!(open(temp.path()).records([&folder("b")]).len(), 1);
}

#[test]
fn a_cache_that_cannot_be_read_is_not_an_empty_one() {
    let temp = tempfile::tempdir().expect("temp");
    let mut cache = open(temp.path());
    cache.save(&Whole::default(), &BTreeMap::from([(folder(""), listed(["a".into()]))])).expect("saves");
    let index = temp.path().join("r.stat/index");
    std::fs::rename(&index, temp.path().join("good")).expect("renames");
    std::os::unix::fs::symlink("index", &index).expect("links");
    let error = Cache::open(Arc::new(Disk), &Disk.open_root(temp.path()).expect("opens"), b"r.stat").err();
    let text = error.expect("an error is no absence").to_string();
    assert!(text.contains("run again"), "{text}");
    std::fs::rename(temp.path().join("good"), &index).expect("renames");
    assert_eq!(open(temp.path()).dirs().len(), 1);
}

#[test]
fn packs_that_are_mostly_dead_are_written_anew() {
    let temp = tempfile::tempdir().expect("temp");
    let mut cache = open(temp.path());
    let many = |tag: &str| listed((0..50).map(|n| format!("{tag}{n}")));
    let mut dirs = BTreeMap::from([(folder("a"), many("a")), (folder("b"), many("b")), (folder("c"), many("c"))]);
    cache.save(&Whole::default(), &dirs).expect("saves");
    dirs.insert(folder("a"), many("x"));
    cache.save(&Whole::default(), &dirs).expect("saves");
    assert_eq!(names(temp.path()), ["index", "pack.0", "pack.1"]);
    dirs.insert(folder("b"), many("y"));
    cache.save(&Whole::default(), &dirs).expect("saves");
    assert!(!names(temp.path()).contains(&"pack.0".to_owned()));
    for state in dirs.values_mut() {
        state.files = None;
    }
    cache.save(&Whole::default(), &dirs).expect("saves");
    let records = open(temp.path()).records(dirs.keys());
    assert_eq!(records.values().map(|r| r[0].uniq.as_bytes()).collect::<Vec<_>>(), [b"x0", b"y0", b"c0"]);
}

#[test]
fn a_killed_save_leaves_nothing_in_the_way() {
    let temp = tempfile::tempdir().expect("temp");
    std::fs::create_dir(temp.path().join("r.stat")).expect("makes");
    for leftover in ["index.new", "pack.0"] {
        std::fs::write(temp.path().join("r.stat").join(leftover), "half").expect("writes");
    }
    let mut cache = open(temp.path());
    cache.save(&Whole::default(), &BTreeMap::from([(folder(""), listed(["a".into()]))])).expect("saves");
    assert_eq!(open(temp.path()).records([&Folder::root()]).len(), 1);
}
