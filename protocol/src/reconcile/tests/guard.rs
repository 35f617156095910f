//! The bulk guard, sentence by sentence: what counts, what excuses, where it trips, and what ends it.

use super::text::Scene;
use crate::reconcile::{Hold, Side};

fn many(who: &str, from: usize, to: usize) -> String {
    (from..to).map(|i| format!("{who} m{i} cur S h b{i}\n")).collect()
}

fn in_folder(folder: &str, who: &str, from: usize, to: usize) -> String {
    (from..to).map(|i| format!("{who} {folder}/m{i} cur S h b{i}\n")).collect()
}

/// What runs removed at a host within a day, of a root that had so many messages.
fn removed(who: &str, from: usize, to: usize, base: usize) -> String {
    (from..to).map(|i| format!("! removed {who} g{i} c{i} {base} {base}\n")).collect()
}

#[track_caller]
fn guards(text: &str, expect: &str) {
    let scene = Scene::parse(text);
    let plan = scene.show_plan(&scene.plan());
    let guard: Vec<&str> = plan.lines().filter(|line| line.starts_with("guard")).collect();
    assert_eq!(guard.join("\n"), expect, "{plan}");
}

#[test]
fn what_runs_removed_within_a_day_counts_with_what_this_one_would() {
    let plan = many("bo", 0, 6) + &many("bot", 6, 30);
    guards(&plan, "");
    guards(&(plan.clone() + &removed("ours", 0, 15, 30)), "guard: 21 of 30, 15 earlier");
    guards(&(plan.clone() + &removed("ours", 0, 14, 30)), "");
    // The root was larger this morning, and so is the half of it.
    guards(&(plan + &removed("ours", 0, 16, 45)), "");
    // All of a small one, one by one.
    guards(&(many("bo", 0, 1) + &removed("ours", 0, 5, 6)), "guard: 6 of 6, 5 earlier");
}

#[test]
fn hosts_are_counted_apart() {
    let plan = many("bo", 0, 6) + &many("bot", 6, 30);
    guards(&(plan + &removed("theirs", 0, 29, 30)), "");
    guards(&(many("bo", 0, 12) + &many("bt", 12, 24) + &many("bot", 24, 30)), "");
}

#[test]
fn a_message_that_a_cut_run_counted_and_this_one_would_remove_is_one() {
    let again: String = (0..12).map(|i| format!("! removed ours m{i} b{i} 30 30\n")).collect();
    guards(&(many("bo", 0, 12) + &many("bot", 12, 30) + &again), "");
    // Other bytes under its name are another one.
    let other: String = (0..12).map(|i| format!("! removed ours m{i} c{i} 30 30\n")).collect();
    guards(&(many("bo", 0, 12) + &many("bot", 12, 30) + &other), "guard: 24 of 30, 12 earlier");
}

#[test]
fn another_header_removes_nothing_and_another_body_does() {
    let edited = |body: &str| -> String {
        (0..21).map(|i| format!("bo m{i} cur S h b{i}\n t m{i} cur S g {body}{i}\n")).collect()
    };
    guards(&(edited("b") + &many("bot", 21, 30)), "");
    guards(&(edited("c") + &many("bot", 21, 30)), "guard: 21 of 30");
    // So it need not wait while the guard stands.
    guards("! tripped\n bo x cur S h b\n t x cur S g b\n bot y cur S h c", "");
}

#[test]
fn all_of_a_folder_that_stays_is_too_much_unless_it_is_trash() {
    let others = many("bot", 100, 200);
    let emptied = |folder: &str, count| in_folder(folder, "bo", 0, count) + &format!("bot {folder}/\n") + &others;
    guards(&emptied("Work", 21), "guard: 21 of 21 in Work/");
    guards(&emptied("Work", 20), "");
    // A folder that goes as a whole counts for the root.
    guards(&(in_folder("Work", "bo", 0, 21) + &others), "");
    // One is left.
    guards(&(emptied("Work", 21) + "bot Work/left cur S h left\n"), "");
    for trash in ["Trash", ".Trash", "INBOX.trash", "Archive/JUNK", ".Spam", "Deleted"] {
        guards(&emptied(trash, 21), "");
    }
    guards(&("! except Lists \\Junk\n".to_owned() + &emptied("Old/lists", 21)), "");
    guards(&("! except Lists \\Junk\n".to_owned() + &emptied(".Junk", 21)), "");
    guards(&("! except Lists\n".to_owned() + &emptied("Trash", 21)), "guard: 21 of 21 in Trash/");
    // Message by message.
    let earlier: String = (0..20).map(|i| format!("! removed ours Work/g{i} c{i} 21 121\n")).collect();
    guards(&(emptied("Work", 1) + &earlier), "guard: 21 of 21 in Work/, 20 earlier");
}

#[test]
fn a_delete_is_excused_by_another_message_with_its_body_new_or_old() {
    // 40 messages are saved to another folder, each with a header more.
    let saved = |kept: usize| -> String {
        (0..kept).map(|i| format!("t Saved/n{i} cur S g b{i}\n")).collect::<String>() + "bot Saved/\n"
    };
    guards(&(many("bo", 0, 40) + &saved(40) + "bot x cur S h x\n"), "");
    // The other half came in an earlier run.
    let known: String = (0..40).map(|i| format!("bot Saved/n{i} cur S g b{i}\n")).collect();
    guards(&(many("bo", 0, 40) + &known), "");
    // As many as are not saved count.
    guards(&(many("bo", 0, 40) + &saved(20)), "");
    guards(&(many("bo", 0, 40) + &saved(19)), "guard: 21 of 40");
    let elsewhere: String = (0..40).map(|i| format!("! elsewhere theirs b{i} 1\n")).collect();
    guards(&(many("bo", 0, 40) + &elsewhere), "");
    // The host that lost them has them; that is no survivor.
    let here: String = (0..40).map(|i| format!("! elsewhere ours b{i} 1\n")).collect();
    guards(&(many("bo", 0, 40) + &here), "guard: 40 of 40");
}

#[test]
fn each_survivor_excuses_one_and_an_empty_body_none() {
    let same: String = (0..40).map(|i| format!("bo m{i} cur S h{i} b\n")).collect();
    guards(&(same.clone() + "bot x cur S h b\n"), "guard: 39 of 41");
    let earlier: String = (0..20).map(|i| format!("! removed ours g{i} b 24 24\n")).collect();
    let two = "bo m cur S h b\n bo n cur S h b\n bot x cur S h b\n bot y cur S h c\n".to_owned();
    guards(&(two.clone() + &earlier), "guard: 21 of 24, 20 earlier");
    // What went earlier is no matter of a run in which everything is excused.
    guards(&(two.replace("bo n", "bot n") + &earlier + &removed("ours", 50, 60, 24)), "");
    let empty: String = (0..40).map(|i| format!("bo m{i} cur S h{i} 0\n bot n{i} cur S g{i} 0\n")).collect();
    guards(&empty.replace("bot", "t"), "guard: 40 of 40");
}

#[test]
fn once_tripped_it_stands_whatever_the_day_and_lets_the_rest_pass() {
    let one = "! tripped\n bo x cur S h b\n bt y cur S h c\n o n cur S h n\n".to_owned() + &many("bot", 0, 100);
    guards(&one, "guard: 2 of 102, stands");
    let scene = Scene::parse(&one);
    let plan = scene.plan();
    assert_eq!(plan.components.iter().flat_map(|one| one.theirs.open()).count(), 1, "new mail passes");
    assert!(plan.removals_left && !plan.removes(Side::Ours) && !plan.removes(Side::Theirs));
    guards(&(one.clone() + "! allow-bulk-delete"), "");
    // Nothing is left to remove, or it is for another run.
    let none = Scene::parse("! tripped\n o n cur S h n\n bot x cur S h b");
    assert!(none.plan().guard.is_none() && !none.plan().removals_left);
    let other = Scene::parse("! tripped\n ! push\n bo x cur S h b\n bot y cur S h c");
    assert!(other.plan().guard.is_none() && other.plan().removals_left);
}

#[test]
fn a_message_saved_elsewhere_with_a_header_more_is_shown_as_moved() {
    let plan = Scene::parse("bo x cur S h b\n bo y cur S h c\n bot Saved/\n t Saved/n cur S g b").plan();
    let [ours, theirs] = &plan.dressed_moves;
    assert_eq!(ours.iter().map(|name| name.uniq.to_string()).collect::<Vec<_>>(), ["x"]);
    assert!(theirs.is_empty());
}

#[test]
fn a_spent_budget_at_the_server_holds_back_removals_and_marks_there_and_nothing_else() {
    let scene = |spent: &str| {
        let text = "bt gone cur S h b1\n bt mark cur S h b2\n o mark cur ST h b2\n bo here cur S h b3\n \
                    o new cur S h b4\n bt head cur S h b5\n o head cur S g b5\n bt body cur S h b6\n o body cur S h c6\n \
                    bot stays cur S h b7\n bt moved cur S h b8\n o A/moved cur S h b8\n bo trash cur S h b9\n t trash cur ST h b9";
        Scene::parse(&format!("{spent}{text}"))
    };
    let held = |spent: &str| {
        let plan = scene(spent).plan();
        let held = plan.components.iter().filter(|one| one.ours.held.is_some() || one.theirs.held.is_some());
        let mut held: Vec<(String, Option<Hold>, Option<Hold>)> =
            held.map(|one| (one.names[0].uniq.to_string(), one.ours.held, one.theirs.held)).collect();
        held.sort();
        held
    };
    assert_eq!(held(""), []);
    let at_the_server = |uniq: &str| (uniq.to_owned(), None, Some(Hold::Budget));
    assert_eq!(held("! spent\n"), [at_the_server("body"), at_the_server("gone"), at_the_server("mark")]);
}
