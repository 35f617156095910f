//! Large roots: with a quadratic room in the planner these would take minutes.

use super::text::Scene;
use super::world::{Tree, plan, run_well};
use crate::digest::{Content, Digest};
use crate::flags::Flags;
use crate::names::{Folder, Name, Uniq};
use crate::reconcile::{Direction, Input, Policy};
use crate::snapshot::{Entry, Place, Snapshot};

const MANY: u32 = if cfg!(debug_assertions) { 20_000 } else { 50_000 };

/// Messages in a few folders, named by `uniq`.
fn tree(uniq: impl Fn(u32) -> u32) -> Tree {
    let folders: Vec<Folder> = (0..20).map(|i| Folder::parse(format!("f{i}").as_bytes()).expect("good")).collect();
    let mut tree = Tree::default();
    for i in 0..MANY {
        let uniq = Uniq::parse(format!("u{}", uniq(i)).as_bytes()).expect("good");
        let digest = Digest::of(&i.to_le_bytes());
        let content = Content { header: digest, body: digest };
        let name = Name::new(&folders[i as usize % 20], &uniq);
        tree.add(name, Entry { uniq, place: Place::Cur, flags: Flags::default(), content });
    }
    tree
}

fn planned(base: Option<&Snapshot>, ours: &Tree, theirs: &Tree, expect: usize) {
    let empty = Snapshot::default();
    let common = base.unwrap_or(&empty);
    let views = [ours.view(common), theirs.view(common)];
    let input = Input {
        base: common,
        adopt: base.is_none(),
        ours: &views[0],
        theirs: &views[1],
        begun: &crate::reconcile::Begun::default(),
    };
    let policy = Policy { allow_bulk_delete: true, ..Policy::plain(Direction::Sync) };
    let plan = plan(&input, &policy);
    let steps: usize = plan.components.iter().map(|c| c.ours.steps.len() + c.theirs.steps.len()).sum();
    assert_eq!(steps, expect);
}

#[test]
fn a_first_pull_and_an_adopt_of_equal_trees_are_planned_in_no_time() {
    let full = tree(|i| i);
    planned(None, &Tree::default(), &full, MANY as usize + 20);
    planned(None, &full, &full, 0);
}

#[test]
fn every_message_moved_is_planned_in_no_time() {
    let full = tree(|i| i);
    planned(Some(&full.snapshot(&[].into())), &full, &tree(|i| i + 1_000_000), MANY as usize);
}

#[test]
fn one_chain_of_all_names_is_planned_in_no_time() {
    // In an adopt each message wants the name that the next one has: a component of thousands per folder.
    planned(None, &tree(|i| i), &tree(|i| i + 20), MANY as usize);
    planned(None, &tree(|i| i), &tree(|i| (i + 20) % MANY), MANY as usize + 20);
}

#[test]
fn many_equal_messages_are_planned_in_no_time() {
    let text: String = (0..3000).map(|i| format!("bo x{i} cur S h b\n t y{i} cur S h b\n")).collect();
    let mut scene = Scene::parse(&("! allow-bulk-delete\n".to_owned() + &text));
    let policy = scene.policy.clone();
    let [ours, theirs] = &mut scene.trees;
    run_well(&mut scene.base, ours, theirs, &policy);
    assert_eq!(ours, theirs);
}
