//! No common base: unite by content, delete nothing.

use super::text::{Scene, check, planned, same};
use super::world::run_well;
use crate::reconcile::{Direction, Policy};

#[test]
fn the_same_trees_are_agreed_and_nothing_moves() {
    check(
        "! adopt\n ot x cur S h b\n ot a/y new - h c",
        "agreed: x cur S h b\n agreed: a/y new - h c\n agreed: ./ there\n agreed: a/ there",
    );
}

#[test]
fn messages_are_matched_by_folder_uniq_and_content_first() {
    check(
        "! adopt\n o x cur S h b\n o y cur - h b\n t y cur F h b\n t x cur S h b",
        "ours: flags y cur F\n agreed: x cur S h b\n agreed: ./ there",
    );
}

#[test]
fn what_has_another_uniq_is_matched_by_folder_and_content_and_follows_the_server() {
    check(
        "! adopt\n o p cur S h b\n o q cur - h b\n t x cur F h b\n t y new - h b",
        "ours: move p to x cur FS\n theirs: flags x cur FS\n ours: move q to y cur -\n theirs: flags y cur -\n agreed: ./ there",
    );
}

#[test]
fn in_a_push_names_follow_ours() {
    planned("! adopt\n ! push\n o p cur S h b\n t x cur S h b", "theirs: move x to p cur S\n agreed: ./ there");
}

#[test]
fn a_uniq_in_another_folder_is_a_move_that_nobody_remembers() {
    check(
        "! adopt\n ot a/ \n o x cur S h b\n t a/x cur F h b",
        "ours: move x to a/x cur FS\n theirs: flags a/x cur FS\n agreed: ./ there\n agreed: a/ there",
    );
}

#[test]
fn two_such_names_on_a_side_are_no_move() {
    check(
        "! adopt\n ot a/ \n ot c/ \n o x cur S h b\n o c/x cur S h b\n t a/x cur F h b",
        "theirs: put x cur S h b from copy a/x
         ours: put a/x cur F h b from copy x
         theirs: put c/x cur S h b from copy a/x
         agreed: ./ there\n agreed: a/ there\n agreed: c/ there
         note: returned to theirs: x\n note: returned to ours: a/x\n note: returned to theirs: c/x",
    );
}

#[test]
fn flags_unite_and_trashed_needs_both() {
    check(
        "! adopt\n o x new ST h b\n t x cur F h b",
        "ours: flags x cur FS\n theirs: flags x cur FS\n agreed: ./ there",
    );
}

#[test]
fn only_an_equal_uniq_with_other_bytes_is_a_clash() {
    check(
        "! adopt\n o x cur S h b\n t x cur F h c",
        "ours: move x to ~h.b cur S
         ours: put x cur F h c from wire
         theirs: put ~h.b cur S h b from wire
         agreed: ./ there
         note: kept both: x and ~h.b
         note: returned to theirs: ~h.b
         note: returned to ours: x",
    );
}

#[test]
fn two_equal_messages_of_the_client_are_not_made_one_by_their_fresh_uniq() {
    check(
        "! adopt\n o x cur S h b\n o y cur S h b\n t x cur F h c\n t y cur F h d",
        "ours: move x to ~h.b cur S
         ours: put x cur F h c from wire
         theirs: put ~h.b cur S h b from wire
         ours: move y to ~h.b1 cur S
         ours: put y cur F h d from wire
         theirs: put ~h.b1 cur S h b from copy ~h.b
         agreed: ./ there
         note: kept both: x and ~h.b
         note: kept both: y and ~h.b1
         note: returned to theirs: ~h.b
         note: returned to ours: x
         note: returned to theirs: ~h.b1
         note: returned to ours: y",
    );
}

#[test]
fn what_one_host_has_alone_is_given_to_the_other_and_listed() {
    check(
        "! adopt\n o x cur S h b",
        "theirs: put x cur S h b from wire\n agreed: ./ there\n note: returned to theirs: x",
    );
}

#[test]
fn rings_and_chains_of_names_are_opened_without_loss() {
    check(
        "! adopt\n o p cur S h b\n o q cur S h c\n o r cur S h d\n t q cur S h b\n t r cur S h c\n t p cur S h d",
        "ours: move r to PARKED cur S
         ours: move q to r cur S
         ours: move p to q cur S
         ours: move PARKED to p cur S
         agreed: ./ there",
    );
    check(
        "! adopt\n o p cur S h b\n o q cur S h c\n t q cur S h b\n t r cur S h c",
        "ours: move q to r cur S\n ours: move p to q cur S\n agreed: ./ there",
    );
}

fn headers(changed: usize, equal: usize) -> String {
    let changed = (0..changed).map(|i| format!("o x{i} cur S h{i} b{i}\n t y{i} cur S g{i} b{i}\n"));
    let equal = (0..equal).map(|i| format!("o e{i} cur S h e{i}\n"));
    format!("! adopt\n {}", changed.chain(equal).collect::<String>())
}

#[track_caller]
fn stops(text: &str, expect: &str) {
    let scene = Scene::parse(text);
    let plan = scene.show_plan(&scene.plan());
    let stop: Vec<&str> = plan.lines().filter(|line| line.starts_with("stop")).collect();
    assert_eq!(stop.join("\n"), expect);
}

#[test]
fn many_other_headers_of_a_root_stop_the_run_and_are_counted_as_messages() {
    stops(&headers(10, 0), "stop: 10 of 10 with another header");
    stops(&headers(5, 0), "");
    stops(&headers(10, 9), "stop: 10 of 19 with another header");
    stops(&headers(10, 10), "");
    stops(&headers(21, 100), "stop: 21 of 121 with another header");
    stops(&headers(20, 100), "");
    stops(&headers(21, 189), "");
    stops(&(headers(10, 0) + "! adopt-other-headers"), "");
    // A machine that writes the same each night is one body, in a root of whatever size.
    let reports: String = (0..30).map(|i| format!("o x{i} cur S h{i} b\n t y{i} cur S g{i} b\n")).collect();
    stops(&format!("! adopt\n {reports}"), "");
}

#[test]
fn copies_that_differ_by_a_mark_alone_are_one_message_and_lose_it_on_both_hosts() {
    // `h*` is the header h with a mark of another program.
    let scene = "! adopt\n ! marks\n o x cur S h* b\n t y cur F h b\n";
    planned(
        scene,
        "ours: move x to y cur FS\n ours: replace y cur FS h b from body x\n theirs: flags y cur FS\n agreed: ./ there",
    );
    planned(
        "! adopt\n ! marks\n o x cur S h b\n t x cur F h* b",
        "ours: flags x cur FS\n theirs: replace x cur FS h b from body x\n agreed: ./ there",
    );
    // Two marks: the server's stays. Another body, or another header below the mark, is another message.
    planned(
        "! adopt\n ! marks\n o x cur S h** b\n t y cur S h* b",
        "ours: move x to y cur S\n ours: replace y cur S h* b from body x\n agreed: ./ there",
    );
    planned(
        "! adopt\n ! marks\n o x cur S h* b\n t y cur S h c\n t z cur S g b",
        "theirs: put x cur S h* b from body z
         ours: put y cur S h c from wire
         ours: put z cur S g b from body x
         agreed: ./ there
         note: returned to theirs: x
         note: returned to ours: y
         note: returned to ours: z",
    );
    // Without an adopt it is an edit like any other.
    planned("! marks\n bt x cur S h b\n o x cur S h* b", "theirs: replace x cur S h* b from body x");
}

#[test]
fn equal_bytes_are_matched_before_marks() {
    planned(
        "! adopt\n ! marks\n o a cur S h b\n o c cur S h* b\n t x cur S h* b\n t y cur S h** b",
        "ours: move c to x cur S\n ours: move a to y cur S\n theirs: replace y cur S h b from body x\n agreed: ./ there",
    );
}

/// So many messages of a folder that are there, of which so many are new at the server once more, with another header.
fn fetched_again(there: usize, again: usize, name: &str, header: &str) -> String {
    let there = (0..there).map(|i| format!("bot F/m{i} cur S h b{i}\n"));
    there.chain((0..again).map(|i| format!("t F/n{i}{name} cur S {header} b{i}\n"))).collect()
}

#[test]
fn messages_that_another_program_fetched_again_stop_an_ordinary_run() {
    stops(&fetched_again(100, 21, "", "g"), "stop: 21 of 100 twice in F/ at Theirs");
    stops(&fetched_again(100, 20, "", "g"), "");
    stops(&fetched_again(210, 21, "", "g"), "");
    // Under a name that says who fetched it the header may be the same; else that is a copy by a user.
    stops(&fetched_again(100, 21, ",U=7", "h"), "stop: 21 of 100 twice in F/ at Theirs");
    stops(&fetched_again(100, 21, "", "h"), "");
    stops(&(fetched_again(100, 21, "", "g") + "! adopt-other-headers"), "");
    stops(&(fetched_again(100, 21, "", "g") + "! push"), "");
    // In another folder, or where the old one is gone, it is a move or an edit.
    stops(&(fetched_again(100, 30, "", "g").replace("t F/n", "t G/n") + "bot G/"), "");
    stops(&fetched_again(100, 30, "", "g").replace("bot", "bo"), "");
    // A machine that writes the same each night.
    let reports = |who: &str, from: usize, to: usize| -> String {
        (from..to).map(|i| format!("{who} F/m{i} cur S h{i} b\n")).collect()
    };
    stops(&(reports("bot", 0, 100) + &reports("t", 100, 150)), "");
}

#[test]
fn what_another_program_fetches_again_in_portions_counts_for_a_day() {
    // What runs of the day brought a second time is in the base, beside what was there.
    let brought = |from: usize, to: usize| -> String {
        (from..to).map(|i| format!("bot F/e{i} cur S e b{i}\n! doubled F/e{i} b{i}\n")).collect()
    };
    let scene = |again: usize, earlier: String| fetched_again(100, again, "", "g") + &earlier;
    stops(&scene(1, brought(50, 70)), "stop: 21 of 100 twice in F/ at Theirs, 20 earlier");
    stops(&scene(1, brought(50, 69)), "");
    stops(&(fetched_again(210, 11, "", "g") + &brought(50, 60)), "");
    // It is each body once, and what is planned again after a cut run is no second one.
    stops(&scene(15, brought(5, 20)), "");
    stops(&(scene(11, String::new()) + &(0..11).map(|i| format!("! doubled F/n{i} b{i}\n")).collect::<String>()), "");
    // Another name makes no difference; what was buried since, either of the two, is not there twice.
    stops(
        &scene(1, brought(50, 70).replace("bot F/e69", "bot F/x69")),
        "stop: 21 of 100 twice in F/ at Theirs, 20 earlier",
    );
    stops(&scene(1, brought(50, 69) + "! doubled F/e69 b69\n"), "");
    stops(&(scene(1, brought(50, 70)).replace("bot F/m69 ", "bo F/m69 ")), "");
    // Without anything new it is nobody's matter now; in another folder it is another one's.
    stops(&scene(0, brought(50, 80)), "");
    stops(&(scene(1, String::new()) + &brought(50, 80).replace("F/", "G/")), "");
    stops(&(scene(1, brought(50, 80)) + "! adopt-other-headers"), "");
}

#[test]
fn a_base_made_by_a_cut_adopt_goes_on_matching_as_an_adopt() {
    // p and x are one message; without the mark each would be given to the other host.
    check("! adopting a\n o a/p cur S h b\n t a/x cur S h b\n b a/", "ours: move a/p to a/x cur S");
    check(
        "o a/p cur S h b\n t a/x cur S h b\n b a/",
        "theirs: put a/p cur S h b from copy a/x\n ours: put a/x cur S h b from copy a/p",
    );
}

#[test]
fn the_mark_goes_when_every_message_was_handled() {
    let mut scene = Scene::parse("! adopt\n ! push\n o p cur S h b\n t x cur S h b\n t y cur S h c");
    for (direction, expect) in
        [(Direction::Push, "./ adopting\n p cur S h b"), (Direction::Pull, "p cur S h b\n y cur S h c")]
    {
        let [ours, theirs] = &mut scene.trees;
        run_well(&mut scene.base, ours, theirs, &Policy::plain(direction));
        same(&scene.show_base(), expect);
    }
}

#[test]
fn a_message_filed_after_a_cut_run_is_not_doubled() {
    // x was put on the server by a run that never committed; its user filed it there.
    check("bot a/ \n o x cur S h b\n t a/x cur S h b", "ours: move x to a/x cur S\n note: moved twice: a/x, not x");
    // Where the bytes are in another message too, a copy on each host is as likely.
    check(
        "bot a/ \n bot y cur S h b\n o x cur S h b\n t a/x cur S h b",
        "theirs: put x cur S h b from copy y\n ours: put a/x cur S h b from copy x",
    );
}

#[test]
fn a_message_renamed_after_a_cut_run_is_not_doubled() {
    // x was put on the server by a run that never committed, and its user gave it another uniq, here or there.
    check("bot a/ \n n x new - h b\n o x new - h b\n t a/y cur S h b", "ours: move x to a/y cur S");
    check(
        "bot a/ \n n x new - h b\n o a/y cur S h b\n t x cur F h b",
        "ours: flags a/y cur FS\n theirs: move x to a/y cur FS",
    );
    // Both did: the message has two new names, and is still one.
    check(
        "bot a/ \n n x new - h b\n t x new - h b\n o a/y new - h b\n o a/z new - h b",
        "ours: put x new - h b from copy a/y\n theirs: put a/y new - h b from copy x\n theirs: put a/z new - h b from copy x",
    );
}

#[test]
fn a_message_renamed_at_both_hosts_after_a_cut_run_is_not_doubled() {
    let plan = Scene::parse("bot a/ \n n x new - h b\n o y new - h b\n t a/x new - h b").plan();
    assert!(plan.components.iter().all(|c| c.ours.steps.iter().chain(&c.theirs.steps).all(|s| s.bytes().is_none())));
}

#[test]
fn a_message_gone_after_a_cut_run_is_given_back() {
    // A crash may have taken what a user delivered and did not sync, so its absence is no delete.
    check("n x new - h b\n t x new - h b", "ours: put x new - h b from wire");
    // Nor are other bytes under its name an edit: they may be torn.
    check(
        "n x new - h b\n t x new - h b\n o x new - h c",
        "ours: move x to ~h.c new -\n ours: put x new - h b from wire\n theirs: put ~h.c new - h c from wire\n note: kept both: x and ~h.c",
    );
}

#[test]
fn a_folder_put_back_from_a_backup_gets_its_messages_again() {
    check(
        "! put-back ours a\n bt a/x cur S h b\n bot a/y cur S h c\n bo a/z cur S h d",
        "ours: put a/x cur S h b from wire\n ours: delete a/z\n note: returned to ours: a/x",
    );
    check(
        "! put-back ours a\n bt a/x cur S h b\n t a/y cur - h c\n o a/z cur - h c",
        "ours: put a/x cur S h b from wire\n ours: move a/z to a/y cur -\n note: returned to ours: a/x",
    );
}

#[test]
fn older_bytes_in_a_folder_put_back_from_a_backup_replace_nothing() {
    let plan = Scene::parse("! put-back ours a\n bt a/x cur S h new\n o a/x cur S h old").plan();
    let replaces = |step: &crate::step::Step| matches!(step, crate::step::Step::Replace { .. });
    assert!(!plan.components.iter().any(|c| c.ours.steps.iter().chain(&c.theirs.steps).any(replaces)));
}

#[test]
fn what_is_missing_on_both_hosts_leaves_the_base_of_a_folder_put_back() {
    check("! put-back theirs a\n b a/x cur S h b\n bot a/y cur S h c", "agreed: a/x gone");
}

#[test]
fn a_message_filed_under_another_uniq_while_an_adopt_was_cut_is_one_message() {
    check(
        "! adopt\n o a/p cur S h b\n t b/x cur S h b\n o a/\n o b/\n t a/\n t b/",
        "ours: move a/p to b/x cur S\n agreed: ./ there\n agreed: a/ there\n agreed: b/ there\n note: moved twice: b/x, not a/p",
    );
}

#[test]
fn with_another_copy_anywhere_nobody_can_say_which_message_was_filed() {
    let plan = Scene::parse("! adopt\n o a/p cur S h b\n t b/x cur S h b\n t c/y cur S h b").plan();
    let moved =
        plan.components.iter().flat_map(|c| &c.ours.steps).any(|step| matches!(step, crate::step::Step::Move { .. }));
    assert!(!moved);
}

#[test]
fn what_a_cut_run_took_over_is_the_past_of_what_users_do_next() {
    // Filed here, filed there by the run, filed here once more.
    check("b x cur S h b\n M y cur S h b\n t y cur S h b\n o z cur S h b", "theirs: move y to z cur S");
    check("bot a/ \n b x cur S h b\n N y cur S h b\n o y cur S h b\n t a/z cur S h b", "ours: move y to a/z cur S");
    // A flag that was set, given, and taken back; of a known message and of a new one.
    check("b x cur S h b\n M x cur FS h b\n t x cur FS h b\n o x cur S h b", "theirs: flags x cur S");
    check("M x cur FS h b\n t x cur FS h b\n o x cur S h b", "theirs: flags x cur S");
    // Where the run did not get so far, the base says what is new.
    check("b x cur S h b\n M x cur FS h b\n t x cur S h b\n o x cur FS h b", "theirs: flags x cur FS");
    // What both were to take over is not what both had.
    check("b x cur S h b\n n x cur FRS h b\n o x cur FRS h b\n t x cur RS h b", "theirs: flags x cur FRS");
}

#[test]
fn a_folder_that_is_in_no_base_and_on_both_hosts_is_adopted() {
    // Excluded until now: of the one message the uniq changed, the other was deleted at the server.
    check(
        "bot y cur S h c\n o a/x cur S h b\n t a/z cur F h b\n o a/gone cur - h d",
        "theirs: put a/gone cur - h d from wire\n ours: move a/x to a/z cur FS\n theirs: flags a/z cur FS\n agreed: a/ there\n note: returned to theirs: a/gone",
    );
    // What one host alone has is new there.
    check("bot y cur S h c\n o a/x cur S h b", "theirs: make a/\n theirs: put a/x cur S h b from wire");
}
