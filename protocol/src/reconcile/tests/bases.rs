//! The new base, message by message.

use super::text::{Scene, same};
use super::world::{Executor, execute, next_base};
use crate::reconcile::{Input, Side};

/// The base after a run in which the steps with these numbers fail.
#[track_caller]
fn after(text: &str, fail: &[usize], expect: &str) {
    let mut scene = Scene::parse(text);
    let plan = scene.plan();
    let base = scene.base.clone().unwrap_or_default();
    let mut views = Side::BOTH.map(|side| scene.trees[side as usize].view(&base));
    views[0].incomplete = text.contains("! incomplete ours");
    let input = Input {
        base: &base,
        adopt: scene.base.is_none(),
        ours: &views[0],
        theirs: &views[1],
        begun: &crate::reconcile::Begun::default(),
    };
    let mut hosts = scene.trees.clone().map(|tree| Executor::new(tree.clone(), tree));
    let mut step = 0..;
    let (done, _) = execute(&plan, &mut hosts, || fail.contains(&step.next().expect("endless")), |_| {});
    scene.base = Some(next_base(&input, &plan, &done));
    same(&scene.show_base(), expect);
}

const MERGE: &str = "b x cur S h b\n o x cur FS h b\n t x cur RS h b";

#[test]
fn after_a_sync_it_is_the_common_entry() {
    after(MERGE, &[], "x cur FRS h b");
}

#[test]
fn where_only_one_host_took_all_in_it_is_the_others_entry() {
    after(MERGE, &[0], "x cur FS h b");
    after(MERGE, &[1], "x cur RS h b");
    after(&format!("! pull\n {MERGE}"), &[], "x cur RS h b");
    after(&format!("! push\n {MERGE}"), &[], "x cur FS h b");
}

#[test]
fn where_neither_did_it_is_the_old_entry_or_none() {
    after(MERGE, &[0, 1], "x cur S h b");
    after("o x cur FS h b\n t x cur RS h b", &[0, 1], "");
}

#[test]
fn a_failed_delete_is_not_forgotten() {
    after("bo x cur S h b", &[0], "x cur S h b");
    after("! no-delete\n bo x cur S h b", &[], "x cur S h b");
}

#[test]
fn a_failed_put_does_not_become_a_delete() {
    after("o x cur S h b", &[0], "");
}

#[test]
fn a_failed_move_stays_a_move() {
    after("bot a/ \n bt x cur S h b\n o a/x cur FS h b", &[0], "x cur S h b\n a/");
}

#[test]
fn one_failed_step_spoils_all_names_of_its_message_and_no_other() {
    // Of the clash of x their half fails, then ours, at its second step and at its first; y is taken.
    let clash = "o x cur S h b\n t x cur S h c\n t y cur S h d";
    after(clash, &[2], "x cur S h c\n y cur S h d");
    after(clash, &[1], "~h.b cur S h b\n y cur S h d");
    after(clash, &[0], "x cur S h b\n y cur S h d");
    after(clash, &[0, 2], "y cur S h d");
}

#[test]
fn what_cannot_be_seen_is_not_learnt() {
    // x may be in what we could not read; the flags that they set must not look like ours to take away.
    after("! incomplete ours\n b x cur S h b\n t x cur FS h b", &[], "x cur S h b");
}

#[test]
fn bytes_that_were_lost_never_enter_the_base() {
    // Our healing waits; were the empty message the base, their move would be a stranger next time.
    after("! push\n b x cur S h b\n o x cur S 0 0\n t y cur S h b", &[], "x cur S h b");
    after("bt x cur S h b\n o x cur S 0 0", &[0], "x cur S h b");
}

#[test]
fn a_folder_stays_in_the_base_while_an_entry_in_it_is_unsettled() {
    after("! push\n bot b/ \n bo a/x cur S h b\n bo a/y cur S h c", &[], "a/\n a/x cur S h b\n a/y cur S h c\n b/");
    after("bo a/x cur S h b", &[0], "a/\n a/x cur S h b");
    // a/ is gone at theirs and only ours may change: y fails, and must not come back as new.
    after("! pull\n b a/x cur S h b\n o a/x cur S h d\n bo a/y cur S h c", &[0], "a/\n a/y cur S h c");
}

#[test]
fn a_parked_message_is_known_to_the_base() {
    // Ours: park q, then q <- p fails.
    after(
        "! adopt\n o p cur S h b\n o q cur S h c\n t q cur S h b\n t p cur S h c",
        &[1],
        "./ adopting\n p cur S h b\n PARKED cur S h c",
    );
}

#[test]
fn an_adopt_is_marked_until_every_message_is_handled() {
    after("! adopt\n ot x cur S h b\n o a/y cur S h c", &[], "x cur S h b\n a/\n a/y cur S h c");
    after(
        "! adopt\n ot x cur S h b\n o y cur S h c\n ot a/z cur S h d",
        &[0],
        "./ adopting\n x cur S h b\n a/\n a/z cur S h d",
    );
}

#[test]
fn a_folder_of_one_host_is_not_brought_into_the_base_by_a_mark() {
    after("! adopt\n ! pull\n o a/x cur S h b", &[], "");
}

#[test]
fn a_message_moved_here_and_deleted_there_keeps_its_entry_until_it_is_back() {
    let text = "b x cur S h b\n o y cur S h b";
    after(text, &[], "y cur S h b");
    after(text, &[0], "x cur S h b");
    after(&format!("! pull\n {text}"), &[], "x cur S h b");
    after("! push\n b x cur S h b\n t y cur S h b", &[], "x cur S h b");
    after("! pull\n b x cur S h b", &[], "");
}
