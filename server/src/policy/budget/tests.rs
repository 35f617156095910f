//! What a step costs, and what is left, by tables.

use smd_protocol::step::{Bytes, Source};
use smd_protocol::{Entry, Flags, Folder, Place, Uniq};

use super::*;
use crate::policy::{Authority, Limits, Standing, admit, planned};
use smd_protocol::Rights;

fn name(uniq: &str) -> Name {
    Name::new(&Folder::root(), &Uniq::parse(uniq.as_bytes()).expect("uniq"))
}

fn content(header: &str, body: &str) -> Content {
    Content { header: Digest::of(header.as_bytes()), body: Digest::of(body.as_bytes()) }
}

fn dress(flags: &str) -> Dress {
    Dress { place: Place::Cur, flags: Flags::from_letters(flags) }
}

fn bytes(header: &str, body: &str) -> Bytes {
    Bytes { content: content(header, body), source: Source::Wire, mtime: None }
}

fn put(to: &str, flags: &str, header: &str, body: &str) -> Step {
    Step::Put { to: name(to), dress: dress(flags), bytes: bytes(header, body) }
}

fn replace(at: &str, flags: &str, header: &str, body: &str) -> Step {
    Step::Replace { at: name(at), dress: dress(flags), bytes: bytes(header, body) }
}

fn shift(from: &str, to: &str, flags: &str) -> Step {
    Step::Move { from: name(from), to: name(to), dress: dress(flags) }
}

fn delete(of: &str) -> Step {
    Step::Delete(name(of))
}

/// `a` to `d` with a body each, `t` that is trashed, `e` without a byte, and `h` without a body.
fn known(of: &Name) -> Option<Entry> {
    let (flags, content) = match of.uniq.as_bytes() {
        b"a" | b"b" | b"c" | b"d" => ("S", content("h", &of.uniq.to_string())),
        b"t" => ("ST", content("h", "t")),
        b"e" => ("S", content("", "")),
        b"h" => ("S", content("h", "")),
        _ => return None,
    };
    Some(Entry { uniq: of.uniq.clone(), place: Place::Cur, flags: Flags::from_letters(flags), content })
}

fn of(steps: &[Step]) -> Vec<Cost> {
    costs(&planned(steps, &known))
}

const DELETED: Cost = Cost::Message(How::Deleted);
const REPLACED: Cost = Cost::Message(How::Replaced);
const TRASHED: Cost = Cost::Message(How::Trashed);

#[test]
fn a_message_costs_when_its_body_goes_or_it_is_marked_as_trashed() {
    for (step, cost) in [
        (delete("a"), DELETED),
        (delete("t"), DELETED),
        (delete("h"), DELETED),
        (delete("nobody"), Cost::Nothing),
        (replace("a", "S", "h", "other"), REPLACED),
        (replace("a", "S", "other", "a"), Cost::Kept(How::Replaced)),
        (replace("a", "ST", "other", "a"), REPLACED),
        (replace("h", "S", "other", ""), REPLACED),
        (replace("e", "S", "h", "some"), Cost::Kept(How::Replaced)),
        (shift("a", "a", "FS"), Cost::Nothing),
        (shift("a", "x", "S"), Cost::Nothing),
        (shift("a", "a", "ST"), TRASHED),
        (shift("a", "x", "ST"), TRASHED),
        (shift("t", "x", "ST"), Cost::Nothing),
        (put("x", "ST", "h", "new"), Cost::Nothing),
        (Step::RemoveFolder(Folder::root()), Cost::Nothing),
    ] {
        assert_eq!(of(std::slice::from_ref(&step)), [cost], "{step:?}");
    }
}

#[test]
fn a_delete_beside_which_its_body_comes_under_a_free_name_waits_for_that_and_is_free() {
    let after = |copy| Cost::After(How::Deleted, copy);
    assert_eq!(of(&[put("x", "S", "other", "a"), delete("a")]), [Cost::Nothing, after(0)]);
    // It comes before it.
    assert_eq!(of(&[delete("a"), put("x", "S", "other", "a")]), [DELETED, Cost::Nothing]);
    // A name that has bytes already, that is used again, or that is marked as trashed, proves nothing; nor does no body.
    assert_eq!(of(&[put("b", "S", "other", "a"), delete("a")])[1], DELETED);
    assert_eq!(of(&[put("x", "S", "g", "a"), delete("a"), delete("x")])[1], DELETED);
    assert_eq!(of(&[put("x", "S", "g", "a"), delete("a"), shift("x", "x", "ST")])[1], DELETED);
    assert_eq!(of(&[put("x", "ST", "g", "a"), delete("a")])[1], DELETED);
    assert_eq!(of(&[put("x", "ST", "g", "t"), delete("t")])[1], after(0));
    assert_eq!(of(&[put("x", "S", "g", ""), delete("h")])[1], DELETED);
}

#[test]
fn what_the_batch_touched_before_counts_in_any_case() {
    for (steps, cost) in [
        (vec![shift("a", "x", "S"), delete("x")], Cost::Touched(How::Deleted)),
        (vec![put("x", "S", "h", "new"), delete("x")], Cost::Touched(How::Deleted)),
        (vec![shift("a", "x", "S"), replace("x", "S", "other", "a")], Cost::Touched(How::Replaced)),
        (vec![shift("t", "x", "ST"), shift("x", "y", "ST")], Cost::Touched(How::Trashed)),
        (vec![delete("a"), delete("a")], Cost::Nothing),
    ] {
        assert_eq!(of(&steps)[1], cost, "{steps:?}");
    }
}

fn authority(max_remove: MaxRemove) -> Authority {
    let key = Some(Label::derive(b"laptop"));
    Authority { key, rights: Rights::OWNER, limits: Limits { max_remove, ..Limits::none() }, ..Authority::owner() }
}

fn purse(left: Option<u64>, allowed: u64) -> Removals {
    let left = left.map(|left| Left { left, lift: "smd-allow laptop 1000 --for 1h".to_owned(), frees_at: Some(7) });
    Removals { left, allowed, counted: HashSet::new(), room: 1 << 20 }
}

/// Which steps are refused, and what is paid for the others.
fn decided(steps: &[Step], removals: Removals) -> (Vec<(usize, Refusal)>, Vec<Paid>) {
    let planned = planned(steps, &known);
    let standing = Standing { removals: Some(removals.clone()) };
    let refused = admit(&authority(MaxRemove::Default), &standing, &planned);
    let (deeds, _) = written(removals, &planned, &refused);
    let paid = |what: &What| if let What::Removed { paid, .. } = what { Some(*paid) } else { None };
    let paid = deeds.iter().filter_map(paid).collect();
    (refused, paid)
}

#[test]
fn what_is_allowed_goes_first_then_the_budget_and_the_rest_is_refused_with_the_way_out() {
    let all = [delete("a"), shift("b", "x", "S"), delete("c"), replace("d", "S", "h", "z"), delete("t")];
    let (refused, paid) = decided(&all, purse(Some(1), 1));
    assert_eq!(paid, [Paid::Allowance, Paid::Budget]);
    let refusal = Refusal::Budget { lift: "smd-allow laptop 1000 --for 1h".to_owned(), frees_at: Some(7) };
    assert_eq!(refused, [(3, refusal.clone()), (4, refusal)]);
    // Without an end all is taken, and counted for whoever wants to know.
    let (refused, paid) = decided(&all, purse(None, 0));
    assert_eq!((refused.len(), paid), (0, vec![Paid::Budget; 4]));
    // What was counted today counts once.
    let mut again = purse(Some(0), 0);
    again.counted.insert((name("a"), content("h", "a")));
    let (refused, paid) = decided(&all[..1], again);
    assert_eq!((refused.len(), paid), (0, vec![Paid::Free]));
    // A message that moves under another header is none that goes.
    let (refused, paid) = decided(&[put("x", "S", "g", "a"), delete("a")], purse(Some(0), 0));
    assert_eq!((refused.len(), paid), (0, vec![Paid::Free]));
}

#[test]
fn nothing_is_done_of_which_nothing_could_be_written_down() {
    let (refused, _) =
        decided(&[shift("a", "x", "S"), put("y", "S", "h", "new")], Removals { room: 100, ..purse(None, 0) });
    assert!(matches!(refused[..], [(0, Refusal::Room(_))]), "{refused:?}");
}

#[test]
fn a_share_is_of_the_smallest_that_the_root_was_and_never_less_than_twenty() {
    for (max, least, most) in [
        (MaxRemove::Any, 1_000, None),
        (MaxRemove::Default, 0, Some(20)),
        (MaxRemove::Default, 209, Some(20)),
        (MaxRemove::Default, 4_000, Some(400)),
        (MaxRemove::Messages(0), 4_000, Some(0)),
        (MaxRemove::Messages(7), 4_000, Some(7)),
    ] {
        assert_eq!(limit(max, least), most, "{max:?} {least}");
    }
}
