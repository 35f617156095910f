//! 5,000 messages in 30 folders, all kinds of changes on both sides, over a real `sshd`.

use std::path::Path;

use smd_tests::mail;
use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::stamps::{Stamps, bases};
use smd_tests::tree::{Found, Place, Tree};
use smd_tests::user::User;
use smd_tests::world::{Link, World};

const SPEC: Spec = Spec { messages: 5_000, folders: 30, big: 40 << 20, odd: true };

/// Takes `count` different ordinary messages out of a list, spread over all folders.
struct Deck(Vec<Found>);

impl Deck {
    fn of(user: &User, rng: &mut Rng) -> Self {
        let mut all: Vec<Found> = user.list();
        all.retain(|found| mail::id(&user.bytes(found)).is_some());
        for index in (1..all.len()).rev() {
            all.swap(index, rng.index(index + 1));
        }
        Self(all)
    }

    fn take(&mut self, count: usize) -> Vec<Found> {
        self.0.split_off(self.0.len() - count)
    }
}

/// Changes of every kind; `deck` holds messages that the other side leaves alone.
fn change_everything(user: &mut User, deck: &mut Deck, label: &str) {
    for folder in ["", ".Archive.2024", "new\nline", "100%"] {
        user.deliver(folder);
    }
    for found in deck.take(40) {
        user.read(&found);
    }
    for found in deck.take(40) {
        user.set_flags(&found, "FR");
    }
    for (number, found) in deck.take(60).iter().enumerate() {
        user.move_to(found, ["Work", ".Bits & pieces", "%20", "-n"][number % 4], number % 2 == 0);
    }
    for found in deck.take(20) {
        user.copy_to(&found, ".folder-12");
    }
    for found in deck.take(30) {
        user.delete(&found);
    }
    for found in deck.take(20) {
        user.edit_header(&found);
    }
    for pair in deck.take(20).chunks(2) {
        user.swap(&pair[0], &pair[1]);
    }
    user.make_folder(format!("Empty folder of {label}"));
    for kind in 0..mail::ODD_KINDS {
        let bytes = mail::odd(kind, &format!("{label}.odd{kind}"), &mut Rng::from_env_or(kind as u64));
        user.deliver_bytes("Work/Projects/Two words", &bytes);
    }
}

#[track_caller]
fn assert_second_run_rests(world: &World) {
    let roots = [world.client().maildir(), world.server().maildir()];
    let homes = [world.client().smd_home(), world.server().smd_home()];
    let stamps = roots.each_ref().map(|root| Stamps::below(root));
    let state = homes.each_ref().map(|home| bases(home));
    // A pair of directories of one host has both bases in one home.
    let count: usize = state.iter().map(|files| files.len()).sum();
    assert_eq!(count, 2, "one base for each end");
    let again = world.sync(&["--json"]).ok();
    assert_eq!(again.steps(), 0, "{again}");
    assert_eq!(again.round_trips(), 1, "{again}");
    assert!(again.bytes() < 4096, "a run with nothing to do moves O(1) bytes\n{again}");
    for (stamps, root) in stamps.iter().zip(&roots) {
        stamps.assert_unchanged(root);
    }
    assert_eq!(homes.each_ref().map(|home| bases(home)), state);
}

fn exercise(link: Link) {
    let world = World::new(link);
    let rng = Rng::from_env_or(2024);
    let (here, there) = (world.client().maildir(), world.server().maildir());
    populate::populate(&there, "first", SPEC, &mut rng.fork(1));

    // A first pull brings all of it.
    let original = Tree::read(&there);
    assert_eq!(original.len(), SPEC.messages);
    let first = world.pull(&["--json"]).ok();
    // Of messages with equal bytes (those of 0 bytes, say) only the first comes over the wire.
    assert_eq!(first.number("/pulled/new") + first.number("/pulled/copied"), SPEC.messages as u64, "{first}");
    world.assert_equal();
    assert!(original.differences(&Tree::read(&there)).is_empty(), "a pull changes nothing at the server");
    assert_second_run_rests(&world);

    // Both sides change other messages; the same ones get flags from both.
    let (mut us, mut them) = (User::new(&here, "us", rng.fork(2)), User::new(&there, "them", rng.fork(3)));
    let mut deck = Deck::of(&us, &mut rng.fork(4));
    let both = deck.take(20);
    let flags_before: Vec<Vec<u8>> = both
        .iter()
        .map(|found| Tree::read(&here.join(&found.folder)).message("", found.uniq()).flags.clone())
        .collect();
    change_everything(&mut us, &mut deck, "us");
    change_everything(&mut them, &mut deck, "them");
    for found in &both {
        us.set_flags(found, "F");
        them.set_flags(found, "RS");
    }
    let synced = world.sync(&["--json"]).ok();
    world.assert_equal();
    for (found, was) in both.iter().zip(&flags_before) {
        let tree = Tree::read(&here.join(&found.folder));
        let message = tree.message("", found.uniq());
        // "F" here and "RS" there: a letter that was there before and that either side lacks is gone.
        let merged: Vec<u8> = b"FRS".iter().copied().filter(|letter| !was.contains(letter)).collect();
        assert_eq!((message.place, &message.flags), (Place::Cur, &merged), "from {was:?}");
    }
    assert!(synced.bytes() < 2 << 20, "only what is new crosses the wire\n{synced}");
    assert_second_run_rests(&world);

    // An edit in place is found by a stat scan, in both directions.
    let edits = deck.take(2);
    us.edit_in_place(&edits[0]);
    them.edit_in_place(&edits[1]);
    let edited = world.sync(&["--json", "--scan", "stat"]).ok();
    assert_eq!(edited.number("/pulled/replaced") + edited.number("/pushed/replaced"), 2, "{edited}");
    world.assert_equal();

    // One direction at a time.
    change_everything(&mut us, &mut deck, "us again");
    world.push(&[]).ok();
    world.assert_equal();
    change_everything(&mut them, &mut deck, "them again");
    world.pull(&[]).ok();
    world.assert_equal();
    assert_second_run_rests(&world);
    assert!(here.join("Empty folder of us/cur").is_dir() && there.join(Path::new("Empty folder of us")).is_dir());
}

#[test]
fn everything_that_users_do_to_5000_messages_arrives_over_a_real_sshd() {
    exercise(Link::Ssh);
}

#[test]
fn everything_that_users_do_to_5000_messages_arrives_between_two_directories() {
    exercise(Link::Local);
}
