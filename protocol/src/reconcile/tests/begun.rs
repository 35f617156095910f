//! How long the note of a run that was cut tells what.

use std::collections::BTreeSet;

use super::text::{Scene, same};
use crate::digest::Content;
use crate::names::{Folder, Name, Uniq};
use crate::reconcile::{Begun, Changed};
use crate::snapshot::Snapshot;

fn name(uniq: &str) -> Name {
    Name::new(&Folder::root(), &Uniq::parse(uniq.as_bytes()).expect("a uniq"))
}

fn content(word: &str) -> Content {
    Content::of(word.as_bytes())
}

/// What messages of the client were to be given: `UNIQ WORD …`, a line for each.
fn given(text: &str) -> Begun {
    let of = |line: &str| {
        let mut words = line.split_whitespace();
        let uniq = words.next().expect("a uniq");
        (name(uniq), words.map(content).collect::<BTreeSet<_>>())
    };
    Begun { changed: [text.lines().map(of).collect(), Changed::new()], ..Begun::default() }
}

fn base(text: &str) -> Snapshot {
    Scene::parse(text).base.expect("a base")
}

#[test]
fn what_messages_were_to_be_given_adds_up_over_runs_and_bases_until_it_is_settled() {
    let first = given("x one\ny two");
    let mut begun = given("x three\nz one");
    begun.still(&first);
    assert_eq!(begun, given("x one three\ny two\nz one"));
    let mut after = Begun::default();
    after.still_after(&begun);
    assert_eq!(after, begun);
    after.settle(&[name("x"), name("nothing")]);
    assert_eq!(after, given("y two\nz one"));
    assert!(!after.is_empty());
    after.settle(&[name("y"), name("z")]);
    assert!(after.is_empty());
}

#[test]
fn what_a_message_was_to_be_given_is_over_when_the_base_has_it_or_lacks_the_message() {
    let base = base("b x cur S h b\nb y cur S h c");
    let old = base.entry(&name("y")).expect("in the base").content;
    let mut begun = given("x one\ny one\ngone one");
    begun.changed[0].entry(name("y")).or_default().insert(old);
    begun.forget(&base);
    assert_eq!(begun, given("x one"));
}

#[test]
fn a_run_notes_the_messages_of_the_base_that_it_gives_other_bytes_by_the_host_that_takes_them() {
    let given = |text: &str| Scene::parse(text).given();
    assert_eq!(given("bo x cur S h b\n t x cur S g c"), "ours x g c");
    assert_eq!(given("bt x cur S h b\n o x cur F g c"), "theirs x g c");
    // Under the name in the base, whoever moved it.
    assert_eq!(given("bot a/\n b x cur S h b\n o x cur S g c\n t a/x cur S h b"), "theirs x g c");
    assert_eq!(given("bot a/\n bo x cur S h b\n t a/x cur S g c\n o y cur S g c"), "");
    assert_eq!(given("bo x cur S h b\n bo y cur S h c\n t x cur S h c\n t y cur S h b"), "ours x h c\nours y h b");
    // Of two versions here one gives way under its old name.
    assert_eq!(given("b x cur S h b\n o x cur S g c\n t x cur S h d"), "ours x h d");
    // Not what is new, under whatever name, nor what this host has not got.
    assert_eq!(given("b x cur S h b\n o x cur S h b\n o y cur S g c\n t y cur S h b"), "");
    assert_eq!(given("b x cur S h b\n t x cur S g c"), "");
}

#[test]
fn what_a_look_shows_not_to_be_so_is_told_of_a_cut_run_no_more() {
    let told = |scene: &str, expect: &str| same(&Scene::parse(scene).told(), expect);
    // A message that has its old bytes was given no others.
    told("bo x cur S h b\n t x cur S g b\n N x cur S g b", "brought x cur S g b");
    told("bot x cur S h b\n G x cur S g b", "");
    // One that has them, or others, or is not there, may have been.
    told("bt x cur S h b\n o x cur S g b\n N x cur S g b", "past ours x cur S g b\n ours x g b");
    told("bo x cur S h b\n t x cur S 0 0\n G x cur S g b", "theirs x g b");
    told("bt x cur S h b\n o y cur S g b\n N x cur S g b", "brought x cur S g b\n ours x g b");
    // Flags and moves that a host has not just so are no past of it; under which name the bytes are, who knows.
    told("bot x cur S h b\n N x cur FS h b", "");
    told("bt x cur S h b\n o x cur FS h b\n N x cur FS h b", "past ours x cur FS h b");
    told("bt x cur S h b\n o z cur S h b\n M y cur S h b", "brought y cur S h b");
    told("n x cur S h b\n o x cur S h b", "brought x cur S h b");
    // A look that did not see all shows nothing.
    told("bot x cur S h b\n N x cur S g b\n ! incomplete ours", "past ours x cur S g b\n ours x g b");
    told("bot x cur S h b\n N x cur S g b\n ! incomplete theirs", "brought x cur S g b");
}
