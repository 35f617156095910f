//! Watches on a real directory: every test waits for a ring, or proves silence by a ring that comes later.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::exclude::Excludes;
use crate::fs::Disk;

/// How long a ring may take that must come.
const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    dir: TempDir,
    watch: Watch<Disk>,
    rings: Receiver<()>,
}

impl Place {
    fn new(folders: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("temp");
        let (sender, rings) = mpsc::channel();
        let watch = Watch::start(Arc::new(Disk), move || sender.send(()).unwrap_or_default()).expect("watches");
        let place = Self { dir, watch, rings };
        folders.iter().for_each(|folder| place.make(folder));
        place
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("mail")
    }

    fn make(&self, folder: &str) {
        for below in ["tmp", "cur", "new"] {
            fs::create_dir_all(self.root().join(folder).join(below)).expect("makes");
        }
    }

    fn ground(&self, excludes: Excludes) -> Vec<Ground> {
        vec![Ground { path: self.root(), excludes, skip_dirs: Vec::new() }]
    }

    /// As a run that finds nothing, and the rest after it.
    fn rest(&mut self) {
        self.watch.begin(self.ground(Excludes::default()));
        self.watch.rest();
    }

    fn deliver(&self, folder: &str, name: &str) {
        deliver(&self.root().join(folder), name);
    }

    #[track_caller]
    fn is_rung(&self) {
        self.rings.recv_timeout(PATIENCE).expect("it rings");
        assert!(self.watch.take(), "something is to be told");
        while self.rings.try_recv().is_ok() {}
    }

    /// Fails if anything but what is done now was met.
    #[track_caller]
    fn is_silent(&mut self) {
        // Events come in order: with this one those before it have come.
        let mut state = self.watch.shared.lock();
        self.watch.shared.drain(&mut state);
        assert!(state.settle.wait(Instant::now()).is_none() && !state.settle.is_told(), "something was met");
        drop(state);
        assert!(self.rings.try_recv().is_err(), "it rang");
    }
}

fn deliver(folder: &Path, name: &str) {
    fs::write(folder.join("tmp").join(name), "x").expect("writes");
    fs::rename(folder.join("tmp").join(name), folder.join("new").join(name)).expect("renames");
}

#[test]
fn a_delivery_rings_once_and_the_next_rest_rings_again() {
    let mut place = Place::new(&["", ".Work"]);
    place.rest();
    place.is_silent();
    place.deliver(".Work", "1");
    place.is_rung();
    assert!(!place.watch.take(), "told once");
    place.rest();
    place.is_silent();
    fs::rename(place.root().join(".Work/new/1"), place.root().join(".Work/cur/1:2,S")).expect("renames");
    place.is_rung();
    assert_eq!(place.watch.unwatched(), []);
}

#[test]
fn what_happens_during_a_run_is_told_when_it_rests() {
    let mut place = Place::new(&[""]);
    place.watch.begin(place.ground(Excludes::default()));
    place.deliver("", "1");
    place.watch.rest();
    place.is_rung();
}

#[test]
fn staged_files_indexes_and_the_grave_are_nothing() {
    let mut place = Place::new(&["", "sub"]);
    place.rest();
    fs::write(place.root().join("tmp/1"), "x").expect("writes");
    fs::write(place.root().join("dovecot-uidlist"), "x").expect("writes");
    fs::create_dir_all(place.root().join("..smd-grave/x/new")).expect("makes");
    fs::write(place.root().join("sub/cur/.hidden"), "x").expect("writes");
    place.is_silent();
    place.deliver("sub", "2");
    place.is_rung();
}

#[test]
fn a_new_folder_rings_and_is_watched_from_the_next_run_on() {
    let mut place = Place::new(&[""]);
    place.rest();
    place.make("a/b");
    place.is_rung();
    place.rest();
    place.is_silent();
    place.deliver("a/b", "1");
    place.is_rung();
    fs::rename(place.root().join("a"), place.root().join("c")).expect("renames");
    place.rest();
    place.deliver("c/b", "2");
    place.is_rung();
}

#[test]
fn a_folder_that_was_moved_out_is_watched_no_more() {
    let mut place = Place::new(&["", "a"]);
    place.rest();
    let out = place.dir.path().join("out");
    fs::rename(place.root().join("a"), &out).expect("renames");
    place.is_rung();
    place.rest();
    deliver(&out, "1");
    place.is_silent();
}

#[test]
fn excluded_folders_and_symlinks_are_not_watched() {
    let mut place = Place::new(&["", "a"]);
    let out = place.dir.path().join("out");
    for below in ["tmp", "cur", "new"] {
        fs::create_dir_all(out.join(below)).expect("makes");
    }
    std::os::unix::fs::symlink(&out, place.root().join("link")).expect("links");
    let excludes = Excludes::new(&[(b"mail".to_vec(), vec![b"mail/a".to_vec()])]).expect("compiles");
    place.watch.begin(place.ground(excludes));
    place.watch.rest();
    place.deliver("a", "1");
    deliver(&out, "2");
    place.is_silent();
    assert_eq!(place.watch.unwatched(), []);
}

#[test]
fn more_events_than_the_system_keeps_are_one_change_and_all_is_watched_anew() {
    let mut place = Place::new(&[""]);
    place.rest();
    let kept: u64 = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .expect("Linux tells");
    {
        // Nobody reads meanwhile.
        let state = place.watch.shared.lock();
        fs::write(place.root().join("cur/1"), "x").expect("writes");
        for _ in 0..=kept / 4 {
            for (from, to) in [("1", "2"), ("2", "1")] {
                fs::rename(place.root().join("cur").join(from), place.root().join("cur").join(to)).expect("renames");
            }
        }
        place.make("unseen");
        drop(state);
    }
    place.is_rung();
    place.rest();
    place.deliver("unseen", "1");
    place.is_rung();
}

#[test]
fn a_root_that_is_not_there_is_told_of_and_watched_once_it_is() {
    let mut place = Place::new(&[]);
    place.rest();
    assert_eq!(place.watch.unwatched().len(), 1);
    place.make("");
    place.rest();
    assert_eq!(place.watch.unwatched(), []);
    place.deliver("", "1");
    place.is_rung();
}

#[test]
fn another_directory_in_the_place_of_the_root_is_watched() {
    let mut place = Place::new(&["", "a"]);
    place.rest();
    fs::rename(place.root(), place.dir.path().join("old")).expect("renames");
    place.is_rung();
    place.make("a");
    place.rest();
    place.deliver("a", "1");
    place.is_rung();
}
