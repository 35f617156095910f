//! Two results that want one name.

use super::text::{check, planned};

#[test]
fn added_on_both_hosts_with_equal_content_is_one_message() {
    check("ot x cur S h b", "agreed: x cur S h b");
    check("o x new ST h b\n t x cur FT h b", "ours: flags x cur FST\n theirs: flags x cur FST");
    check("o x new ST h b\n t x cur F h b", "ours: flags x cur FS\n theirs: flags x cur FS");
}

#[test]
fn added_on_both_hosts_with_other_content_is_kept_both() {
    check(
        "o x cur S h b\n t x cur F h c",
        "ours: move x to ~h.b cur S
         ours: put x cur F h c from wire
         theirs: put ~h.b cur S h b from wire
         note: kept both: x and ~h.b",
    );
}

#[test]
fn the_servers_message_keeps_the_name_in_every_direction() {
    planned(
        "! pull\n o x cur S h b\n t x cur F h c",
        "ours: move x to ~h.b cur S
         ours: put x cur F h c from wire
         theirs: put ~h.b cur S h b from wire (Direction)
         note: kept both: x and ~h.b",
    );
    planned(
        "! push\n o x cur S h b\n t x cur F h c",
        "ours: move x to ~h.b cur S (Direction)
         ours: put x cur F h c from wire (Direction)
         theirs: put ~h.b cur S h b from wire
         note: kept both: x and ~h.b",
    );
}

#[test]
fn a_fresh_uniq_that_holds_the_same_bytes_is_that_message() {
    // The server's half of an earlier run, cut before its commit.
    check(
        "o x cur S h b\n t x cur F h c\n t ~h.b cur S h b",
        "ours: move x to ~h.b cur S
         ours: put x cur F h c from wire
         note: kept both: x and ~h.b",
    );
    check(
        "o x cur S h b\n t x cur F h c\n bot ~h.b cur - h b",
        "ours: delete x
         ours: flags ~h.b cur S
         ours: put x cur F h c from wire
         theirs: flags ~h.b cur S
         note: kept both: x and ~h.b",
    );
}

#[test]
fn a_fresh_uniq_that_holds_other_bytes_gets_a_counter() {
    check(
        "o x cur S h b\n t x cur F h c\n bot ~h.b cur - h d",
        "ours: move x to ~h.b1 cur S
         ours: put x cur F h c from wire
         theirs: put ~h.b1 cur S h b from wire
         note: kept both: x and ~h.b1",
    );
}

#[test]
fn a_fresh_uniq_is_found_although_its_message_just_went() {
    check(
        "o x cur S h b\n t x cur F h c\n bo ~h.b cur - h b",
        "ours: delete ~h.b
         ours: move x to ~h.b cur S
         ours: put x cur F h c from wire
         theirs: put ~h.b cur S h b from wire
         note: kept both: x and ~h.b",
    );
}

#[test]
fn two_moves_to_one_name_keep_both() {
    check(
        "bot a/ \n b x cur S h b\n b y cur F h c\n o a/x cur S h b\n t x cur S h b\n o y cur F h c\n t a/x cur F h c",
        "ours: move a/x to a/~h.b cur S
         ours: move y to a/x cur F
         theirs: move x to a/~h.b cur S
         note: kept both: a/x and a/~h.b",
    );
}

#[test]
fn a_move_onto_a_new_message_with_equal_bytes_is_one_message() {
    check(
        "bot a/ \n b x cur S h b\n o a/x cur S h b\n t x cur S h b\n t a/x cur F h b",
        "ours: flags a/x cur FS\n theirs: flags a/x cur FS\n theirs: delete x",
    );
}

#[test]
fn a_move_and_an_edited_copy_of_the_moved_message_is_the_edited_one() {
    // They moved x; we too, and edited its header, which the base cannot tell from a delete and a new message.
    check("bot a/ \n b x cur S h b\n o a/y cur S g b\n t a/y cur S h b", "theirs: replace a/y cur S g b from body a/y");
}

#[test]
fn a_move_and_an_edited_newcomer_are_kept_both_while_the_moved_message_is_still_there() {
    check(
        "bot a/ \n b x cur S h b\n o x cur S h b\n o a/x cur S g b\n t a/x cur S h b",
        "ours: move a/x to a/~g.b cur S
         ours: move x to a/x cur S
         theirs: put a/~g.b cur S g b from body a/x
         note: kept both: a/x and a/~g.b",
    );
}

#[test]
fn a_move_to_a_name_that_the_other_host_has_edited_keeps_both() {
    check(
        "bot a/ \n b x cur S h b\n b a/x cur S h c\n o a/x cur S h c\n t a/x cur S h d\n ot x cur S h b",
        "ours: replace a/x cur S h d from wire",
    );
}
