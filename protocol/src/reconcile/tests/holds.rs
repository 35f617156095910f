//! What waits, and why.

use super::text::{Scene, planned, same};
use crate::reconcile::{Side, Turn};

#[test]
fn a_direction_changes_one_host_only() {
    planned(
        "! pull\n o x cur S h b\n t y cur S h c",
        "theirs: put x cur S h b from wire (Direction)\n ours: put y cur S h c from wire",
    );
    planned(
        "! push\n o x cur S h b\n t y cur S h c",
        "theirs: put x cur S h b from wire\n ours: put y cur S h c from wire (Direction)",
    );
}

#[test]
fn no_delete_holds_deletes_and_replacements_and_nothing_is_copied() {
    planned("! no-delete\n bo x cur S h b", "ours: delete x (NoDelete)");
    planned("! no-delete\n bo x cur S h b\n t x cur S h c", "ours: replace x cur S h c from wire (NoDelete)");
    planned(
        "! no-delete\n bo x cur S h b\n bo y cur S h c\n t x cur S h c\n t y cur S h b",
        "ours: replace x cur S h c from copy y (NoDelete)\n ours: replace y cur S h b from copy x (NoDelete)",
    );
}

#[test]
fn no_delete_lets_moves_and_flags_pass() {
    planned("! no-delete\n bo x cur S h b\n t y cur FS h b", "ours: move x to y cur FS");
}

#[test]
fn what_the_server_does_not_permit_waits_and_the_rest_does_not() {
    planned("! policy pull,push,append-only\n bt x cur S h b", "theirs: delete x (Policy)");
    planned("! policy pull,push,append-only\n bt x cur S h b\n o y cur S h b", "theirs: move x to y cur S (Policy)");
    planned("! policy pull,push,append-only\n bt x cur S h b\n o x cur FS h b", "theirs: flags x cur FS");
    planned("! policy pull,push,append-only\n bt x cur S h b\n o x cur ST h b", "theirs: flags x cur ST (Policy)");
    planned("! policy pull,push,no-delete\n bt x cur S h b\n o y cur S h b", "theirs: move x to y cur S");
    planned(
        "! policy pull,push,no-delete\n bt x cur S h b\n o x cur S h c",
        "theirs: replace x cur S h c from wire (Policy)",
    );
    let both = "o x cur S h b\n t y cur S h c\n bo z cur S h d";
    planned(
        &format!("! policy pull\n {both}"),
        "theirs: put x cur S h b from wire (Policy)\n ours: put y cur S h c from wire\n ours: delete z",
    );
    planned(
        &format!("! policy push\n {both}"),
        "theirs: put x cur S h b from wire\n ours: put y cur S h c from wire (Policy)\n ours: delete z (Policy)",
    );
    // What the direction leaves out anyhow is not the server's doing.
    planned("! policy pull\n ! pull\n o x cur S h b", "theirs: put x cur S h b from wire (Direction)");
}

#[test]
fn a_copy_waits_with_the_removal_that_matches_it() {
    planned(
        "! no-delete\n bot a/ \n bo x cur S h b\n bo y cur S h b\n t a/p cur S h b\n t a/q cur S h b",
        "ours: put a/p cur S h b from copy x (NoDelete)
         ours: put a/q cur S h b from copy x (NoDelete)
         ours: delete x (NoDelete)
         ours: delete y (NoDelete)",
    );
    // One removal holds one copy.
    planned(
        "! no-delete\n bot a/ \n bo x cur S h b\n t a/p cur S h b\n t a/q cur S h b",
        "ours: put a/p cur S h b from copy x (NoDelete)\n ours: put a/q cur S h b from copy x\n ours: delete x (NoDelete)",
    );
    // A chain of renames: z holds what y held, and y keeps it for now.
    planned(
        "! no-delete\n bo x cur S h b\n bo y cur S h c\n t y cur S h b\n t z cur S h c",
        "ours: put z cur S h c from copy y (NoDelete)
         ours: replace y cur S h b from copy x (NoDelete)
         ours: delete x (NoDelete)",
    );
}

#[test]
fn under_no_delete_only_equal_bytes_hold_a_copy() {
    planned(
        "! no-delete\n bo x cur S h b\n t y cur S g b",
        "ours: put y cur S g b from body x\n ours: delete x (NoDelete)",
    );
}

fn many(who: &str, from: usize, to: usize) -> String {
    (from..to).map(|i| format!("{who} m{i} cur S h b{i}\n")).collect()
}

fn guard(text: &str) -> String {
    let scene = Scene::parse(text);
    scene
        .show_plan(&scene.plan())
        .lines()
        .filter(|line| line.starts_with("guard") || line.starts_with("stop"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_guard_trips_at_more_than_half_and_more_than_twenty() {
    assert_eq!(guard(&(many("bo", 0, 21) + &many("bot", 21, 41))), "guard: 21 of 41");
    assert_eq!(guard(&(many("bo", 0, 21) + &many("bot", 21, 42))), "", "half is not more than half");
    assert_eq!(guard(&(many("bo", 0, 20) + &many("bot", 20, 30))), "", "twenty is not more than twenty");
}

#[test]
fn the_guard_trips_at_all_of_more_than_five() {
    assert_eq!(guard(&many("bo", 0, 6)), "guard: 6 of 6");
    assert_eq!(guard(&many("bo", 0, 5)), "");
    assert_eq!(guard(&(many("bo", 0, 6) + "bot x cur S h x")), "");
}

#[test]
fn replacements_count_and_what_another_direction_does_later_does_not() {
    let edited: String = (0..6).map(|i| format!("bo m{i} cur S h b{i}\n t m{i} cur S h c{i}\n")).collect();
    assert_eq!(guard(&edited), "guard: 6 of 6");
    assert_eq!(guard(&("! pull\n".to_owned() + &many("bt", 0, 22) + &many("bot", 22, 40))), "");
}

#[test]
fn the_guard_holds_removals_and_lets_everything_else_pass() {
    let text = many("bo", 0, 6) + "o n cur S h n\n bot k cur S h k\n";
    assert_eq!(guard(&text), "");
    let text = many("bo", 0, 6) + "o n cur S h n\n";
    let scene = Scene::parse(&text);
    same(
        &scene.show_plan(&scene.plan()),
        "theirs: put n cur S h n from wire
         ours: delete m0 (Guard)\n ours: delete m1 (Guard)\n ours: delete m2 (Guard)
         ours: delete m3 (Guard)\n ours: delete m4 (Guard)\n ours: delete m5 (Guard)
         guard: 6 of 6",
    );
    assert_eq!(guard(&(text + "! allow-bulk-delete")), "");
}

#[test]
fn a_held_delete_holds_the_copy_with_its_body_under_another_header() {
    // Copies now and deletes never would double the mailbox; the rest of it trips the guard.
    let text: String = (0..6).map(|i| format!("bo m{i} cur S h b{i}\n t n{i} cur S g b{i}\n")).collect();
    let scene = Scene::parse(&(text + &many("bo", 10, 40)));
    let plan = scene.plan();
    assert!(plan.guard.is_some());
    assert!(
        plan.components.iter().all(|component| component.ours.open().is_empty() && component.theirs.open().is_empty())
    );
}

#[test]
fn a_suspicious_root_stops_the_run_only_if_something_would_be_removed() {
    assert_eq!(guard("! suspicious ours\n bt x cur S h b\n bot y cur S h c"), "stop: Ours is another directory");
    assert_eq!(guard("! suspicious ours\n o x cur S h b\n bot y cur S h c"), "");
    // Also when it would be removed another time only: new mail must not go where nobody looks for it.
    for option in ["! no-delete", "! push"] {
        let text = format!("! suspicious theirs\n {option}\n bo x cur S h b\n bot y cur S h c");
        assert_eq!(guard(&text), "stop: Theirs is another directory");
    }
}

#[test]
fn a_message_that_lost_its_bytes_gets_them_back() {
    planned("bt x cur S h b\n o x cur S 0 0", "ours: replace x cur S h b from wire\n note: healed on ours: x");
    planned(
        "bo x cur S h b\n t x cur FS 0 0",
        "ours: flags x cur FS\n theirs: replace x cur FS h b from wire\n note: healed on theirs: x",
    );
    planned(
        "b x cur S h b\n o x cur S 0 0\n t x cur S h c",
        "ours: replace x cur S h c from wire\n note: healed on ours: x",
    );
}

#[test]
fn without_a_base_too_a_message_without_bytes_gets_those_of_its_name() {
    for adopt in ["", "! adopt\n"] {
        let mut agreed = String::new();
        if !adopt.is_empty() {
            agreed.push_str("agreed: ./ there\n");
        }
        planned(
            &format!("{adopt} o x cur S h b\n t x cur S 0 0"),
            &format!("theirs: replace x cur S h b from wire\n{agreed} note: healed on theirs: x"),
        );
    }
    planned("o x cur S 0 0\n t x cur S 0 0", "agreed: x cur S 0 0");
}

#[test]
fn a_moved_message_that_lost_its_bytes_is_known_by_its_uniq() {
    planned(
        "bot a/ \n bt x cur S h b\n o a/x cur S 0 0",
        "ours: replace a/x cur S h b from wire\n theirs: move x to a/x cur S\n note: healed on ours: a/x",
    );
}

#[test]
fn healing_is_neither_guarded_nor_held_back() {
    let text: String = (0..30).map(|i| format!("bt m{i} cur S h b{i}\n o m{i} cur S 0 0\n")).collect();
    for option in ["", "! no-delete\n"] {
        let plan = Scene::parse(&(option.to_owned() + &text)).plan();
        assert!(
            plan.guard.is_none()
                && plan.components.iter().all(|component| component.heals && component.ours.open().len() == 1)
        );
    }
}

#[test]
fn an_empty_file_is_not_healed_under_a_message_that_goes() {
    // The good copy is deleted on purpose; the guard and --no-delete still see that.
    planned("! no-delete\n b x cur S h b\n t x cur S 0 0", "theirs: delete x (NoDelete)");
}

#[test]
fn an_absence_on_a_host_that_was_not_read_completely_proves_nothing() {
    planned("! incomplete ours\n bt x cur S h b", "theirs: delete x (Incomplete)");
    planned("! incomplete ours\n bo x cur S h b", "ours: delete x");
    planned("! incomplete ours\n b x cur S h b", "");
    planned(
        "! incomplete theirs\n bo x cur S h b\n bo y cur S h b\n t p cur S h b\n t q cur S h b",
        "ours: put p cur S h b from copy x (Incomplete)
         ours: put q cur S h b from copy x (Incomplete)
         ours: delete x (Incomplete)
         ours: delete y (Incomplete)",
    );
}

#[test]
fn what_is_new_on_a_host_that_was_not_read_completely_may_have_been_moved() {
    // x may be gone from the folder that we could not read; then y is x.
    planned("! incomplete ours\n bot x cur S h b\n o y cur S h b", "theirs: put y cur S h b from copy x (Incomplete)");
    planned("! incomplete ours\n bot x cur S h b\n o y cur S h c", "theirs: put y cur S h c from wire");
    planned("! incomplete theirs\n bot x cur S h b\n o y cur S h b", "theirs: put y cur S h b from copy x");
}

#[test]
fn a_folder_stays_while_a_delete_in_it_waits() {
    let text: String = (0..6).map(|i| format!("bo F/m{i} cur S h b{i}\n")).collect();
    let scene = Scene::parse(&text);
    let plan = scene.show_plan(&scene.plan());
    let folder: Vec<_> = plan.lines().filter(|line| line.contains("remove")).collect();
    assert_eq!(folder, ["ours: remove F/ (Guard)"], "{plan}");
}

#[test]
fn what_another_root_lacks_keeps_the_copy_that_it_may_come_from() {
    let waits = |scene: &str, side, header, body, expect| {
        let scene = Scene::parse(scene);
        same(&scene.plan_while_lacking(side, header, body), expect);
    };
    let moved = "bo x cur S h b\n bot y cur S h c";
    waits(moved, Side::Ours, "h", "b", "ours: delete x (OtherRoot)");
    // Under another header too; a message without a body is known by its header.
    waits(moved, Side::Ours, "g", "b", "ours: delete x (OtherRoot)");
    waits("bo x cur S h 0\n bo y cur S g 0", Side::Ours, "h", "0", "ours: delete x (OtherRoot)\n ours: delete y");
    // Not what is lacking at the other host, or is another one.
    waits(moved, Side::Theirs, "h", "b", "ours: delete x");
    waits(moved, Side::Ours, "h", "c", "ours: delete x");
    // A replacement buries as well; a folder waits for what is in it.
    waits("bo x cur S h b\n t x cur S h c", Side::Ours, "h", "b", "ours: replace x cur S h c from wire (OtherRoot)");
    waits(
        "bo F/x cur S h b\n bo F/",
        Side::Ours,
        "h",
        "b",
        "ours: delete F/x (OtherRoot)\n ours: remove F/ (OtherRoot)",
    );
}

#[test]
fn a_plan_has_what_adds_before_what_replaces_and_that_before_what_removes() {
    let scene = Scene::parse("bo a cur S h b\n bo b cur S h c\n t b cur S h d\n t z cur S h e\n bot y cur S h f");
    let plan = scene.plan();
    let turns: Vec<Turn> = plan.components.iter().map(|component| component.turn()).collect();
    assert_eq!(turns, [Turn::Adds, Turn::Replaces, Turn::Removes], "{}", scene.show_plan(&plan));
}
