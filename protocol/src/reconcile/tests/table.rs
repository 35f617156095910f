//! The table of the design, cell by cell: rows are what we did, columns what they did.
//! `u` unchanged, `f` flags or place, `c` content, `m` moved, `d` deleted.

use super::text::check;

#[test]
fn u_u_nothing_is_done() {
    check("bot x cur S h b", "");
}

#[test]
fn u_f_flags_are_taken() {
    check("bo x cur S h b\n t x cur FS h b", "ours: flags x cur FS");
    check("bo x new - h b\n t x cur - h b", "ours: flags x cur -");
}

#[test]
fn u_c_content_is_taken() {
    check("bo x cur S h b\n t x cur S h c", "ours: replace x cur S h c from wire");
}

#[test]
fn u_c_another_header_sends_no_body() {
    check("bo x cur S h b\n t x cur S g b", "ours: replace x cur S g b from body x");
}

#[test]
fn u_m_ours_is_moved() {
    check("bo x cur S h b\n t y cur S h b", "ours: move x to y cur S");
    check("bot a/ \n bo x cur S h b\n t a/x cur FS h b", "ours: move x to a/x cur FS");
}

#[test]
fn u_d_ours_is_deleted() {
    check("bo x cur S h b", "ours: delete x");
}

#[test]
fn f_u_flags_are_given() {
    check("bt x cur S h b\n o x cur - h b", "theirs: flags x cur -");
}

#[test]
fn f_f_flags_merge_letter_by_letter() {
    check("b x new PS h b\n o x cur FP h b\n t x new PST h b", "ours: flags x cur FPT\n theirs: flags x cur FPT");
    check("b x new - h b\n ot x cur S h b", "agreed: x cur S h b");
}

#[test]
fn f_c_content_is_taken_and_flags_merge() {
    check(
        "b x cur S h b\n o x cur FS h b\n t x cur RS h c",
        "ours: replace x cur FRS h c from wire\n theirs: flags x cur FRS",
    );
}

#[test]
fn f_m_ours_is_moved_and_flags_merge() {
    check(
        "b x cur S h b\n o x cur FS h b\n t a/x cur RS h b\n bo a/",
        "ours: move x to a/x cur FRS\n theirs: flags a/x cur FRS",
    );
}

#[test]
fn f_d_a_flag_does_not_save_a_deleted_message() {
    check("b x cur S h b\n o x cur FS h b", "ours: delete x");
}

#[test]
fn c_u_content_is_given() {
    check("bt x cur S h b\n o x cur S h c", "theirs: replace x cur S h c from wire");
}

#[test]
fn c_f_content_is_given_and_flags_merge() {
    check(
        "b x cur S h b\n o x cur RS h c\n t x cur FS h b",
        "ours: flags x cur FRS\n theirs: replace x cur FRS h c from wire",
    );
}

#[test]
fn c_c_equal_content_is_agreed() {
    check("b x cur S h b\n ot x cur S h c", "agreed: x cur S h c");
    check("b x cur S h b\n o x cur FS h c\n t x cur S h c", "theirs: flags x cur FS");
}

#[test]
fn c_c_other_content_is_kept_both_each_with_its_own_flags() {
    check(
        "b x cur S h b\n o x cur FS h c\n t x new S h d",
        "ours: move x to ~h.c cur FS
         ours: put x new S h d from wire
         theirs: put ~h.c cur FS h c from wire
         note: kept both: x and ~h.c",
    );
}

#[test]
fn c_m_content_is_kept_at_the_new_place() {
    check(
        "b x cur S h b\n o x cur S h c\n t a/x cur S h b\n bo a/",
        "ours: move x to a/x cur S\n theirs: replace a/x cur S h c from wire",
    );
}

#[test]
fn c_d_changed_content_survives_a_delete() {
    check("b x cur S h b\n o x cur S h c", "theirs: put x cur S h c from wire");
}

#[test]
fn m_u_theirs_is_moved() {
    check("bt x cur S h b\n o a/x cur S h b\n bt a/", "theirs: move x to a/x cur S");
}

#[test]
fn m_f_theirs_is_moved_and_flags_merge() {
    check(
        "b x cur S h b\n o a/x cur RS h b\n t x cur FS h b\n bt a/",
        "ours: flags a/x cur FRS\n theirs: move x to a/x cur FRS",
    );
}

#[test]
fn m_c_theirs_is_moved_and_keeps_its_content() {
    check(
        "b x cur S h b\n o a/x cur S h b\n t x cur S h c\n bt a/",
        "ours: replace a/x cur S h c from wire\n theirs: move x to a/x cur S",
    );
}

#[test]
fn m_m_to_the_same_place_is_agreed() {
    check("b x cur S h b\n ot a/x cur S h b\n b a/", "agreed: x gone\n agreed: a/x cur S h b");
    check("b x cur S h b\n o a/x cur FS h b\n t a/x cur S h b\n b a/", "theirs: flags a/x cur FS");
}

#[test]
fn m_m_within_one_folder_takes_the_smaller_uniq() {
    check("b x cur S h b\n o z cur S h b\n t y cur S h b", "ours: move z to y cur S");
    check("b x cur S h b\n o y cur S h b\n t z cur S h b", "theirs: move z to y cur S");
}

#[test]
fn m_m_to_different_folders_takes_the_servers_and_says_so() {
    check(
        "bot c/ \n bot d/ \n b x cur S h b\n o c/x cur S h b\n t d/x cur S h b",
        "ours: move c/x to d/x cur S\n note: moved twice: d/x, not c/x",
    );
}

#[test]
fn m_d_a_moved_message_survives_a_delete_at_its_new_place() {
    check("bot a/ \n b x cur S h b\n o a/x cur FS h b", "theirs: put a/x cur FS h b from wire");
}

#[test]
fn d_u_theirs_is_deleted() {
    check("bt x cur S h b", "theirs: delete x");
}

#[test]
fn d_f_theirs_is_deleted() {
    check("b x cur S h b\n t x cur FS h b", "theirs: delete x");
}

#[test]
fn d_c_changed_content_comes_back() {
    check("b x cur S h b\n t x cur S h c", "ours: put x cur S h c from wire");
}

#[test]
fn d_m_comes_back_at_the_new_place() {
    check("bot a/ \n b x cur S h b\n t a/x cur S h b", "ours: put a/x cur S h b from wire");
}

#[test]
fn d_d_is_agreed() {
    check("b x cur S h b", "agreed: x gone");
}
