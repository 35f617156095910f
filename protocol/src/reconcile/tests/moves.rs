//! How a move is told from a copy and a delete, and what a cut run leaves of moved x changed.

use super::text::{check, planned};

#[test]
fn a_new_message_is_put_on_the_other_host() {
    check("o x new - h b\n t y cur S h c", "theirs: put x new - h b from wire\n ours: put y cur S h c from wire");
}

#[test]
fn a_kept_uniq_tells_moves_of_equal_messages_apart() {
    check(
        "bot a/ \n bo x cur S h b\n bo y cur F h b\n t a/x cur S h b\n t a/y cur F h b",
        "ours: move x to a/x cur S\n ours: move y to a/y cur F",
    );
}

#[test]
fn a_move_under_a_new_uniq_is_known_by_its_digests() {
    check("bot a/ \n bo x cur S h b\n t a/y new - h b", "ours: move x to a/y new -");
}

#[test]
fn an_ambiguous_move_is_copy_and_delete_and_sends_nothing() {
    check(
        "bot a/ \n bo x cur S h b\n bo y cur S h b\n t a/p cur S h b\n t a/q cur S h b",
        "ours: put a/p cur S h b from copy x
         ours: put a/q cur S h b from copy x
         ours: delete x
         ours: delete y",
    );
}

#[test]
fn what_the_uniq_settled_leaves_the_rest_unambiguous() {
    check(
        "bot a/ \n bo x cur S h b\n bo y cur S h b\n t a/x cur S h b\n t a/q cur S h b",
        "ours: move x to a/x cur S\n ours: move y to a/q cur S",
    );
}

#[test]
fn a_copy_sends_nothing() {
    check("bot x cur S h b\n t y cur S h b", "ours: put y cur S h b from copy x");
}

#[test]
fn a_second_new_message_with_equal_bytes_is_copied_from_the_first() {
    check("t x cur S h b\n t y cur S h b", "ours: put x cur S h b from wire\n ours: put y cur S h b from copy x");
}

#[test]
fn a_new_message_with_a_known_body_sends_its_header() {
    check("bot x cur S h b\n t y cur S g b", "ours: put y cur S g b from body x");
}

#[test]
fn an_edit_by_rename_takes_the_body_from_the_old_message() {
    check("bo x cur S h b\n t y cur S g b", "ours: put y cur S g b from body x\n ours: delete x");
}

#[test]
fn an_empty_body_is_no_body_to_copy() {
    check("bot x cur S h 0\n t y cur S g 0", "ours: put y cur S g 0 from wire");
}

#[test]
fn swapped_names_swap_their_bytes_without_the_wire() {
    check(
        "bo x cur S h b\n bo y cur F h c\n t x cur F h c\n t y cur S h b",
        "ours: replace x cur F h c from copy y\n ours: replace y cur S h b from copy x",
    );
}

#[test]
fn a_chain_of_renames_sends_nothing() {
    check(
        "bo x cur S h b\n bo y cur S h c\n t y cur S h b\n t z cur S h c",
        "ours: put z cur S h c from copy y\n ours: replace y cur S h b from copy x\n ours: delete x",
    );
}

#[test]
fn a_move_to_where_these_bytes_are_is_a_delete_of_its_source() {
    check(
        "bot a/ \n bt x cur S h b\n o a/x cur S h b\n t a/x cur F h b",
        "ours: flags a/x cur FS\n theirs: flags a/x cur FS\n theirs: delete x",
    );
    check("bot a/ \n bo x cur S h b\n t a/x cur S h b\n o a/x cur S h b", "ours: delete x");
}

#[test]
fn moved_here_changed_there_cut_after_our_half_is_one_message() {
    // We had moved x and taken the bytes c; the base never heard of it.
    check("bot a/ \n b x cur S h b\n o a/x cur S h c\n t x cur S h c", "theirs: move x to a/x cur S");
    check(
        "bot a/ \n b x cur S h b\n o a/z cur S h c\n t x cur FS h c",
        "ours: flags a/z cur FS\n theirs: move x to a/z cur FS",
    );
}

#[test]
fn moved_here_changed_there_cut_after_their_half_is_one_message() {
    check("bot a/ \n b x cur S h b\n o a/x cur S h b\n t a/x cur S h c", "ours: replace a/x cur S h c from wire");
    check("bot a/ \n b x cur S h b\n o a/x cur S h c\n t a/x cur S h b", "theirs: replace a/x cur S h c from wire");
}

#[test]
fn bytes_that_a_cut_run_brought_replace_nothing_that_moved_there() {
    // Two messages changed their bytes there, a cut run brought one half of it, and the other half moved on.
    check(
        "b x cur S h b\n o x cur S g c\n N x cur S g c\n t y cur S h b",
        "ours: move x to ~g.c cur S
         ours: put y cur S h b from wire
         theirs: put ~g.c cur S g c from wire
         note: kept both: y and ~g.c",
    );
}

#[test]
fn bytes_that_a_cut_run_brought_and_that_were_taken_back_there_are_kept_beside_them() {
    check(
        "b x cur S h b\n o x cur S g c\n N x cur S g c\n t x cur S h b",
        "ours: move x to ~g.c cur S
         ours: put x cur S h b from wire
         theirs: put ~g.c cur S g c from wire
         note: kept both: x and ~g.c",
    );
    check(
        "b x cur S h b\n t x cur S g c\n M x cur S g c\n o x cur S h b",
        "ours: move x to ~h.b cur S
         ours: put x cur S g c from wire
         theirs: put ~h.b cur S h b from wire
         note: kept both: x and ~h.b",
    );
}

#[test]
fn a_message_that_lost_its_bytes_gets_those_that_a_cut_run_brought_the_other_host() {
    check(
        "b x cur S h b\n t x cur S g c\n M x cur S g c\n o x cur S 0 0",
        "ours: replace x cur S g c from wire\n note: healed on ours: x",
    );
}

#[test]
fn bytes_that_a_cut_run_brought_and_that_were_filed_delete_nothing_to_which_the_other_host_went_back() {
    check(
        "bot a/\n bt x cur S h b\n o a/x cur S g c\n N x cur S g c",
        "ours: put x cur S h b from wire
         theirs: put a/x cur S g c from wire",
    );
    check(
        "bot a/\n bo x cur S h b\n t a/x cur S g c\n M x cur S g c",
        "theirs: put x cur S h b from wire
         ours: put a/x cur S g c from wire",
    );
    // Both hosts had steps: moved there, changed here, cut after the server's half, and undone here.
    check(
        "bot a/\n bo x cur S h b\n t a/x cur S g c\n n a/x cur S g c\n G x cur S g c",
        "theirs: put x cur S h b from wire
         ours: put a/x cur S g c from wire",
    );
    // The run that was to keep both was cut as well.
    check(
        "bt x cur S h b\n o ~g.c cur S g c\n n ~g.c cur S g c\n g x cur S g c",
        "theirs: put ~g.c cur S g c from wire
         ours: put x cur S h b from wire",
    );
    // A message without bytes is none to go back to.
    check(
        "bot a/\n b x cur S h b\n t x cur S 0 0\n o a/x cur S g c\n N x cur S g c",
        "theirs: put a/x cur S g c from wire\ntheirs: delete x",
    );
    // Without such a note it is a delete.
    check("bot a/\n bt x cur S h b\n o a/y cur S g c", "theirs: put a/y cur S g c from wire\ntheirs: delete x");
    check("bt x cur S h b\n N y cur S g c", "theirs: delete x");
}

#[test]
fn bytes_that_a_cut_run_brought_are_no_edit_when_both_hosts_had_steps() {
    check(
        "bot a/\n b x cur S h b\n o a/x cur S h b\n t a/x cur S g c\n n a/x cur S g c\n G x cur S g c",
        "ours: move a/x to a/~h.b cur S
         ours: put a/x cur S g c from wire
         theirs: put a/~h.b cur S h b from wire
         note: kept both: a/x and a/~h.b",
    );
    check(
        "b x cur S h b\n bo y cur S h c\n o x cur FS h c\n t z cur S h b\n n x cur FS h c\n g x cur FS h c",
        "ours: move x to ~h.c cur FS
         ours: put z cur S h b from wire
         theirs: put ~h.c cur FS h c from wire
         ours: delete y
         note: kept both: z and ~h.c",
    );
    // What the other host was to be given is an edit here.
    check("bt x cur S h b\n o x cur S g c\n n x cur S g c\n G x cur S g c", "theirs: replace x cur S g c from wire");
}

#[test]
fn a_backup_that_has_other_bytes_where_the_other_host_moved_a_message_is_no_edit_of_it() {
    check(
        "b z/x cur S h b\n bot a/\n o a/y cur S g c\n t a/y cur S h b\n ! put-back ours a",
        "ours: move a/y to a/~g.c cur S
         ours: put a/y cur S h b from wire
         theirs: put a/~g.c cur S g c from wire
         agreed: z/ gone
         note: kept both: a/y and a/~g.c
         note: returned to theirs: a/~g.c",
    );
}

#[test]
fn an_older_header_that_a_backup_has_where_the_other_host_moved_a_message_is_no_edit_of_it() {
    check(
        "b z/x cur S h b\n bot a/\n o a/x cur S g b\n t a/x cur S h b\n ! put-back ours a",
        "ours: move a/x to a/~g.b cur S
         ours: put a/x cur S h b from body a/x
         theirs: put a/~g.b cur S g b from body a/x
         agreed: z/ gone
         note: kept both: a/x and a/~g.b
         note: returned to theirs: a/~g.b",
    );
}

#[test]
fn moved_and_edited_is_no_guess_when_two_names_fit() {
    check(
        "b x cur S h b\n o y cur S h c\n o z cur S h c\n t x cur S h c",
        "ours: put x cur S h c from copy y\n theirs: put y cur S h c from copy x\n theirs: put z cur S h c from copy x",
    );
}

#[test]
fn bytes_that_the_other_host_has_too_are_not_the_moved_message() {
    // y is a message of its own, on both hosts.
    planned(
        "b x cur S h b\n o y cur S h c\n t y cur S h c\n t x cur S h c",
        "ours: put x cur S h c from copy y\n agreed: y cur S h c",
    );
}

#[test]
fn a_folder_renamed_on_one_host_moves_on_the_other() {
    check(
        "bo a/x cur S h b\n bo a/y cur S h c\n t b/x cur S h b\n t b/y cur F h c",
        "ours: make b/\n ours: move a/x to b/x cur S\n ours: move a/y to b/y cur F\n ours: remove a/",
    );
}

#[test]
fn names_crossed_by_strangers_are_no_edits_on_both_hosts() {
    // We moved r to q, they moved it to p, and each has another new message under the other's name.
    check(
        "b r cur S h b\n o q cur S h b\n o p cur S h c\n t p cur S h b\n t q cur S h d",
        "ours: move q to ~h.b cur S
         ours: put q cur S h d from wire
         theirs: put ~h.b cur S h b from copy p
         theirs: replace p cur S h c from wire
         note: kept both: q and ~h.b",
    );
}
